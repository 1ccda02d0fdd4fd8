//! An open file on the loop.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::path::Path;
use std::rc::Rc;

use super::attributes::FileTime;
use super::job::Step;
use super::polled::Polled;
use super::queue::FileQueue;
use super::transfer::{Sending, Writing, read_buffers, read_on};
use super::whole::Reading;
use crate::request::Request;
use crate::state::current;
use crate::sys;
use crate::trace::label::here;

/// An open file.
///
/// `Clone`: a clone is another name for the same open file, with the same offset and the same order
/// of operations. When the last one is dropped the operations that are left complete, and then the
/// descriptor is closed on a pool thread, for a close may block; [`close`](File::close) tells how
/// that went.
///
/// # Ordering
/// Operations on one file run one at a time, in the order they were asked for, whether or not
/// anybody awaits them. (libuv and Node run them in parallel, in no order.) Operations on different
/// files, and on files opened twice, have no order.
///
/// # Liveness
/// An open file does not keep the loop alive; its operations do, and so does its close.
///
/// # Errors
/// Errors have the operation and the path in a [`PathError`](super::PathError), if the file was
/// opened by a path. After [`close`](File::close) or [`into_std`](File::into_std) an operation
/// fails with `EBADF`, after the end of its loop with a shut-down error.
///
/// # Cancelling
/// An operation that has not begun can be cancelled; those behind it move up.
///
/// # Examples
/// ```
/// use windlass::fs::File;
///
/// let path = std::env::temp_dir().join("windlass-doc-file");
/// windlass::block_on(async {
///     let file = File::create(&path).await?;
///     // In this order, and without waiting for each.
///     drop(file.write("hello "));
///     file.write("world").await?;
///     assert_eq!(file.metadata().await?.len(), 11);
///     file.close().await?;
///     windlass::fs::remove_file(&path).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct File {
    /// The descriptor, with the operations that wait.
    pub(super) queue: Rc<FileQueue>,
}

