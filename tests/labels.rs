//! Labels: what a host calls its callbacks stands wherever a line of the program would stand.

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::*;
use windlass::observe::{
    Armed, Callback, Detail, Event, Label, Queue, Recorder, What, labelled, watch_stalls,
};
use windlass::worker::{self, Port, Worker, channel};
use windlass::{
    Alive, Laggard, Loop, block_on, next_tick, on_uncaught, on_unhandled, queue_microtask,
    queue_work, run, set_immediate, set_interval, set_timeout, spawn, when_drained,
};

fn label(line: u32) -> Label {
    Label::new("callback", "script.js", line, 3)
}

/// What a label of this line is shown as.
fn shown(line: u32) -> String {
    format!("callback (script.js:{line}:3)")
}

#[test]
fn why_alive_and_handles_name_the_label_of_whatever_keeps_the_loop_alive() {
    run(|| {
        let event_loop = Loop::current();
        let hour = Duration::from_secs(3600);
        let kept: Vec<(&str, Box<dyn FnOnce()>)> = vec![
            (
                "timer",
                labelled(label(1), || {
                    let timer = set_timeout(hour, || ());
                    Box::new(move || timer.clear())
                }),
            ),
            (
                "interval",
                labelled(label(1), || {
                    let interval = set_interval(hour, |_| ());
                    Box::new(move || interval.clear())
                }),
            ),
            (
                "immediate",
                labelled(label(1), || {
                    let immediate = set_immediate(|| ());
                    Box::new(move || immediate.clear())
                }),
            ),
            (
                "TCP listener",
                labelled(label(1), || {
                    let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    listener.on_connection(|_| ());
                    Box::new(move || listener.close())
                }),
            ),
            (
                "message port",
                labelled(label(1), || {
                    let port = channel::<(), ()>().0.open();
                    port.on_message(|()| ());
                    Box::new(move || port.close())
                }),
            ),
            (
                "pool job",
                labelled(label(1), || {
                    let job = queue_work(|| ());
                    Box::new(move || drop(job))
                }),
            ),
        ];
        for (kind, end) in kept {
            let alive: Vec<_> =
                event_loop.why_alive().into_iter().filter(|it| it.label().is_some()).collect();
            let found = alive.iter().find(|it| it.kind == kind);
            let found = found.unwrap_or_else(|| panic!("no {kind} in {alive:?}"));
            assert_eq!(found.label(), Some(label(1)), "{kind}");
            assert_eq!(found.to_string(), format!("{kind} made at {}", shown(1)));
            assert_eq!(Label::of(found.location), Some(label(1)));
            end();
        }
        let timer = set_timeout(hour, || ());
        let (own, here) = (event_loop.why_alive(), line!() - 1);
        assert!(own.iter().any(|it| it.label().is_none() && it.location.line() == here));
        timer.clear();
        let port = labelled(label(2), || channel::<(), ()>().0.open());
        let handles = event_loop.handles();
        assert!(handles.iter().any(|handle| handle.label == Some(label(2))));
        port.close();
    });
}

/// Programs take these apart without `..`: the compiler says whether a field has come in.
#[test]
fn what_keeps_a_loop_alive_what_lags_and_a_job_have_no_field_for_their_label() {
    let alive = |Alive { kind, location }: Alive| (kind, location);
    let lagging = |Laggard { kind, location, thread, running_for }: Laggard| {
        (kind, location, thread, running_for)
    };
    run(|| {
        let timer = labelled(label(1), || set_timeout(ms(1), || ()));
        let (kind, location) = alive(Loop::current().why_alive()[0]);
        assert_eq!((kind, Label::of(location)), ("timer", Some(label(1))));
        timer.clear();
        let (location, thread) = (Some(location), "main".to_owned());
        let laggard = Laggard { kind, location, thread, running_for: ms(1) };
        assert_eq!(laggard.label(), Some(label(1)));
        assert_eq!(lagging(laggard).3, ms(1));
    });
}

#[test]
fn a_callback_does_not_inherit_the_label_under_which_it_was_registered() {
    let trace = Trace::new();
    let inner = trace.clone();
    run(move || {
        labelled(label(1), || {
            set_immediate(move || {
                let timer = set_timeout(ms(1), || ());
                inner.say(format!("{:?}", Loop::current().why_alive()[0].label()));
                timer.clear();
            })
        });
    });
    trace.expect(&["None"]);
}

