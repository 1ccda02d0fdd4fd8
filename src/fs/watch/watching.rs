//! A watcher on the loop: the events that it has to tell, and who is told.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::WatchEvent;
use super::hub::Hub;
use super::watches::Watches;
use crate::callback;
use crate::callback::on_drop::OnDrop;
use crate::callback::slot::{Once, Registered, Slot};
use crate::error;
use crate::fs::PathError;
use crate::queue::closure::Closure;
use crate::queue::memory::is_excess;
use crate::state::State;
use crate::state::named::{Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::sys::{self, Event};
use crate::task::waiters::{self, Place, Waiters};
use crate::trace::origin::Origin;

/// Events that wait to be told. The kernel's queue is as long, unless the system is told otherwise.
const EVENTS_MAX: usize = 16_384;

/// Events that a callback is given in one poll phase.
const EVENTS_PER_ROUND: usize = 64;

/// What all names of a watcher share.
pub(super) struct Watching {
    /// Its entry in the loop's table: open until it is closed.
    pub(super) registration: Registration,
    /// How many [`Watcher`](super::Watcher)s there are for it.
    names: Names,
    /// The watches of its loop.
    pub(super) hub: Rc<Hub>,
    /// Its number there, which is the order in which they began.
    pub(super) number: u64,
    /// What is watched, as it was given.
    pub(super) path: PathBuf,
    /// The same, absolute, if directories below it are watched as well.
    root: Option<PathBuf>,
    /// The watches of this watcher.
    pub(super) watches: RefCell<Watches>,
    /// What has happened and was not told yet.
    events: RefCell<VecDeque<io::Result<WatchEvent>>>,
    /// A callback is registered. It may be running, and is then not in its slot.
    listening: Cell<bool>,
    /// Called with each event.
    on_event: Slot<dyn FnMut(io::Result<WatchEvent>)>,
    /// The tasks that wait for an event.
    pub(super) readers: Waiters,
    /// Waits for the close. Gone when it is queued for the close phase.
    on_close: Once<dyn FnOnce()>,
}

impl Watching {
    /// A watcher that watches nothing yet.
    pub(super) fn new(
        state: &Rc<State>,
        hub: Rc<Hub>,
        path: PathBuf,
        root: Option<PathBuf>,
        location: &'static Location<'static>,
    ) -> Rc<Watching> {
        let watching = Rc::new(Watching {
            registration: Registration::new(state.clone()),
            names: Names::default(),
            number: hub.enter(),
            hub,
            path,
            root,
            watches: RefCell::default(),
            events: RefCell::default(),
            listening: Cell::new(false),
            on_event: Slot::default(),
            readers: Waiters::default(),
            on_close: Once::default(),
        });
        watching.registration.open(watching.clone(), location, false);
        watching
    }

    /// Whether directories below it are watched as well.
    pub(super) fn recursive(&self) -> bool {
        self.root.is_some()
    }

    /// What is watched, as the system is given it.
    pub(super) fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.path)
    }

    /// Queues an event to be told in the next poll phase.
    pub(super) fn push(&self, event: io::Result<WatchEvent>) {
        let mut events = self.events.borrow_mut();
        let event = match events.len() {
            EVENTS_MAX => Err(self.overflow_error()),
            more if more > EVENTS_MAX => return, // Told already.
            _ => event,
        };
        events.push_back(event);
        self.registration.call_again();
    }

    /// Events are lost.
    pub(super) fn overflow_error(&self) -> io::Error {
        let error = io::Error::other("events were lost: the queue has overflowed");
        PathError::wrap("watch", &self.path, error)
    }

    fn take(&self) -> Option<io::Result<WatchEvent>> {
        let mut events = self.events.borrow_mut();
        let event = events.pop_front();
        if events.is_empty() && is_excess(events.capacity(), 0) {
            *events = VecDeque::new(); // A burst is over.
        }
        event
    }

    fn has_events(&self) -> bool {
        !self.events.borrow().is_empty()
    }

    fn update_liveness(&self) {
        let active = self.listening.get() || self.readers.has_futures();
        self.registration.set_active_or_polled(active, self.readers.has_poller());
    }

    #[track_caller]
    pub(super) fn set_on_event(&self, f: Box<dyn FnMut(io::Result<WatchEvent>)>) {
        if !self.registration.is_open() {
            return;
        }
        self.listening.set(true);
        let before = self.on_event.set(f);
        self.update_liveness();
        if self.has_events() {
            self.registration.call_again();
        }
        drop(before);
    }

    /// Takes an event, or waits for one at this place.
    pub(super) fn poll_next(
        &self,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<WatchEvent>> {
        let next = match self.take() {
            None if !self.registration.is_open() => Some(Err(self.closed_error())),
            next => next,
        };
        match next {
            Some(_) => self.readers.leave(place),
            None => self.readers.wait(place, cx),
        }
        self.update_liveness();
        next.map_or(Poll::Pending, Poll::Ready)
    }

    /// The future of this place waits no longer.
    pub(super) fn leave(&self, place: &Place) {
        self.readers.leave(place);
        self.update_liveness();
    }

    fn closed_error(&self) -> io::Error {
        if self.registration.state.is_open() {
            io::Error::from_raw_os_error(sys::EINVAL)
        } else {
            error::shut_down()
        }
    }

    fn round(&self, state: &Rc<State>) {
        for _ in 0..EVENTS_PER_ROUND {
            if !self.listening.get() || state.is_halted() {
                return;
            }
            let Some(event) = self.take() else { return };
            callback::call_slot(state, self.kind(), &self.on_event, |f| f(event));
        }
        if self.listening.get() && self.has_events() {
            self.registration.call_again();
        }
    }

    pub(super) fn close(&self) {
        let Some(entry) = self.registration.close() else { return };
        self.listening.set(false);
        self.abandon(Path::new(""));
        let (on_event, events) = (self.on_event.clear(), self.events.take());
        self.hub.leave();
        if let Some((on_close, origin)) = self.on_close.take(self.kind()) {
            self.push_on_close(origin, on_close);
        }
        self.readers.wake();
        // Last: what the callback captured may call back into the loop.
        drop((on_event, events, entry));
    }

    #[track_caller]
    pub(super) fn set_on_close(&self, f: Box<dyn FnOnce()>) {
        if self.registration.is_open() {
            let before = self.on_close.set(f);
            drop(before);
        } else if self.registration.state.is_open() {
            self.push_on_close(Registered::here().origin(self.kind()), f);
        }
    }

    fn push_on_close(&self, origin: Origin, f: Box<dyn FnOnce()>) {
        let state = self.registration.state.clone();
        let call = move || callback::call(&state, origin, f);
        self.registration.state.push_closing(Closure::new(call));
    }
}

impl Handle for Watching {
    fn kind(&self) -> &'static str {
        "file watcher"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        // A panic leaves the round. The events that wait must not be forgotten.
        let again = OnDrop(|| self.registration.call_again());
        if self.has_events() && !self.readers.is_empty() {
            self.readers.wake();
            self.update_liveness();
            callback::drain(state);
        }
        self.round(state);
        again.forget();
    }

    fn ask(&self) {
        waiters::wake_each(self.readers.take_poller());
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.listening.set(false);
        drop((self.watches.take(), self.events.take()));
        callback::drop_quietly(self.on_event.clear());
        callback::drop_quietly(self.on_close.clear());
        self.readers.wake();
    }
}

impl Named for Watching {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A watcher with a callback belongs to its loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.listening.get() {
            self.close();
        }
    }
}
