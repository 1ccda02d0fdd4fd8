//! How do callbacks and futures take turns?
//!
//! A wake of a task is a microtask, wherever it comes from. So the code after an `.await` runs in
//! the drain behind the callback that made it ready, before the loop goes on.
//!
//! ```text
//! $ cargo run --example async_mix
//! main script
//! tick of the main script
//! task: begins in a microtask
//! microtask of the main script
//! timer: behind the sleep, armed before it
//! task: has slept
//! microtask of the task
//! another task: got 42
//! tick of the task
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::time::sleep;
use windlass::{next_tick, queue_microtask, set_timeout, spawn};

fn main() -> std::io::Result<()> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    let ms = Duration::from_millis;
    event_loop.run(|| {
        let task = spawn(async move {
            println!("task: begins in a microtask");
            sleep(ms(10)).await;
            println!("task: has slept");
            queue_microtask(|| println!("microtask of the task"));
            next_tick(|| println!("tick of the task"));
            42
        });
        spawn(async { println!("another task: got {}", task.await.unwrap()) });
        set_timeout(ms(10), || println!("timer: behind the sleep, armed before it"));
        queue_microtask(|| println!("microtask of the main script"));
        next_tick(|| println!("tick of the main script"));
        println!("main script");
    });
    Ok(())
}
