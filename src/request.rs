//! A request: one operation, one completion.
//!
//! Whoever performs the operation holds a [`Completer`] and completes it once; the user holds the
//! [`Request`] and claims the result: with a callback, by awaiting, or not at all. An operation that
//! is done when its call returns makes a request without a completer, and allocates nothing.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::callback;
use crate::error::CancelError;
use crate::event_loop::State;
use crate::queue::closure::Closure;

/// One operation that completes once: a connect, a write, a file read, a pool job.
///
/// Give it a callback with [`on_complete`](Request::on_complete), or `.await` it, or drop it: it completes all the
/// same. A request keeps its loop alive until it has completed. One that has completed and that nobody
/// has claimed does not.
///
/// When its loop is torn down first, a callback is dropped uncalled, and an awaited request whose
/// output is a `Result` gets a shut-down error.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     // A callback, as in Node …
///     windlass::queue_work(|| 6 * 7).on_complete(|answer| assert_eq!(answer.unwrap(), 42));
///     // … or await.
///     windlass::spawn(async {
///         let text = windlass::fs::read_to_string("Cargo.toml").await?;
///         assert!(text.contains("windlass"));
///         Ok::<(), std::io::Error>(())
///     });
/// });
/// ```
#[must_use = "a request completes by itself, but its result is lost: drop it on purpose with `drop(…)`"]
pub struct Request<T> {
    stage: RequestStage<T>,
}

enum RequestStage<T> {
    /// The operation was done when its call returned. Empty once awaited.
    Finished(Rc<State>, Option<T>),
    Pending(Rc<Core<T>>),
}

/// What request and completer share.
struct Core<T> {
    state: Rc<State>,
    location: &'static Location<'static>,
    claim: Cell<Claim<T>>,
    /// How the operation is cancelled, if it can be. Gone once it has completed.
    cancel: RefCell<Option<Rc<dyn Abort>>>,
    /// Who gets a result whose request was dropped, if anybody.
    heir: Cell<Option<Box<dyn FnOnce(T)>>>,
}

/// How far the result has come, and who wants it.
enum Claim<T> {
    /// Not completed; the request is held, and nobody has asked yet.
    Held,
    /// Not completed; the callback waits for it.
    Callback(Box<dyn FnOnce(T)>),
    /// Not completed; a task waits for it.
    Awaited(Waker),
    /// Not completed; the request was dropped.
    Dropped,
    /// Completed and not yet claimed.
    Done(T),
    /// Completed and claimed.
    Claimed,
}

impl<T: 'static> Request<T> {
    /// A request that was done at once.
    #[inline]
    pub(crate) fn finished(state: &Rc<State>, value: T) -> Request<T> {
        Request { stage: RequestStage::Finished(state.clone(), Some(value)) }
    }

    /// Calls `f` with the result, from the loop, never from inside this call.
    ///
    /// The callback runs in the phase in which the operation completes (poll for most, close for
    /// what a closing handle cancels), or in the pending phase of the next iteration if it has
    /// completed before. Ticks and microtasks are drained after it.
    pub fn on_complete(mut self, f: impl FnOnce(T) + 'static) {
        match &mut self.stage {
            RequestStage::Finished(state, value) => {
                if let Some(value) = value.take() {
                    defer(state, None, f, value);
                }
            }
            RequestStage::Pending(core) => match core.claim.replace(Claim::Claimed) {
                Claim::Done(value) => defer(&core.state, Some(core.location), f, value),
                // Completed and claimed before, by an await: then there is no result.
                Claim::Claimed => {}
                _ if core.state.is_open() => core.claim.set(Claim::Callback(Box::new(f))),
                _ => {}
            },
        }
    }

    /// Cancels the operation. It then completes with a cancelled error, later.
    ///
    /// # Errors
    /// [`CancelError::Busy`] when it has started and cannot be stopped, [`CancelError::Done`] when it has
    /// completed.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     let lookup = windlass::dns::lookup("localhost");
    ///     match lookup.cancel() {
    ///         Ok(()) => println!("it will complete with ECANCELED"),
    ///         Err(refusal) => println!("{refusal}"),
    ///     }
    ///     lookup.on_complete(|result| println!("{result:?}"));
    /// });
    /// ```
    pub fn cancel(&self) -> Result<(), CancelError> {
        match &self.stage {
            RequestStage::Finished(..) => Err(CancelError::Done),
            RequestStage::Pending(core) => core.cancel(),
        }
    }

    /// Something that can cancel the request after it was given a callback or to a task.
    pub fn canceller(&self) -> Canceller {
        match &self.stage {
            RequestStage::Finished(..) => Canceller { request: None },
            RequestStage::Pending(core) => Canceller { request: Some(core.clone()) },
        }
    }
}

