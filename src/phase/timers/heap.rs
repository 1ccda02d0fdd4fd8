//! The lists of timers by when they expire, the first on top.
//!
//! What decides the order stands in the heap itself, so that moving an item up or down touches nothing
//! else, and an item has four children, which stand side by side in memory.
//!
//! A list that is given up stays in the heap as a stale item: taking it out of the middle would need
//! its place, and every move of every item would have to write down where it is now. A stale item goes
//! when it comes to the top, which is cleaned at once, or with all others when they are more than
//! half. So giving a list up is constant on average, and the top is never stale.

use crate::clock::Nanos;

const CHILDREN: usize = 4;

/// As many stale items are never worth a clean-up.
const STALE_MIN: usize = 64;

/// A list's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// When the list is looked at next.
    pub(super) expiry: Nanos,
    /// Among lists of one expiry the one with the lower number goes first. No two items share one, so
    /// it also tells whether the item is stale.
    pub(super) sequence: u64,
    pub(super) list: u32,
}

impl Item {
    #[inline]
    fn rank(&self) -> (Nanos, u64) {
        (self.expiry, self.sequence)
    }
}

#[derive(Default)]
pub(super) struct Heap {
    items: Vec<Item>,
    stale: usize,
}

impl Heap {
    #[inline]
    pub(super) fn first(&self) -> Option<&Item> {
        self.items.first()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
        self.sift_up(self.items.len() - 1);
    }

    /// Puts another item in the place of the first one.
    pub(super) fn replace_first(&mut self, item: Item, is_live: impl Fn(&Item) -> bool) {
        self.items[0] = item;
        self.sift_down(0);
        self.clean_top(is_live);
    }

    /// An item has become stale. `is_live` tells of each whether it is not.
    pub(super) fn give_up(&mut self, is_live: impl Fn(&Item) -> bool) {
        self.stale += 1;
        if self.stale > STALE_MIN && self.stale * 2 > self.items.len() {
            self.clean(&is_live);
        }
        self.clean_top(is_live);
    }

    /// Throws all stale items out.
    pub(super) fn clean(&mut self, is_live: impl Fn(&Item) -> bool) {
        self.items.retain(is_live);
        self.stale = 0;
        // From the last parent up, each becomes the first of what is below it.
        for place in (0..self.items.len().div_ceil(CHILDREN)).rev() {
            self.sift_down(place);
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items, in no order. What decides their order is not to be changed.
    pub(super) fn items(&mut self) -> &mut [Item] {
        &mut self.items
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
        while self.items.first().is_some_and(|first| !is_live(first)) {
            self.stale -= 1;
            self.items.swap_remove(0);
            self.sift_down(0);
        }
    }

    fn sift_up(&mut self, from: usize) {
        let item = self.items[from];
        let mut place = from;
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if self.items[parent].rank() <= item.rank() {
                break;
            }
            self.items[place] = self.items[parent];
            place = parent;
        }
        self.items[place] = item;
    }

    fn sift_down(&mut self, from: usize) {
        let Some(item) = self.items.get(from).copied() else { return };
        let mut place = from;
        loop {
            let first = place * CHILDREN + 1;
            let children = first..self.items.len().min(first + CHILDREN);
            let Some(least) = children.min_by_key(|child| self.items[*child].rank()) else { break };
            if item.rank() <= self.items[least].rank() {
                break;
            }
            self.items[place] = self.items[least];
            place = least;
        }
        self.items[place] = item;
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
        for sequence in 1..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let item = Item { expiry: random % 500, sequence, list: 0 };
            // Grows at first and shrinks later.
            let grows = random >> 32 & 7 < if sequence < 10_000 { 5 } else { 3 };
            let nth = (random >> 40) as usize % model.len().max(1);
            let other = model.iter().nth(nth).copied();
            let live = |model: &BTreeSet<(u64, u64)>, item: &Item| model.contains(&item.rank());
            match other {
                Some(other) if !grows => {
                    model.remove(&other);
                    heap.give_up(|item| live(&model, item));
                }
                Some(_) if random >> 36 & 1 == 0 => {
                    model.pop_first();
                    model.insert(item.rank());
                    heap.replace_first(item, |item| live(&model, item));
                }
                _ => {
                    model.insert(item.rank());
                    heap.push(item);
                }
            }
            assert_eq!(heap.first().map(Item::rank), model.first().copied());
            assert!(heap.stale <= STALE_MIN || heap.stale * 2 <= heap.items.len());
        }
    }
}
