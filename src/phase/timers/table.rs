//! The timers of a loop, as plain data: nothing here calls back.
//!
//! A timer takes 72 bytes in two arrays: 64 bytes that are touched once when it is armed and once
//! when it ends, and the links to its neighbours, which arming, clearing and refreshing the
//! neighbours also touch. With the links among the rest a refresh took three times as long, and a
//! call a third longer. See the guide, Why it is fast.

use super::heap::{Heap, Item};
use super::lists::{Ends, KEPT, Lists, NONE};
use super::timer::{Timer, nanos};
use crate::clock::Nanos;
use crate::queue::closure::Callable;
use crate::queue::memory::{self, Lately};
use crate::report::Alive;

use std::collections::HashMap;
use std::panic::Location;

/// The kind of a timer, and what it is doing. The order makes each question about it one
/// comparison.
///
/// A timer stands in the list of its delay in the first three states, and in no list in the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Life {
    /// Waits for its only call. Its place is free when that begins: a refresh in it does nothing.
    Timeout,
    /// An interval that waits for its next call. Its callback is not running, unless that has
    /// refreshed it.
    Interval,
    /// Waits for a call, after which it can be armed again. Its callback is not running, unless
    /// that has refreshed it.
    Rearmable,
    /// An interval whose callback is running. It goes back to its list after that, unless it is
    /// cleared.
    IntervalFiring,
    /// A rearmable timer that has fired, or whose callback is running. Only a refresh arms it
    /// again: it does not keep the loop alive.
    RearmableFired,
    /// The place is free: no `Timer` names it.
    Free,
}

impl Life {
    pub(super) fn is_armed(self) -> bool {
        self <= Life::Rearmable
    }
}

/// One timer. Its place in the table goes to another timer only once it cannot fire any more.
pub(super) struct Entry {
    /// Absent while it is being called, and in a free place.
    callback: Option<Callable<Timer>>,
    /// The line that made it.
    pub(super) location: &'static Location<'static>,
    /// When it was armed: its delay counts from here.
    start: Nanos,
    /// The list it waits in, if it does.
    list: u32,
    /// Tells the timers apart that use one place after the other.
    pub(super) generation: u32,
    /// The low 32 bits of the delay in milliseconds.
    delay_low: u32,
    /// The high 16 bits of it: 48 bits are 8,900 years, and fill 64 bytes.
    delay_high: u16,
    /// Its kind, and what it is doing.
    pub(super) life: Life,
    /// Whether it is to keep the loop alive while it is active.
    pub(super) referenced: bool,
}

impl Entry {
    /// The contents of a new place before its timer is written.
    const FREE: Entry = Entry {
        callback: None,
        location: Location::caller(),
        start: 0,
        list: NONE,
        generation: 0,
        delay_low: 0,
        delay_high: 0,
        life: Life::Free,
        referenced: false,
    };

    pub(super) fn delay(&self) -> u64 {
        u64::from(self.delay_high) << 32 | u64::from(self.delay_low)
    }

    pub(super) fn due_at(&self) -> Nanos {
        self.start.saturating_add(nanos(self.delay()))
    }

    /// Whether it keeps the loop alive.
    fn holds(&self) -> bool {
        self.referenced && self.life <= Life::IntervalFiring
    }

    pub(super) fn kind(&self) -> &'static str {
        let interval = matches!(self.life, Life::Interval | Life::IntervalFiring);
        if interval { "interval" } else { "timer" }
    }

    fn alive(&self) -> Alive {
        Alive::new(self.kind(), self.location)
    }
}

/// The neighbours of a timer in its list.
#[derive(Clone, Copy)]
struct Links {
    /// The timer before it, if it is armed and not the first.
    ///
    /// The first one does not know that it is the first, so a timer that is taken from the front,
    /// as each is that fires, touches no other timer.
    previous: u32,
    /// The timer behind it, or `NONE`. Of a free place: the next free one.
    next: u32,
}

