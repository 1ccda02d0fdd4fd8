// That everybody can read and use the screens: contrast in light and dark, names and focus, no motion for
// who wants none, few colours of one's own, small screens.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, start } from "./program.mjs";

const SERVER = process.env.SERVER;

let study;
let server;
let own; // Where the server serves.
let live; // Where it is looked at.
let chrome;

before(async () => {
  study = await start(process.env.STUDY ?? "target/release/examples/study", ["--addr", "127.0.0.1:0"]);
  chrome = await browser();
  if (!SERVER) return;
  server = await start(SERVER, ["--addr", "127.0.0.1:0"], { WINDLASS_INSPECT: "127.0.0.1:0" }, 2);
  const answers = await Promise.all(server.urls.map((url) => fetch(`${url}/api/about`).then((answer) => answer.ok)));
  [own, live] = [server.urls[answers.indexOf(false)], server.urls[answers.indexOf(true)]];
});
after(async () => {
  await chrome?.end();
  study?.end();
  server?.end();
});

const frames = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

async function press(page, key, times) {
  for (let at = 0; at < times; at += 1) await page.keyboard.press(key);
  await frames(page);
}

/** Goes to a lesson, and so many steps into it. */
async function watch(page, lesson, steps) {
  await page.goto(`${study.url}/#start/${lesson}`);
  await page.click('[data-key="watch"]');
  await page.waitForFunction(() => /event 0 of [1-9]/.test(document.querySelector(".moment")?.textContent));
  await press(page, "ArrowRight", steps);
}

/** Each screen, as one that something is on: a name, and how to come there. */
const SCREENS = [
  ["start", async (page) => {
    await page.goto(`${study.url}/#start/starved`);
    await page.waitForSelector(".editor .block");
    await page.click('[data-key="run"]');
    await page.waitForSelector(".output .printed");
  }],
  ["watch, at the beginning", (page) => watch(page, "starved", 0)],
  ["watch, in the drain", (page) => watch(page, "starved", 14)],
  ["watch, asleep", async (page) => {
    await watch(page, "in-a-timer", 0);
    for (let steps = 0; steps < 40 && !(await page.$(".sleeping")); steps += 1) await press(page, "ArrowRight", 1);
  }],
  ["watch, with a worker", (page) => watch(page, "question-and-answer", 30)],
  ["watch, with a reason", async (page) => {
    await watch(page, "one-thread", 24);
    await page.click(".ledger button[aria-expanded]");
    await frames(page);
  }],
  ["legend", async (page) => {
    await watch(page, "starved", 3);
    await press(page, "l", 1);
  }],
  ["keys", async (page) => {
    await watch(page, "starved", 3);
    await press(page, "?", 1);
  }],
  ["predict", async (page) => {
    await page.goto(`${study.url}/#predict/starved`);
    while ((await page.waitForSelector(".cards")) && (await page.$(".cards-left .card-button"))) await page.locator(".cards-left .card-button").last().click();
    await page.click('[data-key="judge"]');
  }],
  ["what if", async (page) => {
    await page.goto(`${study.url}/#whatif/starved`);
    await page.waitForSelector(".both .differs");
  }],
  ["share", async (page) => {
    await page.goto(`${study.url}/#share`);
    await page.waitForSelector(".share");
  }],
];

const LIVE = [
  ["attached", async (page) => {
    await page.goto(`${live}/`);
    await page.waitForFunction(() => document.querySelector(".strip")?.textContent.includes("Live"));
    // Without a client the server does nothing.
    while (!(await page.$(".ledger .what"))) assert.ok((await fetch(`${own}/fast`)).ok);
  }],
  ["live figures", async (page) => {
    await page.goto(`${live}/#live`);
    await page.waitForSelector(".live .figures:not([hidden])");
  }],
];

const screens = () => (live ? [...SCREENS, ...LIVE] : SCREENS);

