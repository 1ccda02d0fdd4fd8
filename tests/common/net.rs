//! Sockets of the system's own, for the other end of a connection.
#![allow(unsafe_code)]

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use windlass::net::TcpStream;

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

/// Whether this is the error of an operation that was canceled.
pub(crate) fn is_canceled<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(libc::ECANCELED))
}
