//! The part of a mailbox that belongs to virtual time: what was sent by loops that are ahead.
//!
//! The loops of a program have clocks of their own. What one sends carries the time of its clock,
//! and the receiver sees it when its own clock has come there: until then it lies here, by time.
//! What comes from outside of the program (another thread, another program) has no such time and is
//! seen at once; then the scheduler is told, for a loop of the program may sleep in real time.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::chance::Chance;
use super::scheduler::Program;
use crate::clock::Nanos;
use crate::sys::Event;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::Incoming;

/// Where in virtual time a thread is: in which loop, and at what time.
pub(crate) struct Place {
    /// Says which loop, and is not followed.
    pub(crate) mailbox: *const Mailbox,
    /// The number of its program.
    pub(crate) program: u64,
    /// The number of the loop in it.
    pub(crate) number: usize,
    /// The time of its loop's clock.
    pub(crate) time: Nanos,
    /// The time up to which its loop sees what was sent, at this moment.
    pub(crate) horizon: Nanos,
}

/// What a mailbox keeps while its loop is in virtual time.
pub(crate) struct Arrivals {
    /// The number of the loop's program.
    program: u64,
    /// Weak, for the program holds the mailboxes of its loops.
    scheduler: Weak<Program>,
    /// Where in virtual time the calling thread is.
    place: fn() -> Option<Place>,
    /// Decides how long things are on their way, in a simulation.
    chance: Option<Arc<Chance>>,
    /// What the loop does not see yet. No other lock is taken under this one.
    later: Mutex<Later>,
}

/// What the loop sees later.
#[derive(Default)]
struct Later {
    /// What loops that are ahead have sent, by their time.
    incoming: BTreeMap<Nanos, Incoming>,
    /// Up to when all is seen that a loop of the program has put in order, by the loop's number,
    /// while there is some of it to come. Used in a simulation only.
    in_order: BTreeMap<usize, Nanos>,
    /// What happens at sockets in memory, by its time: the keys of their handles.
    reports: BTreeMap<Nanos, Vec<(u64, Event)>>,
    /// When the loop is told to end.
    halt_at: Option<Nanos>,
    /// When the loop is told to stop.
    stop_at: Option<Nanos>,
    /// The loop has ended. Nothing is taken in any more.
    closed: bool,
}

/// How something comes from one loop to another in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In its time, behind what the sender has sent before: a post.
    InOrder,
    /// As that, and not before this time.
    Behind(Nanos),
    /// In its time: a wake, a call of a notifier.
    Alone,
    /// At once: the sender has seen to the time.
    Direct,
}

/// When the loop sees what the calling thread sends.
enum Seen {
    /// At once: the loop itself sends.
    Now,
    /// At once, and the scheduler is told: the sender is outside of the program.
    NowFromOutside,
    /// When the loop's clock has come to the sender's, and in a simulation some time later. What
    /// one sender puts in order is seen in order.
    At { time: Nanos, sender: usize },
}

impl Arrivals {
    pub(crate) fn new(
        program: u64,
        scheduler: Weak<Program>,
        place: fn() -> Option<Place>,
        chance: Option<Arc<Chance>>,
    ) -> Arrivals {
        Arrivals { program, scheduler, place, chance, later: Mutex::default() }
    }

    pub(crate) fn program(&self) -> u64 {
        self.program
    }

