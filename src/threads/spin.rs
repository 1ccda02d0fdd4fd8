//! A short spin before the loop sleeps, where that pays; and a shorter one before it looks into a mailbox that is
//! being filled.
//!
//! To wake a sleeping thread on another core takes two system calls and the time in which the core comes
//! back from its sleep, together some tens of microseconds on a virtual machine. A loop that looks at its
//! mailbox a little longer sees the same message after about a tenth of a microsecond. The price
//! is a core that does nothing else meanwhile, so three things must hold: the program allows it
//! ([`Builder::spin`](crate::Builder::spin)), no more loops are turning than there are cores, and spinning has lately
//! been worth it.
//!
//! The last is kept as credit. A spin that sees something come earns one, one that ends in sleep costs
//! two, and without credit the loop sleeps at once. A loop that nobody writes to runs out after a
//! few sleeps and from then on spins at one of 64, to find out whether its times have changed.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{Nanos, saturating_nanos};

/// Loops of the process that are being turned.
static TURNING: AtomicUsize = AtomicUsize::new(0);

/// Counts a loop as turning until it is dropped.
pub(crate) struct Counted(());

impl Counted {
    pub(crate) fn new() -> Counted {
        TURNING.fetch_add(1, Ordering::Relaxed);
        Counted(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        TURNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Cores that the process may use.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

const CREDIT_MAX: u32 = 16;

/// Sleeps without credit from one trial to the next.
const SLEEPS_PER_TRIAL: u32 = 64;

/// Looks between two readings of the clock.
const LOOKS: u32 = 32;

/// Whether and how long a loop spins.
pub(crate) struct Spin {
    /// The longest spin. Zero for never.
    limit: Nanos,
    credit: Cell<u32>,
    /// Sleeps since the credit ran out or the last trial.
    sleeps: Cell<u32>,
}

impl Spin {
    pub(crate) fn new(limit: Duration) -> Spin {
        Spin {
            limit: saturating_nanos(limit),
            credit: Cell::new(CREDIT_MAX / 2),
            sleeps: Cell::new(0),
        }
    }

    /// For the loops of workers.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit)
    }

    /// How long the next wait may spin: zero for not at all.
    #[inline]
    pub(crate) fn allowance(&self) -> Nanos {
        if self.limit == 0 { 0 } else { self.allowance_by_credit() }
    }

    fn allowance_by_credit(&self) -> Nanos {
        if self.credit.get() == 0 {
            self.sleeps.set(self.sleeps.get() + 1);
            if self.sleeps.get() < SLEEPS_PER_TRIAL {
                return 0;
            }
            self.sleeps.set(0);
        }
        // Whom it waits for needs a core too.
        if TURNING.load(Ordering::Relaxed) > cores() || cores() == 1 { 0 } else { self.limit }
    }

    /// Looks until `seen` sees something or the time of `clock` is `end`. Whether it did.
    pub(crate) fn look(
        &self,
        end: Nanos,
        clock: impl Fn() -> Nanos,
        seen: impl Fn() -> bool,
        mut seldom: impl FnMut() -> bool,
    ) -> bool {
        let worth_it = loop {
            if (0..LOOKS).any(|_| {
                std::hint::spin_loop();
                seen()
            }) || seldom()
            {
                break true;
            }
            if clock() >= end {
                break false;
            }
        };
        let credit = self.credit.get();
        let after = if worth_it { credit + 1 } else { credit.saturating_sub(2) };
        self.credit.set(after.min(CREDIT_MAX));
        worth_it
    }
}

/// How long a loop leaves its mailbox to its senders: about half a microsecond.
const PAUSES: u32 = 32;

/// Waits for a moment in which senders on other cores go on undisturbed.
///
/// A loop that is faster than a sender finds one or two letters at each look, and each look takes the mailbox's
/// cache lines away from the sender, which then waits for them longer than for all else that it does. After a
/// moment there are some thirty letters, and the lines have moved once for all of them: 5 M posts are
/// delivered in 18 ns each instead of 40 (with pauses of 8, 32 and 128: 24, 18 and 15).
#[cold]
pub(crate) fn pause() {
    if cores() > 1 {
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(spin: &Spin, something_comes: bool) -> bool {
        let allowed = spin.allowance();
        if allowed > 0 {
            let time = Cell::new(0);
            let clock = || time.replace(time.get() + 1);
            spin.look(allowed, clock, || something_comes, || false);
        }
        allowed > 0
    }

    #[test]
    fn a_loop_that_nobody_writes_to_stops_spinning_and_seldom_tries_again() {
        if cores() == 1 {
            return assert_eq!(Spin::new(Duration::from_micros(1)).allowance(), 0);
        }
        let spin = Spin::new(Duration::from_micros(1));
        let spins = (0..1000).filter(|_| wait(&spin, false)).count();
        // The tests that run beside this one turn loops, and there may be more of these than cores.
        assert!(spins <= CREDIT_MAX as usize / 4 + 1000 / SLEEPS_PER_TRIAL as usize + 1);
        spin.credit.set(1);
        (0..100).filter(|_| wait(&spin, true)).for_each(drop);
        assert!(spin.credit.get() > 0, "what pays goes on");
    }

    #[test]
    fn a_loop_that_may_not_spin_never_does() {
        let spin = Spin::new(Duration::ZERO);
        assert!((0..1000).all(|_| !wait(&spin, true)));
    }
}
