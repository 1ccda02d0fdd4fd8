//! Random programs from a seed, and smaller ones from a program that shows a fault.

use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// A source of numbers that a seed repeats (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, exclusive.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What kind of programs is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As many things at one moment as can be, for the loop in virtual time against the model.
    Dense,
    /// Moments far apart, for the real clock, and no exception that the main program catches: there Node's
    /// order is its own.
    Spaced,
}

impl Style {
    fn delays(self) -> &'static [u64] {
        match self {
            Style::Dense => &[0, 1, 1, 2, 2, 3, 5, 5, 8, 13],
            Style::Spaced => &[0, 1, 1, 20, 40, 40, 60, 80, 100],
        }
    }

    fn blocks(self) -> &'static [u64] {
        match self {
            Style::Dense => &[1, 1, 2, 3, 5, 8],
            Style::Spaced => &[25, 45, 65],
        }
    }

    /// Delays that have passed after a [long block](Style::long_block).
    fn held_up(self) -> &'static [u64] {
        match self {
            Style::Dense => &[1, 2, 3, 5],
            Style::Spaced => &[1, 20, 40],
        }
    }

    fn long_block(self) -> u64 {
        match self {
            Style::Dense => 8,
            Style::Spaced => 65,
        }
    }

    /// Later than everything else: closes what would wait for ever.
    fn last(self) -> u64 {
        match self {
            Style::Dense => 400,
            Style::Spaced => 900,
        }
    }
}

/// Where a body stands decides what may be in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Main,
    /// In a worker's program.
    Worker,
    /// Run when the program ends: nothing that is armed there runs.
    AtExit,
}

struct Generator {
    random: Rng,
    style: Style,
    /// Operations that may still be made.
    left: u64,
    labels: u64,
    /// Channels and workers of the program so far.
    channels: u64,
    workers: u64,
}

const TIMERS: [&str; 4] = ["t1", "t2", "t3", "t4"];
const IMMEDIATES: [&str; 2] = ["i1", "i2"];
const VALUES: [&str; 3] = ["x", "y", "z"];

/// The program of a seed.
pub(crate) fn generate(seed: u64, style: Style) -> Scenario {
    let mut random = Rng::new(seed);
    // Many small programs, some large ones.
    let scale = 2 + random.below(5);
    let left = 3 + random.below(1 << scale);
    let mut generator = Generator { random, style, left, labels: 0, channels: 0, workers: 0 };
    let mut main = Vec::new();
    while generator.left > 0 {
        main.extend(generator.body(Place::Main, 0));
    }
    let last = generator.close_all();
    main.extend(last);
    Scenario { name: format!("seed {seed}"), pool: Some(1), main, expect: None }
}

impl Generator {
    fn label(&mut self, kind: &str) -> String {
        self.labels += 1;
        format!("{kind}{}", self.labels)
    }

    fn name(&mut self, names: &[&str]) -> Option<String> {
        (!self.random.one_in(3)).then(|| self.random.pick(names).to_owned())
    }

    fn timer_or_immediate(&mut self) -> String {
        let name = if self.random.one_in(4) {
            self.random.pick(&IMMEDIATES)
        } else {
            self.random.pick(&TIMERS)
        };
        name.to_owned()
    }

    fn port(&mut self) -> String {
        let number = 1 + self.random.below(self.channels.max(1));
        format!("{}{number}", self.random.pick(&["a", "b"]))
    }

    fn worker(&mut self) -> String {
        format!("w{}", 1 + self.random.below(self.workers.max(1)))
    }

    /// A body at this depth, shorter and rarer the deeper it is.
    fn body(&mut self, place: Place, depth: u64) -> Body {
        let longest = if depth == 0 { 6 } else { 4_u64.saturating_sub(depth / 2) };
        let length = self.random.below(longest + 1).min(self.left);
        let mut body = Vec::new();
        for _ in 0..length {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            if place != Place::AtExit && depth < 4 && self.random.one_in(12) {
                let group = self.group(place, depth);
                body.extend(group);
                continue;
            }
            let op = self.op(place, depth);
            let watched = match &op {
                Op::Channel { a, b } if self.style == Style::Spaced => Some([a.clone(), b.clone()]),
                _ => None,
            };
            body.push(op);
            // Node does not tell of a close that has been, so here somebody asks in time.
            for port in watched.into_iter().flatten() {
                let id = self.label("c");
                body.push(Op::OnClose { port, id, body: self.inner(place, depth + 2) });
            }
        }
        body
    }

