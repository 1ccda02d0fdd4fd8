//! How a thread waits for other threads: it looks for a short while, then it sleeps.
//!
//! To wake a thread that sleeps takes two system calls and the time in which its core comes back, some tens of
//! microseconds on a virtual machine. A thread that still looks sees the same news after a tenth of one.
//! The price is a core that does nothing else meanwhile. Loops and pool threads follow one rule, *patience*:
//!
//! > A thread looks before it sleeps if its last wait was shorter than the longest look, and a core is free.
//!
//! The first half is a guess: the next wait will be as long as the last one. A thread that guessed wrong
//! pays one look, sleeps, and looks no more until a sleep was short again. The second half keeps the core for
//! the thread that brings the news.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{self, Nanos, saturating_nanos};

/// The longest look of a thread that waits for jobs, or for their results.
pub(crate) const FOR_JOBS: Nanos = 50_000;

/// Looks between two readings of the clock.
const LOOKS: u32 = 64;

/// Pauses between two looks. A look takes the memory that it reads away from the core that writes it.
const PAUSES: u32 = 4;

/// Threads of loops and pools that do not sleep.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// Cores that the process may use: as many as the thread that made the first loop could. Asked for then, for
/// a thread may be bound to one core later.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Whether a thread that looks takes a core from nobody who has work.
fn has_core() -> bool {
    cores() > 1 && AWAKE.load(Ordering::Relaxed) <= cores()
}

/// Leaves a mailbox that is being filled to its senders for about two microseconds, if they have cores of their own.
///
/// A loop that is faster than a sender finds one or two messages at each look, and each look takes the mailbox's
/// cache lines away from the sender. After a moment there are a hundred, and the lines have moved once.
pub(crate) fn pause() {
    if has_core() {
        (0..128).for_each(|_| std::hint::spin_loop());
    }
}

/// A pool thread is to run.
pub(crate) fn thread_wakes() {
    AWAKE.fetch_add(1, Ordering::Relaxed);
}

/// A pool thread sleeps.
pub(crate) fn thread_sleeps() {
    AWAKE.fetch_sub(1, Ordering::Relaxed);
}

/// Counts a thread of a loop or a pool as awake until it is dropped.
pub(crate) struct Awake(());

impl Awake {
    pub(crate) fn new() -> Awake {
        AWAKE.fetch_add(1, Ordering::Relaxed);
        Awake(())
    }

    /// Counts the thread as asleep while `f`, its sleep, runs.
    pub(crate) fn asleep<R>(f: impl FnOnce() -> R) -> R {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
        let outcome = f();
        AWAKE.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a thread remembers of its waits.
#[derive(Default)]
pub(crate) struct Patience {
    /// How long the last sleep lasted; zero before the first.
    last: Cell<Nanos>,
}

impl Patience {
    /// Looks until `found` finds something, at most for `limit`, or `seldom` does, which is asked less often.
    /// False at once where that is not likely to pay.
    pub(crate) fn look(
        &self,
        limit: Nanos,
        mut found: impl FnMut() -> bool,
        mut seldom: impl FnMut() -> bool,
    ) -> bool {
        if limit == 0 || self.last.get() > 3 * limit || !has_core() {
            return false;
        }
        let began = clock::monotonic();
        loop {
            for _ in 0..LOOKS {
                if found() {
                    return true;
                }
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
            }
            if seldom() {
                return true;
            }
            if clock::monotonic() - began > limit || !has_core() {
                return false;
            }
        }
    }

    /// The thread has slept for so long.
    pub(crate) fn slept(&self, time: Nanos) {
        self.last.set(time);
    }
}

/// How a loop waits: as long as the program allows, or as its jobs with a pool suggest.
pub(crate) struct Waiting {
    /// The longest look that the program allows. Zero for none.
    limit: Nanos,
    /// Jobs of the loop that are with a pool.
    jobs: Cell<usize>,
    pub(crate) patience: Patience,
}

impl Waiting {
    pub(crate) fn new(limit: Duration) -> Waiting {
        cores();
        Waiting {
            limit: saturating_nanos(limit),
            jobs: Cell::new(0),
            patience: Patience::default(),
        }
    }

    /// For the loops of workers.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit)
    }

    /// A pool has a job of the loop more.
    pub(crate) fn job_begins(&self) {
        self.jobs.set(self.jobs.get() + 1);
    }

    /// A job has come to its end.
    pub(crate) fn job_ends(&self) {
        self.jobs.set(self.jobs.get() - 1);
    }

    /// Jobs of the loop that are with a pool.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.get()
    }

    /// The longest look before the next sleep.
    #[inline]
    pub(crate) fn longest_look(&self) -> Nanos {
        if self.jobs.get() > 0 { self.limit.max(FOR_JOBS) } else { self.limit }
    }
}
