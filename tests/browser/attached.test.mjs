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

before(async () => {
  if (skip) return;
  program = await start(path, ["--addr", "127.0.0.1:0"], { WINDLASS_INSPECT: "127.0.0.1:0" });
  while (program.urls.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  const [first, second] = program.urls.map((url) => new URL(url).origin);
  [view, own] = (await isView(first)) ? [first, second] : [second, first];
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
async function attach() {
  const page = await chrome.page();
  await page.goto(`${view}/`);
  await page.waitForFunction(() => document.querySelector(".ledger .what") && document.querySelector(".strip").textContent.includes("Live"));
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

test("no script of the page has failed", { skip }, () => assert.deepEqual(chrome.errors, []));
