//! From a callback to the one future that waits for it.

use std::cell::Cell;
use std::fmt;
use std::task::{Context, Poll, Waker};

/// What a callback and the future that waits for it share.
#[derive(Default)]
pub(crate) struct Signal {
    /// The callback has come and the future has not been told yet.
    fired: Cell<bool>,
    /// Wakes the task that awaits the future. None once it was woken.
    waker: Cell<Option<Waker>>,
}

impl Signal {
    /// The callback: wakes the task, if one waits.
    pub(crate) fn fire(&self) {
        self.fired.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready once for all callbacks that have come since it was ready last.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fired.take() {
            return Poll::Ready(());
        }
        // Anybody's code, as is dropping the old one: not while the cell is being changed.
        let waker = cx.waker().clone();
        if self.fired.take() {
            return Poll::Ready(()); // In the meantime.
        }
        let before = self.waker.replace(Some(waker));
        drop(before);
        Poll::Pending
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("fired", &self.fired.get()).finish_non_exhaustive()
    }
}
