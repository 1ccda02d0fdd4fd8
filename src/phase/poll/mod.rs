//! The poll phase: the loop's only sleep, and the delivery of what woke it.
//!
//! [`ask`] makes sure that there is something to wait for. [`timeout`] says how long the loop may
//! sleep. [`wait`] touches the system and calls nobody: it looks for a while
//! ([patience](crate::threads::patience)), sleeps, or only collects what is ready ([`sleep`];
//! [`virtual_time`] for a loop in virtual time). [`dispatch`] calls back and does
//! not wait: handles that the poller reported first, then what other threads made ready
//! ([`deliver`]), then signals.
//!
//! The poller is edge-triggered: it reports a change once. A handle that stops before the kernel
//! says would-block asks to be called again (`Registration::call_again`), and while any such handle
//! is listed the poll does not block.

mod asking;
mod deliver;
mod observed;
mod sleep;
mod virtual_time;

use std::rc::Rc;
use std::time::Duration;

use crate::callback;
use crate::clock::Nanos;
use crate::phase::mode::RunMode;
use crate::state::State;
use crate::trace::Phase;
use crate::trace::detail::Queue;
use asking::MOMENT;
use sleep::{collect, look, sleep};

pub(crate) use asking::{ask, ask_before};

/// In nanoseconds.
const MILLISECOND: Nanos = 1_000_000;

/// A loop that may sleep for this long gives unused memory back first: to allocate it anew is
/// little beside that.
const LONG_SLEEP: Duration = Duration::from_millis(20);

/// In how many iterations a loop without long sleeps looks once for memory that it no longer uses.
const ITERATIONS_PER_LOOK: u64 = 32;

/// How long the poll may block: none for without limit.
///
/// `hold` says that the loop waits although nothing on it is alive, as `block_on` does.
#[inline]
pub(crate) fn timeout(state: &State, mode: RunMode, hold: bool) -> Option<Duration> {
    if mode == RunMode::NoWait || something_waits(state) {
        return Some(Duration::ZERO);
    }
    until_timer(state, hold)
}

/// How long the poll may block when nothing waits.
#[inline(never)]
fn until_timer(state: &State, hold: bool) -> Option<Duration> {
    if asking::awaits_answers(state) || !(hold || state.is_alive()) {
        return Some(Duration::ZERO);
    }
    let limit = if !hold && asking::is_put_off(state) { Some(MOMENT) } else { None };
    until_expiry(state).into_iter().chain(limit).min()
}

/// How long it is until the next timer.
fn until_expiry(state: &State) -> Option<Duration> {
    // Counted from this moment, not from the cached time, which idle and prepare watchers may have
    // left behind.
    let expiry = state.timers.next_expiry()?;
    let left = expiry.saturating_sub(state.clock.read());
    // In whole milliseconds, as the system's pollers wait: timers that are close together are
    // served together, for a sleep costs more than a dozen of them.
    Some(Duration::from_millis(left.div_ceil(MILLISECOND)))
}

/// Whether the loop has something to do at once. What a busy loop has comes first, if it is
/// quickly seen.
#[inline(always)]
fn something_waits(state: &State) -> bool {
    state.immediates.any_referenced()
        || !state.idle.is_empty()
        || state.mailbox.is_to_return()
        || callback::has_queued(state)
        || state.handles.ready_count() > 0
        || !state.pending.is_empty()
        || !state.closing.is_empty()
        || !state.poll_last.is_empty()
        || !state.delivery.is_empty()
}

/// Waits until something is ready, at most for `timeout`, and lists the handles that are. The
/// `mode` is told to observers.
///
/// Inlined down to the system call, as are the callers (see the guide, Why it is fast).
#[inline(always)]
pub(crate) fn wait(state: &State, mode: RunMode, timeout: Option<Duration>) {
    state.mailbox.figures.add_iteration();
    let may_sleep = timeout != Some(Duration::ZERO);
    give_back(state, may_sleep && timeout.is_none_or(|timeout| timeout >= LONG_SLEEP));
    if state.is_observed() {
        return observed::wait(state, mode, timeout);
    }
    wait_unobserved(state, timeout, may_sleep);
}

/// `may_sleep` says whether the timeout is not zero.
#[inline(always)]
fn wait_unobserved(state: &State, timeout: Option<Duration>, may_sleep: bool) {
    if let Some(member) = &state.virtual_time {
        virtual_time::wait(state, member, timeout);
        return state.delays.waited(state.clock.now());
    }
    if !may_sleep || look(state, timeout) || !state.mailbox.prepare_to_sleep() {
        collect(state);
    } else {
        sleep(state, timeout);
    }
    state.delays.waited(state.clock.update_real());
}

/// Gives the memory of a burst back: before a long sleep all that is not used, else now and then
/// what is used much less than before.
#[inline(always)]
fn give_back(state: &State, sleeps_long: bool) {
    let iterations = state.mailbox.figures.iterations();
    if sleeps_long || iterations.is_multiple_of(ITERATIONS_PER_LOOK) {
        state.give_back(sleeps_long);
    }
}

/// Calls back for all that became ready, once round.
pub(crate) fn dispatch(state: &Rc<State>) {
    let mut left = state.handles.ready_count();
    if left > 0 {
        state.begin_phase(Phase::Poll, || left);
        callback::guard(state, || {
            while !state.is_halted()
                && let Some((handle, event)) = state.handles.next_ready(&mut left)
            {
                state.tell_handle_taken(Queue::Ready, &*handle);
                handle.ready(state, event);
            }
        });
    }
    deliver::deliver(state);
    callback::call_deferred(state, Phase::Poll, Queue::PollLast, &state.poll_last);
}
