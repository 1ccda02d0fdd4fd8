// A live program that is attached to: a server under load, the callback that blocks it, and a pause that
// stops the picture and not the program.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, shot, start } from "./program.mjs";

/** The example server with the feature `inspect`. */
const path = process.env.SERVER;
const skip = path ? false : "SERVER names no program";

let program;
let own; // Where it serves its own clients.
let view; // Where it is looked at.
let chrome;
let load;

/** Which of two addresses is that of the view. */
async function isView(url) {
  const response = await fetch(`${url}/api/about`);
  const text = await response.text();
  return response.ok && text.includes('"mode":"live"');
}

/** A server, and where it is looked at: at this port, or a free one. */
async function serve(port = 0, options = []) {
  const program = await start(path, ["--addr", "127.0.0.1:0", ...options], { WINDLASS_INSPECT: `127.0.0.1:${port}` }, 2);
  const [first, second] = program.urls.map((url) => new URL(url).origin);
  const [view, own] = (await isView(first)) ? [first, second] : [second, first];
  return { program, view, own };
}

before(async () => {
  if (skip) return;
  ({ program, view, own } = await serve());
  // It has a worker before anybody looks on.
  await fetch(`${own}/slow?n=20`);
  chrome = await browser();
  let over = false;
  const ask = async () => {
    // A connection that is closed just then is made anew.
    while (!over) await fetch(`${own}/fast`).then((response) => response.text()).catch(() => null);
  };
  const clients = [ask(), ask()];
  load = async () => {
    over = true;
    await Promise.all(clients);
  };
});
after(async () => {
  await chrome?.end();
  await load?.();
  program?.end();
});

/** A page that shows the program, and a picture that has been taken of it. */
async function attach(options) {
  const page = await chrome.page(options);
  await page.goto(`${view}/`);
  await page.waitForFunction(() => document.querySelector(".ledger .what") && document.querySelector(".strip").textContent.includes("Live"));
  return page;
}

/** A page that shows a program that sleeps. */
async function attachTo(address) {
  const page = await chrome.page();
  await page.goto(`${address}/`);
  await page.waitForFunction(() => document.querySelector(".strip")?.textContent.includes("Live"));
  return page;
}

const text = (page, selector) => page.textContent(selector);

test("a server under load is watched: its lanes fill, and its iterations go on", { skip }, async () => {
  const page = await attach();
  const moment = () => page.$eval(".scrub input", (range) => Number(range.max));
  const before = await moment();
  await page.waitForFunction((least) => Number(document.querySelector(".scrub input").max) > least, before);
  assert.ok((await page.$$(".lanes .box")).length > 3);
  assert.match(await text(page, ".panel-queues"), /TCP listener/);
  await shot(page, "attached");
  await page.close();
});

const names = (page) => page.$$eval(".lane-names text", (all) => all.map((one) => one.textContent));

test("a worker that was there before anybody looked on stands below who started it", { skip }, async () => {
  const page = await attach();
  await page.waitForFunction(() => document.querySelectorAll(".lane-names text").length > 1);
  const [first, second] = await names(page);
  assert.deepEqual([first, second], ["main", "└ worker 1"]);
  await page.close();
});

test("why now: the statement that decided is told of a live program too, in words", { skip }, async () => {
  const page = await attach();
  await page.keyboard.press(" ");
  // One after the other, from the newest on.
  const keys = await page.$$eval('[data-key^="why-"]', (all) => all.slice(-12).map((one) => one.dataset.key));
  for (const key of keys) await page.click(`[data-key="${key}"]`);
  const reasons = await page.$$eval(".ledger .why", (all) => all.map((one) => one.textContent));
  assert.equal(reasons.length, keys.length);
  assert.ok(reasons.some((reason) => /^O-\d+: [A-Z]\w+ .{20}/.test(reason)), reasons.join("\n"));
  for (const reason of reasons) assert.match(reason, /^O-\d+: |^No statement of the guide decides/);
  await page.close();
});

test("a button of the ledger can be pressed while the picture moves", { skip }, async () => {
  const page = await attach();
  const moment = () => page.$eval(".scrub input", (range) => Number(range.max));
  // Long enough for a picture more; a machine that is held up may make it too long.
  for (let times = 0; times < 5 && !(await page.isVisible(".ledger .why")); times += 1) {
    const place = await page.evaluate(() => [...document.querySelectorAll('[data-key^="why-"]')].at(-1).getBoundingClientRect().toJSON());
    await page.mouse.click(place.x + place.width / 2, place.y + place.height / 2, { delay: 300 });
  }
  await page.waitForSelector(".ledger .why");
  const before = await moment();
  await page.waitForFunction((least) => Number(document.querySelector(".scrub input").max) !== least, before);
  await page.close();
});

