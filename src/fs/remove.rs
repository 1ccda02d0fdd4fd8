//! A directory removed with everything in it, however deep that is.
//!
//! The walk goes by descriptors and opens no links, so nobody can lead it elsewhere by putting a
//! link in the place of a directory. The way down is a list and not a recursion, and only its last
//! [`OPEN_LEVELS`] directories are open. One that was closed is opened again on the way back as the
//! parent of the one below it, and must then be the directory that it was: when somebody has moved
//! the lower one away, the parent that it has now is not ours to empty. The way is then gone anew,
//! from the top, as far as it is still there.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::mem;
use std::path::Path;

use crate::sys::dir::{self, Dir, Identity};

/// How many directories of the way down stay open. To list one again from its start takes time
/// where it is wide, so there are a few; a process may have few descriptors, so there are not many.
const OPEN_LEVELS: usize = 16;

/// Removes a directory with everything in it, or a link.
pub(super) fn with_all_in_it(path: &Path) -> io::Result<()> {
    // A slash at the end would lead behind a link, to what is not to be removed.
    let bare = path.components().as_path();
    if fs::symlink_metadata(bare)?.is_symlink() {
        // With the slash it is refused as no file.
        return fs::remove_file(path);
    }
    let top = Level { name: CString::default(), place: Place::Open(Dir::open(bare)?) };
    let mut way = Way { path: bare, levels: vec![top] };
    while !way.levels.is_empty() {
        way.step()?;
    }
    unless_gone(fs::remove_dir(bare))
}

/// From the top to the directory that is being emptied.
struct Way<'a> {
    /// The path of the top.
    path: &'a Path,
    /// The last one is open, and so are some just before it. Empty when all is done.
    levels: Vec<Level>,
}

/// A directory on the way.
struct Level {
    /// Its name in the one above. Empty for the top, which has a path.
    name: CString,
    /// Whether it is open.
    place: Place,
}

/// Where a directory is to be found.
enum Place {
    /// Here, its listing as far as it was read.
    Open(Dir),
    /// Above the next one, where it must be this one.
    Above(Identity),
}

impl Way<'_> {
    /// Removes a file, goes down into a directory, or leaves and removes one that is empty.
    fn step(&mut self) -> io::Result<()> {
        let last = self.last();
        let Some(entry) = last.next()? else { return self.go_up() };
        if entry.is_dir == Some(false) {
            return unless_gone(last.remove_file(&entry.name));
        }
        match self.open(&entry.name) {
            Ok(below) => self.go_down(entry.name, below),
            // The listing did not say so, or it has become something else since.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                unless_gone(self.last().remove_file(&entry.name))
            }
            Err(error) => unless_gone(Err(error)),
        }
    }

    /// The directory that is being emptied.
    fn last(&mut self) -> &mut Dir {
        match self.levels.last_mut() {
            Some(Level { place: Place::Open(dir), .. }) => dir,
            _ => unreachable!("the last level is open"),
        }
    }

    /// Opens a directory in the last one. When there are no descriptors, those of the way are used.
    fn open(&mut self, name: &CStr) -> io::Result<Dir> {
        loop {
            let error = match self.last().open_in(name) {
                Err(error) if dir::is_out_of_descriptors(&error) => error,
                opened => return opened,
            };
            let (_, above) = self.levels.split_last_mut().expect("the last level is open");
            let open = above.iter_mut().find(|level| matches!(level.place, Place::Open(_)));
            open.ok_or(error)?.close()?;
        }
    }

    fn go_down(&mut self, name: CString, below: Dir) -> io::Result<()> {
        self.levels.push(Level { name, place: Place::Open(below) });
        match self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            Some(index) => self.levels[index].close(),
            None => Ok(()),
        }
    }

    /// Removes the last directory, which is empty, from the one above.
    fn go_up(&mut self) -> io::Result<()> {
        let Some(Level { name, place: Place::Open(below) }) = self.levels.pop() else {
            unreachable!("the last level is open");
        };
        // The top is removed by its path.
        let Some(above) = self.levels.last_mut() else { return Ok(()) };
        if let Place::Above(identity) = above.place {
            let found = unless_gone(below.open_in(c"..").map(Some))?;
            drop(below);
            match found {
                Some(dir) if dir.identity()? == identity => above.place = Place::Open(dir),
                _ => return self.find_again(),
            }
        }
        unless_gone(self.last().remove_dir(&name))
    }

    /// Goes the way anew, as far as it is there, and lists the directory where it ends from its
    /// start.
    fn find_again(&mut self) -> io::Result<()> {
        for level in mem::take(&mut self.levels) {
            let opened = match self.levels.last_mut() {
                None => Dir::open(self.path),
                Some(Level { place: Place::Open(above), .. }) => above.open_in(&level.name),
                Some(_) => unreachable!("the last level is open"),
            };
            let dir = match opened {
                Ok(dir) => dir,
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
                Err(error) => return unless_gone(Err(error)),
            };
            let Place::Above(identity) = level.place else {
                unreachable!("no level is open above one that is not")
            };
            if dir.identity()? != identity {
                return Ok(());
            }
            if let Some(above) = self.levels.last_mut() {
                above.close()?;
            }
            self.levels.push(Level { name: level.name, place: Place::Open(dir) });
        }
        Ok(())
    }
}

