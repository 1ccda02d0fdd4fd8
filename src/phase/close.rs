//! The close phase: the last callbacks of handles that were closed, in the order of closing.
//!
//! A handle's pending writes complete with a cancelled error first, then its close callbacks run.
//! libuv runs the handle closed last first; we keep the order, and say so in the guide.

use crate::event_loop::State;

pub(crate) fn run(state: &State) {
    // What was done before a handle was closed is told before the close.
    if !state.closing.is_empty() {
        state.pending.run(state);
    }
    state.closing.run(state);
}
