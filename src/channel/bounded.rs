//! Channels with a bound: sending waits for a place.
//!
//! A bounded port has no `post` that could fail for lack of room. It waits for a place, or is told
//! that there is none.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::link::Link;
use super::open_port::OpenPort;
use super::port::{Port, PortEnd};
use super::queue::{Queue, Refused};
use super::sent::Sent;
use crate::callback;
use crate::cell::peek;

/// Makes a channel that holds at most `capacity` messages in each direction.
///
/// Its ports have no `post`: [`try_post`](Port::try_post) gives a message back when there is no
/// room, [`post_async`](Port::post_async) and [`reserve`](Port::reserve) wait for a place. Room
/// comes when the receiver takes a message, that is, when its handler is called with it. Places are
/// given in the order in which they were asked for.
///
/// # Panics
/// When `capacity` is zero.
///
/// # Examples
/// ```
/// use windlass::worker::{TryPostError, channel_bounded};
///
/// windlass::block_on(async {
///     let (here, there) = channel_bounded::<u32, ()>(1);
///     let (here, there) = (here.open(), there.open());
///     assert_eq!(here.try_post(1), Ok(()));
///     assert_eq!(here.try_post(2), Err(TryPostError::Full(2)));
///
///     // Waits until the other end has taken the first message.
///     windlass::spawn(async move { here.post_async(2).await });
///     assert_eq!(there.recv().await, Some(1));
///     assert_eq!(there.recv().await, Some(2));
///     assert_eq!(there.recv().await, None);
/// });
/// ```
#[track_caller]
pub fn channel_bounded<A: Send + 'static, B: Send + 'static>(
    capacity: usize,
) -> (PortEnd<A, B, Bounded>, PortEnd<B, A, Bounded>) {
    let Some(capacity) = NonZeroUsize::new(capacity) else {
        panic!("windlass: a channel has room for at least one message")
    };
    let (one, other) = Link::bounded_pair(capacity.get());
    (PortEnd::new(one), PortEnd::new(other))
}

/// Says of a port that its channel holds a limited number of messages. See [`channel_bounded`].
///
/// # Examples
/// ```
/// use windlass::worker::{Bounded, Port, channel_bounded};
///
/// fn fill(port: &Port<u32, (), Bounded>) -> usize {
///     (0..).take_while(|number| port.try_post(*number).is_ok()).count()
/// }
///
/// windlass::run(|| {
///     let (here, _there) = channel_bounded::<u32, ()>(4);
///     assert_eq!(fill(&here.open()), 4);
/// });
/// ```
#[derive(Debug)]
pub enum Bounded {}

impl<S: Send + 'static, R: Send + 'static> Port<S, R, Bounded> {
    /// Sends a message if there is room for it, or gives it back.
    ///
    /// # Errors
    /// [`TryPostError`], with the message in it: the channel is full, or either end is closed.
    pub fn try_post(&self, message: S) -> Result<(), TryPostError<S>> {
        let Some(outgoing) = self.port.outgoing() else {
            return Err(TryPostError::Closed(message));
        };
        outgoing.try_push(Sent::now(message)).map_err(|refused| match refused {
            Refused::Full(sent) => TryPostError::Full(sent.back()),
            Refused::Closed(sent) => TryPostError::Closed(sent.back()),
        })
    }

    /// Sends a message as soon as there is room for it. Dropping the future before drops the
    /// message.
    ///
    /// The future holds the loop while it waits.
    ///
    /// # Errors
    /// The message itself when either end is closed before.
    pub async fn post_async(&self, message: S) -> Result<(), S> {
        match self.reserve().await {
            Some(permit) => permit.post(message),
            None => Err(message),
        }
    }

    /// Waits for a place for one message; none when either end is closed. Waiting tasks are served
    /// in the order in which they began to wait.
    ///
    /// For a message that is made only when it can be sent. The future holds the loop while it
    /// waits; dropping it gives up its place in the line.
    pub fn reserve(&self) -> Reserve<'_, S, R> {
        Reserve { port: &self.port, queue: None, ticket: None }
    }

    /// A place for one message, or keeps the task's waker until there is one; none when either end
    /// is closed. One task of a port can wait so: a later one takes the place of the one before,
    /// also in the line. Those in [`reserve`](Port::reserve) wait beside it.
    ///
    /// A place that was granted to a task which then does not poll again is kept for the next that
    /// does.
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// use windlass::worker::channel_bounded;
    ///
    /// windlass::block_on(async {
    ///     let (here, there) = channel_bounded::<u32, ()>(1);
    ///     let (here, there) = (here.open(), there.open());
    ///     let permit = poll_fn(|cx| here.poll_reserve(cx)).await.unwrap();
    ///     permit.post(1).unwrap();
    ///     assert_eq!(there.recv().await, Some(1));
    /// });
    /// ```
    pub fn poll_reserve(&self, cx: &mut Context<'_>) -> Poll<Option<Permit<S>>> {
        self.port.poll_reserve(cx)
    }
}

/// The place in the line of the task that waits by a function that polls.
pub(super) struct Ticket<S> {
    /// The queue in whose line it waits.
    queue: Arc<Queue<Sent<S>>>,
    /// Its number there.
    number: u64,
}

impl<S> Ticket<S> {
    /// Leaves the line. The waker comes back, if the task was not woken.
    fn leave(self) -> Option<Waker> {
        self.queue.stop_waiting(self.number)
    }
}

