//! Ports: the two ends of a channel between loops.
//!
//! As in Node, a value that may cross threads and one that belongs to a loop are two types: a
//! [`PortEnd`] travels, and becomes a [`Port`] where it is opened.
//!
//! Whether a channel has a bound is part of the port's type: see [`bounded`](super::bounded).

#[cfg(feature = "futures")]
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(feature = "futures")]
use super::bounded::Permit;
use super::link::Link;
use super::open_port::{KIND, OpenPort};
use super::recv::{Receive, Recv, RecvTimeoutError};
use super::sent::Sent;
use crate::callback::slot::Registered;
use crate::state::State;
use crate::state::current;
use crate::state::named::Name;
use crate::state::references::ref_methods;
use crate::trace::label::here;

/// Makes a channel: what is posted at one end arrives at the other. Both ends can travel to other
/// threads, also inside messages.
///
/// # Examples
/// ```
/// use windlass::worker::channel;
///
/// windlass::run(|| {
///     let (here, there) = channel::<&str, usize>();
///     let there = there.open();
///     let reply = there.clone();
///     there.on_message(move |text| {
///         reply.post(text.len());
///         reply.close();
///     });
///     let here = here.open();
///     here.on_message(|length| assert_eq!(length, 5));
///     here.post("hello");
/// });
/// ```
pub fn channel<A: Send + 'static, B: Send + 'static>() -> (PortEnd<A, B>, PortEnd<B, A>) {
    let (one, other) = Link::pair();
    (PortEnd::new(one), PortEnd::new(other))
}

/// Says of a port that its channel holds any number of messages. See [`channel`].
///
/// # Examples
/// ```
/// use windlass::worker::{Port, Unbounded, channel};
///
/// // The third parameter is `Unbounded` where it is left out.
/// fn greet(port: &Port<String, (), Unbounded>) {
///     port.post("hello".to_owned());
/// }
///
/// windlass::run(|| {
///     let (here, _there) = channel::<String, ()>();
///     greet(&here.open());
/// });
/// ```
#[derive(Debug)]
pub enum Unbounded {}

/// An end of a channel that is not on any loop: what travels between threads.
///
/// Sends `S`, receives `R`. Messages that arrive meanwhile wait in it. Dropping it closes the
/// channel.
///
/// One that is posted into its own channel, by its peer, can never be received: it stays there,
/// with all that waits behind it, for as long as the process runs, and its peer hears of no close.
/// The same is true of two channels each of which has an end of the other in its queue. A message
/// is a value of any type that is moved, so a post cannot see the ends in it: ask [`Port::is_peer`]
/// before, where that can happen.
///
/// `K` says whether the channel has a bound.
///
/// # Examples
/// ```
/// use windlass::worker::{PortEnd, Worker, channel};
///
/// windlass::run(|| {
///     let (ours, theirs) = channel::<(), u32>();
///     let ours = ours.open();
///     // An end may be moved to another thread; a port may not.
///     Worker::<(), ()>::spawn(move |_| theirs.open().post(42)).unwrap();
///     ours.on_message(|number| assert_eq!(number, 42));
/// });
/// ```
pub struct PortEnd<S, R, K = Unbounded> {
    /// Both directions. Its drop closes the channel.
    pub(crate) link: Link<S, R>,
    /// Says whether the channel has a bound. Holds nothing.
    kind: PhantomData<K>,
}

impl<S, R, K> PortEnd<S, R, K> {
    pub(crate) fn new(link: Link<S, R>) -> Self {
        PortEnd { link, kind: PhantomData }
    }
}

impl<S: Send + 'static, R: Send + 'static, K> PortEnd<S, R, K> {
    /// Opens the end on the current loop. On a loop that is closed the port is closed too.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> Port<S, R, K> {
        let port = OpenPort::open(current::expect("PortEnd::open"), self.link);
        Port::new(Name::new(port))
    }
}

impl<S, R, K> fmt::Debug for PortEnd<S, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortEnd")
            .field("waiting", &self.link.incoming.len())
            .finish_non_exhaustive()
    }
}

