//! A look before the loop sleeps, where that pays; and a shorter one before it empties a mailbox that is being
//! filled.
//!
//! To wake a sleeping thread on another core takes two system calls and the time in which the core comes
//! back from its sleep, together some tens of microseconds on a virtual machine. A loop that looks at its
//! mailbox a little longer sees the same message after about a tenth of a microsecond. The price
//! is a core that does nothing else meanwhile. So three things must hold:
//!
//! - *There is somebody to wait for.* The program said so, and for how long
//!   ([`Builder::spin`](crate::Builder::spin)), or a pool has jobs of this loop: brief ones are done
//!   within a microsecond or so, and then the loop looks for up to [`FOR_JOBS`] unasked. The longer time counts.
//! - *There is a core to spare*: more than one, and loops that turn and pool threads that are awake are no more
//!   than the cores.
//! - *It has lately paid*, which is kept as credit. A look that sees something come earns one, one that ends
//!   in sleep costs two, and without credit the loop sleeps at once. A loop to which nothing comes
//!   runs out after a few sleeps and from then on looks at one of [`SLEEPS_PER_TRIAL`], to find out
//!   whether its times have changed. That is all that looking can cost a loop for which it does not pay: with
//!   jobs in flight, a sixth of a microsecond for each sleep.
//!
//! A loop to which messages have just come waits for half a microsecond before it sleeps, by the same credit,
//! and then looks once: more may follow.
//!
//! A look ends with whatever would end the sleep: a letter, a stop, a source that is ready, the next timer. Its time
//! counts as idle.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{Nanos, saturating_nanos};
use crate::event_loop::State;

/// Loops of the process that are being turned.
static TURNING: AtomicUsize = AtomicUsize::new(0);

/// Threads of all pools that are neither parked nor keep watch.
static WORKING: AtomicUsize = AtomicUsize::new(0);

/// A pool's thread begins to look for jobs.
pub(crate) fn thread_works() {
    WORKING.fetch_add(1, Ordering::Relaxed);
}

/// A pool's thread sleeps.
pub(crate) fn thread_rests() {
    WORKING.fetch_sub(1, Ordering::Relaxed);
}

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

/// Cores that the process may use: as many as the thread that made the first loop could. Asked for then, for
/// a thread may be bound to one core later, and would take that for all there are.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Whether another thread can run while this one spins.
pub(crate) fn several_cores() -> bool {
    cores() > 1
}

/// Whether a thread that spins takes a core from nobody who has work: whom it waits for needs one too.
pub(crate) fn has_core() -> bool {
    let busy = TURNING.load(Ordering::Relaxed) + WORKING.load(Ordering::Relaxed);
    cores() > 1 && busy <= cores()
}

/// How long a loop looks that has jobs with a pool. A brief job is done in a tenth of it.
const FOR_JOBS: Nanos = 10_000;

const CREDIT_MAX: u32 = 16;

/// Sleeps without credit from one trial to the next.
const SLEEPS_PER_TRIAL: u32 = 64;

/// Looks between two readings of the clock.
const LOOKS: u32 = 32;

/// Whether and for how long a loop looks before it sleeps.
pub(crate) struct Spin {
    /// The longest look that the program allows. Zero for none.
    limit: Nanos,
    /// Jobs of the loop that are with a pool.
    jobs: Cell<usize>,
    credit: Cell<u32>,
    /// Sleeps since the credit ran out or the last trial.
    sleeps: Cell<u32>,
}

