//! The pool's threads: how jobs find one, and what a thread does that finds no job.
//!
//! A thread's life: busy while there are jobs, then idle in three steps, each cheaper and slower to
//! answer than the one before.
//!
//! ```text
//!            ┌────────── finds a job ─────────────────────────────┐
//!            ▼                                                    │
//!  start ▶ busy ──no job──▶ spin ──50 µs──▶ keep watch ──quiet──▶ park
//!                           few threads,    one thread, while     until it
//!                           if it paid      jobs are short        is called
//! ```
//!
//! *Who calls whom.* A thread that will look at the queues by itself soon is a *watcher*: it was just
//! called or started, it spins, or it keeps watch. While there is a watcher nobody need be called. So a
//! submitter puts its job in a queue and then looks at the count of watchers; only when that is zero
//! does it call a parked thread, or start one. A watcher that takes a job ends its watch; the last one
//! to do so looks at the queues once more, and calls the next thread if jobs are left. One call leads to
//! the next until the jobs or the threads run out, and the submitter pays for one at most.
//!
//! *Why nothing is stranded* is told in `attention.rs`, where the watchers are counted.
//!
//! *Brief and short jobs.* Jobs of less than half a microsecond are done before another thread could be woken
//! for them, and on few cores a second thread only takes time from the loop: one thread is enough. Jobs of a
//! few microseconds wait for nothing but a core: as many threads as cores are. While there are enough one idle
//! thread *keeps watch*: it sleeps for a fifth of a millisecond at a time, and takes a job when those that wait
//! would not be done within the next such time. That way no job is ever stuck behind a slow neighbour for
//! longer, and nobody pays for calls. After a millisecond without jobs it parks.
//!
//! *Spinning.* One thread at a time spins, with short jobs one for each core; only one that has just run a job,
//! only if its last idle time was short, and only where there is a second core. It lets others have the
//! core in between. A thread that spun in vain does not spin the next time. How a loop looks for what the threads have done
//! is told in [`spin`](crate::threads::spin).

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crossbeam_deque::{Injector, Steal};

use super::WorkKind;
use super::attention::Attention;
use super::figures::{Counters, Length, PoolMetrics, Typical};
use super::job::{Job, Label, Outcome, Refusal};
use super::shutdown::RunningJob;
use crate::callback;
use crate::clock::{self, Nanos};
use crate::error::{WorkError, panic_message};
use crate::threads::OwnLine;
use crate::threads::mailbox::Mailbox;
use crate::threads::spin;

/// The longest that a thread spins. A loop that is woken by a result needs about a tenth of it to
/// come back with the next job.
const SPIN: Nanos = 50_000;
/// Pauses while spinning before the core is offered to others in between.
const PAUSES_BEFORE_YIELD: u32 = 512;
/// Pauses between two looks, of 15 to 50 nanoseconds each. Who looks takes the queue's memory away from the
/// core that fills it. So it leaves that some time, and then finds several jobs.
const PAUSES: u32 = 32;
/// Where jobs come one by one there is nothing to leave the submitter time for: from one to the next it takes
/// 480 ns instead of 1,070.
const PAUSES_ONE_BY_ONE: u32 = 2;
/// So many lone jobs in a row say that they do.
const LONE_JOBS: u32 = 16;
/// How long who keeps watch sleeps at a time.
const WATCH: Duration = Duration::from_micros(200);
/// Looks without any sign of a job after which the watch ends.
const QUIET_LOOKS: u32 = 5;

