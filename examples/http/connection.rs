//! One connection: requests in, answers out, one at a time and in order.
//!
//! ```text
//!            ┌──────────────────── next request ────────────────────┐
//!            ▼                                                      │
//!        ┌───────┐ needs a job  ┌─────────┐ result  ┌──────────┐ all written
//!   ────►│ Input ├─────────────►│ Working ├────────►│ Draining ├────┤
//!        └───┬───┘              └─────────┘         └──────────┘    │ last answer
//!            │        answered at once, client reads slowly ▲       ▼
//!            ├──────────────────────────────────────────────┘  ┌──────────┐
//!            └─ bad framing ──────────────────────────────────►│ Lingering├──► Closed
//!                                                              └──────────┘
//! ```
//!
//! Only *Input* and *Lingering* read. While an answer is computed or has not gone out, the socket is
//! left alone, its buffer fills, and the client has to wait: this is all the back-pressure there is,
//! and it bounds what one client can make us hold to one read, one answer, one chunk of a file.
//!
//! A client that leaves while we work is heard of without reading, and its job is cancelled. That it
//! sends no more does not say that it has left, for it may have closed its own half only; so it is sent
//! the words that each answer begins with. One that waits gets the rest when that is there, and one
//! that has left answers with a reset. (One that takes these words and leaves then is not told apart
//! from one that waits: its job runs to its end.)
//!
//! No borrow of a `RefCell` lives across a call into the loop: bytes are taken out, decoded, and put
//! back before anything is written.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass::net::TcpStream;
use windlass::{CancelToken, Canceller, Loop, Request as Pending, Timer};
use windlass::{queue_work, set_timeout};

use super::files::{self, Opened};
use super::metrics;
use super::request::{Decoder, Method, Request, Step};
use super::response::{BEGINNING, CONTINUE, Date, Response, Status, write_head};
use super::routes::{Place, Route, route};
use super::server::Shared;
use super::sums::{Sum, fib};

/// Answers to pipelined requests are gathered up to here before they are written.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// How long, and for how many bytes, the client is read after the last answer.
///
/// A socket that is closed while input waits in it is reset, and the reset may overtake the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Reading requests.
    Input,
    /// A worker or the pool computes the answer.
    Working,
    /// The client has not taken the answer yet.
    Draining,
    /// The last answer is out, ours is the first half to be closed; what comes is thrown away.
    Lingering,
    Closed,
}

pub(crate) struct Connection {
    stream: TcpStream,
    shared: Rc<Shared>,
    phase: Cell<Phase>,
    /// Whether the read callback is registered.
    reading: Cell<bool>,
    decoder: RefCell<Decoder>,
    /// What has come in and has not been decoded: part of a head, or requests that wait their turn.
    input: RefCell<Vec<u8>>,
    /// How much has been read while lingering.
    lingered: Cell<usize>,
    /// Ends a client that is idle, sends half a request, or does not take its answer.
    timer: Cell<Timer>,
    /// What cancels the job under way.
    job: RefCell<Option<Job>>,
    /// Whether the words that each answer begins with went out before the rest of it.
    begun: Cell<bool>,
    /// What the client had not taken of its answer when the timer last looked, in bytes.
    untaken: Cell<usize>,
    /// When the client was given its time. The timer looks at this when it fires, and goes on if the time is
    /// not over: with each request only this is set, and no timer is touched.
    given: Cell<Instant>,
}

/// A job under way. Cancelled, one that waits does not begin, and one that runs sees its token.
struct Job {
    canceller: Canceller,
    token: CancelToken,
}

/// How an answer is to be written.
#[derive(Clone, Copy)]
struct Reply {
    is_head: bool,
    keep_alive: bool,
}

/// What follows when an answer has been written.
enum Next {
    /// More input, when it comes.
    Read,
    /// The input that is here already.
    Decode,
    /// A job, whose result is the next answer.
    Work(Route, Reply),
    /// The rest of a file.
    File(Sending),
    /// Nothing: that was the last answer.
    Linger,
}

/// A file on its way out.
struct Sending {
    file: Arc<File>,
    offset: u64,
    /// None when the file's length is not known.
    left: Option<u64>,
    keep_alive: bool,
}

impl Connection {
    /// Serves `stream`, until it is closed.
    pub(crate) fn start(shared: Rc<Shared>, stream: TcpStream) -> Rc<Connection> {
        let connection = Connection::new(shared, stream, Phase::Input);
        connection.read();
        connection
    }

