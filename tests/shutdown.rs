//! How a loop ends: exit, its hooks, the teardown, and what becomes of whatever outlives it.
//! Section Z of the list of behaviours, with the exit rules of Node.

mod common;

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io;
use std::net::TcpListener as StdListener;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::{TcpListener, TcpStream};
use windlass::{
    Loop, LoopGone, RunMode, next_tick, on_before_exit, on_exit, queue_microtask, queue_work,
    set_exit_code, set_immediate, set_interval, set_timeout, set_timer, spawn,
};

fn is_loop_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<LoopGone>())
}

// What `main` gives, run gives; and its hooks come after all else.
#[test]
fn run_returns_what_main_returned_after_the_loop_has_ended() {
    let trace = Trace::new();
    let output = windlass::run(|| {
        let inner = trace.clone();
        on_exit(move |code| inner.say(format!("exit {code}")));
        on_before_exit(trace.says("before exit"));
        set_immediate(trace.says("immediate"));
        "output"
    });
    assert_eq!(output, "output");
    trace.expect(&["immediate", "before exit", "exit 0"]);
}

// Conformance rule 19.
#[test]
fn before_exit_comes_again_when_it_armed_something_but_not_for_ticks() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        let (inner, times) = (trace.clone(), Counter::new());
        on_before_exit(move || {
            inner.say("before exit");
            next_tick(inner.says("tick"));
            queue_microtask(inner.says("microtask"));
            if times.add() == 1 {
                set_timeout(ms(1), inner.says("timer"));
            }
        });
        let inner = trace.clone();
        on_exit(move |_| inner.say("exit"));
    });
    trace.expect(&[
        "before exit",
        "tick",
        "microtask",
        "timer",
        "before exit",
        "tick",
        "microtask",
        "exit",
    ]);
}

#[test]
fn hooks_accumulate_in_order() {
    let trace = Trace::new();
    windlass::run(|| {
        for label in ["before 1", "before 2"] {
            on_before_exit(trace.says(label));
        }
        for label in ["exit 1", "exit 2", "exit 3"] {
            let inner = trace.clone();
            on_exit(move |_| inner.say(label));
        }
    });
    trace.expect(&["before 1", "before 2", "exit 1", "exit 2", "exit 3"]);
}

// Conformance rule 20.
#[test]
fn exit_ends_the_loop_at_once_and_runs_the_exit_hooks_only() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        on_before_exit(trace.says("before exit"));
        let inner = trace.clone();
        on_exit(move |code| inner.say(format!("exit {code}")));
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            inner.say("timer 1");
            next_tick(inner.says("tick"));
            queue_microtask(inner.says("microtask"));
            set_immediate(inner.says("immediate"));
            windlass::exit(5);
        });
        set_timeout(ms(1), trace.says("timer 2"));
        set_interval(ms(1), |_| panic!("nothing runs after the exit"));
    });
    trace.expect(&["timer 1", "exit 5"]);
}

#[test]
fn exit_ends_the_loop_in_the_middle_of_a_drain() {
    for from_microtask in [false, true] {
        let trace = Trace::new();
        virtual_loop().run(|| {
            let inner = trace.clone();
            on_exit(move |code| inner.say(format!("exit {code}")));
            next_tick(trace.says("tick 1"));
            if from_microtask {
                queue_microtask(|| windlass::exit(1));
            } else {
                next_tick(|| windlass::exit(1));
                next_tick(trace.says("tick 3"));
            }
            queue_microtask(trace.says("microtask"));
            set_timeout(ms(1), trace.says("timer"));
        });
        trace.expect(&["tick 1", "exit 1"]);
    }
}

#[test]
fn exit_from_main_a_task_an_immediate_or_before_exit_ends_the_loop() {
    let ways: [fn(); 4] = [
        || windlass::exit(9),
        || drop(spawn(async { windlass::exit(9) })),
        || {
            set_immediate(|| windlass::exit(9));
        },
        || on_before_exit(|| windlass::exit(9)),
    ];
    for way in ways {
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            on_exit(move |code| inner.say(format!("exit {code}")));
            way();
        });
        trace.expect(&["exit 9"]);
    }
}

