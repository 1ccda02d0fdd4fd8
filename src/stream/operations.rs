//! What a program asks of a stream: to read, to write, to end.
//!
//! A write is tried at once, unless others wait. Nothing is called back from inside an operation.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::ReadAt;
use super::connection::{Connection, Stream};
use super::ending::LostWrite;
use super::reading::{OnRead, is_would_block};
use super::writing::Rest;
use crate::callback;
use crate::callback::slot::Registered;
use crate::error::{self, CancelError};
use crate::queue::closure::Closure;
use crate::request::{Completer, Request};
use crate::state::named::Name;
use crate::sys::{self, Transport};
use crate::task::waiters::{self, Place};
use crate::unhandled::{Claimable, Failure};

/// Buffers of a vectored write that need no memory of their own.
const BUFFERS_ON_STACK: usize = 16;

/// What is to be written.
pub(crate) enum Data<'a> {
    /// What is not sent at once is copied.
    Borrowed(&'a [u8]),
    /// What is not sent at once is kept.
    Owned(Vec<u8>),
    /// Several buffers, as one: those that have been sent are taken out. What is left is copied.
    Vectored(&'a mut [IoSlice<'a>]),
    /// Bytes, one at least, and descriptors that go with the first of them.
    Described(&'a [u8], Vec<OwnedFd>),
}

impl Data<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        match self {
            Data::Borrowed(data) => data.len(),
            Data::Owned(data) => data.len(),
            Data::Vectored(data) => data.iter().map(|buffer| buffer.len()).sum(),
            Data::Described(data, _) => data.len(),
        }
    }

    /// What the queue keeps when the first `sent` bytes have gone.
    #[inline(always)]
    fn into_rest(self, sent: usize) -> Rest {
        let mut rest = Rest { begun: sent > 0, ..Rest::default() };
        match self {
            Data::Borrowed(data) => rest.data = data[sent..].to_vec(),
            Data::Owned(data) => (rest.data, rest.sent) = (data, sent),
            Data::Vectored(data) => {
                let buffers: Vec<&[u8]> = data.iter().map(|buffer| &**buffer).collect();
                rest.data = buffers.concat();
            }
            Data::Described(data, descriptors) => {
                rest.data = data[sent..].to_vec();
                rest.descriptors = descriptors;
            }
        }
        rest
    }
}

