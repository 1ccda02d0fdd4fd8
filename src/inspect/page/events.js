// Events: from lines of JSON to objects, and into an order in which no effect comes before its cause.
//
// An event is an object with `what`, mostly with `at` and `track`; src/observe/detail.rs says what
// each means. Times are in nanoseconds.

import { spot } from "./words.js";

const isText = (value) => typeof value === "string";
const isFlag = (value) => typeof value === "boolean";
const isNumber = (value) => Number.isFinite(value);
// A word by which something is looked up. Each object knows some words that nobody has given it.
const isWord = (value) => isText(value) && !(value in Object.prototype);
const isFile = (file) => isText(file?.name) && isText(file.text);
const orNull = (is) => (value) => value === null || is(value);
const listOf = (is) => (value) => Array.isArray(value) && value.every(is);
const QUEUES = ["ticks", "microtasks", "timers", "immediates", "pending", "closing", "poll_last", "ready", "completions", "receivers", "posts", "watchers"];

/** What stands in the fields of an event that are there. */
const FIELDS = {
  what: isWord, kind: isWord, phase: isWord, woken_by: isWord, why: isWord, no_sleep: orNull(isWord), queue: (value) => QUEUES.includes(value),
  name: isText, text: isText, statement: isText, mode: isText, place: orNull(isText), file: orNull(isText),
  label: orNull((value) => isText(value) || isText(value.name)),
  panicked: isFlag, referenced: isFlag, active: isFlag, slow: isFlag, on: isFlag,
  timeout: orNull(isNumber), line: orNull(isNumber), statements: (value) => Object.values(value).every(isText),
  program: orNull((value) => isText(value) || areFields(value, PROGRAM)),
};
const PROGRAM = { name: isText, language: isText, files: listOf(isFile), others: (value) => areFields(value, OTHERS) };
const POSSIBLE = { traces: listOf(listOf(isText)), runs: isNumber };
const OTHERS = { javascript: listOf(isFile), rust: isText, possible: orNull((value) => areFields(value, POSSIBLE)) };
for (const name of [
  "at", "took", "track", "iteration", "id", "cause", "number", "delay", "due", "waiting", "port", "to", "count", "worker", "code", "pool",
  "ready", "events", "idle", "ticks", "microtasks", "rounds", "completions", "posts", "items", "tasks",
]) FIELDS[name] = isNumber;

/** What an event cannot do without. */
const NEEDED = { began: ["id", "track", "at", "kind", "phase"], taken: ["queue"], queued: ["queue"], polled: ["at", "woken_by"] };

const areFields = (value, fields) => Object.entries(value).every(([name, own]) => !Object.hasOwn(fields, name) || fields[name](own));
const isSound = (event) => areFields(event, FIELDS) && (NEEDED[event.what] ?? []).every((name) => name in event);

/** A recorder tells the name alone, and the host's line as the place; a host may tell both in one. */
function withLabel(thing) {
  if (isText(thing?.label)) thing.label = { name: thing.label };
  return thing;
}

/** One line of JSON, or null if it is none, or none that a recorder writes. */
function parseLine(line) {
  try {
    const event = JSON.parse(line);
    if (!isText(event?.what) || !isSound(event)) return null;
    return withLabel(event);
  } catch {
    return null;
  }
}

/** What a server tells of the whole of a live program. */
export function parseSummary(text) {
  const summary = JSON.parse(text);
  [...summary.blocked, ...summary.longest, ...summary.threads.map((thread) => thread.job)].forEach(withLabel);
  return summary;
}

/** Whether a spot is in a file of the program: either may be told with its folder, or without. */
export const isIn = (file, found) =>
  Boolean(found) && (file.name === found.file || found.file.endsWith(`/${file.name}`) || file.name.endsWith(`/${found.file}`));

/**
 * The events of a program whose files are known. What runs such a program has lines of its own, which
 * are none of the program's: who reads it would look for them in vain.
 */
