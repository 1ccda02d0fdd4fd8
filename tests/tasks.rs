//! Tasks and futures on the loop: spawning, awaiting, aborting, blocking on one, and time.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Notifier, Prepare};
use windlass::time::{Elapsed, advance, interval, sleep, timeout};
use windlass::{
    RunMode, Task, TaskError, next_tick, queue_microtask, queue_work, set_immediate, set_timeout,
    spawn, yield_now,
};

// M-18
#[test]
fn a_task_is_first_polled_as_a_microtask_and_not_inside_spawn() {
    let scenario = |trace: &Trace| {
        queue_microtask(trace.says("microtask 1"));
        let inner = trace.clone();
        spawn(async move { inner.say("task") });
        queue_microtask(trace.says("microtask 2"));
        next_tick(trace.says("tick"));
        trace.say("spawned");
    };
    check(scenario, &["spawned", "tick", "microtask 1", "task", "microtask 2"]);
}

#[test]
fn awaiting_a_task_gives_its_output() {
    let answer = virtual_loop().block_on(async {
        let task = spawn(async {
            sleep(ms(5)).await;
            6 * 7
        });
        assert!(!task.is_finished());
        task.await.expect("it neither panicked nor was aborted")
    });
    assert_eq!(answer, 42);
}

#[test]
fn a_task_that_is_finished_says_so_and_keeps_its_output() {
    let scenario = |trace: &Trace| {
        let task = spawn(async { "output" });
        assert!(!task.is_finished());
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            assert!(task.is_finished());
            // Too late to change anything.
            task.abort();
            spawn(async move { inner.say(task.await.expect("its output was kept")) });
        });
    };
    check(scenario, &["output"]);
}

#[test]
fn dropping_a_task_detaches_it() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        drop(spawn(async move {
            inner.say("begins");
            sleep(ms(1)).await;
            inner.say("ends");
        }));
    };
    check(scenario, &["begins", "ends"]);
}

#[test]
fn code_after_an_await_runs_as_a_microtask_of_what_it_awaited() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        spawn(async move {
            sleep(ms(1)).await;
            inner.say("slept");
        });
        // Of the same delay, but armed later: the task armed its own in the drain.
        let inner = trace.clone();
        next_tick(move || {
            queue_microtask(move || {
                set_timeout(ms(1), move || {
                    inner.say("timer");
                    next_tick(inner.says("tick"));
                });
            });
        });
        set_immediate(trace.says("immediate"));
    };
    check(scenario, &["immediate", "slept", "timer", "tick"]);
}

#[test]
fn a_request_awaited_resumes_in_the_drain_and_one_with_a_callback_in_its_phase() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            spawn(async move {
                let done = queue_work(|| 1).await.expect("a result");
                inner.say(format!("awaited {done}"));
                let again = inner.clone();
                queue_work(|| 2).on_complete(move |done| {
                    again.say(format!("called {}", done.expect("a result")));
                    next_tick(again.says("tick"));
                });
            });
        });
        trace.expect(&["awaited 1", "called 2", "tick"]);
    });
}

#[test]
fn an_aborted_task_is_dropped_and_its_awaiter_told() {
    let dropped = Counter::new();
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    event_loop.block_on(async {
        let guard = dropped.on_drop();
        let task = spawn(async move {
            sleep(HOUR).await;
            guard.touch();
        });
        yield_now().await;
        task.abort();
        task.abort();
        let error = task.await.expect_err("it was aborted");
        assert!(matches!(error, TaskError::Aborted), "{error}");
        assert_eq!(dropped.get(), 1);
    });
    assert!(!event_loop.is_alive(), "its timer is gone too");
    assert_eq!(event_loop.now(), begin);
}

#[test]
fn a_task_aborted_before_its_first_poll_never_runs() {
    let scenario = |trace: &Trace| {
        let dropped = Counter::new();
        let (inner, guard) = (trace.clone(), dropped.on_drop());
        let task = spawn(async move {
            guard.touch();
            inner.say("ran");
        });
        task.abort();
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            assert!(task.is_finished());
            inner.say(format!("dropped {}", dropped.get()));
        });
    };
    check(scenario, &["dropped 1"]);
}

