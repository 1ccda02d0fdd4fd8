//! How long iterations keep their loop busy: a histogram that is always kept.
//!
//! An iteration reads the clock after its poll, and before it sleeps. From these two readings the
//! busy time is taken: from the end of one wait to the beginning of the next. So what runs before
//! the poll counts with the iteration before it, but for the first iteration of a turn, which has
//! the turn's beginning, and the last one ends with the turn.
//!
//! A bucket is found by what a float is anyway: the exponent and the first bits of the fraction of
//! a number are the number of a bucket whose width is a 32nd of the power of two below it. That is
//! three instructions; see the rejected designs in DESIGN.md for why it is no crate that does it.
//!
//! Only the loop counts. Others may read it while it runs: what they see are numbers of one moment
//! each, which may not fit each other by the iteration that ends just then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock::Nanos;

/// So many bits of the fraction tell the buckets of one power of two apart.
const FRACTION: u32 = 5;

/// The buckets of the times from one power of two to the next.
type Row = [Count; 1 << FRACTION];

/// What is left out of a float's bits to give the number of a bucket.
const SHIFT: u32 = f32::MANTISSA_DIGITS - 1 - FRACTION;

/// The bits of 1.0, the shortest time but zero, without those that are left out. From this bucket
/// on they go round.
const FIRST: usize = (1.0_f32.to_bits() >> SHIFT) as usize;

/// So many powers of two there are.
const POWERS: usize = 64;

/// So many buckets there are.
const BUCKETS: usize = POWERS << FRACTION;

/// A number that one thread writes, without a locked instruction, and others read.
#[derive(Debug)]
struct Count(AtomicU64);

impl Count {
    const fn new(value: u64) -> Count {
        Count(AtomicU64::new(value))
    }

    #[inline(always)]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn replace(&self, value: u64) -> u64 {
        let before = self.get();
        self.set(value);
        before
    }
}

/// The busy times of the iterations of a loop.
pub(crate) struct Delays {
    /// From here on the time is not counted yet. The wait moves it on.
    from: Count,
    /// No iteration of this turn has come to its wait.
    is_first: AtomicBool,
    /// A time below this one is looked at more closely: zero, or less than there was. Also each
    /// time that comes next after the beginning of a turn or a reset.
    low: Count,
    /// So is one that is above `low` by more than this: it is more than there was.
    range: Count,
    /// The shortest time. `Nanos::MAX` if there was none.
    min: Count,
    /// The longest time.
    max: Count,
    /// So much of the time before `from` was no busy time of an iteration. The rest is the sum.
    left_out: Count,
    /// How often it was zero.
    zeros: Count,
    /// How often it was in each bucket. A row is made with its first time: all of them are 16 KiB,
    /// of which an idle loop needs few.
    rows: [OnceLock<Box<Row>>; POWERS],
}

/// What a histogram of busy times says at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// The shortest time.
    pub(crate) min: Nanos,
    /// The longest time.
    pub(crate) max: Nanos,
    /// All times together.
    pub(crate) sum: Nanos,
    /// How many there were.
    pub(crate) count: u64,
    /// The times of which there were some, shortest first, each with how many there were.
    times: Vec<(Nanos, u64)>,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays {
            from: Count::new(0),
            is_first: AtomicBool::new(true),
            low: Count::new(Nanos::MAX),
            range: Count::new(0),
            min: Count::new(Nanos::MAX),
            max: Count::new(0),
            left_out: Count::new(0),
            zeros: Count::new(0),
            rows: [const { OnceLock::new() }; POWERS],
        }
    }
}

impl Delays {
    /// A turn begins.
    pub(crate) fn begin_turn(&self, now: Nanos) {
        self.idle(now.wrapping_sub(self.from.get()));
        self.is_first.store(true, Ordering::Relaxed);
        self.look_closely();
    }

    /// The turn has ended, and with it its last iteration, if there was one.
    pub(crate) fn end_turn(&self, now: Nanos) {
        if !self.is_first.load(Ordering::Relaxed) {
            self.count_rare(now, now.wrapping_sub(self.from.replace(now)));
        }
    }

    /// Of the time that passes so much is no busy time.
    #[inline]
    pub(crate) fn idle(&self, nanos: Nanos) {
        add(&self.from, nanos);
        add(&self.left_out, nanos);
    }

    /// A wait has ended at this time: the iteration before it is over.
    #[inline(always)]
    pub(crate) fn waited(&self, now: Nanos) {
        let busy = now.wrapping_sub(self.from.replace(now));
        if busy.wrapping_sub(self.low.get()) > self.range.get() {
            return self.count_rare(now, busy);
        }
        self.count(busy);
    }

