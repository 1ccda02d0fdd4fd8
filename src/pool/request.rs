//! The loop's side of a job: a request that is open until the job has come to its end.
//!
//! It ends in one of four ways, once: the pool has told a result; `cancel` took the job back before
//! it started; so did the deadline; the loop was torn down. Each closes the registration, and the
//! way that does so first completes the request.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pool;
use super::job::{self, Body, Job, JobCell, JobOrigin, Limits, Outcome, Refusal};
use super::observe;
use super::threads::Threads;
use super::token::CancelToken;
use crate::callback::{self, Apart};
use crate::clock::{self, Nanos};
use crate::error::{CancelError, WorkError};
use crate::phase::timers::{self, Timer};
use crate::report::Laggard;
use crate::report::words::InWords;
use crate::request::{Completer, Operation, Pending, Request};
use crate::state::State;
use crate::state::current;
use crate::state::registration::{Handle, Registration};
use crate::sys;
use crate::threads::mailbox::incoming::Done;
use crate::trace::detail;
use crate::trace::label::Shown;
use crate::unhandled::{Claimable, Lost};

/// What may be asked of a job beyond running it.
#[derive(Default)]
pub(super) struct Wishes {
    /// What its work is given, and heeds.
    pub(super) token: Option<CancelToken>,
    /// The moment after which it must not start.
    pub(super) deadline: Option<Instant>,
    /// Another pool than the loop's.
    pub(super) pool: Option<Pool>,
}

/// Whether a job begins something, or goes on with what a pool has accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is new: a full queue refuses it.
    New,
    /// It goes on: a full queue takes it all the same, and so does a loop that ends in order.
    GoesOn,
}

/// The request and its operation, in one.
type WorkRequest<F, R, T> = Pending<T, InPool<F, R, T>>;

/// The operation of being run by a pool. Ends with its registration.
struct InPool<F, R, T> {
    /// Open until the request has ended.
    registration: Registration,
    /// What the loop shares with the pool.
    job: Arc<JobCell<F, R>>,
    /// Makes the request's result, on the loop.
    finish: fn(Result<R, WorkError>) -> T,
    /// For jobs with a deadline or a pool of their own.
    special: Option<Box<Special>>,
}

/// What few jobs have.
#[derive(Default)]
struct Special {
    /// None for the loop's own pool.
    pool: Option<Pool>,
    /// When the job is too late, on the loop's clock: for the alarm.
    deadline: Option<Nanos>,
    /// Ends the request at its deadline if the job still waits then.
    alarm: Cell<Option<Timer>>,
    /// In a simulation: when the job ends.
    ends_at: Cell<Nanos>,
}

/// Runs `work` on the loop's pool and completes with what `finish` makes of its result. A job that
/// the pool does not take completes with the reason, later.
pub(crate) fn submit<F, R, T>(
    state: &Rc<State>,
    origin: JobOrigin,
    admission: Admission,
    work: F,
    finish: fn(Result<R, WorkError>) -> T,
) -> Request<T>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    let origin = JobOrigin { goes_on: admission == Admission::GoesOn, ..origin };
    match admit(state, &state.pool, origin, admission) {
        Ok(()) => start(state, origin, Wishes::default(), work, finish),
        Err(error) => refuse(state, origin, work, finish(Err(error))),
    }
}

/// The result of a request for I/O: that a job did not run is an I/O error too.
pub(crate) fn flatten<T, E>(result: Result<Result<T, E>, WorkError>) -> io::Result<T>
where
    io::Error: From<E>,
{
    Ok(result??)
}

/// Finds a place in the pool for one more job of the loop. The job must then be started.
pub(super) fn admit(
    state: &State,
    pool: &Pool,
    origin: JobOrigin,
    admission: Admission,
) -> Result<(), WorkError> {
    let admitted = find_place(state, pool, admission);
    if detail::is_wanted()
        && let Err(error) = &admitted
    {
        observe::tell_not_run(state, None, &origin, error);
    }
    admitted
}

fn find_place(state: &State, pool: &Pool, admission: Admission) -> Result<(), WorkError> {
    if !state.is_open() {
        return Err(WorkError::ShutDown);
    }
    if state.shutting_down.get() && admission == Admission::New {
        return Err(WorkError::PoolShutDown);
    }
    // In virtual time no thread takes part.
    let needs_thread = !state.clock.is_virtual();
    pool.threads().admit(admission == Admission::GoesOn, needs_thread)
}

/// A request for work that was not accepted: it completes with `value`, later.
pub(super) fn refuse<F, T: Claimable + 'static>(
    state: &Rc<State>,
    origin: JobOrigin,
    work: F,
    value: T,
) -> Request<T> {
    let (completer, request) = Completer::new(state, origin.name, origin.location);
    state.log(|| format!("{} of {} refused", origin.name, Shown(origin.location)));
    if state.is_open() {
        completer.complete_later(value);
    } else {
        completer.shut_down(Some(value));
    }
    drop(work); // Last: what it captured may call back into the loop.
    request
}

