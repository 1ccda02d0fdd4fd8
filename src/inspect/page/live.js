// Attached to a live program: what its server tells once a second of the whole of it, and the strip
// above the wheel. A loop that is blocked cannot speak; the server sees it from another thread.

import { attribute, fill, h, put, s } from "./dom.js";
import { blockedWords, count, nameOf, spot, time } from "./words.js";

const percent = (part) => `${Math.round(part * 100)} %`;

/** A table with a heading a column. What is in it changes, and it stays: who reads it keeps the place. */
function table(title, columns, note) {
  const body = h("tbody");
  const heads = columns.map(([name, about]) => h("th", { scope: "col", title: about ?? null }, name));
  const section = h("section", { class: "figures", hidden: true }, h("h2", null, title), note ? h("p", { class: "note" }, note) : null,
    h("div", { class: "table-box", tabindex: 0, "data-wide": "", role: "region", "aria-label": title }, h("table", null, h("thead", null, h("tr", null, heads)), body)));
  const cell = (content, at) => (at === 0 ? h("th", { scope: "row" }, content) : h("td", null, content));
  const show = (rows) => {
    section.hidden = rows.length === 0;
    fill(body, rows.map((row) => h("tr", null, row.map(cell))));
  };
  return { section, show };
}

/** The busy times of a loop: a bar for each power of two, as high as the logarithm of its count. */
function histogram({ histogram: bars }) {
  const used = bars.filter(([, amount]) => amount > 0);
  if (used.length === 0) return "–";
  const shown = bars.slice(bars.indexOf(used[0]), bars.indexOf(used.at(-1)) + 1);
  const most = Math.max(1, ...used.map(([, amount]) => Math.log10(amount)));
  const height = (amount) => (amount === 0 ? 0 : 4 + (30 * Math.log10(amount)) / most);
  const words = used.map(([below, amount]) => `${amount} below ${time(below)}`).join(", ");
  const width = Math.max(70, shown.length * 12 + 4);
  return s("svg", { class: "histogram", width, height: 52, role: "img", "aria-label": words },
    s("title", null, words),
    shown.map(([, amount], at) => s("rect", { x: 2 + at * 12, width: 10, y: 36 - height(amount), height: height(amount) })),
    s("text", { x: 2, y: 49 }, time(shown[0][0])),
    shown.length > 5 ? s("text", { x: shown.length * 12 + 2, y: 49, class: "right" }, time(shown.at(-1)[0])) : null);
}

/** The strip above the wheel: whether the picture moves, and what is blocked. */
export function strip(root, context) {
  const button = h("button", { type: "button", class: "main", onclick: () => context.live.toggle() });
  const words = h("span");
  const blocked = h("span", { class: "blocked" }); // The feed says it to who cannot see it.
  const look = h("button", { type: "button", "data-key": "look again", onclick: () => context.live.look() }, "Is it there again?");
  root.append(h("div", { class: "strip" }, button, words, look, blocked));
  return context.onChange(() => {
    const { live } = context;
    put(button, live.paused ? "Go on ▶" : "Pause the picture");
    button.hidden = live.ended;
    look.hidden = !live.ended;
    const now = time(context.state.at);
    put(words, live.ended
      ? `The program has ended. This is the last picture, of ${now}.${live.sought ? " Nobody answers there." : ""}`
      : !live.connected
        ? "There is no connection to the program. The browser tries again."
        : live.paused
          ? `Paused: this is the moment ${now}. The program goes on: ${count(live.missed, "event")} since then.`
          : `Live: ${count(live.pace, "picture")} a second. Between two of them more has happened than can be drawn.`);
    put(blocked, live.connected ? (live.summary?.blocked ?? []).map(blockedWords).join(" ") : "");
  });
}

export function mount(root, context) {
  const empty = h("p", { class: "empty" }, "Nothing has been told yet.");
  const state = h("div");
  const over = h("p", { role: "status" });
  const loops = table("Loops",
    [["loop"], ["busy", "The part of the last second in which it did not sleep"], ["iterations a second"],
      ["mailbox", "So much from other threads waits for it: messages, closures, completions"],
      ["delay in the last second: p50 / p99 / max", "Half of the delays were no longer than the first, 99 of 100 no longer than the second"],
      ["since the beginning"], ["all of them by length", "A bar for each power of two; its height is the logarithm of how many there were"]],
    "A delay is the busy time of an iteration: so long had to wait what became ready meanwhile.");
  const longest = table("The longest callbacks of the last minute",
    [["took"], ["callback"], ["phase"], ["armed at", "The line of the program that registered it, or of the script if its host has said so"], ["loop"],
      ["how often", "So often a callback of this line took long"]]);
  const threads = table("Pool threads",
    [["thread"], ["runs now"], ["for"], ["had waited", "So long the job was in the queue"], ["jobs done"], ["waits: mean / max"], ["runs: mean / max"]]);
  const pools = table("Queues of the pools", [["pool"], ["jobs that wait"], ["slow ones of them"]]);
  const all = [loops, longest, threads, pools];
  root.append(h("div", { class: "live" }, empty, over, state, all.map(({ section }) => section)));

  const delays = ({ count: iterations, p50, p99, max }) => (iterations ? `${time(p50)} / ${time(p99)} / ${time(max)}` : "–");
  const line = (one) => h("code", { title: one.place ?? null }, spot(one) ? one.place : "–");
  let drawn = null;
  return context.onChange(() => {
    const { summary, connected, ended } = context.live;
    empty.hidden = Boolean(summary);
    put(over, ended ? "The program has ended. These are its last figures." : connected ? "" : "There is no connection to the program. These are the last figures that came.");
    over.hidden = connected && !ended;
    state.hidden = !over.hidden; // What was blocked then says nothing of now.
    if (!summary || summary === drawn) return;
    drawn = summary;
    const { blocked } = summary;
    attribute(state, "class", blocked.length ? "blocked" : "well");
    fill(state, blocked.length ? blocked.map((one) => h("p", null, h("strong", { "aria-hidden": "true" }, "■ "), blockedWords(one))) : h("p", null, "No loop is blocked now."));
    loops.show(summary.loops.map((one) =>
      [one.worker && one.name !== `worker ${one.worker}` ? `${one.name} (worker ${one.worker})` : one.name, percent(one.utilisation), one.iterations, one.waiting, delays(one.recent), delays(one.delays), histogram(one)]));
    longest.show(summary.longest.map((one) =>
      [time(one.took), nameOf({ ...one, place: null }), one.phase === "main" ? "none" : one.phase, line(one), one.name, one.count]));
    threads.show(summary.threads.map((one) => [one.name, one.job ? [nameOf({ ...one.job, place: null }), " ", line(one.job)] : "–", one.job ? time(one.job.runs) : "–", one.job ? time(one.job.waited) : "–",
      one.completed, `${time(one.wait_mean)} / ${time(one.wait_max)}`, `${time(one.run_mean)} / ${time(one.run_max)}`]));
    pools.show(summary.pools.map((one) => [one.pool, one.waiting, one.waiting_slow]));
  });
}
