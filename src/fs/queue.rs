//! The operations of one open file: one at a time, in the order they were asked for.
//!
//! Who owns what: the [`FileQueue`] owns the descriptor and the operations that wait. The operation
//! that runs holds the queue, by [`Ongoing`], and its jobs hold the descriptor. So a file whose
//! last name was dropped stays open until its last operation is done; then the queue is dropped,
//! and closes the descriptor on a pool thread.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::error::PathError;
use super::job::{self, FirstJob, KIND, NextJob, Step};
use super::polled::Polled;
use crate::error::{self, CancelError};
use crate::promise::Promise;
use crate::queue::cancellable::Cancellable;
use crate::request::Request;
use crate::state::State;
use crate::sys;
use crate::unhandled::Claimable;

/// What is behind a [`File`](super::File): its descriptor, and its operations.
pub(super) struct FileQueue {
    /// The loop that it belongs to.
    pub(super) state: Rc<State>,
    /// The line that made the file, for what no line asks for: the close, operations by functions
    /// that poll.
    pub(super) location: &'static Location<'static>,
    /// The descriptor, shared with the job that uses it. Taken out when the file is closed or given
    /// away.
    file: RefCell<Option<Arc<File>>>,
    /// For errors. None for a file that came without one.
    pub(super) path: Option<Arc<Path>>,
    /// The operations that wait, in the order in which they were asked for.
    waiting: RefCell<Cancellable<Waiting>>,
    /// The operation that runs.
    running: RefCell<Option<Running>>,
    /// The file's last operation has been asked for: it is to be closed or given away.
    ending: Cell<bool>,
    /// What the functions that poll have begun.
    pub(super) polled: Polled,
}