#[test]
fn the_first_exit_hook_may_change_the_code_for_the_next() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        for _ in 0..2 {
            let inner = trace.clone();
            on_exit(move |code| {
                inner.say(format!("exit {code}"));
                set_exit_code(code + 1);
            });
        }
        windlass::exit(3);
    });
    trace.expect(&["exit 3", "exit 4"]);
    assert_eq!(event_loop.exit_code(), 5);
}

#[test]
fn an_exit_code_may_be_set_without_ending_anything() {
    let trace = Trace::new();
    let code = windlass::run_main(|| {
        set_exit_code(7);
        let inner = trace.clone();
        on_exit(move |code| inner.say(format!("exit {code}")));
        set_immediate(trace.says("immediate"));
    });
    trace.expect(&["immediate", "exit 7"]);
    assert_eq!(code, ExitCode::from(7));
}

#[test]
fn run_main_gives_the_code_of_exit_or_zero() {
    assert_eq!(windlass::run_main(|| {}), ExitCode::SUCCESS);
    assert_eq!(
        windlass::run_main(|| {
            set_immediate(|| {});
        }),
        ExitCode::SUCCESS
    );
    assert_eq!(windlass::run_main(|| windlass::exit(42)), ExitCode::from(42));
    assert_eq!(
        windlass::run_main(|| {
            set_immediate(|| windlass::exit(43));
        }),
        ExitCode::from(43)
    );
}

#[test]
fn a_loop_that_exited_is_closed_and_refuses_to_turn() {
    let event_loop = virtual_loop();
    event_loop.enter(|| set_timeout(ms(1), || windlass::exit(2)));
    assert!(!event_loop.turn(RunMode::Default), "an exited loop is not alive");
    assert_eq!(event_loop.exit_code(), 2);
    assert!(!event_loop.is_alive());
    assert!(panic_of(|| event_loop.turn(RunMode::Default)).contains("closed"));
    assert!(panic_of(|| event_loop.run(|| {})).contains("closed"));
    assert!(panic_of(|| event_loop.block_on(async {})).contains("closed"));
}

// As in Node, which tells those who listen when the event is emitted.
#[test]
fn a_hook_that_an_exit_hook_adds_is_dropped() {
    let (trace, dropped) = (Trace::new(), Counter::new());
    virtual_loop().run(|| {
        let (inner, guard) = (trace.clone(), dropped.on_drop());
        on_exit(move |_| {
            inner.say("first");
            on_exit(move |_| guard.touch());
        });
        let inner = trace.clone();
        on_exit(move |_| inner.say("second"));
    });
    trace.expect(&["first", "second"]);
    assert_eq!(dropped.get(), 1);
}

// As in Node, where `process.exit` in an exit handler is the end.
#[test]
fn an_exit_inside_an_exit_hook_sets_the_code_and_is_the_last() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        for label in ["first", "second"] {
            let inner = trace.clone();
            on_exit(move |_| {
                inner.say(label);
                on_exit(|_| unreachable!("nothing of an ended program runs"));
                windlass::exit(8);
            });
        }
        windlass::exit(1);
    });
    trace.expect(&["first"]);
    assert_eq!(event_loop.exit_code(), 8);
}

