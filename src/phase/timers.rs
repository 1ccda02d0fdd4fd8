//! The timers phase, and all there is about timers.
//!
//! Goals, in this order: Node's order of firing; arming, clearing and refreshing in constant time for a
//! delay that is in use; a fast answer to "when is the next one due?".
//!
//! Node's observation is that a program has many timers but few delays. All timers of one delay stand
//! in a list, and since each counts from its arming, a new one belongs at the end: the list is in
//! order without sorting. Only the lists have to be sorted, by when they expire, in a heap.
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
//! before it goes to the next one. Both can be seen in the order of overdue timers, so they are kept
//! as Node has them (`lib/internal/timers.js`; conformance rules 10 to 18).
//!
//! A pass reads the clock once, at its start. What is armed during the pass is due after that moment, so
//! it waits for the next pass. Times are nanoseconds, delays whole milliseconds, and a timer is due
//! when its delay has passed entirely: unlike Node's, which counts in milliseconds of the clock, a
//! timer is never early.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use crate::callback;
use crate::clock::Nanos;
use crate::current;
use crate::event_loop::State;
use crate::handle::Alive;
use crate::queue::closure::Closure;

/// The end of a chain of 32-bit links.
const NONE: u32 = u32::MAX;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// What a timer calls.
enum Callback {
    /// Spent by its call.
    Timeout(Closure),
    /// Called again and again.
    Interval(Box<dyn FnMut(Timer)>),
    /// Called once for each time it is armed.
    Rearmable(Box<dyn FnMut(Timer)>),
    /// The callback is out being called.
    Out,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// In its list, waiting.
    Armed,
    /// An interval whose callback is running: it goes back to its list after that.
    Firing,
    /// A rearmable timer that has fired: a refresh arms it again.
    Fired,
}

/// One timer. Its place in the table goes to another timer only once it cannot fire any more.
struct Entry {
    callback: Callback,
    /// When it was armed: its delay counts from here.
    start: Nanos,
    location: &'static Location<'static>,
    delay: u64,
    /// Tells the timers apart that use one place after the other.
    generation: u32,
    /// Neighbours in its list, while it is armed.
    previous: u32,
    next: u32,
    status: Status,
    referenced: bool,
}

impl Entry {
    fn due_at(&self) -> Nanos {
        self.start.saturating_add(nanos(self.delay))
    }

    /// Whether it keeps the loop alive.
    fn holds(&self) -> bool {
        self.referenced && self.status != Status::Fired
    }
}

/// A delay in nanoseconds; one beyond 584 years never passes.
fn nanos(delay_ms: u64) -> Nanos {
    delay_ms.saturating_mul(NANOS_PER_MILLI)
}

/// Rounds up to whole milliseconds, and lifts 0 to 1.
fn to_delay(duration: Duration) -> u64 {
    let fraction = u64::from(duration.subsec_nanos()).div_ceil(NANOS_PER_MILLI);
    duration.as_secs().saturating_mul(1000).saturating_add(fraction).max(1)
}

/// The timers of one delay, in the order they were armed.
struct List {
    delay: u64,
    /// When the list is looked at next.
    expiry: Nanos,
    /// Among lists of one expiry the one with the lower number goes first.
    sequence: u64,
    first: u32,
    last: u32,
    /// Its place in the heap.
    position: u32,
}

/// A delay is a small number, and its own hash but for the spread over the table.
#[derive(Default)]
struct DelayHasher(u64);

impl Hasher for DelayHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        // The multiplier is 2^64 divided by the golden ratio, which spreads neighbours far apart.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

/// The timers of a loop, as plain data: nothing here calls back.
#[derive(Default)]
struct Table {
    timers: Slab<Entry>,
    lists: Slab<List>,
    /// The list of each delay in use.
    by_delay: HashMap<u64, u32, BuildHasherDefault<DelayHasher>>,
    /// Indices of lists, the first to expire at the top.
    heap: Vec<u32>,
    next_sequence: u64,
    next_generation: u32,
    /// Timers that keep the loop alive.
    holding: usize,
}

