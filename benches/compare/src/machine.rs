//! The machine: what it is, and whether it is quiet.

use std::time::{Duration, Instant};

use crate::peers::output;

/// How much of the machine others may use while it counts as quiet.
const BUSY_MAX: f64 = 0.08;

/// The time over which that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What the figures were made on, in a line.
pub(crate) fn description() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let virtual_machine = if info.contains("hypervisor") { ", a virtual machine" } else { "" };
    format!(
        "{} with {cores} cores{virtual_machine}, Linux {}, {}, {}",
        model.unwrap_or("?"),
        kernel.trim(),
        rustc(),
        libc_version()
    )
}

/// The compiler, with its version.
pub(crate) fn rustc() -> String {
    output(&["rustc", "--version"]).unwrap_or_default().trim().to_owned()
}

/// The C library, with its version.
pub(crate) fn libc_version() -> String {
    // SAFETY: the call returns a text that is never freed.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

/// Idle time and all time of all cores together since the start, in ticks.
fn ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let numbers = text.lines().next()?.split_whitespace().skip(1);
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    // The last two, guests, are counted among the first ones already.
    Some((numbers.get(3)? + numbers.get(4)?, numbers.iter().take(8).sum()))
}

/// How busy the machine is, from 0 to 1, looked at for a moment.
fn busy() -> f64 {
    let Some((idle, all)) = ticks() else { return 0.0 };
    std::thread::sleep(LOOK);
    let Some((idle_now, all_now)) = ticks() else { return 0.0 };
    1.0 - (idle_now - idle) as f64 / (all_now - all).max(1) as f64
}

/// Waits for a quiet machine, within limits.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// How much may still be waited, over all runs.
    left: Duration,
    /// How often it was looked, and how often it was never quiet.
    pub(crate) looks: u32,
    pub(crate) disturbed: u32,
}

impl Quiet {
    pub(crate) fn new(limit: Duration) -> Quiet {
        Quiet { left: limit, looks: 0, disturbed: 0 }
    }

    /// Returns when others use next to nothing, or after half a minute, or when the limit is used up.
    pub(crate) fn wait(&mut self) {
        let begun = Instant::now();
        let limit = self.left.min(Duration::from_secs(30));
        self.looks += 1;
        while busy() > BUSY_MAX {
            if begun.elapsed() > limit {
                self.disturbed += 1;
                break;
            }
        }
        self.left = self.left.saturating_sub(begun.elapsed());
    }
}