// E-07
#[test]
fn a_task_that_aborts_itself_is_finished_also_when_a_destructor_panics() {
    let scenario = |trace: &Trace| {
        let uncaught = trace.clone();
        windlass::on_uncaught(move |panic| uncaught.say(panic.message()));
        let own = Slot::<Task<()>>::new();
        let inner = own.clone();
        own.put(spawn(async move {
            let _fragile = OnDrop::new(|| panic!("a destructor's panic"));
            inner.get().abort();
            pending::<()>().await;
        }));
        let trace = trace.clone();
        set_immediate(move || trace.say(format!("finished: {}", own.get().is_finished())));
    };
    check(scenario, &["a destructor's panic", "finished: true"]);
}

#[test]
fn a_task_may_abort_itself() {
    let scenario = |trace: &Trace| {
        let slot: Slot<Task<()>> = Slot::new();
        let (inner, own) = (trace.clone(), slot.clone());
        slot.put(spawn(async move {
            own.get().abort();
            inner.say("until the next await");
            sleep(ms(1)).await;
            inner.say("never");
        }));
        let inner = trace.clone();
        set_timeout(ms(5), move || inner.say(format!("finished {}", slot.get().is_finished())));
    };
    check(scenario, &["until the next await", "finished true"]);
}

#[test]
fn a_panic_in_a_task_goes_to_whoever_awaits_it() {
    let hooked = Counter::new();
    let message = virtual_loop().block_on(async {
        let hooked = hooked.clone();
        windlass::on_uncaught(move |_| {
            hooked.add();
        });
        let task: Task<()> = spawn(async { panic!("over {}", "board") });
        match task.await.expect_err("it panicked") {
            TaskError::Panicked(panic) => panic.message().to_owned(),
            other => panic!("not {other}"),
        }
    });
    assert_eq!(message, "over board");
    assert_eq!(hooked.get(), 0);
}

#[test]
fn a_panic_in_a_detached_task_is_uncaught_at_once() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        windlass::on_uncaught(move |uncaught| inner.say(uncaught.message()));
        drop(spawn(async { panic!("nobody waits") }));
        queue_microtask(trace.says("next microtask"));
    };
    check(scenario, &["nobody waits", "next microtask"]);
}

#[test]
fn a_panic_in_a_task_dropped_unread_is_uncaught_then() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        windlass::on_uncaught(move |uncaught| inner.say(uncaught.message()));
        let task: Task<()> = spawn(async { panic!("read too late") });
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            inner.say("still held");
            set_timeout(ms(1), move || {
                inner.say("dropping");
                drop(task);
            });
        });
    };
    check(scenario, &["still held", "dropping", "read too late"]);
}

#[test]
fn a_panic_in_a_detached_task_leaves_run_without_a_hook() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let message = panic_of(|| {
        event_loop.run(|| {
            drop(spawn(async { panic!("unheard") }));
            set_timeout(ms(1), trace.says("timer"));
        });
    });
    assert_eq!(message, "unheard");
    event_loop.turn(RunMode::Default);
    trace.expect(&["timer"]);
}

#[test]
fn a_task_by_itself_does_not_keep_the_loop_alive() {
    let dropped = Counter::new();
    let guard = dropped.on_drop();
    windlass::run(|| {
        spawn(async move {
            pending::<()>().await;
            guard.touch();
        });
    });
    assert_eq!(dropped.get(), 1, "it was dropped with the loop");
}

#[test]
fn a_keep_alive_guard_holds_the_loop_for_a_task() {
    bounded(|| {
        let event_loop = real_loop();
        let trace = Trace::new();
        event_loop.run(|| {
            let (guard, trace) = (event_loop.keep_alive(), trace.clone());
            let (give, take) = mpsc::channel::<Waker>();
            let flag = Arc::new(AtomicBool::new(false));
            std::thread::spawn({
                let flag = Arc::clone(&flag);
                move || {
                    let waker = take.recv().expect("a waker");
                    flag.store(true, Ordering::SeqCst);
                    waker.wake();
                }
            });
            spawn(async move {
                poll_fn(move |cx| {
                    if flag.load(Ordering::SeqCst) {
                        return Poll::Ready(());
                    }
                    // Only the first waker is wanted.
                    give.send(cx.waker().clone()).ok();
                    Poll::Pending
                })
                .await;
                trace.say("woken");
                drop(guard);
            });
        });
        trace.expect(&["woken"]);
        assert!(!event_loop.is_alive());
    });
}

#[test]
fn block_on_returns_the_output_and_serves_the_loop_meanwhile() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    let output = event_loop.block_on(async {
        set_timeout(ms(5), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        next_tick(trace.says("tick"));
        sleep(ms(10)).await;
        "output"
    });
    assert_eq!(output, "output");
    trace.expect(&["tick", "immediate", "timer"]);
    assert_eq!(event_loop.now() - begin, ms(10));
}

