//! The three ways to turn a loop, which the poll phase must know.

/// How a [`turn`](crate::Loop::turn) ends (libuv: `uv_run_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// When nothing is alive any more, or after a stop.
    Default,
    /// After one iteration, which blocks until something happens.
    Once,
    /// After one iteration, which does not block.
    NoWait,
}