/// This number of emptied lists may wait for their expiry in any case.
const EMPTIED_MIN: usize = 1024;

/// The longest delay that an entry has room for.
const DELAY_MAX: u64 = (1 << 48) - 1;

/// Where a timer is that was moved.
struct Moved {
    /// The place where it first was: its name.
    name: u32,
    /// The place where it is.
    place: u32,
}

/// The timers of a loop, and their lists.
pub(super) struct Table {
    /// A place for each timer, and free ones.
    pub(super) entries: Vec<Entry>,
    /// The links of each entry, at the same index.
    links: Vec<Links>,
    /// The first of the free places, which are chained, or `NONE`.
    free: u32,
    /// How many places are not free.
    used: usize,
    /// The timers that do not stand in the place that is their name, by generation. Empty unless a
    /// burst has come and gone.
    moved: HashMap<u32, Moved>,
    /// How many timers were made since memory was last given back.
    lately: Lately,
    /// How many places were not free then.
    used_then: usize,
    /// How many lists were emptied and left to wait for their expiry since the last clean-up.
    emptied: usize,
    /// The lists by their delays.
    lists: Lists,
    /// The lists that are in use, by when they expire.
    heap: Heap,
    /// In a pass: the timer that fires next, chosen before the drain that comes first. It stands in
    /// its list, for the drain may clear it.
    chosen: Option<Timer>,
    /// The number that the last item of the heap got.
    last_sequence: u64,
    /// The generation of the timer that is made next.
    next_generation: u32,
    /// How many timers keep the loop alive.
    holding: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            entries: Vec::new(),
            links: Vec::new(),
            free: NONE,
            used: 0,
            moved: HashMap::new(),
            lately: Lately::default(),
            used_then: 0,
            emptied: 0,
            lists: Lists::default(),
            heap: Heap::default(),
            chosen: None,
            last_sequence: 0,
            next_generation: 0,
            holding: 0,
        }
    }
}

/// A timer taken out of its list to be called.
pub(super) struct Due {
    /// Its name.
    pub(super) timer: Timer,
    /// The line that made it.
    pub(super) location: &'static Location<'static>,
    /// The user's callback. It goes back by `put_back`, unless the timer is gone.
    pub(super) callback: Callable<Timer>,
    /// The state of the timer now: free, or one of the two that have fired.
    pub(super) life: Life,
    /// The list that it was in.
    pub(super) list: u32,
}

