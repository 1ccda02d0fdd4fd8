//! Connecting a stream of any kind: a name to addresses, one address after the other, to the first
//! that answers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use crate::cell::peek;
use crate::error::{self, CancelError};
use crate::request::{Canceller, Completer, Request};
use crate::state::State;
use crate::stream::connection::{Connection, Stream};
use crate::stream::writing::Attempt;

/// A connect request that has not completed.
pub(super) struct Connecting<S: Connect> {
    /// The loop of the request and of its sockets.
    state: Rc<State>,
    /// The line that asked.
    location: &'static Location<'static>,
    /// Taken by what decides the request.
    completer: Cell<Option<Completer<io::Result<S>>>>,
    /// The addresses that have not been tried.
    addresses: RefCell<VecDeque<S::Address>>,
    /// What goes on at this moment.
    stage: RefCell<Stage<S>>,
}

/// What a connect request does at one moment.
enum Stage<S> {
    /// Nothing: it has not begun, is between two addresses, or is decided.
    Nothing,
    /// The pool resolves the name; this cancels it.
    Resolving(Canceller),
    /// An address is tried. The name keeps the socket of the attempt until that is decided.
    Trying(S),
}

/// A kind of stream that connects.
pub(super) trait Connect: Stream {
    /// Where to.
    type Address: 'static;

    /// What it is a name of.
    fn connection(&self) -> &Connection<Self>;

    /// Begins to connect.
    fn begin(address: Self::Address) -> io::Result<Self::Transport>;
}

impl<S: Connect> Connecting<S> {
    /// A request that has no address yet.
    pub(super) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
    ) -> (Rc<Connecting<S>>, Request<io::Result<S>>) {
        let (completer, request) = Completer::new(state, S::KIND, location);
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
        (connecting, request)
    }

    /// Waits for the addresses of a name.
    pub(super) fn resolve(self: &Rc<Self>, lookup: Request<io::Result<Vec<S::Address>>>) {
        self.stage.replace(Stage::Resolving(lookup.canceller()));
        let later = self.clone();
        lookup.pass_to(move |result| match result {
            Ok(found) => later.start(found),
            Err(error) => later.decide(Err(error)),
        });
    }

    /// Tries these addresses, one after the other.
    pub(super) fn start(self: &Rc<Self>, addresses: impl IntoIterator<Item = S::Address>) {
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
            let attempt: io::Result<S> = S::begin(address)
                .and_then(|transport| Connection::adopt(&self.state, transport, self.location));
            match attempt {
                Ok(stream) => {
                    stream.connection().begin_attempt(self.clone());
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
    fn decide(&self, result: io::Result<S>) {
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
            Stage::Trying(stream) => stream.connection().close(), // Comes back by `cancelled`.
            Stage::Nothing => self.decide(Err(error::cancelled())),
        }
        Ok(())
    }
}

impl<S: Connect> Attempt for Connecting<S> {
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

impl<S: Connect> Drop for Connecting<S> {
    /// The look-up's callback was dropped with its loop: a task that awaits the connection is told.
    fn drop(&mut self) {
        self.shut_down();
    }
}