#[test]
fn a_loop_that_is_turned_under_a_label_begins_without_one() {
    let trace = Trace::new();
    labelled(label(1), || {
        let event_loop = virtual_loop();
        event_loop.run(|| {
            set_timeout(ms(1), || ());
            trace.say(format!("{:?}", Loop::current().why_alive()[0].label()));
        });
        // The label is in force again behind the turn.
        event_loop.enter(|| set_timeout(ms(1), || ()));
        trace.say(format!("{:?}", event_loop.why_alive()[0].label()));
    });
    trace.expect(&["None", "Some(Label(callback (script.js:1:3)))"]);
}

#[test]
fn an_uncaught_panic_and_an_unhandled_error_name_the_label() {
    let trace = Trace::new();
    let (panics, errors) = (trace.clone(), trace.clone());
    run(move || {
        on_uncaught(move |uncaught| panics.say(uncaught.label().unwrap()));
        on_unhandled(move |unhandled| {
            errors.say(unhandled.label.unwrap());
            errors.say(unhandled);
        });
        labelled(label(1), || set_immediate(|| panic!("an accident")));
        labelled(label(2), || drop(spawn(async { Err::<(), _>("an error") })));
    });
    let text = format!("nobody took the error of the task made at {}: an error", shown(2));
    let mut lines = trace.take();
    lines.sort();
    let mut expected = [shown(1), shown(2), text];
    expected.sort();
    assert_eq!(lines, expected);
}

/// Recorders see all loops of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The kinds of the callbacks and jobs that have the label of this line.
fn kinds(events: &[Event], line: u32) -> Vec<&'static str> {
    let mut kinds: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Callback(Callback { kind, label: found, .. }) => {
                (*found == Some(label(line))).then_some(*kind)
            }
            What::Job { kind, location } => {
                (location.and_then(Label::of) == Some(label(line))).then_some(*kind)
            }
            _ => None,
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_recorder_names_the_label_of_each_kind_of_callback() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let recorder = Recorder::start();
    run(|| {
        labelled(label(11), || {
            set_immediate(|| ());
            set_timeout(ms(1), || ());
            next_tick(|| ());
            queue_microtask(|| ());
            when_drained(|| ());
            drop(spawn(async {}));
            queue_work(|| ()).on_complete(|_| ());
            windlass::fs::metadata("/").on_complete(|_| ());
        });
        let ports = channel::<(), ()>();
        let (here, there) = (ports.0.open(), ports.1.open());
        labelled(label(12), || {
            there.on_message(|()| ());
            there.on_close(|| ());
        });
        here.post(());
        let worker = labelled(label(13), || {
            Worker::<(), ()>::spawn(|port: Port<(), ()>| port.post(())).unwrap()
        });
        labelled(label(14), || {
            worker.on_message(|()| ());
            worker.on_exit(move |_| here.close());
        });
    });
    let recording = recorder.stop();
    let events = recording.events();
    let expected = [
        "drained callback",
        "file request",
        "immediate",
        "microtask",
        "pool job",
        "task",
        "tick",
        "timer",
    ];
    assert_eq!(kinds(events, 11), expected);
    assert_eq!(kinds(events, 12), ["message port"]);
    assert_eq!(kinds(events, 13), ["main"]); // The main script of the worker.
    assert_eq!(kinds(events, 14), ["worker"]);
    let mut trace = Vec::new();
    recording.write_chrome_trace(&mut trace).unwrap();
    let trace = String::from_utf8(trace).unwrap();
    assert!(trace.contains(&format!("\"location\":\"{}\"", shown(11))));
    let mut lines = Vec::new();
    recording.write_json_lines(&mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let place = r#""kind":"timer","place":"script.js:11:3","label":"callback""#;
    assert!(lines.lines().any(|line| line.contains(place)));
}

