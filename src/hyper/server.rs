//! What a server is to its loop: a handle that counts its connections and ends in order.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::phase::timers::{self, Timer};
use crate::request::{Completer, Request};
use crate::state::State;
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::task::waiters::{Place, Waiters};
use crate::trace::label::here;

/// Its name in reports.
const KIND: &str = "HTTP server";

/// Limits of a server.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::hyper::Options;
///
/// let options = Options::new()
///     .header_limit(Duration::from_secs(10))
///     .idle_limit(Duration::from_secs(30))
///     .connections_max(1000);
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// See [`Options::header_limit`].
    pub(super) header_limit: Option<Duration>,
    /// See [`Options::idle_limit`].
    pub(super) idle_limit: Option<Duration>,
    /// See [`Options::connections_max`].
    connections_max: usize,
}

impl Options {
    /// The limits that Node's server has, and any number of connections.
    pub fn new() -> Options {
        Options {
            header_limit: Some(Duration::from_secs(60)),
            idle_limit: Some(Duration::from_secs(5)),
            connections_max: usize::MAX,
        }
    }

    /// How long the head of a request may take: 60 seconds unless set, none for as long as it
    /// likes. It is counted from the beginning of the connection or the end of the answer before,
    /// so that a longer idle limit is of no use over HTTP/1.
    pub fn header_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.header_limit = limit.into();
        self
    }

    /// How long a connection may stay without a byte while no request is being answered: 5 seconds
    /// unless set, none for ever. After it the connection is closed in order, and cut off if that
    /// takes as long again. A body that is being sent belongs to its answer.
    pub fn idle_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle_limit = limit.into();
        self
    }

    /// How many connections are served at a time: others wait with the system until there is room.
    /// Any number unless set. Zero counts as one.
    pub fn connections_max(mut self, count: usize) -> Self {
        self.connections_max = count.max(1);
        self
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

/// A server that runs on this loop. Made by [`serve`](super::serve()).
///
/// `Clone`: a clone is the same server. It belongs to its loop: dropping this stops nothing.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use windlass::hyper::{Options, serve};
/// use windlass::net::TcpListener;
///
/// windlass::run(|| {
///     let hello = service_fn(|_request: Request<Incoming>| async {
///         Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
///     });
///     let server = serve(TcpListener::bind("127.0.0.1:0")?, hello, Options::new());
///     // It would go on for ever.
///     windlass::set_immediate(move || drop(server.shutdown(Duration::from_secs(5))));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Server {
    /// What its connections know of it.
    pub(super) serving: Rc<Serving>,
}

impl Server {
    /// Ends the server in order: the listener is closed, and each connection ends when it has
    /// answered the requests that it has begun. Those that have not ended when `limit` has passed
    /// are cut off. The output is their number.
    ///
    /// A further call joins the first one; the nearer limit counts.
    #[track_caller]
    pub fn shutdown(&self, limit: Duration) -> Request<usize> {
        self.serving.shutdown(limit)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.serving.connections.get()
    }

    /// Whether it accepts no more: it was shut down, or its listener closed.
    pub fn is_closing(&self) -> bool {
        self.serving.stage.get() != Stage::Open
    }

    ref_methods!("server" while "has not ended"; serving.registration);
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .field("closing", &self.is_closing())
            .finish_non_exhaustive()
    }
}

/// How far a server is. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It accepts.
    Open,
    /// Connections end when they have answered.
    Stopping,
    /// Connections end at once.
    Cut,
}

/// What the connections of a server know of it.
pub(super) struct Serving {
    /// Active until the server has ended.
    registration: Registration,
    /// Its limits.
    pub(super) options: Options,
    /// Closes the listener. Gone when it was called.
    close: Cell<Option<Box<dyn FnOnce()>>>,
    /// How far it is.
    stage: Cell<Stage>,
    /// How many connections there are.
    connections: Cell<usize>,
    /// How many were cut off.
    cut: Cell<usize>,
    /// Those who wait for another stage: all connections do.
    waiters: Waiters,
    /// Who accepts, while there is no room. Apart, for the end of a connection wakes none but that.
    acceptor: Waiters,
    /// Those who have asked for the end.
    askers: RefCell<Vec<Completer<usize>>>,
    /// Cuts connections off, at the nearest limit.
    limits: RefCell<Vec<Timer>>,
}

impl Serving {
    pub(super) fn open(
        state: &Rc<State>,
        at: &'static Location<'static>,
        options: Options,
        close: Box<dyn FnOnce()>,
    ) -> Rc<Serving> {
        let stage = if state.is_open() { Stage::Open } else { Stage::Cut };
        let serving = Rc::new(Serving {
            registration: Registration::new(state.clone()),
            options,
            close: Cell::new(Some(close)),
            stage: Cell::new(stage),
            connections: Cell::new(0),
            cut: Cell::new(0),
            waiters: Waiters::default(),
            acceptor: Waiters::default(),
            askers: RefCell::default(),
            limits: RefCell::default(),
        });
        if state.is_open() {
            serving.registration.open(serving.clone(), at, true);
        }
        serving
    }

