//! The order in which ticks, microtasks, immediates and the callbacks of the phases run. Section M
//! of the list of behaviours.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::TcpStream;
use windlass::time::advance;
use windlass::worker::{Port, channel};
use windlass::{
    Immediate, RunMode, next_tick, queue_microtask, queue_work, set_immediate, set_interval,
    set_timeout, spawn, yield_now,
};

// M-01
#[test]
fn ticks_and_microtasks_of_the_main_script_run_before_any_loop_callback() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(1), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        advance(ms(5));
        queue_microtask(trace.says("microtask"));
        next_tick(trace.says("tick"));
        trace.say("main");
    };
    check(scenario, &["main", "tick", "microtask", "timer", "immediate"]);
}

// M-01: what was queued before the loop ran at all.
#[test]
fn a_tick_queued_before_the_turn_runs_first_in_it() {
    for mode in [RunMode::Default, RunMode::Once, RunMode::NoWait] {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            set_immediate(trace.says("immediate"));
            Idle::start(trace.says("idle")).unref();
            next_tick(trace.says("tick"));
        });
        event_loop.turn(mode);
        let lines = trace.take();
        assert_eq!(lines[0], "tick", "in {mode:?}");
        assert!(lines.contains(&String::from("immediate")));
    }
}

// M-02
#[test]
fn ticks_run_before_microtasks_whatever_the_order_of_queuing() {
    let scenario = |trace: &Trace| {
        queue_microtask(trace.says("microtask 1"));
        next_tick(trace.says("tick 1"));
        queue_microtask(trace.says("microtask 2"));
        next_tick(trace.says("tick 2"));
    };
    check(scenario, &["tick 1", "tick 2", "microtask 1", "microtask 2"]);
}

// M-02
#[test]
fn new_ticks_join_the_tick_round_and_new_microtasks_the_microtask_round() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        queue_microtask(move || {
            inner.say("microtask");
            next_tick(inner.says("tick of the microtask"));
            queue_microtask(inner.says("microtask of the microtask"));
        });
        let inner = trace.clone();
        next_tick(move || {
            inner.say("tick");
            queue_microtask(inner.says("microtask of the tick"));
            next_tick(inner.says("tick of the tick"));
        });
        next_tick(trace.says("second tick"));
    };
    check(
        scenario,
        &[
            "tick",
            "second tick",
            "tick of the tick",
            "microtask",
            "microtask of the tick",
            "microtask of the microtask",
            "tick of the microtask",
        ],
    );
}

// M-02
#[test]
fn the_drain_alternates_until_both_queues_are_empty() {
    fn alternate(trace: Trace, rounds: u32) {
        if rounds == 0 {
            return;
        }
        next_tick(move || {
            trace.say("tick");
            queue_microtask(move || {
                trace.say("microtask");
                alternate(trace, rounds - 1);
            });
        });
    }
    let scenario = |trace: &Trace| {
        set_immediate(trace.says("immediate"));
        alternate(trace.clone(), 3);
    };
    check(scenario, &["tick", "microtask", "tick", "microtask", "tick", "microtask", "immediate"]);
}

/// Says `label`, and queues a microtask and a tick that say so too.
fn says_with_queues(trace: &Trace, label: &'static str) -> impl FnMut() + 'static {
    let trace = trace.clone();
    move || {
        trace.say(label);
        queue_microtask(trace.says("microtask"));
        next_tick(trace.says("tick"));
    }
}

// M-03
#[test]
fn ticks_then_microtasks_run_before_the_next_timer() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(1), says_with_queues(trace, "timer 1"));
        set_timeout(ms(1), says_with_queues(trace, "timer 2"));
        set_timeout(ms(2), says_with_queues(trace, "timer of another delay"));
        advance(ms(5));
    };
    check(
        scenario,
        &[
            "timer 1",
            "tick",
            "microtask",
            "timer 2",
            "tick",
            "microtask",
            "timer of another delay",
            "tick",
            "microtask",
        ],
    );
}

