//! What loops, pools and ports hold, as a reader of details knows it: nothing but the details of a
//! recording goes in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::time::Duration;

use windlass::observe::{Armed, Detail, Event, Queue, What};

type Place = Option<&'static Location<'static>>;

/// A handle or a request.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) kind: &'static str,
    pub(crate) location: Place,
    pub(crate) active: bool,
    pub(crate) busy: bool,
    pub(crate) referenced: bool,
}

/// What one loop holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The loop has told all that there was.
    pub(crate) is_whole: bool,
    pub(crate) handles: BTreeMap<u64, Open>,
    /// Those that wait, and intervals that are being called.
    pub(crate) timers: BTreeMap<u64, Armed>,
    /// The numbers, lines and references of the immediates that wait.
    pub(crate) immediates: VecDeque<(u64, Place, bool)>,
    /// How much waits in the other queues.
    pub(crate) waiting: BTreeMap<Queue, u64>,
    pub(crate) iterations: u64,
    pub(crate) events: u64,
    pub(crate) idle: Duration,
    /// The callbacks that run, the innermost last.
    pub(crate) running: Vec<u64>,
    pub(crate) has_ended: bool,
}

/// What there is in the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// By track.
    pub(crate) loops: BTreeMap<u32, Held>,
    /// How many messages wait in each queue. Below zero for a moment in virtual time, where several
    /// loops have one time.
    pub(crate) ports: BTreeMap<u64, i64>,
    /// The queue of messages that a handle of a loop receives.
    pub(crate) receives: BTreeMap<(u32, u64), u64>,
    /// By number.
    pub(crate) pools: BTreeMap<u64, Jobs>,
    /// The pool of each job that waits or runs.
    pub(crate) pool_of: BTreeMap<u64, u64>,
}

/// The jobs of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    /// Those that wait: whether they are slow.
    pub(crate) waiting: BTreeMap<u64, bool>,
    pub(crate) running: BTreeSet<u64>,
    pub(crate) finished: u64,
}

impl Held {
    /// The kinds and lines of what keeps the loop alive.
    pub(crate) fn alive(&self) -> Vec<(&'static str, Place)> {
        let handles = self.handles.values();
        let handles = handles.filter(|it| it.busy || it.active && it.referenced);
        let timers = self.timers.values().filter(|timer| timer.referenced);
        let immediates = self.immediates.iter().filter(|(_, _, referenced)| *referenced);
        let mut alive: Vec<_> = handles
            .map(|handle| (handle.kind, handle.location))
            .chain(timers.map(|timer| (timer.kind, timer.location)))
            .chain(immediates.map(|(_, place, _)| ("immediate", *place)))
            .collect();
        alive.sort();
        alive
    }

    pub(crate) fn waiting(&self, queue: Queue) -> u64 {
        self.waiting.get(&queue).copied().unwrap_or(0)
    }

    fn put(&mut self, queue: Queue) {
        *self.waiting.entry(queue).or_default() += 1;
    }

    fn take(&mut self, queue: Queue) {
        let count = self.waiting.entry(queue).or_default();
        *count = count.checked_sub(1).unwrap_or_else(|| panic!("{queue:?} was empty"));
    }

