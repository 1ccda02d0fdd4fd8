// What there is in the program, as the events tell it: `step(state, event)` is the state after one
// event more, and `steps(state, events)` after several. They change nothing that they are given, they
// ask nobody, and they know nothing of how a loop works: whatever is in a state was said by an event. So
// a state can be made as often as one likes, and stepping back is stepping forward again from an earlier
// one.
//
// The same reading is done in Rust by tests/common/held.rs.
//
//   at        the time of the last event, in nanoseconds
//   seen      how many events there were; the moment of all that is in the histories below
//   meta      what was said of the recording: { mode, program, … }
//   lost      how many events had no room in it
//   isPart    something was there before it began, or was lost
//   tracks    by number: { number, name, is: "loop" | "pool thread", parent, worker, job }
//   loops     by track: what a loop holds, see `newLoop`
//   pools     by number: { waiting: [id], slow: [id], running: [id], finished }
//   jobs      by id: { id, kind, place, label, pool, slow, by, cause, submitted, started, ended, … }
//   ports     by number: { waiting, receiver: { track, number } | null }
//   ledger    the callbacks in the order in which they began, the newest LINES_MAX
//   sleeps    the waits of the loops: { track, began, ended, at, until, timeout, woken_by }
//   posts     the messages: { port, from, to, cause, at, posted, delivered, deliveredAt }
//   errors    [{ text, file, line }]
//   spawned, trackOf     by worker: the tracks of its parent and of itself
//   jobsOver, loopsOver  the jobs and the tracks of the loops that have ended, in this order: the newest are known

/** So many lines, sleeps, posts, errors and jobs that are over are kept. */
export const LINES_MAX = 10_000;

/** And so many loops that have ended. */
export const LOOPS_MAX = 1000;

/** The phases of an iteration, in their order. `main` is none: it is what runs outside of them. */
export const PHASES = ["timers", "pending", "idle", "prepare", "poll", "check", "close"];

/** A loop that holds nothing. */
const newLoop = (track) => ({
  track,
  isWhole: false, // It has told all that it held when the recording began.
  hasEnded: false,
  turning: false,
  iteration: 0,
  phase: "main",
  told: 0, // How often it has told all that it held: what was before that has a hole behind it.
  stretch: 0, // How many phases have begun.
  waited: false, // It has slept since it called back last.
  taken: null, // The timer that it is about to call: { delay, due, count }.
  // What the phase has set out to call: how many are left, and the numbers of the timers.
  batch: { left: 0, timers: [] },
  // The poll: { timeout, no_sleep, since } while it may sleep, else null.
  sleep: null,
  lastPoll: null,
  running: [], // The ids of the callbacks that run, the innermost last.
  drain: null, // { ticks, microtasks, rounds } of the drain that is under way or was last.
  draining: false,
  ticks: [],
  microtasks: [],
  timers: {}, // By number: { number, kind, place, label, delay, due, referenced }.
  immediates: [],
  pending: [],
  closing: [],
  poll_last: [],
  ready: 0,
  completions: 0,
  posts: 0,
  receivers: [], // The numbers of handles.
  handles: {}, // By number: { number, kind, place, label, active, busy, referenced, port }.
  iterations: 0,
  events: 0,
  idle: 0,
});

export const initial = () => ({
  at: 0,
  seen: 0,
  meta: null,
  lost: 0,
  isPart: false,
  tracks: {},
  loops: {},
  pools: {},
  jobs: {},
  ports: {},
  ledger: [],
  sleeps: [],
  posts: [],
  errors: [],
  spawned: {},
  trackOf: {},
  jobsOver: [],
  loopsOver: [],
});

// ----- A state in the making -----

/**
 * A state that is being made from an earlier one. What it shares with that is copied before it is changed,
 * and what it has made itself is changed at once: many events cost little more than one.
 */
class Draft {
  constructor(state) {
    this.own = new WeakSet();
    this.state = this.copy(state);
  }

  copy(value) {
    const copy = Array.isArray(value) ? value.slice() : { ...value };
    this.own.add(copy);
    return copy;
  }

  /** The object or the list at `of[key]`, to be changed. `of` is to be changed too. */
  part(of, key) {
    if (!this.own.has(of[key])) of[key] = this.copy(of[key]);
    return of[key];
  }

