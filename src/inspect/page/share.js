// Screen 5: a link to what is on the screen, and what a recording can be taken away as.

import { fill, h } from "./dom.js";
import * as exports from "./exports.js";
import { pack, unpack } from "./link.js";
import { prediction, restore } from "./predict.js";
import { isProgram, programFrom, run } from "./programs.js";
import { open as openRecording } from "./recording.js";

const plainName = (name) => (name || "recording").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "recording";

/** Has the browser save a text. */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function mount(root, context) {
  const body = h("div", { class: "share" });
  const note = h("div", { role: "status" });
  root.append(note, body);
  const over = new AbortController(); // Nobody waits any more.
  let routed = null;
  let drawn = null; // The events that are drawn.

  const say = (text, isBad = false) => fill(note, h("span", { class: isBad ? "bad" : null, role: isBad ? "alert" : null }, text));

  const meta = () => context.state.meta?.program ?? context.program;
  const whole = () => context.at(context.events.length);

  // ----- A link -----

  async function makeLink(input, screen) {
    const own = programFrom(meta());
    const text = await pack({ program: own, position: context.position, screen, prediction: screen === "predict" ? prediction : null });
    input.value = `${location.href.split("#")[0]}#share/open.${text}`;
    input.select();
    try {
      await navigator.clipboard.writeText(input.value);
      say("The link is in the clipboard.");
    } catch {
      say("Here is the link; copy it."); // A browser may not give the clipboard.
    }
  }

  async function open(text) {
    const held = await unpack(text);
    // What a scenario is as JavaScript is never taken from a link: it is translated here.
    const ofScenario = (program) => ({ ...program, files: null, parted: false });
    const program = held?.program?.language === "scenario" ? ofScenario(held.program) : held?.program;
    if (!program) throw new Error("The link holds no program.");
    if (!isProgram(program)) throw new Error("The link is damaged: what it holds is no program.");
    if (context.about?.mode !== "study") throw new Error("The link holds a program. To run it, open it in “cargo run --release --example study”.");
    if (program.language === "javascript") await agreed(program);
    if (over.signal.aborted) return;
    const { position, screen, prediction: guess } = held;
    const to = ["watch", "predict", "whatif", "start"].includes(screen) ? screen : "watch";
    context.store.set("linked", { ...program, name: "linked" });
    if (guess) restore({ mode: String(guess.mode), order: [guess.order].flat().map(String), program: "linked" });
    if (to === "watch") {
      say("The program runs …");
      const events = await run(context, program, over.signal);
      context.load(events);
      context.go(Number(position) || 0);
    }
    context.open(to, to === "watch" ? "" : "linked");
  }

  /**
   * A script can do whatever its user can: read files, or send them away. One that came with a link, of
   * whomever, waits until it was read.
   */
  const agreed = (program) =>
    new Promise((resolve) => {
      fill(note, h("div", { role: "alert" },
        h("h2", null, "This link holds a program in JavaScript"),
        h("p", null, "It would run on this machine, as you: it can read your files and use the network. Read it first, and open it only if you trust it."),
        Object.entries(program.files).map(([name, text]) => h("details", { open: true }, h("summary", null, name), h("pre", { class: "listing" }, text))),
        h("button", { type: "button", "data-key": "agree", onclick: () => (say("The link is opened …"), resolve()) }, "I have read it: open it")));
    });

  function linkPart() {
    const input = h("input", { type: "text", readonly: true, class: "link", "aria-label": "The link" });
    const make = (screen, title) =>
      h("button", { type: "button", "data-key": `link ${screen}`, onclick: () => makeLink(input, screen).catch((error) => say(error.message, true)) }, title);
    if (!programFrom(meta())) return null;
    return h("section", null,
      h("h2", null, "A link"),
      h("p", null, "It holds the program, this moment and your prediction. All stands behind the #, which no browser sends to a server."),
      h("div", { class: "row" }, make("watch", "To this moment"), prediction && make("predict", "To my prediction"), make("whatif", "To what if"), make("start", "To the editor")),
      input);
  }

  // ----- Exports -----

  async function file(name) {
    const path = name === "index.html" ? "./" : `page/${name}`;
    const response = await fetch(path);
    return response.ok ? response.text() : null;
  }

  function exportPart() {
    const name = plainName(meta()?.name);
    const others = meta()?.others ?? {};
    const javascript = meta()?.language === "javascript" ? meta().files : (others.javascript ?? []);
    const entry = (key, title, about, make) =>
      h("li", null, h("button", { type: "button", "data-key": `export ${key}`, onclick: () => Promise.resolve(make()).catch((error) => say(error.message, true)) }, title), ` ${about}`);
    return h("section", null,
      h("h2", null, "Take it away"),
      h("ul", { class: "exports" },
        entry("lines", "JSON lines", "the recording; drop the file on this page to see it again", () => save(`${name}.jsonl`, "application/x-ndjson", exports.jsonLines(context.events))),
        context.about && entry("page", "Page", "this page with the recording in it, in one file that opens without a server", async () => save(`${name}.html`, "text/html", await exports.page(context.events, file))),
        entry("svg", "SVG", "the callbacks as a picture", () => save(`${name}.svg`, "image/svg+xml", exports.svg(whole()))),
        entry("perfetto", "Perfetto", "a trace for ui.perfetto.dev", () => save(`${name}.trace.json`, "application/json", exports.perfetto(whole()))),
        others.rust && entry("rust", "Rust", "a test with this order", () => save(`${name.replaceAll("-", "_")}.rs`, "text/x-rust", others.rust)),
        javascript.map(({ name: own, text }) => entry(`js ${own}`, own, "the program in JavaScript", () => save(own, "text/javascript", text)))));
  }

  // ----- A recording from elsewhere -----

  function openPart() {
    const choose = (event) => openRecording(context, event.target.files[0]).catch((error) => say(error.message, true));
    const input = h("input", { type: "file", accept: ".jsonl,.json,.ndjson,.txt", "aria-label": "A recording", onchange: choose });
    return h("section", null, h("h2", null, "Open a recording"), h("p", null, "Drop a file of JSON lines on this page, or choose one: ", input));
  }

  function draw() {
    if (context.route.screen === "share" && context.route.rest !== routed) {
      routed = context.route.rest;
      if (routed.startsWith("open.")) {
        say("The link is opened …");
        open(routed.slice(5)).catch((error) => over.signal.aborted || say(error.message, true));
      }
    }
    // What stands in the field is not to be drawn away.
    if (drawn === context.events) return;
    drawn = context.events;
    fill(body,
      context.events.length > 0 ? [linkPart(), exportPart()] : h("p", { class: "empty" }, "There is no recording on this page yet: run a program, or open one."),
      openPart());
  }

  const end = context.onChange(draw);
  return () => {
    over.abort();
    end();
  };
}
