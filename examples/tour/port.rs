//! How do two loops talk without a third between them?
//!
//! A channel has two ends. An end can be sent to any thread; opened there, it is a port of the loop
//! that runs there. Each message is a callback of its own.
//!
//! ```text
//! $ cargo run --example port
//! right: 1
//! left: 2
//! right: 3
//! left: 4
//! right: the other end has closed
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use windlass::worker::{Port, Worker, channel};

fn main() -> std::io::Result<()> {
    windlass::run(|| {
        let (left, right) = channel();
        Worker::<(), ()>::spawn(move |_| count("left", left.open()).post(1))?;
        Worker::<(), ()>::spawn(move |_| {
            count("right", right.open()).on_close(|| println!("right: the other end has closed"));
        })?;
        Ok(())
    })
}

/// Answers each number with the next one.
fn count(name: &'static str, port: Port<u32, u32>) -> Port<u32, u32> {
    let own = port.clone();
    port.on_message(move |number| {
        println!("{name}: {number}");
        if number < 4 {
            own.post(number + 1);
        } else {
            own.close(); // A listener keeps its loop alive: now both may end.
        }
    });
    port
}
