//! A worker's handle on its parent's loop.
//!
//! Two things pass between the threads. Messages go through the two queues of a channel. The life
//! of the thread stands in [`Shared`], under a lock; after each change the thread notifies the
//! parent's mailbox. The [`WorkerHandle`] is one receiver for both, and takes its steps in a fixed
//! order: see [`Stage`].

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::WorkerError;
use super::on_shutdown::call_shutdown_hooks;
use super::shared::{Cause, GRACE, GRACE_WHEN_OVERDUE, Shared, Wait, time_to_finish};
use super::watchdog::Watchdog;
use crate::callback::slot::Once;
use crate::callback::{self, Apart, on_drop::OnDrop, slot::and_drop};
use crate::cell::peek;
use crate::channel::handler::{MessageHandler, Round};
use crate::channel::link::Link;
use crate::channel::recv::Receive;
use crate::channel::seam::Receiver;
use crate::clock::{Nanos, saturating_nanos};
use crate::error::Panic;
use crate::phase::timers::Timer;
use crate::queue::closure::Closure;
use crate::report::Laggard;
use crate::request::Completer;
use crate::state::State;
use crate::state::registration::{Handle, Registration};
use crate::sys::{self, Event};
use crate::task::waiters::{Place, Waiters};
use crate::trace::detail::{self, Detail};
use crate::trace::ring::Happened;

/// What reports call a worker.
pub(super) const KIND: &str = "worker";

/// How a worker ended: its exit code, or why it did not end by itself.
pub(super) type Outcome = Result<i32, WorkerError>;

/// How a worker ends that still runs when its parent's loop ends.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::worker::{ParentExit, Worker};
///
/// windlass::run(|| {
///     Worker::<(), ()>::builder()
///         .parent_exit(ParentExit::ShutDown(Duration::from_secs(1)))
///         .spawn(|_| println!("may finish what it has begun"))
///         .unwrap();
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentExit {
    /// It is told to [`terminate`](crate::worker::Worker::terminate).
    #[default]
    Terminate,
    /// It is asked to [`shutdown`](crate::worker::Worker::shutdown), and terminated when it has not
    /// ended after this time. Its messages to its parent are dropped meanwhile.
    ShutDown(Duration),
}

/// How much of its worker's life a parent has been told. Each stage follows the one before, and
/// none comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing. The online event comes next; messages wait behind it.
    Starting,
    /// The online event. Messages come; the error, if there is one, and the exit event follow.
    Online,
    /// The worker has ended with this code, and its messages and its error have been delivered, or
    /// the error is being delivered. Only the exit event follows.
    Ended(i32),
    /// The exit event, with this code. Nothing follows.
    Exited(i32),
}

/// A worker as its parent's loop has it.
pub(super) struct WorkerHandle<In, Out> {
    /// Its entry among the loop's handles, from the start of the thread to the exit event.
    pub(super) registration: Registration,
    /// The receiver's number in the loop's mailbox. No receiver's number before the start.
    number: Cell<u64>,
    /// The callback for its messages, and the tasks that wait for one.
    pub(super) handler: MessageHandler<Out>,
    /// The parent's end of the channel. Taken out when the loop ends.
    pub(super) link: RefCell<Option<Link<In, Out>>>,
    /// The part that the two threads share. Set once the thread has been started.
    shared: OnceCell<Arc<Shared>>,
    /// The thread. Taken out when it is joined or given up.
    thread: Cell<Option<JoinHandle<()>>>,
    /// The callback of `on_online`. Taken out by its call or by the exit event.
    pub(super) on_online: Once<dyn FnOnce()>,
    /// The callback of `on_error`. Taken out by its call or by the exit event.
    pub(super) on_error: Once<dyn FnOnce(WorkerError)>,
    /// The callback of `on_exit`. Taken out by its call.
    pub(super) on_exit: Once<dyn FnOnce(i32)>,
    /// How much of the worker's life has been told.
    stage: Cell<Stage>,
    /// In a round of messages: whether the worker's end was seen when the round began. None between
    /// rounds. Kept here and not on the stack, so that a round that goes on after a panic ends as
    /// one without a panic does: what has come meanwhile waits for the next poll phase.
    end_seen: Cell<Option<bool>>,
    /// Why it ended. None before [`Stage::Ended`], and for a worker that ended by itself.
    error: RefCell<Option<WorkerError>>,
    /// The futures that wait in `join`.
    pub(super) joins: Waiters,
    /// The requests of `terminate`. The exit event completes them.
    terminations: RefCell<Vec<Completer<i32>>>,
    /// The requests of `shutdown`, each with the timer of its deadline. The exit event completes
    /// them.
    shutdowns: RefCell<Vec<(Completer<Outcome>, Timer)>>,
    /// Looks whether the worker's loop comes round, if `on_unresponsive` was called.
    pub(super) watchdog: Cell<Option<Watchdog>>,
    /// How the worker ends when the parent's loop ends.
    parent_exit: ParentExit,
    /// In virtual time: until when the parent's loop waits at its end for a worker that it has
    /// asked to finish.
    asked_until: Cell<Nanos>,
    /// A shutdown of the parent's loop has waited for it in vain.
    overdue: Cell<bool>,
}

