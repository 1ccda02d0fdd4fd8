//! The blocking pool beyond libuv: kinds, limits, deadlines, tokens, shutdown and figures; and that
//! every job ends exactly once whatever happens to it.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use windlass::time::{advance, sleep};
use windlass::worker::{Port, Worker};
use windlass::{
    CancelError, CancelToken, Canceller, Loop, Pool, Remote, Request, WorkError, WorkKind,
    block_on, queue_work, run, set_immediate, set_timeout, work,
};

const KINDS: [WorkKind; 3] = [WorkKind::Cpu, WorkKind::FastIo, WorkKind::SlowIo];

/// A job of a kind that has begun and ends when the returned sender speaks or goes.
fn block_with(kind: WorkKind) -> (Request<Result<(), WorkError>>, mpsc::Sender<()>) {
    block_thread_with(|job| work(|_| job()).kind(kind).name("blocker").submit())
}

/// A job of a few microseconds.
fn short_job() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(3) {}
}

/// Lets the pool learn how long jobs are, one or several at a time.
async fn many_jobs(work: fn()) {
    for in_flight in [1, 20] {
        for _ in 0..500 {
            let jobs: Vec<_> = (0..in_flight).map(|_| queue_work(work)).collect();
            for job in jobs {
                job.await.unwrap();
            }
        }
    }
}

// ---- Exactly once.

/// A crowd of jobs of which some are cancelled, at once or when another one completes.
struct Crowd {
    left: Cell<usize>,
    has_run: Arc<Vec<AtomicBool>>,
    completions: RefCell<Vec<u8>>,
    cancelled: Cell<usize>,
    cancellers: RefCell<Vec<Canceller>>,
    dice: RefCell<Dice>,
}

impl Crowd {
    fn submit_next(self: &Rc<Self>) {
        let Some(number) = self.left.get().checked_sub(1) else { return };
        self.left.set(number);
        let (flags, kind) = (self.has_run.clone(), KINDS[self.roll(3)]);
        let job = work(move |_| assert!(!flags[number].swap(true, Ordering::SeqCst), "ran twice"));
        let request = job.kind(kind).submit();
        let canceller = request.canceller();
        let own = self.clone();
        request.on_complete(move |result| own.completed(number, result));
        match self.roll(4) {
            0 => {
                canceller.cancel().ok();
            }
            1 => self.cancellers.borrow_mut().push(canceller),
            _ => {}
        }
    }

    fn completed(self: &Rc<Self>, number: usize, result: Result<(), WorkError>) {
        self.completions.borrow_mut()[number] += 1;
        let has_run = self.has_run[number].load(Ordering::SeqCst);
        match result {
            Ok(()) => assert!(has_run),
            Err(WorkError::Cancelled) => {
                assert!(!has_run);
                self.cancelled.set(self.cancelled.get() + 1);
            }
            Err(other) => panic!("{other}"),
        }
        let victim = self.cancellers.borrow_mut().pop();
        if let Some(victim) = victim
            && self.roll(2) == 0
        {
            victim.cancel().ok();
        }
        self.submit_next();
    }

    fn roll(&self, sides: u64) -> usize {
        self.dice.borrow_mut().roll(sides) as usize
    }
}

// E-01 and P-01 to P-03 in a crowd.
#[test]
fn a_hundred_thousand_jobs_with_random_cancels_end_exactly_once_each() {
    const JOBS: usize = 12_500;
    for threads in 1..=8 {
        bounded(move || {
            let crowd = Rc::new(Crowd {
                left: Cell::new(JOBS),
                has_run: Arc::new((0..JOBS).map(|_| AtomicBool::new(false)).collect()),
                completions: RefCell::new(vec![0; JOBS]),
                cancelled: Cell::new(0),
                cancellers: RefCell::default(),
                dice: RefCell::new(Dice(0x9e37_79b9 + threads as u64)),
            });
            let event_loop = with_pool(threads);
            event_loop.run(|| (0..200).for_each(|_| crowd.submit_next()));
            let completions = crowd.completions.borrow();
            assert!(completions.iter().all(|count| *count == 1), "{threads} threads");
            let ran = crowd.has_run.iter().filter(|flag| flag.load(Ordering::SeqCst)).count();
            assert_eq!(ran + crowd.cancelled.get(), JOBS, "{threads} threads");
            assert!(ran > 0 && crowd.cancelled.get() > 0, "both happened");
            let metrics = event_loop.pool().metrics();
            assert_eq!((metrics.completed, metrics.busy), (ran as u64, 0), "{threads} threads");
            let kinds = KINDS.map(|kind| metrics.kind(kind).completed);
            assert_eq!(kinds.iter().sum::<u64>(), ran as u64);
        });
    }
}

#[test]
fn results_that_come_while_the_loop_is_busy_are_delivered_in_one_iteration() {
    const JOBS: u64 = 300;
    bounded(|| {
        let event_loop = with_pool(3);
        let iterations = Rc::new(RefCell::new(BTreeSet::new()));
        let all = iterations.clone();
        event_loop.run(|| {
            for _ in 0..JOBS {
                let iterations = iterations.clone();
                queue_work(|| ()).on_complete(move |result| {
                    result.unwrap();
                    iterations.borrow_mut().insert(Loop::current().metrics().iterations);
                });
            }
            // The main script keeps the loop busy until the last has run.
            let pool = Loop::current().pool();
            while pool.metrics().completed < JOBS || pool.metrics().busy > 0 {
                thread::yield_now();
            }
        });
        // A thread tells of a job after it has counted it: the last of each may come behind the others.
        assert!(all.borrow().len() <= 4, "{:?}", all.borrow());
    });
}

