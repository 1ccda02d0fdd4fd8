//! Broadcast channels: a message that is posted to a name reaches all other channels of that name.
//!
//! Each channel has a queue of its own, and the names are known to the whole process. A post looks
//! up the other channels under the lock of the names, and then clones and pushes without it: a
//! clone is the user's code.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::panic;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::handler::{MessageHandler, Round};
use super::queue::Queue;
use super::recv::{Receive, Recv};
use super::seam::Receiver;
use super::sent::Sent;
use crate::callback::{self, Apart, on_drop::OnDrop, slot::Slot};
use crate::state::State;
use crate::state::current;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::task::waiters::Place;
use crate::trace::label::here;

/// A message as it arrives, or why it does not.
type Arrival<T> = Result<T, MessageError>;

/// Its name in reports.
const KIND: &str = "broadcast channel";

/// The channels of one name and type, by id.
type Members<T> = BTreeMap<u64, Arc<Queue<Sent<Arrival<T>>>>>;

/// By the number of a simulation, zero outside of one, by a name and by a type. The values are
/// `Members` of that type.
type AllNames = BTreeMap<(u64, String, TypeId), Box<dyn Any + Send>>;

/// All names in use.
static NAMES: Mutex<AllNames> = Mutex::new(BTreeMap::new());

fn names() -> MutexGuard<'static, AllNames> {
    // No user code runs under the lock, so a poisoned table is whole.
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uses the members of a name in a simulation, or outside of one; the name goes when none is left.
fn with_members<T: Send + 'static, R>(
    simulation: u64,
    name: &str,
    f: impl FnOnce(&mut Members<T>) -> R,
) -> R {
    let key = (simulation, name.to_owned(), TypeId::of::<T>());
    let mut names = names();
    let entry = names.entry(key.clone()).or_insert_with(|| Box::new(Members::<T>::new()));
    let members = entry.downcast_mut::<Members<T>>().expect("the key has the type");
    let result = f(members);
    if members.is_empty() {
        drop(names.remove(&key));
    }
    result
}

/// Takes the channel with this number off its name.
fn leave_name<T: Send + 'static>(simulation: u64, name: &str, id: u64) {
    drop(with_members::<T, _>(simulation, name, |members| members.remove(&id)));
}

/// Why a message of a broadcast could not be delivered to one channel.
///
/// # Examples
/// ```
/// use windlass::worker::{BroadcastChannel, MessageError};
///
/// windlass::run(|| {
///     let channel = BroadcastChannel::<u32>::new("news");
///     channel.on_message_error(|error| match error {
///         MessageError::ClonePanicked(message) => eprintln!("its clone panicked: {message}"),
///         other => eprintln!("lost: {other}"),
///     });
///     channel.close();
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The clone for this channel panicked, with this message.
    ClonePanicked(String),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::ClonePanicked(message) => {
                write!(f, "a message could not be cloned: {message}")
            }
        }
    }
}

impl Error for MessageError {}

/// One channel of a name. Its messages reach all others of that name, on any thread, and never
/// itself.
///
/// A name stands for one type of message: channels of another type under the same name are others.
/// Each receiver gets a clone of its own, made in the call that posts. It gets the messages of one
/// sender in the order posted, in the poll phase, each as a callback of its own; no message from
/// before it was made, and none after it was closed, not even one that waits. A clone of a channel
/// is the same channel. In a [simulation](crate::sim) the others are those of that simulation.
///
/// It closes with its last clone, unless a handler is attached: then the loop has it until it is
/// closed. Node: `BroadcastChannel`.
///
/// # Liveness
/// An open channel keeps its loop alive, unless [`unref`](BroadcastChannel::unref)'d.
///
/// # Examples
/// ```
/// use windlass::worker::{BroadcastChannel, Worker};
///
/// windlass::run(|| -> std::io::Result<()> {
///     // Opened first: a channel gets nothing from before it was made.
///     let ready = BroadcastChannel::<()>::new("ready");
///     let (mut left, own) = (2, ready.clone());
///     ready.on_message(move |()| {
///         left -= 1;
///         if left == 0 {
///             BroadcastChannel::new("news").post("all are here".to_owned());
///             own.close();
///         }
///     });
///     for _ in 0..2 {
///         Worker::<(), ()>::spawn(|_| {
///             let news = BroadcastChannel::<String>::new("news");
///             let own = news.clone();
///             news.on_message(move |text| {
///                 println!("worker {} has heard: {text}", windlass::worker::id());
///                 own.close();
///             });
///             BroadcastChannel::new("ready").post(());
///         })?;
///     }
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct BroadcastChannel<T> {
    /// The channel, which its loop and its name have too while it is open.
    member: Name<Member<T>>,
}

