//! What a loop reports of itself: what keeps it alive, its handles and requests, its figures, and
//! the callback that runs. Plain values, which know no loop.

pub(crate) mod metrics;

use std::fmt;
use std::panic::Location;

/// One thing that keeps a loop alive, as [`Loop::why_alive`](crate::Loop::why_alive) reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// What it is: "timer", "TCP listener", "pool job", …
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made at {}", self.kind, self.location)
    }
}

/// One open handle or pending request, as [`Loop::handles`](crate::Loop::handles) lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleInfo {
    /// What it is.
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
    /// Whether it is started, or waiting to complete.
    pub active: bool,
    /// Whether it may keep the loop alive while active.
    pub has_ref: bool,
}
