//! Keys from passwords, digests and random bytes, computed on the blocking pool.
//!
//! Behind the feature `digest`; that is all of it but scrypt, and written in Rust. The feature
//! `crypto` has scrypt too, which is AWS-LC's, and needs a C compiler where the crate is built.
//!
//! All of this takes long, or may, and so none of it runs on the loop: deriving a key takes a tenth
//! of a second by design. Each call is a [`Request`]; they count as computing, as Node's
//! `crypto.pbkdf2`, `crypto.scrypt` and `crypto.randomBytes` do.
//!
//! A request keeps the loop alive until it has completed.
//!
//! Arguments are checked before a thread is used. What is wrong comes as the request's error,
//! `InvalidInput` with the name of the argument and its limits.
//!
//! Copies of passwords and salts, keys, random bytes and digests that nobody came for, and the
//! memory of scrypt are wiped: also when the request was cancelled, and when its loop has ended.
//! The `Vec` that a request completes with is the caller's, to be wiped by the caller. Not wiped
//! are the text that [`hash`] was given, and what the processor's registers and the stack of a pool
//! thread may hold of a hash function's state.

mod digest;
#[cfg(feature = "crypto")]
mod scrypt;
mod sliced;

use std::io;
use std::mem;

use ctutils::CtEq;
use zeroize::Zeroizing;

use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::promise::Promise;
use crate::request::Request;
use crate::state::current;
use crate::trace::label::here;
use crate::unhandled::{Claimable, Lost};

pub use digest::{Digest, hash, hash_file};
#[cfg(feature = "crypto")]
pub use scrypt::{ScryptParams, scrypt};

/// The longest key and the most random bytes: 2^31 − 1, as in Node.
const LENGTH_MAX: usize = i32::MAX as usize;

/// Bytes that are wiped when they are dropped.
type Secret = Zeroizing<Vec<u8>>;

/// Derives a key of `key_len` bytes from a password (PBKDF2 with HMAC, RFC 8018).
///
/// # Cost
/// `iterations` times two blocks of the digest, for each part of the key as long as the digest.
/// 100,000 iterations of SHA-512 take about 0.03 s.
///
/// # Errors
/// `InvalidInput` when `iterations` is 0, or `key_len` is 0 or above 2^31 − 1. `OutOfMemory` when
/// there is no room for the key.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::crypto::{self, Digest};
///
/// windlass::block_on(async {
///     let key = crypto::pbkdf2(b"password", b"salt", 1, 20, Digest::Sha1).await?;
///     assert_eq!(key[..4], [0x0c, 0x60, 0xc8, 0x0f]); // RFC 6070
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn pbkdf2(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    key_len: usize,
    digest: Digest,
) -> Request<io::Result<Vec<u8>>> {
    let checked = check_key_len(key_len).and_then(|()| {
        let none = || invalid("pbkdf2: iterations is 0, and has to be 1 or more".to_owned());
        if iterations == 0 { Err(none()) } else { Ok(()) }
    });
    let (password, salt) = (secret(password), secret(salt));
    derive("pbkdf2", checked, move || {
        let derive = match digest {
            Digest::Sha1 => ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
            Digest::Sha256 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
            Digest::Sha384 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
            Digest::Sha512 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
        };
        let mut key = zeros(key_len)?;
        derive(&password, &salt, iterations, &mut key);
        Ok(key)
    })
}

/// What reports call a request for random bytes.
const RANDOM: &str = "random bytes";

/// What one job fills with random bytes before others get their turn.
const RANDOM_SLICE: usize = 8 * 1024 * 1024;

/// Bytes from the system's random number generator, fit for keys.
///
/// None for a length of 0. More than 8 MiB are fetched in several jobs, between which others get
/// their turn. In a [simulation](crate::sim) they come from its seed, and are fit for nothing else.
///
/// # Errors
/// `InvalidInput` when `len` is above 2^31 − 1. `OutOfMemory` when there is no room for them. The
/// system's, when it has no random numbers to give.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::crypto::random_bytes(16)
///         .on_complete(|bytes| assert_eq!(bytes.unwrap().len(), 16));
/// });
/// ```
#[track_caller]
pub fn random_bytes(len: usize) -> Request<io::Result<Vec<u8>>> {
    let state = current::expect("crypto::random_bytes");
    let location = here();
    if len > LENGTH_MAX {
        let text = format!("random_bytes: {len} bytes are too many: {LENGTH_MAX} at most");
        return Request::failed_later(&state, RANDOM, location, invalid(text));
    }
    // Wiped if nobody comes for them: they were to be a key.
    let mut bytes = Secret::default();
    let slice = move || {
        if bytes.is_empty() {
            bytes.try_reserve_exact(len)?;
        }
        let filled = bytes.len();
        bytes.resize(len.min(filled + RANDOM_SLICE), 0);
        let part = &mut bytes[filled..];
        if current::with_chance(|chance| chance.fill(part)).is_none() {
            getrandom::fill(part)?;
        }
        Ok((bytes.len() == len).then(|| mem::take(&mut bytes)))
    };
    sliced::submit(&state, RANDOM, location, slice)
}

/// Whether two texts are equal, in a time that tells nothing of where they differ.
///
/// For comparing a key or a digest with what somebody has sent. Texts of different lengths are not
/// equal (Node throws); the time does tell their lengths.
///
/// # Examples
/// ```
/// use windlass::crypto::timing_safe_eq;
///
/// assert!(timing_safe_eq(b"the same", b"the same"));
/// assert!(!timing_safe_eq(b"the same", b"the sane"));
/// ```
pub fn timing_safe_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).to_bool()
}

/// Runs the derivation of a key on the pool, unless its arguments were found wrong.
#[track_caller]
fn derive(
    name: &'static str,
    checked: io::Result<()>,
    work: impl FnOnce() -> io::Result<Secret> + Send + 'static,
) -> Request<io::Result<Vec<u8>>> {
    let state = current::expect(name);
    let location = here();
    match checked {
        Ok(()) => {
            let (promise, request) = Promise::new(&state, name, location);
            promise.on_unclaimed(wipe);
            let origin = JobOrigin::new(WorkKind::Cpu, name, location);
            let job = pool::submit(&state, origin, Admission::New, work, pool::flatten);
            promise.follow(job, reveal);
            request
        }
        Err(error) => Request::failed_later(&state, name, location, error),
    }
}

/// What a request completes with: no secret of ours any more.
fn reveal(mut secret: Secret) -> Vec<u8> {
    mem::take(&mut *secret)
}

/// Takes a result that nobody came for. What is lost of it is an error.
fn wipe(result: io::Result<Vec<u8>>) -> Option<Lost> {
    result.map(Secret::new).into_lost()
}

fn secret(bytes: &[u8]) -> Secret {
    Zeroizing::new(bytes.to_vec())
}

fn zeros(len: usize) -> io::Result<Secret> {
    let mut bytes = Secret::default();
    bytes.try_reserve_exact(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn check_key_len(len: usize) -> io::Result<()> {
    if (1..=LENGTH_MAX).contains(&len) {
        return Ok(());
    }
    Err(invalid(format!("key_len is {len}, and has to be 1 to {LENGTH_MAX}")))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
