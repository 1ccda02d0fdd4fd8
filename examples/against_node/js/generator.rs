//! Random JavaScript programs from a seed, without the races of which Node itself makes now this, now that.
//!
//! Node runs on the real clock. These rules keep the order of a program from hanging on it:
//!
//! 1. A long timer fires in a *slot* of its own, far from all others. So of two timers that were armed in
//!    different places it is known which comes first.
//! 2. Short timers are armed together, and then the thread is blocked until all of them are due. A single timer of
//!    1 ms races with the immediates and messages around it, and two that are armed one after the other with the
//!    clock's next millisecond. So does one that is refreshed: that is done only to the longest.
//! 3. They are armed in the script, in an immediate, or in what these queue. Behind a timer they are not: when a tick
//!    reads the clock there, Node 20 goes through the timers once more before it goes on to the poll phase.
//! 4. What does not know its slot (a listener, an interval, what hangs on a promise that is settled elsewhere) arms
//!    no timers.
//! 5. No immediate is unreferenced: now and then Node wakes itself with nothing to do, and then such an
//!    immediate runs.
//! 6. What is thrown is thrown where its order is no accident of Node's: in a microtask, in a promise, in a timer that
//!    has queued nothing, as the last thing of a process or of a worker; of a worker not in a timer that is due with
//!    others. The rest is decided differently (the guide's page *Node's tests on our loop* has it).
//! 7. A worker runs when its parent has nothing else to do, and its messages come before it begins. It is terminated
//!    when it has said that it waits.
//! 8. What hangs on a process (its exit, its exit hooks, what nobody catches) has a process of its own; other
//!    programs share one and run one after the other.

use super::program::{
    Alone, Await, Body, Kind, Link, Outcome, Program, Start, Step, VALUES, Worker,
};
use crate::generator::Rng;

/// Slots of a program, the last for closing its ports.
const SLOTS_MAX: u32 = 8;

const TIMERS: [&str; 3] = ["t1", "t2", "t3"];
const IMMEDIATES: [&str; 2] = ["i1", "i2"];
const SHORT: [&str; 4] = ["s1", "s2", "s3", "s4"];
const DEFERRED: [&str; 2] = ["d1", "d2"];
/// Some milliseconds apart: on a busy machine so long passes between two that are armed together.
const DELAYS: [u32; 5] = [1, 3, 5, 7, LONGEST];
const LONGEST: u32 = 9;

/// Which part of a thread's life a body belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Script,
    Timers,
    Check,
    /// Short timers that are due together.
    HeldUp,
    /// Elsewhere.
    Other,
}

/// Where a body stands decides what may be in it.
#[derive(Clone, Copy)]
struct Place {
    phase: Phase,
    /// The slot in which it runs, if that is known.
    slot: Option<u32>,
    depth: u32,
    in_worker: bool,
    /// In a timer that is due with others, or in what it queues.
    with_others: bool,
}

impl Place {
    /// The script itself.
    fn script(in_worker: bool) -> Place {
        Place { phase: Phase::Script, slot: Some(0), depth: 0, in_worker, with_others: false }
    }

    fn in_phase(self, phase: Phase) -> Place {
        Place { phase, depth: self.depth + 1, ..self }
    }

    fn deeper(self) -> Place {
        self.in_phase(self.phase)
    }

    /// Where the slot is not known.
    fn elsewhere(self) -> Place {
        Place { phase: Phase::Other, slot: None, depth: self.depth + 1, ..self }
    }
}

struct Generator {
    random: Rng,
    /// Steps that may still be made.
    left: u32,
    labels: u32,
    /// The last slot that is taken.
    slot: u32,
    channels: u32,
    /// Slots that have their short timers.
    held_up: Vec<u32>,
    alone: Option<Alone>,
}

/// The program of a seed.
pub(crate) fn generate(seed: u64) -> Program {
    let mut random = Rng::new(seed);
    // Many small programs, some large ones.
    let scale = 2 + random.below(5);
    let left = 3 + random.below(1 << scale) as u32;
    let alone = match random.below(24) {
        0 => Some(Alone::Exits),
        1 => Some(Alone::Throws),
        _ => None,
    };
    let (labels, slot, channels, held_up) = (0, 0, 0, Vec::new());
    let mut generator = Generator { random, left, labels, slot, channels, held_up, alone };
    let mut main = Vec::new();
    let place = Place::script(false);
    while generator.left > 0 {
        main.extend(generator.body(place));
    }
    let closes = (generator.channels > 0).then_some(generator.slot + 1);
    let mut workers = Vec::new();
    while alone.is_none() && workers.len() < 2 && generator.random.one_in(12) {
        workers.push(generator.worker());
    }
    Program { seed, main, workers, alone, closes }
}

