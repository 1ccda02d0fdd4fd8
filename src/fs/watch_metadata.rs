//! The metadata of a path, asked for again and again (libuv's `uv_fs_poll_t`).
//!
//! One look at a time, on the pool. The next one begins a whole number of intervals after the last
//! one began: one that takes longer than an interval is followed by the next of the grid.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::PathError;
use super::job::origin;
use crate::callback;
use crate::callback::slot::{Once, Registered, Slot};
use crate::clock::Nanos;
use crate::phase::timers::{self, Timer};
use crate::pool::{self, Admission};
use crate::queue::closure::Closure;
use crate::state::State;
use crate::state::current;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::trace::label::here;
use crate::trace::origin::Origin;

/// What a look has seen.
type Look = io::Result<Metadata>;

/// What all names of a watcher share.
struct Looking {
    /// Its entry in the loop's table: open until it is closed.
    registration: Registration,
    /// How many [`MetadataWatcher`]s there are for it.
    names: Names,
    /// What is looked at.
    path: PathBuf,
    /// From the start of a look to the start of the next. Not zero.
    interval: Duration,
    /// A callback is registered. It may be running, and is then not in its slot.
    listening: Cell<bool>,
    /// Called with each change.
    on_change: Slot<dyn FnMut(&Look, &Look)>,
    /// What changes are compared with. None before the first look.
    seen: RefCell<Option<Rc<Look>>>,
    /// The first look has failed, which the callback is told too.
    failure_untold: Cell<bool>,
    /// A look is under way.
    busy: Cell<bool>,
    /// When the last look began, on the loop's clock.
    began: Cell<Nanos>,
    /// Begins the next look.
    alarm: Cell<Option<Timer>>,
    /// Waits for the close. Gone when it is queued for the close phase.
    on_close: Once<dyn FnOnce()>,
    /// The line that made the watcher.
    location: &'static Location<'static>,
}

impl Looking {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Begins a look. Nothing is under way.
    fn look(self: &Rc<Self>) {
        self.busy.set(true);
        self.began.set(self.state().clock.now());
        let path = self.path.clone();
        let work = move || {
            fs::metadata(&path).map_err(|error| PathError::wrap("watch_metadata", &path, error))
        };
        let location = origin(self.location);
        let request = pool::submit(self.state(), location, Admission::GoesOn, work, pool::flatten);
        let looking = self.clone();
        request.pass_to(move |look| looking.looked(look));
    }

    fn looked(self: &Rc<Self>, look: Look) {
        self.busy.set(false);
        if !self.registration.is_open() {
            return;
        }
        let look = Rc::new(look);
        let before = self.seen.borrow().clone();
        if !self.listening.get() {
            // The first: later changes count from here, and are told once somebody listens.
            self.failure_untold.set(look.is_err());
            self.seen.replace(Some(look));
            return;
        }
        self.seen.replace(Some(look.clone()));
        let tell = match &before {
            None => look.is_err(),
            Some(before) => self.failure_untold.take() || differ(before, &look),
        };
        self.schedule();
        if tell {
            let before = before.unwrap_or_else(|| look.clone());
            callback::call_slot(self.state(), self.kind(), &self.on_change, |f| f(&before, &look));
        }
    }

    /// Sets the alarm for the next look.
    fn schedule(self: &Rc<Self>) {
        let elapsed = self.state().clock.read().saturating_sub(self.began.get());
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(Nanos::MAX);
        let delay = Duration::from_nanos(interval - elapsed % interval);
        let looking = self.clone();
        let alarm = timers::set_internal(self.state(), delay, self.location, move || {
            looking.alarm.set(None);
            looking.look();
        });
        self.alarm.set(Some(alarm));
    }

    #[track_caller]
    fn listen(self: &Rc<Self>, f: Box<dyn FnMut(&Look, &Look)>) {
        if !self.registration.is_open() {
            return;
        }
        let listened = self.listening.replace(true);
        let before = self.on_change.set(f);
        self.registration.set_active(true);
        if !listened && !self.busy.get() {
            self.schedule();
        }
        drop(before);
    }

    fn close(&self) {
        let Some(entry) = self.registration.close() else { return };
        self.listening.set(false);
        if let Some(alarm) = self.alarm.take() {
            alarm.clear();
        }
        let on_change = self.on_change.clear();
        if let Some((on_close, origin)) = self.on_close.take(self.kind()) {
            self.push_on_close(origin, on_close);
        }
        // Last: what the callback captured may call back into the loop.
        drop((on_change, entry));
    }

    fn push_on_close(&self, origin: Origin, f: Box<dyn FnOnce()>) {
        let state = self.state().clone();
        let call = move || callback::call(&state, origin, f);
        self.state().push_closing(Closure::new(call));
    }
}

/// Whether two looks have seen different things. Reading a file changes nothing of it.
fn differ(one: &Look, other: &Look) -> bool {
    let words = |m: &Metadata| {
        let times = [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()];
        (times, [m.dev(), m.ino(), m.size()], [m.mode(), m.uid(), m.gid()])
    };
    let code =
        |error: &io::Error| (error.kind(), PathError::of(error).and_then(PathError::raw_os_error));
    match (one, other) {
        (Ok(one), Ok(other)) => words(one) != words(other),
        (Err(one), Err(other)) => code(one) != code(other),
        _ => true,
    }
}

