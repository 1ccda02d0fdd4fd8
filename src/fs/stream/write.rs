//! A file that is written in chunks, and says when to wait.
//!
//! One write is under way at a time. It takes everything that has queued up meanwhile with it, so
//! many small chunks become few calls.
//!
//! Who owns it: its names, and the write that is under way. So it lives until everything has gone
//! also when nobody has it any more, and then its file closes. What it promises is kept by the
//! write that is under way, which tells them when the loop ends first.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::HIGH_WATER_MARK;
use crate::error;
use crate::fs::error::duplicate;
use crate::fs::job::KIND;
use crate::fs::{File, OpenOptions};
use crate::promise::Promise;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::stream::{FailAt, Failing};
use crate::sys;
use crate::task::waiters::{Place, Waiters};
use crate::trace::label::here;

/// Where a stream begins to write, and how much may wait in memory.
///
/// # Examples
/// ```
/// use windlass::fs::{self, stream::WriteOptions};
///
/// let path = std::env::temp_dir().join("windlass-doc-write-options");
/// windlass::block_on(async {
///     let stream = WriteOptions::new().high_water_mark(4).create(&path);
///     assert!(stream.write("one"), "there is room");
///     assert!(!stream.write("two"), "wait now");
///     stream.drain().await?;
///     stream.finish().await?;
///     fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The first byte; none for the file's own offset.
    start: Option<u64>,
    /// The bytes that may wait before `write` says to wait.
    high_water_mark: usize,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { start: None, high_water_mark: HIGH_WATER_MARK }
    }
}

impl WriteOptions {
    /// At the file's offset, and 64 KiB.
    pub fn new() -> WriteOptions {
        WriteOptions::default()
    }

    /// Begins so many bytes from the start of the file, and leaves the file's own offset alone.
    pub fn start(mut self, offset: u64) -> Self {
        self.start = Some(offset);
        self
    }

    /// Sets how many bytes may wait in memory before [`WriteStream::write`] says so. Zero counts as
    /// one.
    pub fn high_water_mark(mut self, bytes: usize) -> Self {
        self.high_water_mark = bytes.max(1);
        self
    }

    /// A stream to the file at `path`, which is made, or emptied.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn create(self, path: impl AsRef<Path>) -> WriteStream {
        self.open(path, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// A stream to the file at `path`, opened as told.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self, path: impl AsRef<Path>, options: &OpenOptions) -> WriteStream {
        let state = current::expect("WriteStream::open");
        let writer = Writer::new(&state, here(), self);
        let flight = Flight::start(&writer);
        options.open(path).pass_to(move |opened| match opened {
            Ok(file) => {
                flight.0.file.replace(Some(file));
                flight.land(Ok(()));
            }
            Err(error) => flight.land(Err(error)),
        });
        WriteStream { writer }
    }

    /// A stream to an open file.
    #[track_caller]
    pub fn stream(self, file: File) -> WriteStream {
        let writer = Writer::new(&file.queue.state, here(), self);
        writer.file.replace(Some(file));
        WriteStream { writer }
    }
}

/// What is behind a [`WriteStream`] and its clones.
struct Writer {
    /// The loop that it belongs to.
    state: Rc<State>,
    /// The line that made the stream.
    location: &'static Location<'static>,
    /// Absent before it is open, and after the finish, an error or a close.
    file: RefCell<Option<File>>,
    /// Where the next write goes, if not to the file's own offset.
    position: Cell<Option<u64>>,
    /// From this many queued bytes on there is no room.
    high_water_mark: usize,
    /// Chunks that wait for the write that is under way.
    queue: RefCell<Vec<Vec<u8>>>,
    /// Bytes in `queue` and in the write that is under way.
    queued: Cell<usize>,
    /// Bytes that the system has taken.
    written: Cell<u64>,
    /// The file is being opened, written or closed.
    busy: Cell<bool>,
    /// Nothing more may be written: finished, closed or broken.
    ended: Cell<bool>,
    /// Ended by a close, which throws away what waits.
    closed: Cell<bool>,
    /// What broke it.
    error: RefCell<Option<io::Error>>,
    /// Somebody was told of the error.
    told: Cell<bool>,
    /// Those who wait until fewer bytes than this are queued. There are some only while the stream
    /// is busy.
    drains: RefCell<Vec<(usize, Promise<()>)>>,
    /// The finish that waits for the writes before it. There only while the stream is busy.
    finish: RefCell<Option<Promise<()>>>,
    /// Those who wait to hear that it has failed or was closed.
    watchers: Waiters,
}