#[test]
fn block_on_leaves_when_its_future_is_done_whatever_else_is_alive() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.block_on(async {
        set_timeout(HOUR, trace.says("timer"));
    });
    trace.expect(&[]);
    assert!(event_loop.is_alive());
    event_loop.turn(RunMode::Default);
    trace.expect(&["timer"]);
}

#[test]
fn block_on_takes_a_future_that_borrows_and_is_not_static() {
    let text = String::from("borrowed");
    let length = windlass::block_on(async { text.as_str().len() });
    assert_eq!(length, text.len());
}

#[test]
fn block_on_waits_for_a_waker_from_another_thread_with_nothing_alive() {
    let flag = Arc::new(AtomicBool::new(false));
    let event_loop = real_loop();
    event_loop.block_on(poll_fn(|cx| {
        if flag.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let (flag, waker) = (Arc::clone(&flag), cx.waker().clone());
        std::thread::spawn(move || {
            flag.store(true, Ordering::SeqCst);
            waker.wake();
        });
        Poll::Pending
    }));
    assert!(flag.load(Ordering::SeqCst));
}

#[test]
fn block_on_in_virtual_time_panics_when_nothing_can_ever_happen() {
    let event_loop = virtual_loop();
    let spawned_on = line!() + 3;
    let message = panic_of(|| {
        event_loop.block_on(async {
            let _stuck = spawn(pending::<()>());
            pending::<()>().await;
        });
    });
    assert!(message.contains(&format!("tasks.rs:{spawned_on}")), "{message}");
}

#[test]
fn a_stop_does_not_end_block_on() {
    let event_loop = virtual_loop();
    let output = event_loop.block_on(async {
        windlass::stop();
        sleep(ms(5)).await;
        windlass::stop();
        sleep(ms(5)).await;
        "done"
    });
    assert_eq!(output, "done");
}

#[test]
fn a_panic_in_the_future_of_block_on_leaves_block_on() {
    let event_loop = virtual_loop();
    let message = panic_of(|| {
        event_loop.block_on(async {
            sleep(ms(1)).await;
            panic!("from within");
        });
    });
    assert_eq!(message, "from within");
    assert_eq!(event_loop.block_on(async { 3 }), 3, "the loop goes on");
}

#[test]
fn an_exit_leaves_block_on() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event_loop.block_on(async {
            windlass::exit(3);
            sleep(ms(1)).await;
            trace.say("not reached");
        });
    }));
    assert!(left.is_err());
    assert_eq!(event_loop.exit_code(), 3);
    trace.expect(&[]);
}

#[test]
fn a_wake_of_the_blocked_future_is_a_microtask_too() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.block_on(async {
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let slot = Rc::clone(&waker);
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            queue_microtask(inner.says("first"));
            slot.take().expect("it waits").wake();
            queue_microtask(inner.says("third"));
            next_tick(inner.says("tick"));
        });
        let mut woken = false;
        poll_fn(|cx| {
            if woken {
                return Poll::Ready(());
            }
            woken = true;
            waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        trace.say("second");
        // Long enough for the rest of that drain.
        yield_now().await;
    });
    trace.expect(&["tick", "first", "second", "third"]);
}

#[test]
fn yielding_lets_events_through_and_holds_the_loop() {
    bounded(|| {
        let done = Rc::new(Cell::new(false));
        let yields = Counter::new();
        windlass::run(|| {
            let (flag, yields) = (Rc::clone(&done), yields.clone());
            spawn(async move {
                while !flag.get() {
                    yields.add();
                    yield_now().await;
                }
            });
            // It takes an event and a timer to end it.
            let slot = Slot::new();
            let notifier = Notifier::new({
                let (done, slot) = (Rc::clone(&done), slot.clone());
                move || {
                    let notifier: &Notifier = slot.get();
                    notifier.close();
                    let done = Rc::clone(&done);
                    set_timeout(ms(1), move || done.set(true));
                }
            });
            slot.put(notifier.clone());
            std::thread::spawn(move || notifier.notify());
        });
        assert!(done.get());
        assert!(yields.get() > 0);
    });
}

