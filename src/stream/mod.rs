//! What streams of bytes have in common, of whatever kind: [`Readable`] and [`Writable`].
//!
//! Sockets, pipes, standard streams, terminals and the ends of a child share one set of verbs with
//! one meaning. They are methods of each type; the two traits have those that a program needs which
//! is written once for all of them.
//!
//! # Half-close
//! The two directions of a stream end on their own. The end of what the peer sends is no end of the
//! stream: reading gives it, and writing goes on until this side too has sent its end. A peer that
//! has gone for good is heard of as an error of a read or write, and by sockets through
//! `on_hang_up`, without reading.
//!
//! # Virtual time
//! The system knows no virtual time. In a loop of virtual time the clock moves on whenever none of
//! its streams is ready at that moment, as though the other end had not answered in time: a loop
//! that talks to others through the system belongs on the real clock. Nothing waits for ever
//! unheard: with nothing left but streams, such a loop waits for them in the system. The same goes
//! for datagrams, children, file events and signals.
//!
//! # Examples
//! ```
//! use windlass::stream::{Readable, Writable};
//!
//! /// Answers in upper case, whatever the two streams are.
//! fn shout(from: &impl Readable, to: &impl Writable) {
//!     let to = to.clone();
//!     from.read_start(move |_, chunk| match chunk {
//!         Ok([]) => drop(to.shutdown()),
//!         Ok(bytes) => drop(to.write_owned(bytes.to_ascii_uppercase())),
//!         Err(error) => eprintln!("{error}"),
//!     });
//! }
//! # let _: fn(&windlass::net::TcpStream, &windlass::net::TcpStream) = shout;
//! ```

// A stream of bytes on the loop, of any kind: the connection and its round, its two sides, its end.
//
// To read in this order: `connection`, what a stream does in the poll phase; `reading` and
// `writing`, its two sides, which touch no system; `operations`, what a program asks of it;
// `ending`, how it is closed, detached or torn down, and how it hears that the peer has gone;
// `verbs`, the methods of all public types.
//
// How a new kind of stream is added, in three steps, none of which changes a file of this folder:
//
// 1. Its descriptor implements `sys::Transport`: the calls of the directions that it has. One that
//    no poller watches, such as a file, has `register` keep the key, and makes the handle ready
//    itself (`Handles::mark_ready`) when a pool thread has done its part: `receive` begins a job
//    and gives `WouldBlock`, and gives what the job has read when it is called again. To write,
//    `sends_later` says what is asked of `send_vectored`.
// 2. Its public type is a structure with the one field `connection: Name<Connection<Self>>`. It
//    implements `Stream`, and `Connection::adopt` makes it of a transport.
// 3. The macros of `verbs` write its methods, `read_methods`, `write_methods` and
//    `handle_methods`, and `impl_readable` and `impl_writable` its traits. With them `fs::stream`
//    takes it as a source and as a sink.

pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod ending;
pub(crate) mod halves;
mod lines;
pub(crate) mod operations;
pub(crate) mod reading;
pub(crate) mod verbs;
pub(crate) mod writing;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::request::Request;
use crate::task::waiters::Place;

pub use halves::{ReadHalf, WriteHalf};
pub use lines::Lines;

/// The end of a stream whose failure somebody else was told of.
pub(crate) fn failed_before() -> io::Error {
    io::Error::other("the stream has failed before")
}

pub(crate) mod sealed {
    use std::future::Future;
    use std::io;

    /// Implemented by the streams of this crate that can be read.
    pub trait Reads {}
    /// Implemented by the streams of this crate that can be written.
    pub trait Writes {
        /// Ready when the stream has failed or was closed, with the error of a write.
        fn failing(&self) -> impl Future<Output = io::Error>;
    }
}

