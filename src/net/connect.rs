//! Connecting: a name to addresses, one address after the other, to the first that answers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::Rc;

use super::address::{Address, Target};
use super::tcp_stream::TcpStream;
use crate::cell::peek;
use crate::dns::{self, LookupOptions};
use crate::error::{self, CancelError};
use crate::request::{Canceller, Completer, Request};
use crate::state::State;
use crate::state::current;
use crate::stream::connection::{Connection, Stream};
use crate::stream::writing::Attempt;
use crate::sys;

/// A connect request that has not completed.
struct Connecting {
    /// The loop of the request and of its sockets.
    state: Rc<State>,
    /// The line that asked.
    location: &'static Location<'static>,
    /// Taken by what decides the request.
    completer: Cell<Option<Completer<io::Result<TcpStream>>>>,
    /// The addresses that have not been tried.
    addresses: RefCell<VecDeque<SocketAddr>>,
    /// What goes on at this moment.
    stage: RefCell<Stage>,
}

/// What a connect request does at one moment.
enum Stage {
    /// Nothing: it has not begun, is between two addresses, or is decided.
    Nothing,
    /// The pool resolves the name; this cancels it.
    Resolving(Canceller),
    /// An address is tried. The name keeps the socket of the attempt until that is decided.
    Trying(TcpStream),
}

impl TcpStream {
    /// Connects to an address. A name is resolved on the pool, and its addresses are tried one
    /// after the other.
    ///
    /// Cancelling is possible until it has completed.
    ///
    /// # Errors
    /// `InvalidInput` when the text is no address, the resolver's error, or that of the last
    /// address tried. None comes before this call returns.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn connect(address: impl Address) -> Request<io::Result<TcpStream>> {
        let state = current::expect("TcpStream::connect");
        connect(&state, address.target(), Location::caller())
    }
}

fn connect(
    state: &Rc<State>,
    target: io::Result<Target>,
    location: &'static Location<'static>,
) -> Request<io::Result<TcpStream>> {
    let target = match target {
        Ok(target) if state.is_open() => target,
        Ok(_) => {
            return Request::failed_later(state, TcpStream::KIND, location, error::shut_down());
        }
        Err(error) => return Request::failed_later(state, TcpStream::KIND, location, error),
    };
    let (completer, request) = Completer::new(state, TcpStream::KIND, location);
    let connecting = Rc::new(Connecting {
        state: state.clone(),
        location,
        completer: Cell::new(None),
        addresses: RefCell::new(VecDeque::new()),
        stage: RefCell::new(Stage::Nothing),
    });
    let weak = Rc::downgrade(&connecting);
    completer.on_cancel(move || weak.upgrade().map_or(Err(CancelError::Done), |c| c.cancel()));
    connecting.completer.set(Some(completer));
    match target {
        Target::Socket(address) => connecting.start([address]),
        Target::Name(host, port) => {
            let lookup = dns::lookup_sockets_at(state, location, &host, port, LookupOptions::new());
            connecting.stage.replace(Stage::Resolving(lookup.canceller()));
            let later = connecting.clone();
            lookup.on_complete(move |result| match result {
                Ok(found) => later.start(found),
                Err(error) => later.decide(Err(error)),
            });
        }
    }
    request
}

impl Connecting {
    fn start(self: &Rc<Self>, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.addresses.borrow_mut().extend(addresses);
        let nothing = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
        self.try_next(nothing);
    }

    /// Tries the next address; with none left the request fails with the error of the one before.
    fn try_next(self: &Rc<Self>, mut error: io::Error) {
        if self.is_decided() {
            return;
        }
        loop {
            let Some(address) = self.addresses.borrow_mut().pop_front() else {
                return self.decide(Err(error));
            };
            let attempt: io::Result<TcpStream> = sys::TcpStream::connect(address)
                .and_then(|socket| Connection::adopt(&self.state, socket, self.location));
            match attempt {
                Ok(stream) => {
                    stream.connection.begin_attempt(self.clone());
                    self.stage.replace(Stage::Trying(stream));
                    return;
                }
                Err(reason) => error = reason,
            }
        }
    }

    fn is_decided(&self) -> bool {
        peek(&self.completer, Option::is_none)
    }

    /// Completes the request, later: the caller may be the very call that asked.
    fn decide(&self, result: io::Result<TcpStream>) {
        let stage = self.stage.replace(Stage::Nothing);
        if let Some(completer) = self.completer.take() {
            completer.complete_later(result);
        }
        drop(stage);
    }

    fn cancel(&self) -> Result<(), CancelError> {
        if self.is_decided() {
            return Err(CancelError::Done);
        }
        self.addresses.borrow_mut().clear();
        match self.stage.replace(Stage::Nothing) {
            // A look-up that has started goes on to its end. Its result is dropped.
            Stage::Resolving(lookup) => match lookup.cancel() {
                Ok(()) | Err(CancelError::Busy | CancelError::Done) => {
                    self.decide(Err(error::cancelled()));
                }
            },
            Stage::Trying(stream) => stream.close(), // Comes back by `cancelled`.
            Stage::Nothing => self.decide(Err(error::cancelled())),
        }
        Ok(())
    }
}

impl Attempt for Connecting {
    fn connected(&self) {
        if let Stage::Trying(stream) = self.stage.replace(Stage::Nothing)
            && let Some(completer) = self.completer.take()
        {
            completer.complete(Ok(stream));
        }
    }

    fn failed(self: Rc<Self>, error: io::Error) {
        self.stage.replace(Stage::Nothing);
        if !self.addresses.borrow().is_empty() {
            return self.try_next(error);
        }
        if let Some(completer) = self.completer.take() {
            completer.complete(Err(error));
        }
    }

    fn cancelled(&self) {
        self.decide(Err(error::cancelled()));
    }

    fn shut_down(&self) {
        self.stage.replace(Stage::Nothing);
        if let Some(completer) = self.completer.take() {
            completer.shut_down(Some(Err(error::shut_down())));
        }
    }
}

impl Drop for Connecting {
    /// The look-up's callback was dropped with its loop: a task that awaits the connection is told.
    fn drop(&mut self) {
        self.shut_down();
    }
}
