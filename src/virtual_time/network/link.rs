//! A connection in memory, and its ends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Address, Owner, is_put_off, latency, now, program};
use crate::clock::Nanos;
use crate::state::current;
use crate::sys::{Event, Transport};

/// The most bytes that are on their way to an end or wait there: what the windows of a connection
/// hold on a usual system.
const WINDOW: usize = 256 << 10;

/// When a connect is tried again that found a full backlog: a second, as on Linux.
const ASKED_AGAIN: Nanos = 1_000_000_000;

/// What both ends of a connection share.
pub(super) struct Link {
    /// The number of the program whose time it is in.
    program: u64,
    /// What the lock guards.
    state: Mutex<State>,
}

/// What the lock guards.
struct State {
    /// The two ends.
    ends: [End; 2],
    /// From when on the connection is gone, if it was reset.
    reset_at: Option<Nanos>,
    /// The latest time at which something was done.
    latest: Nanos,
}

/// One end of a connection.
struct End {
    /// Where it is.
    address: Address,
    /// Who is told of what happens here. None while it is on no loop.
    owner: Option<Owner>,
    /// What was sent to this end and not read yet, with the time at which it is here.
    incoming: VecDeque<(Nanos, VecDeque<u8>)>,
    /// When the last of what was sent to this end is here.
    last_at: Nanos,
    /// From when on nothing more comes.
    end_at: Option<Nanos>,
    /// This end sends no more.
    has_ended: bool,
    /// It was closed.
    is_closed: bool,
    /// It waits for room at the other end.
    waits: bool,
    /// How many bytes were sent to this end and not read.
    unread: usize,
    /// Its last read was told to wait by chance alone.
    read_put_off: bool,
    /// The same of its last write.
    write_put_off: bool,
}

impl End {
    fn at(address: Address) -> End {
        End {
            address,
            owner: None,
            incoming: VecDeque::new(),
            last_at: 0,
            end_at: None,
            has_ended: false,
            is_closed: false,
            waits: false,
            unread: 0,
            read_put_off: false,
            write_put_off: false,
        }
    }

    fn tell(&self, at: Nanos, event: Event) {
        self.owner.iter().for_each(|owner| owner.tell(at, event));
    }

    /// The error of a call that is put off, which is worth another try a little later.
    fn told_again(&self, now: Nanos, event: Event) -> io::Error {
        self.tell(now.saturating_add(latency()), event);
        io::ErrorKind::WouldBlock.into()
    }

    /// When something is here that is sent to this end now, behind all that was sent before.
    fn arrival(&mut self, now: Nanos) -> Nanos {
        self.last_at = self.last_at.max(now.saturating_add(latency()));
        self.last_at
    }
}

/// A connection that is gone reports all of this.
const GONE: Event = Event::READABLE
    .with(Event::WRITABLE)
    .with(Event::READ_CLOSED)
    .with(Event::WRITE_CLOSED)
    .with(Event::ERROR);

impl State {
    fn is_reset(&self, now: Nanos) -> bool {
        self.reset_at.is_some_and(|at| at <= now)
    }

    /// The connection is gone from this time on: both ends are told.
    fn reset(&mut self, at: Nanos) {
        self.reset_at = Some(self.reset_at.map_or(at, |before| before.min(at)));
        self.ends.iter().for_each(|end| end.tell(at, GONE));
    }

    /// This end sends no more.
    fn end(&mut self, side: usize, now: Nanos) {
        if std::mem::replace(&mut self.ends[side].has_ended, true) {
            return;
        }
        let both = self.ends[1 - side].has_ended;
        let other = &mut self.ends[1 - side];
        let at = other.arrival(now);
        other.end_at = Some(at);
        let gone = if both { Event::WRITE_CLOSED } else { Event::default() };
        other.tell(at, Event::READABLE.with(Event::READ_CLOSED).with(gone));
        if both {
            // As the poller reports a connection of which both sides have ended.
            let at = self.ends[side].end_at.unwrap_or(now).max(now);
            self.ends[side].tell(at, Event::READ_CLOSED.with(Event::WRITE_CLOSED));
        }
    }
}

impl Link {
    fn between(one: Address, other: Address) -> Arc<Link> {
        let ends = [End::at(one), End::at(other)];
        let program = program();
        let state = State { ends, reset_at: None, latest: now(program, 0) };
        Arc::new(Link { program, state: Mutex::new(state) })
    }

