//! The arguments of the benches, which are those that `cargo bench` gives to any bench.

use crate::common::{self, Long, Parser, Stop, Value};

/// What is to be run, and how.
pub(crate) struct Options {
    /// Short, to see that it runs.
    pub(crate) test: bool,
    /// Name what would be run, and run nothing.
    pub(crate) list: bool,
    /// Only what has one of these in its name. All, when there are none.
    names: Vec<String>,
}

impl Options {
    pub(crate) fn read(parser: &mut Parser) -> Result<Options, Stop> {
        let mut options = Options { test: false, list: false, names: Vec::new() };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("test") => options.test = true,
                Long("list") => options.list = true,
                // Cargo says so to every bench.
                Long("bench") => {}
                Value(name) => options.names.push(name.to_string_lossy().into_owned()),
                argument => return Err(common::other(argument)),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }
}
