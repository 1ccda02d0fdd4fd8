//! A pool of workers that share the jobs of one kind.
//!
//! Each worker has a handler of its own, made on its thread by a factory, so that the handler's
//! state need not be `Send`. A worker has one job at a time; the others wait here, so that they can be
//! cancelled and a slow job holds up no other. A worker that dies is replaced when the next job needs
//! one, after a rest if the pool was told so.
//!
//! A worker may end with a job that its handler has not seen: the pool hears of the end later than
//! it
//! comes. Such a job goes to another worker. A job's input can be taken out of its [`Handover`]
//! once, by the
//! worker when its handler begins, so no job runs twice. A worker that ended before it had a
//! handler fails its
//! job, so a factory that always panics costs one job each time and is no busy loop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::shared::GRACE;
use super::{Port, Worker, WorkerError};
use crate::callback;
use crate::error::CancelError;
use crate::event_loop::State;
use crate::event_loop::current;
use crate::handle::{Handle, Registration};
use crate::phase::timers::set_timeout;
use crate::request::{Completer, Request};
use crate::sys::Event;

type Answer<Out> = Result<Out, WorkerError>;

/// What a worker is posted.
type Input<In> = Arc<Handover<In>>;

/// A worker's main script: makes its handler, attaches it to its port, and then sets the flag.
type Main<In, Out> = Arc<dyn Fn(Port<Out, Input<In>>, &AtomicBool) + Send + Sync>;

/// How often a job goes on from a worker that ended without any job done. Workers that end by
/// themselves as
/// soon as they have begun would otherwise be started for ever.
const PASSES_MAX: u32 = 3;

/// The figures of a worker pool at one moment.
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
    /// Places whose worker died and that rest before they get another.
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

/// How a pool treats its jobs and workers.
#[derive(Clone, Debug)]
struct Settings {
    size: usize,
    queue_limit: usize,
    /// None for ever.
    recycle_after: Option<u64>,
    /// How long a place rests after one death, and at most.
    back_off: (Duration, Duration),
    name: Option<String>,
    stack_size: Option<usize>,
    memory_limit: Option<usize>,
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
    settings: Settings,
    _jobs: PhantomData<fn(In) -> Out>,
}

impl<In: Send + 'static, Out: Send + 'static> WorkerPoolBuilder<In, Out> {
    /// Names the threads: the name, a dash and the number of the place.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Refuses a job when so many wait already: its request completes with [`WorkerError::QueueFull`]. With 0
    /// a job is taken only when a worker is free. Without it any number may wait.
    pub fn queue_limit(mut self, jobs: usize) -> Self {
        self.settings.queue_limit = jobs;
        self
    }

    /// Replaces a worker after so many jobs, at least one: for handlers that gather what they do not give back.
    pub fn recycle_after(mut self, jobs: u64) -> Self {
        self.settings.recycle_after = Some(jobs.max(1));
        self
    }

    /// Lets the place of a worker that died rest before it gets another: `first` after one death, twice as
    /// long after each further one without a job done in between, at most `longest`. Jobs wait meanwhile, for
    /// another place or for the end of the rest. Without it a place gets another worker with the next job.
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.back_off = (first, longest);
        self
    }

    /// Sets the size of each worker's stack, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Ends a worker that has more than so many bytes: see
    /// [`WorkerBuilder::memory_limit`](super::WorkerBuilder::memory_limit). Its job fails with
    /// [`WorkerError::OutOfMemory`].
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.settings.memory_limit = Some(bytes);
        self
    }

    /// Makes the pool, as [`WorkerPool::new`] does.
    ///
    /// # Errors
    /// As [`WorkerPool::new`], and as [`WorkerBuilder::spawn`](super::WorkerBuilder::spawn).
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(
            note = "with panic = \"abort\" a worker's panic ends the whole process, and a checkpoint does not end the worker"
        )
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

/// Runs jobs on workers, each with a handler that keeps its own state.
///
/// `Clone`: a clone is the same pool. An idle pool does not keep the loop alive, a job does until its
/// request has completed. With the last clone the pool closes.
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
    core: Rc<Core<In, Out>>,
}

