//! A job: what the loop and a pool thread share of one request.
//!
//! A [`JobCell`] is one allocation with the work, its stage and later its result. The stage says
//! which thread may touch it:
//!
//! ```text
//!            a pool thread takes it             the work returned or panicked
//!  Queued ────────────────────────▶ Running ──────────────────────────────▶ Done
//!    │                                                                       │
//!    │ cancelled, too late, or the pool shut down                            │ the loop
//!    ├─────────────────────────────▶ Refused ────────────────────────────────┤ takes it
//!    │ the loop takes the work back                                          ▼
//!    └─────────────────────────────────────────────────────────────────────▶ Spent
//! ```
//!
//! Each arrow is one change under the cell's lock, so each job goes one way. The lock is never held
//! while the work runs or a user's value is dropped. Work that will never run stays in the cell
//! until the loop takes it: what it captured is dropped on the loop's thread.

use std::mem;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::WorkKind;
use super::observe;
use super::queues::Queues;
use super::token::CancelToken;
use crate::clock::{self, Nanos};
use crate::error::{Panic, WorkError};
use crate::state::current;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::Done;
use crate::trace::cause;
use crate::trace::detail;

/// Tells jobs apart while they are held.
pub(super) fn address<J: ?Sized>(job: &Arc<J>) -> usize {
    Arc::as_ptr(job).cast::<()>() as usize
}

/// What is known of a job without running it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobOrigin {
    /// What it mostly does, which decides its queue.
    pub(crate) kind: WorkKind,
    /// What reports call it.
    pub(crate) name: &'static str,
    /// The line that submitted it.
    pub(crate) location: &'static Location<'static>,
    /// It is a step of an operation that has begun, which an end in order lets finish.
    pub(crate) goes_on: bool,
}

impl JobOrigin {
    /// The origin of a job that begins something.
    pub(crate) fn new(
        kind: WorkKind,
        name: &'static str,
        location: &'static Location<'static>,
    ) -> JobOrigin {
        JobOrigin { kind, name, location, goes_on: false }
    }
}

/// Why a job that waited will never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its token was cancelled, or the pool was shut down.
    Cancelled,
    /// It had not begun at its deadline.
    DeadlineExceeded,
}

impl From<Refusal> for WorkError {
    fn from(refusal: Refusal) -> WorkError {
        match refusal {
            Refusal::Cancelled => WorkError::Cancelled,
            Refusal::DeadlineExceeded => WorkError::DeadlineExceeded,
        }
    }
}

/// What became of a job that a pool thread took from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ran to its end, or panicked.
    Ran,
    /// It did not run: it was cancelled by its token, or came too late. The loop is to be told.
    Refused,
    /// The loop has taken it back before, and is not told.
    Gone,
}

/// A job as the pool sees it.
pub(super) trait Job: Send + Sync {
    /// What is known of it.
    fn origin(&self) -> &JobOrigin;
    /// When it was submitted.
    fn submitted(&self) -> Nanos;
    /// The callback that submitted it. Zero: none, or nobody observed.
    fn cause(&self) -> u64;
    /// Its id, if it was submitted or has run while somebody observed. Else zero.
    fn id(&self) -> u64;
    /// Gives it an id.
    fn set_id(&self, id: u64);
    /// Runs the work if it still waits and nothing speaks against it. Catches its panic.
    fn run(&self, queues: &Queues) -> Outcome;
    /// Keeps a job that still waits from running. False when it does not wait any more.
    fn refuse(&self, queues: &Queues, why: Refusal) -> bool;
    /// Tells the loop that there is a result. The thread's hold on the job goes along. `last` is
    /// the mailbox that the thread used last.
    fn tell(self: Arc<Self>, last: &mut Option<Arc<Mailbox>>);
}

/// The work of a job, to be done once.
pub(crate) trait Body<R>: Send {
    /// Does it.
    fn run(self) -> R;
}

impl<R, F: FnOnce() -> R + Send> Body<R> for F {
    fn run(self) -> R {
        self()
    }
}

/// Work that is given a token.
pub(super) struct WithToken<F> {
    /// The user's closure.
    pub(super) f: F,
    /// What the closure is given.
    pub(super) token: CancelToken,
}

impl<R, F: FnOnce(&CancelToken) -> R + Send> Body<R> for WithToken<F> {
    fn run(self) -> R {
        (self.f)(&self.token)
    }
}

/// Where a job is in its life: see the picture above.
enum Stage<F, R> {
    /// It waits for a thread, with its work.
    Queued(F),
    /// A thread has its work. It can no longer be taken back or refused.
    Running,
    /// The work returned or panicked, and the loop has not come for the result.
    Done(thread::Result<R>),
    /// The work will never run, and the loop has not come for it.
    Refused(F, Refusal),
    /// The loop has taken what there was. Final.
    Spent,
}

/// What may keep a job from starting.
pub(super) struct Limits {
    /// The token of work that was given one.
    pub(super) token: Option<CancelToken>,
    /// After this moment it must not start.
    pub(super) deadline: Option<Instant>,
}

