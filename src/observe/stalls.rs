//! The stall watch: a thread that looks what runs on each loop.
//!
//! A loop says which macrotask runs, and nothing about time. The watch looks every eighth of the
//! limit. A macrotask that it sees at two looks has run all the time between them, so the time from
//! the first look to the last is a lower bound of what it took, two looks short at most.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Callback;
use crate::callback::{attempt, drop_quietly};
use crate::clock::{self, Nanos, saturating_nanos};
use crate::trace::roll::{self, Observer};
use crate::trace::running::Seen;
use crate::trace::track::Track;

/// How often the watch looks within its limit.
const LOOKS: u32 = 8;

/// It does not look more often than this.
const SHORTEST: Duration = Duration::from_micros(50);

/// A callback that blocks its loop, as [`watch_stalls`] reports it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The loop's name.
    pub loop_name: String,
    /// The number of the worker whose loop it is, as [`worker::id`](crate::worker::id). Else 0.
    pub worker: u64,
    /// What runs at this moment. `took` counts from the beginning of the callback whose ticks and
    /// microtasks these may be. It is exact to half the limit, and never less than the limit.
    pub callback: Callback,
    /// It has ended.
    pub over: bool,
    /// What waits behind it: in the mailbox now, and the ticks, microtasks and immediates that were
    /// queued when it began.
    pub waiting: usize,
}

/// Watches until it is dropped. Made by [`watch_stalls`].
#[must_use = "a watch that is dropped watches nothing"]
pub struct StallWatch {
    /// Tells the thread to end.
    ending: Arc<Ending>,
    /// The thread that looks. None once it was waited for.
    thread: Option<JoinHandle<()>>,
}

/// Whether the watch is to end.
#[derive(Default)]
struct Ending {
    /// It is to end.
    asked: Mutex<bool>,
    /// Wakes its thread for that.
    changed: Condvar,
}

/// What was seen of one loop.
struct Sighting {
    /// The loop.
    track: Arc<Track>,
    /// What ran at the last look.
    seen: Seen,
    /// When the macrotask was seen first.
    first: Nanos,
    /// When it was seen last.
    last: Nanos,
    /// It was reported.
    reported: bool,
}

/// Reports each callback of any loop of the process that runs longer than `limit`, with its ticks
/// and microtasks: once while it still runs, and once when it has ended.
///
/// `f` is called on a thread of the watch, for one stall at a time. A callback that takes 1.5 ×
/// `limit` or longer is reported before twice the limit is over, if the machine has a core for the
/// watch by then; of one that takes less the two reports may be missing. The second report comes
/// also when the loop has ended meanwhile. The limit is real time, also for a loop in virtual time.
///
/// The place is the line that registered what runs: of a stream that was accepted that of
/// `read_start`, not that of the listener; of a tick that of `next_tick`. What was queued before
/// the watch has none, and a callback that began before it is not seen. Of a main script it is the
/// line of `run` or `spawn`.
///
/// A loop that sleeps is not reported, nor is one that is busy with short callbacks: a chain of
/// ticks is one callback with the one that began it.
///
/// Dropping the watch ends it, and waits for a report that is being made, unless from within it. A
/// panic of `f` is logged and ends the watch.
///
/// # Cost
/// A thread that looks eight times in each limit, but no more often than every 50 µs. For the
/// loops, a few stores a callback, and no reading of the clock.
///
/// # Panics
/// When the system gives no thread.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::observe::watch_stalls;
///
/// let (tell, told) = std::sync::mpsc::channel();
/// let watch = watch_stalls(Duration::from_millis(20), move |stall| {
///     if !stall.over {
///         tell.send(stall.callback.kind).unwrap();
///     }
/// });
/// windlass::run(|| {
///     // The loop stands still until the watch has seen it.
///     windlass::set_immediate(move || assert_eq!(told.recv().unwrap(), "immediate"));
/// });
/// drop(watch);
/// ```
pub fn watch_stalls(limit: Duration, f: impl FnMut(&Stall) + Send + 'static) -> StallWatch {
    let ending = Arc::new(Ending::default());
    let (observer, inner) = (Observer::begin(), ending.clone());
    let thread = thread::Builder::new()
        .name("windlass-stalls".to_owned())
        .spawn(move || watch(limit, f, &inner, observer))
        .expect("windlass: a stall watch needs a thread");
    StallWatch { ending, thread: Some(thread) }
}

