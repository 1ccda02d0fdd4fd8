//! scrypt (RFC 7914) by AWS-LC. The one call of this crate into a cryptographic library that is not
//! written in Rust; DESIGN.md says why it is made.
//!
//! One of the files with `unsafe` code: the library takes pointers with lengths, and keeps none of
//! them. Its working memory is its own, and it wipes all that it gives back.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::io;

/// The cost of one run, and the memory that the library may take for it.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// How many states are kept: a power of two above 1.
    pub(crate) n: u64,
    /// Pairs of blocks in a state.
    pub(crate) r: u64,
    /// How many runs, one after the other.
    pub(crate) p: u64,
    /// In bytes, and not 0, which would be the library's own limit.
    pub(crate) memory: usize,
}

/// Derives a key as long as `key`, on this thread: it may take seconds.
///
/// Fails with `OutOfMemory` when the system gives no memory, and with the library's words when the
/// cost is outside the limits of RFC 7914 or needs more memory than it says.
pub(crate) fn scrypt(password: &[u8], salt: &[u8], cost: Cost, key: &mut [u8]) -> io::Result<()> {
    // SAFETY: has no conditions. Some platforms need it before anything else; where it was done, it
    // does nothing.
    unsafe { aws_lc_sys::CRYPTO_library_init() };
    // SAFETY: has no conditions. Errors are kept for each thread, and other code on this one may
    // have left some, which would be taken for ours.
    unsafe { aws_lc_sys::ERR_clear_error() };
    // SAFETY: each pointer comes from a slice that outlives the call, with its length. The library
    // reads the first two and writes the third, and does so for no length of 0. It keeps none of
    // them. The key is borrowed for us alone, so that it overlaps nothing. Numbers of any value are
    // allowed: the library checks them.
    let success = unsafe {
        aws_lc_sys::EVP_PBE_scrypt(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            cost.n,
            cost.r,
            cost.p,
            cost.memory,
            key.as_mut_ptr(),
            key.len(),
        )
    };
    if success == 1 { Ok(()) } else { Err(failure(cost.memory)) }
}

/// What the library says of the call that has just failed on this thread. Leaves it nothing to say.
fn failure(memory: usize) -> io::Error {
    // SAFETY: has no conditions. Gives the oldest error of this thread, the cause of the others, or
    // 0.
    let code = unsafe { aws_lc_sys::ERR_get_error() };
    // SAFETY: has no conditions.
    unsafe { aws_lc_sys::ERR_clear_error() };
    if aws_lc_sys::ERR_GET_REASON(code) == aws_lc_sys::ERR_R_MALLOC_FAILURE {
        let text = format!("scrypt: the system did not give {memory} bytes of memory");
        return io::Error::new(io::ErrorKind::OutOfMemory, text);
    }
    let mut text = [0; TEXT_MAX];
    // SAFETY: the buffer lives on this stack frame for the whole call, and its length is given. Any
    // code is allowed: of one that it does not know the library writes the number.
    unsafe { aws_lc_sys::ERR_error_string_n(code, text.as_mut_ptr().cast::<c_char>(), TEXT_MAX) };
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy();
    io::Error::other(format!("scrypt: {text}"))
}

/// What the library asks for at least (`ERR_ERROR_STRING_BUF_LEN`), and more. It cuts what is
/// longer.
const TEXT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not run C")]
    fn what_the_library_refuses_is_told_in_its_words_and_does_no_harm_to_the_next_call() {
        let good = Cost { n: 16, r: 1, p: 1, memory: 128 * (16 + 1 + 1) };
        let mut key = [0; 4];
        for (cost, words) in [
            (Cost { n: 15, ..good }, "INVALID_PARAMETERS"),
            (Cost { memory: good.memory - 1, ..good }, "MEMORY_LIMIT_EXCEEDED"),
            (Cost { r: u64::MAX, ..good }, "INVALID_PARAMETERS"),
        ] {
            let error = scrypt(b"", b"", cost, &mut key).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert!(error.to_string().contains(words), "{error} says {words}");
            assert_eq!(key, [0; 4]);
        }
        scrypt(b"", b"", good, &mut key).unwrap();
        assert_eq!(key, [0x77, 0xd6, 0x57, 0x62]); // RFC 7914
        scrypt(b"", b"", good, &mut []).unwrap();
    }
}
