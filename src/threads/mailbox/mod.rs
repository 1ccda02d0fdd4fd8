//! What other threads made ready: put in from anywhere, emptied on the loop.
//!
//! A loop has one mailbox, and every other thread that has something for the loop puts it there
//! ([`incoming`]). A sender wakes the loop, but only if the loop is asleep and no other sender has
//! woken it yet: all wakes between two looks cost one system call.
//!
//! One lock guards the inbox. It is held for a push or a swap, never while user code runs or a
//! user's value is dropped. The loop says under that lock that it goes to sleep, after looking once
//! more, so no wake is lost. A loop with sources sleeps in its poller and is woken through a
//! descriptor. A loop without sources waits only for its senders: it blocks on a condition variable
//! of the lock, which costs both sides less. `filled` repeats outside the lock whether there is
//! anything to take: a loop that need not sleep looks there and takes no lock.
//!
//! What a loop has taken out stands in `state/delivery.rs`; `phase/poll/deliver.rs` delivers it.

pub(crate) mod incoming;
pub(crate) mod numbers;
pub(crate) mod posts;

use std::io;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::Nanos;
#[cfg(feature = "inspect")]
use crate::clock::saturating_nanos;
use crate::queue::closure::Closure;
use crate::report::metrics::Figures;
use crate::sys;
use crate::threads::OwnLine;
#[cfg(feature = "inspect")]
use crate::trace::seen::LoopSeen;
use crate::trace::track::Observed;
use crate::virtual_time::arrivals::{Arrivals, Way};
use incoming::{Done, Incoming, Woken};

/// How often a wake that fails is tried again at once.
const WAKES_MAX: usize = 100;

/// The side of a loop that other threads see. It outlives the loop.
///
/// What senders write and what the loop reads for each callback stand on different cache lines: on
/// one line, each post would take the line away from a loop that is in the middle of its callbacks.
pub(crate) struct Mailbox {
    /// What was put in, and whether the loop sleeps.
    inbox: OwnLine<Mutex<Inbox>>,
    /// Whether the inbox holds anything. Set under the lock.
    filled: OwnLine<AtomicBool>,
    /// Set by any thread, cleared by the loop.
    flags: OwnLine<Flags>,
    /// Wakes a loop that sleeps without a poller.
    wakes: Condvar,
    /// How many [`RemoteMailbox`]es there are: remotes and notifiers that other threads may hold.
    /// While there are none, nothing from outside can reach a loop in virtual time.
    remotes: AtomicUsize,
    /// What was sent by loops that are ahead. Empty unless the loop is in virtual time.
    virtual_time: OnceLock<Arrivals>,
    /// The loop's figures, which others may read while it runs.
    pub(crate) figures: OwnLine<Figures>,
}

/// What is rarely written and often read: bits, and a count above them.
#[derive(Default)]
struct Flags {
    /// The bits below, and the count of observers above them.
    bits: AtomicU32,
}

impl Flags {
    /// The loop was told to end: nothing queued runs any more.
    const HALTED: u32 = 1;
    /// The loop was told to stop: its turn ends.
    const STOPPING: u32 = 2;
    /// The loop takes nothing in any more: it is torn down.
    const ENDED: u32 = 4;
    /// One observer. All that is not one of the bits above counts them.
    const OBSERVER: u32 = 8;

    #[inline]
    fn get(&self) -> u32 {
        self.bits.load(Ordering::Relaxed)
    }
}

