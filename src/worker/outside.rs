//! What a [`Half`](super::half::Half) needs from outside itself, in one place.
//!
//! The model checker of `tests/loom` puts its own locks here and a receiver that it can watch.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use crate::clock::Nanos;
pub(super) use crate::threads::OwnLine;

use crate::current;
use crate::threads::mailbox::Mailbox;

/// Who is told of a half's messages: a receiver of a loop.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) number: u64,
}

impl Receiver {
    /// There is something now.
    pub(super) fn notify(&self) {
        self.mailbox.notify(self.number);
    }

    /// In virtual time: there is something from `time` on.
    pub(super) fn notify_at(&self, time: Nanos) {
        self.mailbox.notify_at(self.number, time);
    }
}

/// Whether what is made here belongs to a program in virtual time.
pub(super) fn is_virtual() -> bool {
    current::place().is_some()
}

/// The time at which what is sent here and now is sent, in virtual time.
pub(super) fn this_moment() -> Nanos {
    current::place().map_or(0, |here| here.time)
}
