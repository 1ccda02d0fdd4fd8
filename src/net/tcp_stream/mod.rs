//! A TCP connection on the loop.
//!
//! The poller reports edges, so the stream remembers what was reported: *readable* and *writable*
//! stay set until the kernel says would-block, or a read comes back short, which says the same. Reads go
//! through one buffer that all sockets of a loop share. Writes are tried at once; what the kernel
//! does not take is queued, and several queued writes go out with one call.
//!
//! What lies between a round and its two system calls is inlined: to enter and leave five functions was a
//! tenth of the instructions of an echo.
//!
//! Who owns it: the loop's table, until the stream is closed. A [`TcpStream`] is a counted name for it.
//! When the count comes to zero with no read callback registered, the stream closes by itself, as soon
//! as queued writes and a requested shutdown have gone out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Address;
use super::budget::Budget;
use super::connect::{self, Connecting};
use crate::callback;
use crate::error;
use crate::event_loop::State;
use crate::event_loop::current;
use crate::handle::{Handle, Registration};
use crate::queue::closure::Closure;
use crate::request::{Completer, Request};
use crate::sys::{self, Event};
use crate::task::waiters::{Place, Waiters};

/// The size of the buffer that the sockets of a loop read into.
const READ_BUFFER: usize = 64 * 1024;

/// Reads of one stream in one poll phase. What is left waits for the next one, so that a fast sender
/// cannot hold the loop.
const READS_PER_ROUND: usize = 8;

/// Calls that send queued writes in one poll phase, for the same reason.
const SENDS_PER_ROUND: usize = 16;

/// Reads and writes of a task on one stream in one iteration.
const POLLS_PER_ROUND: usize = 32;

/// Queued writes that go out with one call.
const WRITES_PER_SEND: usize = 32;

/// Buffers of a vectored write that fit on the stack.
const BUFFERS_ON_STACK: usize = 16;

/// What a read may stop at.
const STOPS: Event =
    Event::READ_CLOSED.with(Event::WRITE_CLOSED).with(Event::ERROR).with(Event::PRIORITY);

/// What the log says of a write's error that has no reader.
const LOST: &str = "a write failed that nobody waits for";

type OnRead = Box<dyn FnMut(&TcpStream, io::Result<&[u8]>)>;

/// One write whose request has not completed.
struct Write {
    data: Vec<u8>,
    /// Bytes that have gone.
    sent: usize,
    /// Names the write, for its cancellation.
    number: u64,
    /// A byte had gone before the rest was queued.
    started: bool,
    /// How it ended, once it is among the finished.
    outcome: io::Result<()>,
    completer: Completer<io::Result<()>>,
}

/// What waits to go out, and what comes after it. Most streams have none of this most of the time,
/// so it is boxed, and while there is no box a round has nothing to do for this side.
#[derive(Default)]
struct Outgoing {
    /// In the order of the calls.
    writes: VecDeque<Write>,
    /// How many writes, the first ones, have finished and wait to be told. All that one call has sent is noted
    /// here before anybody is called back.
    finished: usize,
    /// Bytes in `writes` that have not gone, and are still to go.
    queued: usize,
    next_number: u64,
    /// A shutdown that waits for the writes before it.
    shutdown: Option<Completer<io::Result<()>>>,
    /// The stream is being connected.
    connecting: Option<Rc<Connecting>>,
}

impl Outgoing {
    /// Whether a request has not completed.
    fn is_busy(&self) -> bool {
        !self.writes.is_empty() || self.shutdown.is_some() || self.connecting.is_some()
    }

    /// Whether a write waits for the kernel.
    fn has_unsent(&self) -> bool {
        self.writes.len() > self.finished
    }

    /// Takes sent bytes off the queue, and moves the end of the finished writes past those that are done with
    /// them.
    fn book(&mut self, mut count: usize) {
        for write in self.writes.range_mut(self.finished..) {
            let taken = count.min(write.data.len() - write.sent);
            write.sent += taken;
            count -= taken;
            self.queued -= taken;
            if write.sent < write.data.len() {
                return;
            }
            self.finished += 1;
        }
    }

    /// The first write that waits has failed.
    fn book_failure(&mut self, error: io::Error) {
        if let Some(write) = self.writes.get_mut(self.finished) {
            self.queued -= write.data.len() - write.sent;
            write.outcome = Err(error);
            self.finished += 1;
        }
    }

    fn take_finished(&mut self) -> Option<Write> {
        self.finished = self.finished.checked_sub(1)?;
        self.writes.pop_front()
    }

    /// All requests that have not completed, each with its outcome if it has one, else with this error.
    fn into_ends(
        self,
        error: fn() -> io::Error,
    ) -> impl Iterator<Item = (Completer<io::Result<()>>, io::Result<()>)> {
        let finished = self.finished;
        let writes = self.writes.into_iter().enumerate().map(move |(index, write)| {
            let outcome = if index < finished { write.outcome } else { Err(error()) };
            (write.completer, outcome)
        });
        writes.chain(self.shutdown.map(|completer| (completer, Err(error()))))
    }
}

pub(super) struct Core {
    registration: Registration,
    /// Taken out when the stream is closed.
    socket: RefCell<Option<sys::TcpStream>>,
    /// Data, the end or an error can be read, for all we know.
    readable: Cell<bool>,
    /// What was ever reported that a read may stop at, so that a short one no longer means that nothing is left
    /// to read: the end behind the bytes (`READ_CLOSED`, `WRITE_CLOSED`, `ERROR`), an urgent byte between
    /// them (`PRIORITY`). Never taken back.
    reported: Cell<Event>,
    /// The kernel takes bytes, for all we know.
    writable: Cell<bool>,
    /// A read failed: nothing more can be read or written.
    broken: Cell<bool>,
    /// The error of a write whose request was dropped. It comes behind what has arrived.
    failure: Cell<Option<io::Error>>,
    /// It has been read, and neither its end nor an error was told: a reader that pauses may come back.
    may_read_on: Cell<bool>,
    /// A shutdown was requested: no more writes.
    shut: Cell<bool>,
    /// A read callback is registered.
    reading: Cell<bool>,
    /// The last name was dropped: closes when nothing is left to go out.
    unnamed: Cell<bool>,
    /// Counts starts and stops: a callback that was replaced while it ran is not put back.
    starts: Cell<u32>,
    /// How many [`TcpStream`]s there are for this stream.
    names: Cell<u32>,
    /// Absent while it is called.
    on_read: Cell<Option<OnRead>>,
    /// Who waits to read.
    readers: Waiters,
    /// The place of the task that waits by [`TcpStream::poll_read`].
    poller: Place,
    /// The task that waits to write.
    writer: Cell<Option<Waker>>,
    outgoing: RefCell<Option<Box<Outgoing>>>,
    /// Waits for the peer to send no more. Gone when it is called, and with the socket.
    on_read_closed: Cell<Option<Box<dyn FnOnce()>>>,
    /// Waits for the peer to be gone. Gone when it is called, and with the socket.
    on_hang_up: Cell<Option<Box<dyn FnOnce()>>>,
    on_close: Cell<Option<Box<dyn FnOnce()>>>,
    /// What tasks have read and written in this iteration.
    budget: Budget,
}