/// What the lock guards.
///
/// In this order, so that all of a notice to a receiver stands on the lock's own cache line: each
/// line that both sides write has to come over from the other core.
#[derive(Default)]
#[repr(C)]
struct Inbox {
    /// The loop sleeps, or is about to, or is not being turned; and nobody has woken it.
    asleep: bool,
    /// The loop has ended. Nothing is taken in any more.
    closed: bool,
    /// The loop was unparked while awake: its next sleep does not begin.
    token: bool,
    /// What was put in and not yet taken out.
    incoming: Incoming,
    /// Ends the loop's sleep in its poller. None while it sleeps on `wakes`, and once it has ended:
    /// the descriptor is the loop's.
    waker: Option<Arc<sys::Waker>>,
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        let inbox = Inbox { asleep: true, ..Inbox::default() };
        Mailbox {
            inbox: OwnLine(Mutex::new(inbox)),
            filled: OwnLine::default(),
            flags: OwnLine::default(),
            wakes: Condvar::new(),
            remotes: AtomicUsize::new(0),
            virtual_time: OnceLock::new(),
            figures: OwnLine::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // No user code runs under the lock, so a poisoned inbox is whole.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ----- Put in, from any thread -----

    /// Has a closure called on the loop. It comes back when the loop is gone.
    #[inline]
    pub(crate) fn post<F: FnOnce() + Send + 'static>(&self, closure: F) -> Result<(), F> {
        self.put(closure, Way::InOrder, |incoming, closure| incoming.posts.push(closure))
    }

    /// As [`post`](Mailbox::post), in virtual time not before `time`, a time of the loop's program.
    pub(crate) fn post_behind<F>(&self, time: Nanos, closure: F) -> Result<(), F>
    where
        F: FnOnce() + Send + 'static,
    {
        self.put(closure, Way::Behind(time), |incoming, closure| incoming.posts.push(closure))
    }

    /// A receiver has something.
    pub(crate) fn notify(&self, receiver: u64) {
        let push = |incoming: &mut Incoming, number| incoming.receivers.push(number);
        // A loop that is gone has no receivers.
        self.put(receiver, Way::Alone, push).unwrap_or_default();
    }

    /// As [`notify`](Mailbox::notify), by a sender that sees to the time at which it is seen.
    pub(crate) fn notify_now(&self, receiver: u64) {
        let push = |incoming: &mut Incoming, number| incoming.receivers.push(number);
        self.put(receiver, Way::Direct, push).unwrap_or_default();
    }

    /// A pool request's work is done.
    pub(crate) fn complete(&self, done: Done) {
        // A loop that is gone has dropped the request, and the result goes with the job, here.
        let push = |incoming: &mut Incoming, done| incoming.completions.push(done);
        self.put(done, Way::Alone, push).unwrap_or_else(drop);
    }

    /// Has a task polled.
    pub(crate) fn wake_task(&self, task: Arc<dyn Woken>) {
        // The tasks of a loop that is gone are gone too.
        let push = |incoming: &mut Incoming, task| incoming.tasks.push(task);
        self.put(task, Way::Alone, push).unwrap_or_default();
    }

    /// Puts something in and wakes the loop if it sleeps. It comes back when the loop is gone.
    #[inline]
    fn put<T>(&self, item: T, way: Way, push: impl FnOnce(&mut Incoming, T)) -> Result<(), T> {
        if let Some(virtual_time) = self.virtual_time.get() {
            return virtual_time.put(self, item, way, push);
        }
        self.put_now(item, push)
    }

    /// As [`put`](Mailbox::put), for the loop to see at once.
    #[inline]
    pub(crate) fn put_now<T>(&self, item: T, push: impl FnOnce(&mut Incoming, T)) -> Result<(), T> {
        let mut inbox = self.lock();
        if inbox.closed {
            return Err(item);
        }
        push(&mut inbox.incoming, item);
        if !self.filled.load(Ordering::Relaxed) {
            self.filled.store(true, Ordering::Release);
        }
        self.wake(inbox);
        Ok(())
    }

    /// Tells the loop to end. The callback that is running goes on to its end.
    pub(crate) fn halt(&self) {
        self.flags.bits.fetch_or(Flags::HALTED, Ordering::SeqCst);
        self.wake(self.lock());
    }

    /// Tells the loop to stop: to end its turn after the iteration it is in.
    pub(crate) fn stop(&self) {
        self.flags.bits.fetch_or(Flags::STOPPING, Ordering::SeqCst);
        self.wake(self.lock());
    }

    /// Ends the loop's sleep, or keeps it from its next one, although nothing was put in.
    pub(crate) fn unpark(&self) {
        let mut inbox = self.lock();
        inbox.token = !inbox.asleep;
        self.wake(inbox);
    }

