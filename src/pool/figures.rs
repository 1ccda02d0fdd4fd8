//! The figures of a pool: what was done, how long jobs waited and ran.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::WorkKind;
use crate::clock::Nanos;
use crate::virtual_time::chance::Jobs;

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
///
/// A job that was run in virtual time counts as one that neither waited nor ran for any time.
///
/// # Examples
/// ```
/// use windlass::{Pool, WorkKind};
///
/// let pool = Pool::new(1)?;
/// let metrics = pool.metrics();
/// let cpu = metrics.kind(WorkKind::Cpu);
/// assert_eq!((cpu.completed, cpu.mean_run()), (0, None));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindMetrics {
    /// Jobs that were run to their end, panics included.
    pub completed: u64,
    /// The jobs that the times below stand for. Each job is timed, so they are the completed ones.
    pub measured: u64,
    /// The time that these jobs waited, from their submission to their start, in all.
    pub wait_time: Duration,
    /// The time that these jobs ran, in all.
    pub run_time: Duration,
    /// The longest wait of one job.
    pub wait_max: Duration,
    /// The longest run of one job.
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

    /// The figures of a pool in a simulation, which sees its own jobs alone.
    pub(super) fn of_simulation(jobs: Jobs) -> PoolMetrics {
        let [quick, slow] = jobs.waiting;
        let [cpu, fast_io, slow_io] = jobs.completed.map(|completed| KindMetrics {
            completed,
            measured: completed,
            ..KindMetrics::default()
        });
        PoolMetrics {
            queued: quick + slow,
            queued_slow: slow,
            completed: jobs.completed.iter().sum(),
            cpu,
            fast_io,
            slow_io,
            ..PoolMetrics::default()
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
    /// How long a job waited on average; none before the first one was completed.
    pub fn mean_wait(&self) -> Option<Duration> {
        mean(self.wait_time, self.completed)
    }

    /// How long a job ran on average; none before the first one was completed.
    pub fn mean_run(&self) -> Option<Duration> {
        mean(self.run_time, self.completed)
    }
}

fn mean(total: Duration, count: u64) -> Option<Duration> {
    let nanos = total.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// What one thread has done, by kind. Any thread may read it; one at a time may add to it.
#[derive(Debug, Default)]
pub(super) struct Counters([KindCounters; 3]);

/// What was done of one kind. Times are in nanoseconds.
#[derive(Debug, Default)]
struct KindCounters {
    /// Jobs that were run to their end.
    completed: AtomicU64,
    /// The sum of their waits, from submission to start.
    wait_nanos: AtomicU64,
    /// The sum of their runs.
    run_nanos: AtomicU64,
    /// The longest wait.
    wait_max: AtomicU64,
    /// The longest run.
    run_max: AtomicU64,
}

impl Counters {
    /// Counts a job that has ended: how long it waited and ran.
    pub(super) fn add(&self, kind: WorkKind, wait: Nanos, run: Nanos) {
        let counters = &self.0[kind as usize];
        // A load and a store: there is one writer, and five locked instructions would be a tenth of
        // what an empty job costs.
        let change = |counter: &AtomicU64, new: fn(u64, u64) -> u64, by| {
            counter.store(new(counter.load(Ordering::Relaxed), by), Ordering::Relaxed);
        };
        change(&counters.completed, u64::wrapping_add, 1);
        change(&counters.wait_nanos, u64::wrapping_add, wait);
        change(&counters.run_nanos, u64::wrapping_add, run);
        change(&counters.wait_max, u64::max, wait);
        change(&counters.run_max, u64::max, run);
    }

    /// Adds what was done to the figures of a pool.
    pub(super) fn add_to(&self, metrics: &mut PoolMetrics) {
        for kind in [WorkKind::Cpu, WorkKind::FastIo, WorkKind::SlowIo] {
            let counters = &self.0[kind as usize];
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let nanos = |counter: &AtomicU64| Duration::from_nanos(read(counter));
            let completed = read(&counters.completed);
            metrics.completed += completed;
            let sums = metrics.kind_mut(kind);
            sums.completed += completed;
            sums.measured += completed;
            sums.wait_time += nanos(&counters.wait_nanos);
            sums.run_time += nanos(&counters.run_nanos);
            sums.wait_max = sums.wait_max.max(nanos(&counters.wait_max));
            sums.run_max = sums.run_max.max(nanos(&counters.run_max));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_several_threads_add_up_and_the_longest_time_is_the_longest_of_any() {
        let (one, other) = (Counters::default(), Counters::default());
        one.add(WorkKind::Cpu, 10, 100);
        one.add(WorkKind::SlowIo, 1, 2);
        other.add(WorkKind::Cpu, 30, 50);
        let mut metrics = PoolMetrics::default();
        one.add_to(&mut metrics);
        other.add_to(&mut metrics);
        let nanos = Duration::from_nanos;
        assert_eq!((metrics.completed, metrics.cpu.completed, metrics.cpu.measured), (3, 2, 2));
        assert_eq!((metrics.cpu.wait_time, metrics.cpu.wait_max), (nanos(40), nanos(30)));
        assert_eq!((metrics.cpu.run_time, metrics.cpu.run_max), (nanos(150), nanos(100)));
        assert_eq!(metrics.cpu.mean_wait(), Some(nanos(20)));
        assert_eq!(metrics.fast_io.mean_run(), None);
    }
}
