//! A connection, and its round: all that a stream does in one poll phase.
//!
//! The loop's table owns the connection until it is closed. A public stream is a counted name of
//! it. When the last name is dropped and no read callback is registered, the connection closes by
//! itself, as soon as its queued writes and a requested end have gone out.
//!
//! ```text
//!            adopt                       close, detach, the last name, the loop's end
//!   ────────────────────────────▶ open ──────────────────────────────────────────────▶ closed
//!
//!   while it is open, four things change on their own:
//!
//!   connecting:  undecided ──▶ connected          (or it closes)
//!   reading:     nobody ◀──▶ a callback, tasks    until the end or an error was told
//!   writing:     open ──shutdown──▶ ended         the end itself goes behind the last write
//!   the peer:    there ──▶ sends no more ──▶ gone
//! ```
//!
//! A round goes through them in this order. A callback that it calls may do anything to the
//! connection, so that each step asks anew. A step that stops before its side is done, because its
//! share of the phase is used up or a panic passes by, has the connection called again in the next
//! poll phase.

use std::cell::RefCell;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::budget::Budget;
use super::reading::{BufferLoan, Reading};
use super::writing::{Attempt, Writing};
use crate::callback;
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::Once;
use crate::error;
use crate::request::Completer;
use crate::state::State;
use crate::state::named::{Name, Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::sys::{self, Event, Poller, Transport};
use crate::task::waiters;

/// Reads of one stream in one poll phase. What is left waits for the next one, so that a fast
/// sender cannot hold the loop.
const READS_PER_ROUND: usize = 8;

/// Calls that send queued writes in one poll phase, for the same reason.
const SENDS_PER_ROUND: usize = 16;

/// Reads and writes of a task on one stream in one iteration, for the same reason.
const POLLS_PER_ROUND: u16 = 32;

/// A public type of stream.
pub(crate) trait Stream: Sized + 'static {
    /// What it is called in reports.
    const KIND: &'static str;

    /// What it runs on.
    type Transport: Transport;

    /// The stream that is this name of its connection.
    fn of(name: Name<Connection<Self>>) -> Self;
}

/// What all names of one stream share.
pub(crate) struct Connection<S: Stream> {
    /// Its entry in the loop's table.
    pub(crate) registration: Registration,
    /// Taken out when the stream is closed or detached: then it is no longer open.
    pub(super) transport: RefCell<Option<S::Transport>>,
    /// What is known of the bytes that come, and what they are for.
    pub(crate) reading: Reading<S>,
    /// What waits to go.
    pub(crate) writing: Writing<Completer<io::Result<()>>>,
    /// Counts the [`Stream`]s of this connection.
    pub(super) names: Names,
    /// What tasks have read and written in this iteration.
    budget: Budget,
    /// Waits for the peer to send no more. Gone when it is called, and with the transport.
    pub(super) on_read_closed: Once<dyn FnOnce()>,
    /// Waits for the peer to be gone. Gone when it is called, and with the transport.
    pub(super) on_hang_up: Once<dyn FnOnce()>,
    /// Waits for this side to close. Gone when it is queued for the close phase.
    pub(super) on_close: Once<dyn FnOnce()>,
}

impl<S: Stream> Handle for Connection<S> {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, event: Event) {
        // A panic leaves the round. What is left to do must not be forgotten.
        let again = OnDrop(|| self.registration.call_again());
        self.reading.note(event);
        let waiting = self.writing.is_waiting();
        if !waiting || self.decide_attempt() {
            self.writing.note(event);
            if waiting {
                self.write_round(state);
            }
            if self.reading.is_readable() {
                self.wake_readers(state);
                self.read_round(state);
            }
            if self.reading.may_stop() {
                self.after_reads(state, event);
            }
        }
        again.forget();
    }

    fn is_waited_for(&self) -> bool {
        self.reading.is_wanted() || self.writing.is_busy() || self.writing.has_task()
    }

    fn ask(&self) {
        let tasks = [self.reading.tasks.take_poller(), self.writing.take_task()];
        waiters::wake_each(tasks.into_iter().flatten());
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        self.abandon();
    }
}

impl<S: Stream> Connection<S> {
    /// Decides the attempt to connect, if there is one. False while it goes on, and when the stream
    /// has been closed.
    fn decide_attempt(self: &Rc<Self>) -> bool {
        let Some(attempt) = self.writing.attempt() else { return true };
        let outcome = self.transport.borrow().as_ref().and_then(Transport::connected);
        let Some(outcome) = outcome else { return false };
        self.writing.end_attempt();
        self.update_liveness();
        match outcome {
            Ok(()) => attempt.connected(),
            Err(error) => {
                self.close();
                attempt.failed(error);
            }
        }
        self.is_open()
    }