    #[track_caller]
    fn shutdown(self: &Rc<Self>, limit: Duration) -> Request<usize> {
        let state = &self.registration.state;
        if !self.registration.is_open() {
            return Request::finished(state, KIND, self.cut.get());
        }
        let (completer, request) = Completer::new(state, KIND, here());
        self.askers.borrow_mut().push(completer);
        let own = Rc::downgrade(self);
        let timer = timers::set_internal(state, limit, here(), move || {
            if let Some(serving) = own.upgrade() {
                serving.cut_off();
            }
        });
        self.limits.borrow_mut().push(timer);
        self.stop();
        request
    }

    /// Has the server end in order.
    fn stop(&self) {
        if self.stage.get() == Stage::Open {
            self.stage.set(Stage::Stopping);
            if let Some(close) = self.close.take() {
                close();
            }
            self.waiters.wake();
            self.acceptor.wake();
        }
        self.end_if_done();
    }

    /// The limit has come.
    fn cut_off(&self) {
        self.stage.set(Stage::Cut);
        self.cut.set(self.connections.get());
        self.waiters.wake();
    }

    /// Ends the server if it accepts no more and has no connections.
    fn end_if_done(&self) {
        if self.stage.get() == Stage::Open || self.connections.get() > 0 {
            return;
        }
        let entry = self.registration.close();
        self.limits.take().iter().for_each(Timer::clear);
        for completer in self.askers.take() {
            completer.complete_later(self.cut.get());
        }
        drop(entry);
    }

    /// A connection has come.
    pub(super) fn enter(self: &Rc<Self>) -> Entered {
        self.connections.set(self.connections.get() + 1);
        Entered(self.clone())
    }

    /// Waits until there is room for a connection. False when the server accepts no more.
    pub(super) fn room(&self) -> impl Future<Output = bool> {
        let has_room = || self.connections.get() < self.options.connections_max;
        self.wait_until(&self.acceptor, move |stage| match stage {
            Stage::Open => has_room().then_some(true),
            Stage::Stopping | Stage::Cut => Some(false),
        })
    }

    /// Waits until the server ends, in order or not.
    pub(super) fn stopping(&self) -> impl Future<Output = ()> {
        self.wait_until(&self.waiters, |stage| (stage != Stage::Open).then_some(()))
    }

    /// Waits until the connections that are left are cut off.
    pub(super) fn cut(&self) -> impl Future<Output = ()> {
        self.wait_until(&self.waiters, |stage| (stage == Stage::Cut).then_some(()))
    }

    /// Waits among these until `is_due` gives something.
    async fn wait_until<R>(&self, waiters: &Waiters, is_due: impl Fn(Stage) -> Option<R>) -> R {
        let waiting = Waiting { waiters, place: Place::default() };
        poll_fn(|cx| match is_due(self.stage.get()) {
            Some(result) => Poll::Ready(result),
            None => {
                waiters.wait(&waiting.place, cx);
                Poll::Pending
            }
        })
        .await
    }

    /// Has the server end in order when this is dropped.
    pub(super) fn end_when_dropped(self: Rc<Self>) -> impl Sized {
        Ender(self)
    }
}

impl Handle for Serving {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn begin_shutdown(self: Rc<Self>, _state: &Rc<State>) {
        self.stop();
    }

    fn is_waited_for(&self) -> bool {
        self.connections.get() > 0
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.stage.set(Stage::Cut);
        crate::callback::drop_quietly(self.close.take());
        for completer in self.askers.take() {
            completer.shut_down(None);
        }
    }
}

/// A place among those who wait.
struct Waiting<'a> {
    /// They.
    waiters: &'a Waiters,
    /// The place.
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.leave(&self.place);
    }
}

/// Has a server end in order when it is dropped.
struct Ender(Rc<Serving>);

impl Drop for Ender {
    fn drop(&mut self) {
        if self.0.registration.is_open() {
            self.0.stop();
        }
    }
}

/// A connection's entry: the server counts it until this is dropped.
pub(super) struct Entered(pub(super) Rc<Serving>);

impl Drop for Entered {
    fn drop(&mut self) {
        let serving = &self.0;
        serving.connections.set(serving.connections.get() - 1);
        if serving.registration.is_open() {
            // Who accepts may wait for room.
            serving.acceptor.wake();
            serving.end_if_done();
        }
    }
}
