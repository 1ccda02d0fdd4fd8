// The programs that are looked at, and the browser that looks.
//
//   STUDY, SERVER   the built examples `study` and `server` (the latter with the feature `inspect`)
//   MINI_NODE       what runs JavaScript; without it these tests are left out
//   CHROMIUM        the browser (default: /usr/bin/chromium)
//   PAGE            a folder whose files are shown in place of those that the programs were built with

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
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
  const gone = new Promise((resolve) => child.on("exit", resolve));
  const end = (signal) => {
    child.kill(signal);
    return gone;
  };
  return { url, urls, pid: child.pid, end };
}

/** A browser, and pages of it that fail a test by an error of a script. */
export async function browser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const own = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const errors = [];
  // A picture that is to be read on a page of text is taken of a smaller screen.
  const usual = { viewport: process.env.SHOTS ? { width: 1000, height: 680 } : { width: 1280, height: 720 } };
  /** A profile: its pages are tabs of one browser, which keeps things for all of them. */
  const profile = async (options = {}) => {
    const context = await own.newContext({ ...usual, ...options });
    context.setDefaultTimeout(30_000);
    if (process.env.PAGE) await context.route("**/page/*", (route) => route.fulfill({ path: join(process.env.PAGE, basename(new URL(route.request().url()).pathname)) }));
    context.on("page", (one) => one.on("pageerror", (error) => errors.push(error.message)));
    return context;
  };
  const page = async (options) => (await profile(options)).newPage();
  return { page, profile, errors, end: () => own.close() };
}

/** Keeps a picture of a page if SHOTS names a folder for them: as WebP, which the browser makes of it. */
export async function shot(page, name) {
  const folder = process.env.SHOTS;
  if (!folder) return;
  const png = (await page.screenshot()).toString("base64");
  const painter = await page.context().browser().newPage();
  const webp = await painter.evaluate(async (source) => {
    const image = new Image();
    image.src = `data:image/png;base64,${source}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.7).split(",")[1];
  }, png);
  await painter.close();
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${name}.webp`, Buffer.from(webp, "base64"));
}
