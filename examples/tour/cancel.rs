//! What can be called off, and who hears of it?
//!
//! What has not begun does not begin. A job that runs is asked to stop, and does so when it looks.
//! Every request completes once, also one that was cancelled.
//!
//! ```text
//! $ cargo run --example cancel
//! the queued job can be cancelled: true
//! the running one cannot: the request has started and can no longer be cancelled
//! a task: the task was aborted
//! the queued job: the job was cancelled before it started
//! the running job: stopped when it looked
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::{future, sync::mpsc, time::Duration};

use windlass::{CancelToken, Loop, Pool, queue_work, set_immediate, set_timeout, spawn, work};

fn main() -> std::io::Result<()> {
    let event_loop = Loop::builder().pool(Pool::new(1)?).build()?; // One thread: jobs queue up.
    event_loop.run(|| {
        set_timeout(Duration::ZERO, || println!("never")).clear();
        set_immediate(|| println!("never")).clear();

        let task = spawn(future::pending::<()>());
        task.abort();
        spawn(async { println!("a task: {}", task.await.unwrap_err()) });

        let (begun, running) = mpsc::channel();
        let job = work(move |token: &CancelToken| {
            begun.send(()).expect("the main script waits");
            while !token.is_cancelled() {}
            "stopped when it looked"
        });
        let (busy, queued) = (job.submit(), queue_work(|| ()));
        running.recv().expect("the job begins");
        println!("the queued job can be cancelled: {}", queued.cancel().is_ok());
        println!("the running one cannot: {}", busy.cancel().unwrap_err());
        queued.on_complete(|outcome| println!("the queued job: {}", outcome.unwrap_err()));
        busy.on_complete(|outcome| println!("the running job: {}", outcome.unwrap()));
    });
    Ok(())
}
