//! Watchers in the order in which they started: plain data.
//!
//! Each has a number, and numbers are given in order. A phase goes through the numbers that there
//! were when it began: a watcher that is stopped by another is gone from the list before its turn,
//! and one that is started has a number beyond the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A list of watchers.
pub(crate) struct Numbered<W: ?Sized> {
    /// In the order of their numbers.
    places: RefCell<Vec<Place<W>>>,
    /// Places whose watcher has not stopped.
    active: Cell<usize>,
    /// The number of the watcher that starts next.
    next_number: Cell<u64>,
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
        Numbered { places: RefCell::default(), active: Cell::new(0), next_number: Cell::new(0) }
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

    /// Beyond the numbers that there are now.
    pub(crate) fn end(&self) -> u64 {
        self.next_number.get()
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
        }
        Some(watcher)
    }

    /// The first active watcher with a number from `from` to below `end`, and its number.
    #[inline]
    pub(crate) fn first_in(&self, from: u64, end: u64) -> Option<(u64, Rc<W>)> {
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
