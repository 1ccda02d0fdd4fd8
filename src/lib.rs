//! A single-threaded event loop runtime in the image of Node.js, libuv and `worker_threads`.
//!
//! One thread turns one loop. What would block it goes to a pool of threads and comes back as a
//! callback; what would keep it busy goes to workers, threads with loops of their own that talk to
//! it through typed ports. The golden rule is Node's: *don't block the event loop*.
//!
//! # The verbs
//!
//! They act on the loop that is current on this thread, as Node's do.
//!
//! | call | runs what it is given |
//! |---|---|
//! | [`run`], [`run_main`] | as a program: the main script, then all that follows from it |
//! | [`block_on`], [`spawn`] | a future, as the program or beside it |
//! | [`next_tick`] | right after the running callback |
//! | [`queue_microtask`] | after the ticks, before the loop goes on |
//! | [`when_drained`] | when no tick and no microtask is left |
//! | [`set_immediate`] | in the next check phase |
//! | [`set_timeout`], [`set_interval`], [`set_timer`] | when a time has passed; again and again |
//! | [`queue_work`], [`work`] | on a thread of the pool; its result comes back as a callback |
//! | [`worker::Worker::spawn`] | on a thread with a loop of its own |
//! | [`on_uncaught`], [`on_unhandled`] | when a callback panics; when nobody takes an error |
//! | [`on_before_exit`], [`on_exit`], [`stop`], [`exit`] | at the end, and make it come |
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! windlass::run(|| {
//!     windlass::set_timeout(Duration::from_millis(1), || println!("5. timer"));
//!     windlass::set_immediate(|| println!("4. immediate"));
//!     windlass::queue_microtask(|| println!("3. microtask"));
//!     windlass::next_tick(|| println!("2. tick"));
//!     println!("1. main script");
//! });
//! ```
//!
//! # The order
//!
//! The phases of an iteration, and what is called in each. [`guide`] tells it slowly, and
//! [`guide::order`] is the specification in words, each statement with its test.
//!
//! ```text
//!        main script
//!             │
//!             ▼
//!      ┌─────────────┐  timers that are due, once before the first iteration
//!      │   timers    │
//!      └──────┬──────┘
//!             ▼
//!  ┌──▶┌─────────────┐  completions deferred out of the call that caused them
//!  │   │   pending   │
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  idle watchers: they keep poll from blocking
//!  │   │    idle     │
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  prepare watchers
//!  │   │   prepare   │
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  waits; then sockets, completed requests, messages,
//!  │   │    poll     │  posts from other threads, signals
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  check watchers, then immediates
//!  │   │    check    │
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  close callbacks
//!  │   │    close    │
//!  │   └──────┬──────┘
//!  │   ┌──────▼──────┐  timers that are due
//!  └───│   timers    │
//!      └─────────────┘
//!
//!  After every single callback: all ticks, then all microtasks, until both are empty.
//! ```
//!
//! # What is where
//!
//! - [`guide::seeing`] says which tool shows what a loop does: its log, the account of each
//!   iteration, the callback that blocks it, what caused what.
//!   [`guide::with_other_crates`] says which other crates work on a loop, and how.
//! - [`Loop`] is for programs that turn a loop by hand, [`time`] has sleeps, [`observe`] looks on.
//! - A *handle* lives long and calls back many times: a [`Timer`], the watchers in [`handle`], the
//!   sockets in [`net`], a [`pipe`], a standard stream of [`stdio`], a terminal of [`tty`], a
//!   [`worker::Worker`]. A [`Request`] is one operation that completes once: those of [`fs`] and
//!   [`dns`], a connect, a write. With the feature `digest` there is a module `crypto`, for
//!   digests and keys; with the feature `crypto` it has scrypt too, which needs a C compiler.
//!   With `futures` there are the traits of those crates, with `hyper` those of hyper, and with
//!   `inspect` a view of the program in a browser.
//! - Nothing of a loop is `Send`, but for ids such as a [`Timer`], which do nothing on other
//!   threads, and a [`time::Sleep`]. What crosses threads is a message through a [`worker::Port`],
//!   a [`Remote`], a [`handle::Notifier`], or a [`Waker`](std::task::Waker).
//!
//! # When it does not compile
//!
//! *"… cannot be sent between threads safely"*: a socket or a port belongs to its loop. It crosses
//! to a worker or to the pool by `detach`, and is opened there.
//!
//! ```compile_fail,E0277
//! # windlass::run(|| -> std::io::Result<()> {
//! let listener = windlass::net::TcpListener::bind("127.0.0.1:0")?;
//! windlass::worker::Worker::<(), ()>::spawn(move |_| drop(listener))?;
//! # Ok(()) });
//! ```
//!
//! ```
//! # windlass::run(|| -> std::io::Result<()> {
//! let listener = windlass::net::TcpListener::bind("127.0.0.1:0")?.detach()?;
//! windlass::worker::Worker::<(), ()>::spawn(move |_| drop(listener.open()))?;
//! # Ok(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! *"expected a `FnOnce()` closure, found `{async block}`"*: [`run`] takes a main script. For a
//! future there is [`block_on`].
//!
//! ```compile_fail,E0277
//! windlass::run(async { println!("hello") });
//! ```
//!
//! ```
//! windlass::block_on(async { println!("hello") });
//! ```
//!
//! *"the `?` operator can only be used in a closure that returns `Result`"*: a callback returns to
//! the loop, which could do nothing with an error. Handle it there, or write a task.
//!
//! ```compile_fail,E0277
//! # windlass::run(|| {
//! windlass::set_immediate(|| {
//!     let text = std::fs::read_to_string("Cargo.toml")?;
//!     println!("{text}");
//! });
//! # });
//! ```
//!
//! ```
//! # windlass::run(|| {
//! windlass::set_immediate(|| {
//!     let Ok(text) = std::fs::read_to_string("Cargo.toml") else { return };
//!     println!("{text}");
//! });
//! windlass::spawn_try(async {
//!     println!("{}", windlass::fs::read_to_string("Cargo.toml").await?);
//!     Ok::<(), std::io::Error>(()) // An error goes to `on_unhandled`.
//! });
//! # });
//! ```
//!
//! # Platforms
//!
//! Linux first; other 64-bit Unix systems that mio knows compile but are not tested. No crate
//! feature changes the default behaviour.

#![warn(rustdoc::broken_intra_doc_links)]

mod callback;
mod cell;
mod channel;
mod clock;
mod error;
mod event_loop;
mod phase;
mod pool;
mod promise;
mod queue;
mod report;
mod request;
mod state;
mod sys;
mod threads;
mod trace;
mod unhandled;
mod virtual_time;

pub mod alloc;
#[cfg(feature = "digest")]
pub mod crypto;
pub mod dns;
pub mod fs;
#[cfg(feature = "futures")]
pub mod futures;
pub mod guide;
pub mod handle;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "inspect")]
pub mod inspect;
pub mod net;
pub mod observe;
pub mod pipe;
pub mod process;
pub mod signal;
pub mod sim;
pub mod stdio;
pub mod stream;
pub mod task;
pub mod time;
pub mod tty;
pub mod worker;

