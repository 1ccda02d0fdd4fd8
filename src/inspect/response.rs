//! What is answered: heads of HTTP, and the messages of a stream of events.

use super::request::Refusal;

/// What the page may load and do: what comes from this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A whole answer.
pub(super) fn answer(content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = head("200 OK", content_type, &format!("Content-Length: {}\r\n", body.len()));
    out.extend_from_slice(body);
    out
}

/// The head of a stream of events, which ends with its connection.
pub(super) fn events() -> Vec<u8> {
    head("200 OK", "text/event-stream", "")
}

/// The answer to a request that is refused.
pub(super) fn refusal(refusal: Refusal) -> Vec<u8> {
    let (status, text) = match refusal {
        Refusal::Malformed => ("400 Bad Request", "this is no request that is served here"),
        Refusal::Foreign => (
            "403 Forbidden",
            "only pages of this server may ask, by its own names; WINDLASS_INSPECT_HOSTS adds some",
        ),
        Refusal::NotFound => ("404 Not Found", "there is no such page"),
        Refusal::Method => ("405 Method Not Allowed", "only GET is served here"),
        Refusal::Late => ("408 Request Timeout", "the request did not come in time"),
        Refusal::Body => ("413 Content Too Large", "a request has no body here"),
        Refusal::TooLong => ("431 Request Header Fields Too Large", "the head is too long"),
        Refusal::Busy => ("503 Service Unavailable", "too many clients are here"),
    };
    let allow = if refusal == Refusal::Method { "Allow: GET\r\n" } else { "" };
    let length = format!("{allow}Content-Length: {}\r\n", text.len() + 1);
    let mut out = head(status, "text/plain; charset=utf-8", &length);
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
    out
}

fn head(status: &str, content_type: &str, more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}Connection: close\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\n\
         Content-Security-Policy: {POLICY}\r\n\r\n"
    )
    .into_bytes()
}

/// A message of a stream of events, with this name if it has one. Its data are these lines, of
/// which none has another end than `\n`.
pub(super) fn message(name: &str, lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + lines.len() / 8 + 32);
    if !name.is_empty() {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_message_is_marked_and_an_empty_one_ends_it() {
        assert_eq!(message("", b"a\nb\n"), b"data: a\ndata: b\n\n");
        assert_eq!(message("end", b"{}"), b"event: end\ndata: {}\n\n");
    }
}
