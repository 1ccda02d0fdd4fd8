//! A limit on how many tasks are polled in one drain.
//!
//! A task beyond it is held. In the check phase, after the next poll phase, as many as the limit
//! allows go on; the rest waits for the check phase after that. While any is held, those that are
//! woken wait behind it, so tasks are polled in the order in which they were woken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use super::waker::TaskWaker;
use crate::phase::check;
use crate::queue::memory::is_excess;
use crate::state::State;
use crate::state::current;

/// How many tasks of a loop may be polled in one drain, and those that wait.
pub(crate) struct PollBudget {
    /// How many may be.
    limit: usize,
    /// How many were polled in this drain. Set to 0 at the beginning of each.
    used: Cell<usize>,
    /// How many of those that were held have been queued again and not yet been polled. They come
    /// first.
    released: Cell<usize>,
    /// Woken, and not to be polled yet. An immediate is on its way while there is one.
    held: RefCell<VecDeque<Arc<TaskWaker>>>,
}

impl PollBudget {
    pub(crate) fn new(limit: usize) -> PollBudget {
        PollBudget { limit, used: Cell::new(0), released: Cell::new(0), held: RefCell::default() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A drain begins.
    pub(crate) fn begin_drain(&self) {
        self.used.set(0);
    }

    /// Takes a poll from the budget. False when the task has to wait.
    fn take(&self) -> bool {
        let released = self.released.get();
        if released == 0 && (self.used.get() >= self.limit || !self.held.borrow().is_empty()) {
            return false;
        }
        self.released.set(released.saturating_sub(1));
        self.used.set(self.used.get() + 1);
        true
    }

    /// Queues as many of those that wait as may be polled in one drain.
    fn release(&self) {
        let mut held = self.held.borrow_mut();
        let count = held.len().min(self.limit);
        let released: Vec<_> = held.drain(..count).collect();
        if held.is_empty() && is_excess(held.capacity(), 0) {
            *held = VecDeque::new(); // A burst is over.
        }
        drop(held);
        self.released.set(self.released.get() + count);
        released.into_iter().for_each(TaskWaker::queue_here);
    }
}

/// Whether a task that is about to be polled has to wait. It then goes on by itself.
pub(super) fn holds(task: &Arc<TaskWaker>, loop_id: u32) -> bool {
    let Some(state) = current::find(loop_id) else { return false };
    let Some(budget) = state.poll_budget.as_ref().filter(|budget| !budget.take()) else {
        return false;
    };
    let is_first = budget.held.borrow().is_empty();
    budget.held.borrow_mut().push_back(task.clone());
    if is_first {
        go_on(&state, task.location(&state));
    }
    true
}

/// Has those that wait go on in the next check phase, for which the loop stays alive.
fn go_on(state: &Rc<State>, location: &'static Location<'static>) {
    let inner = state.clone();
    let release = move || {
        let Some(budget) = &inner.poll_budget else { return };
        budget.release();
        let next = budget.held.borrow().front().cloned();
        if let Some(next) = next {
            go_on(&inner, next.location(&inner));
        }
    };
    check::queue(state, location, release);
}
