//! Virtual time: the clock stands still while anything is ready and jumps when nothing is, for a loop
//! and for all its workers.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use common::*;
use windlass::handle::Notifier;
use windlass::worker::{BroadcastChannel, PortEnd, Worker, WorkerPool, channel};
use windlass::{Loop, Remote, set_immediate, set_interval, set_timeout, time};

/// Milliseconds of the current loop since an instant.
fn since(start: std::time::Instant) -> u128 {
    (windlass::now() - start).as_millis()
}

#[test]
fn a_year_of_timers_passes_at_once() {
    let ticks = Rc::new(Cell::new(0));
    let count = ticks.clone();
    virtual_loop().run(move || {
        set_interval(Duration::from_secs(3600), move |timer| {
            count.set(count.get() + 1);
            if count.get() == 365 * 24 {
                timer.clear();
            }
        });
    });
    assert_eq!(ticks.get(), 365 * 24);
}

#[test]
fn the_clock_stands_still_while_anything_is_ready() {
    virtual_loop().run(|| {
        let start = windlass::now();
        set_timeout(Duration::from_secs(5), move || assert_eq!(since(start), 5_000));
        fn again(left: u32, start: std::time::Instant) {
            assert_eq!(since(start), 0);
            if left > 0 {
                set_immediate(move || again(left - 1, start));
            }
        }
        again(1_000, start);
        windlass::queue_work(|| ()).on_complete(move |_| assert_eq!(since(start), 0));
    });
}

/// A program of timers, work and messages in a parent and two workers.
fn program() -> Vec<String> {
    let log = Trace::new();
    let say = log.clone();
    virtual_loop().run(move || {
        let start = windlass::now();
        for name in ["one", "two"] {
            let worker: Worker<u64, String> = Worker::spawn(move |port| {
                let (out, own) = (port.clone(), port.clone());
                let start = windlass::now();
                port.on_message(move |work| {
                    time::advance(Duration::from_millis(work));
                    out.post(format!("{name} worked {work} until {}", since(start)));
                    if work == 7 {
                        own.off_message();
                    }
                });
                let out = port.clone();
                set_timeout(Duration::from_millis(3), move || out.post(format!("{name} timer")));
            })
            .expect("a worker");
            let said = say.clone();
            worker.on_message(move |text| {
                said.say(format!("{text}, seen at {}", since(start)));
            });
            let said = say.clone();
            worker.on_exit(move |code| {
                said.say(format!("{name} exit {code} at {}", since(start)));
            });
            for work in [5, 1, 7] {
                worker.post(work);
            }
        }
    });
    log.take()
}

#[test]
fn a_program_with_workers_is_the_same_to_the_last_callback() {
    let first = program();
    assert!(first.contains(&"one worked 7 until 13, seen at 13".to_owned()), "{first:?}");
    // The end of a worker reaches the parent a millisecond after it stopped, behind all that it posted.
    assert_eq!(first.last().map(String::as_str), Some("two exit 0 at 14"));
    for _ in 0..200 {
        assert_eq!(program(), first);
    }
}

#[test]
fn a_message_is_not_seen_before_the_time_at_which_it_was_sent() {
    virtual_loop().run(|| {
        let start = windlass::now();
        let worker: Worker<(), u32> = Worker::spawn(|port| {
            time::advance(Duration::from_millis(50)); // This loop is ahead from here on.
            port.post(1);
        })
        .expect("a worker");
        let seen = Rc::new(Cell::new(false));
        let early = seen.clone();
        set_timeout(Duration::from_millis(49), move || assert!(!early.get()));
        worker.on_message(move |_| {
            assert_eq!(since(start), 50);
            seen.set(true);
        });
    });
}

#[test]
fn a_message_behind_one_that_is_seen_waits_for_its_own_time() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    virtual_loop().run(|| {
        let start = windlass::now();
        let worker: Worker<(), u32> = Worker::spawn(|port| {
            for number in 1..=3 {
                port.post(number);
                time::advance(Duration::from_millis(50));
            }
        })
        .expect("a worker");
        let seen = seen.clone();
        worker.on_message(move |number| seen.borrow_mut().push((number, since(start))));
    });
    assert_eq!(*seen.borrow(), [(1, 0), (2, 50), (3, 100)]);
}

