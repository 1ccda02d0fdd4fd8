//! What a stream of bytes runs on: the system calls in which sockets, pipes and terminals differ.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

/// A descriptor that gives and takes bytes in order and never blocks: a call that would gives
/// `WouldBlock`, and the poller reports when it is worth another try.
pub(crate) trait Transport: mio::event::Source + AsRawFd + 'static {
    /// Whether a read that leaves room in its buffer has read all that had come, so that what comes
    /// later is reported anew. At the end of the stream and at an urgent byte a read stops short in
    /// any case, and the poller has reported those.
    const SHORT_READ_EMPTIES: bool;

    /// Reads what has come, at most as much as `buffer` takes. Zero is the end.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends what the system takes of `data`. Raises no signal.
    fn send(&self, data: &[u8]) -> io::Result<usize>;

    /// Sends several buffers with one call. Raises no signal.
    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends the end of the stream: nothing is written after it.
    fn send_end(&self) -> io::Result<()>;

    /// How the attempt to connect has ended. None while it goes on.
    fn connected(&self) -> Option<io::Result<()>>;
}
