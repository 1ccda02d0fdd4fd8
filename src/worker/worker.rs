//! A worker: its thread, and its handle on the parent's loop.
//!
//! Two things pass between the threads. Messages go through the two halves of a channel. What becomes of the
//! thread stands in [`Shared`], under a lock; after each change the thread notifies the parent's mailbox. The
//! parent's [`Core`] is one receiver for both, and takes its steps in a fixed order: online, messages,
//! error, exit.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::inbox::{Inbox, Round};
use super::port::{CallAgain, Link, Port, PortEnd, Receive, Recv};
use crate::callback::{self, Halt};
use crate::clock::{Nanos, Stopwatch};
use crate::current;
use crate::error::{Panic, shut_down};
use crate::event_loop::{Loop, Parts, State};
use crate::handle::{Handle, Registration};
use crate::metrics::Metrics;
use crate::queue::closure::Closure;
use crate::request::{Completer, Request};
use crate::sys::Event;
use crate::threads::mailbox::Mailbox;
use crate::threads::pool::Pool;
use crate::threads::turns::Seat;

/// How long a loop that ends waits for a worker whose callback does not return.
const GRACE: Duration = Duration::from_secs(1);

/// How long the news of a worker's end takes in virtual time, so that it comes behind everything that the
/// worker posted.
const END_TAKES: Nanos = 1_000_000;

/// Why a worker ended, or a job of a [`WorkerPool`](super::WorkerPool) has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerError {
    /// A callback or the main script panicked, with this message.
    Panicked(String),
    /// It was told to terminate.
    Terminated,
    /// It ended with this code before the job was done.
    Exited(i32),
    /// No worker could be started.
    NotStarted(io::ErrorKind),
    /// The job was cancelled before it began.
    Cancelled,
    /// The pool was closed.
    Closed,
    /// The loop of whoever waits has ended.
    ShutDown,
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerError::Panicked(message) => write!(f, "the worker panicked: {message}"),
            WorkerError::Terminated => f.write_str("the worker was terminated"),
            WorkerError::Exited(code) => write!(f, "the worker exited with code {code}"),
            WorkerError::NotStarted(kind) => write!(f, "no worker could be started: {kind}"),
            WorkerError::Cancelled => f.write_str("the job was cancelled before it began"),
            WorkerError::Closed => f.write_str("the worker pool is closed"),
            WorkerError::ShutDown => fmt::Display::fmt(&crate::error::LoopGone, f),
        }
    }
}

impl Error for WorkerError {}

/// What becomes of the thread.
#[derive(Default)]
struct Status {
    /// Its loop has begun.
    online: bool,
    /// Its loop is gone, and how it ended.
    ended: Option<Ended>,
    /// In virtual time: from when on the parent sees that.
    ended_at: Nanos,
}

impl Status {
    /// How the worker ended, if that can be seen at this time.
    fn seen_ended(&mut self, now: Nanos) -> Option<&mut Ended> {
        self.ended.as_mut().filter(|_| self.ended_at <= now)
    }
}

/// How a worker ended.
struct Ended {
    code: i32,
    /// It was told to, and this is what ended it.
    terminated: bool,
    panic: Option<Panic>,
}

/// What worker and parent share besides messages.
struct Shared {
    id: u64,
    /// The worker's own mailbox, to wake and to halt it.
    mailbox: Arc<Mailbox>,
    /// It was told to terminate.
    terminated: AtomicBool,
    status: Mutex<Status>,
    /// Signalled when `ended` is set.
    end: Condvar,
    /// Where the parent hears of changes.
    parent: Arc<Mailbox>,
    /// The parent's receiver for this worker.
    number: u64,
    /// The worker's place in virtual time.
    seat: Option<Seat>,
    /// Runs from when the parent's loop ends.
    halted: Stopwatch,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_online(&self, at: Nanos) {
        self.lock().online = true;
        self.parent.notify_at(self.number, at);
    }

