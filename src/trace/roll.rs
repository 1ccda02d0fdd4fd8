//! All tracks of the process, and who observes all of them.
//!
//! A recorder or a stall watch observes every loop and pool thread there is, and those that come
//! later. One lock guards the roll; it is taken when a track or an observer comes or goes.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::ring::Ring;
use super::track::Track;

/// How many observe the whole process. Read by pool threads for each job.
static OBSERVERS: AtomicUsize = AtomicUsize::new(0);

static ROLL: Mutex<Roll> = Mutex::new(Roll { tracks: Vec::new(), recorders: Vec::new() });

/// What the lock guards.
struct Roll {
    /// The tracks that have begun, also those that have ended since.
    tracks: Vec<Weak<Track>>,
    /// Those that record.
    recorders: Vec<Arc<Session>>,
}

/// One recording: a ring for each track.
pub(crate) struct Session {
    /// How many events each ring keeps.
    capacity: usize,
    /// The tracks that there were, also those that have ended since.
    tracks: Mutex<Vec<(Arc<Track>, Arc<Ring>)>>,
}

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
    pub(crate) fn begin(capacity: usize) -> Arc<Session> {
        let session = Arc::new(Session { capacity, tracks: Mutex::default() });
        let mut roll = lock();
        roll.tracks.iter().filter_map(Weak::upgrade).for_each(|track| session.add(&track));
        roll.recorders.push(session.clone());
        session
    }

    fn add(&self, track: &Arc<Track>) {
        let ring = Arc::new(Ring::new(self.capacity));
        track.add_ring(ring.clone());
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner).push((track.clone(), ring));
    }

    /// Ends the recording. Returns each track with its ring and with how many events it had.
    pub(crate) fn end(self: &Arc<Self>) -> Vec<(Arc<Track>, Arc<Ring>, u64)> {
        let mut roll = lock();
        roll.recorders.retain(|session| !Arc::ptr_eq(session, self));
        let tracks = mem::take(&mut *self.tracks.lock().unwrap_or_else(PoisonError::into_inner));
        let with_count = |(track, ring): (Arc<Track>, Arc<Ring>)| {
            let written = ring.written();
            track.remove_ring(&ring);
            (track, ring, written)
        };
        tracks.into_iter().map(with_count).collect()
    }
}
