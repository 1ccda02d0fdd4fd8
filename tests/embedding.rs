//! A loop inside another one: its poll timeout and its descriptor. L-14 and L-15 of the list of
//! behaviours.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener as StdListener;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::{TcpListener, TcpStream};
use windlass::{
    Loop, RunMode, next_tick, queue_microtask, queue_work, set_immediate, set_timeout, spawn,
};

/// An outer loop that knows nothing of the inner one but its descriptor and its timeout.
struct Outer {
    poll: Poll,
    events: Events,
}

impl Outer {
    fn around(event_loop: &Loop) -> io::Result<Outer> {
        let poll = Poll::new()?;
        let descriptor = event_loop.as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
        Ok(Outer { poll, events: Events::with_capacity(4) })
    }

    /// Waits as long as the inner loop would, or half a minute, and says whether its descriptor is
    /// readable.
    fn wait(&mut self, event_loop: &Loop) -> io::Result<bool> {
        // The outer poller reports edges; registering anew asks for the level.
        let descriptor = event_loop.as_raw_fd();
        let registry = self.poll.registry();
        registry.reregister(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
        let hang = Duration::from_secs(30);
        let limit = event_loop.poll_timeout().unwrap_or(hang).min(hang);
        let begin = Instant::now();
        self.poll.poll(&mut self.events, Some(limit))?;
        assert!(begin.elapsed() < hang, "the descriptor never became readable");
        Ok(!self.events.is_empty())
    }

    /// Whether the inner loop's descriptor is readable at this moment.
    fn is_readable(&mut self, event_loop: &Loop) -> io::Result<bool> {
        let descriptor = event_loop.as_raw_fd();
        let registry = self.poll.registry();
        registry.reregister(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        Ok(!self.events.is_empty())
    }

    /// Drives the inner loop to its end and returns the number of turns.
    fn drive(&mut self, event_loop: &Loop) -> io::Result<usize> {
        let mut turns = 1;
        while event_loop.turn(RunMode::NoWait) {
            self.wait(event_loop)?;
            turns += 1;
        }
        Ok(turns)
    }
}

// L-14
#[test]
fn the_timeout_is_zero_when_nothing_is_alive() {
    for event_loop in [real_loop(), virtual_loop()] {
        assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
        event_loop.enter(|| set_timeout(HOUR, || {}).unref().has_ref());
        assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO), "an unref timer only");
    }
}

// L-14
#[test]
fn the_timeout_is_zero_when_the_loop_is_stopping() {
    let event_loop = real_loop();
    event_loop.enter(|| set_timeout(HOUR, || {}));
    assert_ne!(event_loop.poll_timeout(), Some(Duration::ZERO));
    event_loop.stop();
    assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
}

// L-14
#[test]
fn the_timeout_is_zero_when_an_idle_watcher_or_immediate_is_pending() {
    let event_loop = real_loop();
    event_loop.enter(|| set_timeout(HOUR, || {}));
    let idle = event_loop.enter(|| Idle::start(|| {}));
    assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
    idle.stop();
    assert_ne!(event_loop.poll_timeout(), Some(Duration::ZERO));
    let immediate = event_loop.enter(|| set_immediate(|| {}));
    assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
    immediate.clear();
    assert_ne!(event_loop.poll_timeout(), Some(Duration::ZERO));
}

// L-14: prepare and check watchers alone do not keep a poll from waiting.
#[test]
fn the_timeout_is_infinite_with_prepare_and_check_watchers_only() {
    let event_loop = real_loop();
    event_loop.enter(|| {
        Prepare::start(|| {});
        Check::start(|| {});
    });
    assert_eq!(event_loop.poll_timeout(), None);
}

// L-14
#[test]
fn the_timeout_is_zero_while_something_is_closing() -> io::Result<()> {
    let listener = StdListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let event_loop = real_loop();
    let stream = event_loop.block_on(async { TcpStream::connect(address).await })?;
    event_loop.enter(|| set_timeout(HOUR, || {}));
    stream.on_close(|| {});
    stream.close();
    assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
    Ok(())
}