// M-03
#[test]
fn ticks_then_microtasks_run_before_the_next_immediate() {
    let scenario = |trace: &Trace| {
        set_immediate(says_with_queues(trace, "immediate 1"));
        set_immediate(says_with_queues(trace, "immediate 2"));
    };
    check(scenario, &["immediate 1", "tick", "microtask", "immediate 2", "tick", "microtask"]);
}

// M-03
#[test]
fn the_drain_follows_every_idle_prepare_and_check_callback() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        Idle::start(says_with_queues(&trace, "idle 1"));
        Idle::start(says_with_queues(&trace, "idle 2"));
        Prepare::start(says_with_queues(&trace, "prepare 1"));
        Prepare::start(says_with_queues(&trace, "prepare 2"));
        Check::start(says_with_queues(&trace, "check 1"));
        Check::start(says_with_queues(&trace, "check 2"));
    });
    event_loop.turn(RunMode::Once);
    let lines = trace.take();
    for (place, label) in
        ["idle 1", "idle 2", "prepare 1", "prepare 2", "check 1", "check 2"].iter().enumerate()
    {
        assert_eq!(lines[3 * place..3 * place + 3], [*label, "tick", "microtask"]);
    }
}

// M-03: the callbacks of the poll phase.
#[test]
fn the_drain_follows_every_completion_notifier_and_posted_closure() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            for _ in 0..3 {
                let mut say = says_with_queues(&trace, "completion");
                queue_work(|| ()).on_complete(move |_| say());
            }
            for _ in 0..3 {
                let slot = Slot::new();
                let notifier = Notifier::new({
                    let (mut say, slot) = (says_with_queues(&trace, "notifier"), slot.clone());
                    move || {
                        say();
                        let notifier: &Notifier = slot.get();
                        notifier.close();
                    }
                });
                notifier.notify();
                slot.put(notifier);
            }
        });
        let lines = trace.take();
        assert_eq!(lines.len(), 18);
        for three in lines.chunks(3) {
            assert!(three[0] == "completion" || three[0] == "notifier", "{lines:?}");
            assert_eq!(three[1..], ["tick", "microtask"], "{lines:?}");
        }
    });
}

// M-03: the close phase.
#[test]
fn the_drain_follows_every_close_completion() -> io::Result<()> {
    bounded(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let trace = Trace::new();
        windlass::run(|| {
            let trace = trace.clone();
            spawn(async move {
                let first = TcpStream::connect(address).await.expect("a connection");
                let second = TcpStream::connect(address).await.expect("a connection");
                first.on_close(says_with_queues(&trace, "closed 1"));
                second.on_close(says_with_queues(&trace, "closed 2"));
                first.close();
                second.close();
            });
        });
        trace.expect(&["closed 2", "tick", "microtask", "closed 1", "tick", "microtask"]);
        Ok(())
    })
}

/// Two connections, a listener and both ends of a channel, each of which says that it is closed.
fn closable(trace: &Trace, then: impl FnOnce(Closable) + 'static) -> io::Result<()> {
    let listener = windlass::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let trace = trace.clone();
    spawn(async move {
        let streams = [
            TcpStream::connect(address).await.expect("a connection"),
            TcpStream::connect(address).await.expect("a connection"),
        ];
        let (here, there) = channel::<(), ()>();
        let (here, there) = (here.open(), there.open());
        streams[0].on_close(trace.says("stream 1"));
        streams[1].on_close(trace.says("stream 2"));
        listener.on_close(trace.says("listener"));
        here.on_close(trace.says("here"));
        there.on_close(trace.says("there"));
        then(Closable { streams, listener, here, there });
    });
    Ok(())
}

struct Closable {
    streams: [TcpStream; 2],
    listener: windlass::net::TcpListener,
    here: Port<(), ()>,
    there: Port<(), ()>,
}

// Conformance rule 30.
#[test]
fn of_handles_closed_in_one_iteration_the_last_is_told_first() -> io::Result<()> {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            closable(&trace, move |handles| {
                let Closable { streams: [first, second], listener, here, there } = handles;
                first.close();
                here.close();
                listener.close();
                set_immediate(inner.says("check"));
                // Another callback of the same iteration.
                next_tick(move || {
                    second.close();
                    there.close();
                });
            })
        })?;
        trace.expect(&["check", "there", "stream 2", "listener", "here", "stream 1"]);
        Ok(())
    })
}

