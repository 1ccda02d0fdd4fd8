//! Drops values that own each other through things of this crate, however deep they are nested.
//!
//! A message may hold the end of another channel in which messages wait too, the callback of a
//! notifier another notifier, a task the handle that aborts another task. Dropped one inside the
//! other, a long chain would overflow the stack. So the first [`NESTED_MAX`] drops nest, as Rust's
//! drops do; deeper values are put on a list, which the outermost call empties.
//!
//! The limit is above one for a destructor that waits: it may run a loop, drop a port, and wait
//! until the other end sees the close. Were each nested value put off, such a wait would never end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::thread;

use super::drop_quietly;

/// How many drops may nest. Each level takes some hundred bytes of stack, plus what the user's
/// destructors take.
const NESTED_MAX: usize = 32;

thread_local! {
    /// How many drops are nested on this thread at this moment.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The values that were too deep. The outermost call drops them, and leaves no memory here: so
    /// it needs no destructor, and is there for the destructors of the thread's other locals.
    static PUT_OFF: ManuallyDrop<RefCell<Vec<Box<dyn Any>>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Drops a value, and what is nested in it. All are gone when the outermost call returns.
pub(crate) fn drop_nested<T: 'static>(value: T) {
    let depth = DEPTH.get();
    if depth >= NESTED_MAX {
        return PUT_OFF.with(|list| list.borrow_mut().push(Box::new(value)));
    }
    DEPTH.set(depth + 1);
    let level = Level(depth);
    drop(value);
    drop(level);
}

/// Leaves a level of nesting, also when a destructor panics. The outermost level, zero, drops what
/// was put off.
struct Level(usize);

impl Drop for Level {
    fn drop(&mut self) {
        while self.0 == 0
            && let Some(value) = take_put_off()
        {
            if thread::panicking() {
                drop_quietly(value);
                continue;
            }
            // If a destructor panics, this level drops the rest of the list.
            let rest = Level(0);
            drop(value);
            mem::forget(rest);
        }
        DEPTH.set(self.0);
    }
}

/// The value that was put off last. When there is none, the list gives its memory back.
fn take_put_off() -> Option<Box<dyn Any>> {
    PUT_OFF.with(|list| {
        let mut list = list.borrow_mut();
        let value = list.pop();
        if value.is_none() {
            *list = Vec::new();
        }
        value
    })
}