    fn set_ended(&self, ended: Ended, at: Nanos) {
        let mut status = self.lock();
        (status.ended, status.ended_at) = (Some(ended), at);
        drop(status);
        self.end.notify_all();
        self.parent.notify_at(self.number, at);
    }

    fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.mailbox.halt_when_seen();
    }

    /// What is left of the time that a loop that ends gives its workers. It runs for all at once.
    fn grace_left(&self) -> Duration {
        GRACE.saturating_sub(self.halted.elapsed().unwrap_or_default())
    }

    /// Waits for the end for a limited time.
    fn wait_for_end(&self) -> bool {
        let (status, limit) = (self.lock(), self.grace_left());
        let waited = self.end.wait_timeout_while(status, limit, |status| status.ended.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.ended.is_some()
    }
}

thread_local! {
    /// The worker whose thread this is.
    static THIS_WORKER: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

fn this_worker() -> Option<Arc<Shared>> {
    // Not there any more for destructors of the thread's other locals.
    THIS_WORKER.try_with(|this| this.borrow().clone()).ok().flatten()
}

/// The number of the worker that this thread is, unique in the process and never used again; 0 on other
/// threads.
pub fn id() -> u64 {
    this_worker().map_or(0, |shared| shared.id)
}

/// Whether this thread is no worker.
pub fn is_main() -> bool {
    this_worker().is_none()
}

/// Whether this worker was told to terminate, or to [`exit`](crate::exit). False on other threads.
///
/// # Examples
/// ```
/// fn count_primes(up_to: u64) -> u64 {
///     let is_prime = |n: &u64| (2..=n.isqrt()).all(|divisor| n % divisor != 0);
///     (2..up_to).take_while(|_| !windlass::worker::is_terminating()).filter(is_prime).count() as u64
/// }
/// assert_eq!(count_primes(100), 25);
/// ```
pub fn is_terminating() -> bool {
    this_worker().is_some_and(|shared| shared.mailbox.is_halted())
}

/// Ends this worker here if it was told to terminate.
///
/// The rest of the callback is left by an unwind, which drops what is on the stack and which the worker
/// catches; no message is shown. Does nothing otherwise, and on other threads.
pub fn checkpoint() {
    if is_terminating() && !thread::panicking() {
        callback::halt();
    }
}

/// Sets up a worker. Made by [`Worker::builder`].
///
/// # Examples
/// ```
/// use windlass::worker::{Port, Worker};
///
/// windlass::run(|| -> std::io::Result<()> {
///     let worker = Worker::<(), String>::builder().name("sums").spawn(|port: Port<String, ()>| {
///         port.post(std::thread::current().name().unwrap().to_owned());
///     })?;
///     worker.on_message(|name| assert_eq!(name, "sums"));
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct WorkerBuilder<In, Out> {
    name: Option<String>,
    stack_size: Option<usize>,
    pool: Option<Pool>,
    _messages: std::marker::PhantomData<fn(In) -> Out>,
}

impl<In: Send + 'static, Out: Send + 'static> WorkerBuilder<In, Out> {
    /// Names the worker's thread. Without one it is called "windlass-worker" and its id. Of a longer name
    /// the system shows the first 15 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the worker's stack, in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Gives the worker's loop a blocking pool. Without one it uses its parent's.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Starts the worker. See [`Worker::spawn`].
    ///
    /// # Errors
    /// As [`Worker::spawn`], and `InvalidInput` for a name with a zero byte.
    #[track_caller]
    pub fn spawn(
        self,
        main: impl FnOnce(Port<Out, In>) + Send + 'static,
    ) -> io::Result<Worker<In, Out>> {
        let state = current::expect("Worker::spawn");
        let location = Location::caller();
        if !state.is_open() {
            return Err(shut_down());
        }
        if self.name.as_ref().is_some_and(|name| name.contains('\0')) {
            let text = "a thread's name has no zero byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        // All that can fail is made here, so that a failure is the caller's to see.
        let pool = self.pool.unwrap_or_else(|| state.pool.clone());
        let mut parts = Loop::builder().pool(pool).spin(state.spin.limit()).parts()?;
        let (link, theirs) = Link::pair();
        let core = Rc::new(Core::<In, Out>::new(&state, link));
        let number = state.delivery.add_receiver(core.clone());
        let (now, mailbox) = (state.clock.now(), &parts.mailbox);
        let seat = state.seat.as_ref().map(|parent| parent.for_worker(mailbox, now));
        parts.seat = seat.clone().map(|seat| (seat, state.clock.for_worker()));
        let shared = Arc::new(Shared {
            id,
            mailbox: parts.mailbox.clone(),
            terminated: AtomicBool::new(false),
            status: Mutex::default(),
            end: Condvar::new(),
            parent: state.mailbox.clone(),
            number,
            seat,
            halted: Stopwatch::default(),
        });
        let mut builder = thread::Builder::new();
        builder = builder.name(self.name.unwrap_or_else(|| format!("windlass-worker-{id}")));
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let (inner, end) = (shared.clone(), PortEnd { link: theirs });
        let left = shared.clone();
        match builder.spawn(move || run(parts, &inner, end, main)) {
            Ok(thread) => {
                core.inbox.half.attach(state.mailbox.clone(), number);
                core.number.set(number);
                core.shared.replace(Some(shared));
                core.thread.set(Some(thread));
                core.registration.open(core.clone(), location, true);
                Ok(Worker { core })
            }
            Err(error) => {
                left.seat.iter().for_each(Seat::leave);
                drop(state.delivery.remove_receiver(number));
                Err(error)
            }
        }
    }
}

/// The worker's thread, from its first step to its last.
fn run<In: Send + 'static, Out: Send + 'static>(
    parts: Parts,
    shared: &Arc<Shared>,
    end: PortEnd<Out, In>,
    main: impl FnOnce(Port<Out, In>) + 'static,
) {
    THIS_WORKER.with(|this| this.replace(Some(shared.clone())));
    shared.seat.iter().for_each(Seat::sit);
    let event_loop = Loop::from_parts(parts);
    log::debug!("worker {} is online", shared.id);
    shared.set_online(event_loop.virtual_now());
    let outcome =
        panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_worker(move || main(end.open()))));
    // Whatever a destructor does there, the parent must hear of the end.
    callback::quietly(|| event_loop.tear_down());
    let exit_code = event_loop.exit_code();
    let end_seen_at = event_loop.virtual_now().saturating_add(END_TAKES);
    drop(event_loop);
    let ended = match outcome {
        Ok(by_itself) => {
            let terminated = !by_itself && shared.terminated.load(Ordering::SeqCst);
            Ended { code: if terminated { 1 } else { exit_code }, terminated, panic: None }
        }
        Err(payload) if payload.is::<Halt>() => Ended { code: 1, terminated: true, panic: None },
        Err(payload) => Ended { code: 1, terminated: false, panic: Some(Panic::new(payload)) },
    };
    log::debug!("worker {} ends with code {}", shared.id, ended.code);
    THIS_WORKER.with(|this| this.take());
    shared.set_ended(ended, end_seen_at);
    shared.seat.iter().for_each(Seat::leave);
}