    /// Completes the writes that have finished and sends queued ones, until the system takes no
    /// more or the round is full. Then does what comes after the last write, also if that was
    /// cancelled.
    fn write_round(self: &Rc<Self>, state: &Rc<State>) {
        for sends in 0..=SENDS_PER_ROUND {
            // All is booked by now, so that a callback may write, cancel, close or panic. Writes
            // that a panic keeps from completing come first in the next round.
            let mut here = if state.pending.is_empty() { self.writing.finished() } else { 0 };
            while let Some((completer, outcome)) = self.writing.take_finished() {
                self.update_liveness();
                if here > 0 && !state.is_halted() {
                    here -= 1;
                    completer.complete(outcome);
                } else {
                    // Behind requests that were done before it and whose callbacks still wait. Also
                    // a write that a callback has just made, as any that is done at once.
                    completer.complete_later(outcome);
                }
            }
            if sends == SENDS_PER_ROUND || !self.writing.can_send() || state.is_halted() {
                break;
            }
            if let Some(transport) = self.transport.borrow().as_ref() {
                self.writing.send_batch(transport.sends_later(), |buffers, descriptors| {
                    self.told(match descriptors {
                        [] => transport.send_vectored(buffers),
                        some => transport.send_descriptors(buffers, some),
                    })
                });
            }
        }
        if self.writing.can_send() {
            self.registration.call_again();
        }
        self.after_writes(state);
    }

    /// What comes when all queued writes have gone: the end of the stream, a task that waits, the
    /// close of a stream without names.
    fn after_writes(self: &Rc<Self>, state: &Rc<State>) {
        if self.writing.has_unsent() {
            return;
        }
        if let Some(completer) = self.writing.take_end() {
            let outcome = self.with_transport(Transport::send_end);
            self.update_liveness();
            // Behind those before it that were done at once and whose callbacks still wait.
            if state.pending.is_empty() {
                completer.complete(outcome);
            } else {
                completer.complete_later(outcome);
            }
        }
        // Also when a panic of that callback has come in between.
        self.close_behind_end();
        if self.writing.is_writable()
            && let Some(task) = self.writing.take_task()
        {
            self.update_liveness();
            waiters::wake(task);
            callback::drain(state);
        }
        self.writing.shrink();
        self.close_if_unnamed();
    }

    /// Wakes the tasks that wait to read: those that find nothing wait again.
    #[inline(always)]
    fn wake_readers(&self, state: &Rc<State>) {
        if !self.reading.tasks.is_empty() {
            let tasks = self.reading.tasks.take();
            self.update_liveness();
            waiters::wake_each(tasks);
            callback::drain(state);
        }
    }

    /// Reads, and gives the read callback what was read, until nothing is left or the round is
    /// full. The end and an error are the last that a callback gets.
    fn read_round(self: &Rc<Self>, state: &Rc<State>) {
        let mut loan = BufferLoan::take(state);
        for _ in 0..READS_PER_ROUND {
            if !self.reading.has_more() || state.is_halted() {
                return;
            }
            let buffer = loan.buffer();
            let chunk = match self.read(buffer) {
                Ok(count) => Ok(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error),
            };
            let last = !chunk.as_ref().is_ok_and(|bytes| !bytes.is_empty());
            let stream = S::of(Name::new(self.clone()));
            let outcome = self.reading.on_read.invoke(state, self.kind(), |f| {
                if last {
                    drop(self.reading.stop());
                    self.update_liveness();
                }
                f(&stream, chunk);
            });
            callback::settle_and_drop(state, outcome, stream);
        }
        if self.reading.has_more() {
            self.registration.call_again();
        }
    }

    /// What comes behind the bytes when the peer has ended or the stream has failed.
    fn after_reads(self: &Rc<Self>, state: &Rc<State>, event: Event) {
        if event.has(Event::WRITE_CLOSED.with(Event::ERROR)) {
            self.wake_watchers();
            callback::drain(state);
        }
        // What came before the end is told before it, also when it waits for the next round.
        if !self.reading.has_more() {
            self.tell_of_end(state);
        }
    }

    /// Reads once.
    #[inline(always)]
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with_transport(|transport| {
            let empties = || transport.short_read_empties();
            self.reading.read(buffer, empties, |buffer| transport.receive(buffer))
        })
    }

    /// What the system has told somebody who does not read: the reader is to hear of it if the
    /// connection is lost.
    #[inline(always)]
    pub(super) fn told(&self, outcome: io::Result<usize>) -> io::Result<usize> {
        outcome.inspect_err(|error| self.reading.note_loss(error))
    }
}

impl<S: Stream> Connection<S> {
    /// A connection that is not open.
    fn new(state: &Rc<State>) -> Connection<S> {
        Connection {
            registration: Registration::new(state.clone()),
            transport: RefCell::new(None),
            reading: Reading::new(),
            writing: Writing::new(),
            names: Names::default(),
            budget: Budget::default(),
            on_read_closed: Once::default(),
            on_hang_up: Once::default(),
            on_close: Once::default(),
        }
    }

    /// A stream that is closed from the beginning, for who asks on a loop that has ended.
    pub(crate) fn closed(state: &Rc<State>) -> S {
        S::of(Name::new(Rc::new(Connection::new(state))))
    }

