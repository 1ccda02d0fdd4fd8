//! The ledger of a scenario: it is run, and watched while it runs.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use windlass::observe::{self, Recorder};

use super::ledger::{self, AllHeard, Ledger, Seen};
use super::program::Scenario;
use super::runner::{self, Said};

/// How many events of one loop are kept.
const EVENTS: usize = 1 << 16;

/// Runs a scenario in virtual time, and writes its ledger.
pub(crate) fn record(scenario: &Scenario) -> io::Result<Ledger> {
    let all = Arc::new(Mutex::new(AllHeard::new()));
    let writer = all.clone();
    let listener = Arc::new(move |said: Said<'_>| {
        let mut all = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = all.entry(observe::callback_id()).or_default();
        heard.worker = said.worker.to_owned();
        heard.labels.push(said.label.to_owned());
    });
    let recorder = Recorder::detailed(EVENTS);
    drop(runner::run_heard(scenario, true, listener)?);
    let recording = recorder.stop();
    let heard = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    let events: Vec<Seen> = recording.events().iter().map(Seen::from).collect();
    Ok(Ledger { dropped: recording.dropped(), ..ledger::of(&events, heard) })
}
