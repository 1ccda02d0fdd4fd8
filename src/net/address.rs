//! What names the other end of a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// A socket address, or its text.
///
/// [`TcpStream::connect`](super::TcpStream::connect) also takes host names and resolves them on the pool;
/// [`TcpListener::bind`](super::TcpListener::bind) refuses names. An IPv6 address with a port is written `[::1]:80`. Sealed: only
/// the types listed here are addresses.
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

fn parse(text: &str) -> io::Result<Target> {
    if let Ok(address) = text.parse() {
        return Ok(Target::Socket(address));
    }
    let refuse = |why: String| {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("address {text:?}: {why}")))
    };
    let Some((host, port)) = text.rsplit_once(':') else {
        return refuse("a port is missing, as in \"127.0.0.1:8080\"".to_owned());
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = digits.then(|| port.parse::<u16>().ok()) else {
        return refuse(format!("{port:?} is no port number"));
    };
    let Some(port) = port else {
        return refuse("the port is out of range, 0 to 65535".to_owned());
    };
    if host.is_empty() {
        return refuse("a host is missing, as in \"127.0.0.1:8080\"".to_owned());
    }
    if host.contains(':') {
        return refuse("an IPv6 address with a port is written \"[::1]:8080\"".to_owned());
    }
    Ok(Target::Name(host.to_owned(), port))
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
    }
}
