//! The close phase: the last callbacks of handles that were closed, the handle closed last first.
//!
//! That is the order of libuv, whose list of closing handles is a stack, and so of Node. A handle's
//! pending writes complete with a cancelled error first, then its close callback runs. What is
//! closed in the phase itself waits for that of the next iteration.

use crate::callback;
use crate::state::State;
use crate::trace::Phase;
use crate::trace::detail::Queue;

#[inline]
pub(crate) fn run(state: &State) {
    if !state.closing.is_empty() {
        run_all(state);
    }
}

fn run_all(state: &State) {
    // Operations that were done before a handle was closed complete before its close callback.
    callback::call_deferred(state, Phase::Close, Queue::Pending, &state.pending);
    if state.closing.begin_phase() {
        state.begin_phase(Phase::Close, || state.closing.len());
        callback::call_each(state, || state.tell_next(Queue::Closing, state.closing.next()));
    }
}
