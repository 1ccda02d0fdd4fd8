//! The ways to turn a loop: `run`, `turn`, `block_on`, and a worker's whole life. And `enter`,
//! which turns nothing.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::Loop;
use super::turn::Turned;
use crate::callback::slot::and_also;
use crate::callback::{self, Halt, observed};
use crate::error::panic_message;
use crate::phase::mode::RunMode;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::task::{scoped, span};
use crate::threads::patience::Awake;
use crate::trace::Phase;
use crate::trace::label::{InForce, Shown, here};
use crate::trace::origin::Origin;

/// A loop that this thread turns: it is the thread's current loop, no other loop of the thread can
/// be turned, and the loop counts as awake, so that other threads need not wake it.
///
/// All of that ends with the guard, however the turn is left. It must stay a local of the function
/// that makes it (see [`current`]).
struct Turning {
    /// The loop that turns.
    state: Rc<State>,
    /// One thread more that is awake.
    _awake: Awake,
    /// The loop is current.
    _entered: current::Entered,
    /// No other loop can be turned.
    _thread: current::ThreadTurns,
    /// No label is in force in what is called.
    _unlabelled: InForce,
}

impl Turning {
    /// Begins a turn, for a method of this name.
    ///
    /// # Panics
    /// When a loop is being turned on this thread already, or this one is closed.
    #[track_caller]
    fn begin(state: &Rc<State>, verb: &str) -> Turning {
        let thread = current::start_turning(verb);
        assert!(
            state.is_open() && !state.teller.track.is_turning(),
            "windlass: {verb} was called on a loop that is closed. A loop is closed by close, by \
             exit and at the end of windlass::run: make a new one with Loop::new"
        );
        let entered = current::enter(state);
        state.mailbox.wake_up();
        state.teller.track.set_turning(true);
        state.delays.begin_turn(state.clock.read());
        state.begin_log();
        state.tell_turn(true);
        Turning {
            state: state.clone(),
            _awake: Awake::new(),
            _entered: entered,
            _thread: thread,
            _unlabelled: InForce::none(),
        }
    }

