//! A scenario as a test in Rust: the same callbacks by the same calls of the crate, and the trace that is
//! to come.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::javascript::parts;
use super::model::Unfinished;
use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// What a test may call, by the words with which it does.
const HELPERS: [(&str, &str); 4] = [
    ("ms(", "fn ms(count: u64) -> Duration {\n    Duration::from_millis(count)\n}\n"),
    (
        "thrown(",
        "fn thrown(error: WorkerError) -> String {
    match error {
        WorkerError::Panicked(message) => message,
        other => other.to_string(),
    }
}\n",
    ),
    (
        "keep(",
        "/// Keeps what others ask for by its name, on this thread.
fn keep(name: &'static str, it: Kept) {
    KEPT.with_borrow_mut(|all| all.push((name, it)));
}\n",
    ),
    (
        "kept(",
        "/// What was kept last under a name.
fn kept(name: &str) -> Option<Kept> {
    KEPT.with_borrow(|all| Some(all.iter().rfind(|(own, _)| *own == name)?.1.clone()))
}\n",
    ),
];

/// How something is said. A worker tells its parent, which says it.
const SAY: &str = "fn say(line: &str) {
    SAID.with_borrow_mut(|said| said.push(line.to_owned()));
}\n";
const SAY_WITH_WORKERS: &str = "fn say(line: &str) {
    match PARENT.with_borrow(Clone::clone) {
        Some(parent) => parent.post(line.to_owned()),
        None => SAID.with_borrow_mut(|said| said.push(line.to_owned())),
    }
}\n";

/// What can be kept under a name.
const KINDS: [(&str, &str); 4] = [
    ("Timer", "Timer"),
    ("Immediate", "Immediate"),
    ("Port", "Port<String, String>"),
    ("Worker", "Worker<String, String>"),
];

/// The text of the test. What it expects is the trace in virtual time, as the model has it.
pub(crate) fn of(program: &Scenario) -> String {
    let mut writer =
        Writer { text: String::new(), depth: 0, in_worker: false, names: BTreeSet::new() };
    writer.look(&program.main);
    writer.test(program);
    format!("{}{}", beginning(&writer.text), writer.text)
}

/// What has to stand before a test: of each thing only what is used.
fn beginning(test: &str) -> String {
    let has = |word: &str| test.contains(word);
    let helpers: Vec<_> =
        HELPERS.iter().filter(|(word, _)| has(word)).map(|(_, text)| *text).collect();
    let kinds: Vec<_> = KINDS.iter().filter(|(name, _)| has(&format!("Kept::{name}("))).collect();
    let has_workers = has("Worker::spawn");
    let threads = [
        ("Port", has_workers || has("channel::<")),
        ("Worker", has_workers),
        ("WorkerError", has("thrown(")),
        ("channel", has("channel::<")),
    ];
    let threads: Vec<_> = threads.iter().filter(|(_, is_used)| *is_used).map(|it| it.0).collect();

    let mut text = "use std::cell::RefCell;\n".to_owned();
    if has("catch_unwind") {
        text += "use std::panic::catch_unwind;\n";
    }
    if has("ms(") {
        text += "use std::time::Duration;\n";
    }
    text += "\n";
    match &*threads {
        [] => {}
        [one] => text += &format!("use windlass::worker::{one};\n"),
        several => text += &format!("use windlass::worker::{{{}}};\n", several.join(", ")),
    }
    text += "use windlass::*;\n";
    if !kinds.is_empty() {
        let variants: String =
            kinds.iter().map(|(name, of)| format!("    {name}({of}),\n")).collect();
        text += "\n#[allow(dead_code)] // Some things are only kept.\n";
        text += &format!("#[derive(Clone)]\nenum Kept {{\n{variants}}}\n");
    }
    text += "\nthread_local! {\n    static SAID: RefCell<Vec<String>> = RefCell::default();\n";
    if !kinds.is_empty() {
        text += "    static KEPT: RefCell<Vec<(&'static str, Kept)>> = RefCell::default();\n";
    }
    if has_workers {
        text += "    /// Of a worker.\n";
        text += "    static PARENT: RefCell<Option<Port<String, String>>> = RefCell::default();\n";
    }
    text += "}\n\n";
    text += if has_workers { SAY_WITH_WORKERS } else { SAY };
    for helper in helpers {
        text += "\n";
        text += helper;
    }
    text + "\n"
}

