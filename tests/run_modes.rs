//! When a loop is alive, what its three modes do, how it is stopped and how it ends: section L of
//! the list of behaviours.

mod common;

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::TcpStream;
use windlass::time::advance;
use windlass::worker::Worker;
use windlass::{
    Loop, RunMode, next_tick, queue_microtask, queue_work, set_immediate, set_interval, set_timeout,
};

const MODES: [RunMode; 3] = [RunMode::Default, RunMode::Once, RunMode::NoWait];

// L-01
#[test]
fn an_empty_loop_returns_at_once_in_every_mode() {
    for event_loop in [real_loop(), virtual_loop()] {
        for mode in MODES {
            assert!(!event_loop.turn(mode), "an empty loop is not alive in {mode:?}");
        }
        assert!(!event_loop.is_alive());
        assert_eq!(event_loop.run(|| 7), 7);
    }
}

// L-02
#[test]
fn an_active_watcher_makes_the_loop_alive_until_it_is_stopped() {
    let event_loop = virtual_loop();
    let idle = event_loop.enter(|| Idle::start(|| {}));
    assert!(event_loop.is_alive());
    assert!(event_loop.turn(RunMode::NoWait));
    idle.stop();
    assert!(!event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
}

// L-02
#[test]
fn a_closed_handle_no_longer_makes_the_loop_alive_once_it_is_gone() {
    let event_loop = real_loop();
    let notifier = event_loop.enter(|| Notifier::new(|| {}));
    assert!(event_loop.is_alive());
    notifier.close();
    assert!(!event_loop.turn(RunMode::Default));
    assert!(!event_loop.is_alive());
}

// L-03
#[test]
fn a_pool_job_alone_keeps_the_loop_until_its_completion_is_delivered() {
    bounded(|| {
        let event_loop = real_loop();
        let answer = Rc::new(Cell::new(None));
        event_loop.enter(|| {
            let answer = Rc::clone(&answer);
            queue_work(|| 42).on_complete(move |done| answer.set(done.ok()));
        });
        assert!(event_loop.is_alive());
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(answer.get(), Some(42));
        assert!(!event_loop.is_alive());
    });
}

// L-03
#[test]
fn connect_write_and_file_read_each_keep_the_loop_until_they_complete() -> io::Result<()> {
    bounded(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;

        let trace = Trace::new();
        let event_loop = real_loop();
        event_loop.run(|| {
            let trace = trace.clone();
            TcpStream::connect(address).on_complete(move |connected| {
                trace.say("connected");
                let stream = connected.expect("a connection");
                let written = trace.clone();
                stream.write(b"hello").on_complete(move |done| {
                    done.expect("a write");
                    written.say("written");
                    let read = written.clone();
                    windlass::fs::read("Cargo.toml").on_complete(move |contents| {
                        assert!(!contents.expect("a file").is_empty());
                        read.say("read");
                    });
                });
            });
        });
        trace.expect(&["connected", "written", "read"]);
        assert!(!event_loop.is_alive());
        Ok(())
    })
}

// L-04
#[test]
fn the_default_mode_returns_when_nothing_is_active_pending_or_closing() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            inner.say("timer");
            let inner = inner.clone();
            queue_work(|| ()).on_complete(move |_| {
                inner.say("job");
                let inner = inner.clone();
                set_immediate(move || {
                    inner.say("immediate");
                    let slot = Slot::<Notifier>::new();
                    let notifier = Notifier::new({
                        let (inner, slot) = (inner.clone(), slot.clone());
                        move || {
                            inner.say("notifier");
                            slot.get().close();
                        }
                    });
                    notifier.notify();
                    slot.put(notifier);
                });
            });
        });
    });
    assert!(!event_loop.turn(RunMode::Default), "default says that nothing is alive");
    trace.expect(&["timer", "job", "immediate", "notifier"]);
    assert!(event_loop.why_alive().is_empty());
}

