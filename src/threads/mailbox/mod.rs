//! What other threads made ready: put in from anywhere, emptied on the loop.
//!
//! A loop has one mailbox, and every other thread that has something for the loop puts it there:
//! completed pool requests and receivers (ports, workers, notifiers) by number, posted closures and
//! woken tasks by value. Whoever puts something in wakes the loop, but only if it is asleep and
//! nobody has woken it yet: all wakes between two looks cost one system call.
//!
//! One lock guards the inbox. It is held for a push or a swap, never while user code runs or a
//! user's value is dropped. The loop says under that lock that it goes to sleep and where, after looking once
//! more, so no wake is lost. A loop with sources sleeps in its poller and is woken through a descriptor. One
//! without waits for nobody but its senders: it blocks on a condition variable of the lock, which costs both
//! sides less. `filled` repeats outside the lock whether there is anything to take: a loop that need not
//! sleep looks there and takes no lock.

pub(crate) mod deliver;
mod numbers;
mod posts;

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::Nanos;
use crate::event_loop::current;
use crate::metrics::Figures;
use crate::queue::closure::Closure;
use crate::queue::ring::SendRing;
use crate::sys;
use crate::task::waker::TaskWaker;
use crate::threads::OwnLine;
use crate::virtual_time::scheduler::WeakTurns;
use numbers::NumberList;

/// How often a wake that fails is tried again at once.
const WAKES_MAX: usize = 100;

/// The side of a loop that other threads see. It outlives the loop.
///
/// What senders write and what the loop reads for each callback stand on different cache lines: on one line,
/// each post would take the line away from a loop that is in the middle of its callbacks.
pub(crate) struct Mailbox {
    inbox: OwnLine<Mutex<Inbox>>,
    /// Whether the inbox holds anything. Set under the lock.
    filled: OwnLine<AtomicBool>,
    signs: OwnLine<Signs>,
    /// Signalled for a loop that is parked.
    news: Condvar,
    /// Remotes and notifiers that other threads may hold. While there are none, nothing from outside
    /// can reach a loop in virtual time.
    outside: AtomicUsize,
    /// The number of the program and its turns, when the loop is in virtual time.
    turns: OnceLock<(u64, WeakTurns)>,
    /// The loop's figures, which others may read while it runs.
    pub(crate) figures: OwnLine<Figures>,
}

/// What is rarely written and often read.
#[derive(Default)]
struct Signs {
    /// The loop was told to end: nothing queued runs any more.
    halted: AtomicBool,
    /// The loop was told to leave its turn.
    stopping: AtomicBool,
}

/// A mailbox as others than its loop hold it: counted.
pub(crate) struct Address(Arc<Mailbox>);

impl Address {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Address {
        mailbox.outside.fetch_add(1, Ordering::Relaxed);
        Address(mailbox)
    }
}

impl Clone for Address {
    fn clone(&self) -> Address {
        Address::new(self.0.clone())
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if self.0.outside.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.poke_turns(); // The program may be waiting for what can no longer come.
        }
    }
}

impl std::ops::Deref for Address {
    type Target = Mailbox;
    fn deref(&self) -> &Mailbox {
        &self.0
    }
}

/// In this order, so that all of a notice to a receiver stands on the lock's own cache line: each line that both
/// sides write has to come over from the other core.
#[derive(Default)]
#[repr(C)]
struct Inbox {
    /// The loop sleeps, or is about to, or is not being turned; and nobody has woken it.
    asleep: bool,
    /// Whether the loop has ended. Nothing is taken in any more.
    closed: bool,
    /// The next sleep is not to begin.
    nudged: bool,
    letters: Letters,
    /// Ends the loop's sleep in its poller. None while it sleeps on `news`, and once it has ended: the
    /// descriptor is the loop's.
    waker: Option<Arc<sys::Waker>>,
    /// In virtual time: letters from loops that are ahead, by when they were sent.
    later: BTreeMap<Nanos, Letters>,
    /// In virtual time: when the loop is told to end.
    halt_at: Option<Nanos>,
    /// In virtual time: when the loop is told to leave its turn.
    stop_at: Option<Nanos>,
}

/// A request of which the work is done.
pub(crate) struct Done {
    /// The key of its entry.
    pub(crate) request: u64,
    /// The other thread's hold on the job. It comes along so that only the loop's thread counts it down: a
    /// count that two cores change at one moment costs more than all of a small job.
    pub(crate) job: Option<Arc<dyn Any + Send + Sync>>,
}

