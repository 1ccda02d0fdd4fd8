//! Callbacks that wait for a later phase: the pending phase's completions and the poll phase's
//! signals.
//!
//! Each entry runs at most one user callback, so that a panic in it costs no other callback its
//! call. A run takes what was there when it began; entries that are added meanwhile wait for the
//! next. [`call_deferred`](crate::callback::call_deferred) does the calling.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::closure::Closure;
use super::memory;

/// A queue of deferred callbacks. Everything in it keeps the loop alive.
#[derive(Default)]
pub(crate) struct Deferred {
    /// The entries in the order they were pushed.
    entries: RefCell<VecDeque<Closure>>,
    /// How many entries of the run that has begun are left. Kept here, not on the stack, so that
    /// a run interrupted by a panic goes on where it stopped.
    left: Cell<usize>,
    /// The most entries of a run since memory was last given back.
    most: Cell<usize>,
}

impl Deferred {
    pub(crate) fn push(&self, entry: Closure) {
        self.entries.borrow_mut().push_back(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// Takes one entry out, uncalled. For teardown.
    pub(crate) fn take(&self) -> Option<Closure> {
        self.entries.borrow_mut().pop_front()
    }

    /// Gives the memory of a burst back: if `now`, else when the runs since the last call have been
    /// much smaller.
    pub(crate) fn give_back(&self, now: bool) {
        let most = self.most.take();
        let mut entries = self.entries.borrow_mut();
        let needed = if now { entries.len() } else { entries.len().max(most) };
        if memory::is_excess(entries.capacity(), needed) {
            let kept = entries.len() * 2;
            entries.shrink_to(kept);
        }
    }

    /// Begins a run, of the entries that are here now. False if there are none.
    pub(crate) fn begin_run(&self) -> bool {
        let count = self.entries.borrow().len();
        if count == 0 {
            return false; // And nothing is left of the run before.
        }
        self.left.set(count);
        self.most.set(self.most.get().max(count));
        true
    }

    /// How many entries of the run are left.
    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Takes the next entry of the run out.
    pub(crate) fn next(&self) -> Option<Closure> {
        if self.left.get() == 0 {
            return None;
        }
        self.left.set(self.left.get() - 1);
        self.take()
    }
}
