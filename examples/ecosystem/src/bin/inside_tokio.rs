//! Can a loop live inside tokio?
//!
//! Its descriptor says when it has something to do, and `poll_timeout` how long it may be left
//! alone. Between two turns tokio has the thread.
//!
//! ```text
//! $ cargo run --bin inside_tokio
//! the loop heard 3 messages and its timer, and tokio went on 3 times meanwhile
//! ```

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use windlass::worker::Worker;
use windlass::{Loop, RunMode};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let event_loop = Loop::new()?;
    let (messages, fired) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    event_loop.enter(|| {
        let counts = messages.clone();
        let worker = Worker::<(), u32>::spawn(|port| (0..3).for_each(|number| port.post(number)))?;
        worker.on_message(move |_| counts.set(counts.get() + 1));
        let fires = fired.clone();
        windlass::set_timeout(Duration::from_millis(20), move || fires.set(true));
        io::Result::Ok(())
    })?;
    let ticks = runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        let ticker = local.spawn_local(async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            3
        });
        local.run_until(host(&event_loop)).await?;
        local.await;
        ticker.await.map_err(ecosystem::other)
    })?;
    assert!(fired.get());
    let messages = messages.get();
    println!(
        "the loop heard {messages} messages and its timer, and tokio went on {ticks} times meanwhile"
    );
    Ok(())
}

/// Turns the loop whenever it has something to do, until it is done.
async fn host(event_loop: &Loop) -> io::Result<()> {
    let copy = event_loop.as_fd().try_clone_to_owned()?;
    // SAFETY: it owns the copy, which stays open until both are dropped.
    let readiness = unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE)? };
    while event_loop.turn(RunMode::NoWait) {
        let ready = async {
            let mut guard = readiness.readable().await?;
            // The turn that follows takes what there is; what it leaves shows in the time-out.
            guard.clear_ready();
            io::Result::Ok(())
        };
        match event_loop.poll_timeout() {
            Some(limit) => tokio::time::timeout(limit, ready).await.unwrap_or(Ok(()))?,
            None => ready.await?,
        }
    }
    Ok(())
}
