//! A worker as the program that started it has it.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::error::WorkerError;
use super::handle::{KIND, WorkerHandle, as_panic};
use super::join::Join;
use super::usage::WorkerUsage;
use super::watchdog::{Unresponsive, Watchdog};
use crate::callback;
use crate::callback::slot::Once;
use crate::channel::call::{self, Call, CallError, Reply};
use crate::channel::port::PortEnd;
use crate::channel::recv::{Receive, Recv, RecvTimeoutError};
use crate::channel::sent::Sent;
use crate::phase::timers;
use crate::report::metrics::Metrics;
use crate::request::{Completer, Request};
use crate::state::State;
use crate::state::current;
use crate::state::references::ref_methods;
use crate::trace::label::here;
use crate::unhandled::Claimable;

/// A worker: a thread with a loop of its own. `In` is what it receives, `Out` what it sends back.
///
/// `Clone`: a clone is the same worker, which lives until it exits, held or not.
///
/// # Liveness
/// A worker keeps its parent's loop alive until its exit event, unless [`unref`](Worker::unref)'d.
/// The worker's own loop is kept by what is on it: the port to the parent only while it has a
/// handler or a task waits on it.
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
    /// The worker, which its parent's loop has too until the exit event.
    handle: Rc<WorkerHandle<In, Out>>,
}

impl<In, Out> Worker<In, Out> {
    pub(super) fn of(handle: Rc<WorkerHandle<In, Out>>) -> Self {
        Worker { handle }
    }

    pub(crate) fn state(&self) -> &Rc<State> {
        self.handle.state()
    }

    /// Whether `end` is the worker's port to this parent, which it has detached and passed on. It
    /// must not be posted here: see [`Port::is_peer`](super::Port::is_peer).
    pub fn is_peer<A, B, K>(&self, end: &PortEnd<A, B, K>) -> bool {
        self.handle.link.borrow().as_ref().is_some_and(|link| link.is_peer(&end.link))
    }
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Sends a message: moved, not copied. Before the worker is up it waits; when the worker has
    /// ended, or has closed its port, it is dropped.
    pub fn post(&self, message: In) {
        drop(self.try_post(message));
    }

    /// Sends a message, or gives it back.
    ///
    /// # Errors
    /// The message itself when the worker has ended or has closed its port.
    pub fn try_post(&self, message: In) -> Result<(), In> {
        match &*self.handle.link.borrow() {
            Some(link) => link.outgoing.push(Sent::now(message)).map_err(Sent::back),
            None => Err(message),
        }
    }

    /// Calls `f` for each message of the worker. Replaces the handler before. Messages that came
    /// before there was a handler have waited.
    #[track_caller]
    pub fn on_message(&self, f: impl FnMut(Out) + 'static) {
        let worker = &self.handle;
        if !worker.state().is_open() {
            return;
        }
        let before = worker.handler.listen(Box::new(f));
        worker.look();
        drop(before);
    }

    /// Removes the handler. Later messages wait.
    pub fn off_message(&self) {
        drop(self.handle.handler.unlisten());
    }

