//! The watchdog of a worker: its parent looks whether its loop goes on, for the worker cannot say.
//!
//! A worker that is awake in the same iteration at two looks has been in it all the time between
//! them: to sleep it would have had to begin another. So two looks at a counter tell, and the
//! worker does nothing for it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::clock::{Nanos, saturating_nanos};
use crate::phase::timers::{Timer, set_interval};
use crate::state::current;
use crate::trace::label::Label;

/// How often the watchdog looks in the time that a worker may take: the report is late by a quarter
/// of that time at most.
const LOOKS: u32 = 4;

/// A worker that does not come round. See
/// [`Worker::on_unresponsive`](super::Worker::on_unresponsive).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::worker::Worker;
///
/// windlass::run(|| {
///     let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
///     worker.on_unresponsive(Duration::from_secs(5), |unresponsive| {
///         eprintln!("{unresponsive}");
///     });
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unresponsive {
    /// The worker's number.
    pub worker: u64,
    /// For how long it has been in the same iteration, at least.
    pub busy_for: Duration,
    /// Where the callback was registered that it is in now: the line of the `on_message`, the
    /// `set_timeout`, the `spawn` of the worker. None in ticks, microtasks and tasks, which do not
    /// record it.
    pub callback: Option<&'static Location<'static>>,
    /// The [label](crate::observe::labelled) that was in force there.
    pub label: Option<Label>,
}

impl fmt::Display for Unresponsive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callback = crate::error::place(self.callback);
        write!(f, "worker {} has been busy for {:?}, {callback}", self.worker, self.busy_for)
    }
}

/// Looks at a worker again and again, until it is dropped.
pub(super) struct Watchdog {
    /// Looks. Does not hold the parent's loop.
    timer: Timer,
}

impl Watchdog {
    /// Starts to look, on the current loop.
    #[track_caller]
    pub(super) fn start(
        shared: Arc<Shared>,
        limit: Duration,
        mut f: impl FnMut(Unresponsive) + 'static,
    ) -> Watchdog {
        let mut sighting = Sighting::default();
        let timer = set_interval(limit / LOOKS, move |_| {
            let Some(now) = current::get().map(|state| state.clock.now()) else { return };
            if let Some(busy_for) = sighting.look(&shared, now, limit) {
                let callback = shared.running();
                let label = callback.and_then(Label::of);
                f(Unresponsive { worker: shared.id, busy_for, callback, label });
            }
        });
        timer.set_ref(false);
        Watchdog { timer }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.timer.clear();
    }
}

/// Since when the worker has been in the iteration in which it was last seen.
#[derive(Default)]
struct Sighting {
    /// That iteration, and the time of the first look that saw it. None when the worker was asleep
    /// or gone.
    awake_in: Option<(u64, Nanos)>,
    /// The worker was reported for that iteration.
    reported: bool,
}

impl Sighting {
    /// For how long the worker has not come round, if that is `limit` and was not reported before.
    fn look(&mut self, shared: &Shared, now: Nanos, limit: Duration) -> Option<Duration> {
        let iteration = shared.mailbox.figures.iterations();
        let waits = shared.mailbox.is_asleep() || shared.lock().ended.is_some();
        let since = match self.awake_in {
            Some((seen, since)) if seen == iteration && !waits => since,
            _ => {
                self.reported = false;
                self.awake_in = (!waits).then_some((iteration, now));
                return None;
            }
        };
        let busy_for = now - since;
        if self.reported || busy_for < saturating_nanos(limit) {
            return None;
        }
        self.reported = true;
        Some(Duration::from_nanos(busy_for))
    }
}
