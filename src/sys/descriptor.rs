//! Descriptors that come from elsewhere, and pipes: what they are, and how they are read and
//! written without waiting.
//!
//! Whether a call waits is a flag of the *open file*, which other processes may have too: the shell
//! that started this one, or the other programs of a pipeline. So it is not simply set. A pipe or a
//! terminal is opened anew where the system can do that, and a socket is told with each call. Only
//! what allows neither has its flag set: a FIFO that has a path, the master of a pseudo-terminal,
//! or a terminal that may not be opened. Of the descriptors here that share such an open file the
//! last one puts the flag back when it closes ([`Sharing`]).
//!
//! One of the files with `unsafe` code: each block is one system call on values that live until it
//! returns.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Transport;
use super::file::{MAX_BUFFERS, to_c};
use super::terminal;
use super::unix::NO_SIGNAL;

/// What is behind a descriptor. See [`kind_of`](crate::stdio::kind_of).
///
/// # Examples
/// ```
/// use std::os::fd::AsRawFd;
/// use windlass::stdio::{Kind, kind_of};
///
/// let file = std::fs::File::open("Cargo.toml")?;
/// assert_eq!(kind_of(file.as_raw_fd()), Kind::File);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A terminal: either end of a pseudo-terminal, or a device.
    Terminal,
    /// A pipe, with a path (a FIFO) or without one.
    Pipe,
    /// A file, or a device that cannot be waited for, such as `/dev/null`.
    File,
    /// A TCP socket.
    Tcp,
    /// A UDP socket.
    Udp,
    /// A Unix socket of any type.
    Unix,
    /// Not open, or none of these: a directory, a timer, another kind of socket or device.
    Unknown,
}

/// What a descriptor is, whether it is open or not.
pub(crate) fn kind_of(fd: RawFd) -> Kind {
    let Some(status) = status(fd) else { return Kind::Unknown };
    match status.st_mode & libc::S_IFMT {
        libc::S_IFCHR if terminal::is_terminal(fd) => Kind::Terminal,
        libc::S_IFREG | libc::S_IFBLK => Kind::File,
        libc::S_IFCHR if !can_be_polled(fd) => Kind::File,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => socket_kind(fd),
        _ => Kind::Unknown,
    }
}

/// Whether a poller takes the descriptor.
pub(crate) fn can_be_polled(fd: RawFd) -> bool {
    let mut source = mio::unix::SourceFd(&fd);
    let register = |poll: mio::Poll| {
        poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE)
    };
    mio::Poll::new().and_then(register).is_ok()
}

fn socket_kind(fd: RawFd) -> Kind {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let mut kind: libc::c_int = 0;
    let mut kind_len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the address and the number live here, and each length says how much room there is.
    // Zeroed memory is an address, of no family.
    let family = unsafe {
        let failed = libc::getsockname(fd, address.as_mut_ptr().cast(), &raw mut len) != 0
            || libc::getsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_TYPE,
                (&raw mut kind).cast(),
                &raw mut kind_len,
            ) != 0;
        if failed {
            return Kind::Unknown;
        }
        libc::c_int::from(address.assume_init().ss_family)
    };
    match (family, kind) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => Kind::Tcp,
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Kind::Udp,
        (libc::AF_UNIX, _) => Kind::Unix,
        _ => Kind::Unknown,
    }
}

fn status(fd: RawFd) -> Option<libc::stat> {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the call fills the structure, which lives here, unless it fails. A number that is no
    // descriptor only makes it fail.
    unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init()) }
}

/// The number of the device behind a descriptor.
pub(super) fn device(fd: RawFd) -> io::Result<u64> {
    // Of another type on other systems.
    #[allow(clippy::unnecessary_cast)]
    status(fd).map(|status| status.st_rdev as u64).ok_or_else(io::Error::last_os_error)
}

/// The flags of the open file.
fn flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: a call without pointers, on a descriptor that is borrowed for it.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

/// Sets whether calls on the open file return at once. Returns whether they did before.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<bool> {
    let before = flags(fd)?;
    let after = if on { before | libc::O_NONBLOCK } else { before & !libc::O_NONBLOCK };
    if after != before {
        // SAFETY: as above.
        let failed = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, after) } < 0;
        if failed {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(before & libc::O_NONBLOCK != 0)
}

/// A further descriptor of an open file, which may be closed already. None is made below 3.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a call without pointers; a number that is no descriptor only makes it fail.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made just now, for this owner.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// What a descriptor can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// It was opened for reading.
    pub(crate) read: bool,
    /// It was opened for writing.
    pub(crate) write: bool,
}

fn access_of(flags: libc::c_int) -> Access {
    let mode = flags & libc::O_ACCMODE;
    Access { read: mode != libc::O_WRONLY, write: mode != libc::O_RDONLY }
}

