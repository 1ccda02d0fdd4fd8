//! What a handle is to its loop, and its hold on the loop's table.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::State;
use super::handles::{Described, Handles};
use crate::report::Laggard;
use crate::state::key::Key;
use crate::sys::Event;
use crate::trace::detail::{self, Detail, Named};
use crate::trace::ring::Happened;

/// What the loop can do with an open handle or request without knowing what it is.
pub(crate) trait Handle {
    /// Its name in reports.
    fn kind(&self) -> &'static str;

    /// Its hold on the table.
    fn registration(&self) -> &Registration;

    /// Something happened: the poller or another thread reported it, or the handle asked to be
    /// called again. Runs in the poll phase; may call back any number of times.
    fn ready(self: Rc<Self>, _state: &Rc<State>, _event: Event) {}

    /// The loop is to end in order: ends what is not waited for, and asks others to end. A listener
    /// closes, a job that waits is cancelled, a worker is asked to shut down.
    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {}

    /// Whether the end in order waits for it: it is a request under way, or has one. May not use
    /// the table of handles.
    fn is_waited_for(&self) -> bool {
        false
    }

    /// Wakes the tasks that wait on it by a function that polls, and forgets them: one that still
    /// waits polls again. Changes nothing else.
    fn ask(&self) {}

    /// Tells recorders that have come since it was opened what it has said beside that.
    fn tell_again(&self) {}

    /// It has not ended in time. Sets what it knows better than its registration does.
    fn explain(&self, _laggard: &mut Laggard) {}

    /// The loop ends, and all handles will be torn down: tell other threads first, so that they end
    /// at the same time.
    fn begin_tear_down(&self) {}

    /// The loop ends: drop all callbacks uncalled, close what is open, answer the tasks that wait.
    fn tear_down(self: Rc<Self>, state: &Rc<State>);
}

impl Described for dyn Handle {
    fn kind(&self) -> &'static str {
        Handle::kind(self)
    }

    fn location(&self) -> &'static Location<'static> {
        self.registration().location().expect("a handle in the table was opened")
    }
}

/// A handle's hold on its entry of the table.
pub(crate) struct Registration {
    /// The loop, also when it has ended: a handle can outlive it and find it closed.
    pub(crate) state: Rc<State>,
    /// The key of the entry, and the line that made the handle: here and not in the entry, for each
    /// callback asks for it. None before the entry is opened and when it has ended.
    entry: Cell<Option<(Key, &'static Location<'static>)>>,
}

impl Registration {
    /// A registration that has no entry yet. An owner is made with one, then opens it.
    pub(crate) fn new(state: Rc<State>) -> Registration {
        Registration { state, entry: Cell::new(None) }
    }

    /// Opens the entry of this registration's owner: referenced, and active as told.
    pub(crate) fn open(&self, owner: Rc<dyn Handle>, at: &'static Location<'static>, active: bool) {
        let state = &self.state;
        let kind = if detail::is_wanted() { owner.kind() } else { "" };
        let key = state.handles.open(owner, active, state.clock.now());
        self.entry.set(Some((key, at)));
        if detail::is_wanted() {
            self.tell(Happened::Opened, key, active, kind);
        }
    }

    /// How long ago the entry was opened, to the millisecond. Zero if it is not open.
    pub(crate) fn open_for(&self) -> Duration {
        let now = self.state.clock.read();
        let opened = self.key().and_then(|key| self.state.handles.opened(key));
        Duration::from_nanos(now.saturating_sub(opened.unwrap_or(now)))
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<Key> {
        self.entry.get().map(|(key, _)| key)
    }

    /// Whether the entry was opened and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.entry.get().is_some()
    }

    /// Tells that the handle receives what comes to the port of this number.
    #[inline]
    pub(crate) fn receives(&self, port: impl FnOnce() -> u64) {
        if detail::is_wanted()
            && let Some(key) = self.key()
        {
            let number = Named::Handle(key.to_bits()).number();
            self.state.say(Detail::new(Happened::Receives, number).amount(port()));
        }
    }

    /// Ends the entry. The owner comes back so that it is dropped where the caller wants it.
    pub(crate) fn close(&self) -> Option<Rc<dyn Handle>> {
        let (key, _) = self.entry.get()?;
        if detail::is_wanted() {
            self.tell(Happened::Closed, key, false, "");
        }
        self.entry.set(None);
        self.state.handles.close(key)
    }

    /// Tells a detail of the handle.
    #[cold]
    #[inline(never)]
    fn tell(&self, happened: Happened, key: Key, on: bool, kind: &'static str) {
        let place = self.location().filter(|_| happened == Happened::Opened);
        let number = Named::Handle(key.to_bits()).number();
        self.state.say(Detail::new(happened, number).small(u8::from(on)).of(kind, place));
    }

    /// Sets whether the handle is started.
    pub(crate) fn set_active(&self, on: bool) {
        self.change_active(|handles, key| handles.set_active(key, on));
    }

    /// Sets whether the handle is started, and whether a task waits on it by a function that polls.
    pub(crate) fn set_active_or_polled(&self, active: bool, polled: bool) {
        self.change_active(|handles, key| handles.set_active_or_polled(key, active, polled));
    }

    #[inline]
    fn change_active(&self, change: impl FnOnce(&Handles<dyn Handle>, Key)) {
        let Some(key) = self.key() else { return };
        let before = detail::is_wanted() && self.is_active();
        change(&self.state.handles, key);
        if detail::is_wanted() && self.is_active() != before {
            self.tell(Happened::Active, key, !before, "");
        }
    }

    /// Sets whether a request of the handle is pending.
    pub(crate) fn set_busy(&self, on: bool) {
        if let Some(key) = self.key() {
            if detail::is_wanted() && on != self.state.handles.is_busy(key) {
                self.tell(Happened::Busy, key, on, "");
            }
            self.state.handles.set_busy(key, on);
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.key().is_some_and(|key| self.state.handles.is_active(key))
    }

    /// Sets whether the handle may keep the loop alive. See
    /// [`ref_methods`](super::references::ref_methods).
    pub(crate) fn set_ref(&self, on: bool) {
        if let Some(key) = self.key() {
            if detail::is_wanted() && on != self.has_ref() {
                self.tell(Happened::Referenced, key, on, "");
            }
            self.state.handles.set_ref(key, on);
        }
    }

    pub(crate) fn has_ref(&self) -> bool {
        self.key().is_some_and(|key| self.state.handles.has_ref(key))
    }

    /// The line that made the handle, while it is open.
    #[inline]
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        self.entry.get().map(|(_, location)| location)
    }

    /// Asks to be called in the next poll phase although the poller will report nothing new.
    pub(crate) fn call_again(&self) {
        if let Some(key) = self.key() {
            self.state.handles.mark_ready(key, Event::default());
        }
    }
}