impl Core {
    /// Takes a socket into the loop's table and its poller.
    pub(super) fn adopt(
        state: &Rc<State>,
        mut socket: sys::TcpStream,
        location: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let core = Rc::new(Core {
            registration: Registration::new(state.clone()),
            socket: RefCell::new(None),
            readable: Cell::new(false),
            reported: Cell::new(Event::default()),
            writable: Cell::new(true),
            broken: Cell::new(false),
            failure: Cell::new(None),
            may_read_on: Cell::new(false),
            shut: Cell::new(false),
            reading: Cell::new(false),
            unnamed: Cell::new(false),
            starts: Cell::new(0),
            names: Cell::new(0),
            on_read: Cell::new(None),
            readers: Waiters::default(),
            poller: Place::default(),
            writer: Cell::new(None),
            outgoing: RefCell::new(None),
            on_read_closed: Cell::new(None),
            on_hang_up: Cell::new(None),
            on_close: Cell::new(None),
            budget: Budget::default(),
        });
        core.registration.open(core.clone(), location, false);
        let key = core.registration.key().expect("an open handle has a key");
        if let Err(error) = state.register(|poller| poller.register(&mut socket, key.to_bits())) {
            drop(core.registration.close());
            return Err(error);
        }
        core.socket.replace(Some(socket));
        Ok(TcpStream::of(core))
    }

    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.borrow().is_some()
    }

    /// Uses the socket, if the stream is open.
    #[inline(always)]
    fn with_socket<R>(&self, f: impl FnOnce(&sys::TcpStream) -> io::Result<R>) -> io::Result<R> {
        match self.socket.borrow().as_ref() {
            Some(socket) => f(socket),
            None => Err(self.closed_error()),
        }
    }

    /// The error of an operation on a closed stream.
    fn closed_error(&self) -> io::Error {
        if self.state().is_open() {
            io::Error::from_raw_os_error(sys::ENOTCONN)
        } else {
            error::shut_down()
        }
    }

    fn outgoing<R>(&self, f: impl FnOnce(&mut Outgoing) -> R) -> R {
        f(self.outgoing.borrow_mut().get_or_insert_default())
    }

    /// Whether a request has not completed.
    fn is_busy(&self) -> bool {
        self.outgoing.borrow().as_ref().is_some_and(|outgoing| outgoing.is_busy())
    }

    /// Whether a write waits for the kernel.
    fn has_unsent(&self) -> bool {
        self.outgoing.borrow().as_ref().is_some_and(|outgoing| outgoing.has_unsent())
    }

    /// Whether a write has not completed: one that was sent since waits behind it to be told.
    fn has_writes(&self) -> bool {
        self.outgoing.borrow().as_ref().is_some_and(|outgoing| !outgoing.writes.is_empty())
    }

    /// Tells the table whether the stream keeps the loop alive, after any change of what it waits for.
    fn update_liveness(&self) {
        let active = self.reading.get() || !self.readers.is_empty() || is_set(&self.writer);
        self.registration.set_active(active);
        self.registration.set_busy(self.is_busy());
    }

    /// The read side of a poll round: callbacks until nothing is left, or the round is full.
    fn read_round(self: &Rc<Self>, state: &Rc<State>) {
        let mut loan = BufferLoan::take(state);
        for _ in 0..READS_PER_ROUND {
            if !self.reading.get() || !self.readable.get() || state.is_halted() {
                return;
            }
            let buffer = loan.buffer();
            let chunk = match self.read_socket(buffer) {
                Ok(count) => Ok(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error),
            };
            self.deliver(state, chunk);
        }
        if self.reading.get() && self.readable.get() {
            self.registration.call_again();
        }
    }

    /// Reads once, and notes what that says about the next time.
    #[inline(always)]
    fn read_socket(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.with_socket(|socket| sys::receive(socket, buffer)) {
                Ok(count) if count > 0 => {
                    // A short read has emptied the socket, and what comes later is reported anew.
                    if count < buffer.len()
                        && sys::TELLS_OF_URGENT
                        && self.reported.get().is_empty()
                    {
                        self.readable.set(false);
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return self.read_nothing(outcome),
            }
        }
    }

    /// A read that gave no byte: all that has arrived is read. Now comes the error of a write that nobody
    /// waited for, in place of the end or of another error: of these each reader gets one.
    fn read_nothing(&self, outcome: io::Result<usize>) -> io::Result<usize> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.readable.set(false);
        }
        let outcome = self.failure.take().map_or(outcome, Err);
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return outcome,
            Err(_) => self.broken.set(true),
            Ok(_) => {}
        }
        self.may_read_on.set(false);
        outcome
    }

    /// Gives the read callback what was read. The end and an error are the last that it gets.
    #[inline(always)]
    fn deliver(self: &Rc<Self>, state: &Rc<State>, chunk: io::Result<&[u8]>) {
        let Some(mut f) = self.on_read.take() else { return };
        let last = chunk.as_ref().map_or(true, |bytes| bytes.is_empty());
        let start = self.starts.get();
        let stream = TcpStream::of(self.clone());
        if last {
            self.reading.set(false);
            self.update_liveness();
        }
        let location = self.registration.location();
        let outcome = callback::invoke(state, location, || f(&stream, chunk));
        if !last && self.starts.get() == start {
            self.on_read.set(Some(f));
        } else {
            drop(f);
        }
        drop(stream);
        callback::settle(state, outcome);
    }

    fn start_reading(self: &Rc<Self>, f: OnRead) {
        if !self.is_open() {
            // A callback, so not from here. Dropped uncalled if the loop is gone.
            if self.state().is_open() {
                let core = self.clone();
                self.state().pending.push(Closure::new(move || {
                    let error = core.closed_error();
                    let state = core.state().clone();
                    let stream = TcpStream::of(core);
                    let mut f = f;
                    callback::call(&state, None, || f(&stream, Err(error)));
                }));
            }
            return;
        }
        self.starts.set(self.starts.get().wrapping_add(1));
        self.reading.set(true);
        self.may_read_on.set(true);
        let before = self.on_read.replace(Some(f));
        self.update_liveness();
        if self.readable.get() {
            self.registration.call_again();
        }
        drop(before);
    }

    fn stop_reading(&self) {
        self.starts.set(self.starts.get().wrapping_add(1));
        self.reading.set(false);
        let before = self.on_read.take();
        self.update_liveness();
        drop(before);
        self.close_if_unnamed();
    }

    /// Sends what the kernel takes of one buffer: how much, or the error of the first send.
    #[inline(always)]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.send_all(data.len(), |socket, sent| sys::send(socket, &data[sent..]))
    }

    /// Sends until all is gone or the kernel takes no more. An error counts only if nothing was sent
    /// before it: it comes again.
    #[inline(always)]
    fn send_all(
        &self,
        total: usize,
        mut send: impl FnMut(&sys::TcpStream, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut sent = 0;
        while sent < total && self.writable.get() {
            match self.with_socket(|socket| send(socket, sent)) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable.set(false),
                Err(error) if sent == 0 => return Err(error),
                Err(_comes_again) => break,
            }
        }
        Ok(sent)
    }

    /// Why nothing can be written, if so.
    fn refusal(&self) -> Option<io::Error> {
        if !self.is_open() {
            Some(self.closed_error())
        } else if self.shut.get() {
            Some(io::Error::from_raw_os_error(sys::EPIPE))
        } else {
            None
        }
    }

    /// A write: tried at once unless others wait, and `rest` makes the queue's copy of what is left.
    fn write(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        total: usize,
        try_now: impl FnOnce(&Core) -> io::Result<usize>,
        rest: impl FnOnce(usize) -> Vec<u8>,
    ) -> Request<io::Result<()>> {
        let state = self.state();
        if let Some(error) = self.refusal() {
            return Request::failed_later(state, location, error);
        }
        let others_wait = self.has_unsent();
        match if others_wait { Ok(0) } else { try_now(self) } {
            Ok(sent) if sent == total && !others_wait => self.finished(location),
            Ok(sent) => self.queue(location, rest(sent), sent > 0),
            Err(error) => self.ended(location, Err(error)),
        }
    }

    /// The request of a write that went at once.
    #[inline(always)]
    fn finished(self: &Rc<Self>, location: &'static Location<'static>) -> Request<io::Result<()>> {
        if self.has_writes() {
            return self.ended(location, Ok(()));
        }
        Request::finished(self.state(), Ok(()))
    }

    /// The request of a write that has ended: behind those that have ended before and wait to be told.
    fn ended(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        outcome: io::Result<()>,
    ) -> Request<io::Result<()>> {
        let (completer, request) = Completer::new(self.state(), location);
        self.make_heir(&completer);
        if self.has_writes() {
            self.outgoing(|outgoing| {
                debug_assert!(!outgoing.has_unsent(), "it would have been queued");
                let (data, number) = (Vec::new(), 0);
                let write = Write { data, sent: 0, number, started: true, outcome, completer };
                outgoing.writes.push_back(write);
                outgoing.finished += 1;
            });
        } else {
            completer.complete_later(outcome);
        }
        request
    }

    /// Queues what the kernel did not take.
    fn queue(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        data: Vec<u8>,
        started: bool,
    ) -> Request<io::Result<()>> {
        let (completer, request) = Completer::new(self.state(), location);
        self.make_heir(&completer);
        let number = self.outgoing(|outgoing| {
            outgoing.next_number += 1;
            outgoing.next_number
        });
        let weak = Rc::downgrade(self);
        completer.on_cancel(move || {
            weak.upgrade().map_or(Err(error::CancelError::Done), |core| core.cancel_write(number))
        });
        self.outgoing(|outgoing| {
            outgoing.queued += data.len();
            let outcome = Ok(());
            outgoing.writes.push_back(Write { data, sent: 0, number, started, outcome, completer });
        });
        self.update_liveness();
        if self.writable.get() {
            // Sending stopped for another reason than a full socket, and no edge will tell when to go on.
            self.registration.call_again();
        }
        request
    }

    /// An error of a write whose request was dropped goes to the read callback.
    fn make_heir(self: &Rc<Self>, completer: &Completer<io::Result<()>>) {
        let weak = Rc::downgrade(self);
        completer.set_heir(move |result| {
            if let (Err(error), Some(core)) = (result, weak.upgrade())
                && core.is_open()
            {
                let later = core.clone();
                core.state().pending.push(Closure::new(move || later.report(error)));
            }
        });
    }

    /// An error that nobody else takes: to the reader, behind what has arrived. If there is none and none
    /// will come back, to the log, and the stream closes.
    fn report(self: &Rc<Self>, error: io::Error) {
        if !self.is_open() {
            return;
        }
        let is_read = self.reading.get() || !self.readers.is_empty();
        if is_read || self.may_read_on.get() && !self.unnamed.get() {
            // The first counts: those after it follow from it.
            let first = self.failure.take().unwrap_or(error);
            self.failure.set(Some(first));
            self.fail_next_read();
        } else {
            log::warn!("{LOST}: {error}");
            // The connection ends by itself: not of this side's own will.
            let gone = Event::READ_CLOSED.with(Event::WRITE_CLOSED);
            self.reported.set(self.reported.get().with(gone));
            self.tell_of_end(self.state());
            self.close();
        }
    }

    /// Has what has arrived read to its last byte, and then the failure.
    fn fail_next_read(&self) {
        self.reported.set(self.reported.get().with(Event::ERROR));
        self.readable.set(true);
        self.registration.call_again();
    }

    fn cancel_write(&self, number: u64) -> Result<(), error::CancelError> {
        let cancelled = self.outgoing(|outgoing| {
            let waiting = outgoing.writes.range(outgoing.finished..);
            let index = waiting.map(|write| write.number).position(|other| other == number);
            let index = outgoing.finished + index.ok_or(error::CancelError::Done)?;
            let write = &outgoing.writes[index];
            if write.started || write.sent > 0 {
                return Err(error::CancelError::Busy);
            }
            let write = outgoing.writes.remove(index).expect("found just now");
            outgoing.queued -= write.data.len();
            Ok(write)
        })?;
        self.update_liveness();
        cancelled.completer.complete_later(Err(error::cancelled()));
        if !self.has_unsent() {
            self.writes_are_cancelled();
        }
        Ok(())
    }

    /// The last queued write was cancelled. What waited for it must not wait for the kernel to take bytes
    /// again, which it may never do; but not from here, for the caller is in the middle of something.
    fn writes_are_cancelled(&self) {
        self.registration.call_again();
        if let Some(writer) = self.writer.take() {
            self.update_liveness();
            writer.wake();
        }
    }

    /// The write side of a poll round: sends queued writes, completes those that have gone, and does what
    /// comes after the last of them, also if that was cancelled.
    fn write_round(self: &Rc<Self>, state: &Rc<State>) {
        // Those that a panic has kept from being told.
        self.tell_finished(state);
        for _ in 0..SENDS_PER_ROUND {
            if !self.writable.get() || !self.has_unsent() || state.is_halted() {
                break;
            }
            match self.send_queued() {
                Ok(count) => self.outgoing(|outgoing| outgoing.book(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable.set(false);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The first write fails. The others are tried, and fail for themselves.
                Err(error) => self.outgoing(|outgoing| outgoing.book_failure(error)),
            }
            self.tell_finished(state);
        }
        if self.writable.get() && self.has_unsent() {
            self.registration.call_again();
        }
        self.after_writes(state);
    }

    /// Sends as many queued writes as one call takes.
    fn send_queued(&self) -> io::Result<usize> {
        let outgoing = self.outgoing.borrow();
        let Some(outgoing) = outgoing.as_ref() else { return Ok(0) };
        let mut buffers = [IoSlice::new(&[]); WRITES_PER_SEND];
        let mut count = 0;
        let unsent = outgoing.writes.range(outgoing.finished..);
        for (place, write) in buffers.iter_mut().zip(unsent) {
            *place = IoSlice::new(&write.data[write.sent..]);
            count += 1;
        }
        self.with_socket(|socket| sys::send_vectored(socket, &buffers[..count]))
    }

    /// Completes the writes that have finished: here, or behind what was done at once before them and whose
    /// callbacks still wait. The books are up to date by then, so that a callback may write, cancel, close
    /// or panic: in the last case the next round tells the rest.
    fn tell_finished(self: &Rc<Self>, state: &Rc<State>) {
        let finished = || self.outgoing.borrow().as_ref().map_or(0, |outgoing| outgoing.finished);
        let mut here = if state.pending.is_empty() { finished() } else { 0 };
        while finished() > 0 {
            let Some(write) = self.outgoing(Outgoing::take_finished) else { return };
            self.update_liveness();
            if here > 0 && !state.is_halted() {
                here -= 1;
                write.completer.complete(write.outcome);
            } else {
                // Also one that a callback has written: behind the phase, as any that is done at once.
                write.completer.complete_later(write.outcome);
            }
        }
    }

    /// Completes a request here, or behind those before it that were done at once and whose callbacks
    /// still wait.
    fn complete_in_order(&self, completer: Completer<io::Result<()>>, result: io::Result<()>) {
        if self.state().pending.is_empty() {
            completer.complete(result);
        } else {
            completer.complete_later(result);
        }
    }

    /// What comes when all queued writes have gone: a shutdown, a waiting task, the implicit close.
    fn after_writes(self: &Rc<Self>, state: &Rc<State>) {
        if self.has_unsent() {
            return;
        }
        let shutdown =
            self.outgoing.borrow_mut().as_mut().and_then(|outgoing| outgoing.shutdown.take());
        if let Some(completer) = shutdown {
            let result = self.with_socket(|socket| socket.shutdown(Shutdown::Write));
            self.update_liveness();
            self.complete_in_order(completer, result);
        }
        if self.writable.get()
            && let Some(writer) = self.writer.take()
        {
            self.update_liveness();
            writer.wake();
            callback::drain(state);
        }
        self.shrink();
        self.close_if_unnamed();
    }

    /// Gives the box of an idle stream back.
    fn shrink(&self) {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_busy()) {
            *outgoing = None;
        }
    }

    fn shutdown(self: &Rc<Self>, location: &'static Location<'static>) -> Request<io::Result<()>> {
        let state = self.state();
        if self.shut.get() || !self.is_open() {
            let error = if self.is_open() {
                io::Error::from_raw_os_error(sys::ENOTCONN)
            } else {
                self.closed_error()
            };
            return Request::failed_later(state, location, error);
        }
        self.shut.set(true);
        if !self.has_writes() {
            let result = self.with_socket(|socket| socket.shutdown(Shutdown::Write));
            return Request::finished(state, result);
        }
        let (completer, request) = Completer::new(state, location);
        self.outgoing(|outgoing| outgoing.shutdown = Some(completer));
        self.update_liveness();
        request
    }

    /// Reads, or waits at this place until that is possible.
    fn poll_read(
        &self,
        place: &Place,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.poll_take(buffer);
        if polled.is_pending() {
            self.readers.wait(place, cx);
            self.update_liveness();
        } else if !self.readers.is_empty() {
            // Not when it was woken: then all have left.
            self.readers.leave(place);
            self.update_liveness();
        }
        polled
    }

    fn poll_take(&self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.is_open() {
            return Poll::Ready(Err(self.closed_error()));
        }
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.may_read_on.set(true);
        if self.readable.get() && self.may_go_on() {
            match self.read_socket(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.refusal() {
            return Poll::Ready(Err(error));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !self.has_unsent() && self.may_go_on() {
            match self.send(data) {
                Ok(0) => {}
                result => return Poll::Ready(result),
            }
        }
        self.wait_to_write(cx);
        Poll::Pending
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_open() {
            return Poll::Ready(Err(self.closed_error()));
        }
        if self.is_busy() {
            self.wait_to_write(cx);
            return Poll::Pending;
        }
        if self.shut.replace(true) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.with_socket(|socket| socket.shutdown(Shutdown::Write)))
    }

    /// Whether a task may read or write once more in this iteration. If not, it waits for the next.
    fn may_go_on(&self) -> bool {
        let may = self.budget.spend(self.state(), POLLS_PER_ROUND);
        if !may {
            self.registration.call_again();
        }
        may
    }

    /// Keeps the task's waker until it can write.
    fn wait_to_write(&self, cx: &mut Context<'_>) {
        let before = self.writer.replace(Some(cx.waker().clone()));
        self.update_liveness();
        drop(before);
    }

    /// Wakes all who wait for a stream that is no more.
    fn wake_tasks(&self) {
        let writer = self.writer.take();
        self.readers.wake();
        writer.into_iter().for_each(Waker::wake);
    }

    fn close_if_unnamed(self: &Core) {
        // An end that was reported is told first: then it was not this side that ended.
        let may = || !self.reading.get() && !self.is_busy() && self.owed_ends() == [false; 2];
        if self.unnamed.get() && self.is_open() && may() {
            self.close();
        }
    }

    /// Closes at once: what waits is cancelled, in the close phase.
    pub(super) fn close(&self) {
        let Some(mut socket) = self.socket.take() else { return };
        let state = self.state().clone();
        state.sources.deregister(|poller| poller.deregister(&mut socket));
        drop(socket);
        if let Some(failure) = self.failure.take() {
            log::warn!("{LOST}: {failure}");
        }
        self.reading.set(false);
        self.starts.set(self.starts.get().wrapping_add(1));
        let callbacks = (self.on_read.take(), self.on_read_closed.take(), self.on_hang_up.take());
        let mut told = Vec::new();
        if let Some(outgoing) = self.outgoing.take() {
            let mut outgoing = *outgoing;
            let connecting = outgoing.connecting.take();
            for (completer, outcome) in outgoing.into_ends(error::cancelled) {
                let later = completer.later(outcome);
                told.push(Closure::new(move || later.complete()));
            }
            if let Some(connecting) = connecting {
                connecting.cancelled();
            }
        }
        if let Some(on_close) = self.on_close.take() {
            told.push(closed(&state, self.registration.location(), on_close));
        }
        state.closing.push_all(told);
        let entry = self.registration.close();
        self.wake_tasks();
        // Last: what the callbacks captured may call back into the loop.
        drop((callbacks, entry));
    }

    fn detach(&self) -> io::Result<DetachedTcpStream> {
        if self.is_busy() {
            let text = "writes of the connection wait, or it is being made";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let Some(mut socket) = self.socket.take() else { return Err(self.closed_error()) };
        self.state().sources.deregister(|poller| poller.deregister(&mut socket));
        self.reading.set(false);
        self.starts.set(self.starts.get().wrapping_add(1));
        let callbacks = (self.on_read.take(), self.on_close.take());
        let watches = (self.on_read_closed.take(), self.on_hang_up.take());
        self.outgoing.take();
        let entry = self.registration.close();
        self.wake_tasks();
        // Last: what the callbacks captured may call back into the loop.
        drop((callbacks, watches, entry));
        let (shut, failure) = (self.shut.get(), self.failure.take());
        Ok(DetachedTcpStream { socket: socket.into(), shut, failure })
    }

    fn on_close(&self, f: Box<dyn FnOnce()>) {
        if self.is_open() {
            let before = self.on_close.replace(Some(f));
            drop(before);
        } else if self.state().is_open() {
            self.state().closing.push(closed(self.state(), None, f));
        }
    }

    /// Keeps a callback that waits for an end of the connection. Reported before, it is told later.
    fn watch(
        self: &Rc<Self>,
        slot: impl Fn(&Core) -> &Cell<Option<Box<dyn FnOnce()>>>,
        f: Box<dyn FnOnce()>,
    ) {
        if !self.is_open() {
            return; // Closed by this side: dropped uncalled.
        }
        let before = slot(self).replace(Some(f));
        if !self.reported.get().is_empty() {
            let core = self.clone();
            self.state().pending.push(Closure::new(move || {
                let again = CallAgain(&core);
                core.tell_of_end(core.state());
                std::mem::forget(again);
            }));
        }
        drop(before);
    }

    /// Whether an end was reported that somebody waits for: of the reading side, and of both.
    fn owed_ends(&self) -> [bool; 2] {
        let reported = self.reported.get();
        let read_closed = reported.has(Event::READ_CLOSED);
        // An orderly end of one direction leaves the other open.
        let gone = read_closed && reported.has(Event::WRITE_CLOSED);
        [read_closed && is_set(&self.on_read_closed), gone && is_set(&self.on_hang_up)]
    }

    /// Calls those who wait for what was reported of the connection's end.
    fn tell_of_end(self: &Rc<Self>, state: &Rc<State>) {
        for (index, slot) in [&self.on_read_closed, &self.on_hang_up].into_iter().enumerate() {
            // Asked anew for each: the callback before may have closed the connection.
            if self.owed_ends()[index]
                && !state.is_halted()
                && let Some(f) = slot.take()
            {
                callback::call(state, self.registration.location(), f);
            }
        }
        self.close_if_unnamed();
    }

    /// Starts a connection attempt: the poller will tell when it is decided.
    pub(super) fn set_connecting(&self, connecting: Rc<Connecting>) {
        // Not writable before the connection stands; the first edge says so.
        self.writable.set(false);
        self.outgoing(|outgoing| outgoing.connecting = Some(connecting));
        self.update_liveness();
    }

    /// The outcome of a connection attempt, if it is decided.
    fn connected(&self) -> Option<io::Result<()>> {
        let outcome = self.with_socket(|socket| match socket.take_error()? {
            Some(error) => Err(error),
            None => socket.peer_addr().map(|_| ()),
        });
        match outcome {
            Err(error) if error.raw_os_error() == Some(sys::ENOTCONN) => None,
            decided => Some(decided),
        }
    }

    fn connect_round(self: &Rc<Self>) -> bool {
        let connecting = self.outgoing.borrow().as_ref().and_then(|o| o.connecting.clone());
        let Some(connecting) = connecting else { return true };
        let Some(outcome) = self.connected() else { return false };
        self.outgoing(|outgoing| outgoing.connecting = None);
        self.update_liveness();
        self.shrink();
        match outcome {
            Ok(()) => {
                self.writable.set(true);
                connecting.done(TcpStream::of(self.clone()));
            }
            Err(error) => {
                self.close();
                connecting.failed(error);
            }
        }
        self.is_open()
    }
}

/// The call of a close callback.
fn closed(
    state: &Rc<State>,
    location: Option<&'static Location<'static>>,
    f: Box<dyn FnOnce()>,
) -> Closure {
    let inner = state.clone();
    Closure::new(move || callback::call(&inner, location, f))
}

/// Whether there is something in the cell: a task that waits, a callback.
fn is_set<T>(cell: &Cell<Option<T>>) -> bool {
    let taken = cell.take();
    let set = taken.is_some();
    cell.set(taken);
    set
}

/// Has the stream called again if a panic passes by.
struct CallAgain<'a>(&'a Core);

impl Drop for CallAgain<'_> {
    fn drop(&mut self) {
        self.0.registration.call_again();
    }
}

/// The loop's read buffer while a stream has it. One that is out when another is needed is replaced.
struct BufferLoan<'a> {
    state: &'a State,
    buffer: Option<Box<[u8]>>,
}

