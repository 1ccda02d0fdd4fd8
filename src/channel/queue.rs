//! One direction of a channel: the part that both threads touch.
//!
//! A [`Queue`] holds the messages and knows which receiver is notified of them. One lock guards all
//! of it. It is held for a push or a pop, never while user code runs or a user's value is dropped.
//! The receiver is notified when a message comes to a queue that it has seen empty; until it looks
//! again, further messages cost no notice.
//!
//! The receiving end does not come for each message: its
//! [`ReceiveBuffer`](super::receive::ReceiveBuffer) swaps the whole list for an empty one under one
//! lock, and hands the messages on from there. It takes one message at a time only where others
//! depend on each message that is taken: with a bound, and in virtual time.
//!
//! A queue may have a bound. Then a sender reserves a place before it sends. Places are given in
//! the order in which senders asked, so none of them starves. The sum of messages, reserved places
//! and places granted to waiting senders is never above the bound.
//!
//! Lock order: none. A queue's lock is released before a mailbox or a waker is touched.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;

pub(crate) use super::answers::{End, Popped, Refused};
use super::seam::{
    Arc, AtomicUsize, Condvar, Mutex, MutexGuard, Nanos, Ordering, OwnLine, PoisonError, Receiver,
    arrival, drop_quietly, is_told, new_number, program, tell_delivered, tell_dropped, tell_posted,
    this_moment, wake_each,
};

/// A list of messages that is empty keeps at most this many bytes: a steady load does not allocate,
/// and a burst is given back.
const KEPT: usize = 64 << 10;

/// A large list is given back also under load, when its room is more than this many times the room
/// that was needed.
const SPARE: usize = 4;

/// Whether a list has more memory than it keeps when there are no messages.
#[inline]
pub(crate) fn is_large<T>(list: &VecDeque<T>) -> bool {
    list.capacity().saturating_mul(size_of::<T>()) > KEPT
}

/// One direction of a channel, shared by the sending and the receiving end.
pub(crate) struct Queue<T> {
    /// All that the lock guards.
    contents: OwnLine<Mutex<Contents<T>>>,
    /// How many messages the receiving end has taken out of the queue and not handed on. That end
    /// alone writes it, for each message, so it stands apart from what senders write. It is only
    /// shown: nothing is decided by it.
    taken: OwnLine<AtomicUsize>,
    /// Signalled for a thread that blocks until something comes.
    arrival: Condvar,
}

/// All that a queue's lock guards, in the order in which a post uses it: see the guide, Why it is
/// fast.
#[repr(C)]
struct Contents<T> {
    /// Whether more may come.
    end: End,
    /// The sending end is being closed and takes nothing in any more. The receiver hears of it
    /// later, when `end` is set.
    sending_over: bool,
    /// The receiving end is gone: nothing will be received any more.
    receiver_gone: bool,
    /// The receiver was notified and has not seen the queue empty since. It will look without
    /// another notice.
    notified: bool,
    /// A thread blocks until something comes.
    blocked: bool,
    /// Made or received by a loop in virtual time: a message is not seen before the time at which
    /// it was sent.
    is_virtual: bool,
    /// The program whose time the stamps are in: that of the receiver, or of the maker until there
    /// is a receiver. Zero outside of virtual time.
    program: u64,
    /// The messages after `first`, oldest first.
    behind: VecDeque<T>,
    /// The oldest message, if it came to an empty queue. None also while messages wait in `behind`,
    /// once the first has been taken.
    first: Option<T>,
    /// The receiver that is notified. None while the receiving end is on no loop.
    receiver: Option<Receiver>,
    /// The thread on which the sending end is open. None while it is on no loop.
    sender_thread: Option<ThreadId>,
    /// None for a queue without a bound.
    bound: Option<Box<Bound>>,
    /// In virtual time: from when on each of the messages is seen. Empty otherwise.
    stamps: VecDeque<Nanos>,
    /// In virtual time: from when on it is seen that the sending end finished or was closed. Zero
    /// otherwise.
    end_at: Nanos,
    /// Its number for who is told of its messages. Zero before the first is.
    number: u64,
}

/// The limit of a queue, and the senders that wait for a place in it.
struct Bound {
    /// How many messages and reserved places there may be together. At least one.
    capacity: usize,
    /// Places that were reserved and are not filled, those granted to waiters included.
    reserved: usize,
    /// The waiting senders, by ticket. The waker is None once it was woken. In a map, so that many
    /// that give up do not each search the whole line.
    waiters: BTreeMap<u64, Option<Waker>>,
    /// Each waiter with a lower ticket than this has been granted a place.
    first_to_grant: u64,
    /// The ticket of the next sender that has to wait.
    next_ticket: u64,
}

