//! Workers: their lives, their ends, and what their parents see of both.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::Read;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::*;
use windlass::net::TcpListener;
use windlass::worker::{self, Port, Worker, WorkerError};
use windlass::{
    block_on, exit, fs, next_tick, on_exit, on_uncaught, queue_microtask, queue_work, run,
    set_immediate, set_interval, set_timeout, spawn,
};

/// Tells by its end that something has been dropped.
struct Tell(mpsc::Sender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

thread_local! {
    /// Dropped when the thread ends, and not before.
    static AT_THE_END: RefCell<Option<SetsFlag>> = const { RefCell::new(None) };
}

/// Sets `flag` when the calling thread is gone as far as its own destructors.
fn flag_at_the_end_of_this_thread(flag: Arc<AtomicBool>) {
    AT_THE_END.with(|slot| slot.replace(Some(SetsFlag(flag))));
}

/// A worker that lives until something ends it, and says so when it is up.
fn idle_worker() -> Worker<(), ()> {
    Worker::spawn(|port: Port<(), ()>| {
        port.post(());
        port.on_message(|()| ());
    })
    .unwrap()
}

// ---- Living and ending by itself ----

// WK-01.
#[test]
fn a_worker_is_online_before_its_messages_and_its_exit() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let here = thread::current().id();
            let worker: Worker<(), thread::ThreadId> = Worker::spawn(|port| {
                assert!(!worker::is_main());
                port.post(thread::current().id());
                set_immediate(move || port.post(thread::current().id()));
            })
            .unwrap();
            assert!(worker::is_main());
            let (online, message, gone) = (log.clone(), log.clone(), log.clone());
            worker.on_exit(move |code| gone.say(format!("exit {code}")));
            worker.on_message(move |there| {
                assert_ne!(there, here);
                message.say("message");
            });
            worker.on_online(move || online.say("online"));
        });
        assert_eq!(log.lines(), ["online", "message", "message", "exit 0"]);
    });
}

// WK-02 and WK-15.
#[test]
fn a_worker_with_nothing_alive_ends_with_code_zero_and_until_then_holds_its_parent() {
    bounded(|| {
        let code = Rc::new(Cell::new(None));
        run(|| {
            let worker: Worker<(), ()> = Worker::spawn(|_| ()).unwrap();
            let code = code.clone();
            worker.on_exit(move |ended| code.set(Some(ended)));
        });
        assert_eq!(code.get(), Some(0));
        let ran = Arc::new(AtomicBool::new(false));
        let flag = ran.clone();
        virtual_loop().run(|| {
            let worker: Worker<(), ()> = Worker::spawn(move |_| {
                set_timeout(Duration::from_millis(1), move || flag.store(true, Ordering::SeqCst));
            })
            .unwrap();
            drop(worker);
        });
        assert!(ran.load(Ordering::SeqCst), "dropping the name of a worker does not end it");
    });
}

// WK-03.
#[test]
fn the_parent_port_holds_a_worker_only_while_it_has_a_handler() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let worker: Worker<u32, u32> = Worker::spawn(|port| {
                let replies = port.clone();
                port.on_message(move |number| {
                    replies.post(number * 2);
                    if number == 2 {
                        replies.off_message();
                    }
                });
            })
            .unwrap();
            let (said, gone, replying) = (log.clone(), log.clone(), worker.clone());
            worker.on_exit(move |code| gone.say(format!("exit {code}")));
            worker.on_message(move |double| {
                said.say(format!("{double}"));
                if double == 2 {
                    replying.post(2);
                }
            });
            worker.post(1);
        });
        assert_eq!(log.lines(), ["2", "4", "exit 0"]);
    });
}

