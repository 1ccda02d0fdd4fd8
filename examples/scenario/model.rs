//! The order of callbacks as plain data: the specification, in a form that runs.
//!
//! What the loop does with handles, queues, wakers and threads is said here with lists and numbers. Each
//! thread of a program has queues and a clock of its own; [`Model::go`] lets whichever is furthest behind
//! run from one poll phase to the next. Read [`Model::iterate`] first: it is the loop.
//!
//! Times are whole milliseconds of virtual time. With noise everything takes a little longer, as on a real
//! machine: a program whose trace changes under noise is a race.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::generator::Rng;
use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// Why a program has no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Every thread waits, and nothing will come.
    Stuck,
    /// It goes on and on.
    Endless,
}

/// Longer traces are taken for endless.
const LABELS_MAX: usize = 400;

/// The fewest messages that a port delivers in one poll phase if they are there.
const MESSAGES_PER_ROUND: usize = 1000;

/// How long a worker may take to start under noise: as long as Node's do on a busy machine.
const SLOW_START: u64 = 300;

/// How long a pool request may take under noise.
const SLOW_REQUEST: u64 = 12;

/// How often a program is run with noise to see whether it is a race.
const NOISY_RUNS: u64 = 200;

/// How much noise there is otherwise, in all.
const NOISE: u64 = 14;

/// The trace of a program whose order does not hang on how long things take.
#[allow(dead_code)] // Not all who have the model ask for it.
pub(crate) fn without_race(program: &Scenario) -> Option<Vec<String>> {
    let trace = run(program, None).ok()?;
    // Of what the main program throws Node has an order of its own.
    if trace.is_empty() || trace.iter().any(|label| label.starts_with('!')) {
        return None;
    }
    let same = |seed| run(program, Some(Rng::new(seed))).as_ref() == Ok(&trace);
    (0..NOISY_RUNS).all(same).then_some(trace)
}

/// The trace of a program. With noise it is one of those that a real machine may print.
pub(crate) fn run(program: &Scenario, noise: Option<Rng>) -> Result<Vec<String>, Unfinished> {
    let mut model = Model {
        threads: vec![Thread::default()],
        channels: Vec::new(),
        workers: Vec::new(),
        trace: Vec::new(),
        turns: 0,
        undrained: false,
        noise: Noise { left: NOISE, random: noise },
    };
    model.main_script(&program.main);
    model.go()?;
    Ok(model.trace)
}

/// A label, and what is done after it is said.
#[derive(Clone)]
struct Callback<'p> {
    label: String,
    body: &'p [Op],
}

/// How a body ended.
enum Flow {
    Done,
    Thrown(String),
    Exit,
}

#[derive(Clone, Copy)]
enum Variable {
    Timer(usize),
    Immediate(u64),
    /// A receiver's number.
    Port(usize),
    Worker(usize),
}

struct Immediate<'p> {
    number: u64,
    callback: Callback<'p>,
    referenced: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Armed,
    /// An interval in its own callback: still alive.
    Firing,
    /// A timeout that has fired: a refresh arms it again.
    Fired,
    Cleared,
}

struct Timer<'p> {
    callback: Callback<'p>,
    delay: u64,
    /// Its delay counts from here.
    start: u64,
    /// For an interval: how many firings are left.
    left: Option<u32>,
    status: Status,
    referenced: bool,
}

/// The timers of one delay, in order of arming.
struct List {
    delay: u64,
    /// When it is looked at. Among lists of one expiry the one made, or put back, first goes first.
    expiry: (u64, u64),
    timers: VecDeque<usize>,
}

/// What is done in the close phase.
enum Closing<'p> {
    /// The other side hears of it.
    Tell(Half),
    Call(Callback<'p>),
}

/// One direction of a channel: its index.
type Half = usize;

#[derive(Default)]
struct Channel {
    /// The messages, and when each is seen.
    messages: VecDeque<(u64, String)>,
    /// From when on it is seen that nothing will come any more.
    sender_gone: Option<u64>,
    receiver_gone: bool,
    /// Who is told: a thread, and a receiver's number there.
    receiver: Option<(usize, usize)>,
    /// The receiver was told, and has not seen the channel empty since.
    told: bool,
}

struct Listener<'p> {
    label: &'p str,
    left: u32,
    answers: &'p Answers,
}

/// What gets messages: a port, or the parent's side of a worker.
struct Receiver<'p> {
    open: bool,
    incoming: Half,
    outgoing: Half,
    listener: Option<Listener<'p>>,
    on_close: Option<Callback<'p>>,
    /// For the parent's side of a worker.
    worker: Option<usize>,
}

struct Worker<'p> {
    op: &'p WorkerOp,
    thread: usize,
    /// Its number among the parent's receivers.
    number: usize,
    online: bool,
    told_online: bool,
    /// When its end is seen, the id of what it threw, and its code.
    ended: Option<(u64, Option<String>, i32)>,
    told_exit: bool,
}

