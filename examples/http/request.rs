//! From bytes to requests: the request head, and the body that is skipped behind it.
//!
//! Pure: bytes go in, a step comes out, nothing here waits or writes. No path of this server wants a
//! body, so a body is only counted and thrown away, to find where the next request begins.
//!
//! Everything is bounded: a head, and the trailers of a body, by [`HEAD_BYTES_MAX`]; a body, with its
//! chunk framing, by [`BODY_BYTES_MAX`]. Whoever breaks the framing gets a status and loses the
//! connection, because after that nobody can say where the next request would begin. What counts as
//! broken is what counts as broken in Node, to the byte: two readers that disagree are how requests
//! are smuggled. The status does not depend on how the network has cut the bytes.
//!
//! In these points HTTP's own rules (RFC 9110 and 9112) are followed where Node has others:
//!
//! | | here | in Node |
//! |---|---|---|
//! | two `Host` lines, or one with what is no host | 400 | taken |
//! | an address without a host, or with what is none (`http:///path`) | 400 | taken |
//! | a request line with two spaces in a row | 400 | taken |
//! | another version of HTTP | 505 | 400 |
//! | a method that is unknown here | 501, and the next request | 400 |
//! | a transfer coding other than chunked | 501 | 400, or taken before chunked |
//! | `Transfer-Encoding` in HTTP/1.0 | 400 | taken |
//! | a tab behind a length or a coding | taken | 400 |
//! | another expectation than `100-continue` | 417, and the end | 417, and the next request |
//! | the same in HTTP/1.0 | 417 | taken |
//! | an `Expect` that names nothing | taken | 417 |
//! | [`HEADERS_MAX`] lines | 431 | taken |

mod framing;

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::Status::{Complete, Partial};

use super::response::Status;
use framing::{Broken, Chunks, HEADERS_MAX, Part, is_worth_parsing, window};

#[allow(unused_imports, reason = "for tests")]
pub(crate) use framing::HEAD_BYTES_MAX;

/// The longest body that is skipped to keep a connection.
pub(crate) const BODY_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    /// A method of HTTP that no path here answers: 405.
    NotAllowed,
    /// Not a method that this server has heard of: 501.
    Unknown,
}

/// What a request head says, as far as this server cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Path and query as they were sent, still percent-encoded; never with scheme and host. Lies in the
    /// bytes that were read, unless a body that came in pieces had to be waited for.
    pub(crate) target: Cow<'a, str>,
    /// Whether the client is willing to send another request on this connection.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    pub(crate) body: Body,
}

impl Request<'_> {
    /// The request without the bytes that it was read from.
    pub(crate) fn kept(self) -> Request<'static> {
        Request { target: Cow::Owned(self.target.into_owned()), ..self }
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes; none, for most requests.
    Length(u64),
    Chunked,
}

/// What the first bytes of a request are so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    NeedMore,
    /// Answer with this and close.
    Bad(Status),
    /// A whole head, and its length in bytes.
    Request(Request<'a>, usize),
}

/// Reads a request head from the beginning of `bytes`.
pub(crate) fn parse_head(bytes: &[u8]) -> Head<'_> {
    let (window, unfinished) = window(bytes);
    let unfinished = unfinished.map(Status::from);
    // Most requests fill few of the places, so they are not filled beforehand.
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(window, &mut headers) {
        Ok(Complete(len)) => match interpret(&parsed) {
            Ok(request) => Head::Request(request, len),
            Err(status) => Head::Bad(status),
        },
        Ok(Partial) => unfinished.map_or(Head::NeedMore, Head::Bad),
        Err(httparse::Error::Version) => match first_line(window) {
            Some(line) if names_a_version(line) => Head::Bad(Status::VERSION_NOT_SUPPORTED),
            Some(_) => Head::Bad(Status::BAD_REQUEST),
            // Which of the two it is shows when the line is whole.
            None => unfinished.map_or(Head::NeedMore, Head::Bad),
        },
        Err(error) => Head::Bad(Broken::from(error).into()),
    }
}

impl From<Broken> for Status {
    fn from(broken: Broken) -> Status {
        match broken {
            Broken::TooLong => Status::HEAD_TOO_LARGE,
            Broken::Line | Broken::Chunk | Broken::Trailer => Status::BAD_REQUEST,
        }
    }
}

/// The first line without its end, if it has ended.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&bytes[..end])
}