  /** An entry of one of the tables of the state, to be changed; it is what `otherwise` makes if there is none. */
  entry(table, key, otherwise) {
    const all = this.part(this.state, table);
    if (!(key in all)) all[key] = this.copy(otherwise());
    return this.part(all, key);
  }

  loop(track) {
    return this.entry("loops", track, () => newLoop(track));
  }

  port(number) {
    return this.entry("ports", number, () => ({ number, waiting: 0, receiver: null }));
  }

  pool(number) {
    return this.entry("pools", number, () => ({ number, waiting: [], slow: [], running: [], finished: 0 }));
  }

  track(number) {
    return this.entry("tracks", number, () => ({ number, name: "", is: "loop", parent: null, worker: null, job: null }));
  }

  /** One of the histories with an entry more, and without the oldest one if there are too many. */
  push(history, entry) {
    const list = this.part(this.state, history);
    if (list.length >= LINES_MAX) list.shift();
    list.push(entry);
  }

  /** The newest entry of a history for which `is` holds, to be changed; or null. */
  newest(history, is) {
    const at = this.state[history].findLastIndex(is);
    return at < 0 ? null : this.part(this.part(this.state, history), at);
  }

  line(id) {
    return this.newest("ledger", (one) => one.id === id);
  }

  job(id) {
    return this.entry("jobs", id, () => ({ id, kind: "", place: null, label: null, pool: null, slow: false, by: null, cause: 0 }));
  }
}

/** Takes an entry out of a list, if it is there. */
function takeOut(list, entry) {
  const at = list.indexOf(entry);
  if (at >= 0) list.splice(at, 1);
}

/** What waits in a queue, as an event tells it. */
const entryOf = ({ number, kind, place, label, cause, at }) => ({
  number: number ?? 0,
  kind: kind ?? "",
  place: place ?? null,
  label: label ?? null,
  cause: cause ?? 0,
  at,
});

// ----- The loop: what an event of one changes in it -----

/** The queues that are told entry by entry. */
const LISTS = ["ticks", "microtasks", "immediates", "pending", "closing", "poll_last"];

function queued(draft, loop, event) {
  const { queue } = event;
  if (queue === "receivers") draft.part(loop, queue).push(event.number);
  if (!LISTS.includes(queue)) return;
  const entry = { ...entryOf(event), referenced: true };
  // What is closed last is called first.
  if (queue === "closing") draft.part(loop, queue).unshift(entry);
  else draft.part(loop, queue).push(entry);
}

/** One less is left of what the phase has set out to call. */
function leavesBatch(draft, loop, number) {
  const batch = draft.part(loop, "batch");
  batch.left = Math.max(0, batch.left - 1);
  if (batch.timers.includes(number)) takeOut(draft.part(batch, "timers"), number);
}

function withoutNumber(draft, loop, queue, number) {
  const at = loop[queue].findIndex((one) => one.number === number);
  if (at >= 0) draft.part(loop, queue).splice(at, 1);
}

/** Something leaves a queue. */
function taken(draft, loop, { queue, number }) {
  leavesBatch(draft, loop, number);
  switch (queue) {
    case "timers": {
      const timer = loop.timers[number];
      if (!timer) return;
      const count = timer.fired + 1;
      loop.taken = { delay: timer.delay, due: timer.due, count };
      const timers = draft.part(loop, "timers");
      if (timer.kind === "interval") timers[number] = { ...timer, fired: count };
      else delete timers[number];
      return;
    }
    case "immediates":
      return withoutNumber(draft, loop, queue, number);
    case "ready":
      loop.ready = 0;
      return;
    case "completions":
    case "posts":
      loop[queue] = Math.max(0, loop[queue] - 1);
      return;
    case "receivers":
      return takeOut(draft.part(loop, queue), number);
    case "watchers":
      return;
    default:
      draft.part(loop, queue).shift();
  }
}

/** A phase begins. That of the timers calls those that are due now. */
function phase(_, loop, event) {
  const isDue = (timer) => timer.due <= event.at;
  const timers = event.phase === "timers" ? Object.values(loop.timers).filter(isDue).map((timer) => timer.number) : [];
  const batch = { left: timers.length || event.waiting, timers };
  Object.assign(loop, { phase: event.phase, stretch: loop.stretch + 1, batch, sleep: null });
}