    fn inner(&mut self, place: Place, depth: u64) -> Body {
        if depth > 5 { Vec::new() } else { self.body(place, depth + 1) }
    }

    /// A few steps that belong together, for rules that steps by chance would seldom come upon.
    fn group(&mut self, place: Place, depth: u64) -> Body {
        match self.random.below(4) {
            0..2 => self.held_up_timers(place, depth),
            2 if place == Place::Main && self.channels > 0 => {
                if self.random.one_in(2) {
                    self.closed_in_round(depth)
                } else {
                    self.closed_together()
                }
            }
            _ => self.due_at_once(place, depth),
        }
    }

    /// Timers of one delay that are due together, and a tick or microtask between them that acts on
    /// those to come, or a timer that does.
    fn held_up_timers(&mut self, place: Place, depth: u64) -> Body {
        let ms = self.random.pick(self.style.held_up());
        let count = 2 + self.random.below(3) as usize;
        let mut body: Body =
            (0..count).map(|number| self.held_up_timer(place, depth, ms, number)).collect();
        if self.random.one_in(2) {
            let (id, ms) = (self.label("t"), self.random.pick(self.style.held_up()));
            body.push(Op::Timeout { id, ms, var: None, body: self.inner(place, depth + 2) });
        }
        body.push(Op::Block { ms: self.style.long_block() });
        body
    }

    fn held_up_timer(&mut self, place: Place, depth: u64, ms: u64, number: usize) -> Op {
        let mut acts = Vec::new();
        for _ in 0..self.random.below(3) {
            let var = self.random.pick(&TIMERS).to_owned();
            acts.push(match self.random.below(8) {
                0..3 => Op::Refresh { var },
                3 => Op::Clear { var },
                4 => Op::Unref { var },
                5 => Op::Ref { var },
                6 => Op::Timeout { id: self.label("t"), ms, var: Some(var), body: Vec::new() },
                _ => Op::Block { ms: self.random.pick(self.style.blocks()) },
            });
        }
        let body = match self.random.below(4) {
            0 => acts,
            1 => vec![Op::Micro { id: self.label("m"), body: acts }],
            _ => vec![Op::Tick { id: self.label("n"), body: acts }],
        };
        let var = Some(TIMERS[number % TIMERS.len()].to_owned());
        if self.random.one_in(4) {
            let (id, times) = (self.label("v"), 1 + self.random.below(2) as u32);
            return Op::Interval { id, ms, times, var, body };
        }
        let (id, body) = (self.label("t"), [body, self.inner(place, depth + 2)].concat());
        Op::Timeout { id, ms, var, body }
    }

    /// A timer that is due when the loop begins, and leaves what does not hold it.
    fn due_at_once(&mut self, place: Place, depth: u64) -> Body {
        let ms = self.random.pick(self.style.held_up());
        let immediate = self.random.pick(&IMMEDIATES).to_owned();
        let arms = Op::Immediate {
            id: self.label("i"),
            var: Some(immediate.clone()),
            body: self.inner(place, depth + 2),
        };
        let body = vec![arms, Op::Unref { var: immediate }];
        let id = self.label("t");
        vec![Op::Timeout { id, ms, var: None, body }, Op::Block { ms: self.style.long_block() }]
    }

    /// Ports closed one after the other.
    fn closed_together(&mut self) -> Body {
        (0..2 + self.random.below(2)).map(|_| Op::Close { port: self.port() }).collect()
    }

    /// A port that is closed in its own listener, or in the drain after it, while messages wait.
    fn closed_in_round(&mut self, depth: u64) -> Body {
        let number = 1 + self.random.below(self.channels);
        let (own, other) = if self.random.one_in(2) { ("a", "b") } else { ("b", "a") };
        let (own, other) = (format!("{own}{number}"), format!("{other}{number}"));
        let mut on = self.answers(Place::Main, depth + 1);
        let close = Op::Close { port: own.clone() };
        let closes = match self.random.below(4) {
            0 => Op::Tick { id: self.label("n"), body: vec![close] },
            1 => Op::Micro { id: self.label("m"), body: vec![close] },
            _ => close,
        };
        on.entry(VALUES[0].to_owned()).or_default().push(closes);
        if self.random.one_in(3) {
            let value = self.random.pick(&VALUES).to_owned();
            let again = Op::Send { port: other.clone(), value };
            on.entry(VALUES[1].to_owned()).or_default().push(again);
        }
        let (id, times) = (self.label("p"), 1 + self.random.below(6) as u32);
        let mut body = vec![Op::Listen { port: own, id, times, on }];
        for _ in 0..2 + self.random.below(3) {
            let value = self.random.pick(&VALUES).to_owned();
            body.push(Op::Send { port: other.clone(), value });
        }
        body
    }