impl<'a> BufferLoan<'a> {
    fn take(state: &'a State) -> BufferLoan<'a> {
        BufferLoan { state, buffer: state.read_buffer.take() }
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.buffer.get_or_insert_with(|| vec![0; READ_BUFFER].into())
    }
}

impl Drop for BufferLoan<'_> {
    fn drop(&mut self) {
        if self.state.is_open() {
            self.state.read_buffer.set(self.buffer.take());
        }
    }
}

impl Handle for Core {
    fn kind(&self) -> &'static str {
        "TCP stream"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, event: Event) {
        // A panic leaves the round; what is left to read or write must not be forgotten.
        let again = CallAgain(&self);
        self.round(state, event);
        std::mem::forget(again);
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.reading.set(false);
        if let Some(mut socket) = self.socket.take() {
            self.state().sources.deregister(|poller| poller.deregister(&mut socket));
        }
        callback::drop_quietly(self.on_read.take());
        callback::drop_quietly(self.on_read_closed.take());
        callback::drop_quietly(self.on_hang_up.take());
        self.wake_tasks();
        if let Some(outgoing) = self.outgoing.take() {
            let mut outgoing = *outgoing;
            let connecting = outgoing.connecting.take();
            for (completer, outcome) in outgoing.into_ends(error::shut_down) {
                completer.shut_down(Some(outcome));
            }
            if let Some(connecting) = connecting {
                connecting.shut_down();
            }
        }
        callback::drop_quietly(self.on_close.take());
    }
}

