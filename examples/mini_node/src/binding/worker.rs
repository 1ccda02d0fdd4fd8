//! Workers: each a windlass worker with an engine of its own. `js/internal/worker.js` makes objects
//! of them, and `js/internal/run_worker.js` is what runs in one.
//!
//! Between a worker and its parent there are two channels. One is that of `postMessage` and
//! `parentPort`. The other is the modules' own: it carries what the standard streams print and
//! read, and an error behind which the worker goes on for a while.

use std::cell::RefCell;
use std::collections::HashMap;

use rquickjs::{Ctx, Exception, Function, Object, Result, Value};
use windlass::worker::{self, Port, Worker, WorkerError, channel};

use super::{direct, ports};
use crate::callback::Callback;
use crate::clone::{self, Body, End, Message, Transfer};
use crate::engine::{self, Engine, Started};
use crate::label;
use crate::native::Natives;
use crate::node_options::NodeOptions;
use crate::program::{self, Program};

/// The stack of a worker's thread, in bytes: what its scripts may use, and as much for the rest.
const STACK_SIZE: usize = 8 << 20;

/// What a worker begins with.
struct Boot {
    /// What its parent says: see `js/internal/worker.js`.
    said: Message,
    /// The number of its port to the parent.
    parent_port: usize,
    /// The number of its port for the standard streams.
    streams: usize,
}

thread_local! {
    /// The workers of this thread that have not exited, by their ids.
    static WORKERS: RefCell<HashMap<u64, Worker<Message, Message>>> = RefCell::default();
    /// What this worker begins with, until it has begun.
    static BOOT: RefCell<Option<Boot>> = const { RefCell::new(None) };
    /// The engine of this worker: it ends with the thread, after the loop.
    static ENGINE: RefCell<Option<Started>> = const { RefCell::new(None) };
}

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.set("isMainThread", worker::is_main())?;
    natives.set("threadId", worker::id() as f64)?;
    natives.add_registering("boot", boot)?;
    natives.add_registering("spawn", spawn)?;
    natives.add("post", post)?;
    natives.add("setRef", set_ref)?;
    natives.add_registering("terminate", terminate)?;
    natives.add("fail", fail)?;
    natives.add("exitBehindDrain", exit_behind_drain)?;
    natives.add("panic", panic)?;
    Ok(natives.into_object())
}

/// The worker with this id. None when it has exited.
fn worker(id: f64) -> Option<Worker<Message, Message>> {
    WORKERS.with_borrow(|workers| workers.get(&(id as u64)).cloned())
}

/// Starts a worker. Of its `options`, `deliver(data, ports, error)` is called for its messages, and
/// `notify(what, detail)` for all else. Gives its id, and the number of the port for its streams.
fn spawn<'js>(
    ctx: Ctx<'js>,
    options: Object<'js>,
    said: Value<'js>,
    buffers: Vec<Object<'js>>,
    transferred: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<Vec<f64>> {
    if worker::is_main() {
        direct::listen();
    }
    let (deliver, notify): (Function, Function) = (options.get("deliver")?, options.get("notify")?);
    let arguments = options.get::<_, Option<Vec<String>>>("execArgv")?;
    let node_options = match arguments {
        // Looked through by `js/internal/worker.js`.
        Some(arguments) => NodeOptions::of_arguments(&arguments).unwrap_or_default(),
        None => program::current().options.for_worker(),
    };
    let said = ports::pack(&ctx, said, buffers, transferred, numbers)?;
    let (ours, theirs) = channel();
    let argv = program::current().argv.first().cloned().into_iter().collect();
    let mut builder = Worker::<Message, Message>::builder().stack_size(STACK_SIZE);
    if let Some(name) = options.get::<_, Option<String>>("name")? {
        builder = builder.name(name.replace('\0', ""));
    }
    if let Some(bytes) = options.get::<_, Option<f64>>("memoryLimit")? {
        builder = builder.memory_limit(bytes as usize);
    }
    let label = label::now();
    let worker = builder
        .spawn(move |port| {
            let program = Program { argv, options: node_options };
            label::within(label, || run(program, said, port, theirs))
        })
        .map_err(|error| Exception::throw_message(&ctx, &format!("no worker: {error}")))?;
    let id = worker.id();
    WORKERS.with_borrow_mut(|workers| workers.insert(id, worker.clone()));
    listen(&worker, &Callback::new(&ctx, deliver), &Callback::new(&ctx, notify));
    Ok(vec![id as f64, ports::insert(ours.open()) as f64])
}

