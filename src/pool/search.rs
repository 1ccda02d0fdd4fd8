//! Who looks at a pool's queues: one thread at most, which has *claimed* the search.
//!
//! *Why no job is stranded.* A submitter pushes its job and then looks whether the search is claimed; a thread
//! gives its claim up and then looks at the queues. Between the two steps both have a sequentially
//! consistent fence, so one of them sees the other.
//!
//! On some processors, x86 among them, an operation that changes a value is a fence too, so no test that runs
//! there sees a fence that is missing. `tests/loom` compiles this file with its own atomics, which see it.

use super::outside::{AtomicBool, Ordering, fence};

/// Whether a thread searches, or was woken to.
#[derive(Default)]
pub(super) struct Search {
    /// Set while a thread has the search, or is on its way to it.
    claimed: AtomicBool,
}

impl Search {
    /// A job was pushed. True if no thread searches: the caller now has the search, for a thread that it wakes.
    #[inline]
    pub(super) fn is_needed(&self) -> bool {
        fence(Ordering::SeqCst);
        !self.claimed.load(Ordering::Relaxed) && self.claim()
    }

    /// Claims the search. False when somebody has it.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::SeqCst)
    }

    /// Gives the search up. A job that was pushed meanwhile is for the caller to see, who looks at the queues next.
    pub(super) fn give_up(&self) {
        self.claimed.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}
