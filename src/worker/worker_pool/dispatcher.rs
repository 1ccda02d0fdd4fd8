//! Gives the jobs that wait to the workers that are free, and replaces workers that died.
//!
//! A worker may end with a job that its handler has not seen: the pool hears of the end later than
//! it comes. Such a job goes to another worker. A job's input can be taken out of its
//! [`Handover`](super::place::Handover) once, by the worker when its handler begins, so no job runs
//! twice. A worker that ended before it had a handler fails its job, so a factory that always
//! panics costs one job each time and is no busy loop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::WorkerPoolMetrics;
use super::builder::Settings;
use super::place::{Answer, Handover, Input, Job, Place};
use crate::callback;
use crate::channel::port::Port;
use crate::error::CancelError;
use crate::phase::timers;
use crate::report::words::InWords;
use crate::request::Completer;
use crate::state::State;
use crate::state::named::{Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::trace::label::InForce;
use crate::worker::error::WorkerError;
use crate::worker::shared::GRACE;
use crate::worker::worker::Worker;

/// A worker's main script: makes its handler, attaches it to its port, and then sets the flag.
pub(super) type Main<In, Out> = Arc<dyn Fn(Port<Out, Input<In>>, &AtomicBool) + Send + Sync>;

/// What reports call a worker pool.
pub(super) const KIND: &str = "worker pool";

/// How often a job goes on from a worker that ended without any job done. Workers that end by
/// themselves as soon as they have begun would otherwise be started for ever.
const PASSES_MAX: u32 = 3;

/// A worker pool as its loop has it.
pub(super) struct Dispatcher<In, Out> {
    /// Its entry among the loop's handles. Active while there are jobs, or tasks that wait for the
    /// end.
    registration: Registration,
    /// The line that made the pool.
    location: &'static Location<'static>,
    /// The main script of each worker.
    main: Main<In, Out>,
    /// The settings of the builder.
    settings: Settings,
    /// The workers and their jobs: as many places as were needed at one time, one at least. Empty
    /// once the pool has ended.
    pub(super) places: RefCell<Vec<Place<In, Out>>>,
    /// The jobs that wait, by number. A tree, so that one of many can be taken out, and put back in
    /// its place if its worker has ended, and a passed burst keeps no memory.
    pub(super) waiting: RefCell<BTreeMap<u64, Job<In, Out>>>,
    /// The number of the next job.
    next_number: Cell<u64>,
    /// The figures that are counted. Those that are looked up stay zero here.
    pub(super) counts: RefCell<WorkerPoolMetrics>,
    /// No more jobs are taken.
    closing: Cell<bool>,
    /// The workers were told to terminate. Then `closing` is set too.
    terminating: Cell<bool>,
    /// The pool has ended: the workers that there were have been let go.
    over: Cell<bool>,
    /// Workers that have been let go and have not ended.
    leaving: RefCell<Vec<Worker<Input<In>, Out>>>,
    /// The requests of `closed`. The end of the last worker completes them.
    closers: RefCell<Vec<Completer<()>>>,
    /// How many [`WorkerPool`](super::WorkerPool)s name this pool.
    names: Names,
}

impl<In, Out> Dispatcher<In, Out> {
    /// The most workers that there may be. None once the pool has ended.
    pub(super) fn size(&self) -> usize {
        if self.places.borrow().is_empty() { 0 } else { self.settings.size }
    }
}

impl<In: Send + 'static, Out: Send + 'static> Dispatcher<In, Out> {
    /// A pool on this loop, with its first worker.
    pub(super) fn open(
        state: &Rc<State>,
        location: &'static Location<'static>,
        main: Main<In, Out>,
        settings: Settings,
    ) -> io::Result<Rc<Self>> {
        let pool = Rc::new(Dispatcher {
            registration: Registration::new(state.clone()),
            location,
            main,
            settings,
            places: RefCell::new(vec![Place::new()]),
            waiting: RefCell::default(),
            next_number: Cell::new(0),
            counts: RefCell::default(),
            closing: Cell::new(false),
            terminating: Cell::new(false),
            over: Cell::new(false),
            leaving: RefCell::default(),
            closers: RefCell::default(),
            names: Names::default(),
        });
        pool.start(0)?;
        pool.registration.open(pool.clone(), pool.location, false);
        Ok(pool)
    }

    pub(super) fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Takes a job, which begins now if a worker is free, or completes its request with the reason
    /// why not.
    pub(super) fn submit(self: &Rc<Self>, input: In, completer: Completer<Answer<Out>>) {
        if !self.state().is_open() {
            return completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        if self.closing.get() {
            return completer.complete_later(Err(WorkerError::Closed));
        }
        if self.is_full() {
            self.count(|counts| counts.refused += 1);
            return completer.complete_later(Err(WorkerError::QueueFull));
        }
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let weak = Rc::downgrade(self);
        completer.on_cancel(move || {
            weak.upgrade().map_or(Err(CancelError::Done), |pool| pool.cancel(number))
        });
        let job = Job { number, input: Handover::new(input), completer, passes: 0 };
        self.waiting.borrow_mut().insert(number, job);
        self.dispatch();
        let waiting = self.waiting.borrow().len();
        self.count(|counts| counts.queued_max = counts.queued_max.max(waiting));
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
        let worker = self
            .state()
            .enter_for(|| builder.spawn_at(self.location, move |port| main(port, &flag)))?;
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
        let _at = InForce::at(self.location);
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

    /// Gives jobs that wait to workers that are free, as long as there are both. A pool that is
    /// closed and has no jobs left ends.
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
        self.end_if_idle();
    }

    /// Gives a job to the worker of a place. A worker that has ended already, and whose exit event
    /// is still to come, does not take it: then the job is the next one again, and the place gets
    /// no job until that event.
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
            && !self.may_grow()
    }

    /// Whether there may be one place more.
    fn may_grow(&self) -> bool {
        self.places.borrow().len() < self.size()
    }

    /// A place for the first job that waits: one with an idle worker if there is one.
    fn free_place(&self) -> Option<usize> {
        if self.waiting.borrow().is_empty() {
            return None;
        }
        let may_grow = self.may_grow();
        let mut places = self.places.borrow_mut();
        let idle = places.iter().position(|place| place.is_free() && place.worker.is_some());
        let free = idle.or_else(|| places.iter().position(Place::is_free));
        if free.is_none() && may_grow {
            places.push(Place::new());
            return Some(places.len() - 1);
        }
        free
    }

    /// No worker could be started. Jobs wait for those that there are; with none they fail.
    fn not_started(&self, error: &io::Error) {
        log::warn!("a worker of a pool could not be started: {error}");
        if self.places.borrow().iter().all(|place| place.worker.is_none()) {
            let jobs = self.waiting.take();
            for job in jobs.into_values() {
                self.fail_waiting(job, WorkerError::NotStarted(error.kind()));
            }
        }
    }

    /// A worker has an answer: its next job goes out before the callback of this one runs.
    fn answer(self: &Rc<Self>, index: usize, output: Out) {
        let (job, spent) = self.job_done(index);
        if let Some(worker) = spent {
            self.count(|counts| counts.recycled += 1);
            self.let_go(worker);
        }
        self.go_on(job, Ok(output));
    }

    /// A place has changed: jobs that wait go out, and then the one that is done, if any, gets its
    /// answer.
    fn go_on(self: &Rc<Self>, done: Option<Job<In, Out>>, answer: Answer<Out>) {
        // Before the user's callback, which may panic.
        self.dispatch();
        if let Some(Job { input, completer, .. }) = done {
            self.count(|counts| counts.completed += 1);
            // One that no handler has seen. Not while a panic of the user's callback passes by.
            callback::drop_quietly(input);
            // Runs as part of the message's own callback; its drain follows at once.
            completer.complete(answer);
        }
    }

    /// A place is free again. Its job comes back, and its worker too if it has done all that it
    /// may.
    fn job_done(&self, index: usize) -> (Option<Job<In, Out>>, Option<Worker<Input<In>, Out>>) {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.get_mut(index) else { return (None, None) };
        place.deaths = 0;
        place.done += 1;
        let all_done = self.settings.recycle_after.is_some_and(|most| place.done >= most);
        (place.job.take(), if all_done { place.worker.take() } else { None })
    }

    /// Lets a worker end that has no job.
    fn let_go(self: &Rc<Self>, worker: Worker<Input<In>, Out>) {
        let id = worker.id();
        let _at = InForce::at(self.location);
        worker.on_error(move |error| log::warn!("worker {id} of a pool, at its end: {error}"));
        // Holds the pool, which may have no other name.
        let pool = self.clone();
        worker.on_exit(move |_| pool.one_has_ended(id));
        // The answer comes by the exit event. A request that was dropped would raise the worker's
        // panic again.
        worker.shutdown(GRACE).pass_to(drop);
        self.leaving.borrow_mut().push(worker);
    }

    /// A worker is gone, and the next job gets another one. Its own job fails, or waits again if
    /// the worker's handler has not seen it.
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
        self.back_off(index);
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
        } else if !self.terminating.get() && !self.state().shutting_down.get() {
            // It was not asked to end, and it is told nowhere else.
            log::warn!("worker {id} of a pool has ended: {error}");
        }
        self.go_on(lost, Err(error));
        drop(worker);
    }

    /// Lets a place wait before it gets another worker, if the pool was told so.
    fn back_off(self: &Rc<Self>, index: usize) {
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
        log::warn!("a worker of a pool has died: another comes in {}", InWords::from(delay));
        let weak = Rc::downgrade(self);
        let over = move || {
            if let Some(pool) = weak.upgrade() {
                if let Some(place) = pool.places.borrow_mut().get_mut(index) {
                    place.resting = false;
                }
                pool.dispatch();
            }
        };
        // The jobs that wait hold the loop.
        timers::set_internal(self.state(), delay, self.location, over);
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
        self.count(|counts| counts.cancelled += 1);
        self.fail_waiting(job, WorkerError::Cancelled);
        // It may have been the last one of a pool that is closed.
        self.end_if_idle();
        Ok(())
    }

    /// Fails a job that no worker has. Its input is dropped here.
    fn fail_waiting(&self, job: Job<In, Out>, error: WorkerError) {
        self.count(|counts| counts.completed += 1);
        job.completer.complete_later(Err(error));
        // A panic of its destructor must not keep the other jobs from their answers.
        callback::drop_quietly(job.input);
    }

    pub(super) fn close(self: &Rc<Self>) {
        self.closing.set(true);
        self.update_liveness();
        self.end_if_idle();
    }

    /// Fails the jobs that wait, and ends the workers at their jobs.
    pub(super) fn terminate(self: &Rc<Self>) {
        self.closing.set(true);
        self.terminating.set(true);
        let jobs = self.waiting.take();
        for job in jobs.into_values() {
            self.fail_waiting(job, WorkerError::Closed);
        }
        let mut workers = self.leaving.borrow().clone();
        workers.extend(self.places.borrow().iter().filter_map(|place| place.worker.clone()));
        workers.iter().for_each(|worker| drop(worker.terminate()));
        self.end_if_idle();
    }

    /// The end of a pool that is closed, once its last job has been answered.
    fn end_if_idle(self: &Rc<Self>) {
        if !self.closing.get() || self.has_jobs() || self.over.replace(true) {
            return;
        }
        let places = std::mem::take(&mut *self.places.borrow_mut());
        places.into_iter().filter_map(|place| place.worker).for_each(|worker| self.let_go(worker));
        self.complete_closers();
    }

    fn one_has_ended(&self, id: u64) {
        self.leaving.borrow_mut().retain(|worker| worker.id() != id);
        self.complete_closers();
    }

    /// Completes a request when the last worker has ended. It holds the loop once the pool is
    /// closed.
    pub(super) fn add_closer(&self, closer: Completer<()>) {
        self.closers.borrow_mut().push(closer);
        self.update_liveness();
    }

    /// Whether the pool has been closed and its last worker has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.over.get() && self.leaving.borrow().is_empty()
    }

    /// Completes the requests that wait for the end, when it has come.
    fn complete_closers(&self) {
        if self.has_ended() {
            drop(self.registration.close());
            for closer in self.closers.take() {
                closer.complete_later(());
            }
        }
    }
}

