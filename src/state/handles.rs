//! The table of all that is open on a loop: plain data, which knows neither loop nor handle.
//!
//! A handle or request has an entry from its making to its end. The entry owns it for the loop and
//! says whether it is *active* (started, or still waiting to complete), *referenced* (allowed to
//! keep the loop alive) and *busy* (a request of it is pending). The number of entries that hold
//! the loop is kept beside the table: asking whether a loop is alive costs one look.
//!
//! An entry may also be *polled*: a task waits on it by a function that polls. It holds the loop as
//! an active one does, but nothing tells when the task no longer waits. So it is asked: see
//! `phase/poll/asking.rs`.
//!
//! Timers and immediates are not here: there can be a million of them, and they have tables of
//! their own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::panic::Location;
use std::rc::Rc;

use crate::clock::Nanos;
use crate::queue::memory;
use crate::report::{Alive, HandleInfo};
use crate::state::key::{Key, Keyed};
use crate::sys::Event;
use crate::trace::label::Label;

/// What the table asks of an owner for its reports.
pub(crate) trait Described {
    /// Its name in reports.
    fn kind(&self) -> &'static str;

    /// The line that made it.
    fn location(&self) -> &'static Location<'static>;
}

/// The open handles and pending requests of a loop, each owned as an `Rc<H>`.
pub(crate) struct Handles<H: ?Sized> {
    /// Never borrowed while a handle is called or dropped.
    table: RefCell<Table<H>>,
    /// How many entries hold the loop.
    holding: Cell<usize>,
    /// How many of them do so by being polled alone.
    by_polls: Cell<usize>,
    /// How many entries were asked and have not answered.
    asked: Cell<usize>,
    /// When they were asked last: how many iterations had begun, and how long the loop had slept.
    /// `u64::MAX` iterations before the first time.
    asked_at: Cell<(u64, Nanos)>,
}

/// The entries, and which of them are ready.
pub(crate) struct Table<H: ?Sized> {
    /// An event that was fetched before a handle closed does not reach the handle that took its
    /// place: its key names no entry any more.
    entries: Keyed<Entry<H>>,
    /// The entries to be called in the next poll phase, in order. One that has ended is still
    /// listed.
    ready: VecDeque<Key>,
}

/// What the loop knows of one open handle or pending request.
struct Entry<H: ?Sized> {
    /// Keeps the handle for as long as it is open, also when the program has dropped it.
    owner: Rc<H>,
    /// What holds of it.
    flags: Flags,
    /// What the poller reported since it was last called.
    event: Event,
    /// When it was opened.
    opened: Moment,
}

/// What holds of an entry, as a set.
#[derive(Clone, Copy)]
struct Flags(u8);

impl Flags {
    /// It is started, or waits to complete. Holds the loop if it is referenced too.
    const ACTIVE: Flags = Flags(1);
    /// The program lets it hold the loop: until `unref`.
    const REFERENCED: Flags = Flags(1 << 1);
    /// A request of it is pending, which holds the loop also when the handle is unreferenced.
    const BUSY: Flags = Flags(1 << 2);
    /// It stands in the ready list, where it stands once.
    const LISTED: Flags = Flags(1 << 3);
    /// A task waits on it by a function that polls. Holds the loop if it is referenced too.
    const POLLED: Flags = Flags(1 << 4);
    /// That task was asked whether it still waits, and has not polled since.
    const ASKED: Flags = Flags(1 << 5);

    #[inline]
    fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    fn set(&mut self, flag: Flags, on: bool) {
        self.0 = if on { self.0 | flag.0 } else { self.0 & !flag.0 };
    }
}

/// A time of the loop's clock in whole milliseconds, in the six bytes that an entry has left: they
/// last for 8,900 years.
#[derive(Clone, Copy)]
struct Moment([u8; 6]);

impl Moment {
    /// Nanoseconds in a millisecond.
    const UNIT: Nanos = 1_000_000;

    fn new(time: Nanos) -> Moment {
        let [a, b, c, d, e, f, ..] = (time / Moment::UNIT).to_le_bytes();
        Moment([a, b, c, d, e, f])
    }