impl Core {
    /// All that a stream does in one poll phase.
    fn round(self: &Rc<Self>, state: &Rc<State>, event: Event) {
        if !self.is_open() {
            return;
        }
        if event.has(Event::READABLE.with(Event::READ_CLOSED).with(Event::ERROR)) {
            self.readable.set(true);
        }
        let stops = event.only(STOPS);
        if !stops.is_empty() {
            self.reported.set(self.reported.get().with(stops));
        }
        let writable = event.has(Event::WRITABLE.with(Event::WRITE_CLOSED).with(Event::ERROR));
        let sends = self.outgoing.borrow().is_some() || is_set(&self.writer);
        if sends && !self.connect_round() {
            return;
        }
        if writable {
            self.writable.set(true);
        }
        if sends {
            self.write_round(state);
        }
        if self.readable.get() {
            if !self.readers.is_empty() {
                let readers = self.readers.take();
                self.update_liveness();
                readers.for_each(Waker::wake);
                callback::drain(state);
            }
            self.read_round(state);
        }
        // Behind the reads: what came before the end is told before it, also what waits for the next round.
        let more_to_read = self.reading.get() && self.readable.get();
        if !more_to_read && !self.reported.get().is_empty() {
            self.tell_of_end(state);
        }
    }
}

/// A TCP connection.
///
/// `Clone`: a clone is another name for the same connection. With a read callback registered the
/// connection belongs to the loop until it is closed; after the end of the stream or an error the
/// callback is released. Without one it closes when the last clone is dropped, after queued writes
/// and a requested shutdown have gone out; only an explicit [`close`](TcpStream::close) cancels them.
///
/// # Half-close
/// The end of what the peer sends is not the end of the connection: reading gives it, and writing goes
/// on until this side too has sent its end. A peer that has gone for good is heard of through
/// [`on_hang_up`](TcpStream::on_hang_up) without reading, and as an error of a read or write otherwise. The end alone is
/// heard of without reading through [`on_read_closed`](TcpStream::on_read_closed).
///
/// # Liveness
/// A connection keeps the loop alive while a read callback is registered or a task waits on it, unless
/// [`unref`](TcpStream::unref)'d; a queued write or shutdown does in any case.
///
/// # Examples
/// ```
/// use windlass::net::{TcpListener, TcpStream};
///
/// windlass::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     let own = listener.clone();
///     listener.on_connection(move |connection| {
///         // Echo: the callback goes with the end of the stream, and the connection with it.
///         connection.unwrap().read_start(|connection, chunk| match chunk {
///             Ok(bytes) => drop(connection.write(bytes)),
///             Err(error) => eprintln!("{error}"),
///         });
///         own.close();
///     });
///     windlass::spawn(async move {
///         let connection = TcpStream::connect(address).await?;
///         connection.write(b"hello").await?;
///         let mut answer = [0; 5];
///         assert_eq!(connection.read(&mut answer).await?, 5);
///         Ok::<(), std::io::Error>(())
///     });
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    core: Rc<Core>,
}

