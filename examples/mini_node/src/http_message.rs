//! HTTP/1.1 messages out of bytes that come in pieces.
//!
//! The head is read by `httparse`; here is what follows it: where a body begins and ends. Nothing
//! here knows JavaScript or sockets.
//!
//! Two statements of a body's length that could be understood in two ways are refused, as Node
//! does, for somebody between may have understood the other. So are lines and chunks that others
//! end elsewhere, by the rules of the example server.

#[path = "../../http/request/framing.rs"]
mod framing;

use std::mem;

use framing::{Broken, Chunks, Part};

/// Heads are refused beyond this, as in Node.
const HEAD_MAX: usize = framing::HEAD_BYTES_MAX;
/// Header lines.
const HEADERS_MAX: usize = 512;

/// The beginning of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of a request.
    pub(crate) method: String,
    /// Of a request.
    pub(crate) url: String,
    /// Of a response.
    pub(crate) status: u16,
    /// Of a response.
    pub(crate) reason: String,
    /// 0 or 1: of HTTP/1.
    pub(crate) minor: u8,
    /// Names and values in turn, as they came.
    pub(crate) headers: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A message has begun.
    Head(Head),
    /// Some of its body.
    Body(Vec<u8>),
    /// The message is complete.
    End,
}

/// What is wrong: Node's code and its words.
pub(crate) type Fault = (&'static str, &'static str);

const OVERFLOW: Fault = ("HPE_HEADER_OVERFLOW", "Parse Error: Header overflow");
const LENGTH: Fault =
    ("HPE_INVALID_CONTENT_LENGTH", "Parse Error: Invalid character in Content-Length");
const TWO_LENGTHS: Fault = (
    "HPE_UNEXPECTED_CONTENT_LENGTH",
    "Parse Error: Content-Length can't be present with Transfer-Encoding",
);
const ENCODING: Fault =
    ("HPE_INVALID_TRANSFER_ENCODING", "Parse Error: Request has invalid `Transfer-Encoding`");
const URL: Fault = ("HPE_INVALID_URL", "Parse Error: Invalid characters in url");
const CHUNK: Fault = ("HPE_INVALID_CHUNK_SIZE", "Parse Error: Invalid character in chunk size");
const TOKEN: Fault = ("HPE_INVALID_HEADER_TOKEN", "Parse Error: Invalid header token");
const CR: Fault = ("HPE_CR_EXPECTED", "Parse Error: Missing expected CR");
const END: Fault = ("HPE_INVALID_EOF_STATE", "Parse Error: Invalid EOF state");

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head of a message.
    Head,
    /// So many bytes of a body.
    Length(u64),
    /// What is left of a body in chunks.
    Chunks(Chunks),
    /// A body that ends with the connection.
    UntilClose,
}

/// Reads the messages of one side of a connection.
pub(crate) struct Parser {
    /// Of a server, which reads requests.
    reads_requests: bool,
    /// The next response has no body, whatever its head says: it answers a HEAD.
    without_body: bool,
    /// What comes next.
    state: State,
    /// What has come and is not yet understood.
    buffer: Vec<u8>,
}

impl Parser {
    pub(crate) fn new(reads_requests: bool) -> Parser {
        Parser { reads_requests, without_body: false, state: State::Head, buffer: Vec::new() }
    }

    /// Whether the response that comes next has no body.
    pub(crate) fn expect_no_body(&mut self, on: bool) {
        self.without_body = on;
    }

    /// Reads what has come. What was found before a fault is in `found`.
    pub(crate) fn read(&mut self, bytes: &[u8], found: &mut Vec<Found>) -> Result<(), Fault> {
        self.buffer.extend_from_slice(bytes);
        while self.step(found)? {}
        Ok(())
    }

    /// The connection has ended.
    pub(crate) fn end(&mut self, found: &mut Vec<Found>) -> Result<(), Fault> {
        match self.state {
            State::UntilClose => {
                self.state = State::Head;
                found.push(Found::End);
                Ok(())
            }
            State::Head if self.buffer.is_empty() => Ok(()),
            _ => Err(END),
        }
    }

    /// Goes one step. False when there is nothing to do until more comes.
    fn step(&mut self, found: &mut Vec<Found>) -> Result<bool, Fault> {
        match self.state {
            State::Head => self.head(found),
            State::Length(left) => Ok(self.body(left, found)),
            State::Chunks(chunks) => self.chunks(chunks, found),
            State::UntilClose => {
                if !self.buffer.is_empty() {
                    found.push(Found::Body(mem::take(&mut self.buffer)));
                }
                Ok(false)
            }
        }
    }

    fn head(&mut self, found: &mut Vec<Found>) -> Result<bool, Fault> {
        // Empty lines before a message are no harm.
        let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.buffer.drain(..blank);
        if self.buffer.is_empty() {
            return Ok(false);
        }
        let Some((head, length)) = parse_head(&self.buffer, self.reads_requests)? else {
            return if self.buffer.len() > HEAD_MAX { Err(OVERFLOW) } else { Ok(false) };
        };
        if length > HEAD_MAX {
            return Err(OVERFLOW);
        }
        self.buffer.drain(..length);
        let next = self.body_of(&head)?;
        let is_interim = head.status / 100 == 1;
        found.push(Found::Head(head));
        self.state = next.unwrap_or(State::Head);
        if next.is_none() {
            found.push(Found::End);
        }
        if !is_interim {
            self.without_body = false;
        }
        Ok(true)
    }

