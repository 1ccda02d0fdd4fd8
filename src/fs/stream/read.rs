//! A file, chunk by chunk, no faster than they are taken.
//!
//! One read is under way at a time. Its chunk goes to the buffer, and while the buffer is below the
//! high-water mark and somebody wants data the next read is started, before the consumer is called:
//! so the disk works while the consumer does.
//!
//! Who owns it: the loop's table, from the making to the end, an error or a close, so that teardown
//! finds the callback. A [`ReadStream`] is a counted name. When the count comes to zero while the
//! stream does not flow, nobody can make it flow again, and it closes by itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::HIGH_WATER_MARK;
use super::pipe::{self, Sink};
use crate::callback;
use crate::callback::slot::Registered;
use crate::callback::slot::Slot;
use crate::error;
use crate::fs::File;
use crate::queue::closure::Closure;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::state::registration::{Handle, Registration};
use crate::stream::failed_before;
use crate::sys;
use crate::task::waiters::{Place, Waiters};
use crate::trace::label::here;
use crate::trace::origin::Origin;

/// Its name in reports.
const KIND: &str = "file read stream";

/// A callback that gets the chunks.
type OnData = dyn FnMut(&ReadStream, io::Result<Vec<u8>>);

/// Which part of a file a stream reads, and how much of it may be in memory.
///
/// # Examples
/// ```
/// use windlass::fs::stream::ReadOptions;
///
/// windlass::block_on(async {
///     let stream = ReadOptions::new().start(1).len(7).open("Cargo.toml");
///     assert_eq!(stream.next().await?.as_deref(), Some(&b"package"[..]));
///     assert_eq!(stream.next().await?, None);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// The first byte; none for the file's own offset.
    start: Option<u64>,
    /// The most bytes.
    len: u64,
    /// The most bytes that may wait before reading stops.
    high_water_mark: usize,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions { start: None, len: u64::MAX, high_water_mark: HIGH_WATER_MARK }
    }
}

impl ReadOptions {
    /// The whole of a file, and 64 KiB.
    pub fn new() -> ReadOptions {
        ReadOptions::default()
    }

    /// Begins so many bytes from the start of the file, and leaves the file's own offset alone.
    /// Without this the stream reads at the offset, and moves it.
    pub fn start(mut self, offset: u64) -> Self {
        self.start = Some(offset);
        self
    }

    /// Ends after so many bytes, if the file does not end before.
    pub fn len(mut self, bytes: u64) -> Self {
        self.len = bytes;
        self
    }

    /// Sets how many bytes may wait in memory before the stream stops reading. A chunk is at most
    /// that long. Zero counts as one.
    pub fn high_water_mark(mut self, bytes: usize) -> Self {
        self.high_water_mark = bytes.max(1);
        self
    }

    /// A stream of the file at `path`, as [`ReadStream::open`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(self, path: impl AsRef<Path>) -> ReadStream {
        let state = current::expect("ReadStream::open");
        let stream = Reader::make(&state, here(), self);
        let reader = stream.reader.clone();
        reader.busy.set(true);
        File::open(path).pass_to(move |opened| reader.opened(opened));
        stream
    }

    /// A stream of an open file, as [`ReadStream::new`].
    #[track_caller]
    pub fn stream(self, file: File) -> ReadStream {
        let stream = Reader::make(&file.queue.state, here(), self);
        if stream.reader.registration.is_open() {
            stream.reader.file.replace(Some(file));
        }
        stream
    }
}

/// How far a read stream has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// More may come.
    Open,
    /// The end was told: everything has come.
    Ended,
    /// An error was told, in place of the rest.
    Failed,
    /// It was closed, and the rest thrown away.
    Closed,
}

