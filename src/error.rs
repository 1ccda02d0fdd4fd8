//! What can go wrong, and what a panic carried.
//!
//! The world's failures are [`std::io::Error`]s. The types here are for what only this crate knows:
//! a loop that is gone, a job that panicked, a task that was aborted.

use crate::trace::label::{Label, Shown};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// The loop that an operation was for has ended.
///
/// [`Remote::post`](crate::Remote::post) returns it. An [`io::Error`] from a socket or request
/// whose loop has ended carries it, so that shutting down can be told from every other failure.
///
/// It is not `Copy`, so `drop(remote.post(…))` discards the outcome without a warning.
///
/// # Examples
/// ```
/// let event_loop = windlass::Loop::new()?;
/// let remote = event_loop.remote();
/// drop(event_loop);
/// assert!(remote.post(|| ()).is_err());
///
/// fn is_shut_down(error: &std::io::Error) -> bool {
///     error.get_ref().is_some_and(|inner| inner.is::<windlass::LoopGone>())
/// }
/// # assert!(!is_shut_down(&std::io::Error::from_raw_os_error(1)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopGone;

impl fmt::Display for LoopGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event loop has shut down")
    }
}

impl Error for LoopGone {}

/// The error of an operation on something whose loop has ended.
pub(crate) fn shut_down() -> io::Error {
    io::Error::other(LoopGone)
}

/// Where a callback was registered, in words.
pub(crate) fn place(location: Option<&'static Location<'static>>) -> String {
    match location {
        Some(location) => format!("in the callback registered at {}", Shown(location)),
        None => "in a callback whose registration was not recorded".to_owned(),
    }
}

/// The error of an operation that was cancelled, by `cancel` or by closing its handle.
pub(crate) fn cancelled() -> io::Error {
    io::Error::from_raw_os_error(crate::sys::ECANCELED)
}

/// What a panic carried.
///
/// It is `Send` and `Sync`, so an error that holds it works with `?`.
///
/// # Examples
/// ```
/// let caught = windlass::run(|| windlass::queue_work(|| -> u32 { panic!("no sums today") }));
/// # drop(caught);
/// windlass::block_on(async {
///     match windlass::queue_work(|| -> u32 { panic!("no sums today") }).await {
///         Err(windlass::WorkError::Panicked(panic)) => {
///             assert_eq!(panic.message(), "no sums today");
///         }
///         other => unreachable!("{other:?}"),
///     }
/// });
/// ```
pub struct Panic {
    /// The payload's text, or a note that it had none.
    message: String,
    /// In a lock only to make the type `Sync`: nobody but the owner ever takes it.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Panic {
        Panic { message: panic_message(payload.as_ref()), payload: Mutex::new(payload) }
    }

    /// The text given to `panic!`, or a note that the payload was not a text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The payload itself, as [`std::panic::catch_unwind`] returns it.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic whose payload is not a text".to_owned()
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic").field("message", &self.message).finish_non_exhaustive()
    }
}

/// A panic of a callback or task that nobody else takes, as [`on_uncaught`](crate::on_uncaught)
/// gets it.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::on_uncaught(|uncaught| {
///         assert_eq!(uncaught.message(), "oh");
///         assert!(uncaught.registered_at().is_some());
///     });
///     windlass::set_immediate(|| panic!("oh"));
/// });
/// ```
#[derive(Debug)]
pub struct Uncaught {
    /// What the panic carried.
    pub(crate) panic: Panic,
    /// Where the callback was registered, if that was recorded.
    pub(crate) registered_at: Option<&'static Location<'static>>,
}

impl Uncaught {
    /// The text given to `panic!`.
    pub fn message(&self) -> &str {
        self.panic.message()
    }

    /// Where the callback that panicked was registered, or its task spawned. Ticks and microtasks
    /// do not record it, to keep their queues small: for them it is `None`.
    pub fn registered_at(&self) -> Option<&'static Location<'static>> {
        self.registered_at
    }

    /// The [label](crate::observe::labelled) that was in force there.
    pub fn label(&self) -> Option<Label> {
        self.registered_at.and_then(Label::of)
    }

    /// The panic itself.
    pub fn into_panic(self) -> Panic {
        self.panic
    }
}

/// Why a request was not cancelled.
///
/// # Examples
/// ```
/// use windlass::CancelError;
///
/// windlass::run(|| {
///     let request = windlass::fs::metadata("/");
///     let canceller = request.canceller();
///     request.on_complete(move |_| assert_eq!(canceller.cancel(), Err(CancelError::Done)));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelError {
    /// It has started and cannot be stopped any more. It will complete normally.
    Busy,
    /// It has completed, or its loop is gone.
    Done,
}

impl fmt::Display for CancelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelError::Busy => "the request has started and can no longer be cancelled",
            CancelError::Done => "the request has already completed",
        })
    }
}

impl Error for CancelError {}

/// Why a pool job has no result.
///
/// # Examples
/// ```
/// use windlass::{WorkError, queue_work};
///
/// windlass::run(|| {
///     queue_work(|| -> u32 { panic!("an accident") }).on_complete(|outcome| match outcome {
///         Ok(number) => println!("{number}"),
///         Err(WorkError::Panicked(panic)) => assert_eq!(panic.message(), "an accident"),
///         Err(error) => println!("{error}"),
///     });
/// });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkError {
    /// It was cancelled before it started. It never ran.
    Cancelled,
    /// It panicked. The pool thread goes on with other jobs.
    Panicked(Panic),
    /// Its deadline passed before it started. It never ran.
    DeadlineExceeded,
    /// The pool's queue was full. It never ran.
    QueueFull,
    /// Its loop ended first.
    ShutDown,
    /// The pool had been shut down before it was submitted. It never ran.
    PoolShutDown,
    /// The pool has no thread and could not start one. It never ran.
    NoThread(io::ErrorKind),
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkError::Cancelled => f.write_str("the job was cancelled before it started"),
            WorkError::Panicked(panic) => write!(f, "the job panicked: {}", panic.message()),
            WorkError::DeadlineExceeded => {
                f.write_str("the job's deadline passed before it started")
            }
            WorkError::QueueFull => f.write_str("the pool's queue is full"),
            WorkError::ShutDown => fmt::Display::fmt(&LoopGone, f),
            WorkError::PoolShutDown => f.write_str("the pool has been shut down"),
            WorkError::NoThread(kind) => write!(f, "no pool thread could be started: {kind}"),
        }
    }
}

impl Error for WorkError {}

impl From<WorkError> for io::Error {
    /// A cancelled job gives an error whose `raw_os_error()` is `ECANCELED`, a loop that ended one
    /// that carries [`LoopGone`], everything else one that carries the `WorkError`.
    fn from(error: WorkError) -> io::Error {
        match error {
            WorkError::Cancelled => cancelled(),
            WorkError::ShutDown => shut_down(),
            other => io::Error::other(other),
        }
    }
}

/// Why a task has no output.
///
/// # Examples
/// ```
/// use windlass::{TaskError, spawn};
///
/// windlass::block_on(async {
///     let task = spawn(std::future::pending::<()>());
///     task.abort();
///     assert!(matches!(task.await, Err(TaskError::Aborted)));
/// });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// It was aborted, or its loop ended first.
    Aborted,
    /// It panicked.
    Panicked(Panic),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Aborted => f.write_str("the task was aborted"),
            TaskError::Panicked(panic) => write!(f, "the task panicked: {}", panic.message()),
        }
    }
}

impl Error for TaskError {}