/// A job's input, to be taken out once. When the worker has ended and it is still there, no handler
/// saw it.
struct Handover<In>(Mutex<Option<In>>);

impl<In> Handover<In> {
    fn take(&self) -> Option<In> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

struct Job<In, Out> {
    /// Jobs are numbered in the order submitted.
    number: u64,
    input: Input<In>,
    completer: Completer<Answer<Out>>,
    /// Workers that ended with it and had done no job.
    passes: u32,
}

/// A place for a worker.
struct Place<In, Out> {
    /// Absent before the first job and after a death.
    worker: Option<Worker<Input<In>, Out>>,
    /// The worker has a handler. Set by the worker.
    has_handler: Arc<AtomicBool>,
    /// What the worker was given.
    job: Option<Job<In, Out>>,
    /// Jobs that the worker has done.
    done: u64,
    /// Workers that died here since a job was done.
    deaths: u32,
    /// Waits before it gets another worker.
    resting: bool,
}

impl<In, Out> Place<In, Out> {
    fn new() -> Self {
        Place {
            worker: None,
            has_handler: Arc::default(),
            job: None,
            done: 0,
            deaths: 0,
            resting: false,
        }
    }

    fn is_free(&self) -> bool {
        self.job.is_none() && !self.resting
    }
}

struct Core<In, Out> {
    registration: Registration,
    location: &'static Location<'static>,
    main: Main<In, Out>,
    settings: Settings,
    places: RefCell<Vec<Place<In, Out>>>,
    /// By number. A tree, so that one of many can be taken out and a passed burst keeps no memory.
    waiting: RefCell<BTreeMap<u64, Job<In, Out>>>,
    next_number: Cell<u64>,
    /// What is counted, not looked up.
    counts: RefCell<WorkerPoolMetrics>,
    closing: Cell<bool>,
    /// The workers were told to terminate.
    terminating: Cell<bool>,
    /// The pool has ended, and so many of its workers have not yet.
    ending: Cell<Option<usize>>,
    /// Those who wait for the end.
    closers: RefCell<Vec<Completer<()>>>,
    /// How many [`WorkerPool`]s there are for this pool.
    names: Cell<u32>,
}

impl<In: Send + 'static, Out: Send + 'static> Core<In, Out> {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Starts a worker for a place.
    fn start(self: &Rc<Self>, index: usize) -> io::Result<()> {
        let main = self.main.clone();
        let has_handler = Arc::new(AtomicBool::new(false));
        let flag = has_handler.clone();
        let mut builder = Worker::<Input<In>, Out>::builder();
        if let Some(name) = &self.settings.name {
            builder = builder.name(format!("{name}-{index}"));
        }
        if let Some(bytes) = self.settings.stack_size {
            builder = builder.stack_size(bytes);
        }
        if let Some(bytes) = self.settings.memory_limit {
            builder = builder.memory_limit(bytes);
        }
        let worker = self.state().enter_for(|| builder.spawn(move |port| main(port, &flag)))?;
        self.count(|counts| counts.started += 1);
        worker.unref();
        let id = worker.id();
        let pool = Rc::downgrade(self);
        let with_pool = move |pool: &Weak<Self>, f: &dyn Fn(&Rc<Self>)| {
            if let Some(pool) = pool.upgrade() {
                f(&pool);
            }
        };
        let weak = pool.clone();
        worker.on_message(move |output| {
            if let Some(pool) = weak.upgrade() {
                pool.answer(index, output);
            }
        });
        let weak = pool.clone();
        worker.on_error(move |error| with_pool(&weak, &|pool| pool.lost(index, id, error.clone())));
        worker.on_exit(move |code| {
            with_pool(&pool, &|pool| {
                let told = pool.terminating.get();
                let error = if told { WorkerError::Terminated } else { WorkerError::Exited(code) };
                pool.lost(index, id, error);
            });
        });
        let place = &mut self.places.borrow_mut()[index];
        (place.worker, place.has_handler, place.done) = (Some(worker), has_handler, 0);
        Ok(())
    }