/// An end of a channel on a loop. Sends `S`, receives `R`.
///
/// Messages wait until there is a handler; attaching one references the port, removing it
/// unreferences the port. Messages are delivered in the poll phase, in the order posted, never
/// inside the call that posts, each as a callback of its own; in one phase a port delivers as many
/// as waited when its turn came, or 1,000 if that is more. A clone is the same port. It closes with
/// its last clone, unless a handler is attached: then the loop has it until it is closed.
///
/// # Liveness
/// A port keeps the loop alive while it has a handler or a task waits on it, unless
/// [`unref`](Port::unref)'d.
///
/// # Examples
/// ```
/// use windlass::worker::channel;
///
/// windlass::block_on(async {
///     let (here, there) = channel::<u32, u32>();
///     let (here, there) = (here.open(), there.open());
///     here.post(1);
///     here.close();
///     assert_eq!(there.recv().await, Some(1));
///     assert_eq!(there.recv().await, None);
/// });
/// ```
pub struct Port<S, R, K = Unbounded> {
    /// The port, which its loop has too while it is open.
    pub(super) port: Name<OpenPort<S, R>>,
    /// A place in a bounded channel that this name has as a sink.
    #[cfg(feature = "futures")]
    pub(crate) permit: Cell<Option<Permit<S>>>,
    /// Says whether the channel has a bound. Holds nothing.
    kind: PhantomData<K>,
}

impl<S, R, K> Port<S, R, K> {
    fn new(port: Name<OpenPort<S, R>>) -> Self {
        Port {
            port,
            #[cfg(feature = "futures")]
            permit: Cell::new(None),
            kind: PhantomData,
        }
    }

    pub(crate) fn state(&self) -> &Rc<State> {
        self.port.state()
    }

    /// Whether `end` is the other end of this port's channel. It must not be posted here, for it
    /// could never be received: dropped instead, it closes the channel, as it does in Node. No end
    /// is the peer of a closed port.
    ///
    /// # Examples
    /// ```
    /// use windlass::worker::{Port, PortEnd, channel};
    ///
    /// enum Message {
    ///     Text(&'static str),
    ///     Port(PortEnd<Message, Message>),
    /// }
    ///
    /// fn send(port: &Port<Message, Message>, message: Message) {
    ///     match message {
    ///         Message::Port(end) if port.is_peer(&end) => drop(end),
    ///         message => port.post(message),
    ///     }
    /// }
    ///
    /// windlass::run(|| {
    ///     let (here, there) = channel();
    ///     let here = here.open();
    ///     here.on_message(|_| unreachable!("nobody has the other end"));
    ///     here.on_close(|| println!("the channel is closed"));
    ///     send(&here, Message::Text("which nobody will read"));
    ///     send(&here, Message::Port(there));
    /// });
    /// ```
    pub fn is_peer<A, B, L>(&self, end: &PortEnd<A, B, L>) -> bool {
        self.port.link.borrow().as_ref().is_some_and(|link| link.is_peer(&end.link))
    }
}

impl<S: Send + 'static, R: Send + 'static> Port<S, R> {
    /// Sends a message: moved, not copied. Dropped at once when either end is closed.
    pub fn post(&self, message: S) {
        drop(self.try_post(message));
    }

    /// Sends a message, or gives it back.
    ///
    /// # Errors
    /// The message itself when either end is closed.
    pub fn try_post(&self, message: S) -> Result<(), S> {
        match &*self.port.link.borrow() {
            Some(link) => link.outgoing.push(Sent::now(message)).map_err(Sent::back),
            None => Err(message),
        }
    }
}

impl<S: Send + 'static, R: Send + 'static, K> Port<S, R, K> {
    /// Calls `f` for each message. Replaces the handler before, and references the port.
    #[track_caller]
    pub fn on_message(&self, f: impl FnMut(R) + 'static) {
        self.on_message_at(here(), f);
    }

    /// As [`on_message`](Port::on_message), registered at this line.
    pub(crate) fn on_message_at(
        &self,
        place: &'static Location<'static>,
        f: impl FnMut(R) + 'static,
    ) {
        let port = &self.port;
        if !port.receives() {
            return;
        }
        let before = port.handler.listen_at(place, Box::new(f));
        if port.is_open() {
            port.registration.set_ref(true);
            port.update_liveness();
            port.look();
        }
        drop(before);
    }

    /// Removes the handler and unreferences the port. Later messages wait.
    pub fn off_message(&self) {
        let before = self.port.handler.unlisten();
        self.port.registration.set_ref(false);
        if self.port.is_open() {
            self.port.update_liveness();
        }
        drop(before);
    }

