//! The queues between the phases: ticks, microtasks, immediates, and what is deferred.
//!
//! Ticks and microtasks are [`Queue`]s that [`callback::drain`](crate::callback::drain) empties after
//! every callback; they are drained until empty, so a chain of them starves the loop. Immediates
//! are a queue with numbered places, run a batch at a time by the check phase. Deferred callbacks
//! wait for the pending or the close phase.

pub(crate) mod closure;
pub(crate) mod deferred;
pub(crate) mod immediate;

use std::cell::RefCell;
use std::collections::VecDeque;

use closure::Closure;

/// First in, first out. Nothing is borrowed while a popped closure runs.
#[derive(Default)]
pub(crate) struct Queue {
    closures: RefCell<VecDeque<Closure>>,
}

impl Queue {
    #[inline]
    pub(crate) fn push(&self, closure: Closure) {
        self.closures.borrow_mut().push_back(closure);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Closure> {
        self.closures.borrow_mut().pop_front()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.closures.borrow().is_empty()
    }
}
