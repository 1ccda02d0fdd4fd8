//! `examples/study`: its lessons, the languages of a program, what a run is told as, and who is
//! served.

#![allow(dead_code)] // Of the example's parts not all is used here.

#[path = "../examples/study/asked.rs"]
mod asked;
mod common;
#[path = "../examples/study/complete.rs"]
mod complete;
#[path = "../examples/scenario/generator.rs"]
mod generator;
#[path = "../examples/study/javascript.rs"]
mod javascript;
#[path = "../examples/scenario/ledger.rs"]
mod ledger;
#[path = "../examples/study/lessons.rs"]
mod lessons;
#[path = "../examples/study/listing.rs"]
mod listing;
#[path = "../examples/scenario/model.rs"]
mod model;
#[path = "../examples/scenario/order.rs"]
mod order;
#[path = "../examples/scenario/program.rs"]
mod program;
#[path = "../examples/study/questions.rs"]
mod questions;
#[path = "../examples/study/races.rs"]
mod races;
#[path = "../examples/scenario/runner.rs"]
mod runner;
#[path = "../examples/study/runs.rs"]
mod runs;
#[path = "../examples/study/skeleton.rs"]
mod skeleton;

#[path = "study/exported.rs"]
mod exported;
#[path = "study/scripts.rs"]
mod scripts;
#[path = "study/served.rs"]
mod served;
#[path = "study/told.rs"]
mod told;
#[path = "study/translated.rs"]
mod translated;

use std::path::Path;

use program::Scenario;

/// All programs of the lessons, with their names.
fn lesson_programs() -> Vec<(String, Scenario)> {
    let programs = lessons::all().into_iter().flat_map(|lesson| lesson.programs);
    programs.map(|program| (program.name.clone(), program.scenario())).collect()
}

/// The conformance programs of a folder: those that throw have one of their own.
fn conformance(folder: &str) -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(folder);
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let load = |path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    paths.into_iter().map(load).collect()
}
