//! Terminals as streams: modes, window size, and the way back to what was before.
//!
//! The modes of a terminal outlive the program that sets them: the shell finds it as it was left.
//! What [`Tty::set_mode`] changes is therefore put back by itself when the `Tty` closes, for
//! whatever reason: [`close`](Tty::close), the last clone dropped, the end of the loop, by
//! [`exit`](crate::exit), by a panic or by itself, in a worker too; and when the process exits. For
//! all other ways out there is [`reset_mode`].
//!
//! A terminal goes both ways and has no end but its close: a [`shutdown`](Tty::shutdown) completes
//! behind the writes that wait, and tells the other side nothing.
//!
//! # Virtual time
//! Keys come in their own time, as what all [streams](crate::stream#virtual-time) carry; so does
//! the signal that tells of a new size.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use crate::callback;
use crate::queue::closure::Closure;
use crate::signal::Signal;
use crate::state::State;
use crate::state::current;
use crate::state::named::Name;
use crate::stream::connection::{Connection, Stream};
use crate::stream::verbs::{
    handle_methods, impl_readable, impl_writable, methods, read_methods, write_methods,
};
use crate::sys::terminal::{self, Changed};
use crate::sys::{self, Kind, Transport};
use crate::trace::label::here;
use crate::trace::origin::Origin;

pub use crate::sys::terminal::Mode;

/// The size of a terminal's window, in characters.
///
/// # Examples
/// ```
/// let size = windlass::tty::WindowSize { columns: 80, rows: 24 };
/// assert_eq!(size, (80, 24).into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// The width.
    pub columns: u16,
    /// The height.
    pub rows: u16,
}

impl From<(u16, u16)> for WindowSize {
    fn from((columns, rows): (u16, u16)) -> WindowSize {
        WindowSize { columns, rows }
    }
}

/// Puts the modes of all terminals back to what they were before the first
/// [`set_mode`](Tty::set_mode) that is not undone yet.
///
/// From anywhere, any number of times: it takes no lock and no memory, so that a signal handler or
/// a panic hook may call it. Without such a terminal it does nothing. The terminal of a process
/// that is in the background is left alone: it belongs to another one then.
///
/// It is needed only where the process ends without the end of its loops: by a signal whose default
/// action is to end it, or by `abort`.
///
/// # Errors
/// The system's, of the first terminal that refused; the others were reset all the same.
///
/// # Examples
/// ```
/// // The message of a panic comes before the end of the loop: here with the modes from before.
/// let hook = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     drop(windlass::tty::reset_mode());
///     hook(panic);
/// }));
/// ```
pub fn reset_mode() -> io::Result<()> {
    terminal::reset()
}

/// A terminal as a stream of bytes, in both directions.
///
/// A slave is opened anew, so that what other processes see of it does not change: the shell's own
/// descriptor stays blocking. A master, the side of who shows the terminal, is used as it is. Its
/// reads are short, and the end comes when no program has the slave open any more.
///
/// Clones, liveness and who closes it are as for all streams: see
/// [`TcpStream`](crate::net::TcpStream). A terminal has no end that could be sent: `shutdown` only
/// waits for what is written before it.
///
/// # Examples
/// ```
/// use std::os::fd::AsFd;
/// use windlass::tty::{Mode, Tty};
///
/// windlass::run(|| -> std::io::Result<()> {
///     let keyboard = std::io::stdin().as_fd().try_clone_to_owned()?;
///     match Tty::open(keyboard) {
///         Ok(terminal) => {
///             terminal.set_mode(Mode::Raw)?;
///             terminal.read_start(|terminal, keys| match keys {
///                 Ok(b"q") | Ok(b"") | Err(_) => terminal.close(), // And is as it was before.
///                 Ok(keys) => println!("{keys:?}\r"),
///             });
///             # terminal.close();
///         }
///         Err(error) => println!("{error}"),
///     }
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Tty {
    /// What all clones share.
    connection: Name<Connection<Tty>>,
}

/// What a [`Tty`] runs on.
pub(crate) struct Terminal {
    /// Never waits.
    descriptor: sys::Descriptor,
    /// While the modes are changed. They are put back when it is dropped.
    changed: RefCell<Option<Changed>>,
    /// Tells of a new size.
    resize: RefCell<Option<Resize>>,
}

/// A watcher of the signal that tells of a new size, stopped when this is dropped.
struct Resize {
    /// The terminal's loop.
    state: Rc<State>,
    /// Has the program's callback.
    signal: Signal,
}

impl Drop for Resize {
    /// Later, for the program's callback is dropped with it, and may do anything. The end of the
    /// loop has stopped the watcher already, or will.
    fn drop(&mut self) {
        if self.state.is_open() {
            let (state, signal) = (self.state.clone(), self.signal.clone());
            self.state.push_pending(Closure::new(move || {
                callback::call(&state, Origin::unknown("terminal"), || signal.stop());
            }));
        }
    }
}

