//! Before the loop waits: whether those who keep it alive still wait.
//!
//! A future that waits says when it no longer does: it is dropped. A function that polls, as
//! `poll_read` or `AsyncRead`, keeps a waker, and nothing says when the task has turned to
//! something else: the loser of a `select!` is dropped without a word. So a loop that would wait
//! for nothing but such tasks *asks* them. It wakes each of them once, and who still waits polls
//! again. A wake without a reason is allowed to every waker, so this is right for those of other
//! executors too.
//!
//! Those that have not polled until the next iteration are forgotten: they no longer keep the loop
//! alive. An executor that lives in a callback of this loop has its turn in between.
//!
//! A loop that has something to do does not wait, and asks nobody. But what it has to do may be
//! unreferenced and come again and again, as an idle watcher does, and is not to keep the loop
//! alive with them: after so many iterations it asks in any case.
//!
//! Many are not asked before each wait, or one message between two of them would cost as much as
//! all that wait. Asking is put off until so many iterations have passed that few were asked in
//! each, on the average, or until the loop has slept for a moment; until then it sleeps no longer.

use std::rc::Rc;
use std::time::Duration;

use super::something_waits;
use crate::callback;
use crate::clock::saturating_nanos;
use crate::phase::mode::RunMode;
use crate::state::State;

/// So many may be asked in each iteration. Of more, as many on the average.
const ASKED_PER_ITERATION: usize = 16;

/// A loop that always has something to do asks after this many iterations.
const BUSY_MAX: u64 = 1024;

/// How long a loop sleeps that has put off asking.
pub(super) const MOMENT: Duration = Duration::from_millis(10);

/// As [`ask`], before a wait in this mode. `hold` says that the loop waits in any case.
#[inline]
pub(crate) fn ask_before(state: &Rc<State>, mode: RunMode, hold: bool) {
    if state.handles.only_polls_hold() && mode != RunMode::NoWait && !hold {
        ask_if_due(state);
    }
}

#[cold]
#[inline(never)]
fn ask_if_due(state: &Rc<State>) {
    let (figures, (iterations, idle)) = (&state.mailbox.figures, state.handles.asked_at());
    // One at least, also before the first time.
    let iterations = figures.iterations().wrapping_sub(iterations).max(1);
    let slept = figures.idle() - idle;
    let may_be_put_off = iterations.saturating_mul(ASKED_PER_ITERATION as u64)
        < state.handles.by_polls() as u64
        && slept < saturating_nanos(MOMENT)
        // In virtual time nothing is put off: what a program does would depend on how many wait.
        && !state.clock.is_virtual()
        && !state.handles.awaits_answers();
    if !may_be_put_off {
        ask_all(state);
    }
}

/// Whether tasks that were asked in this iteration have not answered yet: the loop does not sleep,
/// so that it comes to forget them.
///
/// Of those that were asked earlier something else that holds the loop has kept it from forgetting
/// them. That may last, and they keep it from no sleep.
#[inline]
pub(super) fn awaits_answers(state: &State) -> bool {
    state.handles.awaits_answers()
        && state.handles.asked_at().0 == state.mailbox.figures.iterations()
}

/// Whether nothing holds the loop but tasks that were not asked in this iteration.
#[inline]
pub(super) fn is_put_off(state: &State) -> bool {
    state.handles.only_polls_hold()
        && !state.is_alive_besides_handles()
        && state.handles.asked_at().0 != state.mailbox.figures.iterations()
        && !state.clock.is_virtual()
}

/// Asks the tasks that wait by functions that poll, if nothing else keeps the loop alive.
#[inline]
pub(crate) fn ask(state: &Rc<State>) {
    if state.handles.only_polls_hold() {
        ask_if_due(state);
    }
}

#[cold]
#[inline(never)]
fn ask_all(state: &Rc<State>) {
    let figures = &state.mailbox.figures;
    let since = figures.iterations().wrapping_sub(state.handles.asked_at().0);
    let is_busy = something_waits(state) && since < BUSY_MAX;
    if is_busy || state.is_alive_besides_handles() {
        return;
    }
    state.handles.note_asking(figures.iterations(), figures.idle());
    state.forget_unanswered();
    let mut asked = state.handles.ask().into_iter();
    callback::guard(state, || {
        while !state.is_halted()
            && let Some(handle) = asked.next()
        {
            handle.ask();
        }
        callback::drain(state);
    });
}
