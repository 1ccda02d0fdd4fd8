//! A scenario as the JavaScript that somebody would write: a file for the program, and one for each
//! worker.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::asked::MAIN;
use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// The files, by their names.
pub(crate) fn translate(program: &Scenario) -> BTreeMap<String, String> {
    let mut all = All { files: BTreeMap::new(), workers: 0 };
    all.file(MAIN.to_owned(), &program.main, false);
    all.files
}

/// All files of a program.
struct All {
    files: BTreeMap<String, String>,
    workers: usize,
}

impl All {
    fn file(&mut self, name: String, body: &Body, is_worker: bool) {
        let mut used = Used::default();
        used.look(body);
        let mut script = Script {
            text: String::new(),
            depth: 0,
            is_worker,
            stored: BTreeSet::new(),
            used,
            all: self,
        };
        script.beginning();
        body.iter().for_each(|op| script.op(op));
        let text = script.text;
        self.files.insert(name, text);
    }
}

/// What a file needs at its beginning.
#[derive(Default)]
struct Used {
    variables: BTreeSet<String>,
    /// The variables that hold immediates, and those that hold timers.
    immediates: BTreeSet<String>,
    timers: BTreeSet<String>,
    /// The ports that are listened to, and those more than once: the last listener counts.
    listened: BTreeSet<String>,
    listened_again: BTreeSet<String>,
    stat: bool,
    block: bool,
    throw: bool,
    worker: bool,
    channel: bool,
}

impl Used {
    fn look(&mut self, body: &Body) {
        for op in body {
            match op {
                Op::Immediate { var: Some(var), .. } => {
                    self.variables.insert(var.clone());
                    self.immediates.insert(var.clone());
                }
                Op::Timeout { var: Some(var), .. } | Op::Interval { var: Some(var), .. } => {
                    self.variables.insert(var.clone());
                    self.timers.insert(var.clone());
                }
                Op::Listen { port, .. } => self.listen(port),
                Op::Receive { .. } => self.listen(PARENT),
                Op::Clear { var } | Op::Refresh { var } | Op::Unref { var } | Op::Ref { var } => {
                    self.variables.insert(var.clone());
                }
                Op::Channel { a, b } => {
                    self.channel = true;
                    self.variables.extend([a.clone(), b.clone()]);
                }
                Op::Worker(op) => {
                    self.worker = true;
                    self.variables.extend(op.var.clone());
                }
                Op::Stat { .. } => self.stat = true,
                Op::Block { .. } => self.block = true,
                Op::Throw { .. } => self.throw = true,
                _ => {}
            }
            parts(op).into_iter().for_each(|body| self.look(body));
        }
    }

    fn listen(&mut self, port: &str) {
        if !self.listened.insert(port.to_owned()) {
            self.listened_again.insert(port.to_owned());
        }
    }

    /// The variable may hold a timer or an immediate.
    fn holds_both(&self, var: &str) -> bool {
        self.immediates.contains(var) && self.timers.contains(var)
    }
}

/// The bodies of an operation that belong to the same thread.
pub(crate) fn parts(op: &Op) -> Vec<&Body> {
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
        Op::Listen { on, .. } | Op::Receive { on, .. } => on.values().collect(),
        Op::Worker(op) => {
            let events = [&op.on_online, &op.on_error, &op.on_exit];
            events.into_iter().chain(op.on_message.values()).collect()
        }
        _ => Vec::new(),
    }
}

/// One file under way.
struct Script<'a> {
    text: String,
    depth: usize,
    is_worker: bool,
    /// The variables that surely hold something: stored by the script itself, not in a callback.
    stored: BTreeSet<String>,
    used: Used,
    all: &'a mut All,
}

/// What a worker's program calls its parent's port.
const PARENT: &str = "parentPort";

/// A string as JavaScript has it.
fn quoted(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || "'\\".contains(c)) {
        serde_json::Value::from(text).to_string()
    } else {
        format!("'{text}'")
    }
}