// T-18, conformance rule 35: libuv asks whether anything is alive before the timers at the entry.
#[test]
fn after_timers_due_at_the_entry_an_iteration_takes_place_though_nothing_is_alive() {
    let trace = Trace::new();
    let arms = |trace: &Trace| {
        let trace = trace.clone();
        move || {
            trace.say("timer");
            set_immediate(trace.says("immediate")).unref();
        }
    };
    // The main script's timers are the first that a turn has; those of a hook begin another turn.
    let inner = trace.clone();
    virtual_loop().run(|| {
        let (timer, mut rounds) = (arms(&inner), 0);
        windlass::on_before_exit(move || {
            inner.say("before exit");
            rounds += 1;
            if rounds == 1 {
                set_timeout(ms(1), timer.clone());
                advance(ms(5));
            }
        });
        set_timeout(ms(1), arms(&trace));
        advance(ms(5));
    });
    trace.expect(&["timer", "immediate", "before exit", "timer", "immediate", "before exit"]);

    let event_loop = virtual_loop();
    event_loop.enter(|| {
        set_timeout(ms(1), arms(&trace));
        advance(ms(5));
    });
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["timer", "immediate"]);
    // Timers that close an iteration are followed by another only if something is alive.
    event_loop.enter(|| set_timeout(ms(1), arms(&trace)));
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["timer"]);
    // What is left runs when the loop goes on.
    event_loop.enter(|| set_timeout(ms(1), trace.says("another")));
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["immediate", "another"]);
}

// Conformance rule 35: that iteration does not wait, and a stop or an exit of such a timer is heard
// before it.
#[test]
fn the_iteration_after_timers_due_at_the_entry_does_not_wait_and_heeds_stop_and_exit() {
    let event_loop = real_loop();
    event_loop.run(|| {
        let notifier = Notifier::new(|| panic!("nobody notifies"));
        notifier.unref();
        // It would hold the poll phase for an hour, if that waited.
        set_timeout(HOUR, || ()).unref();
        set_timeout(ms(1), move || notifier.close());
        advance(ms(2));
    });
    for (ends, alive) in [(windlass::stop as fn(), true), ((|| windlass::exit(3)) as fn(), false)] {
        let event_loop = virtual_loop();
        event_loop.enter(|| {
            set_immediate(|| panic!("there is no iteration"));
            set_timeout(ms(1), ends);
            advance(ms(2));
        });
        assert_eq!(event_loop.turn(RunMode::Default), alive);
    }
}

// One iteration by hand begins without timers: it takes place if something is alive before it.
#[test]
fn once_and_nowait_turn_nothing_when_nothing_is_alive_at_the_entry() {
    for mode in [RunMode::Once, RunMode::NoWait] {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            set_immediate(trace.says("immediate")).unref();
            set_timeout(ms(1), trace.says("timer")).unref();
            advance(ms(2));
        });
        assert!(!event_loop.turn(mode));
        trace.expect(&[]);
        event_loop.enter(|| set_timeout(HOUR, || ()));
        assert!(event_loop.turn(RunMode::NoWait));
        trace.expect(&["immediate", "timer"]);
    }
}

// L-05
#[test]
fn once_takes_exactly_one_step_of_an_idle_watcher() {
    let event_loop = real_loop();
    let steps = Counter::new();
    event_loop.enter(|| {
        let slot = Slot::new();
        let idle = Idle::start({
            let (steps, slot) = (steps.clone(), slot.clone());
            move || {
                if steps.add() == 64 {
                    let idle: &Idle = slot.get();
                    idle.stop();
                }
            }
        });
        slot.put(idle);
    });
    for step in 1..64 {
        assert!(event_loop.turn(RunMode::Once));
        assert_eq!(steps.get(), step);
    }
    assert!(!event_loop.turn(RunMode::Once), "the last step leaves nothing alive");
    assert_eq!(steps.get(), 64);
}

