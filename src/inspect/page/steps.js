// Going through a recording: forwards and back, by single steps or to the next of something, by
// itself at a speed, and up to breakpoints. All of it only sets the position: the picture is what
// the events up to there have made.

import { attribute, fill, h, put } from "./dom.js";
import * as legend from "./legend.js";
import { isOfDrain, nameOf, time } from "./words.js";

/** The events that are a step of their own. The others only complete what these say. */
const STEPS = new Set(
  ("turn_began iteration phase poll polled ended began returned drained queued armed refreshed cleared submitted refused started finished " +
    "withdrawn posted delivered dropped spawned online failed exited error lost").split(" "),
);

/** Whether the picture stops behind an event. */
export const isStep = (event) => (STEPS.has(event.what) && !(event.what === "phase" && event.phase === "main")) || (event.what === "fetched" && event.items > 0);

const isMacrotask = (event) => event.what === "began" && !isOfDrain(event);
const isDrained = (event) => event.what === "began" && !isMacrotask(event);

/** Whether a drain begins with an event: its first tick or microtask. */
function beginsDrain(events, at) {
  if (!isDrained(events[at])) return false;
  for (let before = at - 1; before >= 0; before -= 1) {
    const { what, track } = events[before];
    if (track !== events[at].track) continue;
    if (what === "drained") return true;
    if (what === "began") return isMacrotask(events[before]);
  }
  return true;
}

/** Something has come from another thread, and the loop has not made it itself. */
const isWake = (event) =>
  (event.what === "polled" && event.woken_by === "message") || (event.what === "fetched" && event.items > 0) || (event.what === "delivered");

/** What one can go to: a name, the key, and whether an event is one. */
export const KINDS = [
  { name: "step", title: "Step", key: "ArrowRight", back: "ArrowLeft", is: (events, at) => isStep(events[at]) },
  { name: "callback", title: "Callback", key: "c", is: (events, at) => events[at].what === "began" },
  { name: "phase", title: "Phase", key: "f", is: (events, at) => events[at].what === "poll" || (events[at].what === "phase" && events[at].phase !== "main") },
  { name: "iteration", title: "Iteration", key: "i", is: (events, at) => events[at].what === "iteration" },
  { name: "drain", title: "Drain", key: "d", is: beginsDrain },
  { name: "wake", title: "Wake by another thread", short: "Wake-up", key: "w", is: (events, at) => isWake(events[at]) },
];

/** The position behind the next event of a kind after `position`, or null. */
export function next(events, position, kind) {
  for (let at = position; at < events.length; at += 1) if (kind.is(events, at)) return at + 1;
  return null;
}

/** The position behind the last event of a kind before the one that is shown, or null. */
export function previous(events, position, kind) {
  for (let at = position - 2; at >= 0; at -= 1) if (kind.is(events, at)) return at + 1;
  return null;
}

/** Whether an event is one at which to stop: { what: "label" | "phase" | "iteration", value }. */
export function isBreak(event, { what, value }) {
  switch (what) {
    case "phase":
      return (event.what === "phase" && event.phase === value) || (event.what === "poll" && value === "poll");
    case "iteration":
      return event.what === "iteration" && String(event.number) === value;
    default: {
      const text = event.what === "began" ? nameOf(event) : event.what === "said" ? event.text : "";
      return text.toLowerCase().includes(value.toLowerCase());
    }
  }
}

const SPEEDS = [0.5, 1, 2, 5, 10, 50];

