//! The few calls that neither std nor mio offers. One of the files with `unsafe` code: each block
//! is one system call on values that live until it returns.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Event, TcpListener, TcpStream, Transport};

/// What of `interest` is true of the descriptor at this moment. Never waits.
pub(crate) fn descriptor_ready(fd: RawFd, interest: Event) -> io::Result<Event> {
    let mut events = 0;
    let mut ask = |when: Event, bits: libc::c_short| {
        if interest.has(when) {
            events |= bits;
        }
    };
    ask(Event::READABLE, libc::POLLIN);
    ask(Event::WRITABLE, libc::POLLOUT);
    ask(Event::PRIORITY, libc::POLLPRI);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    ask(Event::READ_CLOSED, libc::POLLRDHUP);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    ask(Event::READ_CLOSED, libc::POLLIN);

    let mut poll = libc::pollfd { fd, events, revents: 0 };
    loop {
        // SAFETY: one pollfd, which lives on this stack frame for the whole call.
        let count = unsafe { libc::poll(&raw mut poll, 1, 0) };
        if count >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }

    let mut ready = Event::default();
    let mut seen = |bits: libc::c_short, what: Event| {
        if poll.revents & bits != 0 {
            ready |= what;
        }
    };
    seen(libc::POLLIN, Event::READABLE);
    seen(libc::POLLOUT, Event::WRITABLE);
    seen(libc::POLLPRI, Event::PRIORITY);
    // A hang-up is something to read, namely the end; an error fails the read or write that
    // follows.
    seen(libc::POLLHUP, Event::READABLE.with(Event::READ_CLOSED));
    seen(libc::POLLERR | libc::POLLNVAL, Event::READABLE.with(Event::WRITABLE).with(Event::ERROR));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    seen(libc::POLLRDHUP, Event::READ_CLOSED);
    Ok(ready.only(interest.with(Event::ERROR)))
}

/// The system's monotonic clock, in nanoseconds since some moment in the past.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills the timespec, which lives here, or fails; then it is not read.
    let time = unsafe {
        let failed = libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
        assert_eq!(failed, 0, "every Unix system has a monotonic clock");
        time.assume_init()
    };
    // Both are positive: the clock begins when the system does.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The CPU time of a thread that has not been joined. None when it has ended, and where the system
/// does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn thread_cpu_time<T>(thread: &JoinHandle<T>) -> Option<Duration> {
    use std::os::unix::thread::JoinHandleExt;
    let mut clock = 0;
    // SAFETY: a thread that is neither joined nor detached has a valid id, also when it has ended,
    // and the handle is borrowed across the call; `clock` lives on this stack frame.
    let failed = unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t(), &raw mut clock) };
    if failed == 0 { read_clock(clock) } else { None }
}

/// As above, on systems that have no clock for a single thread of others.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(crate) fn thread_cpu_time<T>(_thread: &JoinHandle<T>) -> Option<Duration> {
    None
}

