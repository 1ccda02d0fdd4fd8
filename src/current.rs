//! Which loop is current on this thread, which loops live on it, and whether one of them is turning.
//!
//! The verbs at the crate root act on the current loop. Ids such as a `Timer` are `Copy` and only name
//! their loop by number; they find it here, also when another loop is current.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::event_loop::State;

thread_local! {
    /// The loop that the verbs act on.
    static CURRENT: Cell<Option<Rc<State>>> = const { Cell::new(None) };
    /// Every loop of this thread that has not been dropped.
    static LOOPS: RefCell<Vec<Weak<State>>> = const { RefCell::new(Vec::new()) };
    /// Whether a loop of this thread is being turned.
    static TURNING: Cell<bool> = const { Cell::new(false) };
}

/// The current loop, if there is one. None while the thread is being torn down.
#[inline]
pub(crate) fn get() -> Option<Rc<State>> {
    CURRENT
        .try_with(|cell| {
            let current = cell.take();
            let found = current.clone();
            cell.set(current);
            found
        })
        .ok()
        .flatten()
}

/// The current loop.
///
/// # Panics
/// When no loop is current, at the caller's line.
#[inline]
#[track_caller]
pub(crate) fn expect(verb: &str) -> Rc<State> {
    match get() {
        Some(state) => state,
        None => panic!(
            "windlass: {verb} needs a loop on this thread: call it inside windlass::run, \
             windlass::block_on, Loop::enter or a callback of a loop"
        ),
    }
}

/// The loop with this number if it lives on this thread.
#[inline]
pub(crate) fn find(id: u32) -> Option<Rc<State>> {
    match get() {
        Some(current) if current.id == id => Some(current),
        _ => LOOPS
            .try_with(|loops| loops.borrow().iter().filter_map(Weak::upgrade).find(|l| l.id == id))
            .ok()
            .flatten(),
    }
}

/// Makes a new loop known to [`find`].
pub(crate) fn register(state: &Rc<State>) {
    LOOPS.with(|loops| {
        let mut loops = loops.borrow_mut();
        loops.retain(|known| known.strong_count() > 0);
        loops.push(Rc::downgrade(state));
    });
}

/// Makes `state` the current loop until the guard is dropped.
pub(crate) fn enter(state: &Rc<State>) -> Entered {
    let before = CURRENT.try_with(|cell| cell.replace(Some(state.clone()))).ok().flatten();
    Entered { before }
}

/// Puts the loop back that was current before. Guards nest like the scopes they stand for.
pub(crate) struct Entered {
    before: Option<Rc<State>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Fails only while the thread's locals are being destroyed, when nothing is current.
        let left = CURRENT.try_with(|cell| cell.replace(self.before.take())).ok();
        drop(left);
    }
}

/// Marks this thread as turning a loop until the guard is dropped.
///
/// # Panics
/// When it is already: a loop inside a callback would never let the outer one go on.
#[track_caller]
pub(crate) fn start_turning(verb: &str) -> Turning {
    assert!(
        !TURNING.get(),
        "windlass: {verb} was called while a loop is running on this thread, inside a callback or a main script. \
         Use spawn to run a future on the running loop, or Worker::spawn_async for a loop of its own"
    );
    TURNING.set(true);
    Turning(())
}

pub(crate) struct Turning(());

impl Drop for Turning {
    fn drop(&mut self) {
        TURNING.set(false);
    }
}
