//! The table of a loop's tasks: plain data, which knows no loop.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

/// A future in the loop's table, whatever its type.
pub(crate) trait Run {
    /// Polls the future once, if it is still there.
    fn run(self: Rc<Self>, waker: &Waker);
    /// The loop ends: drops the future, and tells who waits for its output.
    fn tear_down(self: Rc<Self>);
    fn location(&self) -> &'static Location<'static>;
}

/// The tasks of a loop that have not finished.
#[derive(Default)]
pub(crate) struct Tasks {
    entries: RefCell<Slab<(u32, Rc<dyn Run>)>>,
    generation: Cell<u32>,
}

/// Names a task. Never names another one, even when its place is used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskKey {
    index: u32,
    generation: u32,
}

impl Tasks {
    pub(crate) fn insert(&self, task: Rc<dyn Run>) -> TaskKey {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let index = self.entries.borrow_mut().insert((generation, task));
        let index = u32::try_from(index).expect("a loop has fewer than 2^32 tasks");
        TaskKey { index, generation }
    }

    /// The task with this key, if it has not finished.
    pub(super) fn get(&self, key: TaskKey) -> Option<Rc<dyn Run>> {
        let entries = self.entries.borrow();
        let (generation, task) = entries.get(key.index as usize)?;
        (*generation == key.generation).then(|| task.clone())
    }

    /// Takes a task out, for the caller to drop.
    pub(crate) fn remove(&self, key: TaskKey) -> Option<Rc<dyn Run>> {
        let mut entries = self.entries.borrow_mut();
        let (generation, _) = entries.get(key.index as usize)?;
        if *generation != key.generation {
            return None;
        }
        Some(entries.remove(key.index as usize).1)
    }

    /// Takes all tasks out. For teardown.
    pub(crate) fn take_all(&self) -> Vec<Rc<dyn Run>> {
        self.entries.take().into_iter().map(|(_, (_, task))| task).collect()
    }

    /// Where the tasks that have not finished were spawned.
    pub(crate) fn locations(&self) -> Vec<&'static Location<'static>> {
        self.entries.borrow().iter().map(|(_, (_, task))| task.location()).collect()
    }
}