impl TcpStream {
    fn of(core: Rc<Core>) -> TcpStream {
        core.names.set(core.names.get() + 1);
        core.unnamed.set(false);
        TcpStream { core }
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    /// Takes the connection off its loop, so that it can travel to another one: in a message, or to a thread.
    ///
    /// No byte is lost. What has been read was given to a callback or a task and is theirs; all else
    /// is still with the kernel and comes where the connection is [opened](DetachedTcpStream::open). All clones are
    /// closed from then on: the read callback and the one of [`on_close`](TcpStream::on_close) are dropped uncalled, and
    /// tasks that wait get a not-connected error. A shutdown that was requested stays one.
    ///
    /// # Errors
    /// `ResourceBusy` while writes are queued, a shutdown waits for them or the connection is being made: their requests
    /// belong to this loop. Wait for the last of them and ask again. Not-connected when the
    /// connection is closed. In both cases nothing changes.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::{DetachedTcpStream, TcpListener, TcpStream};
    /// use windlass::worker::Worker;
    ///
    /// windlass::block_on(async {
    ///     let worker = Worker::<DetachedTcpStream, ()>::spawn(|port| {
    ///         port.on_message(|connection: DetachedTcpStream| {
    ///             drop(connection.open().unwrap().write(b"hello from a worker"));
    ///         });
    ///     })?;
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     worker.post(listener.accept().await?.detach()?);
    ///     let mut answer = [0; 32];
    ///     let count = client.await?.read(&mut answer).await?;
    ///     assert_eq!(&answer[..count], b"hello from a worker");
    ///     drop(worker.terminate());
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn detach(&self) -> io::Result<DetachedTcpStream> {
        self.core.detach()
    }

    /// Connects to an address. A name is resolved on the pool, and each of its addresses tried in turn.
    ///
    /// Cancelling is possible until it has completed.
    ///
    /// # Errors
    /// `InvalidInput` when the text is no address, the resolver's error, or that of the last address
    /// tried. None comes before this call returns.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn connect(address: impl Address) -> Request<io::Result<TcpStream>> {
        let state = current::expect("TcpStream::connect");
        connect::connect(&state, address.target(), Location::caller())
    }

