//! Random scripts over the public API: how bytes become one, and how a failing one is made smaller.
//!
//! A script is a tree. Each [`Act`] makes something or uses something made before, and whatever is called later has a
//! [`Body`] of acts of its own. `runner.rs` runs a script and says what went wrong.
//!
//! The fuzz target in `fuzz/` and the test `fuzz.rs` share these files.

pub(crate) mod runner;

/// What is called later, and what the value that it captured does when it is dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Body {
    pub(crate) acts: Vec<Act>,
    pub(crate) on_drop: Vec<Act>,
}

/// One step of a script. A `u8` that says `of` chooses among the things that the loop has, modulo their number; times
/// are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Tick(Body),
    Microtask(Body),
    Immediate(Body),
    Timeout(u8, Body),
    Interval(u8, Body),
    Timer(u8, Body),
    Watcher(Phase, Body),
    Notifier(Body),
    Task(Vec<Wait>, Body),
    Job(Job, Body),
    /// Reads a file.
    File(Body),
    /// Sends pieces of these sizes through a connection, in a simulation.
    Connect(Vec<u8>, Body),
    /// Sends datagrams of these sizes, in a simulation.
    Datagrams(Vec<u8>, Body),
    /// Looks up a name, in a simulation: one that is known there, or not.
    Name(bool, Body),
    /// Reads the wall clock, in a simulation.
    WallClock,
    Channel,
    Worker {
        main: Vec<Act>,
        message: Body,
        exit: Body,
    },
    WorkerPool {
        handler: Vec<Act>,
    },
    KeepAlive,
    /// Sends a value to a port, a worker or a pool of workers, or notifies a notifier.
    Post {
        of: u8,
        value: Body,
    },
    /// Sends an end of a new channel, of which the other end is kept.
    Send {
        of: u8,
    },
    /// Takes a port off the loop and sends it.
    PassOn {
        of: u8,
        to: u8,
    },
    Listen {
        of: u8,
        body: Body,
    },
    Unlisten {
        of: u8,
    },
    OnClose {
        of: u8,
        body: Body,
    },
    /// Clears, closes, cancels, aborts, stops or terminates.
    Close {
        of: u8,
    },
    SetRef {
        of: u8,
        on: bool,
    },
    Refresh {
        of: u8,
    },
    Forget {
        of: u8,
    },
    BeforeExit(Body),
    OnExit(Body),
    OnUncaught(Body),
    Advance(u8),
    Stop,
    Exit(u8),
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    Idle,
    Prepare,
    Check,
}

/// What a task waits for before it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wait {
    Sleep(u8),
    Yield,
    Receive { of: u8 },
    ReceiveWithin { of: u8, limit: u8 },
    End { of: u8 },
    Job(Job),
}

/// A job of the blocking pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) panics: bool,
    pub(crate) slow: bool,
    pub(crate) deadline: Option<u8>,
}

/// A whole program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    /// Uncaught panics go to a hook. Else they leave `run`, and the loop is run again.
    pub(crate) has_hook: bool,
    pub(crate) main: Vec<Act>,
}

/// Bytes that decide. When they run out every answer is 0, which ends what is being made.
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn chance(&mut self, of: u8) -> bool {
        self.byte() % of == 1
    }

    /// Few delays, so that several timers are due together.
    fn delay(&mut self) -> u8 {
        [0, 1, 1, 2, 5, 5, 10, 40][usize::from(self.below(8))]
    }
}

/// What may be made at a place of the tree.
#[derive(Clone, Copy)]
struct Place {
    /// How many bodies are around it.
    depth: u8,
    /// How many workers are around it.
    nesting: u8,
}

impl Place {
    fn inside(self) -> Place {
        Place { depth: self.depth + 1, ..self }
    }
}