    fn nanos(self) -> Nanos {
        let [a, b, c, d, e, f] = self.0;
        Nanos::from_le_bytes([a, b, c, d, e, f, 0, 0]) * Moment::UNIT
    }
}

impl<H: ?Sized> Default for Handles<H> {
    fn default() -> Handles<H> {
        Handles {
            table: RefCell::default(),
            holding: Cell::new(0),
            by_polls: Cell::new(0),
            asked: Cell::new(0),
            asked_at: Cell::new((u64::MAX, 0)),
        }
    }
}

impl<H: ?Sized> Default for Table<H> {
    fn default() -> Table<H> {
        Table { entries: Keyed::default(), ready: VecDeque::new() }
    }
}

impl<H: ?Sized> Entry<H> {
    /// Whether it keeps the loop alive.
    fn holds(&self) -> bool {
        let is_on = self.flags.has(Flags::ACTIVE) || self.flags.has(Flags::POLLED);
        self.flags.has(Flags::BUSY) || is_on && self.flags.has(Flags::REFERENCED)
    }

    /// Whether it does so by being polled alone.
    fn holds_by_polls(&self) -> bool {
        self.holds() && !self.flags.has(Flags::BUSY) && !self.flags.has(Flags::ACTIVE)
    }
}

impl<H: ?Sized> Table<H> {
    /// Notes what the poller reported, and lists the handle to be called in this poll phase.
    #[inline]
    pub(crate) fn mark_ready(&mut self, key: Key, event: Event) {
        let Some(entry) = self.entries.get(key) else { return };
        entry.event |= event;
        if !entry.flags.has(Flags::LISTED) {
            entry.flags.set(Flags::LISTED, true);
            self.ready.push_back(key);
        }
    }
}

impl<H: ?Sized> Handles<H> {
    /// Opens an entry at this time: referenced, and active as told.
    pub(super) fn open(&self, owner: Rc<H>, active: bool, now: Nanos) -> Key {
        self.holding.set(self.holding.get() + usize::from(active));
        let mut flags = Flags::REFERENCED;
        flags.set(Flags::ACTIVE, active);
        let entry = Entry { owner, flags, event: Event::default(), opened: Moment::new(now) };
        self.table.borrow_mut().entries.insert(entry)
    }

    /// Ends an entry and gives its owner back, for the caller to drop. None if it has ended before.
    pub(super) fn close(&self, key: Key) -> Option<Rc<H>> {
        let mut entry = self.table.borrow_mut().entries.remove(key)?;
        self.count(&mut entry, |entry| entry.flags = Flags(0));
        Some(entry.owner)
    }

    /// Changes an entry and keeps the numbers.
    #[inline]
    fn count(&self, entry: &mut Entry<H>, f: impl FnOnce(&mut Entry<H>)) {
        let states = |entry: &Entry<H>| {
            (entry.holds(), entry.holds_by_polls(), entry.flags.has(Flags::ASKED))
        };
        let before = states(entry);
        f(entry);
        let after = states(entry);
        let count = |number: &Cell<usize>, before: bool, after: bool| {
            number.set(number.get() + usize::from(after) - usize::from(before));
        };
        count(&self.holding, before.0, after.0);
        count(&self.by_polls, before.1, after.1);
        count(&self.asked, before.2, after.2);
    }

    fn with<R>(&self, key: Key, f: impl FnOnce(&mut Entry<H>) -> R) -> Option<R> {
        self.table.borrow_mut().entries.get(key).map(f)
    }

    fn change(&self, key: Key, f: impl FnOnce(&mut Entry<H>)) {
        self.with(key, |entry| self.count(entry, f));
    }

