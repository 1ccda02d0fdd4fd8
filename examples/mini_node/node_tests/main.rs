//! Node's own tests of timers, ticks, promises, exit, microtasks, workers and ports, on `mini_node`.
//!
//! ```text
//! cargo run --release --bin node_tests -- /path/to/a/checkout/of/node
//! ```
//!
//! The tests are read from a checkout that you have; none of them is part of this package. Instead of Node's module
//! `test/common` they get one of our own (`node_tests/common`), and for four of its internal modules the little that
//! they use of them (`node_tests/internal`). A test passes if it ends with the exit code 0 and has not skipped itself.
//! What is out of scope, and what differs by decision, is listed by name with the reason in `node_tests/listed.txt`.

mod listed;
mod suite;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::{Long, Short, Value};
use suite::Suite;

const HELP: &str = "\
Runs Node's own tests of timers, promises, workers and the like on mini_node.

usage: node_tests [options] CHECKOUT

  CHECKOUT      a checkout of Node's repository, or a part of it that has test/parallel
  --only WORD   only tests whose names have this word; prints what each of them says
  --all         those that are out of scope too
  --with FILE   another program than mini_node, such as node
  --threads N   so many at a time (default 2)
  --help        this text
";

struct Options {
    checkout: PathBuf,
    only: Option<String>,
    all: bool,
    with: Option<PathBuf>,
    threads: usize,
}

fn main() -> ExitCode {
    let options = match read() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("node_tests: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("node_tests: {error}");
            ExitCode::from(2)
        }
    }
}

fn read() -> Result<Option<Options>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut checkout, mut only, mut all, mut with, mut threads) = (None, None, false, None, 2);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("only") => only = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("all") => all = true,
            Long("with") => with = Some(parser.value()?.into()),
            Long("threads") => threads = lexopt::ValueExt::parse(&parser.value()?)?,
            Value(path) if checkout.is_none() => checkout = Some(PathBuf::from(path)),
            argument => return Err(argument.unexpected()),
        }
    }
    let checkout = checkout.ok_or("no checkout given")?;
    Ok(Some(Options { checkout, only, all, with, threads: threads.max(1) }))
}

/// Whether nothing differs but by decision.
fn run(options: &Options) -> io::Result<bool> {
    let beside = std::env::current_exe()?.with_file_name("mini_node");
    let is_ours = options.with.is_none();
    let program = options.with.clone().unwrap_or(beside);
    let listed = listed::read();
    let mut suite = Suite::open(&options.checkout, program, is_ours)?;
    if let Some(word) = &options.only {
        suite.keep(|name| name.contains(word.as_str()));
    }
    let results = suite.run(options.threads, |name| options.all || !listed.contains_key(name))?;
    print!("{}", table::text(&results, &listed, options.only.is_some()));
    Ok(results.iter().all(|test| test.passed() || listed.contains_key(test.name.as_str())))
}
