//! What others may know of a pool thread: what it runs, and what it has done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::figures::Counters;
use super::job::JobOrigin;
use super::shutdown::RunningJob;
use crate::clock::{self, Nanos};
#[cfg(feature = "inspect")]
use crate::trace::seen::JobSeen;

/// What is known of the job of a thread.
#[derive(Clone, Copy)]
struct Known {
    /// What it is.
    origin: JobOrigin,
    /// Which one it is: its [`address`](super::job::address).
    address: usize,
    /// How long it had waited when it began.
    #[cfg_attr(not(feature = "inspect"), allow(dead_code))] // Only a view asks for it.
    waited: Nanos,
    /// When it began.
    began: Nanos,
}

/// A pool thread, as its pool's reports see it.
pub(super) struct Record {
    /// What the thread is called.
    name: String,
    /// Whether it runs the job that is known.
    running: AtomicBool,
    /// The job that it runs, or has run last.
    job: Mutex<Option<Known>>,
    /// What it has done. Only the thread itself adds to it.
    pub(super) counters: Counters,
}

impl Record {
    /// What the thread is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn new(name: String) -> Record {
        Record {
            name,
            running: AtomicBool::new(false),
            job: Mutex::new(None),
            counters: Counters::default(),
        }
    }

    /// A job begins that was submitted at this time.
    pub(super) fn begin(&self, origin: JobOrigin, address: usize, submitted: Nanos, began: Nanos) {
        let waited = began.saturating_sub(submitted);
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        *job = Some(Known { origin, address, waited, began });
        self.running.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(super) fn running_job(&self) -> Option<RunningJob> {
        self.running().map(|job| RunningJob::new(self.name.clone(), &job.origin))
    }

    fn running(&self) -> Option<Known> {
        let job = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.filter(|_| self.is_running())
    }

    /// The job that it runs, for a view of the program.
    #[cfg(feature = "inspect")]
    pub(super) fn job_seen(&self) -> Option<JobSeen> {
        let Known { origin, waited, began, .. } = self.running()?;
        let runs = clock::monotonic().saturating_sub(began);
        Some(JobSeen { kind: origin.name, place: origin.location, waited, runs })
    }

    /// The thread's name, and for how long it has run the job at this address, if it does.
    pub(super) fn runs(&self, address: usize) -> Option<(String, Duration)> {
        let job = self.running().filter(|job| job.address == address)?;
        let running_for = Duration::from_nanos(clock::monotonic().saturating_sub(job.began));
        Some((self.name.clone(), running_for))
    }
}
