//! What happens to a loop that has a long sum to do, and what when a worker does it?
//!
//! A timer ticks on the loop. A sum that takes a while is first computed by a worker: the ticks go
//! on, and the result comes as a message. Then the loop does the same sum itself: no tick comes until it
//! is done.
//!
//! ```text
//! $ cargo run --release --example parent_child
//! tick 1
//! tick 2
//! ...
//! the worker's result is 155654311599440896, after 25 ticks
//! the loop's own result is 155654311599440896, after 0 ticks
//! ```

#[path = "common/mod.rs"]
mod common;

use std::cell::Cell;
use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use windlass::worker::{Call, Worker};

use common::say;

const HELP: &str = "\
Computes a long sum in a worker, then on the loop, while a timer ticks.

usage: parent_child [--short]

  --short  a quick look: a shorter sum
  --help   this text
";

/// A sum that no compiler does away with.
fn slow_sum(up_to: u64) -> u64 {
    (0..up_to).fold(0, |sum, number| black_box(sum ^ number.wrapping_mul(number)))
}

fn main() -> ExitCode {
    common::main(HELP, common::short, compute_twice)
}

fn compute_twice(short: bool) -> io::Result<()> {
    let up_to = if short { 100_000_000 } else { 500_000_000 };
    windlass::block_on(async move {
        let ticks = Rc::new(Cell::new(0));
        let counter = ticks.clone();
        let timer = windlass::set_interval(Duration::from_millis(20), move |_| {
            counter.set(counter.get() + 1);
            say!("tick {}", counter.get());
        });

        // A question to the worker, and one answer. While it is awaited the loop is free.
        let worker = Worker::<Call<u64, u64>, ()>::spawn(|port| {
            port.on_message(|call: Call<u64, u64>| {
                let sum = slow_sum(*call.message());
                call.reply(sum);
            });
        })?;
        let sum = worker.call(up_to).await.map_err(io::Error::other)?;
        say!("the worker's result is {sum}, after {} ticks", ticks.take());

        // The golden rule broken: nothing else happens on this thread meanwhile.
        let sum = slow_sum(up_to);
        say!("the loop's own result is {sum}, after {} ticks", ticks.get());

        timer.clear();
        worker.shutdown(Duration::from_secs(1)).await.map_err(io::Error::other)?;
        Ok(())
    })
}
