//! When the memory of a burst goes back: one rule for the queues and the timers.
//!
//! A queue that is asked now and then gives back what it has much more of than it needs. A load that
//! comes again before it is asked the next time counts as needed, so that memory is not given back
//! and taken anew all the time.

use std::cell::Cell;

/// Room for as many items stays in any case.
pub(crate) const KEPT: usize = 1024;

/// Whether room for `capacity` items is too much when that for `needed` items is.
#[inline]
pub(crate) fn is_excess(capacity: usize, needed: usize) -> bool {
    capacity > KEPT.max(needed.saturating_mul(4))
}

/// How many items came lately, told by a count of all that ever came.
#[derive(Default)]
pub(crate) struct Lately {
    /// The count when it was asked for last.
    then: Cell<u64>,
}

impl Lately {
    /// How many items came since this was asked last, of the `count` that ever came. None if the
    /// memory they took is to go back `now`.
    pub(crate) fn needed(&self, count: u64, now: bool) -> usize {
        let came = count.wrapping_sub(self.then.replace(count));
        if now { 0 } else { usize::try_from(came).unwrap_or(usize::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_the_last_look_is_needed_unless_memory_is_to_go_now() {
        let lately = Lately::default();
        assert_eq!([lately.needed(100, false), lately.needed(100, false)], [100, 0]);
        assert_eq!([lately.needed(150, true), lately.needed(170, false)], [0, 20]);
        assert!(!is_excess(KEPT, 0) && is_excess(KEPT + 1, 0));
        assert!(!is_excess(KEPT * 8, KEPT * 2) && is_excess(KEPT * 8 + 1, KEPT * 2));
        assert!(!is_excess(usize::MAX, usize::MAX));
    }
}
