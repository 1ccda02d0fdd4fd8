//! What a program's loops did, callback by callback, as the crate's recorder has seen it.

#[path = "../../src/inspect/statements.rs"]
mod statements;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use windlass::observe::{Detail, Event, Phase, Queue, What};

use super::order;
pub(crate) use statements::words;

/// A callback.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Counted from 1, in the order of the ledger.
    pub number: usize,
    /// Its id in the recording.
    #[allow(dead_code)] // Only the example study adds lines to a recording.
    pub id: u64,
    /// The number of its loop, as the recorder has it.
    pub track: u32,
    /// Counted from 0.
    pub iteration: u64,
    /// None of a main script and of hooks.
    pub phase: Option<Phase>,
    /// The kind, in the words of `Loop::why_alive`.
    pub kind: Cow<'static, str>,
    /// What it has said.
    pub labels: Vec<String>,
    /// When it began, in virtual time.
    pub at: Duration,
    /// How long it took, in virtual time.
    pub took: Duration,
    /// The number of the callback that armed it.
    pub armed_by: Option<usize>,
    /// The statement of the guide that put it here.
    pub statement: Option<&'static str>,
    /// It threw.
    pub panicked: bool,
    /// Of a timer or an interval.
    pub firing: Option<Firing>,
    /// Its loop slept just before it.
    pub waited: bool,
}

/// Which firing of a timer or an interval a callback is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Firing {
    pub delay: Duration,
    /// When it was due, on the clock of [`Line::at`].
    pub due: Duration,
    /// Counted from 1.
    pub count: u32,
}

/// All callbacks of a scenario, in the order in which they ran.
pub(crate) struct Ledger {
    pub lines: Vec<Line>,
    /// The names of the loops.
    pub loops: HashMap<u32, String>,
    /// How many events the recorder had no room for.
    pub dropped: u64,
}

/// What one callback has said.
#[derive(Default)]
pub(crate) struct Heard {
    /// The worker's name. Empty for the main program.
    pub worker: String,
    pub labels: Vec<String>,
}

/// By the ids of callbacks.
pub(crate) type AllHeard = HashMap<u64, Heard>;

/// What the ledger looks at in an event of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub track: u32,
    pub id: u64,
    pub cause: u64,
    pub at: Duration,
    pub took: Duration,
    pub iteration: u64,
    pub panicked: bool,
    pub act: Act,
}

/// What it was.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Callback {
        phase: Phase,
        kind: Cow<'static, str>,
    },
    Job,
    Wait,
    /// A timer or an interval waits from now on, or anew.
    Armed {
        number: u64,
        delay: Duration,
        due: Duration,
    },
    /// A timer or an interval leaves its queue, to be called.
    Taken {
        number: u64,
    },
    /// A callback begins.
    Began,
    /// Nothing that the ledger tells.
    Other,
}

impl From<&Event> for Seen {
    fn from(event: &Event) -> Seen {
        let act = match &event.what {
            What::Callback(callback) => {
                Act::Callback { phase: callback.phase, kind: callback.kind.into() }
            }
            What::Job { .. } => Act::Job,
            What::Wait { .. } => Act::Wait,
            What::Detail(Detail::Armed(armed) | Detail::Refreshed(armed)) => {
                Act::Armed { number: armed.number, delay: armed.delay, due: armed.due }
            }
            &What::Detail(Detail::Taken { queue: Queue::Timers, number }) => Act::Taken { number },
            What::Detail(Detail::Began { .. }) => Act::Began,
            _ => Act::Other,
        };
        let &Event { track, id, cause, at, took, iteration, panicked, .. } = event;
        Seen { track, id, cause, at, took, iteration, panicked, act }
    }
}

/// The ledger of these events, in the order in which they were recorded.
pub(crate) fn of(events: &[Seen], heard: AllHeard) -> Ledger {
    let loops = names(events, &heard);
    let mut lines = lines(events, &loops, heard);
    for at in 0..lines.len() {
        lines[at].statement = order::statement(&lines, at);
    }
    Ledger { lines, loops, dropped: 0 }
}

