//! A Unix socket on the loop: the public type, and what only Unix sockets have.
//!
//! A [`UnixStream`] is a name of a [`Connection`], which does what all streams do.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::panic::Location;
use std::path::Path;

use super::connect::{Connect, Connecting};
use super::exchanged::Exchanged;
use crate::error;
use crate::request::Request;
use crate::state::current;
use crate::state::named::Name;
use crate::stream::connection::{Connection, Stream};
use crate::stream::operations::Data;
use crate::stream::verbs::{
    handle_methods, impl_readable, impl_writable, methods, peer_methods, read_methods,
    socket_methods, write_methods,
};
use crate::sys;
use crate::trace::label::here;
use crate::virtual_time::network::{self, link::Socket};

/// A connected Unix socket: a stream between programs on one machine, which carries descriptors
/// too.
///
/// `Clone`: a clone is another name for the same connection. With a read callback registered the
/// connection belongs to the loop until it is closed; after the end of the stream or an error the
/// callback is released. Without one it closes when the last clone is dropped, after queued writes
/// and a requested shutdown have gone out; only an explicit [`close`](UnixStream::close) cancels
/// them. No write raises a signal.
///
/// # Half-close
/// The end of what the peer sends is not the end of the connection: reading gives it, and writing
/// goes on until this side too has sent its end. A peer that has gone for good is heard of through
/// [`on_hang_up`](UnixStream::on_hang_up) without reading, and as an error of a read or write
/// otherwise. Here, unlike over TCP, an orderly close by the peer is a hang-up at once: the system
/// knows that nobody is left to read.
///
/// # Liveness
/// A connection keeps the loop alive while a read callback is registered or a task waits on it,
/// unless [`unref`](UnixStream::unref)'d; a queued write or shutdown does in any case.
///
/// # Virtual time
/// As all [streams](crate::stream#virtual-time).
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     theirs.read_start(|theirs, chunk| drop(theirs.write(chunk.unwrap()))); // Echo.
///     ours.write(b"hello").await?;
///     let mut answer = [0; 5];
///     assert_eq!(ours.read(&mut answer).await?, 5);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UnixStream {
    /// A name of the connection that all clones share.
    connection: Name<Connection<UnixStream>>,
}

impl Stream for UnixStream {
    const KIND: &'static str = "Unix stream";

    type Transport = Exchanged<sys::UnixStream>;

    fn of(connection: Name<Connection<UnixStream>>) -> UnixStream {
        UnixStream { connection }
    }
}

impl Connect for UnixStream {
    type Address = SocketAddr;

    fn connection(&self) -> &Connection<UnixStream> {
        &self.connection
    }

    fn begin(address: SocketAddr) -> io::Result<Exchanged<sys::UnixStream>> {
        if let Some(socket) = network::connect_to_unix(&address) {
            return Ok(socket.into());
        }
        sys::UnixStream::connect(&address).map(Exchanged::System)
    }
}

