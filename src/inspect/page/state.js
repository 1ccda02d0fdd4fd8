// What there is in the program, as the events tell it: `step(state, event)` is the state after one
// event more. It changes nothing that it is given, it asks nobody, and it knows nothing of how a
// loop works: whatever is in a state was said by an event. So a state can be made as often as one
// likes, and stepping back is stepping forward again from an earlier one.
//
// The same reading is done in Rust by tests/common/held.rs.
//
//   at        the time of the last event, in nanoseconds
//   seen      how many events there were; the moment of all that is in the histories below
//   meta      what was said of the recording: { mode, program, … }
//   lost      how many events had no room in it
//   tracks    by number: { number, name, is: "loop" | "pool thread", parent, worker }
//   loops     by track: what a loop holds, see `newLoop`
//   pools     by number: { waiting: [id], slow: [id], running: [id], finished }
//   jobs      by id: { id, kind, place, label, pool, slow, by, cause, submitted, started, ended, … }
//   ports     by number: { waiting, receiver: { track, number } | null, posts: [what is under way] }
//   ledger    the callbacks in the order in which they began, the newest LINES_MAX
//   sleeps    the waits of the loops: { track, began, ended, at, until, timeout, woken_by }
//   posts     the messages: { port, from, to, cause, at, posted, delivered, deliveredAt }
//   errors    [{ text, file, line }]

/** So many lines, sleeps, posts and jobs are kept. */
export const LINES_MAX = 10_000;

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
  tracks: {},
  loops: {},
  pools: {},
  jobs: {},
  ports: {},
  ledger: [],
  sleeps: [],
  posts: [],
  errors: [],
});

// ----- Small changes, each of which gives a new object -----

const withKey = (object, key, value) => ({ ...object, [key]: value });

