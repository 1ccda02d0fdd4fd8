//! The timers of a loop, as plain data: nothing here calls back.
//!
//! A timer takes 72 bytes in two arrays. What it calls and when, 64 bytes, is touched once when it is armed and
//! once when it ends. The links to its neighbours, 8 bytes, stand apart: arming, clearing and refreshing also
//! change those of its neighbours, which can be anywhere, and eight of them share a cache line.
//!
//! A million timers fit no cache, so what counts is not to wait. Loads that do not depend on each other are
//! waited for together, but only those that the processor sees at once, a few hundred instructions. Writes are
//! done in order and queue up behind one that has missed the cache, about a hundred of them. So the paths are
//! short, write little, and none but that of a timer from the middle of its list writes to another timer.

use super::heap::{Heap, Item};
use super::lists::{Ends, KEPT, Lists};
use super::{NONE, Timer, nanos};
use crate::clock::Nanos;
use crate::handle::report::Alive;
use crate::queue::closure::Callable;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::Location;

/// What a timer is, and what it is doing. The order makes each question about it one comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Life {
    /// Waits in its list. Gone when it fires.
    Timeout,
    /// Waits in its list.
    Interval,
    /// Waits in its list.
    Rearmable,
    /// Its callback is running: it goes back to its list after that.
    IntervalFiring,
    /// Has fired: a refresh arms it again.
    RearmableFired,
    /// None: the place is free.
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
    location: &'static Location<'static>,
    /// When it was armed: its delay counts from here.
    start: Nanos,
    /// The list it waits in, if it does.
    list: u32,
    /// Tells the timers apart that use one place after the other.
    generation: u32,
    /// The delay in milliseconds, of which 48 bits, 8,900 years, fill the cache line.
    delay_low: u32,
    delay_high: u16,
    life: Life,
    referenced: bool,
}

impl Entry {
    /// What a new place holds before its timer is written.
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

    fn delay(&self) -> u64 {
        u64::from(self.delay_high) << 32 | u64::from(self.delay_low)
    }

    fn due_at(&self) -> Nanos {
        self.start.saturating_add(nanos(self.delay()))
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

/// Neighbours in a list, while a timer is armed; of the first timer only `next` is right. `next` also chains
/// the free places.
#[derive(Clone, Copy)]
struct Links {
    previous: u32,
    next: u32,
}

/// Places that are kept when memory is given back.
const KEPT_PLACES: usize = 1024;

/// Lists of long delays, and places of the heap, that are kept when memory is given back. Those of common delays
/// stay: they are 3 MB at most.
const KEPT_LISTS: usize = 4096;

/// As many emptied lists may wait for their expiry, whatever else there is.
const EMPTIED_MIN: usize = 1024;

/// The longest delay that an entry has room for.
const DELAY_MAX: u64 = (1 << 48) - 1;

/// Where a timer is that was moved.
#[derive(Clone, Copy)]
struct Moved {
    /// The place by which it is known.
    from: u32,
    to: u32,
}

pub(super) struct Table {
    entries: Vec<Entry>,
    /// The links of each entry, at the same index.
    links: Vec<Links>,
    /// The first of the free places.
    free: u32,
    /// Places that are not free.
    used: usize,
    /// Timers that stand in another place than the one by which they are known, by their generation.
    moved: HashMap<u32, Moved>,
    /// What `next_generation` was when memory was last given back.
    generation_then: u32,
    /// Lists that were emptied since the last clean-up and left to wait for their expiry.
    emptied: usize,
    lists: Lists,
    /// The lists that are in use.
    heap: Heap,
    next_sequence: u64,
    next_generation: u32,
    /// Timers that keep the loop alive.
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
            generation_then: 0,
            emptied: 0,
            lists: Lists::default(),
            heap: Heap::default(),
            next_sequence: 0,
            next_generation: 0,
            holding: 0,
        }
    }
}

