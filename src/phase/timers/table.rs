//! The timers of a loop, as plain data: nothing here calls back.

use super::lists::{List, Lists};
use super::pages::{PAGE, Pages, Place};
use super::{NONE, Timer, nanos};
use crate::clock::Nanos;
use crate::handle::report::Alive;
use crate::queue::closure::Callable;
use crate::queue::memory::{self, Lately};

use std::marker::PhantomData;
use std::panic::Location;

/// What a timer is, and what it is doing. The order makes each question about it one comparison.
///
/// A timer stands in the list of its delay in the first three states, and in no list in the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Life {
    /// Waits for its only call. It is gone when that begins, so a refresh in the call does nothing.
    Timeout,
    /// An interval that waits for its next call; its callback is not running, unless that has
    /// refreshed it.
    Interval,
    /// Waits for a call, after which it can be armed again; its callback is not running, unless that
    /// has refreshed it.
    Rearmable,
    /// An interval whose callback is running: it goes back to its list after that, unless it is
    /// cleared.
    IntervalFiring,
    /// A rearmable timer that has fired, or whose callback is running. Only a refresh arms it again:
    /// it does not keep the loop alive.
    RearmableFired,
    /// The place is free: no `Timer` names it.
    Free,
}

impl Life {
    fn is_armed(self) -> bool {
        self <= Life::Rearmable
    }
}

/// One timer. Its place in the table goes to another timer only once it cannot fire any more.
struct Entry {
    /// Absent while it is being called, and in a free place.
    callback: Option<Callable<Timer>>,
    /// The line that armed it first.
    location: &'static Location<'static>,
    /// When it was armed: its delay counts from here.
    start: Nanos,
    /// In milliseconds. It names the list.
    delay: u64,
    /// The timer before it in its list, if it is armed and not the first.
    ///
    /// The first one does not know that it is the first, so a timer that is taken from the front, as
    /// each is that fires, touches no other timer.
    previous: u32,
    /// The timer behind it in its list, or the next free place.
    next: u32,
    /// Tells the timers apart that use one place after the other. No two of a table share one.
    generation: u32,
    life: Life,
    /// Whether it is to keep the loop alive while it is active.
    referenced: bool,
}

impl Place for Entry {
    const FREE: Entry = Entry {
        callback: None,
        location: Location::caller(),
        start: 0,
        delay: 0,
        previous: NONE,
        next: NONE,
        generation: 0,
        life: Life::Free,
        referenced: false,
    };

    fn is_free(&self) -> bool {
        self.life == Life::Free
    }
}

impl Entry {
    fn due_at(&self) -> Nanos {
        self.start.saturating_add(nanos(self.delay))
    }

    /// Whether it keeps the loop alive.
    fn holds(&self) -> bool {
        self.referenced && self.life <= Life::IntervalFiring
    }

    fn alive(&self) -> Alive {
        let interval = matches!(self.life, Life::Interval | Life::IntervalFiring);
        Alive { kind: if interval { "interval" } else { "timer" }, location: self.location }
    }
}

/// The timers, in places that are their names, and their lists.
pub(super) struct Table {
    /// A place for each timer, and free ones.
    places: Pages<Entry>,
    /// The first of the free places, which are chained, or `NONE`.
    free: u32,
    /// How many places are not free.
    used: usize,
    /// How many timers keep the loop alive.
    holding: usize,
    /// Which timers wait, and for when.
    lists: Lists,
    /// In a pass: the timer that fires next, chosen before the drain that comes first. It stands in
    /// its list, for the drain may clear it.
    chosen: Option<Timer>,
    /// The generation of the timer that is made next.
    next_generation: u32,
    /// How many timers were made since memory was last given back.
    lately: Lately,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            places: Pages::default(),
            free: NONE,
            used: 0,
            holding: 0,
            lists: Lists::default(),
            chosen: None,
            next_generation: 0,
            lately: Lately::default(),
        }
    }
}