    /// Wakes the loop if it sleeps. Once is enough for all that comes before it looks.
    ///
    /// After the lock is free, or the loop would wake up only to wait for it.
    #[inline]
    fn wake(&self, mut inbox: MutexGuard<'_, Inbox>) {
        if !std::mem::take(&mut inbox.asleep) {
            return;
        }
        let waker = inbox.waker.clone();
        drop(inbox);
        match waker {
            None => self.wakes.notify_one(),
            Some(waker) => {
                if let Err(error) = waker.wake() {
                    self.retry_wake(&waker, error);
                }
            }
        }
    }

    /// A wake has failed: tries again for a while, and else leaves it to the next sender.
    #[cold]
    fn retry_wake(&self, waker: &sys::Waker, mut error: io::Error) {
        for _ in 0..WAKES_MAX {
            thread::yield_now();
            match waker.wake() {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        log::error!("a loop could not be woken, the next message for it tries again: {error}");
        let mut inbox = self.lock();
        // One that is awake by now is woken once too often, which does no harm.
        inbox.asleep = true;
    }

    // ----- Look and sleep, on the loop -----

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.flags.get() & Flags::HALTED != 0
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.flags.get() & Flags::STOPPING != 0
    }

    /// Whether the loop was told to end, or to stop.
    #[inline]
    pub(crate) fn is_to_return(&self) -> bool {
        self.flags.get() & (Flags::HALTED | Flags::STOPPING) != 0
    }

    /// Whether somebody observes the loop.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.flags.get() >= Flags::OBSERVER
    }

