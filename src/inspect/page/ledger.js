// The ledger: a line a callback, in the order in which they began, with what armed each. Each line can
// be asked *why now*: the answer is the statement of the guide that decided.

import { attribute, fill, h } from "./dom.js";
import { statementOf } from "./why.js";
import { MARKS, isOfDrain, nameOf, sort, time, trackName } from "./words.js";

/** So many lines around the present one are drawn. */
const SHOWN = 240;

/** The text of a statement, if the recording brought it along. */
function statementText(state, number) {
  const text = state.meta?.statements?.[number];
  return text ? `${number}: ${text}` : `Statement ${number} of the guide’s page “The order of callbacks”.`;
}

export function mount(root, context) {
  const body = h("tbody");
  const open = new Set(); // The ids of the lines that say why.
  let newest = ""; // What the newest line was when it was drawn last.
  const withLoop = h("th", { scope: "col" }, "loop");
  const table = h("table", { class: "ledger" },
    h("thead", null, h("tr", null,
      h("th", { scope: "col" }, "#"), withLoop, h("th", { scope: "col" }, "phase"), h("th", { scope: "col" }, "what"),
      h("th", { scope: "col" }, "began at"), h("th", { scope: "col", title: "The callback that had it called: the number of its line" }, "armed by"), h("th", { scope: "col", title: "The statement of the guide that put it here" }, "why now"))),
    body);
  const empty = h("p", { class: "empty" }, "No callback has begun yet.");
  root.append(table, empty);

  /** The statement that decided: what runs a program tells it, or it is told from what happened. */
  function statement(line) {
    const known = context.line(line.id)?.statement;
    if (known) return known;
    const all = context.lines;
    const at = all.findLastIndex((one) => one.id === line.id);
    return at < 0 ? null : statementOf(context.at(context.events.length), all, at);
  }

  function reason(state, line, armedBy) {
    const at = state.ledger.indexOf(line);
    const before = state.ledger.slice(0, at).findLast((one) => one.track === line.track);
    const job = state.jobs[line.cause];
    const number = statement(line);
    return [
      h("p", null, number ? statementText(state, number) : "No statement of the guide decides of this callback, or what came before it is not known."),
      armedBy ? h("p", null, `It was armed by ${nameOf(armedBy)}, which began at ${time(armedBy.at)}${job ? `, with the job ${nameOf(job)} between them` : ""}.`) : null,
      before ? h("p", null, `Before it on this loop came ${nameOf(before)}.`) : null,
    ];
  }

  // A row outlives its drawing, and even its recording: what is pressed says itself what it is of.
  const goTo = ({ currentTarget }) => context.goSeen(Number(currentTarget.dataset.seen));
  function toggle({ currentTarget }) {
    const id = Number(currentTarget.dataset.line);
    if (!open.delete(id)) open.add(id);
    draw();
  }

  function draw() {
    const { state } = context;
    const lines = state.ledger;
    const numberOf = new Map(lines.map((line, at) => [line.id, at + 1]));
    const armer = (line) => {
      const by = state.jobs[line.cause]?.cause ?? line.cause;
      return by ? (numberOf.get(by) ?? null) : null;
    };
    const several = new Set(lines.map((line) => line.track)).size > 1;
    withLoop.hidden = !several;
    const running = new Set(Object.values(state.loops).flatMap((loop) => loop.running));
    const from = Math.max(0, lines.length - SHOWN);
    const rows = lines.slice(from).flatMap((line, at) => {
      const number = from + at + 1;
      const by = armer(line);
      const kind = sort(line.kind, line.phase);
      const shown = context.line(line.id) ?? line;
      const isOpen = open.has(line.id);
      const main = h("tr", { "data-row": line.id, class: running.has(line.id) ? "runs" : null, "aria-current": running.has(line.id) ? "step" : null },
        h("td", null, h("button", { type: "button", class: "link", "data-key": `line-${line.id}`, "aria-label": `Line ${number}: show the moment in which it begins`, title: "Show the moment in which it begins", "data-seen": line.began, onclick: goTo }, number)),
        several ? h("td", null, trackName(state, line.track)) : null,
        h("td", null, h("span", { class: `mark sort-${kind}` }, MARKS[kind] ?? "?"), ` ${isOfDrain(line) ? "drain" : line.phase}`),
        h("td", { class: "what", title: line.place }, nameOf(shown), line.panicked ? h("strong", { class: "bad" }, " threw") : null),
        h("td", null, time(line.at)),
        h("td", null, by ? h("button", { type: "button", class: "link", "data-key": `by-${line.id}`, "aria-label": `Armed by line ${by}: show the moment in which that begins`, title: "Show the moment in which that begins", "data-seen": lines[by - 1].began, onclick: goTo }, by) : "–"),
        h("td", null, h("button", { type: "button", class: "link", "data-key": `why-${line.id}`, "data-line": line.id, "aria-expanded": String(isOpen), "aria-label": `Why now: ${shown.statement ?? "what is known"}, line ${number}`, onclick: toggle }, shown.statement ?? "why")));
      if (!isOpen) return [main];
      return [main, h("tr", { class: "why" }, h("td", { colspan: several ? 7 : 6 }, reason(state, line, by ? lines[by - 1] : null)))];
    });
    // A row stays what it is, but for this.
    for (const row of body.querySelectorAll("[data-row]")) {
      const runs = running.has(Number(row.dataset.row));
      attribute(row, "class", runs ? "runs" : null);
      attribute(row, "aria-current", runs ? "step" : null);
    }
    empty.hidden = lines.length > 0;
    table.hidden = lines.length === 0;
    fill(body, from > 0 ? h("tr", null, h("td", { colspan: 7, class: "note" }, `${from} older lines are not drawn`)) : null, rows);
    const last = lines.at(-1);
    const words = `${last?.id} ${last?.said.length}`;
    if (words !== newest) toEnd(); // Whoever has scrolled back in a picture that stands still stays there.
    newest = words;
  }

  /** The newest line is seen, unless somebody is at an older one. */
  function toEnd() {
    const box = root.closest(".scrolls") ?? root;
    if (!box.contains(document.activeElement) || document.activeElement === box) box.scrollTop = box.scrollHeight;
  }
  // Other panels take their room later.
  const room = new ResizeObserver(toEnd);
  room.observe(root.closest(".scrolls") ?? root);
  const end = context.onChange(draw);
  return () => (room.disconnect(), end());
}