    /// Takes a connected socket of the standard library into the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be made non-blocking or polled.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let state = current::expect("TcpStream::from_std");
        stream.set_nonblocking(true)?;
        Core::adopt(&state, sys::TcpStream::from_std(stream), Location::caller())
    }

    /// Calls `f` with what arrives: `Ok` with the bytes, `Ok(&[])` once at the end, `Err` once when
    /// the connection fails.
    ///
    /// The bytes are in a buffer that all sockets of the loop share, 64 KiB long, and are gone when
    /// the callback returns. Starting again replaces the callback. After the end or an error the
    /// callback is released; started again after the end, it is told the end again. In one poll phase
    /// a connection gets at most 8 buffers, so that others have their turn.
    ///
    /// On a closed connection the callback gets an error, later.
    pub fn read_start(&self, f: impl FnMut(&TcpStream, io::Result<&[u8]>) + 'static) {
        self.core.start_reading(Box::new(f));
    }

    /// Stops calling back at once, also from inside the callback, and drops it. What arrives stays in
    /// the kernel until reading starts again, also when the connection fails meanwhile.
    pub fn read_stop(&self) {
        self.core.stop_reading();
    }

    /// Reads once into a buffer: how many bytes, 0 at the end.
    ///
    /// Dropping the future loses nothing, and those who wait beside it go on waiting. Do not use it while a
    /// read callback is registered: each of them would get a part.
    ///
    /// # Errors
    /// The connection's; not-connected when it was closed.
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { stream: self, buffer, place: Place::default() }
    }

    /// Writes bytes, in the order of the calls. The request completes when the kernel has taken them.
    ///
    /// What the kernel takes at once needs no memory; the rest is copied to the queue. The request can be
    /// cancelled until the first byte has gone. When the request is dropped, an error goes to the reader, behind what
    /// has arrived: to the read callback or the task that reads, also to one that has paused, when it reads
    /// again. On a connection that nobody has read, or whose end was read, it is logged and the
    /// connection closes.
    ///
    /// # Errors
    /// Broken-pipe after a shutdown or when the peer is gone, a cancelled error when the connection is
    /// closed before the bytes have gone. No signal is ever raised.
    #[track_caller]
    pub fn write(&self, data: &[u8]) -> Request<io::Result<()>> {
        let rest = |sent| data[sent..].to_vec();
        self.core.write(Location::caller(), data.len(), |core| core.send(data), rest)
    }

    /// As [`write`](TcpStream::write), but what is not taken at once is kept and not copied.
    #[track_caller]
    pub fn write_owned(&self, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
        let data = data.into();
        let total = data.len();
        let location = Location::caller();
        if self.core.refusal().is_some() || self.core.has_unsent() {
            return self.core.write(location, total, |_| Ok(0), |_| data);
        }
        match self.core.send(&data) {
            Ok(sent) if sent == total => self.core.finished(location),
            Ok(sent) => self.core.queue_from(location, data, sent),
            Err(error) => self.core.ended(location, Err(error)),
        }
    }

    /// Writes several buffers as one, with as few calls as the kernel allows. Otherwise as
    /// [`write`](TcpStream::write).
    #[track_caller]
    pub fn write_vectored(&self, data: &[IoSlice<'_>]) -> Request<io::Result<()>> {
        let total = data.iter().map(|buffer| buffer.len()).sum();
        let send = |core: &Core| core.send_buffers(data, total);
        let rest = |sent: usize| {
            let mut rest = Vec::with_capacity(total - sent);
            let mut skip = sent;
            for buffer in data {
                let from = skip.min(buffer.len());
                rest.extend_from_slice(&buffer[from..]);
                skip -= from;
            }
            rest
        };
        self.core.write(Location::caller(), total, send, rest)
    }

    /// Bytes that were written and that the kernel has not taken. A sender that minds back-pressure
    /// waits for its last request while this is large.
    pub fn write_queue_size(&self) -> usize {
        self.core.outgoing.borrow().as_ref().map_or(0, |outgoing| outgoing.queued)
    }

    /// Sends the end of the stream after all queued writes. Reading goes on.
    ///
    /// # Errors
    /// Not-connected when a shutdown was requested before or the connection is closed or gone.
    #[track_caller]
    pub fn shutdown(&self) -> Request<io::Result<()>> {
        self.core.shutdown(Location::caller())
    }

    /// Closes the connection now. Callbacks come no more, except that queued writes and a waiting
    /// shutdown complete with a cancelled error, in the close phase, before [`on_close`](TcpStream::on_close)'s callback. Closing
    /// again does nothing.
    pub fn close(&self) {
        self.core.close();
    }

    /// Closes the connection with a reset: the peer gets an error instead of an end.
    ///
    /// # Errors
    /// `InvalidInput` after a shutdown was requested, which promised an orderly end; not-connected when
    /// the connection is closed.
    pub fn close_reset(&self) -> io::Result<()> {
        if self.core.shut.get() && self.core.is_open() {
            return Err(io::Error::from_raw_os_error(sys::EINVAL));
        }
        self.core.with_socket(sys::set_reset_on_close)?;
        self.core.close();
        Ok(())
    }

    /// Calls `f` in the close phase after the connection was closed, by [`close`](TcpStream::close) or by itself. Replaces
    /// the callback given before. It does not count as a callback that keeps the connection. Of handles
    /// closed in one iteration the one closed last is told first.
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        self.core.on_close(Box::new(f));
    }

    /// Calls `f` once, when the peer has gone for good: it has reset the connection, both directions
    /// have ended, or a write has failed whose request was dropped and the connection therefore closes
    /// by itself. Nobody needs to read for it.
    ///
    /// The end of what the peer sends is no hang-up, for it may still read: that is for
    /// [`on_read_closed`](TcpStream::on_read_closed).
    ///
    /// When the peer has gone already, `f` is called too: later, never from inside this call. Bytes that
    /// came before can be read then and afterwards; a read callback gets them all first, and the end or
    /// the error after them. A later call replaces `f`, which is then dropped uncalled; so it is when
    /// this side closes or [detaches](TcpStream::detach) the connection, or the last name of one that nobody reads is
    /// dropped, and at the end of the loop. On a closed connection it is dropped at once.
    ///
    /// A peer whose machine or network fails without a word is not heard of: send something from time
    /// to time, and a write fails.
    ///
    /// # Liveness
    /// It does not count as a callback that keeps the connection, nor does it keep the loop alive.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     let connection = listener.accept().await?;
    ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
    ///     connection.on_hang_up(move || answer.abort()); // Nobody is left to answer.
    ///     client.await?.close_reset()?;
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_hang_up(&self, f: impl FnOnce() + 'static) {
        self.core.watch(|core| &core.on_hang_up, Box::new(f));
    }

    /// Calls `f` once, when the peer sends no more: it has shut down its side, closed the connection or
    /// reset it. Nobody needs to read for it, and bytes that came before stay where they are.
    ///
    /// The peer may still read: it may have shut down only its own side after its last request. TCP does
    /// not say which until something is written to a peer that has closed. A server that takes a client
    /// that will send no more for one that has left, as Node's HTTP server does, cancels its work here;
    /// others wait for [`on_hang_up`](TcpStream::on_hang_up), which an orderly close by the peer alone does not bring about.
    ///
    /// All else is as for `on_hang_up`. When both are reached at once, this one is called first.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     let connection = listener.accept().await?;
    ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
    ///     connection.on_read_closed(move || answer.abort());
    ///     drop(client.await?); // A client that is killed sends the end too.
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_read_closed(&self, f: impl FnOnce() + 'static) {
        self.core.watch(|core| &core.on_read_closed, Box::new(f));
    }

    /// Reads into `buffer`, or keeps the task's waker until that is possible. One task can wait so: a
    /// later one takes the place of the one before. Those in [`read`](TcpStream::read) wait beside it.
    ///
    /// # Errors
    /// As [`read`](TcpStream::read).
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.core.poll_read(&self.core.poller, cx, buffer)
    }

    /// Writes what the kernel takes of `data`, or keeps the task's waker until it takes some. Queued
    /// writes go first. One task can wait so, or for [`poll_shutdown`](TcpStream::poll_shutdown): a later one takes the
    /// place of the one before.
    ///
    /// # Errors
    /// As [`write`](TcpStream::write).
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.core.poll_write(cx, data)
    }

    /// Sends the end of the stream, once all queued writes have gone. Ready at once when that is
    /// done already.
    ///
    /// # Errors
    /// Not-connected when the connection is closed or gone.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core.poll_shutdown(cx)
    }

    /// Sets whether small writes are sent without waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.core.with_socket(|socket| socket.set_nodelay(on))
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.core.with_socket(|socket| socket.local_addr())
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed or reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.core.with_socket(|socket| socket.peer_addr())
    }

    /// Lets the loop end although the connection is open.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the connection keeps the loop alive.
    pub fn set_ref(&self, on: bool) {
        self.core.registration.set_ref(on);
    }

    /// Whether the connection keeps the loop alive while it is active.
    pub fn has_ref(&self) -> bool {
        self.core.registration.has_ref()
    }

    /// Whether the connection was closed.
    pub fn is_closing(&self) -> bool {
        !self.core.is_open()
    }

    /// Whether reading makes sense: not after a failure or a close. The end of the stream alone does
    /// not change it.
    pub fn is_readable(&self) -> bool {
        self.core.is_open() && !self.core.broken.get()
    }

    /// Whether writing makes sense: not after a shutdown was requested, a failure or a close.
    pub fn is_writable(&self) -> bool {
        self.core.is_open() && !self.core.broken.get() && !self.core.shut.get()
    }
}

