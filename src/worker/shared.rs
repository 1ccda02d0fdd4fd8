//! The life of a worker's thread, which the worker and its parent share besides messages.

use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::WorkerError;
use super::interrupt::Interrupts;
use crate::clock::{Nanos, Stopwatch, saturating_nanos};
use crate::error::Panic;
use crate::state::current;
use crate::threads::mailbox::Mailbox;
use crate::virtual_time::scheduler::Member;

/// How long a loop that ends waits for a worker whose callback does not return: longer than
/// callbacks take, shorter than the patience of a person at a terminal.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// The same for one that a shutdown has waited for in vain: what it takes to come out of a callback
/// that returns, and next to nothing beside the limit.
pub(super) const GRACE_WHEN_OVERDUE: Duration = Duration::from_millis(10);

/// How often a loop that waits for a worker looks whether its own time has been limited meanwhile:
/// a small part of [`GRACE`], and no load.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

thread_local! {
    /// The worker whose thread this is. None on other threads.
    static THIS_WORKER: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Makes this thread a worker's, or no worker's any more.
pub(super) fn set_this_worker(shared: Option<Arc<Shared>>) {
    drop(THIS_WORKER.with(|this| this.replace(shared)));
}

/// The worker whose thread this is, if it is one's.
pub(super) fn this_worker() -> Option<Arc<Shared>> {
    with_this(Arc::clone)
}

/// Asks the worker whose thread this is something, if it is one's. `f` is no user code.
#[inline]
pub(super) fn with_this<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> Option<R> {
    if current::is_in_job() {
        return None; // In virtual time a job runs on the loop's thread, and is no worker.
    }
    // Not there any more for destructors of the thread's other locals.
    THIS_WORKER.try_with(|this| this.borrow().as_ref().map(f)).ok().flatten()
}

/// How long a worker is waited for in virtual time that is to finish within `deadline`: if this
/// thread's own worker is being ended, at most three quarters of what that was given.
pub(super) fn time_to_finish(deadline: Duration) -> Duration {
    let own = this_worker().filter(|own| own.halted.elapsed().is_some());
    let own = own.map(|own| Duration::from_nanos(own.given.load(Ordering::Relaxed)) / 4 * 3);
    own.map_or(deadline, |own| own.min(deadline))
}

/// The life of the thread.
#[derive(Default)]
pub(super) struct Status {
    /// Its loop has begun.
    pub(super) online: bool,
    /// How it ended. None as long as the thread has its loop or any local value of its own.
    pub(super) ended: Option<Ended>,
    /// In virtual time: from when on the parent sees the end.
    ended_at: Nanos,
}

impl Status {
    /// Whether the worker has ended, and that can be seen at this time.
    pub(super) fn is_end_seen(&self, now: Nanos) -> bool {
        self.ended.is_some() && self.ended_at <= now
    }

    /// The exit code of the worker, which has ended, and the cause, which is taken out.
    pub(super) fn take_end(&mut self) -> (i32, Cause) {
        let ended = self.ended.as_mut().expect("the worker has ended");
        (ended.code, std::mem::replace(&mut ended.cause, Cause::ByItself))
    }
}

/// How a worker ended.
pub(super) struct Ended {
    /// Its exit code.
    pub(super) code: i32,
    /// Why it ended. Taken out when the parent is told.
    pub(super) cause: Cause,
    /// The CPU time of the whole thread, if the system tells.
    pub(super) cpu_time: Option<Duration>,
}

/// Which end of a worker a loop that ends waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// A worker that was asked to finish. Time is kept for telling it.
    Asked,
    /// A worker that was told to end.
    Told,
}

/// Why a worker ended.
pub(super) enum Cause {
    /// It had nothing left, or called `exit`. Also if it was told to terminate, but was done
    /// before.
    ByItself,
    /// It was told to terminate, and would have gone on.
    Terminated,
    /// Its main script or a callback panicked, and no hook of its own took the panic.
    Panicked(Panic),
    /// It had more memory than its limit, or called `fail`.
    Failed(WorkerError),
}

/// All that a worker and its parent share besides messages.
pub(super) struct Shared {
    /// The worker's number.
    pub(super) id: u64,
    /// The worker's own mailbox, to wake and to halt it.
    pub(super) mailbox: Arc<Mailbox>,
    /// It was told to terminate.
    pub(super) terminated: AtomicBool,
    /// The hooks that are called when it is told to terminate.
    pub(super) interrupts: Interrupts,
    /// It was asked to finish.
    pub(super) finishing: AtomicBool,
    /// The life of the thread.
    status: Mutex<Status>,
    /// Signalled when `ended` is set.
    end: Condvar,
    /// The parent's mailbox, which is notified of each change.
    parent: Arc<Mailbox>,
    /// The parent's receiver for this worker.
    number: u64,
    /// The worker as a member of its program in virtual time. None on the real clock.
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
            interrupts: Interrupts::default(),
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

    /// Where direct messages reach it: the number of its simulation, and its own.
    pub(super) fn address(&self) -> (u64, u64) {
        (self.member.as_ref().map_or(0, Member::simulation), self.id)
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

    /// Tells the worker to end after its callback, and calls its interrupters.
    pub(super) fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.mailbox.halt_when_seen();
        self.interrupts.raise();
    }

    /// Whether the worker was told to end, in virtual time by now.
    #[inline]
    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Relaxed) && self.mailbox.is_halted()
    }

    /// Asks the worker to finish what it has: has it call `notice` on its loop, in virtual time not
    /// before the time `behind`. Asked again, it does nothing. The worker's port is told by its
    /// queue.
    pub(super) fn ask_to_finish(&self, behind: Nanos, notice: fn()) {
        if !self.finishing.swap(true, Ordering::SeqCst) {
            // It comes back when the worker's loop is gone, and then there is nothing to do.
            self.mailbox.post_behind(behind, notice).unwrap_or_else(drop);
        }
    }

    /// The parent's loop begins to end, and waits for this worker for the time `given`. All its
    /// workers are told before it waits for any.
    pub(super) fn begin_end(&self, given: Duration) {
        self.given.store(saturating_nanos(given), Ordering::Relaxed);
        self.halted.start();
    }

    /// The parent's loop ends, and this worker with it, at once.
    pub(super) fn halt(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.mailbox.halt();
        self.interrupts.raise();
    }

    /// The time left of that which an ending loop gives this worker. It runs for all its
    /// workers at once.
    ///
    /// If the loop is a worker's that ends because its own parent does, it gives them three
    /// quarters of what it has left itself: a worker that only waits for one of its own is not
    /// given up with it. The parent may begin to end at any moment, so this is asked again and
    /// again.
    pub(super) fn time_left(&self, wait: Wait) -> Duration {
        let elapsed = self.halted.elapsed().unwrap_or_default();
        if let Some(own) = this_worker().and_then(|this| this.own_time_left()) {
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

    /// The time left in which this worker has to end, if its parent's loop ends.
    pub(super) fn own_time_left(&self) -> Option<Duration> {
        let elapsed = self.halted.elapsed()?;
        let given = Duration::from_nanos(self.given.load(Ordering::Relaxed));
        Some(given.saturating_sub(elapsed))
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
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
        self.mailbox.figures.track.running.get()
    }
}
