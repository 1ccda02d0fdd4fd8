//! The blocking pool: threads for what would otherwise block a loop.
//!
//! One process-wide pool serves all loops, as in libuv; a loop can be given another, and so can a
//! job. Jobs wait in two queues: quick work (computing, file system) and slow work (name look-ups),
//! which may occupy at most half the threads, so that file work never waits for look-ups to end. A
//! thread takes one job at a time, so jobs of a kind start in the order submitted and none is stuck
//! behind a neighbour that another thread could overtake.
//!
//! In the order of a job's life:
//!
//! - `work.rs`, `token.rs`: jobs as users submit them, with a kind, a deadline and a token;
//! - `request.rs`: the loop's side, a request that ends once whatever happens;
//! - `job.rs`: what loop and pool thread share of a job, and which of them may touch what when;
//! - `queues.rs`: the jobs that wait;
//! - `threads.rs`: the threads, and how a job finds one, with a picture of their states;
//! - `search.rs`: which thread looks at the queues, how the others are parked, and why no job is
//!   stranded;
//! - `record.rs`, `figures.rs`, `shutdown.rs`: what runs, what was done, and the end.
//!
//! Results are handed over in batches: a thread puts each in the loop's mailbox as soon as it is
//! there, the loop takes all that are there at once, and is woken at most once in between.

mod figures;
mod job;
mod observe;
mod queues;
mod record;
mod request;
mod search;
#[cfg(feature = "inspect")]
mod seen;
mod shutdown;
mod threads;
mod token;
mod work;

/// What `search.rs` is built on. The model checker in `tests/loom` has its own.
mod seam {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

    pub(super) use crate::threads::patience::{thread_sleeps, thread_wakes};
}

use std::fmt;
use std::io;
use std::num::IntErrorKind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use threads::Threads;

pub use figures::{KindMetrics, PoolMetrics};
pub(crate) use job::JobOrigin;
pub(crate) use request::{Admission, flatten, submit};
pub use shutdown::{Laggards, RunningJob};
pub use token::CancelToken;
pub use work::{SubmitError, Work, queue_work, work};

/// Threads of the default pool when `UV_THREADPOOL_SIZE` does not say otherwise (as libuv).
const THREADS_DEFAULT: usize = 4;
/// The most threads a pool can have (as libuv).
const THREADS_MAX: usize = 1024;
/// What pool threads are called, before their number. Linux keeps 15 bytes of a name.
const NAME_DEFAULT: &str = "windlass-pool";

/// The pool that loops share, once it is in use.
static SHARED: OnceLock<Pool> = OnceLock::new();

/// What a job mostly does. Decides which queue it waits in (libuv: `uv__work_kind`).
///
/// # Ordering
/// Jobs of one kind start in the order submitted. `Cpu` and `FastIo` share a queue, so their order
/// among each other is kept too.
///
/// # Examples
/// ```
/// use windlass::{WorkKind, work};
///
/// windlass::run(|| {
///     work(|_| std::fs::read_to_string("Cargo.toml"))
///         .kind(WorkKind::SlowIo) // Half of the threads at most do such jobs.
///         .submit()
///         .on_complete(|text| assert!(text.unwrap().is_ok()));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// Computes.
    Cpu,
    /// Waits for the disk: soon done.
    FastIo,
    /// Waits for a network or a device, for seconds perhaps. At most half of a pool's threads,
    /// rounded up, run such jobs at one time.
    SlowIo,
}

impl WorkKind {
    /// The index of its queue: 0 for the quick one, 1 for the slow one.
    fn queue(self) -> usize {
        usize::from(self == WorkKind::SlowIo)
    }
}

/// A pool of threads for blocking work.
///
/// Loops share the default pool unless they are given one of their own with
/// [`Builder::pool`](crate::Builder::pool). A clone is the same pool. When the last clone and the
/// last loop that uses it are gone, the threads finish what is queued and end. The end of the
/// process waits for no pool thread: a job that is stuck in a system call does not delay it.
///
/// Like any thread, one of a pool has the signal mask of the thread that started it, here by
/// submitting a job. What a job starts, a child or a thread, inherits it.
///
/// # Examples
/// ```
/// let pool = windlass::Pool::new(2)?;
/// let event_loop = windlass::Loop::builder().pool(pool.clone()).build()?;
/// event_loop.run(|| windlass::queue_work(|| 1).on_complete(|one| assert_eq!(one.unwrap(), 1)));
/// assert_eq!(pool.metrics().completed, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Pool {
    /// Shared by all clones. Dropped with the last of them.
    owner: Arc<Owner>,
}

