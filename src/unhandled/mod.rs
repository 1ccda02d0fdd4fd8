//! Errors that nobody took: of tasks and requests that were dropped.
//!
//! An error is told in the pending phase, as a callback of its own, for it may be dropped anywhere,
//! also by a destructor. Its text is made there too: an error may be the program's own.
//!
//! - A *request* knows how to find the error in its result ([`Claimable`]), for the crate makes it.
//! - A *task* has an output of any type, and [`known`] looks for the errors that it knows.
//! - Any other error of a task is heard of by way of [`spawn_try`], which sees its type.

mod known;

use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::future::Future;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::callback::{self, Apart};
use crate::error::WorkError;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::sys;
use crate::trace::label::{Label, Shown};

pub(crate) use known::of_task;

/// A task or request that ended in an `Err` which nobody took. [`on_unhandled`] gets it.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::on_unhandled(|unhandled| {
///         assert_eq!(unhandled.kind, "task");
///         eprintln!("{unhandled}");
///     });
///     drop(windlass::spawn(async { Err::<(), _>("an error that nobody takes") }));
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unhandled {
    /// The error's text, and behind it those of its sources that it does not say itself, separated
    /// by ": ".
    pub error: String,
    /// What failed: "task", "pool job", "TCP stream", … as [`Alive`](crate::Alive) names it.
    pub kind: &'static str,
    /// The line that spawned the task or made the request.
    pub location: &'static Location<'static>,
    /// The [label](crate::observe::labelled) that was in force there.
    pub label: Option<Label>,
}

impl Display for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unhandled { error, kind, .. }, place) = (self, Shown(self.location));
        write!(f, "nobody took the error of the {kind} made at {place}: {error}")
    }
}

/// Calls `f` with each error of a task or request that nobody took. There is one hook; setting
/// another replaces it. Without one the error is logged at `warn`, with the place.
///
/// Heard of are:
/// - a request whose result is an `Err`, when it was dropped before or is dropped then. A panic of
///   a pool job is one. The error of a write goes to the stream's read callback, if it has one.
/// - a task whose [`Task`](crate::Task) was dropped and whose output is `Result<(), E>`, where `E`
///   is an [`io::Error`], a `String`, a `&'static str`, a `Box<dyn Error>`, a
///   `Box<dyn Error + Send + Sync>` or an error of this crate. For any other error use
///   [`spawn_try`]: whether an output of an unknown type is an error cannot be seen.
///
/// Not heard of is a result that a callback or a task got, whatever became of it there; a request
/// that was cancelled, by [`cancel`](crate::Request::cancel), by closing its handle or with its
/// queue; an aborted task; and what the end of the loop cuts off. A panic of a task goes to
/// [`on_uncaught`](crate::on_uncaught).
///
/// # Ordering
/// `f` is a callback of its own, in the next pending phase after the error was dropped; it is never
/// called inside the drop. An error whose loop ends before that phase is logged.
///
/// # Liveness
/// An error that is still to be told keeps the loop alive.
///
/// # Panics
/// When no loop is current. A panic of `f` is one of a callback.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// let heard = Rc::new(Cell::new(false));
/// let hears = heard.clone();
/// windlass::run(move || {
///     windlass::on_unhandled(move |unhandled| {
///         assert_eq!(unhandled.kind, "file request");
///         println!("{unhandled}");
///         hears.set(true);
///     });
///     drop(windlass::fs::read("/there/is/no/such/file"));
/// });
/// assert!(heard.get());
/// ```
#[track_caller]
pub fn on_unhandled(f: impl FnMut(Unhandled) + 'static) {
    let state = current::expect("on_unhandled");
    if state.is_open() {
        let before = state.hooks.unhandled.set(Box::new(f));
        drop(before);
    }
}

/// Spawns a task that may fail, and detaches it. An `Err` is heard of by [`on_unhandled`], whatever
/// its type.
///
/// This is the one to detach with: a [`Task`](crate::Task) that is dropped can tell of an error
/// only if it knows the type. In all else as [`spawn`](crate::spawn).
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::on_unhandled(|unhandled| assert!(unhandled.error.starts_with("invalid digit")));
///     windlass::spawn_try(async { "seven".parse::<u32>() });
/// });
/// ```
#[track_caller]
pub fn spawn_try<T: 'static, E: Display + 'static>(
    future: impl Future<Output = Result<T, E>> + 'static,
) {
    let told = async move { future.await.map(drop).map_err(known::of_error) };
    drop(crate::task::spawn(told));
}

