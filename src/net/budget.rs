//! A limit on what a task may take from a socket in one iteration.
//!
//! A task that always finds data would never give the loop its turn: every await is ready at once.
//! Beyond the limit the socket lets it wait for the next poll phase.

use std::cell::Cell;

use crate::event_loop::state::State;

#[derive(Default)]
pub(super) struct Budget {
    /// The iteration that `used` is about, by the low bits of its number.
    iteration: Cell<u32>,
    used: Cell<u32>,
}

impl Budget {
    /// Counts one operation. False when this iteration has had its share.
    pub(super) fn spend(&self, state: &State, limit: usize) -> bool {
        let now = state.mailbox.figures.iterations() as u32;
        if self.iteration.replace(now) != now {
            self.used.set(0);
        }
        let used = self.used.get();
        if used as usize >= limit {
            return false;
        }
        self.used.set(used + 1);
        true
    }
}
