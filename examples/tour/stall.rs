//! Which callback blocks the loop?
//!
//! A watch on a thread of its own says which, and from which line, while it still runs. The
//! callback below waits until it was found.
//!
//! ```text
//! $ cargo run --example stall
//! an immediate waits for another thread
//! the immediate of line 36 blocks the loop
//! the immediate of line 36 has ended
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use windlass::observe::watch_stalls;

fn main() {
    let found = Arc::new(Barrier::new(2));
    let report = found.clone();
    let watch = watch_stalls(Duration::from_millis(50), move |stall| {
        let callback = &stall.callback;
        // A busy machine may hold up anything for so long; the tale is of the immediate.
        if let ("immediate", Some(place)) = (callback.kind, callback.location) {
            let state = if stall.over { "has ended" } else { "blocks the loop" };
            println!("the immediate of line {} {state}", place.line());
            report.wait();
        }
    });
    windlass::run(|| {
        let found = found.clone();
        windlass::set_immediate(move || {
            println!("an immediate waits for another thread");
            found.wait();
        });
    });
    found.wait(); // For the report of its end.
    drop(watch);
}
