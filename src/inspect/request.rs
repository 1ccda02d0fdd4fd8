//! What a client asks for: the head of one request of HTTP, with limits.

/// A head may have so many bytes: browsers send the cookies of all servers of this host along.
const HEAD_MAX: usize = 16 * 1024;

/// And so many headers.
const HEADERS_MAX: usize = 64;

/// A request, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The path, without a query.
    pub(super) path: String,
    /// The header `Host`, without which there is no request.
    pub(super) host: String,
    /// The header `Origin`: the page that asks, where the browser says so.
    pub(super) origin: Option<String>,
    /// The header `Sec-Fetch-Site`: how that page is related to this server.
    pub(super) site: Option<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP, or none that is served here.
    Malformed,
    /// It has a body.
    Body,
    /// Its head is too long.
    TooLong,
    /// Its method is not GET.
    Method,
    /// It does not come from a page of this server, or names another host.
    Foreign,
    /// There is no such page.
    NotFound,
    /// Too many clients are there.
    Busy,
    /// It did not come in time.
    Late,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The beginning of a head.
    Part,
    /// A whole one.
    Whole(Request),
    /// None that is served.
    Refused(Refusal),
}

/// Reads the head at the beginning of these bytes.
pub(super) fn read(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => Head::Part,
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => {
            understand(&head).map_or_else(Head::Refused, Head::Whole)
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Head::Refused(Refusal::TooLong),
        Err(_) => Head::Refused(Refusal::Malformed),
    }
}

fn understand(head: &httparse::Request<'_, '_>) -> Result<Request, Refusal> {
    if head.method != Some("GET") {
        return Err(Refusal::Method);
    }
    // Nobody sends a body with a GET, and what would be behind it is not to be taken for a request.
    if header(head, "transfer-encoding")?.is_some()
        || header(head, "content-length")?.is_some_and(|length| length != "0")
    {
        return Err(Refusal::Body);
    }
    let target = head.path.unwrap_or_default();
    let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    if !path.starts_with('/') {
        return Err(Refusal::Malformed);
    }
    let host = header(head, "host")?.ok_or(Refusal::Malformed)?;
    Ok(Request {
        path,
        host,
        origin: header(head, "origin")?,
        site: header(head, "sec-fetch-site")?,
    })
}

/// The value of a header, of which there is one at most.
fn header(head: &httparse::Request<'_, '_>, name: &str) -> Result<Option<String>, Refusal> {
    let mut values = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(value.value).map_err(|_| Refusal::Malformed)?;
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Refusal {
        match read(text.as_bytes()) {
            Head::Refused(refusal) => refusal,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = "GET /page/a.js?x=1 HTTP/1.1\r\nhost: localhost:1\r\n\
                    Origin: http://localhost:1\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text.as_bytes()[..end]), Head::Part, "{end}");
        }
        let Head::Whole(request) = read(text.as_bytes()) else { panic!("it is whole") };
        assert_eq!((request.path.as_str(), request.host.as_str()), ("/page/a.js", "localhost:1"));
        assert_eq!((request.origin.as_deref(), request.site), (Some("http://localhost:1"), None));
    }

    #[test]
    fn what_is_not_served_is_refused_with_its_reason() {
        assert_eq!(refusal("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), Refusal::Method);
        assert_eq!(
            refusal("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"),
            Refusal::Body
        );
        assert_eq!(
            refusal("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Refusal::Body
        );
        assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), Refusal::Malformed);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Refusal::Malformed);
        assert_eq!(refusal("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), Refusal::Malformed);
        assert_eq!(refusal("\x16\x03\x01"), Refusal::Malformed);
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(refusal(&format!("GET / HTTP/1.1\r\n{many}\r\n")), Refusal::TooLong);
        let long = "a".repeat(HEAD_MAX);
        assert_eq!(refusal(&format!("GET /{long}")), Refusal::TooLong);
        assert_eq!(
            refusal(&format!("GET / HTTP/1.1\r\nHost: a\r\nb: {long}\r\n\r\n")),
            Refusal::TooLong
        );
    }
}
