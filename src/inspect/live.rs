//! Those who look on: each gets what is taken of the recorder, or the summaries.
//!
//! One timer does all of it. It is armed while somebody looks on, and so are the recorder and the
//! observer: with nobody there the program is not observed, and the server only listens.
//!
//! What is taken is written out once, and goes to all clients. A client that does not take what it
//! is sent is left out until it has; then it is told how much it has missed, and gets a new
//! snapshot. What waits for a client is bounded, and one that takes nothing for some time is cut
//! off.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::about;
use super::connection::Connection;
use super::response::{self, message};
use super::summary::Summaries;
use super::tap::Tap;
use crate::Timer;

/// So many look on at most.
const CLIENTS_MAX: usize = 16;

/// How often the recorder is read, and blocked loops are looked for.
const TICK: Duration = Duration::from_millis(50);

/// Every how many ticks there is a summary.
const SUMMARY_TICKS: u64 = 20;

/// A client for which more waits than this gets nothing more.
const WAITING_MAX: usize = 1024 * 1024;

/// Until no more than this waits.
const WAITING_FEW: usize = 64 * 1024;

/// A client that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// All events.
    Events,
    /// The summaries.
    Summary,
}

/// One who looks on.
struct Client {
    /// Its connection.
    connection: Weak<Connection>,
    /// The number of that.
    number: u64,
    /// What it gets.
    stream: Stream,
    /// It has not taken what it was sent, and gets nothing until it has.
    is_behind: Cell<bool>,
    /// How many events it has missed.
    missed: Cell<u64>,
    /// It has to be told what there is.
    is_new: Cell<bool>,
    /// How many bytes it was sent.
    sent: Cell<usize>,
    /// How many of them it had taken when it last took any.
    taken: Cell<usize>,
    /// When that was.
    moved: Cell<Instant>,
}

/// Those who look on, and what they look at.
pub(super) struct Live {
    /// Itself, for the timer.
    this: Weak<Live>,
    /// In the order in which they came.
    clients: RefCell<Vec<Rc<Client>>>,
    /// What events are taken of, while somebody gets them.
    tap: RefCell<Option<Tap>>,
    /// What summaries are made of, while anybody looks on.
    summaries: RefCell<Option<Summaries>>,
    /// Armed while anybody looks on.
    timer: Cell<Option<Timer>>,
    /// How often it has fired.
    ticks: Cell<u64>,
}

impl Live {
    pub(super) fn new() -> Rc<Live> {
        Rc::new_cyclic(|this| Live {
            this: this.clone(),
            clients: RefCell::default(),
            tap: RefCell::default(),
            summaries: RefCell::default(),
            timer: Cell::new(None),
            ticks: Cell::new(0),
        })
    }

    /// Whether one more may look on.
    pub(super) fn has_room(&self) -> bool {
        self.clients.borrow().len() < CLIENTS_MAX
    }

    /// A client looks on from now on, and is told so by the head of its answer: what begins behind
    /// that is seen.
    pub(super) fn join(&self, connection: &Rc<Connection>, stream: Stream) {
        self.summaries.borrow_mut().get_or_insert_with(Summaries::begin);
        if stream == Stream::Events {
            self.tap.borrow_mut().get_or_insert_with(Tap::begin);
            // Others get what there is so far, for it is read anew from here on.
            self.tell_events(true);
        }
        let client = Rc::new(Client {
            connection: Rc::downgrade(connection),
            number: connection.number(),
            stream,
            is_behind: Cell::new(false),
            missed: Cell::new(0),
            is_new: Cell::new(false),
            sent: Cell::new(0),
            taken: Cell::new(0),
            moved: Cell::new(crate::now()),
        });
        self.clients.borrow_mut().push(client.clone());
        if self.timer.get().is_none() {
            self.ticks.set(0);
            let this = self.this.clone();
            let timer = crate::set_interval(TICK, move |_| {
                this.upgrade().iter().for_each(|this| this.tick());
            });
            self.timer.set(Some(timer));
        }
        match stream {
            Stream::Events => self.introduce(&client, response::events()),
            Stream::Summary => {
                client.send(&response::events());
                self.tell_summary(false);
            }
        }
    }

