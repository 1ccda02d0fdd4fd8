// Who may look at a live server, and that nobody who asks harms it.

import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { start } from "./program.mjs";

const SERVER = process.env.SERVER;
const options = { skip: SERVER ? false : "SERVER names no program with the feature `inspect`" };

let server;
let view;

before(async () => {
  if (!SERVER) return;
  server = await start(SERVER, ["--addr", "127.0.0.1:0"], { WINDLASS_INSPECT: "127.0.0.1:0" }, 2);
  // It says where to look before it says where it serves.
  const [first, second] = server.urls;
  const about = await fetch(`${first}/api/about`).then((answer) => (answer.ok ? answer.json() : null), () => null);
  [view, server.url] = about?.mode === "live" ? [first, second] : [second, first];
});
after(() => server?.end());

/** The status of a request with these headers. */
const status = (path, headers, method = "GET") =>
  new Promise((resolve, reject) => {
    const own = request(`${view}${path}`, { method, headers }, (answer) => {
      answer.destroy();
      resolve(answer.statusCode);
    });
    own.on("error", reject);
    own.end();
  });

test("who is no page of its own is refused, and nonsense harms nothing", options, async () => {
  assert.equal(await status("/api/summary", { Origin: "http://example.com" }), 403);
  assert.equal(await status("/api/events", { Origin: "null" }), 403);
  assert.equal(await status("/", { Host: "example.com" }), 403);
  assert.equal(await status("/page/../../Cargo.toml", {}), 404);
  assert.ok([400, 404, 405, 501].includes(await status("/api/about", {}, "POST")));
  const { hostname, port } = new URL(view);
  for (let client = 0; client < 100; client += 1) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(Buffer.alloc(client * 1000, client));
    setTimeout(() => socket.destroy(), 500);
  }
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal((await (await fetch(`${view}/api/about`)).json()).mode, "live");
  assert.equal(await (await fetch(`${server.url}/fast`)).text(), "fast\n");
});
