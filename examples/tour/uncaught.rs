//! What becomes of a panic in a callback?
//!
//! With a hook the panic ends its callback like a return: the drain follows, then the next
//! callback. Without one it would leave `run`.
//!
//! ```text
//! $ cargo run --example uncaught
//! caught "an accident" of the callback from line 26
//! what it had queued runs
//! and so does the next callback
//! the job: the job panicked: another
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use windlass::{next_tick, on_uncaught, queue_work, set_immediate};

fn main() {
    windlass::run(|| {
        on_uncaught(|uncaught| {
            let line = uncaught.registered_at().map_or(0, |place| place.line());
            println!("caught {:?} of the callback from line {line}", uncaught.message());
        });
        set_immediate(|| {
            next_tick(|| println!("what it had queued runs"));
            panic!("an accident");
        });
        set_immediate(|| {
            println!("and so does the next callback");
            // A panic on a pool thread is the error of its request.
            queue_work(|| panic!("another")).on_complete(|outcome: Result<(), _>| {
                println!("the job: {}", outcome.unwrap_err());
            });
        });
    });
}
