//! A program with one seed after the other, until one fails.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::Sim;
use crate::clock;
use crate::observe::Recorder;

/// Names the one seed that is to be run.
const SEED: &str = "WINDLASS_SEED";

/// Names the faults that may strike in it, by their numbers, with commas between them.
const FAULTS: &str = "WINDLASS_FAULTS";

/// Names the file to which the run that fails is recorded, or the one that is run alone.
const TRACE: &str = "WINDLASS_TRACE";

/// How many events of each loop a recorded run keeps.
const EVENTS_MAX: usize = 1 << 17;

/// How often the line of progress changes.
const PROGRESS: Duration = Duration::from_millis(200);

/// How often a failing program is run again to find which of its faults matter.
const SHRINKS_MAX: usize = 100;

/// A program has failed with a seed.
///
/// # Examples
/// ```
/// use windlass::sim::{Sim, explore};
///
/// let failure = explore([7], Sim::new, || panic!("always")).unwrap_err();
/// assert_eq!(failure.seed, 7);
/// println!("{failure}");
/// ```
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The message of the panic of [`Sim::run`], with the seed.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; to run it alone: {SEED}={}", self.message, self.seed)
    }
}

impl Error for Failure {}

/// Runs the program once with each seed, in the simulation that `make` makes of it, and stops at
/// the first that panics. Returns how many were run.
///
/// On a terminal a line says how far it is. Of a program that fails with faults it is tried which
/// of them it takes to fail, be it with another message: those are named on the standard error,
/// and how to run it again with them alone.
///
/// With `WINDLASS_SEED=N` in the environment it runs that seed alone, whether it is among `seeds`
/// or not. Then `WINDLASS_FAULTS=0,3` lets only these of its faults strike. With
/// `WINDLASS_TRACE=FILE` the run that fails is recorded, or the one that is run alone, and written
/// to this file as [`Recording::write_chrome_trace`](crate::observe::Recording::write_chrome_trace)
/// does: it shows all of the run, in virtual time.
///
/// # Errors
/// The first [`Failure`].
///
/// # Panics
/// As [`Sim::run`] when a loop is running on this thread already. When the environment holds
/// something else than numbers.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::sim::{Faults, Sim, explore};
///
/// let make = |seed| Sim::new(seed).faults(Faults::default().request(0.5));
/// let count = explore(0..100, make, || {
///     windlass::fs::read("Cargo.toml").on_complete(|text| match text {
///         Ok(text) => assert!(!text.is_empty()),
///         Err(error) => println!("{error}"),
///     });
/// })?;
/// assert_eq!(count, 100);
/// # Ok::<(), windlass::sim::Failure>(())
/// ```
#[track_caller]
pub fn explore(
    seeds: impl IntoIterator<Item = u64>,
    mut make: impl FnMut(u64) -> Sim,
    program: impl Fn(),
) -> Result<u64, Failure> {
    if let Some(seed) = number_in(SEED) {
        let allowed = numbers_in(FAULTS);
        let sim = make(seed);
        let sim = Sim { allowed: allowed.or(sim.allowed.clone()), ..sim };
        return recorded(|| try_one(&sim, &program))
            .map_or(Ok(1), |(message, _)| Err(Failure { seed, message }));
    }
    let mut progress = Progress::new();
    let mut count = 0;
    for seed in seeds {
        let sim = make(seed);
        if let Some((message, struck)) = try_one(&sim, &program) {
            progress.end();
            say_how(&sim, &program, &message, &struck);
            return Err(Failure { seed, message });
        }
        count += 1;
        progress.show(count);
    }
    progress.end();
    Ok(count)
}

