//! Addresses of a UDP socket, and what can be set on it: how far datagrams travel, broadcast,
//! groups.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::UdpSocket;
use crate::sys;

/// The number, if the system's options have room for it.
fn checked(ttl: u32, least: u32) -> io::Result<u32> {
    if (least..=255).contains(&ttl) {
        return Ok(ttl);
    }
    let text = format!("a time to live of {ttl} is not from {least} to 255");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

impl UdpSocket {
    /// The address that the socket is bound to, with the real port. Connecting may make it more
    /// definite.
    ///
    /// # Errors
    /// The system's; bad-descriptor when the socket is closed, as for all that follow.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.with_socket(|socket| socket.local_addr())
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    /// `NotConnected` when it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.shared.with_socket(|socket| socket.peer_addr())
    }

    /// Whether datagrams may be sent to a broadcast address. False unless set.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_broadcast(true)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.set(|socket| socket.set_broadcast(on)))
    }

    /// How many hops a datagram may travel, from 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput` for any other number; the system's.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     assert!(socket.set_ttl(0).is_err());
    ///     socket.set_ttl(64)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = checked(ttl, 1)?;
        self.shared.with_socket(|socket| socket.set(|socket| sys::set_unicast_ttl(socket, ttl)))
    }

    /// Whether what is sent to a group of IPv4 also comes back to members on this machine. True
    /// unless set.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_multicast_loop_v4(false)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.set(|socket| socket.set_multicast_loop_v4(on)))
    }

    /// As [`set_multicast_loop_v4`](UdpSocket::set_multicast_loop_v4), for groups of IPv6.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     # if UdpSocket::bind("[::1]:0").is_err() {
    ///     #     return Ok(());
    ///     # }
    ///     let socket = UdpSocket::bind("[::1]:0")?;
    ///     socket.set_multicast_loop_v6(false)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.set(|socket| socket.set_multicast_loop_v6(on)))
    }

    /// How many hops a datagram to a group of IPv4 may travel, from 0, which does not leave the
    /// machine, to 255. 1 unless set.
    ///
    /// # Errors
    /// `InvalidInput` for a greater number; the system's.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     assert!(socket.set_multicast_ttl_v4(256).is_err());
    ///     socket.set_multicast_ttl_v4(4)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        let ttl = checked(ttl, 0)?;
        self.shared.with_socket(|socket| socket.set(|socket| socket.set_multicast_ttl_v4(ttl)))
    }

    /// As [`set_multicast_ttl_v4`](UdpSocket::set_multicast_ttl_v4), for groups of IPv6.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     # if UdpSocket::bind("[::1]:0").is_err() {
    ///     #     return Ok(());
    ///     # }
    ///     let socket = UdpSocket::bind("[::1]:0")?;
    ///     socket.set_multicast_ttl_v6(4)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_ttl_v6(&self, ttl: u32) -> io::Result<()> {
        let hops = checked(ttl, 0)?;
        self.shared
            .with_socket(|socket| socket.set(|socket| sys::set_multicast_hops_v6(socket, hops)))
    }

    /// Has what is sent to groups of IPv4 go through the interface that has this address.
    /// `0.0.0.0` leaves the choice to the system.
    ///
    /// # Errors
    /// The system's: no interface has the address.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        self.shared.with_socket(|socket| {
            socket.set(|socket| sys::set_multicast_interface_v4(socket, interface))
        })
    }

    /// Has what is sent to groups of IPv6 go through the interface of this number. 0 leaves the
    /// choice to the system.
    ///
    /// # Errors
    /// The system's: no interface has the number.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     # if UdpSocket::bind("[::1]:0").is_err() {
    ///     #     return Ok(());
    ///     # }
    ///     let socket = UdpSocket::bind("[::1]:0")?;
    ///     socket.set_multicast_interface_v6(0)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        self.shared.with_socket(|socket| {
            socket.set(|socket| sys::set_multicast_interface_v6(socket, interface))
        })
    }

    /// Receives what is sent to a group of IPv4, through the interface that has this address.
    /// `0.0.0.0` leaves the choice to the system. The socket must be bound to the port, and to
    /// `0.0.0.0` or the group.
    ///
    /// # Errors
    /// The system's: no interface has the address, the group is none, it was joined before.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let group = Ipv4Addr::new(239, 1, 2, 3);
    ///     socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    ///     socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.system()?.join_multicast_v4(&group, &interface))
    }

    /// Ends what [`join_multicast_v4`](UdpSocket::join_multicast_v4) has begun, with the same
    /// addresses. Closing does so too.
    ///
    /// # Errors
    /// The system's: it was not joined.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let group = Ipv4Addr::new(239, 1, 2, 3);
    ///     assert!(socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.system()?.leave_multicast_v4(&group, &interface))
    }

    /// Receives what is sent to a group of IPv6, through the interface of this number. 0 leaves the
    /// choice to the system.
    ///
    /// # Errors
    /// The system's: no interface has the number, the group is none, it was joined before.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv6Addr;
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     # if UdpSocket::bind("[::1]:0").is_err() {
    ///     #     return Ok(());
    ///     # }
    ///     let socket = UdpSocket::bind("[::1]:0")?;
    ///     let no_group = Ipv6Addr::LOCALHOST;
    ///     assert!(socket.join_multicast_v6(&no_group, 0).is_err());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.system()?.join_multicast_v6(group, interface))
    }

    /// Ends what [`join_multicast_v6`](UdpSocket::join_multicast_v6) has begun, with the same
    /// number. Closing does so too.
    ///
    /// # Errors
    /// The system's: it was not joined.
    ///
    /// # Examples
    /// ```
    /// # use windlass::net::UdpSocket;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     # if UdpSocket::bind("[::1]:0").is_err() {
    ///     #     return Ok(());
    ///     # }
    ///     let socket = UdpSocket::bind("[::1]:0")?;
    ///     let group = "ff02::1:2:3".parse().unwrap();
    ///     assert!(socket.leave_multicast_v6(&group, 0).is_err());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.shared.with_socket(|socket| socket.system()?.leave_multicast_v6(group, interface))
    }
}
