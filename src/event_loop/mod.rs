//! The loop: what belongs to it, and the turning of it.
//!
//! [`State`] is all that a loop consists of. Each part is a structure with its own cells, behind methods
//! that return owned values: no borrow is ever held while user code runs. A [`Loop`] is a counted
//! handle on the state; handles and requests hold the state uncounted, so that they can outlive the
//! loop and find it closed.
//!
//! The order of the phases is that of libuv since 1.45: timers close an iteration, and run once
//! before the first.

pub(crate) mod current;
pub(crate) mod sources;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::alloc;
use crate::callback::running::Running;
use crate::callback::slot::Slot;
use crate::callback::{self, Halt};
use crate::clock::{Clock, Nanos};
use crate::error::Uncaught;
use crate::handle::{Alive, Handle, HandleInfo, Handles, Registration};
use crate::metrics::Metrics;
use crate::phase::watchers::Watchers;
use crate::phase::{check, close, idle, pending, poll, prepare, timers};
use crate::pool::Pool;
use crate::queue::closing::Closing;
use crate::queue::closure::Closure;
use crate::queue::deferred::Deferred;
use crate::queue::immediate::Immediates;
use crate::queue::ring::Ring;
use crate::sys::{self, Poller};
use crate::task::{Tasks, scoped};
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::deliver::Delivery;
use crate::threads::patience::{Awake, Waiting};
use crate::threads::remote::Remote;
use crate::virtual_time::scheduler::Seat;
use sources::Sources;

/// How a [`turn`](Loop::turn) ends (libuv: `uv_run_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// When nothing is alive any more, or after a stop.
    Default,
    /// After one iteration, which blocks until something happens.
    Once,
    /// After one iteration, which does not block.
    NoWait,
}

/// Where a loop stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    /// Its callbacks are being dropped. Nothing is taken in any more.
    TearingDown,
    Closed,
}

/// All that a loop consists of.
pub(crate) struct State {
    /// Unique in the process, for ids that outlive the loop.
    pub(crate) id: u32,
    status: Cell<Status>,
    pub(crate) clock: Clock,
    /// The side that other threads see.
    pub(crate) mailbox: Arc<Mailbox>,
    /// What was taken out of the mailbox, and who receives on this loop.
    pub(crate) delivery: Delivery,
    pub(crate) sources: Sources,
    /// How the loop waits before it sleeps.
    pub(crate) waiting: Waiting,
    pub(crate) handles: Handles,
    pub(crate) tasks: Tasks,

    pub(crate) ticks: Ring,
    pub(crate) microtasks: Ring,
    /// The drain has come to the microtasks, and was perhaps left there by a panic.
    pub(crate) in_microtasks: Cell<bool>,
    pub(crate) immediates: Immediates,
    pub(crate) timers: timers::Timers,
    pub(crate) pending: Deferred,
    pub(crate) idle: Watchers,
    pub(crate) prepare: Watchers,
    pub(crate) check: Watchers,
    /// Callbacks that come last in the poll phase: signals.
    pub(crate) poll_last: Deferred,
    pub(crate) closing: Closing,

    /// In virtual time: the loop's place among those of its program.
    pub(crate) seat: Option<Seat>,
    pub(crate) pool: Pool,
    /// The buffer that sockets read into, one at a time. Absent while a callback looks at it.
    pub(crate) read_buffer: Cell<Option<Box<[u8]>>>,
    /// What a module keeps on the loop that the loop need not know, by type.
    extensions: RefCell<Vec<Rc<dyn Any>>>,
    pub(crate) hooks: Hooks,
    /// Where the callback that runs was registered, if that was recorded. Shared with the figures, where
    /// others read it.
    pub(crate) running: Arc<Running>,
    exit_code: Cell<i32>,
    /// The thread had more memory than it may have, so much, and the loop ends.
    over_limit: Cell<Option<usize>>,
    /// How often `exit` was called. Once, and the exit hooks are due.
    exits: Cell<u32>,
    /// How many [`Loop`]s there are for this state.
    loops: Cell<usize>,
    /// The loop is being turned, or runs a main script or its exit hooks.
    turning: Cell<bool>,
}

/// The callbacks for a program's end and for its panics.
#[derive(Default)]
pub(crate) struct Hooks {
    before_exit: RefCell<Vec<Box<dyn FnMut()>>>,
    exit: RefCell<Vec<Box<dyn FnOnce(i32)>>>,
    pub(crate) uncaught: Slot<dyn FnMut(Uncaught)>,
}