    /// Counts a time that is not zero.
    #[inline(always)]
    fn count(&self, busy: Nanos) {
        let bits = bits_of(busy);
        let row = self.rows[row_of(bits)].get_or_init(new_row);
        add(&row[bits % row.len()], 1);
    }

    /// Counts a time that is shorter or longer than all before, or zero, or the first one.
    #[cold]
    #[inline(never)]
    fn count_rare(&self, now: Nanos, busy: Nanos) {
        if self.is_first.load(Ordering::Relaxed) {
            self.is_first.store(false, Ordering::Relaxed);
            // What the turn began with counts with its first iteration.
            return self.from.set(now - busy);
        }
        self.min.set(self.min.get().min(busy));
        self.max.set(self.max.get().max(busy));
        if busy == 0 {
            add(&self.zeros, 1)
        } else {
            self.count(busy)
        }
        if self.max.get() > 0 {
            self.low.set(self.min.get().max(1));
            self.range.set(self.max.get() - self.low.get());
        }
    }

    /// Has the next time looked at closely.
    fn look_closely(&self) {
        self.low.set(Nanos::MAX);
        self.range.set(0);
    }

    /// Forgets all. The iteration that is under way counts from now on.
    pub(crate) fn reset(&self, now: Nanos) {
        self.from.set(now);
        self.left_out.set(now);
        self.look_closely();
        self.min.set(Nanos::MAX);
        self.max.set(0);
        self.zeros.set(0);
        let rows = self.rows.iter().filter_map(OnceLock::get);
        rows.flat_map(|row| row.iter()).for_each(|bucket| bucket.set(0));
    }

    /// What there is so far.
    pub(crate) fn histogram(&self) -> Histogram {
        let zeros = (0, self.zeros.get());
        let buckets = FIRST..FIRST + BUCKETS;
        let buckets = buckets.filter_map(|bits| {
            let row = self.rows[row_of(bits)].get()?;
            Some((middle_of(bits), row[bits % row.len()].get()))
        });
        let all = std::iter::once(zeros).chain(buckets);
        let times: Vec<_> = all.filter(|(_, count)| *count > 0).collect();
        let count = times.iter().map(|(_, count)| count).sum();
        let min = if count == 0 { 0 } else { self.min.get() };
        let sum = self.from.get().wrapping_sub(self.left_out.get());
        Histogram { min, max: self.max.get(), sum, count, times }
    }
}

impl Histogram {
    /// What has come since `before`, which was read earlier. If all was forgotten since then, all
    /// that there is.
    #[cfg(feature = "inspect")]
    pub(crate) fn since(&self, before: &Histogram) -> Histogram {
        let known: std::collections::HashMap<_, _> = before.times.iter().copied().collect();
        let count_of = |time: &Nanos| known.get(time).copied().unwrap_or(0);
        if self.count < before.count || self.times.iter().any(|(time, now)| *now < count_of(time)) {
            return self.clone();
        }
        let new = |(time, now): &(Nanos, u64)| (*time, now - count_of(time));
        let times: Vec<_> = self.times.iter().map(new).filter(|(_, count)| *count > 0).collect();
        // The shortest and the longest one are known exactly only of all that there is.
        let (first, last) = (times.first(), times.last());
        let max = last.map_or(0, |(time, _)| (*time).min(self.max));
        let max = if self.max > before.max { self.max } else { max };
        Histogram {
            min: first.map_or(0, |(time, _)| (*time).min(max)),
            max,
            sum: self.sum.saturating_sub(before.sum),
            count: times.iter().map(|(_, count)| count).sum(),
            times,
        }
    }

    /// How many times there are below each power of two and not below the one before, of those of
    /// which there are some.
    #[cfg(feature = "inspect")]
    pub(crate) fn by_powers(&self) -> std::collections::BTreeMap<Nanos, u64> {
        let mut powers = std::collections::BTreeMap::new();
        for (time, count) in &self.times {
            *powers.entry((time + 1).next_power_of_two()).or_default() += count;
        }
        powers
    }

    /// The time that so many of a hundred do not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> Nanos {
        if percent >= 100.0 {
            return self.max;
        }
        let rank = (percent / 100.0 * self.count as f64).ceil() as u64;
        if rank == 0 {
            return self.min;
        }
        let mut seen = 0;
        let reached = self.times.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        // Not clamped, which panics if the two are of different moments.
        reached.map_or(self.max, |(time, _)| (*time).max(self.min).min(self.max))
    }
}

