//! Ports: the two ends of a channel between loops.
//!
//! As in Node, what may cross threads and what belongs to a loop are two types: a [`PortEnd`] travels, and
//! becomes a [`Port`] where it is opened.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::inbox::{Half, Inbox, Round};
use crate::callback;
use crate::clock::Nanos;
use crate::current;
use crate::event_loop::State;
use crate::handle::{Handle, Registration};
use crate::queue::closure::Closure;
use crate::sys::Event;

/// Both directions of a channel, as one end sees them. Closes its end when dropped.
pub(super) struct Link<S, R> {
    pub(super) outgoing: Arc<Half<S>>,
    pub(super) incoming: Arc<Half<R>>,
    /// Dropping this tells the other end. A port that closes does it itself, later.
    tells: Cell<bool>,
}

impl<S, R> Link<S, R> {
    /// The two ends of a new channel.
    pub(super) fn pair() -> (Link<S, R>, Link<R, S>) {
        let (there, back) = (Half::new(), Half::new());
        let other =
            Link { outgoing: back.clone(), incoming: there.clone(), tells: Cell::new(true) };
        (Link { outgoing: there, incoming: back, tells: Cell::new(true) }, other)
    }
}

impl<S, R> Drop for Link<S, R> {
    fn drop(&mut self) {
        if self.tells.get() {
            self.outgoing.close_sender();
        }
        drop(self.incoming.close_receiver());
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
    (PortEnd { link: one }, PortEnd { link: other })
}

/// An end of a channel that is not on any loop: what travels between threads.
///
/// Sends `S`, receives `R`. Messages that arrive meanwhile wait in it. Dropping it closes the channel.
pub struct PortEnd<S, R> {
    pub(super) link: Link<S, R>,
}

impl<S: Send + 'static, R: Send + 'static> PortEnd<S, R> {
    /// Opens the end on the current loop. On a loop that is closed the port is closed too.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self) -> Port<S, R> {
        let state = current::expect("PortEnd::open");
        let core = Rc::new(Core {
            registration: Registration::new(state.clone()),
            number: Cell::new(u64::MAX),
            inbox: Inbox::new(self.link.incoming.clone()),
            link: RefCell::new(None),
            tell: Cell::new(None),
            on_close: Cell::new(None),
            names: Cell::new(1),
        });
        if state.is_open() {
            core.registration.open(core.clone(), Location::caller(), false);
            let number = state.delivery.add_receiver(core.clone());
            core.number.set(number);
            let incoming = self.link.incoming.clone();
            let outgoing = self.link.outgoing.clone();
            core.tell.set(Some(Tell(Some(outgoing))));
            core.link.replace(Some(self.link));
            incoming.attach(state.mailbox.clone(), number);
        }
        Port { core }
    }
}

impl<S, R> fmt::Debug for PortEnd<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortEnd")
            .field("waiting", &self.link.incoming.len())
            .finish_non_exhaustive()
    }
}

/// Tells the other end of the close when it is dropped: in its turn in the close phase, or with the loop.
struct Tell(Option<Arc<dyn Sending>>);

/// A half whose messages are of any type.
trait Sending {
    fn close_sender(&self);
}

impl<T> Sending for Half<T> {
    fn close_sender(&self) {
        Half::close_sender(self);
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.close_sender();
        }
    }
}

struct Core<S, R> {
    registration: Registration,
    /// The receiver's number in the loop's mailbox.
    number: Cell<u64>,
    inbox: Inbox<R>,
    /// Taken out when the port is closed or detached.
    link: RefCell<Option<Link<S, R>>>,
    /// Tells the other end that this one is closed. None once that is on its way.
    tell: Cell<Option<Tell>>,
    on_close: Cell<Option<Box<dyn FnOnce()>>>,
    /// How many [`Port`]s there are for this port.
    names: Cell<u32>,
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

    fn outgoing(&self) -> Option<Arc<Half<S>>> {
        self.link.borrow().as_ref().map(|link| link.outgoing.clone())
    }

    fn update_liveness(&self) {
        self.registration.set_active(self.inbox.is_wanted());
    }

    /// Takes the port off its loop. All that has to be dropped comes back.
    fn leave(&self) -> impl Sized + use<S, R> {
        let number = self.number.replace(u64::MAX);
        let receiver = self.state().delivery.remove_receiver(number);
        (receiver, self.registration.close(), self.inbox.unlisten())
    }

    fn close(&self) {
        let Some(link) = self.link.take() else { return };
        let location = self.registration.location();
        // From here on the other end can send nothing, but as in Node it hears of the close when this
        // end's close callback is due: its own comes an iteration later.
        link.tells.set(false);
        if let Some(tell) = self.tell.take() {
            self.state().closing.push(Closure::new(move || drop(tell)));
        }
        if let Some(on_close) = self.on_close.take() {
            self.push_on_close(location, on_close);
        }
        let left = self.leave();
        if let Some(waker) = self.inbox.take_waiting() {
            waker.wake();
        }
        // Last: messages and handlers are the user's values.
        drop((link, left));
    }

