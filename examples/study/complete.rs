//! What a run has left behind, made whole: the program before it, the statement of the guide at each
//! callback, and what went wrong.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use windlass::observe::Phase;

use super::asked::{Asked, Clock};
use super::ledger::{self, Act, AllHeard, Ledger, Seen};
use super::runs::Left;
use super::{javascript, listing, skeleton};

/// So many callbacks are explained. To find a statement one looks at all callbacks before.
const EXPLAINED_MAX: usize = 3000;

/// The lines of a run: what its process printed, and what can be said of it.
/// There are `most` events at most.
pub(crate) fn lines(asked: &Asked, left: &Left, most: usize) -> Vec<u8> {
    let (mut events, mut errors) = read(&left.output);
    // What a host of scripts says of these itself is said here, for both languages alike.
    events.retain(|(_, event)| event["what"] != "meta" && event["what"] != "statement");
    let possible = events.iter().position(|(_, event)| event["what"] == "traces");
    let possible = possible.map(|at| events.remove(at).1["possible"].take());
    let is_error = |event: &Value| event["what"] == "error";
    let is_last = |(_, event): &(&[u8], Value)| is_error(event) || event["what"] == "lost";
    let (told, mut events): (Events<'_>, Events<'_>) = events.into_iter().partition(is_last);
    let has_error = told.iter().any(|(_, event)| is_error(event));
    errors.extend(told.into_iter().map(|(_, event)| event));
    if let Some(count @ 1..) = events.len().checked_sub(most) {
        events.truncate(most);
        errors.push(json!({"what": "lost", "count": count}));
    }
    let ledger = ledger(&events);
    let statements = ledger.lines.iter().map(|line| (line.id, line.statement));
    let statements: HashMap<u64, &str> =
        statements.filter_map(|(id, statement)| Some((id, statement?))).collect();
    let mut out = format!("{}\n", meta(asked, possible)).into_bytes();
    for (text, event) in &events {
        out.extend_from_slice(text);
        out.push(b'\n');
        let id = event["id"].as_u64().filter(|_| event["what"] == "began");
        if let Some((id, statement)) = id.and_then(|id| Some((id, statements.get(&id)?))) {
            let line = json!({"what": "statement", "id": id, "statement": statement});
            out.extend_from_slice(format!("{line}\n").as_bytes());
        }
    }
    if let Some(why) = &left.cut_off {
        errors.push(json!({"what": "error", "text": why}));
    } else if !left.succeeded && !has_error {
        errors.push(complaint(&String::from_utf8_lossy(&left.complaints)));
    }
    errors.iter().for_each(|error| out.extend_from_slice(format!("{error}\n").as_bytes()));
    out
}

/// The ledger of lines, for who reads it on a terminal.
pub(crate) fn ledger_of(lines: &[u8]) -> Ledger {
    ledger(&read(lines).0)
}

/// What went wrong in a run, as its lines tell it.
pub(crate) fn errors(lines: &[u8]) -> Vec<String> {
    let events = read(lines).0;
    let errors = events.iter().filter(|(_, event)| event["what"] == "error");
    errors.filter_map(|(_, event)| Some(event["text"].as_str()?.to_owned())).collect()
}

type Events<'a> = Vec<(&'a [u8], Value)>;

/// The lines with what they say. One that was cut off in its middle is left out, and one that is no
/// event is told as an error.
fn read(output: &[u8]) -> (Events<'_>, Vec<Value>) {
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    let whole = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end);
    for line in output[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Value>(line) {
            Ok(event) if event["what"].is_string() => events.push((line, event)),
            _ => {
                let text = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
                errors.push(json!({"what": "error", "text": format!("no event: {text}")}));
            }
        }
    }
    (events, errors)
}

/// What a script complained of before it ended, with the line if it names one as Node does.
fn complaint(text: &str) -> Value {
    let text = text.trim();
    let place = text.lines().find_map(|line| {
        let (path, number) = line.trim_end().rsplit_once(".js:")?;
        let name = path.rsplit(['/', '(', ' ']).next()?;
        let digits = number.split(':').next()?.trim_end_matches(')');
        Some((format!("{name}.js"), digits.parse::<u64>().ok()?))
    });
    let text = if text.is_empty() { "it ended without success, and without a word" } else { text };
    match place {
        Some((file, line)) => json!({"what": "error", "text": text, "file": file, "line": line}),
        None => json!({"what": "error", "text": text}),
    }
}

