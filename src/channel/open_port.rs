//! A port as its loop has it: what happens between its opening and its close.
//!
//! A close has two steps. In the first, nothing more can be sent from here, and the close callbacks
//! of both ends are on their way. In the second, nothing more is received. The second follows at
//! once, except for a port that is closed in a round of its own: as in Node, what is left of that
//! round is still delivered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use super::bounded::Ticket;
use super::handler::{MessageHandler, Round};
use super::link::{CloseNotice, Link};
use super::queue::{End, Queue};
use super::recv::Receive;
use super::seam::Receiver;
use super::sent::Sent;
use crate::callback::slot::Once;
use crate::callback::{self, Apart, on_drop::OnDrop};
use crate::clock::Nanos;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::named::{Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::task::waiters::{self, Place};
use crate::trace::label::here;
use crate::trace::origin::Origin;

/// The number of a port that receives no more.
const NO_NUMBER: u64 = u64::MAX;

/// Its name in reports.
pub(super) const KIND: &str = "message port";

/// A port as its loop has it.
pub(super) struct OpenPort<S, R> {
    /// Its entry among the loop's handles.
    pub(super) registration: Registration,
    /// The receiver's number in the loop's mailbox; [`NO_NUMBER`] when it receives no more.
    number: Cell<u64>,
    /// Its callback, and the tasks that wait for a message.
    pub(super) handler: MessageHandler<R>,
    /// Both directions. Taken out when the port is closed or detached.
    pub(super) link: RefCell<Option<Link<S, R>>>,
    /// The link between the two steps of a close. None at all other times.
    closing_link: Cell<Option<Link<S, R>>>,
    /// Tells the other end that this one is closed. None once that is on its way.
    notice: Cell<Option<CloseNotice>>,
    /// The callback of `on_close`. Taken out by the close.
    pub(super) on_close: Once<dyn FnOnce()>,
    /// How many [`Port`](super::port::Port)s name this port.
    names: Names,
    /// The other end listens, but sends no more. It may close later.
    finished: Cell<bool>,
    /// How many tasks wait for a place to send to.
    reserving: Cell<usize>,
    /// The place in the line of the task that waits by
    /// [`poll_reserve`](super::port::Port::poll_reserve).
    pub(super) ticket: Cell<Option<Ticket<S>>>,
}

impl<S: Send + 'static, R: Send + 'static> OpenPort<S, R> {
    /// Opens an end on this loop. On a loop that is closed the port is closed too.
    #[track_caller]
    pub(super) fn open(state: Rc<State>, link: Link<S, R>) -> Rc<OpenPort<S, R>> {
        let port = Rc::new(OpenPort {
            registration: Registration::new(state.clone()),
            number: Cell::new(NO_NUMBER),
            handler: MessageHandler::new(link.incoming.clone()),
            link: RefCell::new(None),
            closing_link: Cell::new(None),
            notice: Cell::new(None),
            on_close: Once::default(),
            names: Names::default(),
            finished: Cell::new(false),
            reserving: Cell::new(0),
            ticket: Cell::new(None),
        });
        if state.is_open() {
            port.registration.open(port.clone(), here(), false);
            let number = state.delivery.add_receiver(port.clone());
            port.number.set(number);
            port.notice.set(Some(CloseNotice::new(link.outgoing.clone())));
            link.outgoing.set_sender_thread(Some(thread::current().id()));
            port.link.replace(Some(link));
            // Last: from here on it is notified.
            let mailbox = state.mailbox.clone();
            port.tell_again();
            port.handler.buffer.queue().attach(Receiver { mailbox, number });
        }
        port
    }
}

impl<S, R> OpenPort<S, R> {
    pub(super) fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Up to when messages are seen.
    pub(super) fn now(&self) -> Nanos {
        self.state().clock.horizon()
    }

    pub(super) fn is_open(&self) -> bool {
        self.link.borrow().is_some()
    }

    /// Whether messages may still come: it is open, or was closed in a round that is not over.
    pub(super) fn receives(&self) -> bool {
        self.number.get() != NO_NUMBER
    }

    pub(super) fn outgoing(&self) -> Option<Arc<Queue<Sent<S>>>> {
        self.link.borrow().as_ref().map(|link| link.outgoing.clone())
    }

    /// Says whether the port is active: a callback or a task wants messages that may come, or a
    /// task waits for a place to send to.
    pub(super) fn update_liveness(&self) {
        let more = !self.finished.get();
        let receives = self.handler.is_listening() || self.handler.waiters.has_futures();
        let polled = more && self.handler.waiters.has_poller() || self.has_ticket();
        let active = more && receives || self.reserving.get() > 0;
        self.registration.set_active_or_polled(active, polled);
    }

    /// Counts a task that begins or ends to wait for a place to send to.
    pub(super) fn count_reserving(&self, before: bool, after: bool) {
        self.reserving.set(self.reserving.get() + usize::from(after) - usize::from(before));
        if self.is_open() {
            self.update_liveness();
        }
    }

    /// Asks to be called, for a new callback. Only if there is something to see: the loop does not
    /// wait in the poll phase in which it is called, which a program can tell.
    pub(super) fn look(&self) {
        if !self.finished.get() && self.handler.buffer.has_something(self.now()) {
            self.state().delivery.call_again(self.number.get());
        }
    }

    /// Asks for another look after a receive without the callback, if all that is left is the end.
    /// Messages that wait for the callback have given notice: to look for them again and again
    /// would keep the loop from sleeping.
    pub(super) fn look_for_end(&self) {
        let ended = self.handler.buffer.look_for_end(self.now()) != End::Open;
        if ended && !self.finished.get() {
            self.state().delivery.call_again(self.number.get());
        }
    }

    /// Takes the port off its loop. All that has to be dropped comes back.
    fn leave(&self) -> impl Sized + use<S, R> {
        let number = self.number.replace(NO_NUMBER);
        let receiver = self.state().delivery.remove_receiver(number);
        (receiver, self.registration.close(), self.handler.unlisten())
    }

    /// Takes the end off its loop, with the messages that wait, so that it can travel. None if it
    /// is closed.
    pub(super) fn detach(&self) -> Option<Link<S, R>> {
        let link = self.link.take();
        let left = self.leave();
        if let Some(link) = &link {
            self.handler.buffer.detach();
            link.outgoing.set_sender_thread(None);
            link.outgoing.wake_waiters();
        }
        waiters::wake_each(self.leave_line());
        if let Some(notice) = self.notice.take() {
            notice.withdraw();
        }
        self.handler.waiters.wake();
        // Last: callbacks are the user's values.
        drop((left, Apart(self.on_close.clear())));
        link
    }

    /// Closes the port. Closing again does nothing.
    pub(super) fn close(&self) {
        let Some(mut link) = self.link.take() else { return };
        // From here on the other end is sent nothing, but as in Node it hears of the close when
        // this end's close callback is due: its own comes an iteration later.
        link.end_sending();
        let notice = self.notice.take().map(|notice| Closure::new(move || drop(notice)));
        let on_close = self.on_close.take(KIND).map(|(f, origin)| self.call_on_close(origin, f));
        self.state().push_all_closing(notice.into_iter().chain(on_close));
        self.closing_link.set(Some(link));
        let left = if self.handler.is_in_round() { None } else { self.finish_close() };
        waiters::wake_each(self.leave_line());
        self.handler.waiters.wake();
        // Last: messages and callbacks are the user's values.
        drop(left);
    }

    /// The second step of a close: from here on nothing is received. All that has to be dropped
    /// comes back.
    fn finish_close(&self) -> Option<impl Sized + use<S, R>> {
        let link = self.closing_link.take()?;
        let left = self.leave();
        Some((self.handler.close(), link, left))
    }

    /// The closure that calls `f` in the close phase.
    pub(super) fn call_on_close(&self, origin: Origin, f: Box<dyn FnOnce()>) -> Closure {
        let state = self.state().clone();
        Closure::new(move || callback::call(&state, origin, f))
    }
}

impl<S: 'static, R: 'static> Handle for OpenPort<S, R> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tell_again(&self) {
        self.registration.receives(|| self.handler.buffer.queue().number());
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        let again = OnDrop(|| state.delivery.call_again(self.number.get()));
        let round = self.handler.deliver(state, self.kind());
        if self.is_open() && round == Round::Full {
            return; // Called again in the next poll phase.
        }
        again.forget();
        if !self.is_open() {
            return drop(self.finish_close());
        }
        match round {
            Round::Empty | Round::Full => {}
            Round::Unheard => self.update_liveness(),
            Round::Finished => {
                // Nothing to wait for, but something may be sent.
                self.finished.set(true);
                self.update_liveness();
            }
            Round::Closed => self.close(),
        }
    }

    fn ask(&self) {
        waiters::wake_each(
            [self.handler.waiters.take_poller(), self.leave_line()].into_iter().flatten(),
        );
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        let sender = self.leave_line();
        let link = self.link.take();
        callback::drop_quietly(self.leave());
        let unseen = self.handler.close();
        callback::drop_quietly(link);
        callback::drop_quietly(self.closing_link.take());
        callback::drop_quietly(unseen);
        callback::drop_quietly(self.notice.take());
        callback::drop_quietly(self.on_close.clear());
        waiters::wake_each(self.handler.waiters.take().chain(sender));
    }
}

impl<S, R> Receive<R> for OpenPort<S, R> {
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<R>> {
        if !self.is_open() || self.finished.get() {
            self.stop_waiting(place);
            return Poll::Ready(None);
        }
        let polled = self.handler.poll_recv(self.now(), place, cx);
        self.update_liveness();
        self.look_for_end();
        polled
    }

    fn stop_waiting(&self, place: &Place) {
        self.handler.waiters.leave(place);
        if self.is_open() {
            self.update_liveness();
        }
    }
}

impl<S, R> Named for OpenPort<S, R> {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A port with a callback belongs to the loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.handler.is_listening() {
            self.close();
        }
    }
}