/// Makes the request of an admitted job, and gives the job to the pool.
pub(super) fn start<F, R, T>(
    state: &Rc<State>,
    origin: JobOrigin,
    wishes: Wishes,
    work: F,
    finish: fn(Result<R, WorkError>) -> T,
) -> Request<T>
where
    F: Body<R> + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    let in_virtual_time = state.clock.is_virtual();
    let limits = (wishes.token.is_some() || wishes.deadline.is_some())
        .then(|| Box::new(Limits { token: wishes.token, deadline: wishes.deadline }));
    let is_special = wishes.deadline.is_some() || wishes.pool.is_some() || state.chance().is_some();
    let special = is_special.then(|| {
        let deadline = wishes.deadline.map(|deadline| state.clock.nanos_at(deadline));
        Box::new(Special { pool: wishes.pool, deadline, ..Special::default() })
    });
    let job = Arc::new(JobCell::new(origin, limits, work, state.mailbox.clone()));
    let operation = InPool {
        registration: Registration::new(state.clone()),
        job: job.clone(),
        finish,
        special,
    };
    let pending = Pending::new(state, origin.location, operation);
    let registration = &pending.operation.registration;
    registration.open(pending.clone(), origin.location, true);
    let key = registration.key().expect("an open handle has a key");
    job.set_request(key.to_bits());
    arm(&pending);
    state.patience.job_begins();

    state.log(|| format!("{} of {} submitted", origin.name, Shown(origin.location)));
    let pool = pending.operation.pool();
    if detail::is_wanted() {
        let waiting = pool.queues.lengths()[origin.kind.queue()] + 1;
        observe::tell_submitted(state, &*job, pool.number, waiting);
    }
    if in_virtual_time {
        // No thread takes part: the job runs when it is delivered, in the next poll phase.
        pool.virtual_job_waits(state.chance(), origin.kind);
        match (state.chance(), &pending.operation.special) {
            (Some(chance), Some(special)) => {
                let own = pool.queues.threads_of(origin.kind, pool.max);
                let now = state.clock.read();
                let (begins, ends) = chance.job_times(pool.number, pool.max, own, now);
                special.ends_at.set(ends);
                state.mailbox.complete_at(Done { request: key.to_bits(), job: None }, begins);
            }
            _ => {
                state.delivery.complete(key);
                if detail::is_wanted() {
                    state.tell_fetched(0, 0);
                }
            }
        }
    } else {
        pool.submit(job);
    }
    pending.request()
}

/// Sets the alarm for the deadline, if there is one.
fn arm<F, R, T>(pending: &Rc<WorkRequest<F, R, T>>)
where
    F: Body<R> + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    let Some(special) = &pending.operation.special else { return };
    let Some(deadline) = special.deadline else { return };
    let state = &pending.operation.registration.state;
    let delay = Duration::from_nanos(deadline.saturating_sub(state.clock.read()));
    let weak = Rc::downgrade(pending);
    let location = pending.operation.job.origin.location;
    let alarm = timers::set_internal(state, delay, location, move || {
        // A job that runs goes on.
        if let Some(pending) = weak.upgrade()
            && let Some(work) = pending.operation.take_back()
        {
            pending.operation.end_later(pending.clone(), WorkError::DeadlineExceeded, work);
        }
    });
    special.alarm.set(Some(alarm));
}

