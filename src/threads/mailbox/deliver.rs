//! The loop's side of its mailbox: what was taken out and not yet delivered, and who receives.
//!
//! Nothing here is shared with other threads.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::rc::Rc;

use super::numbers::NumberSet;
use super::posts::Posts;
use super::{Done, Letters, Mailbox};
use crate::callback;
use crate::event_loop::State;
use crate::handle::{Handle, Key};
use crate::queue::closure::Closure;
use crate::sys;

/// A fetch of more letters than this leaves lists that are worth giving back.
const MANY_LETTERS: usize = 4096;

/// The most posted closures that are called in one poll phase.
const POSTS_PER_PHASE: usize = 1024;

/// The loop's side: what was taken out of the mailbox and not yet delivered, and the receivers.
#[derive(Default)]
pub(crate) struct Delivery {
    completions: RefCell<VecDeque<Done>>,
    /// Receivers that have something, in the order of their creation.
    ready: RefCell<NumberSet>,
    posts: Posts,
    /// The most letters that one fetch brought since memory was last given back.
    largest: Cell<usize>,
    /// The most since it was last looked whether to.
    largest_lately: Cell<usize>,
    /// What receives on this loop, by number. Numbers are given in order of creation.
    receivers: RefCell<BTreeMap<u64, Rc<dyn Handle>>>,
    next_number: Cell<u64>,
    /// An empty set of letters, to be swapped with a full one: its buffers are used again.
    spare: RefCell<Letters>,
}

impl Delivery {
    /// Adds a receiver. The number is for [`Mailbox::notify`].
    pub(crate) fn add_receiver(&self, receiver: Rc<dyn Handle>) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.receivers.borrow_mut().insert(number, receiver);
        number
    }

    /// Takes a receiver out, for the caller to drop.
    pub(crate) fn remove_receiver(&self, number: u64) -> Option<Rc<dyn Handle>> {
        self.ready.borrow_mut().remove(number);
        self.receivers.borrow_mut().remove(&number)
    }

    /// The receiver with this number, unless it was removed.
    pub(crate) fn receiver(&self, number: u64) -> Option<Rc<dyn Handle>> {
        self.receivers.borrow().get(&number).cloned()
    }

    /// Has the receiver called in the next poll phase.
    pub(crate) fn call_again(&self, number: u64) {
        self.ready.borrow_mut().insert(number);
    }

    /// Has a request completed in the next poll phase. For virtual time, where no thread does.
    pub(crate) fn complete(&self, request: Key) {
        let done = Done { request: request.to_bits(), job: None };
        self.completions.borrow_mut().push_back(done);
    }

    /// Whether something is left to be delivered.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.completions.borrow().is_empty()
            && self.ready.borrow().is_empty()
            && self.posts.is_empty()
    }

    /// Whether a posted closure waits.
    pub(crate) fn has_posts(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Takes everything out. The closures come back, to be dropped one by one. For teardown, when all
    /// receivers have been torn down.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = Closure> {
        // The requests have taken all results out of the jobs.
        drop(self.completions.take());
        self.ready.borrow_mut().clear();
        let receivers = self.receivers.take();
        drop(receivers);
        iter::from_fn(|| self.posts.pop())
    }

    /// Empties the mailbox. Woken tasks become microtasks at once.
    fn fetch(&self, state: &State) -> u64 {
        let mut letters = self.spare.borrow_mut();
        state.mailbox.take(&mut letters);
        let count = letters.posts.len()
            + letters.receivers.len()
            + letters.completions.len()
            + letters.wakes.len();
        if count > self.largest_lately.get() {
            self.largest_lately.set(count);
        }
        letters.receivers.move_to(&mut self.ready.borrow_mut());
        self.posts.add(&mut letters.posts);
        if !letters.completions.is_empty() {
            self.completions.borrow_mut().extend(letters.completions.drain(..));
        }
        if !letters.wakes.is_empty() {
            let mut wakes = std::mem::take(&mut letters.wakes);
            drop(letters);
            wakes.drain(..).for_each(|waker| waker.queue(state));
            self.spare.borrow_mut().wakes = wakes;
        }
        count as u64
    }

    /// Gives the memory of a burst back, here and in the mailbox: if `now`, else when the fetches since the last call
    /// have been much smaller.
    pub(crate) fn give_back(&self, mailbox: &Mailbox, now: bool) {
        if !self.is_empty() {
            return; // The burst goes on: its posts take many iterations.
        }
        let lately = self.largest_lately.take();
        let largest = self.largest.get().max(lately);
        self.largest.set(largest);
        if largest <= MANY_LETTERS || !(now || lately < largest / 4) {
            return;
        }
        self.largest.set(0);
        self.completions.borrow_mut().shrink_to_fit();
        self.ready.borrow_mut().shrink();
        self.posts.shrink();
        drop(self.spare.take());
        mailbox.shrink();
    }

    /// The first ready receiver at or after `from` that is older than this phase.
    fn next_receiver(&self, from: u64, end: u64) -> Option<(u64, Rc<dyn Handle>)> {
        loop {
            let number = self.ready.borrow_mut().take_in(from, end)?;
            if let Some(receiver) = self.receivers.borrow().get(&number) {
                return Some((number, receiver.clone()));
            }
        }
    }
}

/// Delivers what other threads made ready: completions, then receivers by age, then posts.
///
/// Completions and posts that come meanwhile wait for the next poll phase. A receiver that is
/// notified meanwhile is called in this phase if its turn is yet to come, as in Node.
#[inline]
pub(crate) fn deliver(state: &Rc<State>) {
    let delivery = &state.delivery;
    let fetched = if state.mailbox.is_filled() { delivery.fetch(state) } else { 0 };
    state.mailbox.figures.add_events(fetched);
    if !delivery.is_empty() || !state.microtasks.is_empty() {
        deliver_all(state, delivery);
    }
}

fn deliver_all(state: &Rc<State>, delivery: &Delivery) {
    let mut completions = delivery.completions.borrow().len();
    let end = delivery.next_number.get();
    let mut from = 0;
    let mut posts = delivery.posts.len().min(POSTS_PER_PHASE);
    callback::guard(state, || {
        callback::drain(state); // The tasks that other threads woke.
        while completions > 0 && !state.is_halted() {
            completions -= 1;
            let next = delivery.completions.borrow_mut().pop_front();
            let Some(Done { request: key, job }) = next else { break };
            if let Some(request) = state.handles.get(Key::from_bits(key)) {
                request.ready(state, sys::Event::default());
            }
            drop(job);
        }
        while !state.is_halted() {
            if state.mailbox.is_filled() {
                state.mailbox.figures.add_events(delivery.fetch(state));
                callback::drain(state); // Tasks again.
            }
            let Some((number, receiver)) = delivery.next_receiver(from, end) else { break };
            // After a panic in it the same receiver goes on with what it has left.
            from = number;
            receiver.ready(state, sys::Event::default());
            from = number + 1;
        }
        while posts > 0 && !state.is_halted() {
            posts -= 1;
            let Some(post) = delivery.posts.next() else { break };
            callback::call_queued(state, post);
        }
    });
}
