//! The details of a recording: all that a loop says of itself.

use std::panic::Location;
use std::time::Duration;

use super::{Phase, Wake};
use crate::clock::Nanos;
use crate::trace::ring::{self, Happened};

pub use crate::trace::detail::{NoSleep, NotRun, Queue};

/// One change of what waits on a loop, in a pool or in a port. Recorded by
/// [`Recorder::detailed`](super::Recorder::detailed).
///
/// The details of a track are in the order in which they happened, each at its moment. From them
/// alone a reader knows at each moment what its loop holds: it begins with nothing and takes one
/// detail after the other. What a recorder finds when it begins comes first, from the loop's next
/// iteration on: [`All`](Detail::All), then all that there is, in the same words.
///
/// A timer, an immediate, a handle and a request have a number, which no other one of their loop
/// has. A job has an id, which is that of its [`What::Job`](super::What::Job) too. A queue of
/// messages, one direction of a channel, has a number that is unique in the process. It is the one
/// who acts that says so: a post stands on the track of the sender, its delivery on that of the
/// receiver. A thread without a loop that is no pool thread has no track, and what it does is not
/// told; `Fetched` says what has come of it.
///
/// Of a `location` at which a [label](super::labelled) was in force,
/// [`Label::of`](super::Label::of) tells which.
///
/// # Examples
/// ```
/// use windlass::observe::{Detail, Recorder, What};
///
/// let recorder = Recorder::detailed(1000);
/// windlass::run(|| {
///     windlass::set_immediate(|| ()).clear();
/// });
/// let recording = recorder.stop();
/// let cleared = |what: &What| matches!(what, What::Detail(Detail::Cleared { .. }));
/// assert_eq!(recording.events().iter().filter(|event| cleared(&event.what)).count(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Detail {
    // ----- The loop -----
    /// All that there is on the loop follows. What was known of it is to be forgotten.
    All,
    /// A turn begins: a call that runs the loop.
    TurnBegan,
    /// The turn has ended.
    TurnEnded,
    /// An iteration begins.
    Iteration {
        /// Its number, counted from zero.
        number: u64,
    },
    /// A phase begins that has something to call, or may have.
    Phase {
        /// Which one.
        phase: Phase,
        /// How many are to be called in it. What comes meanwhile waits for the next time. Zero for
        /// timers: those that are due are called.
        waiting: u64,
    },
    /// The poll begins.
    Poll {
        /// How long it may sleep at most. None: without limit.
        timeout: Option<Duration>,
        /// If that is zero: why.
        no_sleep: Option<NoSleep>,
    },
    /// The poll has ended its wait.
    Polled {
        /// What ended it.
        woken_by: Wake,
        /// How long the loop was idle.
        idle: Duration,
        /// How many handles are ready to be called: they wait in [`Queue::Ready`].
        ready: u64,
        /// How many events the poller reported.
        events: u64,
    },
    /// The loop is torn down: nothing is left on it.
    Ended,

    // ----- Callbacks -----
    /// The callback [`Event::id`](super::Event::id) begins. A tick, a microtask or the poll of a
    /// task leaves its queue with it.
    Began {
        /// The phase it belongs to.
        phase: Phase,
        /// What it is.
        kind: &'static str,
        /// The line that registered it.
        location: Option<&'static Location<'static>>,
    },
    /// The callback [`Event::id`](super::Event::id) has returned, or panicked.
    Returned,
    /// Ticks and microtasks were called until none was left.
    Drained {
        /// How many ticks.
        ticks: u64,
        /// How many microtasks and polls of tasks.
        microtasks: u64,
        /// How often it went from one queue to the other and back.
        rounds: u64,
    },

    // ----- What waits -----
    /// Something waits in a queue from now on, at its end; in [`Queue::Closing`] at its beginning.
    Queued {
        /// Which queue.
        queue: Queue,
        /// The number of an immediate. Zero for others.
        number: u64,
        /// What it is, if that is known.
        kind: &'static str,
        /// The line that queued it, if that is known.
        location: Option<&'static Location<'static>>,
    },
    /// Something leaves a queue, to be called: the callbacks that follow, up to the next such
    /// detail, are its. A timer, but for an interval, is gone with it, and so is an immediate.
    Taken {
        /// Which queue.
        queue: Queue,
        /// The number of a timer, an immediate, a handle or a request. Else zero, and it is the
        /// first of the queue.
        number: u64,
    },
    /// The loop has emptied its mailbox, or something was put where it puts what it finds there.
    Fetched {
        /// How many completions wait now.
        completions: u64,
        /// How many posts wait now.
        posts: u64,
        /// How many items were in the mailbox: completions, notices, posts and tasks.
        items: u64,
        /// How many tasks were woken by other threads. They follow as `Queued`.
        tasks: u64,
    },
    /// A timer or an interval waits from now on.
    Armed(Armed),
    /// A timer or an interval was refreshed: it waits anew.
    Refreshed(Armed),
    /// A timer or an immediate was cleared.
    Cleared {
        /// Its number.
        number: u64,
    },

    // ----- Handles and requests -----
    /// A handle or a request was opened. It may keep the loop alive, and none of its requests is
    /// pending.
    Opened {
        /// Its number.
        number: u64,
        /// What it is, in the words of [`Loop::why_alive`](crate::Loop::why_alive).
        kind: &'static str,
        /// The line that made it.
        location: Option<&'static Location<'static>>,
        /// Whether it is active. An active one that may keep the loop alive does.
        active: bool,
    },
    /// Whether a handle is active has changed.
    Active {
        /// Its number.
        number: u64,
        /// Whether it is.
        on: bool,
    },
    /// Whether a request of a handle is pending has changed. If so it keeps the loop alive.
    Busy {
        /// Its number.
        number: u64,
        /// Whether one is.
        on: bool,
    },
    /// Whether a handle, a timer or an immediate may keep the loop alive was set.
    Referenced {
        /// Its number.
        number: u64,
        /// Whether it may.
        on: bool,
    },
    /// A handle or a request has ended.
    Closed {
        /// Its number.
        number: u64,
    },

    // ----- Jobs -----
    /// The job [`Event::id`](super::Event::id) was submitted.
    Submitted {
        /// What the job is called.
        kind: &'static str,
        /// The line that asked for it.
        location: Option<&'static Location<'static>>,
        /// The number of the pool.
        pool: u64,
        /// Whether it is slow work, which waits in a queue of its own.
        slow: bool,
        /// How many jobs waited in that queue then, with this one.
        waiting: u64,
    },
    /// A job was refused at once.
    Refused {
        /// What the job is called.
        kind: &'static str,
        /// The line that asked for it.
        location: Option<&'static Location<'static>>,
        /// Why.
        why: NotRun,
    },
    /// The job [`Event::id`](super::Event::id) begins, on this thread.
    Started {
        /// What the job is called.
        kind: &'static str,
        /// The line that asked for it.
        location: Option<&'static Location<'static>>,
    },
    /// The job [`Event::id`](super::Event::id) has ended.
    Finished,
    /// The job [`Event::id`](super::Event::id) does not wait any more, and will not run. Said by
    /// its loop when it knows.
    Withdrawn {
        /// Why.
        why: NotRun,
    },

    // ----- Messages -----
    /// A handle receives the messages of a queue.
    Receives {
        /// The number of the handle.
        number: u64,
        /// The number of the queue.
        port: u64,
    },
    /// A message was sent.
    Posted {
        /// The number of the queue. Zero for a closure that a [`Remote`](crate::Remote) sends.
        port: u64,
        /// The track of the loop that receives it. Zero while that is not known.
        to: u32,
        /// How many messages wait in the queue, with this one. Zero for a closure.
        waiting: u64,
    },
    /// A message was handed on to a callback or a task, or taken by the program.
    Delivered {
        /// The number of the queue.
        port: u64,
        /// How many messages wait in it still.
        waiting: u64,
    },
    /// The receiving end is gone. Nothing waits in the queue any more.
    Dropped {
        /// The number of the queue.
        port: u64,
        /// How many messages were dropped with it.
        count: u64,
    },

    // ----- Workers -----
    /// A worker was started.
    Spawned {
        /// Its number, as in [`worker::id`](crate::worker::id).
        worker: u64,
        /// The line that spawned it.
        location: Option<&'static Location<'static>>,
    },
    /// This track is a worker's, whose loop begins.
    Online {
        /// Its number.
        worker: u64,
    },
    /// The failure of a worker has come to its parent.
    Failed {
        /// Its number.
        worker: u64,
    },
    /// The end of a worker has come to its parent.
    Exited {
        /// Its number.
        worker: u64,
        /// Its exit code.
        code: i32,
    },
}