    /// One detail further.
    fn step(&mut self, id: u64, detail: &Detail) {
        match detail {
            Detail::All => *self = Held { is_whole: true, ..Held::default() },
            Detail::Ended => *self = Held { has_ended: true, ..Held::default() },
            Detail::Iteration { number } => self.iterations = *number,
            Detail::Poll { .. } => self.iterations += 1,
            Detail::Polled { events, idle, ready, .. } => {
                self.events += events;
                self.idle += *idle;
                self.waiting.insert(Queue::Ready, *ready);
            }
            Detail::Fetched { completions, posts, items, .. } => {
                self.events += items;
                self.waiting.insert(Queue::Completions, *completions);
                self.waiting.insert(Queue::Posts, *posts);
            }
            Detail::Began { kind, .. } => {
                self.running.push(id);
                match *kind {
                    "tick" => self.take(Queue::Ticks),
                    "microtask" | "task" => self.take(Queue::Microtasks),
                    _ => {}
                }
            }
            Detail::Returned => assert_eq!(self.running.pop(), Some(id), "callbacks are nested"),
            Detail::Queued { queue: Queue::Immediates, number, location, .. } => {
                self.immediates.push_back((*number, *location, true));
            }
            Detail::Queued { queue, .. } => self.put(*queue),
            Detail::Taken { queue, number } => self.taken(*queue, *number),
            Detail::Armed(armed) | Detail::Refreshed(armed) => {
                self.timers.insert(armed.number, armed.clone());
            }
            Detail::Cleared { number } => {
                self.timers.remove(number);
                self.immediates.retain(|(one, ..)| one != number);
            }
            Detail::Opened { number, kind, location, active } => {
                let (location, active) = (*location, *active);
                let open = Open { kind, location, active, busy: false, referenced: true };
                let before = self.handles.insert(*number, open);
                assert!(before.is_none(), "no two handles have one number");
            }
            Detail::Active { number, on } => self.handles.get_mut(number).unwrap().active = *on,
            Detail::Busy { number, on } => self.handles.get_mut(number).unwrap().busy = *on,
            Detail::Referenced { number, on } => self.set_ref(*number, *on),
            Detail::Closed { number } => {
                assert!(self.handles.remove(number).is_some(), "what ends was opened");
            }
            _ => {}
        }
    }

    fn taken(&mut self, queue: Queue, number: u64) {
        match queue {
            Queue::Timers => {
                let timer = self.timers.get(&number).expect("a timer that fires was armed");
                if timer.kind == "timer" {
                    self.timers.remove(&number);
                }
            }
            Queue::Immediates => {
                let first = self.immediates.pop_front().map(|(number, ..)| number);
                assert_eq!(first, Some(number), "immediates run in order");
            }
            // A receiver that is told twice is called once, and a watcher stays.
            Queue::Receivers | Queue::Watchers => {}
            Queue::Ready => drop(self.waiting.remove(&queue)),
            queue => self.take(queue),
        }
    }

    fn set_ref(&mut self, number: u64, on: bool) {
        if let Some(handle) = self.handles.get_mut(&number) {
            handle.referenced = on;
        }
        if let Some(timer) = self.timers.get_mut(&number) {
            timer.referenced = on;
        }
        let immediates = self.immediates.iter_mut();
        immediates.filter(|(one, ..)| *one == number).for_each(|(.., referenced)| *referenced = on);
    }
}

impl World {
    fn jobs_with(&mut self, id: u64) -> &mut Jobs {
        let pool = self.pool_of.get(&id).expect("a job was submitted");
        self.pools.get_mut(pool).unwrap()
    }

    /// One event further, of a recorder that has begun when there was something already: what a loop
    /// says before it has told all is of no use.
    pub(crate) fn step_late(&mut self, event: &Event) {
        let What::Detail(detail) = &event.what else { return };
        let held = self.loops.entry(event.track).or_default();
        if held.is_whole || *detail == Detail::All {
            held.step(event.id, detail);
        }
    }

    /// One event further.
    pub(crate) fn step(&mut self, event: &Event) {
        let What::Detail(detail) = &event.what else { return };
        match detail {
            Detail::Posted { port: 0, .. } => {}
            Detail::Posted { port, .. } => *self.ports.entry(*port).or_default() += 1,
            Detail::Delivered { port, .. } => *self.ports.entry(*port).or_default() -= 1,
            Detail::Dropped { port, count } => {
                *self.ports.entry(*port).or_default() -= *count as i64;
            }
            Detail::Receives { number, port } => {
                self.receives.insert((event.track, *number), *port);
            }
            Detail::Submitted { pool, slow, .. } => {
                self.pool_of.insert(event.id, *pool);
                self.pools.entry(*pool).or_default().waiting.insert(event.id, *slow);
            }
            Detail::Started { .. } => {
                let jobs = self.jobs_with(event.id);
                jobs.waiting.remove(&event.id).expect("a job that begins has waited");
                jobs.running.insert(event.id);
            }
            Detail::Finished => {
                let jobs = self.jobs_with(event.id);
                assert!(jobs.running.remove(&event.id), "a job that ends had begun");
                jobs.finished += 1;
            }
            Detail::Withdrawn { .. } => {
                let jobs = self.jobs_with(event.id);
                jobs.waiting.remove(&event.id).expect("a job that is withdrawn has waited");
            }
            detail => self.loops.entry(event.track).or_default().step(event.id, detail),
        }
    }
}
