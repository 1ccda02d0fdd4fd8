//! The life of a handle, and the table of all that is open on a loop.
//!
//! A handle or request has an entry in the loop's table from its making to its end. The entry owns
//! it for the loop and tells whether it is *active* (started, or still waiting to complete) and
//! *referenced* (allowed to keep the loop alive). Its other half, the `Registration` in the handle,
//! remembers where it was made, so that [`Loop::why_alive`](crate::Loop::why_alive) can say what a loop
//! waits for. The number of entries that are
//! both active and referenced is kept beside the table: asking whether a loop is alive costs one
//! look.
//!
//! A `Key` names an entry. It carries a generation, so that an event that was fetched before a
//! handle closed never reaches the handle that took its place.
//!
//! Timers and immediates are not here: there can be a million of them, and they have tables of
//! their own.

pub(crate) mod descriptor;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use slab::Slab;

use crate::event_loop::State;

pub use crate::handle::descriptor::{Interest, Poll, Readiness};
pub use crate::phase::check::{Check, InCheck};
pub use crate::phase::idle::{Idle, InIdle};
pub use crate::phase::prepare::{InPrepare, Prepare};
pub use crate::phase::watchers::{InPhase, Phase, PhaseWatcher};
pub use crate::threads::notifier::Notifier;

/// One thing that keeps a loop alive, as [`Loop::why_alive`](crate::Loop::why_alive) reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// What it is: "timer", "TCP listener", "pool job", …
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made at {}", self.kind, self.location)
    }
}

/// One open handle or pending request, as [`Loop::handles`](crate::Loop::handles) lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleInfo {
    /// What it is.
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
    /// Whether it is started, or waiting to complete.
    pub active: bool,
    /// Whether it may keep the loop alive while active.
    pub has_ref: bool,
}

/// What the loop can do with an open handle or request without knowing what it is.
pub(crate) trait Handle {
    /// Its name in reports.
    fn kind(&self) -> &'static str;

    /// Its hold on the table.
    fn registration(&self) -> &Registration;

    /// The poller saw it become ready, or it asked to be called again. Only for what is registered
    /// with the poller. Runs in the poll phase; may call back any number of times.
    fn ready(self: Rc<Self>, _state: &Rc<State>, _event: crate::sys::Event) {}

    /// The loop ends, and all handles will be torn down: tell other threads first, so that they end at
    /// the same time.
    fn begin_tear_down(&self) {}

    /// The loop ends: drop all callbacks uncalled, close what is open, answer those who wait.
    fn tear_down(self: Rc<Self>, state: &Rc<State>);
}

/// Names an entry of the table. Never names another one, even when the place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as one number, for the poller's tokens and for other threads.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Key {
        Key { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

struct Entry {
    owner: Rc<dyn Handle>,
    generation: u32,
    active: bool,
    referenced: bool,
    /// A request of it is pending, which keeps the loop alive also when it is unreferenced.
    busy: bool,
    /// Whether it stands in the ready list, so that it stands there once.
    listed: bool,
    /// What the poller reported since it was last called.
    event: crate::sys::Event,
}

impl Entry {
    fn holds(&self) -> bool {
        self.busy || self.active && self.referenced
    }

    fn location(&self) -> &'static Location<'static> {
        self.owner.registration().location().expect("what has an entry was opened")
    }
}

#[derive(Default)]
pub(crate) struct Handles {
    table: RefCell<Table>,
    /// Entries that are active and referenced.
    holding: Cell<usize>,
    generation: Cell<u32>,
}

/// The entries, and which of them are ready.
#[derive(Default)]
pub(crate) struct Table {
    entries: Slab<Entry>,
    /// Those to be called in the next poll phase, in order.
    ready: VecDeque<Key>,
}

impl Table {
    #[inline]
    fn get(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)
    }

    /// Notes what the poller reported, and lists the handle to be called in this poll phase.
    #[inline]
    pub(crate) fn mark_ready(&mut self, key: Key, event: crate::sys::Event) {
        let Some(entry) = self.get(key) else { return };
        entry.event |= event;
        if !std::mem::replace(&mut entry.listed, true) {
            self.ready.push_back(key);
        }
    }
}

impl Handles {
    /// Opens an entry: referenced, and active as told.
    fn open(&self, owner: Rc<dyn Handle>, active: bool) -> Key {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let entry = Entry {
            owner,
            generation,
            active,
            referenced: true,
            busy: false,
            listed: false,
            event: crate::sys::Event::default(),
        };
        self.holding.set(self.holding.get() + usize::from(active));
        let index = self.table.borrow_mut().entries.insert(entry);
        let index = u32::try_from(index).expect("a loop has fewer than 2^32 open handles");
        Key { index, generation }
    }

    /// Ends an entry and gives its owner back, for the caller to drop. None if it has ended before.
    fn close(&self, key: Key) -> Option<Rc<dyn Handle>> {
        let mut table = self.table.borrow_mut();
        let holds = table.get(key)?.holds();
        self.holding.set(self.holding.get() - usize::from(holds));
        Some(table.entries.remove(key.index as usize).owner)
    }

    fn with<R>(&self, key: Key, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        self.table.borrow_mut().get(key).map(f)
    }

