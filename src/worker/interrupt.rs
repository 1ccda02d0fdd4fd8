//! The end of a worker for code that no unwind may cross, as an engine in another language: it asks
//! whether it is to return, and is told on another thread.
//!
//! An engine that runs a script calls its host now and then (its *interrupt handler*), and when it
//! allocates. Both are in the middle of frames of C, so a host marks, asks and returns; its own
//! unwinding follows, and then the callback returns to the loop, which ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shared::{Shared, this_worker, with_this};
use super::this;
use crate::alloc;
use crate::callback;
use crate::state::State;
use crate::state::current;

/// Whether the callback that runs is to return soon. See [`must_return`](crate::must_return).
pub(crate) fn must_return() -> bool {
    if current::is_in_job() {
        return false; // In virtual time a job runs on its loop's thread, and is no callback of it.
    }
    if alloc::is_over_limit() {
        this::with_own_loop(State::end_for_memory);
    }
    current::with(State::must_return) == Some(true)
        || this::with_own_loop(State::must_return) == Some(true)
        || with_this(|shared| shared.is_terminated()) == Some(true)
}

/// Whether this thread may not allocate `bytes` more, for that would be over its worker's
/// [`memory_limit`](super::WorkerBuilder::memory_limit). If so the worker ends, with
/// [`WorkerError::OutOfMemory`](super::WorkerError::OutOfMemory).
///
/// For the allocator of an engine that cannot be unwound: it gives the engine a null pointer, which
/// fails as the engine fails, and [`must_return`](crate::must_return) is true from then on. After
/// the first refusal a mebibyte more is allowed, so that the engine can make its error and come to
/// its end. Between callbacks and at checkpoints the limit is looked at as ever.
///
/// Counted is what goes through the global allocator, [`alloc::Counting`]: an engine's heap is, if
/// its allocator calls [`std::alloc::alloc`]. False where there is no limit.
///
/// # Cost
/// An addition and a comparison.
///
/// # Examples
/// ```
/// use std::alloc::Layout;
/// use std::ptr;
///
/// /// What an engine in C is given for its `malloc`.
/// fn allocate(layout: Layout) -> *mut u8 {
///     if windlass::worker::refuse_allocation(layout.size()) {
///         return ptr::null_mut();
///     }
///     // SAFETY: engines ask for more than nothing.
///     unsafe { std::alloc::alloc(layout) }
/// }
/// # let layout = Layout::new::<u64>();
/// # let block = allocate(layout);
/// # assert!(!block.is_null());
/// # unsafe { std::alloc::dealloc(block, layout) };
/// ```
#[inline]
pub fn refuse_allocation(bytes: usize) -> bool {
    alloc::would_exceed(bytes) && refuse(bytes)
}

#[cold]
fn refuse(bytes: usize) -> bool {
    this::with_own_loop(|state| state.end_for_refused(bytes)).is_some()
}

/// Whether a worker was told to terminate, for any thread to ask. Made by [`termination`].
///
/// # Examples
/// ```
/// use windlass::worker::{self, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<(), ()>::spawn(|port| {
///         let termination = worker::termination();
///         port.post(());
///         while !termination.is_requested() {} // The next piece of a long computation.
///     })?;
///     worker.recv().await;
///     assert_eq!(worker.terminate().await, 1);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Termination {
    /// What the worker and its parent share. None on a thread that is no worker.
    shared: Option<Arc<Shared>>,
}

impl Termination {
    /// Whether the worker was told to terminate: by [`terminate`](super::Worker::terminate), by the
    /// deadline of a [`shutdown`](super::Worker::shutdown), or because its parent's loop ends. Not
    /// by its own [`exit`](crate::exit). Two loads.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_terminated())
    }
}

impl fmt::Debug for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Termination").field("requested", &self.is_requested()).finish()
    }
}

/// The [`Termination`] of this worker. On a thread that is no worker it is never requested.
///
/// # Examples
/// ```
/// assert!(!windlass::worker::termination().is_requested()); // This is no worker.
/// ```
pub fn termination() -> Termination {
    Termination { shared: this_worker() }
}

