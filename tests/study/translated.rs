//! The lessons, and one program in several languages.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::program::Scenario;
use super::scripts::mini_node;
use super::served::Server;
use super::{javascript, lesson_programs, lessons, listing, model, questions, races, runner};

#[test]
fn there_are_thirty_programs_in_ten_lessons_each_of_them_with_a_name_of_its_own() {
    let lessons = lessons::all();
    assert_eq!(lessons.len(), 10);
    let names: BTreeSet<_> = lesson_programs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), lesson_programs().len());
    assert!(names.len() >= 30, "{}", names.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
}

#[test]
fn the_loop_and_the_model_agree_on_each_lesson() {
    for (name, program) in lesson_programs() {
        let trace = runner::run(&program, true).unwrap();
        assert_eq!(Ok(&trace), model::run(&program, None).as_ref(), "{name}");
        assert!(trace.len() >= 2, "{name} is a question: {trace:?}");
    }
}

/// All traces that a program can have, as far as so many runs show them.
fn possible_in(runs: u64, program: &Scenario) -> Vec<Vec<String>> {
    races::possible_in(runs, program, runner::run(program, true).unwrap()).traces
}

/// The same, in enough runs for any program here.
fn possible(program: &Scenario) -> Vec<Vec<String>> {
    possible_in(2 * races::RUNS_MIN, program)
}

/// So many runs are made by a machine of any speed.
#[test]
fn what_a_lesson_can_do_is_found_in_the_least_number_of_runs() {
    for (name, program) in lesson_programs() {
        let all: BTreeSet<_> = possible(&program).into_iter().collect();
        let found: BTreeSet<_> = possible_in(races::RUNS_MIN, &program).into_iter().collect();
        assert_eq!(found, all, "{name}");
    }
}

#[test]
fn a_race_says_that_it_is_one_and_nothing_else_is() {
    for program in lessons::all().into_iter().flat_map(|lesson| lesson.programs) {
        let scenario = program.scenario();
        let traces = possible(&scenario);
        assert_eq!(traces.len() > 1, program.race, "{}: {traces:?}", program.name);
    }
}

#[test]
fn each_order_of_two_workers_that_end_is_found_and_none_that_cannot_be() {
    let program = lessons::program("two-workers").unwrap();
    let found: BTreeSet<_> = possible(&program).into_iter().collect();
    let order = |labels: &str| labels.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let expected = [
        "V:hello V:exit(0) W:hello W:exit(0)",
        "V:hello W:hello V:exit(0) W:exit(0)",
        "V:hello W:hello W:exit(0) V:exit(0)",
        "W:hello V:hello V:exit(0) W:exit(0)",
        "W:hello V:hello W:exit(0) V:exit(0)",
        "W:hello W:exit(0) V:hello V:exit(0)",
    ];
    assert_eq!(found, expected.map(order).into());
}

#[test]
fn a_question_has_one_trace_of_a_good_length_and_its_seed_repeats_it() {
    for seed in [1, 2, 1000, u64::MAX] {
        let question = questions::question(seed);
        assert_eq!(question, questions::question(seed));
        let program: Scenario = serde_json::from_value(question["scenario"].clone()).unwrap();
        let trace = races::only_trace(&program).expect("no race");
        assert!((4..=12).contains(&trace.len()), "{seed}: {trace:?}");
        assert_eq!(possible(&program), [trace], "{seed}");
    }
}

