//! The datagrams of a socket that wait to be sent, in the order of their calls.
//!
//! This file makes no system call and calls nothing back. It is given the function that sends, and
//! that which completes a request is of any type `C`.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;

use crate::error::CancelError;
use crate::queue::cancellable::Cancellable;

/// The sending side of a socket.
pub(super) struct Sending<C> {
    /// The system takes datagrams, for all that is known. Set by an event, cleared by a
    /// would-block.
    writable: Cell<bool>,
    /// What the system did not take, and what came behind it, in the order of the calls.
    queue: RefCell<Cancellable<Waiting<C>>>,
    /// Bytes in `queue`.
    bytes: Cell<usize>,
}

/// One datagram that waits.
struct Waiting<C> {
    /// All of it.
    data: Vec<u8>,
    /// Where to. None: to the peer of a connected socket.
    to: Option<SocketAddr>,
    /// What completes its request.
    completer: C,
}

impl<C> Sending<C> {
    /// A side that can be written, and where nothing waits.
    pub(super) fn new() -> Sending<C> {
        Sending { writable: Cell::new(true), queue: RefCell::default(), bytes: Cell::new(0) }
    }

    /// The poller reported that datagrams can be sent, or would fail.
    pub(super) fn note_writable(&self) {
        self.writable.set(true);
    }

    /// Whether the system takes datagrams, for all that is known.
    pub(super) fn is_writable(&self) -> bool {
        self.writable.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// The number of datagrams that wait.
    pub(super) fn count(&self) -> usize {
        self.queue.borrow().len()
    }

    /// The bytes of the datagrams that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Sends one datagram now, unless others wait or the system took none before: then it would
    /// block.
    pub(super) fn send_now(&self, mut send: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        if !self.writable.get() || !self.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.outcome_of(&mut send)
    }

    /// Calls `send` until it is not interrupted, and notes a would-block.
    fn outcome_of(&self, send: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        loop {
            match send() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable.set(false);
                    return Err(error);
                }
                outcome => return outcome,
            }
        }
    }

    /// Sends the first datagram that waits. It comes back with its outcome, unless the system takes
    /// none or none waits.
    pub(super) fn send_first(
        &self,
        send: impl Fn(&[u8], Option<SocketAddr>) -> io::Result<()>,
    ) -> Option<(C, io::Result<()>)> {
        if !self.writable.get() {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        let first = queue.first_mut()?;
        let outcome = self.outcome_of(&mut || send(&first.data, first.to));
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return None;
        }
        let sent = queue.pop_first()?;
        self.bytes.set(self.bytes.get() - sent.data.len());
        Some((sent.completer, outcome))
    }

    /// Puts a datagram behind those that wait. By the number, larger than theirs, it is cancelled.
    pub(super) fn push(&self, number: u64, data: Vec<u8>, to: Option<SocketAddr>, completer: C) {
        self.bytes.set(self.bytes.get() + data.len());
        self.queue.borrow_mut().push(number, Waiting { data, to, completer });
    }

    /// Takes a datagram out that waits. `Done` if it is not here.
    pub(super) fn cancel(&self, number: u64) -> Result<C, CancelError> {
        let waiting = self.queue.borrow_mut().remove(number).ok_or(CancelError::Done)?;
        self.bytes.set(self.bytes.get() - waiting.data.len());
        Ok(waiting.completer)
    }

    /// Takes out what completes the requests, in their order.
    pub(super) fn take_all(&self) -> Vec<C> {
        self.bytes.set(0);
        self.queue.take().into_values().map(|waiting| waiting.completer).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn blocks(_: &[u8], _: Option<SocketAddr>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Queues a datagram.
    fn push(sending: &Sending<&'static str>, data: &[u8], name: &'static str) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        sending.push(number, data.to_vec(), None, name);
        number
    }

    fn full() -> Sending<&'static str> {
        let sending = Sending::new();
        let outcome = sending.send_now(|| blocks(&[], None));
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        sending
    }

    #[test]
    fn what_would_block_is_not_tried_again_before_an_event() {
        let sending = full();
        push(&sending, b"one", "one");
        assert!(sending.send_first(|_, _| panic!("tried")).is_none());
        sending.note_writable();
        assert!(sending.send_first(blocks).is_none());
        assert_eq!((sending.count(), sending.bytes()), (1, 3));
        sending.note_writable();
        assert_eq!(sending.send_first(|_, _| Ok(())).map(|(name, _)| name), Some("one"));
        assert_eq!((sending.count(), sending.bytes()), (0, 0));
    }

    #[test]
    fn nothing_overtakes_what_waits() {
        let sending = full();
        push(&sending, b"one", "one");
        sending.note_writable();
        let outcome = sending.send_now(|| panic!("overtakes"));
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(sending.is_writable());
    }

    // UDP-16.
    #[test]
    fn a_datagram_that_fails_in_the_middle_of_the_queue_fails_alone() {
        let sending = full();
        for name in ["one", "two", "three"] {
            push(&sending, name.as_bytes(), name);
        }
        sending.note_writable();
        let send = |data: &[u8], _| match data {
            b"two" => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(()),
        };
        let ends = std::iter::from_fn(|| sending.send_first(send));
        let ends: Vec<_> = ends.map(|(name, outcome)| (name, outcome.is_ok())).collect();
        assert_eq!(ends, [("one", true), ("two", false), ("three", true)]);
    }

    #[test]
    fn each_waiting_datagram_is_cancelled_by_its_number_and_once() {
        let sending = full();
        let numbers = ["one", "two", "three"].map(|name| push(&sending, b"xx", name));
        assert_eq!(sending.cancel(numbers[1]), Ok("two"));
        assert_eq!(sending.cancel(numbers[1]), Err(CancelError::Done));
        assert_eq!((sending.count(), sending.bytes()), (2, 4));
        assert_eq!(sending.take_all(), ["one", "three"]);
        assert_eq!(sending.cancel(numbers[2]), Err(CancelError::Done));
        assert_eq!(sending.bytes(), 0);
    }

    #[test]
    fn an_interruption_is_tried_again() {
        let sending = Sending::<()>::new();
        let mut calls = 0;
        let outcome = sending.send_now(|| {
            calls += 1;
            if calls < 3 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        });
        assert!(outcome.is_ok() && calls == 3);
    }
}
