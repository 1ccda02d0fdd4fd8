//! What a run is told as: the lines of its recording, the labels, and the statements.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::asked::{self, Asked, Clock};
use super::common::{example, text};
use super::program::Scenario;
use super::{complete, conformance, ledger, lesson_programs, lessons};

/// The lines that the example writes for a program.
fn recorded(asked: &Asked) -> Vec<u8> {
    let mut child = example("study")
        .arg("--run")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), asked).unwrap();
    let output = child.wait_with_output().unwrap();
    let (succeeded, complaints) = (output.status.success(), output.stderr);
    let left = super::runs::Left { output: output.stdout, complaints, succeeded, cut_off: None };
    complete::lines(asked, &left, usize::MAX)
}

fn of(program: Scenario) -> Asked {
    Asked::Scenario { program, pool: None, clock: Clock::Virtual }
}

fn events(lines: &[u8]) -> Vec<Value> {
    text(lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a callback is told as, by either program.
type Row = (u64, String, Vec<String>, u64, Option<u64>, Option<String>);

/// The ledgers that the example scenario prints, by the names of the programs.
fn explained(programs: &[Scenario]) -> HashMap<String, Vec<Row>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-explained");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = example("scenario");
    command.arg("--json-lines");
    for (number, program) in programs.iter().enumerate() {
        let path = folder.join(format!("{number}.json"));
        std::fs::write(&path, serde_json::to_string(program).unwrap()).unwrap();
        command.arg(path);
    }
    let mut ledgers = HashMap::<String, Vec<Row>>::new();
    for line in events(&command.output().unwrap().stdout) {
        let name = line["scenario"].as_str().unwrap().to_owned();
        let word = |name: &str| line[name].as_str().map(str::to_owned);
        ledgers.entry(name).or_default().push((
            line["number"].as_u64().unwrap(),
            word("kind").unwrap(),
            serde_json::from_value(line["labels"].clone()).unwrap(),
            line["time_ns"].as_u64().unwrap(),
            line["armed_by"].as_u64(),
            word("statement"),
        ));
    }
    ledgers
}

#[test]
fn the_lines_of_a_run_have_the_statements_of_the_ledger() {
    let lessons = lesson_programs().into_iter().map(|(_, program)| program);
    let programs: Vec<_> = lessons.chain(conformance("").into_iter().step_by(5)).collect();
    let expected = explained(&programs);
    for program in programs {
        let name = program.name.clone();
        let told = complete::ledger_of(&recorded(&of(program)));
        let row = |line: &ledger::Line| {
            let armed_by = line.armed_by.map(|number| number as u64);
            let (number, at) = (line.number as u64, line.at.as_nanos() as u64);
            let statement = line.statement.map(str::to_owned);
            (number, line.kind.clone().into_owned(), line.labels.clone(), at, armed_by, statement)
        };
        let rows: Vec<Row> = told.lines.iter().map(row).collect();
        assert_eq!(rows, expected[&name], "{name}");
    }
}

/// Of a live program no statements are told: there the page tells them from the events.
#[test]
fn the_page_tells_from_the_events_alone_the_statements_of_the_ledger() {
    if Command::new("node").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no node on the PATH");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-why");
    std::fs::create_dir_all(&folder).unwrap();
    let lessons = lesson_programs().into_iter().map(|(_, program)| program);
    let held_up = serde_json::from_str(include_str!("../explain/held_up.json")).unwrap();
    let all = lessons.chain(conformance("").into_iter().step_by(3)).chain([held_up]).enumerate();
    let paths = all.map(|(number, program)| {
        let path = folder.join(format!("{number}.jsonl"));
        std::fs::write(&path, recorded(&of(program))).unwrap();
        path
    });
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/why.mjs");
    let output = Command::new("node").arg(own).args(paths).output().unwrap();
    let (told, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{complaints}");
    let count: usize = told.trim().trim_end_matches(" callbacks").parse().unwrap();
    assert!(count > 1500, "{count}");
}

#[test]
fn what_waits_has_the_label_that_it_will_say() {
    let events = events(&recorded(&of(lessons::program("refreshed").unwrap())));
    let armed =
        events.iter().filter(|event| event["what"] == "armed" || event["what"] == "refreshed");
    let names: Vec<_> = armed.map(|event| event["label"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "a"]);
    let began = events.iter().filter(|event| event["what"] == "began" && event["kind"] == "timer");
    let places: Vec<_> = began.map(|event| event["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["program:3:0", "program:2:0", "program:1:0"]);
}

#[test]
fn each_kind_of_operation_has_its_label_and_its_line_in_the_listing() {
    for (name, program) in lesson_programs() {
        let asked = of(program.clone());
        let text = super::listing::of(&program).text;
        let lines: Vec<_> = text.lines().collect();
        for event in events(&recorded(&asked)).iter().filter(|event| event["what"] == "began") {
            let kind = event["kind"].as_str().unwrap();
            // No operation is a main script, nor the hook that keeps a worker's ports.
            let place = event["place"].as_str().unwrap_or_default();
            if kind == "main" || (kind == "exit hook" && place.contains("runner.rs")) {
                continue;
            }
            let line = place.strip_prefix("program:").and_then(|rest| rest.split(':').next());
            let line = line.and_then(|line| line.parse::<usize>().ok());
            let line = line.unwrap_or_else(|| panic!("{name}: {event}"));
            let label = event["label"].as_str().unwrap();
            assert!(lines[line - 1].contains(label), "{name}: {event} in {:?}", lines[line - 1]);
        }
    }
}

#[test]
fn the_first_line_is_the_program_with_its_other_languages_and_the_words_of_its_statements() {
    let first = events(&recorded(&of(lessons::program("a-worker").unwrap()))).remove(0);
    assert_eq!(first["what"], "meta");
    let program = &first["program"];
    let again = asked::read(program["asked"].to_string().as_bytes()).unwrap();
    assert_eq!(again.to_json(), program["asked"]);
    let files: Vec<_> = program["others"]["javascript"].as_array().unwrap().iter().collect();
    assert_eq!(files.len(), 2, "the program and its worker");
    assert!(program["others"]["rust"].as_str().unwrap().contains("#[test]"));
    assert!(first["statements"]["O-1"].as_str().unwrap().contains("main script"));
}

#[test]
fn a_program_that_goes_on_and_on_is_cut_off_and_told_up_to_there() {
    let text = r#"{"name": "endless", "main": [{"op": "timeout", "id": "t", "ms": 1, "var": "v",
        "body": [{"op": "refresh", "var": "v"}]}]}"#;
    let lines = recorded(&of(serde_json::from_str(text).unwrap()));
    let errors = complete::errors(&lines);
    assert_eq!(errors, ["cut off after 2000 callbacks: it would go on and on"]);
    let said = events(&lines).iter().filter(|event| event["what"] == "said").count();
    assert_eq!(said, 2000);
}

#[test]
fn a_program_that_waits_for_ever_is_an_error_that_says_for_what() {
    let text = r#"{"name": "stuck", "main": [{"op": "channel", "a": "a", "b": "b"},
        {"op": "listen", "port": "a", "id": "never", "times": 1}]}"#;
    let errors = complete::errors(&recorded(&of(serde_json::from_str(text).unwrap())));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("port"), "{errors:?}");
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    for (text, why) in [
        ("", "this is no program"),
        ("{}", "language"),
        (r#"{"language": "cobol"}"#, "cobol"),
        (r#"{"language": "scenario", "program": {"name": "x", "main": [{"op": "leap"}]}}"#, "leap"),
        (r#"{"language": "scenario", "pool": 65, "program": {"name": "x", "main": []}}"#, "64"),
        (r#"{"language": "javascript", "files": {}}"#, "main.js"),
        (r#"{"language": "javascript", "files": {"main.js": "", "../x.js": ""}}"#, "../x.js"),
    ] {
        let error = asked::read(text.as_bytes()).map(|_| ()).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}