test("the picture stands still while a button is pressed, for a second, whoever has kept the end of the press", { skip }, async () => {
  const quiet = await serve();
  const page = await attachTo(quiet.view);
  await page.evaluate(async () => {
    window.page = (await import("/page/app.js")).context;
    addEventListener("pointerdown", ({ timeStamp }) => (window.began = timeStamp));
  });
  /** How long something that comes while a button is down waits to be shown. */
  const waits = async (button) => {
    await page.mouse.down({ button });
    await page.evaluate(() => window.page.live.came([{ what: "iteration", at: 0, track: 1, number: 1 }]));
    await page.waitForFunction(() => window.page.live.batch.length === 0);
    return page.evaluate(() => performance.now() - window.began);
  };
  await page.hover(".strip");
  assert.ok((await waits("left")) >= 1000);
  await page.mouse.up();
  await waits("right"); // A menu keeps the end of it.
  assert.equal(await page.evaluate(() => window.page.live.pressed), null);
  await page.close();
  await quiet.program.end("SIGKILL");
});

test("what was held back below a finger that then pauses the picture is counted", { skip }, async () => {
  const page = await attach();
  const [held, missed, left] = await page.evaluate(async () => {
    const { context } = await import("/page/app.js");
    const { live } = context;
    dispatchEvent(new PointerEvent("pointerdown", { button: 0 }));
    live.came([{ what: "iteration", at: 0, track: 1, number: 1 }]);
    const { length } = live.batch;
    context.go(0);
    return [length, live.missed, live.batch.length];
  });
  assert.ok(held > 0);
  assert.deepEqual([missed, left], [held, 0]);
  await page.close();
});

test("a pause stops the picture, says so, and stops nothing else", { skip }, async () => {
  const page = await attach();
  await page.keyboard.press(" ");
  await page.waitForFunction(() => document.querySelector(".strip").textContent.includes("The program goes on"));
  const picture = () => page.$$eval(".panel-wheel, .panel-queues, .panel-ledger, .panel-lanes", (all) => all.map((one) => one.textContent));
  const before = await picture();
  // The program serves its clients, and what it does meanwhile is counted.
  for (let times = 0; times < 20; times += 1) assert.ok((await fetch(`${own}/fast`)).ok);
  await page.waitForFunction(() => /: [1-9]\d* events since then/.test(document.querySelector(".strip").textContent));
  assert.deepEqual(await picture(), before);
  // A step back and forward again is the same picture too.
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => document.querySelector(".scrub input").value !== document.querySelector(".scrub input").max);
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.querySelector(".scrub input").value === document.querySelector(".scrub input").max);
  assert.deepEqual(await picture(), before);
  await page.keyboard.press(" ");
  await page.waitForFunction(() => document.querySelector(".strip").textContent.includes("Live"));
  await page.close();
});

test("who scrolls back in the ledger of a paused picture stays there", { skip }, async () => {
  const page = await attach();
  await page.waitForFunction(() => document.querySelectorAll("[data-row]").length > 100);
  await page.keyboard.press(" ");
  await page.waitForFunction(() => document.querySelector(".strip").textContent.includes("The program goes on"));
  const box = page.locator(".scrolls", { has: page.locator(".ledger") });
  await box.evaluate((one) => (one.scrollTop = 0));
  const missed = () => page.$eval(".strip", (one) => Number(/: (\d+) events? since then/.exec(one.textContent)[1]));
  const before = await missed();
  await page.waitForFunction((least) => Number(/: (\d+) events? since then/.exec(document.querySelector(".strip").textContent)[1]) > least, before);
  assert.equal(await box.evaluate((one) => one.scrollTop), 0);
  await page.close();
});

