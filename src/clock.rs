//! The loop's idea of now: real or virtual.
//!
//! The loop caches the time and moves it only where [`Clock::update`] is called, so that all
//! callbacks of a phase agree on it. Timers count from [`Clock::read`] instead, the real time of
//! arming, as in Node. This is the only file that reads the system's clock, here or through `sys`.
//!
//! A virtual clock stands still until the poll phase moves it to the next timer, or until
//! [`time::advance`](crate::time::advance) does. Times are nanoseconds since the loop was made,
//! which in 64 bits last for 584 years.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::sys;

/// Nanoseconds since the loop was made.
pub(crate) type Nanos = u64;

/// The wall clock of a virtual day begins here: the first second of 2000, in UTC.
const VIRTUAL_DAY: Duration = Duration::from_secs(946_684_800);

/// The clock of a loop.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What the nanoseconds count from.
    start: Instant,
    /// The same moment on the system's clock, which is read without the detour through `Instant`:
    /// that takes the time apart into seconds and the rest, and 70 of 95 instructions.
    zero: Nanos,
    /// The cached time.
    now: Cell<Nanos>,
    /// How far a virtual clock is ahead of its cached time: what callbacks have taken in a
    /// simulation since then. Zero on others.
    taken: Cell<Nanos>,
    /// It moves only as it is told.
    is_virtual: bool,
}

impl Clock {
    pub(crate) fn new(is_virtual: bool) -> Clock {
        // In this order, so that the cached time is never ahead of an `Instant` that is read later.
        let start = Instant::now();
        let (now, taken) = (Cell::new(0), Cell::new(0));
        Clock { start, zero: sys::monotonic_nanos(), now, taken, is_virtual }
    }

    /// A worker's virtual clock, which begins at this time of its parent's.
    pub(crate) fn of_worker(parent: (Instant, Nanos)) -> Clock {
        let (now, taken) = (Cell::new(parent.1), Cell::new(0));
        Clock { start: parent.0, zero: 0, now, taken, is_virtual: true }
    }

    /// What the clock of a worker begins with that begins at this time.
    pub(crate) fn for_worker(&self, begins: Nanos) -> (Instant, Nanos) {
        (self.start, begins)
    }

    /// Up to when messages are seen: those sent by loops that are ahead in virtual time are not.
    #[inline]
    pub(crate) fn horizon(&self) -> Nanos {
        if self.is_virtual { self.now.get() } else { Nanos::MAX }
    }

    /// What is added to a time of this clock to give one of [`monotonic`].
    pub(crate) fn zero(&self) -> Nanos {
        self.zero
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// The cached time.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.now.get()
    }

    /// The time at this very moment, without moving the cached one.
    #[inline]
    pub(crate) fn read(&self) -> Nanos {
        if self.is_virtual { self.read_virtual() } else { sys::monotonic_nanos() - self.zero }
    }

    #[cold]
    #[inline(never)]
    fn read_virtual(&self) -> Nanos {
        self.now.get() + self.taken.get()
    }

    /// This very moment on the clock of the process, as [`monotonic`] gives it. `now` was just
    /// [read](Clock::read) here, and if that is real time, nothing else is.
    #[inline]
    pub(crate) fn real(&self, now: Nanos) -> Nanos {
        if self.is_virtual { monotonic() } else { now + self.zero }
    }

    /// Moves the cached time to this moment.
    #[inline]
    pub(crate) fn update(&self) {
        self.now.set(self.read());
        self.taken.set(0);
    }

    /// As [`update`](Clock::update), of a clock that is known to be real. Returns the time.
    #[inline]
    pub(crate) fn update_real(&self) -> Nanos {
        debug_assert!(!self.is_virtual, "a virtual clock moves only as it is told");
        let now = sys::monotonic_nanos() - self.zero;
        self.now.set(now);
        now
    }

    /// The cached time as an [`Instant`].
    pub(crate) fn instant(&self) -> Instant {
        self.instant_at(self.now.get())
    }

    /// A time of this clock as an [`Instant`].
    pub(crate) fn instant_at(&self, time: Nanos) -> Instant {
        self.start + Duration::from_nanos(time)
    }

    /// The time of day: the system's, or on a virtual clock a day of its own and `ahead` more, in
    /// nanoseconds.
    pub(crate) fn wall(&self, ahead: i64) -> SystemTime {
        if !self.is_virtual {
            return SystemTime::now();
        }
        let time = SystemTime::UNIX_EPOCH + VIRTUAL_DAY + Duration::from_nanos(self.read());
        let jump = Duration::from_nanos(ahead.unsigned_abs());
        if ahead < 0 { time - jump } else { time + jump }
    }

    /// A moment as a time of this clock.
    pub(crate) fn nanos_at(&self, moment: Instant) -> Nanos {
        saturating_nanos(moment.saturating_duration_since(self.start))
    }

    /// Moves a virtual clock forward to `time`; never back.
    pub(crate) fn advance_to(&self, time: Nanos) {
        debug_assert!(self.is_virtual, "only a virtual clock can be moved");
        self.update();
        self.now.set(self.now.get().max(time));
    }

    /// What ran just now has taken so long, in a simulation. The cached time does not show it yet.
    pub(crate) fn took(&self, time: Nanos) {
        debug_assert!(self.is_virtual, "a real clock sees by itself what a callback takes");
        let left = Nanos::MAX - self.read();
        self.taken.set(self.taken.get() + time.min(left));
    }

    /// Lets `duration` pass: moves a virtual clock, or keeps the thread busy for that long.
    pub(crate) fn spend(&self, duration: Duration) {
        if self.is_virtual {
            self.advance_to(self.read().saturating_add(saturating_nanos(duration)));
        } else {
            keep_busy(duration);
        }
    }
}

/// Keeps this thread busy for this long.
pub(crate) fn keep_busy(duration: Duration) {
    let end = monotonic().saturating_add(saturating_nanos(duration));
    while monotonic() < end {
        std::hint::spin_loop();
    }
}

/// Nanoseconds of real time since some moment, the same for all threads.
pub(crate) fn monotonic() -> Nanos {
    sys::monotonic_nanos()
}

/// This moment of real time.
pub(crate) fn real_moment() -> Instant {
    Instant::now()
}

/// A duration in nanoseconds, at most `u64::MAX`.
pub(crate) fn saturating_nanos(duration: Duration) -> Nanos {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

/// Measures real time from start to stop; readable from any thread meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    /// The moment of the start, once there was one.
    started: OnceLock<Instant>,
    /// It was stopped, for good.
    stopped: AtomicBool,
}

impl Stopwatch {
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// None before the start and after the stop.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        self.started.get().filter(|_| !self.is_stopped()).map(Instant::elapsed)
    }
}