/// What is put in a mailbox.
#[derive(Default)]
#[repr(C)]
pub(super) struct Letters {
    /// Receivers that have something, by number.
    receivers: NumberList,
    /// Closures to be called.
    posts: SendRing,
    /// Requests of which the work is done.
    completions: Vec<Done>,
    /// Tasks to be polled.
    wakes: Vec<Arc<TaskWaker>>,
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.completions.is_empty()
            && self.receivers.is_empty()
            && self.posts.is_empty()
            && self.wakes.is_empty()
    }

    /// Swaps those lists that have something for the empty ones of `other`. The rest is only looked at,
    /// and its cache lines stay where they are.
    fn swap_filled(&mut self, other: &mut Letters) {
        fn swap<T>(is_empty: bool, from: &mut T, to: &mut T) {
            if !is_empty {
                std::mem::swap(from, to);
            }
        }
        swap(self.receivers.is_empty(), &mut self.receivers, &mut other.receivers);
        swap(self.posts.is_empty(), &mut self.posts, &mut other.posts);
        swap(self.completions.is_empty(), &mut self.completions, &mut other.completions);
        swap(self.wakes.is_empty(), &mut self.wakes, &mut other.wakes);
    }

    /// Adds another set behind this one.
    fn append(&mut self, other: &mut Letters) {
        self.completions.append(&mut other.completions);
        self.receivers.append(&mut other.receivers);
        self.posts.append(&mut other.posts);
        self.wakes.append(&mut other.wakes);
    }
}

/// The earlier of two times.
fn earlier(before: Option<Nanos>, time: Nanos) -> Nanos {
    before.map_or(time, |before| before.min(time))
}

