//! A promise: the completer of a request for I/O that cannot be forgotten.
//!
//! Operations of several steps pass it on from one to the next. Whatever becomes of them, the
//! request completes: a promise that is dropped on the way is an error of the operation.

use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::error::{self, CancelError};
use crate::request::{Completer, Request};
use crate::state::State;
use crate::trace::cause;
use crate::unhandled::Lost;

/// Completes a request once, also when it is dropped: then the operation is gone, with the loop as
/// a rule.
pub(crate) struct Promise<T: 'static> {
    /// The loop of the request.
    state: Rc<State>,
    /// None once the promise is fulfilled.
    completer: Option<Completer<io::Result<T>>>,
}

impl<T: 'static> Promise<T> {
    /// A promise, and the request that it completes.
    pub(crate) fn new(
        state: &Rc<State>,
        kind: &'static str,
        location: &'static Location<'static>,
    ) -> (Promise<T>, Request<io::Result<T>>) {
        let (completer, request) = Completer::new(state, kind, location);
        (Promise { state: state.clone(), completer: Some(completer) }, request)
    }

    /// As [`Completer::on_unclaimed`].
    pub(crate) fn on_unclaimed(&self, f: impl FnOnce(io::Result<T>) -> Option<Lost> + 'static) {
        if let Some(completer) = &self.completer {
            completer.on_unclaimed(f);
        }
    }

    /// As [`Completer::on_cancel`].
    pub(crate) fn on_cancel(&self, cancel: impl Fn() -> Result<(), CancelError> + 'static) {
        if let Some(completer) = &self.completer {
            completer.on_cancel(cancel);
        }
    }

    /// What `f` schedules was asked for by who made the promise.
    pub(crate) fn on_behalf<R>(self, f: impl FnOnce(Promise<T>) -> R) -> R {
        let asked = self.completer.as_ref().map_or(0, Completer::cause);
        cause::on_behalf_of(asked, || f(self))
    }

    /// Fulfils the promise with what `make` makes of another request's value. Cancelling this
    /// request cancels that one.
    pub(crate) fn follow<A: 'static>(
        self,
        request: Request<io::Result<A>>,
        make: impl FnOnce(A) -> T + 'static,
    ) {
        let canceller = request.canceller();
        self.on_cancel(move || canceller.cancel());
        request.pass_to(move |result| self.fulfil(result.map(make)));
    }

    /// Calls the request's callback here.
    pub(crate) fn fulfil(mut self, result: io::Result<T>) {
        if let Some(completer) = self.completer.take() {
            completer.complete(result);
        }
    }

    /// Has the request's callback called in the next pending phase.
    pub(crate) fn fulfil_later(mut self, result: io::Result<T>) {
        if let Some(completer) = self.completer.take() {
            completer.complete_later(result);
        }
    }
}

impl<T: 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        let Some(completer) = self.completer.take() else { return };
        if self.state.is_open() {
            // The task that had the promise has panicked, which is reported as a panic.
            let text = "the operation has ended without a result";
            completer.complete_later(Err(io::Error::other(text)));
        } else {
            completer.shut_down(Some(Err(error::shut_down())));
        }
    }
}
