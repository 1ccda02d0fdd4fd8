//! Long work in slices: a pool job each, so that no thread is held for long.
//!
//! Between two slices other jobs get their turn. The request is one all the same. It can be
//! cancelled at any time; a slice that is running goes to its end first, and then the request
//! completes.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::rc::Rc;

use super::Secret;
use crate::error::{self, CancelError, WorkError};
use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::promise::Promise;
use crate::request::{Canceller, Request};
use crate::state::State;

/// What is the same for all slices.
struct Sliced {
    /// The loop that it belongs to.
    state: Rc<State>,
    /// What the pool is told of each slice.
    origin: JobOrigin,
    /// Taken by whatever decides the request.
    promise: Cell<Option<Promise<Vec<u8>>>>,
    /// Cancels the slice that is queued or running.
    job: RefCell<Option<Canceller>>,
    /// It was cancelled while a slice was running.
    cancelled: Cell<bool>,
}

/// What a slice comes back with.
enum Slice<S> {
    /// The work, to go on with.
    More(S),
    /// A secret until the request has it: the loop may end before, or the request be cancelled.
    Done(io::Result<Secret>),
}

/// Calls `slice` on the pool, again and again, until it gives a result.
pub(super) fn submit(
    state: &Rc<State>,
    name: &'static str,
    location: &'static Location<'static>,
    slice: impl FnMut() -> io::Result<Option<Secret>> + Send + 'static,
) -> Request<io::Result<Vec<u8>>> {
    let (promise, request) = Promise::new(state, name, location);
    promise.on_unclaimed(super::wipe);
    let sliced = Rc::new(Sliced {
        state: state.clone(),
        origin: JobOrigin::new(WorkKind::Cpu, name, location),
        promise: Cell::new(None),
        job: RefCell::new(None),
        cancelled: Cell::new(false),
    });
    let weak = Rc::downgrade(&sliced);
    promise.on_cancel(move || weak.upgrade().map_or(Err(CancelError::Done), |s| s.cancel()));
    sliced.promise.set(Some(promise));
    let job = pool::submit(state, sliced.origin, Admission::New, work_of(slice), same);
    sliced.follow(job);
    request
}

/// A job that calls `slice` once.
fn work_of<S>(mut slice: S) -> impl FnOnce() -> Slice<S> + Send
where
    S: FnMut() -> io::Result<Option<Secret>> + Send,
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

impl Sliced {
    /// Waits for a slice, and goes on with the next one if there is more to do.
    fn follow<S>(self: Rc<Self>, job: Request<Result<Slice<S>, WorkError>>)
    where
        S: FnMut() -> io::Result<Option<Secret>> + Send + 'static,
    {
        self.job.replace(Some(job.canceller()));
        job.pass_to(move |result| match result {
            _ if self.cancelled.get() => self.decide(Err(error::cancelled())),
            Ok(Slice::More(slice)) => {
                let (state, work) = (&self.state, work_of(slice));
                let next = pool::submit(state, self.origin, Admission::GoesOn, work, same);
                self.follow(next);
            }
            Ok(Slice::Done(result)) => self.decide(result),
            Err(error) => self.decide(Err(error.into())),
        });
    }

    fn decide(&self, result: io::Result<Secret>) {
        self.job.take();
        if let Some(promise) = self.promise.take() {
            promise.fulfil(result.map(super::reveal));
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