    /// The time of the calling thread's loop, or if that is of another program the latest known.
    fn now(&self, latest: Nanos) -> Nanos {
        now(self.program, latest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock, so what it guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a connect has come.
#[derive(Clone, Copy)]
enum Stage {
    /// It arrives at the other end at this time.
    Asking(Nanos),
    /// The answer is here at this time.
    Answered {
        /// When.
        at: Nanos,
        /// Why not, if it is refused.
        refused: Option<io::ErrorKind>,
    },
    /// It is connected.
    Connected,
}

/// One end of a connection in memory: a transport.
pub(crate) struct Socket {
    /// What it shares with the other end.
    link: Arc<Link>,
    /// Which of the two ends it is.
    side: usize,
    /// How far its connect has come.
    stage: Cell<Stage>,
    /// It was told to reset the connection when it is closed.
    resets: Cell<bool>,
}

impl Socket {
    fn of(link: &Arc<Link>, side: usize, stage: Stage) -> Socket {
        let (stage, resets) = (Cell::new(stage), Cell::new(false));
        Socket { link: link.clone(), side, stage, resets }
    }

    /// Two ends that are connected to each other.
    pub(crate) fn pair() -> (Socket, Socket) {
        let link = Link::between(Address::Nobody, Address::Nobody);
        (Socket::of(&link, 0, Stage::Connected), Socket::of(&link, 1, Stage::Connected))
    }

    /// Begins to connect to an address, in a simulation. The other end is made when that arrives.
    pub(crate) fn connect(from: &Address, to: Address) -> Socket {
        let from = current::with_chance(|chance| chance.book.free_address(from, false));
        let link = Link::between(from.unwrap_or(Address::Nobody), to);
        let at = link.now(0).saturating_add(latency());
        Socket::of(&link, 0, Stage::Asking(at))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.link.lock()
    }

    pub(crate) fn local(&self) -> Address {
        self.lock().ends[self.side].address.clone()
    }

    pub(crate) fn peer(&self) -> Address {
        self.lock().ends[1 - self.side].address.clone()
    }

    /// The number of the program whose time it is in.
    pub(crate) fn program(&self) -> u64 {
        self.link.program
    }

    /// Has the connection be reset when this end is closed.
    pub(crate) fn reset_on_close(&self) {
        self.resets.set(true);
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        if state.is_reset(now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let [end, other] = state.ends.get_disjoint_mut([self.side, 1 - self.side]).expect("two");
        let mut most = 0;
        for (at, bytes) in &end.incoming {
            if *at > now || most >= buffer.len() {
                break; // What else is here is not counted each time.
            }
            most += bytes.len();
        }
        let most = most.min(buffer.len());
        if most == 0 {
            let is_over = end.incoming.is_empty() && end.end_at.is_some_and(|at| at <= now);
            let done = is_over || buffer.is_empty();
            return if done { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        if is_put_off(&mut end.read_put_off) {
            return Err(end.told_again(now, Event::READABLE));
        }
        let most = current::with_chance(|chance| chance.read_len(most)).unwrap_or(most);
        for to in &mut buffer[..most] {
            let (_, bytes) = end.incoming.front_mut().expect("as many as were counted");
            *to = bytes.pop_front().expect("a segment is not empty");
            if bytes.is_empty() {
                end.incoming.pop_front();
            }
        }
        end.unread -= most;
        if std::mem::take(&mut other.waits) {
            other.tell(now.saturating_add(latency()), Event::WRITABLE);
        }
        Ok(most)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("local", &self.local())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

impl Transport for Socket {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn report_to(&mut self, key: Option<u64>) {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        let reset_at = state.reset_at;
        let end = &mut state.ends[self.side];
        end.owner = key.and_then(Owner::here);
        match self.stage.get() {
            Stage::Asking(at) | Stage::Answered { at, .. } => end.tell(at, Event::WRITABLE),
            Stage::Connected => end.tell(now, Event::READABLE.with(Event::WRITABLE)),
        }
        // What is on its way to the loop that it was on.
        let later = end.incoming.iter().map(|(at, _)| *at).filter(|at| *at > now);
        later.for_each(|at| end.tell(at, Event::READABLE));
        end.end_at.iter().for_each(|at| end.tell(*at, Event::READABLE.with(Event::READ_CLOSED)));
        reset_at.iter().for_each(|at| end.tell(*at, GONE));
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer)
    }

    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        if state.is_reset(now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let end = &mut state.ends[self.side];
        let here = end.incoming.iter().take_while(|(at, _)| *at <= now);
        let here = here.flat_map(|(_, bytes)| bytes);
        let count = buffer.iter_mut().zip(here).map(|(to, byte)| *to = *byte).count();
        if count > 0 && is_put_off(&mut end.read_put_off) {
            return Err(end.told_again(now, Event::READABLE));
        }
        let is_over = end.incoming.is_empty() && end.end_at.is_some_and(|at| at <= now);
        if count > 0 || is_over { Ok(count) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(data)])
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        state.latest = now;
        if state.is_reset(now) {
            let broken = current::with_chance(|chance| chance.one_of(2) == 1);
            let kind = match broken {
                Some(true) => io::ErrorKind::BrokenPipe,
                _ => io::ErrorKind::ConnectionReset,
            };
            return Err(kind.into());
        }
        if state.ends[self.side].has_ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all = data.iter().map(|part| part.len()).sum::<usize>();
        if state.ends[1 - self.side].is_closed {
            // Nobody takes it, which is heard of later.
            let at = now.saturating_add(latency()).saturating_add(latency());
            state.reset(at);
            return Ok(all);
        }
        let [end, other] = state.ends.get_disjoint_mut([self.side, 1 - self.side]).expect("two");
        let most = all.min(WINDOW.saturating_sub(other.unread));
        if most == 0 && all > 0 {
            end.waits = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if all > 0 && is_put_off(&mut end.write_put_off) {
            return Err(end.told_again(now, Event::WRITABLE));
        }
        let most = current::with_chance(|chance| chance.write_len(most)).unwrap_or(most);
        let mut bytes: VecDeque<u8> =
            data.iter().flat_map(|part| part.iter().copied()).take(most).collect();
        if most < all {
            // It is tried again when this has arrived.
            end.waits = true;
        }
        let cut = current::with_chance(|chance| chance.cut(most)).flatten();
        let behind = cut.map(|at| bytes.split_off(at));
        let mut reset_at = None;
        for segment in [Some(bytes), behind].into_iter().flatten().filter(|s| !s.is_empty()) {
            let at = other.arrival(now);
            if current::with_chance(|chance| chance.resets()).unwrap_or(false) {
                reset_at.get_or_insert(at);
            }
            other.unread += segment.len();
            other.incoming.push_back((at, segment));
            other.tell(at, Event::READABLE);
        }
        if let Some(at) = reset_at {
            state.reset(at);
        }
        Ok(most)
    }

    fn send_end(&self) -> io::Result<()> {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        state.end(self.side, now);
        Ok(())
    }

    fn connected(&self) -> Option<io::Result<()>> {
        loop {
            let now = self.link.now(self.lock().latest);
            match self.stage.get() {
                Stage::Asking(at) if at <= now => {
                    let at = now.saturating_add(latency());
                    let address = self.peer();
                    let book = |address| {
                        current::with_chance(|chance| chance.book.find(address)).flatten()
                    };
                    let refused = match book(&address) {
                        None => Some(io::ErrorKind::ConnectionRefused),
                        Some(listening) if listening.has_room() => {
                            listening.arrive(Socket::of(&self.link, 1, Stage::Connected), now);
                            None
                        }
                        Some(_) if matches!(address, Address::Internet(_)) => {
                            // The system drops it, and the one who connects asks again.
                            let again = now.saturating_add(ASKED_AGAIN);
                            self.stage.set(Stage::Asking(again));
                            self.lock().ends[self.side].tell(again, Event::WRITABLE);
                            return None;
                        }
                        Some(_) => Some(io::ErrorKind::WouldBlock),
                    };
                    self.stage.set(Stage::Answered { at, refused });
                    self.lock().ends[self.side].tell(at, Event::WRITABLE);
                }
                Stage::Answered { at, refused: Some(kind) } if at <= now => {
                    return Some(Err(kind.into()));
                }
                Stage::Answered { at, .. } if at <= now => self.stage.set(Stage::Connected),
                Stage::Connected => {
                    let reset = self.lock().is_reset(now);
                    let gone = || Err(io::ErrorKind::ConnectionReset.into());
                    return Some(if reset { gone() } else { Ok(()) });
                }
                Stage::Asking(_) | Stage::Answered { .. } => return None,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.lock();
        let now = self.link.now(state.latest);
        let end = &mut state.ends[self.side];
        (end.is_closed, end.owner) = (true, None);
        let unread = !end.incoming.is_empty();
        end.incoming.clear();
        end.unread = 0;
        if self.resets.get() || unread {
            // Behind what was sent before.
            let at = state.ends[1 - self.side].arrival(now);
            state.reset(at);
        }
        state.end(self.side, now);
    }
}
