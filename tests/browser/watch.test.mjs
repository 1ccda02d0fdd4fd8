// Screen 2 in detail: the threads and their arrows, the order and the time, the legend, what is said of
// what waits.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, shot, start } from "./program.mjs";

let study;
let chrome;

before(async () => {
  study = await start(process.env.STUDY ?? "target/release/examples/study", ["--addr", "127.0.0.1:0"]);
  chrome = await browser();
});
after(async () => {
  await chrome?.end();
  study?.end();
});

/** A lesson that runs, at its beginning. */
async function watch(lesson, options) {
  const page = await chrome.page(options);
  await page.goto(`${study.url}/#start/${lesson}`);
  await page.click('[data-key="watch"]');
  await page.waitForFunction(() => /event 0 of [1-9]/.test(document.querySelector(".moment")?.textContent));
  return page;
}

/** Presses a key so often, and waits until what it has changed is drawn. */
async function press(page, key, times = 1) {
  for (let at = 0; at < times; at += 1) await page.keyboard.press(key);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

const texts = (page, selector) => page.$$eval(selector, (all) => all.map((one) => one.textContent));
const text = (page, selector) => page.textContent(selector);

test("each thread has a row, workers below who started them, with arrows from a message to its delivery", async () => {
  const page = await watch("question-and-answer");
  await press(page, "End");
  assert.deepEqual(await texts(page, ".lane-names text"), ["main", "└ worker 1"]);
  assert.ok((await page.$$(".lanes .arrow-post")).length >= 2, "there and back");
  assert.ok((await page.$$(".lanes .sort-sleep")).length > 0);
  assert.ok((await texts(page, ".lane-signs li")).some((sign) => sign.includes("message")));
  // Colour is never the only sign.
  assert.ok((await texts(page, ".lanes .box > text")).every((name) => name !== ""));
  await page.close();
});

test("a job is led from where it is asked for to its thread, and to its callback", async () => {
  const page = await watch("one-thread");
  await press(page, "End");
  assert.deepEqual(await texts(page, ".lane-names text"), ["main", "pool threads"]);
  const jobs = (await page.$$(".lanes .box.sort-job")).length;
  assert.equal((await page.$$(".lanes .arrow-job")).length, 2 * jobs);
  await page.close();
});

test("from left to right goes the order, or the time if that is asked for", async () => {
  const page = await watch("in-a-timer");
  await press(page, "End");
  const widths = () => page.$$eval(".lanes .box", (all) => all.map((one) => [one.classList.contains("sort-sleep"), one.querySelector("rect").getBBox().width]));
  const longest = async () => Math.max(...(await widths()).filter(([sleeps]) => sleeps).map(([, width]) => width));
  const before = await widths();
  const columns = await longest();
  // 20 of its 21 ms it sleeps at one time.
  await press(page, "t");
  const room = await page.$eval(".lanes-scroll", (one) => one.clientWidth);
  assert.ok((await longest()) > 0.9 * room && columns < 0.5 * room);
  assert.ok((await widths()).filter(([sleeps]) => !sleeps).every(([, width]) => width < 5), "in virtual time a callback takes none");
  assert.match((await texts(page, ".lanes .when")).join(), /^0 ms,.*18 ms/);
  await page.selectOption(".lanes-head select", "order");
  assert.deepEqual(await widths(), before);
  await page.close();
});

test("the wheel says what is left now, what is for later, until when poll sleeps, and what keeps the loop alive", async () => {
  const page = await watch("in-a-timer");
  const until = async (words) => {
    for (let steps = 0; steps < 60; steps += 1) {
      if ((await text(page, ".wheel")).includes(words)) return;
      await press(page, "ArrowRight");
    }
    assert.fail(`the wheel says “${words}”`);
  };
  await until("sleeps until 20 ms at most");
  assert.match(await text(page, ".phase-timers"), /0 left now1 for later/);
  assert.match(await text(page, ".wheel"), /kept alive by1 timer/);
  await until("it is 20 ms");
  await until("timers that are due1 left now");
  await press(page, "End");
  assert.match(await text(page, ".wheel"), /the loop has ended/);
  await page.close();
});

test("a timer whose time has come while something else runs is called overdue", async () => {
  const page = await watch("starved");
  const overdue = async () => (await text(page, ".panel-queues")).includes("overdue");
  assert.ok(!(await overdue()));
  for (let steps = 0; steps < 60 && !(await overdue()); steps += 1) await press(page, "ArrowRight");
  assert.match(await text(page, ".panel-queues"), /due at 1 ms overdue/);
  await press(page, "ArrowRight", 4);
  await shot(page, "watch");
  await page.close();
});

test("no line of what runs a lesson is shown as one of its own", async () => {
  const page = await watch("question-and-answer");
  await press(page, "End");
  await press(page, "ArrowLeft", 10);
  assert.doesNotMatch(await text(page, ".watch"), /\.rs:/);
  await page.close();
});

test("at the first visit there is a hint, and the legend says what each sign means", async () => {
  const page = await watch("starved");
  assert.ok(await page.isVisible(".hint"));
  await page.keyboard.press("l");
  await page.waitForSelector(".legend-page[open]");
  const signs = await text(page, ".legend-page");
  for (const sign of ["left now", "for later", "drain", "armed", "ti timers", "zz sleep", "kept alive by"]) assert.ok(signs.includes(sign), sign);
  // What is pressed there is for the legend alone.
  const moment = await text(page, ".moment");
  await page.keyboard.press("ArrowRight");
  assert.equal(await text(page, ".moment"), moment);
  await page.keyboard.press("Escape");
  await page.waitForSelector(".legend-page[open]", { state: "hidden" });
  assert.ok(!(await page.isVisible(".hint")));
  await page.reload();
  await page.waitForSelector(".watch");
  assert.ok(!(await page.isVisible(".hint")));
  await page.close();
});

test("no script has failed on the way", () => assert.deepEqual(chrome.errors, []));