/// What a loop is made of on its own thread, and others may have before.
pub(crate) struct Parts {
    pub(crate) mailbox: Arc<Mailbox>,
    builder: Builder,
    /// A worker's place in virtual time, and what its clock begins with.
    pub(crate) seat: Option<(Seat, (Instant, Nanos))>,
}

/// Sets up a loop. Made by [`Loop::builder`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// // A day in virtual time.
/// let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
/// event_loop.run(|| {
///     windlass::set_timeout(Duration::from_secs(86_400), || println!("tomorrow"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    virtual_time: bool,
    spin: Duration,
    pool: Option<Pool>,
}

impl Builder {
    /// Makes the loop.
    ///
    /// # Errors
    /// When the system has no descriptors left: a loop needs two.
    pub fn build(self) -> io::Result<Loop> {
        let event_loop = Loop::from_parts(self.parts());
        // Not with the first source: who makes a loop wants to hear it now.
        event_loop.state.sources.make_poller()?;
        Ok(event_loop)
    }

    /// Sets whether the loop's clock is a virtual one, which stands still while anything is ready and
    /// jumps to the next timer when nothing is.
    ///
    /// Pool requests then run on the loop's own thread, when they are delivered, in the order
    /// submitted, with no loop current, as on a pool thread. Two runs of a program without sockets
    /// and foreign threads are the same to the last callback.
    ///
    /// A loop and its workers are one program. It waits for other threads, and for other programs in virtual time,
    /// while one of these has a [`Remote`] or a [`Notifier`](crate::handle::Notifier) of it; what they send is
    /// seen at once.
    pub fn virtual_time(mut self, on: bool) -> Self {
        self.virtual_time = on;
        self
    }

    /// Lets the loop look for news from other threads for so long before it sleeps. Zero, the default, is never,
    /// but for a loop that waits for jobs of a [`Pool`]: that looks for up to 10 µs in any case.
    ///
    /// For loops on different threads that answer each other at once: to wake a thread that sleeps takes some
    /// tens of microseconds, to be seen by one that spins a tenth of one. 20 to 50 µs is a good limit. A
    /// loop spins only where there are two cores, and no more loops and busy pool threads than cores, and while
    /// spinning has lately been worth it: a loop to which nothing comes sleeps at once, but for a trial at one of
    /// 64 sleeps. The time counts as idle in [`Metrics`]. Cores are counted when the process makes its first loop: bind threads to
    /// cores after that. Workers take the limit over from the loop that starts them. Without effect in
    /// virtual time.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let event_loop = windlass::Loop::builder().spin(Duration::from_micros(50)).build()?;
    /// # event_loop.run(|| ());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spin(mut self, limit: Duration) -> Self {
        self.spin = limit;
        self
    }

    /// Gives the loop a blocking pool other than the one that all loops share.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    pub(crate) fn parts(self) -> Parts {
        Parts { mailbox: Arc::new(Mailbox::new()), builder: self, seat: None }
    }
}

