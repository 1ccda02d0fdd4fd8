//! How does a program look after others: print what they say, start them again, end with them?
//!
//! Each command is one task, which waits for whatever comes first: the end of its child, or a signal.
//! A command that fails is started again after a pause, which doubles each time. Ctrl-C is passed on, as
//! are SIGTERM and the end of the terminal, to all that a command has started; the second one kills. Nothing
//! is read from a command faster than it can be printed.
//!
//! ```text
//! $ cargo run --example run -- 'web=python3 -m http.server' 'sleep 5'
//! web   | Serving HTTP on 0.0.0.0 port 8000 ...
//! sleep | ended (exit status: 0)
//! ```

#[path = "common/mod.rs"]
mod common;

use std::future::{Future, poll_fn};
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use windlass::pipe::Reader;
use windlass::process::{Child, Command, ExitStatus, Stdio};
use windlass::signal::Signal;
use windlass::stdio::stdout;
use windlass::time::sleep;
use windlass::{Task, TaskError};

use common::{Long, Parser, Stop, Value};

const HELP: &str = "\
Runs commands side by side, and those that fail again.

usage: run [--restarts N] [--colour] [NAME=]COMMAND...
       run --short

  COMMAND        a program and its arguments, with blanks between them; a script for more
  --restarts N   how often a command is started again in a row (5)
  --colour       colours also where the output is no terminal
  --short        two commands of its own
  --help         this text
";

/// The signals that are passed on: SIGHUP, SIGINT and SIGTERM.
const ENDS: [i32; 3] = [1, 2, 15];

/// The pause before a command is started again for the first time.
const PAUSE: Duration = Duration::from_millis(100);

/// A command that ran for this long before it failed counts as one that fails for the first time.
const LONG: Duration = Duration::from_secs(10);

/// A longer line is printed in parts of so many bytes: it may have no end.
const LINE_MAX: usize = 64 * 1024;

struct Options {
    commands: Vec<(String, Vec<String>)>,
    restarts: u32,
    colour: bool,
    pause: Duration,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(|| {
            let width = options.commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (number, (name, words)) in options.commands.into_iter().enumerate() {
                let padded = format!("{name:width$} | ");
                let (colour, plain) = (31 + number % 6, "\x1b[0m");
                let prefix =
                    if options.colour { format!("\x1b[{colour}m{padded}{plain}") } else { padded };
                let service = Rc::new(Service { words, prefix });
                let (restarts, pause) = (options.restarts, options.pause);
                windlass::spawn(async move {
                    match service.supervise(restarts, pause).await {
                        Ok(true) => {}
                        Ok(false) => windlass::set_exit_code(1),
                        Err(error) => {
                            service.say(&format!("{error}")).await;
                            windlass::set_exit_code(1);
                        }
                    }
                });
            }
        })
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let (mut commands, mut restarts, mut short) = (Vec::new(), 5, false);
    let mut colour = io::stdout().is_terminal();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("restarts") => restarts = common::number(parser, "--restarts", 0, 1_000_000)?,
            Long("colour") => colour = true,
            Long("short") => short = true,
            Value(value) => {
                let text = value.into_string().map_err(|_| Stop::Wrong("no text".to_owned()))?;
                commands.push(split(&text)?);
            }
            argument => return Err(common::other(argument)),
        }
    }
    if short && !commands.is_empty() {
        return Err(Stop::Wrong("--short has commands of its own".to_owned()));
    }
    if short {
        commands = vec![split("hello=echo hello")?, split("greet=echo how are you?")?];
    }
    if commands.is_empty() {
        return Err(Stop::Wrong("run wants a COMMAND".to_owned()));
    }
    Ok(Options { commands, restarts, colour, pause: PAUSE })
}

/// The name of a command, and its words.
fn split(text: &str) -> Result<(String, Vec<String>), Stop> {
    let (name, line) = match text.split_once('=') {
        Some((name, line)) if !name.contains(char::is_whitespace) => (Some(name), line),
        _ => (None, text),
    };
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let Some(program) = words.first() else {
        return Err(Stop::Wrong(format!("{text:?} names no program")));
    };
    let own_name = program.rsplit('/').next().unwrap_or(program);
    Ok((name.unwrap_or(own_name).to_owned(), words))
}

struct Service {
    words: Vec<String>,
    /// Before each line.
    prefix: String,
}

