// What is on the page, in words: times, names of things, and a sentence for each event.

/** A time or a duration: 1_500_000 is “1.5 ms”. */
export function time(nanos) {
  if (nanos === null || nanos === undefined) return "–";
  const [amount, unit] =
    nanos >= 1e9 ? [nanos / 1e9, "s"] : nanos >= 100e3 || nanos === 0 ? [nanos / 1e6, "ms"] : nanos >= 1000 ? [nanos / 1e3, "µs"] : [nanos, "ns"];
  return `${Number(amount.toPrecision(unit === "s" ? 4 : 3))} ${unit}`;
}

/** “1 timer”, “2 timers”. */
export const count = (amount, one, many = `${one}s`) => `${amount} ${amount === 1 ? one : many}`;

/** Two signs a phase, which stand where there is no room for its name. */
export const MARKS = {
  main: "ma", timers: "ti", pending: "pe", idle: "id", prepare: "pr", poll: "po", check: "ch", close: "cl", tick: "tk", microtask: "mi",
  job: "jo", sleep: "zz",
};

/** What a callback is drawn as: ticks and microtasks belong to the hub, whatever phase they follow. */
export function sort(kind, phase) {
  if (kind === "tick") return "tick";
  if (kind === "microtask" || kind === "task") return "microtask";
  return phase ?? "main";
}

/** Ticks, microtasks and the polls of tasks are called in the drain, and by no phase. */
export const isOfDrain = ({ kind }) => ["tick", "microtask", "task"].includes(kind);

/** The file and the line of a label or a place: { file, line } or null. */
export function spot({ label, place } = {}) {
  if (label?.line) return { file: label.file ?? "", line: Number(label.line) };
  const found = /^(.*?):(\d+)(?::\d+)?$/.exec(place ?? "");
  return found ? { file: found[1], line: Number(found[2]) } : null;
}

/** Where something stands, shortly: “a.js:3”, or “line 3” of a program of operations, which has no files. */
export function where(thing) {
  const found = spot(thing);
  if (!found) return "";
  return found.file === "program" ? `line ${found.line}` : `${found.file.split("/").pop()}:${found.line}`;
}

/** A name has so many signs at most. */
const NAME_MAX = 120;

/** Signs without a picture, and those that turn what stands behind them to another direction. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text of the program as a name: of a length that can be read, and in its place whatever stands in it. */
function asName(text) {
  const cut = text.length > NAME_MAX ? `${[...text.slice(0, NAME_MAX)].slice(0, -1).join("")}…` : text;
  return cut.replace(UNSEEN, "\ufffd");
}

/** What tells a callback from others of its kind: what it prints, or what its host calls it. Or nothing. */
export const ownName = (thing) => asName(thing?.said?.length ? thing.said.slice(0, NAME_MAX).join(", ") : (thing?.label?.name ?? ""));

/** What a callback, a job or something that waits is called. */
export function nameOf(thing) {
  if (!thing) return "";
  if (thing.kind === "main") return "main script";
  const kind = asName(thing.kind || "callback");
  const own = ownName(thing);
  if (own) return `${kind} “${own}”`;
  return where(thing) ? `${kind} at ${where(thing)}` : kind;
}

/** “2 timers, 1 worker and 3 others”: the kinds of things, and how many there are of each. */
export function kindsOf(things, most = 2) {
  const amounts = new Map();
  for (const { kind } of things) amounts.set(kind, (amounts.get(kind) ?? 0) + 1);
  const words = [...amounts].map(([kind, amount]) => count(amount, kind || "handle"));
  const others = [...amounts.values()].slice(most).reduce((sum, amount) => sum + amount, 0);
  return words.slice(0, most).join(", ") + (others > 0 ? ` and ${count(others, "other")}` : "");
}

/** What a live program tells of a callback: its name, its line in the script if it has both, and its phase. */
function toldOf(one) {
  if (!one.kind) return "a callback that began before anybody looked on";
  const line = ownName(one) && where(one) ? ` at ${where(one)}` : "";
  return `${nameOf(one)}${line}${one.phase && one.phase !== "main" ? `, in phase ${one.phase}` : ""}`;
}

/** “The loop is blocked now, by … for …”. */
export const blockedWords = (one) =>
  `The loop “${asName(one.name)}” is blocked now, by ${toldOf(one)}, for ${time(one.took)}${one.waiting ? `; ${count(one.waiting, "thing")} ${one.waiting === 1 ? "waits" : "wait"} behind it` : ""}.`;

