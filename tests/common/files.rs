//! Folders and pipes that belong to one test.

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

/// Both ends of a pipe: the one to read from, and the one to write to.
pub(crate) fn os_pipe() -> (File, File) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
}
