//! From bytes to requests: the request head, and the body that is skipped behind it.
//!
//! Pure: bytes go in, a step comes out, nothing here waits or writes. No path of this server wants a
//! body, so a body is only counted and thrown away, to find where the next request begins.
//!
//! Everything is bounded: a head by [`HEAD_BYTES_MAX`], a body, with its chunk framing, by
//! [`BODY_BYTES_MAX`]. Whoever breaks the framing gets a status and loses the connection, because
//! after that nobody can say where the next request would begin.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::Status::{Complete, Partial};

use super::response::Status;

/// The longest request line and headers together, as in Node.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The longest body that is skipped to keep a connection.
pub(crate) const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// The most header lines of one request.
const HEADERS_MAX: usize = 100;

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
///
/// Looks at no more than [`HEAD_BYTES_MAX`] bytes; a head that has not ended there is too long.
pub(crate) fn parse_head(bytes: &[u8]) -> Head<'_> {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    // Most requests fill few of the places, so they are not filled beforehand.
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(window, &mut headers) {
        Ok(Complete(len)) => match interpret(&parsed) {
            Ok(request) => Head::Request(request, len),
            Err(status) => Head::Bad(status),
        },
        Ok(Partial) if bytes.len() >= HEAD_BYTES_MAX => Head::Bad(Status::HEAD_TOO_LARGE),
        Ok(Partial) => Head::NeedMore,
        Err(httparse::Error::TooManyHeaders) => Head::Bad(Status::HEAD_TOO_LARGE),
        Err(httparse::Error::Version) if names_a_version(window) => {
            Head::Bad(Status::VERSION_NOT_SUPPORTED)
        }
        Err(_) => Head::Bad(Status::BAD_REQUEST),
    }
}

/// Whether the first line ends with a version of HTTP, which then is not one of ours, rather than
/// with garbage.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or(&[]);
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or(&[]);
    matches!(last, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Turns the parsed lines into a [`Request`], or says what is wrong with them.
fn interpret<'a>(parsed: &httparse::Request<'_, 'a>) -> Result<Request<'a>, Status> {
    let is_1_1 = parsed.version == Some(1);
    let mut length = None;
    let mut chunked = false;
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
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Status::NOT_IMPLEMENTED);
            }
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if header.name.eq_ignore_ascii_case("expect") {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Status::EXPECTATION_FAILED);
            }
            // A client of HTTP/1.0 would take the interim answer for the final one.
            expects_continue = is_1_1;
        } else if header.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        }
    }

    let body = match (length, chunked) {
        (Some(_), true) => return Err(Status::BAD_REQUEST),
        (None, true) if !is_1_1 => return Err(Status::BAD_REQUEST),
        (None, true) => Body::Chunked,
        (Some(length), false) if length > BODY_BYTES_MAX => return Err(Status::CONTENT_TOO_LARGE),
        (length, false) => Body::Length(length.unwrap_or(0)),
    };
    if hosts > 1 || (is_1_1 && hosts == 0) {
        return Err(Status::BAD_REQUEST);
    }
    Ok(Request {
        method: method(parsed.method.unwrap_or_default()),
        target: origin_form(parsed.path.unwrap_or_default()).into(),
        keep_alive: !close && (is_1_1 || keep),
        expects_continue,
        body,
    })
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => Method::NotAllowed,
        _ => Method::Unknown,
    }
}

/// Cuts scheme and host from a target such as proxies get (`http://host/path`).
fn origin_form(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return target;
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return target;
    }
    rest.find('/').map_or("/", |slash| &rest[slash..])
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
        if bytes.is_empty() || !self.is_worth_parsing(bytes) {
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

    /// Whether the head may have ended, or has doubled since the last try, which finds garbage early
    /// while all tries together stay linear.
    fn is_worth_parsing(&self, bytes: &[u8]) -> bool {
        let fresh = &bytes[self.tried.saturating_sub(2)..];
        bytes.len() >= (2 * self.tried).min(HEAD_BYTES_MAX)
            || fresh.windows(2).any(|pair| pair == b"\n\n")
            || fresh.windows(3).any(|three| three == b"\n\r\n")
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
    place: Place,
    /// How many bytes more are put up with.
    budget: u64,
}

/// Where in a body the next byte lies.
///
/// ```text
/// chunked:  1A;name=value\r\n  <26 bytes>\r\n  …  0\r\n  Trailer: x\r\n  \r\n
///           Size Extension SizeEnd  Data DataCr DataLf  LineStart Line …  LastLf
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Done,
    /// So many bytes of a body whose length was announced.
    Plain(u64),
    Size {
        size: u64,
        digits: u32,
    },
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    LineStart,
    Line,
    LastLf,
}

impl Place {
    const CHUNK: Place = Place::Size { size: 0, digits: 0 };
}

impl Skipper {
    fn new(body: Body) -> Skipper {
        let place = match body {
            Body::Length(0) => Place::Done,
            Body::Length(length) => Place::Plain(length),
            Body::Chunked => Place::CHUNK,
        };
        Skipper { place, budget: BODY_BYTES_MAX }
    }

    fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Skips what belongs to the body, and says how many bytes that was.
    fn skip(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        let mut used = 0;
        while used < bytes.len() && !self.is_done() {
            let rest = bytes.len() - used;
            let step = match self.place {
                // Contents are skipped at once, framing is read byte by byte.
                Place::Plain(left) | Place::Data(left) => {
                    usize::try_from(left).map_or(rest, |left| left.min(rest))
                }
                _ => 1,
            };
            self.budget = self.budget.checked_sub(step as u64).ok_or(Status::CONTENT_TOO_LARGE)?;
            self.place = self.after(step as u64, bytes[used])?;
            used += step;
        }
        Ok(used)
    }

    /// Where the body goes on after `step` bytes, the first of which is `byte`.
    fn after(&self, step: u64, byte: u8) -> Result<Place, Status> {
        Ok(match (self.place, byte) {
            (Place::Plain(left), _) if left == step => Place::Done,
            (Place::Plain(left), _) => Place::Plain(left - step),

            (Place::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Place::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Place::Size { size, digits: 1.. }, b'\r') => Place::SizeEnd(size),
            (Place::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Place::Extension(size),
            (Place::Extension(size), b'\r') => Place::SizeEnd(size),
            // A bare line feed means one thing to us and another to some proxy: refused below.
            (Place::Extension(size), _) if byte != b'\n' => Place::Extension(size),
            (Place::SizeEnd(0), b'\n') => Place::LineStart,
            (Place::SizeEnd(size), b'\n') => Place::Data(size),

            (Place::Data(left), _) if left == step => Place::DataCr,
            (Place::Data(left), _) => Place::Data(left - step),
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::CHUNK,

            (Place::LineStart, b'\r') => Place::LastLf,
            (Place::LineStart | Place::Line, b'\n') => Place::LineStart,
            (Place::LineStart | Place::Line, _) => Place::Line,
            (Place::LastLf, b'\n') => Place::Done,

            _ => return Err(Status::BAD_REQUEST),
        })
    }
}
