//! What becomes of a panic, and of errors: section E of the list of behaviours.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::time::{advance, sleep};
use windlass::worker::{BroadcastChannel, Worker};
use windlass::{
    CancelError, Loop, RunMode, TaskError, next_tick, on_uncaught, queue_microtask, queue_work,
    set_immediate, set_interval, set_timeout, set_timer, spawn,
};

/// Installs a hook that says `!message` for each panic that nobody caught.
fn say_uncaught(trace: &Trace) {
    let trace = trace.clone();
    on_uncaught(move |uncaught| trace.say(format!("!{}", uncaught.message())));
}

// E-01
#[test]
fn every_accepted_request_completes_exactly_once_whatever_becomes_of_it() {
    bounded(|| {
        let completions = Rc::new(RefCell::new(BTreeMap::<usize, usize>::new()));
        windlass::run(|| {
            for number in 0..200 {
                let request = queue_work(move || number);
                if number % 3 == 0 {
                    // It may be too late for that; either way it completes once.
                    request.cancel().ok();
                }
                let completions = Rc::clone(&completions);
                request.on_complete(move |_| {
                    *completions.borrow_mut().entry(number).or_default() += 1
                });
            }
        });
        let completions = completions.take();
        assert_eq!(completions.len(), 200);
        assert!(completions.values().all(|times| *times == 1));
    });
}

// E-02
#[test]
fn every_error_has_a_text() {
    let texts = windlass::block_on(async {
        let aborted = spawn(std::future::pending::<()>());
        aborted.abort();
        let aborted = aborted.await.expect_err("it was aborted");
        let panicked = spawn(async { panic!("a task's own words") }).await;
        let panicked: TaskError = Result::<(), _>::expect_err(panicked, "it panicked");
        assert!(panicked.to_string().contains("a task's own words"), "{panicked}");
        let elapsed = windlass::time::timeout(ms(1), sleep(HOUR)).await.expect_err("too late");
        let failed = queue_work(|| panic!("a job's own words")).await;
        let failed = Result::<(), _>::expect_err(failed, "it panicked");
        assert!(failed.to_string().contains("a job's own words"), "{failed}");
        [
            aborted.to_string(),
            panicked.to_string(),
            elapsed.to_string(),
            failed.to_string(),
            CancelError::Busy.to_string(),
            CancelError::Done.to_string(),
        ]
    });
    for text in &texts {
        assert!(!text.trim().is_empty(), "{texts:?}");
    }
}

// E-02
#[test]
fn an_error_of_the_system_keeps_its_code() -> std::io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    let (refused, missing) = windlass::block_on(async {
        let refused = windlass::net::TcpStream::connect(address).await;
        (refused.map(drop), windlass::fs::read("/no/such/file").await)
    });
    let refused = refused.expect_err("nobody listens there");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));

    // The error of a file operation keeps it inside, beside the path.
    let missing = missing.expect_err("no such file");
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    let inner = missing.get_ref().and_then(|e| e.downcast_ref::<windlass::fs::PathError>());
    assert_eq!(inner.and_then(|inner| inner.raw_os_error()), Some(libc::ENOENT));
    for error in [refused, missing] {
        assert!(!error.to_string().is_empty());
    }
    Ok(())
}

// E-03
#[test]
fn without_a_hook_a_panic_leaves_run_with_its_payload_and_a_further_run_goes_on() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        event_loop.run(|| {
            set_timeout(ms(1), trace.says("before"));
            let inner = trace.clone();
            set_timeout(ms(1), move || {
                next_tick(inner.says("tick of the panicking timer"));
                queue_microtask(inner.says("microtask of the panicking timer"));
                std::panic::panic_any(4711_u32);
            });
            set_timeout(ms(1), trace.says("after"));
            set_timeout(ms(2), trace.says("another delay"));
            set_immediate(trace.says("immediate"));
            advance(ms(5));
        });
    }))
    .expect_err("the panic leaves run");
    assert_eq!(payload.downcast_ref::<u32>(), Some(&4711));
    trace.expect(&["before"]);
    assert!(Loop::try_current().is_none(), "the loop is no longer current");

    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&[
        "tick of the panicking timer",
        "microtask of the panicking timer",
        "after",
        "another delay",
        "immediate",
    ]);
}

