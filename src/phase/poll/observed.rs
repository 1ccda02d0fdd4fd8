//! The wait of a loop that is observed: told with what ended it.

use std::time::Duration;

use super::wait_unobserved;
use crate::state::State;
use crate::trace::Wake;

/// As [`wait`](super::wait).
#[cold]
pub(super) fn wait(state: &State, timeout: Option<Duration>) {
    let began = state.teller.begin_wait(&state.clock);
    let may_sleep = timeout != Some(Duration::ZERO);
    wait_unobserved(state, timeout, may_sleep);
    state.teller.found(state.handles.ready_count());
    if may_sleep {
        state.teller.end_wait(&state.clock, began, woken_by(state));
    }
}

/// What ended the wait. Of several things the first.
fn woken_by(state: &State) -> Wake {
    if state.mailbox.is_to_return() {
        Wake::Stop
    } else if state.handles.ready_count() > 0 {
        Wake::Source
    } else if state.mailbox.is_filled() {
        Wake::Message
    } else if state.timers.next_expiry().is_some_and(|expiry| expiry <= state.clock.now()) {
        Wake::Timer
    } else {
        // An unpark, or a wake for what another look has taken.
        Wake::Message
    }
}
