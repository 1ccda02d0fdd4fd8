//! The watches of one loop: one queue of the kernel's for all its watchers.
//!
//! The kernel gives one watch to a file or directory, however often it is asked for, so the hub
//! keeps for each watch the *places* at which it is told, and ends it with the last of them. Users
//! may have few such queues (128, as a rule) but very many watches.
//!
//! Reading the queue calls nobody: it hands events to the watchers, which call back in the next
//! poll phase.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
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
    /// Who is told what a watch sees.
    places: RefCell<BTreeMap<Place, Rc<Watching>>>,
    /// How many watchers are open.
    watchers: Cell<usize>,
    /// The number that was given to a watcher last.
    last_number: Cell<u64>,
}

/// Where a watcher is told what a watch sees. The places of one watch stand together, in the order
/// in which the watchers began.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The number of the watch.
    watch: i32,
    /// The number of the watcher.
    watcher: u64,
    /// What the watch is for, relative to what the watcher watches.
    path: PathBuf,
}

/// The places of one watch.
fn of_watch(
    places: &BTreeMap<Place, Rc<Watching>>,
    watch: i32,
) -> impl Iterator<Item = (&Place, &Rc<Watching>)> {
    let first = Place { watch, watcher: 0, path: PathBuf::new() };
    places.range(first..).take_while(move |(place, _)| place.watch == watch)
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
            last_number: Cell::new(0),
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

    /// A watcher opens. Returns its number.
    pub(super) fn enter(&self) -> u64 {
        self.watchers.set(self.watchers.get() + 1);
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
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
        let place = Place { watch, watcher: watcher.number, path: path.to_owned() };
        self.places.borrow_mut().entry(place).or_insert_with(|| watcher.clone());
        Ok(watch)
    }

    /// Has a watcher told no more of a watch at one of its paths. Ends the watch with its last
    /// place.
    pub(super) fn remove(&self, watcher: &Watching, watch: i32, path: &Path) {
        let place = Place { watch, watcher: watcher.number, path: path.to_owned() };
        let mut places = self.places.borrow_mut();
        let removed = places.remove(&place);
        let was_last = removed.is_some() && of_watch(&places, watch).next().is_none();
        drop(places);
        if was_last && let Some(inotify) = self.inotify.borrow().as_ref() {
            inotify.remove(watch);
        }
    }

    /// Hands all notices that are in the queue to the watchers there are: what has happened before
    /// a watcher began is not told to it. Not those that come meanwhile: others may write faster
    /// than this reads.
    pub(super) fn collect_all(&self) {
        let mut left = self.inotify.borrow().as_ref().map_or(0, |inotify| inotify.waiting());
        while left > 0
            && let Some(count) = self.collect()
        {
            left = left.saturating_sub(count);
        }
    }

    /// Reads the queue once. Returns how many bytes were in it, None if it was empty.
    fn collect(&self) -> Option<usize> {
        let mut buffer = [0; BYTES_PER_READ];
        let read = self.inotify.borrow().as_ref()?.read(&mut buffer);
        let notices = match read {
            Ok(notices) => notices,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    log::error!("what happens to watched files cannot be read: {error}");
                }
                return None;
            }
        };
        let count = notices.len();
        notices.for_each(|notice| self.tell(&notice));
        Some(count)
    }

    /// The watchers that are told of any watch, each once, in the order in which they began.
    fn watching(&self) -> Vec<Rc<Watching>> {
        let places = self.places.borrow();
        let watchers: BTreeMap<_, _> =
            places.iter().map(|(place, watcher)| (place.watcher, watcher)).collect();
        watchers.into_values().cloned().collect()
    }

    fn tell(&self, notice: &Notice<'_>) {
        if notice.seen == Seen::Overflow {
            return self.watching().iter().for_each(Watching::overflow);
        }
        // None for a watch that was ended with notices in the queue.
        let told: Vec<(Place, Rc<Watching>)> = of_watch(&self.places.borrow(), notice.watch)
            .map(|(place, watcher)| (place.clone(), watcher.clone()))
            .collect();
        if notice.seen == Seen::Ended {
            let mut places = self.places.borrow_mut();
            told.iter().for_each(|(place, _)| drop(places.remove(place)));
        }
        for (place, watcher) in told {
            watcher.notice(notice, &place.path);
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
            if self.collect().is_none() {
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