impl Core {
    /// Queues an owned buffer of which some has been sent.
    fn queue_from(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        data: Vec<u8>,
        sent: usize,
    ) -> Request<io::Result<()>> {
        let request = self.queue(location, data, sent > 0);
        self.outgoing(|outgoing| {
            outgoing.queued -= sent;
            outgoing.writes.back_mut().expect("just queued").sent = sent;
        });
        request
    }

    /// Sends what the kernel takes of several buffers.
    fn send_buffers(&self, data: &[IoSlice<'_>], total: usize) -> io::Result<usize> {
        let mut on_stack = [IoSlice::new(&[]); BUFFERS_ON_STACK];
        let mut on_heap;
        let mut left: &mut [IoSlice<'_>] = if data.len() <= BUFFERS_ON_STACK {
            on_stack[..data.len()].copy_from_slice(data);
            &mut on_stack[..data.len()]
        } else {
            on_heap = data.to_vec();
            &mut on_heap
        };
        // Past the empty ones at the start: with enough of them the first call would send nothing.
        IoSlice::advance_slices(&mut left, 0);
        self.send_all(total, move |socket, _| {
            let count = sys::send_vectored(socket, left)?;
            IoSlice::advance_slices(&mut left, count);
            Ok(count)
        })
    }
}

impl Clone for TcpStream {
    fn clone(&self) -> TcpStream {
        TcpStream::of(self.core.clone())
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let left = self.core.names.get() - 1;
        self.core.names.set(left);
        if left == 0 {
            self.core.unnamed.set(true);
            self.core.close_if_unnamed();
        }
    }
}

impl AsRawFd for TcpStream {
    /// The descriptor, for options and reports. -1 when the connection is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.core.socket.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer_addr().ok())
            .field("open", &self.core.is_open())
            .finish_non_exhaustive()
    }
}

