//! The stall watch: a thread that looks what runs on each loop.
//!
//! A loop says which macrotask runs and when that began. The watch looks every eighth of the limit,
//! and one that has run for as long as the limit is reported. A watch that gets no core meanwhile
//! misses nothing: the loop itself keeps what took so long, and the watch reports it late.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Callback;
use crate::callback::{attempt, drop_quietly};
use crate::clock::{self, Nanos, saturating_nanos};
use crate::trace::roll::{self, Stalled, Watching};
use crate::trace::running::Seen;
use crate::trace::track::Track;

/// How often the watch looks within its limit.
const LOOKS: u32 = 8;

/// It does not look more often than this.
const SHORTEST: Duration = Duration::from_micros(50);

/// A callback that blocks its loop, as [`watch_stalls`] reports it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::observe::{Stall, watch_stalls};
///
/// fn report(stall: &Stall) {
///     if stall.over {
///         eprintln!("{} took {:?}", stall.callback.kind, stall.callback.took);
///     }
/// }
///
/// let watch = watch_stalls(Duration::from_millis(50), report);
/// windlass::run(|| windlass::set_immediate(|| println!("short enough")));
/// drop(watch);
/// ```
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
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::observe::watch_stalls;
///
/// let watch = watch_stalls(Duration::from_millis(50), |stall| eprintln!("{stall:?}"));
/// windlass::run(|| ());
/// drop(watch); // It ends here.
/// ```
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

/// What a watch knows.
struct Looks {
    /// In nanoseconds of real time.
    limit: Nanos,
    /// The macrotasks that were reported and still ran at the last look, by their tracks' numbers.
    reported: HashMap<u32, Stalled>,
}

/// Reports each callback of any loop of the process that runs longer than `limit`, with its ticks
/// and microtasks: once while it still runs, and once when it has ended.
///
/// `f` is called on a thread of the watch, for one stall at a time. A callback that takes 1.5 ×
/// `limit` or longer is reported before twice the limit is over, if the machine has a core for the
/// watch by then. Else both reports come late, in their order: a stall of the length of the limit
/// is never lost, but for those beyond 1,024 that end while `f` does not return. The second report
/// comes also when the loop has ended meanwhile. The limit is real time, also for a loop in virtual
/// time.
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
/// loops, two readings of the clock a callback, one of a tick or microtask, and some stores; and a
/// short lock when something has taken as long as the limit.
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
    let inner = ending.clone();
    // Here and not on the thread: what begins when this has returned is seen, however late the
    // thread gets a core.
    let watching = Watching::begin(saturating_nanos(limit.max(SHORTEST)));
    let thread = thread::Builder::new()
        .name("windlass-stalls".to_owned())
        .spawn(move || watch(limit, f, &inner, watching))
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
fn watch(limit: Duration, mut f: impl FnMut(&Stall), ending: &Ending, watching: Watching) {
    let pause = (limit / LOOKS).max(SHORTEST);
    let mut looks = Looks { limit: saturating_nanos(limit), reported: HashMap::new() };
    while !ending.comes_within(pause) {
        let (look, over) = (|track: &Track| watching.look(track), || watching.take());
        for stall in looks.look(roll::tracks(), clock::monotonic, look, over) {
            if ending.is_asked() {
                break; // Perhaps within the report before.
            }
            if let Err(panic) = attempt(|| f(&stall)) {
                log::error!("a stall watch ends, for its report panicked: {}", panic.message());
                drop_quietly(panic);
                drop(watching);
                return drop_quietly(f);
            }
        }
    }
    drop(watching);
    drop_quietly(f);
}