impl Limits {
    /// Why the job must not start now, if so.
    fn refusal(&self) -> Option<Refusal> {
        if self.token.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Some(Refusal::Cancelled);
        }
        let deadline = self.deadline?;
        current::is_past(deadline).then_some(Refusal::DeadlineExceeded)
    }
}

/// A job with its work and, later, its result.
///
/// In this order in memory: what two cores write comes first, beside the count of the `Arc`.
#[repr(C)]
pub(super) struct JobCell<F, R> {
    /// How far the job has come, with its work or its result.
    stage: Mutex<Stage<F, R>>,
    /// Of the loop that submitted it.
    mailbox: Arc<Mailbox>,
    /// The key of the request. Set before the job is given to a queue, which publishes it.
    request: AtomicU64,
    /// When the job was submitted.
    submitted: Nanos,
    /// The callback that submitted it. Zero: none, or nobody observed.
    cause: u64,
    /// Its id, once it was submitted or has run while somebody observed. Else zero, also when it is
    /// known that it will not run.
    id: AtomicU64,
    /// What is known of it.
    pub(super) origin: JobOrigin,
    /// For jobs with a token or a deadline.
    pub(super) limits: Option<Box<Limits>>,
}

impl<F: Body<R>, R> JobCell<F, R> {
    pub(super) fn new(
        origin: JobOrigin,
        limits: Option<Box<Limits>>,
        work: F,
        mailbox: Arc<Mailbox>,
    ) -> JobCell<F, R> {
        let (stage, request) = (Mutex::new(Stage::Queued(work)), AtomicU64::new(0));
        let id = if detail::is_wanted() { cause::next_id() } else { 0 };
        let (cause, id) = (cause::running(), AtomicU64::new(id));
        let submitted = clock::monotonic();
        JobCell { origin, limits, submitted, cause, id, stage, mailbox, request }
    }

    /// Sets the request that is told of the result.
    pub(super) fn set_request(&self, key: u64) {
        self.request.store(key, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Stage<F, R>> {
        // Nothing that can panic happens under the lock.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the work of a job that still waits back, so that it never runs.
    pub(super) fn take_back(&self, queues: &Queues) -> Option<F> {
        let mut stage = self.lock();
        match mem::replace(&mut *stage, Stage::Spent) {
            Stage::Queued(work) => {
                drop(stage);
                queues.job_left();
                Some(work)
            }
            other => {
                *stage = other;
                None
            }
        }
    }

    /// What became of the job, and the work if it never ran, for the caller to drop. None while it
    /// waits or runs, and when this was asked before.
    pub(super) fn take_result(&self) -> Option<(Result<R, WorkError>, Option<F>)> {
        let mut stage = self.lock();
        match mem::replace(&mut *stage, Stage::Spent) {
            Stage::Done(result) => {
                drop(stage);
                Some((result.map_err(|payload| WorkError::Panicked(Panic::new(payload))), None))
            }
            Stage::Refused(work, why) => Some((Err(why.into()), Some(work))),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Whether the job waits for a thread.
    pub(super) fn is_queued(&self) -> bool {
        matches!(*self.lock(), Stage::Queued(_))
    }
}

impl<F: Body<R> + 'static, R: Send + 'static> Job for JobCell<F, R> {
    fn origin(&self) -> &JobOrigin {
        &self.origin
    }

    fn submitted(&self) -> Nanos {
        self.submitted
    }

    fn cause(&self) -> u64 {
        self.cause
    }

    fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    fn set_id(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    fn run(&self, queues: &Queues) -> Outcome {
        let refusal = self.limits.as_ref().and_then(|limits| limits.refusal());
        let mut stage = self.lock();
        let work = match mem::replace(&mut *stage, Stage::Running) {
            Stage::Queued(work) => work,
            other => {
                *stage = other;
                return Outcome::Gone;
            }
        };
        if let Some(why) = refusal {
            *stage = Stage::Refused(work, why);
            drop(stage);
            queues.job_left();
            return Outcome::Refused;
        }
        drop(stage);
        queues.job_left();
        if detail::is_wanted() {
            observe::tell_started(self);
        }
        let result = panic::catch_unwind(AssertUnwindSafe(|| work.run()));
        *self.lock() = Stage::Done(result);
        Outcome::Ran
    }

    fn refuse(&self, queues: &Queues, why: Refusal) -> bool {
        let mut stage = self.lock();
        match mem::replace(&mut *stage, Stage::Spent) {
            Stage::Queued(work) => {
                *stage = Stage::Refused(work, why);
                drop(stage);
                queues.job_left();
                true
            }
            other => {
                *stage = other;
                false
            }
        }
    }

    fn tell(self: Arc<Self>, last: &mut Option<Arc<Mailbox>>) {
        let request = self.request.load(Ordering::Relaxed);
        // The loop counts its mailbox up and down with each job. The thread keeps a count of its
        // own, so that the two change no count at one moment: see the guide, Why it is fast.
        let known = last.take().filter(|last| Arc::ptr_eq(last, &self.mailbox));
        let mailbox = last.insert(known.unwrap_or_else(|| self.mailbox.clone()));
        mailbox.complete(Done { request, job: Some(self) });
    }
}
