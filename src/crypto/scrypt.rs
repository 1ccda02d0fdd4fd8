//! Keys that cost memory: scrypt (RFC 7914), by AWS-LC. Behind the feature `crypto`.

use std::io;

use super::{check_key_len, derive, invalid, secret, zeros};
use crate::request::Request;
use crate::sys;

/// The most memory that scrypt may take, for its states and for its input each: 1 GiB.
const MEMORY_MAX: u64 = 1 << 30;

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
