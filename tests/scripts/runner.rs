//! Runs a script on a loop, and says what it did and what went wrong.
//!
//! Each loop of the program has a [`World`]: what was made there, which later acts choose from. All worlds share one
//! [`Ledger`]. It counts calls and drops, and keeps what has happened in order.

mod datagrams;
mod streams;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::{TcpListener, TcpStream, UdpSocket};
use windlass::sim::{Faults, Network, Sim};
use windlass::worker::{Port, PortEnd, Worker, WorkerError, WorkerPool, channel};
use windlass::{
    Canceller, Immediate, KeepAlive, Loop, LoopGone, Request, Task, Timer, WorkError, WorkKind,
    dns, fs, next_tick, on_before_exit, on_exit, on_uncaught, queue_microtask, set_immediate,
    set_interval, set_timeout, set_timer, spawn, time, work,
};

use super::{Act, Body, Job, Phase, Script, Wait};

/// Acts that one run may take: after so many nothing more is made.
const ACTS: usize = 400;
/// When a loop closes all that is open, so that the program ends.
const END: Duration = Duration::from_secs(10);
/// How often a loop is run again after a panic or a stop.
const RUNS: usize = 60;
/// When the wall clock of a simulation begins, in seconds since 1970.
const MIDNIGHT: i64 = 946_684_800;
/// What the panic of a script says first.
const PANIC: &str = "a script's panic";

/// Which clock a script runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Clock {
    Virtual,
    Real,
    /// Virtual, with chance from this seed. With an odd one things fail too.
    Simulated(u64),
}

impl Clock {
    fn has_faults(self) -> bool {
        matches!(self, Clock::Simulated(seed) if seed % 2 == 1)
    }

    /// A loop with this clock.
    fn make(self) -> Loop {
        match self {
            Clock::Real => Loop::new().expect("a loop can be made"),
            Clock::Virtual => {
                Loop::builder().virtual_time(true).build().expect("a loop can be made")
            }
            Clock::Simulated(seed) if self.has_faults() => {
                let faults = Faults::default().request(0.2).worker_start(0.1).accept(0.1);
                let faults = faults.short_reads(0.3).short_writes(0.3).would_block(0.2);
                let faults = faults.clock_jump(0.1).hang(0.05, Duration::from_millis(100));
                let busy =
                    Duration::ZERO..=Duration::from_micros(if seed % 4 == 1 { 500 } else { 0 });
                let network = network().split(0.3).reset(0.05);
                let network = network.lose_datagram(0.1).double_datagram(0.1);
                Sim::new(seed).faults(faults.callback_time(busy)).network(network).event_loop()
            }
            Clock::Simulated(seed) => Sim::new(seed).network(network()).event_loop(),
        }
    }
}

/// The network of all simulations.
fn network() -> Network {
    Network::default().host("known", [10, 0, 0, 1].into())
}

/// What a run has shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// All callbacks in their order.
    pub(crate) trace: Vec<String>,
    /// What must not be.
    pub(crate) faults: Vec<String>,
}

