//! Messages from any worker to any other, by number, without a port between them.
//!
//! For the rare message to a worker that one has not started oneself. Everything that can go wrong
//! is told apart, for the sender cannot see the other's life. Node: `postMessageToThread`.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::panic;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::this;
use crate::callback::observed::noted;
use crate::callback::{self, slot::Slot};
use crate::channel::call::{self, CallError, Reply};
use crate::phase::timers::{self, Timer};
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::state::registration::{Handle, Registration};
use crate::threads::mailbox::Mailbox;
use crate::trace::label::here;
use crate::unhandled::{Failure, Lost};

/// By the number of a simulation, zero outside of one, and by the number of a worker there.
type Mailboxes = BTreeMap<(u64, u64), Arc<Mailbox>>;

/// The mailboxes of all workers that run.
static RUNNING: Mutex<Mailboxes> = Mutex::new(BTreeMap::new());

fn running() -> MutexGuard<'static, Mailboxes> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker can be reached from now on.
pub(super) fn enlist(address: (u64, u64), mailbox: Arc<Mailbox>) {
    running().insert(address, mailbox);
}

/// A worker has ended.
pub(super) fn discharge(address: (u64, u64)) {
    drop(running().remove(&address));
}

/// Why a direct message was not delivered.
///
/// # Examples
/// ```
/// use windlass::worker::{DirectError, post_direct};
///
/// windlass::block_on(async {
///     let error = post_direct(u64::MAX, "hello", None).await.unwrap_err();
///     assert_eq!(error, DirectError::NoWorker);
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectError {
    /// It was addressed to the worker that sent it.
    OwnThread,
    /// There is no worker with that number, or it has ended.
    NoWorker,
    /// The worker has no listener for messages of this type.
    NoListener,
    /// The listener panicked, with this message. The worker goes on.
    ListenerPanicked(String),
    /// It was not delivered in time. It may still be.
    Timeout,
    /// It was cancelled by its sender. It may still be delivered.
    Cancelled,
    /// The sender's loop has ended.
    ShutDown,
}

impl fmt::Display for DirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectError::OwnThread => f.write_str("the message is addressed to its own thread"),
            DirectError::NoWorker => f.write_str("no worker with that number runs"),
            DirectError::NoListener => {
                f.write_str("the worker does not listen for messages of this type")
            }
            DirectError::ListenerPanicked(message) => {
                write!(f, "the listener for the message panicked: {message}")
            }
            DirectError::Timeout => f.write_str("the message was not delivered in time"),
            DirectError::Cancelled => f.write_str("the message was cancelled"),
            DirectError::ShutDown => fmt::Display::fmt(&crate::error::LoopGone, f),
        }
    }
}

impl Error for DirectError {}

impl Failure for DirectError {
    fn is_cancelled(&self) -> bool {
        matches!(self, DirectError::Cancelled)
    }

    fn into_lost(self) -> Lost {
        Lost::error(self)
    }
}

type Delivered = Result<(), DirectError>;

/// Sends a message to the worker with this number, and tells what became of it.
///
/// It is delivered in the worker's poll phase, behind the messages of its ports, to the listener of
/// [`on_direct_message`] for its type, and not before the worker's main script has run; when the
/// listener returns, the request completes. The request holds the loop. A message that waits keeps
/// the worker's loop alive until it is delivered. From a [simulation](crate::sim) it reaches the
/// workers of that one only, which have numbers of their own.
///
/// # Errors
/// [`DirectError`], a different one for each reason. With `timeout` the wait ends after that time.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::worker::{self, DirectError, Port, Worker};
///
/// windlass::block_on(async {
///     let worker = Worker::<(), ()>::spawn(|port| {
///         worker::on_direct_message(|_from, text: String| assert_eq!(text, "hello"));
///         port.post(());
///         port.on_message(|()| ());
///     })?;
///     worker.recv().await;
///     let hello = worker::post_direct(worker.id(), "hello".to_owned(), None);
///     assert_eq!(hello.await, Ok(()));
///     let number = worker::post_direct(worker.id(), 5_u8, None);
///     assert_eq!(number.await, Err(DirectError::NoListener));
///     drop(worker.terminate());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn post_direct<T: Send + 'static>(
    worker: u64,
    message: T,
    timeout: Option<Duration>,
) -> Request<Result<(), DirectError>> {
    let state = current::expect("worker::post_direct");
    let location = here();
    let (in_time, timer) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(None::<Timer>)));
    let (timed, armed) = (in_time.clone(), timer.clone());
    let (reply, request, give_up) = call::ask(&state, location, move |outcome| {
        if let Some(timer) = armed.take() {
            timer.clear();
        }
        match outcome {
            Ok(delivered) => delivered,
            Err(CallError::ShutDown) => Err(DirectError::ShutDown),
            Err(CallError::Cancelled) => Err(DirectError::Cancelled),
            Err(_) if !timed.get() => Err(DirectError::Timeout),
            // It was dropped with the worker's loop.
            Err(_) => Err(DirectError::NoWorker),
        }
    });
    if worker == this::id() {
        reply.send(Err(DirectError::OwnThread));
        return request;
    }
    let mailbox = running().get(&(state.simulation(), worker)).cloned();
    let from = this::id();
    // One that a loop gives back, or that has no loop to go to, is dropped unanswered.
    let closure = noted(|| "post", location, move || deliver(from, message, reply));
    match mailbox {
        Some(mailbox) => drop(mailbox.post(closure).err()),
        None => drop(closure),
    }
    if let Some(limit) = timeout {
        let give_up = move || {
            in_time.set(false);
            give_up();
        };
        timer.set(Some(timers::set_internal(&state, limit, location, give_up)));
    }
    request
}

