//! Worker pools: who does which job, and what becomes of jobs and workers when something goes wrong.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::*;
use windlass::worker::{self, WorkerError, WorkerPool};
use windlass::{CancelError, Loop, block_on, exit, now, run, set_immediate, set_interval};

const FIRST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_millis(100);

/// A pool whose jobs wait for a permit each, and its permits.
fn gated(builder: impl FnOnce(WorkerPoolOf) -> WorkerPoolOf) -> (Pool, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let pool = builder(Pool::builder(1)).build(move || {
        let gate = gate.clone();
        move |number| {
            gate.lock().unwrap().recv().ok();
            number
        }
    });
    (pool.unwrap(), open)
}

type Pool = WorkerPool<u32, u32>;
type WorkerPoolOf = worker::WorkerPoolBuilder<u32, u32>;

#[test]
fn a_job_too_many_is_refused_and_those_that_wait_are_done_in_order() {
    bounded(|| {
        block_on(async {
            let (pool, open) = gated(|builder| builder.queue_limit(2));
            let jobs: Vec<_> = (0..3).map(|number| pool.run(number)).collect();
            let refused = pool.run(3);
            assert_eq!(pool.metrics().queued, 2);
            assert_eq!(refused.await, Err(WorkerError::QueueFull));
            (0..3).for_each(|_| open.send(()).unwrap());
            for (number, job) in (0..).zip(jobs) {
                assert_eq!(job.await, Ok(number));
            }
            let figures = pool.metrics();
            assert_eq!((figures.completed, figures.refused, figures.queued_max), (3, 1, 2));
        });
    });
}

#[test]
fn a_pool_of_any_size_has_as_many_workers_as_it_needs() {
    bounded(|| {
        block_on(async {
            let arrived = Arc::new(std::sync::Barrier::new(3));
            let pool = WorkerPool::new(usize::MAX, move || {
                let all = arrived.clone();
                move |number: u32| {
                    all.wait(); // Three jobs are under way together.
                    number
                }
            });
            let pool = pool.unwrap();
            let jobs: Vec<_> = (0..3).map(|number| pool.run(number)).collect();
            for (number, job) in (0..).zip(jobs) {
                assert_eq!(job.await, Ok(number));
            }
            let figures = pool.metrics();
            assert_eq!((figures.size, figures.workers), (usize::MAX, 3));
        });
    });
}

#[test]
fn with_a_limit_of_zero_a_job_is_taken_only_when_a_worker_is_free() {
    bounded(|| {
        block_on(async {
            let (pool, open) = gated(|builder| builder.queue_limit(0));
            let first = pool.run(1);
            assert_eq!(pool.run(2).await, Err(WorkerError::QueueFull));
            open.send(()).unwrap();
            assert_eq!(first.await, Ok(1));
            open.send(()).unwrap();
            assert_eq!(pool.run(3).await, Ok(3));
        });
    });
}

#[test]
fn a_job_that_waits_can_be_cancelled_and_one_that_runs_cannot() {
    bounded(|| {
        block_on(async {
            let (pool, open) = gated(|builder| builder);
            let (runs, waits) = (pool.run(1), pool.run(2));
            assert_eq!(runs.cancel(), Err(CancelError::Busy));
            assert_eq!(waits.cancel(), Ok(()));
            assert_eq!(waits.await, Err(WorkerError::Cancelled));
            open.send(()).unwrap();
            assert_eq!(runs.await, Ok(1));
            let figures = pool.metrics();
            assert_eq!((figures.completed, figures.cancelled), (2, 1));
        });
    });
}

#[test]
fn a_worker_is_replaced_after_its_number_of_jobs() {
    bounded(|| {
        block_on(async {
            let builder = WorkerPool::<(), (u64, u32)>::builder(1).recycle_after(3);
            let pool = builder.build(|| {
                let mut jobs = 0;
                move |()| {
                    jobs += 1;
                    (worker::id(), jobs)
                }
            });
            let pool = pool.unwrap();
            let mut ids = Vec::new();
            for round in 0..9 {
                let (id, jobs) = pool.run(()).await.unwrap();
                assert_eq!(jobs, round % 3 + 1, "a new state with each worker");
                ids.push(id);
            }
            ids.dedup();
            assert_eq!(ids.len(), 3);
            let figures = pool.metrics();
            assert_eq!((figures.recycled, figures.started, figures.failed), (3, 3, 0));
            pool.close();
            pool.closed().await;
        });
    });
}

/// An input whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a test's panic");
    }
}

