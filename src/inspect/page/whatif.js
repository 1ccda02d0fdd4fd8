// Screen 4: the same program twice, with one change.

import { changesOf } from "./changes.js";
import { fill, h } from "./dom.js";
import { phaseWords, programOf, run, wasTried } from "./programs.js";
import { Replay } from "./replay.js";
import { time, trackName } from "./words.js";

/** What two callbacks must have in common to be the same. */
const sameness = (state, line) => [trackName(state, line.track), line.kind, line.phase, line.said.join("\n")].join("\0");

/** The number of the first callback that is another one. Null if all are the same. */
export function firstDifference(one, other) {
  const [a, b] = [one, other].map(({ state, lines }) => lines.map((line) => sameness(state, line)));
  const at = a.findIndex((text, at) => text !== b[at]);
  if (at >= 0) return at;
  return a.length === b.length ? null : a.length;
}

/** The text of a link. One that was cut in the middle of a sign stays as it is: no change has that key. */
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function learn(events) {
  const state = new Replay(events).at(events.length);
  return { events, state, lines: state.ledger };
}

export function mount(root, context) {
  const head = h("header", { class: "row" });
  const note = h("p", { role: "status" });
  const both = h("div", { class: "both" });
  root.append(head, note, both);
  let wanted = new AbortController(); // Until another program or change is wanted, or none.
  let routed = null;
  let program = null;
  let changes = [];
  let key = "";

  /** What was wanted before is wanted no more. */
  function want() {
    wanted.abort();
    wanted = new AbortController();
    return wanted;
  }

  /** Shows one of the two in the watch screen, at a callback. */
  function watch(run, line) {
    context.load(run.events);
    context.go(line ? line.began : run.events.length);
    context.open("watch");
  }

  /** The statement that decides of the first callback that differs. */
  function statement({ state, lines }, first) {
    const number = lines[first]?.statement;
    const text = state.meta?.statements?.[number];
    return number ? h("p", { class: "statement" }, h("strong", null, number), text ? ` ${text}` : "") : null;
  }

  function column(title, run, first) {
    const row = (line, at) => {
      const isFirst = at === first;
      return h("tr", { class: isFirst ? "differs" : at > first && first !== null ? "after" : null },
        h("td", null, isFirst ? "▶" : "", at + 1),
        h("td", null, h("button", { type: "button", class: "plain", title: "Watch this callback", "data-key": `${title} ${at}`, onclick: () => watch(run, line) },
          line.kind === "main" ? "main script" : line.kind, " ", h("code", null, line.said.join(", ")))),
        h("td", null, phaseWords(line)),
        h("td", null, time(line.at)),
        h("td", null, line.statement ?? ""));
    };
    const ends = first !== null && first >= run.lines.length && h("tr", { class: "differs" }, h("td", null, "▶"), h("td", { colspan: "4" }, "the end"));
    return h("section", null,
      h("h2", null, title),
      run.state.errors.map(({ text }) => h("p", { class: "bad" }, text)),
      h("table", { class: "ledger" },
        h("thead", null, h("tr", null, ["#", "what", "phase", "time", "why"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", null, run.lines.map(row), ends)),
      statement(run, first));
  }

  async function compare() {
    const change = changes.find((one) => one.key === key);
    if (!change) return fill(both);
    const { signal } = want();
    fill(note, "Both run …");
    try {
      const [one, other] = (await Promise.all([program, change.program].map((one) => run(context, one, signal)))).map(learn);
      if (signal.aborted) return;
      wasTried(context.store, program.name);
      const first = firstDifference(one, other);
      fill(note,
        first === null
          ? "The change changes nothing: every callback is the same, in the same order."
          : [`They are the same up to callback ${first}. The first that differs is marked in both. `,
            h("button", { type: "button", "data-key": "watch one", onclick: () => watch(one, one.lines[first]) }, "Watch it as it is"), " ",
            h("button", { type: "button", "data-key": "watch other", onclick: () => watch(other, other.lines[first]) }, "Watch it with the change")]);
      fill(both, column("As it is", one, first), column(`What if ${change.title}?`, other, first));
    } catch (error) {
      if (!signal.aborted) fill(note, h("span", { class: "bad", role: "alert" }, error.message));
    }
  }

  function choose(chosen) {
    key = chosen;
    history.replaceState(null, "", `#whatif/${program.name}/${encodeURIComponent(key)}`);
    compare();
  }

  async function show(name, chosen) {
    const { signal } = want();
    fill(both);
    fill(note);
    let found;
    try {
      found = await programOf(context, name);
    } catch (error) {
      if (signal.aborted) return;
      return fill(note, h("span", { class: "bad", role: "alert" }, error.message));
    }
    if (signal.aborted) return;
    if (!found) return fill(note, `There is no program ${name}.`);
    program = found;
    changes = changesOf(program);
    const select = h("select", { "data-key": "change", "aria-label": "The change", onchange: (event) => choose(event.target.value) },
      changes.map(({ key: value, title }) => h("option", { value, selected: value === chosen }, title)));
    fill(head, h("h1", null, program.title), h("label", null, "What if ", select, "?"));
    if (changes.length === 0) return fill(note, "There is nothing to change in this program.");
    key = changes.some((one) => one.key === chosen) ? chosen : changes[0].key;
    select.value = key;
    compare();
  }

  const end = context.onChange(() => {
    const { screen, rest } = context.route;
    if (screen !== "whatif" || rest === routed) return;
    routed = rest;
    const [name, chosen = ""] = rest.split("/");
    show(name || context.store.get("last", "script-first"), unescaped(chosen));
  });
  return () => {
    wanted.abort();
    end();
  };
}
