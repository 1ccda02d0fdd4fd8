//! The two directions of a stream as two things that are owned apart.

use std::io;
use std::task::{Context, Poll};

use super::{Read, Readable, Writable};
use crate::request::Request;

/// The side of a stream that reads. Made by `into_split` of a stream that has both.
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     let (reader, writer) = ours.into_split();
///     theirs.write(b"in").await?;
///     let mut buffer = [0; 8];
///     assert_eq!(reader.read(&mut buffer).await?, 2);
///     # drop(writer);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadHalf<S: Readable>(S);

/// The side of a stream that writes. Made by `into_split` of a stream that has both.
///
/// Dropping it sends the end of the stream behind what was written, as
/// [`shutdown`](WriteHalf::shutdown) does.
///
/// # Examples
/// ```
/// use windlass::net::UnixStream;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     let (reader, writer) = ours.into_split();
///     writer.write(b"out").await?;
///     drop(writer);
///     let mut buffer = [0; 8];
///     assert_eq!(theirs.read(&mut buffer).await?, 3);
///     assert_eq!(theirs.read(&mut buffer).await?, 0);
///     # drop(reader);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct WriteHalf<S: Writable>(S);

/// Two names of a stream, one for each direction.
pub(crate) fn split<S: Readable + Writable>(stream: S) -> (ReadHalf<S>, WriteHalf<S>) {
    (ReadHalf(stream.clone()), WriteHalf(stream))
}

impl<S: Readable> ReadHalf<S> {
    /// The whole stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// As `read` of the stream.
    ///
    /// # Errors
    /// As there.
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        self.0.read(buffer)
    }

    /// As `poll_read` of the stream.
    ///
    /// # Errors
    /// As there.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }
}

impl<S: Writable> WriteHalf<S> {
    /// The whole stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// As `write` of the stream.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn write(&self, data: &[u8]) -> Request<io::Result<()>> {
        self.0.write(data)
    }

    /// As `write_owned` of the stream.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn write_owned(&self, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
        self.0.write_owned(data)
    }

    /// As `poll_write` of the stream.
    ///
    /// # Errors
    /// As there.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, data)
    }

    /// As `shutdown` of the stream.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn shutdown(&self) -> Request<io::Result<()>> {
        self.0.shutdown()
    }
}

impl<S: Writable> Drop for WriteHalf<S> {
    fn drop(&mut self) {
        if self.0.is_writable() {
            drop(self.0.shutdown());
        }
    }
}