use std::cell::Cell;
use std::future::Future;
use std::panic::{self, Location};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use task::signal::Signal;

use callback::observed;
use phase::check;
use state::current;
use trace::label::here;

pub use error::{CancelError, LoopGone, Panic, TaskError, Uncaught, WorkError};
pub use event_loop::{Builder, KeepAlive, Loop, RunMode};
pub use phase::check::{Immediate, set_immediate};
pub use phase::timers::{Timer, set_interval, set_timeout, set_timer};
pub use pool::{
    CancelToken, KindMetrics, Laggards, Pool, PoolBuilder, PoolMetrics, RunningJob, SubmitError,
    Work, WorkKind, queue_work, work,
};
pub use report::metrics::Metrics;
pub use report::{Alive, HandleInfo, Laggard};
pub use request::{Canceller, Request};
pub use task::{Task, spawn, spawn_detached};
pub use threads::remote::Remote;
pub use unhandled::{Unhandled, on_unhandled, spawn_try};

/// Runs a program on a loop of its own, like `node main.js`: `main` first, then the loop until
/// nothing is alive, then the loop is torn down. Returns what `main` returned.
///
/// # Panics
/// When a loop is running on this thread already, when the system has no descriptors left for a
/// loop, and with a panic of `main` or of a callback that no [`on_uncaught`] hook takes.
///
/// # Examples
/// ```
/// let answer = windlass::run(|| {
///     windlass::set_immediate(|| println!("world"));
///     println!("hello");
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
#[rustfmt::skip] // A line by itself, for the compiler shows it where the bound is not met.
pub fn run<R>(
    main: impl FnOnce() -> R, // For a future use block_on.
) -> R {
    let event_loop = Program::begin();
    let result = event_loop.event_loop.run(main);
    event_loop.failed.set(false);
    result
}

