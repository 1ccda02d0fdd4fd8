//! A pool of workers that share the jobs of one kind.
//!
//! Each worker has a handler of its own, made on its thread by a factory, so that the handler's
//! state need not be `Send`. A worker has one job at a time; the others wait here, so that they can be
//! cancelled and a slow job holds up no other. A worker that dies is replaced when the next job needs
//! one: a factory that always panics costs one job each time, not a busy loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::{Port, Worker, WorkerError};
use crate::callback;
use crate::current;
use crate::error::CancelError;
use crate::event_loop::State;
use crate::handle::{Handle, Registration};
use crate::request::{Completer, Request};
use crate::sys::Event;

type Answer<Out> = Result<Out, WorkerError>;

/// A worker's main script: makes its handler and attaches it to its port.
type Main<In, Out> = Arc<dyn Fn(Port<Out, In>) + Send + Sync>;

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
    /// Jobs that have got an answer, errors included.
    pub completed: u64,
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

struct Job<In, Out> {
    number: u64,
    input: In,
    completer: Completer<Answer<Out>>,
}

/// A place for a worker.
struct Place<In, Out> {
    /// Absent before the first job and after a death.
    worker: Option<Worker<In, Out>>,
    /// What the worker is working on.
    job: Option<Completer<Answer<Out>>>,
}

struct Core<In, Out> {
    registration: Registration,
    location: &'static Location<'static>,
    main: Main<In, Out>,
    places: RefCell<Vec<Place<In, Out>>>,
    waiting: RefCell<VecDeque<Job<In, Out>>>,
    next_number: Cell<u64>,
    completed: Cell<u64>,
    closing: Cell<bool>,
    /// How many [`WorkerPool`]s there are for this pool.
    names: Cell<u32>,
}

