// Is a prediction judged rightly, and can each order that is right be put together?
//
// usage: node judge.mjs

import assert from "node:assert/strict";
import { MODES } from "../../src/inspect/page/asking.js";
import { judge, less, nextOf, together } from "../../src/inspect/page/judge.js";

let count = 0;
const is = (value, expected) => {
  assert.deepEqual(value, expected);
  count += 1;
};

// An interval that something of another thread stops comes twice, or three times.
const actual = ["v", "v", "stat"];
const traces = [actual, ["v", "v", "v", "stat"], ["v", "stat", "end"]];
const cards = together([actual, ...traces, ["never"]]);
is(cards.toSorted(), ["end", "never", "stat", "v", "v", "v"]);
for (const trace of traces) {
  is(less(trace, cards), []);
  is(judge(trace, actual, traces).right, true);
}
is(judge(["v", "v", "end"], actual, traces), { right: false, isRace: true, isActual: false, at: 2, expected: ["stat", "v"] });
is(judge(["v", "v"], actual, traces).expected, ["stat", "v"]);
is(judge([...actual, "end"], actual, traces), { right: false, isRace: true, isActual: false, at: 3, expected: [null] });
is(nextOf(["v"], actual, traces), ["v", "stat"]);
is(judge(actual, actual, [actual]).isRace, false);

// A script that ends by an error has ended; one that was cut off has not, whatever else went wrong in it.
const { questions } = MODES.find((one) => one.key === "ends");
const thrown = { text: "ReferenceError: nothing is not defined", file: "main.js", line: 3 };
const cut = { text: "cut off after 5 s: it had not ended", file: null, line: null };
for (const [errors, right, why] of [[[], "yes", /holds the loop/], [[thrown], "yes", /ReferenceError/], [[thrown, cut], "no", /cut off/]]) {
  const [question] = questions({ events: [], lines: [], labels: [], traces: [], errors });
  is(question.right, [right]);
  assert.match(question.why, why);
}
console.log(`${count} judgements`);
