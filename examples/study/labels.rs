//! What the operations of a scenario are called, at the events of a run.
//!
//! A callback says its label when it runs. Whatever waits for it, and whoever armed it, is told the
//! label too: a view names a timer while it waits.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use super::listing;
use super::program::Scenario;

/// The labels, by the places of the events that have one.
pub(crate) fn of<'a>(
    events: impl Iterator<Item = &'a Value> + Clone,
    program: &Scenario,
) -> HashMap<usize, Value> {
    let said = said(events.clone());
    let lines: HashMap<_, _> = listing::of(program).lines.into_iter().rev().collect();
    let mut owners = Owners::default();
    events.clone().enumerate().for_each(|(at, event)| owners.see(at, event));
    let label = |id: &u64| {
        let text = said.get(id)?;
        // Of a message the listener, of an event of a worker the worker.
        let name = if lines.contains_key(*text) { text } else { text.split(':').next()? };
        let line = lines.get(name)?;
        Some(json!({"name": text, "file": "program", "line": line}))
    };
    owners.ids.iter().filter_map(|(at, id)| Some((*at, label(id)?))).collect()
}

/// What each callback has said first.
fn said<'a>(events: impl Iterator<Item = &'a Value>) -> HashMap<u64, &'a str> {
    let mut said = HashMap::new();
    for event in events.filter(|event| event["what"] == "said") {
        if let (Some(id), Some(text)) = (event["id"].as_u64(), event["text"].as_str()) {
            said.entry(id).or_insert(text);
        }
    }
    said
}

/// Which callback an event is of.
#[derive(Default)]
struct Owners {
    /// The ids of the callbacks, by the places of the events.
    ids: HashMap<usize, u64>,
    /// The places of what waits, by track, queue and number.
    waiting: HashMap<(u64, &'static str, u64), Vec<usize>>,
    /// The same for what has no number: first come, first served.
    queues: HashMap<(u64, &'static str), VecDeque<usize>>,
    /// What a track has taken, until its callback begins.
    taken: HashMap<u64, Vec<usize>>,
    /// The places of what was said of a job.
    jobs: HashMap<u64, Vec<usize>>,
}

impl Owners {
    fn see(&mut self, at: usize, event: &Value) {
        let word = |name: &str| event[name].as_str().unwrap_or_default();
        let number = |name: &str| event[name].as_u64().unwrap_or(0);
        let (track, own) = (number("track"), number("number"));
        match word("what") {
            "armed" | "refreshed" => {
                self.waiting.entry((track, "timers", own)).or_default().push(at);
            }
            "queued" => match word("queue") {
                "immediates" => {
                    self.waiting.entry((track, "immediates", own)).or_default().push(at);
                }
                "ticks" => self.queues.entry((track, "tick")).or_default().push_back(at),
                "microtasks" => self.queues.entry((track, "microtask")).or_default().push_back(at),
                _ => {}
            },
            "taken" => {
                let queue = if word("queue") == "timers" { "timers" } else { "immediates" };
                let mut places = vec![at];
                places.extend(self.waiting.remove(&(track, queue, own)).into_iter().flatten());
                self.taken.insert(track, places);
            }
            "submitted" | "started" | "finished" => {
                self.jobs.entry(number("id")).or_default().push(at);
            }
            "began" => self.began(at, track, word("kind"), number("id"), number("cause")),
            "callback" => drop(self.ids.insert(at, number("id"))),
            _ => {}
        }
    }

    fn began(&mut self, at: usize, track: u64, kind: &str, id: u64, cause: u64) {
        let queue = match kind {
            "tick" => Some("tick"),
            "microtask" | "task" => Some("microtask"),
            _ => None,
        };
        let queue = queue.and_then(|queue| self.queues.get_mut(&(track, queue)));
        let mut places = vec![at];
        places.extend(queue.and_then(VecDeque::pop_front));
        places.extend(self.taken.remove(&track).into_iter().flatten());
        places.extend(self.jobs.remove(&cause).into_iter().flatten());
        self.ids.extend(places.into_iter().map(|at| (at, id)));
    }
}