/// What all threads of a run share.
struct Ledger {
    clock: Clock,
    /// Acts that may still be taken.
    acts: AtomicUsize,
    /// Channels made so far.
    channels: AtomicUsize,
    /// The program was left before its end: what was made need not have been called.
    ends: AtomicBool,
    /// The exit hooks run: what is made now need not be called.
    closes: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    outcome: Outcome,
    /// Values made, and whether each was dropped.
    values: Vec<bool>,
    /// How often each callback that may be called once was called, of those that must be.
    due: BTreeMap<String, bool>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: String) {
        self.lock().outcome.trace.push(line);
    }

    fn fault(&self, text: String) {
        self.lock().outcome.faults.push(text);
    }

    /// The number of a channel that is made now.
    fn next_age(&self) -> Age {
        self.channels.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether one more act may be taken.
    fn may_act(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.acts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// A panic that is not the script's own is a fault of the crate.
    fn check_panic(&self, text: &str) {
        if !text.starts_with(PANIC) && !text.contains("a worker panicked") {
            self.fault(format!("a panic that is not the script's: {text}"));
        }
    }
}

/// A value that is dropped once, and does things then.
struct Value {
    ledger: Arc<Ledger>,
    number: usize,
    on_drop: Vec<Act>,
}

impl Value {
    fn new(ledger: &Arc<Ledger>, on_drop: &[Act]) -> Value {
        let mut book = ledger.lock();
        book.values.push(false);
        let number = book.values.len() - 1;
        drop(book);
        Value { ledger: ledger.clone(), number, on_drop: on_drop.to_vec() }
    }

    /// Mentions the value, so that a closure captures it.
    fn touch(&self) {}
}

impl Drop for Value {
    fn drop(&mut self) {
        let twice = std::mem::replace(&mut self.ledger.lock().values[self.number], true);
        if twice {
            self.ledger.fault(format!("value {} was dropped twice", self.number));
        }
        // Not in a job, nor on a thread without a loop.
        if !self.on_drop.is_empty() && Loop::try_current().is_some() {
            take(&self.on_drop);
        }
    }
}

/// What travels through a channel.
enum Parcel {
    Value(Value),
    End(Value, PortEnd<Parcel, Parcel>, Age),
}

/// Channels are numbered as they are made. A channel carries only ends of younger ones: of two channels that have each
/// other's ends in their queues neither would ever be freed, as the documentation says.
type Age = usize;

/// What a loop has. Later acts choose among these.
enum Thing {
    Timer(Timer),
    Immediate(Immediate),
    Idle(Idle),
    Prepare(Prepare),
    Check(Check),
    Notifier(Asked),
    Task(Task<()>),
    Request(Canceller),
    Port { port: Port<Parcel, Parcel>, age: Age },
    Worker(Worker<Parcel, Parcel>, Age),
    Listener(TcpListener),
    Stream(TcpStream),
    Datagrams(UdpSocket),
    Pool(WorkerPool<Value, Value>),
    KeepAlive(RefCell<Option<KeepAlive>>),
}

/// A notifier, and what is asked of it.
struct Asked {
    notifier: Notifier,
    /// When it was notified, until it calls.
    since: Rc<Cell<Option<Instant>>>,
    is_closed: Cell<bool>,
}

impl Asked {
    fn notify(&self) {
        if !self.is_closed.get() {
            self.since.set(Some(windlass::now()));
        }
        self.notifier.notify();
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.since.set(None);
        self.notifier.close();
    }

    /// It was asked long ago and has not called.
    fn is_deaf(&self) -> bool {
        let waits = self.since.get().map(|since| windlass::now() - since);
        waits.is_some_and(|time| time > Duration::from_secs(1))
    }
}

/// What belongs to one loop.
struct World {
    name: String,
    ledger: Arc<Ledger>,
    things: RefCell<Vec<Rc<Thing>>>,
    made: Cell<usize>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of this thread, if it has one and still stands.
fn world() -> Option<Rc<World>> {
    WORLD.try_with(|world| world.borrow().clone()).ok().flatten()
}

fn panic_now() {
    // Unwinds without a message. Two panics at one time would end the process.
    if !thread::panicking() {
        panic::resume_unwind(Box::new(PANIC.to_owned()));
    }
}

/// Takes some acts on the loop of this thread.
fn take(acts: &[Act]) {
    let Some(world) = world() else { return };
    for act in acts {
        if world.ledger.may_act() {
            act.take(&world);
        }
    }
}

/// Something that the loop calls, under a name of its own.
struct Callback {
    name: String,
    world: Rc<World>,
    acts: Vec<Act>,
    value: Value,
    calls: Cell<usize>,
    /// It must be called if the program comes to its end by itself.
    is_due: bool,
}

impl Callback {
    fn new(world: &Rc<World>, kind: &str, body: &Body) -> Callback {
        let number = world.made.replace(world.made.get() + 1);
        Callback {
            name: format!("{}{kind}{number}", world.name),
            world: world.clone(),
            acts: body.acts.clone(),
            value: Value::new(&world.ledger, &body.on_drop),
            calls: Cell::new(0),
            is_due: false,
        }
    }

    /// The same, for what must be called. Only the first loop comes to its end by itself for certain.
    fn due(mut self) -> Callback {
        let ledger = &self.world.ledger;
        if self.world.name.is_empty() && !ledger.closes.load(Ordering::Relaxed) {
            self.is_due = true;
            ledger.lock().due.insert(self.name.clone(), false);
        }
        self
    }

    /// The one call, with what is said of it.
    fn call_once(self, result: &str) {
        self.call(result);
    }

    fn call(&self, result: &str) {
        self.value.touch();
        self.calls.set(self.calls.get() + 1);
        let ledger = &self.world.ledger;
        ledger.say(format!("{}{result}", self.name));
        if self.is_due && ledger.lock().due.insert(self.name.clone(), true) == Some(true) {
            ledger.fault(format!("{} was called twice", self.name));
        }
        let elsewhere = world().is_some_and(|here| !Rc::ptr_eq(&here, &self.world));
        if elsewhere || Loop::try_current().is_none() {
            ledger.fault(format!("{} was called elsewhere than on its loop", self.name));
        }
        take(&self.acts);
    }
}

impl World {
    fn new(name: String, ledger: &Arc<Ledger>) -> Rc<World> {
        let made = Cell::new(0);
        Rc::new(World { name, ledger: ledger.clone(), things: RefCell::default(), made })
    }

    /// Something with threads could not be made. After the end of the loop nothing can, and where
    /// things fail it may be refused.
    fn not_made(&self, error: &io::Error) {
        let is_refused = self.ledger.clock.has_faults() && error.raw_os_error().is_some();
        if is_refused {
            self.ledger.say(format!("{}no worker", self.name));
        }
        if !is_refused && !is_of_the_end(error) {
            self.ledger.fault(format!("no thread: {error}"));
        }
    }

    fn add(&self, thing: Thing) {
        self.things.borrow_mut().push(Rc::new(thing));
    }

    fn thing(&self, of: u8) -> Option<Rc<Thing>> {
        let things = self.things.borrow();
        if things.is_empty() { None } else { things.get(usize::from(of) % things.len()).cloned() }
    }

    /// What a request says when it completes is a callback that must come.
    fn request<T: Describe + 'static>(
        self: &Rc<Self>,
        kind: &str,
        request: Request<T>,
        body: &Body,
    ) {
        self.add(Thing::Request(request.canceller()));
        let callback = Callback::new(self, kind, body).due();
        request.on_complete(move |result: T| callback.call_once(&result.describe()));
    }

    /// Closes all that is open, and lets it go. Of the panics of destructors the last goes on when all is closed.
    fn end(&self) {
        let mut outcome = Ok(());
        loop {
            let Some(thing) = self.things.borrow_mut().pop() else { break };
            let closed = panic::catch_unwind(AssertUnwindSafe(|| {
                thing.close();
                drop(thing);
            }));
            outcome = closed.and(outcome);
        }
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload));
    }
}

