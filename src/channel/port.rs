//! Ports: the two ends of a channel between loops.
//!
//! As in Node, what may cross threads and what belongs to a loop are two types: a [`PortEnd`] travels, and
//! becomes a [`Port`] where it is opened.
//!
//! Whether a channel has a bound is part of its type, so that there is no `post` that could fail for
//! lack of room: an unbounded port posts, a bounded one waits for a place or is told that there is none.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use super::discard::discard;
use super::handler::{Inbox, Round};
use super::queue::{End, Popped, Queue, Refused};
use super::seam::Receiver;
use crate::callback;
use crate::clock::Nanos;
use crate::event_loop::State;
use crate::event_loop::current;
use crate::handle::{Handle, Registration};
use crate::queue::closure::Closure;
use crate::sys::Event;
use crate::task::waiters::Place;

/// Both directions of a channel, as one end sees them. Closes its end when dropped.
pub(crate) struct Link<S, R> {
    pub(crate) outgoing: Arc<Queue<S>>,
    pub(crate) incoming: Arc<Queue<R>>,
    /// Dropping this tells the other end. A port that closes does it itself, later.
    tells: bool,
    /// Drops messages that were not received. Noted when the channel was made, so that an end can be held
    /// and dropped where nothing is known of its messages.
    discard: fn(VecDeque<R>),
}

impl<S: 'static, R: 'static> Link<S, R> {
    /// The two ends of a new channel.
    pub(crate) fn pair() -> (Link<S, R>, Link<R, S>) {
        Link::of(Queue::new(), Queue::new())
    }

    /// The two ends of a new channel that takes so many messages in each direction.
    fn bounded_pair(capacity: usize) -> (Link<S, R>, Link<R, S>) {
        Link::of(Queue::bounded(capacity), Queue::bounded(capacity))
    }

    fn of(there: Arc<Queue<S>>, back: Arc<Queue<R>>) -> (Link<S, R>, Link<R, S>) {
        let (outgoing, incoming) = (back.clone(), there.clone());
        let other = Link { outgoing, incoming, tells: true, discard: discard::<S> };
        (Link { outgoing: there, incoming: back, tells: true, discard: discard::<R> }, other)
    }
}

impl<S, R> Link<S, R> {
    /// Whether this end and that one are the two of one channel.
    pub(crate) fn is_peer<A, B>(&self, end: &Link<A, B>) -> bool {
        // Two channels are never in the same place: both are there.
        Arc::as_ptr(&self.outgoing).cast::<()>() == Arc::as_ptr(&end.incoming).cast::<()>()
    }
}

impl<S, R> Drop for Link<S, R> {
    fn drop(&mut self) {
        if self.tells {
            self.outgoing.close_sender();
        }
        (self.discard)(self.incoming.close_receiver());
    }
}

/// Makes a channel: what is posted at one end arrives at the other. Both ends can travel to other
/// threads, also inside messages.
///
/// # Examples
/// ```
/// use windlass::worker::channel;
///
/// windlass::run(|| {
///     let (here, there) = channel::<&str, usize>();
///     let there = there.open();
///     let reply = there.clone();
///     there.on_message(move |text| {
///         reply.post(text.len());
///         reply.close();
///     });
///     let here = here.open();
///     here.on_message(|length| assert_eq!(length, 5));
///     here.post("hello");
/// });
/// ```
pub fn channel<A: Send + 'static, B: Send + 'static>() -> (PortEnd<A, B>, PortEnd<B, A>) {
    let (one, other) = Link::pair();
    (PortEnd::new(one), PortEnd::new(other))
}

