//! A TCP connection on the loop: the public type, and what only TCP has.
//!
//! A [`TcpStream`] is a name of a [`Connection`], which does what all streams do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::address::{Address, Target};
use super::connect::{Connect, Connecting};
use super::exchanged::Exchanged;
use crate::dns::{self, LookupOptions};
use crate::error;
use crate::request::Request;
use crate::state::current;
use crate::state::named::Name;
use crate::stream::connection::{Connection, Stream};
use crate::stream::ending::Carried;
use crate::stream::verbs::{
    handle_methods, impl_readable, impl_writable, methods, peer_methods, read_methods,
    socket_methods, write_methods,
};
use crate::sys;
use crate::trace::label::here;
use crate::virtual_time::network;

/// A TCP connection.
///
/// `Clone`: a clone is another name for the same connection. With a read callback registered the
/// connection belongs to the loop until it is closed; after the end of the stream or an error the
/// callback is released. Without one it closes when the last clone is dropped, after queued writes
/// and a requested shutdown have gone out; only an explicit [`close`](TcpStream::close) cancels
/// them.
///
/// # Half-close
/// The end of what the peer sends is not the end of the connection: reading gives it, and writing
/// goes on until this side too has sent its end. A peer that has gone for good is heard of through
/// [`on_hang_up`](TcpStream::on_hang_up) without reading, and as an error of a read or write
/// otherwise. The end alone is heard of without reading through
/// [`on_read_closed`](TcpStream::on_read_closed).
///
/// # Liveness
/// A connection keeps the loop alive while a read callback is registered or a task waits on it,
/// unless [`unref`](TcpStream::unref)'d; a queued write or shutdown does in any case.
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
///     windlass::spawn_try(async move {
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
#[derive(Clone)]
pub struct TcpStream {
    /// A name of the connection that all clones share.
    pub(super) connection: Name<Connection<TcpStream>>,
}

impl Stream for TcpStream {
    const KIND: &'static str = "TCP stream";

    type Transport = Exchanged<sys::TcpStream>;

    fn of(connection: Name<Connection<TcpStream>>) -> TcpStream {
        TcpStream { connection }
    }
}

impl Connect for TcpStream {
    type Address = SocketAddr;

    fn connection(&self) -> &Connection<TcpStream> {
        &self.connection
    }

    fn begin(address: SocketAddr) -> io::Result<Exchanged<sys::TcpStream>> {
        if let Some(socket) = network::connect_to(address) {
            return Ok(socket.into());
        }
        sys::TcpStream::connect(address).map(Exchanged::System)
    }
}

impl TcpStream {
    /// Connects to an address. A name is resolved on the pool, and its addresses are tried one
    /// after the other.
    ///
    /// Cancelling is possible until it has completed.
    ///
    /// # Errors
    /// `InvalidInput` when the text is no address, the resolver's error, or that of the last
    /// address tried. None comes before this call returns.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let port = listener.local_addr()?.port();
    ///     TcpStream::connect(format!("localhost:{port}")).await?;
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect(address: impl Address) -> Request<io::Result<TcpStream>> {
        let state = current::expect("TcpStream::connect");
        let location = here();
        let target = match address.target() {
            Ok(target) if state.is_open() => target,
            Ok(_) => {
                return Request::failed_later(
                    &state,
                    TcpStream::KIND,
                    location,
                    error::shut_down(),
                );
            }
            Err(error) => return Request::failed_later(&state, TcpStream::KIND, location, error),
        };
        let (connecting, request) = Connecting::new(&state, location);
        match target {
            Target::Socket(address) => connecting.start([address]),
            Target::Name(host, port) => {
                let options = LookupOptions::new();
                let lookup = dns::lookup_sockets_at(&state, location, &host, port, options);
                connecting.resolve(lookup);
            }
        }
        request
    }

