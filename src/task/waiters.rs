//! The futures that wait for one source: a port, a listener, the end of a worker.
//!
//! Each future has a [`Place`] of its own. A waker cannot say whose it is: the futures of one task
//! all have the same one, and one of them that is dropped must not take another's.
//!
//! Nearly always one future waits at a time, and that costs no memory of its own. Many cost what a
//! search costs in a sorted map, also when they give up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::task::{Context, Waker};

use crate::callback;

/// A future's place among the [`Waiters`] of one source. It keeps its number from the first wait
/// on, so that the future that has waited longest is woken first.
///
/// Where a task waits without a future, by a function that polls, the source keeps a place for it
/// ([`Waiters::poller`]): the task that polled last has it.
#[derive(Debug, Default)]
pub(crate) struct Place(Cell<Option<NonZeroU64>>);

/// The futures that wait for a source, in the order in which they first did.
#[derive(Default)]
pub(crate) struct Waiters {
    /// The number of the last one that waited. It grows with each wake too, which tells a future
    /// that begins to wait whether one has come in between.
    last: Cell<u64>,
    /// The place of the task that waits by a function that polls. No destructor tells when it no
    /// longer does.
    poller: Place,
    /// Never borrowed while a waker is cloned, dropped or called: that may be anybody's code.
    list: RefCell<List>,
}

/// The wakers, by their numbers.
#[derive(Default)]
struct List {
    /// The one with the lowest number.
    first: Option<(NonZeroU64, Waker)>,
    /// All others. An empty map has no memory of its own.
    others: BTreeMap<NonZeroU64, Waker>,
}

impl Place {
    /// Whether its future waits.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.get().is_some()
    }
}

impl List {
    /// Puts a waker to its number. The one that was there comes back.
    fn insert(&mut self, number: NonZeroU64, waker: Waker) -> Option<Waker> {
        match &mut self.first {
            None => {
                self.first = Some((number, waker));
                None
            }
            Some((first, _)) if number > *first => self.others.insert(number, waker),
            Some(first) => {
                let (before, waker) = std::mem::replace(first, (number, waker));
                if before == number { Some(waker) } else { self.others.insert(before, waker) }
            }
        }
    }

    fn has(&self, number: NonZeroU64) -> bool {
        self.first.as_ref().is_some_and(|(first, _)| *first == number)
            || self.others.contains_key(&number)
    }

    fn remove(&mut self, number: NonZeroU64) -> Option<Waker> {
        let is_first = self.first.as_ref().is_some_and(|(first, _)| *first == number);
        if !is_first {
            return self.others.remove(&number);
        }
        let next = self.others.pop_first();
        std::mem::replace(&mut self.first, next).map(|(_, waker)| waker)
    }
}

impl Waiters {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.borrow().first.is_none()
    }

    /// The place of the task that waits by a function that polls.
    pub(crate) fn poller(&self) -> &Place {
        &self.poller
    }

    /// Whether a task waits by a function that polls.
    pub(crate) fn has_poller(&self) -> bool {
        self.poller.0.get().is_some_and(|number| self.list.borrow().has(number))
    }

    /// Whether a future waits: one that says so when it no longer does.
    pub(crate) fn has_futures(&self) -> bool {
        let list = self.list.borrow();
        let count = usize::from(list.first.is_some()) + list.others.len();
        count > usize::from(self.poller.0.get().is_some_and(|number| list.has(number)))
    }

    /// Takes the waker of the task out that waits by a function that polls. If it still waits when
    /// it is woken, it polls again, and keeps its place.
    pub(crate) fn take_poller(&self) -> Option<Waker> {
        self.next();
        self.poller.0.get().and_then(|number| self.list.borrow_mut().remove(number))
    }

    /// Has the future of this place wait, or wait with another waker.
    pub(crate) fn wait(&self, place: &Place, cx: &Context<'_>) {
        let last = self.last.get();
        // Anybody's code: it may bring about what the future waits for.
        let waker = cx.waker().clone();
        let is_late = self.last.get() != last;
        let number = place.0.get().unwrap_or_else(|| self.next());
        place.0.set(Some(number));
        let before = self.list.borrow_mut().insert(number, waker);
        drop(before);
        if is_late {
            cx.waker().wake_by_ref(); // It looks again.
        }
    }

    fn next(&self) -> NonZeroU64 {
        let number = NonZeroU64::MIN.saturating_add(self.last.get());
        self.last.set(number.get());
        number
    }

    /// The future of this place waits no longer: it is ready, or dropped. Nothing if it does not
    /// wait.
    pub(crate) fn leave(&self, place: &Place) {
        if let Some(number) = place.0.take() {
            let waker = self.list.borrow_mut().remove(number);
            // Its task may be about to get a value, which a panic would lose.
            callback::drop_quietly(waker);
        }
    }

    /// Takes all wakers out, the one that has waited longest first. A future that is woken waits
    /// again if it finds nothing.
    pub(crate) fn take(&self) -> impl Iterator<Item = Waker> + use<> {
        self.next();
        let List { first, others } = self.list.take();
        first.into_iter().map(|(_, waker)| waker).chain(others.into_values())
    }

    /// Wakes all futures that wait.
    pub(crate) fn wake(&self) {
        wake_each(self.take());
    }
}

/// Wakes one after the other. A wake is anybody's code: its panic is told later, and costs neither
/// the others theirs nor the caller what it does next. One that ends its loop does so when all are
/// woken.
#[inline]
pub(crate) fn wake_each(wakers: impl IntoIterator<Item = Waker>) {
    let mut halts = false;
    for waker in wakers {
        halts |= callback::aside(|| waker.wake());
    }
    if halts {
        callback::halt();
    }
}

/// Wakes one. See [`wake_each`].
#[inline]
pub(crate) fn wake(waker: Waker) {
    wake_each([waker]);
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("empty", &self.is_empty()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts its wakes.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), Waker::from(count))
    }

    #[test]
    fn who_leaves_takes_only_its_own_place_also_with_the_same_waker() {
        for leaver in 0..3 {
            let (count, waker) = waker();
            let waiters = Waiters::default();
            let places = [(); 3].map(|()| Place::default());
            for place in &places {
                waiters.wait(place, &Context::from_waker(&waker));
            }
            waiters.leave(&places[leaver]);
            waiters.leave(&places[leaver]);
            waiters.wake();
            assert_eq!(count.0.load(Ordering::Relaxed), 2);
            assert!(waiters.is_empty());
        }
    }

    #[test]
    fn who_waits_again_replaces_its_own_waker() {
        let waiters = Waiters::default();
        let places = [Place::default(), Place::default()];
        let [(one, waker), (other, later)] = [(); 2].map(|()| waker());
        for place in &places {
            waiters.wait(place, &Context::from_waker(&waker));
            waiters.wait(place, &Context::from_waker(&later));
        }
        waiters.wake();
        assert_eq!(one.0.load(Ordering::Relaxed), 0);
        assert_eq!(other.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_has_waited_longest_comes_first_also_when_it_waits_again_last() {
        let waiters = Waiters::default();
        let places = [(); 3].map(|()| Place::default());
        let wakers = [(); 3].map(|()| waker().1);
        for (place, waker) in places.iter().zip(&wakers) {
            waiters.wait(place, &Context::from_waker(waker));
        }
        assert_eq!(waiters.take().count(), 3);
        for index in [2, 0, 1] {
            waiters.wait(&places[index], &Context::from_waker(&wakers[index]));
        }
        let order: Vec<_> = waiters.take().collect();
        assert!(order.iter().zip(&wakers).all(|(woken, waker)| woken.data() == waker.data()));
    }
}