// ---- Threads.

// P-10.
#[test]
fn with_two_threads_a_job_that_waits_for_a_later_one_gets_it() {
    bounded(|| {
        with_pool(2).block_on(async {
            for round in 0..100 {
                if round % 50 == 49 {
                    many_jobs(|| ()).await;
                }
                let (tell, hear) = mpsc::channel();
                let first = queue_work(move || hear.recv().unwrap());
                let second = queue_work(move || tell.send(round).unwrap());
                assert_eq!(first.await.unwrap(), round);
                second.await.unwrap();
            }
        });
    });
}

// The threads have had many jobs that ended at once, and then comes one that does not.
#[test]
fn a_job_behind_a_stuck_one_is_taken_by_another_thread_also_when_jobs_were_brief() {
    bounded(|| {
        with_pool(4).block_on(async {
            for work in [|| (), short_job, || (), short_job] {
                many_jobs(work).await;
                // Each of these waits, on the loop's thread, until its job has begun.
                let blocked = [(); 3].map(|()| block_a_thread());
                assert_eq!(queue_work(|| 7).await.unwrap(), 7);
                for (request, release) in blocked {
                    drop(release);
                    request.await.unwrap();
                }
            }
        });
    });
}

// P-04 with the usual four, stuck in slow jobs as far as slow jobs may.
#[test]
fn four_stuck_threads_leave_timers_and_sockets_unharmed() {
    bounded(|| {
        let log = Trace::new();
        with_pool(4).run(|| {
            let kinds = [WorkKind::SlowIo, WorkKind::SlowIo, WorkKind::FastIo, WorkKind::Cpu];
            let blocked = kinds.map(block_with);
            let said = log.clone();
            queue_work(|| ()).on_complete(move |_| said.say("work"));
            let said = log.clone();
            set_timeout(Duration::from_millis(1), move || {
                said.say("timer");
                with_peer(move |stream, peer| {
                    stream.read_start(move |stream, chunk| {
                        assert_eq!(chunk.unwrap(), b"");
                        said.say("socket");
                        stream.close();
                        blocked.iter().for_each(|(_, release)| release.send(()).unwrap());
                    });
                    drop(peer);
                });
            });
        });
        assert_eq!(log.lines(), ["timer", "socket", "work"]);
    });
}

// P-06.
#[test]
fn slow_jobs_occupy_half_the_threads_rounded_up_and_never_starve_file_work() {
    for (threads, allowed) in [(2, 1), (3, 2), (4, 2), (5, 3)] {
        bounded(move || {
            let event_loop = with_pool(threads);
            let pool = event_loop.pool();
            event_loop.block_on(async {
                let (release, gate) = mpsc::channel::<()>();
                let gate = Arc::new(Mutex::new(gate));
                let running = Arc::new(AtomicUsize::new(0));
                let most = Arc::new(AtomicUsize::new(0));
                let slow: Vec<_> = (0..8)
                    .map(|_| {
                        let (gate, running, most) = (gate.clone(), running.clone(), most.clone());
                        work(move |_| {
                            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            gate.lock().unwrap().recv().unwrap();
                            running.fetch_sub(1, Ordering::SeqCst);
                        })
                        .kind(WorkKind::SlowIo)
                        .submit()
                    })
                    .collect();
                until(|| running.load(Ordering::SeqCst) == allowed).await;
                // All of these come behind the slow ones, and overtake them.
                for _ in 0..50 {
                    windlass::fs::metadata("Cargo.toml").await.unwrap();
                    queue_work(|| ()).await.unwrap();
                }
                let metrics = pool.metrics();
                assert_eq!((metrics.busy, metrics.queued_slow), (allowed, 8 - allowed));
                assert_eq!(metrics.queued, metrics.queued_slow);
                (0..8).for_each(|_| release.send(()).unwrap());
                for job in slow {
                    job.await.unwrap();
                }
                assert_eq!(most.load(Ordering::SeqCst), allowed);
            });
        });
    }
}

#[test]
fn a_pool_of_one_thread_runs_slow_jobs_and_others_in_turns() {
    bounded(|| {
        let started = Arc::new(Mutex::new(Vec::new()));
        with_pool(1).run(|| {
            let (_blocked, release) = block_a_thread();
            for kind in [WorkKind::SlowIo, WorkKind::Cpu] {
                for _ in 0..3 {
                    let started = started.clone();
                    drop(work(move |_| started.lock().unwrap().push(kind)).kind(kind).submit());
                }
            }
            drop(release);
        });
        let [cpu, slow] = [WorkKind::Cpu, WorkKind::SlowIo];
        assert_eq!(*started.lock().unwrap(), [slow, cpu, slow, cpu, slow, cpu]);
    });
}

// P-07. One thread, so that the order of starts can be written down.
#[test]
fn jobs_of_a_kind_start_in_the_order_submitted() {
    bounded(|| {
        let started = Arc::new(Mutex::new(Vec::new()));
        with_pool(1).run(|| {
            let (_blocked, release) = block_a_thread();
            for number in 0..300 {
                let (started, kind) = (started.clone(), KINDS[number % 3]);
                let job = work(move |_| started.lock().unwrap().push((kind, number)));
                drop(job.kind(kind).submit());
            }
            drop(release);
        });
        let started = started.lock().unwrap();
        assert_eq!(started.len(), 300);
        let order_of = |wanted: &[WorkKind]| {
            let kept = started.iter().filter(|(kind, _)| wanted.contains(kind));
            kept.map(|(_, number)| *number).collect::<Vec<_>>()
        };
        assert!(order_of(&[WorkKind::SlowIo]).is_sorted());
        // These two share a queue.
        assert!(order_of(&[WorkKind::Cpu, WorkKind::FastIo]).is_sorted());
    });
}

