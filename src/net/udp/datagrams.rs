//! What all names of one UDP socket share, and its round: all that it does in one poll phase.
//!
//! Datagrams that the system does not take at once wait in a queue and go in the order of their
//! calls. Receiving goes on until would-block, up to a limit in one poll phase, and the socket
//! remembers that there may be more: the poller reports changes only.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::sending::Sending;
use super::socket::Socket;
use super::{Datagram, UdpSocket};
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::{Once, Registered, Slot};
use crate::callback::{self, Apart};
use crate::error::{self, CancelError};
use crate::net::exchanged::Exchanged;
use crate::queue::closure::Closure;
use crate::request::{Completer, Request};
use crate::state::State;
use crate::state::named::{Name, Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::stream::budget::Budget;
use crate::stream::reading::BufferLoan;
use crate::sys::{self, Event, Poller};
use crate::task::waiters::{self, Place, Waiters};
use crate::trace::origin::Origin;

/// What a UDP socket is called in reports.
const KIND: &str = "UDP socket";

/// Datagrams that a socket receives in one poll phase. What is left waits for the next one, so that
/// a flood cannot hold the loop.
const DATAGRAMS_PER_ROUND: u16 = 32;

/// Queued datagrams that a socket sends in one poll phase, for the same reason.
const SENDS_PER_ROUND: usize = 32;

/// What a program does with the datagrams that come.
pub(super) type OnDatagram = dyn FnMut(&UdpSocket, io::Result<Datagram<'_>>);

/// What all names of one UDP socket share.
pub(crate) struct Datagrams {
    /// Its entry in the loop's table.
    pub(super) registration: Registration,
    /// Non-blocking. Taken out when the socket is closed or detached: then it is no longer open.
    socket: RefCell<Option<Socket>>,
    /// It is connected: it sends to one address, and receives from no other.
    connected: Cell<bool>,
    /// How much of a datagram the receive callback gets.
    receive_size: usize,
    /// A datagram, or an error, can be received, for all that is known.
    readable: Cell<bool>,
    /// A receive callback is registered. It may be running, and is then not in its slot.
    receiving: Cell<bool>,
    /// Called with each datagram, while a program receives by callback.
    on_datagram: Slot<OnDatagram>,
    /// What waits to go.
    sending: Sending<Completer<io::Result<()>>>,
    /// The tasks that wait for a datagram.
    pub(super) receivers: Waiters,
    /// The tasks that wait until they can send.
    pub(super) senders: Waiters,
    /// What tasks have received and sent in this iteration.
    budget: Budget,
    /// Counts the public names of this socket.
    names: Names,
    /// Waits for this side to close. Gone when it is queued for the close phase.
    on_close: Once<dyn FnOnce()>,
}

impl Datagrams {
    /// Takes a socket into a loop. It is non-blocking.
    pub(super) fn adopt(
        state: &Rc<State>,
        socket: Socket,
        receive_size: usize,
        location: &'static Location<'static>,
    ) -> io::Result<UdpSocket> {
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let connected = match socket.peer_addr() {
            Err(error) => error.kind() != io::ErrorKind::NotConnected,
            Ok(_peer) => true,
        };
        let shared = Rc::new(Datagrams {
            registration: Registration::new(state.clone()),
            socket: RefCell::new(None),
            connected: Cell::new(connected),
            receive_size,
            readable: Cell::new(false),
            receiving: Cell::new(false),
            on_datagram: Slot::default(),
            sending: Sending::new(),
            receivers: Waiters::default(),
            senders: Waiters::default(),
            budget: Budget::default(),
            names: Names::default(),
            on_close: Once::default(),
        });
        shared.registration.open(shared.clone(), location, false);
        let key = shared.registration.key().expect("an open handle has a key");
        let interest = Event::READABLE.with(Event::WRITABLE);
        match &socket {
            Exchanged::Simulated(socket) => {
                state.enter_for(|| socket.report_to(Some(key.to_bits())));
            }
            Exchanged::System(socket) => {
                let watch = |poller: &Poller| {
                    poller.register_descriptor(socket.as_fd(), interest, key.to_bits())
                };
                if let Err(error) = state.register(watch) {
                    drop(shared.registration.close());
                    return Err(error);
                }
            }
        }
        shared.socket.replace(Some(socket));
        Ok(UdpSocket { shared: Name::new(shared) })
    }

    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.borrow().is_some()
    }

    /// Uses the socket, if it is open.
    pub(super) fn with_socket<R>(&self, f: impl FnOnce(&Socket) -> io::Result<R>) -> io::Result<R> {
        match self.socket.borrow().as_ref() {
            Some(socket) => f(socket),
            None => Err(self.closed_error()),
        }
    }

    /// The error of an operation on a socket that is not open.
    fn closed_error(&self) -> io::Error {
        if self.state().is_open() {
            io::Error::from_raw_os_error(sys::EBADF)
        } else {
            error::shut_down()
        }
    }

    fn update_liveness(&self) {
        let waits = self.receivers.has_futures() || self.senders.has_futures();
        let polled = self.receivers.has_poller() || self.senders.has_poller();
        self.registration.set_active_or_polled(self.receiving.get() || waits, polled);
        self.registration.set_busy(!self.sending.is_empty());
    }

    /// Whether a task may go on in this iteration. If not, it waits for the next.
    fn may_go_on(&self) -> bool {
        let may = self.budget.spend(self.state(), DATAGRAMS_PER_ROUND);
        if !may {
            self.registration.call_again();
        }
        may
    }
}

/// Connecting and sending.
impl Datagrams {
    pub(super) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        if self.connected.get() && self.is_open() {
            return Err(io::Error::from_raw_os_error(sys::EISCONN));
        }
        self.with_socket(|socket| socket.connect(address))?;
        self.connected.set(true);
        Ok(())
    }

    pub(super) fn disconnect(&self) -> io::Result<()> {
        if !self.connected.get() && self.is_open() {
            return Err(io::Error::from_raw_os_error(sys::ENOTCONN));
        }
        self.with_socket(Socket::disconnect)?;
        self.connected.set(false);
        Ok(())
    }

    /// Sends now, unless others wait or the system takes none: then it would block.
    pub(super) fn try_send(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        self.with_socket(|socket| match (self.connected.get(), to) {
            (true, Some(_)) => Err(io::Error::from_raw_os_error(sys::EISCONN)),
            (false, None) => Err(io::Error::from_raw_os_error(sys::EDESTADDRREQ)),
            _ => self.sending.send_now(|| socket.send(data, to)),
        })
    }

    /// Sends now, or queues a copy.
    pub(super) fn send(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Request<io::Result<()>> {
        match self.try_send(data, to) {
            Ok(()) => Request::finished(self.state(), KIND, Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue(location, data.to_vec(), to)
            }
            Err(error) => Request::failed_later(self.state(), KIND, location, error),
        }
    }

    fn queue(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        data: Vec<u8>,
        to: Option<SocketAddr>,
    ) -> Request<io::Result<()>> {
        let (completer, request) = Completer::new(self.state(), KIND, location);
        let number = self.state().next_number();
        let weak = Rc::downgrade(self);
        completer.on_cancel(move || {
            weak.upgrade().map_or(Err(CancelError::Done), |socket| socket.cancel(number))
        });
        self.sending.push(number, data, to, completer);
        self.update_liveness();
        request
    }

    fn cancel(self: &Rc<Self>, number: u64) -> Result<(), CancelError> {
        let completer = self.sending.cancel(number)?;
        self.update_liveness();
        completer.complete_later(Err(error::cancelled()));
        // A socket without names may have waited for it, and tasks too.
        self.registration.call_again();
        Ok(())
    }

    /// Sends now, or waits at this place until that is worth another try.
    pub(super) fn poll_send(
        &self,
        place: &Place,
        cx: &Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<()>> {
        let polled = match self.is_open() && !self.may_go_on() {
            true => Poll::Pending,
            false => match self.try_send(data, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                outcome => Poll::Ready(outcome),
            },
        };
        if polled.is_pending() {
            self.senders.wait(place, cx);
        } else {
            self.senders.leave(place);
        }
        self.update_liveness();
        polled
    }

    /// The number of datagrams that wait, and of their bytes.
    pub(super) fn queued(&self) -> (usize, usize) {
        (self.sending.count(), self.sending.bytes())
    }

    /// Sends what waits until the system takes no more or the round is full.
    fn send_round(self: &Rc<Self>, state: &Rc<State>) {
        for _ in 0..SENDS_PER_ROUND {
            if state.is_halted() {
                return;
            }
            let sent = self
                .socket
                .borrow()
                .as_ref()
                .and_then(|socket| self.sending.send_first(|data, to| socket.send(data, to)));
            let Some((completer, outcome)) = sent else { break };
            self.update_liveness();
            // All is booked by now, so that a callback may send, cancel, close or panic. Behind
            // requests that were done before it and whose callbacks still wait.
            if state.pending.is_empty() {
                completer.complete(outcome);
            } else {
                completer.complete_later(outcome);
            }
        }
        if !self.sending.is_writable() {
            return;
        }
        if !self.sending.is_empty() {
            return self.registration.call_again();
        }
        if !self.senders.is_empty() {
            let senders = self.senders.take();
            self.update_liveness();
            waiters::wake_each(senders);
            callback::drain(state);
        }
    }
}

/// Receiving.
impl Datagrams {
    /// Takes one datagram, or says would-block.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<sys::Received> {
        self.with_socket(|socket| {
            loop {
                match socket.receive(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.readable.set(false);
                        return Err(error);
                    }
                    outcome => return outcome,
                }
            }
        })
    }

    /// Calls `f` with each datagram.
    #[track_caller]
    pub(super) fn start(&self, f: Box<OnDatagram>) {
        if !self.is_open() {
            return;
        }
        self.receiving.set(true);
        let before = self.on_datagram.set(f);
        self.update_liveness();
        if self.readable.get() {
            self.registration.call_again();
        }
        drop(before);
    }

    pub(super) fn stop(self: &Rc<Self>) {
        if self.receiving.replace(false) {
            let callback = self.on_datagram.clear();
            self.update_liveness();
            drop(callback);
        }
    }

    /// Takes a datagram, or waits for one at this place.
    pub(super) fn poll_receive(
        &self,
        place: &Place,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let polled = if !self.is_open() {
            Poll::Ready(Err(self.closed_error()))
        } else if self.readable.get() && self.may_go_on() {
            match self.receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                outcome => Poll::Ready(outcome.map(|received| (received.len, received.from))),
            }
        } else {
            Poll::Pending
        };
        if polled.is_pending() {
            self.receivers.wait(place, cx);
        } else {
            self.receivers.leave(place);
        }
        self.update_liveness();
        polled
    }

    /// The task of this place no longer waits for a datagram.
    pub(super) fn leave_receivers(&self, place: &Place) {
        self.receivers.leave(place);
        self.update_liveness();
    }

    /// Receives, and gives the callback what has come, until nothing is left or the round is full.
    fn receive_round(self: &Rc<Self>, state: &Rc<State>) {
        let mut loan = BufferLoan::take(state);
        for _ in 0..DATAGRAMS_PER_ROUND {
            if !self.receiving.get() || !self.readable.get() || state.is_halted() {
                return;
            }
            let buffer = loan.buffer();
            let room = self.receive_size.min(buffer.len());
            let datagram = match self.receive(&mut buffer[..room]) {
                Ok(sys::Received { len, from, truncated }) => {
                    Ok(Datagram { data: &buffer[..len], from, truncated })
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => Err(error),
            };
            let socket = UdpSocket { shared: Name::new(self.clone()) };
            let outcome = self.on_datagram.invoke(state, KIND, |f| f(&socket, datagram));
            callback::settle_and_drop(state, outcome, socket);
        }
        if self.receiving.get() && self.readable.get() {
            self.registration.call_again();
        }
    }
}

