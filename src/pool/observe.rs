//! What the pool tells those who observe it: each job, with the thread that ran it.

use std::rc::Rc;

use super::WorkKind;
use super::job::{Job, JobOrigin, Outcome};
use crate::callback::observed;
use crate::clock::Nanos;
use crate::error::WorkError;
use crate::state::State;
use crate::trace::detail::{self, Detail, NotRun, pair};
use crate::trace::origin::Origin;
use crate::trace::ring::Happened;
use crate::trace::teller::{self, Teller};
use crate::trace::track::Track;
use crate::trace::{cause, roll};

/// A pool thread of this name begins.
pub(super) fn begin_thread(name: &str) -> Rc<Teller> {
    let track = Track::new();
    track.set_name(name.to_owned());
    roll::join(&track);
    let teller = Rc::new(Teller::new(track));
    teller::set_of_pool_thread(teller.clone());
    teller
}

/// A job leaves its queue, to be run on this thread.
#[cold]
pub(super) fn tell_started(job: &dyn Job) {
    let origin = job.origin();
    let detail = Detail::new(Happened::Started, job.id());
    observed::tell_here(detail.of(origin.name, Some(origin.location)));
}

/// A job was submitted, from this loop to this pool, in whose queue so many wait with it.
#[cold]
pub(super) fn tell_submitted(state: &State, job: &dyn Job, pool: u64, waiting: usize) {
    let origin = job.origin();
    let detail = Detail::new(Happened::Submitted, job.id()).of(origin.name, Some(origin.location));
    let slow = u8::from(origin.kind == WorkKind::SlowIo);
    state.say(detail.amount(pair(pool as usize, waiting)).small(slow));
}

/// A job will not run: it was refused at once, or it has an id and has waited until now.
#[cold]
pub(super) fn tell_not_run(state: &State, id: Option<u64>, origin: &JobOrigin, error: &WorkError) {
    let why = match error {
        WorkError::Cancelled => NotRun::Cancelled,
        WorkError::DeadlineExceeded => NotRun::DeadlineExceeded,
        WorkError::QueueFull => NotRun::QueueFull,
        WorkError::NoThread(_) => NotRun::NoThread,
        WorkError::ShutDown | WorkError::PoolShutDown => NotRun::ShutDown,
        WorkError::Panicked(_) => return,
    };
    let happened = if id.is_some() { Happened::Withdrawn } else { Happened::Refused };
    let detail = Detail::new(happened, id.unwrap_or(0)).small(why as u8);
    state.say(detail.of(origin.name, Some(origin.location)));
}

/// Runs a job and tells of it. What it schedules has the job as its cause.
#[cold]
pub(super) fn run(
    teller: &Teller,
    job: &dyn Job,
    now: impl Fn() -> Nanos,
    run: impl FnOnce() -> Outcome,
) -> Outcome {
    // One that was submitted while somebody observed has its id since.
    let id = if job.id() > 0 { job.id() } else { cause::next_id() };
    job.set_id(id);
    let origin = job.origin();
    let origin = Origin { kind: origin.name, place: Some(origin.location), cause: job.cause() };
    let began = now();
    let outcome = cause::on_behalf_of(id, run);
    if outcome == Outcome::Ran {
        // Before the loop is told, which may stop the recording.
        let ended = now();
        if detail::is_wanted() {
            teller.say(ended, Detail::new(Happened::Finished, id));
        }
        teller.worked(id, origin, began, ended);
    }
    outcome
}
