//! What this process has, and the processes that a test starts.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::RawFd;
use std::process::Command;

/// How many descriptors the process has, the one that lists them included.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the descriptors").count()
}

/// How many threads the crate has started and not ended. The test harness has some of its own, which
/// come and go with the tests of the file.
fn threads_of_ours() -> usize {
    /// As the kernel's `PF_EXITING`. A thread that was joined has it, and is listed for a moment longer.
    const IS_ENDING: u64 = 4;
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads");
    let lines =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    lines
        .filter(|line| {
            // "17 (name) S 1 2 3 4 5 flags ..."; a name may have anything in it.
            let (start, rest) = line.rsplit_once(')').expect("a name in brackets");
            let flags = rest.split_whitespace().nth(6).and_then(|word| word.parse::<u64>().ok());
            start.contains("(windlass") && flags.expect("flags") & IS_ENDING == 0
        })
        .count()
}

/// What the process has and must not have more and more of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) resident_kb: usize,
}

impl Footprint {
    pub(crate) fn now() -> Footprint {
        let status =
            std::fs::read_to_string("/proc/self/status").expect("the state of the process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Footprint {
            descriptors: descriptors(),
            threads: threads_of_ours(),
            resident_kb: number.and_then(|number| number.parse().ok()).expect("a number"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_no_more_than(self, before: Footprint, spare_kb: usize) {
        assert_eq!(self.descriptors, before.descriptors, "descriptors leak");
        assert_eq!(self.threads, before.threads, "threads leak");
        let grown = self.resident_kb.saturating_sub(before.resident_kb);
        assert!(grown <= spare_kb, "memory grew by {grown} kB: {before:?}, then {self:?}");
    }
}

/// Whether the descriptor is non-blocking, and whether it is closed on exec.
pub(crate) fn descriptor_flags(fd: RawFd) -> (bool, bool) {
    // SAFETY: reading the flags of a descriptor touches no memory of this process.
    let (status, own) = unsafe { (libc::fcntl(fd, libc::F_GETFL), libc::fcntl(fd, libc::F_GETFD)) };
    assert!(status >= 0 && own >= 0);
    (status & libc::O_NONBLOCK != 0, own & libc::FD_CLOEXEC != 0)
}

/// Lifts the soft limit of open descriptors to the hard one, or to `at_most`.
pub(crate) fn raise_descriptor_limit(at_most: u64) -> u64 {
    // SAFETY: both calls get a live structure of the right type.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(at_most).max(limit.rlim_cur);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur
    }
}

/// Leaves the process no more than `free` descriptors until it is dropped.
pub(crate) struct FewDescriptors {
    limit: libc::rlimit,
    taken: Vec<File>,
}

impl FewDescriptors {
    pub(crate) fn new(free: usize) -> FewDescriptors {
        let mut taken = Vec::with_capacity(256);
        // SAFETY: both calls get a live structure of the right type.
        let limit = unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
            let low = libc::rlimit { rlim_cur: 256, rlim_max: limit.rlim_max };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &low), 0);
            limit
        };
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        taken.truncate(taken.len() - free);
        FewDescriptors { limit, taken }
    }

    pub(crate) fn give_one_back(&mut self) {
        self.taken.pop();
    }
}

impl Drop for FewDescriptors {
    fn drop(&mut self) {
        self.taken.clear();
        // SAFETY: the structure is alive and was filled in by the system.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.limit) }, 0);
    }
}

/// This test binary as a program that runs only the test of this name.
pub(crate) fn test_as_a_process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args([name, "--exact", "--nocapture"]);
    command
}

/// An example's program. Cargo builds all of them for the whole test run; for a run of one file of tests
/// alone they are built here.
pub(crate) fn example(name: &str) -> Command {
    let own = std::env::current_exe().expect("the path of this program");
    let deps = own.parent().expect("a folder of programs");
    let program = deps.parent().expect("a profile").join("examples").join(name);
    if !program.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", name]);
        let features =
            [("crypto", cfg!(feature = "crypto")), ("inspect", cfg!(feature = "inspect"))];
        for (feature, _) in features.into_iter().filter(|(_, is_on)| *is_on) {
            build.args(["--features", feature]);
        }
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "{name} is built");
    }
    Command::new(program)
}

/// What a program has printed.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a program prints text")
}
