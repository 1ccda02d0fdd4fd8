//! Child processes: named as in [`std::process`], heard of on the loop.
//!
//! ```
//! use windlass::process::Command;
//!
//! windlass::block_on(async {
//!     let output = Command::new("echo").arg("hello").output().await?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok::<(), std::io::Error>(())
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`Command::spawn`] tells at once why a program cannot be started. A [`Child`] holds the loop
//! until it has ended; its ends of pipes are streams of the loop. [`Command::output`] and
//! [`Command::status`] are requests.
//!
//! # What a child gets
//! The three standard streams, and the descriptors that were [asked for](Command::fd): no others,
//! whoever has opened them in this process and however. Its signals do what they do by default and
//! none is blocked, whatever this process ignores and whichever thread starts it. Its standard
//! streams wait in their calls, as programs expect, also where the other end does not.
//!
//! # Cost
//! A child is a copy of this process until it becomes the program, and copying takes the longer the
//! more memory this process has: 0.2 ms at least, some 5 ms with 100 MB. The loop waits for that.
//!
//! # Virtual time
//! Children know none. They write and end in their own time, as sockets answer in theirs: with a
//! timer armed the clock goes on without them, and with nothing else left the loop waits for them
//! in the system. A limit on a child's time is one of the real clock.

mod child;
mod command;
mod output;
mod plumbing;

pub use child::{Child, Wait};
pub use command::Command;
pub use plumbing::Stdio;
pub use std::process::{ExitStatus, Output};
