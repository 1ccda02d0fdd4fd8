// The program's text, with two lines marked: the one that runs, and the one that armed the callback
// that runs. What a callback does is seen at the events within it, each of which tells its line.

import { fill, h } from "./dom.js";
import { isIn } from "./events.js";
import { nameOf, spot, where } from "./words.js";

const TELLS_LINE = new Set(["queued", "armed", "refreshed", "submitted", "refused", "opened", "spawned"]);

/** What is to be marked: { runs, armed, line } with spots, of which each may be null. */
function marks({ events, first, position, state }) {
  const event = events[position - 1];
  const running = Object.values(state.loops).flatMap((loop) => loop.running);
  const ids = event?.id && running.includes(event.id) ? event.id : running.at(-1);
  const line = state.ledger.findLast((one) => one.id === ids) ?? null;
  const armed = line && line.kind !== "main" ? spot(line) : null;
  // Events of one callback that tell their lines, up to here: the last of them is where it is.
  let runs = null;
  for (let at = position - 1; line && at + first >= line.began && !runs; at -= 1) {
    if (TELLS_LINE.has(events[at].what) && events[at].track === line.track) runs = spot(events[at]);
  }
  return { runs, armed, line };
}

export function mount(root, context) {
  const words = h("p", { class: "note source-words" });
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": "Files" });
  const text = h("ol", { class: "source", "aria-label": "The program" });
  root.append(words, tabs, text);
  let chosen = null; // The name of a file, or null: the one in which it runs.
  let drawn = null;

  function drawFile(file) {
    if (drawn === file) return;
    drawn = file;
    fill(text, file ? file.text.replace(/\n$/, "").split("\n").map((line) => h("li", null, h("code", null, line))) : null);
  }

  function draw() {
    const files = context.program?.files ?? [];
    const { runs, armed, line } = marks(context);
    const own = files.find((file) => isIn(file, runs)) ?? files.find((file) => isIn(file, armed));
    const file = files.find((one) => one.name === chosen) ?? own ?? files[0] ?? null;
    fill(tabs, files.length > 1 ? files.map((one) => h("button", {
      type: "button", "data-key": `file-${one.name}`, "aria-pressed": String(one === file),
      onclick: () => ((chosen = one.name === chosen ? null : one.name), draw()),
    }, one.name)) : null);
    drawFile(file);
    const told = [
      line ? "" : "No callback runs.",
      armed && `◆ ${nameOf(context.line(line.id) ?? line)} was armed at ${where(line)}.`,
      runs && `▶ It is at ${where({ place: `${runs.file}:${runs.line}` })}.`,
    ];
    words.textContent = told.filter(Boolean).join(" ");
    let shown = null;
    [...text.children].forEach((item, at) => {
      const isRuns = isIn(file, runs) && runs.line === at + 1;
      const isArmed = isIn(file, armed) && armed.line === at + 1;
      item.className = [isRuns ? "runs" : "", isArmed ? "armed" : ""].join(" ").trim();
      item.dataset.mark = isRuns && isArmed ? "▶◆" : isRuns ? "▶" : isArmed ? "◆" : "";
      if (isRuns || (isArmed && !shown)) shown = item;
    });
    const box = root.closest(".scrolls");
    if (shown && box) {
      const [top, height] = [shown.offsetTop - box.offsetTop, box.clientHeight];
      if (top < box.scrollTop + 20 || top > box.scrollTop + height - 40) box.scrollTop = top - height / 2;
    }
  }
  return context.onChange(draw);
}
