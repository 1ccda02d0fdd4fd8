//! How workers end: the table of the module `worker`, row by row, and the graceful end.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use common::*;
use windlass::worker::{self, ParentExit, Port, Unresponsive, Worker, WorkerError, on_shutdown};
use windlass::{
    Loop, Request, block_on, exit, on_uncaught, queue_microtask, run, set_exit_code, set_immediate,
    set_interval, set_timeout,
};

const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(50);

/// Runs a worker that says "hello" and then does `main`, and lists what its parent sees.
fn events(
    main: impl FnOnce(&Port<&'static str, ()>) + Send + 'static,
    then: impl FnOnce(&Worker<(), &'static str>),
) -> Vec<String> {
    let log = Trace::new();
    let outcome = Rc::new(RefCell::new(None));
    run(|| {
        let worker = Worker::spawn(move |port: Port<&'static str, ()>| {
            port.post("hello");
            main(&port);
        })
        .unwrap();
        worker.on_online(log.says("online"));
        let seen = log.clone();
        worker.on_message(move |text| seen.say(text));
        let seen = log.clone();
        worker.on_error(move |error| seen.say(error.code()));
        let seen = log.clone();
        worker.on_exit(move |code| seen.say(format!("exit {code}")));
        let (joined, slot) = (worker.clone(), outcome.clone());
        windlass::spawn(async move { drop(slot.replace(Some(joined.join().await))) });
        then(&worker);
    });
    let mut lines = log.lines();
    lines.push(match outcome.take().expect("the join has ended") {
        Ok(code) => format!("Ok {code}"),
        Err(error) => error.code().to_owned(),
    });
    lines
}

// ---- The table, row by row. Memory is in worker_usage.rs, the parent's end below. ----

#[test]
fn a_worker_with_nothing_alive_ends_with_zero_or_the_code_that_was_set() {
    bounded(|| {
        assert_eq!(events(|_| (), |_| ()), ["online", "hello", "exit 0", "Ok 0"]);
        let set = events(|_| set_exit_code(4), |_| ());
        assert_eq!(set, ["online", "hello", "exit 4", "Ok 4"]);
    });
}

#[test]
fn a_worker_that_calls_exit_ends_with_that_code() {
    bounded(|| {
        let seen = events(|_| exit(7), |_| ());
        assert_eq!(seen, ["online", "hello", "exit 7", "Ok 7"]);
        let main = |_: &Port<_, ()>| {
            set_immediate(|| exit(8));
        };
        let later = events(main, |_| ());
        assert_eq!(later, ["online", "hello", "exit 8", "Ok 8"]);
    });
}

#[test]
fn a_worker_that_panics_gives_one_error_then_exit_one() {
    let expected = ["online", "hello", "ERR_WORKER_PANICKED", "exit 1", "ERR_WORKER_PANICKED"];
    bounded(move || {
        assert_eq!(events(|_| panic!("a test's panic"), |_| ()), expected);
        let later = |_: &Port<_, ()>| {
            set_immediate(|| panic!("a test's panic"));
        };
        assert_eq!(events(later, |_| ()), expected);
    });
}

#[test]
fn a_worker_whose_own_hook_takes_its_panic_goes_on() {
    bounded(|| {
        let main = |port: &Port<&'static str, ()>| {
            let port = port.clone();
            on_uncaught(move |_| port.post("taken"));
            set_immediate(|| panic!("a test's panic"));
        };
        assert_eq!(events(main, |_| ()), ["online", "hello", "taken", "exit 0", "Ok 0"]);
    });
}

#[test]
fn a_worker_that_is_asked_to_shut_down_and_drains_ends_with_its_code() {
    bounded(|| {
        let main = |port: &Port<&'static str, ()>| {
            port.on_message(|()| ());
            on_shutdown(|| set_exit_code(3));
        };
        let seen = events(main, |worker| drop(worker.shutdown(LATE)));
        assert_eq!(seen, ["online", "hello", "exit 3", "Ok 3"]);
    });
}

#[test]
fn a_worker_that_is_asked_to_shut_down_and_does_not_drain_is_terminated() {
    bounded(|| {
        let main = |_: &Port<&'static str, ()>| {
            set_interval(LATE, |_| ());
        };
        let seen = events(main, |worker| drop(worker.shutdown(SOON)));
        assert_eq!(seen, ["online", "hello", "exit 1", "ERR_WORKER_TERMINATED"]);
    });
}

