//! Long work in slices: a pool job each, so that no thread is held for long.
//!
//! Between two slices other jobs get their turn. The request is one all the same. It can be cancelled at
//! any time; a slice that is running goes to its end first, and then the request completes.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::error::{self, CancelError, WorkError};
use crate::event_loop::State;
use crate::request::{Canceller, Completer, Request};
use crate::threads::pool::{self, WorkKind};

/// What is the same for all slices.
struct Sliced<T: 'static> {
    state: Rc<State>,
    name: &'static str,
    location: &'static Location<'static>,
    /// Taken by whatever decides the request.
    completer: Cell<Option<Completer<io::Result<T>>>>,
    /// Cancels the slice that is queued or running.
    job: RefCell<Option<Canceller>>,
    /// It was cancelled while a slice was running.
    cancelled: Cell<bool>,
}

/// What a slice comes back with.
enum Slice<S, T> {
    /// The work, to go on with.
    More(S),
    Done(io::Result<T>),
}

/// Calls `slice` on the pool, again and again, until it gives a result.
pub(super) fn submit<T: Send + 'static>(
    state: &Rc<State>,
    name: &'static str,
    location: &'static Location<'static>,
    slice: impl FnMut() -> io::Result<Option<T>> + Send + 'static,
) -> Request<io::Result<T>> {
    let (completer, request) = Completer::new(state, location);
    let sliced = Rc::new(Sliced {
        state: state.clone(),
        name,
        location,
        completer: Cell::new(None),
        job: RefCell::new(None),
        cancelled: Cell::new(false),
    });
    let weak = Rc::downgrade(&sliced);
    completer.on_cancel(move || weak.upgrade().map_or(Err(CancelError::Done), |s| s.cancel()));
    sliced.completer.set(Some(completer));
    let job = pool::submit(state, name, WorkKind::Cpu, location, work_of(slice), same);
    sliced.follow(job);
    request
}

/// A job that calls `slice` once.
fn work_of<S, T>(mut slice: S) -> impl FnOnce() -> Slice<S, T> + Send
where
    S: FnMut() -> io::Result<Option<T>> + Send,
{
    move || match slice() {
        Ok(None) => Slice::More(slice),
        // What the work holds, a file or a large buffer, is given back on this thread.
        Ok(Some(value)) => Slice::Done(Ok(value)),
        Err(error) => Slice::Done(Err(error)),
    }
}

fn same<R>(result: R) -> R {
    result
}

impl<T: Send + 'static> Sliced<T> {
    /// Waits for a slice, and goes on with the next one if there is more to do.
    fn follow<S>(self: Rc<Self>, job: Request<Result<Slice<S, T>, WorkError>>)
    where
        S: FnMut() -> io::Result<Option<T>> + Send + 'static,
    {
        self.job.replace(Some(job.canceller()));
        job.on_complete(move |result| match result {
            _ if self.cancelled.get() => self.decide(Err(error::cancelled())),
            Ok(Slice::More(slice)) => {
                let (state, work) = (&self.state, work_of(slice));
                let next =
                    pool::submit_next(state, self.name, WorkKind::Cpu, self.location, work, same);
                self.follow(next);
            }
            Ok(Slice::Done(result)) => self.decide(result),
            Err(error) => self.decide(Err(error.into())),
        });
    }

    fn decide(&self, result: io::Result<T>) {
        self.job.take();
        if let Some(completer) = self.completer.take() {
            completer.complete(result);
        }
    }

    fn cancel(&self) -> Result<(), CancelError> {
        let job = self.job.borrow().clone();
        let Some(job) = job.filter(|_| !self.cancelled.get()) else {
            return Err(CancelError::Done);
        };
        match job.cancel() {
            Ok(()) | Err(CancelError::Busy) => {
                self.cancelled.set(true);
                Ok(())
            }
            Err(CancelError::Done) => Err(CancelError::Done),
        }
    }
}

impl<T: 'static> Drop for Sliced<T> {
    /// The slice's callback was dropped with its loop: who waits is told.
    fn drop(&mut self) {
        if let Some(completer) = self.completer.take() {
            completer.shut_down(Some(Err(error::shut_down())));
        }
    }
}
