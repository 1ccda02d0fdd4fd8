//! UDP on the loop: the public type, and what it sends and receives.
//!
//! A [`UdpSocket`] is a name of a [`Datagrams`](datagrams::Datagrams), which does the work. How one
//! is bound stands in `builder.rs`, and what can be set later in `options.rs`.

mod builder;
mod datagrams;
mod options;
mod sending;
mod socket;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll};

pub use builder::UdpBuilder;

use self::datagrams::Datagrams;
use super::address::{Address, Target};
use super::exchanged::Exchanged;
use crate::request::Request;
use crate::state::current;
use crate::state::named::Name;
use crate::state::references::ref_methods;
use crate::task::waiters::Place;
use crate::trace::label::here;

/// A datagram as the receive callback sees it.
///
/// # Examples
/// ```
/// use windlass::net::UdpSocket;
///
/// windlass::run(|| -> std::io::Result<()> {
///     let socket = UdpSocket::bind("127.0.0.1:0")?;
///     socket.recv_start(|_, datagram| {
///         if let Ok(datagram) = datagram {
///             println!("{} bytes from {}", datagram.data.len(), datagram.from);
///         }
///     });
///     socket.close();
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Datagram<'a> {
    /// What has come. It may be empty: then the datagram is.
    pub data: &'a [u8],
    /// Who has sent it. A socket at `[::]` sees IPv4 senders as mapped addresses.
    pub from: SocketAddr,
    /// It was longer than [`receive_size`](UdpBuilder::receive_size); the rest is gone.
    pub truncated: bool,
}

/// Sends and receives datagrams.
///
/// A datagram of at most 65,507 bytes (IPv4) goes as a whole or not at all, may get lost, come
/// twice or overtake another, and nobody is told. An empty one is a datagram like any other.
///
/// `Clone`: a clone is another name for the same socket. With a callback registered it belongs to
/// the loop until it is closed or stopped; without one it closes when the last clone is dropped,
/// after what waits to be sent has gone.
///
/// # Liveness
/// A socket keeps the loop alive while a callback is registered, a task waits on it or datagrams
/// wait to be sent, unless [`unref`](UdpSocket::unref)'d. What waits to be sent counts too then.
///
/// # Virtual time
/// Datagrams come in their own time, as what [streams](crate::stream#virtual-time) carry does: with
/// a timer armed the clock goes on without them, and with nothing else left the loop waits for them
/// in the system.
///
/// # Examples
/// ```
/// use windlass::net::UdpSocket;
///
/// windlass::block_on(async {
///     let echo = UdpSocket::bind("127.0.0.1:0")?;
///     echo.recv_start(|echo, datagram| {
///         let datagram = datagram.unwrap();
///         drop(echo.send_to(datagram.data, datagram.from));
///     });
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.send_to(b"hello", echo.local_addr()?).await?;
///     let mut buffer = [0; 16];
///     let (len, from) = client.recv_from(&mut buffer).await?;
///     assert_eq!((&buffer[..len], from), (&b"hello"[..], echo.local_addr()?));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UdpSocket {
    /// A name of what all clones share.
    shared: Name<Datagrams>,
}

