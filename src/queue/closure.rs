//! A callback stored where it waits.
//!
//! Queuing a small closure must not allocate. A [`Closure`] has room for three words of captured
//! values beside its table of operations, so that a queue of closures is one flat array; a larger
//! closure is boxed and the box is stored instead. Each closure is either called once or dropped
//! once, by value.
//!
//! This is one of the few files with `unsafe` code. All of it rests on one fact: the operations
//! stored in a `Closure` were chosen, by type, in the same function that wrote the storage.
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

/// What can be done with a closure whose type is no longer known.
struct Operations {
    /// Moves the closure out of the storage and calls it.
    call: unsafe fn(*mut Storage),
    /// Drops the closure in the storage uncalled.
    drop: unsafe fn(*mut Storage),
}

/// An `FnOnce()` of any type in four words.
pub(crate) struct Closure {
    /// The captured values, or the pointer of a box that has them. Initialised until the closure
    /// is called or dropped; which bytes depends on `operations`.
    storage: Storage,
    /// The operations for the type that `storage` was written with.
    operations: &'static Operations,
    /// Captured values may belong to this thread.
    _not_send: PhantomData<*mut ()>,
}

impl Closure {
    /// Stores `f`, in place when it fits in three words, else in a box.
    #[inline(always)]
    pub(crate) fn new<F: FnOnce() + 'static>(f: F) -> Closure {
        let mut storage: Storage = [MaybeUninit::uninit(); WORDS];
        let operations = if fits::<F>() {
            // SAFETY: the storage is large and aligned enough for an `F`, as just checked, and
            // nothing has been written there that would have to be dropped.
            unsafe { storage.as_mut_ptr().cast::<F>().write(f) };
            InPlace::<F>::OPERATIONS
        } else {
            // SAFETY: a thin pointer fits in one word of the storage and has its alignment.
            unsafe { storage.as_mut_ptr().cast::<*mut F>().write(Box::into_raw(Box::new(f))) };
            Boxed::<F>::OPERATIONS
        };
        Closure { storage, operations, _not_send: PhantomData }
    }

    /// Calls the closure. Its captured values are dropped by the call, also when it panics.
    #[inline]
    pub(crate) fn call(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `new` chose the operations for the type it stored; `ManuallyDrop` keeps `drop`
        // from running, so the value is moved out exactly once.
        unsafe { (this.operations.call)(&mut this.storage) }
    }

    /// Calls the closure at a place in memory, which it leaves: the captured values are moved out before
    /// anything else happens, so the place may be written again during the call.
    ///
    /// # Safety
    /// The place holds a closure, which must not be used again.
    #[inline]
    pub(super) unsafe fn call_in_place(place: *mut Closure) {
        // SAFETY: the caller's promise: `new` chose the operations for what it stored here. The storage
        // is passed as a pointer, for a reference would claim the place for the whole call.
        unsafe { ((*place).operations.call)(&raw mut (*place).storage) }
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // SAFETY: a closure that was called never gets here (see `call`), so the storage still
        // holds the value that `new` wrote, of the type that the operations are for.
        unsafe { (self.operations.drop)(&mut self.storage) }
    }
}

struct InPlace<F>(PhantomData<F>);

impl<F: FnOnce()> InPlace<F> {
    const OPERATIONS: &'static Operations = &Operations { call: Self::call, drop: Self::drop };

    /// # Safety
    /// The storage holds an `F`, which is moved out: it must not be used again.
    unsafe fn call(storage: *mut Storage) {
        // SAFETY: the caller's promise.
        let f = unsafe { storage.cast::<F>().read() };
        f();
    }

    /// # Safety
    /// As for `call`.
    unsafe fn drop(storage: *mut Storage) {
        // SAFETY: the caller's promise.
        unsafe { storage.cast::<F>().drop_in_place() }
    }
}

struct Boxed<F>(PhantomData<F>);

impl<F: FnOnce()> Boxed<F> {
    const OPERATIONS: &'static Operations = &Operations { call: Self::call, drop: Self::drop };

    /// # Safety
    /// The storage holds the pointer of a `Box<F>`, which is taken over: it must not be used again.
    unsafe fn call(storage: *mut Storage) {
        // SAFETY: the caller's promise; the pointer came from `Box::into_raw`.
        let f = unsafe { Box::from_raw(storage.cast::<*mut F>().read()) };
        f();
    }

    /// # Safety
    /// As for `call`.
    unsafe fn drop(storage: *mut Storage) {
        // SAFETY: the caller's promise; the pointer came from `Box::into_raw`.
        drop(unsafe { Box::from_raw(storage.cast::<*mut F>().read()) });
    }
}

/// An `FnOnce(A)` of any type in four words: a callback that is given a result.
pub(crate) struct ResultClosure<A> {
    /// As in a [`Closure`].
    storage: Storage,
    /// Moves the value out of the storage and calls it with the argument, or drops it without one.
    end: unsafe fn(*mut Storage, Option<A>),
    /// Captured values may belong to this thread.
    _not_send: PhantomData<*mut ()>,
}

impl<A> ResultClosure<A> {
    /// Stores `f`, in place when it fits in three words, else in a box.
    #[inline]
    pub(crate) fn new<F: FnOnce(A) + 'static>(f: F) -> ResultClosure<A> {
        let mut storage: Storage = [MaybeUninit::uninit(); WORDS];
        let end: unsafe fn(*mut Storage, Option<A>) = if fits::<F>() {
            // SAFETY: the storage is large and aligned enough for an `F`, as just checked, and
            // nothing has been written there that would have to be dropped.
            unsafe { storage.as_mut_ptr().cast::<F>().write(f) };
            InPlace::<F>::end
        } else {
            // SAFETY: a thin pointer fits in one word of the storage and has its alignment.
            unsafe { storage.as_mut_ptr().cast::<*mut F>().write(Box::into_raw(Box::new(f))) };
            Boxed::<F>::end
        };
        ResultClosure { storage, end, _not_send: PhantomData }
    }

    /// Calls the closure. Its captured values are dropped by the call, also when it panics.
    #[inline]
    pub(crate) fn call_result(self, argument: A) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `new` chose the function for the type it stored; `ManuallyDrop` keeps `drop` from
        // running, so the value is moved out exactly once.
        unsafe { (this.end)(&mut this.storage, Some(argument)) }
    }
}

impl<A> Drop for ResultClosure<A> {
    fn drop(&mut self) {
        // SAFETY: a closure that was called never gets here (see `call_result`), so the storage still
        // holds the value that `new` wrote, of the type that the function is for.
        unsafe { (self.end)(&mut self.storage, None) }
    }
}

impl<F> InPlace<F> {
    /// # Safety
    /// The storage holds an `F`, which is moved out: it must not be used again.
    unsafe fn end<A>(storage: *mut Storage, argument: Option<A>)
    where
        F: FnOnce(A),
    {
        // SAFETY: the caller's promise.
        let f = unsafe { storage.cast::<F>().read() };
        if let Some(argument) = argument {
            f(argument);
        }
    }
}

impl<F> Boxed<F> {
    /// # Safety
    /// The storage holds the pointer of a `Box<F>`, which is taken over: it must not be used again.
    unsafe fn end<A>(storage: *mut Storage, argument: Option<A>)
    where
        F: FnOnce(A),
    {
        // SAFETY: the caller's promise; the pointer came from `Box::into_raw`.
        let f = unsafe { Box::from_raw(storage.cast::<*mut F>().read()) };
        if let Some(argument) = argument {
            f(argument);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
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
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
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
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| closure.call()));
        assert!(caught.is_err());
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