function withoutKey(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** With an entry more, and without the oldest ones if there are too many. */
const pushed = (list, entry) => (list.length < LINES_MAX ? [...list, entry] : [...list.slice(list.length - LINES_MAX + 1), entry]);

/** With the newest entry for which `is` holds changed. */
function changed(list, is, change) {
  const at = list.findLastIndex(is);
  return at < 0 ? list : list.with(at, { ...list[at], ...change(list[at]) });
}

const loopOf = (state, track) => state.loops[track] ?? newLoop(track);
const withLoop = (state, track, change) => {
  const loop = loopOf(state, track);
  return { ...state, loops: withKey(state.loops, track, { ...loop, ...change(loop) }) };
};
const withPort = (state, port, change) => {
  const before = state.ports[port] ?? { number: port, waiting: 0, receiver: null };
  return { ...state, ports: withKey(state.ports, port, { ...before, ...change(before) }) };
};
const withPool = (state, pool, change) => {
  const before = state.pools[pool] ?? { number: pool, waiting: [], slow: [], running: [], finished: 0 };
  return { ...state, pools: withKey(state.pools, pool, { ...before, ...change(before) }) };
};
const withTrack = (state, track, change) => {
  const before = state.tracks[track] ?? { number: track, name: "", is: "loop", parent: null, worker: null };
  return { ...state, tracks: withKey(state.tracks, track, { ...before, ...change }) };
};

const without = (list, entry) => list.filter((one) => one !== entry);

/** What waits in a queue, as an event tells it. */
const entryOf = ({ number, kind, place, label, cause, at }) => ({
  number: number ?? 0,
  kind: kind ?? "",
  place: place ?? null,
  label: label ?? null,
  cause: cause ?? 0,
  at,
});

// ----- The loop -----

/** The queues that are told entry by entry. */
const LISTS = ["ticks", "microtasks", "immediates", "pending", "closing", "poll_last"];

function queued(loop, event) {
  const { queue } = event;
  if (!LISTS.includes(queue)) return queue === "receivers" ? { receivers: [...loop.receivers, event.number] } : {};
  const entry = { ...entryOf(event), referenced: true };
  // What is closed last is called first.
  return { [queue]: queue === "closing" ? [entry, ...loop.closing] : [...loop[queue], entry] };
}

/** Something leaves a queue: one less is left of what the phase has set out to call. */
function taken(loop, { queue, number }) {
  const batch = { left: Math.max(0, loop.batch.left - 1), timers: without(loop.batch.timers, number) };
  switch (queue) {
    case "timers": {
      const timer = loop.timers[number];
      if (!timer) return { batch };
      const count = timer.fired + 1;
      const taken = { delay: timer.delay, due: timer.due, count };
      const after = timer.kind === "interval" ? withKey(loop.timers, number, { ...timer, fired: count }) : withoutKey(loop.timers, number);
      return { batch, timers: after, taken };
    }
    case "immediates":
      return { batch, immediates: loop.immediates.filter((one) => one.number !== number) };
    case "ready":
      return { batch, ready: 0 };
    case "completions":
    case "posts":
      return { batch, [queue]: Math.max(0, loop[queue] - 1) };
    case "receivers":
      return { batch, receivers: without(loop.receivers, number) };
    case "watchers":
      return { batch };
    default:
      return { batch, [queue]: loop[queue].slice(1) };
  }
}

/** A phase begins. That of the timers calls those that are due now. */
function phase(loop, event) {
  const due = Object.values(loop.timers).filter((timer) => timer.due <= event.at);
  const timers = event.phase === "timers" ? due.map((timer) => timer.number) : [];
  return { phase: event.phase, stretch: loop.stretch + 1, batch: { left: timers.length || event.waiting, timers }, sleep: null };
}

function cleared(loop, { number }) {
  const isOfBatch = loop.batch.timers.includes(number);
  return {
    timers: number in loop.timers ? withoutKey(loop.timers, number) : loop.timers,
    immediates: loop.immediates.filter((one) => one.number !== number),
    batch: isOfBatch ? { left: loop.batch.left - 1, timers: without(loop.batch.timers, number) } : loop.batch,
  };
}

function armed(loop, event) {
  const { number, delay, due, referenced } = event;
  const before = loop.timers[number];
  // One that has fired and is armed again is refreshed.
  const fired = before?.fired ?? Number(event.what === "refreshed");
  const timer = { ...entryOf(event), delay, due, referenced, fired };
  // One that is refreshed while it waits to be called in this pass is not called in it.
  const isOfBatch = loop.batch.timers.includes(number);
  return {
    timers: withKey(loop.timers, number, timer),
    batch: isOfBatch ? { left: loop.batch.left - 1, timers: without(loop.batch.timers, number) } : loop.batch,
  };
}

function referenced(loop, { number, on }) {
  const change = (of) => (number in of ? withKey(of, number, { ...of[number], referenced: on }) : of);
  const immediates = loop.immediates.map((one) => (one.number === number ? { ...one, referenced: on } : one));
  return { handles: change(loop.handles), timers: change(loop.timers), immediates };
}

function handle(loop, number, change) {
  return number in loop.handles ? { handles: withKey(loop.handles, number, { ...loop.handles[number], ...change }) } : {};
}

/** Ticks, microtasks and the polls of tasks leave their queue as they begin. */
function began(loop, { id, kind }) {
  const queue = { tick: "ticks", microtask: "microtasks", task: "microtasks" }[kind];
  const running = [...loop.running, id];
  const called = { running, sleep: null, waited: false, taken: null };
  if (!queue) return called;
  const before = loop.draining ? loop.drain : { ticks: 0, microtasks: 0 };
  const drain = { ...before, [queue]: before[queue] + 1 };
  return { ...called, [queue]: loop[queue].slice(1), drain, draining: true };
}

/** What an event of one loop changes in it. */
const LOOP = {
  all: (loop) => ({ ...newLoop(loop.track), isWhole: true, turning: loop.turning, iteration: loop.iteration, phase: loop.phase, told: loop.told + 1, stretch: loop.stretch + 1, running: loop.running }),
  turn_began: () => ({ turning: true, phase: "main" }),
  turn_ended: () => ({ turning: false, phase: "main", batch: { left: 0, timers: [] }, sleep: null }),
  iteration: (_, { number }) => ({ iteration: number, iterations: number, sleep: null }),
  phase,
  wait: () => ({ waited: true }),
  poll: (loop, { timeout, no_sleep, at }) => ({
    iterations: loop.iterations + 1,
    phase: "poll",
    stretch: loop.stretch + 1,
    batch: { left: 0, timers: [] },
    sleep: { timeout, no_sleep, since: at },
    lastPoll: { timeout, no_sleep, since: at, woken_by: null },
  }),
  polled: (loop, { woken_by, idle, ready, events, at }) => ({
    events: loop.events + events,
    idle: loop.idle + idle,
    ready,
    batch: { left: ready, timers: [] },
    sleep: null,
    lastPoll: { ...loop.lastPoll, woken_by, until: at },
  }),
  ended: (loop) => ({ ...newLoop(loop.track), hasEnded: true, isWhole: loop.isWhole, iteration: loop.iteration, iterations: loop.iterations, events: loop.events, idle: loop.idle, running: loop.running }),
  began,
  returned: (loop, { id }) => ({ running: without(loop.running, id) }),
  drained: (_, { ticks, microtasks, rounds }) => ({ drain: { ticks, microtasks, rounds }, draining: false }),
  queued,
  taken,
  fetched: (loop, { completions, posts, items }) => ({ completions, posts, events: loop.events + items }),
  armed,
  refreshed: armed,
  cleared,
  opened: (loop, event) => {
    const one = { ...entryOf(event), active: event.active, busy: false, referenced: true, port: null };
    return { handles: withKey(loop.handles, event.number, one) };
  },
  active: (loop, { number, on }) => handle(loop, number, { active: on }),
  busy: (loop, { number, on }) => handle(loop, number, { busy: on }),
  referenced,
  receives: (loop, { number, port }) => handle(loop, number, { port }),
  closed: (loop, { number }) => ({ handles: withoutKey(loop.handles, number) }),
};

// ----- What goes beyond one loop -----

/** A callback begins: a line of the ledger. */
function line(state, event) {
  const { id, track, phase, kind, place = null, label = null, cause = 0, iteration = 0, at } = event;
  const { told, stretch, waited, taken: firing } = loopOf(state, track);
  return {
    ...state,
    ledger: pushed(state.ledger, {
      id, track, phase, kind, place, label, cause, iteration, at,
      took: null,
      began: state.seen,
      ended: null,
      told, // The same one for what has no hole between it.
      stretch, // The same one for what one phase has called.
      waited, // Its loop slept just before it.
      firing, // Of a timer.
      said: [],
      statement: null,
      panicked: false,
    }),
  };
}

const withLine = (state, id, change) => ({ ...state, ledger: changed(state.ledger, (one) => one.id === id, change) });
const withJob = (state, id, change) => {
  const before = state.jobs[id] ?? { id, kind: "", place: null, label: null, pool: null, slow: false, by: null, cause: 0 };
  const jobs = Object.keys(state.jobs).length < LINES_MAX ? state.jobs : {};
  return { ...state, jobs: withKey(jobs, id, { ...before, ...change }) };
};

/** The job is in none of its pool's lists any more. */
function leavesPool(state, id, change = () => ({})) {
  const pool = state.jobs[id]?.pool ?? null;
  if (pool === null) return state;
  return withPool(state, pool, (before) => ({
    waiting: without(before.waiting, id),
    slow: without(before.slow, id),
    running: without(before.running, id),
    ...change(before),
  }));
}

/** A message was handed on: of those that are under way the oldest, or those that are dropped. */
function arrives(state, port, change) {
  const at = state.posts.findIndex((post) => post.port === port && post.delivered === null && !post.dropped);
  return at < 0 ? state.posts : state.posts.with(at, { ...state.posts[at], ...change });
}

/** What an event changes beside its loop. */
const WORLD = {
  meta: (state, { what: _, ...meta }) => ({ ...state, meta }),
  lost: (state, { count }) => ({ ...state, lost: state.lost + count }),
  error: (state, { text, file = null, line = null }) => ({ ...state, errors: [...state.errors, { text, file, line }] }),
  track: (state, { number, name }) => withTrack(state, number, { name }),
  said: (state, { id, text }) => withLine(state, id, (one) => ({ said: [...one.said, text] })),
  statement: (state, { id, statement }) => withLine(state, id, () => ({ statement })),
  began: line,
  returned: (state, { id, at, panicked = false }) =>
    withLine(state, id, (one) => ({ ended: state.seen, took: one.took ?? at - one.at, panicked: one.panicked || panicked })),
  // Without details this is all that is told of a callback; with them it says how long it took.
  callback: (state, event) => {
    const isKnown = state.ledger.some((one) => one.id === event.id);
    const known = isKnown ? state : line(state, event);
    return withLine(known, event.id, (one) => ({ ended: one.ended ?? state.seen, took: event.took ?? 0, panicked: one.panicked || event.panicked === true }));
  },
  poll: (state, { track, at, timeout, no_sleep }) => ({
    ...state,
    sleeps: pushed(state.sleeps, { track, timeout, no_sleep, at, until: null, woken_by: null, began: state.seen, ended: null }),
  }),
  polled: (state, { track, at, woken_by, idle }) => ({
    ...state,
    sleeps: changed(state.sleeps, (one) => one.track === track, (one) => ({ until: at, woken_by, idle, ended: one.ended ?? state.seen })),
  }),
  submitted: (state, { id, kind, place = null, label = null, pool, slow, track, cause = 0, at }) => {
    const job = { kind, place, label, pool, slow, by: track, cause, at, submitted: state.seen };
    const isOver = (state.jobs[id]?.started ?? null) !== null;
    const next = withJob(state, id, { started: null, ended: null, on: null, why: null, ...state.jobs[id], ...job });
    if (isOver) return next; // Told late.
    return withPool(next, pool, (before) => ({ [slow ? "slow" : "waiting"]: [...before[slow ? "slow" : "waiting"], id] }));
  },
  refused: (state, { id, kind, place = null, why, track, at }) =>
    id ? withJob(state, id, { kind, place, by: track, at, submitted: state.seen, started: null, ended: state.seen, on: null, why }) : state,
  started: (state, { id, kind, place = null, track, at }) => {
    const job = { kind, place, label: null, ...state.jobs[id], on: track, started: state.seen, startedAt: at, ended: null };
    // In virtual time a job runs on the loop's own thread, while the loop is in poll.
    const known = withJob(state, id, job);
    const next = state.loops[track] ? known : withTrack(known, track, { is: "pool thread" });
    return leavesPool(next, id, (before) => ({ running: [...without(before.running, id), id] }));
  },
  finished: (state, { id, at }) =>
    leavesPool(withJob(state, id, { ended: state.seen, endedAt: at }), id, (before) => ({ finished: before.finished + 1 })),
  withdrawn: (state, { id, why }) => leavesPool(withJob(state, id, { ended: state.seen, why }), id),
  receives: (state, { track, number, port }) => withPort(state, port, () => ({ receiver: { track, number } })),
  posted: (state, { port, to = 0, track, cause = 0, at }) => {
    const post = { port, from: track, to: to || null, cause, at, posted: state.seen, delivered: null, deliveredAt: null, dropped: false };
    const next = { ...state, posts: pushed(state.posts, post) };
    return port ? withPort(next, port, (before) => ({ waiting: before.waiting + 1 })) : next;
  },
  delivered: (state, { port, track, at }) => {
    const next = withPort(state, port, (before) => ({ waiting: before.waiting - 1 }));
    return { ...next, posts: arrives(state, port, { delivered: state.seen, deliveredAt: at, to: track }) };
  },
  dropped: (state, { port, count }) => {
    let next = withPort(state, port, (before) => ({ waiting: before.waiting - count }));
    for (let left = Math.min(count, LINES_MAX); left > 0; left -= 1) next = { ...next, posts: arrives(next, port, { dropped: true }) };
    return next;
  },
  // A closure of a `Remote` has no port: it arrives when the loop takes it.
  taken: (state, { queue, track, at }) => (queue === "posts" ? { ...state, posts: arrivesAt(state, track, at) } : state),
  // A worker that was there before who looks on may tell of itself before its parent does.
  spawned: (state, { worker, track }) => {
    const tracks = Object.fromEntries(Object.entries(state.tracks).map(([number, one]) => [number, one.worker === worker ? { ...one, parent: track } : one]));
    return { ...state, tracks, spawned: withKey(state.spawned ?? {}, worker, track) };
  },
  online: (state, { worker, track }) => withTrack(state, track, { worker, parent: state.spawned?.[worker] ?? null }),
};

function arrivesAt(state, track, time) {
  const is = (post) => post.port === 0 && post.delivered === null && (post.to === null || post.to === track);
  const at = state.posts.findIndex(is);
  return at < 0 ? state.posts : state.posts.with(at, { ...state.posts[at], delivered: state.seen, deliveredAt: time, to: track });
}

/** The state after one event more. */
export function step(state, event) {
  const { what, track } = event;
  let next = { ...state, seen: state.seen + 1, at: event.at > state.at ? event.at : state.at };
  if (WORLD[what]) next = WORLD[what](next, event);
  if (LOOP[what] && track !== undefined) next = withLoop(next, track, (loop) => LOOP[what](loop, event));
  return next;
}

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
