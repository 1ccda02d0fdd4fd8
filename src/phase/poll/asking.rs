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

use std::rc::Rc;

use super::something_waits;
use crate::callback;
use crate::phase::mode::RunMode;
use crate::state::State;

/// As [`ask`], before a wait in this mode. `hold` says that the loop waits in any case.
#[inline]
pub(crate) fn ask_before(state: &Rc<State>, mode: RunMode, hold: bool) {
    if state.handles.only_polls_hold() && mode != RunMode::NoWait && !hold {
        ask_all(state);
    }
}

/// Asks the tasks that wait by functions that poll, if nothing else keeps the loop alive.
#[inline]
pub(crate) fn ask(state: &Rc<State>) {
    if state.handles.only_polls_hold() {
        ask_all(state);
    }
}

#[cold]
#[inline(never)]
fn ask_all(state: &Rc<State>) {
    if something_waits(state) || state.is_alive_besides_handles() {
        return;
    }
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