/// Who is at the other end of a Unix socket. See [`UnixStream::peer_credentials`].
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
///
/// windlass::run(|| {
///     let (ours, _theirs) = UnixStream::pair()?;
///     let peer = ours.peer_credentials()?;
///     println!("user {} of group {}", peer.uid, peer.gid);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// The process. None where the system does not tell, or keeps it from this process.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl UnixStream {
    /// Connects to the socket file at a path.
    ///
    /// Cancelling is possible until it has completed.
    ///
    /// # Errors
    /// `WouldBlock` when as many connections wait at the listener as it lets wait: try again after
    /// a while. `NotFound` when there is no such path, `ConnectionRefused` when nobody listens
    /// there. `InvalidInput` for a path that is too long for an address, or has a zero in it. None
    /// comes before this call returns.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::block_on(async {
    ///     let error = UnixStream::connect("/nobody/listens/here").await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// });
    /// ```
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> Request<io::Result<UnixStream>> {
        connect(SocketAddr::from_pathname(path), here())
    }

    /// Connects to any address that std can name, abstract ones too.
    ///
    /// # Errors
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use windlass::net::{UnixListener, UnixStream};
    ///
    /// windlass::block_on(async {
    ///     let name = format!("windlass {} connect_addr", std::process::id());
    ///     let address = SocketAddr::from_abstract_name(name)?;
    ///     let listener = UnixListener::bind_addr(&address)?;
    ///     UnixStream::connect_addr(&address).await?;
    ///     # drop(listener);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> Request<io::Result<UnixStream>> {
        connect(Ok(address.clone()), here())
    }

    /// Makes two streams that are connected to each other.
    ///
    /// # Errors
    /// The system's, when no descriptor is left.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::block_on(async {
    ///     let (ours, theirs) = UnixStream::pair()?;
    ///     ours.write(b"x").await?;
    ///     assert_eq!(theirs.read(&mut [0; 8]).await?, 1);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (state, location) = (current::expect("UnixStream::pair"), here());
        let (one, other) = if state.chance().is_some() {
            let (one, other) = Socket::pair();
            (one.into(), other.into())
        } else {
            let (one, other) = sys::UnixStream::pair()?;
            (Exchanged::System(one), Exchanged::System(other))
        };
        let one = Connection::adopt(&state, one, location)?;
        Ok((one, Connection::adopt(&state, other, location)?))
    }

    /// Takes a connected socket of the standard library into the current loop.
    ///
    /// # Errors
    /// The system's when the socket cannot be made non-blocking or polled.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use std::io::Write;
    /// use windlass::net::UnixStream;
    ///
    /// windlass::block_on(async {
    ///     let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
    ///     theirs.write_all(b"hello")?;
    ///     assert_eq!(UnixStream::from_std(ours)?.read(&mut [0; 8]).await?, 5);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        let state = current::expect("UnixStream::from_std");
        stream.set_nonblocking(true)?;
        let socket = Exchanged::System(sys::UnixStream::from_std(stream));
        Connection::adopt(&state, socket, here())
    }

    /// Takes the connection off its loop, for use without one: blocking. All other clones are
    /// closed by it. Descriptors that have arrived and were not taken are closed.
    ///
    /// # Errors
    /// `ResourceBusy` while writes are queued, a shutdown waits for them or the connection is being
    /// made; not-connected when it is closed. The system's when the socket cannot be made blocking;
    /// it is then closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     let blocking: std::os::unix::net::UnixStream = ours.into_std()?;
    ///     # drop(blocking);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        self.connection.with_transport(|socket| socket.system().map(drop))?;
        let detached = self.connection.detach()?;
        if let Some(failure) = detached.carried.failure {
            self.connection.lose(*failure);
        }
        let socket = detached.transport.into_system()?.into_std();
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Who made the other end: its process, user and group, at the moment when it connected, began
    /// to listen or made the pair.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     # #[cfg(target_os = "linux")]
    ///     assert_eq!(ours.peer_credentials()?.pid, Some(std::process::id()));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_credentials(&self) -> io::Result<PeerCredentials> {
        let (pid, uid, gid) =
            self.connection.with_transport(|socket| sys::peer_credentials(socket.system()?))?;
        Ok(PeerCredentials { pid, uid, gid })
    }

    /// This end's address: unnamed, unless it was bound.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     assert!(ours.local_addr()?.is_unnamed());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => socket.socket().local_addr(),
            Exchanged::Simulated(socket) => socket.local().to_unix(),
        })
    }

    /// The other end's address: that of its listener at a client, mostly unnamed at a server.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     assert!(ours.peer_addr()?.is_unnamed());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| match socket {
            Exchanged::System(socket) => socket.socket().peer_addr(),
            Exchanged::Simulated(socket) => socket.peer().to_unix(),
        })
    }

    /// Writes bytes, and with the first of them copies of descriptors: of files, sockets, whatever
    /// else this process has open. The peer may be another process. They are closed here once they
    /// have gone, and also when the write fails or is cancelled. All else is as for
    /// [`write`](UnixStream::write).
    ///
    /// The peer gets them with [`take_descriptors`](UnixStream::take_descriptors). One that expects
    /// none gets the bytes.
    ///
    /// # Errors
    /// `InvalidInput` without a byte, without a descriptor, or with more than 253; the system's,
    /// such as `ETOOMANYREFS` when too many are on their way.
    ///
    /// # Examples
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    /// use windlass::net::UnixStream;
    ///
    /// windlass::block_on(async {
    ///     let (ours, theirs) = UnixStream::pair()?;
    ///     ours.write_with_descriptors(b"a file", vec![File::open("Cargo.toml")?.into()]).await?;
    ///     assert_eq!(theirs.read(&mut [0; 16]).await?, 6);
    ///     let descriptor = theirs.take_descriptors().pop().expect("it came with the bytes");
    ///     let mut text = String::new();
    ///     File::from(descriptor).read_to_string(&mut text)?;
    ///     assert!(text.contains("windlass"));
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn write_with_descriptors(
        &self,
        data: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Request<io::Result<()>> {
        let location = here();
        let count = descriptors.len();
        if data.is_empty() || count == 0 || count > sys::DESCRIPTORS_MAX {
            let text = format!("{count} descriptors with {} bytes cannot be sent", data.len());
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            let state = &self.connection.registration.state;
            return Request::failed_later(state, UnixStream::KIND, location, error);
        }
        self.connection.write(location, Data::Described(data, descriptors))
    }

    /// Takes what descriptors have arrived with the bytes read so far, in the order in which they
    /// were sent. They are closed in programs that this process starts. Those never taken are
    /// closed with the stream.
    ///
    /// A peer may send some unasked. Where it is not trusted, take them and drop them, so that they
    /// do not pile up. When no more fit into the process, some are lost, and the read after that
    /// fails.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixStream;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     assert!(ours.take_descriptors().is_empty());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_descriptors(&self) -> Vec<OwnedFd> {
        let taken =
            self.connection.with_transport(|socket| Ok(socket.system()?.take_descriptors()));
        taken.unwrap_or_default() // A closed stream has closed them.
    }

    methods! {
        "```",
        "    let (writer, reader) = windlass::net::UnixStream::pair()?;",
        read_methods, write_methods, handle_methods, peer_methods, socket_methods
    }
}

fn connect(
    address: io::Result<SocketAddr>,
    location: &'static Location<'static>,
) -> Request<io::Result<UnixStream>> {
    let state = current::expect("UnixStream::connect");
    let address = match address {
        Ok(address) if state.is_open() => address,
        Ok(_) => {
            return Request::failed_later(&state, UnixStream::KIND, location, error::shut_down());
        }
        Err(error) => return Request::failed_later(&state, UnixStream::KIND, location, error),
    };
    let (connecting, request) = Connecting::new(&state, location);
    connecting.start([address]);
    request
}

impl_readable!(UnixStream);
impl_writable!(UnixStream);

impl AsRawFd for UnixStream {
    /// The descriptor, for options and reports. -1 when the connection is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.connection.with_transport(|socket| Ok(socket.system()?.as_raw_fd())).unwrap_or(-1)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("peer", &self.peer_addr().ok())
            .field("open", &self.connection.is_open())
            .finish_non_exhaustive()
    }
}
