//! Tasks: futures on the loop. Every wake is one microtask.
//!
//! [`spawn`] starts one, [`spawn_detached`] one of many alike. A [`Local`] has a value of one loop
//! pass a bound that asks for `Send`.

// A task's future belongs to the loop's table and is taken out of it while it is polled, so that
// whatever it does (spawn, abort itself, end the loop) finds no borrow in its way. See
// `state/tasks.rs` and `waker`.

pub(crate) mod budget;
mod local;
pub(crate) mod scoped;
pub(crate) mod signal;
pub(crate) mod span;
pub(crate) mod waiters;
pub(crate) mod waker;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::callback::slot::and_also;
use crate::callback::{self, Halt};
use crate::error::{Panic, TaskError};
use crate::state::State;
use crate::state::current;
use crate::state::key::Key;
use crate::unhandled;

use crate::state::tasks::Run;
use crate::trace::label::Shown;
use crate::trace::label::here;
use waker::TaskWaker;

pub use local::Local;

/// What reports call a task.
const KIND: &str = "task";

/// A spawned future's output, and a way to abort it.
///
/// Awaiting it gives the output, or a [`TaskError`]. Dropping it detaches the task, which runs on.
/// A task by itself does not keep the loop alive: what it awaits does.
///
/// A panic of the task goes to the task that awaits it. If the `Task` was dropped before, or is
/// dropped unread later, it goes to [`on_uncaught`](crate::on_uncaught) like the panic of any
/// callback, or to the log if the loop has ended by then.
///
/// An output that is an error goes the same way: to the task that awaits it, or else to
/// [`on_unhandled`](crate::on_unhandled), if it is a `Result<(), E>` with a known `E`: see there.
/// [`spawn_try`](crate::spawn_try) is for any error.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let sum = windlass::spawn(async { 1 + 2 });
///     assert_eq!(sum.await.unwrap(), 3);
/// });
/// ```
pub struct Task<T> {
    /// The future, whatever its type.
    future: Rc<dyn Join<T>>,
}

/// What a `Task` can ask of its future, whatever that one's type.
trait Join<T> {
    /// As [`Task::abort`].
    fn abort(self: Rc<Self>);

    /// Whether it has finished.
    fn is_finished(&self) -> bool;

    /// Where the output is.
    fn output(&self) -> &Cell<Output<T>>;

    /// The `Task` was dropped.
    fn detach(&self);
}

/// The way of a task's output.
#[derive(Default)]
enum Output<T> {
    /// Not finished; nobody has asked.
    Running,
    /// Not finished; a task waits for it.
    Awaited(Waker),
    /// Not finished; the `Task` was dropped.
    Detached,
    /// Finished; the `Task` has not been awaited since.
    Finished(Result<T, TaskError>),
    /// Finished, and given away.
    #[default]
    Taken,
}

/// A future on the loop: what its `Task` and the table of tasks share.
struct Spawned<F: Future> {
    /// Its loop.
    state: Rc<State>,
    /// The line that spawned it.
    location: &'static Location<'static>,
    /// Its entry in the table. None once it has finished.
    key: Cell<Option<Key>>,
    /// Absent while it is polled, and when it has ended.
    future: Cell<Option<Pin<Box<F>>>>,
    /// Aborted while it was polled: it is dropped as soon as the poll returns.
    aborted: Cell<bool>,
    /// Its panics are logged, and go to nobody.
    logs_panics: bool,
    /// Its output, and what waits for that.
    output: Cell<Output<F::Output>>,
}

impl<F: Future + 'static> Spawned<F> {
    /// Ends the task: takes it out of the table, then gives its output to the task that awaits it.
    fn finish(&self, result: Result<F::Output, TaskError>) {
        let removed = self.key.take().and_then(|key| self.state.tasks.remove(key));
        match self.output.replace(Output::Taken) {
            Output::Awaited(waker) => {
                self.output.set(Output::Finished(result));
                waiters::wake(waker);
            }
            Output::Running => self.output.set(Output::Finished(result)),
            Output::Detached => {
                drop(removed);
                match result {
                    Ok(output) => self.lose(output),
                    Err(TaskError::Panicked(panic)) if self.logs_panics => self.log(panic),
                    Err(TaskError::Panicked(panic)) => {
                        callback::raise(&self.state, panic, Some(self.location))
                    }
                    Err(TaskError::Aborted) => {}
                }
            }
            ended @ (Output::Finished(_) | Output::Taken) => self.output.set(ended),
        }
    }

    /// Nobody takes the output. That is told if it is an error.
    fn lose(&self, output: F::Output) {
        if let Some(lost) = unhandled::of_task(output) {
            unhandled::report(&self.state, KIND, self.location, lost);
        }
    }

    /// Drops the future, and finishes the task also when a destructor panics: that is a panic of
    /// the callback that is running, not one of the task.
    fn end(&self, future: Pin<Box<F>>, result: Result<F::Output, TaskError>) {
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(future)));
        // The output may be dropped by that, and its destructor panic too.
        match and_also(dropped, || self.finish(result)) {
            Err(payload) if self.logs_panics && !payload.is::<Halt>() => {
                self.log(Panic::new(payload));
            }
            Err(payload) => panic::resume_unwind(payload),
            Ok(()) => {}
        }
    }

    fn log(&self, panic: Panic) {
        log::error!("a task spawned at {} panicked: {}", Shown(self.location), panic.message());
        callback::drop_quietly(panic);
    }
}

