//! Connecting: a name to addresses, one address after the other, to the first that answers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::Rc;

use super::TcpStream;
use super::address::Target;
use super::tcp_stream::Core;
use crate::dns::{self, LookupOptions};
use crate::error::{self, CancelError};
use crate::event_loop::state::State;
use crate::request::{Canceller, Completer, Request};
use crate::sys;

/// A connect request that has not completed.
pub(super) struct Connecting {
    state: Rc<State>,
    location: &'static Location<'static>,
    /// Taken by whatever decides the request.
    completer: Cell<Option<Completer<io::Result<TcpStream>>>>,
    /// The addresses that have not been tried.
    addresses: RefCell<VecDeque<SocketAddr>>,
    stage: RefCell<Stage>,
}

/// What is going on at this moment.
enum Stage {
    Nothing,
    Resolving(Canceller),
    /// The name that keeps the attempt's socket until it is decided.
    Trying(TcpStream),
}

pub(super) fn connect(
    state: &Rc<State>,
    target: io::Result<Target>,
    location: &'static Location<'static>,
) -> Request<io::Result<TcpStream>> {
    let target = match target {
        Ok(target) if state.is_open() => target,
        Ok(_) => return Request::failed_later(state, location, error::shut_down()),
        Err(error) => return Request::failed_later(state, location, error),
    };
    let (completer, request) = Completer::new(state, location);
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
            let attempt = sys::TcpStream::connect(address)
                .and_then(|socket| Core::adopt(&self.state, socket, self.location));
            match attempt {
                Ok(stream) => {
                    stream.core().set_connecting(self.clone());
                    self.stage.replace(Stage::Trying(stream));
                    return;
                }
                Err(reason) => error = reason,
            }
        }
    }

    fn is_decided(&self) -> bool {
        let completer = self.completer.take();
        let decided = completer.is_none();
        self.completer.set(completer);
        decided
    }

    /// Completes the request, later: the caller may be the very call that asked.
    fn decide(&self, result: io::Result<TcpStream>) {
        let stage = self.stage.replace(Stage::Nothing);
        if let Some(completer) = self.completer.take() {
            completer.complete_later(result);
        }
        drop(stage);
    }

    /// The attempt succeeded. Completes here, in the poll phase.
    pub(super) fn done(&self, stream: TcpStream) {
        let stage = self.stage.replace(Stage::Nothing);
        if let Some(completer) = self.completer.take() {
            completer.complete(Ok(stream));
        }
        drop(stage);
    }

    /// The attempt failed.
    pub(super) fn failed(self: &Rc<Self>, error: io::Error) {
        self.stage.replace(Stage::Nothing);
        if !self.addresses.borrow().is_empty() {
            return self.try_next(error);
        }
        if let Some(completer) = self.completer.take() {
            completer.complete(Err(error));
        }
    }

    fn cancel(&self) -> Result<(), CancelError> {
        if self.is_decided() {
            return Err(CancelError::Done);
        }
        self.addresses.borrow_mut().clear();
        match self.stage.replace(Stage::Nothing) {
            // One that has started goes on to its end, and nobody will look at it.
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

    /// The attempt's socket was closed under it.
    pub(super) fn cancelled(&self) {
        self.decide(Err(error::cancelled()));
    }

    /// The loop ends.
    pub(super) fn shut_down(&self) {
        self.stage.replace(Stage::Nothing);
        if let Some(completer) = self.completer.take() {
            completer.shut_down(Some(Err(error::shut_down())));
        }
    }
}

impl Drop for Connecting {
    /// The look-up's callback was dropped with its loop: who awaits the connection is told.
    fn drop(&mut self) {
        self.shut_down();
    }
}
