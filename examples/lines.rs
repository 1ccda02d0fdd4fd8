//! How does a program stand in a pipeline without ever waiting in a system call?
//!
//! By the standard streams of the loop, which are right whatever they are: a pipe, a file, a terminal or
//! a socket. This one writes what it reads, with the letters from a to z in upper case, byte for byte. It
//! reads no further before the output has taken what was read, so that it needs one buffer, however much
//! goes through it.
//!
//! ```text
//! $ echo 'one line
//! and another' | cargo run --example lines | cat
//! ONE LINE
//! AND ANOTHER
//! ```
//!
//! Other work on the loop goes on meanwhile: `--ticks` counts seconds on the standard error.

#[path = "common/mod.rs"]
mod common;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use windlass::stdio::{stderr, stdin, stdout};

use common::{Long, Parser, Stop, complain};

const HELP: &str = "\
Writes the standard input to the standard output, in upper case.

usage: lines [--ticks]

  --ticks   also counts the seconds, on the standard error
  --short   the same as without: it ends with its input
  --help    this text
";

fn main() -> ExitCode {
    common::main(HELP, read, |ticks| {
        windlass::run_main(move || {
            if ticks {
                count_seconds();
            }
            windlass::spawn(async {
                if let Err(failure) = copy().await {
                    windlass::set_exit_code(failure.report());
                }
            });
        })
    })
}

fn read(parser: &mut Parser) -> Result<bool, Stop> {
    let mut ticks = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("ticks") => ticks = true,
            Long("short") => {}
            argument => return Err(common::other(argument)),
        }
    }
    Ok(ticks)
}

enum Failure {
    Input(io::Error),
    Output(io::Error),
}

impl Failure {
    /// Says what went wrong, and returns the exit code for it. A reader that has seen enough, such as
    /// `head`, is no reason to say anything.
    fn report(&self) -> i32 {
        match self {
            Failure::Input(error) => complain!("the standard input: {error}"),
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
            Failure::Output(error) => complain!("the standard output: {error}"),
        }
        1
    }
}

async fn copy() -> Result<(), Failure> {
    let (input, output) = (stdin(), stdout());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = input.read(&mut buffer).await.map_err(Failure::Input)?;
        let bytes = &mut buffer[..count];
        if bytes.is_empty() {
            return Ok(());
        }
        bytes.make_ascii_uppercase();
        output.write(bytes).await.map_err(Failure::Output)?;
    }
}

/// The loop ends all the same when the copy is done: the interval does not hold it.
fn count_seconds() {
    let mut seconds = 0;
    windlass::set_interval(Duration::from_secs(1), move |_| {
        seconds += 1;
        drop(stderr().write(format!("{seconds} s\n").as_bytes()));
    })
    .unref();
}
