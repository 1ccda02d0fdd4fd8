//! When the memory of a burst goes back: one rule for the queues and the timers.
//!
//! The loop looks at each of them now and then. One that has room for more than four times as many
//! items as it needs gives the rest back. Items that came since the last look count as needed, so
//! that a load that stays does not give memory back and take it anew all the time. Before a long
//! sleep they do not count.

use std::cell::Cell;

/// Room for this number of items stays in any case.
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
    /// How many items came since this was asked last, when `count` ever came. Zero if the memory
    /// they took is to go back `now`.
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
