//! What a view of the program sees of a loop and of a pool thread, from another thread.

use std::panic::Location;

use crate::clock::Nanos;

/// A loop when somebody looked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoopSeen {
    /// How many iterations it has begun.
    pub(crate) iterations: u64,
    /// How long it was blocked in its poll.
    pub(crate) idle: Nanos,
    /// How long it did something else.
    pub(crate) active: Nanos,
    /// It sleeps, or is not turned.
    pub(crate) is_asleep: bool,
    /// How much waits in its mailbox.
    pub(crate) waiting: usize,
}

/// What observers ask of a pool thread from another thread.
pub(crate) trait PoolThread: Send + Sync {
    /// What it does, and what it has done.
    fn look(&self) -> ThreadSeen;
}

/// A pool thread when somebody looked. Times are in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct ThreadSeen {
    /// The number of its pool.
    pub(crate) pool: u64,
    /// How many jobs wait in the queues of that: quick ones, and slow ones.
    pub(crate) queued: [usize; 2],
    /// The job that it runs.
    pub(crate) job: Option<JobSeen>,
    /// How many jobs it has run.
    pub(crate) completed: u64,
    /// How long these have waited, in all.
    pub(crate) wait: Nanos,
    /// How long one has waited at most.
    pub(crate) wait_max: Nanos,
    /// How long these have run, in all.
    pub(crate) run: Nanos,
    /// How long one has run at most.
    pub(crate) run_max: Nanos,
}

/// A job that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobSeen {
    /// What it is called.
    pub(crate) kind: &'static str,
    /// The line that asked for it.
    pub(crate) place: &'static Location<'static>,
    /// How long it has waited before.
    pub(crate) waited: Nanos,
    /// For how long it runs.
    pub(crate) runs: Nanos,
}