// P-12, the second half.
#[cfg(target_os = "linux")]
#[test]
fn idle_threads_sleep_until_they_are_called() {
    /// How often the threads of this name have gone to sleep or were made to wait.
    fn switches(name: &str) -> u64 {
        let mut sum = 0;
        for thread in std::fs::read_dir("/proc/self/task").unwrap() {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status"));
            let Ok(status) = status else { continue };
            if status.starts_with(&format!("Name:\t{name}")) {
                let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
                sum += lines
                    .filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok())
                    .sum::<u64>();
            }
        }
        sum
    }
    bounded(|| {
        let pool = Pool::builder().threads(3).thread_name("sleeper").build().unwrap();
        loop_on(&pool).block_on(async {
            many_jobs(|| ()).await;
            assert!(pool.metrics().threads > 0 && switches("sleeper") > 0);
            // It may take them a moment, but then nothing moves any more.
            loop {
                let before = switches("sleeper");
                sleep(Duration::from_millis(50)).await;
                if switches("sleeper") == before {
                    break;
                }
            }
            assert_eq!(queue_work(|| 7).await.unwrap(), 7);
        });
    });
}

// ---- Limits.

#[test]
fn a_full_queue_gives_the_job_back_and_fails_what_cannot_be_given_back() {
    bounded(|| {
        let pool = Pool::builder().threads(1).queue_limit(2).build().unwrap();
        loop_on(&pool).block_on(async {
            let (blocked, release) = block_a_thread();
            let queued = [1, 2].map(|number| work(move |_| number).try_submit().unwrap());
            assert_eq!(pool.metrics().queued, 2);

            let captured = Arc::new(());
            let held = captured.clone();
            let refused = work(move |_| drop(held)).try_submit().unwrap_err();
            assert!(matches!(refused.reason(), WorkError::QueueFull));
            assert_eq!(Arc::strong_count(&captured), 2, "the job is still there");
            let job = refused.into_work();

            let log = Trace::new();
            let said = log.clone();
            queue_work(|| ()).on_complete(move |result| {
                assert!(matches!(result, Err(WorkError::QueueFull)), "{result:?}");
                said.say("full");
            });
            log.say("later");
            let file = windlass::fs::metadata("Cargo.toml").await;
            assert!(file.unwrap_err().to_string().contains("full"));
            assert_eq!(log.lines(), ["later", "full"]);

            // A job that is cancelled leaves room for another.
            let [first, second] = queued;
            assert_eq!(second.cancel(), Ok(()));
            let third = job.try_submit().unwrap();
            assert!(work(|_| ()).try_submit().is_err());
            drop(release);
            blocked.await.unwrap();
            assert_eq!(first.await.unwrap(), 1);
            assert!(matches!(second.await, Err(WorkError::Cancelled)));
            third.await.unwrap();
            assert_eq!(Arc::strong_count(&captured), 1);
            for _ in 0..10 {
                queue_work(|| ()).await.unwrap();
            }
        });
    });
}

#[test]
fn what_the_pool_has_accepted_goes_on_although_the_queue_is_full() {
    const LEN: usize = 20 << 20; // Three jobs.
    bounded(|| {
        let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("goes-on");
        std::fs::create_dir_all(&dir).unwrap();
        let (from, to) = (dir.join("from"), dir.join("to"));
        std::fs::write(&from, noise(1, LEN)).unwrap();
        let pool = Pool::builder().threads(1).queue_limit(1).build().unwrap();
        loop_on(&pool).block_on(async {
            // Fills the queue behind a job that is stuck.
            let fill = || {
                let (blocked, release) = block_a_thread();
                drop(blocked);
                drop(work(|_| ()).try_submit().unwrap());
                assert!(work(|_| ()).try_submit().is_err(), "the queue is full");
                release
            };

            // The first job of the copy is done, but the loop does not know.
            let done = pool.metrics().completed;
            let copy = windlass::fs::copy(&from, &to);
            while pool.metrics().completed == done {
                thread::yield_now();
            }
            let release = fill();
            until(|| pool.metrics().queued == 2).await;
            drop(release);
            assert_eq!(copy.await.unwrap(), LEN as u64);

            // What is open has one job at a time.
            let file = windlass::fs::File::open(&from).await.unwrap();
            let entries = windlass::fs::read_dir(&dir).await.unwrap();
            assert_eq!(entries.next_batch().await.unwrap().len(), 2);
            let release = fill();
            let (read, closed, end) = (file.read(3), file.close(), entries.next_batch());
            drop((release, file));
            assert_eq!(read.await.unwrap().len(), 3);
            closed.await.unwrap();
            assert!(end.await.unwrap().is_empty());
        });
        std::fs::remove_dir_all(&dir).unwrap();
    });
}