/// Has `f` called when this worker is told to terminate, at once, on the thread that does it.
///
/// To wake the worker out of a wait that the crate does not know, or to tell an engine that it is
/// to stop: the worker itself sees its end only between two callbacks. `f` is called once at most,
/// at the latest [`Termination::is_requested`] is true by then. It should be short: the loop of the
/// parent stands still meanwhile. If the worker has been told already, `f` is called here.
///
/// It stays until the [`Interrupter`] is dropped, or the worker has ended; then it is dropped
/// uncalled. It may still be running when it is taken away, for it runs on another thread. A panic
/// of `f` is logged. On a thread that is no worker `f` is dropped.
///
/// # Examples
/// ```
/// use std::sync::mpsc;
/// use windlass::worker::{self, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<(), ()>::spawn(|port| {
///         let (wake, woken) = mpsc::channel();
///         let _interrupter = worker::interrupt_with(move || wake.send(()).unwrap());
///         port.post(());
///         woken.recv().unwrap(); // Blocks the loop: no message could end this.
///     })?;
///     worker.recv().await;
///     assert_eq!(worker.terminate().await, 1);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn interrupt_with(f: impl FnOnce() + Send + 'static) -> Interrupter {
    let Some(shared) = this_worker() else { return Interrupter { at: None } };
    let mut waiting = shared.interrupts.lock();
    if waiting.called {
        drop(waiting);
        call(Box::new(f));
        return Interrupter { at: None };
    }
    waiting.last += 1;
    let number = waiting.last;
    waiting.hooks.insert(number, Box::new(f));
    drop(waiting);
    Interrupter { at: Some((shared, number)) }
}

/// Keeps what [`interrupt_with`] was given: with it the hook goes.
///
/// # Examples
/// ```
/// use windlass::worker;
///
/// let interrupter = worker::interrupt_with(|| println!("an engine is told to stop"));
/// // Here the engine runs a script.
/// drop(interrupter);
/// ```
#[must_use = "the hook is taken away when this is dropped"]
pub struct Interrupter {
    /// The worker that has the hook, and its number there. None if nothing will be called.
    at: Option<(Arc<Shared>, u64)>,
}

impl Drop for Interrupter {
    fn drop(&mut self) {
        let Some((shared, number)) = self.at.take() else { return };
        let hook = shared.interrupts.lock().hooks.remove(&number);
        // It may hold another interrupter, and so on.
        callback::drop_nested(hook);
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

/// A hook of [`interrupt_with`].
type Hook = Box<dyn FnOnce() + Send>;

/// The hooks of a worker that are called when it is told to terminate.
#[derive(Default)]
pub(super) struct Interrupts(Mutex<Waiting>);

/// What the lock guards.
#[derive(Default)]
struct Waiting {
    /// The worker was told, or has ended: what comes now is not kept.
    called: bool,
    /// The number of the last hook.
    last: u64,
    /// The hooks by number, so in the order added. A tree, so that one of many can be taken away.
    hooks: BTreeMap<u64, Hook>,
}

impl Interrupts {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No hook is called or dropped under the lock, so a poisoned list is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> BTreeMap<u64, Hook> {
        let mut waiting = self.lock();
        waiting.called = true;
        std::mem::take(&mut waiting.hooks)
    }

    /// The worker was told to terminate. On the thread that told it.
    pub(super) fn raise(&self) {
        self.take().into_values().for_each(call);
    }

    /// The worker has ended. On its thread.
    pub(super) fn end(&self) {
        self.take().into_values().for_each(callback::drop_quietly);
    }
}

/// Calls a hook. A panic of it concerns neither thread.
fn call(hook: Hook) {
    if let Err(panic) = callback::attempt(hook) {
        log::error!("an interrupter of a worker panicked: {}", panic.message());
        callback::drop_quietly(panic);
    }
}
