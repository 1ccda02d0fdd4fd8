//! The three ways to turn a loop, which the poll phase must know.

/// How a [`turn`](crate::Loop::turn) ends (libuv: `uv_run_mode`).
///
/// # Examples
/// ```
/// use windlass::{Loop, RunMode};
///
/// let event_loop = Loop::new()?;
/// event_loop.enter(|| windlass::set_immediate(|| println!("in the first iteration")));
/// while event_loop.turn(RunMode::NoWait) {
///     // The outer program has its turn here.
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// When nothing is alive any more, or after a stop.
    Default,
    /// After one iteration, which blocks until something happens.
    Once,
    /// After one iteration, which does not block.
    NoWait,
}
