//! What a callback is and where it comes from.

use std::panic::Location;

use super::cause;

/// What a callback is, where it was registered, and in which callback it was scheduled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Its name in reports: "timer", "TCP stream", "tick", …
    pub(crate) kind: &'static str,
    /// The line that registered it, if that was recorded.
    pub(crate) place: Option<&'static Location<'static>>,
    /// The id of the callback in which it was scheduled. Zero: none, or nobody observed.
    pub(crate) cause: u64,
}

impl Origin {
    /// Something that was scheduled by nobody that is known.
    pub(crate) const fn unknown(kind: &'static str) -> Origin {
        Origin { kind, place: None, cause: 0 }
    }

    /// Something that is scheduled at this moment, at this line.
    #[inline]
    pub(crate) fn at(kind: &'static str, place: &'static Location<'static>) -> Origin {
        Origin { kind, place: Some(place), cause: cause::running() }
    }
}
