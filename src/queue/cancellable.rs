//! What waits in the order of the calls, and can be cancelled until its turn comes: plain data.
//!
//! Each value has a number, and numbers are given in order. One that is cancelled leaves an empty
//! place in the middle, so that cancelling costs no move of what stands behind. Both ends are never
//! empty places.

use std::collections::VecDeque;

use super::memory;

/// So many empty places stay in any case.
const EMPTY_KEPT: usize = 32;

/// A queue of values that have numbers.
pub(crate) struct Cancellable<T> {
    /// In the order of their numbers. The first and the last are not empty.
    places: VecDeque<Place<T>>,
    /// How many of the places are empty.
    empty: usize,
}

/// The place of one value.
struct Place<T> {
    /// The number of the value.
    number: u64,
    /// None once the value was taken out by its number.
    value: Option<T>,
}

impl<T> Default for Cancellable<T> {
    fn default() -> Cancellable<T> {
        Cancellable { places: VecDeque::new(), empty: 0 }
    }
}

impl<T> Cancellable<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many values wait.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.empty
    }

    /// Puts a value behind the others. Its number is larger than theirs.
    #[inline]
    pub(crate) fn push(&mut self, number: u64, value: T) {
        debug_assert!(self.places.back().is_none_or(|last| last.number < number));
        self.places.push_back(Place { number, value: Some(value) });
    }

    /// The values, in order.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    /// The values, in order, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|place| place.value.as_mut())
    }

    /// The first value.
    #[inline]
    pub(crate) fn first_mut(&mut self) -> Option<&mut T> {
        self.places.front_mut().and_then(|place| place.value.as_mut())
    }

    /// Takes the first value out.
    #[inline]
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        let first = self.places.pop_front()?.value;
        self.trim();
        first
    }

    /// The value with this number, if it waits.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.places.get(self.index(number)).and_then(|place| place.value.as_ref())
    }

    /// Takes the value with this number out, if it waits.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let index = self.index(number);
        let value = self.places.get_mut(index)?.value.take()?;
        self.empty += 1;
        self.trim();
        if self.empty > EMPTY_KEPT.max(self.places.len() / 2) {
            self.places.retain(|place| place.value.is_some());
            self.empty = 0;
        }
        Some(value)
    }

    /// Where the value with this number stands, if it has a place. Else beyond the last place.
    fn index(&self, number: u64) -> usize {
        let found = self.places.binary_search_by_key(&number, |place| place.number);
        found.unwrap_or(usize::MAX)
    }

    /// Takes empty places off both ends.
    #[inline]
    fn trim(&mut self) {
        while self.empty > 0 && self.places.front().is_some_and(|place| place.value.is_none()) {
            self.places.pop_front();
            self.empty -= 1;
        }
        while self.empty > 0 && self.places.back().is_some_and(|place| place.value.is_none()) {
            self.places.pop_back();
            self.empty -= 1;
        }
        if self.places.is_empty() && memory::is_excess(self.places.capacity(), 0) {
            self.places = VecDeque::new(); // A burst is over.
        }
    }

    /// All values, in order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().filter_map(|place| place.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(numbers: std::ops::Range<u64>) -> Cancellable<u64> {
        let mut queue = Cancellable::default();
        numbers.for_each(|number| queue.push(number, number));
        queue
    }

    fn rest(queue: &mut Cancellable<u64>) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop_first()).collect()
    }

    #[test]
    fn each_is_taken_out_by_its_number_and_once() {
        let mut queue = numbered(10..20);
        assert_eq!(queue.pop_first(), Some(10));
        for number in [19, 15, 11, 17, 10, 9, 20] {
            let waits = (11..20).contains(&number);
            assert_eq!(queue.get(number).copied(), waits.then_some(number));
            assert_eq!(queue.remove(number), waits.then_some(number));
            assert_eq!(queue.get(number), None);
            assert_eq!(queue.remove(number), None);
        }
        assert_eq!(queue.len(), 5);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [12, 13, 14, 16, 18]);
        queue.push(25, 25);
        queue.iter_mut().for_each(|value| *value += 100);
        assert_eq!(queue.first_mut(), Some(&mut 112));
        assert_eq!(rest(&mut queue), [112, 113, 114, 116, 118, 125]);
        assert_eq!((queue.is_empty(), queue.len(), queue.first_mut()), (true, 0, None));
    }

    #[test]
    fn an_empty_place_is_at_neither_end() {
        let mut queue = numbered(0..6);
        for number in [1, 4, 5, 0] {
            queue.remove(number);
        }
        assert_eq!((queue.places.len(), queue.len()), (2, 2));
        queue.remove(2);
        queue.remove(3);
        assert!(queue.is_empty());
    }

    #[test]
    fn where_each_is_cancelled_once_the_next_one_waits_few_keep_a_place() {
        let mut queue = numbered(0..2);
        for number in 2..10_000 {
            queue.push(number, number);
            assert_eq!(queue.remove(number - 1), Some(number - 1));
            assert!(queue.places.len() < 100);
        }
        assert_eq!(rest(&mut queue), [0, 9_999]);
    }

    #[test]
    fn what_is_left_between_cancelled_ones_stays_in_order() {
        let mut queue = numbered(0..200);
        for number in (0..200).filter(|number| number % 50 != 1) {
            assert_eq!(queue.remove(number), Some(number));
        }
        assert_eq!((queue.len(), queue.empty), (4, queue.places.len() - 4));
        assert_eq!(rest(&mut queue), [1, 51, 101, 151]);
    }

    #[test]
    fn the_memory_of_a_burst_goes_with_its_last_value() {
        let mut queue = numbered(0..100_000);
        assert_eq!(rest(&mut queue).len(), 100_000);
        assert_eq!(queue.places.capacity(), 0);
    }
}
