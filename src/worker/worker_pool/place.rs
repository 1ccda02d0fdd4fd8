//! A job, and the place of the worker that runs it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::request::Completer;
use crate::worker::error::WorkerError;
use crate::worker::worker::Worker;

/// The result of a job's request.
pub(super) type Answer<Out> = Result<Out, WorkerError>;

/// The message that gives a worker its job.
pub(super) type Input<In> = Arc<Handover<In>>;

/// A job's input, to be taken out once. If the worker has ended and it is still there, no handler
/// has seen it.
pub(super) struct Handover<In>(Mutex<Option<In>>);

impl<In> Handover<In> {
    pub(super) fn new(input: In) -> Input<In> {
        Arc::new(Handover(Mutex::new(Some(input))))
    }

    pub(super) fn take(&self) -> Option<In> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A job that has no answer yet.
pub(super) struct Job<In, Out> {
    /// Jobs are numbered in the order submitted.
    pub(super) number: u64,
    /// The pool's hold on the input. A worker that was posted the job has another.
    pub(super) input: Input<In>,
    /// Completes the job's request.
    pub(super) completer: Completer<Answer<Out>>,
    /// How many workers ended with it that had done no job.
    pub(super) passes: u32,
}

/// A place for a worker. A pool has as many as it may have workers.
pub(super) struct Place<In, Out> {
    /// None before the first job, after a death, and once a worker was let go.
    pub(super) worker: Option<Worker<Input<In>, Out>>,
    /// The worker has a handler. Set by the worker.
    pub(super) has_handler: Arc<AtomicBool>,
    /// The job that the worker was given. None when it is idle, and then it may be given one.
    pub(super) job: Option<Job<In, Out>>,
    /// How many jobs the worker has done.
    pub(super) done: u64,
    /// How many workers have died here since a job was done.
    pub(super) deaths: u32,
    /// Gets no job now: it waits before it gets another worker, or for the exit event of one that
    /// has ended.
    pub(super) resting: bool,
}

impl<In, Out> Place<In, Out> {
    pub(super) fn new() -> Self {
        Place {
            worker: None,
            has_handler: Arc::default(),
            job: None,
            done: 0,
            deaths: 0,
            resting: false,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.job.is_none() && !self.resting
    }
}