/// One thread with its loop.
#[derive(Default)]
struct Thread<'p> {
    now: u64,
    ticks: VecDeque<Callback<'p>>,
    microtasks: VecDeque<Callback<'p>>,
    immediates: VecDeque<Immediate<'p>>,
    next_immediate: u64,
    timers: Vec<Timer<'p>>,
    lists: Vec<List>,
    next_list: u64,
    /// The timer whose callback runs.
    firing: Option<usize>,
    /// In a pass: the timer that fires next, chosen before the drain that comes first.
    chosen: Option<usize>,
    /// Pool requests in order of submission, and when each is done.
    requests: VecDeque<(u64, Callback<'p>)>,
    /// In order of creation.
    receivers: Vec<Receiver<'p>>,
    /// Receivers that have been told something and not yet looked.
    notices: Vec<usize>,
    /// Receivers that are called in the next poll phase.
    ready: BTreeSet<usize>,
    /// The receiver whose messages are being delivered.
    in_round: Option<usize>,
    /// Notices from threads that are ahead, by when they are seen.
    later: BTreeMap<u64, Vec<usize>>,
    /// What each closed handle has to tell, the handle closed last on top.
    closing: Vec<Vec<Closing<'p>>>,
    before_exit: Vec<(u32, Callback<'p>)>,
    at_exit: Vec<Callback<'p>>,
    variables: HashMap<&'p str, Variable>,
    /// A worker's number, and the program that it has yet to begin.
    worker: Option<usize>,
    program: Option<&'p [Op]>,
    /// When it goes on by itself; `u64::MAX` if only others can help.
    until: u64,
    last_turn: u64,
    /// From when on it is to be terminated.
    halt_at: Option<u64>,
    /// Nothing runs any more.
    halted: bool,
    exit_code: Option<i32>,
    thrown: Option<String>,
    ended: bool,
}

impl Thread<'_> {
    fn is_alive(&self) -> bool {
        let holds = |timer: &Timer<'_>| {
            timer.referenced && matches!(timer.status, Status::Armed | Status::Firing)
        };
        self.timers.iter().any(holds)
            || self.immediates.iter().any(|immediate| immediate.referenced)
            || !self.requests.is_empty()
            || !self.closing.is_empty()
            || self.receivers.iter().any(|r| r.open && (r.worker.is_some() || r.listener.is_some()))
    }

    /// When the poll phase ends if nothing comes from elsewhere. It does not wait if nothing is
    /// alive.
    fn next_event(&self) -> u64 {
        let something_waits = !self.is_alive()
            || self.immediates.iter().any(|immediate| immediate.referenced)
            || !self.closing.is_empty()
            || !self.notices.is_empty()
            || !self.ready.is_empty();
        let request = self.requests.front().map(|(done, _)| *done);
        let list = self.lists.iter().map(|list| list.expiry.0).min();
        let at_once = something_waits.then_some(self.now);
        at_once.into_iter().chain(request).chain(list).min().unwrap_or(u64::MAX)
    }

    /// When it can go on, if ever.
    fn ready_at(&self) -> Option<u64> {
        let letter = self.later.keys().next().copied();
        let first = [Some(self.until), letter, self.halt_at].into_iter().flatten().min()?;
        (!self.ended && first < u64::MAX).then_some(first.max(self.now))
    }

    /// Puts a timer at the end of the list of its delay.
    fn append(&mut self, timer: usize) {
        let (delay, expiry) = (self.timers[timer].delay, self.timers[timer].start);
        let index = self.lists.iter().position(|list| list.delay == delay).unwrap_or_else(|| {
            self.next_list += 1;
            let expiry = (expiry + delay, self.next_list);
            self.lists.push(List { delay, expiry, timers: VecDeque::new() });
            self.lists.len() - 1
        });
        self.lists[index].timers.push_back(timer);
    }

    /// Takes a timer out of its list, which stays, though it be empty.
    fn unlink(&mut self, timer: usize) {
        for list in &mut self.lists {
            list.timers.retain(|other| *other != timer);
        }
    }

    fn clear_timer(&mut self, timer: usize) {
        let before = std::mem::replace(&mut self.timers[timer].status, Status::Cleared);
        if before == Status::Armed {
            self.unlink(timer);
        }
        if before == Status::Armed || before != Status::Cleared && self.firing == Some(timer) {
            self.give_up_list_of(timer);
        }
    }

    /// Gives up the list of a timer that is cleared, if that leaves it empty and was referenced.
    fn give_up_list_of(&mut self, timer: usize) {
        if self.timers[timer].referenced {
            let delay = self.timers[timer].delay;
            self.lists.retain(|list| list.delay != delay || !list.timers.is_empty());
        }
    }

    fn refresh_timer(&mut self, timer: usize) {
        if self.timers[timer].status != Status::Cleared {
            self.unlink(timer);
            self.timers[timer].start = self.now;
            self.timers[timer].status = Status::Armed;
            self.append(timer);
        }
    }

    /// Takes the next timer that is due at `now` out of its list: list by list, not timer by timer.
    fn take_due(&mut self, now: u64) -> Option<usize> {
        // A drain that came after the choice may have cleared it, or refreshed it, which is too
        // late.
        let chosen = self.chosen.take();
        if let Some(timer) = chosen.filter(|timer| self.timers[*timer].status == Status::Armed) {
            self.unlink(timer);
            return Some(timer);
        }
        while let Some(first) = self.expired(now) {
            if let Some(timer) = self.first_due(first, now) {
                self.unlink(timer);
                return Some(timer);
            }
        }
        None
    }

    /// Chooses the timer that fires after one of this delay, if its list has a further one that is
    /// due.
    fn choose(&mut self, delay: u64, now: u64) {
        let same = self.expired(now).filter(|first| self.lists[*first].delay == delay);
        self.chosen = same.and_then(|first| self.first_due(first, now));
    }

    /// The list that is looked at next, if its time has come.
    fn expired(&self, now: u64) -> Option<usize> {
        let first = (0..self.lists.len()).min_by_key(|index| self.lists[*index].expiry)?;
        (self.lists[first].expiry.0 <= now).then_some(first)
    }

    /// The first timer of a list that has expired, if it is due. Else the list was up for a timer
    /// that is gone, or all its due timers have run: it is given up, or put back.
    fn first_due(&mut self, list: usize, now: u64) -> Option<usize> {
        let Some(timer) = self.lists[list].timers.front().copied() else {
            self.lists.remove(list);
            return None;
        };
        let due = self.timers[timer].start + self.timers[timer].delay;
        if due > now {
            self.next_list += 1;
            self.lists[list].expiry = (due, self.next_list);
            return None;
        }
        Some(timer)
    }
}

