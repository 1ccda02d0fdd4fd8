//! Door 2, from other threads: what may reach a loop from outside.

pub(crate) mod mailbox;
pub(crate) mod notifier;
pub(crate) mod patience;
pub(crate) mod remote;

/// A value with cache lines of its own: who writes what stands beside it does not take it away from the
/// core that uses it. Two lines of 64 bytes, for processors fetch them in pairs.
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
