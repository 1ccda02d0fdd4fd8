//! Channels between loops: a queue for each direction, a port at each end.

pub(crate) mod broadcast;
pub(crate) mod call;
mod discard;
pub(crate) mod handler;
pub(crate) mod port;
pub(crate) mod queue;
pub(crate) mod receive;
pub(crate) mod seam;