impl File {
    /// Takes a file of the standard library, or anything else that it can be made of, into the
    /// current loop. With [`into_std`](File::into_std) this is how an open file travels to a
    /// worker.
    ///
    /// A pipe or a terminal will do too; an operation that waits for it occupies a pool thread. It
    /// makes no difference whether the descriptor is non-blocking.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::fs::File;
    /// use windlass::worker::Worker;
    ///
    /// windlass::block_on(async {
    ///     let file = File::open("Cargo.toml").await?;
    ///     let worker: Worker<std::fs::File, usize> = Worker::spawn_async(|port| async move {
    ///         let file = File::from_std(port.recv().await.unwrap());
    ///         port.post(file.read_to_end().await.unwrap().len());
    ///     })?;
    ///     worker.post(file.into_std().await?);
    ///     assert!(worker.recv().await.unwrap() > 0);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn from_std(file: impl Into<fs::File>) -> File {
        let state = current::expect("File::from_std");
        File { queue: FileQueue::new(state, here(), file.into(), None) }
    }

    /// Gives the file back as one of the standard library, after the operations that were asked for
    /// before. For this name and all others it is then closed. Cannot be cancelled.
    ///
    /// # Errors
    /// `EBADF` when it was closed or given away.
    #[track_caller]
    pub fn into_std(self) -> Request<io::Result<fs::File>> {
        self.queue.give_away(here())
    }

    /// Gives the file back at once, if no operation runs or waits. Also after the end of its loop.
    ///
    /// # Errors
    /// The file itself when there are operations, or when it was closed or given away.
    pub fn try_into_std(self) -> Result<fs::File, File> {
        self.queue.try_take().ok_or(self)
    }

    /// Closes the file, after the operations that were asked for before, and tells what the system
    /// says: some file systems report here that data could not be stored. Cannot be cancelled.
    ///
    /// # Errors
    /// The system's; `EBADF` when it was closed before.
    #[track_caller]
    pub fn close(&self) -> Request<io::Result<()>> {
        self.queue.close(here())
    }

    /// As [`close`](File::close), asked for at this line.
    pub(super) fn close_at(&self, location: &'static Location<'static>) -> Request<io::Result<()>> {
        self.queue.close(location)
    }

    /// Whether it was closed or given away, or is about to be.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_ending() || self.queue.with_file(|_| ()).is_none()
    }

    /// What the functions that poll have begun.
    pub(super) fn polled(&self) -> &Polled {
        &self.queue.polled
    }

    /// The line that made the file.
    pub(super) fn made_at(&self) -> &'static Location<'static> {
        self.queue.location
    }

    /// The path that the file was opened by.
    pub fn path(&self) -> Option<&Path> {
        self.queue.path.as_deref()
    }

    /// Reads up to `len` bytes from the offset on, and moves it. Empty at the end, and for `len` 0.
    ///
    /// Fewer bytes come at the end, and from a pipe or terminal, where what is there is enough.
    ///
    /// # Cost
    /// One pool job for every 8 MiB.
    ///
    /// # Errors
    /// The system's: `IsADirectory` for a directory.
    #[track_caller]
    pub fn read(&self, len: usize) -> Request<io::Result<Vec<u8>>> {
        self.read_from(None, len, here())
    }

    /// Reads up to `len` bytes from `offset` on. The file's own offset stays. Otherwise as
    /// [`read`](File::read).
    ///
    /// # Errors
    /// The system's: also for what has no offsets, such as a pipe.
    ///
    /// # Examples
    /// ```
    /// windlass::block_on(async {
    ///     let file = windlass::fs::File::open("Cargo.toml").await?;
    ///     assert_eq!(file.read_at(7, 1).await?, b"package");
    ///     assert_eq!(file.read(9).await?, b"[package]");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn read_at(&self, len: usize, offset: u64) -> Request<io::Result<Vec<u8>>> {
        self.read_from(Some(offset), len, here())
    }

    pub(super) fn read_from(
        &self,
        offset: Option<u64>,
        len: usize,
        location: &'static Location<'static>,
    ) -> Request<io::Result<Vec<u8>>> {
        self.queue.operation("read", location, move |file| read_on(file, Vec::new(), len, offset))
    }

    /// Reads from the offset to the end.
    ///
    /// # Cost
    /// One pool job for every 8 MiB.
    ///
    /// # Errors
    /// As [`read`](File::read); `OutOfMemory` when it does not fit.
    #[track_caller]
    pub fn read_to_end(&self) -> Request<io::Result<Vec<u8>>> {
        self.queue.operation("read", here(), |file| {
            let metadata = file.metadata()?;
            let mut size = 0;
            if metadata.is_file() {
                size = metadata.len().saturating_sub((&*file).stream_position()?);
            }
            Reading::new(file, size, Vec::new())?.go_on(Ok)
        })
    }

    /// Reads once into several buffers, of these lengths, from the offset on. Those that are not
    /// filled come back shorter, or empty.
    ///
    /// # Errors
    /// As [`read`](File::read); `InvalidInput` for an empty list.
    ///
    /// # Examples
    /// ```
    /// windlass::block_on(async {
    ///     let file = windlass::fs::File::open("Cargo.toml").await?;
    ///     assert_eq!(file.read_vectored(&[1, 7]).await?, [b"[".to_vec(), b"package".to_vec()]);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn read_vectored(&self, lens: &[usize]) -> Request<io::Result<Vec<Vec<u8>>>> {
        self.read_buffers(lens, None, here())
    }

    /// As [`read_vectored`](File::read_vectored), from `offset` on. The file's own offset stays.
    ///
    /// # Errors
    /// As [`read_vectored`](File::read_vectored).
    #[track_caller]
    pub fn read_vectored_at(
        &self,
        lens: &[usize],
        offset: u64,
    ) -> Request<io::Result<Vec<Vec<u8>>>> {
        self.read_buffers(lens, Some(offset), here())
    }

    fn read_buffers(
        &self,
        lens: &[usize],
        offset: Option<u64>,
        location: &'static Location<'static>,
    ) -> Request<io::Result<Vec<Vec<u8>>>> {
        if lens.is_empty() {
            return self.queue.refuse_no_buffers("read", location);
        }
        let lens = lens.to_vec();
        self.queue.operation("read", location, move |file| {
            read_buffers(&file, &lens, offset).map(Step::Done)
        })
    }

    /// Writes all bytes at the offset, and moves it; how many that were. In a file opened for
    /// appending they go to the end.
    ///
    /// When it fails, some bytes may have been written.
    ///
    /// # Cost
    /// One pool job for every 8 MiB.
    ///
    /// # Errors
    /// The system's: `StorageFull` when the disk is full.
    #[track_caller]
    pub fn write(&self, data: impl Into<Vec<u8>>) -> Request<io::Result<usize>> {
        self.write_to(vec![data.into()], None, here())
    }

    /// Writes all bytes at `offset`. The file's own offset stays. A file opened for appending gets
    /// them at its end on Linux, wherever `offset` is. Otherwise as [`write`](File::write).
    ///
    /// # Errors
    /// As [`write`](File::write), also for what has no offsets.
    #[track_caller]
    pub fn write_at(&self, data: impl Into<Vec<u8>>, offset: u64) -> Request<io::Result<usize>> {
        self.write_to(vec![data.into()], Some(offset), here())
    }

    /// Writes all bytes of several buffers as one, with as few calls as the system allows.
    /// Otherwise as [`write`](File::write).
    ///
    /// # Errors
    /// As [`write`](File::write); `InvalidInput` for an empty list.
    #[track_caller]
    pub fn write_vectored(&self, buffers: Vec<Vec<u8>>) -> Request<io::Result<usize>> {
        self.write_to(buffers, None, here())
    }

    /// As [`write_vectored`](File::write_vectored), at `offset`. The file's own offset stays.
    ///
    /// # Errors
    /// As [`write_vectored`](File::write_vectored).
    #[track_caller]
    pub fn write_vectored_at(
        &self,
        buffers: Vec<Vec<u8>>,
        offset: u64,
    ) -> Request<io::Result<usize>> {
        self.write_to(buffers, Some(offset), here())
    }

    pub(super) fn write_to(
        &self,
        buffers: Vec<Vec<u8>>,
        offset: Option<u64>,
        location: &'static Location<'static>,
    ) -> Request<io::Result<usize>> {
        if buffers.is_empty() {
            return self.queue.refuse_no_buffers("write", location);
        }
        let writing = Writing::new(buffers, offset);
        self.queue.operation("write", location, move |file| writing.go_on(file))
    }

    /// Moves the offset, and tells where it then is.
    ///
    /// # Errors
    /// The system's: `InvalidInput` before the start, `NotSeekable` for a pipe.
    #[track_caller]
    pub fn seek(&self, to: SeekFrom) -> Request<io::Result<u64>> {
        self.seek_at(to, here())
    }

    /// As [`seek`](File::seek), asked for at this line.
    pub(super) fn seek_at(
        &self,
        to: SeekFrom,
        location: &'static Location<'static>,
    ) -> Request<io::Result<u64>> {
        self.one_call("seek", location, move |mut file| file.seek(to))
    }

    /// What is known of the file.
    ///
    /// # Errors
    /// The system's.
    #[track_caller]
    pub fn metadata(&self) -> Request<io::Result<Metadata>> {
        self.one_call("fstat", here(), fs::File::metadata)
    }

    /// Makes the file `len` bytes long. The offset stays.
    ///
    /// # Errors
    /// As [`std::fs::File::set_len`].
    #[track_caller]
    pub fn set_len(&self, len: u64) -> Request<io::Result<()>> {
        self.one_call("ftruncate", here(), move |file| file.set_len(len))
    }

    /// Waits until the device has all that was written, and what is known of the file.
    ///
    /// # Errors
    /// The system's: what it could not store.
    #[track_caller]
    pub fn sync_all(&self) -> Request<io::Result<()>> {
        self.one_call("fsync", here(), fs::File::sync_all)
    }

    /// Waits until the device has all that was written, and what is needed to find it again.
    ///
    /// # Errors
    /// As [`sync_all`](File::sync_all).
    #[track_caller]
    pub fn sync_data(&self) -> Request<io::Result<()>> {
        self.one_call("fdatasync", here(), fs::File::sync_data)
    }

    /// Sets who may use the file.
    ///
    /// # Errors
    /// The system's.
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> Request<io::Result<()>> {
        self.one_call("fchmod", here(), move |file| file.set_permissions(permissions))
    }

    /// Sets whose the file is. `None` leaves the user or the group as it is.
    ///
    /// # Errors
    /// As [`chown`](super::chown).
    #[track_caller]
    pub fn chown(&self, user: Option<u32>, group: Option<u32>) -> Request<io::Result<()>> {
        self.one_call("fchown", here(), move |file| std::os::unix::fs::fchown(file, user, group))
    }

    /// Sets the times of the last access and the last modification.
    ///
    /// # Errors
    /// As [`set_times`](super::set_times).
    #[track_caller]
    pub fn set_times(
        &self,
        accessed: impl Into<FileTime>,
        modified: impl Into<FileTime>,
    ) -> Request<io::Result<()>> {
        let (accessed, modified) = (accessed.into(), modified.into());
        self.one_call("futime", here(), move |file| {
            sys::file::set_file_times(file, [accessed.moment()?, modified.moment()?])
        })
    }

    /// Writes here, at this file's offset, up to `len` bytes of `source` from `offset` on; how many
    /// that were: 0 at the end. The offset of `source` stays (libuv's `uv_fs_sendfile`).
    ///
    /// In order with the operations of this file, not with those of `source`.
    ///
    /// # Cost
    /// One pool job for every 8 MiB; 64 KiB of memory.
    ///
    /// # Errors
    /// As [`read_at`](File::read_at) and [`write`](File::write).
    ///
    /// # Examples
    /// ```
    /// use windlass::fs::File;
    ///
    /// let path = std::env::temp_dir().join("windlass-doc-send");
    /// windlass::block_on(async {
    ///     let source = File::open("Cargo.toml").await?;
    ///     let target = File::create(&path).await?;
    ///     assert_eq!(target.copy_from(&source, 1, 7).await?, 7);
    ///     assert_eq!(windlass::fs::read(&path).await?, b"package");
    ///     windlass::fs::remove_file(&path).await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn copy_from(&self, source: &File, offset: u64, len: usize) -> Request<io::Result<usize>> {
        let source = source.queue.share();
        self.queue.operation("copy", here(), move |target| {
            Sending::new(source?, target, offset, len).go_on()
        })
    }

    /// Opens the file once more: a file with an order of its own, but the same offset.
    ///
    /// # Errors
    /// The system's: no descriptors left.
    #[track_caller]
    pub fn try_clone(&self) -> Request<io::Result<File>> {
        let location = here();
        let (state, path) = (self.queue.state.clone(), self.queue.path.clone());
        let copied = self.one_call("dup", location, fs::File::try_clone);
        super::job::map(&self.queue.state, location, copied, move |file| File {
            queue: FileQueue::new(state, location, file, path),
        })
    }

    fn one_call<T: Send + 'static>(
        &self,
        name: &'static str,
        location: &'static Location<'static>,
        call: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> Request<io::Result<T>> {
        self.queue.operation(name, location, move |file| call(&file).map(Step::Done))
    }
}

impl AsRawFd for File {
    /// The descriptor, for options and reports. -1 when the file was closed or given away.
    fn as_raw_fd(&self) -> RawFd {
        self.queue.with_file(AsRawFd::as_raw_fd).unwrap_or(-1)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.queue.path)
            .field("descriptor", &self.as_raw_fd())
            .finish_non_exhaustive()
    }
}