    /// Takes a transport into the loop's table and its poller.
    pub(crate) fn adopt(
        state: &Rc<State>,
        mut transport: S::Transport,
        location: &'static Location<'static>,
    ) -> io::Result<S> {
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let connection = Rc::new(Connection::new(state));
        connection.registration.open(connection.clone(), location, false);
        let key = connection.registration.key().expect("an open handle has a key");
        match transport.watched() {
            None => state.enter_for(|| transport.report_to(Some(key.to_bits()))),
            Some(fd) => {
                let watch = |poller: &Poller| {
                    poller.register_descriptor(fd, Event::OF_STREAMS, key.to_bits())
                };
                if let Err(error) = state.register(watch) {
                    drop(connection.registration.close());
                    return Err(error);
                }
            }
        }
        connection.transport.replace(Some(transport));
        Ok(S::of(Name::new(connection)))
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Whether the stream was neither closed nor detached.
    pub(crate) fn is_open(&self) -> bool {
        self.transport.borrow().is_some()
    }

    /// Uses the transport, if the stream is open.
    #[inline(always)]
    pub(crate) fn with_transport<R>(
        &self,
        f: impl FnOnce(&S::Transport) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.transport.borrow().as_ref() {
            Some(transport) => f(transport),
            None => Err(self.closed_error()),
        }
    }

    /// The error of an operation on a stream that is not open.
    pub(super) fn closed_error(&self) -> io::Error {
        if self.state().is_open() {
            io::Error::from_raw_os_error(sys::ENOTCONN)
        } else {
            error::shut_down()
        }
    }

    /// Tells the table whether the stream keeps the loop alive, after any change of what it waits
    /// for.
    pub(super) fn update_liveness(&self) {
        let reading = self.reading.is_on() || self.reading.tasks.has_futures();
        let polled = self.reading.tasks.has_poller() || self.writing.has_task();
        self.registration.set_active_or_polled(reading, polled);
        self.registration.set_busy(self.writing.is_busy());
    }

    /// Whether a task may read or write once more in this iteration. If not, it waits for the next.
    pub(super) fn may_go_on(&self) -> bool {
        let may = self.budget.spend(self.state(), POLLS_PER_ROUND);
        if !may {
            self.registration.call_again();
        }
        may
    }

    /// The stream is being connected: the poller will report when that is decided.
    pub(crate) fn begin_attempt(&self, attempt: Rc<dyn Attempt>) {
        self.writing.begin_attempt(attempt);
        self.update_liveness();
    }
}

impl<S: Stream> Named for Connection<S> {
    fn names(&self) -> &Names {
        &self.names
    }

    fn last_name_dropped(self: &Rc<Self>) {
        self.close_if_unnamed();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{IoSlice, Read as _};
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::os::fd::BorrowedFd;
    use std::time::Duration;

    use super::super::operations::Data;
    use super::*;
    use crate::state::current;

    /// A kind of stream whose first send takes five bytes, and whose second one fails. `ENOBUFS`
    /// and the like come when they please: here the system never sees the call.
    struct Faulty {
        socket: sys::TcpStream,
        sends: Cell<u32>,
    }

    impl Transport for Faulty {
        fn watched(&self) -> Option<BorrowedFd<'_>> {
            self.socket.watched()
        }

        fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.socket.receive(buffer)
        }

        fn send(&self, data: &[u8]) -> io::Result<usize> {
            self.sends.set(self.sends.get() + 1);
            match self.sends.get() {
                1 => self.socket.send(&data[..5]),
                2 => Err(io::ErrorKind::OutOfMemory.into()),
                _ => self.socket.send(data),
            }
        }

        fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
            self.socket.send_vectored(data)
        }

        fn send_end(&self) -> io::Result<()> {
            self.socket.send_end()
        }
    }

    struct FaultyStream(Name<Connection<FaultyStream>>);

    impl Stream for FaultyStream {
        const KIND: &'static str = "faulty stream";

        type Transport = Faulty;

        fn of(name: Name<Connection<FaultyStream>>) -> FaultyStream {
            FaultyStream(name)
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn an_error_after_a_part_was_sent_does_not_leave_the_rest_in_the_queue() {
        const BYTES: &[u8] = b"first and last";
        let ended = Rc::new(Cell::new(None));
        let end = ended.clone();
        let mut peer = crate::run(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_nonblocking(true).unwrap();
            let socket = sys::TcpStream::from_std(client);
            let transport = Faulty { socket, sends: Cell::new(0) };
            let state = current::expect("the test");
            let stream: FaultyStream =
                Connection::adopt(&state, transport, Location::caller()).unwrap();
            // Behind the first poll, which reports that the socket is writable, and never again.
            crate::set_immediate(move || {
                let request = stream.0.write(Location::caller(), Data::Borrowed(BYTES));
                assert_eq!(stream.0.writing.queued_bytes(), BYTES.len() - 5);
                request.on_complete(move |result| end.set(Some(result)));
            });
            // A loop that waits for an event would wait for ever.
            crate::set_timeout(Duration::from_secs(10), || crate::exit(1)).unref();
            listener.accept().unwrap().0
        });
        assert!(ended.take().is_some_and(|result| result.is_ok()), "the rest has gone");
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert_eq!(received, BYTES);
    }
}
