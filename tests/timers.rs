//! Timers: when they fire, in which order, and what clearing and refreshing do. Section T of the
//! list of behaviours.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Check, Notifier, Prepare};
use windlass::time::{Sleep, advance, sleep};
use windlass::{
    Loop, RunMode, Timer, next_tick, queue_microtask, set_immediate, set_interval, set_timeout,
    set_timer, spawn,
};

/// A place where a callback finds the timer it wants to act on.
fn timer_slot() -> Rc<Cell<Option<Timer>>> {
    Rc::new(Cell::new(None))
}

// T-01, T-03
#[test]
fn a_timer_fires_once_and_never_early_on_the_real_clock() {
    bounded(|| {
        let delays = [
            Duration::ZERO,
            Duration::from_micros(1),
            Duration::from_micros(300),
            ms(1),
            Duration::from_micros(1_001),
            ms(3),
            ms(10),
        ];
        let fired = Rc::new(RefCell::new(Vec::new()));
        windlass::run(|| {
            for delay in delays {
                let fired = Rc::clone(&fired);
                let armed = Instant::now();
                set_timeout(delay, move || fired.borrow_mut().push((delay, armed.elapsed())));
            }
        });
        let fired = fired.take();
        assert_eq!(fired.len(), delays.len(), "each fires exactly once");
        for (delay, waited) in fired {
            // Whole milliseconds, rounded up, and at least one.
            let promised = ms(u64::try_from(delay.as_micros().div_ceil(1000).max(1)).unwrap());
            assert!(waited >= promised, "{delay:?} fired after {waited:?}");
        }
    });
}

// T-01: with a clock that has moved on since it was read.
#[test]
fn a_timer_armed_late_in_a_busy_callback_is_not_early() {
    let waited = Rc::new(Cell::new(None));
    windlass::run(|| {
        spin(ms(20));
        let waited = Rc::clone(&waited);
        let armed = Instant::now();
        set_timeout(ms(10), move || waited.set(Some(armed.elapsed())));
    });
    assert!(waited.get().expect("it fired") >= ms(10));
}

// T-02
#[test]
fn timers_of_one_delay_fire_in_the_order_they_were_armed() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(5), trace.says("first"));
        set_timeout(ms(5), trace.says("second"));
        let inner = trace.clone();
        set_timeout(ms(2), move || {
            set_timeout(ms(5), inner.says("fourth"));
        });
        set_timeout(ms(5), trace.says("third"));
    };
    check(scenario, &["first", "second", "third", "fourth"]);
}

// T-02
#[test]
fn overdue_timers_run_delay_by_delay_with_the_earliest_expiry_leading() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(5), trace.says("five, due at 5"));
        advance(ms(2));
        set_timeout(ms(4), trace.says("four, due at 6"));
        advance(ms(1));
        set_timeout(ms(5), trace.says("five, due at 8"));
        set_timeout(ms(1), trace.says("one, due at 4"));
        advance(ms(50));
    };
    check(scenario, &["one, due at 4", "five, due at 5", "five, due at 8", "four, due at 6"]);
}

// T-02: delays that are not overdue together fire by their due time.
#[test]
fn timers_of_different_delays_fire_by_their_due_time() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(30), trace.says("30"));
        set_timeout(ms(10), trace.says("10"));
        set_timeout(ms(20), trace.says("20"));
    };
    check(scenario, &["10", "20", "30"]);
}

// T-03
#[test]
fn zero_and_fractions_count_as_whole_milliseconds_in_one_list() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let begin = event_loop.now();
    let says_with_time = |label: &'static str| {
        let trace = trace.clone();
        move || trace.say(format!("{label} at {:?}", windlass::now() - begin))
    };
    event_loop.enter(|| {
        set_timeout(ms(1), says_with_time("one"));
        set_timeout(Duration::ZERO, says_with_time("zero"));
        set_timeout(Duration::from_micros(300), says_with_time("a third"));
        set_timeout(Duration::from_nanos(1), says_with_time("a nanosecond"));
        set_timeout(ms(2), says_with_time("two"));
        set_timeout(Duration::from_micros(1_200), says_with_time("one and a fifth"));
    });
    trace.expect(&[]);
    event_loop.turn(RunMode::Default);
    trace.expect(&[
        "one at 1ms",
        "zero at 1ms",
        "a third at 1ms",
        "a nanosecond at 1ms",
        "two at 2ms",
        "one and a fifth at 2ms",
    ]);
}