/// A worker as its parent's loop has it.
struct Core<In, Out> {
    registration: Registration,
    /// The receiver's number in the loop's mailbox.
    number: Cell<u64>,
    inbox: Inbox<Out>,
    /// Taken out when the loop ends.
    link: RefCell<Option<Link<In, Out>>>,
    /// Set once the thread has been started.
    shared: RefCell<Option<Arc<Shared>>>,
    thread: Cell<Option<JoinHandle<()>>>,
    on_online: Cell<Option<Box<dyn FnOnce()>>>,
    on_error: Cell<Option<Box<dyn FnOnce(WorkerError)>>>,
    on_exit: Cell<Option<Box<dyn FnOnce(i32)>>>,
    /// The online event was delivered.
    online: Cell<bool>,
    /// The panic was delivered, or there was none.
    error_done: Cell<bool>,
    /// Why it ended, if not by itself.
    error: RefCell<Option<WorkerError>>,
    /// The exit event was delivered, with this code.
    exit: Cell<Option<i32>>,
    /// Tasks that wait in `join`, by number.
    joins: RefCell<Vec<(u64, Waker)>>,
    next_join: Cell<u64>,
    terminations: RefCell<Vec<Completer<i32>>>,
}

impl<In, Out> Core<In, Out> {
    fn new(state: &Rc<State>, link: Link<In, Out>) -> Core<In, Out> {
        Core {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            inbox: Inbox::new(link.incoming.clone()),
            link: RefCell::new(Some(link)),
            shared: RefCell::new(None),
            thread: Cell::new(None),
            on_online: Cell::new(None),
            on_error: Cell::new(None),
            on_exit: Cell::new(None),
            online: Cell::new(false),
            error_done: Cell::new(false),
            error: RefCell::new(None),
            exit: Cell::new(None),
            joins: RefCell::default(),
            next_join: Cell::new(0),
            terminations: RefCell::default(),
        }
    }