impl Writer {
    fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
        options: WriteOptions,
    ) -> Rc<Writer> {
        Rc::new(Writer {
            state: state.clone(),
            location,
            file: RefCell::new(None),
            position: Cell::new(options.start),
            high_water_mark: options.high_water_mark,
            queue: RefCell::default(),
            queued: Cell::new(0),
            written: Cell::new(0),
            busy: Cell::new(false),
            ended: Cell::new(false),
            closed: Cell::new(false),
            error: RefCell::default(),
            told: Cell::new(false),
            drains: RefCell::default(),
            finish: RefCell::default(),
            watchers: Waiters::default(),
        })
    }

    fn has_room(&self) -> bool {
        self.queued.get() < self.high_water_mark
    }

    fn write(self: &Rc<Self>, chunk: Vec<u8>) -> bool {
        if self.ended.get() || !self.state.is_open() {
            log::debug!("a chunk of {} bytes came after a stream's end", chunk.len());
            return false;
        }
        if !chunk.is_empty() {
            self.queued.set(self.queued.get() + chunk.len());
            self.queue.borrow_mut().push(chunk);
            self.go_on();
        }
        self.has_room()
    }

    /// Does what is next: writes what waits, or closes the file after the last.
    fn go_on(self: &Rc<Self>) {
        if self.busy.get() {
            return;
        }
        let chunks = self.queue.take();
        if !chunks.is_empty() {
            return self.write_out(chunks);
        }
        if self.finish.borrow().is_some() {
            self.close_file();
        } else if self.ended.get() {
            self.let_go(); // Closed while the file was being opened.
        }
    }

    fn write_out(self: &Rc<Self>, chunks: Vec<Vec<u8>>) {
        let file = self.file.borrow().clone().expect("an open stream has its file");
        let flight = Flight::start(self);
        file.write_to(chunks, self.position.get(), self.location).pass_to(move |result| {
            let writer = &flight.0;
            if let Ok(count) = result {
                writer.position.set(writer.position.get().map(|position| position + count as u64));
                // Nothing is left of it if the stream was closed meanwhile.
                writer.queued.set(writer.queued.get().saturating_sub(count));
                writer.written.set(writer.written.get() + count as u64);
            }
            flight.land(result.map(|_| ()));
        });
    }

    fn close_file(self: &Rc<Self>) {
        let Some(file) = self.file.take() else { return };
        let flight = Flight::start(self);
        file.queue.close(self.location).pass_to(move |result| {
            let finish = flight.0.finish.take();
            let writer = flight.0.clone();
            if let Some(finish) = finish {
                finish.fulfil_later(result);
                writer.told.set(true);
            }
            flight.land(Ok(()));
        });
    }

    /// The write, the opening or the closing that was under way is done.
    fn landed(self: &Rc<Self>, result: io::Result<()>) {
        match result {
            Ok(()) => self.go_on(),
            Err(error) => self.break_off(error),
        }
        let (ready, rest): (Vec<_>, Vec<_>) =
            self.drains.take().into_iter().partition(|(below, _)| self.queued.get() < *below);
        self.drains.replace(rest);
        for (_, drain) in ready {
            drain.fulfil_later(self.failure().map_or(Ok(()), Err));
        }
    }

    /// Nothing more can be written: what waits is dropped, and everybody is told.
    fn break_off(&self, error: io::Error) {
        self.ended.set(true);
        self.error.replace(Some(error));
        self.let_go();
        if let Some(finish) = self.finish.take() {
            finish.fulfil_later(self.failure().map_or(Ok(()), Err));
        }
        self.watchers.wake();
    }

    /// Drops what waits, and the file.
    fn let_go(&self) {
        let held = (self.queue.take(), self.file.take());
        self.queued.set(0);
        drop(held);
    }

    /// The error that broke the stream, for one who asks.
    fn failure(&self) -> Option<io::Error> {
        let error = self.error.borrow().as_ref().map(duplicate);
        if error.is_some() {
            self.told.set(true);
        }
        error
    }

    /// Why what was given may be lost, if so.
    fn loss(&self) -> Option<io::Error> {
        if let Some(error) = self.failure() {
            Some(error)
        } else if !self.state.is_open() {
            Some(error::shut_down())
        } else {
            self.closed.get().then(|| io::Error::from_raw_os_error(sys::EBADF))
        }
    }

    /// Why nothing can be written any more, if so.
    fn refusal(&self) -> Option<io::Error> {
        let text = "the stream was finished before";
        let finished = || self.ended.get().then(|| io::Error::new(io::ErrorKind::BrokenPipe, text));
        self.loss().or_else(finished)
    }

    /// Room on a stream that has ended would be a lie: what is written there is dropped.
    fn drain(self: &Rc<Self>, location: &'static Location<'static>) -> Request<io::Result<()>> {
        if let Some(error) = self.refusal() {
            return Request::failed_later(&self.state, KIND, location, error);
        }
        self.wait_until_below(self.high_water_mark, location)
    }

    /// Waits until all that was given is with the system. That it was finished meanwhile is no
    /// loss.
    fn flush(self: &Rc<Self>, location: &'static Location<'static>) -> Request<io::Result<()>> {
        match self.loss() {
            Some(error) => Request::failed_later(&self.state, KIND, location, error),
            None => self.wait_until_below(1, location),
        }
    }

    fn wait_until_below(
        self: &Rc<Self>,
        bytes: usize,
        location: &'static Location<'static>,
    ) -> Request<io::Result<()>> {
        if self.queued.get() < bytes {
            return Request::finished(&self.state, KIND, Ok(()));
        }
        let (promise, request) = Promise::new(&self.state, KIND, location);
        self.drains.borrow_mut().push((bytes, promise));
        request
    }

    fn finish(self: &Rc<Self>, location: &'static Location<'static>) -> Request<io::Result<()>> {
        if let Some(error) = self.refusal() {
            return Request::failed_later(&self.state, KIND, location, error);
        }
        self.ended.set(true);
        let (promise, request) = Promise::new(&self.state, KIND, location);
        self.finish.replace(Some(promise));
        self.go_on();
        request
    }

    fn close(&self) {
        if self.ended.replace(true) && self.finish.borrow().is_none() {
            return;
        }
        self.closed.set(true);
        self.let_go();
        let drains = self.drains.take().into_iter().map(|(_, promise)| promise);
        for promise in drains.chain(self.finish.take()) {
            promise.fulfil_later(Err(error::cancelled()));
        }
        self.watchers.wake();
    }
}

