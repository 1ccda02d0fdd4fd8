//! The loop's side of the seam: what it tells when something happens.
//!
//! A *macrotask* is a callback of a phase, with the drain that follows it. Ticks and microtasks of
//! the drain are callbacks of their own and belong to the macrotask. A drain that follows no
//! callback counts as one macrotask. A macrotask ends where the next one or the wait begins, or the
//! iteration or the turn ends: what lies in between is the loop's own work.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::account::{Account, Sort};
use super::cause;
use super::detail::{Detail, pair};
use super::label::Shown;
use super::origin::Origin;
use super::ring::{Event, Happened, Ring};
use super::roll::{self, Stalled};
use super::running::{Begun, Seen};
use super::track::Track;
use super::{Phase, Wake};
use crate::clock::{Clock, Nanos};
use crate::report::words::InWords;

/// A callback that takes as long is told to the log.
const LONG: Nanos = 10_000_000;

/// Room for so many callbacks within each other. More of them allocate.
const CALLS: usize = 4;

/// What a loop or a pool thread tells its observers. It belongs to its thread.
pub(crate) struct Teller {
    /// Where others see it.
    pub(crate) track: Arc<Track>,
    /// The rings as of the last change that was seen.
    rings: RefCell<Vec<Arc<Ring>>>,
    /// The number of that change.
    seen: Cell<u32>,
    /// The phase that calls back.
    phase: Cell<Phase>,
    /// The iteration that is under way.
    iteration: Cell<u32>,
    /// The callbacks that run and began while somebody observed, the innermost last: nearly always
    /// a single one.
    calls: RefCell<Vec<Call>>,
    /// The macrotask that runs, if it began while somebody observed.
    macrotask: RefCell<Option<Macrotask>>,
    /// How many macrotasks were observed.
    macrotasks: Cell<u64>,
    /// The accounts of the iteration, if somebody wants them, by [`Reader`].
    accounts: [RefCell<Option<Account>>; 2],
    /// Somebody wants such an account.
    is_accounted: Cell<bool>,
    /// The log wants what happens on this loop.
    logs: Cell<bool>,
    /// A recorder wants details.
    is_detailed: Cell<bool>,
    /// What is told is for recorders alone that have asked for all that there is.
    is_for_new: Cell<bool>,
    /// The callback that runs is to be told as a detail. Before whatever comes next: what it is may
    /// be known better until then.
    untold: Cell<bool>,
    /// The drain that is under way.
    drained: Cell<Drained>,
    /// Who armed which timer while somebody observed.
    timers: RefCell<Vec<ArmedBy>>,
}

/// Who reads the account of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The callback of `on_iteration`.
    Hook,
    /// The log.
    Log,
}

/// What a drain has called so far.
#[derive(Clone, Copy, Default)]
struct Drained {
    /// How many ticks.
    ticks: usize,
    /// How many microtasks and polls of tasks.
    microtasks: usize,
    /// How often it has begun with the ticks, or with the microtasks when there was none.
    rounds: u64,
    /// It has come to the microtasks of its round.
    in_microtasks: bool,
}

impl Drained {
    /// With one callback more.
    fn and(self, sort: Sort) -> Drained {
        let Drained { ticks, microtasks, rounds, in_microtasks } = self;
        let begins = rounds == 0 || sort == Sort::Tick && in_microtasks;
        let rounds = rounds + u64::from(begins);
        match sort {
            Sort::Tick => Drained { ticks: ticks + 1, rounds, in_microtasks: false, ..self },
            Sort::Microtask => {
                Drained { microtasks: microtasks + 1, rounds, in_microtasks: true, ..self }
            }
            Sort::Main | Sort::Macrotask | Sort::Drained => self,
        }
    }
}

/// A callback that runs.
struct Call {
    /// Its id.
    id: u64,
    /// What it is.
    origin: Origin,
    /// When it began.
    began: Nanos,
    /// What ran on this thread before it.
    before: u64,
    /// The macrotask began with it.
    is_first: bool,
}

/// A macrotask that runs.
struct Macrotask {
    /// What others see of it.
    begun: Begun,
    /// What it is.
    origin: Origin,
    /// When it began, on the loop's clock.
    began: Nanos,
    /// It may be the longest of its iteration: no drain that follows no callback, and not begun
    /// before the account.
    is_accounted: bool,
    /// What ran when the limit of a stall watch passed.
    stalled: Option<Origin>,
}