/// A connection that is on no loop: what travels between threads. Made by [`TcpStream::detach`].
///
/// Dropping it closes the connection.
#[derive(Debug)]
pub struct DetachedTcpStream {
    socket: std::net::TcpStream,
    /// A shutdown was requested: no more writes.
    shut: bool,
    /// The error of a write whose request was dropped. It comes behind what has arrived.
    failure: Option<io::Error>,
}

impl DetachedTcpStream {
    /// Opens the connection on the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be polled; a shut-down error on a loop that is closed. The
    /// connection is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> io::Result<TcpStream> {
        let state = current::expect("DetachedTcpStream::open");
        let stream =
            Core::adopt(&state, sys::TcpStream::from_std(self.socket), Location::caller())?;
        stream.core.shut.set(self.shut);
        if self.failure.is_some() {
            stream.core.failure.set(self.failure);
            stream.core.may_read_on.set(true);
            stream.core.fail_next_read();
        }
        Ok(stream)
    }

    /// The socket for use without a loop. It is non-blocking.
    pub fn into_std(self) -> std::net::TcpStream {
        self.socket
    }
}

/// A read that is going on. Made by [`TcpStream::read`].
#[derive(Debug)]
pub struct Read<'a> {
    stream: &'a TcpStream,
    buffer: &'a mut [u8],
    /// Its place among those who wait.
    place: Place,
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.stream.core.poll_read(&this.place, cx, this.buffer)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        let core = &self.stream.core;
        if !core.readers.is_empty() {
            core.readers.leave(&self.place);
            core.update_liveness();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream as StdStream};

    /// `ENOBUFS` and the like come when they please: here from a send that the kernel never saw.
    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn an_error_after_a_part_was_sent_does_not_leave_the_rest_in_the_queue() {
        const BYTES: &[u8] = b"first and last";
        let ended = Rc::new(Cell::new(None));
        let end = ended.clone();
        let mut peer = crate::run(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let stream = TcpStream::from_std(client).unwrap();
            // Behind the first poll, which reports that the socket is writable, and never again.
            crate::set_immediate(move || {
                let send = |core: &Core| {
                    core.send_all(BYTES.len(), |mut socket, sent| match sent {
                        0 => socket.write(&BYTES[..5]),
                        _ => Err(io::ErrorKind::OutOfMemory.into()),
                    })
                };
                let rest = |sent| BYTES[sent..].to_vec();
                let request = stream.core.write(Location::caller(), BYTES.len(), send, rest);
                assert_eq!(stream.write_queue_size(), BYTES.len() - 5);
                request.on_complete(move |result| end.set(Some(result)));
            });
            // A loop that waits for an edge would wait for ever.
            crate::set_timeout(std::time::Duration::from_secs(10), || crate::exit(1)).unref();
            listener.accept().unwrap().0
        });
        assert!(ended.take().is_some_and(|result| result.is_ok()), "the rest has gone");
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert_eq!(received, BYTES);
    }
}
