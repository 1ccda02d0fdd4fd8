//! Errors that nobody took: which ones are heard of, where, and when.

mod common;

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::net::{TcpListener, TcpStream};
use windlass::{CancelError, Loop, RunMode, Unhandled, WorkError, on_unhandled, spawn, spawn_try};

/// Runs `main` in virtual time with a hook, and returns what the hook heard: kind and error.
fn heard(main: impl FnOnce()) -> Vec<(&'static str, String)> {
    heard_all(main).into_iter().map(|one| (one.kind, one.error)).collect()
}

fn heard_all(main: impl FnOnce()) -> Vec<Unhandled> {
    let all = Rc::new(RefCell::new(Vec::new()));
    let hears = all.clone();
    let event_loop = virtual_loop();
    event_loop.run(move || {
        on_unhandled(move |one| hears.borrow_mut().push(one));
        main();
    });
    all.take()
}

/// As [`heard`], of an error that only a task can have.
fn heard_of_task<E: 'static>(error: E) -> Vec<(&'static str, String)> {
    heard(move || drop(spawn(async move { Err::<(), E>(error) })))
}

fn one(kind: &'static str, error: &str) -> Vec<(&'static str, String)> {
    vec![(kind, error.to_owned())]
}

fn virtual_loop() -> Loop {
    Loop::builder().virtual_time(true).build().unwrap()
}

/// An error with a source of its own.
#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inner")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

#[test]
fn the_error_of_a_detached_task_of_each_known_type_is_heard_of() {
    assert_eq!(heard_of_task(io::Error::other("io")), one("task", "io"));
    assert_eq!(heard_of_task(Box::<dyn Error>::from("boxed")), one("task", "boxed"));
    let boxed = Box::<dyn Error + Send + Sync>::from("boxed and sent");
    assert_eq!(heard_of_task(boxed), one("task", "boxed and sent"));
    assert_eq!(heard_of_task(String::from("a string")), one("task", "a string"));
    assert_eq!(heard_of_task("a text"), one("task", "a text"));
    let busy = CancelError::Busy.to_string();
    assert_eq!(heard_of_task(CancelError::Busy), one("task", &busy));
    let closed = windlass::worker::WorkerError::Closed;
    assert_eq!(heard_of_task(closed.clone()), one("task", &closed.to_string()));
    let full = WorkError::QueueFull.to_string();
    assert_eq!(heard_of_task(WorkError::QueueFull), one("task", &full));
}

#[test]
fn what_a_task_returns_that_is_no_known_error_is_not_heard_of() {
    assert_eq!(heard_of_task(5), []);
    assert_eq!(heard(|| drop(spawn(async { Ok::<(), io::Error>(()) }))), []);
    assert_eq!(heard(|| drop(spawn(async { "a text" }))), []);
}

#[test]
fn an_error_of_any_type_is_heard_of_by_spawn_try() {
    assert_eq!(heard(|| spawn_try(async { Err::<u32, _>(Inner) })), one("task", "inner"));
    assert_eq!(heard(|| spawn_try(async { Err::<Rc<u8>, _>(7) })), one("task", "7"));
    assert_eq!(heard(|| spawn_try(async { Ok::<_, u32>(7) })), []);
}

#[test]
fn the_text_of_an_error_has_those_of_its_sources_behind_it() {
    let boxed = || Box::<dyn Error>::from(Outer(Inner));
    assert_eq!(heard_of_task(boxed()), one("task", "outer: inner"));
    assert_eq!(heard_of_task(io::Error::other(Outer(Inner))), one("task", "outer: inner"));
    assert_eq!(
        heard(move || spawn_try(async move { Err::<(), _>(boxed()) })),
        one("task", "outer: inner")
    );
}

#[test]
fn a_source_that_an_error_says_itself_is_not_said_again() {
    let path = "/there/is/no/such/file";
    let system = io::Error::from_raw_os_error(2);
    let expected = format!("read {path}: {system}");
    assert_eq!(heard(|| drop(windlass::fs::read(path))), one("file request", &expected));
    // One of the program's own, which says its source and has one that it does not say.
    assert_eq!(
        heard_of_task(io::Error::other(Quoting(Outer(Inner)))),
        one("task", "bad (outer): inner")
    );
}

