//! `Recording::write_json_lines`: each event is a line that says the same, in the words that
//! viewers read.

use std::time::Duration;

use serde_json::Value;
use windlass::observe::{Detail, Event, Recorder, Recording, What};
use windlass::worker::Worker;
use windlass::{Loop, Pool};

/// Recorders see all loops of the process: one test at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn lines(recording: &Recording) -> Vec<Value> {
    let mut text = Vec::new();
    recording.write_json_lines(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The name of a variant or a field's value as a word: `TurnBegan` is `turn_began`.
fn word(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.extend(c.to_lowercase());
    }
    word
}

/// A value as its `Debug` shows it: the name, and its fields.
fn parts(debug: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((name, rest)) = debug.split_once([' ', '(']) else { return (debug, Vec::new()) };
    if name == "Armed" || name == "Refreshed" {
        return (name, parts(rest.trim_end_matches(')')).1);
    }
    let inner = rest.trim_start_matches("{ ").trim_end_matches('}').trim_end();
    let (mut fields, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        depth += i32::from("{(".contains(c)) - i32::from("})".contains(c));
        if c == ',' && depth == 0 {
            fields.push(&inner[begin..at]);
            begin = at + 1;
        }
    }
    fields.push(&inner[begin..]);
    (name, fields.into_iter().filter_map(|field| field.trim().split_once(": ")).collect())
}

/// Compares a field with its `Debug`, but for times, which say their unit there.
fn check_field(line: &Value, name: &str, debug: &str) {
    let name = if name == "location" { "place" } else { name };
    if name == "label" && debug == "None" {
        return assert!(line.get(name).is_none(), "{line}"); // Few have one.
    }
    let value = line.get(name).unwrap_or_else(|| panic!("{name} of {line}"));
    let debug = debug.strip_prefix("Some(").map_or(debug, |some| &some[..some.len() - 1]);
    if ["delay", "due", "timeout", "idle"].contains(&name) {
        assert_eq!(value.is_null(), debug == "None", "{line}");
        assert!(value.is_u64() || value.is_null(), "{line}");
    } else if name == "place" && debug != "None" {
        let place = value.as_str().unwrap();
        let column = place.rsplit(':').next().unwrap();
        assert!(debug.contains(&format!("column: {column} ")), "{line}: {debug}");
    } else if let Some(text) = value.as_str() {
        assert!(debug == format!("{text:?}") || word(debug) == text, "{line}: {debug}");
    } else {
        assert_eq!(value.to_string(), debug.replace("None", "null"), "{line}");
    }
}

fn check(line: &Value, event: &Event) {
    assert_eq!(line["at"], event.at.as_nanos() as u64);
    let number = |name: &str| line.get(name).map_or(0, |value| value.as_u64().unwrap());
    assert_eq!(u128::from(number("took")), event.took.as_nanos());
    assert_eq!((number("id"), number("cause")), (event.id, event.cause));
    assert_eq!(
        (line["track"].as_u64(), number("iteration")),
        (Some(event.track.into()), event.iteration)
    );
    assert_eq!(line.get("panicked").is_some(), event.panicked);
    match &event.what {
        What::Callback(callback) => {
            assert_eq!((&line["what"], &line["kind"]), (&"callback".into(), &callback.kind.into()));
            assert_eq!(line["phase"], word(&format!("{:?}", callback.phase)));
            let place =
                callback.location.map(|it| format!("{}:{}:{}", it.file(), it.line(), it.column()));
            assert_eq!(line["place"].as_str(), place.as_deref());
        }
        What::Detail(detail) => {
            let debug = format!("{detail:?}");
            let (name, fields) = parts(&debug);
            assert_eq!(line["what"], word(name));
            fields.iter().for_each(|(name, value)| check_field(line, name, value));
            let common = ["at", "took", "id", "cause", "track", "iteration", "panicked", "what"];
            // An iteration's number is a field of its own beside the common one.
            let own =
                line.as_object().unwrap().keys().filter(|key| !common.contains(&key.as_str()));
            assert_eq!(own.count(), fields.len(), "{line}: {debug}");
        }
        other => {
            let debug = format!("{other:?}");
            let (name, fields) = parts(&debug);
            assert_eq!(line["what"], word(name));
            fields.iter().for_each(|(name, value)| check_field(line, name, value));
        }
    }
}