// T-03
#[test]
fn no_timer_fires_inside_the_call_that_arms_it() {
    let scenario = |trace: &Trace| {
        set_timeout(Duration::ZERO, trace.says("timer"));
        advance(ms(5));
        set_timeout(Duration::ZERO, trace.says("timer"));
        trace.say("armed");
    };
    check(scenario, &["armed", "timer", "timer"]);
}

// T-04
#[test]
fn a_zero_timer_that_rearms_itself_fires_once_a_turn() {
    fn rearm(fired: Counter) {
        set_timeout(Duration::ZERO, move || {
            if fired.add() < 5 {
                advance(ms(3));
                rearm(fired);
                // Already overdue when this callback returns.
                advance(ms(3));
            }
        });
    }
    let event_loop = virtual_loop();
    let fired = Counter::new();
    event_loop.enter(|| rearm(fired.clone()));
    for turn in 1..5 {
        assert!(event_loop.turn(RunMode::Once));
        assert_eq!(fired.get(), turn);
    }
    assert!(!event_loop.turn(RunMode::Once));
    assert_eq!(fired.get(), 5);
}

// T-04
#[test]
fn a_zero_timer_that_rearms_itself_lets_other_events_through() {
    bounded(|| {
        fn rearm(done: Rc<Cell<bool>>) {
            set_timeout(Duration::ZERO, move || {
                if !done.get() {
                    rearm(done);
                    spin(ms(2));
                }
            });
        }
        let done = Rc::new(Cell::new(false));
        windlass::run(|| {
            rearm(Rc::clone(&done));
            let slot = Slot::<Notifier>::new();
            let notifier = Notifier::new({
                let (done, slot) = (Rc::clone(&done), slot.clone());
                move || {
                    done.set(true);
                    slot.get().close();
                }
            });
            slot.put(notifier.clone());
            std::thread::spawn(move || notifier.notify());
        });
        assert!(done.get());
    });
}

// T-05
#[test]
fn a_timer_armed_in_a_timer_callback_waits_for_the_next_pass() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            inner.say("timer");
            set_timeout(ms(1), inner.says("nested"));
            set_immediate(inner.says("immediate"));
            advance(ms(10));
        });
        set_timeout(ms(1), trace.says("second"));
        set_timeout(ms(3), trace.says("due while the pass ran"));
    };
    check(scenario, &["timer", "second", "immediate", "nested", "due while the pass ran"]);
}

// T-07
#[test]
fn a_cleared_timer_never_fires_and_clearing_again_is_harmless() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let begin = event_loop.now();
    event_loop.enter(|| {
        let timer = set_timeout(ms(5), trace.says("timeout"));
        let interval = set_interval(ms(5), |_| unreachable!("it is cleared"));
        timer.clear();
        timer.clear();
        interval.clear();
        interval.clear();
    });
    assert!(!event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&[]);
    assert_eq!(event_loop.now(), begin, "nobody waited for them either");
}

// T-07
#[test]
fn clearing_a_timer_that_has_fired_or_is_firing_is_harmless() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let timer = set_timeout(ms(1), {
            let (trace, slot) = (trace.clone(), Rc::clone(&slot));
            move || {
                trace.say("fired");
                slot.take().expect("its own id").clear();
            }
        });
        slot.set(Some(timer));
        let inner = trace.clone();
        set_timeout(ms(2), move || {
            timer.clear();
            inner.say("cleared again");
        });
    };
    check(scenario, &["fired", "cleared again"]);
}

// T-07: what a cleared timer had captured is released.
#[test]
fn clearing_a_timer_drops_its_callback() {
    let dropped = Counter::new();
    virtual_loop().run(|| {
        let guard = dropped.on_drop();
        let timer = set_timeout(HOUR, move || guard.touch());
        timer.clear();
        let dropped = dropped.clone();
        set_immediate(move || assert_eq!(dropped.get(), 1));
    });
    assert_eq!(dropped.get(), 1);
}

// T-08
#[test]
fn a_timer_that_clears_another_due_one_prevents_it() {
    let scenario = |trace: &Trace| {
        let same = timer_slot();
        let other = timer_slot();
        let (inner, same_slot, other_slot) = (trace.clone(), Rc::clone(&same), Rc::clone(&other));
        set_timeout(ms(1), move || {
            inner.say("clears");
            same_slot.take().expect("the timer of the same delay").clear();
            other_slot.take().expect("the timer of another delay").clear();
        });
        same.set(Some(set_timeout(ms(1), trace.says("same delay"))));
        other.set(Some(set_timeout(ms(2), trace.says("other delay"))));
        set_timeout(ms(2), trace.says("stays"));
        advance(ms(10));
    };
    check(scenario, &["clears", "stays"]);
}

