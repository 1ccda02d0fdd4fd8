//! Drops messages that were never received.
//!
//! A message may hold the end of a channel, in whose queue another end waits, and so on. Dropped one inside
//! the other, a long chain of them would overflow the stack.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// So many queues are dropped one inside the other, and then no more. Not just one: a destructor may run a
/// loop and wait for what the drop of a port tells.
const DEEPEST: usize = 32;

thread_local! {
    /// How many queues are being dropped one inside the other on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The queues that were too deep. Whoever drops the outermost one drops them.
    static PUT_OFF: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops the messages, those of nested queues too. All are gone when the outermost call returns.
pub(crate) fn discard<T: 'static>(messages: VecDeque<T>) {
    if messages.is_empty() {
        return;
    }
    let depth = DEPTH.get();
    if depth >= DEEPEST {
        let mut boxed: Option<Box<dyn Any>> = Some(Box::new(messages));
        let put_off = PUT_OFF.try_with(|list| list.borrow_mut().extend(boxed.take()));
        // Fails when the thread has all but ended, and then they are dropped here.
        return drop((put_off, boxed));
    }
    DEPTH.set(depth + 1);
    let level = Level(depth);
    drop(messages);
    drop(level);
}

/// A queue is being dropped inside so many others.
struct Level(usize);

impl Drop for Level {
    fn drop(&mut self) {
        while self.0 == 0
            && let Ok(Some(messages)) = PUT_OFF.try_with(|list| list.borrow_mut().pop())
        {
            // If a destructor panics, this one drops the others.
            let others = Level(0);
            drop(messages);
            std::mem::forget(others);
        }
        DEPTH.set(self.0);
    }
}
