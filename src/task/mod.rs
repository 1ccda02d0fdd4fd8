//! Tasks: futures on the loop. Every wake is one microtask.
//!
//! A task's future belongs to the loop's table and is taken out of it while it is polled, so that
//! whatever it does (spawn, abort itself, end the loop) finds no borrow in its way. Its waker holds
//! no part of it, only its key: a waker may live on any thread and outlive task and loop. A wake on
//! the loop's thread queues a microtask at once; from another thread it goes through the mailbox.
//! Between a wake and the poll that follows, more wakes change nothing.

pub(crate) mod scoped;
pub(crate) mod signal;
pub(crate) mod waiters;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::callback::{self, Halt};
use crate::error::{Panic, TaskError};
use crate::event_loop::State;
use crate::event_loop::current;
use crate::threads::mailbox::Mailbox;
use crate::threads::mailbox::incoming::Woken;

/// A future in the loop's table, whatever its type.
pub(crate) trait Run {
    /// Polls the future once, if it is still there.
    fn run(self: Rc<Self>, waker: &Waker);
    /// The loop ends: drops the future, and tells who waits for its output.
    fn tear_down(self: Rc<Self>);
    fn location(&self) -> &'static Location<'static>;
}

/// The tasks of a loop that have not finished.
#[derive(Default)]
pub(crate) struct Tasks {
    entries: RefCell<Slab<(u32, Rc<dyn Run>)>>,
    generation: Cell<u32>,
}

/// Names a task. Never names another one, even when its place is used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskKey {
    index: u32,
    generation: u32,
}

impl Tasks {
    pub(crate) fn insert(&self, task: Rc<dyn Run>) -> TaskKey {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let index = self.entries.borrow_mut().insert((generation, task));
        let index = u32::try_from(index).expect("a loop has fewer than 2^32 tasks");
        TaskKey { index, generation }
    }

    fn get(&self, key: TaskKey) -> Option<Rc<dyn Run>> {
        let entries = self.entries.borrow();
        let (generation, task) = entries.get(key.index as usize)?;
        (*generation == key.generation).then(|| task.clone())
    }

    /// Takes a task out, for the caller to drop.
    pub(crate) fn remove(&self, key: TaskKey) -> Option<Rc<dyn Run>> {
        let mut entries = self.entries.borrow_mut();
        let (generation, _) = entries.get(key.index as usize)?;
        if *generation != key.generation {
            return None;
        }
        Some(entries.remove(key.index as usize).1)
    }

    /// Takes all tasks out. For teardown.
    pub(crate) fn take_all(&self) -> Vec<Rc<dyn Run>> {
        self.entries.take().into_iter().map(|(_, (_, task))| task).collect()
    }

    /// Where the tasks that have not finished were spawned.
    pub(crate) fn locations(&self) -> Vec<&'static Location<'static>> {
        self.entries.borrow().iter().map(|(_, (_, task))| task.location()).collect()
    }
}

/// What a [`Waker`] of a task is made of.
pub(crate) struct TaskWaker {
    loop_id: u32,
    mailbox: Arc<Mailbox>,
    key: TaskKey,
    /// A microtask that will poll the task is on its way.
    scheduled: AtomicBool,
}

impl TaskWaker {
    pub(crate) fn new(state: &State, key: TaskKey) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            loop_id: state.id,
            mailbox: state.mailbox.clone(),
            key,
            scheduled: AtomicBool::new(false),
        })
    }

    /// Schedules the task for the first time. On the loop's thread.
    pub(crate) fn schedule(self: Arc<Self>, state: &State) {
        self.scheduled.store(true, Ordering::Release);
        self.queue_on(state);
    }

    /// Queues the microtask that polls the task. On the loop's thread.
    fn queue_on(self: Arc<Self>, state: &State) {
        if state.is_open() {
            state.microtasks.push(move || self.run());
        }
    }

    /// Has the microtask queued, from any thread.
    fn deliver(self: Arc<Self>) {
        let (loop_id, mut waker) = (self.loop_id, Some(self));
        current::find_with(loop_id, |state| {
            if let Some(waker) = waker.take() {
                waker.queue_on(state);
            }
        });
        if let Some(waker) = waker {
            // Its loop is on another thread.
            let mailbox = waker.mailbox.clone();
            mailbox.wake_task(waker);
        }
    }

    fn run(self: Arc<Self>) {
        // Cleared first: a wake during the poll asks for another one. By a swap, not by a store: whoever
        // found it set has written something before, and only who reads that one's write sees what.
        self.scheduled.swap(false, Ordering::AcqRel);
        let task = current::find_with(self.loop_id, |state| state.tasks.get(self.key));
        if let Some(task) = task.flatten() {
            task.run(&Waker::from(self));
        }
    }
}

