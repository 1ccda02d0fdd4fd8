//! A request: one operation, one completion.
//!
//! The code that performs the operation holds a [`Completer`] and completes it once; the user holds
//! the [`Request`] and claims the result: with a callback, by awaiting, or not at all. A result
//! that nobody claims goes to [`on_unclaimed`](Completer::on_unclaimed). An operation that is done
//! when its call returns makes a request without a completer, and allocates nothing.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::callback;
use crate::cell::peek;
use crate::error::CancelError;
use crate::queue::closure::{Closure, ResultClosure};
use crate::state::State;
use crate::task::waiters;
use crate::trace::cause;
use crate::trace::label::here;
use crate::trace::origin::Origin;
use crate::unhandled::{self, Claimable, Lost};

/// One operation that completes once: a connect, a write, a file read, a pool job.
///
/// Give it a callback with [`on_complete`](Request::on_complete), or `.await` it, or drop it: it
/// completes all the same. A request keeps its loop alive until it has completed. One that has
/// completed and that nobody has claimed does not.
///
/// The error of a request that was dropped is heard of by [`on_unhandled`](crate::on_unhandled),
/// or else logged; not that of one which was cancelled, or which the end of its loop cuts off.
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
///     windlass::spawn_try(async {
///         let text = windlass::fs::read_to_string("Cargo.toml").await?;
///         assert!(text.contains("windlass"));
///         Ok::<(), std::io::Error>(())
///     });
/// });
/// ```
#[must_use = "a request completes by itself, but its result is lost; `drop` it to say so"]
pub struct Request<T> {
    /// How far it is.
    stage: Stage<T>,
}

/// How far a request is that its user holds.
enum Stage<T> {
    /// The operation was done when its call returned: here are the loop, its kind, and the result
    /// until it is awaited. Nobody completes such a request.
    Finished(Rc<State>, &'static str, Option<T>),
    /// Somebody completes the request, or has done so.
    Pending(Rc<Pending<T>>),
    /// A callback was attached: nothing is left of the request itself.
    Spent,
}

/// What a request and the operation behind it share. One allocation with the operation, where that
/// is made for one request only.
pub(crate) struct Pending<T, O: ?Sized = dyn Operation<T>> {
    /// The loop on which the request completes.
    state: Rc<State>,
    /// The line that made the request.
    location: &'static Location<'static>,
    /// Where its completion comes from: the callback that made it, and from its completion on the
    /// pool job that ended it, if one did. Zero: none, or nobody observed.
    cause: Cell<u64>,
    /// The line that attached the callback, if one was.
    claimed_at: Cell<Option<&'static Location<'static>>>,
    /// How far the result has come.
    claim: Cell<Claim<T>>,
    /// What is being done.
    pub(crate) operation: O,
}

/// What a request asks of the operation behind it.
pub(crate) trait Operation<T> {
    /// Cancels it, so that the request completes later, or says why not. Asked until it has
    /// completed.
    fn abort(&self, pending: &Rc<Pending<T>>) -> Result<(), CancelError>;

    /// What it is called in reports.
    fn kind(&self) -> &'static str;

    /// What nobody took of this result: its error, if it has one.
    fn lost(&self, value: T) -> Option<Lost>;

    /// What takes a result whose request was dropped, if anything does. See
    /// [`Completer::on_unclaimed`].
    fn take_unclaimed(&self) -> Option<Box<OnUnclaimed<T>>> {
        None
    }

    /// It has completed: lets go of what only cancelling needs.
    fn release(&self) {}

