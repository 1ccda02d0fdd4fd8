//! A callback that is called again and again: taken out, called, put back.
//!
//! It may replace or remove itself while it runs, and so may its destructor. What was put in meanwhile stays, and
//! what was removed does not come back. Whoever takes it out keeps nothing else on the stack: before a
//! destructor runs, the slot is as it will be.

use std::cell::Cell;
use std::panic::Location;
use std::thread;

use super::invoke;
use crate::event_loop::State;

/// A place for one callback.
pub(crate) struct Slot<F: ?Sized> {
    /// Absent while it is called, and when there is none.
    callback: Cell<Option<Box<F>>>,
    /// Counts what was set and removed. One that was replaced or removed while it ran is not put back.
    changes: Cell<u32>,
}

impl<F: ?Sized> Default for Slot<F> {
    fn default() -> Slot<F> {
        Slot { callback: Cell::new(None), changes: Cell::new(0) }
    }
}

impl<F: ?Sized> Slot<F> {
    /// Puts a callback in. The one before comes back, for the caller to drop once all else is done.
    pub(crate) fn set(&self, f: Box<F>) -> Option<Box<F>> {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.callback.replace(Some(f))
    }

    /// Takes the callback out for good, for the caller to drop. One that is running is dropped when it returns.
    pub(crate) fn clear(&self) -> Option<Box<F>> {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.callback.take()
    }

    /// Calls the callback, by `call`. None if there is none, or if it is being called.
    ///
    /// The outcome is for [`settle`](super::settle). If it was replaced or removed meanwhile, a panic of its
    /// destructor counts as its own.
    #[inline]
    pub(crate) fn invoke<R>(
        &self,
        state: &State,
        location: Option<&'static Location<'static>>,
        call: impl FnOnce(&mut F) -> R,
    ) -> Option<thread::Result<R>> {
        let mut f = self.callback.take()?;
        let changes = self.changes.get();
        let outcome = invoke(state, location, || call(&mut f));
        if self.changes.get() == changes {
            self.callback.set(Some(f));
            return Some(outcome);
        }
        Some(super::and_drop(outcome, f))
    }
}