impl Level {
    /// Gives the descriptor up until it is needed again.
    fn close(&mut self) -> io::Result<()> {
        if let Place::Open(dir) = &self.place {
            self.place = Place::Above(dir.identity()?);
        }
        Ok(())
    }
}

/// What somebody else has removed need not be removed.
fn unless_gone<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// An empty directory that belongs to one test.
    fn directory(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("windlass-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn way(path: &Path) -> Way<'_> {
        let top = Level { name: CString::default(), place: Place::Open(Dir::open(path).unwrap()) };
        Way { path, levels: vec![top] }
    }

    /// Goes on until the way has so many levels, then to the end after `act`.
    fn act_at_level(path: &Path, levels: usize, act: impl FnOnce()) -> io::Result<()> {
        let mut way = way(path);
        while way.levels.len() < levels {
            way.step()?;
        }
        act();
        while !way.levels.is_empty() {
            way.step()?;
        }
        unless_gone(fs::remove_dir(path))
    }

    /// A chain of directories with a file in each, all of one name.
    fn chain(top: &Path, levels: usize) -> PathBuf {
        let bottom = (1..levels).fold(top.to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&bottom).unwrap();
        for path in bottom.ancestors().take(levels) {
            fs::write(path.join("file"), "").unwrap();
        }
        bottom
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no directory by descriptor")]
    fn a_directory_that_is_moved_away_leads_nobody_out_of_the_tree() {
        let dir = directory("moved");
        let (top, elsewhere) = (dir.join("top"), dir.join("elsewhere"));
        let kept = elsewhere.join("kept");
        fs::create_dir_all(&kept).unwrap();
        for level in [1, 3, 20, 40, 60] {
            let bottom = chain(&top, 61);
            let moved = bottom.ancestors().nth(60 - level).unwrap();
            act_at_level(&top, 61, || fs::rename(moved, elsewhere.join("moved")).unwrap()).unwrap();
            assert!(!top.exists() && kept.exists(), "level {level}");
            // Where it is now is not where it was to be removed; it has been emptied.
            fs::remove_dir(elsewhere.join("moved")).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no directory by descriptor")]
    fn two_that_remove_one_tree_both_succeed() {
        let dir = directory("two");
        let top = dir.join("top");
        for level in [1, 5, 20, 50] {
            let bottom = chain(&top, 51);
            let removed = bottom.ancestors().nth(50 - level).unwrap();
            act_at_level(&top, 51, || with_all_in_it(removed).unwrap()).unwrap();
            assert!(!top.exists());
        }
        chain(&top, 51);
        act_at_level(&top, 51, || with_all_in_it(&top).unwrap()).unwrap();
        fs::remove_dir(dir).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no directory by descriptor")]
    fn a_link_that_takes_a_directory_s_place_is_removed_and_not_followed() {
        let dir = directory("swapped");
        let (top, kept) = (dir.join("top"), dir.join("kept"));
        chain(&kept, 3);
        for name in ["a", "b"] {
            chain(&top.join(name), 2);
        }
        // Both are listed by then, and one of them is open.
        let mut way = way(&top);
        while way.levels.len() < 2 {
            way.step().unwrap();
        }
        let open = way.levels[1].name.clone();
        for name in ["a", "b"] {
            fs::rename(top.join(name), dir.join(name)).unwrap();
            std::os::unix::fs::symlink(&kept, top.join(name)).unwrap();
        }
        while !way.levels.is_empty() {
            match way.step() {
                // The open one was emptied; its name is now that of a link.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => break,
                result => result.unwrap(),
            }
        }
        let other = if open.as_bytes() == b"a" { "b" } else { "a" };
        assert!(dir.join(other).join("d/file").exists() && kept.join("d/d/file").exists());
        with_all_in_it(&top).unwrap();
        assert!(kept.join("d/d/file").exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no directory by descriptor")]
    fn a_link_itself_is_removed_and_a_file_is_no_directory() {
        let dir = directory("link");
        let (file, link) = (dir.join("file"), dir.join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        with_all_in_it(&link).unwrap();
        let refused = with_all_in_it(&file).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(with_all_in_it(&link).unwrap_err().kind(), io::ErrorKind::NotFound);
        with_all_in_it(&dir).unwrap();
    }
}
