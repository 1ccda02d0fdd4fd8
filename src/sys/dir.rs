//! Directories by descriptor: opened inside one another without following a link, listed, and what
//! is in them removed. For what std does by path, which may lead elsewhere from one call to the
//! next. One of the files with `unsafe` code: each block is one system call on values that live
//! until it returns, or a read of the entry that the system has just given.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr::NonNull;

use super::file::{check, errno_location, to_c};

/// The call that makes a process run out of descriptors fails with one of these.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What tells one directory from all others while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The file system.
    device: libc::dev_t,
    /// Its number there.
    inode: libc::ino_t,
}

/// An open directory, and where its listing stands.
#[derive(Debug)]
pub(crate) struct Dir {
    /// Made by `fdopendir`, closed by the drop, and used by nobody else.
    stream: NonNull<libc::DIR>,
}

// SAFETY: the stream belongs to this value alone, and the system ties it to no thread.
unsafe impl Send for Dir {}

/// An entry of a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name in the directory.
    pub(crate) name: CString,
    /// Whether it is a directory itself, if the listing says so.
    pub(crate) is_dir: Option<bool>,
}

impl Dir {
    /// Opens a directory. The last part of the path may not be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        Dir::open_at(libc::AT_FDCWD, &to_c(path)?)
    }

    /// Opens a directory in this one. `NotADirectory` for what is none, a link to one among them.
    pub(crate) fn open_in(&self, name: &CStr) -> io::Result<Dir> {
        Dir::open_at(self.as_raw_fd(), name).map_err(|error| match error.raw_os_error() {
            // What some systems say of a link.
            Some(libc::ELOOP | libc::EMLINK) => io::Error::from_raw_os_error(libc::ENOTDIR),
            _ => error,
        })
    }

    fn open_at(at: RawFd, name: &CStr) -> io::Result<Dir> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let fd = loop {
            // SAFETY: the name is a live string that ends in zero.
            let fd = unsafe { libc::openat(at, name.as_ptr(), flags) };
            let error = io::Error::last_os_error();
            match fd {
                // SAFETY: the descriptor is new, and nobody else knows it.
                0.. => break unsafe { OwnedFd::from_raw_fd(fd) },
                _ if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        };
        // SAFETY: the descriptor is an open directory.
        let stream = NonNull::new(unsafe { libc::fdopendir(fd.as_raw_fd()) });
        let stream = stream.ok_or_else(io::Error::last_os_error)?;
        // The descriptor is the stream's from now on.
        mem::forget(fd);
        Ok(Dir { stream })
    }

    /// The next entry but the dots, in the order of the file system.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            // SAFETY: the stream is open, and this value, lent for the call, is its only user. The
            // location of errno is valid; the end and an error differ in nothing but this number.
            let entry = unsafe {
                *errno_location() = 0;
                libc::readdir(self.stream.as_ptr())
            };
            let Some(entry) = NonNull::new(entry) else {
                let error = io::Error::last_os_error();
                return if error.raw_os_error() == Some(0) { Ok(None) } else { Err(error) };
            };
            // Field by field, for an entry may be shorter than its type.
            // SAFETY: the entry is there until the next read of the stream; its name ends in zero.
            let (name, kind) = unsafe {
                let entry = entry.as_ptr();
                (CStr::from_ptr((&raw const (*entry).d_name).cast()), (*entry).d_type)
            };
            if name == c"." || name == c".." {
                continue;
            }
            let is_dir = (kind != libc::DT_UNKNOWN).then_some(kind == libc::DT_DIR);
            return Ok(Some(Entry { name: name.to_owned(), is_dir }));
        }
    }

    /// Which directory this is.
    pub(crate) fn identity(&self) -> io::Result<Identity> {
        let mut found = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the descriptor is open, and the call fills the value in when it succeeds.
        let found = unsafe {
            check(libc::fstat(self.as_raw_fd(), found.as_mut_ptr()))?;
            found.assume_init()
        };
        Ok(Identity { device: found.st_dev, inode: found.st_ino })
    }

    /// Removes a file or a link in this directory.
    pub(crate) fn remove_file(&self, name: &CStr) -> io::Result<()> {
        // SAFETY: the name is a live string that ends in zero.
        check(unsafe { libc::unlinkat(self.as_raw_fd(), name.as_ptr(), 0) })
    }

    /// Removes an empty directory in this one.
    pub(crate) fn remove_dir(&self, name: &CStr) -> io::Result<()> {
        // SAFETY: the name is a live string that ends in zero.
        check(unsafe { libc::unlinkat(self.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) })
    }

    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: the stream is open.
        unsafe { libc::dirfd(self.stream.as_ptr()) }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and nobody uses it after this. An error leaves nothing open.
        unsafe { libc::closedir(self.stream.as_ptr()) };
    }
}
