//! What still runs in a pool: for reports, and for a shutdown that could not wait any longer.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use super::WorkKind;
use super::job::JobOrigin;
use crate::trace::label::{Label, Shown};

/// A job that a pool thread is running.
///
/// # Examples
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new(1)?;
/// for job in pool.running_jobs() {
///     println!("{} on {}, from {}", job.name, job.thread, job.location);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// The name of the thread that runs it.
    pub thread: String,
    /// What it is: "pool job", "file request", "name look-up", or as
    /// [`Work::name`](crate::Work::name) says.
    pub name: &'static str,
    /// What it mostly does.
    pub kind: WorkKind,
    /// The line that submitted it.
    pub location: &'static Location<'static>,
    /// The [label](crate::observe::labelled) that was in force there.
    pub label: Option<Label>,
}

impl RunningJob {
    pub(super) fn new(thread: String, origin: &JobOrigin) -> RunningJob {
        let JobOrigin { kind, name, location, .. } = *origin;
        RunningJob { thread, name, kind, location, label: Label::of(location) }
    }
}

impl fmt::Display for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made at {} on {}", self.name, Shown(self.location), self.thread)
    }
}

/// Jobs that had not ended when a [`Pool::shutdown`](crate::Pool::shutdown) stopped waiting for
/// them.
///
/// They go on to their end, and their requests complete then.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::Pool;
///
/// let pool = Pool::new(1)?;
/// if let Err(laggards) = pool.shutdown(Duration::from_secs(1)) {
///     println!("{laggards}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laggards {
    /// What still ran, at least one job.
    pub(super) jobs: Vec<RunningJob>,
}

impl Laggards {
    /// The jobs, at least one.
    pub fn jobs(&self) -> &[RunningJob] {
        &self.jobs
    }
}

impl fmt::Display for Laggards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool still runs: ")?;
        for (index, job) in self.jobs.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{job}")?;
        }
        Ok(())
    }
}

impl Error for Laggards {}
