//! The engine of a thread: a heap of JavaScript, and how it meets the loop.
//!
//! The loop decides the order, and the engine only says what there is to do. A tick of JavaScript
//! is a tick of the loop, and all jobs of the engine (the reactions of promises) are one microtask
//! of the loop. So ticks, then microtasks, after each callback: nothing here knows that order.
//!
//! When both queues are empty, rejections that nobody has handled are judged, as in Node.

#![allow(unsafe_code)] // Calls that have no safe form: see their comments.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use rquickjs::{Context, Ctx, Error, Exception, Function, Persistent, Result, Runtime, Value, qjs};
use windlass::worker::{self, Interrupter};

use crate::binding;
use crate::builtin;
use crate::clone;
use crate::label;
use crate::memory::EngineAllocator;
use crate::native;

/// Of the thread's stack, what scripts may use. The main thread has 8 MiB, a worker is given as
/// much.
const STACK_SIZE_MAX: usize = 4 << 20;

/// A function of the built-in modules that the engine calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// `(error, fromPromise)`: an exception that nobody caught.
    Uncaught,
    /// `(kind, promise, reason)`: a promise was rejected without a handler, or got one later.
    Rejection,
    /// `()`: the queues are empty; judge the rejections. Says whether there may be more to do.
    Drained,
    /// `()`: nothing is alive.
    BeforeExit,
    /// `()`: the program ends. Says with what code.
    Exit,
    /// `()`: the script that runs is left.
    Interrupted,
    /// `(value, from)`: a message of `postMessageToThread`. Says what became of it.
    Direct,
    /// `()`: which line of a script has called what runs.
    Caller,
}

/// How many [`Hook`]s there are.
const HOOKS: usize = 8;

/// A promise and its reason, and whether it was handled by then.
type Rejection = (bool, Persistent<Value<'static>>, Persistent<Value<'static>>);

/// One engine, on one thread, for one loop.
pub(crate) struct Engine {
    /// Functions that the built-in modules have registered. Before the context: they live in it.
    hooks: RefCell<[Option<Persistent<Function<'static>>>; HOOKS]>,
    /// `internalBinding` of the built-in modules, once it is made.
    realm: RefCell<Option<Persistent<Function<'static>>>>,
    /// Rejections of which JavaScript could not be told when they came, for it had no stack left.
    untold: RefCell<Vec<Rejection>>,
    /// The global object and all that is in it.
    context: Context,
    /// The heap.
    runtime: Runtime,
    /// Calls into the engine that are under way: more than one if JavaScript called native code
    /// that calls JavaScript.
    depth: Cell<usize>,
    /// A microtask that runs the engine's jobs is queued, or runs.
    is_drain_queued: Cell<bool>,
    /// Rejections wait to be judged, when ticks and microtasks are empty.
    is_judging_queued: Cell<bool>,
    /// `process.exit` was called: no JavaScript runs any more.
    is_exiting: Cell<bool>,
    /// The panic of a native function, which goes on when JavaScript is left.
    panic: RefCell<Option<Box<dyn Any + Send>>>,
}

thread_local! {
    /// The engine of this thread.
    static CURRENT: RefCell<Option<Rc<Engine>>> = const { RefCell::new(None) };
}

/// The engine of this thread.
///
/// # Panics
/// When this thread has none: native code asks only from within a program.
pub(crate) fn current() -> Rc<Engine> {
    CURRENT.with_borrow(Clone::clone).expect("a program runs on this thread")
}

/// An engine that ends with its guard. To be dropped after the loop: callbacks live in the engine.
pub(crate) struct Started {
    /// Where the runtime is, for whoever terminates this worker. Zero when it is gone.
    address: Arc<Mutex<usize>>,
    /// Keeps what is done then.
    _interrupter: Interrupter,
}

impl Drop for Started {
    fn drop(&mut self) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        let engine = CURRENT.take();
        drop(engine);
    }
}