/// Whether something was refused because the loop has ended.
fn is_of_the_end(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<LoopGone>())
}

/// What a result is called in the trace.
trait Describe {
    fn describe(&self) -> String;
}

impl Describe for Result<Value, WorkError> {
    fn describe(&self) -> String {
        match self {
            Ok(_) => " ok".to_owned(),
            Err(error) => format!(" {error}"),
        }
    }
}

impl Describe for Result<Value, WorkerError> {
    fn describe(&self) -> String {
        match self {
            Ok(_) => " ok".to_owned(),
            Err(error) => format!(" {error}"),
        }
    }
}

impl<T> Describe for io::Result<T> {
    fn describe(&self) -> String {
        match self {
            Ok(_) => " ok".to_owned(),
            Err(error) => format!(" {}", error.kind()),
        }
    }
}

impl Describe for i32 {
    fn describe(&self) -> String {
        format!(" {self}")
    }
}

fn ms(count: u8) -> Duration {
    Duration::from_millis(count.into())
}

impl Job {
    /// Asks the pool to do it.
    fn submit(self, ledger: &Arc<Ledger>) -> Request<Result<Value, WorkError>> {
        let (input, output) = (Value::new(ledger, &[]), Value::new(ledger, &[]));
        let mut asked = work(move |_: &_| {
            input.touch();
            if self.panics {
                panic_now();
            }
            output
        });
        if self.slow {
            asked = asked.kind(WorkKind::SlowIo);
        }
        if let Some(within) = self.deadline {
            asked = asked.deadline(ms(within));
        }
        asked.submit()
    }
}

