//! What a loop knows of the jobs it waits for: when to wait awake for the next result.
//!
//! A pool that works off brief jobs has the next result within a microsecond or so. A loop that fell
//! asleep for that would cost the pool thread a system call to wake it, and itself two changes of
//! context: several times as much as the job. So a loop that waits for results, and whose last sleep was that
//! short, looks at its mailbox for a moment before it sleeps. When nothing comes it sleeps, and does not
//! look the next time.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;

use crate::clock::{Clock, Nanos};
use crate::threads::mailbox::Mailbox;

/// The longest that a loop looks, and the longest sleep that looking might have saved.
const LOOK: Nanos = 10_000;

/// The jobs of one loop that are with a pool.
#[derive(Default)]
pub(crate) struct Jobs {
    in_flight: Cell<usize>,
    /// Whether the last wait was short.
    looking_pays: Cell<bool>,
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
        self.looking_pays.set(time < LOOK);
    }

    /// Waits for a moment if a result is likely to come. Whether something has come.
    #[inline]
    pub(crate) fn result_comes(&self, clock: &Clock, mailbox: &Mailbox) -> bool {
        self.in_flight.get() > 0 && self.looking_pays.get() && self.look(clock, mailbox)
    }

    fn look(&self, clock: &Clock, mailbox: &Mailbox) -> bool {
        if !several_cores() {
            return false;
        }
        let end = clock.read() + LOOK;
        while !mailbox.is_filled() {
            if clock.read() > end {
                self.looking_pays.set(false);
                return false;
            }
            (0..8).for_each(|_| std::hint::spin_loop());
        }
        true
    }
}

/// Whether another thread can run while this one spins.
pub(super) fn several_cores() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}
