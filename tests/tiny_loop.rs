//! The tiny loop of the guide: that it is tiny, prints what its header says, and keeps the order of the corpus as
//! far as it goes.

// Nothing in it is for others than this file.
#![allow(unreachable_pub, dead_code)]

mod common;
#[path = "../examples/scenario/program.rs"]
mod program;
#[path = "../examples/tiny_loop.rs"]
mod tiny_loop;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use program::{Body, Op, Scenario};
use tiny_loop::{Handle, Loop};

/// A running program.
#[derive(Default)]
struct Program {
    trace: RefCell<Vec<String>>,
    variables: RefCell<HashMap<String, Variable>>,
}

/// What a variable of a program holds.
#[derive(Clone)]
enum Variable {
    Immediate(Rc<Handle>),
    /// With its delay.
    Timer(Rc<Handle>, Duration),
}

/// Whether the tiny loop has all that these steps are about: no hooks of the end, no ports, workers or panics.
fn is_possible(body: &Body) -> bool {
    body.iter().all(|op| match op {
        Op::Tick { body, .. }
        | Op::Micro { body, .. }
        | Op::Immediate { body, .. }
        | Op::Timeout { body, .. }
        | Op::Interval { body, .. }
        | Op::Stat { body, .. } => is_possible(body),
        Op::Log { .. } | Op::Clear { .. } | Op::Refresh { .. } => true,
        Op::Unref { .. } | Op::Ref { .. } | Op::Block { .. } => true,
        _ => false,
    })
}

impl Program {
    /// Appends a label and executes a body.
    fn callback(self: &Rc<Self>, id: &str, body: &Body) -> impl FnMut(&Loop) + use<> {
        let (program, id, body) = (self.clone(), id.to_owned(), body.clone());
        move |event_loop| {
            program.trace.borrow_mut().push(id.clone());
            program.execute(event_loop, &body);
        }
    }

    fn set(&self, name: &Option<String>, variable: Variable) {
        name.iter().for_each(|name| {
            drop(self.variables.borrow_mut().insert(name.clone(), variable.clone()))
        });
    }

    fn execute(self: &Rc<Self>, event_loop: &Loop, body: &Body) {
        body.iter().for_each(|op| self.step(event_loop, op));
    }

    fn step(self: &Rc<Self>, event_loop: &Loop, op: &Op) {
        match op {
            Op::Log { id } => self.trace.borrow_mut().push(id.clone()),
            Op::Tick { id, body } => {
                drop(event_loop.add(&event_loop.ticks, self.callback(id, body)))
            }
            Op::Micro { id, body } => {
                event_loop.add(&event_loop.microtasks, self.callback(id, body));
            }
            Op::Immediate { id, var, body } => {
                let immediate = event_loop.add(&event_loop.immediates, self.callback(id, body));
                self.set(var, Variable::Immediate(immediate));
            }
            Op::Timeout { id, ms, var, body } => {
                let timer = event_loop.add(&event_loop.timers, self.callback(id, body));
                self.arm(event_loop, var, timer, *ms);
            }
            Op::Interval { id, ms, times, var, body } => {
                let own: Rc<RefCell<Option<Rc<Handle>>>> = Rc::default();
                let left = Cell::new(*times);
                let (timer, mut f) = (own.clone(), self.callback(id, body));
                let period = delay(*ms);
                *own.borrow_mut() = Some(event_loop.add(&event_loop.timers, move |event_loop| {
                    let (start, own) = (event_loop.time(), timer.borrow().clone());
                    let own = own.expect("it is armed");
                    left.set(left.get() - 1);
                    if left.get() == 0 {
                        event_loop.stop(&event_loop.timers, &own);
                    }
                    f(event_loop);
                    if own.number.get() != 0 {
                        event_loop.arm(&own, start + period);
                    }
                }));
                let timer = own.borrow().clone().expect("it was made");
                self.arm(event_loop, var, timer, *ms);
            }
            Op::Stat { id, body } => event_loop.queue_work(|| (), self.callback(id, body)),
            Op::Block { ms } => {
                let time = event_loop.virtual_time.as_ref().expect("it is virtual");
                time.set(time.get() + Duration::from_millis(*ms));
            }
            Op::Clear { var } | Op::Refresh { var } | Op::Unref { var } | Op::Ref { var } => {
                let variable = self.variables.borrow().get(var).cloned();
                variable.into_iter().for_each(|variable| with_variable(event_loop, op, variable));
            }
            other => unreachable!("{other:?} is not possible"),
        }
    }

