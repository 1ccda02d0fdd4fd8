//! Reading, writing and seeking a file by functions that poll, as the traits of the futures crates
//! do.
//!
//! An operation that has begun goes on whether or not its task still waits, so nothing may depend
//! on who comes back: bytes that were read wait for the next reader, and what is written is taken
//! over by the call.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::file::File;
use crate::request::Request;

/// The most bytes that one call reads or takes over.
const BYTES_PER_CALL: usize = 1024 * 1024;

/// What the functions that poll have begun with a file.
#[derive(Default)]
pub(super) struct Polled {
    /// The operation that goes on. Taken out while it is polled.
    going: Cell<Going>,
    /// Bytes that were read and that nobody has taken.
    left: Cell<VecDeque<u8>>,
    /// Why a write failed that nobody waits for. For the next write or flush.
    failure: Cell<Option<io::Error>>,
}

/// An operation that goes on.
#[derive(Default)]
enum Going {
    /// None does.
    #[default]
    Nothing,
    /// A read.
    Read(Request<io::Result<Vec<u8>>>),
    /// A write of bytes that were taken over.
    Write(Request<io::Result<usize>>),
    /// A seek, and where to. None: back over bytes that nobody has taken.
    Seek(Request<io::Result<u64>>, Option<SeekFrom>),
    /// The close.
    Close(Request<io::Result<()>>),
}

/// How an operation has ended that a later one follows.
enum Ended {
    /// With nothing to tell.
    Quietly,
    /// A read failed, or found the end.
    Read(io::Result<usize>),
    /// A seek to here is done.
    Seek(SeekFrom, io::Result<u64>),
    /// The file was closed.
    Close(io::Result<()>),
}

impl Polled {
    /// Waits for the operation that goes on.
    fn poll_going(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut going = self.going.take();
        let polled = match &mut going {
            Going::Nothing => return Poll::Ready(Ended::Quietly),
            Going::Read(request) => poll(request, cx).map(|read| match read {
                Ok(bytes) if !bytes.is_empty() => {
                    self.left.set(bytes.into());
                    Ended::Quietly
                }
                end => Ended::Read(end.map(|_empty| 0)),
            }),
            Going::Write(request) => poll(request, cx).map(|written| {
                self.failure.set(written.err());
                Ended::Quietly
            }),
            Going::Seek(request, None) => poll(request, cx).map(|back| {
                self.failure.set(back.err());
                Ended::Quietly
            }),
            Going::Seek(request, Some(to)) => {
                let to = *to;
                poll(request, cx).map(|place| Ended::Seek(to, place))
            }
            Going::Close(request) => poll(request, cx).map(Ended::Close),
        };
        if polled.is_pending() {
            self.going.set(going);
        }
        polled
    }

    /// Gives what was read and not taken.
    fn take_left(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = self.left.take();
        let count = left.read(buffer);
        self.left.set(left);
        count
    }
}

fn poll<T>(request: &mut Request<T>, cx: &mut Context<'_>) -> Poll<T> {
    Pin::new(request).poll(cx)
}

