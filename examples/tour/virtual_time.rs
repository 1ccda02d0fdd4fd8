//! How is a program of three days tested in no time?
//!
//! In virtual time the clock stands still while anything is ready, and jumps to the next timer when
//! nothing is. The program is the same, and its trace is the same in every run.
//!
//! ```text
//! $ cargo run --example virtual_time
//! after 0 h: no answer, asks again in 1 h
//! after 1 h: no answer, asks again in 2 h
//! after 3 h: no answer, asks again in 4 h
//! after 7 h: no answer, asks again in 8 h
//! after 15 h: no answer, asks again in 16 h
//! after 31 h: no answer, asks again in 32 h
//! after 63 h: gives up
//! it took less than an hour: true
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::{Duration, Instant};

use windlass::time::sleep;
use windlass::{Loop, now};

const HOUR: Duration = Duration::from_secs(3600);

fn main() -> std::io::Result<()> {
    let real = Instant::now();
    let begin_and_end = Loop::builder().virtual_time(true).build()?.block_on(async {
        let begin = now();
        let mut pause = HOUR;
        while pause < 48 * HOUR {
            println!(
                "after {} h: no answer, asks again in {} h",
                hours(now() - begin),
                hours(pause)
            );
            sleep(pause).await;
            pause *= 2;
        }
        (begin, now())
    });
    println!("after {} h: gives up", hours(begin_and_end.1 - begin_and_end.0));
    println!("it took less than an hour: {}", real.elapsed() < HOUR);
    Ok(())
}

fn hours(time: Duration) -> u64 {
    time.as_secs() / 3600
}
