//! How does a job that takes long show how far it is, and how is it stopped?
//!
//! It computes on a pool thread and tells the loop by a notifier, which makes one callback of however many
//! calls come between two looks; the number itself stands in an atomic beside it. Ctrl-C is a callback
//! of the loop that cancels the job's token; the job looks at the token, stops where it likes, and
//! still completes with what it has.
//!
//! ```text
//! $ cargo run --release --example progress
//! [=================>                      ]  44 %   8,917 primes below 92,274
//! ```
//!
//! When the output is no terminal there are lines instead of a bar, one for each tenth.

#[path = "common/mod.rs"]
mod common;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass::handle::Notifier;
use windlass::signal::Signal;
use windlass::{CancelToken, WorkKind};

use common::{Gone, complain, say};

const HELP: &str = "\
Counts primes on the pool, and shows how far it is. Ctrl-C stops it.

usage: progress [--short]

  --short  a quick look: fewer numbers
  --help   this text
";

/// The number that POSIX has given to the signal of Ctrl-C.
const SIGINT: i32 = 2;
const WIDTH: usize = 40;

/// How far the job is: written by the job, read by the loop.
#[derive(Default)]
struct Progress {
    looked_at: AtomicU64,
    found: AtomicU64,
}

fn main() -> ExitCode {
    common::main(HELP, common::short, |short| {
        let below = if short { 30_000 } else { 4_000_000 };
        windlass::run_main(|| count_primes(below))
    })
}

fn count_primes(below: u64) {
    let progress = Arc::new(Progress::default());
    let token = CancelToken::new();

    // The loop's side: draws whenever the job has news.
    let screen = Rc::new(Screen::new(below));
    let (drawn, seen) = (screen.clone(), progress.clone());
    let notifier = Notifier::new(move || drawn.draw(&seen));

    let interrupt = Signal::start(SIGINT, {
        let token = token.clone();
        move || token.cancel()
    });
    let interrupt = interrupt.expect("a signal that can be watched");
    // It must not hold the loop when the job is done.
    interrupt.unref();

    let (own, news) = (progress.clone(), notifier.clone());
    windlass::work(move |token| search(below, &own, &news, token))
        .kind(WorkKind::Cpu)
        .name("search for primes")
        .cancel_token(&token)
        .submit()
        .on_complete(move |outcome| {
            notifier.close();
            screen.draw(&progress);
            screen.end();
            match outcome {
                Ok(Ok(found)) => say!("{} primes below {}", grouped(found), grouped(below)),
                Ok(Err(Stopped { at })) => {
                    say!("stopped at {}", grouped(at));
                    windlass::set_exit_code(130); // As a shell says of what Ctrl-C ended.
                }
                Err(error) => {
                    complain!("{error}");
                    windlass::set_exit_code(1);
                }
            }
        });
}

/// The job was asked to stop.
struct Stopped {
    at: u64,
}

/// Counts primes the slow way. Runs on a pool thread.
fn search(
    below: u64,
    progress: &Progress,
    news: &Notifier,
    token: &CancelToken,
) -> Result<u64, Stopped> {
    let mut found = 0;
    for number in 2..below {
        if token.is_cancelled() {
            return Err(Stopped { at: number });
        }
        let is_prime = (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d));
        found += u64::from(is_prime);
        if number.is_multiple_of(512) {
            progress.looked_at.store(number, Ordering::Relaxed);
            progress.found.store(found, Ordering::Relaxed);
            news.notify();
        }
    }
    progress.looked_at.store(below, Ordering::Relaxed);
    progress.found.store(found, Ordering::Relaxed);
    Ok(found)
}

/// A bar on a terminal, lines elsewhere.
struct Screen {
    below: u64,
    is_terminal: bool,
    /// What was shown last: thousandths for a bar, tenths for lines.
    last: std::cell::Cell<Option<u64>>,
}

impl Screen {
    fn new(below: u64) -> Screen {
        Screen { below, is_terminal: io::stdout().is_terminal(), last: std::cell::Cell::new(None) }
    }

    fn draw(&self, progress: &Progress) {
        let at = progress.looked_at.load(Ordering::Relaxed);
        let found = grouped(progress.found.load(Ordering::Relaxed));
        let steps = if self.is_terminal { 1000 } else { 10 };
        let step = at * steps / self.below;
        // Not more often than anybody could see.
        if self.last.replace(Some(step)) == Some(step) {
            return;
        }
        let (percent, at) = (at * 100 / self.below, grouped(at));
        if self.is_terminal {
            let filled = (percent as usize * WIDTH / 100).min(WIDTH);
            let bar = "=".repeat(filled) + if filled < WIDTH { ">" } else { "" };
            // Back to the start of the line, and the rest of it cleared.
            let line =
                format_args!("\r[{bar:WIDTH$}] {percent:3} %   {found} primes below {at}\x1b[K");
            common::print(line, Gone::Ends);
        } else {
            say!("{percent:3} %: {found} primes below {at}");
        }
    }

    fn end(&self) {
        if self.is_terminal {
            say!("");
        }
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
