//! How many slow jobs run at the same time, and what does the loop do meanwhile?
//!
//! The classic of Node's courses: derive a key (PBKDF2) once, twice, … eight times at once, and look
//! when the last one is there. The times grow in steps: a pool of two threads takes as long for two
//! jobs as for one, then twice as long for three or four. More threads than cores make no further
//! step go away, for the threads share the cores. All the while an interval of 10 ms keeps ticking on
//! the loop, which waits for nobody.
//!
//! ```text
//! $ cargo run --release --features crypto --example thread_pool
//! ```
//!
//! Each measurement has a loop and a pool of its own (`Loop::builder().pool(…)`). Programs that set
//! no pool share one of 4 threads, or of as many as `UV_THREADPOOL_SIZE` says.

#[path = "common/mod.rs"]
mod common;

use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use windlass::crypto::{self, Digest};
use windlass::{Loop, Pool, set_interval};

use common::say;

const HELP: &str = "\
Derives one to eight keys at once on pools of 1, 2 and 4 threads, while a timer ticks on the loop.

usage: thread_pool [--short]

  --short        a quick look: shorter jobs, and four of them at most
  --help         this text
";

/// Sizes of the pool, one after the other.
const POOLS: [usize; 3] = [1, 2, 4];

/// What ticks on the loop meanwhile.
const PERIOD: Duration = Duration::from_millis(10);

/// The width of the longest bar.
const BAR: f64 = 48.0;

struct Options {
    jobs_max: usize,
    iterations: u32,
}

/// What one measurement saw.
struct Sample {
    /// From the first job's start to the last one's completion.
    time: Duration,
    /// How often the interval ticked, and by how much a tick came late at worst.
    ticks: u32,
    late_max: Duration,
}

fn main() -> ExitCode {
    common::main(HELP, common::short, |short| {
        measure_all(&if short {
            Options { jobs_max: 4, iterations: 50_000 }
        } else {
            Options { jobs_max: 8, iterations: 300_000 }
        })
    })
}

fn measure_all(options: &Options) -> io::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // The best of three: the first job finds a cold processor.
    let mut one = Duration::MAX;
    for _ in 0..3 {
        one = one.min(measure(1, 1, options.iterations)?.time);
    }
    say!("{} iterations of SHA-512 take {}; there are {cores} cores", options.iterations, ms(one));

    for threads in POOLS {
        say!("\na pool of {threads}\n");
        say!("jobs       time  steps");
        let (mut ticks, mut late_max) = (0, Duration::ZERO);
        for jobs in 1..=options.jobs_max {
            let sample = measure(threads, jobs, options.iterations)?;
            let steps = sample.time.as_secs_f64() / one.as_secs_f64();
            // A busy machine must not draw across the screen.
            let width = (steps * BAR / options.jobs_max as f64).min(1.5 * BAR).round();
            let bar = "█".repeat(width as usize);
            say!("{jobs:4}{:>11}{steps:7.1}  {bar}", ms(sample.time));
            ticks += sample.ticks;
            late_max = late_max.max(sample.late_max);
        }
        say!(
            "\nmeanwhile the loop's interval ticked {ticks} times, late by {} at worst",
            ms(late_max)
        );
    }
    Ok(())
}

/// Runs so many jobs at once on a pool of so many threads.
fn measure(threads: usize, jobs: usize, iterations: u32) -> io::Result<Sample> {
    let event_loop = Loop::builder().pool(Pool::new(threads)?).build()?;
    event_loop.block_on(async {
        let began = Instant::now();
        let (ticks, late_max) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(Duration::ZERO)));
        let (counted, latest) = (ticks.clone(), late_max.clone());
        let mut last = began;
        let interval = set_interval(PERIOD, move |_| {
            let now = Instant::now();
            counted.set(counted.get() + 1);
            latest.set(latest.get().max((now - last).saturating_sub(PERIOD)));
            last = now;
        });

        // All are started before one is awaited: a request needs nobody to poll it.
        let keys: Vec<_> = (0..jobs)
            .map(|_| crypto::pbkdf2(b"password", b"salt", iterations, 64, Digest::Sha512))
            .collect();
        for key in keys {
            key.await?;
        }

        let time = began.elapsed();
        interval.clear();
        Ok(Sample { time, ticks: ticks.get(), late_max: late_max.get() })
    })
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
