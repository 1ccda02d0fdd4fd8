//! Door 2, from other threads: what may reach a loop from outside, and the pool that works for it.

pub(crate) mod mailbox;
pub(crate) mod notifier;
pub(crate) mod pool;
pub(crate) mod remote;
pub(crate) mod turns;
