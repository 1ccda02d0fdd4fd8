// The lanes: a row a thread, and what ran on it from left to right.
//
// The way to the right is the order of what happened, or the time. In virtual time much happens at one
// time, and still one after the other: so the order stands first. Arrows lead from a message to its
// delivery, and from a job to where it runs and to its completion.

import { attribute, fill, h, s } from "./dom.js";
import { MARKS, isOfDrain, nameOf, ownName, sort, time, trackName } from "./words.js";

const HEIGHT = 34;
const TOP = 6;
const UNIT_MIN = 20; // The width of one step, with room for a mark, and what it is when there is more.
const UNIT_MAX = 44;
const NAMES = 112;
/** So many moments, and at most so many boxes, are drawn, up to the present one. */
const SHOWN = 400;
/** So many threads have rows of their own although nothing of them is drawn. */
const ROWS_MAX = 200;

/** What the way to the right may be: the order, or the last so many nanoseconds. */
const AXES = [
  { name: "order", words: "the order of what happened" },
  { name: "all", words: "the time, all of it", span: Infinity },
  { name: "1s", words: "the time, 1 s", span: 1e9 },
  { name: "100ms", words: "the time, 100 ms", span: 100e6 },
  { name: "10ms", words: "the time, 10 ms", span: 10e6 },
  { name: "1ms", words: "the time, 1 ms", span: 1e6 },
  { name: "100us", words: "the time, 100 µs", span: 100e3 },
];

/** In virtual time a job runs on the thread of its loop, which is in poll: it is drawn in a lane of its own. */
const laneOf = (state, job) => (state.loops[job.on] ? "pool" : job.on);

// A moment is { seen, at }: how many events there were, and the time.

/** What is drawn as a box, in all lanes: { track, from, to, isOpen, sort, name }. */
function boxes(state, context) {
  const now = { seen: state.seen, at: state.at };
  const callback = (line) => {
    const known = context.line(line.id) ?? line;
    const to = line.ended === null ? now : { seen: line.ended, at: line.at + (line.took ?? 0) };
    return { track: line.track, from: { seen: line.began, at: line.at }, to, isOpen: line.ended === null, sort: sort(line.kind, line.phase), isInner: isOfDrain(line), name: nameOf(known), short: ownName(known), took: line.took, panicked: line.panicked };
  };
  const sleep = (one) => {
    const isOpen = one.ended === null;
    const to = isOpen ? now : { seen: one.ended, at: one.until ?? one.at };
    return { track: one.track, from: { seen: one.began, at: one.at }, to, isOpen, sort: "sleep", name: isOpen ? "sleeps" : `slept ${time(to.at - one.at)}`, took: null };
  };
  const job = (one) => {
    const isOpen = one.ended === null;
    const to = isOpen ? now : { seen: one.ended, at: one.endedAt ?? one.startedAt };
    return { track: laneOf(state, one), from: { seen: one.started, at: one.startedAt }, to, isOpen, sort: "job", name: nameOf(one), short: ownName(one), took: isOpen ? null : to.at - one.startedAt };
  };
  const sleeps = state.sleeps.filter((one) => !one.no_sleep);
  return [...state.ledger.map(callback), ...sleeps.map(sleep), ...begunJobs(state).map(job)];
}

const begunJobs = (state) => Object.values(state.jobs).filter((job) => job.started !== null && job.started !== undefined);

/** The first callback of a loop that begins after this moment, or null. */
function nextOn(ledger, track, moment) {
  let [from, to] = [0, ledger.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ledger[middle].began > moment) to = middle;
    else from = middle + 1;
  }
  for (; from < ledger.length; from += 1) if (ledger[from].track === track) return ledger[from];
  return null;
}

