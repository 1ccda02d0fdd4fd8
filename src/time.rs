//! Time in futures: sleeping, time limits and intervals, over the loop's timers.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::phase::timers::{Timer, set_interval, set_timer};
use crate::state::current;
use crate::task::signal::Signal;
use crate::threads::mailbox::Mailbox;
use crate::threads::signal::SendSignal;
use crate::virtual_time::chance::Chance;

/// A future that is ready when a delay has passed. Made by [`sleep`].
///
/// It may be polled, reset and dropped on any thread. The timer stays on the loop that made it,
/// which wakes the task from there. Once ready, it is ready at every poll until it is reset; after
/// the end of its loop it is always ready.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     let sleep = windlass::time::sleep(Duration::from_millis(1));
///     sleep.await;
///     println!("a millisecond later");
/// });
/// ```
#[derive(Debug)]
pub struct Sleep {
    /// Fires when the delay has passed. Armed again by a reset.
    timer: Timer,
    /// From the timer's callback to this future.
    signal: Arc<SendSignal>,
    /// The way to the timer from other threads.
    mailbox: Way,
}

/// Waits for `duration`, counted from this call, like [`set_timeout`](crate::set_timeout).
///
/// Keeps the loop alive until it is ready or dropped; dropping it clears the timer, from another
/// thread by a post.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     windlass::time::sleep(Duration::from_millis(1)).await;
/// });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let mailbox = Way(current::expect_with("sleep", |state| state.mailbox.clone()));
    let signal = Arc::new(SendSignal::default());
    let end = End(signal.clone());
    Sleep { timer: set_timer(duration, move |_| end.fire()), signal, mailbox }
}

/// What the timer's callback has. Dropped with the callback: then it comes no more.
struct End(Arc<SendSignal>);

impl End {
    fn fire(&self) {
        self.0.fire();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The way to a loop, which has nothing to show.
struct Way(Arc<Mailbox>);

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Sleep {
    /// Counts the whole duration anew from now, also when it has passed already. On another thread
    /// than the loop's it is counted from the moment when the loop hears of it, by a post.
    pub fn reset(&self) {
        if self.timer.is_here() {
            self.signal.clear();
            self.timer.restart();
            return;
        }
        self.signal.begin_reset();
        let (timer, signal) = (self.timer, self.signal.clone());
        self.post(move || {
            signal.arrive();
            timer.restart();
        });
    }

    /// Has something done on the loop. When it has ended, nothing is left to do.
    fn post(&self, f: impl FnOnce() + Send + 'static) {
        self.mailbox.0.post(f).unwrap_or_else(drop);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.poll(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Before the timer's callback is dropped, which wakes who waits.
        self.signal.leave();
        let timer = self.timer;
        if timer.is_here() {
            timer.clear();
        } else {
            self.post(move || timer.clear());
        }
    }
}

/// A future was not ready in time. Returned by [`timeout`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::time::{Elapsed, timeout};
///
/// windlass::block_on(async {
///     let never = std::future::pending::<()>();
///     assert_eq!(timeout(Duration::from_millis(1), never).await, Err(Elapsed));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl Error for Elapsed {}

/// Waits for a future, but no longer than `limit`, counted from the first poll.
///
/// The future is polled first: one that is ready is ready whatever the limit. It is dropped when
/// the limit passes.
///
/// # Errors
/// [`Elapsed`] when the limit passes first.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::time::{Elapsed, timeout};
///
/// windlass::block_on(async {
///     let never = std::future::pending::<()>();
///     assert_eq!(timeout(Duration::from_millis(1), never).await, Err(Elapsed));
///     assert_eq!(timeout(Duration::ZERO, async { 5 }).await, Ok(5));
/// });
/// ```
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut limit = pin!(sleep(limit));
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// The time of day on the current loop's clock: the system's, and in virtual time the first second
/// of 2000 (UTC) and what has passed since the loop was made. In a simulation it may jump, as
/// [`Faults::clock_jump`](crate::sim::Faults::clock_jump) says.
///
/// For what is shown and stored. Durations are measured with [`now`](crate::now), which never goes
/// back.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
/// event_loop.run(|| {
///     let midnight = UNIX_EPOCH + Duration::from_secs(946_684_800);
///     assert_eq!(windlass::time::system_now(), midnight);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn system_now() -> SystemTime {
    current::expect_with("time::system_now", |state| {
        let ahead = state.chance().map_or(0, Chance::wall_ahead);
        state.clock.wall(ahead)
    })
}

/// Ticks a period apart. Made by [`interval`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     let mut beat = windlass::time::interval(Duration::from_millis(1));
///     for _ in 0..3 {
///         beat.tick().await;
///     }
/// });
/// ```
#[derive(Debug)]
pub struct Interval {
    /// Fires once a period.
    timer: Timer,
    /// From the timer's callback to the future that waits for the tick.
    signal: Rc<Signal>,
}

/// Ticks every `period`, the first time one period from now, like [`set_interval`].
///
/// Periods that pass while nobody waits give one tick, not a burst. Keeps the loop alive until
/// dropped.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     let mut beat = windlass::time::interval(Duration::from_millis(1));
///     beat.tick().await;
///     beat.tick().await;
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    let signal = Rc::new(Signal::default());
    let inner = signal.clone();
    Interval { timer: set_interval(period, move |_| inner.fire()), signal }
}

impl Interval {
    /// Waits for the next tick. Dropping the future loses none.
    pub async fn tick(&mut self) {
        poll_fn(|cx| self.poll_tick(cx)).await;
    }

    /// Whether a tick has come since the last one taken; else the task is woken when it comes.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.poll(cx)
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        self.timer.clear();
    }
}

/// Lets a callback, or a job of the pool, stand for work that takes `duration`.
///
/// In virtual time the loop's clock moves forward by that much, here and now; that of a job is the
/// one of the loop that submitted it. Otherwise the thread is kept busy that long, so that a
/// program does the same on both.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
/// event_loop.run(|| {
///     let before = windlass::now();
///     windlass::time::advance(Duration::from_secs(3600));
///     assert_eq!(windlass::now() - before, Duration::from_secs(3600));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn advance(duration: Duration) {
    if current::with_owner(|state| state.clock.spend(duration)).is_none() {
        clock::keep_busy(duration);
    }
}
