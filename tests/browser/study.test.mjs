// The screens of examples/study, walked through as somebody would who studies.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, shot, start } from "./program.mjs";

const { MINI_NODE } = process.env;
const withNode = { skip: MINI_NODE ? false : "MINI_NODE names no mini_node" };

let study;
let chrome;

before(async () => {
  const node = MINI_NODE ? ["--mini-node", MINI_NODE] : [];
  study = await start(process.env.STUDY ?? "target/release/examples/study", ["--addr", "127.0.0.1:0", ...node]);
  chrome = await browser();
});
after(async () => {
  await chrome?.end();
  study?.end();
});

/** Another page of the study each time, with nothing kept. */
async function open(hash) {
  const page = await chrome.page();
  await page.goto(`${study.url}/#${hash}`);
  return page;
}

/** What the server says of a program: its events. */
const run = (program) => runAny({ language: "scenario", program });

async function runAny(asked) {
  const body = JSON.stringify(asked);
  const response = await fetch(`${study.url}/api/run`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
}

const lessons = async () => (await (await fetch(`${study.url}/api/lessons`)).json()).flatMap((lesson) => lesson.programs);

/** What the main loop has said, in order. */
function traceOf(events) {
  const began = new Map(events.filter((event) => event.what === "began").map((event) => [event.id, event.track]));
  const main = events.find((event) => event.what === "began").track;
  return events.filter((event) => event.what === "said" && began.get(event.id) === main).map((event) => event.text);
}

/** What was changed is drawn in the next frame. */
const frames = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

const panels = (page) => page.$$eval(".panel .panel-body", (all) => all.map((one) => one.textContent));

test("the frames of ten lessons are those of their traces, and a step back is the picture before", async () => {
  const page = await open("start/script-first");
  // What a worker says is printed too, in an order of its own.
  const programs = (await lessons()).filter(({ race, scenario }) => !race && !JSON.stringify(scenario).includes('"worker"'));
  const ten = programs.filter((_, at) => at % 2 === 0).slice(0, 10);
  assert.equal(ten.length, 10);
  for (const program of ten) {
    const expected = traceOf(await run(program.scenario));
    await page.goto(`${study.url}/#start/${program.name}`);
    await page.waitForFunction((title) => document.querySelector(".work h1")?.textContent === title, program.title);
    await page.click('[data-key="watch"]');
    await page.waitForSelector(".watch");
    const press = async (key, times) => {
      for (let at = 0; at < times; at += 1) await page.keyboard.press(key);
      await frames(page);
    };
    await press("ArrowRight", 4);
    const before = await panels(page);
    await press("ArrowRight", 3);
    assert.notDeepEqual(await panels(page), before, `${program.name}: steps forward`);
    await press("ArrowLeft", 3);
    assert.deepEqual(await panels(page), before, `${program.name}: as many back`);
    let printed = [];
    for (let step = 0; step < 400 && printed.length < expected.length; step += 1) {
      await press("ArrowRight", 1);
      const now = await page.$$eval(".panel-now .said li", (all) => all.map((one) => one.textContent));
      assert.deepEqual(now.slice(0, printed.length), printed, `${program.name}: what was printed stays`);
      printed = now.filter((text) => expected.includes(text));
    }
    assert.deepEqual(printed, expected, program.name);
  }
  await page.close();
});

/** Puts the cards into this order. */
async function order(page, labels) {
  await page.waitForSelector(".cards-left .card-button");
  for (const label of labels) await page.locator(".cards-left .card-button", { has: page.locator(`code:text-is("${label}")`) }).first().click();
}

const verdict = (page) => page.locator(".predict-result h2").textContent();

test("a whole order is judged, and the run stops at the first difference with what waited then", async () => {
  const page = await open("predict/starved");
  await order(page, ["n1", "m1", "n2", "n3", "timer"]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  const text = await page.locator(".predict-result").textContent();
  assert.match(text, /Up to callback 1 it is right\. Then you said m1; what comes is n2\./);
  assert.match(text, /O-11/);
  assert.match(text, /timers of 1 ms/, "the queues as they were");
  await shot(page, "predict");
  await page.click('[data-key="again"]');
  for (let at = 0; at < 5; at += 1) await page.locator(".cards-mine .card-button").first().click();
  await order(page, ["n1", "n2", "n3", "m1", "timer"]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /Right/);
  assert.match(await page.locator(".predict-score").textContent(), /O-11/);
  await page.close();
});

test("cards are put in order by keys alone", async () => {
  const page = await open("predict/after-each");
  await page.waitForSelector(".cards-left .card-button");
  for (let at = 0; at < 5; at += 1) {
    await page.locator(".cards-left .card-button").first().focus();
    await page.keyboard.press("ArrowRight");
  }
  const mine = () => page.$$eval(".cards-mine .card-button code", (all) => all.map((one) => one.textContent));
  const first = await mine();
  assert.equal(first.length, 5);
  await page.locator(".cards-mine .card-button").first().focus();
  await page.keyboard.press("Shift+ArrowDown");
  assert.deepEqual(await mine(), [first[1], first[0], ...first.slice(2)]);
  await page.close();
});

test("of a race several orders are right, and it says so", async () => {
  for (const guess of [["immediate", "timer"], ["timer", "immediate"]]) {
    const page = await open("predict/timer-or-immediate");
    await order(page, guess);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/, guess.join());
    assert.match(await page.locator(".predict-result").textContent(), /race: several orders are right/);
    await page.close();
  }
});

/** Chooses a mode. */
const mode = (page, key) => page.locator(`[data-key="tab ${key}"]`).click();
const answer = (page, text) => page.locator(".answers button.answer", { hasText: text }).first().click();

test("the next callback, the phase, the sleep and the end are judged, each right and wrong", async () => {
  const page = await open("predict/in-a-timer");
  await mode(page, "next");
  for (const text of ["first", "immediate", "timer", "none: it ends"]) await answer(page, text);
  assert.match(await verdict(page), /Right/);
  await page.click('[data-key="again"]');
  await answer(page, "first");
  await answer(page, "timer");
  assert.match(await verdict(page), /stops here/);
  assert.match(await page.locator(".predict-result").textContent(), /O-29/);

  await mode(page, "phase");
  for (const text of ["timers", "check", "timers"]) await answer(page, text);
  assert.match(await verdict(page), /Right/);
  await page.click('[data-key="again"]');
  await answer(page, "close");
  assert.match(await verdict(page), /stops here/);

  await mode(page, "sleep");
  await page.locator(".answers input").fill("20");
  await page.locator(".answers input").press("Enter");
  await page.waitForFunction(() => /Question 2/.test(document.querySelector(".predict-work").textContent));
  await answer(page, "it does not sleep");
  await page.locator(".answers input").fill("999");
  await page.locator(".answers input").press("Enter");
  assert.match(await verdict(page), /stops here/);

  await mode(page, "ends");
  await answer(page, "yes");
  await answer(page, "timer");
  assert.match(await verdict(page), /Right/);
  await page.click('[data-key="again"]');
  await answer(page, "no");
  assert.match(await verdict(page), /stops here/);
  await page.close();
});

test("a program that was predicted right twice is marked so", async () => {
  const page = await open("predict/after-each");
  for (let time = 0; time < 2; time += 1) {
    if (time > 0) await page.click('[data-key="again"]');
    const left = await page.locator(".cards-left .card-button").count();
    if (left > 0 || time === 0) await order(page, ["i1", "n1", "m1", "i2", "n2"]);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/);
  }
  await page.goto(`${study.url}/#start/after-each`);
  await page.waitForSelector('.lessons [data-key="after-each"]');
  assert.match(await page.locator('.lessons [data-key="after-each"]').textContent(), /●.*predicted right twice/);
  await page.waitForSelector(".editor .block");
  await shot(page, "start");
  await page.close();
});