/// Tells the threads to end when nobody is left to submit.
struct Owner {
    /// What the threads have, too.
    threads: Arc<Threads>,
}

impl Pool {
    /// A pool of at most `threads` threads, started when they are needed.
    ///
    /// # Errors
    /// `InvalidInput` when `threads` is 0 or above 1,024.
    pub fn new(threads: usize) -> io::Result<Pool> {
        Pool::builder().threads(threads).build()
    }

    /// Sets up a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The pool that loops share: 4 threads, or as many as the environment variable
    /// `UV_THREADPOOL_SIZE` said when it was first used, or what [`PoolBuilder::build_shared`]
    /// made.
    pub fn shared() -> Pool {
        SHARED
            .get_or_init(|| Pool::from_parts(threads_from_environment(), PoolBuilder::default()))
            .clone()
    }

    fn from_parts(threads: usize, builder: PoolBuilder) -> Pool {
        let name = builder.thread_name.unwrap_or_else(|| NAME_DEFAULT.to_owned());
        let threads = Arc::new(Threads::new(threads, builder.queue_limit, name));
        Pool { owner: Arc::new(Owner { threads }) }
    }

    /// The threads, with their queues.
    fn threads(&self) -> &Arc<Threads> {
        &self.owner.threads
    }

    /// The most threads that the pool will have.
    pub fn threads_max(&self) -> usize {
        self.threads().max
    }

    /// How many jobs may wait at one time, if that is limited.
    pub fn queue_limit(&self) -> Option<usize> {
        self.threads().queues.limit
    }

    /// The pool's figures. They are read one after the other while the threads go on. In a
    /// [simulation](crate::sim) they are those of its own jobs.
    ///
    /// # Cost
    /// Grows with the number of threads.
    pub fn metrics(&self) -> PoolMetrics {
        self.threads().metrics()
    }

    /// The jobs that run now: what the pool is busy with. A job that calls this is left out.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     windlass::queue_work(|| std::fs::read("Cargo.toml"))
    ///         .on_complete(|file| println!("{} bytes", file.unwrap().unwrap().len()));
    ///     for job in windlass::Loop::current().pool().running_jobs() {
    ///         println!("{job}"); // "pool job made at src/main.rs:3:15 on windlass-pool-0"
    ///     }
    /// });
    /// ```
    pub fn running_jobs(&self) -> Vec<RunningJob> {
        self.threads().running_jobs()
    }

    /// Ends the pool: jobs that wait are cancelled, jobs that run are waited for, for `limit` at
    /// most.
    ///
    /// Blocks the calling thread until then. The cancelled jobs' requests complete on their loops
    /// with [`WorkError::Cancelled`](crate::WorkError::Cancelled), those of running jobs as they
    /// would have, also when that is later. Jobs submitted after this complete with
    /// [`WorkError::PoolShutDown`](crate::WorkError::PoolShutDown). Again it only waits. A job may
    /// call this of its own pool: it does not wait for itself. After the shutdown of the shared
    /// pool the loops that use it have none.
    ///
    /// # Errors
    /// [`Laggards`] names the jobs that still ran when the limit had passed. Their threads are left
    /// alone.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = windlass::Pool::new(2)?;
    /// let event_loop = windlass::Loop::builder().pool(pool.clone()).build()?;
    /// event_loop.run(|| drop(windlass::queue_work(|| println!("in time"))));
    /// match pool.shutdown(Duration::from_secs(1)) {
    ///     Ok(()) => println!("all threads have ended"),
    ///     Err(laggards) => eprintln!("{laggards}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, limit: Duration) -> Result<(), Laggards> {
        let threads = self.threads();
        threads.shut_down();
        threads.wait_for_end(limit);
        let jobs = threads.running_jobs();
        if jobs.is_empty() { Ok(()) } else { Err(Laggards { jobs }) }
    }

    /// Whether the pool was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.threads().is_shut()
    }
}

