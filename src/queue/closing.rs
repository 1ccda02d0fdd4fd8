//! The callbacks of closed handles for the close phase: a stack, like libuv's list of closing
//! handles.

use std::cell::{Cell, RefCell};

use super::closure::Closure;
use super::memory;

/// The last callbacks of closed handles. Each entry runs at most one user callback, so that a panic
/// in it costs no other callback its call. Everything in it keeps the loop alive.
#[derive(Default)]
pub(crate) struct Closing {
    /// For the next close phase, the handle closed last on top.
    entries: RefCell<Vec<Closure>>,
    /// The entries of the phase that has begun that are left. Kept here, not on the stack, so that
    /// a phase interrupted by a panic goes on where it stopped.
    batch: RefCell<Vec<Closure>>,
    /// The most entries of a phase since memory was last given back.
    most: Cell<usize>,
}

impl Closing {
    pub(crate) fn push(&self, entry: Closure) {
        self.entries.borrow_mut().push(entry);
    }

    /// Adds the last callbacks of one handle, in this order.
    pub(crate) fn push_all(
        &self,
        entries: impl IntoIterator<IntoIter: DoubleEndedIterator<Item = Closure>>,
    ) {
        self.entries.borrow_mut().extend(entries.into_iter().rev());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty() && self.batch.borrow().is_empty()
    }

    /// Takes one entry out, uncalled. For teardown.
    pub(crate) fn take(&self) -> Option<Closure> {
        let left = self.batch.borrow_mut().pop();
        left.or_else(|| self.entries.borrow_mut().pop())
    }

    /// Gives the memory of a burst back: if `now`, else when the phases since the last call have
    /// had much fewer.
    pub(crate) fn give_back(&self, now: bool) {
        let most = self.most.take();
        for entries in [&self.entries, &self.batch] {
            let mut entries = entries.borrow_mut();
            let needed = if now { entries.len() } else { entries.len().max(most) };
            if memory::is_excess(entries.capacity(), needed) {
                let kept = entries.len() * 2;
                entries.shrink_to(kept);
            }
        }
    }

    /// Begins a phase, of the entries that are here now. False if there are none.
    #[inline]
    pub(crate) fn begin_phase(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        // What a panic left of the phase before was closed earlier, and comes last.
        self.batch.borrow_mut().append(&mut self.entries.borrow_mut());
        self.most.set(self.most.get().max(self.batch.borrow().len()));
        true
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len() + self.batch.borrow().len()
    }

    /// Takes the next entry of the phase out: the last one.
    pub(crate) fn next(&self) -> Option<Closure> {
        self.batch.borrow_mut().pop()
    }
}
