//! The phases of an iteration, a file each, in the order in which `turn` runs them:
//! pending, idle, prepare, poll, check, close, timers.
//!
//! Idle, prepare and check watchers are one idea in three places; `watchers` holds it.

pub(crate) mod check;
pub(crate) mod close;
pub(crate) mod idle;
pub(crate) mod mode;
pub(crate) mod pending;
pub(crate) mod poll;
pub(crate) mod prepare;
pub(crate) mod timers;
pub(crate) mod watchers;
