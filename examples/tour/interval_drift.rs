//! Does an interval drift, and does it catch up?
//!
//! Its period counts from the start of its callback, so time spent in the callback does not add
//! up. Periods that were missed are not made up for: it fires once and goes on from there.
//!
//! ```text
//! $ cargo run --example interval_drift
//! fires at 50ms and works for 17ms
//! fires at 100ms and works for 17ms
//! fires at 150ms and works for 120ms
//! fires at 270ms and works for 0ns
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::time::advance;
use windlass::{now, set_interval};

fn main() -> std::io::Result<()> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    event_loop.run(|| {
        let begin = now();
        let mut work = [17, 17, 120, 0].map(Duration::from_millis).into_iter();
        set_interval(Duration::from_millis(50), move |interval| {
            let Some(work) = work.next() else { return interval.clear() };
            println!("fires at {:?} and works for {work:?}", now() - begin);
            advance(work);
        });
    });
    Ok(())
}
