//! The settings of a worker pool.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use super::WorkerPool;

/// How a pool treats its jobs and workers.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// How many workers there may be. At least one, once the pool is made.
    pub(super) size: usize,
    /// How many jobs may wait.
    pub(super) queue_limit: usize,
    /// After how many jobs a worker is replaced. None for never.
    pub(super) recycle_after: Option<u64>,
    /// How long a place waits for its next worker after one death, and at most.
    pub(super) back_off: (Duration, Duration),
    /// The beginning of the threads' names. None for the usual names.
    pub(super) name: Option<String>,
    /// Of each worker, in bytes. None for the standard library's.
    pub(super) stack_size: Option<usize>,
    /// Of each worker, in bytes. None for no limit.
    pub(super) memory_limit: Option<usize>,
}

/// Sets up a worker pool. Made by [`WorkerPool::builder`].
///
/// # Examples
/// ```
/// use windlass::worker::{WorkerError, WorkerPool};
///
/// windlass::block_on(async {
///     let builder = WorkerPool::<u32, u32>::builder(2).name("squares").queue_limit(1);
///     let pool = builder.build(|| |n| n * n)?;
///     let jobs: Vec<_> = (0..4).map(|n| pool.run(n)).collect();
///     let mut answers = Vec::new();
///     for job in jobs {
///         answers.push(job.await);
///     }
///     // Two ran at once, one waited.
///     assert_eq!(answers, [Ok(0), Ok(1), Ok(4), Err(WorkerError::QueueFull)]);
///     pool.close();
///     pool.closed().await;
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WorkerPoolBuilder<In, Out> {
    /// The settings so far.
    settings: Settings,
    /// Names the types of the jobs. Holds nothing.
    _jobs: PhantomData<fn(In) -> Out>,
}

impl<In: Send + 'static, Out: Send + 'static> WorkerPoolBuilder<In, Out> {
    pub(super) fn new(size: usize) -> Self {
        let settings = Settings {
            size,
            queue_limit: usize::MAX,
            recycle_after: None,
            back_off: (Duration::ZERO, Duration::ZERO),
            name: None,
            stack_size: None,
            memory_limit: None,
        };
        WorkerPoolBuilder { settings, _jobs: PhantomData }
    }

    /// Names the threads: the name, a dash and the number of the place.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Refuses a job when this number of jobs wait already: its request completes with
    /// [`WorkerError::QueueFull`](crate::worker::WorkerError::QueueFull). With 0 a job is taken
    /// only when a worker is free. Without it any number may wait.
    pub fn queue_limit(mut self, jobs: usize) -> Self {
        self.settings.queue_limit = jobs;
        self
    }

    /// Replaces a worker after this number of jobs, at least one: for handlers that gather what
    /// they do not give back.
    pub fn recycle_after(mut self, jobs: u64) -> Self {
        self.settings.recycle_after = Some(jobs.max(1));
        self
    }

    /// Has the place of a worker that died wait before it gets another: `first` after one death,
    /// twice as long after each further one without a job done in between, at most `longest`. Jobs
    /// wait meanwhile, for another place or for the end of that time. Without it a place gets
    /// another worker with the next job.
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.back_off = (first, longest);
        self
    }

    /// Sets the size of each worker's stack, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Ends a worker that has more than this number of bytes: see
    /// [`WorkerBuilder::memory_limit`](crate::worker::WorkerBuilder::memory_limit). Its job fails
    /// with [`WorkerError::OutOfMemory`](crate::worker::WorkerError::OutOfMemory).
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.settings.memory_limit = Some(bytes);
        self
    }

    /// Makes the pool, as [`WorkerPool::new`] does.
    ///
    /// # Errors
    /// As [`WorkerPool::new`], and as
    /// [`WorkerBuilder::spawn`](crate::worker::WorkerBuilder::spawn).
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(note = "with panic = \"abort\" a worker's panic ends the \
        whole process, and a checkpoint does not end the worker")
    )]
    pub fn build<H: FnMut(In) -> Out + 'static>(
        self,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<WorkerPool<In, Out>> {
        WorkerPool::with_settings(self.settings, make)
    }
}

impl<In, Out> fmt::Debug for WorkerPoolBuilder<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerPoolBuilder").field(&self.settings).finish()
    }
}
