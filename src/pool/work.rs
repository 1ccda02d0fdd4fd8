//! Jobs as users submit them: `queue_work` for plain ones, `work` for those with wishes.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::job::{JobOrigin, WithToken};
use super::request::{self, Admission, Wishes};
use super::{CancelToken, Pool, WorkKind};
use crate::error::WorkError;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::trace::label::here;

/// What a plain job is called in reports.
const NAME: &str = "pool job";

/// Runs `work` on the blocking pool of the current loop.
///
/// The request completes with its result, or with the [`WorkError`] that kept it from having one.
/// Jobs start in the order submitted. What the closure captured is dropped on a pool thread, or on
/// the loop's when the job never starts. The job counts as [`WorkKind::Cpu`]; for another kind, a
/// deadline or a token see [`work`].
///
/// # Liveness
/// The request keeps the loop alive until it has completed.
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
    work: impl FnOnce() -> T + Send + 'static, // Across threads: detach.
) -> Request<Result<T, WorkError>> {
    let state = current::expect("queue_work");
    let origin = JobOrigin::new(WorkKind::Cpu, NAME, here());
    request::submit(&state, origin, Admission::New, work, |result| result)
}

/// A job with wishes: what kind it is, when it is too late, how it is asked to stop.
///
/// Nothing happens before [`submit`](Work::submit) or [`try_submit`](Work::try_submit). The closure
/// is given its cancel token, which it may look at while it runs.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::{WorkError, WorkKind};
///
/// windlass::run(|| {
///     windlass::work(|token| (0..1000).take_while(|_| !token.is_cancelled()).count())
///         .kind(WorkKind::SlowIo)
///         .deadline(Duration::from_secs(1))
///         .submit()
///         .on_complete(|count| match count {
///             Ok(count) => println!("counted to {count}"),
///             Err(WorkError::DeadlineExceeded) => println!("no thread was free for a second"),
///             Err(error) => println!("{error}"),
///         });
/// });
/// ```
pub fn work<T, F>(f: F) -> Work<F>
where
    T: Send + 'static,
    F: FnOnce(&CancelToken) -> T + Send + 'static,
{
    Work { f, kind: WorkKind::Cpu, name: NAME, too_late: None, token: None, pool: None }
}

/// A job that has not been submitted. Made by [`work`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     windlass::work(|_| 6 * 7)
///         .name("a product")
///         .deadline(Duration::from_secs(10))
///         .submit()
///         .on_complete(|product| assert_eq!(product.unwrap(), 42));
/// });
/// ```
#[must_use = "a job runs only when it is submitted"]
#[derive(Clone)]
pub struct Work<F> {
    /// What is to be done.
    f: F,
    /// What it mostly does.
    kind: WorkKind,
    /// What reports call it.
    name: &'static str,
    /// When it must not start any more; none if it may start at any time.
    too_late: Option<TooLate>,
    /// The user's token; none for one of its own.
    token: Option<CancelToken>,
    /// The pool that runs it; none for the loop's.
    pool: Option<Pool>,
}

/// When a job is too late.
#[derive(Clone, Copy, Debug)]
enum TooLate {
    /// When this time has passed since its submission.
    After(Duration),
    /// After this moment.
    At(Instant),
}

impl<F> Work<F> {
    /// What the job mostly does. [`WorkKind::Cpu`] without this.
    ///
    /// Slow jobs occupy at most half of the pool's threads, rounded up: label what may take
    /// seconds.
    pub fn kind(mut self, kind: WorkKind) -> Self {
        self.kind = kind;
        self
    }