impl<In, Out> WorkerHandle<In, Out> {
    pub(super) fn new(
        state: &Rc<State>,
        link: Link<In, Out>,
        parent_exit: ParentExit,
    ) -> WorkerHandle<In, Out> {
        WorkerHandle {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            handler: MessageHandler::new(link.incoming.clone()),
            link: RefCell::new(Some(link)),
            shared: OnceCell::new(),
            thread: Cell::new(None),
            on_online: Once::default(),
            on_error: Once::default(),
            on_exit: Once::default(),
            stage: Cell::new(Stage::Starting),
            end_seen: Cell::new(None),
            error: RefCell::new(None),
            joins: Waiters::default(),
            terminations: RefCell::default(),
            shutdowns: RefCell::default(),
            watchdog: Cell::new(None),
            parent_exit,
            asked_until: Cell::new(Nanos::MAX),
            overdue: Cell::new(false),
        }
    }

    pub(super) fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.shared.get().expect("a Worker is given out once its thread is started")
    }

    /// Whether the online event is yet to come.
    pub(super) fn is_starting(&self) -> bool {
        self.stage.get() == Stage::Starting
    }

    /// Whether the worker's messages and its error are yet to come, as far as the parent knows.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage.get(), Stage::Starting | Stage::Online)
    }

    /// Whether the worker has ended, and that can be seen now.
    fn is_end_seen(&self, state: &State) -> bool {
        self.shared().lock().is_end_seen(state.clock.horizon())
    }

    /// The exit code, once the exit event has come.
    pub(super) fn exit_code(&self) -> Option<i32> {
        match self.stage.get() {
            Stage::Exited(code) => Some(code),
            Stage::Starting | Stage::Online | Stage::Ended(_) => None,
        }
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit_code().is_some()
    }

    /// How a worker that has exited ended. `ShutDown` if the parent's loop has ended before.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.exit_code() {
            Some(code) => Some(self.error.borrow().clone().map_or(Ok(code), Err)),
            None if self.state().is_open() => None,
            None => Some(Err(WorkerError::ShutDown)),
        }
    }

    /// Has the exit event complete this request, which holds the loop until then.
    pub(super) fn add_termination(&self, completer: Completer<i32>) {
        self.terminations.borrow_mut().push(completer);
        self.registration.set_busy(true);
    }

    /// Has the exit event complete this request, which holds the loop until then, and clear the
    /// timer of its deadline.
    pub(super) fn add_shutdown(&self, completer: Completer<Outcome>, deadline: Timer) {
        self.shutdowns.borrow_mut().push((completer, deadline));
        self.registration.set_busy(true);
    }

    /// Tells the worker that nothing more comes, behind what was posted, and that it is to end.
    pub(super) fn ask_to_finish(&self) {
        let outgoing = self.link.borrow().as_ref().map(|link| link.outgoing.clone());
        // Not before the last message, however long that is on its way.
        let last_at = outgoing.as_ref().map_or(0, |outgoing| outgoing.last_at());
        // The notice first: with nothing more to expect the worker may end, and would miss it.
        self.shared().ask_to_finish(last_at, call_shutdown_hooks);
        outgoing.iter().for_each(|outgoing| outgoing.finish());
    }

    /// Nothing more is sent to the worker. If it blocks in a receive, that ends.
    pub(super) fn close_outgoing(&self) {
        let outgoing = self.link.borrow().as_ref().map(|link| link.outgoing.clone());
        if let Some(outgoing) = outgoing {
            outgoing.close_sender();
        }
    }

    /// Asks for another look after a message was taken without the callback: it may have been the
    /// last one that the exit event waited for. Not to be called when there was no message: a task
    /// that asks again and again would keep the loop from sleeping.
    pub(super) fn look_for_end(&self) {
        if !self.has_exited() {
            self.state().delivery.call_again(self.number.get());
        }
    }

    /// Tells a detail of the worker.
    #[inline]
    fn tell(&self, happened: Happened, code: i32) {
        if !detail::is_wanted() {
            return;
        }
        let detail = Detail::new(happened, self.shared().id).amount(u64::from(code as u32));
        self.state().say(detail.of(KIND, self.registration.location()));
    }

    /// The failure of an ended worker: to `on_error`, to those that wait for its end, or else to
    /// the loop as uncaught.
    fn deliver_error(&self, state: &State, cause: Cause) {
        let (error, panic) = match cause {
            Cause::ByItself => return,
            Cause::Terminated => {
                return drop(self.error.replace(Some(WorkerError::Terminated)));
            }
            Cause::Panicked(panic) => {
                (WorkerError::Panicked(panic.message().to_owned()), Some(panic))
            }
            Cause::Failed(error) => (error, None),
        };
        self.error.replace(Some(error.clone()));
        self.tell(Happened::Failed, 0);
        let location = self.registration.location();
        if let Some((f, origin)) = self.on_error.take(KIND) {
            callback::drop_quietly(panic);
            callback::call(state, origin, || f(error));
        } else if self.joins.is_empty() && self.shutdowns.borrow().is_empty() {
            callback::raise(state, panic.unwrap_or_else(|| as_panic(&error)), location);
        }
    }

    /// The last event. The thread is gone when it comes.
    fn deliver_exit(&self, state: &State, code: i32) {
        if let Some(thread) = self.thread.take() {
            join_ended(thread);
        }
        self.stage.set(Stage::Exited(code));
        self.tell(Happened::Exited, code);
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
        // The callback for messages has had them all. It may hold its own worker.
        let on_message = self.handler.unlisten();
        let (on_online, on_error) = (Apart(self.on_online.clear()), Apart(self.on_error.clear()));
        let unused = (on_online, on_error, on_message, Apart(self.watchdog.take()));
        // Caught: what is dropped afterwards may panic too, and a panic within another one ends the
        // process.
        let on_exit = self.on_exit.take(KIND);
        let outcome =
            on_exit.map_or(Ok(()), |(f, origin)| callback::invoke(state, origin, || f(code)));
        // Its drain is also for what these destructors have queued.
        callback::settle(state, and_drop(outcome, (entry, receiver, unused)));
    }

    /// The worker may have passed its end of the channel on. With its exit that end is closed too.
    fn close_channel(&self) {
        // While this loop has the receiving end, for the end is seen at once.
        self.handler.buffer.queue().close_sender();
        self.handler.buffer.detach();
        self.close_outgoing();
        self.handler.waiters.wake();
    }

    /// Waits until the thread has ended, in virtual time without keeping others from running.
    ///
    /// There a worker has virtual time to finish. Only one that was told to end has real time, and
    /// in a simulation as much as it takes: how fast the machine is would be seen else.
    fn wait_for_end(&self, state: &State, shared: &Shared, wait: Wait) -> bool {
        let (Some(own), Some(worker)) = (&state.virtual_time, &shared.member) else {
            return shared.wait_for_end(wait);
        };
        let until = if wait == Wait::Asked { self.asked_until.get() } else { Nanos::MAX };
        let is_limited = wait == Wait::Told && own.chance().is_none();
        let limit = is_limited.then(|| shared.time_left(wait));
        state.clock.advance_to(own.join(state.clock.read(), until, worker, limit));
        shared.has_ended()
    }

    /// The thread's CPU time so far, or in all. None where the system does not tell.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let running = peek(&self.thread, |thread| thread.as_ref().and_then(sys::thread_cpu_time));
        // From the thread's end on, the figure is the one that it left.
        running.or_else(|| self.shared().lock().ended.as_ref().and_then(|ended| ended.cpu_time))
    }

    /// How many messages are on their way to the worker, and from it.
    pub(super) fn queue_lens(&self) -> (usize, usize) {
        let to_worker = self.link.borrow().as_ref().map_or(0, |link| link.outgoing.len());
        (to_worker, self.handler.buffer.queue().len())
    }
}