#[derive(Default)]
pub(crate) struct Timers {
    table: RefCell<Table>,
    /// Whether the heap is empty, without a borrow.
    any_list: Cell<bool>,
}

/// A timer taken out of its list to be called.
struct Due {
    timer: Timer,
    location: &'static Location<'static>,
    callback: Callback,
}

impl Table {
    fn get(&mut self, timer: Timer) -> Option<&mut Entry> {
        let entry = self.timers.get_mut(timer.index as usize)?;
        (entry.generation == timer.generation).then_some(entry)
    }

    fn insert(
        &mut self,
        loop_id: u32,
        callback: Callback,
        delay: u64,
        start: Nanos,
        location: &'static Location<'static>,
    ) -> Timer {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.timers.insert(Entry {
            callback,
            start,
            location,
            delay,
            generation,
            previous: NONE,
            next: NONE,
            status: Status::Armed,
            referenced: true,
        });
        let index = u32::try_from(index).expect("a loop has fewer than 2^32 timers");
        self.holding += 1;
        self.append(index);
        Timer { loop_id, index, generation, _not_send: PhantomData }
    }

    /// Puts a timer whose start is set at the end of its delay's list.
    fn append(&mut self, index: u32) {
        let (delay, due_at) = {
            let entry = &self.timers[index as usize];
            (entry.delay, entry.due_at())
        };
        let list = match self.by_delay.get(&delay) {
            Some(list) => *list,
            None => self.add_list(delay, due_at),
        };
        let last = std::mem::replace(&mut self.lists[list as usize].last, index);
        let entry = &mut self.timers[index as usize];
        (entry.previous, entry.next) = (last, NONE);
        match last {
            NONE => self.lists[list as usize].first = index,
            last => self.timers[last as usize].next = index,
        }
    }

    fn add_list(&mut self, delay: u64, expiry: Nanos) -> u32 {
        let sequence = self.take_sequence();
        let position = self.heap.len() as u32;
        let list = List { delay, expiry, sequence, first: NONE, last: NONE, position };
        let index = self.lists.insert(list) as u32;
        self.by_delay.insert(delay, index);
        self.heap.push(index);
        self.sift_up(position);
        index
    }

    fn take_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    /// Takes an armed timer out of its list, which may be left empty. Returns the list.
    fn unlink(&mut self, index: u32) -> u32 {
        let (delay, previous, next) = {
            let entry = &self.timers[index as usize];
            (entry.delay, entry.previous, entry.next)
        };
        let list = self.by_delay[&delay];
        match previous {
            NONE => self.lists[list as usize].first = next,
            previous => self.timers[previous as usize].next = next,
        }
        match next {
            NONE => self.lists[list as usize].last = previous,
            next => self.timers[next as usize].previous = previous,
        }
        list
    }

    fn remove_list(&mut self, index: u32) {
        let list = self.lists.remove(index as usize);
        self.by_delay.remove(&list.delay);
        self.heap.swap_remove(list.position as usize);
        if (list.position as usize) < self.heap.len() {
            // The list that took its place may belong above or below.
            self.lists[self.heap[list.position as usize] as usize].position = list.position;
            self.sift_up(list.position);
            self.sift_down(list.position);
        }
    }

    /// Takes the next timer that is due at `now` out of its list.
    fn take_due(&mut self, loop_id: u32, now: Nanos) -> Option<Due> {
        loop {
            let list_index = *self.heap.first()?;
            let list = &self.lists[list_index as usize];
            if list.expiry > now {
                return None;
            }
            let index = list.first;
            if index == NONE {
                self.remove_list(list_index);
                continue;
            }
            let due_at = self.timers[index as usize].due_at();
            if due_at > now || due_at == Nanos::MAX {
                // The list was up for a timer that is gone, or all its due timers have run. It is
                // put back as though it had been made now.
                let sequence = self.take_sequence();
                let list = &mut self.lists[list_index as usize];
                (list.expiry, list.sequence) = (due_at, sequence);
                if due_at == Nanos::MAX && now == Nanos::MAX {
                    return None;
                }
                self.sift_down(0);
                continue;
            }
            self.unlink(index);
            return Some(self.take_callback(loop_id, index));
        }
    }

