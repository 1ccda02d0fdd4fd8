//! What runs now on a loop: written by its loop, readable by any thread.
//!
//! A parent whose worker does not come round wants to know in which callback it is, and a stall
//! watch which callback blocks a loop. The loop cannot be asked, so each call leaves its place
//! here: a plain store, as cheap as one to a cell. While somebody observes, the rest is written
//! too.
//!
//! One writer, any number of readers. A reader looks at `version` before and after: an odd one, or
//! two that differ, and it looks again.
#![allow(unsafe_code)] // One of the files that tests/tidy.rs lists.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

use super::Phase;
use super::origin::Origin;
use crate::clock::Nanos;

/// What runs now. Only its loop writes.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The registration of the callback that runs, if that was recorded. Also while nobody
    /// observes.
    place: AtomicPtr<Location<'static>>,
    /// Odd while the fields below are being written.
    version: AtomicU64,
    /// The number of the macrotask that runs, with the drain that follows it. Zero: none does.
    macrotask: AtomicU64,
    /// Which phase the macrotask belongs to.
    phase: AtomicU8,
    /// The kind of what runs at this moment: a tick of the drain is named as such.
    kind: AtomicPtr<u8>,
    /// The length of that name in bytes.
    kind_length: AtomicUsize,
    /// The line that registered what runs at this moment.
    registered: AtomicPtr<Location<'static>>,
    /// When the macrotask began, on the clock of the process.
    since: AtomicU64,
    /// The immediates, ticks and microtasks that were queued when the macrotask began.
    queued: AtomicUsize,
}

/// A macrotask that begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// Its number on its loop, from one on.
    pub(crate) number: u64,
    /// Its phase.
    pub(crate) phase: Phase,
    /// When it began, in real time, also of a loop in virtual time.
    pub(crate) since: Nanos,
    /// The immediates, ticks and microtasks that were queued then.
    pub(crate) queued: usize,
}

/// What ran on a loop when somebody looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The macrotask.
    pub(crate) macrotask: Begun,
    /// The kind of what ran.
    pub(crate) kind: &'static str,
    /// The line that registered what ran.
    pub(crate) place: Option<&'static Location<'static>>,
}

/// How often a reader looks again before it leaves it at that: the loop is not stuck, for it
/// writes.
const LOOKS: u32 = 100;

impl Running {
    #[inline]
    pub(crate) fn set(&self, place: Option<&'static Location<'static>>) {
        self.place.store(pointer(place), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static Location<'static>> {
        // SAFETY: only `set` writes here, see `pointer`.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    /// A macrotask has begun.
    pub(crate) fn begin(&self, macrotask: Begun, what: Origin) {
        self.write(what, || {
            self.macrotask.store(macrotask.number, Ordering::Relaxed);
            self.phase.store(macrotask.phase as u8, Ordering::Relaxed);
            self.since.store(macrotask.since, Ordering::Relaxed);
            self.queued.store(macrotask.queued, Ordering::Relaxed);
        });
    }

    /// Something of the macrotask runs, or the same callback is known better.
    pub(crate) fn go_on(&self, what: Origin) {
        self.write(what, || ());
    }

    /// The macrotask has ended, with its drain.
    pub(crate) fn end(&self) {
        self.macrotask.store(0, Ordering::Release);
    }

    fn write(&self, what: Origin, more: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.kind.store(what.kind.as_ptr().cast_mut(), Ordering::Relaxed);
        self.kind_length.store(what.kind.len(), Ordering::Relaxed);
        self.registered.store(pointer(what.place), Ordering::Relaxed);
        more();
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What runs at this moment, from any thread. None if nothing does, or if it changes too fast
    /// to be seen.
    pub(crate) fn look(&self) -> Option<Seen> {
        (0..LOOKS).find_map(|_| self.look_once()).flatten()
    }

    /// None if the loop was writing.
    fn look_once(&self) -> Option<Option<Seen>> {
        let version = self.version.load(Ordering::Acquire);
        let number = self.macrotask.load(Ordering::Acquire);
        if number == 0 {
            return Some(None);
        }
        let phase = Phase::of(self.phase.load(Ordering::Relaxed));
        let since = self.since.load(Ordering::Relaxed);
        let queued = self.queued.load(Ordering::Relaxed);
        let (kind, length) =
            (self.kind.load(Ordering::Relaxed), self.kind_length.load(Ordering::Relaxed));
        let registered = self.registered.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        // SAFETY: the version was even and the same before and after, so both were written by one
        // `write`, from a string that is borrowed for 'static; see `pointer` for the other.
        let (kind, place) = unsafe { (text(kind, length), registered.as_ref()) };
        Some(Some(Seen { macrotask: Begun { number, phase, since, queued }, kind, place }))
    }
}

/// As a pointer that is only ever read through: null, or the address of a location that is borrowed
/// for 'static and that nobody may change.
#[inline]
pub(super) fn pointer(place: Option<&'static Location<'static>>) -> *mut Location<'static> {
    place.map_or(ptr::null_mut(), |place| ptr::from_ref(place).cast_mut())
}

/// # Safety
/// Both come from one string that is borrowed for 'static.
pub(super) unsafe fn text(bytes: *const u8, length: usize) -> &'static str {
    // SAFETY: the caller's promise.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(bytes, length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    #[test]
    fn what_is_seen_was_written_together() {
        let (running, over) = (Running::default(), AtomicBool::new(false));
        let rounds = if cfg!(miri) { 200 } else { 100_000 };
        thread::scope(|scope| {
            scope.spawn(|| {
                let kinds = ["a", "bb", "ccc", "dddd"];
                for round in 1..rounds {
                    let kind = kinds[round % 4];
                    let (number, since, phase) = (round as u64, round as u64, Phase::Poll);
                    let begun = Begun { number, phase, since, queued: round };
                    running.begin(begun, Origin::unknown(kind));
                }
                over.store(true, Ordering::Relaxed);
            });
            while !over.load(Ordering::Relaxed) {
                let Some(seen) = running.look() else { continue };
                let Begun { number, since, queued, .. } = seen.macrotask;
                assert_eq!((queued as u64, since), (number, number));
                assert_eq!(seen.kind.len(), queued % 4 + 1);
            }
        });
        running.end();
        assert!(running.look().is_none());
    }
}