impl<In: Send + 'static, Out: Send + 'static> Handle for Dispatcher<In, Out> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The last name was dropped: see [`last_name_dropped`](Named::last_name_dropped).
    fn ready(self: Rc<Self>, _state: &Rc<State>, _event: Event) {
        self.end_if_idle();
    }

    /// The workers are asked as handles of their own.
    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {
        let jobs = self.waiting.take();
        self.count(|counts| counts.cancelled += jobs.len() as u64);
        self.close();
        for job in jobs.into_values() {
            self.fail_waiting(job, WorkerError::Cancelled);
        }
    }

    /// The workers are torn down as handles of their own.
    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        let places = self.places.take();
        let running = places.into_iter().filter_map(|place| place.job);
        let mut inputs = Vec::new();
        for job in running.chain(self.waiting.take().into_values()) {
            // An input that no handler has seen is dropped on this thread.
            inputs.extend(job.input.take());
            job.completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        inputs.into_iter().for_each(callback::drop_quietly);
        self.closers.take().into_iter().for_each(|closer| closer.shut_down(Some(())));
    }
}

impl<In, Out> Named for Dispatcher<In, Out> {
    fn names(&self) -> &Names {
        &self.names
    }

    /// Closes the pool.
    fn last_name_dropped(self: &Rc<Self>) {
        self.closing.set(true);
        if !self.closers.borrow().is_empty() {
            self.registration.set_active(true);
        }
        // It ends in the next poll phase: here the bounds that ending takes are not known.
        self.registration.call_again();
    }
}
