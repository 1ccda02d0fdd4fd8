//! Whole files: read, written, copied. Ordinary sizes are one job of the pool.

use std::borrow::Borrow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::PathError;
use super::job::{self, BYTES_PER_JOB, Step, on_path_in_steps};
use crate::pool;
use crate::request::Request;
use crate::state::current;
use crate::sys;
use crate::trace::label::here;

/// What is asked for first of a file whose size is not known.
const FIRST_READ: usize = 8 * 1024;

/// What the loop sets aside for a file before it is opened. A smaller file fits, and then it is the
/// loop's thread that allocates its memory and frees it: where pool threads allocate what the loop
/// frees, both wait for each other in the allocator, and of 64 reads of 4 KiB at a time some take
/// half as long again. What is left of it is given back, on the loop too.
const ROOM: usize = FIRST_READ;

/// With so many jobs under way nothing is set aside any more: what waits is not to take memory.
const JOBS_WITH_ROOM: usize = 256;

#[track_caller]
fn room() -> Vec<u8> {
    let few = current::expect("read").patience.jobs() < JOBS_WITH_ROOM;
    Vec::with_capacity(if few { ROOM } else { 0 })
}

/// Reads a whole file.
///
/// # Cost
/// A file of up to 8 MiB is one pool job: open, stat, one read, close. A bigger one goes on in
/// further jobs of 8 MiB each, so that it holds no pool thread for long; its memory is asked for
/// once.
///
/// # Errors
/// As [`std::fs::read`]; `OutOfMemory` when the file does not fit.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     assert!(!windlass::fs::read("Cargo.toml").await?.is_empty());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> Request<io::Result<Vec<u8>>> {
    let first = |path: &Path, room: &mut _| Reading::open(path, room)?.go_on(Ok);
    on_path_in_steps("read", path, room(), first, |data| {
        if data.capacity() == ROOM {
            data.shrink_to_fit();
        }
    })
}

/// Reads a whole file of UTF-8 text. Otherwise as [`read`].
///
/// # Errors
/// As [`std::fs::read_to_string`]: `InvalidData` for what is not UTF-8.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     windlass::fs::read_to_string("Cargo.toml").on_complete(|text| print!("{}", text.unwrap()));
/// });
/// ```
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> Request<io::Result<String>> {
    let first = |path: &Path, room: &mut _| Reading::open(path, room)?.go_on(into_text);
    on_path_in_steps("read", path, room(), first, |text| {
        if text.capacity() == ROOM {
            text.shrink_to_fit();
        }
    })
}

/// Text of bytes that must be UTF-8.
pub(super) fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    // The error keeps the bytes, which the loop may have allocated: see `room`.
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A file that is being read to its end. `F` is the file, owned or shared.
pub(super) struct Reading<F> {
    /// The open file.
    file: F,
    /// What has been read of it.
    data: Vec<u8>,
    /// The bytes that the file said it has; 0 when it does not say.
    expected: usize,
}

impl Reading<File> {
    fn open(path: &Path, room: &mut Vec<u8>) -> io::Result<Reading<File>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // What is made up as it is read, such as the files of /proc, has size 0.
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        let fits = size < room.capacity() as u64;
        Reading::new(file, size, if fits { std::mem::take(room) } else { Vec::new() })
    }
}

