//! Virtual time: loops whose clocks stand still while anything is ready, and jump when nothing is.
//!
//! The first loop and its workers are one *program*. Each loop has a clock of its own
//! ([`crate::clock`]); [`scheduler`] lets one loop run at a time, the one that is furthest behind;
//! [`arrivals`] is the part of its mailbox that keeps what was sent by loops that are ahead. Its
//! poll phase waits in `phase/poll/virtual_time.rs`.
//!
//! Elsewhere branches lead here where a loop waits (`poll::wait`), where something is sent to it
//! (`Mailbox::put` and a channel's queue) and where a worker starts and ends. The pool runs a job
//! of such a loop on the loop's own thread.
//!
//! In a simulation ([`crate::sim`]) a program has [`chance`] besides, which decides what virtual
//! time leaves fixed, within the [`odds`] that the user has set.

pub(crate) mod arrivals;
pub(crate) mod chance;
pub(crate) mod network;
pub(crate) mod odds;
pub(crate) mod scheduler;
