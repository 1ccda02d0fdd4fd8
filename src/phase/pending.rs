//! The pending phase: completions that were deferred out of the call that caused them.
//!
//! A callback never runs inside the call that asked for it. When an operation is done at once, or
//! is cancelled, its callback waits here.

use crate::callback;
use crate::state::State;
use crate::trace::Phase;
use crate::trace::detail::Queue;

pub(crate) fn run(state: &State) {
    callback::call_deferred(state, Phase::Pending, Queue::Pending, &state.pending);
}

/// Rounds of deferred completions right after poll (as libuv since 1.45).
const ROUNDS_AFTER_POLL: usize = 8;

/// Delivers the operations that callbacks of the poll phase completed at once, before the loop goes
/// on. It does so a limited number of times: a completion that writes again and again must not keep
/// the loop here.
#[inline]
pub(crate) fn run_after_poll(state: &State) {
    if !state.pending.is_empty() {
        run_rounds(state);
    }
}

fn run_rounds(state: &State) {
    for _ in 0..ROUNDS_AFTER_POLL {
        if state.pending.is_empty() {
            return;
        }
        run(state);
    }
}
