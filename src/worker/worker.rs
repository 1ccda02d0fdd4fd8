//! A worker's handle on its parent's loop.
//!
//! Two things pass between the threads. Messages go through the two halves of a channel. What becomes of the
//! thread stands in `Shared`, under a lock; after each change the thread notifies the parent's mailbox. The
//! parent's [`Core`] is one receiver for both, and takes its steps in a fixed order: online, messages,
//! error, exit.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::WorkerError;
use super::builder::{ParentExit, WorkerBuilder};
use super::shared::{Cause, GRACE, Shared, Wait};
use super::usage::WorkerUsage;
use super::watch::{Unresponsive, Watch};
use crate::callback;
use crate::channel::handler::{Inbox, Round};
use crate::channel::outside::Receiver;
use crate::channel::port::{CallAgain, Link, Port, PortEnd, Receive, Recv, RecvTimeoutError};
use crate::channel::queue::Popped;
use crate::clock::Nanos;
use crate::error::Panic;
use crate::event_loop::{Loop, State};
use crate::handle::{Handle, Registration};
use crate::metrics::Metrics;
use crate::phase::timers::{Timer, set_timeout};
use crate::queue::closure::Closure;
use crate::request::{Completer, Request};
use crate::sys::{self, Event};
use crate::task::waiters::{Place, Waiters};

type Outcome = Result<i32, WorkerError>;

/// A worker as its parent's loop has it.
pub(super) struct Core<In, Out> {
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
    /// The futures that wait in `join`.
    joins: Waiters,
    terminations: RefCell<Vec<Completer<i32>>>,
    /// Those who asked it to shut down, and the timer of each deadline.
    shutdowns: RefCell<Vec<(Completer<Outcome>, Timer)>>,
    /// Looks whether it comes round.
    watch: Cell<Option<Watch>>,
    /// What becomes of it when the parent's loop ends.
    parent_exit: ParentExit,
    /// The CPU time of the whole thread, once it has ended.
    cpu_time: Cell<Option<Duration>>,
}