impl<F: Borrow<File> + Send + 'static> Reading<F> {
    /// `data` is empty; what room it has is used.
    pub(super) fn new(file: F, size: u64, mut data: Vec<u8>) -> io::Result<Reading<F>> {
        let expected = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // With room for one more byte the read that comes to the end says so by being short.
        let room = if expected == 0 { FIRST_READ } else { expected.saturating_add(1) };
        data.try_reserve_exact(room)?;
        Ok(Reading { file, data, expected })
    }

    /// Reads as much as one job may, and makes the result of it at the end.
    pub(super) fn go_on<T: Send + 'static>(
        mut self,
        finish: fn(Vec<u8>) -> io::Result<T>,
    ) -> io::Result<Step<T>> {
        let mut left = BYTES_PER_JOB;
        while left > 0 {
            if self.data.len() == self.data.capacity() {
                self.data.try_reserve(self.data.len().max(FIRST_READ))?;
            }
            let asked = left.min(self.data.capacity() - self.data.len());
            let count = sys::file::read_spare(self.file.borrow(), &mut self.data, asked, None)?;
            let all = self.expected > 0 && self.data.len() >= self.expected;
            if count == 0 || all && count < asked {
                return finish(self.data).map(Step::Done);
            }
            left -= count;
        }
        Ok(Step::more(move || self.go_on(finish)))
    }
}

/// Writes a whole file, making it or replacing what was in it.
///
/// # Cost
/// Data of up to 8 MiB is one pool job: open, write, close. More goes on in further jobs.
///
/// # Errors
/// As [`std::fs::write`], and what the system says when the file is closed.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-write");
/// windlass::block_on(async {
///     windlass::fs::write(&path, "hello").await?;
///     assert_eq!(windlass::fs::read(&path).await?, b"hello");
///     std::fs::remove_file(&path)
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
    let data = data.into();
    let first = move |path: &Path, _: &mut _| {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        go_on_writing(file, data, 0)
    };
    on_path_in_steps("write", path, Vec::new(), first, |()| ())
}

/// Writes at the end of a file, making it if there is none. Otherwise as [`write`](write()).
///
/// # Errors
/// As [`write`](write()).
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let path = std::env::temp_dir().join("windlass-doc-append");
/// windlass::block_on(async {
///     windlass::fs::write(&path, "one,").await?;
///     windlass::fs::append(&path, "two").await?;
///     assert_eq!(windlass::fs::read(&path).await?, b"one,two");
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn append(path: impl AsRef<Path>, data: impl Into<Vec<u8>>) -> Request<io::Result<()>> {
    let data = data.into();
    let first = move |path: &Path, _: &mut _| {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        go_on_writing(file, data, 0)
    };
    on_path_in_steps("append", path, Vec::new(), first, |()| ())
}

/// Writes as much as one job may, and closes the file after the last.
fn go_on_writing(file: File, data: Vec<u8>, from: usize) -> io::Result<Step<()>> {
    let to = data.len().min(from + BYTES_PER_JOB);
    write_all(&file, &data[from..to])?;
    if to < data.len() {
        return Ok(Step::more(move || go_on_writing(file, data, to)));
    }
    sys::file::close(file.into()).map(Step::Done)
}

/// Writes all at the file's own offset, across short writes and interrupts.
pub(super) fn write_all(file: &File, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match sys::file::write_vectored(file, &[io::IoSlice::new(data)], None)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => data = &data[count..],
        }
    }
    Ok(())
}

/// Copies a file's contents and mode: how many bytes. A target that exists is replaced in place.
///
/// A file copied to itself, by whatever name, is left as it is. When the source cannot be opened no
/// target is made, and a target that this call made is removed when the copying fails or its loop
/// ends first. The kernel copies by itself where it can.
///
/// # Cost
/// One pool job for every 8 MiB.
///
/// # Errors
/// As [`std::fs::copy`]: `InvalidInput` when the source is no regular file.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// let target = std::env::temp_dir().join("windlass-doc-copy");
/// windlass::block_on(async {
///     let len = windlass::fs::copy("Cargo.toml", &target).await?;
///     assert_eq!(windlass::fs::metadata(&target).await?.len(), len);
///     windlass::fs::remove_file(&target).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Request<io::Result<u64>> {
    start_copy(from.as_ref(), to.as_ref(), false)
}

