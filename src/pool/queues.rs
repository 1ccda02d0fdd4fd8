//! The jobs that wait for a thread, in two queues: quick ones, and slow ones of which few run at a
//! time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_deque::{Injector, Steal};

use super::WorkKind;
use super::job::Job;

/// Both queues, and how many jobs stand in them.
pub(super) struct Queues {
    /// Jobs that compute or wait for the disk.
    quick: Injector<Arc<dyn Job>>,
    /// Jobs that may wait for long.
    slow: Injector<Arc<dyn Job>>,
    /// Threads that may run slow jobs at one time.
    slow_max: usize,
    /// Threads that run slow jobs now.
    slow_running: AtomicUsize,
    /// Jobs that may wait at one time; none for any number.
    pub(super) limit: Option<usize>,
    /// With a limit: jobs that wait, exactly.
    waiting: AtomicUsize,
    /// Places in a queue whose jobs the loop has taken back; quick, slow.
    empties: [AtomicUsize; 2],
    /// Jobs of loops in virtual time that wait for their delivery; quick, slow.
    pub(super) virtual_waiting: [AtomicUsize; 2],
}

/// A job that was taken out of its queue. A slow one is counted as running.
pub(super) struct Taken {
    /// The job.
    pub(super) job: Arc<dyn Job>,
    /// Whether it came from the slow queue, and counts there until it has ended.
    pub(super) is_slow: bool,
}

impl Queues {
    pub(super) fn new(slow_max: usize, limit: Option<usize>) -> Queues {
        Queues {
            quick: Injector::new(),
            slow: Injector::new(),
            slow_max,
            slow_running: AtomicUsize::new(0),
            limit,
            waiting: AtomicUsize::new(0),
            empties: Default::default(),
            virtual_waiting: Default::default(),
        }
    }

