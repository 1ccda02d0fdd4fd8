//! Ids of callbacks, and which of them runs on this thread.
//!
//! Whatever schedules something asks [`running`] for the cause: the callback or the job that runs
//! on this thread, also when that is another loop's. It is zero while nobody observes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The id of the callback or job that runs on this thread. Needs no destructor.
    static RUNNING: Cell<u64> = const { Cell::new(0) };
    /// The first id and the end of those that this thread has for itself.
    static OWN: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// How many ids a thread takes at a time.
const BLOCK: u64 = 1 << 12;

/// The id that was given last in the process.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The callback or job that runs on this thread, or zero.
#[inline]
pub(crate) fn running() -> u64 {
    RUNNING.get()
}

/// A new id, unique in the process.
#[inline]
pub(crate) fn next_id() -> u64 {
    let (next, end) = OWN.get();
    if next == end {
        return first_of_block();
    }
    OWN.set((next + 1, end));
    next
}

#[cold]
fn first_of_block() -> u64 {
    let first = TAKEN.fetch_add(BLOCK, Ordering::Relaxed) + 1;
    OWN.set((first + 1, first + BLOCK));
    first
}

/// From here on this callback runs on the thread. Returns the one that ran before.
#[inline]
pub(crate) fn set_running(id: u64) -> u64 {
    RUNNING.replace(id)
}

/// What `f` schedules has this cause. For a completion that wakes a task: no callback runs, but the
/// job that is done is the cause.
#[inline]
pub(crate) fn on_behalf_of<R>(id: u64, f: impl FnOnce() -> R) -> R {
    let _before = Before(set_running(id));
    f()
}

/// Puts back what ran before, also when a panic passes by.
struct Before(u64);

impl Drop for Before {
    fn drop(&mut self) {
        set_running(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    #[test]
    fn ids_are_unique_in_the_process() {
        let many = || (0..BLOCK * 3).map(|_| next_id()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(many)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert!(!all.contains(&0));
    }

    #[test]
    fn what_ran_before_runs_again_after_a_panic() {
        set_running(3);
        let caught = std::panic::catch_unwind(|| on_behalf_of(4, || panic!("on purpose")));
        assert!(caught.is_err());
        assert_eq!(set_running(0), 3);
    }
}
