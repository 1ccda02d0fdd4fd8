//! The newest events of a track: written by its thread, readable by any thread.
//!
//! An event is one cache line. One thread writes, round and round, over the oldest events; it waits
//! for nobody. A slot says which event it holds, so a reader that was overtaken knows it, and an
//! event that was overwritten is counted as dropped. A ring for a reader that comes again and again
//! may keep the first events instead: then it waits for that reader, and the thread does not; what
//! has no place is counted.
#![allow(unsafe_code)] // One of the files that tests/tidy.rs lists.

use std::panic::Location;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

use super::Phase;
use super::running::{pointer, text};
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

    // ----- Details, for recorders that want them: see `observe::Detail` -----
    /// All that there is on the loop follows.
    Told,
    /// A turn begins.
    TurnBegan,
    /// A turn has ended.
    TurnEnded,
    /// An iteration begins.
    Iteration,
    /// A phase begins that has something to call.
    Phase,
    /// The poll begins.
    Poll,
    /// The poll has ended its wait.
    Polled,
    /// The loop is torn down.
    Ended,
    /// A callback begins.
    Began,
    /// A callback has returned.
    Returned,
    /// It has panicked.
    Unwound,
    /// The queues were drained.
    Drained,
    /// Something was put in a queue.
    Queued,
    /// Something was taken out of a queue, to be called.
    Taken,
    /// A timer waits.
    Armed,
    /// A timer waits anew.
    Refreshed,
    /// A timer or an immediate was cleared.
    Cleared,
    /// A handle or a request was opened.
    Opened,
    /// Whether it is active has changed.
    Active,
    /// Whether a request of it is pending has changed.
    Busy,
    /// Whether a thing may keep the loop alive has changed.
    Referenced,
    /// A handle or a request has ended.
    Closed,
    /// The mailbox was emptied.
    Fetched,
    /// A job was submitted.
    Submitted,
    /// A job was refused at once.
    Refused,
    /// A pool thread has begun a job.
    Started,
    /// A job has ended.
    Finished,
    /// A job will not run any more.
    Withdrawn,
    /// A handle receives what comes to a port.
    Receives,
    /// A message was sent.
    Posted,
    /// A message was handed on.
    Delivered,
    /// Messages were dropped.
    Dropped,
    /// A worker was started.
    Spawned,
    /// A worker's loop has begun.
    Online,
    /// A worker's failure has come to its parent.
    Failed,
    /// A worker's end has come to its parent.
    Exited,
}

impl Happened {
    /// All, in the order of their numbers.
    const ALL: [Happened; 41] = {
        use Happened::*;
        [
            Called, Panicked, Waited, Worked, Linked, Told, TurnBegan, TurnEnded, Iteration, Phase,
            Poll, Polled, Ended, Began, Returned, Unwound, Drained, Queued, Taken, Armed,
            Refreshed, Cleared, Opened, Active, Busy, Referenced, Closed, Fetched, Submitted,
            Refused, Started, Finished, Withdrawn, Receives, Posted, Delivered, Dropped, Spawned,
            Online, Failed, Exited,
        ]
    };

    /// Whether it is a detail.
    pub(crate) fn is_detail(self) -> bool {
        self as u8 >= Happened::Told as u8
    }

    /// Whether the event has another number in place of its iteration.
    pub(crate) fn is_without_iteration(self) -> bool {
        matches!(self, Happened::Armed | Happened::Refreshed)
    }
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) happened: Happened,
    /// When it began.
    pub(crate) at: Nanos,
    /// How long it took; the amount of a detail.
    pub(crate) took: Nanos,
    /// The id of the callback or job; the number of a detail. Zero for others.
    pub(crate) id: u64,
    /// The callback or job in which it was scheduled. Zero for none.
    pub(crate) cause: u64,
    /// The kind of callback or job.
    pub(crate) kind: &'static str,
    /// The line that registered it.
    pub(crate) place: Option<&'static Location<'static>>,
    /// The phase in which it ran.
    pub(crate) phase: Phase,
    /// What ended a wait, or another number below 16.
    pub(crate) small: u8,
    /// The number of the loop's iteration, less whole rounds of 2^32.
    pub(crate) iteration: u32,
}

