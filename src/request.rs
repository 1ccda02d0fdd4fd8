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
use crate::queue::closure::{Closure, ResultClosure};

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
    /// A callback was attached: nothing is left of the request itself.
    Spent,
}

/// What a request and whoever completes it share. One allocation with the operation itself, where that is
/// made for one request only.
pub(crate) struct Core<T, O: ?Sized = dyn Operation<T>> {
    state: Rc<State>,
    location: &'static Location<'static>,
    claim: Cell<Claim<T>>,
    /// What is being done.
    pub(crate) operation: O,
}

/// What a request asks of the operation behind it.
pub(crate) trait Operation<T> {
    /// Cancels it, so that the request completes later, or says why not. Asked until it has completed.
    fn abort(&self, core: &Rc<Core<T>>) -> Result<(), CancelError>;

    /// Who gets a result whose request was dropped, if anybody.
    fn take_heir(&self) -> Option<Box<dyn FnOnce(T)>> {
        None
    }

    /// It has completed: lets go of what only cancelling needs.
    fn release(&self) {}
}

/// An operation that keeps its own state elsewhere, and holds a [`Completer`].
struct Elsewhere<T> {
    /// How it is cancelled, if it can be. Gone once it has completed.
    cancel: RefCell<Option<Rc<dyn Fn() -> Result<(), CancelError>>>>,
    heir: Cell<Option<Box<dyn FnOnce(T)>>>,
}

impl<T> Operation<T> for Elsewhere<T> {
    fn abort(&self, _core: &Rc<Core<T>>) -> Result<(), CancelError> {
        // Cloned out: what is cancelled may complete and clear the cell.
        let cancel = self.cancel.borrow().clone();
        cancel.map_or(Err(CancelError::Busy), |cancel| cancel())
    }

    fn take_heir(&self) -> Option<Box<dyn FnOnce(T)>> {
        self.heir.take()
    }

    fn release(&self) {
        drop(self.cancel.take());
    }
}

/// What a future of a request says that is polled again.
const POLLED_AGAIN: &str = "windlass: a request was polled after it was ready";

/// How far the result has come, and who wants it.
enum Claim<T> {
    /// Not completed; the request is held, and nobody has asked yet.
    Held,
    /// Not completed; the callback waits for it.
    Callback(ResultClosure<T>),
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
        match std::mem::replace(&mut self.stage, RequestStage::Spent) {
            RequestStage::Finished(state, value) => {
                if let Some(value) = value {
                    defer(&state, None, || f(value));
                }
            }
            RequestStage::Spent => {}
            RequestStage::Pending(core) => match core.claim.replace(Claim::Claimed) {
                Claim::Done(value) => {
                    let (state, location) = (core.state.clone(), core.location);
                    let unclaimed = Unclaimed { core, value: Some(value) };
                    defer(&state, Some(location), || unclaimed.give(f));
                }
                // Completed and claimed before, by an await: then there is no result.
                Claim::Claimed => {}
                _ if core.state.is_open() => core.claim.set(Claim::Callback(ResultClosure::new(f))),
                _ => {}
            },
        }
    }

    /// Cancels the operation. It then completes with a cancelled error, later.
    ///
    /// Where either outcome will do, write `drop(request.cancel())`.
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
            RequestStage::Pending(core) => abort(core),
            RequestStage::Finished(..) | RequestStage::Spent => Err(CancelError::Done),
        }
    }

    /// Something that can cancel the request after it was given a callback or to a task.
    pub fn canceller(&self) -> Canceller {
        match &self.stage {
            RequestStage::Pending(core) => Canceller { request: Some(Rc::new(core.clone())) },
            RequestStage::Finished(..) | RequestStage::Spent => Canceller { request: None },
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
        Request::completed_later(state, location, Err(error))
    }

    /// A request that completes in the next pending phase, for what is known without being tried.
    pub(crate) fn completed_later(
        state: &Rc<State>,
        location: &'static Location<'static>,
        value: io::Result<T>,
    ) -> Self {
        let (completer, request) = Completer::new(state, location);
        if state.is_open() {
            completer.complete_later(value);
        } else {
            completer.shut_down(Some(value));
        }
        request
    }
}

