// Programs: what can be run, how it is run, and what this browser knows of how it went.
//
// A program is { name, title, about?, language, scenario, files, pool?, clock?, race?, seed? }. It has
// a `scenario` (operations) or `files` (JavaScript, from main.js on) or both, which then do the same;
// `language` says which of them runs.

import { isBody } from "./operations.js";
import { isOfDrain } from "./words.js";

let lessons = null;

/** The lessons, asked for once. */
export function allLessons(api) {
  lessons ??= api.get("api/lessons").catch((error) => {
    lessons = null; // To be asked for again.
    throw error;
  });
  return lessons;
}

const withLanguage = (program) => ({ language: "scenario", ...program });

/** Whether this is a program that can be shown, whoever has made it. */
export function isProgram(program) {
  const isText = (value) => typeof value === "string";
  const isOf = (value, is) => value === undefined || value === null || is(value);
  const areFiles = (files) => typeof files === "object" && isText(files["main.js"]) && Object.values(files).every(isText);
  if (typeof program !== "object" || program === null) return false;
  const { language, title, scenario, files, pool, clock } = program;
  return ["scenario", "javascript"].includes(language) && isOf(title, isText) && isOf(clock, isText) && isOf(pool, Number.isInteger) &&
    isOf(scenario, ({ main }) => isBody(main)) && isOf(files, areFiles) && Boolean(language === "scenario" ? scenario : files);
}

/**
 * The program of this name: of a lesson, `seed-N`, `draft`, which was edited last, or `linked`, which came
 * with a link. Null if there is none.
 */
export async function programOf(context, name) {
  if (name === "draft" || name === "linked") {
    const own = context.store.get(name);
    return isProgram(own) ? own : null;
  }
  const seed = /^seed-(\d{1,16})$/.exec(name)?.[1];
  if (seed) {
    const question = await context.api.get(`api/question?seed=${seed}`);
    if (!question.scenario) return null;
    return withLanguage({ ...question, name: `seed-${question.seed}`, title: `Question ${question.seed}` });
  }
  const programs = (await allLessons(context.api)).flatMap((lesson) => lesson.programs);
  const program = programs.find((one) => one.name === name);
  return program ? withLanguage(program) : null;
}

/** What the server is asked to run. */
export function asked(program) {
  const { language, scenario, files, pool, clock } = program;
  const own = language === "javascript" ? { files } : { program: { ...scenario, name: program.title } };
  return { language, ...own, ...(pool ? { pool } : {}), ...(clock ? { clock } : {}) };
}

/** A program as a recording has kept it. */
export function programFrom(meta) {
  const kept = meta?.asked;
  if (!kept) return null;
  const { language, program: scenario, files, pool, clock } = kept;
  const title = scenario?.name ?? meta.name;
  return { name: "draft", title, language, scenario, files: files ?? javascriptOf(meta), pool, clock };
}

/** The files of a program in JavaScript, if it is one, or has a translation. */
export function javascriptOf(meta) {
  const files = meta?.language === "javascript" ? meta.files : meta?.others?.javascript;
  return files ? Object.fromEntries(files.map(({ name, text }) => [name, text])) : null;
}

/** Runs it, and returns its events. It is run no further when `signal` says that nobody waits for it. */
export const run = (context, program, signal) => context.api.lines("api/run", asked(program), signal);

/** What the main loop has printed, a line each, with the callback that printed it. */
export function printed(lines) {
  const main = lines[0]?.track;
  return lines.filter((line) => line.track === main).flatMap((line) => line.said.map((text) => ({ text, line })));
}

/** How many events there were just before a callback, when it still waited. */
export function momentBefore(events, { began, track }) {
  const at = began - 1;
  return events[at - 1]?.what === "taken" && events[at - 1].track === track ? at - 1 : at;
}

/** The phase of a callback. What the drain calls is in none. */
export const phaseWords = (line) => (isOfDrain(line) ? "drain" : line.phase === "main" ? "–" : line.phase);

// ----- How it went -----

export const progress = (store, name) => store.get("progress", {})[name] ?? { tried: false, right: 0 };

function note(store, name, change) {
  const before = progress(store, name);
  store.set("progress", { ...store.get("progress", {}), [name]: { ...before, ...change(before) } });
}

export const wasTried = (store, name) => note(store, name, () => ({ tried: true }));
export const wasRight = (store, name) => note(store, name, ({ right }) => ({ tried: true, right: right + 1 }));

/** A mark and its words: not by the mark alone. */
export function mark({ tried, right }) {
  if (right >= 2) return { sign: "●", words: "predicted right twice" };
  return tried || right > 0 ? { sign: "◐", words: "tried" } : { sign: "○", words: "not tried" };
}

/** Notes what a prediction has shown: each statement is known or not. `words` are those of the statements. */
export function scored(store, known, unknown, words = {}) {
  store.set("statements", { ...store.get("statements", {}), ...words });
  const score = { ...store.get("score", {}) };
  const add = (statement, what) => {
    const before = score[statement] ?? { right: 0, wrong: 0 };
    score[statement] = { ...before, [what]: before[what] + 1 };
  };
  for (const statement of new Set(known.filter(Boolean))) add(statement, "right");
  if (unknown) add(unknown, "wrong");
  store.set("score", score);
}