impl Table {
    /// Whether no timer is left.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn any_holding(&self) -> bool {
        self.holding > 0
    }

    /// When the next list expires.
    #[inline]
    pub(super) fn next_expiry(&self) -> Option<Nanos> {
        self.heap.first().map(|item| item.expiry)
    }

    /// A table that goes on with this one's generations, so that no timer of it is taken for one of
    /// this.
    pub(super) fn successor(&self) -> Table {
        Table { next_generation: self.next_generation, ..Table::default() }
    }

    /// The callbacks of all timers, in the order of their places.
    pub(super) fn into_callbacks(self) -> impl Iterator<Item = Callable<Timer>> {
        self.entries.into_iter().filter_map(|entry| entry.callback)
    }

    /// The timers that hold the loop, for a report.
    pub(super) fn holding(&self) -> impl Iterator<Item = Alive> {
        self.entries.iter().filter(|entry| entry.holds()).map(Entry::alive)
    }

    /// Adds a timer and arms it. `life` is one of the three that wait.
    ///
    /// The function `callback` makes its callback at its place: see the guide, Why it is fast.
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
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let delay = delay.min(DELAY_MAX);
        let list = self.lists.of(delay);
        let (index, entry) = self.place();
        // The place is free: nothing is dropped.
        std::mem::forget(entry.callback.replace(callback()));
        entry.location = location;
        entry.start = start;
        entry.list = list;
        entry.generation = generation;
        entry.delay_low = delay as u32;
        entry.delay_high = (delay >> 32) as u16;
        entry.life = life;
        entry.referenced = true;
        self.holding += 1;
        self.used += 1;
        self.append(index, list);
        Timer { loop_id, index, generation }
    }

    /// Takes a free place, which the caller fills field by field, so that nothing is moved.
    #[inline(always)]
    fn place(&mut self) -> (u32, &mut Entry) {
        let index = self.free;
        if index != NONE {
            self.free = self.links[index as usize].next;
            return (index, &mut self.entries[index as usize]);
        }
        let index = self.links.len();
        self.links.push(Links { previous: NONE, next: NONE });
        self.entries.push(Entry::FREE);
        let number = u32::try_from(index).ok().filter(|number| *number < KEPT);
        (number.expect("a loop has fewer than 2^32 timers"), &mut self.entries[index])
    }

    /// Puts a timer at the end of a list.
    #[inline(always)]
    fn append(&mut self, index: u32, list: u32) {
        let ends = self.lists.ends(list);
        let last = std::mem::replace(&mut ends.last, index);
        self.links[index as usize] = Links { previous: last, next: NONE };
        if last < KEPT {
            self.links[last as usize].next = index;
            return;
        }
        ends.first = index;
        if last == NONE {
            self.use_list(list, index);
        }
    }

    #[inline(never)]
    fn use_list(&mut self, list: u32, index: u32) {
        let expiry = self.entries[index as usize].due_at();
        let sequence = self.take_sequence();
        self.lists.set_sequence(list, sequence);
        self.heap.push(Item { expiry, sequence, list });
    }

    fn take_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    /// Takes the next timer that is due at `now` out of its list: the chosen one, unless it was
    /// cleared, else the first one of the first list.
    #[inline(always)]
    pub(super) fn take_due(&mut self, loop_id: u32, now: Nanos) -> Option<Due> {
        loop {
            if let Some(timer) = self.chosen.take()
                && let Some((index, entry)) = self.find(timer)
                && entry.life.is_armed()
            {
                let list = entry.list;
                unlink(&mut self.links, self.lists.ends(list), index);
                self.fetch(list);
                return Some(self.take_callback(timer, index));
            }
            let list = self.heap.first()?.list;
            if !self.choose(loop_id, list, now) {
                return None;
            }
        }
    }

    /// Looks at a list, if it is the first one and has expired. Else returns false.
    ///
    /// Its first timer is chosen if it is due at `now`. Else the list was up for a timer that is
    /// gone, or all its due timers have run: it is put back as though it had been made now, and
    /// given up when it is empty.
    #[inline(always)]
    pub(super) fn choose(&mut self, loop_id: u32, list: u32, now: Nanos) -> bool {
        debug_assert!(now < Nanos::MAX, "what is due at the last moment there is never is");
        if !self.heap.first().is_some_and(|item| item.list == list && item.expiry <= now) {
            return false;
        }
        let index = self.lists.ends(list).first;
        if index == NONE {
            give_up(&mut self.lists, &mut self.heap, list);
            return true;
        }
        let Entry { generation, .. } = self.entries[index as usize];
        let due_at = self.entries[index as usize].due_at();
        if due_at <= now {
            let index = self.name_of(index, generation);
            self.chosen = Some(Timer { loop_id, index, generation });
        } else {
            let sequence = self.take_sequence();
            self.lists.set_sequence(list, sequence);
            let item = Item { expiry: due_at, sequence, list };
            self.heap.replace_first(item, |item| is_live(&self.lists, item));
        }
        true
    }

    /// Forgets that this timer was chosen, or any if there is none.
    pub(super) fn forget_chosen(&mut self, timer: Option<Timer>) {
        if timer.is_none() || self.chosen == timer {
            self.chosen = None;
        }
    }

    /// Begins to bring the first timer of a list, which is about to fire, into the cache, by
    /// writing what stands there, or what nobody reads: see the guide, Why it is fast.
    #[inline]
    fn fetch(&mut self, list: u32) {
        let first = self.lists.ends(list).first;
        if first != NONE {
            self.links[first as usize].previous = NONE;
            self.entries[first as usize].list = list;
        }
    }

    /// Takes the callback of a timer that fires, and the timer itself out of the table when that
    /// was its only call.
    #[inline(always)]
    fn take_callback(&mut self, timer: Timer, index: u32) -> Due {
        let entry = &mut self.entries[index as usize];
        let held = usize::from(entry.holds());
        let life = match entry.life {
            Life::Interval => Life::IntervalFiring,
            Life::Rearmable => Life::RearmableFired,
            _ => Life::Free,
        };
        entry.life = life;
        self.holding -= held - usize::from(entry.holds());
        let callback = entry.callback.take().expect("a timer in a list has its callback");
        let (location, list) = (entry.location, entry.list);
        if life == Life::Free {
            self.free_place(timer, index);
        }
        Due { timer, location, callback, life, list }
    }

    /// Puts the callback of a timer that can be called again back, and arms an interval, whose
    /// period counts from `start`. Returns the callback if the timer was cleared.
    pub(super) fn put_back(
        &mut self,
        timer: Timer,
        callback: Callable<Timer>,
        start: Option<Nanos>,
    ) -> Option<Callable<Timer>> {
        let Some((index, entry)) = self.find(timer) else { return Some(callback) };
        entry.callback = Some(callback);
        if let Some(start) = start {
            self.arm(index, start);
        }
        None
    }

    /// Arms a timer of the table anew, whether it waits in a list or not.
    #[inline(always)]
    fn arm(&mut self, index: u32, start: Nanos) {
        let entry = &mut self.entries[index as usize];
        entry.start = start;
        let (mut list, before) = (entry.list, entry.life);
        if before.is_armed() {
            unlink(&mut self.links, self.lists.ends(list), index);
        } else {
            // Its list may have been given up meanwhile.
            list = self.lists.of(entry.delay());
            entry.list = list;
            let held = usize::from(entry.holds());
            entry.life = match before {
                Life::IntervalFiring => Life::Interval,
                _ => Life::Rearmable,
            };
            self.holding += usize::from(entry.holds()) - held;
        }
        self.append(index, list);
    }

    /// Takes a timer out of the table. Returns its callback for the caller to drop.
    #[inline(always)]
    pub(super) fn clear(&mut self, timer: Timer) -> Option<Callable<Timer>> {
        let index = self.find(timer)?.0;
        let entry = &mut self.entries[index as usize];
        self.holding -= usize::from(entry.holds());
        // One that its own callback clears has left its list. What that arms then is in a new one.
        let emptied = entry.life.is_armed()
            && unlink(&mut self.links, self.lists.ends(entry.list), index)
            || entry.callback.is_none() && self.lists.ends(entry.list).last == KEPT;
        // Node keeps an emptied list whose last timer was unreferenced until it expires.
        if emptied && entry.referenced {
            give_up(&mut self.lists, &mut self.heap, entry.list);
        } else if emptied {
            keep_emptied(&mut self.lists, &mut self.heap, &mut self.emptied);
        }
        entry.life = Life::Free;
        let callback = entry.callback.take();
        self.free_place(timer, index);
        callback
    }

    /// Chains the place of a timer that is gone to the free ones.
    #[inline(always)]
    fn free_place(&mut self, timer: Timer, index: u32) {
        self.used -= 1;
        self.links[index as usize].next = std::mem::replace(&mut self.free, index);
        if timer.index != index {
            self.moved.remove(&timer.generation);
        }
    }

    /// A timer that is still there, and where it stands: in the place that is its name, unless it
    /// was moved.
    #[inline(always)]
    pub(super) fn find(&mut self, timer: Timer) -> Option<(u32, &mut Entry)> {
        let index = timer.index as usize;
        if index < self.entries.len()
            && self.entries[index].generation == timer.generation
            && self.entries[index].life != Life::Free
        {
            return Some((timer.index, &mut self.entries[index]));
        }
        let place = self.place_of_moved(timer)?;
        Some((place, &mut self.entries[place as usize]))
    }

    #[cold]
    #[inline(never)]
    fn place_of_moved(&self, timer: Timer) -> Option<u32> {
        let moved = self.moved.get(&timer.generation)?;
        (moved.name == timer.index).then_some(moved.place)
    }

    /// The place that is the name of the timer that stands here.
    #[inline(always)]
    fn name_of(&self, index: u32, generation: u32) -> u32 {
        if self.moved.is_empty() {
            return index;
        }
        self.moved.get(&generation).map_or(index, |moved| moved.name)
    }

    /// Gives the memory of a burst back: if `now`, else when much less of it was used since the
    /// last call, and the burst is over.
    ///
    /// The timers that are left move to the beginning of the table. A timer's first place stays its
    /// name, so those that have moved are noted. That costs each of them as much as two calls, so
    /// it waits while they get fewer by themselves.
    pub(super) fn give_back(&mut self, now: bool) {
        let lately = self.lately.needed(u64::from(self.next_generation), now);
        let goes_on = std::mem::replace(&mut self.used_then, self.used) > self.used && !now;
        if !goes_on && memory::is_excess(self.entries.len(), self.used + lately) {
            self.shorten();
        }
        self.moved.shrink_to(memory::KEPT.max(self.moved.len() * 2));
        let lists = self.heap.len() + lately;
        if memory::is_excess(self.lists.long(), lists) {
            self.make_lists_anew();
        }
        if memory::is_excess(self.heap.capacity(), lists) {
            self.heap.shrink();
        }
    }

    fn shorten(&mut self) {
        let length = (self.used * 2).max(memory::KEPT / 2);
        self.chain_free(length);
        for index in length..self.entries.len() {
            if self.entries[index].life != Life::Free {
                self.move_to_free_place(index as u32);
            }
        }
        self.entries.truncate(length);
        self.entries.shrink_to_fit();
        self.links.truncate(length);
        self.links.shrink_to_fit();
    }

    /// Moves a timer, and tells its neighbours.
    fn move_to_free_place(&mut self, from: u32) {
        let to = self.free;
        self.free = self.links[to as usize].next;
        self.entries.swap(from as usize, to as usize);
        let generation = self.entries[to as usize].generation;
        let name = self.name_of(from, generation);
        self.moved.insert(generation, Moved { name, place: to });
        let entry = &self.entries[to as usize];
        if !entry.life.is_armed() {
            return;
        }
        let Links { previous, next } = self.links[from as usize];
        self.links[to as usize] = Links { previous, next };
        let ends = self.lists.ends(entry.list);
        if ends.first == from {
            ends.first = to;
        } else {
            self.links[previous as usize].next = to;
        }
        if next == NONE {
            ends.last = to;
        } else {
            self.links[next as usize].previous = to;
        }
    }

    /// Chains the free ones of the first `length` places, the lowest first.
    fn chain_free(&mut self, length: usize) {
        self.free = NONE;
        for index in (0..length).rev() {
            if self.entries[index].life == Life::Free {
                self.links[index].next = std::mem::replace(&mut self.free, index as u32);
            }
        }
    }

    /// Gives the lists that are in use new numbers, from the lowest up.
    fn make_lists_anew(&mut self) {
        let mut before = std::mem::take(&mut self.lists);
        self.heap.clean(|item| is_live(&before, item));
        let Table { lists, heap, entries, links, .. } = self;
        heap.renumber(|item| {
            let list = lists.of(before.delay(item.list));
            let ends = *before.ends(item.list);
            *lists.ends(list) = ends;
            lists.set_sequence(list, item.sequence);
            let mut index = ends.first;
            while index != NONE {
                entries[index as usize].list = list;
                index = links[index as usize].next;
            }
            list
        });
    }

    #[inline]
    pub(super) fn refresh(&mut self, timer: Timer, now: Nanos) {
        if let Some((index, _)) = self.find(timer) {
            self.arm(index, now);
        }
    }

    pub(super) fn set_ref(&mut self, timer: Timer, on: bool) {
        let Some((_, entry)) = self.find(timer) else { return };
        let held = usize::from(entry.holds());
        entry.referenced = on;
        let holds = usize::from(entry.holds());
        self.holding = self.holding + holds - held;
    }

    /// Whether a timer exists and is referenced.
    pub(super) fn has_ref(&mut self, timer: Timer) -> bool {
        self.find(timer).is_some_and(|(_, entry)| entry.referenced)
    }

    /// When a timer is due, and its delay in nanoseconds. None if it will not fire.
    pub(super) fn due_at(&mut self, timer: Timer) -> Option<(Nanos, Nanos)> {
        let (_, entry) = self.find(timer)?;
        (entry.life != Life::RearmableFired).then(|| (entry.due_at(), nanos(entry.delay())))
    }
}