    /// Calls `f` in the close phase after the channel was closed, from here or from the other end;
    /// then all that was posted there before has been delivered. Replaces the callback before.
    /// Of handles closed in one iteration the one closed last is told first.
    #[track_caller]
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        if self.port.is_open() {
            let before = self.port.on_close.set(Box::new(f));
            drop(before);
        } else if self.port.state().is_open() {
            let origin = Registered::here().origin(KIND);
            let call = self.port.call_on_close(origin, Box::new(f));
            self.port.state().push_closing(call);
        }
    }

    /// Takes the oldest message that waits. It reaches no handler.
    pub fn try_recv(&self) -> Option<R> {
        if !self.port.is_open() {
            return None;
        }
        let message = self.port.handler.try_recv(self.port.now());
        self.port.look_for_end();
        message
    }

    /// Waits for the next message; none when the channel is closed and all has been taken. Dropping
    /// the future loses nothing.
    ///
    /// Any number may wait. Each message goes to one of them, first to the one that has waited
    /// longest. A waiting task comes before a handler, which gets the messages that no task takes.
    /// A task on this loop comes at once; where another executor polls, the handler may be quicker.
    ///
    /// # Cost
    /// A message wakes all waiting tasks, and those that find nothing wait on.
    pub fn recv(&self) -> Recv<'_, R> {
        Recv::new(&**self.port)
    }

    /// The next message, or keeps the task's waker until it comes; none when the channel is closed
    /// and all has been taken. One task can wait so: a later one takes the place of the one before.
    /// Those in [`recv`](Port::recv) wait beside it.
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// use windlass::worker::channel;
    ///
    /// windlass::block_on(async {
    ///     let (here, there) = channel::<u32, ()>();
    ///     let (here, there) = (here.open(), there.open());
    ///     here.post(1);
    ///     assert_eq!(poll_fn(|cx| there.poll_recv(cx)).await, Some(1));
    /// });
    /// ```
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<R>> {
        self.port.poll_recv(self.port.handler.waiters.poller(), cx)
    }

    /// Blocks this thread until there is a message, no longer than `timeout`.
    ///
    /// The loop stands still meanwhile: for the rare program that has nothing else to do, such as a
    /// worker that asks another thread for something before it can begin.
    ///
    /// # Errors
    /// See [`RecvTimeoutError`]. It refuses to wait for a peer that is open on this same thread,
    /// which could never answer, and in virtual time, where no other loop goes on while this one
    /// blocks; a message that is there already comes in any case. A peer that is not open anywhere
    /// cannot be told from one that will be opened on another thread, and is waited for.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        let port = &self.port;
        if !port.is_open() {
            return Err(RecvTimeoutError::Closed);
        }
        let received = port.handler.recv_timeout(port.state(), timeout);
        port.look_for_end();
        received
    }

    /// Messages that wait here for a handler or a receive.
    pub fn queue_len(&self) -> usize {
        if self.port.is_open() { self.port.handler.buffer.queue().len() } else { 0 }
    }

    /// Closes both directions. The other end gets all earlier messages, then its close notice;
    /// messages that wait here are dropped. Closing again does nothing.
    ///
    /// Closed in its own handler, or by a tick or microtask that follows it, the port still
    /// delivers what is left of that round, as in Node: what waited when the round began, or up to
    /// 1,000 messages if that is more, those included that the other end posts meanwhile. To have
    /// none, call [`off_message`](Port::off_message) too.
    pub fn close(&self) {
        self.port.close();
    }

    ref_methods!("port"; port.registration);

    /// Whether the port was closed, from either side, or detached.
    pub fn is_closed(&self) -> bool {
        !self.port.is_open()
    }

    /// Takes the end off this loop, with the messages that wait, so that it can travel. Clones of
    /// the port are closed from then on; the handler is dropped.
    pub fn detach(self) -> PortEnd<S, R, K> {
        // A closed port gives an end whose other end is closed.
        PortEnd::new(self.port.detach().unwrap_or_else(|| Link::pair().0))
    }
}

impl<S, R, K> Clone for Port<S, R, K> {
    fn clone(&self) -> Self {
        Port::new(self.port.clone())
    }
}

impl<S, R, K> fmt::Debug for Port<S, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("open", &self.port.is_open()).finish_non_exhaustive()
    }
}
