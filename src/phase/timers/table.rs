//! The timers of a loop, as plain data: nothing here calls back.
//!
//! A timer takes 72 bytes in two arrays. What it calls and when fills one cache line, and is touched once
//! when it is armed and once when it ends. The links to its neighbours, 8 bytes, stand apart: arming,
//! clearing and refreshing also change those of its neighbours, which can be anywhere, and the
//! links of a million timers fit a cache that the timers themselves do not.

use super::heap::{Heap, Item};
use super::lists::Lists;
use super::{NONE, Timer, nanos};
use crate::clock::Nanos;
use crate::handle::Alive;
use crate::queue::closure::Callable;

use std::marker::PhantomData;
use std::panic::Location;

/// What a timer is, and what it is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// None: the place is free.
    Free,
    /// Waits in its list. Gone when it fires.
    Timeout,
    /// Waits in its list.
    Interval,
    /// Its callback is running: it goes back to its list after that.
    IntervalFiring,
    /// Waits in its list.
    Rearmable,
    /// Has fired: a refresh arms it again.
    RearmableFired,
}

impl Life {
    fn is_armed(self) -> bool {
        matches!(self, Life::Timeout | Life::Interval | Life::Rearmable)
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
    fn delay(&self) -> u64 {
        u64::from(self.delay_high) << 32 | u64::from(self.delay_low)
    }

    fn due_at(&self) -> Nanos {
        self.start.saturating_add(nanos(self.delay()))
    }

    /// Whether it keeps the loop alive.
    fn holds(&self) -> bool {
        self.referenced && !matches!(self.life, Life::Free | Life::RearmableFired)
    }

    fn alive(&self) -> Alive {
        let interval = matches!(self.life, Life::Interval | Life::IntervalFiring);
        Alive { kind: if interval { "interval" } else { "timer" }, location: self.location }
    }
}

/// Neighbours in a list, while a timer is armed. `next` also chains the free places.
#[derive(Clone, Copy)]
struct Links {
    previous: u32,
    next: u32,
}

/// The longest delay that an entry has room for.
const DELAY_MAX: u64 = (1 << 48) - 1;

pub(super) struct Table {
    entries: Vec<Entry>,
    /// The links of each entry, at the same index.
    links: Vec<Links>,
    /// The first of the free places.
    free: u32,
    /// How many places are taken.
    count: usize,
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
            count: 0,
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
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
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

    fn get(&mut self, timer: Timer) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(timer.index as usize)?;
        (entry.generation == timer.generation && entry.life != Life::Free).then_some(entry)
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
        let entry = Entry {
            callback: None,
            location,
            start,
            list,
            generation,
            delay_low: delay as u32,
            delay_high: (delay >> 32) as u16,
            life,
            referenced: true,
        };
        let due_at = entry.due_at();
        let index = self.place(entry);
        self.entries[index as usize].callback = Some(callback());
        self.holding += 1;
        self.append(index, list, due_at);
        Timer { loop_id, index, generation, _not_send: PhantomData }
    }

    /// Puts an entry in a free place.
    #[inline]
    fn place(&mut self, entry: Entry) -> u32 {
        self.count += 1;
        let index = self.free;
        if index != NONE {
            self.free = self.links[index as usize].next;
            self.entries[index as usize] = entry;
            return index;
        }
        let index = self.entries.len();
        self.entries.push(entry);
        self.links.push(Links { previous: NONE, next: NONE });
        u32::try_from(index).ok().filter(|index| *index != NONE).expect("fewer than 2^32 timers")
    }

    /// Frees the place of a timer that is in no list. Returns its callback, for the caller to drop.
    #[inline]
    fn remove(&mut self, index: u32) -> Option<Callable<Timer>> {
        let entry = &mut self.entries[index as usize];
        entry.life = Life::Free;
        self.links[index as usize].next = self.free;
        self.free = index;
        self.count -= 1;
        entry.callback.take()
    }

    /// Puts a timer at the end of a list, which `due_at` is for if it is not in use.
    #[inline]
    fn append(&mut self, index: u32, number: u32, due_at: Nanos) {
        let list = self.lists.get_mut(number);
        let last = std::mem::replace(&mut list.last, index);
        if last == NONE {
            list.first = index;
        } else {
            self.links[last as usize].next = index;
        }
        self.links[index as usize] = Links { previous: last, next: NONE };
        if !list.is_in_use() {
            self.use_list(number, due_at);
        }
    }

    fn use_list(&mut self, list: u32, expiry: Nanos) {
        let sequence = self.take_sequence();
        self.lists.get_mut(list).sequence = sequence;
        self.heap.push(Item { expiry, sequence, list });
    }

