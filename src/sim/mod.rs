//! Whole programs with chance and misfortune from a seed.
//!
//! Virtual time ([`Builder::virtual_time`](crate::Builder::virtual_time)) makes a program
//! repeatable, and lets it run in one way only. Real machines run it in many: a message comes
//! sooner or later, of two jobs either is done first, a disk is full. In a simulation all of that
//! comes from a *seed*. The same seed is the same run, to the last callback, in every process of
//! one build; another seed is another run. So a program can be run in thousands of ways in a
//! second, and a failure that one of them shows can be had again from its number.
//!
//! It is the production code that runs: the loop, its workers, pool, ports, timers, files and
//! streams. Exchanged are only the clock, the wait, the hand-over between loops and the pool's
//! threads, where virtual time exchanges them too; and what lies below sockets: TCP, UDP and Unix
//! sockets of a simulation reach each other in memory, and nothing else. No descriptor is opened
//! for them, and to an address that nobody has a connect is refused.
//!
//! # What the seed decides
//! - Which of several loops that can go on at the same moment goes first.
//! - How long messages, posts, notifiers and wakes are on their way from one loop to another. What
//!   the API keeps in order stays so: the messages of one port, the posts of one loop.
//! - How many threads a pool has, up to its number, and how long each job takes; so also which of
//!   several ends first, and whether a cancel comes in time.
//! - How long callbacks take, if [`Faults::callback_time`] says that they do, and workers to start,
//!   if [`Faults::start_time`] does.
//! - How long bytes, datagrams and connects travel, and what the [`Network`] does to them.
//! - Which of the [`Faults`] strike.
//!
//! Ticks, microtasks, immediates and timers are not shuffled: their order is a promise
//! ([`guide::order`](crate::guide::order)). What is not promised there is what a seed may change;
//! of a timer against an immediate, and of two timers that are due at nearly the same moment, only
//! where callbacks take time.
//!
//! What elsewhere is one for the whole process is the simulation's own: a worker's
//! [number](crate::worker::Worker::id) counts from one, a pool's [figures](crate::Pool::metrics)
//! are of the simulation's jobs, and a [broadcast](crate::worker::BroadcastChannel) or
//! [direct message](crate::worker::post_direct) stays within. No real time ends anything: at the
//! end of a loop a worker that is asked to [finish](crate::worker::ParentExit::ShutDown) has its
//! deadline in virtual time, and one that is terminated is waited for.
//!
//! # What a simulation does not cover
//! Files are the machine's; how long their requests take is the seed's, and so is the name of a
//! [temporary one](crate::fs::create_temp_dir), unless an earlier run has left one of that name:
//! then another is taken, and the rest of the run is the same. A program is no longer the same in
//! each run when it starts threads of its own, reads `Instant::now` or `SystemTime::now`
//! ([`now`](crate::now) and [`time::system_now`](crate::time::system_now) are the simulation's),
//! draws random numbers elsewhere than from [`random`] (or `crypto::random_bytes`), walks through a
//! `HashMap` (whose order differs from run to run), takes sockets of the machine in (`from_std`),
//! depends on what files hold, or on figures of the machine (the CPU time and the bytes of
//! [`WorkerUsage`](crate::worker::WorkerUsage)). A socket of a simulation has no descriptor
//! (`into_std` is `Unsupported`) and opens in its own simulation only, and a path of a Unix socket
//! there is a name and no file: nobody at it is `ConnectionRefused`. Pipes and file events work,
//! but what comes from outside is not waited for: a simulation waits for no thread and no
//! descriptor. A job or callback that blocks for another thread of the program, as in a barrier,
//! blocks it for ever, for one thread runs at a time. Signals, children, terminals and the standard
//! streams are `Unsupported`, and so are descriptors that travel, groups of UDP and the credentials
//! of a peer.
//!
//! # Examples
//! Two workers count in a file's manner: each reads the number, and writes one more. Some seed
//! shows that an update gets lost.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//! use windlass::sim::{Sim, explore};
//! use windlass::worker::Worker;
//!
//! let failure = explore(0..1_000, Sim::new, || {
//!     let number = Arc::new(AtomicU32::new(0));
//!     let last = number.clone();
//!     windlass::on_before_exit(move || {
//!         assert_eq!(last.load(Ordering::Relaxed), 2, "an update is lost");
//!     });
//!     for _ in 0..2 {
//!         let number = number.clone();
//!         let worker = Worker::<(), ()>::spawn(move |port| {
//!             port.unref();
//!             let read = number.load(Ordering::Relaxed);
//!             // Another loop may go on here.
//!             windlass::queue_work(|| ()).on_complete(move |_| {
//!                 number.store(read + 1, Ordering::Relaxed);
//!             });
//!         });
//!         drop(worker.expect("a worker"));
//!     }
//! });
//! assert!(failure.unwrap_err().message.contains("an update is lost"));
//! ```

