//! The loop's side of its mailbox: what was taken out and not yet delivered, and the receivers.
//!
//! Nothing here is shared with other threads.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::rc::Rc;
use std::sync::Arc;

use crate::queue::closure::Closure;
use crate::state::key::Key;
use crate::state::registration::Handle;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::{Done, Incoming, Woken};
use crate::threads::mailbox::numbers::NumberSet;
use crate::threads::mailbox::posts::Posts;

/// A fetch of more items than this leaves lists that are worth giving back.
const MANY_ITEMS: usize = 4096;

/// What was taken out of the mailbox and not yet delivered, and the receivers.
#[derive(Default)]
pub(crate) struct Delivery {
    /// Requests of which the work is done, in the order in which it was.
    completions: RefCell<VecDeque<Done>>,
    /// Receivers that have something, in the order of their creation.
    ready: RefCell<NumberSet>,
    /// Closures to be called, in the order in which they came.
    pub(crate) posts: Posts,
    /// What receives on this loop, by number. Numbers are given in order of creation.
    receivers: RefCell<BTreeMap<u64, Rc<dyn Handle>>>,
    /// The number of the next receiver.
    next_number: Cell<u64>,
    /// Empty, to be swapped with what the mailbox holds: the lists' memory is used again.
    spare: RefCell<Incoming>,
    /// The most items that one fetch brought, or that waited in virtual time, since memory was last
    /// given back.
    largest: Cell<usize>,
    /// The most since the last look whether to give memory back.
    largest_lately: Cell<usize>,
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

    /// Has the receiver called: in the poll phase that runs, if its turn there is yet to come, else
    /// in the next one. One that was removed is not called: its number would be left behind, and
    /// keep the loop from sleeping.
    pub(crate) fn call_again(&self, number: u64) {
        if self.receivers.borrow().contains_key(&number) {
            self.ready.borrow_mut().insert(number);
        }
    }

    /// Has a request completed in the next poll phase. For virtual time, where no thread does.
    pub(crate) fn complete(&self, request: Key) {
        let done = Done { request: request.to_bits(), job: None };
        self.completions.borrow_mut().push_back(done);
        self.largest_lately.set(self.largest_lately.get().max(self.completions()));
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

    /// Requests that are to complete.
    pub(crate) fn completions(&self) -> usize {
        self.completions.borrow().len()
    }

    /// Takes the next request that is to complete.
    pub(crate) fn next_completion(&self) -> Option<Done> {
        self.completions.borrow_mut().pop_front()
    }

    /// Receivers with a number below this one are there already.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.get()
    }

    /// Takes the first ready receiver from the number `from` to below `end`.
    pub(crate) fn next_receiver(&self, from: u64, end: u64) -> Option<(u64, Rc<dyn Handle>)> {
        loop {
            let number = self.ready.borrow_mut().take_in(from, end)?;
            if let Some(receiver) = self.receiver(number) {
                return Some((number, receiver));
            }
        }
    }

    /// Empties the mailbox. Returns how many items there were, and the tasks that other threads
    /// have woken, for the caller to queue and to [give the list back](Delivery::keep).
    pub(crate) fn fetch(&self, mailbox: &Mailbox) -> (usize, Vec<Arc<dyn Woken>>) {
        let mut incoming = self.spare.borrow_mut();
        mailbox.take(&mut incoming);
        let count = incoming.len();
        if count > self.largest_lately.get() {
            self.largest_lately.set(count);
        }
        incoming.receivers.move_to(&mut self.ready.borrow_mut());
        self.posts.add(&mut incoming.posts);
        if !incoming.completions.is_empty() {
            self.completions.borrow_mut().extend(incoming.completions.drain(..));
        }
        // Only when it has something: else its memory stays where it is.
        let woken = !incoming.tasks.is_empty();
        (count, if woken { std::mem::take(&mut incoming.tasks) } else { Vec::new() })
    }

    /// Keeps an emptied list of tasks for the next fetch.
    pub(crate) fn keep(&self, tasks: Vec<Arc<dyn Woken>>) {
        self.spare.borrow_mut().tasks = tasks;
    }

    /// Gives the memory of a burst back, here and in the mailbox: if `now`, else when the fetches
    /// since the last call have been much smaller.
    pub(crate) fn give_back(&self, mailbox: &Mailbox, now: bool) {
        if !self.is_empty() {
            return; // The burst goes on: its posts take many iterations.
        }
        let lately = self.largest_lately.take();
        let largest = self.largest.get().max(lately);
        self.largest.set(largest);
        if largest <= MANY_ITEMS || !(now || lately < largest / 4) {
            return;
        }
        self.largest.set(0);
        self.completions.borrow_mut().shrink_to_fit();
        self.ready.borrow_mut().shrink();
        self.posts.shrink();
        drop(self.spare.take());
        mailbox.shrink();
    }

    /// Takes everything out. The closures come back, to be dropped one by one. For teardown, when
    /// all receivers have been torn down.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = Closure> {
        // The requests have taken all results out of the jobs.
        drop(self.completions.take());
        self.ready.borrow_mut().clear();
        let receivers = self.receivers.take();
        drop(receivers);
        iter::from_fn(|| self.posts.pop())
    }
}
