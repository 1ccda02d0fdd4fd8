//! UDP sockets: a datagram with its sender and with whether all of it has come, and the end of a
//! connection. One of the files with `unsafe` code: each block is one system call on values that
//! live until it returns, or looks at an address that such a call has filled.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use super::unix::{RECEIVE_FLAGS, SEND_FLAGS};

/// What comes of receiving one datagram.
pub(crate) struct Received {
    /// The number of bytes in the buffer.
    pub(crate) len: usize,
    /// Who has sent it.
    pub(crate) from: SocketAddr,
    /// It was longer than the buffer.
    pub(crate) truncated: bool,
}

/// How a UDP socket is bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UdpOptions {
    /// `SO_REUSEADDR`.
    pub(crate) reuse_address: bool,
    /// `SO_REUSEPORT`.
    pub(crate) reuse_port: bool,
    /// `IPV6_V6ONLY`. None: as the system is set. Not for an IPv4 address.
    pub(crate) only_v6: Option<bool>,
}

/// Makes a non-blocking socket at an address.
pub(crate) fn bind_udp(address: SocketAddr, options: UdpOptions) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    socket.set_reuse_address(options.reuse_address)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if let Some(only) = options.only_v6 {
        socket.set_only_v6(only)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Takes one datagram, or says would-block.
pub(crate) fn receive_datagram(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut bytes = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: zeroes are a header without an address, buffers and control messages.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = address.as_mut_ptr().cast();
    header.msg_namelen = size_of_val(&address) as libc::socklen_t;
    header.msg_iov = &raw mut bytes;
    header.msg_iovlen = 1;
    // SAFETY: the descriptor is open while the socket is borrowed. The header names the buffer and
    // the room for an address with their lengths, and both live across the call.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, RECEIVE_FLAGS) };
    let len = usize::try_from(len).map_err(|_negative| io::Error::last_os_error())?;
    // SAFETY: zeroed memory, and what the system has written over it, is an address.
    let from = unsafe { from_system(&address.assume_init()) };
    Ok(Received { len, from, truncated: header.msg_flags & libc::MSG_TRUNC != 0 })
}

/// Sends one datagram, to this address or to that which the socket is connected to.
pub(crate) fn send_datagram(
    socket: &UdpSocket,
    data: &[u8],
    to: Option<SocketAddr>,
) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    match to {
        Some(to) => socket.send_to_with_flags(data, &to.into(), SEND_FLAGS),
        None => socket.send_with_flags(data, SEND_FLAGS),
    }
    .map(|_all_or_nothing| ())
}

/// Ends the connection of a socket. It keeps its port.
pub(crate) fn disconnect_udp(socket: &UdpSocket) -> io::Result<()> {
    let port = socket.local_addr()?.port();
    // SAFETY: zeroes are an address, of a family that is then named.
    let mut nobody: libc::sockaddr_storage = unsafe { mem::zeroed() };
    nobody.ss_family = libc::AF_UNSPEC as libc::sa_family_t;
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the descriptor is open while the socket is borrowed, and the address, which is longer
    // than said, lives across the call.
    let failed = unsafe { libc::connect(socket.as_raw_fd(), (&raw const nobody).cast(), len) } < 0;
    if failed {
        let error = io::Error::last_os_error();
        // Some systems say so although it is done.
        let is_done = !cfg!(any(target_os = "linux", target_os = "android"))
            && matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EINVAL));
        if !is_done {
            return Err(error);
        }
    }
    // Linux takes a port away that it had chosen itself.
    let mut local = socket.local_addr()?;
    if local.port() == 0 && port != 0 {
        local.set_port(port);
        socket2::SockRef::from(socket).bind(&local.into())?;
    }
    Ok(())
}

/// An address that the system has filled in. The address of nobody for one of another family.
fn from_system(address: &libc::sockaddr_storage) -> SocketAddr {
    let start = ptr::from_ref(address);
    match libc::c_int::from(address.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is such an address, and there is room for any.
            let v4 = unsafe { &*start.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into()
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*start.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into()
        }
        _ => SocketAddr::from(([0, 0, 0, 0], 0)),
    }
}

/// How far datagrams of a socket travel: `IP_TTL`, or hops.
pub(crate) fn set_unicast_ttl(socket: &UdpSocket, ttl: u32) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        return socket.set_ttl(ttl);
    }
    socket2::SockRef::from(socket).set_unicast_hops_v6(ttl)
}

/// How far datagrams to a group of IPv6 travel.
pub(crate) fn set_multicast_hops_v6(socket: &UdpSocket, hops: u32) -> io::Result<()> {
    socket2::SockRef::from(socket).set_multicast_hops_v6(hops)
}

/// Through which interface, named by its address, datagrams to a group of IPv4 go.
pub(crate) fn set_multicast_interface_v4(socket: &UdpSocket, address: Ipv4Addr) -> io::Result<()> {
    socket2::SockRef::from(socket).set_multicast_if_v4(&address)
}

/// Through which interface, named by its number, datagrams to a group of IPv6 go.
pub(crate) fn set_multicast_interface_v6(socket: &UdpSocket, number: u32) -> io::Result<()> {
    socket2::SockRef::from(socket).set_multicast_if_v6(number)
}
