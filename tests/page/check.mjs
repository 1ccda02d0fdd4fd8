// What the tests of the page share.

import { readFileSync } from "node:fs";
import { inOrder, parse } from "../../src/inspect/page/events.js";
import { initial, step } from "../../src/inspect/page/state.js";

/** The events of a recording, in order. */
export const load = (path) => inOrder(parse(readFileSync(path, "utf8")));

/** Numbers that look random, and are the same each time. */
export function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** Whoever changes something of a value after this throws. */
export function frozen(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  Object.values(value).forEach(frozen);
  return value;
}

/** The states after 0, 1, 2, … events, none of which can be changed any more. */
export function states(events) {
  const all = [frozen(initial())];
  for (const event of events) all.push(frozen(step(all.at(-1), frozen(event))));
  return all;
}
