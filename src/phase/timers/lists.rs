//! Which list has the timers of a delay.
//!
//! A list is named by a number. Delays up to two minutes are looked up in a directory without
//! hashing: it has one entry for 16 neighbouring delays, whose lists have numbers side by side and
//! are made together when the first of them is wanted. So the directory takes 32 KB at most; a
//! plain array with an entry for each delay would take 480 KB in each loop with a timer of two
//! minutes. A list of a longer delay is found by hash, and makes room for another when it is given
//! up.
//!
//! The ends of a list, which each arming reads, stand apart from the rest of it: those of 100,000
//! lists fit the second-level cache. See the guide, Why it is fast.

use std::collections::HashMap;

/// The end of a chain of 32-bit links.
pub(super) const NONE: u32 = u32::MAX;

/// Delays below this many milliseconds are in the directory.
const COMMON: u64 = 1 << 17;

/// Neighbouring delays with one entry in the directory.
const PAGE: usize = 16;

/// The end of an empty list that still waits in the heap. No timer has this number.
pub(super) const KEPT: u32 = NONE - 1;

/// The first and the last of the timers of one delay, in the order they were armed.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// `NONE` when the list is empty.
    pub(super) first: u32,
    /// `KEPT` when the list is empty and waits in the heap; `NONE` when it does not wait there: it
    /// was given up, or not used yet. So arming knows without a look at the rest.
    pub(super) last: u32,
}

impl Ends {
    const UNUSED: Ends = Ends { first: NONE, last: NONE };
}

/// The rest of a list.
#[derive(Clone, Copy)]
struct List {
    /// The number of its item in the heap; zero when it has none.
    sequence: u64,
    /// The delay of its timers in milliseconds.
    delay: u64,
}

/// The lists of a loop by their delays.
#[derive(Default)]
pub(super) struct Lists {
    /// The ends of each list.
    ends: Vec<Ends>,
    /// The rest of each list, at the same index.
    lists: Vec<List>,
    /// For each page of common delays the number of its first list, or `NONE`. It is as long as the
    /// longest common delay so far needs.
    directory: Vec<u32>,
    /// The lists of longer delays that are in use.
    others: HashMap<u64, u32>,
    /// The lists of longer delays that were given up.
    free: Vec<u32>,
}

impl Lists {
    /// The list of a delay. It may be new, or given up before.
    #[inline]
    pub(super) fn of(&mut self, delay: u64) -> u32 {
        let page = delay as usize / PAGE;
        match self.directory.get(page) {
            Some(&start) if start != NONE => start + (delay as usize % PAGE) as u32,
            _ => self.make(delay),
        }
    }

    #[cold]
    fn make(&mut self, delay: u64) -> u32 {
        if delay < COMMON {
            return self.make_page(delay as usize);
        }
        if let Some(list) = self.others.get(&delay) {
            return *list;
        }
        let list = List { sequence: 0, delay };
        let number = match self.free.pop() {
            Some(number) => {
                self.lists[number as usize] = list;
                number
            }
            None => {
                self.ends.push(Ends::UNUSED);
                self.lists.push(list);
                number(self.lists.len() - 1)
            }
        };
        self.others.insert(delay, number);
        number
    }

    fn make_page(&mut self, delay: usize) -> u32 {
        let page = delay / PAGE;
        if page >= self.directory.len() {
            self.directory.resize(page + 1, NONE);
        }
        let start = number(self.lists.len());
        self.directory[page] = start;
        let delays = (page * PAGE) as u64..((page + 1) * PAGE) as u64;
        self.ends.extend([Ends::UNUSED; PAGE]);
        self.lists.extend(delays.map(|delay| List { sequence: 0, delay }));
        start + (delay % PAGE) as u32
    }

    #[inline]
    pub(super) fn ends(&mut self, list: u32) -> &mut Ends {
        &mut self.ends[list as usize]
    }

    /// The number of a list's item in the heap; zero when it is not there.
    #[inline]
    pub(super) fn sequence(&self, list: u32) -> u64 {
        self.lists[list as usize].sequence
    }

    pub(super) fn set_sequence(&mut self, list: u32, sequence: u64) {
        self.lists[list as usize].sequence = sequence;
    }

    /// How many lists of longer delays there are, in use or not.
    #[inline]
    pub(super) fn long(&self) -> usize {
        self.others.len() + self.free.len()
    }

    /// The delay of a list.
    pub(super) fn delay(&self, list: u32) -> u64 {
        self.lists[list as usize].delay
    }

    /// An empty list is no longer wanted. Its number may go to the list of another delay.
    pub(super) fn give_up(&mut self, number: u32) {
        self.ends[number as usize] = Ends::UNUSED;
        let list = &mut self.lists[number as usize];
        list.sequence = 0;
        if list.delay >= COMMON {
            let delay = list.delay;
            self.others.remove(&delay);
            self.free.push(number);
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a loop has fewer than 2^32 delays in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_has_a_list_of_its_own_and_keeps_it_while_it_is_in_use() {
        let mut lists = Lists::default();
        let delays = [1, 15, 16, 17, COMMON - 1, COMMON, COMMON + 1, u64::MAX];
        let numbers = delays.map(|delay| lists.of(delay));
        for (index, number) in numbers.iter().enumerate() {
            assert_eq!(lists.lists[*number as usize].delay, delays[index]);
            assert!(!numbers[..index].contains(number));
        }
        assert_eq!(delays.map(|delay| lists.of(delay)), numbers);
    }

    #[test]
    fn the_list_of_a_long_delay_makes_room_when_it_is_given_up() {
        let mut lists = Lists::default();
        let first = lists.of(COMMON);
        for delay in 0..1000 {
            let list = lists.of(COMMON + delay);
            lists.give_up(list);
            assert_eq!(list, first);
        }
        assert!(lists.others.is_empty());
        assert_eq!(lists.lists.len(), 1);
    }
}
