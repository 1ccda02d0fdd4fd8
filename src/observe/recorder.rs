//! Recording what all loops and pool threads of the process do.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reader::{Part, Reader};
use super::{Callback, Detail, Wake};
use crate::clock::{self, Nanos};
use crate::trace::detail::Want;
use crate::trace::ring::{self, Happened, Keeps};
use crate::trace::roll::{Observer, Session};
use crate::trace::track::Track;

/// How many events [`Recorder::start`] keeps of each thread: 2 MiB.
const CAPACITY: usize = 1 << 15;

/// The most events that are kept of a thread. Each takes 64 bytes.
const CAPACITY_MAX: usize = 1 << 26;

/// Records what all loops, workers and pool threads of the process do, from now until it is
/// stopped.
///
/// Each loop and each pool thread writes to a ring of its own, which keeps its newest events.
/// Nothing is allocated, locked or written elsewhere for it. Several may record at once. One that
/// is dropped without [`stop`](Recorder::stop) ends too.
///
/// # Cost
/// Some 100 ns for each callback and job, of which two readings of the clock are the half; 64
/// bytes for each event that is kept, on each thread.
///
/// # Examples
/// ```
/// use windlass::observe::{Recorder, What};
///
/// let recorder = Recorder::start();
/// windlass::run(|| {
///     windlass::set_immediate(|| windlass::next_tick(|| ()));
/// });
/// let recording = recorder.stop();
/// let kinds: Vec<_> = recording.events().iter().filter_map(|event| match &event.what {
///     What::Callback(callback) => Some(callback.kind),
///     _ => None,
/// }).collect();
/// assert_eq!(kinds, ["main", "immediate", "tick"]);
/// ```
#[must_use = "a recorder that is dropped records nothing"]
pub struct Recorder {
    /// The rings.
    session: Arc<Session>,
    /// Loops and pool threads tell of what they do while this lives.
    _observer: Observer,
    /// They tell details while this lives.
    _want: Option<Want>,
    /// When it began.
    start: Nanos,
    /// What was taken already.
    reader: Mutex<Reader>,
}

/// What a [`Recorder`] has seen.
///
/// # Examples
/// ```
/// use windlass::observe::Recorder;
///
/// let recorder = Recorder::start();
/// windlass::run(|| windlass::set_immediate(|| ()));
/// let recording = recorder.stop();
/// assert_eq!(recording.dropped(), 0);
/// let mut trace = Vec::new();
/// recording.write_chrome_trace(&mut trace)?; // For Perfetto.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Recording {
    /// In the order of their times.
    events: Vec<Event>,
    /// How many events had no room.
    dropped: u64,
}

/// Something that happened on a track: on a loop, or on a pool thread.
///
/// # Examples
/// ```
/// use windlass::observe::{Recorder, What};
///
/// let recorder = Recorder::start();
/// windlass::run(|| windlass::set_immediate(|| ()));
/// for event in recorder.stop().events() {
///     if let What::Callback(callback) = &event.what {
///         println!("{} of track {}: {:?}", callback.kind, event.track, event.took);
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When it began, since the recorder was started; in virtual time, since the loop was made.
    pub at: Duration,
    /// How long it took. A callback without the ticks and microtasks after it.
    pub took: Duration,
    /// The number of its loop or pool thread. No two have the same, also one after the other.
    pub track: u32,
    /// What it was.
    pub what: What,
    /// The id of a callback or job, unique in the process. Zero for others.
    pub id: u64,
    /// The id of the callback or job in which it was scheduled, on whatever thread. Zero for none.
    pub cause: u64,
    /// It ended by a panic.
    pub panicked: bool,
    /// The iteration of its loop, counted from zero. Zero for a job.
    pub iteration: u64,
}

