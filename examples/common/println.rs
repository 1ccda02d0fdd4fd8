//! `println!` for programs that do nothing but print: where that of std panics, since nobody reads on, they end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

macro_rules! println {
    ($($text:tt)*) => { $crate::println::line(format_args!($($text)*)) };
}

pub(crate) fn line(text: Arguments<'_>) {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => {}
        // As `head`, which has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            drop(writeln!(io::stderr(), "the standard output: {error}"));
            std::process::exit(1);
        }
    }
}
