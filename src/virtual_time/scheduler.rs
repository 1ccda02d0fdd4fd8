//! Virtual time for several loops: whose turn it is.
//!
//! The loops of one program in virtual time, the first one and its workers, each keep a clock of their
//! own. Their threads take turns: one runs, the others wait here. A turn changes hands only in the poll
//! phase, never in the middle of a callback. The next turn goes to the loop that is furthest behind,
//! counting the time at which it can go on: now if something is ready, else when its next timer is due
//! or the next letter in its mailbox has been sent. So nothing ever arrives in a loop's past, and a
//! program is the same to the last callback each time it runs. Among equals the one goes first that
//! has waited longest.
//!
//! Lock order: the table of turns first, then the inbox of a mailbox.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Nanos;
use crate::threads::mailbox::Mailbox;

/// How long one of several loops with sources waits for its own before the next one does.
const SHARE_OF_OUTSIDE: Duration = Duration::from_millis(5);

/// All loops of one program in virtual time.
pub(crate) struct Turns {
    /// Unique in the process, and not zero.
    program: u64,
    table: Mutex<Table>,
}

struct Table {
    /// The loops that have not ended, by number. Numbers are given in order and never again, so what a program has
    /// had does not make its later turns dearer.
    members: BTreeMap<usize, Member>,
    next_number: usize,
    /// Who has the turn. Nobody only while it is being passed on.
    running: Option<usize>,
    /// Numbers the turns.
    turns: u64,
    /// Nobody can go on, and the first loop is told why in this text.
    verdict: Option<String>,
    /// Whoever has the turn waits for threads outside of virtual time.
    waits_outside: bool,
}

struct Member {
    mailbox: Arc<Mailbox>,
    clock: Nanos,
    /// When the loop can go on by itself. `Nanos::MAX` if it only waits for others.
    until: Nanos,
    /// The loop that it waits to see end.
    waits_for: Option<usize>,
    /// The number of its last turn.
    last_turn: u64,
    wake: Arc<Condvar>,
    /// What it waits for, in words, while only others can help.
    report: String,
    /// It has sockets or other sources, which are outside of virtual time.
    sources: bool,
}

/// A loop's place among the loops of its program.
#[derive(Clone)]
pub(crate) struct Seat {
    turns: Arc<Turns>,
    /// Its number in the table; 0 for the first loop.
    number: usize,
}

/// How a wait for a turn ended.
pub(crate) enum Turn {
    /// The loop goes on at this time.
    At(Nanos),
    /// Nobody can go on, but a source of this loop or a thread from outside may have something: wait for
    /// that, no longer than this if other loops have sources too.
    Outside(Option<Duration>),
    /// Nobody can go on, for the reasons given.
    Stuck(String),
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread from outside has sent something to one of the loops, or can send nothing any more: whoever waits
    /// for that looks again.
    pub(crate) fn poke(&self) {
        let table = self.lock();
        let running = table.running.filter(|_| table.waits_outside);
        let member = running.and_then(|number| table.members.get(&number));
        let mailbox = member.map(|member| member.mailbox.clone());
        drop(table);
        if let Some(mailbox) = mailbox {
            mailbox.nudge();
        }
    }
}

impl Table {
    /// When a member can go on, if ever.
    fn ready_at(&self, member: &Member) -> Option<Nanos> {
        if let Some(other) = member.waits_for {
            return (!self.members.contains_key(&other)).then_some(member.clock);
        }
        let ready = member.until.min(member.mailbox.next_arrival()).max(member.clock);
        (ready < Nanos::MAX).then_some(ready)
    }

    /// Gives the turn to the member furthest behind. None if nobody can go on.
    fn pass(&mut self) -> Option<usize> {
        self.running = None;
        self.waits_outside = false;
        let all = self.members.iter();
        let ready = all.filter_map(|(number, m)| Some((self.ready_at(m)?, m.last_turn, *number)));
        let (time, _, number) = ready.min()?;
        self.grant(number, time);
        Some(number)
    }

    /// Gives the turn to a member; to nobody, if that has ended.
    fn grant(&mut self, number: usize, time: Nanos) {
        self.turns += 1;
        self.running = Some(number);
        let Some(member) = self.members.get_mut(&number) else { return };
        member.clock = time;
        member.last_turn = self.turns;
        member.waits_for = None;
        member.wake.notify_all();
    }

    /// Nobody can go on. Gives the turn to a loop that can wait for what is outside, if any can: to one that
    /// has sources, or else to `me`.
    fn pass_outside(&mut self, me: usize) -> bool {
        let with_sources = self.members.iter().filter(|(_, member)| member.sources);
        let first = with_sources.min_by_key(|(_, member)| member.last_turn);
        let number = match first {
            Some((number, _)) => *number,
            None if self.members.values().any(|m| m.mailbox.has_outside_address()) => me,
            None => return false,
        };
        self.grant_at_its_time(number);
        self.waits_outside = true;
        true
    }

    /// Nobody can go on, and nothing from outside can help. The first loop is told, which ends the others.
    fn give_verdict(&mut self) {
        self.verdict = Some(self.reports());
        self.grant_at_its_time(0);
    }

    /// Gives the turn to a member whose clock does not move.
    fn grant_at_its_time(&mut self, number: usize) {
        let time = self.members.get(&number).map_or(0, |member| member.clock);
        self.grant(number, time);
    }

