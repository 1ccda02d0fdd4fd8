//! The account of the iterations of a loop, for whoever wants it, and for the log.

use std::fmt::{self, Write};

use crate::callback;
use crate::report::words::InWords;
use crate::state::State;
use crate::trace::account::{Account, AccountHook};
use crate::trace::teller::Reader;
use crate::trace::track::Observed;
use crate::trace::{Phase, Wake};

impl State {
    /// The iteration has ended: its account goes to whoever wants it.
    #[cold]
    pub(super) fn end_iteration(&self) {
        let number = self.mailbox.figures.iterations();
        let [hook, log] = self.teller.end_iteration(&self.clock, number);
        if let Some(account) = log {
            self.log_iteration(number, &account);
        }
        let Some(account) = hook else { return };
        let started = self.clock.instant_at(account.started);
        let mut called = false;
        callback::guard(self, || {
            // After a panic that was taken it is not called again.
            if std::mem::replace(&mut called, true) {
                return;
            }
            let origin = self.hooks.iteration.origin("iteration hook");
            self.set_running(origin.place);
            if let Some(Err(payload)) = self.hooks.iteration.tell(|f| f(number, started, &account))
            {
                std::panic::resume_unwind(payload);
            }
        });
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
        // One that takes another's place is told from now on too.
        self.teller.keep_account(&self.clock, Reader::Hook, on);
        self.count_observer(self.keeps_account.replace(on), on);
        drop(before);
    }

    /// One observes the loop from now on that did not before, or the other way round.
    fn count_observer(&self, before: bool, on: bool) {
        match (before, on) {
            (false, true) => self.mailbox.add_observer(),
            (true, false) => self.mailbox.remove_observer(),
            _ => {}
        }
    }

    // ----- The log -----

    /// A turn begins. The log is asked once a turn what it wants: so it costs a callback nothing.
    pub(super) fn begin_log(&self) {
        let wanted = log::log_enabled!(log::Level::Debug);
        self.count_observer(self.teller.set_logs(wanted), wanted);
        if log::log_enabled!(log::Level::Trace) {
            self.teller.keep_account(&self.clock, Reader::Log, true);
        }
    }

    /// The turn has ended.
    pub(super) fn end_log(&self) {
        self.count_observer(self.teller.set_logs(false), false);
        self.teller.keep_account(&self.clock, Reader::Log, false);
    }

    /// One line for an iteration in which something happened: what each phase did.
    fn log_iteration(&self, number: u64, account: &Account) {
        let did = Did(account).to_string();
        if !did.is_empty() {
            let (name, time) = (self.teller.track.name(), InWords(self.clock.read()));
            log::trace!("{name}, at {time}: iteration {number}{did}");
        }
    }
}

/// What the phases of an iteration did, each after a dot.
struct Did<'a>(&'a Account);

impl fmt::Display for Did<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Did(account) = self;
        for phase in Phase::ALL {
            let called = account.called[phase as usize];
            if phase == Phase::Poll {
                fmt_poll(f, account, called)?;
            } else if called > 0 {
                write!(f, " · {} {called}", name_of(phase))?;
            }
        }
        if account.ticks > 0 {
            write!(f, " · ticks {}", account.ticks)?;
        }
        if account.microtasks > 0 {
            write!(f, " · microtasks {}", account.microtasks)?;
        }
        Ok(())
    }
}

/// How long the poll slept, what it found, and what it called.
fn fmt_poll(f: &mut fmt::Formatter<'_>, account: &Account, called: u32) -> fmt::Result {
    let mut parts = String::new();
    if account.woken_by != Wake::None {
        write!(parts, ", slept {}", InWords(account.idle))?;
    }
    if account.ready > 0 {
        write!(parts, ", {} ready", account.ready)?;
    }
    if called > 0 {
        write!(parts, ", {called} called")?;
    }
    match parts.strip_prefix(',') {
        Some(parts) => write!(f, " · poll{parts}"),
        None => Ok(()),
    }
}

/// The phase in a line of the log.
fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Main => "main",
        Phase::Timers => "timers",
        Phase::Pending => "pending",
        Phase::Idle => "idle",
        Phase::Prepare => "prepare",
        Phase::Poll => "poll",
        Phase::Check => "check",
        Phase::Close => "close",
    }
}
