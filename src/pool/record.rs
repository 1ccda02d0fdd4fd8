//! What others may know of a pool thread: what it runs, and what it has done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::figures::Counters;
use super::job::Label;
use super::shutdown::RunningJob;

/// A pool thread, as its pool's reports see it.
pub(super) struct Record {
    /// What the thread is called.
    name: String,
    /// Whether it runs the job that `label` names.
    running: AtomicBool,
    /// The job that it runs, or has run last.
    label: Mutex<Option<Label>>,
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
            label: Mutex::new(None),
            counters: Counters::default(),
        }
    }

    pub(super) fn begin(&self, label: Label) {
        let mut known = self.label.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(label);
        self.running.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(super) fn running_job(&self) -> Option<RunningJob> {
        let label = *self.label.lock().unwrap_or_else(PoisonError::into_inner);
        label.filter(|_| self.is_running()).map(|label| RunningJob::new(self.name.clone(), &label))
    }
}
