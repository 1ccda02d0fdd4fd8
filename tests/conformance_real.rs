//! The corpus on the real clock. A test binary of its own, so that nothing runs beside it.
//!
//! Moments whose order matters are about 15 ms apart. A machine that holds the process up for longer at a
//! bad moment spoils a run, so each program has some tries: on a busy machine several of them are spoilt. A
//! fault of the loop spoils all.

use std::path::Path;

#[path = "../examples/scenario/program.rs"]
mod program;
#[path = "../examples/scenario/runner.rs"]
mod runner;

/// How often a program may run until it prints the trace. All but a few print it the first time.
const TRIES: usize = 50;

#[test]
fn all_scenarios_print_the_trace_of_node_on_the_real_clock() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 235);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario can be read");
        let scenario: program::Scenario = serde_json::from_str(&text).expect("a scenario");
        let mut traces =
            (0..TRIES).map(|_| runner::run(&scenario, false).expect("a loop can be made"));
        let passed = traces.any(|trace| {
            let same = Some(&trace) == scenario.expect.as_ref();
            if !same {
                eprintln!("{}: {trace:?}", scenario.name);
            }
            same
        });
        assert!(passed, "{}: Node printed {:?}", scenario.name, scenario.expect);
    }
}