function cleared(draft, loop, { number }) {
  if (loop.batch.timers.includes(number)) leavesBatch(draft, loop, number);
  if (number in loop.timers) delete draft.part(loop, "timers")[number];
  withoutNumber(draft, loop, "immediates", number);
}

function armed(draft, loop, event) {
  const { number, delay, due, referenced } = event;
  // One that has fired and is armed again is refreshed.
  const fired = loop.timers[number]?.fired ?? Number(event.what === "refreshed");
  // One that is refreshed while it waits to be called in this pass is not called in it.
  if (loop.batch.timers.includes(number)) leavesBatch(draft, loop, number);
  draft.part(loop, "timers")[number] = { ...entryOf(event), delay, due, referenced, fired };
}

function referenced(draft, loop, { number, on }) {
  for (const table of ["handles", "timers"]) {
    if (number in loop[table]) draft.part(draft.part(loop, table), number).referenced = on;
  }
  const at = loop.immediates.findIndex((one) => one.number === number);
  if (at >= 0) draft.part(draft.part(loop, "immediates"), at).referenced = on;
}

function handle(draft, loop, number, change) {
  if (number in loop.handles) Object.assign(draft.part(draft.part(loop, "handles"), number), change);
}

/** Ticks, microtasks and the polls of tasks leave their queue as they begin. */
function began(draft, loop, { id, kind }) {
  draft.part(loop, "running").push(id);
  Object.assign(loop, { sleep: null, waited: false, taken: null });
  const queue = { tick: "ticks", microtask: "microtasks", task: "microtasks" }[kind];
  if (!queue) return;
  const before = loop.draining ? loop.drain : { ticks: 0, microtasks: 0 };
  loop.drain = { ...before, [queue]: before[queue] + 1 };
  loop.draining = true;
  draft.part(loop, queue).shift();
}

const LOOP = {
  // It is told at the beginning of an iteration, when nothing runs on the loop.
  all: (_, loop) => {
    const { track, turning, iteration, phase: now, told, stretch } = loop;
    Object.assign(loop, newLoop(track), { isWhole: true, turning, iteration, phase: now, told: told + 1, stretch: stretch + 1 });
  },
  turn_began: (_, loop) => Object.assign(loop, { turning: true, phase: "main" }),
  turn_ended: (_, loop) => Object.assign(loop, { turning: false, phase: "main", batch: { left: 0, timers: [] }, sleep: null }),
  iteration: (_, loop, { number }) => Object.assign(loop, { iteration: number, iterations: number, sleep: null }),
  phase,
  wait: (_, loop) => Object.assign(loop, { waited: true }),
  poll: (_, loop, { timeout, no_sleep, at }) =>
    Object.assign(loop, {
      iterations: loop.iterations + 1,
      phase: "poll",
      stretch: loop.stretch + 1,
      batch: { left: 0, timers: [] },
      sleep: { timeout, no_sleep, since: at },
      lastPoll: { timeout, no_sleep, since: at, woken_by: null },
    }),
  polled: (_, loop, { woken_by, idle, ready, events, at }) =>
    Object.assign(loop, {
      events: loop.events + events,
      idle: loop.idle + idle,
      ready,
      batch: { left: ready, timers: [] },
      sleep: null,
      lastPoll: { ...loop.lastPoll, woken_by, until: at },
    }),
  ended: (_, loop) => {
    const { track, isWhole, iteration, iterations, events, idle, running } = loop;
    Object.assign(loop, newLoop(track), { hasEnded: true, isWhole, iteration, iterations, events, idle, running });
  },
  began,
  returned: (draft, loop, { id }) => {
    const at = loop.running.lastIndexOf(id);
    if (at >= 0) draft.part(loop, "running").splice(at, 1);
  },
  drained: (_, loop, { ticks, microtasks, rounds }) => Object.assign(loop, { drain: { ticks, microtasks, rounds }, draining: false }),
  queued,
  taken,
  fetched: (_, loop, { completions, posts, items }) => Object.assign(loop, { completions, posts, events: loop.events + items }),
  armed,
  refreshed: armed,
  cleared,
  opened: (draft, loop, event) => {
    const one = { ...entryOf(event), active: event.active, busy: false, referenced: true, port: null };
    draft.part(loop, "handles")[event.number] = one;
  },
  active: (draft, loop, { number, on }) => handle(draft, loop, number, { active: on }),
  busy: (draft, loop, { number, on }) => handle(draft, loop, number, { busy: on }),
  referenced,
  receives: (draft, loop, { number, port }) => handle(draft, loop, number, { port }),
  closed: (draft, loop, { number }) => {
    if (number in loop.handles) delete draft.part(loop, "handles")[number];
  },
};