    fn change(&self, key: Key, f: impl FnOnce(&mut Entry)) {
        self.with(key, |entry| {
            let before = usize::from(entry.holds());
            f(entry);
            self.holding.set(self.holding.get() + usize::from(entry.holds()) - before);
        });
    }

    pub(crate) fn set_active(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.active = on);
    }

    pub(crate) fn set_busy(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.busy = on);
    }

    pub(crate) fn set_ref(&self, key: Key, on: bool) {
        self.change(key, |entry| entry.referenced = on);
    }

    pub(crate) fn has_ref(&self, key: Key) -> bool {
        self.with(key, |entry| entry.referenced).unwrap_or(false)
    }

    pub(crate) fn is_active(&self, key: Key) -> bool {
        self.with(key, |entry| entry.active).unwrap_or(false)
    }

    /// The owner of an entry that has not ended.
    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Handle>> {
        self.with(key, |entry| entry.owner.clone())
    }

    /// Whether any entry keeps the loop alive.
    #[inline]
    pub(crate) fn any_holding(&self) -> bool {
        self.holding.get() > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().entries.is_empty()
    }

    /// Lists what is ready: `f` marks it, and calls nobody.
    #[inline]
    pub(crate) fn list_ready<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        f(&mut self.table.borrow_mut())
    }

    /// Lists one handle, with what is seen of it.
    pub(crate) fn mark_ready(&self, key: Key, event: crate::sys::Event) {
        self.list_ready(|table| table.mark_ready(key, event));
    }

    /// How many handles are to be called.
    #[inline]
    pub(crate) fn ready_count(&self) -> usize {
        self.table.borrow().ready.len()
    }

    /// Takes the next handle to be called, with what was reported of it. `left` counts down the places of
    /// the list that belong to this poll phase.
    #[inline]
    pub(crate) fn next_ready(
        &self,
        left: &mut usize,
    ) -> Option<(Rc<dyn Handle>, crate::sys::Event)> {
        let mut table = self.table.borrow_mut();
        while *left > 0 {
            *left -= 1;
            let key = table.ready.pop_front()?;
            // None for a handle that closed while it was listed.
            if let Some(entry) = table.get(key) {
                entry.listed = false;
                return Some((entry.owner.clone(), std::mem::take(&mut entry.event)));
            }
        }
        None
    }

    /// Takes all entries out. For teardown.
    pub(crate) fn take_all(&self) -> Vec<Rc<dyn Handle>> {
        self.holding.set(0);
        let table = self.table.take();
        table.entries.into_iter().map(|(_, entry)| entry.owner).collect()
    }

    /// Adds the entries that hold the loop to a report of what keeps it alive.
    pub(crate) fn report(&self, alive: &mut Vec<Alive>) {
        let table = self.table.borrow();
        let holding = table.entries.iter().map(|(_, entry)| entry).filter(|entry| entry.holds());
        alive.extend(holding.map(|e| Alive { kind: e.owner.kind(), location: e.location() }));
    }

    pub(crate) fn list(&self) -> Vec<HandleInfo> {
        let table = self.table.borrow();
        let info = |entry: &Entry| HandleInfo {
            kind: entry.owner.kind(),
            location: entry.location(),
            active: entry.active,
            has_ref: entry.referenced,
        };
        table.entries.iter().map(|(_, entry)| info(entry)).collect()
    }
}

/// A handle's hold on its entry: the loop and the key.
pub(crate) struct Registration {
    pub(crate) state: Rc<State>,
    /// The key, and the line that made the handle: here and not in the entry, for each callback asks for it.
    entry: Cell<Option<(Key, &'static Location<'static>)>>,
}

impl Registration {
    /// A registration that has no entry yet. An owner is made with one, then opens it.
    pub(crate) fn new(state: Rc<State>) -> Registration {
        Registration { state, entry: Cell::new(None) }
    }

    pub(crate) fn open(&self, owner: Rc<dyn Handle>, at: &'static Location<'static>, active: bool) {
        self.entry.set(Some((self.state.handles.open(owner, active), at)));
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<Key> {
        self.entry.get().map(|(key, _)| key)
    }

    /// Whether the entry was opened and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.entry.get().is_some()
    }

    /// Ends the entry. The owner comes back so that it is dropped where the caller wants it.
    pub(crate) fn close(&self) -> Option<Rc<dyn Handle>> {
        self.entry.take().and_then(|(key, _)| self.state.handles.close(key))
    }

    pub(crate) fn set_active(&self, on: bool) {
        if let Some(key) = self.key() {
            self.state.handles.set_active(key, on);
        }
    }

    /// Sets whether a request of the handle is pending.
    pub(crate) fn set_busy(&self, on: bool) {
        if let Some(key) = self.key() {
            self.state.handles.set_busy(key, on);
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.key().is_some_and(|key| self.state.handles.is_active(key))
    }

    pub(crate) fn set_ref(&self, on: bool) {
        if let Some(key) = self.key() {
            self.state.handles.set_ref(key, on);
        }
    }

    pub(crate) fn has_ref(&self) -> bool {
        self.key().is_some_and(|key| self.state.handles.has_ref(key))
    }

    #[inline]
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        self.entry.get().map(|(_, location)| location)
    }

    /// Asks to be called in the next poll phase although the poller will report nothing new.
    pub(crate) fn call_again(&self) {
        if let Some(key) = self.key() {
            self.state.handles.mark_ready(key, crate::sys::Event::default());
        }
    }
}
