//! Which loop of a program in virtual time runs.
//!
//! The first loop of the program and its workers have clocks and threads of their own, but only one
//! thread runs at a time; the others wait here. A loop gives up running in its poll phase only,
//! never in the middle of a callback. Next runs the loop that is furthest behind, counting the time
//! at which it can go on: now if something is ready, else when its next timer is due or the next
//! message in its mailbox was sent. So nothing arrives in a loop's past, but what was sent while
//! one of its callbacks took time: that it sees late, as a busy loop does. A program is the same to
//! the last callback each time it runs. Among equals the loop goes first that has waited longest,
//! or in a simulation any of them, as [`Chance`] decides.
//!
//! Lock order: the table first, then what a mailbox locks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::arrivals::{Arrivals, Place};
use super::chance::{Chance, End};
use crate::clock::Nanos;
use crate::threads::mailbox::Mailbox;
use crate::trace::Phase;

/// The longest sleep in real time while several loops have sources: each is to look at its own.
const REAL_SLEEP_MAX: Duration = Duration::from_millis(5);

/// The loops of one program in virtual time.
pub(crate) struct Program {
    /// Unique in the process, and not zero.
    number: u64,
    /// Where in virtual time the calling thread is. Given from above: only the event loop knows.
    place: fn() -> Option<Place>,
    /// Decides what is open, in a simulation.
    chance: Option<Arc<Chance>>,
    /// The loops, and which of them runs.
    table: Mutex<Table>,
}

/// What the program's lock guards.
struct Table {
    /// The loops that have not ended, by number. Numbers ascend and are never used again, so what a
    /// program has had does not make its scheduling dearer.
    entries: BTreeMap<usize, Entry>,
    /// The number of the loop that joins the program next.
    next_number: usize,
    /// The loop that runs. None only until the next one is chosen.
    running: Option<usize>,
    /// How often a loop was chosen to run.
    runs: u64,
    /// Why no loop can go on, until the first loop has been told.
    deadlock: Option<String>,
    /// The loop that runs does so only to say what it waits for.
    is_asking: bool,
    /// The loop that runs sleeps in real time, for sources or for threads outside of the program.
    in_real_time: bool,
    /// As in [`Program`].
    chance: Option<Arc<Chance>>,
    /// All loops were told to end.
    is_over: bool,
}

/// A loop, as its program knows it.
struct Entry {
    /// Tells when something arrives for the loop.
    mailbox: Arc<Mailbox>,
    /// The loop's own time, as of its last wait.
    clock: Nanos,
    /// When the loop can go on by itself. `Nanos::MAX` if it only waits for others.
    until: Nanos,
    /// The loop that it waits to see end, no longer than `until`. Then messages do not count.
    joins: Option<usize>,
    /// The value of `runs` when it was last chosen.
    last_run: u64,
    /// Wakes the loop's thread, which waits for `running` to be its number.
    wake: Arc<Condvar>,
    /// What it waits for, in words, once it was asked.
    report: Option<String>,
    /// It has sockets or other sources, which know no virtual time.
    sources: bool,
}

/// A loop's membership in its program. The loop's thread calls it, but for what a parent does for
/// its worker.
#[derive(Clone)]
pub(crate) struct Member {
    /// Shared by all loops of the program.
    program: Arc<Program>,
    /// Its number in the table; 0 for the first loop.
    number: usize,
}

/// What a loop does after it gave up running.
pub(crate) enum Next {
    /// It runs on, at this time.
    Run(Nanos),
    /// No loop can go on, but a source or a thread outside of the program may have something: the
    /// loop sleeps in real time, no longer than this if other loops have sources too.
    SleepInRealTime(Option<Duration>),
    /// No loop can ever go on, for the reasons given. Only the first loop is told, which ends the
    /// others.
    Deadlock(String),
}

