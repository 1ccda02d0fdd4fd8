//! Numbers of receivers, on their way and in order. There are nearly always very few.
//!
//! Of a loop's receivers one or two are ready at a time. A tree allocates a node for the first and
//! frees it with the last, 100 of the 500 instructions between a notice and its callback; this
//! keeps its memory.

use std::collections::VecDeque;

/// From this many new numbers on they are sorted in at once.
const MANY: usize = 16;

/// Numbers as they came. The first one needs no memory elsewhere, which would be one more cache
/// line to send from core to core.
#[derive(Default)]
pub(crate) struct NumberList {
    /// The oldest number. None when the list is empty.
    first: Option<u64>,
    /// Those after the first. Empty when there is none.
    more: Vec<u64>,
}

impl NumberList {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, number: u64) {
        if self.first.is_none() {
            self.first = Some(number);
        } else {
            self.more.push(number);
        }
    }

    /// Adds another list behind this one, and empties it.
    pub(crate) fn append(&mut self, other: &mut NumberList) {
        other.first.take().into_iter().for_each(|number| self.push(number));
        self.more.append(&mut other.more);
    }

    /// Adds all numbers to a set, and empties the list.
    pub(crate) fn move_to(&mut self, set: &mut NumberSet) {
        self.first.take().into_iter().for_each(|number| set.insert(number));
        if !self.more.is_empty() {
            set.extend(&mut self.more);
        }
    }
}

/// Numbers in order, each once.
#[derive(Default)]
pub(crate) struct NumberSet {
    /// In ascending order, each once.
    numbers: VecDeque<u64>,
}

impl NumberSet {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.numbers.shrink_to_fit();
    }

    pub(crate) fn insert(&mut self, number: u64) {
        if self.numbers.back().is_none_or(|last| *last < number) {
            self.numbers.push_back(number);
        } else if let Err(index) = self.numbers.binary_search(&number) {
            self.numbers.insert(index, number);
        }
    }

    /// Adds all numbers of a list, which is left empty.
    pub(crate) fn extend(&mut self, list: &mut Vec<u64>) {
        if list.len() < MANY {
            list.drain(..).for_each(|number| self.insert(number));
            return;
        }
        self.numbers.extend(list.drain(..));
        self.numbers.make_contiguous().sort_unstable();
        let mut last = None;
        self.numbers.retain(|number| last.replace(*number) != Some(*number));
    }

    pub(crate) fn remove(&mut self, number: u64) {
        if let Ok(index) = self.numbers.binary_search(&number) {
            self.numbers.remove(index);
        }
    }

    /// Takes the first number from `from` to below `end`.
    pub(crate) fn take_in(&mut self, from: u64, end: u64) -> Option<u64> {
        let index = self.numbers.partition_point(|number| *number < from);
        let number = *self.numbers.get(index).filter(|number| **number < end)?;
        self.numbers.remove(index)?;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_list_gives_all_its_numbers_to_a_set_and_keeps_none() {
        for (left, right) in [(0, 0), (0, 1), (1, 0), (1, 1), (3, 40)] {
            let (mut list, mut other) = (NumberList::default(), NumberList::default());
            (0..left).for_each(|number| list.push(number * 2));
            (0..right).for_each(|number| other.push(number * 3));
            list.append(&mut other);
            assert_eq!((other.is_empty(), other.len()), (true, 0));
            assert_eq!((list.len() as u64, list.is_empty()), (left + right, left + right == 0));
            let mut set = NumberSet::default();
            list.move_to(&mut set);
            assert_eq!((list.is_empty(), list.len()), (true, 0));
            let all: BTreeSet<_> =
                (0..left).map(|n| n * 2).chain((0..right).map(|n| n * 3)).collect();
            assert!(set.numbers.iter().eq(&all));
        }
    }

    #[test]
    fn it_does_what_a_tree_does() {
        let (mut set, mut tree) = (NumberSet::default(), BTreeSet::new());
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let number = random % 64;
            match random >> 60 {
                0..4 => {
                    set.insert(number);
                    tree.insert(number);
                }
                4..6 => {
                    let count = random >> 32 & 31;
                    let mut list: Vec<_> = (0..count).map(|n| number * n % 64).collect();
                    tree.extend(&list);
                    set.extend(&mut list);
                    assert!(list.is_empty());
                }
                6..9 => {
                    set.remove(number);
                    tree.remove(&number);
                }
                _ => {
                    let end = random >> 32 & 63;
                    let first = tree.iter().copied().find(|n| (number..end).contains(n));
                    if let Some(first) = first {
                        tree.remove(&first);
                    }
                    assert_eq!(set.take_in(number, end), first);
                }
            }
            assert_eq!(set.is_empty(), tree.is_empty());
            assert!(set.numbers.iter().eq(&tree));
        }
    }
}