    /// Waits for the next message; none when the worker has ended and all has been taken. Dropping
    /// the future loses nothing.
    ///
    /// Any number may wait, and beside a handler: see [`Port::recv`](super::Port::recv).
    pub fn recv(&self) -> Recv<'_, Out> {
        Recv::new(&*self.handle)
    }

    /// The next message, or keeps the task's waker until it comes; none when the worker has ended
    /// and all has been taken. One task can wait so: see
    /// [`Port::poll_recv`](super::Port::poll_recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        self.handle.poll_recv(self.handle.handler.waiters.poller(), cx)
    }

    /// Blocks this thread until there is a message, no longer than `timeout`. The loop stands still
    /// meanwhile: see [`Port::recv_timeout`](super::Port::recv_timeout).
    ///
    /// # Errors
    /// `Timeout`; `Closed` when the worker has ended and all has been taken; `WouldDeadlock` in
    /// virtual time, and when the worker has passed its port on and that is open on this same
    /// thread.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Out, RecvTimeoutError> {
        let worker = &self.handle;
        let received = worker.handler.recv_timeout(worker.state(), timeout);
        if received.is_ok() {
            worker.look_for_end();
        }
        received
    }

    /// Calls `f` when the worker's loop has begun, before its first message. Not called when that
    /// has been delivered already.
    #[track_caller]
    pub fn on_online(&self, f: impl FnOnce() + 'static) {
        self.register(&self.handle.on_online, self.handle.is_starting(), Box::new(f));
    }

    /// Calls `f` if the worker panics, [fails](super::fail) or has more memory than it may, after
    /// its last message and before its exit event. Without it, and without a wait in
    /// [`join`](Worker::join) or [`shutdown`](Worker::shutdown), that is a panic that is uncaught
    /// at the parent.
    #[track_caller]
    pub fn on_error(&self, f: impl FnOnce(WorkerError) + 'static) {
        self.register(&self.handle.on_error, self.handle.is_running(), Box::new(f));
    }

    /// Calls `f` with the exit code when the worker has ended: the last event. Not called when that
    /// has been delivered already, nor when the parent's loop ends first.
    #[track_caller]
    pub fn on_exit(&self, f: impl FnOnce(i32) + 'static) {
        self.register(&self.handle.on_exit, !self.handle.has_exited(), Box::new(f));
    }

    /// Registers the callback of an event, if that is yet to come. The one before is dropped.
    #[track_caller]
    fn register<F: ?Sized>(&self, slot: &Once<F>, to_come: bool, f: Box<F>) {
        let takes = to_come && self.state().is_open();
        drop(if takes { slot.set(f) } else { Some(f) });
    }

    /// Ends the worker: its callback that is running goes on to its end or to its next
    /// [`checkpoint`](super::checkpoint), and nothing else of it runs. Completes with the exit code
    /// when the thread is gone: 1 if this ended it.
    ///
    /// From this call on nothing more can be posted to it. A callback that never returns cannot be
    /// interrupted; one that blocks in [`recv_timeout`](super::Port::recv_timeout) at the port to
    /// its parent is told that nothing will come. What the worker has given to
    /// [`interrupt_with`](super::interrupt_with) is called here. Calling it again is harmless.
    #[track_caller]
    pub fn terminate(&self) -> Request<i32> {
        let (worker, state) = (&self.handle, self.state());
        if let Some(code) = worker.exit_code() {
            return Request::finished(state, KIND, code);
        }
        let (completer, request) = Completer::new(state, KIND, here());
        if state.is_open() {
            worker.shared().terminate();
            worker.close_outgoing();
            worker.add_termination(completer);
        } else {
            completer.shut_down(None);
        }
        request
    }

    /// Asks the worker to end, and ends it when it has not done so after `deadline`.
    ///
    /// From this call on nothing more can be posted to it. It gets what was posted before; then its
    /// port to this parent no longer holds its loop, a receive there gives none, and the hooks of
    /// [`on_shutdown`](super::on_shutdown) are called. Its loop goes on meanwhile, and it may
    /// post to its parent, until nothing is alive. Asked again, the earliest deadline counts.
    ///
    /// The deadline is a timer of this loop that does not hold it; the request does.
    ///
    /// # Errors
    /// The request completes after the worker's exit event, like [`join`](Worker::join): with the
    /// exit code if the worker ended by itself, and `Terminated` if the deadline came first. Its
    /// failure in the meantime counts as handled, unless the request was dropped.
    #[track_caller]
    pub fn shutdown(&self, deadline: Duration) -> Request<Result<i32, WorkerError>> {
        let (worker, state) = (&self.handle, self.state());
        if worker.has_exited()
            && let Some(outcome) = worker.outcome()
        {
            return Request::done(state, KIND, here(), outcome);
        }
        let (completer, request) = Completer::new(state, KIND, here());
        if !state.is_open() {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
            return request;
        }
        let (raiser, location) = (state.clone(), worker.registration.location());
        completer.on_unclaimed(move |outcome| match outcome {
            Err(
                error @ (WorkerError::Panicked(_)
                | WorkerError::Failed(_)
                | WorkerError::OutOfMemory { .. }),
            ) => {
                callback::raise_unclaimed(&raiser, KIND, as_panic(&error), location);
                None
            }
            outcome => outcome.into_lost(),
        });
        worker.ask_to_finish();
        let shared = worker.shared().clone();
        let timer = timers::set_internal(state, deadline, here(), move || shared.terminate());
        worker.add_shutdown(completer, timer);
        request
    }

    /// Calls `f` when the worker has been in one iteration of its loop for `limit`, once for each
    /// time that it does not come round: most often because of one callback, which the report
    /// names.
    ///
    /// It is looked at four times in `limit`, by a timer of this loop that does not hold it, so the
    /// report may come by a quarter late; and it does not come while this loop is blocked itself. A
    /// worker that waits for something, in its poll phase, counts as responsive. `f` decides what
    /// to do: [`terminate`](Worker::terminate) ends a worker whose callback passes
    /// [`checkpoint`](super::checkpoint)s. A callback that never returns cannot be interrupted by
    /// anything. In virtual time nothing is reported, for there no time passes in a callback.
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
        let (worker, state) = (&self.handle, self.state());
        if worker.has_exited() || !state.is_open() || state.clock.is_virtual() {
            return;
        }
        let shared = worker.shared().clone();
        // Not by a closure: the line of the caller is that of the callback.
        let _entered = current::enter(state);
        let watchdog = Watchdog::start(shared, limit, f);
        drop(worker.watchdog.replace(Some(watchdog)));
    }

    /// The worker's use of the machine: its loop's figures, CPU time, memory and queues.
    pub fn usage(&self) -> WorkerUsage {
        WorkerUsage::of(&self.handle)
    }

    /// Waits for the worker's end.
    ///
    /// Gives the exit code of a worker that ended by itself. Messages that were not taken stay for
    /// [`recv`](Worker::recv).
    ///
    /// # Errors
    /// [`WorkerError::Panicked`], [`WorkerError::Failed`], [`WorkerError::Terminated`] and
    /// [`WorkerError::OutOfMemory`].
    /// `ShutDown` when the parent's loop has ended.
    pub fn join(&self) -> Join<'_> {
        Join::new(&*self.handle)
    }

    /// The worker's number, unique in the process and never used again; in a
    /// [simulation](crate::sim) unique there, and the same in each run of a seed.
    pub fn id(&self) -> u64 {
        self.handle.shared().id
    }

    /// The figures of the worker's loop; all zero before it begins and after it has ended.
    pub fn metrics(&self) -> Metrics {
        self.handle.shared().mailbox.figures.snapshot()
    }

    ref_methods!("worker", "The worker is then terminated."; handle.registration);
}

