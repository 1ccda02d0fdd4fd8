//! The system's resolver: names to addresses and back. Every call blocks, for seconds perhaps, so
//! they are for pool threads.
//!
//! One of the files with `unsafe` code: `getaddrinfo` gives a list that must be walked and freed,
//! `getnameinfo` fills buffers.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AddressFamily {
    /// Both.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The code for a name of which nothing is known.
pub(crate) const NO_NAME: c_int = libc::EAI_NONAME;

/// What may come of asking for a name that there is.
pub(crate) const OF_LUCK: [c_int; 3] = [NO_NAME, libc::EAI_AGAIN, libc::EAI_FAIL];

/// What a service is spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// Why a look-up failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The name is not known.
    NoSuchName,
    /// The name is known, and has no address of the family.
    NoAddress,
    /// The resolver got no answer that counts: asking again may help.
    Temporary,
    /// The service is not known for this transport.
    NoSuchService,
    /// The resolver had no memory.
    OutOfMemory,
    /// The system's own code.
    System(i32),
    /// None of these.
    Other,
}

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What it means.
    pub(crate) reason: Reason,
    /// The code as it is written in C: "EAI_NONAME".
    pub(crate) code: &'static str,
    /// The system's words for it.
    pub(crate) text: String,
}

/// The addresses of a host in the resolver's order, each once, with their scopes and port 0.
pub(crate) fn addresses(host: &CStr, family: AddressFamily) -> Result<Vec<SocketAddr>, Failure> {
    let family = match family {
        AddressFamily::Any => libc::AF_UNSPEC,
        AddressFamily::V4 => libc::AF_INET,
        AddressFamily::V6 => libc::AF_INET6,
    };
    let list = List::ask(Some(host), None, family, libc::SOCK_STREAM)?;
    Ok(each_once(list.addresses()))
}

/// Each of them once, where it stands first.
pub(crate) fn each_once<T: Copy + Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut known = BTreeSet::new();
    all.filter(|one| known.insert(*one)).collect()
}

/// The number of a network interface, by its name or its number in digits. None if there is none of
/// that name.
pub(crate) fn interface(text: &str) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let name = CString::new(text).ok()?;
    // SAFETY: the name ends in zero and lives across the call, which keeps nothing.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index > 0).then_some(index)
}

/// The port of a service.
pub(crate) fn port(service: &CStr, transport: Transport) -> Result<u16, Failure> {
    let socket = match transport {
        Transport::Stream => libc::SOCK_STREAM,
        Transport::Datagram => libc::SOCK_DGRAM,
    };
    let list = List::ask(None, Some(service), libc::AF_UNSPEC, socket)?;
    let first = list.addresses().next();
    first.map(|address| address.port()).ok_or_else(|| Failure::of(libc::EAI_SERVICE))
}

/// The name of a host, and that of the service at the port or its number.
pub(crate) fn names(address: SocketAddr) -> Result<(String, String), Failure> {
    let address = socket2::SockAddr::from(address);
    let mut host: [c_char; HOST_MAX] = [0; HOST_MAX];
    let mut service: [c_char; SERVICE_MAX] = [0; SERVICE_MAX];
    // SAFETY: the address is one that socket2 made, with its own length; both buffers live on this
    // stack frame for the whole call, and their lengths are given.
    let code = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            host.as_mut_ptr(),
            HOST_MAX as _, // Of another type on some systems.
            service.as_mut_ptr(),
            SERVICE_MAX as _,
            // Without this an address that has no name would be its own name.
            libc::NI_NAMEREQD,
        )
    };
    if code != 0 {
        return Err(Failure::of(code));
    }
    Ok((text(&host), text(&service)))
}

/// `NI_MAXHOST` and `NI_MAXSERV`, whose types differ from system to system.
const HOST_MAX: usize = 1025;
const SERVICE_MAX: usize = 32;

