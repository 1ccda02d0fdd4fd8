//! The traits of the `futures` crates, for streams and for what gives one thing after another.
//! Feature `futures`.
//!
//! - [`AsyncRead`](futures_io::AsyncRead) and [`AsyncWrite`](futures_io::AsyncWrite): every stream
//!   of bytes, and references to it; of a [`fs::File`](crate::fs::File) also
//!   [`AsyncSeek`](futures_io::AsyncSeek).
//! - [`Stream`](futures_core::Stream): [`Incoming`] connections,
//!   [`Interval`](crate::time::Interval), [`Signal`](crate::signal::Signal),
//!   [`Port`](crate::worker::Port), [`Worker`](crate::worker::Worker),
//!   [`BroadcastChannel`](crate::worker::BroadcastChannel),
//!   [`ReadStream`](crate::fs::stream::ReadStream), [`Watcher`](crate::fs::Watcher). Each is one
//!   more name of what it is: dropping it as a stream closes what dropping it closes.
//! - [`Sink`](futures_sink::Sink): a [`Port`](crate::worker::Port), bounded or not. Its close is
//!   the port's, in both directions.
//!
//! A [`task::Local`](crate::task::Local) has all of these that its value has, and is `Send`.
//!
//! The implementations are thin. Each calls the verb of the same meaning that the type has without
//! this feature: `poll_read`, `poll_write`, `poll_flush`, `poll_shutdown`.
//!
//! # Names
//! A method of the type itself comes before one of a trait. So `stream.read(…)`, `write(…)` and
//! `close()` are those of the stream, also where `AsyncReadExt` is in scope; `read_exact` or
//! `copy`, which the stream does not have, are the trait's. [`into_io`](Io) gives the stream
//! without its own verbs, for a program that is written for the traits.

mod bytes;
mod file;
mod io;
mod items;
mod local;
mod sink;

pub use io::Io;
pub use items::Incoming;
pub use sink::Closed;
