//! Names, resolved on the blocking pool by the system's resolver. Never on the loop.
//!
//! The resolver is the one that every program of the system uses (`getaddrinfo`, `getnameinfo`), so
//! what it is told by files such as `/etc/hosts` counts, as for Node's `dns.lookup` and
//! `dns.lookupService`. It blocks while it waits for a server, for seconds perhaps. So look-ups
//! count as slow work: together they occupy at most half of the pool's threads.
//!
//! Look-ups of the same host and family that a loop has under way at the same time share one call
//! of the resolver. Each is a request of its own all the same: it completes once, and can be
//! cancelled by itself, as long as the call has not begun. They complete in the order in which they
//! were asked. Nothing is kept: a look-up that is made after the answer has come asks again.
//!
//! # Liveness
//! A look-up keeps the loop alive until it has completed.

mod error;
mod options;
mod resolve;
mod shared;

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::rc::Rc;

use crate::error::shut_down;
use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::promise::Promise;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::sys::resolver::{self, Failure};
use crate::trace::label::here;

pub use error::{LookupError, LookupErrorKind};
use shared::KIND;

pub use options::{Family, LookupOptions, Order, Protocol};

/// The most bytes of a host name and of one of its labels (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// The addresses of a host, in the resolver's order, each once.
///
/// A name of which the resolver knows nothing is an error, never an empty list. A text that is an
/// address is its own answer, for which nobody is asked, as in Node. A scope (`fe80::1%eth0`) is
/// understood; an [`IpAddr`] has no place for it, but the answer of [`lookup_socket_addrs`] has.
/// Names that are not ASCII are given to the resolver as they are; few know them but in their
/// encoded form (`xn--…`).
///
/// # Errors
/// The resolver's, with a [`LookupError`] inside: `NotFound` when there is no such host, `Other`
/// when the resolver could not find out. Without a look-up: `InvalidInput` for a name that is
/// empty, has a zero byte, or is too long (253 bytes, or 63 between two dots).
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let addresses = windlass::dns::lookup("localhost").await?;
///     assert!(addresses.iter().all(|address| address.is_loopback()));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup(host: &str) -> Request<io::Result<Vec<IpAddr>>> {
    let state = current::expect("dns::lookup");
    lookup_at(&state, here(), host, LookupOptions::new())
}

/// The addresses of a host: of which family, in which order, and whether all of them.
///
/// As [`lookup`] in all else.
///
/// # Errors
/// As [`lookup`]. A host that has addresses, but none of the family, is `NotFound` too.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::dns::{self, LookupOptions, Order};
///
/// windlass::run(|| {
///     dns::lookup_with("localhost", LookupOptions::new().order(Order::Ipv6First))
///         .on_complete(|addresses| println!("{addresses:?}"));
/// });
/// ```
#[track_caller]
pub fn lookup_with(host: &str, options: LookupOptions) -> Request<io::Result<Vec<IpAddr>>> {
    let state = current::expect("dns::lookup_with");
    lookup_at(&state, here(), host, options)
}

/// The addresses of a host with this port, each with its scope where it has one: what can be
/// connected to.
///
/// A link-local IPv6 address (`fe80::1%eth0`) means nothing without the number of its network
/// interface, the scope. As [`lookup_with`] in all else.
///
/// # Errors
/// As [`lookup_with`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::dns::{self, LookupOptions};
///
/// windlass::block_on(async {
///     let found = dns::lookup_socket_addrs("localhost", 80, LookupOptions::new()).await?;
///     assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_socket_addrs(
    host: &str,
    port: u16,
    options: LookupOptions,
) -> Request<io::Result<Vec<SocketAddr>>> {
    let state = current::expect("dns::lookup_socket_addrs");
    lookup_sockets_at(&state, here(), host, port, options)
}

/// As [`lookup_with`], on behalf of who called from `location`.
fn lookup_at(
    state: &Rc<State>,
    location: &'static Location<'static>,
    host: &str,
    options: LookupOptions,
) -> Request<io::Result<Vec<IpAddr>>> {
    convert(state, location, find(state, location, host, options), |found| {
        // There may be several of one address, each in a scope of its own.
        resolver::each_once(found.iter().map(SocketAddr::ip))
    })
}

/// As [`lookup_socket_addrs`], on behalf of who called from `location`.
pub(crate) fn lookup_sockets_at(
    state: &Rc<State>,
    location: &'static Location<'static>,
    host: &str,
    port: u16,
    options: LookupOptions,
) -> Request<io::Result<Vec<SocketAddr>>> {
    convert(state, location, find(state, location, host, options), move |mut found| {
        found.iter_mut().for_each(|address| address.set_port(port));
        found
    })
}

/// A request for what `make` makes of an answer.
fn convert<T: 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    answer: Request<io::Result<Vec<SocketAddr>>>,
    make: impl FnOnce(Vec<SocketAddr>) -> T + 'static,
) -> Request<io::Result<T>> {
    let (promise, request) = Promise::new(state, KIND, location);
    promise.follow(answer, make);
    request
}

