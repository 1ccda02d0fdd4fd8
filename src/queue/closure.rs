//! A callback stored where it waits.
//!
//! Queuing a small closure must not allocate. A [`Stored`] has room for three words of captured
//! values beside the function that acts on them, so that a queue or a table of closures is one flat
//! array; a larger closure is boxed, and the box is stored like any other closure. Three kinds are
//! made of it:
//!
//! - [`Closure`], called once, by value, which queues hold;
//! - [`ResultClosure`], the same with an argument, which waits for a result;
//! - [`Callable`], called where it lies, once or again and again: the closure of a time-out, spent
//!   by its call, or that of an interval. A table of timers need not know which of the two it
//!   holds.
//!
//! This is one of the few files with `unsafe` code. All of it rests on one fact: the function in a
//! `Stored` was chosen, by type, in the function that wrote its storage.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};

/// Words of captured values that are stored in place. Three hold an `Rc`, an index and one more.
const WORDS: usize = 3;

type Storage = [MaybeUninit<usize>; WORDS];

/// Whether a value of this type can be stored in place.
const fn fits<F>() -> bool {
    mem::size_of::<F>() <= mem::size_of::<Storage>()
        && mem::align_of::<F>() <= mem::align_of::<Storage>()
}

/// Acts on a closure whose type is no longer known: calls it with the argument, or drops it if
/// there is none.
type Act<A> = unsafe fn(*mut Stored<A>, Option<A>);

/// A closure of any type in four words.
struct Stored<A> {
    /// The captured values, or the box that has them, of the type that `act` is for.
    storage: Storage,
    /// One function for both: a table of two would cost its address, and the load of it.
    act: Act<A>,
    /// Captured values may belong to this thread.
    _not_send: PhantomData<*mut ()>,
}

impl<A> Stored<A> {
    /// A closure that is spent when it is acted on, and must not be acted on again.
    #[inline(always)]
    fn once<F: FnOnce(A)>(f: F) -> Stored<A> {
        // SAFETY: the functions are for these types.
        unsafe { Stored::new(f, spend::<F, A>, spend::<Box<F>, A>) }
    }

    /// A closure that leaves behind one that does nothing.
    #[inline(always)]
    fn at_first<F: FnOnce(A)>(f: F) -> Stored<A> {
        // SAFETY: as in `once`.
        unsafe { Stored::new(f, replace::<F, A>, replace::<Box<F>, A>) }
    }

    /// A closure that stays until it is dropped.
    #[inline(always)]
    fn again<F: FnMut(A)>(f: F) -> Stored<A> {
        // SAFETY: as in `once`.
        unsafe { Stored::new(f, keep::<F, A>, keep::<Box<F>, A>) }
    }

    /// # Safety
    /// The first function is for an `F`, the second for a `Box<F>`.
    #[inline(always)]
    unsafe fn new<F>(f: F, in_place: Act<A>, boxed: Act<A>) -> Stored<A> {
        let mut storage: Storage = [MaybeUninit::uninit(); WORDS];
        let act = if fits::<F>() {
            // SAFETY: the storage is large and aligned enough for an `F`, as just checked, and
            // nothing has been written there that would have to be dropped.
            unsafe { storage.as_mut_ptr().cast::<F>().write(f) };
            in_place
        } else {
            // SAFETY: as above: a box of a sized value is one word.
            unsafe { storage.as_mut_ptr().cast::<Box<F>>().write(Box::new(f)) };
            boxed
        };
        Stored { storage, act, _not_send: PhantomData }
    }
}

impl<A> Drop for Stored<A> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `new` got the function for what it stored. One that was spent by value never gets
        // here.
        unsafe { (self.act)(self, None) }
    }
}

/// # Safety
/// The place holds an `F`, which is moved out: it must not be used again.
#[inline(always)]
unsafe fn spend<F: FnOnce(A), A>(place: *mut Stored<A>, argument: Option<A>) {
    // SAFETY: the caller's promise.
    let f = unsafe { (&raw mut (*place).storage).cast::<F>().read() };
    if let Some(argument) = argument {
        f(argument);
    }
}

/// # Safety
/// The place holds an `F`.
unsafe fn replace<F: FnOnce(A), A>(place: *mut Stored<A>, argument: Option<A>) {
    // SAFETY: the caller's promise. The function that takes the place of this one touches no
    // storage.
    unsafe {
        (*place).act = |_, _| ();
        spend::<F, A>(place, argument);
    }
}

/// # Safety
/// The place holds an `F`, which nobody else uses meanwhile. Without an argument it must not be
/// used again.
unsafe fn keep<F: FnMut(A), A>(place: *mut Stored<A>, argument: Option<A>) {
    // SAFETY: the caller's promise.
    unsafe {
        let f = (&raw mut (*place).storage).cast::<F>();
        match argument {
            Some(argument) => (*f)(argument),
            None => f.drop_in_place(),
        }
    }
}

/// An `FnOnce()` of any type.
pub(crate) struct Closure(Stored<()>);

impl Closure {
    /// Stores `f`, in place when it fits in three words, else in a box.
    #[inline(always)]
    pub(crate) fn new(f: impl FnOnce() + 'static) -> Closure {
        Closure(Stored::once(move |()| f()))
    }

