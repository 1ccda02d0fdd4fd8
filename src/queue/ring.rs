//! A ring of closures that are called where they lie.
//!
//! The queue behind ticks and microtasks, of which a program has more than of any other callback. A
//! closure is written straight into its slot and called from there: it is never moved, and no
//! borrow flag is set and taken back for it. See the guide, Why it is fast.
//!
//! One of the files with `unsafe` code, which rests on two facts. The slots from `head` to `tail`
//! are written, and no others: both counters move together with the slots they count, before
//! anything else can run. And a closure that is called from its slot has moved its captured values
//! out before it does anything (`Closure::call_in_place`), so the slot may be written again, or the
//! ring replaced by a larger one, while it runs.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::hint::assert_unchecked;
use std::mem::{self, MaybeUninit};

use super::closure::Closure;
use super::memory;

/// Slots of the first ring. A power of two, as every later size.
const FIRST_CAPACITY: usize = 64;

type Slots = Box<[MaybeUninit<Closure>]>;

/// First in, first out. Nothing is borrowed while a closure runs.
#[derive(Default)]
pub(crate) struct Ring {
    /// Borrowed only inside the methods here, and never across a call that could come back.
    slots: UnsafeCell<Slots>,
    /// How many closures have been taken out since the ring was last seen empty; the first one's
    /// slot is this number, less whole rounds of the ring.
    head: Cell<usize>,
    /// How many closures have been put in since then. Never less than `head`.
    tail: Cell<usize>,
    /// The most closures that were put in between two moments when the ring was empty, since memory
    /// was last given back.
    peak: Cell<usize>,
}

impl Ring {
    /// Puts a closure at the end.
    #[inline]
    pub(crate) fn push(&self, f: impl FnOnce() + 'static) {
        self.put(|| Closure::new(f));
    }

    /// Puts at the end the closure that `make` makes, which is called when the slot is there, so
    /// that the closure is written straight into it.
    #[inline(always)]
    fn put(&self, make: impl FnOnce() -> Closure) {
        let tail = self.tail.get();
        // SAFETY: nothing else borrows the slots: no method leaves a borrow behind, and neither the
        // allocator nor `make`, which stores or moves a closure, calls back into the ring.
        let mut slots = unsafe { &mut *self.slots.get() };
        if tail.wrapping_sub(self.head.get()) == slots.len() {
            slots = self.grow();
        }
        // SAFETY: a ring without slots holds nothing, so it was full and has grown.
        unsafe { assert_unchecked(!slots.is_empty()) };
        let mask = slots.len() - 1;
        slots[tail & mask].write(make());
        self.tail.set(tail.wrapping_add(1));
    }

    /// Takes the first closure out, uncalled.
    pub(crate) fn pop(&self) -> Option<Closure> {
        let slot = self.take_first()?;
        // SAFETY: the slot was written and has just been taken: its closure is moved out once.
        Some(unsafe { slot.cast::<Closure>().read() })
    }

    /// Calls the first closure. False if there is none.
    #[inline]
    pub(crate) fn call_first(&self) -> bool {
        let Some(slot) = self.take_first() else { return false };
        // SAFETY: the slot was written and has just been taken: its closure is called once. Nothing
        // comes between the taking and the call that could write the slot.
        unsafe { Closure::call_in_place(slot.cast()) };
        true
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    /// Gives the slots of a burst back: if `now`, else when much fewer have been used since the
    /// last call. Does nothing while there is something in the ring.
    ///
    /// Not while one of its closures is being called.
    pub(crate) fn give_back(&self, now: bool) {
        // SAFETY: as in `put`; the borrow ends with this function, which calls nobody: slots have
        // no destructor.
        let slots = unsafe { &mut *self.slots.get() };
        let peak = self.peak.replace(0);
        let needed = if now { 0 } else { peak };
        if self.is_empty() && memory::is_excess(slots.len(), needed) {
            *slots = Slots::default();
            self.head.set(0);
            self.tail.set(0);
        }
    }

    /// Moves all that is in another ring behind what is in this one. If this one is empty they
    /// change places: nothing is moved, and the other one gets slots that were used before.
    fn append(&self, other: &mut Ring) {
        if self.is_empty() {
            // SAFETY: as in `push`; the borrow ends with the statement.
            mem::swap(unsafe { &mut *self.slots.get() }, other.slots.get_mut());
            self.head.swap(&other.head);
            self.tail.swap(&other.tail);
            self.peak.swap(&other.peak);
            return;
        }
        while let Some(closure) = other.pop() {
            self.put(|| closure);
        }
    }

    /// Counts the first closure as taken and returns its slot.
    #[inline]
    fn take_first(&self) -> Option<*mut MaybeUninit<Closure>> {
        let (head, tail) = (self.head.get(), self.tail.get());
        if head == tail {
            // Begins again with the slots that are in the cache.
            self.peak.set(self.peak.get().max(tail));
            self.head.set(0);
            self.tail.set(0);
            return None;
        }
        self.head.set(head.wrapping_add(1));
        // SAFETY: as in `push`; the borrow ends with this function.
        let slots = unsafe { &mut *self.slots.get() };
        // SAFETY: there is a closure in the ring, so there are slots.
        unsafe { assert_unchecked(!slots.is_empty()) };
        let mask = slots.len() - 1;
        Some(&raw mut slots[head & mask])
    }

    /// Doubles the ring, which is full. The counters stay as they are, and each closure goes to the
    /// slot that its number has in the larger ring: half of them move, and none in a ring that was
    /// empty not long ago. Large memory is moved by the allocator without a copy.
    #[cold]
    #[allow(clippy::mut_from_ref)]
    fn grow(&self) -> &mut Slots {
        // SAFETY: only called by `put`, which uses its borrow no more.
        let slots = unsafe { &mut *self.slots.get() };
        let before = slots.len();
        let capacity = (before * 2).max(FIRST_CAPACITY);
        let mut larger = mem::take(slots).into_vec();
        larger.reserve_exact(capacity - before);
        larger.resize_with(capacity, MaybeUninit::uninit);
        for index in 0..before {
            let number = self.head.get().wrapping_add(index);
            if number & before != 0 {
                larger.swap(number & (before - 1), number & (capacity - 1));
            }
        }
        *slots = larger.into_boxed_slice();
        slots
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while let Some(closure) = self.pop() {
            drop(closure);
        }
    }
}

/// A ring whose closures may be called on another thread than the one that put them in. All of them
/// are `Send`.
#[derive(Default)]
pub(crate) struct SendRing(Ring);

// SAFETY: every closure in it was `Send` when it was put in, and the slots belong to the ring
// alone.
unsafe impl Send for SendRing {}

impl SendRing {
    /// Puts a closure at the end.
    #[inline]
    pub(crate) fn push(&self, f: impl FnOnce() + Send + 'static) {
        self.0.push(f);
    }

