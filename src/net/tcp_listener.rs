//! A TCP listener on the loop.
//!
//! The poller reports once that connections wait, be it one or a thousand. The listener accepts
//! until the system says would-block, up to a limit in one poll phase, and remembers that there may
//! be more.
//!
//! When the process has no descriptor left for a connection, the listener gives up one that it has
//! in reserve, accepts with it, closes the connection at once and takes the reserve back, as libuv
//! does: clients get an end instead of a hang, and the callback one error for each burst.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::address::{Address, Target};
use super::tcp_stream::TcpStream;
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::Slot;
use crate::callback::{self, Apart};
use crate::error;
use crate::phase::timers::set_timeout;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::stream::budget::Budget;
use crate::stream::connection::Connection;
use crate::sys::{self, Event, Poller};
use crate::task::waiters::{Place, Waiters};

/// Connections that may wait to be accepted. The system may allow fewer.
const BACKLOG: i32 = 1024;

/// Connections that a listener accepts in one poll phase.
const ACCEPTS_PER_ROUND: u16 = 64;

/// How long a listener pauses when it has no descriptor to close waiting connections with. It would
/// only be told the same again, and ten looks a second cost nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// What all names of one listener share.
struct Listening {
    /// Its entry in the loop's table.
    registration: Registration,
    /// Taken out when the listener is closed or detached: then it is no longer open.
    socket: RefCell<Option<sys::TcpListener>>,
    /// Connections wait, for all that is known.
    ready: Cell<bool>,
    /// A connection callback is registered. It may be running, and is then not in its slot.
    listening: Cell<bool>,
    /// Counts the [`TcpListener`]s of this listener.
    names: Names,
    /// Given up when descriptors run out. Absent when there was none to be had.
    spare: Cell<Option<OwnedFd>>,
    /// The lack of descriptors was reported, and no connection has been accepted since.
    lack_reported: Cell<bool>,
    /// Called with each connection, while a program accepts by callback.
    on_connection: Slot<dyn FnMut(io::Result<TcpStream>)>,
    /// The tasks that wait for a connection.
    acceptors: Waiters,
    /// The place of the task that waits by [`TcpListener::poll_accept`].
    poller: Place,
    /// What tasks have accepted in this iteration.
    budget: Budget,
    /// Waits for this side to close. Gone when it is queued for the close phase.
    on_close: Cell<Option<Box<dyn FnOnce()>>>,
    /// The line that made the listener, also of its connections.
    location: &'static Location<'static>,
}

/// What came of taking one connection from those that wait.
enum Taken {
    /// For the program: the connection, or why it could not be accepted.
    Outcome(io::Result<TcpStream>),
    /// It is gone, and is not reported: the client gave up, or the listener closed it for want of
    /// descriptors. Another one may wait.
    Gone,
    /// No connection waits, or the listener pauses.
    Nothing,
}

impl Listening {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    fn is_open(&self) -> bool {
        self.socket.borrow().is_some()
    }

    fn with_socket<R>(&self, f: impl FnOnce(&sys::TcpListener) -> io::Result<R>) -> io::Result<R> {
        match self.socket.borrow().as_ref() {
            Some(socket) => f(socket),
            None => Err(self.closed_error()),
        }
    }

    /// The error of an operation on a closed listener.
    fn closed_error(&self) -> io::Error {
        if self.state().is_open() {
            io::Error::from_raw_os_error(sys::EINVAL)
        } else {
            error::shut_down()
        }
    }

    fn update_liveness(&self) {
        self.registration.set_active(self.listening.get() || !self.acceptors.is_empty());
    }