// ----- What goes beyond one loop -----

/** A callback begins: a line of the ledger. */
function line(draft, event) {
  const { id, track, phase, kind, place = null, label = null, cause = 0, iteration = 0, at } = event;
  const { told, stretch, waited, taken: firing } = draft.state.loops[track] ?? newLoop(track);
  draft.push("ledger", {
    id, track, phase, kind, place, label, cause, iteration, at,
    took: null,
    began: draft.state.seen,
    ended: null,
    told, // The same one for what has no hole between it.
    stretch, // The same one for what one phase has called.
    waited, // Its loop slept just before it.
    firing, // Of a timer.
    said: [],
    statement: null,
    panicked: false,
  });
}

/** The job is in none of its pool's lists any more. Returns the pool, to be changed, or null. */
function leavesPool(draft, id) {
  const number = draft.state.jobs[id]?.pool ?? null;
  if (number === null) return null;
  const pool = draft.pool(number);
  const name = ["running", "waiting", "slow"].find((list) => pool[list].includes(id));
  if (name) takeOut(draft.part(pool, name), id);
  return pool;
}

/** The job runs no more, or never. */
function jobEnds(draft, id, change) {
  Object.assign(draft.job(id), { ended: draft.state.seen, ...change });
  const over = draft.part(draft.state, "jobsOver");
  over.push(id);
  if (over.length > LINES_MAX) delete draft.part(draft.state, "jobs")[over.shift()];
}

/** Jobs that are over, though nobody has said so. */
function missed(draft, ids) {
  for (const id of ids) {
    leavesPool(draft, id);
    jobEnds(draft, id);
  }
}

/** Those that have waited for longer than this one, in the queue in which it does. */
function older({ jobs, pools }, id) {
  const pool = pools[jobs[id]?.pool];
  const list = pool?.slow.includes(id) ? pool.slow : (pool?.waiting ?? []);
  return list.slice(0, Math.max(0, list.indexOf(id)));
}

/** Messages were handed on: of those that are under way the oldest. */
function arrive(draft, is, count, change) {
  let left = count;
  const { posts } = draft.state;
  for (let at = 0; at < posts.length && left > 0; at += 1) {
    if (posts[at].delivered !== null || posts[at].dropped || !is(posts[at])) continue;
    Object.assign(draft.part(draft.part(draft.state, "posts"), at), change);
    left -= 1;
  }
}

/** How many messages wait in a queue. Who has missed some goes by what is told. */
function portHas(draft, port, more, told) {
  const own = draft.port(port);
  own.waiting = draft.state.isPart ? Math.max(0, told ?? own.waiting + more) : own.waiting + more;
  forgetPort(draft, own);
}

/** A queue in which nothing waits and which nobody receives says nothing. */
function forgetPort(draft, { number, waiting, receiver }) {
  if (waiting === 0 && receiver === null) delete draft.part(draft.state, "ports")[number];
}

