//! Users' values and code where a panic must go elsewhere, or nowhere. And the unwind that is no
//! panic.
//!
//! This file knows no loop: pool threads and the threads of workers use it too.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location};
use std::thread;

use crate::error::{Panic, panic_message};
use crate::trace::label::Shown;

/// The payload of the private unwind with which `checkpoint` and an ended `block_on` leave user
/// code. It is no panic: no hook sees it.
pub(crate) struct Halt;

/// Unwinds to the `run`, `turn` or worker that the caller runs in.
pub(crate) fn halt() -> ! {
    panic::resume_unwind(Box::new(Halt))
}

/// Runs a user's code whose panic does not concern the callback that is running.
pub(crate) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        if payload.is::<Halt>() {
            panic::resume_unwind(payload);
        }
        Panic::new(payload)
    })
}

/// Drops a user's value. A destructor that panics costs nobody else anything: it is logged.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Does something that drops users' values. A panic is logged.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        let message = panic_message(payload.as_ref());
        log::error!("a destructor panicked where nobody could be told: {message}");
        drop_payload(payload);
    }
}

/// Drops what a panic carried. That is a user's value as well: a panic of its destructor ends
/// nothing.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its payload may be of the same kind, and so on for ever.
        mem::forget(again);
    }
}

/// A panic that is to be raised later. If that never comes, it is logged.
pub(super) struct Unraised {
    /// Whose it is: "task", "waker".
    pub(super) kind: &'static str,
    /// The line that made that, if it is known.
    pub(super) at: Option<&'static Location<'static>>,
    /// None once it is raised.
    panic: Option<Panic>,
}

impl Unraised {
    pub(super) fn new(
        kind: &'static str,
        at: Option<&'static Location<'static>>,
        panic: Panic,
    ) -> Unraised {
        Unraised { kind, at, panic: Some(panic) }
    }

    /// The panic, which the caller raises, and where it comes from.
    pub(super) fn take(mut self) -> Option<(Panic, Option<&'static Location<'static>>)> {
        Some((self.panic.take()?, self.at))
    }
}

impl Drop for Unraised {
    fn drop(&mut self) {
        let Some(panic) = self.panic.take() else { return };
        let kind = self.kind;
        let made = self.at.map_or(String::new(), |at| format!(" made at {}", Shown(at)));
        let message = panic.message();
        log::error!("a {kind}{made} panicked where nobody could be told: {message}");
        drop_quietly(panic);
    }
}

/// A user's value that is dropped quietly, wherever that is.
pub(crate) struct Quiet<T: Default>(pub(crate) T);

impl<T: Default> Drop for Quiet<T> {
    fn drop(&mut self) {
        drop_quietly(mem::take(&mut self.0));
    }
}

/// A user's value that is dropped together with others. While the panic of another destructor
/// passes by, its own is logged: two at a time would end the process.
pub(crate) struct Apart<T: Default>(pub(crate) T);

impl<T: Default> Drop for Apart<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            drop_quietly(mem::take(&mut self.0));
        }
    }
}
