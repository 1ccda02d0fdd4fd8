// The lanes: a row a thread, and what ran on it from left to right.
//
// The way to the right is the order of what happened, not the time: in virtual time much happens at
// one time, and still one after the other. The times stand beneath. Arrows lead from a message to its
// delivery, and from a job to where it runs and to its completion.

import { attribute, fill, h, s } from "./dom.js";
import { MARKS, nameOf, ownName, sort, time, trackName } from "./words.js";

const HEIGHT = 34;
const TOP = 6;
const UNIT_MIN = 17; // The width of one step, and what it is when there is room.
const UNIT_MAX = 44;
const NAMES = 112;
/** So many moments are drawn, up to the present one. */
const SHOWN = 400;

/** In virtual time a job runs on the thread of its loop, which is in poll: it is drawn in a lane of its own. */
const laneOf = (state, job) => (state.loops[job.on] ? "pool" : job.on);

/** What is drawn as a box, in all lanes: { track, began, ended, sort, name }. */
function boxes(state, context) {
  const callbacks = state.ledger.map((line) => ({
    track: line.track, began: line.began, ended: line.ended, sort: sort(line.kind, line.phase), name: nameOf(context.line(line.id) ?? line), short: ownName(context.line(line.id) ?? line), took: line.took, id: line.id, panicked: line.panicked,
  }));
  const sleeps = state.sleeps
    .filter((sleep) => !sleep.no_sleep)
    .map((sleep) => ({ track: sleep.track, began: sleep.began, ended: sleep.ended, sort: "sleep", name: sleep.ended === null ? "sleeps" : `slept ${time(sleep.until - sleep.at)}`, took: null }));
  const jobs = Object.values(state.jobs)
    .filter((job) => job.started !== null && job.started !== undefined)
    .map((job) => ({ track: laneOf(state, job), began: job.started, ended: job.ended, sort: "job", name: nameOf(job), short: ownName(job), took: job.ended === null ? null : job.endedAt - job.startedAt }));
  return [...callbacks, ...sleeps, ...jobs];
}

/** The arrows: { from: { track, at }, to: { track, at }, sort }. */
function arrows(state) {
  const posts = state.posts
    .filter((post) => post.delivered !== null)
    .map((post) => ({ from: { track: post.from, at: post.posted }, to: { track: post.to, at: post.delivered }, sort: "post" }));
  const jobs = Object.values(state.jobs).filter((job) => job.started !== null && job.started !== undefined);
  const completions = new Map(state.ledger.map((line) => [line.cause, line]));
  return [
    ...posts,
    ...jobs.filter((job) => job.submitted !== undefined && job.by !== null).map((job) => ({ from: { track: job.by, at: job.submitted }, to: { track: laneOf(state, job), at: job.started }, sort: "job" })),
    ...jobs.filter((job) => job.ended !== null && completions.has(job.id)).map((job) => ({
      from: { track: laneOf(state, job), at: job.ended }, to: { track: completions.get(job.id).track, at: completions.get(job.id).began }, sort: "job",
    })),
  ];
}

/** The rows in their order: a worker stands under its parent, the pool threads last. */
function rows(state, used) {
  const all = [...used].filter((track) => track !== "pool").map((track) => state.tracks[track] ?? { number: track, is: "loop", parent: null });
  const loops = all.filter((track) => track.is !== "pool thread").sort((a, b) => a.number - b.number);
  const ordered = [];
  const put = (track, depth) => {
    if (ordered.some((row) => row.track === track.number)) return;
    ordered.push({ track: track.number, depth });
    loops.filter((one) => one.parent === track.number).forEach((one) => put(one, depth + 1));
  };
  loops.filter((track) => !used.has(track.parent)).forEach((track) => put(track, 0));
  const pool = all.filter((track) => track.is === "pool thread").sort((a, b) => a.number - b.number);
  const virtual = used.has("pool") ? [{ track: "pool", depth: 0 }] : [];
  return [...ordered, ...pool.map((track) => ({ track: track.number, depth: 0 })), ...virtual];
}

/** Patterns, so that the phases differ without colour too. */
const PATTERNS = {
  timers: "M0 4H8", pending: "M0 0L8 8", idle: "M4 0V8", prepare: "M8 0L0 8", poll: "M0 0L8 8M8 0L0 8", check: "M2 0V8M6 0V8", close: "M0 2H8M0 6H8",
};