#[test]
fn a_worker_that_is_behind_has_its_time_before_it_is_terminated() {
    let log = Trace::new();
    let say = log.clone();
    virtual_loop().run(move || {
        let worker: Worker<(), String> = Worker::spawn(|port| {
            for at in [10, 20, 30] {
                let port = port.clone();
                set_timeout(Duration::from_millis(at), move || port.post(format!("at {at}")));
            }
        })
        .expect("a worker");
        let said = say.clone();
        worker.on_message(move |text| said.say(text));
        let said = say.clone();
        worker.on_exit(move |code| said.say(format!("exit {code}")));
        let own = worker.clone();
        set_timeout(Duration::from_millis(5), move || {
            time::advance(Duration::from_millis(20)); // To 25.
            drop(own.terminate());
        });
    });
    assert_eq!(log.take(), ["at 10", "at 20", "exit 1"]);
}

#[test]
fn a_chain_of_immediates_does_not_keep_a_worker_from_its_turn() {
    let answered = Rc::new(Cell::new(false));
    let seen = answered.clone();
    virtual_loop().run(move || {
        let worker: Worker<(), ()> = Worker::spawn(|port| port.post(())).expect("a worker");
        let set = seen.clone();
        worker.on_message(move |()| set.set(true));
        fn again(seen: Rc<Cell<bool>>) {
            if !seen.get() {
                set_immediate(move || again(seen));
            }
        }
        again(seen);
    });
    assert!(answered.get());
}

/// A poll that ended before would show it: the immediate would run at 8.
#[test]
fn a_worker_is_not_told_of_what_a_loop_sends_that_is_ahead() {
    type Act = fn(&Worker<u32, String>);
    let acts: [(&str, Act); 3] = [
        ("nothing", |_| ()),
        ("a message", |worker| worker.post(1)),
        ("the end", |worker| drop(worker.terminate())),
    ];
    for (what, act) in acts {
        let log = Trace::new();
        let say = log.clone();
        virtual_loop().run(move || {
            let worker: Worker<u32, String> = Worker::spawn(|port| {
                let (start, out) = (windlass::now(), port.clone());
                set_timeout(Duration::from_millis(3), move || {
                    let say = move || out.post(format!("immediate at {}", since(start)));
                    set_immediate(say).unref();
                });
                time::advance(Duration::from_millis(8));
                set_timeout(Duration::from_millis(2), move || {
                    port.post(format!("timer at {}", since(start)));
                });
            })
            .expect("a worker");
            worker.on_message(move |text| say.say(text));
            // The worker's time is still zero.
            time::advance(Duration::from_millis(100));
            act(&worker);
        });
        assert_eq!(log.lines(), ["immediate at 10", "timer at 10"], "{what}");
    }
}

#[test]
fn loops_that_all_wait_for_ever_are_a_panic_that_says_for_what() {
    let event_loop = virtual_loop();
    let stuck = panic::catch_unwind(AssertUnwindSafe(|| {
        event_loop.run(|| {
            let worker: Worker<(), ()> =
                Worker::spawn(|port| port.on_message(|()| ())).expect("a worker");
            worker.on_message(|()| ());
        });
    }));
    let payload = stuck.expect_err("nothing can happen any more");
    let text = payload.downcast_ref::<String>().expect("a text");
    assert!(text.contains("the first loop waits for worker made at"), "{text}");
    assert!(text.contains("worker loop 1 waits for message port made at"), "{text}");
}

#[test]
fn of_many_tasks_that_wait_for_ever_a_few_are_named() {
    let event_loop = virtual_loop();
    let stuck = panic::catch_unwind(AssertUnwindSafe(|| {
        event_loop.block_on(async {
            (0..1000).for_each(|_| drop(windlass::spawn(std::future::pending::<()>())));
            std::future::pending::<()>().await;
        });
    }));
    let payload = stuck.expect_err("nothing can wake it");
    let text = payload.downcast_ref::<String>().expect("a text");
    assert_eq!(text.matches("a task spawned at").count(), 10, "{text}");
    assert!(text.ends_with(", more of that kind"), "{text}");
}

#[test]
fn what_a_future_of_block_on_waits_for_is_named() {
    let event_loop = virtual_loop();
    let stuck = panic::catch_unwind(AssertUnwindSafe(|| {
        event_loop.block_on(std::future::pending::<()>());
    }));
    let payload = stuck.expect_err("nothing can wake it");
    let text = payload.downcast_ref::<String>().expect("a text");
    assert!(text.contains("a task spawned at tests/virtual_time.rs"), "{text}");
}

