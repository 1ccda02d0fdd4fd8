// One change of a program: what can be changed, and the program with it.

import { all, changedAt } from "./operations.js";

/** A millisecond more or less is no lesson; this one is. */
const BLOCK = 20;

/** The operation as another kind of callback, with its label and what it calls back. */
function as(op, { id, body, var: kept }, more = {}) {
  const isKept = kept !== undefined && ["timeout", "immediate", "interval"].includes(op);
  return { op, id, ...more, ...(isKept ? { var: kept } : {}), ...(body ? { body } : {}) };
}

/** What can become of one operation: [title, the operations in its place]. */
function ofOne(op) {
  const name = op.id;
  switch (op.op) {
    case "tick":
      return [[`the tick ${name} is a microtask`, [as("micro", op)]], [`the tick ${name} is an immediate`, [as("immediate", op)]]];
    case "micro":
      return [[`the microtask ${name} is a tick`, [as("tick", op)]], [`the microtask ${name} is an immediate`, [as("immediate", op)]]];
    case "immediate":
      return [[`the immediate ${name} is a timer of 0 ms`, [as("timeout", op, { ms: 0 })]], [`the immediate ${name} is a tick`, [as("tick", op)]]];
    case "timeout":
      return [
        [`the timer ${name} is an immediate`, [as("immediate", op)]],
        op.ms === 0 ? [`the timer ${name} has 20 ms`, [{ ...op, ms: 20 }]] : [`the timer ${name} has 0 ms`, [{ ...op, ms: 0 }]],
      ];
    case "block":
      return [["the script does not block there", []], [`it blocks for ${op.ms === BLOCK ? 2 * BLOCK : BLOCK} ms`, [{ ...op, ms: op.ms === BLOCK ? 2 * BLOCK : BLOCK }]]];
    case "clear":
    case "refresh":
    case "unref":
    case "close":
      return [[`there is no “${op.op} ${op.var ?? op.port}”`, []]];
    default:
      return [];
  }
}

// ----- JavaScript -----

/** What can stand in the place of a call. A timer without a delay has one of 1 ms. */
const CALLS = {
  "process.nextTick": ["queueMicrotask", "setImmediate"],
  queueMicrotask: ["process.nextTick", "setImmediate"],
  setImmediate: ["setTimeout", "process.nextTick"],
  setTimeout: ["setImmediate"],
};

/** A comment, a text, or one of these calls. */
const CODE = /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`|(?<![\w$.])(?<call>process\.nextTick|queueMicrotask|setImmediate|setTimeout)(?=\s*\()/g;

const BUSY = `
{ // Keeps the thread busy.
  const end = performance.now() + ${BLOCK};
  while (performance.now() < end);
}
`;

/** A change, whose program is made when it is asked for: a program has many. */
const change = (key, title, make) => ({ key, title, get program() { return make(); } });

/** The changes of a program's text: one call is another one, or the script blocks at its end. */
function ofFiles(program) {
  const { files } = program;
  const withFile = (name, text) => ({ ...program, scenario: null, files: { ...files, [name]: text } });
  const isOne = Object.keys(files).length === 1;
  const changes = [];
  for (const [name, text] of Object.entries(files)) {
    let [line, before] = [1, 0];
    for (const { index, groups: { call } } of text.matchAll(CODE)) {
      line += text.slice(before, index).split("\n").length - 1;
      before = index;
      for (const other of CALLS[call] ?? []) {
        const title = `${call} in line ${line}${isOne ? "" : ` of ${name}`} is ${other}`;
        changes.push(change(`${name} ${index} ${other}`, title, () => withFile(name, text.slice(0, index) + other + text.slice(index + call.length))));
      }
    }
  }
  return [...changes, change("block", `the script blocks for ${BLOCK} ms at its end`, () => withFile("main.js", files["main.js"] + BUSY))];
}

/** All changes of a program: [{ key, title, program }]. */
export function changesOf(program) {
  const changes = [];
  const threads = program.pool ?? program.scenario?.pool ?? 4;
  const other = threads === 1 ? 4 : 1;
  const usesPool = program.language === "javascript" || [...all(program.scenario.main)].some(({ op }) => op.op === "stat");
  if (usesPool) changes.push(change("pool", `the pool has ${other} thread${other === 1 ? "" : "s"} instead of ${threads}`, () => ({ ...program, pool: other })));
  if (program.language === "javascript") return [...changes, ...ofFiles(program)];
  const { main } = program.scenario;
  const withMain = (body) => ({ ...program, files: null, scenario: { ...program.scenario, main: body } });
  for (const { op, path } of all(main)) {
    ofOne(op).forEach(([title, instead], at) =>
      changes.push(change(`${path.join(".")} ${at}`, title, () => withMain(changedAt(main, path, () => instead)))));
  }
  changes.push(change("block", `the script blocks for ${BLOCK} ms at its end`, () => withMain([...main, { op: "block", ms: BLOCK }])));
  return changes;
}
