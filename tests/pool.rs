//! The blocking pool: work elsewhere, completions here, and what canceling can and cannot do.
#![allow(unsafe_code)] // A thread's signal mask, for which std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::*;
use windlass::signal::Signal;
use windlass::worker::Worker;
use windlass::{
    CancelError, Loop, Pool, WorkError, block_on, queue_work, run, set_immediate, set_timeout,
};

// P-01.
#[test]
fn work_runs_elsewhere_and_its_completion_here_later_and_once() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let here = thread::current().id();
            let said = log.clone();
            queue_work(move || thread::current().id()).on_complete(move |there| {
                assert_ne!(there.unwrap(), here);
                assert_eq!(thread::current().id(), here);
                said.say("completed");
            });
            log.say("queued");
        });
        assert_eq!(log.lines(), ["queued", "completed"]);
    });
}

#[test]
fn a_completion_is_a_callback_of_its_own_and_an_await_goes_on_in_a_microtask() {
    bounded(|| {
        let value = block_on(async { queue_work(|| vec![1, 2, 3]).await.unwrap() });
        assert_eq!(value, [1, 2, 3]);
        let log = Trace::new();
        run(|| {
            for number in ["1", "2"] {
                let log = log.clone();
                queue_work(|| ()).on_complete(move |_| {
                    windlass::queue_microtask(log.says("microtask"));
                    log.say(number);
                });
            }
        });
        let lines = log.lines();
        assert_eq!((lines[1].as_str(), lines[3].as_str()), ("microtask", "microtask"));
    });
}

// P-02.
#[test]
fn queued_work_that_is_canceled_never_runs_and_completes_later_as_canceled() {
    bounded(|| {
        let log = Trace::new();
        let has_run = Arc::new(AtomicBool::new(false));
        with_pool(1).run(|| {
            let (blocked, release) = block_a_thread();
            let flag = has_run.clone();
            let queued = queue_work(move || flag.store(true, Ordering::SeqCst));
            let canceller = queued.canceller();
            let said = log.clone();
            queued.on_complete(move |result| {
                assert!(matches!(result, Err(WorkError::Cancelled)), "{result:?}");
                said.say("canceled");
                drop(release);
            });
            assert_eq!(canceller.cancel(), Ok(()));
            assert_eq!(canceller.cancel(), Err(CancelError::Done));
            log.say("cancel has returned");
            let said = log.clone();
            blocked.on_complete(move |result| {
                result.unwrap();
                said.say("the other completed");
            });
        });
        assert_eq!(log.lines(), ["cancel has returned", "canceled", "the other completed"]);
        assert!(!has_run.load(Ordering::SeqCst));
    });
}