/// Makes a channel that holds at most `capacity` messages in each direction.
///
/// Its ports have no `post`: [`try_post`](Port::try_post) gives a message back when there is no room,
/// [`post_async`](Port::post_async) and [`reserve`](Port::reserve) wait for a place. Room comes when the
/// receiver takes a message, that is, when its handler is called with it. Places are given in the order
/// in which they were asked for.
///
/// # Panics
/// When `capacity` is zero.
///
/// # Examples
/// ```
/// use windlass::worker::{TryPostError, channel_bounded};
///
/// windlass::block_on(async {
///     let (here, there) = channel_bounded::<u32, ()>(1);
///     let (here, there) = (here.open(), there.open());
///     assert_eq!(here.try_post(1), Ok(()));
///     assert_eq!(here.try_post(2), Err(TryPostError::Full(2)));
///
///     // Waits until the other end has taken the first message.
///     windlass::spawn(async move { here.post_async(2).await });
///     assert_eq!(there.recv().await, Some(1));
///     assert_eq!(there.recv().await, Some(2));
///     assert_eq!(there.recv().await, None);
/// });
/// ```
#[track_caller]
pub fn channel_bounded<A: Send + 'static, B: Send + 'static>(
    capacity: usize,
) -> (PortEnd<A, B, Bounded>, PortEnd<B, A, Bounded>) {
    let Some(capacity) = NonZeroUsize::new(capacity) else {
        panic!("windlass: a channel has room for at least one message")
    };
    let (one, other) = Link::bounded_pair(capacity.get());
    (PortEnd::new(one), PortEnd::new(other))
}

/// Says of a port that its channel holds any number of messages. See [`channel`].
#[derive(Debug)]
pub enum Unbounded {}

/// Says of a port that its channel holds a limited number of messages. See [`channel_bounded`].
#[derive(Debug)]
pub enum Bounded {}

/// An end of a channel that is not on any loop: what travels between threads.
///
/// Sends `S`, receives `R`. Messages that arrive meanwhile wait in it. Dropping it closes the channel.
///
/// One that is posted into its own channel, by its peer, can never be received: it stays there, with all that
/// waits behind it, for as long as the process runs, and its peer hears of no close. The same is true of two
/// channels each of which has an end of the other in its queue. A message is a value of any type that is
/// moved, so a post cannot see the ends in it: ask [`Port::is_peer`] before, where that can happen.
///
/// `K` says whether the channel has a bound.
pub struct PortEnd<S, R, K = Unbounded> {
    pub(crate) link: Link<S, R>,
    kind: PhantomData<K>,
}

impl<S, R, K> PortEnd<S, R, K> {
    pub(crate) fn new(link: Link<S, R>) -> Self {
        PortEnd { link, kind: PhantomData }
    }
}

impl<S: Send + 'static, R: Send + 'static, K> PortEnd<S, R, K> {
    /// Opens the end on the current loop. On a loop that is closed the port is closed too.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> Port<S, R, K> {
        let state = current::expect("PortEnd::open");
        let core = Rc::new(Core {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            inbox: Inbox::new(self.link.incoming.clone()),
            link: RefCell::new(None),
            closed_link: Cell::new(None),
            tell: Cell::new(None),
            on_close: Cell::new(None),
            names: Cell::new(1),
            finished: Cell::new(false),
            reserving: Cell::new(0),
        });
        if state.is_open() {
            core.registration.open(core.clone(), Location::caller(), false);
            let number = state.delivery.add_receiver(core.clone());
            core.number.set(number);
            let incoming = self.link.incoming.clone();
            let outgoing = self.link.outgoing.clone();
            core.tell.set(Some(Tell(Some(outgoing))));
            self.link.outgoing.set_sender_thread(Some(thread::current().id()));
            core.link.replace(Some(self.link));
            incoming.attach(Receiver { mailbox: state.mailbox.clone(), number });
        }
        Port { core, kind: PhantomData }
    }
}

impl<S, R, K> fmt::Debug for PortEnd<S, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortEnd")
            .field("waiting", &self.link.incoming.len())
            .finish_non_exhaustive()
    }
}

/// Tells the other end of the close when it is dropped: in its turn in the close phase, or with the loop.
struct Tell(Option<Arc<dyn Sending>>);

/// A queue whose messages are of any type.
trait Sending {
    fn close_sender(&self);
}

impl<T> Sending for Queue<T> {
    fn close_sender(&self) {
        Queue::close_sender(self);
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.close_sender();
        }
    }
}

