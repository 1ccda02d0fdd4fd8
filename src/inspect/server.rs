//! The server: its listener, its connections, and its end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::access::Access;
use super::connection::Connection;
use super::live::Live;
use super::request::Refusal;
use super::response;
use crate::net::{TcpListener, TcpStream};

/// So many connections there are at most. A browser opens up to six.
const CONNECTIONS_MAX: usize = 64;

/// How long the end waits for clients to take what is left.
const END_TAKES: Duration = Duration::from_millis(200);

/// A server on the current loop.
pub(super) struct Server {
    /// Who may ask.
    pub(super) access: Access,
    /// Those who look on.
    pub(super) live: Rc<Live>,
    /// Its listener.
    listener: TcpListener,
    /// The connections, by their numbers.
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    /// The number of the last one.
    last: Cell<u64>,
}

impl Server {
    /// Begins to serve on this address.
    pub(super) fn start(address: SocketAddr, access: Access) -> io::Result<Rc<Server>> {
        let listener = TcpListener::bind(address)?;
        let server = Rc::new(Server {
            access,
            live: Live::new(),
            listener,
            connections: RefCell::default(),
            last: Cell::new(0),
        });
        let this = Rc::downgrade(&server);
        server.listener.on_connection(move |stream| match (this.upgrade(), stream) {
            (Some(this), Ok(stream)) => this.accept(stream),
            (_, Err(error)) => log::debug!("the view could not accept a client: {error}"),
            (None, Ok(_)) => {}
        });
        Ok(server)
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn accept(self: &Rc<Self>, stream: TcpStream) {
        if self.connections.borrow().len() >= CONNECTIONS_MAX {
            // As far as it goes out at once: whoever comes in masses is not waited for.
            if let Err(error) = stream.try_write(&response::refusal(Refusal::Busy)) {
                log::debug!("the view has too many clients: {error}");
            }
            return stream.close();
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        let connection = Connection::start(self, number, stream);
        self.connections.borrow_mut().insert(number, connection);
    }

    /// The connection with this number is over.
    pub(super) fn forget(&self, number: u64) {
        let gone = self.connections.borrow_mut().remove(&number);
        drop(gone);
    }

    /// Ends in order: tells the clients what is left, and waits a little for them to take it.
    pub(super) fn end(self: &Rc<Self>) {
        self.listener.close();
        self.live.end();
        let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        connections.iter().for_each(|connection| connection.finish());
        // What holds the loop from here on are the connections.
        let this = self.clone();
        crate::set_timeout(END_TAKES, move || {
            let left: Vec<_> = this.connections.borrow().values().cloned().collect();
            left.iter().for_each(|connection| connection.close());
        })
        .unref();
    }
}