/** What an event changes beside its loop. */
const WORLD = {
  meta: ({ state }, { what: _, ...meta }) => Object.assign(state, { meta }),
  lost: ({ state }, { count }) => Object.assign(state, { lost: state.lost + count, isPart: true }),
  error: (draft, { text, file = null, line = null }) => draft.push("errors", { text, file, line }),
  track: (draft, { number, name }) => Object.assign(draft.track(number), { name }),
  said: (draft, { id, text }) => {
    const own = draft.line(id);
    if (own) draft.part(own, "said").push(text);
  },
  statement: (draft, { id, statement }) => Object.assign(draft.line(id) ?? {}, { statement }),
  all: ({ state }) => Object.assign(state, { isPart: true }),
  began: line,
  returned: (draft, { id, at, panicked = false }) => {
    const own = draft.line(id);
    if (own) Object.assign(own, { ended: draft.state.seen, took: own.took ?? at - own.at, panicked: own.panicked || panicked });
  },
  // Without details this is all that is told of a callback; with them it says how long it took.
  callback: (draft, event) => {
    const isKnown = draft.state.ledger.findLast((one) => one.id === event.id) !== undefined;
    if (!isKnown) line(draft, event);
    const own = draft.line(event.id);
    Object.assign(own, { ended: own.ended ?? draft.state.seen, took: event.took ?? 0, panicked: own.panicked || event.panicked === true });
  },
  poll: (draft, { track, at, timeout, no_sleep }) =>
    draft.push("sleeps", { track, timeout, no_sleep, at, until: null, woken_by: null, began: draft.state.seen, ended: null }),
  polled: (draft, { track, at, woken_by, idle }) => {
    const own = draft.newest("sleeps", (one) => one.track === track);
    if (own) Object.assign(own, { until: at, woken_by, idle, ended: own.ended ?? draft.state.seen });
  },
  submitted: (draft, { id, kind, place = null, label = null, pool, slow, waiting, track, cause = 0, at }) => {
    const job = draft.job(id);
    const isOver = (job.started ?? null) !== null;
    const first = { started: null, ended: null, on: null, why: null };
    Object.assign(job, { ...first, ...job, kind, place, label, pool, slow, by: track, cause, at, submitted: draft.state.seen });
    if (isOver) return; // Told late.
    const list = draft.part(draft.pool(pool), slow ? "slow" : "waiting");
    list.push(id);
    if (draft.state.isPart && waiting >= 1) missed(draft, list.slice(0, Math.max(0, list.length - waiting)));
  },
  refused: (draft, { id, kind, place = null, why, track, at }) => {
    if (!id) return;
    Object.assign(draft.job(id), { kind, place, by: track, at, submitted: draft.state.seen, started: null, on: null });
    jobEnds(draft, id, { why });
  },
  started: (draft, { id, kind, place = null, track, at }) => {
    // In virtual time a job runs on the loop's own thread, while the loop is in poll.
    if (!draft.state.loops[track]) {
      const thread = draft.track(track);
      // One thread runs one job, and the first that waits begins first.
      if (draft.state.isPart) missed(draft, [...(thread.job === null ? [] : [thread.job]), ...older(draft.state, id)]);
      Object.assign(thread, { is: "pool thread", job: id });
    }
    const job = draft.job(id);
    if (job.kind === "") Object.assign(job, { kind, place });
    Object.assign(job, { on: track, started: draft.state.seen, startedAt: at, ended: null });
    const pool = leavesPool(draft, id);
    if (pool) draft.part(pool, "running").push(id);
  },
  finished: (draft, { id, track, at }) => {
    if (draft.state.tracks[track]?.job === id) draft.track(track).job = null;
    const pool = leavesPool(draft, id);
    if (pool) pool.finished += 1;
    jobEnds(draft, id, { endedAt: at });
  },
  withdrawn: (draft, { id, why }) => {
    leavesPool(draft, id);
    jobEnds(draft, id, { why });
  },
  receives: (draft, { track, number, port }) => Object.assign(draft.port(port), { receiver: { track, number } }),
  closed: (draft, { track, number }) => {
    const port = draft.state.loops[track]?.handles[number]?.port ?? null;
    if (port === null || !(port in draft.state.ports)) return;
    const own = draft.port(port);
    own.receiver = null;
    forgetPort(draft, own);
  },
  posted: (draft, { port, to = 0, track, cause = 0, waiting, at }) => {
    draft.push("posts", { port, from: track, to: to || null, cause, at, posted: draft.state.seen, delivered: null, deliveredAt: null, dropped: false });
    if (port) portHas(draft, port, 1, waiting);
  },
  delivered: (draft, { port, track, waiting, at }) => {
    portHas(draft, port, -1, waiting);
    arrive(draft, (post) => post.port === port, 1, { delivered: draft.state.seen, deliveredAt: at, to: track });
  },
  dropped: (draft, { port, count }) => {
    portHas(draft, port, -count, 0);
    arrive(draft, (post) => post.port === port, count, { dropped: true });
  },
  // A closure of a `Remote` has no port: it arrives when the loop takes it.
  taken: (draft, { queue, track, at }) => {
    if (queue !== "posts") return;
    const is = (post) => post.port === 0 && (post.to === null || post.to === track);
    arrive(draft, is, 1, { delivered: draft.state.seen, deliveredAt: at, to: track });
  },
  // A worker that was there before who looks on may tell of itself before its parent does.
  spawned: (draft, { worker, track }) => {
    draft.part(draft.state, "spawned")[worker] = track;
    const own = draft.state.trackOf[worker];
    if (own !== undefined && own in draft.state.tracks) draft.track(own).parent = track;
  },
  online: (draft, { worker, track }) => {
    draft.part(draft.state, "trackOf")[worker] = track;
    Object.assign(draft.track(track), { worker, parent: draft.state.spawned[worker] ?? null });
  },
  ended: (draft, { track }) => {
    const over = draft.part(draft.state, "loopsOver");
    over.push(track);
    if (over.length > LOOPS_MAX) forgetLoop(draft, over.shift());
  },
};