/// The names of all loops that called back: `main`, and what the program calls its workers.
fn names(events: &[Seen], heard: &AllHeard) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for event in events.iter().filter(|event| matches!(event.act, Act::Callback { .. })) {
        let name = names.entry(event.track).or_insert_with(String::new);
        if let Some(heard) = heard.get(&event.id) {
            name.clone_from(&heard.worker);
        }
    }
    let first = names.keys().min().copied();
    for (track, name) in names.iter_mut().filter(|(_, name)| name.is_empty()) {
        // A worker that says nothing has no name.
        *name = if Some(*track) == first { "main" } else { "worker" }.to_owned();
    }
    names
}

/// Which timers fired, by the ids of their callbacks.
fn firings(events: &[Seen]) -> HashMap<u64, Firing> {
    let mut timers = HashMap::new(); // By track and number: the firing that was last, or is to come.
    let mut taken = HashMap::new(); // What each track took last, until its callback begins.
    let mut firings = HashMap::new();
    for &Seen { track, id, ref act, .. } in events {
        match *act {
            Act::Armed { number, delay, due } => {
                let timer = timers.entry((track, number));
                let timer = timer.or_insert(Firing { delay, due, count: 0 });
                (timer.delay, timer.due) = (delay, due);
            }
            Act::Taken { number } => {
                if let Some(timer) = timers.get_mut(&(track, number)) {
                    timer.count += 1;
                    taken.insert(track, *timer);
                }
            }
            Act::Began => {
                if let Some(firing) = taken.remove(&track) {
                    firings.insert(id, firing);
                }
            }
            _ => (),
        }
    }
    firings
}

/// The lines of all callbacks, without their statements.
///
/// Those of one loop stand in the order in which they ran. Between loops the earlier time comes
/// first, and what armed a callback before that callback.
fn lines(events: &[Seen], loops: &HashMap<u32, String>, mut heard: AllHeard) -> Vec<Line> {
    let ids: HashMap<u64, u64> = events.iter().map(|event| (event.id, event.cause)).collect();
    let is_job = |event: &&Seen| matches!(event.act, Act::Job);
    let jobs: HashMap<u64, u64> =
        events.iter().filter(is_job).map(|event| (event.id, event.cause)).collect();
    // What a job armed was armed by whoever asked for the job.
    let armed_by = |event: &Seen| jobs.get(&event.cause).copied().unwrap_or(event.cause);

    let mut tracks: Vec<_> =
        loops.iter().map(|(track, name)| (name != "main", name, *track)).collect();
    tracks.sort_unstable();
    let of_track = |track| events.iter().filter(move |event| event.track == track).peekable();
    let mut queues: Vec<_> = tracks.iter().map(|(.., track)| of_track(*track)).collect();
    let firings = firings(events);
    let mut numbers = HashMap::new();
    let mut waited = vec![false; queues.len()];
    let mut lines = Vec::<Line>::new();
    loop {
        for (queue, waited) in queues.iter_mut().zip(&mut waited) {
            while let Some(other) = queue.next_if(|it| !matches!(it.act, Act::Callback { .. })) {
                *waited |= matches!(other.act, Act::Wait);
            }
        }
        let heads = queues.iter_mut().enumerate();
        let next = heads.filter_map(|(at, queue)| {
            let event = queue.peek()?;
            let cause = armed_by(event);
            let too_early = ids.contains_key(&cause) && !numbers.contains_key(&cause);
            Some((too_early, event.at, at))
        });
        let Some((.., at)) = next.min() else { return lines };
        let event = queues[at].next().expect("it was peeked at");
        let Act::Callback { phase, kind } = &event.act else { unreachable!("others were skipped") };
        let heard = heard.remove(&event.id).unwrap_or_default();
        lines.push(Line {
            number: lines.len() + 1,
            id: event.id,
            track: event.track,
            iteration: event.iteration,
            phase: (*phase != Phase::Main).then_some(*phase),
            kind: kind.clone(),
            labels: heard.labels,
            at: event.at,
            took: event.took,
            armed_by: numbers.get(&armed_by(event)).copied(),
            statement: None,
            panicked: event.panicked,
            firing: firings.get(&event.id).copied(),
            waited: std::mem::take(&mut waited[at]),
        });
        numbers.insert(event.id, lines.len());
    }
}