// L-06
#[test]
fn once_waits_for_a_lone_timer_and_runs_it_in_the_same_call() {
    for event_loop in [real_loop(), virtual_loop()] {
        let trace = Trace::new();
        event_loop.enter(|| set_timeout(ms(1), trace.says("timer")));
        assert!(!event_loop.turn(RunMode::Once));
        trace.expect(&["timer"]);
    }
}

// L-07
#[test]
fn nowait_returns_at_once_although_a_timer_is_armed() {
    for event_loop in [real_loop(), virtual_loop()] {
        let trace = Trace::new();
        event_loop.enter(|| set_timeout(HOUR, trace.says("timer")));
        let begin = Instant::now();
        assert!(event_loop.turn(RunMode::NoWait), "the timer keeps the loop alive");
        assert!(begin.elapsed() < Duration::from_secs(20), "nowait does not wait for it");
        trace.expect(&[]);
    }
}

// L-07, for a loop that waits for other threads only.
#[test]
fn nowait_returns_at_once_although_a_notifier_is_open() {
    let event_loop = real_loop();
    let _notifier = event_loop.enter(|| Notifier::new(|| {}));
    assert!(event_loop.turn(RunMode::NoWait));
}

// L-08
#[test]
fn every_nowait_turn_refreshes_the_loop_clock() {
    let event_loop = real_loop();
    let _alive = event_loop.keep_alive();
    event_loop.turn(RunMode::NoWait);
    let begin = event_loop.now();
    let begin_real = Instant::now();
    while event_loop.now() - begin < ms(20) {
        assert!(event_loop.turn(RunMode::NoWait));
        assert!(begin_real.elapsed() < Duration::from_secs(20), "the clock stands still");
    }
    assert!(event_loop.now() <= Instant::now(), "the cached clock is never ahead");
}

// L-09
#[test]
fn a_stop_lets_the_current_turn_finish_and_a_later_run_goes_on() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let check_slot = Slot::new();
    event_loop.enter(|| {
        let slot = Slot::new();
        let idle = Idle::start({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                trace.say("idle");
                let idle: &Idle = slot.get();
                idle.stop();
                windlass::stop();
                // The timer below becomes due in the middle of this turn.
                advance(ms(5));
            }
        });
        slot.put(idle);
        set_timeout(ms(2), trace.says("timer"));
        check_slot.put(Check::start(trace.says("check")));
        set_timeout(HOUR, {
            let (trace, check_slot) = (trace.clone(), check_slot.clone());
            move || {
                trace.say("later");
                let check: &Check = check_slot.get();
                check.stop();
            }
        });
    });
    assert!(event_loop.turn(RunMode::Default), "a stopped loop is still alive");
    trace.expect(&["idle", "check", "timer"]);
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["check", "later"]);
}

// L-09: the close phase belongs to the turn that finishes.
#[test]
fn a_stop_lets_close_completions_of_the_current_turn_run() -> io::Result<()> {
    bounded(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let trace = Trace::new();
        let event_loop = real_loop();
        event_loop.enter(|| {
            let inner = trace.clone();
            TcpStream::connect(address).on_complete(move |connected| {
                let stream = connected.expect("a connection");
                stream.on_close(inner.says("closed"));
                set_immediate(inner.says("immediate"));
                stream.close();
                windlass::stop();
            });
            set_timeout(HOUR, || unreachable!("the loop is stopped long before"));
        });
        assert!(event_loop.turn(RunMode::Default));
        trace.expect(&["immediate", "closed"]);
        Ok(())
    })
}

