//! How a stream ends: closed, detached or torn down by this side, or left by the peer.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::FailAt;
use super::connection::{Connection, Stream};
use super::reading::{Loss, OnRead};
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::{Once, Registered};
use crate::callback::{self, Apart};
use crate::error;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::sys::{self, Transport as _};
use crate::task::waiters::{self, Place};
use crate::trace::label::Shown;
use crate::trace::origin::Origin;
use crate::unhandled::{self, Claimable};

/// An end of the connection that the peer has brought about.
#[derive(Clone, Copy)]
pub(crate) enum PeerEnd {
    /// The peer sends no more. It may still read.
    ReadClosed,
    /// The peer is gone: neither direction is left.
    HangUp,
}

/// What a stream takes along when it leaves its loop.
pub(crate) struct Detached<T> {
    /// Registered with no poller.
    pub(crate) transport: T,
    /// What else.
    pub(crate) carried: Carried,
}

/// What was told on one loop and must be known on the next.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The end of the stream was sent: no more writes.
    ended: bool,
    /// The write that failed and whose request was dropped. It comes behind what has arrived.
    pub(crate) failure: Option<Box<LostWrite>>,
    /// The loss of the connection, of which the system tells once.
    loss: Option<Loss>,
}

/// A write that failed and whose request was dropped.
#[derive(Debug)]
pub(crate) struct LostWrite {
    /// Why it failed.
    pub(crate) error: io::Error,
    /// The line that wrote.
    pub(crate) location: &'static Location<'static>,
}

/// The callbacks of a stream that is no longer open. They are dropped last: what they captured may
/// call back into the loop.
struct Callbacks<S: 'static> {
    /// Got what arrived.
    on_read: Apart<Option<Box<OnRead<S>>>>,
    /// Waited for the peer to send no more.
    on_read_closed: Apart<Option<Box<dyn FnOnce()>>>,
    /// Waited for the peer to be gone.
    on_hang_up: Apart<Option<Box<dyn FnOnce()>>>,
    /// Waits for the close phase, when the program has closed the stream.
    on_close: Apart<Option<(Box<dyn FnOnce()>, Origin)>>,
}

impl<S: Stream> Connection<S> {
    /// Takes the transport off the loop, and the callbacks out: the stream is no longer open. None
    /// if it was not.
    fn take_off(&self) -> Option<(S::Transport, Callbacks<S>)> {
        let mut transport = self.transport.take()?;
        match transport.watched() {
            None => transport.report_to(None),
            Some(fd) => {
                self.state().sources.deregister(|poller| poller.deregister_descriptor(fd));
            }
        }
        let callbacks = Callbacks {
            on_read: Apart(self.reading.stop()),
            on_read_closed: Apart(self.on_read_closed.clear()),
            on_hang_up: Apart(self.on_hang_up.clear()),
            on_close: Apart(self.on_close.take(S::KIND)),
        };
        Some((transport, callbacks))
    }

    /// Wakes the tasks that wait: they find a stream that is not open.
    fn wake_tasks(&self) {
        let writer = self.writing.take_task();
        self.reading.tasks.wake();
        waiters::wake_each(writer);
        self.wake_watchers();
    }

    /// Wakes those who wait to hear that the stream has failed: they look.
    pub(super) fn wake_watchers(&self) {
        if let Some(watchers) = self.writing.watchers() {
            watchers.wake();
        }
    }

    /// A write has failed, and neither its request nor a reader takes the error, unless one has
    /// heard of it as the loss of the connection.
    pub(crate) fn lose(&self, write: LostWrite) {
        if !self.reading.has_heard_of(&write.error)
            && let Some(lost) = Err::<(), _>(write.error).into_lost()
        {
            unhandled::report(self.state(), S::KIND, write.location, lost);
        }
    }

    /// Closes at once. What waits is cancelled, in the close phase.
    pub(crate) fn close(&self) {
        let Some((transport, mut callbacks)) = self.take_off() else { return };
        drop(transport);
        self.log_close();
        if let Some(failure) = self.reading.take_failure() {
            self.lose(*failure);
        }
        let requests = self.writing.take_all(error::cancelled);
        let mut told: Vec<Closure> = Vec::new();
        for (completer, outcome) in requests.ends {
            let later = completer.later(outcome);
            told.push(Closure::new(move || later.complete()));
        }
        if let Some(attempt) = requests.attempt {
            attempt.cancelled();
        }
        if let Some((on_close, origin)) = callbacks.on_close.0.take() {
            told.push(self.call_of(origin, on_close));
        }
        self.state().push_all_closing(told);
        let entry = self.registration.close();
        self.wake_tasks();
        drop((callbacks, entry));
    }

    fn log_close(&self) {
        self.state().log(|| match self.registration.location() {
            Some(place) => format!("{} of {} closed", S::KIND, Shown(place)),
            None => format!("{} closed", S::KIND),
        });
    }

    /// The call of a close callback.
    fn call_of(&self, origin: Origin, f: Box<dyn FnOnce()>) -> Closure {
        let state = self.state().clone();
        Closure::new(move || callback::call(&state, origin, f))
    }