impl Wait {
    async fn pass(self, world: Rc<World>) -> String {
        match self {
            Wait::Sleep(delay) => time::sleep(ms(delay)).await,
            Wait::Yield => windlass::yield_now().await,
            Wait::Job(job) => return job.submit(&world.ledger).await.describe(),
            Wait::Receive { of } => return receive(world.thing(of)).await,
            Wait::ReceiveWithin { of, limit } => {
                let received = time::timeout(ms(limit), receive(world.thing(of))).await;
                return received.unwrap_or_else(|_| " too late".to_owned());
            }
            Wait::End { of } => {
                if let Some(Thing::Worker(worker, _)) = world.thing(of).as_deref() {
                    let worker = worker.clone();
                    return match worker.join().await {
                        Ok(code) => format!(" {code}"),
                        Err(error) => format!(" {error}"),
                    };
                }
            }
        }
        String::new()
    }
}

async fn receive(thing: Option<Rc<Thing>>) -> String {
    let received = match thing.as_deref() {
        Some(Thing::Port { port, .. }) => {
            let port = port.clone();
            port.recv().await
        }
        // Always has a handler.
        Some(Thing::Worker(worker, _)) => {
            let worker = worker.clone();
            worker.recv().await
        }
        _ => return String::new(),
    };
    let is_some = received.is_some();
    received.into_iter().for_each(keep);
    if is_some { " got one".to_owned() } else { " none".to_owned() }
}

/// Does with a message what can be done with it: an end is opened, a value dropped.
fn keep(parcel: Parcel) {
    match parcel {
        Parcel::Value(value) => drop(value),
        Parcel::End(value, end, age) => {
            if let Some(world) = world() {
                world.add_port(end.open(), age);
            }
            drop(value);
        }
    }
}

impl World {
    fn add_port(&self, port: Port<Parcel, Parcel>, age: Age) {
        self.add(Thing::Port { port, age });
    }
}

impl Thing {
    fn close(&self) {
        match self {
            Thing::Timer(timer) => timer.clear(),
            Thing::Immediate(immediate) => immediate.clear(),
            Thing::Idle(watcher) => watcher.stop(),
            Thing::Prepare(watcher) => watcher.stop(),
            Thing::Check(watcher) => watcher.stop(),
            Thing::Notifier(asked) => asked.close(),
            Thing::Task(task) => task.abort(),
            Thing::Request(request) => {
                request.cancel().ok();
            }
            Thing::Port { port, .. } => port.close(),
            Thing::Worker(worker, _) => drop(worker.terminate()),
            Thing::Listener(listener) => listener.close(),
            Thing::Stream(stream) => stream.close(),
            Thing::Datagrams(socket) => socket.close(),
            Thing::Pool(pool) => pool.terminate(),
            Thing::KeepAlive(guard) => drop(guard.take()),
        }
    }

    fn send(&self, parcel: Parcel) {
        match self {
            Thing::Port { port, .. } => port.post(parcel),
            Thing::Worker(worker, _) => worker.post(parcel),
            _ => drop(parcel),
        }
    }

    fn set_ref(&self, on: bool) {
        match self {
            Thing::Timer(timer) => timer.set_ref(on),
            Thing::Immediate(immediate) => immediate.set_ref(on),
            Thing::Idle(watcher) => watcher.set_ref(on),
            Thing::Prepare(watcher) => watcher.set_ref(on),
            Thing::Check(watcher) => watcher.set_ref(on),
            Thing::Notifier(asked) => asked.notifier.set_ref(on),
            Thing::Port { port, .. } => port.set_ref(on),
            Thing::Worker(worker, _) => worker.set_ref(on),
            _ => {}
        }
    }
}

