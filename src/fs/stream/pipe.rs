//! Everything from a source to a sink, no faster than the sink takes it.
//!
//! A task does it: it waits for a chunk, gives it to the sink, and waits until the sink takes
//! another. Its request is kept beside it, so that the request can be cancelled: that ends the
//! task.

use std::cell::Cell;
use std::future::{self, Future};
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::{ReadStream, WriteStream};
use crate::error::{self, CancelError};
use crate::fs::job::KIND;
use crate::promise::Promise;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::stream::{Readable, Writable, failed_before};
use crate::task::spawn;
use crate::trace::label::{InForce, here};

/// How much is read from a stream at a time.
const STREAM_READ: usize = 64 * 1024;

/// Where [`pipe`] takes from.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use std::io;
/// use windlass::fs::stream::{Source, WriteStream, pipe};
///
/// /// So many lines.
/// struct Lines(Cell<u32>);
///
/// impl Source for Lines {
///     async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
///         let left = self.0.get();
///         self.0.set(left.saturating_sub(1));
///         Ok((left > 0).then(|| format!("{left} left\n").into_bytes()))
///     }
/// }
///
/// let path = std::env::temp_dir().join("windlass-doc-source");
/// windlass::block_on(async {
///     pipe(Lines(Cell::new(2)), WriteStream::create(&path)).await?;
///     assert_eq!(windlass::fs::read(&path).await?, b"2 left\n1 left\n");
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), io::Error>(())
/// ```
pub trait Source {
    /// Waits for the next chunk; none at the end. A source that is closed before its end fails: the
    /// end says that there was no more. `spare` is a buffer that is the same in all calls of one
    /// pipe, for a source that needs one. When the future is dropped nothing may be lost.
    fn read_chunk(&self, spare: &mut Vec<u8>) -> impl Future<Output = io::Result<Option<Vec<u8>>>>;
}

/// Where [`pipe`] puts it.
///
/// # Examples
/// ```
/// use std::io;
/// use windlass::fs::stream::{ReadStream, Sink, pipe};
///
/// /// Takes anything, and keeps nothing.
/// struct Nowhere;
///
/// impl Sink for Nowhere {
///     async fn write_chunk(&self, _chunk: Vec<u8>) -> io::Result<()> {
///         Ok(())
///     }
///
///     async fn end(&self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// windlass::block_on(async {
///     let count = pipe(ReadStream::open("Cargo.toml"), Nowhere).await?;
///     assert!(count > 100);
///     Ok::<(), io::Error>(())
/// })?;
/// # Ok::<(), io::Error>(())
/// ```
pub trait Sink {
    /// Takes a chunk. Ready when there is room for another one. What cannot be taken any more is an
    /// error.
    fn write_chunk(&self, chunk: Vec<u8>) -> impl Future<Output = io::Result<()>>;

    /// Ready when all that was taken has gone, for [`feed`]. By default at once, for a sink that
    /// keeps nothing.
    fn flush(&self) -> impl Future<Output = io::Result<()>> {
        future::ready(Ok(()))
    }

    /// Ready when the sink has failed or was closed, with the error of a chunk that it is given
    /// then: so a pipe hears of it while its source is silent. By default never, and the next chunk
    /// tells.
    fn failed(&self) -> impl Future<Output = io::Error> {
        future::pending()
    }

    /// Sends the end. Ready when everything has gone.
    fn end(&self) -> impl Future<Output = io::Result<()>>;
}

impl Source for ReadStream {
    async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        match self.next().await? {
            None => self.reader.end().map(|()| None),
            chunk => Ok(chunk),
        }
    }
}

impl<S: Readable> Source for S {
    /// What has arrived, at most 64 KiB. What is behind a failure that somebody else was told of is
    /// no end.
    async fn read_chunk(&self, spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        spare.resize(STREAM_READ, 0);
        let count = self.read(spare).await?;
        if count == 0 && !self.is_readable() {
            return Err(failed_before());
        }
        Ok((count > 0).then(|| spare[..count].to_vec()))
    }
}

impl Sink for WriteStream {
    async fn write_chunk(&self, chunk: Vec<u8>) -> io::Result<()> {
        if self.write(chunk) { Ok(()) } else { self.drain().await }
    }

    async fn flush(&self) -> io::Result<()> {
        WriteStream::flush(self).await
    }

    fn failed(&self) -> impl Future<Output = io::Error> {
        WriteStream::failing(self)
    }

    async fn end(&self) -> io::Result<()> {
        self.finish().await
    }
}

impl<S: Writable> Sink for S {
    /// Ready when the kernel has taken the chunk.
    async fn write_chunk(&self, chunk: Vec<u8>) -> io::Result<()> {
        self.write_owned(chunk).await
    }