/// Queues a callback whose result is there already. Not on a loop that has ended.
fn defer(
    state: &Rc<State>,
    location: Option<&'static Location<'static>>,
    f: impl FnOnce() + 'static,
) {
    if state.is_open() {
        let inner = state.clone();
        state.pending.push(Closure::new(move || callback::call(&inner, location, f)));
    }
}

/// A result on its way to a callback. When the loop ends first, the heir gets it.
struct Unclaimed<T> {
    core: Rc<Core<T>>,
    value: Option<T>,
}

impl<T> Unclaimed<T> {
    fn give(mut self, f: impl FnOnce(T)) {
        if let Some(value) = self.value.take() {
            f(value);
        }
    }
}

impl<T> Drop for Unclaimed<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            callback::quietly(|| self.core.leave(value));
        }
    }
}

impl<T> Unpin for Request<T> {}

impl<T> Future for Request<T> {
    type Output = T;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.stage {
            RequestStage::Finished(_, value) => Poll::Ready(value.take().expect(POLLED_AGAIN)),
            RequestStage::Spent => unreachable!("a request with a callback is gone"),
            RequestStage::Pending(core) => match core.claim.replace(Claim::Claimed) {
                Claim::Done(value) => Poll::Ready(value),
                Claim::Claimed => panic!("{POLLED_AGAIN}"),
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
    #[inline]
    fn drop(&mut self) {
        if let RequestStage::Pending(core) = &self.stage {
            core.abandon();
        }
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = match &self.stage {
            RequestStage::Pending(core) => Some(core.location),
            RequestStage::Finished(..) | RequestStage::Spent => None,
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

/// A request of any type.
trait Cancel {
    fn cancel(&self) -> Result<(), CancelError>;
}

impl<T> Cancel for Rc<Core<T>> {
    fn cancel(&self) -> Result<(), CancelError> {
        abort(self)
    }
}

fn abort<T>(core: &Rc<Core<T>>) -> Result<(), CancelError> {
    if core.is_done() { Err(CancelError::Done) } else { core.operation.abort(core) }
}

impl<T, O> Core<T, O> {
    /// What is to become a request, once its operation is set up.
    #[inline]
    pub(crate) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
        operation: O,
    ) -> Rc<Core<T, O>> {
        let claim = Cell::new(Claim::Held);
        Rc::new(Core { state: state.clone(), location, claim, operation })
    }
}

impl<T: 'static, O: Operation<T> + 'static> Core<T, O> {
    /// The request of this operation. There is one.
    #[inline]
    pub(crate) fn request(self: &Rc<Self>) -> Request<T> {
        Request { stage: RequestStage::Pending(self.clone()) }
    }
}

impl<T, O: ?Sized> Core<T, O> {
    fn is_done(&self) -> bool {
        let claim = self.claim.replace(Claim::Claimed);
        let done = matches!(claim, Claim::Done(_) | Claim::Claimed);
        self.claim.set(claim);
        done
    }
}

impl<T, O: Operation<T> + ?Sized> Core<T, O> {
    /// The request was dropped.
    fn abandon(&self) {
        match self.claim.replace(Claim::Claimed) {
            Claim::Held | Claim::Awaited(_) => self.claim.set(Claim::Dropped),
            Claim::Done(value) => self.leave(value),
            other @ (Claim::Callback(_) | Claim::Dropped | Claim::Claimed) => self.claim.set(other),
        }
    }

    /// A result whose request was dropped.
    fn leave(&self, value: T) {
        match self.operation.take_heir() {
            Some(heir) => heir(value),
            None => drop(value),
        }
    }

    /// Completes the request, calling its callback here. Drains the queues after it. Once.
    pub(crate) fn complete(&self, value: T) {
        self.operation.release();
        match self.claim.replace(Claim::Claimed) {
            Claim::Callback(f) => {
                callback::call(&self.state, Some(self.location), || f.call_result(value));
            }
            Claim::Awaited(waker) => {
                self.claim.set(Claim::Done(value));
                waker.wake();
                callback::drain(&self.state);
            }
            Claim::Held => self.claim.set(Claim::Done(value)),
            Claim::Dropped => self.leave(value),
            Claim::Done(_) | Claim::Claimed => unreachable!("a request completes once"),
        }
    }

    /// The loop ends: the callback is dropped uncalled, and who awaits gets this value, if any.
    pub(crate) fn shut_down(&self, value: Option<T>) {
        callback::quietly(|| self.operation.release());
        callback::drop_quietly(self.operation.take_heir());
        match (self.claim.replace(Claim::Claimed), value) {
            (Claim::Awaited(waker), Some(value)) => {
                self.claim.set(Claim::Done(value));
                waker.wake();
            }
            (Claim::Held, Some(value)) => self.claim.set(Claim::Done(value)),
            // Without a value to give, the request stays pending for ever.
            (claim @ (Claim::Awaited(_) | Claim::Held), None) => self.claim.set(claim),
            (other, value) => {
                callback::drop_quietly(other);
                callback::drop_quietly(value);
            }
        }
    }
}

impl<T: 'static> Core<T> {
    /// Completes the request in the pending phase of the next iteration.
    pub(crate) fn complete_later(self: Rc<Self>, value: T) {
        let state = self.state.clone();
        let later = Later { parts: Some((self, value)) };
        state.pending.push(Closure::new(move || later.complete()));
    }
}

/// The other end of a request: completes it once.
pub(crate) struct Completer<T> {
    core: Rc<Core<T, Elsewhere<T>>>,
}

impl<T: 'static> Completer<T> {
    /// A request that is pending, and what completes it.
    pub(crate) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
    ) -> (Completer<T>, Request<T>) {
        let operation = Elsewhere { cancel: RefCell::new(None), heir: Cell::new(None) };
        let core = Core::new(state, location, operation);
        let request = core.request();
        (Completer { core }, request)
    }

    /// Sets how the request is cancelled.
    pub(crate) fn on_cancel(&self, cancel: impl Fn() -> Result<(), CancelError> + 'static) {
        self.core.operation.cancel.replace(Some(Rc::new(cancel)));
    }

    /// Sets who gets the result if the request is dropped, before or after it completes. The heir is
    /// internal code: what calls back must be deferred.
    pub(crate) fn set_heir(&self, heir: impl FnOnce(T) + 'static) {
        self.core.operation.heir.set(Some(Box::new(heir)));
    }

    /// Completes the request, calling its callback here. Drains the queues after it.
    pub(crate) fn complete(self, value: T) {
        self.core.complete(value);
    }

    /// Completes the request in the pending phase of the next iteration.
    pub(crate) fn complete_later(self, value: T) {
        let core: Rc<Core<T>> = self.core;
        core.complete_later(value);
    }

    /// The completer with its value, to be completed when its turn comes.
    pub(crate) fn later(self, value: T) -> Later<T> {
        Later { parts: Some((self.core, value)) }
    }

    /// The loop ends: the callback is dropped uncalled, and who awaits gets this value, if any.
    pub(crate) fn shut_down(self, value: Option<T>) {
        self.core.shut_down(value);
    }
}

/// A completion that waits in a queue. When its loop ends first, who awaits still gets the value.
pub(crate) struct Later<T: 'static> {
    parts: Option<(Rc<Core<T>>, T)>,
}

impl<T: 'static> Later<T> {
    pub(crate) fn complete(mut self) {
        if let Some((core, value)) = self.parts.take() {
            core.complete(value);
        }
    }
}

impl<T: 'static> Drop for Later<T> {
    fn drop(&mut self) {
        if let Some((core, value)) = self.parts.take() {
            core.shut_down(Some(value));
        }
    }
}
