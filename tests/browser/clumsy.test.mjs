// Who means harm, and who does not know how: nothing of what they do to the study leaves it, or leaves it
// broken.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pack } from "../../src/inspect/page/link.js";
import { answer, chrome, frames, mode, open, order, panels, serve, study, verdict, withNode } from "./study.mjs";

/** Where a link with this leads. */
const linkTo = async (held) => `${study.url}/#share/open.${await pack(held)}`;

const alerts = (page) => page.$$eval('[role="alert"]', (all) => all.map((one) => one.textContent).join(" "));

/** The words of the first alert that matches. */
const alert = (page, pattern) =>
  page.waitForFunction((source) => [...document.querySelectorAll('[role="alert"]')].some((one) => new RegExp(source).test(one.textContent)), pattern.source);

/** Each request to run a program from now on. */
function runs(page) {
  const all = [];
  page.on("request", (request) => request.url().endsWith("/api/run") && all.push(request.postDataJSON()));
  return all;
}

const scenario = (main) => ({ language: "scenario", title: "one", scenario: { name: "one", main } });

test("a link that was cut, or holds no program, is called damaged, and what there was stays", async () => {
  const whole = await linkTo({ program: scenario([{ op: "log", id: "a" }]) });
  const page = await chrome.page();
  await page.goto(`${study.url}/#start/after-each`);
  await page.waitForSelector(".editor .block");
  await page.selectOption(".add-row select", "tick");
  await page.waitForFunction(() => location.hash === "#start/draft");
  const asked = runs(page);
  const bad = [whole.slice(0, -20), `${whole.slice(0, -8)}AAAAAAAA`, `${study.url}/#share/open.`, `${study.url}/#share/open.%%%`];
  for (const held of [
    null, 5, [], {}, { program: 5 }, { program: scenario([{ op: "leap" }]) }, { program: scenario([{ op: "__proto__" }]) },
    { program: scenario({}) }, { program: scenario([{ op: "listen", id: "a", port: "b", times: 1, on: [] }]) },
    { program: scenario([{ op: "tick", id: "a", body: 5 }]) }, { program: { ...scenario([]), title: {} } }, { program: { language: "cobol" } },
    { program: { language: "javascript", files: { "main.js": 5 } } }, { program: { language: "javascript", files: { "w.js": "" } } },
  ]) bad.push(await linkTo(held));
  for (const link of bad) {
    await page.goto(`${study.url}/#start/draft`);
    await page.waitForSelector(".editor .block");
    await page.goto(link);
    await alert(page, /damaged|no program/);
  }
  assert.deepEqual(asked, [], "nothing of it was run");
  await page.goto(`${study.url}/#start/draft`);
  await page.waitForFunction(() => document.querySelectorAll(".editor .blocks > .block").length >= 3);
  await page.close();
});

test("a link with a moment or a prediction that there is not opens its program all the same", async () => {
  const program = scenario([{ op: "tick", id: "a" }, { op: "log", id: "b" }]);
  for (const position of ["x", 1e99, -5, null, {}]) {
    const page = await chrome.page();
    await page.goto(await linkTo({ program, screen: "watch", position }));
    await page.waitForFunction(() => location.hash === "#watch" && document.querySelector(".panel-ledger"));
    await page.close();
  }
  for (const prediction of [{}, { mode: "x", order: { a: 1 } }, { mode: "next", order: [1, null] }, { mode: "whole", order: ["no such card", "a"] }, 5]) {
    const page = await chrome.page();
    await page.goto(await linkTo({ program, screen: "predict", prediction }));
    await page.waitForSelector(".cards-left, .answers");
    await page.close();
  }
});

test("what a scenario is in JavaScript is not taken from a link", async () => {
  const files = { "main.js": "require('fs').rmSync('/', { recursive: true });\n" };
  const page = await chrome.page();
  await page.goto(await linkTo({ program: { ...scenario([{ op: "log", id: "a" }]), files, parted: true }, screen: "start" }));
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector("textarea");
  assert.match(await page.inputValue("textarea"), /console\.log\('a'\)/);
  assert.doesNotMatch(await page.inputValue("textarea"), /rmSync/);
  await page.close();
});

