//! Signals as callbacks on the loop.
//!
//! The system's handler only notes the signal and wakes the loops that listen for it (see
//! `sys::signal`); the callbacks run on the loop, last in the poll phase. Every listener of a
//! signal is called, on every loop. Handlers that others have installed for the signal are called
//! as before. When the last listener of a signal is gone, what the signal did before the first
//! comes back.
//!
//! # Virtual time
//! Signals come in their own time. With a timer armed the clock of the loop goes on without them;
//! with nothing else left it waits for them in the system.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::callback;
use crate::callback::slot::Slot;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::signal::{self, Post};
use crate::sys::{self, Event};
use crate::task::waiters::{self, Place, Waiters};
use crate::trace::label::here;

/// The signals of one loop: where they come in, and who listens.
struct Hub {
    /// Open while there are listeners. Registered with the poller, but not active: it holds
    /// nothing.
    registration: Registration,
    /// Where the system's handler leaves the loop's signals. The loop's own until it leaves the
    /// post.
    post: &'static Post,
    /// Those that were started and not stopped, by signal and number: those of one signal in the
    /// order of their start.
    listeners: RefCell<BTreeMap<(i32, u64), Rc<Listener>>>,
    /// The number of the next one.
    next_number: Cell<u64>,
}

/// What is behind a [`Signal`] and its clones.
struct Listener {
    /// Open until it is stopped. It keeps the loop alive unless it is unref'd.
    registration: Registration,
    /// Its place among the listeners of the loop.
    number: u64,
    /// The signal.
    signum: i32,
    /// The signals of its loop.
    hub: Rc<Hub>,
    /// What is called when the signal has come. None for one that tasks alone wait for.
    callback: Slot<dyn FnMut()>,
    /// It has a callback, or had one until it was stopped: then it belongs to the loop.
    has_callback: bool,
    /// It stops before its first call.
    once: bool,
    /// The signal has come since the last task was told.
    has_come: Cell<bool>,
    /// The tasks that wait for the signal.
    receivers: Waiters,
    /// How many [`Signal`]s there are for it.
    names: Names,
}

/// What a new listener does with its signal.
enum Then {
    /// Calls back, again and again.
    Call(Box<dyn FnMut()>),
    /// Calls back once and stops.
    CallOnce(Box<dyn FnMut()>),
    /// Keeps it for a task.
    Keep,
}

/// The places of the listeners of a signal.
fn of_signal(signum: i32) -> RangeInclusive<(i32, u64)> {
    (signum, 0)..=(signum, u64::MAX)
}

impl Hub {
    /// The loop's hub, made with its first listener and gone with its last.
    fn of(state: &Rc<State>) -> io::Result<Rc<Hub>> {
        if let Some(hub) = state.extension::<Hub>() {
            return Ok(hub);
        }
        let post = Post::take()?;
        let hub = Rc::new(Hub {
            registration: Registration::new(state.clone()),
            post,
            listeners: RefCell::default(),
            next_number: Cell::new(0),
        });
        hub.registration.open(hub.clone(), here(), false);
        let key = hub.registration.key().expect("an open handle has a key").to_bits();
        let register = |poller: &sys::Poller| {
            poller.register_descriptor(post.descriptor(), Event::READABLE, key)
        };
        if let Err(error) = state.register(register) {
            drop(hub.registration.close());
            post.leave();
            return Err(error);
        }
        state.set_extension(hub.clone());
        Ok(hub)
    }

    /// Leaves the post to other loops when nobody listens any more.
    fn leave_if_unused(&self) {
        if self.listeners.borrow().is_empty() && self.registration.is_open() {
            let state = self.registration.state.clone();
            state.sources.deregister(|poller| poller.deregister_descriptor(self.post.descriptor()));
            self.post.leave();
            drop((self.registration.close(), state.remove_extension::<Hub>()));
        }
    }
}

impl Handle for Hub {
    fn kind(&self) -> &'static str {
        "signal pipe"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Has the listeners called at the end of this poll phase.
    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        for signum in self.post.collect() {
            let listeners = self.listeners.borrow();
            for (_, listener) in listeners.range(of_signal(signum)) {
                let (listener, own) = (listener.clone(), state.clone());
                state.push_poll_last(Closure::new(move || listener.fire(&own)));
            }
        }
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        // A destructor may have stopped the last listener already.
        if !self.registration.is_open() {
            return;
        }
        drop(self.registration.close());
        state.sources.deregister(|poller| poller.deregister_descriptor(self.post.descriptor()));
        for (_, listener) in self.listeners.take() {
            self.post.unlisten(listener.signum, false);
        }
        self.post.leave();
        drop(state.remove_extension::<Hub>());
    }
}

