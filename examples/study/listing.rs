//! A scenario as text: an operation a line, what it calls back indented beneath it.

use std::fmt::Write;

use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// The text, and where things stand in it.
pub(crate) struct Listing {
    pub(crate) text: String,
    /// The line of each label and each port, counted from 1. A name that stands there twice has two.
    pub(crate) lines: Vec<(String, usize)>,
}

pub(crate) fn of(program: &Scenario) -> Listing {
    let mut writer = Writer { text: String::new(), line: 0, depth: 0, lines: Vec::new() };
    program.main.iter().for_each(|op| writer.op(op));
    Listing { text: writer.text, lines: writer.lines }
}

struct Writer {
    text: String,
    line: usize,
    depth: usize,
    lines: Vec<(String, usize)>,
}

impl Writer {
    fn line(&mut self, text: &str) {
        self.line += 1;
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{text}", "", 2 * self.depth).expect("a string grows");
    }

    fn labelled(&mut self, id: &str, text: &str) {
        self.line(text);
        self.lines.push((id.to_owned(), self.line));
    }

    fn body(&mut self, body: &Body) {
        self.depth += 1;
        body.iter().for_each(|op| self.op(op));
        self.depth -= 1;
    }

    fn part(&mut self, name: &str, body: &Body) {
        if !body.is_empty() {
            self.line(name);
            self.body(body);
        }
    }

    fn answers(&mut self, answers: &Answers) {
        self.depth += 1;
        for (value, body) in answers {
            self.part(&format!("on {value}"), body);
        }
        self.depth -= 1;
    }

    fn op(&mut self, op: &Op) {
        let kept = |var: &Option<String>| {
            var.as_ref().map_or(String::new(), |name| format!(", kept in {name}"))
        };
        match op {
            Op::Log { id } => self.labelled(id, &format!("say {id}")),
            Op::Tick { id, body } => self.callback(id, &format!("tick {id}"), body),
            Op::Micro { id, body } => self.callback(id, &format!("microtask {id}"), body),
            Op::Immediate { id, var, body } => {
                self.callback(id, &format!("immediate {id}{}", kept(var)), body);
            }
            Op::Timeout { id, ms, var, body } => {
                self.callback(id, &format!("timeout {id} of {ms} ms{}", kept(var)), body);
            }
            Op::Interval { id, ms, times, var, body } => {
                let text = format!("interval {id} of {ms} ms, {times} times{}", kept(var));
                self.callback(id, &text, body);
            }
            Op::Stat { id, body } => self.callback(id, &format!("file request {id}"), body),
            Op::Block { ms } => self.line(&format!("block for {ms} ms")),
            Op::Throw { id } => self.labelled(&format!("!{id}"), &format!("throw {id}")),
            Op::BeforeExit { id, times, body } => {
                self.callback(id, &format!("before exit {id}, {times} times"), body);
            }
            Op::AtExit { id, body } => self.callback(id, &format!("at exit {id}"), body),
            Op::Exit { code } => self.line(&format!("exit with {code}")),
            Op::Clear { var } => self.line(&format!("clear {var}")),
            Op::Refresh { var } => self.line(&format!("refresh {var}")),
            Op::Unref { var } => self.line(&format!("unref {var}")),
            Op::Ref { var } => self.line(&format!("ref {var}")),
            Op::Channel { a, b } => {
                self.labelled(a, &format!("channel with ports {a} and {b}"));
                self.lines.push((b.clone(), self.line));
            }
            Op::Listen { port, id, times, on } => {
                self.labelled(id, &format!("listen {id} on {port}, {times} times"));
                self.answers(on);
            }
            Op::Receive { id, times, on } => {
                self.labelled(id, &format!("receive {id} from the parent, {times} times"));
                self.answers(on);
            }
            Op::Send { port, value } => self.line(&format!("send {value} by {port}")),
            Op::Post { to, value } => self.line(&format!("post {value} to {to}")),
            Op::Close { port } => self.line(&format!("close {port}")),
            Op::OnClose { port, id, body } => {
                self.callback(id, &format!("on close {id} of {port}"), body);
            }
            Op::Terminate { var } => self.line(&format!("terminate {var}")),
            Op::Worker(op) => self.worker(op, &kept(&op.var)),
        }
    }

    fn callback(&mut self, id: &str, text: &str, body: &Body) {
        self.labelled(id, text);
        self.body(body);
    }

    fn worker(&mut self, op: &WorkerOp, kept: &str) {
        let online = if op.online { ", tells when it is online" } else { "" };
        self.labelled(&op.id, &format!("worker {}{kept}{online}", op.id));
        self.body(&op.program);
        self.part("when it is online", &op.on_online);
        for (label, body) in &op.on_message {
            self.part(&format!("on its {label}"), body);
        }
        self.part("when it fails", &op.on_error);
        self.part("when it has ended", &op.on_exit);
    }
}