/// One channel of a name, as its loop has it.
struct Member<T> {
    /// Its entry among the loop's handles.
    registration: Registration,
    /// The receiver's number in the loop's mailbox. No receiver's number on a loop that was closed.
    number: Cell<u64>,
    /// The name whose other channels get what is posted.
    name: String,
    /// Takes the channel off its name. Noted when it was opened, so that a channel can be held,
    /// cloned and dropped where nothing is known of its messages.
    leave_name: fn(u64, &str, u64),
    /// Names the channel among those of its name. Unique in the process.
    id: u64,
    /// Its callback, and the tasks that wait for a message.
    handler: MessageHandler<Arrival<T>>,
    /// The callback of `on_message_error`. Without it such a message is logged.
    on_error: Slot<dyn FnMut(MessageError)>,
    /// How many [`BroadcastChannel`]s name this channel.
    names: Names,
}

impl<T> Member<T> {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    fn is_open(&self) -> bool {
        self.registration.is_open()
    }

    /// Takes the channel off its loop and its name. All that has to be dropped comes back.
    fn leave(&self) -> impl Sized + use<T> {
        let left = self.handler.close();
        (self.leave_name)(self.state().simulation(), &self.name, self.id);
        let receiver = self.state().delivery.remove_receiver(self.number.get());
        let callbacks = (self.handler.unlisten(), Apart(self.on_error.clear()));
        (left, receiver, self.registration.close(), callbacks)
    }

    fn close(&self) {
        if self.is_open() {
            let left = self.leave();
            self.handler.waiters.wake();
            drop(left);
        }
    }

    /// A message that could not be delivered: to the callback, or to the log.
    fn report(&self, error: MessageError) {
        let text = error.to_string();
        let outcome = self.on_error.invoke(self.state(), KIND, |f| f(error));
        let Some(outcome) = outcome else {
            return log::warn!("broadcast channel {:?}: {text}", self.name);
        };
        // Part of the callback that is running, whose drain follows.
        if let Err(payload) = outcome {
            panic::resume_unwind(payload);
        }
    }
}

impl<T: 'static> Handle for Member<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tell_again(&self) {
        self.registration.receives(|| self.handler.buffer.queue().number());
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        let again = OnDrop(|| state.delivery.call_again(self.number.get()));
        if self.handler.deliver(state, self.kind()) != Round::Full {
            again.forget();
        }
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        if self.is_open() {
            callback::drop_quietly(self.leave());
        }
        self.handler.waiters.wake();
    }
}

