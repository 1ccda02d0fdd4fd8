//! Corners of workers and ports: what holds itself, what comes late, and destructors that panic.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use common::*;
use windlass::time::advance;
use windlass::worker::{
    self, BroadcastChannel, PortEnd, RecvTimeoutError, Worker, channel_bounded,
};
use windlass::{
    Loop, block_on, exit, next_tick, on_uncaught, queue_microtask, run, set_immediate, set_timeout,
    spawn,
};

// Z-03.
#[test]
fn a_message_handler_that_holds_its_own_worker_is_released_at_the_exit() {
    bounded(|| {
        let (early, late, uncalled) = (Rc::new(()), Rc::new(()), Rc::new(()));
        let event_loop = Loop::new().unwrap();
        event_loop.run(|| {
            let worker = Worker::<(), u8>::spawn(|port| port.post(1)).unwrap();
            let (own, held) = (worker.clone(), early.clone());
            worker.on_message(move |_| assert!(own.id() > 0 && Rc::strong_count(&held) > 1));
            let (own, held, last) = (worker.clone(), late.clone(), uncalled.clone());
            worker.on_exit(move |_| {
                let inner = own.clone();
                own.on_message(move |_| assert!(inner.id() > 0 && Rc::strong_count(&held) > 1));
                set_immediate(move || {
                    let inner = own.clone();
                    own.on_message(move |_| assert!(inner.id() > 0 && Rc::strong_count(&last) > 1));
                    exit(0);
                });
            });
        });
        let counts = [&early, &late, &uncalled].map(Rc::strong_count);
        assert_eq!(counts, [1, 1, 1], "in the order: before the exit, after it, at the loop's end");
    });
}

#[test]
fn what_a_late_handler_has_left_after_a_panic_comes_all_the_same() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let seen = log.clone();
            on_uncaught(move |uncaught| seen.say(uncaught.message()));
            let worker = Worker::<(), u8>::spawn(|port| (0..4).for_each(|n| port.post(n))).unwrap();
            let (own, seen) = (worker.clone(), log.clone());
            worker.on_exit(move |_| {
                own.on_message(move |number| {
                    assert!(number != 1, "a test's panic");
                    seen.say(number.to_string());
                });
            });
        });
        assert_eq!(log.lines(), ["0", "a test's panic", "2", "3"]);
    });
}

// The port to the parent may be detached and live on elsewhere. For the parent the worker has ended.
#[test]
fn after_the_exit_nothing_comes_from_a_workers_port_that_lives_on_elsewhere() {
    static ELSEWHERE: Mutex<Option<PortEnd<u8, u8>>> = Mutex::new(None);
    bounded(|| {
        let notices = Rc::new(Cell::new(0));
        let count = notices.clone();
        block_on(async move {
            let worker = Worker::<u8, u8>::spawn(|port| {
                port.post(1);
                *ELSEWHERE.lock().unwrap() = Some(port.detach());
            });
            let worker = worker.unwrap();
            assert_eq!(worker.join().await, Ok(0));
            let port = ELSEWHERE.lock().unwrap().take().unwrap().open();
            port.on_close(move || count.set(count.get() + 1));
            assert_eq!(port.try_post(2), Err(2));
            assert_eq!(worker.try_post(3), Err(3));
            assert_eq!(worker.recv().await, Some(1));
            assert_eq!(worker.recv().await, None);
            iterations(3).await;
            assert!(port.is_closed());
        });
        assert_eq!(notices.get(), 1);
    });
}

// MP-05.
#[test]
fn a_permit_does_not_send_once_its_own_port_is_closed() {
    bounded(|| {
        block_on(async {
            let (one, other) = channel_bounded::<u8, ()>(2);
            let (one, other) = (one.open(), other.open());
            let permit = one.reserve().await.unwrap();
            assert_eq!(one.try_post(1), Ok(()));
            one.close();
            assert_eq!(permit.post(2), Err(2));
            assert_eq!(other.recv().await, Some(1));
            assert_eq!(other.recv().await, None);
        });
    });
}

#[test]
fn a_panic_in_the_last_destructor_of_a_workers_environment_does_not_hide_its_end() {
    struct Fragile(Mutex<Option<PanicsInDrop>>);
    bounded(|| {
        block_on(async {
            let fragile = Fragile(Mutex::new(Some(PanicsInDrop)));
            let builder = Worker::<(), ()>::builder().environment(fragile);
            let worker = builder.spawn(|_port| {
                assert!(worker::environment::<Fragile>().unwrap().0.lock().unwrap().is_some());
            });
            assert_eq!(worker.unwrap().join().await, Ok(0));
        });
    });
}

