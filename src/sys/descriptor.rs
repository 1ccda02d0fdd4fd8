//! Descriptors that come from elsewhere, and pipes: what they are, and how they are read and
//! written without waiting.
//!
//! Whether a call waits is a flag of the *open file*, which other processes may have too: the shell
//! that started this one, or the other programs of a pipeline. So it is not simply set. A pipe or a
//! terminal is opened anew where the system can do that, and a socket is told with each call. Only
//! what allows neither has its flag set: a FIFO that has a path, the master of a pseudo-terminal,
//! or a terminal that may not be opened. Of the descriptors here that share such an open file the
//! last one puts the flag back when it closes ([`Sharing`]). The others who have it may take the
//! flag away at any time, as a child does that inherits it; then the system is asked before each
//! call whether it would wait.
//!
//! One of the files with `unsafe` code: each block is one system call on values that live until it
//! returns.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::file::{MAX_BUFFERS, to_c};
use super::terminal;
use super::unix::{SEND_FLAGS, descriptor_ready};
use super::{Event, Transport};

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
        set_flags(fd, after)?;
    }
    Ok(before & libc::O_NONBLOCK != 0)
}

fn set_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a call without pointers, on a descriptor that is borrowed for it.
    let failed = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) } < 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
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
    /// In what its calls differ from those of others.
    sort: Sort,
    /// It relies on the flag of an open file that others may have.
    sharing: Option<Sharing>,
    /// What it was opened for.
    access: Access,
}

/// In what the calls on a descriptor differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Whose read gives nothing also before there was a writer, if it has a path.
    Pipe,
    /// Which has calls of its own.
    Socket,
    /// Whose read fails when the slave has gone.
    Master,
    /// Another terminal, or another device.
    Device,
}

impl Sort {
    fn of(fd: RawFd, kind: Kind) -> Sort {
        match kind {
            Kind::Tcp | Kind::Udp | Kind::Unix => Sort::Socket,
            Kind::Pipe => Sort::Pipe,
            Kind::Terminal if terminal::is_master(fd) => Sort::Master,
            Kind::Terminal | Kind::File | Kind::Unknown => Sort::Device,
        }
    }
}

impl Descriptor {
    /// Both ends of a new pipe: what is written, and where it is read.
    pub(crate) fn pipe() -> io::Result<(Descriptor, Descriptor)> {
        let (reader, writer) = io::pipe()?;
        let end = |fd: OwnedFd| -> io::Result<Descriptor> {
            // Nobody else has the open file.
            set_nonblocking(fd.as_fd(), true)?;
            let access = access_of(flags(fd.as_fd())?);
            Ok(Descriptor { fd, sort: Sort::Pipe, sharing: None, access })
        };
        Ok((end(writer.into())?, end(reader.into())?))
    }

    /// One end of the FIFO at a path. Waits for nobody: for reading it need not have a writer.
    ///
    /// # Errors
    /// `InvalidInput` when there is something else at the path; `ENXIO` when it is opened for
    /// writing and nobody reads.
    pub(crate) fn open_fifo(path: &Path, write: bool) -> io::Result<Descriptor> {
        let refusal = || io::Error::new(io::ErrorKind::InvalidInput, "the path is no FIFO's");
        let access = if write { libc::O_WRONLY } else { libc::O_RDONLY };
        let fd = open(&to_c(path)?, access).map_err(|error| match path.metadata() {
            // A directory or a socket cannot even be opened so.
            Ok(found) if !found.file_type().is_fifo() => refusal(),
            _ => error,
        })?;
        if kind_of(fd.as_raw_fd()) != Kind::Pipe {
            return Err(refusal());
        }
        let access = Access { read: !write, write };
        Ok(Descriptor { fd, sort: Sort::Pipe, sharing: None, access })
    }

    /// Takes a pipe, a terminal or a socket, so that calls on it do not wait.
    pub(crate) fn adopt(fd: OwnedFd, kind: Kind) -> io::Result<Descriptor> {
        let sort = Sort::of(fd.as_raw_fd(), kind);
        let flags = flags(fd.as_fd())?;
        let mut descriptor = Descriptor { fd, sort, sharing: None, access: access_of(flags) };
        if sort != Sort::Socket {
            // What is opened anew in the place of a master is another one.
            let may_open = sort != Sort::Master;
            match may_open.then(|| open_anew(descriptor.fd.as_fd(), kind, flags)).flatten() {
                Some(own) => descriptor.fd = own,
                None => descriptor.sharing = Some(Sharing::begin(descriptor.fd.as_fd())?),
            }
        }
        Ok(descriptor)
    }

    /// Whether it relies on the flag of an open file that others may have.
    pub(crate) fn shares_flag(&self) -> bool {
        self.sharing.is_some()
    }

    /// Whether a call would wait, for others who have the open file have taken its flag away.
    fn waits(&self) -> io::Result<bool> {
        Ok(self.shares_flag() && flags(self.fd.as_fd())? & libc::O_NONBLOCK == 0)
    }