#[test]
fn what_one_handle_tells_at_its_close_keeps_its_order() -> io::Result<()> {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let inner = trace.clone();
            closable(&trace, move |handles| {
                let Closable { streams: [first, second], listener, here, there } = handles;
                for (stream, name) in [(&first, "write of 1"), (&second, "write of 2")] {
                    // More than the system takes at once, so that the second is cancelled with it.
                    for _ in 0..2 {
                        let inner = inner.clone();
                        stream.write(&vec![0; 32 << 20]).on_complete(move |written| {
                            assert!(written.is_err());
                            inner.say(name);
                        });
                    }
                }
                first.close();
                second.close();
                listener.close();
                here.close();
                there.close();
            })
        })?;
        let of_2 = ["write of 2", "write of 2", "stream 2"];
        let of_1 = ["write of 1", "write of 1", "stream 1"];
        trace.expect(&[&["there", "here", "listener"][..], &of_2, &of_1].concat());
        Ok(())
    })
}

#[test]
fn what_a_close_completion_closes_is_told_in_the_next_iteration() {
    let scenario = |trace: &Trace| {
        let (here, there) = channel::<(), ()>();
        let (here, there) = (here.open(), there.open());
        let (other, _) = channel::<(), ()>();
        let other = other.open();
        there.on_close(trace.says("there"));
        other.on_close(trace.says("other"));
        let (inner, closes) = (trace.clone(), there.clone());
        here.on_close(move || {
            inner.say("here");
            closes.close();
            set_immediate(inner.says("check"));
        });
        other.close();
        here.close();
    };
    check(scenario, &["here", "other", "check", "there"]);
}

#[test]
fn a_panic_in_a_close_completion_costs_the_others_nothing() {
    for hook in [true, false] {
        let trace = Trace::new();
        let event_loop = virtual_loop();
        let (ports, _ends): (Vec<_>, Vec<_>) = event_loop.enter(|| {
            let pairs = (0..4).map(|_| channel::<(), ()>());
            pairs.map(|(port, end)| (port.open(), end)).unzip()
        });
        let labels = ["port 0", "port 1", "port 2", "port 3"];
        event_loop.enter(|| {
            for (port, label) in ports.iter().zip(labels) {
                let mut says = trace.says(label);
                port.on_close(move || {
                    says();
                    assert!(label != "port 2", "on purpose");
                });
            }
            if hook {
                windlass::on_uncaught(|_| ());
            }
            ports[..3].iter().for_each(Port::close);
        });
        let turn = || catch_unwind(AssertUnwindSafe(|| event_loop.turn(RunMode::Default)));
        assert_eq!(turn().is_ok(), hook);
        // What is closed meanwhile was closed later.
        ports[3].close();
        assert!(!turn().expect("no panic is left"));
        let order: &[&str] = if hook {
            &["port 2", "port 1", "port 0", "port 3"]
        } else {
            &["port 2", "port 3", "port 1", "port 0"]
        };
        trace.expect(order);
    }
}

// M-03: the hooks at the end are the listeners of one event, as in Node.
#[test]
fn the_drain_follows_the_last_before_exit_hook() {
    let scenario = |trace: &Trace| {
        windlass::on_before_exit(says_with_queues(trace, "hook 1"));
        windlass::on_before_exit(says_with_queues(trace, "hook 2"));
    };
    check(scenario, &["hook 1", "hook 2", "tick", "tick", "microtask", "microtask"]);
}

// M-04
#[test]
fn a_tick_of_the_first_due_timer_can_clear_the_later_ones() {
    let scenario = |trace: &Trace| {
        let later = Rc::new(RefCell::new(Vec::new()));
        let (inner, to_clear) = (trace.clone(), Rc::clone(&later));
        set_timeout(ms(1), move || {
            inner.say("first");
            next_tick(move || to_clear.take().iter().for_each(windlass::Timer::clear));
        });
        for delay in [1, 1, 2] {
            later.borrow_mut().push(set_timeout(ms(delay), trace.says("later")));
        }
        advance(ms(5));
    };
    check(scenario, &["first"]);
}

