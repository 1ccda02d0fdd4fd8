//! A listener on the loop, of any kind: what it does in the poll phase, and the public verbs.
//!
//! A kind of listener differs in how it accepts, which [`Listener`] says, and in its public type.
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
use std::os::fd::{AsFd, OwnedFd};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::exchanged::Exchanged;
use super::tcp_stream::TcpStream;
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::{Once, Registered, Slot};
use crate::callback::{self, Apart};
use crate::clock::{Nanos, saturating_nanos};
use crate::error;
use crate::phase::timers;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::named::{Name, Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::stream::budget::Budget;
use crate::stream::connection::{Connection, Stream};
use crate::sys::{self, Event, Poller};
use crate::task::waiters::{self, Place, Waiters};
use crate::trace::label::Shown;
use crate::trace::origin::Origin;
use crate::virtual_time::network::link::Socket;
use crate::virtual_time::network::listening::Listener as InMemory;

/// Connections that may wait to be accepted. The system may allow fewer.
pub(super) const BACKLOG: i32 = 1024;

/// Connections that a listener accepts in one poll phase.
const ACCEPTS_PER_ROUND: u16 = 64;

/// How long a listener pauses when it cannot accept: after an error of the socket or the system, or
/// when it has no descriptor to close waiting connections with. It would only be told the same
/// again, and ten looks a second cost nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket of the system, or one in memory.
pub(super) type Source<L> = Exchanged<L, InMemory>;

/// Takes one connection, or says would-block.
fn accept<L: Listener>(source: &Source<L>) -> io::Result<<L::Stream as Stream>::Transport> {
    match source {
        Exchanged::System(socket) => socket.accept(),
        Exchanged::Simulated(socket) => socket.accept().map(Into::into),
    }
}

/// A socket that connections come to.
pub(super) trait Listener: AsFd + 'static {
    /// What it is called in reports.
    const KIND: &'static str;

    /// The public type of its connections.
    type Stream: Stream<Transport: From<Socket>>;

    /// Takes one connection, or says would-block.
    fn accept(&self) -> io::Result<<Self::Stream as Stream>::Transport>;
}

/// What all names of one listener share.
pub(super) struct Listening<L: Listener> {
    /// Its entry in the loop's table.
    pub(super) registration: Registration,
    /// Taken out when the listener is closed or detached: then it is no longer open.
    socket: RefCell<Option<Source<L>>>,
    /// Connections wait, for all that is known.
    ready: Cell<bool>,
    /// Until then nothing is accepted: what comes meanwhile waits for the timer of the pause.
    paused_until: Cell<Nanos>,
    /// A connection callback is registered. It may be running, and is then not in its slot.
    listening: Cell<bool>,
    /// Counts the public names of this listener.
    names: Names,
    /// Given up when descriptors run out. Absent when there was none to be had.
    spare: Cell<Option<OwnedFd>>,
    /// The lack of descriptors was reported, and no connection has been accepted since.
    lack_reported: Cell<bool>,
    /// Called with each connection, while a program accepts by callback.
    on_connection: Slot<dyn FnMut(io::Result<L::Stream>)>,
    /// The tasks that wait for a connection.
    pub(super) acceptors: Waiters,
    /// What tasks have accepted in this iteration.
    budget: Budget,
    /// Waits for this side to close. Gone when it is queued for the close phase.
    on_close: Once<dyn FnOnce()>,
    /// The line that made the listener, also of its connections.
    location: &'static Location<'static>,
}

/// What came of taking one connection from those that wait.
enum Taken<S> {
    /// For the program: the connection, or why it could not be accepted.
    Outcome(io::Result<S>),
    /// It is gone, and is not reported: the client gave up, or the listener closed it for want of
    /// descriptors. Another one may wait.
    Gone,
    /// No connection waits, or the listener pauses.
    Nothing,
}

/// What came of closing a connection that waits, for want of a descriptor for it.
enum Shed {
    /// One is closed, or is gone.
    One,
    /// None waits: the system looks for a descriptor before it looks for a connection.
    Nobody,
    /// There was no descriptor to close one with. The listener pauses.
    Pauses,
}