/// An error that says its source itself.
#[derive(Debug)]
struct Quoting(Outer);

impl fmt::Display for Quoting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad ({})", self.0)
    }
}

impl Error for Quoting {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn the_place_is_the_line_that_spawned_the_task_or_made_the_request() {
    let first = line!() + 2;
    let heard = heard_all(move || {
        drop(spawn(async { Err::<(), _>("spawn") }));
        spawn_try(async { Err::<(), _>("spawn_try") });
        drop(windlass::queue_work(|| panic!("a job")));
    });
    let place = |one: &Unhandled| (one.location.file(), one.location.line());
    let found: Vec<_> = heard.iter().map(place).collect();
    assert_eq!(found, [(file!(), first), (file!(), first + 1), (file!(), first + 2)]);
}

#[test]
fn a_task_that_is_dropped_after_it_has_failed_is_heard_of() {
    let heard = heard(|| {
        let task = spawn(async { Err::<(), _>("dropped later") });
        windlass::set_immediate(move || drop(task));
    });
    assert_eq!(heard, one("task", "dropped later"));
}

#[test]
fn an_error_that_was_taken_is_not_heard_of_although_it_is_dropped_then() {
    let heard = heard(|| {
        let task = spawn(async { Err::<(), _>("awaited") });
        drop(spawn(async move { drop(task.await) }));
        drop(spawn(async { drop(windlass::fs::read("/no/such/file").await) }));
        windlass::fs::read("/no/such/file").on_complete(|result| assert!(result.is_err()));
    });
    assert_eq!(heard, []);
}

#[test]
fn an_aborted_task_is_not_heard_of() {
    let heard = heard(|| {
        let task = spawn(async {
            windlass::time::sleep(Duration::from_secs(1)).await;
            Err::<(), _>("never")
        });
        task.abort();
    });
    assert_eq!(heard, []);
}

#[test]
fn a_request_that_was_dropped_is_heard_of_before_and_after_it_has_completed() {
    let before = heard(|| drop(windlass::fs::read("/no/such/file")));
    let after = heard(|| {
        let request = windlass::fs::read("/no/such/file");
        windlass::set_timeout(Duration::from_secs(60), move || drop(request));
    });
    assert_eq!(before, after);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].0, "file request");
    assert!(before[0].1.contains("No such file"), "{before:?}");
}

#[test]
fn a_request_whose_future_was_given_up_is_heard_of() {
    let heard = heard(|| {
        drop(spawn(async {
            let lookup = windlass::dns::lookup("");
            drop(windlass::time::timeout(Duration::ZERO, async {
                windlass::yield_now().await;
                lookup.await
            }));
        }));
    });
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].0, "name look-up");
}

#[test]
fn the_panic_of_a_job_whose_request_was_dropped_is_heard_of() {
    let heard = heard(|| drop(windlass::queue_work(|| -> u32 { panic!("no sums today") })));
    assert_eq!(heard, one("pool job", "the job panicked: no sums today"));
}

#[test]
fn a_request_whose_cancel_said_ok_is_not_heard_of() {
    let heard = heard(|| {
        let (job, file) = (windlass::queue_work(|| ()), windlass::fs::read("/no/such/file"));
        assert_eq!(job.cancel(), Ok(()));
        assert_eq!(file.cancel(), Ok(()));
        drop((job, file));
    });
    assert_eq!(heard, []);
}

#[test]
fn a_request_whose_cancel_came_too_late_is_heard_of() {
    let heard = heard(|| {
        let job = windlass::queue_work(|| panic!("done before"));
        windlass::set_timeout(Duration::from_secs(1), move || {
            assert_eq!(job.cancel(), Err(CancelError::Done));
        });
    });
    assert_eq!(heard, one("pool job", "the job panicked: done before"));
}