/// Who armed the timer of one place in the table of timers.
#[derive(Clone, Copy, Default)]
struct ArmedBy {
    /// Tells the timers apart that use one place after the other.
    generation: u32,
    /// The callback in which it was armed.
    cause: u64,
}

impl Teller {
    pub(crate) fn new(track: Arc<Track>) -> Teller {
        Teller {
            track,
            rings: RefCell::default(),
            seen: Cell::new(0),
            phase: Cell::new(Phase::Main),
            iteration: Cell::new(0),
            calls: RefCell::new(Vec::with_capacity(CALLS)),
            macrotask: RefCell::default(),
            macrotasks: Cell::new(0),
            accounts: Default::default(),
            is_accounted: Cell::new(false),
            logs: Cell::new(false),
            is_detailed: Cell::new(false),
            is_for_new: Cell::new(false),
            untold: Cell::new(false),
            drained: Cell::default(),
            timers: RefCell::default(),
        }
    }

    // ----- Always -----

    /// The phase that calls back from here on.
    #[inline]
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// The phase that calls back.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    // ----- While somebody observes -----

    /// The kind of the callback that runs.
    pub(crate) fn kind(&self) -> &'static str {
        self.calls.borrow().last().map_or("", |call| call.origin.kind)
    }

    /// A callback begins: at this `time` if it is known, else now. `queued` counts the ticks,
    /// microtasks and immediates that wait.
    pub(crate) fn begin(
        &self,
        clock: &Clock,
        time: Option<Nanos>,
        sort: Sort,
        origin: Origin,
        queued: impl FnOnce() -> usize,
    ) {
        self.look_for_changes();
        let now = time.unwrap_or_else(|| clock.read());
        let is_bare = matches!(sort, Sort::Tick | Sort::Microtask | Sort::Drained);
        let is_outermost = self.calls.borrow().is_empty();
        let is_first = is_outermost && (!is_bare || self.macrotask.borrow().is_none());
        if !is_first {
            self.show(origin);
        } else {
            self.end_macrotask_at(clock, now);
            self.macrotasks.set(self.macrotasks.get() + 1);
            let (number, phase) = (self.macrotasks.get(), self.phase.get());
            let begun = Begun { number, phase, since: clock.real(now), queued: queued() };
            self.track.running.begin(begun, origin);
            let (is_accounted, stalled) = (!is_bare, None);
            let macrotask = Macrotask { begun, origin, began: now, is_accounted, stalled };
            self.macrotask.replace(Some(macrotask));
        }
        self.on_accounts(|account| {
            account.enter(self.phase.get(), now);
            if is_bare || is_outermost {
                account.count(sort);
            }
        });
        let id = cause::next_id();
        let before = cause::set_running(id);
        if self.is_detailed.get() {
            self.tell_begin(sort);
        }
        self.calls.borrow_mut().push(Call { id, origin, began: now, before, is_first });
    }

    /// The callback that runs is known better: by the closure that was queued for it.
    pub(crate) fn tell(&self, id: u64, origin: Origin) {
        let is_first = {
            let mut calls = self.calls.borrow_mut();
            let Some(call) = calls.last_mut() else { return };
            if id > 0 {
                call.id = id;
            }
            call.origin = origin;
            cause::set_running(call.id);
            call.is_first
        };
        if is_first && let Some(macrotask) = &mut *self.macrotask.borrow_mut() {
            macrotask.origin = origin;
        }
        self.show(origin);
    }

    /// What scheduled the callback that runs. Zero: none, or nobody observes.
    pub(crate) fn cause(&self) -> u64 {
        self.calls.borrow().last().map_or(0, |call| call.origin.cause)
    }

    /// The job on whose behalf its loop completes requests: what runs on this thread while no
    /// callback does. Zero: none.
    pub(crate) fn passed_on(&self) -> u64 {
        if self.calls.borrow().is_empty() { cause::running() } else { 0 }
    }

    /// The callback that runs was asked for, by what has the id `cause`, and has the id `id` since.
    pub(crate) fn tell_asked(&self, id: u64, cause: u64) {
        let origin = self.calls.borrow().last().map(|call| call.origin);
        if let Some(origin) = origin {
            self.tell(id, Origin { cause, ..origin });
        }
    }

    /// The callback that runs has ended, and the one within which it ran goes on, if there is one.
    /// Returns when it ended. None: nothing ran that was observed.
    pub(crate) fn end(&self, clock: &Clock, panicked: bool) -> Option<Nanos> {
        let mut calls = self.calls.borrow_mut();
        let Call { id, origin, began, before, .. } = calls.pop()?;
        cause::set_running(before);
        if let Some(outer) = calls.last() {
            self.show(outer.origin);
        }
        drop(calls);
        let now = clock.read();
        if roll::shortest_limit() < Nanos::MAX {
            self.look_for_stall(clock.real(now), origin);
        }
        let took = now - began;
        if self.is_detailed.get() {
            self.tell_end(began, now, id, origin, panicked);
        }
        let happened = if panicked { Happened::Panicked } else { Happened::Called };
        self.write(happened, began, took, id, origin, Wake::None);
        if took >= LONG && self.logs.get() {
            log_long(self.track.name(), origin, took);
        }
        Some(now)
    }

    /// A callback has ended: the macrotask goes on, and perhaps takes longer than the limit of a
    /// stall watch by this real time.
    #[cold]
    fn look_for_stall(&self, now: Nanos, origin: Origin) {
        if let Some(macrotask) = &mut *self.macrotask.borrow_mut()
            && macrotask.stalled.is_none()
            && now.saturating_sub(macrotask.begun.since) >= roll::shortest_limit()
        {
            macrotask.stalled = Some(origin);
            // So that a watch that comes late does not name what follows.
            self.track.running.go_on(origin);
        }
    }

    /// Shows others what runs at this moment, unless the limit of a stall watch has passed: from
    /// then on they see what ran then.
    fn show(&self, origin: Origin) {
        let stalled = self.macrotask.borrow().as_ref().is_some_and(|it| it.stalled.is_some());
        if !stalled {
            self.track.running.go_on(origin);
        }
    }

    /// The macrotask that runs, if one does, has ended by now: its callback, and the drain.
    pub(crate) fn end_macrotask(&self, clock: &Clock) {
        if self.macrotask.borrow().is_some() {
            self.end_macrotask_at(clock, clock.read());
        }
    }

    fn end_macrotask_at(&self, clock: &Clock, now: Nanos) {
        let Some(macrotask) = self.macrotask.take() else { return };
        let Macrotask { begun, origin, began, is_accounted, stalled } = macrotask;
        let limit = roll::shortest_limit();
        if limit < Nanos::MAX {
            let took = clock.real(now).saturating_sub(begun.since);
            if took >= limit {
                let Origin { kind, place, .. } = stalled.unwrap_or(origin);
                let seen = Seen { macrotask: begun, kind, place };
                // Before it is seen to be over.
                roll::tell_stalled(&Stalled { track: self.track.clone(), seen, took });
            }
        }
        self.track.running.end();
        if is_accounted {
            let took = now.saturating_sub(began);
            self.on_accounts(|account| account.ended(begun.phase, origin, took));
        }
    }

    /// The poll phase begins, with the wait of this iteration. Returns when it began.
    pub(crate) fn begin_wait(&self, clock: &Clock) -> Nanos {
        self.look_for_changes();
        let now = clock.read();
        self.end_macrotask_at(clock, now);
        self.phase.set(Phase::Poll);
        self.on_accounts(|account| account.enter(Phase::Poll, now));
        now
    }

    /// The poll has found so many descriptors ready.
    pub(crate) fn found(&self, ready: usize) {
        self.on_accounts(|account| account.ready = ready);
    }

    /// The wait that began at this time has ended.
    pub(crate) fn end_wait(&self, clock: &Clock, began: Nanos, woken_by: Wake) {
        let now = clock.read();
        self.on_accounts(|account| account.waited(now, woken_by));
        let origin = Origin::unknown("");
        self.write(Happened::Waited, began, now - began, 0, origin, woken_by);
    }

    /// What has this id was asked for once more, by what runs now, at this time of the track.
    pub(crate) fn link(&self, now: Nanos, id: u64) {
        self.look_for_changes();
        if id > 0 {
            let origin = Origin { cause: cause::running(), ..Origin::unknown("") };
            self.write(Happened::Linked, now, 0, id, origin, Wake::None);
        }
    }

    /// A job has run, from `began` to `ended`, times of this track.
    pub(crate) fn worked(&self, id: u64, origin: Origin, began: Nanos, ended: Nanos) {
        self.look_for_changes();
        self.write(Happened::Worked, began, ended.saturating_sub(began), id, origin, Wake::None);
    }

    // ----- Details -----

    /// Has `f` tell all that there is, if a recorder of details has asked for it. Only such
    /// recorders hear it.
    pub(crate) fn tell_all(&self, f: impl FnOnce()) {
        self.look_for_changes();
        // One that asks meanwhile hears a part, and all of it the next time.
        let asking = |ring: &Arc<Ring>| Some((ring.clone(), ring.is_asking()?));
        let asking: Vec<_> = self.rings.borrow().iter().filter_map(asking).collect();
        if !asking.is_empty() {
            self.tell_untold();
            self.is_for_new.set(true);
            f();
            self.is_for_new.set(false);
            asking.iter().for_each(|(ring, asked)| ring.answer(*asked));
        }
    }

    /// The loop begins. Who records already knows what there is: nothing.
    pub(crate) fn begin_loop(&self) {
        self.look_for_changes();
        self.rings.borrow().iter().for_each(|ring| ring.set_from_start());
    }

    /// Tells a detail, of this time of the track, to those that want it.
    #[cold]
    pub(crate) fn say(&self, now: Nanos, detail: Detail) {
        self.look_for_changes();
        if self.is_detailed.get() {
            self.tell_untold();
            self.write_detail(now, cause::running(), detail);
        }
    }

    /// A callback begins.
    #[cold]
    fn tell_begin(&self, sort: Sort) {
        self.tell_untold();
        self.untold.set(true);
        self.drained.set(self.drained.get().and(sort));
    }

    /// The callback that runs is told, if it was not, as what it is known to be by now.
    pub(crate) fn tell_untold(&self) {
        if !self.untold.replace(false) {
            return;
        }
        if let Some(Call { id, origin, began, .. }) = self.calls.borrow().last() {
            self.tell_began(*began, *id, *origin);
        }
    }

    fn tell_began(&self, began: Nanos, id: u64, origin: Origin) {
        let Origin { kind, place, cause } = origin;
        self.write_detail(began, cause, Detail::new(Happened::Began, id).of(kind, place));
    }

    /// A callback has ended, which is not among those that run any more.
    #[cold]
    fn tell_end(&self, began: Nanos, now: Nanos, id: u64, origin: Origin, panicked: bool) {
        if self.untold.replace(false) {
            self.tell_began(began, id, origin);
        }
        let happened = if panicked { Happened::Unwound } else { Happened::Returned };
        self.write_detail(now, origin.cause, Detail::new(happened, id));
    }

    /// The queues are empty.
    pub(crate) fn tell_drained(&self, now: Nanos) {
        let Drained { ticks, microtasks, rounds, .. } = self.drained.take();
        self.say(now, Detail::new(Happened::Drained, pair(ticks, microtasks)).amount(rounds));
    }

    fn write_detail(&self, at: Nanos, cause: u64, detail: Detail) {
        let Detail { happened, number: id, amount: took, small, extra, kind, place } = detail;
        let (phase, iteration) = (self.phase.get(), extra.unwrap_or(self.iteration.get()));
        let event = Event { happened, at, took, id, cause, kind, place, phase, small, iteration };
        let is_for_new = self.is_for_new.get();
        let wants = |ring: &&Arc<Ring>| {
            if is_for_new { ring.is_asking().is_some() } else { ring.is_detailed() }
        };
        self.rings.borrow().iter().filter(wants).for_each(|ring| ring.write(&event));
    }

    // ----- Timers -----

    /// The timer of this place was armed, by what runs now.
    pub(crate) fn armed(&self, index: u32, generation: u32) {
        let mut timers = self.timers.borrow_mut();
        let index = index as usize;
        if index >= timers.len() {
            timers.resize(index + 1, ArmedBy::default());
        }
        timers[index] = ArmedBy { generation, cause: cause::running() };
    }

    /// Who armed a timer, if that was observed.
    pub(crate) fn armed_by(&self, index: u32, generation: u32) -> u64 {
        let timers = self.timers.borrow();
        let found = timers.get(index as usize).filter(|it| it.generation == generation);
        found.map_or(0, |it| it.cause)
    }

    // ----- The accounts -----

    /// This reader wants the account of each iteration from now on, or nothing any more.
    pub(crate) fn keep_account(&self, clock: &Clock, reader: Reader, on: bool) {
        if reader == Reader::Hook
            && let Some(macrotask) = &mut *self.macrotask.borrow_mut()
        {
            macrotask.is_accounted = false;
        }
        let account = on.then(|| Account::new(clock.read(), self.phase.get()));
        self.accounts[reader as usize].replace(account);
        let is_kept = |kept: &RefCell<Option<Account>>| kept.borrow().is_some();
        self.is_accounted.set(self.accounts.iter().any(is_kept));
    }

    /// The iteration has ended. Returns its accounts, by [`Reader`]; those of the next one begin.
    pub(crate) fn end_iteration(&self, clock: &Clock, number: u64) -> [Option<Account>; 2] {
        self.iteration.set(number as u32);
        let now = clock.read();
        self.end_macrotask_at(clock, now);
        self.phase.set(Phase::Main);
        if !self.is_accounted.get() {
            return [None; 2];
        }
        self.on_accounts(|account| account.enter(Phase::Main, now));
        self.accounts.each_ref().map(|kept| {
            let next = kept.borrow().is_some().then(|| Account::new(now, Phase::Main));
            kept.replace(next)
        })
    }

    /// The turn has ended. What passes until the next one is time of the main phase.
    pub(crate) fn end_turn(&self, clock: &Clock, now: Nanos) {
        self.phase.set(Phase::Main);
        self.end_macrotask_at(clock, now);
        self.on_accounts(|account| account.enter(Phase::Main, now));
    }

    fn on_accounts(&self, mut f: impl FnMut(&mut Account)) {
        if self.is_accounted.get() {
            self.accounts.iter().for_each(|kept| kept.borrow_mut().iter_mut().for_each(&mut f));
        }
    }

    /// Whether the log wants what happens on this loop. Returns whether it did before.
    pub(crate) fn set_logs(&self, on: bool) -> bool {
        self.logs.replace(on)
    }

    /// A line of the log, if it wants it.
    #[cold]
    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if self.logs.get() {
            log::debug!("{}: {}", self.track.name(), line());
        }
    }

    // ----- Within -----

    /// Takes over the list of rings if it has changed.
    #[inline]
    fn look_for_changes(&self) {
        if self.track.has_changed(self.seen.get()) {
            let (rings, change) = self.track.rings();
            self.is_detailed.set(rings.iter().any(|ring| ring.is_detailed()));
            self.rings.replace(rings);
            self.seen.set(change);
        }
    }

    fn write(
        &self,
        happened: Happened,
        at: Nanos,
        took: Nanos,
        id: u64,
        origin: Origin,
        woken_by: Wake,
    ) {
        let Origin { kind, place, cause } = origin;
        let (phase, iteration) = (self.phase.get(), self.iteration.get());
        let small = woken_by as u8;
        let event = Event { happened, at, took, id, cause, kind, place, phase, small, iteration };
        self.rings.borrow().iter().for_each(|ring| ring.write(&event));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.track.end();
    }
}

/// One line of the log for a callback that took long.
#[cold]
fn log_long(loop_name: &str, origin: Origin, took: Nanos) {
    let (took, kind) = (InWords(took), origin.kind);
    match origin.place {
        Some(place) => log::debug!("{loop_name}: {kind} at {} took {took}", Shown(place)),
        None => log::debug!("{loop_name}: {kind} took {took}"),
    }
}

thread_local! {
    /// The teller of this thread, if it is a pool's.
    static OF_POOL_THREAD: RefCell<Option<Rc<Teller>>> = const { RefCell::new(None) };
}

/// This thread is a pool's, and tells by this teller.
pub(crate) fn set_of_pool_thread(teller: Rc<Teller>) {
    OF_POOL_THREAD.with(|place| place.replace(Some(teller)));
}

/// Does something with the teller of this thread, if it is a pool's.
pub(crate) fn of_pool_thread<R>(f: impl FnOnce(&Teller) -> R) -> Option<R> {
    // Not there any more for destructors of the thread's other locals.
    let teller = OF_POOL_THREAD.try_with(|place| place.borrow().clone()).ok()??;
    Some(f(&teller))
}