impl Script {
    /// The script that some bytes mean. All bytes mean one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Script {
        let mut source = Source::new(bytes);
        let has_hook = !source.chance(3);
        let place = Place { depth: 0, nesting: 0 };
        let mut main = Vec::new();
        while !source.bytes.is_empty() && main.len() < 24 {
            main.push(act(&mut source, place));
        }
        Script { has_hook, main }
    }

    /// The script of a number.
    pub(crate) fn from_seed(seed: u64) -> Script {
        // Splitmix64: neighbours have nothing in common.
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        };
        let len = 16 + next() as usize % 160;
        let bytes: Vec<u8> = (0..len).map(|_| (next() >> 32) as u8).collect();
        Script::from_bytes(&bytes)
    }
}

fn acts(source: &mut Source<'_>, place: Place) -> Vec<Act> {
    let count = if place.depth > 4 { 0 } else { source.below(4) };
    (0..count).map(|_| act(source, place)).collect()
}

fn body(source: &mut Source<'_>, place: Place) -> Body {
    let acts = acts(source, place.inside());
    let on_drop = if source.chance(6) { self::acts(source, place.inside()) } else { Vec::new() };
    Body { acts, on_drop }
}

fn job(source: &mut Source<'_>) -> Job {
    let (panics, slow) = (source.chance(6), source.chance(4));
    Job { panics, slow, deadline: source.chance(6).then(|| source.delay()) }
}

fn wait(source: &mut Source<'_>) -> Wait {
    let of = source.byte();
    match source.below(7) {
        0 | 1 => Wait::Sleep(source.delay()),
        2 => Wait::Yield,
        3 => Wait::Receive { of },
        4 => Wait::ReceiveWithin { of, limit: source.delay() },
        5 => Wait::End { of },
        _ => Wait::Job(job(source)),
    }
}

fn act(source: &mut Source<'_>, place: Place) -> Act {
    let choice = source.below(68);
    let of = source.byte();
    match choice {
        0..=4 => Act::Tick(body(source, place)),
        5..=9 => Act::Microtask(body(source, place)),
        10..=13 => Act::Immediate(body(source, place)),
        14..=18 => Act::Timeout(source.delay(), body(source, place)),
        19 => Act::Interval(source.delay(), body(source, place)),
        20 => Act::Timer(source.delay(), body(source, place)),
        21 => {
            let phase = [Phase::Idle, Phase::Prepare, Phase::Check][usize::from(of % 3)];
            Act::Watcher(phase, body(source, place))
        }
        22 => Act::Notifier(body(source, place)),
        23..=25 => {
            let waits = (0..source.below(4)).map(|_| wait(source)).collect();
            Act::Task(waits, body(source, place))
        }
        26..=29 => Act::Job(job(source), body(source, place)),
        30..=32 => Act::Channel,
        33 | 34 if place.nesting < 2 => Act::Worker {
            main: acts(source, Place { depth: place.depth + 1, nesting: place.nesting + 1 }),
            message: body(source, place),
            exit: body(source, place),
        },
        35 if place.nesting < 1 => Act::WorkerPool {
            handler: acts(source, Place { depth: place.depth + 2, nesting: place.nesting + 1 }),
        },
        36 => Act::KeepAlive,
        37..=42 => Act::Post { of, value: body(source, place) },
        43 if of.is_multiple_of(2) => Act::Send { of },
        43 => Act::PassOn { of, to: source.byte() },
        44..=47 => Act::Listen { of, body: body(source, place) },
        48 => Act::Unlisten { of },
        49 => Act::OnClose { of, body: body(source, place) },
        50..=53 => Act::Close { of },
        54 => Act::SetRef { of, on: source.chance(3) },
        55 => Act::Refresh { of },
        56 => Act::Forget { of },
        57 => match of % 3 {
            0 => Act::BeforeExit(body(source, place)),
            1 => Act::OnExit(body(source, place)),
            _ => Act::OnUncaught(body(source, place)),
        },
        58 => Act::Advance(source.delay()),
        59 if of.is_multiple_of(4) => Act::Stop,
        60 if of.is_multiple_of(6) => Act::Exit(of % 5),
        61 | 62 => Act::Panic,
        63 if of.is_multiple_of(2) => Act::File(body(source, place)),
        63 => {
            let sizes = (0..source.below(5)).map(|_| source.byte()).collect();
            Act::Connect(sizes, body(source, place))
        }
        64 | 65 => {
            let sizes = (0..source.below(5)).map(|_| source.byte()).collect();
            Act::Datagrams(sizes, body(source, place))
        }
        66 => Act::Name(!of.is_multiple_of(3), body(source, place)),
        67 => Act::WallClock,
        _ => Act::Tick(Body::default()),
    }
}