// As in Node, where `process.exit` calls the exit handlers wherever it is called.
#[test]
fn an_exit_that_no_turn_follows_runs_the_exit_hooks_at_the_loops_end() {
    fn exited(trace: &Trace) -> Loop {
        let event_loop = virtual_loop();
        event_loop.enter(|| {
            let (first, second) = (trace.clone(), trace.clone());
            next_tick(|| unreachable!("nothing of an ended program runs"));
            on_exit(move |code| {
                // The last name of the loop goes here, in the middle of its end.
                assert_eq!(Loop::current().exit_code(), code);
                assert!(Loop::current().close().is_err(), "not from inside");
                panic_of(|| Loop::current().turn(RunMode::NoWait));
                first.say(format!("first {code}"));
                set_exit_code(4);
                set_immediate(|| unreachable!("nor what a hook queues"));
            });
            on_exit(move |code| second.say(format!("second {code}")));
            windlass::exit(3);
        });
        event_loop
    }
    let trace = Trace::new();
    drop(exited(&trace));
    trace.expect(&["first 3", "second 4"]);

    let trace = Trace::new();
    let event_loop = virtual_loop();
    let label = trace.clone();
    event_loop.enter(|| {
        on_exit(move |code| label.say(format!("closed {code}")));
        windlass::exit(5);
    });
    event_loop.close().expect("nothing is left on it");
    trace.expect(&["closed 5"]);
    drop(event_loop);
    trace.expect(&[]);

    let trace = Trace::new();
    let event_loop = exited(&trace);
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["first 3", "second 4"]);
    drop(event_loop);
    trace.expect(&[]);
}

#[test]
fn a_loop_that_is_dropped_without_an_exit_runs_no_exit_hook() {
    let dropped = Counter::new();
    let event_loop = virtual_loop();
    let guard = dropped.on_drop();
    event_loop.enter(|| {
        on_exit(move |_| {
            guard.touch();
            unreachable!("the program has not come to its end");
        });
    });
    drop(event_loop);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn the_exit_hooks_of_a_loop_in_a_thread_local_run_at_thread_exit() {
    thread_local! {
        static KEPT: RefCell<Option<Loop>> = const { RefCell::new(None) };
    }
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let event_loop = real_loop();
        event_loop.enter(|| {
            on_exit(move |code| tell.send(code).unwrap());
            windlass::exit(6);
        });
        KEPT.set(Some(event_loop));
    })
    .join()
    .expect("the thread ends without a panic");
    assert_eq!(told.recv(), Ok(6));
}

/// Arms one of everything that holds a callback; each callback captures a value that counts its own
/// end, and none may run. Returns how many there are.
fn arm_everything(dropped: &Counter) -> usize {
    let before = Counter::new();
    let guard = || {
        before.add();
        dropped.on_drop()
    };
    let never = |guard: common::CountsDrop| {
        move || {
            guard.touch();
            unreachable!("it is never called");
        }
    };

    next_tick(never(guard()));
    queue_microtask(never(guard()));
    set_immediate(never(guard()));
    set_timeout(HOUR, never(guard()));
    let callback = never(guard());
    set_interval(HOUR, move |_| callback());
    let callback = never(guard());
    set_timer(HOUR, move |_| callback());
    Idle::start(never(guard()));
    Prepare::start(never(guard()));
    Check::start(never(guard()));
    // A notifier closes with its last clone; this one is kept by its own callback.
    let slot = Slot::new();
    let (callback, own) = (never(guard()), slot.clone());
    slot.put(Notifier::new(move || {
        let _own: &Notifier = own.get();
        callback();
    }));
    let held = guard();
    spawn(async move {
        held.touch();
        pending::<()>().await;
    });
    let held = guard();
    spawn(async move {
        windlass::time::sleep(HOUR).await;
        held.touch();
    });
    let callback = never(guard());
    queue_work(|| ()).on_complete(move |_| callback());
    let callback = never(guard());
    windlass::fs::read("/").on_complete(move |_| callback());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let callback = never(guard());
    listener.on_connection(move |_| callback());
    let callback = never(guard());
    TcpStream::connect(listener.local_addr().expect("its address"))
        .on_complete(move |_| callback());
    before.get()
}

