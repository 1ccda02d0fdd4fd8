//! The last stalls of the loop, for `/stalls`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use windlass::observe::{Stall, StallWatch, watch_stalls};

/// How many are kept.
const KEPT: usize = 10;

/// Watches the loop, and keeps what blocked it last.
pub(crate) struct Stalls {
    /// The oldest first. Shared with the thread of the watch.
    last: Arc<Mutex<VecDeque<Stall>>>,
    /// Ends with this.
    _watch: StallWatch,
}

impl Stalls {
    /// Watches for callbacks that block the loop for longer than `limit`.
    pub(crate) fn watch(limit: Duration) -> Stalls {
        let last = Arc::new(Mutex::default());
        let kept = Arc::clone(&last);
        let watch = watch_stalls(limit, move |stall| {
            // A worker may compute for as long as it likes: that is what it is for.
            if stall.worker == 0 {
                keep(&mut lock(&kept), stall.clone());
            }
        });
        Stalls { last, _watch: watch }
    }

    /// One line for each, the newest first.
    pub(crate) fn text(&self) -> String {
        let lines: String = lock(&self.last).iter().rev().map(line).collect();
        if lines.is_empty() { "nothing has blocked the loop\n".to_owned() } else { lines }
    }
}

fn lock(stalls: &Mutex<VecDeque<Stall>>) -> MutexGuard<'_, VecDeque<Stall>> {
    stalls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a stall. The report of its end takes the place of the one from its middle.
fn keep(stalls: &mut VecDeque<Stall>, stall: Stall) {
    if stall.over && stalls.back().is_some_and(|last| !last.over) {
        stalls.pop_back();
    }
    stalls.push_back(stall);
    if stalls.len() > KEPT {
        stalls.pop_front();
    }
}

fn line(stall: &Stall) -> String {
    let Stall { callback, waiting, over, .. } = stall;
    let verb = if *over { "took" } else { "has been running for" };
    let took = callback.took.as_millis();
    let place = callback.location.map_or_else(String::new, |place| format!(" of {place}"));
    format!("{}{place} {verb} {took} ms, while {waiting} waited\n", callback.kind)
}