    fn op(&mut self, place: Place, depth: u64) -> Op {
        let main = place == Place::Main;
        match self.random.below(100) {
            0..12 => self.tick(place, depth),
            12..24 => self.micro(place, depth),
            24..36 => {
                let (id, var) = (self.label("i"), self.name(&IMMEDIATES));
                Op::Immediate { id, var, body: self.inner(place, depth) }
            }
            36..50 => {
                let (id, var) = (self.label("t"), self.name(&TIMERS));
                let ms = self.random.pick(self.style.delays());
                Op::Timeout { id, ms, var, body: self.inner(place, depth) }
            }
            50..55 => {
                let (id, var) = (self.label("v"), self.name(&TIMERS));
                let ms = self.random.pick(self.style.delays());
                let times = 1 + self.random.below(3) as u32;
                Op::Interval { id, ms, times, var, body: self.inner(place, depth) }
            }
            55..60 => Op::Clear { var: self.timer_or_immediate() },
            60..64 => Op::Refresh { var: self.random.pick(&TIMERS).to_owned() },
            64..67 => Op::Unref { var: self.timer_or_immediate() },
            67..69 => Op::Ref { var: self.timer_or_immediate() },
            69..76 => {
                let id = self.label("s");
                Op::Stat { id, body: self.inner(place, depth) }
            }
            76..81 => Op::Block { ms: self.random.pick(self.style.blocks()) },
            81 => self.exception(place, depth),
            82 if main => {
                let (id, times) = (self.label("b"), 1 + self.random.below(2) as u32);
                Op::BeforeExit { id, times, body: self.inner(place, depth) }
            }
            83 => {
                let id = self.label("e");
                Op::AtExit { id, body: self.inner(Place::AtExit, depth + 3) }
            }
            84 if self.random.one_in(4) => Op::Exit { code: self.random.below(3) as i32 },
            85..88 if main && self.channels < 3 => self.channel(),
            88..94 if main && self.channels > 0 => self.port_op(depth),
            94..97 if main && self.workers < 3 && self.left > 3 => self.start_worker(depth),
            97..100 if main && self.workers > 0 => self.worker_op(),
            94..97 if place == Place::Worker => self.receive(depth),
            _ => Op::Log { id: self.label("l") },
        }
    }

    fn tick(&mut self, place: Place, depth: u64) -> Op {
        let id = self.label("n");
        Op::Tick { id, body: self.inner(place, depth) }
    }

    fn micro(&mut self, place: Place, depth: u64) -> Op {
        let id = self.label("m");
        if place == Place::AtExit && self.style == Style::Spaced {
            // Node's engine runs those of a program that ends by itself once more when it is taken down.
            return Op::Log { id };
        }
        Op::Micro { id, body: self.inner(place, depth) }
    }

    fn exception(&mut self, place: Place, depth: u64) -> Op {
        let wanted = match place {
            Place::Main => self.style == Style::Dense,
            // One in the script itself: Node runs the first of its ticks all the same.
            Place::Worker => self.style == Style::Dense || depth > 0,
            Place::AtExit => false,
        };
        let id = self.label("x");
        if wanted { Op::Throw { id } } else { Op::Log { id } }
    }

    fn channel(&mut self) -> Op {
        self.channels += 1;
        Op::Channel { a: format!("a{}", self.channels), b: format!("b{}", self.channels) }
    }

    fn answers(&mut self, place: Place, depth: u64) -> Answers {
        let mut answers = Answers::new();
        for value in VALUES {
            if self.random.one_in(2) {
                answers.insert(value.to_owned(), self.inner(place, depth + 1));
            }
        }
        answers
    }

    fn port_op(&mut self, depth: u64) -> Op {
        let port = self.port();
        match self.random.below(8) {
            0..3 => {
                let (id, times) = (self.label("p"), 1 + self.random.below(3) as u32);
                Op::Listen { port, id, times, on: self.answers(Place::Main, depth) }
            }
            3..6 => Op::Send { port, value: self.random.pick(&VALUES).to_owned() },
            6 if self.style == Style::Dense => {
                let id = self.label("c");
                Op::OnClose { port, id, body: self.inner(Place::Main, depth) }
            }
            _ => Op::Close { port },
        }
    }