impl<In, Out> Clone for Worker<In, Out> {
    fn clone(&self) -> Self {
        Worker { handle: self.handle.clone() }
    }
}

impl<In, Out> fmt::Debug for Worker<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.handle.shared().id)
            .field("exit", &self.handle.exit_code())
            .finish_non_exhaustive()
    }
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Posts a message that carries the way for one answer, and waits for that. `make` makes the
    /// message.
    ///
    /// For a message type that has more than questions in it:
    ///
    /// ```
    /// use windlass::worker::{Reply, Worker};
    ///
    /// enum Message {
    ///     Add(u64),
    ///     Sum(Reply<u64>),
    /// }
    ///
    /// windlass::block_on(async {
    ///     let worker = Worker::<Message, ()>::spawn(|port| {
    ///         let mut sum = 0;
    ///         port.on_message(move |message| match message {
    ///             Message::Add(number) => sum += number,
    ///             Message::Sum(reply) => reply.send(sum),
    ///         });
    ///     })?;
    ///     worker.post(Message::Add(40));
    ///     worker.post(Message::Add(2));
    ///     assert_eq!(worker.call_with(Message::Sum).await, Ok(42));
    ///     drop(worker.terminate());
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call`](Worker::call).
    #[track_caller]
    pub fn call_with<A: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<A>) -> In,
    ) -> Request<Result<A, CallError>> {
        let (reply, request, _) = call::ask(self.state(), here(), |outcome| outcome);
        self.post(make(reply));
        request
    }
}

impl<Q: Send + 'static, A: Send + 'static, Out: Send + 'static> Worker<Call<Q, A>, Out> {
    /// Asks the worker, and waits for its answer. The request holds the loop until then; it can be
    /// cancelled, and [`time::timeout`](crate::time::timeout) limits it.
    ///
    /// Answers may come in another order than the questions.
    ///
    /// # Errors
    /// [`CallError`]. No call is left without an answer: when the worker ends, the calls that it
    /// has not answered fail.
    #[track_caller]
    pub fn call(&self, message: Q) -> Request<Result<A, CallError>> {
        self.call_with(|reply| Call { message, reply })
    }
}
