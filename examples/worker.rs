//! What is the smallest program with a worker?
//!
//! A worker is a thread with a loop of its own. Its closure is its main script; what passes between
//! it and its parent are messages, moved and not copied. It ends when nothing on its loop is alive.
//!
//! ```text
//! $ cargo run --example worker
//! the worker says: hello, parent
//! the worker ended with code 0
//! ```

#[path = "common/mod.rs"]
mod common;

use std::io;
use std::process::ExitCode;

use windlass::worker::{Port, Worker};

use common::say;

const HELP: &str = "\
Starts a worker, greets it, and prints what it says.

usage: worker

  --help   this text
";

fn main() -> ExitCode {
    common::main(HELP, common::nothing, |()| greet())
}

fn greet() -> io::Result<()> {
    windlass::run(|| {
        let worker = Worker::spawn(|port: Port<String, &str>| {
            let reply = port.clone();
            // The handler keeps the worker alive. Closing the port lets it end.
            port.on_message(move |name| {
                reply.post(format!("hello, {name}"));
                reply.close();
            });
        })?;
        worker.on_message(|text| say!("the worker says: {text}"));
        worker.on_exit(|code| say!("the worker ended with code {code}"));
        worker.post("parent"); // Waits in the queue until the worker is up.
        Ok(())
    })
}
