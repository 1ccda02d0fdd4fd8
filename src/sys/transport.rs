//! What a stream of bytes runs on: all in which sockets, pipes, terminals and files differ.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

use super::{Event, Poller};

/// A descriptor that gives and takes bytes in order and never blocks: a call that would gives
/// `WouldBlock`, and the poller, or the transport itself, reports when it is worth another try.
///
/// A kind that has one direction only leaves out the calls of the other one: its public type has no
/// verbs that would make them.
pub(crate) trait Transport: AsFd + 'static {
    /// Whether what is to be sent is only taken over by [`send_vectored`](Transport::send_vectored)
    /// and goes later, as by a pool thread. Such a call gives `WouldBlock`. The next one is made
    /// when the transport has reported that it is writable; it is given the same bytes at its
    /// start, and answers for those that were taken over. Nothing is sent by
    /// [`send`](Transport::send) then.
    const SENDS_LATER: bool = false;

    /// Has the events of this descriptor reported with this key. A file that no poller watches
    /// keeps the key, and reports by itself.
    fn register(&mut self, poller: &Poller, key: u64) -> io::Result<()> {
        poller.register_descriptor(self.as_fd(), Event::OF_STREAMS, key)
    }

    /// Ends that, before the descriptor is closed or goes to another loop.
    fn deregister(&mut self, poller: &Poller) -> io::Result<()> {
        poller.deregister_descriptor(self.as_fd())
    }

    /// Reads what has come, at most as much as `buffer` takes. Zero is the end.
    fn receive(&self, _buffer: &mut [u8]) -> io::Result<usize> {
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
