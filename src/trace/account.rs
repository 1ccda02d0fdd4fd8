//! Where the time of an iteration went.

use std::time::Instant;

use super::origin::Origin;
use super::{Phase, Wake};
use crate::clock::Nanos;

/// The account of the iteration that is under way. Every nanosecond from its start belongs to the
/// wait or to one phase: each boundary is one reading of the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// When the iteration began, which is when the one before ended.
    pub(crate) started: Nanos,
    /// Up to here the time is booked.
    booked: Nanos,
    /// Where the time since then belongs.
    phase: Phase,
    /// The time in each phase, without the wait.
    pub(crate) phases: [Nanos; Phase::ALL.len()],
    /// The time blocked in poll.
    pub(crate) idle: Nanos,
    /// What ended the wait.
    pub(crate) woken_by: Wake,
    /// Macrotasks but for the main script.
    pub(crate) callbacks: u64,
    /// Macrotasks with the main script, by phase.
    pub(crate) called: [u32; Phase::ALL.len()],
    /// Descriptors that the poll has found ready.
    pub(crate) ready: usize,
    /// Ticks.
    pub(crate) ticks: u64,
    /// Microtasks and polls of tasks.
    pub(crate) microtasks: u64,
    /// The macrotask that took longest with its drain.
    pub(crate) longest: Option<(Phase, Origin, Nanos)>,
}

/// What is told of each iteration: its number, when it began, and its account.
pub(crate) type AccountHook = dyn FnMut(u64, Instant, &Account);

/// What a callback counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The main script, or a hook of the program's end.
    Main,
    /// A callback of a phase.
    Macrotask,
    /// A tick.
    Tick,
    /// A microtask, or the poll of a task.
    Microtask,
    /// What was called when the queues were empty.
    Drained,
}

impl Account {
    /// The account from this moment on, in this phase.
    pub(super) fn new(started: Nanos, phase: Phase) -> Account {
        Account {
            started,
            booked: started,
            phase,
            phases: [0; Phase::ALL.len()],
            idle: 0,
            woken_by: Wake::None,
            callbacks: 0,
            called: [0; Phase::ALL.len()],
            ready: 0,
            ticks: 0,
            microtasks: 0,
            longest: None,
        }
    }

    /// A phase begins, or goes on.
    pub(super) fn enter(&mut self, phase: Phase, now: Nanos) {
        self.phases[self.phase as usize] += now - self.booked;
        (self.booked, self.phase) = (now, phase);
    }

    /// The wait that began with the poll phase has ended.
    pub(super) fn waited(&mut self, now: Nanos, woken_by: Wake) {
        self.idle += now - self.booked;
        (self.booked, self.woken_by) = (now, woken_by);
    }

    /// A callback begins, in the phase that was entered.
    pub(super) fn count(&mut self, sort: Sort) {
        match sort {
            Sort::Main => {}
            Sort::Macrotask => self.callbacks += 1,
            Sort::Tick => return self.ticks += 1,
            Sort::Microtask => return self.microtasks += 1,
            Sort::Drained => return,
        }
        self.called[self.phase as usize] += 1;
    }

    /// A macrotask has ended, with its drain.
    pub(super) fn ended(&mut self, phase: Phase, origin: Origin, took: Nanos) {
        if self.longest.is_none_or(|(.., longest)| longest < took) {
            self.longest = Some((phase, origin, took));
        }
    }
}