impl<In: 'static, Out: 'static> WorkerHandle<In, Out> {
    /// The thread has been started.
    pub(super) fn begin(
        self: &Rc<Self>,
        location: &'static Location<'static>,
        number: u64,
        shared: Arc<Shared>,
        thread: JoinHandle<()>,
    ) {
        let mailbox = self.state().mailbox.clone();
        self.handler.buffer.queue().attach(Receiver { mailbox, number });
        if let Some(link) = &*self.link.borrow() {
            link.outgoing.set_sender_thread(Some(thread::current().id()));
        }
        self.number.set(number);
        let first = self.shared.set(shared).is_ok();
        debug_assert!(first, "a worker is started once");
        self.thread.set(Some(thread));
        self.registration.open(self.clone(), location, true);
        self.tell_again();
        // As in Node, where the start of a worker ends the next wait of its parent at once.
        self.state().delivery.call_again(number);
    }

    /// Asks for a look, for a new callback, if messages wait. After the exit event they come in the
    /// pending phase.
    pub(super) fn look(self: &Rc<Self>) {
        if self.has_exited() {
            self.deliver_late(); // Also if nothing is left: it drops the callback.
        } else if self.handler.buffer.has_something(self.state().clock.horizon()) {
            self.state().delivery.call_again(self.number.get());
        }
    }

