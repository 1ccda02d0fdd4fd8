//! The hooks that a worker has called when it is asked to shut down.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::this;
use crate::callback;
use crate::callback::slot::Registered;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::state::registration::{Handle, Registration};
use crate::trace::label::here;

/// Calls `f` when this worker is asked to [`shutdown`](super::Worker::shutdown).
///
/// By then everything that was posted to it before has been delivered, if it has a handler. The
/// port to the parent does not hold the worker's loop any more, and a receive on it gives none;
/// posting to the parent still works. `f` closes all else that keeps the loop alive: a listener, an
/// interval. When nothing is alive the worker ends by itself, and else when the deadline comes.
///
/// Callbacks accumulate and are called in the order added, each once. When the notice has come
/// already, `f` is called soon. On a loop that is no worker's `f` is dropped. At a plain
/// [`terminate`](super::Worker::terminate) it is dropped uncalled.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::worker::{Port, Worker, on_shutdown};
///
/// windlass::block_on(async {
///     let worker = Worker::spawn(|port: Port<&str, ()>| {
///         let beat = windlass::set_interval(Duration::from_secs(1), |_| ());
///         on_shutdown(move || {
///             beat.clear();
///             port.post("all put away");
///         });
///     })?;
///     assert_eq!(worker.shutdown(Duration::from_secs(5)).await, Ok(0));
///     assert_eq!(worker.recv().await, Some("all put away"));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn on_shutdown(f: impl FnOnce() + 'static) {
    let state = current::expect("worker::on_shutdown");
    if this::is_main() || !state.is_open() {
        return;
    }
    let hook = Hook { call: Box::new(f), registered: Registered::here() };
    let hooks = ShutdownHooks::of(&state);
    if hooks.called.get() {
        hook.push(&state);
    } else {
        hooks.waiting.borrow_mut().push(hook);
    }
}

/// The notice has come, on the worker's loop.
pub(super) fn call_shutdown_hooks() {
    let Some(state) = current::get().filter(|state| state.is_open()) else { return };
    if !this::has_begun() {
        // The hooks and the handler of the port are yet to come. In the next poll phase the port
        // comes first, with all that was posted before.
        return state.mailbox.post(call_shutdown_hooks).unwrap_or_else(drop);
    }
    let hooks = ShutdownHooks::of(&state);
    hooks.called.set(true);
    let waiting = hooks.waiting.take();
    waiting.into_iter().for_each(|hook| hook.push(&state));
}

/// Its name in reports.
const KIND: &str = "shutdown hooks";

/// A callback of [`on_shutdown`].
struct Hook {
    /// The callback.
    call: Box<dyn FnOnce()>,
    /// Where it was added.
    registered: Registered,
}

impl Hook {
    /// Has the hook called in the pending phase, as a callback of its own.
    fn push(self, state: &Rc<State>) {
        let inner = state.clone();
        let origin = self.registered.origin(KIND);
        let call = move || callback::call(&inner, origin, self.call);
        state.push_pending(Closure::new(call));
    }
}

/// The hooks of a worker's loop. A handle that holds nothing, so that they go with the others.
struct ShutdownHooks {
    /// Its entry among the loop's handles.
    registration: Registration,
    /// The hooks that wait for the notice, in the order added. Empty once it has come.
    waiting: RefCell<Vec<Hook>>,
    /// The notice has come: a hook that is added now is called soon.
    called: Cell<bool>,
}

impl ShutdownHooks {
    fn of(state: &Rc<State>) -> Rc<ShutdownHooks> {
        if let Some(hooks) = state.extension::<ShutdownHooks>() {
            return hooks;
        }
        let hooks = Rc::new(ShutdownHooks {
            registration: Registration::new(state.clone()),
            waiting: RefCell::default(),
            called: Cell::new(false),
        });
        hooks.registration.open(hooks.clone(), here(), false);
        state.set_extension(hooks.clone());
        hooks
    }
}

impl Handle for ShutdownHooks {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        drop(state.remove_extension::<ShutdownHooks>());
        self.waiting.take().into_iter().for_each(callback::drop_quietly);
    }
}
