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

/// So many runs there are at least, and after a trace that is new four times as many as it took to
/// find it.
const RUNS_MIN: u64 = 60;

/// More traces than these are not told apart.
const TRACES_MAX: usize = 500;

/// How long one looks for them.
const TIME_MAX: Duration = Duration::from_millis(700);

/// How often the model runs a program with noise.
const NOISY_RUNS: u64 = 200;

/// What can come of a program.
#[derive(Debug, Serialize)]
pub(crate) struct Possible {
    /// The trace that was seen, and others that it could have been.
    pub(crate) traces: Vec<Vec<String>>,
    /// In so many runs these were found.
    pub(crate) runs: u64,
}

/// What could have come instead of the trace that was seen. It is found by simulations of the real
/// loop, in which a seed decides how long all things take that take time on a machine, and which
/// loop goes first.
pub(crate) fn possible(program: &Scenario, seen: Vec<String>) -> Possible {
    let until = Instant::now() + TIME_MAX;
    let mut others = BTreeSet::new();
    let (mut runs, mut enough) = (0, RUNS_MIN);
    while runs < enough && others.len() < TRACES_MAX && Instant::now() < until {
        // Whatever keeps a simulation from its end has been told of the run itself.
        let run = || by_chance(program, runs);
        let trace = panic::catch_unwind(AssertUnwindSafe(run)).ok().flatten();
        runs += 1;
        if trace.is_some_and(|trace| others.insert(trace)) {
            enough = enough.max(4 * runs);
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