// E-03: in each place where a callback runs.
#[test]
fn a_panic_of_any_kind_of_callback_leaves_run_and_loses_nothing() {
    type Arm = fn();
    let places: [(&str, Arm); 9] = [
        ("tick", || next_tick(|| panic!("on purpose"))),
        ("microtask", || queue_microtask(|| panic!("on purpose"))),
        ("immediate", || {
            set_immediate(|| panic!("on purpose"));
        }),
        ("timeout", || {
            set_timeout(ms(1), || panic!("on purpose"));
        }),
        ("timer", || {
            set_timer(ms(1), |_| panic!("on purpose"));
        }),
        ("task", || drop(spawn(async { panic!("on purpose") }))),
        ("completion", || queue_work(|| ()).on_complete(|_| panic!("on purpose"))),
        ("post", || {
            Loop::current().remote().post(|| panic!("on purpose")).expect("the loop lives");
        }),
        ("before exit", || windlass::on_before_exit(one_panic())),
    ];
    for (place, arm) in places {
        let event_loop = real_loop();
        let trace = Trace::new();
        let message = panic_of(|| {
            event_loop.run(|| {
                arm();
                next_tick(trace.says("tick"));
                queue_microtask(trace.says("microtask"));
                set_immediate(trace.says("immediate"));
                set_timeout(ms(2), trace.says("timer"));
            });
        });
        assert_eq!(message, "on purpose", "{place}");
        event_loop.turn(RunMode::Default);
        let mut lines = trace.take();
        lines.sort();
        assert_eq!(lines, ["immediate", "microtask", "tick", "timer"], "{place}");
        assert!(!event_loop.is_alive(), "{place}");
    }
}

/// A callback that panics the first time.
fn one_panic() -> impl FnMut() + 'static {
    let mut first = true;
    move || {
        if std::mem::take(&mut first) {
            panic!("on purpose");
        }
    }
}

// E-03
#[test]
fn a_panic_in_main_leaves_run_hook_or_not_and_the_loop_is_consistent() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let message = panic_of(|| {
        event_loop.run(|| {
            say_uncaught(&trace);
            set_timeout(ms(1), trace.says("timer"));
            next_tick(trace.says("tick"));
            panic!("main");
        });
    });
    assert_eq!(message, "main");
    assert!(Loop::try_current().is_none());
    event_loop.turn(RunMode::Default);
    trace.expect(&["tick", "timer"]);
    assert_eq!(event_loop.run(|| 5), 5);
}

// E-03: the free run, whose loop nobody else holds.
#[test]
fn a_panic_in_the_main_of_the_free_run_drops_what_was_armed() {
    let dropped = Counter::new();
    let message = panic_of(|| {
        windlass::run(|| {
            let guard = dropped.on_drop();
            set_timeout(ms(1), move || guard.touch());
            panic!("main");
        });
    });
    assert_eq!(message, "main");
    assert_eq!(dropped.get(), 1);
    assert!(Loop::try_current().is_none());
    assert_eq!(windlass::run(|| 1), 1);
}

// E-04
#[test]
fn a_caught_panic_ends_its_callback_like_a_return() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        for (first, tick, second) in
            [("timer 1", "tick 1", "timer 2"), ("timer 3", "tick 3", "timer 4")]
        {
            let inner = trace.clone();
            set_timeout(ms(1), move || {
                inner.say(first);
                queue_microtask(inner.says("microtask"));
                next_tick(inner.says(tick));
                panic!("in {first}");
            });
            set_timeout(ms(1), trace.says(second));
        }
    };
    check(
        scenario,
        &[
            "timer 1",
            "!in timer 1",
            "tick 1",
            "microtask",
            "timer 2",
            "timer 3",
            "!in timer 3",
            "tick 3",
            "microtask",
            "timer 4",
        ],
    );
}

// E-04: like a return, so what follows a microtask is the next microtask, not the ticks.
#[test]
fn after_a_caught_panic_in_a_microtask_the_other_microtasks_come_before_the_ticks() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        let inner = trace.clone();
        queue_microtask(move || {
            next_tick(inner.says("tick"));
            panic!("microtask 1");
        });
        queue_microtask(trace.says("microtask 2"));
        // Here it is the last one: the drain that follows begins with the ticks again.
        let inner = trace.clone();
        set_immediate(move || {
            queue_microtask(|| panic!("microtask 3"));
            let inner = inner.clone();
            set_immediate(move || {
                queue_microtask(inner.says("microtask 4"));
                next_tick(inner.says("tick before it"));
            });
        });
    };
    check(
        scenario,
        &["!microtask 1", "microtask 2", "tick", "!microtask 3", "tick before it", "microtask 4"],
    );
}