impl Woken for TaskWaker {
    fn queue(self: Arc<Self>) {
        current::find_with(self.loop_id, |state| self.clone().queue_on(state));
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.deliver();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // No look before the swap: it could come before what the caller has written is there to be seen by
        // the poll that is on its way.
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.clone().deliver();
        }
    }
}

/// A spawned future's output, and a way to abort it.
///
/// Awaiting it gives the output, or a [`TaskError`]. Dropping it detaches the task, which runs on. A
/// task by itself does not keep the loop alive: what it awaits does.
///
/// A panic of the task goes to whoever awaits it. If the `Task` was dropped before, or is dropped unread
/// later, it goes to [`on_uncaught`](crate::on_uncaught) like the panic of any callback.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let sum = windlass::spawn(async { 1 + 2 });
///     assert_eq!(sum.await.unwrap(), 3);
/// });
/// ```
pub struct Task<T> {
    core: Rc<dyn Join<T>>,
}

/// What a `Task` can ask of its future, whatever that one's type.
trait Join<T> {
    fn abort(self: Rc<Self>);
    fn output(&self) -> &Cell<Output<T>>;
    fn detach(&self);
}

/// The way of a task's output.
enum Output<T> {
    /// Not finished; nobody has asked.
    Running,
    /// Not finished; a task waits for it.
    Awaited(Waker),
    /// Not finished; the `Task` was dropped.
    Detached,
    Finished(Result<T, TaskError>),
    /// Finished, and given to whoever awaited it.
    Taken,
}

struct Core<F: Future> {
    state: Rc<State>,
    location: &'static Location<'static>,
    key: Cell<Option<TaskKey>>,
    /// Absent while it is polled, and when it has ended.
    future: Cell<Option<Pin<Box<F>>>>,
    /// Aborted while it was polled: it is dropped as soon as the poll returns.
    aborted: Cell<bool>,
    output: Cell<Output<F::Output>>,
}

impl<F: Future + 'static> Core<F> {
    /// Ends the task: out of the table, then its output to whoever waits.
    fn finish(&self, result: Result<F::Output, TaskError>) {
        let removed = self.key.take().and_then(|key| self.state.tasks.remove(key));
        match self.output.replace(Output::Taken) {
            Output::Awaited(waker) => {
                self.output.set(Output::Finished(result));
                waker.wake();
            }
            Output::Running => self.output.set(Output::Finished(result)),
            Output::Detached => {
                drop(removed);
                if let Err(TaskError::Panicked(panic)) = result {
                    callback::raise(&self.state, panic, Some(self.location));
                }
            }
            ended @ (Output::Finished(_) | Output::Taken) => self.output.set(ended),
        }
    }
}

impl<F: Future + 'static> Core<F> {
    /// Drops the future, and finishes the task also when a destructor panics: that is a panic of the
    /// callback that is running, not of whoever waits.
    fn end(&self, future: Pin<Box<F>>, result: Result<F::Output, TaskError>) {
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(future)));
        self.finish(result);
        if let Err(payload) = dropped {
            panic::resume_unwind(payload);
        }
    }
}