impl Program {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread outside of the program has sent something, or can send nothing any more: if a loop
    /// sleeps in real time, it looks again.
    pub(crate) fn wake(&self) {
        let table = self.lock();
        let sleeper = table.running.filter(|_| table.in_real_time);
        let entry = sleeper.and_then(|number| table.entries.get(&number));
        let mailbox = entry.map(|entry| entry.mailbox.clone());
        drop(table);
        if let Some(mailbox) = mailbox {
            mailbox.unpark();
        }
    }
}

impl Table {
    /// When a loop can go on, if ever.
    fn ready_at(&self, entry: &Entry) -> Option<Nanos> {
        let comes = match entry.joins {
            Some(other) if self.entries.contains_key(&other) => Nanos::MAX,
            Some(_) => entry.clock,
            None => entry.mailbox.next_arrival(),
        };
        let ready = entry.until.min(comes).max(entry.clock);
        (ready < Nanos::MAX).then_some(ready)
    }

    /// Lets the loop run that is furthest behind. False if no loop can go on.
    fn run_next(&mut self) -> bool {
        self.running = None;
        self.in_real_time = false;
        let mut next = self.next();
        if let Some(end) = self.end()
            && next.map_or(!end.is_failure, |(time, _)| time > end.at)
        {
            self.end_at(end);
            next = self.next();
        }
        if let Some((time, number)) = next {
            self.run(number, time);
        }
        next.is_some()
    }

    /// The loop that is furthest behind, and when it can go on.
    fn next(&self) -> Option<(Nanos, usize)> {
        let entries = self.entries.iter();
        let ready =
            entries.filter_map(|(number, e)| Some((self.ready_at(e)?, e.last_run, *number)));
        let Some(chance) = &self.chance else {
            return ready.min().map(|(time, _, number)| (time, number));
        };
        let ready: Vec<_> = ready.collect();
        let (first, _, _) = *ready.iter().min()?;
        let equals: Vec<_> = ready.iter().filter(|(time, _, _)| *time == first).collect();
        let (time, _, number) = *equals[chance.one_of(equals.len())];
        Some((time, number))
    }

    /// When the program is ended, if it has not been.
    fn end(&self) -> Option<End> {
        self.chance.as_ref().and_then(|chance| chance.end).filter(|_| !self.is_over)
    }

    /// The time has come at which the program is ended.
    fn end_at(&mut self, end: End) {
        self.chance.iter().for_each(|chance| chance.is_over(end));
        self.entries.values_mut().for_each(|entry| entry.clock = entry.clock.max(end.at));
        self.end_all();
    }

    /// Tells all loops to end.
    fn end_all(&mut self) {
        self.is_over = true;
        self.entries.values().for_each(|entry| entry.mailbox.halt());
    }

    /// Lets a loop run, unless it has ended: then no loop runs.
    fn run(&mut self, number: usize, time: Nanos) {
        self.runs += 1;
        self.running = Some(number);
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.clock = time;
        entry.last_run = self.runs;
        entry.joins = None;
        entry.wake.notify_all();
    }

    /// Lets a loop run whose clock does not move.
    fn run_at_its_time(&mut self, number: usize) {
        let time = self.entries.get(&number).map_or(0, |entry| entry.clock);
        self.run(number, time);
    }

    /// As [`run_next`](Table::run_next); when no loop can go on, one that real time can help sleeps
    /// in it: one that has sources, else `me` if other threads can send. Else all are deadlocked,
    /// and the first loop runs to be told.
    fn run_next_or_sleep(&mut self, me: usize) {
        if self.run_next() {
            return;
        }
        // A simulation waits for nothing outside of it: that would be another run each time.
        let may_sleep = self.chance.is_none();
        let with_sources = self.entries.iter().filter(|(_, entry)| may_sleep && entry.sources);
        let sleeper = with_sources.min_by_key(|(_, entry)| entry.last_run).map(|(n, _)| *n);
        let others_send =
            || may_sleep && self.entries.values().any(|entry| entry.mailbox.has_remotes());
        match sleeper.or_else(|| others_send().then_some(me)) {
            Some(number) => {
                self.run_at_its_time(number);
                self.in_real_time = true;
            }
            None => {
                self.ask_or_end();
            }
        }
    }

