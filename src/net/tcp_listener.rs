//! A TCP listener on the loop: the public type, and its settings.
//!
//! A [`TcpListener`] is a name of a [`Listening`], which does what all listeners do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::rc::Rc;

use super::address::{Address, of_socket};
use super::exchanged::Exchanged;
use super::listening::{BACKLOG, Listener, Listening, Source, listener_methods};
use super::tcp_stream::TcpStream;
use crate::error;
use crate::state::State;
use crate::state::current;
use crate::state::named::Name;
use crate::sys;
use crate::trace::label::here;
use crate::virtual_time::network::{self, listening::Listener as InMemory};

impl Listener for sys::TcpListener {
    const KIND: &'static str = "TCP listener";

    type Stream = TcpStream;

    fn accept(&self) -> io::Result<Exchanged<sys::TcpStream>> {
        sys::TcpListener::accept(self).map(|(socket, _peer)| Exchanged::System(socket))
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
    shared: Name<Listening<sys::TcpListener>>,
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
        TcpListenerBuilder::default().bind(address)
    }

    /// Settings for a listener that is bound last.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let builder = TcpListener::builder().reuse_port(true).backlog(16);
    ///     let first = builder.clone().bind("127.0.0.1:0")?;
    ///     let second = builder.bind(first.local_addr()?)?;
    ///     assert_eq!(first.local_addr()?, second.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> TcpListenerBuilder {
        TcpListenerBuilder::default()
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
        TcpListener::builder().reuse_port(true).bind(address)
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
        Ok(DetachedTcpListener { socket: self.shared.detach()?.map(Into::into) })
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
        TcpListener::adopt(&state, Exchanged::System(listener), here())
    }

    fn adopt(
        state: &Rc<State>,
        socket: Source<std::net::TcpListener>,
        location: &'static Location<'static>,
    ) -> io::Result<TcpListener> {
        let shared = Listening::adopt(state, socket.map(sys::TcpListener::from_std), location)?;
        Ok(TcpListener { shared })
    }

    /// Takes the listener off its loop, for use without one: blocking. All other clones are closed,
    /// as by [`detach`](TcpListener::detach).
    ///
    /// # Errors
    /// Invalid-input when the listener is closed; the system's when it cannot be made blocking.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?.into_std()?;
    ///     let client = std::net::TcpStream::connect(listener.local_addr()?)?;
    ///     assert_eq!(listener.accept()?.1, client.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.shared.with_socket(|socket| socket.system().map(drop))?;
        let socket = self.detach()?.into_std();
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    listener_methods! {
        TcpStream,
        "\
    let listener = windlass::net::TcpListener::bind(\"127.0.0.1:0\")?;
    let client = windlass::net::TcpStream::connect(listener.local_addr()?);"
    }

    /// The address that is listened on, with the real port.
    ///
    /// # Errors
    /// The system's; invalid-input when the listener was closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.with_socket(|socket| match socket {
            Exchanged::System(socket) => socket.local_addr(),
            Exchanged::Simulated(socket) => socket.address().to_internet(),
        })
    }
}

impl AsRawFd for TcpListener {
    /// The descriptor, for options and reports. -1 when the listener is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.with_socket(|socket| Ok(socket.system()?.as_raw_fd())).unwrap_or(-1)
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
///
/// # Examples
/// ```
/// use windlass::net::TcpListener;
/// use windlass::worker::Worker;
///
/// windlass::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?.detach()?;
///     // It serves there from now on.
///     Worker::<(), ()>::spawn(move |_| {
///         let listener = listener.open().expect("the worker has descriptors left");
///         listener.on_connection(|_| ());
///         listener.close();
///     })?;
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DetachedTcpListener {
    /// Non-blocking, and still listening.
    socket: Source<std::net::TcpListener>,
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
        self.socket.check(&state)?;
        TcpListener::adopt(&state, self.socket, here())
    }

    /// The socket for use without a loop. It is non-blocking.
    ///
    /// # Panics
    /// When it is one of a [simulation](crate::sim), which has no descriptor.
    #[track_caller]
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket.into_system().expect("windlass: into_std")
    }
}