impl<In, Out> Core<In, Out> {
    pub(super) fn new(
        state: &Rc<State>,
        link: Link<In, Out>,
        parent_exit: ParentExit,
    ) -> Core<In, Out> {
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
            joins: Waiters::default(),
            terminations: RefCell::default(),
            shutdowns: RefCell::default(),
            watch: Cell::new(None),
            parent_exit,
            cpu_time: Cell::new(None),
        }
    }

    /// The thread has been started.
    pub(super) fn begin(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        number: u64,
        shared: Arc<Shared>,
        thread: JoinHandle<()>,
    ) where
        In: 'static,
        Out: 'static,
    {
        let mailbox = self.registration.state.mailbox.clone();
        self.inbox.intake.half().attach(Receiver { mailbox, number });
        if let Some(link) = &*self.link.borrow() {
            link.outgoing.set_sender_thread(Some(thread::current().id()));
        }
        self.number.set(number);
        self.shared.replace(Some(shared));
        self.thread.set(Some(thread));
        self.registration.open(self.clone(), location, true);
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.borrow().clone().expect("a Worker is given out once its thread is started")
    }

    /// Whether the worker has exited as far as its parent knows.
    pub(super) fn has_exited(&self) -> bool {
        self.exit.get().is_some()
    }

    /// The failure of an ended worker: to `on_error`, to those who wait for its end, or else to the loop as
    /// uncaught.
    fn deliver_error(&self, state: &State, error: WorkerError, panic: Option<Panic>) {
        self.error.replace(Some(error.clone()));
        let location = self.registration.location();
        if let Some(f) = self.on_error.take() {
            callback::call(state, location, || f(error));
        } else if self.joins.is_empty() && self.shutdowns.borrow().is_empty() {
            callback::raise(state, panic.unwrap_or_else(|| as_panic(&error)), location);
        }
    }

    /// The last event. The thread is gone when it comes.
    fn deliver_exit(&self, state: &State, code: i32) {
        if let Some(thread) = self.thread.take() {
            // Nothing of it is left that could take time (see `Farewell`) or fail.
            let outcome = thread.join();
            debug_assert!(outcome.is_ok(), "a worker's thread catches every panic");
        }
        let location = self.registration.location();
        self.exit.set(Some(code));
        let entry = self.registration.close();
        let receiver = state.delivery.remove_receiver(self.number.get());
        self.close_channel();
        for completer in self.terminations.take() {
            completer.complete_later(code);
        }
        for (completer, deadline) in self.shutdowns.take() {
            deadline.clear();
            let error = self.error.borrow().clone();
            completer.complete_later(error.map_or(Ok(code), Err));
        }
        self.joins.wake();
        // The handler has had all its messages. It may hold its own worker.
        let handler = self.inbox.unlisten();
        let unused = (self.on_online.take(), self.on_error.take(), handler, self.watch.take());
        if let Some(f) = self.on_exit.take() {
            callback::call(state, location, || f(code));
        }
        drop((entry, receiver, unused));
        callback::drain(state); // Also what their destructors have queued.
    }

    /// The worker may have passed its end of the channel on. With its exit that end is closed too.
    fn close_channel(&self) {
        self.inbox.intake.detach();
        self.inbox.intake.half().close_sender();
        self.close_outgoing();
        self.inbox.waiters.wake();
    }

    /// Nothing more is sent to the worker. If it blocks in a receive, that ends.
    fn close_outgoing(&self) {
        let outgoing = self.link.borrow().as_ref().map(|link| link.outgoing.clone());
        if let Some(outgoing) = outgoing {
            outgoing.close_sender();
        }
    }

    /// Delivers what was left when the worker exited, to a handler that came after that.
    fn deliver_late(self: &Rc<Self>)
    where
        In: 'static,
        Out: 'static,
    {
        let mut late = Late { core: self.clone(), again: false };
        self.registration.state.pending.push(Closure::new(move || late.deliver()));
    }

    /// Asks for another look, after a message was taken without the handler: it may have been all that the exit
    /// event waited for. Not when there was none, else who asks again and again keeps the loop from sleeping.
    fn look_again(&self) {
        if !self.has_exited() {
            self.registration.state.delivery.call_again(self.number.get());
        }
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
        if self.inbox.deliver(state) == Round::Full {
            return;
        }
        if !ended || state.is_halted() {
            return again.forget();
        }
        if !self.error_done.replace(true) {
            let cause = {
                let shared = self.shared();
                let mut status = shared.lock();
                let ended = status.seen_ended(now).expect("the worker has ended");
                self.cpu_time.set(ended.cpu_time);
                std::mem::replace(&mut ended.cause, Cause::ByItself)
            };
            match cause {
                Cause::ByItself => {}
                Cause::Terminated => drop(self.error.replace(Some(WorkerError::Terminated))),
                Cause::Panicked(panic) => {
                    let error = WorkerError::Panicked(panic.message().to_owned());
                    self.deliver_error(state, error, Some(panic));
                }
                Cause::OutOfMemory(error) => self.deliver_error(state, error, None),
            }
        }
        let code = self.shared().lock().ended.as_ref().map(|ended| ended.code);
        again.forget();
        if self.exit.get().is_none() && !state.is_halted() {
            self.deliver_exit(state, code.expect("the worker has ended"));
        }
    }

    fn begin_tear_down(&self) {
        let shared = self.shared();
        match self.parent_exit {
            ParentExit::Terminate => {
                shared.begin_end(GRACE);
                shared.halt();
                self.close_outgoing();
            }
            ParentExit::ShutDown(deadline) => {
                shared.begin_end(deadline.saturating_add(GRACE));
                self.ask_to_finish();
            }
        }
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        let shared = self.shared();
        if let ParentExit::ShutDown(_) = self.parent_exit {
            self.wait_for_end(state, &shared, Wait::Asked);
            shared.halt();
        }
        let gone = self.wait_for_end(state, &shared, Wait::Told);
        if let Some(thread) = self.thread.take() {
            if gone {
                // As in `deliver_exit`: nothing is left of it that could fail.
                let outcome = thread.join();
                debug_assert!(outcome.is_ok(), "a worker's thread catches every panic");
            } else {
                let name = thread.thread().name().unwrap_or("?").to_owned();
                let callback = crate::error::place(shared.running());
                log::error!(
                    "worker {} ({name}) is in a callback that does not return, {callback}: its thread is left \
                     alone",
                    shared.id
                );
            }
        }
        callback::drop_quietly(self.inbox.unlisten());
        let unseen = self.inbox.intake.close();
        callback::drop_quietly(self.link.take());
        callback::drop_quietly(unseen);
        callback::drop_quietly((self.on_online.take(), self.on_error.take(), self.on_exit.take()));
        callback::drop_quietly(self.watch.take());
        for completer in self.terminations.take() {
            completer.shut_down(None);
        }
        for (completer, _) in self.shutdowns.take() {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        self.joins.wake();
        self.inbox.waiters.wake();
    }
}

