//! Files, through the blocking pool: named as in [`std::fs`], each a request.
//!
//! Errors carry the kind that `std` gives, and a message with the operation and the path. The
//! system's code is in the [`PathError`] inside.

use std::error::Error;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};

use crate::current;
use crate::error::WorkError;
use crate::request::Request;
use crate::threads::pool::{self, WorkKind};

/// What a failed file operation was about, inside its [`io::Error`].
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::read("/no/such/file").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///     let inner = error.get_ref().unwrap().downcast_ref::<windlass::fs::PathError>().unwrap();
///     assert_eq!(inner.path(), "/no/such/file");
///     assert!(inner.raw_os_error().is_some());
/// });
/// ```
#[derive(Debug)]
pub struct PathError {
    operation: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl PathError {
    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error code, if the error came from the system.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.path.display(), self.error)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Runs one file operation on the pool.
#[track_caller]
fn on_path<T: Send + 'static>(
    operation: &'static str,
    path: PathBuf,
    act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Request<io::Result<T>> {
    let state = current::expect(operation);
    let work = move || {
        act(&path)
            .map_err(|error| io::Error::new(error.kind(), PathError { operation, path, error }))
    };
    pool::submit(&state, "file request", WorkKind::FastIo, Location::caller(), work, flatten)
}

/// The result of a request for I/O: a job that did not run is an I/O error too.
pub(crate) fn flatten<T>(result: Result<io::Result<T>, WorkError>) -> io::Result<T> {
    result?
}

/// Reads a whole file.
///
/// # Errors
/// As [`std::fs::read`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     assert!(!windlass::fs::read("Cargo.toml").await?.is_empty());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> Request<io::Result<Vec<u8>>> {
    on_path("read", path.as_ref().to_owned(), |path| fs::read(path))
}

/// Reads a whole file of UTF-8 text.
///
/// # Errors
/// As [`std::fs::read_to_string`]: `InvalidData` for what is not UTF-8.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::fs::read_to_string("Cargo.toml").on_complete(|text| print!("{}", text.unwrap()));
/// });
/// ```
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> Request<io::Result<String>> {
    on_path("read", path.as_ref().to_owned(), |path| fs::read_to_string(path))
}

/// Writes a whole file, making it or replacing what was in it.
///
/// # Errors
/// As [`std::fs::write`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-write");
/// windlass::block_on(async {
///     windlass::fs::write(&path, "hello").await?;
///     assert_eq!(windlass::fs::read(&path).await?, b"hello");
///     std::fs::remove_file(&path)
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
    let data = data.into();
    on_path("write", path.as_ref().to_owned(), |path| fs::write(path, data))
}

/// What is known of a file, following symbolic links.
///
/// # Errors
/// As [`std::fs::metadata`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     assert!(windlass::fs::metadata("Cargo.toml").await?.is_file());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn metadata(path: impl AsRef<Path>) -> Request<io::Result<Metadata>> {
    on_path("stat", path.as_ref().to_owned(), |path| fs::metadata(path))
}