impl State {
    /// Whether the loop takes in callbacks. Not while it is torn down.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.status.get() == Status::Open
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.mailbox.is_halted()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.mailbox.is_stopping()
    }

    /// Whether nothing queued may run any more: told so, or for want of memory. Asked between two callbacks.
    #[inline]
    pub(crate) fn must_end(&self) -> bool {
        if alloc::is_over_limit() {
            self.end_for_memory();
        }
        self.is_halted()
    }

    /// Whether anything is left that keeps the loop alive.
    pub(crate) fn is_alive(&self) -> bool {
        self.handles.any_holding()
            || self.timers.any_holding()
            || self.immediates.any_referenced()
            || !self.pending.is_empty()
            || !self.closing.is_empty()
            || self.delivery.has_posts()
            || self.mailbox.has_posts()
    }

    /// Registers something with the poller, if the loop is open.
    pub(crate) fn register(&self, f: impl FnOnce(&Poller) -> io::Result<()>) -> io::Result<()> {
        self.sources.register(&self.mailbox, f)
    }

    /// What a module keeps on this loop.
    pub(crate) fn extension<T: 'static>(&self) -> Option<Rc<T>> {
        let extensions = self.extensions.borrow();
        extensions.iter().find_map(|one| one.clone().downcast().ok())
    }

    pub(crate) fn set_extension(&self, extension: Rc<dyn Any>) {
        self.extensions.borrow_mut().push(extension);
    }

    /// Takes a module's extension out, for the caller to drop.
    pub(crate) fn remove_extension<T: 'static>(&self) -> Option<Rc<dyn Any>> {
        let mut extensions = self.extensions.borrow_mut();
        let index = extensions.iter().position(|one| one.is::<T>())?;
        Some(extensions.swap_remove(index))
    }

    /// Makes this the current loop while `f`, internal code, runs.
    pub(crate) fn enter_for<R>(self: &Rc<Self>, f: impl FnOnce() -> R) -> R {
        let _entered = current::enter(self);
        f()
    }

    /// Gives memory back that a burst has left: if `now`, else of what was used much less since the last call.
    ///
    /// Called between two callbacks.
    #[cold]
    #[inline(never)]
    pub(crate) fn give_back(&self, now: bool) {
        self.ticks.give_back(now);
        self.microtasks.give_back(now);
        self.immediates.give_back(now);
        self.timers.give_back(now);
        self.delivery.give_back(&self.mailbox, now);
        if now {
            self.pending.give_back();
            self.poll_last.give_back();
            self.closing.give_back();
        }
    }

    fn why_alive(&self) -> Vec<Alive> {
        let mut alive = Vec::new();
        self.handles.report(&mut alive);
        self.timers.report(&mut alive);
        self.immediates.report(&mut alive);
        alive
    }

    /// What a loop that cannot go on waits for, in words.
    pub(crate) fn why_it_waits(&self) -> String {
        let mut reasons: Vec<_> = self.why_alive().iter().map(ToString::to_string).collect();
        let tasks = self.tasks.locations();
        reasons.extend(tasks.iter().map(|location| format!("a task spawned at {location}")));
        if reasons.is_empty() { "nothing that it knows of".to_owned() } else { reasons.join(", ") }
    }

    /// Iterations until `mode` is fulfilled: true while the loop is still alive.
    fn turn(self: &Rc<Self>, mode: RunMode) -> bool {
        if self.is_stopping() {
            self.mailbox.clear_stop();
            return self.is_alive();
        }
        callback::guard(self, || callback::drain(self)); // What the code outside queued.
        self.clock.update();
        // Asked before these timers, as libuv does: an iteration follows them, whatever they leave.
        let alive = self.is_alive();
        if mode == RunMode::Default && alive && !self.is_stopping() {
            timers::run(self);
        }
        self.iterations(mode, alive);
        self.mailbox.clear_stop();
        self.is_alive()
    }

    /// As many iterations as `mode` wants and there is something for: for the first one there is if
    /// the loop was `alive`.
    fn iterations(self: &Rc<Self>, mode: RunMode, mut alive: bool) {
        while alive && !self.is_stopping() && !self.is_halted() {
            self.iterate(mode, false);
            if mode != RunMode::Default {
                return;
            }
            alive = self.is_alive();
        }
    }

    /// One iteration: the phases in their order. Inlined for the sake of the return (see `poll::wait`).
    #[inline(always)]
    fn iterate(self: &Rc<Self>, mode: RunMode, hold: bool) {
        pending::run(self);
        idle::run(self);
        prepare::run(self);

        poll::wait(self, poll::timeout(self, mode, hold)); // The only sleep.
        poll::dispatch(self);
        pending::run_after_poll(self);

        check::run(self);
        close::run(self);

        // Without timers, poll's reading is recent enough: the clock is a fifth of an idle iteration.
        if self.timers.any_waiting() {
            self.clock.update();
        }
        timers::run(self);

        self.drain_left();
    }

    /// Runs what was queued where no drain followed, as by a destructor between two callbacks: left there, it would
    /// keep the next poll from sleeping, and be lost if there is no next one.
    #[inline(always)]
    fn drain_left(&self) {
        if callback::has_queued(self) {
            callback::guard(self, || callback::drain(self));
        }
    }

    /// Turns until nothing is alive and the `before_exit` hooks add nothing; false after a stop.
    fn turn_to_the_end(self: &Rc<Self>) -> bool {
        loop {
            let alive = self.turn(RunMode::Default);
            if self.is_halted() {
                return true;
            }
            if alive {
                return false;
            }
            log::debug!("nothing is alive: calling the before-exit hooks");
            self.run_before_exit();
            if !self.is_alive() || self.is_halted() {
                return true;
            }
        }
    }

    fn run_before_exit(&self) {
        // Taken out while they run. Those that a hook adds come after, and wait for the next time.
        let mut hooks = self.hooks.before_exit.take();
        let mut next = 0;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            callback::guard(self, || {
                while next < hooks.len() && !self.is_halted() {
                    next += 1;
                    let outcome = callback::invoke(self, None, || hooks[next - 1]());
                    // As in Node one event has many listeners, and the drain comes after the last.
                    if outcome.is_err() || next == hooks.len() {
                        callback::settle(self, outcome);
                    }
                }
            });
        }));
        let added = self.hooks.before_exit.replace(hooks);
        self.hooks.before_exit.borrow_mut().extend(added);
        if let Err(payload) = outcome {
            panic::resume_unwind(payload);
        }
    }

    /// Runs the exit hooks, in order. Nothing that they queue runs, nor a hook that they add. One that calls
    /// `exit` is the last.
    fn run_exit_hooks(&self) {
        let exits = self.exits.get();
        // The program is over: a hook does not turn its loop again, nor end it by dropping a name.
        let turning = self.turning.replace(true);
        for hook in self.hooks.exit.take() {
            if self.exits.get() > exits {
                callback::drop_quietly(hook);
                continue;
            }
            let outcome = callback::invoke(self, None, || hook(self.exit_code.get()));
            if let Err(payload) = outcome
                && !payload.is::<Halt>()
            {
                let message = crate::error::panic_message(payload.as_ref());
                log::error!("an exit hook panicked: {message}");
                self.exit_code.set(1);
            }
        }
        self.hooks.exit.take().into_iter().for_each(callback::drop_quietly);
        self.turning.set(turning);
    }

    /// Follows up on `exit` or on a worker's termination.
    fn end_if_halted(self: &Rc<Self>) {
        if self.is_halted() {
            self.tear_down();
        }
    }

    pub(crate) fn exit(&self, code: i32) {
        self.exit_code.set(code);
        self.exits.set(self.exits.get() + 1);
        self.mailbox.halt();
    }

    /// The thread has more memory than it may have: the loop ends, as when it is told to.
    #[cold]
    pub(crate) fn end_for_memory(&self) {
        alloc::lift_limit();
        // Not when it ends anyway, as after `exit`.
        if !self.is_halted() {
            self.over_limit.set(Some(alloc::allocated().max(0) as usize));
            self.mailbox.halt();
        }
    }

    /// Ends the loop: drops every callback once, uncalled, and closes what is open. The loop can
    /// still be reached from destructors, but takes nothing in.
    ///
    /// After an `exit` the exit hooks come first, whoever ends the loop: it may have been called where
    /// nothing turns, and be followed by no turn.
    pub(crate) fn tear_down(self: &Rc<Self>) {
        if !self.is_open() {
            return;
        }
        let _entered = current::enter(self);
        if self.exits.get() > 0 {
            log::debug!("exit with code {}", self.exit_code.get());
            self.run_exit_hooks();
        }
        log::debug!("loop {} is torn down", self.id);
        self.status.set(Status::TearingDown);
        self.mailbox.close().for_each(callback::drop_quietly);
        while let Some(closure) = self.ticks.pop().or_else(|| self.microtasks.pop()) {
            callback::drop_quietly(closure);
        }
        while let Some((immediate, _)) = self.immediates.pop_below(u64::MAX) {
            callback::drop_quietly(immediate);
        }
        self.timers.take_all().for_each(callback::drop_quietly);
        let handles = self.handles.take_all();
        handles.iter().for_each(|handle| handle.begin_tear_down());
        for handle in handles {
            // Its waiters' wakers and messages are dropped on the way: one that panics costs only the rest
            // of this handle.
            let same = handle.clone();
            callback::quietly(|| same.tear_down(self));
            callback::drop_quietly(handle);
        }
        for task in self.tasks.take_all() {
            let same = task.clone();
            callback::quietly(|| same.tear_down());
            callback::drop_quietly(task);
        }
        for deferred in [&self.pending, &self.poll_last] {
            while let Some(entry) = deferred.take() {
                callback::drop_quietly(entry);
            }
        }
        while let Some(entry) = self.closing.take() {
            callback::drop_quietly(entry);
        }
        self.delivery.take_all().for_each(callback::drop_quietly);
        for hook in self.hooks.before_exit.take() {
            callback::drop_quietly(hook);
        }
        for hook in self.hooks.exit.take() {
            callback::drop_quietly(hook);
        }
        callback::drop_quietly(self.hooks.uncaught.clear());
        drop(self.read_buffer.take());
        self.mailbox.figures.end();
        if let Some(seat) = self.seat.as_ref().filter(|seat| seat.is_first()) {
            seat.leave();
        }
        self.status.set(Status::Closed);
        self.sources.close();
    }

    #[track_caller]
    fn assert_open(&self, verb: &str) {
        assert!(
            self.is_open() && !self.turning.get(),
            "windlass: {verb} was called on a loop that is closed. A loop is closed by close, by \
             exit and at the end of windlass::run: make a new one with Loop::new"
        );
    }
}

