//! What went wrong with which path.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a failed file operation was about, inside its [`io::Error`].
///
/// The outer error has the kind that `std` gives, and this as its inner error: the operation and
/// the path in the message, the system's error as [`source`](Error::source). An `io::Error` that
/// carries anything has no `raw_os_error()` of its own, so the code is asked for here. Requests
/// that were cancelled, and files without a path, give the bare error of the system, code and all.
///
/// # Examples
/// ```
/// use windlass::fs::PathError;
///
/// windlass::block_on(async {
///     let error = windlass::fs::read("/no/such/file").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///     let inner = PathError::of(&error).unwrap();
///     assert_eq!(inner.path(), "/no/such/file");
///     assert!(inner.raw_os_error().is_some());
///     assert!(error.to_string().starts_with("read /no/such/file: "));
/// });
/// ```
#[derive(Debug)]
pub struct PathError {
    /// What was done, by its name in Node.
    operation: &'static str,
    /// To what it was done.
    path: PathBuf,
    /// Where to, for operations with two paths.
    target: Option<PathBuf>,
    /// What the system said.
    error: io::Error,
}

impl PathError {
    /// The path error inside an `io::Error`, if there is one.
    pub fn of(error: &io::Error) -> Option<&PathError> {
        error.get_ref()?.downcast_ref()
    }

    /// The path that was given; of two, the first.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The second path of an operation that has two: the target of a rename, a copy or a link.
    pub fn target(&self) -> Option<&Path> {
        self.target.as_deref()
    }

    /// The system's error code, if the error came from the system.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.error.raw_os_error()
    }

    /// The error of an operation on one path.
    pub(crate) fn wrap(operation: &'static str, path: &Path, error: io::Error) -> io::Error {
        let inner = PathError { operation, path: path.to_owned(), target: None, error };
        io::Error::new(inner.error.kind(), inner)
    }

    /// The error of an operation from one path to another.
    pub(super) fn wrap_two(
        operation: &'static str,
        path: &Path,
        target: &Path,
        error: io::Error,
    ) -> io::Error {
        let (path, target) = (path.to_owned(), Some(target.to_owned()));
        io::Error::new(error.kind(), PathError { operation, path, target, error })
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.path.display())?;
        if let Some(target) = &self.target {
            write!(f, " -> {}", target.display())?;
        }
        write!(f, ": {}", self.error)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// The same error once more, for several who ask what happened. What is neither the system's nor
/// ours is kept as its kind and its text.
pub(super) fn duplicate(error: &io::Error) -> io::Error {
    if let Some(code) = error.raw_os_error() {
        return io::Error::from_raw_os_error(code);
    }
    match PathError::of(error) {
        Some(inner) => {
            let inner = PathError {
                operation: inner.operation,
                path: inner.path.clone(),
                target: inner.target.clone(),
                error: duplicate(&inner.error),
            };
            io::Error::new(error.kind(), inner)
        }
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