/** Workers come and go. */
function forgetLoop(draft, track) {
  const worker = draft.state.tracks[track]?.worker;
  for (const [table, key] of [["loops", track], ["tracks", track], ["spawned", worker], ["trackOf", worker]]) {
    if (key in draft.state[table]) delete draft.part(draft.state, table)[key];
  }
  const received = Object.values(draft.state.ports).filter((port) => port.receiver?.track === track);
  for (const { number } of received) delete draft.part(draft.state, "ports")[number];
}

/** Changes a draft by an event. */
function happens(draft, event) {
  const { what, track } = event;
  const { state } = draft;
  state.seen += 1;
  if (event.at > state.at) state.at = event.at;
  WORLD[what]?.(draft, event);
  if (LOOP[what] && track !== undefined) LOOP[what](draft, draft.loop(track), event);
}

/** The state after all of these events. */
export function steps(state, events) {
  const draft = new Draft(state);
  for (const event of events) happens(draft, event);
  return draft.state;
}

/** The state after one event more. */
export const step = (state, event) => steps(state, [event]);

// ----- What can be seen in a state -----

/** The kinds and lines of what keeps a loop alive. */
export function alive(loop) {
  const handles = Object.values(loop.handles).filter((one) => one.busy || (one.active && one.referenced));
  const timers = Object.values(loop.timers).filter((one) => one.referenced);
  const immediates = loop.immediates.filter((one) => one.referenced).map((one) => ({ ...one, kind: "immediate" }));
  return [...handles, ...timers, ...immediates];
}

/** The kinds of watchers, by the phases that call them. */
const WATCHERS = { idle: "idle watcher", prepare: "prepare watcher", check: "check watcher" };

/** How many wait for a phase in all: what it is calling now, and what it will. */
function waitingFor(loop, phase) {
  const watchers = Object.values(loop.handles).filter((one) => one.kind === WATCHERS[phase] && one.active).length;
  switch (phase) {
    case "timers":
      return Object.keys(loop.timers).length;
    case "pending":
      return loop.pending.length;
    case "poll":
      return loop.ready + loop.completions + loop.posts + loop.receivers.length + loop.poll_last.length;
    case "check":
      return watchers + loop.immediates.length;
    case "close":
      return loop.closing.length;
    default:
      return watchers;
  }
}

/** Of a phase: how many are left of what it calls now, and how many wait for its next time. */
export function numbers(loop, phase) {
  const left = loop.phase === phase ? loop.batch.left : 0;
  return { left, next: Math.max(0, waitingFor(loop, phase) - left) };
}

/** The loop that the program begins with: that with the lowest number. */
export function mainTrack(state) {
  const numbers = Object.keys(state.loops).map(Number).filter((number) => state.tracks[number]?.is !== "pool thread");
  return numbers.length > 0 ? Math.min(...numbers) : null;
}
