//! How does another thread wake a loop?
//!
//! By a notifier, libuv's async handle. It says that there is something, not how often: calls that
//! come before the loop has answered are one. What it is stands elsewhere, here in a channel.
//!
//! ```text
//! $ cargo run --example notifier
//! the thread has notified three times
//! woken once, for [1, 2, 3]
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::sync::mpsc;
use std::thread;

use windlass::handle::Notifier;

fn main() {
    windlass::run(|| {
        let (sender, receiver) = mpsc::channel();
        let notifier = Notifier::new(move || {
            let all: Vec<u32> = receiver.try_iter().collect();
            println!("woken once, for {all:?}");
        });
        let waker = notifier.clone();
        let thread = thread::spawn(move || {
            for number in 1..=3 {
                sender.send(number).expect("the loop still listens");
                waker.notify();
            }
        });
        // So that all three come before the loop looks. A program would not wait for a thread here.
        thread.join().expect("the thread does not panic");
        println!("the thread has notified three times");
        windlass::set_immediate(move || notifier.close()); // Else it would hold the loop for ever.
    });
}