    /// Takes the stream off its loop. Refused while a request waits.
    pub(crate) fn detach(&self) -> io::Result<Detached<S::Transport>> {
        if self.writing.is_busy() {
            let text = "writes of the connection wait, or it is being made";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let Some((transport, callbacks)) = self.take_off() else { return Err(self.closed_error()) };
        let entry = self.registration.close();
        self.wake_tasks();
        drop((callbacks, entry));
        let (failure, loss) = (self.reading.take_failure(), self.reading.take_loss());
        let carried = Carried { ended: self.writing.has_ended(), failure, loss };
        Ok(Detached { transport, carried })
    }

    /// Takes over what came with the stream from the loop before.
    pub(crate) fn take_over(&self, carried: Carried) {
        if carried.ended {
            self.writing.end();
        }
        self.reading.set_loss(carried.loss);
        if let Some(failure) = carried.failure {
            self.reading.expect_reader();
            self.fail_next_read(failure);
        }
    }

    /// The loop ends: callbacks are dropped uncalled, requests get a shut-down error.
    pub(super) fn abandon(&self) {
        if self.is_open() {
            self.log_close();
        }
        drop(self.registration.close());
        let taken = self.take_off();
        let mut on_close = None;
        if let Some((transport, mut callbacks)) = taken {
            drop(transport);
            callback::drop_quietly(callbacks.on_read);
            callback::drop_quietly(callbacks.on_read_closed);
            callback::drop_quietly(callbacks.on_hang_up);
            on_close = callbacks.on_close.0.take();
        }
        self.wake_tasks();
        let requests = self.writing.take_all(error::shut_down);
        for (completer, outcome) in requests.ends {
            completer.shut_down(Some(outcome));
        }
        if let Some(attempt) = requests.attempt {
            attempt.shut_down();
        }
        callback::drop_quietly(on_close);
    }

    /// Closes a stream whose end has gone and whose end is its close. Not before the end was asked
    /// for.
    pub(super) fn close_behind_end(&self) {
        if S::Transport::CLOSE_IS_END && self.writing.has_ended() {
            self.close();
        }
    }

    /// Closes if the program has no name of the stream and nothing is left to do. An end that was
    /// reported is told first: then it was not this side that ended.
    pub(super) fn close_if_unnamed(&self) {
        let is_idle = || !self.reading.is_on() && !self.writing.is_busy() && !self.owes_an_end();
        if self.names.count() == 0 && self.is_open() && is_idle() {
            self.close();
        }
    }

    /// Calls `f` in the close phase after the stream was closed.
    #[track_caller]
    pub(crate) fn on_close(&self, f: Box<dyn FnOnce()>) {
        if self.is_open() {
            let before = self.on_close.set(f);
            drop(before);
        } else if self.state().is_open() {
            let origin = Registered::here().origin(S::KIND);
            self.state().push_closing(self.call_of(origin, f));
        }
    }

    /// Keeps a callback that waits for an end that the peer brings about. Reported before, it is
    /// told later. On a stream that this side has closed it is dropped uncalled.
    #[track_caller]
    pub(crate) fn on_peer_end(self: &Rc<Self>, end: PeerEnd, f: Box<dyn FnOnce()>) {
        if !self.is_open() {
            return;
        }
        let before = self.slot(end).set(f);
        if self.reading.may_stop() {
            let stream = self.clone();
            self.state().push_pending(Closure::new(move || {
                let again = OnDrop(|| stream.registration.call_again());
                stream.tell_of_end(stream.state());
                again.forget();
            }));
        }
        drop(before);
    }

    fn slot(&self, end: PeerEnd) -> &Once<dyn FnOnce()> {
        match end {
            PeerEnd::ReadClosed => &self.on_read_closed,
            PeerEnd::HangUp => &self.on_hang_up,
        }
    }

    /// Whether an end was reported that a callback waits for.
    fn owes(&self, end: PeerEnd) -> bool {
        let reported = match end {
            PeerEnd::ReadClosed => self.reading.is_closed_by_peer(),
            PeerEnd::HangUp => self.reading.is_peer_gone(),
        };
        reported && self.slot(end).is_some()
    }

    fn owes_an_end(&self) -> bool {
        self.owes(PeerEnd::ReadClosed) || self.owes(PeerEnd::HangUp)
    }

    /// Calls the callbacks that wait for what was reported of the peer's end. What came before it
    /// is told before it: while a reader still has to get that, they wait for its round.
    pub(super) fn tell_of_end(self: &Rc<Self>, state: &Rc<State>) {
        for end in [PeerEnd::ReadClosed, PeerEnd::HangUp] {
            // Asked anew for each: the callback before may have begun to read.
            if !self.reading.has_more() {
                self.tell(end, state);
            }
        }
        self.close_if_unnamed();
    }

    /// Calls the callback that waits for this end, if it was reported and the stream is open.
    fn tell(&self, end: PeerEnd, state: &Rc<State>) {
        if self.owes(end)
            && !state.is_halted()
            && let Some((f, origin)) = self.slot(end).take(S::KIND)
        {
            callback::call(state, origin, f);
        }
    }

    /// The connection is lost, and nobody reads: tells of it and closes it. A panic of one callback
    /// keeps it from neither.
    pub(super) fn end_lost(self: &Rc<Self>) {
        let state = self.state();
        let again = OnDrop(|| {
            let stream = self.clone();
            state.push_pending(Closure::new(move || stream.end_lost()));
        });
        self.tell(PeerEnd::ReadClosed, state);
        self.tell(PeerEnd::HangUp, state);
        again.forget();
        self.close();
    }
}

impl<S: Stream> FailAt for Connection<S> {
    fn poll_failed_at(&self, place: &Place, cx: &Context<'_>) -> Poll<io::Error> {
        if !self.is_open() {
            return Poll::Ready(self.closed_error());
        }
        if self.reading.is_broken() || self.reading.is_peer_deaf(S::Transport::HANG_UP_PASSES) {
            return Poll::Ready(io::Error::from_raw_os_error(sys::EPIPE));
        }
        self.writing.make_watchers().wait(place, cx);
        Poll::Pending
    }

    fn leave_failed(&self, place: &Place) {
        if let Some(watchers) = self.writing.watchers() {
            watchers.leave(place);
        }
    }
}
