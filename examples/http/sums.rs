//! The slow job: a Fibonacci number, computed the long way.

use windlass::CancelToken;

/// The largest `n` that is computed. The result would fit for `n` up to 93, but the time doubles with
/// every step and a half: this one takes about a minute.
pub(crate) const N_MAX: u32 = 50;

/// Up to here a sum takes well under a millisecond.
const N_QUICK: u32 = 24;

/// fib(n), slowly.
pub(crate) fn fib(n: u32) -> u64 {
    match n {
        0 | 1 => u64::from(n),
        _ => fib(n - 1) + fib(n - 2),
    }
}

/// A sum to compute, and how the one who computes it learns that nobody waits for it any more.
pub(crate) struct Sum {
    pub(crate) n: u32,
    pub(crate) token: CancelToken,
}

impl Sum {
    /// fib(n), slowly; nothing if the sum was cancelled. For a worker, or a thread of the pool.
    ///
    /// Nothing can interrupt a callback from outside, so a long one has to ask now and then whether it is
    /// still wanted: the sum by its token, the worker by the checkpoint, which does nothing on other threads.
    pub(crate) fn compute(self) -> Option<u64> {
        fn part(n: u32, token: &CancelToken) -> Option<u64> {
            if n <= N_QUICK {
                return Some(fib(n));
            }
            windlass::worker::checkpoint();
            if token.is_cancelled() {
                return None;
            }
            Some(part(n - 1, token)? + part(n - 2, token)?)
        }
        part(self.n, &self.token)
    }
}