/// Settings for a [`TcpListener`] that is bound last. Made by [`TcpListener::builder`].
///
/// # Examples
/// ```
/// use windlass::net::TcpListener;
///
/// windlass::run(|| {
///     let listener = TcpListener::builder().reuse_port(true).bind("127.0.0.1:0")?;
///     assert_ne!(listener.local_addr()?.port(), 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpListenerBuilder {
    /// Other sockets of this user may bind the address too.
    reuse_port: bool,
    /// How many connections may wait. None: as [`TcpListener::bind`].
    backlog: Option<u32>,
    /// Whether a listener at an IPv6 address leaves out IPv4. None: as the system is set.
    only_v6: Option<bool>,
}

impl TcpListenerBuilder {
    /// Whether other sockets of this user may bind the same address, as
    /// [`bind_reuse_port`](TcpListener::bind_reuse_port) says. False unless set.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     TcpListener::builder().reuse_port(true).bind("127.0.0.1:0")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// How many connections may wait to be accepted: 1,024 unless set. The system may allow fewer.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     TcpListener::builder().backlog(4).bind("127.0.0.1:0")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Whether a listener at `[::]` takes IPv6 connections only, and leaves those of IPv4 to
    /// others. As the system is set, unless told.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| {
    ///     let bound = TcpListener::builder().only_v6(true).bind("127.0.0.1:0");
    ///     assert_eq!(bound.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    /// });
    /// ```
    pub fn only_v6(mut self, on: bool) -> Self {
        self.only_v6 = Some(on);
        self
    }

    /// Binds to an address and listens.
    ///
    /// # Errors
    /// As [`TcpListener::bind`]; `InvalidInput` for IPv6 only at an IPv4 address.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::TcpListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::builder().bind("127.0.0.1:0")?;
    ///     assert_ne!(listener.local_addr()?.port(), 0);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(self, address: impl Address) -> io::Result<TcpListener> {
        let state = current::expect("TcpListener::bind");
        let address = of_socket(address)?;
        if self.only_v6 == Some(true) && address.is_ipv4() {
            let text = format!("{address} is no IPv6 address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let shared = Listening::adopt(&state, self.listen(&state, address)?, here())?;
        Ok(TcpListener { shared })
    }

    /// Makes a listening socket, in memory if the loop is in a simulation.
    fn listen(self, state: &State, address: SocketAddr) -> io::Result<Source<sys::TcpListener>> {
        let backlog = self.backlog.map_or(BACKLOG, |count| count.try_into().unwrap_or(i32::MAX));
        let only_v6 = self.only_v6.filter(|_| address.is_ipv6());
        if state.chance().is_some() {
            let address = network::Address::Internet(address);
            let only_v6 = only_v6.unwrap_or(false);
            return InMemory::bind(&address, backlog as usize, only_v6).map(Exchanged::Simulated);
        }
        sys::listen(address, backlog, self.reuse_port, only_v6).map(Exchanged::System)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::{Shutdown, TcpStream};
    use std::os::fd::OwnedFd;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::sys::Event;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets")]
    fn a_listener_that_pauses_does_so_also_while_clients_come() {
        let errors = Rc::new(Cell::new(0));
        let count = errors.clone();
        crate::Loop::builder().virtual_time(true).build().unwrap().run(move || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let socket = TcpStream::from(OwnedFd::from(listener.try_clone().unwrap()));
            let listener = TcpListener::from_std(listener).unwrap();
            socket.shutdown(Shutdown::Both).unwrap();
            listener.on_connection(move |connection| {
                connection.expect_err("a socket that does not listen any more");
                count.set(count.get() + 1);
            });
            // What the poller says of each client.
            let key = listener.shared.registration.key().unwrap();
            let clients = crate::set_interval(Duration::from_millis(7), move |_| {
                let state = crate::state::current::expect("the test");
                state.handles.mark_ready(key, Event::READABLE);
            });
            crate::set_timeout(Duration::from_secs(1), move || {
                clients.clear();
                listener.close();
            });
        });
        assert!((9..=11).contains(&errors.get()), "{} errors in a second", errors.get());
    }
}
