// Screen 3: predict, then run. The run stops where a prediction goes wrong.

import { MODES } from "./asking.js";
import { cards } from "./cards.js";
import { fill, h } from "./dom.js";
import { tabs } from "./editor.js";
import { common, judge, shuffled, together } from "./judge.js";
import { labels as labelsOf } from "./operations.js";
import { momentBefore, printed, programOf, run, scored, wasRight, wasTried } from "./programs.js";
import * as queues from "./queues.js";
import { Replay } from "./replay.js";
import { nameOf } from "./words.js";

/** What was predicted last: { program, mode, order }, for a link. The order is that of the cards, or of the answers. */
export let prediction = null;

/** A prediction from a link: it is there when the screen is opened. */
export const restore = (from) => (prediction = from);

/**
 * The operations of a script, if it is their translation and nothing else: of these all orders are known
 * that can come. Of a script that somebody has written one run is known.
 */
const twinOf = (program) =>
  program.language === "javascript" && program.scenario && !program.parted ? { ...program, language: "scenario" } : null;

/** What is known of a run before it is shown, and of one of its operations if it is a script. */
function learn(events, program, twin) {
  const state = new Replay(events).at(events.length);
  const lines = state.ledger;
  const actual = printed(lines).map(({ text }) => text);
  const meta = twin ? twin.find((event) => event.what === "meta") : state.meta;
  const { traces = [], runs = 0 } = meta?.program?.others?.possible ?? {};
  const possible = program.language === "scenario" ? labelsOf(program.scenario.main) : [];
  // What never comes is a card too, and what comes more often in another order.
  const labels = together([actual, ...traces, [...new Set(possible)]]);
  return { events, state, lines, actual, traces, runs, labels: shuffled(labels, program.title), errors: state.errors, sleeps: state.sleeps };
}