    /// Takes the connection off its loop, so that it can travel to another one: in a message, or to
    /// a thread.
    ///
    /// No byte is lost. What has been read was given to a callback or a task and is theirs; all
    /// else is still with the system and comes where the connection is
    /// [opened](DetachedTcpStream::open). All clones are closed from then on: the read callback and
    /// the one of [`on_close`](TcpStream::on_close) are dropped uncalled, and tasks that wait get a
    /// not-connected error. A shutdown that was requested stays one.
    ///
    /// # Errors
    /// `ResourceBusy` while writes are queued, a shutdown waits for them or the connection is being
    /// made: their requests belong to this loop. Wait for the last of them and ask again.
    /// Not-connected when the connection is closed. In both cases nothing changes.
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
        let detached = self.connection.detach()?;
        let socket = detached.transport.map(Into::into);
        Ok(DetachedTcpStream { socket, carried: detached.carried })
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
        let socket = Exchanged::System(sys::TcpStream::from_std(stream));
        Connection::adopt(&state, socket, here())
    }

    /// Takes the connection off its loop, for use without one: blocking. All other clones are
    /// closed by it, as by [`detach`](TcpStream::detach).
    ///
    /// # Errors
    /// As [`detach`](TcpStream::detach): `ResourceBusy` while writes are queued. The system's when
    /// the socket cannot be made blocking; it is then closed.
    ///
    /// # Examples
    /// ```
    /// use std::io::Read;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     listener.accept().await?.write(b"hello").await?;
    ///     let mut bytes = [0; 5];
    ///     client.into_std()?.read_exact(&mut bytes)?;
    ///     assert_eq!(&bytes, b"hello");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.connection.with_transport(|socket| socket.system().map(drop))?;
        let detached = self.detach()?;
        if let Some(failure) = detached.carried.failure {
            self.connection.lose(*failure);
        }
        let socket = detached.socket.into_system()?;
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    methods! {
        "```",
        "\
    let listener = windlass::net::TcpListener::bind(\"127.0.0.1:0\")?;
    let writer = windlass::net::TcpStream::connect(listener.local_addr()?);
    let reader = listener.accept().await?;
    let writer = writer.await?;",
        read_methods, write_methods, handle_methods, peer_methods, socket_methods
    }

    /// Closes the connection with a reset: the peer gets an error instead of an end.
    ///
    /// # Errors
    /// `InvalidInput` after a shutdown was requested, which promised an orderly end; not-connected
    /// when the connection is closed.
    pub fn close_reset(&self) -> io::Result<()> {
        if self.connection.writing.has_ended() && self.connection.is_open() {
            return Err(io::Error::from_raw_os_error(sys::EINVAL));
        }
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => sys::set_reset_on_close(socket),
            Exchanged::Simulated(socket) => {
                socket.reset_on_close();
                Ok(())
            }
        })?;
        self.connection.close();
        Ok(())
    }

    /// Sets whether small writes are sent without waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => socket.set_nodelay(on),
            Exchanged::Simulated(_) => Ok(()), // Nothing is ever kept back.
        })
    }

    /// Sets after which time without a byte the system asks the peer whether it is there, and
    /// resets the connection when no answer comes (`SO_KEEPALIVE`); in whole seconds, rounded down
    /// but to one. `None` switches it off, which it is at first.
    ///
    /// # Errors
    /// `InvalidInput` for a time of zero; the system's; not-connected when the connection is
    /// closed.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let connection = TcpStream::connect(listener.local_addr()?).await?;
    ///     connection.set_keepalive(Some(Duration::from_secs(60)))?;
    ///     connection.set_keepalive(None)?;
    ///     assert!(connection.set_keepalive(Some(Duration::ZERO)).is_err());
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        if idle == Some(Duration::ZERO) {
            return Err(io::Error::from_raw_os_error(sys::EINVAL));
        }
        let idle = idle.map(|idle| idle.max(Duration::from_secs(1)));
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => sys::set_keepalive(socket, idle),
            Exchanged::Simulated(_) => Ok(()), // No peer goes without a word.
        })
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => socket.local_addr(),
            Exchanged::Simulated(socket) => socket.local().to_internet(),
        })
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed or reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => socket.peer_addr(),
            Exchanged::Simulated(socket) => socket.peer().to_internet(),
        })
    }
}

impl_readable!(TcpStream);
impl_writable!(TcpStream);

impl AsRawFd for TcpStream {
    /// The descriptor, for options and reports. -1 when the connection is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.connection.with_transport(|socket| Ok(socket.system()?.as_raw_fd())).unwrap_or(-1)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer_addr().ok())
            .field("open", &self.connection.is_open())
            .finish_non_exhaustive()
    }
}

/// A connection that is on no loop: what travels between threads. Made by [`TcpStream::detach`].
///
/// Dropping it closes the connection.
///
/// # Examples
/// ```
/// use windlass::net::{TcpListener, TcpStream};
/// use windlass::worker::Worker;
///
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let connection = listener.accept().await?.detach()?;
///     Worker::<(), ()>::spawn(move |_| {
///         let connection = connection.open().expect("the worker has descriptors left");
///         drop(connection.write(b"from the worker"));
///     })?;
///     let mut bytes = [0; 64];
///     assert!(client.read(&mut bytes).await? > 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DetachedTcpStream {
    /// Non-blocking.
    socket: Exchanged<std::net::TcpStream>,
    /// What was told on the loop before.
    carried: Carried,
}

impl DetachedTcpStream {
    /// Opens the connection on the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be polled; a shut-down error on a loop that is closed.
    /// The connection is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> io::Result<TcpStream> {
        let state = current::expect("DetachedTcpStream::open");
        self.socket.check(&state)?;
        let socket = self.socket.map(sys::TcpStream::from_std);
        let stream: TcpStream = Connection::adopt(&state, socket, here())?;
        stream.connection.take_over(self.carried);
        Ok(stream)
    }

    /// The socket for use without a loop. It is non-blocking.
    ///
    /// # Panics
    /// When it is one of a [simulation](crate::sim), which has no descriptor.
    #[track_caller]
    pub fn into_std(self) -> std::net::TcpStream {
        self.socket.into_system().expect("windlass: into_std")
    }
}
