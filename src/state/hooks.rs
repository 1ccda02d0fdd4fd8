//! The callbacks for a program's end and for its panics. `end` and `callback` call them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::callback::slot::{Registered, Slot};
use crate::error::Uncaught;
use crate::trace::account::AccountHook;
use crate::unhandled::Unhandled;

/// The hooks of a loop.
#[derive(Default)]
pub(crate) struct Hooks {
    /// Called each time that nothing is alive any more, in the order added.
    pub(crate) before_exit: RefCell<Vec<Rc<Slot<dyn FnMut()>>>>,
    /// How many of these have been called since nothing was alive. Here, not on the stack: see
    /// [`guard`](crate::callback::guard).
    pub(crate) called_before_exit: Cell<usize>,
    /// Called once, at the end, in the order added.
    pub(crate) exit: RefCell<Vec<(Box<dyn FnOnce(i32)>, Registered)>>,
    /// Gets the panics that nobody else takes.
    pub(crate) uncaught: Slot<dyn FnMut(Uncaught)>,
    /// Gets the errors that nobody took.
    pub(crate) unhandled: Slot<dyn FnMut(Unhandled)>,
    /// Told of each iteration.
    pub(crate) iteration: Slot<AccountHook>,
}

impl Hooks {
    #[track_caller]
    pub(crate) fn add_before_exit(&self, f: Box<dyn FnMut()>) {
        let slot = Slot::default();
        drop(slot.set(f)); // There was none before.
        self.before_exit.borrow_mut().push(Rc::new(slot));
    }

    #[track_caller]
    pub(crate) fn add_exit(&self, f: Box<dyn FnOnce(i32)>) {
        self.exit.borrow_mut().push((f, Registered::here()));
    }
}
