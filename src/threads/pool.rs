//! The blocking pool: threads for what would otherwise block a loop.
//!
//! One process-wide pool serves all loops, as in libuv; a loop can be given another. Jobs wait in
//! two queues: quick work (computing, file system) and slow work (name look-ups), which may occupy
//! at most half the threads, so that file work never waits for look-ups to end. A thread takes one job
//! at a time, so jobs of a queue start in the order submitted. Threads are started when work comes
//! and no thread is idle.
//!
//! Who touches what: a [`Job`] is shared between the loop that submitted it and the pool. Its state says
//! who may take its work out: the pool thread that moved it from *queued* to *running*, or the loop
//! that moved it from *queued* to *cancelled*. The result is stored in the job and the request's number
//! put in the loop's mailbox; the loop takes the result from there.
//!
//! Idle threads: a thread counts itself idle, looks at the queues once more, and only then waits; a
//! submitter puts the job in its queue before it looks at the count. One of the two sees the other.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe, Location};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crossbeam_deque::{Injector, Steal};

use super::mailbox::Mailbox;
use crate::callback;
use crate::current;
use crate::error::{CancelError, Panic, WorkError, panic_message};
use crate::event_loop::State;
use crate::handle::{Handle, Registration};
use crate::request::{Completer, Request};
use crate::sys;

/// Threads of the default pool when `UV_THREADPOOL_SIZE` does not say otherwise (as libuv).
const THREADS_DEFAULT: usize = 4;
/// The most threads a pool can have (as libuv).
const THREADS_MAX: usize = 1024;

/// What a job mostly does. Decides which queue it waits in (libuv: `uv__work_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// Computes.
    Cpu,
    /// Waits for the disk: soon done.
    FastIo,
    /// Waits for a network or a device, for seconds perhaps. At most half of a pool's threads,
    /// rounded up, run such jobs at one time.
    SlowIo,
}

/// A pool of threads for blocking work.
///
/// Loops share the default pool unless they are given one of their own with
/// [`Builder::pool`](crate::Builder::pool). A clone is the same pool. When the last clone and the last loop that uses
/// it are gone, the threads finish what is queued and end.
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
    owner: Arc<Owner>,
}

/// The figures of a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// Threads that have been started.
    pub threads: usize,
    /// Of these, how many are running a job.
    pub busy: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// Jobs that were run to their end, panics included.
    pub completed: u64,
}

/// Tells the threads to end when nobody is left to submit.
struct Owner {
    shared: Arc<Shared>,
}

/// What threads and submitters share.
struct Shared {
    /// Jobs that compute or wait for the disk.
    quick: Injector<Arc<dyn Job>>,
    /// Jobs that may wait for long.
    slow: Injector<Arc<dyn Job>>,
    threads_max: usize,
    /// Threads that may run slow jobs at one time.
    slow_max: usize,
    /// Threads that run slow jobs now.
    slow_running: AtomicUsize,
    /// Threads that wait for a job. Changed under the lock, read outside it.
    idle: AtomicUsize,
    queued: AtomicUsize,
    busy: AtomicUsize,
    completed: AtomicU64,
    /// How many threads were started, and the lock that goes with `wake`.
    threads: Mutex<usize>,
    wake: Condvar,
    /// No job will come any more.
    closing: AtomicBool,
}

/// A job as the pool sees it.
trait Job: Send + Sync {
    fn is_slow(&self) -> bool;
    /// Runs the work, and catches its panic. False if it was cancelled.
    fn run(&self) -> bool;
    /// Tells the loop that the work has run.
    fn tell(&self);
}