struct Model<'p> {
    /// The main program's first, then those of the workers.
    threads: Vec<Thread<'p>>,
    channels: Vec<Channel>,
    workers: Vec<Worker<'p>>,
    trace: Vec<String>,
    turns: u64,
    noise: Noise,
    /// Events are called without a drain between them.
    undrained: bool,
}

/// What a machine adds to the time that things take. Nothing, unless it has a source of randomness.
struct Noise {
    /// How much may still be added, in all.
    left: u64,
    random: Option<Rng>,
}

impl Noise {
    fn some(&mut self) -> u64 {
        let Some(random) = &mut self.random else { return 0 };
        let delay = if random.one_in(4) { random.below(self.left.min(6) + 1) } else { 0 };
        self.left -= delay;
        delay
    }

    /// The clock goes on between two steps, if only to its next millisecond.
    fn next_millisecond(&mut self) -> u64 {
        let Some(random) = &mut self.random else { return 0 };
        let step = u64::from(self.left > 0 && random.one_in(8));
        self.left -= step;
        step
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.random.as_mut().map_or(0, |random| random.below(most + 1))
    }
}

impl<'p> Model<'p> {
    // ----- The loop -----

    /// One iteration, from the moment at which the poll phase is over its waiting.
    fn iterate(&mut self, t: usize) {
        self.poll(t);
        self.check(t);
        self.close(t);
        self.timers(t);
    }

    /// The main program, up to its first poll phase.
    fn main_script(&mut self, main: &'p [Op]) {
        let flow = self.execute(0, main);
        self.end_of_callback(0, flow);
        self.drain(0);
        self.threads[0].now += self.noise.some();
        if self.threads[0].is_alive() {
            self.begin_turn(0);
        } else {
            self.until_poll(0);
        }
    }

    /// A turn of a loop that is alive: the due timers, and one iteration at least, whatever they
    /// leave.
    fn begin_turn(&mut self, t: usize) {
        self.timers(t);
        if self.threads[t].halted { self.end(t) } else { self.wait(t) }
    }

    /// What lies between two iterations: is there anything to go on for?
    fn until_poll(&mut self, t: usize) {
        if self.threads[t].halted {
            return self.end(t);
        }
        if self.threads[t].is_alive() {
            return self.wait(t);
        }
        self.before_exit(t);
        if self.threads[t].halted || !self.threads[t].is_alive() {
            return self.end(t);
        }
        self.begin_turn(t);
    }

    /// Waits in the poll phase.
    fn wait(&mut self, t: usize) {
        // Each wait may end a millisecond late, which adds up in a timer that is armed again and
        // again.
        let late = self.noise.some() + self.noise.up_to(1);
        let next = self.threads[t].next_event();
        self.threads[t].until = next.saturating_add(if next < u64::MAX { late } else { 0 });
        if self.noise.up_to(15) == 15 {
            // Node wakes itself now and then, with nothing to deliver: an unreferenced immediate
            // runs then.
            self.threads[t].until = self.threads[t].now;
        }
    }