export function ofProgram(events, files) {
  if (!files?.length) return events;
  const isOwn = ({ place }) => files.some((file) => isIn(file, spot({ place })));
  return events.map((event) => (event.place && !isOwn(event) ? { ...event, place: null } : event));
}

/** So many lines that are no events are told. */
const WRONG_MAX = 20;

/** The events of a text of lines. A line that is no event is told as an error, and loses nothing else. */
export function parse(text) {
  const events = [];
  let wrong = 0;
  let number = 0;
  for (let from = 0; from < text.length; number += 1) {
    const end = text.indexOf("\n", from);
    const line = text.slice(from, end < 0 ? text.length : end);
    from += line.length + 1;
    if (line.trim() === "") continue;
    const event = parseLine(line);
    if (event) events.push(event);
    else if ((wrong += 1) <= WRONG_MAX) events.push({ what: "error", text: `line ${number + 1} of the recording is no event: ${line.slice(0, 80)}` });
  }
  if (wrong > WRONG_MAX) events.push({ what: "error", text: `${wrong - WRONG_MAX} lines more are no events` });
  return events;
}

/**
 * What the events of one track make known, and what each needs to have come before it, as words.
 * `counts` counts the messages of the queues: the delivery of one needs that it was posted.
 */
function needsOf(events, counts, isJob) {
  const count = (key) => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return `${key}:${counts.get(key)}`;
  };
  const all = events.map((event, at) => {
    switch (event.what) {
      case "began":
        return { makes: `id:${event.id}`, needs: event.cause ? [isJob(event.cause) ? `finished:${event.cause}` : `id:${event.cause}`] : [] };
      case "submitted":
        return { makes: `id:${event.id}`, needs: [] };
      case "started":
        return { makes: `started:${event.id}`, needs: [`id:${event.id}`] };
      case "finished":
        return { makes: `finished:${event.id}`, needs: [`started:${event.id}`] };
      case "posted":
        return { makes: event.port ? count(`posted:${event.port}`) : null, needs: [] };
      case "delivered":
        return { makes: null, needs: [count(`delivered:${event.port}`).replace("delivered:", "posted:")] };
      case "spawned":
        return { makes: `worker:${event.worker}`, needs: [] };
      case "online":
        // What a loop tells anew it has been for long.
        return { makes: `online:${event.worker}`, needs: events[at - 1]?.what === "all" ? [] : [`worker:${event.worker}`] };
      case "exited":
        return { makes: null, needs: [`online:${event.worker}`] };
      default:
        return { makes: null, needs: [] };
    }
  });
  // What comes from another thread was there when the loop emptied its mailbox, and mostly it ended the wait.
  const own = new Set(all.map(({ makes }) => makes));
  let arrival = null;
  events.forEach((event, at) => {
    if (event.what === "poll" || event.what === "iteration") arrival = null;
    else if (event.what === "polled" && event.woken_by === "message") arrival = at;
    else if (event.what === "fetched" && event.items > 0 && events[arrival]?.what !== "polled") arrival = at;
    if (arrival === null || arrival === at) return;
    all[arrival].needs.push(...all[at].needs.filter((need) => !own.has(need)));
    // What comes after the first callback may have come later than the wait ended.
    if (event.what === "returned") arrival = null;
  });
  return all;
}

/** Puts what a viewer has added to a callback (what it printed, the statement) where that callback is. */
function withNotes(events) {
  const notes = new Map();
  const rest = [];
  for (const event of events) {
    const isNote = (event.what === "said" || event.what === "statement") && event.id && event.at === undefined;
    if (!isNote) rest.push(event);
    else if (notes.has(event.id)) notes.get(event.id).push(event);
    else notes.set(event.id, [event]);
  }
  if (notes.size === 0) return rest;
  const placed = rest.flatMap((event) => {
    const own = event.what === "began" && notes.get(event.id);
    if (!own) return [event];
    notes.delete(event.id);
    // As though it had happened there.
    return [event, ...own.map((note) => ({ at: event.at, track: event.track, ...note }))];
  });
  return [...placed, ...[...notes.values()].flat()];
}

