// The page: its screens, its keys, and the context that each screen is given.
//
// A screen is a module with `mount(root, context)`. It draws into `root` and returns a function that
// ends it, or nothing. The context is all that it knows:
//
//   about        what /api/about said: { mode: "study" | "live", program, version }, or null without a server
//   events       the events of the recording, in order (see events.js)
//   position     how many of them are shown
//   state        what these have made of `initial()` (see state.js)
//   at(position) the state after so many events
//   lines        the ledger of the whole recording: a line a callback; line(id) is one of them, or null
//   program      { name, language, files: [{ name, text }] } of the recording, or null
//   load(events, program?)   shows another recording, from its beginning
//   append(events)           more has happened (attached to a live program)
//   go(position)             shows the moment after so many events; a live picture is paused by it
//   goSeen(seen)             the same by what states call a moment: `seen`, counted from the first event of all
//   first                    how many events there were before the first of `events`, for a live program
//   live         the live program (see feed.js), or null
//   onChange(f)  calls f after each change of the above, once a frame; returns a function that ends it
//   open(screen, rest?)      goes to a screen; `route` is { screen, rest }, and stands in the link as #screen/rest
//   api          get(path), post(path, body): JSON; lines(path, body, signal?): events
//   store        get(key, otherwise), set(key, value): kept in this browser, a draft by each tab
//   keys         add({ key, name, group, run }): a key of the page; returns a function that takes it away
//   announce(text)           says it to who cannot see

import { fill, h, put } from "./dom.js";
import { inOrder, ofProgram, parse } from "./events.js";
import { Feed } from "./feed.js";
import { open } from "./recording.js";
import { Replay } from "./replay.js";

/** The screens, in the order of the menu, with the modes in which they are there. */
const SCREENS = [
  { name: "start", title: "Start", modes: ["study"], load: () => import("./start.js") },
  { name: "watch", title: "Watch", modes: ["study", "live", "none"], load: () => import("./watch.js") },
  { name: "predict", title: "Predict", modes: ["study"], load: () => import("./predict.js") },
  { name: "whatif", title: "What if", modes: ["study"], load: () => import("./whatif.js") },
  { name: "live", title: "Live figures", modes: ["live"], load: () => import("./live.js") },
  { name: "share", title: "Share", modes: ["study", "live", "none"], load: () => import("./share.js") },
];

const id = (name) => document.getElementById(name);

// ----- What the context is made of -----

const api = {
  async request(path, options) {
    const response = await fetch(path, options).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer: has its program ended? Start it again, then try again; what is on the page stays.");
    });
    if (response.ok) return response;
    throw new Error((await response.text()).slice(0, 2000) || `${path}: ${response.status}`);
  },
  async get(path) {
    return (await api.request(path)).json();
  },
  sent(body) {
    return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  },
  async post(path, body) {
    return (await api.request(path, api.sent(body))).json();
  },
  async lines(path, body, signal) {
    const options = { ...(body === undefined ? {} : api.sent(body)), signal };
    return inOrder(parse(await (await api.request(path, options)).text()));
  },
};

// A browser may keep nothing: then what was set is known until the page is left.
const kept = new Map();
// What is edited is that of its tab, and a new tab begins with the last one. What came with a link stays
// in the tab.
const places = (key) => ({ draft: [sessionStorage, localStorage], linked: [sessionStorage] })[key] ?? [localStorage];
const store = {
  get(key, otherwise = null) {
    try {
      for (const place of places(key)) {
        const value = JSON.parse(place.getItem(`windlass.${key}`));
        // What another program has left there is none of ours.
        if (value !== null && (otherwise === null || typeof value === typeof otherwise)) return value;
      }
    } catch (error) {
      console.warn("not read from this browser:", error);
    }
    return kept.get(key) ?? otherwise;
  },
  set(key, value) {
    kept.set(key, value);
    try {
      for (const place of places(key)) place.setItem(`windlass.${key}`, JSON.stringify(value));
    } catch (error) {
      console.warn("not kept in this browser:", error);
    }
  },
};

const listeners = new Set();
let asked = false;

/** All that listen are called in the next frame, once. */
function changed() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    for (const listener of [...listeners]) listener();
  });
}

const bindings = new Set();
let replay = new Replay([]);

export const context = {
  about: null,
  live: null,
  program: null,
  position: 0,
  route: { screen: "", rest: "" },
  get events() {
    return replay.events;
  },
  get state() {
    return replay.at(context.position);
  },
  at: (position) => replay.at(position),
  get lines() {
    return replay.end().ledger;
  },
  line: (id) => replay.line(id),
  load(events, program = null) {
    const meta = events.find((event) => event.what === "meta");
    context.program = program ?? meta?.program ?? null;
    replay = new Replay(ofProgram(events, context.program?.files));
    context.position = 0;
    changed();
  },
  append(events) {
    const gone = replay.append(events);
    context.position = Math.max(0, context.position - gone);
    changed();
  },
  /** Shows the end. */
  follow() {
    context.position = replay.events.length;
    changed();
  },
  go(position) {
    const seen = context.first + position; // What the pause adds may push out the oldest events.
    context.live?.pause();
    context.position = Math.min(Math.max(0, seen - context.first), replay.events.length);
    changed();
  },
  goSeen: (seen) => context.go(seen - context.first),
  get first() {
    return replay.first.seen;
  },
  changed,
  onChange(listener) {
    listeners.add(listener);
    changed();
    return () => listeners.delete(listener);
  },
  open(screen, rest = "") {
    location.hash = rest === "" ? screen : `${screen}/${rest}`;
  },
  api,
  store,
  keys: {
    add(binding) {
      bindings.add(binding);
      return () => bindings.delete(binding);
    },
  },
  announce(text) {
    put(id("announce"), text);
  },
};

