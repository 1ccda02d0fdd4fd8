//! Timers and immediates of the loop, by numbers that JavaScript holds.
//!
//! A number is good from `start` until the callback of a one-shot runs, or until `clear`. After
//! that all functions ignore it.

use std::cell::RefCell;
use std::time::Duration;

use rquickjs::{Ctx, Function, Object, Result};
use slab::Slab;
use windlass::{Immediate, Timer};

use crate::callback::Callback;
use crate::native::Natives;

/// A handle with the round in which its place in the table was given out, so that a number that
/// is used up does not name whoever has the place next.
struct Entry<H> {
    /// The handle. None while its callback is being registered.
    handle: Option<H>,
    /// Counts the uses of the table.
    round: u64,
}

/// From a number to a handle.
struct Table<H> {
    /// The handles.
    entries: Slab<Entry<H>>,
    /// The next round.
    round: u64,
}

/// Places of the table that a number can name.
const PLACES: u64 = 1 << 20;

impl<H: Copy> Table<H> {
    const fn new() -> Table<H> {
        Table { entries: Slab::new(), round: 0 }
    }

    /// A number for a handle that is made next.
    fn reserve(&mut self) -> f64 {
        self.round += 1;
        let place = self.entries.insert(Entry { handle: None, round: self.round }) as u64;
        // Exact up to 2^53: two to the power of 33 rounds, and a million handles at one time.
        (self.round * PLACES + place) as f64
    }

    fn place(&self, id: f64) -> Option<usize> {
        let place = (id as u64 % PLACES) as usize;
        let entry = self.entries.get(place)?;
        (entry.round == id as u64 / PLACES).then_some(place)
    }

    fn set(&mut self, id: f64, handle: H) {
        if let Some(place) = self.place(id) {
            self.entries[place].handle = Some(handle);
        }
    }

    fn get(&self, id: f64) -> Option<H> {
        self.place(id).and_then(|place| self.entries[place].handle)
    }

    fn remove(&mut self, id: f64) -> Option<H> {
        self.place(id).and_then(|place| self.entries.remove(place).handle)
    }
}

thread_local! {
    /// The timers of this thread's loop.
    static TIMERS: RefCell<Table<Timer>> = const { RefCell::new(Table::new()) };
    /// Its immediates.
    static IMMEDIATES: RefCell<Table<Immediate>> = const { RefCell::new(Table::new()) };
}

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add_registering("setTimeout", set_timeout)?;
    natives.add_registering("setInterval", set_interval)?;
    natives.add("clear", clear)?;
    natives.add("refresh", refresh)?;
    natives.add("setRef", set_ref)?;
    natives.add_registering("setImmediate", set_immediate)?;
    natives.add("clearImmediate", clear_immediate)?;
    natives.add("setImmediateRef", set_immediate_ref)?;
    natives.add("now", now)?;
    Ok(natives.into_object())
}

fn duration(ms: f64) -> Duration {
    Duration::from_millis(ms as u64)
}

fn set_timeout<'js>(ctx: Ctx<'js>, f: Function<'js>, ms: f64) -> f64 {
    let callback = Callback::new(&ctx, f);
    let id = TIMERS.with_borrow_mut(Table::reserve);
    let timer = windlass::set_timeout(duration(ms), move || {
        TIMERS.with_borrow_mut(|timers| timers.remove(id));
        callback.call(());
    });
    TIMERS.with_borrow_mut(|timers| timers.set(id, timer));
    id
}

fn set_interval<'js>(ctx: Ctx<'js>, f: Function<'js>, ms: f64) -> f64 {
    let callback = Callback::new(&ctx, f);
    let id = TIMERS.with_borrow_mut(Table::reserve);
    let timer = windlass::set_interval(duration(ms), move |_| callback.call(()));
    TIMERS.with_borrow_mut(|timers| timers.set(id, timer));
    id
}

fn clear(id: f64) {
    // Taken out first: what the timer held is dropped here, and may be anything.
    let timer = TIMERS.with_borrow_mut(|timers| timers.remove(id));
    if let Some(timer) = timer {
        timer.clear();
    }
}

/// Says whether the timer was there to be refreshed.
fn refresh(id: f64) -> bool {
    let timer = TIMERS.with_borrow(|timers| timers.get(id));
    if let Some(timer) = timer {
        timer.refresh();
    }
    timer.is_some()
}

fn set_ref(id: f64, on: bool) {
    if let Some(timer) = TIMERS.with_borrow(|timers| timers.get(id)) {
        timer.set_ref(on);
    }
}

fn set_immediate<'js>(ctx: Ctx<'js>, f: Function<'js>) -> f64 {
    let callback = Callback::new(&ctx, f);
    let id = IMMEDIATES.with_borrow_mut(Table::reserve);
    let immediate = windlass::set_immediate(move || {
        IMMEDIATES.with_borrow_mut(|immediates| immediates.remove(id));
        callback.call(());
    });
    IMMEDIATES.with_borrow_mut(|immediates| immediates.set(id, immediate));
    id
}

fn clear_immediate(id: f64) {
    let immediate = IMMEDIATES.with_borrow_mut(|immediates| immediates.remove(id));
    if let Some(immediate) = immediate {
        immediate.clear();
    }
}

fn set_immediate_ref(id: f64, on: bool) {
    if let Some(immediate) = IMMEDIATES.with_borrow(|immediates| immediates.get(id)) {
        immediate.set_ref(on);
    }
}

/// The loop's cached time in milliseconds, whole, since the engine first asked.
fn now() -> f64 {
    thread_local! {
        /// When the engine first asked.
        static START: std::time::Instant = windlass::now();
    }
    START.with(|start| windlass::now().saturating_duration_since(*start).as_millis() as f64)
}