impl Looks {
    /// Looks at all loops, by `look`, and then at what is `over` since the last look. Returns what
    /// is to be reported.
    fn look(
        &mut self,
        tracks: Vec<Arc<Track>>,
        clock: impl Fn() -> Nanos,
        look: impl Fn(&Track) -> Option<Seen>,
        over: impl FnOnce() -> Vec<Stalled>,
    ) -> Vec<Stall> {
        let mut before = mem::take(&mut self.reported);
        let (mut ended, mut first) = (Vec::new(), Vec::new());
        for track in tracks {
            // This thread may lose its core between any two lines. What it sees has run until this
            // reading, or has begun after it.
            let now = clock();
            let Some(seen) = look(&track) else { continue };
            let took = now.saturating_sub(seen.macrotask.since);
            let running = Stalled { track, seen, took };
            let is_known = take_same(&mut before, &running);
            if !is_known && took >= self.limit {
                first.push(running.stall(self.limit, false));
            }
            if is_known || took >= self.limit {
                self.reported.insert(running.track.number(), running);
            }
        }
        // A loop says that something is over before it goes on. So of what was reported and runs no
        // more, the end is here; and what is here was perhaps never seen to run.
        let mut over_already = Vec::new();
        for stalled in over() {
            if take_same(&mut self.reported, &stalled) {
                over_already.push(stalled.stall(self.limit, true));
                continue;
            }
            if !take_same(&mut before, &stalled) {
                ended.push(stalled.stall(self.limit, false));
            }
            ended.push(stalled.stall(self.limit, true));
        }
        // Shorter than what a loop tells of.
        ended.extend(before.into_values().map(|stalled| stalled.stall(self.limit, true)));
        ended.into_iter().chain(first).chain(over_already).collect()
    }
}

/// Takes this macrotask out of those known. False if it is none of them.
fn take_same(known: &mut HashMap<u32, Stalled>, stalled: &Stalled) -> bool {
    let number = stalled.track.number();
    let same = |it: &Stalled| it.seen.macrotask.number == stalled.seen.macrotask.number;
    known.get(&number).is_some_and(same) && known.remove(&number).is_some()
}