    /// How the body of a message is told; none for a message that has none.
    fn body_of(&self, head: &Head) -> Result<Option<State>, Fault> {
        let values = |name: &str| {
            let pairs = head.headers.chunks_exact(2);
            let named = pairs.filter(|pair| pair[0].eq_ignore_ascii_case(name));
            named.map(|pair| pair[1].trim()).collect::<Vec<_>>()
        };
        let encodings = values("transfer-encoding");
        let lengths = values("content-length");
        if !encodings.is_empty() && !lengths.is_empty() || lengths.len() > 1 {
            return Err(TWO_LENGTHS);
        }
        let length = lengths.first().map(|text| parse_length(text)).transpose()?;
        let is_bodiless = matches!(head.status, 100..=199 | 204 | 304);
        if !self.reads_requests && (self.without_body || is_bodiless) {
            return Ok(None);
        }
        let last = encodings.last().and_then(|text| text.rsplit(',').next()).map(str::trim);
        match (last, length) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => {
                Ok(Some(State::Chunks(Chunks::default())))
            }
            (Some(_), _) if self.reads_requests => Err(ENCODING),
            (Some(_), _) => Ok(Some(State::UntilClose)),
            (None, Some(0)) => Ok(None),
            (None, Some(length)) => Ok(Some(State::Length(length))),
            (None, None) if self.reads_requests => Ok(None),
            (None, None) => Ok(Some(State::UntilClose)),
        }
    }

    /// Takes what is there of `left` bytes.
    fn body(&mut self, left: u64, found: &mut Vec<Found>) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        let count = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let rest = self.buffer.split_off(count);
        found.push(Found::Body(mem::replace(&mut self.buffer, rest)));
        let left = left - count as u64;
        self.state = if left > 0 { State::Length(left) } else { State::Head };
        if left == 0 {
            found.push(Found::End);
        }
        true
    }

    /// Takes what is there of a body in chunks.
    fn chunks(&mut self, mut chunks: Chunks, found: &mut Vec<Found>) -> Result<bool, Fault> {
        let mut used = 0;
        while used < self.buffer.len() && !chunks.is_done() {
            let (len, part) = chunks.next(&self.buffer[used..]).map_err(fault_of)?;
            if len == 0 {
                break; // Trailers, which have not come whole.
            }
            if part == Part::Data {
                found.push(Found::Body(self.buffer[used..used + len].to_vec()));
            }
            used += len;
        }
        self.buffer.drain(..used);
        if !chunks.is_done() {
            self.state = State::Chunks(chunks);
            return Ok(false);
        }
        self.state = State::Head;
        found.push(Found::End);
        Ok(true)
    }
}

/// Digits only: a sign would be understood by some.
fn parse_length(text: &str) -> Result<u64, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LENGTH);
    }
    text.parse().map_err(|_| LENGTH)
}

/// The head at the beginning of the bytes and its length; none if it is not all there.
fn parse_head(bytes: &[u8], is_request: bool) -> Result<Option<(Head, usize)>, Fault> {
    let (bytes, unfinished) = framing::window(bytes);
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = Head::default();
    let parsed;
    let lines: &[httparse::Header<'_>] = if is_request {
        let mut request = httparse::Request::new(&mut lines);
        parsed = request.parse(bytes).map_err(fault)?;
        head.method = request.method.unwrap_or_default().to_owned();
        head.url = request.path.unwrap_or_default().to_owned();
        head.minor = request.version.unwrap_or_default();
        request.headers
    } else {
        let mut response = httparse::Response::new(&mut lines);
        parsed = response.parse(bytes).map_err(fault)?;
        head.status = response.code.unwrap_or_default();
        head.reason = response.reason.unwrap_or_default().to_owned();
        head.minor = response.version.unwrap_or_default();
        response.headers
    };
    let httparse::Status::Complete(length) = parsed else {
        return unfinished.map_or(Ok(None), |broken| Err(fault_of(broken)));
    };
    if is_request && !is_url(&head) {
        return Err(URL);
    }
    for line in lines {
        head.headers.push(line.name.to_owned());
        // Bytes that are no ASCII are Latin-1, as in Node.
        head.headers.push(line.value.iter().map(|&byte| char::from(byte)).collect());
    }
    Ok(Some((head, length)))
}

/// Whether a request asks for a path, for an address, or for a tunnel, in ASCII.
fn is_url(head: &Head) -> bool {
    let is_scheme =
        |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphabetic());
    let is_address = || head.url.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
    head.url.is_ascii()
        && (head.method == "CONNECT" || head.url.starts_with(['/', '*']) || is_address())
}

