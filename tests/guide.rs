//! Statements of `windlass::guide::order` that no other file pins. Each test names its number.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use common::*;
use windlass::handle::{Idle, Interest, Notifier};
use windlass::net::TcpListener;
use windlass::time::advance;
use windlass::worker::Worker;
use windlass::{
    Loop, Pool, RunMode, next_tick, queue_microtask, queue_work, set_immediate, set_timeout, spawn,
};

/// Says `label`, and queues a microtask and a tick that say so too.
fn says_with_queues(trace: &Trace, label: &str) {
    trace.say(label);
    queue_microtask(trace.says("microtask"));
    next_tick(trace.says("tick"));
}

/// Checks that each callback in the trace was followed by its own drain, and returns the callbacks.
#[track_caller]
fn drained_each(trace: &Trace) -> Vec<String> {
    let lines = trace.take();
    assert_eq!(lines.len() % 3, 0, "{lines:?}");
    for three in lines.chunks(3) {
        assert_eq!(three[1..], ["tick", "microtask"], "{lines:?}");
    }
    lines.into_iter().step_by(3).collect()
}

// O-4
#[test]
fn one_iteration_by_hand_runs_due_timers_last() {
    for mode in [RunMode::Once, RunMode::NoWait] {
        let event_loop = virtual_loop();
        let trace = Trace::new();
        event_loop.enter(|| {
            set_timeout(ms(1), trace.says("timer"));
            set_immediate(trace.says("immediate"));
            advance(ms(2));
        });
        event_loop.turn(mode);
        trace.expect(&["immediate", "timer"]);
    }
}

// O-8
#[test]
fn what_poll_completes_at_once_is_told_before_check_in_eight_rounds() {
    /// A request that is cancelled at once, and its completion makes the next.
    fn again(trace: Trace, round: u32) {
        if round <= 10 {
            let request = queue_work(|| ());
            request.cancel().expect("it has not begun");
            request.on_complete(move |_| {
                trace.say(format!("round {round}"));
                again(trace, round + 1);
            });
        }
    }
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        queue_work(|| ()).on_complete(move |_| {
            again(inner.clone(), 1);
            inner.say("poll");
        });
        set_immediate(trace.says("check"));
    };
    let expected: Vec<_> = (1..=10).map(|round| format!("round {round}")).collect();
    let mut expected: Vec<_> = expected.iter().map(String::as_str).collect();
    expected.insert(8, "check");
    expected.insert(0, "poll");
    check(scenario, &expected);
}

// O-9: on the real clock, where time goes on by itself.
#[test]
fn the_cached_time_is_one_for_a_phase_and_moves_before_the_timers() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let look = |name: &'static str| {
        let seen = seen.clone();
        move || {
            seen.borrow_mut().push((name, windlass::now()));
            advance(ms(2)); // Keeps the thread busy.
        }
    };
    real_loop().run(|| {
        set_timeout(ms(1), look("first pass of the timers"));
        let idle = Idle::start(look("idle"));
        let (immediate, timer) = (look("immediate 1"), look("second pass of the timers"));
        set_immediate(move || {
            idle.stop();
            set_timeout(ms(1), timer);
            immediate();
        });
        set_immediate(look("immediate 2"));
        look("main")();
    });
    let seen = seen.take();
    let at = |wanted: &str| seen.iter().find(|(name, _)| *name == wanted).expect("it ran").1;
    assert!(at("first pass of the timers") >= at("main") + ms(2), "it moved before the pass");
    assert_eq!(at("idle"), at("first pass of the timers"));
    assert!(at("immediate 1") >= at("idle") + ms(2), "it moved after the wait");
    assert_eq!(at("immediate 1"), at("immediate 2"));
    assert!(at("second pass of the timers") >= at("immediate 2") + ms(4), "and before the timers");
}

// O-13
#[test]
fn the_drain_follows_every_callback_of_a_socket() -> io::Result<()> {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            // Both connections and their bytes are there before the loop looks.
            let clients: Vec<_> =
                (0..2).map(|_| std::net::TcpStream::connect(address)).collect::<io::Result<_>>()?;
            for mut client in &clients {
                client.write_all(b"x")?;
            }
            let (trace, connections, own) = (trace.clone(), Counter::new(), listener.clone());
            listener.on_connection(move |stream| {
                says_with_queues(&trace, "connection");
                let stream = stream.expect("a connection");
                if connections.add() == 2 {
                    own.close();
                }
                let written = trace.clone();
                stream.write(b"y").on_complete(move |_| says_with_queues(&written, "write"));
                let (read, clients) = (trace.clone(), clients.len());
                assert_eq!(clients, 2);
                stream.read_start(move |stream, _| {
                    says_with_queues(&read, "read");
                    stream.close();
                });
            });
            Ok::<_, io::Error>(())
        })?;
        let mut callbacks = drained_each(&trace);
        callbacks.sort();
        assert_eq!(callbacks, ["connection", "connection", "read", "read", "write", "write"]);
        Ok(())
    })
}

