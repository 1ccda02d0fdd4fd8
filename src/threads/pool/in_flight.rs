//! What a loop knows of the jobs it waits for: when to wait awake for the next result.
//!
//! A pool that works off brief jobs has the next result within a microsecond or so. A loop that fell
//! asleep for that would cost the pool thread a system call to wake it, and itself two changes of
//! context: several times as much as the job. So a loop that waits for results, and whose last sleeps were
//! that short, looks at its mailbox for a moment before it sleeps. Looking pays only while the pool thread
//! has a core of its own. Each look in vain doubles the number of short sleeps that it takes before
//! the loop looks again.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;

use crate::clock::{Clock, Nanos};
use crate::threads::mailbox::Mailbox;

/// The longest that a loop looks.
const LOOK: Nanos = 10_000;
/// The longest sleep that looking might have saved. Most of it is then the way into sleep and back.
const SHORT: Nanos = 50_000;

/// The most short sleeps in a row that are wanted before the loop looks again.
const SLEEPS_MAX: u32 = 255;

/// The jobs of one loop that are with a pool.
#[derive(Default)]
pub(crate) struct Jobs {
    in_flight: Cell<usize>,
    /// Short sleeps in a row, so far.
    short_sleeps: Cell<u32>,
    /// So many of these must have been, and one more.
    wanted: Cell<u32>,
}

impl Jobs {
    pub(super) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(super) fn end(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }

    /// The loop has slept for so long.
    #[inline]
    pub(crate) fn has_slept(&self, time: Nanos) {
        let short = time < SHORT && self.in_flight.get() > 0;
        self.short_sleeps.set(if short { self.short_sleeps.get().saturating_add(1) } else { 0 });
    }

    /// Waits for a moment if a result is likely to come. Whether something has come.
    #[inline]
    pub(crate) fn result_comes(&self, clock: &Clock, mailbox: &Mailbox) -> bool {
        let pays = self.short_sleeps.get() > self.wanted.get();
        self.in_flight.get() > 0 && pays && self.look(clock, mailbox)
    }

    fn look(&self, clock: &Clock, mailbox: &Mailbox) -> bool {
        if !several_cores() {
            return false;
        }
        let end = clock.read() + LOOK;
        while !mailbox.is_filled() {
            if clock.read() > end {
                self.short_sleeps.set(0);
                self.wanted.set((self.wanted.get() * 2 + 1).min(SLEEPS_MAX));
                return false;
            }
            (0..8).for_each(|_| std::hint::spin_loop());
        }
        self.wanted.set(self.wanted.get() / 2);
        true
    }
}

/// Whether another thread can run while this one spins.
pub(super) fn several_cores() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}
