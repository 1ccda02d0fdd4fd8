//! The queues between the phases: ticks, microtasks, immediates, and what is deferred.
//!
//! Ticks and microtasks are [`ring`]s that [`callback::drain`](crate::callback::drain) empties
//! after every callback; they are drained until empty, so a chain of them starves the loop.
//! Immediates are a queue with numbered places, run a batch at a time by the check phase. Deferred
//! callbacks wait for the pending or the close phase. The watchers of a phase stand in a list by
//! number.

pub(crate) mod closing;
pub(crate) mod closure;
pub(crate) mod deferred;
pub(crate) mod immediate;
pub(crate) mod memory;
pub(crate) mod numbered;
pub(crate) mod ring;
