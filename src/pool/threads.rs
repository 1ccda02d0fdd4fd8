//! The pool's threads, and how a job finds one.
//!
//! A thread is in one of three states:
//!
//! ```text
//!                  finds a job                 no job is left,
//!  started ─▶ searching ───────────▶ running ──and nobody searches──▶ searching
//!              ▲     │               ▲     │
//!              │     │               └─────┤ a job is left
//!              │     │ its patience        │
//!     unparked,│     │ is over             │ no job is left,
//!   to search  │     ▼                     ▼ and another thread searches
//!              └─ parked ◀─────────────────┘
//!                    │ the pool ends, and no job is left
//!                    ▼
//!                  ended
//! ```
//!
//! *One thread searches.* It looks at the queues by itself, so a submitter wakes nobody while it
//! does. When no thread searches, the submitter unparks one, or starts one, as the searcher. A
//! searcher that finds a job hands the search over before it runs the job, if more jobs wait. So
//! one wake leads to the next until the jobs or the threads run out.
//!
//! When all threads run jobs, nobody is woken: each looks at the queues before it parks. Why no job
//! is stranded stands in `search.rs`.
//!
//! Locks: the parking lock of `search.rs` first, then the list of threads. Neither is held while a
//! job runs, a loop is told or a value of a user is dropped.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::WorkKind;
use super::figures::{Counters, PoolMetrics};
use super::job::{self, Job, Outcome, Refusal};
use super::observe;
use super::queues::{Queues, Taken};
use super::record::Record;
use super::search::Search;
use super::shutdown::RunningJob;
use crate::callback::quiet::drop_payload;
use crate::clock::{self, Nanos};
use crate::error::{WorkError, panic_message};
use crate::state::current;
use crate::threads::OwnLine;
use crate::threads::mailbox::Mailbox;
use crate::threads::patience::{self, Patience};
use crate::trace::roll;
use crate::trace::teller::Teller;
use crate::virtual_time::chance::Chance;

/// The threads of a pool, with their queues. Shared by the threads and all who submit.
pub(super) struct Threads {
    /// The jobs that wait.
    pub(super) queues: Queues,
    /// Unique in the process.
    pub(super) number: u64,
    /// The most threads that there will be.
    pub(super) max: usize,
    /// What the threads are called, without their number.
    name: String,
    /// What was done in virtual time, on the threads of loops, of which several may share the pool.
    virtual_counters: Mutex<Counters>,
    /// Which thread searches. Away from what all threads read and none writes.
    search: OwnLine<Search>,
    /// All threads that were started.
    list: Mutex<List>,
    /// A thread has ended. Goes with the list.
    ended: Condvar,
    /// A thread was started once, so there is one until the pool ends.
    has_threads: AtomicBool,
    /// Nobody is left to submit: the threads end when the queues are empty.
    closing: AtomicBool,
    /// The pool was shut down: it takes no jobs, and those that wait are cancelled.
    shut: AtomicBool,
}

/// The threads that were started.
#[derive(Default)]
struct List {
    /// With those that have ended, for what they have done still counts.
    threads: Vec<(ThreadId, Arc<Record>)>,
    /// How many have not ended.
    living: usize,
    /// The system has refused a thread before, which is logged once.
    refused: bool,
}

