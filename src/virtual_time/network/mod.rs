//! The network of a simulation: sockets in memory, between the loops of one program.
//!
//! A connection is a [`Link`](link::Link) of two ends; what one end sends lies at the other one
//! with the time of its arrival. [`Listening`](listening::Listening) keeps the connections that
//! wait to be accepted. The [`Book`] says who listens at which address; no other address answers.
//!
//! Nothing here waits or calls back. What happens at a socket later is told to the mailbox of its
//! owner's loop ([`Owner::tell`]), which reports it when its clock has come there, as the poller
//! reports of a socket of the system.
//!
//! Lock order: the book, a listener, a link, a mailbox or the dice.

pub(crate) mod datagrams;
pub(crate) mod link;
pub(crate) mod listening;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::clock::Nanos;
use crate::state::current;
use crate::sys::{self, Event};
use crate::threads::mailbox::Mailbox;
use datagrams::Inbox;
use link::Socket;
use listening::Listening;

/// The first port that is given to who asks for any (RFC 6335).
const FIRST_FREE_PORT: u16 = 49_152;

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    /// Of the Internet.
    Internet(SocketAddr),
    /// A path.
    Path(PathBuf),
    /// A name of a Unix socket that is no path.
    Name(Vec<u8>),
    /// Of a Unix socket that has none.
    Nobody,
}

impl Address {
    /// The address of a Unix socket.
    pub(crate) fn of_unix(address: &net::SocketAddr) -> Address {
        if let Some(path) = address.as_pathname() {
            return Address::Path(path.to_owned());
        }
        abstract_name(address).map_or(Address::Nobody, |name| Address::Name(name.to_owned()))
    }

    /// As the standard library has it, of a Unix socket.
    pub(crate) fn to_unix(&self) -> io::Result<net::SocketAddr> {
        match self {
            Address::Path(path) => net::SocketAddr::from_pathname(path),
            Address::Name(name) => from_abstract_name(name),
            Address::Internet(_) | Address::Nobody => net::SocketAddr::from_pathname(""),
        }
    }

    /// As the standard library has it, of a socket of the Internet.
    pub(crate) fn to_internet(&self) -> io::Result<SocketAddr> {
        match self {
            Address::Internet(address) => Ok(*address),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The port of an address of the Internet.
    fn port(&self) -> Option<u16> {
        match self {
            Address::Internet(address) => Some(address.port()),
            _ => None,
        }
    }
}

/// Whom the system means by an address: any address of the host is the host itself.
fn host_of(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(address: &net::SocketAddr) -> Option<&[u8]> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    address.as_abstract_name()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn from_abstract_name(name: &[u8]) -> io::Result<net::SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    net::SocketAddr::from_abstract_name(name)
}

/// As above, where there are no such names.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_address: &net::SocketAddr) -> Option<&[u8]> {
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn from_abstract_name(name: &[u8]) -> io::Result<net::SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    net::SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))
}

/// The handle that a socket belongs to, and its loop.
pub(super) struct Owner {
    /// Of the loop.
    mailbox: Arc<Mailbox>,
    /// Of the handle.
    key: u64,
}

impl Owner {
    /// The handle with this key, of the current loop.
    fn here(key: u64) -> Option<Owner> {
        current::with(|state| Owner { mailbox: state.mailbox.clone(), key })
    }

    /// Reports this to the handle, at this time.
    fn tell(&self, at: Nanos, event: Event) {
        self.mailbox.report_at(at, self.key, event);
    }
}

/// Who is at which address.
#[derive(Default)]
pub(crate) struct Book {
    /// What the lock guards.
    entries: Mutex<Entries>,
}

/// What the lock guards.
#[derive(Default)]
struct Entries {
    /// Who listens. Gone when the listener is.
    listening: BTreeMap<Address, Weak<Listening>>,
    /// Who has a UDP socket. Gone when the socket is.
    inboxes: BTreeMap<SocketAddr, Weak<Inbox>>,
    /// How many ports were given to who asked for any.
    given: u16,
}

impl Entries {
    /// A port at which nobody is.
    fn free_port(&mut self) -> u16 {
        for _ in FIRST_FREE_PORT..u16::MAX {
            let port = FIRST_FREE_PORT + self.given % (u16::MAX - FIRST_FREE_PORT);
            self.given = self.given.wrapping_add(1);
            let listens = self.listening.keys().any(|at| at.port() == Some(port));
            if !listens && !self.inboxes.keys().any(|at| at.port() == port) {
                return port;
            }
        }
        0 // As many as there are: the address is taken.
    }

    /// Whether somebody listens at this address or at one that is part of it.
    fn is_taken(&self, address: &Address) -> bool {
        self.listening.iter().any(|(taken, listening)| match (taken, address) {
            (Address::Internet(taken), Address::Internet(address)) => {
                listening.upgrade().is_some_and(|listening| {
                    let only_v6 = listening.only_v6();
                    covers(taken, address, only_v6) || covers(address, taken, only_v6)
                })
            }
            (taken, address) => taken == address && listening.strong_count() > 0,
        })
    }
}

