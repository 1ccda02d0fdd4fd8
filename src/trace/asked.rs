//! Something that may be asked for many times before it happens once: the poll of a task, the
//! callback of a notifier.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::cause;

/// What is asked for from any thread, and happens on one.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// It was asked for, and has not happened since.
    pending: AtomicBool,
    /// The id that it will have. Zero while nobody observes.
    id: AtomicU64,
    /// What asked first.
    cause: AtomicU64,
}

impl Asked {
    /// Asks for it. Whether that is the first time since it happened last.
    ///
    /// If the loop `is_observed`, what asks first is the cause, and `link` is told the id that a
    /// later one has asked for.
    #[inline]
    pub(crate) fn ask(&self, is_observed: bool, link: fn(u64)) -> bool {
        // No look before the swap: it could come before what the caller has written is there to be
        // seen by what happens next.
        let is_first = !self.pending.swap(true, Ordering::AcqRel);
        if is_observed {
            self.note(is_first, link);
        }
        is_first
    }

    #[cold]
    fn note(&self, is_first: bool, link: fn(u64)) {
        if is_first {
            self.cause.store(cause::running(), Ordering::Relaxed);
            self.id.store(cause::next_id(), Ordering::Release);
        } else {
            link(self.id.load(Ordering::Acquire));
        }
    }

    /// It happens now. Returns its id, which is zero if nobody observed.
    ///
    /// Cleared first: what asks from here on asks for the next time. By a swap, not by a store: one
    /// that found it pending has written something before, and only a read of the bit makes that
    /// visible here.
    #[inline]
    pub(crate) fn happens(&self) -> u64 {
        let id = self.id.load(Ordering::Acquire);
        if id > 0 {
            self.id.store(0, Ordering::Relaxed);
        }
        self.pending.swap(false, Ordering::AcqRel);
        id
    }

    /// What asked first for what happens. To be read when that has an id.
    pub(crate) fn cause(&self) -> u64 {
        self.cause.load(Ordering::Relaxed)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local!(static LINKED: Cell<u64> = const { Cell::new(0) });

    #[test]
    fn the_first_asker_is_the_cause_and_the_others_are_linked() {
        let asked = Asked::default();
        let link = |id| LINKED.set(id);
        cause::set_running(7);
        assert!(asked.ask(true, link));
        cause::set_running(8);
        assert!(!asked.ask(true, link));
        cause::set_running(0);
        let id = asked.happens();
        assert_eq!((id, asked.cause()), (LINKED.get(), 7));
        assert!(!asked.is_pending());
        assert!(asked.ask(false, link));
        assert_eq!(asked.happens(), 0);
    }
}
