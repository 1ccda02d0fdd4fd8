// The screens of examples/study, walked through as somebody would who studies.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { shot } from "./program.mjs";
import { answer, chrome, frames, lessons, link, mine, mode, open, openWithRun, order, panels, run, saved, study, traceOf, verdict, withNode } from "./study.mjs";

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

test("a whole order is judged, and the run stops at the first difference with what waited then", async () => {
  const page = await open("predict/starved");
  await order(page, ["n1", "m1", "n2", "n3", "timer"]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  await page.locator(".predict-result .queues").first().waitFor(); // Drawn in the next frame.
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

test("cards are put in order by keys alone, and by drag", async () => {
  const page = await open("predict/after-each");
  await page.waitForSelector(".cards-left .card-button");
  for (let at = 0; at < 5; at += 1) {
    await page.locator(".cards-left .card-button").first().focus();
    await page.keyboard.press("ArrowRight");
  }
  const first = await mine(page);
  assert.equal(first.length, 5);
  await page.locator(".cards-mine .card-button").first().focus();
  await page.keyboard.press("Shift+ArrowDown");
  assert.deepEqual(await mine(page), [first[1], first[0], ...first.slice(2)]);
  await page.locator(".cards-mine .card").last().dragTo(page.locator(".cards-mine .card").first());
  assert.deepEqual(await mine(page), [first[4], first[1], first[0], first[2], first[3]]);
  await page.locator(".cards-mine .card").first().dragTo(page.locator(".cards-left"));
  assert.deepEqual(await mine(page), [first[1], first[0], first[2], first[3]]);
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

test("of two workers each order is right that a machine can make, and whichever ends last", async () => {
  const [v, w] = [["V:hello", "V:exit(0)"], ["W:hello", "W:exit(0)"]];
  const mixed = [[...v, ...w], [...w, ...v], [v[0], w[0], v[1], w[1]], [v[0], w[0], w[1], v[1]], [w[0], v[0], w[1], v[1]], [w[0], v[0], v[1], w[1]]];
  const page = await open("predict/two-workers");
  for (const guess of mixed) {
    await order(page, guess);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/, guess.join());
    await page.click('[data-key="again"]');
  }
  await order(page, ["V:exit(0)", "V:hello", ...w]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  const result = page.locator(".predict-result");
  assert.match(await result.textContent(), /This run and \d+ simulated ones came in 6 orders, and yours is none of them/);
  assert.equal(await result.locator("h3", { hasText: "What waited then" }).count(), 1);
  for (const last of ["V:exit(0)", "W:exit(0)"]) {
    await mode(page, "phase");
    await mode(page, "ends");
    for (const text of ["yes", last]) await answer(page, text);
    assert.match(await verdict(page), /Right/, last);
  }
  await page.close();
});

test("a guess that goes further than this run, with another order, is not judged by this run", async () => {
  const { page, events } = await openWithRun("predict/two-workers");
  const actual = traceOf(events);
  // The other worker ends before the first one says anything; then comes what cannot.
  const [first, other] = actual[0] === "V:hello" ? ["V", "W"] : ["W", "V"];
  await order(page, [`${other}:hello`, `${other}:exit(0)`, `${first}:exit(0)`, `${first}:hello`]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  const result = page.locator(".predict-result");
  const text = await result.textContent();
  assert.ok(text.includes(`Up to callback 2 it is right. Then you said ${first}:exit(0); what comes is ${first}:hello.`), text);
  assert.ok(text.includes(`In this run another order came: ${actual.join(", ")}.`), text);
  // Neither its statements nor its moments are those of the guess.
  assert.equal(await result.locator(".statement").count(), 0);
  assert.equal(await result.locator("h3", { hasText: "What waited then" }).count(), 0);
  assert.equal(await page.locator(".predict-score tr").count(), 0);
  await page.close();
});

test("a race is one in JavaScript too, and of a script by hand it says that one run is known", withNode, async () => {
  for (const guess of [["immediate", "timer"], ["timer", "immediate"]]) {
    const page = await open("start/timer-or-immediate");
    await page.click('[data-key="tab javascript"]');
    await page.waitForSelector(".editor textarea");
    await page.click('[data-key="predict"]');
    await order(page, guess);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/, guess.join());
    await page.close();
  }
  const page = await open("start/timer-or-immediate");
  await page.click('[data-key="tab javascript"]');
  await page.locator(".editor textarea").fill("setTimeout(() => console.log('timer'), 0);\nsetImmediate(() => console.log('immediate'));\n");
  await page.click('[data-key="predict"]');
  await order(page, ["timer", "immediate"]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  assert.match(await page.locator(".predict-result").textContent(), /Of a script one run is known/);
  await page.close();
});

test("what comes first where a run stops still waits there, and what nobody has armed yet is said to be so", async () => {
  const page = await open("predict/how-long");
  await order(page, ["immediate", "t2", "t1"]);
  await page.click('[data-key="judge"]');
  const result = page.locator(".predict-result");
  assert.match(await result.textContent(), /First you said immediate; what comes is t1\.immediate cannot come yet: t1 arms it\./);
  assert.match(await result.locator(".queues").textContent(), /t1 due at 30 ms.*t2 due at 80 ms/);
  await page.close();
});

test("a wrong phase is told with the statement that lists the phases, or that says what the drain is", async () => {
  const page = await open("predict/after-each");
  await mode(page, "phase");
  await answer(page, "timers");
  assert.match(await page.locator(".predict-result .statement").textContent(), /^O-3 An iteration is: pending, idle, prepare, poll, check, close, timers/);
  await page.click('[data-key="again"]');
  await answer(page, "check");
  await answer(page, "check");
  assert.match(await page.locator(".predict-result .statement").textContent(), /^O-10 After every callback all ticks run/);
  await page.close();
});

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

test("whoever goes through tabs by the arrows has the focus on the one that is chosen", async () => {
  const chosen = () => page.evaluate(() => [document.activeElement.dataset.key, document.activeElement.ariaSelected]);
  const page = await open("predict/in-a-timer");
  await page.locator('[data-key="tab whole"]').focus();
  for (const [key, tab] of [["ArrowRight", "next"], ["ArrowRight", "phase"], ["ArrowLeft", "next"]]) {
    await page.keyboard.press(key);
    await frames(page);
    assert.deepEqual(await chosen(), [`tab ${tab}`, "true"]);
  }
  await page.goto(`${study.url}/#start/in-a-timer`);
  await page.locator('[data-key="tab scenario"]').focus();
  await page.keyboard.press("ArrowRight"); // It is translated first.
  await page.waitForFunction(() => document.activeElement.dataset.key === "tab javascript");
  assert.deepEqual(await chosen(), ["tab javascript", "true"]);
  await page.close();
});

test("a program that was predicted right twice is marked so", async () => {
  const page = await open("predict/after-each");
  for (let time = 0; time < 2; time += 1) {
    if (time > 0) await page.click('[data-key="again"]');
    await order(page, ["i1", "n1", "m1", "i2", "n2"]);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/);
    assert.ok(await page.locator('[data-key="judge"]').isDisabled(), "an order counts once");
  }
  await page.goto(`${study.url}/#start/after-each`);
  await page.waitForSelector('.lessons [data-key="after-each"]');
  assert.match(await page.locator('.lessons [data-key="after-each"]').textContent(), /●.*predicted right twice/);
  await page.waitForSelector(".editor .block");
  await shot(page, "start");
  await page.close();
});

test("what if: the first callback that differs is marked in both, and leads to both", async () => {
  const page = await open("whatif/round-and-round");
  await page.waitForSelector(".both .differs");
  assert.equal(await page.locator(".both .differs").count(), 2);
  await shot(page, "whatif");
  for (const [key, title] of [["watch one", "As it is"], ["watch other", "What if"]]) {
    await page.goto(`${study.url}/#whatif/round-and-round`);
    const row = page.locator(".both section", { has: page.locator("h2", { hasText: title }) }).locator(".differs code");
    const said = await row.textContent();
    await page.click(`[data-key="${key}"]`);
    await page.waitForFunction((text) => document.querySelector(".watch .panel-now")?.textContent.includes(text), said);
  }
  await page.close();
});

test("what if: each of four changes, on the order that the changed program has", async () => {
  const page = await open("start/script-first");
  for (const [name, title] of [
    ["round-and-round", "the tick n1 is a microtask"],
    ["in-a-timer", "the timer timer is an immediate"],
    ["one-thread", "the pool has 4 threads instead of 1"],
    ["how-long", "the script blocks for 20 ms at its end"],
  ]) {
    await page.goto(`${study.url}/#whatif/${name}`);
    await page.waitForFunction((text) => [...document.querySelectorAll("select option")].some((one) => one.textContent === text), title);
    await page.selectOption('[data-key="change"]', { label: title });
    await page.waitForFunction((text) => [...document.querySelectorAll(".both h2")].at(1)?.textContent === `What if ${text}?`, title);
    await page.waitForFunction(() => /same up to callback \d+|changes nothing/.test(document.querySelector('[role="status"]').textContent));
  }
  await page.close();
});

/** The lesson `starved`, watched up to its twelfth event. */
async function watched() {
  const page = await open("start/starved");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="watch"]');
  await page.waitForSelector(".watch");
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowRight");
  await frames(page);
  return page;
}

test("a link restores program and moment", async () => {
  const page = await watched();
  const there = await panels(page);
  const to = await link(page, "watch");
  assert.ok(to.includes("#share/open."), "all stands in the fragment");
  await shot(page, "share");
  const other = await chrome.page();
  await other.goto(to);
  await other.waitForFunction(() => location.hash === "#watch" && document.querySelector(".watch"));
  await frames(other);
  assert.deepEqual(await panels(other), there);
  await other.close();
  await page.close();
});

test("a link restores a prediction: the cards in order, and the answers that were given", async () => {
  const page = await open("predict/starved");
  await order(page, ["timer", "n2"]);
  await page.click('[data-key="judge"]'); // The link is of what was run.
  await verdict(page);
  const whole = await chrome.page();
  await whole.goto(await link(page, "predict"));
  await whole.waitForSelector(".cards-mine .card-button");
  assert.deepEqual(await mine(whole), ["timer", "n2"]);
  assert.match(await whole.locator("h1").first().textContent(), /A chain of ticks/);

  await whole.goto(`${study.url}/#predict/in-a-timer`);
  await mode(whole, "next");
  for (const text of ["first", "immediate", "first"]) await answer(whole, text);
  await verdict(whole);
  const next = await chrome.page();
  await next.goto(await link(whole, "predict"));
  await next.waitForFunction(() => /Question 3 of 4/.test(document.querySelector(".predict-work")?.textContent));
  assert.match(await next.locator(".predict-work").textContent(), /Printed so far: *first *immediate/);
  for (const one of [page, whole, next]) await one.close();
});

test("a recording is taken away as lines, trace, picture, test and script, each of which is whole", async () => {
  const page = await watched();
  await page.goto(`${study.url}/#share`);
  const text = async (key) => readFileSync(await saved(page, key), "utf8");
  (await text("lines")).trim().split("\n").forEach((line) => JSON.parse(line));
  const { traceEvents } = JSON.parse(await text("perfetto"));
  const slices = traceEvents.filter(({ ph, args }) => ph === "X" && args.said);
  assert.deepEqual(slices.map(({ args }) => args.said), ["n1", "n2", "n3", "m1", "timer"]);
  assert.ok(traceEvents.filter(({ ph }) => ph === "s").length >= 4, "arrows from what armed a callback");
  assert.match(await text("rust"), /#\[test\]\nfn order_of_a_chain_of_ticks\(\) \{/);

  const svg = await text("svg");
  const width = await page.evaluate(async (picture) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(picture)}`;
    await image.decode();
    return image.naturalWidth;
  }, svg);
  assert.ok(width > 100 && svg.includes("n1") && svg.includes("O-11"), "a browser shows it");

  const folder = mkdtempSync(join(tmpdir(), "windlass-"));
  const script = join(folder, "main.js");
  writeFileSync(script, await text("js main.js"));
  const printed = execFileSync(process.execPath, [script], { encoding: "utf8" });
  assert.equal(printed, "n1\nn2\nn3\nm1\ntimer\n", "Node runs it");
  rmSync(folder, { recursive: true });
  await page.close();
});

test("the page with a recording in it opens without a server, and so do lines that are chosen or dropped there", async () => {
  const page = await watched();
  await page.goto(`${study.url}/#share`);
  const file = join(mkdtempSync(join(tmpdir(), "windlass-")), "recording.html");
  copyFileSync(await saved(page, "page"), file);
  await page.goto(`${study.url}/#start/two-workers`);
  await page.waitForFunction(() => document.querySelector(".work h1")?.textContent === "Two workers");
  await page.click('[data-key="watch"]');
  await page.waitForSelector(".watch");
  await page.goto(`${study.url}/#share`);
  const lines = readFileSync(await saved(page, "lines"), "utf8");
  await page.close();

  const offline = await chrome.page({ offline: true });
  const ledger = (text) => offline.waitForFunction((word) => location.hash === "#watch" && document.querySelector(".panel-ledger")?.textContent.includes(word), text);
  await offline.goto(`file://${file}`);
  await offline.waitForSelector(".watch");
  await offline.keyboard.press("End");
  await offline.waitForFunction(() => document.querySelector(".panel-ledger").textContent.includes("n1"));
  await offline.goto(`file://${file}#share`);
  await offline.setInputFiles("input[type=file]", { name: "a.jsonl", mimeType: "application/x-ndjson", buffer: Buffer.from(lines) });
  await ledger("");
  await offline.keyboard.press("End");
  await ledger("V:hello");
  // And anywhere on the page.
  const own = `{"what":"began","at":0,"track":1,"id":1,"phase":"check","kind":"immediate"}\n{"what":"said","id":1,"text":"dropped"}\n`;
  const data = await offline.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], "own.jsonl"));
    return transfer;
  }, own);
  await offline.dispatchEvent("main", "drop", { dataTransfer: data });
  await offline.waitForFunction(() => !document.querySelector(".panel-ledger").textContent.includes("V:hello"));
  await offline.keyboard.press("End");
  await ledger("dropped");
  await offline.close();
  rmSync(dirname(file), { recursive: true });
});