export function mount(root, context) {
  const head = h("header", { class: "row" });
  const source = h("section", { class: "predict-source", "aria-label": "Program" });
  const work = h("section", { class: "predict-work", "aria-label": "Prediction" });
  const result = h("section", { class: "predict-result", "aria-label": "Result", role: "status" });
  const score = h("section", { class: "predict-score", "aria-label": "Score" });
  root.append(head, h("div", { class: "predict" }, source, h("div", null, work, result)), score);

  let wanted = new AbortController(); // Until another program is wanted, or none.
  let routed = null;
  let program = null;
  let events = null;
  let known = null;
  let mode = [prediction?.mode, context.store.get("mode", "")].find((key) => MODES.some((one) => one.key === key)) ?? "whole";
  let order = [];
  let endQueues = null;

  const statement = (number) => {
    const text = known.state.meta?.statements?.[number];
    return number ? h("p", { class: "statement" }, h("strong", null, number), text ? ` ${text}` : "") : null;
  };

  function clear() {
    endQueues?.();
    endQueues = null;
    fill(result);
  }

  function drawHead() {
    const choose = (key) => {
      mode = key;
      context.store.set("mode", mode);
      begin();
    };
    fill(
      head,
      h("h1", null, program?.title ?? "Predict"),
      tabs("What is asked", MODES, mode, choose),
      program?.seed !== undefined
        ? h("span", null, `seed ${program.seed} `, h("button", { type: "button", "data-key": "next question", onclick: nextQuestion(program.next) }, "Next question"))
        : h("a", { href: `#predict/seed-${context.store.get("seed", 1)}` }, "Endless questions"),
    );
  }

  const nextQuestion = (seed) => () => {
    context.store.set("seed", seed);
    context.open("predict", `seed-${seed}`);
  };

  function drawSource() {
    const files = known?.state.meta?.program?.files ?? [];
    const all = program.language === "javascript" || !program.files ? files : [...files, ...Object.entries(program.files).map(([name, text]) => ({ name, text }))];
    fill(
      source,
      program.about && h("p", null, program.about),
      all.map(({ name, text }, at) =>
        h("details", { open: at === 0 }, h("summary", null, name === "program" ? "Operations" : name), h("pre", { class: "listing" }, text))),
      program.pool && h("p", { class: "faint" }, `pool threads: ${program.pool}`),
    );
  }

  function drawScore() {
    const words = context.store.get("statements", {});
    const entries = Object.entries(context.store.get("score", {}));
    entries.sort(([a], [b]) => Number(a.slice(2)) - Number(b.slice(2)));
    const row = ([number, { right, wrong }]) =>
      h("tr", null, h("th", { scope: "row" }, number), h("td", null, `${right} right`), h("td", null, wrong > 0 ? `${wrong} wrong` : ""), h("td", { class: "faint" }, words[number] ?? ""));
    fill(score, entries.length > 0 && h("details", { open: true }, h("summary", null, "Your score, a line a statement of the guide"), h("table", null, h("tbody", null, entries.map(row)))));
  }

  // ----- The verdict -----

  /** The picture of the moment in which a prediction goes wrong. */
  function moment(position) {
    context.go(position);
    const panel = h("div", { class: "panel-body" });
    endQueues = queues.mount(panel, context);
    return h("div", { class: "panel" }, h("h3", null, "What waited then"), panel);
  }

  const watchButton = (position) =>
    h("button", { type: "button", "data-key": "watch", onclick: () => { context.go(position); context.open("watch"); } }, "Watch from here");

  /** `position` is the moment in which it went wrong: null if this run did not come to it. */
  function verdict({ isRight, known: learned, wrong, text, position = events.length, before }) {
    clear();
    scored(context.store, learned, wrong, known.state.meta?.statements);
    (isRight ? wasRight : wasTried)(context.store, program.name);
    result.append(
      h("h2", { class: isRight ? "good" : "bad" }, isRight ? "✓ Right" : "✗ The run stops here"),
      ...text.map((line) => h("p", null, line)),
      ...[wrong && statement(wrong)].filter(Boolean),
      ...(isRight || !before ? [] : [h("p", null, "Printed up to here: ", before.length ? before.map((one) => [h("code", null, one), " "]) : "nothing")]),
      ...(isRight || position === null ? [] : [moment(position)]),
      h("div", { class: "row" }, watchButton(isRight ? 0 : (position ?? 0)), h("button", { type: "button", "data-key": "again", onclick: () => again(isRight) }, "Again")),
    );
    context.announce(`${isRight ? "Right." : "Wrong."} ${text.join(" ")}`);
    drawScore();
    result.scrollIntoView?.({ block: "nearest" });
  }

  /** From the beginning. What was right is to be known, and not to be found there. */
  function again(isRight) {
    if (isRight) prediction = null;
    begin();
  }

  // ----- The whole order -----

  /** What was predicted of this already, in this way. */
  const before = () => (prediction?.program === program.name && prediction.mode === mode ? prediction.order : []);

  function whole() {
    const start = before();
    const list = h("div");
    // An order is judged once.
    const judgeIt = () => {
      button.disabled = true;
      judgeOrder();
    };
    const button = h("button", { type: "button", class: "main", "data-key": "judge", onclick: judgeIt }, "Run, and compare");
    const changed = (mine) => {
      order = mine;
      button.disabled = false;
      prediction = { program: program.name, mode, order };
    };
    fill(work, list, h("div", { class: "row" }, button));
    cards(list, known.labels, start, changed);
  }

  /** What was said to come, and cannot yet: nobody has armed it. */
  function tooEarly(guess, said, at) {
    const later = said.find(({ text }, index) => index > at && text === guess)?.line;
    const armer = later && known.lines.find((line) => line.id === (known.state.jobs[later.cause]?.cause ?? later.cause));
    const isLater = armer && armer.id !== later.id && armer.began >= said[at].line.began;
    return isLater ? `${guess} cannot come yet: ${armer.id === said[at].line.id ? said[at].text : nameOf(armer)} arms it.` : null;
  }

  function judgeOrder() {
    const { right, isRace, isActual, at, expected } = judge(order, known.actual, known.traces);
    const said = printed(known.lines);
    // So far this run came in that order, and its statements are those of the guess.
    const shared = common(order, known.actual);
    const learned = said.slice(0, shared).map(({ line }) => line.statement);
    const race = isRace ? ["This is a race: several orders are right, and real time decides among them."] : [];
    const isScript = program.language === "javascript" && !twinOf(program);
    const only = isScript && !right ? ["Of a script one run is known. Where timers, files and workers race, another order can come on a real machine."] : [];
    const orders = new Set([known.actual, ...known.traces].map((trace) => trace.join("\n"))).size;
    const found = isRace && !right ? [`This run and ${known.runs} simulated ones came in ${orders} orders, and yours is none of them.`] : [];
    if (right) {
      const own = isActual || !isRace ? [] : ["In this run another order came, which is right as well: ", known.actual.join(", ")];
      return verdict({ isRight: true, known: learned, text: [...race, ...own, "Every callback stands where it comes."] });
    }
    const isHere = shared === at; // Another order goes further with the guess than that of this run.
    const line = isHere ? said[at]?.line : null;
    const own = isHere ? [] : [`In this run another order came: ${known.actual.join(", ")}.`];
    const came = expected.map((text) => text ?? "the end").join(", or ");
    verdict({
      isRight: false,
      known: learned,
      wrong: line?.statement ?? null,
      text: [...race, ...found, ...only, `${at === 0 ? "First" : `Up to callback ${at} it is right. Then`} you said ${order[at] ?? "the end"}; what comes is ${came}.`, line && tooEarly(order[at], said, at), ...own].filter(Boolean),
      position: line ? momentBefore(events, line) : isHere ? events.length : null,
      before: order.slice(0, at),
    });
  }

  // ----- One question after the other -----

  /** Asks them, from the first on that is not answered rightly by `given`. */
  function askAll(questions, given) {
    const wrong = given.findIndex((value, at) => !questions[at]?.right.includes(value));
    let at = Math.min(wrong < 0 ? given.length : wrong, questions.length - 1);
    const learned = questions.slice(0, at).map(({ statement }) => statement);
    prediction = { program: program.name, mode, order: given.slice(0, at) };

    function answer(question, value) {
      prediction.order.push(value);
      // It is answered.
      for (const one of work.querySelectorAll(".answers button, .answers input")) one.disabled = true;
      if (!question.right.includes(value)) {
        return verdict({
          isRight: false,
          known: learned,
          wrong: question.statement,
          text: [`To “${question.ask}” you said: ${title(question, value)}. It is: ${question.right.map((one) => title(question, one)).join(", or ")}.`, question.why].filter(Boolean),
          position: question.moment ?? events.length,
          before: question.before,
        });
      }
      learned.push(question.statement);
      at += 1;
      if (at === questions.length) return verdict({ isRight: true, known: learned, text: [question.why, `${questions.length} of ${questions.length} answers are right.`].filter(Boolean) });
      ask(question.why);
    }

    const title = (question, value) => question.choices.find((one) => one.value === value)?.title ?? value;

    function choiceOf(question, { value, title: text, number }) {
      if (!number) return h("button", { type: "button", class: "answer", "data-key": value, onclick: () => answer(question, value) }, text);
      const input = h("input", { type: "number", min: "0", "aria-label": text, "data-key": `${value} number` });
      const give = () => input.value !== "" && answer(question, `${value} ${Number(input.value)}`);
      input.addEventListener("keydown", (event) => event.key === "Enter" && give());
      return h("span", { class: "answer" }, text, " ", input, h("button", { type: "button", "data-key": value, onclick: give }, "so it is"));
    }

    function ask(note) {
      const question = questions[at];
      fill(
        work,
        note && h("p", { class: "note" }, note),
        at > 0 && h("p", { class: "good" }, "✓ Right."),
        h("p", { class: "faint" }, `Question ${at + 1} of ${questions.length}`),
        question.before.length > 0 && h("p", null, "Printed so far: ", question.before.map((text) => [h("code", null, text), " "])),
        h("h2", null, question.ask),
        h("div", { class: "answers" }, question.choices.map((one) => choiceOf(question, one))),
      );
    }

    ask("");
  }

  // ----- The beginning -----

  /** Begins anew; `given` are answers that were given before. */
  function begin(given = []) {
    clear();
    drawHead();
    drawScore();
    if (!known) return;
    drawSource();
    const { questions } = MODES.find((one) => one.key === mode);
    if (!questions) return whole();
    const all = questions(known);
    if (all.length === 0) return fill(work, h("p", null, "There is nothing to ask here: choose another question or another program."));
    askAll(all, given);
  }

  async function show(name) {
    wanted.abort();
    wanted = new AbortController();
    const { signal } = wanted;
    known = null;
    program = null;
    clear();
    fill(work, h("p", { class: "faint" }, "…"));
    fill(source);
    try {
      const found = await programOf(context, name);
      if (!found) throw new Error(`There is no program ${name}.`);
      const twin = twinOf(found);
      const [all, other] = await Promise.all([run(context, found, signal), twin && run(context, twin, signal)]);
      if (signal.aborted) return;
      [program, events] = [found, all];
      known = learn(events, program, other);
      context.load(events); // A link is to this program from now on.
      begin(before());
    } catch (error) {
      if (signal.aborted) return;
      console.error(error);
      fill(work, h("p", { role: "alert", class: "bad" }, error.message));
    }
  }

  const end = context.onChange(() => {
    const { screen, rest } = context.route;
    if (screen !== "predict" || rest === routed) return;
    routed = rest;
    show(rest || prediction?.program || context.store.get("last", "script-first"));
  });
  return () => {
    wanted.abort();
    clear();
    end();
  };
}
