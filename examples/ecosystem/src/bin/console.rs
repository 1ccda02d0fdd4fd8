//! How does tokio-console see the tasks of a loop?
//!
//! With the feature `tracing` each task is a span and each wake an event, in the form that
//! `console-subscriber` takes from any runtime. It serves them from a thread of its own. It wants to
//! be built with `--cfg console_without_tokio_unstable`: see `.cargo/config.toml`.
//!
//! ```text
//! $ cargo run --bin console -- 127.0.0.1:6669
//! serving tokio-console on 127.0.0.1:6669
//! $ tokio-console http://127.0.0.1:6669
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::prelude::*;

fn main() -> io::Result<()> {
    let [address] = ecosystem::arguments("console ADDRESS:PORT");
    let address: SocketAddr = address.parse().map_err(ecosystem::other)?;
    let layer = console_subscriber::ConsoleLayer::builder()
        .server_addr(address)
        .publish_interval(Duration::from_millis(100))
        .spawn();
    tracing_subscriber::registry().with(layer).init();
    println!("serving tokio-console on {address}");

    windlass::block_on(async {
        let sleeper = windlass::spawn(async {
            let mut beat = windlass::time::interval(Duration::from_millis(20));
            loop {
                beat.tick().await;
            }
        });
        windlass::spawn_detached(async {
            loop {
                // Shows as a task that wakes itself no more than it should: never.
                windlass::fs::read("/proc/uptime").await?;
                windlass::time::sleep(Duration::from_millis(50)).await;
            }
            #[expect(unreachable_code, reason = "says what the task may end with")]
            io::Result::Ok(())
        });
        sleeper.await.map_err(ecosystem::other)
    })
}
