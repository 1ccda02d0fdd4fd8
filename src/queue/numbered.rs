//! Watchers in the order in which they started: plain data.
//!
//! Each has a number, and numbers are given in order. A phase goes through the numbers that there
//! were when it began: a watcher that is stopped by another is gone from the list before its turn,
//! and one that is started has a number beyond the end. Where the phase is stands here, not on the
//! stack: if a panic leaves it, that of the next turn goes on behind the watcher that panicked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::memory;

/// A list of watchers.
pub(crate) struct Numbered<W: ?Sized> {
    /// In the order of their numbers.
    places: RefCell<Vec<Place<W>>>,
    /// Places whose watcher has not stopped.
    active: Cell<usize>,
    /// The number of the watcher that starts next.
    next_number: Cell<u64>,
    /// What is left of the phase that has begun: the numbers from the first to below the second.
    left: Cell<(u64, u64)>,
}

/// A watcher's place in its list.
struct Place<W: ?Sized> {
    /// The watcher's number.
    number: u64,
    /// None once it has stopped. Empty places are removed when they are more than the others, so
    /// that stopping costs no move of what comes behind.
    watcher: Option<Rc<W>>,
}

impl<W: ?Sized> Default for Numbered<W> {
    fn default() -> Numbered<W> {
        let (active, next_number) = (Cell::new(0), Cell::new(0));
        Numbered { places: RefCell::default(), active, next_number, left: Cell::new((0, 0)) }
    }
}

impl<W: ?Sized> Numbered<W> {
    /// Whether no watcher is active.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.active.get() == 0
    }

    /// How many are active.
    pub(crate) fn len(&self) -> usize {
        self.active.get()
    }

    /// Adds a watcher at the end and returns its number.
    pub(crate) fn add(&self, watcher: Rc<W>) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.active.set(self.active.get() + 1);
        self.places.borrow_mut().push(Place { number, watcher: Some(watcher) });
        number
    }

    /// Takes a watcher out, for the caller to drop.
    pub(crate) fn remove(&self, number: u64) -> Option<Rc<W>> {
        let mut places = self.places.borrow_mut();
        let index = places.binary_search_by_key(&number, |place| place.number).ok()?;
        let watcher = places[index].watcher.take()?;
        self.active.set(self.active.get() - 1);
        if places.len() > 2 * self.active.get() {
            places.retain(|place| place.watcher.is_some());
            if memory::is_excess(places.capacity(), places.len()) {
                let kept = places.len() * 2;
                places.shrink_to(kept); // A burst is over.
            }
        }
        Some(watcher)
    }

    /// Begins a phase, of the watchers that are active now; or goes on with the one before, if
    /// something is left of that.
    #[inline]
    pub(crate) fn begin_phase(&self) {
        let (from, end) = self.left.get();
        let goes_on = self.first_in(from, end).is_some();
        self.left.set((if goes_on { from } else { 0 }, self.next_number.get()));
    }

    /// Takes the next watcher of the phase.
    #[inline]
    pub(crate) fn next(&self) -> Option<Rc<W>> {
        let (from, end) = self.left.get();
        let first = self.first_in(from, end);
        self.left.set((first.as_ref().map_or(end, |(number, _)| number + 1), end));
        first.map(|(_, watcher)| watcher)
    }

    /// The first active watcher with a number from `from` to below `end`, and its number.
    #[inline]
    fn first_in(&self, from: u64, end: u64) -> Option<(u64, Rc<W>)> {
        if from >= end {
            return None;
        }
        let places = self.places.borrow();
        let first = places.partition_point(|place| place.number < from);
        for place in &places[first..] {
            if place.number >= end {
                break;
            }
            if let Some(watcher) = &place.watcher {
                return Some((place.number, watcher.clone()));
            }
        }
        None
    }
}