impl<In: Send + 'static, Out: Send + 'static> Core<In, Out> {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Starts a worker for a place.
    fn start(self: &Rc<Self>, index: usize) -> io::Result<Worker<In, Out>> {
        let main = self.main.clone();
        let worker = self.state().enter_for(|| Worker::<In, Out>::spawn(move |port| main(port)))?;
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
                pool.answer(index, Ok(output));
            }
        });
        let weak = pool.clone();
        worker.on_error(move |error| with_pool(&weak, &|pool| pool.lost(index, id, error.clone())));
        worker.on_exit(move |code| {
            with_pool(&pool, &|pool| pool.lost(index, id, WorkerError::Exited(code)));
        });
        Ok(worker)
    }

    /// Gives jobs that wait to workers that are free, as long as there are both.
    fn dispatch(self: &Rc<Self>) {
        while let Some(index) = self.free_place() {
            let missing = self.places.borrow()[index].worker.is_none();
            if missing {
                match self.start(index) {
                    Ok(worker) => self.places.borrow_mut()[index].worker = Some(worker),
                    Err(error) => {
                        self.not_started(&error);
                        break;
                    }
                }
            }
            let Some(job) = self.waiting.borrow_mut().pop_front() else { break };
            let worker = {
                let mut places = self.places.borrow_mut();
                places[index].job = Some(job.completer);
                places[index].worker.clone().expect("started above")
            };
            worker.post(job.input);
        }
        self.update_liveness();
    }

    /// A place for the first job that waits: one with an idle worker if there is one.
    fn free_place(&self) -> Option<usize> {
        if self.waiting.borrow().is_empty() {
            return None;
        }
        let places = self.places.borrow();
        let free = |place: &&Place<In, Out>| place.job.is_none();
        let idle = places.iter().position(|place| free(&place) && place.worker.is_some());
        idle.or_else(|| places.iter().position(|place| free(&place)))
    }

    /// No worker could be started. Jobs wait for those that there are; with none they fail.
    fn not_started(&self, error: &io::Error) {
        log::warn!("a worker of a pool could not be started: {error}");
        if self.places.borrow().iter().all(|place| place.worker.is_none()) {
            let jobs = self.waiting.take();
            for job in jobs {
                self.completed.set(self.completed.get() + 1);
                job.completer.complete_later(Err(WorkerError::NotStarted(error.kind())));
                drop(job.input);
            }
        }
    }

    /// A worker has an answer: its next job goes out before the callback of this one runs.
    fn answer(self: &Rc<Self>, index: usize, answer: Answer<Out>) {
        let completer = self.places.borrow_mut()[index].job.take();
        self.dispatch();
        // Before the user's callback, which may panic.
        self.end_if_idle();
        if let Some(completer) = completer {
            self.completed.set(self.completed.get() + 1);
            // Runs as part of the message's own callback; its drain follows at once.
            completer.complete(answer);
        }
    }

    /// A worker is gone. Its job fails, and the next job gets another worker.
    fn lost(self: &Rc<Self>, index: usize, id: u64, error: WorkerError) {
        let worker = self
            .places
            .borrow_mut()
            .get_mut(index)
            .and_then(|place| place.worker.take_if(|w| w.id() == id));
        if worker.is_some() {
            self.answer(index, Err(error));
        }
        drop(worker);
    }

    fn has_jobs(&self) -> bool {
        let running = self.places.borrow().iter().any(|place| place.job.is_some());
        running || !self.waiting.borrow().is_empty()
    }

    fn update_liveness(&self) {
        self.registration.set_active(self.has_jobs());
    }

    fn cancel(self: &Rc<Self>, number: u64) -> Result<(), CancelError> {
        let job = {
            let mut waiting = self.waiting.borrow_mut();
            let index = waiting.iter().position(|job| job.number == number);
            index.and_then(|index| waiting.remove(index))
        };
        let Some(job) = job else { return Err(CancelError::Busy) };
        self.update_liveness();
        self.completed.set(self.completed.get() + 1);
        job.completer.complete_later(Err(WorkerError::Cancelled));
        drop(job.input);
        Ok(())
    }

    fn close(self: &Rc<Self>) {
        self.closing.set(true);
        self.end_if_idle();
    }

    /// The end of a pool that is closed, once its last job has been answered.
    fn end_if_idle(self: &Rc<Self>) {
        if !self.closing.get() || self.has_jobs() {
            return;
        }
        let places = std::mem::take(&mut *self.places.borrow_mut());
        for worker in places.into_iter().filter_map(|place| place.worker) {
            worker.on_error(|_| ());
            worker.on_exit(|_| ());
            drop(worker.terminate());
        }
        drop(self.registration.close());
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
        let (waiting, inputs): (Vec<_>, Vec<_>) =
            self.waiting.take().into_iter().map(|job| (job.completer, job.input)).unzip();
        for completer in running.chain(waiting) {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        inputs.into_iter().for_each(callback::drop_quietly);
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
    pub fn new<H: FnMut(In) -> Out + 'static>(
        size: usize,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = current::expect("WorkerPool::new");
        if size == 0 {
            let text = "a worker pool has at least one worker";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let main = move |port: Port<Out, In>| {
            let mut handler = make();
            let reply = port.clone();
            port.on_message(move |input| reply.post(handler(input)));
        };
        let core = Rc::new(Core {
            registration: Registration::new(state.clone()),
            location: Location::caller(),
            main: Arc::new(main),
            places: RefCell::new((0..size).map(|_| Place { worker: None, job: None }).collect()),
            waiting: RefCell::default(),
            next_number: Cell::new(0),
            completed: Cell::new(0),
            closing: Cell::new(false),
            names: Cell::new(1),
        });
        let worker = core.start(0)?;
        core.places.borrow_mut()[0].worker = Some(worker);
        core.registration.open(core.clone(), core.location, false);
        Ok(WorkerPool { core })
    }

    /// Runs a job on the next free worker, jobs in the order submitted.
    ///
    /// It can be cancelled until a worker has it.
    ///
    /// # Errors
    /// [`WorkerError::Panicked`] when the handler panicked; a new worker takes its place. `Exited` when it
    /// ended otherwise, `NotStarted` when there is no worker and none can be started, `Closed` after
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
        } else {
            let number = core.next_number.get();
            core.next_number.set(number + 1);
            let weak = Rc::downgrade(core);
            completer.on_cancel(move || {
                weak.upgrade().map_or(Err(CancelError::Done), |core| core.cancel(number))
            });
            core.waiting.borrow_mut().push_back(Job { number, input, completer });
            core.dispatch();
        }
        request
    }

    /// Takes no more jobs. Those that were submitted are finished, then the workers end.
    pub fn close(&self) {
        self.core.close();
    }

    /// The pool's figures.
    pub fn metrics(&self) -> WorkerPoolMetrics {
        let places = self.core.places.borrow();
        WorkerPoolMetrics {
            size: places.len(),
            busy: places.iter().filter(|place| place.job.is_some()).count(),
            queued: self.core.waiting.borrow().len(),
            completed: self.core.completed.get(),
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
