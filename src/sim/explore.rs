//! A program with one seed after the other, until one fails.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Once;
use std::time::Duration;

use super::{Failed, Sim};
use crate::clock;
use crate::observe::Recorder;
use crate::state::current;
use crate::virtual_time::chance::{Chance, Fault};

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
const SHRINKS_MAX: u64 = 100;

/// A program has failed with a seed.
///
/// It is shown, also by `{:?}` and so by `unwrap`, with all that [`explore`] has found out: the
/// message, how to run the program in this way again, and which faults it takes.
///
/// # Examples
/// ```
/// use windlass::sim::{Sim, explore};
///
/// let failure = explore([7], Sim::new, || panic!("always")).unwrap_err();
/// assert_eq!(failure.seed, 7);
/// assert_eq!(failure.to_string(), "seed 7: always\nto run it again: WINDLASS_SEED=7");
/// ```
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The message of the panic of [`Sim::run`], with the seed.
    pub message: String,
    /// How to run it again, and what else is known of it: lines.
    more: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.message, self.more)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}

/// Runs the program once with each seed, in the simulation that `make` makes of it, and stops at
/// the first that panics. Returns how many were run.
///
/// A program that fails is run some more times: once more as it was, and, if there were faults,
/// with fewer of them until each that is left is needed for it to fail, be it with another message.
/// The [`Failure`] says what came of it, and says so when the second run was not the same as the
/// first: then something in the program does not come from the simulation. The panics of these runs
/// are not printed; for that the first failure adds to the panic hook of the process one that knows
/// them.
///
/// On a terminal a line says how far it is.
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
/// something else than numbers, or faults without a seed.
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
    let allowed = numbers_in(FAULTS);
    if let Some(seed) = number_in(SEED) {
        eprintln!("{SEED} is set: seed {seed} alone");
        let sim = make(seed);
        let sim = Sim { allowed: allowed.or(sim.allowed.clone()), ..sim };
        return match recorded(|| try_one(&sim, &program)) {
            None => Ok(1),
            Some(Failed { message, .. }) => Err(Failure { seed, message, more: how_to_run(&sim) }),
        };
    }
    assert!(allowed.is_none(), "windlass: {FAULTS} is for one seed, and {SEED} is not set");
    let mut progress = Progress::new();
    let mut count = 0_u64;
    for seed in seeds {
        let sim = make(seed);
        if let Some(failed) = try_one(&sim, &program) {
            let more = look_closer(&sim, &program, &failed, &mut progress);
            progress.end();
            return Err(Failure { seed, message: failed.message, more });
        }
        count += 1;
        progress.show(|| format!("{count} seeds"), count);
    }
    progress.end();
    Ok(count)
}

/// Runs the program. None if it does not fail.
fn try_one(sim: &Sim, program: &impl Fn()) -> Option<Failed> {
    sim.try_run(|event_loop| event_loop.run(program)).err()
}

/// What the environment has to hold for this run.
fn how_to_run(sim: &Sim) -> String {
    let mut text = format!("to run it again: {SEED}={}", sim.seed);
    if let Some(allowed) = &sim.allowed {
        text += &format!(" {FAULTS}={}", listed(allowed));
    }
    text
}

fn listed(numbers: &BTreeSet<u64>) -> String {
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    numbers.join(",")
}