/// As [`copy`], but refuses a target that exists.
///
/// # Errors
/// As [`copy`], and `AlreadyExists`.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// windlass::block_on(async {
///     let error = windlass::fs::copy_new("Cargo.toml", "README.md").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
/// });
/// ```
#[track_caller]
pub fn copy_new(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Request<io::Result<u64>> {
    start_copy(from.as_ref(), to.as_ref(), true)
}

#[track_caller]
fn start_copy(from: &Path, to: &Path, exclusive: bool) -> Request<io::Result<u64>> {
    let state = current::expect("copy");
    let paths = Paths { from: from.to_owned(), to: to.to_owned() };
    let first = move || {
        let opened = job::luck().and_then(|()| open_pair(&paths.from, &paths.to, exclusive));
        match opened.map_err(|error| paths.wrap(error))? {
            Some(copying) => Copying { paths, ..copying }.go_on(),
            // Source and target are the same file.
            None => Ok(Step::Done(paths.from.metadata().map_or(0, |found| found.len()))),
        }
    };
    let location = here();
    job::in_steps(&state, location, first, pool::flatten, |_| ())
}

/// Both paths of a copy, for its errors.
#[derive(Default)]
struct Paths {
    /// The source.
    from: PathBuf,
    /// The target.
    to: PathBuf,
}

impl Paths {
    fn wrap(&self, error: io::Error) -> io::Error {
        PathError::wrap_two("copy", &self.from, &self.to, error)
    }
}

/// A copy that is going on.
struct Copying {
    /// Where from and where to.
    paths: Paths,
    /// The open source, at the first byte that was not copied.
    source: File,
    /// The open target.
    target: File,
    /// Bytes that have been copied.
    copied: u64,
    /// Goes when the copy fails, if it was made.
    part: Option<Part>,
}

/// A file that this copy has made. Removed when it is dropped before the copy is done.
struct Part {
    /// Where it is.
    path: PathBuf,
    /// The copy is whole: the file stays.
    done: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("{}: a part of a copy is left: {error}", self.path.display());
        }
    }
}

/// Opens both ends of a copy. None when they are one file.
fn open_pair(from: &Path, to: &Path, exclusive: bool) -> io::Result<Option<Copying>> {
    let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "the source is no regular file");
    // Looked at before it is opened: opening a FIFO would wait for its writer, a device may do
    // anything.
    if !from.metadata()?.is_file() {
        return Err(irregular());
    }
    // It may have become one since.
    let at_once = OpenOptions::new().read(true).custom_flags(sys::O_NONBLOCK).open(from);
    let source = match at_once {
        // A regular file whose lease somebody must give up first.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => File::open(from),
        opened => opened,
    }?;
    let metadata = source.metadata()?;
    if !metadata.is_file() {
        return Err(irregular());
    }
    let mode = metadata.mode() & 0o7777;
    let mut options = OpenOptions::new();
    options.write(true).mode(mode);
    let (target, part) = match options.clone().create_new(true).open(to) {
        Ok(target) => (target, Some(Part { path: to.to_owned(), done: false })),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !exclusive => {
            // Also a link to nowhere is there already, and its target is then made.
            (options.create(true).open(to)?, None)
        }
        Err(error) => return Err(error),
    };
    let found = target.metadata()?;
    if (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()) {
        return Ok(None);
    }
    // Devices have neither a length nor a mode that is ours to set.
    if found.is_file() {
        target.set_len(0)?;
        target.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    Ok(Some(Copying { paths: Paths::default(), source, target, copied: 0, part }))
}

impl Copying {
    fn go_on(mut self) -> io::Result<Step<u64>> {
        let limit = BYTES_PER_JOB as u64;
        let count = io::copy(&mut (&self.source).take(limit), &mut &self.target)
            .map_err(|error| self.paths.wrap(error))?;
        self.copied += count;
        // A step that was not full has seen the end.
        if count == limit {
            return Ok(Step::more(move || self.go_on()));
        }
        let Copying { paths, target, copied, mut part, .. } = self;
        sys::file::close(target.into()).map_err(|error| paths.wrap(error))?;
        if let Some(part) = &mut part {
            part.done = true;
        }
        Ok(Step::Done(copied))
    }
}
