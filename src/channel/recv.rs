//! Receiving without a callback: the future that waits for a message, and the wait that blocks.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task::waiters::Place;

/// Where a [`Recv`] takes messages from: an end that is on a loop.
pub(crate) trait Receive<T> {
    /// Takes the oldest message, or waits for it at this place. None at the end.
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<T>>;
    /// The future of this place is gone.
    fn stop_waiting(&self, place: &Place);
}

/// A receive that is going on. Made by [`Port::recv`](super::port::Port::recv) and
/// [`Worker::recv`](crate::worker::Worker::recv).
///
/// # Examples
/// ```
/// use windlass::worker::channel;
///
/// windlass::block_on(async {
///     let (here, there) = channel::<u32, ()>();
///     let (here, there) = (here.open(), there.open());
///     here.post(1);
///     here.close();
///     assert_eq!(there.recv().await, Some(1));
///     assert_eq!(there.recv().await, None, "closed, and nothing is left");
/// });
/// ```
pub struct Recv<'a, T> {
    /// Where the message comes from.
    source: &'a dyn Receive<T>,
    /// Its place among those that wait.
    place: Place,
}

impl<'a, T> Recv<'a, T> {
    pub(crate) fn new(source: &'a dyn Receive<T>) -> Self {
        Recv { source, place: Place::default() }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.source.poll_recv(&self.place, cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if self.place.is_taken() {
            self.source.stop_waiting(&self.place);
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiting", &self.place.is_taken()).finish_non_exhaustive()
    }
}

/// Why [`Port::recv_timeout`](super::port::Port::recv_timeout) has no message.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::worker::{RecvTimeoutError, channel};
///
/// windlass::run(|| {
///     let (here, there) = channel::<(), ()>();
///     let (here, _there) = (here.open(), there.open());
///     // Both ends are on this thread: nobody could post while it blocks.
///     let error = here.recv_timeout(Duration::from_secs(1)).unwrap_err();
///     assert_eq!(error, RecvTimeoutError::WouldDeadlock);
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// None came in time.
    Timeout,
    /// None will come any more.
    Closed,
    /// None could come while this thread blocks: the other end is open on it too, or time is
    /// virtual.
    WouldDeadlock,
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvTimeoutError::Timeout => "no message came in time",
            RecvTimeoutError::Closed => "the channel is closed",
            RecvTimeoutError::WouldDeadlock => {
                "no message can come while this thread blocks: the other end is on it too, or time \
                 is virtual"
            }
        })
    }
}

impl Error for RecvTimeoutError {}