// E-04: the other messages of the round are not put off.
#[test]
fn after_a_caught_panic_a_port_goes_on_with_its_messages_in_the_same_poll_phase() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        let (here, there) = windlass::worker::channel::<u32, u32>();
        let (here, there) = (here.open(), there.open());
        let inner = trace.clone();
        let own = there.clone();
        there.on_message(move |number| {
            if number == 1 {
                set_immediate(inner.says("immediate"));
            }
            if number == 3 {
                own.close();
            }
            panic!("message {number}");
        });
        (1..=3).for_each(|number| here.post(number));
    };
    check(scenario, &["!message 1", "!message 2", "!message 3", "immediate"]);
}

// The program is over, as in Node: its exit hooks run, with code 1, and nothing that was queued.
#[test]
fn a_panic_that_ends_the_program_runs_its_exit_hooks_with_code_one() {
    let trace = Trace::new();
    let hook = || {
        let inner = trace.clone();
        windlass::on_exit(move |code| {
            inner.say(format!("exit {code}"));
            next_tick(|| unreachable!("the program is over"));
        });
        next_tick(|| panic!("a tick"));
        set_immediate(|| unreachable!("the program is over"));
    };
    assert_eq!(panic_of(|| windlass::run(hook)), "a tick");
    assert_eq!(windlass::run_main(hook), std::process::ExitCode::FAILURE);
    let main = panic_of(|| {
        windlass::run(|| {
            hook();
            panic!("main");
        })
    });
    assert_eq!(main, "main");
    let blocked = panic_of(|| {
        windlass::block_on(async {
            hook();
            std::future::pending::<()>().await;
        })
    });
    assert_eq!(blocked, "a tick");
    trace.expect(&["exit 1", "exit 1", "exit 1", "exit 1"]);
}

// It is over for its hooks too.
#[test]
fn an_exit_hook_of_a_program_that_panicked_cannot_turn_its_loop_again() {
    let trace = Trace::new();
    let program = || {
        let inner = trace.clone();
        windlass::on_exit(move |_| {
            let own = Loop::current();
            let refused = panic_of(|| own.run(|| unreachable!("the program is over")));
            inner.say(if refused.contains("closed") { "refused".to_owned() } else { refused });
        });
        set_immediate(|| panic!("an immediate"));
        set_immediate(|| unreachable!("the program is over"));
    };
    assert_eq!(panic_of(|| windlass::run(program)), "an immediate");
    assert_eq!(windlass::run_main(program), std::process::ExitCode::FAILURE);
    trace.expect(&["refused", "refused"]);
}

/// Two exit hooks, of which the first panics.
fn hooks_of_which_one_panics(trace: &Trace) {
    windlass::on_exit(|_| panic!("an exit hook"));
    let inner = trace.clone();
    windlass::on_exit(move |code| inner.say(format!("exit {code}")));
}

// E-03, E-07: whatever ends the program.
#[test]
fn a_panic_of_an_exit_hook_leaves_the_turn_behind_the_other_hooks() {
    let trace = Trace::new();
    assert_eq!(panic_of(|| windlass::run(|| hooks_of_which_one_panics(&trace))), "an exit hook");
    let code = windlass::run_main(|| hooks_of_which_one_panics(&trace));
    assert_eq!(code, std::process::ExitCode::FAILURE);
    let exit_at_once = || {
        hooks_of_which_one_panics(&trace);
        set_immediate(|| windlass::exit(0));
    };
    assert_eq!(panic_of(|| windlass::run(exit_at_once)), "an exit hook");
    let turned = real_loop();
    turned.enter(exit_at_once);
    assert_eq!(panic_of(|| turned.turn(RunMode::Default)), "an exit hook");
    let blocked_on = real_loop();
    let never = async {
        exit_at_once();
        std::future::pending::<()>().await;
    };
    assert_eq!(panic_of(|| blocked_on.block_on(never)), "an exit hook");
    for event_loop in [turned, blocked_on] {
        assert_eq!(event_loop.exit_code(), 1);
    }
    trace.expect(&["exit 1"; 5]);
}