/** In the page: the texts that stand out too little from what is behind them, and how many there are in all. */
function contrasts() {
  const rgba = (words) => {
    const [r, g, b, a = 1] = words.match(/-?[\d.]+(?:e-?\d+)?/g).map(Number);
    const most = words.startsWith("color(") ? 255 : 1;
    return [r * most, g * most, b * most, a];
  };
  const over = (top, under) => {
    const a = top[3] + under[3] * (1 - top[3]);
    return a === 0 ? [0, 0, 0, 0] : [0, 1, 2].map((at) => (top[at] * top[3] + under[at] * under[3] * (1 - top[3])) / a).concat(a);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const faded = (colour, element) => {
    let [r, g, b, a] = colour;
    for (let at = element; at; at = at.parentElement) a *= Number(getComputedStyle(at).opacity);
    return [r, g, b, a];
  };
  const isDrawn = (element) => element instanceof SVGElement;
  const ground = (element) => {
    const style = getComputedStyle(element);
    const words = isDrawn(element) ? (element instanceof SVGGeometryElement ? style.fill : "none") : style.backgroundColor;
    return words === "none" || words.startsWith("url") ? [0, 0, 0, 0] : faded(rgba(words), element);
  };
  const poor = [];
  let count = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const own = texts.currentNode.parentElement;
    if (texts.currentNode.textContent.trim() === "" || own.closest("script, style, title, desc, option, .unseen, :disabled")) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const box = range.getClientRects()[0] ?? own.getBoundingClientRect();
    const all = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const from = all.indexOf(own);
    if (from < 0) continue; // It is out of sight.
    let behind = [0, 0, 0, 0];
    for (const element of all.slice(from)) {
      if (element !== own || !isDrawn(own)) behind = over(behind, ground(element));
      if (behind[3] >= 0.999) break;
    }
    const style = getComputedStyle(own);
    const front = over(faded(rgba(isDrawn(own) ? style.fill : style.color), own), behind);
    const [more, less] = [light(front), light(behind)].sort((a, b) => b - a);
    const ratio = (more + 0.05) / (less + 0.05);
    count += 1;
    if (ratio < 4.5 || behind[3] < 0.999) poor.push(`${texts.currentNode.textContent.trim().slice(0, 30)} (${own.closest("[class]")?.getAttribute("class")}): ${ratio.toFixed(2)}`);
  }
  return { poor, count };
}

for (const colorScheme of ["light", "dark"]) {
  test(`each text stands out from what is behind it by 4.5 to 1 at least, ${colorScheme}`, async () => {
    for (const [name, go] of screens()) {
      const page = await chrome.page({ colorScheme });
      await go(page);
      await page.waitForTimeout(300); // Of transitions the end is measured.
      const { poor, count } = await page.evaluate(contrasts);
      assert.ok(count > 10, `${name}: ${count} texts`);
      assert.deepEqual(poor, [], name);
      await page.close();
    }
  });
}

test("what can be pressed, filled in or scrolled has a name, and comes in the order in which it stands there", async () => {
  for (const [name, go] of screens()) {
    const page = await chrome.page();
    await go(page);
    const faults = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex], [role=img]")];
      const labelled = (one) => one.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
      const nameOf = (one) => one.getAttribute("aria-label") || labelled(one) || [...(one.labels ?? [])].map((label) => label.textContent).join(" ") || one.textContent || one.title;
      const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
      return [
        ...all.filter((one) => !nameOf(one)?.trim()).map((one) => `without a name: ${one.outerHTML.slice(0, 100)}`),
        ...all.filter((one) => one.tabIndex > 0).map((one) => `out of order: ${one.outerHTML.slice(0, 100)}`),
        ...ids.filter((one, at) => ids.indexOf(one) !== at).map((one) => `twice: ${one}`),
      ];
    });
    assert.deepEqual(faults, [], name);
    await page.close();
  }
});