/// A timer taken out of its list to be called.
pub(super) struct Due {
    pub(super) timer: Timer,
    pub(super) location: &'static Location<'static>,
    pub(super) callback: Callable<Timer>,
    /// What has become of the timer: free, or one of the two that have fired.
    pub(super) life: Life,
    /// The number that its list had in the heap.
    pub(super) sequence: u64,
}

impl Table {
    /// Whether there is no timer.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether a list waits for its expiry: one with timers, or an emptied one.
    #[inline]
    pub(super) fn any_waiting(&self) -> bool {
        self.lists.first().is_some()
    }

    /// Whether a timer keeps the loop alive.
    pub(super) fn any_holding(&self) -> bool {
        self.holding > 0
    }

    /// When the next list expires.
    #[inline]
    pub(super) fn next_expiry(&self) -> Option<Nanos> {
        self.lists.first().map(|item| item.expiry)
    }

    /// A table that goes on with this one's generations, so that no timer of it is taken for one of
    /// this.
    pub(super) fn successor(&self) -> Table {
        Table { next_generation: self.next_generation, ..Table::default() }
    }

    /// The callbacks of all timers, in the order of their places.
    pub(super) fn into_callbacks(self) -> impl Iterator<Item = Callable<Timer>> {
        self.places.into_places().filter_map(|entry| entry.callback)
    }

    /// The timers that hold the loop, for a report.
    pub(super) fn holding(&self) -> impl Iterator<Item = Alive> {
        self.places.iter().filter(|entry| entry.holds()).map(Entry::alive)
    }

