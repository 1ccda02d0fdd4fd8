//! The starting of a worker.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::direct;
use super::handle::{ParentExit, WorkerHandle};
use super::inherited::{self, Values};
use super::shared::Shared;
use super::start::Start;
use super::worker::Worker;
use crate::alloc;
use crate::channel::link::Link;
use crate::channel::port::{Port, PortEnd};
use crate::error::shut_down;
use crate::event_loop::Loop;
use crate::pool::Pool;
use crate::state::current;
use crate::trace::cause;
use crate::trace::label::{InForce, Shown, here};
use crate::virtual_time::chance::Chance;
use crate::virtual_time::scheduler::Member;

/// Sets up a worker. Made by [`Worker::builder`].
/// A worker inherits from the loop that starts it: the blocking pool, unless it is given one,
/// virtual time, and the [`environment`](super::environment). All are copied at that moment. All
/// else that a worker begins with is in its closure.
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
pub struct WorkerBuilder<In, Out> {
    /// The thread's name. None for the usual one.
    name: Option<String>,
    /// In bytes. None for the standard library's.
    stack_size: Option<usize>,
    /// The blocking pool. None for the parent's.
    pool: Option<Pool>,
    /// In bytes. None for no limit.
    memory_limit: Option<usize>,
    /// How the worker ends when its parent's loop ends.
    parent_exit: ParentExit,
    /// Whether those who observe the process see its loop. None for what holds for the parent's.
    observed: Option<bool>,
    /// These values replace inherited ones of the same type.
    environment: Values,
    /// Names the types of the messages. Holds nothing.
    _messages: PhantomData<fn(In) -> Out>,
}

impl<In, Out> WorkerBuilder<In, Out> {
    pub(super) fn new() -> Self {
        WorkerBuilder {
            name: None,
            stack_size: None,
            pool: None,
            memory_limit: None,
            parent_exit: ParentExit::default(),
            observed: None,
            environment: Values::default(),
            _messages: PhantomData,
        }
    }
}