// E-04: as in Node.
#[test]
fn a_panic_of_an_exit_hook_goes_to_the_uncaught_hook_and_does_not_change_the_code() {
    let trace = Trace::new();
    for ends in [|| (), || windlass::exit(7)] {
        let event_loop = real_loop();
        event_loop.run(|| {
            say_uncaught(&trace);
            hooks_of_which_one_panics(&trace);
            ends();
        });
    }
    trace.expect(&["!an exit hook", "exit 0", "!an exit hook", "exit 7"]);
}

// WK-06
#[test]
fn a_panic_of_a_workers_exit_hook_is_its_error_and_then_exit_one() {
    bounded(|| {
        let trace = Trace::new();
        for ends in [|| (), || windlass::exit(7)] {
            windlass::run(|| {
                let worker = Worker::<(), ()>::spawn(move |_port| {
                    windlass::on_exit(|_| panic!("an exit hook"));
                    ends();
                });
                let worker = worker.unwrap();
                let (error, exit) = (trace.clone(), trace.clone());
                worker.on_error(move |why| error.say(why));
                worker.on_exit(move |code| exit.say(code));
            });
        }
        let error = "the worker panicked: an exit hook";
        trace.expect(&[error, "1", error, "1"]);
    });
}

// E-04
#[test]
fn after_a_caught_panic_the_other_immediates_of_the_batch_run() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        let inner = trace.clone();
        set_immediate(move || {
            next_tick(inner.says("tick"));
            set_immediate(inner.says("next turn"));
            panic!("immediate 1");
        });
        set_immediate(trace.says("immediate 2"));
        set_immediate(|| panic!("immediate 3"));
    };
    check(scenario, &["!immediate 1", "tick", "immediate 2", "!immediate 3", "next turn"]);
}

// E-04, E-05
#[test]
fn a_panicking_tick_is_not_run_twice_and_cuts_nothing_short() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        next_tick(trace.says("tick 1"));
        let inner = trace.clone();
        next_tick(move || {
            next_tick(inner.says("tick of the panicking tick"));
            panic!("tick 2");
        });
        next_tick(trace.says("tick 3"));
        queue_microtask(|| panic!("microtask 1"));
        queue_microtask(trace.says("microtask 2"));
        set_immediate(trace.says("immediate"));
    };
    check(
        scenario,
        &[
            "tick 1",
            "!tick 2",
            "tick 3",
            "tick of the panicking tick",
            "!microtask 1",
            "microtask 2",
            "immediate",
        ],
    );
}

// E-05
#[test]
fn an_interval_keeps_its_schedule_after_a_panic() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.run(|| {
        say_uncaught(&trace);
        let (inner, runs) = (trace.clone(), Counter::new());
        set_interval(ms(10), move |interval| {
            inner.say(format!("{:?}", windlass::now() - begin));
            match runs.add() {
                1 => panic!("once"),
                3 => interval.clear(),
                _ => {}
            }
        });
    });
    trace.expect(&["10ms", "!once", "20ms", "30ms"]);
}

// E-05: without a hook the panic leaves the run, and the interval is still armed.
#[test]
fn an_interval_that_panicked_out_of_the_run_fires_again() {
    let event_loop = virtual_loop();
    let runs = Counter::new();
    let message = panic_of(|| {
        event_loop.run(|| {
            let runs = runs.clone();
            set_interval(ms(10), move |interval| {
                if runs.add() == 1 {
                    panic!("once");
                }
                interval.clear();
            });
        });
    });
    assert_eq!(message, "once");
    assert!(event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(runs.get(), 2);
}

// E-05, for what else calls back many times.
#[test]
fn watchers_and_notifiers_go_on_after_a_caught_panic() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        say_uncaught(&trace);
        let panics = |label: &'static str| {
            let (trace, mut panics) = (trace.clone(), one_panic());
            move || {
                trace.say(label);
                panics();
            }
        };
        Idle::start(panics("idle"));
        Prepare::start(panics("prepare"));
        Check::start(panics("check"));
    });
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["idle", "!on purpose", "prepare", "!on purpose", "check", "!on purpose"]);
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["idle", "prepare", "check"]);

    let notifier = event_loop.enter(|| {
        let (trace, mut panics) = (trace.clone(), one_panic());
        Notifier::new(move || {
            trace.say("notifier");
            panics();
        })
    });
    for _ in 0..2 {
        notifier.notify();
        event_loop.turn(RunMode::NoWait);
    }
    assert_eq!(trace.count("notifier"), 2);
    assert_eq!(trace.count("!on purpose"), 1);
}

