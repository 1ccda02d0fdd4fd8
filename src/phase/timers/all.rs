//! All timers of a loop: their table behind a cell, and what the loop asks it.

use std::cell::RefCell;

use super::table::Table;
use super::told::Armed;
use crate::clock::Nanos;
use crate::report::Alive;

/// The timers of a loop.
#[derive(Default)]
pub(crate) struct Timers {
    /// Not borrowed while a callback runs.
    pub(super) table: RefCell<Table>,
}

impl Timers {
    /// Whether a timer keeps the loop alive.
    #[inline]
    pub(crate) fn any_holding(&self) -> bool {
        self.table.borrow().any_holding()
    }

    /// When the next list expires; none if there is no timer, or none that will ever fire.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        self.table.borrow().next_expiry().filter(|expiry| *expiry < Nanos::MAX)
    }

    /// Whether there is no timer. An emptied list may still wait for its expiry.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().is_empty()
    }

    /// Whether a list waits for its expiry: one with timers, or an emptied one.
    #[inline]
    pub(crate) fn any_waiting(&self) -> bool {
        self.table.borrow().next_expiry().is_some()
    }

    /// Gives the memory of a burst back. See [`Table::give_back`].
    pub(crate) fn give_back(&self, now: bool) {
        self.table.borrow_mut().give_back(now);
    }

    /// Takes all callbacks out, for the caller to drop. For teardown.
    pub(crate) fn take_all(&self) -> impl Iterator<Item: Sized> + use<> {
        // Timers that are armed from now on must not share a generation with those before.
        let empty = self.table.borrow().successor();
        self.table.replace(empty).into_callbacks()
    }

    /// The timers that are armed.
    pub(crate) fn each(&self, f: impl FnMut(Armed)) {
        self.table.borrow().each_armed().for_each(f);
    }

    /// Adds the timers that hold the loop to a report of what keeps it alive.
    pub(crate) fn report(&self, alive: &mut Vec<Alive>) {
        alive.extend(self.table.borrow().holding());
    }
}