    fn arm(&self, event_loop: &Loop, var: &Option<String>, timer: Rc<Handle>, ms: u64) {
        event_loop.arm(&timer, event_loop.time() + delay(ms));
        self.set(var, Variable::Timer(timer, delay(ms)));
    }
}

fn delay(ms: u64) -> Duration {
    Duration::from_millis(ms.max(1))
}

fn with_variable(event_loop: &Loop, op: &Op, variable: Variable) {
    let (Variable::Immediate(handle) | Variable::Timer(handle, _)) = &variable;
    match (op, &variable) {
        (Op::Unref { .. }, _) => handle.is_unref.set(true),
        (Op::Ref { .. }, _) => handle.is_unref.set(false),
        (Op::Clear { .. }, Variable::Immediate(_)) => {
            event_loop.stop(&event_loop.immediates, handle)
        }
        (Op::Clear { .. }, Variable::Timer(..)) => event_loop.stop(&event_loop.timers, handle),
        (Op::Refresh { .. }, Variable::Timer(_, delay)) if handle.number.get() != 0 => {
            event_loop.arm(handle, event_loop.time() + *delay);
        }
        _ => {}
    }
}

/// The scenarios of the corpus by their names.
fn scenarios() -> BTreeMap<String, Scenario> {
    let paths = std::fs::read_dir("tests/conformance").unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let scenarios = files.map(|path| {
        let scenario: Scenario =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (scenario.name.clone(), scenario)
    });
    scenarios.collect()
}

fn run(scenario: &Scenario) -> Vec<String> {
    let program = Rc::new(Program::default());
    Loop::in_virtual_time().run(|event_loop| program.execute(event_loop, &scenario.main));
    program.trace.take()
}

#[test]
fn the_tiny_loop_prints_the_trace_of_node_for_most_programs_that_it_can_run() {
    let mut possible = scenarios();
    assert_eq!(possible.len(), 235);
    possible.retain(|_, scenario| is_possible(&scenario.main));
    let differs = possible.values().filter(|scenario| Some(run(scenario)) != scenario.expect);
    let differs: Vec<_> = differs.map(|scenario| &*scenario.name).collect();
    assert_eq!((possible.len(), differs.len()), (122, 30), "{differs:?}");
    // What it lacks: lists of timers, and to ask before the first timers whether anything is alive.
    for name in ["016-overdue-list-by-list", "331-iteration-after-due-timers"] {
        assert!(differs.contains(&name), "{differs:?}");
    }
    let page = include_str!("../src/guide/tiny_loop.md");
    assert!(
        page.contains("122 need nothing that it lacks, and for 92 of them"),
        "the page says so"
    );
}

#[test]
fn the_tiny_loop_prints_what_its_header_says() {
    let source = include_str!("../examples/tiny_loop.rs");
    let header = source.split("//! $ cargo run --example tiny_loop\n").nth(1).unwrap();
    let trace: String = header.split("//! ```").next().unwrap().replace("//! ", "");
    let output = example("tiny_loop").output().unwrap();
    assert_eq!(text(&output.stdout), trace);
    // It is the order of ours.
    assert_eq!(text(&example("phases").output().unwrap().stdout), trace);
}

#[test]
fn the_tiny_loop_sleeps_until_a_thread_or_a_descriptor_wakes_it() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let trace = seen.clone();
    // On the real clock, and on nothing but these two.
    Loop::default().run(|event_loop| {
        let done = trace.clone();
        event_loop.queue_work(
            move || writer.write_all(b"x").unwrap(),
            move |_| done.borrow_mut().push("a job"),
        );
        let source: Rc<RefCell<Option<Rc<Handle>>>> = Rc::default();
        let own = source.clone();
        let fd = reader.as_raw_fd();
        let f = move |event_loop: &Loop| {
            (&reader).read_exact(&mut [0]).unwrap();
            trace.borrow_mut().push("a byte");
            let own = own.take().expect("it is called once");
            event_loop.stop(&event_loop.sources, &own);
        };
        let handle = event_loop.add(&event_loop.sources, f);
        handle.fd.set(fd);
        source.replace(Some(handle));
    });
    let mut seen = seen.take();
    seen.sort_unstable();
    assert_eq!(seen, ["a byte", "a job"]);
}
