//! A scenario as the beginning of a test in Rust.
//!
//! Timers, immediates, ticks, microtasks, requests and hooks are written out. Where ports and workers
//! come there is a comment: what they hold is the reader's own.

use std::fmt::Write;

use super::program::{Body, Op, Scenario};

const BEGINNING: &str = "\
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use windlass::*;

thread_local! {
    static SAID: RefCell<Vec<String>> = RefCell::default();
    static TIMERS: RefCell<HashMap<&'static str, Timer>> = RefCell::default();
    static IMMEDIATES: RefCell<HashMap<&'static str, Immediate>> = RefCell::default();
}

fn say(line: &str) {
    SAID.with_borrow_mut(|said| said.push(line.to_owned()));
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[allow(dead_code)]
fn keep(name: &'static str, timer: Timer) {
    TIMERS.with_borrow_mut(|timers| timers.insert(name, timer));
}

#[allow(dead_code)]
fn with(name: &str, timer: impl FnOnce(Timer), immediate: impl FnOnce(Immediate)) {
    if let Some(it) = TIMERS.with_borrow(|timers| timers.get(name).copied()) {
        timer(it);
    } else if let Some(it) = IMMEDIATES.with_borrow(|all| all.get(name).copied()) {
        immediate(it);
    }
}

#[test]
";

/// The text of the test. What it expects is the trace in virtual time, as the model has it.
pub(crate) fn of(program: &Scenario) -> String {
    let mut writer = Writer { text: BEGINNING.to_owned(), depth: 0 };
    writer.line(&format!("fn {}() {{", function(&program.name)));
    writer.depth += 1;
    writer.line("let builder = Loop::builder().virtual_time(true);");
    if let Some(threads) = program.pool {
        writer.line(&format!("let builder = builder.pool(Pool::new({threads}).unwrap());"));
    }
    writer.line("let event_loop = builder.build().unwrap();");
    writer.line("event_loop.run(|| {");
    writer.body(&program.main);
    writer.line("});");
    let labels = super::model::run(program, None).unwrap_or_default();
    let short = format!("let expected: &[&str] = &{labels:?};");
    if short.len() < 96 {
        writer.line(&short);
    } else {
        writer.line("let expected: &[&str] = &[");
        labels.iter().for_each(|label| writer.line(&format!("    {label:?},")));
        writer.line("];");
    }
    writer.line("assert_eq!(SAID.take(), expected);");
    writer.depth -= 1;
    writer.line("}");
    writer.text
}

/// The name of a program as one of a function.
fn function(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches('_');
    let prefix = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "program_" };
    format!("{prefix}{name}")
}

struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", 4 * self.depth).expect("a string grows");
    }

    fn body(&mut self, body: &Body) {
        self.depth += 1;
        body.iter().for_each(|op| self.op(op));
        self.depth -= 1;
    }

    fn call(&mut self, before: &str, id: &str, body: &Body, after: &str) {
        self.line(before);
        self.depth += 1;
        self.line(&format!("say({id:?});"));
        self.depth -= 1;
        self.body(body);
        self.line(after);
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Log { id } => self.line(&format!("say({id:?});")),
            Op::Tick { id, body } => self.call("next_tick(|| {", id, body, "});"),
            Op::Micro { id, body } => self.call("queue_microtask(|| {", id, body, "});"),
            Op::Immediate { id, var: None, body } => {
                self.call("set_immediate(|| {", id, body, "});");
            }
            Op::Immediate { id, var: Some(var), body } => {
                self.call("let immediate = set_immediate(|| {", id, body, "});");
                let insert = format!("all.insert({var:?}, immediate)");
                self.line(&format!("IMMEDIATES.with_borrow_mut(|all| {insert});"));
            }
            Op::Timeout { id, ms, var, body } => {
                self.kept(&format!("set_timer(ms({ms}), |_| {{"), id, body, var);
            }
            Op::Interval { id, ms, times, var, body } => self.interval(id, *ms, *times, var, body),
            Op::Stat { id, body } => {
                self.call("fs::metadata(\"/\").on_complete(|_| {", id, body, "});");
            }
            Op::Block { ms } => self.line(&format!("time::advance(ms({ms}));")),
            Op::Throw { id } => self.line(&format!("panic!({id:?});")),
            Op::BeforeExit { id, times, body } => {
                self.line(&format!("let mut left = {times};"));
                self.line("on_before_exit(move || {");
                self.line("    if left == 0 {");
                self.line("        return;");
                self.line("    }");
                self.line("    left -= 1;");
                self.line(&format!("    say({id:?});"));
                self.body(body);
                self.line("});");
            }
            Op::AtExit { id, body } => self.call("on_exit(|_| {", id, body, "});"),
            Op::Exit { code } => self.line(&format!("return exit({code});")),
            Op::Clear { var } => self.with(var, "clear()", "clear()"),
            Op::Refresh { var } => {
                self.line(&format!("with({var:?}, |timer| timer.refresh(), |_| ());"));
            }
            Op::Unref { var } => self.with(var, "set_ref(false)", "set_ref(false)"),
            Op::Ref { var } => self.with(var, "set_ref(true)", "set_ref(true)"),
            Op::Worker(op) => self.line(&format!("// Here the worker {} starts.", op.id)),
            Op::Channel { a, b } => self.line(&format!("// Here a channel is made: {a}, {b}.")),
            Op::Listen { port, id, .. } => self.line(&format!("// {id}: listens on {port}.")),
            Op::Receive { id, .. } => self.line(&format!("// {id}: listens to the parent.")),
            Op::Send { port: to, value } | Op::Post { to, value } => {
                self.line(&format!("// {value:?} is posted by {to}."));
            }
            Op::Close { port } => self.line(&format!("// {port} is closed.")),
            Op::OnClose { port, id, .. } => self.line(&format!("// {id}: the close of {port}.")),
            Op::Terminate { var } => self.line(&format!("// {var} is terminated.")),
        }
    }

    fn with(&mut self, var: &str, timer: &str, immediate: &str) {
        let calls = format!("|timer| timer.{timer}, |immediate| immediate.{immediate}");
        self.line(&format!("with({var:?}, {calls});"));
    }

    /// A timer, kept under a name if it has one.
    fn kept(&mut self, call: &str, id: &str, body: &Body, var: &Option<String>) {
        match var {
            None => self.call(call, id, body, "});"),
            Some(var) => {
                self.call(&format!("let timer = {call}"), id, body, "});");
                self.line(&format!("keep({var:?}, timer);"));
            }
        }
    }

    fn interval(&mut self, id: &str, ms: u64, times: u32, var: &Option<String>, body: &Body) {
        self.line(&format!("let mut left = {times};"));
        let let_timer = if var.is_some() { "let timer = " } else { "" };
        self.line(&format!("{let_timer}set_interval(ms({ms}), move |timer| {{"));
        self.line("    left -= 1;");
        self.line("    if left == 0 {");
        self.line("        timer.clear();");
        self.line("    }");
        self.line(&format!("    say({id:?});"));
        self.body(body);
        self.line("});");
        if let Some(var) = var {
            self.line(&format!("keep({var:?}, timer);"));
        }
    }
}
