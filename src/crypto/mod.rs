//! Keys from passwords, digests and random bytes, computed on the blocking pool.
//!
//! Behind the feature `crypto`, which needs a C compiler where the crate is built: scrypt is
//! AWS-LC's. All else is written in Rust.
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
//! memory of scrypt
//! are wiped: also when the request was cancelled, and when its loop has ended. The `Vec` that a
//! request
//! completes with is the caller's, to be wiped by the caller. Not wiped are the text that
//! [`hash`] was given, and what the processor's registers and the stack of a pool thread may hold
//! of a hash
//! function's state.

mod digest;
mod sliced;

use std::io;
use std::mem;
use std::panic::Location;

use ctutils::CtEq;
use zeroize::Zeroizing;

use crate::pool::{self, Admission, Label, WorkKind};
use crate::promise::Promise;
use crate::request::Request;
use crate::state::current;
use crate::sys;
use crate::unhandled::{Claimable, Lost};

pub use digest::{Digest, hash, hash_file};

/// The longest key and the most random bytes: 2^31 − 1, as in Node.
const LENGTH_MAX: usize = i32::MAX as usize;

/// The most memory that scrypt may take, for its states and for its input each: 1 GiB.
const MEMORY_MAX: u64 = 1 << 30;

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

/// What scrypt costs (RFC 7914).
///
/// # Examples
/// ```
/// use windlass::crypto::ScryptParams;
///
/// // What Node uses when it is told nothing: 16 MiB, and a few hundredths of a second.
/// assert_eq!(ScryptParams::default(), ScryptParams { log_n: 14, r: 8, p: 1 });
/// assert_eq!(ScryptParams::default().memory() >> 20, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScryptParams {
    /// The binary logarithm of N, the cost: 14 is N = 16,384. Time and memory double with each
    /// step.
    pub log_n: u8,
    /// The block size, in steps of 128 bytes: time and memory grow with it.
    pub r: u32,
    /// How often it is done, one time after the other: time grows with it, and memory hardly.
    pub p: u32,
}

impl Default for ScryptParams {
    /// N = 16,384, r = 8, p = 1, as in Node.
    fn default() -> ScryptParams {
        ScryptParams { log_n: 14, r: 8, p: 1 }
    }
}

impl ScryptParams {
    /// The memory that a call takes while it runs, in bytes: 128·r·(N + p + 1).
    ///
    /// As many calls run at a time as the pool has threads.
    pub fn memory(&self) -> u64 {
        let states = self.n().saturating_add(self.p.into()).saturating_add(1);
        self.bytes(states)
    }

    fn n(&self) -> u64 {
        1_u64.checked_shl(self.log_n.into()).unwrap_or(u64::MAX)
    }

    /// The bytes of so many states.
    fn bytes(&self, states: u64) -> u64 {
        states.saturating_mul(u64::from(self.r).saturating_mul(128))
    }

    fn check(&self) -> io::Result<sys::scrypt::Cost> {
        let ScryptParams { log_n, r, p } = *self;
        let refuse = |why: String| Err(invalid(format!("scrypt: {why}")));
        if log_n == 0 {
            return refuse("log_n is 0, and has to be 1 or more".to_owned());
        }
        if r == 0 || p == 0 {
            return refuse(format!("r is {r} and p is {p}, and each has to be 1 or more"));
        }
        // RFC 7914, section 6: N is less than 2^(128·r/8), and p at most (2^32 − 1)·32/(128·r).
        if u64::from(log_n) >= 16 * u64::from(r) {
            return refuse(format!("log_n is {log_n}, and has to be less than 16·r, {}", 16 * r));
        }
        if u64::from(r) * u64::from(p) >= 1 << 30 {
            return refuse(format!("r·p is {r}·{p}, and has to be less than 2^30"));
        }
        for (states, name) in [(self.n(), "N"), (p.into(), "p")] {
            let bytes = self.bytes(states);
            if bytes > MEMORY_MAX {
                return refuse(format!("128·{name}·r is {bytes} bytes, and may be 1 GiB at most"));
            }
        }
        // N, p and 1 times 128·r, and each within 1 GiB.
        let memory = self.memory() as usize;
        Ok(sys::scrypt::Cost { n: self.n(), r: r.into(), p: p.into(), memory })
    }
}

/// Derives a key of `key_len` bytes from a password, in a way that needs much memory (scrypt, RFC
/// 7914).
///
/// # Cost
/// [`ScryptParams::memory`], and time for writing and reading N states of it `p` times. The default
/// takes about 0.02 s.
///
/// # Errors
/// `InvalidInput` when `key_len` is 0 or above 2^31 − 1; when `log_n`, `r` or `p` is 0 or outside
/// the limits of RFC 7914; and when 128·N·r or 128·p·r is above 1 GiB (Node's `maxmem`, which there
/// is 32 MiB unless set). `OutOfMemory` when the system does not give that much.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::crypto::{self, ScryptParams};
///
/// windlass::block_on(async {
///     let params = ScryptParams { log_n: 4, r: 1, p: 1 };
///     let key = crypto::scrypt(b"", b"", 64, params).await?;
///     assert_eq!(key[..4], [0x77, 0xd6, 0x57, 0x62]); // RFC 7914
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn scrypt(
    password: &[u8],
    salt: &[u8],
    key_len: usize,
    params: ScryptParams,
) -> Request<io::Result<Vec<u8>>> {
    let checked = check_key_len(key_len).and_then(|()| params.check());
    let (password, salt) = (secret(password), secret(salt));
    let cost = checked.as_ref().ok().copied();
    derive("scrypt", checked.map(drop), move || {
        let cost = cost.expect("work is queued for what was checked");
        let mut key = zeros(key_len)?;
        sys::scrypt::scrypt(&password, &salt, cost, &mut key)?;
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
/// their turn.
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
    let location = Location::caller();
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
        getrandom::fill(&mut bytes[filled..])?;
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
    let location = Location::caller();
    match checked {
        Ok(()) => {
            let (promise, request) = Promise::new(&state, name, location);
            promise.on_unclaimed(wipe);
            let label = Label::new(WorkKind::Cpu, name, location);
            let job = pool::submit(&state, label, Admission::New, work, pool::flatten);
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
