//! What a worker can ask of itself, and what it inherits.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::shared::Shared;
use crate::alloc;
use crate::callback;
use crate::event_loop::State;
use crate::event_loop::current;
use crate::handle::{Handle, Registration};
use crate::queue::closure::Closure;

thread_local! {
    /// The worker whose thread this is.
    static THIS_WORKER: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    /// Its loop's number, once its main script has begun.
    static BEGUN_LOOP: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Makes this thread a worker's, or no worker's any more.
pub(super) fn set_this_worker(shared: Option<Arc<Shared>>) {
    drop(THIS_WORKER.with(|this| this.replace(shared)));
}

/// The worker's main script begins, on the current loop.
pub(super) fn begin() {
    BEGUN_LOOP.set(current::with(|state| state.id));
}

/// Whether the worker's main script has begun. Letters may come before, handlers do not.
pub(super) fn has_begun() -> bool {
    BEGUN_LOOP.get().is_some()
}

fn this_worker() -> Option<Arc<Shared>> {
    if current::is_in_job() {
        return None; // Which is on a pool thread but in virtual time.
    }
    // Not there any more for destructors of the thread's other locals.
    THIS_WORKER.try_with(|this| this.borrow().clone()).ok().flatten()
}

/// What is left of the time in which this worker has to end, if its parent's loop ends.
pub(super) fn time_left() -> Option<Duration> {
    this_worker()?.own_time_left()
}

/// The number of the worker that this thread is, unique in the process and never used again; 0 on other
/// threads.
pub fn id() -> u64 {
    this_worker().map_or(0, |shared| shared.id)
}

/// Whether this thread is no worker.
pub fn is_main() -> bool {
    this_worker().is_none()
}

/// Whether this worker was told to terminate, or to [`exit`](crate::exit). False on other threads.
///
/// # Examples
/// ```
/// fn count_primes(up_to: u64) -> u64 {
///     let is_prime = |n: &u64| (2..=n.isqrt()).all(|divisor| n % divisor != 0);
///     (2..up_to).take_while(|_| !windlass::worker::is_terminating()).filter(is_prime).count() as u64
/// }
/// assert_eq!(count_primes(100), 25);
/// ```
pub fn is_terminating() -> bool {
    this_worker().is_some_and(|shared| shared.mailbox.is_halted())
}

/// Whether this worker was asked to [`shutdown`](super::Worker::shutdown), also when the notice has
/// not come to its turn yet. False on other threads.
pub fn is_shutting_down() -> bool {
    this_worker().is_some_and(|shared| shared.finishing.load(Ordering::SeqCst))
}

/// Ends this worker here if it was told to terminate, or if it is over its
/// [`memory_limit`](super::WorkerBuilder::memory_limit).
///
/// The rest of the callback is left by an unwind, which drops what is on the stack and which the worker
/// catches; no message is shown. Does nothing otherwise, and on other threads. In a program that
/// aborts on panic there is no unwind: the worker then ends at the end of its callback, as it would
/// without the checkpoint.
pub fn checkpoint() {
    // Not the current loop, which may be another one that the worker has made and entered.
    if alloc::is_over_limit()
        && let Some(id) = BEGUN_LOOP.get()
    {
        current::find_with(id, |state| state.end_for_memory());
    }
    if cfg!(panic = "unwind") && is_terminating() && !std::thread::panicking() {
        callback::halt();
    }
}

/// Calls `f` when this worker is asked to [`shutdown`](super::Worker::shutdown).
///
/// By then everything that was posted to it before has been delivered, if it has a handler. The
/// port to the parent does not hold the worker's loop any more, and a receive on it gives none; posting
/// to the parent still works. What else keeps the loop alive (a listener, an interval) is for `f` to
/// close. When nothing is alive the worker ends by itself, and else when the deadline comes.
///
/// Callbacks accumulate and are called in the order added, each once. When the notice has come already,
/// `f` is called soon. On a loop that is no worker's `f` is dropped. At a plain
/// [`terminate`](super::Worker::terminate) it is dropped uncalled.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::worker::{Port, Worker, on_terminating};
///
/// windlass::block_on(async {
///     let worker = Worker::spawn(|port: Port<&str, ()>| {
///         let beat = windlass::set_interval(Duration::from_secs(1), |_| ());
///         on_terminating(move || {
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
pub fn on_terminating(f: impl FnOnce() + 'static) {
    let state = current::expect("worker::on_terminating");
    if is_main() || !state.is_open() {
        return;
    }
    let hook = Hook { call: Box::new(f), location: Location::caller() };
    let hooks = TerminatingHooks::of(&state);
    if hooks.called.get() {
        hook.push(&state);
    } else {
        hooks.waiting.borrow_mut().push(hook);
    }
}

/// The notice has come, on the worker's loop.
pub(super) fn call_terminating_hooks() {
    let Some(state) = current::get().filter(|state| state.is_open()) else { return };
    if !has_begun() {
        // The hooks and the handler of the port are yet to come. In the next poll phase the port
        // comes first, with all that was posted before.
        return state.mailbox.post(call_terminating_hooks).unwrap_or_else(drop);
    }
    let hooks = TerminatingHooks::of(&state);
    hooks.called.set(true);
    let waiting = hooks.waiting.take();
    waiting.into_iter().for_each(|hook| hook.push(&state));
}

struct Hook {
    call: Box<dyn FnOnce()>,
    location: &'static Location<'static>,
}

impl Hook {
    /// Has the hook called in the pending phase, as a callback of its own.
    fn push(self, state: &Rc<State>) {
        let inner = state.clone();
        let call = move || callback::call(&inner, Some(self.location), self.call);
        state.pending.push(Closure::new(call));
    }
}

/// The hooks of a worker's loop. A handle that holds nothing, so that they go with the others.
struct TerminatingHooks {
    registration: Registration,
    waiting: RefCell<Vec<Hook>>,
    /// The notice has come.
    called: Cell<bool>,
}

impl TerminatingHooks {
    fn of(state: &Rc<State>) -> Rc<TerminatingHooks> {
        if let Some(hooks) = state.extension::<TerminatingHooks>() {
            return hooks;
        }
        let hooks = Rc::new(TerminatingHooks {
            registration: Registration::new(state.clone()),
            waiting: RefCell::default(),
            called: Cell::new(false),
        });
        hooks.registration.open(hooks.clone(), Location::caller(), false);
        state.set_extension(hooks.clone());
        hooks
    }
}

impl Handle for TerminatingHooks {
    fn kind(&self) -> &'static str {
        "terminating hooks"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        drop(state.remove_extension::<TerminatingHooks>());
        self.waiting.take().into_iter().for_each(callback::drop_quietly);
    }
}

