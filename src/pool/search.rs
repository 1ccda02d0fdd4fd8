//! Which thread of a pool looks at the queues, and how the idle ones are parked.
//!
//! One thread at most has *claimed* the search: it looks at the queues by itself, or was unparked
//! or started to do so. All others run jobs or are parked.
//!
//! *Why no job is stranded.* A job is pushed first; then its submitter looks whether the search is
//! claimed. A searcher gives its claim up first; then it looks at the queues. A sequentially
//! consistent fence stands between the two steps on both sides, so the submitter sees that the
//! claim is gone, or the searcher sees the job. Three races are left, and the lock of [`Parking`]
//! decides them:
//!
//! - *A submitter has claimed, a thread parks.* The thread takes the lock first: then it is counted
//!   as parked, and [`hand_over`](Search::hand_over) leaves it a token. Or it takes the lock
//!   second: then the submitter has found no parked thread and has given its claim up, and the
//!   thread sees the job.
//! - *The token is for any parked thread.* A thread that parks in the meantime may take it; the one
//!   that was notified looks again and stays parked. The claim goes with the token, so there is
//!   never a second one.
//! - *The pool ends.* A parked thread ends when there is no work. While another thread's search
//!   may still be handed to it, it stays; each thread that ends has the parked ones look again.
//!
//! On x86 an operation that changes a value is a fence too, so no test there notices a missing one.
//! `tests/loom` compiles this file with atomics and locks of its own, and tries every order of the
//! steps.

use super::seam::{
    AtomicBool, Condvar, Mutex, MutexGuard, Ordering, PoisonError, fence, thread_sleeps,
    thread_wakes,
};

/// The search, and the threads that are parked until they get it.
pub(super) struct Search {
    /// Set while a thread has the search, or is on its way to it with the token.
    claimed: AtomicBool,
    /// Also held while a thread is started, so that no thread parks unseen meanwhile.
    parking: Mutex<Parking>,
    /// Notified when the token is there, and when the pool or one of its threads ends.
    changed: Condvar,
}

/// The parked threads of a pool.
struct Parking {
    /// How many there are. One that was notified counts until it has the lock again.
    parked: usize,
    /// The search is handed to the parked threads, and none of them has taken it yet.
    token: bool,
}

impl Search {
    pub(super) fn new() -> Search {
        Search {
            claimed: AtomicBool::new(false),
            parking: Mutex::new(Parking { parked: 0, token: false }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parking> {
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job was pushed. True if no thread searches: the caller has now claimed the search, and
    /// hands it over.
    #[inline]
    pub(super) fn is_needed(&self) -> bool {
        fence(Ordering::SeqCst);
        // Loads first: a claim takes the cache line away from the searcher.
        !self.claimed.load(Ordering::Relaxed) && self.claim()
    }

    /// Claims the search. False when somebody has it.
    pub(super) fn claim(&self) -> bool {
        self.claimed.compare_exchange(false, true, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Gives the search up. The caller looks at the queues next, for jobs that were pushed before
    /// this.
    pub(super) fn give_up(&self) {
        self.claimed.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Hands the search, which the caller has claimed, to a parked thread. When none is parked,
    /// `start` starts a thread that has it. When that fails too, all threads run jobs: the search
    /// is given up, and each of them looks at the queues before it parks.
    #[cold]
    pub(super) fn hand_over<E>(&self, start: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut parking = self.lock();
        if parking.parked == 0 {
            return start().inspect_err(|_| self.give_up());
        }
        debug_assert!(!parking.token, "the search is claimed once");
        parking.token = true;
        // Counted from now on: its core is taken, although it does not run yet.
        thread_wakes();
        drop(parking);
        self.changed.notify_one();
        Ok(())
    }

    /// Parks the calling thread. True when it has the search, false when it is to end.
    pub(super) fn park(
        &self,
        searching: bool,
        has_work: impl Fn() -> bool,
        is_ending: impl Fn() -> bool,
    ) -> bool {
        let mut parking = self.lock();
        if searching {
            self.give_up();
        }
        parking.parked += 1;
        thread_sleeps();
        let goes_on = loop {
            if std::mem::take(&mut parking.token) {
                break true;
            }
            let work = has_work();
            // Pushed a moment ago, or while every thread was running a job.
            if work && self.claim() {
                thread_wakes();
                break true;
            }
            if !work && is_ending() {
                break false;
            }
            parking = self.changed.wait(parking).unwrap_or_else(PoisonError::into_inner);
        };
        parking.parked -= 1;
        drop(parking);
        if !goes_on {
            // Those that stayed because of this thread's search need not stay any longer.
            self.changed.notify_all();
        }
        goes_on
    }

    /// Has all parked threads look again, after the pool was told to end.
    pub(super) fn unpark_all(&self) {
        // With the lock, so that no thread is between its look and its wait.
        drop(self.lock());
        self.changed.notify_all();
    }
}