// Z-01
#[test]
fn dropping_a_loop_drops_every_callback_once_and_calls_none() {
    let dropped = Counter::new();
    let event_loop = real_loop();
    let armed = event_loop.enter(|| arm_everything(&dropped));
    assert_eq!(dropped.get(), 0);
    drop(event_loop);
    assert_eq!(dropped.get(), armed);
}

// Z-01: the same at the end of a run that `exit` cut short.
#[test]
fn an_exit_drops_every_callback_once_and_calls_none() {
    let dropped = Counter::new();
    let armed = windlass::run(|| {
        let armed = arm_everything(&dropped);
        windlass::exit(0);
        armed
    });
    assert_eq!(dropped.get(), armed);
}

// Z-01: what the free run leaves behind when nothing holds it alive.
#[test]
fn the_end_of_run_drops_what_is_unref_or_waits_for_ever() {
    let dropped = Counter::new();
    let armed = windlass::run(|| {
        let guard = dropped.on_drop();
        set_interval(HOUR, move |_| guard.touch()).unref();
        let guard = dropped.on_drop();
        set_immediate(move || guard.touch()).unref();
        let guard = dropped.on_drop();
        Idle::start(move || guard.touch()).unref();
        let guard = dropped.on_drop();
        let slot = Slot::new();
        let own = slot.clone();
        slot.put(Notifier::new(move || {
            let _own: &Notifier = own.get();
            guard.touch();
        }));
        slot.get().unref();
        let guard = dropped.on_drop();
        spawn(async move {
            pending::<()>().await;
            guard.touch();
        });
        let guard = dropped.on_drop();
        on_before_exit(move || guard.touch());
        let guard = dropped.on_drop();
        on_exit(move |_| guard.touch());
        let guard = dropped.on_drop();
        windlass::on_uncaught(move |_| guard.touch());
        8
    });
    assert_eq!(dropped.get(), armed);
}

// Z-01
#[test]
fn closing_a_loop_drops_what_is_left() {
    let dropped = Counter::new();
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        let guard = dropped.on_drop();
        on_exit(move |_| guard.touch());
        let guard = dropped.on_drop();
        spawn(async move {
            pending::<()>().await;
            guard.touch();
        });
    });
    event_loop.turn(RunMode::Default);
    event_loop.close().expect("nothing is open");
    assert_eq!(dropped.get(), 2);
}

