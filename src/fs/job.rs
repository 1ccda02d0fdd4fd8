//! How a file operation becomes jobs of the pool.
//!
//! Most are one job: [`on_path`]. What may move many bytes does so in steps of [`BYTES_PER_JOB`],
//! each a job of its own ([`run`]), so that it holds no pool thread for long and others have their
//! turn. The requests of such operations are kept by a [`Promise`], which answers them also when
//! the loop ends.

use std::cell::{Cell, OnceCell};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::error::PathError;
use crate::error::{CancelError, WorkError};
use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::promise::Promise;
use crate::request::{Canceller, Request};
use crate::state::State;
use crate::state::current;
use crate::trace::label::here;
use crate::virtual_time::chance::Chance;

/// The most bytes that one job moves.
pub(super) const BYTES_PER_JOB: usize = 8 * 1024 * 1024;

/// What a file operation is called in reports.
pub(super) const KIND: &str = "file request";

/// What the pool is told of a job.
pub(super) fn origin(location: &'static Location<'static>) -> JobOrigin {
    JobOrigin::new(WorkKind::FastIo, KIND, location)
}

/// How far a job has brought an operation.
pub(super) enum Step<T> {
    /// The operation is done, with this result.
    Done(T),
    /// There is more to do, in a job that comes behind those that wait now.
    More(NextJob<T>),
}

pub(super) type NextJob<T> = Box<dyn FnOnce() -> io::Result<Step<T>> + Send>;

impl<T> Step<T> {
    pub(super) fn more(next: impl FnOnce() -> io::Result<Step<T>> + Send + 'static) -> Self {
        Step::More(Box::new(next))
    }
}

/// Runs one operation on a path as one job.
#[track_caller]
pub(super) fn on_path<T: Send + 'static>(
    operation: &'static str,
    path: impl AsRef<Path>,
    act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Request<io::Result<T>> {
    let path = path.as_ref().to_owned();
    one_job(operation, move || {
        let result = luck()
            .and_then(|()| act(&path))
            .map_err(|error| PathError::wrap(operation, &path, error));
        (result, path)
    })
}

/// Runs one operation from a path to another as one job.
#[track_caller]
pub(super) fn on_two_paths<T: Send + 'static>(
    operation: &'static str,
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    act: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> Request<io::Result<T>> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    one_job(operation, move || {
        let result = luck().and_then(|()| act(&from, &to));
        (result.map_err(|error| PathError::wrap_two(operation, &from, &to, error)), (from, to))
    })
}

/// In a simulation a file request may fail. Asked in its job.
pub(super) fn luck() -> io::Result<()> {
    current::with_chance(Chance::file_error).flatten().map_or(Ok(()), Err)
}

#[track_caller]
fn one_job<T: Send + 'static, G: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> (io::Result<T>, G) + Send + 'static,
) -> Request<io::Result<T>> {
    let state = current::expect(operation);
    pool::submit(&state, origin(here()), Admission::New, work, give_back)
}

/// The result of a job that gives back what the loop has allocated for it, to be freed here: where
/// one thread frees what another allocates the two wait for each other in the allocator, and a
/// worker's memory is counted by thread.
fn give_back<T, G>(result: Result<(io::Result<T>, G), WorkError>) -> io::Result<T> {
    result?.0
}

/// Runs one operation on a path as a chain of jobs, of which `first` is the first. Every error gets
/// the path. `first` may take `room`, and what it leaves comes back. `polish` is given the result
/// on the loop.
#[track_caller]
pub(super) fn on_path_in_steps<T: Send + 'static>(
    operation: &'static str,
    path: impl AsRef<Path>,
    mut room: Vec<u8>,
    first: impl FnOnce(&Path, &mut Vec<u8>) -> io::Result<Step<T>> + Send + 'static,
    polish: fn(&mut T),
) -> Request<io::Result<T>> {
    let path = path.as_ref().to_owned();
    let named = move || match luck().and_then(|()| first(&path, &mut room)) {
        Ok(Step::More(next)) => (Ok(Step::More(with_path(operation, path, next))), (None, room)),
        Ok(done) => (Ok(done), (Some(path), room)),
        Err(error) => (Err(PathError::wrap(operation, &path, error)), (Some(path), room)),
    };
    let state = current::expect(operation);
    in_steps(&state, here(), named, give_back, polish)
}

/// The rest of a chain, with the path in its errors.
fn with_path<T: 'static>(operation: &'static str, path: PathBuf, job: NextJob<T>) -> NextJob<T> {
    Box::new(move || match job() {
        Ok(Step::More(next)) => Ok(Step::More(with_path(operation, path, next))),
        Ok(done) => Ok(done),
        Err(error) => Err(PathError::wrap(operation, &path, error)),
    })
}