/// A timer that waits.
///
/// # Examples
/// ```
/// use windlass::observe::{Detail, Recorder, What};
///
/// let recorder = Recorder::detailed(1000);
/// windlass::run(|| {
///     windlass::set_timeout(std::time::Duration::from_millis(2), || ());
/// });
/// let recording = recorder.stop();
/// let delay = recording.events().iter().find_map(|event| match &event.what {
///     What::Detail(Detail::Armed(timer)) => Some(timer.delay),
///     _ => None,
/// });
/// assert_eq!(delay, Some(std::time::Duration::from_millis(2)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Armed {
    /// Its number.
    pub number: u64,
    /// "timer" or "interval".
    pub kind: &'static str,
    /// The line that made it.
    pub location: Option<&'static Location<'static>>,
    /// Its delay. Timers of one delay stand in one list. One of more than 49 days is told as that.
    pub delay: Duration,
    /// When it is due, on the same clock as [`Event::at`](super::Event::at).
    pub due: Duration,
    /// Whether it may keep the loop alive.
    pub referenced: bool,
}

impl Detail {
    /// The detail that an event is. None for one that is none. `time` tells a time of the track.
    pub(super) fn of(event: &ring::Event, time: impl FnOnce(Nanos) -> Duration) -> Option<Detail> {
        let ring::Event { id: number, took: amount, small, kind, place: location, phase, .. } =
            *event;
        let on = small > 0;
        let (high, low) = (amount >> 32, amount & u64::from(u32::MAX));
        let (first, second) = (number >> 32, number & u64::from(u32::MAX));
        Some(match event.happened {
            Happened::Called
            | Happened::Panicked
            | Happened::Waited
            | Happened::Worked
            | Happened::Linked => return None,
            Happened::Told => Detail::All,
            Happened::TurnBegan => Detail::TurnBegan,
            Happened::TurnEnded => Detail::TurnEnded,
            Happened::Iteration => Detail::Iteration { number },
            Happened::Phase => Detail::Phase { phase, waiting: number },
            Happened::Poll => Detail::Poll {
                timeout: (number < Nanos::MAX).then(|| Duration::from_nanos(number)),
                no_sleep: (number == 0).then(|| NoSleep::ALL[usize::from(small)]),
            },
            Happened::Polled => Detail::Polled {
                woken_by: Wake::of(small),
                idle: Duration::from_nanos(amount),
                ready: first,
                events: second,
            },
            Happened::Ended => Detail::Ended,
            Happened::Began => Detail::Began { phase, kind, location },
            Happened::Returned | Happened::Unwound => Detail::Returned,
            Happened::Drained => {
                Detail::Drained { ticks: first, microtasks: second, rounds: amount }
            }
            Happened::Queued => Detail::Queued { queue: queue_of(small), number, kind, location },
            Happened::Taken => Detail::Taken { queue: queue_of(small), number },
            Happened::Fetched => {
                Detail::Fetched { completions: first, posts: second, items: high, tasks: low }
            }
            Happened::Armed | Happened::Refreshed => {
                let delay = Duration::from_millis(u64::from(event.iteration));
                let (due, referenced) = (time(amount), on);
                let armed = Armed { number, kind, location, delay, due, referenced };
                match event.happened {
                    Happened::Armed => Detail::Armed(armed),
                    _ => Detail::Refreshed(armed),
                }
            }
            Happened::Cleared => Detail::Cleared { number },
            Happened::Opened => Detail::Opened { number, kind, location, active: on },
            Happened::Active => Detail::Active { number, on },
            Happened::Busy => Detail::Busy { number, on },
            Happened::Referenced => Detail::Referenced { number, on },
            Happened::Closed => Detail::Closed { number },
            Happened::Submitted => {
                Detail::Submitted { kind, location, pool: high, slow: on, waiting: low }
            }
            Happened::Refused => Detail::Refused { kind, location, why: not_run(small) },
            Happened::Started => Detail::Started { kind, location },
            Happened::Finished => Detail::Finished,
            Happened::Withdrawn => Detail::Withdrawn { why: not_run(small) },
            Happened::Receives => Detail::Receives { number, port: amount },
            Happened::Posted => Detail::Posted { port: number, to: high as u32, waiting: low },
            Happened::Delivered => Detail::Delivered { port: number, waiting: amount },
            Happened::Dropped => Detail::Dropped { port: number, count: amount },
            Happened::Spawned => Detail::Spawned { worker: number, location },
            Happened::Online => Detail::Online { worker: number },
            Happened::Failed => Detail::Failed { worker: number },
            Happened::Exited => Detail::Exited { worker: number, code: amount as u32 as i32 },
        })
    }

    /// Whether `Event::id` is the id of what this detail is of.
    pub(super) fn has_id(&self) -> bool {
        matches!(
            self,
            Detail::Began { .. }
                | Detail::Returned
                | Detail::Submitted { .. }
                | Detail::Started { .. }
                | Detail::Finished
                | Detail::Withdrawn { .. }
        )
    }
}

fn queue_of(number: u8) -> Queue {
    Queue::ALL[usize::from(number)]
}

fn not_run(number: u8) -> NotRun {
    NotRun::ALL[usize::from(number)]
}