test("a script that comes with a link is not run until somebody has read it", async () => {
  const files = { "main.js": "require('fs').rmSync('/', { recursive: true });\n", "w.js": "// The worker's.\n" };
  for (const screen of ["watch", "predict", "whatif", "start"]) {
    const page = await chrome.page();
    const asked = runs(page);
    await page.goto(await linkTo({ program: { language: "javascript", title: "one", files }, screen }));
    await page.waitForSelector('[data-key="agree"]');
    const shown = await alerts(page);
    for (const text of Object.values(files)) assert.ok(shown.includes(text), text);
    // Nor is it there for another link to run.
    await page.goto(`${study.url}/#predict/linked`);
    await alert(page, /There is no program linked/);
    await page.goto(`${study.url}/#whatif/draft`);
    await frames(page);
    assert.deepEqual(asked, []);
    await page.close();
  }
  const page = await chrome.page();
  const asked = runs(page);
  await page.goto(await linkTo({ program: { language: "javascript", title: "one", files }, screen: "start" }));
  await page.click('[data-key="agree"]');
  await page.waitForSelector(".editor textarea");
  assert.equal(await page.inputValue(".editor textarea"), files["main.js"]);
  assert.deepEqual(asked, [], "the editor runs nothing by itself");
  await page.close();
});

test("words in the address that mean nothing are said to mean nothing", async () => {
  const page = await open("start/script-first");
  for (const hash of ["whatif/starved/%E0%A4%A", "whatif/starved/no such change", "predict/seed-1x", "start/__proto__", "predict/constructor", "nowhere", "watch/%"]) {
    await page.goto(`${study.url}/#${hash}`);
    await page.waitForFunction(() => /There is no program|same up to|changes nothing|Predict, then run|Choose a lesson/.test(document.querySelector("main").textContent), null, { timeout: 10_000 });
  }
  await page.close();
});

test("what another program has left in the browser's store breaks no screen", async () => {
  const profile = await chrome.profile();
  await profile.addInitScript(() => {
    const left = { progress: "5", score: '"x"', statements: "null", draft: "{}", last: "7", seed: '"x"', mode: "{}", linked: "[" };
    if (location.protocol !== "http:") return; // The page before the first.
    for (const [key, text] of Object.entries(left)) localStorage.setItem(`windlass.${key}`, text);
    sessionStorage.setItem("windlass.linked", "[");
  });
  const page = await profile.newPage();
  await page.goto(`${study.url}/`);
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="run"]');
  await page.waitForSelector(".printed li");
  await page.goto(`${study.url}/#predict`);
  await page.waitForSelector(".cards-left .card-button");
  await page.click('[data-key="judge"]');
  assert.match(await verdict(page), /stops here/);
  await page.goto(`${study.url}/#whatif`);
  await page.waitForSelector(".both table");
  await page.goto(`${study.url}/#start/draft`);
  await alert(page, /There is no program draft/);
  await profile.close();
});

test("two tabs: each keeps what it edits, and both add to one score", async () => {
  const profile = await chrome.profile();
  const tabs = [await profile.newPage(), await profile.newPage()];
  const labels = ["one", "two"];
  for (const [at, page] of tabs.entries()) {
    await page.goto(`${study.url}/#start/after-each`);
    await page.waitForSelector(".editor .block");
    await page.locator('[data-key="0 id"]').fill(labels[at]);
    await page.waitForFunction(() => location.hash === "#start/draft");
  }
  for (const [at, page] of tabs.entries()) {
    await page.click('[data-key="predict"]');
    await order(page, [labels[at], "n1", "m1", "i2", "n2"]);
    await page.click('[data-key="judge"]');
    assert.match(await verdict(page), /Right/, labels[at]);
    await page.reload();
    await page.waitForSelector(".cards-left .card-button");
    assert.match(await page.locator(".predict").textContent(), new RegExp(`immediate ${labels[at]}`));
  }
  assert.match(await tabs[1].locator(".predict-score").textContent(), /2 right/);
  await profile.close();
});

test("a server that has ended is missed in words, and one that begins again is found again", async () => {
  const first = await serve();
  const { port } = new URL(first.url);
  const page = await chrome.page();
  await page.goto(`${first.url}/#start/after-each`);
  await page.waitForSelector(".editor .block");
  await page.waitForLoadState("networkidle");
  await first.end();
  await page.click('[data-key="run"]');
  await alert(page, /server does not answer/);
  // A screen that was not open yet.
  await page.goto(`${first.url}/#predict/after-each`);
  await alert(page, /server does not answer/);
  const again = await serve("--addr", `127.0.0.1:${port}`);
  await page.goto(`${first.url}/#whatif/after-each`);
  await page.waitForSelector(".both .differs");
  await page.goto(`${first.url}/#start/after-each`);
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="run"]');
  await page.waitForSelector(".printed li");
  await again.end();
  await page.close();
});

