//! Files below a root: which one a path means, and its contents chunk by chunk.
//!
//! All but [`relative_path`] blocks, and so runs on pool threads only.
//!
//! Nothing outside the root is opened: a path is decoded once, its parts may only lead downwards,
//! and what it resolves to, symbolic links included, must still lie below the root. Whoever can
//! *write* below the root may exchange a directory for a link between the check and the opening; to
//! close that gap takes system calls that std does not offer, and such a person has other means.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use super::response::Status;

/// How much of a file one connection holds in memory at a time.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// An open file, what is known about it, and its first chunk.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) len: u64,
    /// Comes with the opening, so that a small file costs one trip to the pool.
    pub(crate) first: Vec<u8>,
}

/// Decodes the part of a target that names a file.
///
/// # Errors
/// 400 for a broken percent encoding or a NUL, 404 for a path that leads upwards.
pub(crate) fn relative_path(encoded: &str) -> Result<PathBuf, Status> {
    let decoded = percent_decode(encoded.as_bytes()).ok_or(Status::BAD_REQUEST)?;
    if decoded.contains(&0) {
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
    Ok(path)
}

/// Replaces each `%41` by its byte, once: what comes out is not looked at again.
fn percent_decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            _ => byte,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Opens the file at `relative` below `root`, which must be a canonical path, and reads its first
/// chunk if `wants_contents`.
pub(crate) fn open(root: &Path, relative: &Path, wants_contents: bool) -> io::Result<Opened> {
    let path = fs::canonicalize(root.join(relative))?;
    // Looked at before it is opened, because to open a named pipe would block this pool thread.
    if !path.starts_with(root) || !fs::metadata(&path)?.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let first = if wants_contents { read_chunk(&file, 0, len)? } else { Vec::new() };
    Ok(Opened { file, len, first })
}

/// Reads the chunk at `offset`, of [`CHUNK_BYTES`] or the `left` bytes, whichever is less.
///
/// # Errors
/// Also when the file has become shorter, for then the promised length cannot be kept.
pub(crate) fn read_chunk(file: &File, offset: u64, left: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
    let mut chunk = vec![0; len];
    file.read_exact_at(&mut chunk, offset)?;
    Ok(chunk)
}

/// The status for a file that could not be opened.
pub(crate) fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        // What is a directory in the path, and a file on disk, is not there either.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
            Status::NOT_FOUND
        }
        ErrorKind::PermissionDenied => Status::FORBIDDEN,
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
