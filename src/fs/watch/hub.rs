//! The watches of one loop: one queue of the kernel's for all its watchers.
//!
//! The kernel gives one watch to a file or directory, however often it is asked for, so the hub
//! keeps for each watch the *places* at which it is told, and ends it with the last of them. Users
//! may have few such queues (128, as a rule) but very many watches.
//!
//! Reading the queue calls nobody: it hands events to the watchers, which call back in the next
//! poll phase.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::watching::Watching;
use crate::state::State;
use crate::state::registration::{Handle, Registration};
use crate::sys::inotify::{Inotify, Notice, Seen};
use crate::sys::{self, Event};

/// Bytes of one read of the queue: some hundred notices.
const BYTES_PER_READ: usize = 16 * 1024;

/// Reads in one poll phase. What is left is read in the next one.
const READS_PER_ROUND: usize = 16;

/// What all watchers of a loop share.
pub(super) struct Hub {
    /// Open while there are watchers. Registered with the poller, but not active: it holds nothing.
    registration: Registration,
    /// None once the hub has ended. The loop keeps it for the next hub: the kernel takes some ten
    /// milliseconds to close one.
    inotify: RefCell<Option<Rc<Inotify>>>,
    /// Who is told what a watch sees, by the watch's number.
    places: RefCell<HashMap<i32, Vec<Place>>>,
    /// How many watchers are open.
    watchers: Cell<usize>,
}

/// Where a watcher is told what a watch sees.
#[derive(Clone)]
struct Place {
    /// Who is told.
    watcher: Rc<Watching>,
    /// What the watch is for, relative to what the watcher watches.
    path: PathBuf,
}

impl Hub {
    /// The loop's hub, made with its first watcher and gone with its last.
    pub(super) fn of(
        state: &Rc<State>,
        location: &'static Location<'static>,
    ) -> io::Result<Rc<Hub>> {
        if let Some(hub) = state.extension::<Hub>() {
            return Ok(hub);
        }
        let kept = state.extension::<Inotify>();
        let inotify = kept.clone().map_or_else(|| Inotify::new().map(Rc::new), Ok)?;
        let hub = Rc::new(Hub {
            registration: Registration::new(state.clone()),
            inotify: RefCell::new(None),
            places: RefCell::default(),
            watchers: Cell::new(0),
        });
        hub.registration.open(hub.clone(), location, false);
        let key = hub.registration.key().expect("an open handle has a key").to_bits();
        let register = |poller: &sys::Poller| {
            poller.register_descriptor(inotify.as_fd(), Event::READABLE, key)
        };
        if let Err(error) = state.register(register) {
            drop(hub.registration.close());
            return Err(error);
        }
        if kept.is_none() {
            state.set_extension(inotify.clone());
        }
        hub.inotify.replace(Some(inotify));
        state.set_extension(hub.clone());
        Ok(hub)
    }

    /// A watcher has opened.
    pub(super) fn enter(&self) {
        self.watchers.set(self.watchers.get() + 1);
    }

    /// A watcher that has no places any more has closed. The last one takes the hub along.
    pub(super) fn leave(&self) {
        self.watchers.set(self.watchers.get() - 1);
        if self.watchers.get() == 0 {
            self.end();
        }
    }

    fn end(&self) {
        let Some(inotify) = self.inotify.take() else { return };
        let state = &self.registration.state;
        state.sources.deregister(|poller| poller.deregister_descriptor(inotify.as_fd()));
        drop((self.registration.close(), state.remove_extension::<Hub>()));
    }

    /// Has a watcher told what happens at `full`, which for itself is `path`.
    ///
    /// Gives the number of the watch.
    pub(super) fn add(&self, watcher: &Rc<Watching>, full: &Path, path: &Path) -> io::Result<i32> {
        let inotify = self.inotify.borrow();
        let inotify = inotify.as_ref().ok_or_else(crate::error::shut_down)?;
        let watch = inotify.add(full, !path.as_os_str().is_empty())?;
        let mut places = self.places.borrow_mut();
        // Most watches have one watcher: room for four would be most of what a place costs.
        let places = places.entry(watch).or_insert_with(|| Vec::with_capacity(1));
        let same = |place: &Place| Rc::ptr_eq(&place.watcher, watcher) && place.path == path;
        if !places.iter().any(same) {
            places.push(Place { watcher: watcher.clone(), path: path.to_owned() });
        }
        Ok(watch)
    }

    /// Has a watcher told no more of a watch at one of its paths. Ends the watch with its last
    /// place.
    pub(super) fn remove(&self, watcher: &Watching, watch: i32, path: &Path) {
        let mut places = self.places.borrow_mut();
        let Some(of_watch) = places.get_mut(&watch) else { return };
        of_watch.retain(|place| !std::ptr::eq(&*place.watcher, watcher) || place.path != path);
        if of_watch.is_empty() {
            places.remove(&watch);
            if let Some(inotify) = self.inotify.borrow().as_ref() {
                inotify.remove(watch);
            }
        }
    }

    /// Hands all notices that are in the queue to the watchers there are: what has happened before
    /// a watcher began is not told to it.
    pub(super) fn collect_all(&self) {
        while self.collect() {}
    }

    /// Reads the queue once. False if it was empty.
    fn collect(&self) -> bool {
        let mut buffer = [0; BYTES_PER_READ];
        let notices = match self.inotify.borrow().as_ref() {
            Some(inotify) => inotify.read(&mut buffer),
            None => return false,
        };
        match notices {
            Ok(notices) => notices.for_each(|notice| self.tell(&notice)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                log::error!("what happens to watched files cannot be read: {error}");
                return false;
            }
        }
        true
    }

    /// The watchers that are told of any watch, each once, in the order in which they began.
    fn watching(&self) -> Vec<Rc<Watching>> {
        let places = self.places.borrow();
        let places = places.values().flatten();
        let watchers: BTreeMap<_, _> = places
            .filter_map(|place| Some((place.watcher.registration.key()?.to_bits(), &place.watcher)))
            .collect();
        watchers.into_values().cloned().collect()
    }

    fn tell(&self, notice: &Notice<'_>) {
        if notice.seen == Seen::Overflow {
            return self.watching().iter().for_each(Watching::overflow);
        }
        let places = match notice.seen {
            Seen::Ended => self.places.borrow_mut().remove(&notice.watch),
            _ => self.places.borrow().get(&notice.watch).cloned(),
        };
        // None for a watch that was ended with notices in the queue.
        for Place { watcher, path } in places.into_iter().flatten() {
            watcher.notice(notice, &path);
        }
    }
}

impl Handle for Hub {
    fn kind(&self) -> &'static str {
        "file event queue"
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn ready(self: Rc<Self>, _state: &Rc<State>, _event: Event) {
        for _ in 0..READS_PER_ROUND {
            if !self.collect() {
                return;
            }
        }
        self.registration.call_again();
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        // They are torn down by themselves, and hold this hub.
        drop(self.places.take());
        self.end();
        drop(self.registration.state.remove_extension::<Inotify>());
    }
}