struct Core<S, R> {
    registration: Registration,
    /// The receiver's number in the loop's mailbox; `u64::MAX` when it receives no more.
    number: Cell<u64>,
    inbox: Inbox<R>,
    /// Taken out when the port is closed or detached.
    link: RefCell<Option<Link<S, R>>>,
    /// The link of a port that was closed in a round of its own: it is let go when the round is
    /// over.
    closed_link: Cell<Option<Link<S, R>>>,
    /// Tells the other end that this one is closed. None once that is on its way.
    tell: Cell<Option<Tell>>,
    on_close: Cell<Option<Box<dyn FnOnce()>>>,
    /// How many [`Port`]s there are for this port.
    names: Cell<u32>,
    /// The other end listens, but sends no more.
    finished: Cell<bool>,
    /// Tasks that wait for a place to send to.
    reserving: Cell<usize>,
}

impl<S, R> Core<S, R> {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Up to when messages are seen.
    fn now(&self) -> Nanos {
        self.state().clock.horizon()
    }

    fn is_open(&self) -> bool {
        self.link.borrow().is_some()
    }

    /// Whether messages may still come: it is open, or was closed in a round that is not over.
    fn receives(&self) -> bool {
        self.number.get() != u64::MAX
    }

    fn outgoing(&self) -> Option<Arc<Queue<S>>> {
        self.link.borrow().as_ref().map(|link| link.outgoing.clone())
    }

    fn update_liveness(&self) {
        let receives = !self.finished.get() && self.inbox.is_wanted();
        self.registration.set_active(receives || self.reserving.get() > 0);
    }

    /// Takes the port off its loop. All that has to be dropped comes back.
    fn leave(&self) -> impl Sized + use<S, R> {
        let number = self.number.replace(u64::MAX);
        let receiver = self.state().delivery.remove_receiver(number);
        (receiver, self.registration.close(), self.inbox.unlisten())
    }

    fn close(&self) {
        let Some(mut link) = self.link.take() else { return };
        let location = self.registration.location();
        // From here on the other end can send nothing, but as in Node it hears of the close when this
        // end's close callback is due: its own comes an iteration later.
        link.tells = false;
        link.outgoing.end_sending();
        let tell = self.tell.take().map(|tell| Closure::new(move || drop(tell)));
        let on_close = self.on_close.take().map(|f| self.call_on_close(location, f));
        self.state().closing.push_all(tell.into_iter().chain(on_close));
        self.closed_link.set(Some(link));
        // In a round of its own, what is left of the round is still delivered, as in Node.
        let left = if self.inbox.is_in_round() { None } else { self.finish_close() };
        self.inbox.waiters.wake();
        // Last: messages and handlers are the user's values.
        drop(left);
    }

    /// The second queue of a close: from here on nothing is received. All that has to be dropped
    /// comes back.
    fn finish_close(&self) -> Option<impl Sized + use<S, R>> {
        let link = self.closed_link.take()?;
        let left = self.leave();
        Some((self.inbox.intake.close(), link, left))
    }

    fn call_on_close(
        &self,
        location: Option<&'static Location<'static>>,
        f: Box<dyn FnOnce()>,
    ) -> Closure {
        let state = self.state().clone();
        Closure::new(move || callback::call(&state, location, f))
    }

    /// The other end sends no more: nothing to wait for, but something may be sent.
    fn note_finish(&self) {
        self.finished.set(true);
        if self.is_open() {
            self.update_liveness();
        }
    }

    /// Asks for another look, after somebody looked without the handler, when the end is all that is left. What waits for
    /// the handler has given notice: to look for that again would keep the loop from sleeping.
    fn look_again(&self) {
        let ended = self.inbox.intake.end_seen(self.now()) != End::Open;
        if ended && !self.finished.get() {
            self.state().delivery.call_again(self.number.get());
        }
    }
}

impl<S: 'static, R: 'static> Handle for Core<S, R> {
    fn kind(&self) -> &'static str {
        "message port"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        let again = CallAgain { state, number: self.number.get() };
        let round = self.inbox.deliver(state);
        if !self.is_open() {
            again.forget();
            return drop(self.finish_close());
        }
        match round {
            Round::Empty => again.forget(),
            Round::Full => {} // Called again in the next poll phase.
            Round::Finished => {
                again.forget();
                self.note_finish();
            }
            Round::Closed => {
                again.forget();
                self.close();
            }
            Round::Unheard => {
                again.forget();
                match self.inbox.intake.end_seen(self.now()) {
                    End::Gone => self.close(),
                    End::Finished => self.note_finish(),
                    End::Open => self.update_liveness(),
                }
            }
        }
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        let link = self.link.take();
        callback::drop_quietly(self.leave());
        let unseen = self.inbox.intake.close();
        callback::drop_quietly((link, self.closed_link.take()));
        callback::drop_quietly(unseen);
        callback::drop_quietly((self.tell.take(), self.on_close.take()));
        self.inbox.waiters.wake();
    }
}