/** The name of a track: of a loop or a pool thread. */
export function trackName(state, track) {
  return asName(state.tracks[track]?.name ?? "") || `track ${track}`;
}

/** Why a poll does not sleep. */
export const NO_SLEEP = {
  stopping: "the loop was told to stop",
  queued: "ticks or microtasks wait",
  idle: "an idle watcher is active",
  immediate: "an immediate waits",
  ready: "a handle has more to read or write",
  pending: "a completion waits for the pending phase",
  closing: "a close callback waits",
  poll_last: "a signal waits",
  undelivered: "messages are left of the last poll",
  asked: "tasks were asked whether they still wait",
  mode: "this turn may not wait",
  nothing_alive: "nothing is alive that could end the sleep",
  timer_due: "a timer is due",
};

/** What ended a wait. */
export const WOKEN_BY = {
  none: "it did not wait",
  source: "the system: a descriptor is ready, or a signal came",
  message: "a message: a completion, a post or a task, mostly of another thread",
  timer: "the time: a timer is due",
  stop: "the loop was told to stop",
};

const NOT_RUN = {
  cancelled: "it was cancelled",
  deadline_exceeded: "it had not begun at its deadline",
  queue_full: "the queue was full",
  shut_down: "the pool takes no more jobs",
  no_thread: "the system has no thread left",
};

const QUEUED = {
  ticks: "It will run when the callback that runs now has returned, before any microtask.",
  microtasks: "It will run when the callback that runs now has returned, after the ticks.",
  immediates: "It waits for the check phase.",
  pending: "A completion that was there at once waits for the pending phase.",
  closing: "A last callback waits for the close phase.",
  poll_last: "Something waits for the end of the poll phase.",
};

/** Until when a poll sleeps, or why it does not. */
export function sleepWords({ timeout, no_sleep, since }) {
  if (no_sleep) return `does not sleep: ${NO_SLEEP[no_sleep] ?? no_sleep}`;
  if (timeout === null || timeout === undefined) return "sleeps until something comes from outside";
  return `sleeps until ${time(since + timeout)} at most: then a timer is due`;
}

/** The same when it is over. */
export function sleptWords({ no_sleep, since, until, woken_by }) {
  if (no_sleep) return `did not sleep: ${NO_SLEEP[no_sleep] ?? no_sleep}`;
  return `slept ${time(until - since)}, woken by ${(WOKEN_BY[woken_by] ?? "").split(":")[0]}`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const article = (word) => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);