/// Whether a request line ends with a version of HTTP, which then is not one of ours, rather than
/// with garbage.
fn names_a_version(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let version = words.next().unwrap_or_default();
    words.next().is_none()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Turns the parsed lines into a [`Request`], or says what is wrong with them.
fn interpret<'a>(parsed: &httparse::Request<'_, 'a>) -> Result<Request<'a>, Status> {
    let is_1_1 = parsed.version == Some(1);
    let mut length = None;
    let mut codings = Codings::default();
    let mut hosts = 0;
    let mut close = false;
    let mut keep = false;
    let mut expects_continue = false;

    for header in parsed.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            // Two lengths, even equal ones, are how requests are smuggled past a proxy.
            if length.replace(decimal(value).ok_or(Status::BAD_REQUEST)?).is_some() {
                return Err(Status::BAD_REQUEST);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            members(value).for_each(|coding| codings.add(coding));
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in members(value) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if header.name.eq_ignore_ascii_case("expect") {
            for expectation in members(value).filter(|member| !member.is_empty()) {
                if !expectation.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Status::EXPECTATION_FAILED);
                }
                // A client of HTTP/1.0 would take the interim answer for the final one.
                expects_continue = is_1_1;
            }
        } else if header.name.eq_ignore_ascii_case("host") {
            hosts += 1;
            // Without a name it says that the target has none.
            if !value.is_empty() && !is_host(value) {
                return Err(Status::BAD_REQUEST);
            }
        }
    }

    let body = match (length, codings.is_chunked()?) {
        (Some(_), true) => return Err(Status::BAD_REQUEST),
        (None, true) if !is_1_1 => return Err(Status::BAD_REQUEST),
        (None, true) => Body::Chunked,
        (Some(length), false) if length > BODY_BYTES_MAX => return Err(Status::CONTENT_TOO_LARGE),
        (length, false) => Body::Length(length.unwrap_or(0)),
    };
    if hosts > 1 || (is_1_1 && hosts == 0) {
        return Err(Status::BAD_REQUEST);
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    if !target.is_ascii() {
        return Err(Status::BAD_REQUEST);
    }
    if method == "CONNECT" {
        // What follows its head are the bytes of a tunnel: neither a body nor another request.
        return Ok(Request {
            method: Method::NotAllowed,
            target: target.into(),
            keep_alive: false,
            expects_continue: false,
            body: Body::Length(0),
        });
    }
    Ok(Request {
        method: self::method(method),
        target: origin_form(target).ok_or(Status::BAD_REQUEST)?.into(),
        keep_alive: !close && (is_1_1 || keep),
        expects_continue,
        body,
    })
}

/// The members of a list, some of which may be empty.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The transfer codings of a body, which stand in one header or in several.
#[derive(Default)]
struct Codings {
    /// Whether there is such a header.
    said: bool,
    count: usize,
    /// How many of them are `chunked`, and whether the last one is.
    chunked: usize,
    ends_chunked: bool,
}

impl Codings {
    fn add(&mut self, coding: &[u8]) {
        self.said = true;
        self.count += usize::from(!coding.is_empty());
        self.ends_chunked = coding.eq_ignore_ascii_case(b"chunked");
        self.chunked += usize::from(self.ends_chunked);
    }

