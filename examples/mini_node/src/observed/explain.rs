//! The ledger: each callback with what armed it, and the statement of the guide that puts it there.

#[path = "../../../scenario/ledger.rs"]
#[allow(dead_code)] // Its other users print it as JSON.
mod ledger;
#[path = "../../../scenario/order.rs"]
mod order;

use std::collections::HashMap;
use std::io::{self, Write};

use windlass::observe::{Detail, Event, Queue, Recording, What};

use ledger::Seen;
use runner::Firing;

/// What the ledger knows of timers.
mod runner {
    use std::time::Duration;

    /// Which firing of a timer or an interval a callback is.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Firing {
        /// Milliseconds.
        pub(crate) delay: u64,
        /// Counted from 1.
        pub(crate) count: u32,
    }

    impl Firing {
        /// As the loop counts it: at least a millisecond.
        pub(crate) fn delay(self) -> Duration {
            Duration::from_millis(self.delay.max(1))
        }
    }
}

/// Prints the ledger of a recording, and the statements in words.
pub(super) fn write(
    mut out: impl Write,
    recording: &Recording,
    heard: super::AllHeard,
    error: Option<&str>,
) -> io::Result<()> {
    let mut known = ledger::AllHeard::new();
    for (id, super::Heard { label, said }) in heard {
        let place = label.map(|label| format!("{}:{}", label.file, label.line));
        let labels = place.into_iter().chain(said).collect();
        known.insert(id, ledger::Heard { worker: String::new(), labels, firing: None });
    }
    for (id, firing) in firings(recording.events()) {
        known.entry(id).or_default().firing = Some(firing);
    }
    let seen: Vec<_> = recording.events().iter().map(Seen::from).collect();
    let ledger = ledger::of(&seen, known);
    writeln!(out, "{}\n{}", ledger.table(), ledger.statements())?;
    if recording.dropped() > 0 {
        writeln!(
            out,
            "{} events had no room: the first callbacks are missing",
            recording.dropped()
        )?;
    }
    if let Some(error) = error {
        writeln!(out, "{error}")?;
    }
    out.flush()
}

/// Which firing of its timer a callback is, by its id.
fn firings(events: &[Event]) -> HashMap<u64, Firing> {
    // By track: the timers by their numbers, and the one that was taken last, until its callback begins.
    let mut timers = HashMap::<(u32, u64), Firing>::new();
    let mut taken = HashMap::<u32, Firing>::new();
    let mut firings = HashMap::new();
    for event in events {
        match &event.what {
            What::Detail(Detail::Armed(armed) | Detail::Refreshed(armed)) => {
                let delay = armed.delay.as_millis() as u64;
                let timer = timers.entry((event.track, armed.number));
                timer.or_insert(Firing { delay, count: 0 }).delay = delay;
            }
            What::Detail(Detail::Taken { queue: Queue::Timers, number }) => {
                if let Some(firing) = timers.get_mut(&(event.track, *number)) {
                    firing.count += 1;
                    taken.insert(event.track, *firing);
                }
            }
            What::Detail(Detail::Began { .. }) => {
                if let Some(firing) = taken.remove(&event.track) {
                    firings.insert(event.id, firing);
                }
            }
            _ => {}
        }
    }
    firings
}
