//! Drops messages that were never received.

use std::collections::VecDeque;
use std::mem;
use std::thread;

use crate::callback::{drop_nested, drop_quietly};

/// Drops the messages, and the messages of nested queues: a message may hold the end of another
/// channel.
pub(crate) fn discard<T: 'static>(messages: VecDeque<T>) {
    if !messages.is_empty() {
        drop_nested(Unreceived(messages));
    }
}

/// Messages that were never received. Each is dropped by itself: of several destructors that panic
/// the first goes on when all messages are dropped, and the others are logged.
pub(crate) struct Unreceived<T>(pub(super) VecDeque<T>);

impl<T> Drop for Unreceived<T> {
    fn drop(&mut self) {
        let mut left = Left(mem::take(&mut self.0));
        while !thread::panicking()
            && let Some(message) = left.0.pop_front()
        {
            drop(message);
        }
    }
}

/// The messages that are dropped while a panic passes by.
struct Left<T>(VecDeque<T>);

impl<T> Drop for Left<T> {
    fn drop(&mut self) {
        self.0.drain(..).for_each(drop_quietly);
    }
}
