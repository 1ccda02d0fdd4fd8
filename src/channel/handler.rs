//! The receiving of a channel's messages: the receiving loop's part.
//!
//! An [`Inbox`] has the handler, and the futures that wait. Port, worker and broadcast channel share it.
//!
//! Who waits comes before the handler: it has asked for one message and is woken before the handler is
//! called, so a task of this loop takes the oldest one. The handler gets those that nobody comes for.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::queue::{End, Popped, Queue};
use super::receive::Intake;
use crate::callback;
use crate::clock::Nanos;
use crate::event_loop::State;
use crate::task::waiters::{Place, Waiters};

/// The fewest messages that one receiver may get in a poll phase. A queue that is longer when its turn
/// comes is delivered to that length, as in Node.
const MESSAGES_PER_ROUND: usize = 1000;

/// How a round of delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// All that was there was delivered.
    Empty,
    /// And nothing will come any more, though the sender listens.
    Finished,
    /// And nothing will come any more.
    Closed,
    /// The round was full before the queue was empty.
    Full,
    /// Nobody listens, or no longer does.
    Unheard,
}

/// The receiving loop's part of a channel.
pub(crate) struct Inbox<T> {
    pub(crate) intake: Intake<T>,
    /// A handler is registered.
    listening: Cell<bool>,
    /// Counts registrations: a handler that was replaced while it ran is not put back.
    starts: Cell<u32>,
    /// Where the handler was registered.
    location: Cell<Option<&'static Location<'static>>>,
    /// Absent while it is called.
    on_message: Cell<Option<Box<dyn FnMut(T)>>>,
    /// The futures that wait for a message.
    pub(crate) waiters: Waiters,
    /// In a round: how many messages may still be delivered. Kept here, not on the stack, so that a
    /// round interrupted by a panic goes on where it stopped, and that a close can tell that it
    /// comes within one.
    left: Cell<Option<usize>>,
}

impl<T> Inbox<T> {
    pub(crate) fn new(queue: Arc<Queue<T>>) -> Inbox<T> {
        Inbox {
            intake: Intake::new(queue),
            listening: Cell::new(false),
            starts: Cell::new(0),
            location: Cell::new(None),
            on_message: Cell::new(None),
            waiters: Waiters::default(),
            left: Cell::new(None),
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.get()
    }

    /// Whether a round has begun and is not over: what runs is the handler, or the drain after it.
    pub(crate) fn is_in_round(&self) -> bool {
        self.left.get().is_some()
    }

    /// Whether a handler or a task wants messages.
    pub(crate) fn is_wanted(&self) -> bool {
        self.listening.get() || !self.waiters.is_empty()
    }

    /// Registers a handler. The one before comes back, to be dropped.
    #[track_caller]
    pub(crate) fn listen(&self, f: Box<dyn FnMut(T)>) -> Option<Box<dyn FnMut(T)>> {
        self.location.set(Some(Location::caller()));
        self.starts.set(self.starts.get().wrapping_add(1));
        self.listening.set(true);
        self.on_message.replace(Some(f))
    }

    /// Removes the handler, which comes back to be dropped.
    pub(crate) fn unlisten(&self) -> Option<Box<dyn FnMut(T)>> {
        self.starts.set(self.starts.get().wrapping_add(1));
        self.listening.set(false);
        self.on_message.take()
    }

    /// Wakes those who wait, and has their tasks polled.
    fn serve_waiters(&self, state: &State) {
        self.waiters.wake();
        callback::drain(state);
    }

    /// Wakes those who wait, and calls the handler for each message that is left, for one round.
    pub(crate) fn deliver(&self, state: &Rc<State>) -> Round {
        let round = self.deliver_to_handler(state);
        self.left.set(None);
        if matches!(round, Round::Unheard | Round::Finished) {
            self.intake.queue().rest();
        }
        round
    }

    fn deliver_to_handler(&self, state: &Rc<State>) -> Round {
        if !self.waiters.is_empty() {
            self.serve_waiters(state);
            if !self.listening.get() {
                return match self.intake.end_seen(state.clock.horizon()) {
                    End::Open => Round::Unheard,
                    End::Finished => Round::Finished,
                    End::Gone => Round::Closed,
                };
            }
        }
        while self.left.get() != Some(0) {
            if !self.listening.get() || state.is_halted() {
                return Round::Unheard;
            }
            let (popped, limit) = match self.left.get() {
                Some(left) => (self.intake.pop(state.clock.horizon()), left),
                None => self.begin_round(state),
            };
            let message = match popped {
                Popped::Message(message) => message,
                Popped::Empty => return Round::Empty,
                Popped::Finished => return Round::Finished,
                Popped::Closed => return Round::Closed,
            };
            self.left.set(Some(limit - 1));
            let Some(mut f) = self.on_message.take() else { return Round::Unheard };
            let start = self.starts.get();
            let outcome = callback::invoke(state, self.location.get(), || f(message));
            if self.starts.get() == start {
                self.on_message.set(Some(f));
            } else {
                drop(f);
            }
            callback::settle(state, outcome);
            if !self.waiters.is_empty() {
                // One has come that found the queue empty. What was sent since is for it.
                self.serve_waiters(state);
            }
        }
        // Also when the last message was the last of all: the queue has not been seen empty, so the
        // next one would give no notice.
        if self.listening.get() { Round::Full } else { Round::Unheard }
    }

    /// Takes the first message of a round, and says how many the round may have.
    fn begin_round(&self, state: &State) -> (Popped<T>, usize) {
        let (popped, waiting) = self.intake.pop_first_of_round(state.clock.horizon());
        (popped, waiting.max(MESSAGES_PER_ROUND))
    }

    /// Takes the oldest message.
    pub(crate) fn try_recv(&self, now: Nanos) -> Option<T> {
        match self.intake.pop(now) {
            Popped::Message(message) => Some(message),
            Popped::Empty | Popped::Finished | Popped::Closed => None,
        }
    }

    /// Takes the oldest message, or waits for it at this place. None at the end.
    pub(crate) fn poll_recv(
        &self,
        now: Nanos,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        let message = match self.intake.pop(now) {
            Popped::Message(message) => Some(message),
            Popped::Finished | Popped::Closed => None,
            Popped::Empty => {
                self.waiters.wait(place, cx);
                return Poll::Pending;
            }
        };
        self.waiters.leave(place);
        Poll::Ready(message)
    }
}
