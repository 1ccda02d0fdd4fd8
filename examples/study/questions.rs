//! Questions without end: the program of a seed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::generator::{Style, generate};
use super::program::Scenario;
use super::{javascript, races};

/// So many callbacks are a question that can be answered in a few minutes.
const CALLBACKS: std::ops::RangeInclusive<usize> = 4..=12;

/// From one question to the next there are so many seeds at most.
const SEEDS_MAX: u64 = 10_000;

/// The first program from this seed on that is a question: of a good length, without a race.
pub(crate) fn question(seed: u64) -> Value {
    let seeds = (0..SEEDS_MAX).map(|more| seed.wrapping_add(more));
    let found = seeds.filter_map(|seed| Some((seed, candidate(seed)?))).next();
    let Some((own, mut program)) = found else { return json!({"seed": seed, "scenario": null}) };
    program.name = format!("question {own}");
    let next = own.wrapping_add(1);
    let files = javascript::translate(&program);
    json!({"seed": own, "next": next, "scenario": program, "files": files})
}

fn candidate(seed: u64) -> Option<Scenario> {
    let program = generate(seed, Style::Spaced);
    // Cheaper than to look for races, and most fail here.
    let trace = super::model::run(&program, None).ok()?;
    let different: BTreeSet<_> = trace.iter().collect();
    let is_question = CALLBACKS.contains(&trace.len()) && different.len() == trace.len();
    (is_question && races::only_trace(&program).is_some()).then_some(program)
}
