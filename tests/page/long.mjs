// A program that is very long, or that comes with a link of whomever: its changes are told in the time of
// its length, and one that cannot be shown is none.
//
// usage: node long.mjs

import assert from "node:assert/strict";
import { changesOf } from "../../src/inspect/page/changes.js";
import { isProgram } from "../../src/inspect/page/programs.js";

/** A second is plenty; each change was a copy of the whole program. */
const SECONDS_MAX = 8;

const scenario = (main) => ({ language: "scenario", title: "long", scenario: { name: "long", main } });
const ticks = (amount) => Array.from({ length: amount }, (_, at) => ({ op: "tick", id: `n${at}` }));
const script = { language: "javascript", title: "long", files: { "main.js": "setTimeout(f);\n".repeat(60_000) } };

function deep(depth) {
  let main = [];
  for (let at = 0; at < depth; at += 1) main = [{ op: "tick", id: `n${at}`, body: main }];
  return main;
}

const before = process.cpuUsage();
for (const [program, least] of [[scenario(ticks(10_000)), 20_000], [scenario(deep(400)), 800], [script, 60_000]]) {
  assert.ok(isProgram(program));
  const changes = changesOf(program);
  assert.ok(changes.length >= least);
  assert.ok(isProgram(changes[0].program));
}
assert.ok(changesOf(script).at(-2).title.startsWith("setTimeout in line 60000 is"));
const seconds = process.cpuUsage(before).user / 1e6;
assert.ok(seconds < SECONDS_MAX, `${seconds} s`);

assert.ok(!isProgram(scenario(ticks(10_001))));
assert.ok(!isProgram(scenario(deep(600))));
assert.ok(!isProgram(scenario(deep(20_000))));
console.log("3 programs");
