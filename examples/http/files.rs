//! Files below a root: which one a path means, and its contents chunk by chunk.
//!
//! All but [`relative_path`] blocks, and so runs on pool threads only.
//!
//! Nothing outside the root is opened: a path is decoded once, its parts may only lead downwards,
//! and what it resolves to, symbolic links included, must still lie below the root. Whoever can
//! *write* below the root may exchange a directory for a link between the check and the opening; to
//! close that gap takes system calls that std does not offer, and such a person has other means. What
//! is opened is looked at once more, so that nothing but a regular file is ever read.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use super::response::Status;

/// How much of a file one connection holds in memory at a time.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// An open file, what is known about it, and its first chunk.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    /// None for a file that has more than it says it has, and whose end is known when it is met.
    pub(crate) len: Option<u64>,
    /// Comes with the opening, so that a small file costs one trip to the pool.
    pub(crate) first: Vec<u8>,
}

/// Decodes the part of a target that names a file.
///
/// # Errors
/// 400 for a broken percent encoding or a NUL, 404 for a path that leads upwards.
pub(crate) fn relative_path(encoded: &str) -> Result<PathBuf, Status> {
    let decoded = Vec::from_iter(percent_encoding::percent_decode_str(encoded));
    // Each `%41` has become one byte. A sign that begins no such thing is left as it is.
    let signs = encoded.bytes().filter(|byte| *byte == b'%').count();
    if decoded.len() + 2 * signs != encoded.len() || decoded.contains(&0) {
        return Err(Status::BAD_REQUEST);
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(&decoded)).components() {
        match part {
            Component::Normal(name) => path.push(name),
            // Doubled slashes and single dots mean nothing.
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(Status::NOT_FOUND),
        }
    }
    // A slash at the end asks for a directory, and the system is to see it.
    if decoded.ends_with(b"/") || decoded.ends_with(b"/.") {
        path.push("");
    }
    Ok(path)
}

/// Opens the file at `relative` below `root`, which must be a canonical path, and reads its first
/// chunk.
///
/// Also read is what a file has beyond the length that it states: under /proc that is 0, under /sys
/// 4096, whatever they hold.
pub(crate) fn open(root: &Path, relative: &Path) -> io::Result<Opened> {
    let path = fs::canonicalize(root.join(relative))?;
    // Looked at before it is opened too, because to open a device may do something to it.
    if !path.starts_with(root) || !fs::metadata(&path)?.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let file = open_regular(&path)?;
    let stated = file.metadata()?.len();
    let first = read_chunk(&file, 0, Some(stated).filter(|len| *len > 0))?;
    let read = first.len() as u64;
    let len = match stated {
        0 if first.len() == CHUNK_BYTES => None,
        // The end came early, or a whole chunk is there.
        _ if first.len() < CHUNK_BYTES => Some(read),
        _ => Some(stated),
    };
    Ok(Opened { file, len, first })
}

/// Opens a regular file, and nothing else, without waiting for anybody.
///
/// What the path named a moment ago may have been exchanged since: to open a named pipe would wait
/// for its writer, and hold this pool thread.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// Reads the chunk at `offset`, of [`CHUNK_BYTES`] or the `left` bytes, whichever is less. It is
/// shorter only where the file ends.
pub(crate) fn read_chunk(file: &File, offset: u64, left: Option<u64>) -> io::Result<Vec<u8>> {
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(CHUNK_BYTES);
    let mut chunk = vec![0; left.min(CHUNK_BYTES)];
    let mut read = 0;
    while read < chunk.len() {
        match file.read_at(&mut chunk[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(read);
    Ok(chunk)
}

/// Reads the next chunk of a file whose head has gone out, and says how much is left then.
///
/// # Errors
/// Also when the file has become shorter, for then the promised length cannot be kept.
pub(crate) fn read_next(
    file: &File,
    offset: u64,
    left: Option<u64>,
) -> io::Result<(Vec<u8>, Option<u64>)> {
    let chunk = read_chunk(file, offset, left)?;
    let (read, ended) = (chunk.len() as u64, chunk.len() < CHUNK_BYTES);
    let left = match left {
        Some(left) if ended && read < left => return Err(ErrorKind::UnexpectedEof.into()),
        Some(left) => Some(left - read),
        None => ended.then_some(0),
    };
    Ok((chunk, left))
}

/// The status for a file that could not be opened.
pub(crate) fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        // What is a directory in the path, and a file on disk, is not there either.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
            Status::NOT_FOUND
        }
        ErrorKind::PermissionDenied => Status::FORBIDDEN,
        // Links that lead in a circle lead nowhere, and a socket is no file; std has no names for these.
        _ if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => Status::NOT_FOUND,
        _ => Status::INTERNAL_ERROR,
    }
}

/// What a file holds, judged by its name.
pub(crate) fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(OsStr::to_str) {
        Some("html" | "htm") => super::response::HTML,
        Some("txt" | "md" | "rs" | "toml") => super::response::TEXT,
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
