// The statement that the page tells from events is the one that examples/scenario/order.rs tells: the lines
// of a study bring it along.
//
// usage: node why.mjs RECORDING…

import assert from "node:assert/strict";
import { Replay } from "../../src/inspect/page/replay.js";
import { statementOf } from "../../src/inspect/page/why.js";
import { load } from "./check.mjs";

let compared = 0;
const differ = [];
for (const path of process.argv.slice(2)) {
  const state = new Replay(load(path)).end();
  state.ledger.forEach((line, at) => {
    const told = statementOf(state, state.ledger, at);
    compared += 1;
    if (told !== line.statement) differ.push(`${path} line ${at + 1}, ${line.kind} ${line.said.join()}: ${told}, not ${line.statement}`);
  });
}
assert.deepEqual(differ, []);
console.log(`${compared} callbacks`);
