//! Idle, prepare and check watchers: one list of callbacks each, run once an iteration.
//!
//! Watchers are numbered as they start, and a phase goes through the numbers that there were when it
//! began. One that is stopped by another is gone from the list before its turn; one that is started
//! has a number beyond the end. libuv runs the watcher started last first; we run them in order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;

use crate::callback;
use crate::event_loop::State;
use crate::handle::{Handle, Registration};

/// Which of the three lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    Idle,
    Prepare,
    Check,
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

#[derive(Default)]
pub(crate) struct Watchers {
    active: RefCell<BTreeMap<u64, Rc<Watcher>>>,
    next_number: Cell<u64>,
}

impl Watchers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.active.borrow().is_empty()
    }

    /// Calls each watcher that is active now, unless it is stopped before its turn.
    pub(crate) fn run(&self, state: &State) {
        if self.is_empty() {
            return;
        }
        let (mut from, end) = (0, self.next_number.get());
        callback::guard(state, || {
            while !state.is_halted()
                && let Some(watcher) = self.first_in(from, end)
            {
                from = watcher.number.get() + 1;
                watcher.call(state);
            }
        });
    }

    fn first_in(&self, from: u64, end: u64) -> Option<Rc<Watcher>> {
        let active = self.active.borrow();
        active.range(from..end).next().map(|(_, watcher)| watcher.clone())
    }
}

pub(crate) struct Watcher {
    registration: Registration,
    phase: Phase,
    number: Cell<u64>,
    /// Absent while it is called, and once it has stopped.
    callback: Cell<Option<Box<dyn FnMut()>>>,
}

impl Watcher {
    pub(crate) fn start(
        state: &Rc<State>,
        phase: Phase,
        f: impl FnMut() + 'static,
        location: &'static Location<'static>,
    ) -> Rc<Watcher> {
        let watcher = Rc::new(Watcher {
            registration: Registration::new(state.clone()),
            phase,
            number: Cell::new(u64::MAX),
            callback: Cell::new(None),
        });
        if state.is_open() {
            watcher.callback.set(Some(Box::new(f)));
            watcher.registration.open(watcher.clone(), location, true);
            let list = phase.list(state);
            let number = list.next_number.get();
            list.next_number.set(number + 1);
            watcher.number.set(number);
            list.active.borrow_mut().insert(number, watcher.clone());
        }
        watcher
    }

    pub(crate) fn stop(&self) {
        drop(self.leave());
    }

    /// Takes the watcher off its loop. All that has to be dropped comes back: what the callback
    /// captured may call back into the loop.
    fn leave(&self) -> impl Sized + use<> {
        let list = self.phase.list(&self.registration.state);
        let listed = list.active.borrow_mut().remove(&self.number.get());
        let entry = self.registration.close();
        (listed, entry, self.callback.take())
    }

    fn call(&self, state: &State) {
        let Some(mut f) = self.callback.take() else { return };
        let outcome = callback::invoke(state, self.registration.location(), &mut f);
        if self.registration.is_open() {
            self.callback.set(Some(f));
        } else {
            drop(f);
        }
        callback::settle(state, outcome);
    }
}

impl Handle for Watcher {
    fn kind(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "idle watcher",
            Phase::Prepare => "prepare watcher",
            Phase::Check => "check watcher",
        }
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        callback::drop_quietly(self.leave());
    }
}