// L-09: as the whole of `Loop::run`, which runs no exit hooks then.
#[test]
fn a_stopped_run_leaves_the_loop_alive_and_calls_no_exit_hook() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        windlass::on_before_exit(trace.says("before exit"));
        let inner = trace.clone();
        windlass::on_exit(move |_| inner.say("exit"));
        set_timeout(ms(1), windlass::stop);
        set_timeout(ms(2), trace.says("later"));
    });
    trace.expect(&[]);
    assert!(event_loop.is_alive());
    event_loop.turn(RunMode::Default);
    assert_eq!(trace.lines().first().map(String::as_str), Some("later"));
}

// L-10
#[test]
fn a_stop_requested_before_run_uses_up_exactly_that_run() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        set_timeout(Duration::ZERO, trace.says("timer"));
        set_immediate(trace.says("immediate"));
        advance(ms(5));
    });
    for mode in MODES {
        event_loop.stop();
        assert!(event_loop.turn(mode), "still alive in {mode:?}");
        trace.expect(&[]);
    }
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["timer", "immediate"]);
}

// L-10: the main script is a callback, so its drain belongs to it.
#[test]
fn a_stop_in_a_main_script_still_runs_its_ticks_and_microtasks() {
    let stops: [(&str, fn(&Loop)); 3] = [
        ("in main", |_| windlass::stop()),
        ("in a tick of main", |_| next_tick(windlass::stop)),
        ("before run", Loop::stop),
    ];
    for (when, stop) in stops {
        let trace = Trace::new();
        let event_loop = virtual_loop();
        if when == "before run" {
            stop(&event_loop);
        }
        event_loop.run(|| {
            windlass::on_before_exit(trace.says("before exit"));
            let inner = trace.clone();
            windlass::on_exit(move |_| inner.say("exit"));
            let inner = trace.clone();
            queue_microtask(move || {
                inner.say("microtask");
                next_tick(inner.says("tick of it"));
                set_timeout(Duration::ZERO, inner.says("timer"));
            });
            next_tick(trace.says("tick"));
            if when != "before run" {
                stop(&event_loop);
            }
            advance(ms(5));
        });
        // No phase, and no hook.
        assert_eq!(trace.lines(), ["tick", "microtask", "tick of it"], "{when}");
        assert!(event_loop.is_alive(), "{when}");
        event_loop.run(|| trace.say("main"));
        let later = &trace.lines()[3..];
        assert_eq!(later, ["main", "timer", "before exit", "exit"], "{when}");
    }
}

// O-58, where nothing is left: that too is a stop, not the end of the program.
#[test]
fn a_stopped_run_calls_no_hook_although_nothing_is_alive_and_the_next_run_does() {
    let stops: [fn(); 3] = [
        || {
            next_tick(|| ());
            windlass::stop();
        },
        || {
            set_immediate(windlass::stop);
        },
        || {
            set_timeout(ms(1), || queue_microtask(windlass::stop));
        },
    ];
    for (index, main) in stops.into_iter().enumerate() {
        let trace = Trace::new();
        let event_loop = virtual_loop();
        event_loop.run(|| {
            windlass::on_before_exit(trace.says("before exit"));
            let inner = trace.clone();
            windlass::on_exit(move |_| inner.say("exit"));
            main();
        });
        assert_eq!(trace.lines(), [""; 0], "case {index}");
        assert!(!event_loop.is_alive(), "case {index}");
        event_loop.run(|| ());
        assert_eq!(trace.lines(), ["before exit", "exit"], "case {index}");
    }
}

// O-58, in the hook that is called because nothing is left.
#[test]
fn a_stop_in_a_before_exit_hook_ends_that_run_and_not_the_next_one() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let (inner, mut calls) = (trace.clone(), 0);
        windlass::on_before_exit(move || {
            calls += 1;
            inner.say(format!("before exit {calls}"));
            if calls == 1 {
                windlass::stop();
            }
        });
        let inner = trace.clone();
        windlass::on_exit(move |_| inner.say("exit"));
    });
    trace.expect(&["before exit 1"]);
    event_loop.run(|| set_immediate(trace.says("immediate")));
    trace.expect(&["immediate", "before exit 2", "exit"]);
}

