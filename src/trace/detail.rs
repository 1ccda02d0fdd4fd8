//! The details: all that is said at the seam, for recorders that ask for it.
//!
//! A callback and a wait are told to whoever observes. A detail is told to a detailed recorder
//! alone: one change of what waits on a loop, in a pool or in a port. From the details of a track a
//! reader rebuilds what its loop holds at each moment; `observe::Detail` says what each of them
//! means. Each kind is said at one door:
//!
//! | what | said by | at |
//! |---|---|---|
//! | turn, iteration, the end, all that there is | the loop | `event_loop/told.rs` |
//! | phase, and what leaves a queue | the loop | `state/told.rs`, called by the phases |
//! | poll | the loop | `phase/poll/observed.rs` |
//! | callback, drain | the loop | `teller.rs` |
//! | tick, microtask, immediate, deferred | the loop | where they are pushed |
//! | timer | the loop | `phase/timers/told.rs` |
//! | handle, request | the loop | `state/registration.rs` |
//! | what was fetched from the mailbox | the loop | `phase/poll/deliver.rs` |
//! | job submitted, refused, withdrawn | the loop | `pool/request.rs` |
//! | job started, ended | the pool thread | `pool/observe.rs` |
//! | message posted, delivered, dropped | who posts, who receives | `channel/queue.rs` |
//! | worker | its parent, and itself when it is online | `worker/` |
//!
//! While nobody wants details each of these doors pays one look at a count of the process, which no
//! thread writes.

use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ring::Happened;

/// How many recorders want details.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// Whether somebody records details.
#[inline]
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed) > 0
}

/// Somebody records details, until it is dropped.
pub(crate) struct Want(());

impl Want {
    pub(crate) fn begin() -> Want {
        WANTED.fetch_add(1, Ordering::SeqCst);
        Want(())
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        WANTED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A detail that is to be told. Which of the fields mean something depends on what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail {
    /// What happened.
    pub(crate) happened: Happened,
    /// What it happened to.
    pub(crate) number: u64,
    /// How much, how many, or when.
    pub(crate) amount: u64,
    /// A number below 16.
    pub(crate) small: u8,
    /// A number that stands where the iteration does otherwise.
    pub(crate) extra: Option<u32>,
    /// What it is.
    pub(crate) kind: &'static str,
    /// The line that did it, or registered it.
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Detail {
    /// This has happened, to what has this number.
    pub(crate) const fn new(happened: Happened, number: u64) -> Detail {
        Detail { happened, number, amount: 0, small: 0, extra: None, kind: "", place: None }
    }

    /// With an amount.
    pub(crate) const fn amount(self, amount: u64) -> Detail {
        Detail { amount, ..self }
    }

    /// With a small number.
    pub(crate) const fn small(self, small: u8) -> Detail {
        Detail { small, ..self }
    }

    /// Of something of this kind, registered at this line.
    pub(crate) const fn of(
        self,
        kind: &'static str,
        place: Option<&'static Location<'static>>,
    ) -> Detail {
        Detail { kind, place, ..self }
    }
}

/// Two counts in one number.
pub(crate) fn pair(high: usize, low: usize) -> u64 {
    let short = |count: usize| u64::from(u32::try_from(count).unwrap_or(u32::MAX));
    short(high) << 32 | short(low)
}

/// What a timer, an immediate and a handle are called in details: no two things of a track have the
/// same number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// A timer, by its generation.
    Timer(u32),
    /// An immediate, by its number.
    Immediate(u64),
    /// A handle or a request, by the bits of its key.
    Handle(u64),
}

impl Named {
    /// The number. Two bits say which of the three it is.
    ///
    /// It stays below 2^53, for readers to whom all numbers are floats. So of a key it has all of
    /// the place, up to 2^27 of them, and the lowest bits of the generation: two things that are
    /// there at once differ in the place.
    pub(crate) fn number(self) -> u64 {
        const KIND: u32 = 51;
        const REST: u64 = (1 << KIND) - 1;
        const PLACE: u32 = 27;
        match self {
            Named::Handle(bits) => {
                let (generation, place) = (bits >> 32, bits & ((1 << PLACE) - 1));
                generation << PLACE & REST | place
            }
            Named::Timer(generation) => u64::from(generation) | 1 << KIND,
            Named::Immediate(number) => number & REST | 2 << KIND,
        }
    }
}

/// A queue of a loop.
///
/// # Examples
/// ```
/// use windlass::observe::{Detail, Queue, Recorder, What};
///
/// let recorder = Recorder::detailed(1000);
/// windlass::run(|| {
///     windlass::next_tick(|| ());
/// });
/// let recording = recorder.stop();
/// let is_tick = |what: &What| {
///     matches!(what, What::Detail(Detail::Queued { queue: Queue::Ticks, .. }))
/// };
/// assert_eq!(recording.events().iter().filter(|event| is_tick(&event.what)).count(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Queue {
    /// Ticks.
    Ticks,
    /// Microtasks and polls of tasks.
    Microtasks,
    /// Timers that are armed.
    Timers,
    /// Immediates.
    Immediates,
    /// Completions that were deferred, for the pending phase.
    Pending,
    /// The last callbacks of closed handles.
    Closing,
    /// What comes last in the poll phase: signals.
    PollLast,
    /// Handles that are ready: by their descriptor, or because they have asked to be called again.
    Ready,
    /// Requests whose work another thread has done.
    Completions,
    /// Ports, workers and notifiers that have something.
    Receivers,
    /// Closures that a `Remote` has sent.
    Posts,
    /// Idle, prepare and check watchers, which are called in each iteration.
    Watchers,
}

impl Queue {
    /// All queues, in the order of their numbers.
    pub(crate) const ALL: [Queue; 12] = [
        Queue::Ticks,
        Queue::Microtasks,
        Queue::Timers,
        Queue::Immediates,
        Queue::Pending,
        Queue::Closing,
        Queue::PollLast,
        Queue::Ready,
        Queue::Completions,
        Queue::Receivers,
        Queue::Posts,
        Queue::Watchers,
    ];
}

/// Why a poll may not sleep: of several reasons the first.
///
/// # Examples
/// ```
/// use windlass::observe::{Detail, NoSleep, Recorder, What};
///
/// let recorder = Recorder::detailed(1000);
/// windlass::run(|| {
///     windlass::set_immediate(|| ());
/// });
/// let recording = recorder.stop();
/// let why = recording.events().iter().find_map(|event| match event.what {
///     What::Detail(Detail::Poll { no_sleep, .. }) => no_sleep,
///     _ => None,
/// });
/// assert_eq!(why, Some(NoSleep::Immediate));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum NoSleep {
    /// The loop was told to stop or to end.
    Stopping,
    /// Ticks or microtasks wait.
    Queued,
    /// An idle watcher is active.
    Idle,
    /// An immediate waits that is not unref'd.
    Immediate,
    /// A handle has asked to be called again: the system has not said yet that nothing is left.
    Ready,
    /// A completion was deferred.
    Pending,
    /// The last callback of a closed handle waits.
    Closing,
    /// A signal waits, or a worker's main script.
    PollLast,
    /// Something from other threads is left of the last poll.
    Undelivered,
    /// Tasks that wait by functions that poll were asked whether they still do.
    Asked,
    /// The mode of the turn: `RunMode::NoWait`.
    Mode,
    /// Nothing is alive.
    NothingAlive,
    /// A timer is due.
    TimerDue,
}