    fn push_on_close(&self, location: Option<&'static Location<'static>>, f: Box<dyn FnOnce()>) {
        let state = self.state().clone();
        self.state().closing.push(Closure::new(move || callback::call(&state, location, f)));
    }

    /// Asks for another look, after messages were taken without the handler.
    fn look_again(&self) {
        if self.inbox.half.is_closed(self.now()) || self.inbox.is_listening() {
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
        let round = self.inbox.deliver(state, self.registration.location());
        match round {
            Round::Empty => again.forget(),
            Round::Full => {} // Called again in the next poll phase.
            Round::Closed => {
                again.forget();
                self.close();
            }
            Round::Unheard => {
                again.forget();
                if self.is_open() && self.inbox.half.is_closed(self.now()) {
                    self.close();
                } else if self.is_open() {
                    self.update_liveness();
                }
            }
        }
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        let link = self.link.take();
        callback::drop_quietly(self.leave());
        callback::drop_quietly(link);
        callback::drop_quietly((self.tell.take(), self.on_close.take()));
        if let Some(waker) = self.inbox.take_waiting() {
            waker.wake();
        }
    }
}

/// Has a receiver called again in the next poll phase, also when a panic passes by.
pub(super) struct CallAgain<'a> {
    pub(super) state: &'a State,
    pub(super) number: u64,
}

impl CallAgain<'_> {
    pub(super) fn forget(self) {
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
pub struct Port<S, R> {
    core: Rc<Core<S, R>>,
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
        match self.core.outgoing() {
            Some(outgoing) => outgoing.push(message),
            None => Err(message),
        }
    }

    /// Calls `f` for each message. Replaces the handler before, and references the port.
    pub fn on_message(&self, f: impl FnMut(R) + 'static) {
        let core = &self.core;
        if !core.is_open() {
            return;
        }
        let before = core.inbox.listen(Box::new(f));
        core.registration.set_ref(true);
        core.update_liveness();
        core.state().delivery.call_again(core.number.get());
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
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        if self.core.is_open() {
            let before = self.core.on_close.replace(Some(Box::new(f)));
            drop(before);
        } else if self.core.state().is_open() {
            self.core.push_on_close(None, Box::new(f));
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
    pub fn recv(&self) -> Recv<'_, R> {
        Recv { source: &*self.core, waiting: None }
    }

    /// Closes both directions. The other end gets what was posted before, then its close notice; what
    /// waits here is dropped. Closing again does nothing.
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
    pub fn detach(self) -> PortEnd<S, R> {
        let link = self.core.link.take();
        let left = self.core.leave();
        let link = match link {
            Some(link) => {
                link.incoming.detach();
                link
            }
            // A closed port gives an end whose other end is closed.
            None => Link::pair().0,
        };
        // The end lives on elsewhere: nobody is told.
        let untold = self.core.tell.take().and_then(|mut tell| tell.0.take());
        drop((left, untold, self.core.on_close.take()));
        if let Some(waker) = self.core.inbox.take_waiting() {
            waker.wake();
        }
        PortEnd { link }
    }
}

impl<S, R> Clone for Port<S, R> {
    fn clone(&self) -> Self {
        self.core.names.set(self.core.names.get() + 1);
        Port { core: self.core.clone() }
    }
}

impl<S, R> Drop for Port<S, R> {
    fn drop(&mut self) {
        let left = self.core.names.get() - 1;
        self.core.names.set(left);
        if left == 0 && !self.core.inbox.is_listening() {
            self.core.close();
        }
    }
}

impl<S, R> fmt::Debug for Port<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("open", &self.core.is_open()).finish_non_exhaustive()
    }
}

/// Where a [`Recv`] takes messages from.
pub(super) trait Receive<T> {
    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>>;
    /// The future that waited with this waker is gone.
    fn stop_waiting(&self, own: &Waker);
}

impl<S, R> Receive<R> for Core<S, R> {
    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<R>> {
        if !self.is_open() {
            return Poll::Ready(None);
        }
        let polled = self.inbox.poll_recv(self.now(), cx);
        self.update_liveness();
        self.look_again();
        polled
    }

    fn stop_waiting(&self, own: &Waker) {
        let waker = self.inbox.take_own_waiting(own);
        if self.is_open() {
            self.update_liveness();
        }
        drop(waker);
    }
}

/// A receive that is going on. Made by [`Port::recv`] and [`Worker::recv`](super::Worker::recv).
pub struct Recv<'a, T> {
    pub(super) source: &'a dyn Receive<T>,
    /// The source has this waker of the future's task.
    pub(super) waiting: Option<Waker>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.source.poll_recv(cx);
        self.waiting = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if let Some(own) = &self.waiting {
            self.source.stop_waiting(own);
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiting", &self.waiting.is_some()).finish_non_exhaustive()
    }
}