/// Takes the stack from the engine of a worker that is told to terminate. Runs on the thread that
/// terminates it.
///
/// The engine asks [`interrupt`] once in ten thousand loops and calls. That is at once, unless each
/// of them takes long: `for (;;) JSON.parse(text)`. Without a stack it can call nothing more, its
/// own functions included, and is soon asked.
fn take_stack(address: &Mutex<usize>) {
    let address = address.lock().unwrap_or_else(PoisonError::into_inner);
    if *address != 0 {
        // SAFETY: the runtime lives, for its address is taken away before it ends, under this lock.
        // The call writes two words of it, which the worker's thread reads and may write meanwhile.
        // That is a race by the letter of C. Each word is aligned and is read or written by one
        // instruction, and either value of either is a good one: if this one is lost,
        // [`interrupt`] ends the script.
        unsafe { qjs::JS_SetMaxStackSize(*address as *mut qjs::JSRuntime, 1) };
    }
}

impl Engine {
    /// Makes the engine of this thread.
    pub(crate) fn start() -> Result<Started> {
        let runtime = Runtime::new_with_alloc(EngineAllocator)?;
        runtime.set_max_stack_size(STACK_SIZE_MAX);
        let engine = Rc::new(Engine {
            hooks: RefCell::default(),
            realm: RefCell::default(),
            context: Context::full(&runtime)?,
            runtime,
            depth: Cell::new(0),
            is_drain_queued: Cell::new(false),
            is_judging_queued: Cell::new(false),
            untold: RefCell::default(),
            is_exiting: Cell::new(false),
            panic: RefCell::default(),
        });
        engine.runtime.set_interrupt_handler(Some(Box::new(interrupt)));
        engine.runtime.set_host_promise_rejection_tracker(Some(Box::new(
            |ctx, promise, reason, is_handled| {
                current().rejected(&ctx, promise, reason, is_handled)
            },
        )));
        let raw = engine.context.with(|ctx| {
            clone::share_buffers(&ctx);
            // SAFETY: the context lives, and knows its runtime.
            unsafe { qjs::JS_GetRuntime(ctx.as_raw().as_ptr()) as usize }
        });
        CURRENT.set(Some(engine));
        let address = Arc::new(Mutex::new(raw));
        let shared = address.clone();
        let _interrupter = worker::interrupt_with(move || take_stack(&shared));
        Ok(Started { address, _interrupter })
    }

    /// Runs `f` in the engine. What it leaves to be done is queued on the loop.
    pub(crate) fn with<R>(&self, f: impl FnOnce(Ctx<'_>) -> R) -> R {
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        let result = if depth == 0 {
            self.context.with(|ctx| {
                forget_throw(&ctx);
                f(ctx)
            })
        } else {
            // SAFETY: this call is nested in `context.with` of the same context on this thread,
            // which holds the runtime's lock; the lifetime ends with `f`, before that lock.
            f(unsafe { Ctx::from_raw(self.context.as_raw()) })
        };
        self.depth.set(depth);
        if depth == 0
            && let Some(panic) = self.panic.take()
        {
            resume_unwind(panic);
        }
        if depth == 0 && self.runtime.is_job_pending() {
            self.queue_drain();
        }
        result
    }

    /// `internalBinding` of the built-in modules' loader: how native code reaches `require`.
    pub(crate) fn set_realm<'js>(&self, ctx: &Ctx<'js>, require: Function<'js>) {
        *self.realm.borrow_mut() = Some(Persistent::save(ctx, require));
    }