    /// No loop can go on: has the next one say what it waits for, which only its own thread can.
    /// When all have, the first loop is told.
    fn ask_or_end(&mut self) {
        let silent = |(_, entry): &(_, &Entry)| entry.report.is_none() && entry.joins.is_none();
        if let Some((number, entry)) = self.entries.iter().find(silent) {
            (self.running, self.is_asking) = (Some(*number), true);
            entry.wake.notify_all();
            return;
        }
        self.deadlock = Some(self.reports());
        self.run_at_its_time(0);
    }

    /// What each loop waits for, as far as it has said so.
    fn reports(&self) -> String {
        let entries = self.entries.iter();
        reports(entries.filter_map(|(number, entry)| Some((*number, entry.report.as_deref()?))))
    }
}

/// What a reader calls the loop of this number.
pub(super) fn name_of(number: usize) -> String {
    match number {
        0 => "the first loop".to_owned(),
        _ => format!("worker loop {number}"),
    }
}

/// What each of these loops waits for.
pub(super) fn reports<'a>(of_loops: impl Iterator<Item = (usize, &'a str)>) -> String {
    let lines = of_loops.map(|(number, report)| format!("{} waits for {report}", name_of(number)));
    lines.collect::<Vec<_>>().join("; ")
}

impl Member {
    /// Begins a program with its first loop, which runs. `place` tells where in virtual time the
    /// calling thread is.
    pub(crate) fn first(
        mailbox: &Arc<Mailbox>,
        place: fn() -> Option<Place>,
        chance: Option<Arc<Chance>>,
    ) -> Member {
        static NEXT_PROGRAM: AtomicU64 = AtomicU64::new(1);
        let program = Arc::new(Program {
            number: NEXT_PROGRAM.fetch_add(1, Ordering::Relaxed),
            place,
            chance: chance.clone(),
            table: Mutex::new(Table {
                entries: BTreeMap::new(),
                next_number: 0,
                running: Some(0),
                runs: 0,
                deadlock: None,
                is_asking: false,
                in_real_time: false,
                chance,
                is_over: false,
            }),
        });
        Member::new(program, mailbox, 0)
    }

    /// Adds a worker that this loop starts at this time. It does not run yet. Returns when it will:
    /// in a simulation later.
    pub(crate) fn add_worker(&self, mailbox: &Arc<Mailbox>, clock: Nanos) -> (Member, Nanos) {
        let late = self.chance().map_or(0, |chance| chance.start_time());
        let begins = clock.saturating_add(late);
        (Member::new(self.program.clone(), mailbox, begins), begins)
    }

    fn new(program: Arc<Program>, mailbox: &Arc<Mailbox>, clock: Nanos) -> Member {
        let (scheduler, chance) = (Arc::downgrade(&program), program.chance.clone());
        mailbox.enter_virtual_time(Arrivals::new(program.number, scheduler, program.place, chance));
        let mut table = program.lock();
        if table.is_over {
            mailbox.halt();
        }
        let number = table.next_number;
        table.next_number += 1;
        let entry = Entry {
            mailbox: mailbox.clone(),
            clock,
            until: clock,
            joins: None,
            last_run: 0,
            wake: Arc::new(Condvar::new()),
            report: None,
            sources: false,
        };
        table.entries.insert(number, entry);
        drop(table);
        Member { program, number }
    }

    /// The number of its program, unique in the process.
    pub(crate) fn program(&self) -> u64 {
        self.program.number
    }

    /// The number of its program if that is a simulation, else zero.
    pub(crate) fn simulation(&self) -> u64 {
        self.chance().map_or(0, |_| self.program())
    }

