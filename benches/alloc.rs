//! What counting costs: nanoseconds for an allocation and its release, with the system's allocator
//! and with `windlass::alloc::Counting` around it.
//!
//! ```text
//! $ cargo bench --bench alloc
//! $ cargo bench --bench alloc -- --test  # short, to see that it runs
//! $ cargo bench --bench alloc -- --list  # its name
//! ```
//!
//! Measured: 64 bytes, allocated and freed at once, so that the allocator below does as little as it ever does.
#![allow(unsafe_code, reason = "an allocator can only be called directly with unsafe code")]

#[path = "../examples/common/mod.rs"]
mod common;
mod options;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use windlass::alloc::{self, Counting};

use common::say;
use options::Options;

const HELP: &str = "\
Measures what counting costs an allocation and its release.

usage: cargo bench --bench alloc -- [options] [NAME]...

  NAME     run only if this is in the name, counting_allocator
  --test   short, to see that it runs
  --list   say the name, and do not run
  --help   this text
";

const NAME: &str = "counting_allocator";

/// Nanoseconds for each pair of an allocation and a release. The calls are not inlined, as those of a global
/// allocator are not: else adding and taking away would be made one.
fn pairs(allocator: &dyn GlobalAlloc, count: u32) -> f64 {
    let allocator = black_box(allocator);
    let layout = Layout::new::<[u64; 8]>();
    let start = Instant::now();
    for _ in 0..count {
        // SAFETY: the layout has a size, and the block is freed once, with the same layout, by the allocator that
        // it came from.
        unsafe {
            let block = black_box(allocator.alloc(layout));
            allocator.dealloc(block, layout);
        }
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

fn main() -> ExitCode {
    common::main(HELP, Options::read, |options| match options {
        _ if !options.wants(NAME) => {}
        Options { list: true, .. } => say!("{NAME}: benchmark"),
        Options { test, .. } => measure(test),
    })
}

fn measure(short: bool) {
    let (count, rounds) = if short { (10_000, 3) } else { (5_000_000, 15) };
    let (mut plain, mut counting) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // In turn, so that both meet the same disturbances.
        plain.push(pairs(&System, count));
        counting.push(pairs(&Counting::new(), count));
    }
    assert_eq!(alloc::allocated(), 0, "all was freed, and nothing else was counted");
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let (plain, counting) = (median(&mut plain), median(&mut counting));
    say!("ns for an allocation and its release");
    say!("system's          {plain:8.2}");
    say!("counting          {counting:8.2}");
    say!("counting costs    {:8.2}", counting - plain);
}
