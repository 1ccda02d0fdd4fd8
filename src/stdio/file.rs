//! A file as a stream: read and written by jobs of the pool, because the poller refuses files.
//!
//! Of a socket the poller says when a call will not wait. A file counts as ready always, and a call
//! on it may wait for a disk. So a call here begins a job and says would-block; when the job is
//! done the stream is called as if the poller had reported it, and its next call gets the outcome.
//!
//! ```text
//!           a call              the job is done             the next call
//!   idle ───────────▶ running ──────────────────▶ done ────────────────────▶ idle
//!          would-block                                  bytes, the end or an error
//! ```
//!
//! Nothing is read ahead: a job reads no more than the call that began it had room for. What is
//! written is the head of the stream's queue, and stays there until the job is done, so that a
//! write completes when its bytes are in the file, or with the error that kept them out.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::state::State;
use crate::state::key::Key;
use crate::sys::{self, Event};

/// The most bytes that one job writes.
const BYTES_PER_WRITE: usize = 256 * 1024;

/// A file that is read and written as a stream.
pub(super) struct PooledFile {
    /// Shared with the jobs' callbacks.
    shared: Rc<Shared>,
}

/// What a file and the callbacks of its jobs share.
struct Shared {
    /// The loop, whose pool runs the jobs.
    state: Rc<State>,
    /// The line that asked for the stream, for reports.
    location: &'static Location<'static>,
    /// The descriptor, which a job may have for longer than the stream.
    file: Arc<File>,
    /// The stream that is called when a job is done.
    stream: Cell<Option<Key>>,
    /// How far reading is.
    read: RefCell<Read>,
    /// How far writing is.
    write: Cell<Written>,
    /// Memory for the next job that writes.
    spare: Cell<Vec<u8>>,
}

/// How far reading is.
enum Read {
    /// Nothing is being read. The memory is for the next job.
    Idle(Vec<u8>),
    /// A job reads.
    Running,
    /// Bytes have been read. The first ones, of this number, were taken.
    Done(Vec<u8>, usize),
    /// The job has come to the end.
    Ended,
    /// The job has failed.
    Failed(io::Error),
}

/// How far writing is.
#[derive(Default)]
enum Written {
    /// Nothing is being written.
    #[default]
    Idle,
    /// A job writes.
    Running,
    /// A job writes what was queued on a stream that has closed.
    Abandoned,
    /// The job has written so many, or has failed.
    Done(io::Result<usize>),
}

fn would_block<T>() -> io::Result<T> {
    Err(io::ErrorKind::WouldBlock.into())
}

impl PooledFile {
    pub(super) fn new(
        state: &Rc<State>,
        location: &'static Location<'static>,
        fd: OwnedFd,
    ) -> PooledFile {
        PooledFile {
            shared: Rc::new(Shared {
                state: state.clone(),
                location,
                file: Arc::new(File::from(fd)),
                stream: Cell::new(None),
                read: RefCell::new(Read::Idle(Vec::new())),
                write: Cell::default(),
                spare: Cell::default(),
            }),
        }
    }

    /// Has this stream called when a job is done. What a job writes of the stream before is no
    /// concern of this one, which writes behind it.
    pub(super) fn report_to(&self, stream: Key) {
        self.shared.stream.set(Some(stream));
        let write = match self.shared.write.take() {
            Written::Running | Written::Abandoned => Written::Abandoned,
            Written::Idle | Written::Done(_) => Written::Idle,
        };
        self.shared.write.set(write);
    }

    /// Takes what a job has read, or begins one.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let shared = &self.shared;
        let mut read = shared.read.borrow_mut();
        match mem::replace(&mut *read, Read::Running) {
            Read::Running => would_block(),
            Read::Idle(memory) => {
                drop(read);
                shared.begin_read(memory, buffer.len());
                would_block()
            }
            Read::Done(mut bytes, taken) => {
                let count = buffer.len().min(bytes.len() - taken);
                buffer[..count].copy_from_slice(&bytes[taken..taken + count]);
                *read = if taken + count < bytes.len() {
                    Read::Done(bytes, taken + count)
                } else {
                    bytes.clear();
                    Read::Idle(bytes)
                };
                Ok(count)
            }
            Read::Ended => {
                *read = Read::Idle(Vec::new());
                Ok(0)
            }
            Read::Failed(error) => {
                *read = Read::Idle(Vec::new());
                Err(error)
            }
        }
    }

    /// Takes the outcome of a job that has written the first of these bytes, or begins one.
    pub(super) fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.shared.write.take() {
            Written::Done(outcome) => outcome,
            under_way @ (Written::Running | Written::Abandoned) => {
                self.shared.write.set(under_way);
                would_block()
            }
            Written::Idle => {
                self.shared.begin_write(data);
                would_block()
            }
        }
    }
}

impl Shared {
    fn origin(&self) -> JobOrigin {
        JobOrigin::new(WorkKind::FastIo, "standard stream", self.location)
    }

    /// A job is done: the stream's next call will not say would-block.
    fn report(&self, event: Event) {
        if let Some(stream) = self.stream.get() {
            self.state.handles.mark_ready(stream, event);
        }
    }

    fn begin_read(self: &Rc<Self>, mut memory: Vec<u8>, at_most: usize) {
        let file = self.file.clone();
        let work = move || -> io::Result<Vec<u8>> {
            memory.reserve(at_most);
            sys::file::read_spare(&file, &mut memory, at_most, None)?;
            Ok(memory)
        };
        let shared = self.clone();
        pool::submit(&self.state, self.origin(), Admission::GoesOn, work, pool::flatten).pass_to(
            move |outcome| {
                let read = match outcome {
                    Ok(bytes) if bytes.is_empty() => Read::Ended,
                    Ok(bytes) => Read::Done(bytes, 0),
                    Err(error) => Read::Failed(error),
                };
                shared.read.replace(read);
                shared.report(Event::READABLE);
            },
        );
    }

    fn begin_write(self: &Rc<Self>, data: &[IoSlice<'_>]) {
        let mut bytes = self.spare.take();
        bytes.clear();
        for buffer in data {
            let room = BYTES_PER_WRITE - bytes.len();
            bytes.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        self.write.set(Written::Running);
        let file = self.file.clone();
        let work = move || -> io::Result<(io::Result<usize>, Vec<u8>)> {
            Ok((write_once(&file, &bytes), bytes))
        };
        let shared = self.clone();
        pool::submit(&self.state, self.origin(), Admission::GoesOn, work, pool::flatten).pass_to(
            move |outcome| {
                let outcome = outcome.and_then(|(outcome, bytes)| {
                    shared.spare.set(bytes);
                    outcome
                });
                let was = shared.write.take();
                shared.write.set(match was {
                    Written::Abandoned => Written::Idle,
                    _ => Written::Done(outcome),
                });
                shared.report(Event::WRITABLE);
            },
        );
    }
}

/// Writes once, waiting if need be.
fn write_once(file: &File, bytes: &[u8]) -> io::Result<usize> {
    sys::file::write_vectored(file, &[IoSlice::new(bytes)], None)
}
