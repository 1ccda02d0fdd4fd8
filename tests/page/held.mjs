// What a loop, its pool and its ports hold, as the page knows it, is what the reader of tests/common/held.rs
// knows. tests/page.rs has recorded programs, and has written after each beginning of a callback what that
// reader knew: {"what":"truth","id":CALLBACK,"held":{…}}.
//
// usage: node held.mjs RECORDING…

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "../../src/inspect/page/events.js";
import { alive, initial, step } from "../../src/inspect/page/state.js";
import { frozen } from "./check.mjs";

const sorted = (list) => list.map((one) => JSON.stringify(one)).sort();
const lengths = (list) => list.filter((length) => length > 0);

/** What the page knows of a loop, in the words of the truth. */
function held(state, track) {
  const loop = state.loops[track];
  const timers = Object.values(loop.timers);
  return {
    alive: sorted(alive(loop).map(({ kind, place }) => [kind, place])),
    handles: sorted(Object.values(loop.handles).map(({ kind, place, active, busy, referenced }) => [kind, place, active, busy, referenced])),
    timers: sorted(timers.map(({ kind, place, delay, due, referenced }) => [kind, place, delay, due, referenced])),
    immediates: loop.immediates.map(({ place, referenced }) => [place, referenced]),
    waiting: Object.fromEntries(
      ["ticks", "microtasks", "pending", "closing", "poll_last"].map((queue) => [queue, loop[queue].length]).concat(
        ["ready", "completions", "posts"].map((queue) => [queue, loop[queue]])),
    ),
    iterations: loop.iterations,
    events: loop.events,
    idle: loop.idle,
    running: loop.running,
    ports: sorted(lengths(Object.values(state.ports).map((port) => port.waiting))),
    pools: sorted(Object.values(state.pools).map((pool) => [pool.waiting.length, pool.slow.length, pool.running.length, pool.finished])),
  };
}

/** The truth, its lists in the same order. */
const inOrderOfWords = (truth) => ({
  ...truth, alive: sorted(truth.alive), handles: sorted(truth.handles), timers: sorted(truth.timers), ports: sorted(truth.ports), pools: sorted(truth.pools),
});

let compared = 0;
for (const path of process.argv.slice(2)) {
  let state = frozen(initial());
  for (const event of parse(readFileSync(path, "utf8"))) {
    if (event.what !== "truth") {
      state = frozen(step(state, event));
      continue;
    }
    const callback = `${path}: callback ${event.id} on track ${event.track}, ${state.seen} events`;
    assert.deepEqual(held(state, event.track), inOrderOfWords(event.held), callback);
    compared += 1;
  }
}
console.log(`${compared} moments`);
