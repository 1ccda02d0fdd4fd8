//! How `sim::explore` tells of a failure. Each program has a process of its own, for the environment and the panic
//! hook are a process's.

mod common;

use std::cell::Cell;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::*;
use windlass::sim::{Faults, Sim, explore};
use windlass::worker::Worker;
use windlass::{fs, set_interval, set_timeout, spawn};

/// Set where a test is the program.
const IS_PROGRAM: &str = "WINDLASS_TEST_PROGRAM";

/// Runs the test of this name as a program, in this environment besides. None: this is the program.
fn run_program(name: &str, environment: &[(&str, &str)]) -> Option<Output> {
    if std::env::var_os(IS_PROGRAM).is_some() {
        return None;
    }
    let mut program = test_as_a_process(name);
    for variable in ["WINDLASS_SEED", "WINDLASS_FAULTS", "WINDLASS_TRACE", "RUST_BACKTRACE"] {
        program.env_remove(variable);
    }
    program.env(IS_PROGRAM, "yes").envs(environment.iter().copied());
    Some(program.output().expect("this program"))
}

/// The panics that were printed.
fn panics(output: &Output) -> usize {
    text(&output.stderr).matches("panicked at").count()
}

/// Reads a file three times. Where the last cannot be read it says how many could not.
fn read_three_times() {
    drop(spawn(async {
        let mut failed = 0;
        for number in 0..3 {
            let outcome = fs::read("Cargo.toml").await;
            failed += u32::from(outcome.is_err());
            assert!(number < 2 || outcome.is_ok(), "{failed} could not be read");
        }
    }));
}

#[test]
fn a_failure_says_which_faults_it_takes_and_the_tries_are_silent() {
    const NAME: &str = "a_failure_says_which_faults_it_takes_and_the_tries_are_silent";
    let Some(output) = run_program(NAME, &[]) else {
        let make = |seed| Sim::new(seed).faults(Faults::default().request(1.0));
        let failure = explore(5..9, make, read_three_times).unwrap_err();
        println!("{failure}\n");
        assert_eq!(format!("{failure:?}"), failure.to_string());
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let (said, _) = text(&output.stdout).split_once("\n\n").unwrap();
    let (_, said) = said.split_once("seed 5: ").unwrap();
    let lines: Vec<_> = said.lines().collect();
    let [what, again, faults, fault, then] = lines[..] else { panic!("{said}") };
    assert_eq!(what, "3 could not be read");
    assert_eq!(again, "to run it again: WINDLASS_SEED=5");
    assert_eq!(faults, "it fails with 1 of its 3 faults: WINDLASS_SEED=5 WINDLASS_FAULTS=2");
    assert!(fault.starts_with("  2: a file request fails: "), "{said}");
    assert!(fault.contains(", the first loop at ") && fault.ends_with("s"), "{said}");
    assert_eq!(then, "and says then: seed 5: 1 could not be read");
    // That of the first run.
    assert_eq!(panics(&output), 1, "{output:?}");
    // What it says is what happens, and nothing is tried.
    let environment = [("WINDLASS_SEED", "5"), ("WINDLASS_FAULTS", "2")];
    let output = run_program(NAME, &environment).unwrap();
    let (said, _) = text(&output.stdout).split_once("\n\n").unwrap();
    let (_, said) = said.split_once("seed 5: ").unwrap();
    let expected = "1 could not be read\nto run it again: WINDLASS_SEED=5 WINDLASS_FAULTS=2";
    assert_eq!(said, expected);
    assert!(text(&output.stderr).contains("WINDLASS_SEED is set: seed 5 alone"), "{output:?}");
    assert_eq!(panics(&output), 1, "{output:?}");
}

#[test]
fn the_panics_of_others_are_printed_while_a_failure_is_looked_at() {
    const NAME: &str = "the_panics_of_others_are_printed_while_a_failure_is_looked_at";
    let Some(output) = run_program(NAME, &[]) else {
        let runs = Cell::new(0);
        let make = |seed| Sim::new(seed).faults(Faults::default().request(1.0));
        explore(5..6, make, || {
            runs.set(runs.get() + 1);
            if runs.get() > 1 {
                // A thread that is none of the simulation's.
                drop(std::thread::spawn(|| panic!("elsewhere")).join());
            }
            // One of the simulation's own.
            let worker = Worker::<(), ()>::spawn(|port| {
                port.unref();
                panic!("in a worker");
            });
            drop(worker.expect("a worker"));
        })
        .unwrap_err();
        println!("{} runs", runs.get());
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("2 runs"), "{output:?}");
    let said = text(&output.stderr);
    assert_eq!(said.matches("elsewhere").count(), 1, "{said}");
    assert_eq!(said.matches("in a worker").count(), 1, "{said}");
}

#[test]
fn a_program_that_is_not_the_same_for_its_seed_is_told_of() {
    let runs = AtomicU32::new(0);
    let failure = explore(0..5, Sim::new, || {
        let number = runs.fetch_add(1, Ordering::Relaxed);
        set_timeout(Duration::from_millis(1), move || assert!(number != 3, "the fourth run"));
    });
    let failure = failure.unwrap_err();
    assert_eq!((failure.seed, failure.message.as_str()), (3, "seed 3: the fourth run"));
    let said = failure.to_string();
    assert!(said.contains("a second run with this seed was another one"), "{said}");
    // One that is the same is not.
    let failure = explore(0..5, Sim::new, || panic!("always")).unwrap_err();
    assert_eq!(failure.to_string(), "seed 0: always\nto run it again: WINDLASS_SEED=0");
}

#[test]
fn faults_in_the_environment_are_those_of_one_seed() {
    const NAME: &str = "faults_in_the_environment_are_those_of_one_seed";
    let Some(output) = run_program(NAME, &[("WINDLASS_FAULTS", "2")]) else {
        drop(explore(0..5, Sim::new, || ()));
        return;
    };
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(
        said.contains("WINDLASS_FAULTS is for one seed, and WINDLASS_SEED is not set"),
        "{said}"
    );
}

#[test]
fn a_program_that_goes_on_for_too_long_says_what_each_of_its_loops_waits_for() {
    let make = |seed| Sim::new(seed).limit(Duration::from_secs(60));
    let program = || {
        let worker = Worker::<(), ()>::spawn(|_| {
            set_interval(Duration::from_millis(3), |_| ());
        });
        std::mem::forget(worker.expect("a worker"));
        let ended = Worker::<(), ()>::spawn(|port| {
            port.unref();
        });
        drop(ended.expect("a worker"));
    };
    let message = explore(0..1, make, program).unwrap_err().message;
    let (why, waits) = message.split_once(": the first loop").unwrap();
    assert_eq!(why, "seed 0: the program still ran after 60s of virtual time");
    let (first, second) = waits.split_once("; ").unwrap();
    assert!(first.starts_with(" waits for worker made at tests/sim_explore.rs:"), "{message}");
    assert!(second.starts_with("worker loop 1 waits for "), "{message}");
    assert!(second.contains("interval made at tests/sim_explore.rs:"), "{message}");
    let make = |seed| Sim::new(seed).callbacks(1_000);
    let message = explore(0..1, make, program).unwrap_err().message;
    assert!(message.contains("after 1000 callbacks: the first loop waits for"), "{message}");
}
