//! The reading side of a stream: what is known of the bytes that wait, and where they go.
//!
//! The poller reports changes, so this side remembers them: it stays *readable* until the system
//! says would-block, or a read comes back short, which says the same.
//!
//! This file makes no system call and calls nothing back. It is given the function that reads.

use std::cell::Cell;
use std::io;

use super::ending::LostWrite;
use crate::callback::slot::Slot;
use crate::state::State;
use crate::sys::Event;
use crate::task::waiters::Waiters;

/// The size of the buffer that the streams of a loop read into: what one call is worth.
const READ_BUFFER: usize = 64 * 1024;

/// What a read may stop at.
const STOPS: Event =
    Event::READ_CLOSED.with(Event::WRITE_CLOSED).with(Event::ERROR).with(Event::PRIORITY);

/// The end of a connection in both directions, as the poller reports it.
const GONE: Event = Event::READ_CLOSED.with(Event::WRITE_CLOSED);

/// What a stream's program does with what arrives.
pub(crate) type OnRead<S> = dyn FnMut(&S, io::Result<&[u8]>);

/// The loss of a connection that somebody other than a reader was told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// The system's code for it, which all systems keep this small: an idle connection pays for
    /// it.
    code: u8,
    /// A reader has been told too.
    heard: bool,
}

/// The reading side of a stream.
pub(crate) struct Reading<S: 'static> {
    /// Called with what arrives, while a program reads by callback.
    pub(super) on_read: Slot<OnRead<S>>,
    /// A read callback is registered. It may be running, and is then not in its slot.
    on: Cell<bool>,
    /// Data, the end or an error can be read, for all that is known.
    readable: Cell<bool>,
    /// What was ever reported that a read may stop at, so that a short one no longer means that
    /// nothing is left: the end behind the bytes (`READ_CLOSED`, `WRITE_CLOSED`, `ERROR`), an
    /// urgent byte between them (`PRIORITY`). Never taken back.
    reported: Cell<Event>,
    /// A read failed: nothing more can be read or written.
    broken: Cell<bool>,
    /// The program has read, and was told neither the end nor an error: one that pauses may come
    /// back.
    may_resume: Cell<bool>,
    /// A write that failed and whose request was dropped. Its error comes behind what has arrived.
    failure: Cell<Option<Box<LostWrite>>>,
    /// Why the connection is lost, as the system has told a write or who peeked. It tells that
    /// once, and an end from then on.
    loss: Cell<Option<Loss>>,
    /// The tasks that wait until they can read.
    pub(crate) tasks: Waiters,
}

impl<S> Reading<S> {
    /// A side without a reader, of which nothing is known yet.
    pub(super) fn new() -> Reading<S> {
        Reading {
            on_read: Slot::default(),
            on: Cell::new(false),
            readable: Cell::new(false),
            reported: Cell::new(Event::default()),
            broken: Cell::new(false),
            may_resume: Cell::new(false),
            failure: Cell::new(None),
            loss: Cell::new(None),
            tasks: Waiters::default(),
        }
    }

    /// Notes what the poller reported.
    #[inline(always)]
    pub(super) fn note(&self, event: Event) {
        if event.has(Event::READABLE.with(Event::READ_CLOSED).with(Event::ERROR)) {
            self.readable.set(true);
        }
        self.reported.set(self.reported.get().with(event.only(STOPS)));
    }

    /// Whether a read is worth the call.
    #[inline(always)]
    pub(super) fn is_readable(&self) -> bool {
        self.readable.get()
    }

    /// Whether the read callback can be called with something.
    #[inline(always)]
    pub(super) fn has_more(&self) -> bool {
        self.on.get() && self.readable.get()
    }

    /// Whether a read failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Whether something was reported that a read stops at.
    #[inline(always)]
    pub(super) fn may_stop(&self) -> bool {
        !self.reported.get().is_empty()
    }

