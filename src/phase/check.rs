//! The check phase: watchers that run right after poll, then the immediates.

use std::rc::Rc;

use super::watchers::{self, InPhase, Phase, PhaseWatcher};
use crate::callback;
use crate::callback::observed::{self, Place};
use crate::state::State;
use crate::state::current;
use crate::state::references::ref_methods;
use crate::trace;
use crate::trace::detail::{Named, Queue};
use crate::trace::label::here;

#[inline]
pub(crate) fn run(state: &Rc<State>) {
    watchers::run(state, trace::Phase::Check, &state.check);
    if !state.immediates.is_empty() {
        run_immediates(state);
    }
}

/// Runs the immediates that wait now. Those queued meanwhile wait for the next iteration.
fn run_immediates(state: &State) {
    state.begin_phase(trace::Phase::Check, || state.immediates.len());
    let end = state.immediates.end();
    callback::guard(state, || {
        while !state.is_halted()
            && let Some(immediate) = state.immediates.pop_below(end)
        {
            state.tell_taken(Queue::Immediates, Named::Immediate(state.immediates.first() - 1));
            callback::call(state, immediate.origin(), || immediate.callback.call());
        }
    });
}

/// Calls `f` once, in the check phase of this iteration, or of the next one when called in or after
/// the check phase.
///
/// # Ordering
/// Immediates run in the order they were queued, with ticks and microtasks drained after each.
/// One queued by another waits for the next iteration, so a chain of them starves nothing. Set in
/// an I/O callback, an immediate runs before any timer. As Node's `setImmediate`.
///
/// # Liveness
/// An immediate keeps the loop alive until it has run or is cleared, unless it is
/// [`unref`](Immediate::unref)'d. A referenced one keeps poll from blocking.
///
/// # Cost
/// A closure of up to three words is stored in the queue; a larger one is boxed.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::set_immediate(|| println!("second"));
///     println!("first");
/// });
/// ```
#[track_caller]
pub fn set_immediate(f: impl FnOnce() + 'static) -> Immediate {
    set_immediate_at(here(), f)
}

/// An immediate that stands at a line of the program.
#[inline]
#[track_caller]
pub(crate) fn set_immediate_at(place: Place, f: impl FnOnce() + 'static) -> Immediate {
    current::expect_with("set_immediate", |state| Immediate {
        loop_id: state.id,
        number: queue(state, place, f),
    })
}

/// Queues an immediate, and returns its number.
#[inline(always)]
pub(crate) fn queue(state: &State, place: Place, f: impl FnOnce() + 'static) -> u64 {
    if !state.mailbox.takes_plainly() {
        return observed::queue_immediate(state, place, f);
    }
    state.immediates.push(f, place, 0)
}

/// A queued immediate. `Copy`; dropping it clears nothing. A number, which any thread may have: it
/// does nothing on another thread than its loop's, and once its loop has ended.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let immediate = windlass::set_immediate(|| unreachable!("it is cleared in time"));
///     immediate.clear();
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Immediate {
    /// The loop it belongs to.
    loop_id: u32,
    /// Its number in the queue. `u64::MAX` if it was never queued, because its loop had ended.
    number: u64,
}

impl Immediate {
    /// Keeps the immediate from running. Harmless when it has run or was cleared, and after its
    /// loop has ended. Drops the closure.
    pub fn clear(&self) {
        let callback = current::find_id_with(self.loop_id, |state| {
            let callback = state.immediates.take(self.number);
            if callback.is_some() {
                state.tell_cleared(Named::Immediate(self.number));
            }
            callback
        });
        drop(callback);
    }

    ref_methods!(
        "immediate" while "waits", "It still runs if the loop goes on.";
        |immediate: &Immediate, on| {
            let (id, number) = (immediate.loop_id, immediate.number);
            current::find_id_with(id, |state| {
                state.immediates.set_ref(number, on);
                state.tell_referenced(Named::Immediate(number), on);
            });
        },
        |immediate: &Immediate| {
            let (id, number) = (immediate.loop_id, immediate.number);
            current::find_id_with(id, |state| state.immediates.has_ref(number)).unwrap_or(false)
        }
    );
}

/// Calls back in every iteration, right after the poll phase and before the immediates.
///
/// Watchers run in the order they were started; one started by another first runs in the next
/// iteration. Lives until stopped, and keeps the loop alive meanwhile unless
/// [`unref`](PhaseWatcher::unref)'d. Does not keep poll from blocking. libuv: `uv_check_t`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use windlass::handle::Check;
///
/// windlass::run(|| {
///     let own = Rc::new(Cell::new(None::<Check>));
///     let inner = own.clone();
///     own.set(Some(Check::start(move || {
///         println!("once is enough");
///         inner.take().unwrap().stop();
///     })));
///     windlass::set_immediate(|| println!("something to wake up for"));
/// });
/// ```
pub type Check = PhaseWatcher<InCheck>;

/// Names the phase of [`Check`].
///
/// # Examples
/// ```
/// use windlass::handle::{Check, InCheck, PhaseWatcher};
///
/// windlass::run(|| {
///     let watcher: PhaseWatcher<InCheck> = Check::start(|| ());
///     watcher.stop();
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub enum InCheck {}

impl InPhase for InCheck {
    const PHASE: Phase = Phase::Check;
    const START: &'static str = "Check::start";
    const KIND: &'static str = "check watcher";
}