// WK-04.
#[test]
fn messages_posted_before_the_worker_is_up_arrive_in_order() {
    const MESSAGES: u32 = 1000;
    bounded(|| {
        let received = run(|| {
            let received = Rc::new(RefCell::new(Vec::new()));
            let worker: Worker<u32, u32> = Worker::spawn(|port| {
                let replies = port.clone();
                set_immediate(move || {
                    port.on_message(move |number| {
                        replies.post(number);
                        if number == MESSAGES - 1 {
                            replies.off_message();
                        }
                    });
                });
            })
            .unwrap();
            (0..MESSAGES).for_each(|number| worker.post(number));
            let list = received.clone();
            worker.on_message(move |number| list.borrow_mut().push(number));
            received
        });
        assert_eq!(*received.borrow(), (0..MESSAGES).collect::<Vec<_>>());
    });
}

// WK-05.
#[test]
fn everything_posted_before_the_end_is_delivered_before_error_and_exit() {
    const MESSAGES: usize = 5000;
    bounded(|| {
        for fails in [false, true] {
            let log = Trace::new();
            run(|| {
                let worker: Worker<(), ()> = Worker::spawn(move |port| {
                    (0..MESSAGES).for_each(|_| port.post(()));
                    assert!(!fails, "the worker fails");
                    exit(0);
                })
                .unwrap();
                let (message, error, gone) = (log.clone(), log.clone(), log.clone());
                worker.on_exit(move |code| gone.say(format!("exit {code}")));
                worker.on_error(move |_| error.say("error"));
                worker.on_message(move |()| message.say("message"));
            });
            let lines = log.lines();
            assert_eq!(log.count("message"), MESSAGES);
            let end: &[&str] = if fails { &["error", "exit 1"] } else { &["exit 0"] };
            assert_eq!(&lines[MESSAGES..], end);
        }
    });
}

// WK-19.
#[test]
fn ids_are_unique_and_the_same_inside_and_out() {
    bounded(|| {
        block_on(async {
            let mut ids = HashSet::from([worker::id()]);
            for _ in 0..20 {
                let worker: Worker<(), u64> =
                    Worker::spawn(|port| port.post(worker::id())).unwrap();
                assert_eq!(worker.recv().await, Some(worker.id()));
                assert!(ids.insert(worker.id()), "an id came twice");
                assert_eq!(worker.join().await.unwrap(), 0);
            }
        });
    });
}

// WK-19.
#[test]
fn the_thread_of_a_worker_has_the_name_it_was_given_as_far_as_the_system_shows_it() {
    bounded(|| {
        block_on(async {
            let builder = Worker::<(), (String, String)>::builder().name("a-rather-long-name");
            let worker = builder
                .spawn(|port: Port<(String, String), ()>| {
                    let name = thread::current().name().unwrap().to_owned();
                    let shown = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
                    port.post((name, shown.trim_end().to_owned()));
                })
                .unwrap();
            let (name, shown) = worker.recv().await.unwrap();
            assert_eq!(name, "a-rather-long-name");
            assert_eq!(shown, "a-rather-long-n");
        });
    });
}

#[test]
fn a_task_that_receives_is_woken_for_a_message_and_for_no_other_news() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                let answers = port.clone();
                port.on_message(move |()| answers.post(()));
            })
            .unwrap();
            let online = worker.clone();
            worker.on_online(move || {
                set_immediate(move || online.post(()));
            });
            let (mut receive, mut polls) = (std::pin::pin!(worker.recv()), 0);
            let received = std::future::poll_fn(|cx| {
                polls += 1;
                receive.as_mut().poll(cx)
            });
            assert_eq!((received.await, polls), (Some(()), 2));
            worker.terminate().await;
        });
    });
}

#[test]
fn an_async_worker_lives_as_long_as_its_main_script() {
    bounded(|| {
        virtual_loop().block_on(async {
            let worker: Worker<u32, u32> = Worker::spawn_async(|port| async move {
                while let Some(number) = port.recv().await {
                    if number == 0 {
                        break;
                    }
                    windlass::time::sleep(Duration::from_millis(1)).await;
                    port.post(number + 1);
                }
            })
            .unwrap();
            for number in 1..10 {
                worker.post(number);
                assert_eq!(worker.recv().await, Some(number + 1));
            }
            worker.post(0);
            assert_eq!(worker.recv().await, None, "nothing comes from a worker that has ended");
            assert_eq!(worker.join().await.unwrap(), 0);
            assert_eq!(worker.join().await.unwrap(), 0, "and joining it again is no trouble");
        });
    });
}

