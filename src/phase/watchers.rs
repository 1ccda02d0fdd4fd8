//! Idle, prepare and check watchers: one list of callbacks each, run once an iteration.
//!
//! Each kind has a list of its own (see [`numbered`](crate::queue::numbered)). libuv runs the
//! watcher started last first; we run them in order.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

use crate::callback;
use crate::callback::slot::Slot;
use crate::state::current;
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::state::{State, Watchers};
use crate::sys::Event;
use crate::trace;
use crate::trace::detail::Queue;
use crate::trace::label::here;

/// Which of the three lists.
///
/// # Examples
/// ```
/// use windlass::handle::{Idle, InIdle, InPhase, Phase};
///
/// assert!(matches!(InIdle::PHASE, Phase::Idle));
/// windlass::run(|| Idle::start(|| ()).stop());
/// ```
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
///
/// # Examples
/// ```
/// use windlass::handle::{Idle, InPhase, PhaseWatcher, Prepare};
///
/// fn is_active<P: InPhase>(watcher: &PhaseWatcher<P>) -> bool {
///     watcher.is_active()
/// }
///
/// windlass::run(|| {
///     let (idle, prepare) = (Idle::start(|| ()), Prepare::start(|| ()));
///     assert!(is_active(&idle) && is_active(&prepare));
///     idle.stop();
///     prepare.stop();
/// });
/// ```
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
///
/// # Examples
/// ```
/// use windlass::handle::{Check, PhaseWatcher, InPhase};
///
/// fn stop<P: InPhase>(watcher: &PhaseWatcher<P>) {
///     watcher.stop();
/// }
///
/// windlass::run(|| {
///     let watcher = Check::start(|| println!("after each poll"));
///     windlass::set_immediate(move || stop(&watcher));
/// });
/// ```
pub struct PhaseWatcher<P> {
    /// Shared by all clones; the loop has it too, until it is stopped.
    watcher: Rc<Watcher>,
    /// The kind.
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
        let watcher = Watcher::start(&state, P::PHASE, P::KIND, f, here());
        PhaseWatcher { watcher, _phase: PhantomData }
    }

    /// Stops the watcher for good: no callback comes any more. Harmless when it has stopped.
    pub fn stop(&self) {
        self.watcher.stop();
    }

    ref_methods!("watcher"; watcher.registration);

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
    /// Its watchers on a loop.
    fn list(self, state: &State) -> &Watchers {
        match self {
            Phase::Idle => &state.idle,
            Phase::Prepare => &state.prepare,
            Phase::Check => &state.check,
        }
    }
}

/// Calls each watcher of the list that is active now, unless it is stopped before its turn.
#[inline]
pub(super) fn run(state: &Rc<State>, phase: trace::Phase, watchers: &Watchers) {
    if !watchers.is_empty() {
        state.begin_phase(phase, || watchers.len());
        run_all(state, watchers);
    }
}

fn run_all(state: &Rc<State>, watchers: &Watchers) {
    watchers.begin_phase();
    callback::guard(state, || {
        while !state.is_halted()
            && let Some(watcher) = watchers.next()
        {
            state.tell_handle_taken(Queue::Watchers, &*watcher);
            watcher.ready(state, Event::default());
        }
    });
}

/// A watcher of any of the three kinds.
struct Watcher {
    /// Open and active until the watcher is stopped.
    registration: Registration,
    /// Which list it stands in.
    phase: Phase,
    /// Its name in reports.
    kind: &'static str,
    /// Its number in the list.
    number: Cell<u64>,
    /// Called once an iteration.
    callback: Slot<dyn FnMut()>,
}

impl Watcher {
    #[track_caller]
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
}

impl Handle for Watcher {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its turn in its phase has come.
    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        callback::call_slot(state, self.kind, &self.callback, |f| f());
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        callback::drop_quietly(self.leave());
    }
}