#[test]
fn a_worker_that_is_told_to_terminate_ends_with_one() {
    bounded(|| {
        let (posted, is_posted) = std::sync::mpsc::channel();
        let main = move |_: &Port<&'static str, ()>| {
            posted.send(()).unwrap();
            set_interval(LATE, |_| ());
        };
        let terminate = |worker: &Worker<(), &'static str>| {
            let own = worker.clone();
            worker.on_online(move || {
                is_posted.recv().unwrap();
                drop(own.terminate());
            });
        };
        let seen = events(main, terminate);
        assert_eq!(seen, ["hello", "exit 1", "ERR_WORKER_TERMINATED"]);
    });
}

#[test]
fn a_worker_whose_parents_loop_ends_gives_no_event_and_a_join_that_says_so() {
    bounded(|| {
        let log = Trace::new();
        let event_loop = Loop::new().unwrap();
        let worker = event_loop.run(|| {
            let worker: Worker<(), ()> = Worker::spawn(|port: Port<(), ()>| {
                port.on_message(|()| ());
            })
            .unwrap();
            worker.unref();
            let seen = log.clone();
            worker.on_exit(move |_| seen.say("exit"));
            worker
        });
        drop(event_loop);
        assert_eq!(log.lines(), [""; 0]);
        let outcome = block_on(async { worker.join().await });
        assert_eq!(outcome, Err(WorkerError::ShutDown));
    });
}

// ---- The graceful end ----

#[test]
fn messages_posted_before_a_shutdown_come_before_its_notice_and_none_after() {
    bounded(|| {
        block_on(async {
            let worker: Worker<u32, String> = Worker::spawn(|port: Port<String, u32>| {
                let replies = port.clone();
                port.on_message(move |number| replies.post(number.to_string()));
                on_shutdown(move || port.post("terminating".to_owned()));
            })
            .unwrap();
            for number in 0..3000 {
                worker.post(number);
            }
            let request = worker.shutdown(LATE);
            assert_eq!(worker.try_post(9999), Err(9999));
            for number in 0..3000 {
                assert_eq!(worker.recv().await, Some(number.to_string()));
            }
            assert_eq!(worker.recv().await.as_deref(), Some("terminating"));
            assert_eq!(worker.recv().await, None);
            assert_eq!(request.await, Ok(0));
        });
    });
}

#[test]
fn work_that_a_worker_has_on_its_loop_is_finished_before_it_ends() {
    bounded(|| {
        block_on(async {
            let worker: Worker<u64, u64> = Worker::spawn(|port: Port<u64, u64>| {
                let replies = port.clone();
                port.on_message(move |number| {
                    let replies = replies.clone();
                    windlass::queue_work(move || number * 2)
                        .on_complete(move |double| replies.post(double.unwrap()));
                });
            })
            .unwrap();
            worker.post(21);
            assert_eq!(worker.shutdown(LATE).await, Ok(0));
            assert_eq!(worker.recv().await, Some(42));
        });
    });
}

#[test]
fn a_receive_of_a_worker_that_shuts_down_gives_none_and_posting_still_works() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<u8, &str>::spawn_async(|port| async move {
                while let Some(_message) = port.recv().await {}
                assert!(worker::is_shutting_down());
                assert!(!worker::is_terminating());
                port.post("done");
            })
            .unwrap();
            worker.post(1);
            assert_eq!(worker.shutdown(LATE).await, Ok(0));
            assert_eq!(worker.recv().await, Some("done"));
        });
    });
}

#[test]
fn hooks_run_once_in_order_and_one_that_comes_after_the_notice_runs_soon() {
    bounded(|| {
        block_on(async {
            let worker: Worker<(), u8> = Worker::spawn(|port: Port<u8, ()>| {
                for number in 0..3 {
                    let port = port.clone();
                    on_shutdown(move || port.post(number));
                }
                let late = port.clone();
                on_shutdown(move || on_shutdown(move || late.post(3)));
                port.on_message(|()| ());
            })
            .unwrap();
            let first = worker.shutdown(LATE);
            assert_eq!(worker.shutdown(LATE).await, Ok(0));
            assert_eq!(first.await, Ok(0));
            for number in 0..4 {
                assert_eq!(worker.recv().await, Some(number));
            }
            assert_eq!(worker.recv().await, None);
            // After the exit the answer is there at once.
            assert_eq!(worker.shutdown(LATE).await, Ok(0));
        });
    });
}