    /// The pool job that did it, if that was observed. Else zero.
    fn job(&self) -> u64 {
        0
    }
}

/// Takes a result whose request was dropped, and gives back what nobody takes of it. See
/// [`Completer::on_unclaimed`].
type OnUnclaimed<T> = dyn FnOnce(T) -> Option<Lost>;

/// An operation that keeps its own state elsewhere, and holds a [`Completer`].
struct Elsewhere<T> {
    /// What it is called in reports.
    kind: &'static str,
    /// How it is cancelled, if it can be. Gone once it has completed.
    cancel: RefCell<Option<Rc<dyn Fn() -> Result<(), CancelError>>>>,
    /// Takes a result whose request was dropped, once.
    on_unclaimed: Cell<Option<Box<OnUnclaimed<T>>>>,
}

impl<T: Claimable> Operation<T> for Elsewhere<T> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn lost(&self, value: T) -> Option<Lost> {
        value.into_lost()
    }

    fn abort(&self, _core: &Rc<Pending<T>>) -> Result<(), CancelError> {
        // Cloned out: what is cancelled may complete and clear the cell.
        let cancel = self.cancel.borrow().clone();
        cancel.map_or(Err(CancelError::Busy), |cancel| cancel())
    }

    fn take_unclaimed(&self) -> Option<Box<OnUnclaimed<T>>> {
        self.on_unclaimed.take()
    }

    fn release(&self) {
        drop(self.cancel.take());
    }
}

/// The message of the panic of a request that is polled again.
const POLLED_AGAIN: &str = "windlass: a request was polled after it was ready";

/// How far the result has come, and what waits for it.
#[derive(Default)]
enum Claim<T> {
    /// Not completed; the request is held, and nobody has asked yet.
    Held,
    /// Not completed; the callback waits for it.
    Callback(ResultClosure<T>),
    /// Not completed; code of this crate waits for it.
    Passed(ResultClosure<T>),
    /// Not completed; a task waits for it.
    Awaited(Waker),
    /// Not completed; the request was dropped.
    Dropped,
    /// Completed and not yet claimed.
    Done(T),
    /// Completed and claimed.
    #[default]
    Claimed,
}

impl<T: 'static> Request<T> {
    /// A request that was done at once, and did not fail: see [`Request::done`].
    #[inline]
    pub(crate) fn finished(state: &Rc<State>, kind: &'static str, value: T) -> Request<T> {
        Request { stage: Stage::Finished(state.clone(), kind, Some(value)) }
    }

    /// A request that was done at once, perhaps with an error.
    pub(crate) fn done(
        state: &Rc<State>,
        kind: &'static str,
        location: &'static Location<'static>,
        value: T,
    ) -> Request<T>
    where
        T: Claimable,
    {
        let (completer, request) = Completer::new(state, kind, location);
        completer.pending.claim.set(Claim::Done(value));
        request
    }

    /// Calls `f` with the result, from the loop, never from inside this call.
    ///
    /// The callback runs in the phase in which the operation completes (poll for most, close for
    /// what a closing handle cancels), or in the pending phase of the next iteration if it has
    /// completed before. Ticks and microtasks are drained after it.
    #[track_caller]
    pub fn on_complete(self, f: impl FnOnce(T) + 'static) {
        self.claim(Some(here()), f);
    }

    /// Gives the result to code of this crate, which completes other requests with it, from the
    /// loop, never from inside this call.
    ///
    /// That is no callback: observers hear of those requests alone, and a pool job behind this one
    /// is the cause of their completion.
    pub(crate) fn pass_to(self, f: impl FnOnce(T) + 'static) {
        self.claim(None, f);
    }

    /// Has the result given to a callback that was registered at this place. Without one, to code
    /// of this crate.
    fn claim(mut self, place: Option<&'static Location<'static>>, f: impl FnOnce(T) + 'static) {
        match std::mem::replace(&mut self.stage, Stage::Spent) {
            Stage::Finished(state, kind, value) => {
                if let Some(value) = value {
                    let origin = place.map(|place| Origin::at(kind, place));
                    defer(&state, origin, || f(value));
                }
            }
            Stage::Spent => {}
            Stage::Pending(pending) => match pending.claim.replace(Claim::Claimed) {
                Claim::Done(value) => {
                    pending.claimed_at.set(place);
                    let (state, origin) = (pending.state.clone(), place.map(|_| pending.origin()));
                    let unclaimed = Unclaimed { pending, value: Some(value) };
                    defer(&state, origin, || unclaimed.give(f));
                }
                // Completed and claimed before, by an await: then there is no result.
                Claim::Claimed => {}
                _ if pending.state.is_open() => {
                    pending.claimed_at.set(place);
                    let f = ResultClosure::new(f);
                    pending.claim.set(match place {
                        Some(_) => Claim::Callback(f),
                        None => Claim::Passed(f),
                    });
                }
                _ => {}
            },
        }
    }

    /// Cancels the operation. It then completes with a cancelled error, later.
    ///
    /// Where either outcome will do, write `request.cancel().ok()`.
    ///
    /// # Errors
    /// [`CancelError::Busy`] when it has started and cannot be stopped, [`CancelError::Done`] when
    /// it has completed.
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
            Stage::Pending(pending) => abort(pending),
            Stage::Finished(..) | Stage::Spent => Err(CancelError::Done),
        }
    }

    /// Something that can cancel the request after it was given a callback or to a task.
    pub fn canceller(&self) -> Canceller {
        match &self.stage {
            Stage::Pending(pending) => Canceller { request: Some(Rc::new(pending.clone())) },
            Stage::Finished(..) | Stage::Spent => Canceller { request: None },
        }
    }
}