// M-04
#[test]
fn a_tick_of_the_first_immediate_can_clear_the_later_ones() {
    let scenario = |trace: &Trace| {
        let later = Rc::new(RefCell::new(Vec::new()));
        let (inner, to_clear) = (trace.clone(), Rc::clone(&later));
        set_immediate(move || {
            inner.say("first");
            next_tick(move || to_clear.take().iter().for_each(Immediate::clear));
        });
        for _ in 0..3 {
            later.borrow_mut().push(set_immediate(trace.says("later")));
        }
    };
    check(scenario, &["first"]);
}

// M-05
#[test]
fn a_tick_or_microtask_with_nothing_else_pending_runs_and_lets_the_loop_end() {
    let event_loop = real_loop();
    let trace = Trace::new();
    event_loop.run(|| next_tick(trace.says("tick")));
    trace.expect(&["tick"]);
    event_loop.run(|| queue_microtask(trace.says("microtask")));
    trace.expect(&["microtask"]);
    event_loop.enter(|| next_tick(trace.says("tick before a turn")));
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["tick before a turn"]);
}

// M-06
#[test]
fn a_chain_of_ticks_starves_the_phases_until_it_ends() {
    fn chain(left: u32) {
        if left > 0 {
            next_tick(move || {
                advance(ms(1));
                chain(left - 1);
            });
        }
    }
    let scenario = |trace: &Trace| {
        set_timeout(ms(1), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        let inner = trace.clone();
        next_tick(move || {
            chain(10_000);
            queue_microtask(inner.says("the chain has ended"));
        });
    };
    check(scenario, &["the chain has ended", "timer", "immediate"]);
}

// M-07
#[test]
fn immediates_run_in_queue_order_and_new_ones_wait_for_the_next_turn() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        let inner = trace.clone();
        set_immediate(move || {
            inner.say("first");
            set_immediate(inner.says("queued meanwhile"));
        });
        set_immediate(trace.says("second"));
        set_immediate(trace.says("third"));
    });
    assert!(event_loop.turn(RunMode::NoWait));
    trace.expect(&["first", "second", "third"]);
    assert!(!event_loop.turn(RunMode::NoWait));
    trace.expect(&["queued meanwhile"]);
}

// M-07
#[test]
fn a_thousand_immediates_that_requeue_themselves_starve_nothing() {
    bounded(|| {
        fn requeue(done: Rc<Cell<bool>>, runs: Counter) {
            set_immediate(move || {
                runs.add();
                if !done.get() {
                    requeue(done, runs);
                }
            });
        }
        let done = Rc::new(Cell::new(false));
        let runs = Counter::new();
        let heard = Counter::new();
        windlass::run(|| {
            for _ in 0..1000 {
                requeue(Rc::clone(&done), runs.clone());
            }
            // It takes a timer and an event from another thread to end them.
            set_timeout(ms(1), {
                let (done, heard) = (Rc::clone(&done), heard.clone());
                move || {
                    let slot = Slot::new();
                    let notifier = Notifier::new({
                        let slot = slot.clone();
                        move || {
                            heard.add();
                            done.set(true);
                            let notifier: &Notifier = slot.get();
                            notifier.close();
                        }
                    });
                    slot.put(notifier.clone());
                    std::thread::spawn(move || notifier.notify());
                }
            });
        });
        assert_eq!(heard.get(), 1);
        assert!(runs.get() >= 1000);
    });
}

// M-08
#[test]
fn in_an_io_callback_an_immediate_runs_before_a_zero_timer() {
    let scenario = |trace: &Trace| {
        let slot = Slot::new();
        let notifier = Notifier::new({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                trace.say("notifier");
                set_timeout(Duration::ZERO, trace.says("timer"));
                set_immediate(trace.says("immediate"));
                // The timer is overdue by the time this returns.
                advance(ms(10));
                let notifier: &Notifier = slot.get();
                notifier.close();
            }
        });
        notifier.notify();
        slot.put(notifier);
    };
    check(scenario, &["notifier", "immediate", "timer"]);
}