    /// Finds a place for one more job. For one that goes on with what was accepted before there
    /// always is one.
    pub(super) fn admit(&self, goes_on: bool) -> bool {
        let Some(limit) = self.limit else { return true };
        let one_more = |waiting| (goes_on || waiting < limit).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Of so many threads, those that may run jobs of this kind at one time.
    pub(super) fn threads_of(&self, kind: WorkKind, max: usize) -> usize {
        if kind == WorkKind::SlowIo { self.slow_max } else { max }
    }

    /// An admitted job does not wait any more.
    #[inline]
    pub(super) fn job_left(&self) {
        if self.limit.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn push(&self, job: Arc<dyn Job>) {
        let queue = if job.origin().kind == WorkKind::SlowIo { &self.slow } else { &self.quick };
        queue.push(job);
    }

    /// The loop takes a job back, by `take`; its place in the queue stays, empty.
    pub(super) fn leave_empty<T>(
        &self,
        kind: WorkKind,
        take: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        // Counted first: a thread may find the empty place before this returns.
        let empties = &self.empties[kind.queue()];
        empties.fetch_add(1, Ordering::Relaxed);
        let taken = take();
        if taken.is_none() {
            self.empty_found(kind);
        }
        taken
    }

    /// A place without a job is gone from its queue.
    pub(super) fn empty_found(&self, kind: WorkKind) {
        self.empties[kind.queue()].fetch_sub(1, Ordering::Relaxed);
    }

    /// The next job, without waiting. Taking turns, neither queue can starve the other.
    pub(super) fn take(&self, slow_first: bool) -> Option<Taken> {
        let quick = || steal(&self.quick).map(|job| Taken { job, is_slow: false });
        let slow = || self.take_slow().map(|job| Taken { job, is_slow: true });
        if slow_first { slow().or_else(quick) } else { quick().or_else(slow) }
    }

    fn take_slow(&self) -> Option<Arc<dyn Job>> {
        while !self.slow.is_empty() {
            let one_more = |running| (running < self.slow_max).then_some(running + 1);
            self.slow_running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
            if let Some(job) = steal(&self.slow) {
                return Some(job);
            }
            // Another thread may have found no place meanwhile for a job that has just come: look
            // again.
            self.slow_running.fetch_sub(1, Ordering::SeqCst);
        }
        None
    }

    /// A slow job has ended. Whether another one waits for its place.
    pub(super) fn slow_job_ended(&self) -> bool {
        self.slow_running.fetch_sub(1, Ordering::SeqCst);
        !self.slow.is_empty()
    }

    /// Whether a thread that looked now would find a job.
    pub(super) fn has_work(&self) -> bool {
        !self.quick.is_empty()
            || !self.slow.is_empty() && self.slow_running.load(Ordering::SeqCst) < self.slow_max
    }

    /// Takes any job, whether or not there is a place for it. For a shutdown.
    pub(super) fn take_any(&self) -> Option<Arc<dyn Job>> {
        steal(&self.quick).or_else(|| steal(&self.slow))
    }

    /// How many jobs wait: quick, slow.
    pub(super) fn lengths(&self) -> [usize; 2] {
        [(&self.quick, 0), (&self.slow, 1)].map(|(queue, index)| {
            let real = queue.len().saturating_sub(self.empties[index].load(Ordering::Relaxed));
            real + self.virtual_waiting[index].load(Ordering::Relaxed)
        })
    }
}

fn steal(queue: &Injector<Arc<dyn Job>>) -> Option<Arc<dyn Job>> {
    loop {
        match queue.steal() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::super::job::{JobCell, JobOrigin};
    use super::*;
    use crate::threads::mailbox::Mailbox;

    fn job(kind: WorkKind, name: &'static str) -> Arc<dyn Job> {
        let origin = JobOrigin::new(kind, name, Location::caller());
        Arc::new(JobCell::new(origin, None, || (), Arc::new(Mailbox::new())))
    }

    fn name(taken: Option<Taken>) -> Option<&'static str> {
        taken.map(|taken| taken.job.origin().name)
    }

    #[test]
    fn a_slow_job_is_taken_only_while_fewer_run_than_may() {
        let queues = Queues::new(1, None);
        ["one", "two"].iter().for_each(|name| queues.push(job(WorkKind::SlowIo, name)));
        assert_eq!(name(queues.take(true)), Some("one"));
        assert!(!queues.has_work(), "nobody may take the other one");
        assert_eq!(name(queues.take(true)), None);
        queues.push(job(WorkKind::Cpu, "quick"));
        assert_eq!(name(queues.take(true)), Some("quick"));
        assert!(queues.slow_job_ended());
        assert_eq!(name(queues.take(false)), Some("two"));
    }

    #[test]
    fn the_queue_that_is_asked_first_goes_first_and_each_keeps_its_order() {
        let queues = Queues::new(2, None);
        queues.push(job(WorkKind::Cpu, "quick 1"));
        queues.push(job(WorkKind::SlowIo, "slow 1"));
        queues.push(job(WorkKind::FastIo, "quick 2"));
        let taken = [true, false, true].map(|slow_first| name(queues.take(slow_first)));
        assert_eq!(taken, [Some("slow 1"), Some("quick 1"), Some("quick 2")]);
    }

    #[test]
    fn a_full_queue_admits_only_what_goes_on() {
        let queues = Queues::new(1, Some(1));
        assert!(queues.admit(false) && !queues.admit(false) && queues.admit(true));
        queues.job_left();
        assert!(!queues.admit(false), "one that goes on has a place of its own");
        queues.job_left();
        assert!(queues.admit(false));
    }

    #[test]
    fn an_empty_place_is_not_counted_as_a_job_that_waits() {
        let queues = Queues::new(1, None);
        queues.push(job(WorkKind::Cpu, "taken back"));
        assert_eq!(queues.leave_empty(WorkKind::Cpu, || Some("work")), Some("work"));
        assert_eq!(queues.lengths(), [0, 0]);
        assert!(queues.take(false).is_some());
        queues.empty_found(WorkKind::Cpu);
        assert_eq!(queues.lengths(), [0, 0]);
    }
}
