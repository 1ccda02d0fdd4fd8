//! `examples/scenario --explain`: the ledger says what ran, in which order, armed by what, and which
//! statement of the guide says so.

mod common;
#[path = "../examples/scenario/ledger.rs"]
mod ledger;
#[path = "../examples/scenario/order.rs"]
mod order;
#[path = "../examples/scenario/program.rs"]
mod program;
#[path = "../examples/scenario/record.rs"]
mod record;
#[path = "../examples/scenario/runner.rs"]
mod runner;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::example;
use ledger::{Ledger, Line};
use program::Scenario;

/// A recorder sees all loops of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(name)
}

/// The programs of a folder, in order of their numbers.
fn programs(name: &str) -> Vec<Scenario> {
    let paths = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let load = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    paths.iter().map(|path| serde_json::from_str(&load(path)).unwrap()).collect()
}

fn explain(scenario: &Scenario) -> Ledger {
    let ledger = record::record(scenario).unwrap();
    assert_eq!(ledger.dropped, 0);
    ledger
}

fn is_of_main(ledger: &Ledger, line: &Line) -> bool {
    ledger.loops[&line.track] == "main"
}

#[test]
fn the_ledger_has_the_labels_of_the_trace_in_their_order() {
    let _alone = alone();
    for scenario in programs("").into_iter().chain(programs("throws")) {
        let trace = runner::run(&scenario, true).unwrap();
        let ledger = explain(&scenario);
        let lines = ledger.lines.iter().filter(|line| is_of_main(&ledger, line));
        let labels: Vec<_> = lines.flat_map(|line| &line.labels).collect();
        assert_eq!(labels, trace.iter().collect::<Vec<_>>(), "{}", scenario.name);
    }
}

#[test]
fn each_line_but_the_first_has_an_earlier_one_that_armed_it_and_its_time_is_not_before() {
    let _alone = alone();
    for scenario in programs("").into_iter().chain(programs("throws")) {
        let ledger = explain(&scenario);
        for (index, line) in ledger.lines.iter().enumerate() {
            assert_eq!(line.number, index + 1);
            match line.armed_by {
                None => assert_eq!((line.number, &*line.kind), (1, "main"), "{}", scenario.name),
                Some(by) => {
                    let by = &ledger.lines[by - 1];
                    assert!(by.number < line.number, "{}: {line:?}", scenario.name);
                    assert!(by.at <= line.at, "{}: {line:?}", scenario.name);
                }
            }
        }
    }
}

/// The guide names a program for each of these statements. The rule finds the statement there, at
/// the callback with this label.
#[test]
fn the_statement_is_the_one_for_which_the_guide_names_the_program() {
    let _alone = alone();
    let guide = include_str!("../src/guide/order.md");
    let all = programs("");
    let mut missing = Vec::new();
    for (number, name, label) in [
        ("O-2", "010-main-overdue-timer-before-immediate", "t1"),
        ("O-2", "011-first-iteration", "t1"),
        ("O-7", "326-close-last-first", "qc"),
        ("O-11", "002-tick-queue-to-exhaustion", "n3"),
        ("O-11", "003-microtask-queue-to-exhaustion", "m3"),
        ("O-12", "004-drain-alternates", "n0"),
        ("O-17", "013-same-duration-fifo", "b"),
        ("O-17", "014-zero-is-one", "b"),
        ("O-21", "018-due-during-pass-waits", "t2"),
        ("O-23", "036-interval-rearmed-after-callback", "v"),
        ("O-24", "026-interval-no-catch-up", "v"),
        ("O-27", "028-refresh-fired", "t1"),
        ("O-28", "008-immediate-from-immediate", "i2"),
        ("O-29", "009-io-immediate-before-timeout", "i1"),
        ("O-29", "012-timer-callback-immediate-first", "i1"),
        ("O-32", "053-pool-request-from-completion", "s2"),
        ("O-35", "054-channel-fifo-drain", "c:b"),
        ("O-36", "047-message-while-draining", "c:c"),
        ("O-37", "049-close-phase", "d1"),
        ("O-38", "056-worker-check-before-timers", "i1"),
        ("O-55", "032-before-exit", "b1"),
        ("O-56", "033-exit-handler", "e1"),
    ] {
        let statement = guide.split(&format!("- **{number}** ")).nth(1).expect("it exists");
        let statement = statement.split("- **O-").next().unwrap();
        assert!(statement.contains(name), "{number} names {name}");
        let scenario = all.iter().find(|scenario| scenario.name == name).expect("it exists");
        let ledger = explain(scenario);
        let has = |line: &&Line| line.labels.iter().any(|one| one == label);
        let found: Vec<_> =
            ledger.lines.iter().filter(has).filter_map(|line| line.statement).collect();
        if !found.contains(&number) {
            missing.push(format!("{number} at {label}:\n{}{}", scenario.name, ledger.table()));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn only_an_interval_that_came_a_period_or_more_after_it_was_due_was_held_up() {
    let _alone = alone();
    let program = serde_json::from_str(include_str!("explain/held_up.json")).unwrap();
    let ledger = explain(&program);
    let intervals = ledger.lines.iter().filter(|line| line.kind == "interval");
    let told: Vec<_> =
        intervals.map(|it| (&*it.labels[0], it.at.as_millis(), it.statement.unwrap())).collect();
    let expected = [
        ("refreshed", 10, "O-5"),
        ("refreshed", 32, "O-23"),
        ("armed late", 90, "O-5"),
        ("held up", 130, "O-24"),
    ];
    assert_eq!(told, expected, "{}", ledger.table());
}

#[test]
fn a_timer_that_was_chosen_before_a_drain_refreshed_it_is_one_of_its_list() {
    let _alone = alone();
    let all = programs("");
    let program = all.iter().find(|it| it.name == "320-refresh-next-timer-in-drain").unwrap();
    let ledger = explain(program);
    let line = ledger.lines.iter().find(|line| line.labels == ["t2"]).unwrap();
    assert_eq!(line.statement, Some("O-17"), "{}", ledger.table());
}

/// Two due timers, one of another delay, a tick, and a worker.
const SMALL: &str = r#"{
  "name": "small",
  "main": [
    {"op": "timeout", "id": "a", "ms": 10, "body": [{"op": "tick", "id": "tick"}]},
    {"op": "timeout", "id": "b", "ms": 10},
    {"op": "timeout", "id": "c", "ms": 5, "body": [{"op": "block", "ms": 20}]},
    {"op": "log", "id": "main"},
    {"op": "worker", "id": "w", "var": "w", "program": [{"op": "log", "id": "up"}]}
  ]
}"#;

#[test]
fn the_table_of_a_small_program_is_this() {
    let _alone = alone();
    let ledger = explain(&serde_json::from_str(SMALL).unwrap());
    assert_eq!(ledger.table(), include_str!("explain/small.txt"));
    let statements = ledger.statements();
    assert!(statements.starts_with("O-1: The main script runs first, then its ticks and"));
    // Without the tests that the guide names for it.
    let o_17 = "\nO-17: Timers of one delay form a list, and fire in the order they were armed. 0 \
        counts as one millisecond, and a fraction of one as a whole one.\n";
    assert!(statements.contains(o_17), "{statements}");
}

#[test]
fn json_lines_say_what_the_table_says() {
    let _alone = alone();
    let ledger = explain(&serde_json::from_str(SMALL).unwrap());
    let text = ledger.json_lines("small");
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), ledger.lines.len());
    for (object, line) in objects.iter().zip(&ledger.lines) {
        assert_eq!(object["scenario"], "small");
        assert_eq!(object["number"], line.number);
        assert_eq!(object["loop"], ledger.loops[&line.track]);
        assert_eq!(object["labels"], serde_json::to_value(&line.labels).unwrap());
        assert_eq!(object["kind"], *line.kind);
        assert_eq!(object["time_ns"], line.at.as_nanos() as u64);
        assert_eq!(object["armed_by"], serde_json::to_value(line.armed_by).unwrap());
        assert_eq!(object["statement"], serde_json::to_value(line.statement).unwrap());
        assert_eq!(object["phase"].is_null(), object["iteration"].is_null());
    }
}

