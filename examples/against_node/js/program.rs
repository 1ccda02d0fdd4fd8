//! A random program in JavaScript: what it is made of, its text, and smaller ones.

use std::fmt::Write;

/// Steps that run one after the other, in one function.
pub(crate) type Body = Vec<Step>;

/// One step of a program.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it says when it runs, or the beginning of it.
    pub label: String,
    pub kind: Kind,
    /// What its callbacks do, in an order that its kind knows.
    pub bodies: Vec<Body>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Say,
    Tick,
    Microtask,
    Immediate {
        var: String,
    },
    /// A timer that fires in a slot of its own.
    Later {
        slot: u32,
        var: String,
    },
    /// An interval that fires in the slots behind this one.
    Every {
        slot: u32,
        times: u32,
    },
    /// Timers of these delays, and a block until all are due.
    HeldUp {
        timers: Vec<(u32, String)>,
    },
    /// `clear`, `refreshOnce`, `unref` or `ref` of what a variable holds.
    Act {
        verb: &'static str,
        var: String,
    },
    Channel {
        number: u32,
        /// Its ends say when they are closed.
        watched: bool,
    },
    /// The bodies answer the messages x, y and z.
    Listen {
        port: String,
        times: u32,
    },
    Send {
        port: String,
        value: &'static str,
    },
    /// `receiveMessageOnPort`.
    Receive {
        port: String,
    },
    Close {
        port: String,
    },
    /// A promise, and what is chained to it: the first body is the executor's.
    Chain {
        start: Start,
        links: Vec<Link>,
    },
    /// An async function: the first body, and one behind each await.
    Async {
        awaits: Vec<Await>,
        end: Outcome,
    },
    /// A promise that `Settle` settles.
    Deferred {
        var: String,
    },
    Settle {
        var: String,
        verb: &'static str,
    },
    Throw,
    BeforeExit {
        times: u32,
    },
    AtExit,
    Exit {
        code: i32,
    },
}

/// A promise to begin with.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Resolved,
    Rejected,
    /// The executor says its label and calls `resolve` or `reject` in this way.
    New(&'static str),
    /// It is resolved in a slot.
    Later(u32),
    /// A `Deferred`.
    Held(String),
    /// `timers/promises`.
    Immediate,
    /// `Promise.all` and the like.
    Several(&'static str, Vec<Start>),
}

/// What is chained to a promise. Each has a body.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Then(Outcome),
    Catch(Outcome),
    Finally,
}

/// How a function of promises ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Nothing,
    Value,
    Throw,
    Promise,
    Rejected,
    Thenable,
}

/// What an async function waits for.
#[derive(Clone, Debug)]
pub(crate) enum Await {
    Promise(Start),
    /// In `try`, with `catch` and `finally`.
    Tried(Start),
    Value,
    Thenable,
    /// `for await` of so many values.
    Each(u32),
}

/// A program: what runs first, and the workers that run one after the other when that is over.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub seed: u64,
    pub main: Body,
    pub workers: Vec<Worker>,
    /// It ends its process, or has no handlers: it cannot share one with others.
    pub alone: Option<Alone>,
    /// The slot in which its ports are closed, if it has any.
    pub closes: Option<u32>,
}

/// Why a program cannot share its process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Alone {
    /// It exits, or says something at its exit.
    Exits,
    /// Nobody hears of what it throws.
    Throws,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub script: Body,
    /// What its parent posts before it runs.
    pub posts: Vec<&'static str>,
    /// In this slot it says that it waits for ever, and is terminated.
    pub waits: Option<u32>,
}

pub(crate) const VALUES: [&str; 3] = ["x", "y", "z"];

// ---- text ----

/// What every file begins with.
const PRELUDE: &str = concat!(include_str!("../common.js"), include_str!("prelude.js"));

/// The text of a file that runs these programs one after the other.
pub(crate) fn file(programs: &[&Program]) -> String {
    let mut text = Text { text: String::from(PRELUDE), depth: 0 };
    for program in programs {
        text.program(program);
    }
    text.line("run();");
    text.text
}

/// The text of a program alone, for people.
pub(crate) fn own_text(program: &Program) -> String {
    let mut text = Text { text: String::new(), depth: 0 };
    text.program(program);
    text.text
}

