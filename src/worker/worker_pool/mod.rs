//! A pool of workers that share the jobs of one kind.
//!
//! Each worker has a handler of its own, made on its thread by a factory, so that the handler's
//! state need not be `Send`. A worker has one job at a time; the others wait in the
//! [`Dispatcher`](dispatcher::Dispatcher), so that they can be cancelled and a slow job holds up no
//! other. A worker that dies is replaced when the next job needs one, or later if the pool was told
//! so.

mod builder;
mod dispatcher;
mod place;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::WorkerError;
use crate::channel::port::Port;
use crate::request::{Completer, Request};
use crate::state::current;
use crate::state::named::Name;
use crate::trace::label::here;
use builder::Settings;
use dispatcher::{Dispatcher, KIND};
use place::{Input, Place};

pub use builder::WorkerPoolBuilder;

/// The figures of a worker pool at one moment.
///
/// # Examples
/// ```
/// use windlass::worker::WorkerPool;
///
/// windlass::block_on(async {
///     let pool = WorkerPool::new(2, || |number: u32| number + 1)?;
///     assert_eq!(pool.run(1).await, Ok(2));
///     let metrics = pool.metrics();
///     assert_eq!((metrics.size, metrics.completed), (2, 1));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerPoolMetrics {
    /// Workers that the pool may have.
    pub size: usize,
    /// Workers that have a job.
    pub busy: usize,
    /// Jobs that wait for a worker.
    pub queued: usize,
    /// Jobs that have got an answer, errors included. Not those that were refused.
    pub completed: u64,
    /// Workers that there are, with a job or without.
    pub workers: usize,
    /// Places whose worker died and that wait before they get another.
    pub resting: usize,
    /// The most jobs that have waited at one time.
    pub queued_max: usize,
    /// Jobs that failed because their worker died. Not those that went to another worker.
    pub failed: u64,
    /// Jobs that were cancelled before they began.
    pub cancelled: u64,
    /// Jobs that were refused because the queue was full.
    pub refused: u64,
    /// Workers that were started, those that took another's place included.
    pub started: u64,
    /// Workers that were let go after their number of jobs.
    pub recycled: u64,
}

/// Runs jobs on workers, each with a handler that keeps its own state.
///
/// `Clone`: a clone is the same pool. An idle pool does not keep the loop alive, a job does until
/// its request has completed. With the last clone the pool closes.
///
/// # Examples
/// ```
/// use windlass::worker::WorkerPool;
///
/// windlass::block_on(async {
///     let pool = WorkerPool::new(2, || {
///         let mut jobs = 0_u32; // State of this worker alone.
///         move |n: u64| {
///             jobs += 1;
///             (n * n, jobs)
///         }
///     })?;
///     let (square, _jobs) = pool.run(12).await.unwrap();
///     assert_eq!(square, 144);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WorkerPool<In, Out> {
    /// The pool, which its loop has too until its end.
    pool: Name<Dispatcher<In, Out>>,
}

impl<In: Send + 'static, Out: Send + 'static> WorkerPool<In, Out> {
    /// Makes a pool of up to `size` workers on the current loop. The first is started now, so that
    /// a lack of threads shows; the others when jobs need them. `make` runs on each worker's
    /// thread.
    ///
    /// # Errors
    /// `InvalidInput` for a size of 0; the system's when no worker can be started.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(note = "with panic = \"abort\" a worker's panic ends the \
        whole process, and a checkpoint does not end the worker")
    )]
    pub fn new<H: FnMut(In) -> Out + 'static>(
        size: usize,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        WorkerPool::<In, Out>::builder(size).build(make)
    }

    /// Sets up a pool of up to `size` workers with more than the defaults.
    pub fn builder(size: usize) -> WorkerPoolBuilder<In, Out> {
        WorkerPoolBuilder::new(size)
    }

    #[track_caller]
    fn with_settings<H: FnMut(In) -> Out + 'static>(
        settings: Settings,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = current::expect("WorkerPool::new");
        if settings.size == 0 {
            let text = "a worker pool has at least one worker";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let location = here();
        let main = move |port: Port<Out, Input<In>>, has_handler: &AtomicBool| {
            let mut handler = make();
            let reply = port.clone();
            // As the line of the pool, which is where the handler comes from.
            port.on_message_at(location, move |job| {
                let input = job.take();
                // Before the handler: so the loop that made it is the one to free it.
                drop(job);
                // None when the loop of the pool has ended, and then no answer is waited for.
                if let Some(input) = input {
                    reply.post(handler(input));
                }
            });
            has_handler.store(true, Ordering::Release);
        };
        let pool = Dispatcher::open(&state, location, Arc::new(main), settings)?;
        Ok(WorkerPool { pool: Name::new(pool) })
    }

    /// Runs a job on the next free worker, jobs in the order submitted.
    ///
    /// It can be cancelled until a worker has it. When the worker ends before its handler has begun
    /// with the job, the job goes to another worker; once a handler has begun, it never runs again.
    ///
    /// # Errors
    /// [`WorkerError::Panicked`] when the handler panicked; a new worker takes its place. `Exited`
    /// when it ended otherwise, `OutOfMemory` when it had more than it may, `QueueFull`,
    /// `NotStarted` when there is no worker and none can be started, `Closed` after
    /// [`close`](WorkerPool::close).
    #[track_caller]
    pub fn run(&self, input: In) -> Request<Result<Out, WorkerError>> {
        let (completer, request) = Completer::new(self.pool.state(), KIND, here());
        self.pool.submit(input, completer);
        request
    }

    /// Takes no more jobs. Those that were submitted are finished, then the workers end.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Completes when the pool has been closed, with [`close`](WorkerPool::close) or
    /// [`terminate`](WorkerPool::terminate), and its last worker has ended. From the close on it
    /// holds the loop.
    #[track_caller]
    pub fn closed(&self) -> Request<()> {
        let state = self.pool.state();
        if self.pool.has_ended() || !state.is_open() {
            return Request::finished(state, KIND, ());
        }
        let (completer, request) = Completer::new(state, KIND, here());
        self.pool.add_closer(completer);
        request
    }

    /// Closes the pool at once: jobs that wait fail with `Closed`, those that run with
    /// `Terminated`, and the workers are [terminated](super::Worker::terminate).
    pub fn terminate(&self) {
        self.pool.terminate();
    }

    /// The pool's figures.
    pub fn metrics(&self) -> WorkerPoolMetrics {
        let places = self.pool.places.borrow();
        let count = |f: fn(&&Place<In, Out>) -> bool| places.iter().filter(f).count();
        WorkerPoolMetrics {
            size: self.pool.size(),
            busy: count(|place| place.job.is_some()),
            queued: self.pool.waiting.borrow().len(),
            workers: count(|place| place.worker.is_some()),
            resting: count(|place| place.resting),
            ..*self.pool.counts.borrow()
        }
    }
}

impl<In, Out> Clone for WorkerPool<In, Out> {
    fn clone(&self) -> Self {
        WorkerPool { pool: self.pool.clone() }
    }
}

impl<In, Out> fmt::Debug for WorkerPool<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("size", &self.pool.size())
            .field("queued", &self.pool.waiting.borrow().len())
            .finish_non_exhaustive()
    }
}
