//! What the pool tells those who observe it: each job, with the thread that ran it.

use std::rc::Rc;

use super::job::{Job, Outcome};
use crate::clock::Nanos;
use crate::trace::origin::Origin;
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

/// Runs a job and tells of it. What it schedules has the job as its cause.
#[cold]
pub(super) fn run(
    teller: &Teller,
    job: &dyn Job,
    now: impl Fn() -> Nanos,
    run: impl FnOnce() -> Outcome,
) -> Outcome {
    let id = cause::next_id();
    job.set_id(id);
    let label = job.label();
    let origin = Origin { kind: label.name, place: Some(label.location), cause: job.cause() };
    let began = now();
    let outcome = cause::on_behalf_of(id, run);
    if outcome == Outcome::Ran {
        // Before the loop is told, which may stop the recording.
        teller.worked(id, origin, began, now());
    } else {
        job.set_id(0);
    }
    outcome
}