    /// Takes one connection. A lack of descriptors is reported once until a connection is accepted
    /// again.
    fn take(&self) -> Taken {
        loop {
            return match self.with_socket(|socket| socket.accept()) {
                Ok((socket, _)) => {
                    self.lack_reported.set(false);
                    Taken::Outcome(Connection::adopt(self.state(), socket, self.location))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.set(false);
                    Taken::Nothing
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The client gave up while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Taken::Gone,
                Err(error) if sys::is_out_of_descriptors(&error) => {
                    let shed = self.shed();
                    if !self.lack_reported.replace(true) {
                        log::warn!("no descriptor is left for a connection: {error}");
                        return Taken::Outcome(Err(error));
                    }
                    if !shed {
                        self.ready.set(false);
                        return Taken::Nothing;
                    }
                    Taken::Gone
                }
                Err(error) => Taken::Outcome(Err(error)),
            };
        }
    }

    /// Closes one waiting connection with the help of the spare descriptor. False if that is not
    /// possible: no connection waits (the system looks for a descriptor first), or there is no
    /// spare one. Then the listener pauses.
    fn shed(&self) -> bool {
        let outcome = self.spare.take().map(|_given_up| ());
        let outcome = outcome.map(|()| self.with_socket(|socket| socket.accept().map(drop)));
        self.spare.set(sys::spare_descriptor());
        match outcome {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // Another thread has taken it.
            Some(Err(error)) if sys::is_out_of_descriptors(&error) => {}
            // Closed, or given up by the client meanwhile: the next may wait.
            Some(_) => return true,
            None => {}
        }
        if let Some(key) = self.registration.key() {
            let state = self.state().clone();
            let again = move || state.handles.mark_ready(key, Event::READABLE);
            self.state().enter_for(|| set_timeout(PAUSE, again).set_ref(false));
        }
        false
    }

    fn accept_round(self: &Rc<Self>, state: &Rc<State>) {
        for _ in 0..ACCEPTS_PER_ROUND {
            if !self.listening.get() || !self.ready.get() || state.is_halted() {
                return;
            }
            let connection = match self.take() {
                Taken::Outcome(connection) => connection,
                Taken::Gone => continue,
                Taken::Nothing => return,
            };
            let location = self.registration.location();
            callback::call_slot(state, location, &self.on_connection, |f| f(connection));
        }
        if self.listening.get() && self.ready.get() {
            self.registration.call_again();
        }
    }

    /// Whether a task may accept once more in this iteration. If not, it waits for the next.
    fn may_go_on(&self) -> bool {
        let may = self.budget.spend(self.state(), ACCEPTS_PER_ROUND);
        if !may {
            self.registration.call_again();
        }
        may
    }

    /// Takes a connection, or waits for one at this place.
    fn poll_accept(&self, place: &Place, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let polled = self.poll_take();
        if polled.is_pending() {
            self.acceptors.wait(place, cx);
        } else {
            self.acceptors.leave(place);
        }
        self.update_liveness();
        polled
    }

    fn poll_take(&self) -> Poll<io::Result<TcpStream>> {
        if !self.is_open() {
            return Poll::Ready(Err(self.closed_error()));
        }
        while self.ready.get() && self.may_go_on() {
            match self.take() {
                Taken::Outcome(connection) => return Poll::Ready(connection),
                Taken::Gone => {}
                Taken::Nothing => break,
            }
        }
        Poll::Pending
    }

    /// Takes the socket off the loop, if the listener is open.
    fn take_off(&self) -> Option<sys::TcpListener> {
        let socket = self.socket.take()?;
        self.state().sources.deregister(|poller| poller.deregister_descriptor(socket.as_fd()));
        drop(self.spare.take());
        self.listening.set(false);
        Some(socket)
    }

    fn close(&self) {
        let Some(socket) = self.take_off() else { return };
        drop(socket);
        let on_connection = self.on_connection.clear();
        if let Some(on_close) = self.on_close.take() {
            self.push_on_close(on_close);
        }
        let entry = self.registration.close();
        self.acceptors.wake();
        // Last: what the callback captured may call back into the loop.
        drop((on_connection, entry));
    }

    fn push_on_close(&self, f: Box<dyn FnOnce()>) {
        let (state, location) = (self.state().clone(), self.location);
        let call = move || callback::call(&state, Some(location), f);
        self.state().closing.push(Closure::new(call));
    }
}

impl Handle for Listening {
    fn kind(&self) -> &'static str {
        "TCP listener"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, event: Event) {
        if !event.is_empty() {
            self.ready.set(true);
        }
        // A panic leaves the round. The connections that wait must not be forgotten.
        let again = OnDrop(|| self.registration.call_again());
        if !self.acceptors.is_empty() {
            let acceptors = self.acceptors.take();
            self.update_liveness();
            acceptors.for_each(Waker::wake);
            callback::drain(state);
        }
        self.accept_round(state);
        again.forget();
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.listening.set(false);
        if let Some(socket) = self.socket.take() {
            self.state().sources.deregister(|poller| poller.deregister_descriptor(socket.as_fd()));
        }
        drop(self.spare.take());
        callback::drop_quietly(self.on_connection.clear());
        callback::drop_quietly(self.on_close.take());
        self.acceptors.wake();
    }
}

impl Named for Listening {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A listener with a callback belongs to its loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.listening.get() {
            self.close();
        }
    }
}

