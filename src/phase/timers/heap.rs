//! The lists of timers by when they expire, the first on top.
//!
//! Expiry and sequence stand in the heap itself, so that moving an item touches nothing else.
//!
//! A list that is given up stays in the heap as a stale item: taking it out of the middle would
//! need its place, and every move of every item would have to write down where it is now. A stale
//! item goes when it comes to the top, which is cleaned at once, or with all others when they are
//! more than three quarters. So giving a list up is constant on average, and the top is never
//! stale.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Nanos;

/// Up to this number of stale items a clean-up is not worth its time.
const STALE_MIN: usize = 64;

/// A list's place in the order: by expiry, and among lists of one expiry by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// When the list is looked at next.
    pub(super) expiry: Nanos,
    /// No two items share a number, so it also tells whether the item is stale.
    pub(super) sequence: u64,
    /// The number of the list.
    pub(super) list: u32,
}

/// The lists by expiry, the earliest first.
#[derive(Default)]
pub(super) struct Heap {
    /// The lists that are in use, and stale items.
    items: BinaryHeap<Reverse<Item>>,
    /// How many items are stale.
    stale: usize,
}

impl Heap {
    #[inline]
    pub(super) fn first(&self) -> Option<&Item> {
        self.items.peek().map(|Reverse(item)| item)
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(Reverse(item));
    }

    /// Puts another item in the place of the first one.
    pub(super) fn replace_first(&mut self, item: Item, is_live: impl Fn(&Item) -> bool) {
        if let Some(mut first) = self.items.peek_mut() {
            *first = Reverse(item);
        }
        self.clean_top(is_live);
    }

    /// An item has become stale. `is_live` tells of each whether it is not.
    pub(super) fn give_up(&mut self, is_live: impl Fn(&Item) -> bool) {
        self.stale += 1;
        if self.stale > STALE_MIN.max(self.items.len() * 3 / 4) {
            self.clean(&is_live);
        }
        self.clean_top(is_live);
    }

    /// Throws all stale items out.
    pub(super) fn clean(&mut self, is_live: impl Fn(&Item) -> bool) {
        self.items.retain(|Reverse(item)| is_live(item));
        self.stale = 0;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items, in no order.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().map(|Reverse(item)| item)
    }

    /// Gives each item's list another number, which does not count for the order.
    pub(super) fn renumber(&mut self, mut number: impl FnMut(&Item) -> u32) {
        let renumbered = std::mem::take(&mut self.items).into_iter().map(|Reverse(item)| {
            let list = number(&item);
            Reverse(Item { list, ..item })
        });
        self.items = renumbered.collect();
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Gives memory back that is not in use.
    pub(super) fn shrink(&mut self) {
        self.items.shrink_to_fit();
    }

    fn clean_top(&mut self, is_live: impl Fn(&Item) -> bool) {
        while self.first().is_some_and(|first| !is_live(first)) {
            self.stale -= 1;
            self.items.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_item_is_the_least_that_is_not_stale_after_any_steps() {
        let mut heap = Heap::default();
        let mut model = BTreeSet::new();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        // Miri takes a thousand times as long.
        for sequence in 1..if cfg!(miri) { 300 } else { 20_000 } {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let item = Item { expiry: random % 500, sequence, list: 0 };
            // Grows at first and shrinks later.
            let grows = random >> 32 & 7 < if sequence < 10_000 { 5 } else { 3 };
            let nth = (random >> 40) as usize % model.len().max(1);
            let other = model.iter().nth(nth).copied();
            let live = |model: &BTreeSet<(u64, u64)>, item: &Item| {
                model.contains(&(item.expiry, item.sequence))
            };
            match other {
                Some(other) if !grows => {
                    model.remove(&other);
                    heap.give_up(|item| live(&model, item));
                }
                Some(_) if random >> 36 & 1 == 0 => {
                    model.pop_first();
                    model.insert((item.expiry, item.sequence));
                    heap.replace_first(item, |item| live(&model, item));
                }
                _ => {
                    model.insert((item.expiry, item.sequence));
                    heap.push(item);
                }
            }
            assert_eq!(
                heap.first().map(|item| (item.expiry, item.sequence)),
                model.first().copied()
            );
            assert!(heap.stale <= STALE_MIN.max(heap.items.len() * 3 / 4));
        }
    }
}
