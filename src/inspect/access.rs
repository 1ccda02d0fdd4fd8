//! Who may ask: programs of this machine, and pages of this server.
//!
//! Whoever can connect to a loopback address runs on this machine already. But so does a browser,
//! and any page of the web that it shows can have it ask. Three headers tell: a browser lets no
//! page change them.
//!
//! - `Host` is what the browser believes to ask. A name that leads here although it is not one of
//!   ours was made to lead here (DNS rebinding), and its pages would pass as this server's.
//! - `Origin` is the page that asks, where it says so: one of this server, that is of that host.
//! - `Sec-Fetch-Site` says of a page without an origin, as for an image, whether it is of this
//!   server.

use std::net::IpAddr;

use super::request::Request;

/// Under which names the server may be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    /// Beside `localhost` and the loopback addresses.
    pub(super) hosts: Vec<String>,
}

impl Access {
    /// Whether the request comes from this machine, or from a page of this server.
    pub(super) fn allows(&self, request: &Request) -> bool {
        let own_page = |origin: &String| {
            let host =
                origin.get(.."http://".len()).filter(|it| it.eq_ignore_ascii_case("http://"));
            host.is_some_and(|scheme| origin[scheme.len()..].eq_ignore_ascii_case(&request.host))
        };
        self.knows(&request.host)
            && request.origin.as_ref().is_none_or(own_page)
            // A link on another page may lead to the page itself, and to nothing else.
            && (request.path == "/"
                || request.site.as_ref().is_none_or(|site| site == "same-origin" || site == "none"))
    }

    /// Whether this is a name of the server, with any port: that may be another one where it is
    /// forwarded from.
    fn knows(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The name or the address of a host, as it stands before the port.
fn without_port(host: &str) -> Option<&str> {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if host.starts_with('[') {
        let end = host.find(']')? + 1;
        let (name, rest) = host.split_at(end);
        return (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(name);
    }
    match host.split_once(':') {
        Some((name, port)) => is_port(port).then_some(name),
        None => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(host: &str, origin: Option<&str>, site: Option<&str>, path: &str) -> bool {
        let access = Access { hosts: vec!["box.lan".to_owned()] };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        access.allows(&Request {
            path: path.to_owned(),
            host: host.to_owned(),
            origin: owned(origin),
            site: owned(site),
        })
    }

    #[test]
    fn the_server_is_asked_under_its_own_names() {
        for host in
            ["localhost", "LocalHost:7070", "127.0.0.1:1", "127.9.9.9", "[::1]:7070", "box.lan:80"]
        {
            assert!(allows(host, None, None, "/api/events"), "{host}");
        }
        let others = [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:7070",
            "10.0.0.1:7070",
            "[::2]:1",
            "localhost:7070.evil.example",
            "127.0.0.1:a",
            "[::1]a:1",
            "::1",
            "localhost@evil.example",
            "[::1",
        ];
        for host in others {
            assert!(!allows(host, None, None, "/api/events"), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_gets_nothing() {
        let origin = |origin| allows("localhost:7070", Some(origin), None, "/api/events");
        assert!(origin("http://localhost:7070") && origin("HTTP://LOCALHOST:7070"));
        for other in [
            "null",
            "http://localhost:7071",
            "https://localhost:7070",
            "http://evil.example",
            "",
            "http://127.0.0.1:7070",
            "http://localhost:7070.evil.example",
            "é://localhost:7070",
        ] {
            assert!(!origin(other), "{other}");
        }
        let site = |site, path| allows("localhost:7070", None, Some(site), path);
        assert!(site("same-origin", "/api/events") && site("none", "/api/events"));
        assert!(!site("cross-site", "/api/events") && !site("same-site", "/page/app.js"));
        assert!(site("cross-site", "/"));
    }
}
