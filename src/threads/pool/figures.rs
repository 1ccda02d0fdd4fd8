//! The figures of a pool: what was done, how long jobs waited and ran.
//!
//! An empty job must not pay for clocks, which cost more than it does. So a kind whose jobs are known to be
//! short is sampled: one job in [`SAMPLE_SHORT`] is timed, of brief ones one in [`SAMPLE_BRIEF`], and stands
//! for all of them. Jobs that take long are all timed. Who is timed is settled when the job is submitted,
//! before anybody knows how long it will take, so the sums are fair.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::WorkKind;
use crate::clock::{self, Nanos};

/// Of brief jobs, one in so many is timed.
const SAMPLE_BRIEF: u32 = 64;
/// Of short jobs.
const SAMPLE_SHORT: u32 = 8;
/// Jobs that run for less than this, on average, are brief: waking a thread for them costs more than
/// letting them wait for their neighbour's end.
const BRIEF: Nanos = 500;
/// Jobs that run for less than this, on average, are short: a loop that has several of them in flight takes
/// their results together.
const SHORT: Nanos = 10_000;

/// The figures of a pool at one moment.
///
/// Times are sampled for kinds whose jobs take less than about ten microseconds: see
/// [`KindMetrics::measured`].
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
    /// The jobs that the times below stand for. While jobs of this kind take less than about ten microseconds
    /// one in 8 is timed and counts for 8, below half a microsecond one in 64. So this is near `completed`,
    /// not equal to it.
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

/// When a job was submitted, if it is timed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamp {
    submitted: Nanos,
    /// The number of jobs that it stands for; 0 when it is not timed.
    weight: u32,
}

impl Stamp {
    pub(super) fn is_timed(self) -> bool {
        self.weight > 0
    }
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

    /// Adds the times of a job that was timed.
    pub(super) fn add_times(&self, kind: WorkKind, stamp: Stamp, began: Nanos, ended: Nanos) {
        let (wait, run) = (began.saturating_sub(stamp.submitted), ended.saturating_sub(began));
        let (counters, weight) = (&self.0[kind as usize], u64::from(stamp.weight));
        counters.measured.fetch_add(weight, Ordering::Relaxed);
        counters.wait_nanos.fetch_add(wait.saturating_mul(weight), Ordering::Relaxed);
        counters.run_nanos.fetch_add(run.saturating_mul(weight), Ordering::Relaxed);
        counters.wait_max.fetch_max(wait, Ordering::Relaxed);
        counters.run_max.fetch_max(run, Ordering::Relaxed);
    }

    pub(super) fn completed(&self) -> u64 {
        self.0.iter().map(|kind| kind.completed.load(Ordering::Relaxed)).sum()
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

/// How long jobs take, as far as it decides how they are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Not even as long as it takes to wake a thread for it.
    Brief,
    /// A few microseconds, in which it hardly waits for anything but a core.
    Short,
    /// Longer, or not known yet.
    Long,
}

impl Length {
    fn of(typical: Nanos) -> Length {
        match typical {
            1..BRIEF => Length::Brief,
            BRIEF..SHORT => Length::Short,
            _ => Length::Long,
        }
    }
}

/// How long jobs have run lately, by kind: a running average that forgets in about eight samples.
#[derive(Debug, Default)]
pub(super) struct Typical([AtomicU64; 3]);

impl Typical {
    /// How long jobs of the quick kinds are, as far as they are in use: the longer of the two.
    pub(super) fn quick(&self) -> Length {
        let [cpu, fast, _] = &self.0;
        Length::of(cpu.load(Ordering::Relaxed).max(fast.load(Ordering::Relaxed)))
    }

    /// Settles whether the job with this number is timed.
    pub(super) fn stamp(&self, kind: WorkKind, number: u32) -> Stamp {
        let weight = match Length::of(self.0[kind as usize].load(Ordering::Relaxed)) {
            Length::Brief => SAMPLE_BRIEF,
            Length::Short => SAMPLE_SHORT,
            Length::Long => 1,
        };
        // Spread out, or of two kinds in turn one would have all the multiples.
        let spread = number.wrapping_mul(0x9e37_79b9);
        if (u64::from(spread) * u64::from(weight)) >> 32 == 0 {
            Stamp { submitted: clock::monotonic(), weight }
        } else {
            Stamp::default()
        }
    }

    pub(super) fn learn(&self, kind: WorkKind, run: Nanos) {
        // One job of a minute says no more about the next one than one of this length.
        let run = run.min(64 * BRIEF);
        let typical = &self.0[kind as usize];
        let before = typical.load(Ordering::Relaxed);
        // Samples that meet here may overwrite each other, which an average survives.
        let now = if before == 0 { run } else { before - before / 8 + run / 8 };
        typical.store(now.max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_kinds_of_short_jobs_in_turn_both_are_timed_one_in_eight() {
        let typical = Typical::default();
        typical.learn(WorkKind::Cpu, SHORT / 2);
        for first in [0, 1] {
            let numbers = (first..16_000).step_by(2);
            let timed = numbers.filter(|number| typical.stamp(WorkKind::Cpu, *number).is_timed());
            assert!((950..1050).contains(&timed.count()), "of every second number from {first}");
        }
    }
}
