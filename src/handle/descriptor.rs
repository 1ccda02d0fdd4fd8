//! A handle that watches a raw descriptor (libuv's `uv_poll_t`).
//!
//! The poller reports edges, but users of a raw descriptor expect levels: as long as there is
//! something to read they want to be called. We cannot see what the callback read, so after each
//! call the watcher asks to be called again, and before each call asks the kernel whether the
//! descriptor is ready at this moment. One that is not waits for the next edge.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ops::BitOr;
use std::os::fd::AsFd;
use std::panic::Location;
use std::rc::Rc;

use crate::callback::slot::Slot;
use crate::callback::{self, Apart};
use crate::state::State;
use crate::state::current;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::{self, Event};

/// What a [`Poll`] watches for: constants that are combined with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(Event);

impl Interest {
    /// There is something to read, or the end has come.
    pub const READABLE: Interest = Interest(Event::READABLE);
    /// There is room to write, or a write would fail.
    pub const WRITABLE: Interest = Interest(Event::WRITABLE);
    /// There is out-of-band data.
    pub const PRIORITY: Interest = Interest(Event::PRIORITY);
    /// The peer has closed its side. Reported once for each start of the watcher.
    pub const DISCONNECT: Interest = Interest(Event::READ_CLOSED);
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0.with(other.0))
    }
}

/// What a [`Poll`] saw. Only what it watches for, and errors.
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

    /// The peer has closed its side.
    pub fn is_disconnected(self) -> bool {
        self.0.has(Event::READ_CLOSED)
    }
}

/// Watches a descriptor of any kind that the system can poll: a socket, a pipe, a terminal.
///
/// Owns what it is given, so the descriptor stays open as long as it is watched; give it an
/// `Rc<OwnedFd>` or a `BorrowedFd<'static>` to share one. Levels, not edges: the callback comes
/// again in every iteration until it has read, or written, what there is. A clone is the same
/// watcher. An active one belongs to the loop and keeps it alive unless [`unref`](Poll::unref)'d.
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
    /// The descriptor is registered with the poller. It stays so from the first start to the next
    /// stop.
    registered: Cell<bool>,
    /// The disconnect was reported since the last start: not again.
    disconnected: Cell<bool>,
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
            registered: Cell::new(false),
            disconnected: Cell::new(false),
            callback: Slot::default(),
            names: Names::default(),
        });
        if state.is_open() {
            descriptor.registration.open(descriptor.clone(), Location::caller(), false);
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

    /// Whether the watcher is started.
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
        let source = self.descriptor.source.take()?;
        self.descriptor.close();
        Rc::into_inner(source)
    }
}

impl<F: AsFd + 'static> Descriptor<F> {
    fn start(&self, interest: Event, f: Box<dyn FnMut(Readiness)>) -> io::Result<()> {
        let Some((key, source)) = self.registration.key().zip(self.source.borrow().clone()) else {
            let text = "a descriptor watcher was started after it was closed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let (state, key) = (&self.registration.state, key.to_bits());
        if self.registered.get() {
            state
                .sources
                .reregister(|poller| poller.reregister_descriptor(source.as_fd(), interest, key))?;
        } else {
            state.register(|poller| poller.register_descriptor(source.as_fd(), interest, key))?;
            self.registered.set(true);
        }
        self.interest.set(interest);
        self.disconnected.set(false);
        self.registration.set_active(true);
        drop(self.callback.set(f));
        Ok(())
    }

    /// Stops watching. Returns the callback for the caller to drop.
    fn stop(&self) -> Option<Box<dyn FnMut(Readiness)>> {
        if self.registered.replace(false)
            && let Some(source) = self.source.borrow().clone()
        {
            self.registration
                .state
                .sources
                .deregister(|poller| poller.deregister_descriptor(source.as_fd()));
        }
        self.interest.set(Event::default());
        self.registration.set_active(false);
        self.callback.clear()
    }

    fn close(&self) {
        let callback = self.stop();
        let source = self.source.take();
        let entry = self.registration.close();
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
        let Some(source) = self.source.borrow().clone() else { return };
        let mut interest = self.interest.get();
        if interest.is_empty() {
            return;
        }
        if self.disconnected.get() {
            interest = interest.without(Event::READ_CLOSED);
        }
        let seen = match sys::descriptor_ready(source.as_fd(), interest) {
            Ok(seen) => seen,
            Err(error) => {
                log::error!("a watched descriptor could not be polled: {error}");
                return;
            }
        };
        drop(source);
        if seen.is_empty() || interest.is_empty() {
            // The next edge will tell. Errors alone are nothing new once the disconnect was
            // reported.
            return;
        }
        self.disconnected.set(self.disconnected.get() || seen.has(Event::READ_CLOSED));
        let location = self.registration.location();
        let outcome = self.callback.invoke(state, location, |f| f(Readiness(seen)));
        if !self.interest.get().is_empty() {
            self.registration.call_again();
        }
        callback::settle(state, outcome.unwrap_or(Ok(())));
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        callback::drop_quietly(self.stop());
        callback::drop_quietly(self.source.take());
    }
}

impl<F: AsFd + 'static> Named for Descriptor<F> {
    fn names(&self) -> &Names {
        &self.names
    }

    /// An active watcher belongs to the loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.registration.is_active() {
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