#[test]
fn canceled_work_drops_what_it_captured() {
    bounded(|| {
        let token = Arc::new(());
        with_pool(1).run(|| {
            let (_blocked, release) = block_a_thread();
            let held = token.clone();
            let queued = queue_work(move || drop(held));
            queued.cancel().unwrap();
            drop(release);
        });
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

// P-03.
#[test]
fn work_that_has_begun_or_ended_cannot_be_canceled() {
    bounded(|| {
        with_pool(1).block_on(async {
            let (request, release) = block_a_thread();
            let canceller = request.canceller();
            assert_eq!(request.cancel(), Err(CancelError::Busy));
            drop(release);
            request.await.unwrap();
            assert_eq!(canceller.cancel(), Err(CancelError::Done));
        });
    });
}

// P-04.
#[test]
fn with_every_pool_thread_blocked_timers_and_sockets_are_served() {
    bounded(|| {
        let log = Trace::new();
        with_pool(2).run(|| {
            let (_first, release_first) = block_a_thread();
            let (_second, release_second) = block_a_thread();
            let log = log.clone();
            queue_work(|| ()).on_complete({
                let log = log.clone();
                move |_| log.say("work")
            });
            set_timeout(Duration::from_millis(1), move || {
                log.say("timer");
                with_peer(move |stream, peer| {
                    stream.read_start(move |stream, chunk| {
                        assert_eq!(chunk.unwrap(), b"");
                        log.say("socket");
                        stream.close();
                        release_first.send(()).unwrap();
                        release_second.send(()).unwrap();
                    });
                    drop(peer);
                });
            });
        });
        assert_eq!(log.lines(), ["timer", "socket", "work"]);
    });
}

// P-05.
#[test]
fn threads_start_lazily_are_named_and_are_no_more_than_asked_for() {
    bounded(|| {
        let event_loop = with_pool(3);
        let pool = event_loop.pool();
        assert_eq!(pool.metrics().threads, 0, "nothing was asked of it yet");
        event_loop.block_on(async {
            let name = queue_work(|| thread::current().name().map(str::to_owned)).await.unwrap();
            assert!(name.is_some_and(|name| !name.is_empty()));
            let seen = Arc::new(Mutex::new(std::collections::HashSet::new()));
            let jobs: Vec<_> = (0..100)
                .map(|_| {
                    let seen = seen.clone();
                    queue_work(move || seen.lock().unwrap().insert(thread::current().id()))
                })
                .collect();
            for job in jobs {
                job.await.unwrap();
            }
            assert!(seen.lock().unwrap().len() <= 3);
        });
        let threads = pool.metrics().threads;
        assert!((1..=3).contains(&threads), "{threads} threads");
    });
}

// P-05.
#[test]
fn a_pool_without_threads_is_refused_or_has_one() {
    bounded(|| match Pool::new(0) {
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput),
        Ok(pool) => {
            let event_loop = Loop::builder().pool(pool).build().unwrap();
            assert_eq!(event_loop.block_on(async { queue_work(|| 7).await.unwrap() }), 7);
        }
    });
}

#[test]
fn as_many_jobs_run_at_once_as_there_are_threads() {
    bounded(|| {
        with_pool(3).block_on(async {
            let together = Arc::new(Barrier::new(3));
            let jobs = [(); 3].map(|()| {
                let together = together.clone();
                queue_work(move || together.wait().is_leader())
            });
            for job in jobs {
                job.await.unwrap();
            }
        });
    });
}

/// A thread takes a while to wake up, and what is submitted meanwhile wakes nobody else: the thread
/// hands the search over when it has found its job.
#[test]
fn jobs_that_come_while_a_thread_wakes_up_get_threads_of_their_own() {
    const ROUNDS: usize = 300;
    bounded(|| {
        with_pool(3).block_on(async {
            for _ in 0..ROUNDS {
                let together = Arc::new(Barrier::new(3));
                let jobs = [(); 3].map(|()| {
                    let together = together.clone();
                    queue_work(move || together.wait().is_leader())
                });
                for job in jobs {
                    job.await.unwrap();
                }
            }
        });
    });
}

#[test]
fn the_default_pool_has_four_threads() {
    // The variable that changes the size may be set for the whole test run.
    if std::env::var_os("UV_THREADPOOL_SIZE").is_some() {
        return;
    }
    bounded(|| {
        block_on(async {
            let together = Arc::new(Barrier::new(4));
            let jobs = [(); 4].map(|()| {
                let together = together.clone();
                queue_work(move || together.wait().is_leader())
            });
            for job in jobs {
                job.await.unwrap();
            }
            assert!(Loop::current().pool().metrics().threads <= 4);
        });
    });
}

// P-07.
#[test]
fn work_starts_in_submission_order() {
    bounded(|| {
        let started = Arc::new(Mutex::new(Vec::new()));
        with_pool(1).run(|| {
            let (_blocked, release) = block_a_thread();
            for number in 0..500 {
                let started = started.clone();
                drop(queue_work(move || started.lock().unwrap().push(number)));
            }
            drop(release);
        });
        assert_eq!(*started.lock().unwrap(), (0..500).collect::<Vec<_>>());
    });
}

// P-08.
#[test]
fn loops_that_share_a_pool_get_their_own_completions_only() {
    const LOOPS: usize = 4;
    const JOBS: usize = 300;
    bounded(|| {
        let pool = Pool::new(2).unwrap();
        let threads: Vec<_> = (0..LOOPS)
            .map(|number| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let here = thread::current().id();
                    let completed = Rc::new(RefCell::new(Vec::new()));
                    let event_loop = Loop::builder().pool(pool).build().unwrap();
                    event_loop.run(|| {
                        for job in 0..JOBS {
                            let completed = completed.clone();
                            queue_work(move || (number, job)).on_complete(move |result| {
                                assert_eq!(thread::current().id(), here);
                                completed.borrow_mut().push(result.unwrap());
                            });
                        }
                    });
                    let mut completed = completed.take();
                    completed.sort();
                    assert_eq!(completed, (0..JOBS).map(|job| (number, job)).collect::<Vec<_>>());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(pool.metrics().completed, (LOOPS * JOBS) as u64);
    });
}

// P-09.
#[test]
fn a_panic_in_a_job_is_its_submitters_error_and_costs_the_pool_nothing() {
    bounded(|| {
        with_pool(2).block_on(async {
            for round in 0..20 {
                let job = queue_work(move || {
                    assert!(round > 100, "round {round} fails");
                });
                match job.await {
                    Err(WorkError::Panicked(panic)) => {
                        assert!(panic.message().contains(&format!("round {round} fails")));
                    }
                    other => panic!("{other:?}"),
                }
            }
            let together = Arc::new(Barrier::new(2));
            let jobs = [(); 2].map(|()| {
                let together = together.clone();
                queue_work(move || together.wait().is_leader())
            });
            for job in jobs {
                job.await.unwrap();
            }
        });
    });
}

// P-10. Each submission meets a thread that is just about to go to sleep.
#[test]
fn a_submission_that_races_with_an_idle_thread_is_never_stranded() {
    const JOBS: usize = 10_000;
    fn submit(left: usize, done: Rc<Cell<usize>>) {
        if left > 0 {
            queue_work(|| ()).on_complete(move |result| {
                result.unwrap();
                done.set(done.get() + 1);
                // A little work of a varying length, to meet the thread at different moments.
                for _ in 0..(left * 7919) % 2000 {
                    std::hint::spin_loop();
                }
                submit(left - 1, done);
            });
        }
    }
    bounded(|| {
        for threads in [1, 2] {
            let done = Rc::new(Cell::new(0));
            with_pool(threads).run(|| submit(JOBS, done.clone()));
            assert_eq!(done.get(), JOBS);
        }
    });
}

// P-10. The idle thread is there for one of the two, and the pool may start another.
#[test]
fn two_jobs_that_wait_for_each_other_both_run_although_only_one_thread_is_idle() {
    bounded(|| {
        for _ in 0..200 {
            with_pool(2).block_on(async {
                queue_work(|| ()).await.unwrap();
                let pool = Loop::current().pool();
                until(|| pool.metrics().busy == 0).await;
                let together = Arc::new(Barrier::new(2));
                let jobs = [(); 2].map(|()| {
                    let together = together.clone();
                    queue_work(move || together.wait().is_leader())
                });
                for job in jobs {
                    job.await.unwrap();
                }
            });
        }
    });
}

// P-11.
#[test]
fn a_job_submits_further_work_through_a_remote() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            // The inner request is made after the outer has finished, so a guard bridges the gap.
            let guard = Loop::current().keep_alive();
            let remote = Loop::current().remote();
            let (tell, inner) = mpsc::channel();
            let said = log.clone();
            queue_work(move || {
                let posted = remote.post(move || {
                    drop(queue_work(move || tell.send("inner work").unwrap()));
                });
                posted.unwrap();
                inner.recv().unwrap()
            })
            .on_complete(move |result| {
                said.say(result.unwrap());
                drop(guard);
            });
        });
        assert_eq!(log.lines(), ["inner work"]);
    });
}

