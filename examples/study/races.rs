//! Which traces real time may make of a program.

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass::sim::{Faults, Sim};

use super::generator::Rng;
use super::model;
use super::program::{Op, Scenario};
use super::runner::{self, Said};

/// So many seeds are tried.
const SEEDS: u64 = 40;

/// More traces than these are not told apart.
const TRACES_MAX: usize = 12;

/// How long one looks for them.
const TIME_MAX: Duration = Duration::from_millis(700);

/// How often the model runs a program with noise.
const NOISY_RUNS: u64 = 200;

/// The trace that was seen, and others that it could have been: found by simulations, in which a seed
/// decides how long messages and jobs take, and which loop goes first. Every other script takes a
/// millisecond, so a timer of 0 ms may be due when it ends.
pub(crate) fn traces(program: &Scenario, seen: Vec<String>) -> Vec<Vec<String>> {
    let until = Instant::now() + TIME_MAX;
    let mut slow = program.clone();
    slow.main.push(Op::Block { ms: 1 });
    let mut others = BTreeSet::new();
    for seed in 0..SEEDS {
        // Whatever keeps a simulation from its end has been told of the run itself.
        let program = if seed % 2 == 0 { program } else { &slow };
        let run = || match program.pool {
            // A simulation has the usual pool. In one of its own what comes first is done first.
            Some(_) => runner::run(program, true).unwrap_or_default(),
            None => by_chance(program, seed),
        };
        if let Ok(trace) = panic::catch_unwind(AssertUnwindSafe(run)) {
            others.insert(trace);
        }
        if others.len() >= TRACES_MAX || Instant::now() > until {
            break;
        }
    }
    others.remove(&seen);
    std::iter::once(seen).chain(others).collect()
}

/// Runs a program in a simulation. One that is endless is ended.
fn by_chance(program: &Scenario, seed: u64) -> Vec<String> {
    let faults = Faults::default()
        .message_time(Duration::ZERO..=Duration::from_micros(500))
        .job_time(Duration::ZERO..=Duration::from_millis(6));
    let sim = Sim::new(seed).faults(faults).callbacks(10_000);
    runner::run_on(sim.event_loop(), program, Arc::new(|_: Said<'_>| ()))
}

/// The trace that a program has on every machine, here and in Node: the model knows of no other. None
/// if there are several, or none.
pub(crate) fn only_trace(program: &Scenario) -> Option<Vec<String>> {
    let first = model::run(program, None).ok()?;
    let same = |seed| model::run(program, Some(Rng::new(seed))).as_ref() == Ok(&first);
    (0..NOISY_RUNS).all(same).then_some(first)
}