impl Line {
    /// The phase in a word, or `-`.
    fn phase(&self) -> String {
        self.phase.map_or("-".to_owned(), |phase| format!("{phase:?}").to_lowercase())
    }

    /// Hooks and the main script belong to no iteration.
    fn iteration(&self) -> Option<u64> {
        self.phase.map(|_| self.iteration)
    }

    fn what(&self) -> String {
        let threw = if self.panicked { ", threw" } else { "" };
        let colon = if self.labels.is_empty() { "" } else { ": " };
        format!("{}{colon}{}{threw}", self.kind, self.labels.join(", "))
    }
}

impl Ledger {
    /// One line a callback, for people. The loop is named if there is more than one.
    pub(crate) fn table(&self) -> String {
        let has_workers = self.loops.len() > 1;
        let what: Vec<_> = self.lines.iter().map(Line::what).collect();
        let width = what.iter().map(|what| what.chars().count()).max().unwrap_or(0).max(4);
        let widest_name = self.loops.values().map(|name| name.chars().count()).max();
        let name = if has_workers { widest_name.unwrap_or(0).max(4) + 2 } else { 0 };
        let mut text = String::new();
        let mut row = |[number, on, iteration, phase, what, at, by, order]: [&str; 8]| {
            let on = if has_workers { on } else { "" };
            let row = format!(
                "{number:>4}  {on:name$}{iteration:>9}  {phase:7}  {what:width$}  {at:>9}  \
                 {by:>8}  {order}"
            );
            writeln!(text, "{row}").expect("a string grows");
        };
        row(["", "loop", "iteration", "phase", "what", "time", "armed by", "order"]);
        let or_none = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        for (line, what) in self.lines.iter().zip(&what) {
            row([
                &line.number.to_string(),
                self.loops.get(&line.track).map_or("", String::as_str),
                &or_none(line.iteration().map(|it| it.to_string())),
                &line.phase(),
                what,
                &format!("{} ms", line.at.as_nanos() as f64 / 1e6),
                &or_none(line.armed_by.map(|it| it.to_string())),
                line.statement.unwrap_or("-"),
            ]);
        }
        text
    }

    /// The same for programs: one object a line.
    pub(crate) fn json_lines(&self, scenario: &str) -> String {
        let object = |line: &Line| {
            json!({
                "scenario": scenario,
                "number": line.number,
                "loop": self.loops.get(&line.track),
                "iteration": line.iteration(),
                "phase": line.phase.map(|_| line.phase()),
                "kind": line.kind,
                "labels": line.labels,
                "threw": line.panicked,
                "time_ns": line.at.as_nanos() as u64,
                "armed_by": line.armed_by,
                "statement": line.statement,
            })
        };
        self.lines.iter().map(|line| format!("{}\n", object(line))).collect()
    }

    /// The statements that the table names, each once, in the words of the guide.
    pub(crate) fn statements(&self) -> String {
        let all = self.numbers().into_iter();
        all.map(|number| format!("{number}: {}\n", words(number))).collect()
    }

    /// The numbers of the statements that the table names, each once.
    pub(crate) fn numbers(&self) -> Vec<&'static str> {
        let mut numbers: Vec<_> = self.lines.iter().filter_map(|line| line.statement).collect();
        numbers.sort_unstable_by_key(|number| (number.len(), *number));
        numbers.dedup();
        numbers
    }
}

/// The words of all statements, by their numbers.
#[allow(dead_code)] // The example study tells them all.
pub(crate) fn all_words() -> impl Iterator<Item = (String, String)> {
    statements::numbers().map(|number| (number.clone(), words(&number)))
}
