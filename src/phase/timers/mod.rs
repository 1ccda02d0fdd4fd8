//! The timers phase, and all there is about timers.
//!
//! Goals, in this order: Node's order of firing; arming, clearing and refreshing in constant time
//! for a delay that is in use; a fast answer to "when is the next one due?".
//!
//! Node's observation is that a program has many timers but few delays. All timers of one delay
//! stand in a list, and since each counts from its arming, a new one belongs at the end: the list
//! is in order without sorting. Only the lists have to be sorted, by when they expire, in a heap.
//!
//! ```text
//!   heap of lists, first to expire on top        delay -> list
//!        ┌───────────────┐
//!        │ 10 ms   @ 812 │── timer ── timer ── timer
//!        └───────┬───────┘   armed     armed     armed
//!         ┌──────┴───────┐    802       805       811
//!  ┌──────┴──────┐┌──────┴──────┐
//!  │ 250 ms @ 990 ││  1 s  @ 1430│── timer ── timer
//!  └─────────────┘└─────────────┘
//! ```
//!
//! A list's expiry is that of the timer that made the list, and it is looked at again only when the
//! list comes up: a list whose first timer was cleared runs up to a step early, finds nothing due,
//! and is put back with the expiry of its new first timer. A pass runs all due timers of a list
//! before it goes to the next one. Both can be seen in the order of overdue timers, so they are
//! kept as Node has them (`lib/internal/timers.js`; conformance rules 10 to 18).
//!
//! The timers stand in [`table`], [`lists`] finds the list of a delay, and [`heap`] sorts the
//! lists; each says why it has its shape. [`all`] is what a loop holds of them. They are plain data
//! and know no loop: this file does the calling.
//!
//! The next timer of a list is chosen when the callback of the one before has returned, before the
//! drain that comes between the two. So a tick or microtask that refreshes it comes too late: it
//! fires now, once. One that clears it comes in time. And a list of which no further timer is due
//! is put back before the drain too.
//!
//! A pass reads the clock once, at its start. A timer armed during the pass is due after that
//! moment, so it waits for the next pass. Times are nanoseconds, delays whole milliseconds, and a
//! timer is due when its delay has passed entirely: unlike Node's, which counts in milliseconds of
//! the clock, a timer is never early.

pub(crate) mod all;
mod heap;
mod lists;
mod table;
mod timer;
pub(crate) mod told;

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::callback;
use crate::callback::slot::and_drop;
use crate::clock::Nanos;
use crate::queue::closure::Callable;
use crate::state::State;
use crate::state::current;
use crate::trace::Phase;
use crate::trace::detail::{self, Queue};
use crate::trace::label::here;
use crate::trace::origin::Origin;
use crate::trace::ring::Happened;

use lists::NONE;
use table::{Due, Life, Table};
use timer::NANOS_PER_MILLI;

pub use timer::Timer;

/// Rounds up to whole milliseconds, and lifts 0 to 1.
#[inline]
fn to_delay(duration: Duration) -> u64 {
    let fraction = u64::from(duration.subsec_nanos()).div_ceil(NANOS_PER_MILLI);
    duration.as_secs().saturating_mul(1000).saturating_add(fraction).max(1)
}

/// Runs the timers that are due at the loop's cached time.
#[inline]
pub(crate) fn run(state: &Rc<State>) {
    if state.timers.any_waiting() {
        run_due(state);
    }
}

fn run_due(state: &Rc<State>) {
    state.begin_phase(Phase::Timers, || 0);
    // A timer that would be due at the last moment there is never is due.
    let now = state.clock.now().min(Nanos::MAX - 1);
    // A pass that a panic ended may have left a choice.
    state.timers.table.borrow_mut().forget_chosen(None);
    callback::guard(state, || {
        while !state.is_halted()
            && let Some(due) = take_due(state, now)
        {
            fire(state, due, now);
        }
    });
}

/// A function of its own, for a borrow in the condition of a loop lasts until the end of its body.
#[inline]
fn take_due(state: &State, now: Nanos) -> Option<Due> {
    state.timers.table.borrow_mut().take_due(state.id, now)
}

