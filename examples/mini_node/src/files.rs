//! Operations on files, each one call that blocks: run by the pool for the callback and promise
//! forms, and at once for the sync forms.
//!
//! Open files are a table from the system's number of a descriptor to the file, one for the
//! process, as Node's are: a worker can use a number that its parent has opened. A file that an
//! operation uses closes when that is done.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::errno::bad_descriptor;

/// What an operation gives.
pub(crate) enum Reply {
    /// Nothing but that it is done.
    Nothing,
    /// A descriptor, or a number of bytes.
    Number(f64),
    /// A path.
    Text(String),
    /// What was read.
    Bytes(Vec<u8>),
    /// What the system says of a file.
    Stat(Box<Metadata>),
    /// Names and kinds, the kinds by libuv's numbers.
    Entries(Vec<(String, u8)>),
}

/// The open files of the process. The lock guards nothing but the table, and is held for a look.
static OPEN: Mutex<Option<HashMap<i32, Arc<File>>>> = Mutex::new(None);

fn table() -> MutexGuard<'static, Option<HashMap<i32, Arc<File>>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of a descriptor. The standard streams are there from the beginning.
fn file(fd: i32) -> io::Result<Arc<File>> {
    if let Some(file) = table().as_ref().and_then(|table| table.get(&fd)) {
        return Ok(file.clone());
    }
    let standard = match fd {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        _ => Err(bad_descriptor()),
    };
    standard.map(|fd| Arc::new(File::from(fd)))
}

/// What `open` is asked for, by the system's numbers.
const ACCESS_MODE: i32 = 3;
const WRITE_ONLY: i32 = 1;
const READ_WRITE: i32 = 2;

/// Opens a file and gives its descriptor.
pub(crate) fn open(path: &str, flags: i32, mode: u32) -> io::Result<Reply> {
    let access = flags & ACCESS_MODE;
    let file = OpenOptions::new()
        .read(access != WRITE_ONLY)
        .write(access == WRITE_ONLY || access == READ_WRITE)
        .custom_flags(flags & !ACCESS_MODE)
        .mode(mode)
        .open(path)?;
    let fd = file.as_raw_fd();
    let before = table().get_or_insert_default().insert(fd, Arc::new(file));
    drop(before);
    Ok(Reply::Number(f64::from(fd)))
}

/// Lets go of a descriptor.
pub(crate) fn close(fd: i32) -> io::Result<Reply> {
    let file = table().as_mut().and_then(|table| table.remove(&fd));
    file.map(|_| Reply::Nothing).ok_or_else(bad_descriptor)
}

/// Reads up to `length` bytes, from `position` or from where the file stands.
pub(crate) fn read(fd: i32, length: usize, position: Option<u64>) -> io::Result<Reply> {
    let file = file(fd)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length)?;
    bytes.resize(length, 0);
    let count = match position {
        Some(position) => file.read_at(&mut bytes, position)?,
        None => (&*file).read(&mut bytes)?,
    };
    bytes.truncate(count);
    Ok(Reply::Bytes(bytes))
}

/// Writes bytes, or some of them, to `position` or to where the file stands.
pub(crate) fn write(fd: i32, bytes: &[u8], position: Option<u64>) -> io::Result<Reply> {
    let file = file(fd)?;
    let count = match position {
        Some(position) => file.write_at(bytes, position)?,
        None => (&*file).write(bytes)?,
    };
    Ok(Reply::Number(count as f64))
}

pub(crate) fn fstat(fd: i32) -> io::Result<Reply> {
    file(fd)?.metadata().map(Box::new).map(Reply::Stat)
}

pub(crate) fn ftruncate(fd: i32, length: u64) -> io::Result<Reply> {
    done(file(fd)?.set_len(length))
}

/// Sees that what was written is on the disk; with `data` perhaps without the time of it.
pub(crate) fn sync(fd: i32, data: bool) -> io::Result<Reply> {
    let file = file(fd)?;
    done(if data { file.sync_data() } else { file.sync_all() })
}

pub(crate) fn stat(path: &str) -> io::Result<Reply> {
    fs::metadata(path).map(Box::new).map(Reply::Stat)
}

pub(crate) fn lstat(path: &str) -> io::Result<Reply> {
    fs::symlink_metadata(path).map(Box::new).map(Reply::Stat)
}

/// Whether the process may read (4), write (2) or run (1) a file; 0 asks whether it is there.
///
/// For the sync form: by the permission bits, and by opening what is a file.
pub(crate) fn access(path: &str, mode: i32) -> io::Result<Reply> {
    const RUN: i32 = 1;
    const WRITE: i32 = 2;
    const READ: i32 = 4;
    let denied = || io::Error::from_raw_os_error(13);
    let metadata = fs::metadata(path)?;
    if mode & RUN != 0 && metadata.permissions().mode() & 0o111 == 0 {
        return Err(denied());
    }
    if metadata.is_file() {
        if mode & READ != 0 {
            File::open(path)?;
        }
        if mode & WRITE != 0 {
            OpenOptions::new().append(true).open(path)?;
        }
    } else if mode & WRITE != 0 && metadata.permissions().mode() & 0o222 == 0 {
        return Err(denied());
    }
    Ok(Reply::Nothing)
}