/// Keeps the loop alive until it has slept: one that is held up all the time finds each timer due.
fn until_it_has_slept() {
    if Loop::current().metrics().idle_time.is_zero() {
        windlass::set_timeout(Duration::from_millis(1), until_it_has_slept);
    }
}

#[test]
fn each_event_is_a_line_with_the_same_fields() {
    let _alone = alone();
    let recorder = Recorder::detailed(10_000);
    windlass::run(|| {
        windlass::on_uncaught(drop);
        until_it_has_slept();
        windlass::set_immediate(|| windlass::set_immediate(|| ()).clear());
        windlass::set_immediate(|| panic!("on purpose"));
        windlass::set_timeout(Duration::from_millis(1), || drop(windlass::spawn(async {})))
            .refresh();
        windlass::next_tick(|| windlass::queue_microtask(|| ()));
        windlass::queue_work(|| ()).on_complete(|_| ());
        let full = Pool::builder().threads(1).queue_limit(0).build().unwrap();
        assert!(windlass::work(|_| ()).pool(&full).try_submit().is_err());
        let worker = Worker::<u32, u32>::spawn(|port| {
            let answers = port.clone();
            port.on_message(move |number| {
                answers.post(number);
                answers.close();
            });
        })
        .unwrap();
        worker.on_message(|_| ());
        worker.post(0);
        let remote = Loop::current().remote();
        std::thread::spawn(move || remote.post(|| ())).join().unwrap().unwrap();
    });
    let recording = recorder.stop();
    let lines = lines(&recording);
    assert_eq!(lines.len(), recording.events().len());
    lines.iter().zip(recording.events()).for_each(|(line, event)| check(line, event));
    let has = |what: &str| lines.iter().any(|line| line["what"] == what);
    let all = "callback wait job track turn_began turn_ended iteration phase poll polled ended began \
               returned drained queued taken fetched armed refreshed cleared opened active closed \
               submitted refused started finished receives posted delivered spawned online exited";
    let missing: Vec<_> = all.split_whitespace().filter(|what| !has(what)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(lines.iter().any(|line| line["panicked"] == true));
}

#[test]
fn a_timer_says_its_delay_and_when_it_is_due_in_nanoseconds() {
    let _alone = alone();
    let recorder = Recorder::detailed(1000);
    let event_loop = Loop::builder().virtual_time(true).build().unwrap();
    event_loop.run(|| {
        windlass::set_timeout(Duration::from_millis(7), || ());
    });
    let lines = lines(&recorder.stop());
    let armed = lines.iter().find(|line| line["what"] == "armed").unwrap();
    assert_eq!((&armed["delay"], &armed["due"]), (&7_000_000.into(), &7_000_000.into()));
    let polls: Vec<_> = lines.iter().filter(|line| line["what"] == "poll").collect();
    assert_eq!((&polls[0]["timeout"], &polls[0]["no_sleep"]), (&7_000_000.into(), &Value::Null));
}

#[test]
fn names_are_escaped_and_what_had_no_room_is_the_last_line() {
    let _alone = alone();
    let recorder = Recorder::with_capacity(1);
    let name = "a \"loop\"\n\\ of ours";
    Loop::builder().name(name).build().unwrap().run(|| {
        windlass::set_immediate(|| ());
    });
    let recording = recorder.stop();
    let lines = lines(&recording);
    assert!(lines.iter().any(|line| line["what"] == "track" && line["name"] == name));
    let last = lines.last().unwrap();
    assert_eq!((&last["what"], &last["count"]), (&"lost".into(), &recording.dropped().into()));
    assert!(recording.dropped() > 0);
}

#[test]
fn all_numbers_are_exact_for_readers_to_whom_a_number_is_a_float() {
    let _alone = alone();
    let recorder = Recorder::detailed(1000);
    windlass::run(|| {
        windlass::set_timeout(Duration::ZERO, || ());
        windlass::set_immediate(|| drop(windlass::queue_work(|| ())));
    });
    let recording = recorder.stop();
    let mut numbers = 0;
    for line in lines(&recording) {
        for value in line.as_object().unwrap().values().filter_map(Value::as_u64) {
            assert!(value < 1 << 53, "{line}");
            numbers += 1;
        }
    }
    assert!(numbers > 100);
    let numbered = recording.events().iter().filter(
        |event| matches!(event.what, What::Detail(Detail::Opened { number, .. }) if number > 0),
    );
    assert!(numbered.count() > 0);
}
