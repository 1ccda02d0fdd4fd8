// Events: from lines of JSON to objects, and into an order in which no effect comes before its cause.
//
// An event is an object with `what`, mostly with `at` and `track`; src/observe/detail.rs says what
// each means. Times are in nanoseconds.

/** Numbers of things have up to 64 bits, more than a number of JavaScript holds: they become strings. */
const LONG = /"(number|id|cause|port|to)":(\d{16,})/g;

/** One line of JSON, or null if it is none. */
function parseLine(line) {
  try {
    const event = JSON.parse(line.replace(LONG, '"$1":"$2"'));
    return typeof event?.what === "string" ? event : null;
  } catch {
    return null;
  }
}

/** The events of a text of lines. A line that is no event is told as an error, and loses nothing else. */
export function parse(text) {
  const events = [];
  text.split("\n").forEach((line, at) => {
    if (line.trim() === "") return;
    events.push(parseLine(line) ?? { what: "error", text: `line ${at + 1} of the recording is no event: ${line.slice(0, 80)}` });
  });
  return events;
}

/**
 * Says what an event needs to have come before it, and what it makes known, as words.
 * `posts` counts the messages of a queue: the delivery of one needs that it was posted.
 */
function needs(event, counts) {
  const count = (key) => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return `${key}:${counts.get(key)}`;
  };
  switch (event.what) {
    case "began":
      return { makes: `id:${event.id}`, needs: event.cause ? `id:${event.cause}` : null };
    case "submitted":
      return { makes: `id:${event.id}`, needs: null };
    case "started":
      return { makes: `started:${event.id}`, needs: `id:${event.id}` };
    case "finished":
      return { makes: `finished:${event.id}`, needs: `started:${event.id}` };
    case "posted":
      return { makes: event.port ? count(`posted:${event.port}`) : null, needs: null };
    case "delivered":
      return { makes: null, needs: count(`delivered:${event.port}`).replace("delivered:", "posted:") };
    case "spawned":
      return { makes: `worker:${event.worker}`, needs: null };
    case "online":
      return { makes: `online:${event.worker}`, needs: `worker:${event.worker}` };
    case "exited":
      return { makes: null, needs: `online:${event.worker}` };
    default:
      return { makes: null, needs: null };
  }
}

/** Puts what a viewer has added to a callback (what it printed, the statement) where that callback is. */
function withNotes(events) {
  const notes = new Map();
  const rest = [];
  for (const event of events) {
    const isNote = (event.what === "said" || event.what === "statement") && event.id && event.at === undefined;
    if (isNote) notes.set(event.id, [...(notes.get(event.id) ?? []), event]);
    else rest.push(event);
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
  const queues = [...tracks.values()];
  const made = new Set();
  for (const queue of queues) {
    queue.needs = queue.events.map((event) => needs(event, counts));
    for (const { makes } of queue.needs) if (makes) made.add(makes);
  }
  const done = new Set();
  const ordered = [...head];
  const left = queues.filter((queue) => queue.events.length > 0);
  while (left.length > 0) {
    let best = null;
    for (const queue of left) {
      const event = queue.events[queue.next];
      const need = queue.needs[queue.next].needs;
      const waits = need !== null && made.has(need) && !done.has(need);
      if (best === null || Number(waits) < Number(best.waits) || (waits === best.waits && event.at < best.event.at)) {
        best = { queue, event, waits };
      }
    }
    ordered.push(best.event);
    const { makes } = best.queue.needs[best.queue.next];
    if (makes) done.add(makes);
    best.queue.next += 1;
    if (best.queue.next === best.queue.events.length) left.splice(left.indexOf(best.queue), 1);
  }
  return ordered;
}