/// An error that nobody took.
pub(crate) enum Lost {
    /// With sources.
    Error(Box<dyn Error>),
    /// A text, or an error that is known by its text alone.
    Text(Box<dyn Display>),
}

impl Lost {
    pub(crate) fn error(error: impl Error + 'static) -> Lost {
        Lost::Error(Box::new(error))
    }

    pub(crate) fn text(text: impl Display + 'static) -> Lost {
        Lost::Text(Box::new(text))
    }

    /// Puts the text into `said`, and behind it those of the sources that it does not say itself.
    fn tell(&self, said: &mut String) -> fmt::Result {
        let error = match self {
            Lost::Text(text) => return write!(said, "{text}"),
            Lost::Error(error) => error,
        };
        write!(said, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            let before = said.len();
            write!(said, ": {error}")?;
            if said[..before].contains(&said[before + 2..]) {
                said.truncate(before);
            }
            source = error.source();
        }
        Ok(())
    }
}

/// The result of a request.
pub(crate) trait Claimable {
    /// What is lost when nobody takes it.
    fn into_lost(self) -> Option<Lost>;
}

impl<T, E: Failure> Claimable for Result<T, E> {
    fn into_lost(self) -> Option<Lost> {
        self.err().filter(|error| !error.is_cancelled()).map(Failure::into_lost)
    }
}

impl Claimable for i32 {
    fn into_lost(self) -> Option<Lost> {
        None
    }
}

/// How many of something there were.
impl Claimable for usize {
    fn into_lost(self) -> Option<Lost> {
        None
    }
}

impl Claimable for () {
    fn into_lost(self) -> Option<Lost> {
        None
    }
}

/// Why a request failed.
pub(crate) trait Failure: Sized {
    /// Whether somebody asked for it: then it is nobody's loss.
    fn is_cancelled(&self) -> bool;

    /// The error as a report needs it.
    fn into_lost(self) -> Lost;
}

impl Failure for io::Error {
    fn is_cancelled(&self) -> bool {
        self.raw_os_error() == Some(sys::ECANCELED)
    }

    fn into_lost(self) -> Lost {
        Lost::error(self)
    }
}

impl Failure for WorkError {
    fn is_cancelled(&self) -> bool {
        matches!(self, WorkError::Cancelled)
    }

    fn into_lost(self) -> Lost {
        Lost::error(self)
    }
}

/// Has the hook told of an error, later. Not on a loop that ends: it has cut the error's owner off.
pub(crate) fn report(
    state: &Rc<State>,
    kind: &'static str,
    location: &'static Location<'static>,
    lost: Lost,
) {
    if state.is_open() {
        let report = Report { kind, location, lost: Some(lost) };
        let inner = state.clone();
        state.push_pending(Closure::new(move || report.tell(&inner)));
    }
}

/// An error on its way to the hook. When the loop ends first it is logged.
struct Report {
    /// What failed.
    kind: &'static str,
    /// Where it was made.
    location: &'static Location<'static>,
    /// The error, until it is told.
    lost: Option<Lost>,
}

impl Report {
    /// Calls the hook, or logs.
    fn tell(mut self, state: &State) {
        let outcome = state.hooks.unhandled.invoke(state, "unhandled hook", |hook| {
            if let Some(unhandled) = self.take() {
                hook(unhandled);
            }
        });
        callback::settle(state, outcome.unwrap_or(Ok(())));
    }

    fn take(&mut self) -> Option<Unhandled> {
        // Its text is the program's code as well as its destructor is, and both may panic.
        let lost = Apart(self.lost.take());
        let mut error = String::new();
        // A `Display` that fails has told all that it could.
        if lost.0.as_ref()?.tell(&mut error).is_err() {
            error.push('…');
        }
        let label = Label::of(self.location);
        Some(Unhandled { error, kind: self.kind, location: self.location, label })
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.lost.is_some() {
            callback::quietly(|| {
                if let Some(unhandled) = self.take() {
                    log::warn!("{unhandled}");
                }
            });
        }
    }
}
