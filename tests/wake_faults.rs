//! Wakes that the system refuses. A test binary of its own, for it puts another file in the place of a descriptor.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};

use windlass::{Loop, RunMode};

thread_local! {
    /// Closures that were called.
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// The descriptors of this process that are eventfds: what wakes a poller.
fn eventfds() -> Vec<RawFd> {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_eventfd = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|name| name.to_string_lossy().contains("eventfd"))
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().parse().unwrap();
    all.filter(is_eventfd).map(number).collect()
}

/// Whether a descriptor is readable at this moment.
fn is_readable(descriptor: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, which is ours.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn after_a_wake_that_failed_the_next_one_is_tried() {
    let event_loop = Loop::new().unwrap();
    let [waker] = eventfds()[..] else { panic!("one loop has one waker") };
    while event_loop.turn(RunMode::NoWait) {}
    assert!(!is_readable(event_loop.as_raw_fd()));

    let unwritable = File::open("/dev/null").unwrap();
    let remote = event_loop.remote();
    // SAFETY: both descriptors are open, and the first is put back below.
    let kept = unsafe { libc::dup(waker) };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::dup2(unwritable.as_raw_fd(), waker) }, waker);
    remote.post(|| CALLS.set(CALLS.get() + 1)).unwrap();
    assert!(!is_readable(event_loop.as_raw_fd()), "the wake has failed");
    // SAFETY: as above.
    assert_eq!(unsafe { libc::dup2(kept, waker) }, waker);
    remote.post(|| CALLS.set(CALLS.get() + 1)).unwrap();
    assert!(is_readable(event_loop.as_raw_fd()), "the loop has been woken");
    while event_loop.turn(RunMode::NoWait) {}
    assert_eq!(CALLS.get(), 2);
}
