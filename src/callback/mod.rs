//! Door 1, into user code: the one place where stored callbacks are called.
//!
//! Every callback goes through here, and after each one the queues are drained: all ticks, then all
//! microtasks, and again until both are empty (as in Node since version 11). What there is to know about
//! the order of callbacks and about panics is on this page.
//!
//! A panic unwinds to the phase that was running, which calls [`guard`]: the phase's place in its
//! batch is kept in the loop, not on the stack, so the hook is told, the queues are drained, and the phase
//! goes on with the next callback. Catching once per phase keeps it off the path of each callback. A
//! callback that is called more than once is put back first: it goes through [`invoke`] and
//! [`settle`]. Without a hook the panic leaves `turn` with its payload, and what had not run yet
//! runs in the next turn.

pub(crate) mod running;
pub(crate) mod slot;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, Location};
use std::thread;

use crate::alloc;
use crate::error::{Panic, Uncaught};
use crate::event_loop::State;
use crate::queue::ring::SendRing;

/// The payload of the private unwind with which `checkpoint` and an ended `block_on` leave user code.
/// It is no panic: no hook sees it.
pub(crate) struct Halt;

/// Unwinds to the `run`, `turn` or worker that the caller runs in.
pub(crate) fn halt() -> ! {
    panic::resume_unwind(Box::new(Halt))
}

/// Calls a callback that is spent by the call, then drains the queues.
#[inline]
pub(crate) fn call(state: &State, location: Option<&'static Location<'static>>, f: impl FnOnce()) {
    state.running.set(location);
    f();
    drain(state);
}

/// Calls the first closure that other threads have posted, then drains the queues.
#[inline]
pub(crate) fn call_queued(state: &State, posts: &SendRing) {
    state.running.set(None);
    posts.call_first();
    drain(state);
}

/// Calls a callback that will be called again. Its outcome goes to [`settle`] once it is put back.
#[inline]
pub(crate) fn invoke<R>(
    state: &State,
    location: Option<&'static Location<'static>>,
    f: impl FnOnce() -> R,
) -> thread::Result<R> {
    state.running.set(location);
    panic::catch_unwind(AssertUnwindSafe(f))
}

/// Ends the callback whose outcome this is: goes on with its panic, or drains the queues.
#[inline]
pub(crate) fn settle(state: &State, outcome: thread::Result<()>) {
    match outcome {
        Ok(()) => drain(state),
        Err(payload) => panic::resume_unwind(payload),
    }
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
    }
}

/// Whether a tick or a microtask waits.
#[inline]
pub(crate) fn has_queued(state: &State) -> bool {
    !state.ticks.is_empty() || !state.microtasks.is_empty()
}

fn drain_queues(state: &State) {
    // Queues do not record where their closures came from.
    state.running.set(None);
    loop {
        // Not after a panic in a microtask: that ends it like a return, and the next microtask follows.
        while !state.in_microtasks.get() && !state.must_end() && state.ticks.call_first() {}
        state.in_microtasks.set(true);
        // No tick is looked for between two microtasks: Node empties one queue, then the other.
        while !state.must_end() && state.microtasks.call_first() {}
        state.in_microtasks.set(false);
        if state.ticks.is_empty() || state.is_halted() {
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
        report(state, payload, state.running.get());
        outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            drain(state);
            work();
        }));
    }
}

/// Gives a panic to the `on_uncaught` hook, or goes on with it when there is none.
fn report(state: &State, payload: Box<dyn Any + Send>, at: Option<&'static Location<'static>>) {
    if payload.is::<Halt>() {
        panic::resume_unwind(payload);
    }
    let mut payload = Some(payload);
    let outcome = state.hooks.uncaught.invoke(state, None, |hook| {
        let Some(payload) = payload.take() else { return };
        let uncaught = Uncaught { panic: Panic::new(payload), registered_at: at };
        log::debug!("a callback panicked: {}", uncaught.message());
        hook(uncaught);
    });
    // What the hook did not get, or its own.
    if let Some(payload) = outcome.and_then(Result::err).or(payload) {
        panic::resume_unwind(payload);
    }
}

/// Drops what a callback was. A panic of its destructor becomes the outcome, unless there is one already.
#[cold]
fn and_drop<R, F: ?Sized>(outcome: thread::Result<R>, f: Box<F>) -> thread::Result<R> {
    match panic::catch_unwind(AssertUnwindSafe(|| drop(f))) {
        Err(payload) if outcome.is_ok() => Err(payload),
        Err(payload) => {
            let message = crate::error::panic_message(payload.as_ref());
            log::error!("the destructor of a callback that panicked did so too: {message}");
            outcome
        }
        Ok(()) => outcome,
    }
}

/// Raises a panic that nobody took, as though the callback that is running had it.
pub(crate) fn raise(state: &State, panic: Panic, at: Option<&'static Location<'static>>) {
    state.running.set(at);
    panic::resume_unwind(panic.into_payload());
}

/// Does something of a user's whose panic concerns somebody else than the callback that is running.
pub(crate) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        if payload.is::<Halt>() {
            panic::resume_unwind(payload);
        }
        Panic::new(payload)
    })
}

/// Drops a user's value. A destructor that panics costs nobody else anything: it is logged.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Does something of a loop's end. A panic is logged.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        let message = crate::error::panic_message(payload.as_ref());
        log::error!("a destructor panicked while its loop was shutting down: {message}");
    }
}
