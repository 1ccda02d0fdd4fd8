//! How a file is opened.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::error::PathError;
use super::file::File;
use super::job;
use super::queue::FileQueue;
use crate::error::WorkError;
use crate::pool::{self, Admission};
use crate::request::Request;
use crate::state::current;
use crate::trace::label::here;

/// How a file is opened, as [`std::fs::OpenOptions`].
///
/// # Examples
/// ```
/// use windlass::fs::OpenOptions;
///
/// let path = std::env::temp_dir().join("windlass-doc-options");
/// windlass::block_on(async {
///     let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).await?;
///     file.write("a line\n").await?;
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What the system is asked for.
    options: fs::OpenOptions,
}

impl OpenOptions {
    /// Options of which none is set.
    #[expect(clippy::new_without_default, reason = "nothing is a default way to open a file")]
    pub fn new() -> OpenOptions {
        OpenOptions { options: fs::OpenOptions::new() }
    }

    /// Whether the file can be read.
    pub fn read(&mut self, on: bool) -> &mut Self {
        self.options.read(on);
        self
    }

    /// Whether the file can be written.
    pub fn write(&mut self, on: bool) -> &mut Self {
        self.options.write(on);
        self
    }

    /// Whether every write goes to the end, wherever the offset is.
    pub fn append(&mut self, on: bool) -> &mut Self {
        self.options.append(on);
        self
    }

    /// Whether what is in the file goes.
    pub fn truncate(&mut self, on: bool) -> &mut Self {
        self.options.truncate(on);
        self
    }

    /// Whether the file is made if it is not there.
    pub fn create(&mut self, on: bool) -> &mut Self {
        self.options.create(on);
        self
    }

    /// Whether the file is made, and must not be there before.
    pub fn create_new(&mut self, on: bool) -> &mut Self {
        self.options.create_new(on);
        self
    }

    /// The permissions of a file that is made, less the process's mask. 0o666 by default.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.options.mode(mode);
        self
    }

    /// Further flags of `open(2)`.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.options.custom_flags(flags);
        self
    }

    /// Opens a file. Its descriptor is closed on `exec`.
    ///
    /// When the request is dropped, or cancelled too late, a file that was opened is closed again.
    ///
    /// # Errors
    /// As [`std::fs::OpenOptions::open`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> Request<io::Result<File>> {
        let state = current::expect("open");
        let location = here();
        let path: Arc<Path> = path.as_ref().into();
        let options = self.options.clone();
        let work = move || match options.open(&path) {
            Ok(file) => Ok(Opened { file, path, location }),
            Err(error) => Err(PathError::wrap("open", &path, error)),
        };
        pool::submit(&state, job::origin(location), Admission::New, work, Opened::adopt)
    }
}

/// How files are opened most often.
impl File {
    /// Opens a file for reading. A descriptor that nobody wants any more is closed again.
    ///
    /// # Errors
    /// As [`std::fs::File::open`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Request<io::Result<File>> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, making it or removing what was in it.
    ///
    /// # Errors
    /// As [`std::fs::File::create`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> Request<io::Result<File>> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file that was not there, for reading and writing.
    ///
    /// # Errors
    /// As [`std::fs::File::create_new`].
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> Request<io::Result<File>> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Options for opening a file in another way.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }
}

/// An open file on its way to its loop.
pub(super) struct Opened {
    /// The open file.
    pub(super) file: fs::File,
    /// Where it was opened, for errors.
    pub(super) path: Arc<Path>,
    /// The line that opened it.
    pub(super) location: &'static Location<'static>,
}

impl Opened {
    fn adopt(result: Result<io::Result<Opened>, WorkError>) -> io::Result<File> {
        pool::flatten(result)?.into_file()
    }

    /// Makes it a file of the loop that it was opened for, which is current.
    pub(super) fn into_file(self) -> io::Result<File> {
        let state = current::get().ok_or_else(crate::error::shut_down)?;
        Ok(File { queue: FileQueue::new(state, self.location, self.file, Some(self.path)) })
    }
}