// WK-18.
#[test]
fn start_data_is_moved_in_and_released_at_the_end() {
    bounded(|| {
        let token = Arc::new(());
        let held = token.clone();
        block_on(async {
            let data = noise(18, 1000);
            let (sent, address) = (data.clone(), data.as_ptr() as usize);
            let worker: Worker<(), (Vec<u8>, usize)> = Worker::spawn(move |port| {
                let _held = held;
                let address = data.as_ptr() as usize;
                port.post((data, address));
            })
            .unwrap();
            assert_eq!(worker.recv().await, Some((sent, address)));
            worker.join().await.unwrap();
        });
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

#[test]
fn posting_to_an_ended_worker_drops_the_message_and_try_post_gives_it_back() {
    bounded(|| {
        block_on(async {
            let worker: Worker<Arc<()>, ()> = Worker::spawn(|_| ()).unwrap();
            worker.join().await.unwrap();
            let token = Arc::new(());
            worker.post(token.clone());
            assert_eq!(Arc::strong_count(&token), 1);
            let given_back = worker.try_post(token.clone()).unwrap_err();
            assert!(Arc::ptr_eq(&given_back, &token));
        });
    });
}

#[test]
fn off_message_lets_messages_wait_for_the_next_handler() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            // The worker lives on until it is told to end, so that its exit does not interfere.
            let worker: Worker<(), u32> = Worker::spawn(|port| {
                (1..=3).for_each(|number| port.post(number));
                port.on_message(|()| exit(0));
            })
            .unwrap();
            let (first, second, myself) = (log.clone(), log.clone(), worker.clone());
            worker.on_message(move |number| {
                first.say(format!("first {number}"));
                myself.off_message();
                let (second, again) = (second.clone(), myself.clone());
                after_iterations(3, move || {
                    let ending = again.clone();
                    again.on_message(move |number| {
                        second.say(format!("second {number}"));
                        if number == 3 {
                            ending.post(());
                        }
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["first 1", "second 2", "second 3"]);
    });
}

// ---- Failing ----

// WK-06.
#[test]
fn a_panic_at_start_or_later_is_one_error_with_its_message_and_then_exit_one() {
    bounded(|| {
        for at_start in [true, false] {
            let log = Trace::new();
            run(|| {
                let worker: Worker<(), ()> = Worker::spawn(move |port| {
                    port.on_message(|()| ());
                    assert!(!at_start, "failed at start");
                    set_immediate(|| panic!("failed later"));
                })
                .unwrap();
                let other: Worker<(), ()> = Worker::spawn(|port| {
                    let replies = port.clone();
                    port.on_message(move |()| {
                        replies.post(());
                        replies.off_message();
                    });
                })
                .unwrap();
                let (error, gone, answer) = (log.clone(), log.clone(), log.clone());
                worker.on_error(move |failure| match failure {
                    WorkerError::Panicked(message) => error.say(message),
                    failure => panic!("{failure}"),
                });
                other.on_message(move |()| answer.say("the other goes on"));
                worker.on_exit(move |code| {
                    gone.say(format!("exit {code}"));
                    other.post(());
                });
            });
            let message = if at_start { "failed at start" } else { "failed later" };
            assert_eq!(log.lines(), [message, "exit 1", "the other goes on"]);
        }
    });
}

// WK-06.
#[test]
fn a_pending_join_gets_the_panic() {
    bounded(|| {
        block_on(async {
            let worker: Worker<(), ()> = Worker::spawn(|port| {
                port.on_message(|()| panic!("told to fail"));
            })
            .unwrap();
            let joining = worker.clone();
            let join = spawn(async move { joining.join().await });
            iterations(2).await;
            worker.post(());
            match join.await.unwrap() {
                Err(WorkerError::Panicked(message)) => assert_eq!(message, "told to fail"),
                other => panic!("{other:?}"),
            }
        });
    });
}

// WK-06.
#[test]
fn a_panic_that_nobody_awaits_is_uncaught_at_the_parent() {
    bounded(|| {
        fn failing() -> Worker<(), ()> {
            Worker::spawn(|_| panic!("nobody looks")).unwrap()
        }
        let log = Trace::new();
        run(|| {
            let (hook, gone) = (log.clone(), log.clone());
            on_uncaught(move |uncaught| {
                assert!(uncaught.message().contains("nobody looks"), "{}", uncaught.message());
                hook.say("uncaught");
            });
            failing().on_exit(move |code| gone.say(format!("exit {code}")));
        });
        assert_eq!(log.lines(), ["uncaught", "exit 1"]);
        assert!(catch_unwind(|| run(|| drop(failing()))).is_err(), "without a hook it leaves run");
    });
}

// WK-14.
#[test]
fn the_failure_of_a_nested_worker_reaches_the_worker_that_made_it() {
    fn start_failing() {
        let inner: Worker<(), ()> = Worker::spawn(|_| panic!("inner fails")).unwrap();
        drop(inner);
    }
    bounded(|| {
        block_on(async {
            on_uncaught(|uncaught| panic!("not for the main thread: {}", uncaught.message()));
            let outer: Worker<(), String> = Worker::spawn(|port| {
                on_uncaught(move |uncaught| port.post(uncaught.message().to_owned()));
                start_failing();
            })
            .unwrap();
            assert!(outer.recv().await.is_some_and(|message| message.contains("inner fails")));
            assert_eq!(outer.join().await.unwrap(), 0);
            // Without a hook it is the outer worker that fails.
            let outer: Worker<(), ()> = Worker::spawn(|_| start_failing()).unwrap();
            match outer.join().await {
                Err(WorkerError::Panicked(message)) => assert!(message.contains("inner fails")),
                other => panic!("{other:?}"),
            }
        });
    });
}

// ---- exit ----

// Z-03: a cycle that the end of the worker breaks, long before the end of the loop.
#[test]
fn a_handler_that_holds_its_own_worker_is_released_when_the_worker_has_exited() {
    bounded(|| {
        let held = Rc::new(());
        run(|| {
            for posts in [false, true] {
                let worker: Worker<(), ()> = Worker::spawn(move |port| {
                    if posts {
                        port.post(());
                    }
                })
                .unwrap();
                let (own, guard) = (worker.clone(), held.clone());
                worker.on_message(move |()| drop((own.id(), guard.clone())));
                let (late, guard, outer) = (worker.clone(), held.clone(), held.clone());
                worker.on_exit(move |_| {
                    assert!(Rc::strong_count(&outer) > 1);
                    // One that comes after the exit is released too.
                    let own = late.clone();
                    late.on_message(move |()| drop((own.id(), guard.clone())));
                });
            }
            let held = held.clone();
            windlass::on_before_exit(move || assert_eq!(Rc::strong_count(&held), 2));
        });
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

// WK-07.
#[test]
fn exit_stops_a_worker_after_the_current_callback_and_exit_hooks_may_change_the_code() {
    bounded(|| {
        for hook_changes_the_code in [false, true] {
            let log = Trace::new();
            run(|| {
                let worker: Worker<(), String> = Worker::spawn(move |port| {
                    port.on_message(|()| ());
                    let say = move |line: String| port.post(line);
                    let late = say.clone();
                    let hook = say.clone();
                    on_exit(move |code| {
                        hook(format!("hook {code}"));
                        if hook_changes_the_code {
                            exit(7);
                        }
                    });
                    set_immediate(move || {
                        exit(3);
                        set_immediate(|| panic!("an immediate after exit"));
                        set_timeout(Duration::ZERO, || panic!("a timer after exit"));
                        next_tick(|| panic!("a tick after exit"));
                        queue_microtask(|| panic!("a microtask after exit"));
                        late("the rest of the callback".to_owned());
                    });
                    set_immediate(|| panic!("the next immediate of the batch"));
                })
                .unwrap();
                let (message, gone) = (log.clone(), log.clone());
                worker.on_message(move |line| message.say(line));
                worker.on_exit(move |code| gone.say(format!("exit {code}")));
            });
            let end = if hook_changes_the_code { "exit 7" } else { "exit 3" };
            assert_eq!(log.lines(), ["the rest of the callback", "hook 3", end]);
        }
    });
}

// As in Node, where the exit event comes after an exception that nobody caught.
#[test]
fn the_exit_hooks_of_a_worker_that_panics_run_and_its_code_is_one() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let worker: Worker<(), String> = Worker::spawn(move |port| {
                let hook = port.clone();
                on_exit(move |code| hook.post(format!("hook {code}")));
                set_immediate(|| panic!("oh"));
                set_immediate(|| unreachable!("the worker is over"));
            })
            .unwrap();
            let (message, failed, gone) = (log.clone(), log.clone(), log.clone());
            worker.on_message(move |line| message.say(line));
            worker.on_error(move |error| failed.say(error.to_string()));
            worker.on_exit(move |code| gone.say(format!("exit {code}")));
        });
        assert_eq!(log.lines(), ["hook 1", "the worker panicked: oh", "exit 1"]);
    });
}

#[test]
fn exit_in_a_workers_main_script_ends_it_with_that_code() {
    bounded(|| {
        block_on(async {
            let worker: Worker<(), ()> = Worker::spawn(|port| {
                port.on_message(|()| ());
                set_timeout(Duration::ZERO, || panic!("a timer after exit"));
                exit(42);
            })
            .unwrap();
            assert_eq!(worker.join().await.unwrap(), 42);
        });
    });
}

// ---- terminate ----

// WK-08.
#[test]
fn terminate_wakes_a_blocked_worker_and_resolves_when_its_thread_is_gone() {
    bounded(|| {
        block_on(async {
            let thread_gone = Arc::new(AtomicBool::new(false));
            let flag = thread_gone.clone();
            let worker: Worker<(), ()> = Worker::spawn(move |port| {
                flag_at_the_end_of_this_thread(flag);
                port.post(());
                port.on_message(|()| ());
            })
            .unwrap();
            worker.recv().await.unwrap();
            let (first, second) = (worker.terminate(), worker.terminate());
            assert_eq!(first.await, 1);
            assert!(thread_gone.load(Ordering::SeqCst));
            assert_eq!(second.await, 1, "terminating twice is terminating once");
            assert_eq!(worker.terminate().await, 1, "and so is terminating afterwards");
        });
    });
}

/// Nothing else tells it: it has no port to the parent any more.
#[test]
fn terminate_wakes_a_worker_that_has_closed_its_port() {
    bounded(|| {
        let code = block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                port.close();
                set_timeout(Duration::from_secs(3600), || ());
            });
            let worker = worker.unwrap();
            let online = Rc::new(Cell::new(false));
            let flag = online.clone();
            worker.on_online(move || flag.set(true));
            until(|| online.get()).await;
            // Long enough for it to be asleep.
            windlass::time::sleep(Duration::from_millis(20)).await;
            worker.terminate().await
        });
        assert_eq!(code, 1);
    });
}