impl Listener {
    /// Calls back, or wakes the tasks that wait.
    fn fire(&self, state: &Rc<State>) {
        // Stopped between the signal and this call: then nobody is told any more.
        if !self.registration.is_open() {
            return;
        }
        self.has_come.set(true);
        // Their tasks are microtasks: they run after the callback, if there is one.
        self.receivers.wake();
        if !self.once {
            let called = self.callback.invoke(state, self.kind(), |f| f());
            return callback::settle(state, called.unwrap_or(Ok(())));
        }
        // Stopped first, as a timer is: the callback may start another one.
        let origin = self.callback.origin(self.kind());
        if let Some(f) = self.stop_but_for_callback() {
            callback::call(state, origin, f);
        }
    }

    /// Takes the signal, or waits for it at this place.
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<()> {
        let has_come = self.has_come.take();
        if has_come {
            self.receivers.leave(place);
        } else {
            self.receivers.wait(place, cx);
        }
        self.update_liveness();
        if has_come { Poll::Ready(()) } else { Poll::Pending }
    }

    fn update_liveness(&self) {
        let active = self.has_callback || self.receivers.has_futures();
        self.registration.set_active_or_polled(active, self.receivers.has_poller());
    }

    /// Stops for good. Again it does nothing.
    fn stop(&self) {
        self.has_come.set(false);
        drop(self.stop_but_for_callback());
    }

    /// Stops for good, but leaves the signal that has come to the tasks. The callback comes back,
    /// for the caller to call or drop.
    fn stop_but_for_callback(&self) -> Option<Box<dyn FnMut()>> {
        let listed = self.hub.listeners.borrow_mut().remove(&(self.signum, self.number));
        if listed.is_some() {
            let listeners = self.hub.listeners.borrow();
            let others = listeners.range(of_signal(self.signum)).next().is_some();
            drop(listeners);
            self.hub.post.unlisten(self.signum, others);
        }
        let entry = self.registration.close();
        self.hub.leave_if_unused();
        drop((listed, entry));
        self.callback.clear()
    }
}

impl Named for Listener {
    fn names(&self) -> &Names {
        &self.names
    }

    /// One with a callback belongs to its loop until it is stopped.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.has_callback {
            self.stop();
        }
    }
}

impl Handle for Listener {
    fn kind(&self) -> &'static str {
        "signal watcher"
    }

    fn ask(&self) {
        waiters::wake_each(self.receivers.take_poller());
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        callback::drop_quietly(self.callback.clear());
    }
}

/// Calls back on this loop when a signal comes.
///
/// Signals coalesce: there is at least one callback after the last of any number of equal signals.
/// Several listeners may share a signal, on one loop or on several; each is called. A clone is the
/// same listener.
///
/// - With a callback ([`start`](Signal::start), [`once`](Signal::once)) it belongs to the loop
///   until it is stopped, and keeps the loop alive unless [`unref`](Signal::unref)'d.
/// - Without one ([`watch`](Signal::watch)) it stops when the last clone is dropped, and keeps the
///   loop alive while a task waits in [`recv`](Signal::recv).
///
/// Real-time signals (`SIGRTMIN` to `SIGRTMAX`) can be watched too. They coalesce like the others:
/// a loop is told that a signal has come, not how often, and not what value was sent along.
///
/// # Other handlers
/// A handler that was there before (of signal-hook, tokio, ctrlc or the program itself) is called
/// too, while the signal is watched and afterwards; only the default action and the ignoring of a
/// signal end while it is watched. One that is installed over ours and calls what it replaces, as
/// signal-hook and tokio do, changes nothing for the listeners, and stays when the last of them
/// stops. One that does not call it, as ctrlc, silences them, until another `Signal` is started for
/// the signal.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use windlass::signal::Signal;
///
/// const SIGTERM: i32 = 15;
/// windlass::run(|| -> std::io::Result<()> {
///     let own = Rc::new(Cell::new(None::<Signal>));
///     let inner = own.clone();
///     own.set(Some(Signal::start(SIGTERM, move || {
///         println!("closing down");
///         inner.take().unwrap().stop();
///     })?));
///     std::process::Command::new("kill").arg(std::process::id().to_string()).status()?;
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Signal {
    /// A name of what all clones share.
    listener: Name<Listener>,
}