// Z-02
#[test]
fn ids_and_handles_that_outlive_their_loop_do_nothing() {
    let event_loop = real_loop();
    let (timer, timer_on, interval, immediate) = event_loop.enter(|| {
        (
            set_timeout(ms(1), || {}),
            set_timer(ms(1), |_| {}),
            set_interval(ms(1), |_| {}),
            set_immediate(|| {}),
        )
    });
    let (idle, prepare, check) =
        event_loop.enter(|| (Idle::start(|| {}), Prepare::start(|| {}), Check::start(|| {})));
    let notifier = event_loop.enter(|| Notifier::new(|| {}));
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a listener");
    let keep_alive = event_loop.keep_alive();
    let task = event_loop.enter(|| spawn(async {}));
    let remote = event_loop.remote();
    drop(event_loop);

    // Another loop on the thread, so that a stale id would find something to hit.
    let trace = Trace::new();
    virtual_loop().run(|| {
        set_timeout(ms(1), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        for id in [timer, timer_on, interval] {
            id.clear();
            id.refresh();
            id.unref();
            id.set_ref(true);
            assert!(!id.is_active());
            assert_eq!(id.due_in(), None);
        }
        immediate.clear();
        immediate.unref();
        idle.stop();
        prepare.stop();
        check.unref();
        assert!(!idle.is_active());
        notifier.notify();
        notifier.unref();
        notifier.close();
        listener.on_connection(|_| unreachable!("its loop is gone"));
        listener.unref();
        listener.close();
        task.abort();
        drop(keep_alive);
        remote.stop();
        assert!(remote.post(|| {}).is_err());
    });
    let mut lines = trace.take();
    lines.sort();
    assert_eq!(lines, ["immediate", "timer"]);
}

// Z-02
#[test]
fn a_future_of_a_result_resolves_with_shut_down_when_its_loop_is_gone() {
    let event_loop = real_loop();
    let (read, connect, job) = event_loop
        .enter(|| (windlass::fs::read("/"), TcpStream::connect("127.0.0.1:9"), queue_work(|| 1)));
    drop(event_loop);
    let other = real_loop();
    other.block_on(async {
        let error = read.await.expect_err("its loop is gone");
        assert!(is_loop_gone(&error), "{error}");
        let error = connect.await.expect_err("its loop is gone");
        assert!(is_loop_gone(&error), "{error}");
        assert!(job.await.is_err());
    });
}

// Z-02: tasks of a loop that is gone.
#[test]
fn awaiting_a_task_of_a_loop_that_is_gone_is_an_error() {
    let event_loop = real_loop();
    let task = event_loop.enter(|| spawn(pending::<()>()));
    drop(event_loop);
    assert!(real_loop().block_on(task).is_err());
}

// E-09
#[test]
fn an_operation_on_a_socket_whose_loop_is_gone_is_recognisable() -> io::Result<()> {
    let std_listener = StdListener::bind("127.0.0.1:0")?;
    let address = std_listener.local_addr()?;
    let event_loop = real_loop();
    let stream = event_loop.block_on(async { TcpStream::connect(address).await })?;
    drop(event_loop);
    let other = real_loop();
    other.block_on(async {
        let error = stream.write(b"too late").await.expect_err("its loop is gone");
        assert!(is_loop_gone(&error), "{error}");
        let error = stream.shutdown().await.expect_err("its loop is gone");
        assert!(is_loop_gone(&error), "{error}");
        let mut buffer = [0; 8];
        let error = stream.read(&mut buffer).await.expect_err("its loop is gone");
        assert!(is_loop_gone(&error), "{error}");
        assert!(!error.to_string().is_empty());
        // And it is distinct from what the system says.
        assert_eq!(error.raw_os_error(), None);
        stream.close();
    });
    Ok(())
}

// Z-03
#[test]
fn a_callback_that_captures_its_own_handle_is_released_when_it_ends() -> io::Result<()> {
    bounded(|| {
        let dropped = Counter::new();
        let std_listener = StdListener::bind("127.0.0.1:0")?;
        let address = std_listener.local_addr()?;
        let event_loop = real_loop();
        event_loop.run(|| {
            let slot = Slot::new();
            let (own, guard) = (slot.clone(), dropped.on_drop());
            slot.put(Notifier::new(move || {
                guard.touch();
                let own: &Notifier = own.get();
                own.close();
            }));
            slot.get().notify();

            let slot = Slot::new();
            let (own, guard) = (slot.clone(), dropped.on_drop());
            slot.put(Check::start(move || {
                guard.touch();
                let own: &Check = own.get();
                own.stop();
            }));

            let guard = dropped.on_drop();
            TcpStream::connect(address).on_complete(move |stream| {
                let stream = stream.expect("a connection");
                let own = stream.clone();
                stream.on_close({
                    let stream = stream.clone();
                    move || {
                        guard.touch();
                        stream.close();
                    }
                });
                stream.read_start(move |_, _| own.close());
                stream.close();
            });
        });
        assert_eq!(dropped.get(), 3);
        assert!(!event_loop.is_alive());
        Ok(())
    })
}

// Z-04
#[test]
fn dropping_the_id_of_a_timer_or_immediate_clears_nothing() {
    let scenario = |trace: &Trace| {
        let _ = set_timeout(ms(1), trace.says("timer"));
        let _ = set_immediate(trace.says("immediate"));
    };
    check(scenario, &["immediate", "timer"]);
}

// Z-05
#[test]
fn closing_everything_and_running_again_always_ends_the_loop() {
    bounded(|| {
        let event_loop = real_loop();
        for _ in 0..20 {
            let (notifier, idle, prepare, check) = event_loop.enter(|| {
                (
                    Notifier::new(|| {}),
                    Idle::start(|| {}),
                    Prepare::start(|| {}),
                    Check::start(|| {}),
                )
            });
            let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a port");
            event_loop.enter(|| listener.on_connection(|_| {}));
            let timer = event_loop.enter(|| set_interval(ms(1), |_| {}));
            let stuck = event_loop.enter(|| {
                let event_loop = event_loop.clone();
                spawn(async move {
                    let _guard = event_loop.keep_alive();
                    pending::<()>().await;
                })
            });
            assert!(event_loop.turn(RunMode::NoWait));
            notifier.close();
            idle.stop();
            prepare.stop();
            check.stop();
            listener.close();
            timer.clear();
            stuck.abort();
            assert!(!event_loop.turn(RunMode::Default));
        }
    });
}

// Z-06
#[test]
fn captured_values_are_dropped_on_the_loop_thread_with_the_loop_reachable() {
    let here = thread::current().id();
    let seen = Counter::new();
    let watch = || {
        let seen = seen.clone();
        OnDrop::new(move || {
            assert_eq!(thread::current().id(), here);
            let current = Loop::try_current().expect("the loop is still reachable");
            current.why_alive();
            // What a destructor arms never runs, but does no harm.
            set_timeout(ms(1), || unreachable!("the loop is ending"));
            next_tick(|| unreachable!("the loop is ending"));
            queue_microtask(|| unreachable!("the loop is ending"));
            set_immediate(|| unreachable!("the loop is ending"));
            drop(spawn(async { unreachable!("the loop is ending") }));
            seen.add();
        })
    };
    let arm = || {
        let guard = watch();
        set_timeout(HOUR, move || guard.touch());
        let guard = watch();
        Idle::start(move || guard.touch());
        let guard = watch();
        spawn(async move {
            pending::<()>().await;
            guard.touch();
        });
        let guard = watch();
        queue_work(|| ()).on_complete(move |_| guard.touch());
    };

    let event_loop = real_loop();
    event_loop.enter(arm);
    drop(event_loop);
    assert_eq!(seen.get(), 4, "when the last clone is dropped");

    windlass::run(|| {
        arm();
        windlass::exit(0);
    });
    assert_eq!(seen.get(), 8, "at the end of an exited run");
}

// Z-06: values that a pool job's result holds come home, or are dropped in the pool; never twice.
#[test]
fn an_unclaimed_result_is_dropped_once() {
    bounded(|| {
        struct Bomb(Arc<AtomicUsize>);
        impl Drop for Bomb {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        windlass::run(|| {
            for _ in 0..20 {
                let bomb = Bomb(Arc::clone(&dropped));
                drop(queue_work(move || bomb));
            }
        });
        assert_eq!(dropped.load(Ordering::SeqCst), 20);
    });
}

// Z-07
#[test]
fn wakes_from_threads_and_destructors_while_a_loop_is_dropped_are_harmless() {
    for _ in 0..100 {
        let event_loop = real_loop();
        let go_on = Arc::new(AtomicBool::new(true));
        let (started, has_started) = mpsc::channel();
        let notifier = event_loop.enter(|| Notifier::new(|| {}));
        let remote = event_loop.remote();
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        event_loop.enter(|| {
            let waker = Rc::clone(&waker);
            drop(spawn(poll_fn(move |cx| {
                waker.replace(Some(cx.waker().clone()));
                Poll::<()>::Pending
            })));
            let (notifier, remote) = (notifier.clone(), remote.clone());
            let guard = OnDrop::new(move || {
                notifier.notify();
                notifier.close();
                remote.stop();
                // It may or may not be accepted, but it never runs.
                remote.post(|| unreachable!("the loop is ending")).ok();
            });
            set_timeout(HOUR, move || guard.touch());
        });
        event_loop.turn(RunMode::NoWait);
        let waker = waker.take().expect("the task was polled");
        let thread = thread::spawn({
            let go_on = Arc::clone(&go_on);
            move || {
                started.send(()).expect("the loop waits for this");
                while go_on.load(Ordering::Relaxed) {
                    notifier.notify();
                    waker.wake_by_ref();
                    remote.post(|| {}).ok();
                }
            }
        });
        has_started.recv().expect("the thread has started");
        drop(event_loop);
        go_on.store(false, Ordering::Relaxed);
        thread.join().expect("the waking thread");
    }
}

// Z-08
#[test]
fn a_loop_in_a_thread_local_is_dropped_at_thread_exit() {
    thread_local! {
        static KEPT: RefCell<Option<Loop>> = const { RefCell::new(None) };
    }
    struct Tells(mpsc::Sender<bool>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(Loop::try_current().is_some()).ok();
        }
    }
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let event_loop = real_loop();
        event_loop.enter(|| {
            let tells = Tells(tell);
            set_timeout(HOUR, move || drop(tells));
            set_immediate(|| {});
            spawn(pending::<()>());
        });
        event_loop.turn(RunMode::NoWait);
        KEPT.set(Some(event_loop));
    })
    .join()
    .expect("the thread ends without a panic");
    assert!(told.recv().is_ok(), "the callback was dropped with its thread");
}

