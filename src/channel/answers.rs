//! What a [`Queue`](super::queue::Queue) says to its two ends: whether more may come, what a pop
//! has found, and why a message was refused.

/// Whether a queue may still get messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// More may come.
    Open,
    /// Nothing more comes, but the sender still listens.
    Finished,
    /// Nothing more comes, and the sender is gone.
    Gone,
}

impl End {
    /// The result of a pop from a queue that is empty.
    pub(crate) fn popped<T>(self) -> Popped<T> {
        match self {
            End::Open => Popped::Empty,
            End::Finished => Popped::Finished,
            End::Gone => Popped::Closed,
        }
    }
}

/// The result of a pop.
pub(crate) enum Popped<T> {
    /// The oldest message that could be seen.
    Message(T),
    /// Nothing can be seen now, and more may come.
    Empty,
    /// Nothing is left and nothing will come, though the sender still listens.
    Finished,
    /// Nothing is left and nothing will come: the sender is gone.
    Closed,
}

/// Why a message was refused. It comes back.
pub(crate) enum Refused<T> {
    /// There is no free place, or others wait for one.
    Full(T),
    /// Either end is closed.
    Closed(T),
}