/// Takes an armed timer out of its list; true if that leaves it empty.
#[inline(always)]
fn unlink(links: &mut [Links], ends: &mut Ends, index: u32) -> bool {
    let Links { previous, next } = links[index as usize];
    let is_first = ends.first == index;
    if is_first {
        ends.first = next;
    } else {
        links[previous as usize].next = next;
    }
    if next != NONE {
        if !is_first {
            links[next as usize].previous = previous;
        }
        return false;
    }
    ends.last = if is_first { KEPT } else { previous };
    is_first
}

/// Gives up an empty list. Not inlined: it is seldom done, and makes its callers save registers.
#[inline(never)]
fn give_up(lists: &mut Lists, heap: &mut Heap, list: u32) {
    lists.give_up(list);
    heap.give_up(|item| is_live(lists, item));
}

/// A list was emptied and stays until its expiry, because a new timer of its delay gets its place
/// in the order, as in Node. When such lists are many, and more than half of those in use, all of
/// them are given up.
#[inline(never)]
fn keep_emptied(lists: &mut Lists, heap: &mut Heap, emptied: &mut usize) {
    *emptied += 1;
    if *emptied <= EMPTIED_MIN.max(heap.len() / 2) {
        return;
    }
    *emptied = 0;
    for item in heap.items() {
        if is_live(lists, item) && lists.ends(item.list).last == KEPT {
            lists.give_up(item.list);
        }
    }
    heap.clean(|item| is_live(lists, item));
}