// Z-08, the other way round: what this thread knows of its loops may be gone by then.
#[test]
fn a_destructor_of_a_thread_local_may_run_a_loop() {
    struct Runs(mpsc::Sender<&'static str>);
    impl Drop for Runs {
        fn drop(&mut self) {
            let told = self.0.clone();
            windlass::run(move || {
                let never = told.clone();
                let cleared = set_timeout(ms(1), move || never.send("never").unwrap());
                set_timeout(ms(1), move || told.send("timer").unwrap());
                cleared.clear();
            });
            let told = self.0.clone();
            windlass::block_on(async move {
                windlass::time::sleep(ms(1)).await;
                queue_work(|| ()).await.unwrap();
                told.send("task").unwrap();
            });
        }
    }
    thread_local! {
        static LAST: RefCell<Option<Runs>> = const { RefCell::new(None) };
    }
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        LAST.set(Some(Runs(tell)));
        windlass::run(|| set_immediate(|| {}));
    })
    .join()
    .expect("the thread ends without a panic");
    assert_eq!(told.iter().collect::<Vec<_>>(), ["timer", "task"]);
}

// Z-04, for loops: clones are names of one loop.
#[test]
fn a_loop_lives_until_its_last_clone_is_dropped() {
    let dropped = Counter::new();
    let first = virtual_loop();
    let guard = dropped.on_drop();
    first.enter(|| set_timeout(HOUR, move || guard.touch()));
    let second = first.clone();
    drop(first);
    assert_eq!(dropped.get(), 0);
    assert!(second.is_alive());
    drop(second);
    assert_eq!(dropped.get(), 1);
}

// Z-04: a clone of the loop inside its own callback keeps it, and is let go by the teardown of run.
#[test]
fn a_callback_that_captures_its_loop_does_not_keep_it_past_run() {
    let dropped = Counter::new();
    windlass::run(|| {
        let (this, guard) = (Loop::current(), dropped.on_drop());
        set_timeout(HOUR, move || {
            this.stop();
            guard.touch();
        })
        .unref();
    });
    assert_eq!(dropped.get(), 1);
}

// `run` on a loop of one's own does not tear it down; the hooks of each run are its own.
#[test]
fn a_loop_of_ones_own_may_be_run_again() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    for label in ["first", "second"] {
        event_loop.run(|| set_timeout(ms(1), trace.says(label)));
    }
    trace.expect(&["first", "second"]);
    event_loop.close().expect("nothing is open");
}