impl Signal {
    /// Watches a signal on the current loop, and calls `f` for it, last in the poll phase.
    ///
    /// # Errors
    /// `InvalidInput` for what is no signal, for those that cannot be caught (`SIGKILL`, `SIGSTOP`)
    /// and for those of a faulting instruction; the system's when there are no descriptors left.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn start(signum: i32, f: impl FnMut() + 'static) -> io::Result<Signal> {
        let state = current::expect("Signal::start");
        listen(state, signum, Then::Call(Box::new(f)))
    }

    /// Calls `f` when the signal comes for the first time, and stops watching right before.
    ///
    /// With the last listener, what the signal did before comes back at that moment: the second
    /// Ctrl-C ends a program that has watched for the first one.
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::signal::Signal;
    ///
    /// const SIGTERM: i32 = 15;
    /// windlass::run(|| -> std::io::Result<()> {
    ///     Signal::once(SIGTERM, || println!("closing down"))?;
    ///     std::process::Command::new("kill").arg(std::process::id().to_string()).status()?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn once(signum: i32, f: impl FnOnce() + 'static) -> io::Result<Signal> {
        let state = current::expect("Signal::once");
        let mut f = Some(f);
        let f = move || {
            if let Some(f) = f.take() {
                f();
            }
        };
        listen(state, signum, Then::CallOnce(Box::new(f)))
    }

    /// Watches a signal without a callback, for [`recv`](Signal::recv).
    ///
    /// # Errors
    /// As [`start`](Signal::start).
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::signal::Signal;
    ///
    /// const SIGTERM: i32 = 15;
    /// windlass::block_on(async {
    ///     let signal = Signal::watch(SIGTERM)?;
    ///     std::process::Command::new("kill").arg(std::process::id().to_string()).status()?;
    ///     signal.recv().await;
    ///     println!("closing down");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn watch(signum: i32) -> io::Result<Signal> {
        listen(current::expect("Signal::watch"), signum, Then::Keep)
    }

    /// Waits for the signal. Ready at once if it has come since the last time, or since the
    /// watching began.
    ///
    /// Of several tasks that wait, the one that has waited longest takes it, and dropping the
    /// future loses none. A signal that has a callback comes to the tasks as well, also the one of
    /// [`once`](Signal::once). Once the watching is stopped nothing more comes: then this is never
    /// ready, and holds nothing.
    pub fn recv(&self) -> Recv<'_> {
        Recv { signal: self, place: Place::default() }
    }

    /// Whether the signal has come since the last time; if not, keeps the task's waker until it
    /// comes. One task can wait so: a later one takes the place of the one before. Those in
    /// [`recv`](Signal::recv) wait beside it.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.listener.poll_recv(self.listener.receivers.poller(), cx)
    }

    /// Stops for good: no callback comes, not even for a signal that has been caught already.
    ///
    /// With the last listener of the signal, on any loop, what was there before the first comes
    /// back, unless somebody else has installed a handler over ours, which then stays. A signal
    /// that is on its way at that moment meets what was there before: the default action of many
    /// ends the process.
    pub fn stop(&self) {
        self.listener.stop();
    }

    ref_methods!("listener"; listener.registration);
}

/// Adds a listener to the loop.
#[track_caller]
fn listen(state: Rc<State>, signum: i32, then: Then) -> io::Result<Signal> {
    signal::check(signum)?;
    if !state.is_open() {
        return Err(crate::error::shut_down());
    }
    state.refuse_in_simulation("signals")?;
    let hub = Hub::of(&state)?;
    if let Err(error) = hub.post.listen(signum) {
        hub.leave_if_unused();
        return Err(error);
    }
    let number = hub.next_number.get();
    hub.next_number.set(number + 1);
    let listener = Rc::new(Listener {
        registration: Registration::new(state),
        number,
        signum,
        hub: hub.clone(),
        callback: Slot::default(),
        has_callback: !matches!(then, Then::Keep),
        once: matches!(then, Then::CallOnce(_)),
        has_come: Cell::new(false),
        receivers: Waiters::default(),
        names: Names::default(),
    });
    if let Then::Call(f) | Then::CallOnce(f) = then {
        drop(listener.callback.set(f));
    }
    listener.registration.open(listener.clone(), here(), listener.has_callback);
    hub.listeners.borrow_mut().insert((signum, number), listener.clone());
    Ok(Signal { listener: Name::new(listener) })
}

/// A signal that is waited for. Made by [`Signal::recv`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::signal::Signal;
///
/// windlass::block_on(async {
///     let signal = Signal::watch(libc::SIGUSR1)?;
///     let come = windlass::time::timeout(Duration::from_millis(1), signal.recv()).await;
///     assert!(come.is_err(), "nobody has sent it");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Recv<'a> {
    /// The listener that is waited for.
    signal: &'a Signal,
    /// Its place among the tasks that wait.
    place: Place,
}

impl Future for Recv<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.listener.poll_recv(&self.place, cx)
    }
}

impl Drop for Recv<'_> {
    fn drop(&mut self) {
        let listener = &self.signal.listener;
        listener.receivers.leave(&self.place);
        listener.update_liveness();
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("signum", &self.listener.signum)
            .field("active", &self.listener.registration.is_open())
            .finish_non_exhaustive()
    }
}
