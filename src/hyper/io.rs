//! A stream as hyper reads and writes it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::state::current;
use crate::stream::reading::BufferLoan;

/// A stream with hyper's traits: any one that has those of futures-io, TLS included.
///
/// # Cost
/// What is read is copied once, out of the buffer that all streams of the loop share: hyper's own
/// need not hold anything before.
///
/// # Examples
/// ```
/// use windlass::{hyper::Io, net::UnixStream};
///
/// windlass::run(|| {
///     let (ours, _theirs) = UnixStream::pair()?;
///     let io = Io::new(ours); // For hyper's connections.
///     assert!(io.get_ref().is_readable());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Io<S>(S);

impl<S> Io<S> {
    /// Takes a stream.
    pub fn new(stream: S) -> Io<S> {
        Io(stream)
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// The stream, once hyper has given it back.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: AsyncRead + Unpin> Read for Io<S> {
    /// # Panics
    /// When no loop is current.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let state = current::expect("hyper::Io");
        let mut loan = BufferLoan::take(&state);
        let buffer = loan.buffer();
        let room = cursor.remaining().min(buffer.len());
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer[..room]);
        let count = ready!(read)?;
        cursor.put_slice(&buffer[..count]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, data)
    }
}