// E-01, E-07.
#[test]
fn an_input_whose_destructor_panics_keeps_no_other_job_from_its_answer() {
    type End = fn(&WorkerPool<Option<Bomb>, ()>);
    let ends: [(End, WorkerError); 2] = [
        (|pool| pool.terminate(), WorkerError::Closed),
        (|_| drop(Loop::current().shutdown(LONGEST)), WorkerError::Cancelled),
    ];
    bounded(move || {
        for (end, answer) in ends {
            let answers = Rc::new(RefCell::new(Vec::new()));
            let list = answers.clone();
            virtual_loop().run(move || {
                let pool = WorkerPool::new(1, || |_: Option<Bomb>| ()).unwrap();
                // The first is with the worker already.
                for input in [None, Some(Bomb), Some(Bomb), Some(Bomb)] {
                    let list = list.clone();
                    pool.run(input).on_complete(move |result| list.borrow_mut().push(result));
                }
                end(&pool);
            });
            let answers = answers.take();
            assert_eq!(answers.len(), 4);
            assert_eq!(answers.iter().filter(|given| **given == Err(answer.clone())).count(), 3);
        }
    });
}

#[test]
fn a_place_whose_worker_dies_rests_longer_each_time_until_a_job_is_done() {
    bounded(|| {
        let rests = Rc::new(RefCell::new(Vec::new()));
        let list = rests.clone();
        virtual_loop().block_on(async move {
            let builder = WorkerPool::<bool, ()>::builder(1).back_off(FIRST, LONGEST);
            let pool = builder.build(|| |dies| assert!(!dies, "a test's panic")).unwrap();
            for dies in [true, true, true, true, false, true, false] {
                let began = windlass::now();
                let outcome = pool.run(dies).await;
                match outcome {
                    Err(WorkerError::Panicked(_)) if dies => {
                        assert_eq!(pool.metrics().resting, 1);
                    }
                    Ok(()) if !dies => {}
                    other => panic!("{other:?}"),
                }
                list.borrow_mut().push((windlass::now() - began).as_millis() as u64);
            }
        });
        // The job after a death waits for the rest; a death itself is known within 2 ms.
        let waited: Vec<u64> = rests.borrow().iter().map(|waited| waited / 20 * 20).collect();
        assert_eq!(waited, [0, 40, 80, 100, 100, 0, 40], "{rests:?}");
    });
}

#[test]
fn jobs_go_to_other_places_while_one_rests() {
    bounded(|| {
        virtual_loop().block_on(async move {
            let builder = WorkerPool::<bool, u64>::builder(2).back_off(FIRST, LONGEST);
            let pool = builder.build(|| {
                |dies| {
                    assert!(!dies, "a test's panic");
                    worker::id()
                }
            });
            let pool = pool.unwrap();
            assert!(pool.run(true).await.is_err());
            let began = windlass::now();
            assert!(pool.run(false).await.is_ok());
            assert!(windlass::now() - began < FIRST);
            assert_eq!((pool.metrics().resting, pool.metrics().workers), (1, 1));
        });
    });
}

#[test]
fn the_jobs_of_a_closed_pool_are_finished_before_its_workers_end() {
    bounded(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        struct Counts(Arc<AtomicUsize>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let counter = ended.clone();
        block_on(async move {
            let pool = WorkerPool::<u32, u32>::new(3, move || {
                let counts = Counts(counter.clone());
                move |number| {
                    let _kept = &counts;
                    number + 1
                }
            });
            let pool = pool.unwrap();
            let jobs: Vec<_> = (0..20).map(|number| pool.run(number)).collect();
            pool.close();
            let closed = pool.closed();
            assert_eq!(pool.run(1).await, Err(WorkerError::Closed));
            let clone = pool.clone();
            drop(pool);
            for (number, job) in (0..).zip(jobs) {
                assert_eq!(job.await, Ok(number + 1));
            }
            closed.await;
            assert_eq!(ended.load(Ordering::SeqCst), 3, "every handler is dropped");
            clone.closed().await;
            assert_eq!(clone.metrics().workers, 0);
            assert!(!Loop::current().is_alive());
        });
    });
}

#[test]
fn the_end_of_a_pool_comes_after_that_of_a_worker_which_was_replaced() {
    type End = fn(&WorkerPool<(), ()>);
    let ends: [(End, Duration); 2] =
        [(|pool| pool.close(), HOUR), (|pool| pool.terminate(), ms(10))];
    for (end, most) in ends {
        let has_ended = Arc::new(AtomicBool::new(false));
        let ends = has_ended.clone();
        virtual_loop().block_on(async {
            let builder = WorkerPool::<(), ()>::builder(1).recycle_after(1);
            let pool = builder.build(move || {
                // Takes all the time that it is given to end.
                set_interval(ms(10), |_| ());
                let held = SetsFlag(ends.clone());
                move |()| assert!(!held.0.load(Ordering::SeqCst))
            });
            let pool = pool.unwrap();
            pool.run(()).await.unwrap();
            let began = now();
            end(&pool);
            pool.closed().await;
            assert!(has_ended.load(Ordering::SeqCst));
            assert!(now() - began <= most);
        });
    }
}