impl Event {
    /// When it was over: a detail has no length.
    pub(crate) fn ended(&self) -> Nanos {
        if self.happened.is_detail() { self.at } else { self.at + self.took }
    }
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
    /// The rest, from the lowest byte: what happened; the phase and, in its upper half, the small
    /// number; two bytes for the length of the kind; four for the iteration.
    rest: AtomicU64,
}

/// What a ring takes, and what it keeps when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Callbacks, jobs and waits: the newest.
    Newest,
    /// Details too: the newest.
    NewestDetails,
    /// Details too: the first ones since the reader has come to what was there. What comes when it
    /// is full is counted.
    FirstDetails,
}

/// A ring of events.
pub(crate) struct Ring {
    /// As many as were asked for.
    slots: Box<[Slot]>,
    /// What it takes and keeps.
    keeps: Keeps,
    /// How often a reader has asked for all that there is, which is to be told to it: once when it
    /// begins.
    asked: AtomicU32,
    /// The number of asks that were answered. Only the writer uses it.
    answered: AtomicU32,
    /// It is as old as its track. So it need not be told what there was.
    is_from_start: AtomicBool,
    /// So many events the reader has come to. For [`Keeps::FirstDetails`].
    read: AtomicU64,
    /// How many events came when it was full. For [`Keeps::FirstDetails`].
    refused: AtomicU64,
    /// How many events have been written.
    written: AtomicU64,
    /// The place of the next one. Only the writer reads it.
    next: AtomicUsize,
}

impl Ring {
    pub(crate) fn new(capacity: usize, keeps: Keeps) -> Ring {
        Ring {
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            keeps,
            asked: AtomicU32::new(1),
            answered: AtomicU32::new(0),
            is_from_start: AtomicBool::new(false),
            read: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            written: AtomicU64::new(0),
            next: AtomicUsize::new(0),
        }
    }

    /// Whether it takes details.
    pub(crate) fn is_detailed(&self) -> bool {
        self.keeps != Keeps::Newest
    }

    /// The number of the ask for all that there is which is still to be answered, if one is.
    pub(crate) fn is_asking(&self) -> Option<u32> {
        let asked = self.asked.load(Ordering::Acquire);
        (self.is_detailed() && asked != self.answered.load(Ordering::Relaxed)).then_some(asked)
    }

    /// This ask was answered.
    pub(crate) fn answer(&self, asked: u32) {
        self.answered.store(asked, Ordering::Relaxed);
    }

    /// The track begins: there is nothing on it yet, and nobody need be told so.
    pub(crate) fn set_from_start(&self) {
        self.is_from_start.store(true, Ordering::Relaxed);
        self.answer(self.asked.load(Ordering::Relaxed));
    }

    /// Whether it is as old as its track.
    pub(crate) fn is_from_start(&self) -> bool {
        self.is_from_start.load(Ordering::Relaxed)
    }