// ---- Making a script smaller.

impl Act {
    /// The lists of acts inside it.
    fn lists(&mut self) -> Vec<&mut Vec<Act>> {
        match self {
            Act::Tick(body)
            | Act::Microtask(body)
            | Act::Immediate(body)
            | Act::Timeout(_, body)
            | Act::Interval(_, body)
            | Act::Timer(_, body)
            | Act::Watcher(_, body)
            | Act::Notifier(body)
            | Act::Task(_, body)
            | Act::Job(_, body)
            | Act::File(body)
            | Act::Connect(_, body)
            | Act::Datagrams(_, body)
            | Act::Name(_, body)
            | Act::Post { value: body, .. }
            | Act::Listen { body, .. }
            | Act::OnClose { body, .. }
            | Act::BeforeExit(body)
            | Act::OnExit(body)
            | Act::OnUncaught(body) => vec![&mut body.acts, &mut body.on_drop],
            Act::Worker { main, message, exit } => {
                let bodies = [message, exit].into_iter();
                let lists = bodies.flat_map(|body| [&mut body.acts, &mut body.on_drop]);
                std::iter::once(main).chain(lists).collect()
            }
            Act::WorkerPool { handler } => vec![handler],
            _ => Vec::new(),
        }
    }

    /// The waits of a task.
    fn waits(&mut self) -> Option<&mut Vec<Wait>> {
        if let Act::Task(waits, _) = self { Some(waits) } else { None }
    }
}

/// How one act of a script is made smaller.
#[derive(Clone, Copy)]
enum Change {
    /// It goes, with all that is in it.
    Remove,
    /// What is in it takes its place.
    Unwrap,
    /// The first wait of a task goes.
    ShortenTask,
}

/// Changes the act with this number, counted from the root. False when there is none, or nothing to change.
fn change(acts: &mut Vec<Act>, number: &mut usize, how: Change) -> Option<bool> {
    let mut index = 0;
    while index < acts.len() {
        if *number == 0 {
            return Some(match how {
                Change::Remove => {
                    acts.remove(index);
                    true
                }
                Change::Unwrap => {
                    let inside: Vec<_> =
                        acts[index].lists().into_iter().flat_map(std::mem::take).collect();
                    let is_some = !inside.is_empty();
                    acts.splice(index..=index, inside);
                    is_some
                }
                Change::ShortenTask => {
                    let waits = acts[index].waits().filter(|waits| !waits.is_empty());
                    waits.map(|waits| waits.remove(0)).is_some()
                }
            });
        }
        *number -= 1;
        for list in acts[index].lists() {
            if let Some(changed) = change(list, number, how) {
                return Some(changed);
            }
        }
        index += 1;
    }
    None
}

/// The smallest script found that fails as `script` does, within so many attempts.
pub(crate) fn shrink(
    script: &Script,
    mut attempts: usize,
    mut fails: impl FnMut(&Script) -> bool,
) -> Script {
    let mut smallest = script.clone();
    loop {
        let before = smallest.clone();
        for how in [Change::Remove, Change::Unwrap, Change::ShortenTask] {
            let mut number = 0;
            loop {
                let mut smaller = smallest.clone();
                let Some(changed) = change(&mut smaller.main, &mut number.clone(), how) else {
                    break;
                };
                if changed && attempts > 0 {
                    attempts -= 1;
                    if fails(&smaller) {
                        smallest = smaller;
                        continue;
                    }
                }
                number += 1;
            }
        }
        if smallest == before || attempts == 0 {
            return smallest;
        }
    }
}