    /// Gives the exports of a built-in module.
    pub(crate) fn require<'js>(&self, ctx: &Ctx<'js>, name: &str) -> Result<Value<'js>> {
        let require = self.realm.borrow().clone();
        match require {
            Some(require) => require.restore(ctx)?.call((name,)),
            None => builtin::start(ctx, self).and_then(|require| require.call((name,))),
        }
    }

    /// Registers a function of the built-in modules.
    pub(crate) fn set_hook<'js>(&self, ctx: &Ctx<'js>, hook: Hook, function: Function<'js>) {
        let before =
            self.hooks.borrow_mut()[hook as usize].replace(Persistent::save(ctx, function));
        drop(before);
    }

    /// Gives a registered function.
    pub(crate) fn hook<'js>(&self, ctx: &Ctx<'js>, hook: Hook) -> Option<Function<'js>> {
        let function = self.hooks.borrow()[hook as usize].clone()?;
        function.restore(ctx).ok()
    }

    /// Calls a registered function, and gives what it returned.
    pub(crate) fn call_hook(&self, hook: Hook) -> Option<f64> {
        self.with(|ctx| {
            let function = self.hook(&ctx, hook)?;
            let value = self.settle(&ctx, function.call::<_, Value>(()))?;
            value.as_number().or(value.as_bool().map(f64::from))
        })
    }

    /// Ends a call into JavaScript: an exception goes to the process. None if there was one.
    pub(crate) fn settle<T>(&self, ctx: &Ctx<'_>, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.uncaught(ctx, error);
                None
            }
        }
    }

    /// Gives an exception to the process: to its handlers, else it is printed, and the program
    /// ends.
    fn uncaught(&self, ctx: &Ctx<'_>, error: Error) {
        let thrown = thrown(ctx, error);
        if must_stop() {
            return; // The unwinding of `process.exit`, or of a worker that is told to end.
        }
        let outcome = match self.hook(ctx, Hook::Uncaught) {
            Some(hook) => hook.call::<_, ()>((thrown, false)),
            None => Err(ctx.throw(thrown)),
        };
        if let Err(error) = outcome {
            let thrown = crate::engine::thrown(ctx, error);
            if !must_stop() {
                // The handler of handlers has failed, or there is none yet.
                let report = describe(&thrown);
                // There is nobody else to tell it to.
                writeln!(io::stderr(), "{report}").ok();
                self.exit(1);
            }
        }
    }

    /// Ends the program when the callback that runs has ended, which [`unwinding`] sees to.
    pub(crate) fn exit(&self, code: i32) {
        self.leave();
        windlass::exit(code);
    }

    /// No JavaScript runs any more, not even of exit handlers: they have run.
    pub(crate) fn leave(&self) {
        self.is_exiting.set(true);
    }

    /// A native function has panicked: the exception with which JavaScript is left.
    pub(crate) fn panicked(&self, ctx: &Ctx<'_>, panic: Box<dyn Any + Send>) -> Error {
        let before = self.panic.replace(Some(panic));
        drop(before);
        self.leave();
        unwinding(ctx)
    }

    /// Whether the program has been told to end.
    pub(crate) fn is_exiting(&self) -> bool {
        self.is_exiting.get()
    }

    /// From here on scripts call nothing any more.
    ///
    /// The exception that leaves a script, which no `catch` takes, is taken all the same by what makes a rejection of
    /// it: `new Promise(() => process.exit())`. The script would go on, and with such promises in a loop for ever.
    /// Without a stack it can call nothing, and is soon asked again whether to leave.
    fn call_no_more(&self) {
        // SAFETY: this is called within `with`, which holds the lock; so below.
        let ctx = unsafe { Ctx::from_raw(self.context.as_raw()) };
        // Errors have no stacks any more. The function that makes them is JavaScript: were it what is interrupted, the
        // engine would drop the interruption and go on with the script.
        if let Some(hook) = self.hook(&ctx, Hook::Interrupted)
            && hook.call::<_, ()>(()).is_err()
        {
            drop(ctx.catch()); // There is no memory for it. The next interruption tries again.
        }
        // SAFETY: it changes a number of the runtime, whose lock is held. One byte is no stack at all.
        unsafe { qjs::JS_SetMaxStackSize(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), 1) };
    }

    /// Queues the microtask that runs the engine's jobs.
    fn queue_drain(&self) {
        if !self.is_drain_queued.replace(true) {
            let label = label::now_as("promises");
            let drain = move || label::within(label, || current().drain());
            label::within(label, || windlass::queue_microtask(drain));
        }
    }

    /// Runs the engine's jobs until there is none.
    pub(crate) fn drain(&self) {
        self.with(|ctx| {
            while !must_stop() && ctx.execute_pending_job() {
                forget_throw(&ctx);
            }
        });
        self.is_drain_queued.set(false);
    }

    /// Queues the judgement of rejections.
    fn queue_judging(&self) {
        if !self.is_judging_queued.replace(true) {
            let label = label::now();
            let judge = move || label::within(label, || current().judge());
            label::within(label, || windlass::when_drained(judge));
        }
    }

    /// Judges the rejections, and again after what follows from that, until there is none.
    pub(crate) fn judge(&self) {
        self.is_judging_queued.set(false);
        for (is_handled, promise, reason) in self.untold.take() {
            self.with(|ctx| {
                let values = promise.restore(&ctx).and_then(|it| Ok((it, reason.restore(&ctx)?)));
                // It is told once more, and what fails now is uncaught: else it would never end.
                let told = values.and_then(|it| self.tell_rejection(&ctx, is_handled, it));
                self.settle(&ctx, told);
            });
        }
        if !must_stop() && self.call_hook(Hook::Drained).is_some_and(|more| more != 0.0) {
            self.queue_judging();
        }
    }

    /// The engine tells of a promise that was rejected without a handler, or that got one later.
    fn rejected<'js>(
        &self,
        ctx: &Ctx<'js>,
        promise: Value<'js>,
        reason: Value<'js>,
        is_handled: bool,
    ) {
        self.queue_judging();
        let values = (promise.clone(), reason.clone());
        if self.tell_rejection(ctx, is_handled, values).is_err() {
            drop(ctx.catch());
            let (promise, reason) = (Persistent::save(ctx, promise), Persistent::save(ctx, reason));
            self.untold.borrow_mut().push((is_handled, promise, reason));
        }
    }

    /// Tells JavaScript of a promise and its reason.
    fn tell_rejection<'js>(
        &self,
        ctx: &Ctx<'js>,
        is_handled: bool,
        (promise, reason): (Value<'js>, Value<'js>),
    ) -> Result<()> {
        match self.hook(ctx, Hook::Rejection) {
            Some(hook) => hook.call((is_handled, promise, reason)),
            None => Ok(()),
        }
    }
}

