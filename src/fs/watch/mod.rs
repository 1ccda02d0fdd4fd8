//! What happens to files and directories, told as it happens: inotify on the loop itself.
//!
//! `hub.rs` has the kernel's queue of a loop and says which watcher is told what; `tree.rs` makes
//! events of notices and watches what comes to a tree; `watches.rs` has the watches of a watcher;
//! `watching.rs` is the handle.

mod hub;
mod tree;
mod watches;
mod watching;

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::error;
use crate::state::State;
use crate::state::current;
use crate::state::named::Name;
use crate::state::references::ref_methods;
use crate::task::waiters::Place;
use crate::trace::label::here;
use hub::Hub;
use watching::Watching;

/// What a [`Watcher`] tells of.
///
/// # Examples
/// ```
/// use windlass::fs::{Change, watch};
///
/// windlass::run(|| {
///     let watcher = watch("Cargo.toml")?;
///     watcher.on_event(|event| match event {
///         Ok(event) if event.change == Change::Renamed => println!("moved or removed"),
///         Ok(_) => println!("changed"),
///         Err(error) => println!("{error}"),
///     });
///     watcher.close();
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The content or the metadata has changed.
    Changed,
    /// It was made, removed, moved here or moved away: which one, a look at the path tells.
    Renamed,
}

/// One event of a [`Watcher`].
///
/// # Examples
/// ```
/// let folder = std::env::temp_dir().join(format!("windlass-watch-event-{}", std::process::id()));
/// std::fs::create_dir(&folder)?;
/// windlass::block_on(async {
///     let watcher = windlass::fs::watch(&folder)?;
///     std::fs::write(folder.join("new"), "text")?;
///     let event = watcher.next().await?;
///     assert_eq!(event.path.as_os_str(), "new");
///     Ok::<(), std::io::Error>(())
/// })?;
/// std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What has happened.
    pub change: Change,
    /// To what it has happened, relative to what is watched; empty for the watched thing itself.
    pub path: PathBuf,
}

/// Watches a file, or a directory with what is directly in it.
///
/// Watching begins with this call: nothing that happened before is told, and what happens from now
/// on waits for a callback or a task.
///
/// # What is told
/// For a directory, what is made, removed, renamed or changed in it, each with its name, and what
/// happens to the directory itself with an empty path. For a file, its own changes alone. The
/// kernel merges identical events that follow each other; nothing else is merged.
///
/// A watcher follows the thing and not its name. When another file is renamed over the watched one,
/// that is told (`Changed`, and `Renamed` once nobody has the old file open), and later changes of
/// the new file are not: watch the path anew, or watch its directory. What was removed tells so
/// with `Renamed` and an empty path, and is then silent.
///
/// # Errors
/// `NotFound` and others from the system, with the path. `Unsupported` on systems other than Linux
/// so far.
///
/// # Cost
/// Some system calls. All watchers of a loop share one descriptor, which the loop keeps.
///
/// # Virtual time
/// Files know none: events come in their own time, as those of sockets do. With a timer armed the
/// clock goes on without them; with nothing else left the loop waits for them in the system.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs::{self, Change};
///
/// windlass::block_on(async {
///     let folder = fs::create_temp_dir(std::env::temp_dir().join("watch-XXXXXX")).await?;
///     let watcher = fs::watch(&folder)?;
///     fs::write(folder.join("new"), "text").await?;
///     let event = watcher.next().await?;
///     assert_eq!((event.change, event.path.to_str()), (Change::Renamed, Some("new")));
///     watcher.close();
///     fs::remove_dir_all(folder).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn watch(path: impl AsRef<Path>) -> io::Result<Watcher> {
    start(current::expect("fs::watch"), path.as_ref(), false, here())
}

/// Watches a directory and all directories below it, now and later.
///
/// As [`watch`], with paths of several parts. What comes with a new directory, or was made in it
/// before it could be watched, is told as `Renamed`, some of it perhaps twice. A tree that is moved
/// away is not watched any more, one that is moved within the tree goes on at its new place. Links
/// below the top are not followed. When the top itself is moved or removed, that is told with an
/// empty path, and then nothing.
///
/// A directory below the top that cannot be watched is an `Err` event with its path: `StorageFull`
/// means that the user has no more watches (`fs.inotify.max_user_watches`).
///
/// # Errors
/// As [`watch`], of the top.
///
/// # Cost
/// Grows with the number of directories: a watch of the kernel for each, and reading each of them,
/// on the loop's own thread, before this returns; so does a tree that is moved in. After an
/// overflow all are read once more.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::fs;
///
/// windlass::block_on(async {
///     let folder = fs::create_temp_dir(std::env::temp_dir().join("watch-XXXXXX")).await?;
///     let watcher = fs::watch_recursive(&folder)?;
///     fs::create_dir_all(folder.join("a/b")).await?;
///     let mut seen = Vec::new();
///     while seen.last().is_none_or(|path| path != "a/b") {
///         seen.push(watcher.next().await?.path.to_str().unwrap().to_owned());
///     }
///     assert_eq!(seen[0], "a");
///     watcher.close();
///     fs::remove_dir_all(folder).await
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn watch_recursive(path: impl AsRef<Path>) -> io::Result<Watcher> {
    start(current::expect("fs::watch_recursive"), path.as_ref(), true, here())
}