impl<T: 'static> Request<io::Result<T>> {
    /// A request that fails in the next pending phase, for what is refused without being tried.
    pub(crate) fn failed_later(
        state: &Rc<State>,
        location: &'static Location<'static>,
        error: io::Error,
    ) -> Self {
        let (completer, request) = Completer::new(state, location);
        if state.is_open() {
            completer.complete_later(Err(error));
        } else {
            completer.shut_down(Some(Err(error)));
        }
        request
    }
}

/// Queues a callback for a result that is there already.
fn defer<T: 'static>(
    state: &Rc<State>,
    location: Option<&'static Location<'static>>,
    f: impl FnOnce(T) + 'static,
    value: T,
) {
    if state.is_open() {
        let inner = state.clone();
        state.pending.push(Closure::new(move || {
            callback::call(&inner, location, || f(value));
        }));
    }
}

impl<T> Unpin for Request<T> {}

impl<T> Future for Request<T> {
    type Output = T;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.stage {
            RequestStage::Finished(_, value) => {
                Poll::Ready(value.take().expect("a request is polled until it is ready"))
            }
            RequestStage::Pending(core) => match core.claim.replace(Claim::Claimed) {
                Claim::Done(value) => Poll::Ready(value),
                Claim::Claimed => panic!("a request was polled after it was ready"),
                before => {
                    core.claim.set(Claim::Awaited(cx.waker().clone()));
                    drop(before);
                    Poll::Pending
                }
            },
        }
    }
}

impl<T> Drop for Request<T> {
    fn drop(&mut self) {
        let RequestStage::Pending(core) = &self.stage else { return };
        match core.claim.replace(Claim::Claimed) {
            Claim::Held | Claim::Awaited(_) => core.claim.set(Claim::Dropped),
            Claim::Done(value) => match core.heir.take() {
                Some(heir) => heir(value),
                None => drop(value),
            },
            other @ (Claim::Callback(_) | Claim::Dropped | Claim::Claimed) => core.claim.set(other),
        }
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = match &self.stage {
            RequestStage::Finished(..) => None,
            RequestStage::Pending(core) => Some(core.location),
        };
        f.debug_struct("Request").field("made_at", &location).finish_non_exhaustive()
    }
}

/// Cancels a request from wherever it is kept. Made by [`Request::canceller`].
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let job = windlass::queue_work(|| 1 + 1);
///     let canceller = job.canceller();
///     job.on_complete(|outcome| println!("{outcome:?}"));
///     // Later, from any callback of the loop:
///     windlass::next_tick(move || println!("{:?}", canceller.cancel()));
/// });
/// ```
#[derive(Clone)]
pub struct Canceller {
    /// None for an operation that was done at once.
    request: Option<Rc<dyn Cancel>>,
}

impl Canceller {
    /// As [`Request::cancel`].
    ///
    /// # Errors
    /// As [`Request::cancel`].
    pub fn cancel(&self) -> Result<(), CancelError> {
        self.request.as_ref().map_or(Err(CancelError::Done), |request| request.cancel())
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

/// An operation that can perhaps be cancelled.
pub(crate) trait Abort {
    /// Cancels it, so that it completes later, or says why not.
    fn abort(&self) -> Result<(), CancelError>;
}

impl<F: Fn() -> Result<(), CancelError>> Abort for F {
    fn abort(&self) -> Result<(), CancelError> {
        self()
    }
}

trait Cancel {
    fn cancel(&self) -> Result<(), CancelError>;
}

impl<T> Cancel for Core<T> {
    fn cancel(&self) -> Result<(), CancelError> {
        let claim = self.claim.replace(Claim::Claimed);
        let done = matches!(claim, Claim::Done(_) | Claim::Claimed);
        self.claim.set(claim);
        if done {
            return Err(CancelError::Done);
        }
        // Cloned out: what is cancelled may complete and clear the cell.
        let cancel = self.cancel.borrow().clone();
        cancel.map_or(Err(CancelError::Busy), |cancel| cancel.abort())
    }
}

/// The other end of a request: completes it once.
pub(crate) struct Completer<T> {
    core: Rc<Core<T>>,
}

impl<T: 'static> Completer<T> {
    /// A request that is pending, and what completes it.
    pub(crate) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
    ) -> (Completer<T>, Request<T>) {
        let core = Rc::new(Core {
            state: state.clone(),
            location,
            claim: Cell::new(Claim::Held),
            cancel: RefCell::new(None),
            heir: Cell::new(None),
        });
        let request = Request { stage: RequestStage::Pending(core.clone()) };
        (Completer { core }, request)
    }

