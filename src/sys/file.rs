//! What files need and std does not offer: reads into memory that nobody has initialised, vectored
//! calls at an offset, a close that tells its error, access checks and times. One of the files with
//! `unsafe` code: each block is one system call on values that live until it returns.
//!
//! A call that a signal interrupts is made again. On a descriptor that somebody has made
//! non-blocking, the caller waits here until it is ready: these calls are for pool threads.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// Where this thread's errno is; no system gives this function the same name.
#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
pub(super) use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "redox"))]
pub(super) use libc::__errno_location as errno_location;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
pub(super) use libc::__error as errno_location;

/// The most buffers that one vectored call may have, on every system that we know.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// What a file's time is set to.
#[derive(Clone, Copy)]
pub(crate) enum Moment {
    /// As it is.
    Leave,
    /// The time of the call.
    Now,
    /// This many seconds and nanoseconds after the start of 1970 in UTC. Seconds may be negative.
    At { seconds: i64, nanos: u32 },
}

/// Reads once into the spare capacity of `buffer`, at most `at_most` bytes: at the file's own
/// offset, or at another one. How many bytes, 0 at the end.
pub(crate) fn read_spare(
    file: &File,
    buffer: &mut Vec<u8>,
    at_most: usize,
    offset: Option<u64>,
) -> io::Result<usize> {
    let offset = offset.map(to_offset).transpose()?;
    let fd = file.as_raw_fd();
    let spare = buffer.spare_capacity_mut();
    let (start, len) = (spare.as_mut_ptr().cast(), spare.len().min(at_most));
    let count = again(fd, libc::POLLIN, || match offset {
        // SAFETY: `start` is the first of at least `len` bytes that `buffer` owns and nobody else
        // looks at; the kernel writes no others.
        None => unsafe { libc::read(fd, start, len) },
        // SAFETY: as above.
        Some(offset) => unsafe { libc::pread(fd, start, len, offset) },
    })?;
    // SAFETY: the kernel has written `count` bytes from the end of what was initialised, and
    // `count` is no more than the spare capacity.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(count)
}

/// Reads once into several buffers. How many bytes, 0 at the end.
pub(crate) fn read_vectored(
    file: &File,
    buffers: &mut [IoSliceMut<'_>],
    offset: Option<u64>,
) -> io::Result<usize> {
    let offset = offset.map(to_offset).transpose()?;
    let fd = file.as_raw_fd();
    let (start, count) = (buffers.as_mut_ptr().cast(), to_count(buffers.len()));
    again(fd, libc::POLLIN, || match offset {
        // SAFETY: std promises that an `IoSliceMut` has the layout of an `iovec`; there are at
        // least `count` of them, and each borrows its bytes for the whole call.
        None => unsafe { libc::readv(fd, start, count) },
        // SAFETY: as above.
        Some(offset) => unsafe { libc::preadv(fd, start, count, offset) },
    })
}

/// Writes once from several buffers. How many bytes the kernel took.
pub(crate) fn write_vectored(
    file: &File,
    buffers: &[IoSlice<'_>],
    offset: Option<u64>,
) -> io::Result<usize> {
    let offset = offset.map(to_offset).transpose()?;
    let fd = file.as_raw_fd();
    let (start, count) = (buffers.as_ptr().cast(), to_count(buffers.len()));
    again(fd, libc::POLLOUT, || match offset {
        // SAFETY: std promises that an `IoSlice` has the layout of an `iovec`; there are at least
        // `count` of them, and each borrows its bytes for the whole call.
        None => unsafe { libc::writev(fd, start, count) },
        // SAFETY: as above.
        Some(offset) => unsafe { libc::pwritev(fd, start, count, offset) },
    })
}

/// Closes a descriptor and tells what the kernel says of it, such as that data written earlier
/// could not be stored.
pub(crate) fn close(descriptor: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned, and nobody uses its number after this.
    let failed = unsafe { libc::close(descriptor.into_raw_fd()) } != 0;
    match io::Error::last_os_error() {
        // Interrupted or not, the descriptor is gone.
        error if failed && error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Asks whether this process may use a path, with its real ids. `mode` has 4 for reading, 2 for
/// writing, 1 for executing; 0 asks only whether it exists.
pub(crate) fn access(path: &Path, mode: u8) -> io::Result<()> {
    let path = to_c(path)?;
    // The system's numbers are these three everywhere.
    // SAFETY: the path is a live string that ends in zero.
    check(unsafe { libc::access(path.as_ptr(), libc::c_int::from(mode)) })
}

/// Sets the times of access and modification of a path, or of a link itself.
pub(crate) fn set_times(path: &Path, times: [Moment; 2], follow: bool) -> io::Result<()> {
    let path = to_c(path)?;
    let times = times.map(to_timespec);
    let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    // SAFETY: the path is a live string that ends in zero, and there are two times.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), flags) })
}

/// Sets the times of access and modification of an open file.
pub(crate) fn set_file_times(file: &File, times: [Moment; 2]) -> io::Result<()> {
    let times = times.map(to_timespec);
    // SAFETY: the descriptor is open, and there are two times.
    check(unsafe { libc::futimens(file.as_raw_fd(), times.as_ptr()) })
}

/// Makes a file at a path `len` bytes long, without opening it: opening a FIFO would wait for a
/// reader.
pub(crate) fn truncate(path: &Path, len: u64) -> io::Result<()> {
    let (path, len) = (to_c(path)?, to_offset(len)?);
    loop {
        // SAFETY: the path is a live string that ends in zero.
        match check(unsafe { libc::truncate(path.as_ptr(), len) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Makes a call again when a signal interrupts it, and once the descriptor is ready when it would
/// block.
fn again(
    fd: RawFd,
    event: libc::c_short,
    mut call: impl FnMut() -> libc::ssize_t,
) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => wait(fd, event)?,
            _ => return Err(error),
        }
    }
}

/// Blocks this thread until a descriptor is ready, or a signal comes.
fn wait(fd: RawFd, events: libc::c_short) -> io::Result<()> {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one pollfd, which lives on this stack frame for the whole call.
    match check(unsafe { libc::poll(&raw mut poll, 1, -1) }.min(0)) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn to_c(path: &Path) -> io::Result<CString> {
    let text = "a path has no zero byte in it";
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn to_offset(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn to_count(buffers: usize) -> libc::c_int {
    buffers.min(MAX_BUFFERS) as libc::c_int
}

fn to_timespec(moment: Moment) -> libc::timespec {
    let (tv_sec, tv_nsec) = match moment {
        Moment::Leave => (0, libc::UTIME_OMIT),
        Moment::Now => (0, libc::UTIME_NOW),
        Moment::At { seconds, nanos } => (seconds, nanos.into()),
    };
    libc::timespec { tv_sec, tv_nsec }
}