impl<In: Send + 'static, Out: Send + 'static> WorkerBuilder<In, Out> {
    /// Names the worker's thread. Without one it is called "windlass-worker" and its id. Of a
    /// longer name the system shows the first 15 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the worker's stack, in bytes. Without it, it is that of any Rust thread: 2
    /// MiB, or `RUST_MIN_STACK`.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Gives the worker's loop a blocking pool. Without one it uses its parent's.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Adds a value to what the worker finds as its [`environment`](super::environment), in place
    /// of one of the same type that it would inherit.
    pub fn environment<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        drop(self.environment.set(value));
        self
    }

    /// Ends the worker when its thread has more than this number of bytes allocated: a soft limit,
    /// looked at between callbacks and at [`checkpoint`](super::checkpoint)s. Nothing of it runs
    /// any more then, and the parent gets
    /// [`WorkerError::OutOfMemory`](super::WorkerError::OutOfMemory). Other workers are not
    /// touched.
    ///
    /// Needs the allocator [`alloc::Counting`]; see there for what is counted, and how messages
    /// are. One huge allocation is not refused. Node: `resourceLimits`.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Says how the worker ends when its parent's loop ends. Without it, the worker is terminated.
    ///
    /// A loop that ends waits for its workers: for one that is shut down as long as is given here,
    /// for one that is terminated a second. That includes the destructors of its thread's locals. A
    /// worker that ends with its parent's loop gives its own workers three quarters of the time
    /// that it has left itself. In virtual time a worker that is shut down has its time there; in a
    /// [simulation](crate::sim) one that is terminated is waited for without a limit.
    pub fn parent_exit(mut self, what: ParentExit) -> Self {
        self.parent_exit = what;
        self
    }

    /// Sets whether those who observe the process see the worker's loop: see
    /// [`Builder::observed`](crate::Builder::observed). Without it that is as for the loop that
    /// starts it.
    pub fn observed(mut self, on: bool) -> Self {
        self.observed = Some(on);
        self
    }

    /// Starts the worker. See [`Worker::spawn`].
    ///
    /// # Errors
    /// As [`Worker::spawn`]. `InvalidInput` for a name with a zero byte. `Unsupported` for a memory
    /// limit when the program has not installed [`alloc::Counting`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(note = "with panic = \"abort\" a worker's panic ends the \
        whole process, and a checkpoint does not end the worker")
    )]
    pub fn spawn(
        self,
        main: impl FnOnce(Port<Out, In>) + Send + 'static, // Across threads: detach.
    ) -> io::Result<Worker<In, Out>> {
        self.spawn_at(here(), main)
    }

    /// As [`spawn`](WorkerBuilder::spawn), at this line.
    pub(super) fn spawn_at(
        self,
        location: &'static Location<'static>,
        main: impl FnOnce(Port<Out, In>) + Send + 'static,
    ) -> io::Result<Worker<In, Out>> {
        let state = current::expect("Worker::spawn");
        if !state.is_open() {
            return Err(shut_down());
        }
        self.check()?;
        if let Some(error) = state.chance().and_then(Chance::worker_error) {
            return Err(error);
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let unique = || NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let id = state.chance().map_or_else(unique, Chance::number_worker);
        let pool = self.pool.unwrap_or_else(|| state.pool.clone());
        let name = self.name.clone().unwrap_or_else(|| format!("worker {id}"));
        let builder = Loop::builder().name(name).pool(pool).spin(state.patience.spin());
        let observed = self.observed.unwrap_or_else(|| !state.teller.track.is_left_out());
        let builder = builder.observed(observed);
        let builder = match &state.poll_budget {
            Some(budget) => builder.poll_budget(budget.limit()),
            None => builder,
        };
        let mut parts = builder.parts();
        let mut environment = inherited::inherited(&state);
        environment.extend(self.environment);
        let (link, theirs) = Link::pair();
        let handle = Rc::new(WorkerHandle::<In, Out>::new(&state, link, self.parent_exit));
        let number = state.delivery.add_receiver(handle.clone());
        let (now, mailbox) = (state.clock.read(), parts.mailbox.clone());
        let parent = state.virtual_time.as_ref();
        let added = parent.map(|parent| parent.add_worker(&mailbox, now));
        let member = added.as_ref().map(|(member, _)| member.clone());
        parts.virtual_time = added.map(|(member, begins)| (member, state.clock.for_worker(begins)));
        let shared = Arc::new(Shared::new(id, mailbox, (state.mailbox.clone(), number), member));
        parts.mailbox.figures.track.set_worker(id);
        let start = Start {
            parts,
            shared: shared.clone(),
            end: PortEnd::new(theirs),
            environment,
            memory_limit: self.memory_limit,
            location,
            cause: cause::running(),
            main,
        };
        let mut builder = thread::Builder::new();
        builder = builder.name(self.name.unwrap_or_else(|| format!("windlass-worker-{id}")));
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        // Before the thread, which takes itself off the list.
        direct::enlist(shared.address(), shared.mailbox.clone());
        match builder.spawn(move || start.run()) {
            Ok(thread) => {
                state.log(|| format!("worker {id} of {} spawned", Shown(location)));
                handle.begin(location, number, shared, thread);
                Ok(Worker::of(handle))
            }
            Err(error) => {
                direct::discharge(shared.address());
                shared.member.iter().for_each(Member::end);
                drop(state.delivery.remove_receiver(number));
                Err(error)
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        let refuse = |kind, text: &str| Err(io::Error::new(kind, text));
        if self.name.as_ref().is_some_and(|name| name.contains('\0')) {
            return refuse(io::ErrorKind::InvalidInput, "a thread's name has no zero byte");
        }
        if self.memory_limit.is_some() && !alloc::is_counting() {
            let text = "a memory limit needs the global allocator windlass::alloc::Counting";
            return refuse(io::ErrorKind::Unsupported, text);
        }
        Ok(())
    }
}

impl<In, Out> fmt::Debug for WorkerBuilder<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("memory_limit", &self.memory_limit)
            .field("parent_exit", &self.parent_exit)
            .finish_non_exhaustive()
    }
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Starts a worker. `main` is its main script: it runs in the poll phase of the worker's first
    /// iteration, with the port to the parent, so that its immediates run before its timers.
    ///
    /// # Errors
    /// The system's when there are no threads left. Then nothing has been started, and `main` is
    /// dropped. The worker's loop takes its two descriptors with its first source, which fails when
    /// there are none.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    #[cfg_attr(
        panic = "abort",
        deprecated(note = "with panic = \"abort\" a worker's panic ends the \
        whole process, and a checkpoint does not end the worker")
    )]
    pub fn spawn(
        main: impl FnOnce(Port<Out, In>) + Send + 'static, // Across threads: detach.
    ) -> io::Result<Self> {
        Worker::builder().spawn(main)
    }

    /// Like [`spawn`](Worker::spawn), with an async main script: a task that keeps the worker alive
    /// until it is done.
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
        deprecated(note = "with panic = \"abort\" a worker's panic ends the \
        whole process, and a checkpoint does not end the worker")
    )]
    pub fn spawn_async<F: Future<Output = ()> + 'static>(
        main: impl FnOnce(Port<Out, In>) -> F + Send + 'static, // Across threads: detach.
    ) -> io::Result<Self> {
        let at = here();
        Worker::builder().spawn(move |port| {
            let guard = Loop::current().keep_alive();
            let _at = InForce::at(at);
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
}