// L-14
#[test]
fn the_timeout_is_the_time_to_the_nearest_timer() {
    let event_loop = virtual_loop();
    event_loop.enter(|| set_timeout(ms(500), || {}));
    assert_eq!(event_loop.poll_timeout(), Some(ms(500)));
    let nearer = event_loop.enter(|| set_timeout(ms(70), || {}));
    assert_eq!(event_loop.poll_timeout(), Some(ms(70)));
    nearer.clear();
    assert_eq!(event_loop.poll_timeout(), Some(ms(500)));
    // An unref timer counts while something else holds the loop.
    event_loop.enter(|| set_timeout(ms(30), || {}).unref().has_ref());
    assert_eq!(event_loop.poll_timeout(), Some(ms(30)));
    event_loop.enter(|| windlass::time::advance(ms(80)));
    event_loop.update_time();
    assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO), "overdue");
}

// L-14, T-21: waiting for the timeout is never too short for the timer it announces.
#[test]
fn a_wait_of_the_timeout_is_enough_for_the_timer() {
    for delay in [Duration::from_micros(300), ms(1), ms(7)] {
        let event_loop = real_loop();
        let fired = Counter::new();
        let armed = Instant::now();
        event_loop.enter(|| set_timeout(delay, fired.adds()));
        event_loop.update_time();
        let timeout = event_loop.poll_timeout().expect("a timer is armed");
        let looked = Instant::now();
        assert!(timeout <= delay + ms(1));
        while looked.elapsed() < timeout {
            std::hint::spin_loop();
        }
        event_loop.turn(RunMode::NoWait);
        assert_eq!(fired.get(), 1, "{delay:?} was announced as {timeout:?}");
        assert!(armed.elapsed() >= delay);
    }
}

// L-14
#[test]
fn the_timeout_is_infinite_with_events_of_others_only() {
    let event_loop = real_loop();
    let notifier = event_loop.enter(|| Notifier::new(|| {}));
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a port");
    event_loop.enter(|| listener.on_connection(|_| {}));
    assert_eq!(event_loop.poll_timeout(), None);
    notifier.close();
    event_loop.turn(RunMode::NoWait);
    assert_eq!(event_loop.poll_timeout(), None);
    let _guard = event_loop.keep_alive();
    assert_eq!(event_loop.poll_timeout(), None);
}

// L-15: what code outside queued has to run before anybody waits.
#[test]
fn the_timeout_is_zero_when_ticks_or_microtasks_are_queued() {
    let queue: [fn(); 3] =
        [|| next_tick(|| {}), || queue_microtask(|| {}), || drop(spawn(async {}))];
    for queue in queue {
        let event_loop = real_loop();
        event_loop.enter(|| set_timeout(HOUR, || {}));
        event_loop.enter(queue);
        assert_eq!(event_loop.poll_timeout(), Some(Duration::ZERO));
        event_loop.turn(RunMode::NoWait);
        assert_ne!(event_loop.poll_timeout(), Some(Duration::ZERO));
    }
}

// L-15
#[test]
fn an_outer_poll_drives_timers_and_immediates_to_the_end() -> io::Result<()> {
    let event_loop = real_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        let inner = trace.clone();
        set_timeout(ms(5), move || {
            inner.say("timer");
            set_immediate(inner.says("immediate"));
            set_timeout(ms(5), inner.says("second timer"));
        });
    });
    let turns = Outer::around(&event_loop)?.drive(&event_loop)?;
    trace.expect(&["timer", "immediate", "second timer"]);
    assert!(turns <= 12, "the outer loop spun: {turns} turns");
    Ok(())
}