/// A stream that can be read. Sealed: the streams of this crate are all there are.
///
/// # Examples
/// ```
/// use windlass::stream::Readable;
///
/// /// Reads to the end.
/// async fn collect(stream: &impl Readable) -> std::io::Result<Vec<u8>> {
///     let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
///     loop {
///         match stream.read(&mut buffer).await? {
///             0 => return Ok(all),
///             count => all.extend_from_slice(&buffer[..count]),
///         }
///     }
/// }
/// ```
pub trait Readable: Clone + sealed::Reads + 'static {
    /// Calls `f` with what arrives: `Ok` with the bytes, `Ok(&[])` once at the end, `Err` once when
    /// the stream fails. Starting again replaces the callback.
    fn read_start(&self, f: impl FnMut(&Self, io::Result<&[u8]>) + 'static);

    /// Stops calling back at once. What arrives stays in the system.
    fn read_stop(&self);

    /// Reads once into a buffer. The output is the number of bytes, 0 at the end. Dropping the
    /// future loses nothing.
    fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a>;

    /// Reads into `buffer`, or keeps the task's waker until that is possible. One task can wait so.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Whether reading makes sense: not after a failure or a close. The end of the stream alone
    /// does not change it.
    fn is_readable(&self) -> bool;

    /// Closes the stream now, both directions of it.
    fn close(&self);
}

/// A stream that can be written. Sealed: the streams of this crate are all there are.
///
/// # Examples
/// ```
/// use windlass::stream::Writable;
///
/// async fn greet(stream: &impl Writable, name: &str) -> std::io::Result<()> {
///     stream.write_owned(format!("hello, {name}\n")).await
/// }
/// ```
pub trait Writable: Clone + sealed::Writes + 'static {
    /// Writes bytes, in the order of the calls. The request completes when the system has taken
    /// them.
    fn write(&self, data: &[u8]) -> Request<io::Result<()>>;

    /// As [`write`](Writable::write), but what is not taken at once is kept and not copied.
    fn write_owned(&self, data: impl Into<Vec<u8>>) -> Request<io::Result<()>>;

    /// Bytes that were written and that the system has not taken.
    fn write_queue_size(&self) -> usize;

    /// Sends the end of the stream after all queued writes.
    fn shutdown(&self) -> Request<io::Result<()>>;

    /// Writes what the system takes of `data`, or keeps the task's waker until it takes some. One
    /// task can wait so, or for [`poll_shutdown`](Writable::poll_shutdown).
    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>>;

    /// As [`poll_write`](Writable::poll_write), of several buffers as one.
    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Ready when nothing is queued any more.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends the end of the stream, once all queued writes have gone.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether writing makes sense: not after a shutdown was requested, a failure or a close.
    fn is_writable(&self) -> bool;

    /// Closes the stream now, both directions of it. What is queued is cancelled.
    fn close(&self);
}

/// A stream that a future reads, whatever its type.
pub(crate) trait ReadAt {
    /// Reads, or waits at this place until that is possible.
    fn poll_read_at(
        &self,
        place: &Place,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>>;

    /// The task of this place no longer waits.
    fn leave(&self, place: &Place);
}

/// What is written and may fail while nobody writes.
pub(crate) trait FailAt {
    /// The error of a write, if it has failed or was closed, or waits at this place until it has.
    fn poll_failed_at(&self, place: &Place, cx: &Context<'_>) -> Poll<io::Error>;

    /// The task of this place no longer waits.
    fn leave_failed(&self, place: &Place);
}

/// Waits until what is written has failed or was closed.
pub(crate) struct Failing<'a> {
    /// What would be written.
    sink: &'a dyn FailAt,
    /// Its place among those who wait.
    place: Place,
}

impl<'a> Failing<'a> {
    pub(crate) fn new(sink: &'a dyn FailAt) -> Failing<'a> {
        Failing { sink, place: Place::default() }
    }
}

impl Future for Failing<'_> {
    type Output = io::Error;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.sink.poll_failed_at(&self.place, cx)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.sink.leave_failed(&self.place);
    }
}

/// A read that is going on, of a stream of any kind.
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     ours.write(b"hello").await?;
///     let mut bytes = [0; 8];
///     assert_eq!(theirs.read(&mut bytes).await?, 5);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Read<'a> {
    /// The stream that is read.
    stream: &'a dyn ReadAt,
    /// Has the bytes once the read is done.
    buffer: &'a mut [u8],
    /// Its place among the reads that wait.
    place: Place,
}

impl<'a> Read<'a> {
    pub(crate) fn new(stream: &'a dyn ReadAt, buffer: &'a mut [u8]) -> Read<'a> {
        Read { stream, buffer, place: Place::default() }
    }
}

impl Future for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.stream.poll_read_at(&this.place, cx, this.buffer)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.stream.leave(&self.place);
    }
}

impl fmt::Debug for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("waits", &self.place.is_taken()).finish_non_exhaustive()
    }
}
