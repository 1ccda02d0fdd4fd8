//! The notifier: a callback that any thread can ask for (libuv's async handle).

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::callback::slot::Slot;
use crate::callback::{self, Quiet, observed};
use crate::state::State;
use crate::state::current;
use crate::state::registration::{Handle, Registration};
use crate::sys;
use crate::threads::mailbox::RemoteMailbox;
use crate::trace::asked::Asked;
use crate::trace::label::here;

/// Calls back on its loop when any thread says so.
///
/// `Send`, `Sync` and `Clone`: every clone is the same notifier, and it closes with the last one.
/// Calls of [`notify`](Notifier::notify) between two callbacks coalesce into one; a call that comes
/// after the callback has begun gives another. Keeps the loop alive until closed, unless
/// [`unref`](Notifier::unref)'d. libuv: `uv_async_t`.
///
/// # Examples
/// ```
/// use windlass::handle::Notifier;
///
/// windlass::run(|| {
///     let own = std::rc::Rc::new(std::cell::OnceCell::<Notifier>::new());
///     let inner = own.clone();
///     let notifier = Notifier::new(move || {
///         println!("another thread has news");
///         inner.get().unwrap().close();
///     });
///     own.set(notifier.clone()).unwrap();
///     std::thread::spawn(move || notifier.notify());
/// });
/// ```
#[derive(Clone)]
pub struct Notifier {
    /// Shared by all clones and with the loop.
    shared: Arc<Shared>,
}

/// What any thread may use.
struct Shared {
    /// The way to the loop. Counted: a loop in virtual time waits while it exists.
    mailbox: RemoteMailbox,
    /// The loop, for a call on its own thread.
    loop_id: u32,
    /// The receiver's number in the loop's mailbox; `u64::MAX` if the loop was closed already.
    number: u64,
    /// A call is on its way: the next one need not be sent. Cleared before the callback.
    asked: Arc<Asked>,
}

/// What belongs to the loop.
struct Receiver {
    /// Open until the notifier is closed.
    registration: Registration,
    /// As in [`Shared`].
    number: Cell<u64>,
    /// As in [`Shared`].
    asked: Arc<Asked>,
    /// The user's callback. Empty after close.
    callback: Slot<dyn FnMut()>,
}

impl Notifier {
    /// Makes a notifier on the current loop.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn new(f: impl FnMut() + 'static) -> Notifier {
        let state = current::expect("Notifier::new");
        let asked = Arc::new(Asked::default());
        let receiver = Rc::new(Receiver {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            asked: asked.clone(),
            callback: Slot::default(),
        });
        if state.is_open() {
            drop(receiver.callback.set(Box::new(f)));
            receiver.registration.open(receiver.clone(), here(), true);
            receiver.number.set(state.delivery.add_receiver(receiver.clone()));
        }
        let (mailbox, loop_id) = (RemoteMailbox::new(state.mailbox.clone()), state.id);
        let number = receiver.number.get();
        Notifier { shared: Arc::new(Shared { mailbox, loop_id, number, asked }) }
    }

    /// Asks for a callback. Never blocks, and does nothing once the notifier is closed.
    ///
    /// # Cost
    /// One atomic operation while a call is on its way; else a short lock, and a system call if
    /// the loop sleeps.
    pub fn notify(&self) {
        if self.shared.asked.ask(self.shared.mailbox.is_observed(), observed::link) {
            self.shared.mailbox.notify(self.shared.number);
        }
    }

    /// Closes the notifier: a call that is on its way is lost, and no callback comes after this,
    /// when called on the loop's thread. From another thread it takes effect when the loop gets to
    /// it.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Lets the loop end although the notifier is open.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the notifier keeps the loop alive.
    pub fn set_ref(&self, on: bool) {
        self.shared.on_loop(move |state, number| {
            if let Some(receiver) = state.delivery.receiver(number) {
                receiver.registration().set_ref(on);
            }
        });
    }
}

impl Shared {
    /// Does something on the loop's thread: now if this is it, else by post.
    fn on_loop(&self, f: impl FnOnce(&Rc<State>, u64) + Send + 'static) {
        let (loop_id, number) = (self.loop_id, self.number);
        if let Some(state) = current::find_id(loop_id) {
            return f(&state, number);
        }
        let there = move || {
            if let Some(state) = current::find(loop_id) {
                f(&state, number);
            }
        };
        // A loop that is gone has no notifiers left to act on.
        self.mailbox.post(there).unwrap_or_else(drop);
    }

    fn close(&self) {
        self.on_loop(|state, number| {
            // In the middle of its callback the call in progress drops it.
            if let Some(receiver) = state.delivery.remove_receiver(number) {
                receiver.tear_down(state);
            }
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Handle for Receiver {
    fn kind(&self) -> &'static str {
        "notifier"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: sys::Event) {
        // Before the callback: a call that comes while it runs gives another one.
        let id = self.asked.happens();
        callback::call_slot(state, self.kind(), &self.callback, |f| {
            if id > 0 {
                state.teller.tell_asked(id, self.asked.cause());
            }
            f();
        });
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        // It may hold another notifier, the callback of that one the next, and so on.
        callback::drop_nested(Quiet(self.callback.clear()));
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.shared.asked.is_pending();
        f.debug_struct("Notifier").field("pending", &pending).finish_non_exhaustive()
    }
}