// M-08: the same on the real clock, in a completion.
#[test]
fn in_a_completion_an_immediate_runs_before_a_zero_timer() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let trace = trace.clone();
            queue_work(|| ()).on_complete(move |_| {
                set_timeout(Duration::ZERO, trace.says("timer"));
                set_immediate(trace.says("immediate"));
                let begin = std::time::Instant::now();
                while begin.elapsed() < ms(3) {
                    std::hint::spin_loop();
                }
            });
        });
        trace.expect(&["immediate", "timer"]);
    });
}

// M-09
#[test]
fn an_immediate_cleared_by_an_earlier_one_does_not_run() {
    let scenario = |trace: &Trace| {
        let second = Rc::new(Cell::new(None::<Immediate>));
        let (inner, to_clear) = (trace.clone(), Rc::clone(&second));
        set_immediate(move || {
            inner.say("first");
            to_clear.take().expect("the second one").clear();
        });
        second.set(Some(set_immediate(trace.says("second"))));
        set_immediate(trace.says("third"));
    };
    check(scenario, &["first", "third"]);
}

// M-09
#[test]
fn clearing_an_immediate_from_itself_or_afterwards_does_nothing() {
    let scenario = |trace: &Trace| {
        let own = Rc::new(Cell::new(None::<Immediate>));
        let (inner, to_clear) = (trace.clone(), Rc::clone(&own));
        let immediate = set_immediate(move || {
            to_clear.take().expect("its own id").clear();
            inner.say("ran");
        });
        own.set(Some(immediate));
        let inner = trace.clone();
        set_immediate(move || {
            immediate.clear();
            immediate.clear();
            inner.say("afterwards");
        });
    };
    check(scenario, &["ran", "afterwards"]);
}

// M-09: an immediate cleared before it runs does not hold the loop.
#[test]
fn a_cleared_immediate_does_not_keep_the_loop_alive() {
    let event_loop = virtual_loop();
    let dropped = Counter::new();
    event_loop.enter(|| {
        let guard = dropped.on_drop();
        set_immediate(move || guard.touch()).clear();
    });
    assert!(!event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(dropped.get(), 1);
}

// M-10
#[test]
fn a_pending_immediate_keeps_the_poll_from_blocking() {
    let event_loop = virtual_loop();
    let begin = event_loop.now();
    let trace = Trace::new();
    event_loop.enter(|| {
        set_timeout(HOUR, || {});
        set_immediate(trace.says("immediate"));
    });
    assert!(event_loop.turn(RunMode::Once));
    trace.expect(&["immediate"]);
    assert_eq!(event_loop.now(), begin);
}

// M-11
#[test]
fn an_unref_immediate_runs_only_if_something_else_is_alive() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let immediate = event_loop.enter(|| {
        let immediate = set_immediate(trace.says("immediate"));
        assert!(immediate.has_ref());
        immediate.unref();
        assert!(!immediate.has_ref());
        immediate
    });
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&[]);

    // With a timer to hold the loop it does run, in the check phase before that timer.
    event_loop.enter(|| set_timeout(ms(1), trace.says("timer")));
    event_loop.turn(RunMode::Default);
    let mut lines = trace.take();
    lines.sort();
    assert_eq!(lines, ["immediate", "timer"]);
    immediate.set_ref(true);
    assert!(!event_loop.is_alive(), "it has run, so there is nothing to reference");
}

// M-11
#[test]
fn referencing_an_unref_immediate_again_restores_the_rule() {
    let scenario = |trace: &Trace| {
        let immediate = set_immediate(trace.says("immediate"));
        immediate.unref();
        immediate.unref();
        immediate.set_ref(true);
    };
    check(scenario, &["immediate"]);
}