/// The signals that the calling thread blocks.
fn blocked() -> Vec<i32> {
    // SAFETY: asking only, into a live set.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        (1..=libc::SIGRTMAX()).filter(|signum| libc::sigismember(&mask, *signum) == 1).collect()
    }
}

// P-12, but for what jobs start: that inherits the mask of the thread.
#[test]
fn a_job_and_what_it_starts_hear_signals_as_the_thread_does_that_made_the_loop() {
    bounded(|| {
        let expected = blocked();
        assert!(!expected.contains(&libc::SIGTERM));
        let masks = with_pool(1).block_on(async {
            let job = queue_work(|| {
                let thread = thread::spawn(blocked).join().unwrap();
                let worker = Loop::new().unwrap().block_on(async {
                    let worker = Worker::<(), Vec<i32>>::spawn(|port| port.post(blocked()));
                    worker.unwrap().recv().await.unwrap()
                });
                [blocked(), thread, worker]
            });
            job.await.unwrap()
        });
        assert_eq!(masks, [expected.clone(), expected.clone(), expected]);
    });
}

// C-13.
#[test]
fn a_child_of_a_job_dies_of_a_signal() {
    // What whoever started the tests has told this process to ignore, its children ignore too.
    let is_ignored = |signum| {
        // SAFETY: nothing is set, and what is asked for is written to a structure that lives here.
        let (old, result) = unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            let result = libc::sigaction(signum, std::ptr::null(), &mut old);
            (old, result)
        };
        assert_eq!(result, 0);
        old.sa_sigaction == libc::SIG_IGN
    };
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
    let signals: Vec<_> = signals.into_iter().filter(|signum| !is_ignored(*signum)).collect();
    assert!(!signals.is_empty());
    bounded(move || {
        for signum in signals {
            let status = with_pool(1).block_on(async move {
                let job = queue_work(move || {
                    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
                    // SAFETY: the child has not been waited for, so the number is its own.
                    assert_eq!(unsafe { libc::kill(child.id() as i32, signum) }, 0);
                    child.wait().unwrap()
                });
                job.await.unwrap()
            });
            assert_eq!(status.signal(), Some(signum));
        }
    });
}

