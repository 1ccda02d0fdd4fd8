// A live program that is looked at for long: workers, ports and jobs come and go, and some of what happens is
// lost. What the page knows stays bounded, and what it shows is right again with the next that is told.
//
// usage: node overnight.mjs

import assert from "node:assert/strict";
import { BATCH_MAX, Feed } from "../../src/inspect/page/feed.js";
import { rows, withRows } from "../../src/inspect/page/lanes.js";
import { Replay } from "../../src/inspect/page/replay.js";
import { LINES_MAX, LOOPS_MAX } from "../../src/inspect/page/state.js";

let at = 0;
const event = (track, what, more = {}) => ({ what, track, at: (at += 10), ...more });
const lost = { what: "lost", count: 5, track: 1 };

/** A picture after one of a live program, whose main loop has just told all that it holds. */
const replay = new Replay([event(1, "all")]);
function happens(...events) {
  replay.append(events);
  return replay.at(replay.events.length);
}
const job = (id, what, more = {}) => event(what === "submitted" ? 1 : 5, what, { id, kind: "job", ...more });
const submitted = (id, waiting) => job(id, "submitted", { pool: 1, slow: false, waiting });
const began = (id) => event(1, "began", { id, kind: "timer", phase: "timers" });

// A message waited before anybody looked on: what is told counts, not what was seen.
let state = happens(event(1, "delivered", { port: 7, waiting: 0 }), event(1, "posted", { port: 7, waiting: 1, to: 1 }));
assert.equal(state.ports[7].waiting, 1, "a message of which nobody saw that it was sent");
state = happens(event(1, "posted", { port: 7, waiting: 2, to: 1 }), lost, event(1, "delivered", { port: 7, waiting: 0 }));
assert.equal(state.ports[7], undefined, "a delivery was lost");

// The end of a callback was lost. Nothing runs when a loop tells all that it holds.
state = happens(began(1), lost, event(1, "all"));
assert.deepEqual(state.loops[1].running, []);

// The end of a job was lost, and its thread runs another one.
state = happens(submitted(11, 1), job(11, "started"), lost, submitted(12, 1), job(12, "started"));
assert.deepEqual(state.pools[1].running, [12]);
// The beginning of one was lost, and its end: the next one waits alone.
state = happens(job(12, "finished"), submitted(13, 1), lost, submitted(14, 1));
assert.deepEqual(state.pools[1].waiting, [14]);
// And of one whose end was lost too the next one that begins has waited for less long.
state = happens(submitted(15, 2), lost, job(15, "started"), job(15, "finished"));
assert.deepEqual([state.pools[1].waiting, state.pools[1].running], [[], []]);

// A job runs for as long as ten thousand others take.
happens(submitted(20, 1), event(6, "started", { id: 20, kind: "long job" }));
for (let id = 100; id < 100 + LINES_MAX + 2000; id += 500) {
  const ids = Array.from({ length: 500 }, (_, more) => id + more);
  state = happens(...ids.flatMap((one) => [submitted(one, 1), job(one, "started"), job(one, "finished")]));
}
assert.deepEqual(state.pools[1].running, [20]);
assert.ok(Object.keys(state.jobs).length <= LINES_MAX + 10);
state = happens(event(6, "finished", { id: 20 }));
assert.deepEqual(state.pools[1].running, []);

// Workers and their ports.
for (let worker = 1; worker <= 3 * LOOPS_MAX; worker += 1) {
  const track = 100 + worker;
  const port = { number: 1, port: 1000 + worker };
  state = happens(
    event(1, "spawned", { worker }), { what: "track", number: track, name: `worker ${worker}` }, event(track, "online", { worker }),
    event(track, "opened", { number: 1, kind: "message port", active: true }), event(track, "receives", port),
    event(1, "posted", { port: port.port, to: track, waiting: 1 }), event(track, "delivered", { port: port.port, waiting: 0 }),
    ...(worker % 2 ? [event(track, "closed", { number: 1 })] : []), event(track, "ended"));
}
assert.equal(state.tracks[100 + 3 * LOOPS_MAX].parent, 1);
for (const table of ["loops", "tracks", "ports", "spawned", "trackOf"]) {
  const size = Object.keys(state[table]).length;
  assert.ok(size <= LOOPS_MAX + 10, `${table}: ${size}`);
}

// Each of them had its row. There is none for those of which nothing is drawn, below their parents.
const known = new Set(Object.values(state.tracks).map(({ number }) => number).filter((track) => track !== 5 && track !== 6));
assert.ok(known.size > LOOPS_MAX - 10);
const drawn = [1, 100 + 3 * LOOPS_MAX - 1, 100 + 3 * LOOPS_MAX];
assert.deepEqual(rows(state, withRows(known, new Set(drawn))), drawn.map((track) => ({ track, depth: track === 1 ? 0 : 1 })));
const few = new Set([...known].slice(-100));
assert.equal(rows(state, withRows(few, new Set(drawn))).length, 100);

// A page that nobody sees is given time for a picture once a minute, and more comes until then.
class Stream extends EventTarget {
  close() {}
}
Object.assign(globalThis, { addEventListener() {}, EventSource: Stream, setInterval() {} });
let shown = [];
const context = { store: { get: (_, otherwise) => otherwise, set() {} }, changed() {}, follow() {}, load: (events) => (shown = events), append: (events) => shown.push(...events) };
const feed = new Feed(context);
const send = (...events) => feed.source.dispatchEvent(Object.assign(new Event("message"), { data: events.map((one) => JSON.stringify(one)).join("\n") }));
send({ what: "meta" });
for (let sent = 0; sent < 5 * BATCH_MAX; sent += 1000) {
  send(...Array.from({ length: 1000 }, () => event(1, "wait")));
  assert.ok(feed.batch.length < BATCH_MAX);
}
feed.take();
assert.equal(shown.length, 5 * BATCH_MAX + 1);
console.log("1 night");