export function mount(root, context) {
  let speed = context.store.get("speed", 2);
  let timer = null;
  const isSound = (one) => typeof one?.what === "string" && typeof one.value === "string";
  const left = context.store.get("breaks", []);
  let breaks = Array.isArray(left) ? left.filter(isSound) : [];

  // ----- Moving -----

  /** The first position in (from, to] at which to stop, or `to`. */
  function upToBreak(from, to) {
    const { events } = context;
    for (let at = from; at < to; at += 1) {
      if (breaks.some((one) => isBreak(events[at], one))) return next(events, at, KINDS[0]) ?? to;
    }
    return to;
  }

  function forward(kind) {
    const { events, position } = context;
    const to = next(events, position, kind);
    if (to === null) return context.announce(`There is no ${kind.title.toLowerCase()} any more.`), events.length;
    const stop = kind.name === "step" ? to : Math.min(to, upToBreak(position, to));
    context.go(stop);
    return stop;
  }

  function back(kind) {
    context.go(previous(context.events, context.position, kind) ?? 0);
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
    draw();
  }

  function play() {
    // A live program plays by itself.
    if (context.live) return context.live.toggle();
    if (timer !== null) return stop();
    if (context.position >= context.events.length) context.go(0);
    const tick = () => {
      const { events, position } = context;
      const to = next(events, position, KINDS[0]);
      if (to === null) return stop();
      context.go(to);
      const hit = breaks.some((one) => events.slice(position, to).some((event) => isBreak(event, one)));
      if (hit) {
        context.announce("A breakpoint.");
        return stop();
      }
      timer = setTimeout(tick, 1000 / speed);
    };
    timer = setTimeout(tick, 0);
    draw();
  }

  function faster(by) {
    if (context.live) return context.live.faster(by);
    const at = SPEEDS.indexOf(speed) + by;
    speed = SPEEDS[Math.min(Math.max(0, at), SPEEDS.length - 1)];
    context.store.set("speed", speed);
    draw();
  }

  function setBreaks(list) {
    breaks = list;
    context.store.set("breaks", breaks);
    drawBreaks();
  }

  // ----- The bar -----

  const button = (text, title, run, key) => h("button", { type: "button", title: `${title} (${key})`, "aria-keyshortcuts": key, onclick: run }, text);
  const playButton = h("button", { type: "button", class: "main play", title: "Play or pause (space)", onclick: play });
  const speedWord = h("output", { class: "speed" });
  const range = h("input", { type: "range", min: 0, step: 1, "aria-label": "Moment of the recording", oninput: () => context.go(Number(range.value)) });
  const moment = h("output", { class: "moment" });

  const pairs = KINDS.map((kind) => {
    const label = kind.name === "step" ? kind.title : (kind.short ?? kind.title);
    const shift = kind.back ?? `Shift+${kind.key}`;
    return h("span", { class: "pair", role: "group", "aria-label": kind.title },
      button("◀", `${kind.title}: back`, () => back(kind), shift),
      button(`${label} ▶`, `${kind.title}: next`, () => (stop(), forward(kind)), kind.key));
  });

  const chooser = h("select", { "aria-label": "Stop at" }, h("option", { value: "label" }, "a label with"), h("option", { value: "phase" }, "phase"), h("option", { value: "iteration" }, "iteration"));
  const wanted = h("input", { size: 10, "aria-label": "Which", placeholder: "timer" });
  const list = h("span", { class: "breaks" });
  const add = (event) => {
    event.preventDefault();
    if (wanted.value.trim()) setBreaks([...breaks, { what: chooser.value, value: wanted.value.trim() }]);
    wanted.value = "";
  };
  const details = h("details", { class: "breakpoints" },
    h("summary", { title: "Breakpoints (b)" }, "Breakpoints ", h("span", { class: "count" })),
    h("form", { onsubmit: add }, "Stop at ", chooser, " ", wanted, " ", h("button", null, "Add")), list);

  const signs = h("span", { class: "signs" });

  function drawBreaks() {
    put(details.querySelector(".count"), breaks.length ? `(${breaks.length})` : "");
    const word = { label: "label with", phase: "phase", iteration: "iteration" };
    fill(list, breaks.map((one, at) => h("button", { type: "button", "data-key": `break-${at}`, title: "Take it away", onclick: () => setBreaks(breaks.filter((_, other) => other !== at)) },
      `${word[one.what]} ${one.value} ✕`)));
  }

  root.append(
    h("div", { class: "bar", role: "group", "aria-label": "Steps" },
      playButton,
      h("span", { class: "pair", role: "group", "aria-label": "Speed" }, button("–", "Slower", () => faster(-1), "-"), speedWord, button("+", "Faster", () => faster(1), "+")),
      button("|◀", "To the beginning", () => context.go(0), "Home"), pairs, button("▶|", "To the end", () => context.go(context.events.length), "End"), details),
    h("div", { class: "scrub" }, range, moment, signs),
  );
  drawBreaks();
  const endOfSigns = legend.mount(signs, context);

  function draw() {
    const { position, events, state } = context;
    const plays = context.live ? !context.live.paused && !context.live.ended : timer !== null;
    put(playButton, plays ? "Pause" : context.live ? "Live ▶" : "Play ▶");
    playButton.disabled = Boolean(context.live?.ended); // There is nothing more to be seen.
    put(speedWord, `${context.live?.pace ?? speed} a second`);
    attribute(range, "max", events.length);
    if (Number(range.value) !== position) range.value = position;
    attribute(range, "aria-valuetext", `${position} of ${events.length}, ${time(state.at)}`);
    put(moment, `event ${position} of ${events.length}`);
  }

  // ----- Keys -----

  const group = "Steps";
  const own = [
    { key: " ", name: "Play, pause", group, run: play },
    { key: "+", name: "Faster", group, run: () => faster(1) },
    { key: "-", name: "Slower", group, run: () => faster(-1) },
    { key: "Home", name: "To the beginning", group, run: () => context.go(0) },
    { key: "End", name: "To the end", group, run: () => context.go(context.events.length) },
    { key: "b", name: "Breakpoints", group, run: () => ((details.open = true), wanted.focus()) },
    ...KINDS.flatMap((kind) => [
      { key: kind.key, name: `${kind.title}: next`, group, run: () => (stop(), forward(kind)) },
      { key: kind.back ?? `Shift+${kind.key}`, name: `${kind.title}: back`, group, run: () => (stop(), back(kind)) },
    ]),
  ];
  const ends = own.map(context.keys.add);
  ends.push(context.onChange(draw), endOfSigns);
  return () => (clearTimeout(timer), ends.forEach((end) => end()));
}