impl<T: 'static> Request<io::Result<T>> {
    /// A request that fails in the next pending phase, for what is refused without being tried.
    pub(crate) fn failed_later(
        state: &Rc<State>,
        kind: &'static str,
        location: &'static Location<'static>,
        error: io::Error,
    ) -> Self {
        Request::completed_later(state, kind, location, Err(error))
    }

    /// A request that completes in the next pending phase, for what is known without being tried.
    pub(crate) fn completed_later(
        state: &Rc<State>,
        kind: &'static str,
        location: &'static Location<'static>,
        value: io::Result<T>,
    ) -> Self {
        let (completer, request) = Completer::new(state, kind, location);
        if state.is_open() {
            completer.complete_later(value);
        } else {
            completer.shut_down(Some(value));
        }
        request
    }
}

/// Queues what takes a result that is there already: a callback, or without an origin code of this
/// crate. Not on a loop that has ended.
fn defer(state: &Rc<State>, origin: Option<Origin>, f: impl FnOnce() + 'static) {
    if state.is_open() {
        let inner = state.clone();
        state.push_pending(Closure::new(move || match origin {
            Some(origin) => callback::call(&inner, origin, f),
            None => f(),
        }));
    }
}

/// A result on its way to a callback. When the loop ends first, it is unclaimed after all.
struct Unclaimed<T> {
    /// What has completed.
    pending: Rc<Pending<T>>,
    /// The result, until the callback has it.
    value: Option<T>,
}

impl<T> Unclaimed<T> {
    /// Calls the callback.
    fn give(mut self, f: impl FnOnce(T)) {
        if let Some(value) = self.value.take() {
            f(value);
        }
    }
}

impl<T> Drop for Unclaimed<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            callback::quietly(|| self.pending.leave(value));
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
            Stage::Finished(.., value) => Poll::Ready(value.take().expect(POLLED_AGAIN)),
            Stage::Spent => unreachable!("a request with a callback is gone"),
            Stage::Pending(pending) => {
                if !pending.is_done() {
                    // Anybody's code: it may panic, and it may complete the request.
                    let waker = cx.waker().clone();
                    if !pending.is_done() {
                        let before = pending.claim.replace(Claim::Awaited(waker));
                        drop(before);
                        return Poll::Pending;
                    }
                }
                match pending.claim.replace(Claim::Claimed) {
                    Claim::Done(value) => Poll::Ready(value),
                    _ => panic!("{POLLED_AGAIN}"),
                }
            }
        }
    }
}