    /// Takes the callback of a timer that fires, and the timer itself out of the table when that was
    /// its only call.
    fn take_callback(&mut self, loop_id: u32, index: u32) -> Due {
        let entry = &mut self.timers[index as usize];
        let timer = Timer { loop_id, index, generation: entry.generation, _not_send: PhantomData };
        let location = entry.location;
        let held = usize::from(entry.holds());
        let callback = match &entry.callback {
            Callback::Timeout(_) => {
                self.holding -= held;
                self.timers.remove(index as usize).callback
            }
            Callback::Interval(_) => {
                entry.status = Status::Firing;
                std::mem::replace(&mut entry.callback, Callback::Out)
            }
            Callback::Rearmable(_) | Callback::Out => {
                entry.status = Status::Fired;
                self.holding -= held;
                std::mem::replace(&mut entry.callback, Callback::Out)
            }
        };
        Due { timer, location, callback }
    }

    /// Puts an interval's callback back and arms it again. Returns the callback if it was cleared.
    fn rearm_interval(
        &mut self,
        timer: Timer,
        callback: Callback,
        start: Nanos,
    ) -> Option<Callback> {
        let Some(entry) = self.get(timer) else { return Some(callback) };
        entry.callback = callback;
        // A refresh in its own callback has put it in the list already; the callback's start counts.
        let refreshed = entry.status == Status::Armed;
        entry.status = Status::Armed;
        if refreshed {
            self.unlink(timer.index);
        }
        self.timers[timer.index as usize].start = start;
        self.append(timer.index);
        None
    }

    /// Puts a rearmable timer's callback back. Returns it if the timer was cleared.
    fn put_back(&mut self, timer: Timer, callback: Callback) -> Option<Callback> {
        let Some(entry) = self.get(timer) else { return Some(callback) };
        entry.callback = callback;
        None
    }

    /// Takes a timer out of the table. Returns its callback for the caller to drop.
    fn clear(&mut self, timer: Timer) -> Option<Callback> {
        let entry = self.get(timer)?;
        let (status, referenced, holds) = (entry.status, entry.referenced, entry.holds());
        self.holding -= usize::from(holds);
        if status == Status::Armed {
            let list = self.unlink(timer.index);
            // Node keeps an emptied list whose last timer was unreferenced until it expires.
            if self.lists[list as usize].first == NONE && referenced {
                self.remove_list(list);
            }
        }
        Some(self.timers.remove(timer.index as usize).callback)
    }

    fn refresh(&mut self, timer: Timer, now: Nanos) {
        let Some(entry) = self.get(timer) else { return };
        let (status, held) = (entry.status, entry.holds());
        entry.start = now;
        entry.status = Status::Armed;
        let holds = entry.holds();
        self.holding = self.holding + usize::from(holds) - usize::from(held);
        if status == Status::Armed {
            self.unlink(timer.index);
        }
        self.append(timer.index);
    }

    fn set_ref(&mut self, timer: Timer, on: bool) {
        let Some(entry) = self.get(timer) else { return };
        let held = entry.holds();
        entry.referenced = on;
        let holds = entry.holds();
        self.holding = self.holding + usize::from(holds) - usize::from(held);
    }

    /// Whether the list at one place of the heap comes before the one at another.
    fn before(&self, one: usize, other: usize) -> bool {
        let rank = |place: usize| {
            let list = &self.lists[self.heap[place] as usize];
            (list.expiry, list.sequence)
        };
        rank(one) < rank(other)
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.lists[self.heap[one] as usize].position = one as u32;
        self.lists[self.heap[other] as usize].position = other as u32;
    }

