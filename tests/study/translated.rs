//! The lessons, and one program in several languages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::program::Scenario;
use super::{
    javascript, lesson_programs, lessons, listing, model, questions, races, runner, skeleton,
};

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

#[test]
fn a_race_says_that_it_is_one_and_nothing_else_is() {
    for program in lessons::all().into_iter().flat_map(|lesson| lesson.programs) {
        let scenario = program.scenario();
        let traces = races::traces(&scenario, runner::run(&scenario, true).unwrap());
        assert_eq!(traces.len() > 1, program.race, "{}: {traces:?}", program.name);
    }
}

#[test]
fn a_question_has_one_trace_of_a_good_length_and_its_seed_repeats_it() {
    for seed in [1, 2, 1000, u64::MAX] {
        let question = questions::question(seed);
        assert_eq!(question, questions::question(seed));
        let program: Scenario = serde_json::from_value(question["scenario"].clone()).unwrap();
        let trace = races::only_trace(&program).expect("no race");
        assert!((4..=12).contains(&trace.len()), "{seed}: {trace:?}");
        assert_eq!(runner::run(&program, true).unwrap(), trace, "{seed}");
    }
}

/// What Node prints. None without Node.
fn in_node(program: &Scenario, name: &str) -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in javascript::translate(program) {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let mut node = Command::new("node");
    let threads = program.pool.unwrap_or(4).to_string();
    let output =
        node.arg(folder.join("main.js")).env("UV_THREADPOOL_SIZE", threads).output().ok()?;
    assert!(output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn the_translation_of_each_lesson_prints_its_trace_in_node() {
    if Command::new("node").arg("--version").output().is_err() {
        return; // There is none to ask.
    }
    for (name, program) in lesson_programs() {
        let possible = races::traces(&program, runner::run(&program, true).unwrap());
        // A machine that is held up can spoil a run, and a busy one several.
        let mut seen = Vec::new();
        let is_right = |_: &u32| {
            seen.push(in_node(&program, &name).expect("Node runs"));
            possible.contains(&seen[seen.len() - 1])
        };
        let found = (0..20).find(is_right);
        assert!(found.is_some(), "{name}: {seen:?}, not {possible:?}");
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

/// The test that this crate is shipped with is what the page exports.
#[test]
fn the_exported_test_is_the_one_that_is_run_here() {
    let program = lessons::program("refreshed").unwrap();
    let exported = skeleton::of(&program);
    let own = include_str!("skeleton.rs");
    assert!(own.ends_with(&exported), "tests/study/skeleton.rs is to be\n{exported}");
}
