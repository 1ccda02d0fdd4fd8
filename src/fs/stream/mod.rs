//! Files in pieces, with back-pressure: no more of a file is in memory than its streams may hold.
//!
//! - [`ReadStream`] reads ahead of its consumer, until its buffer is full, and goes on when the
//!   consumer has taken something. It calls back with chunks, or is awaited for them.
//! - [`WriteStream`] takes chunks and says when to wait.
//! - [`pipe`] moves everything from a [`Source`] to a [`Sink`]: files, sockets, and whatever else
//!   has these traits.
//!
//! # Memory
//! A read stream holds at most its high-water mark, 64 KiB unless told otherwise, and one chunk of
//! that size. A write stream holds what it is given: at most its high-water mark and one chunk when
//! its user minds what [`write`](WriteStream::write) returns, as `pipe` does.
//!
//! # Examples
//! ```
//! use windlass::fs::{self, stream::{ReadStream, WriteStream}};
//!
//! let path = std::env::temp_dir().join("windlass-doc-stream");
//! windlass::block_on(async {
//!     let count = ReadStream::open("Cargo.toml").pipe(WriteStream::create(&path)).await?;
//!     assert_eq!(count, fs::metadata("Cargo.toml").await?.len());
//!     fs::remove_file(&path).await
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod pipe;
mod read;
mod write;

pub use pipe::{Sink, Source, feed, pipe};
pub use read::{Next, ReadOptions, ReadStream};
pub use write::{WriteOptions, WriteStream};

/// Bytes that a stream may hold before it makes its source wait (as Node's file streams).
const HIGH_WATER_MARK: usize = 64 * 1024;