#[test]
fn workers_may_have_workers_and_pools() {
    let log = Trace::new();
    let say = log.clone();
    virtual_loop().run(move || {
        let worker: Worker<(), u64> = Worker::spawn(|port| {
            let inner: Worker<u64, u64> = Worker::spawn(|port| {
                let (out, own) = (port.clone(), port.clone());
                port.on_message(move |n| {
                    out.post(n * n);
                    own.off_message();
                });
            })
            .expect("a worker of a worker");
            inner.post(12);
            inner.on_message(move |square| port.post(square));
        })
        .expect("a worker");
        let said = say.clone();
        worker.on_message(move |square| said.say(square));
        let pool = WorkerPool::new(2, || |n: u64| n + 1).expect("a pool");
        for n in 0..3 {
            let said = say.clone();
            pool.run(n).on_complete(move |next| said.say(next.unwrap()));
        }
    });
    let mut lines = log.take();
    lines.sort();
    assert_eq!(lines, ["1", "144", "2", "3"]);
}

#[test]
fn a_job_is_cancelled_or_not_by_the_order_of_the_program_alone() {
    for _ in 0..50 {
        let log = Trace::new();
        let say = log.clone();
        virtual_loop().run(move || {
            let second = windlass::queue_work(|| 2);
            let canceller = second.canceller();
            windlass::queue_work(|| 1).on_complete(|_| ());
            second.on_complete(move |result| say.say(result.is_ok()));
            // Nothing has been delivered yet, so nothing has run.
            assert_eq!(canceller.cancel(), Ok(()));
        });
        assert_eq!(log.take(), ["false"]);
    }
}

#[test]
fn a_channel_between_workers_closes_in_virtual_time_too() {
    let log = Trace::new();
    let say = log.clone();
    virtual_loop().run(move || {
        let (here, there) = channel::<u32, u32>();
        let worker: Worker<windlass::worker::PortEnd<u32, u32>, ()> = Worker::spawn(|port| {
            let own = port.clone();
            port.on_message(move |end: windlass::worker::PortEnd<u32, u32>| {
                let end = end.open();
                let reply = end.clone();
                end.on_message(move |n| {
                    reply.post(n + 1);
                    reply.close();
                });
                own.off_message();
            });
        })
        .expect("a worker");
        worker.post(there);
        let here = here.open();
        let said = say.clone();
        here.on_close(move || said.say("closed"));
        let said = say.clone();
        here.on_message(move |n| said.say(n));
        here.post(1);
    });
    assert_eq!(log.take(), ["2", "closed"]);
}

// Conformance rule 13: what becomes due during a pass of the timers waits for the next one, behind poll and
// check. A worker's first pass is no exception.
#[test]
fn the_first_timers_of_a_worker_do_not_run_in_two_passes() {
    let log = Trace::new();
    let inner = log.clone();
    virtual_loop().run(move || {
        let worker = Worker::<(), &str>::spawn(|port| {
            set_timeout(Duration::from_millis(1), move || {
                let (late, soon) = (port.clone(), port.clone());
                set_timeout(Duration::from_millis(1), move || late.post("timer"));
                set_immediate(move || soon.post("immediate"));
                time::advance(Duration::from_millis(5));
            });
            time::advance(Duration::from_millis(5));
        });
        let worker = worker.expect("a worker");
        worker.on_message(move |label| inner.say(label));
    });
    assert_eq!(log.lines(), ["immediate", "timer"]);
}

#[test]
fn a_stop_from_another_thread_ends_the_turn_of_a_loop_that_waits() {
    bounded(|| {
        let event_loop = virtual_loop();
        let (guard, remote) = (event_loop.keep_alive(), event_loop.remote());
        let stopper = thread::spawn(move || {
            remote.stop();
            remote // Held on, so that the loop has somebody to wait for.
        });
        event_loop.run(|| ());
        let remote = stopper.join().expect("the other thread");
        assert!(event_loop.is_alive(), "it was stopped, it has not ended");
        // And again in the middle of the sleep.
        let (begun, begin) = mpsc::channel();
        event_loop.enter(|| set_immediate(move || begun.send(()).expect("a listener")));
        let stopper = thread::spawn(move || {
            begin.recv().expect("the loop");
            remote.stop();
            remote
        });
        event_loop.run(|| ());
        let iterations = event_loop.metrics().iterations;
        assert!(iterations < 20, "{iterations} iterations for two stops");
        drop((stopper.join(), guard));
    });
}

#[test]
fn a_stop_from_a_worker_is_seen_at_the_workers_time() {
    for _ in 0..20 {
        bounded(|| {
            let (log, event_loop) = (Trace::new(), virtual_loop());
            event_loop.run(|| {
                let remote = event_loop.remote();
                let worker = Worker::<(), ()>::spawn(move |_| {
                    set_timeout(Duration::from_millis(10), move || remote.stop());
                    set_timeout(Duration::from_millis(30), || ());
                });
                worker.expect("a worker");
                for delay in [9, 11] {
                    let log = log.clone();
                    set_timeout(Duration::from_millis(delay), move || {
                        log.say(delay);
                    });
                }
            });
            assert_eq!(log.take(), ["9"]);
            assert!(event_loop.is_alive());
        });
    }
}