    fn shared(&self) -> Arc<Shared> {
        self.shared.borrow().clone().expect("a Worker is given out once its thread is started")
    }

    /// The panic of an ended worker: to `on_error`, to those who join, or else to the loop as uncaught.
    fn deliver_error(&self, state: &State, panic: Panic) {
        let error = WorkerError::Panicked(panic.message().to_owned());
        self.error.replace(Some(error.clone()));
        let location = self.registration.location();
        if let Some(f) = self.on_error.take() {
            callback::call(state, location, || f(error));
        } else if self.joins.borrow().is_empty() {
            callback::raise(state, panic, location);
        }
    }

    /// The last event. The thread is gone when it comes.
    fn deliver_exit(&self, state: &State, code: i32) {
        if let Some(thread) = self.thread.take() {
            // All that is left of it is the end of its closure; a panic there is none of ours.
            let outcome = thread.join();
            debug_assert!(outcome.is_ok(), "a worker's thread catches every panic");
        }
        let location = self.registration.location();
        self.exit.set(Some(code));
        let entry = self.registration.close();
        let receiver = state.delivery.remove_receiver(self.number.get());
        for completer in self.terminations.take() {
            completer.complete_later(code);
        }
        for (_, waker) in self.joins.take() {
            waker.wake();
        }
        let unused = (self.on_online.take(), self.on_error.take());
        if let Some(f) = self.on_exit.take() {
            callback::call(state, location, || f(code));
        } else {
            callback::drain(state);
        }
        drop((entry, receiver, unused));
    }

    /// Delivers what was left when the worker exited, to a handler that came after that.
    fn deliver_late(self: &Rc<Self>)
    where
        In: 'static,
        Out: 'static,
    {
        let (core, state) = (self.clone(), self.registration.state.clone());
        self.registration.state.pending.push(Closure::new(move || {
            if core.inbox.deliver(&state, None) == Round::Full {
                core.deliver_late();
            }
        }));
    }

    /// How a worker that has exited ended.
    fn outcome(&self) -> Option<Result<i32, WorkerError>> {
        if !self.registration.state.is_open() && self.exit.get().is_none() {
            return Some(Err(WorkerError::ShutDown));
        }
        let code = self.exit.get()?;
        Some(self.error.borrow().clone().map_or(Ok(code), Err))
    }
}