#[test]
fn several_loops_never_put_more_into_a_queue_than_its_limit() {
    const LIMIT: usize = 5;
    bounded(|| {
        let pool = Pool::builder().threads(1).queue_limit(LIMIT).build().unwrap();
        let (release, gate) = mpsc::channel::<()>();
        let (tell, begun) = mpsc::channel();
        let holder = loop_on(&pool);
        holder.enter(|| {
            drop(queue_work(move || {
                tell.send(()).unwrap();
                gate.recv().ok();
            }));
        });
        begun.recv().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let event_loop = loop_on(&pool);
                    event_loop.enter(|| {
                        for _ in 0..50 {
                            if let Ok(job) = work(|_| ()).try_submit() {
                                accepted.fetch_add(1, Ordering::SeqCst);
                                drop(job);
                            }
                            let queued = pool.metrics().queued;
                            assert!(queued <= LIMIT, "{queued} in the queue");
                        }
                    });
                });
            }
        });
        // Those that a loop took along when it ended made room for those of another one.
        assert!(accepted.load(Ordering::SeqCst) >= LIMIT);
        assert_eq!(pool.metrics().queued, 0, "the loops are gone, and their jobs with them");
        drop(release);
        holder.run(|| ());
        loop_on(&pool).run(|| {
            let fits = (0..LIMIT).map(|_| work(|_| ()).try_submit().unwrap());
            fits.for_each(drop);
        });
    });
}

// ---- Deadlines.

#[test]
fn a_job_whose_deadline_passes_while_it_waits_completes_at_once_and_never_runs() {
    bounded(|| {
        let log = Trace::new();
        let has_run = Arc::new(AtomicBool::new(false));
        with_pool(1).run(|| {
            // The one thread stays stuck until the late job has been told.
            let (blocked, release) = block_a_thread();
            let flag = has_run.clone();
            let late = work(move |_| flag.store(true, Ordering::SeqCst))
                .deadline(Duration::from_millis(2))
                .submit();
            let (said, canceller) = (log.clone(), late.canceller());
            late.on_complete(move |result| {
                assert!(matches!(result, Err(WorkError::DeadlineExceeded)), "{result:?}");
                assert_eq!(canceller.cancel(), Err(CancelError::Done));
                said.say("too late");
                drop(release);
            });
            let said = log.clone();
            blocked.on_complete(move |result| said.say(format!("{result:?}")));
        });
        assert_eq!(log.lines(), ["too late", "Ok(())"]);
        assert!(!has_run.load(Ordering::SeqCst));
    });
}

#[test]
fn a_deadline_binds_the_start_only_and_holds_nothing() {
    bounded(|| {
        with_pool(1).run(|| {
            // It runs for as long as its own deadline, and more.
            let job = work(|_| {
                let (_never, wait) = mpsc::channel::<()>();
                wait.recv_timeout(Duration::from_millis(20)).unwrap_err();
                7
            });
            job.deadline(Duration::from_millis(10)).submit().on_complete(|result| match result {
                Ok(number) => assert_eq!(number, 7),
                // On a machine so busy that no thread came in time.
                Err(error) => assert!(matches!(error, WorkError::DeadlineExceeded)),
            });
            // The run ends with the job, not in an hour.
            let job = work(|_| 8).deadline(HOUR).submit();
            job.on_complete(|result| assert_eq!(result.unwrap(), 8));
            let job = work(|_| 9).deadline(Duration::MAX).submit();
            job.on_complete(|result| assert_eq!(result.unwrap(), 9));
        });
    });
}