/// Sets up a pool. Made by [`Pool::builder`].
///
/// # Examples
/// ```
/// // Two threads for a slow device, and no more than a hundred jobs that wait for it.
/// let pool = windlass::Pool::builder().threads(2).queue_limit(100).thread_name("tape").build()?;
/// let event_loop = windlass::Loop::builder().pool(pool).build()?;
/// # drop(event_loop);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PoolBuilder {
    /// The most threads; none for what the environment says.
    threads: Option<usize>,
    /// The most jobs that may wait; none for any number.
    queue_limit: Option<usize>,
    /// What the threads are called; none for the usual name.
    thread_name: Option<String>,
}

impl PoolBuilder {
    /// The most threads, 1 to 1,024. Without this as the shared pool: `UV_THREADPOOL_SIZE`, or 4.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The most jobs that may wait for a thread. One more is refused: [`Work::try_submit`] gives
    /// it back, other requests complete with [`WorkError::QueueFull`](crate::WorkError::QueueFull).
    /// With 0 no job is ever taken. Without this there is no limit, as in libuv.
    ///
    /// A job counts until a thread takes it, or until it is cancelled. The limit is for what is
    /// new: the further jobs of a request that was accepted (a big file, a long hash) and those of
    /// an open file or directory are taken all the same. Of these each has one at a time.
    pub fn queue_limit(mut self, jobs: usize) -> Self {
        self.queue_limit = Some(jobs);
        self
    }

    /// What the threads are called; their number follows. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = Some(name.into());
        self
    }

    /// Makes the pool. Its threads are started when they are needed.
    ///
    /// # Errors
    /// `InvalidInput` when the number of threads is 0 or above 1,024, or the name has a zero byte.
    pub fn build(self) -> io::Result<Pool> {
        let threads = self.threads.unwrap_or_else(threads_from_environment);
        let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if !(1..=THREADS_MAX).contains(&threads) {
            return invalid(format!("a pool has 1 to {THREADS_MAX} threads, not {threads}"));
        }
        if self.thread_name.as_ref().is_some_and(|name| name.contains('\0')) {
            return invalid("a thread's name has no zero bytes".to_owned());
        }
        Ok(Pool::from_parts(threads, self))
    }

    /// Makes the pool that loops share. For the start of `main`: it must come before the first
    /// loop.
    ///
    /// # Errors
    /// As [`build`](PoolBuilder::build), and `AlreadyExists` when the shared pool is in use
    /// already.
    ///
    /// # Examples
    /// ```
    /// windlass::Pool::builder().threads(8).build_shared()?;
    /// windlass::run(|| assert_eq!(windlass::Loop::current().pool().threads_max(), 8));
    ///
    /// let again = windlass::Pool::builder().threads(16).build_shared();
    /// assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn build_shared(self) -> io::Result<Pool> {
        let pool = self.build()?;
        SHARED.set(pool.clone()).map_err(|_| {
            let text = "the shared pool is in use: set it up before the first loop is made";
            io::Error::new(io::ErrorKind::AlreadyExists, text)
        })?;
        Ok(pool)
    }
}

fn threads_from_environment() -> usize {
    let Some(text) = std::env::var_os("UV_THREADPOOL_SIZE") else { return THREADS_DEFAULT };
    let number = text.to_str().map(|text| text.trim().parse::<usize>());
    // More than any number holds is still more than there may be.
    let too_many = match &number {
        Some(Ok(threads)) => *threads > THREADS_MAX,
        Some(Err(error)) => *error.kind() == IntErrorKind::PosOverflow,
        None => false,
    };
    match number {
        Some(Ok(threads)) if (1..=THREADS_MAX).contains(&threads) => threads,
        _ if too_many => {
            log::warn!("UV_THREADPOOL_SIZE is {text:?}: the pool has {THREADS_MAX} threads");
            THREADS_MAX
        }
        _ => {
            log::warn!("UV_THREADPOOL_SIZE is {text:?}, no number of threads: the pool has 1");
            1
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.threads.close();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.metrics(), f)
    }
}
