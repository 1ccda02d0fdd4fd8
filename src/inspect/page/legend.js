// What each sign and each word of screen 2 means: a page of it on demand, and a hint at the first visit.

import { h } from "./dom.js";
import { MARKS } from "./words.js";

/** Each section has entries: a sign or a word, and what it means. `mark` is the name of a sort. */
const SECTIONS = [
  {
    title: "The wheel",
    entries: [
      ["ring", "The phases of one iteration. The loop goes round clockwise, from the mark at the top. A phase with nothing to call is passed over."],
      ["hand ▸, thick border", "The phase in which the loop is. Dashed: the loop sleeps there."],
      ["left now", "Callbacks that this phase still calls before the loop goes on."],
      ["for later", "Callbacks that wait for the next round of this phase: they came after it had begun. Of the timers also those that are not due yet."],
      ["poll", "The one place where the loop sleeps. It says until when, or why it does not. Then it calls back for what came from outside: sockets, finished jobs, messages."],
      ["two tubes", "Ticks (as of process.nextTick) and microtasks (as of a promise) that wait. Each bead is one of them."],
      ["drain", "After every callback, in whatever phase: all ticks run, then all microtasks, again and again until both tubes are empty. So it is no phase."],
      ["main script", "What runs before the first iteration. Lit too when a hook of the program’s end runs."],
      ["kept alive by", "What could still call back. When nothing is left, the loop ends."],
    ],
  },
  {
    title: "Marks: what a callback belongs to",
    entries: [
      ["mark", "main", "the main script, and hooks of the end"],
      ["mark", "timers", "timers and intervals that are due"],
      ["mark", "pending", "results that were there at once: put off, so that no callback comes within the call that asked for it"],
      ["mark", "idle", "idle watchers: each iteration, if there are any"],
      ["mark", "prepare", "watchers that are called just before poll"],
      ["mark", "poll", "sockets, finished jobs, messages of other threads"],
      ["mark", "check", "immediates, and watchers that are called just after poll"],
      ["mark", "close", "the last callbacks of what was closed"],
      ["mark", "tick", "a tick of the drain"],
      ["mark", "microtask", "a microtask of the drain"],
      ["mark", "job", "work that runs on a pool thread, beside the loop"],
      ["mark", "sleep", "the loop waits in poll and does nothing"],
    ],
  },
  {
    title: "The threads",
    entries: [
      ["row", "A thread: the main one, workers below who started them, pool threads last. It is read from left to right."],
      ["⟶", "From where a message was sent to where it was delivered."],
      ["⇢", "From where a job was asked for to the pool thread that runs it, and from there to the callback that gets its result."],
      ["to the right goes", "The order of what happened, or the time. In virtual time a callback takes none, so there the order tells more."],
    ],
  },
  {
    title: "Words",
    entries: [
      ["callback", "A function that the loop calls. Nothing else runs until it has returned."],
      ["armed", "Told to be called later: a timer was set, an immediate queued, a request begun, a listener put on."],
      ["round, iteration", "Once around the wheel."],
      ["overdue", "A timer whose time has come, while something else still runs."],
      ["handle", "What may call back more than once, such as a listener or a port. Inactive: at present it will not."],
      ["unref’d", "It may call back, and does not keep the loop alive."],
      ["port", "One end of a channel between threads."],
      ["why now", "The number of the statement, in the guide’s page “The order of callbacks”, that put the callback here. Press it for the words."],
    ],
  },
];

function entry([sign, ...rest]) {
  if (sign !== "mark") return [h("dt", null, sign), h("dd", null, rest[0])];
  const [name, meaning] = rest;
  return [h("dt", null, h("span", { class: `mark sort-${name}`, "aria-hidden": "true" }, MARKS[name]), ` ${name}`), h("dd", null, meaning)];
}

/** The page of signs, as `{ dialog, open }`. */
function page(context) {
  const dialog = h("dialog", { class: "legend-page", "aria-labelledby": "legend-title" },
    h("h2", { id: "legend-title" }, "What the signs mean"),
    h("div", { class: "legend-sections" }, SECTIONS.map(({ title, entries }) => h("section", null, h("h3", null, title), h("dl", null, entries.map(entry))))),
    h("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  const open = () => {
    context.store.set("legend seen", true);
    context.changed();
    dialog.showModal();
    dialog.scrollTop = 0;
  };
  return { dialog, open };
}

/** A button that opens the page of signs, and its key. Returns what ends it. */
export function mount(root, context) {
  const { dialog, open } = page(context);
  root.append(h("button", { type: "button", class: "legend-button", "data-key": "legend", title: "What the signs mean (l)", "aria-keyshortcuts": "l", onclick: open }, "Legend"), dialog);
  return context.keys.add({ key: "l", name: "What the signs mean", group: "Picture", run: open });
}

/** For who is here for the first time: there is a legend. Gone for good when that was opened, or the hint was put away. */
export function hintAt(root, context) {
  const away = () => {
    context.store.set("legend seen", true);
    context.changed();
  };
  const hint = h("p", { class: "hint", hidden: true }, "New here? See the ", h("strong", null, "Legend"), " (key ", h("kbd", null, "l"), "). ",
    h("button", { type: "button", class: "small", "data-key": "hint", onclick: away }, "Got it"));
  root.append(hint);
  return context.onChange(() => {
    hint.hidden = Boolean(context.store.get("legend seen"));
  });
}
