//! Both directions of a channel, as one of its ends has them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::discard::discard;
use super::queue::Queue;
use super::sent::Sent;

/// Both directions of a channel, as one end sees them. Closes its end when dropped.
pub(crate) struct Link<S, R> {
    /// The messages that this end sends.
    pub(crate) outgoing: Arc<Queue<Sent<S>>>,
    /// The messages that this end receives.
    pub(crate) incoming: Arc<Queue<Sent<R>>>,
    /// Dropping the link tells the other end of the close. False once a [`CloseNotice`] does it.
    tells: bool,
    /// Drops messages that were not received. Noted when the channel was made, so that an end can
    /// be held and dropped where nothing is known of its messages.
    discard: fn(VecDeque<Sent<R>>),
}

impl<S: 'static, R: 'static> Link<S, R> {
    /// The two ends of a new channel.
    pub(crate) fn pair() -> (Link<S, R>, Link<R, S>) {
        Link::of(Queue::new(), Queue::new())
    }

    /// The two ends of a new channel that holds at most `capacity` messages in each direction.
    pub(super) fn bounded_pair(capacity: usize) -> (Link<S, R>, Link<R, S>) {
        Link::of(Queue::bounded(capacity), Queue::bounded(capacity))
    }

    fn of(there: Arc<Queue<Sent<S>>>, back: Arc<Queue<Sent<R>>>) -> (Link<S, R>, Link<R, S>) {
        let (outgoing, incoming) = (back.clone(), there.clone());
        let other = Link { outgoing, incoming, tells: true, discard: discard::<Sent<S>> };
        (Link { outgoing: there, incoming: back, tells: true, discard: discard::<Sent<R>> }, other)
    }
}

impl<S, R> Link<S, R> {
    /// Whether this end and that one are the two of one channel.
    pub(crate) fn is_peer<A, B>(&self, end: &Link<A, B>) -> bool {
        // Two channels are never in the same place: both are there.
        Arc::as_ptr(&self.outgoing).cast::<()>() == Arc::as_ptr(&end.incoming).cast::<()>()
    }

    /// Ends the sending: from here on the other end is sent nothing, but it hears of the close from
    /// a [`CloseNotice`], not from this link.
    pub(super) fn end_sending(&mut self) {
        self.tells = false;
        self.outgoing.end_sending();
    }
}

impl<S, R> Drop for Link<S, R> {
    fn drop(&mut self) {
        if self.tells {
            self.outgoing.close_sender();
        }
        (self.discard)(self.incoming.close_receiver());
    }
}

/// Tells the other end of the close when it is dropped: in the close phase, or with the loop.
pub(super) struct CloseNotice {
    /// The queue of the closed end's messages. None once the end has left its loop without a close.
    outgoing: Option<Arc<dyn CloseSender>>,
}

impl CloseNotice {
    pub(super) fn new<T: 'static>(outgoing: Arc<Queue<T>>) -> CloseNotice {
        CloseNotice { outgoing: Some(outgoing) }
    }

    /// Drops the notice untold: the end lives on elsewhere.
    pub(super) fn withdraw(mut self) {
        drop(self.outgoing.take());
    }
}

impl Drop for CloseNotice {
    fn drop(&mut self) {
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.close_sender();
        }
    }
}

/// A queue with messages of any type, whose sender can be closed.
trait CloseSender {
    fn close_sender(&self);
}

impl<T> CloseSender for Queue<T> {
    fn close_sender(&self) {
        Queue::close_sender(self);
    }
}