/// Accepts TCP connections.
///
/// `Clone`: a clone is another name for the same listener. With a callback registered it belongs to
/// the loop until it is closed; without one it closes when the last clone is dropped.
///
/// # Liveness
/// A listener keeps the loop alive while a callback is registered or a task waits for a connection,
/// unless [`unref`](TcpListener::unref)'d.
///
/// # Examples
/// ```
/// use windlass::net::{TcpListener, TcpStream};
///
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let client = TcpStream::connect(listener.local_addr()?);
///     let connection = listener.accept().await?;
///     assert_eq!(client.await?.local_addr()?, connection.peer_addr()?);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct TcpListener {
    /// A name of what all clones share.
    shared: Name<Listening>,
}

impl TcpListener {
    /// Binds to an address and listens. Port 0 gives any free port: ask
    /// [`local_addr`](TcpListener::local_addr). An address that was in use a moment ago can be
    /// bound again (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// `InvalidInput` for a text that is no address, and for a name: look it up first. `AddrInUse`,
    /// `AddrNotAvailable` and others from the system.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn bind(address: impl Address) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, Location::caller(), |address| {
            let socket = sys::TcpListener::bind(address)?;
            sys::set_backlog(&socket, BACKLOG)?;
            Ok(socket)
        })
    }

    #[track_caller]
    fn bind_with(
        address: impl Address,
        location: &'static Location<'static>,
        listen: impl FnOnce(SocketAddr) -> io::Result<sys::TcpListener>,
    ) -> io::Result<TcpListener> {
        let state = current::expect("TcpListener::bind");
        let address = match address.target()? {
            Target::Socket(address) => address,
            Target::Name(host, _) => {
                let text = format!("bind takes addresses, not names such as {host:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        if !state.is_open() {
            return Err(error::shut_down());
        }
        TcpListener::adopt(&state, listen(address)?, location)
    }

    /// Like [`bind`](TcpListener::bind), but other sockets of this user may bind the same address
    /// in this way too (`SO_REUSEPORT`), and the system spreads the connections among them: one
    /// listener for each worker.
    ///
    /// On Linux a connection goes to one of the listeners by a hash of its addresses, whether that
    /// is busy or not; those that wait at a listener that closes are reset. Other systems may give
    /// all to the last that has bound.
    ///
    /// # Errors
    /// As [`bind`](TcpListener::bind). `AddrInUse` when the address is bound without this option.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let first = TcpListener::bind_reuse_port("127.0.0.1:0")?;
    ///     let second = TcpListener::bind_reuse_port(first.local_addr()?)?;
    ///     assert_eq!(first.local_addr()?, second.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind_reuse_port(address: impl Address) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, Location::caller(), |address| {
            sys::listen_reuse_port(address, BACKLOG)
        })
    }

    /// Takes the listener off its loop, so that it can travel to another one. Connections that wait
    /// to be accepted go with it.
    ///
    /// All clones are closed from then on: callbacks are dropped uncalled, and a task that waits
    /// gets an invalid-input error.
    ///
    /// # Errors
    /// Invalid-input when the listener is closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::{DetachedTcpListener, TcpListener, TcpStream};
    /// use windlass::worker::Worker;
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     let listener = listener.detach()?;
    ///     let worker = Worker::<(), String>::spawn_async(|port| async move {
    ///         let connection = listener.open().unwrap().accept().await.unwrap();
    ///         port.post(connection.peer_addr().unwrap().to_string());
    ///     })?;
    ///     let seen = worker.recv().await.unwrap();
    ///     assert_eq!(client.await?.local_addr()?.to_string(), seen);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn detach(&self) -> io::Result<DetachedTcpListener> {
        let shared = &self.shared;
        let Some(socket) = shared.take_off() else { return Err(shared.closed_error()) };
        let callbacks = (Apart(shared.on_connection.clear()), Apart(shared.on_close.take()));
        let entry = shared.registration.close();
        shared.acceptors.wake();
        // Last: what the callbacks captured may call back into the loop.
        drop((callbacks, entry));
        Ok(DetachedTcpListener { socket: socket.into() })
    }

    /// Takes a listening socket of the standard library into the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be made non-blocking or polled.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let state = current::expect("TcpListener::from_std");
        listener.set_nonblocking(true)?;
        TcpListener::adopt(&state, sys::TcpListener::from_std(listener), Location::caller())
    }

    fn adopt(
        state: &Rc<State>,
        socket: sys::TcpListener,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        let shared = Rc::new(Listening {
            registration: Registration::new(state.clone()),
            socket: RefCell::new(None),
            ready: Cell::new(false),
            listening: Cell::new(false),
            names: Names::default(),
            spare: Cell::new(sys::spare_descriptor()),
            lack_reported: Cell::new(false),
            on_connection: Slot::default(),
            acceptors: Waiters::default(),
            poller: Place::default(),
            budget: Budget::default(),
            on_close: Cell::new(None),
            location,
        });
        shared.registration.open(shared.clone(), location, false);
        let key = shared.registration.key().expect("an open handle has a key");
        let register = |poller: &Poller| {
            poller.register_descriptor(socket.as_fd(), Event::OF_STREAMS, key.to_bits())
        };
        if let Err(error) = state.register(register) {
            drop(shared.registration.close());
            return Err(error);
        }
        shared.socket.replace(Some(socket));
        Ok(TcpListener { shared: Name::new(shared) })
    }

    /// Calls `f` for each connection, and with an error when one could not be accepted. Replaces
    /// the callback given before.
    ///
    /// At most 64 connections are accepted in one poll phase, so that other handles are served.
    /// When the process has no descriptors left, waiting connections are closed, at most 64 in one
    /// phase, and the callback gets the system's error (`EMFILE`), once until a connection is
    /// accepted again.
    pub fn on_connection(&self, f: impl FnMut(io::Result<TcpStream>) + 'static) {
        let shared = &self.shared;
        if !shared.is_open() {
            return;
        }
        shared.listening.set(true);
        let before = shared.on_connection.set(Box::new(f));
        shared.update_liveness();
        if shared.ready.get() {
            shared.registration.call_again();
        }
        drop(before);
    }

    /// Waits for a connection. Dropping the future loses none, and other tasks that wait go on
    /// waiting.
    ///
    /// # Errors
    /// The system's; invalid-input when the listener was closed.
    pub fn accept(&self) -> Accept<'_> {
        Accept { listener: self, place: Place::default() }
    }

    /// A connection, or keeps the task's waker until there is one. One task can wait so: a later
    /// one takes the place of the one before. Those in [`accept`](TcpListener::accept) wait beside
    /// it.
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        self.shared.poll_accept(&self.shared.poller, cx)
    }

    /// The address that is listened on, with the real port.
    ///
    /// # Errors
    /// The system's; invalid-input when the listener was closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.with_socket(|socket| socket.local_addr())
    }

    /// Closes the listener now. Connections that wait are reset by the system. Closing again does
    /// nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Calls `f` in the close phase after the listener was closed. Replaces the callback given
    /// before. Of handles closed in one iteration the one closed last is told first.
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        if self.shared.is_open() {
            let before = self.shared.on_close.replace(Some(Box::new(f)));
            drop(before);
        } else if self.shared.state().is_open() {
            self.shared.push_on_close(Box::new(f));
        }
    }

    ref_methods!("listener"; shared.registration);

    /// Whether the listener was closed.
    pub fn is_closing(&self) -> bool {
        !self.shared.is_open()
    }
}