/// What threads and submitters share.
pub(super) struct Shared {
    /// Jobs that compute or wait for the disk.
    quick: Injector<Arc<dyn Job>>,
    /// Jobs that may wait for long.
    slow: Injector<Arc<dyn Job>>,
    pub(super) threads_max: usize,
    /// Threads that may run slow jobs at one time.
    slow_max: usize,
    /// Threads that run slow jobs now.
    slow_running: AtomicUsize,
    /// What the threads are called, without their number.
    name: String,
    /// Jobs that may wait at one time.
    pub(super) queue_limit: Option<usize>,
    /// With a limit: jobs that wait, exactly.
    waiting: AtomicUsize,
    /// Jobs that still stand in a queue although the loop has taken them back; quick, slow.
    empties: [AtomicUsize; 2],
    /// Jobs of loops in virtual time that wait for their delivery; quick, slow.
    pub(super) virtual_waiting: [AtomicUsize; 2],
    /// What was done in virtual time.
    pub(super) virtual_counters: Counters,
    /// Apart from what everybody reads and nobody writes.
    attention: OwnLine<Attention>,
    pub(super) typical: Typical,
    /// Whether any thread was ever started.
    has_threads: AtomicBool,
    roster: OwnLine<Mutex<Roster>>,
    /// Calls a parked thread. Goes with the roster, like the next two.
    call: Condvar,
    /// Ends the sleep of who keeps watch, when the pool ends.
    end_watch: Condvar,
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
    /// Threads that wait to be called.
    parked: usize,
    /// Calls that have not been answered. At most as many as are parked.
    calls: usize,
    /// The system refused a thread, which is said once.
    refused: bool,
}

/// What others may know of a thread.
pub(super) struct Record {
    name: String,
    running: AtomicBool,
    /// The job that it runs, or has run last.
    label: Mutex<Option<Label>>,
    counters: Counters,
}

/// What a thread keeps for itself.
struct Life {
    /// Whether it looks for a slow job first. Taking turns, neither queue can starve the other.
    slow_first: bool,
    /// Whether it is counted as a watcher.
    watching: bool,
    /// Whether its last idle time was so short that spinning would have paid.
    spin_pays: bool,
    /// Jobs that it has run since it last looked in vain.
    run: u32,
    /// How often in a row that was one.
    lone: u32,
    /// The mailbox of the loop that submitted its last job. Let go when it parks.
    mailbox: Option<Arc<Mailbox>>,
}

