//! The loop: how it is made, turned and ended. Its data stand in `state/`.
//!
//! - [`turn`]: the phases in their order. The file to open first.
//! - [`run`]: the ways to turn it; [`end`]: how a program ends, and the teardown;
//!   [`shutdown`]: its end in order.
//! - [`builder`]: how it is set up.
//!
//! Here is the public [`Loop`], a counted name of a state.

pub(crate) mod builder;
mod end;
mod observed;
mod run;
mod shutdown;
mod told;
mod turn;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::callback;
use crate::clock::Nanos;
use crate::phase::poll;
use crate::pool::Pool;
use crate::report::metrics::Metrics;
use crate::report::{Alive, HandleInfo};
use crate::state::named::{Name, Named, Names};
use crate::state::registration::{Handle, Registration};
use crate::sys;
use crate::threads::remote::Remote;

pub use crate::phase::mode::RunMode;
use crate::state::{State, current};
use crate::trace::label::here;
pub use builder::Builder;
pub(crate) use builder::Parts;

impl Builder {
    /// Makes the loop.
    ///
    /// # Errors
    /// When the system has no descriptors left: a loop needs two.
    pub fn build(self) -> io::Result<Loop> {
        let event_loop = Loop::from_parts(self.parts());
        // Now and not with the first source, so that an error is seen here.
        event_loop.state.sources.make_poller()?;
        Ok(event_loop)
    }
}

/// An event loop. `Clone`, for more names of the same loop; not `Send`.
///
/// Most programs need none: [`windlass::run`](crate::run) makes one, and the verbs at the crate
/// root act on it. Make one to turn it step by step, to embed it, to give it a pool or virtual
/// time.
///
/// The loop is torn down with its last clone: every callback is dropped uncalled (but for the exit
/// hooks of a loop on which [`exit`](crate::exit) was called), every descriptor closed. Callbacks
/// that hold a clone of their own loop keep it from that; `exit` and the end of `windlass::run`
/// tear it down all the same.
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
#[derive(Clone)]
pub struct Loop {
    /// The last name tears the loop down.
    state: Name<State>,
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
        Loop { state: Name::new(state) }
    }

    /// Makes a loop, on its own thread.
    pub(crate) fn from_parts(parts: Parts) -> Loop {
        let state = parts.into_state();
        current::register(&state);
        Loop::of(state)
    }

    /// What the loop is called in reports: see [`Builder::name`].
    pub fn name(&self) -> String {
        self.state.teller.track.name().to_owned()
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
        let guard = Rc::new(Guard { registration: Registration::new(Rc::clone(&self.state)) });
        if self.state.is_open() {
            guard.registration.open(guard.clone(), here(), true);
        }
        KeepAlive { guard }
    }

    /// Closes the loop and its descriptors. Closing it again does nothing.
    ///
    /// # Errors
    /// `ResourceBusy` while handles, requests, timers or callbacks are left on it, or while it is
    /// turning. The loop then stays as it is: [`why_alive`](Loop::why_alive) and
    /// [`handles`](Loop::handles) tell what is open.
    pub fn close(&self) -> io::Result<()> {
        let state = &self.state;
        if !state.is_open() {
            return Ok(());
        }
        let empty = state.handles.is_empty()
            && state.timers.is_empty()
            && !callback::has_queued(state)
            && !state.is_alive()
            && state.immediates.is_empty()
            && state.pending.is_empty()
            && state.closing.is_empty();
        let turning = state.teller.track.is_turning();
        if !empty || turning {
            let text = if turning {
                "the loop cannot be closed from inside".to_owned()
            } else {
                format!("the loop still has: {}", state.what_is_open())
            };
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        state.tear_down();
        Ok(())
    }

    /// See [`State::tear_down`].
    pub(crate) fn tear_down(&self) {
        self.state.tear_down();
    }

    /// See [`State::fail`].
    pub(crate) fn fail(&self) {
        self.state.fail();
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
        if self.state.clock.is_virtual() { self.state.clock.read() } else { 0 }
    }

    /// The loop's address for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(self.state.mailbox.clone())
    }

    /// The loop's blocking pool.
    pub fn pool(&self) -> Pool {
        self.state.pool.clone()
    }

    /// How long the next poll would block: zero when something waits or nothing is alive, the time
    /// to the next timer, none for without limit. With the descriptor, this is all that an outer
    /// poll needs to drive the loop with [`turn`](Loop::turn)`(NoWait)` (`uv_backend_timeout`).
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

impl Named for State {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A loop that is being turned is torn down where its turn ends.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.teller.track.is_turning() {
            self.tear_down();
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
    /// When the loop is closed. Of a worker's loop, which has no descriptor before its first source
    /// or this call: when the system has none left.
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
    /// An active handle that never calls back.
    guard: Rc<Guard>,
}

/// The handle of a [`KeepAlive`].
struct Guard {
    /// Active until the [`KeepAlive`] is dropped.
    registration: Registration,
}

impl Handle for Guard {
    fn kind(&self) -> &'static str {
        "keep-alive guard"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn is_waited_for(&self) -> bool {
        true
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