#[test]
fn waiting_for_the_end_of_a_pool_holds_the_loop_also_when_the_pool_is_dropped() {
    bounded(|| {
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        run(move || {
            let pool = WorkerPool::<(), ()>::new(2, || |()| ()).unwrap();
            drop(pool.run(()));
            pool.closed().on_complete(move |()| flag.set(true));
        });
        assert!(done.get());
    });
}

#[test]
fn terminating_a_pool_fails_what_waits_and_what_runs() {
    bounded(|| {
        block_on(async {
            let builder = WorkerPool::<(), ()>::builder(1);
            let (running, runs) = mpsc::channel();
            let pool = builder.build(move || {
                let running = running.clone();
                move |()| {
                    running.send(()).unwrap();
                    loop {
                        worker::checkpoint();
                    }
                }
            });
            let pool = pool.unwrap();
            let (first, second) = (pool.run(()), pool.run(()));
            runs.recv().unwrap();
            pool.terminate();
            assert_eq!(second.await, Err(WorkerError::Closed));
            assert_eq!(first.await, Err(WorkerError::Terminated));
            pool.closed().await;
        });
    });
}

#[test]
fn a_pool_of_workers_has_its_name_its_stack_and_its_figures() {
    bounded(|| {
        block_on(async {
            let builder = WorkerPool::<(), String>::builder(1).name("sums").stack_size(256 << 10);
            let pool =
                builder.build(|| |()| std::thread::current().name().unwrap().to_owned()).unwrap();
            assert_eq!(pool.run(()).await.as_deref(), Ok("sums-0"));
            let figures = pool.metrics();
            assert_eq!((figures.size, figures.workers, figures.busy), (1, 1, 0));
            assert_eq!((figures.completed, figures.started, figures.failed), (1, 1, 0));
            let limited = WorkerPool::<(), ()>::builder(1).memory_limit(1 << 20).build(|| |()| ());
            assert_eq!(limited.unwrap_err().kind(), std::io::ErrorKind::Unsupported);
        });
    });
}

// In virtual time the news of the end comes later than the answer, each time.
#[test]
fn a_job_is_not_lost_to_a_worker_that_ended_while_it_was_idle() {
    bounded(|| {
        virtual_loop().block_on(async {
            let pool = WorkerPool::new(1, || {
                |number: u32| {
                    set_immediate(|| exit(0));
                    number * 2
                }
            });
            let pool = pool.unwrap();
            for number in 0..5 {
                assert_eq!(pool.run(number).await, Ok(number * 2));
            }
            let metrics = pool.metrics();
            assert_eq!((metrics.started, metrics.completed, metrics.failed), (5, 5, 0));
        });
    });
}

/// How a job ends its worker.
#[derive(Clone, Copy, PartialEq)]
enum End {
    No,
    /// While it runs, and it has an answer.
    Exit,
    /// When it has been answered.
    ExitLater,
    PanicLater,
    /// While it runs, and it has no answer.
    Panic,
}

/// A pool of workers whose jobs end them. Notes how often each job began.
fn mortal(size: usize, begun: Arc<Vec<AtomicUsize>>) -> WorkerPool<(usize, End), usize> {
    let pool = WorkerPool::new(size, move || {
        let begun = begun.clone();
        move |(number, end): (usize, End)| {
            begun[number].fetch_add(1, Ordering::SeqCst);
            match end {
                End::No => {}
                End::Exit => exit(0),
                End::ExitLater => drop(set_immediate(|| exit(0))),
                End::PanicLater => drop(set_immediate(|| panic!("a test's panic"))),
                End::Panic => panic!("a test's panic"),
            }
            number * 2
        }
    });
    pool.unwrap()
}

/// Runs a job for each end, all at once: each begins once, and only one that panics has no answer.
fn check_ends(event_loop: &Loop, size: usize, ends: Vec<End>) {
    let begun: Arc<Vec<_>> = Arc::new(ends.iter().map(|_| AtomicUsize::new(0)).collect());
    let pool_of = begun.clone();
    event_loop.block_on(async move {
        let pool = mortal(size, pool_of);
        let jobs: Vec<_> = ends.iter().enumerate().map(|job| pool.run((job.0, *job.1))).collect();
        for (number, job) in jobs.into_iter().enumerate() {
            match job.await {
                Err(WorkerError::Panicked(_)) if ends[number] == End::Panic => {}
                Ok(answer) if ends[number] != End::Panic => assert_eq!(answer, number * 2),
                other => panic!("job {number}: {other:?}"),
            }
        }
        let figures = pool.metrics();
        let failed = ends.iter().filter(|end| **end == End::Panic).count();
        assert_eq!((figures.completed, figures.failed), (ends.len() as u64, failed as u64));
        assert_eq!((figures.queued, figures.busy), (0, 0));
    });
    assert!(begun.iter().all(|times| times.load(Ordering::SeqCst) == 1), "each began once");
}

