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

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use windlass::worker::{Port, Worker};

fn main() -> std::io::Result<()> {
    windlass::run(|| {
        let worker = Worker::spawn(|port: Port<String, &str>| {
            let reply = port.clone();
            // The handler keeps the worker alive. Closing the port lets it end.
            port.on_message(move |name| {
                reply.post(format!("hello, {name}"));
                reply.close();
            });
        })?;
        worker.on_message(|text| println!("the worker says: {text}"));
        worker.on_exit(|code| println!("the worker ended with code {code}"));
        worker.post("parent"); // Waits in the queue until the worker is up.
        Ok(())
    })
}