impl Service {
    /// Runs the command until it succeeds, has failed too often, or is told to end. True for all but
    /// too often.
    async fn supervise(self: &Rc<Self>, restarts: u32, pause: Duration) -> io::Result<bool> {
        let signals = Signals::watch()?;
        let mut failures = 0;
        loop {
            let begin = windlass::now();
            let (status, told_to_end) = self.run_once(&signals).await?;
            self.say(&format!("ended ({status})")).await;
            if status.success() || told_to_end {
                return Ok(true);
            }
            failures = if windlass::now() - begin > LONG { 1 } else { failures + 1 };
            if failures > restarts {
                self.say("given up").await;
                return Ok(false);
            }
            let pause = pause * 2_u32.pow((failures - 1).min(6));
            self.say(&format!("again in {} ms", pause.as_millis())).await;
            if let First::Right(_) = first(sleep(pause), signals.next()).await {
                return Ok(true);
            }
        }
    }

    /// Runs the command once. Its status, and whether it was told to end.
    async fn run_once(self: &Rc<Self>, signals: &Signals) -> io::Result<(ExitStatus, bool)> {
        // In a session, and so a group, of its own: else a terminal would send it Ctrl-C too, and we a second one.
        let child: Child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .detached(true)
            .kill_on_drop(true)
            .spawn()?;
        let outputs = [child.take_stdout(), child.take_stderr()];
        let mut printed = outputs.map(|output| {
            let service = self.clone();
            windlass::spawn(async move {
                if let Some(output) = output {
                    service.print_lines(&output).await;
                }
            })
        });
        let mut told = 0;
        let status = loop {
            match first(child.wait(), signals.next()).await {
                First::Left(status) => break status?,
                First::Right(signum) => tell(&child, told, signum),
            }
            told += 1;
        };
        // What the child has left behind may hold its output, and ends by the same signals.
        let done = {
            let mut all = pin!(async {
                for task in &mut printed {
                    task.await?;
                }
                Ok(())
            });
            loop {
                match first(all.as_mut(), signals.next()).await {
                    First::Left(done) => break done,
                    First::Right(signum) => tell(&child, told, signum),
                }
                told += 1;
                if told > 1 {
                    break Ok(()); // Killed, or out of reach: nobody waits for that.
                }
            }
        };
        done.map_err(|error: TaskError| io::Error::other(error))?;
        printed.iter().for_each(Task::abort);
        Ok((status, told > 0))
    }

    async fn print_lines(&self, output: &Reader) {
        let (mut buffer, mut line) = ([0; 4096], Vec::new());
        let mut goes_on = false; // A part of the line has been printed.
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                let has_ended = line.ends_with(b"\n");
                if !has_ended && line.len() < LINE_MAX {
                    continue;
                }
                line.pop_if(|last| *last == b'\n');
                if !(goes_on && line.is_empty()) {
                    self.say(&String::from_utf8_lossy(&line)).await;
                }
                line.clear();
                goes_on = !has_ended;
            }
        }
        if !line.is_empty() {
            self.say(&String::from_utf8_lossy(&line)).await;
        }
    }

    async fn say(&self, line: &str) {
        // That nobody reads is no reason to end what runs.
        stdout().write(format!("{}{line}\n", self.prefix).as_bytes()).await.ok();
    }
}

/// What asks for an end.
struct Signals(Vec<(i32, Signal)>);

impl Signals {
    fn watch() -> io::Result<Signals> {
        // Under nohup the end of the terminal is none of the program, nor of its commands.
        let outlives = is_ignored(ENDS[0]);
        let ends = ENDS.into_iter().filter(|signum| *signum != ENDS[0] || !outlives);
        let watched = ends.map(|signum| Ok((signum, Signal::watch(signum)?)));
        watched.collect::<io::Result<_>>().map(Signals)
    }

    /// Waits for one of them.
    async fn next(&self) -> i32 {
        let mut next: Vec<_> =
            self.0.iter().map(|(signum, signal)| (*signum, Box::pin(signal.recv()))).collect();
        poll_fn(|cx| {
            for (signum, next) in &mut next {
                if next.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(*signum);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether a signal is ignored, as far as the system tells.
fn is_ignored(signum: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set >> (signum - 1) & 1 == 1)
}

/// Passes a signal on, and kills with the second one: the child and what it has started, as a terminal would.
#[allow(unsafe_code, reason = "no safe call signals a group of processes")]
fn tell(child: &Child, told: u32, signum: i32) {
    let signum = if told == 0 { signum } else { libc::SIGKILL };
    // SAFETY: the call takes two numbers. That the group has ended at this very moment is its only error.
    unsafe { libc::kill(-(child.id() as i32), signum) };
}

enum First<A, B> {
    Left(A),
    Right(B),
}

/// Waits for one of two things. The other one is given up.
async fn first<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(First::Left(value)),
        Poll::Pending => other.as_mut().poll(cx).map(First::Right),
    })
    .await
}
