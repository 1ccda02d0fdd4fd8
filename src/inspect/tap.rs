//! What is taken of the recorder for those who look on, within bounds.
//!
//! A busy loop says more than can be sent or looked at. So each ring keeps the first events that
//! come after it was read, and of the others counts how many there were: a window without a hole.
//! Behind each hole the loop is asked to tell anew all that it holds, and what it says before that
//! is left out, for it would be told of things that nobody knows. A program that says more than is
//! taken is looked at less often: its windows are farther apart, not shorter.

use std::collections::BTreeMap;

use crate::observe::{Detail, Event, Part, Recorder, What};

/// So many events of a thread are kept between two looks: 128 KiB.
const CAPACITY: usize = 2048;

/// So many are sent at once.
const BATCH_MAX: usize = 4096;

/// How many looks are left out after one that found holes.
const LEFT_OUT: u32 = 4;

/// A callback that took less is not told as long.
const LONG: u128 = 100_000;

/// What is taken of the recorder.
pub(super) struct Tap {
    /// It records while somebody looks on.
    recorder: Recorder,
    /// The tracks that there are, by their numbers.
    tracks: BTreeMap<u32, Known>,
    /// So many looks are left out from now on.
    left_out: u32,
}

/// What is known of a track.
struct Known {
    /// The event that names it.
    event: Event,
    /// It is a loop's, which can tell all that it holds.
    is_loop: bool,
    /// What was said of it has no hole since it was told all.
    is_whole: bool,
    /// Nothing was read of it yet.
    is_fresh: bool,
}

impl Tap {
    pub(super) fn begin() -> Tap {
        Tap { recorder: Recorder::live(CAPACITY), tracks: BTreeMap::new(), left_out: 0 }
    }

    /// Has each loop tell anew all that it holds. What it says before that is left out.
    pub(super) fn tell_anew(&mut self) {
        for known in self.tracks.values_mut().filter(|known| known.is_loop) {
            known.is_whole = false;
        }
        self.recorder.ask_all(|_| true);
    }

    /// Writes the names of the tracks.
    pub(super) fn write_tracks(&self, lines: &mut Vec<u8>) {
        self.tracks.values().for_each(|known| write(&known.event, lines));
    }

    /// Takes what there is, if it is time for it, and writes it as lines. Returns how many events
    /// that are, with those that were lost, and callbacks that took long.
    pub(super) fn take(&mut self, at_once: bool, lines: &mut Vec<u8>) -> (u64, Vec<Event>) {
        if self.left_out > 0 && !at_once {
            self.left_out -= 1;
            return (0, Vec::new());
        }
        let mut parts = self.recorder.parts();
        for part in &mut parts {
            self.know(part, lines);
        }
        let (mut count, mut lost) = (0, BTreeMap::new());
        // If there is no room for all, those that say most are cut.
        parts.sort_by_key(|part| part.events.len());
        let (mut room, mut events) = (BATCH_MAX, Vec::new());
        for part in parts {
            let cut = part.events.len().saturating_sub(room);
            let kept = part.events.len() - cut;
            room -= kept;
            count += part.events.len() as u64 + part.lost;
            if part.lost + cut as u64 > 0 {
                lost.insert(part.track, part.lost + cut as u64);
            }
            events.extend(part.events.into_iter().take(kept));
            if part.is_over {
                self.tracks.remove(&part.track);
            }
        }
        events.sort_by_key(|event| event.at);
        events.iter().for_each(|event| write(event, lines));
        for (track, count) in &lost {
            let text = format!("{{\"what\":\"lost\",\"count\":{count},\"track\":{track}}}\n");
            lines.extend_from_slice(text.as_bytes());
        }
        if !lost.is_empty() {
            self.left_out = LEFT_OUT;
            for (_, known) in self.tracks.iter_mut().filter(|(track, _)| lost.contains_key(track)) {
                known.is_whole = !known.is_loop;
            }
            self.recorder.ask_all(|track| lost.contains_key(&track));
        }
        let is_long = |event: &Event| {
            matches!(event.what, What::Callback(_)) && event.took.as_nanos() >= LONG
        };
        (count, events.into_iter().filter(is_long).collect())
    }

    /// Takes note of a track, and leaves out of its part what comes before all is told.
    fn know(&mut self, part: &mut Part, lines: &mut Vec<u8>) {
        let known = self.tracks.entry(part.track).or_insert_with(|| {
            write(&part.name, lines);
            let is_loop = part.is_loop;
            Known { event: part.name.clone(), is_loop, is_whole: !is_loop, is_fresh: true }
        });
        // A loop joins the roll, and begins a moment later: it is perhaps read in between. It is
        // known from its start all the same, and will not be told anew.
        known.is_whole |= known.is_fresh && part.is_from_start;
        known.is_fresh &= part.events.is_empty() && part.lost == 0;
        if !known.is_whole {
            let is_all = |event: &Event| matches!(event.what, What::Detail(Detail::All));
            let all = part.events.iter().position(is_all);
            known.is_whole = all.is_some();
            part.events.drain(..all.unwrap_or(part.events.len()));
        }
    }
}

/// Writes an event as a line.
fn write(event: &Event, lines: &mut Vec<u8>) {
    let written = event.write_json(lines);
    debug_assert!(written.is_ok(), "a vector takes all");
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::trace::detail::Detail as Told;
    use crate::trace::ring::Happened;
    use crate::trace::roll;
    use crate::trace::seen::LoopSeen;
    use crate::trace::teller::Teller;
    use crate::trace::track::{Observed, Track};

    /// A loop of which nothing is there but its track.
    struct Bare;

    impl Observed for Bare {
        fn add_observer(&self) {}
        fn remove_observer(&self) {}
        fn waiting(&self) -> usize {
            0
        }
        fn look(&self) -> Option<LoopSeen> {
            Some(LoopSeen::default())
        }
        fn wake(&self) {}
    }

    #[test]
    fn a_loop_that_is_read_before_it_has_begun_is_told_from_its_start() {
        let bare: Arc<dyn Observed> = Arc::new(Bare);
        let mut tap = Tap::begin();
        let track = Track::new();
        track.set_observed(Arc::downgrade(&bare));
        track.set_name("bare".to_owned());
        roll::join(&track);
        let number = track.number();
        let mut lines = Vec::new();
        tap.take(true, &mut lines);
        let teller = Teller::new(track);
        teller.begin_loop();
        teller.say(0, Told::new(Happened::TurnBegan, 0));
        tap.take(true, &mut lines);
        let text = String::from_utf8(lines).unwrap();
        let told = |line: &&str| {
            line.contains("turn_began") && line.contains(&format!(r#""track":{number}"#))
        };
        assert_eq!(text.lines().filter(told).count(), 1, "{text}");
    }
}