/// Finds out how the program can be made to fail again, with as few faults as it takes, and records
/// that if the environment says so. Returns what it has found, in lines.
fn look_closer(sim: &Sim, program: &impl Fn(), failed: &Failed, progress: &mut Progress) -> String {
    hush();
    let sim = Sim { is_quiet: true, ..sim.clone() };
    let mut text = how_to_run(&sim);
    let again = try_one(&sim, program);
    if again.is_none_or(|again| again.digest != failed.digest || again.message != failed.message) {
        text += "\na second run with this seed was another one: \
                 something in the program does not come from the simulation";
    }
    let mut smallest = sim.clone();
    if !failed.faults.is_empty() {
        let (needed, message) = shrink(&sim, program, failed, progress);
        smallest.allowed = Some(needed.iter().map(|fault| fault.number).collect());
        text += &format!(
            "\nit fails with {} of its {} faults: {SEED}={} {FAULTS}={}",
            needed.len(),
            failed.faults.len(),
            sim.seed,
            smallest.allowed.iter().map(listed).collect::<String>()
        );
        needed.iter().for_each(|fault| text += &format!("\n  {fault}"));
        if message != failed.message {
            text += &format!("\nand says then: {message}");
        }
    }
    if std::env::var_os(TRACE).is_some() {
        // The same failure once more.
        recorded(|| try_one(&smallest, program));
    }
    text
}

/// From now on panics of simulations that are to be quiet are not printed.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !current::with_chance(Chance::is_quiet).unwrap_or(false) {
                before(info);
            }
        }));
    });
}

/// Runs a program, and records it to the file that the environment names, if it does.
fn recorded<R>(run: impl FnOnce() -> R) -> R {
    let Some(path) = std::env::var_os(TRACE) else { return run() };
    let recorder = Recorder::detailed(EVENTS_MAX);
    let result = run();
    let recording = recorder.stop();
    let written = File::create(&path).and_then(|file| recording.write_chrome_trace(file));
    let path = path.display();
    match written {
        Ok(()) => eprintln!("its record: {path}"),
        Err(error) => eprintln!("its record cannot be written to {path}: {error}"),
    }
    result
}

/// Faults with which the program fails, and of which none can be left out, as far as was tried; and
/// its message then.
fn shrink(
    sim: &Sim,
    program: &impl Fn(),
    failed: &Failed,
    progress: &mut Progress,
) -> (Vec<Fault>, String) {
    let (mut kept, mut message) = (failed.faults.clone(), failed.message.clone());
    let mut tries = 0_u64;
    let mut size = kept.len();
    // Large parts first, down to single ones.
    while size > 0 {
        let mut at = 0;
        while at < kept.len() && tries < SHRINKS_MAX {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(kept.len()));
            let allowed: BTreeSet<u64> = fewer.iter().map(|fault| fault.number).collect();
            tries += 1;
            match try_one(&Sim { allowed: Some(allowed), ..sim.clone() }, program) {
                // What strikes in a run with fewer of them.
                Some(again) => (kept, message) = (again.faults, again.message),
                None => at += size,
            }
            progress.show(|| format!("seed {} fails, with {} faults", sim.seed, kept.len()), tries);
        }
        size /= 2;
    }
    (kept, message)
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
    /// When the line was written last. None where nobody looks.
    shown: Option<Duration>,
    /// Of what there were how many then.
    count: u64,
    /// There is a line.
    is_there: bool,
}

impl Progress {
    fn new() -> Progress {
        let shown = io::stderr().is_terminal().then(now);
        Progress { shown, count: 0, is_there: false }
    }

    /// Shows what there is, of which so many runs are made.
    fn show(&mut self, text: impl FnOnce() -> String, count: u64) {
        let Some(shown) = self.shown else { return };
        let now = now();
        let passed = now - shown;
        if passed < PROGRESS {
            return;
        }
        // Less than before: something else is counted.
        let runs = count.checked_sub(self.count).unwrap_or(count);
        let rate = runs as f64 / passed.as_secs_f64();
        eprint!("\r\x1b[K{}, {rate:.0} runs a second", text());
        *self = Progress { shown: Some(now), count, is_there: true };
    }

    /// Leaves the line empty.
    fn end(&mut self) {
        if self.is_there {
            eprint!("\r\x1b[K");
        }
        self.is_there = false;
    }
}

/// Real time since some moment.
fn now() -> Duration {
    Duration::from_nanos(clock::monotonic())
}