/// What is behind a [`ReadStream`] and its clones.
pub(super) struct Reader {
    /// Open until the stream has ended. Active while it flows.
    registration: Registration,
    /// The line that made the stream.
    location: &'static Location<'static>,
    /// Absent before it is open, and after the end, an error or a close.
    file: RefCell<Option<File>>,
    /// Where the next read begins, if not at the file's own offset.
    position: Cell<Option<u64>>,
    /// Bytes that may still be read.
    left: Cell<u64>,
    /// From this many bytes in the buffer on nothing is read.
    high_water_mark: usize,
    /// Chunks that were read and not taken, in order.
    buffer: RefCell<VecDeque<Vec<u8>>>,
    /// Bytes in `buffer`.
    buffered: Cell<usize>,
    /// The file is being opened, or a read is under way.
    busy: Cell<bool>,
    /// What comes after the buffer: the end, or an error. Taken when it is told.
    last: Cell<Option<io::Result<()>>>,
    /// How far the stream has come.
    stage: Cell<Stage>,
    /// The callback gets what comes.
    flowing: Cell<bool>,
    /// A round of callbacks waits in the pending phase.
    round_queued: Cell<bool>,
    /// A callback is registered, and perhaps just being called.
    has_callback: Cell<bool>,
    /// The callback that gets what comes.
    on_data: Slot<OnData>,
    /// The tasks that wait for a chunk.
    readers: Waiters,
    /// How many [`ReadStream`]s there are for this stream.
    names: Cell<u32>,
}

impl Reader {
    fn make(
        state: &Rc<State>,
        location: &'static Location<'static>,
        options: ReadOptions,
    ) -> ReadStream {
        let reader = Rc::new(Reader {
            registration: Registration::new(state.clone()),
            location,
            file: RefCell::new(None),
            position: Cell::new(options.start),
            left: Cell::new(options.len),
            high_water_mark: options.high_water_mark,
            buffer: RefCell::default(),
            buffered: Cell::new(0),
            busy: Cell::new(false),
            last: Cell::new((options.len == 0).then_some(Ok(()))),
            stage: Cell::new(Stage::Open),
            flowing: Cell::new(false),
            round_queued: Cell::new(false),
            has_callback: Cell::new(false),
            on_data: Slot::default(),
            readers: Waiters::default(),
            names: Cell::new(0),
        });
        if state.is_open() {
            reader.registration.open(reader.clone(), location, false);
        }
        ReadStream::of(reader)
    }

    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Whether the stream was closed, or has told its end.
    fn is_closed(&self) -> bool {
        !self.registration.is_open()
    }

    fn opened(self: &Rc<Self>, opened: io::Result<File>) {
        self.busy.set(false);
        if self.is_closed() {
            return drop(opened);
        }
        match opened {
            Ok(file) => {
                self.file.replace(Some(file));
                if self.wants_data() {
                    self.read_ahead();
                }
            }
            Err(error) => self.finish(Err(error)),
        }
        self.notify();
    }

    fn wants_data(&self) -> bool {
        self.flowing.get() || !self.readers.is_empty()
    }

    /// Starts a read unless one is under way, the buffer is full or nothing is left.
    fn read_ahead(self: &Rc<Self>) {
        if self.busy.get() || self.buffered.get() >= self.high_water_mark {
            return;
        }
        // None before it is open, and after the last read.
        let Some(file) = self.file.borrow().clone() else { return };
        let len = self.high_water_mark.min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        self.busy.set(true);
        let reader = self.clone();
        file.read_from(self.position.get(), len, self.location)
            .pass_to(move |chunk| reader.arrived(chunk));
    }

    fn arrived(self: &Rc<Self>, chunk: io::Result<Vec<u8>>) {
        self.busy.set(false);
        if self.is_closed() {
            return;
        }
        match chunk {
            Ok(chunk) if chunk.is_empty() => self.finish(Ok(())),
            Ok(chunk) => self.keep(chunk),
            Err(error) => self.finish(Err(error)),
        }
        if self.wants_data() {
            self.read_ahead();
        }
        self.notify();
    }

    fn keep(&self, chunk: Vec<u8>) {
        let len = chunk.len();
        self.position.set(self.position.get().map(|position| position + len as u64));
        self.left.set(self.left.get() - len as u64);
        self.buffered.set(self.buffered.get() + len);
        self.buffer.borrow_mut().push_back(chunk);
        if self.left.get() == 0 {
            self.finish(Ok(()));
        }
    }

