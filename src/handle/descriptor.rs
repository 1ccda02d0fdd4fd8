//! A handle that watches a raw descriptor (libuv's `uv_poll_t`).
//!
//! The poller reports edges, but users of a raw descriptor expect levels: as long as there is
//! something to read they want to be called. We cannot see what the callback read, so after each
//! call the watcher asks to be called again, and before each call asks the kernel whether the
//! descriptor is ready at this moment. One that is not waits for the next edge.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Context};

use crate::callback::on_drop::OnDrop;
use crate::callback::slot::Slot;
use crate::callback::{self, Apart};
use crate::error;
use crate::state::State;
use crate::state::current;
use crate::state::key::Key;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::{self, Event, Poller};
use crate::task::waiters::{self, Place, Waiters};
use crate::trace::label::here;

/// What a [`Poll`] watches for: constants that are combined with `|`.
///
/// # Examples
/// ```
/// use windlass::handle::Interest;
///
/// let interest = Interest::READABLE | Interest::WRITABLE;
/// assert_ne!(interest, Interest::READABLE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(Event);

impl Interest {
    /// There is something to read, or the end has come.
    pub const READABLE: Interest = Interest(Event::READABLE);
    /// There is room to write, or a write would fail.
    pub const WRITABLE: Interest = Interest(Event::WRITABLE);
    /// There is out-of-band data.
    pub const PRIORITY: Interest = Interest(Event::PRIORITY);
    /// The peer has closed its side. Reported once for each start of the watcher. That nobody reads
    /// a pipe any more is reported so too, but not where writing is watched: there it is writable,
    /// and the write fails.
    pub const DISCONNECT: Interest = Interest(Event::READ_CLOSED);
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0.with(other.0))
    }
}

/// What a [`Poll`] saw. Only what it watches for, and errors: those that no read or write tells of
/// once for each start.
///
/// # Examples
/// ```
/// use std::os::unix::net::UnixStream;
/// use windlass::handle::{Interest, Poll};
///
/// windlass::run(|| -> std::io::Result<()> {
///     let (ours, _theirs) = UnixStream::pair()?;
///     let watcher = Poll::new(ours);
///     let own = watcher.clone();
///     watcher.start(Interest::READABLE | Interest::WRITABLE, move |readiness| {
///         assert!(readiness.is_writable());
///         own.close();
///     })?;
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(Event);

impl Readiness {
    /// A read will not block: it gives data, the end or an error.
    pub fn is_readable(self) -> bool {
        self.0.has(Event::READABLE)
    }

    /// A write will not block: it takes data or fails.
    pub fn is_writable(self) -> bool {
        self.0.has(Event::WRITABLE)
    }

    /// There is out-of-band data.
    pub fn is_priority(self) -> bool {
        self.0.has(Event::PRIORITY)
    }

    /// The peer has closed its side, or nobody reads the pipe any more.
    pub fn is_disconnected(self) -> bool {
        self.0.has(Event::READ_CLOSED)
    }
}

/// Watches a descriptor of any kind that the system can poll: a socket, a pipe, a terminal.
///
/// Owns what it is given, so the descriptor stays open as long as it is watched; give it an
/// `Rc<OwnedFd>` or a `BorrowedFd<'static>` to share one. What it is given is asked for its
/// descriptor when watching begins, and must keep that one until it ends. Levels, not edges: the
/// callback comes again in every iteration until it has read, or written, what there is. A clone is
/// the same watcher. An active one belongs to the loop and keeps it alive unless
/// [`unref`](Poll::unref)'d.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use std::io::Read;
/// use std::os::unix::net::UnixStream;
/// use std::rc::Rc;
/// use windlass::handle::{Interest, Poll};
///
/// windlass::run(|| -> std::io::Result<()> {
///     let (ours, theirs) = UnixStream::pair()?;
///     let ours = Rc::new(ours);
///     let watcher = Poll::new(ours.clone());
///     let own = watcher.clone();
///     watcher.start(Interest::READABLE, move |_| {
///         let mut bytes = [0; 16];
///         if (&*ours).read(&mut bytes).unwrap() == 0 {
///             own.close(); // The end.
///         }
///     })?;
///     drop(theirs);
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Poll<F: AsFd + 'static> {
    /// The last name closes it, unless it is active.
    descriptor: Name<Descriptor<F>>,
}

