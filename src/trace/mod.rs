//! What a loop tells those who watch it: the one seam on which all observers stand.
//!
//! The doors through which user code is called, the poll phase, the pool's threads and the
//! hand-over between threads say here what happens. Recorders, stall watches, accounts of
//! iterations and the log listen, and nothing else in the crate knows them.
//!
//! ```text
//!   loop's thread                          any thread
//!   callback, drain, poll ── Teller ──┬─▶ Running   what runs now   ─▶ stall watch
//!   pool thread ── job ───────────────┤   (atomics)
//!                                     ├─▶ Ring      what has run    ─▶ recorder
//!                                     │   (atomics, the newest events)
//!                                     └─▶ Account   of an iteration ─▶ on_iteration, on the loop
//! ```
//!
//! - [`origin`]: kind, place and cause of a callback. [`label`]: a place in a script, in place of a
//!   line of the program. [`cause`]: the ids, and what runs on this thread. [`asked`]: what is
//!   asked for many times and happens once.
//! - [`track`]: a loop or a pool thread as observers see it. [`roll`]: all tracks of the process,
//!   and who observes them.
//! - [`running`]: what runs now on a track, and `seen`, what else a view asks for. [`ring`]: the
//!   newest events of a track.
//! - [`detail`]: all else that is said, for recorders that ask for it.
//! - [`teller`]: the loop's side. [`account`]: where the time of an iteration went. [`delays`]: how
//!   long iterations keep the loop busy, which is counted whether somebody observes or not.
//!
//! While nobody observes, a callback pays one branch: the bit stands in the word of the mailbox
//! that is read for each callback anyway. What is queued then records no cause; what is queued
//! while somebody observes does. To tell of an event locks nothing, calls no system but for the
//! time, and allocates nothing on the thread that is observed, but when a stall is over. A closure
//! of more than one word is boxed when it is queued, for its place and cause go with it, and the
//! list of who armed which timer grows with the timers.
//!
//! This room lies below the loop: it knows neither `State` nor a handle.

pub(crate) mod account;
pub(crate) mod asked;
pub(crate) mod cause;
pub(crate) mod delays;
pub(crate) mod detail;
pub(crate) mod label;
pub(crate) mod origin;
pub(crate) mod ring;
pub(crate) mod roll;
pub(crate) mod running;
#[cfg(feature = "inspect")]
pub(crate) mod seen;
pub(crate) mod teller;
pub(crate) mod track;

/// Where in a turn. `Main` is the main script and whatever runs outside of a turn.
///
/// # Examples
/// ```
/// use windlass::observe::Phase;
///
/// windlass::run(|| {
///     windlass::Loop::current().on_iteration(|iteration| {
///         println!("{:?} in the check phase", iteration.phase(Phase::Check));
///     });
///     windlass::set_immediate(|| ());
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// The main script, the hooks of the program's end, and what runs between turns.
    #[default]
    Main,
    /// Timers that are due.
    Timers,
    /// Completions that were deferred.
    Pending,
    /// Idle watchers.
    Idle,
    /// Prepare watchers.
    Prepare,
    /// Sockets, completed requests, messages, posts and signals.
    Poll,
    /// Check watchers and immediates.
    Check,
    /// The last callbacks of closed handles.
    Close,
}

impl Phase {
    /// All phases, in the order of their numbers.
    pub(crate) const ALL: [Phase; 8] = [
        Phase::Main,
        Phase::Timers,
        Phase::Pending,
        Phase::Idle,
        Phase::Prepare,
        Phase::Poll,
        Phase::Check,
        Phase::Close,
    ];

    /// The phase with this number.
    pub(crate) fn of(number: u8) -> Phase {
        Phase::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// What ended the wait of an iteration.
///
/// # Examples
/// ```
/// use windlass::observe::Wake;
///
/// windlass::run(|| {
///     windlass::Loop::current().on_iteration(|iteration| {
///         // With an immediate there is no wait.
///         assert_eq!(iteration.woken_by, Wake::None);
///     });
///     windlass::set_immediate(|| ());
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Wake {
    /// It did not wait.
    #[default]
    None,
    /// A descriptor was ready, or a signal came.
    Source,
    /// The mailbox: a message, a post, a notifier, a completion, or the wake of a task.
    Message,
    /// A timer was due.
    Timer,
    /// The loop was told to stop or to end.
    Stop,
}

impl Wake {
    /// What the number stands for.
    pub(crate) fn of(number: u8) -> Wake {
        [Wake::None, Wake::Source, Wake::Message, Wake::Timer, Wake::Stop]
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }
}