// T-08: from the tick between the two.
#[test]
fn a_tick_between_two_due_timers_can_clear_the_second() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let (inner, second) = (trace.clone(), Rc::clone(&slot));
        set_timeout(ms(1), move || {
            inner.say("first");
            next_tick(move || second.take().expect("the second timer").clear());
        });
        slot.set(Some(set_timeout(ms(1), trace.says("second"))));
    };
    check(scenario, &["first"]);
}

// T-09
#[test]
fn a_timeout_reads_inactive_in_its_callback_and_an_interval_active() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let (inner, own) = (trace.clone(), Rc::clone(&slot));
        slot.set(Some(set_timeout(ms(1), move || {
            let timer = own.take().expect("its own id");
            inner.say(format!("timeout {} {:?}", timer.is_active(), timer.due_in()));
        })));
        let inner = trace.clone();
        set_timer(ms(1), move |timer| inner.say(format!("timer {}", timer.is_active())));
        let inner = trace.clone();
        set_interval(ms(1), move |timer| {
            inner.say(format!("interval {}", timer.is_active()));
            timer.clear();
            inner.say(format!("cleared {}", timer.is_active()));
        });
    };
    check(scenario, &["timeout false None", "timer false", "interval true", "cleared false"]);
}

// T-10
#[test]
fn an_interval_overdue_by_many_periods_runs_once_and_counts_on_from_there() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let (inner, runs) = (trace.clone(), Counter::new());
        set_interval(ms(10), move |interval| {
            inner.say(format!("{:?}", windlass::now() - begin));
            if runs.add() == 3 {
                interval.clear();
            }
        });
        advance(ms(55));
    });
    trace.expect(&["55ms", "65ms", "75ms"]);
}

// T-10
#[test]
fn a_period_counts_from_the_start_of_the_callback() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let (inner, runs) = (trace.clone(), Counter::new());
        set_interval(ms(50), move |interval| {
            inner.say(format!("{:?}", windlass::now() - begin));
            advance(ms(17));
            if runs.add() == 3 {
                interval.clear();
            }
        });
    });
    trace.expect(&["50ms", "100ms", "150ms"]);
}

// T-11
#[test]
fn an_overdue_interval_runs_once_for_each_turn() {
    for mode in [RunMode::Once, RunMode::NoWait] {
        let event_loop = virtual_loop();
        let runs = Counter::new();
        event_loop.enter(|| {
            let runs = runs.clone();
            set_interval(ms(1), move |_| {
                runs.add();
            })
        });
        for turn in 1..=5 {
            event_loop.enter(|| advance(ms(10)));
            assert!(event_loop.turn(mode));
            assert_eq!(runs.get(), turn, "in {mode:?}");
        }
    }
}

// T-13
#[test]
fn an_interval_goes_behind_a_timer_of_its_delay_that_its_callback_armed() {
    let scenario = |trace: &Trace| {
        let (inner, runs) = (trace.clone(), Counter::new());
        set_interval(ms(10), move |interval| {
            inner.say("interval");
            if runs.add() == 1 {
                set_timeout(ms(10), inner.says("timeout"));
                advance(ms(4));
            } else {
                interval.clear();
            }
        });
    };
    check(scenario, &["interval", "timeout", "interval"]);
}

// T-14
#[test]
fn the_time_left_is_the_delay_at_first_then_less_then_zero_then_none() {
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        let timer = set_timeout(ms(100), || {});
        assert_eq!(timer.due_in(), Some(ms(100)));
        advance(ms(30));
        event_loop.update_time();
        assert_eq!(timer.due_in(), Some(ms(70)));
        advance(ms(500));
        event_loop.update_time();
        assert_eq!(timer.due_in(), Some(Duration::ZERO));
        timer.clear();
        assert_eq!(timer.due_in(), None);
    });
}

// T-14: armed behind a stale clock, the remaining time is never more than the delay.
#[test]
fn the_time_left_never_exceeds_the_delay_nor_underflows() {
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        advance(ms(40));
        let timer = set_timeout(ms(10), || {});
        event_loop.update_time();
        assert_eq!(timer.due_in(), Some(ms(10)));
    });
    event_loop.turn(RunMode::Default);
}

