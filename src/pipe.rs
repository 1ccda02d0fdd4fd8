//! Pipes as streams: anonymous ones, FIFOs, and ends that come from elsewhere.
//!
//! A pipe has two ends, and each goes one way: what is written to the [`Writer`] is read from the
//! [`Reader`]. [`pipe`] makes a pipe without a path, `open` takes one end of a FIFO, and `from_fd`
//! one that another library or the process before has made. Clones, liveness and who closes it are
//! as for all streams: see [`TcpStream`](crate::net::TcpStream).
//!
//! A pipe ends when its last writer has gone; a write that nobody can read any more is broken-pipe.
//! The system tells of the latter by the signal SIGPIPE too. Rust programs ignore it; one that has
//! put it back to its default is ended by such a write, as most programs in C are.
//!
//! # Virtual time
//! As all [streams](crate::stream#virtual-time).

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use crate::state::current;
use crate::state::named::Name;
use crate::stream::connection::{Connection, Stream};
use crate::stream::verbs::{
    handle_methods, impl_readable, impl_writable, methods, read_methods, write_methods,
};
use crate::sys::{self, Kind};
use crate::trace::label::here;

/// Makes a pipe on the current loop.
///
/// # Errors
/// The system's when there are no descriptors left.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let (writer, reader) = windlass::pipe::pipe()?;
///     writer.write(b"through the pipe").await?;
///     drop(writer); // The end.
///     let mut buffer = [0; 64];
///     let count = reader.read(&mut buffer).await?;
///     assert_eq!(&buffer[..count], b"through the pipe");
///     assert_eq!(reader.read(&mut buffer).await?, 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Writer, Reader)> {
    let state = current::expect("pipe");
    let location = here();
    let (writer, reader) = sys::Descriptor::pipe()?;
    let reader = Connection::adopt(&state, reader, location)?;
    Ok((Connection::adopt(&state, writer, location)?, reader))
}

/// The end of a pipe that is read.
///
/// # Examples
/// ```
/// use windlass::pipe::Reader;
///
/// windlass::run(|| -> std::io::Result<()> {
///     let (theirs, ours) = std::io::pipe().map(|(reader, writer)| (writer, reader))?;
///     std::process::Command::new("echo").arg("hello").stdout(theirs).spawn()?;
///     Reader::from_fd(ours.into())?.read_start(|_, chunk| match chunk {
///         Ok(b"") => println!("the end"),
///         Ok(bytes) => println!("{} bytes", bytes.len()),
///         Err(error) => println!("{error}"),
///     });
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Reader {
    /// What all clones share.
    connection: Name<Connection<Reader>>,
}

/// The end of a pipe that is written. Its end is its close: a [`shutdown`](Writer::shutdown) closes
/// it, behind the writes that wait.
///
/// # Examples
/// ```
/// use windlass::pipe::Writer;
///
/// windlass::block_on(async {
///     let (ours, theirs) = std::io::pipe().map(|(reader, writer)| (writer, reader))?;
///     let mut count = std::process::Command::new("wc").arg("-c").stdin(theirs).spawn()?;
///     let writer = Writer::from_fd(ours.into())?;
///     writer.write(b"eight by").await?;
///     writer.shutdown().await?;
///     assert!(count.wait()?.success());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Writer {
    /// What all clones share.
    connection: Name<Connection<Writer>>,
}

impl Reader {
    methods! {
        "```",
        "    let (writer, reader) = windlass::pipe::pipe()?;",
        read_methods, handle_methods
    }

    /// Opens the FIFO at a path for reading, on the current loop.
    ///
    /// It waits for its first writer, without holding up anything. The end comes when the last
    /// writer has gone; one that comes later is not seen. A FIFO that was opened for reading and
    /// writing ([`from_fd`](Reader::from_fd)) sees no end between writers.
    ///
    /// # Errors
    /// `InvalidInput` when there is something else at the path; the system's when it cannot be
    /// opened or polled.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::pipe::Reader;
    ///
    /// windlass::run(|| {
    ///     // A file is no FIFO.
    ///     let refused = Reader::open("Cargo.toml").unwrap_err();
    ///     assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    /// });
    /// ```
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<Reader> {
        let state = current::expect("Reader::open");
        let end = sys::Descriptor::open_fifo(path.as_ref(), false)?;
        Connection::adopt(&state, end, here())
    }

    /// Takes the reading end of a pipe into the current loop.
    ///
    /// Other processes may have the same open file, and wait in their calls: for them nothing
    /// changes. A pipe without a path is opened anew, where the system can; of another one the flag
    /// `O_NONBLOCK` is set while the stream is open, and is then as it was before.
    ///
    /// # Errors
    /// `InvalidInput` when it is no pipe, or not open for reading; the system's when it cannot be
    /// polled. The descriptor is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn from_fd(fd: OwnedFd) -> io::Result<Reader> {
        let state = current::expect("Reader::from_fd");
        let end = adopt(fd, |access| access.read, "it is no pipe that can be read")?;
        Connection::adopt(&state, end, here())
    }
}

impl Writer {
    methods! {
        "```",
        "    let (writer, reader) = windlass::pipe::pipe()?;",
        write_methods, handle_methods
    }

    /// Opens the FIFO at a path for writing, on the current loop.
    ///
    /// # Errors
    /// `InvalidInput` when there is something else at the path; the system's `ENXIO` when nobody
    /// has it open for reading; the system's when it cannot be opened or polled.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<Writer> {
        let state = current::expect("Writer::open");
        let end = sys::Descriptor::open_fifo(path.as_ref(), true)?;
        Connection::adopt(&state, end, here())
    }

    /// Takes the writing end of a pipe into the current loop. Otherwise as [`Reader::from_fd`].
    ///
    /// # Errors
    /// `InvalidInput` when it is no pipe, or not open for writing; the system's when it cannot be
    /// polled. The descriptor is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn from_fd(fd: OwnedFd) -> io::Result<Writer> {
        let state = current::expect("Writer::from_fd");
        let end = adopt(fd, |access| access.write, "it is no pipe that can be written")?;
        Connection::adopt(&state, end, here())
    }
}

/// Takes a pipe that goes the right way.
fn adopt(
    fd: OwnedFd,
    goes: fn(sys::Access) -> bool,
    refusal: &'static str,
) -> io::Result<sys::Descriptor> {
    let end = match sys::kind_of(fd.as_raw_fd()) {
        Kind::Pipe => Some(sys::Descriptor::adopt(fd, Kind::Pipe)?),
        _ => None,
    };
    end.filter(|end| goes(end.access()))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, refusal))
}

impl Stream for Reader {
    const KIND: &'static str = "pipe reader";

    type Transport = sys::Descriptor;

    fn of(name: Name<Connection<Reader>>) -> Reader {
        Reader { connection: name }
    }
}

impl Stream for Writer {
    const KIND: &'static str = "pipe writer";

    type Transport = sys::Descriptor;

    fn of(name: Name<Connection<Writer>>) -> Writer {
        Writer { connection: name }
    }
}

impl_readable!(Reader);
impl_writable!(Writer);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("open", &self.connection.is_open()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("open", &self.connection.is_open()).finish_non_exhaustive()
    }
}
