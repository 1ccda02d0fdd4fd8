//! Door 1, into user code: the one place where stored callbacks are called.
//!
//! Every callback goes through here, and after each one the queues are drained: all ticks, then all
//! microtasks, and again until both are empty (as in Node since version 11). What there is to know
//! about the order of callbacks and about panics is on this page.
//!
//! A panic unwinds to the phase that was running, which calls [`guard`]: the phase's place in its
//! batch is kept in the loop, not on the stack, so the hook is told, the queues are drained, and
//! the phase goes on with the next callback. Catching once per phase keeps it off the path of each
//! callback. A callback that is called more than once is put back first: it goes through [`invoke`]
//! and [`settle`]. Without a hook the panic leaves `turn` with its payload, and what had not run
//! yet runs in the next turn.
//!
//! While somebody [observes](crate::trace) the loop, each call goes by way of [`observed`], which
//! tells what runs. The order is the same.

pub(crate) mod nested;
pub(crate) mod observed;
pub(crate) mod on_drop;
pub(crate) mod quiet;
pub(crate) mod slot;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, Location};
use std::rc::Rc;
use std::thread;

use crate::alloc;
use crate::error::{Panic, Uncaught};
use crate::queue::closure::Closure;
use crate::queue::deferred::Deferred;
use crate::queue::ring::{Ring, SendRing};
use crate::state::State;
use crate::state::current;
use crate::trace::Phase;
use crate::trace::account::Sort;
use crate::trace::cause;
use crate::trace::detail::{self, Queue};
use crate::trace::origin::Origin;

use quiet::Unraised;
use slot::Slot;

pub(crate) use nested::drop_nested;
pub(crate) use quiet::{Apart, Halt, Quiet, attempt, drop_payload, drop_quietly, halt, quietly};

/// Calls a callback that is spent by the call, then drains the queues.
#[inline]
pub(crate) fn call(state: &State, origin: Origin, f: impl FnOnce()) {
    state.set_running(origin.place);
    if state.is_observed() {
        // Word by word: what is kept together would be put together before the branch.
        return observed::call(state, origin.kind, origin.place, origin.cause, f);
    }
    f();
    drain(state);
}

/// Calls code of this crate that passes a result on, then drains the queues. It is no callback:
/// what it brings about comes from the pool job with this id, if that is not zero.
#[inline]
pub(crate) fn call_own(state: &State, job: u64, f: impl FnOnce()) {
    cause::on_behalf_of(job, f);
    drain(state);
}

/// Calls the first closure that other threads have posted, then drains the queues.
#[inline]
pub(crate) fn call_post(state: &State, posts: &SendRing) {
    state.set_running(None);
    if state.is_observed() {
        return observed::call(state, "post", None, 0, || {
            posts.call_first();
        });
    }
    posts.call_first();
    drain(state);
}

/// Calls a callback that will be called again. Its outcome goes to [`settle`] once it is put back.
#[inline]
pub(crate) fn invoke<R>(state: &State, origin: Origin, f: impl FnOnce() -> R) -> thread::Result<R> {
    state.set_running(origin.place);
    if state.is_observed() {
        return observed::invoke(state, origin, f);
    }
    panic::catch_unwind(AssertUnwindSafe(f))
}

impl<F: ?Sized> Slot<F> {
    /// Calls the callback, by `call`. None if there is none, or if it is being called.
    ///
    /// Its place and cause are those of its registration. The outcome is for [`settle`]. Where
    /// nothing stands between the two, [`call_slot`] does both.
    #[inline]
    pub(crate) fn invoke<R>(
        &self,
        state: &State,
        kind: &'static str,
        call: impl FnOnce(&mut F) -> R,
    ) -> Option<thread::Result<R>> {
        self.lend(|f| {
            state.set_running(self.place());
            if state.is_observed() {
                return observed::invoke(state, self.origin(kind), || call(f));
            }
            panic::catch_unwind(AssertUnwindSafe(|| call(f)))
        })
    }

