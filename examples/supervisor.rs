//! How does a program live with a part that fails?
//!
//! A supervisor starts a worker and starts it again when it dies, each time after a longer rest, until it
//! has run well for a while. A worker that does not come round is reported with the line of its
//! callback and ended. At last the worker is asked to shut down, which gives it time to finish.
//!
//! ```text
//! $ cargo run --example supervisor
//! worker 1: job 0 done
//! worker 1 failed: the worker panicked: job 1 is too hard; again in 50ms
//! worker 2: job 2 done
//! worker 2 has been busy for ..., in the callback registered at examples/supervisor.rs:...
//! worker 2 failed: the worker was terminated; again in 100ms
//! worker 3: job 4 done
//! worker 3: job 5 done
//! worker 3: tidying up
//! worker 3 ended well, with code 0
//! ```
//!
//! The panic's own message goes to the standard error, as that of any panic.

#[path = "common/mod.rs"]
mod common;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use windlass::time::sleep;
use windlass::worker::{self, Port, Worker, WorkerError};

use common::say;

const HELP: &str = "\
Keeps a worker running that fails now and then.

usage: supervisor [--short]

  --short  a quick look: shorter rests
  --help   this text
";

/// What the worker is asked to do. The second job makes it panic, the fourth keeps it busy for ever.
fn job(number: u32) -> String {
    match number {
        1 => panic!("job {number} is too hard"),
        3 => loop {
            worker::checkpoint(); // Without it nothing could end this loop.
        },
        _ => format!("job {number} done"),
    }
}

fn start(limit: Duration) -> io::Result<Worker<u32, String>> {
    let worker = Worker::spawn(|port: Port<String, u32>| {
        let reply = port.clone();
        port.on_message(move |number| reply.post(job(number)));
        // Called when everything that was posted before has been done.
        worker::on_shutdown(move || port.post("tidying up".to_owned()));
    })?;
    let (id, stuck) = (worker.id(), worker.clone());
    worker.on_message(move |text| say!("worker {id}: {text}"));
    worker.on_unresponsive(limit, move |report| {
        say!("{report}");
        drop(stuck.terminate());
    });
    Ok(worker)
}

fn main() -> ExitCode {
    common::main(HELP, common::short, supervise)
}

fn supervise(short: bool) -> io::Result<()> {
    let limit = Duration::from_millis(if short { 50 } else { 500 });
    windlass::block_on(async move {
        let mut rest = Duration::from_millis(if short { 5 } else { 50 });
        let mut next_job = 0;
        loop {
            let worker = start(limit)?;
            // Two jobs for each life.
            (next_job..next_job + 2).for_each(|number| worker.post(number));
            next_job += 2;
            let outcome = if next_job > 4 {
                worker.shutdown(Duration::from_secs(5)).await
            } else {
                worker.join().await
            };
            match outcome {
                Ok(code) => {
                    say!("worker {} ended well, with code {code}", worker.id());
                    return Ok(());
                }
                Err(WorkerError::NotStarted(kind)) => return Err(kind.into()),
                Err(error) => say!("worker {} failed: {error}; again in {rest:?}", worker.id()),
            }
            sleep(rest).await;
            rest = (rest * 2).min(Duration::from_secs(1));
        }
    })
}
