//! Who may use a file, whose it is, and its times.

use std::fs::{self, Permissions};
use std::io;
use std::ops::BitOr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::job::on_path;
use crate::request::Request;
use crate::sys::file::{self as sys_file, Moment};

/// What [`access`] asks for: constants that are combined with `|`.
///
/// # Examples
/// ```
/// use windlass::fs::{Access, access};
///
/// windlass::block_on(async {
///     access("Cargo.toml", Access::EXISTS | Access::READ).await?;
///     assert!(access("Cargo.toml", Access::EXECUTE).await.is_err());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// That it is there.
    pub const EXISTS: Access = Access(0);
    /// That it may be executed; of a directory, searched.
    pub const EXECUTE: Access = Access(1);
    /// That it may be written.
    pub const WRITE: Access = Access(1 << 1);
    /// That it may be read.
    pub const READ: Access = Access(1 << 2);
}

impl BitOr for Access {
    type Output = Access;

    fn bitor(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
}

/// Asks whether this process may use a path, judged by its real ids (as `access(2)`).
///
/// What is true now may be false when the file is opened: opening it and seeing is better.
///
/// # Errors
/// `PermissionDenied` when it may not, `NotFound` when there is nothing.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs::{Access, access};
///
/// windlass::block_on(async {
///     access("Cargo.toml", Access::READ).await?;
///     let error = access("no-such-file", Access::READ | Access::WRITE).await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn access(path: impl AsRef<Path>, access: Access) -> Request<io::Result<()>> {
    on_path("access", path, move |path| sys_file::access(path, access.0))
}

/// Sets who may use a file (`chmod`).
///
/// # Errors
/// As [`std::fs::set_permissions`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::os::unix::fs::PermissionsExt;
///
/// let path = std::env::temp_dir().join("windlass-doc-chmod");
/// windlass::block_on(async {
///     windlass::fs::write(&path, "").await?;
///     windlass::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).await?;
///     assert_eq!(windlass::fs::metadata(&path).await?.permissions().mode() & 0o777, 0o640);
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_permissions(
    path: impl AsRef<Path>,
    permissions: Permissions,
) -> Request<io::Result<()>> {
    on_path("chmod", path, move |path| fs::set_permissions(path, permissions))
}

/// Sets whose a file is. `None` leaves the user or the group as it is.
///
/// # Errors
/// As [`std::os::unix::fs::chown`]: `PermissionDenied` without the privilege.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     windlass::fs::chown("Cargo.toml", None, None).await // Changes nothing.
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn chown(
    path: impl AsRef<Path>,
    user: Option<u32>,
    group: Option<u32>,
) -> Request<io::Result<()>> {
    on_path("chown", path, move |path| std::os::unix::fs::chown(path, user, group))
}

/// As [`chown`], for a symbolic link itself.
///
/// # Errors
/// As [`chown`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async { windlass::fs::lchown("Cargo.toml", None, None).await })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lchown(
    path: impl AsRef<Path>,
    user: Option<u32>,
    group: Option<u32>,
) -> Request<io::Result<()>> {
    on_path("lchown", path, move |path| std::os::unix::fs::lchown(path, user, group))
}

/// What one of a file's times is set to.
///
/// # Examples
/// ```
/// use std::time::UNIX_EPOCH;
/// use windlass::fs::FileTime;
///
/// assert_eq!(FileTime::from(UNIX_EPOCH), FileTime::At(UNIX_EPOCH));
/// assert_eq!(FileTime::default(), FileTime::Leave);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileTime {
    /// As it is.
    #[default]
    Leave,
    /// The system's time when the request runs.
    Now,
    /// This time, to the nanosecond as far as the file system keeps it. It may be before 1970.
    At(SystemTime),
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> FileTime {
        FileTime::At(time)
    }
}

impl FileTime {
    /// In the system's terms: whole seconds, rounded down, and nanoseconds.
    pub(super) fn moment(self) -> io::Result<Moment> {
        let time = match self {
            FileTime::Leave => return Ok(Moment::Leave),
            FileTime::Now => return Ok(Moment::Now),
            FileTime::At(time) => time,
        };
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).ok(), after.subsec_nanos()),
            Err(error) => {
                let before = error.duration();
                let whole = i64::try_from(before.as_secs()).ok().map(|seconds| -seconds);
                match before.subsec_nanos() {
                    0 => (whole, 0),
                    part => {
                        (whole.and_then(|seconds| seconds.checked_sub(1)), 1_000_000_000 - part)
                    }
                }
            }
        };
        let out_of_range = || io::Error::new(io::ErrorKind::InvalidInput, "a time out of range");
        Ok(Moment::At { seconds: seconds.ok_or_else(out_of_range)?, nanos })
    }
}

/// Sets the times of the last access and the last modification, following symbolic links.
///
/// # Errors
/// The system's; `InvalidInput` when a time is out of range.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use windlass::fs::{self, FileTime};
///
/// let path = std::env::temp_dir().join("windlass-doc-times");
/// windlass::block_on(async {
///     fs::write(&path, "").await?;
///     let then = UNIX_EPOCH + Duration::from_millis(1_500);
///     fs::set_times(&path, FileTime::Leave, then).await?;
///     assert_eq!(fs::metadata(&path).await?.modified()?, then);
///     fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_times(
    path: impl AsRef<Path>,
    accessed: impl Into<FileTime>,
    modified: impl Into<FileTime>,
) -> Request<io::Result<()>> {
    let (accessed, modified) = (accessed.into(), modified.into());
    on_path("utime", path, move |path| {
        sys_file::set_times(path, [accessed.moment()?, modified.moment()?], true)
    })
}

/// As [`set_times`], for a symbolic link itself.
///
/// # Errors
/// As [`set_times`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs::{self, FileTime};
///
/// let link = std::env::temp_dir().join("windlass-doc-link-times");
/// windlass::block_on(async {
///     fs::symlink("nowhere", &link).await?;
///     fs::set_symlink_times(&link, FileTime::Now, std::time::UNIX_EPOCH).await?;
///     assert_eq!(fs::symlink_metadata(&link).await?.modified()?, std::time::UNIX_EPOCH);
///     fs::remove_file(&link).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_symlink_times(
    path: impl AsRef<Path>,
    accessed: impl Into<FileTime>,
    modified: impl Into<FileTime>,
) -> Request<io::Result<()>> {
    let (accessed, modified) = (accessed.into(), modified.into());
    on_path("lutime", path, move |path| {
        sys_file::set_times(path, [accessed.moment()?, modified.moment()?], false)
    })
}
