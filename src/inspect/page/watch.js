// Screen 2: one recording, watched. It puts the panels where they belong, and knows nothing of them.

import { h, put } from "./dom.js";
import * as lanes from "./lanes.js";
import * as ledger from "./ledger.js";
import { strip } from "./live.js";
import * as now from "./now.js";
import * as queues from "./queues.js";
import { open as openRecording } from "./recording.js";
import * as source from "./source.js";
import * as steps from "./steps.js";
import * as wheel from "./wheel.js";

const PANELS = [
  { name: "wheel", label: "The wheel", module: wheel },
  { name: "now", title: "What has just happened", module: now },
  { name: "queues", title: "What waits", module: queues },
  { name: "source", title: "Program", module: source },
  { name: "ledger", title: "Ledger: every callback, and what armed it", module: ledger },
  { name: "lanes", label: "The threads", module: lanes },
  { name: "steps", label: "Steps", module: steps },
];

function opener(context) {
  const note = h("span", { role: "alert", class: "bad" });
  const choose = (event) => openRecording(context, event.target.files[0]).catch((error) => put(note, error.message));
  const input = h("input", { type: "file", accept: ".jsonl,.json,.ndjson,.txt", "aria-label": "A recording as JSON lines", onchange: choose });
  return h("p", { class: "empty opener" }, "Choose a lesson under “Start”, or open a recording: ", input, " ", note);
}

export function mount(root, context) {
  const ends = [];
  const open = opener(context);
  const screen = h("div", { class: "watch" });
  for (const { name, title = null, label = null, module } of PANELS) {
    // What may be longer than its panel is scrolled by keys too.
    const scrolls = title ? { tabindex: 0, role: "region", "aria-labelledby": `panel-${name}` } : {};
    const body = h("div", { class: "panel-body scrolls", ...scrolls });
    const heading = title && h("h2", { id: `panel-${name}` }, title);
    screen.append(h("section", { class: `panel panel-${name}`, "aria-label": label }, heading, body));
    ends.push(module.mount(body, context));
  }
  root.append(open);
  if (context.live) ends.push(strip(root, context));
  root.append(screen);
  ends.push(context.onChange(() => {
    open.hidden = context.events.length > 0 || context.live !== null;
    // Of a program that is attached to there is no text.
    screen.classList.toggle("without-source", context.live !== null && !context.program?.files);
  }));
  return () => ends.forEach((end) => end?.());
}