impl Handle for Looking {
    fn kind(&self) -> &'static str {
        "metadata watcher"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        drop(self.registration.close());
        self.listening.set(false);
        callback::drop_quietly(self.on_change.clear());
        callback::drop_quietly(self.on_close.clear());
    }
}

impl Named for Looking {
    fn names(&self) -> &Names {
        &self.names
    }

    /// A watcher with a callback belongs to its loop.
    fn last_name_dropped(self: &Rc<Self>) {
        if !self.listening.get() {
            self.close();
        }
    }
}

/// Asks for the metadata of a path again and again, `interval` apart, on the pool.
///
/// For what [`watch`](super::watch) cannot tell of: files of other machines, and paths that do not
/// exist yet. The first look begins with this call; later ones only while there is a callback, and
/// there is one look at a time. An interval of less than a millisecond counts as one.
///
/// # Liveness
/// The watcher keeps the loop alive while a callback is registered, unless
/// [`unref`](MetadataWatcher::unref)'d. A look that is under way does in any case.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::fs;
///
/// let path = std::env::temp_dir().join(format!("watched-{}", std::process::id()));
/// windlass::run(|| {
///     let watcher = fs::watch_metadata(&path, Duration::from_millis(1));
///     let own = watcher.clone();
///     watcher.on_change(move |previous, current| match (previous, current) {
///         (Err(_), Err(error)) => {
///             println!("not yet: {error}");
///             std::fs::write(own.path(), "text").unwrap();
///         }
///         (_, Ok(file)) => {
///             println!("there it is, with {} bytes", file.len());
///             own.close();
///         }
///         (Ok(_), Err(_)) => unreachable!("nobody removes it"),
///     });
/// });
/// std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn watch_metadata(path: impl AsRef<Path>, interval: Duration) -> MetadataWatcher {
    let state = current::expect("fs::watch_metadata");
    let location = here();
    let looking = Rc::new(Looking {
        registration: Registration::new(state.clone()),
        names: Names::default(),
        path: path.as_ref().to_owned(),
        interval: interval.max(Duration::from_millis(1)),
        listening: Cell::new(false),
        on_change: Slot::default(),
        seen: RefCell::new(None),
        failure_untold: Cell::new(false),
        busy: Cell::new(false),
        began: Cell::new(0),
        alarm: Cell::new(None),
        on_close: Once::default(),
        location,
    });
    if state.is_open() {
        looking.registration.open(looking.clone(), location, false);
        looking.look();
    }
    MetadataWatcher { looking: Name::new(looking) }
}

/// Tells when the metadata of a path have changed. Made by [`watch_metadata`].
///
/// `Clone`: a clone is another name for the same watcher. With a callback registered it belongs to
/// the loop until it is closed; without one it closes when the last clone is dropped.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     let watcher = windlass::fs::watch_metadata("Cargo.toml", Duration::from_secs(1));
///     watcher.on_change(|before, now| {
///         if let (Ok(before), Ok(now)) = (before, now) {
///             println!("{} bytes, then {}", before.len(), now.len());
///         }
///     });
///     watcher.close();
/// });
/// ```
#[derive(Clone)]
pub struct MetadataWatcher {
    /// A name of what all clones share.
    looking: Name<Looking>,
}

impl MetadataWatcher {
    /// Calls `f` with the previous and the current look when they differ: in size, owner, mode,
    /// times of modification, or in being another file. Replaces the callback given before.
    ///
    /// A path that cannot be read is an error, told once until that changes. If the first look
    /// fails, `f` is given its error twice. Of several changes between two looks the last counts;
    /// what has changed since the first look before there was a callback is told as one change.
    #[track_caller]
    pub fn on_change(&self, f: impl FnMut(&io::Result<Metadata>, &io::Result<Metadata>) + 'static) {
        self.looking.listen(Box::new(f));
    }

    /// What is looked at, as it was given.
    pub fn path(&self) -> &Path {
        &self.looking.path
    }

    /// Stops looking: no callback comes, not even for a look that is under way. Closing again does
    /// nothing.
    pub fn close(&self) {
        self.looking.close();
    }

    /// Calls `f` in the close phase after the watcher was closed. Replaces the callback given
    /// before.
    #[track_caller]
    pub fn on_close(&self, f: impl FnOnce() + 'static) {
        if self.looking.registration.is_open() {
            let before = self.looking.on_close.set(Box::new(f));
            drop(before);
        } else if self.looking.state().is_open() {
            let origin = Registered::here().origin(self.looking.kind());
            self.looking.push_on_close(origin, Box::new(f));
        }
    }

    ref_methods!("watcher"; looking.registration);

    /// Whether the watcher was closed.
    pub fn is_closing(&self) -> bool {
        !self.looking.registration.is_open()
    }
}

impl fmt::Debug for MetadataWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataWatcher")
            .field("path", &self.path())
            .field("interval", &self.looking.interval)
            .finish_non_exhaustive()
    }
}
