//! How much faster is a pool of workers than one thread?
//!
//! Counts the primes below a limit, range by range: once on one thread, once with a `WorkerPool` of a
//! worker for each core. The pool hands the ranges out one by one, so that a slow range holds up no worker, and the
//! loop draws the bar as the answers come in.
//!
//! ```text
//! $ cargo run --release --example primes
//! one thread:  664579 primes in 1.31s
//! 2 workers:   [########################################] 200/200
//! 2 workers:   664579 primes in 671.2ms, 1.95 times as fast
//! ```

#[path = "common/mod.rs"]
mod common;

use std::io;
use std::ops::Range;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use windlass::worker::WorkerPool;

use common::{Gone, say};

const HELP: &str = "\
Counts primes on one thread, then in a pool of workers.

usage: primes [--short]

  --short  a quick look: fewer numbers
  --help   this text
";

const RANGES: u64 = 200;
const BAR: u64 = 40;

/// How many primes there are in a range, by trial division.
fn primes(range: Range<u64>) -> usize {
    let is_prime = |n: &u64| *n > 1 && (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor));
    range.filter(is_prime).count()
}

fn main() -> ExitCode {
    common::main(HELP, common::short, count_twice)
}

fn count_twice(short: bool) -> io::Result<()> {
    let limit = if short { 300_000 } else { 10_000_000 };
    let ranges = (0..RANGES).map(move |i| i * limit / RANGES..(i + 1) * limit / RANGES);

    let began = Instant::now();
    let count: usize = ranges.clone().map(primes).sum();
    let alone = began.elapsed();
    say!("one thread:  {count} primes in {alone:.3?}");

    let size = thread::available_parallelism().map_or(2, usize::from);
    windlass::block_on(async move {
        // Each worker makes its own handler. This one has no state; it could have any, `Send` or not.
        let pool = WorkerPool::new(size, || primes)?;
        let began = Instant::now();
        // All jobs are handed in at once and wait with the pool.
        let jobs: Vec<_> = ranges.map(|range| pool.run(range)).collect();
        let mut sum = 0;
        for (done, job) in (1..).zip(jobs) {
            sum += job.await.map_err(io::Error::other)?;
            draw(size, done);
        }
        let together = began.elapsed();
        assert_eq!(sum, count);
        let gain = alone.as_secs_f64() / together.as_secs_f64();
        say!("\n{size} workers:   {sum} primes in {together:.3?}, {gain:.2} times as fast");
        Ok(())
    })
}

fn draw(size: usize, done: u64) {
    if done * BAR % RANGES >= BAR {
        return; // The bar is as long as before.
    }
    let bar = "#".repeat((done * BAR / RANGES) as usize);
    common::print(format_args!("\r{size} workers:   [{bar:40}] {done}/{RANGES}"), Gone::Ends);
}
