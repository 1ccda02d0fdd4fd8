//! The questions that a worker can ask about itself.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::shared::with_this;
use crate::alloc;
use crate::callback;
use crate::state::State;
use crate::state::current;

thread_local! {
    /// The number of the worker's loop, once its main script has begun. None on other threads.
    static BEGUN_LOOP: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The worker's main script begins, on the current loop.
pub(super) fn begin() {
    BEGUN_LOOP.set(current::with(|state| state.id));
}

/// Whether the worker's main script has begun. Direct messages may come before, handlers do not.
pub(super) fn has_begun() -> bool {
    BEGUN_LOOP.get().is_some()
}

/// Does something with the worker's own loop, once its main script has begun. None on other
/// threads.
pub(super) fn with_own_loop<R>(f: impl FnOnce(&State) -> R) -> Option<R> {
    current::find_with(BEGUN_LOOP.get()?, f)
}

/// The number of the worker that this thread is: see [`Worker::id`](super::Worker::id). 0 on other
/// threads.
///
/// # Examples
/// ```
/// use windlass::worker::{self, Worker};
///
/// assert_eq!(worker::id(), 0);
/// windlass::run(|| {
///     Worker::<(), ()>::spawn(|_| assert_ne!(worker::id(), 0)).unwrap();
/// });
/// ```
pub fn id() -> u64 {
    with_this(|shared| shared.id).unwrap_or(0)
}

/// Whether this thread is no worker.
///
/// # Examples
/// ```
/// use windlass::worker::{self, Worker};
///
/// assert!(worker::is_main());
/// windlass::run(|| {
///     Worker::<(), ()>::spawn(|_| assert!(!worker::is_main())).unwrap();
/// });
/// ```
pub fn is_main() -> bool {
    with_this(|_| ()).is_none()
}

/// Whether this worker was told to terminate, or to [`exit`](crate::exit). False on other threads.
///
/// For any thread to ask, and without those that exit by themselves:
/// [`termination`](super::termination). With the memory limit, and for loops that are no worker's:
/// [`must_return`](crate::must_return).
///
/// # Cost
/// A few loads, so that an engine's interrupt handler can ask.
///
/// # Examples
/// ```
/// fn count_primes(up_to: u64) -> usize {
///     let is_prime = |n: &u64| (2..=n.isqrt()).all(|divisor| n % divisor != 0);
///     let goes_on = |_: &u64| !windlass::worker::is_terminating();
///     (2..up_to).take_while(goes_on).filter(is_prime).count()
/// }
/// assert_eq!(count_primes(100), 25);
/// ```
pub fn is_terminating() -> bool {
    with_this(|shared| shared.mailbox.is_halted()) == Some(true)
}

/// Whether this worker was asked to [`shutdown`](super::Worker::shutdown), also when the notice has
/// not come to its turn yet. False on other threads.
///
/// # Examples
/// ```
/// fn work_off(mut jobs: Vec<u32>) -> Vec<u32> {
///     while !windlass::worker::is_shutting_down() && jobs.pop().is_some() {}
///     jobs // What is left for another worker.
/// }
/// assert_eq!(work_off(vec![1, 2, 3]), [0; 0]);
/// ```
pub fn is_shutting_down() -> bool {
    with_this(|shared| shared.finishing.load(Ordering::SeqCst)) == Some(true)
}

/// Ends this worker here if it was told to terminate, or if it is over its
/// [`memory_limit`](super::WorkerBuilder::memory_limit).
///
/// The rest of the callback is left by an unwind, which drops what is on the stack and which the
/// worker catches; no message is shown. Does nothing otherwise, and on other threads. In a program
/// that aborts on panic there is no unwind: the worker then ends at the end of its callback, as it
/// would without the checkpoint.
///
/// # Examples
/// ```
/// fn sum(numbers: &[u64]) -> u64 {
///     let mut sum = 0;
///     for chunk in numbers.chunks(1000) {
///         windlass::worker::checkpoint(); // A terminated worker ends here.
///         sum += chunk.iter().sum::<u64>();
///     }
///     sum
/// }
/// assert_eq!(sum(&[1, 2, 3]), 6);
/// ```
pub fn checkpoint() {
    // Not the current loop, which may be another one that the worker has made and entered.
    if alloc::is_over_limit() {
        with_own_loop(State::end_for_memory);
    }
    if cfg!(panic = "unwind") && is_terminating() && !std::thread::panicking() {
        callback::halt();
    }
}
