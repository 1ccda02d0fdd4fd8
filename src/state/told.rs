//! What a loop tells of its queues and of the things on it: the details.
//!
//! All of it is for recorders that want details ([`detail`]): while there are none, each of these
//! is one look at a count.

use std::panic::Location;

use super::State;
use super::registration::Handle;
use crate::queue::closure::Closure;
use crate::queue::immediate;
use crate::trace::Phase;
use crate::trace::detail::{self, Detail, Named, Queue, pair};
use crate::trace::ring::Happened;

impl State {
    /// Tells a detail.
    #[cold]
    #[inline(never)]
    pub(crate) fn say(&self, detail: Detail) {
        self.teller.say(self.clock.read(), detail);
    }

    /// A phase begins, in which so many wait to be called. It is the one that calls back from here
    /// on.
    #[inline]
    pub(crate) fn begin_phase(&self, phase: Phase, waiting: impl FnOnce() -> usize) {
        self.teller.set_phase(phase);
        if detail::is_wanted() {
            self.say_phase(waiting);
        }
    }

    #[cold]
    #[inline(never)]
    fn say_phase(&self, waiting: impl FnOnce() -> usize) {
        self.say(Detail::new(Happened::Phase, waiting() as u64));
    }

    /// As [`say`](State::say), of what has this number. Apart, for a detail on the stack would cost
    /// the ways on which none is told.
    #[cold]
    #[inline(never)]
    fn say_of(&self, happened: Happened, number: u64, small: u8) {
        self.say(Detail::new(happened, number).small(small));
    }

    /// Something waits in a queue from now on.
    #[inline]
    pub(crate) fn tell_queued(
        &self,
        queue: Queue,
        named: Option<Named>,
        kind: &'static str,
        place: Option<&'static Location<'static>>,
    ) {
        if detail::is_wanted() {
            self.say_queued(queue, named.map_or(0, Named::number), kind, place);
        }
    }

    #[cold]
    #[inline(never)]
    fn say_queued(
        &self,
        queue: Queue,
        number: u64,
        kind: &'static str,
        place: Option<&'static Location<'static>>,
    ) {
        self.say(Detail::new(Happened::Queued, number).small(queue as u8).of(kind, place));
    }

    /// What has this name leaves a queue, to be called.
    #[inline]
    pub(crate) fn tell_taken(&self, queue: Queue, named: Named) {
        if detail::is_wanted() {
            self.say_of(Happened::Taken, named.number(), queue as u8);
        }
    }

    /// A handle leaves a queue, to be called.
    #[inline]
    pub(crate) fn tell_handle_taken(&self, queue: Queue, handle: &dyn Handle) {
        if detail::is_wanted() {
            self.say_handle_taken(queue, handle);
        }
    }

    #[cold]
    #[inline(never)]
    fn say_handle_taken(&self, queue: Queue, handle: &dyn Handle) {
        let key = handle.registration().key();
        let number = key.map_or(0, |key| Named::Handle(key.to_bits()).number());
        self.say(Detail::new(Happened::Taken, number).small(queue as u8));
    }

    /// What was taken out of a queue, if anything was, to be called.
    #[inline]
    pub(crate) fn tell_next<T>(&self, queue: Queue, entry: Option<T>) -> Option<T> {
        if detail::is_wanted() && entry.is_some() {
            self.say_of(Happened::Taken, 0, queue as u8);
        }
        entry
    }

    /// A timer or an immediate was cleared.
    #[inline]
    pub(crate) fn tell_cleared(&self, named: Named) {
        if detail::is_wanted() {
            self.say_of(Happened::Cleared, named.number(), 0);
        }
    }

    /// Something may keep the loop alive from now on, or may not.
    #[inline]
    pub(crate) fn tell_referenced(&self, named: Named, on: bool) {
        if detail::is_wanted() {
            self.say_of(Happened::Referenced, named.number(), u8::from(on));
        }
    }

    /// Nobody waits on the handles that were asked and have not answered.
    pub(crate) fn forget_unanswered(&self) {
        if detail::is_wanted() {
            for key in self.handles.unanswered() {
                let number = Named::Handle(key.to_bits()).number();
                self.say(Detail::new(Happened::Active, number));
            }
        }
        self.handles.forget_unanswered();
    }

    /// The queues were drained.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell_drained(&self) {
        self.teller.tell_drained(self.clock.read());
    }

    /// What other threads have sent is here: so many items, of which so many are woken tasks.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell_fetched(&self, items: usize, tasks: usize) {
        let waiting = pair(self.delivery.completions(), self.delivery.posts.len());
        self.say(Detail::new(Happened::Fetched, waiting).amount(pair(items, tasks)));
    }

    // ----- Deferred -----

    /// Has an entry called in the pending phase.
    pub(crate) fn push_pending(&self, entry: Closure) {
        self.pending.push(entry);
        self.tell_queued(Queue::Pending, None, "", None);
    }

    /// Has an entry called last in the poll phase.
    pub(crate) fn push_poll_last(&self, entry: Closure) {
        self.poll_last.push(entry);
        self.tell_queued(Queue::PollLast, None, "", None);
    }

    /// Has an entry called in the close phase, before those that were closed earlier.
    pub(crate) fn push_closing(&self, entry: Closure) {
        self.closing.push(entry);
        self.tell_queued(Queue::Closing, None, "", None);
    }

    /// Has the last callbacks of one handle called in the close phase, in this order.
    pub(crate) fn push_all_closing(
        &self,
        entries: impl IntoIterator<IntoIter: DoubleEndedIterator<Item = Closure>>,
    ) {
        let before = self.closing.len();
        self.closing.push_all(entries);
        (before..self.closing.len()).for_each(|_| self.tell_queued(Queue::Closing, None, "", None));
    }

    // ----- All that there is -----

    /// Tells all that there is on the loop to recorders that have come since it was told last.
    #[cold]
    pub(crate) fn tell_to_new_readers(&self) {
        self.teller.tell_all(|| {
            self.say(Detail::new(Happened::Told, 0));
            let worker = self.teller.track.worker();
            if worker > 0 {
                self.say(Detail::new(Happened::Online, worker));
            }
            self.tell_handles();
            self.timers.each(|timer| self.say(timer.detail(Happened::Armed)));
            self.tell_queues();
            self.tell_fetched(0, 0);
        });
    }

    fn tell_handles(&self) {
        self.handles.each(|key, kind, place, [active, referenced, busy]| {
            let number = Named::Handle(key.to_bits()).number();
            let of = |happened| Detail::new(happened, number);
            self.say(of(Happened::Opened).of(kind, Some(place)).small(u8::from(active)));
            if !referenced {
                self.say(of(Happened::Referenced));
            }
            if busy {
                self.say(of(Happened::Busy).small(1));
            }
        });
        self.handles.all().iter().for_each(|handle| handle.tell_again());
    }

    fn tell_queues(&self) {
        self.immediates.each(|number, place, referenced| {
            let named = Named::Immediate(number);
            self.tell_queued(Queue::Immediates, Some(named), immediate::KIND, Some(place));
            if !referenced {
                self.tell_referenced(named, false);
            }
        });
        let queues = [
            (Queue::Ticks, self.ticks.len()),
            (Queue::Microtasks, self.microtasks.len()),
            (Queue::Pending, self.pending.len()),
            (Queue::Closing, self.closing.len()),
            (Queue::PollLast, self.poll_last.len()),
        ];
        for (queue, waiting) in queues {
            (0..waiting).for_each(|_| self.tell_queued(queue, None, "", None));
        }
    }
}
