//! The newest events of a track: written by its thread, readable by any thread.
//!
//! An event is one cache line. One thread writes, round and round, over the oldest events; it waits
//! for nobody. A slot says which event it holds, so a reader that was overtaken knows it, and an
//! event that was overwritten is counted as dropped.
#![allow(unsafe_code)] // One of the files that tests/tidy.rs lists.

use std::panic::Location;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

use super::running::{pointer, text};
use super::{Phase, Wake};
use crate::clock::Nanos;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Happened {
    /// A callback has run.
    Called,
    /// A callback has run and panicked.
    Panicked,
    /// The loop has waited. `kind` is empty.
    Waited,
    /// A pool thread has run a job.
    Worked,
    /// What had been asked for before was asked for again. `id` is what was asked for.
    Linked,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) happened: Happened,
    /// When it began.
    pub(crate) at: Nanos,
    /// How long it took.
    pub(crate) took: Nanos,
    /// The id of the callback or job. Zero for others.
    pub(crate) id: u64,
    /// The callback or job in which it was scheduled. Zero for none.
    pub(crate) cause: u64,
    /// The kind of callback or job.
    pub(crate) kind: &'static str,
    /// The line that registered it.
    pub(crate) place: Option<&'static Location<'static>>,
    /// The phase in which it ran.
    pub(crate) phase: Phase,
    /// What ended a wait.
    pub(crate) woken_by: Wake,
    /// The number of the loop's iteration, less whole rounds of 2^32.
    pub(crate) iteration: u32,
}

/// The place of one event.
#[derive(Default)]
#[repr(align(64))]
struct Slot {
    /// Twice the event's number, plus one while it is being written, plus two when it is whole.
    version: AtomicU64,
    /// See [`Event::at`].
    at: AtomicU64,
    /// See [`Event::took`].
    took: AtomicU64,
    /// See [`Event::id`].
    id: AtomicU64,
    /// See [`Event::cause`].
    cause: AtomicU64,
    /// See [`Event::kind`].
    kind: AtomicPtr<u8>,
    /// See [`Event::place`].
    place: AtomicPtr<Location<'static>>,
    /// The rest, from the lowest byte: what happened and, in its upper half, the wake; the phase;
    /// two bytes for the length of the kind; four for the iteration.
    rest: AtomicU64,
}

/// A ring of events.
pub(crate) struct Ring {
    /// As many as were asked for.
    slots: Box<[Slot]>,
    /// How many events have been written.
    written: AtomicU64,
    /// The place of the next one. Only the writer reads it.
    next: AtomicUsize,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Ring {
        Ring {
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            written: AtomicU64::new(0),
            next: AtomicUsize::new(0),
        }
    }

    /// Adds an event. On the track's thread.
    #[inline]
    pub(crate) fn write(&self, event: &Event) {
        let number = self.written.load(Ordering::Relaxed);
        // A place that goes round: a division would take as long as all the rest.
        let place = self.next.load(Ordering::Relaxed);
        if let Some(slot) = self.slots.get(place) {
            self.next.store(
                if place + 1 == self.slots.len() { 0 } else { place + 1 },
                Ordering::Relaxed,
            );
            slot.version.store(number * 2 + 1, Ordering::Relaxed);
            fence(Ordering::Release);
            slot.write(event);
            slot.version.store(number * 2 + 2, Ordering::Release);
        }
        self.written.store(number + 1, Ordering::Release);
    }

    /// How many events have been written, kept or not.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Those of the first `written` events that are still there, in order. From any thread.
    pub(crate) fn read(&self, written: u64) -> impl Iterator<Item = Event> {
        let first = written.saturating_sub(self.slots.len() as u64);
        (first..written).filter_map(|number| {
            self.slots[(number % self.slots.len() as u64) as usize].read(number)
        })
    }
}