impl<S, R> OpenPort<S, R> {
    fn poll_reserve(&self, cx: &mut Context<'_>) -> Poll<Option<Permit<S>>> {
        let before = self.ticket.take();
        let Some(queue) = self.outgoing() else {
            callback::drop_quietly(before.and_then(Ticket::leave));
            return Poll::Ready(None);
        };
        let mut number = before.map(|ticket| ticket.number);
        let polled = queue.poll_reserve(&mut number, cx);
        let after = number.map(|number| Ticket { queue: queue.clone(), number });
        // One that the waker's own code has taken in between.
        let other = self.ticket.replace(after);
        callback::drop_quietly(other.and_then(Ticket::leave));
        self.update_liveness();
        polled.map(|reserved| reserved.then(|| Permit { queue: Some(queue) }))
    }

    /// Leaves the line in which a task waits by a function that polls, which is for the caller to
    /// wake.
    pub(super) fn leave_line(&self) -> Option<Waker> {
        self.ticket.take().and_then(Ticket::leave)
    }

    /// Whether a task waits by a function that polls for a place.
    pub(super) fn has_ticket(&self) -> bool {
        peek(&self.ticket, Option::is_some)
    }
}

/// Waits for a place in a bounded channel. Made by [`Port::reserve`].
///
/// # Examples
/// ```
/// use windlass::worker::channel_bounded;
///
/// windlass::block_on(async {
///     let (here, there) = channel_bounded::<String, ()>(1);
///     let (here, there) = (here.open(), there.open());
///     // The text is made when there is room for it.
///     if let Some(permit) = here.reserve().await {
///         permit.post("hello".to_owned()).unwrap();
///     }
///     assert_eq!(there.recv().await.as_deref(), Some("hello"));
/// });
/// ```
pub struct Reserve<'a, S, R> {
    /// The port that sends.
    port: &'a OpenPort<S, R>,
    /// The queue in whose line it waits. None while it does not wait.
    queue: Option<Arc<Queue<Sent<S>>>>,
    /// Its place in the line. None while it has none.
    ticket: Option<u64>,
}

impl<S, R> Reserve<'_, S, R> {
    /// Gives up its place in the line, if it has one.
    fn leave_line(&mut self) {
        if let (Some(queue), Some(ticket)) = (&self.queue, self.ticket.take()) {
            callback::drop_quietly(queue.stop_waiting(ticket));
        }
        self.set_waiting(None);
    }

    /// Notes the queue in whose line it waits, if it does.
    fn set_waiting(&mut self, queue: Option<Arc<Queue<Sent<S>>>>) {
        let (before, after) = (self.queue.is_some(), queue.is_some());
        self.queue = queue;
        self.port.count_reserving(before, after);
    }
}

impl<S, R> Future for Reserve<'_, S, R> {
    type Output = Option<Permit<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Permit<S>>> {
        let this = &mut *self;
        let Some(queue) = this.port.outgoing() else {
            // The end has left this loop, and others may wait behind this place.
            this.leave_line();
            return Poll::Ready(None);
        };
        match queue.poll_reserve(&mut this.ticket, cx) {
            Poll::Pending => {
                this.set_waiting(Some(queue));
                Poll::Pending
            }
            Poll::Ready(reserved) => {
                this.leave_line();
                Poll::Ready(reserved.then(|| Permit { queue: Some(queue) }))
            }
        }
    }
}

impl<S, R> Drop for Reserve<'_, S, R> {
    fn drop(&mut self) {
        self.leave_line();
    }
}

impl<S, R> fmt::Debug for Reserve<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("waiting", &self.queue.is_some()).finish_non_exhaustive()
    }
}

/// A place for one message in a bounded channel. Dropping it gives the place to the next task that
/// waits.
///
/// Made by [`Port::reserve`]. It may outlive its port.
///
/// # Examples
/// ```
/// use windlass::worker::channel_bounded;
///
/// windlass::block_on(async {
///     let (here, there) = channel_bounded::<u32, ()>(1);
///     let (here, there) = (here.open(), there.open());
///     let permit = here.reserve().await.unwrap();
///     assert!(here.try_post(1).is_err(), "the only place is taken");
///     permit.post(2).unwrap();
///     assert_eq!(there.recv().await, Some(2));
/// });
/// ```
pub struct Permit<S> {
    /// The queue in which the place is. Taken by the post.
    queue: Option<Arc<Queue<Sent<S>>>>,
}

impl<S> Permit<S> {
    /// Sends a message to the place.
    ///
    /// # Errors
    /// The message itself when either end has been closed meanwhile.
    pub fn post(mut self, message: S) -> Result<(), S> {
        match self.queue.take() {
            Some(queue) => queue.push_reserved(Sent::now(message)).map_err(Sent::back),
            None => Err(message),
        }
    }
}

impl<S> Drop for Permit<S> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.release();
        }
    }
}

impl<S> fmt::Debug for Permit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Why a message was given back by a bounded channel.
///
/// # Examples
/// ```
/// use windlass::worker::{TryPostError, channel_bounded};
///
/// windlass::run(|| {
///     let (here, there) = channel_bounded::<u32, ()>(1);
///     let here = here.open();
///     here.try_post(1).unwrap();
///     assert_eq!(here.try_post(2), Err(TryPostError::Full(2)));
///     drop(there);
///     assert_eq!(here.try_post(3).unwrap_err().into_message(), 3);
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPostError<T> {
    /// There is no room for it now.
    Full(T),
    /// Either end is closed.
    Closed(T),
}

impl<T> TryPostError<T> {
    /// The message.
    pub fn into_message(self) -> T {
        match self {
            TryPostError::Full(message) | TryPostError::Closed(message) => message,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            TryPostError::Full(_) => "the channel is full",
            TryPostError::Closed(_) => "the channel is closed",
        }
    }
}

impl<T> fmt::Debug for TryPostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPostError::Full(_) => "Full(..)",
            TryPostError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TryPostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<T> Error for TryPostError<T> {}
