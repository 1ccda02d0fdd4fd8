//! Does the loop call back in the order that Node does?
//!
//! Runs conformance programs and compares their traces with the ones that Node printed:
//!
//! ```text
//! cargo run --release --example scenario -- tests/conformance/*.json
//! cargo run --release --example scenario -- --real tests/conformance/0*.json
//! cargo run --release --example scenario -- --throws tests/conformance/throws/*.json
//! ```
//!
//! Prints `FILE: ok`, or both traces side by side with the first difference marked, and at the end
//! `N passed, M failed`. With `--real` the programs run on the real clock instead of in virtual time. With
//! `--throws` differences are what is wanted to be seen: there Node's order after an exception is an
//! accident of its implementation, and the loop's rule is simpler.

#[path = "../common/mod.rs"]
mod common;
mod program;
mod runner;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::{Long, Parser, Stop, Value, say};
use program::Scenario;

const HELP: &str = "\
Runs conformance programs and compares their traces with the ones that Node printed.

usage: scenario [--real] [--throws] FILE...

  --real     on the real clock instead of in virtual time
  --throws   programs that throw: where the order differs from Node's, that is no failure
  --help     this text
";

struct Options {
    real: bool,
    throws: bool,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| check_all(&options))
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options { real: false, throws: false, files: Vec::new() };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("real") => options.real = true,
            Long("throws") => options.throws = true,
            Value(file) => options.files.push(file.into()),
            argument => return Err(common::other(argument)),
        }
    }
    if options.files.is_empty() {
        return Err(Stop::Wrong("no file given".to_owned()));
    }
    Ok(options)
}

fn check_all(Options { real, throws, files }: &Options) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in files {
        let file = path.display();
        match check(path, !real) {
            Ok(None) => {
                say!("{file}: ok");
                passed += 1;
            }
            Ok(Some(difference)) => {
                say!("{file}: differs\n{difference}");
                failed += 1;
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

/// Runs one file: none if the trace is Node's, else both.
fn check(file: &Path, virtual_time: bool) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let scenario: Scenario = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    log::debug!("{}", scenario.name);
    let trace = runner::run(&scenario, virtual_time)?;
    Ok((trace != scenario.expect).then(|| side_by_side(&scenario.expect, &trace)))
}

/// Both traces, a label a line, with the first difference marked.
fn side_by_side(node: &[String], ours: &[String]) -> String {
    let width = node.iter().map(String::len).max().unwrap_or(0).max(4);
    let mut text = format!("    {:width$}  ours\n", "Node");
    let mut same = true;
    for index in 0..node.len().max(ours.len()) {
        let label = |trace: &[String]| trace.get(index).cloned().unwrap_or_else(|| "-".to_owned());
        let (left, right) = (label(node), label(ours));
        let mark = if same && left != right { ">>> " } else { "    " };
        same = same && left == right;
        text += &format!("{mark}{left:width$}  {right}\n");
    }
    text
}