/// A loop that is being turned. Ends a turn, however it is left: other threads wake the loop's descriptor from here on.
struct Turned<'a> {
    state: &'a State,
    _awake: Awake,
}

impl<'a> Turned<'a> {
    fn new(state: &'a State) -> Turned<'a> {
        state.mailbox.wake_up();
        state.turning.set(true);
        Turned { state, _awake: Awake::new() }
    }
}

impl Drop for Turned<'_> {
    fn drop(&mut self) {
        self.state.running.set(None);
        self.state.turning.set(false);
        self.state.mailbox.leave();
    }
}

/// An event loop. `Clone`, for more names of the same loop; not `Send`.
///
/// Most programs need none: [`windlass::run`](crate::run) makes one, and the verbs at the crate root act on it.
/// Make one to turn it step by step, to embed it, to give it a pool or virtual time.
///
/// The loop is torn down with its last clone: every callback is dropped uncalled (but for the exit
/// hooks of a loop on which [`exit`](crate::exit) was called), every descriptor closed. Callbacks that hold a clone
/// of their own loop keep it from that; `exit` and the end of `windlass::run` tear it down all the
/// same.
///
/// # Examples
/// ```
/// use windlass::{Loop, RunMode};
///
/// let event_loop = Loop::new()?;
/// event_loop.enter(|| windlass::set_immediate(|| println!("one iteration")));
/// while event_loop.turn(RunMode::Once) {}
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Loop {
    state: Rc<State>,
}

