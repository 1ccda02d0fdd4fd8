//! How a job finds a thread of the pool: whoever pushes wakes one, or whoever gives the search up sees the job.
//!
//! The source under test is `search.rs` of the pool. The queue is a number of jobs, whose operations order
//! nothing but themselves, as those of the pool's queues need not do more.

#[path = "../../../src/pool/search.rs"]
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
mod search;

/// What the source needs from outside, as the model checker has it.
mod outside {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use search::Search;

#[derive(Default)]
struct Pool {
    jobs: AtomicUsize,
    search: Search,
}

impl Pool {
    /// A pool with one thread, which searches and is about to give that up.
    fn with_a_searcher() -> Arc<Pool> {
        let pool = Pool::default();
        assert!(pool.search.claim());
        Arc::new(pool)
    }

    /// Pushes a job. True if a thread has to be woken for it.
    fn submit(&self) -> bool {
        self.jobs.fetch_add(1, Ordering::Release);
        self.search.is_needed()
    }

    fn has_work(&self) -> bool {
        self.jobs.load(Ordering::Acquire) > 0
    }
}

#[test]
fn a_job_that_comes_while_the_searcher_gives_up_is_seen_or_wakes_a_thread() {
    loom::model(|| {
        let pool = Pool::with_a_searcher();
        let submitting = pool.clone();
        let submitter = thread::spawn(move || submitting.submit());
        pool.search.give_up();
        let seen = pool.has_work();
        assert!(submitter.join().unwrap() || seen);
    });
}

#[test]
fn of_two_submitters_that_find_no_searcher_one_wakes_a_thread() {
    loom::model(|| {
        let pool = Arc::new(Pool::default());
        let other = pool.clone();
        let submitter = thread::spawn(move || other.submit());
        let woke = pool.submit();
        assert_ne!(woke, submitter.join().unwrap());
    });
}
