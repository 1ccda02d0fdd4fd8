//! A limit on the polls of tasks in one drain.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use common::*;
use windlass::{Loop, next_tick, queue_microtask, set_immediate, set_timeout, spawn};

fn loop_with(polls: usize) -> Loop {
    Loop::builder().virtual_time(true).poll_budget(polls).build().unwrap()
}

/// Spawns a task that wakes itself until it has been polled so often.
fn busy(polls: u32, trace: &Trace, name: &'static str) {
    let (mut left, trace) = (polls, trace.clone());
    drop(spawn(poll_fn(move |cx| {
        trace.say(name);
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
}

#[test]
fn after_so_many_polls_the_rest_goes_on_after_the_next_poll_phase() {
    let trace = Trace::new();
    loop_with(2).run(|| {
        busy(5, &trace, "poll");
        set_immediate(trace.says("immediate"));
        windlass::handle::Prepare::start(trace.says("prepare")).unref();
    });
    // The immediate was there before the third poll was held.
    trace.expect(&["poll", "poll", "prepare", "immediate", "poll", "poll", "prepare", "poll"]);
}

#[test]
fn a_task_that_is_always_ready_starves_neither_timers_nor_io_nor_the_end() {
    let event_loop = Loop::builder().poll_budget(16).build().unwrap();
    let polls = Rc::new(Cell::new(0_u64));
    let counts = polls.clone();
    event_loop.run(move || {
        let endless = spawn(poll_fn(move |cx| {
            counts.set(counts.get() + 1);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        drop(spawn(async move {
            windlass::time::sleep(ms(1)).await;
            windlass::fs::read("Cargo.toml").await.unwrap();
            endless.abort();
        }));
    });
    assert!(polls.get() > 16);
}

#[test]
fn tasks_go_on_in_the_order_in_which_they_were_woken_and_share_the_budget() {
    let trace = Trace::new();
    loop_with(3).run(|| {
        for name in ["a", "b"] {
            busy(4, &trace, name);
        }
        windlass::handle::Prepare::start(trace.says("-")).unref();
    });
    trace.expect(&["a", "b", "a", "-", "b", "a", "b", "-", "a", "b"]);
}

#[test]
fn ticks_and_microtasks_overtake_what_is_held_and_a_task_that_is_woken_waits_behind_it() {
    let trace = Trace::new();
    loop_with(1).run(|| {
        busy(2, &trace, "held");
        let inner = trace.clone();
        queue_microtask(move || {
            inner.say("microtask");
            busy(1, &inner, "later");
            let tick = inner.clone();
            next_tick(move || {
                tick.say("tick");
                queue_microtask(tick.says("microtask of the tick"));
            });
        });
    });
    trace.expect(&["held", "microtask", "tick", "microtask of the tick", "held", "later"]);
}

#[test]
fn a_task_that_is_woken_in_a_later_drain_waits_behind_what_is_held() {
    let trace = Trace::new();
    loop_with(1).run(|| {
        let inner = trace.clone();
        set_immediate(move || busy(1, &inner, "later"));
        busy(2, &trace, "held");
    });
    trace.expect(&["held", "held", "later"]);
}

#[test]
fn each_drain_has_a_budget_of_its_own() {
    let trace = Trace::new();
    loop_with(1).run(|| {
        for _ in 0..2 {
            let inner = trace.clone();
            set_timeout(ms(1), move || busy(1, &inner, "poll"));
        }
        set_timeout(ms(1), trace.says("last timer"));
    });
    trace.expect(&["poll", "poll", "last timer"]);
}

#[test]
fn what_is_held_holds_the_loop_and_is_woken_and_aborted_like_any_task() {
    let event_loop = loop_with(1);
    let trace = Trace::new();
    let inner = trace.clone();
    event_loop.run(move || {
        busy(2, &inner, "first");
        let says = inner.clone();
        let aborted = spawn(async move { says.say("never") });
        let held = Loop::current();
        queue_microtask(move || {
            // By now both are held.
            queue_microtask(move || {
                assert_eq!(held.why_alive().len(), 1);
                aborted.abort();
            });
        });
    });
    trace.expect(&["first", "first"]);
    assert!(!event_loop.is_alive());
}

#[test]
fn a_panic_of_a_task_that_was_held_leaves_the_others_their_turn() {
    let event_loop = loop_with(1);
    let trace = Trace::new();
    let inner = trace.clone();
    event_loop.run(move || {
        let says = inner.clone();
        windlass::on_uncaught(move |uncaught| says.say(uncaught.message()));
        busy(1, &inner, "a");
        drop(spawn(async { panic!("b") }));
        busy(1, &inner, "c");
    });
    trace.expect(&["a", "b", "c"]);
}

#[test]
fn the_future_of_block_on_is_held_like_a_task() {
    let event_loop = loop_with(2);
    let mut left = 10;
    let iterations = event_loop.metrics().iterations;
    event_loop.block_on(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        left -= 1;
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert_eq!(event_loop.metrics().iterations - iterations, 4);
}

#[test]
fn a_worker_takes_the_budget_over() {
    Loop::builder().poll_budget(2).build().unwrap().run(|| {
        let worker = windlass::worker::Worker::<(), u64>::spawn(|port| {
            let mut left = 10;
            drop(spawn(poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                left -= 1;
                if left > 0 {
                    return Poll::Pending;
                }
                port.post(Loop::current().metrics().iterations);
                Poll::Ready(())
            })));
        });
        worker.unwrap().on_message(|iterations| assert!(iterations >= 4, "{iterations}"));
    });
}
