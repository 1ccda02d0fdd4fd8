//! `--explain`, `--events`, `--virtual`, `--seed`: what is seen of a program, and that each run is the same.

use std::process::{Command, Output};

const PROGRAM: &str = "\
setTimeout(() => {
  console.log('timer');
  process.nextTick(() => console.log('tick'));
}, 3600000);
setImmediate(() => console.log('immediate'));
console.log('main');
const end = Date.now() + 20;
while (Date.now() < end);
";

fn run(name: &str, program: &str, options: &[&str]) -> Output {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("observed_{name}.js"));
    std::fs::write(&file, program).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini_node"));
    command.args(options).arg(file).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn virtual_time_does_not_wait_and_goes_on_while_a_program_looks_at_the_clock() {
    let output = run("virtual", PROGRAM, &["--virtual"]);
    assert_eq!(printed(&output), "main\nimmediate\ntimer\ntick\n");
}

#[test]
fn a_seed_is_the_same_run_each_time_with_its_dates_and_its_dice() {
    let program = "console.log(new Date().toISOString(), Math.random(), performance.now())";
    let first = printed(&run("seed_a", program, &["--seed", "7"]));
    assert_eq!(printed(&run("seed_b", program, &["--seed", "7"])), first);
    assert_ne!(printed(&run("seed_c", program, &["--seed", "8"])), first);
}

#[test]
fn the_ledger_has_the_lines_of_the_script_and_the_statements_of_the_guide() {
    let table = printed(&run("explain", PROGRAM, &["--explain"]));
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    let has =
        |words: &[&str]| rows.iter().any(|row| row.windows(words.len()).any(|part| part == words));
    assert!(has(&["main:", "main"]), "{table}");
    assert!(has(&["check", "immediate:", "observed_explain.js:5,", "immediate"]), "{table}");
    assert!(has(&["timers", "timer:", "observed_explain.js:1,", "timer"]), "{table}");
    assert!(has(&["tick:", "observed_explain.js:3,", "tick"]), "{table}");
    assert!(table.contains("\nO-10: After every callback all ticks run"), "{table}");
}

#[test]
fn events_are_lines_of_json_with_what_was_printed_and_where_it_was_registered() {
    let text = printed(&run("events", PROGRAM, &["--events"]));
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = events.iter().filter(|event| event["what"] == "said").collect();
    let texts: Vec<_> = said.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["main", "immediate", "timer", "tick"]);
    let began =
        |id: &serde_json::Value| events.iter().find(|it| it["what"] == "began" && it["id"] == *id);
    let label = &began(&said[2]["id"]).unwrap()["label"];
    assert_eq!((&label["name"], &label["line"]), (&"setTimeout".into(), &1.into()));
}

#[test]
fn a_program_that_fails_fails_when_it_is_seen_too() {
    let output = run("fails", "setTimeout(() => { throw new Error('late'); }, 1);", &["--events"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("late"), "{output:?}");
}

#[test]
fn a_program_that_goes_on_and_on_is_cut_off_and_told_up_to_there() {
    for (name, program) in [
        ("intervals", "setInterval(() => {}, 0);"),
        ("immediates", "(function again() { setImmediate(again); })();"),
        ("ticks", "(function again() { process.nextTick(again); })();"),
        ("lines", "while (true) console.log('x');"),
        ("at_once", "console.log('x\\n'.repeat(1e6)); console.log('x');"),
    ] {
        let output = run(name, program, &["--events"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let text = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["what"], "error", "{name}: {last}");
        let why = "cut off after 2000 callbacks and lines of output: it would go on and on";
        assert_eq!(last["text"], why, "{name}");
        assert!(text.len() < 8 << 20, "{name}: {}", text.len());
    }
}

#[test]
fn a_question_without_sense_is_answered_with_the_usage() {
    let output = run("wrong", "", &["--real", "--virtual"]);
    assert_eq!(output.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: mini_node"), "{output:?}");
}