    /// Sets how the request is cancelled.
    pub(crate) fn on_cancel(&self, cancel: impl Fn() -> Result<(), CancelError> + 'static) {
        self.set_abort(Rc::new(cancel));
    }

    /// As [`on_cancel`](Completer::on_cancel), for an operation that is there already. It may own this completer: the
    /// request lets go of it when it completes.
    pub(crate) fn set_abort(&self, operation: Rc<dyn Abort>) {
        self.core.cancel.replace(Some(operation));
    }

    /// Sets who gets the result if the request is dropped, before or after it completes. The heir is
    /// internal code: what calls back must be deferred.
    pub(crate) fn set_heir(&self, heir: impl FnOnce(T) + 'static) {
        self.core.heir.set(Some(Box::new(heir)));
    }

    /// Completes the request, calling its callback here. Drains the queues after it.
    pub(crate) fn complete(self, value: T) {
        drop(self.core.cancel.take());
        match self.core.claim.replace(Claim::Claimed) {
            Claim::Callback(f) => {
                callback::call(&self.core.state, Some(self.core.location), || f(value));
            }
            Claim::Awaited(waker) => {
                self.core.claim.set(Claim::Done(value));
                waker.wake();
                callback::drain(&self.core.state);
            }
            Claim::Held => self.core.claim.set(Claim::Done(value)),
            Claim::Dropped => match self.core.heir.take() {
                Some(heir) => heir(value),
                None => drop(value),
            },
            Claim::Done(_) | Claim::Claimed => unreachable!("a completer is used up by completing"),
        }
    }

    /// Completes the request in the pending phase of the next iteration.
    pub(crate) fn complete_later(self, value: T) {
        let state = self.core.state.clone();
        let later = self.later(value);
        state.pending.push(Closure::new(move || later.complete()));
    }

    /// The completer with its value, to be completed when its turn comes.
    pub(crate) fn later(self, value: T) -> Later<T> {
        Later { parts: Some((self, value)) }
    }

    /// The loop ends: the callback is dropped uncalled, and who awaits gets this value, if any.
    pub(crate) fn shut_down(self, value: Option<T>) {
        callback::drop_quietly(self.core.cancel.take());
        callback::drop_quietly(self.core.heir.take());
        match (self.core.claim.replace(Claim::Claimed), value) {
            (Claim::Awaited(waker), Some(value)) => {
                self.core.claim.set(Claim::Done(value));
                waker.wake();
            }
            (Claim::Held, Some(value)) => self.core.claim.set(Claim::Done(value)),
            // Without a value to give, the request stays pending for ever.
            (claim @ (Claim::Awaited(_) | Claim::Held), None) => self.core.claim.set(claim),
            (other, value) => {
                callback::drop_quietly(other);
                callback::drop_quietly(value);
            }
        }
    }
}

/// A completion that waits in a queue. When its loop ends first, who awaits still gets the value.
pub(crate) struct Later<T: 'static> {
    parts: Option<(Completer<T>, T)>,
}

impl<T: 'static> Later<T> {
    pub(crate) fn complete(mut self) {
        if let Some((completer, value)) = self.parts.take() {
            completer.complete(value);
        }
    }
}

impl<T: 'static> Drop for Later<T> {
    fn drop(&mut self) {
        if let Some((completer, value)) = self.parts.take() {
            completer.shut_down(Some(value));
        }
    }
}