/** Whether the next event of a track is earlier than that of another one. */
const isEarlier = (one, other) => one.at < other.at || (one.at === other.at && one.rank < other.rank);

/** Tracks, of which the one is taken first whose next event is the earliest: a heap. */
class Ready {
  constructor() {
    this.all = [];
  }

  get first() {
    return this.all[0] ?? null;
  }

  put(queue) {
    const { all } = this;
    let at = all.length;
    for (let above = (at - 1) >> 1; at > 0 && isEarlier(queue, all[above]); above = (at - 1) >> 1) {
      all[at] = all[above];
      at = above;
    }
    all[at] = queue;
  }

  take() {
    const { all } = this;
    const taken = this.first;
    const end = all.pop();
    if (all.length === 0) return taken;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < all.length && isEarlier(all[below + 1], all[below])) below += 1;
      if (below >= all.length || !isEarlier(all[below], end)) break;
      all[at] = all[below];
      at = below;
    }
    all[at] = end;
    return taken;
  }
}

/**
 * The events of a recording in one order. On a track it is that in which they happened. Between
 * tracks the earlier time comes first, and what needs an event comes after it: in virtual time all
 * loops have one clock, on which much happens at once.
 */
export function inOrder(events) {
  const tracks = new Map();
  const head = [];
  for (const event of withNotes(events)) {
    // What belongs to no moment stands before everything, but for what was lost or went wrong on the way.
    if (event.track === undefined || event.at === undefined || event.what === "track" || event.what === "meta") {
      head.push(event);
      continue;
    }
    if (!tracks.has(event.track)) tracks.set(event.track, { events: [], next: 0 });
    tracks.get(event.track).events.push(event);
  }
  const counts = new Map();
  const jobs = new Set(events.filter((event) => event.what === "finished").map((event) => event.id));
  const queues = [...tracks].sort(([a], [b]) => a - b).map(([, queue]) => queue);
  const made = new Set();
  for (const queue of queues) {
    queue.needs = needsOf(queue.events, counts, (id) => jobs.has(id));
    for (const { makes } of queue.needs) if (makes) made.add(makes);
  }
  const done = new Set();
  const ordered = [...head];
  const need = ({ needs, next }) => needs[next].needs.find((one) => made.has(one) && !done.has(one));
  // The tracks whose next event may come, and those whose next event waits, by what it waits for.
  const ready = new Ready();
  const waiting = new Map();
  const put = (queue) => {
    const wanted = need(queue);
    if (wanted === undefined) ready.put(queue);
    else waiting.set(wanted, [...(waiting.get(wanted) ?? []), queue]);
  };
  /** If all wait for each other: the earliest of them, and the one that went last if it is as early. */
  const takeWaiting = (last) => {
    const all = [...waiting.values()].flat();
    const first = all.reduce((best, one) => (best === null || isEarlier(one, best) ? one : best), null);
    const queue = last?.at === first?.at && all.includes(last) ? last : first;
    for (const [wanted, all] of waiting) waiting.set(wanted, all.filter((one) => one !== queue));
    return queue;
  };
  queues.forEach((queue, rank) => Object.assign(queue, { at: queue.events[0].at, rank }));
  queues.forEach(put);
  for (let last = null; ; ) {
    // Of several at one time the track goes on that went last: what runs is not cut in pieces.
    const goesOn = last !== null && need(last) === undefined && last.at <= (ready.first?.at ?? Infinity);
    if (last !== null && !goesOn) put(last);
    const queue = goesOn ? last : (ready.take() ?? takeWaiting(last));
    if (queue === null) break;
    ordered.push(queue.events[queue.next]);
    const { makes } = queue.needs[queue.next];
    queue.next += 1;
    last = queue.next < queue.events.length ? queue : null;
    if (last) last.at = last.events[last.next].at;
    if (!makes || done.has(makes)) continue;
    done.add(makes);
    const woken = waiting.get(makes) ?? [];
    waiting.delete(makes);
    woken.forEach(put);
  }
  return ordered;
}