/// Runs a program as [`run`] does, for `fn main`: the exit code is the one given to [`exit`] or
/// [`set_exit_code`], else 0, or 1 after a panic that nobody took.
///
/// Of the code the system keeps the lowest 8 bits.
///
/// # Panics
/// When a loop is running on this thread already, and when the system has no descriptors left for
/// a loop.
///
/// # Examples
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     windlass::run_main(|| {
///         windlass::set_immediate(|| windlass::exit(3));
///     })
/// }
/// ```
#[track_caller]
#[rustfmt::skip] // A line by itself, for the compiler shows it where the bound is not met.
pub fn run_main(
    main: impl FnOnce(), // For a future use block_on.
) -> ExitCode {
    // Not caught below, where it would look like a panic of the program.
    current::refuse_inside("run_main");
    let _view = view();
    let event_loop = make_loop();
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| event_loop.run(main)));
    if outcome.is_err() {
        event_loop.fail();
    }
    event_loop.tear_down();
    match outcome {
        Ok(()) => ExitCode::from(event_loop.exit_code() as u8),
        // The panic hook has printed it.
        Err(payload) => {
            callback::drop_payload(payload);
            ExitCode::FAILURE
        }
    }
}

/// Turns a loop of its own until the future is done, tears the loop down, and returns the output.
///
/// # Panics
/// As [`Loop::block_on`], and when the system has no descriptors left for a loop.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// let answer = windlass::block_on(async {
///     windlass::time::sleep(Duration::from_millis(1)).await;
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let event_loop = Program::begin();
    let output = event_loop.event_loop.block_on(future);
    event_loop.failed.set(false);
    output
}

/// A view of the program, if its environment asks for one.
#[cfg(feature = "inspect")]
type View = Option<std::sync::Arc<inspect::Inspector>>;
/// Without the feature there is none.
#[cfg(not(feature = "inspect"))]
struct View;

#[cfg(feature = "inspect")]
fn view() -> View {
    inspect::by_environment()
}

#[cfg(not(feature = "inspect"))]
fn view() -> View {
    View
}

#[track_caller]
fn make_loop() -> Loop {
    match Loop::new() {
        Ok(event_loop) => event_loop,
        Err(error) => panic!("windlass: a loop could not be made: {error}"),
    }
}

/// Calls `f` right after the callback that is running, before microtasks and before the loop goes
/// on.
///
/// # Ordering
/// Ticks run in the order queued, those queued by ticks too, until none is left; then the
/// microtasks. A chain of ticks starves the loop for as long as it lasts. As Node's
/// `process.nextTick`.
///
/// # Liveness
/// Ticks do not keep the loop alive; they run before it could end.
///
/// # Cost
/// A closure of up to three words is stored in the queue; a larger one is boxed.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::next_tick(|| println!("second"));
///     println!("first");
/// });
/// ```
#[inline]
#[track_caller]
pub fn next_tick(f: impl FnOnce() + 'static) {
    let place = Location::caller();
    current::expect_with("next_tick", |state| {
        if state.mailbox.takes_plainly() {
            state.ticks.push(f);
        } else {
            observed::queue_tick(state, place, f);
        }
    });
}

/// Calls `f` after the callback that is running and its ticks, before the loop goes on.
///
/// # Ordering
/// Microtasks run in the order queued, whether queued here or by the wake of a task, until none is
/// left; ticks they queued come after. A chain of microtasks starves the loop for as long as it
/// lasts. As Node's `queueMicrotask`.
///
/// # Liveness
/// Microtasks do not keep the loop alive; they run before it could end.
///
/// # Cost
/// A closure of up to three words is stored in the queue; a larger one is boxed.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::queue_microtask(|| println!("third"));
///     windlass::next_tick(|| println!("second"));
///     println!("first");
/// });
/// ```
#[inline]
#[track_caller]
pub fn queue_microtask(f: impl FnOnce() + 'static) {
    let place = Location::caller();
    current::expect_with("queue_microtask", |state| {
        if state.mailbox.takes_plainly() {
            state.microtasks.push(f);
        } else {
            observed::queue_microtask(state, place, f);
        }
    });
}

