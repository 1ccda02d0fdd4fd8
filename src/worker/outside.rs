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

    /// The program in virtual time that its loop belongs to, else zero.
    pub(super) fn program(&self) -> u64 {
        self.mailbox.program()
    }
}

/// The program in virtual time that what is made here belongs to, else zero.
pub(super) fn program() -> u64 {
    current::place().map_or(0, |here| here.program)
}

/// The time at which what is sent here and now is sent, for a loop of this program in virtual time. Zero, and so
/// seen at once, if it is sent from elsewhere: no two programs share a time.
pub(super) fn this_moment(program: u64) -> Nanos {
    current::place().filter(|here| here.program == program).map_or(0, |here| here.time)
}
