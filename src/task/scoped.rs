//! The main future of `block_on`, which need not be `'static`.
//!
//! It is polled as a microtask like any task, so the table of tasks must be able to reach it, but
//! it stays on the stack of `block_on`. The table gets a pointer that is taken back before
//! `block_on`'s frame is left, also by a panic. One of the files with `unsafe` code.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::panic::Location;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::Waker;

use super::span::SpanId;
use super::waker::TaskWaker;
use crate::state::State;
use crate::state::key::Key;
use crate::state::tasks::Run;

/// What polls the main future.
type Poll<'a> = dyn FnMut(&Waker) + 'a;

/// The main future's entry in the table of tasks.
struct Main {
    /// The line that called `block_on`.
    location: &'static Location<'static>,
    /// Set for as long as the frame of [`with_main`] stands, and taken out during a call: two calls
    /// can never be on their way at once.
    poll: Cell<Option<NonNull<Poll<'static>>>>,
}

impl Run for Main {
    fn run(self: Rc<Self>, waker: &Waker) {
        let Some(mut pointer) = self.poll.take() else { return };
        // SAFETY: the pointer was made from an exclusive borrow that `with_main` holds, and
        // `with_main` takes it out of the cell before it returns or unwinds. It was in the cell, so
        // that frame stands below this one; it is out of the cell now, so nobody else uses it.
        let poll = unsafe { pointer.as_mut() };
        poll(waker);
        self.poll.set(Some(pointer));
    }

    /// The future stays where it is: it belongs to `block_on`, which drops it.
    fn tear_down(self: Rc<Self>) {
        self.poll.set(None);
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

/// Runs `body` while `poll` is a task of the loop: called as a microtask at first, and for every
/// wake.
///
/// `poll` must not panic: it would be lost to its caller.
pub(crate) fn with_main<R>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    span: SpanId,
    poll: &mut Poll<'_>,
    body: impl FnOnce() -> R,
) -> R {
    // SAFETY: only the lifetime changes. `TakeBack` below ends every use of the pointer before the
    // borrow ends: it is dropped when this frame is left, however that happens.
    let pointer = unsafe {
        std::mem::transmute::<NonNull<Poll<'_>>, NonNull<Poll<'static>>>(NonNull::from(poll))
    };
    let main = Rc::new(Main { location, poll: Cell::new(Some(pointer)) });
    let key = state.tasks.insert(main.clone());
    let _take_back = TakeBack { state, main, key };
    TaskWaker::schedule(state, key, span);
    body()
}

/// Takes the pointer back and the entry out when it is dropped.
struct TakeBack<'a> {
    /// The loop of the table.
    state: &'a Rc<State>,
    /// What has the pointer.
    main: Rc<Main>,
    /// The entry.
    key: Key,
}

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        self.main.poll.set(None);
        drop(self.state.tasks.remove(self.key));
    }
}