/// The loop, whose timer would end the request, is in a callback all the while.
#[test]
fn a_job_that_is_too_late_does_not_begin_although_its_loop_is_busy() {
    bounded(|| {
        let ran = Arc::new(AtomicBool::new(false));
        let outcome = block_on(async {
            let pool = Pool::new(1).unwrap();
            let (release, released) = mpsc::channel::<()>();
            let (end, ended) = mpsc::channel();
            let first = work(move |_| released.recv().is_err()).pool(&pool).submit();
            let flag = ran.clone();
            let late = work(move |_| flag.store(true, Ordering::SeqCst)).pool(&pool);
            let late = late.deadline(Duration::from_millis(1)).submit();
            let last = work(move |_| end.send(()).unwrap()).pool(&pool).submit();
            let deadline = Instant::now() + Duration::from_millis(2);
            while Instant::now() < deadline {}
            drop(release);
            ended.recv().unwrap();
            first.await.unwrap();
            last.await.unwrap();
            late.await
        });
        assert!(matches!(outcome, Err(WorkError::DeadlineExceeded)));
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn a_moment_that_has_passed_is_a_deadline_that_nothing_meets() {
    bounded(|| {
        let start = std::time::Instant::now();
        let has_run = Arc::new(AtomicBool::new(false));
        let flag = has_run.clone();
        let result = block_on(async move {
            work(move |_| flag.store(true, Ordering::SeqCst)).deadline_at(start).submit().await
        });
        assert!(matches!(result, Err(WorkError::DeadlineExceeded)), "{result:?}");
        assert!(!has_run.load(Ordering::SeqCst));
    });
}

#[test]
fn deadlines_in_virtual_time_are_virtual() {
    let log = Trace::new();
    virtual_loop().run(|| {
        let submit = |name: &'static str, kind, deadline, takes: Duration| {
            let said = log.clone();
            let job = work(move |_| advance(takes)).kind(kind).deadline(deadline);
            job.submit().on_complete(move |result| said.say(format!("{name} {result:?}")));
        };
        let second = Duration::from_secs(1);
        submit("first", WorkKind::SlowIo, second, 2 * HOUR);
        submit("late", WorkKind::Cpu, HOUR, second);
        submit("in time", WorkKind::FastIo, 2 * HOUR, second);
        submit("late again", WorkKind::Cpu, 2 * HOUR, second);
    });
    let late = "Err(DeadlineExceeded)";
    let expected =
        ["first Ok(())", &format!("late {late}"), "in time Ok(())", &format!("late again {late}")];
    assert_eq!(log.lines(), expected);
}

// ---- Tokens.

#[test]
fn cancelling_a_request_that_runs_is_busy_and_yet_tells_the_job() {
    bounded(|| {
        with_pool(1).block_on(async {
            let (tell, begun) = mpsc::channel();
            let request = work(move |token| {
                tell.send(()).unwrap();
                while !token.is_cancelled() {
                    thread::yield_now();
                }
                "gave up"
            })
            .submit();
            begun.recv().unwrap();
            assert_eq!(request.cancel(), Err(CancelError::Busy));
            assert_eq!(request.await.unwrap(), "gave up");
        });
    });
}

// P-03: a thread takes the job at the very moment of the call.
#[test]
fn a_cancel_that_races_with_the_start_says_busy_only_of_a_job_that_runs() {
    bounded(|| {
        with_pool(1).block_on(async {
            for round in 0..200_000 {
                let request = work(move |_| round).submit();
                (0..round % 300).for_each(|_| std::hint::spin_loop());
                let answer = request.cancel();
                match (answer, request.await) {
                    (Ok(()), Err(WorkError::Cancelled)) => {}
                    (Err(CancelError::Busy), Ok(result)) => assert_eq!(result, round),
                    other => panic!("round {round}: {other:?}"),
                }
            }
        });
    });
}

#[test]
fn one_token_stops_the_job_that_runs_and_those_that_wait() {
    bounded(|| {
        let here = thread::current().id();
        struct DroppedOn(Arc<Mutex<Vec<thread::ThreadId>>>);
        impl Drop for DroppedOn {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(thread::current().id());
            }
        }
        let dropped = Arc::new(Mutex::new(Vec::new()));
        with_pool(1).block_on(async {
            let token = CancelToken::new();
            let (tell, begun) = mpsc::channel();
            let running = work(move |token| {
                tell.send(()).unwrap();
                while !token.is_cancelled() {
                    thread::yield_now();
                }
            })
            .cancel_token(&token)
            .submit();
            begun.recv().unwrap();
            let waiting: Vec<_> = (0..10)
                .map(|_| {
                    let guard = DroppedOn(dropped.clone());
                    let job = work(move |_| {
                        drop(guard);
                        unreachable!("it was cancelled before");
                    });
                    job.cancel_token(&token).submit()
                })
                .collect();
            let other = queue_work(|| 7);
            thread::spawn(move || token.cancel());
            running.await.unwrap();
            for job in waiting {
                assert!(matches!(job.await, Err::<(), _>(WorkError::Cancelled)));
            }
            assert_eq!(other.await.unwrap(), 7);
        });
        // Z-06: what work that never ran had captured.
        assert_eq!(*dropped.lock().unwrap(), vec![here; 10]);
    });
}

#[test]
fn tokens_and_cancels_in_virtual_time_depend_on_the_program_alone() {
    let log = Trace::new();
    virtual_loop().run(|| {
        let token = CancelToken::new();
        for name in ["first", "second", "third"] {
            let (said, own) = (log.clone(), token.clone());
            let job = work(move |_| {
                if name == "second" {
                    own.cancel();
                }
            });
            let request = job.cancel_token(&token).submit();
            request.on_complete(move |result| said.say(format!("{name} {result:?}")));
        }
        let said = log.clone();
        let taken_back = work(|_| ()).kind(WorkKind::SlowIo).submit();
        assert_eq!(taken_back.cancel(), Ok(()));
        taken_back.on_complete(move |result| said.say(format!("fourth {result:?}")));
        assert_eq!(Loop::current().pool().metrics().queued_slow, 0);
    });
    let cancelled = "Err(Cancelled)";
    let expected = [
        &format!("fourth {cancelled}"),
        "first Ok(())",
        "second Ok(())",
        &format!("third {cancelled}"),
    ];
    assert_eq!(log.lines(), expected);
}

// ---- The end of a pool.

// P-13.
#[test]
fn a_shutdown_cancels_what_waits_and_waits_for_what_runs() {
    bounded(|| {
        let pool = Pool::new(2).unwrap();
        loop_on(&pool).block_on(async {
            let blocked = [(); 2].map(|()| block_a_thread());
            let waiting: Vec<_> =
                KINDS.iter().map(|kind| work(|_| ()).kind(*kind).submit()).collect();
            let captured = Arc::new(());
            let held = captured.clone();
            let with_value = queue_work(move || drop(held));
            // The loop's thread is in the shutdown, so another one ends the jobs.
            let (requests, gates): (Vec<_>, Vec<_>) = blocked.into_iter().unzip();
            let own = pool.clone();
            thread::spawn(move || {
                while !own.is_shut_down() {
                    thread::yield_now();
                }
                drop(gates);
            });
            assert_eq!(pool.shutdown(HOUR), Ok(()));
            assert_eq!(pool.metrics().threads, 0);
            assert_eq!(pool.metrics().completed, 2, "what ran is still known");
            for request in requests {
                request.await.unwrap();
            }
            for request in waiting {
                assert!(matches!(request.await, Err(WorkError::Cancelled)));
            }
            assert!(matches!(with_value.await, Err(WorkError::Cancelled)));
            assert_eq!(Arc::strong_count(&captured), 1);

            let refused = work(|_| 7).try_submit().unwrap_err();
            assert!(matches!(refused.reason(), WorkError::PoolShutDown));
            assert!(matches!(queue_work(|| 7).await, Err(WorkError::PoolShutDown)));
            let elsewhere = refused.into_work().pool(&Pool::new(1).unwrap()).submit();
            assert_eq!(elsewhere.await.unwrap(), 7);
            assert_eq!(pool.shutdown(Duration::ZERO), Ok(()), "again it does nothing");
        });
    });
}

// P-13, the limit.
#[test]
fn a_shutdown_that_cannot_wait_any_longer_names_the_laggards_and_lets_them_end() {
    bounded(|| {
        let pool = Pool::builder().threads(2).thread_name("lag").build().unwrap();
        loop_on(&pool).block_on(async {
            let (blocked, release) = block_with(WorkKind::SlowIo);
            let laggards = pool.shutdown(Duration::from_millis(1)).unwrap_err();
            let [job] = laggards.jobs() else { panic!("{laggards:?}") };
            assert_eq!((job.name, job.kind), ("blocker", WorkKind::SlowIo));
            assert!(job.thread.starts_with("lag-"), "{}", job.thread);
            assert_eq!(job.location.file(), file!());
            let text = laggards.to_string();
            assert!(text.contains("blocker made at tests/pool_wishes.rs:"), "{text}");
            drop(release);
            blocked.await.unwrap();
            assert_eq!(pool.shutdown(HOUR), Ok(()));
        });
    });
}

#[test]
fn a_job_may_shut_its_own_pool_down() {
    bounded(|| {
        let pool = Pool::new(2).unwrap();
        loop_on(&pool).block_on(async {
            let own = pool.clone();
            queue_work(move || own.shutdown(HOUR)).await.unwrap().unwrap();
            assert!(pool.is_shut_down());
        });
    });
}

/// A job that has begun, whose result a pool thread drops, for its loop is gone before it ends.
fn leave_behind<T: Send + 'static>(pool: &Pool, result: T) {
    let (release, gate) = mpsc::channel::<()>();
    let (tell, begun) = mpsc::channel();
    let event_loop = loop_on(pool);
    event_loop.enter(|| {
        drop(queue_work(move || {
            tell.send(()).unwrap();
            gate.recv().ok();
            result
        }));
    });
    begun.recv().unwrap();
    drop(event_loop);
    drop(release);
}

