//! The immediates: callbacks for the next check phase.
//!
//! Each immediate has a number, and numbers are given in order. The queue holds a run of
//! consecutive numbers, so the place of an immediate is its number less the first one's, and
//! clearing is a look-up. A cleared immediate leaves an empty place that the check phase skips.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;

use super::closure::Closure;
use super::memory::{self, Lately};
use crate::report::Alive;
use crate::trace::origin::Origin;

/// Its name in reports.
pub(crate) const KIND: &str = "immediate";

/// One place in the queue.
struct Place {
    /// Empty once the immediate was cleared.
    callback: Option<Closure>,
    /// Whether it keeps the loop alive while it waits.
    referenced: bool,
    /// The line that queued it.
    location: &'static Location<'static>,
    /// The callback that queued it. Zero: none, or nobody observed.
    cause: u64,
}

/// An immediate that was taken out to be called.
pub(crate) struct Popped {
    /// The user's closure.
    pub(crate) callback: Closure,
    /// The line that queued it.
    location: &'static Location<'static>,
    /// The callback that queued it. Zero: none, or nobody observed.
    cause: u64,
}

impl Popped {
    /// What it is and where it comes from.
    #[inline]
    pub(crate) fn origin(&self) -> Origin {
        Origin { kind: KIND, place: Some(self.location), cause: self.cause }
    }
}

/// The immediates of a loop.
#[derive(Default)]
pub(crate) struct Immediates {
    /// In the order of their numbers. Not borrowed while a callback runs.
    places: RefCell<VecDeque<Place>>,
    /// The number of the first place.
    first: Cell<u64>,
    /// Places whose immediate was not cleared.
    waiting: Cell<usize>,
    /// Of these, how many are referenced.
    referenced: Cell<usize>,
    /// How many were queued since memory was last given back.
    lately: Lately,
}

impl Immediates {
    /// Queues a callback, with what has queued it, and returns its number.
    ///
    /// The closure is written where it stays, into a place that is made empty: see the guide, Why
    /// it is fast.
    #[inline(always)]
    pub(crate) fn push(
        &self,
        callback: impl FnOnce() + 'static,
        location: &'static Location<'static>,
        cause: u64,
    ) -> u64 {
        let mut places = self.places.borrow_mut();
        let number = self.first.get() + places.len() as u64;
        places.push_back(Place { callback: None, referenced: true, location, cause });
        if let Some(place) = places.back_mut() {
            place.callback = Some(Closure::new(callback));
        }
        self.waiting.set(self.waiting.get() + 1);
        self.referenced.set(self.referenced.get() + 1);
        number
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.get()
    }

    /// The number of the first place: one more than that of the immediate that was taken last.
    #[inline]
    pub(crate) fn first(&self) -> u64 {
        self.first.get()
    }

    /// The immediates that wait: their numbers, lines, and whether they keep the loop alive.
    pub(crate) fn each(&self, mut f: impl FnMut(u64, &'static Location<'static>, bool)) {
        let numbers = self.first.get()..;
        let places = self.places.borrow();
        let waiting = numbers.zip(places.iter()).filter(|(_, place)| place.callback.is_some());
        waiting.for_each(|(number, place)| f(number, place.location, place.referenced));
    }

    /// The number that the next immediate will get. Those below it are this check phase's batch.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.first.get() + self.places.borrow().len() as u64
    }

    /// Whether a referenced immediate waits: then the loop is alive and must not block.
    #[inline]
    pub(crate) fn any_referenced(&self) -> bool {
        self.referenced.get() > 0
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.borrow().is_empty()
    }

    /// Takes the first immediate whose number is below `end`.
    #[inline]
    pub(crate) fn pop_below(&self, end: u64) -> Option<Popped> {
        let mut places = self.places.borrow_mut();
        while self.first.get() < end
            && let Some(place) = places.pop_front()
        {
            self.first.set(self.first.get() + 1);
            if let Some(callback) = place.callback {
                self.forget(place.referenced);
                let Place { location, cause, .. } = place;
                return Some(Popped { callback, location, cause });
            }
        }
        None
    }

    /// Takes the callback of an immediate that still waits, for the caller to drop.
    pub(crate) fn take(&self, number: u64) -> Option<Closure> {
        let mut places = self.places.borrow_mut();
        let index = usize::try_from(number.checked_sub(self.first.get())?).ok()?;
        let place = places.get_mut(index)?;
        let callback = place.callback.take()?;
        self.forget(place.referenced);
        if self.waiting.get() == 0 {
            // Only empty places are left: a loop that is not turned would keep them for ever.
            self.first.set(self.first.get() + places.len() as u64);
            places.clear();
        }
        Some(callback)
    }

    fn forget(&self, referenced: bool) {
        self.waiting.set(self.waiting.get() - 1);
        self.referenced.set(self.referenced.get() - usize::from(referenced));
    }

    /// Whether the immediate still waits and is referenced.
    pub(crate) fn has_ref(&self, number: u64) -> bool {
        let places = self.places.borrow();
        let index = number.checked_sub(self.first.get()).and_then(|n| usize::try_from(n).ok());
        index
            .and_then(|index| places.get(index))
            .is_some_and(|place| place.callback.is_some() && place.referenced)
    }

    /// Sets whether an immediate that still waits keeps the loop alive.
    pub(crate) fn set_ref(&self, number: u64, on: bool) {
        let mut places = self.places.borrow_mut();
        let index = number.checked_sub(self.first.get()).and_then(|n| usize::try_from(n).ok());
        let Some(place) = index.and_then(|index| places.get_mut(index)) else { return };
        if place.callback.is_some() && place.referenced != on {
            place.referenced = on;
            let count = self.referenced.get();
            self.referenced.set(if on { count + 1 } else { count - 1 });
        }
    }

    /// Gives the places of a burst back: if `now`, else when much fewer immediates were queued
    /// since the last call.
    pub(crate) fn give_back(&self, now: bool) {
        let lately = self.lately.needed(self.end(), now);
        let mut places = self.places.borrow_mut();
        if memory::is_excess(places.capacity(), places.len().max(lately)) {
            let kept = places.len() * 2;
            places.shrink_to(kept);
        }
    }

    /// Adds the referenced immediates to a report of what keeps the loop alive.
    pub(crate) fn report(&self, alive: &mut Vec<Alive>) {
        let places = self.places.borrow();
        let holding = places.iter().filter(|place| place.callback.is_some() && place.referenced);
        alive.extend(holding.map(|place| Alive::new(KIND, place.location)));
    }
}