/// The text between a line that begins a block of this kind and the one that ends it.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    page.split(&format!("```{kind}\n")).nth(1).and_then(|it| it.split("```").next()).unwrap()
}

#[test]
fn the_guide_shows_what_is_printed_for_its_program() {
    let _alone = alone();
    let page = include_str!("../src/guide/seeing.md");
    let scenario: Scenario = serde_json::from_str(block(page, "json")).unwrap();
    let bare = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let printed = format!("lunch\n{}", explain(&scenario).table());
    let behind = page.split_once("```json\n").unwrap().1;
    let shown = block(behind, "text").split_once('\n').unwrap().1;
    assert_eq!(bare(shown), bare(&printed));
}

/// A program of a user, in a folder of its own.
fn user_file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the example with this input.
fn scenario(args: &[&str], file: &Path, input: &str) -> Output {
    let mut command = example("scenario");
    command.args(args).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok(); // It may not read it.
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn the_example_prints_the_ledger_as_a_table_and_as_json_lines() {
    let file = user_file("small.json", SMALL);
    let output = scenario(&["--explain"], &file, "");
    assert!(output.status.success());
    assert!(printed(&output).starts_with(concat!("small\n", include_str!("explain/small.txt"))));
    for args in [&["--json-lines"][..], &["--explain", "--json-lines"]] {
        let output = scenario(args, &file, "");
        let objects = printed(&output).lines().map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(objects.map(Result::unwrap).count(), 9);
    }
}

#[test]
fn a_prediction_is_judged_and_its_first_difference_marked() {
    let file = folder("005-drain-between-timers-of-one-list.json");
    let output = scenario(&["--predict"], &file, "t1 t2\nt3 n1 m1 n2 m2\n\nnot read\n");
    assert!(output.status.success());
    let text = printed(&output);
    assert!(text.contains("\n    m1 m2 n1 n2 t1 t2 t3\n"), "it names the labels: {text}");
    assert!(
        text.contains("right up to callback 1\n    guess  ours\n    t1     t1\n>>> t2     n1\n")
    );
    assert_eq!(text.matches(">>>").count(), 1, "{text}");
    let output = scenario(&["--predict"], &file, "t1 n1 m1 t2 n2 m2 t3");
    assert!(printed(&output).ends_with("right, to the last callback\n"));
}

#[test]
fn an_expectation_is_node_s_in_the_corpus_and_else_the_users() {
    let throws = folder("throws").join("040-throw-in-tick.json");
    let text = printed(&scenario(&["--throws"], &throws, "")).to_owned();
    assert!(text.contains("\n    Node  ours\n"), "{text}");
    let with = SMALL.replace("\n  ]\n}", "\n  ], \"expect\": [\"main\", \"a\"]\n}");
    let output = scenario(&[], &user_file("expects.json", &with), "");
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(
        text.contains("\n    expected  ours\n    main      main\n>>> a         w:up\n"),
        "{text}"
    );
}

#[test]
fn a_program_that_expects_nothing_has_its_trace_printed() {
    let output = scenario(&[], &user_file("small.json", SMALL), "");
    assert!(output.status.success());
    let text = printed(&output);
    assert!(text.contains(": expects nothing, prints\n    main\n    w:up\n"), "{text}");
    assert!(text.ends_with("\n0 passed, 0 failed\n"), "{text}");
}
