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
use crate::handle::Key;
use crate::threads::mailbox::deliver;
use crate::threads::patience::{self, Awake};
use crate::virtual_time::scheduler::Turn;

/// In nanoseconds.
const MILLISECOND: Nanos = 1_000_000;

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
        || !state.delivery.is_empty();
    if mode == RunMode::NoWait || something_waits || !(hold || state.is_alive()) {
        return Some(Duration::ZERO);
    }
    // Counted from this moment, not from the cached time, which idle and prepare watchers may have
    // left behind.
    let expiry = state.timers.next_expiry()?;
    let left = expiry.saturating_sub(state.clock.read());
    // In whole milliseconds, as the system's pollers wait: timers that are close together are served together,
    // for a sleep costs more than a dozen of them.
    Some(Duration::from_millis(left.div_ceil(MILLISECOND)))
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
    if timeout == Some(Duration::ZERO) || look(state, timeout) || !state.mailbox.fall_asleep() {
        collect(state);
    } else {
        sleep(state, timeout);
    }
    state.clock.update();
}

/// Looks for a while before the sleep, if that is likely to pay. True when something has come.
#[inline]
fn look(state: &State, timeout: Option<Duration>) -> bool {
    if state.mailbox.has_news() {
        patience::pause();
        return true;
    }
    let limit = state.waiting.longest_look();
    limit > 0 && look_for(state, limit.min(timeout.map_or(Nanos::MAX, saturating_nanos)))
}

#[inline(never)]
fn look_for(state: &State, limit: Nanos) -> bool {
    let began = state.clock.read();
    let source = || {
        collect(state);
        state.handles.ready_count() > 0
    };
    let found = state.waiting.patience.look(limit, || state.mailbox.has_news(), source);
    state.mailbox.figures.add_idle(state.clock.read() - began);
    found
}

/// Blocks the loop, which is about to sleep, until the poller reports something, the mailbox wakes it, or the
/// time is over.
#[inline(never)]
fn sleep(state: &State, timeout: Option<Duration>) {
    log::trace!("poll: waiting for {timeout:?}");
    if timeout.is_none_or(|timeout| timeout >= LONG_SLEEP) {
        state.give_back(true);
    }
    let began = state.clock.read();
    if state.sources.in_use() {
        let count = Awake::asleep(|| block(state, timeout, began));
        state.mailbox.wake_up();
        state.mailbox.figures.add_events(count);
    } else {
        Awake::asleep(|| state.mailbox.sleep(timeout));
    }
    let slept = state.clock.read() - began;
    state.waiting.patience.slept(slept);
    state.mailbox.figures.add_idle(slept);
}

/// Lists the handles that are ready at this moment.
#[inline(always)]
fn collect(state: &State) {
    // A loop without a poller in use asks nobody, which spares the system call: of an iteration without
    // sleep two thirds of the time.
    if state.sources.in_use() {
        // The time is of no account to a wait that has no end to reach.
        let count = block(state, Some(Duration::ZERO), 0);
        if count > 0 {
            state.mailbox.figures.add_events(count);
            state.mailbox.figures.add_waiting(count);
        }
    }
}

/// One wait of the poller, which began at this time, taken up again when a signal interrupts it. Lists the
/// handles that are ready and returns how many events there were.
#[inline(always)]
fn block(state: &State, timeout: Option<Duration>, began: Nanos) -> u64 {
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

/// Virtual time: what would wait does not; the clock jumps to the next timer instead.
#[inline(never)]
fn wait_in_virtual_time(state: &State, timeout: Option<Duration>) {
    let seat = state.seat.as_ref().expect("every loop in virtual time takes turns");
    let sources = state.sources.any();
    if timeout.is_none_or(|timeout| timeout >= LONG_SLEEP) {
        state.give_back(true);
    }
    loop {
        // Sockets are outside of virtual time, but not ignored.
        collect(state);
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
                if state.mailbox.fall_asleep() {
                    sleep(state, limit);
                }
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
    deliver::deliver(state);
    state.poll_last.run(state);
}
