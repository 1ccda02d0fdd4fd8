//! One direction of a channel between loops, and the receiving of its messages.
//!
//! A [`Half`] is the part that both threads touch: the queue, and which receiver to notify. One lock
//! guards all of it, held for a push or a pop. The receiver is notified when a message comes to a queue that
//! it has seen empty; while it has not looked, further messages cost no notice.
//!
//! An [`Inbox`] is the receiving loop's part: the handler, and the task that waits. Port and worker
//! share it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::callback;
use crate::clock::Nanos;
use crate::current;
use crate::event_loop::State;
use crate::task::take_own;
use crate::threads::mailbox::Mailbox;

/// The fewest messages that one receiver may get in a poll phase. A queue that is longer when its turn
/// comes is delivered to that length, as in Node.
const MESSAGES_PER_ROUND: usize = 1000;

pub(super) struct Half<T> {
    queue: Mutex<Queue<T>>,
    /// Made by a loop in virtual time: a message is not seen before the time at which it was sent.
    is_virtual: bool,
}

struct Queue<T> {
    messages: VecDeque<T>,
    /// Nothing will be sent any more.
    sender_gone: bool,
    /// Nothing will be received any more.
    receiver_gone: bool,
    /// Who is told, once the receiving end is open on a loop.
    receiver: Option<(Arc<Mailbox>, u64)>,
    /// The receiver was told and has not seen the queue empty since.
    notified: bool,
    /// In virtual time: when each of the messages was sent. Empty otherwise.
    stamps: VecDeque<Nanos>,
    /// In virtual time: when the sending end was closed.
    gone_at: Nanos,
}

impl<T> Queue<T> {
    /// Whether the end is there to be seen at this time.
    fn is_closed(&self, now: Nanos) -> bool {
        self.sender_gone && self.messages.is_empty() && self.gone_at <= now
    }
}

/// What came out of a half.
pub(super) enum Popped<T> {
    Message(T),
    /// Nothing now.
    Empty,
    /// Nothing now or ever.
    Closed,
}