impl<F, R, T> InPool<F, R, T>
where
    F: Body<R> + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    /// The pool that runs the job.
    fn pool(&self) -> &Arc<Threads> {
        let own = self.special.as_ref().and_then(|special| special.pool.as_ref());
        own.unwrap_or(&self.registration.state.pool).threads()
    }

    /// Takes the work back if the job has not begun.
    fn take_back(&self) -> Option<F> {
        let (pool, kind) = (self.pool(), self.job.origin.kind);
        let take = || self.job.take_back(&pool.queues);
        let state = &self.registration.state;
        if state.clock.is_virtual() {
            let work = take();
            if work.is_some() {
                pool.virtual_job_left(state.chance(), kind);
            }
            work
        } else {
            pool.queues.leave_empty(kind, take)
        }
    }

    /// Ends the entry and the alarm. False when they have ended before.
    fn close(&self) -> bool {
        if let Some(alarm) = self.special.as_ref().and_then(|special| special.alarm.take()) {
            alarm.clear();
        }
        let open = self.registration.is_open();
        drop(self.registration.close());
        if open {
            self.registration.state.patience.job_ends();
        }
        open
    }

    /// Completes the request, whose work never ran, in the next pending phase.
    fn end_later(&self, core: Rc<Pending<T>>, error: WorkError, work: F) {
        if self.close() {
            self.log_end(Some(&error));
            core.complete_later((self.finish)(Err(error)));
        }
        drop(work); // Last: what it captured may call back into the loop.
    }

    /// The log is told how the job has ended. Its time is real, and left out in virtual time.
    fn log_end(&self, error: Option<&WorkError>) {
        let state = &self.registration.state;
        if let Some(error) = error {
            self.tell_not_run(error);
        }
        state.log(|| {
            let JobOrigin { name, location, .. } = self.job.origin;
            let location = Shown(location);
            let took = clock::monotonic() - self.job.submitted();
            match error {
                Some(error) => format!("{name} of {location} failed: {error}"),
                None if state.clock.is_virtual() => format!("{name} of {location} done"),
                None => format!("{name} of {location} done after {}", InWords(took)),
            }
        });
    }

    /// In a simulation the job has run and its end is to come.
    fn is_to_come(&self, state: &State) -> bool {
        let ends_at = self.special.as_ref().map_or(0, |special| special.ends_at.get());
        let Some(key) = self.registration.key().filter(|_| ends_at > state.clock.now()) else {
            return false;
        };
        state.mailbox.complete_at(Done { request: key.to_bits(), job: None }, ends_at);
        true
    }

    /// The job has failed with this error. Without a panic it has not run, and its id is no cause.
    fn tell_not_run(&self, error: &WorkError) {
        if self.job.id() > 0 && !matches!(error, WorkError::Panicked(_)) {
            let id = Some(self.job.id());
            observe::tell_not_run(&self.registration.state, id, &self.job.origin, error);
            self.job.set_id(0);
        }
    }

    /// Runs the job on the loop's own thread. Whether it ran now.
    fn run_here(&self, state: &State) -> bool {
        let (pool, origin) = (self.pool(), &self.job.origin);
        // Taken back before its delivery: the request has ended.
        if !self.job.is_queued() {
            return false;
        }
        pool.virtual_job_left(state.chance(), origin.kind);
        if pool.is_shut() {
            self.job.refuse(&pool.queues, Refusal::Cancelled);
            return false;
        }
        let run = || current::run_job(state, || self.job.run(&pool.queues));
        let outcome = if state.is_observed() {
            observe::run(&state.teller, &*self.job, || state.clock.read(), run)
        } else {
            run()
        };
        if outcome == Outcome::Ran {
            pool.virtual_job_ran(state.chance(), origin.kind);
        }
        outcome == Outcome::Ran
    }
}

impl<F, R, T> Operation<T> for InPool<F, R, T>
where
    F: Body<R> + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    fn kind(&self) -> &'static str {
        self.job.origin.name
    }

    fn lost(&self, value: T) -> Option<Lost> {
        value.into_lost()
    }

    fn job(&self) -> u64 {
        self.job.id()
    }

    fn abort(&self, core: &Rc<Pending<T>>) -> Result<(), CancelError> {
        if !self.registration.is_open() {
            return Err(CancelError::Done);
        }
        let work = self.take_back();
        // Not before: a thread that takes the job in between would heed the token and not run it,
        // although the answer here is that it runs.
        if let Some(limits) = &self.job.limits
            && let Some(token) = &limits.token
        {
            token.cancel();
        }
        let work = work.ok_or(CancelError::Busy)?;
        self.end_later(core.clone(), WorkError::Cancelled, work);
        Ok(())
    }
}

impl<F, R, T> Handle for WorkRequest<F, R, T>
where
    F: Body<R> + 'static,
    R: Send + 'static,
    T: Claimable + 'static,
{
    fn kind(&self) -> &'static str {
        self.operation.job.origin.name
    }

    fn registration(&self) -> &Registration {
        &self.operation.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: sys::Event) {
        let operation = &self.operation;
        if state.clock.is_virtual() && operation.run_here(state) && operation.is_to_come(state) {
            return;
        }
        let Some((result, work)) = operation.job.take_result() else { return };
        // Of a job that was refused. Dropped last, for what it captured may call back into the
        // loop, and apart from a panic of the request's callback.
        let work = Apart(work);
        if operation.close() {
            operation.log_end(result.as_ref().err());
            self.complete((operation.finish)(result));
        }
        drop(work);
    }

    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {
        let operation = &self.operation;
        if !operation.job.origin.goes_on
            && let Some(work) = operation.take_back()
        {
            operation.end_later(self.clone(), WorkError::Cancelled, work);
        }
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn explain(&self, laggard: &mut Laggard) {
        let operation = &self.operation;
        if let Some((thread, running_for)) = operation.pool().running(job::address(&operation.job))
        {
            (laggard.thread, laggard.running_for) = (thread, running_for);
        }
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        let operation = &self.operation;
        // Work that has not started is dropped here, on the loop's thread. A running one goes on
        // to its end, and its result is dropped with the job.
        callback::drop_quietly(operation.take_back());
        // A result that has not been delivered.
        callback::drop_quietly(operation.job.take_result());
        if operation.close() {
            self.shut_down(Some((operation.finish)(Err(WorkError::ShutDown))));
        }
    }
}