impl Loop {
    /// Makes a loop with its own clock, the shared pool and nothing on it.
    ///
    /// # Errors
    /// When the system has no descriptors left: a loop needs two.
    pub fn new() -> io::Result<Loop> {
        Loop::builder().build()
    }

    /// Sets up a loop.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The loop that is current on this thread.
    ///
    /// # Panics
    /// When none is: see [`try_current`](Loop::try_current).
    #[track_caller]
    pub fn current() -> Loop {
        Loop::of(current::expect("Loop::current"))
    }

    /// The loop that is current on this thread, if one is.
    pub fn try_current() -> Option<Loop> {
        current::get().map(Loop::of)
    }

    fn of(state: Rc<State>) -> Loop {
        state.loops.set(state.loops.get() + 1);
        Loop { state }
    }

    pub(crate) fn from_parts(parts: Parts) -> Loop {
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let Parts { mailbox, builder, seat } = parts;
        mailbox.figures.begin();
        let (seat, clock) = match seat {
            Some((seat, parent)) => (Some(seat), Clock::of_worker(parent)),
            None if builder.virtual_time => (Some(Seat::first(&mailbox)), Clock::new(true)),
            None => (None, Clock::new(false)),
        };
        let running = mailbox.figures.running.clone();
        let state = Rc::new(State {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            status: Cell::new(Status::Open),
            clock,
            mailbox,
            delivery: Delivery::default(),
            sources: Sources::default(),
            waiting: Waiting::new(builder.spin),
            handles: Handles::default(),
            tasks: Tasks::default(),
            ticks: Ring::default(),
            microtasks: Ring::default(),
            in_microtasks: Cell::new(false),
            immediates: Immediates::default(),
            timers: timers::Timers::default(),
            pending: Deferred::default(),
            idle: Watchers::default(),
            prepare: Watchers::default(),
            check: Watchers::default(),
            poll_last: Deferred::default(),
            closing: Closing::default(),
            seat,
            pool: builder.pool.unwrap_or_else(Pool::shared),
            read_buffer: Cell::new(None),
            extensions: RefCell::default(),
            hooks: Hooks::default(),
            running,
            exit_code: Cell::new(0),
            over_limit: Cell::new(None),
            exits: Cell::new(0),
            loops: Cell::new(0),
            turning: Cell::new(false),
        });
        current::register(&state);
        Loop::of(state)
    }

