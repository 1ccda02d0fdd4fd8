// What the tests of examples/study share: a study that serves, and pages of it.

import { after, before } from "node:test";
import { browser, start } from "./program.mjs";

const STUDY = process.env.STUDY ?? "target/release/examples/study";
export const { MINI_NODE } = process.env;
export const withNode = { skip: MINI_NODE ? false : "MINI_NODE names no mini_node" };

/** Set before the first test. */
export let study;
export let chrome;

/** Another study. */
export const serve = (...args) => start(STUDY, ["--addr", "127.0.0.1:0", ...args]);

before(async () => {
  study = await serve(...(MINI_NODE ? ["--mini-node", MINI_NODE] : []));
  chrome = await browser();
});
after(async () => {
  await chrome?.end();
  await study?.end();
});

/** Another page of the study each time, with nothing kept. */
export async function open(hash) {
  const page = await chrome.page();
  await page.goto(`${study.url}/#${hash}`);
  return page;
}

/** The same, with what the server says of the program that the page runs first. */
export async function openWithRun(hash) {
  const page = await chrome.page();
  const ran = page.waitForResponse((response) => response.url().endsWith("/api/run"));
  await page.goto(`${study.url}/#${hash}`);
  return { page, events: eventsOf(await (await ran).text()) };
}

const eventsOf = (text) => text.trim().split("\n").map((line) => JSON.parse(line));

/** What the server says of a program: its events. */
export async function runAny(asked) {
  const body = JSON.stringify(asked);
  const response = await fetch(`${study.url}/api/run`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return eventsOf(await response.text());
}

export const run = (program) => runAny({ language: "scenario", program });

export const lessons = async () => (await (await fetch(`${study.url}/api/lessons`)).json()).flatMap((lesson) => lesson.programs);

/** What the main loop has said, in order. */
export function traceOf(events) {
  const began = new Map(events.filter((event) => event.what === "began").map((event) => [event.id, event.track]));
  const main = events.find((event) => event.what === "began").track;
  return events.filter((event) => event.what === "said" && began.get(event.id) === main).map((event) => event.text);
}

/** What was changed is drawn in the next frame. */
export const frames = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

export const panels = (page) => page.$$eval(".panel .panel-body", (all) => all.map((one) => one.textContent));

/** Puts the cards into this order. */
export async function order(page, labels) {
  await page.waitForSelector(".cards-left .card-button");
  for (const label of labels) await page.locator(".cards-left .card-button", { has: page.locator(`code:text-is("${label}")`) }).first().click();
}

export const mine = (page) => page.$$eval(".cards-mine .card-button code", (all) => all.map((one) => one.textContent));

export const verdict = (page) => page.locator(".predict-result h2").textContent();

/** Chooses what is asked. */
export const mode = (page, key) => page.locator(`[data-key="tab ${key}"]`).click();

export const answer = (page, text) => page.locator(".answers button.answer", { hasText: text }).first().click();

/** What is saved by a button. */
export async function saved(page, key) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(`[data-key="export ${key}"]`)]);
  return download.path();
}

/** A link to what is on the page, of this kind. */
export async function link(page, kind) {
  await page.goto(`${study.url}/#share`);
  await page.click(`[data-key="link ${kind}"]`);
  await page.waitForFunction(() => document.querySelector(".link").value !== "");
  return page.inputValue(".link");
}