// WK-08.
#[test]
fn terminate_works_before_the_thread_has_started_and_after_it_ended() {
    bounded(|| {
        block_on(async {
            for _ in 0..50 {
                let worker = idle_worker();
                assert_eq!(worker.terminate().await, 1);
            }
            let worker: Worker<(), ()> = Worker::spawn(|_| exit(5)).unwrap();
            assert_eq!(worker.join().await.unwrap(), 5);
            assert_eq!(worker.terminate().await, 5, "it had ended by itself");
        });
    });
}

// WK-08.
#[test]
fn a_terminated_worker_gives_one_exit_and_a_join_tells_that_it_was_terminated() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let worker = idle_worker();
            let (gone, terminated, myself) = (log.clone(), log.clone(), worker.clone());
            worker.on_exit(move |code| gone.say(format!("exit {code}")));
            worker.on_message(move |()| {
                let terminated = terminated.clone();
                myself
                    .terminate()
                    .on_complete(move |code| terminated.say(format!("terminated {code}")));
            });
        });
        let mut lines = log.lines();
        lines.sort();
        assert_eq!(lines, ["exit 1", "terminated 1"]);
        block_on(async {
            let worker = idle_worker();
            worker.recv().await.unwrap();
            drop(worker.terminate());
            let end = worker.join().await;
            assert!(matches!(end, Err(WorkerError::Terminated)), "{end:?}");
        });
    });
}

