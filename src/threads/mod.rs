//! Door 2, from other threads: what may reach a loop from outside.
//!
//! [`mailbox`] is the door. [`remote`] and the handle `Notifier` are the public ways to it; ports,
//! workers, pool requests and tasks use it too. [`patience`] says how a thread waits for other
//! threads. [`signal`] goes the other way: from a loop to a future that may be on another thread.

pub(crate) mod mailbox;
pub(crate) mod patience;
pub(crate) mod remote;
pub(crate) mod signal;

/// A value with cache lines of its own: a write to what stands beside it does not take it away from
/// the core that uses it. Two lines of 64 bytes, for processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct OwnLine<T>(pub(crate) T);

impl<T> std::ops::Deref for OwnLine<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