// L-15
#[test]
fn an_outer_poll_hears_wakes_posts_and_completions_of_other_threads() -> io::Result<()> {
    let event_loop = real_loop();
    let trace = Trace::new();
    let posted = Arc::new(AtomicUsize::new(0));
    let mut outer = Outer::around(&event_loop)?;

    // Each step is begun only when the one before was heard, so each has to wake a waiting poll.
    let (go_on, next_step) = mpsc::channel::<()>();
    event_loop.enter(|| {
        let slot = Slot::new();
        let notifier = Notifier::new({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                trace.say("notified");
                let notifier: &Notifier = slot.get();
                notifier.close();
                let trace = trace.clone();
                let go_on = go_on.clone();
                queue_work(|| ()).on_complete(move |_| {
                    trace.say("completed");
                    go_on.send(()).expect("the other thread listens");
                });
            }
        });
        slot.put(notifier.clone());
        let remote = event_loop.remote();
        let posted = Arc::clone(&posted);
        thread::spawn(move || {
            notifier.notify();
            next_step.recv().expect("the loop goes on");
            remote
                .post(move || {
                    posted.fetch_add(1, Ordering::SeqCst);
                })
                .expect("the loop lives");
        });
    });
    let guard = event_loop.keep_alive();
    while posted.load(Ordering::SeqCst) == 0 {
        outer.wait(&event_loop)?;
        event_loop.turn(RunMode::NoWait);
    }
    drop(guard);
    outer.drive(&event_loop)?;
    trace.expect(&["notified", "completed"]);
    Ok(())
}

// L-15: outside a turn the loop counts as asleep.
#[test]
fn a_post_of_the_same_thread_outside_a_turn_makes_the_descriptor_readable() -> io::Result<()> {
    let event_loop = real_loop();
    let notifier = event_loop.enter(|| Notifier::new(|| {}));
    let mut outer = Outer::around(&event_loop)?;

    event_loop.remote().post(|| {}).expect("the loop lives");
    assert!(outer.wait(&event_loop)?, "after a post");
    event_loop.turn(RunMode::NoWait);

    notifier.notify();
    assert!(outer.wait(&event_loop)?, "after a wake");
    event_loop.turn(RunMode::NoWait);

    notifier.close();
    outer.drive(&event_loop)?;
    Ok(())
}

// L-15, M-18: every wake is a microtask, and those run though nothing is alive.
#[test]
fn a_task_that_another_thread_wakes_is_polled_though_nothing_is_alive() -> io::Result<()> {
    let event_loop = real_loop();
    let mut outer = Outer::around(&event_loop)?;
    let trace = Trace::new();
    let waker = Rc::new(Cell::new(None::<task::Waker>));
    let (log, slot) = (trace.clone(), waker.clone());
    let task = event_loop.enter(|| {
        let mut polls = 0;
        windlass::spawn(poll_fn(move |cx| {
            polls += 1;
            log.say(format!("poll {polls}"));
            slot.set(Some(cx.waker().clone()));
            if polls < 2 { task::Poll::Pending } else { task::Poll::Ready(()) }
        }))
    });
    assert!(!event_loop.turn(RunMode::NoWait));
    trace.expect(&["poll 1"]);
    assert!(!outer.is_readable(&event_loop)?);

    let waker = waker.take().expect("a poll has left it");
    thread::spawn(move || waker.wake()).join().expect("it wakes");
    assert!(outer.is_readable(&event_loop)?);
    assert!(!event_loop.turn(RunMode::NoWait));
    trace.expect(&["poll 2"]);
    assert!(!outer.is_readable(&event_loop)?, "an outer loop would spin");
    assert!(task.is_finished());
    Ok(())
}

// L-15, M-18: the outer loop may sleep already when a callback of its own wakes a task.
#[test]
fn a_wake_of_the_same_thread_outside_a_turn_makes_the_descriptor_readable() -> io::Result<()> {
    let event_loop = real_loop();
    let mut outer = Outer::around(&event_loop)?;
    let trace = Trace::new();
    let waker = Rc::new(Cell::new(None::<task::Waker>));
    event_loop.enter(|| {
        let (log, slot) = (trace.clone(), waker.clone());
        let waits = poll_fn(move |cx| {
            log.say("poll");
            slot.set(Some(cx.waker().clone()));
            task::Poll::<()>::Pending
        });
        drop(windlass::spawn(waits));
    });
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["poll"]);
    for alive in [false, true] {
        let guard = alive.then(|| event_loop.keep_alive());
        for entered in [false, true] {
            let waker = waker.take().expect("a poll has left it");
            if entered {
                event_loop.enter(|| waker.wake_by_ref());
            } else {
                waker.wake_by_ref();
            }
            waker.wake();
            event_loop.enter(|| queue_microtask(trace.says("behind it")));
            assert!(outer.is_readable(&event_loop)?);
            event_loop.turn(RunMode::NoWait);
            trace.expect(&["poll", "behind it"]);
            assert!(!outer.is_readable(&event_loop)?, "an outer loop would spin");
        }
        drop(guard);
    }
    Ok(())
}

