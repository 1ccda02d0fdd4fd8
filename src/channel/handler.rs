//! The receiving of a channel's messages: the receiving loop's part, which port, worker and
//! broadcast channel share.
//!
//! A [`MessageHandler`] holds the callback of `on_message` and the futures that wait in `recv`.
//!
//! A waiting future comes before the callback: it has asked for one message and is woken before the
//! callback is called, so a task of this loop takes the oldest message. The callback gets the
//! messages that no task has taken.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use super::discard::Unreceived;
use super::queue::{End, Popped, Queue};
use super::receive::ReceiveBuffer;
use super::recv::RecvTimeoutError;
use super::sent::Sent;
use crate::callback::{self, Apart, slot::Slot};
use crate::clock::Nanos;
use crate::state::State;
use crate::task::waiters::{Place, Waiters};
use crate::trace::cause;
use crate::trace::label::here;

/// A receiver gets at least this many messages in one poll phase, if they are there. It gets more
/// if more waited when its round began. As in Node.
const MESSAGES_PER_ROUND: usize = 1000;

/// How a round of delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// All messages were delivered. More may come.
    Empty,
    /// All messages were delivered and none will come any more, though the sender still listens.
    Finished,
    /// All messages were delivered and none will come any more: the sender is gone.
    Closed,
    /// The round had its number of messages. Whether more wait was not looked at.
    Full,
    /// There is no callback, or none any more, or the loop is told to end. Messages may wait;
    /// without a callback, the end is [`Finished`](Round::Finished) or [`Closed`](Round::Closed)
    /// instead.
    Unheard,
}

/// The receiving loop's part of a channel.
pub(crate) struct MessageHandler<T> {
    /// Where the messages come from.
    pub(crate) buffer: ReceiveBuffer<Sent<T>>,
    /// The callback of `on_message`.
    on_message: Slot<dyn FnMut(T)>,
    /// There is a callback. True also while it is called.
    listening: Cell<bool>,
    /// The futures that wait for a message.
    pub(crate) waiters: Waiters,
    /// In a round: how many messages may still be delivered. None between rounds. Kept here and not
    /// on the stack, so that a round goes on where a panic interrupted it, and that a close can
    /// tell that it comes within one.
    left: Cell<Option<usize>>,
}