/// The text in a buffer, up to its zero.
fn text(buffer: &[c_char]) -> String {
    let bytes = buffer.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

/// What `getaddrinfo` gave: a list that is freed when this is dropped.
struct List {
    /// Not null.
    first: *mut libc::addrinfo,
}

impl List {
    fn ask(
        host: Option<&CStr>,
        service: Option<&CStr>,
        family: c_int,
        socket: c_int,
    ) -> Result<List, Failure> {
        let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
        let mut first = ptr::null_mut();
        // SAFETY: a zeroed addrinfo is a valid set of hints: no flags, null pointers. The texts end
        // in zero and outlive the call, which writes the head of the list to `first` and keeps
        // nothing.
        let code = unsafe {
            let mut hints: libc::addrinfo = mem::zeroed();
            hints.ai_family = family;
            hints.ai_socktype = socket; // Or each address would come once for every type.
            libc::getaddrinfo(pointer(host), pointer(service), &raw const hints, &raw mut first)
        };
        if code != 0 {
            return Err(Failure::of(code));
        }
        if first.is_null() {
            return Err(Failure::of(libc::EAI_NONAME));
        }
        Ok(List { first })
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut next = self.first.cast_const();
        std::iter::from_fn(move || {
            while !next.is_null() {
                // SAFETY: the entries are `getaddrinfo`'s, each links to the next or to null, and
                // they are freed with the list, which this iterator borrows.
                let entry = unsafe { &*next };
                next = entry.ai_next;
                if let Some(address) = socket_address(entry) {
                    return Some(address);
                }
            }
            None
        })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list came from `getaddrinfo` and is freed here only.
        unsafe { libc::freeaddrinfo(self.first) }
    }
}

/// The address of an entry, if it is one of the internet.
fn socket_address(entry: &libc::addrinfo) -> Option<SocketAddr> {
    let length = entry.ai_addrlen as usize;
    match entry.ai_family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: family and length say that the entry's address is a sockaddr_in. It is
            // copied.
            let found = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(found.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(found.sin_port)))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for a sockaddr_in6.
            let found = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(found.sin6_addr.s6_addr);
            let (port, scope) = (u16::from_be(found.sin6_port), found.sin6_scope_id);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

impl Failure {
    /// What a code of `getaddrinfo` or `getnameinfo` says. Called right after the call, as for
    /// `EAI_SYSTEM` the rest is in `errno`.
    pub(crate) fn of(code: c_int) -> Failure {
        if code == libc::EAI_SYSTEM {
            let error = io::Error::last_os_error();
            let reason = Reason::System(error.raw_os_error().unwrap_or(0));
            return Failure { reason, code: "EAI_SYSTEM", text: error.to_string() };
        }
        let (reason, name) = match code {
            libc::EAI_NONAME => (Reason::NoSuchName, "EAI_NONAME"),
            EAI_NODATA => (Reason::NoAddress, "EAI_NODATA"),
            EAI_ADDRFAMILY => (Reason::NoAddress, "EAI_ADDRFAMILY"),
            libc::EAI_AGAIN => (Reason::Temporary, "EAI_AGAIN"),
            libc::EAI_SERVICE => (Reason::NoSuchService, "EAI_SERVICE"),
            libc::EAI_MEMORY => (Reason::OutOfMemory, "EAI_MEMORY"),
            libc::EAI_FAIL => (Reason::Other, "EAI_FAIL"),
            libc::EAI_FAMILY => (Reason::Other, "EAI_FAMILY"),
            libc::EAI_SOCKTYPE => (Reason::Other, "EAI_SOCKTYPE"),
            libc::EAI_BADFLAGS => (Reason::Other, "EAI_BADFLAGS"),
            libc::EAI_OVERFLOW => (Reason::Other, "EAI_OVERFLOW"),
            _ => (Reason::Other, "unknown code"),
        };
        // SAFETY: for any code the function gives a text that ends in zero and that nobody changes
        // or frees. It is copied.
        let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
        Failure { reason, code: name, text: text.to_string_lossy().into_owned() }
    }
}

// Codes that not every system has. Where there is none, a number that no call returns.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const EAI_NODATA: c_int = libc::EAI_NODATA;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
const EAI_NODATA: c_int = c_int::MIN;
/// On Linux, where the libc crate does not name it.
const EAI_ADDRFAMILY: c_int = if cfg!(target_os = "linux") { -9 } else { c_int::MIN + 1 };

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts how often it is compared.
    #[derive(Clone, Copy, Debug)]
    struct Counted(usize);

    impl Ord for Counted {
        fn cmp(&self, other: &Counted) -> Ordering {
            COMPARED.set(COMPARED.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Counted) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Counted {
        fn eq(&self, other: &Counted) -> bool {
            self.cmp(other).is_eq()
        }
    }

    impl Eq for Counted {}

    #[test]
    fn of_many_addresses_each_is_given_once_in_its_order_and_few_are_compared() {
        const MANY: usize = 10_000;
        let found = each_once((0..MANY).chain(0..MANY).map(Counted));
        assert!(COMPARED.get() < 60 * MANY, "{} comparisons", COMPARED.get());
        assert!(found.iter().map(|one| one.0).eq(0..MANY));
    }
}