impl<In: 'static, Out: 'static> Handle for Core<In, Out> {
    fn kind(&self) -> &'static str {
        "worker"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        // Steps that a panic or the end of a round leaves undone are taken in the next poll phase.
        let again = CallAgain { state, number: self.number.get() };
        let location = self.registration.location();
        if !self.online.get() && self.shared().lock().online {
            self.online.set(true);
            if let Some(f) = self.on_online.take() {
                callback::call(state, location, f);
            }
        }
        let now = state.clock.horizon();
        let ended = self.shared().lock().seen_ended(now).is_some();
        if self.inbox.deliver(state, location) == Round::Full {
            return;
        }
        if !ended || state.is_halted() {
            return again.forget();
        }
        if !self.error_done.replace(true) {
            let (panic, terminated) = {
                let shared = self.shared();
                let mut status = shared.lock();
                let ended = status.seen_ended(now).expect("seen just now");
                (ended.panic.take(), ended.terminated)
            };
            if terminated {
                self.error.replace(Some(WorkerError::Terminated));
            }
            if let Some(panic) = panic {
                self.deliver_error(state, panic);
            }
        }
        let code = self.shared().lock().ended.as_ref().map(|ended| ended.code);
        again.forget();
        if self.exit.get().is_none() && !state.is_halted() {
            self.deliver_exit(state, code.expect("seen just now"));
        }
    }

    fn begin_tear_down(&self) {
        let shared = self.shared();
        shared.terminated.store(true, Ordering::SeqCst);
        shared.halted.start();
        shared.mailbox.halt();
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        let shared = self.shared();
        if let (Some(seat), Some(worker)) = (&state.seat, &shared.seat) {
            seat.wait_for(state.clock.now(), worker, shared.grace_left());
        }
        if let Some(thread) = self.thread.take() {
            if shared.wait_for_end() {
                // As in `deliver_exit`: nothing is left of it that could fail.
                let outcome = thread.join();
                debug_assert!(outcome.is_ok(), "a worker's thread catches every panic");
            } else {
                let name = thread.thread().name().unwrap_or("?").to_owned();
                log::error!(
                    "worker {} ({name}) has a callback that does not return: its thread is left alone",
                    shared.id
                );
            }
        }
        callback::drop_quietly(self.inbox.unlisten());
        callback::drop_quietly(self.link.take());
        callback::drop_quietly((self.on_online.take(), self.on_error.take(), self.on_exit.take()));
        for completer in self.terminations.take() {
            completer.shut_down(None);
        }
        let wakers = self.joins.take().into_iter().map(|(_, waker)| waker);
        wakers.chain(self.inbox.take_waiting()).for_each(Waker::wake);
    }
}