impl File {
    /// Reads at the file's offset into `buffer`, or keeps the task's waker until that is done. One
    /// task can use the functions of a file that poll.
    ///
    /// A read whose task has turned to something else goes on. Its bytes are what the next call
    /// gives; a [`poll_write`](File::poll_write) or [`poll_seek`](File::poll_seek) goes back over
    /// them first. The other operations of the file know nothing of them: they find the offset
    /// behind what was read.
    ///
    /// # Errors
    /// As [`read`](File::read).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    ///
    /// windlass::block_on(async {
    ///     let file = windlass::fs::File::open("Cargo.toml").await?;
    ///     let mut buffer = [0; 9];
    ///     assert_eq!(poll_fn(|cx| file.poll_read(cx, &mut buffer)).await?, 9);
    ///     assert_eq!(&buffer, b"[package]");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = self.polled();
        loop {
            if let Ended::Read(ended) = ready!(polled.poll_going(cx)) {
                return Poll::Ready(ended);
            }
            let count = polled.take_left(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Poll::Ready(Ok(count));
            }
            let len = buffer.len().min(BYTES_PER_CALL);
            polled.going.set(Going::Read(self.read_from(None, len, self.made_at())));
        }
    }

    /// Writes at the file's offset: takes over at most 1 MiB of `data`, or keeps the task's waker
    /// until what was taken over before is written. An error is that of an earlier write, or comes
    /// with [`poll_flush`](File::poll_flush).
    ///
    /// # Errors
    /// As [`write`](File::write).
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    ///
    /// windlass::block_on(async {
    ///     let path = std::env::temp_dir().join("windlass-doc-poll-write");
    ///     let file = windlass::fs::File::create(&path).await?;
    ///     assert_eq!(poll_fn(|cx| file.poll_write(cx, b"hello")).await?, 5);
    ///     poll_fn(|cx| file.poll_flush(cx)).await?;
    ///     assert_eq!(windlass::fs::read(&path).await?, b"hello");
    ///     windlass::fs::remove_file(&path).await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_to_begin(cx))?;
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let taken = &data[..data.len().min(BYTES_PER_CALL)];
        let request = self.write_to(vec![taken.to_vec()], None, self.made_at());
        self.polled().going.set(Going::Write(request));
        Poll::Ready(Ok(taken.len()))
    }

    /// Ready when all that was taken over is written, or has failed. The system may have it in
    /// memory: [`sync_all`](File::sync_all) goes further.
    ///
    /// # Errors
    /// That of the write that failed.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.polled().poll_going(cx));
        Poll::Ready(self.polled().failure.take().map_or(Ok(()), Err))
    }

    /// Moves the file's offset: where it is then, from the start. Keeps the task's waker until that
    /// is done; the next call with the same `to` gives it.
    ///
    /// # Errors
    /// As [`seek`](File::seek).
    pub fn poll_seek(&self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        loop {
            match ready!(self.polled().poll_going(cx)) {
                Ended::Seek(there, place) if there == to => return Poll::Ready(place),
                _ => ready!(self.poll_to_begin(cx))?,
            }
            let request = self.seek_at(to, self.made_at());
            self.polled().going.set(Going::Seek(request, Some(to)));
        }
    }

    /// Ready when all is written and the file is closed, as by [`close`](File::close). Ready at
    /// once when it is closed already.
    ///
    /// # Errors
    /// That of a write that failed, or of the close.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Ended::Close(outcome) = ready!(self.polled().poll_going(cx)) {
                return Poll::Ready(outcome);
            }
            if let Some(failure) = self.polled().failure.take() {
                return Poll::Ready(Err(failure));
            }
            if self.is_closed() {
                return Poll::Ready(Ok(()));
            }
            self.polled().going.set(Going::Close(self.close_at(self.made_at())));
        }
    }

    /// Waits until nothing goes on and the offset is where the reader is.
    fn poll_to_begin(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.polled();
        loop {
            ready!(polled.poll_going(cx));
            if let Some(failure) = polled.failure.take() {
                return Poll::Ready(Err(failure));
            }
            let left = polled.left.take().len();
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            let back = SeekFrom::Current(-(left as i64));
            polled.going.set(Going::Seek(self.seek_at(back, self.made_at()), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However small the pieces are in which a task takes it: to move the rest each time would take
    /// the square of its length.
    #[test]
    fn what_was_read_and_not_taken_stays_where_it_is() {
        let polled = Polled::default();
        let bytes: VecDeque<u8> = (0..100).collect();
        let start = bytes.as_slices().0.as_ptr();
        polled.left.set(bytes);
        let mut taken = [0; 3];
        for first in [0, 3, 6] {
            assert_eq!(polled.take_left(&mut taken).unwrap(), 3);
            assert_eq!(taken, [first, first + 1, first + 2]);
        }
        let left = polled.left.take();
        assert_eq!((left.len(), left.as_slices().0.as_ptr()), (91, start.wrapping_add(9)));
    }
}