    /// Lets the threads take turns: the one furthest behind, or who has waited longest, first.
    fn go(&mut self) -> Result<(), Unfinished> {
        while !self.threads[0].ended {
            let turn =
                |(t, thread): (usize, &Thread<'p>)| Some((thread.ready_at()?, thread.last_turn, t));
            let first = self.threads.iter().enumerate().filter_map(turn).min();
            let Some((now, _, t)) = first else { return Err(Unfinished::Stuck) };
            if self.trace.len() > LABELS_MAX || self.turns > 20 * LABELS_MAX as u64 {
                return Err(Unfinished::Endless);
            }
            self.turns += 1;
            self.take_turn(t, now);
        }
        Ok(())
    }

    fn take_turn(&mut self, t: usize, now: u64) {
        let thread = &mut self.threads[t];
        (thread.last_turn, thread.now) = (self.turns, now);
        let seen = thread.later.range(..=now).map(|(time, _)| *time).collect::<Vec<_>>();
        for time in seen {
            let notices = thread.later.remove(&time).unwrap_or_default();
            thread.notices.extend(notices);
        }
        thread.halted |= thread.halt_at.is_some_and(|time| time <= now);
        match thread.worker {
            // A worker's first turn: its loop is there, and its program waits for the poll phase.
            Some(worker) if !self.workers[worker].online => {
                self.workers[worker].online = true;
                let number = self.workers[worker].number;
                self.notify_at(0, number, now);
                self.threads[t].until = now;
            }
            _ => {
                self.iterate(t);
                self.until_poll(t);
            }
        }
    }

    /// Runs ticks and microtasks until none is left.
    fn drain(&mut self, t: usize) {
        while !self.threads[t].halted {
            if let Some(tick) = self.threads[t].ticks.pop_front() {
                self.call(t, tick);
            } else if !self.threads[t].microtasks.is_empty() {
                while !self.threads[t].halted
                    && let Some(microtask) = self.threads[t].microtasks.pop_front()
                {
                    self.call(t, microtask);
                }
            } else {
                return;
            }
        }
    }

    /// Completions, then messages receiver by receiver, then a worker's program.
    fn poll(&mut self, t: usize) {
        let (now, end) = (self.threads[t].now, self.threads[t].receivers.len());
        let done = self.threads[t].requests.iter().filter(|(done, _)| *done <= now).count();
        for _ in 0..done {
            if self.threads[t].halted {
                break;
            }
            let (_, callback) = self.threads[t].requests.pop_front().expect("it was counted");
            self.macrotask(t, callback);
        }
        let mut from = 0;
        while !self.threads[t].halted {
            let thread = &mut self.threads[t];
            thread.ready.extend(thread.notices.drain(..));
            let Some(number) = thread.ready.range(from..end.max(from)).next().copied() else {
                break;
            };
            thread.ready.remove(&number);
            if !thread.receivers[number].open {
                continue;
            }
            from = number + 1;
            match thread.receivers[number].worker {
                Some(worker) => self.deliver_worker(worker),
                None => self.deliver_port(t, number),
            }
        }
        if !self.threads[t].halted
            && let Some(program) = self.threads[t].program.take()
        {
            self.open_parent_port(t);
            let flow = self.execute(t, program);
            self.end_of_callback(t, flow);
            self.drain(t);
        }
    }

    /// The immediates that wait now.
    fn check(&mut self, t: usize) {
        let end = self.threads[t].next_immediate;
        while !self.threads[t].halted
            && self.threads[t].immediates.front().is_some_and(|first| first.number < end)
        {
            let immediate = self.threads[t].immediates.pop_front().expect("it was looked at");
            self.macrotask(t, immediate.callback);
        }
    }

    /// What closed handles have to tell, the one closed last first. What closes meanwhile waits.
    fn close(&mut self, t: usize) {
        let closing = std::mem::take(&mut self.threads[t].closing);
        for told in closing.into_iter().rev().flatten() {
            if self.threads[t].halted {
                return;
            }
            match told {
                Closing::Tell(half) => self.close_sender(half, t),
                Closing::Call(callback) => self.macrotask(t, callback),
            }
        }
    }

    /// All timers that are due now. What becomes due meanwhile waits.
    fn timers(&mut self, t: usize) {
        let now = self.threads[t].now;
        while !self.threads[t].halted
            && let Some(timer) = self.threads[t].take_due(now)
        {
            self.fire(t, timer);
            // Before the drain that comes between the two.
            let delay = self.threads[t].timers[timer].delay;
            self.threads[t].choose(delay, now);
            self.drain(t);
        }
        if self.noise.up_to(1) == 1 {
            // The libuv of Node 20 goes round again if the clock was read after something was armed.
            self.timers(t);
        }
    }

    fn fire(&mut self, t: usize, number: usize) {
        let timer = &mut self.threads[t].timers[number];
        let callback = timer.callback.clone();
        let Some(left) = timer.left.as_mut() else {
            timer.status = Status::Fired;
            self.threads[t].firing = Some(number);
            self.call(t, callback);
            self.threads[t].firing = None;
            return;
        };
        *left -= 1;
        timer.status = Status::Firing;
        let is_last = *left == 0;
        let start = self.threads[t].now;
        self.threads[t].firing = Some(number);
        if is_last {
            // An interval that has had its last firing is cleared before its body, but after its label.
            self.threads[t].clear_timer(number);
        }
        self.call(t, callback);
        self.threads[t].firing = None;
        let timer = &mut self.threads[t].timers[number];
        if timer.status != Status::Cleared {
            // A period counts from the start of the callback, its place in the list from the end.
            (timer.start, timer.status) = (start, Status::Armed);
            self.threads[t].unlink(number);
            self.threads[t].append(number);
        }
    }

    fn before_exit(&mut self, t: usize) {
        for index in 0..self.threads[t].before_exit.len() {
            if self.threads[t].halted {
                return;
            }
            let (left, callback) = &mut self.threads[t].before_exit[index];
            if *left > 0 {
                *left -= 1;
                let callback = callback.clone();
                if self.call(t, callback) {
                    self.drain(t);
                }
            }
        }
        self.drain(t);
    }

    fn end(&mut self, t: usize) {
        // One that was terminated has no exit hooks.
        let thread = &self.threads[t];
        let terminated = thread.halted && thread.exit_code.is_none() && thread.thrown.is_none();
        let hooks = std::mem::take(&mut self.threads[t].at_exit);
        for callback in hooks.into_iter().filter(|_| !terminated) {
            self.say(t, &callback.label);
            if let Flow::Exit = self.execute(t, callback.body) {
                break;
            }
        }
        let thread = &mut self.threads[t];
        thread.ended = true;
        let code = match (&thread.thrown, thread.exit_code) {
            (Some(_), _) => 1,
            (None, Some(code)) => code,
            // For Node, one that had not begun has sometimes ended by itself.
            (None, None) if thread.program.is_some() && self.noise.up_to(1) == 1 => 0,
            (None, None) => i32::from(terminated),
        };
        if let Some(worker) = thread.worker {
            let (now, thrown) = (thread.now, thread.thrown.take());
            let (incoming, outgoing) = self.channels_of(worker);
            self.close_sender(outgoing, t);
            self.channels[incoming].receiver_gone = true;
            // Behind everything that the worker posted.
            self.workers[worker].ended = Some((now + 1, thrown, code));
            let number = self.workers[worker].number;
            self.notify_at(0, number, now + 1);
        }
    }

    // ----- Callbacks -----

    /// A callback of a phase: it, and the drain.
    fn macrotask(&mut self, t: usize, callback: Callback<'p>) {
        self.call(t, callback);
        if !self.undrained {
            self.drain(t);
        }
    }

    /// Says the label and executes the body. True if it threw.
    fn call(&mut self, t: usize, callback: Callback<'p>) -> bool {
        self.say(t, &callback.label);
        let flow = self.execute(t, callback.body);
        let thrown = matches!(flow, Flow::Thrown(_));
        self.end_of_callback(t, flow);
        self.threads[t].now += self.noise.some();
        thrown
    }

    /// An exception ends its callback like a return. In a worker it ends the worker.
    fn end_of_callback(&mut self, t: usize, flow: Flow) {
        if let Flow::Thrown(id) = flow {
            if t == 0 {
                self.trace.push(format!("!{id}"));
            } else {
                self.threads[t].thrown = Some(id);
                self.threads[t].halted = true;
            }
        }
    }

    /// A worker's labels are messages to its parent.
    fn say(&mut self, t: usize, label: &str) {
        match self.threads[t].worker {
            None => self.trace.push(label.to_owned()),
            Some(worker) => {
                let (_, outgoing) = self.channels_of(worker);
                self.send(t, outgoing, label.to_owned());
            }
        }
    }

    fn execute(&mut self, t: usize, body: &'p [Op]) -> Flow {
        for op in body {
            match op {
                Op::Throw { id } => return Flow::Thrown(id.clone()),
                Op::Exit { code } => {
                    self.threads[t].exit_code = Some(*code);
                    self.threads[t].halted = true;
                    return Flow::Exit;
                }
                _ => self.step(t, op),
            }
        }
        Flow::Done
    }

    fn step(&mut self, t: usize, op: &'p Op) {
        let callback = |id: &str, body: &'p Body| Callback { label: id.to_owned(), body };
        let thread = &mut self.threads[t];
        match op {
            Op::Log { id } => self.say(t, id),
            Op::Tick { id, body } => thread.ticks.push_back(callback(id, body)),
            Op::Micro { id, body } => thread.microtasks.push_back(callback(id, body)),
            Op::Immediate { id, var, body } => {
                let number = thread.next_immediate;
                thread.next_immediate += 1;
                let callback = callback(id, body);
                thread.immediates.push_back(Immediate { number, callback, referenced: true });
                self.set(t, var, Variable::Immediate(number));
            }
            Op::Timeout { id, ms, var, body } => self.arm(t, callback(id, body), *ms, None, var),
            Op::Interval { id, ms, times, var, body } => {
                self.arm(t, callback(id, body), *ms, Some(*times), var);
            }
            Op::Stat { id, body } => {
                let before = thread.requests.back().map_or(0, |(done, _)| *done);
                let done = before.max(thread.now) + self.noise.up_to(SLOW_REQUEST);
                self.threads[t].requests.push_back((done, callback(id, body)));
            }
            Op::Block { ms } => thread.now += ms,
            Op::BeforeExit { id, times, body } => {
                thread.before_exit.push((*times, callback(id, body)));
            }
            Op::AtExit { id, body } => thread.at_exit.push(callback(id, body)),
            Op::Channel { a, b } => {
                let (one, other) = self.new_channels();
                for (name, incoming, outgoing) in [(a, one, other), (b, other, one)] {
                    let number = self.open(t, incoming, outgoing, None);
                    self.threads[t].variables.insert(name, Variable::Port(number));
                }
            }
            Op::Worker(op) => self.start_worker(op),
            Op::Receive { id, times, on } if t > 0 => self.listen(t, 0, id, *times, on),
            Op::Receive { .. } => {}
            Op::Throw { .. } | Op::Exit { .. } => unreachable!("these end a body"),
            with_variable => self.step_with_variable(t, with_variable),
        }
    }

    fn step_with_variable(&mut self, t: usize, op: &'p Op) {
        let (Op::Clear { var }
        | Op::Refresh { var }
        | Op::Unref { var }
        | Op::Ref { var }
        | Op::Listen { port: var, .. }
        | Op::Send { port: var, .. }
        | Op::Close { port: var }
        | Op::OnClose { port: var, .. }
        | Op::Post { to: var, .. }
        | Op::Terminate { var }) = op
        else {
            unreachable!("{op:?} has no variable")
        };
        let Some(variable) = self.threads[t].variables.get(var.as_str()).copied() else { return };
        let thread = &mut self.threads[t];
        if matches!(op, Op::Refresh { .. }) {
            thread.now += self.noise.next_millisecond();
        }
        match (op, variable) {
            (Op::Clear { .. }, Variable::Timer(timer)) => thread.clear_timer(timer),
            (Op::Clear { .. }, Variable::Immediate(number)) => {
                thread.immediates.retain(|immediate| immediate.number != number);
            }
            (Op::Refresh { .. }, Variable::Timer(timer)) => thread.refresh_timer(timer),
            (Op::Unref { .. } | Op::Ref { .. }, Variable::Timer(timer)) => {
                thread.timers[timer].referenced = matches!(op, Op::Ref { .. });
            }
            (Op::Unref { .. } | Op::Ref { .. }, Variable::Immediate(number)) => {
                let same = |immediate: &&mut Immediate<'_>| immediate.number == number;
                if let Some(immediate) = thread.immediates.iter_mut().find(same) {
                    immediate.referenced = matches!(op, Op::Ref { .. });
                }
            }
            (Op::Listen { id, times, on, .. }, Variable::Port(number)) => {
                self.listen(t, number, id, *times, on);
            }
            (Op::Send { value, .. }, Variable::Port(number)) => {
                let port = &thread.receivers[number];
                if port.open {
                    let outgoing = port.outgoing;
                    self.send(t, outgoing, value.clone());
                }
            }
            (Op::Close { .. }, Variable::Port(number)) => self.close_port(t, number),
            (Op::OnClose { id, body, .. }, Variable::Port(number)) => {
                let callback = Callback { label: id.clone(), body };
                let port = &mut thread.receivers[number];
                if port.open {
                    port.on_close = Some(callback);
                } else {
                    thread.closing.push(vec![Closing::Call(callback)]);
                }
            }
            (Op::Post { value, .. }, Variable::Worker(worker)) => {
                let (incoming, _) = self.channels_of(worker);
                self.send(t, incoming, value.clone());
            }
            (Op::Terminate { .. }, Variable::Worker(worker)) if !self.workers[worker].told_exit => {
                let (now, delay) = (thread.now, self.noise.some());
                let halt_at = &mut self.threads[self.workers[worker].thread].halt_at;
                *halt_at = Some(halt_at.map_or(now + delay, |time| time.min(now + delay)));
            }
            // On a variable of another kind it does nothing.
            _ => {}
        }
    }

    fn set(&mut self, t: usize, var: &'p Option<String>, value: Variable) {
        if let Some(name) = var {
            self.threads[t].variables.insert(name, value);
        }
    }

    /// A delay of 0 is one of 1, and counts from this very moment.
    fn arm(
        &mut self,
        t: usize,
        callback: Callback<'p>,
        ms: u64,
        left: Option<u32>,
        var: &'p Option<String>,
    ) {
        let thread = &mut self.threads[t];
        thread.now += self.noise.next_millisecond();
        let (delay, start, number) = (ms.max(1), thread.now, thread.timers.len());
        let (status, referenced) = (Status::Armed, true);
        thread.timers.push(Timer { callback, delay, start, left, status, referenced });
        thread.append(number);
        self.set(t, var, Variable::Timer(number));
    }

    // ----- Ports -----

    fn new_channels(&mut self) -> (Half, Half) {
        self.channels.extend([Channel::default(), Channel::default()]);
        (self.channels.len() - 2, self.channels.len() - 1)
    }

    fn open(&mut self, t: usize, incoming: Half, outgoing: Half, worker: Option<usize>) -> usize {
        let number = self.threads[t].receivers.len();
        let (listener, on_close) = (None, None);
        let port = Receiver { open: true, incoming, outgoing, listener, on_close, worker };
        self.threads[t].receivers.push(port);
        let channel = &mut self.channels[incoming];
        (channel.receiver, channel.told) = (Some((t, number)), false);
        let first = channel.messages.front().map(|(seen, _)| *seen).or(channel.sender_gone);
        if let Some(seen) = first {
            channel.told = true;
            if seen <= self.threads[t].now {
                self.threads[t].notices.push(number);
            } else {
                // From a thread that is ahead.
                self.notify_at(t, number, seen);
            }
        }
        number
    }

    fn listen(&mut self, t: usize, number: usize, label: &'p str, left: u32, answers: &'p Answers) {
        let thread = &mut self.threads[t];
        let (open, in_round) = (thread.receivers[number].open, thread.in_round == Some(number));
        if open || in_round {
            thread.receivers[number].listener = Some(Listener { label, left, answers });
        }
        if !open {
            return;
        }
        let now = thread.now;
        let channel = &mut self.channels[thread.receivers[number].incoming];
        let next = channel.messages.front().map(|(seen, _)| *seen).or(channel.sender_gone);
        channel.told = next.is_some();
        match next {
            Some(seen) if seen <= now => drop(thread.ready.insert(number)),
            // From a thread that is ahead.
            Some(seen) => self.notify_at(t, number, seen),
            None => {}
        }
    }

    fn send(&mut self, t: usize, half: Half, message: String) {
        let (now, channel) = (self.threads[t].now, &mut self.channels[half]);
        if channel.sender_gone.is_some() || channel.receiver_gone {
            return;
        }
        let crosses = channel.receiver.is_some_and(|(thread, _)| thread != t);
        let delay = if crosses { self.noise.some() } else { 0 };
        let before = channel.messages.back().map_or(0, |(seen, _)| *seen);
        let seen = before.max(now + delay);
        channel.messages.push_back((seen, message));
        self.tell(half, t, seen);
    }

    /// Tells the receiver, once until it has looked: in the own thread at once, else when its clock has come to
    /// `time`.
    fn tell(&mut self, half: Half, t: usize, time: u64) {
        let channel = &mut self.channels[half];
        let Some((receiver, number)) = channel.receiver else { return };
        if !std::mem::replace(&mut channel.told, true) {
            if receiver == t {
                self.threads[t].notices.push(number);
            } else {
                self.notify_at(receiver, number, time);
            }
        }
    }

    fn notify_at(&mut self, t: usize, number: usize, time: u64) {
        self.threads[t].later.entry(time).or_default().push(number);
    }

    fn close_sender(&mut self, half: Half, t: usize) {
        let now = self.threads[t].now;
        self.channels[half].sender_gone = Some(now);
        self.tell(half, t, now);
    }

    fn close_port(&mut self, t: usize, number: usize) {
        let thread = &mut self.threads[t];
        let port = &mut thread.receivers[number];
        if !std::mem::replace(&mut port.open, false) {
            return;
        }
        let closed = port.on_close.take().map(Closing::Call);
        thread.closing.push(std::iter::once(Closing::Tell(port.outgoing)).chain(closed).collect());
        // In a round of its own, what is left of the round is still delivered.
        if thread.in_round != Some(number) {
            self.finish_close(t, number);
        }
    }

    fn finish_close(&mut self, t: usize, number: usize) {
        let thread = &mut self.threads[t];
        let port = &mut thread.receivers[number];
        port.listener = None;
        thread.ready.remove(&number);
        let channel = &mut self.channels[port.incoming];
        (channel.receiver_gone, channel.receiver) = (true, None);
        channel.messages.clear();
    }

    /// Calls the listener for each message that is there, also for those that come meanwhile. True if the round
    /// was full first. Leaves the rest when the listener is removed.
    fn deliver(&mut self, t: usize, number: usize) -> bool {
        self.threads[t].in_round = Some(number);
        let full = self.deliver_round(t, number);
        self.threads[t].in_round = None;
        let closed = !self.threads[t].receivers[number].open;
        if closed {
            self.finish_close(t, number);
        }
        full && !closed
    }

    fn deliver_round(&mut self, t: usize, number: usize) -> bool {
        let half = self.threads[t].receivers[number].incoming;
        for _ in 0..self.channels[half].messages.len().max(MESSAGES_PER_ROUND) {
            let port = &mut self.threads[t].receivers[number];
            let wanted = port.listener.is_some() || port.worker.is_some();
            if !wanted || self.threads[t].halted {
                self.channels[half].told = false;
                return false;
            }
            let Some(message) = self.receive(t, half, number) else { return false };
            self.call_listener(t, number, &message);
        }
        self.threads[t].ready.insert(number);
        true
    }

    fn receive(&mut self, t: usize, half: Half, number: usize) -> Option<String> {
        let (now, channel) = (self.threads[t].now, &mut self.channels[half]);
        let next = channel.messages.front().map(|(seen, _)| *seen).or(channel.sender_gone);
        match next {
            // From a thread that is ahead.
            Some(seen) if seen > now => {
                self.notify_at(t, number, seen);
                None
            }
            Some(_) => channel.messages.pop_front().map(|(_, message)| message),
            None => {
                channel.told = false;
                None
            }
        }
    }

    fn call_listener(&mut self, t: usize, number: usize, message: &str) {
        let port = &mut self.threads[t].receivers[number];
        let (prefix, answers) = match (&mut port.listener, port.worker) {
            (Some(listener), _) => {
                listener.left = listener.left.wrapping_sub(1);
                let found = (listener.label, listener.answers);
                if listener.left == 0 {
                    port.listener = None;
                }
                found
            }
            (None, Some(worker)) => {
                let op = self.workers[worker].op;
                (op.id.as_str(), &op.on_message)
            }
            (None, None) => return,
        };
        let body = answers.get(message).map_or(&[][..], |body| body);
        self.macrotask(t, Callback { label: format!("{prefix}:{message}"), body });
    }

    fn deliver_port(&mut self, t: usize, number: usize) {
        if self.deliver(t, number) || !self.threads[t].receivers[number].open {
            return;
        }
        let channel = &self.channels[self.threads[t].receivers[number].incoming];
        let closed = channel.sender_gone.is_some_and(|time| time <= self.threads[t].now);
        if closed && channel.messages.is_empty() && !self.threads[t].halted {
            self.close_port(t, number);
        }
    }

    // ----- Workers -----

    /// What the worker receives from, and what it sends to.
    fn channels_of(&self, worker: usize) -> (Half, Half) {
        let parent = &self.threads[0].receivers[self.workers[worker].number];
        (parent.outgoing, parent.incoming)
    }

    fn start_worker(&mut self, op: &'p WorkerOp) {
        let (there, back) = self.new_channels();
        let (worker, thread) = (self.workers.len(), self.threads.len());
        let number = self.open(0, back, there, Some(worker));
        self.threads[0].ready.insert(number);
        let now = self.threads[0].now + self.noise.up_to(SLOW_START);
        let program = Some(op.program.as_slice());
        let worker_number = Some(worker);
        self.threads.push(Thread {
            now,
            until: now,
            worker: worker_number,
            program,
            ..Thread::default()
        });
        let (online, told_online, ended, told_exit) = (false, false, None, false);
        self.workers.push(Worker { op, thread, number, online, told_online, ended, told_exit });
        self.set(0, &op.var, Variable::Worker(worker));
    }

    fn open_parent_port(&mut self, t: usize) {
        let worker = self.threads[t].worker.expect("only a worker has a parent");
        let (incoming, outgoing) = self.channels_of(worker);
        self.open(t, incoming, outgoing, None);
    }

    /// At the parent: online, messages, at most one error, and the exit, last.
    fn deliver_worker(&mut self, index: usize) {
        let ended = self.workers[index].ended.is_some();
        // Node leaves the drains out between events that it finds when the worker has ended.
        self.undrained = ended && self.noise.up_to(1) == 1;
        self.deliver_events(index);
        self.undrained = false;
        self.drain(0);
    }

    fn deliver_events(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let (op, number) = (worker.op, worker.number);
        if worker.online && !std::mem::replace(&mut worker.told_online, true) && op.online {
            let label = format!("{}:online", op.id);
            self.macrotask(0, Callback { label, body: &op.on_online });
        }
        let now = self.threads[0].now;
        let ended = self.workers[index].ended.clone().filter(|(seen, ..)| *seen <= now);
        if self.deliver(0, number) || self.threads[0].halted {
            return;
        }
        let Some((_, thrown, code)) = ended else { return };
        if let Some(id) = thrown {
            let label = format!("{}:error({id})", op.id);
            self.macrotask(0, Callback { label, body: &op.on_error });
        }
        if !self.threads[0].halted {
            self.workers[index].told_exit = true;
            self.threads[0].receivers[number].open = false;
            let label = format!("{}:exit({code})", op.id);
            self.macrotask(0, Callback { label, body: &op.on_exit });
        }
    }
}