mod explore;

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::callback::Halt;
use crate::clock::saturating_nanos;
use crate::error::panic_message;
use crate::event_loop::Loop;
use crate::state::current;
use crate::virtual_time::chance::{Chance, End, Fault, Setup};

pub use crate::virtual_time::odds::{Faults, Network};
pub use explore::{Failure, explore};

/// How many callbacks a program may have unless [`Sim::callbacks`] says otherwise.
const CALLBACKS_MAX: u64 = 100_000_000;

/// A simulation: a seed, and what may happen. See the [module](self).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::sim::Sim;
///
/// let program = || windlass::set_timeout(Duration::from_secs(3_600), || println!("an hour"));
/// let outcome = Sim::new(7).run(program);
/// assert_eq!(outcome.elapsed, Duration::from_secs(3_600));
/// assert_eq!(outcome.digest, Sim::new(7).run(program).digest);
/// ```
#[derive(Clone, Debug)]
pub struct Sim {
    /// Of all that is decided.
    seed: u64,
    /// What the network does.
    network: Network,
    /// What else may happen.
    faults: Faults,
    /// When the program is ended.
    end: Option<End>,
    /// How many callbacks it may have.
    callbacks: u64,
    /// The faults that may strike, for shrinking. None: all.
    allowed: Option<BTreeSet<u64>>,
    /// The panics of the program are not printed, for shrinking.
    is_quiet: bool,
}

/// How a simulation ended.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::sim::Sim;
///
/// let outcome = Sim::new(1).run(|| {
///     windlass::set_timeout(Duration::from_secs(60), || ());
///     "done"
/// });
/// assert_eq!((outcome.value, outcome.elapsed), ("done", Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<R> {
    /// What the main script has returned.
    pub value: R,
    /// Of all callbacks, ticks, microtasks and polls of tasks on all loops, in their order: which
    /// loop, what kind, which phase, when in virtual time. Equal for equal runs in all processes of
    /// one build; says nothing between builds.
    pub digest: u64,
    /// How long the program took, in virtual time.
    pub elapsed: Duration,
}

impl Sim {
    /// A simulation with this seed. Each number is a good one.
    pub fn new(seed: u64) -> Sim {
        Sim {
            seed,
            network: Network::default(),
            faults: Faults::default(),
            end: None,
            callbacks: CALLBACKS_MAX,
            allowed: None,
            is_quiet: false,
        }
    }

    /// Sets what the network does.
    #[must_use]
    pub fn network(self, network: Network) -> Self {
        Sim { network, ..self }
    }

    /// Sets what may go wrong, and how long things take.
    #[must_use]
    pub fn faults(self, faults: Faults) -> Self {
        Sim { faults, ..self }
    }