/// A descriptor that is watched, or will be.
struct Descriptor<F> {
    /// Open until the watcher is closed, active from its start to its stop.
    registration: Registration,
    /// The owner of the descriptor. Taken out when the watcher is closed.
    source: RefCell<Option<Rc<F>>>,
    /// The events that the callback is for. Empty while the watcher is stopped.
    interest: Cell<Event>,
    /// Its number and the events that it is registered for with the poller: those of the callback
    /// and of the tasks. None while it is not registered.
    registered: Cell<Option<(RawFd, Event)>>,
    /// The disconnect, or an error that lasts, was reported since the last start: not again.
    disconnected: Cell<bool>,
    /// The tasks that wait until a read will not block.
    readers: Waiters,
    /// The tasks that wait until a write will not block.
    writers: Waiters,
    /// A task that waits by [`Poll::poll_readable`] has waited for the poll phase.
    readable_polled: Cell<bool>,
    /// A task that waits by [`Poll::poll_writable`] has waited for the poll phase.
    writable_polled: Cell<bool>,
    /// Called for as long as the watcher is started.
    callback: Slot<dyn FnMut(Readiness)>,
    /// How many [`Poll`]s there are for it.
    names: Names,
}

impl<F: AsFd + 'static> Poll<F> {
    /// Makes a watcher on the current loop, inactive.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn new(source: F) -> Poll<F> {
        let state = current::expect("Poll::new");
        let descriptor = Rc::new(Descriptor {
            registration: Registration::new(state.clone()),
            source: RefCell::new(Some(Rc::new(source))),
            interest: Cell::new(Event::default()),
            registered: Cell::new(None),
            readers: Waiters::default(),
            writers: Waiters::default(),
            readable_polled: Cell::new(false),
            writable_polled: Cell::new(false),
            disconnected: Cell::new(false),
            callback: Slot::default(),
            names: Names::default(),
        });
        if state.is_open() {
            descriptor.registration.open(descriptor.clone(), here(), false);
        }
        Poll { descriptor: Name::new(descriptor) }
    }

    /// Starts watching, or replaces interest and callback of an active watcher. What is ready
    /// already is reported too.
    ///
    /// # Errors
    /// `AlreadyExists` when another active watcher of this loop has the descriptor,
    /// `PermissionDenied` for a file or directory, which are always ready; the system's error for a
    /// descriptor that is not open. The watcher then stays inactive, and
    /// [`into_inner`](Poll::into_inner) gives the source back.
    #[track_caller]
    pub fn start(&self, interest: Interest, f: impl FnMut(Readiness) + 'static) -> io::Result<()> {
        self.descriptor.start(interest.0, Box::new(f))
    }

    /// Stops watching: no callback comes, not even for what was fetched already. It can be started
    /// again.
    pub fn stop(&self) {
        drop(self.descriptor.stop());
    }

    /// Stops for good and drops the source, which closes the descriptor if it was the owner.
    pub fn close(&self) {
        self.descriptor.close();
    }

    ref_methods!("watcher"; descriptor.registration);

    /// Waits until a read will not block: it gives data, the end or an error. No callback is
    /// needed, and one that is there goes on as it is.
    ///
    /// The system is asked in the poll phase, also when the descriptor is ready already, so that a
    /// task that waits again and again lets the loop go on. A task that waits holds the loop,
    /// unless [`unref`](Poll::unref)'d; dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`start`](Poll::start); `InvalidInput` when the watcher is closed, also meanwhile.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use std::rc::Rc;
    /// use windlass::handle::Poll;
    ///
    /// windlass::block_on(async {
    ///     let (ours, mut theirs) = UnixStream::pair()?;
    ///     let ours = Rc::new(ours);
    ///     let watcher = Poll::new(ours.clone());
    ///     windlass::set_immediate(move || theirs.write_all(b"hello").unwrap());
    ///     watcher.readable().await?;
    ///     let mut bytes = [0; 5];
    ///     (&*ours).read_exact(&mut bytes)
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> Ready<'_, F> {
        Ready::new(self, Event::READABLE)
    }

    /// Waits until a write will not block: it takes data or fails. Otherwise as
    /// [`readable`](Poll::readable).
    ///
    /// # Errors
    /// As [`readable`](Poll::readable).
    ///
    /// # Examples
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use windlass::handle::Poll;
    ///
    /// windlass::block_on(async {
    ///     let (ours, _theirs) = UnixStream::pair()?;
    ///     let watcher = Poll::new(ours);
    ///     watcher.writable().await?;
    ///     watcher.into_inner().expect("no clone is left").write_all(b"hello")
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> Ready<'_, F> {
        Ready::new(self, Event::WRITABLE)
    }

    /// As [`readable`](Poll::readable), for a future of one's own: ready when a read will not
    /// block, else the task is woken when that is so. One task can wait so, the last that asked. It
    /// holds the loop as long as it waits: it is woken without a reason, to ask again, when nothing
    /// but such tasks would keep the loop alive.
    ///
    /// Try first, with [`try_io`](Poll::try_io), and ask here when that would block.
    ///
    /// # Errors
    /// As [`readable`](Poll::readable).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// use std::io::{ErrorKind, Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use std::task::{Poll, ready};
    ///
    /// windlass::block_on(async {
    ///     let (ours, mut theirs) = UnixStream::pair()?;
    ///     ours.set_nonblocking(true)?;
    ///     let watcher = windlass::handle::Poll::new(ours);
    ///     windlass::set_immediate(move || theirs.write_all(b"hello").unwrap());
    ///     let mut bytes = [0; 5];
    ///     let count = poll_fn(|cx| loop {
    ///         match watcher.try_io(|mut source| source.read(&mut bytes)) {
    ///             Err(error) if error.kind() == ErrorKind::WouldBlock => {
    ///                 ready!(watcher.poll_readable(cx))?;
    ///             }
    ///             done => return Poll::Ready(done),
    ///         }
    ///     });
    ///     assert_eq!(count.await?, 5);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_readable(&self, cx: &Context<'_>) -> task::Poll<io::Result<()>> {
        let Descriptor { readers, readable_polled, .. } = &**self.descriptor;
        self.descriptor.poll_ready(Event::READABLE, readable_polled, readers.poller(), cx)
    }

    /// As [`poll_readable`](Poll::poll_readable), for a write.
    ///
    /// # Errors
    /// As [`readable`](Poll::readable).
    pub fn poll_writable(&self, cx: &Context<'_>) -> task::Poll<io::Result<()>> {
        let Descriptor { writers, writable_polled, .. } = &**self.descriptor;
        self.descriptor.poll_ready(Event::WRITABLE, writable_polled, writers.poller(), cx)
    }

    /// Calls `f` with what is watched. Nothing else: whether it blocks is up to `f`, and whether
    /// the descriptor is in non-blocking mode up to who made it.
    ///
    /// # Errors
    /// Those of `f`. `WouldBlock` says to wait for [`readable`](Poll::readable) or
    /// [`writable`](Poll::writable), and try again. `InvalidInput` when the watcher is closed.
    pub fn try_io<R>(&self, f: impl FnOnce(&F) -> io::Result<R>) -> io::Result<R> {
        let source = self.descriptor.source.borrow().clone().ok_or_else(closed)?;
        f(&source)
    }

    /// Whether the watcher is started, or a task waits on it.
    pub fn is_active(&self) -> bool {
        self.descriptor.registration.is_active()
    }

    /// Stops for good and gives the source back, open. None when there are clones of this watcher,
    /// or it is closed; it then goes on as it was.
    pub fn into_inner(self) -> Option<F> {
        if self.descriptor.names.count() > 1 {
            return None;
        }
        drop(self.descriptor.stop());
        self.descriptor.unwatch();
        let source = self.descriptor.source.take()?;
        self.descriptor.close();
        Rc::into_inner(source)
    }
}