// T-15
#[test]
fn enormous_delays_saturate_and_leave_other_timers_alone() {
    let enormous = [
        Duration::MAX,
        Duration::from_millis(u64::MAX),
        Duration::from_secs(u64::MAX),
        Duration::from_millis(u64::from(u32::MAX) + 1),
        Duration::from_nanos(u64::MAX),
    ];
    for event_loop in [virtual_loop(), real_loop()] {
        let trace = Trace::new();
        let timers = event_loop.enter(|| {
            let mut timers = Vec::new();
            for delay in enormous {
                timers.push(set_timeout(delay, || panic!("it fired early")));
                timers.push(set_interval(delay, |_| panic!("it fired early")));
            }
            set_timeout(ms(1), trace.says("one"));
            set_timeout(ms(3), trace.says("three"));
            for timer in &timers {
                assert!(timer.due_in().expect("armed") > HOUR);
            }
            timers
        });
        while trace.count("three") == 0 {
            assert!(event_loop.turn(RunMode::Once));
        }
        trace.expect(&["one", "three"]);
        timers.iter().for_each(Timer::clear);
        assert!(!event_loop.is_alive());
    }
}

// T-18
#[test]
fn a_due_timer_that_is_unref_does_not_run_when_nothing_else_is_alive() {
    for mode in [RunMode::Default, RunMode::Once, RunMode::NoWait] {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            set_timeout(ms(1), trace.says("timer")).unref();
            advance(ms(10));
        });
        assert!(!event_loop.turn(mode));
        trace.expect(&[]);
    }
}

// T-19
#[test]
fn an_unref_interval_keeps_firing_while_something_else_is_alive() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        set_interval(ms(10), move |_| inner.say("unref at once")).unref();
        let inner = trace.clone();
        set_interval(ms(10), move |interval| {
            inner.say("unref inside");
            interval.unref();
        });
        set_timeout(ms(25), trace.says("the end"));
    };
    check(scenario, &["unref at once", "unref inside", "unref at once", "unref inside", "the end"]);
}

// T-20
#[test]
fn refresh_counts_from_now_and_moves_the_timer_to_the_end_of_its_list() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let says = |label: &'static str| {
            let trace = trace.clone();
            move || trace.say(format!("{label} at {:?}", windlass::now() - begin))
        };
        let refreshed = set_timeout(ms(10), says("refreshed"));
        set_timeout(ms(10), says("untouched"));
        set_timeout(ms(6), move || refreshed.refresh());
        set_timeout(ms(6), {
            let says_last = says("armed after the refresh");
            move || {
                set_timeout(ms(10), says_last);
            }
        });
    });
    trace.expect(&["untouched at 10ms", "refreshed at 16ms", "armed after the refresh at 16ms"]);
}

// T-20, and T-06 in its terms: the timer fires once, at the new time.
#[test]
fn a_timer_refreshed_faster_than_its_delay_is_put_off_each_time() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let inner = trace.clone();
        let timer =
            set_timeout(ms(10), move || inner.say(format!("{:?}", windlass::now() - begin)));
        let refreshes = Counter::new();
        set_interval(ms(7), move |interval| {
            timer.refresh();
            if refreshes.add() == 4 {
                interval.clear();
            }
        });
    });
    trace.expect(&["38ms"]);
}

// T-20
#[test]
fn a_due_timer_refreshed_by_an_earlier_one_does_not_fire_in_that_pass() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let (inner, second) = (trace.clone(), Rc::clone(&slot));
        set_timeout(ms(5), move || {
            inner.say("refreshes");
            second.get().expect("the second timer").refresh();
        });
        slot.set(Some(set_timeout(ms(5), trace.says("refreshed"))));
        set_timeout(ms(5), trace.says("third"));
        set_timeout(ms(7), trace.says("seven"));
        advance(ms(5));
    };
    check(scenario, &["refreshes", "third", "seven", "refreshed"]);
}

