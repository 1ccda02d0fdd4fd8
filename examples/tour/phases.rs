//! In which order does one iteration go through its phases?
//!
//! ```text
//! $ cargo run --example phases
//! main script
//! pending: a cancelled job
//! idle: a watcher
//! prepare: a watcher
//! poll: a pool job
//! check: a watcher
//! check: an immediate
//! close: a port
//! timers: a timer
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::handle::{Check, Idle, Prepare};
use windlass::time::advance;
use windlass::worker::channel;
use windlass::{queue_work, set_immediate, set_timeout};

fn main() -> std::io::Result<()> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    event_loop.run(|| {
        // Armed in an order of no meaning: the phases decide.
        set_timeout(Duration::from_millis(1), || println!("timers: a timer"));
        let (port, _other) = channel::<(), ()>();
        let port = port.open();
        port.on_close(|| println!("close: a port"));
        port.close();
        set_immediate(|| println!("check: an immediate"));
        Check::start(|| println!("check: a watcher")).unref();
        queue_work(|| ()).on_complete(|_| println!("poll: a pool job"));
        Prepare::start(|| println!("prepare: a watcher")).unref();
        Idle::start(|| {
            println!("idle: a watcher");
            advance(Duration::from_millis(1)); // So that the timer is due in this iteration.
        })
        .unref();
        let cancelled = queue_work(|| ());
        cancelled.cancel().expect("it has not begun");
        cancelled.on_complete(|_| println!("pending: a cancelled job"));
        println!("main script");
    });
    Ok(())
}
