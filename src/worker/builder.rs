//! The starting of a worker, and its thread from the first step to the last.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, Location};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::direct;
use super::shared::{Cause, Ended, Shared};
use super::this::{self, Values};
use super::worker::Core;
use super::{Port, Worker, WorkerError};
use crate::alloc;
use crate::callback::{self, Halt};
use crate::channel::port::{Link, PortEnd};
use crate::clock::Nanos;
use crate::error::{Panic, shut_down};
use crate::event_loop::current;
use crate::event_loop::{Loop, Parts};
use crate::pool::Pool;
use crate::sys;
use crate::virtual_time::scheduler::Member;

/// How long the news of a worker's end takes in virtual time, so that it comes behind everything that the
/// worker posted.
const END_TAKES: Nanos = 1_000_000;

/// What becomes of a worker that runs when its parent's loop ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentExit {
    /// It is told to [`terminate`](Worker::terminate).
    #[default]
    Terminate,
    /// It is asked to [`shutdown`](Worker::shutdown), and terminated when it has not ended after this time. What
    /// it posts to its parent meanwhile is dropped.
    ShutDown(Duration),
}

/// Sets up a worker. Made by [`Worker::builder`].
///
/// What a worker inherits from the loop that starts it: the blocking pool, unless it is given one, virtual
/// time, and the [`environment`](super::environment). All are copied at that moment. What else a
/// worker begins with, its closure captures.
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
    name: Option<String>,
    stack_size: Option<usize>,
    pool: Option<Pool>,
    memory_limit: Option<usize>,
    parent_exit: ParentExit,
    /// Takes the place of what is inherited, type by type.
    environment: Values,
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
            environment: Values::new(),
            _messages: PhantomData,
        }
    }
}

