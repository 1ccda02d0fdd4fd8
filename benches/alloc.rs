//! What counting costs: nanoseconds for an allocation and its release, with the system's allocator
//! and with `windlass::alloc::Counting` around it.
//!
//! ```text
//! $ cargo bench --bench alloc
//! $ cargo bench --bench alloc -- --test  # short, to see that it runs
//! ```
//!
//! Measured: 64 bytes, allocated and freed at once, so that the allocator below does as little as it ever does.
#![allow(unsafe_code, reason = "an allocator can only be called directly with unsafe code")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::Instant;

use windlass::alloc::{self, Counting};

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

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
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
    println!("ns for an allocation and its release");
    println!("system's          {plain:8.2}");
    println!("counting          {counting:8.2}");
    println!("counting costs    {:8.2}", counting - plain);
}
