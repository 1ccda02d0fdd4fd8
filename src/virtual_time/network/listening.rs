//! A listener in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Socket;
use super::{Address, Owner, covers, is_put_off, latency, now, program};
use crate::clock::Nanos;
use crate::state::current;
use crate::sys::Event;

/// What a listener shares with those who connect to it.
pub(crate) struct Listening {
    /// At any address of IPv6 it takes no connection over IPv4.
    only_v6: bool,
    /// What the lock guards.
    state: Mutex<State>,
}

/// What the lock guards.
struct State {
    /// Connections that wait.
    waiting: VecDeque<Socket>,
    /// How many may.
    backlog: usize,
    /// Who is told of them.
    owner: Option<Owner>,
    /// The last accept was told to wait by chance alone.
    put_off: bool,
}

/// A listener in memory.
pub(crate) struct Listener {
    /// What it shares. Its end in the book goes with it.
    shared: Arc<Listening>,
    /// Where it is.
    address: Address,
    /// The number of the program whose time it is in.
    program: u64,
}

impl Listening {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock, so what it guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn only_v6(&self) -> bool {
        self.only_v6
    }

    /// Whether one more connection may wait.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.waiting.len() <= state.backlog
    }

    /// A connect has arrived.
    pub(super) fn arrive(&self, socket: Socket, now: Nanos) {
        let mut state = self.lock();
        state.waiting.push_back(socket);
        state.owner.iter().for_each(|owner| owner.tell(now, Event::READABLE));
    }

    /// Whether it is reached at this address of its port, besides at its own.
    pub(super) fn takes(&self, own: &SocketAddr, address: &SocketAddr) -> bool {
        covers(own, address, self.only_v6)
    }
}

impl Listener {
    /// Listens at an address, in a simulation. A port or name of the address's own if it has none.
    pub(crate) fn bind(address: &Address, backlog: usize, only_v6: bool) -> io::Result<Listener> {
        let state = State { waiting: VecDeque::new(), backlog, owner: None, put_off: false };
        let shared = Arc::new(Listening { only_v6, state: Mutex::new(state) });
        let bind = current::with_chance(|chance| {
            let address = chance.book.free_address(address, true);
            chance.book.listen(&address, &shared).map(|()| address)
        });
        let address = bind.unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))?;
        Ok(Listener { shared, address, program: program() })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The number of the program whose time it is in.
    pub(crate) fn program(&self) -> u64 {
        self.program
    }

    /// The key by which connections are reported. None when the listener leaves its loop.
    pub(crate) fn report_to(&self, key: Option<u64>) {
        let mut state = self.shared.lock();
        state.owner = key.and_then(Owner::here);
        if !state.waiting.is_empty() {
            let now = now(self.program, 0);
            state.owner.iter().for_each(|owner| owner.tell(now, Event::READABLE));
        }
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        let mut state = self.shared.lock();
        if !state.waiting.is_empty() && is_put_off(&mut state.put_off) {
            let again = now(self.program, 0).saturating_add(latency());
            state.owner.iter().for_each(|owner| owner.tell(again, Event::READABLE));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let socket = state.waiting.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        drop(state);
        if let Some(error) = current::with_chance(|chance| chance.accept_error()).flatten() {
            return Err(error); // The connection is closed.
        }
        Ok(socket)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        current::with_chance(|chance| chance.book.forget(&self.address, &self.shared));
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        waiting.iter().for_each(Socket::reset_on_close);
        drop(waiting);
    }
}
