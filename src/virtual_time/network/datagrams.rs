//! A UDP socket in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Owner, host_of, is_put_off, latency, now, program};
use crate::clock::Nanos;
use crate::state::current;
use crate::sys::{self, Event, Received};

/// The most bytes of a datagram over IPv4.
const LEN_MAX: usize = 65_507;

/// The most bytes that wait in a socket: what a usual system keeps. What comes to a full one is
/// lost.
const WAITING_MAX: usize = 208 << 10;

/// What each datagram takes of that besides its bytes, so that empty ones do not come without end.
const OVERHEAD: usize = 256;

/// What a socket shares with those who send to it.
pub(crate) struct Inbox {
    /// What the lock guards.
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Default)]
struct State {
    /// What was sent here, by the time at which it is here, and by the order of sending.
    incoming: BTreeMap<(Nanos, u64), (SocketAddr, Vec<u8>)>,
    /// How much of the room is taken.
    charged: usize,
    /// How many datagrams were sent here.
    sent: u64,
    /// Who is told of them. None while the socket is on no loop.
    owner: Option<Owner>,
    /// The only one whose datagrams are taken, if the socket is connected.
    peer: Option<SocketAddr>,
    /// The last that was to be received was told to wait by chance alone.
    receive_put_off: bool,
    /// The same of the last that was to be sent.
    send_put_off: bool,
}

/// A UDP socket in memory.
pub(crate) struct Datagrams {
    /// What it shares. Its entry in the book goes with it.
    shared: Arc<Inbox>,
    /// Where it is.
    address: SocketAddr,
    /// The number of the program whose time it is in.
    program: u64,
}

impl State {
    /// The error of a call that is put off, which is worth another try a little later.
    fn told_again(&self, now: Nanos, event: Event) -> io::Error {
        let at = now.saturating_add(latency());
        self.owner.iter().for_each(|owner| owner.tell(at, event));
        io::ErrorKind::WouldBlock.into()
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock, so what it guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, at: Nanos, from: SocketAddr, data: &[u8]) {
        let mut state = self.lock();
        let charged = data.len() + OVERHEAD;
        if state.peer.is_some_and(|peer| peer != from) || state.charged + charged > WAITING_MAX {
            return;
        }
        state.charged += charged;
        state.sent += 1;
        let place = (at, state.sent);
        state.incoming.insert(place, (from, data.to_owned()));
        state.owner.iter().for_each(|owner| owner.tell(at, Event::READABLE));
    }
}

impl Datagrams {
    /// Binds a socket to an address, in a simulation. To a port of its own if it has none.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Datagrams> {
        let shared = Arc::new(Inbox { state: Mutex::default() });
        let bind = current::with_chance(|chance| chance.book.bind(address, &shared));
        let address = bind.unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))?;
        Ok(Datagrams { shared, address, program: program() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.shared.lock().peer.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(crate) fn connect(&self, peer: Option<SocketAddr>) {
        self.shared.lock().peer = peer.map(host_of);
    }

    /// The key by which datagrams are reported. None when the socket leaves its loop.
    pub(crate) fn report_to(&self, key: Option<u64>) {
        let mut state = self.shared.lock();
        state.owner = key.and_then(Owner::here);
        let (owner, now) = (state.owner.iter(), now(self.program, 0));
        owner.for_each(|owner| owner.tell(now, Event::READABLE.with(Event::WRITABLE)));
    }

    pub(crate) fn send(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        if data.len() > LEN_MAX {
            return Err(io::Error::from_raw_os_error(sys::EMSGSIZE));
        }
        let to = host_of(to.map_or_else(|| self.peer(), Ok)?);
        let now = now(self.program, 0);
        let mut state = self.shared.lock();
        if is_put_off(&mut state.send_put_off) {
            return Err(state.told_again(now, Event::WRITABLE));
        }
        drop(state);
        let mut from = self.address;
        if from.ip().is_unspecified() {
            from.set_ip(to.ip());
        }
        let inbox = current::with_chance(|chance| chance.book.inbox(to)).flatten();
        let count = current::with_chance(|chance| chance.copies()).unwrap_or(1);
        // To an address that nobody has it is lost without a word.
        for _ in 0..count {
            let at = now.saturating_add(latency());
            inbox.iter().for_each(|inbox| inbox.put(at, from, data));
        }
        Ok(())
    }

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut state = self.shared.lock();
        let now = now(self.program, Nanos::MAX);
        let is_here = state.incoming.keys().next().is_some_and(|(at, _)| *at <= now);
        if is_here && is_put_off(&mut state.receive_put_off) {
            return Err(state.told_again(now, Event::READABLE));
        }
        let first = state.incoming.first_entry().filter(|_| is_here);
        let (from, data) = first.ok_or(io::ErrorKind::WouldBlock)?.remove();
        state.charged -= data.len() + OVERHEAD;
        let len = data.len().min(buffer.len());
        buffer[..len].copy_from_slice(&data[..len]);
        Ok(Received { len, from, truncated: len < data.len() })
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        current::with_chance(|chance| chance.book.forget_inbox(self.address, &self.shared));
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("address", &self.address).finish_non_exhaustive()
    }
}