    fn lock(&self) -> MutexGuard<'_, Later> {
        // No user code runs under the lock, so what it guards is whole.
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, mailbox: &Mailbox) -> Seen {
        match (self.place)() {
            Some(here) if ptr::eq(here.mailbox, mailbox) => Seen::Now,
            Some(here) if here.program == self.program => {
                Seen::At { time: here.time, sender: here.number }
            }
            _ => Seen::NowFromOutside,
        }
    }

    /// When something is seen that is sent now, at `time`.
    fn arrival(&self, time: Nanos, sender: usize, way: Way) -> Nanos {
        let Some(chance) = self.chance.as_ref().filter(|_| way != Way::Direct) else { return time };
        let time = time.saturating_add(chance.message_time());
        if way == Way::Alone {
            return time;
        }
        let mut later = self.lock();
        let last = later.in_order.entry(sender).or_default();
        let behind = if let Way::Behind(behind) = way { behind } else { 0 };
        *last = time.max(*last).max(behind);
        *last
    }

    /// Puts something in its mailbox, now or for later. It comes back when the loop has ended.
    pub(crate) fn put<T>(
        &self,
        mailbox: &Mailbox,
        item: T,
        way: Way,
        push: impl FnOnce(&mut Incoming, T),
    ) -> Result<(), T> {
        match self.seen(mailbox) {
            Seen::Now => mailbox.put_now(item, push),
            Seen::NowFromOutside => {
                mailbox.put_now(item, push)?;
                self.wake_scheduler();
                Ok(())
            }
            Seen::At { time, sender } => {
                let time = self.arrival(time, sender, way);
                self.put_at(time, item, push)
            }
        }
    }

    /// Puts something in for a time. No wake: the loop looks here before it goes on.
    pub(crate) fn put_at<T>(
        &self,
        time: Nanos,
        item: T,
        push: impl FnOnce(&mut Incoming, T),
    ) -> Result<(), T> {
        let mut later = self.lock();
        if later.closed {
            return Err(item);
        }
        push(later.incoming.entry(time).or_default(), item);
        Ok(())
    }

    /// Keeps what happens at a socket at this time.
    pub(crate) fn report_at(&self, time: Nanos, key: u64, event: Event) {
        let mut later = self.lock();
        if !later.closed {
            later.reports.entry(time).or_default().push((key, event));
        }
    }

    /// Takes out what has happened at sockets up to this time.
    pub(crate) fn reports(&self, now: Nanos) -> Vec<(u64, Event)> {
        let mut later = self.lock();
        let hidden = later.reports.split_off(&now.saturating_add(1));
        let visible = std::mem::replace(&mut later.reports, hidden);
        visible.into_values().flatten().collect()
    }

    /// Tells the loop to end.
    pub(crate) fn halt(&self, mailbox: &Mailbox) {
        self.tell(mailbox, Mailbox::halt, |later| &mut later.halt_at);
    }

    /// Tells the loop to stop.
    pub(crate) fn stop(&self, mailbox: &Mailbox) {
        self.tell(mailbox, Mailbox::stop, |later| &mut later.stop_at);
    }

    /// Tells the loop something: now by the call `now`, or at the time `at`, of which the earliest
    /// counts.
    fn tell(&self, mailbox: &Mailbox, now: fn(&Mailbox), at: fn(&mut Later) -> &mut Option<Nanos>) {
        match self.seen(mailbox) {
            Seen::Now => now(mailbox),
            Seen::NowFromOutside => {
                now(mailbox);
                self.wake_scheduler();
            }
            Seen::At { time, .. } => {
                // A flag, which overtakes all that is on its way, and is never behind what its
                // sender does next.
                let mut later = self.lock();
                let earliest = at(&mut later);
                *earliest = Some(earliest.map_or(time, |before| before.min(time)));
            }
        }
    }

    /// Has the program look again, if it sleeps in real time.
    pub(crate) fn wake_scheduler(&self) {
        if let Some(program) = self.scheduler.upgrade() {
            program.wake();
        }
    }

    /// When there is something to see; `Nanos::MAX` if there is nothing.
    pub(crate) fn next(&self) -> Nanos {
        let later = self.lock();
        let first = later.incoming.keys().next().copied();
        let report = later.reports.keys().next().copied();
        first
            .into_iter()
            .chain(report)
            .chain(later.halt_at)
            .chain(later.stop_at)
            .min()
            .unwrap_or(Nanos::MAX)
    }

    /// Whether a posted closure is to come, or the wake of a task.
    pub(crate) fn has_posts_or_wakes(&self) -> bool {
        self.lock().incoming.values().any(Incoming::has_posts_or_wakes)
    }

    /// Moves all that was sent up to this time into the mailbox.
    pub(crate) fn reveal(&self, mailbox: &Mailbox, now: Nanos) {
        let mut later = self.lock();
        let hidden = later.incoming.split_off(&now.saturating_add(1));
        let visible = std::mem::replace(&mut later.incoming, hidden);
        later.in_order.retain(|_, last| *last > now);
        let halts = later.halt_at.is_some_and(|time| time <= now);
        let stops = later.stop_at.take_if(|time| *time <= now).is_some();
        drop(later);
        visible.into_values().for_each(|mut incoming| mailbox.append(&mut incoming));
        if halts {
            mailbox.halt();
        }
        if stops {
            mailbox.stop();
        }
    }

    /// The loop has ended: what was to come is the caller's.
    pub(crate) fn close(&self) -> BTreeMap<Nanos, Incoming> {
        let mut later = self.lock();
        later.closed = true;
        later.reports.clear();
        std::mem::take(&mut later.incoming)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::chance::Setup;
    use super::super::odds::{Faults, Network};
    use super::*;

    thread_local! {
        /// The number of the loop that sends, and its time.
        static HERE: Cell<(usize, Nanos)> = const { Cell::new((0, 0)) };
    }

    /// Each loop has the same address, as loops may have of which one has ended.
    fn place() -> Option<Place> {
        let (number, time) = HERE.get();
        Some(Place { mailbox: ptr::null(), program: 1, number, time, horizon: time })
    }

    #[test]
    fn posts_of_a_loop_wait_for_its_own_and_not_for_those_of_one_that_had_its_address() {
        let (network, faults) = (Network::default(), Faults::default());
        let (end, allowed, is_quiet) = (None, None, false);
        let setup = Setup { seed: 1, network, faults, end, callbacks_max: 1, allowed, is_quiet };
        let arrivals = Arrivals::new(1, Weak::new(), place, Some(Arc::new(Chance::new(setup))));
        let mailbox = Mailbox::new();
        let post = |number, time| {
            HERE.set((number, time));
            arrivals.put(&mailbox, (), Way::InOrder, |_, ()| ()).unwrap();
        };
        post(1, 60_000_000_000);
        post(2, 1_000_000);
        assert!(arrivals.next() < 2_000_000);
        post(1, 1_000_000);
        arrivals.reveal(&mailbox, 2_000_000);
        assert!(arrivals.next() > 60_000_000_000);
        // Of what has come nothing is kept.
        arrivals.reveal(&mailbox, 61_000_000_000);
        assert!(arrivals.lock().in_order.is_empty());
    }
}
