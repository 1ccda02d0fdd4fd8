//! A track: a loop or a pool thread, as those who observe it see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::delays::Delays;
#[cfg(feature = "inspect")]
use super::delays::Histogram;
use super::ring::Ring;
use super::running::Running;
#[cfg(feature = "inspect")]
use super::seen::{LoopSeen, PoolThread};
use crate::clock::{self, Nanos};

/// What observers ask of a loop from another thread.
pub(crate) trait Observed: Send + Sync {
    /// One more observes the loop.
    fn add_observer(&self);

    /// One less does.
    fn remove_observer(&self);

    /// What waits in the loop's mailbox.
    fn waiting(&self) -> usize;

    /// What a view sees of the loop. None once it has ended, also while something of it is held.
    #[cfg(feature = "inspect")]
    fn look(&self) -> Option<LoopSeen>;

    /// Ends the loop's sleep, so that it comes round and says what was asked for. One in virtual
    /// time is left alone.
    #[cfg(feature = "inspect")]
    fn wake(&self);
}

/// A loop or a pool thread, as those who observe it see it. It outlives the loop.
pub(crate) struct Track {
    /// Unique in the process.
    number: u32,
    /// The loop's or thread's name, once it is known.
    name: OnceLock<String>,
    /// The number of the worker whose loop it is. Zero: another loop's, or a pool thread's.
    worker: AtomicU64,
    /// What runs now.
    pub(crate) running: Running,
    /// Where its events go: one ring for each recorder.
    rings: Mutex<Vec<Arc<Ring>>>,
    /// Counts the changes of `rings`, for its thread, which has a list of its own.
    changes: AtomicU32,
    /// The loop's side that others see. Empty for a pool thread.
    observed: OnceLock<Weak<dyn Observed>>,
    /// What others see of a pool thread. Empty for a loop.
    #[cfg(feature = "inspect")]
    pool_thread: OnceLock<Weak<dyn PoolThread>>,
    /// How long iterations keep the loop busy. Empty for a pool thread.
    delays: OnceLock<Arc<Delays>>,
    /// What is added to a time of its clock to give a time of the process.
    zero: AtomicU64,
    /// Its clock is virtual: its times stay as they are.
    is_virtual: AtomicBool,
    /// The loop is being turned, or runs a main script or its exit hooks. Only its thread writes.
    is_turning: AtomicBool,
    /// Nothing will be told on it any more.
    has_ended: AtomicBool,
    /// It is not on the roll, so nobody who observes the process sees it.
    left_out: AtomicBool,
}

/// The number that was given last.
static LAST: AtomicU32 = AtomicU32::new(0);

impl Track {
    pub(crate) fn new() -> Arc<Track> {
        Arc::new(Track {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            name: OnceLock::new(),
            worker: AtomicU64::new(0),
            running: Running::default(),
            rings: Mutex::default(),
            changes: AtomicU32::new(0),
            observed: OnceLock::new(),
            #[cfg(feature = "inspect")]
            pool_thread: OnceLock::new(),
            delays: OnceLock::new(),
            zero: AtomicU64::new(0),
            is_virtual: AtomicBool::new(false),
            is_turning: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            left_out: AtomicBool::new(false),
        })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The name that observers show.
    pub(crate) fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// Names the track, once.
    pub(crate) fn set_name(&self, name: String) {
        self.name.get_or_init(|| name);
    }

    /// The number of the worker whose loop it is, else zero.
    pub(crate) fn worker(&self) -> u64 {
        self.worker.load(Ordering::Relaxed)
    }

    pub(crate) fn set_worker(&self, number: u64) {
        self.worker.store(number, Ordering::Relaxed);
    }

    /// Says what the times of the track's clock count from.
    pub(crate) fn set_clock(&self, zero: Nanos, is_virtual: bool) {
        self.zero.store(zero, Ordering::Relaxed);
        self.is_virtual.store(is_virtual, Ordering::Relaxed);
    }

    /// The time on the clock of a loop in real time.
    pub(crate) fn now(&self) -> Nanos {
        clock::monotonic().saturating_sub(self.zero.load(Ordering::Relaxed))
    }

    /// A time of the track's clock as one since `start`, a time of the process. In virtual time as
    /// it is.
    pub(crate) fn time_since(&self, start: Nanos, time: Nanos) -> Nanos {
        if self.is_virtual.load(Ordering::Relaxed) {
            return time;
        }
        (time + self.zero.load(Ordering::Relaxed)).saturating_sub(start)
    }

    /// Whether a time of the track's clock comes after this moment of the process. No time of a
    /// virtual clock does.
    pub(crate) fn is_after(&self, time: Nanos, moment: Nanos) -> bool {
        !self.is_virtual.load(Ordering::Relaxed)
            && time + self.zero.load(Ordering::Relaxed) > moment
    }

    /// Whether the loop is being turned, or runs a main script or its exit hooks.
    #[inline]
    pub(crate) fn is_turning(&self) -> bool {
        self.is_turning.load(Ordering::Relaxed)
    }

    /// Returns what was said before.
    pub(crate) fn set_turning(&self, on: bool) -> bool {
        let before = self.is_turning();
        self.is_turning.store(on, Ordering::Relaxed);
        before
    }

    /// The track is not to be on the roll.
    pub(crate) fn leave_out(&self) {
        self.left_out.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Nothing will be told on the track any more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Whether nothing will be told any more. What was told before is seen by who has asked this.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Makes the loop's side known, once.
    pub(crate) fn set_observed(&self, observed: Weak<dyn Observed>) {
        self.observed.get_or_init(|| observed);
    }

    /// The loop's side, while the loop is there.
    pub(crate) fn observed(&self) -> Option<Arc<dyn Observed>> {
        self.observed.get()?.upgrade()
    }

    /// Whether it is a loop's, also when that is gone.
    pub(crate) fn is_of_loop(&self) -> bool {
        self.observed.get().is_some()
    }

    /// Makes known what others see of the pool thread, once.
    #[cfg(feature = "inspect")]
    pub(crate) fn set_pool_thread(&self, thread: Weak<dyn PoolThread>) {
        self.pool_thread.get_or_init(|| thread);
    }

    /// What others see of the pool thread, while it is there.
    #[cfg(feature = "inspect")]
    pub(crate) fn pool_thread(&self) -> Option<Arc<dyn PoolThread>> {
        self.pool_thread.get()?.upgrade()
    }

    /// Makes the loop's busy times known, once.
    pub(crate) fn set_delays(&self, delays: Arc<Delays>) {
        self.delays.get_or_init(|| delays);
    }

    /// The busy times of the loop's iterations so far.
    #[cfg(feature = "inspect")]
    pub(crate) fn delays(&self) -> Histogram {
        self.delays.get().map(|delays| delays.histogram()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Ring>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has events written to this ring too.
    pub(super) fn add_ring(&self, ring: Arc<Ring>) {
        self.lock().push(ring);
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn remove_ring(&self, ring: &Arc<Ring>) {
        self.lock().retain(|one| !Arc::ptr_eq(one, ring));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether the rings have changed since `seen`, which is brought up to date.
    #[inline]
    pub(super) fn has_changed(&self, seen: u32) -> bool {
        self.changes.load(Ordering::Acquire) != seen
    }

    /// The rings, and the number of their last change.
    pub(super) fn rings(&self) -> (Vec<Arc<Ring>>, u32) {
        let rings = self.lock();
        (rings.clone(), self.changes.load(Ordering::Acquire))
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("number", &self.number).finish_non_exhaustive()
    }
}
