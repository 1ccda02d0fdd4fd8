//! What the examples share: how they read their options, and how they print.
//!
//! An option that an example does not have, or a value that it cannot use, is one line on the standard
//! error and the exit code 2. Whoever reads the output may go before its end, as `head` does: that ends
//! a program quietly, or is no concern of one that has more to do than to print.

// No example needs all of it.
#![allow(dead_code, unused_imports, unused_macros)]

use std::ffi::OsString;
use std::fmt::{Arguments, Display};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

pub(crate) use lexopt::Parser;
pub(crate) use lexopt::prelude::{Long, Short, Value};

// ---- options ----

/// Why a program does not begin.
pub(crate) enum Stop {
    /// It was asked what it does.
    Help,
    /// What is wrong with its arguments.
    Wrong(String),
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Stop {
        Stop::Wrong(error.to_string())
    }
}

/// How a program ends.
pub(crate) trait End {
    /// Its exit code, after a word about what went wrong.
    fn code(self) -> ExitCode;
}

impl End for ExitCode {
    fn code(self) -> ExitCode {
        self
    }
}

impl End for () {
    fn code(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl End for io::Result<()> {
    fn code(self) -> ExitCode {
        let Err(error) = self else { return ExitCode::SUCCESS };
        complain!("{error}");
        ExitCode::FAILURE
    }
}

/// Starts the logger, reads the arguments, and runs the program with what they say.
pub(crate) fn main<Options, Ended: End>(
    help: &str,
    read: impl FnOnce(&mut Parser) -> Result<Options, Stop>,
    run: impl FnOnce(Options) -> Ended,
) -> ExitCode {
    env_logger::init();
    let mut parser = Parser::from_env();
    let stop = match read(&mut parser) {
        Ok(options) => return run(options).code(),
        Err(stop) => stop,
    };
    match (stop, parser.optional_value()) {
        (Stop::Help, None) => {
            print(format_args!("{help}"), Gone::Ends);
            return ExitCode::SUCCESS;
        }
        (Stop::Help, Some(value)) => complain!("--help takes no value, not {value:?}; see --help"),
        (Stop::Wrong(text), _) => complain!("{text}; see --help"),
    }
    ExitCode::from(2)
}

/// For a program without options.
pub(crate) fn nothing(parser: &mut Parser) -> Result<(), Stop> {
    parser.next()?.map_or(Ok(()), |argument| Err(other(argument)))
}

/// For a program whose only option is `--short`.
pub(crate) fn short(parser: &mut Parser) -> Result<bool, Stop> {
    let mut short = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => short = true,
            argument => return Err(other(argument)),
        }
    }
    Ok(short)
}

/// What follows from an argument that a program does not know: all know `--help`, and no other.
pub(crate) fn other(argument: lexopt::Arg<'_>) -> Stop {
    match argument {
        Long("help") | Short('h') => Stop::Help,
        Long(name) => Stop::Wrong(format!("there is no option --{name}")),
        Short(letter) => Stop::Wrong(format!("there is no option -{letter}")),
        Value(value) => Stop::Wrong(format!("there is no option {}", value.display())),
    }
}

/// The value of the option `name`, which was read just before.
pub(crate) fn value(parser: &mut Parser, name: &str) -> Result<OsString, Stop> {
    parser.value().map_err(|_| Stop::Wrong(format!("{name} wants a value")))
}

/// The value of the option `name`, which must be a number within these limits.
pub(crate) fn number<T: FromStr + PartialOrd + Display>(
    parser: &mut Parser,
    name: &str,
    min: T,
    max: T,
) -> Result<T, Stop> {
    let text = value(parser, name)?;
    match text.to_str().and_then(|text| text.parse().ok()) {
        Some(number) if min <= number && number <= max => Ok(number),
        _ => Err(Stop::Wrong(format!("{name} wants a number from {min} to {max}, not {text:?}"))),
    }
}

// ---- output ----

/// What follows when nobody reads the output any more.
pub(crate) enum Gone {
    /// The program ends, without a word: to print is all it does.
    Ends,
    /// It goes on, for it does something else too.
    GoesOn,
}

/// Prints at once, also what is no whole line. `println!` would panic when the reader has gone.
pub(crate) fn print(text: Arguments<'_>, gone: Gone) {
    let mut out = io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    match (error.kind(), gone) {
        (_, Gone::GoesOn) => log::debug!("cannot print: {error}"),
        (ErrorKind::BrokenPipe, Gone::Ends) => std::process::exit(0),
        (_, Gone::Ends) => {
            complain!("the standard output: {error}");
            std::process::exit(1);
        }
    }
}

/// Says on a terminal what goes on, in a line that `end_progress` takes away. Nothing elsewhere.
pub(crate) fn progress(text: Arguments<'_>) {
    // As no-color.org has it: set and not empty.
    let colour = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let (dim, plain) = if colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
    on_terminal(format_args!("\r\x1b[K{dim}{text}{plain}"));
}

/// Takes the line of `progress` away.
pub(crate) fn end_progress() {
    on_terminal(format_args!("\r\x1b[K"));
}

fn on_terminal(text: Arguments<'_>) {
    let mut err = io::stderr().lock();
    if err.is_terminal()
        && let Err(error) = err.write_fmt(text)
    {
        log::debug!("cannot say how far it is: {error}");
    }
}

/// Prints to the standard error, behind the program's name.
pub(crate) fn print_complaint(text: Arguments<'_>) {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    // In one piece: threads may complain at a time. If nobody hears it, nobody can be told.
    let line = format!("{}: {text}\n", name.display());
    if let Err(error) = io::stderr().write_all(line.as_bytes()) {
        log::debug!("cannot complain: {error}");
    }
}

/// Prints a line. Ends the program when nobody reads it.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::common::print(format_args!("{}\n", format_args!($($text)*)), $crate::common::Gone::Ends)
    };
}

/// Prints a line, or does not: whether anybody reads it makes no difference.
macro_rules! mention {
    ($($text:tt)*) => {
        $crate::common::print(format_args!("{}\n", format_args!($($text)*)), $crate::common::Gone::GoesOn)
    };
}

/// Prints a line to the standard error, behind the program's name.
macro_rules! complain {
    ($($text:tt)*) => { $crate::common::print_complaint(format_args!($($text)*)) };
}

pub(crate) use {complain, mention, say};
