//! What happens to files and directories, as Linux tells it.
//!
//! An [`Inotify`] has a queue of *notices* and any number of watches, each of one file or
//! directory, whatever paths lead to it. The kernel merges a notice with an identical one right
//! before it, and no others. On other systems there is none, and making one is refused.
//!
//! One of the files with `unsafe` code: four system calls without memory of ours but a path or a
//! number that lives until they return.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A queue of notices, read without waiting.
pub(crate) struct Inotify {
    /// Non-blocking, and closed on exec. Reading it gives notices.
    queue: File,
}

/// Something that has happened to what a watch is for.
pub(crate) struct Notice<'a> {
    /// Whose it is. A number is given again only after all others.
    pub(crate) watch: i32,
    /// What has happened.
    pub(crate) seen: Seen,
    /// It has happened to a directory.
    pub(crate) is_directory: bool,
    /// To what in the watched directory it has happened; empty for the watched thing itself.
    pub(crate) name: &'a OsStr,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The content or the metadata has changed.
    Changed,
    /// It was made here, or moved here.
    Came,
    /// It was removed, or moved away.
    Went,
    /// The watched thing itself was moved.
    SelfMoved,
    /// The watched thing itself is gone, or its file system is.
    SelfGone,
    /// The watch has ended. The last notice of its number.
    Ended,
    /// The queue was full, and notices of any watch are lost. It belongs to no watch.
    Overflow,
}

/// The notices of one read.
pub(crate) struct Notices<'a>(&'a [u8]);

/// The bytes of a notice before its name.
const HEADER: usize = 16;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Inotify {
    pub(crate) fn new() -> io::Result<Inotify> {
        // SAFETY: a call without pointers.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else has it.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Inotify { queue: queue.into() })
    }

    /// Watches what is at a path. If it is watched already, by whatever path, this gives the number
    /// of that watch. `below` is for directories under a watched one: nothing else is taken, and no
    /// link is followed.
    pub(crate) fn add(&self, path: &Path, below: bool) -> io::Result<i32> {
        const EVENTS: u32 = libc::IN_ATTRIB
            | libc::IN_MODIFY
            | libc::IN_CREATE
            | libc::IN_DELETE
            | libc::IN_MOVED_FROM
            | libc::IN_MOVED_TO
            | libc::IN_DELETE_SELF
            | libc::IN_MOVE_SELF;
        let only = if below { libc::IN_ONLYDIR | libc::IN_DONT_FOLLOW } else { 0 };
        let path = super::file::to_c(path)?;
        let fd = self.queue.as_raw_fd();
        // SAFETY: the path is a live string that ends in zero.
        let watch = unsafe { libc::inotify_add_watch(fd, path.as_ptr(), EVENTS | only) };
        if watch < 0 { Err(io::Error::last_os_error()) } else { Ok(watch) }
    }

    /// Ends a watch. Nothing if it has ended by itself. Notices of it may still be in the queue.
    pub(crate) fn remove(&self, watch: i32) {
        // SAFETY: a call without pointers. It fails only if there is no such watch.
        unsafe { libc::inotify_rm_watch(self.queue.as_raw_fd(), watch) };
    }

    /// How many bytes are in the queue.
    pub(crate) fn waiting(&self) -> usize {
        let mut count: libc::c_int = 0;
        // SAFETY: the call writes the number, which lives across it. If it fails that stays zero.
        unsafe { libc::ioctl(self.queue.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        usize::try_from(count).unwrap_or(0)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Inotify {
    pub(crate) fn new() -> io::Result<Inotify> {
        let text = "windlass watches files on Linux only; fs::watch_metadata works everywhere";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    pub(crate) fn add(&self, _path: &Path, _below: bool) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn remove(&self, _watch: i32) {}

    pub(crate) fn waiting(&self) -> usize {
        0
    }
}

impl Inotify {
    /// Takes notices out of the queue, as many as `buffer` has room for. Would-block when there are
    /// none.
    pub(crate) fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Notices<'a>> {
        loop {
            match (&self.queue).read(buffer) {
                Ok(count) => return Ok(Notices(&buffer[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl Notices<'_> {
    /// How many bytes they have in the queue.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Iterator for Notices<'a> {
    type Item = Notice<'a>;

    fn next(&mut self) -> Option<Notice<'a>> {
        let (header, rest) = self.0.split_at_checked(HEADER)?;
        let word = |at| header[at..at + 4].try_into().map(u32::from_ne_bytes).unwrap_or(0);
        // The third word pairs the two halves of a move.
        let (watch, mask, len) = (word(0) as i32, word(4), word(12) as usize);
        let (name, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        // Zeros fill it up to a multiple of 16.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let (seen, is_directory) = decode(mask);
        Some(Notice { watch, seen, is_directory, name: OsStr::from_bytes(name) })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn decode(mask: u32) -> (Seen, bool) {
    let has = |bits| mask & bits != 0;
    let seen = if has(libc::IN_Q_OVERFLOW) {
        Seen::Overflow
    } else if has(libc::IN_IGNORED) {
        Seen::Ended
    } else if has(libc::IN_DELETE_SELF | libc::IN_UNMOUNT) {
        Seen::SelfGone
    } else if has(libc::IN_MOVE_SELF) {
        Seen::SelfMoved
    } else if has(libc::IN_CREATE | libc::IN_MOVED_TO) {
        Seen::Came
    } else if has(libc::IN_DELETE | libc::IN_MOVED_FROM) {
        Seen::Went
    } else {
        Seen::Changed
    };
    (seen, has(libc::IN_ISDIR))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn decode(_mask: u32) -> (Seen, bool) {
    (Seen::Changed, false)
}
