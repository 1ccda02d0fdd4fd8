//! How a loop is set up, and what it is made of.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Nanos};
use crate::phase::timers::all::Timers;
use crate::pool::Pool;
use crate::queue::closing::Closing;
use crate::queue::deferred::Deferred;
use crate::queue::immediate::Immediates;
use crate::queue::ring::Ring;
use crate::state::current;
use crate::state::delivery::Delivery;
use crate::state::handles::Handles;
use crate::state::hooks::Hooks;
use crate::state::named::Names;
use crate::state::sources::Sources;
use crate::state::tasks::Tasks;
use crate::state::{State, Status, Watchers};
use crate::task::budget::PollBudget;
use crate::threads::mailbox::Mailbox;
use crate::threads::patience::Patience;
use crate::trace::delays::Delays;
use crate::trace::roll;
use crate::trace::teller::Teller;
use crate::trace::track::Observed;
use crate::virtual_time::chance::Chance;
use crate::virtual_time::scheduler::Member;

/// The parts of a loop that is to be made, perhaps on another thread.
pub(crate) struct Parts {
    /// The loop's mailbox, which others may know before there is a loop.
    pub(crate) mailbox: Arc<Mailbox>,
    /// The settings.
    builder: Builder,
    /// A worker as a member of its program in virtual time, and what its clock begins with.
    pub(crate) virtual_time: Option<(Member, (Instant, Nanos))>,
}

/// Sets up a loop. Made by [`Loop::builder`](crate::Loop::builder).
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// // A day in virtual time.
/// let event_loop = windlass::Loop::builder().virtual_time(true).build()?;
/// event_loop.run(|| {
///     windlass::set_timeout(Duration::from_secs(86_400), || println!("tomorrow"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// What the loop is called. None for "main".
    name: Option<String>,
    /// The clock is a virtual one.
    virtual_time: bool,
    /// How long the loop may look for news before it sleeps.
    spin: Duration,
    /// A pool other than the one that all loops share.
    pool: Option<Pool>,
    /// How many tasks may be polled in one drain. None for no limit.
    poll_budget: Option<usize>,
    /// Those who observe the process do not see the loop.
    left_out: bool,
    /// The loop is the first of a simulation, where this decides what is open.
    chance: Option<Arc<Chance>>,
}

impl Builder {
    /// Names the loop, for reports, traces and logs. Without one it is called "main"; a worker's
    /// loop has the worker's name, or "worker" and its number.
    ///
    /// # Examples
    /// ```
    /// let event_loop = windlass::Loop::builder().name("audio").build()?;
    /// assert_eq!(event_loop.name(), "audio");
    /// assert_eq!(windlass::Loop::new()?.name(), "main");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets whether the loop's clock is a virtual one, which stands still while anything is ready
    /// and jumps to the next timer when nothing is.
    ///
    /// Pool requests then run on the loop's own thread, when they are delivered, in the order
    /// submitted, with no loop current, as on a pool thread. Two runs of a program without sockets
    /// and foreign threads are the same to the last callback.
    ///
    /// A loop and its workers are one program. It waits for other threads, and for other programs
    /// in virtual time, while one of these has a [`Remote`](crate::Remote) or a
    /// [`Notifier`](crate::handle::Notifier) of it; what they send is seen at once.
    pub fn virtual_time(mut self, on: bool) -> Self {
        self.virtual_time = on;
        self
    }

