//! What a loop has done so far, in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::alloc;
use crate::clock::{Nanos, Stopwatch, saturating_nanos};
use crate::trace::track::Track;

/// The figures of a loop at one moment. Two snapshots give exact differences: no figure is ever
/// less than an earlier snapshot had it, from whatever thread, until the loop ends.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::set_immediate(|| {
///         let metrics = windlass::Loop::current().metrics();
///         assert_eq!(metrics.iterations, 1);
///         assert!(metrics.utilization() <= 1.0);
///     });
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Iterations that have begun.
    pub iterations: u64,
    /// Events that were delivered: readiness reported by the poller, completed requests, closures
    /// and wakes from other threads.
    pub events: u64,
    /// Of the poller's events, those that were there already when a poll did not need to block.
    pub events_waiting: u64,
    /// Time spent blocked in poll, up to this moment if it is blocked now, as libuv's
    /// `uv_metrics_idle_time`. Polls that may not block do not count.
    pub idle_time: Duration,
    /// The rest of the time since the loop was made.
    pub active_time: Duration,
}

impl Metrics {
    /// The part of its time that the loop was busy, 0 to 1 (Node's `eventLoopUtilization`).
    ///
    /// For a span of time, take two snapshots and divide the difference of `active_time` by the
    /// difference of both times.
    pub fn utilization(&self) -> f64 {
        let (idle, active) = (self.idle_time.as_secs_f64(), self.active_time.as_secs_f64());
        if idle + active > 0.0 { active / (idle + active) } else { 0.0 }
    }
}

/// The counters behind [`Metrics`]. Only the loop writes, others may read while it runs.
#[derive(Debug)]
pub(crate) struct Figures {
    /// See [`Metrics::iterations`].
    iterations: AtomicU64,
    /// See [`Metrics::events`].
    events: AtomicU64,
    /// See [`Metrics::events_waiting`].
    events_waiting: AtomicU64,
    /// The time spent in sleeps that are over. See [`Metrics::idle_time`].
    idle_nanos: AtomicU64,
    /// When the sleep began that the loop is in, on its clock. Zero: it is awake.
    asleep_since: AtomicU64,
    /// The longest [`Metrics::idle_time`] that was read: between the end of a sleep and the moment
    /// at which it is added there is less.
    idle_read: AtomicU64,
    /// The longest [`Metrics::active_time`] that was read.
    active_read: AtomicU64,
    /// What the loop's thread has allocated, as of the last iteration.
    allocated: AtomicI64,
    /// The loop as those who observe it see it: what runs now, and more while they do.
    pub(crate) track: Arc<Track>,
    /// Runs while the loop lives; figures of a loop that has not begun or has ended are zero.
    lifetime: Stopwatch,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            iterations: AtomicU64::new(0),
            events: AtomicU64::new(0),
            events_waiting: AtomicU64::new(0),
            idle_nanos: AtomicU64::new(0),
            asleep_since: AtomicU64::new(0),
            idle_read: AtomicU64::new(0),
            active_read: AtomicU64::new(0),
            allocated: AtomicI64::new(0),
            track: Track::new(),
            lifetime: Stopwatch::default(),
        }
    }
}

impl Figures {
    pub(crate) fn begin(&self) {
        self.lifetime.start();
    }

    pub(crate) fn end(&self) {
        self.lifetime.stop();
    }

    /// Whether the loop has ended.
    #[cfg(feature = "inspect")]
    pub(crate) fn have_ended(&self) -> bool {
        self.lifetime.is_stopped()
    }

    pub(crate) fn add_iteration(&self) {
        add(&self.iterations, 1);
        self.allocated.store(alloc::allocated(), Ordering::Relaxed);
    }

    pub(crate) fn iterations(&self) -> u64 {
        self.iterations.load(Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub(crate) fn idle(&self) -> Nanos {
        self.idle_nanos.load(Ordering::Relaxed)
    }

    pub(crate) fn allocated(&self) -> i64 {
        self.allocated.load(Ordering::Relaxed)
    }

    pub(crate) fn add_events(&self, count: u64) {
        if count > 0 {
            add(&self.events, count);
        }
    }

    pub(crate) fn add_waiting(&self, count: u64) {
        add(&self.events_waiting, count);
    }

    pub(crate) fn add_idle(&self, nanos: Nanos) {
        add(&self.idle_nanos, nanos);
    }

    /// A loop in real time begins to sleep at this time of its clock.
    pub(crate) fn begin_sleep(&self, now: Nanos) {
        self.asleep_since.store(now.max(1), Ordering::Relaxed);
    }

    /// The sleep is over. It is to be added after this.
    pub(crate) fn end_sleep(&self) {
        self.asleep_since.store(0, Ordering::Relaxed);
    }

    /// The time spent in sleeps, with the one that the loop is in.
    fn idle_until_now(&self) -> Nanos {
        // In this order: a sleep that was added is not counted as the present one too.
        let over = self.idle_nanos.load(Ordering::Acquire);
        let now = match self.asleep_since.load(Ordering::Relaxed) {
            0 => 0,
            since => self.track.now().saturating_sub(since),
        };
        raise(&self.idle_read, over + now)
    }

    pub(crate) fn snapshot(&self) -> Metrics {
        let Some(lifetime) = self.lifetime.elapsed() else { return Metrics::default() };
        let idle = Duration::from_nanos(self.idle_until_now()).min(lifetime);
        let active = saturating_nanos(lifetime - idle);
        Metrics {
            iterations: self.iterations.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            events_waiting: self.events_waiting.load(Ordering::Relaxed),
            idle_time: idle,
            active_time: Duration::from_nanos(raise(&self.active_read, active)),
        }
    }
}

/// Raises what was read to this, and returns what is read now.
fn raise(read: &AtomicU64, to: u64) -> u64 {
    read.fetch_max(to, Ordering::Relaxed).max(to)
}

/// Adds without a locked instruction: there is one writer.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Release);
}
