//! Waiting for a worker's end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::WorkerError;
use super::handle::{Outcome, WorkerHandle};
use crate::task::waiters::Place;

/// The worker that a [`Join`] waits for, with messages of any type.
pub(super) trait JoinSource {
    /// How it ended, or waits for that at this place.
    fn poll_join(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Outcome>;
    /// The future of this place is gone.
    fn stop_joining(&self, place: &Place);
}

impl<In, Out> JoinSource for WorkerHandle<In, Out> {
    fn poll_join(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.outcome() {
            self.joins.leave(place);
            return Poll::Ready(outcome);
        }
        self.joins.wait(place, cx);
        Poll::Pending
    }

    fn stop_joining(&self, place: &Place) {
        self.joins.leave(place);
    }
}

/// A wait for a worker's end. Made by [`Worker::join`](super::Worker::join).
///
/// # Examples
/// ```
/// use windlass::worker::Worker;
///
/// windlass::block_on(async {
///     let worker = Worker::<(), ()>::spawn(|_| windlass::exit(3))?;
///     assert_eq!(worker.join().await, Ok(3));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Join<'a> {
    /// The worker.
    source: &'a dyn JoinSource,
    /// Its place among those that wait.
    place: Place,
}

impl<'a> Join<'a> {
    pub(super) fn new(source: &'a dyn JoinSource) -> Join<'a> {
        Join { source, place: Place::default() }
    }
}

impl Future for Join<'_> {
    type Output = Result<i32, WorkerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.source.poll_join(&self.place, cx)
    }
}

impl Drop for Join<'_> {
    fn drop(&mut self) {
        self.source.stop_joining(&self.place);
    }
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
