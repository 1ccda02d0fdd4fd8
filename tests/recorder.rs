//! `observe::Recorder`: what ran, in which order, and what caused it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use windlass::observe::{Event, Phase, Recorder, Recording, What};
use windlass::worker::Worker;

/// Recorders see all loops of the process: one test at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The kind of a callback or job.
fn kind(event: &Event) -> &'static str {
    match &event.what {
        What::Callback(callback) => callback.kind,
        What::Job { kind, .. } => kind,
        _ => "",
    }
}

/// Callbacks and jobs.
fn calls(recording: &Recording) -> Vec<&Event> {
    recording.events().iter().filter(|event| !kind(event).is_empty()).collect()
}

/// For each callback its kind and the kind of its cause, in order.
fn causes(recording: &Recording) -> Vec<(&'static str, &'static str)> {
    let kinds: HashMap<u64, _> =
        calls(recording).iter().map(|event| (event.id, kind(event))).collect();
    let cause = |event: &&Event| (kind(event), kinds.get(&event.cause).copied().unwrap_or("-"));
    calls(recording).iter().map(cause).collect()
}

fn record(main: impl FnOnce()) -> Recording {
    let recorder = Recorder::start();
    windlass::run(main);
    recorder.stop()
}

#[test]
fn each_callback_knows_in_which_it_was_scheduled() {
    let _alone = alone();
    let recording = record(|| {
        windlass::set_immediate(|| {
            windlass::next_tick(|| windlass::queue_microtask(|| ()));
            windlass::set_timeout(Duration::from_millis(1), || drop(windlass::spawn(async {})));
        });
    });
    assert_eq!(
        causes(&recording),
        [
            ("main", "-"),
            ("immediate", "main"),
            ("tick", "immediate"),
            ("microtask", "tick"),
            ("timer", "immediate"),
            ("task", "timer"),
        ]
    );
    assert_eq!(recording.dropped(), 0);
}

#[test]
fn a_completion_comes_from_its_job_and_the_job_from_who_asked() {
    let _alone = alone();
    let recording = record(|| {
        windlass::set_immediate(|| windlass::queue_work(|| 1).on_complete(|_| ()));
        windlass::spawn(async { windlass::queue_work(|| 2).await.map(drop).unwrap() });
    });
    let mut causes = causes(&recording);
    causes.sort_unstable();
    assert_eq!(
        causes,
        [
            ("immediate", "main"),
            ("main", "-"),
            ("pool job", "immediate"),
            ("pool job", "pool job"),
            ("pool job", "task"),
            ("task", "main"),
            ("task", "pool job"),
        ]
    );
}

#[test]
fn what_was_sent_comes_from_who_sent_it_also_across_threads() {
    let _alone = alone();
    let recording = record(|| {
        let worker = Worker::<u32, u32>::spawn(|port| {
            let answers = port.clone();
            port.on_message(move |number| {
                answers.post(number + 1);
                if number == 1 {
                    answers.close();
                }
            });
        })
        .unwrap();
        let to = worker.clone();
        worker.on_message(move |number| {
            if number == 1 {
                to.post(1);
            }
        });
        worker.post(0);
        let remote = windlass::Loop::current().remote();
        windlass::queue_work(move || remote.post(|| ()).unwrap()).on_complete(|_| ());
    });
    let causes = causes(&recording);
    let of = |kind| causes.iter().filter(move |(it, _)| *it == kind).map(|(_, cause)| *cause);
    assert_eq!(of("message port").collect::<Vec<_>>(), ["main", "worker"]);
    assert_eq!(of("worker").collect::<Vec<_>>(), ["message port", "message port"]);
    assert_eq!(of("post").collect::<Vec<_>>(), ["pool job"]);
    assert_eq!(of("main").collect::<Vec<_>>(), ["-", "main"]);
    let tracks = recording.events().iter().filter_map(|event| match &event.what {
        What::Track { number, name } => Some((*number, name.clone())),
        _ => None,
    });
    assert!(tracks.count() >= 3);
}

#[test]
fn a_later_asker_of_a_wake_is_linked() {
    let _alone = alone();
    let recording = record(|| {
        let waker = Rc::new(RefCell::new(None::<std::task::Waker>));
        let (place, polls) = (waker.clone(), Cell::new(0));
        windlass::spawn(std::future::poll_fn(move |cx| {
            place.replace(Some(cx.waker().clone()));
            polls.set(polls.get() + 1);
            if polls.get() == 2 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        let other = waker.clone();
        windlass::set_immediate(move || {
            windlass::next_tick(move || waker.borrow().as_ref().unwrap().wake_by_ref());
            windlass::next_tick(move || other.borrow().as_ref().unwrap().wake_by_ref());
        });
    });
    let ticks: Vec<_> =
        calls(&recording).iter().filter(|e| kind(e) == "tick").map(|e| e.id).collect();
    let poll = calls(&recording).into_iter().rfind(|e| kind(e) == "task").unwrap().clone();
    assert_eq!(poll.cause, ticks[0]);
    let links: Vec<_> = recording
        .events()
        .iter()
        .filter_map(|event| match event.what {
            What::Link { to } => Some((event.cause, to)),
            _ => None,
        })
        .collect();
    assert_eq!(links, [(ticks[1], poll.id)]);
}

#[test]
fn places_are_where_the_callback_was_registered() {
    let _alone = alone();
    let line = Cell::new(0);
    let recording = record(|| {
        let notifier = windlass::handle::Notifier::new(|| ());
        line.set(line!() + 1);
        windlass::next_tick(move || notifier.notify());
    });
    let tick = calls(&recording).into_iter().find(|event| kind(event) == "tick").unwrap();
    let What::Callback(callback) = &tick.what else { panic!("a tick is a callback") };
    assert_eq!(callback.location.unwrap().line(), line.get());
    assert_eq!(callback.phase, Phase::Main);
}

#[test]
fn a_task_that_receives_is_woken_by_who_sent() {
    let _alone = alone();
    let recording = record(|| {
        let worker = Worker::<(), u32>::spawn(|port| {
            port.post(1);
        })
        .unwrap();
        windlass::spawn(async move { assert_eq!(worker.recv().await, Some(1)) });
    });
    let main_scripts = calls(&recording).into_iter().filter(|event| kind(event) == "main");
    let in_worker = main_scripts.max_by_key(|event| event.cause).unwrap().id;
    let last = calls(&recording).into_iter().rfind(|event| kind(event) == "task").unwrap();
    assert_eq!(last.cause, in_worker);
}
