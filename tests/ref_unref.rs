//! References: what keeps a loop alive, what does not, and how the loop tells. L-21 to L-24 of the
//! list of behaviours.

mod common;

use std::io::{self, Read};
use std::net::TcpListener as StdListener;
use std::thread;

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::{TcpListener, TcpStream};
use windlass::{
    Alive, Loop, RunMode, queue_work, set_immediate, set_interval, set_timeout, set_timer, spawn,
};

// L-21
#[test]
fn references_are_flags_and_not_counters() {
    let event_loop = virtual_loop();
    let (timer, immediate) = event_loop.enter(|| (set_timeout(HOUR, || {}), set_immediate(|| {})));
    let idle = event_loop.enter(|| Idle::start(|| {}));

    assert!(timer.has_ref() && immediate.has_ref() && idle.has_ref());
    timer.unref().unref();
    immediate.unref().unref();
    idle.unref().unref();
    assert!(!timer.has_ref() && !immediate.has_ref() && !idle.has_ref());
    assert!(!event_loop.is_alive());

    timer.set_ref(true);
    assert!(timer.has_ref() && event_loop.is_alive());
    timer.set_ref(true);
    timer.unref();
    assert!(!event_loop.is_alive());

    immediate.set_ref(true);
    assert!(immediate.has_ref() && event_loop.is_alive());
    immediate.unref();
    assert!(!event_loop.is_alive());

    idle.set_ref(true);
    assert!(idle.has_ref() && event_loop.is_alive());
    idle.set_ref(false);
    assert!(!event_loop.is_alive());
}

// L-21: the flag stays with the timer as it is cleared and armed again.
#[test]
fn the_flag_of_a_timer_survives_its_firing_and_refreshing() {
    let event_loop = virtual_loop();
    let fired = Counter::new();
    let timer = event_loop.enter(|| {
        let fired = fired.clone();
        let timer = set_timer(ms(1), move |_| {
            fired.add();
        });
        timer.unref();
        set_timeout(ms(2), || {});
        timer
    });
    event_loop.turn(RunMode::Default);
    assert_eq!(fired.get(), 1);
    event_loop.enter(|| timer.refresh());
    assert!(timer.is_active());
    assert!(!timer.has_ref());
    assert!(!event_loop.is_alive());
    timer.set_ref(true);
    event_loop.turn(RunMode::Default);
    assert_eq!(fired.get(), 2);
}

// L-21: counting is exact however the flag and the handle change.
#[test]
fn unref_then_clear_then_ref_leaves_the_count_right() {
    let event_loop = virtual_loop();
    for round in 0..4 {
        let timer = event_loop.enter(|| set_timeout(HOUR, || {}));
        let immediate = event_loop.enter(|| set_immediate(|| {}));
        let check = event_loop.enter(|| Check::start(|| {}));
        if round % 2 == 0 {
            timer.unref();
            immediate.unref();
            check.unref();
        }
        timer.clear();
        immediate.clear();
        check.stop();
        if round >= 2 {
            timer.set_ref(true);
            timer.unref();
            immediate.set_ref(true);
            immediate.unref();
            check.set_ref(true);
            check.unref();
        }
        assert!(!event_loop.is_alive(), "in round {round}");
        // The count would now be off if any of these had counted twice.
        let guard = event_loop.keep_alive();
        assert!(event_loop.is_alive());
        drop(guard);
        assert!(!event_loop.is_alive());
    }
}

// L-22
#[test]
fn unref_timers_immediates_and_watchers_run_while_something_else_is_alive() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        set_timeout(ms(1), trace.says("timer")).unref();
        set_immediate(trace.says("immediate")).unref();
        let slot = Slot::new();
        let (inner, own) = (trace.clone(), slot.clone());
        slot.put(Prepare::start(move || {
            inner.say("prepare");
            let own: &Prepare = own.get();
            own.stop();
        }));
        slot.get().unref();
        set_timeout(ms(5), trace.says("the end"));
        set_timeout(HOUR, trace.says("never")).unref();
    });
    assert!(!event_loop.turn(RunMode::Default));
    let mut lines = trace.take();
    assert_eq!(lines.pop().as_deref(), Some("the end"));
    lines.sort();
    assert_eq!(lines, ["immediate", "prepare", "timer"]);
}