    /// Runs a program: `main` first, then its ticks and microtasks, then the loop until nothing is
    /// alive. Returns what `main` returned.
    ///
    /// When nothing is alive the [`on_before_exit`](crate::on_before_exit) hooks are called, and the loop goes on if they gave
    /// it something. At the end the [`on_exit`](crate::on_exit) hooks are called. After a [`stop`](Loop::stop) it returns with the
    /// loop still alive and no hook called; a further `run` goes on.
    ///
    /// # Panics
    /// When a loop is running on this thread already, or this one is closed. With the panic of
    /// `main`, or of a callback when there is no [`on_uncaught`](crate::on_uncaught) hook; the loop can be run again and then
    /// delivers what else was due.
    ///
    /// # Examples
    /// ```
    /// let event_loop = windlass::Loop::new()?;
    /// let answer = event_loop.run(|| {
    ///     windlass::next_tick(|| println!("after the main script"));
    ///     42
    /// });
    /// assert_eq!(answer, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn run<R>(&self, main: impl FnOnce() -> R) -> R {
        let state = &self.state;
        let _turning = current::start_turning("run");
        state.assert_open("run");
        let _entered = current::enter(state);
        let _awake = Turned::new(state);
        state.clock.update();
        let result = main();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            if state.turn_to_the_end() && !state.is_halted() {
                state.run_exit_hooks();
            }
        }));
        state.end_if_halted();
        match outcome {
            Err(payload) if !payload.is::<Halt>() => panic::resume_unwind(payload),
            _ => result,
        }
    }

    /// Runs the main script of a worker, which is a callback of the poll phase (conformance rule 31).
    ///
    /// Returns whether the worker ended by itself, by having nothing left or by `exit`.
    pub(crate) fn run_worker(
        &self,
        location: &'static Location<'static>,
        main: impl FnOnce() + 'static,
    ) -> bool {
        let state = &self.state;
        let _turning = current::start_turning("a worker");
        let _entered = current::enter(state);
        let _awake = Turned::new(state);
        state.clock.update();
        let inner = state.clone();
        state.poll_last.push(Closure::new(move || callback::call(&inner, Some(location), main)));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            state.iterate(RunMode::NoWait, true);
            // It is in its turn already: the timers that a turn begins with have been.
            state.iterations(RunMode::Default, state.is_alive());
            // A stop ends a turn, but a worker goes on until nothing is left.
            while !state.turn_to_the_end() {}
            let natural = !state.is_halted();
            if natural {
                state.run_exit_hooks();
            }
            natural
        }));
        let exited = state.exits.get() > 0;
        if outcome.as_ref().is_err_and(|payload| !payload.is::<Halt>()) {
            self.fail();
        }
        state.end_if_halted();
        match outcome {
            Ok(natural) => natural || exited,
            Err(payload) if payload.is::<Halt>() => exited,
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// A panic that nobody took ends the program: its exit hooks run, with code 1, and nothing else.
    pub(crate) fn fail(&self) {
        let state = &self.state;
        if state.is_open() && state.exits.get() == 0 {
            state.exit_code.set(1);
            let _entered = current::enter(state);
            state.run_exit_hooks();
        }
    }

    /// Makes this the current loop of the thread while `f` runs. Turns nothing.
    ///
    /// # Examples
    /// ```
    /// let event_loop = windlass::Loop::new()?;
    /// event_loop.enter(|| windlass::next_tick(|| println!("in the next turn")));
    /// event_loop.turn(windlass::RunMode::NoWait);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = current::enter(&self.state);
        f()
    }

    /// Turns the loop in one of three modes (`uv_run`). Returns whether it is still alive.
    ///
    /// In `Default` mode the timers that are due run first, and an iteration follows them in any case.
    /// Each iteration is: pending, idle, prepare, poll, check and immediates, close, timers. A loop on which nothing is alive runs
    /// its ticks and microtasks and returns false at once. A stop requested before makes this turn
    /// return at once, and is then used up.
    ///
    /// # Panics
    /// As [`run`](Loop::run).
    #[track_caller]
    pub fn turn(&self, mode: RunMode) -> bool {
        let state = &self.state;
        let _turning = current::start_turning("turn");
        state.assert_open("turn");
        let _entered = current::enter(state);
        let _awake = Turned::new(state);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| state.turn(mode)));
        state.end_if_halted();
        match outcome {
            Ok(alive) => alive && state.is_open(),
            Err(payload) if payload.is::<Halt>() => false,
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Turns the loop until `future` is done, and returns its output.
    ///
    /// The future is polled as a microtask, at first and after every wake. Other work on the loop goes
    /// on meanwhile, and what is left of it stays for the next turn. With nothing alive the loop
    /// waits, for a waker may come from another thread. A [`stop`](Loop::stop) ends the current iterations, not
    /// this call.
    ///
    /// # Panics
    /// As [`run`](Loop::run), and with the panic of the future. In virtual time when nothing can wake the
    /// future any more. When [`exit`](crate::exit) is called meanwhile there is no output: the exit hooks run, the
    /// loop is closed, and a private unwind leaves this call, which shows no message.
    ///
    /// # Examples
    /// ```
    /// let event_loop = windlass::Loop::new()?;
    /// let text = event_loop.block_on(windlass_example());
    /// # async fn windlass_example() -> std::io::Result<String> {
    /// #     windlass::fs::read_to_string("Cargo.toml").await
    /// # }
    /// assert!(text?.contains("[package]"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let state = &self.state;
        let _turning = current::start_turning("block_on");
        state.assert_open("block_on");
        let _entered = current::enter(state);
        let _awake = Turned::new(state);
        state.clock.update();

        let mut future = pin!(future);
        let output = Cell::new(None);
        let mut done = false;
        // A future that is done must not be kept waiting by the iteration that finished it: its poll
        // then does not block, as after a stop.
        let finish = |result| {
            output.set(Some(result));
            state.mailbox.stop();
        };
        let mut poll = |waker: &std::task::Waker| {
            if done {
                return;
            }
            let mut context = Context::from_waker(waker);
            match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(value)) => {
                    done = true;
                    finish(Ok(value));
                }
                Err(payload) => {
                    done = true;
                    finish(Err(payload));
                }
            }
        };
        let is_done = || {
            let now = output.take();
            let done = now.is_some();
            output.set(now);
            done
        };
        let turns = || {
            callback::guard(state, || callback::drain(state));
            while !is_done() && !state.is_halted() {
                // A stop ends an iteration's wait, not this call.
                state.mailbox.clear_stop();
                state.iterate(RunMode::Once, true);
            }
        };
        let location = Location::caller();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            scoped::with_main(state, location, &mut poll, turns);
        }));
        let result = output.take();
        state.mailbox.clear_stop();
        state.end_if_halted();
        match (outcome, result) {
            (Err(payload), _) | (Ok(()), Some(Err(payload))) => panic::resume_unwind(payload),
            (Ok(()), Some(Ok(value))) => value,
            (Ok(()), None) => {
                log::error!("exit was called: block_on at {location} has no output");
                callback::halt()
            }
        }
    }

    /// Whether anything keeps the loop alive: an active referenced handle, a request, a timer or
    /// immediate, something that is closing.
    pub fn is_alive(&self) -> bool {
        self.state.is_alive()
    }

    /// What keeps the loop alive: the kind of each thing and the line that made it.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     let timer = windlass::set_timeout(std::time::Duration::from_secs(60), || ());
    ///     let why = windlass::Loop::current().why_alive();
    ///     assert_eq!(why[0].kind, "timer");
    ///     println!("alive because of {}", why[0]);
    ///     timer.clear();
    /// });
    /// ```
    pub fn why_alive(&self) -> Vec<Alive> {
        self.state.why_alive()
    }

    /// Every open handle and pending request, inactive ones included. Timers and immediates are not
    /// listed.
    pub fn handles(&self) -> Vec<HandleInfo> {
        self.state.handles.list()
    }

    /// The loop's cached time: the same for all callbacks of a phase.
    pub fn now(&self) -> Instant {
        self.state.clock.instant()
    }

    /// Moves the cached time to this moment.
    pub fn update_time(&self) {
        self.state.clock.update();
    }

    /// Ends the current turn after the iteration it is in, or the next turn before it begins. What
    /// waits stays for a later turn.
    pub fn stop(&self) {
        self.state.mailbox.stop();
    }

    /// The code given to [`exit`](crate::exit) or [`set_exit_code`](crate::set_exit_code), else 0.
    pub fn exit_code(&self) -> i32 {
        self.state.exit_code.get()
    }

    /// A guard that keeps the loop alive until it is dropped.
    #[track_caller]
    pub fn keep_alive(&self) -> KeepAlive {
        let guard = Rc::new(Guard { registration: Registration::new(self.state.clone()) });
        if self.state.is_open() {
            guard.registration.open(guard.clone(), Location::caller(), true);
        }
        KeepAlive { guard }
    }

    /// Closes the loop and its descriptors. Closing it again does nothing.
    ///
    /// # Errors
    /// `ResourceBusy` while handles, requests, timers or callbacks are left on it, or while it is
    /// turning. The loop then stays as it is: [`why_alive`](Loop::why_alive) and [`handles`](Loop::handles) tell what is open.
    pub fn close(&self) -> io::Result<()> {
        let state = &self.state;
        if !state.is_open() {
            return Ok(());
        }
        let empty = state.handles.is_empty()
            && state.timers.is_empty()
            && state.ticks.is_empty()
            && state.microtasks.is_empty()
            && !state.is_alive()
            && state.immediates.is_empty()
            && state.pending.is_empty()
            && state.closing.is_empty();
        let turning = state.turning.get();
        if !empty || turning {
            let text = if turning {
                "the loop cannot be closed from inside".to_owned()
            } else {
                format!("the loop still has: {}", state.why_it_waits())
            };
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        state.tear_down();
        Ok(())
    }

    pub(crate) fn tear_down(&self) {
        self.state.tear_down();
    }

    /// How much memory the loop's thread had, if that was too much and ended the loop.
    pub(crate) fn over_limit(&self) -> Option<usize> {
        self.state.over_limit.get()
    }

    pub(crate) fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// The time in virtual time; 0 on a real clock.
    pub(crate) fn virtual_now(&self) -> Nanos {
        if self.state.clock.is_virtual() { self.state.clock.now() } else { 0 }
    }

    /// The loop's address for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(self.state.mailbox.clone())
    }

    /// The loop's blocking pool.
    pub fn pool(&self) -> Pool {
        self.state.pool.clone()
    }

    /// How long the next poll would block: zero when something waits or nothing is alive, the time to
    /// the next timer, none for without limit. With the descriptor, this is all that an outer poll
    /// needs to drive the loop with [`turn`](Loop::turn)`(NoWait)` (`uv_backend_timeout`).
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.state.mailbox.is_filled() {
            return Some(Duration::ZERO);
        }
        poll::timeout(&self.state, RunMode::Default, false)
    }

    /// The loop's figures so far.
    pub fn metrics(&self) -> Metrics {
        self.state.mailbox.figures.snapshot()
    }
}

