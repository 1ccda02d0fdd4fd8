//! A message on its way, with who sent it.

use crate::trace::cause;

/// A message on its way.
pub(crate) struct Sent<T> {
    /// What the receiver gets.
    pub(crate) message: T,
    /// The callback or job that sent it. Zero: none, or nobody observed.
    pub(crate) cause: u64,
}

impl<T> Sent<T> {
    /// Sent now, by what runs on this thread.
    #[inline]
    pub(crate) fn now(message: T) -> Sent<T> {
        Sent { message, cause: cause::running() }
    }

    /// The message, which was not sent after all.
    pub(crate) fn back(self) -> T {
        self.message
    }
}
