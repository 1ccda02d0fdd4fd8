//! Which of several timers is first?
//!
//! Timers of one delay are a list, in the order armed. Of overdue lists the one that expires first
//! leads, and runs all that is due in it before the next list has its turn. They are not sorted.
//!
//! ```text
//! $ cargo run --example timers
//! all are armed; now the loop is busy until 85
//! 0 counts as 1 ms, due at 21
//! 1 ms, due at 21 too
//! 40 ms, due at 40
//! 40 ms, due at 60: of the list that leads
//! 22 ms, due at 42
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::time::advance;

fn main() -> std::io::Result<()> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    event_loop.run(|| {
        let timer = |millis, text: &'static str| {
            windlass::set_timeout(Duration::from_millis(millis), move || println!("{text}"))
        };
        timer(40, "40 ms, due at 40");
        let cleared = timer(30, "never");
        advance(Duration::from_millis(20)); // Stands for work.
        timer(40, "40 ms, due at 60: of the list that leads");
        timer(22, "22 ms, due at 42");
        timer(0, "0 counts as 1 ms, due at 21");
        timer(1, "1 ms, due at 21 too");
        cleared.clear();
        println!("all are armed; now the loop is busy until 85");
        advance(Duration::from_millis(65));
    });
    Ok(())
}