#[test]
fn the_details_of_a_recorder_name_the_label_by_their_location() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let recorder = Recorder::detailed(1000);
    run(|| {
        labelled(label(21), || {
            next_tick(|| ());
            set_timeout(ms(1), || ());
            drop(channel::<(), ()>().0.open());
        });
    });
    let recording = recorder.stop();
    let of = |what: &What| {
        let (name, location) = match what {
            What::Detail(Detail::Queued { queue: Queue::Ticks, location, .. }) => {
                ("tick", location)
            }
            What::Detail(Detail::Armed(Armed { location, .. })) => ("timer", location),
            What::Detail(Detail::Opened { location, .. }) => ("port", location),
            _ => return None,
        };
        location.and_then(Label::of).filter(|found| *found == label(21)).map(|_| name)
    };
    let seen: Vec<_> = recording.events().iter().filter_map(|event| of(&event.what)).collect();
    assert_eq!(seen, ["tick", "timer", "port"]);
}

#[test]
fn the_longest_callback_of_an_iteration_and_a_stall_name_the_label() {
    let (tell, told) = std::sync::mpsc::channel();
    let watch = watch_stalls(ms(5), move |stall| {
        if stall.callback.label == Some(label(31)) {
            // Nobody listens any more to what comes after the first.
            tell.send(()).unwrap_or(());
        }
    });
    let longest = Trace::new();
    let inner = longest.clone();
    run(move || {
        Loop::current().on_iteration(move |iteration| {
            if let Some(label) = iteration.longest.as_ref().and_then(|callback| callback.label) {
                inner.say(label);
            }
        });
        labelled(label(31), || {
            set_immediate(move || {
                let begun = Instant::now();
                while begun.elapsed() < ms(20) {
                    std::hint::spin_loop();
                }
            })
        });
    });
    longest.expect(&[&shown(31)]);
    told.recv().expect("the watch names the label");
    drop(watch);
}

#[test]
fn a_worker_that_does_not_come_round_is_reported_with_its_label() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                labelled(label(41), || {
                    set_immediate(move || {
                        port.post(());
                        while !worker::is_terminating() {
                            std::thread::yield_now();
                        }
                    })
                });
            })
            .unwrap();
            worker.recv().await.unwrap();
            let stuck = worker.clone();
            let (tell, told) = std::sync::mpsc::channel();
            worker.on_unresponsive(ms(5), move |report| {
                tell.send((report.label, report.to_string())).unwrap();
                drop(stuck.terminate());
            });
            drop(worker.join().await);
            let (found, text) = told.recv().unwrap();
            assert_eq!(found, Some(label(41)));
            assert!(text.contains(&shown(41)), "{text}");
        });
    });
}

#[test]
fn what_has_not_ended_in_a_shutdown_names_the_label() {
    bounded(|| {
        run(|| {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let (begin, begun) = std::sync::mpsc::channel();
            let job = labelled(label(51), || {
                queue_work(move || {
                    begin.send(()).unwrap();
                    held.recv().unwrap_or(());
                })
            });
            drop(job);
            begun.recv().unwrap(); // One that waits is cancelled.
            let ended = Loop::current().shutdown(ms(1));
            ended.on_complete(move |outcome| {
                let laggards = outcome.unwrap_err();
                let found = laggards.iter().find(|laggard| laggard.label() == Some(label(51)));
                assert!(found.unwrap().to_string().contains(&shown(51)), "{laggards:?}");
                drop(release);
            });
        });
    });
}

#[test]
fn a_log_names_the_label() {
    let lines = warnings_of(|| {
        run(|| {
            for line in [61, 62, 62] {
                labelled(label(line), || {
                    windlass::spawn_detached(std::future::pending::<()>());
                });
            }
        });
    });
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has(&format!("spawned at {}", shown(61))), "{lines:?}");
    assert!(has(&format!("spawned at {}, 2 times", shown(62))), "{lines:?}");
}

#[test]
fn a_loop_that_is_run_under_a_label_names_its_main_script_by_it() {
    let recorder = Recorder::start();
    labelled(label(8), || {
        run(|| {
            set_immediate(|| ());
        })
    });
    let recording = recorder.stop();
    let labels: Vec<_> = recording
        .events()
        .iter()
        .filter_map(|event| match &event.what {
            What::Callback(Callback { kind, label, .. }) => Some((*kind, *label)),
            _ => None,
        })
        .filter(|(kind, _)| ["main", "immediate"].contains(kind))
        .collect();
    // Other tests of this process are recorded too.
    assert!(labels.contains(&("main", Some(label(8)))), "{labels:?}");
}