impl<T> Half<T> {
    pub(super) fn new() -> Arc<Half<T>> {
        Arc::new(Half {
            queue: Mutex::new(Queue {
                messages: VecDeque::new(),
                sender_gone: false,
                receiver_gone: false,
                receiver: None,
                notified: false,
                stamps: VecDeque::new(),
                gone_at: 0,
            }),
            is_virtual: current::get().is_some_and(|state| state.clock.is_virtual()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // No user code runs under the lock, so a poisoned queue is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, or gives it back when nobody will receive it.
    pub(super) fn push(&self, message: T) -> Result<(), T> {
        let mut queue = self.lock();
        if queue.sender_gone || queue.receiver_gone {
            return Err(message);
        }
        queue.messages.push_back(message);
        if self.is_virtual {
            queue.stamps.push_back(this_moment());
        }
        notify(queue);
        Ok(())
    }

    /// Takes the oldest message that can be seen at this time.
    pub(super) fn pop(&self, now: Nanos) -> Popped<T> {
        let mut queue = self.lock();
        let next = if queue.messages.is_empty() && queue.sender_gone {
            Some(queue.gone_at)
        } else {
            queue.stamps.front().copied()
        };
        if let Some(time) = next.filter(|time| *time > now) {
            // Comes from a loop that is ahead: the receiver is told again when it gets there.
            if let Some((mailbox, number)) = queue.receiver.clone() {
                drop(queue);
                mailbox.notify_at(number, time);
            }
            return Popped::Empty;
        }
        queue.stamps.pop_front();
        match queue.messages.pop_front() {
            Some(message) => Popped::Message(message),
            None if queue.sender_gone => Popped::Closed,
            None => {
                queue.notified = false;
                Popped::Empty
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Whether it can be seen at this time that nothing will come out any more.
    pub(super) fn is_closed(&self, now: Nanos) -> bool {
        self.lock().is_closed(now)
    }

    /// Nobody listens now: the next message, or the close, gives notice again.
    fn rest(&self) {
        self.lock().notified = false;
    }

    /// The sending end is closed: what was sent before still arrives.
    pub(super) fn close_sender(&self) {
        let mut queue = self.lock();
        queue.sender_gone = true;
        if self.is_virtual {
            queue.gone_at = this_moment();
        }
        notify(queue);
    }

    /// The receiving end is closed. What was never received comes back, to be dropped.
    pub(super) fn close_receiver(&self) -> VecDeque<T> {
        let mut queue = self.lock();
        queue.receiver_gone = true;
        queue.receiver = None;
        std::mem::take(&mut queue.messages)
    }

    /// The receiving end is open on a loop, which is told of what is there already.
    pub(super) fn attach(&self, mailbox: Arc<Mailbox>, number: u64) {
        let mut queue = self.lock();
        queue.receiver = Some((mailbox, number));
        queue.notified = false;
        if !queue.messages.is_empty() || queue.sender_gone {
            notify(queue);
        }
    }

    /// The receiving end leaves its loop, with what is in the queue.
    pub(super) fn detach(&self) {
        self.lock().receiver = None;
    }
}

fn notify<T>(mut queue: MutexGuard<'_, Queue<T>>) {
    if queue.notified {
        return;
    }
    let Some((mailbox, number)) = queue.receiver.clone() else { return };
    queue.notified = true;
    drop(queue);
    mailbox.notify(number);
}

/// The time at which what is sent here and now is sent, in virtual time.
fn this_moment() -> Nanos {
    current::get().filter(|state| state.clock.is_virtual()).map_or(0, |state| state.clock.now())
}

/// How a round of delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// All that was there was delivered.
    Empty,
    /// And nothing will come any more.
    Closed,
    /// The round was full before the queue was empty.
    Full,
    /// Nobody listens, or no longer does.
    Unheard,
}

/// The receiving loop's part of a channel.
pub(super) struct Inbox<T> {
    pub(super) half: Arc<Half<T>>,
    /// A handler is registered.
    listening: Cell<bool>,
    /// Counts registrations: a handler that was replaced while it ran is not put back.
    starts: Cell<u32>,
    /// Absent while it is called.
    on_message: Cell<Option<Box<dyn FnMut(T)>>>,
    /// The task that waits for a message.
    waiting: Cell<Option<Waker>>,
    /// In a round: how many messages may still be delivered. Kept here, not on the stack, so that a round
    /// interrupted by a panic goes on where it stopped.
    left: Cell<Option<usize>>,
}

impl<T> Inbox<T> {
    pub(super) fn new(half: Arc<Half<T>>) -> Inbox<T> {
        Inbox {
            half,
            listening: Cell::new(false),
            starts: Cell::new(0),
            on_message: Cell::new(None),
            waiting: Cell::new(None),
            left: Cell::new(None),
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listening.get()
    }

    /// Whether a handler or a task wants messages.
    pub(super) fn is_wanted(&self) -> bool {
        let waiting = self.waiting.take();
        let wanted = self.listening.get() || waiting.is_some();
        self.waiting.set(waiting);
        wanted
    }

    /// Registers a handler. The one before comes back, to be dropped.
    pub(super) fn listen(&self, f: Box<dyn FnMut(T)>) -> Option<Box<dyn FnMut(T)>> {
        self.starts.set(self.starts.get().wrapping_add(1));
        self.listening.set(true);
        self.on_message.replace(Some(f))
    }

    /// Removes the handler, which comes back to be dropped.
    pub(super) fn unlisten(&self) -> Option<Box<dyn FnMut(T)>> {
        self.starts.set(self.starts.get().wrapping_add(1));
        self.listening.set(false);
        self.on_message.take()
    }

    /// Takes the waiting task's waker if it is this one.
    pub(super) fn take_own_waiting(&self, own: &Waker) -> Option<Waker> {
        take_own(&self.waiting, own)
    }

    /// Takes the waiting task's waker.
    pub(super) fn take_waiting(&self) -> Option<Waker> {
        self.waiting.take()
    }

    /// Calls the handler for each message, or wakes the task that waits, for one round.
    pub(super) fn deliver(
        &self,
        state: &Rc<State>,
        location: Option<&'static Location<'static>>,
    ) -> Round {
        let round = self.deliver_to_handler(state, location);
        if round == Round::Unheard {
            self.half.rest();
        }
        round
    }

    fn deliver_to_handler(
        &self,
        state: &Rc<State>,
        location: Option<&'static Location<'static>>,
    ) -> Round {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
            callback::drain(state);
            if !self.listening.get() {
                let closed = self.half.is_closed(state.clock.horizon());
                return if closed { Round::Closed } else { Round::Unheard };
            }
        }
        let limit = self.left.take().unwrap_or_else(|| self.half.len().max(MESSAGES_PER_ROUND));
        for left in (0..limit).rev() {
            if !self.listening.get() || state.is_halted() {
                return Round::Unheard;
            }
            let message = match self.half.pop(state.clock.horizon()) {
                Popped::Message(message) => message,
                Popped::Empty => return Round::Empty,
                Popped::Closed => return Round::Closed,
            };
            let Some(mut f) = self.on_message.take() else { return Round::Unheard };
            let start = self.starts.get();
            let outcome = callback::invoke(state, location, || f(message));
            if self.starts.get() == start {
                self.on_message.set(Some(f));
            } else {
                drop(f);
            }
            self.left.set(Some(left));
            callback::settle(state, outcome);
            self.left.set(None);
        }
        // Also when the last message was the last of all: the queue has not been seen empty, so the
        // next one would give no notice.
        if self.listening.get() { Round::Full } else { Round::Unheard }
    }

    /// Takes the oldest message.
    pub(super) fn try_recv(&self, now: Nanos) -> Option<T> {
        match self.half.pop(now) {
            Popped::Message(message) => Some(message),
            Popped::Empty | Popped::Closed => None,
        }
    }

    /// Takes the oldest message, or keeps the task's waker until there is one. None at the end.
    pub(super) fn poll_recv(&self, now: Nanos, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.half.pop(now) {
            Popped::Message(message) => Poll::Ready(Some(message)),
            Popped::Closed => Poll::Ready(None),
            Popped::Empty => {
                let before = self.waiting.replace(Some(cx.waker().clone()));
                drop(before);
                Poll::Pending
            }
        }
    }
}
