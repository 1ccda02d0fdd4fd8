//! The waker of a task: every wake is one microtask.
//!
//! It holds no part of the task, only its key: a waker may live on any thread and outlive task and
//! loop. A wake on the loop's thread queues a microtask at once; from another thread it goes
//! through the mailbox. Between a wake and the poll that follows, more wakes change nothing.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::budget;
use super::span::SpanId;
use crate::callback::observed;
use crate::state::State;
use crate::state::current;
use crate::state::key::Key;
use crate::state::tasks::Run;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::Woken;
use crate::trace::asked::Asked;
use crate::trace::detail::{self, Queue};
use crate::trace::origin::Origin;

/// What a [`Waker`] of a task is made of.
pub(crate) struct TaskWaker {
    /// The task's loop, for a wake on its thread.
    loop_id: u32,
    /// The way to the loop from other threads.
    mailbox: Arc<Mailbox>,
    /// The task.
    key: Key,
    /// Pending while a microtask that will poll the task is on its way.
    poll: Asked,
    /// The loop has a limit on the polls of one drain.
    has_budget: bool,
    /// Where a wake is told.
    span: SpanId,
}

impl TaskWaker {
    /// Schedules a task for the first time. On the loop's thread.
    pub(crate) fn schedule(state: &State, key: Key, span: SpanId) {
        let waker = Arc::new(TaskWaker {
            loop_id: state.id,
            mailbox: state.mailbox.clone(),
            key,
            poll: Asked::once(state.is_observed()),
            has_budget: state.poll_budget.is_some(),
            span,
        });
        waker.queue_on(state);
    }

    /// Asks for a poll. Whether that is the first time since the last one.
    #[inline]
    fn ask(&self) -> bool {
        self.poll.ask(self.mailbox.is_observed(), observed::link)
    }

    /// Queues the microtask that polls the task. On the loop's thread.
    fn queue_on(self: Arc<Self>, state: &State) {
        if state.is_open() {
            if detail::is_wanted() {
                let place = state.tasks.get(self.key).map(|task| task.location());
                state.tell_queued(Queue::Microtasks, None, "task", place);
            }
            state.microtasks.push(move || self.run());
        }
    }

    /// Tells who observes that the task, if it has not finished, is polled, with this id.
    #[cold]
    #[inline(never)]
    fn tell(&self, poll: u64) {
        if let Some(task) = self.task() {
            let (place, cause) = (Some(task.location()), self.poll.cause());
            observed::say(poll, Origin { kind: "task", place, cause });
        }
    }

    /// The task, if it has not finished.
    #[inline]
    fn task(&self) -> Option<Rc<dyn Run>> {
        current::find_with(self.loop_id, |state| state.tasks.get(self.key)).flatten()
    }

    /// Has the microtask queued, from any thread.
    fn deliver(self: Arc<Self>) {
        let (loop_id, mut waker) = (self.loop_id, Some(self));
        current::find_with(loop_id, |state| {
            if let Some(waker) = waker.take() {
                waker.queue_on(state);
                if !state.teller.track.is_turning() {
                    tell_outer_loop(state);
                }
            }
        });
        if let Some(waker) = waker {
            // Its loop is on another thread.
            let mailbox = waker.mailbox.clone();
            mailbox.wake_task(waker);
        }
    }

    /// As [`queue_on`](TaskWaker::queue_on), on whatever loop of this thread.
    pub(super) fn queue_here(self: Arc<Self>) {
        current::find_with(self.loop_id, |state| self.clone().queue_on(state));
    }

    /// The line that spawned the task.
    pub(super) fn location(&self, state: &State) -> &'static Location<'static> {
        let task = state.tasks.get(self.key);
        task.map_or_else(Location::caller, |task| task.location())
    }

    /// The microtask: polls the task, if it has not finished.
    fn run(self: Arc<Self>) {
        if self.has_budget && budget::holds(&self, self.loop_id) {
            return;
        }
        let poll = self.poll.happens();
        if poll > 0 {
            self.tell(poll);
        }
        if let Some(task) = self.task() {
            task.run(&Waker::from(self));
        }
    }
}

/// A task was woken between two turns: the loop is to be turned, as after a wake from another
/// thread. An outer loop that sleeps hears it by the descriptor.
#[cold]
#[inline(never)]
fn tell_outer_loop(state: &State) {
    // Once is enough.
    if state.is_open() && state.mailbox.is_asleep() {
        state.mailbox.wake_task(Arc::new(Queued));
    }
}

/// Stands in the mailbox for a microtask that is queued already.
struct Queued;

impl Woken for Queued {
    fn queue(self: Arc<Self>) {}
}

impl Woken for TaskWaker {
    fn queue(self: Arc<Self>) {
        self.queue_here();
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.span.woken();
        if self.ask() {
            self.deliver();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.span.woken();
        if self.ask() {
            self.clone().deliver();
        }
    }
}
