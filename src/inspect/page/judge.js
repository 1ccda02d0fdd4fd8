// Is a prediction right? And if not: where does it go wrong?

/** How many entries of two lists are the same, from the beginning. */
export function common(one, other) {
  let at = 0;
  while (at < one.length && at < other.length && one[at] === other[at]) at += 1;
  return at;
}

/**
 * Judges an order. `actual` is what came in the run; `traces` are all that can come, if more than one
 * is known. Returns { right, isRace, isActual, at, expected }: `at` is the place of the first
 * difference, and `expected` what can stand there (null for the end).
 */
export function judge(guess, actual, traces = []) {
  const others = traces.filter((trace) => common(trace, actual) < Math.max(trace.length, actual.length));
  const all = [actual, ...others];
  const isRace = all.length > 1;
  const isSame = (trace) => trace.length === guess.length && common(trace, guess) === guess.length;
  if (all.some(isSame)) return { right: true, isRace, isActual: isSame(actual), at: guess.length, expected: [] };
  const at = Math.max(...all.map((trace) => common(trace, guess)));
  const near = all.filter((trace) => common(trace, guess) === at);
  return { right: false, isRace, isActual: false, at, expected: [...new Set(near.map((trace) => trace[at] ?? null))] };
}

/** What can come after these, with several traces possible. Null stands for the end. */
export function nextOf(before, actual, traces = []) {
  const possible = [actual, ...traces].filter((trace) => common(trace, before) === before.length);
  return [...new Set(possible.map((trace) => trace[before.length] ?? null))];
}

/** A number from 0 to 1 for each call, the same ones for the same text. */
export function dice(text) {
  let state = 2166136261;
  for (const c of text) state = Math.imul(state ^ c.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A list in an order that tells nothing, the same one each time. */
export function shuffled(list, text) {
  const roll = dice(text);
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = Math.floor(roll() * (at + 1));
    [copy[at], copy[other]] = [copy[other], copy[at]];
  }
  return copy;
}

/** The labels of all of these lists, each as often as it is in one of them. */
export const together = (lists) => lists.reduce((all, list) => [...all, ...less(list, all)], []);

/** A list of labels less those of another one, each as often as it is there. */
export function less(labels, others) {
  const left = [...others];
  return labels.filter((label) => {
    const at = left.indexOf(label);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
