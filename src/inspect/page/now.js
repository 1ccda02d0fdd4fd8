// What has just happened, in a sentence, and what the program has printed up to here.

import { fill, h, put } from "./dom.js";
import { hintAt } from "./legend.js";
import { isStep } from "./steps.js";
import { count, nameOf, sentence, time, trackName } from "./words.js";

/** So many errors are drawn. */
const ERRORS_MAX = 20;

/** The last event up to a position that says something. */
function lastStep(events, position) {
  for (let at = position - 1; at >= 0; at -= 1) if (isStep(events[at])) return at;
  return -1;
}

export function mount(root, context) {
  const happened = h("p", { class: "happened", role: "status" });
  const runs = h("p", { class: "runs-now" });
  const said = h("ol", { class: "said", "aria-label": "Printed so far" });
  const help = h("div", { class: "reading" },
    h("p", null, "The loop goes round clockwise. The hand points to the phase that calls back."),
    h("p", null, h("strong", null, "Left now"), ": what it still calls this time. ", h("strong", null, "For later"), ": what came too late and waits for the next round, or is not due yet."),
    h("p", null, "In the middle: after each callback all ticks run, then all microtasks."));
  const errors = h("div", { class: "errors", role: "alert" });
  const heading = h("h3", null, "Printed");
  // What is seen of a live program changes too often to be read out.
  if (context.live) happened.removeAttribute("role");
  root.append(happened, runs);
  const endOfHint = hintAt(root, context);
  root.append(help, errors, heading, said);

  const endOfDrawing = context.onChange(() => {
    const { events, position, state } = context;
    const at = lastStep(events, position);
    const before = at >= 0 ? context.at(at) : state;
    const several = Object.keys(state.loops).length > 1;
    const event = events[at];
    const on = several && event?.track !== undefined ? `${trackName(state, event.track)}: ` : "";
    // What it will print names a callback from its beginning.
    const known = event && { ...event, said: context.line(event.id)?.said };
    put(happened, at < 0 ? (events.length ? "To begin, press → or “Step ▶”." : "There is no recording yet.") : on + sentence(before, known));
    help.hidden = at >= 0;
    runs.hidden = at < 0;
    const running = Object.values(state.loops).flatMap((loop) => loop.running.map((id) => state.ledger.findLast((one) => one.id === id)));
    put(runs, running.length ? `Runs now: ${running.filter(Boolean).map((line) => nameOf(context.line(line.id) ?? line)).join("; ")}` : events.length && position === events.length && !context.live ? `The end, at ${time(state.at)}.` : "Runs now: no callback.");
    const all = state.ledger.flatMap((line) => line.said.map((text) => ({ text, line })));
    heading.hidden = said.hidden = all.length === 0;
    fill(said, all.slice(-200).map(({ text }) => h("li", null, text)));
    said.scrollTop = said.scrollHeight;
    const more = state.errors.length - ERRORS_MAX;
    fill(errors, state.errors.slice(0, ERRORS_MAX).map(({ text, file, line }) => h("p", null, `${file ? `${file}${line ? `:${line}` : ""}: ` : ""}${text}`)), more > 0 ? h("p", null, `and ${count(more, "error")} more`) : null);
  });
  return () => (endOfHint(), endOfDrawing());
}