    /// Delivers the messages that were left when the worker exited, to a callback that came after.
    fn deliver_late(self: &Rc<Self>) {
        let mut late = LateDelivery { worker: self.clone(), again: false };
        self.state().push_pending(Closure::new(move || late.deliver()));
    }
}

impl<In: 'static, Out: 'static> Handle for WorkerHandle<In, Out> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tell_again(&self) {
        self.registration.receives(|| self.handler.buffer.queue().number());
        self.tell(Happened::Spawned, 0);
    }

    /// Goes from stage to stage as far as the worker has come.
    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        // A full round goes on in the next poll phase. A step that a panic interrupts goes on when
        // the panic has been dealt with: in this phase, or in a further turn.
        let again = OnDrop(|| state.delivery.call_again(self.number.get()));
        loop {
            match self.stage.get() {
                Stage::Starting => {
                    if !self.shared().lock().online {
                        return again.forget();
                    }
                    self.stage.set(Stage::Online);
                    if let Some((f, origin)) = self.on_online.take(KIND) {
                        callback::call(state, origin, f);
                    }
                }
                Stage::Online => {
                    let before = self.end_seen.get();
                    // Looked at before the messages: those that the worker posted before its end
                    // are in the queue by then.
                    let ended = before.unwrap_or_else(|| self.is_end_seen(state));
                    self.end_seen.set(Some(ended));
                    let round = self.handler.deliver(state, KIND);
                    self.end_seen.set(None);
                    if round == Round::Full {
                        return;
                    }
                    if state.is_halted() {
                        return again.forget();
                    }
                    if !ended {
                        // A call that went on with an interrupted round may have used up the notice
                        // of the end.
                        if before.is_none() || !self.is_end_seen(state) {
                            again.forget();
                        }
                        return;
                    }
                    let (code, cause) = self.shared().lock().take_end();
                    self.stage.set(Stage::Ended(code));
                    self.deliver_error(state, cause);
                }
                Stage::Ended(code) => {
                    again.forget();
                    if !state.is_halted() {
                        self.deliver_exit(state, code);
                    }
                    return;
                }
                Stage::Exited(_) => return again.forget(),
            }
        }
    }

    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {
        self.ask_to_finish();
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn explain(&self, laggard: &mut Laggard) {
        let name = peek(&self.thread, |thread| {
            thread.as_ref().and_then(|thread| thread.thread().name().map(str::to_owned))
        });
        laggard.thread = name.unwrap_or_else(|| format!("worker {}", self.shared().id));
        let shared = self.shared();
        // In virtual time one loop runs at a time, and this is its parent.
        let waits = shared.member.is_some() || shared.mailbox.is_asleep();
        let stuck_in = if waits { None } else { shared.running() };
        laggard.location = stuck_in.or(laggard.location);
        // From here on it has the time that it takes to come out of a callback which does return.
        self.overdue.set(true);
        shared.terminate();
    }

    fn begin_tear_down(&self) {
        let shared = self.shared();
        match self.parent_exit {
            _ if self.overdue.get() => {
                // In virtual time the limit of a shutdown is not in real time either.
                let is_virtual = shared.member.is_some();
                shared.begin_end(if is_virtual { GRACE } else { GRACE_WHEN_OVERDUE });
                shared.halt();
                self.close_outgoing();
            }
            ParentExit::Terminate => {
                shared.begin_end(GRACE);
                shared.halt();
                self.close_outgoing();
            }
            ParentExit::ShutDown(deadline) => {
                shared.begin_end(deadline.saturating_add(GRACE));
                let given = saturating_nanos(time_to_finish(deadline));
                self.asked_until.set(self.state().clock.read().saturating_add(given));
                self.ask_to_finish();
            }
        }
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        let shared = self.shared();
        if let ParentExit::ShutDown(_) = self.parent_exit
            && !self.overdue.get()
        {
            self.wait_for_end(state, shared, Wait::Asked);
            shared.halt();
        }
        let gone = self.wait_for_end(state, shared, Wait::Told);
        if let Some(thread) = self.thread.take() {
            if gone {
                join_ended(thread);
            } else {
                let name = thread.thread().name().unwrap_or("?").to_owned();
                let callback = crate::error::place(shared.running());
                log::error!(
                    "worker {} ({name}) is in a callback that does not return, {callback}: \
                     its thread is left alone",
                    shared.id
                );
            }
        }
        callback::drop_quietly(self.handler.unlisten());
        let unseen = self.handler.close();
        callback::drop_quietly(self.link.take());
        callback::drop_quietly(unseen);
        callback::drop_quietly(self.on_online.clear());
        callback::drop_quietly(self.on_error.clear());
        callback::drop_quietly(self.on_exit.clear());
        callback::drop_quietly(self.watchdog.take());
        for completer in self.terminations.take() {
            completer.shut_down(None);
        }
        for (completer, _) in self.shutdowns.take() {
            completer.shut_down(Some(Err(WorkerError::ShutDown)));
        }
        self.joins.wake();
        self.handler.waiters.wake();
    }
}

