//! The lessons: programs as data, ten files of them.
//!
//! Each program stands there as a scenario. The same in JavaScript is its translation.

use serde::Deserialize;
use serde_json::{Value, json};

use super::javascript;
use super::program::{Body, Scenario};

/// The texts, in the order of the lessons.
const TEXTS: [&str; 10] = [
    include_str!("lessons/01-main-script.json"),
    include_str!("lessons/02-ticks-and-microtasks.json"),
    include_str!("lessons/03-immediates-and-timers.json"),
    include_str!("lessons/04-lists-of-timers.json"),
    include_str!("lessons/05-poll-and-pool.json"),
    include_str!("lessons/06-close.json"),
    include_str!("lessons/07-ports.json"),
    include_str!("lessons/08-workers.json"),
    include_str!("lessons/09-blocking.json"),
    include_str!("lessons/10-races.json"),
];

/// Some programs on one subject.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lesson {
    pub name: String,
    pub title: String,
    /// What there is to learn.
    pub about: String,
    pub programs: Vec<Program>,
}

/// A program of a lesson.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Unique among all programs.
    pub name: String,
    pub title: String,
    /// What there is to find out.
    pub about: String,
    #[serde(default)]
    pub pool: Option<usize>,
    /// Real time decides its order.
    #[serde(default)]
    pub race: bool,
    pub main: Body,
}

impl Program {
    pub(crate) fn scenario(&self) -> Scenario {
        let (name, main) = (self.title.clone(), self.main.clone());
        Scenario { name, pool: self.pool, main, expect: None }
    }
}

/// All lessons.
pub(crate) fn all() -> Vec<Lesson> {
    let lesson = |text| serde_json::from_str(text).expect("the lessons are tested");
    TEXTS.into_iter().map(lesson).collect()
}

/// The program of this name.
pub(crate) fn program(name: &str) -> Option<Scenario> {
    let mut programs = all().into_iter().flat_map(|lesson| lesson.programs);
    programs.find(|program| program.name == name).map(|program| program.scenario())
}

/// The lessons as the page gets them.
pub(crate) fn json() -> String {
    let lessons = all().into_iter().map(|lesson| {
        let programs = lesson.programs.iter().map(program_json);
        json!({
            "name": lesson.name,
            "title": lesson.title,
            "about": lesson.about,
            "programs": programs.collect::<Vec<_>>(),
        })
    });
    lessons.collect::<Value>().to_string()
}

fn program_json(program: &Program) -> Value {
    let scenario = program.scenario();
    json!({
        "name": program.name,
        "title": program.title,
        "about": program.about,
        "scenario": scenario,
        "files": javascript::translate(&scenario),
        "race": program.race,
    })
}
