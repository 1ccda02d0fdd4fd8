//! A connection: one request, and its answer, which may be a stream of events without an end.
//!
//! ```text
//!   Asking ──head──▶ Answering ──all taken──▶ Lingering ──▶ closed
//!                        └───────▶ Streaming ─────▶ closed
//! ```
//!
//! Each state but *Streaming* has a time limit. What a client sends behind its request is thrown
//! away, and one that sends much is cut off.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::about;
use super::live::Stream;
use super::page;
use super::request::{self, Head, Refusal, Request};
use super::response;
use super::server::Server;
use crate::Timer;
use crate::net::TcpStream;

/// How long a head may take to come, and an answer to be taken.
const TIME_MAX: Duration = Duration::from_secs(10);

/// How long, and for how many bytes, a client is read after its answer: a socket that is closed
/// while input waits in it is reset, and the reset may overtake the answer.
const LINGER: Duration = Duration::from_secs(1);
/// See [`LINGER`].
const THROWN_AWAY_MAX: usize = 256 * 1024;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its request comes.
    Asking,
    /// Its answer goes out.
    Answering,
    /// It gets events.
    Streaming,
    /// Its answer is out, and the client has yet to close.
    Lingering,
    /// It is over.
    Closed,
}

/// A connection.
pub(super) struct Connection {
    /// Its number.
    number: u64,
    /// The server that it belongs to.
    server: Weak<Server>,
    /// Its socket.
    pub(super) stream: TcpStream,
    /// What it does.
    state: Cell<State>,
    /// What has come of its request.
    input: RefCell<Vec<u8>>,
    /// How much was thrown away.
    thrown_away: Cell<usize>,
    /// The client sends nothing more.
    is_over: Cell<bool>,
    /// Ends what takes too long.
    timer: Cell<Option<Timer>>,
}

impl Connection {
    /// Serves a client.
    pub(super) fn start(server: &Rc<Server>, number: u64, stream: TcpStream) -> Rc<Connection> {
        let connection = Rc::new(Connection {
            number,
            server: Rc::downgrade(server),
            stream,
            state: Cell::new(State::Asking),
            input: RefCell::default(),
            thrown_away: Cell::new(0),
            is_over: Cell::new(false),
            timer: Cell::new(None),
        });
        connection.limit(TIME_MAX, |this| match this.state.get() {
            State::Asking => this.refuse(Refusal::Late),
            _ => this.close(),
        });
        let this = Rc::downgrade(&connection);
        connection.stream.read_start(move |_, chunk| {
            let Some(this) = this.upgrade() else { return };
            this.received(chunk);
        });
        connection
    }

    /// What is done when this time is over, in place of what was to be done before.
    fn limit(self: &Rc<Self>, time: Duration, f: fn(&Rc<Connection>)) {
        let this = Rc::downgrade(self);
        let timer = crate::set_timeout(time, move || {
            if let Some(this) = this.upgrade() {
                f(&this);
            }
        });
        self.no_limit();
        self.timer.set(Some(timer));
    }

    fn no_limit(&self) {
        if let Some(before) = self.timer.take() {
            before.clear();
        }
    }

    fn received(self: &Rc<Self>, chunk: io::Result<&[u8]>) {
        let bytes = match chunk {
            // It asks for nothing more, and still takes its answer.
            Ok([]) if self.state.get() == State::Answering => return self.is_over.set(true),
            Ok([]) | Err(_) => return self.close(),
            Ok(bytes) => bytes,
        };
        if self.state.get() != State::Asking {
            self.thrown_away.set(self.thrown_away.get() + bytes.len());
            if self.thrown_away.get() > THROWN_AWAY_MAX {
                self.close();
            }
            return;
        }
        let mut input = self.input.take();
        input.extend_from_slice(bytes);
        match request::read(&input) {
            Head::Part => drop(self.input.replace(input)),
            Head::Refused(refusal) => self.refuse(refusal),
            Head::Whole(request) => self.answer(&request),
        }
    }

    fn answer(self: &Rc<Self>, request: &Request) {
        let Some(server) = self.server.upgrade() else { return self.close() };
        if !server.access.allows(request) {
            return self.refuse(Refusal::Foreign);
        }
        match request.path.as_str() {
            "/api/about" => {
                self.send(&response::answer("application/json", about::text().as_bytes()));
            }
            "/api/events" => self.join(&server, Stream::Events),
            "/api/summary" => self.join(&server, Stream::Summary),
            path => match page::file(path) {
                Some(file) => self.send(&response::answer(file.content_type(), file.bytes)),
                None => self.refuse(Refusal::NotFound),
            },
        }
    }

    /// The client gets events from now on.
    fn join(self: &Rc<Self>, server: &Server, stream: Stream) {
        if !server.live.has_room() {
            return self.refuse(Refusal::Busy);
        }
        self.no_limit();
        self.state.set(State::Streaming);
        server.live.join(self, stream);
    }

    fn refuse(self: &Rc<Self>, refusal: Refusal) {
        self.send(&response::refusal(refusal));
    }

    /// Sends a whole answer.
    fn send(self: &Rc<Self>, bytes: &[u8]) {
        self.write(bytes);
        self.finish();
    }

    /// Writes something. An error ends the connection.
    pub(super) fn write(self: &Rc<Self>, bytes: &[u8]) {
        let this = Rc::downgrade(self);
        self.stream.write(bytes).on_complete(move |written| {
            if written.is_err() {
                this.upgrade().iter().for_each(|this| this.close());
            }
        });
    }

    /// Nothing more is written. The connection is over when the client has taken what there is, or
    /// has not in time.
    pub(super) fn finish(self: &Rc<Self>) {
        if matches!(self.state.get(), State::Answering | State::Lingering | State::Closed) {
            return;
        }
        self.state.set(State::Answering);
        self.limit(TIME_MAX, |this| this.close());
        let this = Rc::downgrade(self);
        self.stream.shutdown().on_complete(move |done| {
            let Some(this) = this.upgrade().filter(|it| it.state.get() == State::Answering) else {
                return;
            };
            if done.is_err() || this.is_over.get() {
                return this.close();
            }
            this.state.set(State::Lingering);
            this.limit(LINGER, |this| this.close());
        });
    }

    /// Ends the connection at once.
    pub(super) fn close(&self) {
        if self.state.replace(State::Closed) == State::Closed {
            return;
        }
        self.no_limit();
        self.stream.close();
        if let Some(server) = self.server.upgrade() {
            server.live.leave(self.number);
            server.forget(self.number);
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
