// The statement that the page tells from events is the one that examples/scenario/order.rs tells: the lines
// of a study bring it along.
//
// usage: node why.mjs RECORDING…

import assert from "node:assert/strict";
import { Replay } from "../../src/inspect/page/replay.js";
import { statementOf } from "../../src/inspect/page/why.js";
import { load } from "./check.mjs";

/**
 * Without details a delay counts from where the callback began that armed the timer. Of one that was armed
 * later in it, or refreshed, the events know better.
 */
function isMoved(ledger, line) {
  const armer = ledger.find((one) => one.id === line?.cause);
  return Boolean(line?.firing) && line.firing.from !== armer?.at;
}

let compared = 0;
const differ = [];
for (const path of process.argv.slice(2)) {
  const state = new Replay(load(path)).end();
  let timer = null; // The one before.
  state.ledger.forEach((line, at) => {
    const before = timer;
    if (line.firing) timer = line;
    if (line.firing?.count === 1 && (isMoved(state.ledger, line) || isMoved(state.ledger, before))) return;
    const told = statementOf(state, state.ledger, at);
    compared += 1;
    if (told !== line.statement) differ.push(`${path} line ${at + 1}, ${line.kind} ${line.said.join()}: ${told}, not ${line.statement}`);
  });
}
assert.deepEqual(differ, []);
console.log(`${compared} callbacks`);