/// A timer taken out of its list to be called.
pub(super) struct Due {
    pub(super) timer: Timer,
    pub(super) location: &'static Location<'static>,
    pub(super) callback: Callable<Timer>,
    /// What has become of the timer: spent, an interval that is to go back, or fired.
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

    /// A table that goes on with this one's generations, so that no timer of it is taken for one of this.
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
    /// What it calls is made by `callback`, here and at its place: made before and moved, it would be read
    /// back from the stack before it has arrived there (see `Immediates::push`).
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
        Timer { loop_id, index, generation, _not_send: PhantomData }
    }

    /// Takes a free place, which the caller fills field by field: a timer made elsewhere and moved would be
    /// read back before it has arrived there.
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
        self.next_sequence += 1;
        self.next_sequence
    }

    /// Takes the next timer that is due at `now` out of its list.
    #[inline(always)]
    pub(super) fn take_due(&mut self, loop_id: u32, now: Nanos) -> Option<Due> {
        loop {
            let list = self.expired(now)?;
            if let Some(index) = self.first_due(list, now) {
                unlink(&mut self.links, self.lists.ends(list), index);
                self.fetch(list);
                return Some(self.take_callback(loop_id, index));
            }
        }
    }

    /// The next timer of the list of which one has just fired, if it is due at `now`. It stays
    /// where it is.
    ///
    /// A list that was given up meanwhile has expired no more, though timers were armed in it
    /// since.
    pub(super) fn choose(&mut self, loop_id: u32, list: u32, now: Nanos) -> Option<Timer> {
        let same = self.expired(now) == Some(list);
        let index = same.then(|| self.first_due(list, now)).flatten()?;
        let generation = self.entries[index as usize].generation;
        Some(Timer { loop_id, index, generation, _not_send: PhantomData })
    }

    /// Takes a timer that was chosen out of its list, wherever it now stands in it. None if it was
    /// cleared.
    #[cold]
    pub(super) fn take_chosen(&mut self, timer: Timer) -> Option<Due> {
        let list = get(&mut self.entries, timer).filter(|entry| entry.life.is_armed())?.list;
        unlink(&mut self.links, self.lists.ends(list), timer.index);
        self.fetch(list);
        Some(self.take_callback(timer.loop_id, timer.index))
    }

    /// The list that is looked at next, if its time has come.
    #[inline(always)]
    fn expired(&self, now: Nanos) -> Option<u32> {
        debug_assert!(now < Nanos::MAX, "what is due at the last moment there is never is");
        self.heap.first().filter(|item| item.expiry <= now).map(|item| item.list)
    }

    /// The first timer of a list that has expired, if it is due at `now`. Else the list was up for
    /// a timer that is gone, or all its due timers have run: it is put back as though it had been
    /// made now, and given up when it is empty.
    #[inline(always)]
    fn first_due(&mut self, list: u32, now: Nanos) -> Option<u32> {
        let index = self.lists.ends(list).first;
        if index == NONE {
            give_up(&mut self.lists, &mut self.heap, list);
            return None;
        }
        let due_at = self.entries[index as usize].due_at();
        if due_at > now {
            let sequence = self.take_sequence();
            self.lists.set_sequence(list, sequence);
            let item = Item { expiry: due_at, sequence, list };
            self.heap.replace_first(item, |item| is_live(&self.lists, item));
            return None;
        }
        Some(index)
    }

    /// Begins to bring the first timer of a list, which is about to fire, into the cache: by writing what
    /// stands there, or what nobody reads. A read would be waited for. Of a million timers each fires 13 ns
    /// sooner.
    #[inline]
    fn fetch(&mut self, list: u32) {
        let first = self.lists.ends(list).first;
        if first != NONE {
            self.links[first as usize].previous = NONE;
            self.entries[first as usize].list = list;
        }
    }

    /// Takes the callback of a timer that fires, and the timer itself out of the table when that was
    /// its only call.
    #[inline(always)]
    fn take_callback(&mut self, loop_id: u32, index: u32) -> Due {
        let entry = &mut self.entries[index as usize];
        let generation = entry.generation;
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
            self.used -= 1;
            self.links[index as usize].next = std::mem::replace(&mut self.free, index);
        }
        let known_as = if self.moved.is_empty() {
            index
        } else {
            self.known_as(index, generation, life == Life::Free)
        };
        let timer = Timer { loop_id, index: known_as, generation, _not_send: PhantomData };
        Due { timer, location, callback, life, list }
    }

    /// A timer by the place where it is, which may be another one than it is known by.
    #[inline(always)]
    fn find(&self, timer: Timer) -> Timer {
        if self.moved.is_empty() { timer } else { self.find_moved(timer) }
    }

    #[cold]
    fn find_moved(&self, timer: Timer) -> Timer {
        let moved = self.moved.get(&timer.generation).filter(|moved| moved.from == timer.index);
        moved.map_or(timer, |moved| Timer { index: moved.to, ..timer })
    }

    /// The place by which the timer in this place is known. If it `ends`, for the last time.
    #[cold]
    #[inline(never)]
    fn known_as(&mut self, index: u32, generation: u32, ends: bool) -> u32 {
        let known = self.moved.get(&generation).map_or(index, |moved| moved.from);
        if ends {
            self.moved.remove(&generation);
        }
        known
    }

    /// Puts an interval's callback back and arms it again. Returns the callback if it was cleared.
    pub(super) fn rearm_interval(
        &mut self,
        timer: Timer,
        callback: Callable<Timer>,
        start: Nanos,
    ) -> Option<Callable<Timer>> {
        let timer = self.find(timer);
        let Some(entry) = get(&mut self.entries, timer) else { return Some(callback) };
        entry.callback = Some(callback);
        self.arm(timer.index, start);
        None
    }

    /// Puts a rearmable timer's callback back. Returns it if the timer was cleared.
    pub(super) fn put_back(
        &mut self,
        timer: Timer,
        callback: Callable<Timer>,
    ) -> Option<Callable<Timer>> {
        let timer = self.find(timer);
        let Some(entry) = get(&mut self.entries, timer) else { return Some(callback) };
        entry.callback = Some(callback);
        None
    }

    /// Arms a timer of the table anew, whether it waits in a list or not. Inlined, for a refresh: 7 % of it.
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
            entry.life = match before {
                Life::IntervalFiring => Life::Interval,
                _ => Life::Rearmable,
            };
        }
        self.append(index, list);
    }

    /// Takes a timer out of the table. Returns its callback for the caller to drop.
    #[inline(always)]
    pub(super) fn clear(&mut self, timer: Timer) -> Option<Callable<Timer>> {
        let index = timer.index;
        // One that was moved is not found where it was.
        let Some(entry) = get(&mut self.entries, timer) else { return self.clear_moved(timer) };
        self.holding -= usize::from(entry.holds());
        if entry.life.is_armed() {
            let emptied = unlink(&mut self.links, self.lists.ends(entry.list), index);
            // Node keeps an emptied list whose last timer was unreferenced until it expires.
            if emptied && entry.referenced {
                give_up(&mut self.lists, &mut self.heap, entry.list);
            } else if emptied {
                keep_emptied(&mut self.lists, &mut self.heap, &mut self.emptied);
            }
        }
        entry.life = Life::Free;
        self.used -= 1;
        self.links[index as usize].next = std::mem::replace(&mut self.free, index);
        // Last of all: what is kept across other steps is copied once more, half a word on, which the
        // processor can only do when the first copy has arrived.
        entry.callback.take()
    }

    #[cold]
    #[inline(never)]
    fn clear_moved(&mut self, timer: Timer) -> Option<Callable<Timer>> {
        let place = self.find_moved(timer);
        if place.index == timer.index {
            return None;
        }
        self.moved.remove(&timer.generation);
        self.clear(place)
    }

    /// Gives the memory of a burst back: if `now`, else when much less of it was used since the last call.
    ///
    /// What is left moves to the beginning of the table. A timer stays known by its first place, so those that have
    /// moved are noted.
    pub(super) fn give_back(&mut self, now: bool) {
        let armed = self.next_generation.wrapping_sub(self.generation_then) as usize;
        self.generation_then = self.next_generation;
        let lately = if now { 0 } else { armed };
        if self.entries.len() > KEPT_PLACES.max((self.used + lately) * 4) {
            self.shorten();
        }
        let few = KEPT_LISTS.max((self.heap.len() + lately) * 4);
        if self.lists.alone() > few {
            self.make_lists_anew();
        }
        if self.heap.capacity() > few {
            self.heap.shrink();
        }
    }

    fn shorten(&mut self) {
        let length = (self.used * 2).max(KEPT_PLACES / 2);
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
        let known_as = self.known_as(from, generation, false);
        self.moved.insert(generation, Moved { from: known_as, to });
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
        let before = std::mem::take(&mut self.lists);
        self.heap.clean(|item| is_live(&before, item));
        let mut before = before;
        for item in self.heap.items() {
            let list = self.lists.of(before.delay(item.list));
            let ends = *before.ends(item.list);
            *self.lists.ends(list) = ends;
            self.lists.set_sequence(list, item.sequence);
            item.list = list;
            let mut index = ends.first;
            while index != NONE {
                self.entries[index as usize].list = list;
                index = self.links[index as usize].next;
            }
        }
    }

    #[inline]
    pub(super) fn refresh(&mut self, timer: Timer, now: Nanos) {
        let timer = self.find(timer);
        let Some(entry) = get(&mut self.entries, timer) else { return };
        // Only what has fired did not hold the loop, and now does.
        let fired = entry.referenced && entry.life == Life::RearmableFired;
        self.holding += usize::from(fired);
        self.arm(timer.index, now);
    }

    pub(super) fn set_ref(&mut self, timer: Timer, on: bool) {
        let timer = self.find(timer);
        let Some(entry) = get(&mut self.entries, timer) else { return };
        let held = usize::from(entry.holds());
        entry.referenced = on;
        let holds = usize::from(entry.holds());
        self.holding = self.holding + holds - held;
    }

    /// Whether a timer exists and is referenced.
    pub(super) fn has_ref(&mut self, timer: Timer) -> bool {
        let timer = self.find(timer);
        get(&mut self.entries, timer).is_some_and(|entry| entry.referenced)
    }

    /// When a timer is due, and its delay in nanoseconds. None if it will not fire.
    pub(super) fn due_at(&mut self, timer: Timer) -> Option<(Nanos, Nanos)> {
        let timer = self.find(timer);
        let entry =
            get(&mut self.entries, timer).filter(|entry| entry.life != Life::RearmableFired)?;
        Some((entry.due_at(), nanos(entry.delay())))
    }

    /// Whether there is nothing to look at: no timer waits, and no emptied list.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.heap.is_empty()
    }
}

/// The entry of a timer that is still there.
#[inline(always)]
fn get(entries: &mut [Entry], timer: Timer) -> Option<&mut Entry> {
    let entry = entries.get_mut(timer.index as usize)?;
    (entry.generation == timer.generation && entry.life != Life::Free).then_some(entry)
}

/// Takes an armed timer out of its list; true if that leaves it empty.
///
/// The first of a list does not know that it is the first: its `previous` is whatever it was. So a timer that
/// is taken from the front, as each is that fires, touches no other timer.
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

/// A list was emptied and stays until its expiry, for the sake of the place in the order that a new timer of its
/// delay would get in Node. When these are many, and many of those in use, all empty lists are given up.
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
}
