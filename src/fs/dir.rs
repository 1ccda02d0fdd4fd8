//! Directories: made, removed, and listed in batches.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, FileType};
use std::future::{Future as _, poll_fn};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use super::error::PathError;
use super::job::{self, KIND, Step, on_path};
use super::remove;
use crate::error::{self, WorkError};
use crate::pool::{self, Admission};
use crate::promise::Promise;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::trace::label::here;

/// Entries that one job reads.
const ENTRIES_PER_JOB: usize = 256;

/// Makes a directory.
///
/// # Errors
/// As [`std::fs::create_dir`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-create-dir");
/// windlass::block_on(async {
///     windlass::fs::create_dir(&path).await?;
///     windlass::fs::remove_dir(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_dir(path: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_path("mkdir", path, |path| fs::create_dir(path))
}

/// Makes a directory and those that lead to it. One that is there is no error.
///
/// # Errors
/// As [`std::fs::create_dir_all`].
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-create-dir-all");
/// windlass::block_on(async {
///     windlass::fs::create_dir_all(path.join("a/b/c")).await?;
///     windlass::fs::remove_dir_all(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn create_dir_all(path: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_path("mkdir", path, |path| fs::create_dir_all(path))
}

/// Removes an empty directory.
///
/// # Errors
/// As [`std::fs::remove_dir`]: `DirectoryNotEmpty`.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::remove_dir("src").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
/// });
/// ```
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_path("rmdir", path, |path| fs::remove_dir(path))
}

/// Removes a directory and everything in it. Symbolic links are removed, not followed: a path that
/// is a link and ends in a slash is refused.
///
/// Nobody can lead it out of the directory by putting a link in the place of one in it.
///
/// # Cost
/// One pool job, however long it takes. At most 17 descriptors are open at a time, however deep the
/// tree is, and fewer when there are no more. In memory is a name for each directory on the way
/// down.
///
/// # Errors
/// As [`std::fs::remove_dir_all`]. It ends at the first error, and what is left stays.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::remove_dir_all("no-such-directory").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// });
/// ```
#[track_caller]
pub fn remove_dir_all(path: impl AsRef<Path>) -> Request<io::Result<()>> {
    on_path("remove", path, remove::with_all_in_it)
}

/// Opens a directory to list what is in it.
///
/// The dots are left out. The order is the file system's. The first batch is read in the same pool
/// job, so a small directory costs one.
///
/// # Errors
/// As [`std::fs::read_dir`]: `NotFound`, `NotADirectory`.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let mut entries = windlass::fs::read_dir("src").await?;
///     while let Some(entry) = entries.next().await? {
///         println!("{}", entry.file_name().display());
///     }
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> Request<io::Result<ReadDir>> {
    let state = current::expect("read_dir");
    let location = here();
    let path: Arc<Path> = path.as_ref().into();
    let work = move || match fs::read_dir(&path) {
        Ok(entries) => Ok(read_batch(entries, path, location)),
        Err(error) => Err(PathError::wrap("read_dir", &path, error)),
    };
    pool::submit(&state, job::origin(location), Admission::New, work, ReadDir::adopt)
}

/// What one job has read of a directory.
struct Batch {
    /// The entries, in the order of the file system.
    entries: Vec<DirEntry>,
    /// Came after the entries, and is the last.
    error: Option<io::Error>,
    /// The rest, unless the end or an error has come.
    rest: Option<fs::ReadDir>,
    /// The path that was listed.
    path: Arc<Path>,
    /// The line that asked for the listing.
    location: &'static Location<'static>,
}

fn read_batch(
    mut rest: fs::ReadDir,
    path: Arc<Path>,
    location: &'static Location<'static>,
) -> Batch {
    let mut entries = Vec::new();
    let mut error = None;
    while entries.len() < ENTRIES_PER_JOB {
        match rest.next() {
            Some(Ok(entry)) => entries.push(DirEntry {
                directory: path.clone(),
                // Most file systems say it with the name; for others this is a further call.
                file_type: entry.file_type().ok(),
                name: entry.file_name(),
            }),
            Some(Err(failed)) => {
                error = Some(PathError::wrap("read_dir", &path, failed));
                return Batch { entries, error, rest: None, path, location };
            }
            None => return Batch { entries, error, rest: None, path, location },
        }
    }
    Batch { entries, error, rest: Some(rest), path, location }
}

/// An entry of a directory. It belongs to no loop and may cross threads.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let mut entries = windlass::fs::read_dir("src").await?;
///     while let Some(entry) = entries.next().await? {
///         let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
///         println!("{}{}", entry.path().display(), if is_folder { "/" } else { "" });
///     }
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The path that was listed, one for all its entries.
    directory: Arc<Path>,
    /// The name in the directory.
    name: OsString,
    /// As the listing told it; none when it did not, and the entry could not be looked at.
    file_type: Option<FileType>,
}

impl DirEntry {
    /// The path that was listed, and the name.
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The name: bytes, not always UTF-8.
    pub fn file_name(&self) -> &OsStr {
        &self.name
    }

    /// What it is; of a symbolic link, that it is one. None when the system does not know or the
    /// entry is gone already.
    pub fn file_type(&self) -> Option<FileType> {
        self.file_type
    }
}