/** The arrows: { from: { track, seen, at }, to: { track, seen, at }, sort }. */
function arrows(state) {
  /** The callback that gets what was delivered: the next one there, if that has begun. */
  const getter = ({ to, delivered, deliveredAt, at }) => {
    const line = nextOn(state.ledger, to, delivered);
    return { track: to, seen: line?.began ?? delivered, at: line?.at ?? deliveredAt ?? at };
  };
  const posts = state.posts.filter((post) => post.delivered !== null).map((post) => ({
    from: { track: post.from, seen: post.posted, at: post.at }, to: getter(post), sort: "post",
  }));
  const completions = new Map(state.ledger.map((line) => [line.cause, line]));
  const jobs = begunJobs(state).flatMap((job) => {
    const lane = laneOf(state, job);
    const done = job.ended === null ? null : completions.get(job.id);
    return [
      job.submitted !== undefined && job.by !== null
        ? { from: { track: job.by, seen: job.submitted, at: job.at }, to: { track: lane, seen: job.started, at: job.startedAt }, sort: "job" } : null,
      done ? { from: { track: lane, seen: job.ended, at: job.endedAt ?? job.startedAt }, to: { track: done.track, seen: done.began, at: done.at }, sort: "job" } : null,
    ];
  });
  return [...posts, ...jobs.filter(Boolean)];
}

/** Whoever has done something has a row. Of very many threads only those of which something is drawn. */
export const withRows = (known, drawn) => (known.size <= ROWS_MAX ? known : drawn);

/** The rows in their order: a worker stands under its parent, the pool threads last. */
export function rows(state, used) {
  const all = [...used].filter((track) => track !== "pool").map((track) => state.tracks[track] ?? { number: track, is: "loop", parent: null });
  const loops = all.filter((track) => track.is !== "pool thread").sort((a, b) => a.number - b.number);
  const children = new Map();
  for (const track of loops) {
    if (!children.has(track.parent)) children.set(track.parent, []);
    children.get(track.parent).push(track);
  }
  const ordered = [];
  const placed = new Set();
  const put = (track, depth) => {
    if (placed.has(track.number)) return;
    placed.add(track.number);
    ordered.push({ track: track.number, depth });
    (children.get(track.number) ?? []).forEach((one) => put(one, depth + 1));
  };
  loops.filter((track) => !used.has(track.parent)).forEach((track) => put(track, 0));
  const pool = all.filter((track) => track.is === "pool thread").sort((a, b) => a.number - b.number);
  const virtual = used.has("pool") ? [{ track: "pool", depth: 0 }] : [];
  return [...ordered, ...pool.map((track) => ({ track: track.number, depth: 0 })), ...virtual];
}

// ----- The way to the right -----

/** A column for each moment in which a box or an arrow begins or ends. */
function byOrder(all, ways, room) {
  const seen = [...all, ...ways].flatMap(({ from, to }) => [from.seen, to.seen]);
  const columns = [...new Set(seen)].sort((a, b) => a - b).slice(-SHOWN);
  const place = new Map(columns.map((moment, at) => [moment, at]));
  const unit = Math.min(UNIT_MAX, Math.max(UNIT_MIN, (room - 20) / (columns.length + 1)));
  const x = ({ seen: moment }) => 4 + (place.get(moment) ?? -1) * unit;
  // The time, where it changes.
  const marks = [];
  for (const { from, sort: kind } of all.toSorted((a, b) => a.from.seen - b.from.seen)) {
    const last = marks.at(-1);
    if (kind === "job" || from.at === last?.at || !place.has(from.seen) || x(from) < (last?.x ?? -99) + 60) continue;
    marks.push({ x: x(from), at: from.at });
  }
  return {
    x, marks, width: Math.max(40, (columns.length + 1) * unit + 8), least: unit - 2, inset: unit / 2,
    shows: ({ from, to }) => place.has(to.seen) || place.has(from.seen), has: (moment) => place.has(moment.seen),
  };
}

/** The least of 1, 2, 5, 10, … that is in a span so often, or less. */
function round(span, times) {
  const power = 10 ** Math.floor(Math.log10(span / times));
  return power * ([1, 2, 5].find((digit) => power * digit * times >= span) ?? 10);
}

