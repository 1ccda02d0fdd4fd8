//! How long iterations keep a loop busy.

use std::fmt;
use std::time::Duration;

use crate::event_loop::Loop;
use crate::trace::delays::Histogram;

/// How long the iterations of a loop have kept it busy, as
/// [`Loop::delays`](crate::Loop::delays) reports it: so long had to wait what became ready
/// meanwhile.
///
/// The busy time of an iteration goes from the end of one wait to the beginning of the next one.
/// The first iteration of a turn has in addition what the turn began with, such as the main script;
/// the last one ends with the turn. What passes between two turns does not count. In virtual time
/// it is virtual.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let event_loop = windlass::Loop::current();
///     windlass::set_immediate(move || {
///         let delays = event_loop.delays();
///         println!("99 of 100 iterations were done within {:?}", delays.percentile(99.0));
///         assert!(delays.min() <= delays.max());
///     });
/// });
/// ```
#[derive(Clone)]
pub struct Delays {
    /// The times.
    histogram: Histogram,
}

impl Delays {
    /// How many iterations have ended.
    pub fn count(&self) -> u64 {
        self.histogram.count
    }

    /// The shortest time. Zero if there was no iteration.
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.histogram.min)
    }

    /// The longest time. Zero if there was no iteration.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram.max)
    }

    /// The mean. Zero if there was no iteration.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.histogram.sum / self.histogram.count.max(1))
    }

    /// The time that `p` of a hundred iterations did not exceed: off by 3 % at most. At 0 the
    /// shortest, at 100 the longest. Zero if there was no iteration.
    ///
    /// # Cost
    /// Up to some 2,000 steps.
    pub fn percentile(&self, p: f64) -> Duration {
        Duration::from_nanos(self.histogram.percentile(p))
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays")
            .field("count", &self.count())
            .field("min", &self.min())
            .field("mean", &self.mean())
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

impl Loop {
    /// How long iterations have kept the loop busy, the waits left out, since its start or the last
    /// [`reset_delays`](Loop::reset_delays). The one that is under way is not in it.
    ///
    /// # Cost
    /// It is counted always, by some instructions an iteration. This call looks at each bucket, of
    /// which there are 2,048 at most.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
    /// event_loop.run(|| {
    ///     for millis in 1..=100 {
    ///         let work = move || windlass::time::advance(Duration::from_millis(millis));
    ///         windlass::set_timeout(Duration::from_secs(millis), work);
    ///     }
    /// });
    /// let delays = event_loop.delays();
    /// assert_eq!(delays.max(), Duration::from_millis(100));
    /// let middle = delays.percentile(50.0).as_secs_f64();
    /// assert!((middle - 0.050).abs() < 0.050 * 0.03);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn delays(&self) -> Delays {
        Delays { histogram: self.state().delays.histogram() }
    }

    /// Forgets the busy times so far. The iteration that is under way counts from now on.
    pub fn reset_delays(&self) {
        let state = self.state();
        state.delays.reset(state.clock.read());
    }
}