/// Whether an item of the heap stands for its list as it is now.
#[inline]
fn is_live(lists: &Lists, item: &Item) -> bool {
    lists.sequence(item.list) == item.sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_takes_72_bytes() {
        assert_eq!(size_of::<Entry>() + size_of::<Links>(), 72);
    }

    #[test]
    fn timers_stay_where_they_are_while_they_get_fewer_and_are_moved_when_that_is_over() {
        const BURST: usize = 8 * memory::KEPT;
        let mut table = Table::default();
        let (callback, here) = (|| Callable::once(|| ()), Location::caller());
        let timers: Vec<Timer> =
            (0..BURST).map(|_| table.insert(1, Life::Timeout, callback, 1, 0, here)).collect();
        table.give_back(false);
        for some in timers[..BURST - 100].chunks(1000) {
            some.iter().for_each(|timer| drop(table.clear(*timer)));
            table.give_back(false);
            assert_eq!((table.entries.len(), table.moved.len()), (BURST, 0));
        }
        table.give_back(false);
        assert_eq!((table.entries.len(), table.moved.len()), (memory::KEPT / 2, 100));
        timers.iter().for_each(|timer| drop(table.clear(*timer)));
        table.moved.reserve(BURST);
        table.give_back(false);
        assert!(table.moved.capacity() < BURST, "room for names that are gone");
        drop(table.into_callbacks());
    }
}