/// Has JavaScript told of all that comes from a worker.
fn listen(worker: &Worker<Message, Message>, deliver: &Callback, notify: &Callback) {
    let id = worker.id();
    let online = notify.clone();
    worker.on_online(move || online.call(("online",)));
    let deliver = deliver.clone();
    worker.on_message(move |message| ports::call_with_message(&deliver, message));
    let failed = notify.clone();
    worker.on_error(move |error| tell_error(&failed, &error));
    let notify = notify.clone();
    worker.on_exit(move |code| {
        drop(WORKERS.with_borrow_mut(|workers| workers.remove(&id)));
        notify.call(("exit", code));
    });
}

/// Tells JavaScript why a worker failed.
fn tell_error(notify: &Callback, error: &WorkerError) {
    match error {
        WorkerError::OutOfMemory { .. } => notify.call(("memory",)),
        WorkerError::Failed(failure) if failure.payload::<Body>().is_some() => {
            let body = failure.payload::<Body>().cloned();
            notify.call_with(|ctx, args| {
                args.push_arg("error")?;
                match body {
                    Some(body) => args.push_arg(clone::read(ctx, body, &[])?),
                    None => Ok(()),
                }
            });
        }
        other => notify.call(("failure", other.to_string())),
    }
}

/// A worker's main script.
fn run(program: Program, said: Message, port: Port<Message, Message>, streams: End) {
    match Engine::start() {
        Ok(started) => ENGINE.set(Some(started)),
        Err(error) => {
            // Handed back if the worker has failed before, and this is its first step.
            let text = format!("no engine could be made: {error}");
            return worker::fail(text, ()).unwrap_or_default();
        }
    }
    let parent_port = ports::insert(port);
    let streams = ports::insert(streams.open());
    BOOT.set(Some(Boot { said, parent_port, streams }));
    direct::listen();
    program::main(program, "internal/run_worker");
}

/// What this worker begins with: a value, and the numbers of its ports to the parent. Once.
fn boot<'js>(ctx: Ctx<'js>) -> Result<Option<Vec<Value<'js>>>> {
    let Some(boot) = BOOT.take() else { return Ok(None) };
    let (said, _) = ports::unpack(&ctx, boot.said)?;
    let number = |number: usize| Value::new_number(ctx.clone(), number as f64);
    Ok(Some(vec![said, number(boot.parent_port), number(boot.streams)]))
}

/// Posts a value to a worker. Says whether the channel was lost: its other end was posted to it.
fn post<'js>(
    ctx: Ctx<'js>,
    id: f64,
    value: Value<'js>,
    buffers: Vec<Object<'js>>,
    transferred: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<bool> {
    let message = ports::pack(&ctx, value, buffers, transferred, numbers)?;
    let Some(worker) = worker(id) else { return Ok(false) };
    if message.ports.iter().any(|end| worker.is_peer(end)) {
        return Ok(true);
    }
    windlass::alloc::sent(message.body.size());
    worker.post(message);
    Ok(false)
}

fn set_ref(id: f64, on: bool) {
    if let Some(worker) = worker(id) {
        worker.set_ref(on);
    }
}

fn terminate(id: f64) {
    if let Some(worker) = worker(id) {
        // The exit event tells of the end; the request completes unheard.
        drop(worker.terminate());
    }
}

/// Ends this worker with an error for its parent, and with this code. Nothing after the call runs.
fn fail<'js>(ctx: Ctx<'js>, text: String, error: Value<'js>, code: i32) -> Result<()> {
    let body = clone::write(&ctx, error, &Transfer::default())?;
    // Handed back if the worker has failed before: the first failure counts.
    drop(worker::fail(text, body));
    engine::current().exit(code);
    Err(engine::unwinding(&ctx))
}

/// Ends this worker with this code, behind what is left of the drain.
fn exit_behind_drain(code: i32) {
    windlass::when_drained(move || engine::current().exit(code));
}

/// Does what an error of this program itself would do. For tests.
fn panic(text: String) {
    panic!("{text}");
}