    fn failed(&self) -> impl Future<Output = io::Error> {
        self.failing()
    }

    /// A shutdown.
    async fn end(&self) -> io::Result<()> {
        self.shutdown().await
    }
}

/// Moves everything from a source to a sink, then ends the sink; how many bytes.
///
/// Source and sink are files ([`ReadStream`], [`WriteStream`]), streams of any kind ([`Readable`],
/// [`Writable`]), or whatever else has the traits. The pipe holds one chunk; what else is in memory
/// is what source and sink hold. After an error or when cancelled, both are let go as they are:
/// they close unless somebody has another name for them.
///
/// # Cancelling
/// Possible until it is done. What has gone is gone.
///
/// # Errors
/// The first error of the source or the sink. A source that is closed before its end is one, and so
/// is a sink that somebody else has closed or ended: `Ok` means that everything has gone. A sink's
/// failure or close ends the pipe also while the source is silent, if the sink tells of it by
/// [`failed`](Sink::failed), as files and streams do.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs::stream::{ReadStream, WriteStream, pipe};
/// use windlass::net::{TcpListener, TcpStream};
///
/// // A file through a socket, into another file.
/// let path = std::env::temp_dir().join("windlass-doc-pipe");
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let sender = TcpStream::connect(listener.local_addr()?).await?;
///     let receiver = listener.accept().await?;
///     let sent = pipe(ReadStream::open("Cargo.toml"), sender);
///     let received = pipe(receiver, WriteStream::create(&path));
///     assert_eq!(sent.await?, received.await?);
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn pipe(source: impl Source + 'static, sink: impl Sink + 'static) -> Request<io::Result<u64>> {
    start(&current::expect("pipe"), here(), source, sink, true)
}

/// As [`pipe`], but leaves the sink open for more. Ready when all has gone: into the file, or to
/// the kernel.
///
/// # Errors
/// As [`pipe`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs::stream::{ReadStream, WriteStream, feed};
///
/// let path = std::env::temp_dir().join("windlass-doc-feed");
/// windlass::block_on(async {
///     let both = WriteStream::create(&path);
///     let mut total = 0;
///     for name in ["Cargo.toml", "README.md"] {
///         total += feed(ReadStream::open(name), both.clone()).await?;
///     }
///     both.finish().await?;
///     assert_eq!(windlass::fs::metadata(&path).await?.len(), total);
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn feed(source: impl Source + 'static, sink: impl Sink + 'static) -> Request<io::Result<u64>> {
    start(&current::expect("feed"), here(), source, sink, false)
}

pub(super) fn start(
    state: &Rc<State>,
    location: &'static Location<'static>,
    source: impl Source + 'static,
    sink: impl Sink + 'static,
    end: bool,
) -> Request<io::Result<u64>> {
    if !state.is_open() {
        return Request::failed_later(state, KIND, location, error::shut_down());
    }
    let (promise, request) = Promise::new(state, KIND, location);
    let promise = Rc::new(Cell::new(Some(promise)));
    let weak = Rc::downgrade(&promise);
    // Fulfilled later, for a task runs as a microtask and the request's callback is none.
    let task = state.enter_for(|| {
        let _at = InForce::at(location);
        spawn({
            let promise = promise.clone();
            async move {
                let result = transfer(&source, &sink, end).await;
                // Before anything of the user's is dropped, which may panic.
                if let Some(promise) = promise.take() {
                    promise.fulfil_later(result);
                }
                drop((source, sink));
            }
        })
    });
    let kept = promise.take();
    if let Some(kept) = &kept {
        kept.on_cancel(move || {
            let promise = weak.upgrade().and_then(|promise| promise.take());
            let Some(promise) = promise else { return Err(CancelError::Done) };
            promise.fulfil_later(Err(error::cancelled()));
            task.abort();
            Ok(())
        });
    }
    promise.set(kept);
    request
}

async fn transfer(source: &impl Source, sink: &impl Sink, end: bool) -> io::Result<u64> {
    let mut spare = Vec::new();
    let mut total = 0;
    let mut failed = pin!(sink.failed());
    loop {
        let mut next = pin!(source.read_chunk(&mut spare));
        let next = future::poll_fn(|cx| match next.as_mut().poll(cx) {
            Poll::Pending => failed.as_mut().poll(cx).map(Err),
            ready => ready,
        });
        let Some(chunk) = next.await? else { break };
        total += chunk.len() as u64;
        sink.write_chunk(chunk).await?;
    }
    if end {
        sink.end().await?;
    } else {
        sink.flush().await?;
    }
    Ok(total)
}