    fn count(&self, f: impl FnOnce(&mut WorkerPoolMetrics)) {
        f(&mut self.counts.borrow_mut());
    }

    /// Gives jobs that wait to workers that are free, as long as there are both.
    fn dispatch(self: &Rc<Self>) {
        while let Some(index) = self.free_place() {
            let missing = self.places.borrow()[index].worker.is_none();
            if missing && let Err(error) = self.start(index) {
                self.not_started(&error);
                break;
            }
            let Some((_, job)) = self.waiting.borrow_mut().pop_first() else { break };
            self.give(index, job);
        }
        self.update_liveness();
    }

    /// Gives a job to the worker of a place. One that has ended already, and whose exit event is still to come, does
    /// not take it: then the job is the next one again, and the place rests until that event.
    fn give(&self, index: usize, job: Job<In, Out>) {
        let worker = self.places.borrow()[index].worker.clone().expect("the place has a worker");
        let given = worker.try_post(job.input.clone()).is_ok();
        if given {
            self.places.borrow_mut()[index].job = Some(job);
        } else {
            self.places.borrow_mut()[index].resting = true;
            self.waiting.borrow_mut().insert(job.number, job);
        }
    }

    /// Whether one more job would have to wait, and may not.
    fn is_full(&self) -> bool {
        self.waiting.borrow().len() >= self.settings.queue_limit
            && !self.places.borrow().iter().any(Place::is_free)
    }

    /// A place for the first job that waits: one with an idle worker if there is one.
    fn free_place(&self) -> Option<usize> {
        if self.waiting.borrow().is_empty() {
            return None;
        }
        let places = self.places.borrow();
        let idle = places.iter().position(|place| place.is_free() && place.worker.is_some());
        idle.or_else(|| places.iter().position(Place::is_free))
    }

    /// No worker could be started. Jobs wait for those that there are; with none they fail.
    fn not_started(&self, error: &io::Error) {
        log::warn!("a worker of a pool could not be started: {error}");
        if self.places.borrow().iter().all(|place| place.worker.is_none()) {
            let jobs = self.waiting.take();
            for job in jobs.into_values() {
                self.count(|counts| counts.completed += 1);
                job.completer.complete_later(Err(WorkerError::NotStarted(error.kind())));
                drop(job.input);
            }
        }
    }

    /// A worker has an answer: its next job goes out before the callback of this one runs.
    fn answer(self: &Rc<Self>, index: usize, output: Out) {
        let (job, spent) = self.job_done(index);
        if let Some(worker) = spent {
            self.count(|counts| counts.recycled += 1);
            self.let_go(worker, |_| ());
        }
        self.go_on(job, Ok(output));
    }

    /// A place has changed: jobs that wait go out, and then the one that is done, if any, gets its
    /// answer.
    fn go_on(self: &Rc<Self>, done: Option<Job<In, Out>>, answer: Answer<Out>) {
        self.dispatch();
        // Before the user's callback, which may panic.
        self.end_if_idle();
        if let Some(job) = done {
            self.count(|counts| counts.completed += 1);
            // Runs as part of the message's own callback; its drain follows at once.
            job.completer.complete(answer);
        }
    }

    /// A place is free again. Its worker comes back too if it has done all that it may.
    fn job_done(&self, index: usize) -> (Option<Job<In, Out>>, Option<Worker<Input<In>, Out>>) {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.get_mut(index) else { return (None, None) };
        place.deaths = 0;
        place.done += 1;
        let all_done = self.settings.recycle_after.is_some_and(|most| place.done >= most);
        (place.job.take(), if all_done { place.worker.take() } else { None })
    }

    /// Lets a worker end that has no job, and has `then` called when it has.
    fn let_go(&self, worker: Worker<Input<In>, Out>, then: impl FnOnce(i32) + 'static) {
        let id = worker.id();
        worker.on_error(move |error| log::warn!("worker {id} of a pool, at its end: {error}"));
        worker.on_exit(then);
        // The answer comes by the exit event. A request that was dropped would raise the worker's
        // panic again.
        worker.shutdown(GRACE).on_complete(drop);
    }