impl<L: Listener> Listening<L> {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.borrow().is_some()
    }

    pub(super) fn with_socket<R>(
        &self,
        f: impl FnOnce(&Source<L>) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.socket.borrow().as_ref() {
            Some(socket) => f(socket),
            None => Err(self.closed_error()),
        }
    }

    /// The error of an operation on a closed listener.
    pub(super) fn closed_error(&self) -> io::Error {
        if self.state().is_open() {
            io::Error::from_raw_os_error(sys::EINVAL)
        } else {
            error::shut_down()
        }
    }

    /// Which listener it is, for the log.
    fn made(&self) -> String {
        format!("by the listener made at {}", Shown(self.location))
    }

    fn update_liveness(&self) {
        let accepts = self.listening.get() || self.acceptors.has_futures();
        self.registration.set_active_or_polled(accepts, self.acceptors.has_poller());
    }

    /// Takes one connection. A lack of descriptors is reported once until a connection is accepted
    /// again.
    fn take(&self) -> Taken<L::Stream> {
        loop {
            return match self.with_socket(accept) {
                Ok(socket) => {
                    self.lack_reported.set(false);
                    self.state().log(|| format!("{} accepted, {}", L::Stream::KIND, self.made()));
                    Taken::Outcome(Connection::adopt(self.state(), socket, self.location))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.set(false);
                    Taken::Nothing
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The client gave up while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Taken::Gone,
                Err(error) if sys::is_out_of_descriptors(&error) => match self.shed() {
                    Shed::Nobody => Taken::Nothing,
                    Shed::One | Shed::Pauses if !self.lack_reported.replace(true) => {
                        log::warn!("no descriptor is left for a connection: {error}");
                        Taken::Outcome(Err(error))
                    }
                    Shed::One => Taken::Gone,
                    Shed::Pauses => Taken::Nothing,
                },
                Err(error) => {
                    self.pause(); // It may last.
                    Taken::Outcome(Err(error))
                }
            };
        }
    }

    /// Closes one waiting connection with the help of the spare descriptor.
    fn shed(&self) -> Shed {
        let outcome = self.spare.take().map(|_given_up| ());
        let outcome = outcome.map(|()| self.with_socket(|socket| accept(socket).map(drop)));
        if self.with_socket(|socket| socket.system().map(drop)).is_ok() {
            self.spare.set(sys::spare_descriptor().ok());
        }
        match outcome {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready.set(false);
                return Shed::Nobody;
            }
            // Another thread has taken it.
            Some(Err(error)) if sys::is_out_of_descriptors(&error) => {}
            // Closed, or given up by the client meanwhile: the next may wait.
            Some(_) => return Shed::One,
            None => {}
        }
        self.pause();
        Shed::Pauses
    }

    /// Accepts nothing for a while.
    fn pause(&self) {
        self.ready.set(false);
        if let Some(key) = self.registration.key() {
            let state = self.state().clone();
            self.paused_until.set(state.clock.now().saturating_add(saturating_nanos(PAUSE)));
            let again = move || state.handles.mark_ready(key, Event::READABLE);
            timers::set_internal(self.state(), PAUSE, self.location, again);
        }
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
            callback::call_slot(state, self.kind(), &self.on_connection, |f| f(connection));
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
    pub(super) fn poll_accept(
        &self,
        place: &Place,
        cx: &Context<'_>,
    ) -> Poll<io::Result<L::Stream>> {
        let polled = self.poll_take();
        if polled.is_pending() {
            self.acceptors.wait(place, cx);
        } else {
            self.acceptors.leave(place);
        }
        self.update_liveness();
        polled
    }

    fn poll_take(&self) -> Poll<io::Result<L::Stream>> {
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

    /// The socket is on the loop no more.
    fn unwatch(&self, socket: &Source<L>) {
        match socket {
            Exchanged::System(socket) => {
                let unwatch = |poller: &Poller| poller.deregister_descriptor(socket.as_fd());
                self.state().sources.deregister(unwatch);
            }
            Exchanged::Simulated(socket) => socket.report_to(None),
        }
    }

    /// Takes the socket off the loop, if the listener is open.
    fn take_off(&self) -> Option<Source<L>> {
        let socket = self.socket.take()?;
        self.unwatch(&socket);
        drop(self.spare.take());
        self.listening.set(false);
        Some(socket)
    }

    pub(super) fn close(&self) {
        let Some(socket) = self.take_off() else { return };
        drop(socket);
        let on_connection = self.on_connection.clear();
        if let Some((on_close, origin)) = self.on_close.take(self.kind()) {
            self.push_on_close(origin, on_close);
        }
        let entry = self.registration.close();
        self.acceptors.wake();
        // Last: what the callback captured may call back into the loop.
        drop((on_connection, entry));
    }

    /// Takes the listener off its loop, open.
    pub(super) fn detach(&self) -> io::Result<Source<L>> {
        let Some(socket) = self.take_off() else { return Err(self.closed_error()) };
        let callbacks = (Apart(self.on_connection.clear()), Apart(self.on_close.clear()));
        let entry = self.registration.close();
        self.acceptors.wake();
        // Last: what the callbacks captured may call back into the loop.
        drop((callbacks, entry));
        Ok(socket)
    }

    /// Takes a socket that listens into a loop.
    pub(super) fn adopt(
        state: &Rc<State>,
        socket: Source<L>,
        location: &'static Location<'static>,
    ) -> io::Result<Name<Listening<L>>> {
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let shared = Rc::new(Listening {
            registration: Registration::new(state.clone()),
            socket: RefCell::new(None),
            ready: Cell::new(false),
            paused_until: Cell::new(0),
            listening: Cell::new(false),
            names: Names::default(),
            spare: Cell::new(socket.system().and_then(|_| sys::spare_descriptor()).ok()),
            lack_reported: Cell::new(false),
            on_connection: Slot::default(),
            acceptors: Waiters::default(),
            budget: Budget::default(),
            on_close: Once::default(),
            location,
        });
        shared.registration.open(shared.clone(), location, false);
        let key = shared.registration.key().expect("an open handle has a key");
        match &socket {
            Exchanged::Simulated(socket) => {
                state.enter_for(|| socket.report_to(Some(key.to_bits())));
            }
            Exchanged::System(socket) => {
                let watch = |poller: &Poller| {
                    poller.register_descriptor(socket.as_fd(), Event::OF_STREAMS, key.to_bits())
                };
                if let Err(error) = state.register(watch) {
                    drop(shared.registration.close());
                    return Err(error);
                }
            }
        }
        shared.socket.replace(Some(socket));
        Ok(Name::new(shared))
    }

    /// Calls `f` with each connection.
    #[track_caller]
    pub(super) fn start(&self, f: Box<dyn FnMut(io::Result<L::Stream>)>) {
        if !self.is_open() {
            return;
        }
        self.listening.set(true);
        let before = self.on_connection.set(f);
        self.update_liveness();
        if self.ready.get() {
            self.registration.call_again();
        }
        drop(before);
    }

    /// Calls `f` in the close phase after the listener was closed.
    #[track_caller]
    pub(super) fn on_close(&self, f: Box<dyn FnOnce()>) {
        if self.is_open() {
            let before = self.on_close.set(f);
            drop(before);
        } else if self.state().is_open() {
            self.push_on_close(Registered::here().origin(self.kind()), f);
        }
    }

    fn push_on_close(&self, origin: Origin, f: Box<dyn FnOnce()>) {
        let state = self.state().clone();
        let call = move || callback::call(&state, origin, f);
        self.state().push_closing(Closure::new(call));
    }
}

impl<L: Listener> Handle for Listening<L> {
    fn kind(&self) -> &'static str {
        L::KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, event: Event) {
        if !event.is_empty() {
            self.ready.set(state.clock.now() >= self.paused_until.get());
        }
        // A panic leaves the round. The connections that wait must not be forgotten.
        let again = OnDrop(|| self.registration.call_again());
        if !self.acceptors.is_empty() {
            let acceptors = self.acceptors.take();
            self.update_liveness();
            waiters::wake_each(acceptors);
            callback::drain(state);
        }
        self.accept_round(state);
        again.forget();
    }

    fn ask(&self) {
        waiters::wake_each(self.acceptors.take_poller());
    }

    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {
        self.close();
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.listening.set(false);
        if let Some(socket) = self.socket.take() {
            self.unwatch(&socket);
        }
        drop(self.spare.take());
        callback::drop_quietly(self.on_connection.clear());
        callback::drop_quietly(self.on_close.clear());
        self.acceptors.wake();
    }
}

