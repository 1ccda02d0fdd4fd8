//! Seeing what a loop does, while it does it.
//!
//! - [`Loop::on_iteration`](crate::Loop::on_iteration) gives the account of each iteration of one
//!   loop: where its time went, to the nanosecond.
//! - [`Loop::delays`](crate::Loop::delays) says how long its iterations have kept it busy. That is
//!   always counted.
//! - [`watch_stalls`] names the callback that blocks a loop, while it blocks it.
//! - [`Recorder`] keeps what all loops, workers and pool threads of the process do, each callback
//!   with the one in which it was scheduled. [`Recorder::detailed`] keeps all else that is said
//!   too, each as a [`Detail`].
//! - [`labelled`] gives callbacks a name and a place of their own, as in the script of an engine:
//!   all of these show it.
//!
//! All of it stands on one seam: the loop says at its doors what happens. While nobody observes, a
//! callback pays one branch for it. What is queued while somebody observes remembers where it was
//! queued and in which callback; what was queued before has no place, and no cause.

mod chrome;
mod delays;
mod detail;
mod iteration;
mod json_lines;
mod lengths;
mod reader;
mod recorder;
mod stalls;

use std::panic::Location;
use std::time::Duration;

use crate::state::current;
use crate::trace::cause;

pub use crate::trace::label::{Label, labelled};
pub use crate::trace::{Phase, Wake};
#[cfg(feature = "inspect")]
pub(crate) use chrome::name_of;
pub use delays::Delays;
pub use detail::{Armed, Detail, NoSleep, NotRun, Queue};
pub use iteration::Iteration;
#[cfg(feature = "inspect")]
pub(crate) use json_lines::{Spot, Text};
#[cfg(feature = "inspect")]
pub(crate) use reader::Part;
pub use recorder::{Event, Recorder, Recording, What};
pub use stalls::{Stall, StallWatch, watch_stalls};

/// The id that the running callback or job has in a recording: [`Event::id`]. Zero when none runs
/// on this thread, and while nobody observes.
///
/// With it a program ties what it writes down itself, as a label or a line of its log, to the
/// event. A recorder of details has the beginning of the callback from now on, though the callback
/// may never return.
///
/// # Examples
/// ```
/// use windlass::observe::{self, Recorder};
///
/// let recorder = Recorder::start();
/// let id = windlass::run(|| {
///     let (tell, told) = std::sync::mpsc::channel();
///     windlass::set_immediate(move || tell.send(observe::callback_id()).unwrap());
///     told
/// })
/// .recv()
/// .unwrap();
/// let recording = recorder.stop();
/// assert_eq!(recording.events().iter().filter(|event| event.id == id).count(), 1);
/// ```
pub fn callback_id() -> u64 {
    let id = cause::running();
    if id > 0 {
        current::with(|state| state.teller.tell_untold());
    }
    id
}

/// A callback that ran or runs.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::Loop::current().on_iteration(|iteration| {
///         if let Some(callback) = &iteration.longest {
///             println!("{} in {:?}: {:?}", callback.kind, callback.phase, callback.took);
///         }
///     });
///     windlass::set_immediate(|| ());
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Callback {
    /// Where in a turn it belongs.
    pub phase: Phase,
    /// What it is, in the words of [`Loop::why_alive`](crate::Loop::why_alive), and "post", "tick",
    /// "microtask", "task", "main", "before-exit hook", "exit hook", "uncaught hook".
    pub kind: &'static str,
    /// The line that registered it, if that was recorded: of `read_start`, `on_message`,
    /// `on_complete`, not of what made the handle.
    pub location: Option<&'static Location<'static>>,
    /// The [label](labelled) that was in force there.
    pub label: Option<Label>,
    /// How long it took, or has been running.
    pub took: Duration,
}

impl Callback {
    fn new(
        phase: Phase,
        kind: &'static str,
        place: Option<&'static Location<'static>>,
    ) -> Callback {
        let label = place.and_then(Label::of);
        Callback { phase, kind, location: place, label, took: Duration::ZERO }
    }
}