// A worker goes on until nothing is left, whatever its hook stops.
#[test]
fn a_stop_in_a_before_exit_hook_of_a_worker_changes_nothing() {
    let trace = Trace::new();
    let (messages, ended) = (trace.clone(), trace.clone());
    windlass::run(move || {
        let worker = Worker::<(), &'static str>::spawn(|port| {
            let mut calls = 0;
            windlass::on_before_exit(move || {
                calls += 1;
                port.post("before exit");
                windlass::stop();
                if calls == 1 {
                    let port = port.clone();
                    set_immediate(move || port.post("immediate"));
                }
            });
        });
        let worker = worker.expect("a worker");
        worker.on_message(move |message| messages.say(message));
        worker.on_exit(move |code| ended.say(format!("exit {code}")));
    });
    trace.expect(&["before exit", "immediate", "before exit", "exit 0"]);
}

// L-11
#[test]
fn a_stop_from_an_idle_or_prepare_watcher_makes_the_poll_nonblocking() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    event_loop.enter(|| set_timeout(HOUR, || {}));

    let prepare = event_loop.enter(|| Prepare::start(windlass::stop));
    assert!(event_loop.turn(RunMode::Default));
    assert_eq!(event_loop.now(), begin, "the poll after a stop in prepare does not wait");
    prepare.stop();

    let idle = event_loop.enter(|| Idle::start(windlass::stop));
    assert!(event_loop.turn(RunMode::Default));
    assert_eq!(event_loop.now(), begin, "the poll after a stop in idle does not wait");
    idle.stop();
}

// L-12
#[test]
fn closing_a_loop_that_has_open_handles_is_refused_and_changes_nothing() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.enter(|| set_timeout(ms(3), trace.says("timer")));

    let refused = event_loop.close().expect_err("a timer is armed");
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
    assert!(refused.to_string().contains("timer made at tests/run_modes.rs"), "{refused}");
    assert!(event_loop.is_alive());

    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["timer"]);
    event_loop.close().expect("nothing is left");
    event_loop.close().expect("closing again is harmless");
}

// L-12
#[test]
fn closing_a_loop_that_has_pending_requests_is_refused() {
    bounded(|| {
        let event_loop = real_loop();
        let done = Counter::new();
        event_loop.enter(|| {
            let done = done.clone();
            queue_work(|| ()).on_complete(move |_| {
                done.add();
            });
        });
        assert_eq!(event_loop.close().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        event_loop.turn(RunMode::Default);
        assert_eq!(done.get(), 1);
    });
}

// L-12: what is used after a successful close says so.
#[test]
fn a_closed_loop_refuses_to_turn() {
    let event_loop = virtual_loop();
    event_loop.close().expect("nothing is open");
    for mode in MODES {
        let message = panic_of(|| event_loop.turn(mode));
        assert!(message.contains("closed"), "{message}");
    }
    assert!(panic_of(|| event_loop.run(|| {})).contains("closed"));
    assert!(!event_loop.is_alive());
}

// L-13
#[test]
fn a_fresh_loop_on_the_thread_of_a_closed_one_works_the_same() {
    for _ in 0..50 {
        let trace = Trace::new();
        let event_loop = real_loop();
        event_loop.run(|| {
            set_immediate(trace.says("immediate"));
            set_timeout(ms(0), trace.says("timer"));
            next_tick(trace.says("tick"));
        });
        assert_eq!(trace.count("immediate") + trace.count("timer") + trace.count("tick"), 3);
        event_loop.close().expect("nothing is open");
        assert!(Loop::try_current().is_none());
    }
}

// L-16
#[test]
fn running_a_loop_inside_a_callback_is_refused_and_corrupts_nothing() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            let this = Loop::current();
            let other = virtual_loop();
            let refusals = [
                panic_of(|| windlass::run(|| {})),
                panic_of(|| windlass::block_on(async {})),
                panic_of(|| windlass::run_main(|| {})),
                panic_of(|| this.run(|| {})),
                panic_of(|| this.turn(RunMode::NoWait)),
                panic_of(|| this.block_on(async {})),
                panic_of(|| other.turn(RunMode::NoWait)),
            ];
            for message in refusals {
                assert!(message.contains("spawn"), "{message}");
                assert!(message.contains("Worker::spawn_async"), "{message}");
            }
            inner.say("refused");
            queue_microtask(inner.says("microtask"));
            next_tick(inner.says("tick"));
            set_immediate(inner.says("immediate"));
        });
        set_timeout(ms(2), trace.says("next timer"));
    });
    trace.expect(&["refused", "tick", "microtask", "immediate", "next timer"]);
}

