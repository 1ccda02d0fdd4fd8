//! The page of the live view (`src/inspect/page`): what it makes of events is what they say.
//!
//! Scenarios are recorded here and written as JSON lines. Programs in `tests/page`, run by Node, read them with
//! the modules of the page. Without Node on the PATH these tests have nothing to run, and say so.

mod common;
#[path = "../examples/scenario/program.rs"]
mod program;
#[allow(dead_code)] // A part of it is enough here.
#[path = "../examples/scenario/runner.rs"]
mod runner;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use windlass::observe::{self, Detail, Event, Queue, Recorder, What};

use common::*;
use program::Scenario;
use runner::Said;

/// What each callback has said, in the order in which it was said.
type Heard = Vec<(u64, String)>;

/// The scenarios of the corpus.
fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let load = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let all: Vec<_> = paths.iter().map(|path| serde_json::from_str(&load(path)).unwrap()).collect();
    assert!(all.len() > 200);
    all
}

/// Whether there is a Node that knows the modules of the page.
fn has_node() -> bool {
    let version = Command::new("node").arg("--version").stderr(Stdio::null()).output();
    let version = version.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major =
        version.and_then(|text| text.trim_start_matches('v').split('.').next()?.parse().ok());
    let has = major.is_some_and(|major: u32| major >= 20);
    if !has {
        eprintln!("skipped: there is no Node 20 on the PATH");
    }
    has
}

/// Runs one of the programs in `tests/page`, and returns what it prints at its end.
fn node(program: &str, recordings: &[PathBuf]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let mut command = Command::new("node");
    let output = command.arg(folder.join(program)).args(recordings).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Records a scenario. With each line of the recording comes the event that it tells.
fn record(
    scenario: &Scenario,
    virtual_time: bool,
) -> (Vec<String>, Vec<Event>, Heard, Vec<String>) {
    let heard = Arc::new(Mutex::new(Heard::new()));
    let writer = heard.clone();
    let listener = Arc::new(move |said: Said<'_>| {
        writer.lock().unwrap().push((observe::callback_id(), said.label.to_owned()));
    });
    let recorder = Recorder::detailed(1 << 15);
    let trace = runner::run_heard(scenario, virtual_time, listener).unwrap();
    let recording = recorder.stop();
    assert_eq!(recording.dropped(), 0);
    let mut lines = Vec::new();
    recording.write_json_lines(&mut lines).unwrap();
    let lines: Vec<_> = String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), recording.events().len());
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    (lines, recording.events().to_vec(), heard, trace)
}

