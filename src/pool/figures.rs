//! The figures of a pool: what was done, how long jobs waited and ran.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::WorkKind;
use crate::clock::Nanos;

/// The figures of a pool at one moment.
///
/// # Examples
/// ```
/// use windlass::{Pool, WorkKind};
///
/// let pool = Pool::new(2)?;
/// let event_loop = windlass::Loop::builder().pool(pool.clone()).build()?;
/// event_loop.run(|| drop(windlass::work(|_| ()).kind(WorkKind::SlowIo).submit()));
/// let metrics = pool.metrics();
/// assert_eq!((metrics.completed, metrics.kind(WorkKind::SlowIo).completed), (1, 1));
/// assert_eq!((metrics.queued, metrics.busy), (0, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// Threads that have been started and have not ended.
    pub threads: usize,
    /// Of these, how many are running a job.
    pub busy: usize,
    /// Jobs that wait for a thread, of all kinds. In virtual time: that wait for their delivery.
    pub queued: usize,
    /// Of these, the slow ones, which may have to wait although threads are free.
    pub queued_slow: usize,
    /// Jobs that were run to their end, panics included.
    pub completed: u64,
    /// Jobs of [`WorkKind::Cpu`].
    pub cpu: KindMetrics,
    /// Jobs of [`WorkKind::FastIo`].
    pub fast_io: KindMetrics,
    /// Jobs of [`WorkKind::SlowIo`].
    pub slow_io: KindMetrics,
}

/// The figures of one kind of jobs. Two snapshots give differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindMetrics {
    /// Jobs that were run to their end, panics included.
    pub completed: u64,
    /// The jobs that the times below stand for: all that have ended so far.
    pub measured: u64,
    /// The time that the measured jobs waited, from their submission to their start, in all.
    pub wait_time: Duration,
    /// The time that the measured jobs ran, in all.
    pub run_time: Duration,
    /// The longest wait that was measured.
    pub wait_max: Duration,
    /// The longest run that was measured.
    pub run_max: Duration,
}

impl PoolMetrics {
    /// The figures of one kind.
    pub fn kind(&self, kind: WorkKind) -> &KindMetrics {
        match kind {
            WorkKind::Cpu => &self.cpu,
            WorkKind::FastIo => &self.fast_io,
            WorkKind::SlowIo => &self.slow_io,
        }
    }

    /// As [`kind`](PoolMetrics::kind), to be added to.
    pub(super) fn kind_mut(&mut self, kind: WorkKind) -> &mut KindMetrics {
        match kind {
            WorkKind::Cpu => &mut self.cpu,
            WorkKind::FastIo => &mut self.fast_io,
            WorkKind::SlowIo => &mut self.slow_io,
        }
    }
}

impl KindMetrics {
    /// How long a job waited on average; none before the first was measured.
    pub fn mean_wait(&self) -> Option<Duration> {
        mean(self.wait_time, self.measured)
    }

    /// How long a job ran on average; none before the first was measured.
    pub fn mean_run(&self) -> Option<Duration> {
        mean(self.run_time, self.measured)
    }
}

fn mean(total: Duration, count: u64) -> Option<Duration> {
    let nanos = total.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// The counters of one thread, or of all loops in virtual time.
#[derive(Debug, Default)]
pub(super) struct Counters([KindCounters; 3]);

#[derive(Debug, Default)]
struct KindCounters {
    completed: AtomicU64,
    measured: AtomicU64,
    wait_nanos: AtomicU64,
    run_nanos: AtomicU64,
    wait_max: AtomicU64,
    run_max: AtomicU64,
}

impl Counters {
    pub(super) fn add_completed(&self, kind: WorkKind) {
        self.0[kind as usize].completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the times of a job: when it was submitted, began and ended.
    pub(super) fn add_times(&self, kind: WorkKind, submitted: Nanos, began: Nanos, ended: Nanos) {
        let (wait, run) = (began.saturating_sub(submitted), ended.saturating_sub(began));
        let counters = &self.0[kind as usize];
        counters.measured.fetch_add(1, Ordering::Relaxed);
        counters.wait_nanos.fetch_add(wait, Ordering::Relaxed);
        counters.run_nanos.fetch_add(run, Ordering::Relaxed);
        counters.wait_max.fetch_max(wait, Ordering::Relaxed);
        counters.run_max.fetch_max(run, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, metrics: &mut PoolMetrics) {
        for kind in [WorkKind::Cpu, WorkKind::FastIo, WorkKind::SlowIo] {
            let counters = &self.0[kind as usize];
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let nanos = |counter: &AtomicU64| Duration::from_nanos(read(counter));
            let sums = metrics.kind_mut(kind);
            sums.completed += read(&counters.completed);
            sums.measured += read(&counters.measured);
            sums.wait_time += nanos(&counters.wait_nanos);
            sums.run_time += nanos(&counters.run_nanos);
            sums.wait_max = sums.wait_max.max(nanos(&counters.wait_max));
            sums.run_max = sums.run_max.max(nanos(&counters.run_max));
            metrics.completed += read(&counters.completed);
        }
    }
}
