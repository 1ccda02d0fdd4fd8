// A recording may come from anywhere. Whatever stands in its lines, the page shows what it can: no line has
// it fail.
//
// usage: node hostile.mjs RECORDING…

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { inOrder, parse } from "../../src/inspect/page/events.js";
import { perfetto, svg } from "../../src/inspect/page/exports.js";
import { Replay } from "../../src/inspect/page/replay.js";
import { PHASES, alive, mainTrack, numbers } from "../../src/inspect/page/state.js";
import { sentence } from "../../src/inspect/page/words.js";
import { dice } from "./check.mjs";

const JUNK = [null, undefined, "", "constructor", "__proto__", "toString", "ticks", -1, 1e308, 0.5, true, [], [[]], {}, { name: 5 }, { program: 5 }];
const WORDS = ["all", "taken", "queued", "polled", "returned", "armed", "meta", "error", "lost", "dropped", "track", "online", "exited", "hasOwnProperty"];

/** The lines of a recording, some of them changed, lost or in another place. */
function spoilt(lines, roll) {
  const copy = [...lines];
  for (let times = 0; times < 12; times += 1) {
    const at = roll(copy.length);
    const event = JSON.parse(copy[at]);
    const keys = Object.keys(event);
    const key = keys[roll(keys.length)];
    const junk = JUNK[roll(JUNK.length)];
    switch (roll(6)) {
      case 0: copy.splice(at, 1); break;
      case 1: copy.splice(roll(copy.length), 0, copy[at]); break;
      case 2: copy[at] = JSON.stringify({ ...event, what: WORDS[roll(WORDS.length)] }); break;
      case 3: copy[at] = JSON.stringify({ ...event, what: "meta", program: junk, statements: junk }); break;
      default: copy[at] = JSON.stringify({ ...event, [key]: junk });
    }
  }
  return copy;
}

function isShown(text) {
  const events = inOrder(parse(text));
  const replay = new Replay(events);
  events.forEach((event, at) => assert.equal(typeof sentence(replay.at(at), event), "string"));
  const end = replay.end();
  for (const loop of Object.values(end.loops)) {
    alive(loop);
    PHASES.forEach((phase) => numbers(loop, phase));
  }
  mainTrack(end);
  JSON.parse(perfetto(end));
  assert.match(svg(end), /^<svg /);
}

let count = 0;
for (const path of process.argv.slice(2)) {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  const roll = dice(lines.length);
  for (let round = 0; round < 25; round += 1) {
    const text = spoilt(lines, roll).join("\n");
    try {
      isShown(text);
    } catch (error) {
      error.message += `\nin ${path}, round ${round}`;
      throw error;
    }
    count += 1;
  }
}
assert.equal({}.what, undefined, "nothing was written where all objects look");
console.log(`${count} recordings`);
