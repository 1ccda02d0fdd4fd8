//! Handles that watch phases, descriptors and notices of other threads.

// What they share: `table`, all that is open on a loop, by `key`; `registration`, a handle's hold
// on it; `named`, how a handle ends with its last clone; `references`, how it keeps the loop alive
// or not; `report`, what a loop says of its handles.
pub(crate) mod descriptor;
pub(crate) mod key;
pub(crate) mod named;
pub(crate) mod references;
pub(crate) mod registration;
pub(crate) mod report;
pub(crate) mod table;

pub use crate::phase::check::{Check, InCheck};
pub use crate::phase::idle::{Idle, InIdle};
pub use crate::phase::prepare::{InPrepare, Prepare};
pub use crate::phase::watchers::{InPhase, Phase, PhaseWatcher};
pub use crate::threads::notifier::Notifier;
pub use descriptor::{Interest, Poll, Readiness};
pub use report::{Alive, HandleInfo};