/// A worker: a thread with a loop of its own. `In` is what it receives, `Out` what it sends back.
///
/// `Clone`: a clone is the same worker, which lives until it exits, whether or not anybody holds it.
///
/// # Liveness
/// A worker keeps its parent's loop alive until its exit event, unless [`unref`](Worker::unref)'d. The worker's own loop is
/// kept by what is on it: the port to the parent only while it has a handler or a task waits on it.
///
/// # Examples
/// ```
/// use windlass::worker::Worker;
///
/// fn fib(n: u64) -> u64 {
///     if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
/// }
///
/// windlass::run(|| -> std::io::Result<()> {
///     let worker = Worker::spawn(|port| {
///         let reply = port.clone();
///         port.on_message(move |n| reply.post(fib(n)));
///     })?;
///     let own = worker.clone();
///     worker.on_message(move |answer| {
///         assert_eq!(answer, 6765);
///         drop(own.terminate());
///     });
///     worker.on_exit(|code| assert_eq!(code, 1));
///     worker.post(20);
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Worker<In, Out> {
    core: Rc<Core<In, Out>>,
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Starts a worker. `main` is its main script: it runs in the poll phase of the worker's first
    /// iteration, with the port to the parent, so that its immediates run before its timers.
    ///
    /// # Errors
    /// The system's when there are no descriptors or no threads left. Then nothing has been started,
    /// and `main` is dropped.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn spawn(main: impl FnOnce(Port<Out, In>) + Send + 'static) -> io::Result<Self> {
        Worker::builder().spawn(main)
    }

    /// Like [`spawn`](Worker::spawn), with an async main script: a task that keeps the worker alive until it is done.
    ///
    /// # Errors
    /// As [`spawn`](Worker::spawn).
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::worker::Worker;
    ///
    /// windlass::block_on(async {
    ///     let worker = Worker::<u32, u32>::spawn_async(|port| async move {
    ///         while let Some(n) = port.recv().await {
    ///             port.post(n * n);
    ///             if n == 0 { break }
    ///         }
    ///     })?;
    ///     worker.post(7);
    ///     assert_eq!(worker.recv().await, Some(49));
    ///     worker.post(0);
    ///     assert_eq!(worker.join().await, Ok(0));
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_async<F: Future<Output = ()> + 'static>(
        main: impl FnOnce(Port<Out, In>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        Worker::builder().spawn(move |port| {
            let guard = Loop::current().keep_alive();
            // Detached: a panic of the task is the worker's.
            drop(crate::spawn(async move {
                main(port).await;
                drop(guard);
            }));
        })
    }

    /// Sets up a worker with more than the defaults.
    pub fn builder() -> WorkerBuilder<In, Out> {
        WorkerBuilder {
            name: None,
            stack_size: None,
            pool: None,
            _messages: std::marker::PhantomData,
        }
    }

    /// Sends a message: moved, not copied. Before the worker is up it waits; when the worker has ended, or
    /// has closed its port, it is dropped.
    pub fn post(&self, message: In) {
        drop(self.try_post(message));
    }

    /// Sends a message, or gives it back.
    ///
    /// # Errors
    /// The message itself when the worker has ended or has closed its port.
    pub fn try_post(&self, message: In) -> Result<(), In> {
        let outgoing = self.core.link.borrow().as_ref().map(|link| link.outgoing.clone());
        match outgoing {
            Some(outgoing) => outgoing.push(message),
            None => Err(message),
        }
    }

    /// Calls `f` for each message of the worker. Replaces the handler before. What came before there was a
    /// handler has waited.
    pub fn on_message(&self, f: impl FnMut(Out) + 'static) {
        let state = &self.core.registration.state;
        if !state.is_open() {
            return;
        }
        let before = self.core.inbox.listen(Box::new(f));
        if self.core.exit.get().is_none() {
            state.delivery.call_again(self.core.number.get());
        } else {
            self.core.deliver_late();
        }
        drop(before);
    }

    /// Removes the handler. What comes from now on waits.
    pub fn off_message(&self) {
        let before = self.core.inbox.unlisten();
        drop(before);
    }

    /// Waits for the next message; none when the worker has ended and all has been taken. Dropping the
    /// future loses nothing.
    pub fn recv(&self) -> Recv<'_, Out> {
        Recv { source: &*self.core, waiting: None }
    }

    /// Calls `f` when the worker's loop has begun, before its first message. Not called when that has been
    /// delivered already.
    pub fn on_online(&self, f: impl FnOnce() + 'static) {
        let before = if self.can_be_told(!self.core.online.get()) {
            self.core.on_online.replace(Some(Box::new(f)))
        } else {
            None
        };
        drop(before);
    }

    /// Calls `f` if the worker panics, after its last message and before its exit event. Without it, and
    /// with nobody in [`join`](Worker::join), the panic is uncaught at the parent.
    pub fn on_error(&self, f: impl FnOnce(WorkerError) + 'static) {
        let before = if self.can_be_told(!self.core.error_done.get()) {
            self.core.on_error.replace(Some(Box::new(f)))
        } else {
            None
        };
        drop(before);
    }

    /// Calls `f` with the exit code when the worker has ended: the last event. Not called when that has
    /// been delivered already, nor when the parent's loop ends first.
    pub fn on_exit(&self, f: impl FnOnce(i32) + 'static) {
        let before = if self.can_be_told(self.core.exit.get().is_none()) {
            self.core.on_exit.replace(Some(Box::new(f)))
        } else {
            None
        };
        drop(before);
    }

    fn can_be_told(&self, yet_to_come: bool) -> bool {
        yet_to_come && self.core.registration.state.is_open()
    }

    /// Ends the worker: its callback that is running goes on to its end or to its next [`checkpoint`], and
    /// nothing else of it runs. Completes with the exit code when the thread is gone: 1 if this ended
    /// it.
    ///
    /// A callback that never returns cannot be interrupted. Calling it again is harmless.
    #[track_caller]
    pub fn terminate(&self) -> Request<i32> {
        let core = &self.core;
        let state = &core.registration.state;
        if let Some(code) = core.exit.get() {
            return Request::finished(state, code);
        }
        let (completer, request) = Completer::new(state, Location::caller());
        if state.is_open() {
            core.shared().terminate();
            core.terminations.borrow_mut().push(completer);
            core.registration.set_busy(true);
        } else {
            completer.shut_down(None);
        }
        request
    }

    /// Waits for the worker's end.
    ///
    /// Gives the exit code of a worker that ended by itself. Messages that nobody has taken stay for
    /// [`recv`](Worker::recv).
    ///
    /// # Errors
    /// [`WorkerError::Panicked`] and [`WorkerError::Terminated`]. `ShutDown` when the parent's loop has ended.
    pub fn join(&self) -> Join<'_> {
        let number = self.core.next_join.get();
        self.core.next_join.set(number + 1);
        Join { source: &*self.core, number }
    }

    /// The worker's number, unique in the process and never used again.
    pub fn id(&self) -> u64 {
        self.core.shared().id
    }

    /// The figures of the worker's loop; all zero before it begins and after it has ended.
    pub fn metrics(&self) -> Metrics {
        self.core.shared().mailbox.figures.snapshot()
    }

    /// Lets the parent's loop end although the worker runs; the worker is then terminated.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the worker keeps the parent's loop alive.
    pub fn set_ref(&self, on: bool) {
        self.core.registration.set_ref(on);
    }

    /// Whether the worker keeps the parent's loop alive.
    pub fn has_ref(&self) -> bool {
        self.core.registration.has_ref()
    }
}

