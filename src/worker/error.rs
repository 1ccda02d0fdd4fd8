//! Why a worker ended.

use std::error::Error;
use std::fmt;
use std::io;

use super::fail::WorkerFailure;
use crate::unhandled::{Failure, Lost};

/// Why a worker ended, or a job of a [`WorkerPool`](super::WorkerPool) has no result.
///
/// # Examples
/// ```
/// use windlass::worker::{Worker, WorkerError};
///
/// windlass::run(|| {
///     let worker = Worker::<(), ()>::spawn(|_| panic!("an accident")).unwrap();
///     worker.on_error(|error| assert_eq!(error, WorkerError::Panicked("an accident".to_owned())));
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerError {
    /// A callback or the main script panicked, with this message.
    Panicked(String),
    /// It called [`fail`](super::fail), with this text and a value of its own.
    Failed(WorkerFailure),
    /// It was told to terminate.
    Terminated,
    /// It had more memory than [`memory_limit`](super::WorkerBuilder::memory_limit) allows.
    OutOfMemory {
        /// What it was allowed, in bytes.
        limit: usize,
        /// What it had when that was seen, in bytes; with what
        /// [`refuse_allocation`](super::refuse_allocation) has refused.
        allocated: usize,
    },
    /// It ended with this code before the job was done.
    Exited(i32),
    /// No worker could be started.
    NotStarted(io::ErrorKind),
    /// The job was cancelled before it began.
    Cancelled,
    /// As many jobs wait as the pool allows.
    QueueFull,
    /// The pool was closed.
    Closed,
    /// The loop that waits has ended.
    ShutDown,
}

impl WorkerError {
    /// A name for the kind of error that stays the same, for logs and for programs in other
    /// languages. Where Node has the same error, it is Node's.
    pub fn code(&self) -> &'static str {
        match self {
            WorkerError::Panicked(_) => "ERR_WORKER_PANICKED",
            WorkerError::Failed(_) => "ERR_WORKER_FAILED",
            WorkerError::Terminated => "ERR_WORKER_TERMINATED",
            WorkerError::OutOfMemory { .. } => "ERR_WORKER_OUT_OF_MEMORY",
            WorkerError::Exited(_) => "ERR_WORKER_EXITED",
            WorkerError::NotStarted(_) => "ERR_WORKER_INIT_FAILED",
            WorkerError::Cancelled => "ERR_WORKER_JOB_CANCELLED",
            WorkerError::QueueFull => "ERR_WORKER_QUEUE_FULL",
            WorkerError::Closed => "ERR_WORKER_POOL_CLOSED",
            WorkerError::ShutDown => "ERR_WORKER_LOOP_GONE",
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerError::Panicked(message) => write!(f, "the worker panicked: {message}"),
            WorkerError::Failed(failure) => write!(f, "the worker failed: {}", failure.message()),
            WorkerError::Terminated => f.write_str("the worker was terminated"),
            WorkerError::OutOfMemory { limit, allocated } => {
                write!(f, "the worker had {allocated} bytes of memory, and {limit} are allowed")
            }
            WorkerError::Exited(code) => write!(f, "the worker exited with code {code}"),
            WorkerError::NotStarted(kind) => write!(f, "no worker could be started: {kind}"),
            WorkerError::Cancelled => f.write_str("the job was cancelled before it began"),
            WorkerError::QueueFull => f.write_str("the worker pool's queue is full"),
            WorkerError::Closed => f.write_str("the worker pool is closed"),
            WorkerError::ShutDown => fmt::Display::fmt(&crate::error::LoopGone, f),
        }
    }
}

impl Error for WorkerError {}

impl Failure for WorkerError {
    fn is_cancelled(&self) -> bool {
        matches!(self, WorkerError::Cancelled)
    }

    fn into_lost(self) -> Lost {
        Lost::error(self)
    }
}
