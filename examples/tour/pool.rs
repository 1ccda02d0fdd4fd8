//! What does the loop do while a thread of the pool is busy?
//!
//! Everything else. The job runs on another thread, its completion here. The job below goes on
//! until the loop has counted to three, which it could not if the loop waited.
//!
//! ```text
//! $ cargo run --example pool
//! the loop counts 1
//! the loop counts 2
//! the loop counts 3
//! the job's sum is 6; on a thread of its own: true
//! the completion is on the loop's: true
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::sync::mpsc;
use std::thread;

use windlass::{queue_work, set_immediate};

fn main() {
    windlass::run(|| {
        let own = thread::current().id();
        let (sender, receiver) = mpsc::channel();
        let job = queue_work(move || {
            let sum: u32 = receiver.iter().sum(); // Blocks its thread until the sender is gone.
            (sum, thread::current().id())
        });
        job.on_complete(move |outcome| match outcome {
            Ok((sum, thread)) => {
                println!("the job's sum is {sum}; on a thread of its own: {}", thread != own);
                println!("the completion is on the loop's: {}", thread::current().id() == own);
            }
            Err(error) => println!("no sum: {error}"),
        });
        count(1, sender);
    });
}

fn count(number: u32, sender: mpsc::Sender<u32>) {
    println!("the loop counts {number}");
    sender.send(number).expect("the job listens");
    if number < 3 {
        set_immediate(move || count(number + 1, sender));
    }
}