/// Has a receiver called again in the next poll phase, also when a panic passes by.
pub(crate) struct CallAgain<'a> {
    pub(crate) state: &'a State,
    pub(crate) number: u64,
}

impl CallAgain<'_> {
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for CallAgain<'_> {
    fn drop(&mut self) {
        self.state.delivery.call_again(self.number);
    }
}

/// An end of a channel on a loop. Sends `S`, receives `R`.
///
/// Messages wait until there is a handler; attaching one references the port, removing it unreferences
/// the port. Messages are delivered in the poll phase, in the order posted, never inside the call that
/// posts, each as a callback of its own; in one phase a port delivers as many as waited when its turn
/// came, or 1,000 if that is more. A clone is the same port. It closes with its last clone, unless a
/// handler is attached: then the loop has it until it is closed.
///
/// # Liveness
/// A port keeps the loop alive while it has a handler or a task waits on it, unless [`unref`](Port::unref)'d.
///
/// # Examples
/// ```
/// use windlass::worker::channel;
///
/// windlass::block_on(async {
///     let (here, there) = channel::<u32, u32>();
///     let (here, there) = (here.open(), there.open());
///     here.post(1);
///     here.close();
///     assert_eq!(there.recv().await, Some(1));
///     assert_eq!(there.recv().await, None);
/// });
/// ```
pub struct Port<S, R, K = Unbounded> {
    core: Rc<Core<S, R>>,
    kind: PhantomData<K>,
}

impl<S, R, K> Port<S, R, K> {
    pub(crate) fn state(&self) -> &Rc<State> {
        self.core.state()
    }

    /// Whether `end` is the other end of this port's channel. It must not be posted here, for nobody could
    /// ever receive it: dropped instead, it closes the channel, as it does in Node. No end is the peer of a
    /// closed port.
    ///
    /// # Examples
    /// ```
    /// use windlass::worker::{Port, PortEnd, channel};
    ///
    /// enum Message {
    ///     Text(&'static str),
    ///     Port(PortEnd<Message, Message>),
    /// }
    ///
    /// fn send(port: &Port<Message, Message>, message: Message) {
    ///     match message {
    ///         Message::Port(end) if port.is_peer(&end) => drop(end),
    ///         message => port.post(message),
    ///     }
    /// }
    ///
    /// windlass::run(|| {
    ///     let (here, there) = channel();
    ///     let here = here.open();
    ///     here.on_message(|_| unreachable!("nobody has the other end"));
    ///     here.on_close(|| println!("the channel is closed"));
    ///     send(&here, Message::Text("which nobody will read"));
    ///     send(&here, Message::Port(there));
    /// });
    /// ```
    pub fn is_peer<A, B, L>(&self, end: &PortEnd<A, B, L>) -> bool {
        self.core.link.borrow().as_ref().is_some_and(|link| link.is_peer(&end.link))
    }
}

impl<S: Send + 'static, R: Send + 'static> Port<S, R> {
    /// Sends a message: moved, not copied. Dropped at once when either end is closed.
    pub fn post(&self, message: S) {
        drop(self.try_post(message));
    }

    /// Sends a message, or gives it back.
    ///
    /// # Errors
    /// The message itself when either end is closed.
    pub fn try_post(&self, message: S) -> Result<(), S> {
        match &*self.core.link.borrow() {
            Some(link) => link.outgoing.push(message),
            None => Err(message),
        }
    }
}