impl<T> MessageHandler<T> {
    pub(crate) fn new(queue: Arc<Queue<Sent<T>>>) -> MessageHandler<T> {
        MessageHandler {
            buffer: ReceiveBuffer::new(queue),
            on_message: Slot::default(),
            listening: Cell::new(false),
            waiters: Waiters::default(),
            left: Cell::new(None),
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.get()
    }

    /// Whether a round has begun and is not over: the callback runs, or the drain after it.
    pub(crate) fn is_in_round(&self) -> bool {
        self.left.get().is_some()
    }

    /// Registers a callback. The one before comes back, to be dropped.
    #[track_caller]
    pub(crate) fn listen(&self, f: Box<dyn FnMut(T)>) -> Option<Box<dyn FnMut(T)>> {
        self.listen_at(here(), f)
    }

    /// As [`listen`](MessageHandler::listen), registered at this line.
    pub(super) fn listen_at(
        &self,
        place: &'static Location<'static>,
        f: Box<dyn FnMut(T)>,
    ) -> Option<Box<dyn FnMut(T)>> {
        self.listening.set(true);
        self.on_message.set_at(place, f)
    }

    /// Removes the callback, which comes back to be dropped.
    pub(crate) fn unlisten(&self) -> Apart<Option<Box<dyn FnMut(T)>>> {
        self.listening.set(false);
        Apart(self.on_message.clear())
    }

    /// The receiving end is closed. The messages that were never received come back, to be dropped.
    pub(crate) fn close(&self) -> Unreceived<Sent<T>> {
        Unreceived(self.buffer.close())
    }

    /// Delivers one round of messages: wakes the tasks that wait, and calls the callback for each
    /// message that they leave.
    ///
    /// `kind` is the receiver's name in reports. After a panic, the next call goes on with the same
    /// round.
    pub(crate) fn deliver(&self, state: &Rc<State>, kind: &'static str) -> Round {
        self.serve_waiters(state);
        let round = loop {
            let Sent { message, cause } = match self.next_message(state) {
                Ok(sent) => sent,
                Err(round) => break round,
            };
            let outcome = self.on_message.invoke_for(state, kind, cause, |f| f(message));
            let Some(outcome) = outcome else { break Round::Unheard };
            callback::settle(state, outcome);
            // A task that found the queue empty may wait since. It gets what was sent since.
            self.serve_waiters(state);
        };
        self.left.set(None);
        if matches!(round, Round::Unheard | Round::Finished) {
            self.buffer.queue().stop_looking(state.clock.horizon());
        }
        round
    }

    /// Wakes the tasks that wait for a message, if any do and there is one or the end, and has them
    /// polled. Other news, as that a worker is online, is none of theirs: a message that came
    /// between such a wake and the poll would be taken by a task that its sender has not woken.
    #[inline]
    fn serve_waiters(&self, state: &State) {
        if !self.waiters.is_empty() && self.buffer.has_something(state.clock.horizon()) {
            if state.is_observed() {
                // What sent the message has woken them.
                let sender = self.buffer.peek(|sent| sent.cause).unwrap_or(0);
                cause::on_behalf_of(sender, || self.waiters.wake());
            } else {
                self.waiters.wake();
            }
            callback::drain(state);
        }
    }

    /// Takes the next message for the callback, or says how the round has ended.
    fn next_message(&self, state: &State) -> Result<Sent<T>, Round> {
        let now = state.clock.horizon();
        if state.is_halted() {
            return Err(Round::Unheard);
        }
        if !self.listening.get() {
            return Err(match self.buffer.end_seen(now) {
                End::Open => Round::Unheard,
                End::Finished => Round::Finished,
                End::Gone => Round::Closed,
            });
        }
        if self.left.get() == Some(0) {
            // Also when the last message was the last of all: the queue has not been seen empty, so
            // the next message would give no notice.
            return Err(Round::Full);
        }
        let (popped, limit) = match self.left.get() {
            Some(left) => (self.buffer.pop(now), left),
            None => {
                let (popped, waiting) = self.buffer.pop_first_of_round(now);
                (popped, waiting.max(MESSAGES_PER_ROUND))
            }
        };
        match popped {
            Popped::Message(sent) => {
                self.left.set(Some(limit - 1));
                Ok(sent)
            }
            Popped::Empty => Err(Round::Empty),
            Popped::Finished => Err(Round::Finished),
            Popped::Closed => Err(Round::Closed),
        }
    }

    /// Takes the oldest message.
    pub(crate) fn try_recv(&self, now: Nanos) -> Option<T> {
        match self.buffer.pop(now) {
            Popped::Message(sent) => Some(sent.message),
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
        let message = match self.buffer.pop(now) {
            Popped::Message(sent) => Some(sent.message),
            Popped::Finished | Popped::Closed => None,
            Popped::Empty => {
                self.waiters.wait(place, cx);
                return Poll::Pending;
            }
        };
        self.waiters.leave(place);
        Poll::Ready(message)
    }

    /// Blocks this thread until there is a message, no longer than `timeout`. It does not block for
    /// a peer on this same thread, nor in virtual time, nor once the loop has ended.
    pub(crate) fn recv_timeout(
        &self,
        state: &State,
        timeout: Duration,
    ) -> Result<T, RecvTimeoutError> {
        let own_peer = self.buffer.queue().sender_thread() == Some(thread::current().id());
        let refuses = own_peer || state.clock.is_virtual();
        let popped = if refuses || !state.is_open() {
            self.buffer.pop(state.clock.horizon())
        } else {
            self.buffer.pop_within(timeout)
        };
        match popped {
            Popped::Message(sent) => Ok(sent.message),
            Popped::Finished | Popped::Closed => Err(RecvTimeoutError::Closed),
            Popped::Empty if refuses => Err(RecvTimeoutError::WouldDeadlock),
            Popped::Empty => Err(RecvTimeoutError::Timeout),
        }
    }
}