// L-16: a main script counts as inside.
#[test]
fn running_a_loop_inside_a_main_script_is_refused() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        let message = panic_of(|| windlass::block_on(async {}));
        assert!(message.contains("spawn"), "{message}");
        set_timeout(ms(1), trace.says("timer"));
    });
    trace.expect(&["timer"]);
}

// L-16
#[test]
fn a_loop_made_inside_a_callback_can_be_run_afterwards() {
    let trace = Trace::new();
    let slot = Slot::new();
    virtual_loop().run(|| {
        let (trace, slot) = (trace.clone(), slot.clone());
        set_timeout(ms(1), move || {
            let second = virtual_loop();
            second.enter(|| set_timeout(ms(1), trace.says("second loop")));
            set_timeout(ms(1), trace.says("first loop"));
            slot.put(second);
        });
    });
    trace.expect(&["first loop"]);
    let second: &Loop = slot.get();
    assert!(!second.turn(RunMode::Default));
    trace.expect(&["second loop"]);
}

// L-17
#[test]
fn every_open_handle_is_listed_once_and_closed_ones_are_not() {
    let event_loop = real_loop();
    let before = event_loop.handles().len();
    let on_line = |line: u32| {
        let listed = event_loop.handles();
        let mut here = listed
            .into_iter()
            .filter(|handle| handle.location.line() == line && handle.location.file() == file!());
        let found = here.next();
        assert!(here.next().is_none(), "listed once");
        found
    };

    let (notifier, notifier_line) = event_loop.enter(|| (Notifier::new(|| {}), line!()));
    let (idle, idle_line) = event_loop.enter(|| (Idle::start(|| {}), line!()));
    let (listener, listener_line) =
        event_loop.enter(|| (windlass::net::TcpListener::bind("127.0.0.1:0"), line!()));
    let listener = listener.expect("a listener");
    idle.unref();

    assert_eq!(event_loop.handles().len(), before + 3);
    let listed = on_line(notifier_line).expect("the notifier is listed");
    assert!(listed.active && listed.has_ref && !listed.kind.is_empty());
    let listed = on_line(idle_line).expect("the idle watcher is listed");
    assert!(listed.active && !listed.has_ref);
    let listed = on_line(listener_line).expect("the listener is listed");
    assert!(!listed.active, "a listener without a callback is not active");

    notifier.close();
    idle.stop();
    listener.close();
    event_loop.turn(RunMode::Default);
    for line in [notifier_line, idle_line, listener_line] {
        assert!(on_line(line).is_none(), "gone after it was closed");
    }
}

// L-17
#[test]
fn closing_handles_while_enumerating_is_safe() {
    let event_loop = real_loop();
    let notifiers: Vec<_> =
        event_loop.enter(|| (0..8).map(|_| Notifier::new(|| {})).collect::<Vec<_>>());
    for (handle, notifier) in event_loop.handles().into_iter().zip(&notifiers) {
        notifier.close();
        assert!(!handle.kind.is_empty());
    }
    notifiers.iter().for_each(Notifier::close);
    assert!(!event_loop.turn(RunMode::Default));
    event_loop.close().expect("all of them are gone");
}

