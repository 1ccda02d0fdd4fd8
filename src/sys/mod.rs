//! Door 3, to the system: all that a platform must give, and the only place that names mio and
//! libc.
//!
//! - [`Poller`] and [`Waker`]: wait for readiness, edge-triggered, and end the wait from any
//!   thread;
//! - [`TcpListener`], [`TcpStream`], [`UnixListener`] and [`UnixStream`]: non-blocking sockets that
//!   can be registered with it;
//! - [`Transport`]: the calls that every stream of bytes makes on its descriptor;
//! - [`bind_udp`] and the calls on such a socket: datagrams;
//! - [`Descriptor`]: pipes, terminals and descriptors that come from elsewhere, which never wait;
//! - [`terminal`]: modes that are put back, and sizes;
//! - [`descriptor_ready`]: whether a descriptor is ready at this moment, level by level;
//! - [`thread_cpu_time`]: what a thread has used;
//! - [`spare_descriptor`]: a descriptor of no use but to have a number;
//! - [`file`] and [`dir`]: calls on files and directories that std lacks;
//! - [`inotify`]: what happens to files and directories;
//! - [`process`]: starting a program, hearing of its end, signalling it;
//! - [`resolver`]: names to addresses and back, blocking;
//! - `scrypt`: keys that cost memory, by a library in C (with the feature `crypto`);
//! - [`signal`]: hand-over of signals from a handler to the loops that watch them;
//! - [`monotonic_nanos`]: the clock.

#[cfg(not(unix))]
compile_error!("windlass runs on Unix systems only so far: its loop exposes a file descriptor");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("windlass needs 64-bit poll tokens: a handle's index and its generation");

mod descriptor;
pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod inotify;
pub(crate) mod process;
pub(crate) mod resolver;
#[cfg(feature = "crypto")]
pub(crate) mod scrypt;
pub(crate) mod signal;
pub(crate) mod terminal;
mod transport;
mod udp;
mod unix;
mod unix_socket;

use std::fmt;
use std::io;
use std::ops::BitOrAssign;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

pub use descriptor::Kind;
pub(crate) use descriptor::{Access, Descriptor, can_be_polled, duplicate, kind_of};
pub(crate) use mio::net::{TcpListener, TcpStream, UnixListener};
pub(crate) use transport::Transport;
pub(crate) use udp::{
    Received, UdpOptions, bind_udp, disconnect_udp, receive_datagram, send_datagram,
    set_multicast_hops_v6, set_multicast_interface_v4, set_multicast_interface_v6, set_unicast_ttl,
};
pub(crate) use unix::{
    borrow_descriptor, descriptor_ready, is_out_of_descriptors, listen, monotonic_nanos,
    own_cpu_time, set_backlog, set_keepalive, set_reset_on_close, spare_descriptor,
    thread_cpu_time,
};
pub(crate) use unix_socket::{DESCRIPTORS_MAX, UnixStream, peer_credentials};

pub(crate) const ECANCELED: i32 = libc::ECANCELED;
pub(crate) const ENOTCONN: i32 = libc::ENOTCONN;
pub(crate) const EPIPE: i32 = libc::EPIPE;
pub(crate) const EINVAL: i32 = libc::EINVAL;
pub(crate) const EISCONN: i32 = libc::EISCONN;
pub(crate) const EDESTADDRREQ: i32 = libc::EDESTADDRREQ;
pub(crate) const EBADF: i32 = libc::EBADF;
pub(crate) const EOPNOTSUPP: i32 = libc::EOPNOTSUPP;
pub(crate) const EIO: i32 = libc::EIO;
pub(crate) const ENOSPC: i32 = libc::ENOSPC;
pub(crate) const EMFILE: i32 = libc::EMFILE;
pub(crate) const EACCES: i32 = libc::EACCES;
pub(crate) const EAGAIN: i32 = libc::EAGAIN;
pub(crate) const EADDRINUSE: i32 = libc::EADDRINUSE;
pub(crate) const EMSGSIZE: i32 = libc::EMSGSIZE;
/// An opening that waits for nobody, of a FIFO for example.
pub(crate) const O_NONBLOCK: i32 = libc::O_NONBLOCK;

/// What the poller reported of a source, as a set.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Event(u8);

impl Event {
    /// There is something to read, or somebody to accept.
    pub(crate) const READABLE: Event = Event(1);
    /// There is room to write, or the connection is made.
    pub(crate) const WRITABLE: Event = Event(1 << 1);
    /// The peer will send no more, or the connection is gone.
    pub(crate) const READ_CLOSED: Event = Event(1 << 2);
    /// What is written can no longer arrive.
    pub(crate) const WRITE_CLOSED: Event = Event(1 << 3);
    /// The source has failed.
    pub(crate) const ERROR: Event = Event(1 << 4);
    /// An urgent byte has come.
    pub(crate) const PRIORITY: Event = Event(1 << 5);
    /// What a socket or another stream is watched for.
    pub(crate) const OF_STREAMS: Event =
        Event::READABLE.with(Event::WRITABLE).with(Event::PRIORITY);

