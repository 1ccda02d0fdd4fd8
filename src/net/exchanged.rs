//! Where the sockets of a simulation take the place of the system's.
//!
//! A stream or listener is the system's, or one in memory when the loop is in a simulation. All
//! that stands above asks neither which it is.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::state::State;
use crate::sys::Transport;
use crate::virtual_time::network::link::Socket;
use crate::virtual_time::network::listening::Listener;

/// A socket of the system, or one in memory.
#[derive(Debug)]
pub(crate) enum Exchanged<S, M = Box<Socket>> {
    /// The system's.
    System(S),
    /// One of a simulation.
    Simulated(M),
}

use Exchanged::{Simulated, System};

impl<S> From<Socket> for Exchanged<S> {
    fn from(socket: Socket) -> Self {
        Simulated(Box::new(socket)) // Few need it, and all would pay for its room.
    }
}

impl<S, M> Exchanged<S, M> {
    /// The system's socket, for what a simulation does not have.
    pub(super) fn system(&self) -> io::Result<&S> {
        match self {
            System(socket) => Ok(socket),
            Simulated(_) => Err(unsupported()),
        }
    }

    /// As [`system`](Exchanged::system).
    pub(super) fn into_system(self) -> io::Result<S> {
        match self {
            System(socket) => Ok(socket),
            Simulated(_) => Err(unsupported()),
        }
    }

    /// The same with the system's socket as another type.
    pub(super) fn map<T>(self, f: impl FnOnce(S) -> T) -> Exchanged<T, M> {
        match self {
            System(socket) => System(f(socket)),
            Simulated(socket) => Simulated(socket),
        }
    }
}

/// A socket in memory.
pub(crate) trait InMemory {
    /// The number of the simulation that it belongs to.
    fn program(&self) -> u64;
}

impl InMemory for Box<Socket> {
    fn program(&self) -> u64 {
        Socket::program(self)
    }
}

impl InMemory for Listener {
    fn program(&self) -> u64 {
        Listener::program(self)
    }
}

impl<S, M: InMemory> Exchanged<S, M> {
    /// Refuses a socket of a simulation on a loop of none, or of another one, which has a time of
    /// its own.
    pub(super) fn check(&self, state: &State) -> io::Result<()> {
        let Simulated(socket) = self else { return Ok(()) };
        if state.virtual_time.as_ref().is_some_and(|own| own.program() == socket.program()) {
            return Ok(());
        }
        let text = "a socket of a simulation can be opened in that simulation only";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a socket of a simulation has no descriptor")
}

/// Does with the socket what is written for it, whichever it is.
macro_rules! either {
    ($this:ident, $socket:ident => $call:expr) => {
        match $this {
            System($socket) => $call,
            Simulated($socket) => $call,
        }
    };
}

impl<S: Transport> Transport for Exchanged<S> {
    #[inline]
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        either!(self, socket => socket.watched())
    }

    fn report_to(&mut self, key: Option<u64>) {
        either!(self, socket => socket.report_to(key));
    }

    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => socket.receive(buffer))
    }

    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => socket.peek(buffer))
    }

    #[inline]
    fn short_read_empties(&self) -> bool {
        either!(self, socket => socket.short_read_empties())
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        either!(self, socket => socket.send(data))
    }

    #[inline]
    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, socket => socket.send_vectored(data))
    }

    fn send_descriptors(&self, data: &[IoSlice<'_>], descriptors: &[OwnedFd]) -> io::Result<usize> {
        either!(self, socket => socket.send_descriptors(data, descriptors))
    }

    fn send_end(&self) -> io::Result<()> {
        either!(self, socket => socket.send_end())
    }

    fn connected(&self) -> Option<io::Result<()>> {
        either!(self, socket => socket.connected())
    }
}