/** The time, from so long ago to now. */
function byTime(all, span, now, room) {
  const first = Math.min(now, ...all.map(({ from }) => from.at));
  const start = Math.max(first, now - span);
  const scale = (room - 14) / Math.max(1, now - start);
  const x = ({ at }) => 4 + (at - start) * scale;
  const marks = [];
  if (now > start) {
    const step = round(now - start, Math.max(2, room / 110));
    for (let at = Math.ceil(start / step) * step; at <= now - 30 / scale; at += step) marks.push({ x: x({ at }), at });
  }
  return { x, marks, width: Math.max(40, room), least: 2.5, inset: 0, shows: ({ to }) => to.at >= start, has: (moment) => moment.at >= start };
}

// ----- What is drawn -----

/** Patterns, so that the phases differ without colour too. */
const PATTERNS = {
  timers: "M0 4H8", pending: "M0 0L8 8", idle: "M4 0V8", prepare: "M8 0L0 8", poll: "M0 0L8 8M8 0L0 8", check: "M2 0V8M6 0V8", close: "M0 2H8M0 6H8",
};

const patterns = () =>
  s("defs", null,
    Object.entries(PATTERNS).map(([name, d]) => s("pattern", { id: `pattern-${name}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, s("path", { class: `weave sort-${name}`, d }))),
    s("marker", { id: "head", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 6, markerHeight: 6, orient: "auto" }, s("path", { class: "head", d: "M0 0 10 5 0 10z" })));

/** The whole name if there is room for it, else what tells it from others, its sort, or the mark of that. */
function nameFor(one, width) {
  const room = Math.floor((width - 4) / 6.6);
  const mark = MARKS[one.sort] ?? one.sort;
  return [one.name, one.short, one.sort, mark].find((words) => words && words.length <= room) ?? (room < 2 ? "" : mark.slice(0, room));
}

export function mount(root, context) {
  const choice = h("select", { "aria-label": "What goes from left to right" }, AXES.map(({ name, words }) => h("option", { value: name }, words)));
  const signs = h("ul", { class: "lane-signs", "aria-label": "What the boxes are" });
  const names = s("svg", { class: "lane-names", width: NAMES, role: "presentation" });
  const drawing = s("svg", { class: "lanes", role: "img", "aria-label": "The lanes of the threads. The ledger says in words what ran." });
  const scroll = h("div", { class: "lanes-scroll", tabindex: 0, "data-wide": "", role: "region", "aria-label": "Lanes: what ran on each thread" }, drawing);
  root.append(
    h("div", { class: "lanes-head" }, h("label", null, "Threads: to the right goes ", choice), signs),
    h("div", { class: "lanes-box" }, names, scroll));

  choice.value = context.store.get("axis", "order");
  if (choice.selectedIndex < 0) choice.selectedIndex = 0;
  const choose = (name) => {
    choice.value = name;
    context.store.set("axis", name);
    if (name !== "order") context.store.set("span", name);
    draw();
  };
  choice.addEventListener("change", () => choose(choice.value));

  let signed = "";
  /** The marks of what is drawn, in words. */
  function drawSigns(shown, ways) {
    const sorts = Object.keys(MARKS).filter((name) => shown.some((one) => one.sort === name));
    const key = [...sorts, ...new Set(ways.map((way) => way.sort))].join();
    if (key === signed) return;
    signed = key;
    fill(signs,
      sorts.map((name) => h("li", null, h("span", { class: `mark sort-${name}`, "aria-hidden": "true" }, MARKS[name]), ` ${name}`)),
      ways.some((way) => way.sort === "post") ? h("li", null, "⟶ message") : null,
      ways.some((way) => way.sort === "job") ? h("li", null, "⇢ to a pool thread and back") : null);
  }

  function draw() {
    const { state } = context;
    const { span } = AXES[choice.selectedIndex];
    const all = boxes(state, context);
    // All loops that are there have a row, and whoever else has done something.
    const turning = Object.values(state.loops).filter((loop) => !loop.hasEnded && loop.turning).map((loop) => loop.track);
    const known = new Set([...all.map((box) => box.track), ...turning]);
    const ways = arrows(state).filter(({ from, to }) => known.has(from.track) && known.has(to.track));
    const newest = span === undefined ? all : all.toSorted((a, b) => a.from.seen - b.from.seen).slice(-SHOWN);
    const axis = span === undefined ? byOrder(all, ways, scroll.clientWidth) : byTime(newest, span, state.at, scroll.clientWidth);
    const { x } = axis;
    const shown = newest.filter(axis.shows);
    const drawnWays = ways.filter(({ to }) => axis.has(to)).slice(-SHOWN);
    const ends = drawnWays.flatMap(({ from, to }) => [from.track, to.track]);
    const lanes = rows(state, withRows(known, new Set([...shown.map((one) => one.track), ...ends, ...turning])));
    const rowOf = new Map(lanes.map(({ track }, at) => [track, at]));
    const y = (track) => TOP + (rowOf.get(track) ?? 0) * HEIGHT;
    const height = TOP + Math.max(1, lanes.length) * HEIGHT + 16;

    const box = (one) => {
      const [left, right] = [Math.max(0, x(one.from)), x(one.to)];
      const wide = Math.max(axis.least, right - left - 1);
      const [top, tall] = [y(one.track) + (one.isInner ? 7 : 3), HEIGHT - (one.isInner ? 14 : 6)];
      return s("g", { class: `box sort-${one.sort}${one.isOpen ? " open" : ""}` },
        s("title", null, `${one.name}${one.sort === "sleep" || one.sort === "job" ? "" : ` (${one.sort})`}${one.panicked ? ", threw" : ""}${one.took ? `, ${time(one.took)}` : ""}`),
        s("rect", { x: left, y: top, width: wide, height: tall, rx: Math.min(one.isInner ? 8 : 3, wide / 2) }),
        PATTERNS[one.sort] ? s("rect", { class: "woven", x: left, y: top, width: wide, height: 5, fill: `url(#pattern-${one.sort})` }) : null,
        s("text", { x: left + wide / 2, y: y(one.track) + HEIGHT / 2 + 4.5 }, nameFor(one, wide)));
    };
    const arrow = ({ from, to, sort: kind }) => {
      const [x1, x2] = [x(from) + axis.inset, x(to) + 2];
      const down = y(to.track) > y(from.track);
      const same = from.track === to.track;
      const [y1, y2] = [y(from.track) + (down || same ? HEIGHT - 4 : 4), y(to.track) + (down ? 4 : HEIGHT - 4)];
      const bend = same ? 12 : 0;
      return s("path", { class: `arrow arrow-${kind}`, d: `M${x1} ${y1}C${x1 + 6} ${(y1 + y2) / 2 + bend} ${x2 - 8} ${(y1 + y2) / 2 + bend} ${x2} ${y2}`, "marker-end": "url(#head)" });
    };

    drawSigns(shown, drawnWays);
    for (const one of [names, drawing]) attribute(one, "height", height);
    attribute(drawing, "width", axis.width);
    fill(names, lanes.map(({ track, depth }) => s("text", { x: 4 + depth * 10, y: y(track) + HEIGHT / 2 + 5 }, `${depth ? "└ " : ""}${track === "pool" ? "pool threads" : trackName(state, track)}`.slice(0, 17))));
    fill(drawing, patterns(),
      lanes.map(({ track }) => s("line", { class: "rail", x1: 0, x2: axis.width, y1: y(track) + HEIGHT / 2, y2: y(track) + HEIGHT / 2 })),
      shown.map(box), drawnWays.map(arrow),
      axis.marks.map((mark) => s("text", { class: "when", x: mark.x, y: height - 3 }, time(mark.at))),
      s("line", { class: "present", x1: axis.width - 5, x2: axis.width - 5, y1: 0, y2: height }));
    scroll.scrollLeft = scroll.scrollWidth;
  }
  const axis = () => choose(choice.value === "order" ? context.store.get("span", "all") : "order");
  const ends = [
    context.keys.add({ key: "t", name: "Threads: the order, or the time", group: "Picture", run: axis }),
    context.onChange(draw),
  ];
  return () => ends.forEach((end) => end());
}