#[test]
fn what_the_end_of_the_loop_cuts_off_is_not_heard_of() {
    let hooked = Counter::new();
    let mut adds = hooked.adds();
    let logged = warnings_of(move || {
        windlass::run(move || {
            on_unhandled(move |_| adds());
            drop(windlass::fs::read("/no/such/file"));
            drop(spawn(async { windlass::fs::read("/no/such/file").await.map(drop) }));
            windlass::exit(0);
        });
    });
    assert_eq!((hooked.get(), logged), (0, Vec::<String>::new()));
}

#[test]
fn the_hook_is_a_callback_of_its_own_and_is_never_called_inside_the_drop() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let hook = trace.clone();
        on_unhandled(move |_| {
            hook.say("hook");
            windlass::queue_microtask(hook.says("its microtask"));
            windlass::next_tick(hook.says("its tick"));
        });
        let fails = |text| {
            let task = spawn(async move { Err::<(), _>(text) });
            move || drop(task)
        };
        let (first, second) = (fails("one"), fails("two"));
        let steps = trace.clone();
        windlass::set_immediate(move || {
            first();
            second();
            steps.say("dropped");
            windlass::next_tick(steps.says("tick"));
        });
    });
    trace.expect(&[
        "dropped",
        "tick",
        "hook",
        "its tick",
        "its microtask",
        "hook",
        "its tick",
        "its microtask",
    ]);
}

#[test]
fn an_error_that_is_to_be_told_keeps_the_loop_alive_until_the_hook_has_run() {
    let told = Counter::new();
    let mut adds = told.adds();
    let event_loop = virtual_loop();
    event_loop.enter(|| {
        on_unhandled(move |_| adds());
        drop(spawn(async { Err::<(), _>("late") }));
    });
    assert!(!event_loop.is_alive(), "a task holds nothing");
    assert!(!event_loop.turn(RunMode::Default), "and then nothing is left");
    assert_eq!(told.get(), 1);
    event_loop.close().unwrap();
}

#[test]
fn another_hook_replaces_the_one_before_and_may_drop_it() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let outer = trace.clone();
    event_loop.run(move || {
        let (first, dropped) = (outer.clone(), outer.clone());
        let end = OnDrop::new(move || dropped.say("first is dropped"));
        on_unhandled(move |one| {
            end.touch();
            first.say(format!("first: {}", one.error));
            let second = first.clone();
            on_unhandled(move |one| second.say(format!("second: {}", one.error)));
        });
        drop(spawn(async { Err::<(), _>("a") }));
        drop(spawn(async { Err::<(), _>("b") }));
    });
    trace.expect(&["first: a", "first is dropped", "second: b"]);
}

#[test]
fn a_panic_of_the_hook_is_one_of_a_callback_and_the_hook_stays() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let (uncaught, hook) = (trace.clone(), trace.clone());
        windlass::on_uncaught(move |panic| uncaught.say(panic.message()));
        on_unhandled(move |one| {
            hook.say(&one.error);
            panic!("of the hook");
        });
        drop(spawn(async { Err::<(), _>("a") }));
        drop(spawn(async { Err::<(), _>("b") }));
    });
    trace.expect(&["a", "of the hook", "b", "of the hook"]);
}

#[test]
fn an_error_whose_text_panics_costs_nothing_but_its_own_report() {
    struct Bad;
    impl fmt::Display for Bad {
        fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let (uncaught, hook) = (trace.clone(), trace.clone());
        windlass::on_uncaught(move |panic| uncaught.say(panic.message()));
        on_unhandled(move |one| hook.say(&one.error));
        spawn_try(async { Err::<(), _>(Bad) });
        spawn_try(async { Err::<(), _>("good") });
    });
    trace.expect(&["no text", "good"]);
}