// E-04
#[test]
fn the_hook_learns_the_message_the_place_and_the_payload() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let line = Rc::new(Cell::new(0));
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let hook_seen = Rc::clone(&seen);
        on_uncaught(move |uncaught| {
            let place = uncaught.registered_at().map(|place| (place.file(), place.line()));
            let message = uncaught.message().to_owned();
            let panic = uncaught.into_panic();
            assert_eq!(panic.message(), message);
            let number = panic.into_payload().downcast_ref::<u64>().copied();
            hook_seen.borrow_mut().push((message, place, number));
        });
        line.set(line!() + 1);
        set_timeout(ms(1), || panic!("formatted {}", 1));
        set_timeout(ms(2), || std::panic::panic_any(17_u64));
    });
    let seen = seen.take();
    assert_eq!(seen[0], (String::from("formatted 1"), Some((file!(), line.get())), None));
    assert_eq!(seen[1].1, Some((file!(), line.get() + 1)));
    assert_eq!(seen[1].2, Some(17));
}

// E-04: the hook is one, and the last one set.
#[test]
fn a_new_hook_replaces_the_one_before() {
    let scenario = |trace: &Trace| {
        on_uncaught(|_| unreachable!("it is replaced"));
        say_uncaught(trace);
        let inner = trace.clone();
        set_timeout(ms(1), || panic!("first"));
        set_timeout(ms(2), move || {
            on_uncaught(move |uncaught| inner.say(format!("new hook: {}", uncaught.message())));
        });
        set_timeout(ms(3), || panic!("second"));
    };
    check(scenario, &["!first", "new hook: second"]);
}

// E-04: a hook may use the loop, and replace itself.
#[test]
fn a_hook_may_arm_things_and_replace_itself() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        on_uncaught(move |uncaught| {
            inner.say(uncaught.message());
            next_tick(inner.says("tick of the hook"));
            set_timeout(ms(5), inner.says("timer of the hook"));
            say_uncaught(&inner);
        });
        set_immediate(|| panic!("first"));
        set_immediate(|| panic!("second"));
    };
    check(scenario, &["first", "tick of the hook", "!second", "timer of the hook"]);
}

// E-04: what a panicking callback had captured is dropped once.
#[test]
fn a_panicking_callback_releases_what_it_captured() {
    let dropped = Counter::new();
    let trace = Trace::new();
    virtual_loop().run(|| {
        say_uncaught(&trace);
        let guard = dropped.on_drop();
        set_timeout(ms(1), move || {
            guard.touch();
            panic!("timer");
        });
        let guard = dropped.on_drop();
        set_immediate(move || {
            guard.touch();
            panic!("immediate");
        });
        let guard = dropped.on_drop();
        next_tick(move || {
            guard.touch();
            panic!("tick");
        });
        let guard = dropped.on_drop();
        spawn(async move {
            guard.touch();
            panic!("task");
        });
    });
    assert_eq!(dropped.get(), 4);
    trace.expect(&["!tick", "!task", "!immediate", "!timer"]);
}