// M-12
#[test]
fn thousands_of_ticks_queued_by_one_microtask_all_run_before_the_next_immediate() {
    for count in [1, 63, 64, 65, 2_047, 2_048, 2_049, 10_000] {
        let ticks = Counter::new();
        let seen = Rc::new(Cell::new(0));
        virtual_loop().run(|| {
            let (ticks_in, ticks_seen, seen) = (ticks.clone(), ticks.clone(), Rc::clone(&seen));
            set_immediate(move || {
                queue_microtask(move || {
                    for number in 0..count {
                        let ticks = ticks_in.clone();
                        next_tick(move || assert_eq!(ticks.add(), number + 1, "in order"));
                    }
                });
            });
            set_immediate(move || seen.set(ticks_seen.get()));
        });
        assert_eq!(seen.get(), count);
        assert_eq!(ticks.get(), count);
    }
}

// M-12: the same for microtasks and immediates, large closures included.
#[test]
fn no_queue_loses_callbacks_as_it_grows() {
    for count in [63, 64, 65, 2_047, 2_048, 2_049] {
        let microtasks = Counter::new();
        let immediates = Counter::new();
        virtual_loop().run(|| {
            for number in 0..count {
                let counter = microtasks.clone();
                let large = [number; 64];
                if number % 3 == 0 {
                    queue_microtask(move || assert_eq!(counter.add(), large[63] + 1));
                } else {
                    queue_microtask(move || assert_eq!(counter.add(), number + 1));
                }
                let counter = immediates.clone();
                if number % 3 == 0 {
                    set_immediate(move || assert_eq!(counter.add(), large[63] + 1));
                } else {
                    set_immediate(move || assert_eq!(counter.add(), number + 1));
                }
            }
        });
        assert_eq!((microtasks.get(), immediates.get()), (count, count));
    }
}

// M-13
#[test]
fn a_tick_of_a_microtask_of_a_timer_runs_before_the_next_timer() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            inner.say("timer 1");
            queue_microtask(move || {
                inner.say("microtask");
                next_tick(inner.says("tick"));
            });
        });
        set_timeout(ms(1), trace.says("timer 2"));
    };
    check(scenario, &["timer 1", "microtask", "tick", "timer 2"]);
}