/// The first bits of a time as a float: so many as tell the buckets apart.
#[inline(always)]
fn bits_of(time: Nanos) -> usize {
    // By way of a signed number, which the processor turns into a float by itself.
    ((time as i64 as f32).to_bits() >> SHIFT) as usize
}

/// The row of the bucket with these bits.
#[inline(always)]
fn row_of(bits: usize) -> usize {
    (bits >> FRACTION) % POWERS
}

/// A row without a time.
#[cold]
#[inline(never)]
fn new_row() -> Box<Row> {
    Box::new([const { Count::new(0) }; 1 << FRACTION])
}

/// The time in the middle of those whose floats have these bits.
fn middle_of(bits: usize) -> Nanos {
    let edge = |bits: usize| f64::from(f32::from_bits((bits as u32) << SHIFT));
    ((edge(bits) + edge(bits + 1)) / 2.0) as Nanos
}

#[inline(always)]
fn add(counter: &Count, by: u64) {
    counter.set(counter.get().wrapping_add(by));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The histogram of these times.
    fn of(times: &[Nanos]) -> Histogram {
        let (delays, mut now) = (Delays::default(), 0);
        delays.begin_turn(0);
        delays.waited(0);
        for time in times {
            now += time;
            delays.waited(now);
        }
        delays.histogram()
    }

    #[test]
    fn the_middle_of_a_times_bucket_is_off_by_less_than_3_percent() {
        for power in 0..62 {
            for step in 0..1000_u64 {
                let time = (1_u64 << power) + ((1_u128 << power) * u128::from(step) / 1000) as u64;
                let off = middle_of(bits_of(time)).abs_diff(time);
                assert!(off as f64 <= time as f64 * 0.03, "{time} is off by {off}");
            }
        }
    }

    #[test]
    fn short_times_have_buckets_of_their_own() {
        assert!((1..64).all(|time| middle_of(bits_of(time)) == time));
    }

    #[test]
    fn shortest_longest_sum_and_count_are_exact() {
        let histogram = of(&[700, 0, 1_000_001, 3, 700]);
        let Histogram { min, max, sum, count, .. } = histogram;
        assert_eq!((min, max, sum, count), (0, 1_000_001, 1_001_404, 5));
        assert_eq!(histogram.percentile(20.0), 0);
        assert_eq!(histogram.percentile(40.0), 3);
        assert_eq!(histogram.percentile(80.0), middle_of(bits_of(700)));
        assert_eq!(histogram.percentile(80.1), 1_000_001);
    }

    #[cfg(feature = "inspect")]
    #[test]
    fn what_has_come_since_an_earlier_look_is_told_apart() {
        let before = of(&[5, 700, 3_000_000]);
        let both = of(&[5, 700, 3_000_000, 5, 40, 50]);
        let since = both.since(&before);
        assert_eq!((since.count, since.min, since.max), (3, 5, 50));
        assert_eq!(since.percentile(50.0), middle_of(bits_of(40)));
        assert_eq!(both.since(&Histogram::default()).max, 3_000_000);
        // A bucket whose middle is above the longest time that there was.
        let (one, two) = (of(&[1_000_000]), of(&[1_000_000, 1_000_000]));
        let since = two.since(&one);
        assert_eq!(
            (since.min, since.max, since.percentile(99.0)),
            (1_000_000, 1_000_000, 1_000_000)
        );
        // All was forgotten meanwhile.
        assert_eq!(before.since(&both).count, 3);
        assert_eq!(both.by_powers(), [(8, 2), (64, 2), (1024, 1), (1 << 22, 1)].into());
    }

    #[test]
    fn there_is_a_row_for_each_power_of_two_that_came_and_no_other() {
        let (delays, mut now) = (Delays::default(), 0);
        let rows = |delays: &Delays| delays.rows.iter().filter(|row| row.get().is_some()).count();
        delays.begin_turn(0);
        delays.waited(0);
        assert_eq!(rows(&delays), 0);
        for time in [0, 700, 701, 1_000_000, 700] {
            now += time;
            delays.waited(now);
        }
        assert_eq!(rows(&delays), 2);
        delays.reset(now);
        delays.waited(now + 700);
        assert_eq!((delays.histogram().count, rows(&delays)), (1, 2));
    }

    #[test]
    fn zero_alone_is_counted() {
        let histogram = of(&[0, 0]);
        assert_eq!((histogram.count, histogram.max, histogram.percentile(50.0)), (2, 0, 0));
    }
}