// L-18
#[test]
fn a_watcher_is_active_after_its_start_and_inactive_after_its_stop() {
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        let idle = Idle::start(|| {});
        let prepare = Prepare::start(|| {});
        let check = Check::start(|| {});
        assert!(idle.is_active() && prepare.is_active() && check.is_active());
        idle.stop();
        prepare.stop();
        check.stop();
        assert!(!idle.is_active() && !prepare.is_active() && !check.is_active());
        idle.stop();
        assert!(!idle.is_active());

        let timer = set_timeout(ms(5), || {});
        assert!(timer.is_active());
        timer.clear();
        assert!(!timer.is_active());
    });
    assert!(!event_loop.is_alive());
}

// L-19, L-20
#[test]
fn a_close_completion_comes_once_in_the_close_phase_and_never_inside_close() -> io::Result<()> {
    bounded(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            TcpStream::connect(address).on_complete(move |connected| {
                let stream = connected.expect("a connection");
                stream.on_close(inner.says("closed"));
                set_timeout(Duration::ZERO, inner.says("timer"));
                set_immediate(inner.says("immediate"));
                let slot = Slot::new();
                let check = Check::start({
                    let (inner, slot, stream) = (inner.clone(), slot.clone(), stream.clone());
                    move || {
                        inner.say("check");
                        stream.close();
                        let check: &Check = slot.get();
                        check.stop();
                    }
                });
                slot.put(check);
                stream.close();
                stream.close();
                inner.say("close returned");
            });
        });
        let lines = trace.take();
        assert_eq!(lines[0], "close returned");
        assert!(lines[1..3].contains(&String::from("immediate")), "{lines:?}");
        assert!(lines[1..3].contains(&String::from("check")), "{lines:?}");
        assert_eq!(lines[3..], ["closed", "timer"]);
        Ok(())
    })
}

// L-25
#[test]
#[allow(unsafe_code)] // Sending a signal to one thread has no safe form.
fn a_poll_interrupted_by_signals_goes_on_with_the_time_left() {
    extern "C" fn ignore(_: libc::c_int) {}

    // SAFETY: The handler does nothing, which is allowed at any point of a program.
    unsafe { libc::signal(libc::SIGUSR2, ignore as *const () as libc::sighandler_t) };
    // SAFETY: Asking a thread for its own name has no conditions.
    let this_thread = unsafe { libc::pthread_self() } as usize;

    let event_loop = real_loop();
    let trace = Trace::new();
    let armed = Instant::now();
    event_loop.enter(|| set_timeout(ms(60), trace.says("timer")));
    std::thread::scope(|scope| {
        let (finished, is_finished) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            // A signal every millisecond, until the other end is dropped.
            while is_finished.recv_timeout(ms(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                // SAFETY: The scope keeps the thread that is named from ending before this one.
                unsafe { libc::pthread_kill(this_thread as libc::pthread_t, libc::SIGUSR2) };
            }
        });
        assert!(!event_loop.turn(RunMode::Once), "once does not return early");
        drop(finished);
    });
    trace.expect(&["timer"]);
    assert!(armed.elapsed() >= ms(60));
    assert!(armed.elapsed() < Duration::from_secs(20), "nor is the wait begun anew each time");
}

// Section L in one: what is queued while the loop is not turning is not lost.
#[test]
fn enter_turns_nothing_and_what_it_queues_waits_for_the_turn() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        next_tick(trace.says("tick"));
        queue_microtask(trace.says("microtask"));
        set_interval(ms(1), {
            let trace = trace.clone();
            move |timer| {
                trace.say("interval");
                timer.clear();
            }
        });
        assert!(Loop::try_current().is_some());
    });
    assert!(Loop::try_current().is_none());
    trace.expect(&[]);
    event_loop.turn(RunMode::Default);
    trace.expect(&["tick", "microtask", "interval"]);
}
