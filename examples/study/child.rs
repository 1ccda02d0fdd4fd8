//! The process in which one scenario runs, and nothing else: `study --run`.
//!
//! It reads the scenario from its standard input and writes what its loops did to the standard
//! output, one JSON object a line. A program that does not end is cut off, and what it did up to
//! there is told all the same.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::observe::{self, Label, Recorder};

use super::asked::{self, Asked, Clock};
use super::program::Scenario;
use super::runner::{self, Listener, Said};
use super::{listing, races};

/// Callbacks beyond this are not waited for.
pub(crate) const CALLBACKS_MAX: usize = 2000;

/// How long a program may run.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(5);

/// How many events of one loop are kept: those of as many callbacks as there may be.
const EVENTS: usize = 1 << 16;

/// How a run ended.
enum End {
    /// With this trace.
    Ran(Vec<String>),
    /// It cannot go on, or it could not begin.
    Failed(String),
    TooManyCallbacks,
}

/// What was said, by the id of the callback.
type AllSaid = Arc<Mutex<HashMap<u64, Vec<String>>>>;

/// Runs what the standard input asks for.
pub(crate) fn run() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let (program, clock) = match asked::read(&input) {
        Ok(Asked::Scenario { program, clock, .. }) => (program, clock),
        Ok(Asked::Javascript { .. }) => return Err(io::Error::other("this runs scenarios only")),
        Err(why) => return Err(io::Error::other(why)),
    };
    // What a panic has to say is told as the program's error.
    panic::set_hook(Box::new(|_| ()));
    let copy = program.clone();
    let said = AllSaid::default();
    let recorder = Recorder::detailed(EVENTS);
    let end = start(program, clock, said.clone()).recv_timeout(TIME_MAX).ok();
    let recording = recorder.stop();
    let mut lines = Vec::new();
    recording.write_json_lines(&mut lines)?;
    let said = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(&mut out, &lines, said)?;
    if recording.dropped() > 0 {
        writeln!(out, "{}", json!({"what": "lost", "count": recording.dropped()}))?;
    }
    match end {
        Some(End::Ran(trace)) => {
            let possible = races::possible(&copy, trace);
            writeln!(out, "{}", json!({"what": "traces", "possible": possible}))?;
        }
        end => writeln!(out, "{}", json!({"what": "error", "text": complaint(end)}))?,
    }
    out.flush()
}

/// Runs the program on a thread of its own, and tells how it ends.
fn start(program: Scenario, clock: Clock, said: AllSaid) -> Receiver<End> {
    let (tell, end) = channel();
    let lines = listing::of(&program).lines.into_iter().rev().collect();
    let count = AtomicUsize::new(0);
    let onlooker = Arc::new(Onlooker { tell: tell.clone(), said, count, lines });
    let main = move || {
        let run = || runner::run_heard(&program, clock == Clock::Virtual, onlooker);
        let end = match panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(trace)) => End::Ran(trace),
            Ok(Err(error)) => End::Failed(format!("the program could not begin: {error}")),
            Err(payload) => End::Failed(words(&*payload)),
        };
        // Nobody hears it if the program was cut off before.
        tell.send(end).ok();
    };
    // It is not waited for: it may never end.
    drop(thread::spawn(main));
    end
}

/// Keeps what is said, and stops a program that says too much.
struct Onlooker {
    tell: Sender<End>,
    said: AllSaid,
    count: AtomicUsize,
    /// The lines of the listing, by what stands there.
    lines: HashMap<String, usize>,
}

impl Listener for Onlooker {
    fn hear(&self, heard: Said<'_>) {
        if self.count.fetch_add(1, Ordering::Relaxed) >= CALLBACKS_MAX {
            self.tell.send(End::TooManyCallbacks).ok(); // Only the first one is heard.
            loop {
                thread::park(); // The process ends.
            }
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.entry(observe::callback_id()).or_default().push(heard.label.to_owned());
    }

    fn label(&self, name: &str) -> Option<Label> {
        let line = u32::try_from(*self.lines.get(name)?).ok()?;
        Some(Label::new(name, "program", line, 0))
    }
}

/// What is wrong with an end. None: it took too long.
fn complaint(end: Option<End>) -> String {
    match end {
        Some(End::Ran(_)) => "it ended".to_owned(),
        Some(End::Failed(why)) => why,
        Some(End::TooManyCallbacks) => {
            format!("cut off after {CALLBACKS_MAX} callbacks: it would go on and on")
        }
        None => format!("cut off after {} s: it had not ended", TIME_MAX.as_secs()),
    }
}

/// What a panic says.
fn words(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "the program panicked".to_owned())
}

/// Writes the lines; what a callback has said follows its beginning.
fn write(
    out: &mut impl Write,
    lines: &[u8],
    mut said: HashMap<u64, Vec<String>>,
) -> io::Result<()> {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        out.write_all(line)?;
        let value: Value = serde_json::from_slice(line)?;
        let id = value["id"].as_u64().filter(|_| value["what"] == "began");
        for text in id.and_then(|id| said.remove(&id)).into_iter().flatten() {
            writeln!(out, "{}", json!({"what": "said", "id": id, "text": text}))?;
        }
    }
    Ok(())
}
