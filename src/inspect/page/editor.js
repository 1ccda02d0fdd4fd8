// The editor: a program as operations, or as files of JavaScript.
//
// `editor(program, { changed, translate, missing })` draws it and returns { element, program(),
// complain(errors) }. It holds the program that is edited. `changed(program)` is called after each change;
// `translate(program)` is the promise of the files of its operations in JavaScript; `missing` says why
// JavaScript cannot be run, if that is so.

import { fill, h } from "./dom.js";
import { OPERATIONS, addedTo, bodies, changedAt, freeLabel, make } from "./operations.js";

const LANGUAGES = [
  { language: "scenario", title: "Operations" },
  { language: "javascript", title: "JavaScript" },
];

/** Tabs, with keys: `tabs(name, [{ title, key }], current, choose)`. */
export function tabs(label, entries, current, choose) {
  const move = async (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = entries.findIndex((one) => one.key === current);
    const { key } = entries[(at + step + entries.length) % entries.length];
    await choose(key);
    // The focus goes along. What was drawn anew is another element.
    document.querySelector(`[role=tab][data-key="${CSS.escape(`tab ${key}`)}"]`)?.focus();
  };
  const tab = ({ title, key }) =>
    h("button", {
      type: "button",
      role: "tab",
      "data-key": `tab ${key}`,
      "aria-selected": String(key === current),
      tabindex: key === current ? "0" : "-1",
      onclick: () => choose(key),
      onkeydown: move,
    }, title);
  return h("div", { class: "tabs", role: "tablist", "aria-label": label }, entries.map(tab));
}