impl<S: Send + 'static, R: Send + 'static> Port<S, R, Bounded> {
    /// Sends a message if there is room for it, or gives it back.
    ///
    /// # Errors
    /// [`TryPostError`], with the message in it: the channel is full, or either end is closed.
    pub fn try_post(&self, message: S) -> Result<(), TryPostError<S>> {
        let Some(outgoing) = self.core.outgoing() else {
            return Err(TryPostError::Closed(message));
        };
        outgoing.try_push(message).map_err(|refused| match refused {
            Refused::Full(message) => TryPostError::Full(message),
            Refused::Closed(message) => TryPostError::Closed(message),
        })
    }

    /// Sends a message as soon as there is room for it. Dropping the future before drops the message.
    ///
    /// The future holds the loop while it waits.
    ///
    /// # Errors
    /// The message itself when either end is closed before.
    pub async fn post_async(&self, message: S) -> Result<(), S> {
        match self.reserve().await {
            Some(permit) => permit.post(message),
            None => Err(message),
        }
    }

    /// Waits for a place for one message; none when either end is closed. Those who wait are served in
    /// turn.
    ///
    /// For a message that is made only when it can be sent. The future holds the loop while it waits;
    /// dropping it gives up its place in the line.
    pub fn reserve(&self) -> Reserve<'_, S, R> {
        Reserve { core: &self.core, queue: None, ticket: None }
    }
}

impl<S: Send + 'static, R: Send + 'static, K> Port<S, R, K> {
    /// Calls `f` for each message. Replaces the handler before, and references the port.
    #[track_caller]
    pub fn on_message(&self, f: impl FnMut(R) + 'static) {
        let core = &self.core;
        if !core.receives() {
            return;
        }
        let before = core.inbox.listen(Box::new(f));
        if core.is_open() {
            core.registration.set_ref(true);
            core.update_liveness();
            core.state().delivery.call_again(core.number.get());
        }
        drop(before);
    }

    /// Removes the handler and unreferences the port. What is posted from now on waits.
    pub fn off_message(&self) {
        let before = self.core.inbox.unlisten();
        self.core.registration.set_ref(false);
        if self.core.is_open() {
            self.core.update_liveness();
        }
        drop(before);
    }

