//! A listener at a Unix socket: the public type, and the file that it makes.
//!
//! A [`UnixListener`] is a name of a [`Listening`], which does what all listeners do.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{self, SocketAddr};
use std::panic::Location;
use std::path::{self, Path, PathBuf};

use super::exchanged::Exchanged;
use super::listening::{BACKLOG, Listener, Listening, listener_methods};
use super::unix_stream::UnixStream;
use crate::error;
use crate::state::current;
use crate::state::named::Name;
use crate::sys;
use crate::trace::label::here;
use crate::virtual_time::network::{self, listening::Listener as InMemory};

/// A socket that listens, and its file.
struct Bound {
    /// The file that was made with it. None at an abstract address, and of a socket that was made
    /// elsewhere. Dropped first, so that nobody finds a file at which nobody listens.
    _file: Option<SocketFile>,
    /// Non-blocking.
    socket: sys::UnixListener,
}

/// A socket file that this process has made. It is removed when this is dropped.
struct SocketFile {
    /// Where it was made. Absolute, for the working directory may change.
    path: PathBuf,
    /// Its device and number, for something else may stand there by now.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file at the address of a socket that was just bound, if it has one.
    fn at(address: &SocketAddr) -> Option<SocketFile> {
        let path = path::absolute(address.as_pathname()?).ok()?;
        let identity = SocketFile::identity(&path).ok()?;
        Some(SocketFile { path, identity })
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        let metadata = fs::symlink_metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = SocketFile::identity(&self.path).is_ok_and(|found| found == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            log::warn!("the socket file {} could not be removed: {error}", self.path.display());
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener for Bound {
    const KIND: &'static str = "Unix listener";

    type Stream = UnixStream;

    fn accept(&self) -> io::Result<Exchanged<sys::UnixStream>> {
        let (socket, _peer) = self.socket.accept()?;
        Ok(Exchanged::System(sys::UnixStream::from_std(socket.into())))
    }
}

/// Accepts connections at a Unix socket.
///
/// `Clone`: a clone is another name for the same listener. With a callback registered it belongs to
/// the loop until it is closed; without one it closes when the last clone is dropped.
///
/// At a path it makes a socket file, which any close removes, also that at the end of the loop: the
/// file that it made, and nothing that stands there by then. A process that is killed leaves its
/// file behind, and then the path is in use until somebody removes it.
///
/// # Liveness
/// A listener keeps the loop alive while a callback is registered or a task waits for a connection,
/// unless [`unref`](UnixListener::unref)'d.
///
/// # Virtual time
/// As all [streams](crate::stream#virtual-time).
///
/// # Examples
/// ```
/// use windlass::net::{UnixListener, UnixStream};
///
/// let path = std::env::temp_dir().join(format!("windlass-doc-{}", std::process::id()));
/// windlass::block_on(async {
///     let listener = UnixListener::bind(&path)?;
///     let client = UnixStream::connect(&path);
///     let connection = listener.accept().await?;
///     connection.write(b"hello").await?;
///     assert_eq!(client.await?.read(&mut [0; 16]).await?, 5);
///     listener.close();
///     assert!(!path.exists());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UnixListener {
    /// A name of what all clones share.
    shared: Name<Listening<Bound>>,
}

impl UnixListener {
    /// Binds to a path and listens. Makes the socket file, and removes it when it closes.
    ///
    /// # Errors
    /// `AddrInUse` when something stands at the path, a socket at which nobody listens any more
    /// included. `InvalidInput` for a path that is too long for an address (more than 107 bytes on
    /// Linux), or has a zero in it. Others from the system.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UnixListener;
    ///
    /// windlass::run(|| {
    ///     let error = UnixListener::bind("Cargo.toml").unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    /// });
    /// ```
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Binds to any address that std can name, abstract ones too. On Linux the one of an empty path
    /// gives any free abstract name: ask [`local_addr`](UnixListener::local_addr).
    ///
    /// # Errors
    /// As [`bind`](UnixListener::bind).
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::os::unix::net::SocketAddr;
    /// use windlass::net::{UnixListener, UnixStream};
    ///
    /// windlass::block_on(async {
    ///     let listener = UnixListener::bind_addr(&SocketAddr::from_pathname("")?)?;
    ///     UnixStream::connect_addr(&listener.local_addr()?).await?;
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let state = current::expect("UnixListener::bind");
        if !state.is_open() {
            return Err(error::shut_down());
        }
        if state.chance().is_some() {
            let backlog = BACKLOG as usize;
            let socket = InMemory::bind(&network::Address::of_unix(address), backlog, false)?;
            let (socket, location) = (Exchanged::Simulated(socket), here());
            return Ok(UnixListener { shared: Listening::adopt(&state, socket, location)? });
        }
        let socket = net::UnixListener::bind_addr(address)?;
        let file = SocketFile::at(address);
        sys::set_backlog(&socket, BACKLOG)?;
        UnixListener::adopt(socket, file, here())
    }

    /// Takes a listening socket of the standard library into the current loop. Its file, if it has
    /// one, stays when the listener closes: it was made elsewhere.
    ///
    /// # Errors
    /// The system's when the socket cannot be made non-blocking or polled.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::os::unix::net::SocketAddr;
    /// use windlass::net::UnixListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let any = SocketAddr::from_pathname("")?;
    ///     UnixListener::from_std(std::os::unix::net::UnixListener::bind_addr(&any)?)?;
    ///     Ok(())
    /// })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::adopt(listener, None, here())
    }

    fn adopt(
        socket: net::UnixListener,
        file: Option<SocketFile>,
        location: &'static Location<'static>,
    ) -> io::Result<UnixListener> {
        let state = current::expect("UnixListener");
        socket.set_nonblocking(true)?;
        let bound = Bound { _file: file, socket: sys::UnixListener::from_std(socket) };
        let bound = Exchanged::System(bound);
        Ok(UnixListener { shared: Listening::adopt(&state, bound, location)? })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// The system's; invalid-input when the listener was closed.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use windlass::net::UnixListener;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let listener = UnixListener::bind_addr(&SocketAddr::from_pathname("")?)?;
    ///     assert!(listener.local_addr()?.as_abstract_name().is_some());
    ///     Ok(())
    /// })?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.with_socket(|socket| match socket {
            Exchanged::System(bound) => bound.socket.local_addr(),
            Exchanged::Simulated(socket) => socket.address().to_unix(),
        })
    }

    listener_methods! {
        UnixStream,
        "\
    use windlass::net::{UnixListener, UnixStream};
    let any = std::os::unix::net::SocketAddr::from_pathname(\"\")?; // Any free name.
    let listener = UnixListener::bind_addr(&any)?;
    let client = UnixStream::connect_addr(&listener.local_addr()?);"
    }
}

impl AsRawFd for UnixListener {
    /// The descriptor, for options and reports. -1 when the listener is closed.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.with_socket(|bound| Ok(bound.system()?.socket.as_raw_fd())).unwrap_or(-1)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}