/// The CPU time of this thread.
pub(crate) fn own_cpu_time() -> Option<Duration> {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `clock_gettime` fills the structure, which lives here, unless it fails.
    let time = unsafe {
        let failed = libc::clock_gettime(clock, time.as_mut_ptr());
        if failed != 0 {
            return None;
        }
        time.assume_init()
    };
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// A descriptor of no use but to have a number: to be given up when the process has no other left,
/// or to keep the number from others. Not of a file: there need not be one that can be opened, as
/// where the root directory was changed.
pub(crate) fn spare_descriptor() -> io::Result<OwnedFd> {
    UnixDatagram::unbound().map(OwnedFd::from)
}

/// Whether the process or the system has no descriptors left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Keeps a send from waiting, and from raising SIGPIPE. That a socket does not wait is a flag of
/// its open file, which another process may have too and take away, as a child does that has it for
/// its standard input.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
/// As above; the socket option that mio sets keeps SIGPIPE away.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) const SEND_FLAGS: i32 = libc::MSG_DONTWAIT;
/// Keeps a read from waiting, for the same reason.
pub(super) const RECEIVE_FLAGS: i32 = libc::MSG_DONTWAIT;

/// On Linux `receive` does not go by way of the C library's `recv`, nor `send` by way of its
/// `send`: those are places where a thread can be cancelled, and in a process with several threads
/// (glibc 2.36) they note that with two locked instructions each. Nobody cancels a thread of Rust.
impl Transport for TcpStream {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }

    /// Only where the poller reports that an urgent byte stands in the stream (`MSG_OOB`).
    #[inline]
    fn short_read_empties(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
    }

    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (socket, start, len) = (self.as_raw_fd(), buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the descriptor is open while the stream is borrowed, and the system writes at
        // most `len` bytes from `start`, which is the buffer. No address is asked for.
        #[cfg(target_os = "linux")]
        let count = unsafe {
            let nowhere = std::ptr::null_mut::<libc::c_void>();
            let flags = RECEIVE_FLAGS;
            libc::syscall(libc::SYS_recvfrom, socket, start, len, flags, nowhere, nowhere)
        };
        // SAFETY: as above.
        #[cfg(not(target_os = "linux"))]
        let count = unsafe { libc::recv(socket, start.cast(), len, RECEIVE_FLAGS) };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }

    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        peek_on(self.as_raw_fd(), buffer)
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        send_on(self.as_raw_fd(), data)
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let at_most = data.len().min(MAX_BUFFERS);
        socket2::SockRef::from(self).send_vectored_with_flags(&data[..at_most], SEND_FLAGS)
    }

    fn send_end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn connected(&self) -> Option<io::Result<()>> {
        let outcome = self.take_error().and_then(|error| match error {
            Some(error) => Err(error),
            None => self.peer_addr().map(|_peer| ()),
        });
        match outcome {
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => None,
            decided => Some(decided),
        }
    }
}

/// Copies what has come and leaves it there, on a socket that its owner keeps open meanwhile.
pub(super) fn peek_on(socket: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (start, len) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the system writes at most `len` bytes from `start`, which is the buffer. On a
    // descriptor that is no socket, or not open, the call fails.
    let count = unsafe { libc::recv(socket, start.cast(), len, RECEIVE_FLAGS | libc::MSG_PEEK) };
    usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
}

/// Sends what the system takes of `data`, on a socket that its owner keeps open meanwhile.
#[inline]
pub(super) fn send_on(socket: RawFd, data: &[u8]) -> io::Result<usize> {
    let (start, len) = (data.as_ptr(), data.len());
    // SAFETY: the system reads at most `len` bytes from `start`, which is the data. No address is
    // given. On a descriptor that is no socket, or not open, the call fails.
    #[cfg(target_os = "linux")]
    let count = unsafe {
        let nowhere = std::ptr::null::<libc::c_void>();
        libc::syscall(libc::SYS_sendto, socket, start, len, SEND_FLAGS, nowhere, 0)
    };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let count = unsafe { libc::send(socket, start.cast(), len, SEND_FLAGS) };
    usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
}

/// The most buffers that one vectored write may have, on every system that we know.
pub(super) const MAX_BUFFERS: usize = 1024;

/// Sets how many connections may wait to be accepted.
pub(crate) fn set_backlog(listener: &impl AsFd, backlog: i32) -> io::Result<()> {
    socket2::SockRef::from(listener).listen(backlog)
}

/// Binds and listens. An address that was in use a moment ago can be bound again; `reuse_port` has
/// other sockets of this user bind it too.
pub(crate) fn listen(
    address: SocketAddr,
    backlog: i32,
    reuse_port: bool,
    only_v6: Option<bool>,
) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if let Some(only) = only_v6 {
        socket.set_only_v6(only)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets after which time without a byte the system asks whether the peer is there. None: never.
pub(crate) fn set_keepalive(stream: &impl AsFd, idle: Option<Duration>) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    if let Some(idle) = idle {
        socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(idle))?;
    }
    socket.set_keepalive(idle.is_some())
}

/// Makes the closing of the socket a reset instead of an orderly end.
pub(crate) fn set_reset_on_close(stream: &impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Lends a descriptor for as long as its owner is borrowed.
///
/// The caller vouches for that the owner keeps the descriptor open while it lives.
pub(crate) fn borrow_descriptor<T>(_owner: &T, descriptor: RawFd) -> BorrowedFd<'_> {
    // SAFETY: the only caller is `Loop`, whose state keeps its poller, once lent, until it is
    // freed, and the state cannot be freed while a `Loop` that holds it is borrowed.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}
