//! The prepare phase: watchers that run right before poll.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use super::watchers::{Phase, Watcher};
use crate::current;
use crate::event_loop::State;
use crate::handle::Handle;

pub(crate) fn run(state: &State) {
    state.prepare.run(state);
}

/// Calls back in every iteration, right before the poll phase.
///
/// Watchers run in the order they were started; one started by another first runs in the next
/// iteration. Lives until stopped, and keeps the loop alive meanwhile unless
/// [`unref`](Prepare::unref)'d. Does not keep poll from blocking. libuv: `uv_prepare_t`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use windlass::handle::Prepare;
///
/// windlass::run(|| {
///     let own = Rc::new(Cell::new(None::<Prepare>));
///     let inner = own.clone();
///     own.set(Some(Prepare::start(move || {
///         println!("once is enough");
///         inner.take().unwrap().stop();
///     })));
///     windlass::set_immediate(|| println!("something to wake up for"));
/// });
/// ```
#[derive(Clone)]
pub struct Prepare {
    watcher: Rc<Watcher>,
}

impl Prepare {
    /// Starts a watcher on the current loop.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn start(f: impl FnMut() + 'static) -> Prepare {
        let state = current::expect("Prepare::start");
        Prepare { watcher: Watcher::start(&state, Phase::Prepare, f, Location::caller()) }
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
        self.watcher.registration().set_ref(on);
    }

    /// Whether the watcher is active and keeps the loop alive.
    pub fn has_ref(&self) -> bool {
        self.watcher.registration().has_ref()
    }

    /// Whether the watcher has not been stopped.
    pub fn is_active(&self) -> bool {
        self.watcher.registration().is_open()
    }
}

impl fmt::Debug for Prepare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepare").field("active", &self.is_active()).finish_non_exhaustive()
    }
}