// L-22
#[test]
fn an_unref_notifier_and_listener_get_their_events_while_something_else_is_alive() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let guard = Slot::new();
            let alive =
                std::rc::Rc::new(std::cell::RefCell::new(Some(Loop::current().keep_alive())));
            let arrived = Counter::new();
            let arrive = {
                let (alive, arrived) = (alive.clone(), arrived.clone());
                move || {
                    if arrived.add() == 2 {
                        alive.take();
                    }
                }
            };

            let (inner, act) = (trace.clone(), arrive.clone());
            let notifier = Notifier::new(move || {
                inner.say("notified");
                act();
            });
            notifier.unref();
            thread::spawn({
                let notifier = notifier.clone();
                move || notifier.notify()
            });
            guard.put(notifier);
            let keep = guard.clone();

            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let inner = trace.clone();
            listener.on_connection(move |connection| {
                connection.expect("a connection");
                inner.say("connected");
                arrive();
                // The notifier lives as long as this callback.
                let _notifier: &Notifier = keep.get();
            });
            listener.unref();
            let address = listener.local_addr().expect("its address");
            thread::spawn(move || std::net::TcpStream::connect(address));
        });
        let mut lines = trace.take();
        lines.sort();
        assert_eq!(lines, ["connected", "notified"]);
    });
}

// L-22
#[test]
fn an_unref_handle_does_not_keep_the_loop() {
    let event_loop = real_loop();
    let notifier = event_loop.enter(|| Notifier::new(|| {}));
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a port");
    event_loop.enter(|| listener.on_connection(|_| {}));
    assert!(event_loop.is_alive());
    notifier.unref();
    assert!(event_loop.is_alive());
    listener.unref();
    assert!(!event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
}

// L-23
#[test]
fn an_unref_stream_with_a_write_in_flight_holds_the_loop_until_it_completes() -> io::Result<()> {
    bounded(|| {
        const LENGTH: usize = 8 << 20;
        let std_listener = StdListener::bind("127.0.0.1:0")?;
        let address = std_listener.local_addr()?;
        let peer = thread::spawn(move || -> io::Result<usize> {
            let (mut socket, _) = std_listener.accept()?;
            let mut received = Vec::new();
            socket.read_to_end(&mut received)
        });
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            TcpStream::connect(address).on_complete(move |stream| {
                let stream = stream.expect("a connection");
                stream.unref();
                let written = inner.clone();
                stream.write_owned(vec![7; LENGTH]).on_complete(move |done| {
                    done.expect("a write");
                    written.say("written");
                });
                stream.shutdown().on_complete(move |done| {
                    done.expect("a shutdown");
                    inner.say("shut down");
                });
            });
        });
        trace.expect(&["written", "shut down"]);
        assert_eq!(peer.join().expect("the peer")?, LENGTH);
        Ok(())
    })
}

// L-24
#[test]
fn closing_an_unref_stream_keeps_the_loop_until_its_close_completion_has_run() -> io::Result<()> {
    let std_listener = StdListener::bind("127.0.0.1:0")?;
    let address = std_listener.local_addr()?;
    let event_loop = real_loop();
    let stream = event_loop.block_on(async { TcpStream::connect(address).await })?;
    let trace = Trace::new();
    event_loop.enter(|| {
        stream.unref();
        assert!(!event_loop.is_alive());
        stream.on_close(trace.says("closed"));
        stream.close();
        assert!(event_loop.is_alive(), "it is closing");
    });
    trace.expect(&[]);
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["closed"]);
    Ok(())
}