/// Calls a timer that is due, chooses the one that fires next, and drains the queues.
fn fire(state: &State, due: Due, now: Nanos) {
    let Due { timer, location, mut callback, life, list } = due;
    state.tell_taken(Queue::Timers, timer.named());
    let kind = if life == Life::IntervalFiring { "interval" } else { "timer" };
    // Who armed it is known only if that was observed.
    let cause =
        if state.is_observed() { state.teller.armed_by(timer.index, timer.generation) } else { 0 };
    let origin = Origin { kind, place: Some(location), cause };
    // The next period of an interval counts from here.
    let start = (life == Life::IntervalFiring).then(|| state.clock.read());
    let mut outcome = callback::invoke(state, origin, || callback.call(timer));
    if life != Life::Free {
        let cleared = state.timers.table.borrow_mut().put_back(timer, callback, start);
        if detail::is_wanted() && start.is_some() {
            told::tell(state, timer, Happened::Armed);
        }
        if let Some(cleared) = cleared {
            outcome = and_drop(outcome, cleared);
        }
    }
    state.timers.table.borrow_mut().choose(state.id, list, now);
    callback::settle(state, outcome);
}

impl Timer {
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&State, &mut Table) -> R) -> Option<R> {
        current::find_id_with(self.loop_id, |state| f(state, &mut state.timers.table.borrow_mut()))
    }

    /// Whether its loop lives on this thread.
    pub(crate) fn is_here(&self) -> bool {
        current::find_id_with(self.loop_id, |_| ()).is_some()
    }

    /// Keeps the timer from firing, for good, and drops its closure. Harmless when it has fired or
    /// was cleared, and in its own callback. A timer that is due in the running phase does not
    /// fire.
    pub fn clear(&self) {
        current::find_id_with(self.loop_id, |state| {
            let callback = state.timers.table.borrow_mut().clear(*self);
            state.tell_cleared(self.named());
            drop(callback);
        });
    }

    /// Counts the delay anew from now, and moves the timer behind the others of its delay.
    ///
    /// A `set_timer` that has fired is armed again. A `set_timeout` that has fired is spent, and a
    /// cleared timer gone: nothing happens.
    ///
    /// A timer that is due in the running phase does not fire then, with one exception, which is
    /// Node's: a tick or microtask between two timers of one delay comes too late for the second,
    /// which fires once, now, and is not armed again by that refresh.
    ///
    /// # Cost
    /// Constant, and reads the clock.
    pub fn refresh(&self) {
        current::find_id_with(self.loop_id, |state| {
            state.timers.table.borrow_mut().refresh(*self, state.clock.read());
            if detail::is_wanted() {
                told::tell(state, *self, Happened::Refreshed);
            }
        });
    }

    /// As [`refresh`](Timer::refresh), also when the timer was chosen to fire next: then it does
    /// not.
    pub(crate) fn restart(&self) {
        self.with(|_, table| table.forget_chosen(Some(*self)));
        self.refresh();
    }

    /// Lets the loop end although the timer is armed. It still fires while something else keeps the
    /// loop alive.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the timer keeps the loop alive while it is armed.
    pub fn set_ref(&self, on: bool) {
        self.with(|_, table| table.set_ref(*self, on));
        current::find_id_with(self.loop_id, |state| state.tell_referenced(self.named(), on));
    }

    /// Whether the timer exists and keeps the loop alive while it is armed.
    pub fn has_ref(&self) -> bool {
        self.with(|_, table| table.has_ref(*self)).unwrap_or(false)
    }

    /// Whether the timer will fire. A one-shot timer is not active in its own callback, an interval
    /// is.
    pub fn is_active(&self) -> bool {
        self.with(|_, table| table.due_at(*self)).flatten().is_some()
    }

    /// The time until the timer is due, by the loop's cached clock: the full delay right after
    /// arming, zero when overdue, none when it is not active.
    pub fn due_in(&self) -> Option<Duration> {
        self.with(|state, table| {
            let (due_at, delay) = table.due_at(*self)?;
            let left = due_at.saturating_sub(state.clock.now());
            Some(Duration::from_nanos(left.min(delay)))
        })
        .flatten()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("due_in", &self.due_in()).finish_non_exhaustive()
    }
}

/// `life` is one of the three that wait.
#[inline]
fn arm(
    state: &State,
    duration: Duration,
    life: Life,
    callback: impl FnOnce() -> Callable<Timer>,
    location: &'static Location<'static>,
) -> Timer {
    if !state.mailbox.takes_plainly() {
        return arm_noted(state, duration, life, callback, location);
    }
    insert(state, duration, life, callback, location)
}