// O-13 and O-74: all that the worker did has been done before its parent looks.
#[test]
fn the_drain_follows_every_event_of_a_worker() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        let worker: Worker<(), &str> = Worker::spawn(|port| {
            port.post("message 1");
            port.post("message 2");
            panic!("the worker's end");
        })
        .expect("a worker");
        let says = |label: &'static str| {
            let trace = trace.clone();
            move || says_with_queues(&trace, label)
        };
        let (online, error, exit, inner) =
            (says("online"), says("error"), says("exit"), trace.clone());
        worker.on_online(online);
        worker.on_message(move |message| says_with_queues(&inner, message));
        worker.on_error(move |_| error());
        worker.on_exit(move |_| exit());
        set_immediate(says("check"));
        advance(HOUR);
    });
    assert_eq!(
        drained_each(&trace),
        ["online", "message 1", "message 2", "error", "exit", "check"],
        "in one poll phase"
    );
}

// O-30 and O-44: the first half of the order; the example of O-30 has the rest.
#[test]
fn poll_calls_descriptors_then_woken_tasks_then_completions() -> io::Result<()> {
    let (mut here, there) = UnixStream::pair()?;
    let trace = Trace::new();
    let waker = Rc::new(Cell::new(None::<Waker>));
    virtual_loop().run(|| -> io::Result<()> {
        let (inner, slot) = (trace.clone(), waker.clone());
        spawn(async move {
            let mut polls = 0;
            poll_fn(|cx| {
                slot.set(Some(cx.waker().clone()));
                polls += 1;
                if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            inner.say("task");
        });
        let (inner, slot) = (trace.clone(), Slot::new());
        let watcher = windlass::handle::Poll::new(there);
        watcher.start(Interest::READABLE, {
            let slot = slot.clone();
            move |_| {
                inner.say("descriptor");
                let watcher: &windlass::handle::Poll<UnixStream> = slot.get();
                watcher.close();
            }
        })?;
        slot.put(watcher);
        let (inner, slot) = (trace.clone(), waker.clone());
        set_immediate(move || {
            queue_work(|| ()).on_complete({
                let mut say = inner.says("completion");
                move |_| say()
            });
            let waker = slot.take().expect("the task waits");
            thread::spawn(|| waker.wake()).join().expect("it woke the task");
            here.write_all(b"x").expect("it is written");
            inner.say("check");
        });
        Ok(())
    })?;
    trace.expect(&["check", "descriptor", "task", "completion"]);
    Ok(())
}

// O-31 and O-67: on the real clock, with threads that wait for each other.
#[test]
fn what_is_done_first_completes_first_whatever_was_submitted_first() {
    bounded(|| {
        let trace = Trace::new();
        let pool = Pool::new(2).expect("a pool");
        let event_loop = Loop::builder().pool(pool).build().expect("a loop");
        event_loop.run(|| {
            let says = |label: &'static str| {
                let mut say = trace.says(label);
                move |_| say()
            };
            let (finish, finished) = mpsc::channel();
            queue_work(move || finished.recv().unwrap())
                .on_complete(says("request submitted first"));
            let mut say = says("request submitted second");
            queue_work(|| ()).on_complete(move |result| {
                say(result);
                finish.send(()).expect("the first job waits");
            });
        });
        trace.expect(&["request submitted second", "request submitted first"]);

        // The same race with a timer, which either of the two may win.
        event_loop.run(|| {
            let (finish, finished) = mpsc::channel();
            let mut say = trace.says("request");
            queue_work(move || finished.recv().unwrap()).on_complete(move |_| say());
            let mut say = trace.says("timer");
            set_timeout(ms(1), move || {
                say();
                finish.send(()).expect("the job waits");
            });
        });
        trace.expect(&["timer", "request"]);
        event_loop.run(|| {
            let timer = set_timeout(HOUR, trace.says("timer"));
            let mut say = trace.says("request");
            queue_work(|| ()).on_complete(move |_| {
                say();
                timer.clear();
            });
        });
        trace.expect(&["request"]);
    });
}

// O-49
#[test]
fn a_panic_that_leaves_run_calls_no_hook_of_the_end() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        event_loop.run(|| {
            windlass::on_before_exit(trace.says("before-exit hook"));
            let mut say = trace.says("exit hook");
            windlass::on_exit(move |_| say());
            set_immediate(|| panic!("nobody takes it"));
            set_immediate(trace.says("immediate"));
        });
    }));
    assert_eq!(payload_text(&*outcome.expect_err("it panicked")), "nobody takes it");
    trace.expect(&[]);
    // They are called when the loop comes to its end in a further run.
    event_loop.run(|| ());
    trace.expect(&["immediate", "before-exit hook", "exit hook"]);
}