#[test]
fn a_result_that_nobody_came_for_may_shut_its_pool_down_as_it_is_dropped() {
    struct ShutsDown(Pool, mpsc::Sender<bool>);
    impl Drop for ShutsDown {
        fn drop(&mut self) {
            self.1.send(self.0.shutdown(HOUR).is_ok()).unwrap();
        }
    }
    bounded(|| {
        let pool = Pool::new(2).unwrap();
        let (tell, told) = mpsc::channel();
        leave_behind(&pool, ShutsDown(pool.clone(), tell));
        assert!(told.recv().unwrap());
    });
}

#[test]
fn a_shutdown_in_virtual_time_cancels_what_has_not_been_delivered() {
    let pool = Pool::new(1).unwrap();
    let event_loop = Loop::builder().virtual_time(true).pool(pool.clone()).build().unwrap();
    let cancelled = Rc::new(Cell::new(false));
    let inner = cancelled.clone();
    event_loop.run(|| {
        queue_work(|| unreachable!("the pool has been shut down")).on_complete(
            move |result: Result<(), _>| {
                inner.set(matches!(result, Err(WorkError::Cancelled)));
            },
        );
        pool.shutdown(Duration::ZERO).unwrap();
    });
    assert!(cancelled.get());
}

// P-13 and E-01 together: shutdown races with submissions from several loops.
#[test]
fn jobs_that_race_with_a_shutdown_complete_once_each() {
    bounded(|| {
        for _ in 0..50 {
            let pool = Pool::new(2).unwrap();
            let loops: Vec<_> = (0..2)
                .map(|_| {
                    let pool = pool.clone();
                    thread::spawn(move || {
                        let completed = Rc::new(Cell::new(0));
                        let inner = completed.clone();
                        loop_on(&pool).run(|| {
                            for _ in 0..100 {
                                let completed = inner.clone();
                                queue_work(|| ()).on_complete(move |result| {
                                    let fine = matches!(
                                        result,
                                        Ok(())
                                            | Err(WorkError::Cancelled | WorkError::PoolShutDown)
                                    );
                                    assert!(fine, "{result:?}");
                                    completed.set(completed.get() + 1);
                                });
                            }
                        });
                        assert_eq!(completed.get(), 100);
                    })
                })
                .collect();
            assert_eq!(pool.shutdown(HOUR), Ok(()));
            loops.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

#[test]
fn the_threads_of_a_pool_that_nobody_has_any_more_finish_what_is_queued_and_end() {
    bounded(|| {
        let done = Arc::new(AtomicUsize::new(0));
        let (tell, ended) = mpsc::channel::<()>();
        let pool = Pool::new(2).unwrap();
        run(|| {
            for _ in 0..20 {
                let (done, tell) = (done.clone(), tell.clone());
                let job = work(move |_| {
                    done.fetch_add(1, Ordering::SeqCst);
                    drop(tell);
                });
                drop(job.pool(&pool).submit());
            }
            drop(pool);
        });
        drop(tell);
        assert!(ended.recv().is_err());
        assert_eq!(done.load(Ordering::SeqCst), 20);
    });
}

// ---- Figures.

// The thread that ran the job still looks for the next one.
#[test]
fn a_thread_that_searches_ends_at_once_with_its_pool() {
    bounded(|| {
        for _ in 0..20 {
            let pool = Pool::new(1).unwrap();
            loop_on(&pool).block_on(async {
                queue_work(|| ()).await.unwrap();
                pool.shutdown(Duration::from_secs(3600)).unwrap();
            });
            assert_eq!(pool.metrics().threads, 0);
        }
    });
}

#[test]
fn figures_tell_by_kind_what_was_done_and_how_long_it_took() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        assert_eq!(pool.metrics().kind(WorkKind::FastIo).mean_run(), None);
        event_loop.block_on(async {
            let took = Duration::from_millis(3);
            for _ in 0..3 {
                let job = work(move |_| {
                    let (_never, wait) = mpsc::channel::<()>();
                    wait.recv_timeout(took).unwrap_err();
                });
                let (slow, behind) = (job.kind(WorkKind::SlowIo).submit(), queue_work(|| ()));
                slow.await.unwrap();
                behind.await.unwrap();
            }
            until(|| pool.metrics().slow_io.completed == 3).await;
            let metrics = pool.metrics();
            let slow = metrics.kind(WorkKind::SlowIo);
            assert_eq!((slow.completed, slow.measured), (3, 3), "each was timed");
            assert!(slow.mean_run() >= Some(took) && slow.run_time >= 3 * took);
            assert!(slow.run_max >= took && slow.run_max <= slow.run_time);
            assert_eq!(metrics.cpu.completed, 3);
            assert_eq!(metrics.fast_io.completed, 0);
            assert_eq!(metrics.completed, 6);
            assert!(slow.mean_wait().is_some());
        });
    });
}

#[test]
fn waiting_is_measured_from_the_submission() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let (blocked, release) = block_a_thread();
            let waiting = work(|_| ()).kind(WorkKind::FastIo).submit();
            let waits = Duration::from_millis(3);
            sleep(waits).await;
            drop(release);
            blocked.await.unwrap();
            waiting.await.unwrap();
            until(|| pool.metrics().fast_io.measured == 1).await;
            assert!(pool.metrics().fast_io.mean_wait() >= Some(waits));
            assert!(pool.metrics().fast_io.wait_max >= waits);
        });
    });
}