    fn take_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    /// Takes an armed timer out of its list, which may be left empty.
    #[inline]
    fn unlink(&mut self, index: u32, list: u32) {
        let Links { previous, next } = self.links[index as usize];
        if previous == NONE {
            self.lists.get_mut(list).first = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next == NONE {
            self.lists.get_mut(list).last = previous;
        } else {
            self.links[next as usize].previous = previous;
        }
    }

    fn give_up(&mut self, list: u32) {
        self.lists.give_up(list);
        self.heap.give_up(|item| is_live(&self.lists, item));
    }

    /// Takes the next timer that is due at `now` out of its list.
    pub(super) fn take_due(&mut self, loop_id: u32, now: Nanos) -> Option<Due> {
        loop {
            let list = self.heap.first().filter(|item| item.expiry <= now)?.list;
            let index = self.lists.get(list).first;
            if index == NONE {
                self.give_up(list);
                continue;
            }
            let due_at = self.entries[index as usize].due_at();
            if due_at > now || due_at == Nanos::MAX {
                // The list was up for a timer that is gone, or all its due timers have run. It is
                // put back as though it had been made now.
                let sequence = self.take_sequence();
                self.lists.get_mut(list).sequence = sequence;
                let item = Item { expiry: due_at, sequence, list };
                self.heap.replace_first(item, |item| is_live(&self.lists, item));
                if due_at == Nanos::MAX && now == Nanos::MAX {
                    return None;
                }
                continue;
            }
            self.unlink(index, list);
            return Some(self.take_callback(loop_id, index));
        }
    }

    /// Takes the callback of a timer that fires, and the timer itself out of the table when that was
    /// its only call.
    #[inline]
    fn take_callback(&mut self, loop_id: u32, index: u32) -> Due {
        let entry = &mut self.entries[index as usize];
        let timer = Timer { loop_id, index, generation: entry.generation, _not_send: PhantomData };
        let (location, held) = (entry.location, usize::from(entry.holds()));
        let callback = match entry.life {
            Life::Interval => {
                entry.life = Life::IntervalFiring;
                entry.callback.take()
            }
            Life::Rearmable => {
                entry.life = Life::RearmableFired;
                self.holding -= held;
                entry.callback.take()
            }
            _ => {
                self.holding -= held;
                self.remove(index)
            }
        };
        let callback = callback.expect("a timer in a list has its callback");
        Due { timer, location, callback, life: self.entries[index as usize].life }
    }

    /// Puts an interval's callback back and arms it again. Returns the callback if it was cleared.
    pub(super) fn rearm_interval(
        &mut self,
        timer: Timer,
        callback: Callable<Timer>,
        start: Nanos,
    ) -> Option<Callable<Timer>> {
        let Some(entry) = self.get(timer) else { return Some(callback) };
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
        let Some(entry) = self.get(timer) else { return Some(callback) };
        entry.callback = Some(callback);
        None
    }

    /// Arms a timer of the table anew, whether it waits in a list or not.
    #[inline]
    fn arm(&mut self, index: u32, start: Nanos) {
        let entry = &mut self.entries[index as usize];
        entry.start = start;
        let (mut list, due_at, before) = (entry.list, entry.due_at(), entry.life);
        if before.is_armed() {
            self.unlink(index, list);
        } else {
            // Its list may have been given up meanwhile.
            list = self.lists.of(entry.delay());
            entry.list = list;
            entry.life = match before {
                Life::IntervalFiring => Life::Interval,
                _ => Life::Rearmable,
            };
        }
        self.append(index, list, due_at);
    }

    /// Takes a timer out of the table. Returns its callback for the caller to drop.
    #[inline]
    pub(super) fn clear(&mut self, timer: Timer) -> Option<Callable<Timer>> {
        let entry = self.get(timer)?;
        let (life, referenced, list) = (entry.life, entry.referenced, entry.list);
        let held = usize::from(entry.holds());
        self.holding -= held;
        if life.is_armed() {
            self.unlink(timer.index, list);
            // Node keeps an emptied list whose last timer was unreferenced until it expires.
            if referenced && self.lists.get(list).is_empty() {
                self.give_up(list);
            }
        }
        self.remove(timer.index)
    }

    #[inline]
    pub(super) fn refresh(&mut self, timer: Timer, now: Nanos) {
        let Some(entry) = self.get(timer) else { return };
        // Only what has fired did not hold the loop, and now does.
        let fired = entry.referenced && entry.life == Life::RearmableFired;
        self.holding += usize::from(fired);
        self.arm(timer.index, now);
    }

    pub(super) fn set_ref(&mut self, timer: Timer, on: bool) {
        let Some(entry) = self.get(timer) else { return };
        let held = usize::from(entry.holds());
        entry.referenced = on;
        let holds = usize::from(entry.holds());
        self.holding = self.holding + holds - held;
    }

    /// Whether a timer exists and is referenced.
    pub(super) fn has_ref(&mut self, timer: Timer) -> bool {
        self.get(timer).is_some_and(|entry| entry.referenced)
    }

    /// When a timer is due, and its delay in nanoseconds. None if it will not fire.
    pub(super) fn due_at(&mut self, timer: Timer) -> Option<(Nanos, Nanos)> {
        let entry = self.get(timer).filter(|entry| entry.life != Life::RearmableFired)?;
        Some((entry.due_at(), nanos(entry.delay())))
    }

    /// Whether there is nothing to look at: no timer waits, and no emptied list.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.heap.is_empty()
    }
}

/// Whether an item of the heap stands for its list as it is now.
#[inline]
fn is_live(lists: &Lists, item: &Item) -> bool {
    lists.get(item.list).sequence == item.sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_takes_72_bytes() {
        assert_eq!(size_of::<Entry>() + size_of::<Links>(), 72);
    }
}