impl Slot {
    #[inline]
    fn write(&self, event: &Event) {
        // A name of 64 KiB is none.
        let kind = if event.kind.len() <= usize::from(u16::MAX) { event.kind } else { "" };
        let rest = event.happened as u64
            | (event.woken_by as u64) << 4
            | (event.phase as u64) << 8
            | (kind.len() as u64) << 16
            | u64::from(event.iteration) << 32;
        self.at.store(event.at, Ordering::Relaxed);
        self.took.store(event.took, Ordering::Relaxed);
        self.id.store(event.id, Ordering::Relaxed);
        self.cause.store(event.cause, Ordering::Relaxed);
        self.kind.store(kind.as_ptr().cast_mut(), Ordering::Relaxed);
        self.place.store(pointer(event.place), Ordering::Relaxed);
        self.rest.store(rest, Ordering::Relaxed);
    }

    /// The event with this number, if it is there and whole.
    fn read(&self, number: u64) -> Option<Event> {
        let version = self.version.load(Ordering::Acquire);
        let at = self.at.load(Ordering::Relaxed);
        let took = self.took.load(Ordering::Relaxed);
        let id = self.id.load(Ordering::Relaxed);
        let cause = self.cause.load(Ordering::Relaxed);
        let kind = self.kind.load(Ordering::Relaxed);
        let place = self.place.load(Ordering::Relaxed);
        let rest = self.rest.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = number * 2 + 2;
        if version != whole || self.version.load(Ordering::Relaxed) != whole {
            return None;
        }
        let [first, phase, ..] = rest.to_le_bytes();
        let length = usize::from((rest >> 16) as u16);
        let happened = [
            Happened::Called,
            Happened::Panicked,
            Happened::Waited,
            Happened::Worked,
            Happened::Linked,
        ][usize::from(first & 15)];
        // SAFETY: the version says before and after that all of the slot was written by one
        // `write`, so the address and the length are of one string, which was borrowed for 'static;
        // and the place is as `pointer` says.
        let (kind, place) = unsafe { (text(kind, length), place.as_ref()) };
        let (phase, woken_by) = (Phase::of(phase), Wake::of(first >> 4));
        let iteration = (rest >> 32) as u32;
        Some(Event { happened, at, took, id, cause, kind, place, phase, woken_by, iteration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    fn event(number: u64) -> Event {
        Event {
            happened: Happened::Worked,
            at: number,
            took: number + 1,
            id: number * 3,
            cause: number * 5,
            kind: ["timer", "x"][(number % 2) as usize],
            place: (!number.is_multiple_of(3)).then(Location::caller),
            phase: Phase::Close,
            woken_by: Wake::Stop,
            iteration: number as u32,
        }
    }

    fn check(seen: &Event) {
        let expected = event(seen.at);
        assert_eq!((seen.took, seen.id, seen.cause), (seen.at + 1, seen.at * 3, seen.at * 5));
        assert_eq!((seen.kind, seen.iteration), (expected.kind, expected.iteration));
        assert_eq!(seen.place.is_some(), expected.place.is_some());
        assert_eq!((seen.happened, seen.phase), (Happened::Worked, Phase::Close));
        assert_eq!(seen.woken_by, Wake::Stop);
    }

    #[test]
    fn the_newest_events_are_kept_in_order() {
        let ring = Ring::new(4);
        for number in 0..10 {
            ring.write(&event(number));
            let first = (number + 1).saturating_sub(4);
            let kept: Vec<_> = ring.read(ring.written()).collect();
            kept.iter().for_each(check);
            assert!(kept.iter().map(|event| event.at).eq(first..=number));
        }
        assert_eq!(ring.written(), 10);
    }

    #[test]
    fn a_ring_without_room_counts() {
        let ring = Ring::new(0);
        ring.write(&event(1));
        assert_eq!((ring.written(), ring.read(1).count()), (1, 0));
    }

    #[test]
    fn a_reader_that_is_overtaken_sees_whole_events_only() {
        let (ring, over) = (Ring::new(8), AtomicBool::new(false));
        let rounds = if cfg!(miri) { 200 } else { 200_000 };
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..rounds).for_each(|number| ring.write(&event(number)));
                over.store(true, Ordering::Relaxed);
            });
            while !over.load(Ordering::Relaxed) {
                ring.read(ring.written()).for_each(|event| check(&event));
            }
        });
        assert_eq!(ring.read(ring.written()).count(), 8);
    }

    #[test]
    fn an_event_is_one_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }
}
