//! A loop's address for other threads.

use std::fmt;
use std::sync::Arc;

use super::mailbox::{Mailbox, RemoteMailbox};
use crate::callback::observed::{noted, tell_here};
use crate::error::LoopGone;
use crate::trace::detail::{self, Detail};
use crate::trace::label::here;
use crate::trace::ring::Happened;

/// Sends closures to a loop from any thread.
///
/// Made by [`Loop::remote`](crate::Loop::remote). It does not keep the loop alive by itself; an
/// accepted closure does until it has been called. What libuv builds from an async handle and a
/// locked queue.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let remote = windlass::Loop::current().remote();
///     // The job keeps the loop alive until the closure has been posted.
///     windlass::queue_work(move || remote.post(|| println!("on the loop's thread again")));
/// });
/// ```
#[derive(Clone)]
pub struct Remote {
    /// Counted: a loop in virtual time waits while it exists.
    mailbox: RemoteMailbox,
}

impl Remote {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Remote {
        Remote { mailbox: RemoteMailbox::new(mailbox) }
    }

    /// Has `f` called on the loop's thread, in the loop's next poll phase, as a callback of its
    /// own.
    ///
    /// Closures of one sender are called in the order posted, at most 1,024 in one iteration. When
    /// the loop ends before that, `f` is dropped on its thread.
    ///
    /// # Errors
    /// [`LoopGone`] when the loop has ended; `f` is then dropped here.
    ///
    /// # Cost
    /// A short lock. One system call wakes a sleeping loop, however many closures follow before it
    /// looks; none when it is awake.
    #[track_caller]
    pub fn post(&self, f: impl FnOnce() + Send + 'static) -> Result<(), LoopGone> {
        if detail::is_wanted() {
            let to = u64::from(self.mailbox.figures.track.number()) << 32;
            tell_here(Detail::new(Happened::Posted, 0).amount(to));
        }
        let posted = if self.mailbox.is_observed() {
            self.mailbox.post(noted(|| "post", here(), f)).map_err(drop)
        } else {
            self.mailbox.post(f).map_err(drop)
        };
        posted.map_err(|()| LoopGone)
    }

    /// Like [`stop`](crate::stop), from another thread. Does nothing when the loop has ended.
    pub fn stop(&self) {
        self.mailbox.stop_when_seen();
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("loop_gone", &self.mailbox.is_closed()).finish()
    }
}