impl Generator {
    fn label(&mut self, kind: &str) -> String {
        self.labels += 1;
        format!("{kind}{}", self.labels)
    }

    fn step(&mut self, kind: &str, of: Kind, bodies: Vec<Body>) -> Step {
        Step { label: self.label(kind), kind: of, bodies }
    }

    fn pick(&mut self, names: &[&'static str]) -> &'static str {
        names[self.random.below(names.len() as u64) as usize]
    }

    fn port(&mut self) -> String {
        let number = 1 + self.random.below(u64::from(self.channels.max(1)));
        format!("{}{number}", self.pick(&["a", "b"]))
    }

    /// A slot behind all others, if there is one left and the place may arm timers.
    fn later_slot(&mut self, place: Place, count: u32) -> Option<u32> {
        (place.slot.is_some() && self.slot + count <= SLOTS_MAX).then(|| {
            let first = self.slot + 1;
            self.slot += count;
            first
        })
    }

    /// A body, shorter and rarer the deeper it is.
    fn body(&mut self, place: Place) -> Body {
        if place.depth > 5 {
            return Vec::new();
        }
        let longest = if place.depth == 0 { 6 } else { 4_u32.saturating_sub(place.depth / 2) };
        let length = self.random.below(u64::from(longest) + 1);
        let mut body = Vec::new();
        for _ in 0..length {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let step = self.any(place);
            let ends = matches!(step.kind, Kind::Throw | Kind::Exit { .. });
            body.push(step);
            if ends {
                break;
            }
        }
        body
    }

    fn any(&mut self, place: Place) -> Step {
        let (wants, main) = (self.random.below(100), !place.in_worker);
        match wants {
            0..10 => self.simple("n", Kind::Tick, place.deeper()),
            10..20 => self.microtask(place),
            20..30 => {
                let var = self.pick(&IMMEDIATES).to_owned();
                self.simple("i", Kind::Immediate { var }, place.in_phase(Phase::Check))
            }
            30..40 => self.later(place),
            40..43 => self.every(place),
            43..49 => self.held_up(place),
            49..54 => self.act(),
            54..67 => self.chain(place),
            67..78 => self.function(place),
            78..80 => {
                let var = self.pick(&DEFERRED).to_owned();
                self.step("d", Kind::Deferred { var }, Vec::new())
            }
            80..84 => {
                let (var, verb) =
                    (self.pick(&DEFERRED).to_owned(), self.pick(&["resolve", "resolve", "reject"]));
                self.step("d", Kind::Settle { var, verb }, Vec::new())
            }
            84..87 if main && self.channels < 3 => {
                self.channels += 1;
                let (number, watched) = (self.channels, self.random.one_in(2));
                self.step("c", Kind::Channel { number, watched }, Vec::new())
            }
            87..95 if self.channels > 0 && main => self.port_step(place),
            95 if main => {
                let times = 1 + self.random.below(2) as u32;
                self.simple("b", Kind::BeforeExit { times }, place.elsewhere())
            }
            96..99 => self.ends(place),
            _ => self.step("l", Kind::Say, Vec::new()),
        }
    }

    fn simple(&mut self, kind: &str, of: Kind, place: Place) -> Step {
        let label = self.label(kind);
        Step { label, kind: of, bodies: vec![self.body(place)] }
    }

    fn throw(&mut self) -> Step {
        self.step("x", Kind::Throw, Vec::new())
    }

    fn microtask(&mut self, place: Place) -> Step {
        let mut step = self.simple("m", Kind::Microtask, place.deeper());
        if self.random.one_in(8) && !place.in_worker && self.alone != Some(Alone::Throws) {
            let throw = self.throw();
            step.bodies[0].push(throw);
        }
        step
    }

    fn later(&mut self, place: Place) -> Step {
        let Some(slot) = self.later_slot(place, 1) else {
            return self.simple("n", Kind::Tick, place.deeper());
        };
        let var = self.pick(&TIMERS).to_owned();
        if self.random.one_in(10) {
            let throw = self.throw();
            return self.step("t", Kind::Later { slot, var }, vec![vec![throw]]);
        }
        let inner = Place { slot: Some(slot), ..place.in_phase(Phase::Timers) };
        self.simple("t", Kind::Later { slot, var }, inner)
    }

    fn every(&mut self, place: Place) -> Step {
        let times = 1 + self.random.below(3) as u32;
        match self.later_slot(place, times + 1) {
            Some(slot) => self.simple("v", Kind::Every { slot, times }, place.elsewhere()),
            None => self.microtask(place),
        }
    }

    /// Short timers that are due together, with what acts on them while they run.
    fn held_up(&mut self, place: Place) -> Step {
        let is_free = |slot: &u32| !self.held_up.contains(slot);
        let slot = place
            .slot
            .filter(is_free)
            .filter(|_| matches!(place.phase, Phase::Script | Phase::Check));
        let Some(slot) = slot else { return self.simple("n", Kind::Tick, place.deeper()) };
        self.held_up.push(slot);
        let label = self.label("s");
        let count = 2 + self.random.below(3) as usize;
        let (mut timers, mut bodies) = (Vec::new(), Vec::new());
        let delay = |random: &mut Rng| DELAYS[random.below(DELAYS.len() as u64) as usize];
        let delays: Vec<u32> = (0..count).map(|_| delay(&mut self.random)).collect();
        // One that is refreshed is alone when it fires again, behind all that is queued.
        let refreshed = delays.iter().position(|delay| *delay == LONGEST);
        for (at, (var, delay)) in SHORT.iter().zip(&delays).enumerate() {
            timers.push((*delay, (*var).to_owned()));
            let mut acts = Vec::new();
            for _ in 0..self.random.below(3) {
                let which = self.random.below(SHORT.len() as u64) as usize;
                let var = SHORT[which].to_owned();
                let verbs: &[_] = if Some(which) == refreshed {
                    &["refreshOnce", "clear", "unref", "ref"]
                } else {
                    &["clear", "unref", "ref"]
                };
                let verb = self.pick(verbs);
                acts.push(self.step("", Kind::Act { verb, var }, Vec::new()));
            }
            let mut body = match self.random.below(4) {
                0 => acts,
                1 => vec![self.step("m", Kind::Microtask, vec![acts])],
                _ => vec![self.step("n", Kind::Tick, vec![acts])],
            };
            // It runs twice: what it would put into a slot would meet itself there.
            let slot = place.slot.filter(|_| Some(at) != refreshed);
            let inner = Place { with_others: true, slot, ..place.in_phase(Phase::HeldUp) };
            body.extend(self.body(inner));
            bodies.push(body);
        }
        Step { label, kind: Kind::HeldUp { timers }, bodies }
    }

    fn act(&mut self) -> Step {
        let (verb, var) = match self.random.below(6) {
            0 => ("clear", self.pick(&IMMEDIATES)),
            1 | 2 => ("clear", self.pick(&TIMERS)),
            3 | 4 => ("unref", self.pick(&TIMERS)),
            _ => ("ref", self.pick(&TIMERS)),
        };
        self.step("", Kind::Act { verb, var: var.to_owned() }, Vec::new())
    }

    fn port_step(&mut self, place: Place) -> Step {
        let port = self.port();
        match self.random.below(10) {
            0..3 => {
                let (label, times) = (self.label("p"), 1 + self.random.below(3) as u32);
                let bodies = VALUES.map(|_| self.body(place.elsewhere())).to_vec();
                Step { label, kind: Kind::Listen { port, times }, bodies }
            }
            3..7 => {
                let value = self.pick(&VALUES);
                self.step("", Kind::Send { port, value }, Vec::new())
            }
            7 | 8 => self.step("r", Kind::Receive { port }, Vec::new()),
            _ => self.step("", Kind::Close { port }, Vec::new()),
        }
    }

    // ----- Promises -----

    /// A promise to begin with, and whether it is settled in this very slot.
    fn start(&mut self, place: Place, depth: u32) -> (Start, bool) {
        match self.random.below(12) {
            0 | 1 => (Start::Resolved, true),
            2 => (Start::Rejected, true),
            3..6 => (Start::New(self.executor()), true),
            6 if self.later_slot(place, 1).is_some() => (Start::Later(self.slot), false),
            7 | 8 => (Start::Held(self.pick(&DEFERRED).to_owned()), false),
            9 => (Start::Immediate, false),
            10 | 11 if depth == 0 => {
                let verb = self.pick(&["all", "race", "allSettled", "any"]);
                let starts = (0..self.random.below(4)).map(|_| self.start(place, 1).0).collect();
                (Start::Several(verb, starts), false)
            }
            _ => (Start::Resolved, true),
        }
    }

    /// How an executor settles its promise; `$` is the value.
    fn executor(&mut self) -> &'static str {
        self.pick(&[
            "resolve($)",
            "reject($)",
            "process.nextTick(resolve, $)",
            "process.nextTick(reject, $)",
            "queueMicrotask(() => resolve($))",
            "setImmediate(resolve, $)",
            "resolve(Promise.resolve($))",
            "resolve(Promise.reject($))",
            "resolve(thenable($))",
            "resolve(new Promise((resolve) => process.nextTick(resolve, $)))",
            "resolve($), reject($)",
        ])
    }

    fn outcome(&mut self) -> Outcome {
        match self.random.below(10) {
            0..3 => Outcome::Value,
            3 | 4 => Outcome::Throw,
            5 => Outcome::Promise,
            6 => Outcome::Rejected,
            7 => Outcome::Thenable,
            _ => Outcome::Nothing,
        }
    }

    /// Where a body runs that hangs on a promise.
    fn behind(place: Place, same_slot: bool) -> Place {
        // It may run in the drain of an immediate, or of a timer that is due.
        if same_slot { place.in_phase(Phase::Other) } else { place.elsewhere() }
    }

    fn chain(&mut self, place: Place) -> Step {
        let label = self.label("p");
        let (start, same_slot) = self.start(place, 0);
        let executor =
            if matches!(start, Start::New(_)) { self.body(place.deeper()) } else { Vec::new() };
        let (mut links, mut bodies) = (Vec::new(), vec![executor]);
        for _ in 0..self.random.below(4) {
            let outcome = self.outcome();
            links.push(match self.random.below(6) {
                0..3 => Link::Then(outcome),
                3 | 4 => Link::Catch(outcome),
                _ => Link::Finally,
            });
            bodies.push(self.body(Self::behind(place, same_slot)));
        }
        Step { label, kind: Kind::Chain { start, links }, bodies }
    }

    fn function(&mut self, place: Place) -> Step {
        let label = self.label("a");
        let (mut awaits, mut bodies) = (Vec::new(), vec![self.body(place.deeper())]);
        let mut same_slot = true;
        for _ in 0..self.random.below(4) {
            let (wait, same) = match self.random.below(8) {
                0..2 => (Await::Value, true),
                2..4 => {
                    let (start, same) = self.start(place, 0);
                    (Await::Promise(start), same)
                }
                4..6 => {
                    let (start, same) = self.start(place, 0);
                    (Await::Tried(start), same)
                }
                6 => (Await::Thenable, true),
                _ => (Await::Each(1 + self.random.below(3) as u32), true),
            };
            same_slot &= same;
            awaits.push(wait);
            bodies.push(self.body(Self::behind(place, same_slot)));
        }
        let end = self.outcome();
        Step { label, kind: Kind::Async { awaits, end }, bodies }
    }

    // ----- What ends -----

    fn ends(&mut self, place: Place) -> Step {
        let below_script = place.depth > 0;
        match self.alone {
            Some(Alone::Exits) if self.random.one_in(3) => {
                let code = self.random.below(3) as i32;
                self.step("", Kind::Exit { code }, Vec::new())
            }
            Some(Alone::Exits) => {
                let says = self.step("l", Kind::Say, Vec::new());
                let tick = self.step("n", Kind::Tick, vec![Vec::new()]);
                self.step("e", Kind::AtExit, vec![vec![says, tick]])
            }
            Some(Alone::Throws) => self.throw(),
            None if place.in_worker
                && below_script
                && !place.with_others
                && self.random.one_in(2) =>
            {
                self.throw()
            }
            None if place.in_worker && self.random.one_in(2) => {
                let code = self.random.below(3) as i32;
                self.step("", Kind::Exit { code }, Vec::new())
            }
            None => self.step("l", Kind::Say, Vec::new()),
        }
    }

    fn worker(&mut self) -> Worker {
        (self.slot, self.left) = (0, 3 + self.random.below(16) as u32);
        self.held_up.clear();
        let place = Place::script(true);
        let posts: Vec<_> = (0..self.random.below(4)).map(|_| self.pick(&VALUES)).collect();
        let mut script = self.body(place);
        if !posts.is_empty() {
            let (label, times) =
                (self.label("r"), 1 + self.random.below(posts.len() as u64) as u32);
            let bodies = VALUES.map(|_| self.body(place.elsewhere())).to_vec();
            script.push(Step {
                label,
                kind: Kind::Listen { port: "parent".to_owned(), times },
                bodies,
            });
        }
        script.extend(self.body(place));
        let waits = self.random.one_in(4).then_some(self.slot + 1);
        Worker { script, posts, waits }
    }
}