struct Text {
    text: String,
    depth: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", 2 * self.depth).expect("a string grows");
    }

    fn program(&mut self, program: &Program) {
        self.line("");
        let alone = match program.alone {
            None => "null",
            Some(Alone::Exits) => "'exits'",
            Some(Alone::Throws) => "'throws'",
        };
        let closes = program.closes.unwrap_or(0);
        self.line(&format!("program('{}', {alone}, {closes}, () => {{", program.seed));
        self.body(&program.main);
        self.line("}, [");
        self.depth += 1;
        for worker in &program.workers {
            self.line(&format!("{{ posts: {:?}, script() {{", worker.posts));
            self.body(&worker.script);
            if let Some(slot) = worker.waits {
                self.line(&format!("  later({slot}, waitForEver);"));
            }
            self.line("} },");
        }
        self.depth -= 1;
        self.line("]);");
    }

    fn body(&mut self, body: &[Step]) {
        self.depth += 1;
        body.iter().for_each(|step| self.step(step));
        self.depth -= 1;
    }

    /// `before`, a function that says the label and does the body, and `after`.
    fn call(&mut self, before: &str, label: &str, body: &[Step], after: &str) {
        self.line(&format!("{before}() => {{ say('{label}');"));
        self.body(body);
        self.line(&format!("}}{after};"));
    }

    fn step(&mut self, step: &Step) {
        let Step { label, kind, bodies } = step;
        let body = bodies.first().map_or(&[][..], Vec::as_slice);
        match kind {
            Kind::Say => self.line(&format!("say('{label}');")),
            Kind::Tick => self.call("process.nextTick(", label, body, ")"),
            Kind::Microtask => self.call("queueMicrotask(", label, body, ")"),
            Kind::Immediate { var } => {
                self.call(&format!("v.{var} = setImmediate("), label, body, ")");
            }
            Kind::Later { slot, var } => {
                self.call(&format!("v.{var} = later({slot}, "), label, body, ")");
            }
            Kind::Every { slot, times } => {
                self.call(&format!("every({slot}, {times}, "), label, body, ")");
            }
            Kind::HeldUp { timers } => {
                for (index, ((delay, var), body)) in timers.iter().zip(bodies).enumerate() {
                    let label = format!("{label}.{index}");
                    self.call(&format!("v.{var} = short({delay}, "), &label, body, ")");
                }
                self.line("block(BLOCK);");
            }
            Kind::Act { verb, var } => self.line(&format!("{verb}(v.{var});")),
            Kind::Channel { number, watched } => {
                self.line(&format!("channel({number}, '{label}', {watched});"));
            }
            Kind::Listen { port, times } => {
                self.line(&format!("listen(v.{port}, '{label}', {times}, {{"));
                self.depth += 1;
                for (value, body) in VALUES.iter().zip(bodies) {
                    self.line(&format!("{value}() {{"));
                    self.body(body);
                    self.line("},");
                }
                self.depth -= 1;
                self.line("});");
            }
            Kind::Send { port, value } => self.line(&format!("v.{port}?.postMessage('{value}');")),
            Kind::Receive { port } => self.line(&format!("receive(v.{port}, '{label}');")),
            Kind::Close { port } => self.line(&format!("v.{port}?.close();")),
            Kind::Chain { start, links } => self.chain(label, start, links, bodies),
            Kind::Async { awaits, end } => self.function(label, awaits, *end, bodies),
            Kind::Deferred { var } => self.line(&format!("v.{var} = deferred();")),
            Kind::Settle { var, verb } => {
                self.line(&format!("v.{var}?.{verb}('{label}');"));
            }
            Kind::Throw => self.line(&format!("throw new Error('{label}');")),
            Kind::BeforeExit { times } => {
                self.call(&format!("beforeExit({times}, "), label, body, ")");
            }
            Kind::AtExit => self.call("process.on('exit', ", label, body, ")"),
            Kind::Exit { code } => self.line(&format!("process.exit({code});")),
        }
    }

    fn chain(&mut self, label: &str, start: &Start, links: &[Link], bodies: &[Body]) {
        match start {
            Start::New(how) => {
                self.line(&format!("new Promise((resolve, reject) => {{ say('{label}');"));
                self.body(&bodies[0]);
                self.line(&format!("  {};", how.replace('$', &format!("'{label}'"))));
                self.line("})");
            }
            start => self.line(&expression(label, start)),
        }
        self.depth += 1;
        for (index, (link, body)) in links.iter().zip(&bodies[1..]).enumerate() {
            let label = format!("{label}.{index}");
            let (opens, outcome) = match link {
                Link::Then(outcome) => {
                    (format!(".then((it) => {{ say(`{label}:${{show(it)}}`);"), *outcome)
                }
                Link::Catch(outcome) => {
                    (format!(".catch((it) => {{ say(`{label}!${{show(it)}}`);"), *outcome)
                }
                Link::Finally => (format!(".finally(() => {{ say('{label}');"), Outcome::Nothing),
            };
            self.line(&opens);
            self.body(body);
            self.outcome(&label, outcome);
            self.line("})");
        }
        self.depth -= 1;
        self.line(";");
    }

    fn outcome(&mut self, label: &str, outcome: Outcome) {
        let text = match outcome {
            Outcome::Nothing => return,
            Outcome::Value => format!("return '{label}';"),
            Outcome::Throw => format!("throw new Error('{label}');"),
            Outcome::Promise => format!("return Promise.resolve('{label}');"),
            Outcome::Rejected => format!("return Promise.reject('{label}');"),
            Outcome::Thenable => format!("return thenable('{label}');"),
        };
        self.line(&format!("  {text}"));
    }

    fn function(&mut self, label: &str, awaits: &[Await], end: Outcome, bodies: &[Body]) {
        self.line(&format!("(async () => {{ say('{label}');"));
        self.body(&bodies[0]);
        self.depth += 1;
        for (index, (wait, body)) in awaits.iter().zip(&bodies[1..]).enumerate() {
            let label = format!("{label}.{index}");
            let says = |value: &str| format!("say(`{label}:${{show(await {value})}}`);");
            match wait {
                Await::Promise(start) => self.line(&says(&expression(&label, start))),
                Await::Tried(start) => {
                    self.line(&format!("try {{ {} }}", says(&expression(&label, start))));
                    self.line(&format!("catch (it) {{ say(`{label}!${{show(it)}}`); }}"));
                    self.line(&format!("finally {{ say('{label}.f'); }}"));
                }
                Await::Value => self.line(&says(&format!("'{label}'"))),
                Await::Thenable => self.line(&says(&format!("thenable('{label}')"))),
                Await::Each(count) => {
                    self.line(&format!(
                        "for await (const it of values('{label}', {count})) say(it);"
                    ));
                }
            }
            self.depth -= 1;
            self.body(body);
            self.depth += 1;
        }
        self.depth -= 1;
        self.outcome(label, end);
        self.line("})();");
    }
}