/// A fault that struck: its number, and what it was.
type Struck = (u64, &'static str);

/// Runs the program. None if it does not fail, else its message and the faults that struck.
fn try_one(sim: &Sim, program: &impl Fn()) -> Option<(String, Vec<Struck>)> {
    let (result, struck) = sim.try_run(|event_loop| event_loop.run(program));
    result.err().map(|message| (message, struck))
}

/// Says on the standard error how the program failed, with as few faults as it takes.
fn say_how(sim: &Sim, program: &impl Fn(), message: &str, struck: &[Struck]) {
    let mut text = format!("{message}\nto run it again: {SEED}={}", sim.seed);
    let mut smallest = sim.clone();
    if !struck.is_empty() {
        let needed = shrink(sim, program, struck);
        smallest.allowed = Some(needed.iter().map(|(number, _)| *number).collect());
        let numbers: Vec<_> = needed.iter().map(|(number, _)| number.to_string()).collect();
        text += &format!(
            "\nit takes {} of {} faults: {FAULTS}={}",
            needed.len(),
            struck.len(),
            numbers.join(",")
        );
        needed.iter().for_each(|(number, what)| text += &format!("\n  {number}: {what}"));
    }
    write(&(text + "\n"));
    if std::env::var_os(TRACE).is_some() {
        // The same failure once more.
        recorded(|| try_one(&smallest, program));
    }
}

/// Runs a program, and records it to the file that the environment names, if it does.
fn recorded<R>(run: impl FnOnce() -> R) -> R {
    let Some(path) = std::env::var_os(TRACE) else { return run() };
    let recorder = Recorder::detailed(EVENTS_MAX);
    let result = run();
    let recording = recorder.stop();
    let written = File::create(&path).and_then(|file| recording.write_chrome_trace(file));
    let path = path.display();
    write(&match written {
        Ok(()) => format!("its record: {path}\n"),
        Err(error) => format!("its record cannot be written to {path}: {error}\n"),
    });
    result
}

/// Faults with which the program fails, and of which none can be left out, as far as was tried.
fn shrink(sim: &Sim, program: &impl Fn(), struck: &[Struck]) -> Vec<Struck> {
    let mut kept = struck.to_vec();
    let mut tries = 0;
    let mut size = kept.len();
    // Large parts first, down to single ones.
    while size > 0 {
        let mut at = 0;
        while at < kept.len() && tries < SHRINKS_MAX {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(kept.len()));
            let allowed: BTreeSet<u64> = fewer.iter().map(|(number, _)| *number).collect();
            tries += 1;
            match try_one(&Sim { allowed: Some(allowed), ..sim.clone() }, program) {
                // What strikes in a run with fewer of them.
                Some((_, again)) => kept = again,
                None => at += size,
            }
        }
        size /= 2;
    }
    kept
}

/// The number in a variable of the environment, if it is set.
#[track_caller]
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("windlass: {variable} is a number, not {text:?}"),
    }
}

/// The numbers in a variable of the environment, if it is set.
#[track_caller]
fn numbers_in(variable: &str) -> Option<BTreeSet<u64>> {
    let text = std::env::var(variable).ok()?;
    let numbers = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    match numbers.map(str::parse).collect() {
        Ok(numbers) => Some(numbers),
        Err(_) => panic!("windlass: {variable} is a list of numbers, not {text:?}"),
    }
}

/// The line of progress, on terminals.
struct Progress {
    /// When it began. None where nobody looks.
    began: Option<Duration>,
    /// When the line was written last.
    shown: Duration,
}

impl Progress {
    fn new() -> Progress {
        let now = now();
        Progress { began: io::stderr().is_terminal().then_some(now), shown: now }
    }

    fn show(&mut self, count: u64) {
        let Some(began) = self.began else { return };
        let now = now();
        if now - self.shown < PROGRESS {
            return;
        }
        self.shown = now;
        let rate = count as f64 / (now - began).as_secs_f64();
        write(&format!("\r{count} seeds, {rate:.0} a second"));
    }

    /// Leaves the line empty.
    fn end(&mut self) {
        if self.began.is_some_and(|began| self.shown > began) {
            write("\r\x1b[K");
        }
        self.began = None;
    }
}

/// Writes to the standard error.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    // A line that cannot be shown is no failure of the program.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Real time since some moment.
fn now() -> Duration {
    Duration::from_nanos(clock::monotonic())
}