test("the callback that blocks the loop is named while it does, with its line and for how long", { skip }, async () => {
  const page = await attach();
  const blocking = fetch(`${own}/slow-inline?n=43`).then((response) => response.text());
  await page.waitForFunction(() => /is blocked now, by TCP stream at connection\.rs:\d+, in phase poll, for/.test(document.querySelector(".strip .blocked").textContent));
  await page.keyboard.press("2");
  await page.waitForFunction(() => document.querySelector(".live .blocked"));
  await shot(page, "blocked");
  await blocking;
  await page.waitForFunction(() => document.querySelector(".live .well"), null, { timeout: 60_000 });
  assert.match(await text(page, ".live"), /connection\.rs/);
  await page.close();
});

test("the figures tell of each loop, of what took long, of the pool's threads and its queues", { skip }, async () => {
  const page = await attach();
  await page.keyboard.press("2");
  let over = false;
  const slow = (async () => {
    while (!over) await fetch(`${own}/slow-pool?n=34`).then((response) => response.text());
  })();
  const tables = async () => Object.fromEntries(await page.$$eval(".figures", (all) => all.map((one) => [one.querySelector("h2").textContent, one.querySelector("tbody").innerText])));
  await page.waitForFunction(() => [...document.querySelectorAll(".figures")].some((one) => one.textContent.startsWith("Pool threads") && /windlass-pool-\d+pool job .*connection\.rs:\d+/.test(one.textContent)));
  over = true;
  await slow;
  await page.waitForFunction(() => document.querySelectorAll(".histogram rect").length > 2);
  const told = await tables();
  // So much of its time, so many iterations, so much in the mailbox, and p50, p99 and max, twice.
  assert.match(told.Loops, /main\s+\d+ %\s+\d+\s+\d+\s+[\d.]+ \S+ \/ [\d.]+ \S+ \/ [\d.]+ \S+\s+[\d.]+ \S+ \//);
  assert.match(told.Loops, /worker 1\s+\d+ %/);
  assert.match(told["The longest callbacks of the last minute"], /[\d.]+ m?s\s+TCP stream\s+poll\s+\S*connection\.rs:\d+/);
  assert.match(told["Pool threads"], /windlass-pool-\d+\s/);
  assert.match(told["Queues of the pools"], /^\d+\s+\d+\s+\d+/);
  await page.close();
});

test("at 400 pixels no screen of a live program is wider than that", { skip }, async () => {
  const page = await attach({ viewport: { width: 400, height: 800 } });
  for (const key of ["1", "2", "3"]) {
    await page.keyboard.press(key);
    await page.waitForFunction(() => document.querySelector("main > *:not(.empty)"));
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 400, key);
  }
  await page.close();
});

test("two who look on see the same program, and one goes on when the other has gone", { skip }, async () => {
  const pages = [await attach(), await attach()];
  await pages[0].close();
  const moment = () => pages[1].$eval(".scrub input", (range) => Number(range.max));
  const before = await moment();
  await pages[1].waitForFunction((least) => Number(document.querySelector(".scrub input").max) > least, before);
  await pages[1].close();
});

test("a hundred workers have their rows, and the page still answers", { skip }, async () => {
  const many = await serve(0, ["--workers", "100"]);
  // All at once, so that each has a worker of its own.
  await Promise.all(Array.from({ length: 100 }, () => fetch(`${many.own}/slow?n=32`).then((response) => response.text())));
  const page = await attachTo(many.view);
  await page.waitForFunction(() => document.querySelectorAll(".lane-names text").length > 30);
  const workers = (await names(page)).filter((name) => name.includes("worker"));
  assert.ok(workers.every((name) => name.startsWith("└ ")), workers.join());
  await page.keyboard.press("2");
  await page.waitForFunction(() => document.querySelectorAll(".figures tbody tr").length > 30);
  await page.close();
  await many.program.end("SIGKILL");
});

test("a program that ends is said to have ended, and is found again when it was started again", { skip }, async () => {
  const first = await serve();
  const { port } = new URL(first.view);
  const page = await attachTo(first.view);
  const strip = (words) => page.waitForFunction((text) => document.querySelector(".strip")?.textContent.includes(text), words);
  // One that is killed says nothing.
  await first.program.end("SIGKILL");
  await strip("There is no connection to the program");
  const second = await serve(port);
  await strip("Live");
  await second.program.end();
  await strip("The program has ended");
  await page.click('[data-key="look again"]');
  await strip("Nobody answers there");
  const third = await serve(port);
  await page.click('[data-key="look again"]');
  await strip("Live");
  await third.program.end("SIGKILL");
  await page.close();
});

test("no script of the page has failed", { skip }, () => assert.deepEqual(chrome.errors, []));