/// Makes a directory. With `recursive` its parents too, and the first that was made is given.
pub(crate) fn mkdir(path: &str, mode: u32, recursive: bool) -> io::Result<Reply> {
    let mut builder = DirBuilder::new();
    builder.mode(mode);
    if !recursive {
        return done(builder.create(path));
    }
    let absolute = std::path::absolute(path)?;
    let mut missing: Vec<&Path> = Vec::new();
    for ancestor in absolute.ancestors() {
        if fs::metadata(ancestor).is_ok() {
            break;
        }
        missing.push(ancestor);
    }
    let first = missing.last().map(|first| first.to_string_lossy().into_owned());
    if missing.is_empty() && !fs::metadata(path)?.is_dir() {
        return Err(io::Error::from_raw_os_error(17));
    }
    builder.recursive(true).create(&absolute)?;
    Ok(first.map_or(Reply::Nothing, Reply::Text))
}

/// Makes a directory whose name is `prefix` and six characters that no other has.
pub(crate) fn mkdtemp(prefix: &str) -> io::Result<Reply> {
    const ATTEMPTS: u32 = 64;
    let mut last = io::Error::from_raw_os_error(17);
    for _ in 0..ATTEMPTS {
        let path = format!("{prefix}{}", random_name());
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(Reply::Text(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Six characters. They need not be secret: the directory is made only if it is new.
fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bits = RandomState::new().hash_one(std::thread::current().id());
    (0..6)
        .map(|_| {
            let letter = LETTERS[(bits % 62) as usize];
            bits /= 62;
            char::from(letter)
        })
        .collect()
}

/// The names of a directory in the order of their bytes, as libuv gives them.
pub(crate) fn readdir(path: &str) -> io::Result<Reply> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type().map_or(0, kind);
        entries.push((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    entries.sort();
    Ok(Reply::Entries(entries))
}

/// libuv's number of a kind of file.
fn kind(kind: FileType) -> u8 {
    match kind {
        _ if kind.is_file() => 1,
        _ if kind.is_dir() => 2,
        _ if kind.is_symlink() => 3,
        _ if kind.is_fifo() => 4,
        _ if kind.is_socket() => 5,
        _ if kind.is_char_device() => 6,
        _ if kind.is_block_device() => 7,
        _ => 0,
    }
}

pub(crate) fn unlink(path: &str) -> io::Result<Reply> {
    done(fs::remove_file(path))
}

pub(crate) fn rmdir(path: &str) -> io::Result<Reply> {
    done(fs::remove_dir(path))
}

/// Removes a file, or with `recursive` a directory with all that is in it. With `force` what is
/// not there is no error.
pub(crate) fn rm(path: &str, recursive: bool, force: bool) -> io::Result<Reply> {
    let removed = fs::symlink_metadata(path).and_then(|metadata| match metadata.is_dir() {
        true if recursive => fs::remove_dir_all(path),
        true => Err(io::Error::from_raw_os_error(21)),
        false => fs::remove_file(path),
    });
    match removed {
        Err(error) if force && error.kind() == io::ErrorKind::NotFound => Ok(Reply::Nothing),
        other => done(other),
    }
}

pub(crate) fn rename(from: &str, to: &str) -> io::Result<Reply> {
    done(fs::rename(from, to))
}

/// Copies a file, and its permissions. With `exclusive` only to where nothing is.
pub(crate) fn copy_file(from: &str, to: &str, exclusive: bool) -> io::Result<Reply> {
    if exclusive {
        drop(OpenOptions::new().write(true).create_new(true).open(to)?);
    }
    done(fs::copy(from, to).map(drop))
}

pub(crate) fn link(from: &str, to: &str) -> io::Result<Reply> {
    done(fs::hard_link(from, to))
}

pub(crate) fn symlink(target: &str, path: &str) -> io::Result<Reply> {
    done(std::os::unix::fs::symlink(target, path))
}

pub(crate) fn readlink(path: &str) -> io::Result<Reply> {
    fs::read_link(path).map(|target| Reply::Text(target.to_string_lossy().into_owned()))
}

pub(crate) fn realpath(path: &str) -> io::Result<Reply> {
    fs::canonicalize(path).map(|path| Reply::Text(path.to_string_lossy().into_owned()))
}

pub(crate) fn chmod(path: &str, mode: u32) -> io::Result<Reply> {
    done(fs::set_permissions(path, fs::Permissions::from_mode(mode)))
}

/// Sets the times, in seconds since 1970.
pub(crate) fn utimes(path: &str, accessed: f64, modified: f64) -> io::Result<Reply> {
    let time = |seconds: f64| {
        let since = std::time::Duration::try_from_secs_f64(seconds);
        since.map(|since| std::time::UNIX_EPOCH + since).map_err(io::Error::other)
    };
    let times = fs::FileTimes::new().set_accessed(time(accessed)?).set_modified(time(modified)?);
    done(File::open(path)?.set_times(times))
}

fn done(result: io::Result<()>) -> io::Result<Reply> {
    result.map(|()| Reply::Nothing)
}
