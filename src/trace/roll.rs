//! All tracks of the process, and who observes all of them.
//!
//! A recorder or a stall watch observes every loop and pool thread there is, and those that come
//! later. One lock guards the roll; it is taken when a track or an observer comes or goes.

use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::ring::{Keeps, Ring};
use super::running::Seen;
use super::track::Track;
use crate::clock::{self, Nanos};

/// How many observe the whole process. Read by pool threads for each job.
static OBSERVERS: AtomicUsize = AtomicUsize::new(0);

/// The shortest limit of a stall watch. `Nanos::MAX` while there is none. Read after each callback
/// that is observed.
static LIMIT: AtomicU64 = AtomicU64::new(Nanos::MAX);

static ROLL: Mutex<Roll> =
    Mutex::new(Roll { tracks: Vec::new(), recorders: Vec::new(), watches: Vec::new() });

/// What the lock guards.
struct Roll {
    /// The tracks that have begun, also those that have ended since.
    tracks: Vec<Weak<Track>>,
    /// Those that record.
    recorders: Vec<Arc<Session>>,
    /// Those that watch for stalls.
    watches: Vec<Arc<Watch>>,
}

/// One recording: a ring for each track.
pub(crate) struct Session {
    /// How many events each ring keeps.
    capacity: usize,
    /// What the rings take and keep.
    keeps: Keeps,
    /// The tracks that there were, also those that have ended since, but for those forgotten.
    tracks: Mutex<Vec<Recorded>>,
}

/// A track of a recording.
#[derive(Clone)]
pub(crate) struct Recorded {
    /// The loop or the pool thread.
    pub(crate) track: Arc<Track>,
    /// Where its events are.
    pub(crate) ring: Arc<Ring>,
    /// How many events it has had.
    pub(crate) written: u64,
    /// There will be no more.
    pub(crate) has_ended: bool,
}

/// What a stall watch is told: each macrotask that took as long as its limit, when that is over.
struct Watch {
    /// In real time.
    limit: Nanos,
    /// When the watch began. Of a macrotask that began before, it is told nothing.
    began: Nanos,
    /// What is not yet taken.
    over: Mutex<Vec<Stalled>>,
}

/// A stall watch, until it is dropped.
pub(crate) struct Watching {
    /// What it is told.
    watch: Arc<Watch>,
    /// Has the loops tell.
    _observer: Observer,
}

/// A macrotask that is over and took long.
#[derive(Clone)]
pub(crate) struct Stalled {
    /// Its loop.
    pub(crate) track: Arc<Track>,
    /// The macrotask, and what ran in it when the shortest limit had passed.
    pub(crate) seen: Seen,
    /// How long it took, in real time.
    pub(crate) took: Nanos,
}

/// So many stalls are kept for a watch whose report does not return. Later ones are dropped.
const STALLS_MAX: usize = 1024;

/// Something that observes the whole process, until it is dropped.
pub(crate) struct Observer(());

fn lock() -> MutexGuard<'static, Roll> {
    ROLL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody observes the whole process.
#[inline]
pub(crate) fn is_observed() -> bool {
    OBSERVERS.load(Ordering::Relaxed) > 0
}

/// A loop or a pool thread begins.
pub(crate) fn join(track: &Arc<Track>) {
    let mut roll = lock();
    roll.tracks.retain(|track| track.strong_count() > 0);
    roll.tracks.push(Arc::downgrade(track));
    if let Some(observed) = track.observed() {
        (0..OBSERVERS.load(Ordering::Relaxed)).for_each(|_| observed.add_observer());
    }
    roll.recorders.iter().for_each(|session| session.add(track));
}

/// The tracks that there are.
pub(crate) fn tracks() -> Vec<Arc<Track>> {
    lock().tracks.iter().filter_map(Weak::upgrade).collect()
}

impl Observer {
    pub(crate) fn begin() -> Observer {
        let roll = lock();
        OBSERVERS.fetch_add(1, Ordering::Relaxed);
        let tracks = roll.tracks.iter().filter_map(Weak::upgrade);
        tracks.filter_map(|track| track.observed()).for_each(|loop_| loop_.add_observer());
        Observer(())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let roll = lock();
        OBSERVERS.fetch_sub(1, Ordering::Relaxed);
        let tracks = roll.tracks.iter().filter_map(Weak::upgrade);
        tracks.filter_map(|track| track.observed()).for_each(|loop_| loop_.remove_observer());
    }
}