impl AsRawFd for TcpListener {
    /// The descriptor, for options and reports. -1 when the listener is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.socket.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// A listener that is on no loop: what travels between threads. Made by [`TcpListener::detach`].
///
/// Connections wait in it. Dropping it closes it, and they are reset.
#[derive(Debug)]
pub struct DetachedTcpListener {
    /// Non-blocking, and still listening.
    socket: std::net::TcpListener,
}

impl DetachedTcpListener {
    /// Opens the listener on the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be polled; a shut-down error on a loop that is closed.
    /// The listener is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> io::Result<TcpListener> {
        let state = current::expect("DetachedTcpListener::open");
        if !state.is_open() {
            return Err(error::shut_down());
        }
        TcpListener::adopt(&state, sys::TcpListener::from_std(self.socket), Location::caller())
    }

    /// The socket for use without a loop. It is non-blocking.
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket
    }
}

/// An accept that is going on. Made by [`TcpListener::accept`].
#[derive(Debug)]
pub struct Accept<'a> {
    /// The listener that is waited for.
    listener: &'a TcpListener,
    /// Its place among the accepts that wait.
    place: Place,
}

impl Future for Accept<'_> {
    type Output = io::Result<TcpStream>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.listener.shared.poll_accept(&self.place, cx)
    }
}

impl Drop for Accept<'_> {
    fn drop(&mut self) {
        let shared = &self.listener.shared;
        shared.acceptors.leave(&self.place);
        shared.update_liveness();
    }
}