    /// Calls `f` in the close phase after the channel was closed, from here or from the other end;
    /// then all that was posted there before has been delivered. Replaces the callback before.
    /// Of handles closed in one iteration the one closed last is told first.
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        if self.core.is_open() {
            let before = self.core.on_close.replace(Some(Box::new(f)));
            drop(before);
        } else if self.core.state().is_open() {
            let call = self.core.call_on_close(None, Box::new(f));
            self.core.state().closing.push(call);
        }
    }

    /// Takes the oldest message that waits. It reaches no handler.
    pub fn try_recv(&self) -> Option<R> {
        if !self.core.is_open() {
            return None;
        }
        let message = self.core.inbox.try_recv(self.core.now());
        self.core.look_again();
        message
    }

    /// Waits for the next message; none when the channel is closed and all has been taken. Dropping
    /// the future loses nothing.
    ///
    /// Any number may wait. Each message goes to one of them, first to the one that has waited longest.
    /// Who waits comes before a handler, which gets the messages that nobody has come for. A task on this
    /// loop comes at once; where another executor polls, the handler may be quicker.
    ///
    /// # Cost
    /// A message wakes all who wait, and those that find nothing wait on.
    pub fn recv(&self) -> Recv<'_, R> {
        Recv::new(&*self.core)
    }

    /// Blocks this thread until there is a message, no longer than `timeout`.
    ///
    /// The loop stands still meanwhile: for the rare program that has nothing else to do, such as a
    /// worker that asks another thread for something before it can begin.
    ///
    /// # Errors
    /// See [`RecvTimeoutError`]. It refuses to wait for a peer that is open on this same thread,
    /// which could never answer, and in virtual time, where no other loop goes on while this one
    /// blocks; a message that is there already comes in any case. A peer that is not open anywhere
    /// cannot be told from one that will be opened on another thread, and is waited for.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        let core = &self.core;
        if !core.is_open() {
            return Err(RecvTimeoutError::Closed);
        }
        let intake = &core.inbox.intake;
        let own_peer = intake.queue().sender_thread() == Some(thread::current().id());
        let refuses = own_peer || core.state().clock.is_virtual();
        let popped = if refuses { intake.pop(core.now()) } else { intake.pop_within(timeout) };
        core.look_again();
        match popped {
            Popped::Message(message) => Ok(message),
            Popped::Empty if refuses => Err(RecvTimeoutError::WouldDeadlock),
            Popped::Empty => Err(RecvTimeoutError::Timeout),
            Popped::Finished | Popped::Closed => Err(RecvTimeoutError::Closed),
        }
    }

    /// Messages that wait here for a handler or a receive.
    pub fn queue_len(&self) -> usize {
        if self.core.is_open() { self.core.inbox.intake.queue().len() } else { 0 }
    }

    /// Closes both directions. The other end gets what was posted before, then its close notice; what
    /// waits here is dropped. Closing again does nothing.
    ///
    /// Closed in its own handler, or by a tick or microtask that follows it, the port still
    /// delivers what is left of that round, as in Node: what waited when the round began, or up to
    /// 1,000 messages if that is more, those included that the other end posts meanwhile. To have
    /// none, call [`off_message`](Port::off_message) too.
    pub fn close(&self) {
        self.core.close();
    }

    /// Lets the loop end although a handler is attached.
    pub fn unref(&self) -> &Self {
        self.set_ref(false);
        self
    }

    /// Sets whether the port keeps the loop alive.
    pub fn set_ref(&self, on: bool) {
        self.core.registration.set_ref(on);
    }

    /// Whether the port keeps the loop alive while it is active.
    pub fn has_ref(&self) -> bool {
        self.core.registration.has_ref()
    }

    /// Whether the port was closed, from either side, or detached.
    pub fn is_closed(&self) -> bool {
        !self.core.is_open()
    }

    /// Takes the end off this loop, with the messages that wait, so that it can travel. Clones of the port
    /// are closed from then on; the handler is dropped.
    pub fn detach(self) -> PortEnd<S, R, K> {
        let link = self.core.link.take();
        let left = self.core.leave();
        let link = match link {
            Some(link) => {
                self.core.inbox.intake.detach();
                link.outgoing.set_sender_thread(None);
                link.outgoing.wake_waiters();
                link
            }
            // A closed port gives an end whose other end is closed.
            None => Link::pair().0,
        };
        // The end lives on elsewhere: nobody is told.
        let untold = self.core.tell.take().and_then(|mut tell| tell.0.take());
        drop((left, untold, self.core.on_close.take()));
        self.core.inbox.waiters.wake();
        PortEnd::new(link)
    }
}

impl<S, R, K> Clone for Port<S, R, K> {
    fn clone(&self) -> Self {
        self.core.names.set(self.core.names.get() + 1);
        Port { core: self.core.clone(), kind: PhantomData }
    }
}

impl<S, R, K> Drop for Port<S, R, K> {
    fn drop(&mut self) {
        let left = self.core.names.get() - 1;
        self.core.names.set(left);
        if left == 0 && !self.core.inbox.is_listening() {
            self.core.close();
        }
    }
}

impl<S, R, K> fmt::Debug for Port<S, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("open", &self.core.is_open()).finish_non_exhaustive()
    }
}

/// Where a [`Recv`] takes messages from.
pub(crate) trait Receive<T> {
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<T>>;
    /// The future of this place is gone.
    fn stop_waiting(&self, place: &Place);
}

impl<S, R> Receive<R> for Core<S, R> {
    fn poll_recv(&self, place: &Place, cx: &mut Context<'_>) -> Poll<Option<R>> {
        if !self.is_open() || self.finished.get() {
            self.stop_waiting(place);
            return Poll::Ready(None);
        }
        let polled = self.inbox.poll_recv(self.now(), place, cx);
        self.update_liveness();
        self.look_again();
        polled
    }

    fn stop_waiting(&self, place: &Place) {
        self.inbox.waiters.leave(place);
        if self.is_open() {
            self.update_liveness();
        }
    }
}

/// A receive that is going on. Made by [`Port::recv`] and [`Worker::recv`](super::Worker::recv).
pub struct Recv<'a, T> {
    source: &'a dyn Receive<T>,
    /// Its place among those who wait.
    place: Place,
}