/// Sends one call's worth, with the descriptors if they have not gone.
fn send_described<T: Transport>(
    transport: &T,
    data: &[u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    if descriptors.is_empty() {
        return transport.send(data);
    }
    let count = transport.send_descriptors(&[IoSlice::new(data)], descriptors)?;
    descriptors.clear();
    Ok(count)
}

/// Sends one call's worth of several buffers, and takes out what has gone.
fn send_buffers<T: Transport>(transport: &T, left: &mut &mut [IoSlice<'_>]) -> io::Result<usize> {
    let count = transport.send_vectored(left)?;
    IoSlice::advance_slices(left, count);
    Ok(count)
}

impl<S: Stream> Connection<S> {
    /// Writes at once what the system takes, unless other writes wait, and queues what is left.
    ///
    /// Inlined, so that each public form of a write knows what its data is.
    #[inline(always)]
    pub(crate) fn write(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        mut data: Data<'_>,
    ) -> Request<io::Result<()>> {
        let state = self.state();
        if let Some(error) = self.refusal() {
            return Request::failed_later(state, S::KIND, location, error);
        }
        let total = data.len();
        let others_wait = self.writing.has_unsent();
        let sent = match self.transport.borrow().as_ref() {
            Some(transport) if !others_wait && !transport.sends_later() => {
                self.writing.try_send(total, |sent| {
                    let outcome = match &mut data {
                        Data::Borrowed(data) => transport.send(&data[sent..]),
                        Data::Owned(data) => transport.send(&data[sent..]),
                        Data::Vectored(left) => send_buffers(transport, left),
                        Data::Described(data, descriptors) => {
                            send_described(transport, &data[sent..], descriptors)
                        }
                    };
                    self.told(outcome)
                })
            }
            _ => Ok(0),
        };
        match sent {
            Ok(sent) if sent == total && !others_wait => {
                if self.writing.has_writes() {
                    return self.completed(location, Ok(()));
                }
                Request::finished(state, S::KIND, Ok(()))
            }
            Ok(sent) => self.queue(location, data.into_rest(sent)),
            Err(error) => self.completed(location, Err(error)),
        }
    }

    /// Writes several buffers as one.
    pub(crate) fn write_vectored(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        data: &[IoSlice<'_>],
    ) -> Request<io::Result<()>> {
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
        self.write(location, Data::Vectored(left))
    }

    /// Writes at once what the system takes, and queues nothing.
    pub(crate) fn try_write(self: &Rc<Self>, data: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        if data.is_empty() {
            return Ok(0);
        }
        match self.write_now(data)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    /// Writes of a task's bytes what the system takes, unless writes wait. None is no error.
    fn write_now(self: &Rc<Self>, data: &[u8]) -> io::Result<usize> {
        if self.sends_later()
            && let Some(write) = self.reading.take_failure()
        {
            return Err(write.error);
        }
        if self.writing.has_unsent() {
            return Ok(0);
        }
        if self.sends_later() {
            self.hand_over(data);
            return Ok(data.len());
        }
        self.with_transport(|transport| {
            self.writing.try_send(data.len(), |sent| self.told(transport.send(&data[sent..])))
        })
    }

    /// As [`poll_write`](Connection::poll_write), of several buffers.
    pub(crate) fn poll_write_vectored(
        self: &Rc<Self>,
        cx: &Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Past the empty ones at the start: with enough of them a call would send nothing.
        let first = data.iter().position(|buffer| !buffer.is_empty()).unwrap_or(data.len());
        let data = &data[first..];
        let is_one = data.iter().skip(1).all(|buffer| buffer.is_empty());
        if is_one || self.sends_later() {
            return self.poll_write(cx, data.first().map_or(&[], |buffer| buffer));
        }
        self.poll_write_by(cx, || {
            // What one call takes: what is left comes with the next one.
            self.with_transport(|transport| {
                self.writing.try_send(1, |_| self.told(transport.send_vectored(data)))
            })
        })
    }

    /// Whether what is written is handed over, and goes later.
    fn sends_later(&self) -> bool {
        self.transport.borrow().as_ref().is_some_and(Transport::sends_later)
    }

    /// Why nothing can be written, if so.
    #[inline(always)]
    fn refusal(&self) -> Option<io::Error> {
        if !self.is_open() {
            Some(self.closed_error())
        } else if self.writing.has_ended() {
            Some(io::Error::from_raw_os_error(sys::EPIPE))
        } else {
            None
        }
    }

    /// The request of a write that has ended. It completes behind the writes that have finished
    /// before it.
    fn completed(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        outcome: io::Result<()>,
    ) -> Request<io::Result<()>> {
        let (completer, request) = Completer::new(self.state(), S::KIND, location);
        self.report_unclaimed(location, &completer);
        if self.writing.has_writes() {
            self.writing.push_finished(outcome, completer);
        } else {
            completer.complete_later(outcome);
        }
        request
    }

    /// Queues what the system did not take of a write.
    fn queue(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        rest: Rest,
    ) -> Request<io::Result<()>> {
        let (completer, request) = Completer::new(self.state(), S::KIND, location);
        self.report_unclaimed(location, &completer);
        self.enqueue(rest, completer);
        request
    }

    fn enqueue(self: &Rc<Self>, rest: Rest, completer: Completer<io::Result<()>>) {
        let number = self.state().next_number();
        let weak = Rc::downgrade(self);
        completer.on_cancel(move || {
            weak.upgrade().map_or(Err(CancelError::Done), |stream| stream.cancel_write(number))
        });
        self.writing.push(number, rest, completer);
        self.update_liveness();
        if self.writing.is_writable() {
            // Sending stopped for another reason than a full socket, and no event will tell when to
            // go on.
            self.registration.call_again();
        }
    }

    /// Has an error of a write whose request was dropped go to the reader. A write that was
    /// cancelled is no failure of the stream.
    fn report_unclaimed(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        completer: &Completer<io::Result<()>>,
    ) {
        let weak = Rc::downgrade(self);
        completer.on_unclaimed(move |outcome| {
            let error = outcome.err().filter(|error| !error.is_cancelled())?;
            match weak.upgrade().filter(|stream| stream.is_open()) {
                Some(stream) => {
                    let (later, write) = (stream.clone(), LostWrite { error, location });
                    stream.state().push_pending(Closure::new(move || later.report(write)));
                    None
                }
                None => Err::<(), _>(error).into_lost(),
            }
        });
    }

    /// Gives an error that no request takes to the reader, behind what has arrived. Without a
    /// reader, and when none is expected back, nobody takes it, and the stream closes.
    fn report(self: &Rc<Self>, write: LostWrite) {
        if !self.is_open() {
            return self.lose(write);
        }
        let is_named = self.names.count() > 0;
        if self.reading.is_wanted() || self.reading.may_resume() && is_named {
            self.fail_next_read(Box::new(write));
        } else {
            self.lose(write);
            self.reading.note_gone();
            self.end_lost();
        }
    }

    /// Has what has arrived read to its last byte, and then this error.
    pub(super) fn fail_next_read(&self, write: Box<LostWrite>) {
        self.reading.fail(write);
        self.registration.call_again();
    }

    fn cancel_write(&self, number: u64) -> Result<(), CancelError> {
        let completer = self.writing.cancel(number)?;
        self.update_liveness();
        completer.complete_later(Err(error::cancelled()));
        if !self.writing.has_unsent() {
            // What waited for the last write must not wait until the system takes bytes again,
            // which may never come; but not from here, for the caller is in the middle of
            // something.
            self.registration.call_again();
            if let Some(task) = self.writing.take_task() {
                self.update_liveness();
                waiters::wake(task);
            }
        }
        Ok(())
    }

    /// Sends the end of the stream behind the writes that wait.
    pub(crate) fn shutdown(
        self: &Rc<Self>,
        location: &'static Location<'static>,
    ) -> Request<io::Result<()>> {
        let state = self.state();
        if !self.is_open() {
            return Request::failed_later(state, S::KIND, location, self.closed_error());
        }
        if self.writing.end() {
            let error = io::Error::from_raw_os_error(sys::ENOTCONN);
            return Request::failed_later(state, S::KIND, location, error);
        }
        if !self.writing.has_writes() {
            return match self.send_end() {
                Ok(()) => Request::finished(state, S::KIND, Ok(())),
                failed => Request::done(state, S::KIND, location, failed),
            };
        }
        let (completer, request) = Completer::new(state, S::KIND, location);
        self.writing.push_end(completer);
        self.update_liveness();
        request
    }

    fn send_end(&self) -> io::Result<()> {
        let outcome = self.with_transport(Transport::send_end);
        self.close_behind_end();
        outcome
    }

    /// Registers the read callback. A stream that is not open calls it once with an error, later.
    #[track_caller]
    pub(crate) fn start_reading(self: &Rc<Self>, mut f: Box<OnRead<S>>) {
        if !self.is_open() {
            // Dropped uncalled if the loop is gone.
            if self.state().is_open() {
                let (stream, origin) = (self.clone(), Registered::here().origin(S::KIND));
                self.state().push_pending(Closure::new(move || {
                    let error = stream.closed_error();
                    let state = stream.state().clone();
                    let stream = S::of(Name::new(stream));
                    callback::call(&state, origin, || f(&stream, Err(error)));
                }));
            }
            return;
        }
        let before = self.reading.start(f);
        self.update_liveness();
        if self.reading.is_readable() {
            self.registration.call_again();
        }
        drop(before);
    }

    /// Removes the read callback. What arrives stays with the system.
    pub(crate) fn stop_reading(&self) {
        let before = self.reading.stop();
        self.update_liveness();
        drop(before);
        self.close_if_unnamed();
    }

    /// Reads, or waits at this place until that is possible.
    pub(crate) fn poll_read(
        &self,
        place: &Place,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.poll_once(buffer);
        if polled.is_pending() {
            self.reading.tasks.wait(place, cx);
            self.update_liveness();
        } else {
            self.stop_waiting(place);
        }
        polled
    }

    /// The task of this place no longer waits to read.
    fn stop_waiting(&self, place: &Place) {
        // Not when it was woken: then all have left.
        if !self.reading.tasks.is_empty() {
            self.reading.tasks.leave(place);
            self.update_liveness();
        }
    }

    /// Whether reading makes sense: not after a failure or a close.
    pub(crate) fn can_read(&self) -> bool {
        self.can(Transport::can_receive)
    }

    fn can(&self, can: fn(&S::Transport) -> bool) -> bool {
        self.transport.borrow().as_ref().is_some_and(can) && !self.reading.is_broken()
    }

    /// Whether writing makes sense: not after a shutdown was requested, either.
    pub(crate) fn can_write(&self) -> bool {
        self.can(Transport::can_send) && !self.writing.has_ended()
    }

    /// Reads what has come, without waiting for it.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return if self.is_open() { Ok(0) } else { Err(self.closed_error()) };
        }
        self.reading.expect_reader();
        self.read(buffer)
    }

    /// Looks at what has come, or waits until something has in the place of who polls to read.
    pub(crate) fn poll_peek(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return self.poll_read(self.reading.tasks.poller(), cx, buffer);
        }
        if !self.is_open() {
            return Poll::Ready(Err(self.closed_error()));
        }
        self.reading.expect_reader();
        if self.reading.is_readable() && self.may_go_on() {
            let mut outcome = self.told(self.with_transport(|transport| transport.peek(buffer)));
            if is_would_block(&outcome) || matches!(outcome, Ok(0)) {
                // As for a read: behind all that has arrived comes the error of a write.
                outcome = self.reading.read_nothing(outcome);
            }
            if !is_would_block(&outcome) {
                self.stop_waiting(self.reading.tasks.poller());
                return Poll::Ready(outcome);
            }
        }
        self.reading.tasks.wait(self.reading.tasks.poller(), cx);
        self.update_liveness();
        Poll::Pending
    }

    fn poll_once(&self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.is_open() {
            return Poll::Ready(Err(self.closed_error()));
        }
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.reading.expect_reader();
        if self.reading.is_readable() && self.may_go_on() {
            match self.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
        Poll::Pending
    }

    /// Writes what the system takes of `data`, or has the task wait until it takes some.
    pub(crate) fn poll_write(
        self: &Rc<Self>,
        cx: &Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(self.refusal().map_or(Ok(0), Err));
        }
        self.poll_write_by(cx, || self.write_now(data))
    }

    /// Writes by `write` what the system takes, or has the task wait until it takes some.
    fn poll_write_by(
        self: &Rc<Self>,
        cx: &Context<'_>,
        write: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.refusal() {
            return Poll::Ready(Err(error));
        }
        if !self.writing.has_unsent() && self.may_go_on() {
            let sent = write();
            if !matches!(sent, Ok(0)) {
                return Poll::Ready(sent);
            }
        }
        self.wait_to_write(cx)
    }

    /// Queues the bytes of a task, which does not wait until they have gone. Their error is for the
    /// next one.
    fn hand_over(self: &Rc<Self>, data: &[u8]) {
        let Some(at) = self.registration.location() else { return };
        let (completer, request) = Completer::new(self.state(), S::KIND, at);
        let weak = Rc::downgrade(self);
        completer.on_unclaimed(move |outcome: io::Result<()>| {
            let error = outcome.err()?;
            match weak.upgrade().filter(|stream| stream.is_open()) {
                Some(stream) => {
                    stream.reading.fail(Box::new(LostWrite { error, location: at }));
                    None
                }
                None => Err::<(), _>(error).into_lost(),
            }
        });
        drop(request);
        self.enqueue(Rest { data: data.to_vec(), ..Rest::default() }, completer);
    }

    /// Ready when nothing is queued any more, or has the task wait for that.
    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_open() {
            return Poll::Ready(self.after_close());
        }
        if self.writing.has_unsent() {
            return self.wait_to_write(cx);
        }
        if self.sends_later()
            && let Some(write) = self.reading.take_failure()
        {
            return Poll::Ready(Err(write.error));
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the end of the stream, or has the task wait until all writes have gone.
    pub(crate) fn poll_shutdown(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.is_open() && self.writing.is_busy() {
            return self.wait_to_write(cx);
        }
        let flushed = self.poll_flush(cx);
        if !matches!(flushed, Poll::Ready(Ok(()))) || self.writing.end() {
            return flushed;
        }
        Poll::Ready(self.send_end())
    }

    /// What comes of ending a stream that is not open: nothing, if that is how it was ended.
    fn after_close(&self) -> io::Result<()> {
        let is_ended = S::Transport::CLOSE_IS_END && self.writing.has_ended();
        if is_ended && self.state().is_open() { Ok(()) } else { Err(self.closed_error()) }
    }

    /// Keeps the task's waker until it can write.
    fn wait_to_write<R>(&self, cx: &Context<'_>) -> Poll<R> {
        let was_open = self.is_open();
        // A waker is cloned and dropped, which is anybody's code: it may close the stream.
        let before = self.writing.wait(cx);
        self.update_liveness();
        drop(before);
        if was_open && !self.is_open() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<S: Stream> ReadAt for Connection<S> {
    fn poll_read_at(
        &self,
        place: &Place,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read(place, cx, buffer)
    }

    fn leave(&self, place: &Place) {
        self.stop_waiting(place);
    }
}
