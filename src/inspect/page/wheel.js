// The wheel: the phases of an iteration as a ring, with a hand at the one that calls back. Each phase
// says how many callbacks are left of those that it has set out to call, and how many wait for its
// next time. In the hub are the two tubes, ticks and microtasks: they are emptied after each callback,
// whatever phase called it, and so they are no phase.

import { attribute, fill, h, put, s } from "./dom.js";
import { PHASES, alive, mainTrack, numbers } from "./state.js";
import { isOfDrain, kindsOf, nameOf, sleepWords, sleptWords, sort, time, trackName } from "./words.js";

const CENTRE = 280;
const OUTER = 262;
const INNER = 150;
const HUB = 136;

/** Where each phase is on the ring, in degrees from three o'clock. An iteration begins at the top. */
const WIDTH = 260 / 6;
const SPANS = {
  timers: [270 - WIDTH, 270],
  pending: [270, 270 + WIDTH],
  idle: [270 + WIDTH, 270 + 2 * WIDTH],
  prepare: [270 + 2 * WIDTH, 400],
  poll: [40, 140],
  check: [140, 140 + WIDTH],
  close: [140 + WIDTH, 140 + 2 * WIDTH],
};

/** What a phase calls, for who has not met it. */
const CALLS = {
  timers: "timers that are due",
  pending: "results put off",
  idle: "idle watchers",
  prepare: "before poll",
  poll: "sleeps, then calls back",
  check: "immediates",
  close: "close callbacks",
};

const point = (radius, degrees) => {
  const angle = (degrees * Math.PI) / 180;
  return [CENTRE + radius * Math.cos(angle), CENTRE + radius * Math.sin(angle)].map((value) => value.toFixed(1)).join(" ");
};

/** A piece of the ring. */
function sector([from, to]) {
  const [a, b] = [from + 0.8, to - 0.8];
  return `M${point(OUTER, a)}A${OUTER} ${OUTER} 0 0 1 ${point(OUTER, b)}L${point(INNER, b)}A${INNER} ${INNER} 0 0 0 ${point(INNER, a)}z`;
}

const middle = ([from, to]) => (from + to) / 2;

/** The parts of one phase, and how they are set. */
function part(phase) {
  const [x, y] = point((OUTER + INNER) / 2, middle(SPANS[phase])).split(" ").map(Number);
  const at = (dy, attributes, ...children) => s("text", { x, y: y + dy, ...attributes }, ...children);
  const left = s("tspan", { class: "number" });
  const next = s("tspan", { class: "number" });
  const note = at(phase === "poll" ? 28 : 0, { class: "note" });
  const isPoll = phase === "poll";
  const words = isPoll ? [at(46, { class: "note" })] : [];
  const group = s("g", { class: `phase phase-${phase}` },
    s("title"),
    s("path", { class: "sector", d: sector(SPANS[phase]) }),
    at(isPoll ? -28 : -18, { class: "name" }, phase),
    isPoll ? null : at(-3, { class: "note" }, CALLS[phase]),
    at(isPoll ? -8 : 16, { class: "count" }, left, " left now"),
    at(isPoll ? 10 : 34, { class: "count later" }, next, " for later"),
    isPoll ? note : null,
    words);
  return { group, left, next, note, second: words[0] };
}

/** Breaks words into two lines that fit into the sector of the poll. */
function twoLines(text) {
  if (text.length <= 30) return [text, ""];
  const middle = text.lastIndexOf(" ", Math.max(30, Math.ceil(text.length / 2)));
  return [text.slice(0, middle), text.slice(middle + 1)];
}

/** A tube of the hub: what waits in it stands in it, the next one at the bottom. */
const SHOWN = 5;
function tube(x, name) {
  const rows = Array.from({ length: SHOWN }, (_, row) =>
    s("rect", { class: "bead", x: x - 34, y: CENTRE + 24 - row * 17, width: 68, height: 14, rx: 7 }));
  const more = s("text", { x, y: CENTRE - 52, class: "note" });
  const amount = s("text", { x, y: CENTRE + 66, class: "name" });
  const group = s("g", { class: `tube tube-${name}` },
    s("rect", { class: "wall", x: x - 40, y: CENTRE - 48, width: 80, height: 92, rx: 14 }), rows, more, amount);
  return { group, rows, more, amount, name };
}