impl Ending {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_asked(&self) -> bool {
        *self.lock()
    }

    /// Waits for so long. True if the watch is to end.
    fn comes_within(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        *self.ending.lock() = true;
        self.ending.changed.notify_all();
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != own_id()) {
            let outcome = thread.join();
            debug_assert!(outcome.is_ok(), "the thread catches the panics of reports");
        }
    }
}

fn own_id() -> thread::ThreadId {
    thread::current().id()
}

impl fmt::Debug for StallWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallWatch").finish_non_exhaustive()
    }
}

/// The thread of a watch.
fn watch(limit: Duration, mut f: impl FnMut(&Stall), ending: &Ending, observer: Observer) {
    let pause = (limit / LOOKS).max(SHORTEST);
    let limit = saturating_nanos(limit);
    let mut sightings = HashMap::new();
    while !ending.comes_within(pause) {
        for stall in look(&mut sightings, roll::tracks(), clock::monotonic, limit) {
            if ending.is_asked() {
                break; // Perhaps within the report before.
            }
            if let Err(panic) = attempt(|| f(&stall)) {
                log::error!("a stall watch ends, for its report panicked: {}", panic.message());
                drop_quietly(panic);
                drop_quietly(f);
                return drop(observer);
            }
        }
    }
    drop(observer);
    drop_quietly(f);
}

/// Looks at all loops. Returns what is to be reported.
fn look(
    sightings: &mut HashMap<u32, Sighting>,
    tracks: Vec<Arc<Track>>,
    clock: impl Fn() -> Nanos,
    limit: Nanos,
) -> Vec<Stall> {
    let mut stalls = Vec::new();
    let mut before = std::mem::take(sightings);
    for track in tracks {
        let number = track.number();
        // This thread may lose its core between any two lines. What it sees again has run until
        // this reading. What it sees first has perhaps begun after it.
        let now = clock();
        let seen = track.running.look();
        let goes_on = |it: &Sighting| seen.is_some_and(|seen| seen.macrotask == it.seen.macrotask);
        match (before.remove(&number), seen) {
            (Some(mut sighting), Some(seen)) if goes_on(&sighting) => {
                (sighting.seen, sighting.last) = (seen, now);
                if !sighting.reported && now.saturating_sub(sighting.first) >= limit {
                    sighting.reported = true;
                    stalls.push(sighting.stall(limit, false));
                }
                sightings.insert(number, sighting);
            }
            (ended, seen) => {
                stalls.extend(ended.and_then(|sighting| sighting.end(limit)));
                if let Some(seen) = seen {
                    let first = clock();
                    let sighting = Sighting { track, seen, first, last: first, reported: false };
                    sightings.insert(number, sighting);
                }
            }
        }
    }
    // Of loops that are gone.
    stalls.extend(before.into_values().filter_map(|sighting| sighting.end(limit)));
    stalls
}

impl Sighting {
    fn stall(&self, limit: Nanos, over: bool) -> Stall {
        let Seen { phase, kind, place: location, queued, .. } = self.seen;
        let took = self.last.saturating_sub(self.first).max(limit);
        let took = Duration::from_nanos(took);
        let in_mailbox = self.track.observed().map_or(0, |observed| observed.waiting());
        Stall {
            loop_name: self.track.name().to_owned(),
            worker: self.track.worker(),
            callback: Callback { phase, kind, location, took },
            over,
            waiting: in_mailbox + queued,
        }
    }