test("what if: the first callback that differs is marked in both, and is linked", async () => {
  const page = await open("whatif/round-and-round");
  await page.waitForSelector(".both .differs");
  assert.equal(await page.locator(".both .differs").count(), 2);
  await shot(page, "whatif");
  await page.click('[data-key="watch other"]');
  await page.waitForSelector(".watch");
  await page.close();
});

test("a link restores program, place and prediction, and an export opens without a server", async () => {
  const page = await open("start/starved");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="watch"]');
  await page.waitForSelector(".watch");
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(200);
  const there = await panels(page);
  await page.goto(`${study.url}/#share`);
  await page.click('[data-key="link watch"]');
  await page.waitForFunction(() => document.querySelector(".link").value !== "");
  const link = await page.inputValue(".link");
  assert.ok(link.includes("#share/open."), "all stands in the fragment");
  await shot(page, "share");

  const other = await chrome.page();
  await other.goto(link);
  await other.waitForSelector(".watch");
  await other.waitForFunction(() => location.hash === "#watch");
  await other.waitForTimeout(300);
  assert.deepEqual(await panels(other), there);
  await other.close();

  for (const [key, check] of [
    ["lines", (text) => text.trim().split("\n").forEach((line) => JSON.parse(line))],
    ["perfetto", (text) => assert.ok(JSON.parse(text).traceEvents.length > 5)],
    ["svg", (text) => assert.match(text, /^<svg [^]*n1[^]*<\/svg>\s*$/)],
    ["rust", (text) => assert.match(text, /#\[test\]/)],
    ["js main.js", (text) => assert.match(text, /process\.nextTick/)],
  ]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`[data-key="export ${key}"]`)]);
    check(readFileSync(await download.path(), "utf8"));
  }
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click('[data-key="export page"]')]);
  const file = join(tmpdir(), `windlass-${process.pid}.html`);
  writeFileSync(file, readFileSync(await saved.path()));
  const offline = await chrome.page({ offline: true });
  await offline.goto(`file://${file}`);
  await offline.waitForSelector(".watch");
  for (let step = 0; step < 12; step += 1) await offline.keyboard.press("ArrowRight");
  await offline.waitForTimeout(300);
  assert.match(await offline.locator(".watch").textContent(), /n1/);
  await offline.close();
  await page.close();
});