    /// Whether the peer was reported to send no more.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.reported.get().has(Event::READ_CLOSED)
    }

    /// Whether the peer was reported to be gone. An orderly end of one direction leaves the other
    /// open.
    pub(super) fn is_peer_gone(&self) -> bool {
        self.is_closed_by_peer() && self.reported.get().has(Event::WRITE_CLOSED)
    }

    /// Whether writes to the peer will fail, as far as was reported. `passes` says that a hang-up
    /// alone does not mean that.
    pub(super) fn is_peer_deaf(&self, passes: bool) -> bool {
        let reported = self.reported.get();
        reported.has(Event::ERROR) || !passes && reported.has(Event::WRITE_CLOSED)
    }

    /// The connection ends by itself: not of this side's own will.
    pub(super) fn note_gone(&self) {
        self.reported.set(self.reported.get().with(GONE));
    }

    /// Whether somebody reads at this moment.
    #[inline(always)]
    pub(super) fn is_wanted(&self) -> bool {
        self.on.get() || !self.tasks.is_empty()
    }

    /// Whether a read callback is registered.
    pub(super) fn is_on(&self) -> bool {
        self.on.get()
    }

    /// Whether a reader that has paused may read on: then errors are kept for it.
    pub(super) fn may_resume(&self) -> bool {
        self.may_resume.get()
    }

    /// A task reads, or will.
    pub(super) fn expect_reader(&self) {
        self.may_resume.set(true);
    }

    /// Registers a read callback. The one before comes back, for the caller to drop last.
    #[track_caller]
    pub(super) fn start(&self, f: Box<OnRead<S>>) -> Option<Box<OnRead<S>>> {
        self.on.set(true);
        self.may_resume.set(true);
        self.on_read.set(f)
    }

    /// Removes the read callback, for the caller to drop last. One that is running is dropped when
    /// it returns.
    pub(super) fn stop(&self) -> Option<Box<OnRead<S>>> {
        self.on.set(false);
        self.on_read.clear()
    }

    /// Reads once by `receive`, and notes what the outcome says about the next read.
    /// `short_read_empties` says, after it, that a short read leaves nothing behind, unless it
    /// stopped at something.
    #[inline(always)]
    pub(super) fn read(
        &self,
        buffer: &mut [u8],
        short_read_empties: impl Fn() -> bool,
        mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match receive(buffer) {
                Ok(count) if count > 0 => {
                    // What comes later is reported anew.
                    if count < buffer.len() && !self.may_stop() && short_read_empties() {
                        self.readable.set(false);
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return self.read_nothing(outcome),
            }
        }
    }

    /// A read gave no byte: all that has arrived is read. Now comes the error of a write whose
    /// request was dropped, in place of the end or of another error: of these each reader gets one.
    /// The end of a connection that was lost is its loss.
    pub(super) fn read_nothing(&self, outcome: io::Result<usize>) -> io::Result<usize> {
        if is_would_block(&outcome) {
            self.readable.set(false);
        }
        let outcome = match self.failure.take() {
            Some(write) => Err(write.error),
            None => outcome.and_then(|_| self.end()),
        };
        if is_would_block(&outcome) {
            return outcome;
        }
        if outcome.is_err() {
            self.broken.set(true);
            let heard = self.loss.get().map(|loss| Loss { heard: true, ..loss });
            self.loss.set(heard);
        }
        self.may_resume.set(false);
        outcome
    }

    /// The end, unless a loss has brought it about of which no reader was told.
    fn end(&self) -> io::Result<usize> {
        match self.loss.get() {
            Some(Loss { code, heard: false }) => Err(io::Error::from_raw_os_error(code.into())),
            _ => Ok(0),
        }
    }

    /// Notes an error that the system has told a write, or who peeked. If the connection is lost by
    /// it, it will not be told again.
    #[cold]
    pub(super) fn note_loss(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, TimedOut};
        use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable};

        let is_loss = matches!(
            error.kind(),
            ConnectionAborted
                | ConnectionReset
                | HostUnreachable
                | NetworkDown
                | NetworkUnreachable
                | TimedOut
        );
        let code = error.raw_os_error().and_then(|code| u8::try_from(code).ok());
        if let Some(code) = code.filter(|_| is_loss && !self.broken.get()) {
            self.loss.set(Some(Loss { code, heard: false }));
        }
    }

    /// Whether a reader was told of this error, as of the loss of the connection.
    pub(super) fn has_heard_of(&self, error: &io::Error) -> bool {
        let is_this = |loss: Loss| error.raw_os_error() == Some(loss.code.into());
        self.loss.get().is_some_and(|loss| loss.heard && is_this(loss))
    }

    /// Has what has arrived read to its last byte, and then this error. Of several errors the first
    /// counts: those after it follow from it.
    pub(super) fn fail(&self, write: Box<LostWrite>) {
        let mut first = self.failure.take().unwrap_or(write);
        if let Some(Loss { code, heard: false }) = self.loss.take() {
            first.error = io::Error::from_raw_os_error(code.into());
        }
        self.failure.set(Some(first));
        // A read is to go on until it gives nothing, as behind an urgent byte. That the peer takes
        // no more was not reported.
        self.reported.set(self.reported.get().with(Event::PRIORITY));
        self.readable.set(true);
    }

    /// The loss, for a reader on another loop.
    pub(super) fn take_loss(&self) -> Option<Loss> {
        self.loss.take()
    }

    /// The loss of which somebody was told on the loop before.
    pub(super) fn set_loss(&self, loss: Option<Loss>) {
        self.loss.set(loss);
    }

    /// The error that no reader has come for.
    pub(super) fn take_failure(&self) -> Option<Box<LostWrite>> {
        self.failure.take()
    }
}

/// Whether a read found that nothing has come yet.
pub(super) fn is_would_block(outcome: &io::Result<usize>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The loop's read buffer while a stream has it. One that is out when another is needed is
/// replaced.
pub(crate) struct BufferLoan<'a> {
    /// The loop, which gets the buffer back if it is open then.
    state: &'a State,
    /// Made when it is first used.
    buffer: Option<Box<[u8]>>,
}

impl<'a> BufferLoan<'a> {
    pub(crate) fn take(state: &'a State) -> BufferLoan<'a> {
        BufferLoan { state, buffer: state.read_buffer.take() }
    }

    pub(crate) fn buffer(&mut self) -> &mut [u8] {
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

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    #[test]
    fn a_write_that_has_failed_is_no_report_that_the_peer_takes_no_more() {
        let reading = Reading::<()>::new();
        let (error, location) = (io::ErrorKind::StorageFull.into(), Location::caller());
        reading.fail(Box::new(LostWrite { error, location }));
        assert!(reading.may_stop() && !reading.is_peer_deaf(true));
        reading.note(Event::ERROR);
        assert!(reading.is_peer_deaf(true));
    }
}