impl FailAt for Writer {
    fn poll_failed_at(&self, place: &Place, cx: &Context<'_>) -> Poll<io::Error> {
        match self.loss() {
            Some(error) => Poll::Ready(error),
            None => {
                self.watchers.wait(place, cx);
                Poll::Pending
            }
        }
    }

    fn leave_failed(&self, place: &Place) {
        self.watchers.leave(place);
    }
}

/// Holds the stream while its file works for it. When the loop ends first, those who wait are told.
struct Flight(Rc<Writer>);

impl Flight {
    fn start(writer: &Rc<Writer>) -> Flight {
        writer.busy.set(true);
        Flight(writer.clone())
    }

    fn land(self, result: io::Result<()>) {
        self.0.busy.set(false);
        self.0.landed(result);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.0.state.is_open() {
            let waiting = (self.0.drains.take(), self.0.finish.take());
            drop(waiting);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(error) = self.error.take()
            && !self.told.get()
        {
            log::warn!("a file stream failed and nobody asked: {error}");
        }
    }
}

/// A file that is written in chunks.
///
/// [`write`](WriteStream::write) takes a chunk and says whether there is room for more; if not,
/// wait for [`drain`](WriteStream::drain). [`finish`](WriteStream::finish) writes what is left and
/// closes the file. A stream whose last name is dropped writes what is left and closes too, but
/// nobody hears how that went; only [`close`](WriteStream::close) throws away what waits.
///
/// `Clone`: a clone is another name for the same stream.
///
/// # Ordering
/// Chunks are written in the order given. Chunks that wait together go out with one call.
///
/// # Liveness
/// A stream keeps the loop alive while it has something to write, and while its file is opened or
/// closed.
///
/// # Errors
/// The first error, of the opening or a write, ends the stream: what waits is dropped, `write`
/// returns false, and `drain` and `finish` give the error, also to those who ask later. One that
/// nobody asks for is logged.
///
/// # Examples
/// ```
/// use windlass::fs::{self, stream::WriteStream};
///
/// let path = std::env::temp_dir().join("windlass-doc-write-stream");
/// windlass::block_on(async {
///     let stream = WriteStream::create(&path);
///     for number in 0..10_000 {
///         if !stream.write(format!("{number}\n")) {
///             stream.drain().await?;
///         }
///     }
///     stream.finish().await?;
///     assert_eq!(fs::read_to_string(&path).await?.lines().count(), 10_000);
///     fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct WriteStream {
    /// Shared by all names of the stream.
    writer: Rc<Writer>,
}