// WK-09.
#[test]
fn terminate_breaks_endless_chains() {
    fn tick() {
        next_tick(tick);
    }
    fn microtask() {
        queue_microtask(microtask);
    }
    fn immediate() {
        set_immediate(immediate);
    }
    fn timer() {
        set_timeout(Duration::ZERO, timer);
    }
    fn interval() {
        set_interval(Duration::ZERO, |_| ());
    }
    fn task() {
        drop(spawn(std::future::poll_fn(|context| -> std::task::Poll<()> {
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })));
    }
    fn messages() {
        let (one, other) = worker::channel::<(), ()>();
        let (one, other) = (one.open(), other.open());
        one.post(());
        let (to_other, to_one) = (one.clone(), other.clone());
        one.on_message(move |()| to_other.post(()));
        other.on_message(move |()| to_one.post(()));
    }
    bounded(|| {
        block_on(async {
            for chain in [tick, microtask, immediate, timer, interval, task, messages] as [fn(); 7]
            {
                let worker: Worker<(), ()> = Worker::spawn(move |port| {
                    port.on_message(|()| ());
                    port.post(());
                    chain();
                })
                .unwrap();
                worker.recv().await.unwrap();
                assert_eq!(worker.terminate().await, 1);
            }
        });
    });
}

// WK-10.
#[test]
fn a_callback_that_does_not_return_can_ask_whether_it_should() {
    bounded(|| {
        block_on(async {
            let noticed = Arc::new(AtomicBool::new(false));
            let flag = noticed.clone();
            let worker: Worker<(), ()> = Worker::spawn(move |port| {
                assert!(!worker::is_terminating());
                port.post(());
                while !worker::is_terminating() {
                    thread::yield_now();
                }
                flag.store(true, Ordering::SeqCst);
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
            assert!(noticed.load(Ordering::SeqCst));
        });
    });
}

// WK-10.
#[test]
fn a_checkpoint_ends_a_worker_that_was_told_to_and_unwinds_its_callback() {
    bounded(|| {
        block_on(async {
            let (tell, dropped) = mpsc::channel();
            let worker: Worker<(), ()> = Worker::spawn(move |port| {
                let _guard = Tell(tell);
                port.post(());
                loop {
                    worker::checkpoint();
                    thread::yield_now();
                }
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
            dropped.try_recv().expect("the guard of the callback was dropped");
            worker::checkpoint(); // Outside a worker it does nothing.
            assert!(!worker::is_terminating());
        });
    });
}

// WK-11.
#[test]
fn at_its_exit_all_sockets_and_callbacks_of_a_worker_are_gone() {
    bounded(|| {
        for terminated in [true, false] {
            block_on(async {
                let (tell, dropped) = mpsc::channel();
                let worker: Worker<(), SocketAddr> = Worker::spawn(move |port| {
                    let guard = Tell(tell);
                    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                    let addr = listener.local_addr().unwrap();
                    let replies = port.clone();
                    listener.on_connection(move |connection| {
                        let _guard = &guard;
                        connection.unwrap().read_start(|_, _| panic!("the client says nothing"));
                        replies.post(addr);
                    });
                    port.on_message(|()| exit(0));
                    port.post(addr);
                })
                .unwrap();
                let addr = worker.recv().await.unwrap();
                let mut client = StdStream::connect(addr).unwrap();
                worker.recv().await.unwrap();
                if terminated {
                    assert_eq!(worker.terminate().await, 1);
                } else {
                    worker.post(());
                    assert_eq!(worker.join().await.unwrap(), 0);
                }
                dropped.try_recv().expect("the callback was dropped");
                assert!(
                    matches!(client.read(&mut [0]), Ok(0) | Err(_)),
                    "the connection is closed"
                );
                assert!(StdStream::connect(addr).is_err(), "the listener is closed");
            });
        }
    });
}

// WK-12.
#[test]
fn work_in_flight_when_a_worker_is_terminated_is_dropped_without_harm() {
    bounded(|| {
        block_on(async {
            let (release, gate) = mpsc::channel::<()>();
            let (tell, ended) = mpsc::channel();
            let (tell_begun, begun) = mpsc::channel();
            let worker: Worker<(), ()> = Worker::spawn(move |port| {
                queue_work(move || {
                    tell_begun.send(()).unwrap();
                    gate.recv().ok();
                    tell.send(()).unwrap();
                })
                .on_complete(|_| panic!("its loop is gone"));
                begun.recv().unwrap();
                for _ in 0..10 {
                    drop(fs::metadata("/"));
                    drop(windlass::dns::lookup("localhost"));
                }
                with_peer(move |stream, peer| {
                    drop(stream.write_owned(vec![0; 24 << 20]));
                    port.post(());
                    // The peer does not read, so the write is on its way until the end.
                    set_interval(Duration::from_millis(10), move |_| {
                        let _held = &peer;
                    });
                });
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1, "the job still runs, and is not waited for");
            drop(release);
            ended.recv().unwrap();
        });
    });
}

// WK-13.
#[test]
fn ending_a_worker_ends_the_workers_it_made_first() {
    bounded(|| {
        for terminated in [true, false] {
            block_on(async {
                let inner_gone = Arc::new(AtomicBool::new(false));
                let flag = inner_gone.clone();
                let outer: Worker<(), ()> = Worker::spawn(move |port| {
                    let inner: Worker<(), ()> = Worker::spawn(move |port| {
                        flag_at_the_end_of_this_thread(flag);
                        port.post(());
                        port.on_message(|()| ());
                    })
                    .unwrap();
                    let up = port.clone();
                    inner.on_message(move |()| up.post(()));
                    port.on_message(|()| exit(0));
                })
                .unwrap();
                outer.recv().await.unwrap();
                assert!(!inner_gone.load(Ordering::SeqCst));
                if terminated {
                    assert_eq!(outer.terminate().await, 1);
                } else {
                    outer.post(());
                    assert_eq!(outer.join().await.unwrap(), 0);
                }
                assert!(inner_gone.load(Ordering::SeqCst));
            });
        }
    });
}

// WK-13. The limit is a second.
#[test]
fn a_nested_worker_whose_callback_does_not_return_is_waited_for_only_so_long() {
    bounded(|| {
        block_on(async {
            let (release, gate) = mpsc::channel::<()>();
            let (tell, ended) = mpsc::channel();
            let outer: Worker<(), ()> = Worker::spawn(move |port| {
                let inner: Worker<(), ()> = Worker::spawn(move |port| {
                    port.post(());
                    gate.recv().ok();
                    port.post(()); // Nobody is there to get it.
                    tell.send(()).unwrap();
                })
                .unwrap();
                inner.on_message(move |()| port.post(()));
            })
            .unwrap();
            outer.recv().await.unwrap();
            assert_eq!(outer.terminate().await, 1);
            drop(release);
            ended.recv().unwrap();
        });
    });
}

// WK-15.
#[test]
fn an_unreferenced_worker_does_not_hold_the_loop_but_terminating_it_resolves() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let worker = idle_worker();
            worker.unref();
            let said = log.clone();
            worker.on_message(move |()| said.say("message"));
            worker.unref();
        });
        run(|| {
            let worker = idle_worker();
            let said = log.clone();
            worker.unref();
            worker.terminate().on_complete(move |code| said.say(format!("terminated {code}")));
        });
        assert_eq!(log.count("terminated 1"), 1);
        run(|| {
            let worker = idle_worker();
            worker.unref();
            worker.set_ref(true);
            let (said, myself) = (log.clone(), worker.clone());
            worker.on_message(move |()| {
                said.say("referenced again");
                myself.unref();
            });
        });
        assert_eq!(log.count("referenced again"), 1);
    });
}