// ----- Screens -----

let unmount = null;
let shown = null;

const mode = () => context.about?.mode ?? "none";
const screens = () => SCREENS.filter((screen) => screen.modes.includes(mode()));

function drawMenu(current) {
  const link = (screen, at) =>
    h("li", null, h("a", {
      href: `#${screen.name}`,
      title: `${screen.title} (${at + 1})`,
      "aria-current": screen === current ? "page" : null,
    }, screen.title));
  fill(id("nav"), screens().map(link));
}

async function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  if (name === "screen") return; // The link for who does not want the menu.
  const screen = screens().find((one) => one.name === name) ?? screens()[0];
  context.route = { screen: screen.name, rest: rest.join("/") };
  drawMenu(screen);
  document.title = `${screen.title} – Windlass`;
  const root = id("screen");
  if (shown === screen) return changed();
  unmount?.();
  unmount = null;
  shown = screen;
  root.className = `screen-${screen.name}`;
  fill(root, h("p", { class: "empty" }, "…"));
  try {
    const module = await screen.load();
    if (shown !== screen) return; // Another one was opened meanwhile.
    fill(root);
    unmount = module.mount(root, context) ?? null;
    changed();
  } catch (error) {
    console.error(error);
    fill(root, h("p", { class: "empty", role: "alert" }, `The screen “${screen.title}” could not be opened: ${error.message}`));
  }
}

// ----- Keys -----

const GLOBAL = [
  { key: "?", name: "This page of keys", group: "Page", run: showKeys },
  ...SCREENS.map((_, at) => ({
    key: String(at + 1),
    group: "Page",
    get name() {
      return screens()[at] ? `Screen “${screens()[at].title}”` : "";
    },
    run: () => screens()[at] && context.open(screens()[at].name),
  })),
];

const NAMES = { ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", " ": "space" };

/** How a key is written: `Shift+d` as “shift d”. */
export const keyName = (key) => key.split("+").map((part) => NAMES[part] ?? part.toLowerCase()).join(" ") || key;

function showKeys() {
  const groups = new Map();
  for (const binding of [...bindings, ...GLOBAL].filter((one) => one.name)) {
    groups.set(binding.group, [...(groups.get(binding.group) ?? []), binding]);
  }
  const dialog = id("keys");
  const row = (one) => h("tr", null, h("td", null, h("kbd", null, one.key === "+" ? "+" : keyName(one.key))), h("td", null, one.name));
  fill(
    dialog,
    h("h2", { id: "keys-title" }, "Keys"),
    h("div", { class: "keys-groups" }, [...groups].map(([group, all]) => h("section", null, h("h3", null, group), h("table", null, all.map(row))))),
    h("p", null, "Each of these is a button on the page too. ", h("button", { type: "button", onclick: () => dialog.close() }, "Close")),
  );
  dialog.showModal();
}

/** Where keys are typed, they are no commands. */
const isTyped = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyped(event.target) || document.querySelector("dialog[open]")) return;
  // Who has come by keys to something that is wider than its place goes through it by the arrows.
  if (event.key.startsWith("Arrow") && event.target.matches?.("[data-wide]:focus-visible")) return;
  // A button that has the focus is pressed by space and enter itself.
  if ([" ", "Enter"].includes(event.key) && event.target.closest?.("button, a, summary, [role=button]")) return;
  const named = event.shiftKey && event.key.length > 1 ? `Shift+${event.key}` : event.key;
  const capital = event.shiftKey && /^[A-Z]$/.test(event.key) ? `Shift+${event.key.toLowerCase()}` : named;
  const binding = [...bindings, ...GLOBAL].find((one) => one.key === capital);
  if (!binding) return;
  event.preventDefault();
  binding.run();
}

// ----- The beginning -----

async function begin() {
  id("help").addEventListener("click", showKeys);
  document.addEventListener("keydown", press);
  document.addEventListener("dragover", drop);
  document.addEventListener("drop", drop);
  addEventListener("hashchange", route);
  // A page that was saved with a recording has no server, and asks none.
  const recording = id("recording");
  if (recording) {
    context.load(inOrder(parse(recording.textContent)));
  } else {
    try {
      context.about = await api.get("api/about");
    } catch (error) {
      console.warn("no server to ask:", error); // A recording can be opened all the same.
    }
  }
  if (mode() === "live") context.live = new Feed(context);
  const program = context.about?.program;
  put(id("program"), typeof program === "string" ? program : (program?.name ?? ""));
  await route();
  // The other screens too, for the server may have ended when one of them is wanted.
  await Promise.allSettled(screens().map((screen) => screen.load()));
}

/** A recording is dropped wherever there is room for it: a browser would leave the page for it. */
function drop(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const [file] = event.dataTransfer.files; // None while it is still dragged.
  if (event.type === "drop") open(context, file).catch((error) => context.announce(error.message));
}

begin();