#[test]
fn a_callback_for_message_errors_stays_when_it_has_panicked() {
    #[derive(Debug)]
    struct Unclonable;
    impl Clone for Unclonable {
        fn clone(&self) -> Unclonable {
            panic!("a test's clone")
        }
    }
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let seen = log.clone();
            on_uncaught(move |uncaught| seen.say(uncaught.message()));
            let sender = BroadcastChannel::new("corners");
            let receiver = BroadcastChannel::<Unclonable>::new("corners");
            receiver.on_message(|message| unreachable!("{message:?}"));
            let (own, mut left) = (receiver.clone(), 2);
            receiver.on_message_error(move |_| {
                left -= 1;
                if left == 0 {
                    own.close();
                }
                panic!("a test's panic");
            });
            sender.post(Unclonable);
            sender.post(Unclonable);
        });
        assert_eq!(log.lines(), ["a test's panic", "a test's panic"]);
    });
}

// WK-08, WK-13.
#[test]
fn a_worker_that_blocks_in_a_receive_ends_when_told_or_with_its_parent() {
    const HOUR: Duration = Duration::from_secs(3600);
    bounded(|| {
        let (ended, ends) = mpsc::channel();
        let spawn_blocked = move || {
            let (begun, begins) = mpsc::channel();
            let ended = ended.clone();
            let worker = Worker::<(), ()>::spawn(move |port| {
                begun.send(()).unwrap();
                ended.send(port.recv_timeout(HOUR)).unwrap();
            });
            begins.recv().unwrap();
            worker.unwrap()
        };
        run(move || {
            let (told, last) = (spawn_blocked(), spawn_blocked());
            last.unref();
            assert_eq!(told.try_post(()), Ok(()), "which ends the first wait");
            // It may have ended by itself by then.
            told.terminate().on_complete(|code| assert!([0, 1].contains(&code)));
            let told = spawn_blocked();
            told.terminate().on_complete(|code| assert_eq!(code, 1));
            assert_eq!(told.try_post(()), Err(()));
        });
        let mut outcomes: Vec<_> = ends.try_iter().collect();
        outcomes.sort_by_key(Result::is_err);
        let closed = Err(RecvTimeoutError::Closed);
        assert_eq!(outcomes, [Ok(()), closed, closed]);
    });
}

// E-07: the watch goes with the exit, and takes the user's closure along.
#[test]
fn a_panicking_destructor_of_a_watch_does_not_cost_the_exit() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("a test's destructor");
        }
    }
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let caught = log.clone();
            windlass::on_uncaught(move |uncaught| caught.say(uncaught.message()));
            let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
            let guard = Panics;
            worker.on_unresponsive(Duration::from_secs(3600), move |_| {
                let _held = &guard;
            });
            let gone = log.clone();
            worker.on_exit(move |code| gone.say(format!("exit {code}")));
        });
        assert_eq!(log.lines(), ["exit 0", "a test's destructor"]);
    });
}

// Who knows nothing of the messages can hold a channel all the same.
#[test]
fn a_broadcast_channel_is_held_and_cloned_whatever_its_messages_are() {
    struct Hub<T> {
        channel: BroadcastChannel<T>,
    }
    impl<T> Clone for Hub<T> {
        fn clone(&self) -> Hub<T> {
            Hub { channel: self.channel.clone() }
        }
    }
    bounded(|| {
        run(|| {
            let hub = Hub { channel: BroadcastChannel::<u8>::new("hub") };
            let copy = hub.clone();
            drop(hub);
            assert!(!copy.channel.is_closed());
        });
    });
}

#[test]
fn an_end_of_a_channel_may_be_shared_between_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<PortEnd<std::cell::Cell<u8>, Vec<u8>>>();
}

/// Queues a tick, a microtask or a wake when it is dropped.
struct QueuesInDrop(Trace, fn(&Trace));

impl QueuesInDrop {
    fn hold(&self) {}
}

impl Drop for QueuesInDrop {
    fn drop(&mut self) {
        (self.1)(&self.0);
    }
}

/// Starts a worker whose handlers own what queues something when they are dropped at its exit.
fn worker_with_handlers_that_queue(log: &Trace, queues: fn(&Trace)) {
    let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
    let (first, second) = (QueuesInDrop(log.clone(), queues), QueuesInDrop(log.clone(), queues));
    worker.on_message(move |()| first.hold());
    worker.on_error(move |_| second.hold());
    worker.on_exit(|code| assert_eq!(code, 0));
}

