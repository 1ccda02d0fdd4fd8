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

test("each kind of step has a button and a key, which lead to the same moment, there and back", async () => {
  const kinds = [["Step", "ArrowRight", "ArrowLeft"], ["Callback", "c"], ["Phase", "f"], ["Iteration", "i"], ["Drain", "d"], ["Wake by another thread", "w"]];
  for (const [name, forward, backward = `Shift+${forward.toUpperCase()}`] of kinds) {
    const page = await watch(name === "Drain" ? "after-each" : "a-worker");
    const moments = [];
    for (const way of ["key", "button"]) {
      const go = async (key, which) => {
        if (way === "key") await page.keyboard.press(key);
        else await page.locator(`.pair[aria-label="${name}"] button`).nth(which).click();
        await press(page, "Shift"); // What was changed is drawn.
        moments.push(await text(page, ".moment"));
      };
      await press(page, "Home");
      await go(forward, 1);
      await go(forward, 1);
      await go(backward, 0);
    }
    const [first, second, back] = moments;
    assert.notEqual(first, second, name);
    assert.equal(back, first, name);
    assert.deepEqual(moments.slice(3), moments.slice(0, 3), name);
    await page.close();
  }
});

test("it plays at a speed, and stops at a breakpoint on a label, a phase or an iteration", async () => {
  const page = await watch("in-a-timer");
  for (let times = 0; times < 6; times += 1) await page.keyboard.press("+");
  assert.equal(await text(page, ".speed"), "50 a second");
  for (const [what, value, happened] of [["label", "immediate", /immediate “immediate”/], ["phase", "check", /^Phase check/], ["iteration", "1", /^Iteration 1 begins/]]) {
    await press(page, "Home");
    await page.keyboard.press("b");
    await page.selectOption(".breakpoints select", what);
    await page.fill(".breakpoints input", value);
    await page.keyboard.press("Enter");
    await page.click(".play");
    await page.waitForFunction(() => document.querySelector(".play").textContent === "Play ▶");
    assert.match(await text(page, ".happened"), happened);
    assert.doesNotMatch(await text(page, ".runs-now"), /The end/);
    await page.click('[data-key="break-0"]');
  }
  // Without one it plays to the end.
  await page.click(".play");
  await page.waitForFunction(() => /The end, at/.test(document.querySelector(".runs-now").textContent));
  await page.close();
});

test("before the first step all is there to be read, at 1,280 by 720", async () => {
  const page = await watch("in-a-timer");
  assert.ok(await page.isVisible(".hint"));
  assert.match(await text(page, ".happened"), /To begin, press/);
  const [needed, room] = await page.$eval(".panel-now .panel-body", (one) => [one.scrollHeight, one.clientHeight]);
  assert.ok(needed <= room, `${needed} in ${room}`);
  await page.close();
});

test("the newest callback is seen whole in the ledger, whatever room the threads have taken", async () => {
  const page = await watch("question-and-answer");
  await press(page, "End");
  const [row, panel] = await page.evaluate(() => [".panel-ledger tbody tr:last-child", ".panel-ledger"].map((one) => document.querySelector(one).getBoundingClientRect().bottom));
  assert.ok(row <= panel, `${row} in ${panel}`);
  await page.close();
});

test("a message leads to the callback that gets it", async () => {
  const page = await watch("question-and-answer");
  await press(page, "End");
  const ends = await page.$$eval(".lanes .arrow-post", (all) => all.map((one) => Number(/([\d.]+) [\d.]+$/.exec(one.getAttribute("d"))[1])));
  const boxes = await page.$$eval(".lanes .box.sort-poll rect:first-of-type", (all) => all.map((one) => Number(one.getAttribute("x"))));
  assert.ok(ends.length >= 3);
  for (const end of ends) assert.ok(boxes.some((left) => end >= left && end <= left + 4), `${end} in ${boxes}`);
  await page.close();
});

test("no script has failed on the way", () => assert.deepEqual(chrome.errors, []));
