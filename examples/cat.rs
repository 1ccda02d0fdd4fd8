//! How is a file of any size printed with a few kilobytes of memory?
//!
//! By reading no faster than the output takes it: the reader fills a buffer of 64 KiB and then waits,
//! the writer says when to go on.
//!
//! ```text
//! $ cargo run --example cat -- Cargo.toml missing - < README.md | wc -c
//! cat: open missing: No such file or directory (os error 2)
//! 8012
//! ```
//!
//! A file that cannot be read does not keep the others from being printed; the exit code is 1 then.

#[path = "common/mod.rs"]
mod common;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use windlass::fs::File;
use windlass::fs::stream::{ReadStream, WriteStream};

use common::{Parser, Stop, Value, complain};

const HELP: &str = "\
Prints files one after the other.

usage: cat [FILE]...

  FILE     what to print; - is the standard input, as is no FILE at all
  --help   this text
";

fn main() -> ExitCode {
    common::main(HELP, read, |names| {
        windlass::run_main(|| {
            windlass::spawn(async move {
                if !print_all(&names).await {
                    windlass::set_exit_code(1);
                }
            });
        })
    })
}

fn read(parser: &mut Parser) -> Result<Vec<OsString>, Stop> {
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => names.push(name),
            argument => return Err(common::other(argument)),
        }
    }
    if names.is_empty() {
        names.push("-".into());
    }
    Ok(names)
}

/// Prints all files. False when any of them failed.
async fn print_all(names: &[OsString]) -> bool {
    let output = match standard(&io::stdout()) {
        Ok(file) => WriteStream::new(file),
        Err(error) => {
            complain!("the standard output: {error}");
            return false;
        }
    };
    let mut good = true;
    for name in names {
        let input = if name == "-" {
            standard(&io::stdin()).map(ReadStream::new)
        } else {
            Ok(ReadStream::open(name))
        };
        match print_one(input, &output).await {
            Ok(()) => {}
            Err(Failure::Input(error)) => {
                complain!("{error}");
                good = false;
            }
            Err(Failure::Output(error)) => return give_up(&error),
        }
    }
    match output.finish().await {
        Ok(()) => good,
        Err(error) => give_up(&error),
    }
}

/// Without an output there is nothing more to do. A reader that has seen enough, such as `head`, is no
/// reason to say so.
fn give_up(error: &io::Error) -> bool {
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain!("the standard output: {error}");
    }
    false
}

/// A standard stream as a file, by a descriptor of its own, which may be closed.
fn standard(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from_std(stream.as_fd().try_clone_to_owned()?))
}

enum Failure {
    Input(io::Error),
    Output(io::Error),
}

/// What `fs::stream::feed` does, in full: here an error of the input is to be told from one of the output.
async fn print_one(input: io::Result<ReadStream>, output: &WriteStream) -> Result<(), Failure> {
    let input = input.map_err(Failure::Input)?;
    while let Some(chunk) = input.next().await.map_err(Failure::Input)? {
        // False: as much waits as should.
        if !output.write(chunk) {
            output.drain().await.map_err(Failure::Output)?;
        }
    }
    Ok(())
}
