//! Workers: threads with loops of their own that talk to their parent through typed ports.
//!
//! A worker is for work that would keep the loop busy. It has its own loop, queues and timers, and
//! state that never leaves it, so `Rc` and `RefCell` will do. Messages pass between loops, moved
//! and not copied. Node: `worker_threads`.
//!
//! This is how a worker ends, and how its parent sees it. `error` comes before `exit`; if the
//! parent does not listen for it, it is uncaught there.
//!
//! | the worker ends when | code | error | `join` and `shutdown` give |
//! |---|---|---|---|
//! | nothing on its loop is alive | 0, or the one set | none | the code |
//! | it calls [`exit`](crate::exit) | the one given | none | the code |
//! | a callback or the main script panics, and no hook takes it | 1 | `Panicked` | that error |
//! | it calls [`fail`] | 1 | `Failed`, with a value of its own | that error |
//! | it has more memory than its limit | 1 | `OutOfMemory` | that error |
//! | it is asked to shut down and drains in time | 0, or the one set | none | the code |
//! | it is asked to shut down and the deadline comes | 1 | none | `Terminated` |
//! | it is told to terminate | 1 | none | `Terminated` |
//! | its parent's loop ends: see [`ParentExit`] | - | none: no event comes any more | `ShutDown` |
//!
//! Events come at the parent in this order: online, the messages, at most one error, exit, each
//! once. A worker that cannot be started gives none of them: [`Worker::spawn`] returns the error.
//!
//! A worker may start workers. They are its own: their events come to it, a failure that it does
//! not take is its own failure, and they end before it does.
//!
//! Nothing can interrupt a callback that never returns: long computations ask
//! [`is_terminating`] or pass a [`checkpoint`] now and then, and [`Worker::on_unresponsive`]
//! reports one that does not. One that blocks where the crate cannot see it is told by
//! [`interrupt_with`]. When the parent's loop ends, it waits a second for such a thread and then
//! leaves it alone.
//!
//! Workers share all that belongs to the process: the working directory, the umask, user ids,
//! environment variables, signal dispositions. The standard library's calls for these work in a
//! worker too, and change them for all.
//!
//! # Values that cross
//!
//! All that is `Send` crosses: values, `Arc`s, the ends of ports, detached sockets, files,
//! closures, replies. Things that belong to a loop do not cross, and the compiler says so. Not an
//! `Rc`:
//!
//! ```compile_fail,E0277
//! # use windlass::worker::{Port, Worker};
//! let shared = std::rc::Rc::new(1);
//! Worker::<(), ()>::spawn(move |_port: Port<(), ()>| println!("{shared}"));
//! ```
//!
//! Not an open port, which is [detached](Port::detach) first:
//!
//! ```compile_fail,E0277
//! # use windlass::worker::{Port, Worker, channel};
//! let (here, there) = channel::<u8, u8>();
//! let there = there.open();
//! Worker::<(), ()>::spawn(move |_port: Port<(), ()>| there.post(1));
//! ```
//!
//! Not a handle, here in a message:
//!
//! ```compile_fail,E0599
//! # use windlass::net::TcpListener;
//! # use windlass::worker::Worker;
//! let worker = Worker::<TcpListener, ()>::spawn(|_port| ());
//! ```
//!
//! # Panics
//!
//! Workers end by unwinding: a panic in one is an error at its parent. In a program that is
//! compiled with `panic = "abort"` it ends the process, as anywhere; starting workers then gives a
//! warning when the program is compiled.

// The warning is for programs, not for this crate's own use of it.
#![cfg_attr(panic = "abort", allow(deprecated))]

mod builder;
mod direct;
mod error;
mod fail;
mod handle;
mod inherited;
mod interrupt;
mod join;
mod on_shutdown;
mod shared;
mod start;
mod this;
mod usage;
mod watchdog;
#[expect(clippy::module_inception, reason = "the file of the type that the module is named after")]
mod worker;
mod worker_pool;

pub use crate::channel::bounded::{Bounded, Permit, Reserve, TryPostError, channel_bounded};
pub use crate::channel::broadcast::{BroadcastChannel, MessageError};
pub use crate::channel::call::{Call, CallError, Reply};
pub use crate::channel::port::{Port, PortEnd, Unbounded, channel};
pub use crate::channel::recv::{Recv, RecvTimeoutError};
pub use builder::WorkerBuilder;
pub use direct::{DirectError, on_direct_message, post_direct};
pub use error::WorkerError;
pub use fail::{WorkerFailure, fail};
pub use handle::ParentExit;
pub use inherited::{environment, set_environment};
pub(crate) use interrupt::must_return;
pub use interrupt::{Interrupter, Termination, interrupt_with, refuse_allocation, termination};
pub use join::Join;
pub use on_shutdown::on_shutdown;
pub use this::{checkpoint, id, is_main, is_shutting_down, is_terminating};
pub use usage::WorkerUsage;
pub use watchdog::Unresponsive;
pub use worker::Worker;
pub use worker_pool::{WorkerPool, WorkerPoolBuilder, WorkerPoolMetrics};
