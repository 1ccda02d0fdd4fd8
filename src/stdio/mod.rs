//! The standard streams, whatever stands behind them: a terminal, a pipe, a socket, a file, or
//! nothing.
//!
//! Reading and writing never hold up the loop. A terminal, a pipe or a socket is waited for; a file
//! is read and written by the pool, because the system cannot wait for it.
//!
//! What is behind the descriptors 0 to 2 is shared with other processes, such as the shell, and
//! nothing of it is changed for good: a terminal or a pipe is opened anew, a socket is told with
//! each call not to wait. Where the system refuses to open it anew (a FIFO with a path, another
//! user's terminal), the flag `O_NONBLOCK` is set while the stream is open, and is put back when it
//! closes. A child that inherits the stream takes the flag away: that does not hold up the loop.
//!
//! All that [`stdout`] returns on one loop is one stream, so that writes keep their order. It is
//! not the `Stdout` of the standard library, which `println!` uses and which has a buffer of its
//! own: of a program that uses both, the order is not kept.
//!
//! # Virtual time
//! Files are read and written by the loop itself, at no time. The others are as all
//! [streams](crate::stream#virtual-time).
//!
//! # When the program ends
//! A loop that ends by itself has written all: a write that waits keeps it alive.
//! [`exit`](crate::exit) and a panic cut off what waits, as always.

mod file;
mod transport;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::rc::{Rc, Weak};

use crate::state::State;
use crate::state::current;
use crate::state::named::Name;
use crate::stream::connection::{Connection, Stream};
use crate::stream::verbs::{
    handle_methods, impl_readable, impl_writable, methods, read_methods, write_methods,
};
use crate::sys;
use crate::trace::label::here;
use transport::{Kept, Standard};

pub use crate::sys::Kind;

/// What a descriptor is, whether or not it is one of the standard streams. One that is not open is
/// [`Kind::Unknown`].
///
/// # Examples
/// ```
/// use std::os::fd::AsRawFd;
/// use windlass::stdio::{Kind, kind_of};
///
/// let file = std::fs::File::open("Cargo.toml")?;
/// assert_eq!(kind_of(file.as_raw_fd()), Kind::File);
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// assert_eq!(kind_of(socket.as_raw_fd()), Kind::Udp);
/// assert_eq!(kind_of(-1), Kind::Unknown);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn kind_of(fd: RawFd) -> Kind {
    sys::kind_of(fd)
}

/// The standard streams of one loop.
#[derive(Default)]
struct Streams {
    /// Reads descriptor 0.
    stdin: Place<Stdin>,
    /// Writes descriptor 1.
    stdout: Place<Stdout>,
    /// Writes descriptor 2.
    stderr: Place<Stdout>,
}

/// The stream of one descriptor. It closes when nobody has a name of it and nothing is left to do,
/// as all streams do. What it runs on is kept for the next one, with what was read of a file and
/// not taken.
struct Place<S: Stream> {
    /// The stream, as long as it is open.
    stream: RefCell<Weak<Connection<S>>>,
    /// What the next stream runs on.
    kept: Rc<Kept>,
}

impl<S: Stream> Default for Place<S> {
    fn default() -> Place<S> {
        Place { stream: RefCell::default(), kept: Rc::default() }
    }
}

impl Streams {
    fn of(state: &State) -> Rc<Streams> {
        state.extension::<Streams>().unwrap_or_else(|| {
            let streams = Rc::new(Streams::default());
            state.set_extension(streams.clone());
            streams
        })
    }
}

/// The stream of a descriptor: the one there is, or a new one.
fn stream<S>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    fd: RawFd,
    place: fn(&Streams) -> &Place<S>,
    connection: fn(&S) -> &Rc<Connection<S>>,
) -> S
where
    S: Stream<Transport = Standard>,
{
    if !state.is_open() {
        return Connection::closed(state);
    }
    let streams = Streams::of(state);
    let Place { stream, kept } = place(&streams);
    let known = stream.borrow().upgrade();
    if let Some(known) = known.filter(|known| known.is_open()) {
        return S::of(Name::new(known));
    }
    let standard = match state.chance() {
        Some(_) => Standard::failed(state, &io::Error::from_raw_os_error(sys::EOPNOTSUPP)),
        None => Standard::open(state, location, fd, kept),
    };
    let new: S = Connection::adopt(state, standard, location)
        .or_else(|error| Connection::adopt(state, Standard::failed(state, &error), location))
        .unwrap_or_else(|_ended| Connection::closed(state));
    stream.replace(Rc::downgrade(connection(&new)));
    new
}

