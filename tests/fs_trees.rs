//! Trees of directories that are deeper than a process has descriptors, and than a path can say. A binary
//! of its own: the limit of descriptors is the process's.
#![allow(unsafe_code)] // Directories in one another by descriptor, and the limit: std has no words for them.

mod common;

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;
use windlass::{block_on, fs};

/// An empty directory that belongs to one test, whatever an earlier run has left in it. In memory where
/// that is possible: a disk takes a millisecond for each directory.
fn directory(test: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let here = memory.is_dir().then(|| memory.join("windlass-test"));
    let here = here.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let path = here.join(format!("trees-{}", std::process::id())).join(test);
    assert!(Command::new("rm").arg("-rf").arg(&path).status().unwrap().success());
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Makes `levels` directories named `d` in one another, and in every tenth a file.
fn make_chain(top: &Path, levels: usize) {
    let mut last = File::open(top).unwrap();
    for level in 0..levels {
        // SAFETY: the names are strings that end in zero, and each descriptor is new and owned.
        unsafe {
            assert_eq!(libc::mkdirat(last.as_raw_fd(), c"d".as_ptr(), 0o700), 0);
            let open = |name: &CStr, flags| {
                let fd = libc::openat(last.as_raw_fd(), name.as_ptr(), flags, 0o600);
                assert!(fd >= 0, "{}", std::io::Error::last_os_error());
                File::from_raw_fd(fd)
            };
            if level % 10 == 0 {
                drop(open(c"file", libc::O_WRONLY | libc::O_CREAT));
            }
            last = open(c"d", libc::O_RDONLY | libc::O_DIRECTORY);
        }
    }
}

#[test]
fn a_tree_of_any_depth_is_removed_with_two_descriptors_and_a_small_stack() {
    let _guard = alone();
    bounded(|| {
        let dir = directory("deep");
        for (levels, free) in [(700, 200), (20_000, 200), (2_000, 2)] {
            let top = dir.join("top");
            std::fs::create_dir(&top).unwrap();
            make_chain(&top, levels);
            // In virtual time the job runs on the loop's thread, of which the stack is small.
            let small = std::thread::Builder::new().stack_size(128 * 1024);
            let removed = top.clone();
            let remove = move || {
                let event_loop = virtual_loop();
                let few = FewDescriptors::new(free);
                event_loop.block_on(async { fs::remove_dir_all(&removed).await }).unwrap();
                drop(few);
            };
            small.spawn(remove).unwrap().join().unwrap();
            assert!(!top.exists(), "{levels} levels, {free} descriptors");
        }
    });
}

#[test]
fn a_removal_holds_no_more_descriptors_the_deeper_the_tree_is() {
    let _guard = alone();
    bounded(|| {
        let dir = directory("at-once");
        let tops: Vec<_> = (0..4).map(|number| dir.join(number.to_string())).collect();
        for top in &tops {
            std::fs::create_dir(top).unwrap();
            make_chain(top, 500);
        }
        block_on(async {
            // Four at a time on the pool: each of them at its deepest has 17.
            let warm = fs::metadata(&dir).await;
            assert!(warm.is_ok());
            let few = FewDescriptors::new(4 * 17);
            let removals: Vec<_> = tops.iter().map(fs::remove_dir_all).collect();
            for removal in removals {
                removal.await.unwrap();
            }
            drop(few);
        });
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    });
}

/// At each level some files, links out of the tree and directories; so many things in all.
fn make_tree(dir: &Path, kept: &Path, levels: usize) -> usize {
    let mut count = 0;
    for name in ["a", "b", "c"] {
        std::fs::write(dir.join(name), name).unwrap();
        symlink(kept, dir.join(format!("to-{name}"))).unwrap();
        count += 2;
    }
    symlink(dir, dir.join("around")).unwrap();
    for number in 0..if levels == 0 { 0 } else { 3 } {
        let below = dir.join(format!("dir-{number}"));
        std::fs::create_dir(&below).unwrap();
        // One of them goes deep.
        let levels = if number == 1 { levels - 1 } else { levels.min(1) - 1 };
        count += 1 + make_tree(&below, kept, levels);
    }
    count + 1
}

#[test]
fn a_wide_and_deep_tree_goes_whole_and_what_its_links_say_stays() {
    let _guard = alone();
    bounded(|| {
        let dir = directory("wide");
        let (top, kept) = (dir.join("top"), dir.join("kept"));
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "kept").unwrap();
        for free in [2, 5, 100] {
            std::fs::create_dir(&top).unwrap();
            assert!(make_tree(&top, &kept, 60) > 1_000);
            let event_loop = virtual_loop();
            let few = FewDescriptors::new(free);
            event_loop.block_on(async { fs::remove_dir_all(&top).await }).unwrap();
            drop(few);
            assert!(!top.exists());
            assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "kept");
        }
    });
}

#[test]
fn a_link_with_a_slash_behind_it_is_refused_and_nothing_behind_it_is_removed() {
    let dir = directory("slash");
    let kept = dir.join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "kept").unwrap();
    let link = dir.join("link");
    symlink(&kept, &link).unwrap();
    for behind in ["/", "//", "/."] {
        let path = format!("{}{behind}", link.display());
        let removed = block_on(async { fs::remove_dir_all(&path).await });
        assert!(removed.is_err(), "{path}");
        assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "kept", "{path}");
    }
    let slashed = format!("{}/", kept.display());
    block_on(async { fs::remove_dir_all(slashed).await }).unwrap();
    assert!(!kept.exists(), "of a directory a slash says nothing");
    block_on(async { fs::remove_dir_all(&link).await }).unwrap();
    assert!(link.symlink_metadata().is_err());
}
