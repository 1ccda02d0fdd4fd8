//! The wait of a loop that is observed: told with what ended it, and why it was none.

use std::time::Duration;

use super::asking::awaits_answers;
use super::wait_unobserved;
use crate::callback;
use crate::clock::{Nanos, saturating_nanos};
use crate::phase::mode::RunMode;
use crate::state::State;
use crate::trace::Wake;
use crate::trace::detail::{self, Detail, NoSleep, pair};
use crate::trace::ring::Happened;

/// As [`wait`](super::wait).
#[cold]
pub(super) fn wait(state: &State, mode: RunMode, timeout: Option<Duration>) {
    let began = state.teller.begin_wait(&state.clock);
    if !detail::is_wanted() {
        return tell_wait(state, timeout, began);
    }
    let limit = timeout.map_or(Nanos::MAX, saturating_nanos);
    let why = if limit == 0 { why_no_sleep(state, mode) } else { NoSleep::TimerDue };
    let waits = Detail::new(Happened::Poll, limit).small(why as u8);
    state.say(waits);

    let (events, idle) = (state.mailbox.figures.events(), state.mailbox.figures.idle());
    tell_wait(state, timeout, began);
    let events = (state.mailbox.figures.events() - events) as usize;
    let idle = state.mailbox.figures.idle() - idle;
    let woken_by = if limit == 0 { Wake::None } else { woken_by(state) };
    let found = pair(state.handles.ready_count(), events);
    state.say(Detail::new(Happened::Polled, found).amount(idle).small(woken_by as u8));
}

/// Waits, and tells of it if it may have slept.
fn tell_wait(state: &State, timeout: Option<Duration>, began: Nanos) {
    let may_sleep = timeout != Some(Duration::ZERO);
    wait_unobserved(state, timeout, may_sleep);
    state.teller.found(state.handles.ready_count());
    if may_sleep {
        state.teller.end_wait(&state.clock, began, woken_by(state));
    }
}

/// Why a poll may not sleep: of the reasons for which [`timeout`](super::timeout) looks, the first
/// in this order.
fn why_no_sleep(state: &State, mode: RunMode) -> NoSleep {
    let is_due = |expiry| expiry <= state.clock.read();
    let is_timer_due = state.timers.next_expiry().is_some_and(is_due);
    let reasons = [
        (state.mailbox.is_to_return(), NoSleep::Stopping),
        (callback::has_queued(state), NoSleep::Queued),
        (!state.idle.is_empty(), NoSleep::Idle),
        (state.immediates.any_referenced(), NoSleep::Immediate),
        (state.handles.ready_count() > 0, NoSleep::Ready),
        (!state.pending.is_empty(), NoSleep::Pending),
        (!state.closing.is_empty(), NoSleep::Closing),
        (!state.poll_last.is_empty(), NoSleep::PollLast),
        (!state.delivery.is_empty(), NoSleep::Undelivered),
        (awaits_answers(state), NoSleep::Asked),
        (mode == RunMode::NoWait, NoSleep::Mode),
        (!is_timer_due, NoSleep::NothingAlive),
    ];
    let first = reasons.iter().find(|(holds, _)| *holds);
    first.map_or(NoSleep::TimerDue, |(_, reason)| *reason)
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
