//! What a worker and its parent share besides messages: what becomes of the thread.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::WorkerError;
use super::this;
use crate::clock::{Nanos, Stopwatch, saturating_nanos};
use crate::error::Panic;
use crate::threads::mailbox::Mailbox;
use crate::virtual_time::scheduler::Member;

/// How long a loop that ends waits for a worker whose callback does not return.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// How often a loop that waits for a worker looks whether its own time has been limited meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What becomes of the thread.
#[derive(Default)]
pub(super) struct Status {
    /// Its loop has begun.
    pub(super) online: bool,
    /// Its loop is gone, and all that the thread had for itself, and how it ended.
    pub(super) ended: Option<Ended>,
    /// In virtual time: from when on the parent sees that.
    ended_at: Nanos,
}

impl Status {
    /// How the worker ended, if that can be seen at this time.
    pub(super) fn seen_ended(&mut self, now: Nanos) -> Option<&mut Ended> {
        self.ended.as_mut().filter(|_| self.ended_at <= now)
    }
}

/// How a worker ended.
pub(super) struct Ended {
    pub(super) code: i32,
    /// Taken out when it is delivered.
    pub(super) cause: Cause,
    /// The CPU time of the whole thread, if the system tells.
    pub(super) cpu_time: Option<Duration>,
}

/// What a loop that ends waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// A worker that was asked to finish. Time is kept for telling it.
    Asked,
    /// A worker that was told to end.
    Told,
}

pub(super) enum Cause {
    /// It had nothing left, or called `exit`.
    ByItself,
    /// It was told to, and this is what ended it.
    Terminated,
    Panicked(Panic),
    OutOfMemory(WorkerError),
}

pub(super) struct Shared {
    pub(super) id: u64,
    /// The worker's own mailbox, to wake and to halt it.
    pub(super) mailbox: Arc<Mailbox>,
    /// It was told to terminate.
    pub(super) terminated: AtomicBool,
    /// It was asked to finish.
    pub(super) finishing: AtomicBool,
    status: Mutex<Status>,
    /// Signalled when `ended` is set.
    end: Condvar,
    /// Where the parent hears of changes.
    parent: Arc<Mailbox>,
    /// The parent's receiver for this worker.
    number: u64,
    /// The worker's place in virtual time.
    pub(super) member: Option<Member>,
    /// Runs from when the parent's loop ends.
    halted: Stopwatch,
    /// How many nanoseconds after that the parent waits for the end at most.
    given: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        id: u64,
        mailbox: Arc<Mailbox>,
        parent: (Arc<Mailbox>, u64),
        member: Option<Member>,
    ) -> Shared {
        Shared {
            id,
            mailbox,
            terminated: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            status: Mutex::default(),
            end: Condvar::new(),
            parent: parent.0,
            number: parent.1,
            member,
            halted: Stopwatch::default(),
            given: AtomicU64::new(Nanos::MAX),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_online(&self, at: Nanos) {
        self.lock().online = true;
        self.parent.notify_at(self.number, at);
    }

    pub(super) fn set_ended(&self, ended: Ended, at: Nanos) {
        let mut status = self.lock();
        (status.ended, status.ended_at) = (Some(ended), at);
        drop(status);
        self.end.notify_all();
        self.parent.notify_at(self.number, at);
    }

    /// Tells the worker to end after its callback.
    pub(super) fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.mailbox.halt_when_seen();
    }

    /// Tells the worker that it is to finish what it has. Its port hears of that by itself.
    pub(super) fn ask_to_finish(&self) {
        if !self.finishing.swap(true, Ordering::SeqCst) {
            // Given back when the worker's loop is gone already, and then there is nothing to do.
            self.mailbox.post(this::call_terminating_hooks).unwrap_or_else(drop);
        }
    }

    /// The parent's loop begins to end, and waits for this worker so long. All its workers are told before any
    /// is waited for.
    pub(super) fn begin_end(&self, given: Duration) {
        self.given.store(saturating_nanos(given), Ordering::Relaxed);
        self.halted.start();
    }

    /// The parent's loop ends, and this worker with it, at once.
    pub(super) fn halt(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.mailbox.halt();
    }

    /// What is left of the time that a loop that ends gives this worker. It runs for all its workers at once.
    ///
    /// If the loop is a worker's that ends because its own parent does, it gives them three quarters of what it
    /// has left itself: a worker that only waits for one of its own is not given up with it. The
    /// parent may begin to end at any moment, so this is asked again and again.
    pub(super) fn time_left(&self, wait: Wait) -> Duration {
        let elapsed = self.halted.elapsed().unwrap_or_default();
        if let Some(own) = this::time_left() {
            let end = elapsed.saturating_add(own / 4 * 3);
            self.given.fetch_min(saturating_nanos(end), Ordering::Relaxed);
        }
        let given = Duration::from_nanos(self.given.load(Ordering::Relaxed));
        let limit = match wait {
            Wait::Asked => given - GRACE.min(given / 2),
            Wait::Told => given,
        };
        limit.saturating_sub(elapsed)
    }

    /// What is left of the time in which this worker has to end, if its parent's loop ends.
    pub(super) fn own_time_left(&self) -> Option<Duration> {
        let elapsed = self.halted.elapsed()?;
        let given = Duration::from_nanos(self.given.load(Ordering::Relaxed));
        Some(given.saturating_sub(elapsed))
    }

    /// Waits for the end, as long as there is time.
    pub(super) fn wait_for_end(&self, wait: Wait) -> bool {
        let mut status = self.lock();
        loop {
            let left = self.time_left(wait);
            if status.ended.is_some() || left.is_zero() {
                return status.ended.is_some();
            }
            let limit = left.min(LOOK_INTERVAL);
            let waited = self.end.wait_timeout_while(status, limit, |it| it.ended.is_none());
            status = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Where the callback that the worker is in was registered.
    pub(super) fn running(&self) -> Option<&'static Location<'static>> {
        self.mailbox.figures.running.get()
    }
}