    /// The number of its loop in the program.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn is_first(&self) -> bool {
        self.number == 0
    }

    /// What decides in its program what is open, in a simulation.
    pub(crate) fn chance(&self) -> Option<&Arc<Chance>> {
        self.program.chance.as_ref()
    }

    /// Tells chance of a callback that has run, which ends the program after too many. Returns how
    /// long it took.
    pub(crate) fn note(&self, kind: &str, phase: Phase, now: Nanos) -> Nanos {
        let Some(chance) = self.chance() else { return 0 };
        if !chance.note(self.number, kind, phase, now) {
            chance.goes_on(chance.too_many());
            self.program.lock().end_all();
        }
        chance.callback_time()
    }

    /// Blocks the worker's thread until the worker runs for the first time.
    pub(crate) fn begin(&self) {
        drop(self.block_until_running(self.program.lock()));
    }

    fn block_until_running<'a>(&self, mut table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        let wake = table.entries[&self.number].wake.clone();
        while table.running != Some(self.number) {
            table = wake.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table
    }

    /// Gives up running until the loop can go on: at `until`, or when a message comes. `report`
    /// says what it waits for, and is asked only when nobody can go on: to look through all that
    /// the loop has takes long. `sources` tells whether sockets may help.
    pub(crate) fn wait(
        &self,
        clock: Nanos,
        until: Nanos,
        report: impl Fn() -> String,
        sources: bool,
    ) -> Next {
        let mut table = self.program.lock();
        let me = self.number;
        let entry = self.entry(&mut table);
        (entry.clock, entry.until, entry.report) = (clock, until, None);
        entry.sources = sources;
        table.run_next_or_sleep(me);
        let mut table = self.block_until_running(table);
        while std::mem::take(&mut table.is_asking) {
            // Not under the lock, which comes before those of mailboxes.
            drop(table);
            let report = report();
            table = self.program.lock();
            self.entry(&mut table).report = Some(report);
            table.run_next_or_sleep(me); // Something may have come from outside.
            table = self.block_until_running(table);
        }
        if self.is_first()
            && let Some(reasons) = table.deadlock.take()
        {
            return Next::Deadlock(reasons);
        }
        if table.in_real_time {
            let several = table.entries.values().filter(|entry| entry.sources).count() > 1;
            return Next::SleepInRealTime(several.then_some(REAL_SLEEP_MAX));
        }
        Next::Run(table.entries[&me].clock)
    }

    /// Gives up running until another loop has ended, or until the time `until`; if there is a
    /// `limit`, at most for that in real time, for the other loop may be in a callback that never
    /// returns. Returns the time at which this loop goes on.
    pub(crate) fn join(
        &self,
        clock: Nanos,
        until: Nanos,
        other: &Member,
        limit: Option<Duration>,
    ) -> Nanos {
        let mut table = self.program.lock();
        let entry = self.entry(&mut table);
        (entry.clock, entry.until, entry.joins) = (clock, until, Some(other.number));
        let wake = entry.wake.clone();
        table.run_next();
        let Some(limit) = limit else {
            return self.block_until_running(table).entries[&self.number].clock;
        };
        let elsewhere = |table: &mut Table| table.running != Some(self.number);
        let waited = wake.wait_timeout_while(table, limit, elsewhere);
        let (mut table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if table.running != Some(self.number) {
            table.run(self.number, clock);
        }
        table.entries[&self.number].clock
    }

    fn entry<'a>(&self, table: &'a mut Table) -> &'a mut Entry {
        table.entries.get_mut(&self.number).expect("a loop that waits has not ended")
    }

    /// The loop has ended, and another one runs.
    pub(crate) fn end(&self) {
        let mut table = self.program.lock();
        let entry = table.entries.remove(&self.number);
        if table.running == Some(self.number) {
            if table.entries.contains_key(&0) {
                table.run_next_or_sleep(0);
            } else {
                // Without the first loop, which has ended the others, nobody need run.
                table.run_next();
            }
        }
        drop(table);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_have_ended_leave_nothing_in_the_table() {
        let first = Member::first(&Arc::new(Mailbox::new()), || None, None);
        for _ in 0..100 {
            let (worker, _) = first.add_worker(&Arc::new(Mailbox::new()), 0);
            // It ran, and ends: the first loop goes on.
            first.program.lock().run(worker.number, 0);
            worker.end();
            first.begin();
        }
        assert_eq!(first.program.lock().entries.len(), 1);
    }
}
