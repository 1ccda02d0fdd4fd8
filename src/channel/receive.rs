//! The receiving end of one direction of a channel: the messages that were taken out of the queue
//! and not handed on.
//!
//! A lock for each message would make both threads wait for it, once a message. A [`ReceiveBuffer`]
//! takes all that is there at once and hands it on from a list of its own: see the guide, Why it is
//! fast. The messages that it has taken still count as waiting: they are in the length, the end is
//! not seen before them, and they travel with the receiving end.
//!
//! The two lists change places with each take, so a stream of messages allocates nothing once they
//! have grown. A list that a burst has made large is given back to the allocator when all has been
//! handed on and nothing waits behind it, or when the next load is much smaller.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use super::queue::{End, Popped, Queue, is_large};
use super::seam::{Arc, Nanos, is_told};

/// The receiving end of a [`Queue`], on the receiving loop.
pub(crate) struct ReceiveBuffer<T> {
    /// The queue to which the sending end pushes.
    queue: Arc<Queue<T>>,
    /// Taken out of the queue and not handed on, oldest first. Never borrowed while user code runs.
    taken: RefCell<VecDeque<T>>,
    /// Messages are taken all at once. If false, `taken` stays empty.
    takes_all: bool,
}

impl<T> ReceiveBuffer<T> {
    pub(crate) fn new(queue: Arc<Queue<T>>) -> ReceiveBuffer<T> {
        let takes_all = queue.gives_all();
        ReceiveBuffer { queue, taken: RefCell::default(), takes_all }
    }

    pub(crate) fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    /// Takes the oldest message that can be seen at this time.
    #[inline]
    pub(crate) fn pop(&self, now: Nanos) -> Popped<T> {
        let popped = self.take(now);
        if is_told() && matches!(popped, Popped::Message(_)) {
            self.queue.tell_delivered();
        }
        popped
    }

    #[inline]
    fn take(&self, now: Nanos) -> Popped<T> {
        if !self.takes_all {
            return self.queue.pop(now);
        }
        let mut taken = self.taken.borrow_mut();
        if let Some(message) = taken.pop_front() {
            self.queue.set_taken(taken.len());
            if taken.is_empty() && is_large(&taken) && self.queue.shrink_if_empty() {
                *taken = VecDeque::new();
            }
            return Popped::Message(message);
        }
        self.queue.take_all(&mut taken).map_or_else(End::popped, Popped::Message)
    }

    /// Looks at the oldest message, if there is one.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        match self.taken.borrow().front() {
            Some(message) => Some(f(message)),
            None => self.queue.peek(f),
        }
    }

    /// As [`pop`](ReceiveBuffer::pop). Also returns how many messages waited that can be seen at
    /// this time, the one that is taken included.
    pub(crate) fn pop_first_of_round(&self, now: Nanos) -> (Popped<T>, usize) {
        let takes_all = self.takes_all && self.taken.borrow().is_empty();
        let popped = self.pop(now);
        // Where all have been taken just now, what stands in the queue has come later.
        let in_queue = if takes_all { 0 } else { self.queue.seen_len(now) };
        (popped, 1 + self.taken.borrow().len() + in_queue)
    }

    /// Blocks the thread until there is a message or an end, no longer than `limit`, and takes it.
    pub(crate) fn pop_within(&self, limit: Duration) -> Popped<T> {
        if self.taken.borrow().is_empty() {
            self.queue.wait(limit);
        }
        self.pop(Nanos::MAX)
    }

    /// Whether a message or an end can be seen at this time. If not, the next one gives notice.
    pub(crate) fn has_something(&self, now: Nanos) -> bool {
        !self.taken.borrow().is_empty() || self.queue.has_something(now)
    }

    /// Whether more may come, as far as it can be seen at this time: open while messages wait.
    pub(crate) fn end_seen(&self, now: Nanos) -> End {
        if self.taken.borrow().is_empty() { self.queue.end_seen(now) } else { End::Open }
    }

    /// As [`end_seen`](ReceiveBuffer::end_seen), after a message was taken without a notice.
    pub(crate) fn look_for_end(&self, now: Nanos) -> End {
        if self.taken.borrow().is_empty() { self.queue.look_for_end(now) } else { End::Open }
    }

    /// The receiving end leaves its loop: the messages that were taken travel with it.
    pub(crate) fn detach(&self) {
        self.queue.detach(self.taken.take());
    }

    /// The receiving end is closed. The messages that were never received come back, to be dropped.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let mut left = self.taken.take();
        left.append(&mut self.queue.close_receiver());
        self.queue.set_taken(0);
        left
    }
}