impl<In: Send + 'static, Out: Send + 'static> WorkerBuilder<In, Out> {
    /// Names the worker's thread. Without one it is called "windlass-worker" and its id. Of a longer name
    /// the system shows the first 15 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the worker's stack, in bytes. Without it, it is that of any Rust thread: 2 MiB, or
    /// `RUST_MIN_STACK`.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Gives the worker's loop a blocking pool. Without one it uses its parent's.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Adds a value to what the worker finds as its [`environment`](super::environment), in place of
    /// one of the same type that it would inherit.
    pub fn environment<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        drop(self.environment.insert(TypeId::of::<T>(), value));
        self
    }

    /// Ends the worker when its thread has more than so many bytes allocated: a soft limit, looked at
    /// between callbacks and at [`checkpoint`](super::checkpoint)s. Nothing of it runs any more then,
    /// and the parent gets [`WorkerError::OutOfMemory`]. Other workers are not touched.
    ///
    /// Needs the allocator [`alloc::Counting`]; see there for what is counted, and how messages are. One
    /// huge allocation is not refused. Node: `resourceLimits`.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Says what becomes of the worker when its parent's loop ends. Without it, it is terminated.
    ///
    /// A loop that ends waits for its workers: for one that is shut down as long as is given here, for one
    /// that is terminated a second. That includes the destructors of its thread's locals. A worker that ends with
    /// its parent's loop gives its own workers three quarters of the time that it has left itself.
    pub fn parent_exit(mut self, what: ParentExit) -> Self {
        self.parent_exit = what;
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
        main: impl FnOnce(Port<Out, In>) + Send + 'static,
    ) -> io::Result<Worker<In, Out>> {
        let state = current::expect("Worker::spawn");
        let location = Location::caller();
        if !state.is_open() {
            return Err(shut_down());
        }
        self.check()?;
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let pool = self.pool.unwrap_or_else(|| state.pool.clone());
        let mut parts = Loop::builder().pool(pool).spin(state.patience.spin()).parts();
        let mut environment = this::inherited(&state);
        environment.extend(self.environment);
        let (link, theirs) = Link::pair();
        let core = Rc::new(Core::<In, Out>::new(&state, link, self.parent_exit));
        let number = state.delivery.add_receiver(core.clone());
        let (now, mailbox) = (state.clock.now(), parts.mailbox.clone());
        let parent = state.virtual_time.as_ref();
        let member = parent.map(|parent| parent.add_worker(&mailbox, now));
        parts.virtual_time = member.clone().map(|member| (member, state.clock.for_worker()));
        let shared = Arc::new(Shared::new(id, mailbox, (state.mailbox.clone(), number), member));
        let start = Start {
            parts,
            shared: shared.clone(),
            end: PortEnd::new(theirs),
            environment,
            memory_limit: self.memory_limit,
            location,
            main,
        };
        let mut builder = thread::Builder::new();
        builder = builder.name(self.name.unwrap_or_else(|| format!("windlass-worker-{id}")));
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        // Before the thread, which takes itself off the list.
        direct::enlist(id, shared.mailbox.clone());
        match builder.spawn(move || start.run()) {
            Ok(thread) => {
                core.begin(location, number, shared, thread);
                Ok(Worker::of(core))
            }
            Err(error) => {
                direct::discharge(id);
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

/// All that a worker's thread begins with.
struct Start<In, Out, M> {
    parts: Parts,
    shared: Arc<Shared>,
    end: PortEnd<Out, In>,
    environment: Values,
    memory_limit: Option<usize>,
    location: &'static Location<'static>,
    main: M,
}

impl<In: Send + 'static, Out: Send + 'static, M: FnOnce(Port<Out, In>) + 'static>
    Start<In, Out, M>
{
    /// The worker's thread, from its first step to its last.
    fn run(self) {
        let Start { parts, shared, end, environment, memory_limit, location, main } = self;
        FAREWELL.with(|_| ()); // First of all, to be dropped last of all.
        this::set_this_worker(Some(shared.clone()));
        shared.member.iter().for_each(Member::begin);
        let event_loop = Loop::from_parts(parts);
        this::inherit(event_loop.state(), environment);
        log::debug!("worker {} is online", shared.id);
        shared.set_online(event_loop.virtual_now());
        if let Some(bytes) = memory_limit {
            alloc::set_limit(bytes);
        }
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            event_loop.run_worker(location, move || {
                this::begin();
                main(end.open());
            })
        }));
        alloc::lift_limit();
        // Whatever a destructor does there, the parent must hear of the end.
        callback::quietly(|| event_loop.tear_down());
        let exit_code = event_loop.exit_code();
        let end_seen_at = event_loop.virtual_now().saturating_add(END_TAKES);
        let over_limit = event_loop.over_limit();
        // With it what the worker has inherited, which may be the last of its kind.
        callback::drop_quietly(event_loop);
        let terminated = shared.terminated.load(Ordering::SeqCst);
        let (code, cause) = match (outcome, over_limit) {
            (Err(payload), _) if !payload.is::<Halt>() => (1, Cause::Panicked(Panic::new(payload))),
            (_, Some(allocated)) => {
                let limit = memory_limit.unwrap_or_default();
                (1, Cause::OutOfMemory(WorkerError::OutOfMemory { limit, allocated }))
            }
            (Ok(by_itself), None) if by_itself || !terminated => (exit_code, Cause::ByItself),
            _ => (1, Cause::Terminated),
        };
        log::debug!("worker {} ends with code {code}", shared.id);
        this::set_this_worker(None);
        direct::discharge(shared.id);
        let ended = Ended { code, cause, cpu_time: None };
        FAREWELL.set(Some(Farewell { shared, ended: Some(ended), seen_at: end_seen_at }));
    }
}

thread_local! {
    /// Set when a worker has ended.
    static FAREWELL: Cell<Option<Farewell>> = const { Cell::new(None) };
}

/// Tells the parent, when it is dropped, that the worker has ended.
///
/// It is a local of the worker's thread, and the first one: locals are dropped in the opposite order of their first
/// use, so those of the user's are gone by then. Their destructors may take any time. Were the parent told before
/// them, it would spend that time in joining the thread.
struct Farewell {
    shared: Arc<Shared>,
    /// Taken out when the parent is told.
    ended: Option<Ended>,
    /// In virtual time: from when on the parent sees it.
    seen_at: Nanos,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let Some(ended) = self.ended.take() else { return };
        let cpu_time = sys::own_cpu_time();
        self.shared.set_ended(Ended { cpu_time, ..ended }, self.seen_at);
        self.shared.member.iter().for_each(Member::end);
    }
}
