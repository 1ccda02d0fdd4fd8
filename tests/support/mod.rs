//! Helpers for the tests of sockets, descriptors, signals, the pool, workers and ports.
//!
//! What a test waits for is always a real event. The only clock here is the watchdog of
//! [`bounded`], whose limit lies far above what any test needs.
#![allow(dead_code, unsafe_code)] // Each test binary uses a part of this file.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use windlass::Loop;
use windlass::net::TcpStream;

/// How long a test may take before it counts as hung.
const HUNG_AFTER: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own, passes its panic on, and fails when it hangs.
pub(crate) fn bounded<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = mpsc::channel();
    let thread = thread::Builder::new()
        .name(thread::current().name().unwrap_or("test").to_owned())
        .spawn(move || {
            let result = body();
            done.send(()).unwrap();
            result
        })
        .unwrap();
    if finished.recv_timeout(HUNG_AFTER) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A loop whose clock moves only when it would wait.
pub(crate) fn virtual_loop() -> Loop {
    Loop::builder().virtual_time(true).build().unwrap()
}

/// As `windlass::run`, in virtual time: a delay is over as soon as nothing else is ready. A source that
/// is ready again and again would keep the clock from moving, so a test that waits also shows that
/// there is none.
pub(crate) fn run_in_virtual_time<R>(main: impl FnOnce() -> R) -> R {
    virtual_loop().run(main)
}

/// What happened, in order. Clones write into the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    /// Adds a line.
    pub(crate) fn say(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    /// A callback that adds `line`.
    pub(crate) fn says(&self, line: &'static str) -> impl FnOnce() + 'static {
        let log = self.clone();
        move || log.say(line)
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// How often `line` was said.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.borrow().iter().filter(|said| *said == line).count()
    }
}

/// Counts the wakes of a future that a test polls by hand.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    /// A waker that counts, and the count.
    pub(crate) fn new() -> (Waker, Arc<Wakes>) {
        let wakes = Arc::new(Wakes::default());
        (Waker::from(wakes.clone()), wakes)
    }

    /// How many wakes there were.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Numbers that are the same each time (xorshift). The seed is not 0.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Polls `future` once and gives it up again.
pub(crate) fn poll_once_and_drop<F: Future>(future: F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(waker))
}

/// Polls a pinned future once.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Lets the loop make full iterations until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        windlass::yield_now().await;
    }
}

/// Lets the loop make `count` full iterations.
pub(crate) async fn iterations(count: usize) {
    for _ in 0..count {
        windlass::yield_now().await;
    }
}

/// Calls `then` in the check phase, `count` iterations from now.
pub(crate) fn after_iterations(count: usize, then: impl FnOnce() + 'static) {
    windlass::set_immediate(move || match count {
        0 | 1 => then(),
        _ => after_iterations(count - 1, then),
    });
}

/// The loopback addresses that this system has, each with port 0.
pub(crate) fn loopbacks() -> Vec<&'static str> {
    let has = |addr: &&str| StdListener::bind(addr).is_ok();
    ["127.0.0.1:0", "[::1]:0"].into_iter().filter(has).collect()
}

/// Connects a stream of the current loop with a plain socket and hands both to `then`.
pub(crate) fn with_peer(then: impl FnOnce(TcpStream, StdStream) + 'static) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).on_complete(move |stream| {
        let stream = stream.unwrap();
        let (peer, _) = listener.accept().unwrap();
        then(stream, peer);
    });
}

/// A stream of the current loop and the plain socket at its other end.
pub(crate) async fn connected() -> (TcpStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (peer, _) = listener.accept().unwrap();
    (stream, peer)
}

/// An address at which a connect is refused for as long as the descriptor lives.
pub(crate) fn refusing_address() -> (OwnedFd, SocketAddr) {
    // SAFETY: the calls get a descriptor made here, and an address that lives across them.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0);
        let socket = OwnedFd::from_raw_fd(fd);
        let mut name: libc::sockaddr_in = std::mem::zeroed();
        let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        name.sin_family = libc::AF_INET as libc::sa_family_t;
        name.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let name_ptr = (&raw mut name).cast();
        assert_eq!(libc::bind(fd, name_ptr, len), 0);
        assert_eq!(libc::getsockname(fd, name_ptr, &mut len), 0);
        (socket, SocketAddr::from(([127, 0, 0, 1], u16::from_be(name.sin_port))))
    }
}

/// An address at which a connect gets no answer for as long as the sockets live: the backlog of
/// its listener has room for one connection, and that one is there.
#[derive(Debug)]
pub(crate) struct SilentAddress {
    _listener: StdListener,
    _first: StdStream,
    pub(crate) addr: SocketAddr,
}

impl SilentAddress {
    pub(crate) fn new() -> SilentAddress {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: the descriptor belongs to a listener that is alive here.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let addr = listener.local_addr().unwrap();
        let first = StdStream::connect(addr).unwrap();
        SilentAddress { _listener: listener, _first: first, addr }
    }
}

/// Makes dropping `stream` reset its connection instead of ending it.
pub(crate) fn reset_on_drop(stream: &StdStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the option's value is a live structure of the size that is given.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

/// Reads an integer option of a socket.
pub(crate) fn socket_option(fd: RawFd, level: i32, name: i32) -> i32 {
    let mut value: i32 = 0;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: value and length are live integers of the size that is given.
    let result = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut len) };
    assert_eq!(result, 0);
    value
}

/// Whether the descriptor is non-blocking, and whether it is closed on exec.
pub(crate) fn descriptor_flags(fd: RawFd) -> (bool, bool) {
    // SAFETY: reading the flags of a descriptor touches no memory of this process.
    let (status, own) = unsafe { (libc::fcntl(fd, libc::F_GETFL), libc::fcntl(fd, libc::F_GETFD)) };
    assert!(status >= 0 && own >= 0);
    (status & libc::O_NONBLOCK != 0, own & libc::FD_CLOEXEC != 0)
}

/// Lifts the soft limit of open descriptors to the hard one, or to `at_most`.
pub(crate) fn raise_descriptor_limit(at_most: u64) -> u64 {
    // SAFETY: both calls get a live structure of the right type.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(at_most).max(limit.rlim_cur);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur
    }
}

/// Whether this is the error of an operation that was canceled.
pub(crate) fn is_canceled<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(libc::ECANCELED))
}

/// A sum that changes when bytes are lost, doubled or swapped (FNV-1a, in words of eight bytes).
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x100_0000_01b3).rotate_left(29);
    }
    sum
}

/// `len` bytes that differ from seed to seed (xorshift).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = vec![0; len];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}
