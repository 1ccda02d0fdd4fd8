//! Who is asked: the system's resolver, or in a simulation its own names. In the job.

use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};

use crate::state::current;
use crate::sys::resolver::{self, AddressFamily, Failure};

/// In a simulation a look-up may fail.
pub(super) fn luck() -> Result<(), Failure> {
    let luck = current::with_chance(|chance| chance.name_error(&resolver::OF_LUCK)).flatten();
    luck.map_or(Ok(()), |code| Err(Failure::of(code)))
}

/// The addresses of a host.
pub(super) fn addresses(host: &CStr, family: AddressFamily) -> Result<Vec<SocketAddr>, Failure> {
    luck()?;
    let host_text = host.to_string_lossy();
    let Some(known) = current::with_chance(|chance| chance.addresses_of(&host_text)) else {
        return resolver::addresses(host, family);
    };
    let is_asked = |address: &IpAddr| match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
    };
    let found: Vec<_> =
        known.into_iter().filter(is_asked).map(|address| (address, 0).into()).collect();
    if found.is_empty() { Err(Failure::of(resolver::NO_NAME)) } else { Ok(found) }
}

/// The name of a host, and that of the service at the port or its number.
pub(super) fn names(address: SocketAddr) -> Result<(String, String), Failure> {
    luck()?;
    match current::with_chance(|chance| chance.name_of(address.ip())) {
        None => resolver::names(address),
        Some(None) => Err(Failure::of(resolver::NO_NAME)),
        Some(Some(name)) => Ok((name, address.port().to_string())),
    }
}
