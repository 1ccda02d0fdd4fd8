//! The account of an iteration.

use std::time::{Duration, Instant};

use super::{Callback, Phase, Wake};
use crate::event_loop::Loop;
use crate::trace::account::Account;

/// Where the time of one iteration went, as [`Loop::on_iteration`](crate::Loop::on_iteration)
/// reports it.
///
/// No time is unaccounted for: [`wall`](Iteration::wall) is [`idle`](Iteration::idle) and all
/// phases together, and one iteration begins where the one before ended. What passes between two
/// turns, and the time of the hook itself, belong to the [`Main`](Phase::Main) phase of the next
/// iteration. In virtual time all of it is virtual.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::Loop::current().on_iteration(|iteration| {
///         assert_eq!(iteration.callbacks, 1);
///         println!("{:?}, of which idle {:?}", iteration.wall(), iteration.idle);
///     });
///     windlass::set_immediate(|| ());
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Iteration {
    /// Its number, as [`Metrics::iterations`](crate::Metrics::iterations) counts.
    pub number: u64,
    /// When it began.
    pub started: Instant,
    /// What ended its wait. Of several things the first of stop, source, message and timer.
    pub woken_by: Wake,
    /// Blocked in poll.
    pub idle: Duration,
    /// The callbacks of its phases, without the main script.
    pub callbacks: u64,
    /// The ticks.
    pub ticks: u64,
    /// The microtasks, and the polls of tasks.
    pub microtasks: u64,
    /// The callback that took longest, or the main script, together with the ticks and microtasks
    /// after it. None if there was none.
    pub longest: Option<Callback>,
    /// The time in each phase.
    phases: [u64; Phase::ALL.len()],
}

impl Iteration {
    fn new(number: u64, started: Instant, account: &Account) -> Iteration {
        let longest = account.longest.map(|(phase, origin, took)| Callback {
            took: Duration::from_nanos(took),
            ..Callback::new(phase, origin.kind, origin.place)
        });
        Iteration {
            number,
            started,
            woken_by: account.woken_by,
            idle: Duration::from_nanos(account.idle),
            callbacks: account.callbacks,
            ticks: account.ticks,
            microtasks: account.microtasks,
            longest,
            phases: account.phases,
        }
    }

    /// The time in a phase: its callbacks with the drains after them, without the wait.
    pub fn phase(&self, phase: Phase) -> Duration {
        Duration::from_nanos(self.phases[phase as usize])
    }

    /// From its start to the start of the next one.
    pub fn wall(&self) -> Duration {
        self.idle + Duration::from_nanos(self.phases.iter().sum())
    }
}

impl Loop {
    /// Calls `f` after each iteration with its account. Replaces the one before.
    ///
    /// It is no callback of the loop: nothing is drained after it, it holds nothing and is not
    /// counted. The iteration in which it is set is reported from that moment on, without the
    /// callback that sets it. A turn that ends before its first iteration hands its time to the
    /// next one. What it queues runs where the loop comes to it next, and is dropped if the loop
    /// ends before. It may stop the loop, exit the program, or set another one in its place.
    ///
    /// # Cost
    /// While there is one, each callback reads the clock two or three times.
    ///
    /// # Panics
    /// A panic of `f` is like that of a callback: it goes to [`on_uncaught`](crate::on_uncaught),
    /// or else out of the turn. `f` stays.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::observe::Phase;
    ///
    /// windlass::run(|| {
    ///     windlass::Loop::current().on_iteration(|iteration| {
    ///         let parts = [Phase::Main, Phase::Timers, Phase::Poll, Phase::Check];
    ///         let sum: Duration = parts.iter().map(|phase| iteration.phase(*phase)).sum();
    ///         assert!(sum + iteration.idle <= iteration.wall());
    ///     });
    ///     windlass::set_immediate(|| ());
    /// });
    /// ```
    #[track_caller]
    pub fn on_iteration(&self, mut f: impl FnMut(&Iteration) + 'static) {
        self.state().set_iteration_hook(Some(Box::new(move |number, started, account| {
            f(&Iteration::new(number, started, account));
        })));
    }

    /// Takes the callback of [`on_iteration`](Loop::on_iteration) away.
    pub fn off_iteration(&self) {
        self.state().set_iteration_hook(None);
    }
}