/// What a program that runs JavaScript prints of a translation.
fn printed_by(runtime: &Path, options: &[&str], program: &Scenario, name: &str) -> Vec<String> {
    let own = runtime.file_name().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study").join(own).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in javascript::translate(program) {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let mut command = Command::new(runtime);
    command.args(options).arg(folder.join("main.js"));
    command.env("UV_THREADPOOL_SIZE", program.pool.unwrap_or(4).to_string());
    let output = command.output().expect("it runs");
    assert!(output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The same program with longer times: each moment comes so many times as late.
fn stretched(program: &Scenario, by: u64) -> Scenario {
    fn stretch(value: &mut Value, by: u64) {
        match value {
            Value::Array(all) => all.iter_mut().for_each(|it| stretch(it, by)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_u64() {
                        Some(time) if name == "ms" => *value = (time * by).into(),
                        _ => stretch(value, by),
                    }
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(program).unwrap();
    stretch(&mut value, by);
    serde_json::from_value(value).unwrap()
}

/// Each lesson prints its trace there, on the real clock.
fn each_lesson_prints_its_trace_in(runtime: &Path) {
    for (name, program) in lesson_programs() {
        let possible = possible(&program);
        // A machine that is held up can spoil a run. On one that is slow all the time a timer is
        // due before the script has ended: its moments are put further apart.
        let mut seen = Vec::new();
        let is_right = |by: u64| {
            seen.push(printed_by(runtime, &[], &stretched(&program, by), &name));
            possible.contains(&seen[seen.len() - 1])
        };
        let found = [1, 1, 2, 4, 8, 16, 32, 64].into_iter().any(is_right);
        assert!(found, "{name}: {seen:?}, not {possible:?}");
    }
}

#[test]
fn the_translation_of_each_lesson_prints_its_trace_in_node() {
    if Command::new("node").arg("--version").output().is_ok() {
        each_lesson_prints_its_trace_in(Path::new("node"));
    } else {
        eprintln!("skipped: there is no node on the PATH");
    }
}

#[test]
fn the_translation_of_each_lesson_prints_its_trace_in_mini_node() {
    if let Some(mini_node) = mini_node() {
        each_lesson_prints_its_trace_in(&mini_node);
    }
}

/// What the page shows as the output: what the callbacks of the main loop have said.
fn shown(events: &[Value]) -> Vec<&str> {
    let began = events.iter().filter(|event| event["what"] == "began");
    let tracks: HashMap<u64, u64> = began
        .clone()
        .map(|it| (it["id"].as_u64().unwrap(), it["track"].as_u64().unwrap()))
        .collect();
    let main = began.clone().next().expect("a callback")["track"].as_u64();
    let said = events.iter().filter(|event| event["what"] == "said");
    let is_main = |event: &&Value| tracks.get(&event["id"].as_u64().unwrap()).copied() == main;
    said.filter(is_main).map(|event| event["text"].as_str().unwrap()).collect()
}

#[test]
fn the_page_shows_of_each_lesson_in_mini_node_what_it_shows_of_its_operations() {
    let Some(mini_node) = mini_node() else { return };
    let server = Server::with(&["--mini-node".as_ref(), mini_node.as_os_str()]);
    for (name, program) in lesson_programs() {
        let possible = possible(&program);
        let files = javascript::translate(&program);
        let mut asked = json!({"language": "javascript", "files": files});
        if let Some(threads) = program.pool {
            asked["pool"] = threads.into();
        }
        let (status, events) = server.run(&asked);
        assert_eq!(status, 200, "{name}");
        assert!(events.iter().all(|event| event["what"] != "error"), "{name}: {events:?}");
        // One, unless it is a race.
        let shown = shown(&events);
        assert!(possible.iter().any(|trace| *trace == shown), "{name}: {shown:?}, {possible:?}");
    }
}

/// Random programs, as they are asked on the page: each prints its trace in JavaScript too.
#[test]
fn the_translations_of_questions_print_their_traces_in_mini_node() {
    let Some(mini_node) = mini_node() else { return };
    let mut seed = 1;
    for _ in 0..60 {
        let question = questions::question(seed);
        seed = question["next"].as_u64().unwrap();
        let program: Scenario = serde_json::from_value(question["scenario"].clone()).unwrap();
        let printed = printed_by(&mini_node, &["--virtual"], &program, &program.name);
        assert_eq!(printed, runner::run(&program, true).unwrap(), "{question}");
    }
}

#[test]
fn a_listing_has_a_line_for_each_operation_and_knows_where_each_label_stands() {
    for (name, program) in lesson_programs() {
        let listing = listing::of(&program);
        let lines: Vec<_> = listing.text.lines().collect();
        for (label, line) in &listing.lines {
            let label = label.trim_start_matches('!');
            assert!(lines[line - 1].contains(label), "{name}: {label} in {:?}", lines[line - 1]);
        }
    }
}