    /// Tells the client that there are too many, and closes.
    pub(crate) fn refuse(shared: Rc<Shared>, stream: TcpStream) -> Rc<Connection> {
        let connection = Connection::new(shared, stream, Phase::Input);
        let mut out = Vec::new();
        let response = Response::explained(Status::UNAVAILABLE, "too many connections");
        response.write(&mut out, connection.date(), false, false);
        connection.send(&out, Next::Linger);
        connection
    }

    fn new(shared: Rc<Shared>, stream: TcpStream, phase: Phase) -> Rc<Connection> {
        let idle_timeout = shared.config.idle_timeout;
        Rc::new_cyclic(|weak: &Weak<Connection>| Connection {
            stream,
            shared,
            phase: Cell::new(phase),
            reading: Cell::new(false),
            decoder: RefCell::default(),
            input: RefCell::default(),
            lingered: Cell::new(0),
            timer: Cell::new(set_timeout(idle_timeout, upgraded(weak, Connection::look_at_time))),
            job: RefCell::default(),
            begun: Cell::new(false),
            untaken: Cell::new(0),
            given: Cell::new(windlass::now()),
        })
    }

    pub(crate) fn close(&self) {
        if self.phase.replace(Phase::Closed) != Phase::Closed {
            self.timer.get().clear();
            self.stream.close();
            if let Some(Job { canceller, token }) = self.job.take() {
                token.cancel();
                let waited = canceller.cancel().is_ok();
                log::debug!(
                    "the client of a job left before it {}",
                    if waited { "began" } else { "ended" }
                );
            }
        }
    }

