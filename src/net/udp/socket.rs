//! The socket below: the system's, or one in memory in a simulation.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::net::exchanged::Exchanged;
use crate::state::State;
use crate::sys::{self, Received, UdpOptions};
use crate::virtual_time::network::datagrams::Datagrams as InMemory;

/// A UDP socket of the system, or one in memory.
pub(super) type Socket = Exchanged<UdpSocket, InMemory>;

use Exchanged::{Simulated, System};

impl Socket {
    /// Makes a socket at an address, in memory if the loop is in a simulation.
    pub(super) fn bind(
        state: &State,
        address: SocketAddr,
        options: UdpOptions,
    ) -> io::Result<Socket> {
        if state.chance().is_some() {
            return InMemory::bind(address).map(Simulated);
        }
        sys::bind_udp(address, options).map(System)
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            System(socket) => socket.local_addr(),
            Simulated(socket) => Ok(socket.address()),
        }
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            System(socket) => socket.peer_addr(),
            Simulated(socket) => socket.peer(),
        }
    }

    pub(super) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        match self {
            System(socket) => socket.connect(address),
            Simulated(socket) => {
                socket.connect(Some(address));
                Ok(())
            }
        }
    }

    pub(super) fn disconnect(&self) -> io::Result<()> {
        match self {
            System(socket) => sys::disconnect_udp(socket),
            Simulated(socket) => {
                socket.connect(None);
                Ok(())
            }
        }
    }

    /// Sends one datagram, to this address or to that which the socket is connected to.
    pub(super) fn send(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        match self {
            System(socket) => sys::send_datagram(socket, data, to),
            Simulated(socket) => socket.send(data, to),
        }
    }

    /// Takes one datagram, or says would-block.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        match self {
            System(socket) => sys::receive_datagram(socket, buffer),
            Simulated(socket) => socket.receive(buffer),
        }
    }

    /// Sets something that means nothing in memory.
    pub(super) fn set(&self, f: impl FnOnce(&UdpSocket) -> io::Result<()>) -> io::Result<()> {
        match self {
            System(socket) => f(socket),
            Simulated(_) => Ok(()),
        }
    }
}
