//! The queues between the phases: ticks, microtasks, immediates, and deferred callbacks.
//!
//! Ticks and microtasks are [`ring`]s that [`callback::drain`](crate::callback::drain) empties
//! after every callback; they are drained until empty, so a chain of them starves the loop.
//! Immediates are a queue with numbered places, run a batch at a time by the check phase. Deferred
//! callbacks wait for the pending or the poll phase, those of closing handles for the close phase.
//! The watchers of a phase stand in a list by number; what a stream, a socket or a file is still to
//! do, in a queue of which each can be cancelled. All give the memory of a burst back by the rule
//! in [`memory`].

pub(crate) mod cancellable;
pub(crate) mod closing;
pub(crate) mod closure;
pub(crate) mod deferred;
pub(crate) mod immediate;
pub(crate) mod memory;
pub(crate) mod numbered;
pub(crate) mod ring;