    /// Whether no request is being received or answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase.get() == Phase::Input && !self.has_half_a_request()
    }

    /// Whether the last answer is out.
    pub(crate) fn is_answered(&self) -> bool {
        self.phase.get() == Phase::Lingering
    }

    fn has_half_a_request(&self) -> bool {
        !self.input.borrow().is_empty() || !self.decoder.borrow().is_between_requests()
    }

    // ---- input ----

    fn read(self: &Rc<Self>) {
        if !self.reading.replace(true) {
            let this = Rc::clone(self);
            self.stream.read_start(move |_, chunk| match chunk {
                Ok([]) => this.ended(),
                Ok(bytes) => this.received(bytes),
                Err(error) => {
                    log::debug!("a connection broke: {error}");
                    this.close();
                }
            });
        }
    }

    fn stop_reading(&self) {
        if self.reading.replace(false) {
            self.stream.read_stop();
        }
    }

    fn received(self: &Rc<Self>, bytes: &[u8]) {
        match self.phase.get() {
            Phase::Input => self.decode(bytes),
            Phase::Lingering => {
                self.lingered.set(self.lingered.get() + bytes.len());
                if self.lingered.get() > LINGER_BYTES_MAX {
                    self.close();
                }
            }
            Phase::Working | Phase::Draining | Phase::Closed => {}
        }
    }

    /// The client sends no more.
    fn ended(self: &Rc<Self>) {
        if self.phase.get() == Phase::Input && self.has_half_a_request() {
            self.refuse_half(Status::BAD_REQUEST);
            if self.phase.get() == Phase::Draining {
                return;
            }
        }
        // Nothing can come that this would find unread.
        self.close();
    }

    /// Answers a request that will never be whole.
    fn refuse_half(self: &Rc<Self>, status: Status) {
        let mut out = Vec::new();
        let is_head = self.decoder.borrow().is_head();
        Response::error(status).write(&mut out, self.date(), is_head, false);
        self.send(&out, Next::Linger);
    }

    /// Decodes what was left over and `bytes`, and answers what is complete.
    fn decode(self: &Rc<Self>, bytes: &[u8]) {
        let was_idle = self.is_idle();
        let mut input = self.input.take();
        let mut out = self.shared.out.take();
        let next = if input.is_empty() {
            // The usual case: whole requests, which are decoded where they were read.
            let (used, next) = self.answer_all(bytes, &mut out);
            input.extend_from_slice(&bytes[used..]);
            next
        } else {
            input.extend_from_slice(bytes);
            let (used, next) = self.answer_all(&input, &mut out);
            input.drain(..used);
            next
        };
        // Room that was needed once is not kept by a connection that may now be idle for long.
        self.input.replace(if input.is_empty() { Vec::new() } else { input });

        // Time is given to a whole request, not to each byte of it, or a client could send one byte
        // now and then and stay for ever.
        if was_idle && !self.is_idle() {
            self.give_time();
        }
        self.send(&out, next);
        out.clear();
        self.shared.out.set(out);
    }

    /// Answers the requests in `bytes` up to the first that takes time, and says how many bytes that
    /// used, and what comes then. What is to be written is appended to `out`.
    fn answer_all(&self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Next) {
        let mut used = 0;
        while used < bytes.len() && out.len() < GATHERED_BYTES_MAX {
            let (taken, step) = self.decoder.borrow_mut().next(&bytes[used..]);
            used += taken;
            match step {
                Step::NeedMore => return (used, Next::Read),
                Step::Continue => {
                    self.give_time();
                    out.extend_from_slice(CONTINUE);
                }
                Step::Bad(status) => {
                    let is_head = self.decoder.borrow().is_head();
                    Response::error(status).write(out, self.date(), is_head, false);
                    return (used, Next::Linger);
                }
                Step::Request(request) => match self.answer(&request, out) {
                    Next::Decode => {}
                    next => return (used, next),
                },
            }
        }
        (used, if used < bytes.len() { Next::Decode } else { Next::Read })
    }

    /// Appends the answer to `out`, if it needs no job.
    fn answer(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Next {
        self.shared.requests.set(self.shared.requests.get() + 1);
        let reply = Reply {
            is_head: request.method == Method::Head,
            // While the server stops, each connection's next answer is its last.
            keep_alive: request.keep_alive && !self.shared.is_stopping(),
        };
        let response = match route(request) {
            Route::Answer(response) => response,
            Route::Metrics => Response::text(metrics::text(&self.shared)),
            Route::Stalls => Response::text(self.shared.stalls_text()),
            // The mistake on show: this returns when the sum is done, and nothing else runs.
            Route::Slow(Place::Loop, n) => {
                let response = sum(n, fib(n));
                // The loop's idea of now is as old as its last look for input.
                Loop::current().update_time();
                response
            }
            job @ (Route::Slow(..) | Route::File(_)) => return Next::Work(job, reply),
        };
        response.write(out, self.date(), reply.is_head, reply.keep_alive);
        if reply.keep_alive { Next::Decode } else { Next::Linger }
    }

    // ---- output ----

    /// The date of an answer that is written now. With an answer the client gets its time anew.
    fn date(&self) -> &Date {
        self.give_time();
        self.shared.date.update(self.given.get());
        &self.shared.date
    }

    /// Writes `out`, and goes on with `next` when the client has taken it.
    fn send(self: &Rc<Self>, out: &[u8], next: Next) {
        if self.phase.get() == Phase::Closed {
            return;
        }
        if out.is_empty() {
            return self.go_on(next);
        }
        let write = self.stream.write(out);
        self.go_on_after(write, next);
    }

    /// Goes on with `next` when the client has taken what was written.
    fn go_on_after(self: &Rc<Self>, write: windlass::Request<io::Result<()>>, next: Next) {
        if self.stream.write_queue_size() == 0 {
            // Nothing left to wait for. If the write failed, the read callback will hear of it.
            drop(write);
            return self.go_on(next);
        }
        self.stop_reading();
        self.phase.set(Phase::Draining);
        self.give_time();
        self.untaken.set(untaken(&self.stream));
        let this = Rc::clone(self);
        write.on_complete(move |written| match written {
            Ok(()) => this.go_on(next),
            Err(_) => this.close(),
        });
    }

    fn go_on(self: &Rc<Self>, next: Next) {
        if self.phase.get() == Phase::Closed {
            return;
        }
        match next {
            Next::Work(job, reply) => self.work(job, reply),
            Next::File(sending) => self.send_rest(sending),
            Next::Linger => self.linger(),
            Next::Decode | Next::Read => {
                if self.phase.replace(Phase::Input) != Phase::Input {
                    self.give_time();
                }
                if matches!(next, Next::Decode) {
                    self.decode(&[]);
                } else if self.shared.is_stopping() && self.is_idle() {
                    self.leave();
                } else {
                    self.read();
                }
            }
        }
    }

    /// Closes an idle connection, for the server stops. A client that has not taken all of its last
    /// answer may have sent another request, which a close would find unread.
    pub(crate) fn leave(self: &Rc<Self>) {
        if untaken(&self.stream) > 0 { self.linger() } else { self.close() }
    }

    /// Closes our half, and waits a moment for the client to close the other.
    fn linger(self: &Rc<Self>) {
        self.phase.set(Phase::Lingering);
        self.input.take();
        let close = upgraded(&Rc::downgrade(self), |connection| connection.close());
        self.timer.get().clear();
        self.timer.set(set_timeout(LINGER, close));
        drop(self.stream.shutdown());
        self.read();
    }

    // ---- time ----

    /// Gives the client its time anew.
    fn give_time(&self) {
        self.given.set(windlass::now());
    }

    /// The timer has fired: is the time over that was given last?
    fn look_at_time(self: &Rc<Self>) {
        let idle_timeout = self.shared.config.idle_timeout;
        let mut left = (self.given.get() + idle_timeout).saturating_duration_since(windlass::now());
        if left.is_zero() {
            self.timed_out();
            left = idle_timeout;
        }
        if !matches!(self.phase.get(), Phase::Lingering | Phase::Closed) {
            let again = upgraded(&Rc::downgrade(self), Connection::look_at_time);
            self.timer.set(set_timeout(left, again));
        }
    }

    fn timed_out(self: &Rc<Self>) {
        match self.phase.get() {
            Phase::Input if self.has_half_a_request() => self.refuse_half(Status::TIMEOUT),
            // Slow work is our own affair; the client gets its time when the answer is out.
            Phase::Working => {}
            // However slow it is, a client that takes some of its answer is there.
            Phase::Draining => {
                let left = untaken(&self.stream);
                if left < self.untaken.replace(left) {
                    self.give_time();
                } else {
                    self.close();
                }
            }
            Phase::Input | Phase::Lingering | Phase::Closed => self.close(),
        }
    }

    // ---- jobs ----

    fn work(self: &Rc<Self>, job: Route, reply: Reply) {
        self.begun.set(false);
        let begin_answer = upgraded(&Rc::downgrade(self), |connection| connection.begin_answer());
        self.stream.on_read_closed(begin_answer);
        let this = Rc::clone(self);
        let token = CancelToken::new();
        match job {
            Route::Slow(Place::Worker, n) => {
                let sum = Sum { n, token: token.clone() };
                let summed = self.working(self.shared.workers.run(sum), token);
                summed.on_complete(move |result| this.summed(n, result, reply));
            }
            Route::Slow(_, n) => {
                let sum = Sum { n, token: token.clone() };
                let summed = self.working(queue_work(|| sum.compute()), token);
                summed.on_complete(move |result| this.summed(n, result, reply));
            }
            Route::File(path) => {
                let root = Arc::clone(&self.shared.root);
                let content_type = files::content_type(&path);
                let opened = self.working(queue_work(move || files::open(&root, &path)), token);
                opened.on_complete(move |opened| match opened {
                    Ok(Ok(opened)) => this.send_file(opened, content_type, reply),
                    Ok(Err(error)) => match files::status_of(&error) {
                        Status::INTERNAL_ERROR => this.failed(&error, reply),
                        status => this.worked(&Response::error(status), reply),
                    },
                    Err(error) => this.failed(&error, reply),
                });
            }
            Route::Answer(_) | Route::Metrics | Route::Stalls => unreachable!("these need no job"),
        }
    }

    /// Waits for `job`, and cancels it when the client has gone.
    fn working<T: 'static>(self: &Rc<Self>, job: Pending<T>, token: CancelToken) -> Pending<T> {
        self.stop_reading();
        self.phase.set(Phase::Working);
        self.job.replace(Some(Job { canceller: job.canceller(), token }));
        let close = upgraded(&Rc::downgrade(self), |connection| connection.close());
        self.stream.on_hang_up(close);
        job
    }

    /// The client sends no more: has it left, or does it wait for its answer?
    fn begin_answer(&self) {
        if self.phase.get() == Phase::Working && !self.begun.replace(true) {
            // Whether this arrives is told by a hang-up.
            drop(self.stream.write(BEGINNING.as_bytes()));
        }
    }

    /// The job is done: takes from `answer` what went out before.
    fn continue_answer(&self, answer: &mut Vec<u8>) {
        self.job.take();
        if self.begun.replace(true) {
            answer.drain(..BEGINNING.len());
        }
    }

    fn summed(
        self: &Rc<Self>,
        n: u32,
        result: Result<Option<u64>, impl std::error::Error>,
        reply: Reply,
    ) {
        match result {
            Ok(Some(result)) => self.worked(&sum(n, result), reply),
            // Stopped half-way, which happens to nobody who waits.
            Ok(None) => {}
            Err(error) => self.failed(&error, reply),
        }
    }

    /// Writes the answer that a job has found.
    fn worked(self: &Rc<Self>, response: &Response, mut reply: Reply) {
        reply.keep_alive &= !self.shared.is_stopping();
        let mut out = Vec::new();
        response.write(&mut out, self.date(), reply.is_head, reply.keep_alive);
        self.continue_answer(&mut out);
        self.send(&out, if reply.keep_alive { Next::Decode } else { Next::Linger });
    }

    fn failed(self: &Rc<Self>, error: &dyn std::error::Error, reply: Reply) {
        if self.phase.get() == Phase::Closed {
            return; // It was cancelled, for the client has left.
        }
        log::error!("a job failed: {error}");
        self.worked(&Response::error(Status::INTERNAL_ERROR), reply);
    }

    fn send_file(self: &Rc<Self>, opened: Opened, content_type: &str, mut reply: Reply) {
        let Opened { file, len, first } = opened;
        // Where the length is not known, the end of the connection is the end of the file.
        reply.keep_alive &= !self.shared.is_stopping() && len.is_some();
        let mut out = Vec::new();
        write_head(&mut out, self.date(), Status::OK, content_type, len, reply.keep_alive);
        self.continue_answer(&mut out);
        if !reply.is_head {
            out.extend_from_slice(&first);
        }
        let offset = first.len() as u64;
        self.send_chunk(
            out,
            Sending {
                file: Arc::new(file),
                offset,
                left: if reply.is_head { Some(0) } else { len.map(|len| len - offset) },
                keep_alive: reply.keep_alive,
            },
        );
    }

    /// Writes a part of a file, which is not copied however slow the client, and then the rest.
    fn send_chunk(self: &Rc<Self>, chunk: Vec<u8>, sending: Sending) {
        if self.phase.get() == Phase::Closed {
            return;
        }
        let write = self.stream.write_owned(chunk);
        self.go_on_after(write, Next::File(sending));
    }

    /// Reads the next chunk of a file on the pool, and writes it. The one after that is not read
    /// before this one is out, however fast the disk and however slow the client.
    fn send_rest(self: &Rc<Self>, mut sending: Sending) {
        if sending.left == Some(0) {
            return self.go_on(if sending.keep_alive { Next::Decode } else { Next::Linger });
        }
        let this = Rc::clone(self);
        let file = Arc::clone(&sending.file);
        let (offset, left) = (sending.offset, sending.left);
        let read = queue_work(move || files::read_next(&file, offset, left));
        self.working(read, CancelToken::new()).on_complete(move |read| {
            this.job.take();
            let error: Box<dyn std::error::Error> = match read {
                Ok(Ok((chunk, left))) => {
                    sending.offset += chunk.len() as u64;
                    sending.left = left;
                    return this.send_chunk(chunk, sending);
                }
                Ok(Err(error)) => Box::<io::Error>::new(error),
                Err(error) => Box::new(error),
            };
            if this.phase.get() != Phase::Closed {
                // The head has gone out. Only a broken connection tells the client the truth.
                log::error!("a file could not be read to its end: {error}");
                if let Err(error) = this.stream.close_reset() {
                    log::debug!("a connection could not be reset: {error}");
                }
                this.close();
            }
        });
    }
}

/// How much of what was written the client has not taken, in bytes: those that wait here, and those
/// that the system keeps for it, which may be millions.
#[allow(unsafe_code, reason = "no safe call tells this number")]
fn untaken(stream: &TcpStream) -> usize {
    let mut kept: libc::c_int = 0;
    // SAFETY: the call writes one number of this type. Whatever the descriptor is, it does no more.
    let asked = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut kept) };
    let kept = if asked == 0 { usize::try_from(kept).unwrap_or(0) } else { 0 };
    stream.write_queue_size() + kept
}

/// A callback that calls `method` if the connection is still there. Timers hold no connection, so
/// that one which the client has closed is freed at once.
fn upgraded(weak: &Weak<Connection>, method: fn(&Rc<Connection>)) -> impl Fn() + 'static {
    let weak = weak.clone();
    move || {
        if let Some(connection) = weak.upgrade() {
            method(&connection);
        }
    }
}

fn sum(n: u32, result: u64) -> Response {
    Response::text(format!("fib({n}) = {result}\n"))
}