/// What workers inherit: one value of each type.
pub(super) type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// The environment of a loop.
#[derive(Default)]
struct Environment(RefCell<Values>);

/// Sets what workers that this loop starts from now on find as their [`environment`], beside values of other
/// types.
///
/// The value is shared, not copied; which value there is, is copied when a worker starts. So a
/// later call here is not seen by workers that run already, and workers of workers inherit it. Node:
/// `setEnvironmentData`, with types for keys.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::worker::{self, Port, Worker};
///
/// struct Verbose(bool);
///
/// windlass::block_on(async {
///     worker::set_environment(Verbose(true));
///     let worker = Worker::spawn(|port: Port<bool, ()>| {
///         port.post(worker::environment::<Verbose>().is_some_and(|verbose| verbose.0));
///     })?;
///     assert_eq!(worker.recv().await, Some(true));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_environment<T: Send + Sync + 'static>(value: T) {
    let state = current::expect("worker::set_environment");
    if !state.is_open() {
        return;
    }
    let environment = state.extension::<Environment>().unwrap_or_else(|| {
        let new = Rc::new(Environment::default());
        state.set_extension(new.clone());
        new
    });
    let before = environment.0.borrow_mut().insert(TypeId::of::<T>(), Arc::new(value));
    drop(before);
}

/// The value of this type that the current loop's worker was started with, or that was set here since.
///
/// # Panics
/// When no loop is current.
#[track_caller]
pub fn environment<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    let state = current::expect("worker::environment");
    let environment = state.extension::<Environment>()?;
    let value = environment.0.borrow().get(&TypeId::of::<T>()).cloned()?;
    value.downcast().ok()
}

/// A copy of a loop's environment, for a worker.
pub(super) fn inherited(state: &State) -> Values {
    state.extension::<Environment>().map_or_else(Values::new, |own| own.0.borrow().clone())
}

/// Gives a worker's new loop what it inherits.
pub(super) fn inherit(state: &State, values: Values) {
    if !values.is_empty() {
        state.set_extension(Rc::new(Environment(RefCell::new(values))));
    }
}