impl Clone for Loop {
    fn clone(&self) -> Loop {
        Loop::of(self.state.clone())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let left = self.state.loops.get() - 1;
        self.state.loops.set(left);
        if left == 0 && !self.state.turning.get() {
            self.state.tear_down();
        }
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("id", &self.state.id)
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

impl AsRawFd for Loop {
    /// The poller's descriptor: readable when the loop has something to do that is not a timer.
    ///
    /// # Panics
    /// When the loop is closed. Of a worker's loop, which has no descriptor before its first source or this call:
    /// when the system has none left.
    fn as_raw_fd(&self) -> RawFd {
        self.state.sources.lend(&self.state.mailbox)
    }
}

impl AsFd for Loop {
    /// As [`as_raw_fd`](AsRawFd::as_raw_fd).
    fn as_fd(&self) -> BorrowedFd<'_> {
        sys::borrow_descriptor(self, self.as_raw_fd())
    }
}

/// Keeps its loop alive until dropped. Made by [`Loop::keep_alive`].
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let guard = windlass::Loop::current().keep_alive();
///     // A task by itself would not keep the loop.
///     windlass::spawn(async move {
///         windlass::yield_now().await;
///         drop(guard);
///     });
/// });
/// ```
pub struct KeepAlive {
    guard: Rc<Guard>,
}

struct Guard {
    registration: Registration,
}

impl Handle for Guard {
    fn kind(&self) -> &'static str {
        "keep-alive guard"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        drop(self.guard.registration.close());
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").finish_non_exhaustive()
    }
}

impl Hooks {
    pub(crate) fn add_before_exit(&self, f: Box<dyn FnMut()>) {
        self.before_exit.borrow_mut().push(f);
    }

    pub(crate) fn add_exit(&self, f: Box<dyn FnOnce(i32)>) {
        self.exit.borrow_mut().push(f);
    }
}

impl State {
    pub(crate) fn set_exit_code(&self, code: i32) {
        self.exit_code.set(code);
    }
}