    /// Nothing more is read. The file closes, unless the user has another name for it.
    fn finish(&self, last: io::Result<()>) {
        self.last.set(Some(last));
        let file = self.file.take();
        drop(file);
    }

    /// Tells the consumer that something is there.
    fn notify(self: &Rc<Self>) {
        self.readers.wake();
        self.round();
    }

    /// The next chunk, or once what comes after the last one.
    fn take(&self) -> Option<io::Result<Option<Vec<u8>>>> {
        let chunk = self.buffer.borrow_mut().pop_front();
        match chunk {
            Some(chunk) => {
                self.buffered.set(self.buffered.get() - chunk.len());
                Some(Ok(Some(chunk)))
            }
            None => self.last.take().map(|last| last.map(|()| None)),
        }
    }

    /// Calls back with what there is, until the stream is paused.
    fn round(self: &Rc<Self>) {
        // A panic leaves the round; what is left in the buffer must not be forgotten.
        let again = RoundAgain(self);
        while self.flowing.get() && !self.state().is_halted() {
            let Some(next) = self.take() else { break };
            self.read_ahead();
            self.deliver(next);
        }
        std::mem::forget(again);
    }

    fn queue_round(self: &Rc<Self>) {
        if self.state().is_open() && !self.round_queued.replace(true) {
            let reader = self.clone();
            self.state().push_pending(Closure::new(move || {
                reader.round_queued.set(false);
                reader.round();
            }));
        }
    }

    /// Gives the callback a chunk. The end and an error are the last that it gets.
    fn deliver(self: &Rc<Self>, next: io::Result<Option<Vec<u8>>>) {
        if !matches!(next, Ok(Some(_))) {
            // Taken out first, for the end of the stream would drop it uncalled.
            let origin = self.on_data.origin(KIND);
            let on_data = self.on_data.clear();
            self.told(&next);
            if let Some(f) = on_data {
                self.call_last(f, origin, next.map(Option::unwrap_or_default));
            }
            return;
        }
        let stream = ReadStream::of(self.clone());
        let chunk = next.map(Option::unwrap_or_default);
        let state = self.state().clone();
        let outcome = self.on_data.invoke(&state, KIND, |f| f(&stream, chunk));
        callback::settle_and_drop(&state, outcome, stream);
    }

    /// Calls a callback for the last time.
    fn call_last(self: &Rc<Self>, mut f: Box<OnData>, origin: Origin, chunk: io::Result<Vec<u8>>) {
        let stream = ReadStream::of(self.clone());
        callback::call(self.state(), origin, move || f(&stream, chunk));
    }

    #[track_caller]
    fn start(self: &Rc<Self>, f: Box<OnData>) {
        if !self.state().is_open() {
            return;
        }
        if self.is_closed() {
            // A callback, so not from here.
            let (reader, origin) = (self.clone(), Registered::here().origin(KIND));
            return self.state().push_pending(Closure::new(move || {
                reader.call_last(f, origin, reader.over().map(|()| Vec::new()));
            }));
        }
        self.has_callback.set(true);
        let before = self.on_data.set(f);
        self.set_flowing(true);
        drop(before);
    }

    fn set_flowing(self: &Rc<Self>, on: bool) {
        if self.is_closed() || !self.has_callback.get() {
            return;
        }
        self.flowing.set(on);
        self.registration.set_active(on);
        if on {
            self.read_ahead();
            if !self.buffer.borrow().is_empty() || self.has_last() {
                self.queue_round();
            }
        }
    }

    fn has_last(&self) -> bool {
        let last = self.last.take();
        let has = last.is_some();
        self.last.set(last);
        has
    }