test("a program goes from not tried to tried, and the score stays, by statement and in words", async () => {
  const page = await open("start/starved");
  const entry = page.locator('.lessons [data-key="starved"]');
  await page.waitForSelector(".editor .block");
  assert.match(await entry.textContent(), /○.*not tried/);
  await page.click('[data-key="run"]');
  await page.waitForSelector(".printed li");
  assert.match(await entry.textContent(), /◐.*\(tried\)/);
  await page.goto(`${study.url}/#predict/starved`);
  await order(page, ["n1", "n2", "n3", "timer", "m1"]);
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  const score = page.locator(".predict-score");
  const before = await score.textContent();
  assert.match(before, /O-11\d+ right.*\w/);
  assert.match(before, /1 wrong/);
  await page.reload();
  await page.waitForSelector(".cards-left .card-button");
  assert.equal(await score.textContent(), before);
  await page.close();
});

test("questions never end: each has its seed, is no race, and comes again by it", async () => {
  const page = await open("predict/seed-1");
  const seeds = new Set();
  for (let times = 0; times < 4; times += 1) {
    await page.waitForSelector(".cards-left .card-button");
    const title = await page.locator("h1").first().textContent();
    seeds.add(/seed (\d+)/.exec(await page.locator(".screen-predict header").textContent())[1]);
    await page.click('[data-key="next question"]');
    await page.waitForFunction((before) => document.querySelector("h1").textContent !== before && document.querySelector(".card-button"), title);
  }
  assert.equal(seeds.size, 4);
  // The same seed is the same question, in the editor too.
  const [first] = seeds;
  await page.goto(`${study.url}/#start/seed-${first}`);
  await page.waitForFunction((seed) => document.querySelector(".work p")?.textContent.includes(`from seed ${seed}`), first);
  assert.match(await page.locator(".work").textContent(), /no race/);
  await page.close();
});

