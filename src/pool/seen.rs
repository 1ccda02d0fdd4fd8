//! What a view of the program sees of a pool thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::figures::{KindMetrics, PoolMetrics};
use super::record::Record;
use super::threads::Threads;
use crate::clock::{Nanos, saturating_nanos};
use crate::trace::seen::{PoolThread, ThreadSeen};
use crate::trace::track::Track;

/// A pool thread and its pool.
pub(super) struct Seen {
    /// The threads of its pool.
    threads: Arc<Threads>,
    /// What it does, and has done.
    record: Arc<Record>,
}

/// Shows the thread of this record on its track, for as long as the thread keeps what is returned.
pub(super) fn show(threads: &Arc<Threads>, record: &Arc<Record>, track: &Track) -> Arc<Seen> {
    let seen = Arc::new(Seen { threads: threads.clone(), record: record.clone() });
    track.set_pool_thread(Arc::downgrade(&seen) as Weak<Seen>);
    seen
}

impl PoolThread for Seen {
    fn look(&self) -> ThreadSeen {
        let mut done = PoolMetrics::default();
        self.record.counters.add_to(&mut done);
        let kinds = [&done.cpu, &done.fast_io, &done.slow_io];
        let nanos =
            |time: fn(&KindMetrics) -> Duration| kinds.map(|kind| saturating_nanos(time(kind)));
        let longest = |times: [Nanos; 3]| times.into_iter().max().unwrap_or(0);
        ThreadSeen {
            pool: self.threads.number,
            queued: self.threads.queues.lengths(),
            job: self.record.job_seen(),
            completed: done.completed,
            wait: nanos(|kind| kind.wait_time).iter().sum(),
            wait_max: longest(nanos(|kind| kind.wait_max)),
            run: nanos(|kind| kind.run_time).iter().sum(),
            run_max: longest(nanos(|kind| kind.run_max)),
        }
    }
}
