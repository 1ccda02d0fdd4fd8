//! Which loop is current on this thread, which loops live on it, and whether one of them is
//! turning.
//!
//! The verbs at the crate root act on the current loop. Ids such as a `Timer` are `Copy` and only
//! name their loop by number; they find it here, also when another loop is current.
//!
//! The current loop is kept as a bare pointer, so that [`with`] is one load and one comparison. A
//! counted `Rc` in the thread-local, taken out and cloned by each verb, costs two more writes to
//! the cell, two to the count, and the check whether the thread is being torn down: 12 of the 50
//! instructions of a `queue_microtask`.
//!
//! One of the files with `unsafe` code. It rests on one fact: the pointer is only ever set by
//! [`enter`], and the guard that this returns owns an `Rc` of the state and puts the pointer back
//! that was there before. Guards are bound to a local of the function that enters, so they end in
//! the opposite order of their making, and every reader of the pointer runs in a frame above them.
//! [`run_job`] sets it to null for the length of one call.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Instant;

use crate::clock::{self, Nanos};
use crate::state::State;
use crate::virtual_time::arrivals::Place;
use crate::virtual_time::chance::Chance;

thread_local! {
    /// The loop that the verbs act on, or null. Needs no destructor, so it can be read until the
    /// end of the thread.
    static CURRENT: Cell<*const State> = const { Cell::new(ptr::null()) };
    /// Every loop of this thread that has not been dropped, by number: numbers are given in
    /// ascending order.
    static LOOPS: RefCell<Vec<(u32, Weak<State>)>> = const { RefCell::new(Vec::new()) };
    /// Whether a loop of this thread is being turned.
    static TURNING: Cell<bool> = const { Cell::new(false) };
    /// The loop whose pool job this thread runs, if one does that in virtual time, or null.
    static JOB_OF: Cell<*const State> = const { Cell::new(ptr::null()) };
}

/// Does something with the current loop, if there is one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&State) -> R) -> Option<R> {
    // SAFETY: the pointer is null or was set by `enter`, whose guard stands in a frame below this
    // one and keeps the state alive until that frame goes on.
    let state = unsafe { CURRENT.get().as_ref() };
    state.map(f)
}

/// Does something with the current loop.
///
/// # Panics
/// When no loop is current, at the caller's line.
#[inline]
#[track_caller]
pub(crate) fn expect_with<R>(verb: &str, f: impl FnOnce(&State) -> R) -> R {
    match with(f) {
        Some(result) => result,
        None => missing(verb),
    }
}

/// The current loop, if there is one, counted.
#[inline]
pub(crate) fn get() -> Option<Rc<State>> {
    let pointer = CURRENT.get();
    if pointer.is_null() {
        return None;
    }
    // SAFETY: `enter` made the pointer from an `Rc` that its guard still holds (see `with`). The
    // count goes up first, so the new `Rc` has a count of its own.
    unsafe {
        Rc::increment_strong_count(pointer);
        Some(Rc::from_raw(pointer))
    }
}

/// The current loop, counted.
///
/// # Panics
/// When no loop is current, at the caller's line.
#[inline]
#[track_caller]
pub(crate) fn expect(verb: &str) -> Rc<State> {
    match get() {
        Some(state) => state,
        None => missing(verb),
    }
}

#[cold]
#[track_caller]
fn missing(verb: &str) -> ! {
    panic!(
        "windlass: {verb} needs a loop on this thread: call it inside windlass::run, \
         windlass::block_on, Loop::enter or a callback of a loop"
    )
}

/// Does something with the loop that has this number, if it lives on this thread.
#[inline]
pub(crate) fn find_with<R>(id: u32, f: impl FnOnce(&State) -> R) -> Option<R> {
    // SAFETY: as in `with`.
    match unsafe { CURRENT.get().as_ref() } {
        Some(state) if state.id == id => Some(f(state)),
        _ => find_elsewhere(id, f),
    }
}

/// As [`find_with`], for an id that may be used on any thread. A pool job's thread is not its
/// loop's, also in virtual time.
#[inline]
pub(crate) fn find_id_with<R>(id: u32, f: impl FnOnce(&State) -> R) -> Option<R> {
    // SAFETY: as in `with`.
    match unsafe { CURRENT.get().as_ref() } {
        Some(state) if state.id == id => Some(f(state)),
        _ => find_id_elsewhere(id, f),
    }
}

/// As [`find_id_with`], apart from it, like [`find_elsewhere`].
#[cold]
#[inline(never)]
fn find_id_elsewhere<R>(id: u32, f: impl FnOnce(&State) -> R) -> Option<R> {
    find_id(id).map(|state| f(&state))
}

/// As [`find`], for an id that may be used on any thread.
pub(crate) fn find_id(id: u32) -> Option<Rc<State>> {
    if is_in_job_of(id) { None } else { find(id) }
}

/// Whether this thread runs a pool job of the loop with this number, in virtual time, and nothing
/// else of it.
pub(crate) fn is_in_job_of(id: u32) -> bool {
    // SAFETY: as in `with_owner`.
    let is_its_job = unsafe { JOB_OF.get().as_ref() }.is_some_and(|state| state.id == id);
    is_its_job && with(|state| state.id == id) != Some(true)
}

/// As [`find_with`], apart from it: its destructor would make the usual way save registers.
#[cold]
#[inline(never)]
fn find_elsewhere<R>(id: u32, f: impl FnOnce(&State) -> R) -> Option<R> {
    find(id).map(|state| f(&state))
}