    pub(super) fn set_active(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.flags.set(Flags::ACTIVE, on));
    }

    pub(super) fn set_busy(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.flags.set(Flags::BUSY, on));
    }

    /// Sets whether it is active, and whether it is polled, which answers who asked.
    pub(super) fn set_active_or_polled(&self, key: Key, active: bool, polled: bool) {
        self.change(key, |entry| {
            entry.flags.set(Flags::ACTIVE, active);
            entry.flags.set(Flags::POLLED, polled);
            entry.flags.set(Flags::ASKED, false);
        });
    }

    pub(super) fn set_ref(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.flags.set(Flags::REFERENCED, on));
    }

    pub(super) fn is_busy(&self, key: Key) -> bool {
        self.with(key, |entry| entry.flags.has(Flags::BUSY)).unwrap_or(false)
    }

    pub(super) fn has_ref(&self, key: Key) -> bool {
        self.with(key, |entry| entry.flags.has(Flags::REFERENCED)).unwrap_or(false)
    }

    pub(super) fn is_active(&self, key: Key) -> bool {
        let is_active =
            |entry: &mut Entry<H>| entry.flags.has(Flags::ACTIVE) || entry.flags.has(Flags::POLLED);
        self.with(key, is_active).unwrap_or(false)
    }

    /// When an entry was opened that has not ended, to the millisecond.
    pub(super) fn opened(&self, key: Key) -> Option<Nanos> {
        self.with(key, |entry| entry.opened.nanos())
    }

    /// The owner of an entry that has not ended.
    pub(crate) fn get(&self, key: Key) -> Option<Rc<H>> {
        self.with(key, |entry| entry.owner.clone())
    }

    /// Whether any entry keeps the loop alive.
    #[inline]
    pub(crate) fn any_holding(&self) -> bool {
        self.holding.get() > 0
    }

    /// Whether entries keep the loop alive that do so by being polled alone, and no others.
    #[inline]
    pub(crate) fn only_polls_hold(&self) -> bool {
        self.by_polls.get() > 0 && self.by_polls.get() == self.holding.get()
    }

    /// How many entries keep the loop alive by being polled alone.
    pub(crate) fn by_polls(&self) -> usize {
        self.by_polls.get()
    }

    /// Whether an entry was asked and has not answered.
    #[inline]
    pub(crate) fn awaits_answers(&self) -> bool {
        self.asked.get() > 0
    }

    /// When entries were asked last: how many iterations had begun, and how long the loop had
    /// slept. `u64::MAX` iterations before the first time.
    pub(crate) fn asked_at(&self) -> (u64, Nanos) {
        self.asked_at.get()
    }

    /// They are asked now, after so many iterations and so much sleep.
    pub(crate) fn note_asking(&self, iterations: u64, idle: Nanos) {
        self.asked_at.set((iterations, idle));
    }

    /// Notes of all entries that hold the loop by being polled alone that they are asked. Their
    /// owners are for the caller to ask.
    pub(crate) fn ask(&self) -> Vec<Rc<H>> {
        let mut table = self.table.borrow_mut();
        let mut asked = Vec::new();
        for entry in table.entries.values_mut().filter(|entry| entry.holds_by_polls()) {
            self.count(entry, |entry| entry.flags.set(Flags::ASKED, true));
            asked.push(entry.owner.clone());
        }
        asked
    }

    /// The keys of the entries that were asked, have not answered and are not active besides: those
    /// that [`forget_unanswered`](Handles::forget_unanswered) makes inactive.
    pub(super) fn unanswered(&self) -> Vec<Key> {
        let table = self.table.borrow();
        let is_only_asked =
            |entry: &Entry<H>| entry.flags.has(Flags::ASKED) && !entry.flags.has(Flags::ACTIVE);
        let asked = table.entries.iter().filter(|(_, entry)| is_only_asked(entry));
        asked.map(|(key, _)| key).collect()
    }

    /// Nobody waits on the entries that were asked and have not answered.
    pub(crate) fn forget_unanswered(&self) {
        if self.awaits_answers() {
            let mut table = self.table.borrow_mut();
            for entry in table.entries.values_mut().filter(|entry| entry.flags.has(Flags::ASKED)) {
                self.count(entry, |entry| {
                    entry.flags.set(Flags::POLLED, false);
                    entry.flags.set(Flags::ASKED, false);
                });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().entries.is_empty()
    }

    /// Lists what is ready: `f` marks it, and calls nobody.
    #[inline]
    pub(crate) fn list_ready<R>(&self, f: impl FnOnce(&mut Table<H>) -> R) -> R {
        f(&mut self.table.borrow_mut())
    }

    /// Lists one handle, with what is seen of it.
    pub(crate) fn mark_ready(&self, key: Key, event: Event) {
        self.list_ready(|table| table.mark_ready(key, event));
    }

    /// How many handles are to be called.
    #[inline]
    pub(crate) fn ready_count(&self) -> usize {
        self.table.borrow().ready.len()
    }

    /// Takes the next handle to be called, with what was reported of it. `left` counts down the
    /// places of the list that belong to this poll phase.
    #[inline]
    pub(crate) fn next_ready(&self, left: &mut usize) -> Option<(Rc<H>, Event)> {
        let mut table = self.table.borrow_mut();
        while *left > 0 {
            *left -= 1;
            let key = table.ready.pop_front()?;
            // None for a handle that closed while it was listed.
            if let Some(entry) = table.entries.get(key) {
                entry.flags.set(Flags::LISTED, false);
                return Some((entry.owner.clone(), mem::take(&mut entry.event)));
            }
        }
        None
    }

    /// The key of the first entry for whose owner `f` holds, from the place of a key on and round.
    /// It may not use the table.
    pub(crate) fn find_from(&self, start: Key, f: impl Fn(&H) -> bool) -> Option<Key> {
        self.table.borrow().entries.find_from(start, |entry| f(&entry.owner))
    }

    /// Gives the memory of a burst back: if `now`, else of what was used much less since the last
    /// call.
    pub(crate) fn give_back(&self, now: bool) {
        let mut table = self.table.borrow_mut();
        table.entries.give_back(now);
        if now && memory::is_excess(table.ready.capacity(), table.ready.len()) {
            let kept = table.ready.len() * 2;
            table.ready.shrink_to(kept);
        }
    }

    /// The keys of all entries, what reports call them, and whether they are active, referenced and
    /// busy.
    pub(super) fn each(
        &self,
        mut f: impl FnMut(Key, &'static str, &'static Location<'static>, [bool; 3]),
    ) where
        H: Described,
    {
        for (key, entry) in self.table.borrow().entries.iter() {
            let [active, polled, referenced, busy] =
                [Flags::ACTIVE, Flags::POLLED, Flags::REFERENCED, Flags::BUSY]
                    .map(|flag| entry.flags.has(flag));
            let flags = [active || polled, referenced, busy];
            f(key, entry.owner.kind(), entry.owner.location(), flags);
        }
    }

    /// The owners of all entries.
    pub(crate) fn all(&self) -> Vec<Rc<H>> {
        self.table.borrow().entries.values().map(|entry| entry.owner.clone()).collect()
    }

    /// Takes all entries out. For teardown.
    pub(crate) fn take_all(&self) -> Vec<Rc<H>> {
        self.holding.set(0);
        self.by_polls.set(0);
        self.asked.set(0);
        let mut table = self.table.borrow_mut();
        table.ready.clear();
        table.entries.take_all().into_iter().map(|entry| entry.owner).collect()
    }
}

impl<H: Described + ?Sized> Handles<H> {
    /// Adds the entries that hold the loop to a report of what keeps it alive, at most so many.
    pub(crate) fn report(&self, alive: &mut Vec<Alive>, most: usize) {
        let table = self.table.borrow();
        let holding = table.entries.values().filter(|entry| entry.holds()).take(most);
        let owners = holding.map(|entry| &entry.owner);
        alive.extend(owners.map(|owner| Alive::new(owner.kind(), owner.location())));
    }

    /// Describes all entries.
    pub(crate) fn list(&self) -> Vec<HandleInfo> {
        let table = self.table.borrow();
        let info = |entry: &Entry<H>| HandleInfo {
            kind: entry.owner.kind(),
            location: entry.owner.location(),
            label: Label::of(entry.owner.location()),
            active: entry.flags.has(Flags::ACTIVE) || entry.flags.has(Flags::POLLED),
            has_ref: entry.flags.has(Flags::REFERENCED),
        };
        table.entries.values().map(info).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_kept_to_the_millisecond_for_as_long_as_a_clock_counts() {
        for time in [0, 1, 999_999, 1_000_000, 123_456_789_012, Nanos::MAX] {
            let kept = Moment::new(time).nanos();
            assert!(kept <= time && time - kept < Moment::UNIT, "{time} was kept as {kept}");
        }
    }
}
