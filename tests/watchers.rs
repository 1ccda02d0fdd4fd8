//! Idle, prepare and check watchers: one idea in three places of a turn. Section I of the list of
//! behaviours.

mod common;

use common::*;
use windlass::handle::{Check, Idle, Prepare};
use windlass::time::advance;
use windlass::{RunMode, set_immediate, set_timeout};

/// Writes a test once for each kind of watcher.
macro_rules! for_each_kind {
    ($($(#[$attribute:meta])* fn $name:ident<$watcher:ident>() $body:block)*) => {
        mod idle {
            use super::*;
            $($(#[$attribute])* fn $name() { type $watcher = Idle; $body })*
        }
        mod prepare {
            use super::*;
            $($(#[$attribute])* fn $name() { type $watcher = Prepare; $body })*
        }
        mod check {
            use super::*;
            $($(#[$attribute])* fn $name() { type $watcher = Check; $body })*
        }
    };
}

// I-01
#[test]
fn prepare_runs_before_the_poll_and_check_after_it_once_a_turn() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let begin = event_loop.now();
    event_loop.enter(|| {
        let inner = trace.clone();
        Check::start(move || inner.say(format!("check at {:?}", windlass::now() - begin)));
        let inner = trace.clone();
        Prepare::start(move || inner.say(format!("prepare at {:?}", windlass::now() - begin)));
        set_timeout(ms(5), trace.says("timer"));
    });
    // The only thing between the two that moves the clock is the poll.
    assert!(event_loop.turn(RunMode::Once));
    trace.expect(&["prepare at 0ns", "check at 5ms", "timer"]);
}

// I-01: without any event.
#[test]
fn prepare_and_check_run_in_turns_without_any_event() {
    let event_loop = real_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        Prepare::start(trace.says("prepare"));
        Check::start(trace.says("check"));
    });
    for _ in 0..3 {
        assert!(event_loop.turn(RunMode::NoWait));
        trace.expect(&["prepare", "check"]);
    }
}

// I-02
#[test]
fn an_active_idle_watcher_makes_the_poll_nonblocking() {
    for event_loop in [virtual_loop(), real_loop()] {
        let runs = Counter::new();
        event_loop.enter(|| {
            Idle::start(runs.adds());
            set_timeout(HOUR, || {});
        });
        for turn in 1..=3 {
            assert!(event_loop.turn(RunMode::Once));
            assert_eq!(runs.get(), turn);
        }
    }
}

// I-02
#[test]
fn an_idle_watcher_starves_neither_timers_nor_checks_nor_immediates() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let checks = Counter::new();
    event_loop.enter(|| {
        let idle = Idle::start(|| advance(ms(1)));
        let check = Check::start(checks.adds());
        set_timeout(ms(3), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        set_timeout(ms(10), move || {
            idle.stop();
            check.stop();
        });
    });
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["immediate", "timer"]);
    assert_eq!(checks.get(), 10);
}

// I-03
#[test]
fn an_idle_watcher_that_stops_itself_still_lets_the_checks_of_that_turn_run() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        let slot = Slot::new();
        let idle = Idle::start({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                trace.say("idle");
                let idle: &Idle = slot.get();
                idle.stop();
            }
        });
        slot.put(idle);
        Check::start(trace.says("check")).unref();
    });
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["idle", "check"]);
}

for_each_kind! {
    // Start order, decided once for all three kinds.
    #[test]
    fn watchers_run_in_the_order_they_were_started<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            Watcher::start(trace.says("first"));
            Watcher::start(trace.says("second"));
            Watcher::start(trace.says("third"));
        });
        for _ in 0..2 {
            event_loop.turn(RunMode::NoWait);
            trace.expect(&["first", "second", "third"]);
        }
    }

    // I-04
    #[test]
    fn one_started_by_another_of_its_kind_first_runs_in_the_next_turn<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            let inner = trace.clone();
            let started = Counter::new();
            Watcher::start(move || {
                inner.say("starter");
                if started.add() == 1 {
                    Watcher::start(inner.says("started"));
                }
            });
        });
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["starter"]);
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["starter", "started"]);
    }

    // I-05
    #[test]
    fn one_may_stop_itself<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        let dropped = Counter::new();
        event_loop.enter(|| {
            let slot = Slot::new();
            let (inner, own, guard) = (trace.clone(), slot.clone(), dropped.on_drop());
            slot.put(Watcher::start(move || {
                guard.touch();
                inner.say("ran");
                let watcher: &Watcher = own.get();
                watcher.stop();
                watcher.stop();
                assert!(!watcher.is_active());
            }));
            Watcher::start(trace.says("other"));
        });
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["ran", "other"]);
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["other"]);
        assert_eq!(dropped.get(), 1, "a stopped watcher lets its callback go");
    }

    // I-05
    #[test]
    fn one_may_stop_another_that_has_not_run_yet<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            let slot = Slot::new();
            let (inner, other) = (trace.clone(), slot.clone());
            Watcher::start(move || {
                inner.say("stops the next");
                let other: &Watcher = other.get();
                other.stop();
            });
            slot.put(Watcher::start(trace.says("stopped")));
            Watcher::start(trace.says("stays"));
        });
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["stops the next", "stays"]);
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["stops the next", "stays"]);
    }

    // I-05
    #[test]
    fn one_may_stop_an_earlier_one_and_the_rest_still_run_once<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            let first = Watcher::start(trace.says("first"));
            let inner = trace.clone();
            Watcher::start(move || {
                inner.say("stops the first");
                first.stop();
            });
            Watcher::start(trace.says("third"));
        });
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["first", "stops the first", "third"]);
        event_loop.turn(RunMode::NoWait);
        trace.expect(&["stops the first", "third"]);
    }

    // I-07
    #[test]
    fn an_unref_one_is_not_called_when_nothing_else_is_alive<Watcher>() {
        for mode in [RunMode::Default, RunMode::Once, RunMode::NoWait] {
            let event_loop = virtual_loop();
            let trace = Trace::new();
            let watcher = event_loop.enter(|| Watcher::start(trace.says("ran")));
            watcher.unref();
            assert!(!watcher.has_ref());
            assert!(watcher.is_active());
            assert!(!event_loop.turn(mode));
            trace.expect(&[]);
        }
    }

    // I-07
    #[test]
    fn one_that_unrefs_itself_lets_the_run_end_after_that_turn<Watcher>() {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            let slot = Slot::new();
            let (inner, own) = (trace.clone(), slot.clone());
            slot.put(Watcher::start(move || {
                inner.say("ran");
                let watcher: &Watcher = own.get();
                watcher.unref();
            }));
            // Keeps the poll of that turn from waiting for ever.
            set_immediate(trace.says("immediate"));
        });
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(trace.count("ran"), 1);
        assert_eq!(trace.count("immediate"), 1);
    }

    // A stopped watcher stays stopped, and its name may be dropped at any time.
    #[test]
    fn one_whose_handle_was_dropped_goes_on_until_the_loop_ends<Watcher>() {
        let event_loop = virtual_loop();
        let runs = Counter::new();
        event_loop.enter(|| drop(Watcher::start(runs.adds())));
        event_loop.turn(RunMode::NoWait);
        event_loop.turn(RunMode::NoWait);
        assert_eq!(runs.get(), 2);
    }
}
