//! A TCP connection on the loop: the public type, and what only TCP has.
//!
//! A [`TcpStream`] is a name of a [`Connection`], which does what all streams do.
//! [`TcpStream::connect`] stands in `connect.rs`.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::stream::{Connection, Data, PeerEnd, Stream};
use crate::request::Request;
use crate::state::current;
use crate::state::named::Name;
use crate::state::references::ref_methods;
use crate::sys;
use crate::task::waiters::Place;

/// Buffers of a vectored write that need no memory of their own.
const BUFFERS_ON_STACK: usize = 16;

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
///     windlass::spawn(async move {
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

    type Transport = sys::TcpStream;

    fn of(connection: Name<Connection<TcpStream>>) -> TcpStream {
        TcpStream { connection }
    }
}

impl TcpStream {
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
        let (ended, failure) = (detached.ended, detached.failure);
        Ok(DetachedTcpStream { socket: detached.transport.into(), ended, failure })
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
        Connection::adopt(&state, sys::TcpStream::from_std(stream), Location::caller())
    }

    /// Calls `f` with what arrives: `Ok` with the bytes, `Ok(&[])` once at the end, `Err` once when
    /// the connection fails.
    ///
    /// The bytes are in a buffer that all sockets of the loop share, 64 KiB long, and are gone when
    /// the callback returns. Starting again replaces the callback. After the end or an error the
    /// callback is released; started again after the end, it is told the end again. In one poll
    /// phase a connection gets at most 8 buffers, so that other handles are served.
    ///
    /// On a closed connection the callback gets an error, later.
    pub fn read_start(&self, f: impl FnMut(&TcpStream, io::Result<&[u8]>) + 'static) {
        self.connection.start_reading(Box::new(f));
    }

    /// Stops calling back at once, also from inside the callback, and drops it. What arrives stays
    /// in the system until reading starts again, also when the connection fails meanwhile.
    pub fn read_stop(&self) {
        self.connection.stop_reading();
    }

    /// Reads once into a buffer. The output is the number of bytes, 0 at the end.
    ///
    /// Dropping the future loses nothing, and other tasks that wait go on waiting. Do not use it
    /// while a read callback is registered: each of them would get a part.
    ///
    /// # Errors
    /// The connection's; not-connected when it was closed.
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { stream: self, buffer, place: Place::default() }
    }

    /// Writes bytes, in the order of the calls. The request completes when the system has taken
    /// them.
    ///
    /// What the system takes at once needs no memory; the rest is copied to the queue. The request
    /// can be cancelled until the first byte has gone. When the request is dropped, an error goes
    /// to the reader, behind what has arrived: to the read callback or the task that reads, also to
    /// one that has paused, when it reads again. On a connection that was never read, or whose end
    /// was read, it is logged and the connection closes.
    ///
    /// # Errors
    /// Broken-pipe after a shutdown or when the peer is gone, a cancelled error when the connection
    /// is closed before the bytes have gone. No signal is ever raised.
    #[track_caller]
    pub fn write(&self, data: &[u8]) -> Request<io::Result<()>> {
        self.connection.write(Location::caller(), Data::Borrowed(data))
    }

    /// As [`write`](TcpStream::write), but what is not taken at once is kept and not copied.
    #[track_caller]
    pub fn write_owned(&self, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
        self.connection.write(Location::caller(), Data::Owned(data.into()))
    }

    /// Writes several buffers as one, with as few calls as the system allows. Otherwise as
    /// [`write`](TcpStream::write).
    #[track_caller]
    pub fn write_vectored(&self, data: &[IoSlice<'_>]) -> Request<io::Result<()>> {
        let mut on_stack = [IoSlice::new(&[]); BUFFERS_ON_STACK];
        let mut on_heap;
        let mut left: &mut [IoSlice<'_>] = if data.len() <= BUFFERS_ON_STACK {
            on_stack[..data.len()].copy_from_slice(data);
            &mut on_stack[..data.len()]
        } else {
            on_heap = data.to_vec();
            &mut on_heap
        };
        // Past the empty ones at the start: with enough of them the first call would send nothing.
        IoSlice::advance_slices(&mut left, 0);
        self.connection.write(Location::caller(), Data::Vectored(left))
    }

    /// Bytes that were written and that the system has not taken. A sender that minds back-pressure
    /// waits for its last request while this is large.
    pub fn write_queue_size(&self) -> usize {
        self.connection.writing.queued_bytes()
    }

    /// Sends the end of the stream after all queued writes. Reading goes on.
    ///
    /// # Errors
    /// Not-connected when a shutdown was requested before or the connection is closed or gone.
    #[track_caller]
    pub fn shutdown(&self) -> Request<io::Result<()>> {
        self.connection.shutdown(Location::caller())
    }

    /// Closes the connection now. Callbacks come no more, except that queued writes and a waiting
    /// shutdown complete with a cancelled error, in the close phase, before
    /// [`on_close`](TcpStream::on_close)'s callback. Closing again does nothing.
    pub fn close(&self) {
        self.connection.close();
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
        self.connection.with_transport(sys::set_reset_on_close)?;
        self.connection.close();
        Ok(())
    }

    /// Calls `f` in the close phase after the connection was closed, by [`close`](TcpStream::close)
    /// or by itself. Replaces the callback given before. It does not count as a callback that keeps
    /// the connection. Of handles closed in one iteration the one closed last is told first.
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        self.connection.on_close(Box::new(f));
    }

    /// Calls `f` once, when the peer has gone for good: it has reset the connection, both
    /// directions have ended, or a write has failed whose request was dropped and the connection
    /// therefore closes by itself. It needs no reader.
    ///
    /// The end of what the peer sends is no hang-up, for it may still read: that is for
    /// [`on_read_closed`](TcpStream::on_read_closed).
    ///
    /// When the peer has gone already, `f` is called too: later, never from inside this call. Bytes
    /// that came before can be read then and afterwards; a read callback gets them all first, and
    /// the end or the error after them. A later call replaces `f`, which is then dropped uncalled;
    /// so it is when this side closes or [detaches](TcpStream::detach) the connection, or the last
    /// name of one without a reader is dropped, and at the end of the loop. On a closed connection
    /// it is dropped at once.
    ///
    /// A peer whose machine or network fails without a word is not heard of: send something from
    /// time to time, and a write fails.
    ///
    /// # Liveness
    /// It does not count as a callback that keeps the connection, nor does it keep the loop alive.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     let connection = listener.accept().await?;
    ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
    ///     connection.on_hang_up(move || answer.abort()); // No client is left to answer.
    ///     client.await?.close_reset()?;
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_hang_up(&self, f: impl FnOnce() + 'static) {
        self.connection.on_peer_end(PeerEnd::HangUp, Box::new(f));
    }

    /// Calls `f` once, when the peer sends no more: it has shut down its side, closed the
    /// connection or reset it. It needs no reader, and bytes that came before stay where
    /// they are.
    ///
    /// The peer may still read: it may have shut down only its own side after its last request. TCP
    /// does not say which until something is written to a peer that has closed. A server that takes
    /// a client that will send no more for one that has left, as Node's HTTP server does, cancels
    /// its work here; others wait for [`on_hang_up`](TcpStream::on_hang_up), which an orderly close
    /// by the peer alone does not bring about.
    ///
    /// All else is as for `on_hang_up`. When both are reached at once, this one is called first.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::net::{TcpListener, TcpStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?);
    ///     let connection = listener.accept().await?;
    ///     let answer = windlass::spawn(windlass::time::sleep(Duration::from_secs(3600)));
    ///     connection.on_read_closed(move || answer.abort());
    ///     drop(client.await?); // A client that is killed sends the end too.
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_read_closed(&self, f: impl FnOnce() + 'static) {
        self.connection.on_peer_end(PeerEnd::ReadClosed, Box::new(f));
    }

    /// Reads into `buffer`, or keeps the task's waker until that is possible. One task can wait so:
    /// a later one takes the place of the one before. Those in [`read`](TcpStream::read) wait
    /// beside it.
    ///
    /// # Errors
    /// As [`read`](TcpStream::read).
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.connection.poll_read(&self.connection.reading.poller, cx, buffer)
    }

    /// Writes what the system takes of `data`, or keeps the task's waker until it takes some.
    /// Queued writes go first. One task can wait so, or for
    /// [`poll_shutdown`](TcpStream::poll_shutdown): a later one takes the place of the one before.
    ///
    /// # Errors
    /// As [`write`](TcpStream::write).
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.poll_write(cx, data)
    }

    /// Sends the end of the stream, once all queued writes have gone. Ready at once when that is
    /// done already.
    ///
    /// # Errors
    /// Not-connected when the connection is closed or gone.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_shutdown(cx)
    }

    /// Sets whether small writes are sent without waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.connection.with_transport(|socket| socket.set_nodelay(on))
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| socket.local_addr())
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's; not-connected when the connection is closed or reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.with_transport(|socket| socket.peer_addr())
    }

    ref_methods!("connection"; connection.registration);

    /// Whether the connection was closed.
    pub fn is_closing(&self) -> bool {
        !self.connection.is_open()
    }

    /// Whether reading makes sense: not after a failure or a close. The end of the stream alone
    /// does not change it.
    pub fn is_readable(&self) -> bool {
        self.connection.is_open() && !self.connection.reading.is_broken()
    }

    /// Whether writing makes sense: not after a shutdown was requested, a failure or a close.
    pub fn is_writable(&self) -> bool {
        self.is_readable() && !self.connection.writing.has_ended()
    }
}