/// When a letter is seen.
enum Sent {
    Now,
    /// Now, by a thread that takes no turns.
    FromOutside,
    /// When the loop's clock has come to the sender's.
    At(Nanos),
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        let inbox = Inbox { asleep: true, ..Inbox::default() };
        Mailbox {
            inbox: OwnLine(Mutex::new(inbox)),
            filled: OwnLine::default(),
            signs: OwnLine::default(),
            news: Condvar::new(),
            outside: AtomicUsize::new(0),
            turns: OnceLock::new(),
            figures: OwnLine::default(),
        }
    }

    /// The loop sleeps in its poller from now on. What is there already makes the poller's descriptor
    /// readable, in case nobody turns the loop.
    pub(crate) fn set_waker(&self, waker: sys::Waker) {
        let waker = Arc::new(waker);
        let mut inbox = self.lock();
        if inbox.closed {
            return; // A destructor has asked for the descriptor while the loop was torn down.
        }
        inbox.waker = Some(waker);
        if self.has_news() {
            inbox.asleep = true;
            self.rouse(inbox);
        }
    }

    /// Whether anybody outside may still send something.
    pub(crate) fn has_outside_address(&self) -> bool {
        self.outside.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // No user code runs under the lock, so a poisoned inbox is whole.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in and wakes the loop if it sleeps. Returns the letter when the loop is gone.
    #[inline]
    fn put<T>(&self, letter: T, push: impl FnOnce(&mut Letters, T)) -> Result<(), T> {
        self.put_at(self.sent(), letter, push)
    }

    /// As [`put`](Mailbox::put), for a moment.
    #[inline]
    fn put_at<T>(
        &self,
        sent: Sent,
        letter: T,
        push: impl FnOnce(&mut Letters, T),
    ) -> Result<(), T> {
        let mut inbox = self.lock();
        if inbox.closed {
            return Err(letter);
        }
        if let Sent::At(time) = sent {
            // Its loop waits for a turn, and when that comes it looks here.
            push(inbox.later.entry(time).or_default(), letter);
            return Ok(());
        }
        push(&mut inbox.letters, letter);
        if !self.filled.load(Ordering::Relaxed) {
            self.filled.store(true, Ordering::Release);
        }
        self.rouse(inbox);
        if let Sent::FromOutside = sent {
            self.poke_turns();
        }
        Ok(())
    }

    /// In virtual time: has the program look again, if it waits for what is outside.
    fn poke_turns(&self) {
        if let Some(turns) = self.turns.get().and_then(|(_, turns)| turns.upgrade()) {
            turns.poke();
        }
    }

    /// When a letter is seen that is sent from here and now.
    #[inline]
    fn sent(&self) -> Sent {
        if self.turns.get().is_none() { Sent::Now } else { self.sent_in_virtual_time() }
    }

    fn sent_in_virtual_time(&self) -> Sent {
        match current::place() {
            Some(here) if std::ptr::eq(here.mailbox, self) => Sent::Now,
            // The clocks of two programs have nothing to do with each other.
            Some(here) if here.program == self.program() => Sent::At(here.time),
            _ => Sent::FromOutside,
        }
    }

    /// The number of the loop's program in virtual time, else zero.
    pub(crate) fn program(&self) -> u64 {
        self.turns.get().map_or(0, |(program, _)| *program)
    }

    /// Joins the turns of a program in virtual time.
    pub(crate) fn set_turns(&self, program: u64, turns: WeakTurns) {
        let first = self.turns.set((program, turns)).is_ok();
        debug_assert!(first, "a loop takes turns with those of one program");
    }

    /// In virtual time: when there will be something to see.
    pub(crate) fn next_arrival(&self) -> Nanos {
        let inbox = self.lock();
        if self.is_halted() || self.is_stopping() || !inbox.letters.is_empty() {
            return 0;
        }
        let first = inbox.later.keys().next().copied();
        first.into_iter().chain(inbox.halt_at).chain(inbox.stop_at).min().unwrap_or(Nanos::MAX)
    }

    /// In virtual time: shows the loop all that was sent up to this time.
    pub(crate) fn reveal(&self, now: Nanos) {
        let mut inbox = self.lock();
        let hidden = inbox.later.split_off(&now.saturating_add(1));
        let visible = std::mem::replace(&mut inbox.later, hidden);
        for mut letters in visible.into_values() {
            inbox.letters.append(&mut letters);
        }
        if !inbox.letters.is_empty() {
            self.filled.store(true, Ordering::Release);
        }
        if inbox.halt_at.is_some_and(|time| time <= now) {
            self.signs.halted.store(true, Ordering::SeqCst);
        }
        if inbox.stop_at.is_some_and(|time| time <= now) {
            inbox.stop_at = None;
            self.signs.stopping.store(true, Ordering::SeqCst);
        }
    }

    /// A receiver has something that is seen from `time` on.
    pub(crate) fn notify_at(&self, receiver: u64, time: Nanos) {
        let sent = if self.turns.get().is_some() { Sent::At(time) } else { Sent::Now };
        // A loop that is gone has no receivers.
        let push = |letters: &mut Letters, number| letters.receivers.push(number);
        self.put_at(sent, receiver, push).unwrap_or_default();
    }

    /// Tells the loop to end, in virtual time when its clock has come to the sender's.
    pub(crate) fn halt_when_seen(&self) {
        match self.sent() {
            Sent::At(time) => {
                let mut inbox = self.lock();
                inbox.halt_at = Some(earlier(inbox.halt_at, time));
            }
            Sent::Now => self.halt(),
            Sent::FromOutside => {
                self.halt();
                self.poke_turns();
            }
        }
    }

    /// Tells the loop to leave its turn, in virtual time when its clock has come to the sender's.
    pub(crate) fn stop_when_seen(&self) {
        match self.sent() {
            Sent::At(time) => {
                let mut inbox = self.lock();
                inbox.stop_at = Some(earlier(inbox.stop_at, time));
            }
            Sent::Now => self.stop(),
            Sent::FromOutside => {
                self.stop();
                self.poke_turns();
            }
        }
    }

    /// A pool request's work is done.
    pub(crate) fn complete(&self, done: Done) {
        // A loop that is gone has dropped the request, and the result goes with the job, here.
        self.put(done, |letters, done| letters.completions.push(done)).unwrap_or_else(drop);
    }

    /// A receiver has something.
    pub(crate) fn notify(&self, receiver: u64) {
        // A loop that is gone has no receivers.
        self.put(receiver, |letters, number| letters.receivers.push(number)).unwrap_or_default();
    }

    /// Has a closure called on the loop. It comes back when the loop is gone.
    #[inline]
    pub(crate) fn post<F: FnOnce() + Send + 'static>(&self, closure: F) -> Result<(), F> {
        self.put(closure, |letters, closure| letters.posts.push(closure))
    }

    /// Has a task polled.
    pub(crate) fn wake_task(&self, waker: Arc<TaskWaker>) {
        // The tasks of a loop that is gone are gone too.
        self.put(waker, |letters, waker| letters.wakes.push(waker)).unwrap_or_default();
    }

    /// Whether the loop sleeps, or is about to, and nobody has woken it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.lock().asleep
    }

    /// Ends the loop's sleep although nothing was put in.
    pub(crate) fn wake(&self) {
        self.rouse(self.lock());
    }

    /// As [`wake`](Mailbox::wake), also for a sleep that is only about to begin.
    pub(crate) fn nudge(&self) {
        let mut inbox = self.lock();
        inbox.nudged = !inbox.asleep;
        self.rouse(inbox);
    }

    /// Tells the loop to end. The callback that is running goes on to its end.
    pub(crate) fn halt(&self) {
        self.signs.halted.store(true, Ordering::SeqCst);
        self.wake();
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.signs.halted.load(Ordering::Relaxed)
    }

    /// Tells the loop to leave its turn at its end.
    pub(crate) fn stop(&self) {
        self.signs.stopping.store(true, Ordering::SeqCst);
        self.wake();
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.signs.stopping.load(Ordering::Relaxed)
    }

    /// The request to stop has been followed.
    pub(crate) fn clear_stop(&self) {
        self.signs.stopping.store(false, Ordering::SeqCst);
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Whether the loop must not sleep, without taking the lock. Else [`fall_asleep`](Mailbox::fall_asleep) decides.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.is_filled() || self.is_halted() || self.is_stopping()
    }

    /// Whether a posted closure waits.
    pub(crate) fn has_posts(&self) -> bool {
        if !self.is_filled() && self.turns.get().is_none() {
            return false;
        }
        let inbox = self.lock();
        let waiting = |letters: &Letters| !letters.posts.is_empty();
        waiting(&inbox.letters) || inbox.later.values().any(waiting)
    }

    /// The loop is about to sleep. False if it must not, for something has come.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut inbox = self.lock();
        let nudged = std::mem::take(&mut inbox.nudged);
        inbox.asleep = !nudged && inbox.letters.is_empty() && !self.has_news();
        inbox.asleep
    }

    /// The loop looks for itself again: nobody need wake it.
    pub(crate) fn wake_up(&self) {
        self.lock().asleep = false;
    }

    /// Blocks a loop without a poller, which is about to sleep, until something has come, at most for `timeout`.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let inbox = self.lock();
        let asleep = |inbox: &mut Inbox| inbox.asleep;
        let mut inbox = match timeout {
            None => self.news.wait_while(inbox, asleep).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let waited = self.news.wait_timeout_while(inbox, limit, asleep);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inbox.asleep = false;
    }

    /// The loop is left alone: until it is turned again, what is put in makes its descriptor
    /// readable. What is there already must do so now.
    pub(crate) fn leave(&self) {
        let mut inbox = self.lock();
        inbox.asleep = true;
        if !inbox.letters.is_empty() {
            self.rouse(inbox);
        }
    }

    /// Wakes the loop if it sleeps. Once is enough for all that comes before it looks.
    ///
    /// After the lock is free, or the loop would wake up only to wait for it.
    #[inline]
    fn rouse(&self, mut inbox: MutexGuard<'_, Inbox>) {
        if !std::mem::take(&mut inbox.asleep) {
            return;
        }
        let waker = inbox.waker.clone();
        drop(inbox);
        match waker {
            None => self.news.notify_one(),
            Some(waker) => {
                if let Err(error) = waker.wake() {
                    self.wake_again(&waker, error);
                }
            }
        }
    }

    /// A wake has failed: tries again for a while, and else leaves it to the next one who has something.
    #[cold]
    fn wake_again(&self, waker: &sys::Waker, mut error: io::Error) {
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

    /// Empties the inbox into `letters`, which is empty and whose memory the next ones use.
    pub(super) fn take(&self, letters: &mut Letters) {
        let mut inbox = self.lock();
        inbox.letters.swap_filled(letters);
        self.filled.store(false, Ordering::Release);
    }

    /// Gives memory back that is not in use.
    pub(super) fn shrink(&self) {
        let mut inbox = self.lock();
        let lists = inbox.letters.is_empty().then(|| std::mem::take(&mut inbox.letters));
        drop(inbox); // To free much takes a while.
        drop(lists);
    }

    /// The loop has ended: takes nothing in any more. The closures that were there come back, to be
    /// dropped one by one; nothing else here is a user's value.
    pub(crate) fn close(&self) -> impl Iterator<Item = Closure> + use<> {
        let mut inbox = self.lock();
        inbox.closed = true;
        self.filled.store(false, Ordering::Release);
        let later = std::mem::take(&mut inbox.later).into_values();
        let letters = std::iter::once(std::mem::take(&mut inbox.letters)).chain(later);
        let waker = inbox.waker.take();
        drop(inbox);
        drop(waker);
        letters.flat_map(|letters| iter::from_fn(move || letters.posts.pop()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
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
    fn a_loop_does_not_fall_asleep_over_what_has_come_since_it_looked() {
        let comes: [fn(&Mailbox); 4] = [
            |mailbox| mailbox.complete(Done { request: 0, job: None }),
            |mailbox| mailbox.notify(1),
            |mailbox| mailbox.stop(),
            |mailbox| mailbox.halt(),
        ];
        for come in comes {
            let mailbox = mailbox();
            come(&mailbox);
            assert!(!mailbox.fall_asleep());
        }
    }

    #[test]
    fn a_nudge_keeps_a_loop_that_is_awake_from_its_next_sleep_only() {
        let mailbox = mailbox();
        mailbox.nudge();
        assert!(!mailbox.fall_asleep());
        assert!(mailbox.fall_asleep());
    }
}