/// The addresses of a host, with port 0.
fn find(
    state: &Rc<State>,
    location: &'static Location<'static>,
    host: &str,
    options: LookupOptions,
) -> Request<io::Result<Vec<SocketAddr>>> {
    if !state.is_open() {
        return Request::failed_later(state, KIND, location, shut_down());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        let answer = options.apply(vec![SocketAddr::new(address, 0)]);
        let other_family = || LookupError::no_address(host.to_owned()).into();
        let answer = if answer.is_empty() { Err(other_family()) } else { Ok(answer) };
        return Request::completed_later(state, KIND, location, answer);
    }
    match host_name(host) {
        Ok(host) => shared::lookup(state, location, host, options),
        Err(error) => Request::failed_later(state, KIND, location, error),
    }
}

/// The host and the service at an address, as the system names them.
///
/// # Examples
/// ```
/// use std::net::SocketAddr;
/// use windlass::dns::lookup_service;
///
/// windlass::block_on(async {
///     if let Ok(found) = lookup_service(SocketAddr::from(([127, 0, 0, 1], 22))).await {
///         println!("{} at {}", found.service, found.host); // ssh at localhost
///     }
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HostAndService {
    /// The host's name.
    pub host: String,
    /// The name of the service at the port, or the port's number if it has none.
    pub service: String,
}

/// The name of the host with this address, and of the TCP service at its port: the way back, Node's
/// `dns.lookupService`.
///
/// # Errors
/// The resolver's, with a [`LookupError`] inside: `NotFound` when the address has no name.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::net::SocketAddr;
///
/// windlass::run(|| {
///     windlass::dns::lookup_service(SocketAddr::from(([127, 0, 0, 1], 22))).on_complete(|found| {
///         match found {
///             Ok(found) => println!("{} at {}", found.service, found.host), // ssh at localhost
///             Err(error) => println!("{error}"),
///         }
///     });
/// });
/// ```
#[track_caller]
pub fn lookup_service(address: SocketAddr) -> Request<io::Result<HostAndService>> {
    let state = current::expect("dns::lookup_service");
    let work = move || {
        let (host, service) = resolve::names(address)?;
        Ok(HostAndService { host, service })
    };
    ask(&state, "address look-up", here(), address.to_string(), work)
}

/// The port of a service, by the name that the system has for it (`/etc/services`): 443 for
/// `"https"`.
///
/// A text that is a number is its own answer.
///
/// # Errors
/// The resolver's, with a [`LookupError`] inside: `NotFound` when there is no such service. Without
/// a look-up: `InvalidInput` for a name that is empty or has a zero byte, and for a number that is
/// no port.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::dns::{self, Protocol};
///
/// windlass::block_on(async {
///     assert_eq!(dns::lookup_port("8080", Protocol::Tcp).await?, 8080);
///     match dns::lookup_port("https", Protocol::Tcp).await {
///         Ok(port) => assert_eq!(port, 443),
///         Err(error) => println!("this system has no list of services: {error}"),
///     }
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn lookup_port(service: &str, protocol: Protocol) -> Request<io::Result<u16>> {
    let state = current::expect("dns::lookup_port");
    let location = here();
    let refuse = |why| Request::failed_later(&state, KIND, location, invalid(why));
    if !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit()) {
        return match service.parse() {
            Ok(port) if state.is_open() => {
                Request::completed_later(&state, KIND, location, Ok(port))
            }
            Ok(_) => Request::failed_later(&state, KIND, location, shut_down()),
            Err(_) => refuse(format!("port {service} is out of range, 0 to 65535")),
        };
    }
    match CString::new(service) {
        Ok(name) if !name.is_empty() => {
            let work = move || resolver::port(&name, protocol.into());
            ask(&state, "service look-up", location, service.to_owned(), work)
        }
        Ok(_) => refuse("a service name is needed, not an empty text".to_owned()),
        Err(_) => refuse(format!("service {service:?}: a name has no zero byte")),
    }
}

/// Asks the resolver something on the pool.
fn ask<T: Send + 'static>(
    state: &Rc<State>,
    name: &'static str,
    location: &'static Location<'static>,
    asked: String,
    call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Request<io::Result<T>> {
    let work = move || call().map_err(|failure| LookupError::new(asked, failure));
    let origin = JobOrigin::new(WorkKind::SlowIo, name, location);
    pool::submit(state, origin, Admission::New, work, pool::flatten)
}

/// The host's name as the resolver wants it.
fn host_name(host: &str) -> io::Result<CString> {
    let Ok(name) = CString::new(host) else {
        return Err(invalid(format!("host {host:?}: a name has no zero byte")));
    };
    if host.is_empty() {
        return Err(invalid("a host name is needed, not an empty text".to_owned()));
    }
    let length = host.strip_suffix('.').unwrap_or(host).len();
    if length > NAME_MAX {
        let text = format!("a host name has at most {NAME_MAX} bytes, not {length}");
        return Err(invalid(text));
    }
    if host.split('.').any(|label| label.len() > LABEL_MAX) {
        let text = format!("host {host:?}: between two dots there are at most {LABEL_MAX} bytes");
        return Err(invalid(text));
    }
    Ok(name)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