// S-13. A thread of its own gets the signal in the middle of a read that std does not repeat.
#[cfg(target_os = "linux")]
#[test]
fn a_handler_of_the_loop_interrupts_no_call_of_a_job() {
    /// Waits until the thread sleeps in the kernel.
    fn wait_for_sleep(thread: i32) {
        loop {
            let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
            if status.rsplit(") ").next().unwrap().starts_with('S') {
                return;
            }
            thread::yield_now();
        }
    }
    bounded(|| {
        with_pool(1).block_on(async {
            let signum = libc::SIGRTMIN() + 9;
            let calls = Rc::new(Cell::new(0));
            let count = calls.clone();
            let signal = Signal::start(signum, move || count.set(count.get() + 1)).unwrap();
            let (mut reader, mut writer) = std::io::pipe().unwrap();
            let (tell, begun) = mpsc::channel();
            let job = queue_work(move || {
                // SAFETY: asks for a number only.
                tell.send(unsafe { libc::gettid() }).unwrap();
                reader.read(&mut [0; 8]).map_err(|error| error.kind())
            });
            let thread = begun.recv().unwrap();
            for sent in 1..=20 {
                wait_for_sleep(thread);
                // SAFETY: the thread is in the job; the handler is the library's.
                let result =
                    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signum) };
                assert_eq!(result, 0);
                while calls.get() < sent {
                    windlass::time::sleep(Duration::from_millis(1)).await;
                }
            }
            writer.write_all(b"x").unwrap();
            assert_eq!(job.await.unwrap(), Ok(1));
            signal.stop();
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_that_overflows_its_stack_ends_the_process_with_the_text_of_std() {
    let test = "child_overflows_the_stack_of_a_job";
    let mut command = test_as_a_process(test);
    command.arg("--ignored");
    let output = bounded(move || command.output().unwrap());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(
        text.contains("windlass-pool-0") && text.contains("has overflowed its stack"),
        "{text}"
    );
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_overflows_the_stack_of_a_job() {
    fn deeper(depth: u64) -> u64 {
        std::hint::black_box(if depth == 0 { 0 } else { deeper(depth - 1) + depth })
    }
    run(|| drop(queue_work(|| deeper(u64::MAX))));
}

#[test]
fn the_metrics_of_a_pool_tell_what_runs_and_what_waits() {
    bounded(|| {
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let (first, release_first) = block_a_thread();
            let (second, release_second) = block_a_thread();
            let queued = [(); 3].map(|()| queue_work(|| ()));
            let metrics = pool.metrics();
            assert_eq!((metrics.threads, metrics.busy, metrics.queued), (2, 2, 3));
            assert_eq!(metrics.completed, 0);
            drop((release_first, release_second));
            first.await.unwrap();
            second.await.unwrap();
            for job in queued {
                job.await.unwrap();
            }
            assert_eq!((pool.metrics().queued, pool.metrics().completed), (0, 5));
        });
    });
}

// L-03.
#[test]
fn a_dropped_request_holds_the_loop_until_its_work_is_done() {
    bounded(|| {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        let (release, gate) = mpsc::channel::<()>();
        run(|| {
            drop(queue_work(move || {
                gate.recv().ok();
                flag.store(true, Ordering::SeqCst);
            }));
            after_iterations(3, move || drop(release));
        });
        assert!(done.load(Ordering::SeqCst));
    });
}

#[test]
fn a_finished_request_gives_its_result_to_a_callback_attached_later() {
    bounded(|| {
        let log = Trace::new();
        let event_loop = Loop::new().unwrap();
        let request = event_loop.run(|| queue_work(|| 7));
        assert!(!event_loop.is_alive(), "the run ended although nobody claimed the result");
        event_loop.run(|| {
            let said = log.clone();
            request.on_complete(move |result| said.say(format!("got {}", result.unwrap())));
            log.say("attached");
        });
        assert_eq!(log.lines(), ["attached", "got 7"]);
    });
}

#[test]
fn a_job_may_outlive_its_loop() {
    bounded(|| {
        let (release, gate) = mpsc::channel::<()>();
        let (tell, ended) = mpsc::channel();
        let (tell_begun, begun) = mpsc::channel();
        run(|| {
            queue_work(move || {
                tell_begun.send(()).unwrap();
                gate.recv().ok();
                tell.send(()).unwrap();
            })
            .on_complete(|_| panic!("its loop is gone"));
            begun.recv().unwrap();
            set_immediate(|| windlass::exit(0));
        });
        drop(release);
        ended.recv().unwrap();
    });
}

#[test]
fn ten_thousand_jobs_all_complete_once() {
    const JOBS: usize = 10_000;
    bounded(|| {
        let has_run = Arc::new(AtomicUsize::new(0));
        let completed = Rc::new(Cell::new(0));
        run(|| {
            for _ in 0..JOBS {
                let (has_run, completed) = (has_run.clone(), completed.clone());
                queue_work(move || has_run.fetch_add(1, Ordering::Relaxed)).on_complete(
                    move |result| {
                        result.unwrap();
                        completed.set(completed.get() + 1);
                    },
                );
            }
        });
        assert_eq!((has_run.load(Ordering::SeqCst), completed.get()), (JOBS, JOBS));
    });
}
