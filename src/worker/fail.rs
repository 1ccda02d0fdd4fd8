//! A worker's failure that is no panic: a text, and a value of any type for its parent.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::this;
use crate::state::current;

thread_local! {
    /// The failure of the worker whose thread this is. The first one counts.
    static FAILURE: RefCell<Option<WorkerFailure>> = const { RefCell::new(None) };
}

/// Why a worker failed, in its own words: what [`fail`] was given.
///
/// # Examples
/// ```
/// use windlass::worker::{self, Worker, WorkerError};
///
/// /// An error of a script, as its parent wants it.
/// struct ScriptError {
///     name: &'static str,
///     line: u32,
/// }
///
/// windlass::run(|| -> std::io::Result<()> {
///     let worker = Worker::<(), ()>::spawn(|_| {
///         drop(worker::fail("x is not defined", ScriptError { name: "ReferenceError", line: 3 }));
///     })?;
///     worker.on_error(|error| {
///         let WorkerError::Failed(failure) = error else { unreachable!("{error}") };
///         assert_eq!(failure.message(), "x is not defined");
///         let error = failure.payload::<ScriptError>().unwrap();
///         assert_eq!((error.name, error.line), ("ReferenceError", 3));
///     });
///     worker.on_exit(|code| assert_eq!(code, 1));
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct WorkerFailure {
    /// The text.
    message: Arc<str>,
    /// The value. Shared, for an error may be told to several.
    payload: Arc<dyn Any + Send + Sync>,
}

impl WorkerFailure {
    /// The text that the worker gave.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The value that the worker gave, if it is of this type.
    pub fn payload<T: 'static>(&self) -> Option<&T> {
        self.payload.downcast_ref()
    }
}

impl PartialEq for WorkerFailure {
    /// Of two failures whether they are clones of one.
    fn eq(&self, other: &WorkerFailure) -> bool {
        Arc::ptr_eq(&self.message, &other.message)
    }
}

impl Eq for WorkerFailure {}

impl fmt::Debug for WorkerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerFailure").field("message", &self.message).finish_non_exhaustive()
    }
}

/// Ends this worker as [`exit`](crate::exit) does, with code 1, and gives its parent a
/// [`WorkerError::Failed`](super::WorkerError::Failed) with this text and value.
///
/// For a failure that is to arrive as more than a text, and for code that a panic may not unwind:
/// the callback goes on to its end, and [`must_return`](crate::must_return) is true. The exit hooks
/// run. If one of them changes the code, the worker ends with that, and with the error. As any
/// failure of a worker it is uncaught at the parent if nobody there listens.
///
/// # Errors
/// The value itself on a thread that is no worker, and if the worker has failed before: the first
/// failure counts.
///
/// # Examples
/// See [`WorkerFailure`].
/// ```
/// assert_eq!(windlass::worker::fail("nobody is told", 7), Err(7)); // This is no worker.
/// ```
pub fn fail<T: Send + Sync + 'static>(message: impl Into<String>, payload: T) -> Result<(), T> {
    // Not there any more for destructors of the thread's other locals: the worker has ended.
    let may_fail = FAILURE.try_with(|failure| failure.borrow().is_none()) == Ok(true);
    if current::is_in_job() || !may_fail {
        return Err(payload);
    }
    let mut failure = Some((message.into(), payload));
    this::with_own_loop(|state| {
        let (message, payload) = failure.take()?;
        let failure = WorkerFailure { message: message.into(), payload: Arc::new(payload) };
        FAILURE.with(|place| place.replace(Some(failure)));
        state.exit(1);
        Some(())
    });
    failure.map_or(Ok(()), |(_, payload)| Err(payload))
}

/// The failure of this thread's worker, which has ended.
pub(super) fn take_failure() -> Option<WorkerFailure> {
    FAILURE.with(RefCell::take)
}
