//! What names the other end of a connection.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::sys::resolver;

/// A socket address, or its text.
///
/// [`TcpStream::connect`](super::TcpStream::connect) also takes host names and resolves them on the
/// pool; [`TcpListener::bind`](super::TcpListener::bind) refuses names. An IPv6 address with a port
/// is written `[::1]:80`, and one with a scope `[fe80::1%eth0]:80` or `[fe80::1%2]:80`, by the name
/// or the number of a network interface. Sealed: only the types listed here are addresses.
///
/// # Examples
/// ```
/// use std::net::{Ipv4Addr, SocketAddr};
/// use windlass::net::{Address, TcpListener};
///
/// fn listen(address: impl Address) -> std::io::Result<SocketAddr> {
///     TcpListener::bind(address)?.local_addr()
/// }
///
/// windlass::run(|| {
///     listen("127.0.0.1:0")?;
///     listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
///     assert!(listen("localhost:0").is_err(), "a name is no address to listen at");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Address: sealed::Target {}

/// An address as it was understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A socket address.
    Socket(SocketAddr),
    /// A host name that has yet to be resolved, and a port.
    Name(String, u16),
}

pub(super) mod sealed {
    /// How a type is understood as an address.
    pub trait Target {
        /// # Errors
        /// `InvalidInput` with what is wrong.
        fn target(self) -> std::io::Result<super::Target>;
    }
}

impl Address for SocketAddr {}
impl Address for (IpAddr, u16) {}
impl Address for &str {}
impl Address for &String {}
impl Address for String {}

impl sealed::Target for SocketAddr {
    fn target(self) -> io::Result<Target> {
        Ok(Target::Socket(self))
    }
}

impl sealed::Target for (IpAddr, u16) {
    fn target(self) -> io::Result<Target> {
        Ok(Target::Socket(self.into()))
    }
}

impl sealed::Target for &str {
    fn target(self) -> io::Result<Target> {
        parse(self)
    }
}

impl sealed::Target for &String {
    fn target(self) -> io::Result<Target> {
        parse(self)
    }
}

impl sealed::Target for String {
    fn target(self) -> io::Result<Target> {
        parse(&self)
    }
}

/// The address at which a listener is to be bound.
///
/// # Errors
/// `InvalidInput` for a name, and for what is no address.
pub(crate) fn of_socket(address: impl Address) -> io::Result<SocketAddr> {
    match address.target()? {
        Target::Socket(address) => Ok(address),
        Target::Name(host, _) => {
            let text = format!("bind takes addresses, not names such as {host:?}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}

fn parse(text: &str) -> io::Result<Target> {
    if let Ok(address) = text.parse() {
        return Ok(Target::Socket(address));
    }
    let refuse = |why: String| {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("address {text:?}: {why}")))
    };
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
    let (host, port) = match bracketed {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let Some(port) = port else {
        let example = if bracketed.is_some() { "[::1]:8080" } else { "127.0.0.1:8080" };
        return refuse(format!("a port is missing, as in {example:?}"));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = digits.then(|| port.parse::<u16>().ok()) else {
        return refuse(format!("{port:?} is no port number"));
    };
    let Some(port) = port else {
        return refuse("the port is out of range, 0 to 65535".to_owned());
    };
    if bracketed.is_some() {
        return scoped(host, port).map(Target::Socket).or_else(refuse);
    }
    if host.is_empty() {
        return refuse("a host is missing, as in \"127.0.0.1:8080\"".to_owned());
    }
    if host.contains(':') {
        return refuse("an IPv6 address with a port is written \"[::1]:8080\"".to_owned());
    }
    Ok(Target::Name(host.to_owned(), port))
}

/// What stands in brackets: an IPv6 address, perhaps with a scope.
fn scoped(host: &str, port: u16) -> Result<SocketAddr, String> {
    let (ip, interface) =
        host.split_once('%').map_or((host, None), |(ip, interface)| (ip, Some(interface)));
    let ip: Ipv6Addr = ip.parse().map_err(|_| format!("{ip:?} is no IPv6 address"))?;
    let scope = match interface {
        None => 0,
        Some(interface) => resolver::interface(interface)
            .ok_or_else(|| format!("there is no network interface {interface:?}"))?,
    };
    Ok(SocketAddrV6::new(ip, port, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_addresses_names_or_clear_errors() {
        let socket = |text: &str| Target::Socket(text.parse().unwrap());
        assert_eq!(parse("127.0.0.1:80").unwrap(), socket("127.0.0.1:80"));
        assert_eq!(parse("[::1]:0").unwrap(), socket("[::1]:0"));
        assert_eq!(parse("localhost:80").unwrap(), Target::Name("localhost".to_owned(), 80));
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("127.0.0.1:99999").contains("out of range, 0 to 65535"));
        assert!(message("127.0.0.1:http").contains("\"http\" is no port number"));
        assert!(message("127.0.0.1").contains("a port is missing"));
        assert!(message(":80").contains("a host is missing"));
        assert!(message("::1:80").contains("\"[::1]:8080\""));
        assert!(message("[::1]").contains("a port is missing, as in \"[::1]:8080\""));
        assert!(message("[::1]80").contains("a port is missing"));
        assert!(message("[::1]:99999").contains("out of range, 0 to 65535"));
        assert!(message("[localhost]:80").contains("\"localhost\" is no IPv6 address"));
        assert!(message("[]:80").contains("\"\" is no IPv6 address"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no interfaces")]
    fn a_scope_is_a_number_or_the_name_of_an_interface() {
        let scope = |text: &str| match parse(text).unwrap() {
            Target::Socket(SocketAddr::V6(address)) => (address.scope_id(), address.port()),
            other => panic!("{other:?}"),
        };
        assert_eq!(scope("[fe80::1%7]:80"), (7, 80));
        assert_eq!(scope("[fe80::1%4294967295]:80"), (u32::MAX, 80));
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("[fe80::1%no-such]:80").contains("no network interface \"no-such\""));
        assert!(message("[fe80::1%]:80").contains("no network interface \"\""));
        assert!(message("[fe80::1%4294967296]:80").contains("no network interface"));
        assert!(message("[fe80::1%lo]").contains("a port is missing"));
    }
}