impl<F: Future + 'static> Run for Spawned<F> {
    fn run(self: Rc<Self>, waker: &Waker) {
        let Some(mut future) = self.future.take() else { return };
        let mut context = Context::from_waker(waker);
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) if !self.aborted.get() => self.future.set(Some(future)),
            Ok(Poll::Pending) => self.end(future, Err(TaskError::Aborted)),
            Ok(Poll::Ready(output)) => self.end(future, Ok(output)),
            Err(payload) if payload.is::<Halt>() => {
                callback::drop_quietly(future);
                panic::resume_unwind(payload)
            }
            Err(payload) => {
                callback::drop_quietly(future);
                self.finish(Err(TaskError::Panicked(Panic::new(payload))));
            }
        }
    }

    fn tear_down(self: Rc<Self>) {
        callback::drop_quietly(self.future.take());
        self.key.set(None);
        self.finish(Err(TaskError::Aborted));
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl<F: Future + 'static> Join<F::Output> for Spawned<F> {
    fn abort(self: Rc<Self>) {
        if self.is_finished() {
            return;
        }
        match self.future.take() {
            Some(future) => {
                self.finish(Err(TaskError::Aborted));
                // Its destructor may abort another task, the future of which the next, and so on.
                callback::drop_nested(future);
            }
            // It is aborting itself.
            None => self.aborted.set(true),
        }
    }

    fn is_finished(&self) -> bool {
        self.key.get().is_none()
    }

    fn output(&self) -> &Cell<Output<F::Output>> {
        &self.output
    }

    fn detach(&self) {
        match self.output.replace(Output::Taken) {
            Output::Running | Output::Awaited(_) => self.output.set(Output::Detached),
            Output::Finished(Err(TaskError::Panicked(panic))) => {
                // Not from here: this may be a destructor.
                callback::raise_unclaimed(&self.state, KIND, panic, Some(self.location));
            }
            Output::Finished(Ok(output)) => self.lose(output),
            _ => {}
        }
    }
}

/// Runs a future on the current loop: polled first as a microtask, and again as one for every wake.
///
/// A microtask comes after the ticks and before the loop goes on. A task that wakes itself without
/// end therefore starves the loop, as any chain of microtasks does: [`yield_now`](crate::yield_now)
/// lets I/O have its turn. The future is dropped with the loop if it has not finished,
/// and named in a warning unless the program has ended the loop itself, by [`exit`](crate::exit) or
/// a stop.
///
/// An error with which it ends is in its output. Await the [`Task`], or detach it with
/// [`spawn_try`](crate::spawn_try), so that the error is heard of.
///
/// # Liveness
/// A task holds nothing, like a promise. What it awaits (a timer, a socket, a request, a port)
/// does. A wake that has come from another thread holds the loop until the poll that follows it.
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
    start(current::expect("spawn"), here(), future, false)
}

/// Runs a future on the current loop and forgets it. A panic of it costs nobody else anything: it
/// is logged at `error`, with the line that spawned it, and goes to no hook.
///
/// For one of many alike, as the connection of a server is. An output that is an error is heard of
/// by [`on_unhandled`](crate::on_unhandled), as that of a [`Task`] that was dropped. In all else as
/// [`spawn`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::spawn_detached(async { panic!("of this connection") });
///     windlass::set_immediate(|| println!("the server goes on"));
/// });
/// ```
#[track_caller]
pub fn spawn_detached<F: Future + 'static>(future: F) {
    drop(start(current::expect("spawn_detached"), here(), future, true));
}

/// As [`spawn_detached`], spawned at this line.
#[cfg(feature = "hyper")]
pub(crate) fn spawn_detached_at<F: Future + 'static>(at: &'static Location<'static>, future: F) {
    drop(start(current::expect("spawn_detached"), at, future, true));
}

fn start<F: Future + 'static>(
    state: Rc<State>,
    location: &'static Location<'static>,
    future: F,
    logs_panics: bool,
) -> Task<F::Output> {
    let (future, span) = span::traced(future, KIND, location);
    let spawned = Rc::new(Spawned {
        state: state.clone(),
        location,
        key: Cell::new(None),
        future: Cell::new(None),
        aborted: Cell::new(false),
        logs_panics,
        output: Cell::new(Output::Running),
    });
    if state.is_open() {
        spawned.future.set(Some(Box::pin(future)));
        let key = state.tasks.insert(spawned.clone());
        spawned.key.set(Some(key));
        TaskWaker::schedule(&state, key, span);
    } else {
        spawned.output.set(Output::Finished(Err(TaskError::Aborted)));
    }
    Task { future: spawned }
}

impl<T> Task<T> {
    /// Drops the task's future, at the next await when it is the caller itself. Awaiting it then
    /// gives [`TaskError::Aborted`]. A finished task is not changed.
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
        self.future.clone().abort();
    }

    /// Whether the future is done: its output is there, it panicked or was aborted.
    pub fn is_finished(&self) -> bool {
        self.future.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = self.future.output();
        if !self.is_finished() {
            // Anybody's code: it may panic, and it may finish the task.
            let waker = cx.waker().clone();
            if !self.is_finished() {
                let before = output.replace(Output::Awaited(waker));
                drop(before);
                return Poll::Pending;
            }
        }
        match output.replace(Output::Taken) {
            Output::Finished(result) => Poll::Ready(result),
            _ => panic!("windlass: a task was polled after it was ready"),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.future.detach();
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