    /// A worker is gone, and the next job gets another one. Its own job fails, or waits again if
    /// the worker's
    /// handler has not seen it.
    fn lost(self: &Rc<Self>, index: usize, id: u64, error: WorkerError) {
        let (worker, job, passes) = {
            let mut places = self.places.borrow_mut();
            let Some(place) = places.get_mut(index) else { return };
            let Some(worker) = place.worker.take_if(|worker| worker.id() == id) else { return };
            place.deaths = place.deaths.saturating_add(1);
            place.resting = false;
            let may_pass = place.has_handler.load(Ordering::Acquire) && !self.terminating.get();
            (worker, place.job.take(), may_pass.then_some(u32::from(place.done == 0)))
        };
        self.rest(index);
        let lost = match (job, passes) {
            (Some(mut job), Some(passes))
                if job.passes + passes <= PASSES_MAX && job.input.is_there() =>
            {
                job.passes += passes;
                self.waiting.borrow_mut().insert(job.number, job);
                None
            }
            (job, _) => job,
        };
        if lost.is_some() {
            self.count(|counts| counts.failed += 1);
        } else if !self.terminating.get() {
            // Nobody else hears of it.
            log::warn!("worker {id} of a pool has ended: {error}");
        }
        self.go_on(lost, Err(error));
        drop(worker);
    }

    /// Lets a place wait before it gets another worker, if the pool was told so.
    fn rest(self: &Rc<Self>, index: usize) {
        let (first, longest) = self.settings.back_off;
        if longest.is_zero() || self.closing.get() && self.waiting.borrow().is_empty() {
            return;
        }
        let deaths = {
            let place = &mut self.places.borrow_mut()[index];
            place.resting = true;
            place.deaths
        };
        let doubled = 2_u32.saturating_pow(deaths.saturating_sub(1));
        let delay = first.saturating_mul(doubled).min(longest);
        log::warn!("a worker of a pool has died: another comes in {delay:?}");
        let weak = Rc::downgrade(self);
        let rested = move || {
            if let Some(pool) = weak.upgrade() {
                if let Some(place) = pool.places.borrow_mut().get_mut(index) {
                    place.resting = false;
                }
                pool.dispatch();
            }
        };
        // The jobs that wait hold the loop.
        self.state().enter_for(|| set_timeout(delay, rested)).set_ref(false);
    }

    fn has_jobs(&self) -> bool {
        let running = self.places.borrow().iter().any(|place| place.job.is_some());
        running || !self.waiting.borrow().is_empty()
    }

    fn update_liveness(&self) {
        let waiting = self.closing.get() && !self.closers.borrow().is_empty();
        self.registration.set_active(self.has_jobs() || waiting);
    }

    fn cancel(self: &Rc<Self>, number: u64) -> Result<(), CancelError> {
        let job = self.waiting.borrow_mut().remove(&number);
        let Some(job) = job else { return Err(CancelError::Busy) };
        self.update_liveness();
        self.count(|counts| {
            counts.completed += 1;
            counts.cancelled += 1;
        });
        job.completer.complete_later(Err(WorkerError::Cancelled));
        drop(job.input);
        Ok(())
    }

    fn close(self: &Rc<Self>) {
        self.closing.set(true);
        self.update_liveness();
        self.end_if_idle();
    }

    /// Fails the jobs that wait, and ends the workers at their jobs.
    fn terminate(self: &Rc<Self>) {
        self.closing.set(true);
        self.terminating.set(true);
        let jobs = self.waiting.take();
        for job in jobs.into_values() {
            self.count(|counts| counts.completed += 1);
            job.completer.complete_later(Err(WorkerError::Closed));
            drop(job.input);
        }
        let workers: Vec<_> =
            self.places.borrow().iter().filter_map(|place| place.worker.clone()).collect();
        workers.iter().for_each(|worker| drop(worker.terminate()));
        self.end_if_idle();
    }

