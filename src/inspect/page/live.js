// Attached to a live program: what its server tells once a second of the whole of it, and the strip
// above the wheel. A loop that is blocked cannot speak; the server sees it from another thread.

import { fill, h, s } from "./dom.js";
import { count, nameOf, time } from "./words.js";

const percent = (part) => `${Math.round(part * 100)} %`;

/** A table with a heading a column. Nothing at all if it has no rows. */
function table(title, columns, rows, note) {
  if (!rows.length) return null;
  return h("section", { class: "figures" }, h("h2", null, title), note ? h("p", { class: "note" }, note) : null,
    h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": title }, h("table", null,
      h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col" }, column)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, cell) : h("td", null, cell)))))))));
}

/** The busy times of a loop: a bar for each power of two, as high as the logarithm of its count. */
function histogram({ histogram: bars }) {
  const used = bars.filter(([, amount]) => amount > 0);
  if (used.length === 0) return null;
  const shown = bars.slice(bars.indexOf(used[0]), bars.indexOf(used.at(-1)) + 1);
  const height = (amount) => (amount === 0 ? 0 : 4 + (30 * Math.log10(amount)) / Math.max(1, ...used.map(([, most]) => Math.log10(most))));
  const words = used.map(([below, amount]) => `${amount} below ${time(below)}`).join(", ");
  return s("svg", { class: "histogram", width: Math.max(70, shown.length * 12 + 4), height: 48, role: "img", "aria-label": words },
    s("title", null, words),
    shown.map(([, amount], at) => s("rect", { x: 2 + at * 12, width: 10, y: 36 - height(amount), height: height(amount) })),
    s("text", { x: 2, y: 47 }, time(shown[0][0])), s("text", { x: shown.length * 12, y: 47, class: "right" }, shown.length > 5 ? time(shown.at(-1)[0]) : ""));
}

const what = (one) => (one.kind ? `${nameOf(one)}${one.phase && one.phase !== "main" ? `, in phase ${one.phase}` : ""}` : "a callback that began before anybody looked on");

/** “The loop is blocked now, by … for …”. */
const blockedWords = (one) => `The loop “${one.name}” is blocked now, by ${what(one)}, for ${time(one.took)}${one.waiting ? `; ${count(one.waiting, "thing")} ${one.waiting === 1 ? "waits" : "wait"} behind it` : ""}.`;

/** The strip above the wheel: whether the picture moves, and what is blocked. */
export function strip(root, context) {
  const button = h("button", { type: "button", class: "main", onclick: () => context.live.toggle() });
  const words = h("span");
  const blocked = h("span", { class: "blocked", role: "alert" });
  root.append(h("div", { class: "strip" }, button, words, blocked));
  return context.onChange(() => {
    const { live } = context;
    button.textContent = live.paused ? "Go on ▶" : "Pause the picture";
    button.hidden = live.ended;
    const now = time(context.state.at);
    words.textContent = live.ended
      ? `The program has ended. This is the last picture, of ${now}.`
      : !live.connected
        ? "There is no connection to the program. The browser tries again."
        : live.paused
          ? `Paused: this is the moment ${now}. The program goes on: ${count(live.missed, "event")} since then.`
          : `Live: ${count(live.pace, "picture")} a second. Between two of them more has happened than can be drawn.`;
    blocked.textContent = (live.summary?.blocked ?? []).map(blockedWords).join(" ");
  });
}

export function mount(root, context) {
  const body = h("div", { class: "live" });
  root.append(body);
  return context.onChange(() => {
    const summary = context.live?.summary;
    if (!summary) return fill(body, h("p", { class: "empty" }, "Nothing has been told yet."));
    const { loops, blocked, longest, threads, pools } = summary;
    const delays = ({ count: iterations, p50, p99, max }) => (iterations ? `${time(p50)} / ${time(p99)} / ${time(max)}` : "–");
    fill(body,
      h("div", { class: blocked.length ? "blocked" : "well", role: "status" },
        blocked.length ? blocked.map((one) => h("p", null, blockedWords(one))) : h("p", null, "No loop is blocked now.")),
      table("Loops", ["loop", "busy", "iterations a second", "waits", "delay p50 / p99 / max, last second", "since the beginning", "its histogram"],
        loops.map((one) => [one.worker ? `${one.name} (worker ${one.worker})` : one.name, percent(one.utilisation), one.iterations, one.waiting, delays(one.recent), delays(one.delays), histogram(one)]),
        "A delay is the busy time of an iteration: so long had to wait what became ready meanwhile."),
      table("The longest callbacks of the last minute", ["took", "what", "line", "loop", "how often"],
        longest.map((one) => [time(one.took), what({ ...one, place: null }), h("code", null, one.place ?? "–"), one.name, one.count])),
      table("Pool threads", ["thread", "runs now", "for", "had waited", "jobs done", "wait mean / max", "run mean / max"],
        threads.map((one) => [one.name, one.job ? nameOf(one.job) : "–", one.job ? time(one.job.runs) : "–", one.job ? time(one.job.waited) : "–", one.completed, `${time(one.wait_mean)} / ${time(one.wait_max)}`, `${time(one.run_mean)} / ${time(one.run_max)}`])),
      table("Queues of the pools", ["pool", "jobs that wait", "slow ones of them"], pools.map((one) => [one.pool, one.waiting, one.waiting_slow])));
  });
}
