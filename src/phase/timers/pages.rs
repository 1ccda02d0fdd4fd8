//! A sparse array. It has memory for 64 neighbouring places at a time, a page, and gives a page back
//! when none of its places is in use.
//!
//! A place never moves, so its index is a name for what stands in it, and the memory of a burst can
//! go although something that came with the burst stays.

/// What stands in a place.
pub(super) trait Place {
    /// What stands in a place that is not in use.
    const FREE: Self;

    /// Whether the place is not in use.
    fn is_free(&self) -> bool;
}

/// Places of a page.
pub(super) const PAGE: usize = 64;

pub(super) struct Pages<T> {
    /// Each page, or none where no place is in use.
    pages: Vec<Option<Box<[T; PAGE]>>>,
    /// How many pages there are.
    present: usize,
    /// No page below this number is missing.
    dense: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Pages<T> {
        Pages { pages: Vec::new(), present: 0, dense: 0 }
    }
}

impl<T: Place> Pages<T> {
    /// A place, if its page is there.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let page = self.pages.get(index / PAGE)?.as_ref()?;
        Some(&page[index % PAGE])
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let page = self.pages.get_mut(index / PAGE)?.as_mut()?;
        Some(&mut page[index % PAGE])
    }

    /// A place whose page may have to be made.
    #[inline(always)]
    pub(super) fn make(&mut self, index: usize) -> &mut T {
        let page = index / PAGE;
        let places = match self.pages.get(page) {
            Some(Some(_)) => self.pages[page].as_mut().expect("it is there"),
            _ => self.make_page(page),
        };
        &mut places[index % PAGE]
    }

    /// Makes the first page that is missing. Returns its places and the index of the first one.
    pub(super) fn add_page(&mut self) -> (usize, &mut [T; PAGE]) {
        while matches!(self.pages.get(self.dense), Some(Some(_))) {
            self.dense += 1;
        }
        (self.dense * PAGE, self.make_page(self.dense))
    }

    #[cold]
    #[inline(never)]
    fn make_page(&mut self, page: usize) -> &mut [T; PAGE] {
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        self.present += 1;
        self.pages[page].insert(Box::new([const { T::FREE }; PAGE]))
    }

    /// Gives the pages back of which no place is in use.
    pub(super) fn give_back(&mut self) {
        for page in &mut self.pages {
            if page.as_ref().is_some_and(|places| places.iter().all(T::is_free)) {
                *page = None;
                self.present -= 1;
            }
        }
        let end = self.pages.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.pages.truncate(end);
        self.pages.shrink_to_fit();
        self.dense = 0;
    }

    /// How many places have memory.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.present * PAGE
    }

    /// The places that have memory.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().flat_map(|page| page.iter())
    }

    /// The places that have memory with their indices, the last one first.
    pub(super) fn backwards(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.pages.iter_mut().enumerate().rev().flat_map(|(number, page)| {
            let places = page.iter_mut().flat_map(|page| page.iter_mut().enumerate().rev());
            places.map(move |(index, place)| (number * PAGE + index, place))
        })
    }

    pub(super) fn into_places(self) -> impl Iterator<Item = T> {
        self.pages.into_iter().flatten().flat_map(|page| *page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Place for u64 {
        const FREE: u64 = 0;
        fn is_free(&self) -> bool {
            *self == 0
        }
    }

    #[test]
    fn a_page_is_made_when_wanted_and_goes_when_no_place_of_it_is_in_use() {
        let mut pages = Pages::default();
        for index in [0, 63, 64, 1000, 100_000] {
            assert!(pages.get(index).is_none_or(u64::is_free));
            *pages.make(index) = index as u64 + 1;
        }
        assert_eq!(pages.capacity(), 4 * PAGE);
        assert!(pages.get(200).is_none());
        assert_eq!(pages.iter().filter(|place| !place.is_free()).count(), 5);
        let backwards = pages.backwards().filter(|(_, place)| !place.is_free());
        assert!(backwards.map(|(index, _)| index).eq([100_000, 1000, 64, 63, 0]));

        for gone in [63, 64, 100_000] {
            *pages.make(gone) = 0;
        }
        pages.give_back();
        assert_eq!((pages.capacity(), pages.pages.len()), (2 * PAGE, 1000 / PAGE + 1));
        assert_eq!((pages.get(0), pages.get(64), pages.get(1000)), (Some(&1), None, Some(&1001)));
        assert_eq!((pages.add_page().0, pages.add_page().0), (PAGE, 2 * PAGE));
    }
}
