//! Folders and pipes that belong to one test.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An empty directory that belongs to one test, whatever an earlier run has left in it.
pub(crate) fn directory(test: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    let path = binary.join(test);
    std::fs::remove_dir_all(&path).ok();
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

pub(crate) fn make_fifo(path: &Path) {
    let path = std::ffi::CString::new(path.to_str().expect("text")).expect("no zero");
    // SAFETY: the path is a live string that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// The path of a new FIFO.
pub(crate) fn fifo(test: &str) -> PathBuf {
    let path = directory(test).join("fifo");
    make_fifo(&path);
    path
}

/// Both ends of a pipe: the one to read from, and the one to write to.
pub(crate) fn os_pipe() -> (File, File) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
}