#[test]
fn hooks_are_dropped_uncalled_by_a_plain_terminate_and_on_a_loop_that_is_no_workers() {
    bounded(|| {
        let (dropped, seen) = mpsc::channel::<()>();
        let from_worker = dropped.clone();
        block_on(async {
            on_shutdown(move || dropped.send(()).unwrap());
            let worker: Worker<(), ()> = Worker::spawn(move |port: Port<(), ()>| {
                port.post(());
                port.on_message(|()| ());
                on_shutdown(move || from_worker.send(()).unwrap());
            })
            .unwrap();
            worker.recv().await;
            worker.terminate().await;
        });
        assert_eq!(seen.recv(), Err(mpsc::RecvError), "nothing was sent, and no sender is left");
    });
}

#[test]
fn the_earliest_of_two_deadlines_counts() {
    bounded(|| {
        let event_loop = virtual_loop();
        event_loop.block_on(async {
            let began = windlass::now();
            let worker: Worker<(), ()> = Worker::spawn(|_: Port<(), ()>| {
                set_interval(LATE, |_| ());
            })
            .unwrap();
            let late = worker.shutdown(LATE);
            assert_eq!(worker.shutdown(SOON).await, Err(WorkerError::Terminated));
            assert_eq!(late.await, Err(WorkerError::Terminated));
            assert!(windlass::now() - began < LATE);
        });
    });
}

#[test]
fn a_panic_while_a_worker_shuts_down_goes_to_whoever_asked_or_is_uncaught() {
    let panicking = || {
        let worker: Worker<(), ()> = Worker::spawn(|port: Port<(), ()>| {
            port.on_message(|()| ());
            on_shutdown(|| panic!("a test's panic"));
        })
        .unwrap();
        worker
    };
    bounded(move || {
        block_on(async move {
            let error = panicking().shutdown(LATE).await.unwrap_err();
            assert_eq!(error, WorkerError::Panicked("a test's panic".to_owned()));
        });
        let seen = Rc::new(Cell::new(0));
        let counter = seen.clone();
        run(move || {
            on_uncaught(move |uncaught| {
                assert!(uncaught.message().contains("a test's panic"), "{}", uncaught.message());
                counter.set(counter.get() + 1);
            });
            drop(panicking().shutdown(LATE));
        });
        assert_eq!(seen.get(), 1);
    });
}

#[test]
fn a_shutdown_holds_the_loop_also_of_an_unreferenced_worker() {
    bounded(|| {
        let answer = Rc::new(Cell::new(None));
        let slot = answer.clone();
        run(move || {
            let worker: Worker<(), ()> = Worker::spawn(|port: Port<(), ()>| {
                port.on_message(|()| ());
            })
            .unwrap();
            worker.unref();
            worker.shutdown(LATE).on_complete(move |outcome| slot.set(outcome.ok()));
        });
        assert_eq!(answer.get(), Some(0));
    });
}

#[test]
fn shutdown_of_a_worker_on_a_loop_that_is_gone_says_so() {
    bounded(|| {
        let worker = run(|| Worker::<(), ()>::spawn(|_| ()).unwrap());
        let other = run(|| {
            let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
            worker.unref();
            worker
        });
        block_on(async {
            assert_eq!(worker.shutdown(LATE).await, Ok(0), "it had exited before");
            assert_eq!(other.shutdown(LATE).await, Err(WorkerError::ShutDown));
        });
    });
}

#[test]
fn a_worker_that_is_to_be_shut_down_with_its_parent_drains_first() {
    bounded(|| {
        for virtual_time in [false, true] {
            let (told, heard) = mpsc::channel();
            let event_loop = Loop::builder().virtual_time(virtual_time).build().unwrap();
            event_loop.run(|| {
                let builder = Worker::<u32, ()>::builder();
                let worker = builder.parent_exit(ParentExit::ShutDown(LATE)).spawn(move |port| {
                    let last = told.clone();
                    port.on_message(move |number| told.send(number).unwrap());
                    on_shutdown(move || last.send(100).unwrap());
                });
                let worker = worker.unwrap();
                worker.unref();
                (0..10).for_each(|number| worker.post(number));
            });
            drop(event_loop);
            let seen: Vec<u32> = heard.iter().collect();
            assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100]);
        }
    });
}

