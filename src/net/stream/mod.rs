//! A stream of bytes on the loop, of any kind: the connection and its round, its two sides,
//! its end.
//!
//! To read in this order: [`connection`], what a stream does in the poll phase; [`reading`] and
//! [`writing`], its two sides, which touch no system; [`operations`], what a program asks of it;
//! [`ending`], how it is closed, detached or torn down, and how it hears that the peer has gone.
//!
//! Kinds of streams differ in their system calls alone, which stand behind [`sys::Transport`], and
//! in the public type that names a connection, the [`Stream`].
//!
//! [`sys::Transport`]: crate::sys::Transport

mod connection;
mod ending;
mod operations;
mod reading;
mod writing;

pub(super) use connection::{Connection, Stream};
pub(super) use ending::{LostWrite, PeerEnd};
pub(super) use operations::Data;
pub(super) use writing::Attempt;
