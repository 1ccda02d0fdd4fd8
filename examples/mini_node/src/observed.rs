//! `--events` and `--explain`: what the loop did while a program ran, with what the program printed and the lines of
//! its script.
//!
//! The loop is seen by the crate's recorder. What JavaScript adds to a callback is kept here by the callback's id: the
//! line that registered it, and what it printed, which is not printed then.

mod explain;

use std::collections::HashMap;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rquickjs::{Ctx, Object};
use serde_json::{Value, json};
use windlass::observe::{self, Recorder, Recording};

use crate::options::{Act, Options};

/// How many events of one thread are kept.
const EVENTS: usize = 1 << 16;

/// How long a program may run: one that does not end is told of up to there.
const TIME_MAX: Duration = Duration::from_secs(8);

/// So many callbacks and printed lines are kept: with more the program is taken for one that goes on and on.
const HEARD_MAX: usize = 2000;

/// The stack of a program's thread, as that of a main thread.
const STACK_SIZE: usize = 8 << 20;

/// Where a script registered a callback.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// What was called for that, such as `setTimeout`.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// What is known of one callback.
#[derive(Debug, Default)]
struct Heard {
    label: Option<Label>,
    said: Vec<String>,
}

/// What is known of all callbacks, by their ids.
type AllHeard = HashMap<u64, Heard>;

/// How a program has come to its end.
enum End {
    /// By itself, with this code.
    Ran(ExitCode),
    /// Our own code has panicked.
    Panicked,
    /// It does not end: there is no room for more.
    Full,
}

/// What is heard of a program while it runs.
struct Hearing {
    all: AllHeard,
    /// How many callbacks and lines are in it.
    count: usize,
    tell: Sender<End>,
}

/// Set when this process observes.
static HEARD: OnceLock<Mutex<Hearing>> = OnceLock::new();

/// None when nobody observes, and no more for a program that was heard enough of: its thread stays here.
fn heard() -> Option<MutexGuard<'static, Hearing>> {
    let mut hearing = HEARD.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    if hearing.count >= HEARD_MAX {
        hearing.tell.send(End::Full).ok(); // Only the first one is heard.
        drop(hearing);
        loop {
            thread::park(); // The process ends.
        }
    }
    hearing.count += 1;
    Some(hearing)
}

/// Whether what programs print is kept: then this keeps it.
pub(crate) fn said(text: &str) -> bool {
    let Some(mut hearing) = heard() else { return false };
    let said = &mut hearing.all.entry(observe::callback_id()).or_default().said;
    said.extend(text.lines().take(HEARD_MAX).map(str::to_owned));
    hearing.count += text.lines().count();
    true
}

/// The callback that runs was registered there.
pub(crate) fn called(label: &Option<Label>) {
    let Some(mut hearing) = heard() else { return };
    if let Some(label) = label {
        hearing.all.entry(observe::callback_id()).or_default().label = Some(label.clone());
    }
}

/// The line of the script that runs. None when nobody observes.
pub(crate) fn label(ctx: &Ctx<'_>) -> Option<Label> {
    HEARD.get()?;
    let error: Object<'_> = ctx.eval("new Error()").ok()?;
    label_of(&error.get::<_, String>("stack").ok()?)
}

/// The innermost line of a script in a stack, and the function of a built-in module that it called.
fn label_of(stack: &str) -> Option<Label> {
    let mut name = "";
    for frame in stack.lines().filter_map(|line| line.trim_start().strip_prefix("at ")) {
        let (function, place) = match frame.split_once(" (") {
            Some((function, place)) => (function, place.trim_end_matches(')')),
            None => ("", frame),
        };
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next(), parts.next());
        match (column.parse::<u32>(), line.and_then(|line| line.parse().ok()), file) {
            (Ok(_), Some(line), Some(file)) if file.contains('/') && !file.starts_with("node:") => {
                let file = file.rsplit('/').next().unwrap_or(file).to_owned();
                return Some(Label { name: name.to_owned(), file, line });
            }
            _ if !function.is_empty() => name = function,
            _ => {}
        }
    }
    None
}

/// Runs a program, and prints what its loops did.
pub(crate) fn run(options: &Options, program: fn(&Options) -> ExitCode) -> ExitCode {
    let (tell, ended) = mpsc::channel();
    let hearing = Hearing { all: AllHeard::new(), count: 0, tell: tell.clone() };
    let hearing = HEARD.get_or_init(|| Mutex::new(hearing));
    let recorder = Recorder::detailed(EVENTS);
    let own = options.clone();
    let main = move || {
        let run = AssertUnwindSafe(|| program(&own));
        let end = panic::catch_unwind(run).map_or(End::Panicked, End::Ran);
        // Nobody hears it if the program was cut off before.
        tell.send(end).ok();
    };
    // It is not waited for: it may never end.
    if let Err(error) =
        thread::Builder::new().name("main".into()).stack_size(STACK_SIZE).spawn(main)
    {
        return crate::fail(&format!("no thread could be started: {error}"));
    }
    let ended = ended.recv_timeout(TIME_MAX).ok();
    let recording = recorder.stop();
    let heard = std::mem::take(&mut hearing.lock().unwrap_or_else(PoisonError::into_inner).all);
    let (code, error) = match ended {
        Some(End::Ran(code)) => (code, None),
        Some(End::Panicked) => (ExitCode::FAILURE, Some("the program panicked".to_owned())),
        Some(End::Full) => {
            let what = format!("{HEARD_MAX} callbacks and lines of output");
            (ExitCode::FAILURE, Some(format!("cut off after {what}: it would go on and on")))
        }
        None => {
            let time = TIME_MAX.as_secs();
            (ExitCode::FAILURE, Some(format!("cut off after {time} s: it had not ended")))
        }
    };
    let out = io::stdout().lock();
    let written = match options.act {
        Act::Explain => explain::write(out, &recording, heard, error.as_deref()),
        _ => write_events(out, &recording, &heard, error.as_deref()),
    };
    match written {
        Ok(()) => code,
        Err(error) => crate::fail(&format!("the standard output: {error}")),
    }
}

/// The recording as lines of JSON. What a callback printed follows its beginning.
fn write_events(
    mut out: impl Write,
    recording: &Recording,
    heard: &AllHeard,
    error: Option<&str>,
) -> io::Result<()> {
    let mut lines = Vec::new();
    recording.write_json_lines(&mut lines)?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut event: Value = serde_json::from_slice(line)?;
        let is_call = event["what"] == "began" || event["what"] == "callback";
        let known = event["id"].as_u64().filter(|_| is_call).and_then(|id| heard.get(&id));
        if let Some(Label { name, file, line }) = known.and_then(|known| known.label.as_ref()) {
            event["label"] = json!({"name": name, "file": file, "line": line});
        }
        writeln!(out, "{event}")?;
        if event["what"] == "began" {
            for text in known.iter().flat_map(|known| &known.said) {
                writeln!(out, "{}", json!({"what": "said", "id": event["id"], "text": text}))?;
            }
        }
    }
    if let Some(error) = error {
        writeln!(out, "{}", json!({"what": "error", "text": error}))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_innermost_line_of_a_script_and_what_it_called() {
        let stack = "Error\n    at <eval> (eval_script:1:5)\n    at start (node:timers:9:2)\n    \
                     at setTimeout (node:timers:12:3)\n    at f (/a/b.js:3:1)\n    at /a/b.js:9:1";
        let label = Label { name: "setTimeout".into(), file: "b.js".into(), line: 3 };
        assert_eq!(label_of(stack), Some(label));
        assert_eq!(label_of("Error\n    at node:timers:1:2"), None);
    }
}