/// A descriptor of a pipe, a terminal or a socket that never waits.
#[derive(Debug)]
pub(crate) struct Descriptor {
    /// This process's own, closed with it.
    fd: OwnedFd,
    /// A socket, which has calls of its own.
    is_socket: bool,
    /// The master of a pseudo-terminal, whose read fails when the slave has gone.
    is_master: bool,
    /// It relies on the flag of an open file that others may have.
    shares_flag: bool,
    /// What it was opened for.
    access: Access,
}

impl Descriptor {
    /// Both ends of a new pipe: what is written, and where it is read.
    pub(crate) fn pipe() -> io::Result<(Descriptor, Descriptor)> {
        let (reader, writer) = io::pipe()?;
        let end = |fd: OwnedFd| -> io::Result<Descriptor> {
            // Nobody else has the open file.
            set_nonblocking(fd.as_fd(), true)?;
            let access = access_of(flags(fd.as_fd())?);
            Ok(Descriptor { fd, is_socket: false, is_master: false, shares_flag: false, access })
        };
        Ok((end(writer.into())?, end(reader.into())?))
    }

    /// One end of the FIFO at a path. Waits for nobody: for reading it need not have a writer.
    ///
    /// # Errors
    /// `InvalidInput` when there is something else at the path; `ENXIO` when it is opened for
    /// writing and nobody reads.
    pub(crate) fn open_fifo(path: &Path, write: bool) -> io::Result<Descriptor> {
        let path = to_c(path)?;
        let access = if write { libc::O_WRONLY } else { libc::O_RDONLY };
        let fd = open(&path, access)?;
        if kind_of(fd.as_raw_fd()) != Kind::Pipe {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is no FIFO at the path",
            ));
        }
        let access = Access { read: !write, write };
        Ok(Descriptor { fd, is_socket: false, is_master: false, shares_flag: false, access })
    }

    /// Takes a pipe, a terminal or a socket, so that calls on it do not wait.
    pub(crate) fn adopt(fd: OwnedFd, kind: Kind) -> io::Result<Descriptor> {
        let is_socket = matches!(kind, Kind::Tcp | Kind::Udp | Kind::Unix);
        let is_master = kind == Kind::Terminal && terminal::is_master(fd.as_raw_fd());
        let flags = flags(fd.as_fd())?;
        let access = access_of(flags);
        let mut descriptor = Descriptor { fd, is_socket, is_master, shares_flag: false, access };
        if !is_socket {
            match open_anew(descriptor.fd.as_fd(), kind, flags).filter(|_| !is_master) {
                Some(own) => descriptor.fd = own,
                None => {
                    Sharing::begin(descriptor.fd.as_fd())?;
                    descriptor.shares_flag = true;
                }
            }
        }
        Ok(descriptor)
    }

    /// Whether it relies on the flag of an open file that others may have.
    pub(crate) fn shares_flag(&self) -> bool {
        self.shares_flag
    }

    /// What it was opened for.
    pub(crate) fn access(&self) -> Access {
        self.access
    }
}

impl Transport for Descriptor {
    const CLOSE_IS_END: bool = true;

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }

    fn can_receive(&self) -> bool {
        self.access.read
    }

    fn can_send(&self) -> bool {
        self.access.write
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (fd, start, len) = (self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the system writes at most `len` bytes from `start`, which is the buffer.
        let count = unsafe {
            if self.is_socket {
                libc::recv(fd, start, len, libc::MSG_DONTWAIT)
            } else {
                libc::read(fd, start, len)
            }
        };
        match to_count(count) {
            // So the system says that no slave is open any more.
            Err(error) if self.is_master && error.raw_os_error() == Some(libc::EIO) => Ok(0),
            outcome => outcome,
        }
    }

    /// Sends what the system takes of `data`. Of a pipe that nobody reads the process is told by
    /// SIGPIPE too, which Rust programs ignore.
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        let (fd, start, len) = (self.fd.as_raw_fd(), data.as_ptr().cast(), data.len());
        // SAFETY: the system reads at most `len` bytes from `start`, which is the data.
        to_count(unsafe {
            if self.is_socket {
                libc::send(fd, start, len, libc::MSG_DONTWAIT | NO_SIGNAL)
            } else {
                libc::write(fd, start, len)
            }
        })
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let data = &data[..data.len().min(MAX_BUFFERS)];
        if self.is_socket {
            let flags = libc::MSG_DONTWAIT | NO_SIGNAL;
            return socket2::SockRef::from(&self.fd).send_vectored_with_flags(data, flags);
        }
        let (start, count) = (data.as_ptr().cast(), data.len() as libc::c_int);
        // SAFETY: std promises that an `IoSlice` has the layout of an `iovec`; there are `count` of
        // them, and each borrows its bytes for the whole call.
        to_count(unsafe { libc::writev(self.fd.as_raw_fd(), start, count) })
    }

    /// There is no call for it: the end of a pipe is its close, and others have none.
    fn send_end(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.shares_flag
            && let Err(error) = Sharing::end(self.fd.as_fd())
        {
            log::error!("a descriptor could not be made blocking again: {error}");
        }
    }
}

