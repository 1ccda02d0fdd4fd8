//! Drops messages that were never received, however deep channels are nested in them.
//!
//! A message may hold the end of another channel, and messages wait in that one too. Dropped one
//! inside the other, a long chain of channels would overflow the stack. So the drops of the first
//! [`NESTED_MAX`] queues nest, as Rust's drops do; deeper queues are put on a list, which the
//! outermost call empties.
//!
//! The limit is above one for a destructor that waits: it may run a loop, drop a port, and wait
//! until the other end sees the close. Were each nested queue put off, such a wait would never end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::thread;

use crate::callback::drop_quietly;

/// How many drops of queues may nest. Each level takes some hundred bytes of stack, plus what the
/// user's destructors take.
const NESTED_MAX: usize = 32;

thread_local! {
    /// How many drops of queues are nested on this thread at this moment.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The queues that were too deep. The outermost call drops them.
    static PUT_OFF: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops the messages, and the messages of nested queues. All are gone when the outermost call
/// returns.
pub(crate) fn discard<T: 'static>(messages: VecDeque<T>) {
    if messages.is_empty() {
        return;
    }
    let depth = DEPTH.get();
    if depth >= NESTED_MAX {
        let mut boxed: Option<Box<dyn Any>> = Some(Box::new(Unreceived(messages)));
        let put_off = PUT_OFF.try_with(|list| list.borrow_mut().extend(boxed.take()));
        // The list is gone when the thread has all but ended. Then the messages are dropped here.
        return drop((put_off, boxed));
    }
    DEPTH.set(depth + 1);
    let level = Level(depth);
    drop(Unreceived(messages));
    drop(level);
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

/// Leaves a level of nesting, also when a destructor panics. The outermost level, zero, drops what
/// was put off.
struct Level(usize);

impl Drop for Level {
    fn drop(&mut self) {
        while self.0 == 0
            && let Ok(Some(messages)) = PUT_OFF.try_with(|list| list.borrow_mut().pop())
        {
            // If a destructor panics, this level drops the rest of the list.
            let rest = Level(0);
            drop(messages);
            mem::forget(rest);
        }
        DEPTH.set(self.0);
    }
}
