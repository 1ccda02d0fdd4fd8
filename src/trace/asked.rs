//! Something that may be asked for many times before it happens once: the poll of a task, the
//! callback of a notifier.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cause;

/// What is asked for from any thread, and happens on one.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Zero: it was not asked for since it happened. [`UNSEEN`]: it was, and nobody observed. Else
    /// it was, and this is the id that it will have.
    pending: AtomicU64,
    /// What asked first, if somebody observed.
    cause: AtomicU64,
}

/// No id.
const UNSEEN: u64 = u64::MAX;

impl Asked {
    /// What was asked for once, by what runs now.
    #[inline]
    pub(crate) fn once(is_observed: bool) -> Asked {
        if is_observed {
            return Asked { pending: cause::next_id().into(), cause: cause::running().into() };
        }
        Asked { pending: UNSEEN.into(), cause: AtomicU64::new(0) }
    }

    /// Asks for it. Whether that is the first time since it happened last.
    ///
    /// If the loop `is_observed`, what asks first is the cause, and `link` is told the id that a
    /// later one has asked for.
    #[inline]
    pub(crate) fn ask(&self, is_observed: bool, link: fn(u64)) -> bool {
        if is_observed {
            return self.ask_observed(link);
        }
        // No look before the swap: it could come before what the caller has written is there to be
        // seen by what happens next.
        self.pending.swap(UNSEEN, Ordering::AcqRel) == 0
    }

    #[cold]
    #[inline(never)]
    fn ask_observed(&self, link: fn(u64)) -> bool {
        let id = cause::next_id();
        let keep = |pending| Some(if pending == 0 { id } else { pending });
        let before = self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep);
        match before.unwrap_or_else(|pending| pending) {
            // It does not happen before the caller has it done.
            0 => self.cause.store(cause::running(), Ordering::Relaxed),
            UNSEEN => {}
            earlier => link(earlier),
        }
        before == Ok(0)
    }

    /// It happens now. Returns its id, which is zero if nobody observed.
    ///
    /// Cleared first: what asks from here on asks for the next time. By a swap, not by a store: one
    /// that found it pending has written something before, and only a read of the word makes that
    /// visible here.
    #[inline]
    pub(crate) fn happens(&self) -> u64 {
        let id = self.pending.swap(0, Ordering::AcqRel);
        if id == UNSEEN { 0 } else { id }
    }

    /// What asked first for what happens. To be read when that has an id.
    pub(crate) fn cause(&self) -> u64 {
        self.cause.load(Ordering::Relaxed)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) != 0
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