    /// Lets the loop look for news from other threads for up to `limit` before it sleeps. Zero, the
    /// default, is never; a loop that waits for jobs of a [`Pool`] looks for up to 50 µs in any
    /// case.
    ///
    /// For loops on different threads that answer each other at once: to wake a thread that sleeps
    /// takes some tens of microseconds, to be seen by one that looks a tenth of one. 20 to 50 µs is
    /// a good limit. A loop looks if its last sleep was short, up to three times the limit, and a
    /// core is free: while no more threads of loops and pools are awake than there are cores, of
    /// which there must be two. So a loop to which nothing comes looks once and then sleeps at
    /// once. The time counts as idle in [`Metrics`](crate::Metrics). Cores are counted when the
    /// process makes its first loop: bind threads to cores after that. Workers take the limit over
    /// from the loop that starts them. Without effect in virtual time.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let event_loop = windlass::Loop::builder().spin(Duration::from_micros(50)).build()?;
    /// # event_loop.run(|| ());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spin(mut self, limit: Duration) -> Self {
        self.spin = limit;
        self
    }

    /// Lets the loop poll tasks at most `polls` times in one drain, so that tasks that always find
    /// something to do, as on a channel that is never empty, cannot keep it from timers and I/O.
    /// Off by default, as in Node: then a drain lasts until nothing is queued. Zero counts as one.
    /// Workers take the limit over from the loop that starts them.
    ///
    /// # Ordering
    /// The polls beyond the limit are held, and go on in the check phase that follows the next poll
    /// phase, in the order in which the tasks were woken, again at most `polls` of them in a drain.
    /// A task that is woken while others are held waits behind these. Ticks and
    /// [`queue_microtask`](crate::queue_microtask) are not held: they overtake a task that is, and
    /// can still starve the loop.
    ///
    /// # Liveness
    /// A poll that is held holds the loop, as an immediate of the line that spawned the task.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let event_loop = windlass::Loop::builder().poll_budget(128).build()?;
    /// event_loop.run(|| {
    ///     let endless = windlass::spawn(std::future::poll_fn(|cx| {
    ///         cx.waker().wake_by_ref(); // Without a budget nothing else would ever run.
    ///         std::task::Poll::<()>::Pending
    ///     }));
    ///     windlass::set_timeout(Duration::from_millis(1), move || endless.abort());
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_budget(mut self, polls: usize) -> Self {
        self.poll_budget = Some(polls.max(1));
        self
    }

    /// Sets whether those who observe the process see the loop: every
    /// [`Recorder`](crate::observe::Recorder) and every
    /// [stall watch](crate::observe::watch_stalls). They do, unless it is told otherwise.
    ///
    /// For a loop that serves them, such as a view of the program: it is no part of the program,
    /// and a recording that is read on a loop that is recorded never ends. Its workers are left out
    /// too, unless they are [told otherwise](crate::worker::WorkerBuilder::observed). Its log and
    /// its [`on_iteration`](crate::Loop::on_iteration) stay. A job that it submits is seen on the
    /// thread of the pool, and what others do to it, as starting it as a worker, on their tracks.
    ///
    /// # Examples
    /// ```
    /// use windlass::observe::Recorder;
    ///
    /// let recorder = Recorder::start();
    /// windlass::Loop::builder().observed(false).build()?.run(|| ());
    /// assert!(recorder.stop().events().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn observed(mut self, on: bool) -> Self {
        self.left_out = !on;
        self
    }

    /// Gives the loop a blocking pool other than the one that all loops share.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Makes the loop the first one of a simulation: in virtual time, with chance.
    pub(crate) fn chance(mut self, chance: Arc<Chance>) -> Self {
        self.chance = Some(chance);
        self.virtual_time(true)
    }

    /// The parts of this loop.
    pub(crate) fn parts(self) -> Parts {
        Parts { mailbox: Arc::new(Mailbox::new()), builder: self, virtual_time: None }
    }
}

impl Parts {
    /// Makes the state of a loop, on the loop's own thread.
    pub(super) fn into_state(self) -> Rc<State> {
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let Parts { mailbox, builder, virtual_time } = self;
        mailbox.figures.begin();
        let (virtual_time, clock) = match virtual_time {
            Some((member, parent)) => (Some(member), Clock::of_worker(parent)),
            None if builder.virtual_time => {
                let member = Member::first(&mailbox, current::place, builder.chance);
                (Some(member), Clock::new(true))
            }
            None => (None, Clock::new(false)),
        };
        let track = mailbox.figures.track.clone();
        track.set_clock(clock.zero(), clock.is_virtual());
        let observed: Weak<dyn Observed> = Arc::downgrade(&mailbox) as Weak<Mailbox>;
        track.set_observed(observed);
        track.set_name(builder.name.unwrap_or_else(|| "main".to_owned()));
        if builder.left_out {
            track.leave_out();
        } else {
            roll::join(&track);
        }
        if virtual_time.as_ref().is_some_and(|member| member.chance().is_some()) {
            // Chance is told of each callback.
            mailbox.add_observer();
        }
        let delays = Arc::new(Delays::default());
        track.set_delays(delays.clone());
        let teller = Teller::new(track);
        teller.begin_loop();
        Rc::new(State {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            status: Cell::new(Status::Open),
            clock,
            mailbox,
            delivery: Delivery::default(),
            sources: Sources::default(),
            patience: Patience::of_loop(builder.spin),
            handles: Handles::default(),
            tasks: Tasks::default(),
            poll_budget: builder.poll_budget.map(PollBudget::new),
            ticks: Ring::default(),
            microtasks: Ring::default(),
            drained: Ring::default(),
            in_microtasks: Cell::new(false),
            immediates: Immediates::default(),
            timers: Timers::default(),
            pending: Deferred::default(),
            idle: Watchers::default(),
            prepare: Watchers::default(),
            check: Watchers::default(),
            last_number: Cell::new(0),
            poll_last: Deferred::default(),
            closing: Closing::default(),
            virtual_time,
            pool: builder.pool.unwrap_or_else(Pool::shared),
            read_buffer: Cell::new(None),
            extensions: RefCell::default(),
            hooks: Hooks::default(),
            teller,
            delays,
            keeps_account: Cell::new(false),
            exit_code: Cell::new(0),
            over_limit: Cell::new(None),
            exits: Cell::new(0),
            exits_before_hooks: Cell::new(None),
            cut_short: Cell::new(false),
            shutting_down: Cell::new(false),
            names: Names::default(),
        })
    }
}