// O-61
#[test]
fn in_virtual_time_requests_complete_in_order_of_submission() {
    let scenario = |trace: &Trace| {
        for number in 0..20 {
            let trace = trace.clone();
            queue_work(move || number).on_complete(move |number| {
                trace.say(number.expect("a number"));
            });
        }
        set_immediate(trace.says("check"));
    };
    let numbers: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    let mut expected: Vec<_> = numbers.iter().map(String::as_str).collect();
    expected.push("check");
    check(scenario, &expected);
}

// O-64
#[test]
fn in_virtual_time_a_thread_of_the_program_is_waited_for() {
    let scenario = |trace: &Trace| {
        let slot = Slot::new();
        let notifier = Notifier::new({
            let (trace, slot) = (trace.clone(), slot.clone());
            move || {
                trace.say("notified");
                let notifier: &Notifier = slot.get();
                notifier.close();
            }
        });
        slot.put(notifier.clone());
        let (go, may_go) = mpsc::channel();
        thread::spawn(move || {
            may_go.recv().expect("the loop says when");
            notifier.notify();
        });
        set_immediate({
            let trace = trace.clone();
            move || {
                trace.say("nothing else is left");
                go.send(()).expect("the thread waits");
            }
        });
    };
    check(scenario, &["nothing else is left", "notified"]);
}

/// Starts a worker that waits for a word on `may_go`, if there is one to wait for, then posts, then
/// gives a word on `go`.
fn posts_once(
    trace: &Trace,
    label: &'static str,
    may_go: Option<mpsc::Receiver<()>>,
    go: Option<mpsc::Sender<()>>,
) -> Worker<(), ()> {
    let worker: Worker<(), ()> = Worker::spawn(move |port| {
        if let Some(may_go) = may_go {
            may_go.recv().expect("somebody says when");
        }
        port.post(());
        if let Some(go) = go {
            go.send(()).expect("somebody waits");
        }
    })
    .expect("a worker");
    let mut say = trace.says(label);
    worker.on_message(move |()| say());
    worker
}

// O-69
#[test]
fn of_two_workers_either_may_be_heard_first() {
    bounded(|| {
        let trace = Trace::new();
        // The second posts first, but both have posted when the parent looks: the older one leads.
        windlass::run(|| {
            let (go, may_go) = mpsc::channel();
            let (done, all_done) = mpsc::channel();
            posts_once(&trace, "first", Some(may_go), Some(done));
            posts_once(&trace, "second", None, Some(go));
            all_done.recv().expect("the first says so");
        });
        trace.expect(&["first", "second"]);

        // The second is heard before the first posts.
        windlass::run(|| {
            let (go, may_go) = mpsc::channel();
            posts_once(&trace, "first", Some(may_go), None);
            let second = posts_once(&trace, "second", None, None);
            let mut say = trace.says("second");
            second.on_message(move |()| {
                say();
                go.send(()).expect("the first waits");
            });
        });
        trace.expect(&["second", "first"]);
    });
}

// O-69: the other half.
#[test]
fn a_message_of_a_worker_may_come_before_or_after_a_timer_of_the_parent() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let (go, may_go) = mpsc::channel();
            posts_once(&trace, "message", Some(may_go), None);
            let mut say = trace.says("timer");
            set_timeout(ms(1), move || {
                say();
                go.send(()).expect("the worker waits");
            });
        });
        trace.expect(&["timer", "message"]);
        windlass::run(|| {
            let timer = set_timeout(HOUR, trace.says("timer"));
            let mut say = trace.says("message");
            let worker = posts_once(&trace, "message", None, None);
            worker.on_message(move |()| {
                say();
                timer.clear();
            });
        });
        trace.expect(&["message"]);
    });
}

// O-51
#[test]
fn a_post_alone_holds_the_loop_until_it_has_run() {
    let event_loop = virtual_loop();
    let (told, heard) = mpsc::channel();
    event_loop
        .remote()
        .post(move || told.send("the post ran").expect("the test listens"))
        .expect("the loop is there");
    assert!(event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(heard.try_recv(), Ok("the post ran"));
}
