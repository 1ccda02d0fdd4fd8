//! Does the loop call back in the order that Node does, and why in that order?
//!
//! Runs conformance programs and compares their traces with the ones that Node printed:
//!
//! ```text
//! cargo run --release --example scenario -- tests/conformance/*.json
//! cargo run --release --example scenario -- --real tests/conformance/0*.json
//! cargo run --release --example scenario -- --throws tests/conformance/throws/*.json
//! cargo run --release --example scenario -- --explain tests/conformance/004*.json
//! cargo run --release --example scenario -- --predict tests/conformance/004*.json
//! ```
//!
//! Prints `FILE: ok`, or both traces side by side with the first difference marked, and at the end
//! `N passed, M failed`. A program of your own needs no `expect`: without it the trace is printed.
//! With `--real` the programs run on the real clock instead of in virtual time. With `--throws`
//! differences are what is wanted to be seen: there Node's order after an exception is an accident
//! of its implementation, and the loop's rule is simpler.
//!
//! `--explain` prints each callback with what armed it, and the statement of `src/guide/order.md`
//! that put it there; `--json-lines` prints the same for programs. `--predict` asks for the order
//! first and says where the guess goes wrong.

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod ledger;
mod order;
mod program;
mod record;
mod runner;

use std::io::{self, stdin};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::{Long, Parser, Stop, Value, say};
use program::Scenario;

const HELP: &str = "\
Runs conformance programs and compares their traces with the ones that are expected.

usage: scenario [--real] [--throws] FILE...
       scenario --explain | --json-lines FILE...
       scenario --predict FILE

  --real         on the real clock instead of in virtual time
  --throws       programs that throw: where the order differs from Node's, that is no failure
  --explain      prints each callback, with what armed it and why it comes there
  --json-lines   prints the same, one JSON object a line
  --predict      asks for the order first: labels, up to an empty line; then compares
  --help         this text
";

#[derive(Clone, Copy, PartialEq)]
enum Act {
    Check,
    Explain,
    JsonLines,
    Predict,
}

struct Options {
    real: bool,
    throws: bool,
    act: Act,
    files: Vec<PathBuf>,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    common::main(HELP, read, |options| match options.act {
        Act::Check => check_all(&options),
        act => do_all(act, &options.files),
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options { real: false, throws: false, act: Act::Check, files: Vec::new() };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("real") => options.real = true,
            Long("throws") => options.throws = true,
            // Whoever wants both wants the explanation for a program.
            Long("explain") if options.act == Act::JsonLines => (),
            Long("explain") => options.act = Act::Explain,
            Long("json-lines") => options.act = Act::JsonLines,
            Long("predict") => options.act = Act::Predict,
            Value(file) => options.files.push(file.into()),
            argument => return Err(common::other(argument)),
        }
    }
    let wrong = |text: &str| Err(Stop::Wrong(text.to_owned()));
    if options.files.is_empty() {
        return wrong("no file given");
    }
    if options.real && options.act != Act::Check {
        return wrong("--real is for comparing only: the rest is in virtual time");
    }
    if options.act == Act::Predict && options.files.len() > 1 {
        return wrong("--predict wants one file");
    }
    Ok(options)
}

fn load(file: &Path) -> Outcome<Scenario> {
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

/// Runs a program. One that cannot go on, as with a port that nobody closes in virtual time, panics: an
/// error of its file, and no reason to leave the others out.
fn run<T>(run: impl FnOnce() -> io::Result<T>) -> Outcome<T> {
    panic::set_hook(Box::new(|_| ())); // The error says it.
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Ok(result?),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            Err(text.unwrap_or_else(|| "the program panicked".to_owned()).into())
        }
    }
}

fn check_all(Options { real, throws, files, .. }: &Options) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in files {
        let file = path.display();
        match check(path, !real) {
            Ok(Compared::Same) => {
                say!("{file}: ok");
                passed += 1;
            }
            Ok(Compared::Differs(difference)) => {
                say!("{file}: differs\n{difference}");
                failed += 1;
            }
            Ok(Compared::Nothing(trace)) => {
                say!("{file}: expects nothing, prints\n    {}", trace.join("\n    "));
            }
            Err(error) => {
                say!("{file}: {error}");
                failed += 1;
            }
        }
    }
    if *throws {
        say!("{passed} as Node, {failed} by the simpler rule");
        return ExitCode::SUCCESS;
    }
    say!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of comparing a trace.
enum Compared {
    Same,
    /// Both, side by side.
    Differs(String),
    /// The file expects none.
    Nothing(Vec<String>),
}

/// Runs one file.
fn check(file: &Path, virtual_time: bool) -> Outcome<Compared> {
    let scenario = load(file)?;
    log::debug!("{}", scenario.name);
    let trace = run(|| runner::run(&scenario, virtual_time))?;
    Ok(match &scenario.expect {
        None => Compared::Nothing(trace),
        Some(expected) if *expected == trace => Compared::Same,
        Some(expected) => {
            let heading = compare::whose(file);
            Compared::Differs(compare::side_by_side(heading, expected, &trace))
        }
    })
}

fn do_all(act: Act, files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let outcome = if act == Act::Predict { predict(file) } else { explain(act, file) };
        if let Err(error) = outcome {
            common::complain!("{}: {error}", file.display());
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn explain(act: Act, file: &Path) -> Outcome<()> {
    let scenario = load(file)?;
    let ledger = run(|| record::record(&scenario))?;
    if act == Act::JsonLines {
        common::print(format_args!("{}", ledger.json_lines(&scenario.name)), common::Gone::Ends);
    } else {
        say!("{}\n{}\n{}", scenario.name, ledger.table(), ledger.statements());
    }
    if ledger.dropped > 0 {
        common::complain!("{} events had no room: the first callbacks are missing", ledger.dropped);
    }
    Ok(())
}

fn predict(file: &Path) -> Outcome<()> {
    let scenario = load(file)?;
    let trace = run(|| runner::run(&scenario, true))?;
    let mut labels: Vec<_> = trace.iter().map(String::as_str).collect();
    labels.sort_unstable();
    say!("{}: in which order do these come? (an empty line ends)", scenario.name);
    say!("    {}", labels.join(" "));
    let guess = compare::read_labels(stdin().lock())?;
    say!("{}", compare::judge(&guess, &trace));
    Ok(())
}