/// An operation that waits. It is called once, with what becomes of it; one that is dropped has its
/// request answered by its promise.
type Waiting = Box<dyn FnOnce(Verdict<'_>)>;

/// What becomes of an operation that has waited.
enum Verdict<'a> {
    /// Those before it are done, and it runs now.
    Start(&'a Rc<FileQueue>),
    /// It was cancelled, and never runs.
    Cancelled,
}

/// The operation that runs, as `cancel` finds it.
struct Running {
    /// Its number.
    number: u64,
    /// What can be cancelled of it. Empty for an operation that cannot be cancelled.
    job: Rc<FirstJob>,
}

impl Running {
    fn new(number: u64) -> Running {
        Running { number, job: Rc::default() }
    }
}

/// The operation's hold on the queue while its jobs run. When it is dropped unfinished, the loop
/// has ended.
struct Ongoing(Rc<FileQueue>);

impl Ongoing {
    /// Ends the operation, and starts the next one.
    fn finish(self) {
        self.0.running.take();
        let next = self.0.waiting.borrow_mut().pop_first();
        if let Some(waiting) = next {
            waiting(Verdict::Start(&self.0));
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        if !self.0.state.is_open() {
            // Their promises answer them.
            let waiting = self.0.waiting.take();
            drop(waiting);
        }
    }
}

impl FileQueue {
    pub(super) fn new(
        state: Rc<State>,
        location: &'static Location<'static>,
        file: File,
        path: Option<Arc<Path>>,
    ) -> Rc<FileQueue> {
        Rc::new(FileQueue {
            state,
            location,
            file: RefCell::new(Some(Arc::new(file))),
            path,
            waiting: RefCell::default(),
            running: RefCell::default(),
            ending: Cell::new(false),
            polled: Polled::default(),
        })
    }

    /// Uses the descriptor if the file has not been closed or given away.
    pub(super) fn with_file<R>(&self, f: impl FnOnce(&File) -> R) -> Option<R> {
        self.file.borrow().as_deref().map(f)
    }

    /// The descriptor for an operation of another file.
    pub(super) fn share(&self) -> io::Result<Arc<File>> {
        self.file.borrow().clone().ok_or_else(closed)
    }

    /// Runs one operation after those before it: `work` is its first job.
    pub(super) fn operation<T: Send + 'static>(
        self: &Rc<Self>,
        name: &'static str,
        location: &'static Location<'static>,
        work: impl FnOnce(Arc<File>) -> io::Result<Step<T>> + Send + 'static,
    ) -> Request<io::Result<T>> {
        if let Some(refused) = self.refuse(name, location) {
            return refused;
        }
        let (promise, request) = Promise::new(&self.state, KIND, location);
        let number = self.state.next_number();
        let weak = Rc::downgrade(self);
        promise.on_cancel(move || {
            weak.upgrade().map_or(Err(CancelError::Done), |queue| queue.cancel(number))
        });
        let path = self.path.clone();
        self.in_order(number, promise, move |queue, promise| {
            let file = queue.file.borrow().clone();
            let job = move || {
                let file = file.ok_or_else(closed);
                name_errors(name, path, Box::new(move || work(file?)))()
            };
            let ongoing = Ongoing(queue.clone());
            let first = job::run(&queue.state, location, job, move |result| {
                ongoing.finish();
                promise.fulfil(result);
            });
            let running = Running::new(number);
            running.job.set(first);
            queue.running.replace(Some(running));
        });
        request
    }

    /// Closes the file after what was asked for before.
    pub(super) fn close(
        self: &Rc<Self>,
        location: &'static Location<'static>,
    ) -> Request<io::Result<()>> {
        if let Some(refused) = self.refuse("close", location) {
            return refused;
        }
        self.ending.set(true);
        let (promise, request) = Promise::new(&self.state, KIND, location);
        let path = self.path.clone();
        self.in_order(self.state.next_number(), promise, move |queue, promise| {
            let file = queue.file.take();
            // Nobody else has the descriptor: operations that are done have let go of it.
            let close = move || match file.and_then(Arc::into_inner) {
                Some(file) => sys::file::close(file.into()).map(Step::Done),
                None => Ok(Step::Done(())),
            };
            let job = name_errors("close", path, Box::new(close));
            job::run(&queue.state, location, job, |result| promise.fulfil(result));
        });
        request
    }

    /// Gives the file away after what was asked for before.
    pub(super) fn give_away(
        self: &Rc<Self>,
        location: &'static Location<'static>,
    ) -> Request<io::Result<File>> {
        if self.is_idle() && !self.ending.get() {
            return Request::done(&self.state, KIND, location, self.take());
        }
        if let Some(refused) = self.refuse("into_std", location) {
            return refused;
        }
        self.ending.set(true);
        let (promise, request) = Promise::new(&self.state, KIND, location);
        let (state, made_at) = (self.state.clone(), self.location);
        promise.on_unclaimed(move |result| {
            result.map(|file| job::release(&state, made_at, file)).into_lost()
        });
        self.in_order(self.state.next_number(), promise, move |queue, promise| {
            promise.fulfil_later(queue.take());
        });
        request
    }

    /// Takes the file out. While a job of another file has it as well, another descriptor of it.
    fn take(&self) -> io::Result<File> {
        self.ending.set(true);
        let file = self.file.take().ok_or_else(closed)?;
        Arc::try_unwrap(file).or_else(|shared| shared.try_clone())
    }

    /// Takes the file out if nothing else uses it.
    pub(super) fn try_take(&self) -> Option<File> {
        if !self.is_idle() || self.ending.get() {
            return None;
        }
        match Arc::try_unwrap(self.file.take()?) {
            Ok(file) => {
                self.ending.set(true);
                Some(file)
            }
            Err(shared) => {
                self.file.replace(Some(shared));
                None
            }
        }
    }

    /// Whether the last operation has been asked for.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Whether no operation runs or waits.
    fn is_idle(&self) -> bool {
        self.running.borrow().is_none() && self.waiting.borrow().is_empty()
    }

    /// The answer to an operation that comes too late.
    fn refuse<T: 'static>(
        &self,
        name: &'static str,
        location: &'static Location<'static>,
    ) -> Option<Request<io::Result<T>>> {
        let error = if !self.state.is_open() {
            error::shut_down()
        } else if self.ending.get() {
            named(name, self.path.as_deref(), closed())
        } else {
            return None;
        };
        Some(Request::failed_later(&self.state, KIND, location, error))
    }

    /// The answer to an operation without any buffers.
    pub(super) fn refuse_no_buffers<T: 'static>(
        &self,
        name: &'static str,
        location: &'static Location<'static>,
    ) -> Request<io::Result<T>> {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "an empty list of buffers");
        let error = named(name, self.path.as_deref(), error);
        Request::failed_later(&self.state, KIND, location, error)
    }

    /// Starts an operation now, or when those before it are done.
    fn in_order<T: 'static>(
        self: &Rc<Self>,
        number: u64,
        promise: Promise<T>,
        start: impl FnOnce(&Rc<FileQueue>, Promise<T>) + 'static,
    ) {
        if self.is_idle() {
            self.running.replace(Some(Running::new(number)));
            return start(self, promise);
        }
        let waiting = Box::new(move |verdict: Verdict<'_>| match verdict {
            Verdict::Start(queue) => {
                queue.running.replace(Some(Running::new(number)));
                promise.on_behalf(|promise| start(queue, promise));
            }
            Verdict::Cancelled => promise.fulfil_later(Err(error::cancelled())),
        });
        self.waiting.borrow_mut().push(number, waiting);
    }

    fn cancel(&self, number: u64) -> Result<(), CancelError> {
        let waiting = self.waiting.borrow_mut().remove(number);
        if let Some(waiting) = waiting {
            waiting(Verdict::Cancelled);
            return Ok(());
        }
        // Cloned out: what is cancelled may call back.
        let running = self.running.borrow().as_ref().map(|one| (one.number, one.job.clone()));
        match running {
            Some((running, job)) if running == number => job.cancel(),
            _ => Err(CancelError::Done),
        }
    }
}

/// A job and those that follow it, with the operation and the path in their errors.
fn name_errors<T: 'static>(
    name: &'static str,
    path: Option<Arc<Path>>,
    job: NextJob<T>,
) -> NextJob<T> {
    Box::new(move || match job() {
        Ok(Step::More(next)) => Ok(Step::More(name_errors(name, path, next))),
        Ok(done) => Ok(done),
        Err(error) => Err(named(name, path.as_deref(), error)),
    })
}

/// An error with the operation and the path, if the file has one.
fn named(name: &'static str, path: Option<&Path>, error: io::Error) -> io::Error {
    match path {
        Some(path) => PathError::wrap(name, path, error),
        None => error,
    }
}

/// The error of an operation on a file that was closed or given away.
fn closed() -> io::Error {
    io::Error::from_raw_os_error(sys::EBADF)
}

impl Drop for FileQueue {
    fn drop(&mut self) {
        // An operation holds the queue until it is done, so none runs or waits.
        if let Some(file) = self.file.take() {
            job::release(&self.state, self.location, file);
        }
    }
}
