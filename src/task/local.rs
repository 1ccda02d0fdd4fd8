//! A value of one loop behind a bound that asks for `Send`.
//!
//! One of the files with `unsafe` code. It rests on three facts. The value stands in a box of its
//! own, and whoever opens that has seen that this is the thread that made it; what other threads
//! have is the box's address. The number of a thread is never given again. And a value that may be
//! pinned is never moved out of its box: it is dropped in there, on its own thread, or stays there
//! for ever.
#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use crate::callback::observed::noted;
use crate::state::State;
use crate::state::current;
use crate::threads::mailbox::Mailbox;
use crate::trace::label::Shown;
use crate::trace::label::here;

/// A value is taken out only by what ends the `Local`.
const WHOLE: &str = "a Local has its value";

/// A value of one loop that is `Send` and `Sync`, and can be used on its loop's thread alone.
///
/// For libraries that ask for `Send` because another runtime might move a future to another thread:
/// this one never does. On a loop such a bound is asked and not used, so a socket, an `Rc` or a
/// whole future gets past it in a `Local`, and the check, one comparison for each use, never fails.
/// It is a future if the value is one.
///
/// Dropped on another thread, the value goes back to its loop, in a post, and is dropped there,
/// by a callback of the poll phase. If the loop has ended it is never dropped, and that is logged.
/// On its own thread it can be used, and is dropped, also after the loop's end.
///
/// # Panics
/// When the value is used on another thread, by whatever method, with the names of both loops. Not
/// when it is dropped or printed there.
///
/// # Cost
/// A box.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use windlass::task::Local;
///
/// /// As many libraries ask for it.
/// fn start(job: impl Future<Output = usize> + Send + 'static) -> windlass::Task<usize> {
///     windlass::spawn(job)
/// }
///
/// windlass::block_on(async {
///     let shared = Rc::new(42);
///     let inner = shared.clone();
///     let job = start(Local::new(async move { Rc::strong_count(&inner) }));
///     assert_eq!(job.await.unwrap(), 2);
///
///     let local = Local::new(shared);
///     std::thread::spawn(move || drop(local)).join().unwrap(); // Goes back.
/// });
/// ```
pub struct Local<T: 'static> {
    /// Opened and dropped on its own thread only. None once it was taken out.
    value: Option<Box<T>>,
    /// The thread that made it.
    thread: ThreadId,
    /// The number of the loop that was current then.
    loop_id: u32,
    /// That loop's name, and the way to it.
    mailbox: Arc<Mailbox>,
    /// The line that made it.
    location: &'static Location<'static>,
    /// Where it is pinned, so is the value.
    _pinned: PhantomData<T>,
}

// SAFETY: another thread that has the `Local` has the address of the value. It can do nothing with
// it: each use checks the thread first, and a drop sends the address back or forgets it.
unsafe impl<T> Send for Local<T> {}
// SAFETY: as for `Send`. A shared `Local` gives a reference to its value on one thread only.
unsafe impl<T> Sync for Local<T> {}

impl<T> Local<T> {
    /// Binds a value to this thread and the current loop.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn new(value: T) -> Local<T> {
        let (loop_id, mailbox) =
            current::expect_with("Local::new", |state| (state.id, state.mailbox.clone()));
        Local {
            value: Some(Box::new(value)),
            thread: thread::current().id(),
            loop_id,
            mailbox,
            location: here(),
            _pinned: PhantomData,
        }
    }

    /// Whether this is the thread on which the value can be used. A job of the pool is on another
    /// one, also in virtual time.
    pub fn is_here(&self) -> bool {
        self.thread == thread::current().id() && !current::is_in_job_of(self.loop_id)
    }

    /// Gives the value back.
    ///
    /// # Panics
    /// On another thread.
    #[track_caller]
    pub fn into_inner(mut self) -> T {
        self.check();
        // Not pinned: who pins a `Local` whose value must not move cannot move the `Local` here.
        *self.value.take().expect(WHOLE)
    }

    /// The value, pinned where the `Local` is.
    #[track_caller]
    pub(crate) fn project(self: Pin<&mut Self>) -> Pin<&mut T> {
        // SAFETY: the value is as pinned as the `Local`, which is `Unpin` only if the value is: it
        // stays in its box until it is dropped there, or for ever (see `drop`), and `into_inner`
        // and `deref_mut` need a `Local` that is not pinned.
        unsafe { self.map_unchecked_mut(|this| &mut **this) }
    }

    /// A value of the same loop and line.
    fn of_same(&self, value: Box<T>) -> Local<T> {
        let Local { thread, loop_id, location, .. } = *self;
        let (value, mailbox) = (Some(value), self.mailbox.clone());
        Local { value, thread, loop_id, mailbox, location, _pinned: PhantomData }
    }

    /// # Panics
    /// On another thread.
    #[inline]
    #[track_caller]
    fn check(&self) {
        if !self.is_here() {
            self.used_elsewhere();
        }
    }

    #[cold]
    #[track_caller]
    fn used_elsewhere(&self) -> ! {
        let here = current::with(State::name_in_words);
        let here = here.unwrap_or_else(|| "a thread without a loop".to_owned());
        panic!(
            "windlass: a value of the loop {:?} (task::Local made at {}) was used on {here}. It \
             can be used on its own thread only: send a message or a post instead",
            self.mailbox.figures.track.name(),
            Shown(self.location)
        )
    }
}

impl State {
    fn name_in_words(&self) -> String {
        format!("the loop {:?}", self.teller.track.name())
    }
}

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        // Out of the way of a panic, which would drop it here.
        let Some(value) = self.value.take().map(ManuallyDrop::new) else { return };
        if self.is_here() {
            return drop(ManuallyDrop::into_inner(value));
        }
        let value = ManuallyDrop::into_inner(value);
        let (home, location) = (self.of_same(value), self.location);
        if let Err(refused) = self.mailbox.post(noted(|| "post", location, move || drop(home))) {
            // Dropped here it would come here again, and be refused again.
            mem::forget(refused);
            let name = self.mailbox.figures.track.name();
            log::error!(
                "a value of the loop {name:?}, made at {}, was dropped on another thread after \
                 the loop had ended: its destructor never runs",
                Shown(location)
            );
        }
    }
}

impl<T> Deref for Local<T> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        self.check();
        self.value.as_deref().expect(WHOLE)
    }
}

impl<T> DerefMut for Local<T> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        self.value.as_deref_mut().expect(WHOLE)
    }
}

impl<T: Clone> Clone for Local<T> {
    fn clone(&self) -> Local<T> {
        self.of_same(Box::new(T::clone(self)))
    }
}

impl<F: Future> Future for Local<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().poll(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("Local");
        if self.is_here() { debug.field(&**self).finish() } else { debug.finish_non_exhaustive() }
    }
}