impl<In, Out> Receive<Out> for WorkerHandle<In, Out> {
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        if !self.state().is_open() {
            return Poll::Ready(self.handler.try_recv(Nanos::MAX));
        }
        let polled = self.handler.poll_recv(self.state().clock.horizon(), place, cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.look_for_end();
        }
        polled
    }

    fn stop_waiting(&self, place: &Place) {
        self.handler.waiters.leave(place);
    }
}

/// A delivery after the exit event, which waits for the pending phase.
struct LateDelivery<In: 'static, Out: 'static> {
    /// The worker whose messages are left.
    worker: Rc<WorkerHandle<In, Out>>,
    /// Another delivery has to follow: the round was full, or a panic passes by.
    again: bool,
}

impl<In: 'static, Out: 'static> LateDelivery<In, Out> {
    fn deliver(&mut self) {
        self.again = true;
        self.again = self.worker.handler.deliver(self.worker.state(), KIND) == Round::Full;
    }
}

impl<In: 'static, Out: 'static> Drop for LateDelivery<In, Out> {
    fn drop(&mut self) {
        if self.again && self.worker.state().is_open() {
            self.worker.deliver_late();
        } else {
            // The callback has had all, or its loop has ended. It may hold its own worker.
            drop(self.worker.handler.unlisten());
        }
    }
}

/// Joins a thread that has told of its end. Nothing of it is left that could take time or fail: see
/// `Farewell`.
fn join_ended(thread: JoinHandle<()>) {
    let outcome = thread.join();
    debug_assert!(outcome.is_ok(), "a worker's thread catches every panic");
}

/// A failure without a panic, as a panic that no hook took.
pub(super) fn as_panic(error: &WorkerError) -> Panic {
    Panic::new(Box::new(error.to_string()))
}
