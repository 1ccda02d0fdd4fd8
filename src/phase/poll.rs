//! The poll phase: the loop's only sleep, and the delivery of what woke it.
//!
//! [`wait`] touches the system and calls nobody; [`dispatch`] calls back and does not wait. Handles the poller
//! reported are called first, then what other threads made ready, then signals.
//!
//! The poller is edge-triggered: it reports a change once. A handle that stops before the kernel says
//! would-block asks to be called again (`Registration::call_again`), and while any such handle is
//! listed the poll does not block.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::callback;
use crate::clock::{Nanos, saturating_nanos};
use crate::event_loop::{RunMode, State};
use crate::threads::delivery;
use crate::threads::spin;
use crate::threads::turns::Turn;

/// In how many iterations a loop looks once whether to give memory back.
const ITERATIONS_PER_LOOK: u64 = 8;

/// Before a sleep of this length it gives back all that it can: to allocate it anew is little beside that.
const LONG_SLEEP: Duration = Duration::from_millis(20);

/// How long the poll may block: none for without limit.
///
/// `hold` says that the loop waits although nothing on it is alive, as `block_on` does.
pub(crate) fn timeout(state: &State, mode: RunMode, hold: bool) -> Option<Duration> {
    let something_waits = state.is_stopping()
        || state.is_halted()
        || !state.ticks.is_empty()
        || !state.microtasks.is_empty()
        || !state.idle.is_empty()
        || state.immediates.any_referenced()
        || state.handles.ready_count() > 0
        || !state.pending.is_empty()
        || !state.closing.is_empty()
        || !state.poll_last.is_empty()
        || !state.delivery.is_empty()
        || state.mailbox.is_filled();
    if mode == RunMode::NoWait || something_waits || !(hold || state.is_alive()) {
        return Some(Duration::ZERO);
    }
    // Counted from this moment, not from the cached time, which idle and prepare watchers may have
    // left behind.
    let expiry = state.timers.next_expiry()?;
    Some(Duration::from_nanos(expiry.saturating_sub(state.clock.read())))
}

/// Waits until something is ready, at most for `timeout`, and lists the handles that are.
///
/// What comes between the loop and the system call is inlined: a processor that guards against
/// speculation in the kernel forgets where functions return to, so that each level of calls costs about
/// 5 ns on the way back, 20 of an idle iteration's 180.
#[inline(always)]
pub(crate) fn wait(state: &State, timeout: Option<Duration>) {
    state.mailbox.figures.add_iteration();
    if state.mailbox.figures.iterations().is_multiple_of(ITERATIONS_PER_LOOK) {
        state.give_back(false);
    }
    if state.clock.is_virtual() {
        return wait_in_virtual_time(state, timeout);
    }
    let may_block = timeout != Some(Duration::ZERO);
    if may_block
        && let Some(timeout) = spin::before_sleep(state, timeout, || sources_ready(state))
        && timeout != Some(Duration::ZERO)
        && sleep(state, timeout)
    {
        return;
    }
    if !may_block && state.mailbox.is_filled() {
        pace(state);
    }
    // Without sources there is nothing to ask for, which spares the system call: of an iteration without
    // sleep two thirds of the time.
    if state.polled_sources.get() > 0 || state.was_left_alone() {
        look(state);
    }
    state.clock.update();
}

/// Leaves the mailbox to its senders for a moment if they feed the loop a spoonful at a time, and it has
/// nothing else to do.
fn pace(state: &State) {
    let idle = !state.immediates.any_referenced()
        && state.idle.is_empty()
        && state.handles.ready_count() == 0
        && state.pending.is_empty();
    if idle && state.delivery.fetched_little() {
        spin::leave_to_senders();
    }
}

/// Whether a source is ready, asking the poller.
fn sources_ready(state: &State) -> bool {
    if state.polled_sources.get() > 0 {
        look(state);
    }
    state.handles.ready_count() > 0
}