impl WriteStream {
    /// A stream to the file at `path`, which is made, or emptied. An error of the opening is that
    /// of the first `drain` or `finish`.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> WriteStream {
        WriteOptions::new().create(path)
    }

    /// A stream to the end of the file at `path`, which is made if it is not there. Otherwise as
    /// [`create`](WriteStream::create).
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn append(path: impl AsRef<Path>) -> WriteStream {
        WriteOptions::new().open(path, OpenOptions::new().append(true).create(true))
    }

    /// A stream to an open file, from its offset on. The file may be a pipe or a terminal too; a
    /// write that waits then occupies a pool thread.
    #[track_caller]
    pub fn new(file: File) -> WriteStream {
        WriteOptions::new().stream(file)
    }

    /// Takes a chunk, and says whether to go on: false when as many bytes wait as the high-water
    /// mark says. The chunk is taken in any case, unless the stream has ended: then it is dropped,
    /// and [`drain`](WriteStream::drain) says why.
    pub fn write(&self, chunk: impl Into<Vec<u8>>) -> bool {
        self.writer.write(chunk.into())
    }

    /// Completes when there is room for more: at once if there is.
    ///
    /// # Errors
    /// What broke the stream; a cancelled error when it is closed first; `BrokenPipe` when it was
    /// finished before, `EBADF` when it was closed before.
    #[track_caller]
    pub fn drain(&self) -> Request<io::Result<()>> {
        self.writer.drain(here())
    }

    /// Completes when all that was given has been written.
    #[track_caller]
    pub(super) fn flush(&self) -> Request<io::Result<()>> {
        self.writer.flush(here())
    }

    /// Ready when the stream has failed or was closed.
    pub(super) fn failing(&self) -> Failing<'_> {
        Failing::new(&*self.writer)
    }

    /// Writes what is left and closes the file. Nothing may be written from now on.
    ///
    /// # Errors
    /// What broke the stream, also what the system says when the file is closed; a cancelled error
    /// when the stream is closed first; `BrokenPipe` when it was finished before, `EBADF` when it
    /// was closed before.
    #[track_caller]
    pub fn finish(&self) -> Request<io::Result<()>> {
        self.writer.finish(here())
    }

    /// Ends the stream now. What waits is dropped, `drain` and `finish` that wait complete with a
    /// cancelled error, and the file is let go after the write that is under way. Closing again
    /// does nothing.
    pub fn close(&self) {
        self.writer.close();
    }

    /// Bytes that were given to [`write`](WriteStream::write) and are not yet with the system.
    pub fn queued(&self) -> usize {
        self.writer.queued.get()
    }

    /// Bytes that the system has taken.
    pub fn written(&self) -> u64 {
        self.writer.written.get()
    }
}

impl fmt::Debug for WriteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteStream")
            .field("queued", &self.queued())
            .field("written", &self.written())
            .field("ended", &self.writer.ended.get())
            .finish_non_exhaustive()
    }
}
