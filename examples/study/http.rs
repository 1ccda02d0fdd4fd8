//! HTTP as far as a page on this machine needs it: a connection brings one request, which is read
//! whole and answered whole.
//!
//! All that comes is bounded, in size and in time. Who asks is looked at before anything else: only
//! this server's own pages, and programs on this machine, are answered.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use httparse::Status::{Complete, Partial};
use windlass::net::TcpStream;
use windlass::time::timeout;

/// The longest request line and headers together.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The longest body: a program with all its files.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The most header lines of one request.
const HEADERS_MAX: usize = 64;

/// How long a request may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// What stands behind the question mark, as it was sent.
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

/// What the page may do, as it says itself, and that no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

pub(crate) const JSON: &str = "application/json";
pub(crate) const JSON_LINES: &str = "application/x-ndjson";

impl Answer {
    pub(crate) fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status: "200 OK", content_type, body: body.into() }
    }

    /// An error in words.
    pub(crate) fn error(status: &'static str, why: &str) -> Answer {
        let body = format!("{why}\n").into_bytes();
        Answer { status, content_type: "text/plain; charset=utf-8", body }
    }

    pub(crate) fn bad(why: &str) -> Answer {
        Answer::error("400 Bad Request", why)
    }

    pub(crate) fn not_found() -> Answer {
        Answer::error("404 Not Found", "there is nothing here")
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Answer { status, content_type, body } = self;
        let length = body.len();
        // No other page may read it, frame it or lend it scripts, and it asks nobody else for any.
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: {POLICY}\r\n\
             Connection: close\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// Reads the request of a connection. `here` is where this server listens.
///
/// None if the client has gone or takes too long: nobody waits for an answer.
pub(crate) async fn read(stream: &TcpStream, here: SocketAddr) -> Option<Result<Request, Answer>> {
    timeout(PATIENCE, read_all(stream, here)).await.ok().flatten()
}

/// What `answer` gives, unless the client goes before: then nobody waits for it.
pub(crate) async fn unless_gone<T>(
    stream: &TcpStream,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let (mut answer, mut gone) = (pin!(answer), pin!(read_to_end(stream)));
    let either = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => gone.as_mut().poll(cx).map(|_| None),
    });
    either.await
}

/// Takes whatever the client still sends, until it closes its side.
async fn read_to_end(stream: &TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Writes an answer, and closes when it is out or the client takes too long.
pub(crate) async fn answer(stream: &TcpStream, answer: &Answer) {
    let written = timeout(PATIENCE, async {
        stream.write_owned(answer.to_bytes()).await?;
        stream.shutdown().await?;
        // To close while bytes of the client are on their way would take the answer from it.
        read_to_end(stream).await
    });
    if !matches!(written.await, Ok(Ok(()))) {
        log::debug!("a client has gone before its answer");
    }
    stream.close();
}

async fn read_all(stream: &TcpStream, here: SocketAddr) -> Option<Result<Request, Answer>> {
    let mut bytes = Vec::new();
    let (head, begin) = loop {
        match parse(&bytes, here) {
            Ok(None) if bytes.len() >= HEAD_BYTES_MAX => {
                let why = "the head of the request is too long";
                return Some(Err(Answer::error("431 Request Header Fields Too Large", why)));
            }
            Ok(None) => read_more(stream, &mut bytes).await?,
            Ok(Some(parsed)) => break parsed,
            Err(answer) => return Some(Err(answer)),
        }
    };
    if head.length > BODY_BYTES_MAX {
        let why = format!("a program may have {BODY_BYTES_MAX} bytes");
        return Some(Err(Answer::error("413 Content Too Large", &why)));
    }
    while bytes.len() < begin + head.length {
        read_more(stream, &mut bytes).await?;
    }
    let body = bytes[begin..begin + head.length].to_vec();
    Some(Ok(Request { body, ..head.request }))
}

/// None at the end of the stream.
async fn read_more(stream: &TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&buffer[..count]);
    Some(())
}

struct Head {
    /// Without its body.
    request: Request,
    /// How many bytes the body has.
    length: usize,
}

/// The head of a request and where its body begins. None if there is more to come.
fn parse(bytes: &[u8], here: SocketAddr) -> Result<Option<(Head, usize)>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(Complete(length)) => Ok(Some((interpret(&parsed, here)?, length))),
        Ok(Partial) => Ok(None),
        Err(error) => Err(Answer::bad(&format!("this is no request: {error}"))),
    }
}

fn interpret(parsed: &httparse::Request<'_, '_>, here: SocketAddr) -> Result<Head, Answer> {
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        _ => return Err(Answer::error("405 Method Not Allowed", "GET and POST are answered")),
    };
    refuse_strangers(parsed, here)?;
    if value(parsed, "transfer-encoding")?.is_some() {
        return Err(Answer::error("411 Length Required", "the length of a body must be said"));
    }
    let length = match value(parsed, "content-length")? {
        None => 0,
        Some(text) => number(text).ok_or_else(|| Answer::bad("Content-Length is no number"))?,
    };
    // A form of another site cannot say this without asking first.
    let is_json = |text: &str| text.split(';').next().is_some_and(|it| it.trim() == JSON);
    if method == Method::Post && !value(parsed, "content-type")?.is_some_and(is_json) {
        return Err(Answer::error("415 Unsupported Media Type", "a program is sent as JSON"));
    }
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    Ok(Head { request: Request { method, path, query, body: Vec::new() }, length })
}

/// A number of digits only: what has a sign is a number to some and none to others.
fn number(text: &str) -> Option<usize> {
    let has_digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| has_digits_only)
}

/// The value of a header. One that is there twice says nothing that can be relied on.
fn value<'a>(parsed: &httparse::Request<'_, 'a>, name: &str) -> Result<Option<&'a str>, Answer> {
    let is_it = |header: &&httparse::Header<'a>| header.name.eq_ignore_ascii_case(name);
    let mut values = parsed.headers.iter().filter(is_it);
    let first = values.next();
    if values.next().is_some() {
        return Err(Answer::bad(&format!("{name} is there twice")));
    }
    let text = |header: &httparse::Header<'a>| std::str::from_utf8(header.value);
    first.map(text).transpose().map_err(|_| Answer::bad(&format!("{name} is no text")))
}

/// This server runs programs. A page from elsewhere, open in the same browser, must not have it run
/// its own: not by its own name (`Origin`), nor by a name that it has given to this machine (`Host`).
fn refuse_strangers(parsed: &httparse::Request<'_, '_>, here: SocketAddr) -> Result<(), Answer> {
    let names = [here.to_string(), format!("localhost:{}", here.port())];
    let is_ours = |host: &str| names.iter().any(|name| name.eq_ignore_ascii_case(host));
    let refused = |what| Err(Answer::error("403 Forbidden", what));
    if !value(parsed, "host")?.is_some_and(is_ours) {
        return refused("this server is asked by its own name only");
    }
    let origin = value(parsed, "origin")?;
    if origin.is_some_and(|it| !it.strip_prefix("http://").is_some_and(is_ours)) {
        return refused("pages from elsewhere are not answered");
    }
    // A browser says it also of a picture, which has no origin. A link may lead to the page itself.
    let site = value(parsed, "sec-fetch-site")?;
    let is_page = parsed.path.is_some_and(|path| path == "/" || path.starts_with("/?"));
    if !is_page && site.is_some_and(|site| site != "same-origin" && site != "none") {
        return refused("pages from elsewhere are not answered");
    }
    Ok(())
}