/// Of three overdue timers of 10 ms the first queues what does `act` to the second and third,
/// between the first two. What follows is what Node prints for the same program.
#[track_caller]
fn check_between(act: fn(&Trace, Timer, Timer), expected: &[&str]) {
    for as_microtask in [false, true] {
        let scenario = |trace: &Trace| {
            let (second, third) = (timer_slot(), timer_slot());
            let (inner, to_second, to_third) = (trace.clone(), second.clone(), third.clone());
            let queued = move || {
                inner.say("between");
                let timers = (to_second.get(), to_third.get());
                act(&inner, timers.0.expect("the second timer"), timers.1.expect("the third"));
            };
            let inner = trace.clone();
            set_timeout(ms(10), move || {
                inner.say("first");
                if as_microtask { queue_microtask(queued) } else { next_tick(queued) }
            });
            second.set(Some(set_timeout(ms(10), trace.says("second"))));
            third.set(Some(set_timeout(ms(10), trace.says("third"))));
            set_timeout(ms(40), trace.says("40 ms"));
            set_timeout(ms(15), trace.says("15 ms"));
            set_immediate(trace.says("check"));
            advance(ms(26));
        };
        check(scenario, expected);
    }
}

// Conformance rule 33.
#[test]
fn a_refresh_between_two_due_timers_comes_too_late_for_the_next_one() {
    let refreshes = |_: &Trace, second: Timer, _: Timer| {
        assert!(second.is_active());
        second.refresh();
        assert_eq!(second.due_in(), Some(ms(10)));
    };
    check_between(refreshes, &["first", "between", "second", "third", "15 ms", "check", "40 ms"]);
    // It is in time for the one after that: here due at 36 ms.
    let refreshes = |_: &Trace, _: Timer, third: Timer| third.refresh();
    check_between(refreshes, &["first", "between", "second", "15 ms", "check", "third", "40 ms"]);
    let refreshes = |_: &Trace, second: Timer, third: Timer| {
        second.refresh();
        third.refresh();
        advance(ms(15));
    };
    // Overdue again, both lists: that of 10 ms, which was put back for 36 ms, leads.
    check_between(refreshes, &["first", "between", "second", "15 ms", "check", "third", "40 ms"]);
}

#[test]
fn a_clear_between_two_due_timers_comes_in_time_and_a_new_timer_waits() {
    let clears = |_: &Trace, second: Timer, _: Timer| second.clear();
    check_between(clears, &["first", "between", "third", "15 ms", "check", "40 ms"]);
    let clears = |_: &Trace, second: Timer, _: Timer| {
        second.clear();
        second.refresh();
    };
    check_between(clears, &["first", "between", "third", "15 ms", "check", "40 ms"]);
    let clears = |_: &Trace, second: Timer, _: Timer| {
        second.refresh();
        second.clear();
    };
    check_between(clears, &["first", "between", "third", "15 ms", "check", "40 ms"]);
    // Perhaps at the same place of the table: it is another timer all the same.
    let anew = |trace: &Trace, second: Timer, _: Timer| {
        second.clear();
        set_timeout(ms(10), trace.says("anew"));
    };
    check_between(anew, &["first", "between", "third", "15 ms", "check", "anew", "40 ms"]);
    let all_anew = |trace: &Trace, second: Timer, third: Timer| {
        second.clear();
        third.clear();
        set_timeout(ms(10), trace.says("anew"));
    };
    check_between(all_anew, &["first", "between", "15 ms", "check", "anew", "40 ms"]);
}

#[test]
fn an_unref_or_ref_between_two_due_timers_changes_nothing_in_the_pass() {
    let order = &["first", "between", "second", "third", "15 ms", "check", "40 ms"];
    check_between(|_, second, _| second.set_ref(false), order);
    let both_ways = |_: &Trace, second: Timer, _: Timer| {
        second.unref().set_ref(true);
        assert!(second.has_ref());
    };
    check_between(both_ways, order);
    let unreferences = |_: &Trace, second: Timer, _: Timer| second.unref().refresh();
    check_between(unreferences, order);
    // An empty list whose last timer was unreferenced stays, for the timer that comes now.
    let clears = |trace: &Trace, second: Timer, third: Timer| {
        second.unref().clear();
        third.unref().clear();
        set_timeout(ms(10), trace.says("anew"));
    };
    check_between(clears, &["first", "between", "15 ms", "check", "anew", "40 ms"]);
}

#[test]
fn a_refresh_between_two_lists_comes_in_time_for_the_next_list() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let second = slot.clone();
        set_timeout(ms(10), move || {
            next_tick(move || second.get().expect("the second timer").refresh());
        });
        slot.set(Some(set_timeout(ms(15), trace.says("15 ms"))));
        set_timeout(ms(20), trace.says("20 ms"));
        set_immediate(trace.says("check"));
        advance(ms(26));
    };
    check(scenario, &["20 ms", "check", "15 ms"]);
}