/// What an [`Event`] was.
///
/// # Examples
/// ```
/// use windlass::observe::{Recorder, What};
///
/// let recorder = Recorder::start();
/// windlass::run(|| windlass::queue_work(|| ()).on_complete(|_| ()));
/// let recording = recorder.stop();
/// let jobs = recording.events().iter().filter(|event| matches!(event.what, What::Job { .. }));
/// assert_eq!(jobs.count(), 1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A callback, a tick, a microtask or the poll of a task.
    Callback(Callback),
    /// The loop waited for something to do.
    Wait {
        /// What ended the wait.
        woken_by: Wake,
    },
    /// A pool thread ran a job.
    Job {
        /// What the job is called.
        kind: &'static str,
        /// The line that asked for it. The label that was in force there is the one that
        /// [`Label::of`](super::Label::of) has for it.
        location: Option<&'static Location<'static>>,
    },
    /// A loop or a pool thread that there was. Not counted, and never without room.
    Track {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// Something that had been asked for was asked for once more, in the callback `cause`.
    Link {
        /// The id of what was asked for.
        to: u64,
    },
    /// Something else that was said. Only with [`Recorder::detailed`].
    Detail(Detail),
}

impl Recorder {
    /// Begins to record.
    pub fn start() -> Recorder {
        Recorder::with_capacity(CAPACITY)
    }

    /// Begins to record, and keeps this number of events of each loop and each pool thread, of 64
    /// bytes each. With zero it keeps their names only.
    ///
    /// # Panics
    /// With more than 67,108,864 events, which take 4 GiB.
    #[track_caller]
    pub fn with_capacity(events_per_thread: usize) -> Recorder {
        Recorder::begin(events_per_thread, Keeps::Newest)
    }

    /// Begins to record all that is said, details too, and keeps this number of events of each loop
    /// and each pool thread.
    ///
    /// Each [`Detail`] is an event of its own, with a length of zero. A recording of this kind is
    /// for drawing or checking what waits at each moment: it has some five events a callback.
    ///
    /// # Panics
    /// As [`with_capacity`](Recorder::with_capacity).
    ///
    /// # Examples
    /// ```
    /// use windlass::observe::{Detail, Queue, Recorder, What};
    ///
    /// let recorder = Recorder::detailed(1000);
    /// windlass::run(|| {
    ///     windlass::set_immediate(|| ());
    ///     windlass::set_immediate(|| ());
    /// });
    /// let recording = recorder.stop();
    /// let mut waiting = 0;
    /// let lengths = recording.events().iter().filter_map(|event| match event.what {
    ///     What::Detail(Detail::Queued { queue: Queue::Immediates, .. }) => {
    ///         waiting += 1;
    ///         Some(waiting)
    ///     }
    ///     What::Detail(Detail::Taken { queue: Queue::Immediates, .. }) => {
    ///         waiting -= 1;
    ///         Some(waiting)
    ///     }
    ///     _ => None,
    /// });
    /// assert_eq!(lengths.collect::<Vec<_>>(), [1, 2, 1, 0]);
    /// ```
    #[track_caller]
    pub fn detailed(events_per_thread: usize) -> Recorder {
        Recorder::begin(events_per_thread, Keeps::NewestDetails)
    }

    /// Begins to record details for somebody who takes them again and again. If that is not often
    /// enough, the first ones are kept, so that what is taken has no hole.
    #[cfg(feature = "inspect")]
    pub(crate) fn live(events_per_thread: usize) -> Recorder {
        Recorder::begin(events_per_thread, Keeps::FirstDetails)
    }

    #[track_caller]
    fn begin(capacity: usize, keeps: Keeps) -> Recorder {
        // Or a loop would panic later, which has no room for them.
        let most = CAPACITY_MAX;
        assert!(capacity <= most, "windlass: a recorder keeps {most} events, not {capacity}");
        let start = clock::monotonic();
        let session = Session::begin(capacity, keeps);
        let is_detailed = keeps != Keeps::Newest;
        let (_observer, _want) = (Observer::begin(), is_detailed.then(Want::begin));
        Recorder { session, _observer, _want, start, reader: Mutex::default() }
    }

