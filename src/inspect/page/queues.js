// Everything that waits: on the loops, in the pools, and on its way between threads.

import { fill, h } from "./dom.js";
import { count, nameOf, ownName, time, trackName, where } from "./words.js";

/** So many entries of a queue are drawn. Of more their number is told. */
const SHOWN = 12;

function chip(entry, words, sort) {
  return h("li", { class: `chip sort-${sort}${entry.referenced === false ? " unref" : ""}`, title: entry.place ?? null }, words,
    entry.referenced === false ? h("span", { class: "note" }, " unref’d") : null);
}

/** A row: a name, and the entries in the order in which they will be called. */
function row(name, entries, sort, words, note) {
  if (entries.length === 0) return null;
  const chips = entries.slice(0, SHOWN).map((entry) => chip(entry, words(entry), sort));
  const more = entries.length > SHOWN ? h("li", { class: "note" }, `and ${entries.length - SHOWN} more`) : null;
  return h("tr", null, h("th", { scope: "row" }, name, note ? h("span", { class: "note" }, ` ${note}`) : null), h("td", null, h("ol", { class: "chips" }, chips, more)));
}

/** A row of which only the length is known: “2 messages wait”. */
function lengthRow(name, amount, one, many) {
  return amount > 0 ? h("tr", null, h("th", { scope: "row" }, name), h("td", null, `${count(amount, one, many)} ${amount === 1 ? "waits" : "wait"}`)) : null;
}

/** Timers of one delay stand in one list, the first of which is due first. */
function timerRows(loop, now) {
  const lists = new Map();
  for (const timer of Object.values(loop.timers)) lists.set(timer.delay, [...(lists.get(timer.delay) ?? []), timer]);
  const first = (list) => Math.min(...list.map((timer) => timer.due));
  const ordered = [...lists].map(([delay, list]) => [delay, list.toSorted((a, b) => a.due - b.due)]);
  ordered.sort(([, a], [, b]) => first(a) - first(b));
  const isNow = (timer) => loop.batch.timers.includes(timer.number);
  const words = (timer) => [label(timer), h("span", { class: "note" }, ` due at ${time(timer.due)}`), isNow(timer) ? h("strong", null, " now") : timer.due <= now ? h("strong", null, " overdue") : null];
  return ordered.map(([delay, list]) => row(`timers of ${time(delay)}`, list, "timers", words, list.length > 1 ? `the first at ${time(first(list))}` : ""));
}

const label = (entry) => ownName(entry) || where(entry) || entry.kind || "one";

/** How many of the first immediates are called in this round. */
function immediateRows(loop) {
  const now = loop.phase === "check" ? Math.min(loop.batch.left, loop.immediates.length) : 0;
  const [these, later] = [loop.immediates.slice(0, now), loop.immediates.slice(now)];
  return [row("immediates", these, "check", label, "this round"), row("immediates", later, "check", label, now > 0 ? "next round" : "")];
}

function loopRows(loop, now) {
  const named = (entry) => entry.kind || "callback";
  return [
    row("ticks", loop.ticks, "tick", label),
    row("microtasks", loop.microtasks, "microtask", label),
    timerRows(loop, now),
    row("pending", loop.pending, "pending", named, "results put off"),
    lengthRow("ready", loop.ready, "handle"),
    lengthRow("completions", loop.completions, "result of the pool", "results of the pool"),
    lengthRow("posts", loop.posts, "closure of another thread", "closures of other threads"),
    immediateRows(loop),
    row("closing", loop.closing, "close", named, "last first"),
    row("end of poll", loop.poll_last, "poll", named),
  ];
}

function poolRows(state) {
  return Object.values(state.pools).flatMap((pool, at, all) => {
    const name = all.length > 1 ? `pool ${pool.number}` : "pool";
    const jobs = (ids) => ids.map((id) => state.jobs[id] ?? { id, kind: "job" });
    const running = (job) => [nameOf(job), h("span", { class: "note" }, ` on ${trackName(state, job.on)}`)];
    return [
      row(`${name}: waits`, jobs(pool.waiting), "poll", nameOf),
      row(`${name}: slow, waits`, jobs(pool.slow), "poll", nameOf),
      row(`${name}: runs`, jobs(pool.running), "main", running),
    ];
  });
}

function portRows(state) {
  return Object.values(state.ports).map((port) => {
    const to = port.receiver ? ` to ${trackName(state, port.receiver.track)}` : "";
    return lengthRow(`port ${port.number}${to}`, port.waiting, "message");
  });
}

/** The handles that are open: what may call back for longer than once. */
function handleRow(loop) {
  const handles = Object.values(loop.handles);
  const words = (one) => [one.kind, where(one) ? h("span", { class: "note" }, ` ${where(one)}`) : null, one.active || one.busy ? null : h("span", { class: "note" }, " inactive")];
  return row("handles", handles, "main", words);
}

const table = (title, rows) => {
  const all = rows.flat(Infinity).filter(Boolean);
  return all.length ? h("section", null, h("h3", null, title), h("table", { class: "queues" }, h("tbody", null, all))) : null;
};

export function mount(root, context) {
  return context.onChange(() => {
    const { state } = context;
    const loops = Object.values(state.loops).filter((loop) => state.tracks[loop.track]?.is !== "pool thread");
    const tables = [
      ...loops.map((loop) => table(loops.length > 1 ? trackName(state, loop.track) : "On the loop", [loopRows(loop, state.at), handleRow(loop)])),
      table("In the pool", poolRows(state)),
      table("On its way between threads", portRows(state)),
    ].filter(Boolean);
    fill(root, tables.length ? tables : h("p", { class: "empty" }, "Nothing waits."));
  });
}