// T-08, of two lists that expire together. As in Node, which gives up the emptied list of a timer
// that is cleared, also in its own callback, unless the timer is unreferenced.
#[test]
fn what_a_timer_arms_that_has_cleared_itself_is_in_a_list_made_then() {
    let order_of = |makes: fn(Box<dyn Fn(Timer)>) -> Timer, clears: bool, holds: bool| {
        let trace = Trace::new();
        let event_loop = virtual_loop();
        event_loop.run(|| {
            let inner = trace.clone();
            _ = makes(Box::new(move |timer| {
                timer.set_ref(holds);
                if clears {
                    timer.clear();
                }
                set_timeout(ms(10), inner.says("first"));
                advance(ms(5));
                set_timeout(ms(5), inner.says("second"));
                next_tick(move || timer.clear());
            }));
        });
        trace.lines().join(", ")
    };
    let makes: [fn(Box<dyn Fn(Timer)>) -> Timer; 2] =
        [|f| set_interval(ms(10), f), |f| set_timer(ms(10), f)];
    for makes in makes {
        assert_eq!(order_of(makes, true, true), "first, second");
        // The list is put back after the callback, so behind the one that was made in it.
        assert_eq!(order_of(makes, false, true), "second, first");
        assert_eq!(order_of(makes, true, false), "second, first");
    }
}

/// What Node decides before the drain beside the next timer: when its list is looked at again.
#[test]
fn a_list_without_a_further_due_timer_is_put_back_before_the_drain() {
    let scenario = |trace: &Trace| {
        let slot = timer_slot();
        let (refreshed, inner) = (slot.clone(), trace.clone());
        set_timeout(ms(10), move || {
            inner.say("10 ms");
            next_tick(move || {
                refreshed.get().expect("the timer behind").refresh();
                advance(ms(18));
            });
        });
        set_timeout(ms(18), trace.says("18 ms"));
        advance(ms(5));
        slot.set(Some(set_timeout(ms(10), trace.says("10 ms again"))));
        advance(ms(7));
    };
    // Put back at 12 ms for 15, refreshed for 22: at 30 its list still leads that of 18 ms.
    check(scenario, &["10 ms", "10 ms again", "18 ms"]);
}

#[test]
fn intervals_and_set_timers_refreshed_between_two_due_timers_fire_once_and_go_on() {
    let scenario = |trace: &Trace| {
        let (second, third) = (timer_slot(), timer_slot());
        let refreshes = |slot: &Rc<Cell<Option<Timer>>>| {
            let slot = slot.clone();
            next_tick(move || slot.get().expect("a later timer").refresh());
        };
        let twice = |label, slot: Rc<Cell<Option<Timer>>>| {
            let (inner, mut runs) = (trace.clone(), 0);
            set_interval(ms(10), move |timer| {
                inner.say(label);
                runs += 1;
                if runs == 1 { refreshes(&slot) } else { timer.clear() }
            })
        };
        twice("interval 1", second.clone());
        second.set(Some(twice("interval 2", third.clone())));
        let mut says = trace.says("set_timer");
        third.set(Some(set_timer(ms(10), move |_| says())));
        advance(ms(12));
    };
    let order = ["interval 1", "interval 2", "set_timer", "interval 1", "interval 2"];
    check(scenario, &order);
}

// A future promises more than Node's timers: the whole duration, counted anew.
#[test]
fn a_sleep_reset_between_two_due_timers_waits_for_its_whole_duration() {
    let scenario = |trace: &Trace| {
        let asleep = Rc::new(RefCell::new(None::<Sleep>));
        let (resets, begin) = (asleep.clone(), windlass::now());
        set_timeout(ms(10), move || {
            next_tick(move || resets.borrow().as_ref().expect("it sleeps").reset());
        });
        asleep.replace(Some(sleep(ms(10))));
        let inner = trace.clone();
        spawn(async move {
            poll_fn(|cx| {
                let mut asleep = asleep.borrow_mut();
                Pin::new(asleep.as_mut().expect("it sleeps")).poll(cx)
            })
            .await;
            inner.say(format!("awake after {:?}", windlass::now() - begin));
        });
        set_timeout(ms(10), trace.says("timer"));
        advance(ms(12));
    };
    check(scenario, &["timer", "awake after 22ms"]);
}

