//! A callback that is called where it is stored, once or again and again.
//!
//! What a timer calls: the closure of a time-out, spent by its call, or that of an interval, called each
//! time with the timer. Both fit the same four words, so that a table of timers is one flat array
//! and a small closure costs no allocation; a larger one is boxed. Which of the two it is need not be
//! known to call it or drop it.
//!
//! One of the files with `unsafe` code. As in [`closure`](super::closure), all of it rests on one fact: the
//! operations stored in a `Callable` were chosen, by type, in the function that wrote its storage.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};

/// Words of captured values that are stored in place.
const WORDS: usize = 3;

type Storage = [MaybeUninit<usize>; WORDS];

/// What can be done with a callback whose type is no longer known.
struct Operations<A: 'static> {
    call: unsafe fn(&mut Callable<A>, A),
    /// Drops what is in the storage. None if there is nothing to drop, which saves a call.
    drop: Option<unsafe fn(*mut Storage)>,
}

/// An `FnOnce()` or an `FnMut(A)` of any type, in four words.
pub(crate) struct Callable<A: 'static> {
    operations: &'static Operations<A>,
    /// The captured values, of the type that `operations` are for.
    storage: Storage,
    /// Captured values may belong to this thread.
    _not_send: PhantomData<*mut ()>,
}

impl<A> Callable<A> {
    /// A callback that does something at its first call, and nothing from then on.
    #[inline]
    pub(crate) fn once(f: impl FnOnce() + 'static) -> Callable<A> {
        if fits_in_place(&f) {
            return Once::store(f);
        }
        Once::store(Box::new(f))
    }

    /// A callback that can be called any number of times.
    #[inline]
    pub(crate) fn again(f: impl FnMut(A) + 'static) -> Callable<A> {
        if fits_in_place(&f) {
            return Again::store(f);
        }
        Again::store(Box::new(f))
    }

    #[inline]
    pub(crate) fn call(&mut self, argument: A) {
        // SAFETY: the operations are for what is in the storage.
        unsafe { (self.operations.call)(self, argument) }
    }

    #[inline]
    fn store<F>(operations: &'static Operations<A>, f: F) -> Callable<A> {
        assert!(fits_in_place(&f), "a larger closure was boxed");
        let mut storage: Storage = [MaybeUninit::uninit(); WORDS];
        // SAFETY: the storage is large and aligned enough for an `F`, as just checked, and nothing has
        // been written there that would have to be dropped.
        unsafe { storage.as_mut_ptr().cast::<F>().write(f) };
        Callable { operations, storage, _not_send: PhantomData }
    }
}

impl<A> Drop for Callable<A> {
    #[inline]
    fn drop(&mut self) {
        if let Some(operation) = self.operations.drop {
            // SAFETY: the operations are for what is in the storage, which is not used again.
            unsafe { operation(&mut self.storage) }
        }
    }
}

#[inline]
fn fits_in_place<F>(_: &F) -> bool {
    mem::size_of::<F>() <= mem::size_of::<Storage>()
        && mem::align_of::<F>() <= mem::align_of::<Storage>()
}

/// The operation that drops an `F` in the storage, if that does anything.
const fn drop_of<F>() -> Option<unsafe fn(*mut Storage)> {
    /// # Safety
    /// The storage holds an `F`, which is not used again.
    unsafe fn drop_in_place<F>(storage: *mut Storage) {
        // SAFETY: the caller's promise.
        unsafe { storage.cast::<F>().drop_in_place() }
    }
    if mem::needs_drop::<F>() { Some(drop_in_place::<F>) } else { None }
}

/// The operations on closures that are spent by their call.
struct Once<F, A>(PhantomData<(F, A)>);

impl<F: FnOnce(), A: 'static> Once<F, A> {
    const OPERATIONS: &'static Operations<A> =
        &Operations { call: Self::call, drop: drop_of::<F>() };

    #[inline]
    fn store(f: F) -> Callable<A> {
        Callable::store(Self::OPERATIONS, f)
    }

    /// # Safety
    /// The storage of `this` holds an `F`.
    unsafe fn call(this: &mut Callable<A>, _argument: A) {
        // SAFETY: the caller's promise. The closure is moved out, and the operations that take its place
        // touch no storage.
        let f = unsafe { this.storage.as_ptr().cast::<F>().read() };
        this.operations = Spent::OPERATIONS;
        f();
    }
}

/// The operations on closures that stay.
struct Again<F, A>(PhantomData<(F, A)>);

impl<F: FnMut(A), A: 'static> Again<F, A> {
    const OPERATIONS: &'static Operations<A> =
        &Operations { call: Self::call, drop: drop_of::<F>() };

    #[inline]
    fn store(f: F) -> Callable<A> {
        Callable::store(Self::OPERATIONS, f)
    }

    /// # Safety
    /// The storage of `this` holds an `F`.
    unsafe fn call(this: &mut Callable<A>, argument: A) {
        // SAFETY: the caller's promise. `this` is borrowed for the whole call, so nobody else can call
        // or drop the closure meanwhile.
        let f = unsafe { &mut *this.storage.as_mut_ptr().cast::<F>() };
        f(argument);
    }
}

/// The operations on what a closure leaves behind.
struct Spent<A>(PhantomData<A>);

impl<A: 'static> Spent<A> {
    const OPERATIONS: &'static Operations<A> = &Operations { call: Self::call, drop: None };

    fn call(_: &mut Callable<A>, _argument: A) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    #[test]
    fn what_is_called_once_is_called_once_and_dropped_by_the_call() {
        let (held, calls) = (Rc::new(()), Rc::new(Cell::new(0)));
        for ballast in [false, true] {
            let (guard, count) = (held.clone(), calls.clone());
            let large = [7_u64; 9];
            let mut callable: Callable<u8> = if ballast {
                Callable::once(move || count.set(count.get() + large[Rc::strong_count(&guard)]))
            } else {
                Callable::once(move || count.set(count.get() + 5 + Rc::strong_count(&guard) as u64))
            };
            callable.call(1);
            assert_eq!(Rc::strong_count(&held), 1);
            callable.call(2);
        }
        assert_eq!(calls.get(), 7 + 7);
        assert_eq!(mem::size_of::<Option<Callable<u64>>>(), 32);
    }

    #[test]
    fn what_is_called_again_keeps_its_state_and_is_dropped_with_it() {
        let (held, sum) = (Rc::new(()), Rc::new(Cell::new(0)));
        for ballast in [false, true] {
            let (guard, total) = (held.clone(), sum.clone());
            let (large, mut number) = ([100_u64; 9], 0);
            let mut callable = if ballast {
                Callable::again(move |argument: u64| {
                    number += 1;
                    total.set(total.get() + number * argument + large[Rc::strong_count(&guard)]);
                })
            } else {
                Callable::again(move |argument: u64| total.set(total.get() + argument))
            };
            (0..3).for_each(|_| callable.call(10));
        }
        assert_eq!(sum.get(), 30 + 10 + 20 + 30 + 300);
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn a_panic_drops_what_is_spent_and_leaves_what_stays() {
        let held = Rc::new(());
        let (one, other) = (held.clone(), held.clone());
        let mut once: Callable<u8> =
            Callable::once(move || assert_eq!(Rc::strong_count(&one), 0, "on purpose"));
        let mut again: Callable<u8> =
            Callable::again(move |_| assert_eq!(Rc::strong_count(&other), 0, "on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(|| once.call(0))).is_err());
        assert_eq!(Rc::strong_count(&held), 2);
        once.call(0);
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| again.call(0))).is_err());
        }
        drop((once, again));
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