    /// The result of a turn, once the loop is torn down if it was told to end. A panic is for the
    /// caller to go on with; the private unwind of [`callback::halt`] ends here, and gives None.
    fn end<R>(&self, outcome: thread::Result<R>) -> thread::Result<Option<R>> {
        match self.state.end_if_halted(outcome) {
            Err(payload) if payload.is::<Halt>() => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        let now = self.state.clock.read();
        self.state.set_running(None);
        self.state.teller.end_turn(&self.state.clock, now);
        self.state.tell_turn(false);
        self.state.end_log();
        self.state.delays.end_turn(now);
        // A drain that a panic left is over: the next turn's begins with the ticks.
        self.state.in_microtasks.set(false);
        self.state.teller.track.set_turning(false);
        // From here on other threads wake the loop's descriptor.
        self.state.mailbox.leave();
    }
}

impl Loop {
    /// Runs a program: `main` first, then its ticks and microtasks, then the loop until nothing is
    /// alive. Returns what `main` returned.
    ///
    /// When nothing is alive the [`on_before_exit`](crate::on_before_exit) hooks are called, and
    /// the loop goes on if they gave it something. At the end the [`on_exit`](crate::on_exit) hooks
    /// are called. After a [`stop`](Loop::stop) it returns with no hook called, whether anything is
    /// alive or not; a further `run` goes on. A stop that was requested before or in `main` comes
    /// after the ticks and microtasks of `main`.
    ///
    /// # Panics
    /// When a loop is running on this thread already, or this one is closed. With the panic of
    /// `main`, or of a callback when there is no [`on_uncaught`](crate::on_uncaught) hook; the loop
    /// can be run again and then delivers what else was due.
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
    pub fn run<R>(
        &self,
        main: impl FnOnce() -> R, // For a future use block_on.
    ) -> R {
        let (state, location) = (&self.state, here());
        let turning = Turning::begin(state, "run");
        state.clock.update();
        let result = state.call_main(location, main);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            // Here and not in the turn: they run also if the main script has asked for a stop.
            state.drain_left();
            state.teller.end_macrotask(&state.clock);
            if state.turn_to_the_end(true) && !state.is_halted() {
                state.end_by_itself();
            }
        }));
        if let Err(payload) = turning.end(outcome) {
            // Not while that panic passes by: its destructor may have its own.
            callback::drop_quietly(result);
            panic::resume_unwind(payload);
        }
        result
    }

    /// Turns the loop in one of three modes (`uv_run`). Returns whether it is still alive.
    ///
    /// In `Default` mode the timers that are due run first, and an iteration follows them in any
    /// case. Each iteration is: pending, idle, prepare, poll, check and immediates, close, timers.
    /// A loop on which nothing is alive runs its ticks and microtasks and returns false at once. A
    /// stop requested before makes this turn return at once, and is then used up.
    ///
    /// # Panics
    /// As [`run`](Loop::run).
    #[track_caller]
    pub fn turn(&self, mode: RunMode) -> bool {
        let state = &self.state;
        let turning = Turning::begin(state, "turn");
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| match state.turn(mode) {
            Turned::Finished => false,
            Turned::Alive => true,
            Turned::Stopped => state.is_alive(),
        }));
        let alive = turning.end(outcome).unwrap_or_else(|payload| panic::resume_unwind(payload));
        alive.unwrap_or(false) && state.is_open()
    }

    /// Turns the loop until `future` is done, and returns its output.
    ///
    /// The future is polled as a microtask, at first and after every wake. Other work on the loop
    /// goes on meanwhile, and what is left of it stays for the next turn. With nothing alive the
    /// loop waits, for a waker may come from another thread. A [`stop`](Loop::stop) ends the
    /// current iterations, not this call.
    ///
    /// # Panics
    /// As [`run`](Loop::run), and with the panic of the future. In virtual time when nothing can
    /// wake the future any more. When [`exit`](crate::exit) is called meanwhile there is no output:
    /// the exit hooks run, the loop is closed, and a private unwind leaves this call, which shows
    /// no message.
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
        let (state, location) = (&self.state, here());
        let _turning = Turning::begin(state, "block_on");
        state.clock.update();

        let (future, span) = span::traced(future, "block_on", location);
        let mut future = pin!(Some(future));
        let mut output = None;
        let done = Cell::new(false);
        let mut poll = |waker: &Waker| {
            let Some(future) = future.as_mut().as_pin_mut().filter(|_| !done.get()) else { return };
            let mut context = Context::from_waker(waker);
            let poll = || future.poll(&mut context);
            output = match panic::catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => return,
                Ok(Poll::Ready(value)) => Some(Ok(value)),
                Err(payload) => Some(Err(payload)),
            };
            done.set(true);
            // The iteration that finished the future must not keep it waiting: its poll then does
            // not block, as after a stop.
            state.mailbox.stop();
        };
        let turns = || {
            state.drain_left();
            while !done.get() && !state.is_halted() {
                // A stop ends an iteration's wait, not this call.
                state.mailbox.clear_stop();
                state.iterate(RunMode::Once, true);
            }
        };
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            scoped::with_main(state, location, span, &mut poll, turns);
        }));
        state.mailbox.clear_stop();
        let outcome = state.end_if_halted(outcome);
        // Not while a panic passes by: the destructors of the output and of the future may have
        // their own.
        let outcome = match (outcome, output) {
            (Ok(()), output) => output.transpose(),
            // Of two panics the first goes on, but for that of an exit.
            (Err(second), Some(Err(first))) => {
                let is_exit = second.is::<Halt>();
                let (goes_on, lost) = if is_exit { (second, first) } else { (first, second) };
                let message = panic_message(&*lost);
                log::error!("one of two panics in block_on at {}: {message}", Shown(location));
                callback::drop_quietly(lost);
                Err(goes_on)
            }
            (Err(payload), output) => {
                callback::drop_quietly(output);
                Err(payload)
            }
        };
        match and_also(outcome, || future.set(None)) {
            Ok(Some(value)) => value,
            Ok(None) => {
                log::error!("exit was called: block_on at {} has no output", Shown(location));
                callback::halt()
            }
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Runs the main script of a worker, which is a callback of the poll phase (conformance rule
    /// 31), and turns its loop to the end.
    ///
    /// `cause` is the callback in which the worker was spawned. Returns whether the worker ended by
    /// itself, by having nothing left or by `exit`.
    pub(crate) fn run_worker(
        &self,
        location: &'static Location<'static>,
        cause: u64,
        main: impl FnOnce() + 'static,
    ) -> bool {
        let state = &self.state;
        let turning = Turning::begin(state, "a worker");
        state.clock.update();
        let inner = state.clone();
        let origin = Origin { kind: observed::MAIN, place: Some(location), cause };
        state.push_poll_last(Closure::new(move || {
            inner.begin_phase(Phase::Main, || 1);
            callback::call(&inner, origin, main);
            inner.teller.set_phase(Phase::Poll);
        }));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            state.iterate(RunMode::NoWait, true);
            // It is in its turn already: the timers that a turn begins with have been.
            state.iterations(RunMode::Default, state.is_alive());
            // A stop ends a turn, but a worker goes on until nothing is left.
            while !state.turn_to_the_end(false) {}
            let natural = !state.is_halted();
            if natural {
                state.end_by_itself();
            }
            natural
        }));
        let exited = state.exits.get() > 0;
        if is_panic(&outcome) {
            state.fail();
        }
        let natural = turning.end(outcome).unwrap_or_else(|payload| panic::resume_unwind(payload));
        natural.unwrap_or(false) || exited
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
}

/// Whether this is the outcome of a panic, not of [`callback::halt`].
fn is_panic<R>(outcome: &Result<R, Box<dyn Any + Send>>) -> bool {
    outcome.as_ref().is_err_and(|payload| !payload.is::<Halt>())
}