    fn sift_up(&mut self, from: u32) {
        let mut place = from as usize;
        while place > 0 && self.before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sift_down(&mut self, from: u32) {
        let mut place = from as usize;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= self.heap.len() {
                return;
            }
            let first =
                if right < self.heap.len() && self.before(right, left) { right } else { left };
            if !self.before(first, place) {
                return;
            }
            self.swap(first, place);
            place = first;
        }
    }
}

impl Timers {
    /// Whether a timer keeps the loop alive.
    pub(crate) fn any_holding(&self) -> bool {
        self.any_list.get() && self.table.borrow().holding > 0
    }

    /// When the next list expires; none if there is no timer, or none that will ever fire.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        let table = self.table.borrow();
        let first = *table.heap.first()?;
        Some(table.lists[first as usize].expiry).filter(|expiry| *expiry < Nanos::MAX)
    }

    /// Whether there is nothing to look at.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.any_list.get()
    }

    /// Whether no timer is left. An emptied list may be.
    pub(crate) fn none_left(&self) -> bool {
        self.table.borrow().timers.is_empty()
    }

    fn change<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = self.table.borrow_mut();
        let result = f(&mut table);
        self.any_list.set(!table.heap.is_empty());
        result
    }

    /// Takes all callbacks out, for the caller to drop. For teardown.
    pub(crate) fn take_all(&self) -> impl Iterator<Item: Sized> + use<> {
        self.any_list.set(false);
        let table = self.table.take();
        // What is armed from now on, if anything, must not share a generation with what was.
        self.table.borrow_mut().next_generation = table.next_generation;
        table.timers.into_iter().map(|(_, entry)| entry.callback)
    }

    /// Adds the timers that hold the loop to a report of what keeps it alive.
    pub(crate) fn report(&self, alive: &mut Vec<Alive>) {
        let table = self.table.borrow();
        let holding = table.timers.iter().map(|(_, entry)| entry).filter(|entry| entry.holds());
        alive.extend(holding.map(|entry| {
            let kind =
                if matches!(entry.callback, Callback::Interval(_)) { "interval" } else { "timer" };
            Alive { kind, location: entry.location }
        }));
    }
}

/// Runs the timers that are due at the loop's cached time.
pub(crate) fn run(state: &Rc<State>) {
    if state.timers.is_empty() {
        return;
    }
    let now = state.clock.now();
    callback::guard(state, || {
        while !state.is_halted()
            && let Some(due) = state.timers.change(|table| table.take_due(state.id, now))
        {
            fire(state, due);
        }
    });
}

fn fire(state: &State, due: Due) {
    let Due { timer, location, callback } = due;
    match callback {
        Callback::Timeout(closure) => callback::call(state, Some(location), || closure.call()),
        Callback::Interval(mut f) => {
            let start = state.clock.read();
            let outcome = callback::invoke(state, Some(location), || f(timer));
            let f = Callback::Interval(f);
            drop(state.timers.change(|table| table.rearm_interval(timer, f, start)));
            callback::settle(state, outcome);
        }
        Callback::Rearmable(mut f) => {
            let outcome = callback::invoke(state, Some(location), || f(timer));
            let f = Callback::Rearmable(f);
            drop(state.timers.change(|table| table.put_back(timer, f)));
            callback::settle(state, outcome);
        }
        Callback::Out => unreachable!("a timer whose callback is out is not in a list"),
    }
}

/// A timer. `Copy`; dropping it clears nothing. Does nothing once its loop has ended.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     let idle = windlass::set_timer(Duration::from_secs(5), |_| println!("5 s without news"));
///     windlass::set_timeout(Duration::from_millis(1), move || {
///         idle.refresh(); // News: count anew.
///         idle.clear(); // And enough of it.
///     });
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    loop_id: u32,
    index: u32,
    generation: u32,
    _not_send: PhantomData<*const ()>,
}