fn kind_and_place(
    (kind, place): (&'static str, Option<&'static std::panic::Location<'static>>),
) -> [Value; 2] {
    [json!(kind), place.map_or(Value::Null, |place| json!(place.to_string()))]
}

/// What the reader in Rust knows of a loop.
fn held(world: &World, track: u32) -> Value {
    let held = &world.loops[&track];
    let alive: Vec<_> = held.alive().into_iter().map(kind_and_place).collect();
    let handles = held.handles.values().map(|it| {
        let [kind, place] = kind_and_place((it.kind, it.location));
        json!([kind, place, it.active, it.busy, it.referenced])
    });
    let timers = held.timers.values().map(|it| {
        let [kind, place] = kind_and_place((it.kind, it.location));
        json!([kind, place, it.delay.as_nanos() as u64, it.due.as_nanos() as u64, it.referenced])
    });
    let immediates = held
        .immediates
        .iter()
        .map(|(_, place, referenced)| json!([place.map(|place| place.to_string()), referenced]));
    let waiting: BTreeMap<_, _> = [
        ("ticks", Queue::Ticks),
        ("microtasks", Queue::Microtasks),
        ("pending", Queue::Pending),
        ("closing", Queue::Closing),
        ("poll_last", Queue::PollLast),
        ("ready", Queue::Ready),
        ("completions", Queue::Completions),
        ("posts", Queue::Posts),
    ]
    .map(|(name, queue)| (name, held.waiting(queue)))
    .into();
    let pools = world.pools.values().map(|jobs| {
        let slow = jobs.waiting.values().filter(|slow| **slow).count();
        json!([jobs.waiting.len() - slow, slow, jobs.running.len(), jobs.finished])
    });
    let ports = world.ports.values().filter(|waiting| **waiting > 0);
    json!({
        "alive": alive,
        "handles": handles.collect::<Vec<_>>(),
        "timers": timers.collect::<Vec<_>>(),
        "immediates": immediates.collect::<Vec<_>>(),
        "waiting": waiting,
        "iterations": held.iterations,
        "events": held.events,
        "idle": held.idle.as_nanos() as u64,
        "running": held.running,
        "ports": ports.collect::<Vec<_>>(),
        "pools": pools.collect::<Vec<_>>(),
    })
}

/// Writes texts to files of a folder.
fn files(folder: &Path, texts: impl IntoIterator<Item = String>) -> Vec<PathBuf> {
    let write = |(number, text): (usize, String)| {
        let path = folder.join(format!("{number}.jsonl"));
        std::fs::write(&path, text).unwrap();
        path
    };
    texts.into_iter().enumerate().map(write).collect()
}

/// The number before the word that a program of `tests/page` ends with.
fn number(printed: &str) -> usize {
    printed.split(' ').next().and_then(|number| number.parse().ok()).unwrap()
}

#[test]
fn what_a_loop_holds_is_in_the_page_what_the_reader_in_rust_knows() {
    if !has_node() {
        return;
    }
    let _alone = alone();
    let folder = directory("page-held");
    let mut moments = 0;
    let texts = scenarios().into_iter().step_by(3).flat_map(|scenario| {
        [true, false].map(|is_virtual| {
            let (lines, events, ..) = record(&scenario, is_virtual);
            let (mut world, mut text) = (World::default(), String::new());
            for (line, event) in lines.iter().zip(&events) {
                writeln!(text, "{line}").unwrap();
                world.step(event);
                if matches!(event.what, What::Detail(Detail::Began { .. })) {
                    let held = held(&world, event.track);
                    let truth = json!({
                        "what": "truth", "id": event.id, "track": event.track, "held": held,
                    });
                    writeln!(text, "{truth}").unwrap();
                    moments += 1;
                }
            }
            text
        })
    });
    let paths = files(&folder, texts);
    assert!(moments > 800, "{moments}");
    assert_eq!(number(&node("held.mjs", &paths)), moments);
}

/// The recording of a scenario, with what was said, as lines.
fn told(scenario: &Scenario, virtual_time: bool) -> (String, Vec<String>) {
    let (lines, _, heard, trace) = record(scenario, virtual_time);
    let said = heard.iter().map(|(id, text)| json!({"what": "said", "id": id, "text": text}));
    let said = said.map(|line| format!("{line}\n"));
    (lines.iter().map(|line| format!("{line}\n")).chain(said).collect(), trace)
}

#[test]
fn each_moment_is_the_same_from_wherever_one_comes_and_no_effect_stands_before_its_cause() {
    if !has_node() {
        return;
    }
    let _alone = alone();
    let folder = directory("page-replay");
    let recordings = scenarios().into_iter().step_by(8).flat_map(|scenario| {
        [true, false].map(|is_virtual| {
            let (lines, trace) = told(&scenario, is_virtual);
            format!("{lines}{}\n", json!({"what": "trace", "labels": trace}))
        })
    });
    let paths = files(&folder, recordings);
    assert!(paths.len() > 50);
    assert_eq!(number(&node("replay.mjs", &paths)), paths.len());
}

#[test]
fn what_is_told_of_a_live_program_is_put_into_words() {
    if has_node() {
        assert_eq!(number(&node("words.mjs", &[])), 15);
    }
}

#[test]
fn a_long_recording_is_shown_in_the_time_of_its_events_and_not_of_their_square() {
    if has_node() {
        assert_eq!(number(&node("large.mjs", &[])), 9);
    }
}

#[test]
fn a_very_long_program_is_changed_in_the_time_of_its_length_and_one_too_deep_is_none() {
    if has_node() {
        assert_eq!(number(&node("long.mjs", &[])), 3);
    }
}

#[test]
fn a_prediction_is_judged_by_all_orders_that_are_known_and_each_can_be_put_together() {
    if has_node() {
        assert_eq!(number(&node("judge.mjs", &[])), 15);
    }
}

#[test]
fn what_the_page_knows_of_a_live_program_stays_bounded_and_comes_right_after_a_hole() {
    if has_node() {
        assert_eq!(number(&node("overnight.mjs", &[])), 1);
    }
}

#[test]
fn a_recording_from_anywhere_has_no_line_at_which_the_page_fails() {
    if !has_node() {
        return;
    }
    let _alone = alone();
    let folder = directory("page-hostile");
    let recordings = scenarios().into_iter().step_by(12).map(|scenario| told(&scenario, true).0);
    let paths = files(&folder, recordings);
    assert_eq!(number(&node("hostile.mjs", &paths)), 25 * paths.len());
}
