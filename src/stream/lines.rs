//! Lines, and whatever else ends with a certain byte, from any stream.

use std::fmt;
use std::io;
use std::mem;

use super::{Readable, failed_before};

/// How much is asked of the stream at a time.
const CHUNK: usize = 4096;

/// Reads a stream line by line, none longer than a limit.
///
/// The limit is what keeps a peer that never ends its line from taking all memory: at most `limit`
/// and 4096 bytes are kept here. Reads no further ahead than that, so the peer is held up when
/// nobody asks for the next line.
///
/// What is before the stream's failure is no line: the failure is told once, then None, also if
/// somebody else was told of it first. [`into_parts`](Lines::into_parts) has it.
///
/// A future that is dropped loses nothing: what it has read is there for the next one, and for
/// [`into_parts`](Lines::into_parts). Read from the stream itself only after that. As a future that
/// waits for a read, it holds the loop while it is polled.
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
/// use windlass::stream::Lines;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     theirs.write(b"one\r\ntwo\nand a thir").await?;
///     theirs.close();
///     let mut lines = Lines::new(ours, 1024);
///     assert_eq!(lines.next().await?.as_deref(), Some("one"));
///     assert_eq!(lines.next().await?.as_deref(), Some("two"));
///     assert_eq!(lines.next().await?.as_deref(), Some("and a thir"));
///     assert_eq!(lines.next().await?, None);
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Lines<R: Readable> {
    /// What is read.
    stream: R,
    /// The longest piece, with its last byte.
    limit: usize,
    /// What was read, up to `used`. Behind that there is room, before `given` what was given out.
    buffer: Vec<u8>,
    /// Where the next piece begins.
    given: usize,
    /// How many bytes were read into the buffer.
    used: usize,
    /// The stream's failure was told.
    failed: bool,
}

impl<R: Readable> Lines<R> {
    /// Reads from here on; `limit` is the longest line in bytes, with its end.
    pub fn new(stream: R, limit: usize) -> Lines<R> {
        Lines { stream, limit, buffer: Vec::new(), given: 0, used: 0, failed: false }
    }

    /// The next line, without its `\n` or `\r\n`. None at the end of the stream; a last line need
    /// not have an end.
    ///
    /// # Errors
    /// `InvalidData` when the line is longer than the limit, or is not UTF-8; it stays where it is,
    /// and [`read_until`](Lines::read_until) gives one that is not UTF-8. The stream's errors.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        let Some(length) = self.find(b'\n').await? else { return Ok(None) };
        let piece = &self.buffer[self.given..self.given + length];
        let line = piece.strip_suffix(b"\n").unwrap_or(piece);
        let line =
            if line.len() < length { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let line = str::from_utf8(line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("a line is not UTF-8: {error}"))
        })?;
        let line = line.to_owned();
        self.given += length;
        Ok(Some(line))
    }

    /// The next piece that ends with `last`, and that byte, as [`std::io::BufRead::read_until`]. At
    /// the end of the stream what is left, without it, and then None.
    ///
    /// # Errors
    /// `InvalidData` when it is longer than the limit; it stays where it is. The stream's errors.
    pub async fn read_until(&mut self, last: u8) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.find(last).await? else { return Ok(None) };
        let piece = self.buffer[self.given..self.given + length].to_vec();
        self.given += length;
        Ok(Some(piece))
    }

    /// The stream, and what was read of it and not given out.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buffer.truncate(self.used);
        self.buffer.drain(..self.given);
        (self.stream, mem::take(&mut self.buffer))
    }

    /// The length of the next piece, which is in the buffer then. None at the end of the stream.
    async fn find(&mut self, last: u8) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.given..self.used];
            let found = unread[searched..].iter().position(|byte| *byte == last);
            let length = found.map(|at| searched + at + 1);
            if length.unwrap_or(unread.len() + 1) > self.limit {
                let text = format!("no end of a line within {} bytes", self.limit);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            if length.is_some() {
                return Ok(length);
            }
            searched = unread.len();
            match self.read_more().await {
                Ok(true) => {}
                // Of a stream that has failed it is not the end that is read then.
                Ok(false) if self.stream.is_readable() => {
                    return Ok(Some(searched).filter(|length| *length > 0));
                }
                _ if self.failed => return Ok(None),
                outcome => {
                    self.failed = true;
                    return outcome.and(Err(failed_before()));
                }
            }
        }
    }

    /// Reads once. False at the end of the stream.
    async fn read_more(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.given..self.used, 0);
        self.used -= mem::take(&mut self.given);
        if self.buffer.len() < self.used + CHUNK {
            self.buffer.resize(self.used + CHUNK, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.used..][..CHUNK]).await?;
        self.used += count;
        Ok(count > 0)
    }
}

impl<R: Readable> fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.used - self.given;
        f.debug_struct("Lines").field("kept", &kept).finish_non_exhaustive()
    }
}