    /// Calls the closure. Its captured values are dropped by the call, also when it panics.
    #[inline]
    pub(crate) fn call(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the closure is spent here and nowhere else: `ManuallyDrop` keeps `drop` from
        // running.
        unsafe { (this.0.act)(&mut this.0, Some(())) }
    }

    /// Calls the closure at a place in memory, which it leaves: the captured values are moved out
    /// before anything else happens, so the place may be written again during the call.
    ///
    /// # Safety
    /// The place holds a closure, which must not be used again.
    #[inline]
    pub(super) unsafe fn call_in_place(place: *mut Closure) {
        // SAFETY: the caller's promise. The place is passed as a pointer, for a reference would
        // claim it for the whole call.
        unsafe { ((*place).0.act)(&raw mut (*place).0, Some(())) }
    }
}

/// An `FnOnce(A)` of any type: a callback that is given a result.
pub(crate) struct ResultClosure<A>(Stored<A>);

impl<A> ResultClosure<A> {
    /// As [`Closure::new`].
    #[inline]
    pub(crate) fn new(f: impl FnOnce(A) + 'static) -> ResultClosure<A> {
        ResultClosure(Stored::once(f))
    }

    /// As [`Closure::call`].
    #[inline]
    pub(crate) fn call_result(self, argument: A) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: as in `Closure::call`.
        unsafe { (this.0.act)(&mut this.0, Some(argument)) }
    }
}

/// An `FnOnce()` or an `FnMut(A)` of any type, called where it is stored.
pub(crate) struct Callable<A>(Stored<A>);

impl<A> Callable<A> {
    /// A callback that does something at its first call, and nothing from then on.
    #[inline]
    pub(crate) fn once(f: impl FnOnce() + 'static) -> Callable<A> {
        Callable(Stored::at_first(move |_| f()))
    }

    /// A callback that can be called any number of times.
    #[inline]
    pub(crate) fn again(f: impl FnMut(A) + 'static) -> Callable<A> {
        Callable(Stored::again(f))
    }

    #[inline]
    pub(crate) fn call(&mut self, argument: A) {
        // SAFETY: the function is for what is stored, and neither kind of `Callable` is spent by a
        // call. It is borrowed for the whole call, so nobody else uses it meanwhile.
        unsafe { (self.0.act)(&mut self.0, Some(argument)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    #[test]
    fn small_and_large_closures_are_called_once_and_dropped_once() {
        let drops = Rc::new(Cell::new(0));
        struct CountsDrops(Rc<Cell<u32>>);
        impl Drop for CountsDrops {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let calls = Rc::new(Cell::new(0));
        let make = |padding: bool| {
            let (guard, calls) = (CountsDrops(drops.clone()), calls.clone());
            if padding {
                let ballast = [7_u64; 9];
                Closure::new(move || {
                    let _held = &guard;
                    calls.set(calls.get() + ballast[3]);
                })
            } else {
                Closure::new(move || {
                    let _held = &guard;
                    calls.set(calls.get() + 7);
                })
            }
        };
        for padding in [false, true] {
            make(padding).call();
            drop(make(padding));
        }
        assert_eq!((calls.get(), drops.get()), (14, 4));
        assert_eq!(mem::size_of::<Closure>(), 32);
        assert_eq!(mem::size_of::<Option<Closure>>(), 32);
    }

    #[test]
    fn a_result_closure_is_called_once_with_its_argument_or_dropped_once() {
        let held = Rc::new(Cell::new(0));
        let make = |padding: bool| {
            let held = held.clone();
            let ballast = [1_u64; 9];
            if padding {
                ResultClosure::new(move |text: String| {
                    held.set(held.get() + text.len() as u64 * ballast[5]);
                })
            } else {
                ResultClosure::new(move |text: String| held.set(held.get() + text.len() as u64))
            }
        };
        for padding in [false, true] {
            make(padding).call_result("seven".to_owned());
            drop(make(padding));
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let held = held.clone();
                ResultClosure::new(move |_: String| {
                    let _held = &held;
                    panic!("on purpose");
                })
                .call_result(String::new());
            }));
            assert!(caught.is_err());
        }
        assert_eq!((held.get(), Rc::strong_count(&held)), (10, 1));
    }

    #[test]
    fn over_aligned_and_empty_closures_work() {
        #[repr(align(64))]
        struct Aligned(u8);
        let seen = Rc::new(Cell::new(0));
        let (value, out) = (Aligned(9), seen.clone());
        Closure::new(move || {
            let value = &value;
            assert_eq!(std::ptr::from_ref(value).addr() % 64, 0);
            out.set(value.0);
        })
        .call();
        Closure::new(|| ()).call();
        assert_eq!(seen.get(), 9);
    }

    #[test]
    fn a_panicking_closure_drops_what_it_captured() {
        let held = Rc::new(());
        let inner = held.clone();
        let closure = Closure::new(move || {
            let _held = &inner;
            panic!("on purpose");
        });
        let caught = catch_unwind(AssertUnwindSafe(|| closure.call()));
        assert!(caught.is_err());
        assert_eq!(Rc::strong_count(&held), 1);
    }

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