    /// Would-block if the system says that a call of this kind would not get anywhere now.
    fn check_ready(&self, event: Event) -> io::Result<()> {
        let ready = descriptor_ready(self.fd.as_raw_fd(), event)?;
        if ready.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
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
        if self.waits()? {
            self.check_ready(Event::READABLE)?;
        }
        let (fd, start, len) = (self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the system writes at most `len` bytes from `start`, which is the buffer.
        let count = to_count(unsafe {
            match self.sort {
                Sort::Socket => libc::recv(fd, start, len, libc::MSG_DONTWAIT),
                _ => libc::read(fd, start, len),
            }
        });
        match (count, self.sort) {
            // So the system says that no slave is open any more.
            (Err(error), Sort::Master) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
            // The end, or a FIFO that no writer has opened yet.
            (Ok(0), Sort::Pipe) if len > 0 => self.check_ready(Event::READABLE).map(|()| 0),
            (count, _) => count,
        }
    }

    /// Sends what the system takes of `data`. Of a pipe that nobody reads the process is told by
    /// SIGPIPE too, which Rust programs ignore.
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        let mut len = data.len();
        if self.waits()? {
            self.check_ready(Event::WRITABLE)?;
            // As much as a pipe that has room takes without waiting.
            len = len.min(libc::PIPE_BUF);
        }
        let (fd, start) = (self.fd.as_raw_fd(), data.as_ptr().cast());
        // SAFETY: the system reads at most `len` bytes from `start`, which is the data.
        to_count(unsafe {
            match self.sort {
                Sort::Socket => libc::send(fd, start, len, SEND_FLAGS),
                _ => libc::write(fd, start, len),
            }
        })
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let data = &data[..data.len().min(MAX_BUFFERS)];
        if self.sort == Sort::Socket {
            return socket2::SockRef::from(&self.fd).send_vectored_with_flags(data, SEND_FLAGS);
        }
        if self.waits()? {
            let first = data.iter().find(|buffer| !buffer.is_empty());
            return self.send(first.map_or(&[], |buffer| buffer));
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
        if let Some(sharing) = self.sharing
            && let Err(error) = sharing.end(self.fd.as_fd())
        {
            log::error!("a descriptor could not be made blocking again: {error}");
        }
    }
}

/// A descriptor that relies on the flag of an open file that others may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sharing {
    /// What it is a descriptor of. Those of something else have another open file in any case.
    file: FileId,
    /// Its number, which is its own until it is taken out.
    fd: RawFd,
}

/// All there are in the process, and whether each puts the flag back: the one that has set it does,
/// unless another takes that over. Held while one begins or ends, so that of two that share an open
/// file one knows of the other.
static SHARING: Mutex<BTreeMap<Sharing, bool>> = Mutex::new(BTreeMap::new());

impl Sharing {
    fn all() -> MutexGuard<'static, BTreeMap<Sharing, bool>> {
        SHARING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the flag for a descriptor that is not in the list.
    fn begin(fd: BorrowedFd<'_>) -> io::Result<Sharing> {
        let sharing = Sharing { file: FileId::of(fd)?, fd: fd.as_raw_fd() };
        let mut all = Sharing::all();
        let puts_back = !set_nonblocking(fd, true)?;
        all.insert(sharing, puts_back);
        Ok(sharing)
    }

    /// Takes a descriptor out, and puts the flag back if nobody here needs it any more.
    fn end(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut all = Sharing::all();
        if all.remove(&self) != Some(true) {
            return Ok(());
        }
        // Who shares the open file has found the flag set. So of many descriptors of one FIFO, each
        // with an open file of its own, none has to be compared.
        let of_file = Sharing { fd: 0, ..self }..=Sharing { fd: RawFd::MAX, ..self };
        for (other, puts_back) in all.range_mut(of_file).filter(|(_, puts_back)| !**puts_back) {
            if is_same_open_file(fd, other.fd)? {
                *puts_back = true;
                return Ok(());
            }
        }
        set_nonblocking(fd, false).map(drop)
    }
}

/// What tells the file behind a descriptor from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId {
    /// The file system.
    system: libc::dev_t,
    /// Its number there.
    inode: libc::ino_t,
    /// The device behind it, for the masters of all terminals are one file.
    device: u64,
}

impl FileId {
    fn of(fd: BorrowedFd<'_>) -> io::Result<FileId> {
        let status = status(fd.as_raw_fd()).ok_or_else(io::Error::last_os_error)?;
        let device = terminal::device_of(fd.as_raw_fd())?;
        Ok(FileId { system: status.st_dev, inode: status.st_ino, device })
    }
}

/// Whether two descriptors that are open have one open file: a flag that is changed through one is
/// then seen through the other. It is that of appending, which means nothing to a pipe or a
/// terminal. Linux has a call for the question, but many containers refuse it.
fn is_same_open_file(one: BorrowedFd<'_>, other: RawFd) -> io::Result<bool> {
    // SAFETY: it is in the list, and so it is open while the list is held.
    let other = unsafe { BorrowedFd::borrow_raw(other) };
    let (before, seen_before) = (flags(one)?, flags(other)?);
    set_flags(one, before ^ libc::O_APPEND)?;
    let seen = flags(other);
    set_flags(one, before)?;
    Ok((seen? ^ seen_before) & libc::O_APPEND != 0)
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
