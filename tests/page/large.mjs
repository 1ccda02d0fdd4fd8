// A recording of 20,000 events of whatever kind is put in order and looked at, at its end, a step back and
// in its middle, in the time of its events and not of their square.
//
// usage: node large.mjs

import assert from "node:assert/strict";
import { inOrder, parse } from "../../src/inspect/page/events.js";
import { Replay } from "../../src/inspect/page/replay.js";

const EVENTS = 20_000;

/** A second is plenty; the square of the events took a minute. */
const SECONDS_MAX = 8;

const main = { track: 1 };
const numbers = (amount) => Array.from({ length: amount }, (_, at) => at + 1);
const each = (amount, ...makers) => makers.flatMap((make) => numbers(amount).flatMap(make));
const began = (id, kind, more) => ({ ...main, what: "began", id, kind, phase: "poll", at: id, ...more });
const KINDS = {
  timers: each(EVENTS / 2,
    (number) => ({ ...main, what: "armed", kind: "timer", at: number, number, delay: 1000, due: number + 1000, referenced: true }),
    (number) => ({ ...main, what: "cleared", at: EVENTS + number, number })),
  handles: each(EVENTS / 2,
    (number) => ({ ...main, what: "opened", kind: "TCP stream", at: number, number, active: true }),
    (number) => ({ ...main, what: "closed", at: EVENTS + number, number })),
  ports: each(EVENTS, (port) => ({ ...main, what: "posted", at: port, port, to: 2, waiting: 1 })),
  messages: each(EVENTS / 2,
    (number) => ({ ...main, what: "posted", at: number, port: 7, to: 2, waiting: number }),
    (number) => ({ track: 2, what: "delivered", at: EVENTS + number, port: 7, waiting: EVENTS / 2 - number })),
  jobs: each(EVENTS / 4,
    (id) => ({ ...main, what: "submitted", id, kind: "job", at: id, pool: 1, slow: false, waiting: id }),
    (id) => [{ track: 9, what: "started", id, kind: "job", at: EVENTS + id }, { track: 9, what: "finished", id, at: EVENTS + id }]),
  ticks: each(EVENTS / 4,
    () => ({ ...main, what: "queued", queue: "ticks", at: 0 }),
    (id) => [began(id, "tick"), { ...main, what: "returned", id, at: id }]),
  output: [began(1, "timer"), ...each(EVENTS, (number) => ({ what: "said", id: 1, text: `line ${number}` }))],
  errors: each(EVENTS, (number) => ({ what: "error", text: `error ${number}` })),
  workers: each(EVENTS / 5, (worker) => [
    { ...main, what: "spawned", worker, at: worker * 10 },
    { what: "track", number: worker + 1, track: worker + 1, name: `worker ${worker}` },
    { track: worker + 1, what: "online", worker, at: worker * 10 + 1 },
    { track: worker + 1, what: "ended", at: worker * 10 + 2 },
    { ...main, what: "exited", worker, code: 0, at: worker * 10 + 3 },
  ]),
};

let count = 0;
for (const [name, events] of Object.entries(KINDS)) {
  const text = events.map((event) => JSON.stringify(event)).join("\n");
  const before = process.cpuUsage();
  const replay = new Replay(inOrder(parse(text)));
  assert.equal(replay.end().seen, events.length, name);
  for (const position of [events.length, events.length - 1, events.length >> 1]) assert.equal(replay.at(position).seen, position, name);
  assert.ok(replay.kept.length <= 100, name);
  const seconds = process.cpuUsage(before).user / 1e6;
  assert.ok(seconds < SECONDS_MAX, `${name}: ${seconds} s`);
  count += 1;
}
console.log(`${count} kinds`);
