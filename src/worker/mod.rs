//! Workers: threads with loops of their own that talk to their parent through typed ports.
//!
//! A worker is for work that would keep the loop busy. It has its own loop, queues and timers, and
//! state that never leaves it, so `Rc` and `RefCell` will do. What passes between loops are
//! messages, moved and not copied. Node: `worker_threads`.
//!
//! | the worker ends when | code | the parent sees |
//! |---|---|---|
//! | nothing on its loop is alive | 0, or the one set | exit |
//! | it calls [`exit`](crate::exit) | the one given | exit |
//! | a callback or the main script panics, and no hook of its own takes it | 1 | error, then exit |
//! | it is terminated | 1 | exit |
//! | its parent's loop ends | - | nothing any more |
//!
//! Events come at the parent in this order: online, the messages, at most one error, exit. A
//! callback that never returns cannot be interrupted: long computations ask [`is_terminating`] or pass
//! a [`checkpoint`] now and then.

mod inbox;
mod port;
#[expect(clippy::module_inception, reason = "the file of the type that the module is named after")]
mod worker;
mod worker_pool;

pub use port::{Port, PortEnd, Recv, channel};
pub use worker::{
    Join, Worker, WorkerBuilder, WorkerError, checkpoint, id, is_main, is_terminating,
};
pub use worker_pool::{WorkerPool, WorkerPoolMetrics};
