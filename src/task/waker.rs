//! The waker of a task: every wake is one microtask.
//!
//! It holds no part of the task, only its key: a waker may live on any thread and outlive task and
//! loop. A wake on the loop's thread queues a microtask at once; from another thread it goes
//! through the mailbox. Between a wake and the poll that follows, more wakes change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use crate::state::State;
use crate::state::current;
use crate::state::key::Key;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::Woken;

/// What a [`Waker`] of a task is made of.
pub(crate) struct TaskWaker {
    /// The task's loop, for a wake on its thread.
    loop_id: u32,
    /// The way to the loop from other threads.
    mailbox: Arc<Mailbox>,
    /// The task.
    key: Key,
    /// A microtask that will poll the task is on its way.
    scheduled: AtomicBool,
}

impl TaskWaker {
    pub(crate) fn new(state: &State, key: Key) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            loop_id: state.id,
            mailbox: state.mailbox.clone(),
            key,
            scheduled: AtomicBool::new(false),
        })
    }

    /// Schedules the task for the first time. On the loop's thread.
    pub(crate) fn schedule(self: Arc<Self>, state: &State) {
        self.scheduled.store(true, Ordering::Release);
        self.queue_on(state);
    }

    /// Queues the microtask that polls the task. On the loop's thread.
    fn queue_on(self: Arc<Self>, state: &State) {
        if state.is_open() {
            state.microtasks.push(move || self.run());
        }
    }

    /// Has the microtask queued, from any thread.
    fn deliver(self: Arc<Self>) {
        let (loop_id, mut waker) = (self.loop_id, Some(self));
        current::find_with(loop_id, |state| {
            if let Some(waker) = waker.take() {
                waker.queue_on(state);
            }
        });
        if let Some(waker) = waker {
            // Its loop is on another thread.
            let mailbox = waker.mailbox.clone();
            mailbox.wake_task(waker);
        }
    }

    /// The microtask: polls the task, if it has not finished.
    fn run(self: Arc<Self>) {
        // Cleared first: a wake during the poll asks for another one. By a swap, not by a store: a
        // thread that found it set has written something before its wake, and only a read of the
        // bit makes that visible here.
        self.scheduled.swap(false, Ordering::AcqRel);
        let task = current::find_with(self.loop_id, |state| state.tasks.get(self.key));
        if let Some(task) = task.flatten() {
            task.run(&Waker::from(self));
        }
    }
}

impl Woken for TaskWaker {
    fn queue(self: Arc<Self>) {
        current::find_with(self.loop_id, |state| self.clone().queue_on(state));
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.deliver();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // No look before the swap: it could come before what the caller has written is there to be
        // seen by the poll that is on its way.
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.clone().deliver();
        }
    }
}
