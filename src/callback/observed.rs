//! The calls of a loop that is observed: told to the observers, and else as they are.
//!
//! What is queued while somebody observes is queued as a closure that first says where it comes
//! from ([`noted`]). Nothing here is on the path of a loop that nobody observes.

use std::panic::{self, AssertUnwindSafe, Location};
use std::thread;

use crate::clock;
use crate::queue::ring::Ring;
use crate::state::State;
use crate::state::current;
use crate::trace::account::Sort;
use crate::trace::cause;
use crate::trace::origin::Origin;
use crate::trace::teller::{self, Call};

/// As [`call`](super::call).
#[cold]
pub(super) fn call(state: &State, origin: Origin, f: impl FnOnce()) {
    tell(state, sort_of(origin), origin, f);
    super::drain(state);
}

/// As [`invoke`](super::invoke).
#[cold]
pub(super) fn invoke<R>(state: &State, origin: Origin, f: impl FnOnce() -> R) -> thread::Result<R> {
    panic::catch_unwind(AssertUnwindSafe(|| tell(state, sort_of(origin), origin, f)))
}

/// As `call_first` of the queue.
#[cold]
pub(super) fn call_next(state: &State, queue: &Ring, sort: Sort) -> bool {
    let kind = if sort == Sort::Tick { "tick" } else { "microtask" };
    !queue.is_empty() && tell(state, sort, Origin::unknown(kind), || queue.call_first())
}

impl State {
    /// Calls a main script, without its drain.
    pub(crate) fn call_main<R>(
        &self,
        place: &'static Location<'static>,
        main: impl FnOnce() -> R,
    ) -> R {
        if self.is_observed() {
            tell(self, Sort::Main, Origin::at(MAIN, place), main)
        } else {
            main()
        }
    }
}

/// The kind of a main script.
pub(crate) const MAIN: &str = "main";

fn sort_of(origin: Origin) -> Sort {
    if origin.kind == MAIN { Sort::Main } else { Sort::Macrotask }
}

/// Tells the observers of a call, before and after it.
fn tell<R>(state: &State, sort: Sort, origin: Origin, f: impl FnOnce() -> R) -> R {
    let queued = || state.ticks.len() + state.microtasks.len() + state.immediates.len();
    let outer = state.teller.begin(&state.clock, sort, origin, queued);
    let _end = End { state, outer };
    f()
}

/// Tells the end of a call, also when a panic passes by.
struct End<'a> {
    /// Where the call is.
    state: &'a State,
    /// The call within which it is.
    outer: Option<Call>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let State { teller, clock, virtual_time, .. } = self.state;
        if let Some(member) = virtual_time {
            member.note(teller.kind(), teller.phase(), clock.now());
        }
        self.state.teller.end(&self.state.clock, thread::panicking(), self.outer);
    }
}

/// Queues a tick where more than the push is to be done: the loop is observed, or takes nothing in
/// any more.
#[cold]
#[inline(never)]
pub(crate) fn queue_tick(state: &State, place: Place, f: impl FnOnce() + 'static) {
    if state.is_open() {
        state.ticks.push(noted(|| "tick", place, f));
    }
}

/// As [`queue_tick`], for a microtask.
#[cold]
#[inline(never)]
pub(crate) fn queue_microtask(state: &State, place: Place, f: impl FnOnce() + 'static) {
    if state.is_open() {
        state.microtasks.push(noted(|| "microtask", place, f));
    }
}

/// A line of the program.
type Place = &'static Location<'static>;

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

/// The callback that runs on this thread has this id, unless that is zero, and this origin.
pub(crate) fn say(id: u64, origin: Origin) {
    current::with(|state| {
        state.set_running(origin.place);
        state.teller.tell(id, origin);
    });
}