    /// Takes the next chunk, or waits for it at this place.
    fn poll_next(
        self: &Rc<Self>,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Vec<u8>>>> {
        let polled = self.poll_take();
        if polled.is_pending() {
            self.readers.wait(place, cx);
            self.read_ahead();
        } else {
            self.readers.leave(place);
        }
        polled
    }

    fn poll_take(self: &Rc<Self>) -> Poll<io::Result<Option<Vec<u8>>>> {
        if self.is_closed() {
            return Poll::Ready(self.over().map(|()| None));
        }
        if let Some(next) = self.take() {
            match next {
                Ok(Some(_)) => self.read_ahead(),
                _ => self.told(&next),
            }
            return Poll::Ready(next);
        }
        Poll::Pending
    }

    /// Ends the stream after its last chunk, with what is told last.
    fn told(&self, last: &io::Result<Option<Vec<u8>>>) {
        self.close(if last.is_ok() { Stage::Ended } else { Stage::Failed });
    }

    /// What is told of a stream that is over. An error was told already, which is enough.
    fn over(&self) -> io::Result<()> {
        match self.stage.get() {
            Stage::Closed => Err(io::Error::from_raw_os_error(sys::EBADF)),
            Stage::Open => Err(error::shut_down()),
            Stage::Ended | Stage::Failed => Ok(()),
        }
    }

    /// Whether everything has come, for one who promises that.
    pub(super) fn end(&self) -> io::Result<()> {
        match self.stage.get() {
            Stage::Failed => Err(failed_before()),
            _ => self.over(),
        }
    }

    /// Ends the stream. A read that is under way completes, and nobody hears of it.
    fn close(&self, stage: Stage) {
        self.stage.set(stage);
        let entry = self.registration.close();
        self.flowing.set(false);
        self.buffered.set(0);
        let held = (self.on_data.clear(), self.buffer.take(), self.file.take(), self.last.take());
        self.readers.wake();
        // Last: what the callback captured may call back into the loop.
        drop((held, entry));
    }
}

/// Has a round queued if a panic passes by.
struct RoundAgain<'a>(&'a Rc<Reader>);

impl Drop for RoundAgain<'_> {
    fn drop(&mut self) {
        self.0.queue_round();
    }
}

impl Handle for Reader {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.flowing.set(false);
        callback::drop_quietly(self.on_data.clear());
        drop((self.buffer.take(), self.file.take()));
        self.readers.wake();
    }
}

/// A file that is read in chunks, no faster than they are taken.
///
/// Give it a callback with [`on_data`](ReadStream::on_data), or await [`next`](ReadStream::next),
/// or [`pipe`](ReadStream::pipe) it. Nothing is read before. While the consumer has a chunk the
/// stream reads ahead, until as many bytes wait as its high-water mark says. At the end, after an
/// error and when it is closed, it lets go of its file.
///
/// `Clone`: a clone is another name for the same stream. While it flows to a callback it belongs to
/// the loop. Otherwise it closes when the last name is dropped.
///
/// # Liveness
/// A stream keeps the loop alive while it flows, and while a read is under way. A paused one does
/// not.
///
/// # Errors
/// That of the opening and those of reading go the same way: to the callback or the one who awaits,
/// after the chunks before them, once. Then the stream is at its end.
///
/// # Examples
/// ```
/// use windlass::fs::stream::ReadStream;
///
/// windlass::run(|| {
///     let mut bytes = 0;
///     ReadStream::open("Cargo.toml").on_data(move |_, chunk| match chunk {
///         Ok(chunk) if chunk.is_empty() => println!("{bytes} bytes"),
///         Ok(chunk) => bytes += chunk.len(),
///         Err(error) => eprintln!("{error}"),
///     });
/// });
/// ```
pub struct ReadStream {
    /// Shared by all names of the stream.
    pub(super) reader: Rc<Reader>,
}

impl ReadStream {
    fn of(reader: Rc<Reader>) -> ReadStream {
        reader.names.set(reader.names.get() + 1);
        ReadStream { reader }
    }