    /// As [`invoke`](Slot::invoke), for something that was sent by what has the id `cause`.
    #[inline]
    pub(crate) fn invoke_for<R>(
        &self,
        state: &State,
        kind: &'static str,
        cause: u64,
        call: impl FnOnce(&mut F) -> R,
    ) -> Option<thread::Result<R>> {
        self.lend(|f| {
            state.set_running(self.place());
            if state.is_observed() {
                let origin = Origin { cause, ..self.origin(kind) };
                return observed::invoke(state, origin, || call(f));
            }
            panic::catch_unwind(AssertUnwindSafe(|| call(f)))
        })
    }
}

/// Calls the callback in a slot, by `f`, then drains the queues. Nothing if there is none, or if it
/// is being called.
#[inline]
pub(crate) fn call_slot<F: ?Sized>(
    state: &State,
    kind: &'static str,
    slot: &Slot<F>,
    f: impl FnOnce(&mut F),
) {
    if let Some(outcome) = slot.invoke(state, kind, f) {
        settle(state, outcome);
    }
}

/// Ends the callback whose outcome this is: goes on with its panic, or drains the queues.
#[inline]
pub(crate) fn settle(state: &State, outcome: thread::Result<()>) {
    match outcome {
        Ok(()) => drain(state),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// As [`settle`], and drops what the callback was lent before that. Of its panic and one of a
/// destructor the first counts.
#[inline]
pub(crate) fn settle_and_drop<T>(state: &State, outcome: Option<thread::Result<()>>, lent: T) {
    if let Some(Err(payload)) = outcome {
        return settle(state, slot::and_drop(Err(payload), lent));
    }
    drop(lent);
    drain(state);
}

/// Runs ticks and microtasks until none is left, or the loop has been told to end.
#[inline]
pub(crate) fn drain(state: &State) {
    // Between two callbacks is where a worker's memory limit is looked at.
    if alloc::is_over_limit() {
        state.end_for_memory();
    }
    if has_queued(state) {
        drain_queues(state);
        if detail::is_wanted() {
            state.tell_drained();
        }
    }
}

/// Whether a tick or a microtask waits, or what is called when there is none.
#[inline]
pub(crate) fn has_queued(state: &State) -> bool {
    !state.ticks.is_empty() || !state.microtasks.is_empty() || !state.drained.is_empty()
}

fn drain_queues(state: &State) {
    // Queues do not record where their closures came from, unless somebody observes.
    state.set_running(None);
    if let Some(budget) = &state.poll_budget {
        budget.begin_drain();
    }
    loop {
        // Not after a panic in a microtask: that ends it like a return, and the next microtask
        // follows.
        if !state.in_microtasks.get() {
            call_all(state, &state.ticks, Sort::Tick);
        }
        state.in_microtasks.set(true);
        // No tick is looked for between two microtasks: Node empties one queue, then the other.
        call_all(state, &state.microtasks, Sort::Microtask);
        state.in_microtasks.set(false);
        if state.is_halted() || state.ticks.is_empty() && !call_when_drained(state) {
            return;
        }
    }
}

/// Calls the first of what waits until both queues are empty. False if there is none.
///
/// One at a time: what it queues runs before the next.
#[inline]
fn call_when_drained(state: &State) -> bool {
    if state.drained.is_empty() {
        return false;
    }
    if state.mailbox.is_undisturbed() {
        return state.drained.call_first();
    }
    observed::call_drained(state);
    true
}

/// Calls the closures of a queue until there is none, or none may run any more.
#[inline]
fn call_all(state: &State, queue: &Ring, sort: Sort) {
    loop {
        if alloc::is_over_limit() {
            state.end_for_memory();
        }
        let goes_on = if state.mailbox.is_undisturbed() {
            queue.call_first()
        } else {
            observed::call_all(state, queue, sort)
        };
        if !goes_on {
            return;
        }
    }
}

/// Does a phase's work, again after each panic that the hook has taken, until it is done.
///
/// `work` keeps its place outside itself, so that it goes on where it stopped.
///
/// # Panics
/// With the panic of `work` when there is no hook, and with one of the hook itself.
pub(crate) fn guard(state: &State, mut work: impl FnMut()) {
    let mut outcome = panic::catch_unwind(AssertUnwindSafe(&mut work));
    while let Err(payload) = outcome {
        if state.microtasks.is_empty() {
            state.in_microtasks.set(false); // Its drain is over.
        }
        report(state, payload, state.teller.track.running.get());
        outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            drain(state);
            work();
        }));
    }
}