impl Bound {
    /// Whether a sender waits and has not been granted a place.
    fn has_line(&self) -> bool {
        self.waiters.range(self.first_to_grant..).next().is_some()
    }
}

impl<T> Contents<T> {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.behind.len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.first.is_none() && self.behind.is_empty()
    }

    #[inline]
    fn push_back(&mut self, message: T) {
        if self.is_empty() {
            self.first = Some(message);
        } else {
            self.behind.push_back(message);
        }
        if self.is_virtual {
            let time = arrival(self.program, self.receiver.as_ref());
            // Messages do not overtake each other.
            let time = self.stamps.back().map_or(time, |last| time.max(*last));
            self.stamps.push_back(time);
        }
    }

    #[inline]
    fn pop_front(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.behind.pop_front())
    }

    /// Takes all messages out as a list.
    fn take(&mut self) -> VecDeque<T> {
        let mut messages = std::mem::take(&mut self.behind);
        if let Some(first) = self.first.take() {
            messages.push_front(first);
        }
        messages
    }

    /// No messages are left: gives back what a burst has made large.
    #[inline]
    fn shrink(&mut self) {
        if is_large(&self.behind) || is_large(&self.stamps) {
            (self.behind, self.stamps) = (VecDeque::new(), VecDeque::new());
        }
    }

    fn number(&mut self) -> u64 {
        if self.number == 0 {
            self.number = new_number();
        }
        self.number
    }

    /// Whether a message would be received.
    fn takes_in(&self) -> bool {
        self.end == End::Open && !self.sending_over && !self.receiver_gone
    }

    /// When the receiver sees the next message, or the end. None while there is neither.
    #[inline]
    fn next_at(&self) -> Option<Nanos> {
        if !self.is_empty() {
            return Some(self.stamps.front().copied().unwrap_or(0));
        }
        (self.end != End::Open).then_some(self.end_at)
    }

    /// When the receiver sees the next message, or the end, if it takes its time on the way, as in
    /// a simulation.
    #[inline]
    fn seen_later(&self) -> Option<Nanos> {
        if !self.is_virtual {
            return None;
        }
        self.next_at().filter(|time| *time > this_moment(self.program))
    }

    /// Whether more may come, as far as it can be seen at this time.
    fn end_seen(&self, now: Nanos) -> End {
        if self.is_empty() && self.end_at <= now { self.end } else { End::Open }
    }

    /// The receiver has looked and found no message: the next one gives notice. Returns whether
    /// more may come.
    fn seen_empty(&mut self) -> End {
        self.notified &= self.end == End::Gone;
        self.end
    }

    /// Whether a place is free and nobody waits for it.
    fn has_place(&self) -> bool {
        self.bound
            .as_ref()
            .is_none_or(|bound| self.len() + bound.reserved < bound.capacity && !bound.has_line())
    }

    /// Grants a free place to the sender that has waited longest. Returns its waker, to be woken.
    fn grant(&mut self) -> Option<Waker> {
        let taken = self.len();
        let bound = self.bound.as_mut()?;
        if taken + bound.reserved >= bound.capacity {
            return None;
        }
        let (ticket, waker) = bound.waiters.range_mut(bound.first_to_grant..).next()?;
        bound.first_to_grant = ticket + 1;
        bound.reserved += 1;
        waker.take()
    }

    /// The wakers of all senders that wait for a place, to be woken.
    fn all_waiters(&mut self) -> Vec<Waker> {
        let waiters = self.bound.iter_mut().flat_map(|bound| bound.waiters.values_mut());
        waiters.filter_map(Option::take).collect()
    }
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Arc<Queue<T>> {
        Queue::with_bound(None)
    }

    /// A queue that holds at most `capacity` messages. `capacity` is at least one.
    pub(crate) fn bounded(capacity: usize) -> Arc<Queue<T>> {
        Queue::with_bound(Some(Box::new(Bound {
            capacity,
            reserved: 0,
            waiters: BTreeMap::new(),
            first_to_grant: 0,
            next_ticket: 0,
        })))
    }

    fn with_bound(bound: Option<Box<Bound>>) -> Arc<Queue<T>> {
        Arc::new(Queue {
            contents: OwnLine(Mutex::new(Contents {
                end: End::Open,
                sending_over: false,
                receiver_gone: false,
                notified: false,
                blocked: false,
                is_virtual: program() != 0,
                program: program(),
                behind: VecDeque::new(),
                first: None,
                receiver: None,
                sender_thread: None,
                bound,
                stamps: VecDeque::new(),
                end_at: 0,
                number: 0,
            })),
            taken: OwnLine(AtomicUsize::new(0)),
            arrival: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Contents<T>> {
        // No user code runs under the lock, so a poisoned queue is whole.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, and notifies the receiver.
    #[inline]
    fn put(&self, mut queue: MutexGuard<'_, Contents<T>>, message: T) {
        queue.push_back(message);
        if is_told() {
            self.tell_posted(&mut queue);
        }
        self.notify(queue);
    }

    /// Sends a message whatever the bound, or gives it back when nobody will receive it.
    #[inline]
    pub(crate) fn push(&self, message: T) -> Result<(), T> {
        let queue = self.lock();
        if !queue.takes_in() {
            return Err(message);
        }
        self.put(queue, message);
        Ok(())
    }

    /// Sends a message if there is a place for it.
    pub(crate) fn try_push(&self, message: T) -> Result<(), Refused<T>> {
        let queue = self.lock();
        if !queue.takes_in() {
            return Err(Refused::Closed(message));
        }
        if !queue.has_place() {
            return Err(Refused::Full(message));
        }
        self.put(queue, message);
        Ok(())
    }

    /// Sends a message to the place that was reserved for it.
    pub(crate) fn push_reserved(&self, message: T) -> Result<(), T> {
        let mut queue = self.lock();
        if let Some(bound) = &mut queue.bound {
            bound.reserved -= 1;
        }
        if !queue.takes_in() {
            return Err(message);
        }
        self.put(queue, message);
        Ok(())
    }

    /// Tells that a message was sent, before the receiver can take it.
    #[cold]
    fn tell_posted(&self, queue: &mut Contents<T>) {
        let waiting = queue.len() + self.taken.load(Ordering::Relaxed);
        tell_posted(queue.number(), queue.receiver.as_ref(), waiting);
    }

    /// Tells that a message was handed on.
    #[cold]
    pub(crate) fn tell_delivered(&self) {
        let mut queue = self.lock();
        let waiting = queue.len() + self.taken.load(Ordering::Relaxed);
        tell_delivered(queue.number(), waiting);
    }

    /// Its number for who is told of its messages.
    pub(crate) fn number(&self) -> u64 {
        self.lock().number()
    }

    /// Notifies the receiver, unless it was notified and has not looked since.
    #[inline]
    fn notify(&self, mut queue: MutexGuard<'_, Contents<T>>) {
        if queue.blocked {
            self.arrival.notify_all();
        }
        if queue.notified {
            return;
        }
        let Some(receiver) = queue.receiver.clone() else { return };
        queue.notified = true;
        let later = queue.seen_later();
        drop(queue);
        match later {
            Some(time) => receiver.notify_at(time),
            None => receiver.notify(),
        }
    }

    /// Reserves a place, or keeps the waker until one is granted. False when nothing can be sent
    /// any more. `ticket` is the sender's place in the line, kept for the next call.
    pub(crate) fn poll_reserve(
        &self,
        ticket: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        // Cloning and dropping a waker may run the user's code: not under the lock.
        let waker = Some(cx.waker().clone());
        let mut queue = self.lock();
        if !queue.takes_in() {
            return Poll::Ready(false);
        }
        let free = queue.has_place();
        let Some(bound) = &mut queue.bound else { return Poll::Ready(true) };
        if let Some(number) = *ticket {
            let granted = number < bound.first_to_grant;
            let before = if granted {
                *ticket = None;
                bound.waiters.remove(&number)
            } else {
                bound.waiters.insert(number, waker)
            };
            drop(queue);
            drop_quietly(before);
            return if granted { Poll::Ready(true) } else { Poll::Pending };
        }
        if free {
            bound.reserved += 1;
            return Poll::Ready(true);
        }
        let number = bound.next_ticket;
        bound.next_ticket += 1;
        *ticket = Some(number);
        bound.waiters.insert(number, waker);
        Poll::Pending
    }

    /// The sender with this ticket no longer waits. A place that it was granted goes to the next.
    /// Its waker comes back, if it was not woken.
    pub(crate) fn stop_waiting(&self, ticket: u64) -> Option<Waker> {
        let mut queue = self.lock();
        let bound = queue.bound.as_mut()?;
        let waiter = bound.waiters.remove(&ticket);
        let next = if waiter.is_some() && ticket < bound.first_to_grant {
            bound.reserved -= 1;
            queue.grant()
        } else {
            None
        };
        drop(queue);
        wake_each(next);
        waiter.flatten()
    }

    /// Gives a reserved place back.
    pub(crate) fn release(&self) {
        let mut queue = self.lock();
        if let Some(bound) = &mut queue.bound {
            bound.reserved -= 1;
        }
        let next = queue.grant();
        drop(queue);
        wake_each(next);
    }

    /// Takes the oldest message that can be seen at this time.
    pub(crate) fn pop(&self, now: Nanos) -> Popped<T> {
        let mut queue = self.lock();
        if let Some(time) = queue.next_at().filter(|time| *time > now) {
            // It comes from a loop that is ahead: the receiver is notified again at that time.
            if let Some(receiver) = queue.receiver.clone() {
                drop(queue);
                receiver.notify_at(time);
            }
            return Popped::Empty;
        }
        queue.stamps.pop_front();
        let Some(message) = queue.pop_front() else {
            return queue.seen_empty().popped();
        };
        if queue.is_empty() {
            queue.shrink();
        }
        let waiter = queue.grant();
        drop(queue);
        wake_each(waiter);
        Popped::Message(message)
    }

    /// Looks at the oldest message, if there is one. Nothing of the user's may run in `f`.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let queue = self.lock();
        queue.first.as_ref().or_else(|| queue.behind.front()).map(f)
    }

    /// The receiving end comes to a loop. Whether it may take all messages at once: no sender waits
    /// for the place of one of them, and all can be seen as soon as they are there.
    ///
    /// On a loop in virtual time a channel that was made outside is in virtual time from here on.
    pub(crate) fn gives_all(&self) -> bool {
        let mut queue = self.lock();
        if program() != 0 && !queue.is_virtual {
            queue.is_virtual = true;
            queue.stamps = std::iter::repeat_n(0, queue.len()).collect();
        }
        queue.bound.is_none() && !queue.is_virtual
    }

    /// Takes the oldest message, and swaps all others for the empty list `into`, whose memory later
    /// messages then use. If there is no message, says whether more may come.
    #[inline]
    pub(crate) fn take_all(&self, into: &mut VecDeque<T>) -> Result<T, End> {
        debug_assert!(into.is_empty(), "what was taken before comes first");
        let mut queue = self.lock();
        let Some(first) = queue.pop_front() else { return Err(queue.seen_empty()) };
        if !queue.behind.is_empty() {
            std::mem::swap(&mut queue.behind, into);
            self.set_taken(into.len());
            // It was far too large for this load, and probably is for the next one.
            if is_large(&queue.behind) && queue.behind.capacity() / SPARE > into.len() {
                queue.behind = VecDeque::new();
            }
        }
        Ok(first)
    }

    /// All that was taken has been handed on. If nothing waits, the queue gives its memory back,
    /// and returns true: the receiving end may do so too.
    #[cold]
    pub(crate) fn shrink_if_empty(&self) -> bool {
        let mut queue = self.lock();
        let is_empty = queue.is_empty();
        if is_empty {
            queue.shrink();
        }
        is_empty
    }

    /// Says how many of the messages that were taken have not been handed on.
    pub(crate) fn set_taken(&self, count: usize) {
        self.taken.store(count, Ordering::Relaxed);
    }

    /// Blocks the thread until there is a message or an end, no longer than `limit`.
    pub(crate) fn wait(&self, limit: Duration) {
        let mut queue = self.lock();
        queue.blocked = true;
        let waits = |queue: &mut Contents<T>| queue.is_empty() && queue.end == End::Open;
        let waited = self.arrival.wait_timeout_while(queue, limit, waits);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.blocked = false;
    }

    /// How many messages wait in the queue that can be seen at this time.
    pub(crate) fn seen_len(&self, now: Nanos) -> usize {
        let queue = self.lock();
        if queue.is_virtual { queue.stamps.partition_point(|at| *at <= now) } else { queue.len() }
    }

    /// How many messages have not been handed on.
    pub(crate) fn len(&self) -> usize {
        let queue = self.lock();
        queue.len() + self.taken.load(Ordering::Relaxed)
    }

    /// In virtual time: from when on the last of the messages that wait is seen. Else zero.
    pub(crate) fn last_at(&self) -> Nanos {
        self.lock().stamps.back().copied().unwrap_or(0)
    }

    /// Whether more may come, as far as it can be seen at this time: open while messages wait.
    pub(crate) fn end_seen(&self, now: Nanos) -> End {
        self.lock().end_seen(now)
    }

    /// As [`end_seen`](Queue::end_seen), for a receiver that has taken a message without having
    /// been notified. The notice of an end from a loop that is ahead may be spent with the messages
    /// before it: the receiver is notified again when it can be seen.
    pub(crate) fn look_for_end(&self, now: Nanos) -> End {
        let queue = self.lock();
        let end = queue.end_seen(now);
        if queue.is_empty() && queue.end != end {
            drop(queue);
            self.stop_looking(now);
        }
        end
    }

    /// The receiver looks no further, even if messages wait: the next message or end gives notice
    /// again. So does in virtual time what comes from a loop that is ahead, when it can be seen.
    pub(crate) fn stop_looking(&self, now: Nanos) {
        let mut queue = self.lock();
        queue.notified = false;
        let later = queue.next_at().filter(|time| *time > now).zip(queue.receiver.clone());
        drop(queue);
        later.into_iter().for_each(|(time, receiver)| receiver.notify_at(time));
    }

    /// Whether a message or an end can be seen at this time, which the receiver then looks at. If
    /// not, the next one gives notice, in virtual time when it can be seen. One lock covers both,
    /// so no message comes between.
    pub(crate) fn has_something(&self, now: Nanos) -> bool {
        has_something(self.lock(), now)
    }

    /// The sending end sends no more, but listens. Earlier messages still arrive.
    pub(crate) fn finish(&self) {
        self.set_end(End::Finished);
    }

    /// The sending end is closed. Earlier messages still arrive.
    pub(crate) fn close_sender(&self) {
        self.set_end(End::Gone);
    }

    fn set_end(&self, end: End) {
        let mut queue = self.lock();
        if queue.is_virtual {
            let last = queue.stamps.back().copied().unwrap_or(0);
            queue.end_at = arrival(queue.program, queue.receiver.as_ref()).max(last);
        }
        queue.end = end;
        let waiters = queue.all_waiters();
        self.notify(queue);
        wake_each(waiters);
    }

    /// The receiving end is closed. Messages that were never received come back, to be dropped.
    pub(crate) fn close_receiver(&self) -> VecDeque<T> {
        let mut queue = self.lock();
        queue.receiver_gone = true;
        queue.receiver = None;
        let messages = queue.take();
        if is_told() {
            let dropped = messages.len() + self.taken.load(Ordering::Relaxed);
            tell_dropped(queue.number(), dropped);
        }
        let waiters = queue.all_waiters();
        drop(queue);
        wake_each(waiters);
        messages
    }

    /// The receiving end is open on a loop, which is notified of what is there already.
    pub(crate) fn attach(&self, receiver: Receiver) {
        let mut queue = self.lock();
        if queue.program != receiver.program() {
            // Messages from another program's time can be seen at once.
            queue.program = receiver.program();
            queue.stamps.iter_mut().for_each(|stamp| *stamp = 0);
            queue.end_at = 0;
        }
        queue.receiver = Some(receiver.clone());
        let now = this_moment(queue.program);
        if has_something(queue, now) {
            receiver.notify();
        }
    }

    /// The receiving end leaves its loop. The messages that it has taken go back to the front.
    pub(crate) fn detach(&self, mut taken: VecDeque<T>) {
        let mut queue = self.lock();
        queue.receiver = None;
        if !taken.is_empty() {
            taken.extend(queue.first.take());
            taken.append(&mut queue.behind);
            queue.behind = taken;
        }
        self.set_taken(0);
    }

    /// Whether the receiving end is still there.
    pub(crate) fn is_received(&self) -> bool {
        !self.lock().receiver_gone
    }

    /// Notes on which thread the sending end is open.
    pub(crate) fn set_sender_thread(&self, thread: Option<ThreadId>) {
        self.lock().sender_thread = thread;
    }

    /// On which thread the sending end is open, if it is.
    pub(crate) fn sender_thread(&self) -> Option<ThreadId> {
        self.lock().sender_thread
    }

    /// Has all senders that wait for a place look again: the sending end has left its loop.
    pub(crate) fn wake_waiters(&self) {
        let waiters = self.lock().all_waiters();
        wake_each(waiters);
    }

    /// The sending end is being closed: from here on nothing is taken in, not even to a reserved
    /// place.
    pub(crate) fn end_sending(&self) {
        self.lock().sending_over = true;
        self.wake_waiters();
    }
}

/// As [`Queue::has_something`], under the lock, which is released.
fn has_something<T>(mut queue: MutexGuard<'_, Contents<T>>, now: Nanos) -> bool {
    let next = queue.next_at();
    queue.notified = next.is_some();
    let Some(time) = next.filter(|time| *time > now) else { return next.is_some() };
    // It comes from a loop that is ahead: the receiver is notified when it gets there.
    let receiver = queue.receiver.clone();
    drop(queue);
    receiver.iter().for_each(|receiver| receiver.notify_at(time));
    false
}