impl<L: Listener> Named for Listening<L> {
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

/// A listener that a future accepts from, whatever its type.
pub(super) trait AcceptAt<S> {
    /// A connection, or waits for one at this place.
    fn poll_accept_at(&self, place: &Place, cx: &Context<'_>) -> Poll<io::Result<S>>;

    /// The task of this place no longer waits.
    fn leave(&self, place: &Place);

    /// Whether the listener was closed: nothing comes any more.
    #[cfg(feature = "futures")]
    fn is_over(&self) -> bool;
}

impl<L: Listener> AcceptAt<L::Stream> for Listening<L> {
    fn poll_accept_at(&self, place: &Place, cx: &Context<'_>) -> Poll<io::Result<L::Stream>> {
        self.poll_accept(place, cx)
    }

    fn leave(&self, place: &Place) {
        self.acceptors.leave(place);
        self.update_liveness();
    }

    #[cfg(feature = "futures")]
    fn is_over(&self) -> bool {
        !self.is_open()
    }
}

/// An accept that is going on, of a listener of any kind.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::net::TcpListener;
///
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let accepted = windlass::time::timeout(Duration::from_millis(1), listener.accept()).await;
///     assert!(accepted.is_err(), "nobody came");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Accept<'a, S = TcpStream> {
    /// The listener that is waited for.
    listener: &'a dyn AcceptAt<S>,
    /// Its place among the accepts that wait.
    place: Place,
}

impl<'a, S> Accept<'a, S> {
    pub(super) fn new(listener: &'a dyn AcceptAt<S>) -> Accept<'a, S> {
        Accept { listener, place: Place::default() }
    }

    /// Whether the listener was closed.
    #[cfg(feature = "futures")]
    pub(crate) fn is_over(&self) -> bool {
        self.listener.is_over()
    }
}

impl<S> Future for Accept<'_, S> {
    type Output = io::Result<S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.listener.poll_accept_at(&self.place, cx)
    }
}