#[test]
fn what_a_destructor_queues_at_a_workers_exit_runs_and_the_loop_sleeps_on() {
    let kinds: [fn(&Trace); 3] = [
        |log| next_tick(log.says("queued")),
        |log| queue_microtask(log.says("queued")),
        |log| {
            let log = log.clone();
            drop(spawn(async move { log.say("queued") }));
        },
    ];
    for queues in kinds {
        for in_virtual_time in [false, true] {
            bounded(move || {
                let log = Trace::new();
                let event_loop = Loop::builder().virtual_time(in_virtual_time).build().unwrap();
                event_loop.run(|| {
                    worker_with_handlers_that_queue(&log, queues);
                    set_timeout(Duration::from_millis(200), log.says("timer"));
                });
                assert_eq!(log.lines(), ["queued", "queued", "timer"]);
                let iterations = event_loop.metrics().iterations;
                assert!(iterations < 50, "{iterations} iterations for a few events");
            });
        }
    }
}

#[test]
fn what_a_destructor_queues_with_the_last_event_of_a_loop_runs_before_it_ends() {
    bounded(|| {
        let log = Trace::new();
        run(|| worker_with_handlers_that_queue(&log, |log| next_tick(log.says("queued"))));
        assert_eq!(log.lines(), ["queued", "queued"]);
    });
}

// E-04: the round goes on as though the callback had returned, so the end waits for the next phase.
#[test]
fn after_a_panic_a_round_sees_no_end_of_its_worker_that_came_meanwhile() {
    for panics in [false, true] {
        let scenario = |trace: &Trace| {
            let worker = Worker::<(), u8>::spawn(|port| (1..=2).for_each(|n| port.post(n)));
            let (worker, seen) = (worker.unwrap(), trace.clone());
            on_uncaught(|_| ());
            worker.on_message(move |number| {
                seen.say(number);
                if number == 1 {
                    set_timeout(ms(1), seen.says("timer"));
                    advance(ms(8)); // By now the worker has ended, and the timer is due.
                    assert!(!panics, "a test's panic");
                }
            });
            let seen = trace.clone();
            worker.on_exit(move |_| seen.say("exit"));
        };
        check(scenario, &["1", "2", "timer", "exit"]);
    }
}

// As above, but the panic leaves `run`, and the notice of the end falls together with the rest of the round.
#[test]
fn a_worker_that_ends_while_a_panic_has_left_its_round_is_seen_to_end() {
    let (trace, event_loop) = (Trace::new(), virtual_loop());
    let left = panic_of(|| {
        event_loop.run(|| {
            let worker = Worker::<(), u8>::spawn(|port| (1..=2).for_each(|n| port.post(n)));
            let (worker, seen) = (worker.unwrap(), trace.clone());
            worker.on_message(move |number| {
                seen.say(number);
                if number == 1 {
                    advance(ms(8)); // By now the worker has ended.
                    panic!("a test's panic");
                }
            });
            let seen = trace.clone();
            worker.on_exit(move |_| seen.say("exit"));
        });
    });
    assert_eq!(left, "a test's panic");
    event_loop.run(|| ());
    trace.expect(&["1", "2", "exit"]);
}

// Else the process would end: one panic while another unwinds.
#[test]
fn a_panic_in_on_exit_and_one_in_the_destructor_of_another_handler_are_two_panics() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(uncaught.message()));
        let worker = Worker::<(), u8>::spawn(|_port| ()).unwrap();
        let held = OnDrop::new(|| panic!("a destructor"));
        worker.on_message(move |_| held.touch());
        let seen = trace.clone();
        worker.on_exit(move |_| {
            next_tick(seen.says("tick"));
            panic!("in on_exit");
        });
    };
    check(scenario, &["in on_exit", "tick"]);
}

#[test]
fn messages_that_wait_together_with_the_end_of_their_worker_come_before_it() {
    let scenario = |trace: &Trace| {
        let worker = Worker::<(), u8>::spawn(|port| (1..=2).for_each(|n| port.post(n))).unwrap();
        let (message, exit) = (trace.clone(), trace.clone());
        worker.on_message(move |number| message.say(number));
        worker.on_exit(move |_| exit.say("exit"));
        advance(ms(8)); // The worker is done when its parent looks for the first time.
    };
    check(scenario, &["1", "2", "exit"]);
}

// WK-06
#[test]
fn a_destructor_of_a_workers_local_value_cannot_fail_a_worker_that_has_ended() {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    struct Fails;
    impl Drop for Fails {
        fn drop(&mut self) {
            REFUSED.store(worker::fail("too late", ()).is_err(), Ordering::SeqCst);
        }
    }
    thread_local!(static LOCAL: Fails = const { Fails });
    bounded(|| {
        let worker = block_on(async {
            let worker = Worker::<(), ()>::spawn(|_port| LOCAL.with(|_| ()));
            worker.unwrap().join().await
        });
        assert_eq!(worker, Ok(0));
        assert!(REFUSED.load(Ordering::SeqCst));
    });
}
