//! Signals as callbacks on the loop.
//!
//! The system's handler only notes the signal and wakes the loops that listen for it (see
//! `sys::signal`); the callbacks run on the loop, last in the poll phase. Every listener of a
//! signal is called, on every loop. Handlers that others have installed for the signal are called
//! as before. When the last listener of a signal is gone, what the signal did before the first
//! comes back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::callback;
use crate::callback::slot::Slot;
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::signal::{self, Post};
use crate::sys::{self, Event};

/// The signals of one loop: where they come in, and who listens.
struct Hub {
    /// Open while there are listeners. Registered with the poller, but not active: it holds
    /// nothing.
    registration: Registration,
    /// Where the system's handler leaves the loop's signals. The loop's own until it leaves the
    /// post.
    post: &'static Post,
    /// Those that were started and not stopped, by number: in the order of their start.
    listeners: RefCell<BTreeMap<u64, Rc<Listener>>>,
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
    /// What is called when the signal has come.
    callback: Slot<dyn FnMut()>,
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
        hub.registration.open(hub.clone(), Location::caller(), false);
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
            for listener in listeners.values().filter(|listener| listener.signum == signum) {
                let (listener, own) = (listener.clone(), state.clone());
                state.poll_last.push(Closure::new(move || listener.fire(&own)));
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
    /// Calls back.
    fn fire(&self, state: &Rc<State>) {
        // Stopped between the signal and this call: then there is no callback any more.
        let location = self.registration.location();
        callback::call_slot(state, location, &self.callback, |f| f());
    }

    /// Stops for good. Again it does nothing.
    fn stop(&self) {
        let listed = self.hub.listeners.borrow_mut().remove(&self.number);
        if listed.is_some() {
            let listeners = self.hub.listeners.borrow();
            let others = listeners.values().any(|other| other.signum == self.signum);
            drop(listeners);
            self.hub.post.unlisten(self.signum, others);
        }
        let entry = self.registration.close();
        self.hub.leave_if_unused();
        drop((listed, entry, self.callback.clear()));
    }
}

impl Handle for Listener {
    fn kind(&self) -> &'static str {
        "signal watcher"
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
/// same listener. It lives until stopped, and keeps the loop alive unless
/// [`unref`](Signal::unref)'d.
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
    /// Shared by all clones.
    listener: Rc<Listener>,
}

impl Signal {
    /// Watches a signal on the current loop.
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
        let location = Location::caller();
        signal::check(signum)?;
        if !state.is_open() {
            return Err(crate::error::shut_down());
        }
        let hub = Hub::of(&state)?;
        if let Err(error) = hub.post.listen(signum) {
            hub.leave_if_unused();
            return Err(error);
        }
        let number = hub.next_number.get();
        hub.next_number.set(number + 1);
        let listener = Rc::new(Listener {
            registration: Registration::new(state.clone()),
            number,
            signum,
            hub: hub.clone(),
            callback: Slot::default(),
        });
        drop(listener.callback.set(Box::new(f)));
        listener.registration.open(listener.clone(), location, true);
        hub.listeners.borrow_mut().insert(number, listener.clone());
        Ok(Signal { listener })
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

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("signum", &self.listener.signum)
            .field("active", &self.listener.registration.is_open())
            .finish_non_exhaustive()
    }
}