impl<In, Out> Core<In, Out> {
    /// Tells the worker that nothing more comes, behind what was posted, and that it is to end.
    fn ask_to_finish(&self) {
        // The notice first: with nothing more to expect the worker may end, and would miss it.
        self.shared().ask_to_finish();
        if let Some(link) = &*self.link.borrow() {
            link.outgoing.finish();
        }
    }

    /// Waits until the thread has ended, in virtual time without keeping the turn.
    fn wait_for_end(&self, state: &State, shared: &Shared, wait: Wait) -> bool {
        if let (Some(own), Some(worker)) = (&state.virtual_time, &shared.member) {
            own.join(state.clock.now(), worker, shared.time_left(wait));
        }
        shared.wait_for_end(wait)
    }

    /// The thread's CPU time so far, or in all.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        if self.has_exited() {
            return self.cpu_time.get();
        }
        let thread = self.thread.take();
        let running = thread.as_ref().and_then(sys::thread_cpu_time);
        self.thread.set(thread);
        // Between the thread's end and its exit event it is told by what it left.
        running.or_else(|| self.shared().lock().ended.as_ref().and_then(|ended| ended.cpu_time))
    }

    /// Messages on their way to the worker, and from it.
    pub(super) fn queue_lens(&self) -> (usize, usize) {
        let to_worker = self.link.borrow().as_ref().map_or(0, |link| link.outgoing.len());
        (to_worker, self.inbox.intake.half().len())
    }
}

/// A late delivery that waits for its turn.
struct Late<In: 'static, Out: 'static> {
    core: Rc<Core<In, Out>>,
    /// Something is left: the round was full, or a panic passes by.
    again: bool,
}

impl<In: 'static, Out: 'static> Late<In, Out> {
    fn deliver(&mut self) {
        self.again = true;
        self.again = self.core.inbox.deliver(&self.core.registration.state) == Round::Full;
    }
}

impl<In: 'static, Out: 'static> Drop for Late<In, Out> {
    fn drop(&mut self) {
        if self.again && self.core.registration.state.is_open() {
            self.core.deliver_late();
        } else {
            // It has had all, or its loop has ended. It may hold its own worker.
            drop(self.core.inbox.unlisten());
        }
    }
}