/// The address that a socket is to be bound or connected to.
fn address_of(address: impl Address, verb: &str) -> io::Result<SocketAddr> {
    match address.target()? {
        Target::Socket(address) => Ok(address),
        Target::Name(host, _) => {
            let text = format!("{verb} takes addresses, not names such as {host:?}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}

impl UdpSocket {
    /// Binds to an address. Port 0 gives any free port: ask [`local_addr`](UdpSocket::local_addr).
    /// `0.0.0.0:0` or `[::]:0` will do for who only asks others.
    ///
    /// # Errors
    /// `InvalidInput` for a text that is no address, and for a name: look it up first. `AddrInUse`,
    /// `AddrNotAvailable` and others from the system.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     assert_ne!(socket.local_addr()?.port(), 0);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(address: impl Address) -> io::Result<UdpSocket> {
        UdpBuilder::default().bind(address)
    }

    /// Settings for a socket that is bound last.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let builder = UdpSocket::builder().reuse_address(true);
    ///     let one = builder.clone().bind("127.0.0.1:0")?;
    ///     let other = builder.bind(one.local_addr()?)?;
    ///     assert_eq!(one.local_addr()?, other.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> UdpBuilder {
        UdpBuilder::default()
    }

    /// Takes a socket of the standard library into the current loop, connected or not.
    ///
    /// # Errors
    /// The system's when the socket cannot be made non-blocking or polled.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    ///     assert!(socket.peer_addr().is_err(), "it was not connected");
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        let state = current::expect("UdpSocket::from_std");
        socket.set_nonblocking(true)?;
        let socket = Exchanged::System(socket);
        Datagrams::adopt(&state, socket, builder::RECEIVE_SIZE, here())
    }

    /// Takes the socket off its loop, for use without one: blocking. All other clones are closed,
    /// and their callbacks dropped uncalled.
    ///
    /// # Errors
    /// `ResourceBusy` while datagrams wait to be sent; bad-descriptor when the socket is closed.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?.into_std()?;
    ///     socket.send_to(b"to myself", socket.local_addr()?)?;
    ///     assert_eq!(socket.recv(&mut [0; 16])?, 9);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.shared.with_socket(|socket| socket.system().map(drop))?;
        let socket = self.shared.detach()?.into_system()?;
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Has the socket send to this address when none is given, and receive from no other. At once.
    ///
    /// A connected socket hears that nobody listens there: a later receive or send fails with
    /// `ConnectionRefused`, once, and the socket goes on.
    ///
    /// # Errors
    /// `EISCONN` when it is connected already; `InvalidInput` for what is no address; the system's.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::block_on(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0")?;
    ///     let client = UdpSocket::bind("127.0.0.1:0")?;
    ///     client.connect(server.local_addr()?)?;
    ///     client.send(b"hello").await?;
    ///     assert_eq!(server.recv_from(&mut [0; 16]).await?, (5, client.local_addr()?));
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, address: impl Address) -> io::Result<()> {
        self.shared.connect(address_of(address, "connect")?)
    }

    /// Ends what [`connect`](UdpSocket::connect) has begun. The socket keeps its port.
    ///
    /// # Errors
    /// `NotConnected` when it is not connected; the system's.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.connect("127.0.0.1:9")?;
    ///     socket.disconnect()?;
    ///     assert!(socket.peer_addr().is_err());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn disconnect(&self) -> io::Result<()> {
        self.shared.disconnect()
    }

    /// Sends a datagram to the address that the socket is connected to. Otherwise as
    /// [`send_to`](UdpSocket::send_to).
    ///
    /// # Errors
    /// `EDESTADDRREQ` on a socket that is not connected; as [`send_to`](UdpSocket::send_to);
    /// `ConnectionRefused` when nobody got a datagram before: this one is not sent then.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::block_on(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0")?;
    ///     let client = UdpSocket::bind("127.0.0.1:0")?;
    ///     assert!(client.send(b"to whom?").await.is_err());
    ///     client.connect(server.local_addr()?)?;
    ///     client.send(b"to you").await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send(&self, data: &[u8]) -> Request<io::Result<()>> {
        self.shared.send(here(), data, None)
    }

    /// Sends a datagram to this address. It is tried at once; a copy of what the system does not
    /// take waits, and goes in the order of the calls. A request that completes says that the
    /// system has taken the datagram, not that it has arrived.
    ///
    /// A datagram that fails fails alone: those behind it are sent. One that waits can be
    /// cancelled, and closing the socket cancels it.
    ///
    /// # Errors
    /// `EISCONN` on a connected socket, `EMSGSIZE` for a datagram that is too long, bad-descriptor
    /// when the socket is closed, and the system's: `NetworkUnreachable`, `PermissionDenied` for a
    /// broadcast without [`set_broadcast`](UdpSocket::set_broadcast).
    ///
    /// # Cost
    /// One system call. Nothing is allocated for a datagram that goes at once.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let address = socket.local_addr()?;
    ///     socket.send_to(b"to myself", address).on_complete(|sent| sent.unwrap());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send_to(&self, data: &[u8], to: SocketAddr) -> Request<io::Result<()>> {
        self.shared.send(here(), data, Some(to))
    }

    /// Sends a datagram now or not at all, to the address that the socket is connected to.
    ///
    /// # Errors
    /// `WouldBlock` when the system takes none now, or others wait; else as
    /// [`send`](UdpSocket::send).
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.connect(socket.local_addr()?)?;
    ///     socket.try_send(b"to myself")
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_send(&self, data: &[u8]) -> io::Result<()> {
        self.shared.try_send(data, None)
    }

    /// Sends a datagram now or not at all, to this address.
    ///
    /// # Errors
    /// `WouldBlock` when the system takes none now, or others wait; else as
    /// [`send_to`](UdpSocket::send_to).
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.try_send_to(b"to myself", socket.local_addr()?)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_send_to(&self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.shared.try_send(data, Some(to))
    }

    /// Sends a datagram to this address, or keeps the task's waker until another try is worth it.
    /// One task can wait so: a later one takes the place of the one before.
    ///
    /// # Errors
    /// As [`send_to`](UdpSocket::send_to).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// # use windlass::net::UdpSocket;
    ///
    /// windlass::block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let to = socket.local_addr()?;
    ///     poll_fn(|cx| socket.poll_send_to(cx, b"to myself", to)).await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        self.shared.poll_send(self.shared.senders.poller(), cx, data, Some(to))
    }

    /// Sends a datagram to the address that the socket is connected to. Otherwise as
    /// [`poll_send_to`](UdpSocket::poll_send_to), whose place the task takes.
    ///
    /// # Errors
    /// As [`send`](UdpSocket::send).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// # use windlass::net::UdpSocket;
    ///
    /// windlass::block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.connect(socket.local_addr()?)?;
    ///     poll_fn(|cx| socket.poll_send(cx, b"to myself")).await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_send(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<()>> {
        self.shared.poll_send(self.shared.senders.poller(), cx, data, None)
    }

    /// Bytes that wait to be sent.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.try_send_to(b"to myself", socket.local_addr()?)?;
    ///     assert_eq!((socket.send_queue_size(), socket.send_queue_count()), (0, 0));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_queue_size(&self) -> usize {
        self.shared.queued().1
    }

    /// Datagrams that wait to be sent.
    pub fn send_queue_count(&self) -> usize {
        self.shared.queued().0
    }

    /// Calls `f` in the poll phase with each datagram that comes, and with an error when receiving
    /// failed: it goes on after one. Replaces the callback given before. On a closed socket it is
    /// dropped uncalled.
    ///
    /// At most 32 datagrams are received in one poll phase, so that other handles are served. What
    /// the system cannot hold meanwhile is lost. Nothing is received any more once the callback has
    /// stopped or closed the socket.
    ///
    /// # Cost
    /// One system call for each datagram.
    ///
    /// # Errors
    /// On a connected socket the callback gets `ConnectionRefused`, once for each notice that
    /// nobody listens at its address. One that is not connected hears of nothing.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.recv_start(|socket, datagram| {
    ///         assert_eq!(datagram.unwrap().data, b"to myself");
    ///         socket.close();
    ///     });
    ///     socket.try_send_to(b"to myself", socket.local_addr()?)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn recv_start(&self, f: impl FnMut(&UdpSocket, io::Result<Datagram<'_>>) + 'static) {
        self.shared.start(Box::new(f));
    }

    /// Removes the receive callback. What comes is kept by the system, as far as it has room.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.recv_start(|_, _| ());
    ///     socket.recv_stop(); // Now nothing keeps the loop alive.
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_stop(&self) {
        self.shared.stop();
    }

    /// Waits for a datagram: how many bytes it has, and who has sent it. What does not fit into the
    /// buffer is gone, and the count is then the buffer's length. Dropping the future loses
    /// nothing. A receive callback, if there is one, may get the datagram instead.
    ///
    /// # Errors
    /// As the callback of [`recv_start`](UdpSocket::recv_start) gets; bad-descriptor when the
    /// socket is closed, also meanwhile.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let address = socket.local_addr()?;
    ///     socket.send_to(b"to myself", address).await?;
    ///     let mut buffer = [0; 4];
    ///     assert_eq!(socket.recv_from(&mut buffer).await?, (4, address));
    ///     assert_eq!(&buffer, b"to m");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let waiting = Receiving { socket: self, place: Place::default() };
        poll_fn(|cx| self.shared.poll_receive(&waiting.place, cx, buffer)).await
    }

    /// Takes a datagram, or keeps the task's waker until there is one. One task can wait so: a
    /// later one takes the place of the one before. Otherwise as
    /// [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Errors
    /// As [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// # use windlass::net::UdpSocket;
    ///
    /// windlass::block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.try_send_to(b"to myself", socket.local_addr()?)?;
    ///     let mut buffer = [0; 16];
    ///     let (len, _from) = poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await?;
    ///     assert_eq!(len, 9);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.shared.poll_receive(self.shared.receivers.poller(), cx, buffer)
    }

    /// Closes the socket now. Datagrams that wait are cancelled. Closing again does nothing.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.close();
    ///     assert!(socket.is_closing() && socket.local_addr().is_err());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    /// Calls `f` in the close phase after the socket was closed, and after the requests that this
    /// has cancelled. Replaces the callback given before. Of handles closed in one iteration the
    /// one closed last is told first.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.on_close(|| println!("no more datagrams"));
    ///     socket.close();
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        self.shared.on_close(Box::new(f));
    }

    ref_methods!("socket"; shared.registration);

    /// Whether the socket was closed.
    pub fn is_closing(&self) -> bool {
        !self.shared.is_open()
    }
}

/// A task's wait for a datagram, which ends with its future.
struct Receiving<'a> {
    /// What is waited on.
    socket: &'a UdpSocket,
    /// Its place among those that wait.
    place: Place,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.socket.shared.leave_receivers(&self.place);
    }
}

impl AsRawFd for UdpSocket {
    /// The descriptor, for options and reports. -1 when the socket is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.with_socket(|socket| Ok(socket.system()?.as_raw_fd())).unwrap_or(-1)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.local_addr().ok()).finish_non_exhaustive()
    }
}
