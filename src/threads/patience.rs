//! How a thread waits for other threads: it looks for a short while, then it sleeps.
//!
//! To wake a thread that sleeps takes two system calls and the time in which its core comes back,
//! some tens of microseconds on a virtual machine. A thread that still looks sees the same news
//! after a tenth of one. The price is a core that does nothing else meanwhile. Loops and pool
//! threads follow one rule, *patience*:
//!
//! > A thread looks before it sleeps if its last sleep was at most three times as long as the
//! > longest look, and a core is free.
//!
//! *The last sleep* is a guess: the next wait will be as long as the last one. A thread that
//! guessed wrong pays one look, sleeps, and looks no more until a sleep was short again. *A core is
//! free* while no more threads of loops and pools are awake than there are cores: a thread that
//! looks must not keep the sender from its core. *The longest look* is what [`Builder::spin`]
//! allows, and at least [`FOR_JOBS`] for a loop that waits for jobs and for a thread that waits to
//! get one.
//!
//! [`Builder::spin`]: crate::Builder::spin

use std::cell::Cell;
use std::hint;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{self, Nanos, saturating_nanos};

/// The longest look of a thread that waits for jobs, or for their results: what a wake costs. So a
/// look that was in vain at most doubles the cost of the sleep that follows.
const FOR_JOBS: Nanos = 50_000;

/// A sleep up to this many times the longest look is short. A sleep includes the time of the wake,
/// which is about as long as the longest look, and one wait differs from the next.
const SHORT_SLEEP: Nanos = 3;

/// Looks between two readings of the clock, which are some four microseconds apart: the clock, and
/// what is asked seldom, are a small part of the cost.
const LOOKS: u32 = 64;

/// Pauses between two looks. A look takes the memory that it reads away from the core that writes
/// it.
const PAUSES: u32 = 4;

/// Pauses in [`leave_to_senders`]: about two microseconds, in which some hundred messages come.
const PAUSES_FOR_SENDERS: u32 = 128;

/// Threads of loops and pools that do not sleep.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// Cores that the process may use: as many as the thread could that made the first loop. Counted
/// then, for a thread may be bound to one core later.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Whether a thread may look without taking a core from one that has work.
fn has_core() -> bool {
    cores() > 1 && AWAKE.load(Ordering::Relaxed) <= cores()
}

fn pause(count: u32) {
    (0..count).for_each(|_| hint::spin_loop());
}

/// Leaves a mailbox that is being filled to its senders for a moment, if they have cores of their
/// own.
///
/// A loop that is faster than a sender finds one or two messages at each look, and each look takes
/// the mailbox's cache lines away from the sender. After a moment there are a hundred, and the
/// lines have moved once.
pub(crate) fn leave_to_senders() {
    if has_core() {
        pause(PAUSES_FOR_SENDERS);
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

/// Counts the thread of a loop as awake until it is dropped.
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

/// Whether, and for how long, a thread looks before it sleeps.
pub(crate) struct Patience {
    /// The longest look that the program allows for any news. Zero for none.
    spin: Nanos,
    /// Jobs that the thread waits for: those of a loop that are with a pool. For a pool thread,
    /// which always waits for one, 1.
    jobs: Cell<usize>,
    /// How long the last sleep lasted; zero before the first.
    last_sleep: Cell<Nanos>,
}

impl Patience {
    /// For a loop, which looks for `spin` at most.
    pub(crate) fn of_loop(spin: Duration) -> Patience {
        cores(); // Counted with the first loop.
        Patience { spin: saturating_nanos(spin), jobs: Cell::new(0), last_sleep: Cell::new(0) }
    }

    /// For a pool thread.
    pub(crate) fn of_pool_thread() -> Patience {
        Patience { spin: 0, jobs: Cell::new(1), last_sleep: Cell::new(0) }
    }

    /// What the program allows, for the loops of workers.
    pub(crate) fn spin(&self) -> Duration {
        Duration::from_nanos(self.spin)
    }

    /// A pool has one more job of the loop.
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

    /// The longest look before the next sleep. Zero where a look is not likely to pay.
    #[inline]
    pub(crate) fn longest_look(&self) -> Nanos {
        let limit = if self.jobs.get() > 0 { self.spin.max(FOR_JOBS) } else { self.spin };
        let pays =
            limit > 0 && self.last_sleep.get() <= limit.saturating_mul(SHORT_SLEEP) && has_core();
        if pays { limit } else { 0 }
    }

    /// The thread has slept for this time.
    pub(crate) fn slept(&self, time: Nanos) {
        self.last_sleep.set(time);
    }
}

/// Looks until `found` is true, at most for `limit`, or until `seldom` is, which is asked less
/// often. Ends early when no core is free any more.
pub(crate) fn look(
    limit: Nanos,
    mut found: impl FnMut() -> bool,
    mut seldom: impl FnMut() -> bool,
) -> bool {
    if limit == 0 {
        return false;
    }
    let began = clock::monotonic();
    loop {
        for _ in 0..LOOKS {
            if found() {
                return true;
            }
            pause(PAUSES);
        }
        if seldom() {
            return true;
        }
        if clock::monotonic() - began > limit || !has_core() {
            return false;
        }
    }
}