export const patterns = () =>
  s("defs", null,
    Object.entries(PATTERNS).map(([name, d]) => s("pattern", { id: `pattern-${name}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, s("path", { class: `weave sort-${name}`, d }))),
    s("marker", { id: "head", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 6, markerHeight: 6, orient: "auto" }, s("path", { class: "head", d: "M0 0 10 5 0 10z" })));

export function mount(root, context) {
  const names = s("svg", { class: "lane-names", width: NAMES, role: "presentation" });
  const drawing = s("svg", { class: "lanes", role: "img", "aria-label": "The lanes of the threads" });
  const scroll = h("div", { class: "lanes-scroll", tabindex: 0, role: "region", "aria-label": "Lanes: what ran on each thread" }, drawing);
  root.append(h("div", { class: "lanes-box" }, names, scroll));

  function draw() {
    const { state } = context;
    const all = boxes(state, context);
    const ways = arrows(state);
    const used = new Set(all.map((box) => box.track));
    const lanes = rows(state, used);
    const rowOf = new Map(lanes.map(({ track }, at) => [track, at]));

    // A moment a box begins or ends, or an arrow does, has a column of its own.
    const moments = [...new Set(all.flatMap((box) => [box.began, box.ended ?? state.seen]).concat(ways.flatMap((way) => [way.from.at, way.to.at])))].sort((a, b) => a - b);
    const first = moments.length > SHOWN ? moments.at(-SHOWN) : 0;
    const column = new Map(moments.filter((moment) => moment >= first).map((moment, at) => [moment, at]));
    const unit = Math.min(UNIT_MAX, Math.max(UNIT_MIN, (scroll.clientWidth - 20) / (column.size + 1)));
    const x = (moment) => 4 + (column.get(moment) ?? -1) * unit;
    const y = (track) => TOP + (rowOf.get(track) ?? 0) * HEIGHT;
    const width = Math.max(40, (column.size + 1) * unit + 8);
    const height = TOP + lanes.length * HEIGHT + 16;

    const box = (one) => {
      const [left, right] = [Math.max(0, x(one.began)), x(one.ended ?? state.seen)];
      const wide = Math.max(unit - 2, right - left - 1);
      const isOpen = one.ended === null;
      // The whole name if there is room for it, else what tells it from others, else the mark of its phase.
      const room = Math.floor((wide - 4) / 6.6);
      const mark = MARKS[one.sort] ?? one.sort;
      const text = [one.name, one.short, mark].find((words) => words && words.length <= room) ?? (room < 2 ? "" : mark.slice(0, room));
      const isInner = ["tick", "microtask"].includes(one.sort);
      const [top, tall] = [y(one.track) + (isInner ? 7 : 3), HEIGHT - (isInner ? 14 : 6)];
      return s("g", { class: `box sort-${one.sort}${isOpen ? " open" : ""}` },
        s("title", null, `${one.name}${one.sort === "sleep" || one.sort === "job" ? "" : ` (${one.sort})`}${one.panicked ? ", threw" : ""}${one.took ? `, ${time(one.took)}` : ""}`),
        s("rect", { x: left, y: top, width: wide, height: tall, rx: isInner ? 8 : 3 }),
        PATTERNS[one.sort] ? s("rect", { class: "woven", x: left, y: top, width: wide, height: 5, fill: `url(#pattern-${one.sort})` }) : null,
        s("text", { x: left + wide / 2, y: y(one.track) + HEIGHT / 2 + 4.5 }, text));
    };
    const arrow = ({ from, to, sort: kind }) => {
      const [x1, x2] = [x(from.at) + unit / 2, x(to.at) + 2];
      const down = y(to.track) > y(from.track);
      const same = from.track === to.track;
      const [y1, y2] = [y(from.track) + (down || same ? HEIGHT - 4 : 4), y(to.track) + (down ? 4 : HEIGHT - 4)];
      const bend = same ? 12 : 0;
      return s("path", { class: `arrow arrow-${kind}`, d: `M${x1} ${y1}C${x1 + 6} ${(y1 + y2) / 2 + bend} ${x2 - 8} ${(y1 + y2) / 2 + bend} ${x2} ${y2}`, "marker-end": "url(#head)" });
    };
    const isShown = (one) => column.has(one.ended ?? state.seen) || column.has(one.began);

    // The time, where it changes.
    const marks = [];
    let lastTime = null;
    let lastX = -99;
    for (const one of all.toSorted((a, b) => a.began - b.began)) {
      const at = one.sort === "job" ? null : (context.line(one.id)?.at ?? null);
      if (at === null || at === lastTime || !column.has(one.began) || x(one.began) < lastX + 60) continue;
      [lastTime, lastX] = [at, x(one.began)];
      marks.push(s("text", { class: "when", x: lastX, y: height - 3 }, time(at)));
    }

    for (const drawn of [names, drawing]) attribute(drawn, "height", height);
    attribute(drawing, "width", width);
    fill(names, lanes.map(({ track, depth }) => s("text", { x: 4 + depth * 10, y: y(track) + HEIGHT / 2 + 5 }, `${depth ? "└ " : ""}${track === "pool" ? "pool threads" : trackName(state, track)}`.slice(0, 17))));
    fill(drawing, patterns(),
      lanes.map(({ track }) => s("line", { class: "rail", x1: 0, x2: width, y1: y(track) + HEIGHT / 2, y2: y(track) + HEIGHT / 2 })),
      all.filter(isShown).map(box), ways.filter(({ to }) => column.has(to.at)).map(arrow), marks,
      s("line", { class: "present", x1: width - 5, x2: width - 5, y1: 0, y2: height }));
    scroll.scrollLeft = scroll.scrollWidth;
  }
  return context.onChange(draw);
}
