//! The poll phase's wait in virtual time: the clock jumps to what comes next, and nothing sleeps.

use std::time::Duration;

use super::sleep::{collect, sleep};
use crate::clock::Nanos;
use crate::state::State;
use crate::state::key::Key;
use crate::virtual_time::scheduler::{Member, Next};

/// Lists the handles that are ready, and moves the clock to the time at which the loop goes on.
///
/// What `timeout` says but for zero does not matter: the next timer does.
#[inline(never)]
pub(crate) fn wait(state: &State, member: &Member, timeout: Option<Duration>) {
    let sources = state.sources.any();
    state.clock.update(); // What callbacks have taken lies behind.
    loop {
        // Sockets know no virtual time, but are not ignored.
        collect(state);
        let now = state.clock.now();
        let may_go_on = timeout == Some(Duration::ZERO) || state.handles.ready_count() > 0;
        let until = if may_go_on { now } else { state.timers.next_expiry().unwrap_or(Nanos::MAX) };
        match member.wait(now, until, || state.why_it_waits(), sources) {
            Next::Run(time) => {
                state.clock.advance_to(time);
                state.delays.idle(state.clock.now() - now);
                state.mailbox.reveal(state.clock.now());
                for (key, event) in state.mailbox.reports(state.clock.now()) {
                    state.handles.mark_ready(Key::from_bits(key), event);
                }
                return;
            }
            Next::SleepInRealTime(limit) => {
                // The limit is in real time, which this clock does not show: a signal begins it
                // anew.
                if state.mailbox.prepare_to_sleep() {
                    sleep(state, limit);
                }
            }
            Next::Deadlock(reasons) => {
                panic!("windlass: in virtual time nothing can happen any more: {reasons}")
            }
        }
    }
}
