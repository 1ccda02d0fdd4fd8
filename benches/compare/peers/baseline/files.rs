//! Two threads that call the system straight, with nobody waiting for any single answer. And
//! inotify itself.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use common::inputs::{Directories, file_4k};
use common::measure::measure;
use common::{Figures, Laps, system};

const THREADS: u64 = 2;

fn on_threads(items: u64, work: fn(&Path) -> usize) -> Figures {
    let path: PathBuf = file_4k();
    let each = items.div_ceil(THREADS);
    measure(each * THREADS, || {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..each).for_each(|_| assert_eq!(work(&path), 4096)));
            }
        });
    })
}

pub(crate) fn stat(items: u64) -> Figures {
    on_threads(items, |path| std::fs::metadata(path).expect("a file").len() as usize)
}

pub(crate) fn read(items: u64) -> Figures {
    on_threads(items, |path| std::fs::read(path).expect("a file").len())
}

/// Counts events, and does not even look at their names.
pub(crate) fn watch(items: u64) -> Figures {
    let (mut directories, mut laps) = (Directories::new(), Laps::default());
    let batches = Directories::batches(items);
    let bytes;
    // SAFETY: paths and buffer outlive the calls, which are told their lengths; what is read are
    // the kernel's structures, each with the length of the name behind it.
    unsafe {
        let before = system::resident_own();
        let inotify = libc::inotify_init1(libc::IN_CLOEXEC);
        for path in directories.paths() {
            let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
            let mask = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MODIFY | libc::IN_MOVE;
            assert!(libc::inotify_add_watch(inotify, path.as_ptr(), mask) >= 0);
        }
        bytes = system::resident_own() - before;
        let mut buffer = vec![0_u8; 64 * 1024];
        for _ in 0..batches {
            directories.change();
            laps.start();
            let mut left = Directories::COUNT * Directories::ROUNDS;
            while left > 0 {
                let got = libc::read(inotify, buffer.as_mut_ptr().cast(), buffer.len()) as usize;
                let mut at = 0;
                while at < got {
                    let event = buffer[at..].as_ptr().cast::<libc::inotify_event>();
                    at += size_of::<libc::inotify_event>() + event.read_unaligned().len as usize;
                    left -= 1;
                }
            }
            laps.stop();
        }
        libc::close(inotify);
    }
    let events = batches * (Directories::COUNT * Directories::ROUNDS) as u64;
    laps.figures(events).with("bytes", bytes as f64 / Directories::COUNT as f64)
}