/// The name of a program as one of a function, which nothing else has.
fn function(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let words: Vec<_> = name.split('_').filter(|word| !word.is_empty()).collect();
    format!("order_of_{}", words.join("_"))
}

/// What a format takes as it is.
fn plain(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

struct Writer {
    text: String,
    depth: usize,
    /// What is written is the program of a worker.
    in_worker: bool,
    /// What is kept anywhere in the program: a kind and a name.
    names: BTreeSet<(&'static str, String)>,
}

impl Writer {
    /// Learns what is kept.
    fn look(&mut self, body: &Body) {
        for op in body {
            let mut add = |kind, name: &String| {
                self.names.insert((kind, name.clone()));
            };
            match op {
                Op::Timeout { var: Some(var), .. } | Op::Interval { var: Some(var), .. } => {
                    add("Timer", var);
                }
                Op::Immediate { var: Some(var), .. } => add("Immediate", var),
                Op::Channel { a, b } => [a, b].into_iter().for_each(|name| add("Port", name)),
                Op::Worker(op) => {
                    op.var.iter().for_each(|var| add("Worker", var));
                    self.look(&op.program);
                }
                _ => {}
            }
            parts(op).into_iter().for_each(|body| self.look(body));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", 4 * self.depth).expect("a string grows");
    }

    fn lines(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.line(line));
    }

    /// One step deeper.
    fn deeper(&mut self, f: impl FnOnce(&mut Self)) {
        self.depth += 1;
        f(self);
        self.depth -= 1;
    }

    fn test(&mut self, program: &Scenario) {
        let trace = super::model::run(program, None);
        self.line("#[test]");
        match trace {
            Ok(_) => {}
            Err(Unfinished::Stuck) => self.line("#[should_panic] // It waits for ever."),
            Err(Unfinished::Endless) => self.line("#[ignore = \"it goes on and on\"]"),
        }
        self.line(&format!("fn {}() {{", function(&program.name)));
        self.deeper(|test| {
            test.line("let builder = Loop::builder().virtual_time(true);");
            if let Some(threads) = program.pool {
                test.line(&format!("let builder = builder.pool(Pool::new({threads}).unwrap());"));
            }
            test.line("let event_loop = builder.build().unwrap();");
            test.line("event_loop.run(|| {");
            test.deeper(|test| test.main(&program.main));
            test.line("});");
            test.expected(&trace.unwrap_or_default());
        });
        self.line("}");
    }

    fn main(&mut self, main: &Body) {
        if throws(main) {
            self.line("on_uncaught(|uncaught| say(&format!(\"!{}\", uncaught.message())));");
        }
        let thrown = main.iter().find_map(|op| match op {
            Op::Throw { id } => Some(id),
            _ => None,
        });
        let Some(id) = thrown else { return self.operations(main) };
        self.line("let main = catch_unwind(|| {");
        self.body(main);
        self.lines(&["});", "if main.is_err() {"]);
        self.deeper(|test| test.say(&format!("!{id}")));
        self.line("}");
    }

    fn expected(&mut self, trace: &[String]) {
        let short = format!("let expected: &[&str] = &{trace:?};");
        if short.len() < 96 {
            self.line(&short);
        } else {
            self.line("let expected: &[&str] = &[");
            self.deeper(|test| trace.iter().for_each(|label| test.line(&format!("{label:?},"))));
            self.line("];");
        }
        self.line("assert_eq!(SAID.take(), expected);");
    }

    fn say(&mut self, text: &str) {
        self.line(&format!("say({text:?});"));
    }

    /// What stands behind an exit or a throw is never done.
    fn operations(&mut self, body: &Body) {
        let ends = |op: &Op| matches!(op, Op::Throw { .. } | Op::Exit { .. });
        let count = body.iter().position(ends).map_or(body.len(), |at| at + 1);
        body[..count].iter().for_each(|op| self.op(op));
    }

    fn body(&mut self, body: &Body) {
        self.deeper(|test| test.operations(body));
    }

    /// A callback that says its label and does its body, between `before` and `after`.
    fn call(&mut self, before: &str, id: &str, body: &Body, after: &str) {
        self.line(before);
        self.deeper(|test| test.say(id));
        self.body(body);
        self.line(after);
    }

    /// The same, and what the call returns is kept under a name, if it has one.
    fn kept(&mut self, kind: &str, var: &Option<String>, call: &str, id: &str, body: &Body) {
        match var {
            None => self.call(call, id, body, "});"),
            Some(var) => {
                self.call(&format!("let own = {call}"), id, body, "});");
                self.line(&format!("keep({var:?}, Kept::{kind}(own));"));
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Log { id } => self.say(id),
            Op::Tick { id, body } => self.call("next_tick(|| {", id, body, "});"),
            Op::Micro { id, body } => self.call("queue_microtask(|| {", id, body, "});"),
            Op::Immediate { id, var, body } => {
                self.kept("Immediate", var, "set_immediate(|| {", id, body);
            }
            Op::Timeout { id, ms, var, body } => {
                self.kept("Timer", var, &format!("set_timer(ms({ms}), |_| {{"), id, body);
            }
            Op::Interval { id, ms, times, var, body } => self.interval(id, *ms, *times, var, body),
            Op::Stat { id, body } => {
                self.call("fs::metadata(\"/\").on_complete(|_| {", id, body, "});");
            }
            Op::Block { ms } => self.line(&format!("time::advance(ms({ms}));")),
            Op::Throw { id } => self.line(&format!("panic!({:?});", plain(id))),
            Op::BeforeExit { id, times, body } => self.before_exit(id, *times, body),
            Op::AtExit { id, body } => self.call("on_exit(|_| {", id, body, "});"),
            Op::Exit { code } => self.line(&format!("exit({code});")),
            Op::Clear { var } => self.with(&["Timer", "Immediate"], var, "it.clear();"),
            Op::Refresh { var } => self.with(&["Timer"], var, "it.refresh();"),
            Op::Unref { var } => self.with(&["Timer", "Immediate"], var, "it.set_ref(false);"),
            Op::Ref { var } => self.with(&["Timer", "Immediate"], var, "it.set_ref(true);"),
            Op::Channel { a, b } => {
                self.line("let (one, other) = channel::<String, String>();");
                self.line(&format!("keep({a:?}, Kept::Port(one.open()));"));
                self.line(&format!("keep({b:?}, Kept::Port(other.open()));"));
            }
            Op::Listen { port, id, times, on } => self.with_kept("Port", port, |test| {
                test.listen(id, *times, on);
            }),
            // Only a worker's program has somebody to receive from.
            Op::Receive { .. } if !self.in_worker => {}
            Op::Receive { id, times, on } => {
                self.line("if let Some(it) = PARENT.with_borrow(Clone::clone) {");
                self.deeper(|test| test.listen(id, *times, on));
                self.line("}");
            }
            Op::Send { port, value } => {
                self.with(&["Port"], port, &format!("it.post({value:?}.to_owned());"));
            }
            Op::Post { to, value } => {
                self.with(&["Worker"], to, &format!("it.post({value:?}.to_owned());"));
            }
            Op::Close { port } => self.with(&["Port"], port, "it.close();"),
            Op::OnClose { port, id, body } => self.with_kept("Port", port, |test| {
                test.call("it.on_close(|| {", id, body, "});");
            }),
            Op::Terminate { var } => self.with(&["Worker"], var, "drop(it.terminate());"),
            Op::Worker(op) => self.worker(op),
        }
    }

    /// Does something with `it`, which is kept under a name if it is there already.
    fn with_kept(&mut self, kind: &'static str, name: &str, act: impl FnOnce(&mut Self)) {
        if self.names.contains(&(kind, name.to_owned())) {
            self.line(&format!("if let Some(Kept::{kind}(it)) = kept({name:?}) {{"));
            self.deeper(act);
            self.line("}");
        }
    }

    /// The same in a line, whichever of these kinds it is.
    fn with(&mut self, kinds: &[&'static str], name: &str, line: &str) {
        kinds.iter().for_each(|kind| self.with_kept(kind, name, |test| test.line(line)));
    }

    /// It is cleared at its last firing, after its label and before its body.
    fn interval(&mut self, id: &str, ms: u64, times: u32, var: &Option<String>, body: &Body) {
        self.line("let mut count = 0_u32;");
        let own = if var.is_some() { "let own = " } else { "" };
        self.line(&format!("{own}set_interval(ms({ms}), move |timer| {{"));
        self.deeper(|test| {
            test.line("count += 1;");
            test.say(id);
            test.line(&format!("if count == {times} {{"));
            test.lines(&["    timer.clear();", "}"]);
        });
        self.body(body);
        self.line("});");
        if let Some(var) = var {
            self.line(&format!("keep({var:?}, Kept::Timer(own));"));
        }
    }

    fn before_exit(&mut self, id: &str, times: u32, body: &Body) {
        self.line("let mut count = 0_u32;");
        self.line("on_before_exit(move || {");
        self.deeper(|test| {
            test.line(&format!("if count == {times} {{"));
            test.lines(&["    return;", "}", "count += 1;"]);
            test.say(id);
        });
        self.body(body);
        self.line("});");
    }

    /// A listener of the port `it`. When it has had its last message it takes itself away.
    fn listen(&mut self, id: &str, times: u32, answers: &Answers) {
        self.lines(&["let own = it.clone();", "let mut count = 0_u32;"]);
        self.line("it.on_message(move |message| {");
        self.deeper(|test| {
            test.line("count += 1;");
            test.line(&format!("if count == {times} {{"));
            test.lines(&["    own.off_message();", "}"]);
            test.hear(id, answers);
        });
        self.line("});");
    }

    /// Says a `message`, and answers it.
    fn hear(&mut self, id: &str, answers: &Answers) {
        self.line(&format!("say(&format!({:?}));", format!("{}:{{message}}", plain(id))));
        let answers: Vec<_> = answers.iter().filter(|(_, body)| !body.is_empty()).collect();
        if answers.is_empty() {
            return;
        }
        self.line("match message.as_str() {");
        self.deeper(|test| {
            for (value, body) in answers {
                test.line(&format!("{value:?} => {{"));
                test.body(body);
                test.line("}");
            }
            test.line("_ => (),");
        });
        self.line("}");
    }

    fn worker(&mut self, op: &WorkerOp) {
        let WorkerOp { id, program, .. } = op;
        self.line("{");
        self.deeper(|test| {
            test.line("let worker = Worker::spawn(|port: Port<String, String>| {");
            test.line("    PARENT.set(Some(port));");
            let is_within = std::mem::replace(&mut test.in_worker, true);
            test.body(program);
            test.in_worker = is_within;
            test.lines(&["});", "let worker = worker.unwrap();"]);
            if op.online {
                let label = format!("{id}:online");
                test.call("worker.on_online(|| {", &label, &op.on_online, "});");
            }
            test.line("worker.on_message(|message| {");
            test.deeper(|test| test.hear(id, &op.on_message));
            test.line("});");
            test.event("error", "error", "thrown(error)", id, &op.on_error);
            test.event("exit", "code", "code", id, &op.on_exit);
            if let Some(var) = &op.var {
                test.line(&format!("keep({var:?}, Kept::Worker(worker));"));
            }
        });
        self.line("}");
    }

    /// A callback of a worker with a value, which it says.
    fn event(&mut self, name: &str, value: &str, shown: &str, id: &str, body: &Body) {
        self.line(&format!("worker.on_{name}(|{value}| {{"));
        let text = format!("{}:{name}({{}})", plain(id));
        self.deeper(|test| test.line(&format!("say(&format!({text:?}, {shown}));")));
        self.body(body);
        self.line("});");
    }
}

/// Whether something of this thread throws.
fn throws(body: &Body) -> bool {
    let own = |op: &Op| matches!(op, Op::Throw { .. }) || parts(op).into_iter().any(throws);
    body.iter().any(own)
}
