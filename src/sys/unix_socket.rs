//! Unix sockets: bytes, and the descriptors that travel with them. One of the files with `unsafe`
//! code: each block is one system call on values that live until it returns, or a walk through the
//! control message that such a call has filled.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;
use std::ptr;

use socket2::SockRef;

use super::Transport;
use super::unix::{MAX_BUFFERS, RECEIVE_FLAGS, SEND_FLAGS, peek_on, send_on};

/// The most descriptors that the system sends with one call.
pub(crate) const DESCRIPTORS_MAX: usize = 253;

/// Room for what comes beside the bytes of one read, in words: as many descriptors as can come,
/// and what a socket may be told to report besides.
const CONTROL_WORDS: usize = 160;

/// Has descriptors that arrive be closed in programs that this process turns into, or starts.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const CLOSE_ON_EXEC: libc::c_int = libc::MSG_CMSG_CLOEXEC;
/// Elsewhere that is a call of its own.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const CLOSE_ON_EXEC: libc::c_int = 0;

/// A connected Unix socket, or one that is being connected.
pub(crate) struct UnixStream {
    /// Non-blocking.
    socket: net::UnixStream,
    /// What has arrived with the bytes read so far, in order.
    arrived: RefCell<Vec<OwnedFd>>,
    /// The last read may have stopped at descriptors, with more behind them.
    stopped: Cell<bool>,
    /// Descriptors were lost, for the process has no room for them. The next read says so.
    lost: Cell<bool>,
}

impl UnixStream {
    /// Takes a socket that is non-blocking.
    pub(crate) fn from_std(socket: net::UnixStream) -> UnixStream {
        let (arrived, stopped, lost) = (RefCell::default(), Cell::new(false), Cell::new(false));
        UnixStream { socket, arrived, stopped, lost }
    }

    /// Begins to connect. Here that is mostly done by the time of the return.
    pub(crate) fn connect(address: &net::SocketAddr) -> io::Result<UnixStream> {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to_system(address)?) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(UnixStream::from_std(OwnedFd::from(socket).into())),
        }
    }

    /// Two sockets that are connected to each other.
    pub(crate) fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok((UnixStream::from_std(one), UnixStream::from_std(other)))
    }

    pub(crate) fn socket(&self) -> &net::UnixStream {
        &self.socket
    }

    pub(crate) fn into_std(self) -> net::UnixStream {
        self.socket
    }

    /// The descriptors that have arrived with the bytes read so far.
    pub(crate) fn take_descriptors(&self) -> Vec<OwnedFd> {
        self.arrived.take()
    }

    /// Takes the descriptors out of what came beside the bytes.
    fn keep(&self, header: &libc::msghdr) {
        let mut arrived = self.arrived.borrow_mut();
        // SAFETY: the system has filled the control buffer of this header, which lives in the
        // caller, up to the length that stands in the header, and the walk stays within that. Each
        // descriptor in a message of rights is new and is nobody's but ours.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while let Some(message) = control.as_ref() {
                if message.cmsg_level == libc::SOL_SOCKET && message.cmsg_type == libc::SCM_RIGHTS {
                    #[allow(clippy::unnecessary_cast)] // Not on every system.
                    let bytes = message.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                    let first = libc::CMSG_DATA(control).cast::<RawFd>();
                    for at in 0..bytes / size_of::<RawFd>() {
                        let descriptor = first.add(at).read_unaligned();
                        if CLOSE_ON_EXEC == 0 {
                            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
                        }
                        arrived.push(OwnedFd::from_raw_fd(descriptor));
                    }
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
    }
}

/// An address as the system has it. std says what one is, and has checked its length.
fn to_system(address: &net::SocketAddr) -> io::Result<socket2::SockAddr> {
    if let Some(path) = address.as_pathname() {
        return socket2::SockAddr::unix(path);
    }
    let name = abstract_name(address).map(|name| [b"\0", name].concat()).unwrap_or_default();
    socket2::SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&name)))
}

/// The name of an address that is no path. None of one that has no name.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(address: &net::SocketAddr) -> Option<&[u8]> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    address.as_abstract_name()
}