    /// Adds a timer and arms it. `life` is one of the three that wait.
    ///
    /// What it calls is made by `callback`, here and at its place.
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        loop_id: u32,
        life: Life,
        callback: impl FnOnce() -> Callable<Timer>,
        delay: u64,
        start: Nanos,
        location: &'static Location<'static>,
    ) -> Timer {
        if self.free == NONE {
            self.add_places();
        }
        let index = self.free;
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        self.used += 1;
        self.holding += 1;
        let entry = entry(&mut self.places, index);
        self.free = entry.next;
        // The place is free: nothing is dropped.
        std::mem::forget(entry.callback.replace(callback()));
        entry.location = location;
        entry.delay = delay;
        entry.generation = generation;
        entry.life = life;
        entry.referenced = true;
        let list = self.lists.of(delay);
        if let Some((delay, expiry)) = append(&mut self.places, list, index, start) {
            self.lists.begin(delay, expiry);
        }
        Timer { loop_id, index, generation, _not_send: PhantomData }
    }

    /// Makes more free places.
    #[cold]
    #[inline(never)]
    fn add_places(&mut self) {
        let (first, page) = self.places.add_page();
        let end = u32::try_from(first + PAGE).expect("a loop has fewer than 2^32 timers");
        for (index, entry) in (end - PAGE as u32..end).zip(page).rev() {
            entry.next = std::mem::replace(&mut self.free, index);
        }
    }

    /// Takes the next timer that is due at `now` out of its list: the chosen one if there is one,
    /// else the first one of the first list.
    #[inline(always)]
    pub(super) fn take_due(&mut self, loop_id: u32, now: Nanos) -> Option<Due> {
        loop {
            if let Some(timer) = self.chosen.take()
                && get(&mut self.places, timer).is_some_and(|entry| entry.life.is_armed())
            {
                return Some(self.take(timer));
            }
            let sequence = self.lists.first()?.sequence;
            if !self.choose(loop_id, sequence, now) {
                return None;
            }
        }
    }

    /// Looks at the list with this number, if it is still the first one and has expired. Else it
    /// returns false.
    ///
    /// The list's first timer is chosen if it is due at `now`. Else the list was up for a timer that
    /// is gone, or all its due timers have run: it is put back as though it had been made now, and
    /// given up when it is empty.
    #[inline(always)]
    pub(super) fn choose(&mut self, loop_id: u32, sequence: u64, now: Nanos) -> bool {
        debug_assert!(now < Nanos::MAX, "what is due at the last moment there is never is");
        let first = self.lists.first();
        let Some(item) = first.filter(|item| item.sequence == sequence && item.expiry <= now)
        else {
            return false;
        };
        let delay = item.delay;
        let index = self.lists.of(delay).first;
        if index == NONE {
            self.lists.give_up(delay);
            return true;
        }
        let entry = entry(&mut self.places, index);
        let due_at = entry.due_at();
        if due_at > now {
            self.lists.put_back_first(due_at);
        } else {
            let generation = entry.generation;
            self.chosen = Some(Timer { loop_id, index, generation, _not_send: PhantomData });
        }
        true
    }

    /// Forgets that a timer was chosen.
    pub(super) fn forget_chosen(&mut self, timer: Option<Timer>) {
        if timer.is_none() || self.chosen == timer {
            self.chosen = None;
        }
    }

    /// Takes an armed timer out of its list, and out of the table when this was its only call.
    #[inline(always)]
    fn take(&mut self, timer: Timer) -> Due {
        let entry = entry(&mut self.places, timer.index);
        let list = self.lists.of(entry.delay);
        let sequence = list.sequence;
        let held = usize::from(entry.holds());
        let life = match entry.life {
            Life::Interval => Life::IntervalFiring,
            Life::Rearmable => Life::RearmableFired,
            _ => Life::Free,
        };
        entry.life = life;
        self.holding -= held - usize::from(entry.holds());
        let callback = entry.callback.take().expect("a timer in a list has its callback");
        let location = entry.location;
        unlink(&mut self.places, list, timer.index);
        if life == Life::Free {
            self.free_place(timer.index);
        }
        Due { timer, location, callback, life, sequence }
    }

    /// Puts the callback of a timer that can be called again back, and arms an interval, whose
    /// period counts from `start`. Returns the callback if the timer was cleared.
    pub(super) fn put_back(
        &mut self,
        timer: Timer,
        callback: Callable<Timer>,
        start: Option<Nanos>,
    ) -> Option<Callable<Timer>> {
        let Some(entry) = get(&mut self.places, timer) else { return Some(callback) };
        entry.callback = Some(callback);
        if let Some(start) = start {
            self.arm(timer.index, start);
        }
        None
    }

    /// Arms a timer of the table anew, whether it waits in a list or not.
    #[inline(always)]
    fn arm(&mut self, index: u32, start: Nanos) {
        let entry = entry(&mut self.places, index);
        let list = self.lists.of(entry.delay);
        match entry.life {
            Life::IntervalFiring => entry.life = Life::Interval,
            Life::RearmableFired => entry.life = Life::Rearmable,
            _ => _ = unlink(&mut self.places, list, index),
        }
        if let Some((delay, expiry)) = append(&mut self.places, list, index, start) {
            self.lists.begin(delay, expiry);
        }
    }

    /// Takes a timer out of the table. Returns its callback for the caller to drop.
    #[inline(always)]
    pub(super) fn clear(&mut self, timer: Timer) -> Option<Callable<Timer>> {
        let entry = get(&mut self.places, timer)?;
        self.holding -= usize::from(entry.holds());
        let is_armed = entry.life.is_armed();
        entry.life = Life::Free;
        let callback = entry.callback.take();
        if is_armed {
            let (delay, referenced) = (entry.delay, entry.referenced);
            let emptied = unlink(&mut self.places, self.lists.of(delay), timer.index);
            // Node keeps an emptied list whose last timer was unreferenced until it expires.
            if emptied && referenced {
                self.lists.give_up(delay);
            } else if emptied {
                self.lists.note_idle();
            }
        }
        self.free_place(timer.index);
        callback
    }

    /// Chains the place of a timer that is gone to the free ones.
    #[inline(always)]
    fn free_place(&mut self, index: u32) {
        self.used -= 1;
        entry(&mut self.places, index).next = std::mem::replace(&mut self.free, index);
    }

    #[inline]
    pub(super) fn refresh(&mut self, timer: Timer, now: Nanos) {
        let Some(entry) = get(&mut self.places, timer) else { return };
        // Only what has fired did not hold the loop, and now does.
        let fired = entry.referenced && entry.life == Life::RearmableFired;
        self.holding += usize::from(fired);
        self.arm(timer.index, now);
    }

    pub(super) fn set_ref(&mut self, timer: Timer, on: bool) {
        let Some(entry) = get(&mut self.places, timer) else { return };
        let held = usize::from(entry.holds());
        entry.referenced = on;
        let holds = usize::from(entry.holds());
        self.holding = self.holding + holds - held;
    }

    /// Whether a timer exists and is referenced.
    pub(super) fn has_ref(&mut self, timer: Timer) -> bool {
        get(&mut self.places, timer).is_some_and(|entry| entry.referenced)
    }

    /// When a timer is due, and its delay in nanoseconds. None if it will not fire.
    pub(super) fn due_at(&mut self, timer: Timer) -> Option<(Nanos, Nanos)> {
        let entry =
            get(&mut self.places, timer).filter(|entry| entry.life != Life::RearmableFired)?;
        Some((entry.due_at(), nanos(entry.delay)))
    }

    /// Gives the memory of a burst back: if `now`, else when much less of it was used since the last
    /// call. Pages go of which every timer is gone.
    pub(super) fn give_back(&mut self, now: bool) {
        let lately = self.lately.needed(u64::from(self.next_generation), now);
        self.lists.give_back(lately);
        if !memory::is_excess(self.places.capacity(), self.used + lately) {
            return;
        }
        self.places.give_back();
        // The lowest places are used first: so the others become free.
        self.free = NONE;
        for (index, entry) in self.places.backwards().filter(|(_, entry)| entry.is_free()) {
            entry.next = std::mem::replace(&mut self.free, index as u32);
        }
    }
}

