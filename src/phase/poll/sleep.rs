//! Where a loop looks and sleeps: in its poller, or on the mailbox's condition variable.
//!
//! A loop that never had a source waits only for other threads, so it sleeps on the condition
//! variable, which costs both sides less, and asks nobody what is ready. From its first source on
//! it does both in the poller ([`Sources`](crate::state::sources::Sources) says when that is).

use std::io;
use std::time::Duration;

use crate::clock::{Nanos, saturating_nanos};
use crate::report::words::InWords;
use crate::state::State;
use crate::state::key::Key;
use crate::threads::patience::{self, Awake};

/// Looks for a while before the sleep, if that is likely to pay. True when something has come.
#[inline]
pub(super) fn look(state: &State, timeout: Option<Duration>) -> bool {
    if state.mailbox.has_news() {
        patience::leave_to_senders();
        return true;
    }
    let limit = state.patience.longest_look();
    limit > 0 && look_for(state, limit.min(timeout.map_or(Nanos::MAX, saturating_nanos)))
}

#[inline(never)]
fn look_for(state: &State, limit: Nanos) -> bool {
    let began = state.clock.read();
    let source = || {
        collect(state);
        state.handles.ready_count() > 0
    };
    let found = patience::look(limit, || state.mailbox.has_news(), source);
    state.add_idle(state.clock.read() - began);
    found
}

/// Blocks the loop, which is about to sleep, until its poller reports something, its mailbox wakes
/// it, or the time is over. Lists the handles that are ready.
#[inline(never)]
pub(crate) fn sleep(state: &State, timeout: Option<Duration>) {
    log::trace!("{}: the poll waits{}", state.teller.track.name(), at_most(timeout));
    let began = state.clock.read();
    let figures = &state.mailbox.figures;
    if !state.clock.is_virtual() {
        figures.begin_sleep(began);
    }
    if state.sources.in_use() {
        let count = Awake::asleep(|| poll(state, timeout, began));
        state.mailbox.wake_up();
        figures.add_events(count);
    } else {
        Awake::asleep(|| state.mailbox.sleep(timeout));
    }
    let slept = state.clock.read() - began;
    figures.end_sleep();
    state.patience.slept(slept);
    state.add_idle(slept);
}

/// The limit of a wait, for the log.
fn at_most(timeout: Option<Duration>) -> String {
    timeout.map_or(String::new(), |limit| format!(" {} at most", InWords::from(limit)))
}

/// Lists the handles that are ready at this moment. No system call without a poller in use.
#[inline(always)]
pub(crate) fn collect(state: &State) {
    if state.sources.in_use() {
        // The time is of no account to a wait that has no end to reach.
        let count = poll(state, Some(Duration::ZERO), 0);
        if count > 0 {
            state.mailbox.figures.add_events(count);
            state.mailbox.figures.add_waiting(count);
        }
    }
}

/// One wait of the poller, which began at this time, taken up again when a signal interrupts it.
/// Lists the handles that are ready and returns how many events there were.
#[inline(always)]
fn poll(state: &State, timeout: Option<Duration>, began: Nanos) -> u64 {
    let mut left = timeout;
    loop {
        let outcome = state.sources.with_poller(|poller| -> io::Result<u64> {
            poller.wait(left)?;
            Ok(state.handles.list_ready(|table| {
                poller.fetched(|key, event| table.mark_ready(Key::from_bits(key), event))
            }))
        });
        match outcome {
            Ok(count) => return count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if timeout.is_some_and(|limit| !limit.is_zero()) {
                    let spent = Duration::from_nanos(state.clock.read() - began);
                    left = timeout.map(|limit| limit.saturating_sub(spent));
                }
            }
            // The arguments are ours and the descriptor is open: no other failure is possible.
            Err(error) => panic!("windlass: waiting for events failed: {error}"),
        }
    }
}
