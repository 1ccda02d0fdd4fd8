//! Runs a conformance program on the loop and returns its trace.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use windlass::observe::{Label, labelled};
use windlass::worker::{Port, Worker, WorkerError, channel};
use windlass::{Immediate, Loop, Pool, Timer};

use super::program::{Answers, Body, Op, Scenario, WorkerOp};

/// What a callback says of itself, on whatever loop of the program.
#[allow(dead_code)] // Only the ledger looks into it.
pub(crate) struct Said<'a> {
    /// The worker's name. Empty for the main program.
    pub worker: &'a str,
    pub label: &'a str,
}

/// Who looks on while a program runs, on its threads.
pub(crate) trait Listener: Send + Sync {
    /// A callback says something.
    fn hear(&self, said: Said<'_>);

    /// What whoever observes the loop is to call the operation, or the port, of this name.
    fn label(&self, _name: &str) -> Option<Label> {
        None
    }
}

impl<F: Fn(Said<'_>) + Send + Sync> Listener for F {
    fn hear(&self, said: Said<'_>) {
        self(said);
    }
}

/// Runs a scenario, in virtual time or on the real clock.
pub(crate) fn run(scenario: &Scenario, virtual_time: bool) -> io::Result<Vec<String>> {
    run_heard(scenario, virtual_time, Arc::new(|_: Said<'_>| ()))
}

/// The same, and `listener` hears of each label, also of those of workers.
pub(crate) fn run_heard(
    scenario: &Scenario,
    virtual_time: bool,
    listener: Arc<dyn Listener>,
) -> io::Result<Vec<String>> {
    let mut builder = Loop::builder().virtual_time(virtual_time);
    if let Some(threads) = scenario.pool {
        builder = builder.pool(Pool::new(threads)?);
    }
    Ok(run_on(builder.build()?, scenario, listener))
}

/// The same, on a loop that was made for it.
pub(crate) fn run_on(
    event_loop: Loop,
    scenario: &Scenario,
    listener: Arc<dyn Listener>,
) -> Vec<String> {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let labels = trace.clone();
    let say = Rc::new(move |label| labels.borrow_mut().push(label));
    let program = Program::new(String::new(), say, listener, None);
    event_loop.run(|| {
        let thrown = program.clone();
        windlass::on_uncaught(move |uncaught| thrown.say(&format!("!{}", uncaught.message())));
        let main = AssertUnwindSafe(|| program.execute(&scenario.main));
        // A throw in the main program ends its text, not the program.
        if let Err(payload) = panic::catch_unwind(main) {
            let id = payload.downcast_ref::<String>().cloned().unwrap_or_default();
            program.say(&format!("!{id}"));
        }
    });
    drop(event_loop);
    trace.take()
}

/// What a variable of a program holds.
enum Variable {
    Timer(Timer),
    Immediate(Immediate),
    Port(Port<String, String>),
    Worker(Worker<String, String>),
}

/// A running program: the main one, or a worker's.
struct Program {
    /// The worker's. Empty for the main one.
    name: String,
    say: Rc<dyn Fn(String)>,
    /// Hears the same, before it goes anywhere.
    listener: Arc<dyn Listener>,
    /// The parent's port, in a worker.
    parent: Option<Port<String, String>>,
    variables: RefCell<HashMap<String, Variable>>,
    /// Ports stay open when their variable is used again.
    ports: RefCell<Vec<Port<String, String>>>,
}

/// A step that ends its body also ends what stands behind it.
type Flow = ControlFlow<()>;

impl Program {
    fn new(
        name: String,
        say: Rc<dyn Fn(String)>,
        listener: Arc<dyn Listener>,
        parent: Option<Port<String, String>>,
    ) -> Rc<Program> {
        let (variables, ports) = Default::default();
        Rc::new(Program { name, say, listener, parent, variables, ports })
    }

    fn say(&self, label: &str) {
        self.listener.hear(Said { worker: &self.name, label });
        (self.say)(label.to_owned());
    }

    fn set(&self, name: &Option<String>, value: Variable) {
        let before =
            name.as_ref().and_then(|name| self.variables.borrow_mut().insert(name.clone(), value));
        drop(before);
    }

    /// A callback: appends its label, then executes its body.
    fn callback(self: &Rc<Self>, id: &str, body: &Body) -> impl FnOnce() + use<> {
        let mut f = self.callbacks(id, body);
        move || f()
    }

    /// The same for what is called more than once.
    fn callbacks(self: &Rc<Self>, id: &str, body: &Body) -> impl FnMut() + use<> {
        let (program, id, body) = (self.clone(), id.to_owned(), body.clone());
        move || {
            program.say(&id);
            program.execute(&body);
        }
    }

    /// A listener: takes its messages until it has had the last one.
    fn listen(
        self: &Rc<Self>,
        port: &Port<String, String>,
        id: &str,
        times: u32,
        answers: &Answers,
    ) {
        let (program, id, answers) = (self.clone(), id.to_owned(), answers.clone());
        let own = port.clone();
        let count = Cell::new(0);
        port.on_message(move |value| {
            count.set(count.get() + 1);
            if count.get() == times {
                own.off_message();
            }
            program.say(&format!("{id}:{value}"));
            if let Some(body) = answers.get(&value) {
                program.execute(body);
            }
        });
    }

    fn execute(self: &Rc<Self>, body: &Body) {
        for op in body {
            if self.step(op).is_break() {
                break;
            }
        }
    }

    /// Does a step. What it arms has the step's label.
    fn step(self: &Rc<Self>, op: &Op) -> Flow {
        match op.id() {
            Some(id) => self.labelled(id, || self.act(op)),
            None => self.act(op),
        }
    }

    fn labelled<R>(&self, name: &str, f: impl FnOnce() -> R) -> R {
        match self.listener.label(name) {
            Some(label) => labelled(label, f),
            None => f(),
        }
    }

    fn act(self: &Rc<Self>, op: &Op) -> Flow {
        match op {
            Op::Log { id } => self.say(id),
            Op::Tick { id, body } => windlass::next_tick(self.callback(id, body)),
            Op::Micro { id, body } => windlass::queue_microtask(self.callback(id, body)),
            Op::Immediate { id, var, body } => {
                let immediate = windlass::set_immediate(self.callback(id, body));
                self.set(var, Variable::Immediate(immediate));
            }
            Op::Timeout { id, ms, var, body } => {
                let (program, id, body) = (self.clone(), id.clone(), body.clone());
                let timer = windlass::set_timer(Duration::from_millis(*ms), move |_| {
                    program.say(&id);
                    program.execute(&body);
                });
                self.set(var, Variable::Timer(timer));
            }
            Op::Interval { id, ms, times, var, body } => {
                let (program, id, body) = (self.clone(), id.clone(), body.clone());
                let (times, period) = (*times, Duration::from_millis(*ms));
                let mut count = 0;
                let timer = windlass::set_interval(period, move |timer| {
                    count += 1;
                    program.say(&id);
                    if count == times {
                        timer.clear();
                    }
                    program.execute(&body);
                });
                self.set(var, Variable::Timer(timer));
            }
            Op::Stat { id, body } => {
                let f = self.callback(id, body);
                windlass::fs::metadata("/").on_complete(move |_| f());
            }
            Op::Block { ms } => windlass::time::advance(Duration::from_millis(*ms)),
            // No panic message is wanted, so not by `panic!`.
            Op::Throw { id } => panic::resume_unwind(Box::new(id.clone())),
            Op::BeforeExit { id, times, body } => {
                let mut left = *times;
                let mut f = self.callbacks(id, body);
                windlass::on_before_exit(move || {
                    if left > 0 {
                        left -= 1;
                        f();
                    }
                });
            }
            Op::AtExit { id, body } => {
                let f = self.callback(id, body);
                windlass::on_exit(move |_| f());
            }
            Op::Exit { code } => {
                windlass::exit(*code);
                return Flow::Break(());
            }
            Op::Channel { a, b } => {
                let (one, other) = channel();
                for (name, end) in [(a, one), (b, other)] {
                    let port = self.labelled(name, || end.open());
                    self.ports.borrow_mut().push(port.clone());
                    self.set(&Some(name.clone()), Variable::Port(port));
                }
            }
            Op::Worker(op) => self.start_worker(op),
            Op::Receive { id, times, on } => {
                // Only a worker's program has somebody to receive from.
                self.parent.iter().for_each(|port| self.listen(port, id, *times, on));
            }
            with_variable => self.step_with_variable(with_variable),
        }
        Flow::Continue(())
    }

    /// Steps that act on a variable; on one that holds nothing they do nothing.
    fn step_with_variable(self: &Rc<Self>, op: &Op) {
        match op {
            Op::Clear { var } => self.with_timer(var, |timer| timer.clear(), |i| i.clear()),
            Op::Refresh { var } => self.with_timer(var, |timer| timer.refresh(), |_| ()),
            Op::Unref { var } => {
                self.with_timer(var, |timer| timer.set_ref(false), |i| i.set_ref(false));
            }
            Op::Ref { var } => {
                self.with_timer(var, |timer| timer.set_ref(true), |i| i.set_ref(true));
            }
            Op::Listen { port, id, times, on } => {
                self.with_port(port, |port| self.listen(port, id, *times, on));
            }
            Op::Send { port, value } => self.with_port(port, |port| port.post(value.clone())),
            Op::Close { port } => self.with_port(port, |port| port.close()),
            Op::OnClose { port, id, body } => {
                self.with_port(port, |port| port.on_close(self.callback(id, body)));
            }
            Op::Post { to, value } => self.with_worker(to, |worker| worker.post(value.clone())),
            Op::Terminate { var } => self.with_worker(var, |worker| drop(worker.terminate())),
            other => unreachable!("{other:?} has no variable"),
        }
    }

    fn with_timer(&self, name: &str, f: impl FnMut(Timer), g: impl FnMut(Immediate)) {
        let (timer, immediate) = match self.variables.borrow().get(name) {
            Some(Variable::Timer(timer)) => (Some(*timer), None),
            Some(Variable::Immediate(immediate)) => (None, Some(*immediate)),
            _ => (None, None),
        };
        timer.into_iter().for_each(f);
        immediate.into_iter().for_each(g);
    }

    fn with_port(&self, name: &str, f: impl FnMut(&Port<String, String>)) {
        let port = match self.variables.borrow().get(name) {
            Some(Variable::Port(port)) => Some(port.clone()),
            _ => None,
        };
        port.iter().for_each(f);
    }

    fn with_worker(&self, name: &str, f: impl FnMut(&Worker<String, String>)) {
        let worker = match self.variables.borrow().get(name) {
            Some(Variable::Worker(worker)) => Some(worker.clone()),
            _ => None,
        };
        worker.iter().for_each(f);
    }

    /// A worker's labels are messages to its parent, which appends them to the trace.
    fn start_worker(self: &Rc<Self>, op: &WorkerOp) {
        let (name, program) = (op.id.clone(), op.program.clone());
        let listener = self.listener.clone();
        let worker = Worker::spawn(move |port: Port<String, String>| {
            let out = port.clone();
            let say = Rc::new(move |label| out.post(label));
            let running = Program::new(name, say, listener, Some(port));
            // Its ports stay open to the end, whatever the callbacks still hold of it.
            let kept = running.clone();
            windlass::on_exit(move |_| drop(kept));
            running.execute(&program);
        });
        let worker = worker.expect("a worker can be started");
        let prefixed = |event: &str| format!("{}:{event}", op.id);
        if op.online {
            worker.on_online(self.callback(&prefixed("online"), &op.on_online));
        }
        let (parent, id, answers) = (self.clone(), op.id.clone(), op.on_message.clone());
        worker.on_message(move |label| {
            parent.say(&format!("{id}:{label}"));
            if let Some(body) = answers.get(&label) {
                parent.execute(body);
            }
        });
        let (parent, id, body) = (self.clone(), op.id.clone(), op.on_error.clone());
        worker.on_error(move |error| {
            let thrown = match error {
                WorkerError::Panicked(message) => message,
                other => other.to_string(),
            };
            parent.say(&format!("{id}:error({thrown})"));
            parent.execute(&body);
        });
        let (parent, id, body) = (self.clone(), op.id.clone(), op.on_exit.clone());
        worker.on_exit(move |code| {
            parent.say(&format!("{id}:exit({code})"));
            parent.execute(&body);
        });
        self.set(&op.var, Variable::Worker(worker));
    }
}