    /// Calls the first closure. False if there is none.
    #[inline]
    pub(crate) fn call_first(&self) -> bool {
        self.0.call_first()
    }

    /// Takes the first closure out, uncalled.
    pub(crate) fn pop(&self) -> Option<Closure> {
        self.0.pop()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// As [`Ring::give_back`].
    pub(crate) fn give_back(&self, now: bool) {
        self.0.give_back(now);
    }

    /// Moves all that is in another ring behind what is in this one.
    pub(crate) fn append(&self, other: &mut SendRing) {
        self.0.append(&mut other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn closures_run_in_order_while_they_add_more_and_the_ring_grows() {
        let ring = Rc::new(Ring::default());
        let seen = Rc::new(Cell::new(0_u64));
        for number in 0..1000 {
            let (inner, count) = (ring.clone(), seen.clone());
            ring.push(move || {
                assert_eq!(count.replace(number + 1), number);
                let count = count.clone();
                // Written into the slot from which this closure is called.
                inner.push(move || assert_eq!(count.replace(1001 + number), 1000 + number));
            });
        }
        while ring.call_first() {}
        assert_eq!(seen.get(), 2000);
        assert!(ring.is_empty());
    }

    #[test]
    fn a_ring_of_another_thread_is_appended_in_order() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let ring = SendRing::default();
        for (round, calls) in [(0, 50), (1, 150), (2, 100)] {
            let sender = sender.clone();
            let fill = move || {
                let other = SendRing::default();
                for number in 0..100 {
                    let sender = sender.clone();
                    other.push(move || sender.send(round * 100 + number).unwrap());
                }
                other
            };
            let mut other = std::thread::spawn(fill).join().unwrap();
            ring.append(&mut other);
            assert!(other.is_empty());
            // The second round finds the ring half full, the third finds it empty.
            (0..calls).for_each(|_| assert!(ring.call_first()));
            assert_eq!(ring.len(), if round == 0 { 50 } else { 0 });
        }
        assert!(receiver.try_iter().eq(0..300));
    }

    #[test]
    fn what_is_left_is_dropped_once_and_a_panic_loses_nothing() {
        let held = Rc::new(());
        let ring = Ring::default();
        for number in 0..100 {
            let inner = held.clone();
            ring.push(move || assert!(number != 3 && Rc::strong_count(&inner) > 0, "on purpose"));
        }
        let call = || while ring.call_first() {};
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
        assert_eq!(Rc::strong_count(&held), 1 + 96);
        drop(ring.pop());
        assert_eq!(Rc::strong_count(&held), 1 + 95);
        drop(ring);
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn a_ring_keeps_its_slots_for_a_load_that_stays_and_gives_them_back_after_a_burst() {
        let ring = Ring::default();
        // SAFETY: nothing else borrows the slots at this moment.
        let capacity = |ring: &Ring| unsafe { &*ring.slots.get() }.len();
        let fill = |count| (0..count).for_each(|_| ring.push(|| ()));
        for _ in 0..if cfg!(miri) { 2 } else { 10 } {
            fill(memory::KEPT * 8);
            let before = capacity(&ring);
            ring.give_back(true);
            assert_eq!(capacity(&ring), before, "there is something in it");
            while ring.call_first() {}
            fill(10);
            while ring.call_first() {}
            ring.give_back(false);
            assert_eq!(capacity(&ring), before, "it may be needed again");
        }
        fill(10);
        while ring.call_first() {}
        ring.give_back(false);
        assert_eq!(capacity(&ring), 0);
        fill(memory::KEPT * 2);
        while ring.call_first() {}
        ring.give_back(true);
        assert_eq!(capacity(&ring), 0);
        fill(10);
        ring.give_back(true);
        assert_eq!(ring.len(), 10);
    }

    #[test]
    fn the_ring_grows_in_order_wherever_it_begins_and_when_its_counters_overflow() {
        for start in [0, 1, 63, 64, 100, usize::MAX - 2, usize::MAX - 100] {
            let ring = Ring::default();
            ring.push(|| ());
            assert!(ring.call_first());
            ring.head.set(start);
            ring.tail.set(start);
            let count = Rc::new(Cell::new(0));
            for number in 0..300 {
                let count = count.clone();
                ring.push(move || assert_eq!(count.replace(number + 1), number));
                if number % 3 == 0 {
                    assert!(ring.call_first());
                }
            }
            while ring.call_first() {}
            assert_eq!(count.get(), 300);
        }
    }
}
