//! A question with one answer, on top of messages.
//!
//! The question carries the way back: a [`Reply`], which is a queue for one message. Nothing has to
//! be numbered, and answers may come in any order and from anywhere. A reply that is dropped, in a
//! queue of a worker that died or in a handler that panicked, is an answer too.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use super::port::Port;
use super::queue::{Popped, Queue};
use super::seam::Receiver;
use crate::callback;
use crate::request::{Completer, Request};
use crate::state::State;
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::trace::label::here;
use crate::unhandled::{Claimable, Failure, Lost};

/// What reports call a call.
const KIND: &str = "call";

/// A question: a message and the way for its answer. Posted by
/// [`Worker::call`](crate::worker::Worker::call) and [`Port::call`].
///
/// # Examples
/// ```
/// use windlass::worker::{Call, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<Call<String, usize>, ()>::spawn(|port| {
///         port.on_message(|call: Call<String, usize>| {
///             let (text, reply) = call.into_parts();
///             reply.send(text.len());
///         });
///     })?;
///     assert_eq!(worker.call("hello".to_owned()).await, Ok(5));
///     drop(worker.terminate());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Call<Q, A> {
    /// The question.
    pub(crate) message: Q,
    /// The way for its answer.
    pub(crate) reply: Reply<A>,
}

impl<Q, A> Call<Q, A> {
    /// The question.
    pub fn message(&self) -> &Q {
        &self.message
    }

    /// Answers it.
    pub fn reply(self, answer: A) {
        self.reply.send(answer);
    }

    /// The question and the way for its answer, which may go elsewhere: to the pool, to another
    /// worker.
    pub fn into_parts(self) -> (Q, Reply<A>) {
        (self.message, self.reply)
    }
}

/// The way for one answer. Dropped without one, the question fails with [`CallError::NoReply`].
///
/// # Examples
/// ```
/// use windlass::worker::{Call, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<Call<u64, u64>, ()>::spawn(|port| {
///         port.on_message(|call: Call<u64, u64>| {
///             let (number, reply) = call.into_parts();
///             // The answer may come later, from another callback.
///             windlass::set_immediate(move || reply.send(number + 1));
///         });
///     })?;
///     assert_eq!(worker.call(41).await, Ok(42));
///     drop(worker.terminate());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Reply<A> {
    /// Where the answer goes. Taken by the answer.
    queue: Option<Arc<Queue<A>>>,
}

impl<A> Reply<A> {
    /// Sends the answer. It is dropped when the call waits for it no more.
    pub fn send(mut self, answer: A) {
        if let Some(queue) = self.queue.take() {
            drop(queue.push(answer));
            queue.close_sender();
        }
    }

    /// Whether the call waits for the answer: not when it was cancelled or its loop has
    /// ended.
    pub fn is_wanted(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_received())
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.close_sender();
        }
    }
}

impl<A> fmt::Debug for Reply<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

/// Why a question has no answer.
///
/// # Examples
/// ```
/// use windlass::worker::{Call, CallError, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<Call<u64, u64>, ()>::spawn(|port| {
///         port.on_message(|call| drop(call)); // Without an answer.
///     })?;
///     assert_eq!(worker.call(41).await, Err(CallError::NoReply));
///     drop(worker.terminate());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// Its reply was dropped: the other side has ended, had closed its port, or did not answer.
    NoReply,
    /// It was cancelled.
    Cancelled,
    /// The loop that asked has ended.
    ShutDown,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoReply => f.write_str("the call was dropped without an answer"),
            CallError::Cancelled => f.write_str("the call was cancelled"),
            CallError::ShutDown => fmt::Display::fmt(&crate::error::LoopGone, f),
        }
    }
}

impl Error for CallError {}

impl Failure for CallError {
    fn is_cancelled(&self) -> bool {
        matches!(self, CallError::Cancelled)
    }

    fn into_lost(self) -> Lost {
        Lost::error(self)
    }
}

/// The asking loop's part of a call, until it is answered.
struct PendingCall<A, V: 'static> {
    /// Its entry among the loop's handles.
    registration: Registration,
    /// The receiver's number in the loop's mailbox.
    number: Cell<u64>,
    /// Where the answer comes.
    queue: Arc<Queue<A>>,
    /// The request that the answer completes. Taken out by the first of answer, cancellation and
    /// end of the loop.
    waiting: Cell<Option<Waiting<A, V>>>,
}

