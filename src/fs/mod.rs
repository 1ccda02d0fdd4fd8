//! Files, through the blocking pool: named as in [`std::fs`], each a request.
//!
//! - Whole files: [`read`], [`read_to_string`], [`write()`], [`append`], [`copy`].
//! - An open [`File`], whose operations run one at a time, in the order they were asked for.
//! - Paths: [`metadata`], [`rename`], [`remove_file`], [`symlink`], [`canonicalize`], …
//! - Directories: [`create_dir_all`], [`read_dir`], …
//! - What happens to files: [`watch`], [`watch_recursive`], and [`watch_metadata`], which asks
//!   again and again.
//! - [`stream`]: a file in pieces, with back-pressure, to and from sockets.
//!
//! # Liveness
//! A request keeps the loop alive until it has completed. What is open (a file, a directory, a
//! paused stream) does not.
//!
//! # Errors
//! Errors carry the kind that `std` gives, and a message with the operation and the path. The
//! system's code is in the [`PathError`] inside. A request that was cancelled completes with an
//! error whose `raw_os_error()` is `ECANCELED`; one whose loop has ended, with one that carries
//! [`LoopGone`](crate::LoopGone).
//!
//! # Cost
//! Each request is one job of the pool; what moves many bytes goes on in further jobs of 8 MiB
//! each, so that one big file does not hold a thread for seconds. A job that waits in the kernel,
//! such as the opening of a FIFO that has no writer, occupies one pool thread and nothing else.
//!
//! # Cancelling
//! A request can be cancelled until its first job has begun. Dropping it cancels nothing.
//!
//! # Virtual time
//! Files are read and written for real, on the loop's own thread, when the request is delivered.

mod attributes;
mod dir;
mod error;
mod file;
mod job;
mod options;
mod path;
mod polled;
mod queue;
mod remove;
pub mod stream;
mod temp;
mod transfer;
mod watch;
mod watch_metadata;
mod whole;

pub use attributes::{
    Access, FileTime, access, chown, lchown, set_permissions, set_symlink_times, set_times,
};
pub use dir::{
    DirEntry, ReadDir, create_dir, create_dir_all, read_dir, remove_dir, remove_dir_all,
};
pub use error::PathError;
pub use file::File;
pub use options::OpenOptions;
pub use path::{
    canonicalize, exists, hard_link, metadata, read_link, remove_file, rename, symlink,
    symlink_metadata, truncate,
};
pub use temp::{create_temp_dir, create_temp_file};
pub use watch::{Change, NextEvent, WatchEvent, Watcher, watch, watch_recursive};
pub use watch_metadata::{MetadataWatcher, watch_metadata};
pub use whole::{append, copy, copy_new, read, read_to_string, write};