impl<'a, T> Recv<'a, T> {
    pub(crate) fn new(source: &'a dyn Receive<T>) -> Self {
        Recv { source, place: Place::default() }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.source.poll_recv(&self.place, cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if self.place.is_taken() {
            self.source.stop_waiting(&self.place);
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiting", &self.place.is_taken()).finish_non_exhaustive()
    }
}

/// Waits for a place in a bounded channel. Made by [`Port::reserve`].
pub struct Reserve<'a, S, R> {
    core: &'a Core<S, R>,
    /// Set while it waits.
    queue: Option<Arc<Queue<S>>>,
    /// Its place in the line.
    ticket: Option<u64>,
}

impl<S, R> Reserve<'_, S, R> {
    /// Gives up its place in the line, if it has one.
    fn leave_line(&mut self) {
        if let (Some(queue), Some(ticket)) = (&self.queue, self.ticket.take()) {
            queue.stop_waiting(ticket);
        }
        self.set_waiting(None);
    }

    /// Says whether it waits, on which queue.
    fn set_waiting(&mut self, queue: Option<Arc<Queue<S>>>) {
        let core = self.core;
        core.reserving.set(
            core.reserving.get() + usize::from(queue.is_some()) - usize::from(self.queue.is_some()),
        );
        self.queue = queue;
        if core.is_open() {
            core.update_liveness();
        }
    }
}

impl<S, R> Future for Reserve<'_, S, R> {
    type Output = Option<Permit<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Permit<S>>> {
        let this = &mut *self;
        let Some(queue) = this.core.outgoing() else {
            // The end may have gone on a journey, and others wait behind this place.
            this.leave_line();
            return Poll::Ready(None);
        };
        match queue.poll_reserve(&mut this.ticket, cx) {
            Poll::Pending => {
                this.set_waiting(Some(queue));
                Poll::Pending
            }
            Poll::Ready(reserved) => {
                this.leave_line();
                Poll::Ready(reserved.then(|| Permit { queue: Some(queue) }))
            }
        }
    }
}

impl<S, R> Drop for Reserve<'_, S, R> {
    fn drop(&mut self) {
        self.leave_line();
    }
}

impl<S, R> fmt::Debug for Reserve<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("waiting", &self.queue.is_some()).finish_non_exhaustive()
    }
}

/// A place for one message in a bounded channel. Dropping it gives the place to the next who waits.
///
/// Made by [`Port::reserve`]. It may outlive its port.
pub struct Permit<S> {
    /// Taken by the post.
    queue: Option<Arc<Queue<S>>>,
}

impl<S> Permit<S> {
    /// Sends a message to the place.
    ///
    /// # Errors
    /// The message itself when either end has been closed meanwhile.
    pub fn post(mut self, message: S) -> Result<(), S> {
        match self.queue.take() {
            Some(queue) => queue.push_reserved(message),
            None => Err(message),
        }
    }
}

impl<S> Drop for Permit<S> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.release();
        }
    }
}

impl<S> fmt::Debug for Permit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Why a message was given back by a bounded channel.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPostError<T> {
    /// There is no room for it now.
    Full(T),
    /// Either end is closed.
    Closed(T),
}

impl<T> TryPostError<T> {
    /// The message.
    pub fn into_message(self) -> T {
        match self {
            TryPostError::Full(message) | TryPostError::Closed(message) => message,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            TryPostError::Full(_) => "the channel is full",
            TryPostError::Closed(_) => "the channel is closed",
        }
    }
}

impl<T> fmt::Debug for TryPostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPostError::Full(_) => "Full(..)",
            TryPostError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TryPostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<T> Error for TryPostError<T> {}

/// Why [`Port::recv_timeout`] has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// None came in time.
    Timeout,
    /// None will come any more.
    Closed,
    /// None could come while this thread blocks: the other end is open on it too, or time is virtual.
    WouldDeadlock,
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvTimeoutError::Timeout => "no message came in time",
            RecvTimeoutError::Closed => "the channel is closed",
            RecvTimeoutError::WouldDeadlock => {
                "no message can come while this thread blocks: the other end is on it too, or time \
                 is virtual"
            }
        })
    }
}

impl Error for RecvTimeoutError {}