const SENTENCES = {
  turn_began: () => "The loop begins to turn.",
  turn_ended: () => "The loop has stopped turning.",
  iteration: (_, { number }) => `Iteration ${number} begins.`,
  phase: (before, event) => {
    const { waiting, phase, at, track } = event;
    if (phase === "main") return "";
    if (phase !== "timers") return `Phase ${phase}: ${count(waiting, "callback")} to call. What comes meanwhile waits for the next round.`;
    const due = Object.values(before.loops[track]?.timers ?? {}).filter((timer) => timer.due <= at).length;
    return `Phase timers: ${due === 0 ? "none is due" : `${count(due, "timer")} ${due === 1 ? "is" : "are"} due`}. A timer that becomes due meanwhile waits for the next round.`;
  },
  poll: (_, event) => `Poll ${sleepWords({ ...event, since: event.at })}.`,
  polled: (before, { woken_by, ready, track, at }) => {
    const sleep = before.loops[track]?.sleep;
    const slept = sleep && !sleep.no_sleep;
    const woken = slept ? `The loop slept ${time(at - sleep.since)}. It was woken by ${WOKEN_BY[woken_by] ?? woken_by}.` : "Poll has looked at the system without sleeping.";
    return ready > 0 ? `${woken} ${capital(count(ready, "handle is", "handles are"))} ready.` : woken;
  },
  ended: () => "The loop is torn down. Nothing is left on it.",
  began: (_, event) => {
    const { kind, phase } = event;
    const name = nameOf(event);
    if (kind === "tick") return `The drain calls a tick: ${name}.`;
    if (kind === "microtask" || kind === "task") return `The drain calls a microtask: ${name}.`;
    if (kind === "main") return "The main script runs.";
    return phase === "main" ? `${capital(name)} is called.` : `Phase ${phase} calls ${name}.`;
  },
  returned: (before, { id, track, panicked }) => {
    const loop = before.loops[track];
    const verb = panicked ? "threw" : "returned";
    const line = before.ledger.findLast((one) => one.id === id);
    if (!loop || loop.running.length > 1) return `${capital(nameOf(line))} has ${verb === "threw" ? "thrown" : verb}.`;
    const waits = [loop.ticks.length && count(loop.ticks.length, "tick"), loop.microtasks.length && count(loop.microtasks.length, "microtask")].filter(Boolean);
    const next = waits.length ? ` Before anything else the drain: ${waits.join(" and ")}.` : "";
    return `${capital(nameOf(line))} has ${verb === "threw" ? "thrown" : verb}.${next}`;
  },
  drained: (_, { ticks, microtasks, rounds }) =>
    `The drain is over, both tubes are empty: it called ${count(ticks, "tick")} and ${count(microtasks, "microtask")} in ${count(rounds, "round")}.`,
  queued: (_, event) => {
    const name = event.kind || { ticks: "tick", microtasks: "microtask", immediates: "immediate" }[event.queue];
    return `${name && event.queue !== "closing" && event.queue !== "pending" ? `${capital(article(name))} is queued${event.label ? `: “${ownName(event)}”` : ""}. ` : ""}${QUEUED[event.queue] ?? ""}`;
  },
  fetched: (_, { completions, posts, items }) => `The loop empties its mailbox: ${count(items, "item")}. ${capital(count(completions, "completion"))} and ${count(posts, "post")} wait now.`,
  armed: (_, { kind, delay, due, label }) => `${capital(article(kind))} of ${time(delay)} is armed${label ? `: “${ownName({ label })}”` : ""}. It is due at ${time(due)}.`,
  refreshed: (_, { kind, delay, due }) => `${capital(article(kind))} of ${time(delay)} is armed anew. It is due at ${time(due)}.`,
  cleared: (before, { number, track }) => `${(before.loops[track]?.timers ?? {})[number] ? "A timer" : "An immediate"} is cleared. It will not be called.`,
  submitted: (_, event) => `A job goes to the pool: ${nameOf(event)}. ${event.waiting === 1 ? "It alone waits" : `${event.waiting} wait`} for a pool thread.`,
  refused: (_, event) => `The pool refuses a job, ${nameOf(event)}: ${NOT_RUN[event.why] ?? event.why}.`,
  started: (before, event) => `A pool thread begins the job ${nameOf({ ...event, ...(before.jobs[event.id]?.label ? before.jobs[event.id] : {}) })}.`,
  finished: (before, { id }) => `The job ${nameOf(before.jobs[id])} is done. Its completion goes to the loop, which finds it in poll.`,
  withdrawn: (before, { id, why }) => `The job ${nameOf(before.jobs[id])} will not run: ${NOT_RUN[why] ?? why}.`,
  posted: (before, { port, to, waiting }) =>
    `${port ? "A message" : "A closure"} is sent${to ? ` to ${trackName(before, to)}` : ""}.${port ? ` ${capital(count(waiting, "message"))} ${waiting === 1 ? "waits" : "wait"} there.` : ""}`,
  delivered: (_, { waiting }) => `A message is delivered. ${waiting === 0 ? "None is" : `${waiting} are`} left in its queue.`,
  dropped: (_, { count: amount }) => `A receiving end is gone, and ${count(amount, "message")} with it.`,
  spawned: (_, { worker }) => `Worker ${worker} is started: a thread with a loop of its own.`,
  online: (_, { worker }) => `Worker ${worker} is online: its loop begins.`,
  failed: (_, { worker }) => `The failure of worker ${worker} has come to its parent.`,
  exited: (_, { worker, code }) => `The end of worker ${worker} has come to its parent: exit code ${code}.`,
  opened: (_, event) => `${capital(article(event.kind || "handle"))} is opened.`,
  closed: () => "A handle has ended.",
  error: (_, { text }) => `Error: ${text}`,
  lost: (_, { count: amount }) => `${capital(count(amount, "event"))} had no room in the recording. From here on the picture has gaps.`,
  callback: (_, event) => `${capital(nameOf(event))} ran for ${time(event.took ?? 0)}.`,
};

/** What an event says, given the state before it. Empty if it needs no sentence. */
export const sentence = (before, event) => (event && SENTENCES[event.what]?.(before, event)) || "";