    /// Whether any of `other` is in this set.
    pub(crate) fn has(self, other: Event) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Event) -> Event {
        Event(self.0 | other.0)
    }

    /// What both sets have.
    pub(crate) fn only(self, other: Event) -> Event {
        Event(self.0 & other.0)
    }

    /// This set less `other`.
    pub(crate) fn without(self, other: Event) -> Event {
        Event(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, when: bool, what: Event) {
        if when {
            self.0 |= what.0;
        }
    }
}

impl BitOrAssign for Event {
    fn bitor_assign(&mut self, other: Event) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["readable", "writable", "read-closed", "write-closed", "error", "priority"];
        let set = names.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

/// Events fetched by one wait. What does not fit is fetched by the next one.
const EVENTS_PER_WAIT: usize = 1024;

/// The token of the poller's own waker, which is no handle's key.
const WAKER: mio::Token = mio::Token(usize::MAX);

/// Waits for sources to become ready. A source is registered with a *key*, a number of the
/// caller's, by which its events are reported.
pub(crate) struct Poller {
    /// The system's queue of events.
    poll: mio::Poll,
    /// What the last wait fetched.
    events: mio::Events,
}

/// Ends the poller's wait from any thread.
pub(crate) struct Waker(mio::Waker);

impl Waker {
    /// Ends the wait. A signal that comes in between is no failure.
    pub(crate) fn wake(&self) -> io::Result<()> {
        loop {
            match self.0.wake() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<(Poller, Waker)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let events = mio::Events::with_capacity(EVENTS_PER_WAIT);
        Ok((Poller { poll, events }, Waker(waker)))
    }

    /// Waits until a source is ready, the waker is used or `timeout` has passed, rounded up to
    /// whole milliseconds. A signal ends the wait early with `Interrupted`.
    #[inline(always)]
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout)
    }

    /// Reports what the last wait fetched, each event with the key of its source. Returns how many
    /// there were, without the waker's.
    #[inline(always)]
    pub(crate) fn fetched(&self, mut each: impl FnMut(u64, Event)) -> u64 {
        let mut count = 0;
        for event in self.events.iter().filter(|event| event.token() != WAKER) {
            let mut seen = Event::default();
            seen.add(event.is_readable(), Event::READABLE);
            seen.add(event.is_writable(), Event::WRITABLE);
            seen.add(event.is_read_closed(), Event::READ_CLOSED);
            seen.add(event.is_write_closed(), Event::WRITE_CLOSED);
            seen.add(event.is_error(), Event::ERROR);
            seen.add(event.is_priority(), Event::PRIORITY);
            each(event.token().0 as u64, seen);
            count += 1;
        }
        count
    }

    /// Registers any descriptor for the events of `interest`, which is not empty.
    pub(crate) fn register_descriptor(
        &self,
        fd: BorrowedFd<'_>,
        interest: Event,
        key: u64,
    ) -> io::Result<()> {
        let token = mio::Token(key as usize);
        let raw = fd.as_raw_fd();
        self.poll.registry().register(&mut mio::unix::SourceFd(&raw), token, to_mio(interest))
    }

    /// Replaces the events that a registered descriptor is watched for. What is ready already is
    /// reported anew.
    pub(crate) fn reregister_descriptor(
        &self,
        fd: RawFd,
        interest: Event,
        key: u64,
    ) -> io::Result<()> {
        let token = mio::Token(key as usize);
        self.poll.registry().reregister(&mut mio::unix::SourceFd(&fd), token, to_mio(interest))
    }

    /// Removes a descriptor; must come before it is closed, for a copy of it elsewhere would keep
    /// the registration alive.
    pub(crate) fn deregister_descriptor(&self, fd: impl AsRawFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut mio::unix::SourceFd(&fd.as_raw_fd()))
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

fn to_mio(interest: Event) -> mio::Interest {
    // Hang-up and error are reported whatever is asked for; a watcher of these alone asks to read.
    let mut wanted = None::<mio::Interest>;
    let mut add = |one: mio::Interest| wanted = Some(wanted.map_or(one, |others| others.add(one)));
    if interest.has(Event::WRITABLE) {
        add(mio::Interest::WRITABLE);
    }
    if interest.has(Event::READABLE.with(Event::READ_CLOSED)) {
        add(mio::Interest::READABLE);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if interest.has(Event::PRIORITY) {
        add(mio::Interest::PRIORITY);
    }
    wanted.unwrap_or(mio::Interest::READABLE)
}
