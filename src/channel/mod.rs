//! Channels between loops: a queue for each direction, a port at each end.
//!
//! From a post to the callback, in this order:
//!
//! - [`queue`]: one direction, which both threads touch; [`seam`] is what it needs from outside;
//! - [`receive`]: the messages that the receiving end has taken and not handed on;
//! - [`handler`]: the callback, the tasks that wait, and the rounds in which they are served;
//! - [`link`]: both directions, as one end has them;
//! - [`open_port`] and [`port`]: a port as its loop has it, and as the program has it;
//! - [`recv`]: receiving without a callback;
//! - [`bounded`]: channels in which sending waits for a place;
//! - [`call`]: a question with one answer;
//! - [`broadcast`]: channels that find each other by name.
//!
//! [`discard`] drops messages that were never received.

mod answers;
pub(crate) mod bounded;
pub(crate) mod broadcast;
pub(crate) mod call;
mod discard;
pub(crate) mod handler;
pub(crate) mod link;
mod open_port;
pub(crate) mod port;
pub(crate) mod queue;
pub(crate) mod receive;
pub(crate) mod recv;
pub(crate) mod seam;
pub(crate) mod sent;
