//! The lists of timers, found by their delay and sorted by when they expire.
//!
//! Delays below two minutes are the index of their list in a sparse array; longer delays are looked
//! up in a tree. The heap says which list is next. What decides the order stands in the heap itself,
//! so that moving an item touches no list.
//!
//! A list that is given up stays in the heap as a stale item: taking it out of the middle would need
//! its place, and every move of every item would have to write down where it is now. A stale item
//! goes when it comes to the top, which is cleaned at once, or with all others when they are more
//! than half. So giving a list up is constant on average, and the top is never stale.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::NONE;
use super::pages::{Pages, Place};
use crate::clock::Nanos;
use crate::queue::memory;

/// Delays below this many milliseconds index the array. Its pages are 2 MB at most.
const COMMON: u64 = 1 << 17;

/// As many idle items are never worth a clean-up.
const IDLE_MIN: usize = 1024;

/// The timers of one delay, in the order they were armed.
pub(super) struct List {
    /// The number of its item in the heap, where each list with a timer has one. Zero: it has none.
    pub(super) sequence: u64,
    /// The first timer, or `NONE`.
    pub(super) first: u32,
    /// The last timer, or `NONE`.
    pub(super) last: u32,
}

impl Place for List {
    const FREE: List = List { sequence: 0, first: NONE, last: NONE };

    fn is_free(&self) -> bool {
        self.sequence == 0
    }
}

/// A list's place in the order: by expiry, and among lists of one expiry by sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// When the list is looked at next.
    pub(super) expiry: Nanos,
    /// No two items share a number, so it also tells whether the item is stale.
    pub(super) sequence: u64,
    /// Which list.
    pub(super) delay: u64,
}

/// The lists by their delays.
#[derive(Default)]
struct ByDelay {
    /// The lists of the delays below `COMMON`.
    common: Pages<List>,
    /// The lists of longer delays, those alone that have an item in the heap.
    long: BTreeMap<u64, List>,
}

impl ByDelay {
    /// The list of a delay, which is made if need be.
    #[inline(always)]
    fn of(&mut self, delay: u64) -> &mut List {
        if delay < COMMON { self.common.make(delay as usize) } else { self.of_long(delay) }
    }

    #[inline(never)]
    fn of_long(&mut self, delay: u64) -> &mut List {
        self.long.entry(delay).or_insert(List::FREE)
    }

    fn free(&mut self, delay: u64) {
        if delay < COMMON {
            *self.of(delay) = List::FREE;
        } else {
            self.long.remove(&delay);
        }
    }

    /// The list that an item of the heap stands for. None if the item is stale.
    fn live(&self, item: &Item) -> Option<&List> {
        let list = if item.delay < COMMON {
            self.common.get(item.delay as usize)
        } else {
            self.long.get(&item.delay)
        };
        list.filter(|list| list.sequence == item.sequence)
    }
}

/// All lists, and which is next.
#[derive(Default)]
pub(super) struct Lists {
    by_delay: ByDelay,
    /// The lists that are in use, the first to expire on top, and stale items.
    heap: BinaryHeap<Reverse<Item>>,
    /// How many items have become stale or the item of an emptied list since the last clean-up.
    idle: usize,
    /// The number that was given to an item last.
    last_sequence: u64,
}

impl Lists {
    /// The list of a delay, which is made if need be.
    #[inline(always)]
    pub(super) fn of(&mut self, delay: u64) -> &mut List {
        self.by_delay.of(delay)
    }

    /// A list has got its first timer. It is looked at when that is due, unless it still waits in
    /// the heap since it was emptied.
    #[inline(never)]
    pub(super) fn begin(&mut self, delay: u64, expiry: Nanos) {
        let list = self.by_delay.of(delay);
        if list.is_free() {
            self.last_sequence += 1;
            list.sequence = self.last_sequence;
            self.heap.push(Reverse(Item { expiry, sequence: list.sequence, delay }));
        }
    }

    /// Puts the first list back to where its expiry belongs.
    pub(super) fn put_back_first(&mut self, expiry: Nanos) {
        let Some(mut first) = self.heap.peek_mut() else { return };
        self.last_sequence += 1;
        first.0 = Item { expiry, sequence: self.last_sequence, ..first.0 };
        self.by_delay.of(first.0.delay).sequence = self.last_sequence;
        drop(first);
        self.clean_top();
    }

    /// The list that is looked at next.
    #[inline]
    pub(super) fn first(&self) -> Option<&Item> {
        self.heap.peek().map(|Reverse(item)| item)
    }

    /// Gives an empty list up: its item is stale.
    #[inline(never)]
    pub(super) fn give_up(&mut self, delay: u64) {
        self.by_delay.free(delay);
        self.note_idle();
        self.clean_top();
    }

    /// A list was emptied, or given up, and its item stays. Cleans when such items are many.
    ///
    /// An emptied list waits for its expiry because a new timer of its delay gets its place in the
    /// order, as in Node. When lists that wait so are many they are given up.
    #[inline(never)]
    pub(super) fn note_idle(&mut self) {
        self.idle += 1;
        if self.idle > IDLE_MIN.max(self.heap.len() / 2) {
            self.clean();
        }
    }

    /// Takes stale items out of the heap, and those of empty lists, which are given up.
    fn clean(&mut self) {
        self.idle = 0;
        self.heap.retain(|Reverse(item)| {
            let Some(list) = self.by_delay.live(item) else { return false };
            let is_empty = list.first == NONE;
            if is_empty {
                self.by_delay.free(item.delay);
            }
            !is_empty
        });
    }

    /// Takes stale items from the top.
    fn clean_top(&mut self) {
        while self.first().is_some_and(|item| self.by_delay.live(item).is_none()) {
            self.idle = self.idle.saturating_sub(1);
            self.heap.pop();
        }
    }

    /// Gives the memory of a burst back. As many lists are `needed` beside those in use.
    pub(super) fn give_back(&mut self, needed: usize) {
        let needed = self.heap.len() + needed;
        if memory::is_excess(self.heap.capacity(), needed) {
            self.clean();
            self.heap.shrink_to_fit();
        }
        let common = &mut self.by_delay.common;
        if memory::is_excess(common.capacity(), needed) {
            common.give_back();
        }
    }
}