test("of a race each next callback that can come is right, and it says so", async () => {
  for (const first of ["timer", "immediate"]) {
    const page = await open("predict/timer-or-immediate");
    await mode(page, "next");
    await answer(page, first);
    await page.waitForFunction(() => /Question 2/.test(document.querySelector(".predict-work").textContent));
    assert.match(await page.locator(".predict-work").textContent(), /2 answers are right here: real time decides/, first);
    await page.close();
  }
});

test("a program is built of blocks, and is the same in JavaScript", async () => {
  const page = await open("start/after-each");
  await page.waitForSelector(".editor .block");
  await page.selectOption('.add-row select', "tick");
  await page.waitForFunction(() => location.hash === "#start/draft");
  await page.locator('[data-key="2 id"]').fill("mine");
  await page.selectOption('[data-key="add 2.body"]', "timeout");
  await page.locator('[data-key="2.body.0 ms"]').fill("5");
  await page.click('[data-key="up 2"]');
  await page.click('[data-key="run"]');
  await page.waitForSelector(".printed li");
  const printed = await page.$$eval(".printed li code", (all) => all.map((one) => one.textContent));
  assert.equal(printed[0], "mine");
  assert.equal(printed.length, 7);
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector("textarea");
  assert.match(await page.inputValue("textarea"), /process\.nextTick\(\(\) => \{\n {2}console\.log\('mine'\);\n {2}setTimeout/);
  await page.close();
});

test("each file of a worker is a tab, and a worker that is written there runs", withNode, async () => {
  const page = await open("start/a-worker");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  const tabs = () => page.$$eval('.editor [aria-label="Files"] [role="tab"]', (all) => all.map((one) => one.textContent));
  await page.waitForSelector("textarea");
  assert.deepEqual(await tabs(), ["W.js", "main.js"]);
  await page.click('[data-key="add file"]');
  assert.deepEqual(await tabs(), ["W.js", "main.js", "worker1.js"]);
  await page.locator("textarea").fill("require('worker_threads').parentPort.postMessage('from my worker');\n");
  await page.click('[data-key="tab main.js"]');
  await page.locator("textarea").fill("const { Worker } = require('worker_threads');\nnew Worker(`${__dirname}/worker1.js`).on('message', console.log);\n");
  await page.click('[data-key="run"]');
  await page.waitForFunction(() => /from my worker/.test(document.querySelector(".printed")?.textContent));
  await page.close();
});

test("what if, of a script: a call is another one, or it blocks", withNode, async () => {
  const page = await open("start/in-a-timer");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector("textarea");
  await page.locator("textarea").fill("// setTimeout(\nprocess.nextTick(() => console.log('a'));\nqueueMicrotask(() => console.log('b'));\n");
  await page.click('[data-key="whatif"]');
  await page.waitForSelector(".both table");
  const titles = await page.$$eval('[data-key="change"] option', (all) => all.map((one) => one.textContent));
  assert.ok(titles.includes("process.nextTick in line 2 is queueMicrotask") && titles.includes("the script blocks for 20 ms at its end"), titles.join());
  assert.ok(!titles.some((title) => title.startsWith("setTimeout")), "what a comment says is no call");
  await page.selectOption('[data-key="change"]', { label: "queueMicrotask in line 3 is process.nextTick" });
  await page.waitForFunction(() => /changes nothing|same up to/.test(document.querySelector('[role="status"]').textContent) && /queueMicrotask in line 3/.test(document.querySelector(".both").textContent));
  await page.close();
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

test("a row of the ledger that comes again, in another recording, leads to its moment there", async () => {
  const page = await open("watch");
  for (const before of [1, 4]) {
    await page.evaluate(async (count) => {
      const { context } = await import("/page/app.js");
      const iteration = { what: "iteration", at: 0, track: 1, number: 1 };
      const callback = { at: 0, track: 1, id: 1, phase: "check", kind: "immediate" };
      context.load([...Array(count).fill(iteration), { what: "began", ...callback }, { what: "returned", ...callback }]);
      context.follow(); // As a live program does that is shown anew.
    }, before);
    await page.waitForFunction((words) => document.querySelector(".moment")?.textContent.includes(words), `event ${before + 2} of ${before + 2}`);
    await page.click('[data-key="line-1"]');
    await frames(page);
    assert.ok((await page.textContent(".moment")).includes(`event ${before + 1} of ${before + 2}`), await page.textContent(".moment"));
  }
  await page.close();
});

test("a text may stand beside a row that stays", async () => {
  const page = await open("start/starved");
  const told = await page.evaluate(async () => {
    const { fill, h } = await import("/page/dom.js");
    const root = h("div");
    const row = () => h("p", { "data-row": 1 }, "row");
    fill(root, row());
    const first = root.firstChild;
    fill(root, "before ", row(), 5);
    return [root.textContent, root.contains(first)];
  });
  assert.deepEqual(told, ["before row5", true]);
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