/// The loop with this number if it lives on this thread.
#[inline]
pub(crate) fn find(id: u32) -> Option<Rc<State>> {
    match get() {
        Some(current) if current.id == id => Some(current),
        _ => LOOPS.try_with(|loops| find_in(&loops.borrow(), id)).ok().flatten(),
    }
}

fn find_in(loops: &[(u32, Weak<State>)], id: u32) -> Option<Rc<State>> {
    let index = loops.binary_search_by_key(&id, |(number, _)| *number).ok()?;
    loops[index].1.upgrade()
}

/// Makes a new loop known to [`find`].
///
/// Where the thread's locals are being dropped the list may be gone. A loop that is made there is
/// known while it is the current one.
pub(crate) fn register(state: &Rc<State>) {
    let push = |loops: &RefCell<Vec<(u32, Weak<State>)>>| {
        let mut loops = loops.borrow_mut();
        loops.retain(|(_, known)| known.strong_count() > 0);
        debug_assert!(loops.last().is_none_or(|(last, _)| *last < state.id));
        loops.push((state.id, Rc::downgrade(state)));
    };
    LOOPS.try_with(push).unwrap_or_default();
}

/// Where in virtual time this thread is, if it is.
pub(crate) fn place() -> Option<Place> {
    with_owner(|state| {
        let member = state.virtual_time.as_ref()?;
        let (program, number) = (member.program(), member.number());
        let (time, horizon) = (state.clock.read(), state.clock.horizon());
        Some(Place { mailbox: &raw const *state.mailbox, program, number, time, horizon })
    })
    .flatten()
}

/// How long a message is on its way that is sent here: zero but in a simulation.
pub(crate) fn message_time() -> Nanos {
    with_chance(Chance::message_time).unwrap_or(0)
}

/// Does something with what decides here what is open, in a simulation.
pub(crate) fn with_chance<R>(f: impl FnOnce(&Chance) -> R) -> Option<R> {
    with_owner(|state| state.chance().map(f)).flatten()
}

/// Does something with the current loop, or else with the one whose job this thread runs in virtual
/// time.
pub(crate) fn with_owner<R>(f: impl FnOnce(&State) -> R) -> Option<R> {
    let current = CURRENT.get();
    let owner = if current.is_null() { JOB_OF.get() } else { current };
    // SAFETY: null, or as in `with`, or set by `run_job`, which stands in a frame below this one
    // and borrows the state until that frame goes on.
    unsafe { owner.as_ref() }.map(f)
}

/// Whether a moment lies behind: in real time, or in the virtual time of the loop whose job this
/// thread runs.
pub(crate) fn is_past(moment: Instant) -> bool {
    let here = with_owner(|state| state.clock.instant_at(state.clock.read()));
    here.unwrap_or_else(clock::real_moment) > moment
}

/// Runs a pool job of this loop on its own thread, in virtual time. As on a pool thread, no loop is
/// current meanwhile, and a loop of the job's own may turn.
pub(crate) fn run_job<R>(state: &State, job: impl FnOnce() -> R) -> R {
    let _left = Left {
        current: CURRENT.replace(ptr::null()),
        turning: TURNING.replace(false),
        job_of: JOB_OF.replace(state),
    };
    job()
}

/// Whether this thread runs a pool job of its loop at the moment, in virtual time.
pub(crate) fn is_in_job() -> bool {
    !JOB_OF.get().is_null()
}

/// Puts back what was left for a job.
struct Left {
    /// What was in [`CURRENT`].
    current: *const State,
    /// What was in [`TURNING`].
    turning: bool,
    /// What was in [`JOB_OF`].
    job_of: *const State,
}

impl Drop for Left {
    fn drop(&mut self) {
        CURRENT.set(self.current);
        TURNING.set(self.turning);
        JOB_OF.set(self.job_of);
    }
}

impl State {
    /// Makes this the current loop while `f`, internal code, runs.
    pub(crate) fn enter_for<R>(self: &Rc<Self>, f: impl FnOnce() -> R) -> R {
        let _entered = enter(self);
        f()
    }
}

/// Makes `state` the current loop until the guard is dropped.
///
/// The guard must stay a local of the function that calls this.
pub(crate) fn enter(state: &Rc<State>) -> Entered {
    let before = CURRENT.replace(Rc::as_ptr(state));
    Entered { state: state.clone(), before }
}

/// Puts the loop back that was current before. Guards nest like the scopes they stand for.
pub(crate) struct Entered {
    /// Keeps what the pointer names alive.
    state: Rc<State>,
    /// The loop that was current before, or null.
    before: *const State,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = CURRENT.replace(self.before);
        debug_assert!(ptr::eq(left, Rc::as_ptr(&self.state)), "loops are left in turn");
    }
}

/// Marks this thread as turning a loop until the guard is dropped.
///
/// # Panics
/// When it is already: a loop inside a callback would never let the outer one go on.
#[track_caller]
pub(crate) fn start_turning(verb: &str) -> ThreadTurns {
    refuse_inside(verb);
    TURNING.set(true);
    ThreadTurns(())
}

/// Refuses what turns a loop, where a loop is turned already.
///
/// # Panics
/// When this thread turns one.
#[track_caller]
pub(crate) fn refuse_inside(verb: &str) {
    assert!(
        !TURNING.get(),
        "windlass: {verb} was called while a loop is running on this thread, inside a callback or \
         a main script. Use spawn to run a future on the running loop, or Worker::spawn_async for \
         a loop of its own"
    );
}

/// While it lives, its thread turns a loop.
pub(crate) struct ThreadTurns(());

impl Drop for ThreadTurns {
    fn drop(&mut self) {
        TURNING.set(false);
    }
}