/// The part of a template: what stands in it as it is.
fn template(text: &str) -> String {
    let escaped = |c: char| if "`\\$".contains(c) { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The name of a variable.
fn name(var: &str) -> String {
    let plain: String =
        var.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let is_free = plain.starts_with(|c: char| c.is_ascii_alphabetic())
        && ![
            "fs", "block", "clear", "process", "left", "own", "value", "label", "error", "code",
            "do", "if", "in",
        ]
        .contains(&plain.as_str());
    if is_free { plain } else { format!("_{plain}") }
}

impl Script<'_> {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", 2 * self.depth).expect("a string grows");
    }

    fn beginning(&mut self) {
        let used = std::mem::take(&mut self.used);
        if used.stat {
            self.line("const fs = require('fs');");
        }
        let mut threads = Vec::new();
        threads.extend(used.worker.then_some("Worker"));
        threads.extend(used.channel.then_some("MessageChannel"));
        threads.extend(self.is_worker.then_some("parentPort"));
        if !threads.is_empty() {
            self.line(&format!("const {{ {} }} = require('worker_threads');", threads.join(", ")));
        }
        if !used.variables.is_empty() {
            let names: Vec<_> = used.variables.iter().map(|var| name(var)).collect();
            self.line(&format!("let {};", names.join(", ")));
        }
        if used.throw && !self.is_worker {
            self.line(
                "process.on('uncaughtException', (error) => console.log(`!${error.message}`));",
            );
        }
        if used.block {
            self.line("// Keeps the thread busy.");
            self.line("function block(ms) {");
            self.line("  const end = performance.now() + ms;");
            self.line("  while (performance.now() < end);");
            self.line("}");
        }
        if used.variables.iter().any(|var| used.holds_both(var)) {
            self.line("function clear(handle) {");
            self.line("  if (handle?.constructor.name === 'Immediate') clearImmediate(handle);");
            self.line("  else clearTimeout(handle);");
            self.line("}");
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.used = used;
    }

    /// What says something: the main program by printing, a worker by telling its parent.
    fn say(&mut self, text: &str) {
        let line = if self.is_worker {
            format!("parentPort.postMessage({text});")
        } else {
            format!("console.log({text});")
        };
        self.line(&line);
    }

    /// One step deeper.
    fn deeper(&mut self, f: impl FnOnce(&mut Self)) {
        self.depth += 1;
        f(self);
        self.depth -= 1;
    }

    fn body(&mut self, body: &Body) {
        // What a callback stores may not be there yet when another one looks.
        let before = self.stored.clone();
        self.deeper(|script| body.iter().for_each(|op| script.op(op)));
        self.stored = before;
    }

    /// `before` and a function that says the label and does the body, and `after`.
    fn call(&mut self, before: &str, id: &str, body: &Body, after: &str) {
        self.line(&format!("{before}() => {{"));
        self.deeper(|script| script.say(&quoted(id)));
        self.body(body);
        self.line(&format!("}}{after};"));
    }

    fn answers(&mut self, what: &str, answers: &Answers) {
        for (value, body) in answers.iter().filter(|(_, body)| !body.is_empty()) {
            self.line(&format!("if ({what} === {}) {{", quoted(value)));
            self.body(body);
            self.line("}");
        }
    }

    fn store(&mut self, var: &Option<String>) -> String {
        match var {
            Some(var) => {
                self.stored.insert(var.clone());
                format!("{} = ", name(var))
            }
            None => String::new(),
        }
    }

    /// A variable, and how its members are asked for.
    fn dot(&self, var: &str) -> String {
        let dot = if self.stored.contains(var) { "." } else { "?." };
        format!("{}{dot}", name(var))
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Log { id } => self.say(&quoted(id)),
            Op::Tick { id, body } => self.call("process.nextTick(", id, body, ")"),
            Op::Micro { id, body } => self.call("queueMicrotask(", id, body, ")"),
            Op::Immediate { id, var, body } => {
                let before = format!("{}setImmediate(", self.store(var));
                self.call(&before, id, body, ")");
            }
            Op::Timeout { id, ms, var, body } => {
                let before = format!("{}setTimeout(", self.store(var));
                self.call(&before, id, body, &format!(", {ms})"));
            }
            Op::Interval { id, ms, times, var, body } => self.interval(id, *ms, *times, var, body),
            Op::Clear { var } => self.clear(var),
            // An immediate cannot be refreshed.
            Op::Refresh { var } if self.used.immediates.contains(var) => {
                self.line(&format!("{}?.refresh?.();", name(var)));
            }
            Op::Refresh { var } => self.line(&format!("{}refresh();", self.dot(var))),
            Op::Unref { var } => self.line(&format!("{}unref();", self.dot(var))),
            Op::Ref { var } => self.line(&format!("{}ref();", self.dot(var))),
            Op::Stat { id, body } => self.call("fs.stat('/', ", id, body, ")"),
            Op::Block { ms } => self.line(&format!("block({ms});")),
            Op::Throw { id } => self.line(&format!("throw new Error({});", quoted(id))),
            Op::BeforeExit { id, times, body } => self.before_exit(id, *times, body),
            Op::AtExit { id, body } => self.call("process.on('exit', ", id, body, ")"),
            Op::Exit { code } => self.line(&format!("process.exit({code});")),
            Op::Channel { a, b } => {
                let (one, other) = (name(a), name(b));
                self.stored.extend([a.clone(), b.clone()]);
                let ports = format!("port1: {one}, port2: {other}");
                self.line(&format!("({{ {ports} }} = new MessageChannel());"));
            }
            Op::Listen { port, id, times, on } => {
                let dot = self.dot(port);
                self.only(port, &dot);
                self.listen(&name(port), &dot, id, *times, on);
            }
            Op::Receive { id, times, on } => {
                let dot = format!("{PARENT}.");
                self.only(PARENT, &dot);
                self.listen(PARENT, &dot, id, *times, on);
            }
            Op::Send { port: to, value } | Op::Post { to, value } => {
                self.line(&format!("{}postMessage({});", self.dot(to), quoted(value)));
            }
            Op::Close { port } => self.line(&format!("{}close();", self.dot(port))),
            Op::OnClose { port, id, body } => {
                self.call(&format!("{}once('close', ", self.dot(port)), id, body, ")");
            }
            Op::Terminate { var } => self.line(&format!("{}terminate();", self.dot(var))),
            Op::Worker(op) => self.worker(op),
        }
    }

    fn clear(&mut self, var: &str) {
        let clear = match self.used.immediates.contains(var) {
            true if self.used.holds_both(var) => "clear",
            true => "clearImmediate",
            false => "clearTimeout",
        };
        self.line(&format!("{clear}({});", name(var)));
    }

    /// It is cleared at its last firing, after its label and before its body.
    fn interval(&mut self, id: &str, ms: u64, times: u32, var: &Option<String>, body: &Body) {
        let stores = self.store(var);
        self.line("{");
        self.deeper(|script| {
            if times > 1 {
                script.line(&format!("let left = {times};"));
            }
            script.line("const own = setInterval(() => {");
            script.deeper(|script| {
                if times > 1 {
                    script.line("left -= 1;");
                    script.line("if (left === 0) clearInterval(own);");
                } else {
                    script.line("clearInterval(own);");
                }
                script.say(&quoted(id));
            });
            script.body(body);
            script.line(&format!("}}, {ms});"));
            if !stores.is_empty() {
                script.line(&format!("{stores}own;"));
            }
        });
        self.line("}");
    }

    fn before_exit(&mut self, id: &str, times: u32, body: &Body) {
        if times == 1 {
            return self.call("process.once('beforeExit', ", id, body, ")");
        }
        self.line("{");
        self.deeper(|script| {
            script.line(&format!("let left = {times};"));
            script.line("process.on('beforeExit', () => {");
            script.deeper(|script| {
                script.line("if (left === 0) return;");
                script.line("left -= 1;");
                script.say(&quoted(id));
            });
            script.body(body);
            script.line("});");
        });
        self.line("}");
    }

    /// The listener that follows takes the place of whoever listens.
    fn only(&mut self, port: &str, dot: &str) {
        if self.used.listened_again.contains(port) {
            self.line(&format!("{dot}removeAllListeners('message');"));
        }
    }

    /// A listener that has had its last message takes itself away.
    fn listen(&mut self, port: &str, dot: &str, id: &str, times: u32, answers: &Answers) {
        let says = format!("`{}:${{value}}`", template(id));
        if times == 1 {
            self.line(&format!("{dot}once('message', (value) => {{"));
            self.deeper(|script| {
                script.say(&says);
                script.answers("value", answers);
            });
            return self.line("});");
        }
        self.line("{");
        self.deeper(|script| {
            script.line(&format!("let left = {times};"));
            script.line(&format!("{dot}on('message', function hear(value) {{"));
            script.deeper(|script| {
                script.line("left -= 1;");
                script.line(&format!("if (left === 0) {port}.off('message', hear);"));
                script.say(&says);
                script.answers("value", answers);
            });
            script.line("});");
        });
        self.line("}");
    }

    fn worker(&mut self, op: &WorkerOp) {
        self.all.workers += 1;
        let plain = name(&op.id);
        let mut file = format!("{plain}.js");
        if self.all.files.contains_key(&file) || file == MAIN {
            file = format!("{plain}_{}.js", self.all.workers);
        }
        // It keeps its name while its own workers are written.
        self.all.files.insert(file.clone(), String::new());
        self.all.file(file.clone(), &op.program, true);
        let has_var = op.var.is_some();
        let variable = op.var.as_ref().map_or_else(|| "own".to_owned(), |var| name(var));
        if has_var {
            let stores = self.store(&op.var);
            self.line(&format!("{stores}new Worker(`${{__dirname}}/{file}`);"));
            self.events(op, &variable);
        } else {
            self.line("{");
            self.deeper(|script| {
                script.line(&format!("const own = new Worker(`${{__dirname}}/{file}`);"));
                script.events(op, &variable);
            });
            self.line("}");
        }
    }

    fn events(&mut self, op: &WorkerOp, worker: &str) {
        let id = template(&op.id);
        if op.online {
            let label = format!("{}:online", op.id);
            self.call(&format!("{worker}.on('online', "), &label, &op.on_online, ")");
        }
        self.line(&format!("{worker}.on('message', (label) => {{"));
        self.deeper(|script| {
            script.say(&format!("`{id}:${{label}}`"));
            script.answers("label", &op.on_message);
        });
        self.line("});");
        let mut used = Used::default();
        used.look(&op.program);
        if used.throw || !op.on_error.is_empty() {
            self.line(&format!("{worker}.on('error', (error) => {{"));
            self.deeper(|script| script.say(&format!("`{id}:error(${{error.message}})`")));
            self.body(&op.on_error);
            self.line("});");
        }
        self.line(&format!("{worker}.on('exit', (code) => {{"));
        self.deeper(|script| script.say(&format!("`{id}:exit(${{code}})`")));
        self.body(&op.on_exit);
        self.line("});");
    }
}