    /// Takes what was recorded since the last call, and goes on: for a view of a program that runs.
    /// What is taken is in no later recording, nor in that of [`stop`](Recorder::stop).
    ///
    /// It is a cut at one moment: of what has happened on any thread up to this call all is taken,
    /// and of what comes later nothing. So no detail is taken in a part before that of its cause,
    /// also from another thread. Within a part the events are in the order of their times. A
    /// callback, a wait and a job come when they are over, with the time at which they began, and
    /// what a thread is just writing down comes with the next part.
    ///
    /// A track stands in the first part in which there is something of it. What was overwritten
    /// between two calls is [`dropped`](Recording::dropped).
    ///
    /// May be called from any thread, also from several. The threads that are observed wait for
    /// nothing, and do not know of it.
    ///
    /// # Cost
    /// Some tens of nanoseconds for each event, and the memory of those that are returned. A thread
    /// that has ended is forgotten with this call, its ring too.
    ///
    /// # Examples
    /// ```
    /// use windlass::observe::{Recorder, What};
    ///
    /// let recorder = Recorder::start();
    /// let mut counts = Vec::new();
    /// for times in 1..=2 {
    ///     windlass::run(|| {
    ///         for _ in 0..times {
    ///             windlass::set_immediate(|| ());
    ///         }
    ///     });
    ///     let part = recorder.take();
    ///     let callbacks = part.events().iter().filter(|it| matches!(it.what, What::Callback(_)));
    ///     counts.push(callbacks.count());
    /// }
    /// assert_eq!(counts, [2, 3]); // With the main script.
    /// assert!(recorder.stop().events().is_empty());
    /// ```
    pub fn take(&self) -> Recording {
        Recording::of_parts(self.parts())
    }

    /// As [`take`](Recorder::take), by tracks.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the rings are looked at.
        let moment = clock::monotonic();
        let parts = reader.read(&self.session.tracks(), self.start, Some(moment));
        let over: Vec<_> = parts.iter().filter(|it| it.is_over).map(|it| it.track).collect();
        if !over.is_empty() {
            self.session.forget(|track| over.contains(&track.number()));
        }
        parts
    }

    /// Has the loops of these tracks tell anew all that they hold: each at its next iteration,
    /// which one that sleeps is woken for.
    #[cfg(feature = "inspect")]
    pub(crate) fn ask_all(&self, wanted: impl Fn(u32) -> bool) {
        for recorded in self.session.tracks() {
            if let Some(observed) = recorded.track.observed()
                && wanted(recorded.track.number())
            {
                recorded.ring.ask();
                observed.wake();
            }
        }
    }

    /// Ends the recording. It has each event that was over before this call, from whatever thread,
    /// but for those that were [taken](Recorder::take).
    pub fn stop(self) -> Recording {
        let tracks = self.session.end();
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Recording::of_parts(reader.read(&tracks, self.start, None))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.session.end());
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recording {
    pub(super) fn new(events: Vec<Event>, dropped: u64) -> Recording {
        Recording { events, dropped }
    }

    /// All events in the order of their times, on each track in the order in which they happened.
    /// The tracks come first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events had no room: older ones that newer ones have taken the place of. With those
    /// that are kept, tracks left out, it is all that there was.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Event {
    pub(super) fn of_track(track: &Track) -> Event {
        let (number, name) = (track.number(), track.name().to_owned());
        Event {
            at: Duration::ZERO,
            took: Duration::ZERO,
            track: number,
            what: What::Track { number, name },
            id: 0,
            cause: 0,
            panicked: false,
            iteration: 0,
        }
    }

    pub(super) fn new(start: Nanos, track: &Track, iteration: u32, event: &ring::Event) -> Event {
        let time = |time| Duration::from_nanos(track.time_since(start, time));
        if let Some(detail) = Detail::of(event, time) {
            return Event {
                at: time(event.at),
                took: Duration::ZERO,
                track: track.number(),
                id: if detail.has_id() { event.id } else { 0 },
                what: What::Detail(detail),
                cause: event.cause,
                panicked: event.happened == Happened::Unwound,
                iteration: u64::from(iteration),
            };
        }
        let took = Duration::from_nanos(event.took);
        let what = match event.happened {
            Happened::Called | Happened::Panicked => {
                let callback = Callback::new(event.phase, event.kind, event.place);
                What::Callback(Callback { took, ..callback })
            }
            Happened::Waited => What::Wait { woken_by: Wake::of(event.small) },
            Happened::Worked => What::Job { kind: event.kind, location: event.place },
            _ => What::Link { to: event.id },
        };
        Event {
            at: time(event.at),
            took,
            track: track.number(),
            id: if event.happened == Happened::Linked { 0 } else { event.id },
            what,
            cause: event.cause,
            panicked: event.happened == Happened::Panicked,
            iteration: u64::from(iteration),
        }
    }
}
