//! How a job finds a thread of the pool, and how idle threads park and end.
//!
//! The source under test is `search.rs` of the pool. The queue is a number of jobs, whose
//! operations order nothing but themselves, as those of the pool's queues need not do more. A
//! thread does here what it does in `threads.rs`, without its patience. A lost job is a thread that
//! waits for ever, which loom finds.

#[path = "../../../src/pool/search.rs"]
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
mod search;

/// What the source is built on, as the model checker has it.
mod seam {
    pub(super) use std::sync::PoisonError;

    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};

    pub(super) fn thread_wakes() {}

    pub(super) fn thread_sleeps() {}
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};

use search::Search;

struct Pool {
    /// Jobs that wait.
    jobs: AtomicUsize,
    /// The pool is told to end.
    closing: AtomicBool,
    search: Search,
}

impl Pool {
    fn new() -> Arc<Pool> {
        Arc::new(Pool {
            jobs: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            search: Search::new(),
        })
    }

    fn push(&self) {
        self.jobs.fetch_add(1, Ordering::Release);
    }

    fn has_work(&self) -> bool {
        self.jobs.load(Ordering::Acquire) > 0
    }

    fn take(&self) -> bool {
        let one_less = |jobs: usize| jobs.checked_sub(1);
        self.jobs.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok()
    }

    fn is_ending(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    fn submit(&self) {
        self.push();
        self.ensure_search();
    }

    /// All threads of the pool have been started.
    fn ensure_search(&self) {
        if self.search.is_needed() {
            let _all_run = self.search.hand_over(|| Err(()));
        }
    }

    fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.search.unpark_all();
    }

    /// What a thread does until the pool ends, or until a job runs for ever, its last of `jobs`.
    fn work(&self, mut jobs: usize) {
        let mut searching = false;
        loop {
            if self.take() {
                if std::mem::take(&mut searching) {
                    self.search.give_up();
                    if self.has_work() {
                        self.ensure_search();
                    }
                }
                jobs -= 1;
                if jobs == 0 {
                    return;
                }
            } else if !searching && self.search.claim() {
                searching = true;
            } else {
                searching = self.search.park(searching, || self.has_work(), || self.is_ending());
                if !searching {
                    return;
                }
            }
        }
    }
}

fn start(pool: &Arc<Pool>, jobs: usize) -> JoinHandle<()> {
    let pool = pool.clone();
    thread::spawn(move || pool.work(jobs))
}

/// More switches would take hours, and these models need few to go wrong.
fn model(switches: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(check);
}

#[test]
fn a_job_that_comes_while_the_searcher_gives_up_is_seen_or_wakes_a_thread() {
    loom::model(|| {
        let pool = Pool::new();
        assert!(pool.search.claim());
        let submitting = pool.clone();
        let submitter = thread::spawn(move || {
            submitting.push();
            submitting.search.is_needed()
        });
        pool.search.give_up();
        let seen = pool.has_work();
        assert!(submitter.join().unwrap() || seen);
    });
}

#[test]
fn of_two_submitters_that_find_no_searcher_one_wakes_a_thread() {
    loom::model(|| {
        let pool = Pool::new();
        let other = pool.clone();
        let submitter = thread::spawn(move || {
            other.push();
            other.search.is_needed()
        });
        pool.push();
        let woke = pool.search.is_needed();
        assert_ne!(woke, submitter.join().unwrap());
    });
}

#[test]
fn a_job_that_comes_while_the_only_thread_parks_is_taken() {
    model(4, || {
        let pool = Pool::new();
        let thread = start(&pool, 1);
        pool.submit();
        thread.join().unwrap();
    });
}

#[test]
fn jobs_of_two_submitters_are_taken_by_a_thread_that_parks_in_between() {
    model(3, || {
        let pool = Pool::new();
        let thread = start(&pool, 2);
        let other = pool.clone();
        let submitter = thread::spawn(move || other.submit());
        pool.submit();
        submitter.join().unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn two_jobs_that_wait_for_each_other_are_taken_by_two_threads() {
    model(2, || {
        let pool = Pool::new();
        let threads = [(); 2].map(|()| start(&pool, 1));
        pool.submit();
        pool.submit();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_pool_that_ends_leaves_no_job_and_no_thread_behind() {
    model(2, || {
        let pool = Pool::new();
        let threads = [(); 2].map(|()| start(&pool, usize::MAX));
        pool.submit();
        pool.close();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!pool.has_work());
    });
}
