// The operations of a scenario: what each is called, what stands in it, and what it calls back.
// tests/conformance/README.md says what each does.

/** A field: its name in the scenario, its name on the page, what it takes, and what it is. */
const id = { field: "id", title: "label", type: "text", about: "What it prints when it is called" };
const ms = { field: "ms", title: "ms", type: "number", about: "In milliseconds" };
const times = { field: "times", title: "times", type: "number", about: "After so many it is over" };
const kept = { field: "var", title: "kept in", type: "text", optional: true, about: "A variable by which other operations find it, such as clear or refresh. May be empty" };
const of = { field: "var", title: "of", type: "text", about: "The variable in which it was kept" };
const port = { field: "port", title: "port", type: "text", about: "The variable of the port" };
const value = { field: "value", title: "value", type: "text", about: "The message" };

/** What is made when one is added, its fields, and its parts: bodies, or maps of bodies by message. */
export const OPERATIONS = {
  log: { title: "say", fields: [id], parts: [] },
  tick: { title: "tick", fields: [id], parts: ["body"] },
  micro: { title: "microtask", fields: [id], parts: ["body"] },
  immediate: { title: "immediate", fields: [id, kept], parts: ["body"] },
  timeout: { title: "timeout", fields: [id, ms, kept], parts: ["body"] },
  interval: { title: "interval", fields: [id, ms, times, kept], parts: ["body"] },
  stat: { title: "file request", fields: [id], parts: ["body"] },
  block: { title: "block", fields: [ms], parts: [] },
  clear: { title: "clear", fields: [of], parts: [] },
  refresh: { title: "refresh", fields: [of], parts: [] },
  unref: { title: "unref", fields: [of], parts: [] },
  ref: { title: "ref", fields: [of], parts: [] },
  throw: { title: "throw", fields: [id], parts: [] },
  before_exit: { title: "before exit", fields: [id, times], parts: ["body"] },
  at_exit: { title: "at exit", fields: [id], parts: ["body"] },
  exit: { title: "exit", fields: [{ field: "code", title: "code", type: "number" }], parts: [] },
  channel: { title: "channel", fields: [{ field: "a", title: "port", type: "text" }, { field: "b", title: "and", type: "text" }], parts: [] },
  listen: { title: "listen", fields: [id, port, times], parts: [], answers: "on" },
  send: { title: "send", fields: [value, { ...port, title: "by" }], parts: [] },
  close: { title: "close", fields: [port], parts: [] },
  on_close: { title: "on close", fields: [id, port], parts: ["body"] },
  worker: { title: "worker", fields: [id, kept, { field: "online", title: "tells when online", type: "checkbox" }], parts: ["program", "on_online", "on_error", "on_exit"], answers: "on_message" },
  post: { title: "post", fields: [value, { field: "to", title: "to", type: "text" }], parts: [] },
  receive: { title: "receive", fields: [id, times], parts: [], answers: "on" },
  terminate: { title: "terminate", fields: [of], parts: [] },
};

/** What a part is called where it is not just the body. */
export const PARTS = {
  program: "its program",
  on_online: "when it is online",
  on_error: "when it fails",
  on_exit: "when it has ended",
};

/** A new operation of a kind. `label` is free in the program. */
export function make(kind, label) {
  const start = { id: label, ms: 10, times: 1, code: 0, a: "a", b: "b", port: "a", value: "x", to: "w", var: "t1" };
  const op = { op: kind };
  for (const { field, optional, type } of OPERATIONS[kind].fields) {
    if (!optional && type !== "checkbox") op[field] = start[field];
  }
  if (kind === "worker") op.program = [];
  return op;
}

/** The bodies in an operation, with how to reach each. */
export function bodies(op) {
  const { parts, answers } = OPERATIONS[op.op];
  const own = parts.map((part) => ({ path: [part], title: PARTS[part] ?? null, body: op[part] ?? [] }));
  const on = Object.entries(answers ? (op[answers] ?? {}) : {});
  return [...own, ...on.map(([message, body]) => ({ path: [answers, message], title: `on ${message}`, body }))];
}

/** A program of more operations, or one in which they stand deeper in each other, cannot be edited. */
const OPERATIONS_MAX = 10_000;
const DEPTH_MAX = 500;

/** Whether this is a body that can be shown: a list of operations, each with parts that can be shown too. */
export function isBody(body) {
  let left = OPERATIONS_MAX;
  const isMap = (value) => value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
  const isKnown = (op) => isMap(op ?? null) && Object.hasOwn(OPERATIONS, op.op) && isMap(op[OPERATIONS[op.op].answers]);
  const isShown = (own, depth) => Array.isArray(own) && depth < DEPTH_MAX && (left -= own.length) >= 0 &&
    own.every((op) => isKnown(op) && bodies(op).every((part) => isShown(part.body, depth + 1)));
  return isShown(body, 0);
}

/** All operations of a body, those in others too, each with its path: indices and names of parts. */
export function* all(body, path = []) {
  for (const [at, op] of body.entries()) {
    const own = [...path, at];
    yield { op, path: own };
    for (const part of bodies(op)) yield* all(part.body, [...own, ...part.path]);
  }
}

/** A copy of a body in which the operation at `path` is what `change` makes of it: any number of operations. */
export function changedAt(body, path, change) {
  const copy = structuredClone(body);
  let within = copy;
  for (const step of path.slice(0, -1)) within = within[step] ??= [];
  const at = path.at(-1);
  within.splice(at, 1, ...change(within[at]));
  return copy;
}

/** A copy of a body with an operation more, in the body at `path`. */
export function addedTo(body, path, op) {
  const copy = structuredClone(body);
  let within = copy;
  path.forEach((step, at) => {
    const isLast = at === path.length - 1;
    // The answers of a listener are a map, everything else a list.
    within = within[step] ??= isLast || !["on", "on_message"].includes(step) ? [] : {};
  });
  within.push(op);
  return copy;
}

/** The labels that a body can say, those of workers left out. */
export function labels(body) {
  const found = [];
  for (const op of body) {
    if (op.op === "throw") found.push(`!${op.id}`);
    else if (op.id !== undefined && !["worker", "listen", "receive"].includes(op.op)) found.push(op.id);
    if (op.op === "worker") {
      for (const part of [op.on_online, op.on_error, op.on_exit, ...Object.values(op.on_message ?? {})]) found.push(...labels(part ?? []));
    } else {
      for (const { body: inner } of bodies(op)) found.push(...labels(inner));
    }
  }
  return found;
}

/** A label that the program does not have yet. */
export function freeLabel(main, kind) {
  const taken = new Set([...all(main)].map(({ op }) => op.id));
  const letter = { tick: "n", micro: "m", interval: "v", log: "l" }[kind] ?? kind[0];
  let number = 1;
  while (taken.has(`${letter}${number}`)) number += 1;
  return `${letter}${number}`;
}