#[test]
fn a_worker_that_does_not_drain_with_its_parent_is_terminated_at_its_deadline() {
    bounded(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        run(move || {
            let builder = Worker::<(), ()>::builder().parent_exit(ParentExit::ShutDown(SOON));
            let spawned = builder.spawn(move |_| {
                let guard = SetsFlag(flag);
                set_interval(LATE, move |_| {
                    let _kept = &guard;
                });
            });
            spawned.unwrap().unref();
        });
        assert!(ended.load(Ordering::SeqCst));
    });
}

// ---- Workers that do not come round ----

#[test]
fn a_worker_that_does_not_come_round_is_reported_once_with_its_callback() {
    bounded(|| {
        let line = Rc::new(Cell::new(0));
        let reports = Rc::new(Cell::new(0));
        let (go, waits) = mpsc::channel::<()>();
        let (slot, counter) = (line.clone(), reports.clone());
        run(move || {
            let worker = Worker::<(), ()>::spawn(move |port| {
                let own = port.clone();
                port.on_message(move |()| {
                    waits.recv().unwrap();
                    own.close();
                });
            })
            .unwrap();
            let id = worker.id();
            worker.on_unresponsive(SOON, move |report: Unresponsive| {
                counter.set(counter.get() + 1);
                assert_eq!(report.worker, id);
                assert!(report.busy_for >= SOON);
                let callback = report.callback.expect("a handler's place is recorded");
                assert!(callback.file().ends_with("worker_ends.rs"));
                slot.set(callback.line());
                let go = go.clone();
                // Time for another report, which must not come.
                set_timeout(3 * SOON, move || go.send(()).unwrap());
            });
            worker.post(());
        });
        assert_eq!(reports.get(), 1);
        let source = include_str!("worker_ends.rs").lines().nth(line.get() as usize - 1).unwrap();
        assert!(source.contains("port.on_message(move |()| {"), "{source}");
    });
}

#[test]
fn the_main_script_of_a_worker_is_reported_as_the_line_that_spawned_it() {
    bounded(|| {
        run(|| {
            let gate = Arc::new(Barrier::new(2));
            let inner = gate.clone();
            let worker: Worker<(), ()> = Worker::spawn(move |_: Port<(), ()>| {
                inner.wait();
            })
            .unwrap();
            worker.on_unresponsive(SOON, move |report| {
                assert!(report.callback.unwrap().file().ends_with("worker_ends.rs"));
                assert!(report.to_string().contains("worker_ends.rs"));
                gate.wait();
            });
        });
    });
}

#[test]
fn a_worker_that_waits_or_comes_round_is_not_reported() {
    bounded(|| {
        run(|| {
            let waits = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
            let turns = Worker::<(), ()>::spawn(|port| {
                fn again() {
                    set_immediate(again);
                }
                again();
                port.on_message(|()| exit(0));
            })
            .unwrap();
            waits.on_unresponsive(SOON, |_| panic!("it waits"));
            turns.on_unresponsive(Duration::from_millis(500), |_| panic!("it comes round"));
            let (one, other) = (waits.clone(), turns.clone());
            set_timeout(5 * SOON, move || {
                drop(one.terminate());
                other.post(());
            });
        });
    });
}

// ---- Starting ----

// WK-20.
#[test]
fn the_environment_is_copied_at_the_start_and_inherited_by_nested_workers() {
    #[derive(Debug, PartialEq)]
    struct Level(u8);
    struct Other;
    bounded(|| {
        block_on(async {
            worker::set_environment(Level(1));
            worker::set_environment(Other);
            let worker: Worker<(), (u8, u8, bool)> = Worker::builder()
                .environment(Level(2))
                .spawn(|port: Port<_, ()>| {
                    port.on_message({
                        let port = port.clone();
                        move |()| {
                            let here = worker::environment::<Level>().unwrap().0;
                            let nested: Worker<(), (u8, bool)> =
                                Worker::spawn(|port: Port<_, ()>| {
                                    let level = worker::environment::<Level>().unwrap().0;
                                    port.post((level, worker::environment::<Other>().is_some()));
                                })
                                .unwrap();
                            let (port, own) = (port.clone(), port.clone());
                            nested
                                .on_message(move |(level, other)| port.post((here, level, other)));
                            nested.on_exit(move |_| own.close());
                        }
                    });
                })
                .unwrap();
            let early: Worker<(), u8> = Worker::spawn(|port: Port<_, ()>| {
                let own = port.clone();
                port.on_message(move |()| {
                    own.post(worker::environment::<Level>().unwrap().0);
                    own.close();
                });
            })
            .unwrap();
            worker::set_environment(Level(9));
            worker.post(());
            early.post(());
            assert_eq!(worker.recv().await, Some((2, 2, true)));
            assert_eq!(early.recv().await, Some(1), "what was set later is not seen");
            assert_eq!(worker::environment::<Level>().unwrap().0, 9);
            assert!(worker::environment::<String>().is_none());
        });
    });
}

