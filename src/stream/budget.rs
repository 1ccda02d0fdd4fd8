//! A limit on what a task may take from a socket in one iteration.
//!
//! A task that always finds data would never let the loop go on: every await is ready at once.
//! Beyond the limit the socket lets it wait for the next poll phase.

use std::cell::Cell;

use crate::state::State;

/// What tasks have taken from one socket in one iteration. Small, for every connection has one.
#[derive(Default)]
pub(crate) struct Budget {
    /// The iteration that `used` is about, by the low bits of its number. One that is taken for
    /// another lets a task wait for one iteration without need.
    iteration: Cell<u16>,
    /// Operations in that iteration.
    used: Cell<u16>,
}

impl Budget {
    /// Counts one operation. False when this iteration has had its share, which is `limit`
    /// operations.
    pub(crate) fn spend(&self, state: &State, limit: u16) -> bool {
        let now = state.mailbox.figures.iterations() as u16;
        if self.iteration.replace(now) != now {
            self.used.set(0);
        }
        let used = self.used.get();
        if used >= limit {
            return false;
        }
        self.used.set(used + 1);
        true
    }
}