// WK-16.
#[test]
fn when_the_program_ends_running_workers_are_stopped_without_their_exit_callbacks() {
    bounded(|| {
        let (tell, dropped) = mpsc::channel();
        run(|| {
            let worker: Worker<(), ()> = Worker::spawn(move |port| {
                let guard = Tell(tell);
                port.on_message(move |()| drop(guard.0.clone()));
                port.post(());
            })
            .unwrap();
            worker.on_exit(|_| panic!("the program had ended"));
            worker.on_message(|()| exit(0));
        });
        // Comes when the worker's callbacks are dropped, and fails when they never are.
        dropped.recv().unwrap();
    });
}

// WK-16.
#[test]
fn when_a_panic_ends_the_program_its_workers_are_stopped() {
    bounded(|| {
        let (tell, dropped) = mpsc::channel();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                let worker: Worker<(), ()> = Worker::spawn(move |port| {
                    let guard = Tell(tell);
                    port.on_message(move |()| drop(guard.0.clone()));
                    port.post(());
                })
                .unwrap();
                worker.on_message(|()| panic!("the program fails"));
            });
        }));
        assert!(outcome.is_err());
        dropped.recv().unwrap();
    });
}

// ME-06, for the basics of WK.
#[test]
fn the_figures_of_a_worker_are_zero_before_it_runs_and_after_its_exit() {
    bounded(|| {
        block_on(async {
            let worker = idle_worker();
            worker.recv().await.unwrap();
            worker.post(());
            until(|| worker.metrics().iterations > 0).await;
            assert_eq!(worker.terminate().await, 1);
            let after = worker.metrics();
            assert_eq!((after.iterations, after.events), (0, 0));
            assert_eq!(after.idle_time + after.active_time, Duration::ZERO);
        });
    });
}