impl Timer {
    fn with<R>(&self, f: impl FnOnce(&State, &mut Table) -> R) -> Option<R> {
        let state = current::find(self.loop_id)?;
        Some(state.timers.change(|table| f(&state, table)))
    }

    /// Keeps the timer from firing, for good, and drops its closure. Harmless when it has fired or was
    /// cleared, and in its own callback. A timer that is due in the running phase does not fire.
    pub fn clear(&self) {
        let callback = self.with(|_, table| table.clear(*self)).flatten();
        drop(callback);
    }

    /// Counts the delay anew from now, and moves the timer behind the others of its delay.
    ///
    /// A `set_timer` that has fired is armed again. A `set_timeout` that has fired is spent, and a
    /// cleared timer gone: nothing happens.
    ///
    /// # Cost
    /// Constant, and reads the clock.
    pub fn refresh(&self) {
        self.with(|state, table| table.refresh(*self, state.clock.read()));
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
    }

    /// Whether the timer exists and keeps the loop alive while it is armed.
    pub fn has_ref(&self) -> bool {
        self.with(|_, table| table.get(*self).is_some_and(|entry| entry.referenced))
            .unwrap_or(false)
    }

    /// Whether the timer will fire. A one-shot timer is not active in its own callback, an interval is.
    pub fn is_active(&self) -> bool {
        self.with(|_, table| table.get(*self).is_some_and(|entry| entry.status != Status::Fired))
            .unwrap_or(false)
    }

    /// The time until the timer is due, by the loop's cached clock: the full delay right after
    /// arming, zero when overdue, none when it is not active.
    pub fn due_in(&self) -> Option<Duration> {
        self.with(|state, table| {
            let entry = table.get(*self).filter(|entry| entry.status != Status::Fired)?;
            let left = entry.due_at().saturating_sub(state.clock.now());
            Some(Duration::from_nanos(left.min(nanos(entry.delay))))
        })
        .flatten()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("due_in", &self.due_in()).finish_non_exhaustive()
    }
}

fn arm(
    state: &State,
    duration: Duration,
    callback: Callback,
    location: &'static Location<'static>,
) -> Timer {
    if !state.is_open() {
        drop(callback);
        return Timer { loop_id: 0, index: NONE, generation: 0, _not_send: PhantomData };
    }
    let (delay, start) = (to_delay(duration), state.clock.read());
    state.timers.change(|table| table.insert(state.id, callback, delay, start, location))
}

/// Calls `f` once, in the timers phase, when `delay` has passed.
///
/// The delay counts from the moment of this call, not from the cached [`now`](crate::now), is rounded up to
/// whole milliseconds, and zero counts as one. It is a lower bound: a timer is never early. The
/// largest delays never pass.
///
/// # Ordering
/// As in Node: timers of one delay run in the order they were armed; delays whose timers are overdue
/// together run one after the other, the one that expires first leading. A timer armed in the timers
/// phase waits for the next one. Ticks and microtasks run before the following timer.
///
/// # Liveness
/// A timer keeps the loop alive until it fires or is cleared, unless it is [`unref`](Timer::unref)'d.
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
#[track_caller]
pub fn set_timeout(delay: Duration, f: impl FnOnce() + 'static) -> Timer {
    let state = current::expect("set_timeout");
    arm(&state, delay, Callback::Timeout(Closure::new(f)), Location::caller())
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
    let state = current::expect("set_interval");
    arm(&state, period, Callback::Interval(Box::new(f)), Location::caller())
}

/// Calls `f` once when `delay` has passed, and once more after each [`refresh`](Timer::refresh), also when it has
/// fired.
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
    let state = current::expect("set_timer");
    arm(&state, delay, Callback::Rearmable(Box::new(f)), Location::caller())
}