    fn start_worker(&mut self, depth: u64) -> Op {
        self.workers += 1;
        let name = format!("w{}", self.workers);
        let before = self.labels;
        let program = self.body(Place::Worker, 0);
        // Some of the worker's labels are answered.
        let mut on_message = Answers::new();
        for number in before + 1..=self.labels {
            if self.random.one_in(3) {
                let kind = self.random.pick(&["n", "m", "i", "t", "s", "l"]);
                on_message.insert(format!("{kind}{number}"), self.inner(Place::Main, depth + 1));
            }
        }
        Op::Worker(Box::new(WorkerOp {
            id: format!("W{}", self.workers),
            var: Some(name),
            program,
            online: self.random.one_in(3),
            on_online: self.inner(Place::Main, depth + 1),
            on_message,
            on_error: self.inner(Place::Main, depth + 1),
            on_exit: self.inner(Place::Main, depth + 1),
        }))
    }

    fn worker_op(&mut self) -> Op {
        if self.random.one_in(3) {
            Op::Terminate { var: self.worker() }
        } else {
            Op::Post { to: self.worker(), value: self.random.pick(&VALUES).to_owned() }
        }
    }

    fn receive(&mut self, depth: u64) -> Op {
        let (id, times) = (self.label("r"), 1 + self.random.below(3) as u32);
        Op::Receive { id, times, on: self.answers(Place::Worker, depth) }
    }

    /// Late timers that close every channel and end every worker: nothing is left that waits for ever.
    fn close_all(&mut self) -> Body {
        let ports = (1..=self.channels).map(|number| Op::Close { port: format!("a{number}") });
        let workers = (1..=self.workers).map(|number| Op::Terminate { var: format!("w{number}") });
        let mut ms = self.style.last();
        let mut last = Vec::new();
        for op in ports.chain(workers) {
            last.push(Op::Timeout { id: format!("z{ms}"), ms, var: None, body: vec![op] });
            ms += 100;
        }
        last
    }
}

/// The smallest program that still `fails`, found by leaving out one operation after the other, with what is
/// in it or without.
pub(crate) fn shrink(program: &Scenario, mut fails: impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut smallest = program.clone();
    loop {
        let (mut number, mut shrunk) = (0, false);
        'operations: loop {
            for keeps_inner in [false, true] {
                let mut candidate = smallest.clone();
                if !remove(&mut candidate.main, &mut number.clone(), keeps_inner) {
                    break 'operations;
                }
                if fails(&candidate) {
                    (smallest, shrunk) = (candidate, true);
                    continue 'operations;
                }
            }
            number += 1;
        }
        if !shrunk {
            return smallest;
        }
    }
}

/// Takes out the operation with this number, counted through all bodies; what is in it takes its place or
/// goes with it. False if there are not so many.
fn remove(body: &mut Body, number: &mut u64, keeps_inner: bool) -> bool {
    for index in 0..body.len() {
        if *number == 0 {
            let mut removed = body.remove(index);
            if keeps_inner {
                let inner = bodies(&mut removed).into_iter().flat_map(std::mem::take);
                body.splice(index..index, inner);
            }
            return true;
        }
        *number -= 1;
        let mut inner = bodies(&mut body[index]).into_iter();
        if inner.any(|inner| remove(inner, number, keeps_inner)) {
            return true;
        }
    }
    false
}

/// The bodies inside an operation, in a fixed order.
fn bodies(op: &mut Op) -> Vec<&mut Body> {
    match op {
        Op::Tick { body, .. }
        | Op::Micro { body, .. }
        | Op::Immediate { body, .. }
        | Op::Timeout { body, .. }
        | Op::Interval { body, .. }
        | Op::Stat { body, .. }
        | Op::BeforeExit { body, .. }
        | Op::AtExit { body, .. }
        | Op::OnClose { body, .. } => vec![body],
        Op::Listen { on, .. } | Op::Receive { on, .. } => on.values_mut().collect(),
        Op::Worker(op) => {
            let events = [&mut op.program, &mut op.on_online, &mut op.on_error, &mut op.on_exit];
            events.into_iter().chain(op.on_message.values_mut()).collect()
        }
        _ => Vec::new(),
    }
}
