//! Which traces real time may make of a program.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use windlass::sim::{Faults, Sim};

use super::generator::Rng;
use super::model;
use super::program::Scenario;
use super::runner::{self, Said};

/// So many runs there are at least, however long they take: enough for what a lesson shows.
pub(crate) const RUNS_MIN: u64 = 60;

/// More traces than these are not told apart.
const TRACES_MAX: usize = 500;

/// So long one looks for more: after a trace that is new, in four times as many runs as it took to
/// find it.
const TIME_MAX: Duration = Duration::from_millis(700);

/// How often the model runs a program with noise.
const NOISY_RUNS: u64 = 200;

/// What can come of a program.
#[derive(Debug, Serialize)]
pub(crate) struct Possible {
    /// The trace that was seen, and others that it could have been.
    pub(crate) traces: Vec<Vec<String>>,
    /// So many runs were made to find the others.
    pub(crate) runs: u64,
}

/// What could have come instead of the trace that was seen.
pub(crate) fn possible(program: &Scenario, seen: Vec<String>) -> Possible {
    let until = Instant::now() + TIME_MAX;
    let goes_on = |runs, newest| runs < RUNS_MIN || runs < 4 * newest && Instant::now() < until;
    found(program, seen, goes_on)
}

/// The same in this number of runs: whatever the machine, these traces are found.
#[allow(dead_code)] // Only tests want it.
pub(crate) fn possible_in(runs: u64, program: &Scenario, seen: Vec<String>) -> Possible {
    found(program, seen, |made, _| made < runs)
}

/// What is found by simulations of the real loop, in which a seed decides how long all things take
/// that take time on a machine, and which loop goes first. `goes_on` is asked before each run. It is
/// given how many there were, and how many there were with the last trace that was new.
fn found(program: &Scenario, seen: Vec<String>, goes_on: impl Fn(u64, u64) -> bool) -> Possible {
    let mut others = BTreeSet::new();
    let (mut runs, mut newest) = (0, 0);
    while others.len() < TRACES_MAX && goes_on(runs, newest) {
        // Whatever keeps a simulation from its end has been told of the run itself.
        let run = || by_chance(program, runs);
        let trace = panic::catch_unwind(AssertUnwindSafe(run)).ok().flatten();
        runs += 1;
        if trace.is_some_and(|trace| others.insert(trace)) {
            newest = runs;
        }
    }
    others.remove(&seen);
    Possible { traces: std::iter::once(seen).chain(others).collect(), runs }
}

/// Machines of several kinds. What decides an order is mostly one thing that takes long, and rarely
/// all of them at once: a machine on which everything is slow shows few orders.
fn machine(seed: u64) -> Faults {
    let up_to =
        |ms: u64| -> RangeInclusive<Duration> { Duration::ZERO..=Duration::from_millis(ms) };
    let quick = Faults::default().message_time(Duration::ZERO..=Duration::from_micros(500));
    match seed % 5 {
        0 => quick.job_time(up_to(6)),
        // A script takes long enough that a timer of 0 ms is due when it ends.
        1 => quick.callback_time(up_to(2)),
        2 => quick.start_time(up_to(10)).callback_time(up_to(1)),
        3 => quick.start_time(up_to(200)).job_time(up_to(12)),
        _ => quick.message_time(up_to(5)).start_time(up_to(10)),
    }
}

/// Runs a program by chance. One that is endless is ended. None if it cannot end.
fn by_chance(program: &Scenario, seed: u64) -> Option<Vec<String>> {
    // A simulation has the pool that all loops share; of one with other threads the model knows.
    if program.pool.is_some() {
        return model::run(program, Some(Rng::new(seed))).ok();
    }
    let sim = Sim::new(seed).faults(machine(seed)).callbacks(10_000);
    Some(runner::run_on(sim.event_loop(), program, Arc::new(|_: Said<'_>| ())))
}

/// The trace that a program has on every machine, here and in Node: the model knows of no other. None
/// if there are several, or none.
pub(crate) fn only_trace(program: &Scenario) -> Option<Vec<String>> {
    let first = model::run(program, None).ok()?;
    let same = |seed| model::run(program, Some(Rng::new(seed))).as_ref() == Ok(&first);
    (0..NOISY_RUNS).all(same).then_some(first)
}