impl Session {
    /// Begins to record, all tracks that there are and those that come.
    pub(crate) fn begin(capacity: usize, keeps: Keeps) -> Arc<Session> {
        let session = Arc::new(Session { capacity, keeps, tracks: Mutex::default() });
        let mut roll = lock();
        roll.tracks.iter().filter_map(Weak::upgrade).for_each(|track| session.add(&track));
        roll.recorders.push(session.clone());
        session
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, track: &Arc<Track>) {
        let ring = Arc::new(Ring::new(self.capacity, self.keeps));
        track.add_ring(ring.clone());
        self.lock().push(Recorded { track: track.clone(), ring, written: 0, has_ended: false });
    }

    /// Each track as it is now.
    pub(crate) fn tracks(&self) -> Vec<Recorded> {
        let mut tracks = self.lock().clone();
        tracks.iter_mut().for_each(Recorded::look);
        tracks
    }

    /// Keeps no track any more for which `f` is true.
    pub(crate) fn forget(&self, f: impl Fn(&Track) -> bool) {
        self.lock().retain(|recorded| !f(&recorded.track));
    }

    /// Ends the recording. Returns each track as it is now.
    pub(crate) fn end(self: &Arc<Self>) -> Vec<Recorded> {
        let mut roll = lock();
        roll.recorders.retain(|session| !Arc::ptr_eq(session, self));
        let mut tracks = mem::take(&mut *self.lock());
        for recorded in &mut tracks {
            recorded.look();
            recorded.track.remove_ring(&recorded.ring);
        }
        tracks
    }
}

impl Recorded {
    /// Brings what is known up to date.
    fn look(&mut self) {
        // In this order: what was written before the end is counted.
        self.has_ended = self.track.has_ended();
        self.written = self.ring.written();
    }
}

/// The shortest limit of a stall watch, or `Nanos::MAX`.
#[inline]
pub(crate) fn shortest_limit() -> Nanos {
    LIMIT.load(Ordering::Relaxed)
}

/// Tells the stall watches of a macrotask that has ended. A short lock, beside a stall.
#[cold]
pub(super) fn tell_stalled(stalled: &Stalled) {
    let watches = lock().watches.clone();
    let is_told = |watch: &&Arc<Watch>| watch.limit <= stalled.took && watch.sees(&stalled.seen);
    for watch in watches.iter().filter(is_told) {
        let mut over = watch.lock();
        if over.len() < STALLS_MAX {
            over.push(stalled.clone());
        }
    }
}

impl Roll {
    /// The watches have changed.
    fn set_limit(&self) {
        let shortest = self.watches.iter().map(|watch| watch.limit).min();
        LIMIT.store(shortest.unwrap_or(Nanos::MAX), Ordering::Relaxed);
    }
}

impl Watch {
    /// Whether this macrotask is one that began under the watch.
    ///
    /// One from before may have ended unseen, while nobody observed its loop: it stands there as
    /// though it ran until the loop tells of the next one.
    fn sees(&self, seen: &Seen) -> bool {
        seen.macrotask.since >= self.began
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stalled>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// Begins to watch: all that begins from here on.
    pub(crate) fn begin(limit: Nanos) -> Watching {
        let observer = Observer::begin();
        // Behind the observer: what began before was told, or was not, to others.
        let watch = Arc::new(Watch { limit, began: clock::monotonic(), over: Mutex::default() });
        let mut roll = lock();
        roll.watches.push(watch.clone());
        roll.set_limit();
        Watching { watch, _observer: observer }
    }

    /// What runs at this moment on a loop, if that began under the watch.
    pub(crate) fn look(&self, track: &Track) -> Option<Seen> {
        track.running.look().filter(|seen| self.watch.sees(seen))
    }

    /// What is over since the last call.
    pub(crate) fn take(&self) -> Vec<Stalled> {
        mem::take(&mut *self.watch.lock())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut roll = lock();
        roll.watches.retain(|watch| !Arc::ptr_eq(watch, &self.watch));
        roll.set_limit();
    }
}