// E-06
#[test]
fn any_method_may_be_called_from_any_callback() {
    bounded(|| {
        let trace = Trace::new();
        let event_loop = real_loop();
        let everything = |label: &'static str| {
            let trace = trace.clone();
            move || {
                let this = Loop::current();
                assert!(this.is_alive() || !this.is_alive());
                this.why_alive();
                this.handles();
                this.metrics();
                this.poll_timeout();
                this.update_time();
                this.now();
                this.exit_code();
                drop(this.keep_alive());
                assert!(this.close().is_err(), "a loop that is turning is not closed");
                this.enter(|| next_tick(|| {}));
                this.remote().post(|| {}).expect("the loop lives");
                let timer = set_timeout(ms(1), || {});
                timer.unref().set_ref(true);
                timer.refresh();
                timer.due_in();
                timer.clear();
                set_immediate(|| {}).clear();
                set_interval(ms(1), |interval| interval.clear());
                set_timer(ms(1), |_| {});
                queue_microtask(|| {});
                spawn(async {}).abort();
                queue_work(|| ()).on_complete(|_| {});
                drop(queue_work(|| ()));
                let notifier = Notifier::new(|| {});
                notifier.notify();
                notifier.close();
                for _ in 0..2 {
                    let idle = Idle::start(|| {});
                    let prepare = Prepare::start(|| {});
                    let check = Check::start(|| {});
                    idle.stop();
                    prepare.stop();
                    check.stop();
                }
                on_uncaught(|uncaught| panic!("{}", uncaught.message()));
                windlass::on_before_exit(|| {});
                trace.say(label);
            }
        };
        event_loop.run(|| {
            next_tick(everything("tick"));
            queue_microtask(everything("microtask"));
            set_immediate(everything("immediate"));
            set_timeout(ms(1), everything("timeout"));
            let act = everything("interval");
            set_interval(ms(1), move |interval| {
                interval.refresh();
                act();
                interval.clear();
                interval.refresh();
            });
            let act = everything("task");
            spawn(async move { act() });
            let act = everything("completion");
            queue_work(|| ()).on_complete(move |_| act());
            let slot = Slot::new();
            let (act, own) = (everything("notifier"), slot.clone());
            let notifier = Notifier::new(move || {
                act();
                let notifier: &Notifier = own.get();
                notifier.notify();
                notifier.unref();
                notifier.close();
            });
            notifier.notify();
            slot.put(notifier);
            let slot = Slot::new();
            let (act, own) = (everything("idle"), slot.clone());
            let once = Counter::new();
            slot.put(Idle::start(move || {
                if once.add() == 1 {
                    act();
                }
                let idle: &Idle = own.get();
                idle.unref();
                idle.set_ref(false);
                idle.stop();
            }));
            let (act, once) = (everything("before exit"), Counter::new());
            windlass::on_before_exit(move || {
                if once.add() == 1 {
                    act();
                }
            });
        });
        let mut lines = trace.take();
        lines.sort();
        assert_eq!(
            lines,
            [
                "before exit",
                "completion",
                "idle",
                "immediate",
                "interval",
                "microtask",
                "notifier",
                "task",
                "tick",
                "timeout",
            ]
        );
    });
}

// E-06: destructors of captured values are user code too.
#[test]
fn a_destructor_of_a_cleared_callback_may_use_the_loop() {
    let scenario = |trace: &Trace| {
        let busy = |label: &'static str| {
            let trace = trace.clone();
            OnDrop::new(move || {
                set_timeout(ms(1), trace.says(label));
                next_tick(trace.says(label));
                set_immediate(trace.says(label)).clear();
                set_timeout(ms(1), || {}).clear();
                trace.say(label);
            })
        };
        let guard = busy("timer");
        set_timeout(ms(5), move || guard.touch()).clear();
        let guard = busy("immediate");
        set_immediate(move || guard.touch()).clear();
        let guard = busy("idle");
        Idle::start(move || guard.touch()).stop();
        let guard = busy("interval");
        set_interval(ms(5), move |_| guard.touch()).clear();
    };
    let trace = Trace::new();
    virtual_loop().run(|| scenario(&trace));
    for label in ["timer", "immediate", "idle", "interval"] {
        assert_eq!(trace.count(label), 3, "{label}");
    }
}

// E-07
#[test]
fn a_panicking_destructor_of_a_captured_value_skips_no_later_callback() {
    let scenario = |trace: &Trace| {
        say_uncaught(trace);
        let bomb = || OnDrop::new(|| panic!("destructor"));
        let guard = bomb();
        set_timeout(ms(1), move || guard.touch());
        set_timeout(ms(1), trace.says("timer"));
        let guard = bomb();
        set_immediate(move || guard.touch());
        set_immediate(trace.says("immediate"));
        let guard = bomb();
        next_tick(move || guard.touch());
        next_tick(trace.says("tick"));
        let guard = bomb();
        spawn(async move { guard.touch() });
        queue_microtask(trace.says("microtask"));
    };
    check(
        scenario,
        &[
            "!destructor",
            "tick",
            "!destructor",
            "microtask",
            "!destructor",
            "immediate",
            "!destructor",
            "timer",
        ],
    );
}