#[inline(always)]
fn insert(
    state: &State,
    duration: Duration,
    life: Life,
    callback: impl FnOnce() -> Callable<Timer>,
    location: &'static Location<'static>,
) -> Timer {
    let (delay, start) = (to_delay(duration), state.clock.read());
    state.timers.table.borrow_mut().insert(state.id, life, callback, delay, start, location)
}

/// As [`arm`], where more is to be done: the loop is observed, or takes nothing in any more.
#[cold]
#[inline(never)]
fn arm_noted(
    state: &State,
    duration: Duration,
    life: Life,
    callback: impl FnOnce() -> Callable<Timer>,
    location: &'static Location<'static>,
) -> Timer {
    if !state.is_open() {
        drop(callback);
        return Timer { loop_id: 0, index: NONE, generation: 0 };
    }
    let timer = insert(state, duration, life, callback, location);
    state.teller.armed(timer.index, timer.generation);
    if detail::is_wanted() {
        told::tell(state, timer, Happened::Armed);
    }
    timer
}

/// Calls `f` once, in the timers phase, when `delay` has passed.
///
/// The delay counts from the moment of this call, not from the cached [`now`](crate::now), is
/// rounded up to whole milliseconds, and zero counts as one. It is a lower bound: a timer is never
/// early. The largest delays never pass.
///
/// # Ordering
/// As in Node: timers of one delay run in the order they were armed; delays whose timers are
/// overdue together run one after the other, the one that expires first leading. A timer armed in
/// the timers phase waits for the next one. Ticks and microtasks run before the following timer.
///
/// # Liveness
/// A timer keeps the loop alive until it fires or is cleared, unless it is
/// [`unref`](Timer::unref)'d.
///
/// # Cost
/// Constant for a delay that another timer uses, else logarithmic in the number of different
/// delays. A closure of up to three words is stored in the table; a larger one is boxed.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// windlass::run(|| {
///     windlass::set_timeout(Duration::from_millis(1), || println!("one millisecond"));
/// });
/// ```
#[inline]
#[track_caller]
pub fn set_timeout(delay: Duration, f: impl FnOnce() + 'static) -> Timer {
    let location = here();
    current::expect_with("set_timeout", |state| {
        arm(state, delay, Life::Timeout, || Callable::once(f), location)
    })
}

/// A timer of the crate's own, unref'd and on a given loop: it serves something that holds the loop
/// by itself.
pub(crate) fn set_internal(
    state: &Rc<State>,
    delay: Duration,
    location: &'static Location<'static>,
    f: impl FnOnce() + 'static,
) -> Timer {
    let timer = arm(state, delay, Life::Timeout, || Callable::once(f), location);
    timer.unref();
    timer
}

/// Calls `f` again and again, a `period` apart, until it is cleared.
///
/// The callback is handed its own timer. The next period counts from the start of the callback: a
/// 50 ms interval with a 17 ms callback fires again 33 ms after it. Held up for several periods,
/// it fires once, not once for each. After its callback the interval goes to the end of its delay's
/// list, behind timers that the callback armed. Otherwise as [`set_timeout`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// windlass::run(|| {
///     let mut left = 3;
///     windlass::set_interval(Duration::from_millis(1), move |timer| {
///         left -= 1;
///         if left == 0 {
///             timer.clear();
///         }
///     });
/// });
/// ```
#[track_caller]
pub fn set_interval(period: Duration, f: impl FnMut(Timer) + 'static) -> Timer {
    let location = here();
    current::expect_with("set_interval", |state| {
        arm(state, period, Life::Interval, || Callable::again(f), location)
    })
}

/// Calls `f` once when `delay` has passed, and once more after each [`refresh`](Timer::refresh),
/// also when it has fired.
///
/// What Node does with any timeout that is kept, and what time-outs of connections want. The
/// closure is kept until the timer is cleared or the loop ends: clear it when it is no longer
/// needed. Otherwise as [`set_timeout`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// windlass::run(|| {
///     let mut fired = 0;
///     windlass::set_timer(Duration::from_millis(1), move |timer| {
///         fired += 1;
///         if fired < 3 {
///             timer.refresh();
///         } else {
///             timer.clear();
///         }
///     });
/// });
/// ```
#[track_caller]
pub fn set_timer(delay: Duration, f: impl FnMut(Timer) + 'static) -> Timer {
    let location = here();
    current::expect_with("set_timer", |state| {
        arm(state, delay, Life::Rearmable, || Callable::again(f), location)
    })
}
