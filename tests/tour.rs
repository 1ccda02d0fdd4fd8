//! The tour: each program of examples/tour prints the trace that its header promises.

mod common;

use std::process::Stdio;

use common::*;

/// The names of the programs, with their sources.
fn programs() -> Vec<(String, String)> {
    let paths = std::fs::read_dir("examples/tour").unwrap().map(|entry| entry.unwrap().path());
    let programs = paths.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    });
    programs.collect()
}

/// What stands in the header of a program beneath the command that runs it.
fn promised(name: &str, source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let command = format!("$ cargo run --example {name}");
    let trace = lines.skip_while(|line| *line != command).skip(1);
    trace.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_program_of_the_tour_prints_the_trace_of_its_header() {
    for (name, source) in programs() {
        let output = example(&name).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), promised(&name, &source), "{name}");
    }
}

#[test]
fn no_program_of_the_tour_minds_that_nobody_reads_on() {
    let programs = programs().into_iter().map(|(name, _)| name);
    for name in programs.chain(["tiny_loop".to_owned()]) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = example(&name).stdin(Stdio::null()).stdout(writer).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        assert!(!said.contains("stdout"), "{name}: {said}");
    }
}

/// Their order rests on promises, not on luck: it is the same when they hold each other up.
#[test]
fn a_busy_machine_does_not_change_a_trace() {
    for (name, source) in programs() {
        let start = |_| {
            example(&name)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = (0..8).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert_eq!(text(&output.stdout), promised(&name, &source), "{name}");
        }
    }
}
