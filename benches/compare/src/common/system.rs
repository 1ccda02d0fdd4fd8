//! What only the system knows: processor time, affinity, memory, descriptor limits.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

fn read_clock(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills the structure that it is given when it returns 0.
    unsafe {
        if libc::clock_gettime(clock, time.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let time = time.assume_init();
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
}

/// The processor time of this process, all threads.
///
/// # Panics
/// Never on Linux.
pub fn cpu_time_own() -> Duration {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).expect("a clock that every process has")
}

/// The processor time of another process, all threads.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time_of(process: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` outlives the call.
    match unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &mut clock) } {
        0 => read_clock(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The cores that this process may run on, as they were at the first call: pinning a thread changes nothing.
///
/// # Panics
/// When the system has more cores than fit in the fixed set (1,024).
pub fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        // SAFETY: a set of zeroes is an empty set, and the call is given its size.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            let got = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            assert_eq!(got, 0, "the affinity of this thread");
            (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &set)).collect()
        }
    })
}

/// Keeps this thread, and whatever it starts, on these cores.
///
/// # Errors
/// When none of them is there.
pub fn pin_to(cores: &[usize]) -> io::Result<()> {
    // SAFETY: as above. It allocates nothing, so it may be called between fork and exec.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cores.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
        match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Pins this thread to the `index`th core of the process, counted around.
///
/// # Panics
/// When the core has gone.
pub fn pin_thread(index: usize) {
    let cores = cores();
    pin_to(&[cores[index % cores.len()]]).expect("a core that was there");
}

/// The memory of a process that is in use and in memory, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident(process: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(pages * 4096)
}

/// As [`resident`], of this process.
///
/// # Panics
/// When there is no /proc.
pub fn resident_own() -> u64 {
    resident(std::process::id()).expect("/proc")
}

/// Has reads and writes of this descriptor return at once.
///
/// # Errors
/// The system's.
pub fn set_nonblocking(descriptor: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the number outlives the call.
    match unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::FIONBIO, &on) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets this process have as many descriptors as it can get without asking anybody.
pub fn raise_descriptor_limit() {
    // SAFETY: the structure outlives both calls.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