/// A directory that is being listed. Made by [`read_dir`].
///
/// It does not keep the loop alive; a batch that is being read does. Dropped half-way, it closes
/// the directory on a pool thread.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let mut entries = windlass::fs::read_dir("src").await?;
///     let mut count = 0;
///     while entries.next().await?.is_some() {
///         count += 1;
///     }
///     assert!(count > 10);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ReadDir {
    /// The listing, also held by the job that reads.
    listing: Rc<Listing>,
    /// The batch that [`next`](ReadDir::next) waits for. Kept here so that dropping its future
    /// loses nothing.
    awaited: Option<Request<io::Result<Vec<DirEntry>>>>,
    /// What of it has not been handed out.
    ready: VecDeque<DirEntry>,
}

/// What is behind a [`ReadDir`].
struct Listing {
    /// The loop that it belongs to.
    state: Rc<State>,
    /// The line that asked for it.
    location: &'static Location<'static>,
    /// The path that is listed.
    path: Arc<Path>,
    /// Absent while a job has it, and after the end.
    rest: Cell<Option<fs::ReadDir>>,
    /// Came with the opening.
    first: RefCell<Vec<DirEntry>>,
    /// To be told after the entries before it.
    error: Cell<Option<io::Error>>,
    /// A job is reading.
    reading: Cell<bool>,
    /// Those who want a batch, in order.
    waiting: RefCell<VecDeque<Promise<Vec<DirEntry>>>>,
}

impl ReadDir {
    fn adopt(result: Result<io::Result<Batch>, WorkError>) -> io::Result<ReadDir> {
        let batch = result??;
        let state = current::get().ok_or_else(error::shut_down)?;
        let listing = Rc::new(Listing {
            state,
            location: batch.location,
            path: batch.path,
            rest: Cell::new(batch.rest),
            first: RefCell::new(batch.entries),
            error: Cell::new(batch.error),
            reading: Cell::new(false),
            waiting: RefCell::default(),
        });
        Ok(ReadDir { listing, awaited: None, ready: VecDeque::new() })
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.listing.path
    }

    /// The next entries, up to 256; none at the end. Batches come in the order they were asked for.
    /// Cannot be cancelled: the entries would be lost.
    ///
    /// # Errors
    /// The system's, after the entries before it. It ends the listing.
    #[track_caller]
    pub fn next_batch(&self) -> Request<io::Result<Vec<DirEntry>>> {
        let listing = &self.listing;
        let location = here();
        let first = listing.first.take();
        if !first.is_empty() {
            return Request::finished(&listing.state, KIND, Ok(first));
        }
        if !listing.state.is_open() {
            return Request::failed_later(&listing.state, KIND, location, error::shut_down());
        }
        let (promise, request) = Promise::new(&listing.state, KIND, location);
        listing.waiting.borrow_mut().push_back(promise);
        listing.serve();
        request
    }

    /// The next entry; none at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`next_batch`](ReadDir::next_batch).
    pub async fn next(&mut self) -> io::Result<Option<DirEntry>> {
        if self.ready.is_empty() {
            if self.awaited.is_none() {
                self.awaited = Some(self.next_batch());
            }
            let awaited = &mut self.awaited;
            let batch = poll_fn(|cx| {
                let polled = awaited.as_mut().map(|batch| Pin::new(batch).poll(cx));
                polled.expect("set just now")
            });
            let batch = batch.await;
            self.awaited = None;
            self.ready.extend(batch?);
        }
        Ok(self.ready.pop_front())
    }
}

impl Listing {
    /// Gives those who wait what there is, or has more read.
    fn serve(self: &Rc<Self>) {
        while !self.reading.get() {
            let Some(promise) = self.waiting.borrow_mut().pop_front() else { return };
            if let Some(rest) = self.rest.take() {
                return promise.on_behalf(|promise| self.read(rest, promise));
            }
            let result = self.error.take().map_or(Ok(Vec::new()), Err);
            promise.fulfil_later(result);
        }
    }

    fn read(self: &Rc<Self>, rest: fs::ReadDir, promise: Promise<Vec<DirEntry>>) {
        self.reading.set(true);
        let (path, location) = (self.path.clone(), self.location);
        let work = move || Ok(Step::Done(read_batch(rest, path, location)));
        let flight = Flight(self.clone());
        job::run(&self.state, self.location, work, move |result| {
            let listing = &flight.0;
            listing.reading.set(false);
            let answer = result.and_then(|batch| {
                listing.rest.set(batch.rest);
                match batch.error {
                    Some(error) if batch.entries.is_empty() => Err(error),
                    error => {
                        listing.error.set(error);
                        Ok(batch.entries)
                    }
                }
            });
            listing.serve();
            promise.fulfil(answer);
        });
    }
}

/// Holds the listing while a job reads. When the loop ends first, those who wait are told.
struct Flight(Rc<Listing>);

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.0.state.is_open() {
            let waiting = self.0.waiting.take();
            drop(waiting);
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            job::release(&self.state, self.location, rest);
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("path", &self.listing.path).finish_non_exhaustive()
    }
}