// M-14
#[test]
fn microtasks_run_in_the_order_queued_whichever_way_they_came() {
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let scenario = |trace: &Trace| {
        let (inner, slot) = (trace.clone(), Rc::clone(&waker));
        spawn(async move {
            let mut woken = false;
            poll_fn(|cx| {
                if woken {
                    return Poll::Ready(());
                }
                woken = true;
                slot.replace(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            inner.say("woken task");
        });
        let (inner, slot) = (trace.clone(), Rc::clone(&waker));
        set_timeout(ms(1), move || {
            queue_microtask(inner.says("first"));
            spawn({
                let inner = inner.clone();
                async move { inner.say("new task") }
            });
            queue_microtask(inner.says("second"));
            slot.take().expect("the task waits").wake();
            queue_microtask(inner.says("third"));
        });
    };
    check(scenario, &["first", "new task", "second", "woken task", "third"]);
}

// M-15
#[test]
fn an_immediate_of_a_close_completion_runs_in_the_following_turn() -> io::Result<()> {
    bounded(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let trace = Trace::new();
        windlass::run(|| {
            let trace = trace.clone();
            spawn(async move {
                let stream = TcpStream::connect(address).await.expect("a connection");
                Prepare::start(trace.says("prepare")).unref();
                stream.on_close(move || {
                    trace.say("closed");
                    set_immediate(trace.says("immediate"));
                });
                stream.close();
            });
        });
        trace.expect(&["closed", "prepare", "immediate"]);
        Ok(())
    })
}

// M-17
#[test]
fn a_tick_queued_after_shutdown_began_never_runs_but_is_dropped() {
    let ran = Counter::new();
    let dropped = Counter::new();
    windlass::run(|| {
        let (ran, dropped) = (ran.clone(), dropped.clone());
        windlass::on_exit(move |_| {
            let (count, guard) = (ran.clone(), dropped.on_drop());
            next_tick(move || {
                guard.touch();
                count.add();
            });
            let (count, guard) = (ran.clone(), dropped.on_drop());
            queue_microtask(move || {
                guard.touch();
                count.add();
            });
            let (count, guard) = (ran.clone(), dropped.on_drop());
            set_immediate(move || {
                guard.touch();
                count.add();
            });
            let guard = dropped.on_drop();
            set_timeout(ms(1), move || {
                guard.touch();
                ran.add();
            });
        });
    });
    assert_eq!(ran.get(), 0);
    assert_eq!(dropped.get(), 4);
}

// M-18
#[test]
fn woken_tasks_are_polled_once_each_in_the_order_of_their_wakes() {
    type Wakers = Rc<RefCell<Vec<Waker>>>;

    fn waits(trace: &Trace, wakers: &Wakers, label: &'static str) {
        let (trace, wakers) = (trace.clone(), Rc::clone(wakers));
        let polls = Counter::new();
        let task = poll_fn(move |cx| {
            trace.say(format!("{label} poll {}", polls.add()));
            wakers.borrow_mut().push(cx.waker().clone());
            if polls.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(spawn(task));
    }
    let scenario = |trace: &Trace| {
        let wakers: Wakers = Rc::default();
        waits(trace, &wakers, "a");
        waits(trace, &wakers, "b");
        waits(trace, &wakers, "c");
        let inner = trace.clone();
        set_timeout(ms(1), move || {
            let wakers = wakers.take();
            wakers[2].wake_by_ref();
            wakers[0].wake_by_ref();
            wakers[2].wake_by_ref();
            wakers[1].wake_by_ref();
            wakers[0].wake_by_ref();
            next_tick(inner.says("tick"));
            set_immediate(inner.says("immediate"));
            // Waking what has finished does nothing.
            set_timeout(ms(1), move || wakers.iter().for_each(Waker::wake_by_ref));
        });
    };
    check(
        scenario,
        &[
            "a poll 1",
            "b poll 1",
            "c poll 1",
            "tick",
            "c poll 2",
            "a poll 2",
            "b poll 2",
            "immediate",
        ],
    );
}

// M-18
#[test]
fn a_task_that_wakes_itself_is_polled_again_in_the_same_drain() {
    let scenario = |trace: &Trace| {
        set_timeout(ms(1), trace.says("timer"));
        set_immediate(trace.says("immediate"));
        advance(ms(5));
        let (inner, polls) = (trace.clone(), Counter::new());
        spawn(poll_fn(move |cx| {
            if polls.add() == 1_000 {
                inner.say("a thousand polls");
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
    };
    check(scenario, &["a thousand polls", "timer", "immediate"]);
}

// M-18: the future that does let the loop go on.
#[test]
fn a_task_that_yields_resumes_in_the_check_phase_of_the_next_iteration() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        Prepare::start(trace.says("prepare")).unref();
        Check::start(trace.says("check")).unref();
        let inner = trace.clone();
        set_immediate(move || {
            spawn(async move {
                inner.say("before");
                yield_now().await;
                inner.say("between");
                yield_now().await;
                inner.say("after");
            });
        });
    });
    event_loop.turn(RunMode::Default);
    let lines: Vec<_> = trace.take().into_iter().filter(|line| line != "check").collect();
    assert_eq!(lines, ["prepare", "before", "prepare", "between", "prepare", "after"]);
}

// The reference order of a turn, with one callback in each phase.
#[test]
fn the_phases_of_a_turn_come_in_their_order() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        let notifier = Notifier::new(trace.says("poll"));
        notifier.notify();
        set_interval(ms(1), {
            let (trace, times) = (trace.clone(), Counter::new());
            move |interval| {
                trace.say("timer");
                if times.add() == 2 {
                    interval.clear();
                    notifier.close();
                    windlass::stop();
                }
            }
        });
        Idle::start({
            let trace = trace.clone();
            move || {
                trace.say("idle");
                advance(ms(1));
            }
        })
        .unref();
        Prepare::start(trace.says("prepare")).unref();
        Check::start(trace.says("check")).unref();
        advance(ms(1));
    });
    event_loop.turn(RunMode::Default);
    trace.expect(&["timer", "idle", "prepare", "poll", "check", "timer"]);
}