    /// What reports call it: [`Loop::why_alive`](crate::Loop::why_alive), [`Pool::running_jobs`].
    /// "pool job" without this.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The job must start within this time from its submission, or not at all: it then completes
    /// with [`WorkError::DeadlineExceeded`], whether or not a thread is free by then.
    ///
    /// A job that has started is left to itself. The time is the loop's: in virtual time it is
    /// virtual. A job that waits hears of its deadline up to 1 ms late, as a timer does; it never
    /// starts after it.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.too_late = Some(TooLate::After(within));
        self
    }

    /// As [`deadline`](Work::deadline), as a moment on the loop's clock, such as
    /// [`now`](crate::now)` + limit`: for a limit that several operations share.
    pub fn deadline_at(mut self, moment: Instant) -> Self {
        self.too_late = Some(TooLate::At(moment));
        self
    }

    /// The token that the job is given. Without this it is one of its own, which only the request's
    /// `cancel` cancels.
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// The pool that runs it. The loop's without this.
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Submits the job on the current loop.
    ///
    /// The request completes with what the closure returned, or with the [`WorkError`] that kept it
    /// from that. Cancelling the request takes a job back that has not started; one that runs has
    /// its token cancelled, answers [`Busy`](crate::CancelError::Busy) and completes with what it
    /// returns. When the pool takes no more jobs, the request completes with
    /// [`WorkError::QueueFull`] or [`WorkError::PoolShutDown`], later.
    ///
    /// # Liveness
    /// The request keeps the loop alive until it has completed.
    ///
    /// # Panics
    /// When no loop is current. A panic of the closure is the request's error.
    #[track_caller]
    pub fn submit<T>(self) -> Request<Result<T, WorkError>>
    where
        T: Send + 'static,
        F: FnOnce(&CancelToken) -> T + Send + 'static,
    {
        let location = here();
        let state = current::expect("Work::submit");
        let origin = JobOrigin::new(self.kind, self.name, location);
        match self.admit(&state, origin) {
            Ok(()) => self.start(&state, origin),
            Err(error) => request::refuse(&state, origin, self, Err(error)),
        }
    }

    /// As [`submit`](Work::submit), but gives the job back when it cannot be taken.
    ///
    /// # Errors
    /// [`SubmitError`] with the job, and as its reason [`WorkError::QueueFull`],
    /// [`WorkError::PoolShutDown`], [`WorkError::NoThread`], or [`WorkError::ShutDown`] while the
    /// loop is torn down.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::{Pool, WorkError};
    ///
    /// let pool = Pool::builder().threads(1).queue_limit(0).build()?;
    /// windlass::run(|| {
    ///     let refused = windlass::work(|_| 6 * 7).pool(&pool).try_submit().unwrap_err();
    ///     assert!(matches!(refused.reason(), WorkError::QueueFull));
    ///     // Somewhere else, then.
    ///     let again = refused.into_work().pool(&Pool::shared());
    ///     again.submit().on_complete(|answer| assert_eq!(answer.unwrap(), 42));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn try_submit<T>(self) -> Result<Request<Result<T, WorkError>>, SubmitError<Work<F>>>
    where
        T: Send + 'static,
        F: FnOnce(&CancelToken) -> T + Send + 'static,
    {
        let state = current::expect("Work::submit");
        let origin = JobOrigin::new(self.kind, self.name, here());
        match self.admit(&state, origin) {
            Ok(()) => Ok(self.start(&state, origin)),
            Err(reason) => Err(SubmitError { reason, work: self }),
        }
    }

    /// Finds a place in its pool.
    fn admit(&self, state: &State, origin: JobOrigin) -> Result<(), WorkError> {
        request::admit(state, self.pool.as_ref().unwrap_or(&state.pool), origin, Admission::New)
    }

    /// Starts it once it is admitted.
    fn start<T>(self, state: &Rc<State>, origin: JobOrigin) -> Request<Result<T, WorkError>>
    where
        T: Send + 'static,
        F: FnOnce(&CancelToken) -> T + Send + 'static,
    {
        let Work { f, too_late, token, pool, .. } = self;
        let token = token.unwrap_or_default();
        let deadline = match too_late {
            Some(TooLate::At(moment)) => Some(moment),
            Some(TooLate::After(within)) => {
                state.clock.instant_at(state.clock.read()).checked_add(within)
            }
            None => None,
        };
        let wishes = Wishes { token: Some(token.clone()), deadline, pool };
        request::start(state, origin, wishes, WithToken { f, token }, |result| result)
    }
}

impl<F> fmt::Debug for Work<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("deadline", &self.too_late)
            .finish_non_exhaustive()
    }
}

/// A job that was not taken: why, and the job. See [`Work::try_submit`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::{Pool, WorkError, work};
///
/// let pool = Pool::new(1)?;
/// pool.shutdown(Duration::ZERO)?;
/// windlass::run(|| {
///     let refused = work(|_| 42).pool(&pool).try_submit().unwrap_err();
///     assert!(matches!(refused.reason(), WorkError::PoolShutDown));
///     drop(refused.into_work().submit()); // Or elsewhere.
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SubmitError<W> {
    /// Why it was not taken.
    reason: WorkError,
    /// The job, as it was.
    work: W,
}

impl<W> SubmitError<W> {
    /// Why the job was not taken.
    pub fn reason(&self) -> &WorkError {
        &self.reason
    }

    /// The job, to be submitted again or dropped.
    pub fn into_work(self) -> W {
        self.work
    }
}

impl<W> fmt::Debug for SubmitError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<W> fmt::Display for SubmitError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the job was not taken: {}", self.reason)
    }
}

impl<W> Error for SubmitError<W> {}
