//! Why does this program not end?
//!
//! A loop ends when nothing is left that could call back. It can say what is left, and where that
//! was made.
//!
//! ```text
//! $ cargo run --example why_alive
//! at first:
//!   TCP listener of line 27
//!   interval of line 29
//! without the interval:
//!   TCP listener of line 27
//! without the listener:
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::time::Duration;

use windlass::net::TcpListener;
use windlass::{Loop, set_immediate, set_interval};

fn main() -> std::io::Result<()> {
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.on_connection(|_| ());
        let interval = set_interval(Duration::from_secs(1), |_| ());
        let log = set_interval(Duration::from_secs(60), |_| ());
        log.unref(); // It goes on, and is no reason to stay.
        set_immediate(move || {
            report("at first");
            interval.clear();
            report("without the interval");
            listener.close();
            report("without the listener");
        });
        Ok(())
    })
}

fn report(when: &str) {
    println!("{when}:");
    for alive in Loop::current().why_alive() {
        println!("  {} of line {}", alive.kind, alive.location.line());
    }
}