impl Threads {
    pub(super) fn new(max: usize, queue_limit: Option<usize>, name: String) -> Threads {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        Threads {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            // Slow jobs get half the threads, rounded up (as libuv).
            queues: Queues::new(max.div_ceil(2), queue_limit),
            max,
            name,
            virtual_counters: Mutex::default(),
            search: OwnLine(Search::new()),
            list: Mutex::default(),
            ended: Condvar::new(),
            has_threads: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            shut: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- Jobs in virtual time, which no thread runs. A simulation has figures of its own.

    fn lock_virtual_counters(&self) -> MutexGuard<'_, Counters> {
        self.virtual_counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job waits for its delivery.
    pub(super) fn virtual_job_waits(&self, chance: Option<&Chance>, kind: WorkKind) {
        self.queues.virtual_waiting[kind.queue()].fetch_add(1, Ordering::Relaxed);
        if let Some(chance) = chance {
            chance.change_jobs(self.number, |jobs| jobs.waiting[kind.queue()] += 1);
        }
    }

    /// A job does not wait any more: it is delivered, or was taken back.
    pub(super) fn virtual_job_left(&self, chance: Option<&Chance>, kind: WorkKind) {
        self.queues.virtual_waiting[kind.queue()].fetch_sub(1, Ordering::Relaxed);
        if let Some(chance) = chance {
            chance.change_jobs(self.number, |jobs| jobs.waiting[kind.queue()] -= 1);
        }
    }

    /// A job has run to its end.
    pub(super) fn virtual_job_ran(&self, chance: Option<&Chance>, kind: WorkKind) {
        self.lock_virtual_counters().add(kind, 0, 0);
        if let Some(chance) = chance {
            chance.change_jobs(self.number, |jobs| jobs.completed[kind as usize] += 1);
        }
    }

    // ---- Submitting.

    /// Finds a place for one more job. An error when there is none, or no thread that would run it.
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
        // A shutdown may have emptied the queues just before the push. It sets `shut`, then looks
        // at the queues; this pushes, then looks at `shut`. Both have a fence in between, here that
        // of `ensure_search`, so one of the two sees the other.
        if self.is_shut() {
            self.refuse_all();
        }
    }

    /// Makes sure that a thread searches, after a job has come.
    #[inline]
    fn ensure_search(self: &Arc<Self>) {
        if self.search.is_needed()
            && let Err(Some(error)) = self.search.hand_over(|| self.start_thread(&mut self.lock()))
        {
            self.log_refused(&error);
        }
    }

    /// Starts a thread, which has the search. Fails without an error when the pool has all its
    /// threads.
    fn start_thread(self: &Arc<Self>, list: &mut List) -> Result<(), Option<io::Error>> {
        if list.living == self.max || self.is_shut() {
            return Err(None);
        }
        let name = format!("{}-{}", self.name, list.threads.len());
        let record = Arc::new(Record::new(name.clone()));
        let (threads, own) = (self.clone(), record.clone());
        let spawned = thread::Builder::new().name(name).spawn(move || threads.work(&own));
        let detached = spawned.map_err(Some)?;
        list.threads.push((detached.thread().id(), record));
        list.living += 1;
        patience::thread_wakes();
        self.has_threads.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Starts a thread if there is none.
    fn start_first_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut list = self.lock();
        if list.living > 0 {
            return Ok(());
        }
        // For the thread. Nobody else has the search, for no job was pushed yet.
        self.search.claim();
        let outcome = self.start_thread(&mut list);
        if outcome.is_err() {
            self.search.give_up();
        }
        // Without an error the pool was shut down meanwhile, which `submit` sees.
        outcome.or_else(|error| error.map_or(Ok(()), Err))
    }

    /// The system has refused a thread beside those that there are.
    fn log_refused(&self, error: &io::Error) {
        let mut list = self.lock();
        let (before, living) = (std::mem::replace(&mut list.refused, true), list.living);
        drop(list); // A logger may use the pool.
        if !before {
            log::warn!("the pool goes on with {living} threads: {error}");
        }
    }

    // ---- A thread's life.

    /// What a thread does from its start to its end. It begins as the searcher.
    fn work(self: &Arc<Self>, record: &Arc<Record>) {
        let patience = Patience::of_pool_thread();
        let teller = observe::begin_thread(record.name());
        #[cfg(feature = "inspect")]
        let _seen = super::seen::show(self, record, &teller.track);
        let mut searching = true;
        // Taking turns between the queues, neither can starve the other.
        let mut slow_first = false;
        // Of the loop that submitted the last job. Let go before the thread parks.
        let mut mailbox = None;
        // When the last job ended, which is when the next one begins: one reading of the clock for
        // both.
        let mut ended = None;
        loop {
            if let Some(Taken { job, is_slow }) = self.queues.take(slow_first) {
                if std::mem::take(&mut searching) {
                    self.end_search();
                }
                slow_first = !is_slow;
                let began = ended.take().unwrap_or_else(clock::monotonic);
                ended = Some(self.run(job, record, &teller, began, &mut mailbox));
                if is_slow && self.queues.slow_job_ended() {
                    self.ensure_search(); // This thread may take a quick job next.
                }
            } else if !searching && self.search.claim() {
                (searching, ended) = (true, None); // And looks once more.
            } else if !(searching && self.look(&patience)) {
                (mailbox, ended) = (None, None);
                let began = clock::monotonic();
                searching =
                    self.search.park(searching, || self.queues.has_work(), || self.is_ending());
                if !searching {
                    break;
                }
                patience.slept(clock::monotonic() - began);
            }
        }
        self.lock().living -= 1;
        self.ended.notify_all();
    }

    /// Looks for a job for as long as the thread's patience says. False when the thread is to park.
    fn look(&self, patience: &Patience) -> bool {
        let limit = patience.longest_look();
        patience::look(limit, || self.queues.has_work(), || self.is_ending()) && !self.is_ending()
    }

    /// A searcher has found a job. It hands the search over if more jobs wait.
    fn end_search(self: &Arc<Self>) {
        self.search.give_up();
        if self.queues.has_work() {
            self.ensure_search();
        }
    }

    /// Runs a job that begins now, and tells its loop. Returns when it ended.
    fn run(
        &self,
        job: Arc<dyn Job>,
        record: &Record,
        teller: &Teller,
        began: Nanos,
        last: &mut Option<Arc<Mailbox>>,
    ) -> Nanos {
        let (origin, submitted) = (*job.origin(), job.submitted());
        record.begin(origin, job::address(&job), submitted, began);
        let mut ended = began;
        // A panic of the work is its submitter's. This one is of a destructor.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let run = || job.run(&self.queues);
            let outcome = if roll::is_observed() {
                observe::run(teller, &*job, clock::monotonic, run)
            } else {
                run()
            };
            // Before the loop is told, which may look.
            record.end();
            match outcome {
                Outcome::Ran => {
                    ended = clock::monotonic();
                    record.counters.add(
                        origin.kind,
                        began.saturating_sub(submitted),
                        ended - began,
                    );
                    job.tell(last);
                }
                Outcome::Refused => job.tell(last),
                Outcome::Gone => self.queues.empty_found(origin.kind),
            }
        }));
        if let Err(payload) = outcome {
            record.end();
            log::error!("a destructor panicked on a pool thread: {}", panic_message(&*payload));
            drop_payload(payload);
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
        self.search.unpark_all();
    }

    /// Takes no more jobs, and cancels those that wait.
    pub(super) fn shut_down(&self) {
        self.shut.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst); // See `submit`.
        self.refuse_all();
        self.search.unpark_all();
    }

    /// Cancels all jobs that wait. Their loops are told, and drop the work.
    fn refuse_all(&self) {
        let mut last = None;
        while let Some(job) = self.queues.take_any() {
            if job.refuse(&self.queues, Refusal::Cancelled) {
                job.tell(&mut last);
            } else {
                self.queues.empty_found(job.origin().kind);
            }
        }
    }

    /// Waits until all threads but the caller's have ended, at most for `limit`.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let me = thread::current().id();
        let list = self.lock();
        // Also when it is past its job and drops a result that nobody came for.
        let own = usize::from(list.threads.iter().any(|(id, _)| *id == me));
        let others = |list: &mut List| list.living > own;
        let waited = self.ended.wait_timeout_while(list, limit, others);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    // ---- Figures.

    /// The jobs that run now, without one of the caller's own.
    pub(super) fn running_jobs(&self) -> Vec<RunningJob> {
        let me = thread::current().id();
        let others: Vec<_> = {
            let list = self.lock();
            let others = list.threads.iter().filter(|(id, _)| *id != me);
            others.map(|(_, record)| record.clone()).collect()
        };
        others.iter().filter_map(|record| record.running_job()).collect()
    }

    /// Which thread runs the job at this address, and for how long.
    pub(super) fn running(&self, job: usize) -> Option<(String, Duration)> {
        self.lock().threads.iter().find_map(|(_, record)| record.runs(job))
    }

    pub(super) fn metrics(&self) -> PoolMetrics {
        if let Some(jobs) = current::with_chance(|chance| chance.jobs(self.number)) {
            return PoolMetrics::of_simulation(jobs);
        }
        let mut metrics = PoolMetrics::default();
        self.lock_virtual_counters().add_to(&mut metrics);
        let list = self.lock();
        metrics.threads = list.living;
        metrics.busy = list.threads.iter().filter(|(_, record)| record.is_running()).count();
        for (_, record) in &list.threads {
            record.counters.add_to(&mut metrics);
        }
        drop(list);
        let [quick, slow] = self.queues.lengths();
        (metrics.queued, metrics.queued_slow) = (quick + slow, slow);
        metrics
    }
}