impl<S> Drop for Accept<'_, S> {
    fn drop(&mut self) {
        self.listener.leave(&self.place);
    }
}

impl<S> fmt::Debug for Accept<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("waits", &self.place.is_taken()).finish_non_exhaustive()
    }
}

/// Writes the verbs of a listener into the `impl` block of its public type, whose field `shared` is
/// a name of its [`Listening`]. `$stream` is the type of its connections. The examples begin with
/// `$pair`, which makes a `listener` and the request of a `client` that connects to it.
macro_rules! listener_methods {
    ($stream:ty, $pair:literal) => {
        /// Calls `f` for each connection, and with an error when one could not be accepted.
        /// Replaces the callback given before. On a closed listener it is dropped uncalled.
        ///
        /// At most 64 connections are accepted in one poll phase, so that other handles are served.
        /// When the process has no descriptors left, waiting connections are closed, at most 64 in
        /// one phase, and the callback gets the system's error (`EMFILE`), once until a connection
        /// is accepted again. After any other error the listener pauses for 100 ms: it may last.
        ///
        /// # Examples
        /// ```
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     listener.on_connection(|connection| drop(connection.unwrap().write(b"hello")));
        ///     let mut buffer = [0; 16];
        ///     assert_eq!(client.await?.read(&mut buffer).await?, 5);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn on_connection(&self, f: impl FnMut(std::io::Result<$stream>) + 'static) {
            self.shared.start(Box::new(f));
        }

        /// Waits for a connection. Dropping the future loses none, and other tasks that wait go on
        /// waiting.
        ///
        /// # Errors
        /// The system's; invalid-input when the listener was closed.
        ///
        /// # Examples
        /// ```
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let connection = listener.accept().await?;
        ///     connection.write(b"hello").await?;
        ///     # drop(client);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn accept(&self) -> crate::net::Accept<'_, $stream> {
            crate::net::Accept::new(&**self.shared)
        }

        /// A connection, or keeps the task's waker until there is one. One task can wait so: a
        /// later one takes the place of the one before. Those in [`accept`](Self::accept) wait
        /// beside it.
        ///
        /// # Errors
        /// As [`accept`](Self::accept).
        ///
        /// # Examples
        /// ```
        /// use std::future::poll_fn;
        ///
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     let connection = poll_fn(|cx| listener.poll_accept(cx)).await?;
        ///     # drop((connection, client));
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn poll_accept(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<$stream>> {
            self.shared.poll_accept(self.shared.acceptors.poller(), cx)
        }

        /// Closes the listener now. Connections that wait are reset by the system. Closing again
        /// does nothing.
        ///
        /// # Examples
        /// ```
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     listener.close();
        ///     assert!(listener.is_closing());
        ///     assert!(listener.accept().await.is_err());
        ///     # drop(client);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn close(&self) {
            self.shared.close();
        }

        /// Calls `f` in the close phase after the listener was closed. Replaces the callback given
        /// before. Of handles closed in one iteration the one closed last is told first.
        ///
        /// # Examples
        /// ```
        /// windlass::block_on(async {
        #[doc = $pair]
        ///     listener.on_close(|| println!("no more connections"));
        ///     listener.close();
        ///     # drop(client);
        ///     Ok::<(), std::io::Error>(())
        /// })?;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[track_caller]
        pub fn on_close(&self, f: impl FnOnce() + 'static) {
            self.shared.on_close(Box::new(f));
        }

        crate::state::references::ref_methods!("listener"; shared.registration);

        /// Whether the listener was closed.
        pub fn is_closing(&self) -> bool {
            !self.shared.is_open()
        }
    };
}

pub(super) use listener_methods;