test("each lesson prints in JavaScript what it prints as operations", withNode, async () => {
  for (const { name, scenario, files } of await lessons()) {
    const pool = scenario.pool ? { pool: scenario.pool } : {};
    const events = await runAny({ language: "javascript", files, ...pool });
    assert.deepEqual(events.filter((event) => event.what === "error"), [], name);
    assert.deepEqual(traceOf(events), traceOf(await run(scenario)), name);
  }
});

test("an error of a script is shown at its line, and its output beside the editor", withNode, async () => {
  const page = await open("start/script-first");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.fill(".editor textarea", "console.log('one');\n\nthrow new Error('wrong');\n");
  await page.click('[data-key="run"]');
  await page.waitForSelector(".output .bad");
  assert.match(await page.locator(".output").textContent(), /wrong/);
  assert.match(await page.locator(".output .printed").textContent(), /one/);
  assert.match(await page.locator(".numbers .bad").textContent(), /3/);
  await page.close();
});

test("an error is named, a damaged link too, and nothing else is lost", async () => {
  const page = await open("share/open.nonsense");
  await page.waitForSelector('[role="alert"]');
  assert.match(await page.locator('[role="alert"]').first().textContent(), /damaged/);
  await page.goto(`${study.url}/#start/no-such-program`);
  await page.waitForSelector('.work [role="alert"]');
  await page.close();
});

test("it can be read at 400 pixels: nothing is wider than the screen", async () => {
  for (const hash of ["start/starved", "predict/starved", "whatif/starved", "share"]) {
    const page = await chrome.page({ viewport: { width: 400, height: 800 } });
    await page.goto(`${study.url}/#${hash}`);
    await page.waitForTimeout(1500);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 400, `${hash}: ${width}`);
    await page.close();
  }
});

test("no script has failed on the way", () => assert.deepEqual(chrome.errors, []));
