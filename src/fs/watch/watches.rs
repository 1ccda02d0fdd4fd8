//! Which watches a watcher has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The watches of a watcher, by the path of what they are for, relative to the root. The root's is
/// empty.
///
/// Most watchers watch no tree, and a map would be the most of what one costs.
#[derive(Default)]
pub(super) struct Watches {
    /// The root's.
    root: Option<i32>,
    /// Those of what lies below it. Paths are sorted by their parts, so a tree stands together.
    below: BTreeMap<PathBuf, i32>,
}

impl Watches {
    pub(super) fn get(&self, path: &Path) -> Option<i32> {
        if is_root(path) { self.root } else { self.below.get(path).copied() }
    }

    /// The one that was there before comes back.
    pub(super) fn insert(&mut self, path: &Path, watch: i32) -> Option<i32> {
        if is_root(path) {
            self.root.replace(watch)
        } else {
            self.below.insert(path.to_owned(), watch)
        }
    }

    pub(super) fn remove(&mut self, path: &Path) -> Option<i32> {
        if is_root(path) { self.root.take() } else { self.below.remove(path) }
    }

    /// Takes out the first one of a path and of all below it.
    pub(super) fn take_from(&mut self, path: &Path) -> Option<(PathBuf, i32)> {
        if is_root(path) {
            let root = self.root.take().map(|watch| (PathBuf::new(), watch));
            return root.or_else(|| self.below.pop_first());
        }
        let (first, _) = self.below.range(path.to_owned()..).next()?;
        if !first.starts_with(path) {
            return None;
        }
        let first = first.clone();
        self.below.remove_entry(&first)
    }

    /// Whether the root is watched.
    pub(super) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// The paths below the root.
    pub(super) fn paths_below(&self) -> Vec<PathBuf> {
        self.below.keys().cloned().collect()
    }
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