/// The standard input of the process, on the current loop.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::stdio::stdin;
///
/// windlass::run(|| {
///     let mut count = 0;
///     stdin().read_start(move |_, chunk| match chunk {
///         Ok(b"") => println!("{count} bytes"),
///         Ok(bytes) => count += bytes.len(),
///         Err(error) => println!("{error}"),
///     });
/// });
/// ```
#[track_caller]
pub fn stdin() -> Stdin {
    let state = current::expect("stdin");
    stream(&state, here(), 0, |streams| &streams.stdin, |input| &input.connection)
}

/// The standard output of the process, on the current loop.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::stdio::stdout;
///
/// windlass::block_on(async {
///     stdout().write(b"written without waiting, ").await?;
///     stdout().write(b"and in order\n").await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn stdout() -> Stdout {
    let state = current::expect("stdout");
    stream(&state, here(), 1, |streams| &streams.stdout, |output| &output.connection)
}

/// The standard error output of the process, on the current loop. A stream of its own: its order
/// among what is written to [`stdout`] is not kept.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     drop(windlass::stdio::stderr().write(b"a report\n"));
/// });
/// ```
#[track_caller]
pub fn stderr() -> Stdout {
    let state = current::expect("stderr");
    stream(&state, here(), 2, |streams| &streams.stderr, |output| &output.connection)
}

/// The standard input. Made by [`stdin`].
///
/// All of one loop are one stream. Closing it leaves descriptor 0 open; [`stdin`] then gives a new
/// stream, which goes on where the one before has stopped. One that nobody reads keeps no loop
/// alive, and takes nothing that another process might read. Of a file no more is read than what
/// the program has room for.
///
/// Where descriptor 0 is closed, reads fail with `EBADF`.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let input = windlass::stdio::stdin();
///     input.read_start(|input, bytes| match bytes {
///         Ok(bytes) if !bytes.is_empty() => println!("{} bytes", bytes.len()),
///         _ => input.read_stop(),
///     });
/// #   input.close();
/// });
/// ```
#[derive(Clone)]
pub struct Stdin {
    /// What all clones share.
    connection: Name<Connection<Stdin>>,
}

/// The standard output, or the standard error output. Made by [`stdout`] and [`stderr`].
///
/// All of one loop are one stream. Closing it leaves the descriptor open, and cancels what waits. A
/// write completes when the bytes are in the pipe, the file or the terminal. A
/// [`shutdown`](Stdout::shutdown) waits for the writes before it, and lets none follow; the reader
/// of a pipe sees the end when the process ends.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     windlass::stdio::stdout().write(b"hello\n").await?;
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Stdout {
    /// What all clones share.
    connection: Name<Connection<Stdout>>,
}

impl Stdin {
    methods! {
        "```no_run",
        "    let (reader, writer) = (windlass::stdio::stdin(), windlass::stdio::stdout());",
        read_methods, handle_methods
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.connection.with_transport(|standard| Ok(standard.kind())).unwrap_or(Kind::Unknown)
    }
}

impl Stdout {
    methods! {
        "```no_run",
        "    let (reader, writer) = (windlass::stdio::stdin(), windlass::stdio::stdout());",
        write_methods, handle_methods
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.connection.with_transport(|standard| Ok(standard.kind())).unwrap_or(Kind::Unknown)
    }
}

impl Stream for Stdin {
    const KIND: &'static str = "standard input";

    type Transport = Standard;

    fn of(name: Name<Connection<Stdin>>) -> Stdin {
        Stdin { connection: name }
    }
}

impl Stream for Stdout {
    const KIND: &'static str = "standard output";

    type Transport = Standard;

    fn of(name: Name<Connection<Stdout>>) -> Stdout {
        Stdout { connection: name }
    }
}

impl_readable!(Stdin);
impl_writable!(Stdout);

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
