//! Values by key, where a key never means another value: plain data.

use slab::Slab;

use crate::queue::memory::{self, Lately};

/// Names one value of a [`Keyed`], and never another one, even when its place is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Key {
    /// The value's place.
    index: u32,
    /// The number of the value among all that were ever inserted. Two values of one place differ in
    /// it.
    generation: u32,
}

impl Key {
    /// The key as one number, for the poller's tokens and for other threads.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Key {
        Key { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Values, each with the generation of its key.
pub(crate) struct Keyed<T> {
    /// At the index of its key: its generation, and the value.
    entries: Slab<(u32, T)>,
    /// The generation of the value that was inserted last.
    generation: u32,
    /// How many were inserted since memory was last given back.
    lately: Lately,
}

impl<T> Default for Keyed<T> {
    fn default() -> Keyed<T> {
        Keyed { entries: Slab::new(), generation: 0, lately: Lately::default() }
    }
}

impl<T> Keyed<T> {
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let generation = self.generation.wrapping_add(1);
        self.generation = generation;
        let index = self.entries.insert((generation, value));
        let index = u32::try_from(index).expect("a loop has fewer than 2^32 handles or tasks");
        Key { index, generation }
    }

    /// The value with this key, unless it was removed.
    #[inline]
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut T> {
        let (generation, value) = self.entries.get_mut(key.index as usize)?;
        (*generation == key.generation).then_some(value)
    }

    /// Takes the value with this key out, unless it was removed before.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.entries.remove(key.index as usize).1)
    }

    /// Takes all values out. Their keys stay theirs.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.entries.drain().map(|(_, value)| value).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().map(|(index, (generation, value))| {
            (Key { index: index as u32, generation: *generation }, value)
        })
    }

    /// The key of the first value for which `f` holds, from the place of a key on and round.
    pub(crate) fn find_from(&self, start: Key, f: impl Fn(&T) -> bool) -> Option<Key> {
        let end = self.entries.capacity();
        let start = end.min(start.index as usize);
        let mut places = (start..end).chain(0..start);
        places.find_map(|index| {
            let (generation, value) = self.entries.get(index)?;
            f(value).then_some(Key { index: index as u32, generation: *generation })
        })
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, (_, value))| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(_, (_, value))| value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives the places of a burst back: if `now`, else when much fewer values were inserted since
    /// the last call. Those behind the last value, for a value does not move.
    pub(crate) fn give_back(&mut self, now: bool) {
        let lately = self.lately.needed(u64::from(self.generation), now);
        if memory::is_excess(self.entries.capacity(), self.entries.len() + lately) {
            self.entries.shrink_to_fit();
        }
    }
}