// E-07: without a hook.
#[test]
fn a_panicking_destructor_leaves_run_and_poisons_nothing() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let message = panic_of(|| {
        event_loop.run(|| {
            let guard = OnDrop::new(|| panic!("destructor"));
            set_timeout(ms(1), move || guard.touch());
            set_timeout(ms(1), trace.says("timer"));
        });
    });
    assert_eq!(message, "destructor");
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["timer"]);
}

thread_local! {
    /// Where the last panic of this thread was raised.
    static PANICKED_AT: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Calls `act`, which must panic, and returns the file and line that the panic names.
fn place_of_panic<R>(act: impl FnOnce() -> R) -> (String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|place| (place.file().to_owned(), place.line()));
            PANICKED_AT.with_borrow_mut(|last| *last = place);
            before(info);
        }));
    });
    panic_of(act);
    PANICKED_AT.take().expect("the hook saw the panic")
}

// E-08
#[test]
fn a_verb_outside_a_loop_panics_at_the_line_of_the_caller() {
    let places = [
        (place_of_panic(|| set_timeout(ms(1), || {})), line!()),
        (place_of_panic(|| set_interval(ms(1), |_| {})), line!()),
        (place_of_panic(|| set_timer(ms(1), |_| {})), line!()),
        (place_of_panic(|| set_immediate(|| {})), line!()),
        (place_of_panic(|| next_tick(|| {})), line!()),
        (place_of_panic(|| queue_microtask(|| {})), line!()),
        (place_of_panic(|| spawn(async {})), line!()),
        (place_of_panic(|| queue_work(|| ())), line!()),
        (place_of_panic(|| Notifier::new(|| {})), line!()),
        (place_of_panic(|| Idle::start(|| {})), line!()),
        (place_of_panic(|| windlass::exit(0)), line!()),
        (place_of_panic(|| on_uncaught(|_| {})), line!()),
        (place_of_panic(|| windlass::on_before_exit(|| {})), line!()),
        (place_of_panic(|| windlass::on_exit(|_| {})), line!()),
        (place_of_panic(|| windlass::fs::read("x")), line!()),
    ];
    for ((file, found), line) in places {
        assert_eq!((file.as_str(), found), (file!(), line));
    }
}

// E-08
#[test]
fn a_nested_run_panics_at_the_line_of_the_caller() {
    let done = Counter::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let done = done.clone();
        set_timeout(ms(1), move || {
            let this = Loop::current();
            let places = [
                (place_of_panic(|| windlass::run(|| {})), line!()),
                (place_of_panic(|| windlass::block_on(async {})), line!()),
                (place_of_panic(|| this.run(|| {})), line!()),
                (place_of_panic(|| this.turn(RunMode::Once)), line!()),
                (place_of_panic(|| this.block_on(async {})), line!()),
            ];
            for ((file, found), line) in places {
                assert_eq!((file.as_str(), found), (file!(), line));
            }
            done.add();
        });
    });
    assert_eq!(done.get(), 1);
}

// E-04, for panics of the pool: they are results, not panics of the loop.
#[test]
fn a_panic_in_a_job_is_an_error_for_its_submitter_alone() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            say_uncaught(&trace);
            let inner = trace.clone();
            queue_work(|| -> u8 { panic!("in the job") }).on_complete(move |done| match done {
                Err(windlass::WorkError::Panicked(panic)) => inner.say(panic.message()),
                other => panic!("not {other:?}"),
            });
        });
        trace.expect(&["in the job"]);
    });
}

// E-03: a run that ends by a panic with nobody to catch it is failure for a program.
#[test]
fn run_main_turns_an_uncaught_panic_into_exit_code_one() {
    let code = windlass::run_main(|| {
        set_timeout(Duration::ZERO, || panic!("uncaught"));
    });
    assert_eq!(code, std::process::ExitCode::from(1));
    let code = windlass::run_main(|| panic!("in main"));
    assert_eq!(code, std::process::ExitCode::from(1));
}

