//! Settings for a UDP socket that is bound last.

use std::io;

use super::datagrams::Datagrams;
use super::socket::Socket;
use super::{UdpSocket, address_of};
use crate::error;
use crate::net::Address;
use crate::state::current;
use crate::sys;
use crate::trace::label::here;

/// How much of a datagram the receive callback gets, unless told: all of any.
pub(super) const RECEIVE_SIZE: usize = 64 * 1024;

/// Settings for a [`UdpSocket`] that is bound last. Made by [`UdpSocket::builder`].
///
/// # Examples
/// ```
/// use windlass::net::UdpSocket;
///
/// windlass::run(|| {
///     let settings = UdpSocket::builder().reuse_address(true).receive_size(512);
///     let socket = settings.bind("127.0.0.1:0")?;
///     assert_ne!(socket.local_addr()?.port(), 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct UdpBuilder {
    /// What the system is told.
    options: sys::UdpOptions,
    /// How much of a datagram the receive callback gets. None: all.
    receive_size: Option<usize>,
}

impl UdpBuilder {
    /// Whether other sockets that say so too may bind the same address (`SO_REUSEADDR`). On Linux
    /// the one that was bound last gets what is sent to it, and of a group each gets a copy. False
    /// unless set.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     UdpSocket::builder().reuse_address(true).bind("127.0.0.1:0")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.options.reuse_address = on;
        self
    }

    /// Whether other sockets of this user that say so too may bind the same address, and the system
    /// spreads the datagrams among them (`SO_REUSEPORT`): one socket for each worker. On Linux by a
    /// hash of the addresses. False unless set.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let one = UdpSocket::builder().reuse_port(true).bind("127.0.0.1:0")?;
    ///     UdpSocket::builder().reuse_port(true).bind(one.local_addr()?)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.options.reuse_port = on;
        self
    }

    /// Whether a socket at `[::]` receives over IPv6 only, and leaves IPv4 to others. As the system
    /// is set, unless told: most let it receive both, and IPv4 senders then have mapped addresses.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| {
    ///     let bound = UdpSocket::builder().only_v6(true).bind("127.0.0.1:0");
    ///     assert_eq!(bound.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    /// });
    /// ```
    pub fn only_v6(mut self, on: bool) -> Self {
        self.options.only_v6 = Some(on);
        self
    }

    /// How many bytes of a datagram the receive callback gets. It is told of a longer one that it
    /// was [truncated](super::Datagram::truncated). Without this, and with more than 65,536, it
    /// gets all of any datagram.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::builder().receive_size(4).bind("127.0.0.1:0")?;
    ///     socket.recv_start(|socket, datagram| {
    ///         let datagram = datagram.unwrap();
    ///         assert_eq!((datagram.data, datagram.truncated), (&b"to m"[..], true));
    ///         socket.close();
    ///     });
    ///     socket.try_send_to(b"to myself", socket.local_addr()?)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn receive_size(mut self, bytes: usize) -> Self {
        self.receive_size = Some(bytes);
        self
    }

    /// Binds to an address.
    ///
    /// # Errors
    /// As [`UdpSocket::bind`]; `InvalidInput` for IPv6 only at an IPv4 address.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::UdpSocket;
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::builder().bind("127.0.0.1:0")?;
    ///     assert_ne!(socket.local_addr()?.port(), 0);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(self, address: impl Address) -> io::Result<UdpSocket> {
        let state = current::expect("UdpSocket::bind");
        let address = address_of(address, "bind")?;
        let mut options = self.options;
        if address.is_ipv4() && options.only_v6.take() == Some(true) {
            let text = format!("{address} is no IPv6 address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if !state.is_open() {
            return Err(error::shut_down());
        }
        let socket = Socket::bind(&state, address, options)?;
        let receive_size = self.receive_size.unwrap_or(RECEIVE_SIZE);
        Datagrams::adopt(&state, socket, receive_size, here())
    }
}