    /// A stream of the file at `path`, from its start to its end. An error of the opening comes
    /// where the first chunk would.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> ReadStream {
        ReadOptions::new().open(path)
    }

    /// A stream of an open file, from its offset to its end. The file may be a pipe or a terminal
    /// too; each read of it then occupies a pool thread until something comes.
    #[track_caller]
    pub fn new(file: File) -> ReadStream {
        ReadOptions::new().stream(file)
    }

    /// Calls `f` with each chunk, with `Ok` of nothing once at the end, or with `Err` once. Starts
    /// the flow, and replaces the callback before.
    ///
    /// The callback runs in the poll phase, or in the pending phase for what was read before. Put
    /// on a stream that has ended, it is told the end; on one that was closed, `EBADF`.
    #[track_caller]
    pub fn on_data(&self, f: impl FnMut(&ReadStream, io::Result<Vec<u8>>) + 'static) {
        self.reader.start(Box::new(f));
    }

    /// Stops calling back at once, also from inside the callback. Reading goes on no further than
    /// the read that is under way.
    pub fn pause(&self) {
        self.reader.set_flowing(false);
    }

    /// Goes on calling back, later and not from here. Without a callback it does nothing.
    pub fn resume(&self) {
        self.reader.set_flowing(true);
    }

    /// Whether the callback gets what comes.
    pub fn is_flowing(&self) -> bool {
        self.reader.flowing.get()
    }

    /// Bytes that were read and not yet taken: at most the high-water mark and one chunk less one
    /// byte.
    pub fn buffered(&self) -> usize {
        self.reader.buffered.get()
    }

    /// The next chunk; none at the end. Dropping the future loses nothing, and those who wait
    /// beside it go on waiting. While a callback is registered, each of the two would get a part.
    ///
    /// # Errors
    /// Those of opening and reading, once; `EBADF` when the stream was [closed](ReadStream::close);
    /// a shut-down error after the end of the loop.
    pub fn next(&self) -> Next<'_> {
        Next { stream: self, place: Place::default() }
    }

    /// Takes the next chunk, or keeps the task's waker until there is one. One task can wait so: a
    /// later one takes the place of the one before. Those in [`next`](ReadStream::next) wait beside
    /// it.
    ///
    /// # Errors
    /// As [`next`](ReadStream::next).
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        self.reader.poll_next(self.reader.readers.poller(), cx)
    }

    /// Moves all that is left to a file or a socket and ends that; how many bytes. As
    /// [`pipe`](super::pipe()).
    ///
    /// # Errors
    /// As [`pipe`](super::pipe()).
    #[track_caller]
    pub fn pipe(self, sink: impl Sink + 'static) -> Request<io::Result<u64>> {
        let state = self.reader.state().clone();
        pipe::start(&state, here(), self, sink, true)
    }

    /// Ends the stream now: no callback comes any more, what waits in memory is dropped, and the
    /// file is let go. One who awaits the next chunk, or does so later, gets an error (`EBADF`),
    /// for the end would say that there was no more. A stream that has told its end stays at its
    /// end.
    pub fn close(&self) {
        if !self.reader.is_closed() {
            self.reader.close(Stage::Closed);
        }
    }
}

impl Clone for ReadStream {
    fn clone(&self) -> ReadStream {
        ReadStream::of(self.reader.clone())
    }
}

impl Drop for ReadStream {
    fn drop(&mut self) {
        let left = self.reader.names.get() - 1;
        self.reader.names.set(left);
        if left == 0 && !self.reader.flowing.get() {
            self.close();
        }
    }
}

impl fmt::Debug for ReadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadStream")
            .field("buffered", &self.buffered())
            .field("flowing", &self.is_flowing())
            .field("open", &!self.reader.is_closed())
            .finish_non_exhaustive()
    }
}

/// The wait for a chunk. Made by [`ReadStream::next`].
///
/// # Examples
/// ```
/// use windlass::fs::stream::ReadStream;
///
/// windlass::block_on(async {
///     let stream = ReadStream::open("Cargo.toml");
///     let mut length = 0;
///     while let Some(chunk) = stream.next().await? {
///         length += chunk.len();
///     }
///     assert!(length > 100);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Next<'a> {
    /// The stream.
    stream: &'a ReadStream,
    /// Its place among those who wait.
    place: Place,
}

impl Future for Next<'_> {
    type Output = io::Result<Option<Vec<u8>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.stream.reader.poll_next(&self.place, cx)
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.stream.reader.readers.leave(&self.place);
    }
}