    /// What each loop waits for.
    fn reports(&self) -> String {
        let lines = self.members.iter().map(|(number, member)| {
            let who = match number {
                0 => "the first loop".to_owned(),
                _ => format!("worker loop {number}"),
            };
            format!("{who} waits for {}", member.report)
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Seat {
    /// The seat of a program's first loop, which has the turn.
    pub(crate) fn first(mailbox: &Arc<Mailbox>) -> Seat {
        static NEXT_PROGRAM: AtomicU64 = AtomicU64::new(1);
        let turns = Arc::new(Turns {
            program: NEXT_PROGRAM.fetch_add(1, Ordering::Relaxed),
            table: Mutex::new(Table {
                members: BTreeMap::new(),
                next_number: 0,
                running: Some(0),
                turns: 0,
                verdict: None,
                waits_outside: false,
            }),
        });
        let seat = Seat { turns, number: 0 };
        seat.add(mailbox, 0);
        seat
    }

    /// A seat for a worker that the loop of this seat starts at this time.
    pub(crate) fn for_worker(&self, mailbox: &Arc<Mailbox>, clock: Nanos) -> Seat {
        let number = self.add(mailbox, clock);
        Seat { turns: self.turns.clone(), number }
    }

    fn add(&self, mailbox: &Arc<Mailbox>, clock: Nanos) -> usize {
        mailbox.set_turns(self.turns.program, Arc::downgrade(&self.turns));
        let mut table = self.turns.lock();
        let number = table.next_number;
        table.next_number += 1;
        let member = Member {
            mailbox: mailbox.clone(),
            clock,
            until: clock,
            waits_for: None,
            last_turn: 0,
            wake: Arc::new(Condvar::new()),
            report: String::new(),
            sources: false,
        };
        table.members.insert(number, member);
        number
    }

    /// The number of its program, unique in the process.
    pub(crate) fn program(&self) -> u64 {
        self.turns.program
    }

    pub(crate) fn is_first(&self) -> bool {
        self.number == 0
    }

    /// Waits for the first turn, on the worker's thread.
    pub(crate) fn sit(&self) {
        let table = self.turns.lock();
        drop(self.wait_until_running(table));
    }

    fn wait_until_running<'a>(&self, mut table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        let wake = table.members[&self.number].wake.clone();
        while table.running != Some(self.number) {
            table = wake.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table
    }

    /// Gives the turn up until the loop can go on: at `until`, or when a letter comes. `report` says what
    /// it waits for when only others can help. `sources` tells whether sockets may.
    pub(crate) fn wait(&self, clock: Nanos, until: Nanos, report: String, sources: bool) -> Turn {
        let mut table = self.turns.lock();
        let me = self.number;
        let member = self.own(&mut table);
        (member.clock, member.until, member.report) = (clock, until, report);
        member.sources = sources;
        if table.pass().is_none() && !table.pass_outside(me) {
            table.give_verdict();
        }
        let mut table = self.wait_until_running(table);
        if self.is_first()
            && let Some(verdict) = table.verdict.take()
        {
            return Turn::Stuck(verdict);
        }
        if table.waits_outside {
            let several = table.members.values().filter(|m| m.sources).count() > 1;
            return Turn::Outside(several.then_some(SHARE_OF_OUTSIDE));
        }
        Turn::At(table.members[&me].clock)
    }

    /// Gives the turn up until the loop of another seat has ended, at most for `limit` of real time: a
    /// callback that does not return keeps its turn for ever.
    pub(crate) fn wait_for(&self, clock: Nanos, other: &Seat, limit: Duration) {
        let mut table = self.turns.lock();
        let member = self.own(&mut table);
        member.clock = clock;
        member.waits_for = Some(other.number);
        let wake = member.wake.clone();
        table.pass();
        let elsewhere = |table: &mut Table| table.running != Some(self.number);
        let waited = wake.wait_timeout_while(table, limit, elsewhere);
        let (mut table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if table.running != Some(self.number) {
            table.grant(self.number, clock);
        }
    }

    fn own<'a>(&self, table: &'a mut Table) -> &'a mut Member {
        table.members.get_mut(&self.number).expect("a loop that waits has not ended")
    }

    /// The loop has ended, and the turn passes on.
    pub(crate) fn leave(&self) {
        let mut table = self.turns.lock();
        let member = table.members.remove(&self.number);
        // While the first loop lives, somebody must have the turn.
        if table.running == Some(self.number)
            && table.pass().is_none()
            && table.members.contains_key(&0)
            && !table.pass_outside(0)
        {
            table.give_verdict();
        }
        drop(table);
        drop(member);
    }
}

/// A mailbox's way to the turns of its program, if it is in virtual time.
pub(crate) type WeakTurns = Weak<Turns>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_have_ended_leave_nothing_in_the_table() {
        let first = Seat::first(&Arc::new(Mailbox::new()));
        for _ in 0..100 {
            let worker = first.for_worker(&Arc::new(Mailbox::new()), 0);
            // It had its turn, and ends: the first loop goes on.
            first.turns.lock().grant(worker.number, 0);
            worker.leave();
            first.sit();
        }
        assert_eq!(first.turns.lock().members.len(), 1);
    }
}
