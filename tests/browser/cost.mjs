// What it costs a server to be looked at: its rate under load, and how much processor time the thread of
// its loop takes for a request. Each round has each way to look once, so that what else happens on the
// machine meets all alike.
//
// usage: SERVER=… node cost.mjs [ROUNDS] [SECONDS]        (with `wrk`, on Linux)

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { promisify } from "node:util";
import { browser, start } from "./program.mjs";

const ROUNDS = Number(process.argv[2] ?? 5);
const SECONDS = Number(process.argv[3] ?? 4);
/** No stall watch: that observes too, whether somebody looks or not. */
const ARGUMENTS = ["--addr", "127.0.0.1:0", "--stall-ms", "0"];

const chrome = await browser();

/** Reads streams of the view as they come. */
const read = (...paths) => async (view) => {
  const asked = paths.map((path) => request(`${view}${path}`, (answer) => answer.resume()).on("error", () => {}));
  asked.forEach((one) => one.end());
  return () => asked.forEach((one) => one.destroy());
};

/** The ways to look: a name, whether the server is to listen for it at all, and what is done. */
const WAYS = [
  ["not asked to listen", false, async () => () => {}],
  ["nobody looks", true, async () => () => {}],
  ["the summary is read", true, read("/api/summary")],
  ["events and summary are read", true, read("/api/events", "/api/summary")],
  ["the page is open", true, async (view) => {
    const page = await chrome.page();
    await page.goto(`${view}/`);
    await page.waitForSelector(".strip");
    return () => page.close();
  }],
];

/** The nanoseconds for which the main thread of a process, that of its loop, has run. */
const used = (pid) => Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]);

async function load(url, seconds) {
  const { stdout } = await promisify(execFile)("wrk", ["-t1", "-c32", `-d${seconds}s`, url]);
  return Number(/(\d+) requests in/.exec(stdout)[1]);
}

/** One round of one way: requests a second, and microseconds of the loop's thread for each. */
async function measure([, listens, look]) {
  const environment = listens ? { WINDLASS_INSPECT: "127.0.0.1:0" } : {};
  const server = await start(process.env.SERVER, ARGUMENTS, environment, listens ? 2 : 1);
  // It says where to look before it says where it serves; the two may come in either order.
  const ready = listens ? await Promise.all(server.urls.map((url) => fetch(`${url}/api/about`).then((answer) => answer.ok))) : [false];
  const [own, view] = [server.urls[ready.indexOf(false)], server.urls[ready.indexOf(true)]];
  const end = await look(view);
  await load(`${own}/fast`, 1);
  const before = used(server.pid);
  const count = await load(`${own}/fast`, SECONDS);
  const time = used(server.pid) - before;
  await end();
  server.end();
  return { rate: count / SECONDS, micros: time / count / 1000 };
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const results = WAYS.map(() => []);
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [at, way] of WAYS.entries()) results[at].push(await measure(way));
}
await chrome.end();

// What else runs on the machine makes a request dearer, never cheaper: so beside the median stands the least.
console.log(`${ROUNDS} rounds of ${SECONDS} s each: median rate, median and least time of the loop's thread`);
const least = (list) => Math.min(...list);
const of = (at, name, choose = median) => choose(results[at].map((one) => one[name]));
const percent = (part) => `${part < 1 ? "-" : "+"}${Math.abs((part - 1) * 100).toFixed(1)} %`;
for (const [at, [name]] of WAYS.entries()) {
  const [rate, micros, best] = [of(at, "rate"), of(at, "micros"), of(at, "micros", least)];
  const cells = [name.padEnd(30), `${Math.round(rate)} a second`.padStart(16), percent(rate / of(0, "rate")).padStart(9), `${micros.toFixed(2)} µs a request`.padStart(20), percent(micros / of(0, "micros")).padStart(9), `${best.toFixed(2)} µs`.padStart(9), percent(best / of(0, "micros", least)).padStart(9)];
  console.log(cells.join("  "));
}