impl Act {
    fn take(&self, world: &Rc<World>) {
        let ledger = &world.ledger;
        match self {
            Act::Tick(body) => {
                let callback = Callback::new(world, "tick", body).due();
                next_tick(move || callback.call_once(""));
            }
            Act::Microtask(body) => {
                let callback = Callback::new(world, "microtask", body).due();
                queue_microtask(move || callback.call_once(""));
            }
            Act::Immediate(body) => {
                let callback = Callback::new(world, "immediate", body);
                world.add(Thing::Immediate(set_immediate(move || callback.call_once(""))));
            }
            Act::Timeout(delay, body) => {
                let callback = Callback::new(world, "timeout", body);
                world.add(Thing::Timer(set_timeout(ms(*delay), move || callback.call_once(""))));
            }
            Act::Interval(delay, body) => {
                let callback = Callback::new(world, "interval", body);
                let call = move |timer: Timer| {
                    if callback.calls.get() == 4 {
                        timer.clear();
                    }
                    callback.call("");
                };
                world.add(Thing::Timer(set_interval(ms(*delay), call)));
            }
            Act::Timer(delay, body) => {
                let callback = Callback::new(world, "timer", body);
                world.add(Thing::Timer(set_timer(ms(*delay), move |_| callback.call(""))));
            }
            Act::Watcher(phase, body) => {
                let callback = Callback::new(world, "watcher", body);
                let call = move || {
                    // The loop does not end while an idle watcher is active.
                    if callback.calls.get() < 50 { callback.call("") } else { callback.world.end() }
                };
                world.add(match phase {
                    Phase::Idle => Thing::Idle(Idle::start(call)),
                    Phase::Prepare => Thing::Prepare(Prepare::start(call)),
                    Phase::Check => Thing::Check(Check::start(call)),
                });
            }
            Act::Notifier(body) => {
                let callback = Callback::new(world, "notifier", body);
                let since = Rc::new(Cell::new(None));
                let called = since.clone();
                let notifier = Notifier::new(move || {
                    called.set(None);
                    callback.call("");
                });
                let is_closed = Cell::new(false);
                world.add(Thing::Notifier(Asked { notifier, since, is_closed }));
            }
            Act::Task(waits, body) => {
                let callback = Callback::new(world, "task", body);
                let (waits, own) = (waits.clone(), world.clone());
                world.add(Thing::Task(spawn(async move {
                    for wait in waits {
                        let result = wait.pass(own.clone()).await;
                        own.ledger.say(format!("{} {wait:?}{result}", callback.name));
                    }
                    callback.call_once("");
                })));
            }
            Act::Job(job, body) => world.request("job", job.submit(ledger), body),
            Act::File(body) => world.request("file", fs::read("Cargo.toml"), body),
            // Elsewhere it would be the system's, and no run like another.
            Act::Connect(sizes, body) if matches!(ledger.clock, Clock::Simulated(_)) => {
                streams::connect(world, sizes, body);
            }
            Act::Datagrams(sizes, body) if matches!(ledger.clock, Clock::Simulated(_)) => {
                datagrams::exchange(world, sizes, body);
            }
            Act::Name(is_known, body) if matches!(ledger.clock, Clock::Simulated(_)) => {
                let name = if *is_known { "known" } else { "unknown" };
                world.request("name", dns::lookup(name), body);
            }
            Act::WallClock if matches!(ledger.clock, Clock::Simulated(_)) => {
                let moment = time::system_now().duration_since(SystemTime::UNIX_EPOCH);
                let ahead = moment.map_or(0, |now| now.as_secs() as i64 - MIDNIGHT);
                let how = if (0..60).contains(&ahead) { "goes on" } else { "jumped" };
                ledger.say(format!("wall clock {how} {ahead}"));
            }
            Act::Connect(..) | Act::Datagrams(..) | Act::Name(..) | Act::WallClock => {}
            Act::Channel => {
                let ((one, other), age) = (channel(), ledger.next_age());
                world.add_port(one.open(), age);
                world.add_port(other.open(), age);
            }
            Act::Worker { main, message, exit } => start_worker(world, main, message, exit),
            Act::WorkerPool { handler } => start_pool(world, handler),
            Act::KeepAlive => {
                let guard = Loop::current().keep_alive();
                world.add(Thing::KeepAlive(RefCell::new(Some(guard))));
            }
            Act::Post { of, value } => {
                let Some(thing) = world.thing(*of) else { return };
                let sent = Value::new(ledger, &value.on_drop);
                match &*thing {
                    Thing::Port { .. } | Thing::Worker(..) => thing.send(Parcel::Value(sent)),
                    Thing::Pool(pool) => world.request("answer", pool.run(sent), value),
                    Thing::Notifier(asked) => asked.notify(),
                    _ => {}
                }
            }
            Act::Send { of } => {
                let Some(thing) = world.thing(*of) else { return };
                let ((kept, sent), age) = (channel(), ledger.next_age());
                thing.send(Parcel::End(Value::new(ledger, &[]), sent, age));
                world.add_port(kept.open(), age);
            }
            Act::PassOn { of, to } => {
                let (Some(passed), Some(thing)) = (world.thing(*of), world.thing(*to)) else {
                    return;
                };
                let Thing::Port { port, age, .. } = &*passed else { return };
                // One that is closed has nothing left to pass on, and none goes through itself.
                if port.is_closed() || Rc::ptr_eq(&passed, &thing) {
                    return;
                }
                let (carrier, is_peer): (_, &dyn Fn(&PortEnd<Parcel, Parcel>) -> bool) =
                    match &*thing {
                        Thing::Port { port, age, .. } => (*age, &|end| port.is_peer(end)),
                        Thing::Worker(worker, age) => (*age, &|end| worker.is_peer(end)),
                        _ => return,
                    };
                if carrier > *age {
                    return;
                }
                let end = port.clone().detach();
                // Nobody could receive it: dropped, it closes its channel.
                if !is_peer(&end) {
                    thing.send(Parcel::End(Value::new(ledger, &[]), end, *age));
                }
            }
            Act::Listen { of, body } => {
                let Some(thing) = world.thing(*of) else { return };
                let Thing::Port { port, .. } = &*thing else { return };
                let callback = Callback::new(world, "message", body);
                port.on_message(move |parcel| {
                    keep(parcel);
                    callback.call("");
                });
            }
            Act::Unlisten { of } => {
                if let Some(Thing::Port { port, .. }) = world.thing(*of).as_deref() {
                    port.off_message();
                }
            }
            Act::OnClose { of, body } => {
                let Some(thing) = world.thing(*of) else { return };
                let Thing::Port { port, .. } = &*thing else { return };
                let callback = Callback::new(world, "close", body);
                port.on_close(move || callback.call_once(""));
            }
            Act::Close { of } => world.thing(*of).into_iter().for_each(|thing| thing.close()),
            Act::SetRef { of, on } => {
                world.thing(*of).into_iter().for_each(|thing| thing.set_ref(*on));
            }
            Act::Refresh { of } => {
                if let Some(Thing::Timer(timer)) = world.thing(*of).as_deref() {
                    timer.refresh();
                }
            }
            Act::Forget { of } => {
                let mut things = world.things.borrow_mut();
                let index = usize::from(*of) % things.len().max(1);
                // A timer, immediate, watcher or idle request that nobody could close would never end.
                let ends = |thing: &&Rc<Thing>| {
                    matches!(
                        ***thing,
                        Thing::Port { .. } | Thing::Task(_) | Thing::Pool(_) | Thing::KeepAlive(_)
                    )
                };
                let found = things.get(index).filter(ends).is_some();
                let forgotten = found.then(|| things.remove(index));
                drop(things);
                if let Some(Thing::Port { port, .. }) = forgotten.as_deref() {
                    // With a handler the loop has it, for as long as the other end lives.
                    port.off_message();
                }
                drop(forgotten);
            }
            Act::BeforeExit(body) => {
                let callback = Callback::new(world, "before exit", body);
                on_before_exit(move || callback.call(""));
            }
            Act::OnExit(body) => {
                let callback = Callback::new(world, "exit", body);
                on_exit(move |code| callback.call_once(&format!(" {code}")));
            }
            Act::OnUncaught(body) => set_hook(world, body),
            Act::Advance(duration) => {
                if ledger.clock != Clock::Real {
                    time::advance(ms(*duration));
                }
            }
            Act::Stop => windlass::stop(),
            Act::Exit(code) => {
                if world.name.is_empty() {
                    ledger.ends.store(true, Ordering::Relaxed);
                }
                // It unwinds, which a destructor cannot do while a panic does.
                if !thread::panicking() {
                    windlass::exit((*code).into());
                }
            }
            Act::Panic => panic_now(),
        }
    }
}