/// Calls `f` once, when neither a tick nor a microtask is left: at the end of the drain that is
/// under way, or of the next one.
///
/// For what can only be judged when all that follows from a callback has run. So Node judges at
/// this point which rejected promises nobody has handled (`processTicksAndRejections`).
///
/// # Ordering
/// Callbacks run in the order queued. Ticks and microtasks that one of them queues run before the
/// next one, and all of them before the loop goes on. A chain of them starves the loop, as one of
/// ticks does.
///
/// # Liveness
/// It does not keep the loop alive; it runs before the loop could end.
///
/// # Cost
/// As [`next_tick`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::when_drained(|| println!("4. nothing is left of the main script"));
///     windlass::queue_microtask(|| println!("3. microtask"));
///     windlass::next_tick(|| println!("2. tick"));
///     println!("1. main script");
/// });
/// ```
#[track_caller]
pub fn when_drained(f: impl FnOnce() + 'static) {
    let place = Location::caller();
    current::expect_with("when_drained", |state| {
        if state.mailbox.takes_plainly() {
            state.drained.push(f);
        } else {
            observed::queue_drained(state, place, f);
        }
    });
}

/// Ends the current turn after the iteration it is in, like [`Loop::stop`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let event_loop = windlass::Loop::new()?;
/// event_loop.run(|| {
///     windlass::set_immediate(windlass::stop);
///     windlass::set_timeout(std::time::Duration::from_secs(3600), || ());
/// });
/// assert!(event_loop.is_alive());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn stop() {
    current::expect_with("stop", |state| state.mailbox.stop());
}

/// The current loop's cached time, the same for all callbacks of a phase. See
/// [`Loop::update_time`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| assert_eq!(windlass::now(), windlass::now()));
/// ```
#[track_caller]
pub fn now() -> Instant {
    current::expect_with("now", |state| state.clock.instant())
}

/// Ends the current loop, not the process: nothing that is queued runs any more, the [`on_exit`]
/// hooks do, and then the loop is torn down.
///
/// The callback that called this goes on to its end, for nothing is unwound: code that is to end
/// sooner asks [`must_return`]. Called again, it changes the code; from an
/// exit hook it also makes that hook the last. Called inside [`Loop::enter`], where nothing is
/// being turned, it ends the loop in its next turn, or when the loop is closed or dropped before
/// that.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let event_loop = windlass::Loop::new()?;
/// event_loop.run(|| {
///     windlass::set_immediate(|| unreachable!("the loop ends before"));
///     windlass::exit(3);
/// });
/// assert_eq!(event_loop.exit_code(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn exit(code: i32) {
    current::expect("exit").exit(code);
}

/// Whether the callback that runs is to return soon: its loop was told to end, by [`exit`], by the
/// termination of its worker, or for its memory limit, which is looked at here.
///
/// For a host of an engine, whose frames no unwind may cross: it asks after each call into the
/// engine and in the engine's interrupt handler, leaves the script by the engine's own means if
/// this is true, and returns to the loop. Where an unwind may pass there is
/// [`worker::checkpoint`]. The exit hooks that follow are not to return, unless `exit` is called in
/// one, or the worker is terminated. False where no loop is current.
///
/// # Cost
/// A few loads: for an interrupt handler.
///
/// # Examples
/// ```
/// /// Takes the steps of a script until none is left, or until it is to end.
/// fn run_script(mut steps: impl Iterator<Item = fn()>) {
///     while !windlass::must_return()
///         && let Some(step) = steps.next()
///     {
///         step();
///     }
/// }
///
/// windlass::run(|| {
///     let steps: [fn(); 2] = [|| windlass::exit(3), || unreachable!("the script has ended")];
///     run_script(steps.into_iter());
///     windlass::on_exit(|code| {
///         assert_eq!(code, 3);
///         assert!(!windlass::must_return()); // A script may run here too.
///     });
/// });
/// ```
pub fn must_return() -> bool {
    worker::must_return()
}

/// Sets the code with which the loop ends, without ending it (Node's `process.exitCode`).
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let event_loop = windlass::Loop::new()?;
/// event_loop.run(|| windlass::set_exit_code(2));
/// assert_eq!(event_loop.exit_code(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_exit_code(code: i32) {
    current::expect("set_exit_code").set_exit_code(code);
}

