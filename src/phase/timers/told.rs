//! What is told of timers: the details.

use std::panic::Location;

use super::table::{Entry, Table};
use super::timer::Timer;
use crate::clock::Nanos;
use crate::state::State;
use crate::trace::detail::{Detail, Named};
use crate::trace::ring::Happened;

/// A timer that is armed, for who is told of it.
pub(crate) struct Armed {
    /// Tells it from all others of its loop.
    pub(super) generation: u32,
    /// Its name in reports.
    pub(super) kind: &'static str,
    /// The line that made it.
    pub(super) location: &'static Location<'static>,
    /// Its delay in milliseconds.
    pub(super) delay: u64,
    /// When it is due.
    pub(super) due_at: Nanos,
    /// Whether it keeps the loop alive.
    pub(super) referenced: bool,
}

impl Timer {
    /// Its name in details.
    pub(super) fn named(self) -> Named {
        Named::Timer(self.generation)
    }
}

impl Armed {
    /// It was armed, or refreshed.
    pub(crate) fn detail(&self, happened: Happened) -> Detail {
        let detail = Detail::new(happened, Named::Timer(self.generation).number());
        let detail = detail.amount(self.due_at).small(u8::from(self.referenced));
        let delay = u32::try_from(self.delay).unwrap_or(u32::MAX);
        Detail { extra: Some(delay), ..detail.of(self.kind, Some(self.location)) }
    }
}

impl Entry {
    fn armed(&self) -> Option<Armed> {
        let Entry { generation, location, referenced, .. } = *self;
        let (kind, delay, due_at) = (self.kind(), self.delay(), self.due_at());
        let armed = Armed { generation, kind, location, delay, due_at, referenced };
        self.life.is_armed().then_some(armed)
    }
}

impl Table {
    /// A timer, if it waits.
    fn armed(&mut self, timer: Timer) -> Option<Armed> {
        self.find(timer)?.1.armed()
    }

    /// All timers that wait.
    pub(super) fn each_armed(&self) -> impl Iterator<Item = Armed> {
        self.entries.iter().filter_map(Entry::armed)
    }
}

/// A timer was armed or refreshed, if it waits now.
#[cold]
#[inline(never)]
pub(super) fn tell(state: &State, timer: Timer, happened: Happened) {
    let armed = state.timers.table.borrow_mut().armed(timer);
    armed.iter().for_each(|armed| state.say(armed.detail(happened)));
}