impl AsRawFd for TcpStream {
    /// The descriptor, for options and reports. -1 when the connection is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.connection.with_transport(|socket| Ok(socket.as_raw_fd())).unwrap_or(-1)
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
#[derive(Debug)]
pub struct DetachedTcpStream {
    /// Non-blocking.
    socket: std::net::TcpStream,
    /// A shutdown was requested: no more writes.
    ended: bool,
    /// The error of a write whose request was dropped. It comes behind what has arrived.
    failure: Option<io::Error>,
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
        let socket = sys::TcpStream::from_std(self.socket);
        let stream: TcpStream = Connection::adopt(&state, socket, Location::caller())?;
        stream.connection.take_over(self.ended, self.failure);
        Ok(stream)
    }

    /// The socket for use without a loop. It is non-blocking.
    pub fn into_std(self) -> std::net::TcpStream {
        self.socket
    }
}

/// A read that is going on. Made by [`TcpStream::read`].
#[derive(Debug)]
pub struct Read<'a> {
    /// The stream that is read.
    stream: &'a TcpStream,
    /// Has the bytes once the read is done.
    buffer: &'a mut [u8],
    /// Its place among the reads that wait.
    place: Place,
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.stream.connection.poll_read(&this.place, cx, this.buffer)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.stream.connection.stop_waiting(&self.place);
    }
}
