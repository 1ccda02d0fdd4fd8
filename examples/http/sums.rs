//! The slow job: a Fibonacci number, computed the long way.

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

/// fib(n), slowly, for a worker that can be told to end: nothing can interrupt a callback from
/// outside, so a long one has to ask now and then whether it is still wanted.
pub(crate) fn fib_in_worker(n: u32) -> u64 {
    if n <= N_QUICK {
        return fib(n);
    }
    windlass::worker::checkpoint();
    fib_in_worker(n - 1) + fib_in_worker(n - 2)
}