fn set_hook(world: &Rc<World>, body: &Body) {
    let callback = Callback::new(world, "uncaught", body);
    on_uncaught(move |uncaught| {
        callback.world.ledger.check_panic(uncaught.message());
        callback.call("");
    });
}

fn start_worker(world: &Rc<World>, main: &[Act], message: &Body, exit: &Body) {
    let number = world.made.replace(world.made.get() + 1);
    let name = format!("{}{number}:", world.name);
    let (ledger, main, value) =
        (world.ledger.clone(), main.to_vec(), Value::new(&world.ledger, &[]));
    let age = ledger.next_age();
    let spawned = Worker::<Parcel, Parcel>::spawn(move |port| {
        value.touch();
        let world = World::new(name.clone(), &ledger);
        WORLD.set(Some(world.clone()));
        world.add_port(port, age);
        on_exit(move |_| {
            // Where the destructors of what is left find nothing.
            let left = WORLD.take();
            left.into_iter().for_each(|world| drop(world.things.take()));
        });
        ledger.say(format!("{name}main"));
        take(&main);
    });
    let worker = match spawned {
        Ok(worker) => worker,
        Err(error) => return world.not_made(&error),
    };
    let callback = Callback::new(world, "message of a worker", message);
    worker.on_message(move |parcel| {
        keep(parcel);
        callback.call("");
    });
    let callback = Callback::new(world, "error of a worker", &Body::default());
    worker.on_error(move |error| {
        if let WorkerError::Panicked(text) = &error {
            callback.world.ledger.check_panic(text);
        }
        callback.call_once(&format!(" {error}"));
    });
    let callback = Callback::new(world, "exit of a worker", exit);
    worker.on_exit(move |code| callback.call_once(&format!(" {code}")));
    world.add(Thing::Worker(worker, age));
}

