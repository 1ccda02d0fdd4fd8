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
pub(crate) fn parse_head(bytes: &[u8]) -> Head<'_> {
    let (window, unfinished) = window(bytes);
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
        Err(error) => Head::Bad(status_of(error)),
    }
}

/// Reads the trailers from the beginning of `bytes`, with the blank line that ends them, by the rules
/// for a head: how many bytes they are, or nothing while they have not ended.
fn parse_trailers(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let (window, unfinished) = window(bytes);
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(window, &mut fields) {
        // The framing was said in the head. To say something else now is an attempt to confuse.
        Ok(Complete((_, fields))) if fields.iter().any(is_framing) => Err(Status::BAD_REQUEST),
        Ok(Complete((len, _))) => Ok(Some(len)),
        Ok(Partial) => unfinished.map_or(Ok(None), Err),
        Err(error) => Err(status_of(error)),
    }
}

/// The part of `bytes` to parse, and what is wrong with lines that have not ended in it, if anything.
///
/// It is [`HEAD_BYTES_MAX`] bytes long at most, and ends before a bare line feed: that is a line's end
/// to some and a part of the line to others, so it is no part of a head here, as in Node.
fn window(bytes: &[u8]) -> (&[u8], Option<Status>) {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    match bare_line_feed(window) {
        Some(at) => (&window[..at], Some(Status::BAD_REQUEST)),
        None if bytes.len() >= HEAD_BYTES_MAX => (window, Some(Status::HEAD_TOO_LARGE)),
        None => (window, None),
    }
}

/// Where the first line feed stands that follows no carriage return.
fn bare_line_feed(bytes: &[u8]) -> Option<usize> {
    let is_bare = |at: &usize| bytes[*at] == b'\n' && (*at == 0 || bytes[at - 1] != b'\r');
    (0..bytes.len()).find(is_bare)
}

fn status_of(error: httparse::Error) -> Status {
    match error {
        httparse::Error::TooManyHeaders => Status::HEAD_TOO_LARGE,
        _ => Status::BAD_REQUEST,
    }
}

fn is_framing(field: &httparse::Header<'_>) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|name| field.name.eq_ignore_ascii_case(name))
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
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
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
    let host_len = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(host_len);
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || HOST_MARKS.contains(&byte)) {
        return None;
    }
    // Of another scheme nothing is served here: the target stays as it is, and leads nowhere.
    let own = scheme.eq_ignore_ascii_case("http");
    Some(if own { if rest.is_empty() { "/" } else { rest } } else { target })
}

/// What a host, a port and a user's name may have beside letters and digits.
const HOST_MARKS: &[u8] = b"-._~:[]@!$&'()*+,;=%";

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

/// Whether a head or trailers may have ended, or been broken, or have doubled since the last try at
/// `tried` bytes, which finds garbage early while all tries together stay linear.
fn is_worth_parsing(bytes: &[u8], tried: usize) -> bool {
    let fresh = &bytes[tried.saturating_sub(2)..];
    bytes.len() >= (2 * tried).min(HEAD_BYTES_MAX)
        || fresh.windows(3).any(|three| three == b"\n\r\n")
        || fresh.windows(2).any(|pair| pair[0] != b'\r' && pair[1] == b'\n')
}

/// Finds the end of a body.
#[derive(Debug)]
struct Skipper {
    place: Place,
    /// How many bytes more are put up with.
    budget: u64,
    /// How many bytes of the trailers were there when parsing was last tried.
    tried: usize,
}

/// Where in a body the next byte lies.
///
/// ```text
/// chunked:  1A;name=value\r\n   <26 bytes>\r\n    …  0\r\n  Name: value\r\n  \r\n
///           Size Extension SizeEnd Data DataCr DataLf         Trailers
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Done,
    /// So many bytes of a body whose length was announced.
    Plain(u64),
    /// In the digits, of which there are some already or not.
    Size {
        size: u64,
        digits: bool,
    },
    /// In the extensions behind this size.
    Extension(u64, Extension),
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of the trailers. These are lines like those of a head, and parsed as such.
    Trailers,
}

/// Where in a chunk's extensions, which are `;name`, `;name=value` or `;name="value"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// Behind the semicolon.
    Start,
    Name,
    Value,
    Quoted,
    /// Behind a backslash in quotes.
    Escaped,
    /// Behind the closing quotes.
    QuotedEnd,
}

impl Extension {
    /// Where `byte` leads, if it may stand here.
    fn after(self, byte: u8) -> Option<Extension> {
        use Extension::{Escaped, Name, Quoted, QuotedEnd, Start, Value};
        Some(match (self, byte) {
            (Start | Name | Value | QuotedEnd, b';') => Start,
            (Start | Name, b'=') => Value,
            (Start | Name, _) if is_token(byte) => Name,
            (Value, b'"') => Quoted,
            (Value, _) if is_token(byte) => Value,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
            _ => return None,
        })
    }

    /// Whether the line may end here.
    fn may_end(self) -> bool {
        matches!(self, Extension::Name | Extension::Value | Extension::QuotedEnd)
    }
}

/// Whether a name may have this byte.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Place {
    const CHUNK: Place = Place::Size { size: 0, digits: false };

    /// Where the body goes on after `step` bytes, the first of which is `byte`, if they may stand here.
    fn after(self, step: u64, byte: u8) -> Option<Place> {
        Some(match (self, byte) {
            (Place::Plain(left), _) if left == step => Place::Done,
            (Place::Plain(left), _) => Place::Plain(left - step),

            (Place::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                let size = size.checked_mul(16)?.checked_add(digit.into())?;
                Place::Size { size, digits: true }
            }
            (Place::Size { size, digits: true }, b'\r') => Place::SizeEnd(size),
            (Place::Size { size, digits: true }, b';') => Place::Extension(size, Extension::Start),
            (Place::Extension(size, at), b'\r') if at.may_end() => Place::SizeEnd(size),
            (Place::Extension(size, at), _) => Place::Extension(size, at.after(byte)?),
            (Place::SizeEnd(0), b'\n') => Place::Trailers,
            (Place::SizeEnd(size), b'\n') => Place::Data(size),

            (Place::Data(left), _) if left == step => Place::DataCr,
            (Place::Data(left), _) => Place::Data(left - step),
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::CHUNK,

            _ => return None,
        })
    }
}

impl Skipper {
    fn new(body: Body) -> Skipper {
        let place = match body {
            Body::Length(0) => Place::Done,
            Body::Length(length) => Place::Plain(length),
            Body::Chunked => Place::CHUNK,
        };
        Skipper { place, budget: BODY_BYTES_MAX, tried: 0 }
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
                Place::Trailers => return self.skip_trailers(&bytes[used..]).map(|len| used + len),
                _ => 1,
            };
            self.budget = self.budget.checked_sub(step as u64).ok_or(Status::CONTENT_TOO_LARGE)?;
            self.place = self.place.after(step as u64, bytes[used]).ok_or(Status::BAD_REQUEST)?;
            used += step;
        }
        Ok(used)
    }

    /// Skips the trailers, when all of them are there.
    fn skip_trailers(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        if is_worth_parsing(bytes, self.tried) {
            if let Some(len) = parse_trailers(bytes)? {
                self.place = Place::Done;
                return Ok(len);
            }
            self.tried = bytes.len();
        }
        Ok(0)
    }
}