/// A promise, as an expression.
fn expression(label: &str, start: &Start) -> String {
    match start {
        Start::Resolved => format!("Promise.resolve('{label}')"),
        Start::Rejected => format!("Promise.reject('{label}')"),
        Start::New(how) => {
            format!(
                "new Promise((resolve, reject) => {{ {}; }})",
                how.replace('$', &format!("'{label}'"))
            )
        }
        Start::Later(slot) => {
            format!("new Promise((resolve) => later({slot}, resolve, '{label}'))")
        }
        Start::Held(var) => format!("(v.{var} ??= deferred()).promise"),
        Start::Immediate => format!("timersPromises.setImmediate('{label}')"),
        Start::Several(verb, starts) => {
            let each = starts.iter().enumerate();
            let each = each.map(|(at, start)| expression(&format!("{label}.{at}"), start));
            format!("Promise.{verb}([{}])", each.collect::<Vec<_>>().join(", "))
        }
    }
}

// ---- smaller programs ----

/// The smallest program that still `fails`, found by leaving out one part after the other.
pub(crate) fn shrink(program: &Program, mut fails: impl FnMut(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    loop {
        let (mut number, mut shrunk) = (0, false);
        'parts: loop {
            for keeps_inner in [false, true] {
                let mut candidate = smallest.clone();
                if !remove(&mut candidate, number, keeps_inner) {
                    break 'parts;
                }
                if fails(&candidate) {
                    (smallest, shrunk) = (candidate, true);
                    continue 'parts;
                }
            }
            number += 1;
        }
        if !shrunk {
            return smallest;
        }
    }
}

/// Takes out the part with this number: a worker, or a step of any body. False if there are not so many.
fn remove(program: &mut Program, number: usize, keeps_inner: bool) -> bool {
    if number < program.workers.len() {
        program.workers.remove(number);
        return true;
    }
    let mut left = number - program.workers.len();
    let scripts = program.workers.iter_mut().map(|worker| &mut worker.script);
    [&mut program.main].into_iter().chain(scripts).any(|body| take(body, &mut left, keeps_inner))
}

/// Takes the step with this number out of a body and those in it; what is in it takes its place or goes with it.
fn take(body: &mut Body, left: &mut usize, keeps_inner: bool) -> bool {
    for index in 0..body.len() {
        if *left == 0 {
            let removed = body.remove(index);
            if keeps_inner {
                body.splice(index..index, removed.bodies.into_iter().flatten());
            }
            return true;
        }
        *left -= 1;
        if body[index].bodies.iter_mut().any(|inner| take(inner, left, keeps_inner)) {
            return true;
        }
    }
    false
}
