//! A program in JavaScript, to be run on Node.
//!
//! `examples/study/javascript.rs` translates the same programs, and is no second way to do this: what
//! it writes is there to be read. It has a file for each worker, and only lines that somebody would
//! write. Here it is one file, for thousands are run in a row, and behind `common.js`, which keeps a
//! program off faults of Node's own: what differs then is ours.

use std::fmt::Write;

use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// What every program begins with.
const PRELUDE: &str = concat!(include_str!("common.js"), include_str!("prelude.js"));

/// The text of a program: a script that is its own workers' script too.
pub(crate) fn translate(program: &Scenario) -> String {
    let mut script = Script { text: String::from(PRELUDE), depth: 0, workers: Vec::new() };
    script.line("if (isMainThread) {");
    script.body(&program.main);
    script.line("}");
    let mut next = 0;
    while next < script.workers.len() {
        let body = script.workers[next].clone();
        script.line(&format!("if (workerData === {next}) {{"));
        script.body(&body);
        script.line("}");
        next += 1;
    }
    script.text
}

struct Script {
    text: String,
    depth: usize,
    /// The programs of the workers, by number.
    workers: Vec<Body>,
}

impl Script {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", 2 * self.depth).expect("a string grows");
    }

    fn body(&mut self, body: &Body) {
        self.depth += 1;
        body.iter().for_each(|op| self.op(op));
        self.depth -= 1;
    }

    /// `before` and a function that says the label and does the body, and `after`.
    fn call(&mut self, before: &str, id: &str, body: &Body, after: &str) {
        self.line(&format!("{before}() => {{"));
        self.depth += 1;
        self.line(&format!("say('{id}');"));
        self.depth -= 1;
        self.body(body);
        self.line(&format!("}}{after};"));
    }

    fn answers(&mut self, before: &str, answers: &Answers, after: &str) {
        self.line(&format!("{before}{{"));
        self.depth += 1;
        for (value, body) in answers {
            self.function(value, body);
        }
        self.depth -= 1;
        self.line(&format!("}}{after}"));
    }

    fn function(&mut self, name: &str, body: &Body) {
        self.line(&format!("'{name}': () => {{"));
        self.body(body);
        self.line("},");
    }

    fn op(&mut self, op: &Op) {
        let stored = |var: &Option<String>| match var {
            Some(name) => format!("v.{name} = "),
            None => String::new(),
        };
        match op {
            Op::Log { id } => self.line(&format!("say('{id}');")),
            Op::Tick { id, body } => self.call("process.nextTick(", id, body, ")"),
            Op::Micro { id, body } => self.call("queueMicrotask(", id, body, ")"),
            Op::Immediate { id, var, body } => {
                self.call(&format!("{}setImmediate(", stored(var)), id, body, ")");
            }
            Op::Timeout { id, ms, var, body } => {
                let after = format!(", {ms})");
                self.call(&format!("{}setTimeout(", stored(var)), id, body, &after);
            }
            Op::Interval { id, ms, times, var, body } => {
                let before = format!("{}interval({ms}, {times}, ", stored(var));
                self.call(&before, id, body, ")");
            }
            Op::Clear { var } => self.line(&format!("clear(v.{var});")),
            Op::Refresh { var } => self.line(&format!("refresh(v.{var});")),
            Op::Unref { var } => self.line(&format!("v.{var}?.unref();")),
            Op::Ref { var } => self.line(&format!("v.{var}?.ref();")),
            Op::Stat { id, body } => self.call("fs.stat('/', ", id, body, ")"),
            Op::Block { ms } => self.line(&format!("block({ms});")),
            Op::Throw { id } => self.line(&format!("throw new Error('{id}');")),
            Op::BeforeExit { id, times, body } => {
                self.call(&format!("beforeExit({times}, "), id, body, ")");
            }
            Op::AtExit { id, body } => self.call("process.on('exit', ", id, body, ")"),
            Op::Exit { code } => self.line(&format!("process.exit({code});")),
            Op::Channel { a, b } => {
                self.line(&format!("({{ port1: v.{a}, port2: v.{b} }} = new MessageChannel());"));
            }
            Op::Listen { port, id, times, on } => {
                self.answers(&format!("listen(v.{port}, '{id}', {times}, "), on, ");");
            }
            Op::Receive { id, times, on } => {
                self.answers(&format!("listen(parentPort, '{id}', {times}, "), on, ");");
            }
            Op::Send { port, value } => self.line(&format!("v.{port}?.postMessage('{value}');")),
            Op::Post { to, value } => self.line(&format!("v.{to}?.postMessage('{value}');")),
            Op::Close { port } => self.line(&format!("v.{port}?.close();")),
            Op::OnClose { port, id, body } => {
                self.call(&format!("v.{port}?.once('close', "), id, body, ")");
            }
            Op::Terminate { var } => self.line(&format!("v.{var}?.terminate();")),
            Op::Worker(op) => self.worker(op),
        }
    }

    fn worker(&mut self, op: &WorkerOp) {
        let number = self.workers.len();
        self.workers.push(op.program.clone());
        let name = op.var.as_deref().unwrap_or("unnamed");
        self.line(&format!("v.{name} = worker('{}', {number}, {}, {{", op.id, op.online));
        self.depth += 1;
        self.function("online", &op.on_online);
        self.function("error", &op.on_error);
        self.function("exit", &op.on_exit);
        self.answers("'message': ", &op.on_message, ",");
        self.depth -= 1;
        self.line("});");
    }
}