    /// Asks for all that there is. From any thread.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Release);
    }

    /// The reader has come to so many events, of those that it keeps in order. Their places are
    /// free. Returns how many were refused so far for want of such.
    pub(crate) fn set_read(&self, count: u64) -> u64 {
        self.read.store(count, Ordering::Release);
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether an event has no place, and is counted instead.
    #[inline]
    fn refuses(&self, number: u64) -> bool {
        let is_full = self.keeps == Keeps::FirstDetails
            && number - self.read.load(Ordering::Acquire) >= self.slots.len() as u64;
        if is_full {
            let refused = self.refused.load(Ordering::Relaxed);
            self.refused.store(refused + 1, Ordering::Relaxed);
        }
        is_full
    }

    /// Adds an event. On the track's thread.
    #[inline]
    pub(crate) fn write(&self, event: &Event) {
        let number = self.written.load(Ordering::Relaxed);
        if self.refuses(number) {
            return;
        }
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

    /// The first one of the first `written` events that is perhaps still there.
    pub(crate) fn first_kept(&self, written: u64) -> u64 {
        written.saturating_sub(self.slots.len() as u64)
    }

    /// The event with this number, if it is there and whole. From any thread.
    pub(crate) fn get(&self, number: u64) -> Option<Event> {
        let place = number.checked_rem(self.slots.len() as u64)?;
        self.slots[place as usize].read(number)
    }
}

impl Slot {
    #[inline]
    fn write(&self, event: &Event) {
        // A name of 64 KiB is none.
        let kind = if event.kind.len() <= usize::from(u16::MAX) { event.kind } else { "" };
        let rest = event.happened as u64
            | (event.phase as u64) << 8
            | u64::from(event.small) << 12
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
        let [happened, phase, ..] = rest.to_le_bytes();
        let length = usize::from((rest >> 16) as u16);
        let happened = Happened::ALL[usize::from(happened)];
        // SAFETY: the version says before and after that all of the slot was written by one
        // `write`, so the address and the length are of one string, which was borrowed for 'static;
        // and the place is as `pointer` says.
        let (kind, place) = unsafe { (text(kind, length), place.as_ref()) };
        let (phase, small) = (Phase::of(phase & 15), phase >> 4);
        let iteration = (rest >> 32) as u32;
        Some(Event { happened, at, took, id, cause, kind, place, phase, small, iteration })
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
            small: 11,
            iteration: number as u32,
        }
    }

    /// All events that are there, in order.
    fn read(ring: &Ring) -> impl Iterator<Item = Event> {
        let written = ring.written();
        (ring.first_kept(written)..written).filter_map(|number| ring.get(number))
    }

    fn check(seen: &Event) {
        let expected = event(seen.at);
        assert_eq!((seen.took, seen.id, seen.cause), (seen.at + 1, seen.at * 3, seen.at * 5));
        assert_eq!((seen.kind, seen.iteration), (expected.kind, expected.iteration));
        assert_eq!(seen.place.is_some(), expected.place.is_some());
        assert_eq!((seen.happened, seen.phase), (Happened::Worked, Phase::Close));
        assert_eq!(seen.small, 11);
    }

    #[test]
    fn the_newest_events_are_kept_in_order() {
        let ring = Ring::new(4, Keeps::Newest);
        for number in 0..10 {
            ring.write(&event(number));
            let first = (number + 1).saturating_sub(4);
            let kept: Vec<_> = read(&ring).collect();
            kept.iter().for_each(check);
            assert!(kept.iter().map(|event| event.at).eq(first..=number));
        }
        assert_eq!(ring.written(), 10);
    }

    #[test]
    fn a_ring_that_keeps_the_first_ones_counts_the_others_until_it_was_read() {
        let ring = Ring::new(3, Keeps::FirstDetails);
        (0..5).for_each(|number| ring.write(&event(number)));
        assert!(read(&ring).map(|event| event.at).eq(0..3));
        assert_eq!((ring.written(), ring.set_read(2)), (3, 2));
        (5..8).for_each(|number| ring.write(&event(number)));
        assert!(read(&ring).map(|event| event.at).eq([2, 5, 6]));
        assert_eq!(ring.set_read(5), 3);
        (8..10).for_each(|number| ring.write(&event(number)));
        assert_eq!((ring.written(), ring.set_read(7)), (7, 3));
    }

    #[test]
    fn an_ask_that_comes_while_another_is_answered_is_not_lost() {
        let ring = Ring::new(1, Keeps::FirstDetails);
        let first = ring.is_asking().unwrap();
        ring.ask();
        ring.answer(first);
        let second = ring.is_asking().unwrap();
        ring.answer(second);
        assert_eq!(ring.is_asking(), None);
        assert_eq!(Ring::new(1, Keeps::Newest).is_asking(), None);
    }

    #[test]
    fn a_ring_without_room_counts() {
        let ring = Ring::new(0, Keeps::Newest);
        ring.write(&event(1));
        assert_eq!((ring.written(), read(&ring).count()), (1, 0));
    }

    #[test]
    fn a_reader_that_is_overtaken_sees_whole_events_only() {
        let (ring, over) = (Ring::new(8, Keeps::Newest), AtomicBool::new(false));
        let rounds = if cfg!(miri) { 200 } else { 200_000 };
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..rounds).for_each(|number| ring.write(&event(number)));
                over.store(true, Ordering::Relaxed);
            });
            while !over.load(Ordering::Relaxed) {
                read(&ring).for_each(|event| check(&event));
            }
        });
        assert_eq!(read(&ring).count(), 8);
    }

    #[test]
    fn what_happened_is_read_as_it_was_written() {
        let ring = Ring::new(Happened::ALL.len(), Keeps::NewestDetails);
        Happened::ALL.iter().for_each(|it| ring.write(&Event { happened: *it, ..event(0) }));
        assert!(read(&ring).map(|event| event.happened).eq(Happened::ALL));
    }

    #[test]
    fn an_event_is_one_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }
}
