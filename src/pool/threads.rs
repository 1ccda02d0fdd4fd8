//! The pool's threads, and how a job finds one.
//!
//! A thread is in one of three states.
//!
//! ```text
//!   started ──▶ searching ──takes a job──▶ running ──no job is left──▶ searching
//!                 ▲  │                        │        (if nobody is)
//!                 │  └──patience is over──┐   │
//!              is woken                   ▼   ▼ (if somebody is)
//!                 └────────────────────── parked
//! ```
//!
//! *One thread searches.* It looks at the queues by itself, so whoever submits a job need not wake anybody. Only
//! when no thread searches does a submitter wake a parked one, or start one, as the searcher. The
//! searcher that finds a job hands the search on: if more jobs wait, it wakes the next searcher before it runs
//! its own. So one wake leads to the next until the jobs or the threads run out.
//!
//! When all threads run jobs nobody need be woken: each looks at the queues before it parks. Why no job is
//! stranded is said in `search.rs`.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::figures::{Counters, PoolMetrics};
use super::job::{Job, Outcome, Refusal};
use super::queues::{Queues, Taken};
use super::record::Record;
use super::search::Search;
use super::shutdown::RunningJob;
use crate::callback;
use crate::clock::{self, Nanos};
use crate::error::{WorkError, panic_message};
use crate::threads::OwnLine;
use crate::threads::mailbox::Mailbox;
use crate::threads::patience::{self, Patience};

/// What threads and submitters share.
pub(super) struct Shared {
    pub(super) queues: Queues,
    pub(super) threads_max: usize,
    /// What the threads are called, without their number.
    name: String,
    /// What was done in virtual time.
    pub(super) virtual_counters: Counters,
    /// Whether a thread searches, or is on its way to. Apart from what everybody reads and nobody writes.
    search: OwnLine<Search>,
    roster: OwnLine<Mutex<Roster>>,
    /// Whether any thread was ever started.
    has_threads: AtomicBool,
    /// Wakes a parked thread. Goes with the roster, like the next one.
    wake: Condvar,
    /// A thread has ended.
    ended: Condvar,
    /// Nobody is left to submit: threads end when the queues are empty.
    closing: AtomicBool,
    /// The pool was shut down: it takes no jobs, and runs none that waits.
    shut: AtomicBool,
}

/// All threads of a pool.
#[derive(Default)]
struct Roster {
    /// Those that have ended included: their figures count.
    threads: Vec<(ThreadId, Arc<Record>)>,
    living: usize,
    /// Threads that wait to be woken.
    parked: usize,
    /// A thread was told to wake up as the searcher and has not yet. The search is claimed for it.
    woken: bool,
    /// The system refused a thread, which is said once.
    refused: bool,
}

