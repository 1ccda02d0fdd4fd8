//! How much waits in each queue, wherever that changes: counted from details.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Detail, Event, Queue, What};

/// Whose queues they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// A loop's, by its track.
    Loop(u32),
    /// A pool's, by its number.
    Pool(u64),
    /// A channel's in one direction, by its number.
    Port(u64),
}

/// How much waits from this moment on, by name.
pub(super) struct Lengths {
    /// From when on.
    pub(super) at: Duration,
    /// Whose queues they are.
    pub(super) whose: Whose,
    /// The name of each queue, and how much waits in it.
    pub(super) waiting: Vec<(&'static str, u64)>,
}

/// What is known of the queues of one loop.
#[derive(Default)]
struct Known {
    /// The numbers of the timers and immediates that wait.
    numbered: BTreeSet<(Queue, u64)>,
    /// How much waits in each queue.
    waiting: BTreeMap<&'static str, u64>,
}

/// The lengths of all queues, those of one moment once, in the order of their times.
pub(super) fn of(events: &[Event]) -> Vec<Lengths> {
    let (mut loops, mut jobs) = (BTreeMap::<u32, Known>::new(), BTreeMap::new());
    let mut pools = BTreeMap::<u64, [u64; 2]>::new();
    let mut all = BTreeMap::new();
    for event in events {
        let What::Detail(detail) = &event.what else { continue };
        let port = |port: u64, waiting: u64| (Whose::Port(port), vec![("messages", waiting)]);
        let change = match *detail {
            Detail::Posted { port: number, waiting, .. } if number > 0 => {
                Some(port(number, waiting))
            }
            Detail::Delivered { port: number, waiting } => Some(port(number, waiting)),
            Detail::Dropped { port: number, .. } => Some(port(number, 0)),
            Detail::Submitted { pool, slow, .. } => {
                jobs.insert(event.id, (pool, slow));
                Some(jobs_of(&mut pools, pool, slow, 1))
            }
            Detail::Started { .. } | Detail::Withdrawn { .. } => {
                let known = jobs.remove(&event.id);
                known.map(|(pool, slow)| jobs_of(&mut pools, pool, slow, -1))
            }
            _ => {
                let known = loops.entry(event.track).or_default();
                let lengths = known.take(detail).then(|| known.lengths());
                lengths.map(|lengths| (Whose::Loop(event.track), lengths))
            }
        };
        if let Some((whose, waiting)) = change {
            all.insert((event.at, whose), waiting);
        }
    }
    let lengths = |((at, whose), waiting)| Lengths { at, whose, waiting };
    all.into_iter().map(lengths).collect()
}

/// A job more waits in a queue of a pool, or one less.
fn jobs_of(
    pools: &mut BTreeMap<u64, [u64; 2]>,
    pool: u64,
    slow: bool,
    change: i64,
) -> (Whose, Vec<(&'static str, u64)>) {
    let waiting = pools.entry(pool).or_default();
    let count = &mut waiting[usize::from(slow)];
    *count = count.saturating_add_signed(change);
    (Whose::Pool(pool), vec![("quick", waiting[0]), ("slow", waiting[1])])
}

impl Known {
    /// Takes a detail in. Whether it changes the length of a queue.
    fn take(&mut self, detail: &Detail) -> bool {
        match detail {
            Detail::All | Detail::Ended => *self = Known::default(),
            Detail::Queued { queue: Queue::Immediates, number, .. } => {
                self.numbered.insert((Queue::Immediates, *number));
                self.add(Queue::Immediates, 1);
            }
            Detail::Queued { queue, .. } => self.add(*queue, 1),
            Detail::Taken { queue: queue @ (Queue::Immediates | Queue::Timers), number } => {
                return self.end(*queue, *number);
            }
            Detail::Taken { queue, .. } => self.add(*queue, -1),
            Detail::Began { kind: "tick", .. } => self.add(Queue::Ticks, -1),
            Detail::Began { kind: "microtask" | "task", .. } => self.add(Queue::Microtasks, -1),
            Detail::Armed(armed) | Detail::Refreshed(armed) => {
                if !self.numbered.insert((Queue::Timers, armed.number)) {
                    return false;
                }
                self.add(Queue::Timers, 1);
            }
            Detail::Cleared { number } => {
                let both = [Queue::Timers, Queue::Immediates];
                return both.iter().any(|queue| self.end(*queue, *number));
            }
            Detail::Fetched { completions, posts, .. } => {
                self.waiting.insert(name_of(Queue::Completions), *completions);
                self.waiting.insert(name_of(Queue::Posts), *posts);
            }
            _ => return false,
        }
        true
    }

    /// A timer or an immediate does not wait any more. False if it did not.
    fn end(&mut self, queue: Queue, number: u64) -> bool {
        let waited = self.numbered.remove(&(queue, number));
        if waited {
            self.add(queue, -1);
        }
        waited
    }

    fn add(&mut self, queue: Queue, change: i64) {
        let waiting = self.waiting.entry(name_of(queue)).or_default();
        *waiting = waiting.saturating_add_signed(change);
    }

    fn lengths(&self) -> Vec<(&'static str, u64)> {
        let waiting = |name| (name, self.waiting.get(name).copied().unwrap_or(0));
        NAMES.map(waiting).to_vec()
    }
}

/// The names of the queues of a loop, in the order in which they are drawn.
const NAMES: [&str; 7] =
    ["ticks", "microtasks", "timers", "immediates", "deferred", "completions", "posts"];

/// What a queue is called. One that is not drawn has a name that is not among those.
fn name_of(queue: Queue) -> &'static str {
    match queue {
        Queue::Ticks => "ticks",
        Queue::Microtasks => "microtasks",
        Queue::Timers => "timers",
        Queue::Immediates => "immediates",
        Queue::Pending | Queue::Closing | Queue::PollLast => "deferred",
        Queue::Completions => "completions",
        Queue::Posts => "posts",
        Queue::Ready | Queue::Receivers | Queue::Watchers => "called",
    }
}