    /// Whether the loop was not told to end, and nobody observes it.
    #[inline]
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.flags.get() & !(Flags::STOPPING | Flags::ENDED) == 0
    }

    /// Whether the loop takes callbacks in, and nobody observes it.
    #[inline]
    pub(crate) fn takes_plainly(&self) -> bool {
        self.flags.get() & !(Flags::STOPPING | Flags::HALTED) == 0
    }

    /// The loop takes nothing in any more.
    pub(crate) fn end(&self) {
        self.flags.bits.fetch_or(Flags::ENDED, Ordering::SeqCst);
    }

    /// The loop has stopped.
    pub(crate) fn clear_stop(&self) {
        self.flags.bits.fetch_and(!Flags::STOPPING, Ordering::SeqCst);
    }

    /// Whether the loop must not sleep, without taking the lock. Else
    /// [`prepare_to_sleep`](Mailbox::prepare_to_sleep) decides.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.is_filled() || self.is_to_return()
    }

    /// Whether a posted closure waits, or a task that was woken: its poll is a microtask, and none
    /// is left behind.
    pub(crate) fn has_posts_or_wakes(&self) -> bool {
        self.is_filled() && self.lock().incoming.has_posts_or_wakes()
            || self.virtual_time.get().is_some_and(Arrivals::has_posts_or_wakes)
    }

    /// The loop is about to sleep. False if it must not, for something has come.
    pub(crate) fn prepare_to_sleep(&self) -> bool {
        let mut inbox = self.lock();
        let token = std::mem::take(&mut inbox.token);
        inbox.asleep = !token && inbox.incoming.is_empty() && !self.has_news();
        inbox.asleep
    }

    /// Blocks a loop without a poller, which is about to sleep, until something has come, at most
    /// for `timeout`.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let inbox = self.lock();
        let asleep = |inbox: &mut Inbox| inbox.asleep;
        let mut inbox = match timeout {
            None => self.wakes.wait_while(inbox, asleep).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let waited = self.wakes.wait_timeout_while(inbox, limit, asleep);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inbox.asleep = false;
    }

    /// The loop is awake and looks for itself: nobody need wake it.
    pub(crate) fn wake_up(&self) {
        self.lock().asleep = false;
    }

    /// Whether the loop sleeps, or is about to, and nobody has woken it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.lock().asleep
    }

    /// The loop's turn has ended: until the next one, what is put in makes its descriptor readable.
    /// What is there already must do so now.
    pub(crate) fn leave(&self) {
        let mut inbox = self.lock();
        inbox.asleep = true;
        if !inbox.incoming.is_empty() {
            self.wake(inbox);
        }
    }

    /// The loop sleeps in its poller from now on. What is there already makes the poller's
    /// descriptor readable, in case nobody turns the loop.
    pub(crate) fn set_waker(&self, waker: sys::Waker) {
        let waker = Arc::new(waker);
        let mut inbox = self.lock();
        if inbox.closed {
            return; // A destructor has asked for the descriptor while the loop was torn down.
        }
        inbox.waker = Some(waker);
        if self.has_news() {
            inbox.asleep = true;
            self.wake(inbox);
        }
    }

    /// Swaps the inbox for `empty`, whose memory the next senders use.
    pub(crate) fn take(&self, empty: &mut Incoming) {
        let mut inbox = self.lock();
        inbox.incoming.swap_filled(empty);
        self.filled.store(false, Ordering::Release);
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&self) {
        let mut inbox = self.lock();
        let lists = inbox.incoming.is_empty().then(|| std::mem::take(&mut inbox.incoming));
        drop(inbox); // To free much takes a while.
        drop(lists);
    }

    /// The loop has ended: takes nothing in any more. The closures that were there come back, to be
    /// dropped one by one; nothing else here is a user's value.
    pub(crate) fn close(&self) -> impl Iterator<Item = Closure> + use<> {
        let mut inbox = self.lock();
        inbox.closed = true;
        self.filled.store(false, Ordering::Release);
        let incoming = std::mem::take(&mut inbox.incoming);
        let waker = inbox.waker.take();
        drop(inbox);
        drop(waker);
        let later = self.virtual_time.get().map(Arrivals::close).unwrap_or_default();
        let all = iter::once(incoming).chain(later.into_values());
        all.flat_map(|incoming| iter::from_fn(move || incoming.posts.pop()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    // ----- In virtual time -----

    /// The loop becomes one of a program in virtual time. Before anything is put in.
    pub(crate) fn enter_virtual_time(&self, arrivals: Arrivals) {
        let first = self.virtual_time.set(arrivals).is_ok();
        debug_assert!(first, "a loop belongs to one program");
    }

    /// The number of the loop's program in virtual time, else zero.
    pub(crate) fn program(&self) -> u64 {
        self.virtual_time.get().map_or(0, Arrivals::program)
    }

    /// Whether threads outside of the loop's program may still send something.
    pub(crate) fn has_remotes(&self) -> bool {
        self.remotes.load(Ordering::Relaxed) > 0
    }

    /// A request's work is done, or begins, at `time`, a time of the loop's program.
    pub(crate) fn complete_at(&self, done: Done, time: Nanos) {
        let Some(virtual_time) = self.virtual_time.get() else { return self.complete(done) };
        let push = |incoming: &mut Incoming, done| incoming.completions.push(done);
        // As in `complete`.
        virtual_time.put_at(time, done, push).unwrap_or_else(drop);
    }

    /// A receiver has something that is seen from `time` on, a time of the loop's program.
    pub(crate) fn notify_at(&self, receiver: u64, time: Nanos) {
        let Some(virtual_time) = self.virtual_time.get() else { return self.notify(receiver) };
        let push = |incoming: &mut Incoming, number| incoming.receivers.push(number);
        // A loop that is gone has no receivers.
        virtual_time.put_at(time, receiver, push).unwrap_or_default();
    }

    /// What happens at a socket in memory at `time`, a time of the loop's program.
    pub(crate) fn report_at(&self, time: Nanos, key: u64, event: sys::Event) {
        self.virtual_time.get().iter().for_each(|arrivals| arrivals.report_at(time, key, event));
    }

    /// What has happened at sockets in memory up to this time, by the keys of their handles.
    pub(crate) fn reports(&self, now: Nanos) -> Vec<(u64, sys::Event)> {
        self.virtual_time.get().map_or_else(Vec::new, |arrivals| arrivals.reports(now))
    }

    /// As [`halt`](Mailbox::halt), in virtual time when the loop's clock has come to the sender's.
    pub(crate) fn halt_when_seen(&self) {
        match self.virtual_time.get() {
            None => self.halt(),
            Some(virtual_time) => virtual_time.halt(self),
        }
    }

    /// As [`stop`](Mailbox::stop), in virtual time when the loop's clock has come to the sender's.
    pub(crate) fn stop_when_seen(&self) {
        match self.virtual_time.get() {
            None => self.stop(),
            Some(virtual_time) => virtual_time.stop(self),
        }
    }

    /// When a loop in virtual time sees something: 0 if it is there already.
    pub(crate) fn next_arrival(&self) -> Nanos {
        if self.has_news() {
            return 0;
        }
        self.virtual_time.get().map_or(Nanos::MAX, Arrivals::next)
    }

    /// Shows a loop in virtual time all that was sent up to this time.
    pub(crate) fn reveal(&self, now: Nanos) {
        self.virtual_time.get().iter().for_each(|arrivals| arrivals.reveal(self, now));
    }

    /// Adds what is seen from now on. On the loop's thread, which is awake.
    pub(crate) fn append(&self, more: &mut Incoming) {
        let mut inbox = self.lock();
        inbox.incoming.append(more);
        self.filled.store(!inbox.incoming.is_empty(), Ordering::Release);
    }
}

impl Observed for Mailbox {
    fn add_observer(&self) {
        let before = self.flags.bits.fetch_add(Flags::OBSERVER, Ordering::SeqCst);
        if before < Flags::OBSERVER {
            // What ran when the last observer left has perhaps ended since.
            self.figures.track.running.end();
        }
    }

    fn remove_observer(&self) {
        self.flags.bits.fetch_sub(Flags::OBSERVER, Ordering::SeqCst);
    }

    fn waiting(&self) -> usize {
        self.lock().incoming.len()
    }

    #[cfg(feature = "inspect")]
    fn look(&self) -> Option<LoopSeen> {
        if self.figures.have_ended() {
            return None;
        }
        let metrics = self.figures.snapshot();
        Some(LoopSeen {
            iterations: metrics.iterations,
            idle: saturating_nanos(metrics.idle_time),
            active: saturating_nanos(metrics.active_time),
            // One that is not turned has perhaps been woken, and nobody has turned it since.
            is_asleep: self.is_asleep() || !self.figures.track.is_turning(),
            waiting: self.waiting(),
        })
    }

    #[cfg(feature = "inspect")]
    fn wake(&self) {
        if self.virtual_time.get().is_none() {
            self.unpark();
        }
    }
}

/// A mailbox as threads outside of the loop's program hold it: counted.
pub(crate) struct RemoteMailbox(Arc<Mailbox>);

impl RemoteMailbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> RemoteMailbox {
        mailbox.remotes.fetch_add(1, Ordering::Relaxed);
        RemoteMailbox(mailbox)
    }
}

impl Clone for RemoteMailbox {
    fn clone(&self) -> RemoteMailbox {
        RemoteMailbox::new(self.0.clone())
    }
}

impl Drop for RemoteMailbox {
    fn drop(&mut self) {
        if self.0.remotes.fetch_sub(1, Ordering::Relaxed) == 1 {
            // The program may be waiting for what can no longer come.
            self.0.virtual_time.get().iter().for_each(|arrivals| arrivals.wake_scheduler());
        }
    }
}

impl std::ops::Deref for RemoteMailbox {
    type Target = Mailbox;
    fn deref(&self) -> &Mailbox {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mailbox of a loop that is being turned.
    fn mailbox() -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new());
        mailbox.wake_up();
        mailbox
    }

    #[test]
    fn a_loop_does_not_prepare_to_sleep_over_what_has_come_since_it_looked() {
        let comes: [fn(&Mailbox); 4] = [
            |mailbox| mailbox.complete(Done { request: 0, job: None }),
            |mailbox| mailbox.notify(1),
            |mailbox| mailbox.stop(),
            |mailbox| mailbox.halt(),
        ];
        for come in comes {
            let mailbox = mailbox();
            come(&mailbox);
            assert!(!mailbox.prepare_to_sleep());
        }
    }

    #[test]
    fn an_unpark_keeps_a_loop_that_is_awake_from_its_next_sleep_only() {
        let mailbox = mailbox();
        mailbox.unpark();
        assert!(!mailbox.prepare_to_sleep());
        assert!(mailbox.prepare_to_sleep());
    }
}