#[test]
fn what_panics_each_time_and_leaves_the_loop_keeps_nothing_behind_it_from_being_called() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let mut stopped = Vec::new();
    event_loop.enter(|| {
        // Before each of the others stands one that panics.
        let watchers = [Idle::start(|| panic!("on purpose")), Idle::start(trace.says("idle"))];
        stopped.extend(watchers.map(|watcher| Box::new(move || watcher.stop()) as Box<dyn Fn()>));
        let watchers =
            [Prepare::start(|| panic!("on purpose")), Prepare::start(trace.says("prepare"))];
        stopped.extend(watchers.map(|watcher| Box::new(move || watcher.stop()) as Box<dyn Fn()>));
        let watchers = [Check::start(|| panic!("on purpose")), Check::start(trace.says("check"))];
        stopped.extend(watchers.map(|watcher| Box::new(move || watcher.stop()) as Box<dyn Fn()>));
        windlass::on_before_exit(|| panic!("on purpose"));
        windlass::on_before_exit(trace.says("before exit"));
    });
    let turn = || catch_unwind(AssertUnwindSafe(|| event_loop.turn(RunMode::NoWait)));
    let left = (0..8).filter(|_| turn().is_err()).count();
    assert!(left >= 4, "left {left} times");
    let mut lines = trace.take();
    lines.sort();
    lines.dedup();
    assert_eq!(lines, ["check", "idle", "prepare"]);
    stopped.iter().for_each(|stop| stop());
    assert_eq!(panic_of(|| event_loop.run(|| ())), "on purpose");
    event_loop.run(|| ());
    trace.expect(&["before exit"]);
}

#[test]
fn a_newer_hook_stays_also_when_the_destructor_of_the_older_one_panics() {
    let (trace, event_loop) = (Trace::new(), real_loop());
    let (older, newer) = (trace.clone(), trace.clone());
    let text = panic_of(|| {
        event_loop.run(|| {
            let held = PanicsInDrop;
            on_uncaught(move |uncaught| {
                held.touch();
                older.say(format!("older: {}", uncaught.message()));
                let newer = newer.clone();
                on_uncaught(move |uncaught| newer.say(format!("newer: {}", uncaught.message())));
            });
            set_immediate(|| panic!("one"));
            set_immediate(|| panic!("two"));
        });
    });
    assert_eq!(text, "a destructor");
    event_loop.run(|| ());
    trace.expect(&["older: one", "newer: two"]);
}

#[test]
fn a_newer_error_callback_stays_when_the_older_ones_destructor_panics() {
    bounded(|| {
        struct Uncloneable;
        impl Clone for Uncloneable {
            fn clone(&self) -> Uncloneable {
                panic!("no clone");
            }
        }
        let trace = Trace::new();
        windlass::run(|| {
            say_uncaught(&trace);
            let sender = BroadcastChannel::new("destructors");
            let receiver = BroadcastChannel::<Uncloneable>::new("destructors");
            receiver.on_message(|_| unreachable!("none can be cloned"));
            let (held, own, older) = (PanicsInDrop, receiver.clone(), trace.clone());
            receiver.on_message_error(move |_| {
                held.touch();
                older.say("older");
                let (newer, inner) = (older.clone(), own.clone());
                own.on_message_error(move |_| {
                    newer.say("newer");
                    inner.close();
                });
            });
            (0..2).for_each(|_| sender.post(Uncloneable));
            sender.close();
        });
        trace.expect(&["older", "!a destructor", "newer"]);
    });
}

// M-02, E-03. The drain that was left is over.
#[test]
fn the_drain_of_a_turn_after_one_that_a_panic_left_begins_with_the_ticks() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let (left, other) = (trace.says("left"), trace.says("microtask"));
    panic_of(|| {
        event_loop.run(|| {
            queue_microtask(|| panic!("leaves the run"));
            queue_microtask(left);
        })
    });
    let tick = trace.says("tick");
    event_loop.run(|| {
        queue_microtask(other);
        next_tick(tick);
    });
    trace.expect(&["tick", "left", "microtask"]);
}

#[test]
fn the_panic_of_a_future_that_is_blocked_on_is_not_replaced_by_that_of_a_later_callback() {
    let error = std::panic::catch_unwind(|| {
        windlass::block_on(async {
            windlass::fs::metadata(".").await.unwrap(); // The poll phase.
            windlass::set_immediate(|| panic!("second"));
            panic!("first");
        })
    });
    let payload = error.expect_err("two panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
}
