//! What is put in a mailbox, by kind.

use std::any::Any;
use std::sync::Arc;

use super::numbers::NumberList;
use crate::queue::ring::SendRing;

/// What was put in and not yet taken out. Its lists keep their memory while they are empty.
///
/// A notice to a receiver stands first, on the cache line of the inbox's lock.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Incoming {
    /// Receivers that have something (ports, workers, notifiers), by number.
    pub(crate) receivers: NumberList,
    /// Closures to be called.
    pub(crate) posts: SendRing,
    /// Requests of which the work is done.
    pub(crate) completions: Vec<Done>,
    /// Tasks to be polled.
    pub(crate) tasks: Vec<Arc<dyn Woken>>,
}

/// A request of which the work is done.
pub(crate) struct Done {
    /// The key of its entry.
    pub(crate) request: u64,
    /// The other thread's hold on the job. It comes along so that only the loop's thread counts it
    /// down: a count that two cores change at one moment costs more than all of a small job.
    pub(crate) job: Option<Arc<dyn Any + Send + Sync>>,
}

/// A task that another thread has woken.
pub(crate) trait Woken: Send + Sync {
    /// Queues the microtask that polls the task. On the loop's thread, while the loop is current.
    fn queue(self: Arc<Self>);
}

impl Incoming {
    pub(crate) fn is_empty(&self) -> bool {
        self.completions.is_empty()
            && self.receivers.is_empty()
            && self.posts.is_empty()
            && self.tasks.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.completions.len() + self.receivers.len() + self.posts.len() + self.tasks.len()
    }

    pub(crate) fn has_posts_or_wakes(&self) -> bool {
        !self.posts.is_empty() || !self.tasks.is_empty()
    }

    /// Swaps those lists that have something for the empty ones of `other`. The rest is only looked
    /// at, and its cache lines stay where they are.
    pub(super) fn swap_filled(&mut self, other: &mut Incoming) {
        fn swap<T>(is_empty: bool, from: &mut T, to: &mut T) {
            if !is_empty {
                std::mem::swap(from, to);
            }
        }
        swap(self.receivers.is_empty(), &mut self.receivers, &mut other.receivers);
        swap(self.posts.is_empty(), &mut self.posts, &mut other.posts);
        swap(self.completions.is_empty(), &mut self.completions, &mut other.completions);
        swap(self.tasks.is_empty(), &mut self.tasks, &mut other.tasks);
    }

    /// Adds what another one holds behind this one.
    pub(super) fn append(&mut self, other: &mut Incoming) {
        self.completions.append(&mut other.completions);
        self.receivers.append(&mut other.receivers);
        self.posts.append(&mut other.posts);
        self.tasks.append(&mut other.tasks);
    }
}
