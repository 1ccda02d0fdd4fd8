//! Names, resolved on the blocking pool by the system's resolver. Never on the loop.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::panic::Location;

use crate::current;
use crate::fs::flatten;
use crate::request::Request;
use crate::threads::pool::{self, WorkKind};

/// The addresses of a host, in the resolver's order, each once.
///
/// A name of which the resolver knows nothing is an error, never an empty list. A look-up counts as
/// slow work: look-ups together occupy at most half of the pool's threads.
///
/// # Errors
/// The resolver's; `InvalidInput` for an empty name or one with a zero byte, without a look-up.
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
    let location = Location::caller();
    if host.is_empty() || host.contains('\0') {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "a host name is needed");
        return Request::failed_later(&state, location, error);
    }
    let host = host.to_owned();
    let work = move || resolve(&host);
    pool::submit(&state, "name look-up", WorkKind::SlowIo, location, work, flatten)
}

/// Asks the system's resolver. Blocks, so only for pool threads.
fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0)
        .to_socket_addrs()
        .map_err(|error| io::Error::new(error.kind(), format!("look-up of {host:?}: {error}")))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        let text = format!("look-up of {host:?}: the name has no addresses");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(addresses)
}