/// The entry of a timer that is still there.
#[inline(always)]
fn get(places: &mut Pages<Entry>, timer: Timer) -> Option<&mut Entry> {
    let entry = places.get_mut(timer.index as usize)?;
    (entry.generation == timer.generation && entry.life != Life::Free).then_some(entry)
}

/// An entry that is known to be there.
#[inline(always)]
fn entry(places: &mut Pages<Entry>, index: u32) -> &mut Entry {
    places.get_mut(index as usize).expect("the page of a timer is there")
}

/// Puts a timer that is in no list at the end of the list of its delay, which counts from `start`.
/// If it is the first one there, returns its delay and when it is due.
#[inline(always)]
fn append(
    places: &mut Pages<Entry>,
    list: &mut List,
    index: u32,
    start: Nanos,
) -> Option<(u64, Nanos)> {
    let entry = entry(places, index);
    let last = std::mem::replace(&mut list.last, index);
    entry.start = start;
    entry.previous = last;
    entry.next = NONE;
    if last == NONE {
        list.first = index;
        return Some((entry.delay, entry.due_at()));
    }
    self::entry(places, last).next = index;
    None
}

/// Takes an armed timer out of its list. True if that leaves the list empty.
#[inline(always)]
fn unlink(places: &mut Pages<Entry>, list: &mut List, index: u32) -> bool {
    let Entry { previous, next, .. } = *entry(places, index);
    let is_first = list.first == index;
    if is_first {
        list.first = next;
    } else {
        entry(places, previous).next = next;
    }
    if next == NONE {
        list.last = if is_first { NONE } else { previous };
    } else if !is_first {
        entry(places, next).previous = previous;
    }
    is_first && next == NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_takes_72_bytes() {
        assert_eq!(size_of::<Entry>(), 72);
    }
}