impl Shared {
    pub(super) fn new(threads: usize, queue_limit: Option<usize>, name: String) -> Shared {
        Shared {
            quick: Injector::new(),
            slow: Injector::new(),
            threads_max: threads,
            slow_max: threads.div_ceil(2),
            slow_running: AtomicUsize::new(0),
            name,
            queue_limit,
            waiting: AtomicUsize::new(0),
            empties: Default::default(),
            virtual_waiting: Default::default(),
            virtual_counters: Counters::default(),
            attention: OwnLine::default(),
            typical: Typical::default(),
            has_threads: AtomicBool::new(false),
            roster: OwnLine::default(),
            call: Condvar::new(),
            end_watch: Condvar::new(),
            ended: Condvar::new(),
            closing: AtomicBool::new(false),
            shut: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- Submitting.

    /// Finds a place for one more job. An error when there is none, or nobody who would run it. For a job
    /// that goes on with what was accepted before there always is one.
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
        let Some(limit) = self.queue_limit else { return Ok(()) };
        let one_more = |waiting| (goes_on || waiting < limit).then_some(waiting + 1);
        let room = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        room.map(drop).map_err(|_| WorkError::QueueFull)
    }

    /// A job does not wait any more.
    #[inline]
    pub(super) fn left_queue(&self) {
        if self.queue_limit.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The loop takes a job back, by `take`, that goes on standing in its queue.
    pub(super) fn leave_empty<T>(
        &self,
        kind: WorkKind,
        take: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        // Counted first: a thread may find the empty job before this returns.
        let empties = &self.empties[kind.queue()];
        empties.fetch_add(1, Ordering::Relaxed);
        let taken = take();
        if taken.is_none() {
            empties.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// Hands an admitted job to the threads.
    pub(super) fn submit(self: &Arc<Self>, job: Arc<dyn Job>) {
        if job.label().kind == WorkKind::SlowIo {
            self.slow.push(job);
        } else {
            self.quick.push(job);
        }
        self.ensure_watcher();
        // A shutdown that came in between may have emptied the queues before this job was there.
        if self.is_shut() {
            self.refuse_all();
        }
    }

    /// Makes sure that somebody looks at the queues soon. After a change to them.
    #[inline]
    fn ensure_watcher(self: &Arc<Self>) {
        if !self.attention.has_watcher() && !self.is_watched_over() {
            self.summon();
        }
    }

    /// Whether somebody keeps watch over others who are at work, and these are enough.
    fn is_watched_over(&self) -> bool {
        self.attention.keeping_watch.load(Ordering::Relaxed) && self.awake() >= self.enough()
    }

    /// How many threads are there for quick jobs, that neither are parked nor keep watch.
    fn awake(&self) -> usize {
        let awake = self.attention.awake.load(Ordering::Relaxed);
        awake.saturating_sub(self.slow_running.load(Ordering::Relaxed))
    }

    /// How many threads can do jobs of the length that they have now: more would only take turns on
    /// the cores.
    fn enough(&self) -> usize {
        let enough = match self.typical.quick() {
            Length::Brief => 1,
            Length::Short => spin::cores(),
            Length::Long => self.threads_max,
        };
        enough.min(self.threads_max)
    }

    /// Calls a parked thread or starts one, as a watcher. When all are at work there is nothing to do: each
    /// looks at the queues before it parks.
    #[cold]
    fn summon(self: &Arc<Self>) {
        if !self.attention.begin_first_watch() {
            return;
        }
        let mut roster = self.lock();
        if roster.parked > roster.calls {
            roster.calls += 1;
            // Not when it answers: until it gets a core, nobody is to spin on that.
            spin::thread_works();
            drop(roster);
            return self.call.notify_one();
        }
        let Err(error) = self.start_thread(&mut roster) else { return };
        // Under the lock: who parks next takes it after this, and then sees what was pushed.
        self.attention.end_watch();
        if let Some(error) = error
            && !std::mem::replace(&mut roster.refused, true)
        {
            let living = roster.living;
            drop(roster); // A logger may use the pool.
            log::warn!("the pool goes on with {living} threads: {error}");
        }
    }

    /// Starts a thread, which begins as a watcher. Fails without an error when the pool has all its threads.
    fn start_thread(self: &Arc<Self>, roster: &mut Roster) -> Result<(), Option<io::Error>> {
        if roster.living == self.threads_max || self.is_shut() {
            return Err(None);
        }
        let name = format!("{}-{}", self.name, roster.threads.len());
        let record = Arc::new(Record {
            name: name.clone(),
            running: AtomicBool::new(false),
            label: Mutex::new(None),
            counters: Counters::default(),
        });
        let (shared, own) = (self.clone(), record.clone());
        let spawned = thread::Builder::new().name(name).spawn(move || shared.work(&own));
        let detached = spawned.map_err(Some)?;
        roster.threads.push((detached.thread().id(), record));
        roster.living += 1;
        self.attention.awake.fetch_add(1, Ordering::SeqCst);
        spin::thread_works();
        self.has_threads.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn start_first_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut roster = self.lock();
        if roster.living > 0 {
            return Ok(());
        }
        self.attention.begin_watch();
        let outcome = self.start_thread(&mut roster);
        if outcome.is_err() {
            self.attention.end_watch();
        }
        outcome.or_else(|error| error.map_or(Ok(()), Err))
    }

    // ---- A thread's life.

    fn work(self: &Arc<Self>, record: &Record) {
        let mut life = Life {
            slow_first: false,
            watching: true,
            spin_pays: true,
            run: 0,
            lone: 0,
            mailbox: None,
        };
        loop {
            if let Some((job, slow)) = self.take(life.slow_first) {
                if std::mem::take(&mut life.watching) {
                    self.end_watch();
                }
                (life.slow_first, life.run) = (!slow, life.run.saturating_add(1));
                self.run(job, record, &mut life.mailbox);
                if slow {
                    self.end_slow_job();
                }
            } else {
                if !std::mem::replace(&mut life.watching, true) {
                    self.attention.begin_watch();
                }
                if !self.idle(&mut life) {
                    return;
                }
            }
        }
    }

    /// A watcher has found a job. The last one sees to it that the next job finds one too.
    fn end_watch(self: &Arc<Self>) {
        if self.attention.end_watch() && self.has_work() {
            self.ensure_watcher();
        }
    }

    /// A place for a slow job is free, and who could run the next one may have gone idle.
    fn end_slow_job(self: &Arc<Self>) {
        self.slow_running.fetch_sub(1, Ordering::SeqCst);
        if !self.slow.is_empty() {
            self.ensure_watcher();
        }
    }

    fn run(&self, job: Arc<dyn Job>, record: &Record, last: &mut Option<Arc<Mailbox>>) {
        let (label, stamp) = (*job.label(), job.stamp());
        record.begin(label);
        let began = stamp.is_timed().then(clock::monotonic);
        // The work's own panic is its submitter's. This one is of a destructor.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let outcome = job.run(self);
            // Before the loop is told, which may look.
            record.end();
            match outcome {
                Outcome::Ran => {
                    record.counters.add_completed(label.kind);
                    if let Some(began) = began {
                        let ended = clock::monotonic();
                        record.counters.add_times(label.kind, stamp, began, ended);
                        self.typical.learn(label.kind, ended.saturating_sub(began));
                    }
                    job.tell(self, last);
                }
                Outcome::Refused => job.tell(self, last),
                Outcome::Gone => {
                    self.empties[label.kind.queue()].fetch_sub(1, Ordering::Relaxed);
                }
            }
        }));
        if let Err(payload) = outcome {
            record.end();
            log::error!("a destructor panicked on a pool thread: {}", panic_message(&*payload));
            // Such a payload may itself have a destructor that panics, which must not cost the thread.
            callback::drop_quietly(payload);
        }
    }

    /// The next job, without waiting. A slow one is counted as running.
    fn take(self: &Arc<Self>, slow_first: bool) -> Option<(Arc<dyn Job>, bool)> {
        let quick = || take_from(&self.quick).map(|job| (job, false));
        let slow = || self.take_slow().map(|job| (job, true));
        if slow_first { slow().or_else(quick) } else { quick().or_else(slow) }
    }

    fn take_slow(self: &Arc<Self>) -> Option<Arc<dyn Job>> {
        if self.slow.is_empty() {
            return None;
        }
        let one_more = |running| (running < self.slow_max).then_some(running + 1);
        self.slow_running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let job = take_from(&self.slow);
        if job.is_none() {
            // Who looked in the meantime found no place for a job that has come since.
            self.end_slow_job();
        }
        job
    }

    /// Whether a thread that looked now would find a job.
    pub(super) fn has_work(&self) -> bool {
        !self.quick.is_empty()
            || !self.slow.is_empty() && self.slow_running.load(Ordering::SeqCst) < self.slow_max
    }

    /// How many jobs threads could take now.
    fn ready_jobs(&self) -> u64 {
        let slow_left = self.slow_max - self.slow_running.load(Ordering::SeqCst).min(self.slow_max);
        (self.quick.len() + self.slow.len().min(slow_left)) as u64
    }

    // ---- Idle threads. All of this is done by watchers, who come back as such.

    /// Waits until there may be a job. False when the thread is to end.
    fn idle(self: &Arc<Self>, life: &mut Life) -> bool {
        let began = clock::monotonic();
        let run = std::mem::take(&mut life.run);
        life.lone = if run == 1 { life.lone.saturating_add(1) } else { 0 };
        let pauses = if life.lone < LONE_JOBS { PAUSES } else { PAUSES_ONE_BY_ONE };
        if life.spin_pays && run > 0 && spin::several_cores() && self.spin(began, pauses) {
            return true;
        }
        if self.keep_watch() {
            return true;
        }
        drop(life.mailbox.take());
        if !self.park() {
            return false;
        }
        life.spin_pays = clock::monotonic() - began < SPIN;
        // Others see to their brief jobs by themselves: this call asks for somebody to watch over them.
        if self.others_run() {
            self.keep_watch();
        }
        true
    }

    /// Looks again and again for a short while. True when there is a job.
    fn spin(&self, began: Nanos, pauses: u32) -> bool {
        let most = if self.typical.quick() == Length::Short { self.enough() } else { 1 };
        let others = self.attention.spinners.fetch_add(1, Ordering::Relaxed);
        let mut spun = 0;
        let found = others < most
            && loop {
                if self.has_work() {
                    break true;
                }
                spun += pauses;
                if spun > PAUSES_BEFORE_YIELD || !spin::has_core() {
                    if clock::monotonic() - began > SPIN || self.is_ending() {
                        break false;
                    }
                    thread::yield_now();
                }
                (0..pauses).for_each(|_| std::hint::spin_loop());
            };
        self.attention.spinners.fetch_sub(1, Ordering::Relaxed);
        found
    }

    /// Watches over brief jobs of others: see above. True when there is a job that should not wait.
    fn keep_watch(self: &Arc<Self>) -> bool {
        let useful = self.awake() > self.enough();
        if !useful || self.attention.keeping_watch.swap(true, Ordering::SeqCst) {
            return false;
        }
        let mut roster = self.lock();
        self.fall_asleep();
        let (mut done, mut quiet) = (roster.completed(), 0);
        let needed = loop {
            let slept = self.end_watch.wait_timeout(roster, WATCH);
            roster = slept.unwrap_or_else(PoisonError::into_inner).0;
            let done_before = std::mem::replace(&mut done, roster.completed());
            let progress = done - done_before;
            quiet = if progress == 0 { quiet + 1 } else { 0 };
            let waits = self.ready_jobs();
            if waits > progress || waits > 0 && self.typical.quick() == Length::Long {
                break true;
            }
            // With nobody at work there is nobody to watch over, and who submits has to call.
            if self.is_ending()
                || quiet == QUIET_LOOKS
                || self.attention.awake.load(Ordering::SeqCst) == 0
            {
                break false;
            }
        };
        self.get_up();
        self.attention.keeping_watch.store(false, Ordering::SeqCst);
        needed
    }

    fn fall_asleep(&self) {
        spin::thread_rests();
        self.attention.fall_asleep();
    }

    fn get_up(&self) {
        spin::thread_works();
        self.attention.get_up();
    }

    /// Waits to be called. False when the thread is to end.
    fn park(&self) -> bool {
        let mut roster = self.lock();
        roster.parked += 1;
        self.fall_asleep();
        let go_on = loop {
            if roster.calls > 0 {
                roster.calls -= 1;
                // Who called has counted a watcher already.
                self.attention.awake.fetch_add(1, Ordering::SeqCst);
                break true;
            }
            if self.has_work() {
                self.get_up();
                break true;
            }
            if self.is_ending() {
                roster.living -= 1;
                break false;
            }
            roster = self.call.wait(roster).unwrap_or_else(PoisonError::into_inner);
        };
        roster.parked -= 1;
        drop(roster);
        if !go_on {
            self.ended.notify_all();
        }
        go_on
    }

    fn others_run(&self) -> bool {
        self.lock().threads.iter().any(|(_, record)| record.is_running())
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
        self.tell_all();
    }

    /// Takes no more jobs, and cancels those that wait.
    pub(super) fn shut_down(&self) {
        self.shut.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.refuse_all();
        self.tell_all();
    }

    fn tell_all(&self) {
        drop(self.lock());
        self.call.notify_all();
        self.end_watch.notify_all();
    }

    /// Cancels all jobs that wait. Their loops are told, and drop the work.
    fn refuse_all(&self) {
        let mut last = None;
        while let Some(job) = take_from(&self.quick).or_else(|| take_from(&self.slow)) {
            if job.refuse(self, Refusal::Cancelled) {
                job.tell(self, &mut last);
            } else {
                self.empties[job.label().kind.queue()].fetch_sub(1, Ordering::Relaxed);
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
        metrics.queued_slow = self.queued(&self.slow, 1);
        metrics.queued = self.queued(&self.quick, 0) + metrics.queued_slow;
        metrics
    }

    fn queued(&self, queue: &Injector<Arc<dyn Job>>, index: usize) -> usize {
        let real = queue.len().saturating_sub(self.empties[index].load(Ordering::Relaxed));
        real + self.virtual_waiting[index].load(Ordering::Relaxed)
    }
}

impl Roster {
    fn completed(&self) -> u64 {
        self.threads.iter().map(|(_, record)| record.counters.completed()).sum()
    }
}

impl Record {
    fn begin(&self, label: Label) {
        let mut known = self.label.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(label);
        self.running.store(true, Ordering::Release);
    }

    fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    fn running_job(&self) -> Option<RunningJob> {
        let label = *self.label.lock().unwrap_or_else(PoisonError::into_inner);
        label.filter(|_| self.is_running()).map(|label| RunningJob::new(self.name.clone(), &label))
    }
}

fn take_from(queue: &Injector<Arc<dyn Job>>) -> Option<Arc<dyn Job>> {
    loop {
        match queue.steal() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