#[test]
fn every_job_is_timed_however_many_there_are() {
    const JOBS: u64 = 64 * 100;
    bounded(|| {
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            for _ in 0..JOBS {
                queue_work(|| ()).await.unwrap();
            }
        });
        let cpu = pool.metrics().cpu;
        assert_eq!((cpu.completed, cpu.measured), (JOBS, JOBS));
        assert!(cpu.mean_run().is_some_and(|run| run <= cpu.run_max));
    });
}

#[test]
fn running_jobs_are_named_and_a_job_does_not_see_itself() {
    bounded(|| {
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            assert_eq!(pool.running_jobs(), []);
            let (blocked, release) = block_with(WorkKind::FastIo);
            let own = pool.clone();
            let seen = queue_work(move || own.running_jobs()).await.unwrap();
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].name, seen[0].kind), ("blocker", WorkKind::FastIo));
            assert_eq!(pool.running_jobs().len(), 1);
            assert_eq!(Loop::current().why_alive()[0].kind, "blocker");
            drop(release);
            blocked.await.unwrap();
            assert_eq!(pool.running_jobs(), []);
        });
    });
}

// ---- Panics and odd moments.

#[test]
fn a_panic_of_a_labelled_job_is_its_submitters_error_in_virtual_time_too() {
    let panics = || {
        work(|_| -> u32 { std::panic::panic_any("no sums today") }).kind(WorkKind::SlowIo).submit()
    };
    let check = |result: Result<u32, WorkError>| match result {
        Err(WorkError::Panicked(panic)) => assert_eq!(panic.message(), "no sums today"),
        other => panic!("{other:?}"),
    };
    bounded(move || {
        check(with_pool(1).block_on(async move { panics().await }));
        virtual_loop().run(|| panics().on_complete(check));
    });
}

// What a test in virtual time accepts must not fail on a pool thread.
#[test]
fn a_job_has_no_current_loop_and_may_run_one_of_its_own_in_virtual_time_too() {
    for virtual_time in [false, true] {
        let event_loop = Loop::builder().virtual_time(virtual_time).build().unwrap();
        event_loop.block_on(async {
            assert!(queue_work(|| Loop::try_current().is_none()).await.unwrap());
            let outcome = queue_work(|| windlass::next_tick(|| ())).await;
            assert!(matches!(outcome, Err(WorkError::Panicked(_))), "{outcome:?}");
            assert!(Loop::try_current().is_some(), "it is back after a panic");
            let own =
                || run(|| queue_work(|| 7).on_complete(|seven| assert_eq!(seven.unwrap(), 7)));
            queue_work(own).await.unwrap();
            queue_work(|| drop(virtual_loop())).await.unwrap();
            let began = windlass::now();
            queue_work(|| advance(Duration::from_millis(2))).await.unwrap();
            assert!(windlass::now() - began >= Duration::from_millis(2));
        });
    }
}

#[test]
fn a_job_of_a_worker_is_in_no_worker_in_virtual_time_too() {
    bounded(|| {
        for virtual_time in [false, true] {
            let event_loop = Loop::builder().virtual_time(virtual_time).build().unwrap();
            event_loop.block_on(async {
                let worker: Worker<(), (u64, bool)> = Worker::spawn_async(|port| async move {
                    let job = || (windlass::worker::id(), windlass::worker::is_main());
                    port.post(queue_work(job).await.unwrap());
                    assert_ne!(windlass::worker::id(), 0);
                })
                .unwrap();
                assert_eq!(worker.recv().await, Some((0, true)));
                assert_eq!(worker.join().await, Ok(0));
            });
        }
    });
}