fn start(
    state: Rc<State>,
    path: &Path,
    recursive: bool,
    location: &'static Location<'static>,
) -> io::Result<Watcher> {
    if !state.is_open() {
        return Err(error::shut_down());
    }
    let root = match recursive {
        true if path.as_os_str().is_empty() => Some(PathBuf::new()),
        true => Some(std::path::absolute(path)?),
        false => None,
    };
    let hub = Hub::of(&state, location)?;
    hub.collect_all();
    let watching = Watching::new(&state, hub, path.to_owned(), root, location);
    let watcher = Watcher { watching: Name::new(watching) };
    // On an error the only name goes, and the watcher closes.
    watcher.watching.begin()?;
    Ok(watcher)
}

/// Tells what happens to files. Made by [`watch`] and [`watch_recursive`].
///
/// `Clone`: a clone is another name for the same watcher. With a callback registered it belongs to
/// the loop until it is closed; without one it closes when the last clone is dropped.
///
/// # Overflow
/// Events that come faster than they are taken are lost, in the kernel's queue or, beyond 16,384 of
/// one watcher, in its own. That is told as an error of kind `Other` whose source says so. The
/// watcher goes on: look what has become of the files, and take the next event.
///
/// # Liveness
/// It keeps the loop alive while a callback is registered or a task waits for an event, unless
/// [`unref`](Watcher::unref)'d. That goes on when the watched thing is gone.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let watcher = windlass::fs::watch("src")?;
///     watcher.on_event(|event| match event {
///         Ok(event) => println!("{:?}: {}", event.change, event.path.display()),
///         Err(error) => println!("{error}"),
///     });
///     watcher.unref(); // Watches for as long as something else goes on.
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Watcher {
    /// A name of what all clones share.
    watching: Name<Watching>,
}

impl Watcher {
    /// Calls `f` for each event, in the order in which they happened, in the poll phase; also for
    /// those that have waited since the watcher was made. Replaces the callback given before.
    ///
    /// At most 64 in one poll phase, so that other handles are served. An error is an event as well
    /// and ends nothing.
    #[track_caller]
    pub fn on_event(&self, f: impl FnMut(io::Result<WatchEvent>) + 'static) {
        self.watching.set_on_event(Box::new(f));
    }

    /// Waits for an event. Dropping the future loses none, and other tasks that wait go on waiting.
    /// A callback takes the events that no task waits for.
    ///
    /// # Errors
    /// What is an error for a callback; invalid-input when the watcher was closed.
    pub fn next(&self) -> NextEvent<'_> {
        NextEvent { watcher: self, place: Place::default() }
    }

    /// An event, or keeps the task's waker until there is one. One task can wait so: a later one
    /// takes the place of the one before. Those in [`next`](Watcher::next) wait beside it.
    ///
    /// # Errors
    /// As [`next`](Watcher::next).
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<WatchEvent>> {
        self.watching.poll_next(self.watching.readers.poller(), cx)
    }

    /// What is watched, as it was given.
    pub fn path(&self) -> &Path {
        &self.watching.path
    }

    /// Stops watching now: what has not been told is not told any more. Closing again does nothing.
    pub fn close(&self) {
        self.watching.close();
    }

    /// Calls `f` in the close phase after the watcher was closed. Replaces the callback given
    /// before.
    #[track_caller]
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        self.watching.set_on_close(Box::new(f));
    }

    ref_methods!("watcher"; watching.registration);

    /// Whether the watcher was closed.
    pub fn is_closing(&self) -> bool {
        !self.watching.registration.is_open()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("path", &self.path())
            .field("recursive", &self.watching.recursive())
            .finish_non_exhaustive()
    }
}

/// An event that is waited for. Made by [`Watcher::next`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::block_on(async {
///     let watcher = windlass::fs::watch("Cargo.toml")?;
///     let event = windlass::time::timeout(Duration::from_millis(1), watcher.next()).await;
///     assert!(event.is_err(), "nothing has changed");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NextEvent<'a> {
    /// The watcher that is waited for.
    watcher: &'a Watcher,
    /// Its place among the tasks that wait.
    place: Place,
}

impl Future for NextEvent<'_> {
    type Output = io::Result<WatchEvent>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.watcher.watching.poll_next(&self.place, cx)
    }
}

impl Drop for NextEvent<'_> {
    fn drop(&mut self) {
        self.watcher.watching.leave(&self.place);
    }
}
