//! The cancel token: how a job that runs is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks jobs to stop. They look when it suits them: no job is ever interrupted.
///
/// `Send`, `Sync` and `Clone`: every clone is the same token, and one token may serve many jobs. It
/// is cancelled once and stays so. A job that still waits when its token is cancelled does not run:
/// when a thread gets to it, it completes with
/// [`WorkError::Cancelled`](crate::WorkError::Cancelled).
/// [`Request::cancel`](crate::Request::cancel) cancels the request's token too, so a running job is
/// refused with [`Busy`](crate::CancelError::Busy) and yet learns of it.
///
/// # Examples
/// ```
/// use windlass::CancelToken;
///
/// windlass::run(|| {
///     let token = CancelToken::new();
///     windlass::work(|token| {
///         let mut rounds = 0_u64;
///         while !token.is_cancelled() {
///             rounds += 1;
///         }
///         rounds
///     })
///     .cancel_token(&token)
///     .submit()
///     .on_complete(|rounds| println!("{rounds:?}"));
///     windlass::set_timeout(std::time::Duration::from_millis(5), move || token.cancel());
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    /// Set once, for all clones.
    cancelled: Arc<AtomicBool>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Asks all jobs with this token to stop. From any thread, also from a job; again does nothing.
    ///
    /// A thread that finds the token cancelled sees all that was written before this call.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the job is to stop.
    ///
    /// # Cost
    /// One load, so a job may ask in its innermost loop.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}