#[test]
fn each_yield_takes_one_iteration() {
    let event_loop = virtual_loop();
    let turns = Counter::new();
    event_loop.run(|| {
        Prepare::start(turns.adds()).unref();
        let turns = turns.clone();
        spawn(async move {
            for turn in 1..=5 {
                yield_now().await;
                assert_eq!(turns.get(), turn);
            }
        });
    });
    assert_eq!(turns.get(), 5);
}

#[test]
fn a_sleep_holds_the_loop_and_is_never_early() {
    let waited = Rc::new(Cell::new(Duration::ZERO));
    windlass::run(|| {
        let waited = Rc::clone(&waited);
        spawn(async move {
            let begin = Instant::now();
            sleep(ms(10)).await;
            waited.set(begin.elapsed());
        });
    });
    assert!(waited.get() >= ms(10));
}

#[test]
fn sleeps_end_in_the_order_of_timers() {
    let scenario = |trace: &Trace| {
        for (delay, label) in [(20, "20"), (10, "10 first"), (30, "30"), (10, "10 second")] {
            let trace = trace.clone();
            spawn(async move {
                sleep(ms(delay)).await;
                trace.say(label);
            });
        }
    };
    check(scenario, &["10 first", "10 second", "20", "30"]);
}

#[test]
fn a_future_that_beats_the_time_limit_gives_its_output_and_leaves_no_timer() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let output = event_loop.block_on(timeout(HOUR, async {
        sleep(ms(5)).await;
        7
    }));
    assert_eq!(output.expect("in time"), 7);
    assert!(!event_loop.is_alive());
    assert_eq!(event_loop.now() - begin, ms(5));
}

#[test]
fn a_future_that_misses_the_time_limit_is_dropped() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let dropped = Counter::new();
    let guard = dropped.on_drop();
    let error: Elapsed = event_loop
        .block_on(timeout(ms(5), async move {
            sleep(HOUR).await;
            guard.touch();
        }))
        .expect_err("too late");
    assert!(!error.to_string().is_empty());
    assert_eq!(dropped.get(), 1);
    assert_eq!(event_loop.now() - begin, ms(5));
    assert!(!event_loop.is_alive());
}

#[test]
fn a_future_that_is_ready_at_once_never_times_out() {
    let event_loop = virtual_loop();
    let output = event_loop.block_on(timeout(Duration::ZERO, async { 1 }));
    assert_eq!(output.expect("it was ready"), 1);
    assert!(!event_loop.is_alive());
}

#[test]
fn an_interval_ticks_once_a_period_and_makes_up_for_nothing() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.block_on(async {
        let mut every = interval(ms(10));
        every.tick().await;
        let first = windlass::now() - begin;
        every.tick().await;
        trace.say(format!("{:?}", windlass::now() - begin - first));
        every.tick().await;
        trace.say(format!("{:?}", windlass::now() - begin - first));
        // Held up for several periods: one tick is due, and no burst follows.
        advance(ms(75));
        every.tick().await;
        every.tick().await;
        let third_late = windlass::now() - begin - first;
        assert!(third_late > ms(95), "two ticks were less than a period apart: {third_late:?}");
    });
    trace.expect(&["10ms", "20ms"]);
    assert!(!event_loop.is_alive(), "the interval is gone with its owner");
}

// P of tasks: the destructor of a task's captured values may use the loop.
#[test]
fn what_a_finished_task_captured_is_dropped_when_it_finishes() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        let guard = common::OnDrop::new(move || {
            inner.say("dropped");
            set_timeout(ms(1), inner.says("timer of the destructor"));
        });
        let inner = trace.clone();
        let task = spawn(async move {
            guard.touch();
            inner.say("ran");
        });
        let inner = trace.clone();
        set_immediate(move || {
            inner.say(format!("finished {}", task.is_finished()));
            drop(task);
        });
    };
    check(scenario, &["ran", "dropped", "finished true", "timer of the destructor"]);
}

#[test]
fn ten_thousand_tasks_wait_and_finish() {
    let event_loop = virtual_loop();
    let finished = Counter::new();
    event_loop.run(|| {
        for number in 0..10_000_u64 {
            let finished = finished.clone();
            spawn(async move {
                sleep(ms(number % 50 + 1)).await;
                yield_now().await;
                finished.add();
            });
        }
    });
    assert_eq!(finished.get(), 10_000);
}

#[test]
fn a_task_may_be_awaited_through_a_chain_of_tasks() {
    let depth = virtual_loop().block_on(async {
        let mut task = spawn(async { 0 });
        for _ in 0..100 {
            let inner = task;
            task = spawn(async move { inner.await.expect("a number") + 1 });
        }
        task.await.expect("a number")
    });
    assert_eq!(depth, 100);
}

