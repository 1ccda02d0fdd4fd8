//! The ledger: each callback with what armed it, and the statement of the guide that puts it there.

#[path = "../../../scenario/ledger.rs"]
#[allow(dead_code)] // Its other users print it as JSON.
pub(super) mod ledger;
#[path = "../../../scenario/order.rs"]
mod order;

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use windlass::observe::{Recording, What};

use super::{Said, Sink};
use ledger::{Act, AllHeard, Ledger, Seen};

/// So many callbacks are explained. To find a statement one looks at all callbacks before.
const CALLBACKS_MAX: usize = 3000;

/// How long a program may run: one that does not end is told of up to there.
const TIME_MAX: Duration = Duration::from_secs(8);

/// What the ledger is made of: the first callbacks of a program.
#[derive(Default)]
pub(super) struct Gathered {
    seen: Vec<Seen>,
    /// How many callbacks were seen, also beyond those that are kept.
    callbacks: usize,
    /// The lines that registered callbacks, by their ids.
    places: HashMap<u64, String>,
    said: Vec<Said>,
    /// How many events the recorder had no room for.
    dropped: u64,
}

impl Gathered {
    /// What has happened since the last time.
    pub(super) fn add(&mut self, part: &Recording, said: Vec<Said>) {
        self.dropped += part.dropped();
        if self.is_full() {
            return;
        }
        self.said.extend(said);
        for event in part.events() {
            if let What::Callback(callback) = &event.what {
                self.callbacks += 1;
                // Of a main script it is its own file, or the line that started the worker.
                if let Some(label) = callback.label.filter(|_| callback.kind != "main") {
                    self.places.insert(event.id, format!("{}:{}", label.file(), label.line()));
                }
            }
            let seen = Seen::from(event);
            if !matches!(seen.act, Act::Other) {
                self.seen.push(seen);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.callbacks > CALLBACKS_MAX
    }

    /// The ledger of all that was gathered.
    pub(super) fn ledger(mut self) -> Ledger {
        // What took long has begun before what is in an earlier part.
        self.seen.sort_by_key(|seen| seen.at);
        let mut heard = AllHeard::new();
        for (id, place) in self.places {
            heard.entry(id).or_default().labels.push(place);
        }
        for (id, text) in self.said {
            heard.entry(id).or_default().labels.push(text);
        }
        let mut callbacks = 0;
        self.seen.retain(|seen| {
            callbacks += usize::from(matches!(seen.act, Act::Callback { .. }));
            callbacks <= CALLBACKS_MAX
        });
        Ledger { dropped: self.dropped, ..ledger::of(&self.seen, heard) }
    }
}

/// `--explain`: prints the ledger, and the statements in words, when the program has ended.
#[derive(Default)]
pub(super) struct Table(Gathered);

impl Sink for Table {
    fn take(&mut self, part: &Recording, said: Vec<Said>) -> io::Result<()> {
        self.0.add(part, said);
        Ok(())
    }

    fn has_enough(&self, since: Duration) -> Option<String> {
        if self.0.is_full() {
            return Some(format!("cut off after {CALLBACKS_MAX} callbacks: it had not ended"));
        }
        (since >= TIME_MAX)
            .then(|| format!("cut off after {} s: it had not ended", TIME_MAX.as_secs()))
    }

    fn end(self: Box<Self>, error: Option<&str>) -> io::Result<()> {
        let is_full = self.0.is_full();
        let ledger = self.0.ledger();
        let mut out = io::stdout().lock();
        writeln!(out, "{}\n{}", ledger.table(), ledger.statements())?;
        if ledger.dropped > 0 {
            writeln!(out, "{} events had no room: callbacks are missing", ledger.dropped)?;
        }
        match error {
            Some(error) => writeln!(out, "{error}")?,
            None if is_full => writeln!(out, "only the first {CALLBACKS_MAX} callbacks are told")?,
            None => {}
        }
        out.flush()
    }
}
