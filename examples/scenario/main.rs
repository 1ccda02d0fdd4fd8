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

mod program;
mod runner;

use std::path::Path;
use std::process::ExitCode;

use program::Scenario;

const USAGE: &str = "usage: scenario [--real] [--throws] FILE...";

fn main() -> ExitCode {
    env_logger::init();
    let (mut real, mut throws, mut files) = (false, false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--real" => real = true,
            "--throws" => throws = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => {
                eprintln!("{option}: no such option\n{USAGE}");
                return ExitCode::from(2);
            }
            file => files.push(file.to_owned()),
        }
    }
    if files.is_empty() {
        eprintln!("no file given\n{USAGE}");
        return ExitCode::from(2);
    }

    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        match check(Path::new(file), !real) {
            Ok(None) => {
                println!("{file}: ok");
                passed += 1;
            }
            Ok(Some(difference)) => {
                println!("{file}: differs\n{difference}");
                failed += 1;
            }
            Err(error) => {
                println!("{file}: {error}");
                failed += 1;
            }
        }
    }
    if throws {
        println!("{passed} as Node, {failed} by the simpler rule");
        return ExitCode::SUCCESS;
    }
    println!("{passed} passed, {failed} failed");
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