#[test]
fn a_keep_alive_guard_holds_the_loop_until_it_is_dropped() {
    let event_loop = virtual_loop();
    assert!(!event_loop.is_alive());
    let first = event_loop.keep_alive();
    let second = event_loop.keep_alive();
    assert!(event_loop.is_alive());
    drop(first);
    assert!(event_loop.is_alive());
    drop(second);
    assert!(!event_loop.is_alive());
}

/// The lines of this file that the report names, sorted.
#[track_caller]
fn lines_of(report: &[Alive]) -> Vec<u32> {
    let mut lines: Vec<_> = report
        .iter()
        .map(|alive| {
            assert!(!alive.kind.is_empty());
            assert_eq!(alive.location.file(), file!(), "a {} made elsewhere", alive.kind);
            alive.location.line()
        })
        .collect();
    lines.sort();
    lines
}

// The report of why a loop is alive, by kind and source line.
#[test]
fn why_alive_names_the_source_line_of_everything_that_holds_the_loop() {
    let event_loop = real_loop();
    assert!(event_loop.why_alive().is_empty());
    let mut expected = Vec::new();
    let mut here = |line: u32| expected.push(line);

    event_loop.enter(|| {
        set_timeout(HOUR, || {});
        here(line!() - 1);
        set_interval(HOUR, |_| {});
        here(line!() - 1);
        set_timer(HOUR, |_| {});
        here(line!() - 1);
        set_immediate(|| {});
        here(line!() - 1);
    });
    let _idle = event_loop.enter(|| Idle::start(|| {}));
    here(line!() - 1);
    let _prepare = event_loop.enter(|| Prepare::start(|| {}));
    here(line!() - 1);
    let _check = event_loop.enter(|| Check::start(|| {}));
    here(line!() - 1);
    let _notifier = event_loop.enter(|| Notifier::new(|| {}));
    here(line!() - 1);
    let _guard = event_loop.keep_alive();
    here(line!() - 1);
    let job = event_loop.enter(|| queue_work(|| ()));
    here(line!() - 1);
    let read = event_loop.enter(|| windlass::fs::read("/"));
    here(line!() - 1);
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a port");
    here(line!() - 1);
    event_loop.enter(|| listener.on_connection(|_| {}));

    assert_eq!(lines_of(&event_loop.why_alive()), expected);
    drop((job, read));
}

#[test]
fn why_alive_leaves_out_what_is_unref_or_has_ended() {
    let event_loop = virtual_loop();
    let timer = event_loop.enter(|| set_timeout(HOUR, || {}));
    let line = line!() - 1;
    assert_eq!(lines_of(&event_loop.why_alive()), [line]);
    timer.unref();
    assert!(event_loop.why_alive().is_empty());
    timer.set_ref(true);
    assert_eq!(lines_of(&event_loop.why_alive()), [line]);
    timer.clear();
    assert!(event_loop.why_alive().is_empty());

    event_loop.run(|| {
        set_timeout(ms(1), || {});
        set_immediate(|| {});
    });
    assert!(event_loop.why_alive().is_empty());
}

#[test]
fn why_alive_says_what_kind_of_thing_it_is() {
    let event_loop = virtual_loop();
    let _timer = event_loop.enter(|| set_timeout(HOUR, || {}));
    let _immediate = event_loop.enter(|| set_immediate(|| {}));
    let _notifier = event_loop.enter(|| Notifier::new(|| {}));
    let report = event_loop.why_alive();
    let kinds: Vec<_> = report.iter().map(|alive| alive.kind.to_lowercase()).collect();
    for kind in ["timer", "immediate", "notifier"] {
        assert!(kinds.iter().any(|found| found.contains(kind)), "no {kind} in {kinds:?}");
    }
}

// The line is that of the user's call, also for what a task awaits.
#[test]
fn why_alive_names_the_await_of_a_task() {
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        spawn(async {
            windlass::time::sleep(HOUR).await;
        });
    });
    let line = line!() - 3;
    event_loop.turn(RunMode::NoWait);
    assert_eq!(lines_of(&event_loop.why_alive()), [line]);
}
