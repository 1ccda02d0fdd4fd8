//! A callback that is called again and again: taken out, called, put back.
//!
//! It may replace or remove itself while it runs, and so may its destructor. What was put in
//! meanwhile stays, and what was removed does not come back. Before a destructor runs, the slot is
//! as it will be, and nothing else is left on the stack.
//!
//! [`call_slot`](super::call_slot) does the calling; this file knows no loop.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, Location};
use std::thread;

use super::quiet::{drop_payload, drop_quietly};
use crate::cell::peek;
use crate::error::panic_message;
use crate::trace::cause;
use crate::trace::label::here;
use crate::trace::origin::Origin;

/// A place for one callback.
pub(crate) struct Slot<F: ?Sized> {
    /// Absent while it is called, and when there is none.
    callback: Cell<Option<Box<F>>>,
    /// Counts what was set and removed. A callback that was replaced or removed while it ran is not
    /// put back.
    changes: Cell<u32>,
    /// The line that registered the callback. None before the first.
    place: Cell<Option<&'static Location<'static>>>,
    /// The callback that registered it. Zero: none, or nobody observed.
    cause: Cell<u64>,
}

/// Where a callback was registered, and in which callback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered {
    /// The line.
    place: &'static Location<'static>,
    /// The id of the callback that did it. Zero: none, or nobody observed.
    cause: u64,
}

impl Registered {
    /// Registered now, by the caller.
    #[track_caller]
    pub(crate) fn here() -> Registered {
        Registered { place: here(), cause: cause::running() }
    }

    /// The callback as something of this kind.
    #[inline]
    pub(crate) fn origin(self, kind: &'static str) -> Origin {
        Origin { kind, place: Some(self.place), cause: self.cause }
    }
}

impl<F: ?Sized> Default for Slot<F> {
    fn default() -> Slot<F> {
        let (callback, changes) = (Cell::new(None), Cell::new(0));
        Slot { callback, changes, place: Cell::new(None), cause: Cell::new(0) }
    }
}

/// A place for one callback that is spent by its call, with where it was registered.
pub(crate) struct Once<F: ?Sized> {
    /// Absent when there is none. In a box of its own: most stay empty, and a connection has three.
    callback: Cell<Option<Box<(Box<F>, Registered)>>>,
}

impl<F: ?Sized> Default for Once<F> {
    fn default() -> Once<F> {
        Once { callback: Cell::new(None) }
    }
}

impl<F: ?Sized> Once<F> {
    /// Puts a callback in, registered at the caller's line. The one before comes back, for the
    /// caller to drop once all else is done.
    #[track_caller]
    pub(crate) fn set(&self, f: Box<F>) -> Option<Box<F>> {
        let before = self.callback.replace(Some(Box::new((f, Registered::here()))));
        before.map(|before| before.0)
    }

    /// Whether there is one.
    pub(crate) fn is_some(&self) -> bool {
        peek(&self.callback, Option::is_some)
    }

    /// Takes the callback out, to be called as something of this kind.
    pub(crate) fn take(&self, kind: &'static str) -> Option<(Box<F>, Origin)> {
        let (f, registered) = *self.callback.take()?;
        Some((f, registered.origin(kind)))
    }

    /// Takes the callback out for good, for the caller to drop.
    pub(crate) fn clear(&self) -> Option<Box<F>> {
        self.callback.take().map(|before| before.0)
    }
}

impl<F: ?Sized> Slot<F> {
    /// Puts a callback in, registered at the caller's line. The one before comes back, for the
    /// caller to drop once all else is done.
    #[track_caller]
    pub(crate) fn set(&self, f: Box<F>) -> Option<Box<F>> {
        self.set_at(here(), f)
    }

    /// As [`set`](Slot::set), registered at this line.
    pub(crate) fn set_at(&self, place: &'static Location<'static>, f: Box<F>) -> Option<Box<F>> {
        self.place.set(Some(place));
        self.cause.set(cause::running());
        self.changes.set(self.changes.get().wrapping_add(1));
        self.callback.replace(Some(f))
    }

    /// The line that registered the callback. None before the first.
    #[inline]
    pub(super) fn place(&self) -> Option<&'static Location<'static>> {
        self.place.get()
    }

    /// The callback as something of this kind.
    #[inline]
    pub(crate) fn origin(&self, kind: &'static str) -> Origin {
        Origin { kind, place: self.place.get(), cause: self.cause.get() }
    }

    /// Takes the callback out for good, for the caller to drop. One that is running is dropped when
    /// it returns.
    pub(crate) fn clear(&self) -> Option<Box<F>> {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.callback.take()
    }

    /// Calls what is no callback of the loop: nothing is told of it, and nothing is drained after
    /// it.
    pub(crate) fn tell<R>(&self, f: impl FnOnce(&mut F) -> R) -> Option<thread::Result<R>> {
        self.lend(|callback| panic::catch_unwind(AssertUnwindSafe(|| f(callback))))
    }

    /// Takes the callback out, has `call` call it, and puts it back. None if there is none, or if
    /// it is being called.
    ///
    /// If it was replaced or removed meanwhile, it is dropped, and a panic of its destructor counts
    /// as its own.
    #[inline]
    pub(super) fn lend<R>(
        &self,
        call: impl FnOnce(&mut F) -> thread::Result<R>,
    ) -> Option<thread::Result<R>> {
        let mut f = self.callback.take()?;
        let changes = self.changes.get();
        let outcome = call(&mut f);
        if self.changes.get() == changes {
            self.callback.set(Some(f));
            return Some(outcome);
        }
        Some(and_drop(outcome, f))
    }
}

/// Drops what a callback leaves behind: itself, or other values of the user's. A panic of a
/// destructor becomes the outcome, unless there is one already.
#[cold]
pub(crate) fn and_drop<R, T>(outcome: thread::Result<R>, left: T) -> thread::Result<R> {
    and_also(outcome, || drop(left))
}

/// As [`and_drop`], of values that `f` drops.
#[inline]
pub(crate) fn and_also<R>(outcome: thread::Result<R>, f: impl FnOnce()) -> thread::Result<R> {
    match (panic::catch_unwind(AssertUnwindSafe(f)), outcome) {
        (Ok(()), outcome) => outcome,
        (Err(payload), Ok(result)) => {
            drop_quietly(result);
            Err(payload)
        }
        (Err(payload), outcome) => {
            log_second(payload.as_ref());
            drop_payload(payload);
            outcome
        }
    }
}

/// Of two panics of one callback only the first can be reported.
fn log_second(payload: &(dyn Any + Send)) {
    let message = panic_message(payload);
    log::error!("the destructor of a callback that panicked did so too: {message}");
}