/// As above, where there are no such names.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_address: &net::SocketAddr) -> Option<&[u8]> {
    None
}

impl Transport for UnixStream {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    /// Always asks for descriptors: those that come unasked for would be lost.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.lost.take() {
            let text = "descriptors that came with the bytes before were lost: too many are open";
            return Err(io::Error::other(text));
        }
        let mut control = [const { MaybeUninit::<u64>::uninit() }; CONTROL_WORDS];
        let mut bytes = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: zeroes are a header without an address, buffers and control messages.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut bytes;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let flags = CLOSE_ON_EXEC | RECEIVE_FLAGS;
        // SAFETY: the descriptor is open while the stream is borrowed. The header names the buffer
        // and the control buffer with their lengths, and both live across the call.
        let count = unsafe { libc::recvmsg(self.as_raw_fd(), &raw mut header, flags) };
        let count = usize::try_from(count).map_err(|_negative| io::Error::last_os_error())?;
        let has_more = header.msg_controllen > 0 || header.msg_flags & libc::MSG_CTRUNC != 0;
        self.stopped.set(has_more);
        if has_more {
            self.lost.set(header.msg_flags & libc::MSG_CTRUNC != 0);
            self.keep(&header);
        }
        Ok(count)
    }

    /// Not where the poller does not report an urgent byte.
    fn short_read_empties(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android")) && !self.stopped.get()
    }

    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        peek_on(self.as_raw_fd(), buffer)
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        send_on(self.as_raw_fd(), data)
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let at_most = data.len().min(MAX_BUFFERS);
        SockRef::from(&self.socket).send_vectored_with_flags(&data[..at_most], SEND_FLAGS)
    }

    fn send_descriptors(&self, data: &[IoSlice<'_>], descriptors: &[OwnedFd]) -> io::Result<usize> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let len = size_of_val(&raw[..]);
        let mut control = [0_u64; CONTROL_WORDS];
        // SAFETY: zeroes are a header without an address, buffers and control messages.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = data.as_ptr().cast_mut().cast();
        header.msg_iovlen = data.len().min(MAX_BUFFERS) as _;
        header.msg_control = control.as_mut_ptr().cast();
        // SAFETY: a computation on numbers.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(len as libc::c_uint) } as _;
        assert!(header.msg_controllen as usize <= size_of_val(&control), "checked by the caller");
        // SAFETY: the control buffer has room for one message of this length, as was just seen,
        // and is aligned for it. `IoSlice` is laid out as an iovec, and the system only reads what
        // it names; all that the header names lives across the call, and so do the descriptors.
        let count = unsafe {
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_SOCKET;
            (*message).cmsg_type = libc::SCM_RIGHTS;
            (*message).cmsg_len = libc::CMSG_LEN(len as libc::c_uint) as _;
            ptr::copy_nonoverlapping(raw.as_ptr().cast(), libc::CMSG_DATA(message), len);
            libc::sendmsg(self.as_raw_fd(), &raw const header, SEND_FLAGS)
        };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }

    fn send_end(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    fn connected(&self) -> Option<io::Result<()>> {
        let outcome = self.socket.take_error().and_then(|error| match error {
            Some(error) => Err(error),
            None => self.socket.peer_addr().map(|_peer| ()),
        });
        match outcome {
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => None,
            decided => Some(decided),
        }
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Who has made or connected the other end: process (where the system tells), user and group.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer_credentials(socket: &impl AsRawFd) -> io::Result<(Option<u32>, u32, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the system writes at most `len` bytes to the structure, which lives here.
    let result = unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        let value = (&raw mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut len)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Zero for a process that this one cannot see.
    let pid = u32::try_from(peer.pid).ok().filter(|pid| *pid > 0);
    Ok((pid, peer.uid, peer.gid))
}

/// As above, where the system tells user and group only.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_credentials(socket: &impl AsRawFd) -> io::Result<(Option<u32>, u32, u32)> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the system writes two numbers, which live here.
    let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok((None, uid, gid)) }
}
