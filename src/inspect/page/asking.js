// The questions of a prediction that are asked one by one.
//
// A question is { ask, choices: [{ value, title }], number?, right: [values], why, statement, line,
// moment }: `number` is the choice that wants a number, `right` all answers that are right, `line` the
// callback that it is about, and `moment` how many events there were when it was asked.

import { nextOf } from "./judge.js";
import { momentBefore, printed } from "./programs.js";
import { PHASES } from "./state.js";
import { NO_SLEEP, isOfDrain, time } from "./words.js";

/** So many questions of one kind are enough. */
const PHASES_MAX = 8;
const SLEEPS_MAX = 4;

const END = "\u0000end";
const choice = (value) => ({ value, title: value });

/** What comes next? `labels` are all cards. */
function next({ events, lines, labels, traces }) {
  const said = printed(lines);
  const actual = said.map(({ text }) => text);
  const titles = [...new Set(labels)].map(choice);
  return [...actual.keys(), actual.length].map((at) => {
    const right = nextOf(actual.slice(0, at), actual, traces).map((text) => text ?? END);
    const line = said[at]?.line ?? null;
    return {
      ask: at === 0 ? "Which one comes first?" : "Which one comes next?",
      choices: [...titles, { value: END, title: "none: it ends" }],
      right,
      why: right.length > 1 ? `${right.length} answers are right here: real time decides. In this run it was ${actual[at] ?? "the end"}.` : "",
      statement: line?.statement ?? null,
      line,
      moment: line ? momentBefore(events, line) : null,
      before: actual.slice(0, at),
    };
  });
}

const MAIN = "the main script";
const DRAIN = "in none: the drain after a callback";
const OUTSIDE = "outside of the iterations";

/** The statement that says so of a phase. Of the others that is the one that lists them. */
const STATEMENTS = { [MAIN]: "O-1", [DRAIN]: "O-10" };

function phaseOf(line) {
  if (isOfDrain(line)) return DRAIN;
  if (line.phase === "main") return line.kind === "main" ? MAIN : OUTSIDE;
  return line.phase;
}

/** In which phase does it run? */
function phase({ events, lines }) {
  const said = printed(lines);
  const seen = new Set();
  const own = said.filter(({ line }) => !seen.has(line.id) && seen.add(line.id));
  const values = [MAIN, ...PHASES, DRAIN, OUTSIDE];
  return own.slice(0, PHASES_MAX).map(({ text, line }, at) => ({
    ask: `In which phase does “${text}” run?`,
    choices: values.map(choice),
    right: [phaseOf(line)],
    why: "",
    statement: phaseOf(line) === OUTSIDE ? line.statement : (STATEMENTS[phaseOf(line)] ?? "O-3"),
    line,
    moment: momentBefore(events, line),
    before: own.slice(0, at).map((one) => one.text),
  }));
}

export const NOT = "it does not sleep";
const LONG = "it sleeps until something comes from outside";
const FOR = "it sleeps this many milliseconds:";

/** Will poll sleep, and how long? */
function sleep({ lines, sleeps }) {
  const main = lines[0]?.track;
  const said = printed(lines);
  const own = sleeps.filter((one) => one.track === main && one.until !== null);
  return own.slice(0, SLEEPS_MAX).map((one, at) => {
    const isShort = one.timeout === 0;
    const isLong = one.timeout === null || one.timeout === undefined;
    const length = isLong ? null : Math.ceil(one.timeout / 1e6);
    const why = isShort
      ? `It does not sleep: ${NO_SLEEP[one.no_sleep] ?? one.no_sleep ?? "something is ready"}.`
      : isLong ? "No timer runs: only something from outside can wake it." : `The next timer is due at ${time(one.at + one.timeout)}, and it is ${time(one.at)}.`;
    return {
      ask: `The loop comes to poll, for the ${ordinal(at + 1)} time, at ${time(one.at)}. Does it sleep?`,
      choices: [choice(NOT), { value: FOR, title: FOR, number: true }, choice(LONG)],
      right: [isShort ? NOT : isLong ? LONG : `${FOR} ${length}`],
      why,
      statement: "O-5",
      line: lines.find((line) => line.began > one.began) ?? null,
      moment: one.began - 1,
      before: said.filter(({ line }) => line.began < one.began).map(({ text }) => text),
    };
  });
}

const ordinal = (number) => ["", "first", "second", "third", "fourth"][number] ?? `${number}th`;

/** Does it end, and with which callback? */
function ends({ events, lines, labels, errors, traces }) {
  const said = printed(lines);
  const last = said.at(-1);
  // An error with a line is the script's own, and ends it. What keeps a program from its end has none.
  const doesEnd = errors.every(({ file }) => file !== null);
  const questions = [{
    ask: "Does this program end by itself?",
    choices: [choice("yes"), choice("no")],
    right: [doesEnd ? "yes" : "no"],
    why: errors.find(({ file }) => (file !== null) === doesEnd)?.text ?? "Nothing is left that holds the loop.",
    statement: null,
    line: last?.line ?? null,
    moment: null,
    before: [],
  }];
  if (doesEnd && last) {
    const right = [...new Set([last.text, ...traces.map((trace) => trace.at(-1))])];
    questions.push({
      ask: "What is the last that it prints?",
      choices: [...new Set(labels)].map(choice),
      right,
      why: right.length > 1 ? `${right.length} answers are right here: real time decides. In this run it was ${last.text}.` : "",
      statement: last.line.statement,
      line: last.line,
      moment: momentBefore(events, last.line),
      before: [],
    });
  }
  return questions;
}

export const MODES = [
  { key: "whole", title: "The whole order" },
  { key: "next", title: "The next callback", questions: next },
  { key: "phase", title: "Which phase", questions: phase },
  { key: "sleep", title: "Does poll sleep", questions: sleep },
  { key: "ends", title: "Does it end", questions: ends },
];
