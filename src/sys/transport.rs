//! What a stream of bytes runs on: all in which sockets, pipes, terminals and files differ.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A descriptor that gives and takes bytes in order and never blocks: a call that would gives
/// `WouldBlock`, and the poller, or the transport itself, reports when it is worth another try.
///
/// A kind that has one direction only leaves out the calls of the other one: its public type has no
/// verbs that would make them.
pub(crate) trait Transport: 'static {
    /// Whether closing is the only way to send the end, as of a pipe: the stream then closes itself
    /// behind [`send_end`](Transport::send_end).
    const CLOSE_IS_END: bool = false;

    /// Whether a hang-up may pass, as that of a terminal does when its other side is opened anew.
    const HANG_UP_PASSES: bool = false;

    /// What the poller watches. None for what no poller watches, such as a file: that reports by
    /// itself, with the key that [`report_to`](Transport::report_to) gives it.
    fn watched(&self) -> Option<BorrowedFd<'_>>;

    /// Whether it was opened for reading.
    fn can_receive(&self) -> bool {
        true
    }

    /// Whether it was opened for writing.
    fn can_send(&self) -> bool {
        true
    }

    /// Whether what is to be sent is only taken over by [`send_vectored`](Transport::send_vectored)
    /// and goes later, as by a pool thread. Such a call gives `WouldBlock`. The next one is made
    /// when the transport has reported that it is writable; it is given the same bytes at its
    /// start, and answers for those that were taken over. Nothing is sent by
    /// [`send`](Transport::send) then.
    #[inline]
    fn sends_later(&self) -> bool {
        false
    }

    /// What no poller watches reports with this key of the current loop from now on; with None it
    /// leaves its loop.
    fn report_to(&mut self, _key: Option<u64>) {}

    /// Reads what has come, at most as much as `buffer` takes. Zero is the end.
    fn receive(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Copies what has come, as much of it as `buffer` takes, and leaves it there.
    fn peek(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the last read, if it left room in its buffer, has read all that had come, so that
    /// what comes later is reported anew. At the end of the stream and at an urgent byte a read
    /// stops short in any case, and the poller has reported those.
    fn short_read_empties(&self) -> bool {
        false
    }

    /// Sends what the system takes of `data`. Raises no signal.
    fn send(&self, _data: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends several buffers with one call. Raises no signal.
    fn send_vectored(&self, _data: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends several buffers with one call, and copies of descriptors with the first byte of them.
    fn send_descriptors(
        &self,
        _data: &[IoSlice<'_>],
        _descriptors: &[OwnedFd],
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends the end of the stream: nothing is written after it.
    fn send_end(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How the attempt to connect has ended. None while it goes on. What is made connected makes no
    /// attempt.
    fn connected(&self) -> Option<io::Result<()>> {
        Some(Ok(()))
    }
}