// L-15
#[test]
fn an_outer_poll_hears_connections() -> io::Result<()> {
    let event_loop = real_loop();
    let trace = Trace::new();
    let mut outer = Outer::around(&event_loop)?;
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    event_loop.enter(|| {
        let (trace, own) = (trace.clone(), listener.clone());
        listener.on_connection(move |connection| {
            connection.expect("a connection");
            trace.say("connected");
            own.close();
        });
    });
    let client = thread::spawn(move || std::net::TcpStream::connect(address));
    outer.drive(&event_loop)?;
    trace.expect(&["connected"]);
    client.join().expect("the client")?;
    Ok(())
}

// L-15
#[test]
fn the_descriptor_is_the_same_all_along() {
    let event_loop = real_loop();
    let descriptor = event_loop.as_raw_fd();
    assert!(descriptor >= 0);
    event_loop.run(|| set_timeout(ms(1), || {}));
    assert_eq!(event_loop.as_raw_fd(), descriptor);
    assert_eq!(event_loop.as_fd().as_raw_fd(), descriptor);
}

// L-15: two loops on one thread, each driven in turn.
#[test]
fn two_loops_on_one_thread_are_driven_by_one_outer_loop() -> io::Result<()> {
    let trace = Trace::new();
    let (first, second) = (real_loop(), real_loop());
    first.enter(|| set_timeout(ms(2), trace.says("first")));
    second.enter(|| set_timeout(ms(4), trace.says("second")));
    let (mut outer_first, mut outer_second) = (Outer::around(&first)?, Outer::around(&second)?);
    while first.turn(RunMode::NoWait) | second.turn(RunMode::NoWait) {
        if first.is_alive() {
            outer_first.wait(&first)?;
        } else {
            outer_second.wait(&second)?;
        }
    }
    trace.expect(&["first", "second"]);
    Ok(())
}

// L-15, A-07
#[test]
fn a_loop_that_slept_without_sources_makes_its_descriptor_readable() -> io::Result<()> {
    let event_loop = real_loop();
    let mut outer = Outer::around(&event_loop)?;
    let _held = event_loop.keep_alive();
    let remote = event_loop.remote();
    let outside = remote.clone();
    let thread = thread::spawn(move || {
        // Several sleeps in one turn, for the first one may be in the poller.
        for _ in 0..3 {
            let (tell, told) = mpsc::channel();
            outside.post(move || tell.send(()).expect("the other thread")).expect("the loop");
            told.recv().expect("it was called");
        }
        outside.stop();
    });
    assert!(event_loop.turn(RunMode::Default), "stopped, and still held");
    thread.join().expect("the other thread");

    event_loop.turn(RunMode::NoWait);
    assert!(!outer.is_readable(&event_loop)?, "nothing has come since");
    remote.post(|| {}).expect("the loop");
    assert!(outer.is_readable(&event_loop)?);
    event_loop.turn(RunMode::NoWait);
    assert!(!outer.is_readable(&event_loop)?, "it was taken");
    Ok(())
}

// L-15
#[test]
fn what_is_posted_after_the_poll_phase_of_a_turn_makes_the_descriptor_readable() -> io::Result<()> {
    let event_loop = real_loop();
    let mut outer = Outer::around(&event_loop)?;
    let remote = event_loop.remote();
    let _held = event_loop.keep_alive();
    event_loop.enter(|| {
        set_immediate(move || remote.post(|| {}).expect("a loop that lives"));
    });
    assert!(event_loop.turn(RunMode::NoWait));
    assert!(outer.is_readable(&event_loop)?);
    event_loop.turn(RunMode::NoWait);
    assert!(!outer.is_readable(&event_loop)?);
    Ok(())
}