/// What was run, and the same in other languages.
fn meta(asked: &Asked, possible: Option<Value>) -> Value {
    let mode = if asked.clock() == Clock::Virtual { "virtual" } else { "real" };
    let (name, language, files, others) = match asked {
        Asked::Scenario { program, .. } => {
            let listing = listing::of(program);
            let others = json!({
                "javascript": files(&javascript::translate(program)),
                "rust": skeleton::of(program),
                // Several traces if it is a race.
                "possible": possible,
            });
            let files = json!([{"name": "program", "text": listing.text}]);
            (program.name.as_str(), "scenario", files, others)
        }
        Asked::Javascript { files: texts, .. } => {
            ("main.js", "javascript", files(texts), json!({}))
        }
    };
    let statements: BTreeMap<_, _> = ledger::all_words().collect();
    json!({
        "what": "meta",
        "mode": mode,
        "statements": statements,
        "program": {
            "name": name,
            "language": language,
            "files": files,
            "asked": asked.to_json(),
            "others": others,
        },
    })
}

fn files(files: &BTreeMap<String, String>) -> Value {
    files.iter().map(|(name, text)| json!({"name": name, "text": text})).collect()
}

// ---- the ledger ----

fn ledger(events: &Events<'_>) -> Ledger {
    let mut heard = AllHeard::new();
    let mut seen = Vec::new();
    for (_, event) in events {
        if event["what"] == "said"
            && let (Some(id), Some(text)) = (event["id"].as_u64(), event["text"].as_str())
        {
            heard.entry(id).or_default().labels.push(text.to_owned());
        }
        seen.extend(seen_of(event));
    }
    let is_callback = |at: &usize| matches!(seen[*at].act, Act::Callback { .. });
    if let Some(at) = (0..seen.len()).filter(is_callback).nth(EXPLAINED_MAX) {
        seen.truncate(at);
    }
    name_loops(events, &seen, &mut heard);
    ledger::of(&seen, heard)
}

/// What an event is to the ledger. None for one without a track.
fn seen_of(event: &Value) -> Option<Seen> {
    let number = |name: &str| event[name].as_u64().unwrap_or(0);
    let time = |name: &str| Duration::from_nanos(number(name));
    let act = match event["what"].as_str()? {
        "callback" => {
            let kind = event["kind"].as_str()?.to_owned();
            Act::Callback { phase: phase(event["phase"].as_str()?)?, kind: kind.into() }
        }
        "wait" => Act::Wait,
        "job" => Act::Job,
        "armed" | "refreshed" => {
            Act::Armed { number: number("number"), delay: time("delay"), due: time("due") }
        }
        "taken" if event["queue"] == "timers" => Act::Taken { number: number("number") },
        "began" => Act::Began,
        _ => Act::Other,
    };
    Some(Seen {
        track: u32::try_from(event["track"].as_u64()?).ok()?,
        id: number("id"),
        cause: number("cause"),
        at: time("at"),
        took: time("took"),
        iteration: number("iteration"),
        panicked: event["panicked"] == true,
        act,
    })
}

fn phase(word: &str) -> Option<Phase> {
    Some(match word {
        "main" => Phase::Main,
        "timers" => Phase::Timers,
        "pending" => Phase::Pending,
        "idle" => Phase::Idle,
        "prepare" => Phase::Prepare,
        "poll" => Phase::Poll,
        "check" => Phase::Check,
        "close" => Phase::Close,
        _ => return None,
    })
}

/// The loop that began first is the main one. The others are called as their tracks are.
fn name_loops(events: &Events<'_>, seen: &[Seen], heard: &mut AllHeard) {
    let tracks = events.iter().filter(|(_, event)| event["what"] == "track");
    let names: HashMap<u64, &str> =
        tracks.filter_map(|(_, it)| Some((it["number"].as_u64()?, it["name"].as_str()?))).collect();
    let callbacks = seen.iter().filter(|it| matches!(it.act, Act::Callback { .. }));
    let first = callbacks.clone().map(|it| it.track).min();
    for it in callbacks.filter(|it| Some(it.track) != first) {
        if let Some(name) = names.get(&u64::from(it.track)) {
            heard.entry(it.id).or_default().worker = (*name).to_owned();
        }
    }
}