impl<T> Drop for Request<T> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Pending(pending) = &self.stage {
            pending.abandon();
        }
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = match &self.stage {
            Stage::Pending(pending) => Some(pending.location),
            Stage::Finished(..) | Stage::Spent => None,
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

/// A request of any type, for what only cancels it.
trait Cancel {
    /// As [`Request::cancel`].
    fn cancel(&self) -> Result<(), CancelError>;
}

impl<T> Cancel for Rc<Pending<T>> {
    fn cancel(&self) -> Result<(), CancelError> {
        abort(self)
    }
}

fn abort<T>(pending: &Rc<Pending<T>>) -> Result<(), CancelError> {
    if pending.is_done() { Err(CancelError::Done) } else { pending.operation.abort(pending) }
}

impl<T, O> Pending<T, O> {
    /// What is to become a request, once its operation is set up.
    #[inline]
    pub(crate) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
        operation: O,
    ) -> Rc<Pending<T, O>> {
        let (claim, claimed_at) = (Cell::new(Claim::Held), Cell::new(None));
        let cause = Cell::new(cause::running());
        Rc::new(Pending { state: state.clone(), location, cause, claimed_at, claim, operation })
    }
}

impl<T: 'static, O: Operation<T> + 'static> Pending<T, O> {
    /// The request of this operation. There is one.
    #[inline]
    pub(crate) fn request(self: &Rc<Self>) -> Request<T> {
        Request { stage: Stage::Pending(self.clone()) }
    }
}

impl<T, O: ?Sized> Pending<T, O> {
    /// Whether it has completed.
    fn is_done(&self) -> bool {
        peek(&self.claim, |claim| matches!(claim, Claim::Done(_) | Claim::Claimed))
    }
}

impl<T, O: Operation<T> + ?Sized> Pending<T, O> {
    /// What its completion is, and where it comes from.
    fn origin(&self) -> Origin {
        Origin {
            kind: self.operation.kind(),
            place: self.claimed_at.get().or(Some(self.location)),
            cause: self.cause.get(),
        }
    }

    /// It completes. Returns the job that has ended it, its own or the one whose result is being
    /// passed on. Zero: none, or nobody observes.
    #[inline]
    fn note_job(&self) -> u64 {
        if !self.state.is_observed() {
            return 0;
        }
        let own = self.operation.job();
        let job = if own > 0 { own } else { self.state.teller.passed_on() };
        if job > 0 {
            self.cause.set(job);
        }
        job
    }

    /// The request was dropped: its result, come or to come, is unclaimed.
    fn abandon(&self) {
        match self.claim.replace(Claim::Claimed) {
            Claim::Held | Claim::Awaited(_) => self.claim.set(Claim::Dropped),
            Claim::Done(value) => self.leave(value),
            other => self.claim.set(other),
        }
    }

    /// Gives a result away whose request was dropped. An error goes to `on_unhandled` in the end.
    fn leave(&self, value: T) {
        let lost = match self.operation.take_unclaimed() {
            Some(f) => f(value),
            None => self.operation.lost(value),
        };
        if let Some(lost) = lost {
            unhandled::report(&self.state, self.operation.kind(), self.location, lost);
        }
    }

    /// Completes the request, calling its callback here. Drains the queues after it. Once.
    pub(crate) fn complete(&self, value: T) {
        self.operation.release();
        let job = self.note_job();
        match self.claim.replace(Claim::Claimed) {
            Claim::Callback(f) => {
                callback::call(&self.state, self.origin(), || f.call_result(value));
            }
            Claim::Passed(f) => {
                callback::call_own(&self.state, job, || f.call_result(value));
            }
            Claim::Awaited(waker) => {
                self.claim.set(Claim::Done(value));
                if self.state.is_observed() {
                    cause::on_behalf_of(self.cause.get(), || waiters::wake(waker));
                } else {
                    waiters::wake(waker);
                }
                callback::drain(&self.state);
            }
            Claim::Held => self.claim.set(Claim::Done(value)),
            Claim::Dropped => self.leave(value),
            Claim::Done(_) | Claim::Claimed => unreachable!("a request completes once"),
        }
    }