impl Spin {
    pub(crate) fn new(limit: Duration) -> Spin {
        cores();
        Spin {
            limit: saturating_nanos(limit),
            jobs: Cell::new(0),
            credit: Cell::new(CREDIT_MAX / 2),
            sleeps: Cell::new(0),
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
    pub(crate) fn jobs_in_flight(&self) -> usize {
        self.jobs.get()
    }

    /// Whether there is somebody to wait for.
    #[inline]
    fn is_of_use(&self) -> bool {
        self.limit > 0 || self.jobs.get() > 0
    }

    /// Whether it is likely to pay, or time for a trial.
    fn is_promising(&self) -> bool {
        if self.credit.get() == 0 {
            self.sleeps.set(self.sleeps.get() + 1);
            if self.sleeps.get() < SLEEPS_PER_TRIAL {
                return false;
            }
            self.sleeps.set(0);
        }
        has_core()
    }

    /// How long the next look may take: zero for none.
    fn allowance(&self) -> Nanos {
        if !self.is_promising() {
            return 0;
        }
        if self.jobs.get() > 0 { self.limit.max(FOR_JOBS) } else { self.limit }
    }

    fn learn(&self, paid: bool) {
        let credit = self.credit.get();
        let after = if paid { credit + 1 } else { credit.saturating_sub(2) };
        self.credit.set(after.min(CREDIT_MAX));
    }

    /// Looks until `seen` or `seldom` sees something or the time of `clock` is `end`. Whether one did.
    fn look(
        &self,
        end: Nanos,
        clock: impl Fn() -> Nanos,
        seen: impl Fn() -> bool,
        mut seldom: impl FnMut() -> bool,
    ) -> bool {
        let paid = loop {
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
        self.learn(paid);
        paid
    }
}

/// Looks for news, if that is likely to pay, before a sleep that ends after `timeout`. None when there are any,
/// else what is left of the timeout.
///
/// `sources_ready` asks the poller, which is dear.
#[inline]
pub(crate) fn before_sleep(
    state: &State,
    timeout: Option<Duration>,
    sources_ready: impl FnMut() -> bool,
) -> Option<Option<Duration>> {
    if state.spin.is_of_use() {
        return look(state, timeout, sources_ready);
    }
    if state.delivery.fetched_any() && follows(state) { None } else { Some(timeout) }
}

/// Whether more follows at once on what came from other threads just now: a sender that is in the middle of
/// many messages is not to wake the loop for each few of them.
#[inline(never)]
fn follows(state: &State) -> bool {
    if !state.spin.is_promising() {
        return false;
    }
    pause(PAUSES_BEFORE_SLEEP);
    let paid = state.mailbox.has_news();
    state.spin.learn(paid);
    paid
}

#[inline(never)]
fn look(
    state: &State,
    timeout: Option<Duration>,
    sources_ready: impl FnMut() -> bool,
) -> Option<Option<Duration>> {
    let allowance = state.spin.allowance();
    if allowance == 0 {
        return Some(timeout);
    }
    let began = state.clock.read();
    let limit = timeout.map_or(Nanos::MAX, saturating_nanos);
    let end = began.saturating_add(allowance.min(limit));
    let clock = || state.clock.read();
    let news = state.spin.look(end, clock, || state.mailbox.has_news(), sources_ready);
    let spent = state.clock.read() - began;
    state.mailbox.figures.add_idle(spent);
    let left = timeout.map(|timeout| timeout.saturating_sub(Duration::from_nanos(spent)));
    if news { None } else { Some(left) }
}

/// A sleep that results of jobs do not end one by one.
///
/// Where all cores are at work, a wake for each result has the loop take a core from the thread that brings
/// the next one, twice for each job. So a loop that waits for several short jobs and has no core to spin on sleeps
/// until three quarters of them are done, or a thread has no more to do, or for [`NAP`]: then it looks by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nap {
    pub(crate) limit: Duration,
    /// So many results end it.
    pub(crate) results: usize,
}

/// How much later the loop may hear of a result: not much longer than it takes to wake a thread.
const NAP: Duration = Duration::from_micros(50);

/// The fewest jobs in flight that are worth a nap.
const JOBS_FOR_NAP: usize = 8;

/// Whether the loop naps before it sleeps.
pub(crate) fn nap(state: &State) -> Option<Nap> {
    let jobs = state.spin.jobs.get();
    let naps = jobs >= JOBS_FOR_NAP && state.pool.jobs_are_short() && !has_core();
    naps.then_some(Nap { limit: NAP, results: jobs - jobs / 4 })
}

/// How long a loop that is fed leaves its mailbox to its senders: about two microseconds.
const PAUSES_WHILE_FED: u32 = 128;

/// How long a loop waits for more before it sleeps: about half a microsecond.
const PAUSES_BEFORE_SLEEP: u32 = 32;

/// Waits for a moment in which senders on other cores go on undisturbed.
///
/// A loop that is faster than a sender finds one or two letters at each look, and each look takes the mailbox's
/// cache lines away from the sender, which then waits for them longer than for all else that it does. After a
/// moment there are a hundred letters, and the lines have moved once for all of them: 5 M posts are
/// delivered in 16 ns each instead of 40 (with pauses of 8, 32, 128 and 256: 24, 18, 16 and 15; where the cores are
/// far from each other, 71 with 32 and 56 with 128).
#[cold]
pub(crate) fn leave_to_senders() {
    pause(PAUSES_WHILE_FED);
}

fn pause(count: u32) {
    if cores() > 1 {
        (0..count).for_each(|_| std::hint::spin_loop());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(spin: &Spin, something_comes: bool) -> Nanos {
        let allowed = if spin.is_of_use() { spin.allowance() } else { 0 };
        if allowed > 0 {
            let time = Cell::new(0);
            let clock = || time.replace(time.get() + 1);
            spin.look(allowed, clock, || something_comes, || false);
        }
        allowed
    }

    fn looks(spin: &Spin, waits: usize, something_comes: bool) -> usize {
        (0..waits).filter(|_| wait(spin, something_comes) > 0).count()
    }

    /// A loop that may spin, and one that has a job with a pool.
    fn spins() -> [Spin; 2] {
        let spins = [Spin::new(Duration::from_micros(1)), Spin::new(Duration::ZERO)];
        spins[1].job_begins();
        spins
    }

    #[test]
    fn a_loop_to_which_nothing_comes_stops_looking_and_seldom_tries_again() {
        for spin in spins() {
            // The tests that run beside this one turn loops, and there may be more of these than cores.
            let most = CREDIT_MAX as usize / 4 + 1000 / SLEEPS_PER_TRIAL as usize + 1;
            let looks_in_vain = looks(&spin, 1000, false);
            assert!(looks_in_vain <= if cores() > 1 { most } else { 0 });
            if cores() > 1 {
                spin.credit.set(1);
                looks(&spin, 100, true);
                assert!(spin.credit.get() > 0, "what pays goes on");
            }
        }
    }

    #[test]
    fn a_loop_that_may_not_spin_and_waits_for_no_job_never_looks() {
        let spin = Spin::new(Duration::ZERO);
        assert_eq!(looks(&spin, 1000, true), 0);
        spin.job_begins();
        spin.job_ends();
        assert_eq!(looks(&spin, 1000, true), 0);
    }

    #[test]
    fn a_loop_with_a_job_looks_for_as_long_as_the_job_or_the_program_allows() {
        for (limit, expected) in
            [(0, FOR_JOBS), (FOR_JOBS - 1, FOR_JOBS), (FOR_JOBS * 9, FOR_JOBS * 9)]
        {
            let spin = Spin::new(Duration::from_nanos(limit));
            spin.job_begins();
            let allowed = wait(&spin, true);
            // Zero beside other tests, as above.
            assert!([0, expected].contains(&allowed), "{allowed}");
        }
    }
}
