//! Who looks at a pool's queues: the count by which a submitter decides whether to call a thread.
//!
//! *Why nothing is stranded.* The submitter pushes, then reads the count. A thread that falls asleep takes
//! itself off the count, then reads the queues. Both have a sequentially consistent fence between: one sees
//! the other. The same holds for the last watcher that takes a job.
//!
//! On some processors, x86 among them, an operation that changes a count is a fence too, so no test that runs
//! there sees a fence that is missing. `tests/loom` compiles this file with its own atomics, which see it.

use super::outside::{AtomicBool, AtomicUsize, Ordering, fence};

/// Who looks at the queues.
#[derive(Default)]
pub(super) struct Attention {
    /// Threads that will look by themselves soon.
    watchers: AtomicUsize,
    /// Threads that spin.
    pub(super) spinners: AtomicUsize,
    /// Whether a thread keeps watch. It is not counted in the two numbers beside.
    pub(super) keeping_watch: AtomicBool,
    /// Threads that are neither parked nor keep watch.
    pub(super) awake: AtomicUsize,
}

impl Attention {
    /// Whether somebody will look at what has just been pushed.
    #[inline]
    pub(super) fn has_watcher(&self) -> bool {
        fence(Ordering::SeqCst);
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// One more watcher.
    pub(super) fn begin_watch(&self) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
    }

    /// The first watcher, which is to be called. False if there is one.
    pub(super) fn begin_first_watch(&self) -> bool {
        self.watchers.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// One watcher less. True if it was the last: what has been pushed meanwhile is for it to see.
    pub(super) fn end_watch(&self) -> bool {
        let was_last = self.watchers.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last {
            fence(Ordering::SeqCst);
        }
        was_last
    }

    /// A watcher goes to sleep, but for one look at the queues that follows.
    pub(super) fn fall_asleep(&self) {
        self.watchers.fetch_sub(1, Ordering::SeqCst);
        self.awake.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// A thread wakes up by itself, as a watcher.
    pub(super) fn get_up(&self) {
        self.awake.fetch_add(1, Ordering::SeqCst);
        self.watchers.fetch_add(1, Ordering::SeqCst);
    }
}
