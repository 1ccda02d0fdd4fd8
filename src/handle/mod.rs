//! Handles that watch phases, descriptors and notices of other threads.

// What all handles share stands in `state/`, the watchers of phases stand in `phase/`.
pub(crate) mod descriptor;
pub(crate) mod notifier;

pub use crate::phase::check::{Check, InCheck};
pub use crate::phase::idle::{Idle, InIdle};
pub use crate::phase::prepare::{InPrepare, Prepare};
pub use crate::phase::watchers::{InPhase, Phase, PhaseWatcher};
pub use crate::report::{Alive, HandleInfo};
pub use descriptor::{Interest, Poll, Readiness, Ready};
pub use notifier::Notifier;