export function editor(start, { changed, translate, missing }) {
  let program = structuredClone(start);
  let file = "main.js";
  let errors = [];
  const element = h("section", { class: "editor", "aria-label": "Program" });

  function set(change, isTyped = false) {
    program = { ...program, ...change };
    errors = [];
    if (!isTyped) draw();
    changed(program);
  }

  // ----- Operations -----

  const main = () => program.scenario.main;
  // What was written by hand is not thrown away for a new translation.
  const setMain = (body, isTyped = false) =>
    set({ scenario: { ...program.scenario, main: body }, files: program.parted ? program.files : null }, isTyped);

  function fieldOf(op, path, { field, title, type, optional, about }) {
    const update = (input) => {
      const text = type === "number" ? Math.max(0, Number.parseInt(input.value, 10) || 0) : input.value;
      const next = type === "checkbox" ? input.checked : text;
      setMain(changedAt(main(), path, (before) => {
        const { [field]: _, ...rest } = before;
        return [(optional && next === "") || next === false ? rest : { ...before, [field]: next }];
      }), true);
    };
    const input = h("input", {
      type,
      value: type === "checkbox" ? null : String(op[field] ?? ""),
      checked: type === "checkbox" && op[field] === true,
      min: type === "number" ? "0" : null,
      class: `field-${type}`,
      "data-key": `${path.join(".")} ${field}`,
      oninput: (event) => update(event.target),
    });
    return h("label", { class: "field", title: about }, `${title} `, input);
  }

  function addTo(path, title) {
    const choose = (event) => {
      const kind = event.target.value;
      if (kind) setMain(addedTo(main(), path, make(kind, freeLabel(main(), kind))));
    };
    const options = Object.entries(OPERATIONS).map(([kind, one]) => h("option", { value: kind }, one.title));
    return h("select", { class: "add", "aria-label": title, "data-key": `add ${path.join(".")}`, onchange: choose }, h("option", { value: "" }, "+"), options);
  }

  const button = (key, title, sign, run, disabled = false) =>
    h("button", { type: "button", class: "small", title, "aria-label": title, "data-key": key, disabled, onclick: run }, sign);

  function moveBy(path, step) {
    const within = path.slice(0, -1);
    const at = path.at(-1);
    const copy = structuredClone(main());
    let list = copy;
    for (const key of within) list = list[key];
    [list[at], list[at + step]] = [list[at + step], list[at]];
    setMain(copy);
  }

  function answerTo(path, answers) {
    const input = h("input", { type: "text", class: "field-text", "aria-label": "a message", "data-key": `answer ${path.join(".")}` });
    const add = () => {
      if (input.value === "") return;
      setMain(changedAt(main(), path, (op) => [{ ...op, [answers]: { [input.value]: [], ...op[answers] } }]));
    };
    return h("span", { class: "field" }, "answers ", input, button(`add answer ${path.join(".")}`, "Add what is done on this message", "+", add));
  }

  function block(op, path, count) {
    const kind = OPERATIONS[op.op];
    const key = path.join(".");
    const name = `${kind.title} ${op.id ?? ""}`.trim();
    const at = path.at(-1);
    const parts = bodies(op);
    const hasBody = kind.parts.length > 0;
    return h("li", { class: `block block-${op.op}` },
      h("div", { class: "block-head" },
        h("strong", null, kind.title),
        kind.fields.map((field) => fieldOf(op, path, field)),
        kind.answers && answerTo(path, kind.answers),
        h("span", { class: "block-tools" },
          hasBody && kind.parts[0] === "body" && addTo([...path, "body"], `Add an operation to ${name}`),
          button(`up ${key}`, `Move ${name} up`, "↑", () => moveBy(path, -1), at === 0),
          button(`down ${key}`, `Move ${name} down`, "↓", () => moveBy(path, 1), at === count - 1),
          button(`out ${key}`, `Remove ${name}`, "×", () => setMain(changedAt(main(), path, () => []))),
        ),
      ),
      parts.map(({ path: part, title, body }) => {
        if (part[0] === "body") return body.length > 0 && list(body, [...path, ...part]);
        return h("div", { class: "part" },
          h("div", { class: "part-head" }, title, " ", addTo([...path, ...part], `Add an operation: ${title} of ${name}`)),
          body.length > 0 && list(body, [...path, ...part]),
        );
      }),
    );
  }

  const list = (body, path) => h("ul", { class: "blocks" }, body.map((op, at) => block(op, [...path, at], body.length)));

  const operations = () => [
    list(main(), []),
    h("p", { class: "add-row" }, "Add an operation ", addTo([], "Add an operation to the script")),
  ];

  // ----- JavaScript -----

  const setFile = (text, isTyped) => set({ files: { ...program.files, [file]: text }, parted: true }, isTyped);

  function addFile() {
    let number = 1;
    while (`worker${number}.js` in program.files) number += 1;
    file = `worker${number}.js`;
    setFile("const { parentPort } = require('worker_threads');\n\n", false);
  }

  function removeFile() {
    const { [file]: _, ...files } = program.files;
    file = "main.js";
    set({ files, parted: true });
  }

  function javascript() {
    const numbers = h("pre", { class: "numbers", "aria-hidden": "true" });
    const bad = new Set(errors.filter((error) => error.file === file).map((error) => error.line));
    const number = (text) => fill(numbers, text.split("\n").map((_, at) => h("span", { class: bad.has(at + 1) ? "bad" : "" }, `${bad.has(at + 1) ? "✗" : ""}${at + 1}\n`)));
    const text = h("textarea", {
      class: "code", spellcheck: "false", autocapitalize: "off", wrap: "off", rows: "18",
      "aria-label": file, "data-key": `text ${file}`,
      oninput: (event) => {
        bad.clear();
        number(event.target.value);
        setFile(event.target.value, true);
      },
      onscroll: (event) => (numbers.scrollTop = event.target.scrollTop),
    });
    text.value = program.files[file] ?? "";
    number(text.value);
    const choose = (name) => {
      file = name;
      draw();
    };
    return [
      missing && h("p", { class: "bad", role: "note" }, missing),
      h("div", { class: "row" },
        tabs("Files", Object.keys(program.files).map((name) => ({ title: name, key: name })), file, choose),
        button("add file", "Add a file for a worker", "+", addFile),
        button("remove file", `Remove ${file}`, "×", removeFile, file === "main.js"),
      ),
      h("div", { class: "text", role: "tabpanel" }, numbers, text),
    ];
  }

  // ----- Both -----

  async function choose(language) {
    if (language === "javascript" && !program.files) {
      let files = { "main.js": "" };
      try {
        if (program.scenario) files = await translate(program);
      } catch (error) {
        console.warn("not translated:", error);
      }
      program = { ...program, files };
    }
    if (language === "scenario" && !program.scenario) program = { ...program, scenario: { name: program.title, main: [] } };
    set({ language });
  }

  const pool = () => h("label", { class: "field" }, "pool threads ",
    h("input", { type: "number", min: "1", max: "64", placeholder: "4", value: program.pool ? String(program.pool) : "", "data-key": "pool",
      oninput: (event) => set({ pool: Number.parseInt(event.target.value, 10) || undefined }, true) }));

  const clock = () => h("label", { class: "field" }, "clock ",
    h("select", { "data-key": "clock", onchange: (event) => set({ clock: event.target.value }) },
      [["virtual", "virtual: waiting takes no time"], ["real", "real"]].map(([value, title]) =>
        h("option", { value, selected: value === (program.clock ?? "virtual") }, title))));

  function draw() {
    fill(
      element,
      h("div", { class: "row" }, tabs("Language", LANGUAGES.map(({ language, title }) => ({ title, key: language })), program.language, choose), pool(), clock()),
      program.parted && h("p", { class: "note" }, "The JavaScript was written by hand: operations and JavaScript are two programs now."),
      program.language === "scenario" ? operations() : javascript(),
    );
  }

  draw();
  return {
    element,
    program: () => program,
    /** Errors of the last run: { text, file, line }. Shows the first one's file. */
    complain(all) {
      errors = all;
      const first = all.find((error) => program.files && error.file in program.files);
      if (first) file = first.file;
      draw();
      if (first) {
        const text = element.querySelector("textarea");
        const at = text.value.split("\n").slice(0, first.line - 1).join("\n").length;
        text.setSelectionRange(at + (first.line > 1 ? 1 : 0), at + 1);
      }
    },
  };
}
