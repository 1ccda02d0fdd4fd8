//! The calls of a loop that is observed: told to the observers, and else as they are.
//!
//! What is queued while somebody observes is queued as a closure that first says where it comes
//! from ([`noted`]). Nothing here is on the path of a loop that nobody observes.

use std::panic::{self, AssertUnwindSafe, Location};
use std::thread;

use super::on_drop::OnDrop;
use crate::alloc;
use crate::clock::{self, Nanos};
use crate::queue::immediate;
use crate::queue::ring::Ring;
use crate::state::State;
use crate::state::current;
use crate::trace::account::Sort;
use crate::trace::cause;
use crate::trace::detail::{Detail, Named, Queue};
use crate::trace::label;
use crate::trace::origin::Origin;
use crate::trace::teller;
use crate::virtual_time::scheduler::Member;

/// As [`call`](super::call).
#[cold]
#[inline(never)]
pub(super) fn call(
    state: &State,
    kind: &'static str,
    place: Option<Place>,
    cause: u64,
    f: impl FnOnce(),
) {
    let origin = Origin { kind, place, cause };
    tell(state, None, sort_of(origin), origin, f);
    super::drain(state);
}

/// As [`invoke`](super::invoke).
#[cold]
pub(super) fn invoke<R>(state: &State, origin: Origin, f: impl FnOnce() -> R) -> thread::Result<R> {
    panic::catch_unwind(AssertUnwindSafe(|| tell(state, None, sort_of(origin), origin, f).0))
}

/// Calls the closures of a queue while somebody observes. False if there is none any more, or if
/// none may run any more.
#[cold]
#[inline(never)]
pub(super) fn call_all(state: &State, queue: &Ring, sort: Sort) -> bool {
    let kind = if sort == Sort::Tick { "tick" } else { "microtask" };
    let mut time = None;
    while !state.is_halted() && !queue.is_empty() {
        if !state.is_observed() {
            return true;
        }
        // Nothing of the program's runs between two of them: the end of one is the beginning of the
        // next.
        time = tell(state, time, sort, Origin::unknown(kind), || queue.call_first()).1;
        if alloc::is_over_limit() {
            state.end_for_memory();
        }
    }
    false
}

/// Calls the first of what waits until the queues are empty, while somebody observes.
#[cold]
#[inline(never)]
pub(super) fn call_drained(state: &State) {
    tell(state, None, Sort::Drained, Origin::unknown(DRAINED), || state.drained.call_first());
}

impl State {
    /// Calls a main script, without its drain.
    pub(crate) fn call_main<R>(
        &self,
        place: &'static Location<'static>,
        main: impl FnOnce() -> R,
    ) -> R {
        if self.is_observed() {
            tell(self, None, Sort::Main, Origin::at(MAIN, place), main).0
        } else {
            main()
        }
    }
}

/// The kind of what is called when the queues are empty.
const DRAINED: &str = "drained callback";

/// The kind of a main script.
pub(crate) const MAIN: &str = "main";

fn sort_of(origin: Origin) -> Sort {
    if origin.kind == MAIN { Sort::Main } else { Sort::Macrotask }
}

/// Tells the observers of a call, before and after it. It begins at this time, or now. Returns with
/// its result when it has ended, if somebody wants to know that.
fn tell<R>(
    state: &State,
    time: Option<Nanos>,
    sort: Sort,
    origin: Origin,
    f: impl FnOnce() -> R,
) -> (R, Option<Nanos>) {
    let (teller, clock) = (&state.teller, &state.clock);
    let queued = || state.ticks.len() + state.microtasks.len() + state.immediates.len();
    teller.begin(clock, time, sort, origin, queued);
    let end = |panicked| {
        if let Some(member) = &state.virtual_time {
            note(state, member);
        }
        teller.end(clock, panicked)
    };
    let if_it_panics = OnDrop(|| {
        end(true);
    });
    let result = f();
    if_it_panics.forget();
    (result, end(false))
}

/// Queues a tick where more than the push is to be done: the loop is observed, or takes nothing in
/// any more.
#[cold]
#[inline(never)]
pub(crate) fn queue_tick(state: &State, place: Place, f: impl FnOnce() + 'static) {
    if state.is_open() {
        let place = label::at(place);
        state.ticks.push(noted(|| "tick", place, f));
        state.tell_queued(Queue::Ticks, None, "tick", Some(place));
    }
}

/// As [`queue_tick`], for a microtask.
#[cold]
#[inline(never)]
pub(crate) fn queue_microtask(state: &State, place: Place, f: impl FnOnce() + 'static) {
    if state.is_open() {
        let place = label::at(place);
        state.microtasks.push(noted(|| "microtask", place, f));
        state.tell_queued(Queue::Microtasks, None, "microtask", Some(place));
    }
}

/// As [`queue_tick`], for what is called when the queues are empty. Details do not tell of its
/// queue.
#[cold]
#[inline(never)]
pub(crate) fn queue_drained(state: &State, place: Place, f: impl FnOnce() + 'static) {
    if state.is_open() {
        state.drained.push(noted(|| DRAINED, label::at(place), f));
    }
}

/// A callback of a loop in virtual time is over: it is noted, and in a simulation has taken time.
#[cold]
#[inline(never)]
fn note(state: &State, member: &Member) {
    let (clock, teller) = (&state.clock, &state.teller);
    clock.took(member.note(teller.kind(), teller.phase(), clock.read()));
}

/// As [`queue_tick`], for an immediate. Returns its number: `u64::MAX` if its loop has ended.
#[cold]
#[inline(never)]
pub(crate) fn queue_immediate(state: &State, place: Place, f: impl FnOnce() + 'static) -> u64 {
    if !state.is_open() {
        return u64::MAX;
    }
    let number = state.immediates.push(f, place, cause::running());
    state.tell_queued(
        Queue::Immediates,
        Some(Named::Immediate(number)),
        immediate::KIND,
        Some(place),
    );
    number
}

/// A line of the program.
pub(crate) type Place = &'static Location<'static>;

/// A closure that first says where it comes from, then does what it is for. It is queued now, at
/// this place.
///
/// The kind comes by a function, which takes no room: a closure of one word stays in the queue and
/// is not boxed.
pub(crate) fn noted(
    kind: impl Fn() -> &'static str,
    place: Place,
    f: impl FnOnce(),
) -> impl FnOnce() {
    let cause = cause::running();
    move || {
        say(0, Origin { kind: kind(), place: Some(place), cause });
        f();
    }
}

/// What has this id was asked for once more, by what runs on this thread.
pub(crate) fn link(id: u64) {
    let linked = current::with(|state| state.teller.link(state.clock.read(), id));
    if linked.is_none() {
        teller::of_pool_thread(|teller| teller.link(clock::monotonic(), id));
    }
}

/// Tells a detail of what happens on this thread: on its loop's track, or on that of its pool
/// thread. On a thread that is neither nobody hears it.
#[cold]
pub(crate) fn tell_here(detail: Detail) {
    if current::with_owner(|state| state.say(detail)).is_none() {
        teller::of_pool_thread(|teller| teller.say(clock::monotonic(), detail));
    }
}

/// The callback that runs on this thread has this id, unless that is zero, and this origin.
pub(crate) fn say(id: u64, origin: Origin) {
    current::with(|state| {
        state.set_running(origin.place);
        state.teller.tell(id, origin);
    });
}