impl<F: AsFd + 'static> Descriptor<F> {
    #[track_caller]
    fn start(&self, interest: Event, f: Box<dyn FnMut(Readiness)>) -> io::Result<()> {
        self.watch_for(interest.with(self.awaited()), true)?;
        self.interest.set(interest);
        self.disconnected.set(false);
        self.update_liveness();
        drop(self.callback.set(f));
        Ok(())
    }

    /// Has the poller report these events, if there are any. `anew` has what is ready already be
    /// reported too.
    fn watch_for(&self, events: Event, anew: bool) -> io::Result<()> {
        if !self.registration.state.is_open() {
            return Err(error::shut_down());
        }
        let source = self.source.borrow().clone();
        // Anybody's code, which may close this watcher: asked first, and only to begin.
        let fd = source.as_ref().filter(|_| self.registered.get().is_none()).map(|s| s.as_fd());
        let Some(key) = self.registration.key().map(Key::to_bits) else {
            return Err(closed());
        };
        let state = &self.registration.state;
        let number = match (self.registered.get(), fd) {
            (None, Some(fd)) => {
                state.register(|poller| poller.register_descriptor(fd, events, key))?;
                fd.as_raw_fd()
            }
            (Some((number, before)), _) if anew || before != events => {
                let change = |poller: &Poller| poller.reregister_descriptor(number, events, key);
                state.sources.reregister(change)?;
                number
            }
            _ => return Ok(()),
        };
        self.registered.set(Some((number, events)));
        Ok(())
    }

    /// What the tasks wait for.
    fn awaited(&self) -> Event {
        let mut awaited = Event::default();
        if !self.readers.is_empty() {
            awaited |= Event::READABLE;
        }
        if !self.writers.is_empty() {
            awaited |= Event::WRITABLE;
        }
        awaited
    }

    fn waiters(&self, event: Event) -> &Waiters {
        if event.has(Event::READABLE) { &self.readers } else { &self.writers }
    }

    fn update_liveness(&self) {
        let waits = self.readers.has_futures() || self.writers.has_futures();
        let polled = self.readers.has_poller() || self.writers.has_poller();
        let started = !self.interest.get().is_empty();
        self.registration.set_active_or_polled(started || waits, polled);
    }

    /// Has a task wait at this place for an event, to be asked for in the next poll phase.
    fn wait(&self, event: Event, place: &Place, cx: &Context<'_>) -> io::Result<()> {
        let before = self.registered.get().map_or(Event::default(), |(_, events)| events);
        let events = before.with(event).with(self.interest.get());
        self.watch_for(events, false)?;
        self.waiters(event).wait(place, cx);
        self.update_liveness();
        self.registration.call_again();
        Ok(())
    }

    /// What of `events` is there at this moment. Nothing if the descriptor is not watched.
    fn look(&self, events: Event) -> io::Result<Event> {
        match self.registered.get() {
            Some((fd, _)) => sys::descriptor_ready(fd, events),
            None => Ok(Event::default()),
        }
    }

    /// The task of this place no longer waits.
    fn leave(&self, event: Event, place: &Place) {
        self.waiters(event).leave(place);
        if self.interest.get().with(self.awaited()).is_empty() {
            self.unwatch();
        }
        self.update_liveness();
    }

    /// A look at a wait that goes on: whether it is over, else the task is woken when it is.
    fn poll_ready(
        &self,
        event: Event,
        has_waited: &Cell<bool>,
        place: &Place,
        cx: &Context<'_>,
    ) -> task::Poll<io::Result<()>> {
        let looks = has_waited.replace(true) && self.registration.is_open();
        let seen = if looks { self.look(event) } else { Ok(Event::default()) };
        let outcome = match seen {
            Ok(seen) if seen.is_empty() => match self.wait(event, place, cx) {
                Ok(()) => return task::Poll::Pending,
                Err(error) => Err(error),
            },
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        has_waited.set(false);
        self.leave(event, place);
        task::Poll::Ready(outcome)
    }

    /// Stops calling back. Returns the callback for the caller to drop. Tasks wait on.
    fn stop(&self) -> Option<Box<dyn FnMut(Readiness)>> {
        self.interest.set(Event::default());
        if self.awaited().is_empty() {
            self.unwatch();
        }
        self.update_liveness();
        self.callback.clear()
    }

    fn unwatch(&self) {
        if let Some((fd, _)) = self.registered.take() {
            let sources = &self.registration.state.sources;
            sources.deregister(|poller| poller.deregister_descriptor(fd));
        }
    }

    /// What of that which is there the callback hears of: each time what a read or a write takes
    /// away, and once what lasts.
    fn news(&self, interest: Event, mut seen: Event) -> Event {
        let mut lasts = Event::READ_CLOSED;
        if seen.has(Event::ERROR) && !seen.has(Event::READABLE.with(Event::WRITABLE)) {
            // Nobody will take it by a read or a write. A pipe that nobody reads has no other word
            // for its disconnect.
            seen |= interest.only(Event::READ_CLOSED);
            lasts |= Event::ERROR;
        }
        if self.disconnected.get() {
            seen = seen.without(lasts);
        }
        self.disconnected.set(self.disconnected.get() || seen.has(lasts));
        seen
    }

    /// Wakes the tasks whose event is there at this moment. The others wait for the next edge.
    fn wake_ready(&self, state: &State, awaited: Event) {
        // An error is for whoever asks next.
        let seen = self.look(awaited).unwrap_or(awaited);
        // Taken out before the first is woken, which may be anybody's code.
        let readers = seen.has(Event::READABLE).then(|| self.readers.take());
        let writers = seen.has(Event::WRITABLE).then(|| self.writers.take());
        self.update_liveness();
        waiters::wake_each(readers.into_iter().flatten().chain(writers.into_iter().flatten()));
        callback::drain(state);
    }

    /// Tells the tasks that wait that the watcher is closed.
    fn wake_all(&self) {
        self.readers.wake();
        self.writers.wake();
    }

    fn close(&self) {
        let callback = self.stop();
        self.unwatch();
        let source = self.source.take();
        let entry = self.registration.close();
        self.wake_all();
        drop((Apart(callback), Apart(source), entry));
    }
}

