//! From notices to events, and the watches of a tree.
//!
//! The kernel watches single directories. A watcher of a tree has one watch for each, adds one for
//! a directory that comes, and then looks what is in it already: what comes later is in the queue.
//! A directory that goes takes the watches below it along, also when it is moved within the tree:
//! where it arrives it has come. So a path is never older than the notice that was read last.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::watching::Watching;
use super::{Change, WatchEvent};
use crate::fs::PathError;
use crate::sys::inotify::{Notice, Seen};

impl Watching {
    /// Watches the root, and the tree below it if that is asked for.
    pub(super) fn begin(self: &Rc<Self>) -> io::Result<()> {
        let root = Path::new("");
        self.add(root).map_err(|error| PathError::wrap("watch", &self.path, error))?;
        if self.recursive() {
            self.descend(root.to_owned(), false);
        }
        Ok(())
    }

    /// A watch of this watcher has seen something. `path` is what it is for.
    pub(super) fn notice(self: &Rc<Self>, notice: &Notice<'_>, path: &Path) {
        if notice.seen == Seen::Ended {
            let mut watches = self.watches.borrow_mut();
            if watches.get(path) == Some(notice.watch) {
                watches.remove(path);
            }
            return;
        }
        let is_self = notice.name.is_empty();
        // What happens to a directory below the root is told by the watch of its parent too.
        if is_self && !path.as_os_str().is_empty() {
            return;
        }
        let whole = if is_self { path.to_owned() } else { path.join(notice.name) };
        let change = match notice.seen {
            Seen::Changed => Change::Changed,
            _ => Change::Renamed,
        };
        self.push(Ok(WatchEvent { change, path: whole.clone() }));
        match notice.seen {
            Seen::SelfGone => self.abandon(path),
            _ if !self.recursive() => {}
            // Its path leads elsewhere from now on.
            Seen::SelfMoved => self.abandon(path),
            Seen::Went if notice.is_directory => self.abandon(&whole),
            Seen::Came if notice.is_directory => self.descend(whole, true),
            _ => {}
        }
    }

    /// Notices are lost: says so, and sees which directories there are now.
    pub(super) fn overflow(self: &Rc<Self>) {
        self.push(Err(self.overflow_error()));
        if self.recursive() && self.watches.borrow().has_root() {
            let watched = self.watches.borrow().paths_below();
            watched.iter().for_each(|path| self.abandon(path));
            self.descend(PathBuf::new(), false);
        }
    }

    /// Watches a directory and all below it, breadth first. `tell` says that what is found is new.
    fn descend(self: &Rc<Self>, directory: PathBuf, tell: bool) {
        let mut left = VecDeque::from([directory]);
        while let Some(directory) = left.pop_front() {
            let Err(error) = self.watch_and_list(&directory, tell, &mut left) else { continue };
            let kind = error.kind();
            // It is gone already, or something else has its name: another notice will tell.
            if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                continue;
            }
            self.push(Err(PathError::wrap("watch", &self.path.join(&directory), error)));
            if kind == io::ErrorKind::StorageFull {
                return; // The user may have no more watches.
            }
        }
    }

    /// Watches one directory, and adds those in it to `left`. Nothing if it is watched already, but
    /// for the root.
    fn watch_and_list(
        self: &Rc<Self>,
        directory: &Path,
        tell: bool,
        left: &mut VecDeque<PathBuf>,
    ) -> io::Result<()> {
        if !directory.as_os_str().is_empty() && !self.add(directory)? {
            return Ok(());
        }
        for entry in fs::read_dir(self.full(directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if tell {
                self.push(Ok(WatchEvent { change: Change::Renamed, path: path.clone() }));
            }
            if entry.file_type()?.is_dir() {
                left.push_back(path);
            }
        }
        Ok(())
    }

    /// Has what is at a path watched. False if it was before.
    fn add(self: &Rc<Self>, path: &Path) -> io::Result<bool> {
        let watch = self.hub.add(self, &self.full(path), path)?;
        let before = self.watches.borrow_mut().insert(path, watch);
        match before {
            Some(before) if before == watch => return Ok(false),
            // Something else was there.
            Some(before) => self.hub.remove(self, before, path),
            None => {}
        }
        Ok(true)
    }

    /// Ends the watches of a path and of all below it.
    pub(super) fn abandon(&self, path: &Path) {
        loop {
            let first = self.watches.borrow_mut().take_from(path);
            let Some((first, watch)) = first else { return };
            self.hub.remove(self, watch, &first);
        }
    }

    /// The path of something as the system is given it.
    fn full(&self, path: &Path) -> PathBuf {
        // Joining nothing would add a slash, which a file must not have.
        if path.as_os_str().is_empty() { self.root().to_owned() } else { self.root().join(path) }
    }
}
