// The programs that are looked at, and the browser that looks.
//
//   STUDY, SERVER   the built examples `study` and `server` (the latter with the feature `inspect`)
//   MINI_NODE       what runs JavaScript; without it these tests are left out
//   CHROMIUM        the browser (default: /usr/bin/chromium)

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Starts a program, and waits until it has said so many addresses at which it listens. */
export async function start(path, args, environment = {}, addresses = 1) {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
  const urls = [];
  const found = new Promise((resolve, reject) => {
    const look = (stream) =>
      createInterface({ input: stream }).on("line", (line) => {
        const url = /http:\/\/[\w.:[\]]+/.exec(line)?.[0]; // Without a path.
        if (!url || urls.includes(url)) return;
        urls.push(url);
        // Others are examples of what to ask.
        if (urls.length === addresses) resolve(urls[0]);
      });
    look(child.stdout);
    look(child.stderr);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${path} ended with ${code}`)));
  });
  const url = await found;
  return { url, urls, end: () => child.kill() };
}

/** A browser, and pages of it that fail a test by an error of a script. */
export async function browser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const own = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const errors = [];
  const page = async (options = {}) => {
    const one = await own.newPage({ viewport: { width: 1280, height: 720 }, deviceScaleFactor: process.env.SHOTS ? 0.75 : 1, ...options });
    one.setDefaultTimeout(30_000);
    one.on("pageerror", (error) => errors.push(error.message));
    return one;
  };
  return { page, errors, end: () => own.close() };
}

/** Keeps a picture of a page if SHOTS names a folder for them. */
export async function shot(page, name) {
  const folder = process.env.SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}
