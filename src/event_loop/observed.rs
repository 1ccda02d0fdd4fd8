//! The account of the iterations of a loop, for whoever wants it.

use crate::callback;
use crate::state::State;
use crate::trace::account::AccountHook;
use crate::trace::track::Observed;

impl State {
    /// The iteration has ended: its account goes to whoever wants it.
    #[cold]
    pub(super) fn end_iteration(&self) {
        let number = self.mailbox.figures.iterations();
        let Some(account) = self.teller.end_iteration(&self.clock, number) else { return };
        let started = self.clock.instant_at(account.started);
        let mut called = false;
        callback::guard(self, || {
            // After a panic that was taken it is not called again.
            if !std::mem::replace(&mut called, true)
                && let Some(outcome) = self.hooks.iteration.tell(|f| f(number, started, &account))
                && let Err(payload) = outcome
            {
                std::panic::resume_unwind(payload);
            }
        });
    }

    /// Whether the log is told of callbacks that take long.
    pub(super) fn tell_log(&self, on: bool) {
        if self.teller.set_logs(on) {
            if on { self.mailbox.add_observer() } else { self.mailbox.remove_observer() }
        }
    }

    /// Sets who is told of each iteration, or nobody.
    #[track_caller]
    pub(crate) fn set_iteration_hook(&self, f: Option<Box<AccountHook>>) {
        if !self.is_open() {
            return;
        }
        let on = f.is_some();
        let before = match f {
            Some(f) => self.hooks.iteration.set(f),
            None => self.hooks.iteration.clear(),
        };
        if self.keeps_account.replace(on) != on {
            self.teller.keep_account(&self.clock, on);
            if on { self.mailbox.add_observer() } else { self.mailbox.remove_observer() }
        }
        drop(before);
    }
}