    /// The end of a pool that is closed, once its last job has been answered.
    fn end_if_idle(self: &Rc<Self>) {
        if !self.closing.get() || self.has_jobs() || self.ending.get().is_some() {
            return;
        }
        let places = std::mem::take(&mut *self.places.borrow_mut());
        let workers: Vec<_> = places.into_iter().filter_map(|place| place.worker).collect();
        self.ending.set(Some(workers.len()));
        for worker in workers {
            // Holds the pool, which may have no other name.
            let pool = self.clone();
            self.let_go(worker, move |_| pool.one_has_ended());
        }
        self.complete_closers();
    }

    fn one_has_ended(&self) {
        self.ending.set(self.ending.get().map(|left| left - 1));
        self.complete_closers();
    }

    /// Tells those who wait for the end, when it has come.
    fn complete_closers(&self) {
        if self.ending.get() == Some(0) {
            drop(self.registration.close());
            for closer in self.closers.take() {
                closer.complete_later(());
            }
        }
    }
}

impl<In: Send + 'static, Out: Send + 'static> Handle for Core<In, Out> {
    fn kind(&self) -> &'static str {
        "worker pool"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The last name was dropped: see there.
    fn ready(self: Rc<Self>, _state: &Rc<State>, _event: Event) {
        self.end_if_idle();
    }