/// Runs an operation as a chain of jobs. It can be cancelled until the first one has begun.
/// `finish` makes the first one's result of what it has returned, on the loop.
pub(super) fn in_steps<T: Send + 'static, R: Send + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    first: impl FnOnce() -> R + Send + 'static,
    finish: fn(Result<R, WorkError>) -> io::Result<Step<T>>,
    polish: fn(&mut T),
) -> Request<io::Result<T>> {
    let (promise, request) = Promise::new(state, KIND, location);
    if state.is_open() {
        // Filled once the job is there; the promise is its callback's by then.
        let job = Rc::new(FirstJob::default());
        let inner = job.clone();
        promise.on_cancel(move || inner.cancel());
        let request = pool::submit(state, origin(location), Admission::New, first, finish);
        let fulfil = move |mut result: io::Result<T>| {
            result.iter_mut().for_each(polish);
            promise.fulfil(result);
        };
        job.set(go_on(state, location, request, fulfil));
    }
    request
}

/// What can be cancelled of a chain of jobs whose request is still pending.
#[derive(Default)]
pub(super) struct FirstJob {
    /// Cancels the first job. Set when that has been submitted.
    canceller: OnceCell<Canceller>,
    /// It was cancelled, and the request will hear of it.
    cancelled: Cell<bool>,
}

impl FirstJob {
    pub(super) fn set(&self, canceller: Canceller) {
        self.canceller.set(canceller).expect("a chain has one first job");
    }

    pub(super) fn cancel(&self) -> Result<(), CancelError> {
        if self.cancelled.get() {
            return Err(CancelError::Done);
        }
        let canceller = self.canceller.get().ok_or(CancelError::Busy)?;
        // The first job is done and the request is not: more jobs follow.
        canceller.cancel().map_err(|_| CancelError::Busy)?;
        self.cancelled.set(true);
        Ok(())
    }
}

/// Runs a chain of jobs of something that is open, and gives the result to `then`, on the loop.
/// When the loop ends first, `then` is dropped uncalled. What is returned cancels the first job.
pub(super) fn run<T: Send + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    job: impl FnOnce() -> io::Result<Step<T>> + Send + 'static,
    then: impl FnOnce(io::Result<T>) + 'static,
) -> Canceller {
    let job = move || luck().and_then(|()| job());
    let request = pool::submit(state, origin(location), Admission::GoesOn, job, pool::flatten);
    go_on(state, location, request, then)
}

/// Goes on with a chain whose first job this request is.
fn go_on<T: Send + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    request: Request<io::Result<Step<T>>>,
    then: impl FnOnce(io::Result<T>) + 'static,
) -> Canceller {
    let canceller = request.canceller();
    let inner = state.clone();
    request.pass_to(move |result| match result {
        Ok(Step::Done(value)) => then(Ok(value)),
        Ok(Step::More(next)) => run_next(&inner, location, next, Box::new(then)),
        Err(error) => then(Err(error)),
    });
    canceller
}

/// As [`go_on`], for the jobs behind the first, with types that do not grow from one to the next.
fn run_next<T: Send + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    job: NextJob<T>,
    then: Box<dyn FnOnce(io::Result<T>)>,
) {
    let request = pool::submit(state, origin(location), Admission::GoesOn, job, pool::flatten);
    let inner = state.clone();
    request.pass_to(move |result| match result {
        Ok(Step::Done(value)) => then(Ok(value)),
        Ok(Step::More(next)) => run_next(&inner, location, next, then),
        Err(error) => then(Err(error)),
    });
}

/// A request for what `make` makes of another's value, on the loop.
pub(super) fn map<A: 'static, B: 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    request: Request<io::Result<A>>,
    make: impl FnOnce(A) -> B + 'static,
) -> Request<io::Result<B>> {
    let (promise, mapped) = Promise::new(state, KIND, location);
    promise.follow(request, make);
    mapped
}

/// Drops a value that closes a descriptor, which may block: on a pool thread, or here when the loop
/// is gone.
pub(super) fn release<T: Send + 'static>(
    state: &Rc<State>,
    location: &'static Location<'static>,
    value: T,
) {
    if state.is_open() {
        let work = move || -> io::Result<()> {
            drop(value);
            Ok(())
        };
        let origin = JobOrigin { name: "file close", ..origin(location) };
        drop(pool::submit(state, origin, Admission::GoesOn, work, pool::flatten));
    }
}