/// Has the engine tell of the next throw, as `js/internal/stack.js` wants it. It tells of the first
/// that it has not seen caught, and those that a promise has taken it holds for not caught.
fn forget_throw(ctx: &Ctx<'_>) {
    const ERROR_BACK_TRACE: i32 = 2;
    let mut value = qjs::JS_UNDEFINED;
    // SAFETY: with this number the call takes a context and a place for a value, which it hands
    // over.
    unsafe {
        qjs::js_std_cmd(ERROR_BACK_TRACE, ctx.as_raw().as_ptr(), ptr::from_mut(&mut value));
        drop(Value::from_raw(ctx.clone(), value));
    }
}

/// The engine asks now and then, while a script runs, whether to leave it.
fn interrupt() -> bool {
    let stop = must_stop();
    if stop {
        current().call_no_more();
    }
    stop
}

/// Whether JavaScript of this thread is to be left: by `process.exit`, by `terminate`, or at a
/// worker's memory limit.
pub(crate) fn must_stop() -> bool {
    let is_exiting =
        CURRENT.with_borrow(|engine| engine.as_ref().is_some_and(|engine| engine.is_exiting()));
    is_exiting || windlass::must_return()
}

/// The value that was thrown.
pub(crate) fn thrown<'js>(ctx: &Ctx<'js>, error: Error) -> Value<'js> {
    if error.is_exception() {
        return ctx.catch();
    }
    // A conversion has failed: it has a text, and becomes an Error by being thrown.
    match Exception::from_message(ctx.clone(), &error.to_string()) {
        Ok(exception) => exception.into_value(),
        Err(_) => Value::new_undefined(ctx.clone()),
    }
}

/// An exception that no `catch` takes and no `finally` sees: it leaves all JavaScript.
pub(crate) fn unwinding(ctx: &Ctx<'_>) -> Error {
    match Exception::from_message(ctx.clone(), "the program ends") {
        Ok(exception) => {
            let value = exception.into_value();
            // SAFETY: the value is an Error of this context; the call only sets a flag in it.
            unsafe { qjs::JS_SetUncatchableError(ctx.as_raw().as_ptr(), value.as_raw()) };
            current().call_no_more();
            ctx.throw(value)
        }
        Err(error) => error,
    }
}

/// A thrown value in words, without the help of any module.
fn describe(thrown: &Value<'_>) -> String {
    match thrown.as_exception() {
        Some(exception) => format!("{exception}"),
        None => format!("Uncaught {thrown:?}"),
    }
}

/// Makes the modules' table of native parts reachable.
pub(crate) fn internal_binding<'js>(ctx: &Ctx<'js>) -> Result<Function<'js>> {
    native::function(ctx, binding::get)
}
