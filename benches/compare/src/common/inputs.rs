//! The inputs: the same numbers, files and texts for every peer.

use std::path::PathBuf;
use std::time::Duration;

/// How many timers `timer_churn` keeps alive.
pub const LIVE_TIMERS: usize = 100_000;

/// The delay of timers that are not meant to fire.
pub const LONG: Duration = Duration::from_secs(3600);

/// What `/fast` answers, with the headers that the example server sends.
pub const FAST_BODY: &str = "fast\n";

/// The largest read of the servers: 64 KiB, the buffer that libuv suggests.
pub const READ_MAX: usize = 65_536;

/// The same delays each time, in milliseconds from 1 to `range` (xorshift).
pub fn delays_ms(count: u64, range: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        1 + state % range
    })
}

/// As [`delays_ms`].
pub fn delays(count: u64, range: u64) -> impl Iterator<Item = Duration> {
    delays_ms(count, range).map(Duration::from_millis)
}

/// The timer to refresh as the `index`th: all in turn, far from each other in memory.
pub fn churned(index: u64) -> usize {
    index as usize * 7919 % LIVE_TIMERS
}

/// A file of 4 KiB, made when it is not there.
///
/// # Panics
/// When the folder for temporary files cannot be written to.
pub fn file_4k() -> PathBuf {
    let path = std::env::temp_dir().join("windlass-compare-4k");
    if std::fs::metadata(&path).map_or(0, |metadata| metadata.len()) != 4096 {
        // Under another name first: programs that run beside this one must never see half of it.
        let own = path.with_extension(std::process::id().to_string());
        std::fs::write(&own, [b'x'; 4096]).expect("a temporary file");
        std::fs::rename(&own, &path).expect("a temporary file");
    }
    path
}

/// The slow job of `golden_rule`.
pub fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}