test("without mini_node the page says how to build it, before and after one tries", async () => {
  const own = await serve("--mini-node", "/nowhere/mini_node");
  const page = await chrome.page();
  await page.goto(`${own.url}/#start/after-each`);
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector(".editor textarea");
  assert.match(await page.locator('.editor [role="note"]').textContent(), /cargo build --release --manifest-path examples\/mini_node/);
  await page.click('[data-key="run"]');
  await alert(page, /cargo build --release --manifest-path examples\/mini_node/);
  await own.end();
  await page.close();
});

test("a script that never ends is stopped, and so is one that is left", withNode, async () => {
  const page = await open("start/after-each");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector(".editor textarea");
  await page.locator(".editor textarea").fill("console.log('a');\nwhile (true);\n");
  // More often than programs may run at a time.
  for (let times = 0; times < 6; times += 1) {
    await page.click('[data-key="run"]');
    await page.click('[data-key="stop"]');
    await page.waitForFunction(() => /It was stopped/.test(document.querySelector(".output").textContent));
  }
  for (let times = 0; times < 6; times += 1) {
    await page.goto(`${study.url}/#predict/draft`);
    await page.waitForSelector(".predict-work");
    await page.goto(`${study.url}/#start/draft`);
    await page.waitForSelector(".editor textarea");
  }
  await page.goto(`${study.url}/#start/starved`);
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="run"]');
  await page.waitForSelector(".printed li");
  await page.close();
});

test("a script that never ends is cut off, and what it printed before is shown", withNode, async () => {
  const page = await open("start/after-each");
  await page.waitForSelector(".editor .block");
  await page.click('[data-key="tab javascript"]');
  await page.waitForSelector(".editor textarea");
  for (const [text, why] of [
    ["console.log('a');\nwhile (true);\n", /cut off after \d+ s: it had not ended/],
    ["console.log('a');\nsetInterval(() => {}, 0);\n", /cut off after \d+ callbacks/],
    ["console.log('a');\n(function again() { Promise.resolve().then(again); })();\n", /cut off after/],
  ]) {
    await page.locator(".editor textarea").fill(text);
    await page.click('[data-key="run"]');
    await alert(page, why);
    assert.match(await page.locator(".printed").textContent(), /^a/);
  }
  await page.close();
});

test("a very long program is shown as far as it was run, and one that is too long is refused", async () => {
  const page = await chrome.page();
  const many = Array.from({ length: 2500 }, (_, at) => ({ op: "timeout", id: `t${at}`, ms: at % 7 }));
  await page.goto(await linkTo({ program: scenario(many), screen: "watch" }));
  await page.waitForFunction(() => location.hash === "#watch" && document.querySelector(".panel-ledger"));
  await page.keyboard.press("End");
  await page.waitForFunction(() => /cut off after 2000 callbacks/.test(document.querySelector(".watch").textContent));
  await page.keyboard.press("ArrowLeft");
  await frames(page);
  const there = await panels(page);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowRight");
  await frames(page);
  assert.deepEqual(await panels(page), there);

  const long = Array.from({ length: 7000 }, (_, at) => ({ op: "timeout", id: `t${at}`, ms: 1, body: [] }));
  await page.goto(await linkTo({ program: scenario(long), screen: "watch" }));
  await alert(page, /a program may have \d+ bytes/);
  let deep = [];
  for (let depth = 0; depth < 300; depth += 1) deep = [{ op: "tick", id: `n${depth}`, body: deep }];
  await page.goto(await linkTo({ program: scenario(deep), screen: "watch" }));
  await alert(page, /recursion limit/);
  await page.close();
});

test("answers that make no sense are wrong answers", async () => {
  const page = await open("predict/how-long");
  await mode(page, "sleep");
  for (const text of ["-1", "1e9", "0.5"]) {
    await page.locator(".answers input").fill(text);
    await page.locator(".answers input").press("Enter");
    assert.match(await verdict(page), /stops here/, text);
    await page.click('[data-key="again"]');
  }
  await mode(page, "next");
  await answer(page, "none: it ends");
  assert.match(await verdict(page), /stops here/);
  await page.close();
});

test("no script has failed on the way", () => assert.deepEqual(chrome.errors, []));