impl Terminal {
    fn set_mode(&self, mode: Mode) -> io::Result<()> {
        let fd = self.descriptor.as_fd();
        let mut changed = self.changed.borrow_mut();
        let hold = match changed.take() {
            Some(hold) => hold,
            None => Changed::begin(fd)?,
        };
        let outcome = hold.set(fd, mode);
        if mode != Mode::Normal || outcome.is_err() {
            *changed = Some(hold);
        }
        outcome
    }

    fn window_size(&self) -> io::Result<WindowSize> {
        terminal::window_size(self.descriptor.as_fd()).map(WindowSize::from)
    }
}

impl Tty {
    /// Opens a terminal on the current loop.
    ///
    /// # Errors
    /// `InvalidInput` when it is no terminal; the system's when it cannot be polled. The descriptor
    /// is then closed.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(fd: OwnedFd) -> io::Result<Tty> {
        let state = current::expect("Tty::open");
        state.refuse_in_simulation("terminals")?;
        if sys::kind_of(fd.as_raw_fd()) != Kind::Terminal {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no terminal"));
        }
        let terminal = Terminal {
            descriptor: sys::Descriptor::adopt(fd, Kind::Terminal)?,
            changed: RefCell::new(None),
            resize: RefCell::new(None),
        };
        Connection::adopt(&state, terminal, here())
    }

    methods! {
        "```no_run",
        "\
    use std::os::fd::AsFd;
    let fd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let (reader, writer) = windlass::tty::Tty::open(fd).map(|tty| (tty.clone(), tty))?;",
        read_methods, write_methods, handle_methods
    }

    /// Changes how the terminal treats what is typed, at once. What is written is treated as
    /// before: a line feed also goes to the start of the line.
    ///
    /// The modes belong to the terminal, not to this handle: of several, the last call counts. They
    /// are as before the first change when the last handle that has changed them is closed, or sets
    /// [`Mode::Normal`].
    ///
    /// # Errors
    /// The system's; not-connected when the terminal is closed.
    pub fn set_mode(&self, mode: Mode) -> io::Result<()> {
        self.connection.with_transport(|terminal| terminal.set_mode(mode))
    }

    /// The size of the window.
    ///
    /// # Errors
    /// The system's; not-connected when the terminal is closed.
    pub fn window_size(&self) -> io::Result<WindowSize> {
        self.connection.with_transport(Terminal::window_size)
    }

    /// Calls `f` when the window has a new size. Replaces the callback given before.
    ///
    /// The system tells the programs in front of the terminal, by the signal SIGWINCH; of a
    /// terminal that is not this process's own it says nothing.
    ///
    /// # Liveness
    /// It does not count as a callback that keeps the terminal open, nor does it keep the loop
    /// alive. It is dropped, uncalled, when the terminal closes.
    #[track_caller]
    pub fn on_resize(&self, f: impl FnMut(WindowSize) + 'static) {
        // Not in the closure, which would be the line that watches.
        let before = self.watch_size(f).and_then(|resize| {
            self.connection.with_transport(|terminal| Ok(terminal.resize.replace(Some(resize))))
        });
        match before {
            Ok(before) => drop(before),
            Err(error) => log::error!("the size of a terminal cannot be watched: {error}"),
        }
    }

    #[track_caller]
    fn watch_size(&self, mut f: impl FnMut(WindowSize) + 'static) -> io::Result<Resize> {
        let state = self.connection.state();
        let mut last = self.window_size()?;
        let weak = Rc::downgrade(&self.connection);
        let _entered = current::enter(state);
        let signal = Signal::start(terminal::SIGWINCH, move || {
            let Some(connection) = weak.upgrade() else { return };
            match connection.with_transport(Terminal::window_size) {
                Ok(size) if size != last => {
                    last = size;
                    f(size);
                }
                // Another terminal's signal, or a terminal that is gone.
                _ => {}
            }
        })?;
        signal.unref();
        Ok(Resize { state: state.clone(), signal })
    }
}

impl Stream for Tty {
    const KIND: &'static str = "terminal";

    type Transport = Terminal;

    fn of(name: Name<Connection<Tty>>) -> Tty {
        Tty { connection: name }
    }
}

impl Transport for Terminal {
    const HANG_UP_PASSES: bool = true;

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.watched()
    }

    fn can_receive(&self) -> bool {
        self.descriptor.can_receive()
    }

    fn can_send(&self) -> bool {
        self.descriptor.can_send()
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.descriptor.receive(buffer)
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.descriptor.send(data)
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.descriptor.send_vectored(data)
    }

    fn send_end(&self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRawFd for Tty {
    /// The descriptor, for reports. -1 when the terminal is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.connection.with_transport(|terminal| Ok(terminal.descriptor.as_raw_fd())).unwrap_or(-1)
    }
}

impl fmt::Debug for Tty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tty")
            .field("fd", &self.as_raw_fd())
            .field("open", &self.connection.is_open())
            .finish_non_exhaustive()
    }
}

impl_readable!(Tty);
impl_writable!(Tty);
