//! The inputs: the same numbers, files and texts for every peer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many timers `timer_churn` keeps alive.
pub const LIVE_TIMERS: usize = 100_000;

/// The delay of timers that are not meant to fire.
pub const LONG: Duration = Duration::from_secs(3600);

/// What `/fast` answers, with the headers that the example server sends.
pub const FAST_BODY: &str = "fast\n";

/// The datagram that asks a sink how many others have come. The answer is a number of eight bytes,
/// the lowest first.
pub const COUNT: &[u8] = b"count";

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
    if fs::metadata(&path).map_or(0, |metadata| metadata.len()) != 4096 {
        // Under another name first: programs that run beside this one must never see half of it.
        let own = path.with_extension(std::process::id().to_string());
        fs::write(&own, [b'x'; 4096]).expect("a temporary file");
        fs::rename(&own, &path).expect("a temporary file");
    }
    path
}

/// Where a server with a Unix socket listens.
pub fn socket_path() -> PathBuf {
    std::env::temp_dir().join(format!("windlass-compare-{}.sock", std::process::id()))
}

/// Directories to watch, in which something happens. They go when this is dropped.
#[derive(Debug)]
pub struct Directories {
    top: PathBuf,
    paths: Vec<PathBuf>,
    /// Whether each of them has a directory in it.
    filled: bool,
}

impl Directories {
    /// How many there are.
    pub const COUNT: usize = 1000;

    /// How often something happens in each before it is time to look: the kernel keeps 16,384
    /// events.
    pub const ROUNDS: usize = 8;

    /// Makes them, in memory if there is such a folder: what a disk takes is nobody's figure here.
    ///
    /// # Panics
    /// When the folder for temporary files cannot be written to.
    pub fn new() -> Directories {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let top = folder.join(format!("windlass-compare-{}", std::process::id()));
        let paths: Vec<PathBuf> =
            (0..Self::COUNT).map(|index| top.join(index.to_string())).collect();
        paths.iter().for_each(|path| fs::create_dir_all(path).expect("a temporary directory"));
        Directories { top, paths, filled: false }
    }

    /// What there is to watch.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// One event in each, [`ROUNDS`](Self::ROUNDS) times: a directory is made in it, or removed.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn change(&mut self) {
        for _ in 0..Self::ROUNDS {
            let change = if self.filled { fs::remove_dir } else { fs::create_dir::<PathBuf> };
            for path in &self.paths {
                change(path.join("within")).expect("a temporary directory");
            }
            self.filled = !self.filled;
        }
    }

    /// How often [`change`](Self::change) is called for so many events.
    pub fn batches(items: u64) -> u64 {
        items.div_ceil((Self::COUNT * Self::ROUNDS) as u64)
    }
}

impl Default for Directories {
    fn default() -> Directories {
        Directories::new()
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        // They are in the folder for temporary files: somebody else will.
        drop(fs::remove_dir_all(&self.top));
    }
}

/// The slow job of `golden_rule`.
pub fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}
