//! hyper's clock and its sleeps.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::state::current;
use crate::time;

/// hyper's timer: the clock and the timers of the current loop.
///
/// # Panics
/// Its methods, when no loop is current.
///
/// # Examples
/// ```
/// use hyper::rt::Timer as _;
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     windlass::hyper::Timer.sleep(Duration::from_millis(1)).await;
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

/// A sleep for hyper. It wakes on the loop that made it, may be polled and dropped on any thread,
/// and is ready once that loop has ended. Made by [`Timer`].
///
/// # Liveness
/// It keeps its loop alive until it is ready or dropped.
///
/// # Examples
/// ```
/// use hyper::rt::Timer as _;
/// use std::time::{Duration, Instant};
///
/// windlass::block_on(async {
///     let deadline = Instant::now() + Duration::from_millis(1);
///     windlass::hyper::Timer.sleep_until(deadline).await;
///     assert!(Instant::now() >= deadline);
/// });
/// ```
#[derive(Debug)]
pub struct Sleep(time::Sleep);

impl Timer {
    /// How long it is until `deadline`, by the clock as it is now.
    fn until(deadline: Instant) -> Duration {
        current::expect_with("hyper::Timer", |state| {
            deadline.saturating_duration_since(state.clock.instant_at(state.clock.read()))
        })
    }
}

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(Timer::until(deadline))
    }

    fn now(&self) -> Instant {
        crate::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(mut own) => own.0 = time::sleep(Timer::until(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl hyper::rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}