    /// The client of this connection, if it is one's, has gone.
    pub(super) fn leave(&self, number: u64) {
        self.clients.borrow_mut().retain(|client| client.number != number);
        if !self.wants(Stream::Events) {
            drop(self.tap.take());
        }
        if self.clients.borrow().is_empty() {
            drop(self.summaries.take());
            self.timer.take().iter().for_each(Timer::clear);
        }
    }

    /// Whether anybody gets these.
    fn wants(&self, stream: Stream) -> bool {
        self.clients.borrow().iter().any(|client| client.stream == stream)
    }

    /// Those who get these now.
    fn clients(&self, stream: Stream) -> Vec<Rc<Client>> {
        self.clients.borrow().iter().filter(|it| it.stream == stream).cloned().collect()
    }

    fn tick(&self) {
        let ticks = self.ticks.get() + 1;
        self.ticks.set(ticks);
        let all: Vec<_> = self.clients.borrow().clone();
        all.iter().for_each(|client| client.look());
        self.tell_events(false);
        let is_regular = ticks.is_multiple_of(SUMMARY_TICKS);
        let has_changed = self.summaries.borrow_mut().as_mut().is_some_and(Summaries::look);
        if is_regular || has_changed {
            self.tell_summary(is_regular);
        }
    }

    /// Takes what there is of the recorder, and sends it.
    fn tell_events(&self, at_once: bool) {
        let mut lines = Vec::new();
        let count = {
            let mut tap = self.tap.borrow_mut();
            let Some(tap) = tap.as_mut() else { return };
            let (count, long) = tap.take(at_once, &mut lines);
            if let Some(summaries) = self.summaries.borrow_mut().as_mut() {
                long.into_iter().for_each(|callback| summaries.add(callback));
            }
            count
        };
        let batch = message("", &lines);
        for client in self.clients(Stream::Events) {
            if client.is_behind.get() {
                client.missed.set(client.missed.get() + count);
            } else if client.is_new.replace(false) {
                self.introduce(&client, Vec::new());
            } else if count > 0 {
                client.send(&batch);
            }
        }
    }

    /// Sends a client this, and what it has to know first. What there is follows, for all, from the
    /// next batch on: each loop tells it. It is asked to before anything goes out, so that whatever
    /// the client does behind that is told.
    fn introduce(&self, client: &Client, mut first: Vec<u8>) {
        let mut lines = about::meta().into_bytes();
        let missed = client.missed.take();
        if missed > 0 {
            lines = format!("{{\"what\":\"lost\",\"count\":{missed}}}\n").into_bytes();
        }
        if let Some(tap) = self.tap.borrow_mut().as_mut() {
            tap.write_tracks(&mut lines);
            tap.tell_anew();
        }
        first.extend_from_slice(&message("", &lines));
        client.send(&first);
    }

    fn tell_summary(&self, is_regular: bool) {
        let count = self.clients.borrow().len();
        let text = {
            let mut summaries = self.summaries.borrow_mut();
            let Some(summaries) = summaries.as_mut() else { return };
            summaries.text(is_regular, count)
        };
        let summary = message("summary", text.as_bytes());
        for client in self.clients(Stream::Summary) {
            // The next one says all that this one would have said.
            if !client.is_behind.get() {
                client.send(&summary);
            }
        }
    }

    /// The server ends: those who look on get what is left.
    pub(super) fn end(&self) {
        self.tell_events(true);
        let all: Vec<_> = self.clients.borrow().clone();
        all.iter().for_each(|client| client.send(&message("end", b"{}")));
    }
}

impl Client {
    fn send(&self, bytes: &[u8]) {
        if let Some(connection) = self.connection.upgrade() {
            self.sent.set(self.sent.get() + bytes.len());
            connection.write(bytes);
        }
    }

    /// Looks whether it takes what it is sent.
    fn look(&self) {
        let Some(connection) = self.connection.upgrade() else { return };
        let (waiting, now) = (connection.stream.write_queue_size(), crate::now());
        let taken = self.sent.get().saturating_sub(waiting);
        if waiting == 0 || taken > self.taken.get() {
            self.taken.set(taken);
            self.moved.set(now);
        } else if now.saturating_duration_since(self.moved.get()) > PATIENCE {
            return connection.close();
        }
        if waiting > WAITING_MAX {
            self.is_behind.set(true);
        } else if waiting <= WAITING_FEW && self.is_behind.replace(false) {
            self.is_new.set(true);
        }
    }
}