// T-20
#[test]
fn a_set_timer_fires_once_more_after_each_refresh_and_holds_the_loop() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let (inner, runs) = (trace.clone(), Counter::new());
        let timer = set_timer(ms(10), move |timer| {
            inner.say(format!("fires at {:?}", windlass::now() - begin));
            if runs.add() == 1 {
                // Inside its own callback.
                timer.refresh();
                assert!(timer.is_active());
            }
        });
        // And long after it fired.
        set_timeout(ms(100), move || {
            assert!(!timer.is_active());
            timer.refresh();
            assert!(timer.is_active());
        });
    });
    trace.expect(&["fires at 10ms", "fires at 20ms", "fires at 110ms"]);
}

// T-20
#[test]
fn a_spent_timeout_and_a_cleared_timer_stay_silent_when_refreshed() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let slot = timer_slot();
        let (inner, own) = (trace.clone(), Rc::clone(&slot));
        let spent = set_timeout(ms(1), move || {
            inner.say("timeout");
            own.get().expect("its own id").refresh();
        });
        slot.set(Some(spent));
        let inner = trace.clone();
        let cleared = set_timer(ms(1), move |timer| {
            inner.say("timer");
            timer.clear();
            timer.refresh();
        });
        let never = set_timeout(ms(1), trace.says("never"));
        never.clear();
        never.refresh();
        set_timeout(ms(5), move || {
            spent.refresh();
            cleared.refresh();
            never.refresh();
            assert!(!spent.is_active() && !cleared.is_active() && !never.is_active());
        });
    });
    trace.expect(&["timeout", "timer"]);
    assert_eq!(event_loop.now() - begin, ms(5), "nothing was armed again");
}

// T-20: an interval refreshed in its own callback is armed once, not twice.
#[test]
fn an_interval_refreshed_in_its_callback_keeps_one_schedule() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        let (inner, runs) = (trace.clone(), Counter::new());
        set_interval(ms(10), move |interval| {
            inner.say(format!("{:?}", windlass::now() - begin));
            interval.refresh();
            if runs.add() == 3 {
                interval.clear();
            }
        });
    });
    trace.expect(&["10ms", "20ms", "30ms"]);
}

// T-21
#[test]
fn a_lone_timer_costs_a_constant_number_of_turns() {
    for delay in [Duration::from_micros(300), ms(1), ms(10), ms(25)] {
        let event_loop = real_loop();
        let fired = Counter::new();
        event_loop.enter(|| set_timeout(delay, fired.adds()));
        event_loop.turn(RunMode::Default);
        assert_eq!(fired.get(), 1);
        let turns = event_loop.metrics().iterations;
        assert!(turns <= 3, "{delay:?} took {turns} turns");
    }
}

// T-22
#[test]
fn now_is_fixed_within_a_callback_until_it_is_updated() {
    let checked = Counter::new();
    windlass::run(|| {
        let checked = checked.clone();
        set_timeout(ms(1), move || {
            let begin = windlass::now();
            spin(ms(10));
            assert_eq!(windlass::now(), begin);
            Loop::current().update_time();
            assert!(windlass::now() >= begin + ms(10));
            checked.add();
        });
    });
    assert_eq!(checked.get(), 1);
}

// T-22
#[test]
fn a_delay_counts_from_the_real_time_of_arming() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let fired = Rc::new(Cell::new(None));
    event_loop.run(|| {
        let fired = Rc::clone(&fired);
        set_timeout(ms(1), move || {
            advance(ms(50));
            set_timeout(ms(10), move || fired.set(Some(windlass::now() - begin)));
        });
    });
    assert_eq!(fired.get(), Some(ms(61)));
}

// T-23
#[test]
fn a_timer_armed_in_prepare_or_check_shortens_the_very_next_poll() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.enter(|| {
        set_timeout(HOUR, || {}).unref();
        let slot = Slot::new();
        let prepare = Prepare::start({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                set_timeout(ms(5), trace.says("armed in prepare"));
                let prepare: &Prepare = slot.get();
                prepare.stop();
            }
        });
        slot.put(prepare);
    });
    event_loop.turn(RunMode::Once);
    trace.expect(&["armed in prepare"]);
    assert_eq!(event_loop.now() - begin, ms(5));

    event_loop.enter(|| {
        set_immediate(|| {});
        let slot = Slot::new();
        let check = Check::start({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                set_timeout(ms(5), trace.says("armed in check"));
                let check: &Check = slot.get();
                check.stop();
            }
        });
        slot.put(check);
    });
    event_loop.turn(RunMode::Once);
    trace.expect(&[]);
    event_loop.turn(RunMode::Once);
    trace.expect(&["armed in check"]);
    assert_eq!(event_loop.now() - begin, ms(10));
}

