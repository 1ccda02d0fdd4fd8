//! From answers to bytes: status line, headers, body.
//!
//! Pure, but for the clock that the `Date` header needs.
//!
//! Nearly all of an answer is known before the request, so it is put together from finished pieces: to format
//! head and date with `write!` took more than half of all instructions of a request for `/fast`.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An HTTP status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16);

impl Status {
    pub(crate) const OK: Status = Status(200);
    pub(crate) const BAD_REQUEST: Status = Status(400);
    pub(crate) const FORBIDDEN: Status = Status(403);
    pub(crate) const NOT_FOUND: Status = Status(404);
    pub(crate) const METHOD_NOT_ALLOWED: Status = Status(405);
    pub(crate) const TIMEOUT: Status = Status(408);
    pub(crate) const CONTENT_TOO_LARGE: Status = Status(413);
    pub(crate) const EXPECTATION_FAILED: Status = Status(417);
    pub(crate) const HEAD_TOO_LARGE: Status = Status(431);
    pub(crate) const INTERNAL_ERROR: Status = Status(500);
    pub(crate) const NOT_IMPLEMENTED: Status = Status(501);
    pub(crate) const UNAVAILABLE: Status = Status(503);
    pub(crate) const VERSION_NOT_SUPPORTED: Status = Status(505);

    /// The first line of an answer.
    fn line(self) -> &'static str {
        match self.0 {
            200 => "HTTP/1.1 200 OK\r\n",
            400 => "HTTP/1.1 400 Bad Request\r\n",
            403 => "HTTP/1.1 403 Forbidden\r\n",
            404 => "HTTP/1.1 404 Not Found\r\n",
            405 => "HTTP/1.1 405 Method Not Allowed\r\n",
            408 => "HTTP/1.1 408 Request Timeout\r\n",
            413 => "HTTP/1.1 413 Content Too Large\r\n",
            417 => "HTTP/1.1 417 Expectation Failed\r\n",
            431 => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            501 => "HTTP/1.1 501 Not Implemented\r\n",
            503 => "HTTP/1.1 503 Service Unavailable\r\n",
            505 => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
            _ => "HTTP/1.1 500 Internal Server Error\r\n",
        }
    }

    /// Number and reason, for people.
    fn words(self) -> &'static str {
        self.line()[BEGINNING.len()..].trim_end()
    }
}

/// What every answer begins with.
pub(crate) const BEGINNING: &str = "HTTP/1.1 ";

/// What a client that waits with its body is told.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// An answer whose body is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: Status,
    pub(crate) content_type: &'static str,
    pub(crate) body: Cow<'static, str>,
}

impl Response {
    pub(crate) fn ok(content_type: &'static str, body: impl Into<Cow<'static, str>>) -> Response {
        Response { status: Status::OK, content_type, body: body.into() }
    }

    pub(crate) fn text(body: impl Into<Cow<'static, str>>) -> Response {
        Response::ok(TEXT, body)
    }

    /// An error, with one line that says it in words.
    pub(crate) fn error(status: Status) -> Response {
        Response::explained(status, "")
    }

    /// An error, with one line that says it in words and what to do about it.
    pub(crate) fn explained(status: Status, why: &str) -> Response {
        let colon = if why.is_empty() { "" } else { ": " };
        let body = format!("{}{colon}{why}\n", status.words());
        Response { status, content_type: TEXT, body: body.into() }
    }

    /// Appends the whole answer to `out`; without the body if the request was a `HEAD`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, date: &Date, is_head: bool, keep_alive: bool) {
        let body = self.body.as_bytes();
        let length = Some(body.len() as u64);
        write_head(out, date, self.status, self.content_type, length, keep_alive);
        if !is_head {
            out.extend_from_slice(body);
        }
    }
}

/// Room for a head and a short body, so that a usual answer is put together without growing.
const USUAL_BYTES: usize = 512;

/// Appends status line and headers to `out`. A body of unknown length ends with the connection.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    date: &Date,
    status: Status,
    content_type: &str,
    content_length: Option<u64>,
    keep_alive: bool,
) {
    out.reserve(USUAL_BYTES);
    out.extend_from_slice(status.line().as_bytes());
    out.extend_from_slice(date.header.borrow().as_bytes());
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(content_type.as_bytes());
    if let Some(length) = content_length {
        out.extend_from_slice(b"\r\nContent-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    }
    match status {
        Status::METHOD_NOT_ALLOWED => out.extend_from_slice(b"\r\nAllow: GET, HEAD"),
        Status::UNAVAILABLE => out.extend_from_slice(b"\r\nRetry-After: 1"),
        _ => {}
    }
    if keep_alive {
        out.extend_from_slice(b"\r\nConnection: keep-alive\r\n\r\n");
    } else {
        out.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    }
}

/// The `Date` header, which is printed once a second and not for each answer.
#[derive(Debug)]
pub(crate) struct Date {
    header: RefCell<String>,
    /// When the second that was printed is over.
    until: Cell<Instant>,
}

impl Date {
    pub(crate) fn new(now: Instant) -> Date {
        let date = Date { header: RefCell::default(), until: Cell::new(now) };
        date.update(now);
        date
    }

    /// Prints the date anew if the second is over at `now`, the loop's cached time.
    pub(crate) fn update(&self, now: Instant) {
        if now >= self.until.get() {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let left = Duration::from_nanos(1_000_000_000 - u64::from(time.subsec_nanos()));
            let text = httpdate::fmt_http_date(UNIX_EPOCH + time);
            self.header.replace(format!("Date: {text}\r\n"));
            self.until.set(now + left);
        }
    }
}