fn fault_of(broken: Broken) -> Fault {
    match broken {
        Broken::Line => CR,
        Broken::Chunk => CHUNK,
        Broken::Trailer => TOKEN,
        Broken::TooLong => OVERFLOW,
    }
}

fn fault(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => TOKEN,
        httparse::Error::NewLine => CR,
        httparse::Error::Status => ("HPE_INVALID_STATUS", "Parse Error: Invalid status code"),
        httparse::Error::Token => ("HPE_INVALID_METHOD", "Parse Error: Invalid method encountered"),
        httparse::Error::TooManyHeaders => OVERFLOW,
        httparse::Error::Version => ("HPE_INVALID_VERSION", "Parse Error: Invalid HTTP version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is found in bytes that come in pieces of this size, bodies put together.
    fn found(bytes: &[u8], piece: usize, is_request: bool) -> Result<Vec<Found>, Fault> {
        let mut parser = Parser::new(is_request);
        let mut found = Vec::new();
        for some in bytes.chunks(piece) {
            parser.read(some, &mut found)?;
        }
        parser.end(&mut found)?;
        let mut whole: Vec<Found> = Vec::new();
        for one in found {
            match (whole.last_mut(), one) {
                (Some(Found::Body(body)), Found::Body(more)) => body.extend(more),
                (_, one) => whole.push(one),
            }
        }
        Ok(whole)
    }

    fn request(method: &str, url: &str, headers: &[&str]) -> Found {
        let headers = headers.iter().map(|&text| text.to_owned()).collect();
        Found::Head(Head {
            method: method.into(),
            url: url.into(),
            minor: 1,
            headers,
            ..Head::default()
        })
    }

    #[test]
    fn the_same_messages_are_found_however_the_bytes_are_cut() {
        let bytes = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
            POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n";
        let all = vec![
            request("GET", "/a", &["Host", "x"]),
            Found::End,
            request("POST", "/b", &["Content-Length", "5"]),
            Found::Body(b"hello".to_vec()),
            Found::End,
            request("POST", "/c", &["Transfer-Encoding", "chunked"]),
            Found::Body(b"abcde".to_vec()),
            Found::End,
        ];
        for piece in 1..bytes.len() {
            assert_eq!(found(bytes, piece, true), Ok(all.clone()), "pieces of {piece}");
        }
    }

    #[test]
    fn two_lengths_are_refused() {
        for headers in [
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\nx");
            assert_eq!(found(bytes.as_bytes(), 7, true), Err(TWO_LENGTHS), "{headers}");
        }
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx";
        assert_eq!(found(bytes, 7, true), Err(LENGTH));
    }

    #[test]
    fn lines_and_chunks_that_others_end_elsewhere_are_refused() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bodies = [
            ("\r\n", CHUNK),
            ("1\na\r\n0\r\n\r\n", CHUNK),
            ("1 \r\na\r\n0\r\n\r\n", CHUNK),
            ("1;\r\na\r\n0\r\n\r\n", CHUNK),
            ("1;a\nb\r\na\r\n0\r\n\r\n", CHUNK),
            ("1\r\na\r\n\r\n0\r\n\r\n", CHUNK),
            ("1\r\na\r\n0\r\nT: 1\nU: 2\r\n\r\n", TOKEN),
            ("1\r\na\r\n0\r\nno colon\r\n\r\n", TOKEN),
            ("1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n", TOKEN),
        ];
        for (body, fault) in bodies {
            let bytes = [chunked, body].concat();
            for piece in 1..bytes.len() {
                let found = found(bytes.as_bytes(), piece, true);
                assert_eq!(found, Err(fault), "{body:?} in pieces of {piece}");
            }
        }
        for head in [
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        ] {
            assert_eq!(found(head.as_bytes(), 99, true), Err(CR), "{head:?}");
        }
        assert_eq!(found(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 99, false), Err(CR));
    }

    #[test]
    fn a_request_for_no_url_is_refused() {
        for url in ["fast", "?x", "://a", "1://a", "/\u{e4}", "/?\u{e4}", "http://a/\u{e4}"] {
            let bytes = format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(found(bytes.as_bytes(), 99, true), Err(URL), "{url}");
        }
        for (method, url) in
            [("GET", "/"), ("OPTIONS", "*"), ("GET", "http://a"), ("CONNECT", "a:1")]
        {
            let bytes = format!("{method} {url} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert!(found(bytes.as_bytes(), 99, true).is_ok(), "{method} {url}");
        }
    }

    #[test]
    fn a_response_without_a_length_ends_with_its_connection() {
        let all = found(b"HTTP/1.1 200 OK\r\n\r\nabc", 4, false).unwrap();
        assert_eq!(all[1..], [Found::Body(b"abc".to_vec()), Found::End]);
        assert_eq!(found(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 4, false), Err(END));
        let all = found(b"HTTP/1.1 204 No Content\r\n\r\n", 4, false).unwrap();
        assert_eq!(all[1..], [Found::End]);
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut parser = Parser::new(true);
        let line = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_MAX));
        assert_eq!(parser.read(line.as_bytes(), &mut Vec::new()), Err(OVERFLOW));
    }
}
