//! Lines and chunks: where a head and a body in chunks end, by the letter of the standard.
//!
//! As strict as Node: two readers that take different bytes for an end are how requests are smuggled.
//! Pure, and for both directions: `examples/mini_node` reads its messages by it too.

use httparse::Status::{Complete, Partial};

/// The longest head, and the longest trailers, as in Node.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines of one message.
pub(crate) const HEADERS_MAX: usize = 100;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A line of a head, or its end.
    Line,
    /// The line of a chunk, or what stands behind a chunk.
    Chunk,
    /// A line behind the last chunk.
    Trailer,
    /// There are more lines, or longer ones, than may be.
    TooLong,
}

impl From<httparse::Error> for Broken {
    fn from(error: httparse::Error) -> Broken {
        match error {
            httparse::Error::TooManyHeaders => Broken::TooLong,
            _ => Broken::Line,
        }
    }
}

// ---- lines ----

/// The part of `bytes` to parse, and what is wrong with lines that have not ended in it, if anything.
///
/// It is [`HEAD_BYTES_MAX`] bytes long at most, and ends before a bare line feed: that is a line's end
/// to some and a part of the line to others, so it is no part of a head here, as in Node.
pub(crate) fn window(bytes: &[u8]) -> (&[u8], Option<Broken>) {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    match bare_line_feed(window) {
        Some(at) => (&window[..at], Some(Broken::Line)),
        None if bytes.len() >= HEAD_BYTES_MAX => (window, Some(Broken::TooLong)),
        None => (window, None),
    }
}

/// Where the first line feed stands that follows no carriage return, up to the blank line that ends a
/// head: what is behind that is not looked at for each request anew.
fn bare_line_feed(bytes: &[u8]) -> Option<usize> {
    // Blank lines may stand in front.
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    let end = bytes[start..].windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.map_or(bytes.len(), |at| start + at);
    let is_bare = |at: &usize| bytes[*at] == b'\n' && (*at == 0 || bytes[at - 1] != b'\r');
    (0..end).find(is_bare)
}

/// Whether a head or trailers may have ended, or been broken, or have doubled since the last try at
/// `tried` bytes, which finds garbage early while all tries together stay linear.
pub(crate) fn is_worth_parsing(bytes: &[u8], tried: usize) -> bool {
    let fresh = &bytes[tried.saturating_sub(2)..];
    bytes.len() >= (2 * tried).min(HEAD_BYTES_MAX)
        || fresh.windows(3).any(|three| three == b"\n\r\n")
        || fresh.windows(2).any(|pair| pair[0] != b'\r' && pair[1] == b'\n')
}

/// Reads the trailers from the beginning of `bytes`, with the blank line that ends them, by the rules
/// for a head: how many bytes they are, or nothing while they have not ended.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let (window, unfinished) = window(bytes);
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let parsed = match httparse::parse_headers(window, &mut fields) {
        // The framing was said in the head. To say something else now is an attempt to confuse.
        Ok(Complete((_, fields))) if fields.iter().any(is_framing) => Err(Broken::Line),
        Ok(Complete((len, _))) => Ok(Some(len)),
        Ok(Partial) => unfinished.map_or(Ok(None), Err),
        Err(error) => Err(error.into()),
    };
    parsed.map_err(|broken| if broken == Broken::Line { Broken::Trailer } else { broken })
}

fn is_framing(field: &httparse::Header<'_>) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|name| field.name.eq_ignore_ascii_case(name))
}

// ---- chunks ----

/// A body in chunks: where it goes on, and whether it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    place: Place,
    /// How many bytes of the trailers were there when parsing was last tried.
    tried: usize,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Framing,
    Data,
    /// All of them.
    Trailers,
}

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks { place: Place::CHUNK, tried: 0 }
    }
}

impl Chunks {
    pub(crate) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Takes a step into `bytes`, of which there is one at least and which go on where the last step
    /// ended: how many it has used, and what they are. It uses trailers when they are whole, and none of
    /// them before.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Part), Broken> {
        let (len, part) = match self.place {
            Place::Trailers => return Ok((self.trailers(bytes)?, Part::Trailers)),
            // Contents are taken at once, framing byte by byte.
            Place::Data(left) => {
                let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                (len, Part::Data)
            }
            _ => (1, Part::Framing),
        };
        self.place = self.place.after(len as u64, bytes[0]).ok_or(Broken::Chunk)?;
        Ok((len, part))
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if is_worth_parsing(bytes, self.tried) {
            if let Some(len) = trailers(bytes)? {
                self.place = Place::Done;
                return Ok(len);
            }
            self.tried = bytes.len();
        }
        Ok(0)
    }
}

/// Where in a body the next byte lies.
///
/// ```text
/// 1A;name=value\r\n   <26 bytes>\r\n    …  0\r\n  Name: value\r\n  \r\n
/// Size Extension SizeEnd Data DataCr DataLf         Trailers
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Done,
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