impl<T: Clone + Send + 'static> BroadcastChannel<T> {
    /// Opens a channel of a name on the current loop. On a loop that is closed the channel is
    /// closed too.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn new(name: impl Into<String>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let state = current::expect("BroadcastChannel::new");
        let queue = Queue::new();
        let member = Rc::new(Member {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            name: name.into(),
            leave_name: leave_name::<T>,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            handler: MessageHandler::new(queue.clone()),
            on_error: Slot::default(),
            names: Names::default(),
        });
        if state.is_open() {
            member.registration.open(member.clone(), here(), true);
            let number = state.delivery.add_receiver(member.clone());
            member.number.set(number);
            member.tell_again();
            queue.attach(Receiver { mailbox: state.mailbox.clone(), number });
            let before = with_members::<T, _>(state.simulation(), &member.name, |members| {
                members.insert(member.id, queue)
            });
            debug_assert!(before.is_none(), "each channel has a number of its own");
        }
        BroadcastChannel { member: Name::new(member) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// Sends a clone of the message to each other channel of the name. When this channel is closed,
    /// the message is dropped.
    ///
    /// A clone that panics costs only the channel that it was for, which is told: see
    /// [`on_message_error`](BroadcastChannel::on_message_error).
    ///
    /// # Cost
    /// A clone and a short lock for each receiver.
    pub fn post(&self, message: T) {
        drop(self.try_post(message));
    }

    /// As [`post`](BroadcastChannel::post), or gives the message back.
    ///
    /// # Errors
    /// The message itself when this channel is closed.
    pub fn try_post(&self, message: T) -> Result<(), T> {
        let member = &self.member;
        if !member.is_open() {
            return Err(message);
        }
        let simulation = member.state().simulation();
        let others: Vec<_> = with_members::<T, _>(simulation, &member.name, |members| {
            let others = members.iter().filter(|(id, _)| **id != member.id);
            others.map(|(_, queue)| queue.clone()).collect()
        });
        for queue in others {
            let clone = callback::attempt(|| message.clone())
                .map_err(|panic| MessageError::ClonePanicked(panic.message().to_owned()));
            // One that has closed meanwhile gives it back, to be dropped.
            drop(queue.push(Sent::now(clone)));
        }
        Ok(())
    }

    /// Calls `f` for each message. Replaces the handler before. Messages that came before there was
    /// a handler have waited.
    #[track_caller]
    pub fn on_message(&self, mut f: impl FnMut(T) + 'static) {
        let member = &self.member;
        if !member.is_open() {
            return;
        }
        let weak = Rc::downgrade(member);
        let before = member.handler.listen(Box::new(move |arrival| match arrival {
            Ok(message) => f(message),
            Err(error) => {
                if let Some(member) = weak.upgrade() {
                    member.report(error);
                }
            }
        }));
        if member.handler.buffer.has_something(member.state().clock.horizon()) {
            member.state().delivery.call_again(member.number.get());
        }
        drop(before);
    }

    /// Removes the handler. Later messages wait.
    pub fn off_message(&self) {
        drop(self.member.handler.unlisten());
    }

    /// Calls `f` for a message that could not be delivered, in its place in the order. Without it
    /// such a message is logged. Those after it come as ever.
    #[track_caller]
    pub fn on_message_error(&self, f: impl FnMut(MessageError) + 'static) {
        if self.member.is_open() {
            drop(self.member.on_error.set(Box::new(f)));
        }
    }

    /// Takes the oldest message that waits. It reaches no handler.
    ///
    /// One that could not be cloned is told to
    /// [`on_message_error`](BroadcastChannel::on_message_error), here, and the next one is taken.
    pub fn try_recv(&self) -> Option<T> {
        while self.member.is_open() {
            match self.member.handler.try_recv(self.member.state().clock.horizon())? {
                Ok(message) => return Some(message),
                Err(error) => self.member.report(error),
            }
        }
        None
    }

    /// Waits for the next message; none when the channel is closed. Dropping the future loses
    /// nothing.
    ///
    /// Any number may wait, and beside a handler: see [`Port::recv`](super::port::Port::recv).
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(&**self.member)
    }

    /// The next message, or keeps the task's waker until it comes; none when the channel is closed.
    /// One task can wait so: see [`Port::poll_recv`](super::port::Port::poll_recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.member.poll_recv(self.member.handler.waiters.poller(), cx)
    }

    /// Closes the channel. Messages that wait here are dropped. Closing again does nothing.
    pub fn close(&self) {
        self.member.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        !self.member.is_open()
    }

    ref_methods!("channel"; member.registration);
}

impl<T> Clone for BroadcastChannel<T> {
    fn clone(&self) -> Self {
        BroadcastChannel { member: self.member.clone() }
    }
}

impl<T> fmt::Debug for BroadcastChannel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastChannel")
            .field("name", &self.member.name)
            .field("open", &self.member.is_open())
            .finish_non_exhaustive()
    }
}

impl<T> Receive<T> for Member<T> {
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<T>> {
        while self.is_open() {
            match self.handler.poll_recv(self.state().clock.horizon(), place, cx) {
                Poll::Ready(Some(Ok(message))) => return Poll::Ready(Some(message)),
                Poll::Ready(Some(Err(error))) => self.report(error),
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(None)
    }

    fn stop_waiting(&self, place: &Place) {
        self.handler.waiters.leave(place);
    }
}

impl<T> Named for Member<T> {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A channel with a callback belongs to the loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.handler.is_listening() {
            self.close();
        }
    }
}
