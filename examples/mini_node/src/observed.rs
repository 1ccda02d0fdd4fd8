//! `--events` and `--explain`: what the loop did while a program ran, with what the program printed and the lines of
//! its script.
//!
//! The loop is seen by the crate's recorder, which has the lines as labels. What a program prints is kept here by the
//! callback's id, and not printed then. Both are taken while the program runs.

mod events;
mod explain;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use windlass::observe::{self, Recorder, Recording};

use crate::options::{Act, Options, Time};

/// How many events of one thread are kept between two looks.
const EVENTS: usize = 1 << 16;

/// How often what has happened is taken.
const PAUSE: Duration = Duration::from_millis(20);

/// So many callbacks and printed lines of a program in virtual time are told: with more it is taken for one that goes on
/// and on, and nothing there would slow it down.
const HEARD_MAX: usize = 2000;

/// The stack of a program's thread, as that of a main thread.
const STACK_SIZE: usize = 8 << 20;

/// What a callback has printed: its id, and a line.
type Said = (u64, String);

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
    /// What was printed and not taken yet.
    said: Vec<Said>,
    /// How many callbacks and lines there may still be. None where there may be any number.
    room: Option<usize>,
    tell: Sender<End>,
}

/// Set when this process observes.
static HEARING: OnceLock<Mutex<Hearing>> = OnceLock::new();

fn hearing() -> Option<MutexGuard<'static, Hearing>> {
    HEARING.get().map(|hearing| hearing.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes room for a callback or for so many lines. None when nobody observes. A program for which there is no room left
/// stays here with its thread.
fn hear(count: usize) -> Option<MutexGuard<'static, Hearing>> {
    let mut hearing = hearing()?;
    if hearing.room == Some(0) {
        hearing.tell.send(End::Full).ok(); // Only the first one is heard.
        drop(hearing);
        loop {
            thread::park(); // The process ends.
        }
    }
    hearing.room = hearing.room.map(|room| room.saturating_sub(count));
    Some(hearing)
}

/// A callback of a script begins.
pub(crate) fn called() {
    drop(hear(1));
}

/// Whether what programs print is kept: then this keeps it.
pub(crate) fn said(text: &str) -> bool {
    let Some(mut hearing) = hear(text.lines().count().max(1)) else { return false };
    let most = if hearing.room.is_some() { HEARD_MAX } else { usize::MAX };
    let id = observe::callback_id();
    hearing.said.extend(text.lines().take(most).map(|line| (id, line.to_owned())));
    true
}

/// Who is told of a program while it runs.
trait Sink {
    /// What has happened since the last time, and what was printed by that.
    fn take(&mut self, part: &Recording, said: Vec<Said>) -> io::Result<()>;

    /// Why nothing more is to be told, if that is so.
    fn has_enough(&self, since: Duration) -> Option<String>;

    /// It is over, by an error or by itself.
    fn end(self: Box<Self>, error: Option<&str>) -> io::Result<()>;
}

/// Runs a program, and prints what its loops did.
pub(crate) fn run(options: &Options, program: fn(&Options) -> ExitCode) -> ExitCode {
    match observe(options, program) {
        Ok(code) => code,
        // Who has read enough goes, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => crate::fail(&error.to_string()),
    }
}

fn observe(options: &Options, program: fn(&Options) -> ExitCode) -> io::Result<ExitCode> {
    let (tell, ended) = mpsc::channel();
    let room = (options.time != Time::Real).then_some(HEARD_MAX);
    HEARING.get_or_init(|| Mutex::new(Hearing { said: Vec::new(), room, tell: tell.clone() }));
    let mut sink: Box<dyn Sink> = match options.act {
        Act::Events => Box::new(events::Lines::begin(io::stdout(), options)?),
        _ => Box::new(explain::Table::default()),
    };
    let recorder = Recorder::detailed(EVENTS);
    let began = Instant::now();
    let own = options.clone();
    let main = move || {
        let run = AssertUnwindSafe(|| program(&own));
        let end = panic::catch_unwind(run).map_or(End::Panicked, End::Ran);
        // Nobody hears it if the program was cut off before.
        tell.send(end).ok();
    };
    // It is not waited for: it may never end.
    thread::Builder::new().name("main".into()).stack_size(STACK_SIZE).spawn(main)?;
    let (code, error) = loop {
        match ended.recv_timeout(PAUSE) {
            Ok(End::Ran(code)) => break (code, None),
            Ok(End::Panicked) => {
                break (ExitCode::FAILURE, Some("the program panicked".to_owned()));
            }
            Ok(End::Full) => {
                let what = format!("{HEARD_MAX} callbacks and lines of output");
                let why = format!("cut off after {what}: it would go on and on");
                break (ExitCode::FAILURE, Some(why));
            }
            // That nobody is left to tell cannot be: the hearing keeps one who could.
            Err(_) => (),
        }
        // What was printed comes first: then what it belongs to is in this part or in one before.
        let said = taken();
        sink.take(&recorder.take(), said)?;
        if let Some(why) = sink.has_enough(began.elapsed()) {
            break (ExitCode::FAILURE, Some(why));
        }
    };
    let said = taken();
    sink.take(&recorder.stop(), said)?;
    sink.end(error.as_deref())?;
    Ok(code)
}

fn taken() -> Vec<Said> {
    hearing().map(|mut hearing| std::mem::take(&mut hearing.said)).unwrap_or_default()
}
