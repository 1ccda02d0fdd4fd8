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

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::mailbox::Mailbox;
use crate::clock::Nanos;

/// How long one of several loops with sources waits for its own before the next one does.
const SHARE_OF_OUTSIDE: Duration = Duration::from_millis(5);

/// All loops of one program in virtual time.
pub(crate) struct Turns {
    table: Mutex<Table>,
}

struct Table {
    members: Vec<Member>,
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
    /// None once the loop has ended.
    mailbox: Option<Arc<Mailbox>>,
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
    index: usize,
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

    /// A thread from outside has sent something to one of the loops: whoever waits for that looks again.
    pub(crate) fn poke(&self) {
        let table = self.lock();
        let running = table.running.filter(|_| table.waits_outside);
        let mailbox = running.and_then(|index| table.members[index].mailbox.clone());
        drop(table);
        if let Some(mailbox) = mailbox {
            mailbox.nudge();
        }
    }
}

impl Table {
    /// When a member can go on, if ever.
    fn ready_at(&self, member: &Member) -> Option<Nanos> {
        let mailbox = member.mailbox.as_ref()?;
        if let Some(other) = member.waits_for {
            return self.members[other].mailbox.is_none().then_some(member.clock);
        }
        let ready = member.until.min(mailbox.next_arrival()).max(member.clock);
        (ready < Nanos::MAX).then_some(ready)
    }

    /// Gives the turn to the member furthest behind. None if nobody can go on.
    fn pass(&mut self) -> Option<usize> {
        self.running = None;
        self.waits_outside = false;
        let all = self.members.iter().enumerate();
        let ready = all.filter_map(|(index, m)| Some((self.ready_at(m)?, m.last_turn, index)));
        let (time, _, index) = ready.min()?;
        self.grant(index, time);
        Some(index)
    }

    fn grant(&mut self, index: usize, time: Nanos) {
        self.turns += 1;
        self.running = Some(index);
        let member = &mut self.members[index];
        member.clock = time;
        member.last_turn = self.turns;
        member.waits_for = None;
        member.wake.notify_all();
    }

    /// Nobody can go on. Gives the turn to a loop that can wait for what is outside, if any can: to one that
    /// has sources, or else to `me`.
    fn pass_outside(&mut self, me: usize) -> bool {
        let living = |member: &&Member| member.mailbox.is_some();
        let members = self.members.iter().enumerate().filter(|(_, member)| living(member));
        let with_sources = members.filter(|(_, member)| member.sources);
        let first = with_sources.min_by_key(|(_, member)| member.last_turn);
        let addressed = |member: &Member| {
            member.mailbox.as_ref().is_some_and(|mailbox| mailbox.has_outside_address())
        };
        let index = match first {
            Some((index, _)) => index,
            None if self.members.iter().any(addressed) => me,
            None => return false,
        };
        self.grant(index, self.members[index].clock);
        self.waits_outside = true;
        true
    }

    /// Nobody can go on, and nothing from outside can help. The first loop is told, which ends the others.
    fn give_verdict(&mut self) {
        self.verdict = Some(self.reports());
        self.grant(0, self.members[0].clock);
    }

    /// What each loop waits for.
    fn reports(&self) -> String {
        let alive = self.members.iter().enumerate().filter(|(_, m)| m.mailbox.is_some());
        let lines = alive.map(|(index, member)| {
            let who = if index == 0 {
                "the first loop".to_owned()
            } else {
                format!("worker loop {index}")
            };
            format!("{who} waits for {}", member.report)
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Seat {
    /// The seat of a program's first loop, which has the turn.
    pub(crate) fn first(mailbox: &Arc<Mailbox>) -> Seat {
        let turns = Arc::new(Turns {
            table: Mutex::new(Table {
                members: Vec::new(),
                running: Some(0),
                turns: 0,
                verdict: None,
                waits_outside: false,
            }),
        });
        let seat = Seat { turns, index: 0 };
        seat.add(mailbox, 0);
        seat
    }

    /// A seat for a worker that the loop of this seat starts at this time.
    pub(crate) fn for_worker(&self, mailbox: &Arc<Mailbox>, clock: Nanos) -> Seat {
        let index = self.add(mailbox, clock);
        Seat { turns: self.turns.clone(), index }
    }

    fn add(&self, mailbox: &Arc<Mailbox>, clock: Nanos) -> usize {
        mailbox.set_turns(Arc::downgrade(&self.turns));
        let mut table = self.turns.lock();
        table.members.push(Member {
            mailbox: Some(mailbox.clone()),
            clock,
            until: clock,
            waits_for: None,
            last_turn: 0,
            wake: Arc::new(Condvar::new()),
            report: String::new(),
            sources: false,
        });
        table.members.len() - 1
    }

    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Waits for the first turn, on the worker's thread.
    pub(crate) fn sit(&self) {
        let table = self.turns.lock();
        drop(self.wait_until_running(table));
    }

    fn wait_until_running<'a>(&self, mut table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        let wake = table.members[self.index].wake.clone();
        while table.running != Some(self.index) {
            table = wake.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table
    }

    /// Gives the turn up until the loop can go on: at `until`, or when a letter comes. `report` says what
    /// it waits for when only others can help. `sources` tells whether sockets may.
    pub(crate) fn wait(&self, clock: Nanos, until: Nanos, report: String, sources: bool) -> Turn {
        let mut table = self.turns.lock();
        let me = self.index;
        let member = &mut table.members[me];
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
            let several =
                table.members.iter().filter(|m| m.mailbox.is_some() && m.sources).count() > 1;
            return Turn::Outside(several.then_some(SHARE_OF_OUTSIDE));
        }
        Turn::At(table.members[me].clock)
    }

    /// Gives the turn up until the loop of another seat has ended, at most for `limit` of real time: a
    /// callback that does not return keeps its turn for ever.
    pub(crate) fn wait_for(&self, clock: Nanos, other: &Seat, limit: Duration) {
        let mut table = self.turns.lock();
        let member = &mut table.members[self.index];
        member.clock = clock;
        member.waits_for = Some(other.index);
        table.pass();
        let wake = table.members[self.index].wake.clone();
        let elsewhere = |table: &mut Table| table.running != Some(self.index);
        let waited = wake.wait_timeout_while(table, limit, elsewhere);
        let (mut table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if table.running != Some(self.index) {
            table.grant(self.index, clock);
        }
    }

    /// The loop has ended, and the turn passes on.
    pub(crate) fn leave(&self) {
        let mut table = self.turns.lock();
        let mailbox = table.members[self.index].mailbox.take();
        // While the first loop lives, somebody must have the turn.
        if table.running == Some(self.index)
            && table.pass().is_none()
            && table.members[0].mailbox.is_some()
            && !table.pass_outside(0)
        {
            table.give_verdict();
        }
        drop(table);
        drop(mailbox);
    }
}

/// A mailbox's way to the turns of its program, if it is in virtual time.
pub(crate) type WeakTurns = Weak<Turns>;
