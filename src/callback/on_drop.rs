//! What has to be done also when a panic passes by.

use std::mem;

/// Does something when it is dropped, by a return or by a panic that passes by, unless it is told
/// to forget.
///
/// As in `let again = OnDrop(|| registration.call_again())` before a round: what the round leaves
/// undone is done later, and a round that leaves nothing calls
/// [`forget`](OnDrop::forget). `Copy`, so that forgetting leaks nothing.
pub(crate) struct OnDrop<F: Fn() + Copy>(pub(crate) F);

impl<F: Fn() + Copy> OnDrop<F> {
    /// It is not to be done.
    #[inline]
    pub(crate) fn forget(self) {
        mem::forget(self);
    }
}

impl<F: Fn() + Copy> Drop for OnDrop<F> {
    #[inline]
    fn drop(&mut self) {
        (self.0)();
    }
}
