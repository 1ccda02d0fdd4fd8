//! Random programs, on the loop in virtual time and on the model: the same order, to the last callback.
//!
//! `WINDLASS_PROGRAMS=n` sets how many programs, `WINDLASS_SEED=s` the first one's seed.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use windlass::sim::Sim;

#[path = "../examples/scenario/generator.rs"]
mod generator;
#[path = "../examples/scenario/model.rs"]
mod model;
#[path = "../examples/scenario/program.rs"]
mod program;
#[path = "../examples/scenario/runner.rs"]
mod runner;

use generator::{Style, generate, shrink};
use program::Scenario;
use runner::Said;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The trace on the loop, or the panic that ended it.
fn on_the_loop(program: &Scenario) -> Vec<String> {
    let run = AssertUnwindSafe(|| runner::run(program, true).expect("a loop can be made"));
    panic::catch_unwind(run).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned().unwrap_or_default();
        vec![format!("PANIC: {text}")]
    })
}

/// Both traces of a program on which loop and model differ. A program without an end is none.
fn difference(program: &Scenario) -> Option<(Vec<String>, Vec<String>)> {
    let expected = model::run(program, None).ok()?;
    let trace = on_the_loop(program);
    (trace != expected).then_some((expected, trace))
}

/// Compares this many programs of a style, from the environment's first seed on.
fn compare(programs: u64, style: Style) {
    let first = from_environment("WINDLASS_SEED").unwrap_or(0);
    let (mut compared, mut labels) = (0, 0);
    let mut seed = first;
    while compared < programs {
        let program = generate(seed, style);
        if let Ok(trace) = model::run(&program, None) {
            compared += 1;
            labels += trace.len();
            if difference(&program).is_some() {
                let smallest = shrink(&program, |program| difference(program).is_some());
                let (model, ours) = difference(&smallest).expect("it fails still");
                let text =
                    serde_json::to_string_pretty(&smallest).expect("a program is plain data");
                panic!("seed {seed}, {style:?}:\n{text}\nmodel: {model:?}\nloop:  {ours:?}");
            }
        }
        seed += 1;
    }
    println!("{compared} programs of {}, {labels} labels", seed - first);
    assert!(labels as u64 > 5 * programs, "programs that do something");
}

#[test]
fn random_programs_run_on_the_loop_as_on_the_model() {
    let programs = from_environment("WINDLASS_PROGRAMS").unwrap_or(10_000);
    compare(programs - programs / 10, Style::Dense);
    compare(programs / 10, Style::Spaced);
}

/// What no race decides, no seed decides: programs with workers, channels and a request, each in several
/// simulations. Two more things are a race there: two requests, for the seed says how many threads a pool has;
/// and that a worker is online, against the first that it says, for it may come in no time.
#[test]
fn random_programs_without_a_race_run_in_every_simulation_as_on_the_model() {
    let programs = from_environment("WINDLASS_PROGRAMS").unwrap_or(2_000);
    let first = from_environment("WINDLASS_SEED").unwrap_or(0);
    let spaced = (first..).map(|seed| (seed, generate(seed, Style::Spaced)));
    let spaced = spaced.filter(|(_, program)| {
        let text = format!("{program:?}");
        text.matches("Stat {").count() < 2 && !text.contains("online: true")
    });
    let certain = spaced.filter_map(|(seed, program)| {
        model::without_race(&program).map(|expected| (seed, program, expected))
    });
    for (seed, program, expected) in certain.take(programs as usize) {
        for chance in 0..5 {
            let event_loop = Sim::new(seed.wrapping_mul(5) + chance).event_loop();
            let trace = runner::run_on(event_loop, &program, Arc::new(|_: Said<'_>| ()));
            assert_eq!(trace, expected, "seed {seed}, chance {chance}: {program:#?}");
        }
    }
}

/// The programs of a folder of the corpus.
fn corpus(folder: &str) -> Vec<Scenario> {
    let folder = format!("{}/tests/conformance/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let programs = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let load = |path| {
        let text = std::fs::read_to_string(path).expect("a scenario can be read");
        serde_json::from_str(&text).expect("a scenario is JSON")
    };
    programs.map(load).collect()
}

/// The model is right: it prints what Node printed.
#[test]
fn the_model_prints_the_trace_of_node_for_all_scenarios() {
    let programs = corpus("");
    assert_eq!(programs.len(), 235);
    for program in programs {
        assert_eq!(model::run(&program, None).ok(), program.expect, "{}", program.name);
    }
}

/// A caught panic ends its callback like a return, and the drain follows: here Node has another order.
#[test]
fn the_loop_and_the_model_agree_on_all_programs_with_an_exception() {
    let programs = corpus("throws");
    assert_eq!(programs.len(), 97);
    for program in programs {
        assert_eq!(difference(&program), None, "{}", program.name);
    }
}

/// A rule broken on purpose, in the trace: the comparison sees it, and finds a program of two steps.
#[test]
fn a_failing_program_is_shrunk_to_what_shows_the_fault() {
    // The fault: a tick before a microtask, as though that were wrong.
    let fails = |program: &Scenario| {
        let trace = model::run(program, None).unwrap_or_default();
        let place = |kind: char| trace.iter().position(|label| label.starts_with(kind));
        matches!((place('n'), place('m')), (Some(tick), Some(microtask)) if tick < microtask)
    };
    let failing = (0..).map(|seed| generate(seed, Style::Dense)).find(|program| fails(program));
    let smallest = shrink(&failing.expect("one of them fails"), fails);
    let trace = model::run(&smallest, None).expect("it ends");
    assert_eq!(trace.len(), 2, "{trace:?}");
}
