//! When does an immediate run, and what may it hold up?
//!
//! In the check phase, right after poll: before a timer that the same callback armed. One that an
//! immediate arms waits for the next iteration, so a chain of them holds up nothing.
//!
//! ```text
//! $ cargo run --example immediates
//! a callback of poll
//! link 1 of a chain
//! the immediate behind it
//! timer
//! link 2 of a chain
//! link 3 of a chain
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::time::advance;
use windlass::{queue_work, set_immediate, set_timeout};

fn main() -> std::io::Result<()> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    event_loop.run(|| {
        queue_work(|| ()).on_complete(|_| {
            println!("a callback of poll");
            set_timeout(Duration::from_millis(1), || println!("timer"));
            set_immediate(|| chain(1));
            set_immediate(|| println!("the immediate behind it"));
            advance(Duration::from_millis(5)); // The timer is overdue, and still not first.
        });
    });
    Ok(())
}

fn chain(link: u32) {
    println!("link {link} of a chain");
    if link < 3 {
        set_immediate(move || chain(link + 1));
    }
}
