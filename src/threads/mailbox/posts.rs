//! The closures that a loop has fetched from its mailbox and not called yet.
//!
//! They stay in the rings in which their senders wrote them: one ring is being emptied, those that
//! were fetched meanwhile wait behind it, and empty ones go back to the mailbox to be written
//! again. So a closure is never moved, and a loop that is slower than its senders keeps a chain of
//! rings, each of which fits the cache, instead of one that must grow.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::queue::closure::Closure;
use crate::queue::ring::SendRing;

/// Empty rings that are kept. Only a loop that is slower than its senders needs more than one.
const SPARE_MAX: usize = 4;

/// A chain of rings.
#[derive(Default)]
pub(crate) struct Posts {
    /// The ring that is being emptied. Not behind a borrow, for its closures are called where they
    /// lie.
    first: SendRing,
    /// Rings that were fetched later, in order. None of them is empty.
    behind: RefCell<VecDeque<SendRing>>,
    /// Empty rings, for the mailbox to be written again.
    spare: RefCell<Vec<SendRing>>,
    /// Closures in all rings.
    count: Cell<usize>,
}

impl Posts {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count.get()
    }

    /// Takes what is in a ring, and leaves an empty one.
    pub(crate) fn add(&self, ring: &mut SendRing) {
        if ring.is_empty() {
            return;
        }
        let before = self.count.replace(self.count.get() + ring.len());
        if before == 0 {
            self.first.append(ring);
            return;
        }
        let spare = self.spare.borrow_mut().pop().unwrap_or_default();
        self.behind.borrow_mut().push_back(std::mem::replace(ring, spare));
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&self) {
        self.first.give_back(true);
        self.behind.borrow_mut().shrink_to_fit();
        drop(self.spare.take());
    }

    /// The ring whose first closure is next. It is counted as called.
    #[inline]
    pub(crate) fn next(&self) -> Option<&SendRing> {
        self.count.set(self.count.get().checked_sub(1)?);
        if self.first.is_empty() {
            self.advance();
        }
        Some(&self.first)
    }

    #[cold]
    fn advance(&self) {
        let Some(mut ring) = self.behind.borrow_mut().pop_front() else { return };
        self.first.append(&mut ring);
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(ring);
        }
    }

    /// Takes the next closure out, uncalled.
    pub(crate) fn pop(&self) -> Option<Closure> {
        self.next()?.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn closures_come_in_the_order_of_their_rings_however_these_are_emptied() {
        let (posts, seen) = (Posts::default(), Arc::new(Mutex::new(Vec::new())));
        let mut next = 0;
        for (fill, calls) in [(3, 1), (5, 0), (0, 4), (200, 1), (7, 50), (1, 9), (0, 151), (2, 2)] {
            let mut ring = SendRing::default();
            for _ in 0..fill {
                let (seen, number) = (seen.clone(), next);
                next += 1;
                ring.push(move || seen.lock().unwrap().push(number));
            }
            posts.add(&mut ring);
            assert!(ring.is_empty());
            (0..calls).for_each(|_| assert!(posts.next().unwrap().call_first()));
        }
        assert!(posts.is_empty() && posts.next().is_none() && posts.pop().is_none());
        assert!(seen.lock().unwrap().iter().copied().eq(0..218));
    }
}