    /// Whether the body comes in chunks.
    ///
    /// # Errors
    /// 501 for other codings. 400 if there is none, or if `chunked` is there twice or not the last:
    /// then nobody can say where the body ends.
    fn is_chunked(&self) -> Result<bool, Status> {
        match (self.chunked, self.count) {
            _ if !self.said => Ok(false),
            (1, 1) if self.ends_chunked => Ok(true),
            (1, 2..) if self.ends_chunked => Err(Status::NOT_IMPLEMENTED),
            (0, 1..) => Err(Status::NOT_IMPLEMENTED),
            _ => Err(Status::BAD_REQUEST),
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" => Method::NotAllowed,
        _ => Method::Unknown,
    }
}

/// Cuts scheme and host from a target such as proxies get (`http://host/path?query`).
///
/// What is left begins with the path, or with the query when there is no path. Nothing for what is no
/// target: neither a path, nor an address, nor the asterisk.
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with(['/', '*']) {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // A user's name and password may stand in front.
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_user = user.bytes().all(|byte| byte == b':' || is_of_name(byte));
    if !is_user || !is_host(host.as_bytes()) {
        return None;
    }
    // Of another scheme nothing is served here: the target stays as it is, and leads nowhere.
    let own = scheme.eq_ignore_ascii_case("http");
    Some(if own { if rest.is_empty() { "/" } else { rest } } else { target })
}

/// Whether this is a host, with a port or without: `name`, `192.0.2.1:80`, `[::1]:80`.
fn is_host(text: &[u8]) -> bool {
    let name_len = match text.first() {
        // An address of IPv6 has colons of its own.
        Some(b'[') => text.iter().position(|byte| *byte == b']').map_or(0, |at| at + 1),
        _ => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
    };
    let (name, port) = text.split_at(name_len);
    let (name, may_have_colons) = match name {
        [b'[', name @ .., b']'] => (name, true),
        name => (name, false),
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let may_stand = |byte: &u8| is_of_name(*byte) || (may_have_colons && *byte == b':');
    is_port && !name.is_empty() && name.iter().all(may_stand)
}

/// Whether the name of a host or a user may have this byte.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// A number of digits only: no sign, no space, nothing that overflows.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// What to do next with a connection's input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    NeedMore,
    /// Tell the client to go on with the body it has announced.
    Continue,
    /// A request, whose body has come in too.
    Request(Request<'a>),
    /// Answer with this and close.
    Bad(Status),
}

/// Cuts a connection's input into requests.
///
/// It keeps no bytes. Those it has not used must be given again, in front of the ones that follow.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// How many bytes of the head were there when parsing was last tried. Bytes that come one by
    /// one would otherwise be parsed from the beginning each time, at quadratic cost.
    tried: usize,
    is_head: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// The body behind this request is being skipped.
    Body(Request<'static>, Skipper),
}

impl Decoder {
    /// Whether no part of a request has been used yet.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether the latest request is a `HEAD`, as far as it has come: its answer has no body, also
    /// when the request is refused.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    /// Takes one step into `bytes`, and says how many of them it has used.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> (usize, Step<'a>) {
        match std::mem::take(&mut self.state) {
            State::Head => self.head(bytes),
            State::Body(request, skipper) => self.body(request, skipper, bytes),
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> (usize, Step<'a>) {
        // Blank lines before a request are allowed. To use them up at once keeps them from filling
        // the room of a head.
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let bytes = &bytes[blank..];
        self.is_head = bytes.starts_with(b"HEAD ");
        if bytes.is_empty() || !is_worth_parsing(bytes, self.tried) {
            return (blank, Step::NeedMore);
        }
        match parse_head(bytes) {
            Head::NeedMore => {
                self.tried = bytes.len();
                (blank, Step::NeedMore)
            }
            Head::Bad(status) => (bytes.len() + blank, Step::Bad(status)),
            Head::Request(request, len) => {
                self.tried = 0;
                let used = blank + len;
                let skipper = Skipper::new(request.body);
                if request.expects_continue && !skipper.is_done() && bytes.len() == len {
                    self.state = State::Body(request.kept(), skipper);
                    return (used, Step::Continue);
                }
                let (skipped, step) = self.body(request, skipper, &bytes[len..]);
                (used + skipped, step)
            }
        }
    }

    fn body<'a>(
        &mut self,
        request: Request<'a>,
        mut skipper: Skipper,
        bytes: &[u8],
    ) -> (usize, Step<'a>) {
        match skipper.skip(bytes) {
            Err(status) => (bytes.len(), Step::Bad(status)),
            Ok(used) if skipper.is_done() => (used, Step::Request(request)),
            Ok(used) => {
                self.state = State::Body(request.kept(), skipper);
                (used, Step::NeedMore)
            }
        }
    }
}

/// Finds the end of a body.
#[derive(Debug)]
struct Skipper {
    rest: Rest,
    /// How many bytes more of chunks are put up with.
    budget: u64,
}

/// What there is of a body behind the bytes that were skipped.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Chunks),
}

impl Skipper {
    fn new(body: Body) -> Skipper {
        let rest = match body {
            Body::Length(length) => Rest::Length(length),
            Body::Chunked => Rest::Chunks(Chunks::default()),
        };
        Skipper { rest, budget: BODY_BYTES_MAX }
    }

    fn is_done(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunks(chunks) => chunks.is_done(),
        }
    }

    /// Skips what belongs to the body, and says how many bytes that was.
    fn skip(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        let chunks = match &mut self.rest {
            Rest::Length(left) => {
                let used = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= used as u64;
                return Ok(used);
            }
            Rest::Chunks(chunks) => chunks,
        };
        let mut used = 0;
        while used < bytes.len() && !chunks.is_done() {
            let (len, part) = chunks.next(&bytes[used..])?;
            if len == 0 {
                break; // Trailers, which have not come whole.
            }
            used += len;
            // These have a limit of their own.
            if part != Part::Trailers {
                let left = self.budget.checked_sub(len as u64);
                self.budget = left.ok_or(Status::CONTENT_TOO_LARGE)?;
            }
        }
        Ok(used)
    }
}