/// Calls `f` each time that nothing is alive any more, before the loop ends.
///
/// If a hook arms something that keeps the loop alive, the loop goes on, and the hooks are called
/// again later; ticks and microtasks alone do not count. Hooks accumulate and are called in the
/// order added, with one drain after the last. Not called after [`exit`] or a stop. As Node's
/// `beforeExit`.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let mut once_more = true;
///     windlass::on_before_exit(move || {
///         if std::mem::take(&mut once_more) {
///             windlass::set_immediate(|| println!("not yet"));
///         }
///     });
/// });
/// ```
#[track_caller]
pub fn on_before_exit(f: impl FnMut() + 'static) {
    let state = current::expect("on_before_exit");
    if state.is_open() {
        state.hooks.add_before_exit(Box::new(f));
    }
}

/// Calls `f` with the exit code when the program ends, after [`exit`] or when nothing is alive.
///
/// Hooks accumulate and are called in the order added. Nothing that they queue runs, nor a hook
/// that they add. One that calls [`exit`] sets the code and is the last: the hooks behind it are
/// dropped. A panic that nobody took ends a worker, and [`run`], [`run_main`] and [`block_on`],
/// with code 1. As Node's `exit` event.
///
/// A panic of a hook goes to [`on_uncaught`] as that of any callback; the other hooks follow. If
/// nobody takes it the code is 1, and it leaves the turn behind the last hook, or ends a worker. It
/// is logged where another panic goes on already, and where no turn ends the loop but a drop or a
/// close.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| windlass::on_exit(|code| println!("ended with code {code}")));
/// ```
#[track_caller]
pub fn on_exit(f: impl FnOnce(i32) + 'static) {
    let state = current::expect("on_exit");
    if state.is_open() {
        state.hooks.add_exit(Box::new(f));
    }
}

/// Gives panics that nobody else takes to `f`, and lets the loop go on.
///
/// A caught panic ends its callback like a return: the drain follows, then the next callback. There
/// is one hook; setting another replaces it. Without one a panic leaves `run` with its payload. A
/// panic of the main script always does, and so does one of the hook itself.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::on_uncaught(|uncaught| println!("caught: {}", uncaught.message()));
///     windlass::set_immediate(|| panic!("an accident"));
///     windlass::set_immediate(|| println!("and the loop goes on"));
/// });
/// ```
#[track_caller]
pub fn on_uncaught(f: impl FnMut(Uncaught) + 'static) {
    let state = current::expect("on_uncaught");
    if state.is_open() {
        let before = state.hooks.uncaught.set(Box::new(f));
        drop(before);
    }
}

/// A future that lets the loop do its round. Made by [`yield_now`].
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     windlass::set_immediate(|| println!("first"));
///     windlass::yield_now().await;
///     println!("second");
/// });
/// ```
#[derive(Debug)]
pub struct YieldNow {
    /// Where it was called for.
    location: &'static Location<'static>,
    /// The immediate that resumes the task, and its way to the future. None before the first poll.
    waiting: Option<(Immediate, Rc<Signal>)>,
}

/// Resumes the task in the next check phase, so that I/O, timers and other tasks get their turn.
///
/// For a task that computes in pieces. A task that merely wakes itself is polled again before the
/// loop goes on. Holds the loop until it has resumed.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     for piece in 0..3 {
///         println!("piece {piece}");
///         windlass::yield_now().await;
///     }
/// });
/// ```
#[track_caller]
pub fn yield_now() -> YieldNow {
    YieldNow { location: here(), waiting: None }
}

impl Future for YieldNow {
    type Output = ();

    /// # Panics
    /// When no loop is current at the first poll.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let location = self.location;
        let (_, signal) = self.waiting.get_or_insert_with(|| {
            let signal = Rc::new(Signal::default());
            let inner = signal.clone();
            (check::set_immediate_at(location, move || inner.fire()), signal)
        });
        signal.poll(cx)
    }
}

impl Drop for YieldNow {
    fn drop(&mut self) {
        if let Some((immediate, _)) = &self.waiting {
            immediate.clear();
        }
    }
}

/// A loop that ends with its function, also by a panic. Not left to the last clone: a callback may
/// hold one.
struct Program {
    /// Torn down when the program is dropped.
    event_loop: Loop,
    /// The view of it, which is over when the loop is torn down.
    _view: View,
    /// The function was left by a panic, unless it says otherwise.
    failed: Cell<bool>,
}

impl Program {
    #[track_caller]
    fn begin() -> Program {
        let _view = view();
        Program { event_loop: make_loop(), _view, failed: Cell::new(true) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.failed.get() {
            self.event_loop.fail();
        }
        self.event_loop.tear_down();
    }
}
