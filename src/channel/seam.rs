//! The seam between a [`Queue`](super::queue::Queue) and the rest of the crate: all that it needs
//! from outside itself.
//!
//! The model checker of `tests/loom` has a seam of its own, with locks whose every order it tries
//! and a receiver that it can watch.

use std::ptr;
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) use crate::callback::drop_quietly;
pub(crate) use crate::clock::Nanos;
pub(crate) use crate::task::waiters::wake_each;
pub(crate) use crate::threads::OwnLine;

pub(crate) use crate::trace::detail::is_wanted as is_told;

use crate::callback::observed;
use crate::state::current;
use crate::threads::mailbox::Mailbox;
use crate::trace::cause;
use crate::trace::detail::{Detail, pair};
use crate::trace::ring::Happened;

/// The receiver that a queue notifies: a handle of a loop.
#[derive(Clone)]
pub(crate) struct Receiver {
    /// The mailbox of the handle's loop.
    pub(crate) mailbox: Arc<Mailbox>,
    /// The handle's number in that mailbox.
    pub(crate) number: u64,
}

impl Receiver {
    /// There is something now.
    pub(crate) fn notify(&self) {
        self.mailbox.notify_now(self.number);
    }

    /// In virtual time: there is something from `time` on.
    pub(crate) fn notify_at(&self, time: Nanos) {
        self.mailbox.notify_at(self.number, time);
    }

    /// The program in virtual time that its loop belongs to, else zero.
    pub(crate) fn program(&self) -> u64 {
        self.mailbox.program()
    }
}

/// A number for a queue, unique in the process.
pub(crate) fn new_number() -> u64 {
    cause::next_id()
}

/// A message was sent to the queue with this number, in which so many wait with it.
pub(crate) fn tell_posted(number: u64, receiver: Option<&Receiver>, waiting: usize) {
    let to = receiver.map_or(0, |receiver| receiver.mailbox.figures.track.number());
    let detail = Detail::new(Happened::Posted, number);
    observed::tell_here(detail.amount(pair(to as usize, waiting)));
}

/// A message of the queue with this number was handed on, and so many wait still.
pub(crate) fn tell_delivered(number: u64, waiting: usize) {
    observed::tell_here(Detail::new(Happened::Delivered, number).amount(waiting as u64));
}

/// The queue with this number has lost its receiver, and with it so many messages.
pub(crate) fn tell_dropped(number: u64, count: usize) {
    observed::tell_here(Detail::new(Happened::Dropped, number).amount(count as u64));
}

/// The program in virtual time that a queue belongs to which is made here, else zero.
pub(crate) fn program() -> u64 {
    current::place().map_or(0, |here| here.program)
}

/// The time at which a message is sent here and now, for a loop of this program in virtual time.
///
/// Zero, so that it is seen at once, if it is sent from elsewhere: no two programs share a time.
pub(crate) fn this_moment(program: u64) -> Nanos {
    current::place().filter(|here| here.program == program).map_or(0, |here| here.time)
}

/// When a message arrives that is sent here and now to this receiver, of a loop of this program: at
/// once, or in a simulation some time later if it is another loop's. Zero as above.
pub(crate) fn arrival(program: u64, receiver: Option<&Receiver>) -> Nanos {
    let Some(here) = current::place().filter(|here| here.program == program) else { return 0 };
    match receiver {
        Some(receiver) if ptr::eq(Arc::as_ptr(&receiver.mailbox), here.mailbox) => here.horizon,
        _ => here.time.saturating_add(current::message_time()),
    }
}