impl Shared {
    pub(super) fn new(threads: usize, queue_limit: Option<usize>, name: String) -> Shared {
        Shared {
            queues: Queues::new(threads.div_ceil(2), queue_limit),
            threads_max: threads,
            name,
            virtual_counters: Counters::default(),
            search: OwnLine::default(),
            roster: OwnLine::default(),
            has_threads: AtomicBool::new(false),
            wake: Condvar::new(),
            ended: Condvar::new(),
            closing: AtomicBool::new(false),
            shut: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- Submitting.

    /// Finds a place for one more job. An error when there is none, or nobody who would run it.
    pub(super) fn admit(
        self: &Arc<Self>,
        goes_on: bool,
        needs_thread: bool,
    ) -> Result<(), WorkError> {
        if self.is_shut() {
            return Err(WorkError::PoolShutDown);
        }
        if needs_thread && !self.has_threads.load(Ordering::Relaxed) {
            self.start_first_thread().map_err(|error| WorkError::NoThread(error.kind()))?;
        }
        if self.queues.admit(goes_on) { Ok(()) } else { Err(WorkError::QueueFull) }
    }

    /// Hands an admitted job to the threads.
    pub(super) fn submit(self: &Arc<Self>, job: Arc<dyn Job>) {
        self.queues.push(job);
        self.ensure_search();
        // A shutdown that came in between may have emptied the queues before this job was there.
        if self.is_shut() {
            self.refuse_all();
        }
    }

    /// Makes sure that a thread searches, after a job has come.
    #[inline]
    fn ensure_search(self: &Arc<Self>) {
        if self.search.is_needed() {
            self.wake_searcher();
        }
    }

    /// A searcher has found a job, and hands the search on if more wait.
    fn end_search(self: &Arc<Self>) {
        self.search.give_up();
        if self.queues.has_work() {
            self.ensure_search();
        }
    }

    /// Wakes a parked thread or starts one, to search on the caller's claim.
    #[cold]
    fn wake_searcher(self: &Arc<Self>) {
        let mut roster = self.lock();
        if roster.parked > 0 {
            roster.woken = true;
            // Counted from now: until it gets a core, nobody is to look on that.
            patience::thread_wakes();
            drop(roster);
            return self.wake.notify_one();
        }
        let Err(error) = self.start_thread(&mut roster) else { return };
        // All threads run jobs. Under the lock: whoever parks next takes it after this, and then looks.
        self.search.give_up();
        if let Some(error) = error
            && !std::mem::replace(&mut roster.refused, true)
        {
            let living = roster.living;
            drop(roster); // A logger may use the pool.
            log::warn!("the pool goes on with {living} threads: {error}");
        }
    }

    /// Starts a thread, which searches. Fails without an error when the pool has all its threads.
    fn start_thread(self: &Arc<Self>, roster: &mut Roster) -> Result<(), Option<io::Error>> {
        if roster.living == self.threads_max || self.is_shut() {
            return Err(None);
        }
        let name = format!("{}-{}", self.name, roster.threads.len());
        let record = Arc::new(Record::new(name.clone()));
        let (shared, own) = (self.clone(), record.clone());
        let spawned = thread::Builder::new().name(name).spawn(move || shared.work(&own));
        let detached = spawned.map_err(Some)?;
        roster.threads.push((detached.thread().id(), record));
        roster.living += 1;
        patience::thread_wakes();
        self.has_threads.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn start_first_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut roster = self.lock();
        if roster.living > 0 {
            return Ok(());
        }
        // With no thread there nobody else has the search.
        self.search.claim();
        let outcome = self.start_thread(&mut roster);
        if outcome.is_err() {
            self.search.give_up();
        }
        outcome.or_else(|error| error.map_or(Ok(()), Err))
    }

    // ---- A thread's life.

    fn work(self: &Arc<Self>, record: &Record) {
        let patience = Patience::of_pool_thread();
        let mut searching = true;
        let mut slow_first = false;
        // Of the loop that submitted the last job. Let go before the thread parks.
        let mut mailbox = None;
        // The end of the job before, when the next one begins at once: a reading of the clock less.
        let mut ended = None;
        loop {
            if let Some(Taken { job, is_slow }) = self.queues.take(slow_first) {
                if std::mem::take(&mut searching) {
                    self.end_search();
                }
                slow_first = !is_slow;
                let began = ended.take().unwrap_or_else(clock::monotonic);
                ended = Some(self.run(job, record, began, &mut mailbox));
                if is_slow && self.queues.slow_job_ended() {
                    self.ensure_search();
                }
            } else if !searching && self.search.claim() {
                (searching, ended) = (true, None); // And looks once more.
            } else if !(searching
                && patience::look(
                    patience.longest_look(),
                    || self.queues.has_work(),
                    || self.is_ending(),
                ))
            {
                (mailbox, ended) = (None, None);
                let began = clock::monotonic();
                if !self.park(searching) {
                    return;
                }
                searching = true;
                patience.slept(clock::monotonic() - began);
            }
        }
    }

    /// Waits to be woken as the searcher. False when the thread is to end.
    fn park(self: &Arc<Self>, searching: bool) -> bool {
        let mut roster = self.lock();
        if searching {
            self.search.give_up();
        }
        roster.parked += 1;
        patience::thread_sleeps();
        let go_on = loop {
            if std::mem::take(&mut roster.woken) {
                break true;
            }
            // A job that came while all threads were at work, or just now.
            if self.queues.has_work() && self.search.claim() {
                patience::thread_wakes();
                break true;
            }
            if self.is_ending() {
                roster.living -= 1;
                break false;
            }
            roster = self.wake.wait(roster).unwrap_or_else(PoisonError::into_inner);
        };
        roster.parked -= 1;
        drop(roster);
        if !go_on {
            self.ended.notify_all();
        }
        go_on
    }

    /// Runs a job that begins now, and tells its loop. Returns when it ended.
    fn run(
        &self,
        job: Arc<dyn Job>,
        record: &Record,
        began: Nanos,
        last: &mut Option<Arc<Mailbox>>,
    ) -> Nanos {
        let (label, submitted) = (*job.label(), job.submitted());
        record.begin(label);
        let mut ended = began;
        // The work's own panic is its submitter's. This one is of a destructor.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let outcome = job.run(&self.queues);
            // Before the loop is told, which may look.
            record.end();
            match outcome {
                Outcome::Ran => {
                    record.counters.add_completed(label.kind);
                    ended = clock::monotonic();
                    record.counters.add_times(label.kind, submitted, began, ended);
                    job.tell(last);
                }
                Outcome::Refused => job.tell(last),
                Outcome::Gone => self.queues.empty_found(label.kind),
            }
        }));
        if let Err(payload) = outcome {
            record.end();
            log::error!("a destructor panicked on a pool thread: {}", panic_message(&*payload));
            // Such a payload may itself have a destructor that panics, which must not cost the thread.
            callback::drop_quietly(payload);
        }
        ended
    }

    // ---- The end.

    fn is_ending(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.is_shut()
    }

    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }

    /// Nobody is left to submit.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    /// Takes no more jobs, and cancels those that wait.
    pub(super) fn shut_down(&self) {
        self.shut.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.refuse_all();
        self.wake_all();
    }

    fn wake_all(&self) {
        drop(self.lock());
        self.wake.notify_all();
    }

    /// Cancels all jobs that wait. Their loops are told, and drop the work.
    fn refuse_all(&self) {
        let mut last = None;
        while let Some(job) = self.queues.take_any() {
            if job.refuse(&self.queues, Refusal::Cancelled) {
                job.tell(&mut last);
            } else {
                self.queues.empty_found(job.label().kind);
            }
        }
    }

    /// Waits until all threads but the caller's have ended, at most for `limit`.
    pub(super) fn wait_for_threads(&self, limit: Duration) {
        let me = thread::current().id();
        let roster = self.lock();
        // Also when it is past its job and drops a result that nobody came for.
        let own = usize::from(roster.threads.iter().any(|(id, _)| *id == me));
        let more = |roster: &mut Roster| roster.living > own;
        let waited = self.ended.wait_timeout_while(roster, limit, more);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    // ---- Figures.

    /// The jobs that run now, but for one of the caller's own.
    pub(super) fn running_jobs(&self) -> Vec<RunningJob> {
        let me = thread::current().id();
        let others: Vec<_> = {
            let roster = self.lock();
            let others = roster.threads.iter().filter(|(id, _)| *id != me);
            others.map(|(_, record)| record.clone()).collect()
        };
        others.iter().filter_map(|record| record.running_job()).collect()
    }

    pub(super) fn metrics(&self) -> PoolMetrics {
        let mut metrics = PoolMetrics::default();
        self.virtual_counters.add_to(&mut metrics);
        let roster = self.lock();
        metrics.threads = roster.living;
        metrics.busy = roster.threads.iter().filter(|(_, record)| record.is_running()).count();
        for (_, record) in &roster.threads {
            record.counters.add_to(&mut metrics);
        }
        drop(roster);
        let [quick, slow] = self.queues.lengths();
        (metrics.queued, metrics.queued_slow) = (quick + slow, slow);
        metrics
    }
}
