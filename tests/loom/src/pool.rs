//! How a job finds a thread of the pool: whoever pushes calls, or whoever stops looking sees.
//!
//! The source under test is `src/threads/pool/attention.rs`. The queue is a number of jobs, whose operations order
//! nothing but themselves, as those of the pool's queues need not do more.

#[path = "../../../src/threads/pool/attention.rs"]
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
mod attention;

/// What the source needs from outside, as the model checker has it.
mod outside {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use attention::Attention;

#[derive(Default)]
struct Pool {
    jobs: AtomicUsize,
    attention: Attention,
}

impl Pool {
    /// A pool with one thread, which is about to stop looking.
    fn with_one_watcher() -> Arc<Pool> {
        let pool = Pool::default();
        pool.attention.get_up();
        Arc::new(pool)
    }

    /// Pushes a job. True if a thread has to be called for it.
    fn submit(&self) -> bool {
        self.jobs.fetch_add(1, Ordering::Release);
        !self.attention.has_watcher()
    }

    fn has_work(&self) -> bool {
        self.jobs.load(Ordering::Acquire) > 0
    }
}

#[test]
fn a_job_that_comes_while_a_thread_falls_asleep_is_seen_or_calls_it() {
    loom::model(|| {
        let pool = Pool::with_one_watcher();
        let submitting = pool.clone();
        let submitter = thread::spawn(move || submitting.submit());
        pool.attention.fall_asleep();
        let seen = pool.has_work();
        assert!(submitter.join().unwrap() || seen);
    });
}

#[test]
fn a_job_that_comes_while_the_last_watcher_takes_another_is_seen_or_calls_a_thread() {
    loom::model(|| {
        let pool = Pool::with_one_watcher();
        let submitting = pool.clone();
        let submitter = thread::spawn(move || submitting.submit());
        let seen = pool.attention.end_watch() && pool.has_work();
        assert!(submitter.join().unwrap() || seen);
    });
}

#[test]
fn of_two_submitters_that_find_no_watcher_one_calls() {
    loom::model(|| {
        let pool = Arc::new(Pool::default());
        let other = pool.clone();
        let submit = |pool: &Pool| pool.submit() && pool.attention.begin_first_watch();
        let submitter = thread::spawn(move || submit(&other));
        let called = submit(&pool);
        assert_ne!(called, submitter.join().unwrap());
    });
}
