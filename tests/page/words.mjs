// What the page says of a live program and of what waits, word for word.
//
// usage: node words.mjs

import assert from "node:assert/strict";
import { ofProgram, parse, parseSummary } from "../../src/inspect/page/events.js";
import { blockedWords, kindsOf, nameOf, trackName, where } from "../../src/inspect/page/words.js";

let compared = 0;
function says(words, expected) {
  assert.equal(words, expected);
  compared += 1;
}

// A summary: with a label, without one, and of what began before anybody looked on.
const blocked = { track: 1, name: "main", worker: 0, took: 1_300_000_000, waiting: 0 };
const summary = parseSummary(JSON.stringify({
  blocked: [
    { ...blocked, kind: "timer", phase: "timers", place: "page.js:12:3", label: "render", waiting: 2 },
    { ...blocked, kind: "TCP stream", phase: "poll", place: "examples/http/connection.rs:199:25", waiting: 1 },
    { ...blocked, kind: "immediate", phase: "check", place: "page.js:15:0", label: "render" },
    { ...blocked, kind: null, phase: null, place: null },
  ],
  longest: [{ kind: "timer", place: "page.js:12:3", label: "render" }],
  threads: [{ job: null }, { job: { kind: "job", place: "page.js:15:0", label: "sum" } }],
}));
const [labelled, plain, , before] = summary.blocked;
says(blockedWords(labelled), "The loop “main” is blocked now, by timer “render” at page.js:12, in phase timers, for 1.3 s; 2 things wait behind it.");
says(blockedWords(plain), "The loop “main” is blocked now, by TCP stream at connection.rs:199, in phase poll, for 1.3 s; 1 thing waits behind it.");
says(blockedWords(before), "The loop “main” is blocked now, by a callback that began before anybody looked on, for 1.3 s.");
says(nameOf(summary.longest[0]), "timer “render”");
says(where(summary.longest[0]), "page.js:12");
says(nameOf(summary.threads[1].job), "job “sum”");

// A name stands in its place, whatever is in it, and has an end.
const named = (name) => nameOf({ kind: "timer", label: { name } });
says(named("\u202eevil\u2066\n\u0007"), "timer “\ufffdevil\ufffd\ufffd\ufffd”");
says(named("שלום"), "timer “שלום”");
says(String(named("x".repeat(1e6)).length), "128");
says(String(nameOf({ kind: "timer", said: Array(30_000).fill("output") }).length), "128");
says(trackName({ tracks: { 3: { name: "a\u202eb" } } }, 3), "a\ufffdb");
says(trackName({ tracks: {} }, 3), "track 3");

// What keeps a loop alive.
const of = (...kinds) => kinds.map((kind) => ({ kind }));
says(kindsOf(of("timer")), "1 timer");
says(kindsOf(of("timer", "worker", "timer")), "2 timers, 1 worker");
says(kindsOf(of("timer", "worker", "interval", "message port")), "1 timer, 1 worker and 2 others");

// A line that is none of the program's is no place of it.
const began = { what: "began", at: 0, track: 1, id: 1, kind: "timer", phase: "timers" };
const spots = ["examples/runner.rs:3:1", "/tmp/a/main.js:4:2", null];
const events = parse(spots.map((place) => JSON.stringify({ ...began, place })).join("\n"));
const places = (files) => ofProgram(events, files).map(({ place }) => place);
assert.deepEqual(places([{ name: "main.js", text: "" }]), [null, "/tmp/a/main.js:4:2", null]);
assert.deepEqual(places(undefined), events.map(({ place }) => place));

console.log(`${compared} sentences`);