export function mount(root, context) {
  const parts = Object.fromEntries(PHASES.map((phase) => [phase, part(phase)]));
  const hand = s("g", { class: "hand" }, s("path", { d: `M${CENTRE + HUB} ${CENTRE - 9}L${CENTRE + INNER + 8} ${CENTRE}L${CENTRE + HUB} ${CENTRE + 9}z` }));
  const tubes = [tube(CENTRE - 48, "ticks"), tube(CENTRE + 48, "microtasks")];
  const hubWord = s("text", { x: CENTRE, y: CENTRE + 90, class: "note" });
  const turning = s("path", {
    class: "turning", d: `M${CENTRE - 126} ${CENTRE}A126 126 0 0 1 ${CENTRE + 126} ${CENTRE}M${CENTRE + 126} ${CENTRE}l-9 -13M${CENTRE + 126} ${CENTRE}l10 -12`,
  });
  const first = s("text", { x: CENTRE, y: CENTRE - 82, class: "name" }, "after each callback:");
  const second = s("text", { x: CENTRE, y: CENTRE - 66, class: "note" }, "all ticks, then all microtasks");
  const mainBox = s("g", { class: "main-script" }, s("title", null, "What runs in no phase: the main script before the first iteration, and hooks of the program’s end."),
    s("rect", { x: 6, y: 8, width: 122, height: 34, rx: 17 }), s("text", { x: 67, y: 30, class: "name" }, "main script"));
  const iteration = s("text", { x: 554, y: 26, class: "name right" });
  const clock = s("text", { x: 554, y: 46, class: "note right" });
  const keeps = s("text", { x: 554, y: 537, class: "note right" });
  const kept = s("text", { x: 554, y: 553, class: "note right" });
  const title = s("title", { id: "wheel-title" }, "The phases of the loop");
  const description = s("desc", { id: "wheel-words" });

  const drawing = s("svg", { class: "wheel", viewBox: "0 -14 560 574", role: "img", "aria-labelledby": "wheel-title wheel-words" },
    title, description,
    s("path", { class: "start", d: `M${point(OUTER + 14, 270)}L${point(OUTER - 2, 270)}` }),
    s("text", { x: CENTRE + 7, y: 10, class: "note begins" }, "an iteration begins ↷"),
    PHASES.map((phase) => parts[phase].group),
    s("circle", { class: "hub", cx: CENTRE, cy: CENTRE, r: HUB }),
    turning, first, second, tubes.map((one) => one.group), hubWord, hand, mainBox, iteration, clock, keeps, kept);
  const chooser = h("select", { "aria-label": "Which loop the wheel shows" });
  const choice = h("label", { class: "choice" }, "Loop ", chooser);
  root.append(choice, drawing);

  let chosen = null; // A track, or null: the one on which something happened last.
  chooser.addEventListener("change", () => {
    chosen = chooser.value === "" ? null : Number(chooser.value);
    draw();
  });

  function shownTrack() {
    const { state, events, position } = context;
    if (chosen !== null && state.loops[chosen]) return chosen;
    // A picture of a live program would go to and fro between its loops.
    if (context.live && mainTrack(state) !== null) return mainTrack(state);
    for (let at = position - 1; at >= 0; at -= 1) if (state.loops[events[at].track]) return events[at].track;
    const first = events.find((event) => event.what === "began");
    return first?.track ?? null;
  }

  let known = "";
  function drawChoice() {
    const { state } = context;
    // Of a live program nothing more is to be seen of a loop that has ended.
    const isThere = (track) => !(context.live && state.loops[track].hasEnded) || Number(track) === chosen;
    const tracks = Object.keys(state.loops).filter((track) => state.tracks[track]?.is !== "pool thread" && isThere(track));
    const key = tracks.map((track) => `${track} ${trackName(state, track)}`).join();
    choice.hidden = tracks.length < 2;
    if (key === known) return;
    known = key;
    fill(chooser, h("option", { value: "" }, context.live ? "main" : "acting now"), tracks.map((track) => h("option", { value: track }, trackName(state, track))));
    chooser.value = chosen === null ? "" : String(chosen);
  }

  function drawTube({ group, rows, more, amount, name }, loop) {
    const waits = loop?.[name] ?? [];
    rows.forEach((row, at) => attribute(row, "class", at < waits.length ? "bead" : "bead empty-bead"));
    put(more, waits.length > SHOWN ? `+ ${waits.length - SHOWN}` : "");
    put(amount, `${waits.length} ${waits.length === 1 ? name.slice(0, -1) : name}`);
    group.classList.toggle("full", waits.length > 0);
  }

  function draw() {
    const { state } = context;
    drawChoice();
    const track = shownTrack();
    const loop = state.loops[track];
    const line = loop && state.ledger.findLast((one) => one.id === loop.running.at(-1));
    const isMain = !loop || loop.phase === "main" || !loop.turning;
    const current = isMain ? null : loop.phase;
    const spoken = [];
    for (const phase of PHASES) {
      const { group, left, next, note, second } = parts[phase];
      const amounts = loop ? numbers(loop, phase) : { left: 0, next: 0 };
      put(left, String(amounts.left));
      put(next, String(amounts.next));
      group.classList.toggle("now", phase === current);
      group.classList.toggle("some", amounts.left + amounts.next > 0);
      group.classList.toggle("sleeping", phase === "poll" && Boolean(loop?.sleep) && !loop.sleep.no_sleep);
      put(group.querySelector("title"), `${phase}: ${CALLS[phase]}. ${amounts.left} left in this batch, ${amounts.next} put off to the next round${phase === "timers" ? ", or not due yet" : ""}.`);
      if (amounts.left + amounts.next > 0) spoken.push(`${phase} ${amounts.left} left now, ${amounts.next} for later`);
      if (phase !== "poll") continue;
      const words = twoLines(loop?.sleep ? sleepWords(loop.sleep) : current === "poll" && loop.lastPoll ? sleptWords(loop.lastPoll) : CALLS.poll);
      put(note, words[0]);
      put(second, words[1]);
    }
    hand.classList.toggle("away", current === null);
    if (current) attribute(hand, "transform", `rotate(${middle(SPANS[current])} ${CENTRE} ${CENTRE})`);
    mainBox.classList.toggle("now", isMain && Boolean(line));
    tubes.forEach((one) => drawTube(one, loop));
    const drains = Boolean(line) && isOfDrain(line);
    turning.classList.toggle("on", drains || Boolean(loop?.draining));
    put(hubWord, drains ? `a ${sort(line.kind)} runs` : loop?.draining ? "drains until both are empty" : "");
    const several = Object.keys(state.loops).length > 1;
    put(iteration, !loop ? "" : [several ? trackName(state, track) : "", isMain ? "" : `iteration ${loop.iteration}`].filter(Boolean).join(", "));
    put(clock, loop ? `it is ${time(state.at)}` : "");
    const holds = loop ? [...alive(loop), ...loop.closing.map(() => ({ kind: "close callback" }))] : [];
    put(keeps, holds.length ? "kept alive by" : "");
    put(kept, !loop ? "" : loop.hasEnded ? "the loop has ended" : holds.length ? kindsOf(holds) : "nothing keeps it alive");
    put(description, `${current ? `The loop is in phase ${current}.` : "The loop is in no phase."} ${line ? `${nameOf(line)} runs.` : ""} ${spoken.join("; ")} ${hubWord.textContent}`.trim());
  }

  return context.onChange(draw);
}