/// On the worker's loop: gives a message to its listener.
fn deliver<T: Send + 'static>(from: u64, message: T, reply: Reply<Delivered>) {
    let Some(state) = current::get() else { return };
    if !this::has_begun() {
        // The listeners are yet to come.
        return drop(state.mailbox.post(move || deliver(from, message, reply)).err());
    }
    let Some(listeners) = state.extension::<Listeners>() else {
        return reply.send(Err(DirectError::NoListener));
    };
    let slot = listeners.slot::<T>();
    let delivered = callback::attempt(|| {
        let outcome =
            slot.invoke_for(&state, KIND, state.teller.cause(), |listener| listener(from, message));
        outcome.map(|outcome| outcome.unwrap_or_else(|payload| panic::resume_unwind(payload)))
    });
    reply.send(match delivered {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(DirectError::NoListener),
        Err(panic) => Err(DirectError::ListenerPanicked(panic.message().to_owned())),
    });
}

/// Calls `f` with the sender's number and the message for each direct message of this type. 0 is
/// the number of a loop that is no worker's. Replaces the listener for the type before. It does not
/// hold the loop.
///
/// A panic of the listener goes to the sender, not to this loop. Only workers can be addressed: on
/// a loop that is no worker's `f` is dropped.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::worker::{Worker, on_direct_message, post_direct};
///
/// windlass::block_on(async {
///     let worker = Worker::<(), ()>::spawn(|port| {
///         on_direct_message(|from: u64, text: String| println!("{from}: {text}"));
///         port.on_message(|()| ()); // Keeps the worker alive.
///     })?;
///     let sent = post_direct(worker.id(), "hello".to_owned(), None).await;
///     println!("{sent:?}");
///     drop(worker.terminate());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn on_direct_message<T: Send + 'static>(f: impl FnMut(u64, T) + 'static) {
    let state = current::expect("worker::on_direct_message");
    if this::is_main() || !state.is_open() {
        return;
    }
    drop(Listeners::of(&state).slot::<T>().set(Box::new(f)));
}

/// Its name in reports.
const KIND: &str = "direct message listeners";

/// The place of the listener for messages of one type.
type ListenerSlot<T> = Slot<dyn FnMut(u64, T)>;

/// The listeners of a loop. A handle that holds nothing, so that they go with the others.
struct Listeners {
    /// Its entry among the loop's handles.
    registration: Registration,
    /// With the type of their messages: each is the `ListenerSlot` of that type. A list, in the
    /// order in which the types came: they are dropped in the same order in each run.
    by_type: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
}

impl Listeners {
    #[track_caller]
    fn of(state: &Rc<State>) -> Rc<Listeners> {
        if let Some(listeners) = state.extension::<Listeners>() {
            return listeners;
        }
        let listeners = Rc::new(Listeners {
            registration: Registration::new(state.clone()),
            by_type: RefCell::default(),
        });
        listeners.registration.open(listeners.clone(), here(), false);
        state.set_extension(listeners.clone());
        listeners
    }

    /// The place of the listener for this type, which may be empty.
    fn slot<T: 'static>(&self) -> Rc<ListenerSlot<T>> {
        let mut by_type = self.by_type.borrow_mut();
        if let Some((_, slot)) = by_type.iter().find(|(known, _)| *known == TypeId::of::<T>()) {
            return slot.clone().downcast().expect("it stands with its type");
        }
        let slot = Rc::new(ListenerSlot::<T>::default());
        by_type.push((TypeId::of::<T>(), slot.clone()));
        slot
    }
}

impl Handle for Listeners {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        drop(state.remove_extension::<Listeners>());
        self.by_type.take().into_iter().for_each(callback::drop_quietly);
    }
}