    /// The loop ends: the callback is dropped uncalled, and a task that awaits gets this value, if
    /// any.
    pub(crate) fn shut_down(&self, value: Option<T>) {
        callback::quietly(|| self.operation.release());
        callback::drop_quietly(self.operation.take_unclaimed());
        match (self.claim.replace(Claim::Claimed), value) {
            (Claim::Awaited(waker), Some(value)) => {
                self.claim.set(Claim::Done(value));
                waiters::wake(waker);
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

impl<T: 'static> Pending<T> {
    /// Completes the request in the pending phase of the next iteration.
    pub(crate) fn complete_later(self: Rc<Self>, value: T) {
        self.note_job();
        let state = self.state.clone();
        let later = Later { parts: Some((self, value)) };
        state.push_pending(Closure::new(move || later.complete()));
    }
}

/// The other end of a request: completes it once.
pub(crate) struct Completer<T> {
    /// What the request has too.
    pending: Rc<Pending<T, Elsewhere<T>>>,
}

impl<T: Claimable + 'static> Completer<T> {
    /// A request that is pending, and what completes it.
    pub(crate) fn new(
        state: &Rc<State>,
        kind: &'static str,
        location: &'static Location<'static>,
    ) -> (Completer<T>, Request<T>) {
        let (cancel, on_unclaimed) = (RefCell::new(None), Cell::new(None));
        let operation = Elsewhere { kind, cancel, on_unclaimed };
        let pending = Pending::new(state, location, operation);
        let request = pending.request();
        (Completer { pending }, request)
    }

    /// Sets how the request is cancelled.
    pub(crate) fn on_cancel(&self, cancel: impl Fn() -> Result<(), CancelError> + 'static) {
        self.pending.operation.cancel.replace(Some(Rc::new(cancel)));
    }

    /// Gives the result to `f` if the request is dropped, before or after it completes. `f` is
    /// internal code: what calls back must be deferred. The error that it gives back is one that
    /// nobody takes.
    pub(crate) fn on_unclaimed(&self, f: impl FnOnce(T) -> Option<Lost> + 'static) {
        self.pending.operation.on_unclaimed.set(Some(Box::new(f)));
    }

    /// Where its completion comes from as long as no job has ended it: who asked.
    pub(crate) fn cause(&self) -> u64 {
        self.pending.cause.get()
    }

    /// Completes the request, calling its callback here. Drains the queues after it.
    pub(crate) fn complete(self, value: T) {
        self.pending.complete(value);
    }

    /// Completes the request in the pending phase of the next iteration.
    pub(crate) fn complete_later(self, value: T) {
        let pending: Rc<Pending<T>> = self.pending;
        pending.complete_later(value);
    }

    /// The completer with its value, to be completed from a queue.
    pub(crate) fn later(self, value: T) -> Later<T> {
        Later { parts: Some((self.pending, value)) }
    }

    /// The loop ends: the callback is dropped uncalled, and a task that awaits gets this value, if
    /// any.
    pub(crate) fn shut_down(self, value: Option<T>) {
        self.pending.shut_down(value);
    }
}

/// A completion that waits in a queue. When its loop ends first, a task that awaits still gets the
/// value.
pub(crate) struct Later<T: 'static> {
    /// What is to be completed, and with what. None once it is done.
    parts: Option<(Rc<Pending<T>>, T)>,
}

impl<T: 'static> Later<T> {
    pub(crate) fn complete(mut self) {
        if let Some((pending, value)) = self.parts.take() {
            pending.complete(value);
        }
    }
}

impl<T: 'static> Drop for Later<T> {
    fn drop(&mut self) {
        if let Some((pending, value)) = self.parts.take() {
            pending.shut_down(Some(value));
        }
    }
}
