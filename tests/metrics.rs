//! What a loop counts about itself. Section ME of the list of behaviours.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Idle, Notifier};
use windlass::net::TcpListener;
use windlass::worker::{Port, Worker};
use windlass::{Loop, Metrics, RunMode, set_immediate, set_timeout};

/// What happened between two snapshots.
fn between(before: &Metrics, after: &Metrics) -> Metrics {
    let mut span = after.clone();
    span.iterations -= before.iterations;
    span.events -= before.events;
    span.idle_time -= before.idle_time;
    span.active_time -= before.active_time;
    span
}

// ME-01
#[test]
fn iterations_are_zero_at_first_and_go_up_by_one_a_turn() {
    for event_loop in [real_loop(), virtual_loop()] {
        assert_eq!(event_loop.metrics().iterations, 0);
        let _idle = event_loop.enter(|| Idle::start(|| {}));
        for turn in 1..=5 {
            event_loop.turn(RunMode::NoWait);
            assert_eq!(event_loop.metrics().iterations, turn);
        }
        event_loop.turn(RunMode::Once);
        assert_eq!(event_loop.metrics().iterations, 6);
    }
}

// ME-01: within a run of many iterations.
#[test]
fn each_iteration_of_a_run_counts() {
    let event_loop = virtual_loop();
    event_loop.run(|| {
        fn next(left: u64) {
            let iterations = Loop::current().metrics().iterations;
            set_immediate(move || {
                assert_eq!(Loop::current().metrics().iterations, iterations + 1);
                if left > 0 {
                    next(left - 1);
                }
            });
        }
        next(9);
    });
    assert_eq!(event_loop.metrics().iterations, 10);
}

// ME-02
#[test]
fn events_grow_by_what_was_processed() {
    let event_loop = real_loop();
    let heard = Counter::new();
    let notifier = event_loop.enter(|| Notifier::new(heard.adds()));
    event_loop.turn(RunMode::NoWait);
    let quiet = event_loop.metrics();
    event_loop.turn(RunMode::NoWait);
    assert_eq!(event_loop.metrics().events, quiet.events, "no event, no count");

    for round in 1..=5 {
        notifier.notify();
        event_loop.turn(RunMode::NoWait);
        assert_eq!(heard.get(), round);
        let grown = event_loop.metrics().events - quiet.events;
        assert!(grown >= round as u64, "{grown} events in {round} rounds");
    }
    notifier.close();
}

// ME-02
#[test]
fn events_that_were_waiting_already_are_counted_apart() -> std::io::Result<()> {
    let event_loop = real_loop();
    let accepted = Counter::new();
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0"))?;
    let mut count = accepted.adds();
    event_loop.enter(|| listener.on_connection(move |_| count()));
    event_loop.turn(RunMode::NoWait);
    let before = event_loop.metrics();

    // The connection is there before the poll looks.
    let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
    event_loop.turn(RunMode::NoWait);
    assert_eq!(accepted.get(), 1);
    let after = event_loop.metrics();
    assert!(after.events_waiting > before.events_waiting);
    assert!(after.events > before.events);
    assert!(after.events_waiting <= after.events);
    Ok(())
}

// ME-03
#[test]
fn waiting_counts_as_idle_and_busy_work_does_not() {
    // A machine that holds the thread up on its way to the poll shortens the wait, so the lower
    // bound has to hold in one run of several; the upper one holds in each.
    let waited_long = (0..20).any(|_| {
        let event_loop = real_loop();
        let begin = Instant::now();
        event_loop.run(|| {
            set_timeout(ms(30), || spin(ms(30)));
        });
        let total = begin.elapsed();
        let idle = event_loop.metrics().idle_time;
        assert!(idle <= total - ms(30), "of {total:?} the busy 30 ms counted as idle: {idle:?}");
        idle >= ms(25)
    });
    assert!(waited_long, "a wait of 30 ms never counted as idle");
}

// ME-04
#[test]
fn polls_that_do_not_block_add_no_idle_time() {
    let event_loop = real_loop();
    let _idle = event_loop.enter(|| Idle::start(|| {}));
    let before = event_loop.metrics().idle_time;
    for mode in [RunMode::NoWait, RunMode::Once] {
        for _ in 0..500 {
            event_loop.turn(mode);
        }
    }
    assert_eq!(event_loop.metrics().idle_time, before);
}