fn start_pool(world: &Rc<World>, handler: &[Act]) {
    let number = world.made.replace(world.made.get() + 1);
    let name = format!("{}{number}:", world.name);
    let (ledger, handler) = (world.ledger.clone(), handler.to_vec());
    let made = WorkerPool::<Value, Value>::new(2, move || {
        let world = World::new(name.clone(), &ledger);
        WORLD.set(Some(world));
        let (ledger, handler, name) = (ledger.clone(), handler.clone(), name.clone());
        move |input: Value| {
            ledger.say(format!("{name}job"));
            drop(input);
            take(&handler);
            Value::new(&ledger, &[])
        }
    });
    match made {
        Ok(pool) => world.add(Thing::Pool(pool)),
        Err(error) => world.not_made(&error),
    }
}

// ---- A whole run.

/// Panics that have a message: none is a script's own. Scripts run one at a time.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
            before(info);
        }));
    });
}

/// What is wrong with a script, if anything: what one run shows, or that two in virtual time differ. And how many
/// callbacks it had.
pub(crate) fn faults(script: &Script, clock: Clock, limit: Duration) -> (Vec<String>, usize) {
    let first = run(script, clock, limit);
    let calls = first.trace.len();
    if !first.faults.is_empty() || clock == Clock::Real {
        return (first.faults, calls);
    }
    let second = run(script, clock, limit);
    let faults = if first == second { Vec::new() } else { vec![difference(&first, &second)] };
    (faults, calls)
}

