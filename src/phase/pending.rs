//! The pending phase: completions that were deferred out of the call that caused them.
//!
//! A callback never runs inside the call that asked for it. When an operation is done at once, or is
//! cancelled, its callback waits here.

use crate::event_loop::State;

pub(crate) fn run(state: &State) {
    state.pending.run(state);
}