/// Ending.
impl Datagrams {
    /// Takes the socket off the loop, if it is open.
    fn take_off(&self) -> Option<Socket> {
        let socket = self.socket.take()?;
        match &socket {
            Exchanged::Simulated(socket) => socket.report_to(None),
            Exchanged::System(socket) => {
                let unwatch = |poller: &Poller| poller.deregister_descriptor(socket.as_fd());
                self.state().sources.deregister(unwatch);
            }
        }
        self.receiving.set(false);
        Some(socket)
    }

    /// Wakes the tasks that wait: they find a socket that is not open.
    fn wake_tasks(&self) {
        self.receivers.wake();
        self.senders.wake();
    }

    /// Closes at once. What waits is cancelled, in the close phase.
    pub(super) fn close(&self) {
        let Some(socket) = self.take_off() else { return };
        drop(socket);
        let on_datagram = self.on_datagram.clear();
        let mut told: Vec<Closure> = Vec::new();
        for completer in self.sending.take_all() {
            let later = completer.later(Err(error::cancelled()));
            told.push(Closure::new(move || later.complete()));
        }
        if let Some((on_close, origin)) = self.on_close.take(KIND) {
            told.push(self.call_of(origin, on_close));
        }
        self.state().push_all_closing(told);
        let entry = self.registration.close();
        self.wake_tasks();
        // Last: what the callback captured may call back into the loop.
        drop((on_datagram, entry));
    }