impl<F: Future + 'static> Run for Core<F> {
    fn run(self: Rc<Self>, waker: &Waker) {
        let Some(mut future) = self.future.take() else { return };
        let mut context = Context::from_waker(waker);
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) if !self.aborted.get() => self.future.set(Some(future)),
            Ok(Poll::Pending) => self.end(future, Err(TaskError::Aborted)),
            Ok(Poll::Ready(output)) => self.end(future, Ok(output)),
            Err(payload) if payload.is::<Halt>() => panic::resume_unwind(payload),
            Err(payload) => {
                callback::drop_quietly(future);
                self.finish(Err(TaskError::Panicked(Panic::new(payload))));
            }
        }
    }

    fn tear_down(self: Rc<Self>) {
        log::debug!("the task spawned at {} was dropped with its loop", self.location);
        callback::drop_quietly(self.future.take());
        self.key.set(None);
        self.finish(Err(TaskError::Aborted));
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl<F: Future + 'static> Join<F::Output> for Core<F> {
    fn abort(self: Rc<Self>) {
        if self.key.get().is_none() {
            return;
        }
        match self.future.take() {
            Some(future) => {
                self.finish(Err(TaskError::Aborted));
                drop(future);
            }
            // It is aborting itself.
            None => self.aborted.set(true),
        }
    }

    fn output(&self) -> &Cell<Output<F::Output>> {
        &self.output
    }

    fn detach(&self) {
        match self.output.replace(Output::Taken) {
            Output::Running | Output::Awaited(_) => self.output.set(Output::Detached),
            Output::Finished(Err(TaskError::Panicked(panic))) if self.state.is_open() => {
                // Not from here: this may be a destructor.
                let (state, at) = (self.state.clone(), self.location);
                let raise = move || callback::raise(&state, panic, Some(at));
                self.state.microtasks.push(raise);
            }
            _ => {}
        }
    }
}

/// Runs a future on the current loop: polled first as a microtask, and again as one for every wake.
///
/// A microtask comes after the ticks and before the loop goes on. A task that wakes itself without end
/// therefore starves the loop, as any chain of microtasks does: [`yield_now`](crate::yield_now) lets I/O have its
/// turn. The future is dropped with the loop if it has not finished.
///
/// # Liveness
/// A task holds nothing, like a promise. What it awaits (a timer, a socket, a request, a port) does.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     windlass::spawn(async {
///         windlass::time::sleep(Duration::from_millis(1)).await;
///         println!("a millisecond later");
///     });
/// });
/// ```
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> Task<F::Output> {
    let state = current::expect("spawn");
    let core = Rc::new(Core {
        state: state.clone(),
        location: Location::caller(),
        key: Cell::new(None),
        future: Cell::new(None),
        aborted: Cell::new(false),
        output: Cell::new(Output::Running),
    });
    if state.is_open() {
        core.future.set(Some(Box::pin(future)));
        let key = state.tasks.insert(core.clone());
        core.key.set(Some(key));
        TaskWaker::new(&state, key).schedule(&state);
    } else {
        core.output.set(Output::Finished(Err(TaskError::Aborted)));
    }
    Task { core }
}

impl<T> Task<T> {
    /// Drops the task's future, at the next await when it is the caller itself. Awaiting it then gives
    /// [`TaskError::Aborted`]. A finished task is not changed.
    ///
    /// # Examples
    /// ```
    /// windlass::block_on(async {
    ///     let endless = windlass::spawn(std::future::pending::<()>());
    ///     endless.abort();
    ///     assert!(matches!(endless.await, Err(windlass::TaskError::Aborted)));
    /// });
    /// ```
    pub fn abort(&self) {
        self.core.clone().abort();
    }

    /// Whether the future is done: its output is there, it panicked or was aborted.
    pub fn is_finished(&self) -> bool {
        let output = self.core.output();
        let now = output.replace(Output::Taken);
        let finished = matches!(now, Output::Finished(_) | Output::Taken);
        output.set(now);
        finished
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.core.output().replace(Output::Taken) {
            Output::Finished(result) => Poll::Ready(result),
            Output::Taken => panic!("windlass: a task was polled after it was ready"),
            before => {
                self.core.output().set(Output::Awaited(cx.waker().clone()));
                drop(before);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.core.detach();
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
