//! The figures of a worker's use of the machine, as its parent sees them.

use std::time::Duration;

use super::handle::WorkerHandle;
use crate::alloc;
use crate::report::metrics::Metrics;

/// A worker's use of the machine at one moment. Made by [`Worker::usage`](super::Worker::usage).
///
/// # Examples
/// ```
/// use windlass::worker::{Port, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::spawn(|port: Port<u64, ()>| port.post((0..1_000_000).sum()))?;
///     worker.recv().await;
///     worker.join().await.unwrap();
///     let usage = worker.usage();
///     println!("{:?} of CPU time, {} messages wait", usage.cpu_time, usage.from_worker);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WorkerUsage {
    /// The figures of the worker's loop: iterations, events, utilization. All zero before it begins
    /// and after it has ended.
    pub metrics: Metrics,
    /// The CPU time of the worker's thread, of the whole thread once it has ended. None where the
    /// system does not tell.
    pub cpu_time: Option<Duration>,
    /// Messages that were posted to the worker and that it has not taken. Not those on other ports.
    pub to_worker: usize,
    /// Messages of the worker that this loop has not taken.
    pub from_worker: usize,
    /// Bytes that the worker's thread had allocated and not freed when its loop's current iteration
    /// began. Below zero when it frees what others allocated. None without [`alloc::Counting`], and
    /// after the exit.
    pub allocated: Option<i64>,
}

impl WorkerUsage {
    pub(super) fn of<In, Out>(worker: &WorkerHandle<In, Out>) -> WorkerUsage {
        let figures = &worker.shared().mailbox.figures;
        let (to_worker, from_worker) = worker.queue_lens();
        let counts = !worker.has_exited() && alloc::is_counting();
        WorkerUsage {
            metrics: figures.snapshot(),
            cpu_time: worker.cpu_time(),
            to_worker,
            from_worker,
            allocated: counts.then(|| figures.allocated()),
        }
    }
}