    /// The second report of a macrotask that has ended, if there was a first one.
    fn end(self, limit: Nanos) -> Option<Stall> {
        self.reported.then(|| self.stall(limit, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Phase;
    use crate::trace::origin::Origin;
    use std::cell::Cell;

    const LIMIT: Nanos = 100;

    /// A watch that looks at one loop when it is told to.
    struct Watched {
        track: Arc<Track>,
        sightings: HashMap<u32, Sighting>,
    }

    impl Watched {
        fn new() -> Watched {
            Watched { track: Track::new(), sightings: HashMap::new() }
        }

        /// The loop begins a macrotask.
        fn begin(&self, number: u64, kind: &'static str) {
            self.track.running.begin(number, Phase::Poll, 0, Origin::unknown(kind));
        }

        /// A look at this time. What it reports: which kind, for how long, over or not.
        fn look(&mut self, now: Nanos) -> Vec<(&'static str, u64, bool)> {
            self.look_by(|| now)
        }

        fn look_by(&mut self, clock: impl Fn() -> Nanos) -> Vec<(&'static str, u64, bool)> {
            let stalls = look(&mut self.sightings, vec![self.track.clone()], clock, LIMIT);
            let words = |stall: Stall| {
                let Callback { kind, took, .. } = stall.callback;
                (kind, saturating_nanos(took), stall.over)
            };
            stalls.into_iter().map(words).collect()
        }
    }

    #[test]
    fn a_loop_that_runs_nothing_is_not_reported() {
        let mut watched = Watched::new();
        watched.begin(1, "timer");
        assert_eq!(watched.look(0), []);
        watched.track.running.end();
        assert!((1..100).all(|at| watched.look(at * LIMIT).is_empty()));
    }

    #[test]
    fn a_loop_that_runs_another_callback_at_each_look_is_not_reported() {
        let mut watched = Watched::new();
        for number in 1..100 {
            watched.begin(number, "timer");
            assert_eq!(watched.look(number * LIMIT), []);
            watched.track.running.go_on(Origin::unknown("tick"));
            assert_eq!(watched.look(number * LIMIT + LIMIT - 1), []);
        }
    }

    #[test]
    fn what_runs_from_one_look_to_another_is_reported_once_and_once_when_it_is_over() {
        let mut watched = Watched::new();
        watched.begin(1, "timer");
        assert_eq!(watched.look(5), []);
        watched.track.running.go_on(Origin::unknown("tick"));
        assert_eq!(watched.look(5 + LIMIT), [("tick", LIMIT, false)]);
        assert_eq!(watched.look(5 + LIMIT * 2), []);
        watched.begin(2, "immediate");
        assert_eq!(watched.look(5 + LIMIT * 3), [("tick", LIMIT * 2, true)]);
    }

    #[test]
    fn of_a_loop_that_is_gone_the_second_report_comes() {
        let mut watched = Watched::new();
        watched.begin(1, "timer");
        assert_eq!(watched.look(0), []);
        assert_eq!(watched.look(LIMIT), [("timer", LIMIT, false)]);
        let over = look(&mut watched.sightings, Vec::new(), || LIMIT * 2, LIMIT);
        assert!(over.len() == 1 && over[0].over);
    }

    #[test]
    fn a_watch_that_loses_its_core_while_it_looks_makes_no_callback_longer() {
        let mut watched = Watched::new();
        let (running, readings) = (watched.track.clone(), Cell::new(0));
        // Between the first reading and the look much time goes by, and the callback begins.
        let clock = move || {
            readings.set(readings.get() + 1);
            if readings.get() == 1 {
                running.running.begin(1, Phase::Poll, 0, Origin::unknown("timer"));
                0
            } else {
                LIMIT
            }
        };
        assert_eq!(watched.look_by(clock), []);
        assert_eq!(watched.look(LIMIT * 2 - 1), []);
        assert_eq!(watched.look(LIMIT * 2), [("timer", LIMIT, false)]);
    }
}