/// Whether who is bound to `own` gets what is sent to `address`.
fn covers(own: &SocketAddr, address: &SocketAddr, only_v6: bool) -> bool {
    let at_any = own.ip().is_unspecified()
        && (own.is_ipv4() == address.is_ipv4() || own.is_ipv6() && !only_v6);
    own.port() == address.port() && (own.ip() == address.ip() || at_any)
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No user code runs under the lock, so what it guards is whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address like this one, with a port if it has none; of a Unix socket that is to be found,
    /// with a name.
    pub(super) fn free_address(&self, address: &Address, is_found: bool) -> Address {
        let mut entries = self.lock();
        let mut address = address.clone();
        match &mut address {
            Address::Internet(address) if address.port() == 0 => {
                address.set_port(entries.free_port());
            }
            Address::Nobody if is_found => {
                address = Address::Name(entries.free_port().to_string().into());
            }
            _ => {}
        }
        address
    }

    /// Opens a listener.
    fn listen(&self, address: &Address, listening: &Arc<Listening>) -> io::Result<()> {
        let mut entries = self.lock();
        if entries.is_taken(address) {
            return Err(io::Error::from_raw_os_error(sys::EADDRINUSE));
        }
        entries.listening.insert(address.clone(), Arc::downgrade(listening));
        Ok(())
    }

    /// Binds a UDP socket. Returns where it is.
    fn bind(&self, mut address: SocketAddr, inbox: &Arc<Inbox>) -> io::Result<SocketAddr> {
        let mut entries = self.lock();
        if address.port() == 0 {
            address.set_port(entries.free_port());
        }
        let mut taken = entries.inboxes.iter().filter(|(_, inbox)| inbox.strong_count() > 0);
        if taken.any(|(at, _)| covers(at, &address, false) || covers(&address, at, false)) {
            return Err(io::Error::from_raw_os_error(sys::EADDRINUSE));
        }
        entries.inboxes.insert(address, Arc::downgrade(inbox));
        Ok(address)
    }

    /// Who has the UDP socket at an address.
    fn inbox(&self, address: SocketAddr) -> Option<Arc<Inbox>> {
        let entries = self.lock();
        let mut found = entries.inboxes.iter().filter(|(at, _)| covers(at, &address, false));
        // One that was dropped where no loop was current is still in the book.
        found.find_map(|(_, inbox)| inbox.upgrade())
    }

    /// A UDP socket is gone. Another one may be there by now, or this be another program's book.
    fn forget_inbox(&self, address: SocketAddr, inbox: &Arc<Inbox>) {
        let mut entries = self.lock();
        let own = |known: &Weak<Inbox>| Weak::as_ptr(known) == Arc::as_ptr(inbox);
        if entries.inboxes.get(&address).is_some_and(own) {
            entries.inboxes.remove(&address);
        }
    }

    /// Who listens at an address.
    fn find(&self, address: &Address) -> Option<Arc<Listening>> {
        let entries = self.lock();
        let Address::Internet(to) = address else {
            return entries.listening.get(address).and_then(Weak::upgrade);
        };
        let all = entries.listening.iter();
        let mut all = all.filter_map(|(at, listening)| match at {
            Address::Internet(at) => Some((at, listening.upgrade()?)),
            _ => None,
        });
        all.find(|(at, listening)| listening.takes(at, to)).map(|(_, listening)| listening)
    }

    /// A listener is gone.
    fn forget(&self, address: &Address, listening: &Arc<Listening>) {
        let mut entries = self.lock();
        let own = |known: &Weak<Listening>| Weak::as_ptr(known) == Arc::as_ptr(listening);
        if entries.listening.get(address).is_some_and(own) {
            entries.listening.remove(address);
        }
    }
}

/// Begins to connect to an address of the Internet, in a simulation. None elsewhere.
pub(crate) fn connect_to(to: SocketAddr) -> Option<Socket> {
    current::with_chance(|_| ())?;
    let to = host_of(to);
    // Who connects is at the same host.
    let from = Address::Internet(SocketAddr::new(to.ip(), 0));
    Some(Socket::connect(&from, Address::Internet(to)))
}

/// As [`connect_to`], for a Unix socket.
pub(crate) fn connect_to_unix(to: &net::SocketAddr) -> Option<Socket> {
    current::with_chance(|_| ())?;
    Some(Socket::connect(&Address::Nobody, Address::of_unix(to)))
}

/// The number of the program that the calling thread's loop belongs to.
fn program() -> u64 {
    current::place().map_or(0, |here| here.program)
}

/// The time of the calling thread's loop, if it belongs to this program; else the latest that is
/// known.
fn now(program: u64, latest: Nanos) -> Nanos {
    let here = current::place().filter(|here| here.program == program);
    here.map_or(latest, |here| here.time)
}

/// Whether a call that could go on is put off by chance, for this once.
fn is_put_off(put_off: &mut bool) -> bool {
    current::with_chance(|chance| chance.puts_off(put_off)).unwrap_or(false)
}

/// How long something is on its way that is sent here.
fn latency() -> Nanos {
    current::with_chance(|chance| chance.latency()).unwrap_or(0)
}