impl<In, Out> Clone for Worker<In, Out> {
    fn clone(&self) -> Self {
        Worker { core: self.core.clone() }
    }
}

impl<In, Out> fmt::Debug for Worker<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.core.shared().id)
            .field("exit", &self.core.exit.get())
            .finish_non_exhaustive()
    }
}

impl<In, Out> Receive<Out> for Core<In, Out> {
    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        if !self.registration.state.is_open() {
            return Poll::Ready(self.inbox.try_recv(Nanos::MAX));
        }
        let polled = self.inbox.poll_recv(self.registration.state.clock.horizon(), cx);
        if polled.is_ready() && self.exit.get().is_none() {
            // The queue may have been all that the exit event waited for.
            self.registration.state.delivery.call_again(self.number.get());
        }
        polled
    }

    fn stop_waiting(&self, own: &Waker) {
        drop(self.inbox.take_own_waiting(own));
    }
}

/// What a [`Join`] waits for.
trait JoinSource {
    fn poll_join(&self, number: u64, cx: &mut Context<'_>) -> Poll<Result<i32, WorkerError>>;
    fn stop_joining(&self, number: u64);
}

impl<In, Out> JoinSource for Core<In, Out> {
    fn poll_join(&self, number: u64, cx: &mut Context<'_>) -> Poll<Result<i32, WorkerError>> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        self.stop_joining(number);
        self.joins.borrow_mut().push((number, cx.waker().clone()));
        Poll::Pending
    }

    fn stop_joining(&self, number: u64) {
        let waker = {
            let mut joins = self.joins.borrow_mut();
            let index = joins.iter().position(|(other, _)| *other == number);
            index.map(|index| joins.swap_remove(index))
        };
        drop(waker);
    }
}

/// A wait for a worker's end. Made by [`Worker::join`].
pub struct Join<'a> {
    source: &'a dyn JoinSource,
    number: u64,
}

impl Future for Join<'_> {
    type Output = Result<i32, WorkerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.source.poll_join(self.number, cx)
    }
}

impl Drop for Join<'_> {
    fn drop(&mut self) {
        self.source.stop_joining(self.number);
    }
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