#[test]
fn an_error_whose_text_and_destructor_both_panic_costs_nothing_but_its_own_report() {
    struct Bad;
    impl fmt::Display for Bad {
        fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("a destructor")
        }
    }
    let trace = Trace::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let (uncaught, hook) = (trace.clone(), trace.clone());
        windlass::on_uncaught(move |panic| uncaught.say(panic.message()));
        on_unhandled(move |one| hook.say(&one.error));
        spawn_try(async { Err::<(), _>(Bad) });
        spawn_try(async { Err::<(), _>("good") });
    });
    trace.expect(&["no text", "good"]);
}

#[test]
fn without_a_hook_the_error_is_logged_as_a_warning_with_its_place() {
    let logged = warnings_of(|| windlass::run(|| spawn_try(async { Err::<(), _>("unheard") })));
    let place = format!("{}:{}:", file!(), line!() - 1);
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].contains(&place) && logged[0].contains("unheard"), "{logged:?}");
    assert!(logged[0].contains("task"), "{logged:?}");
}

#[test]
fn an_error_whose_hook_the_end_of_the_loop_overtakes_is_logged() {
    let hooked = Counter::new();
    let mut adds = hooked.adds();
    let logged = warnings_of(move || {
        windlass::run(move || {
            on_unhandled(move |_| adds());
            spawn_try(async {
                windlass::exit(0);
                Err::<(), _>("overtaken")
            });
        });
    });
    assert_eq!(hooked.get(), 0);
    assert!(logged.len() == 1 && logged[0].contains("overtaken"), "{logged:?}");
}

/// A connection whose peer has reset it, so that the next write fails.
fn reset_connection(then: impl FnOnce(TcpStream) + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut then = Some((then, peer));
    let own = listener.clone();
    listener.on_connection(move |stream| {
        let (then, peer) = then.take().unwrap();
        let stream = stream.unwrap();
        // Unread bytes make the close a reset.
        stream.write(b"unread").on_complete(move |sent| {
            sent.unwrap();
            peer.peek(&mut [0]).unwrap();
            drop(peer);
            then(stream);
        });
        own.close();
    });
}

#[test]
fn the_error_of_a_dropped_write_that_no_read_callback_takes_is_heard_of_and_the_socket_closes() {
    let closed = Counter::new();
    let adds = closed.adds();
    let heard = heard_real(|| {
        reset_connection(move |stream| {
            stream.on_close(adds);
            drop(stream.write(b"to nobody"));
            // The program keeps a name: it is not that which closes the socket.
            windlass::on_exit(move |_| drop(stream));
        });
    });
    assert_eq!((heard.len(), closed.get()), (1, 1), "{heard:?}");
    assert_eq!((heard[0].kind, heard[0].location.file()), ("TCP stream", file!()));
    assert!(heard[0].error.contains("os error"), "{heard:?}");
}

#[test]
fn the_error_of_a_dropped_write_that_the_read_callback_takes_is_not_heard_of() {
    let got = Counter::new();
    let mut gets = got.adds();
    let heard = heard_real(move || {
        reset_connection(move |stream| {
            stream.read_start(move |_, chunk| {
                assert!(chunk.is_err());
                gets();
            });
            drop(stream.write(b"to nobody"));
        });
    });
    assert_eq!((heard.len(), got.get()), (0, 1), "{heard:?}");
}

#[test]
fn writes_that_the_close_of_their_stream_cancels_are_not_heard_of() {
    let heard = heard_real(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let own = listener.clone();
        listener.on_connection(move |stream| {
            let stream = stream.unwrap();
            // More than the kernel takes from one that does not read.
            drop(stream.write_owned(vec![0; 32 << 20]));
            assert!(stream.write_queue_size() > 0);
            stream.close();
            own.close();
            assert!(peer.peer_addr().is_ok(), "the peer is there until now");
        });
    });
    assert!(heard.is_empty(), "{heard:?}");
}

/// As [`heard_all`], on the real clock, for sockets.
fn heard_real(main: impl FnOnce()) -> Vec<Unhandled> {
    let all = Rc::new(RefCell::new(Vec::new()));
    let hears = all.clone();
    windlass::run(move || {
        on_unhandled(move |one| hears.borrow_mut().push(one));
        main();
    });
    all.take()
}
