// A live server under load, attached to: seen, paused, blocked and named, and not harmed by who asks.

import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { browser, shot, start } from "./program.mjs";

const SERVER = process.env.SERVER;
const options = { skip: SERVER ? false : "SERVER names no program with the feature `inspect`" };

let server;
let view;
let chrome;
let isOver = false;

/** Asks for a small page again and again. */
async function load() {
  while (!isOver) await fetch(`${server.url}/fast`).then((answer) => answer.text(), () => {});
}

before(async () => {
  if (!SERVER) return;
  server = await start(SERVER, ["--addr", "127.0.0.1:0"], { WINDLASS_INSPECT: "127.0.0.1:0" }, 2);
  // It says where to look before it says where it serves.
  const [first, second] = server.urls;
  const about = await fetch(`${first}/api/about`).then((answer) => (answer.ok ? answer.json() : null), () => null);
  [view, server.url] = about?.mode === "live" ? [first, second] : [second, first];
  chrome = await browser();
  for (let client = 0; client < 4; client += 1) load();
});
after(async () => {
  isOver = true;
  await chrome?.end();
  server?.end();
});

const text = (page, selector) => page.locator(selector).first().textContent();

test("it is attached to, moves, and a pause stops the picture and not the program", options, async () => {
  const page = await chrome.page();
  await page.goto(`${view}/#watch`);
  await page.waitForFunction(() => /Live: [1-9]/.test(document.querySelector(".strip")?.textContent ?? ""));
  await page.click(".strip button");
  await page.waitForFunction(() => /Paused: .*The program goes on/.test(document.querySelector(".strip").textContent));
  const paused = await text(page, ".panel-wheel");
  const answer = await fetch(`${server.url}/fast`);
  assert.equal(await answer.text(), "fast\n");
  await page.waitForFunction(() => /goes on: [1-9]\d* event/.test(document.querySelector(".strip").textContent));
  assert.equal(await text(page, ".panel-wheel"), paused, "the picture stands still");
  await page.close();
});

test("a loop that is blocked by /slow-inline is named while it is", options, async () => {
  const page = await chrome.page();
  await page.goto(`${view}/#live`);
  await page.waitForSelector(".live table");
  const slow = fetch(`${server.url}/slow-inline?n=45`).then((answer) => answer.text());
  await page.waitForFunction(() => /is blocked now, by .*for /.test(document.querySelector(".live")?.textContent ?? ""));
  await shot(page, "live");
  assert.match(await slow, /^fib\(45\) = /);
  await page.waitForFunction(() => /No loop is blocked now/.test(document.querySelector(".live").textContent));
  await page.waitForFunction(() => /connection\.rs/.test(document.querySelector(".live").textContent));
  await page.close();
});

/** The status of a request with these headers. */
const status = (path, headers, method = "GET") =>
  new Promise((resolve, reject) => {
    const own = request(`${view}${path}`, { method, headers }, (answer) => {
      answer.destroy();
      resolve(answer.statusCode);
    });
    own.on("error", reject);
    own.end();
  });

test("who is no page of its own is refused, and nonsense harms nothing", options, async () => {
  assert.equal(await status("/api/summary", { Origin: "http://example.com" }), 403);
  assert.equal(await status("/api/events", { Origin: "null" }), 403);
  assert.equal(await status("/", { Host: "example.com" }), 403);
  assert.equal(await status("/page/../../Cargo.toml", {}), 404);
  assert.ok([400, 404, 405, 501].includes(await status("/api/about", {}, "POST")));
  const { hostname, port } = new URL(view);
  for (let client = 0; client < 100; client += 1) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(Buffer.alloc(client * 1000, client));
    setTimeout(() => socket.destroy(), 500);
  }
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal((await (await fetch(`${view}/api/about`)).json()).mode, "live");
  assert.equal(await (await fetch(`${server.url}/fast`)).text(), "fast\n");
});

test("no script has failed on the way", options, () => assert.deepEqual(chrome.errors, []));