#[test]
fn verbs_outside_a_loop_say_what_to_do() {
    let refusals = [
        panic_of(|| spawn(async {})),
        panic_of(|| set_timeout(ms(1), || {})),
        panic_of(|| windlass::set_interval(ms(1), |_| {})),
        panic_of(|| windlass::set_timer(ms(1), |_| {})),
        panic_of(|| set_immediate(|| {})),
        panic_of(|| next_tick(|| {})),
        panic_of(|| queue_microtask(|| {})),
        panic_of(|| queue_work(|| ())),
        panic_of(windlass::now),
        panic_of(windlass::stop),
        panic_of(|| windlass::exit(1)),
        panic_of(windlass::Loop::current),
        panic_of(|| Notifier::new(|| {})),
        panic_of(|| Prepare::start(|| {})),
        panic_of(|| windlass::on_exit(|_| {})),
    ];
    for message in refusals {
        assert!(message.contains("windlass::run"), "{message}");
    }
    assert!(windlass::Loop::try_current().is_none());
}

#[test]
fn tasks_that_the_end_of_their_loop_drops_unfinished_are_named_in_a_warning() {
    let line = line!() + 4;
    let at_the_end = warnings_of(|| {
        windlass::run(|| {
            for _ in 0..3 {
                spawn(std::future::pending::<()>());
            }
        });
    });
    let of_block_on = warnings_of(|| {
        windlass::block_on(async {
            spawn(async { sleep(Duration::from_secs(3_600)).await });
        });
    });
    let place = |line: u32| format!("spawned at {}:{line}:", file!());
    assert!(at_the_end.len() == 1 && at_the_end[0].contains(&place(line)), "{at_the_end:?}");
    assert!(at_the_end[0].ends_with(", 3 times"), "{at_the_end:?}");
    assert!(of_block_on.len() == 1 && of_block_on[0].contains(&place(line + 6)), "{of_block_on:?}");
}

#[test]
fn a_panic_that_the_end_of_the_loop_keeps_from_being_raised_is_logged() {
    let kept = || {
        let task: Task<()> = spawn(async { panic!("nobody asks") });
        set_timeout(HOUR, move || drop(task)).unref();
    };
    let dropped = || {
        let task: Task<()> = spawn(async { panic!("nobody asks") });
        windlass::set_immediate(move || {
            drop(task);
            windlass::exit(0);
        });
    };
    for main in [kept as fn(), dropped] {
        let logged = warnings_of(|| windlass::run(main));
        let place = format!("a task made at {}:", file!());
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].contains(&place) && logged[0].contains("nobody asks"), "{logged:?}");
    }
}

#[test]
fn tasks_that_an_exit_a_stop_or_a_panic_cuts_off_are_no_warning() {
    let endless = || drop(spawn(std::future::pending::<()>()));
    let exited = warnings_of(|| {
        windlass::run(|| {
            endless();
            windlass::exit(0);
        });
    });
    let stopped = warnings_of(|| {
        windlass::run(|| {
            endless();
            windlass::set_immediate(windlass::stop);
        });
    });
    let panicked = warnings_of(|| {
        panic_of(|| {
            windlass::run(|| {
                endless();
                windlass::set_immediate(|| panic!("of the program"));
            });
        });
    });
    assert_eq!([exited, stopped, panicked], [[""; 0]; 3]);
}

#[test]
fn a_long_chain_of_tasks_that_abort_each_other_is_dropped_without_a_deep_stack() {
    /// Aborts its task when it is dropped.
    struct Aborts(Task<()>);
    impl Drop for Aborts {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let token = Arc::new(());
    let held = token.clone();
    let drop_all = move || {
        let chain = || {
            let mut first = None;
            for _ in 0..20_000 {
                let (next, held) = (first.take(), held.clone());
                first = Some(Aborts(spawn(async move {
                    let _held = (next, held);
                    pending::<()>().await;
                })));
            }
            first
        };
        windlass::run(|| drop(chain()));
        windlass::run(|| {
            let first = chain();
            set_timeout(ms(1), move || drop(first)); // Each has been polled by then.
        });
    };
    // A small stack, so that it shows.
    std::thread::Builder::new().stack_size(256 << 10).spawn(drop_all).unwrap().join().unwrap();
    assert_eq!(Arc::strong_count(&token), 1, "nothing is left");
}