#[test]
fn a_job_given_to_a_worker_that_is_ending_goes_to_another_one() {
    bounded(|| {
        for end in [End::Exit, End::ExitLater, End::PanicLater] {
            let only = |chosen: usize| {
                (0..200).map(move |number| if number == chosen { end } else { End::No }).collect()
            };
            check_ends(&Loop::new().unwrap(), 2, only(7));
            check_ends(&Loop::new().unwrap(), 1, only(0));
            check_ends(&Loop::new().unwrap(), 2, vec![end; 200]);
            check_ends(&virtual_loop(), 1, vec![end; 50]);
        }
    });
}

#[test]
fn of_jobs_whose_workers_die_in_whatever_way_none_begins_twice_and_none_is_lost() {
    bounded(|| {
        for seed in 1..20 {
            let mut dice = Dice(seed);
            let mut end = || match dice.roll(8) {
                0 => End::Exit,
                1 => End::ExitLater,
                2 => End::PanicLater,
                3 => End::Panic,
                _ => End::No,
            };
            let ends: Vec<_> = (0..60).map(|_| end()).collect();
            check_ends(&Loop::new().unwrap(), 1 + seed as usize % 4, ends.clone());
            check_ends(&virtual_loop(), 1 + seed as usize % 4, ends);
        }
    });
}

#[test]
fn workers_that_end_at_once_are_not_started_for_ever() {
    bounded(|| {
        block_on(async {
            let pool = WorkerPool::<u32, u32>::new(1, || {
                if true {
                    panic!("a test's panic");
                }
                |number| number
            });
            let pool = pool.unwrap();
            let jobs: Vec<_> = (0..5).map(|number| pool.run(number)).collect();
            for job in jobs {
                let outcome = job.await;
                assert!(matches!(outcome, Err(WorkerError::Panicked(_))), "{outcome:?}");
            }
            // A worker that is gone before it is given a job costs none.
            let figures = pool.metrics();
            assert_eq!(figures.failed, 5);
            assert!(figures.started >= 5, "{figures:?}");
        });
        // Each ends in the iteration in which its handler was made, before any job or after the
        // first one.
        virtual_loop().block_on(async {
            let pool = WorkerPool::<u32, u32>::new(1, || {
                set_immediate(|| exit(3));
                |number| number
            });
            let pool = pool.unwrap();
            let jobs: Vec<_> = (0..5).map(|number| pool.run(number)).collect();
            for (number, job) in (0..).zip(jobs) {
                let outcome = job.await;
                let expected = [Ok(number), Err(WorkerError::Exited(3))];
                assert!(expected.contains(&outcome), "{outcome:?}");
            }
            assert!(pool.metrics().started <= 20, "{:?}", pool.metrics());
        });
    });
}

#[test]
fn the_input_of_a_job_that_no_handler_has_seen_is_dropped_with_the_loop() {
    /// The worker waits for its handler until all of these are gone.
    struct Noted(mpsc::Sender<std::thread::ThreadId>, #[allow(dead_code)] mpsc::Sender<()>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.send(std::thread::current().id()).unwrap();
        }
    }
    bounded(|| {
        let (dropped, drops) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        Loop::new().unwrap().run(move || {
            let pool = WorkerPool::new(1, move || {
                // The job is given to the worker, and its handler is not there yet.
                gate.lock().unwrap().recv().ok();
                |_: Noted| ()
            });
            let pool = pool.unwrap();
            (0..3).for_each(|_| drop(pool.run(Noted(dropped.clone(), open.clone()))));
            exit(0);
            set_immediate(move || drop(pool));
        });
        let here = std::thread::current().id();
        assert_eq!(drops.iter().collect::<Vec<_>>(), [here; 3]);
    });
}

#[test]
fn of_very_many_jobs_that_wait_each_is_cancelled_at_once() {
    bounded(|| {
        // Where each is looked for from one end, this takes minutes.
        const JOBS: u32 = 200_000;
        block_on(async {
            let (pool, open) = gated(|builder| builder);
            let runs = pool.run(JOBS);
            let jobs: Vec<_> = (0..JOBS).map(|number| pool.run(number)).collect();
            let (odd, even): (Vec<_>, Vec<_>) =
                jobs.iter().enumerate().partition(|(number, _)| number % 2 == 1);
            for (_, job) in odd.into_iter().chain(even.into_iter().rev()) {
                assert_eq!(job.cancel(), Ok(()));
            }
            assert_eq!(pool.metrics().queued, 0);
            for job in jobs {
                assert_eq!(job.await, Err(WorkerError::Cancelled));
            }
            open.send(()).unwrap();
            assert_eq!(runs.await, Ok(JOBS));
        });
    });
}
