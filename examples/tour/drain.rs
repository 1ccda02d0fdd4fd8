//! What runs between two callbacks?
//!
//! All ticks, then all microtasks, and again until both queues are empty. Only then does the loop
//! go on.
//!
//! ```text
//! $ cargo run --example drain
//! immediate 1
//!   tick 1
//!   tick 2
//!   tick of tick 1
//!   microtask 1
//!   microtask 2
//!   microtask of microtask 1
//!   tick of microtask 1
//! immediate 2
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use windlass::{next_tick, queue_microtask, set_immediate};

fn main() {
    windlass::run(|| {
        set_immediate(|| {
            println!("immediate 1");
            queue_microtask(|| {
                println!("  microtask 1");
                next_tick(|| println!("  tick of microtask 1")); // After the last microtask.
                queue_microtask(|| println!("  microtask of microtask 1"));
            });
            queue_microtask(|| println!("  microtask 2"));
            next_tick(|| {
                println!("  tick 1");
                next_tick(|| println!("  tick of tick 1")); // Before the first microtask.
            });
            next_tick(|| println!("  tick 2"));
        });
        set_immediate(|| println!("immediate 2"));
    });
}
