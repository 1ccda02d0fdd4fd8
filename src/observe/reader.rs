//! What was read of the rings of a recorder, and what is read next.
//!
//! The rings belong to the threads that are observed, which write and wait for nobody. All that a
//! reader keeps is its own: for each track, up to which event it has read. So each event is read
//! once, or counted as lost when it was overwritten before.
//!
//! A cut through several rings is to be one moment: what happened on one track because of something
//! on another must not be read before it. The rings are looked at one after the other, so what
//! happened after the moment at which the reader began is left for the next time.

use std::collections::HashMap;

use super::recorder::{Event, Recording};
use crate::clock::Nanos;
use crate::trace::roll::Recorded;

/// How far all tracks were read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// By the number of the track.
    tracks: HashMap<u32, Read>,
}

/// How far a track was read.
#[derive(Debug, Default)]
struct Read {
    /// So many of its events were read or lost.
    until: u64,
    /// The iteration of the last one.
    iteration: u32,
    /// So many of its events had found no place.
    refused: u64,
}

/// What was read of a track at one time.
#[cfg_attr(not(feature = "inspect"), allow(dead_code))] // A recording asks for less.
pub(crate) struct Part {
    /// The number of the track.
    pub(crate) track: u32,
    /// The event that names the track.
    pub(crate) name: Event,
    /// It is read for the first time.
    pub(crate) is_new: bool,
    /// The track is a loop's.
    pub(crate) is_loop: bool,
    /// The recording has all of the track, from its beginning.
    pub(crate) is_from_start: bool,
    /// The events, as they were told.
    pub(crate) events: Vec<Event>,
    /// How many were lost: before these, or behind them if the first ones are kept.
    pub(crate) lost: u64,
    /// Nothing is left, and nothing will come.
    pub(crate) is_over: bool,
}

impl Reader {
    /// Reads what was not read yet, up to this `moment` of the process, or all. Times count from
    /// `start`.
    pub(super) fn read(
        &mut self,
        recorded: &[Recorded],
        start: Nanos,
        moment: Option<Nanos>,
    ) -> Vec<Part> {
        let parts = recorded.iter().map(|one| {
            let number = one.track.number();
            let is_new = !self.tracks.contains_key(&number);
            let read = self.tracks.entry(number).or_default();
            let mut events = Vec::new();
            let lost = read.go_on(one, start, moment, &mut events);
            let is_over = one.has_ended && read.until == one.written;
            if is_over {
                self.tracks.remove(&number);
            }
            Part {
                track: number,
                name: Event::of_track(&one.track),
                is_new,
                is_loop: one.track.is_of_loop(),
                is_from_start: one.ring.is_from_start(),
                events,
                lost,
                is_over,
            }
        });
        parts.collect()
    }
}

impl Read {
    /// Reads on in a track. Returns how many events were lost.
    fn go_on(
        &mut self,
        recorded: &Recorded,
        start: Nanos,
        moment: Option<Nanos>,
        events: &mut Vec<Event>,
    ) -> u64 {
        let Recorded { track, ring, written, .. } = recorded;
        let first = ring.first_kept(*written).max(self.until);
        let mut lost = first - self.until;
        self.until = first;
        for number in first..*written {
            match ring.get(number) {
                None => lost += 1,
                Some(event) if moment.is_some_and(|it| track.is_after(event.ended(), it)) => break,
                Some(event) => {
                    if !event.happened.is_without_iteration() {
                        self.iteration = event.iteration;
                    }
                    events.push(Event::new(start, track, self.iteration, &event));
                }
            }
            self.until = number + 1;
        }
        let refused = ring.set_read(self.until);
        lost + refused - std::mem::replace(&mut self.refused, refused)
    }
}

impl Recording {
    /// Of these parts: the names of the tracks that are new, then all events in the order of their
    /// times.
    pub(super) fn of_parts(parts: Vec<Part>) -> Recording {
        let (mut all, mut events, mut dropped) = (Vec::new(), Vec::new(), 0);
        for mut part in parts {
            if part.is_new {
                all.push(part.name);
            }
            events.append(&mut part.events);
            dropped += part.lost;
        }
        // On one track they are in order of execution, also those of one moment.
        events.sort_by_key(|event| event.at);
        all.append(&mut events);
        Recording::new(all, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Phase;
    use crate::trace::ring::{self, Happened, Keeps, Ring};
    use crate::trace::track::Track;
    use std::sync::Arc;

    /// A track of which a test writes the events.
    fn recorded(capacity: usize) -> Recorded {
        let (track, ring) = (Track::new(), Arc::new(Ring::new(capacity, Keeps::NewestDetails)));
        Recorded { track, ring, written: 0, has_ended: false }
    }

    impl Recorded {
        /// Writes an event of this time.
        fn write(&mut self, at: Nanos) {
            self.ring.write(&ring::Event {
                happened: Happened::Drained,
                at,
                took: 1_000_000,
                id: 0,
                cause: 0,
                kind: "",
                place: None,
                phase: Phase::Main,
                small: 0,
                iteration: at as u32,
            });
            self.written += 1;
        }
    }

    /// The times of the details of a part, and how many were lost.
    fn read(reader: &mut Reader, recorded: &[Recorded], moment: Nanos) -> (Vec<u128>, u64) {
        let part = Recording::of_parts(reader.read(recorded, 0, Some(moment)));
        let details =
            part.events().iter().filter(|it| !matches!(it.what, super::super::What::Track { .. }));
        (details.map(|event| event.at.as_nanos()).collect(), part.dropped())
    }

    #[test]
    fn each_event_is_read_once_or_counted_as_lost() {
        let (mut reader, mut tracks) = (Reader::default(), [recorded(4)]);
        (1..=3).for_each(|at| tracks[0].write(at));
        assert_eq!(read(&mut reader, &tracks, 100), (vec![1, 2, 3], 0));
        assert_eq!(read(&mut reader, &tracks, 100), (vec![], 0));
        (4..=10).for_each(|at| tracks[0].write(at));
        assert_eq!(read(&mut reader, &tracks, 100), (vec![7, 8, 9, 10], 3));
    }

    #[test]
    fn what_happened_after_the_moment_is_left_for_the_next_time() {
        let (mut reader, mut tracks) = (Reader::default(), [recorded(8), recorded(8)]);
        [1, 3, 5].iter().for_each(|at| tracks[0].write(*at));
        [2, 4, 6].iter().for_each(|at| tracks[1].write(*at));
        assert_eq!(read(&mut reader, &tracks, 4), (vec![1, 2, 3, 4], 0));
        assert_eq!(read(&mut reader, &tracks, 9), (vec![5, 6], 0));
    }

    #[test]
    fn a_track_is_named_once_and_forgotten_when_nothing_is_left_of_it() {
        let (mut reader, mut tracks) = (Reader::default(), [recorded(8)]);
        [1, 5].iter().for_each(|at| tracks[0].write(*at));
        let mut read = |tracks: &[Recorded], moment| {
            let part = reader.read(tracks, 0, Some(moment)).remove(0);
            (part.is_new, part.events.len(), part.is_over)
        };
        assert_eq!(read(&tracks, 0), (true, 0, false));
        tracks[0].has_ended = true;
        assert_eq!(read(&tracks, 4), (false, 1, false));
        assert_eq!(read(&tracks, 5), (false, 1, true));
    }
}