#[test]
fn when_the_last_remote_goes_on_another_thread_nothing_can_happen_any_more() {
    bounded(|| {
        let event_loop = virtual_loop();
        let guard = event_loop.keep_alive();
        let (begun, begin) = mpsc::channel();
        let remotes = [event_loop.remote(), event_loop.remote()];
        let dropper = thread::spawn(move || {
            begin.recv().expect("the loop");
            for remote in remotes {
                thread::yield_now();
                drop(remote);
            }
        });
        let stuck = panic::catch_unwind(AssertUnwindSafe(|| {
            event_loop.run(|| set_immediate(move || begun.send(()).expect("a listener")));
        }));
        let payload = stuck.expect_err("nobody can send anything any more");
        let text = payload.downcast_ref::<String>().expect("a text");
        assert!(text.contains("keep-alive guard"), "{text}");
        dropper.join().expect("the other thread");
        drop(guard);
    });
}

/// What another program gets to reach the first one by.
struct Ways {
    remote: Remote,
    notifier: Notifier,
    port: PortEnd<u32, ()>,
    waker: Waker,
}

thread_local! {
    /// What has come to the program of this thread.
    static ARRIVED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Something has come to the program of this thread, which stops when all five things have.
fn arrived(what: &'static str) {
    ARRIVED.with_borrow_mut(|all| all.push(what));
    if ARRIVED.with_borrow(Vec::len) == 5 {
        windlass::stop();
    }
}

#[test]
fn what_a_program_in_virtual_time_sends_to_another_one_arrives() {
    const NAME: &str = "from one program in virtual time to another";
    bounded(|| {
        let (send, receive) = mpsc::channel::<Ways>();
        let other = thread::spawn(move || {
            let ways = receive.recv().expect("the first program");
            virtual_loop().run(move || {
                // A day ahead of the program that it sends to.
                time::advance(Duration::from_secs(86_400));
                ways.remote.post(|| arrived("post")).expect("the first program");
                ways.notifier.notify();
                let broadcast = BroadcastChannel::<u32>::new(NAME);
                broadcast.post(5);
                broadcast.close();
                let port = ways.port.open();
                port.post(1);
                port.close();
                ways.waker.wake();
            });
        });
        let event_loop = virtual_loop();
        let start = event_loop.now();
        event_loop.run(|| {
            let broadcast = BroadcastChannel::<u32>::new(NAME);
            broadcast.on_message(|_| arrived("broadcast"));
            let (ours, theirs) = channel::<(), u32>();
            ours.open().on_message(|_| arrived("port"));
            let mut ways =
                Some((Loop::current().remote(), Notifier::new(|| arrived("notifier")), theirs));
            drop(windlass::spawn(std::future::poll_fn(move |context| {
                let Some((remote, notifier, port)) = ways.take() else {
                    arrived("wake");
                    return Poll::Ready(());
                };
                let waker = context.waker().clone();
                let sent = send.send(Ways { remote, notifier, port, waker });
                sent.expect("the other program");
                Poll::Pending
            })));
        });
        let mut all = ARRIVED.take();
        all.sort_unstable();
        assert_eq!(all, ["broadcast", "notifier", "port", "post", "wake"]);
        assert_eq!(event_loop.now(), start, "no time has passed here");
        other.join().expect("the other program");
    });
}

#[test]
fn a_channel_that_was_made_in_one_program_carries_to_a_loop_of_another() {
    bounded(|| {
        let (send, receive) = mpsc::channel::<(PortEnd<u32, u32>, Remote)>();
        let other = thread::spawn(move || {
            // The end that it receives on was made by a program whose clock is ahead, and has a message.
            virtual_loop().run(move || {
                let (end, remote) = receive.recv().expect("the first program");
                let port = end.open();
                port.on_message({
                    let own = port.clone();
                    move |number| {
                        assert_eq!(number, 1);
                        own.post(2);
                        own.close();
                        assert!(!format!("{remote:?}").is_empty(), "held until here");
                    }
                });
            });
        });
        virtual_loop().run(move || {
            time::advance(Duration::from_secs(3600));
            let (ours, theirs) = channel::<u32, u32>();
            let ours = ours.open();
            ours.post(1);
            send.send((theirs, Loop::current().remote())).expect("the other program");
            let own = ours.clone();
            ours.on_message(move |number| {
                assert_eq!(number, 2);
                own.close();
            });
        });
        other.join().expect("the other program");
    });
}
