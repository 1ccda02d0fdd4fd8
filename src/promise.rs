//! A promise: the completer of a request for I/O that cannot be forgotten.
//!
//! Operations of several steps pass it on from one to the next. Whatever becomes of them, the request is
//! answered: when the promise is dropped on the way, that is a result too.

use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::error::{self, CancelError};
use crate::event_loop::State;
use crate::request::{Completer, Request};

/// Answers a request once, also when it is dropped: then whoever had it has gone, with the loop as a rule.
pub(crate) struct Promise<T: 'static> {
    state: Rc<State>,
    completer: Option<Completer<io::Result<T>>>,
}

impl<T: 'static> Promise<T> {
    pub(crate) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
    ) -> (Promise<T>, Request<io::Result<T>>) {
        let (completer, request) = Completer::new(state, location);
        (Promise { state: state.clone(), completer: Some(completer) }, request)
    }

    /// Sets who gets a result that nobody wants. Calls no user code.
    pub(crate) fn set_heir(&self, heir: impl FnOnce(io::Result<T>) + 'static) {
        if let Some(completer) = &self.completer {
            completer.set_heir(heir);
        }
    }

    pub(crate) fn on_cancel(&self, cancel: impl Fn() -> Result<(), CancelError> + 'static) {
        if let Some(completer) = &self.completer {
            completer.on_cancel(cancel);
        }
    }

    /// Answers with what `make` makes of another request's value, and is cancelled by cancelling that.
    pub(crate) fn follow<A: 'static>(
        self,
        request: Request<io::Result<A>>,
        make: impl FnOnce(A) -> T + 'static,
    ) {
        let canceller = request.canceller();
        self.on_cancel(move || canceller.cancel());
        request.on_complete(move |result| self.fulfil(result.map(make)));
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
            // A task that had it has panicked, which is told elsewhere.
            let text = "the operation has ended without a result";
            completer.complete_later(Err(io::Error::other(text)));
        } else {
            completer.shut_down(Some(Err(error::shut_down())));
        }
    }
}