/// Blocks until the poller reports something, the mailbox wakes the loop, or the time is over. False if
/// something had come before.
#[inline(never)]
fn sleep(state: &State, timeout: Option<Duration>) -> bool {
    let began = state.clock.read();
    log::trace!("poll: waiting for {timeout:?}");
    let alarm = timeout.map(|timeout| timeout.max(state.next_alarm_in(began)));
    if alarm.is_none_or(|alarm| alarm >= LONG_SLEEP) {
        state.give_back(true);
    }
    let slept = rest(state, alarm, began);
    state.clock.update();
    if slept {
        let spent = state.clock.now() - began;
        state.mailbox.figures.add_idle(spent);
        if alarm.is_some_and(|limit| saturating_nanos(limit) <= spent) {
            state.last_alarm.set(state.clock.now());
        }
    }
    slept
}

/// The sleep itself, from this time on: in the poller if there is a source, else on the mailbox.
fn rest(state: &State, timeout: Option<Duration>, began: Nanos) -> bool {
    if state.polled_sources.get() == 0 {
        if state.was_left_alone() {
            look(state);
        }
        return state.mailbox.park(timeout, spin::nap(state));
    }
    if !state.mailbox.fall_asleep() {
        return false;
    }
    let count = block(state, timeout, began);
    state.mailbox.wake_up();
    state.left_alone.set(false);
    state.mailbox.figures.add_events(count);
    true
}

/// Lists the handles that are ready at this moment.
#[inline(always)]
fn look(state: &State) {
    // The time is of no account to a wait that has no end to reach.
    let count = block(state, Some(Duration::ZERO), 0);
    if count > 0 {
        state.mailbox.figures.add_events(count);
        state.mailbox.figures.add_waiting(count);
    }
}

/// One wait of the poller, which began at this time, taken up again when a signal interrupts it. Lists the
/// handles that are ready and returns how many events there were.
#[inline(always)]
fn block(state: &State, timeout: Option<Duration>, began: Nanos) -> u64 {
    let mut left = timeout;
    loop {
        let outcome = state.with_poller(|poller| -> io::Result<u64> {
            poller.wait(left)?;
            Ok(state
                .handles
                .list_ready(|table| poller.fetched(|key, event| table.mark_ready(key, event))))
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

/// Virtual time: what would wait does not; the clock jumps to the next timer instead.
#[inline(never)]
fn wait_in_virtual_time(state: &State, timeout: Option<Duration>) {
    let seat = state.seat.as_ref().expect("every loop in virtual time takes turns");
    let sources = state.polled_sources.get() > 0;
    if timeout.is_none_or(|timeout| timeout >= LONG_SLEEP) {
        state.give_back(true);
    }
    loop {
        // Sockets are outside of virtual time, but not ignored.
        if sources || state.was_left_alone() {
            look(state);
        }
        let now = state.clock.now();
        let may_go_on = timeout == Some(Duration::ZERO) || state.handles.ready_count() > 0;
        let until = if may_go_on { now } else { state.timers.next_expiry().unwrap_or(Nanos::MAX) };
        let report = if until == Nanos::MAX { state.why_it_waits() } else { String::new() };
        match seat.wait(now, until, report, sources) {
            Turn::At(time) => {
                state.clock.advance_to(time);
                state.mailbox.reveal(state.clock.now());
                return;
            }
            Turn::Outside(limit) => {
                // The limit is in real time, which this clock does not show: a signal begins it anew.
                rest(state, limit, state.clock.now());
            }
            Turn::Stuck(reasons) => {
                panic!("windlass: in virtual time nothing can happen any more: {reasons}")
            }
        }
    }
}

/// Calls back for all that became ready, once round.
pub(crate) fn dispatch(state: &Rc<State>) {
    let mut left = state.handles.ready_count();
    if left > 0 {
        log::trace!("poll: {left} handles are ready");
        callback::guard(state, || {
            while !state.is_halted()
                && let Some((handle, event)) = state.handles.next_ready(&mut left)
            {
                handle.ready(state, event);
            }
        });
    }
    delivery::deliver(state);
    state.poll_last.run(state);
}