#[test]
fn many_workers_at_once_answer_their_own_parent_each() {
    const WORKERS: usize = 16;
    bounded(|| {
        let sum = Arc::new(AtomicUsize::new(0));
        run(|| {
            for number in 0..WORKERS {
                let worker: Worker<usize, usize> = Worker::spawn(|port| {
                    let replies = port.clone();
                    port.on_message(move |count| {
                        replies.post(count);
                        replies.off_message();
                    });
                })
                .unwrap();
                let sum = sum.clone();
                worker.on_message(move |count| {
                    assert_eq!(count, number);
                    sum.fetch_add(count, Ordering::SeqCst);
                });
                worker.post(number);
            }
        });
        assert_eq!(sum.load(Ordering::SeqCst), WORKERS * (WORKERS - 1) / 2);
    });
}

#[test]
fn a_workers_loop_has_the_name_of_the_worker_or_its_number() {
    let names = windlass::block_on(async {
        let name = |port: Port<String, ()>| port.post(windlass::Loop::current().name());
        let named = Worker::builder().name("sums").spawn(name).unwrap();
        let other = Worker::spawn(name).unwrap();
        let expected = format!("worker {}", other.id());
        (named.recv().await, other.recv().await, expected)
    });
    assert_eq!(names.0.as_deref(), Some("sums"));
    assert_eq!(names.1, Some(names.2));
}
