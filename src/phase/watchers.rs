//! Idle, prepare and check watchers: one list of callbacks each, run once an iteration.
//!
//! Watchers are numbered as they start, and a phase goes through the numbers that there were when
//! it began. One that is stopped by another is gone from the list before it is reached; one that is
//! started has a number beyond the end. libuv runs the watcher started last first; we run them in
//! order.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

use crate::callback;
use crate::callback::slot::Slot;
use crate::event_loop::State;
use crate::event_loop::current;
use crate::handle::{Handle, Registration};

/// Which of the three lists.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Before poll, which then does not block.
    Idle,
    /// Right before poll.
    Prepare,
    /// Right after poll.
    Check,
}

/// The differences between the three kinds of watchers. Implemented by their names alone.
pub trait InPhase: 'static {
    /// The phase that calls it.
    const PHASE: Phase;
    /// The call that starts it, for messages.
    const START: &'static str;
    /// Its name in reports.
    const KIND: &'static str;
}

/// A watcher that is called once an iteration, in its phase: an [`Idle`](super::idle::Idle),
/// [`Prepare`](super::prepare::Prepare) or [`Check`](super::check::Check).
pub struct PhaseWatcher<P> {
    /// The watcher, which its list also holds until it is stopped.
    watcher: Rc<Watcher>,
    /// The kind of watcher.
    _phase: PhantomData<fn(P)>,
}

impl<P: InPhase> PhaseWatcher<P> {
    /// Starts a watcher on the current loop.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn start(f: impl FnMut() + 'static) -> Self {
        let state = current::expect(P::START);
        let watcher = Watcher::start(&state, P::PHASE, P::KIND, f, Location::caller());
        PhaseWatcher { watcher, _phase: PhantomData }
    }

    /// Stops the watcher for good: no callback comes any more. Harmless when it has stopped.
    pub fn stop(&self) {
        self.watcher.stop();
    }

    /// Lets the loop end although the watcher is active.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the watcher keeps the loop alive.
    pub fn set_ref(&self, on: bool) {
        self.watcher.registration.set_ref(on);
    }

    /// Whether the watcher is active and keeps the loop alive.
    pub fn has_ref(&self) -> bool {
        self.watcher.registration.has_ref()
    }

    /// Whether the watcher has not been stopped.
    pub fn is_active(&self) -> bool {
        self.watcher.registration.is_open()
    }
}

impl<P> Clone for PhaseWatcher<P> {
    fn clone(&self) -> Self {
        PhaseWatcher { watcher: self.watcher.clone(), _phase: PhantomData }
    }
}

impl<P: InPhase> fmt::Debug for PhaseWatcher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(P::KIND).field("active", &self.is_active()).finish_non_exhaustive()
    }
}

impl Phase {
    fn list(self, state: &State) -> &Watchers {
        match self {
            Phase::Idle => &state.idle,
            Phase::Prepare => &state.prepare,
            Phase::Check => &state.check,
        }
    }
}

/// The watchers of one phase.
#[derive(Default)]
pub(crate) struct Watchers {
    /// In the order of their numbers. Not borrowed while a callback runs.
    places: RefCell<Vec<Place>>,
    /// How many places have a watcher.
    active: Cell<usize>,
    /// The number of the watcher that is started next.
    next_number: Cell<u64>,
}

/// A watcher's place in its list. Empty once it has stopped; empty places are removed when they are
/// more than the others, so that stopping moves no place behind it.
struct Place {
    /// The number of the watcher that is or was here.
    number: u64,
    /// None once it has stopped.
    watcher: Option<Rc<Watcher>>,
}

impl Watchers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.active.get() == 0
    }

    /// Calls each watcher that is active now, unless another one stops it first.
    #[inline]
    pub(crate) fn run(&self, state: &State) {
        if !self.is_empty() {
            self.run_all(state);
        }
    }

    fn run_all(&self, state: &State) {
        let (mut from, end) = (0, self.next_number.get());
        callback::guard(state, || {
            while !state.is_halted()
                && let Some(watcher) = self.first_in(from, end)
            {
                from = watcher.number.get() + 1;
                watcher.fire(state);
            }
        });
    }

    /// Adds a watcher at the end and returns its number.
    fn add(&self, watcher: Rc<Watcher>) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.active.set(self.active.get() + 1);
        self.places.borrow_mut().push(Place { number, watcher: Some(watcher) });
        number
    }

    /// Takes a watcher out, for the caller to drop.
    fn remove(&self, number: u64) -> Option<Rc<Watcher>> {
        let mut places = self.places.borrow_mut();
        let index = places.binary_search_by_key(&number, |place| place.number).ok()?;
        let watcher = places[index].watcher.take()?;
        self.active.set(self.active.get() - 1);
        if places.len() > 2 * self.active.get() {
            places.retain(|place| place.watcher.is_some());
        }
        Some(watcher)
    }

    /// The first active watcher with a number from `from` to below `end`.
    fn first_in(&self, from: u64, end: u64) -> Option<Rc<Watcher>> {
        let places = self.places.borrow();
        let first = places.partition_point(|place| place.number < from);
        let rest = places[first..].iter().take_while(|place| place.number < end);
        rest.filter_map(|place| place.watcher.clone()).next()
    }
}

/// A watcher, whatever its phase.
struct Watcher {
    /// Its entry in the table of handles, open until it is stopped.
    registration: Registration,
    /// The phase that calls it.
    phase: Phase,
    /// Its name in reports.
    kind: &'static str,
    /// The line that started it.
    location: &'static Location<'static>,
    /// Its number in its list. `u64::MAX` if it was never in one, because its loop had ended.
    number: Cell<u64>,
    /// The user's callback, which may stop the watcher.
    callback: Slot<dyn FnMut()>,
}

impl Watcher {
    fn start(
        state: &Rc<State>,
        phase: Phase,
        kind: &'static str,
        f: impl FnMut() + 'static,
        location: &'static Location<'static>,
    ) -> Rc<Watcher> {
        let watcher = Rc::new(Watcher {
            registration: Registration::new(state.clone()),
            phase,
            kind,
            location,
            number: Cell::new(u64::MAX),
            callback: Slot::default(),
        });
        if state.is_open() {
            drop(watcher.callback.set(Box::new(f)));
            watcher.registration.open(watcher.clone(), location, true);
            watcher.number.set(phase.list(state).add(watcher.clone()));
        }
        watcher
    }

    fn stop(&self) {
        drop(self.leave());
    }

    /// Takes the watcher off its loop. All that has to be dropped comes back: a value that the
    /// callback captured may call back into the loop.
    fn leave(&self) -> impl Sized + use<> {
        let list = self.phase.list(&self.registration.state);
        let listed = list.remove(self.number.get());
        let entry = self.registration.close();
        (listed, entry, self.callback.clear())
    }

    fn fire(&self, state: &State) {
        if let Some(outcome) = self.callback.invoke(state, Some(self.location), |f| f()) {
            callback::settle(state, outcome);
        }
    }
}

impl Handle for Watcher {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        callback::drop_quietly(self.leave());
    }
}