/// A request that waits for its answer.
struct Waiting<A, V: 'static> {
    /// Completes the request.
    completer: Completer<V>,
    /// Makes the request's result of the answer.
    result: Box<dyn FnOnce(Result<A, CallError>) -> V>,
}

impl<A: 'static, V: Claimable + 'static> PendingCall<A, V> {
    /// Takes the call off its loop. The request comes back, to be completed.
    fn end(&self) -> Option<Waiting<A, V>> {
        drop(self.registration.state.delivery.remove_receiver(self.number.get()));
        drop(self.registration.close());
        self.waiting.take()
    }

    fn complete(&self, outcome: Result<A, CallError>) {
        if let Some(waiting) = self.end() {
            waiting.completer.complete((waiting.result)(outcome));
        }
    }

    /// Gives up waiting. False if the call was over. An answer that comes later is dropped by its
    /// sender.
    fn give_up(&self, error: CallError) -> bool {
        let left = self.queue.close_receiver();
        let waiting = self.end();
        let gave_up = waiting.is_some();
        if let Some(waiting) = waiting {
            waiting.completer.complete_later((waiting.result)(Err(error)));
        }
        drop(left); // Last: an answer that came in between is the user's value.
        gave_up
    }
}

impl<A: 'static, V: Claimable + 'static> Handle for PendingCall<A, V> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        match self.queue.pop(state.clock.horizon()) {
            Popped::Message(answer) => self.complete(Ok(answer)),
            Popped::Closed | Popped::Finished => self.complete(Err(CallError::NoReply)),
            Popped::Empty => {}
        }
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        callback::drop_quietly(self.queue.close_receiver());
        if let Some(waiting) = self.waiting.take() {
            let result = (waiting.result)(Err(CallError::ShutDown));
            waiting.completer.shut_down(Some(result));
        }
    }
}

/// Gives up the call that it belongs to, after a time.
pub(crate) type GiveUp = Rc<dyn Fn()>;

/// Makes the way for an answer to `state`'s loop, and the request that it completes. `result` makes
/// the request's result of the answer.
pub(crate) fn ask<A: Send + 'static, V: Claimable + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    result: impl FnOnce(Result<A, CallError>) -> V + 'static,
) -> (Reply<A>, Request<V>, GiveUp) {
    let (completer, request) = Completer::new(state, KIND, location);
    let queue = Queue::new();
    let reply = Reply { queue: Some(queue.clone()) };
    if !state.is_open() {
        drop(queue.close_receiver());
        completer.shut_down(Some(result(Err(CallError::ShutDown))));
        return (reply, request, Rc::new(|| ()));
    }
    let call = Rc::new(PendingCall {
        registration: Registration::new(state.clone()),
        number: Cell::new(u64::MAX),
        queue: queue.clone(),
        waiting: Cell::new(None),
    });
    call.registration.open(call.clone(), location, true);
    let number = state.delivery.add_receiver(call.clone());
    call.number.set(number);
    let weak = Rc::downgrade(&call);
    completer.on_cancel(move || match weak.upgrade() {
        Some(call) if call.give_up(CallError::Cancelled) => Ok(()),
        _ => Err(crate::CancelError::Done),
    });
    call.waiting.set(Some(Waiting { completer, result: Box::new(result) }));
    queue.attach(Receiver { mailbox: state.mailbox.clone(), number });
    let weak = Rc::downgrade(&call);
    let give_up = move || {
        if let Some(call) = weak.upgrade() {
            call.give_up(CallError::NoReply);
        }
    };
    (reply, request, Rc::new(give_up))
}

impl<S: Send + 'static, R: Send + 'static> Port<S, R> {
    /// Posts a message that carries the way for one answer, and waits for that: see
    /// [`Worker::call_with`](crate::worker::Worker::call_with).
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call_with<A: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<A>) -> S,
    ) -> Request<Result<A, CallError>> {
        let (reply, request, _) = ask(self.state(), here(), |outcome| outcome);
        self.post(make(reply));
        request
    }
}

impl<Q: Send + 'static, A: Send + 'static, R: Send + 'static> Port<Call<Q, A>, R> {
    /// Asks the other end, and waits for its answer: see
    /// [`Worker::call`](crate::worker::Worker::call).
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call(&self, message: Q) -> Request<Result<A, CallError>> {
        self.call_with(|reply| Call { message, reply })
    }
}