// ME-05
#[test]
fn idle_and_active_time_together_are_the_wall_time() {
    let event_loop = real_loop();
    let snapshots: Rc<RefCell<Vec<(Instant, Metrics, Instant)>>> = Rc::default();
    let snap = || {
        let snapshots = Rc::clone(&snapshots);
        move || {
            let before = Instant::now();
            let metrics = Loop::current().metrics();
            snapshots.borrow_mut().push((before, metrics, Instant::now()));
        }
    };
    event_loop.run(|| {
        set_timeout(ms(1), snap());
        set_timeout(ms(10), || spin(ms(10)));
        set_timeout(ms(40), snap());
    });
    let snapshots = snapshots.take();
    let [(before_1, first, after_1), (before_2, second, after_2)] = &snapshots[..] else {
        panic!("two snapshots were taken");
    };
    let span = between(first, second);
    let counted = span.idle_time + span.active_time;
    // Clocks may be read for different purposes a moment apart.
    let slack = ms(2);
    assert!(counted + slack >= *before_2 - *after_1, "{counted:?} is too little");
    assert!(counted <= *after_2 - *before_1 + slack, "{counted:?} is too much");
    assert!(span.active_time >= ms(9), "{:?}", span.active_time);
    let share = span.active_time.as_secs_f64() / counted.as_secs_f64();
    assert!((span.utilization() - share).abs() < 0.001, "{}", span.utilization());
}

// ME-05
#[test]
fn the_utilization_of_a_busy_span_is_one() {
    let event_loop = real_loop();
    let spans: Rc<RefCell<Vec<Metrics>>> = Rc::default();
    event_loop.run(|| {
        let spans = Rc::clone(&spans);
        set_timeout(ms(5), move || {
            let before = Loop::current().metrics();
            spin(ms(5));
            spans.borrow_mut().push(between(&before, &Loop::current().metrics()));
        });
    });
    let spans = spans.take();
    assert!((spans[0].utilization() - 1.0).abs() < f64::EPSILON, "{}", spans[0].utilization());
    assert!(spans[0].active_time >= ms(5));
}

// ME-05, ME-06: no figures yet are zeros and not garbage.
#[test]
fn the_figures_of_a_loop_that_never_ran_are_zero() {
    let metrics = Metrics::default();
    assert!(metrics.utilization().abs() < f64::EPSILON);
    let event_loop = real_loop();
    let metrics = event_loop.metrics();
    assert_eq!((metrics.iterations, metrics.events, metrics.idle_time), (0, 0, Duration::ZERO));
    assert!((0.0..=1.0).contains(&metrics.utilization()));
}

// ME-06, ME-03: from another thread.
#[test]
fn a_parent_reads_the_figures_of_a_worker_while_it_spins() {
    bounded(|| {
        let go_on = Arc::new(AtomicBool::new(true));
        windlass::run(|| {
            let flag = Arc::clone(&go_on);
            let worker = Worker::<(), ()>::spawn(move |port: Port<(), ()>| {
                set_timeout(ms(50), move || {
                    port.post(());
                    while flag.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            })
            .expect("a worker");
            let (watched, go_on) = (worker.clone(), Arc::clone(&go_on));
            worker.on_message(move |()| {
                // The worker is in the middle of its callback now, and stays there.
                let before = watched.metrics();
                spin(ms(20));
                let after = watched.metrics();
                go_on.store(false, Ordering::Relaxed);
                assert!(
                    before.idle_time > Duration::ZERO,
                    "it waited first: {:?}",
                    before.idle_time
                );
                let span = between(&before, &after);
                assert!(span.utilization() > 0.99, "{}", span.utilization());
            });
            let exited = worker.clone();
            worker.on_exit(move |code| {
                assert_eq!(code, 0);
                let after = exited.metrics();
                assert_eq!((after.iterations, after.idle_time), (0, Duration::ZERO));
                assert!(after.utilization().abs() < f64::EPSILON);
            });
        });
        assert!(!go_on.load(Ordering::Relaxed), "the message came");
    });
}

// ME-06, as libuv's uv_metrics_idle_time. No figure goes back meanwhile: `between` would panic.
#[test]
fn a_sleep_is_idle_time_while_it_lasts() {
    bounded(|| {
        windlass::run(|| {
            let worker = Worker::<(), ()>::spawn(|port: Port<(), ()>| {
                port.on_message(move |()| windlass::exit(0));
            })
            .expect("a worker");
            fn watch(worker: Worker<(), ()>, before: Metrics) {
                let after = worker.metrics();
                let span = between(&before, &after);
                let sleeps = before.iterations > 0 && span.iterations == 0;
                if sleeps && span.idle_time > ms(5) && span.utilization() < 0.5 {
                    return worker.post(());
                }
                let before = if sleeps { before } else { after };
                windlass::set_immediate(move || watch(worker, before));
            }
            watch(worker, Metrics::default());
        });
    });
}
