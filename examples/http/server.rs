//! The listener and its connections: how many there may be, and how all of it stops.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass::net::{TcpListener, TcpStream};
use windlass::worker::WorkerPool;
use windlass::{Laggard, Loop, Timer, set_timeout};

use super::connection::Connection;
use super::response::Date;
use super::stalls::Stalls;
use super::sums::Sum;

/// How many clients beyond the limit are told so; those that come while so many are being told are
/// dropped without a word.
const REFUSED_MAX: usize = 64;

/// What workers without a job, and all that needs no more than a moment, get to end in when the
/// grace is over.
const END: Duration = Duration::from_millis(500);

pub(crate) struct Config {
    pub(crate) addr: SocketAddr,
    /// How many workers share the sums of `/slow`.
    pub(crate) workers: usize,
    /// What `/file/` serves; nothing outside is opened.
    pub(crate) root: PathBuf,
    pub(crate) connections_max: usize,
    /// How long a client may do nothing, take to send one request, or take nothing of its answer.
    pub(crate) idle_timeout: Duration,
    /// What `/stalls` tells of: callbacks that block the loop for longer. None: nobody watches.
    pub(crate) stall_limit: Option<Duration>,
}

/// A running server. A clone is another name for the same one.
#[derive(Clone)]
pub(crate) struct Server {
    listener: TcpListener,
    shared: Rc<Shared>,
}

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The root as the system names it, without links, to compare paths with.
    pub(crate) root: Arc<Path>,
    pub(crate) workers: WorkerPool<Sum, Option<u64>>,
    stalls: Option<Stalls>,
    pub(crate) started: Instant,
    pub(crate) requests: Cell<u64>,
    pub(crate) date: Date,
    /// Where answers are put together. Empty; kept for its room.
    pub(crate) out: Cell<Vec<u8>>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    /// How many of them are only told that they are too many. They take nobody's place.
    refused: Cell<usize>,
    next_id: Cell<u64>,
    /// Nobody is accepted any more, and each connection's next answer is its last.
    is_stopping: Cell<bool>,
    /// Set once, taken when nothing is left to wait for.
    stopping: RefCell<Option<Stopping>>,
}

/// A stop under way.
struct Stopping {
    /// Ends the wait for what takes too long.
    deadline: Timer,
    /// Called right before the loop ends, with the number of connections that had no answer, and
    /// what else had not ended.
    stopped: Box<dyn FnOnce(usize, Vec<Laggard>)>,
}

impl Server {
    /// Listens, and serves who comes.
    ///
    /// # Errors
    /// The message names what failed: the root, the workers or the address.
    pub(crate) fn start(config: Config) -> io::Result<Server> {
        let root = std::fs::canonicalize(&config.root)
            .and_then(|root| std::fs::read_dir(&root).map(|_| root))
            .map_err(|error| named(&error, format!("cannot read the root {:?}", config.root)))?;
        let listener = TcpListener::bind(config.addr)
            .map_err(|error| named(&error, format!("cannot listen on {}", config.addr)))?;
        let workers = WorkerPool::new(config.workers, || Sum::compute)
            .map_err(|error| named(&error, format!("cannot start {} workers", config.workers)))?;

        let shared = Rc::new(Shared {
            stalls: config.stall_limit.map(Stalls::watch),
            config,
            root: root.into(),
            workers,
            started: Instant::now(),
            requests: Cell::new(0),
            date: Date::new(windlass::now()),
            out: Cell::default(),
            connections: RefCell::default(),
            refused: Cell::new(0),
            next_id: Cell::new(0),
            is_stopping: Cell::new(false),
            stopping: RefCell::default(),
        });
        let accepting = Rc::clone(&shared);
        listener.on_connection(move |stream| match stream {
            Ok(stream) => accepting.accepted(stream),
            // Out of descriptors, mostly: until one is free again, the listener closes who comes.
            Err(error) => log::error!("cannot accept: {error}"),
        });
        Ok(Server { listener, shared })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Stops: nobody is accepted any more, idle connections close, and requests that have begun are
    /// answered. When that is done, or `grace` is over, the loop ends in order.
    ///
    /// `stopped` is called right before the loop ends, with the number of connections that have got
    /// no answer in that time, and with what else has not ended.
    pub(crate) fn stop(
        &self,
        grace: Duration,
        stopped: impl FnOnce(usize, Vec<Laggard>) + 'static,
    ) {
        self.shared.is_stopping.set(true);
        self.listener.close();
        let shared = Rc::clone(&self.shared);
        let deadline = set_timeout(grace, move || shared.finish());
        self.shared.stopping.replace(Some(Stopping { deadline, stopped: Box::new(stopped) }));
        for connection in self.shared.connections() {
            if connection.is_idle() {
                connection.leave();
            }
        }
        self.shared.finish_if_empty();
    }
}

impl Shared {
    /// How many clients are served.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.borrow().len() - self.refused.get()
    }

    pub(crate) fn stalls_text(&self) -> String {
        let nobody = || "nobody watches for stalls\n".to_owned();
        self.stalls.as_ref().map_or_else(nobody, Stalls::text)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    fn accepted(self: &Rc<Self>, stream: TcpStream) {
        let is_refused = self.connection_count() >= self.config.connections_max;
        if is_refused && self.refused.get() >= REFUSED_MAX {
            return stream.close();
        }
        // Answers go out in one write each; to hold them back for more to come only adds delay.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("cannot set TCP_NODELAY: {error}");
        }
        let id = self.next_id.replace(self.next_id.get() + 1);
        let shared = Rc::clone(self);
        stream.on_close(move || shared.closed(id, is_refused));
        let begin = if is_refused { Connection::refuse } else { Connection::start };
        let connection = begin(Rc::clone(self), stream);
        self.connections.borrow_mut().insert(id, connection);
        self.refused.set(self.refused.get() + usize::from(is_refused));
    }

    fn closed(&self, id: u64, was_refused: bool) {
        self.refused.set(self.refused.get() - usize::from(was_refused));
        // Bound to a name, so that the map's borrow ends before the connection is dropped.
        let connection = self.connections.borrow_mut().remove(&id);
        if let Some(connection) = connection {
            // The loop closes a socket too, when a write fails that nobody waits for.
            connection.close();
        }
        self.finish_if_empty();
    }

    /// The open connections, out of the map, so that they can be closed while we walk.
    fn connections(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().cloned().collect()
    }

    fn finish_if_empty(&self) {
        if self.connections.borrow().is_empty() {
            self.finish();
        }
    }

    /// Ends the loop. Not before: it would refuse the jobs that answers still need.
    fn finish(&self) {
        let Some(Stopping { deadline, stopped }) = self.stopping.take() else { return };
        let left = deadline.due_in().unwrap_or_default();
        deadline.clear();
        // One that has its answer, and has not closed its half yet, loses nothing.
        let is_unanswered = |connection: &&Rc<Connection>| !connection.is_answered();
        let unanswered = self.connections.borrow().values().filter(is_unanswered).count();
        let ended = Loop::current().shutdown(left.max(END));
        ended.on_complete(move |ended| stopped(unanswered, ended.err().unwrap_or_default()));
    }
}

/// `error`, with what was being done in front.
fn named(error: &io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