/// A descriptor that relies on the flag of an open file that others may have.
struct Sharing {
    /// Its number, which is its own until it is taken out.
    fd: RawFd,
    /// The flag was not set before: this one puts it back, unless another takes that over.
    puts_back: bool,
}

/// All there are in the process. Held while one begins or ends, so that of two that share an open
/// file one knows of the other.
static SHARING: Mutex<Vec<Sharing>> = Mutex::new(Vec::new());

impl Sharing {
    fn all() -> MutexGuard<'static, Vec<Sharing>> {
        SHARING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the flag for a descriptor that is not in the list.
    fn begin(fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut all = Sharing::all();
        let puts_back = !set_nonblocking(fd, true)?;
        all.push(Sharing { fd: fd.as_raw_fd(), puts_back });
        Ok(())
    }

    /// Takes a descriptor out, and puts the flag back if nobody here needs it any more.
    fn end(fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut all = Sharing::all();
        let place = all.iter().position(|one| one.fd == fd.as_raw_fd());
        let Some(ended) = place.map(|place| all.swap_remove(place)) else { return Ok(()) };
        if !ended.puts_back {
            return Ok(());
        }
        match all.iter_mut().find(|other| is_same_open_file(ended.fd, other.fd)) {
            Some(other) => other.puts_back = true,
            None => drop(set_nonblocking(fd, false)?),
        }
        Ok(())
    }
}

/// Whether two descriptors that are open have one open file, and with it their flags.
#[cfg(target_os = "linux")]
fn is_same_open_file(one: RawFd, other: RawFd) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let (one_long, other_long) = (libc::c_long::from(one), libc::c_long::from(other));
    // SAFETY: calls without pointers, on this process itself.
    let order = unsafe {
        let own = libc::getpid();
        libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one_long, other_long)
    };
    // A kernel or a filter without the call: what can be told is whether it is one file.
    order == 0 || order < 0 && is_same_file(one, other)
}

#[cfg(not(target_os = "linux"))]
fn is_same_open_file(one: RawFd, other: RawFd) -> bool {
    is_same_file(one, other)
}

fn is_same_file(one: RawFd, other: RawFd) -> bool {
    let file = |fd| status(fd).map(|status| (status.st_dev, status.st_ino, status.st_rdev));
    file(one).is_some() && file(one) == file(other)
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn to_count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_negative| io::Error::last_os_error())
}

/// Opens a path, without waiting for anybody and without taking a terminal for this process's own.
fn open(path: &CString, access: libc::c_int) -> io::Result<OwnedFd> {
    let flags = access | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    loop {
        // SAFETY: the path is a live string that ends in zero.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        if fd >= 0 {
            // SAFETY: it was opened just now, for this owner.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// A descriptor of the same thing with an open file of its own, which does not wait. None where the
/// system does not allow it.
fn open_anew(fd: BorrowedFd<'_>, kind: Kind, flags: libc::c_int) -> Option<OwnedFd> {
    let kept = flags & (libc::O_ACCMODE | libc::O_APPEND | O_DIRECT);
    let before = status(fd.as_raw_fd())?;
    let is_same = |own: &OwnedFd| {
        status(own.as_raw_fd()).is_some_and(|own| match kind {
            Kind::Terminal => own.st_rdev == before.st_rdev,
            _ => (own.st_dev, own.st_ino) == (before.st_dev, before.st_ino),
        })
    };
    let mut paths = Vec::new();
    // The end of a FIFO is not reported to who opens it after its writers have gone.
    #[cfg(target_os = "linux")]
    if kind == Kind::Terminal || is_anonymous_pipe(fd) {
        paths.push(CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?);
    }
    if kind == Kind::Terminal {
        paths.extend(terminal::path_of(fd.as_raw_fd()));
    }
    paths.iter().filter_map(|path| open(path, kept).ok()).find(is_same)
}

#[cfg(target_os = "linux")]
const O_DIRECT: libc::c_int = libc::O_DIRECT;
/// Packets in a pipe are Linux's own.
#[cfg(not(target_os = "linux"))]
const O_DIRECT: libc::c_int = 0;

/// Whether it is a pipe that has no path.
#[cfg(target_os = "linux")]
fn is_anonymous_pipe(fd: BorrowedFd<'_>) -> bool {
    /// The number of the file system in which such pipes are (`PIPEFS_MAGIC`).
    const PIPES: u64 = 0x5049_5045;
    let mut system = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the call fills the structure, which lives here, unless it fails.
    unsafe {
        libc::fstatfs(fd.as_raw_fd(), system.as_mut_ptr()) == 0
            && system.assume_init().f_type as u64 == PIPES
    }
}
