//! The table of a loop's tasks: plain data, which knows no loop.

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use crate::state::key::{Key, Keyed};

/// A future in the loop's table, whatever its type.
pub(crate) trait Run {
    /// Polls the future once, if it is still there.
    fn run(self: Rc<Self>, waker: &Waker);

    /// The loop ends: drops the future, and gives the task that awaits its output an error.
    fn tear_down(self: Rc<Self>);

    /// The line that spawned it.
    fn location(&self) -> &'static Location<'static>;
}

/// The tasks of a loop that have not finished.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Borrowed for the length of a look-up, never while a task runs or is dropped.
    entries: RefCell<Keyed<Rc<dyn Run>>>,
}

impl Tasks {
    pub(crate) fn insert(&self, task: Rc<dyn Run>) -> Key {
        self.entries.borrow_mut().insert(task)
    }

    /// The task with this key, if it has not finished.
    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Run>> {
        self.entries.borrow_mut().get(key).cloned()
    }

    /// Takes a task out, for the caller to drop.
    pub(crate) fn remove(&self, key: Key) -> Option<Rc<dyn Run>> {
        self.entries.borrow_mut().remove(key)
    }

    /// Gives the memory of a burst back. See [`Keyed::give_back`].
    pub(crate) fn give_back(&self, now: bool) {
        self.entries.borrow_mut().give_back(now);
    }

    /// Takes all tasks out. For teardown.
    pub(crate) fn take_all(&self) -> Vec<Rc<dyn Run>> {
        self.entries.borrow_mut().take_all()
    }

    /// Where the tasks that have not finished were spawned, at most so many.
    pub(crate) fn locations(&self, most: usize) -> Vec<&'static Location<'static>> {
        self.entries.borrow().values().take(most).map(|task| task.location()).collect()
    }
}