    /// The program fails when it goes on for longer, in virtual time. A program in which nothing
    /// can happen any more fails at once, and says what each loop waits for.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Sim { end: Some(End { at: saturating_nanos(limit), is_failure: true }), ..self }
    }

    /// The program fails when it has more callbacks than this, on all loops together; ticks,
    /// microtasks and polls count. A hundred million unless said here.
    #[must_use]
    pub fn callbacks(self, most: u64) -> Self {
        Sim { callbacks: most, ..self }
    }

    /// Runs a program as [`windlass::run`](crate::run) does: `main` first, then its loop until
    /// nothing is alive.
    ///
    /// # Panics
    /// With the panic of the program, or because it went beyond a limit, with the seed in the
    /// message: `seed 7: ` and the panic's own. As [`windlass::run`](crate::run) when a loop is
    /// running on this thread already.
    #[track_caller]
    pub fn run<R>(&self, main: impl FnOnce() -> R) -> Outcome<R> {
        self.run_on_loop(|event_loop| event_loop.run(main))
    }

    /// As [`run`](Sim::run), and ends the program at this virtual time if it still runs then, or
    /// waits: what is left is dropped uncalled, and that is no failure. It takes the place of a
    /// [`limit`](Sim::limit).
    ///
    /// # Panics
    /// As [`run`](Sim::run).
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    /// use windlass::sim::Sim;
    ///
    /// let beats = Rc::new(Cell::new(0));
    /// let count = beats.clone();
    /// Sim::new(1).run_until(Duration::from_secs(3_600), move || {
    ///     windlass::set_interval(Duration::from_secs(1), move |_| count.set(count.get() + 1));
    /// });
    /// assert_eq!(beats.get(), 3_600);
    /// ```
    #[track_caller]
    pub fn run_until<R>(&self, end: Duration, main: impl FnOnce() -> R) -> Outcome<R> {
        let end = End { at: saturating_nanos(end), is_failure: false };
        Sim { end: Some(end), ..self.clone() }.run(main)
    }

    /// Turns a loop of the simulation until a future is done, as
    /// [`windlass::block_on`](crate::block_on) does. A program that calls [`exit`](crate::exit)
    /// before has no output, which is a failure here.
    ///
    /// # Panics
    /// As [`run`](Sim::run).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::sim::Sim;
    /// use windlass::time::sleep;
    ///
    /// let outcome = Sim::new(1).block_on(sleep_long());
    /// async fn sleep_long() -> u32 {
    ///     sleep(Duration::from_secs(60)).await;
    ///     5
    /// }
    /// assert_eq!((outcome.value, outcome.elapsed), (5, Duration::from_secs(60)));
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> Outcome<F::Output> {
        self.run_on_loop(|event_loop| event_loop.block_on(future))
    }

    /// A loop of a simulation, to be turned by hand. Its panics have no seed in their message, and
    /// a limit ends it as [`exit`](crate::exit) would, without a word.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::RunMode;
    /// use windlass::sim::Sim;
    ///
    /// let event_loop = Sim::new(5).event_loop();
    /// let start = event_loop.enter(windlass::now);
    /// event_loop.enter(|| windlass::set_timeout(Duration::from_secs(60), || ()));
    /// while event_loop.turn(RunMode::Once) {}
    /// assert_eq!(event_loop.enter(windlass::now) - start, Duration::from_secs(60));
    /// ```
    pub fn event_loop(&self) -> Loop {
        self.make(&self.chance())
    }

    fn make(&self, chance: &Arc<Chance>) -> Loop {
        // Not by `build`: it waits for no descriptor, and needs no poller.
        Loop::from_parts(Loop::builder().chance(chance.clone()).parts())
    }

    fn chance(&self) -> Arc<Chance> {
        Arc::new(Chance::new(Setup {
            seed: self.seed,
            network: self.network.clone(),
            faults: self.faults.clone(),
            end: self.end,
            callbacks_max: self.callbacks,
            allowed: self.allowed.clone(),
            is_quiet: self.is_quiet,
        }))
    }

    #[track_caller]
    fn run_on_loop<R>(&self, run: impl FnOnce(&Loop) -> R) -> Outcome<R> {
        // No closure: a panic in one would not have the caller's line.
        match self.try_run(run) {
            Ok(outcome) => outcome,
            Err(failed) => panic!("{}", failed.message),
        }
    }

    /// Runs a program, and gives its outcome or how it failed.
    fn try_run<R>(&self, run: impl FnOnce(&Loop) -> R) -> Result<Outcome<R>, Failed> {
        let chance = self.chance();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let event_loop = self.make(&chance);
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(&event_loop)));
            if outcome.is_err() {
                event_loop.fail();
            }
            let elapsed = Duration::from_nanos(event_loop.virtual_now());
            event_loop.tear_down();
            (outcome, elapsed)
        }));
        let (digest, failure) = chance.outcome();
        let result = match (result, failure) {
            (Ok((Err(payload), _)) | Err(payload), failure) => {
                let own = (!payload.is::<Halt>()).then(|| panic_message(payload.as_ref()));
                Err(own.or(failure).unwrap_or_else(|| "the program has ended before".to_owned()))
            }
            (Ok(_), Some(failure)) => Err(failure),
            (Ok((Ok(value), elapsed)), None) => match self.end {
                Some(end) if end.is_failure && elapsed.as_nanos() > end.at.into() => Err(end.why()),
                _ => Ok(Outcome { value, digest, elapsed }),
            },
        };
        result.map_err(|message| {
            let message = format!("seed {}: {message}", self.seed);
            Failed { message, digest, faults: chance.faults() }
        })
    }
}

/// How a run failed.
struct Failed {
    /// The message of the panic, with the seed.
    message: String,
    /// As that of an [`Outcome`].
    digest: u64,
    /// What struck in it.
    faults: Vec<Fault>,
}

/// A number that is drawn from the seed of the simulation in which the caller runs: in a callback,
/// a task or a job. None outside of a simulation.
///
/// A program that takes its random numbers from here while it is simulated is the same for its
/// seed. Each of them is as likely as the other. With more to ask for than numbers, seed a
/// generator with it.
///
/// # Examples
/// ```
/// use std::hash::{BuildHasher, RandomState};
/// use std::time::Duration;
/// use windlass::sim::{self, Sim};
///
/// /// Up to 100 ms, so that those who were disturbed together do not come again together.
/// fn pause() -> Duration {
///     let number = sim::random().unwrap_or_else(|| RandomState::new().hash_one(()));
///     Duration::from_millis(number % 100)
/// }
///
/// let of_seed = |seed| Sim::new(seed).run(|| (0..8).map(|_| pause()).collect::<Vec<_>>()).value;
/// assert_eq!(of_seed(1), of_seed(1));
/// assert_ne!(of_seed(1), of_seed(2));
/// assert_eq!(sim::random(), None);
/// ```
pub fn random() -> Option<u64> {
    current::with_chance(Chance::value)
}