#[test]
fn a_worker_has_the_stack_and_the_pool_that_it_was_given() {
    #[inline(never)]
    fn deep(left: usize) -> u64 {
        let page = std::hint::black_box([left as u64; 1024]);
        if left == 0 { page[0] } else { deep(left - 1) + page[1023] }
    }
    bounded(|| {
        block_on(async {
            let pool = windlass::Pool::new(1).unwrap();
            let used = pool.clone();
            // 4,000 frames of more than 8 KiB: far too much for the usual 2 MiB.
            let builder = Worker::<(), u64>::builder().stack_size(128 << 20).pool(pool);
            let worker = builder.spawn(|port| {
                let sum = deep(4000);
                windlass::queue_work(move || sum).on_complete(move |sum| port.post(sum.unwrap()));
            });
            let worker = worker.unwrap();
            assert_eq!(worker.recv().await, Some(4000 * 4001 / 2));
            assert!(used.metrics().completed >= 1);
        });
    });
}

// WK-18: nothing is started, and what the closure captured is dropped.
#[test]
fn a_failing_start_drops_the_main_script_and_holds_no_loop() {
    bounded(|| {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = SetsFlag(dropped.clone());
        run(move || {
            // More than the address space.
            let builder = Worker::<(), ()>::builder().stack_size(1 << 50);
            let error = builder.spawn(move |_| drop(flag)).unwrap_err();
            assert!(error.raw_os_error().is_some(), "{error:?}");
            let named = Worker::<(), ()>::builder().name("a\0b").spawn(|_| ());
            assert_eq!(named.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            assert!(!Loop::current().is_alive());
        });
        assert!(dropped.load(Ordering::SeqCst));
    });
}

// WK-15: in its own message, while the exit is on its way.
#[test]
fn unreferencing_a_worker_from_its_last_message_is_safe() {
    bounded(|| {
        for _ in 0..200 {
            run(|| {
                let worker: Worker<(), ()> =
                    Worker::spawn(|port: Port<(), ()>| port.post(())).unwrap();
                let own = worker.clone();
                worker.on_message(move |()| {
                    own.unref();
                    queue_microtask(|| ());
                });
            });
        }
    });
}

#[test]
fn a_request_to_shut_down_can_be_awaited_beside_others() {
    bounded(|| {
        block_on(async {
            let workers: Vec<Worker<(), ()>> = (0..4)
                .map(|_| Worker::spawn(|port: Port<(), ()>| port.on_message(|()| ())).unwrap())
                .collect();
            let requests: Vec<Request<_>> =
                workers.iter().map(|worker| worker.shutdown(LATE)).collect();
            for request in requests {
                assert_eq!(request.await, Ok(0));
            }
        });
    });
}

thread_local! {
    /// What is done when this thread ends.
    static AT_END: Cell<Option<AtEnd>> = const { Cell::new(None) };
}

struct AtEnd(Box<dyn FnMut()>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn at_end_of_thread(f: impl FnMut() + 'static) {
    AT_END.set(Some(AtEnd(Box::new(f))));
}

/// Much longer than any of these tests takes, and short enough to be waited for when one fails.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_slow_destructor_of_a_thread_local_does_not_hold_the_parent() {
    bounded(|| {
        let (begun, begin) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let log = Trace::new();
        run(|| {
            let worker = Worker::<(), ()>::spawn(move |_| {
                at_end_of_thread(move || {
                    begun.send(()).unwrap();
                    released.recv_timeout(LONG).expect("the parent's loop goes on");
                });
            })
            .unwrap();
            let exited = log.clone();
            worker.on_exit(move |code| exited.say(format!("exit {code}")));
            let looks = log.clone();
            set_interval(Duration::from_millis(1), move |timer| {
                if begin.try_recv().is_ok() {
                    timer.clear();
                    looks.say("the loop goes on");
                    release.send(()).unwrap();
                }
            });
        });
        assert_eq!(log.lines(), ["the loop goes on", "exit 0"]);
    });
}

#[test]
fn a_loop_that_ends_waits_no_longer_for_a_threads_locals_than_for_its_callbacks() {
    bounded(|| {
        let (begun, begin) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let event_loop = Loop::new().unwrap();
        let sign = ended.clone();
        event_loop.enter(|| {
            let worker = Worker::<(), ()>::spawn(move |_| {
                at_end_of_thread(move || {
                    begun.send(()).unwrap();
                    // Released by the end of the test.
                    let outcome = released.recv_timeout(LONG);
                    sign.store(outcome != Err(mpsc::RecvTimeoutError::Timeout), Ordering::SeqCst);
                });
            });
            drop(worker.unwrap());
        });
        begin.recv().unwrap();
        drop(event_loop);
        assert!(!ended.load(Ordering::SeqCst), "it was not waited for to the end");
        drop(release);
    });
}

/// A worker that has a worker which is stuck in a callback.
struct ParentOfStuck {
    worker: Worker<(), ()>,
    /// Closed when the worker's loop begins to end.
    ending: mpsc::Receiver<()>,
    /// Set when the worker has ended.
    ended: Arc<AtomicBool>,
    /// With it goes what its child is stuck in.
    release: mpsc::Sender<()>,
}

/// Starts one, and returns when its child is stuck.
fn parent_of_a_stuck_worker(what: ParentExit) -> ParentOfStuck {
    let (stuck, is_stuck) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (open, ending) = mpsc::channel();
    let ended = Arc::new(AtomicBool::new(false));
    let sign = ended.clone();
    let worker = Worker::spawn(move |_| {
        set_timeout(LATE, move || drop(open));
        at_end_of_thread(move || sign.store(true, Ordering::SeqCst));
        let child = Worker::<(), ()>::builder().parent_exit(what).spawn(move |_| {
            stuck.send(()).unwrap();
            released.recv_timeout(LONG).expect_err("nothing is sent");
        });
        drop(child.unwrap());
    });
    is_stuck.recv().unwrap();
    ParentOfStuck { worker: worker.unwrap(), ending, ended, release }
}

#[test]
fn a_worker_that_waits_for_a_stuck_one_of_its_own_is_not_given_up_with_it() {
    for what in [ParentExit::Terminate, ParentExit::ShutDown(LONG)] {
        bounded(move || {
            let event_loop = Loop::new().unwrap();
            let parent = event_loop.enter(|| parent_of_a_stuck_worker(what));
            drop((parent.worker, event_loop));
            assert!(parent.ended.load(Ordering::SeqCst), "{what:?}");
            drop(parent.release);
        });
    }
}

#[test]
fn a_worker_that_ends_already_when_its_parents_loop_does_still_ends_in_time() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let parent = event_loop.enter(|| parent_of_a_stuck_worker(ParentExit::ShutDown(LONG)));
        // It waits for its own one, longer than its parent's loop will for it.
        drop(parent.worker.terminate());
        parent.ending.recv().expect_err("its callbacks are being dropped");
        drop((parent.worker, event_loop));
        assert!(parent.ended.load(Ordering::SeqCst));
        drop(parent.release);
    });
}

// WK-13.
#[test]
fn an_interrupter_that_ends_its_caller_keeps_no_other_worker_from_being_told() {
    bounded(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        virtual_loop().block_on(async {
            let parent = Worker::<(), ()>::spawn(move |_port| {
                let first = Worker::<(), ()>::spawn(|_port| {
                    // Called by its parent, which is being ended itself.
                    let interrupter = worker::interrupt_with(worker::checkpoint);
                    set_interval(SOON, move |_| {
                        assert!(format!("{interrupter:?}").contains("Interrupter"))
                    });
                });
                let second = Worker::<(), ()>::spawn(move |_port| {
                    let held = SetsFlag(ends);
                    set_interval(SOON, move |_| assert!(!held.0.load(Ordering::SeqCst)));
                });
                assert!(first.is_ok() && second.is_ok());
            });
            let parent = parent.unwrap();
            windlass::time::sleep(10 * SOON).await;
            assert_eq!(parent.terminate().await, 1);
            assert!(ended.load(Ordering::SeqCst));
        });
    });
}