test("whoever goes by keys sees where they are, may pass by the menu, and comes to all there is", async () => {
  const page = await chrome.page();
  await watch(page, "one-thread", 24);
  const focus = () => page.evaluate(() => {
    const one = document.activeElement;
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    return { text: (one.getAttribute("aria-label") ?? one.textContent).trim().slice(0, 40), wide: box.width > 0 && box.height > 0, outline: style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth), inMain: one.closest("main") !== null };
  });
  assert.ok(await page.evaluate(() => document.querySelector("a[href], button, input, select, [tabindex]").matches(".skip")), "it comes first");
  await page.focus(".skip");
  assert.equal((await focus()).text, "To the screen");
  await page.keyboard.press("Enter");
  const met = [];
  for (let at = 0; at < 60; at += 1) {
    await page.keyboard.press("Tab");
    const now = await focus();
    if (!now.inMain) break;
    assert.ok(now.wide && now.outline >= 2, JSON.stringify(now));
    met.push(now.text);
  }
  const order = ["Line 1", "Lanes: what ran", "Play", "◀", "Step ▶", "Wake-up ▶", "Breakpoints", "Moment of the recording", "Legend"];
  const places = order.map((words) => met.findIndex((text) => text.startsWith(words)));
  assert.ok(places.every((at) => at >= 0), met.join("; "));
  assert.deepEqual(places, places.toSorted((a, b) => a - b));
  await page.close();
});

test("nothing moves by itself for who wants no motion", async () => {
  const moving = async (reducedMotion) => {
    const page = await chrome.page({ reducedMotion });
    await watch(page, "starved", 14);
    assert.ok(await page.$(".turning.on"), "the drain is under way");
    const count = await page.evaluate(() => document.getAnimations().length);
    await page.close();
    return count;
  };
  assert.ok((await moving("no-preference")) > 0);
  assert.equal(await moving("reduce"), 0);
});

test("with few colours of one's own the phase that runs still shows, and texts can be read", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await chrome.page({ forcedColors: "active", colorScheme });
    await watch(page, "in-a-timer", 0);
    for (let steps = 0; steps < 40 && !(await page.$(".phase.now")); steps += 1) await press(page, "ArrowRight", 1);
    const edges = await page.$$eval(".phase", (all) => all.map((one) => {
      const { stroke, strokeWidth } = getComputedStyle(one.querySelector(".sector"));
      return `${one.classList.contains("now")} ${stroke} ${strokeWidth}`;
    }));
    assert.equal(new Set(edges).size, 2, edges.join("; "));
    assert.deepEqual((await page.evaluate(contrasts)).poor, []);
    await page.close();
  }
});

test("at 1,280 by 720 screen 2 is all there without scrolling", async () => {
  const page = await chrome.page({ viewport: { width: 1280, height: 720 } });
  await watch(page, "question-and-answer", 40);
  const seen = await page.evaluate(() => {
    const box = (selector) => document.querySelector(selector).getBoundingClientRect();
    const cut = [...document.querySelectorAll(".bar > *, .scrub > *, .wheel")].map((one) => one.getBoundingClientRect()).filter((one) => one.right > innerWidth || one.bottom > innerHeight);
    const wide = [...document.querySelectorAll(".panel-body")].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.parentElement.className);
    return { page: document.documentElement.scrollHeight, bar: box(".bar").height, wheel: box(".wheel").height, cut: cut.length, wide };
  });
  assert.ok(seen.page <= 720 && seen.bar < 40 && seen.wheel > 380 && seen.cut === 0, JSON.stringify(seen));
  assert.deepEqual(seen.wide, []);
  await page.close();
});

test("at 400 pixels each screen can be read: nothing is wider than the screen, and no type is too small", async () => {
  for (const [name, go] of screens()) {
    const page = await chrome.page({ viewport: { width: 400, height: 800 } });
    await go(page);
    const { width, small } = await page.evaluate(() => {
      const scale = (one) => (one.ownerSVGElement?.viewBox.baseVal.width ? one.ownerSVGElement.getBoundingClientRect().width / one.ownerSVGElement.viewBox.baseVal.width : 1);
      const texts = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() && [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
      const sizes = texts.map((one) => [Number.parseFloat(getComputedStyle(one).fontSize) * scale(one.closest("text") ?? one), one.textContent.slice(0, 30)]);
      return { width: document.documentElement.scrollWidth, small: sizes.filter(([size]) => size < 9).map(([size, text]) => `${text}: ${size.toFixed(1)}`) };
    });
    assert.ok(width <= 400, `${name}: ${width}`);
    assert.deepEqual(small, [], name);
    await page.close();
  }
});

test("no script has failed on the way", () => assert.deepEqual(chrome.errors, []));
