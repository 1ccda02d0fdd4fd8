//! From a timer's callback to the one future that waits for it, on whatever thread that is.
//!
//! The counterpart of `task::signal`, whose future stays on the loop's thread. The lock is held for
//! a look or a change, never while a waker is cloned, dropped or called.

use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a callback and the future that waits for it share.
#[derive(Default)]
pub(crate) struct SendSignal {
    /// What the lock guards.
    waiting: Mutex<Waiting>,
}

/// Whether the callback has come, and who waits for it.
#[derive(Default)]
struct Waiting {
    /// The callback has come, and was not taken back since.
    fired: bool,
    /// The callback can come no more: its loop has ended.
    ended: bool,
    /// How many resets are on their way to the loop. A callback that comes before them does not
    /// count.
    resets: u32,
    /// Wakes the task that awaits the future. None once it was woken.
    waker: Option<Waker>,
}

impl SendSignal {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No user code runs under the lock, so what it guards is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The callback: wakes the task, if one waits.
    pub(crate) fn fire(&self) {
        let mut waiting = self.lock();
        if waiting.resets == 0 {
            waiting.fired = true;
            wake(waiting);
        }
    }

    /// The callback comes no more. The future is ready for good.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        wake(waiting);
    }

    /// Nobody waits any more.
    pub(crate) fn leave(&self) {
        let waker = self.lock().waker.take();
        drop(waker);
    }

    /// Forgets a callback that has come.
    pub(crate) fn clear(&self) {
        self.lock().fired = false;
    }

    /// As [`clear`](SendSignal::clear), on a thread that has to send the rest of the reset to the
    /// loop. [`arrive`](SendSignal::arrive) is called there.
    pub(crate) fn begin_reset(&self) {
        let mut waiting = self.lock();
        waiting.fired = false;
        waiting.resets += 1;
    }

    /// A reset has come to the loop.
    pub(crate) fn arrive(&self) {
        self.lock().resets -= 1;
    }

    /// Ready once the callback has come, or can come no more.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_ready = |waiting: &Waiting| waiting.fired || waiting.ended;
        if is_ready(&self.lock()) {
            return Poll::Ready(());
        }
        let mut waker = Some(cx.waker().clone());
        let mut waiting = self.lock();
        if is_ready(&waiting) {
            return Poll::Ready(()); // In the meantime.
        }
        mem::swap(&mut waiting.waker, &mut waker);
        drop(waiting);
        drop(waker);
        Poll::Pending
    }
}

/// Wakes the task that waits, after the lock.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let waker = waiting.waker.take();
    drop(waiting);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for SendSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSignal").field("fired", &self.lock().fired).finish_non_exhaustive()
    }
}