// P-11, in virtual time.
#[test]
fn what_a_job_posts_in_virtual_time_is_seen_at_the_time_of_the_jobs_loop() {
    bounded(|| {
        virtual_loop().block_on(async {
            let worker: Worker<(), Remote> = Worker::spawn(|port: Port<Remote, ()>| {
                port.post(Loop::current().remote());
                port.on_message(|()| ());
            })
            .unwrap();
            let remote = worker.recv().await.unwrap();
            sleep(HOUR).await;
            let (tell, told) = mpsc::channel();
            let post = move || remote.post(move || tell.send(windlass::now()).unwrap());
            queue_work(post).await.unwrap().unwrap();
            let sent = windlass::now();
            sleep(HOUR).await;
            assert_eq!(told.try_recv(), Ok(sent));
            worker.terminate().await;
        });
    });
}

// P-09, E-07: the worst that a destructor can do.
#[test]
fn a_destructor_whose_panic_has_a_destructor_that_panics_costs_no_thread() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload of the panic panics");
        }
    }
    struct Nasty;
    impl Drop for Nasty {
        fn drop(&mut self) {
            std::panic::panic_any(Payload);
        }
    }
    bounded(|| {
        let pool = Pool::new(1).unwrap();
        leave_behind(&pool, Nasty);
        assert_eq!(loop_on(&pool).block_on(async { queue_work(|| 1).await }).unwrap(), 1);
    });
}

#[test]
fn a_job_for_another_pool_runs_there_and_completes_here() {
    bounded(|| {
        let pool = Pool::builder().threads(1).thread_name("elsewhere").build().unwrap();
        with_pool(1).block_on(async {
            let name = work(|_| thread::current().name().map(str::to_owned)).pool(&pool).submit();
            assert_eq!(name.await.unwrap().as_deref(), Some("elsewhere-0"));
            assert_eq!(pool.metrics().completed, 1);
            assert_eq!(Loop::current().pool().metrics().completed, 0);
        });
    });
}

#[test]
fn a_builder_refuses_what_no_pool_can_be() {
    for builder in [
        Pool::builder().threads(0),
        Pool::builder().threads(1025),
        Pool::builder().thread_name("zero\0byte"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    assert_eq!(Pool::builder().threads(1024).build().unwrap().threads_max(), 1024);
}

// ---- Processes of their own.

/// Runs one of the ignored tests below in a process of its own, and returns what it wrote.
fn in_a_process(test: &str, variable: Option<&str>) -> String {
    let mut command = test_as_a_process(test);
    command.arg("--ignored").env_remove("UV_THREADPOOL_SIZE");
    command.env("RUST_LOG", "windlass=warn");
    if let Some(value) = variable {
        command.env("UV_THREADPOOL_SIZE", value);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let text = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

// P-05.
#[test]
fn the_variable_sets_the_size_of_the_shared_pool_and_junk_is_warned_of() {
    for (value, threads, warned) in [
        (None, 4, false),
        (Some("1"), 1, false),
        (Some("7"), 7, false),
        (Some("1024"), 1024, false),
        (Some("1025"), 1024, true),
        (Some("99999999999999999999"), 1024, true),
        (Some("0"), 1, true),
        (Some("-3"), 1, true),
        (Some("many"), 1, true),
        (Some(""), 1, true),
    ] {
        let text = in_a_process("child_tells_the_size_of_the_shared_pool", value);
        assert!(text.contains(&format!("the shared pool has {threads} threads")), "{text}");
        assert_eq!(text.contains("UV_THREADPOOL_SIZE is"), warned, "{value:?}: {text}");
    }
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_tells_the_size_of_the_shared_pool() {
    env_logger::init();
    let threads = run(|| Loop::current().pool().threads_max());
    println!("the shared pool has {threads} threads");
}

#[test]
fn the_shared_pool_can_be_built_before_its_first_use_and_not_after() {
    in_a_process("child_builds_the_shared_pool", Some("3"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_builds_the_shared_pool() {
    let pool = Pool::builder().threads(2).thread_name("ours").build_shared().unwrap();
    let name = block_on(async { queue_work(|| thread::current().name().map(str::to_owned)).await });
    assert!(name.unwrap().is_some_and(|name| name.starts_with("ours-")));
    assert_eq!((pool.threads_max(), Pool::shared().metrics().completed), (2, 1));
    let again = Pool::builder().threads(5).build_shared().unwrap_err();
    assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(Pool::shared().threads_max(), 2);
}

// Z-09.
#[test]
fn the_end_of_the_process_does_not_wait_for_a_stuck_pool_thread() {
    let text = bounded(|| in_a_process("child_ends_with_a_stuck_pool_thread", None));
    assert!(text.contains("the program has ended"), "{text}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_ends_with_a_stuck_pool_thread() {
    run(|| {
        let (tell, begun) = mpsc::channel();
        // A read that never returns: nobody writes, and the writing end stays open.
        let (mut reader, writer) = std::io::pipe().unwrap();
        drop(queue_work(move || {
            tell.send(()).unwrap();
            std::io::Read::read(&mut reader, &mut [0]).unwrap();
        }));
        begun.recv().unwrap();
        std::mem::forget(writer);
        set_immediate(|| windlass::exit(0));
    });
    println!("the program has ended");
}