fn difference(first: &Outcome, second: &Outcome) -> String {
    let traces = first.trace.iter().zip(&second.trace);
    let same = traces.take_while(|(one, other)| one == other).count();
    let (one, other) = (first.trace.get(same), second.trace.get(same));
    format!("two runs differ at {same}: {one:?}, {other:?}; {:?}", second.faults)
}

/// Runs a script once. An outcome with a fault if it has not ended after so long.
pub(crate) fn run(script: &Script, clock: Clock, limit: Duration) -> Outcome {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watch_panics();
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let ledger = Arc::new(Ledger {
        clock,
        acts: AtomicUsize::new(ACTS),
        channels: AtomicUsize::new(0),
        ends: AtomicBool::new(false),
        closes: AtomicBool::new(false),
        book: Mutex::default(),
    });
    let (done, finished) = mpsc::channel::<()>();
    let (inner, script) = (ledger.clone(), script.clone());
    let thread = thread::spawn(move || {
        run_here(&script, &inner);
        drop(done);
    });
    if finished.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        ledger.fault("it does not end".to_owned());
    } else if thread.join().is_err() {
        ledger.fault("a panic that run did not give to its caller".to_owned());
    }
    let book = std::mem::take(&mut *ledger.lock());
    let mut outcome = book.outcome;
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    outcome.faults.extend(panics);
    if outcome.faults.is_empty() {
        let left = book.values.iter().filter(|dropped| !**dropped).count();
        if left > 0 {
            outcome.faults.push(format!("{left} values were not dropped"));
        }
        if !ledger.ends.load(Ordering::Relaxed) {
            let uncalled = book.due.iter().filter(|(_, called)| !**called).map(|(name, _)| name);
            outcome.faults.extend(uncalled.map(|name| format!("{name} was not called")));
        }
    }
    outcome
}

/// Runs a script on this thread, until its loop has ended.
fn run_here(script: &Script, ledger: &Arc<Ledger>) {
    let event_loop = ledger.clock.make();
    let world = World::new(String::new(), ledger);
    WORLD.set(Some(world.clone()));
    let main = || {
        if script.has_hook {
            set_hook(&world, &Body::default());
        }
        let shared = ledger.clone();
        on_exit(move |_| shared.closes.store(true, Ordering::Relaxed));
        let end = if ledger.clock != Clock::Real { END } else { Duration::from_millis(60) };
        let (own, shared) = (world.clone(), ledger.clone());
        set_timeout(end, move || {
            shared.acts.store(0, Ordering::Relaxed);
            let is_deaf =
                |thing: &Rc<Thing>| matches!(&**thing, Thing::Notifier(asked) if asked.is_deaf());
            if own.things.borrow().iter().any(is_deaf) {
                shared.fault("a notifier was notified and has not called".to_owned());
            }
            own.end();
        })
        .unref();
        take(&script.main);
    };
    let mut outcome = panic::catch_unwind(AssertUnwindSafe(|| event_loop.run(main)));
    let has_exited = || ledger.ends.load(Ordering::Relaxed);
    let mut runs = 0;
    loop {
        if let Err(payload) = &outcome {
            let text = payload.downcast_ref::<String>().map_or("no text", String::as_str);
            ledger.check_panic(text);
            ledger.say("run panicked".to_owned());
        } else if has_exited() || !event_loop.is_alive() {
            break;
        }
        runs += 1;
        if has_exited() || runs == RUNS {
            break;
        }
        outcome = panic::catch_unwind(AssertUnwindSafe(|| event_loop.run(|| ())));
    }
    if runs == RUNS || outcome.is_err() {
        ledger.ends.store(true, Ordering::Relaxed); // It was left in the middle.
    }
    ledger.acts.store(0, Ordering::Relaxed);
    // The loop drops what it has, and a destructor may panic; then what is left of the script goes.
    let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(event_loop)));
    if let Err(payload) = dropped {
        ledger.check_panic(payload.downcast_ref::<String>().map_or("no text", String::as_str));
    }
    let left = WORLD.take();
    drop(left);
    let things = world.things.take();
    drop((things, world));
}