impl Pool {
    /// A pool of at most `threads` threads, started when they are needed.
    ///
    /// # Errors
    /// `InvalidInput` when `threads` is 0 or above 1,024.
    pub fn new(threads: usize) -> io::Result<Pool> {
        if !(1..=THREADS_MAX).contains(&threads) {
            let text = format!("a pool has 1 to {THREADS_MAX} threads, not {threads}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Pool::with_threads(threads))
    }

    fn with_threads(threads: usize) -> Pool {
        let shared = Shared {
            quick: Injector::new(),
            slow: Injector::new(),
            threads_max: threads,
            slow_max: threads.div_ceil(2),
            slow_running: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            completed: AtomicU64::new(0),
            threads: Mutex::new(0),
            wake: Condvar::new(),
            closing: AtomicBool::new(false),
        };
        Pool { owner: Arc::new(Owner { shared: Arc::new(shared) }) }
    }

    /// The pool that loops share: 4 threads, or as many as the environment variable
    /// `UV_THREADPOOL_SIZE` said when it was first used.
    pub fn shared() -> Pool {
        static SHARED: OnceLock<Pool> = OnceLock::new();
        SHARED.get_or_init(|| Pool::with_threads(threads_from_environment())).clone()
    }

    /// The pool's figures. They are read one after the other while the threads go on.
    pub fn metrics(&self) -> PoolMetrics {
        let shared = &self.owner.shared;
        PoolMetrics {
            threads: *shared.lock(),
            busy: shared.busy.load(Ordering::Relaxed),
            queued: shared.queued.load(Ordering::Relaxed),
            completed: shared.completed.load(Ordering::Relaxed),
        }
    }

    /// Hands a job to the threads. Fails when there is no thread and none can be started.
    fn submit(&self, job: Arc<dyn Job>) -> io::Result<()> {
        let shared = &self.owner.shared;
        let queued = shared.queued.fetch_add(1, Ordering::Relaxed) + 1;
        if job.is_slow() {
            shared.slow.push(job)
        } else {
            shared.quick.push(job)
        }
        // Pairs with the fence of a thread that goes idle: see the module's text.
        std::sync::atomic::fence(Ordering::SeqCst);
        let idle = shared.idle.load(Ordering::Relaxed);
        if idle > 0 {
            drop(shared.lock());
            shared.wake.notify_one();
        }
        // An idle thread that was woken for an earlier job still counts as idle.
        if queued > idle { shared.start_thread() } else { Ok(()) }
    }
}

fn threads_from_environment() -> usize {
    let Some(text) = std::env::var_os("UV_THREADPOOL_SIZE") else { return THREADS_DEFAULT };
    match text.to_str().and_then(|text| text.trim().parse::<usize>().ok()) {
        Some(threads) if (1..=THREADS_MAX).contains(&threads) => threads,
        Some(threads) if threads > THREADS_MAX => {
            log::warn!("UV_THREADPOOL_SIZE is {threads}: the pool has {THREADS_MAX} threads");
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
        self.shared.closing.store(true, Ordering::SeqCst);
        drop(self.shared.lock());
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more thread if the pool may have it.
    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut threads = self.lock();
        if *threads == self.threads_max {
            return Ok(());
        }
        let shared = self.clone();
        let name = format!("windlass-pool-{threads}");
        match thread::Builder::new().name(name).spawn(move || shared.work()) {
            Ok(_detached) => {
                *threads += 1;
                Ok(())
            }
            // Those that there are will get to it.
            Err(error) if *threads > 0 => {
                log::warn!("the pool goes on with {threads} threads: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A pool thread's life: busy, then idle, then busy again.
    fn work(&self) {
        sys::block_signals();
        let mut slow_first = false;
        loop {
            match self.take(slow_first) {
                Some(job) => {
                    let slow = job.is_slow();
                    self.run(job);
                    // Taking turns, neither queue can starve the other.
                    slow_first = !slow;
                    if slow {
                        self.slow_running.fetch_sub(1, Ordering::SeqCst);
                        // Another thread may have gone idle while no more slow jobs were allowed.
                        if !self.slow.is_empty() {
                            drop(self.lock());
                            self.wake.notify_one();
                        }
                    }
                }
                None if !self.wait() => return,
                None => {}
            }
        }
    }

    fn run(&self, job: Arc<dyn Job>) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
        // The work's own panic is its submitter's. This one is of a destructor.
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| {
            let ran = job.run();
            // Before the loop is told, which may look.
            self.busy.fetch_sub(1, Ordering::Relaxed);
            if ran {
                self.completed.fetch_add(1, Ordering::Relaxed);
                job.tell();
            }
            drop(job);
        })) {
            log::error!("a destructor panicked on a pool thread: {}", panic_message(&*payload));
        }
    }

    /// The next job, without waiting. A slow one is counted as running.
    fn take(&self, slow_first: bool) -> Option<Arc<dyn Job>> {
        if slow_first {
            self.take_slow().or_else(|| take_from(&self.quick))
        } else {
            take_from(&self.quick).or_else(|| self.take_slow())
        }
    }

    fn take_slow(&self) -> Option<Arc<dyn Job>> {
        if self.slow.is_empty() {
            return None;
        }
        let one_more = |running| (running < self.slow_max).then_some(running + 1);
        self.slow_running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let job = take_from(&self.slow);
        if job.is_none() {
            self.slow_running.fetch_sub(1, Ordering::SeqCst);
        }
        job
    }

    /// Whether a thread that looked now would find a job.
    fn has_work(&self) -> bool {
        let slow =
            self.slow_running.load(Ordering::SeqCst) < self.slow_max && !self.slow.is_empty();
        slow || !self.quick.is_empty()
    }

    /// Waits until there may be a job. False when the pool has ended.
    fn wait(&self) -> bool {
        let mut threads = self.lock();
        self.idle.fetch_add(1, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        let go_on = loop {
            if self.has_work() {
                break true;
            }
            if self.closing.load(Ordering::SeqCst) {
                break false;
            }
            threads = self.wake.wait(threads).unwrap_or_else(PoisonError::into_inner);
        };
        self.idle.fetch_sub(1, Ordering::SeqCst);
        if !go_on {
            *threads -= 1;
        }
        go_on
    }
}

fn take_from(queue: &Injector<Arc<dyn Job>>) -> Option<Arc<dyn Job>> {
    loop {
        match queue.steal() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.metrics(), f)
    }
}

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;

/// A job and, later, its result.
struct Work<F, R> {
    /// Who may take the work: see the module's text.
    state: AtomicU8,
    kind: WorkKind,
    work: Mutex<Option<F>>,
    result: Mutex<Option<thread::Result<R>>>,
    mailbox: Arc<Mailbox>,
    /// The request's key, once it has one. Set before the job is submitted.
    request: u64,
}

impl<F: FnOnce() -> R + Send, R: Send> Job for Work<F, R> {
    fn is_slow(&self) -> bool {
        self.kind == WorkKind::SlowIo
    }

    fn run(&self) -> bool {
        self.start()
    }

    fn tell(&self) {
        self.mailbox.complete(self.request);
    }
}

impl<F: FnOnce() -> R, R> Work<F, R> {
    fn claim(&self, as_state: u8) -> bool {
        self.state.compare_exchange(QUEUED, as_state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Runs the work if nobody else has taken it.
    fn start(&self) -> bool {
        if !self.claim(RUNNING) {
            return false;
        }
        let work = self.take_work().expect("only its claimant takes the work");
        let result = panic::catch_unwind(AssertUnwindSafe(work));
        *lock(&self.result) = Some(result);
        true
    }

    fn cancel(&self) -> bool {
        self.claim(CANCELLED)
    }

    /// Takes the work out, for its claimant to run or to drop. The lock is free again by then.
    fn take_work(&self) -> Option<F> {
        lock(&self.work).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The loop's side of a job: an open request until its result has come.
struct WorkRequest<F, R, T: 'static> {
    registration: Registration,
    kind: &'static str,
    job: Cell<Option<Arc<Work<F, R>>>>,
    completer: Cell<Option<Completer<T>>>,
    /// Makes the request's result, on the loop.
    finish: fn(Result<R, WorkError>) -> T,
}

/// Runs `work` on the loop's pool and completes with what `finish` makes of its result.
pub(crate) fn submit<F, R, T>(
    state: &Rc<State>,
    name: &'static str,
    kind: WorkKind,
    location: &'static Location<'static>,
    work: F,
    finish: fn(Result<R, WorkError>) -> T,
) -> Request<T>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    T: 'static,
{
    let (completer, request) = Completer::new(state, location);
    if !state.is_open() {
        completer.shut_down(Some(finish(Err(WorkError::ShutDown))));
        return request;
    }
    let pending = Rc::new(WorkRequest {
        registration: Registration::new(state.clone()),
        kind: name,
        job: Cell::new(None),
        completer: Cell::new(None),
        finish,
    });
    pending.registration.open(pending.clone(), location, true);
    let key = pending.registration.key().expect("just opened");
    let job = Arc::new(Work {
        state: AtomicU8::new(QUEUED),
        kind,
        work: Mutex::new(Some(work)),
        result: Mutex::new(None),
        mailbox: state.mailbox.clone(),
        request: key.to_bits(),
    });
    pending.job.set(Some(job.clone()));
    let weak = Rc::downgrade(&pending);
    completer
        .on_cancel(move || weak.upgrade().map_or(Err(CancelError::Done), |this| this.cancel()));
    pending.completer.set(Some(completer));

    if state.clock.is_virtual() {
        // No thread takes part: the job runs when it is delivered, in the next poll phase.
        state.delivery.complete(key);
    } else if let Err(error) = state.pool.submit(job.clone()) {
        // The queue still has the job, but nobody will run it.
        if job.cancel() {
            let work = job.take_work();
            pending.end_later(Err(WorkError::NoThread(error.kind())), work);
        }
    }
    request
}

impl<F, R, T> WorkRequest<F, R, T>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    T: 'static,
{
    fn cancel(self: &Rc<Self>) -> Result<(), CancelError> {
        let Some(job) = self.job.take() else { return Err(CancelError::Done) };
        let cancelled = job.cancel();
        self.job.set(Some(job.clone()));
        if !cancelled {
            return Err(CancelError::Busy);
        }
        let work = job.take_work();
        self.end_later(Err(WorkError::Cancelled), work);
        Ok(())
    }

    /// Completes the request, whose work never ran, in the next pending phase.
    fn end_later(self: &Rc<Self>, result: Result<R, WorkError>, work: Option<F>) {
        let value = (self.finish)(result);
        self.job.set(None);
        if let Some(completer) = self.completer.take() {
            completer.complete_later(value);
        }
        drop(self.registration.close());
        drop(work); // Last: what it captured may call back into the loop.
    }
}

impl<F, R, T> Handle for WorkRequest<F, R, T>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    T: 'static,
{
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: sys::Event) {
        let (Some(job), Some(completer)) = (self.job.take(), self.completer.take()) else { return };
        if state.clock.is_virtual() {
            job.start();
        }
        let result = lock(&job.result).take();
        let result = match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(payload)) => Err(WorkError::Panicked(Panic::new(payload))),
            None => unreachable!("a job is done when its number is put in the mailbox"),
        };
        drop(self.registration.close());
        completer.complete((self.finish)(result));
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        // Work that has not started is dropped here, on the loop's thread. A running one goes on
        // to its end, and its result is dropped with the job.
        if let Some(job) = self.job.take()
            && job.cancel()
        {
            let work = job.take_work();
            callback::drop_quietly(work);
        }
        if let Some(completer) = self.completer.take() {
            completer.shut_down(Some((self.finish)(Err(WorkError::ShutDown))));
        }
    }
}

/// Runs `work` on the blocking pool of the current loop.
///
/// The request completes with its result, or with the [`WorkError`] that kept it from having one.
/// Jobs start in the order submitted. What the closure captured is dropped on a pool thread, or on
/// the loop's when the job never starts.
///
/// # Panics
/// When no loop is current. A panic of `work` does not come here: it is the request's error.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::queue_work(|| (1..=20_u64).product::<u64>())
///         .on_complete(|product| assert_eq!(product.unwrap(), 2_432_902_008_176_640_000));
/// });
/// ```
#[track_caller]
pub fn queue_work<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Request<Result<T, WorkError>> {
    let state = current::expect("queue_work");
    submit(&state, "pool job", WorkKind::Cpu, Location::caller(), work, |result| result)
}