    /// Takes the socket off its loop, open. Refused while datagrams wait.
    pub(super) fn detach(&self) -> io::Result<Socket> {
        if !self.sending.is_empty() {
            let text = "datagrams wait to be sent";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let Some(socket) = self.take_off() else { return Err(self.closed_error()) };
        let callbacks = (Apart(self.on_datagram.clear()), Apart(self.on_close.clear()));
        let entry = self.registration.close();
        self.wake_tasks();
        drop((callbacks, entry));
        Ok(socket)
    }

    /// Closes if the program has no name of the socket and nothing is left to do.
    fn close_if_unnamed(&self) {
        if self.names.count() == 0 && !self.receiving.get() && self.sending.is_empty() {
            self.close();
        }
    }

    /// Calls `f` in the close phase after the socket was closed.
    #[track_caller]
    pub(super) fn on_close(&self, f: Box<dyn FnOnce()>) {
        if self.is_open() {
            let before = self.on_close.set(f);
            drop(before);
        } else if self.state().is_open() {
            let origin = Registered::here().origin(KIND);
            self.state().push_closing(self.call_of(origin, f));
        }
    }

    /// The call of a close callback.
    fn call_of(&self, origin: Origin, f: Box<dyn FnOnce()>) -> Closure {
        let state = self.state().clone();
        Closure::new(move || callback::call(&state, origin, f))
    }
}

impl Handle for Datagrams {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, event: Event) {
        // A panic leaves the round. What is left to do must not be forgotten.
        let again = OnDrop(|| self.registration.call_again());
        if event.has(Event::READABLE.with(Event::ERROR)) {
            self.readable.set(true);
        }
        if event.has(Event::WRITABLE.with(Event::ERROR)) {
            self.sending.note_writable();
        }
        self.send_round(state);
        if self.readable.get() {
            if !self.receivers.is_empty() {
                let receivers = self.receivers.take();
                self.update_liveness();
                waiters::wake_each(receivers);
                callback::drain(state);
            }
            self.receive_round(state);
        }
        self.close_if_unnamed();
        again.forget();
    }

    /// For what it has still to send. Others may send to it without end.
    fn is_waited_for(&self) -> bool {
        !self.sending.is_empty()
    }

    fn ask(&self) {
        let tasks = [self.receivers.take_poller(), self.senders.take_poller()];
        waiters::wake_each(tasks.into_iter().flatten());
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        drop(self.take_off());
        callback::drop_quietly(self.on_datagram.clear());
        self.wake_tasks();
        for completer in self.sending.take_all() {
            completer.shut_down(Some(Err(error::shut_down())));
        }
        callback::drop_quietly(self.on_close.clear());
    }
}

impl Named for Datagrams {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A socket with a callback belongs to its loop.
    fn last_name_dropped(self: &Rc<Self>) {
        self.close_if_unnamed();
    }
}
