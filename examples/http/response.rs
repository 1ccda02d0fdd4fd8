//! From answers to bytes: status line, headers, body.
//!
//! Pure, but for the clock that the `Date` header needs.

use std::borrow::Cow;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

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

    pub(crate) fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "",
        }
    }
}

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
        let body = format!("{} {}{colon}{why}\n", status.0, status.reason());
        Response { status, content_type: TEXT, body: body.into() }
    }

    /// Appends the whole answer to `out`; without the body if the request was a `HEAD`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, is_head: bool, keep_alive: bool) {
        write_head(out, self.status, self.content_type, self.body.len() as u64, keep_alive);
        if !is_head {
            out.extend_from_slice(self.body.as_bytes());
        }
    }
}

/// Appends status line and headers to `out`.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    status: Status,
    content_type: &str,
    content_length: u64,
    keep_alive: bool,
) {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let written = write!(
        out,
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {content_length}\r\nConnection: {connection}\r\n{}\r\n",
        status.0,
        status.reason(),
        HttpDate(seconds_since_1970()),
        match status {
            Status::METHOD_NOT_ALLOWED => "Allow: GET, HEAD\r\n",
            Status::UNAVAILABLE => "Retry-After: 1\r\n",
            _ => "",
        },
    );
    written.expect("a Vec takes all that is written to it");
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Prints seconds since 1970 as HTTP wants them: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) struct HttpDate(pub(crate) u64);

impl std::fmt::Display for HttpDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Years are counted from the first of March of the year 0, so that the leap day comes last.
        // Four centuries have 146,097 days; the corrections take out the leap days passed so far.
        let day = days + 719_468;
        let (era, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March on, the months' lengths repeat as 31, 30, 31, 30, 31: 153 days in five months.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year + u64::from(month >= 10);
        write!(
            f,
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[(days % 7) as usize],
            MONTHS[month as usize],
            second / 3_600,
            second / 60 % 60,
            second % 60,
        )
    }
}