/// A failure without a panic, as the panic that nobody took.
fn as_panic(error: &WorkerError) -> Panic {
    Panic::new(Box::new(error.to_string()))
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

impl<In, Out> Worker<In, Out> {
    pub(super) fn of(core: Rc<Core<In, Out>>) -> Self {
        Worker { core }
    }

    pub(crate) fn state(&self) -> &Rc<State> {
        &self.core.registration.state
    }

    /// Whether `end` is the worker's port to this parent, which it has detached and passed on. It must not be posted
    /// here: see [`Port::is_peer`].
    pub fn is_peer<A, B, K>(&self, end: &PortEnd<A, B, K>) -> bool {
        self.core.link.borrow().as_ref().is_some_and(|link| link.is_peer(&end.link))
    }
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Starts a worker. `main` is its main script: it runs in the poll phase of the worker's first
    /// iteration, with the port to the parent, so that its immediates run before its timers.
    ///
    /// # Errors
    /// The system's when there are no threads left. Then nothing has been started, and `main` is dropped. The
    /// worker's loop takes its two descriptors with its first source, which fails when there are none.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(
            note = "with panic = \"abort\" a worker's panic ends the whole process, and a checkpoint does not end the worker"
        )
    )]
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
    #[cfg_attr(
        panic = "abort",
        deprecated(
            note = "with panic = \"abort\" a worker's panic ends the whole process, and a checkpoint does not end the worker"
        )
    )]
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
        WorkerBuilder::new()
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
        match &*self.core.link.borrow() {
            Some(link) => link.outgoing.push(message),
            None => Err(message),
        }
    }

    /// Calls `f` for each message of the worker. Replaces the handler before. What came before there was a
    /// handler has waited.
    #[track_caller]
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
    ///
    /// Any number may wait, and beside a handler: see [`Port::recv`].
    pub fn recv(&self) -> Recv<'_, Out> {
        Recv::new(&*self.core)
    }

    /// Blocks this thread until there is a message, no longer than `timeout`. The loop stands still
    /// meanwhile: see [`Port::recv_timeout`].
    ///
    /// # Errors
    /// `Timeout`; `Closed` when the worker has ended and all has been taken; `WouldDeadlock` in virtual
    /// time, and when the worker has passed its port on and that is open on this same thread.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Out, RecvTimeoutError> {
        let state = &self.core.registration.state;
        let intake = &self.core.inbox.intake;
        // The worker may have passed its end on to this very thread.
        let own_peer = intake.half().sender_thread() == Some(thread::current().id());
        let refuses = own_peer || state.clock.is_virtual();
        let popped = if refuses || !state.is_open() {
            intake.pop(state.clock.horizon())
        } else {
            intake.pop_within(timeout)
        };
        match popped {
            Popped::Message(message) => {
                self.core.look_again();
                Ok(message)
            }
            Popped::Finished | Popped::Closed => Err(RecvTimeoutError::Closed),
            Popped::Empty if refuses => Err(RecvTimeoutError::WouldDeadlock),
            Popped::Empty => Err(RecvTimeoutError::Timeout),
        }
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

    /// Calls `f` if the worker panics or has more memory than it may, after its last message and before its exit event. Without it, and
    /// with nobody in [`join`](Worker::join) or [`shutdown`](Worker::shutdown), that is a panic that is uncaught at the parent.
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

    /// Ends the worker: its callback that is running goes on to its end or to its next [`checkpoint`](super::checkpoint), and
    /// nothing else of it runs. Completes with the exit code when the thread is gone: 1 if this ended
    /// it.
    ///
    /// From this call on nothing more can be posted to it. A callback that never returns cannot be interrupted; one that
    /// blocks in [`recv_timeout`](Port::recv_timeout) at the port to its parent is told that nothing will come. Calling it
    /// again is harmless.
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
            core.close_outgoing();
            core.terminations.borrow_mut().push(completer);
            core.registration.set_busy(true);
        } else {
            completer.shut_down(None);
        }
        request
    }

    /// Asks the worker to end, and ends it when it has not done so after `deadline`.
    ///
    /// From this call on nothing more can be posted to it. It gets what was posted before; then its port
    /// to this parent no longer holds its loop, a receive there gives none, and the hooks of
    /// [`on_terminating`](super::on_terminating) are called. What it has on its loop goes on meanwhile, and it may
    /// post to its parent, until nothing is alive. Asked again, the earliest deadline counts.
    ///
    /// The deadline is a timer of this loop that does not hold it; the request does.
    ///
    /// # Errors
    /// The request completes after the worker's exit event, like [`join`](Worker::join): with the exit code
    /// if the worker ended by itself, and `Terminated` if the deadline came first. Its failure in the
    /// meantime counts as handled, unless the request was dropped.
    #[track_caller]
    pub fn shutdown(&self, deadline: Duration) -> Request<Result<i32, WorkerError>> {
        let core = &self.core;
        let state = &core.registration.state;
        if core.has_exited()
            && let Some(outcome) = core.outcome()
        {
            return Request::finished(state, outcome);
        }
        let (completer, request) = Completer::new(state, Location::caller());
        if !state.is_open() {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
            return request;
        }
        let (raiser, location) = (state.clone(), core.registration.location());
        completer.on_unclaimed(move |outcome| {
            if let Err(error @ (WorkerError::Panicked(_) | WorkerError::OutOfMemory { .. })) =
                outcome
            {
                callback::raise(&raiser, as_panic(&error), location);
            }
        });
        core.ask_to_finish();
        let shared = core.shared();
        let timer = state.enter_for(|| set_timeout(deadline, move || shared.terminate()));
        timer.set_ref(false);
        core.shutdowns.borrow_mut().push((completer, timer));
        core.registration.set_busy(true);
        request
    }

    /// Calls `f` when the worker has been in one iteration of its loop for `limit`, once for each time that
    /// it does not come round: most often because of one callback, which the report names.
    ///
    /// It is looked at four times in `limit`, by a timer of this loop that does not hold it, so the report may
    /// come by a quarter late; and it does not come while this loop is blocked itself. A worker that
    /// waits for something, in its poll phase, is not unresponsive. What to do is for `f` to say:
    /// [`terminate`](Worker::terminate) ends a worker whose callback passes
    /// [`checkpoint`](super::checkpoint)s. A callback that never returns cannot be interrupted by anything. In
    /// virtual time nothing is reported, for there no time passes in a callback.
    ///
    /// Replaces the callback before. It is dropped at the exit.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::worker::{self, Worker};
    ///
    /// windlass::run(|| -> std::io::Result<()> {
    ///     let worker = Worker::<(), ()>::spawn(|_port| loop {
    ///         worker::checkpoint(); // A computation that takes too long.
    ///     })?;
    ///     let stuck = worker.clone();
    ///     worker.on_unresponsive(Duration::from_millis(20), move |report| {
    ///         assert!(report.callback.is_some());
    ///         drop(stuck.terminate());
    ///     });
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn on_unresponsive(&self, limit: Duration, f: impl FnMut(Unresponsive) + 'static) {
        let core = &self.core;
        let state = &core.registration.state;
        let before = if self.can_be_told(!core.has_exited()) && !state.clock.is_virtual() {
            let shared = core.shared();
            core.watch.replace(Some(state.enter_for(|| Watch::start(shared, limit, f))))
        } else {
            None
        };
        drop(before);
    }

    /// What the worker uses: its loop's figures, CPU time, memory and queues.
    pub fn usage(&self) -> WorkerUsage {
        WorkerUsage::of(&self.core)
    }

    /// Waits for the worker's end.
    ///
    /// Gives the exit code of a worker that ended by itself. Messages that nobody has taken stay for
    /// [`recv`](Worker::recv).
    ///
    /// # Errors
    /// [`WorkerError::Panicked`], [`WorkerError::Terminated`] and [`WorkerError::OutOfMemory`]. `ShutDown` when the parent's loop has ended.
    pub fn join(&self) -> Join<'_> {
        Join { source: &*self.core, place: Place::default() }
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
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        if !self.registration.state.is_open() {
            return Poll::Ready(self.inbox.try_recv(Nanos::MAX));
        }
        let polled = self.inbox.poll_recv(self.registration.state.clock.horizon(), place, cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.look_again();
        }
        polled
    }

    fn stop_waiting(&self, place: &Place) {
        self.inbox.waiters.leave(place);
    }
}

/// What a [`Join`] waits for.
trait JoinSource {
    fn poll_join(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Result<i32, WorkerError>>;
    fn stop_joining(&self, place: &Place);
}

impl<In, Out> JoinSource for Core<In, Out> {
    fn poll_join(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Result<i32, WorkerError>> {
        if let Some(outcome) = self.outcome() {
            self.joins.leave(place);
            return Poll::Ready(outcome);
        }
        self.joins.wait(place, cx);
        Poll::Pending
    }

    fn stop_joining(&self, place: &Place) {
        self.joins.leave(place);
    }
}

/// A wait for a worker's end. Made by [`Worker::join`].
pub struct Join<'a> {
    source: &'a dyn JoinSource,
    /// Its place among those who wait.
    place: Place,
}

impl Future for Join<'_> {
    type Output = Result<i32, WorkerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.source.poll_join(&self.place, cx)
    }
}

impl Drop for Join<'_> {
    fn drop(&mut self) {
        self.source.stop_joining(&self.place);
    }
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
