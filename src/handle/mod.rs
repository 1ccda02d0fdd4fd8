//! Handles that watch phases, descriptors and notices of other threads, and what they share.
//!
//! Of a handle's life tell: [`table`], what is open on a loop; [`registration`], a handle's hold on
//! it; [`named`], how it ends with its last clone; [`references`], how it keeps the loop alive or
//! not.

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
