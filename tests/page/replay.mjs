// Stepping back is stepping forward again: whatever way one comes to a moment of a recording, the state is
// that which the events up to there have made. And order: no effect stands before its cause, nothing is
// lost, and on a track nothing changes places.
//
// usage: node replay.mjs RECORDING…

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { inOrder, parse } from "../../src/inspect/page/events.js";
import { Replay } from "../../src/inspect/page/replay.js";
import { LINES_MAX, mainTrack } from "../../src/inspect/page/state.js";
import { KINDS, next, previous } from "../../src/inspect/page/steps.js";
import { sentence } from "../../src/inspect/page/words.js";
import { dice, load, states } from "./check.mjs";

function steppingBackIsReplay(events, all) {
  const roll = dice(events.length + 1);
  const replay = new Replay(events, { every: 50 });
  for (let times = 0; times < 60; times += 1) {
    const position = roll(events.length + 1);
    assert.deepEqual(replay.at(position), all[position], `position ${position}`);
  }
  assert.deepEqual(replay.end(), all.at(-1));
}

/** Events that come bit by bit make what they make at once, though the oldest are forgotten. */
function partsMakeTheWhole(events, all) {
  for (const most of [undefined, 400]) {
    const replay = new Replay([], { most, every: 100 });
    for (let at = 0; at < events.length; at += 37) replay.append(events.slice(at, at + 37));
    assert.ok(replay.events.length <= (most ?? Infinity));
    assert.deepEqual(replay.at(replay.events.length), all.at(-1));
    assert.deepEqual(replay.end(), all.at(-1));
  }
}

function onATrackNothingChangesPlaces(path, ordered) {
  const recorded = parse(readFileSync(path, "utf8"));
  assert.equal(ordered.length, recorded.length, "nothing is lost");
  const ofTrack = (events, track) => events.filter((event) => event.track === track && event.at !== undefined && !["track", "said", "statement"].includes(event.what));
  for (const track of new Set(recorded.map((event) => event.track))) {
    const plain = ofTrack(ordered, track).map(({ what, id, at }) => [what, id, at]);
    assert.deepEqual(plain, ofTrack(recorded, track).map(({ what, id, at }) => [what, id, at]), `track ${track}`);
  }
}

function noEffectStandsBeforeItsCause(ordered) {
  const known = new Set(ordered.filter((event) => ["began", "submitted"].includes(event.what)).map((event) => event.id));
  const seen = new Set();
  const waiting = new Map();
  for (const event of ordered) {
    if (["began", "submitted"].includes(event.what)) seen.add(event.id);
    if (event.what === "began" && known.has(event.cause)) assert.ok(seen.has(event.cause), `the cause of ${event.id}`);
    if (event.what === "started" && known.has(event.id)) assert.ok(seen.has(event.id), `the job ${event.id}`);
    if (event.what === "posted" && event.port) waiting.set(event.port, (waiting.get(event.port) ?? 0) + 1);
    if (event.what !== "delivered") continue;
    waiting.set(event.port, waiting.get(event.port) - 1);
    assert.ok(waiting.get(event.port) >= 0, `a message of port ${event.port}`);
  }
}

/** From end to beginning one comes by the same steps as from beginning to end. */
function stepsGoBothWays(events) {
  for (const kind of KINDS) {
    const there = [];
    for (let at = next(events, 0, kind); at !== null; at = next(events, at, kind)) there.push(at);
    const back = [];
    for (let at = previous(events, events.length + 1, kind); at !== null; at = previous(events, at, kind)) back.push(at);
    assert.deepEqual(back.reverse(), there, kind.name);
  }
}

function eachSentenceIsWhole(events, all) {
  events.forEach((event, at) => {
    const words = sentence(all[at], event);
    assert.ok(!/undefined|null|NaN|\[object/.test(words), `${event.what}: ${words}`);
  });
}

function theLedgerHasEachCallbackOnce(events, last) {
  const ids = events.filter((event) => event.what === "began").map((event) => event.id);
  assert.ok(ids.length < LINES_MAX);
  assert.deepEqual(last.ledger.map((line) => line.id), ids);
  const texts = events.filter((event) => event.what === "said" && ids.includes(event.id)).length;
  assert.equal(last.ledger.flatMap((line) => line.said).length, texts);
}

/** What the callbacks of the main loop have printed, in the order of the ledger, is the trace. */
function theLedgerIsTheTrace(events, last) {
  const { labels } = events.find((event) => event.what === "trace");
  const main = mainTrack(last);
  const printed = last.ledger.filter((line) => line.track === main).flatMap((line) => line.said);
  assert.deepEqual(printed, labels);
}

let count = 0;
for (const path of process.argv.slice(2)) {
  const events = load(path);
  const all = states(events);
  steppingBackIsReplay(events, all);
  partsMakeTheWhole(events, all);
  onATrackNothingChangesPlaces(path, events);
  assert.deepEqual(inOrder(events), events, "what is in order stays so");
  noEffectStandsBeforeItsCause(events);
  stepsGoBothWays(events);
  eachSentenceIsWhole(events, all);
  theLedgerHasEachCallbackOnce(events, all.at(-1));
  theLedgerIsTheTrace(events, all.at(-1));
  count += 1;
}
console.log(`${count} recordings`);