/// Calls what `next` gives until it gives nothing, and drains the queues after each, as a phase
/// does.
pub(crate) fn call_each(state: &State, mut next: impl FnMut() -> Option<Closure>) {
    guard(state, || {
        while !state.is_halted()
            && let Some(entry) = next()
        {
            entry.call();
            drain(state);
        }
    });
}

/// Calls the deferred callbacks that are there now, in this phase.
#[inline]
pub(crate) fn call_deferred(state: &State, phase: Phase, queue: Queue, deferred: &Deferred) {
    if deferred.begin_run() {
        state.begin_phase(phase, || deferred.left());
        call_each(state, || state.tell_next(queue, deferred.next()));
    }
}

/// Gives a panic to the `on_uncaught` hook, or goes on with it when there is none.
fn report(state: &State, payload: Box<dyn Any + Send>, at: Option<&'static Location<'static>>) {
    if payload.is::<Halt>() {
        panic::resume_unwind(payload);
    }
    if let Some(payload) = offer(state, payload, at) {
        panic::resume_unwind(payload);
    }
}

/// Gives a panic to the `on_uncaught` hook. Returns what nobody has taken: this panic when there is
/// no hook, or one of the hook itself.
pub(crate) fn offer(
    state: &State,
    payload: Box<dyn Any + Send>,
    at: Option<&'static Location<'static>>,
) -> Option<Box<dyn Any + Send>> {
    let mut payload = Some(payload);
    let outcome = state.hooks.uncaught.invoke(state, "uncaught hook", |hook| {
        let Some(payload) = payload.take() else { return };
        let uncaught = Uncaught { panic: Panic::new(payload), registered_at: at };
        log::debug!("a callback panicked: {}", uncaught.message());
        hook(uncaught);
    });
    // What the hook did not get, or its own.
    outcome.and_then(Result::err).or(payload)
}

/// Runs a user's code whose panic does not concern the callback that is running: a microtask raises
/// it. Whether the code has ended its loop, by the unwinding that does so.
#[inline]
pub(crate) fn aside(f: impl FnOnce()) -> bool {
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    outcome.is_err_and(raise_later)
}

/// Has a microtask of the current loop raise a panic. True if it is none, but the unwinding that
/// ends a loop.
#[cold]
#[inline(never)]
fn raise_later(payload: Box<dyn Any + Send>) -> bool {
    if payload.is::<Halt>() {
        return true;
    }
    let unraised = Unraised::new("waker", None, Panic::new(payload));
    if let Some(state) = current::get() {
        raise_in_microtask(&state, unraised);
    }
    false
}

/// Has a microtask raise the panic of a task or worker that nobody took. For where it cannot be
/// raised at once: who lets go of it may be a destructor, and another panic may pass by.
pub(crate) fn raise_unclaimed(
    state: &Rc<State>,
    kind: &'static str,
    panic: Panic,
    at: Option<&'static Location<'static>>,
) {
    raise_in_microtask(state, Unraised::new(kind, at, panic));
}

/// On a loop that ends, also before the microtask runs, the panic is logged.
fn raise_in_microtask(state: &Rc<State>, unraised: Unraised) {
    if !state.is_open() {
        return;
    }
    let (inner, kind, at) = (state.clone(), unraised.kind, unraised.at);
    state.microtasks.push(move || {
        if let Some((panic, at)) = unraised.take() {
            raise(&inner, panic, at);
        }
    });
    state.tell_queued(Queue::Microtasks, None, kind, at);
}

/// Raises a panic that nobody took, as though the callback that is running had it.
pub(crate) fn raise(state: &State, panic: Panic, at: Option<&'static Location<'static>>) {
    state.set_running(at);
    panic::resume_unwind(panic.into_payload());
}
