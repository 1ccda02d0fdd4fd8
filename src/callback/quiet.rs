//! Users' values and code where a panic must go elsewhere, or nowhere. And the unwind that is no
//! panic.
//!
//! This file knows no loop: pool threads and the threads of workers use it too.

use std::panic::{self, AssertUnwindSafe};

use crate::error::{Panic, panic_message};

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

/// Does something of a loop's end. A panic is logged.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        let message = panic_message(payload.as_ref());
        log::error!("a destructor panicked while its loop was shutting down: {message}");
    }
}
