//! Which addresses a look-up gives, and in which order.

use std::net::SocketAddr;

use crate::sys::resolver::{AddressFamily, Transport};

/// Which addresses a look-up asks for.
///
/// # Examples
/// ```
/// use windlass::dns::{Family, LookupOptions, lookup_with};
///
/// windlass::block_on(async {
///     let addresses = lookup_with("127.0.0.1", LookupOptions::new().family(Family::V4)).await?;
///     assert!(addresses.iter().all(|address| address.is_ipv4()));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// The order of the addresses that a look-up gives (the `order` of Node's `dns.lookup`).
///
/// # Examples
/// ```
/// use windlass::dns::{LookupOptions, Order, lookup_with};
///
/// windlass::block_on(async {
///     let options = LookupOptions::new().order(Order::Ipv4First);
///     assert!(lookup_with("localhost", options).await?[0].is_ipv4());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// As the resolver gave them, which sorts by how well they can be reached (RFC 6724).
    #[default]
    Verbatim,
    /// IPv4 addresses before IPv6 ones, each in the resolver's order.
    Ipv4First,
    /// IPv6 addresses before IPv4 ones, each in the resolver's order.
    Ipv6First,
}

/// What a service is spoken over.
///
/// # Examples
/// ```
/// use windlass::dns::{Protocol, lookup_port};
///
/// windlass::block_on(async {
///     assert_eq!(lookup_port("8080", Protocol::Udp).await?, 8080);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Options of [`lookup_with`](super::lookup_with), as those of Node's `dns.lookup`.
///
/// # Examples
/// ```
/// use windlass::dns::{self, Family, LookupOptions, Order};
///
/// let options = LookupOptions::new().family(Family::V4).order(Order::Ipv4First).all(false);
/// windlass::block_on(async {
///     let addresses = dns::lookup_with("localhost", options).await?;
///     assert!(matches!(addresses[..], [one] if one.is_ipv4()));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookupOptions {
    /// Which addresses are asked for.
    pub(super) family: Family,
    /// How they are sorted.
    order: Order,
    /// Whether all of them are wanted, or the first only.
    all: bool,
}

impl LookupOptions {
    /// All addresses of any family, in the resolver's order.
    pub fn new() -> LookupOptions {
        LookupOptions { family: Family::Any, order: Order::Verbatim, all: true }
    }

    /// Which addresses are asked for.
    pub fn family(mut self, family: Family) -> LookupOptions {
        self.family = family;
        self
    }

    /// The order of the addresses.
    pub fn order(mut self, order: Order) -> LookupOptions {
        self.order = order;
        self
    }

    /// Whether all addresses are given, or the first one alone. (Node's `all`, which there is false
    /// unless set.)
    pub fn all(mut self, all: bool) -> LookupOptions {
        self.all = all;
        self
    }

    /// Makes what the resolver gave into what was asked for.
    pub(super) fn apply(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        addresses.retain(|address| match self.family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        });
        // The sort is stable.
        match self.order {
            Order::Verbatim => {}
            Order::Ipv4First => addresses.sort_by_key(SocketAddr::is_ipv6),
            Order::Ipv6First => addresses.sort_by_key(SocketAddr::is_ipv4),
        }
        if !self.all {
            addresses.truncate(1);
        }
        addresses
    }
}

impl Default for LookupOptions {
    fn default() -> LookupOptions {
        LookupOptions::new()
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> AddressFamily {
        match family {
            Family::Any => AddressFamily::Any,
            Family::V4 => AddressFamily::V4,
            Family::V6 => AddressFamily::V6,
        }
    }
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Transport {
        match protocol {
            Protocol::Tcp => Transport::Stream,
            Protocol::Udp => Transport::Datagram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a machine with four addresses is not to be had everywhere, so it is made here.
    fn check(options: LookupOptions, expected: &[&str]) {
        let answer = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"];
        let answer = answer.map(|text| SocketAddr::new(text.parse().unwrap(), 0)).to_vec();
        let given = options.apply(answer);
        let given: Vec<_> = given.iter().map(|address| address.ip().to_string()).collect();
        assert_eq!(given, expected, "{options:?}");
    }

    #[test]
    fn addresses_keep_the_order_of_the_resolver_within_the_order_asked_for() {
        let options = LookupOptions::new();
        check(options, &["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]);
        let four_first = options.order(Order::Ipv4First);
        check(four_first, &["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]);
        let six_first = options.order(Order::Ipv6First);
        check(six_first, &["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"]);
    }

    #[test]
    fn the_first_of_a_family_is_taken_after_ordering() {
        let first = LookupOptions::new().all(false);
        check(first, &["2001:db8::1"]);
        check(first.order(Order::Ipv4First), &["192.0.2.1"]);
        check(first.family(Family::V4), &["192.0.2.1"]);
        check(LookupOptions::default().family(Family::V6), &["2001:db8::1", "2001:db8::2"]);
    }
}
