//! Operations on one path or two, each one job of the pool and one or two system calls.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::job::{on_path, on_two_paths};
use crate::request::Request;
use crate::sys;

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
    on_path("stat", path, |path| fs::metadata(path))
}

/// What is known of a file; of a symbolic link itself, with its length.
///
/// # Errors
/// As [`std::fs::symlink_metadata`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let cwd = windlass::fs::symlink_metadata("src").await?;
///     assert!(cwd.is_dir());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn symlink_metadata(path: impl AsRef<Path>) -> Request<io::Result<Metadata>> {
    on_path("lstat", path, |path| fs::symlink_metadata(path))
}

/// Whether a path leads to something. A link to nothing does not.
///
/// # Errors
/// As [`std::fs::exists`]: when it cannot be told, such as below a directory that may not be
/// searched.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     assert!(windlass::fs::exists("Cargo.toml").await?);
///     assert!(!windlass::fs::exists("no-such-file").await?);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn exists(path: impl AsRef<Path>) -> Request<io::Result<bool>> {
    on_path("exists", path, |path| path.try_exists())
}

/// Removes a file, or a link itself. An open file stays usable until it is closed.
///
/// # Errors
/// As [`std::fs::remove_file`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::remove_file("no-such-file").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// });
/// ```
#[track_caller]
pub fn remove_file(path: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_path("unlink", path, |path| fs::remove_file(path))
}

/// Gives a file or directory another name, replacing a file of that name.
///
/// # Errors
/// As [`std::fs::rename`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let from = std::env::temp_dir().join("windlass-doc-rename-from");
/// let to = std::env::temp_dir().join("windlass-doc-rename-to");
/// windlass::block_on(async {
///     windlass::fs::write(&from, "moved").await?;
///     windlass::fs::rename(&from, &to).await?;
///     assert_eq!(windlass::fs::read(&to).await?, b"moved");
///     windlass::fs::remove_file(&to).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_two_paths("rename", from, to, |from, to| fs::rename(from, to))
}

/// Gives a file a second name, `link`.
///
/// # Errors
/// As [`std::fs::hard_link`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::hard_link("no-such-file", "link").await.unwrap_err();
///     assert!(error.to_string().contains("no-such-file -> link"));
/// });
/// ```
#[track_caller]
pub fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_two_paths("link", original, link, |original, link| fs::hard_link(original, link))
}

/// Makes a symbolic link at `link` that says `original`, which need not exist.
///
/// # Errors
/// As [`std::os::unix::fs::symlink`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let link = std::env::temp_dir().join("windlass-doc-symlink");
/// windlass::block_on(async {
///     windlass::fs::symlink("anywhere", &link).await?;
///     assert_eq!(windlass::fs::read_link(&link).await?.to_str(), Some("anywhere"));
///     windlass::fs::remove_file(&link).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_two_paths("symlink", original, link, |original, link| {
        std::os::unix::fs::symlink(original, link)
    })
}

/// What a symbolic link says.
///
/// # Errors
/// As [`std::fs::read_link`]: `InvalidInput` for what is no link.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::read_link("Cargo.toml").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// });
/// ```
#[track_caller]
pub fn read_link(path: impl AsRef<Path>) -> Request<io::Result<PathBuf>> {
    on_path("readlink", path, |path| fs::read_link(path))
}

/// The absolute path of a file, without links and dots (libuv's `realpath`).
///
/// # Errors
/// As [`std::fs::canonicalize`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let path = windlass::fs::canonicalize("src/../Cargo.toml").await?;
///     assert!(path.is_absolute() && path.ends_with("Cargo.toml"));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn canonicalize(path: impl AsRef<Path>) -> Request<io::Result<PathBuf>> {
    on_path("realpath", path, |path| fs::canonicalize(path))
}

/// Makes a file `len` bytes long: cuts it off, or fills it up with zeros.
///
/// # Errors
/// The system's; `InvalidInput` when the length is beyond what it knows, and for what has no
/// length, such as a FIFO, which is not opened.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-truncate");
/// windlass::block_on(async {
///     windlass::fs::write(&path, "hello").await?;
///     windlass::fs::truncate(&path, 2).await?;
///     assert_eq!(windlass::fs::read(&path).await?, b"he");
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn truncate(path: impl AsRef<Path>, len: u64) -> Request<io::Result<()>> {
    on_path("truncate", path, move |path| sys::file::truncate(path, len))
}