impl<F: AsFd + 'static> Handle for Descriptor<F> {
    fn kind(&self) -> &'static str {
        "descriptor watcher"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        let awaited = self.awaited();
        if !awaited.is_empty() {
            // A panic of a task leaves. The callback must not be forgotten.
            let again = OnDrop(|| self.registration.call_again());
            self.wake_ready(state, awaited);
            again.forget();
        }
        let interest = self.interest.get();
        if interest.is_empty() {
            return;
        }
        let seen = match self.look(interest) {
            Ok(seen) => seen,
            Err(error) => {
                log::error!("a watched descriptor could not be polled: {error}");
                return;
            }
        };
        let news = self.news(interest, seen);
        if news.is_empty() {
            return; // The next edge will tell.
        }
        let outcome = self.callback.invoke(state, self.kind(), |f| f(Readiness(news)));
        if !self.interest.get().is_empty() {
            self.registration.call_again();
        }
        callback::settle(state, outcome.unwrap_or(Ok(())));
    }

    fn ask(&self) {
        let tasks = [self.readers.take_poller(), self.writers.take_poller()];
        waiters::wake_each(tasks.into_iter().flatten());
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        callback::drop_quietly(self.stop());
        self.unwatch();
        drop(self.registration.close());
        callback::drop_quietly(self.source.take());
        self.wake_all();
    }
}