impl Stalled {
    fn stall(&self, limit: Nanos, over: bool) -> Stall {
        let Seen { macrotask, kind, place } = self.seen;
        let took = Duration::from_nanos(self.took.max(limit));
        let in_mailbox = self.track.observed().map_or(0, |observed| observed.waiting());
        Stall {
            loop_name: self.track.name().to_owned(),
            worker: self.track.worker(),
            callback: Callback { took, ..Callback::new(macrotask.phase, kind, place) },
            over,
            waiting: in_mailbox + macrotask.queued,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Phase;
    use crate::trace::origin::Origin;
    use crate::trace::running::Begun;
    use std::cell::Cell;

    const LIMIT: Nanos = 100;

    /// A watch that looks at one loop when it is told to.
    struct Watched {
        track: Arc<Track>,
        looks: Looks,
        over: Vec<Stalled>,
    }

    /// What a report says: which kind, for how long, over or not.
    type Report = (&'static str, Nanos, bool);

    fn words(stall: Stall) -> Report {
        let Callback { kind, took, .. } = stall.callback;
        (kind, saturating_nanos(took), stall.over)
    }

    fn begun(number: u64, since: Nanos) -> Begun {
        Begun { number, phase: Phase::Poll, since, queued: 0 }
    }

    impl Watched {
        fn new() -> Watched {
            let looks = Looks { limit: LIMIT, reported: HashMap::new() };
            Watched { track: Track::new(), looks, over: Vec::new() }
        }

        /// The loop begins a macrotask.
        fn begin(&self, number: u64, since: Nanos, kind: &'static str) {
            self.track.running.begin(begun(number, since), Origin::unknown(kind));
        }

        /// The loop ends a macrotask that took as long as the limit.
        fn end(&mut self, number: u64, kind: &'static str, took: Nanos) {
            let seen = Seen { macrotask: begun(number, 0), kind, place: None };
            self.over.push(Stalled { track: self.track.clone(), seen, took });
            self.track.running.end();
        }

        /// A look at this time.
        fn look(&mut self, now: Nanos) -> Vec<Report> {
            self.look_by(|| now)
        }

        fn look_by(&mut self, clock: impl Fn() -> Nanos) -> Vec<Report> {
            let over = || mem::take(&mut self.over);
            let look = |track: &Track| track.running.look();
            let stalls = self.looks.look(vec![self.track.clone()], clock, look, over);
            stalls.into_iter().map(words).collect()
        }
    }

    #[test]
    fn a_watch_is_told_what_ends_before_its_thread_has_a_core() {
        let limit = Duration::from_millis(7);
        let watch = watch_stalls(limit, |_| ());
        assert!(roll::shortest_limit() <= saturating_nanos(limit));
        drop(watch);
    }

    #[test]
    fn a_loop_that_runs_nothing_is_not_reported() {
        let mut watched = Watched::new();
        watched.begin(1, 0, "timer");
        assert_eq!(watched.look(0), []);
        watched.track.running.end();
        assert!((1..100).all(|at| watched.look(at * LIMIT).is_empty()));
    }

    #[test]
    fn a_loop_that_runs_another_callback_at_each_look_is_not_reported() {
        let mut watched = Watched::new();
        for number in 1..100 {
            watched.begin(number, number * LIMIT, "timer");
            assert_eq!(watched.look(number * LIMIT), []);
            watched.track.running.go_on(Origin::unknown("tick"));
            assert_eq!(watched.look(number * LIMIT + LIMIT - 1), []);
        }
    }

    #[test]
    fn what_runs_as_long_as_the_limit_is_reported_once_and_once_when_it_is_over() {
        let mut watched = Watched::new();
        watched.begin(1, 5, "timer");
        watched.track.running.go_on(Origin::unknown("tick"));
        assert_eq!(watched.look(5 + LIMIT), [("tick", LIMIT, false)]);
        assert_eq!(watched.look(5 + LIMIT * 2), []);
        watched.end(1, "tick", LIMIT * 2 + 7);
        watched.begin(2, LIMIT * 2 + 20, "immediate");
        assert_eq!(watched.look(5 + LIMIT * 3), [("tick", LIMIT * 2 + 7, true)]);
        assert_eq!(watched.look(5 + LIMIT * 3), []);
    }

    #[test]
    fn what_a_watch_without_a_core_has_missed_is_reported_late_and_in_order() {
        let mut watched = Watched::new();
        watched.end(1, "timer", LIMIT);
        watched.end(2, "read", LIMIT * 3);
        watched.begin(3, 0, "tick");
        let expected = [
            ("timer", LIMIT, false),
            ("timer", LIMIT, true),
            ("read", LIMIT * 3, false),
            ("read", LIMIT * 3, true),
            ("tick", LIMIT * 9, false),
        ];
        assert_eq!(watched.look(LIMIT * 9), expected);
    }

    #[test]
    fn of_a_loop_that_is_gone_the_second_report_comes() {
        let mut watched = Watched::new();
        watched.begin(1, 0, "timer");
        assert_eq!(watched.look(LIMIT), [("timer", LIMIT, false)]);
        watched.end(1, "timer", LIMIT * 2);
        let over = watched.over;
        let stalls = watched.looks.look(Vec::new(), || LIMIT * 2, |_| None, || over);
        assert!(stalls.into_iter().map(words).eq([("timer", LIMIT * 2, true)]));
    }

    #[test]
    fn what_ends_while_the_watch_looks_is_reported_before_it_is_over() {
        let mut watched = Watched::new();
        watched.begin(1, 0, "timer");
        let seen = Seen { macrotask: begun(1, 0), kind: "timer", place: None };
        let over = vec![Stalled { track: watched.track.clone(), seen, took: LIMIT + 1 }];
        let look = |track: &Track| track.running.look();
        let stalls = watched.looks.look(vec![watched.track.clone()], || LIMIT, look, || over);
        let expected = [("timer", LIMIT, false), ("timer", LIMIT + 1, true)];
        assert!(stalls.into_iter().map(words).eq(expected));
    }

    #[test]
    fn a_watch_that_loses_its_core_while_it_looks_makes_no_callback_longer() {
        let mut watched = Watched::new();
        let (running, readings) = (watched.track.clone(), Cell::new(0));
        // Between the reading and the look much time goes by, and the callback begins.
        let clock = move || {
            readings.set(readings.get() + 1);
            if readings.get() == 1 {
                running.running.begin(begun(1, LIMIT), Origin::unknown("timer"));
            }
            0
        };
        assert_eq!(watched.look_by(clock), []);
        assert_eq!(watched.look(LIMIT * 2 - 1), []);
        assert_eq!(watched.look(LIMIT * 2), [("timer", LIMIT, false)]);
    }
}
