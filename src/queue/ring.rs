//! A ring of closures that are called where they lie.
//!
//! The queue behind ticks and microtasks, of which a program has more than of any other callback. A
//! closure is written straight into its slot and called from there: it is never moved, and no borrow
//! flag is set and taken back for it. A `RefCell<VecDeque<Closure>>` moves each closure out to the
//! stack before the call, at twice the instructions (145 for a microtask queued and run, 75 here; 9.1 ns and 3.8 ns).
//!
//! One of the files with `unsafe` code, which rests on two facts. The slots from `head` to `tail` are
//! written, and no others: both counters move together with what they stand for, before anything else
//! can run. And whoever is called from a slot has moved its captured values out before it does anything
//! (`Closure::call_in_place`), so the slot may be written again, or the ring replaced by a larger
//! one, while it runs.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use super::closure::Closure;

/// Slots of the first ring. A power of two, as every later size.
const FIRST_CAPACITY: usize = 64;

type Slots = Box<[MaybeUninit<Closure>]>;

/// First in, first out. Nothing is borrowed while a closure runs.
#[derive(Default)]
pub(crate) struct Ring {
    /// Borrowed only inside the methods here, and never across a call that could come back.
    slots: UnsafeCell<Slots>,
    /// How many closures have been taken out since the ring was last seen empty; the first one's slot is
    /// this number, less whole rounds of the ring.
    head: Cell<usize>,
    /// How many have been put in since then.
    tail: Cell<usize>,
}

impl Ring {
    /// Puts a closure at the end.
    #[inline]
    pub(crate) fn push(&self, f: impl FnOnce() + 'static) {
        let tail = self.tail.get();
        // SAFETY: nothing else borrows the slots: no method leaves a borrow behind, and neither the
        // allocator nor `Closure::new` calls back into the ring.
        let mut slots = unsafe { &mut *self.slots.get() };
        if tail.wrapping_sub(self.head.get()) == slots.len() {
            slots = self.grow();
        }
        let mask = slots.len() - 1;
        slots[tail & mask].write(Closure::new(f));
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

    /// Counts the first closure as taken and returns its slot.
    #[inline]
    fn take_first(&self) -> Option<*mut MaybeUninit<Closure>> {
        let head = self.head.get();
        if head == self.tail.get() {
            // Begins again with the slots that are in the cache.
            self.head.set(0);
            self.tail.set(0);
            return None;
        }
        self.head.set(head.wrapping_add(1));
        // SAFETY: as in `push`; the borrow ends with this function.
        let slots = unsafe { &mut *self.slots.get() };
        let mask = slots.len() - 1;
        Some(&raw mut slots[head & mask])
    }

    /// Doubles the ring, which is full. The counters stay as they are, and each closure moves to the slot
    /// that its number has in the larger ring.
    #[cold]
    #[allow(clippy::mut_from_ref)]
    fn grow(&self) -> &mut Slots {
        // SAFETY: only called by `push`, which uses its borrow no more.
        let slots = unsafe { &mut *self.slots.get() };
        let capacity = (slots.len() * 2).max(FIRST_CAPACITY);
        let mut larger = Box::<[Closure]>::new_uninit_slice(capacity);
        for index in 0..slots.len() {
            let number = self.head.get().wrapping_add(index);
            let slot = &slots[number & (slots.len() - 1)];
            // SAFETY: the ring is full, so every slot is written. The old slots are freed below without
            // dropping what was in them.
            larger[number & (capacity - 1)].write(unsafe { slot.assume_init_read() });
        }
        *slots = larger;
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