impl<F: AsFd + 'static> Named for Descriptor<F> {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A watcher with a callback belongs to the loop. A task that waited by a function that polls
    /// cannot come back: it had a name.
    fn last_name_dropped(self: &Rc<Self>) {
        if self.interest.get().is_empty() {
            self.close();
        }
    }
}

impl<F: AsFd + 'static> Clone for Poll<F> {
    fn clone(&self) -> Poll<F> {
        Poll { descriptor: self.descriptor.clone() }
    }
}

impl<F: AsFd + 'static> fmt::Debug for Poll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("active", &self.is_active()).finish_non_exhaustive()
    }
}

/// A wait for a descriptor that is going on. Made by [`Poll::readable`] and [`Poll::writable`].
///
/// # Examples
/// ```
/// use std::os::unix::net::UnixStream;
/// use windlass::handle::Poll;
///
/// windlass::block_on(async {
///     let (ours, _theirs) = UnixStream::pair()?;
///     Poll::new(ours).writable().await?;
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Ready<'a, F: AsFd + 'static> {
    /// What is waited on.
    watcher: &'a Poll<F>,
    /// What for: one of `READABLE` and `WRITABLE`.
    event: Event,
    /// The poll phase was waited for at least once.
    has_waited: Cell<bool>,
    /// Its place among the tasks that wait.
    place: Place,
}

fn closed() -> io::Error {
    let text = "a descriptor watcher was used after it was closed";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl<'a, F: AsFd + 'static> Ready<'a, F> {
    fn new(watcher: &'a Poll<F>, event: Event) -> Ready<'a, F> {
        Ready { watcher, event, has_waited: Cell::new(false), place: Place::default() }
    }
}

impl<F: AsFd + 'static> Future for Ready<'_, F> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> task::Poll<io::Result<()>> {
        let Ready { watcher, event, has_waited, place } = &*self;
        watcher.descriptor.poll_ready(*event, has_waited, place, cx)
    }
}

impl<F: AsFd + 'static> Drop for Ready<'_, F> {
    fn drop(&mut self) {
        self.watcher.descriptor.leave(self.event, &self.place);
    }
}

impl<F: AsFd + 'static> fmt::Debug for Ready<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("event", &self.event).finish_non_exhaustive()
    }
}