    /// The workers are torn down as handles of their own.
    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        let places = self.places.take();
        let running = places.into_iter().filter_map(|place| place.job);
        let mut inputs = Vec::new();
        for job in running.chain(self.waiting.take().into_values()) {
            // What no handler has seen is dropped on this thread.
            inputs.extend(job.input.take());
            job.completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        inputs.into_iter().for_each(callback::drop_quietly);
        self.closers.take().into_iter().for_each(|closer| closer.shut_down(Some(())));
    }
}

impl<In: Send + 'static, Out: Send + 'static> WorkerPool<In, Out> {
    /// Makes a pool of up to `size` workers on the current loop. The first is started now, so that a lack
    /// of threads shows; the others when jobs need them. `make` runs on each worker's thread.
    ///
    /// # Errors
    /// `InvalidInput` for a size of 0; the system's when no worker can be started.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(
            note = "with panic = \"abort\" a worker's panic ends the whole process, and a checkpoint does not end the worker"
        )
    )]
    pub fn new<H: FnMut(In) -> Out + 'static>(
        size: usize,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        WorkerPool::with_settings(WorkerPool::<In, Out>::builder(size).settings, make)
    }

    /// Sets up a pool of up to `size` workers with more than the defaults.
    pub fn builder(size: usize) -> WorkerPoolBuilder<In, Out> {
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

    #[track_caller]
    fn with_settings<H: FnMut(In) -> Out + 'static>(
        settings: Settings,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = current::expect("WorkerPool::new");
        let size = settings.size;
        if size == 0 {
            let text = "a worker pool has at least one worker";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let main = move |port: Port<Out, Input<In>>, has_handler: &AtomicBool| {
            let mut handler = make();
            let reply = port.clone();
            port.on_message(move |job| {
                let input = job.take();
                // Before the handler: so the loop that made it is the one to free it.
                drop(job);
                // Else the loop of the pool has ended, and nobody waits for an answer.
                if let Some(input) = input {
                    reply.post(handler(input));
                }
            });
            has_handler.store(true, Ordering::Release);
        };
        let core = Rc::new(Core {
            registration: Registration::new(state.clone()),
            location: Location::caller(),
            main: Arc::new(main),
            settings,
            places: RefCell::new((0..size).map(|_| Place::new()).collect()),
            waiting: RefCell::default(),
            next_number: Cell::new(0),
            counts: RefCell::default(),
            closing: Cell::new(false),
            terminating: Cell::new(false),
            ending: Cell::new(None),
            closers: RefCell::default(),
            names: Cell::new(1),
        });
        core.start(0)?;
        core.registration.open(core.clone(), core.location, false);
        Ok(WorkerPool { core })
    }

    /// Runs a job on the next free worker, jobs in the order submitted.
    ///
    /// It can be cancelled until a worker has it. When the worker ends before its handler has begun
    /// with the
    /// job, the job goes to another worker; once a handler has begun, it never runs again.
    ///
    /// # Errors
    /// [`WorkerError::Panicked`] when the handler panicked; a new worker takes its place. `Exited` when it
    /// ended otherwise, `OutOfMemory` when it had more than it may, `QueueFull`, `NotStarted` when there is no worker and none can be started, `Closed` after
    /// [`close`](WorkerPool::close).
    #[track_caller]
    pub fn run(&self, input: In) -> Request<Result<Out, WorkerError>> {
        let core = &self.core;
        let state = core.state();
        let (completer, request) = Completer::new(state, Location::caller());
        if !state.is_open() {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
        } else if core.closing.get() {
            completer.complete_later(Err(WorkerError::Closed));
        } else if core.is_full() {
            core.count(|counts| counts.refused += 1);
            completer.complete_later(Err(WorkerError::QueueFull));
        } else {
            let number = core.next_number.get();
            core.next_number.set(number + 1);
            let weak = Rc::downgrade(core);
            completer.on_cancel(move || {
                weak.upgrade().map_or(Err(CancelError::Done), |core| core.cancel(number))
            });
            let input = Arc::new(Handover(Mutex::new(Some(input))));
            let job = Job { number, input, completer, passes: 0 };
            core.waiting.borrow_mut().insert(number, job);
            core.dispatch();
            let waiting = core.waiting.borrow().len();
            core.count(|counts| counts.queued_max = counts.queued_max.max(waiting));
        }
        request
    }

    /// Takes no more jobs. Those that were submitted are finished, then the workers end.
    pub fn close(&self) {
        self.core.close();
    }

    /// Completes when the pool has been closed, with [`close`](WorkerPool::close) or
    /// [`terminate`](WorkerPool::terminate), and its last worker has ended. From the close on it holds the loop.
    #[track_caller]
    pub fn closed(&self) -> Request<()> {
        let core = &self.core;
        if core.ending.get() == Some(0) || !core.state().is_open() {
            return Request::finished(core.state(), ());
        }
        let (completer, request) = Completer::new(core.state(), Location::caller());
        core.closers.borrow_mut().push(completer);
        core.update_liveness();
        request
    }

    /// Closes the pool at once: jobs that wait fail with `Closed`, those that run with `Terminated`, and
    /// the workers are [terminated](Worker::terminate).
    pub fn terminate(&self) {
        self.core.terminate();
    }

    /// The pool's figures.
    pub fn metrics(&self) -> WorkerPoolMetrics {
        let places = self.core.places.borrow();
        let count = |f: fn(&&Place<In, Out>) -> bool| places.iter().filter(f).count();
        WorkerPoolMetrics {
            size: places.len(),
            busy: count(|place| place.job.is_some()),
            queued: self.core.waiting.borrow().len(),
            workers: count(|place| place.worker.is_some()),
            resting: count(|place| place.resting),
            ..*self.core.counts.borrow()
        }
    }
}

impl<In, Out> Clone for WorkerPool<In, Out> {
    fn clone(&self) -> Self {
        self.core.names.set(self.core.names.get() + 1);
        WorkerPool { core: self.core.clone() }
    }
}

impl<In, Out> Drop for WorkerPool<In, Out> {
    fn drop(&mut self) {
        let left = self.core.names.get() - 1;
        self.core.names.set(left);
        if left == 0 {
            self.core.closing.set(true);
            if !self.core.closers.borrow().is_empty() {
                self.core.registration.set_active(true);
            }
            // In the next poll phase: here the bounds that ending takes are not known.
            self.core.registration.call_again();
        }
    }
}

impl<In, Out> fmt::Debug for WorkerPool<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("size", &self.core.places.borrow().len())
            .field("queued", &self.core.waiting.borrow().len())
            .finish_non_exhaustive()
    }
}