// T-24
#[test]
fn the_id_of_a_timer_that_is_gone_never_touches_a_newer_one() {
    let scenario = |trace: &Trace| {
        let mut gone = Vec::new();
        for _ in 0..4 {
            gone.push(set_timeout(ms(1), || {}));
            gone.push(set_timer(ms(1), |_| {}));
            let cleared = set_interval(ms(1), |_| {});
            cleared.clear();
            gone.push(cleared);
        }
        // The set_timers keep their slots until they are cleared.
        let inner = trace.clone();
        set_timeout(ms(2), move || {
            gone.iter().for_each(Timer::clear);
            for _ in 0..16 {
                set_timeout(ms(1), inner.says("newer"));
            }
            for id in &gone {
                id.clear();
                id.refresh();
                id.unref();
                assert!(!id.is_active());
                assert_eq!(id.due_in(), None);
            }
        });
    };
    check(scenario, &["newer"; 16]);
}

// T-24, for immediates.
#[test]
fn the_id_of_an_immediate_that_ran_never_touches_a_newer_one() {
    let scenario = |trace: &Trace| {
        let gone: Vec<_> = (0..8).map(|_| set_immediate(|| {})).collect();
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            for _ in 0..8 {
                set_immediate(inner.says("newer"));
            }
            for id in &gone {
                id.clear();
                id.unref();
            }
        });
    };
    check(scenario, &["newer"; 8]);
}

// T-26
#[test]
fn a_million_timers_all_fire_in_order() {
    const COUNT: usize = 1_000_000;
    const DELAYS: usize = 100;
    let event_loop = virtual_loop();
    // For each delay the number of the timer that fired last.
    let last = Rc::new(RefCell::new([None; DELAYS]));
    let fired = Counter::new();
    let latest_delay = Rc::new(Cell::new(0));
    event_loop.enter(|| {
        for number in 0..COUNT {
            let (last, fired, latest_delay) =
                (Rc::clone(&last), fired.clone(), Rc::clone(&latest_delay));
            let delay = number * 7 % DELAYS;
            set_timeout(ms(delay as u64 + 1), move || {
                let before = last.borrow_mut()[delay].replace(number);
                assert!(before < Some(number), "in the order of arming");
                assert!(latest_delay.replace(delay) <= delay, "the shorter delay first");
                fired.add();
            });
        }
    });
    event_loop.turn(RunMode::Default);
    assert_eq!(fired.get(), COUNT);
}

// T-27
#[test]
fn dropping_a_sleep_removes_its_timer() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    event_loop.block_on(async {
        let winner = windlass::time::timeout(ms(5), sleep(HOUR)).await;
        assert!(winner.is_err());
    });
    assert!(!event_loop.is_alive(), "no timer is left");
    assert_eq!(event_loop.now() - begin, ms(5));
}

// T-27
#[test]
fn dropping_many_sleeps_from_inside_a_wake_is_safe() {
    let scenario = |trace: &Trace| {
        let sleepers: Vec<_> = (0..500).map(|_| windlass::spawn(sleep(ms(10)))).collect();
        let inner = trace.clone();
        windlass::spawn(async move {
            sleep(ms(10)).await;
            inner.say("woken");
        });
        // Due in the same pass as all of them, and first in the list.
        let trace = trace.clone();
        windlass::spawn(async move {
            sleep(ms(9)).await;
            sleepers.iter().for_each(|task| task.abort());
            drop(sleepers);
            trace.say("aborted");
        });
    };
    check(scenario, &["aborted", "woken"]);
}

// A sleep costs more than a dozen timers: those that come close together are served together.
#[test]
fn timers_close_together_end_the_sleep_of_a_loop_once_a_millisecond_at_most() {
    let event_loop = real_loop();
    let fired = Counter::new();
    let begin = Instant::now();
    event_loop.enter(|| {
        for _ in 0..100 {
            set_timeout(ms(10), fired.adds());
            let armed = Instant::now();
            while armed.elapsed() < Duration::from_micros(100) {}
        }
    });
    event_loop.turn(RunMode::Default);
    assert_eq!(fired.get(), 100);
    let (iterations, most) = (event_loop.metrics().iterations, begin.elapsed().as_millis() + 5);
    assert!(u128::from(iterations) <= most, "{iterations} iterations, at most {most}");
}
