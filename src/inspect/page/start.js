// Screen 1: the lessons, and the editor.

import { fill, h } from "./dom.js";
import { editor } from "./editor.js";
import { allLessons, javascriptOf, mark, phaseWords, programOf, progress, run, wasTried } from "./programs.js";

export function mount(root, context) {
  const menu = h("nav", { class: "lessons", "aria-label": "Lessons" });
  const work = h("div", { class: "work" });
  root.append(menu, work);
  let current = null; // The name of the program that is in the editor.
  let open = null; // The editor.
  let routed = null; // The end of the link that was followed last.
  const over = new AbortController(); // The screen is left.

  async function drawMenu() {
    let lessons;
    try {
      lessons = await allLessons(context.api);
    } catch (error) {
      return fill(menu, h("p", { role: "alert" }, `The lessons could not be loaded: ${error.message}`));
    }
    if (over.signal.aborted) return;
    const entry = (program) => {
      const { sign, words } = mark(progress(context.store, program.name));
      return h("li", null, h("a", { href: `#start/${program.name}`, "aria-current": program.name === current ? "true" : null, "data-key": program.name },
        h("span", { class: "mark", "aria-hidden": "true" }, sign), " ", program.title, h("span", { class: "unseen" }, ` (${words})`), program.race && h("span", { class: "faint" }, " race")));
    };
    fill(
      menu,
      h("p", null, "Choose a program, say what it does next, and see the real loop do it, step by step."),
      h("p", { class: "legend" }, "○ not tried  ◐ tried  ● predicted right twice"),
      h("ol", { class: "lesson-list" }, lessons.map((lesson) =>
        h("li", null, h("h3", { title: lesson.about }, lesson.title), h("ul", null, lesson.programs.map(entry))))),
      h("p", null, h("a", { href: `#start/seed-${context.store.get("seed", 1)}` }, "A new question"), " from the generator"),
      context.store.get("draft") && h("p", null, h("a", { href: "#start/draft" }, "Your last program")),
    );
  }

  function about(program) {
    if (program.seed === undefined) return h("p", null, program.about ?? "");
    const next = () => {
      context.store.set("seed", program.next);
      context.open("start", `seed-${program.next}`);
    };
    return h("p", null, `A random program, from seed ${program.seed}. Its order is no race. `,
      h("button", { type: "button", onclick: next, "data-key": "next question" }, "Next one"));
  }

  const output = h("section", { class: "output", "aria-label": "Output", "aria-live": "polite" });
  let running = null; // What ends the run that is under way.

  /** Runs what is in the editor. Returns whether it did. */
  async function runIt() {
    if (running || !open) return false;
    running = new AbortController();
    const stop = h("button", { type: "button", "data-key": "stop", onclick: () => running?.abort() }, "Stop");
    fill(output, h("p", { class: "faint" }, "It runs … ", stop));
    try {
      const program = open.program();
      const events = await run(context, program, running.signal);
      if (over.signal.aborted) return false;
      wasTried(context.store, program.name);
      context.load(events);
      drawOutput(program);
      drawMenu();
      return true;
    } catch (error) {
      fill(output, error.name === "AbortError" ? h("p", { class: "faint" }, "It was stopped.") : h("p", { role: "alert", class: "bad" }, error.message));
      return false;
    } finally {
      running = null;
    }
  }

  function drawOutput(program) {
    const lines = context.lines.filter((line) => line.said.length > 0);
    const errors = context.events.filter((event) => event.what === "error");
    const said = lines.flatMap((line) => line.said.map((text) =>
      h("li", null, h("button", { type: "button", class: "plain", title: "Watch this callback", onclick: () => { context.go(line.began); context.open("watch"); } },
        h("code", null, text), h("span", { class: "faint" }, ` ${line.kind}, ${phaseWords(line)}${line.statement ? `, ${line.statement}` : ""}`)))));
    fill(
      output,
      h("h2", null, "Output"),
      errors.map((error) => h("p", { class: "bad", role: "alert" }, error.file ? `${error.file}${error.line ? `:${error.line}` : ""}: ` : "", h("span", { class: "error-text" }, error.text))),
      h("ol", { class: "printed" }, said),
    );
    if (program.language === "javascript" && errors.length > 0) open.complain(errors);
    context.announce(`${said.length} lines of output, ${errors.length} errors`);
  }

  async function watch() {
    if (await runIt()) context.open("watch");
  }

  const to = (screen) => () => context.open(screen, current);

  async function show(name) {
    current = name;
    open = null;
    fill(output);
    let program;
    try {
      program = await programOf(context, name);
    } catch (error) {
      return fill(work, h("p", { role: "alert", class: "bad" }, error.message));
    }
    if (over.signal.aborted || current !== name) return;
    if (!program) return fill(work, h("p", { role: "alert" }, `There is no program ${name}.`));
    if (name !== "linked") context.store.set("last", name);
    const translate = async (edited) => {
      const events = await run(context, { ...edited, language: "scenario" }, over.signal);
      return javascriptOf(events.find((event) => event.what === "meta")?.program) ?? { "main.js": "" };
    };
    // What is edited is another program than the lesson's, and kept as such.
    const changed = (edited) => {
      context.store.set("draft", { ...edited, name: "draft", seed: undefined });
      if (current === "draft") return;
      current = "draft";
      history.replaceState(null, "", "#start/draft");
    };
    open = editor(program, { changed, translate, missing: context.about?.no_javascript });
    fill(
      work,
      h("h1", null, program.title),
      about(program),
      h("div", { class: "row" },
        h("button", { type: "button", class: "main", onclick: to("predict"), "data-key": "predict" }, "Predict, then run"),
        h("button", { type: "button", onclick: watch, "data-key": "watch" }, "Run and watch"),
        h("button", { type: "button", onclick: runIt, "data-key": "run" }, "Run"),
        h("button", { type: "button", onclick: to("whatif"), "data-key": "whatif" }, "What if …"),
      ),
      output,
      open.element,
    );
    drawMenu();
  }

  const key = (key, name, run) => context.keys.add({ key, name, group: "Start", run });
  const keys = [key("r", "Run", runIt), key("w", "Run and watch", watch), key("p", "Predict this program", to("predict"))];

  const end = context.onChange(() => {
    const { screen, rest } = context.route;
    if (screen !== "start" || rest === routed) return;
    routed = rest;
    const name = rest || context.store.get("last", "script-first");
    show(name);
  });
  drawMenu();
  return () => {
    over.abort();
    running?.abort();
    end();
    keys.forEach((remove) => remove());
  };
}
