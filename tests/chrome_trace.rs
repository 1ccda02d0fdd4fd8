//! `Recording::write_chrome_trace`: what is written keeps the rules of the format, and is what was
//! recorded.

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use windlass::Loop;
use windlass::observe::{Recorder, Recording, What};
use windlass::worker::Worker;

use common::*;

/// A slice of the file. Times in nanoseconds.
struct Slice {
    track: u64,
    at: u64,
    end: u64,
    category: String,
    /// Of a callback or job, else 0.
    id: u64,
    /// The number of the slice in which it is nested.
    within: Option<usize>,
}

/// A file, as its reader sees it.
#[derive(Default)]
struct Trace {
    names: BTreeMap<u64, String>,
    slices: Vec<Slice>,
    /// For each arrow the ids of the slices at its two ends.
    arrows: Vec<(u64, u64)>,
    /// The values of each counter. One that has several is their sum.
    counters: BTreeMap<String, Vec<i64>>,
    /// Why a poll did not sleep, each time.
    no_sleeps: Vec<String>,
}

fn nanos(value: &Value) -> u64 {
    (value.as_f64().expect("a number") * 1000.0).round() as u64
}

/// Reads a file as Perfetto does. Panics where a rule of the format is broken.
fn read(text: &[u8]) -> Trace {
    let file: Value = serde_json::from_slice(text).expect("JSON");
    let mut trace = Trace::default();
    let (mut last, mut open) = (0, HashMap::<u64, Vec<usize>>::new());
    let (mut begins, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for line in file["traceEvents"].as_array().expect("a list") {
        let (kind, track) = (line["ph"].as_str().unwrap(), line["tid"].as_u64().unwrap());
        assert_eq!(line["pid"], 1);
        if kind == "M" {
            if line["name"] == "thread_name" {
                let name = line["args"]["name"].as_str().unwrap().to_owned();
                assert!(!name.is_empty());
                assert!(trace.names.insert(track, name).is_none(), "one name for each track");
            }
            continue;
        }
        let at = nanos(&line["ts"]);
        assert!(last <= at, "lines are in the order of their times");
        last = at;
        let stack = open.entry(track).or_default();
        match kind {
            "X" => {
                let end = at + nanos(&line["dur"]);
                while stack.last().is_some_and(|slice| trace.slices[*slice].end <= at) {
                    stack.pop();
                }
                let within = stack.last().copied();
                let outer = within.map_or(u64::MAX, |slice| trace.slices[slice].end);
                assert!(end <= outer, "slices of one track nest");
                assert!(trace.names.contains_key(&track), "a track has a name");
                stack.push(trace.slices.len());
                let category = line["cat"].as_str().unwrap().to_owned();
                let id = line["args"]["id"].as_u64().unwrap_or(0);
                trace.slices.push(Slice { track, at, end, category, id, within });
            }
            "s" | "f" => {
                let slice = &trace.slices[*stack.last().expect("an end is inside a slice")];
                assert!(slice.at <= at && at <= slice.end, "an end is inside its slice");
                let side = if kind == "s" { &mut begins } else { &mut ends };
                let number = line["id"].as_u64().unwrap();
                assert!(side.insert(number, (slice.id, at)).is_none(), "one pair for each arrow");
                assert!(kind == "s" || line["bp"] == "e", "it ends at the slice around it");
            }
            "C" => {
                let name = line["name"].as_str().unwrap().to_owned();
                let values = line["args"].as_object().unwrap().values();
                let values: Vec<_> = values.map(|value| value.as_i64().unwrap()).collect();
                assert!(values.iter().all(|value| *value >= 0), "{name} is {values:?}");
                trace.counters.entry(name).or_default().push(values.iter().sum());
            }
            "i" => {
                assert_eq!((&line["s"], &line["name"]), (&"t".into(), &"no sleep".into()));
                trace.no_sleeps.push(line["args"]["why"].as_str().unwrap().to_owned());
            }
            other => panic!("a line of kind {other}"),
        }
    }
    assert!(begins.keys().eq(ends.keys()), "both ends of each arrow");
    for (number, (from, began)) in begins {
        let (to, ended) = ends[&number];
        assert!(began <= ended, "what causes something begins before it");
        trace.arrows.push((from, to));
    }
    trace
}

/// Writes a recording, reads it, and compares the two.
fn check_trace(recording: &Recording) -> Trace {
    let mut text = Vec::new();
    recording.write_chrome_trace(&mut text).unwrap();
    let trace = read(&text);
    let events = recording.events();
    let ids: HashSet<u64> = events.iter().map(|event| event.id).filter(|id| *id > 0).collect();
    let (mut arrows, mut tracks, mut slices) = (Vec::new(), BTreeMap::new(), 0);
    for event in events {
        let to = match &event.what {
            What::Track { number, name } => {
                tracks.insert(u64::from(*number), name.clone());
                continue;
            }
            What::Link { to } => *to,
            What::Detail(_) => continue,
            _ => {
                slices += 1;
                event.id
            }
        };
        if ids.contains(&event.cause) && ids.contains(&to) {
            arrows.push((event.cause, to));
        }
    }
    assert_eq!(trace.names, tracks);
    let mut drawn = trace.arrows.clone();
    drawn.sort_unstable();
    arrows.sort_unstable();
    assert_eq!(drawn, arrows, "an arrow for each cause that is in the recording");
    let of = |category: &str| trace.slices.iter().filter(move |it| it.category == category).count();
    assert_eq!(of("callback") + of("job") + of("wait"), slices);
    trace
}

/// A program that does something of each kind.
fn program() {
    let worker = Worker::<u32, u32>::spawn(|port| {
        let answers = port.clone();
        port.on_message(move |number| {
            windlass::set_immediate(|| ());
            answers.post(number + 1);
            if number == 3 {
                answers.close();
            }
        });
    })
    .unwrap();
    let to = worker.clone();
    worker.on_message(move |number| {
        windlass::next_tick(|| windlass::queue_microtask(|| ()));
        if number < 4 {
            to.post(number);
        }
    });
    worker.post(1);
    for _ in 0..3 {
        windlass::set_timeout(ms(2), || drop(windlass::queue_work(|| spin(ms(1)))));
        windlass::set_immediate(|| spin(ms(1)));
    }
    let notifier = windlass::handle::Notifier::new(|| ());
    notifier.unref();
    windlass::set_timeout(ms(3), move || {
        windlass::next_tick({
            let notifier = notifier.clone();
            move || notifier.notify()
        });
        windlass::next_tick(move || notifier.notify());
    });
    windlass::spawn(async { windlass::queue_work(|| ()).await.unwrap() });
}

#[test]
fn a_trace_keeps_the_rules_of_the_format() {
    let _alone = alone();
    let recorder = Recorder::start();
    let event_loop = Loop::builder().name("a \"name\" \\ \u{1}").build().unwrap();
    event_loop.run(program);
    let trace = check_trace(&recorder.stop());
    assert!(trace.arrows.len() > 15);
    assert!(trace.names.values().any(|name| name == "a \"name\" \\ \u{1}"));
}

#[test]
fn callbacks_are_nested_in_the_phase_of_their_iteration() {
    let _alone = alone();
    let recorder = Recorder::start();
    windlass::run(program);
    let trace = check_trace(&recorder.stop());
    for slice in &trace.slices {
        let within = slice.within.map(|outer| &trace.slices[outer].category[..]);
        let expected = if slice.category == "callback" { Some("phase") } else { None };
        assert_eq!(within, expected, "a {}", slice.category);
    }
    // A phase ends with its last callback.
    for (number, phase) in trace.slices.iter().enumerate().filter(|it| it.1.category == "phase") {
        let callbacks = trace.slices.iter().filter(|slice| slice.within == Some(number));
        assert_eq!(callbacks.map(|slice| slice.end).max(), Some(phase.end));
    }
}

#[test]
fn a_trace_in_virtual_time_has_virtual_times() {
    let _alone = alone();
    let recorder = Recorder::start();
    virtual_loop().run(|| {
        windlass::set_timeout(HOUR, || windlass::time::advance(ms(5)));
    });
    let trace = check_trace(&recorder.stop());
    let timer = trace.slices.iter().rfind(|slice| slice.category == "callback").unwrap();
    let hour = HOUR.as_nanos() as u64;
    assert_eq!((timer.at, timer.end), (hour, hour + 5_000_000));
    assert_eq!(trace.slices.iter().filter(|slice| slice.track == timer.track).count(), 5);
}

#[test]
fn counters_say_what_is_queued() {
    let _alone = alone();
    let recorder = Recorder::start();
    windlass::run(|| (0..4).for_each(|_| windlass::next_tick(|| ())));
    let trace = check_trace(&recorder.stop());
    let (name, values) = trace.counters.iter().next().unwrap();
    assert!(name.starts_with("queued on main"), "{name}");
    assert_eq!(values, &[4, 3, 2, 1, 0]);
}

#[test]
fn a_detailed_trace_has_the_length_of_each_queue_and_why_a_poll_does_not_sleep() {
    let _alone = alone();
    let recorder = Recorder::detailed(10_000);
    windlass::run(program);
    let trace = check_trace(&recorder.stop());
    for name in ["queues of main", "queues of worker", "jobs of pool", "messages of channel"] {
        let counters: Vec<_> = trace.counters.iter().filter(|it| it.0.starts_with(name)).collect();
        assert!(!counters.is_empty(), "{name}: {:?}", trace.counters.keys());
        for (name, values) in counters {
            assert!(values.iter().any(|value| *value > 0), "{name} is {values:?}");
            assert_eq!(values.last(), Some(&0), "{name}: in the end nothing waits");
        }
    }
    assert!(trace.no_sleeps.iter().any(|why| why == "an immediate waits"), "{:?}", trace.no_sleeps);
}

#[test]
fn the_counters_of_a_detailed_trace_are_exact() {
    let _alone = alone();
    let recorder = Recorder::detailed(10_000);
    virtual_loop().run(|| {
        for delay in 1..=3 {
            windlass::set_timeout(ms(delay), || ());
        }
        windlass::set_timeout(ms(9), || ()).clear();
    });
    let trace = check_trace(&recorder.stop());
    assert_eq!(trace.counters.values().collect::<Vec<_>>(), [&vec![3, 2, 1, 0]]);
}

#[test]
fn a_trace_of_a_ring_that_was_too_small_keeps_the_rules_too() {
    let _alone = alone();
    for recorder in [Recorder::with_capacity(9), Recorder::detailed(40)] {
        windlass::run(program);
        let recording = recorder.stop();
        assert!(recording.dropped() > 0);
        check_trace(&recording);
    }
}

#[test]
fn an_output_that_fails_is_an_error() {
    let _alone = alone();
    let recorder = Recorder::start();
    windlass::run(|| ());
    let mut room = [0; 10];
    let error = recorder.stop().write_chrome_trace(&mut room[..]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
}

#[test]
fn the_example_writes_a_trace_of_a_server_under_load() {
    let path = directory("trace_example").join("trace.json");
    let output = example("trace").arg("--short").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("12 requests, "));
    let trace = read(&std::fs::read(path).unwrap());
    // The server's loop, two workers and at least one pool thread.
    assert!(trace.names.len() >= 4);
    assert!(trace.slices.iter().any(|slice| slice.category == "job"));
    assert!(trace.arrows.len() > 50);
}
