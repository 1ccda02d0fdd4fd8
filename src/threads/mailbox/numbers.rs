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
///
/// They are taken in rounds, from the lowest on, and in a round each is taken from the front: what
/// comes for a number that was passed stands apart, for the next round.
#[derive(Default)]
pub(crate) struct NumberSet {
    /// Those below `next`, in ascending order, each once.
    passed: VecDeque<u64>,
    /// Those from `next` on, in ascending order, each once.
    ahead: VecDeque<u64>,
    /// Where the round is: the numbers below have been passed.
    next: u64,
}

impl NumberSet {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.passed.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.passed.clear();
        self.ahead.clear();
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.passed.shrink_to_fit();
        self.ahead.shrink_to_fit();
    }

    /// Where a number stands, or would.
    #[inline]
    fn part(&mut self, number: u64) -> &mut VecDeque<u64> {
        if number < self.next { &mut self.passed } else { &mut self.ahead }
    }

    pub(crate) fn insert(&mut self, number: u64) {
        let part = self.part(number);
        if part.back().is_none_or(|last| *last < number) {
            part.push_back(number);
        } else if let Err(index) = part.binary_search(&number) {
            part.insert(index, number);
        }
    }

    /// Adds all numbers of a list, which is left empty.
    pub(crate) fn extend(&mut self, list: &mut Vec<u64>) {
        if list.len() < MANY {
            list.drain(..).for_each(|number| self.insert(number));
            return;
        }
        list.drain(..).for_each(|number| self.part(number).push_back(number));
        for part in [&mut self.passed, &mut self.ahead] {
            part.make_contiguous().sort_unstable();
            let mut last = None;
            part.retain(|number| last.replace(*number) != Some(*number));
        }
    }

    pub(crate) fn remove(&mut self, number: u64) {
        let part = self.part(number);
        if let Ok(index) = part.binary_search(&number) {
            part.remove(index);
        }
    }

    /// Takes the first number from `from` to below `end`. A round goes on from a number on that is
    /// no lower than the one before.
    pub(crate) fn take_in(&mut self, from: u64, end: u64) -> Option<u64> {
        if from < self.next && !self.passed.is_empty() {
            // A new round. All that was passed is below what is ahead.
            self.passed.append(&mut self.ahead);
            std::mem::swap(&mut self.passed, &mut self.ahead);
        }
        while let Some(number) = self.ahead.front().copied().filter(|number| *number < from) {
            self.ahead.pop_front();
            self.passed.push_back(number);
        }
        let taken = self.ahead.front().copied().filter(|number| *number < end);
        if taken.is_some() {
            self.ahead.pop_front();
        }
        self.next = taken.map_or(from, |number| number + 1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all_of(set: &NumberSet) -> impl Iterator<Item = &u64> {
        set.passed.iter().chain(&set.ahead)
    }

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
            assert!(all_of(&set).eq(&all));
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
            assert!(all_of(&set).eq(&tree));
        }
    }
}
