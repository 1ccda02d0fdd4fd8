//! Digests: of what is in memory, and of files.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor};
use std::path::Path;

use sha2::digest::DynDigest;

use super::{Secret, sliced};
use crate::fs::PathError;
use crate::request::Request;
use crate::state::current;
use crate::trace::label::here;

/// A hash function of FIPS 180-4.
///
/// SHA-1 is here for what is written already (RFC 6070, Git, old protocols): it no longer keeps two
/// texts apart against an attacker.
///
/// # Examples
/// ```
/// use windlass::crypto::Digest;
///
/// assert_eq!(Digest::Sha256.to_string(), "sha256");
/// assert_eq!(Digest::Sha256.of(b"abc").len(), Digest::Sha256.output_len());
/// assert_eq!(Digest::Sha256.of(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Digest {
    /// SHA-1: 20 bytes.
    Sha1,
    /// SHA-256: 32 bytes.
    Sha256,
    /// SHA-384: 48 bytes.
    Sha384,
    /// SHA-512: 64 bytes.
    Sha512,
}

impl Digest {
    /// How many bytes it gives.
    pub fn output_len(self) -> usize {
        match self {
            Digest::Sha1 => 20,
            Digest::Sha256 => 32,
            Digest::Sha384 => 48,
            Digest::Sha512 => 64,
        }
    }

    /// The digest of a short text, here and now: a microsecond for a few hundred bytes. What is
    /// longer belongs to [`hash`].
    pub fn of(self, data: &[u8]) -> Vec<u8> {
        let mut hasher = self.hasher();
        hasher.update(data);
        hasher.finalize().into_vec()
    }

    fn hasher(self) -> Box<dyn DynDigest + Send> {
        match self {
            Digest::Sha1 => Box::new(sha1::Sha1::default()),
            Digest::Sha256 => Box::new(sha2::Sha256::default()),
            Digest::Sha384 => Box::new(sha2::Sha384::default()),
            Digest::Sha512 => Box::new(sha2::Sha512::default()),
        }
    }
}

impl fmt::Display for Digest {
    /// The name that Node and OpenSSL have for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Digest::Sha1 => "sha1",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
        })
    }
}

/// What one job hashes before others get their turn: a few hundredths of a second of work.
const SLICE: usize = 8 * 1024 * 1024;

/// What of a file is in memory at a time.
const BUFFER: usize = 128 * 1024;

/// The digest of a text, on the pool.
///
/// A text of more than 8 MiB is hashed in several jobs, one after the other, between which other
/// jobs get their turn.
///
/// # Errors
/// None of its own. It can be cancelled at any time; a job that is running goes to its end first.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::crypto::{self, Digest};
///
/// windlass::run(|| {
///     crypto::hash(Digest::Sha1, "abc").on_complete(|digest| {
///         assert_eq!(digest.unwrap()[..3], [0xa9, 0x99, 0x3e]);
///     });
/// });
/// ```
#[track_caller]
pub fn hash(digest: Digest, data: impl Into<Vec<u8>>) -> Request<io::Result<Vec<u8>>> {
    let state = current::expect("crypto::hash");
    let mut data = Cursor::new(data.into());
    let mut hasher = digest.hasher();
    let slice = move || hash_slice(&mut data, &mut *hasher);
    sliced::submit(&state, "digest", here(), slice)
}

/// The digest of a file, on the pool.
///
/// The file is opened and read there, with 128 KiB of it in memory at a time, in several jobs if it
/// has more than 8 MiB. What is written to the file meanwhile may or may not count.
///
/// # Errors
/// As [`std::fs::read`], with a [`PathError`] inside. It can be cancelled at any time; a job that
/// is running goes to its end first.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::crypto::{self, Digest};
///
/// windlass::block_on(async {
///     let digest = crypto::hash_file(Digest::Sha256, "Cargo.toml").await?;
///     assert_eq!(digest, Digest::Sha256.of(&std::fs::read("Cargo.toml")?));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn hash_file(digest: Digest, path: impl AsRef<Path>) -> Request<io::Result<Vec<u8>>> {
    let state = current::expect("crypto::hash_file");
    let path = path.as_ref().to_owned();
    let mut hasher = digest.hasher();
    let mut file = None;
    let slice = move || {
        let mut go_on = || {
            let reader = match file.take() {
                Some(reader) => reader,
                None => BufReader::with_capacity(BUFFER, File::open(&path)?),
            };
            hash_slice(file.insert(reader), &mut *hasher)
        };
        go_on().map_err(|error| PathError::wrap("hash", &path, error))
    };
    sliced::submit(&state, "file digest", here(), slice)
}

/// Hashes up to a slice of what is left. The digest, if that was the end.
fn hash_slice(data: &mut impl BufRead, hasher: &mut dyn DynDigest) -> io::Result<Option<Secret>> {
    let mut left = SLICE;
    while left > 0 {
        let chunk = match data.fill_buf() {
            Ok([]) => return Ok(Some(Secret::new(hasher.finalize_reset().into_vec()))),
            Ok(chunk) => &chunk[..chunk.len().min(left)],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(chunk);
        let length = chunk.len();
        data.consume(length);
        left -= length;
    }
    Ok(None)
}