impl NoSleep {
    /// All reasons, in the order of their numbers.
    pub(crate) const ALL: [NoSleep; 13] = [
        NoSleep::Stopping,
        NoSleep::Queued,
        NoSleep::Idle,
        NoSleep::Immediate,
        NoSleep::Ready,
        NoSleep::Pending,
        NoSleep::Closing,
        NoSleep::PollLast,
        NoSleep::Undelivered,
        NoSleep::Asked,
        NoSleep::Mode,
        NoSleep::NothingAlive,
        NoSleep::TimerDue,
    ];
}

/// Why a job has not run, and never will.
///
/// # Examples
/// ```
/// use windlass::observe::{Detail, NotRun, Recorder, What};
///
/// let recorder = Recorder::detailed(1000);
/// windlass::run(|| {
///     let full = windlass::Pool::builder().threads(1).queue_limit(0).build().unwrap();
///     assert!(windlass::work(|_| ()).pool(&full).try_submit().is_err());
/// });
/// let recording = recorder.stop();
/// let why = recording.events().iter().find_map(|event| match event.what {
///     What::Detail(Detail::Refused { why, .. }) => Some(why),
///     _ => None,
/// });
/// assert_eq!(why, Some(NotRun::QueueFull));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum NotRun {
    /// It was cancelled: by its request, its token, or because the pool was shut down.
    Cancelled,
    /// It had not begun at its deadline.
    DeadlineExceeded,
    /// The queue was full.
    QueueFull,
    /// The pool, or the loop, takes no more jobs.
    ShutDown,
    /// The system has no thread left.
    NoThread,
}

impl NotRun {
    /// All reasons, in the order of their numbers.
    pub(crate) const ALL: [NotRun; 5] = [
        NotRun::Cancelled,
        NotRun::DeadlineExceeded,
        NotRun::QueueFull,
        NotRun::ShutDown,
        NotRun::NoThread,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_stands_at_its_number() {
        assert!(Queue::ALL.iter().enumerate().all(|(number, queue)| *queue as usize == number));
        assert!(NoSleep::ALL.iter().enumerate().all(|(number, why)| *why as usize == number));
        assert!(NotRun::ALL.iter().enumerate().all(|(number, why)| *why as usize == number));
    }

    #[test]
    fn things_of_one_track_have_different_numbers() {
        let all = [Named::Timer(7), Named::Immediate(7), Named::Handle(7)].map(Named::number);
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        let place = |place: u64| Named::Handle(9 << 32 | place).number();
        assert!(place(0) != place(1) && place(1) != place((1 << 27) - 1));
        assert_ne!(Named::Handle(1 << 32 | 5).number(), Named::Handle(2 << 32 | 5).number());
    }

    #[test]
    fn a_number_fits_in_a_float() {
        let largest = [Named::Timer(u32::MAX), Named::Immediate(u64::MAX), Named::Handle(u64::MAX)];
        assert!(largest.iter().all(|named| named.number() < 1 << 53));
    }
}
